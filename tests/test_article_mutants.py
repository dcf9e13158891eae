"""Broken copies of `Prompting`: each must fail the property that guards it."""

import pytest
import tiny_article as small
import torch

from companion.errors import CourseError
from companion.prompting import Prompting, article, faults
from companion.prompting.verbalizer import log_sum

TEXTS = [f"{text} {small.PROMPT}" for text in ("a fine film film film", "a", "a dull play", "film")]


# --- properties: true of right code -------------------------------------------------------

def shares(prompting):
    """The answer is that of mean probabilities, computed from the whole vocabulary."""
    chances = {token: p.item() for token, p in prompting.prompt_pred(TEXTS[0])}
    means = torch.tensor([sum(chances[w] for w in words) / len(words)
                          for words in (small.GOOD, small.BAD)])
    got = prompting.compute_tokens_prob(TEXTS[0], small.GOOD, small.BAD)
    assert torch.allclose(got, means / means.sum(), atol=1e-4)


def probabilities(prompting):
    values = torch.stack([value for _, value in prompting.prompt_pred(TEXTS[0])])
    assert abs(values.sum().item() - 1) < 1e-4 and (values.diff() <= 0).all()


def batches(prompting):
    """Texts of several lengths together get the answers that each gets alone."""
    together = prompting.log_odds(TEXTS, small.GOOD, small.BAD)
    alone = torch.cat([prompting.log_odds([text], small.GOOD, small.BAD) for text in TEXTS])
    assert torch.allclose(together, alone, atol=1e-4)


def learns(prompting):
    prompting.fine_tune(small.SENTENCES, small.LABELS, epochs=25, learning_rate=1e-2)
    assert prompting.predict(small.SENTENCES) == small.LABELS


def one_step_a_batch(prompting):
    losses = prompting.fine_tune(small.SENTENCES, small.LABELS, epochs=2, batch_size=3)
    assert len(losses) == 6


def unchanged_after_bad_input(prompting):
    before = {name: value.clone() for name, value in prompting.model.state_dict().items()}
    with pytest.raises(CourseError):
        prompting.fine_tune([*small.SENTENCES, ""], [*small.LABELS, 1], batch_size=2)
    after = prompting.model.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)


def asks_without_dropout(prompting):
    prompting.fine_tune(small.SENTENCES, small.LABELS, epochs=1)
    first, second = (prompting.log_odds(TEXTS, small.GOOD, small.BAD) for _ in range(2))
    assert torch.equal(first, second)


# --- broken copies ------------------------------------------------------------------------

class SumOfLogits(Prompting):
    @staticmethod
    def _together(logits):
        return logits.sum(-1)


class MeanOfLogits(Prompting):
    @staticmethod
    def _together(logits):
        return logits.mean(-1)


class LongListsWin(Prompting):
    @staticmethod
    def _together(logits):
        return log_sum(logits)


class RawLogits(Prompting):
    def _word_logits(self, encoded, tokens, normalised=False):
        return super()._word_logits(encoded, tokens)


class WrongMask(Prompting):
    """Asks one position too far to the right when texts are asked together."""

    def _encoded(self, texts):
        encoded = super()._encoded(texts)
        if len(texts) > 1:
            encoded.masks = [[place + 1 for place in places] for places in encoded.masks]
        return encoded


class ShortestFirst(Prompting):
    """Forgets to bring the answers back into the order of the texts."""

    def _word_logits(self, encoded, tokens, normalised=False):
        logits = super()._word_logits(encoded, tokens, normalised)
        return logits[sorted(range(len(logits)), key=lambda i: len(encoded.ids[i]))]


class LossOfShuffledLabels(Prompting):
    def _loss(self, logits, targets):
        return super()._loss(logits, targets.flip(0))


class NeverSteps(Prompting):
    def _step(self, optimizer, loss):
        loss.backward()


class StepForEach(Prompting):
    def _train(self, encoded, targets, columns, epochs, size, *rest):
        return super()._train(encoded, targets, columns, epochs, 1, *rest)


class ChecksTooLate(Prompting):
    """Reads the sentences one after the other, and trains on those before the bad one."""

    def fine_tune(self, sentences, labels, **settings):
        for sentence, label in zip(sentences, labels):
            super().fine_tune([sentence], [label], epochs=1, warmup=0.0)


class StaysInTraining(Prompting):
    def fine_tune(self, *args, **settings):
        super().fine_tune(*args, **settings)
        self.model.train()


@pytest.mark.parametrize(("mutant", "guard"), [
    (SumOfLogits, shares), (MeanOfLogits, shares), (LongListsWin, shares),
    (RawLogits, probabilities), (WrongMask, batches), (ShortestFirst, batches),
    (LossOfShuffledLabels, learns), (NeverSteps, learns), (faults.ZeroIsGood, learns),
    (StepForEach, one_step_a_batch), (ChecksTooLate, unchanged_after_bad_input),
    (StaysInTraining, asks_without_dropout)])
def test_mutant_is_caught(mutant, guard):
    guard(small.prompting())
    with pytest.raises(AssertionError):
        guard(small.prompting(mutant))


def test_batches_without_attention_mask_are_caught(monkeypatch):
    pad = article.pad
    monkeypatch.setattr(article, "pad", lambda rows, padding: (pad(rows, padding)[0], None))
    with pytest.raises(AssertionError):
        batches(small.prompting())
