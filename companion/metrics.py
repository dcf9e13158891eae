"""What a model scores. Thin calls; the definitions are in the docstrings."""

from collections.abc import Collection, Hashable, Sequence

import numpy as np
from sacrebleu.metrics import BLEU
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from companion.entity import Entity
from companion.errors import CourseError
from companion.objectives.lengths import refuse_longer
from companion.objectives.masked import MaskedLM
from companion.pretraining.loop import evaluate
from companion.tokenization import pack


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
        CourseError: one text instead of several, too little text for a row, rows longer than
            the model.
    """
    refuse_longer(model, length)
    packed = pack(texts, tokenizer, length)[:rows]
    return evaluate(model, MaskedLM(tokenizer, share=share, seed=seed), packed,
                    device=model.device)


def bleu(answers: Sequence[str], references: Sequence[str], chinese: bool = False) -> float:
    """Corpus BLEU, 0 to 100, with one reference a text (Papineni et al., 2002).

    Computed by sacrebleu (Post, 2018) with its standard tokenisation; with ``chinese``,
    by characters.

    Raises:
        CourseError: nothing to score, or not as many references as answers.
    """
    _paired(answers, references)
    metric = BLEU(tokenize="zh" if chinese else "13a")
    return metric.corpus_score(list(answers), [list(references)]).score


def rouge(answers: Sequence[str], references: Sequence[str]) -> dict[str, float]:
    """Mean ROUGE F1, 0 to 1: shared words, shared pairs of words, longest common
    subsequence (Lin, 2004). Computed by rouge-score without stemming.

    It reads Latin letters and digits only: texts in Chinese score 0, so they are refused.

    Raises:
        CourseError: nothing to score, not as many references as answers, or a reference
            without a Latin letter or digit.
    """
    _paired(answers, references)
    for number, reference in enumerate(references):
        if not any(c.isascii() and c.isalnum() for c in reference):
            raise CourseError(f"reference {number} has no Latin letter or digit, and ROUGE here "
                              "reads nothing else: use bleu(..., chinese=True)")
    from rouge_score.rouge_scorer import RougeScorer  # here: importing nltk takes seconds

    kinds = ["rouge1", "rouge2", "rougeL"]
    scorer = RougeScorer(kinds)
    scores = [scorer.score(r, a) for a, r in zip(answers, references)]
    return {kind: float(np.mean([score[kind].fmeasure for score in scores])) for kind in kinds}


def entity_f1(
    gold: Sequence[Collection[Hashable]], predicted: Sequence[Collection[Hashable]]
) -> dict[str, float]:
    """Precision, recall and F1 of entities over all texts together, each 0 to 1.

    Strict, as at CoNLL-2003 (Tjong Kim Sang and De Meulder, 2003): an entity is right when
    start, end and type are. For rows of tags seqeval computes the same.

    Args:
        gold, predicted: for each text its entities, `companion.entity.Entity` or tuples
            ``(start, end, type)``; the two may be mixed. One that stands there twice counts once.

    Returns:
        ``precision``, ``recall`` and ``f1`` (0 where nothing was predicted, or nothing is to be
        found), and the counts ``right``, ``gold`` and ``predicted``.

    Raises:
        CourseError: no text, or not as many texts in both.
    """
    _paired(predicted, gold)
    pairs = [(_bare(g), _bare(p)) for g, p in zip(gold, predicted)]
    right, wanted, found = (sum(map(len, sets)) for sets in
                            zip(*[(g & p, g, p) for g, p in pairs]))
    return {"precision": right / max(found, 1), "recall": right / max(wanted, 1),
            "f1": 2 * right / max(found + wanted, 1),
            "right": right, "gold": wanted, "predicted": found}


def _bare(entities: Collection[Hashable]) -> set[Hashable]:
    """As tuples, because an `Entity` never equals one."""
    return {(e.start, e.end, e.type) if isinstance(e, Entity) else e for e in entities}


def _paired(answers: Sequence[str], references: Sequence[str]) -> None:
    for texts, name in ((answers, "answers"), (references, "references")):
        if isinstance(texts, str):
            raise CourseError(f"{name} is one text: give a list of texts")
    if not len(answers):
        raise CourseError("there is nothing to score: give at least one answer")
    if len(answers) != len(references):
        raise CourseError(f"{len(answers)} answers but {len(references)} references: give one "
                          "reference for each answer")


def probe(
    train: np.ndarray, train_labels: Sequence[int], test: np.ndarray, test_labels: Sequence[int]
) -> float:
    """Accuracy of a linear classifier on frozen features (Alain and Bengio, 2016).

    Logistic regression on features that are scaled by the training part's mean and spread.

    Args:
        train, test: features, (texts, width); a tensor must be detached and on the CPU.

    Raises:
        CourseError: sizes that do not fit, or only one class to learn from.
    """
    for part, labels in ((train, train_labels), (test, test_labels)):
        if len(part) != len(labels) or not len(part):
            raise CourseError(f"{len(part)} rows of features but {len(labels)} labels: give one "
                              "label for each row, and at least one row")
    if len(set(np.asarray(train_labels).tolist())) < 2:
        raise CourseError("all training labels are the same: a probe needs at least two classes")
    classifier = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    classifier.fit(np.asarray(train), np.asarray(train_labels))
    return float(classifier.score(np.asarray(test), np.asarray(test_labels)))
