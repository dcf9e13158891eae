"""`LiteralPrompting`: what the article does that this part of the course grew from, faults and all.

Written from a description of the article's class, not copied from it. It is here to be
measured and taken apart, so nothing is checked and nothing is mended. Use
`companion.prompting.Prompting` for work: the same names, correct inside.
"""

from pathlib import Path

import torch
from torch import nn
from transformers import AutoModelForMaskedLM, AutoTokenizer

from companion.pretraining.build import quiet


class LiteralPrompting:
    """The article's class. Its faults have numbers, which the benchmark and the chapter use.

    Args:
        model: a local folder or a hub id.
        tokenizer: fault 1, never looked at.
    """

    def __init__(self, model: str | Path, tokenizer: str | Path | None = None):
        with quiet():  # no progress bar
            # float32 is named because transformers 5 would keep the fp16 of a file.
            self.model = AutoModelForMaskedLM.from_pretrained(model, dtype=torch.float32)
        self.tokenizer = AutoTokenizer.from_pretrained(model)

    def prompt_pred(self, text: str) -> list[tuple[str, torch.Tensor]]:
        """All vocabulary entries with their raw logits at the first mask, best first.

        Args:
            text: already ends in a prompt with ``[MASK]``.

        Returns:
            ``(token, 0-d tensor)`` for the whole vocabulary, and the same in ``scores_dict``.
        """
        ids = self.tokenizer(text, return_tensors="pt")["input_ids"]
        place = ids[0].tolist().index(self.tokenizer.mask_token_id)
        with torch.no_grad():
            logits = self.model(ids).logits[0, place]
        values, order = logits.sort(descending=True)
        ranked = list(zip(self.tokenizer.convert_ids_to_tokens(order.tolist()), values))
        self.scores_dict = dict(ranked)
        return ranked

    def compute_tokens_prob(
        self, text: str, token_list1: list[str], token_list2: list[str]
    ) -> torch.Tensor:
        """Two numbers that sum to 1, shape (2,): fault 2, a softmax of two *sums of raw logits*.

        A list of three words is summed like a list of two, and (fault 3) a word that is not
        in the vocabulary adds 0, as if 0 were the logit of a word that does not matter.
        """
        self.prompt_pred(text)
        sums = [sum(float(self.scores_dict.get(word, 0)) for word in words)
                for words in (token_list1, token_list2)]
        return torch.tensor(sums).softmax(0)

    def fine_tune(
        self,
        sentences: list[str],
        labels: list[int],
        prompt: str = "Since it was [MASK].",  # fault 10: predictions ask "Because it was [MASK]."
        goodToken: str = "good",
        badToken: str = "bad",
    ) -> None:
        """One pass over the sentences, a step after each (fault 4) with AdamW at 1e-3 (fault 5).

        Label 0 means ``goodToken`` (fault 9). The `AdamW` that the article took from
        transformers no longer exists there; this is torch's, with the weight decay of 0 that
        the other one had.
        """
        # Fault 11: `tokenizer` is no attribute and no argument, but a global of the notebook.
        pair = tokenizer.convert_tokens_to_ids([goodToken, badToken])  # noqa: F821
        optimizer = torch.optim.AdamW(self.model.parameters(), lr=1e-3, weight_decay=0.0)
        for sentence, label in zip(sentences, labels):
            tokens = tokenizer.tokenize(f"{sentence} {prompt}")  # noqa: F821  (fault 7: no [CLS])
            ids = torch.tensor([tokenizer.convert_tokens_to_ids(tokens)])  # noqa: F821
            logits = self.model(ids).logits[0, tokens.index("[MASK]"), pair]
            # Fault 8: CrossEntropyLoss applies a softmax itself, so this is the second one.
            loss = nn.CrossEntropyLoss()(logits.softmax(0)[None], torch.tensor([label]))
            loss.backward()  # fault 6: no zero_grad, so every gradient stays for good
            optimizer.step()
