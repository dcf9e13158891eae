"""An entity is a stretch of a text with a type. Everything else is made from this."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from companion.errors import CourseError


@dataclass(frozen=True, order=True, slots=True)
class Entity:
    """``text[start:end]`` is an entity of ``type``.

    Two entities are equal when their offsets and types are equal: ``text`` and ``score`` do
    not count.

    Attributes:
        start, end: in characters (Python's, so one emoji may be several), end not included.
        type: ``"PER"``, ``"LOC"``, ``"ORG"`` in the course's corpus.
        text: what stands there, where it is known.
        score: a model's probability of it, where there is one.
    """

    start: int
    end: int
    type: str
    text: str | None = field(default=None, compare=False)
    score: float | None = field(default=None, compare=False)

    def shifted(self, by: int) -> "Entity":
        """The same entity in a text that has ``by`` more characters in front."""
        return replace(self, start=self.start + by, end=self.end + by)

    def overlaps(self, other: "Entity") -> bool:
        return self.start < other.end and other.start < self.end


@dataclass(frozen=True, slots=True)
class Example:
    """A text and its entities, in the order of the text. ``id`` says where it comes from."""

    text: str
    entities: tuple[Entity, ...]
    id: str = ""


def in_order(entities: Iterable[Entity], length: int) -> list[Entity]:
    """The entities by their start.

    Raises:
        CourseError: one is empty, lies outside ``0..length``, or overlaps another.
    """
    ordered = sorted(entities)
    for entity in ordered:
        if not 0 <= entity.start < entity.end <= length:
            raise CourseError(f"entity {entity.start}..{entity.end} does not fit a length of "
                              f"{length}: give 0 <= start < end <= length")
    for one, two in zip(ordered, ordered[1:]):
        if one.end > two.start:
            raise CourseError(f"entities {one.start}..{one.end} and {two.start}..{two.end} "
                              "overlap: a character can have one tag only")
    return ordered


def with_text(entities: Sequence[Entity], text: str) -> list[Entity]:
    """The entities, each with what stands in ``text`` at its place."""
    return [replace(e, text=text[e.start : e.end]) for e in entities]
