"""Named entities: tag schemes, data, alignment with tokens, a CRF, scores, a dictionary.

The parts of the package, in the order of use: ``people`` (text with entities), ``schemes``
(entities -> tags), ``alignment`` (characters -> tokens), ``crf`` (scores of tag sequences),
``scoring`` (how good are the found entities), ``gazetteer`` (the baseline).
"""

from companion.entity import Entity, Example

__all__ = ["Entity", "Example"]
