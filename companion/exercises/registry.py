"""The list of all exercises, by id."""

from __future__ import annotations

from difflib import get_close_matches
from importlib import import_module
from importlib.util import find_spec

from companion.errors import CourseError
from companion.exercises.exercise import Exercise

# The chapters in the order of the course -> the old name of the file, until it is converted.
_OLD = {
    "inside_transformer": "transformer",
    "masked_lm": "",
    "sentence_pairs": "pairs",
    "causal_lm": "causal",
    "sequence_to_sequence": "spans",
    "contrastive_learning": "contrastive",
    "three_families": "families",
    "prompts": "prompts",
    "zero_shot_sentiment": "zero_shot",
    "article_repaired": "article",
    "few_shot": "fewshot",
    "zero_shot_ner": "entities",
    "albert": "albert",
    "chinese_ner_data": "tags",
    "albert_ner": "ner",
}


def _file(chapter: str) -> str:
    new = f"companion.exercises.{chapter}"
    return new if find_spec(new) else f"companion.exercises.{_OLD[chapter]}"


CHAPTERS = {chapter: import_module(_file(chapter)) for chapter in _OLD}


def of_chapter(chapter: str) -> list[Exercise]:
    """The exercises of one chapter, in the order of its file."""
    module = CHAPTERS[chapter]
    if hasattr(module, "EXERCISES"):  # the old form
        return list(module.EXERCISES)
    return [value for value in vars(module).values() if isinstance(value, Exercise)]


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
