"""The list of all exercises, by id."""

from __future__ import annotations

from difflib import get_close_matches

from companion.errors import CourseError
from companion.exercises import (
    albert,
    albert_ner,
    article_repaired,
    causal_lm,
    chinese_ner_data,
    contrastive_learning,
    few_shot,
    inside_transformer,
    masked_lm,
    prompts,
    sentence_pairs,
    sequence_to_sequence,
    three_families,
    zero_shot_ner,
    zero_shot_sentiment,
)
from companion.exercises.exercise import Exercise

# In the order of the course.
_MODULES = (inside_transformer, masked_lm, sentence_pairs, causal_lm, sequence_to_sequence,
            contrastive_learning, three_families, prompts, zero_shot_sentiment, article_repaired,
            few_shot, zero_shot_ner, albert, chinese_ner_data, albert_ner)
CHAPTERS = {module.__name__.rpartition(".")[2]: module for module in _MODULES}


def of_chapter(chapter: str) -> list[Exercise]:
    """The exercises of one chapter, in the order of its file."""
    return [value for value in vars(CHAPTERS[chapter]).values() if isinstance(value, Exercise)]


_BY_ID = {exercise.id: exercise for chapter in CHAPTERS for exercise in of_chapter(chapter)}


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


def find_function(name: str) -> Exercise:
    """The exercise whose function has this name, or the first one when none has."""
    named = (exercise for exercise in _BY_ID.values() if exercise.function == name)
    return next(named, next(iter(_BY_ID.values())))
