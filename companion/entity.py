"""An entity is a stretch of a text with a type. Everything else is made from this."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache

from companion.errors import CourseError
from companion.guards import as_list, checked_text, door, fitting


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

    Raises:
        CourseError: offsets that are no whole numbers, nothing between them, a text of another
            length (as where the end is inclusive), no type.
    """

    start: int
    end: int
    type: str
    text: str | None = field(default=None, compare=False)
    score: float | None = field(default=None, compare=False)

    def __post_init__(self):
        start, end = (place if type(place) is int else fitting(place, int, f"{name} of an entity")
                      for name, place in (("start", self.start), ("end", self.end)))
        if not 0 <= start < end:
            raise CourseError(f"entity {start}..{end} is empty or begins before the text: give 0 "
                              "<= start < end, where end is the place after the last character")
        if self.text is not None:
            _same_length(self, self.text)
        kind = _type(self.type) if type(self.type) is str else _type(checked_text(
            self.type, "the type of an entity"))
        for name, value in (("start", start), ("end", end), ("type", kind)):
            if value is not getattr(self, name):
                object.__setattr__(self, name, value)

    def shifted(self, by: int) -> "Entity":
        """The same entity in a text that has ``by`` more characters in front."""
        return replace(self, start=self.start + by, end=self.end + by)

    def overlaps(self, other: "Entity") -> bool:
        return self.start < other.end and other.start < self.end


@dataclass(frozen=True, slots=True)
class Example:
    """A text and its entities, in the order of the text. ``id`` says where it comes from.

    Raises:
        CourseError: entities that overlap, lie outside the text or say another text than stands
            at their place.
    """

    text: str
    entities: tuple[Entity, ...]
    id: str = ""

    def __post_init__(self):
        checked_text(self.text)
        found = in_order(as_list(self.entities, "entities"), len(self.text))
        for e in found:
            if e.text is not None and e.text != self.text[e.start : e.end]:
                raise CourseError(f"entity {e.start}..{e.end} is {e.text!r}, but the text has "
                                  f"{self.text[e.start:e.end]!r} there: count Python's characters "
                                  "from 0, end is exclusive")
        object.__setattr__(self, "entities", tuple(found))


def _same_length(entity: Entity, text: str) -> None:
    size, room = len(checked_text(text, "the text of an entity")), entity.end - entity.start
    if size != room:
        cure = (f"end is exclusive, give end + 1 = {entity.end + 1}" if size == room + 1
                else "count Python's characters, end is exclusive")
        raise CourseError(f"entity {entity.start}..{entity.end} is of {room} characters, its text "
                          f"{text!r} of {size}: {cure}")


@lru_cache(4096)
def _type(name: str) -> str:
    """A type without the blanks around it, which no two files have alike."""
    name = checked_text(name, "the type of an entity").strip()
    if not name:
        raise CourseError("the type of an entity is empty: give a name, such as PER")
    return name


def in_order(entities: Iterable[Entity], length: int) -> list[Entity]:
    """The entities by their start.

    Raises:
        CourseError: one is no `Entity`, lies outside ``0..length``, or overlaps another.
    """
    entities = list(entities)
    for entity in entities:
        if not isinstance(entity, Entity):
            raise CourseError(f"an entity is of type {type(entity).__name__}: give Entity(start, "
                              "end, type)")
        if entity.end > length:
            raise CourseError(f"entity {entity.start}..{entity.end} does not fit a length of "
                              f"{length}: give 0 <= start < end <= length")
    ordered = sorted(entities)
    for one, two in zip(ordered, ordered[1:]):
        if one.end > two.start:
            raise CourseError(f"entities {one.start}..{one.end} and {two.start}..{two.end} "
                              "overlap: a character can have one tag only")
    return ordered


@door
def with_text(entities: Sequence[Entity], text: str) -> list[Entity]:
    """The entities, each with what stands in ``text`` at its place."""
    return [replace(e, text=text[e.start : e.end]) for e in entities]
