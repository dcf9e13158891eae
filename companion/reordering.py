"""Putting the shuffled words of a sentence back in order: a task that text itself gives.

The input is a sentence with its words in random order, the target the sentence. A small
encoder-decoder learns it from nothing. Besides the model there are two yardsticks: copying
the input, and a search for the order whose pairs of words are most frequent.
"""

import math
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from transformers import (
    LogitsProcessor,
    LogitsProcessorList,
    PreTrainedTokenizerBase,
    T5Config,
    T5ForConditionalGeneration,
)

from companion import metrics
from companion.corpora import movie_reviews
from companion.errors import CourseError
from companion.guards import door
from companion.objectives import spans
from companion.objectives.masked import IGNORE
from companion.pretraining.loop import rate
from companion.tokenization import train_wordpiece

SHORTEST, LONGEST = 4, 10  # words of a sentence
_ENDS = re.compile(r"(?<=[.!?])\s+")
_WORD = re.compile(r"[a-z]+(?:'[a-z]+)?")

# --- sentences ----------------------------------------------------------------------------


@door
def sentences(texts: Sequence[str]) -> list[str]:
    """Short sentences of some texts, in lower case, without punctuation and without repeats.

    Sentences of 4 to 10 words; those with a digit, a bracket, a dash or an accent are left out.
    """
    found = {}
    for text in texts:
        for sentence in _ENDS.split(text.lower()):
            words = [word.strip(".,;:!?\"'") for word in sentence.split()]
            if SHORTEST <= len(words) <= LONGEST and all(map(_WORD.fullmatch, words)):
                found[" ".join(words)] = True
    return list(found)


def splits() -> dict[str, list[str]]:
    """Sentences of IMDB reviews for ``train``, ``validation`` and ``test``.

    A sentence of validation or test is left out if the words of a training sentence are the
    same, in whatever order: nothing that is asked there was an answer in training.
    """
    reviews = movie_reviews(collection="imdb")
    found = {name: sentences(reviews[name]["text"]) for name in ("train", "validation", "test")}
    known = {bag(sentence) for sentence in found["train"]}
    return {name: part if name == "train" else [s for s in part if bag(s) not in known]
            for name, part in found.items()}


@door
def bag(sentence: str) -> tuple[str, ...]:
    """The words of a sentence without their order."""
    return tuple(sorted(sentence.split()))


@door
def shuffled(sentences: Sequence[str], seed: int) -> list[str]:
    """The words of every sentence in random order, all orders equally probable."""
    if seed < 0:
        raise CourseError(f"seed is {seed}: give 0 or more")
    chance = np.random.default_rng(seed)
    return [" ".join(chance.permutation(s.split())) for s in sentences]


# --- model and training -------------------------------------------------------------------


@door
def vocabulary(texts: Sequence[str], size: int = 4000) -> PreTrainedTokenizerBase:
    """A WordPiece tokenizer whose ``[SEP]`` ends a text."""
    tokenizer = train_wordpiece(texts, size)
    tokenizer.eos_token = tokenizer.sep_token
    return tokenizer


@door
def encode(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str]) -> list[list[int]]:
    """Token ids of every text, with eos at the end."""
    ids = tokenizer(list(texts), add_special_tokens=False)["input_ids"]
    return [[*row, tokenizer.eos_token_id] for row in ids]


@door
def fresh(tokenizer: PreTrainedTokenizerBase, width: int = 192, layers: int = 2, heads: int = 4,
          seed: int = 0) -> T5ForConditionalGeneration:
    """A small T5 with random parameters, the same for the same seed."""
    if min(width, layers, heads) < 1 or width % heads:
        raise CourseError(f"width is {width}, layers {layers}, heads {heads}: give 1 or more of "
                          "each, and a width that the heads divide")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return T5ForConditionalGeneration(T5Config(
            vocab_size=len(tokenizer), d_model=width, d_kv=width // heads, d_ff=4 * width,
            num_layers=layers, num_decoder_layers=layers, num_heads=heads, dropout_rate=0.0,
            feed_forward_proj="relu", pad_token_id=tokenizer.pad_token_id,
            eos_token_id=tokenizer.eos_token_id, attn_implementation="eager",
            decoder_start_token_id=tokenizer.pad_token_id))


