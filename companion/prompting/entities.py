"""Entities without labels: a masked LM is asked what each piece of a text is a type of.

Prompting for named entities by filling in a template for every span is the idea of Cui et al.
(2021), who fine-tune a sequence-to-sequence model for it. Here nothing is trained.
"""

from collections.abc import Hashable, Mapping, Sequence

from companion.entity import Entity
from companion.errors import CourseError
from companion.guards import door, listed
from companion.prompting.candidates import Scored, candidates, resolve
from companion.prompting.classifier import PromptClassifier

PROMPT = "{text} {span} is a type of {mask}."
# "O" means outside of any entity, as in the tag schemes of the field.
WORDS = {"PER": ["person", "man", "woman"], "LOC": ["place", "city", "country"],
         "ORG": ["company", "team", "group"], "O": ["thing", "way", "time"]}
FREE = {"text": "", "span": "It"}  # with PROMPT: "It is a type of [MASK]."


class EntityFinder:
    """Spans of a text, each with the type that a prompt gives it.

    Args:
        classifier: its template has the slots ``text`` and ``span``; its labels are the types,
            and one more for what is no entity.
        none: that label.
        longest: the most words of a span; with ``only="characters"`` the most characters.
        only: which spans are asked about, see ``candidates``.

    Attributes:
        margin: a span is an entity when the score of its best type exceeds that of ``none``
            by at least this much, in nats. ``choose_margin`` sets it from labelled sentences.

    Raises:
        CourseError: a template with other slots, a label ``none`` that is not there, no other
            label, ``longest`` below 1, an unknown filter.
    """

    @door
    def __init__(self, classifier: PromptClassifier, none: Hashable = "O", longest: int = 4,
                 only: str = "capitals"):
        if set(classifier.template.slots) != {"text", "span"}:
            raise CourseError(f"the template has the slots "
                              f"{', '.join(classifier.template.slots) or 'none'}: write {{text}} "
                              "and {span}")
        if none not in set(classifier.labels):
            said = " ".join(repr(none).split())
            raise CourseError(f"the verbalizer has no label {said} for what is no entity: add "
                              "it, with words such as 'thing'")
        candidates("a", longest, only)
        self.classifier, self.none, self.longest, self.only = classifier, none, longest, only
        self.types = [label for label in classifier.labels if label != none]
        self.margin = 0.0

    @door
    def calibrate(self, on: bool = True, free: Mapping[str, str] = FREE) -> "EntityFinder":
        """Subtract what the model answers about *It* without a text (Zhao et al., 2021).

        With ``on=False`` that is undone. ``margin`` stays as it is.

        Args:
            free: what fills the template; of another language, give its own word for *it*.
        """
        self.classifier.calibrate("contextual" if on else "none", [dict(free)] if on else None)
        return self

    def spans(self, texts: Sequence[str]) -> list[list[tuple[int, int]]]:
        """The candidates of each text, as (start, end).

        Raises:
            CourseError: one text instead of several, none, or one without a word.
        """
        found = []
        for number, text in enumerate(listed(texts)):
            try:
                found.append(candidates(text, self.longest, self.only))
            except CourseError as problem:
                raise CourseError(f"text {number}: {problem}") from None
        return found

    def questions(self, texts: Sequence[str]) -> list[dict[str, str]]:
        """What the template is filled with, for all candidates of all texts in order."""
        texts = listed(texts)
        return [{"text": text, "span": text[start:end]}
                for text, spans in zip(texts, self.spans(texts)) for start, end in spans]

    def scores(self, texts: Sequence[str]) -> list[list[Scored]]:
        """Every candidate with its best type and score, in few forward passes.

        All questions go to the classifier together, which sorts them by length.

        Raises:
            CourseError: as ``spans``, or a text longer than the model reads with its question.
        """
        texts = listed(texts)
        spans, questions = self.spans(texts), self.questions(texts)
        if not questions:
            return [[] for _ in texts]
        scores = self.classifier.scores(questions)
        self._refuse_truncated()
        where = [self.classifier.labels.index(kind) for kind in self.types]
        best, which = scores[:, where].max(1)
        lead = (best - scores[:, self.classifier.labels.index(self.none)]).tolist()
        answers = zip(which.tolist(), lead)
        return [[Scored(start, end, self.types[kind], score)
                 for (start, end), (kind, score) in zip(own, answers)] for own in spans]

    def _refuse_truncated(self) -> None:
        cut = max(self.classifier.truncated)
        if cut:
            raise CourseError(f"a text with its question is {cut} tokens longer than the model "
                              "reads: divide it into sentences")

    def predict(self, texts: Sequence[str]) -> list[list[Entity]]:
        """The entities of each text, in order and without overlaps."""
        return [[span.entity for span in resolve(own) if span.score >= self.margin]
                for own in self.scores(texts)]

    @door
    def choose_margin(self, texts: Sequence[str], gold: Sequence[Sequence[Entity]]) -> float:
        """Set ``margin`` to what gives the best entity F1 on labelled sentences.

        The sentences must not be those on which F1 is reported.

        Returns:
            That F1.

        Raises:
            CourseError: as ``scores``, or not one list of entities for each text.
        """
        texts = listed(texts)
        if len(texts) != len(gold):
            raise CourseError(f"{len(texts)} texts but {len(gold)} lists of entities: give one "
                              "for each text")
        spans = [(span.score, span.entity in set(own))
                 for found, own in zip(self.scores(texts), gold) for span in resolve(found)]
        self.margin, best = best_margin(spans, sum(len(set(own)) for own in gold))
        return best


@door
def best_margin(spans: Sequence[tuple[float, bool]], gold: int) -> tuple[float, float]:
    """The margin with the best F1, and that F1.

    Args:
        spans: for each span its score and whether it is right.
        gold: the number of entities to find.

    Returns:
        ``(margin, F1)``. The margin lies midway between two scores, so that rounding decides
        nothing; infinity when no span is right. Of equal F1 the higher margin is taken.
    """
    ranked = sorted(spans, reverse=True)
    margin, best, right = float("inf"), 0.0, 0
    for kept, (score, hit) in enumerate(ranked, start=1):
        right += hit
        below = ranked[kept][0] if kept < len(ranked) else score - 2.0
        f1 = 2 * right / (kept + gold)
        if below < score and f1 > best:
            margin, best = (score + below) / 2, f1
    return margin, best
