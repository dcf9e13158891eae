"""A dictionary of entities: the baseline that every tagger has to beat."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

from companion.entity import Entity, Example
from companion.errors import CourseError
from companion.guards import door


class Gazetteer:
    """Finds the entries of a dictionary in texts, from left to right, the longest first.

    Args:
        types: entity text -> type.

    Raises:
        CourseError: no entry, or an empty one.
    """

    @door
    def __init__(self, types: Mapping[str, str]):
        if not types or not all(isinstance(entry, str) and entry for entry in types):
            raise CourseError("the dictionary is empty, or an entry is no text: give entity texts "
                              "with their types")
        self.types = dict(types)
        sizes = defaultdict(set)  # by the first two characters, so that few places are tried
        for entry in types:
            sizes[entry[:2]].add(len(entry))
        self._sizes = {first: sorted(known, reverse=True) for first, known in sizes.items()}

    @classmethod
    @door
    def from_examples(cls, examples: Sequence[Example], sure: float = 0.0) -> "Gazetteer":
        """The entities of examples, each with its most frequent type (first seen, if equal).

        Args:
            sure: share of an entry's occurrences in the examples' text that must be entities;
                others are left out. With 0 all entries stay, as in a plain word list. An
                entry inside a longer entity (王 in 王磊) counts as an occurrence that is none.
        """
        if not 0 <= sure <= 1:
            raise CourseError(f"sure is {sure}: give a share from 0 to 1")
        seen: dict[str, Counter] = defaultdict(Counter)
        for x in examples:
            for e in x.entities:
                seen[x.text[e.start : e.end]][e.type] += 1
        everything = cls({text: kinds.most_common(1)[0][0] for text, kinds in seen.items()})
        if not sure:
            return everything
        times = everything.occurrences([x.text for x in examples])
        return cls({text: kind for text, kind in everything.types.items()
                    if seen[text].total() >= sure * times[text]})

    def _places(self, text: str) -> list[int]:
        """Where an entry can begin: one of a single character, or the first two of a longer."""
        return [i for i, one in enumerate(text)
                if one in self.types or text[i : i + 2] in self._sizes]

    def _at(self, text: str, i: int) -> list[str]:
        """The entries that stand at place ``i``, longest first."""
        sizes = (size for size in self._sizes.get(text[i : i + 2], ()) if i + size <= len(text))
        longer = [text[i : i + size] for size in sizes if text[i : i + size] in self.types]
        single = text[i] in self.types and text[i] not in longer
        return [*longer, text[i]] if single else longer

    @door
    def occurrences(self, texts: Sequence[str]) -> Counter:
        """How often each entry stands in the texts, also inside other entries."""
        return Counter(entry for t in texts for i in self._places(t) for entry in self._at(t, i))

    @door
    def predict(self, texts: Sequence[str]) -> list[list[Entity]]:
        """The entities of each text, in order. Found entities never overlap."""
        return [self._find(text) for text in texts]

    def _find(self, text: str) -> list[Entity]:
        found, free = [], 0
        for i in self._places(text):
            entries = self._at(text, i) if i >= free else []
            if entries:
                free = i + len(entries[0])
                found.append(Entity(i, free, self.types[entries[0]], entries[0]))
        return found
