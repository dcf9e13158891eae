"""The faults of the article's `fine_tune`, each alone, put into the right code.

Every class is `Prompting` with one thing wrong, so a measurement tells what that one costs.
The numbers are those of `literal.py`. Two faults need no class: a step after each sentence is
``batch_size=1``, and a step that is too large is ``learning_rate=1e-3``.
"""

import torch

from companion.prompting.article import Prompting
from companion.prompting.template import Encoded


class NoZeroGrad(Prompting):
    """Fault 6: gradients of earlier steps are never cleared, so each step repeats them all."""

    def _step(self, optimizer, loss):
        loss.backward()
        optimizer.step()


class NoSpecialTokens(Prompting):
    """Fault 7: trained without [CLS] and [SEP], but asked with them."""

    def _train(self, encoded, *rest):
        ids = [row[1:-1] for row in encoded.ids]
        masks = [[place - 1 for place in places] for places in encoded.masks]
        return super()._train(Encoded(ids, masks, encoded.truncated), *rest)


class DoubleSoftmax(Prompting):
    """Fault 8: probabilities are given to a loss that applies a softmax itself."""

    def _loss(self, logits, targets):
        return super()._loss(logits.softmax(-1), targets)


class ZeroIsGood(Prompting):
    """Fault 9: label 0 means ``goodToken``, while the data sets say 1."""

    def _targets(self, labels):
        return 1 - super()._targets(labels)


class OtherPrompt(Prompting):
    """Fault 10: trained with one prompt, asked with another."""

    asked = "Because it was [MASK]."

    def fine_tune(self, *args, **settings):
        losses = super().fine_tune(*args, **settings)
        self.prompt = self.asked
        return losses


class ForeignTokenizer(Prompting):
    """Fault 11: trained with ids of a tokenizer that another model left in a global."""

    foreign = None  # a tokenizer with no more entries than the model

    def _train(self, encoded, targets, columns, *rest):
        own, self.tokenizer = self.tokenizer, self.foreign
        try:
            texts = own.batch_decode([row[1:-1] for row in encoded.ids])
            texts = [text.replace(own.mask_token, "[MASK]") for text in texts]
            words = own.convert_ids_to_tokens(columns.tolist())
            columns = torch.tensor(self.foreign.convert_tokens_to_ids(words))
            return super()._train(self._encoded(texts), targets, columns, *rest)
        finally:
            self.tokenizer = own


FAULTS = {
    "6: no zero_grad": NoZeroGrad,
    "7: no [CLS] and [SEP]": NoSpecialTokens,
    "8: softmax before the loss": DoubleSoftmax,
    "9: label 0 means good": ZeroIsGood,
    "10: another prompt asked": OtherPrompt,
    "11: a tokenizer from elsewhere": ForeignTokenizer,
}
