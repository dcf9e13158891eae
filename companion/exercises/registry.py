"""The list of all exercises, by id."""

from __future__ import annotations

from difflib import get_close_matches

from companion.errors import CourseError
from companion.exercises import (
    albert,
    article,
    causal,
    contrastive,
    entities,
    families,
    fewshot,
    masked,
    ner,
    pairs,
    prompts,
    spans,
    tags,
    transformer,
    zero_shot,
)
from companion.exercises.exercise import Exercise

# The name of a chapter's notebook -> the module with its exercises, in the order of the course.
CHAPTERS = {
    "inside_transformer": transformer,
    "masked_lm": masked,
    "sentence_pairs": pairs,
    "causal_lm": causal,
    "sequence_to_sequence": spans,
    "contrastive_learning": contrastive,
    "three_families": families,
    "prompts": prompts,
    "zero_shot_sentiment": zero_shot,
    "article_repaired": article,
    "few_shot": fewshot,
    "zero_shot_ner": entities,
    "albert": albert,
    "chinese_ner_data": tags,
    "albert_ner": ner,
}
_BY_ID: dict[str, Exercise] = {
    exercise.id: exercise for chapter in CHAPTERS.values() for exercise in chapter.EXERCISES
}


def ids() -> list[str]:
    """All exercise ids, in the order of the chapters."""
    return list(_BY_ID)


def find(exercise_id: str) -> Exercise:
    """The exercise with this id.

    Raises:
        CourseError: no exercise has this id; the message lists ids that look like it, or all ids.
    """
    if not isinstance(exercise_id, str):
        raise CourseError('the id of the exercise comes first: check("masked-loss", mlm_loss).')
    if exercise_id in _BY_ID:
        return _BY_ID[exercise_id]
    near = get_close_matches(exercise_id, _BY_ID, n=3, cutoff=0.5)
    cure = f"did you mean {' or '.join(near)}?" if near else f"the ids are {', '.join(_BY_ID)}."
    raise CourseError(f"there is no exercise {exercise_id!r}: {cure}")
