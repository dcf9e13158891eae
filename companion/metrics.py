"""What a model scores. Thin calls; the definitions are in the docstrings."""

import re
import unicodedata
import warnings
from collections.abc import Callable, Collection, Iterable, Sequence, Set
from numbers import Real

import numpy as np
from sacrebleu.metrics import BLEU
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from companion.entity import Entity
from companion.errors import CourseError
from companion.guards import as_list, door, is_count
from companion.objectives.lengths import refuse_longer
from companion.objectives.masked import MaskedLM
from companion.pretraining.loop import evaluate
from companion.scripts import SPACELESS
from companion.tokenization import pack

_ONE_WORD = re.compile(f"{SPACELESS.pattern}{{2,}}")
_UNITS = re.compile(rf"{SPACELESS.pattern}|(?:(?!{SPACELESS.pattern})[^\W_])+")


@door
def masked_lm(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    texts: Sequence[str],
    share: float = 0.15,
    seed: int = 0,
    length: int = 128,
    rows: int | None = None,
) -> dict[str, float]:
    """Masked-LM loss and top-1 accuracy on texts, each position masked at most once.

    Args:
        texts: packed in their order into rows of ``length`` tokens.
        rows: use only the first so many rows; None for all.

    Returns:
        ``loss`` in nats (mean over masked positions), ``accuracy`` (share of masked
        positions whose most probable token is the original) and ``positions`` (their number).

    Raises:
        CourseError: too little text for a row, rows longer than the model, no rows.
    """
    if rows is not None and not is_count(rows):
        raise CourseError(f"rows is {rows}: give 1 or more, or None for all")
    refuse_longer(model, length)
    packed = pack(texts, tokenizer, length)[:rows]
    return evaluate(model, MaskedLM(tokenizer, share=share, seed=seed), packed,
                    device=model.device)


@door
def bleu(answers: Sequence[str], references: Sequence[str], chinese: bool = False,
         tokenizer: Callable[[str], Iterable[str]] | None = None) -> float:
    """Corpus BLEU, 0 to 100, with one reference a text (Papineni et al., 2002).

    Computed by sacrebleu (Post, 2018) with its standard tokenisation; with ``chinese``, Chinese
    by characters. BLEU is the mean of four precisions, of single words up to runs of four. So it
    is 0 where no text has four words, even for equal texts. (sacrebleu's ``effective_order``
    leaves out the longer runs, but is meant for single sentences: scores would not compare.)

    Args:
        tokenizer: a function from a text to its tokens, such as ``str.split`` or ``list``, in
            place of sacrebleu's.

    Raises:
        CourseError: nothing to score, not as many references as answers, or a script without
            spaces, whose sentences would be taken for words.
    """
    _paired(answers, references)
    metric = BLEU(tokenize="none" if tokenizer else "zh" if chinese else "13a")
    texts = {name: [" ".join(_cut(text, tokenizer)) if tokenizer else text for text in part]
             for name, part in (("answer", answers), ("reference", references))}
    words = {name: list(map(metric.tokenizer, part)) for name, part in texts.items()}
    if not tokenizer:
        _refuse_unread(words, _ONE_WORD, "has {} without a space, which BLEU takes for one word: "
                       "use chinese=True, or tokenizer=list for characters")
    if max(len(text.split()) for text in words["reference"]) < 4:
        warnings.warn("BLEU is 0: it counts runs of up to four words, and no reference has four; "
                      "use rouge for texts so short", stacklevel=3)
    return metric.corpus_score(texts["answer"], [texts["reference"]]).score


@door
def rouge(answers: Sequence[str], references: Sequence[str], chinese: bool = False,
          tokenizer: Callable[[str], Iterable[str]] | None = None) -> dict[str, float]:
    """Mean ROUGE F1, 0 to 1: shared words, shared pairs of words, longest common
    subsequence (Lin, 2004). Computed by rouge-score without stemming.

    Its own tokenizer reads the letters a to z and digits only. With ``chinese``, words of any
    script are read, and characters where there are no spaces.

    Args:
        tokenizer: a function from a text to its tokens, such as ``str.split``.

    Raises:
        CourseError: nothing to score, not as many references as answers, letters that would be
            dropped, or a reference without a word.
    """
    _paired(answers, references)
    if not chinese and tokenizer is None:
        dropped = {name: ["".join(filter(_dropped, text.lower())) for text in part]
                   for name, part in (("answer", answers), ("reference", references))}
        _refuse_unread(dropped, re.compile("."), "has the letter {}, and ROUGE drops all but a to "
                       "z and digits: use chinese=True (characters), or a tokenizer such as "
                       "str.split")
    from rouge_score.rouge_scorer import RougeScorer  # here: importing nltk takes seconds

    cutter = _Cutter(tokenizer or _units) if chinese or tokenizer else None
    kinds = ["rouge1", "rouge2", "rougeL"]
    scorer = RougeScorer(kinds, tokenizer=cutter)
    for number, reference in enumerate(references):
        if not scorer._tokenizer.tokenize(reference):
            raise CourseError(f"reference {number} has no word: leave it out")
    scores = [scorer.score(r, a) for a, r in zip(answers, references)]
    return {kind: float(np.mean([score[kind].fmeasure for score in scores])) for kind in kinds}


class _Cutter:
    """A tokenizer in the form that rouge-score asks for."""

    def __init__(self, cut: Callable[[str], Iterable[str]]):
        self.cut = cut

    def tokenize(self, text: str) -> list[str]:
        return _cut(text, self.cut)


def _units(text: str) -> list[str]:
    """Words in small letters, without punctuation; characters where there are no spaces."""
    return _UNITS.findall(unicodedata.normalize("NFC", text).lower())