def batch(inputs: Sequence[Sequence[int]], targets: Sequence[Sequence[int]], pad: int) -> dict:
    """Ids of unequal lengths as ``input_ids``, ``attention_mask`` and ``labels``, padded."""
    def rows(ids, filler):
        width = max(map(len, ids))
        return torch.tensor([[*row, *[filler] * (width - len(row))] for row in ids])

    input_ids = rows(inputs, pad)
    return {"input_ids": input_ids, "attention_mask": (input_ids != pad).long(),
            "labels": rows(targets, IGNORE)}


@door
def batches(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], size: int,
            seed: int) -> Iterator[dict]:
    """Batches without end. Every epoch shuffles the words anew.

    Sentences of similar length come together, so that there is little padding.
    """
    targets, epoch, pad = encode(tokenizer, texts), 0, tokenizer.pad_token_id
    lengths = np.array([len(ids) for ids in targets])
    if size < 1 or seed < 0:
        raise CourseError(f"size is {size} and seed is {seed}: give a size from 1 and a seed from 0")
    if len(texts) < size:
        raise CourseError(f"{len(texts)} sentences do not fill a batch of {size}: give more")
    while True:
        chance = np.random.default_rng([seed, epoch])
        order = chance.permutation(len(texts))
        order = order[np.argsort(lengths[order], kind="stable")]
        groups = order[: len(order) // size * size].reshape(-1, size)
        inputs = encode(tokenizer, shuffled(texts, int(chance.integers(2**31))))
        for group in chance.permutation(groups):
            yield batch([inputs[i] for i in group], [targets[i] for i in group], pad)
        epoch += 1


def train(
    model: T5ForConditionalGeneration,
    stream: Iterator[dict],
    steps: int,
    peak: float = 2e-3,
    bf16: bool = False,
    loss: Callable[..., torch.Tensor] = spans.loss,
    after: Callable[[int, float], None] = lambda step, loss: None,
) -> list[float]:
    """Train on the next ``steps`` batches; the learning rate rises to ``peak`` and falls to 0.

    Args:
        bf16: compute in bf16 where that is safe; faster where the processor supports it.
        loss: of a model and a batch, as a scalar tensor.
        after: called after every step with its number (from 1) and its loss.

    Returns:
        The loss of every step, in nats.
    """
    optimiser = torch.optim.AdamW(model.parameters(), lr=peak, weight_decay=0.01,
                                  betas=(0.9, 0.98), fused=True)
    losses = []
    model.train()
    for step in range(steps):
        for group in optimiser.param_groups:
            group["lr"] = peak * rate(step, steps, 0.1)
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            value = loss(model, next(stream))
        optimiser.zero_grad()
        value.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        losses.append(value.item())
        after(step + 1, losses[-1])
    model.eval()
    return losses


# --- answers ------------------------------------------------------------------------------


def continuations(words: Sequence[tuple[int, ...]], written: Sequence[int], eos: int) -> set[int]:
    """Ids that may come next when only the given words may be written, each once.

    Args:
        words: the token ids of every word; a word that is given twice stands here twice.
        written: what has been written so far.

    Returns:
        An empty set if what was written is no beginning of such a text.
    """
    # A state: the words that are left, and what is left of the word that has been begun.
    # There may be several, as "film" and "film ##s" begin alike.
    states = {(tuple(sorted(words)), ())}
    for token in written:
        states = {new for state in states for new in _after(state, token)}
    found = set()
    for left, rest in states:
        found |= {rest[0]} if rest else {word[0] for word in left} or {eos}
    return found


def _after(state: tuple, token: int) -> Iterator[tuple]:
    left, rest = state
    if rest:
        if rest[0] == token:
            yield left, rest[1:]
        return
    for place, word in enumerate(left):
        if word[0] == token:
            yield left[:place] + left[place + 1 :], word[1:]


class GivenWords(LogitsProcessor):
    """For ``generate``: every token that ``continuations`` does not allow becomes impossible."""

    def __init__(self, words: Sequence[Sequence[tuple[int, ...]]], eos: int):
        """``words``: for every text of the batch, the token ids of its words."""
        self.words, self.eos = words, eos

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Scores (texts * beams, vocabulary) of what follows ``input_ids``, start included."""
        beams = len(input_ids) // len(self.words)
        mask = torch.full_like(scores, -math.inf)
        for row, written in enumerate(input_ids[:, 1:].tolist()):
            if self.eos not in written:
                allowed = continuations(self.words[row // beams], written, self.eos)
                mask[row, list(allowed)] = 0
            else:
                mask[row] = 0  # the text is finished: generate pads it
        return scores + mask


@torch.inference_mode()
@door
def answers(
    model: T5ForConditionalGeneration,
    tokenizer: PreTrainedTokenizerBase,
    inputs: Sequence[str],
    constrained: bool = False,
    beams: int = 1,
    size: int = 100,
) -> list[str]:
    """What the model writes for every input; the most probable token at each step.

    Args:
        constrained: only the words of the input may be written, each once.
        beams: above 1, beam search with so many beginnings kept at each step.
        size: inputs computed at a time.
    """
    if size < 1 or beams < 1:
        raise CourseError(f"size is {size} and beams is {beams}: give at least 1 of each")
    written = []
    for begin in range(0, len(inputs), size):
        part = inputs[begin : begin + size]
        ids = encode(tokenizer, part)
        given = batch(ids, ids, tokenizer.pad_token_id)
        rules = LogitsProcessorList()
        if constrained:
            rules.append(GivenWords([words_of(tokenizer, text) for text in part],
                                    tokenizer.eos_token_id))
        out = model.generate(
            given["input_ids"], attention_mask=given["attention_mask"], num_beams=beams,
            do_sample=False, max_new_tokens=given["input_ids"].shape[1] + 2,
            logits_processor=rules)
        written += [text(tokenizer, row) for row in out.tolist()]
    return written


@door
def words_of(tokenizer: PreTrainedTokenizerBase, text: str) -> list[tuple[int, ...]]:
    """The token ids of every word of a text."""
    return [tuple(ids) for ids in tokenizer(text.split(), add_special_tokens=False)["input_ids"]]


def text(tokenizer: PreTrainedTokenizerBase, ids: Sequence[int]) -> str:
    """Ids as words again; ``don ' t`` becomes ``don't``."""
    words = tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
    return words.replace(" ' ", "'")


# --- yardsticks and scores ----------------------------------------------------------------


class WordPairs:
    """Puts words in order by how often they follow one another: no network, only counts.

    ``p(b | a) = (count(a, b) + share(b)) / (count(a) + 1)``, where ``share`` is how frequent
    a word is anywhere (counting every word once more, and one that is unknown). So pairs
    that were never seen are not impossible.
    """

    def __init__(self, texts: Sequence[str]):
        self.pairs: Counter[tuple[str, str]] = Counter()
        for sentence in texts:
            row = ["<", *sentence.split(), ">"]
            self.pairs.update(zip(row, row[1:]))
        self.first: Counter[str] = Counter()
        self.second: Counter[str] = Counter()
        for (a, b), count in self.pairs.items():
            self.first[a] += count
            self.second[b] += count
        self.total = self.second.total()

    def score(self, a: str, b: str) -> float:
        """ln p(b | a)."""
        share = (self.second[b] + 1) / (self.total + len(self.second) + 1)
        return math.log((self.pairs[a, b] + share) / (self.first[a] + 1))

    def order(self, sentence: str, beams: int = 50) -> str:
        """The most probable order of the words, by beam search."""
        begun = [(0.0, ("<",), tuple(sentence.split()))]
        for _ in sentence.split():
            longer = {}
            for value, done, left in begun:
                for place, word in enumerate(left):
                    rest = left[:place] + left[place + 1 :]
                    score = value + self.score(done[-1], word)
                    longer[(*done, word)] = (score, (*done, word), rest)
            begun = sorted(longer.values(), reverse=True)[:beams]
        best = max(begun, key=lambda state: state[0] + self.score(state[1][-1], ">"))
        return " ".join(best[1][1:])


@door
def scores(answers: Sequence[str], references: Sequence[str]) -> dict[str, float]:
    """BLEU (0 to 100); ROUGE-1, -2, -L (0 to 1); ``exact``, the share of equal texts;
    ``words``, the share of answers with exactly the words of the reference."""
    found = {"bleu": metrics.bleu(answers, references)} | metrics.rouge(answers, references)
    pairs = list(zip(answers, references))
    return found | {"exact": float(np.mean([a == r for a, r in pairs])),
                    "words": float(np.mean([bag(a) == bag(r) for a, r in pairs]))}
