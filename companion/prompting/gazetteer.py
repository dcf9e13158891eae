"""Entities without a language model: known names, and words with a capital letter."""

from collections import Counter
from collections.abc import Sequence

from companion.entity import Entity
from companion.errors import CourseError
from companion.guards import door
from companion.prompting.candidates import Scored, candidates, resolve, runs


class Gazetteer:
    """A list of names with their types. A text's entities are the longest names found in it.

    Attributes:
        names: type of each name; of a name seen with several types the most frequent one, of
            equally frequent ones the first seen.
        frequent: the most frequent type.

    Args:
        texts, gold: labelled sentences, from which the names are taken.

    Raises:
        CourseError: not one list of entities for each text, or no entity at all.
    """

    @door
    def __init__(self, texts: Sequence[str], gold: Sequence[Sequence[Entity]]):
        if len(texts) != len(gold):
            raise CourseError(f"{len(texts)} texts but {len(gold)} lists of entities: give one "
                              "for each text")
        seen: dict[str, Counter] = {}
        for text, entities in zip(texts, gold):
            for e in entities:
                seen.setdefault(text[e.start : e.end], Counter())[e.type] += 1
        if not seen:
            raise CourseError("there is no entity to make a list of names from: give labelled "
                              "sentences with names")
        self.names = {name: kinds.most_common(1)[0][0] for name, kinds in seen.items()}
        self.frequent = sum(seen.values(), Counter()).most_common(1)[0][0]
        self._longest = max(len(name.split()) for name in self.names)

    @door
    def predict(self, texts: Sequence[str]) -> list[list[Entity]]:
        """The known names in each text; of overlapping ones the longer, then the earlier."""
        return [self._known(text) for text in texts]

    def _known(self, text: str) -> list[Entity]:
        found = [Scored(start, end, self.names[text[start:end]], end - start)
                 for start, end in candidates(text, self._longest) if text[start:end] in self.names]
        return [span.entity for span in resolve(found)]


def capital_runs(text: str, first: bool = True) -> list[tuple[int, int]]:
    """Longest runs of words with a capital letter, as (start, end).

    Args:
        first: whether the first word of the text can begin a run. Its capital says nothing.
    """
    found: list[tuple[int, int]] = []
    for number, run in enumerate(runs(text)):
        inside = False
        for place, (start, end) in enumerate(run):
            capital = text[start].isupper() and (first or number + place > 0)
            if capital and inside:
                found[-1] = (found[-1][0], end)
            elif capital:
                found.append((start, end))
            inside = capital
    return found