def _cut(text: str, tokenizer: Callable[[str], Iterable[str]]) -> list[str]:
    tokens = as_list(tokenizer(text), "what the tokenizer gives")
    if not all(isinstance(token, str) for token in tokens):
        raise CourseError("the tokenizer gives tokens that are no str: give a function from a text "
                          "to its words, such as str.split")
    return [token for token in tokens if token.strip()]


def _dropped(character: str) -> bool:
    """Whether rouge-score drops a letter, a digit or an accent."""
    return not character.isascii() and (character.isalpha() or character.isdecimal()
                                        or unicodedata.category(character)[0] == "M")


def _refuse_unread(texts: dict[str, list[str]], what: re.Pattern, problem: str) -> None:
    for name, part in texts.items():
        for number, text in enumerate(part):
            if found := what.search(text):
                shown = repr(found[0][:20])
                raise CourseError(f"{name} {number} {problem.format(shown)}")


@door
def entity_f1(gold: Sequence[Collection | Iterable],
              predicted: Sequence[Collection | Iterable]) -> dict[str, float]:
    """Precision, recall and F1 of entities over all texts together, each 0 to 1.

    Strict, as at CoNLL-2003 (Tjong Kim Sang and De Meulder, 2003): an entity is right when
    start, end and type are. For rows of tags seqeval computes the same.

    Args:
        gold, predicted: for each text its entities, `companion.entity.Entity` or tuples
            ``(start, end, type)``; the two may be mixed. One that stands there twice counts once.
            ``(start, end)`` asks for no type.

    Returns:
        ``precision``, ``recall`` and ``f1`` (0 where nothing was predicted, or nothing is to be
        found), and the counts ``right``, ``gold`` and ``predicted``.

    Raises:
        CourseError: no text, not as many texts in both, or what is no entity.
    """
    _paired(predicted, gold)
    pairs = [(_entities(g), _entities(p)) for g, p in zip(gold, predicted)]
    right, wanted, found = (sum(map(len, sets)) for sets in
                            zip(*[(g & p, g, p) for g, p in pairs]))
    return {"precision": right / max(found, 1), "recall": right / max(wanted, 1),
            "f1": 2 * right / max(found + wanted, 1),
            "right": right, "gold": wanted, "predicted": found}


def _entities(own: Iterable) -> set[Entity]:
    """The entities of one text. A span without a type gets the type "any"."""
    own = own if isinstance(own, Set) else as_list(own, "the entities of a text")
    found = set()
    for one in own:
        if isinstance(one, (tuple, list)) and len(one) in (2, 3):
            one = Entity(*one) if len(one) == 3 else Entity(*one, "any")
        if not isinstance(one, Entity):
            raise CourseError(f"an entity is {one!r}: give Entity or (start, end, type); for tags, "
                              "take companion.ner.schemes.from_tags first")
        found.add(one)
    return found


def _paired(answers: Sequence, references: Sequence) -> None:
    if not answers:
        raise CourseError("there is nothing to score: give at least one answer")
    if len(answers) != len(references):
        raise CourseError(f"{len(answers)} answers but {len(references)} references: give one "
                          "reference for each answer")


@door
def probe(train: Sequence, train_labels: Sequence, test: Sequence, test_labels: Sequence) -> float:
    """Accuracy of a linear classifier on frozen features (Alain and Bengio, 2016).

    Logistic regression on features that are scaled by the training part's mean and spread.

    Args:
        train, test: features, (texts, width); a tensor must be detached and on the CPU.
        train_labels, test_labels: one class for each text, whole numbers or texts.

    Raises:
        CourseError: sizes that do not fit, features that are no finite numbers or the same for all
            texts, labels that are no classes, or only one class to learn from.
    """
    parts = [_features(train), _features(test)]
    labels = [_classes(train_labels), _classes(test_labels)]
    for part, own in zip(parts, labels):
        if len(part) != len(own) or not len(part):
            raise CourseError(f"{len(part)} rows of features but {len(own)} labels: give one "
                              "label for each row, and at least one row")
    if parts[0].shape[1] != parts[1].shape[1] or labels[0].dtype.kind != labels[1].dtype.kind:
        raise CourseError("the two parts have features of unequal width, or labels of unequal "
                          "kinds: make both in the same way")
    if len(set(labels[0].tolist())) < 2:
        raise CourseError("all training labels are the same: a probe needs at least two classes")
    if (parts[0] == parts[0][0]).all():
        raise CourseError("the features are the same for all training texts: nothing can be "
                          "learned from them")
    classifier = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    classifier.fit(parts[0], labels[0])
    return float(classifier.score(parts[1], labels[1]))


def _features(rows: Sequence) -> np.ndarray:
    try:
        table = np.asarray(rows)
    except (ValueError, TypeError, RuntimeError):  # rows of unequal length; a tensor with gradients
        table = np.array("no table")
    numbers = table.ndim == 2 and table.dtype.kind in "fiub" and np.isfinite(table).all()
    if not numbers or not table.shape[1]:
        raise CourseError("features must be a table of finite numbers, (texts, width): detach a "
                          "tensor and move it to the CPU, and look for NaN")
    return table


def _classes(labels: Sequence) -> np.ndarray:
    """Labels as whole numbers or texts; 1.0 and True are 1."""
    items = labels.tolist() if hasattr(labels, "tolist") else labels
    if all(isinstance(item, str) for item in items):
        return np.array(items)
    if not all(isinstance(item, (Real, np.bool_)) and item % 1 == 0 for item in items):
        raise CourseError("labels must be classes, all whole numbers or all texts, one for each "
                          "row")
    return np.array([int(item) for item in items])
