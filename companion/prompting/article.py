"""`Prompting`: the interface of the article that this part grew from, correct inside.

The names and the return shapes are the article's (`prompt_pred`, `compute_tokens_prob`,
`fine_tune`, `scores_dict`, `goodToken`, `badToken`). What it does otherwise than the article
is listed fault by fault in `literal.py`. For many texts, several labels or calibration use
`PromptClassifier`.
"""

from collections.abc import Sequence
from pathlib import Path

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from companion.errors import CourseError
from companion.guards import checked_scores, checked_text, door, is_blank, listed
from companion.objectives.lengths import longest
from companion.prompting.article_tuning import Tuning, word_ids
from companion.prompting.batching import batches, pad
from companion.prompting.loaded import loaded
from companion.prompting.projection import word_logits
from companion.prompting.template import Encoded
from companion.prompting.verbalizer import Words, log_sum
from companion.tokenization import unknown_share, warn_of_unknown


class Prompting(Tuning):
    """A masked LM that is asked one text at a time, and can be tuned on two label words.

    Args:
        model: a course checkpoint, a local folder, a hub id, a model object, or what
            ``companion.checkpoints.load`` gave.
        tokenizer: the tokenizer or its name; by default that of the checkpoint. A model object
            needs it.

    Attributes:
        scores_dict: ``token -> probability`` of the latest ``prompt_pred``.
        max_length: the most tokens that the model reads, special tokens included.
        unknown: for each text of the latest call, the share of its tokens that are ``[UNK]``.
        prompt, goodToken, badToken: what ``fine_tune`` trained with and ``predict`` asks.

    Raises:
        CourseError: nothing of this name, a model object without tokenizer or in training mode,
            no masked LM, a tokenizer without mask token, without any word, or with more entries
            than the model.
    """

    def __init__(self, model: str | Path | PreTrainedModel = "bert-mini-en",
                 tokenizer: str | Path | PreTrainedTokenizerBase | None = None):
        self.model, self.tokenizer = loaded(model, tokenizer)
        self.max_length = longest(self.model, self.tokenizer)
        self.scores_dict: dict[str, torch.Tensor] = {}
        self.prompt, self.goodToken, self.badToken = "Since it was [MASK].", "good", "bad"

    @door
    @torch.no_grad()
    def prompt_pred(self, text: str) -> list[tuple[str, torch.Tensor]]:
        """The whole vocabulary at the mask of a text, most probable first.

        One forward pass in float32, and a softmax over the vocabulary.

        Args:
            text: ends in a prompt with one ``[MASK]``, such as "A fine film. It was [MASK]."

        Returns:
            ``(token, probability)`` for every token, the probability a tensor without axes. The
            same is in ``scores_dict``.

        Raises:
            CourseError: an empty text, no mask or two, a text longer than the model reads.
        """
        tokens = torch.arange(len(self.tokenizer))
        chances = self._asked(self._encoded([text]), tokens, normalised=True)[0].exp()
        values, order = chances.sort(descending=True, stable=True)
        ranked = list(zip(self.tokenizer.convert_ids_to_tokens(order.tolist()), values.unbind()))
        self.scores_dict = dict(ranked)
        return ranked

    @door
    def compute_tokens_prob(self, text: str, token_list1: Words, token_list2: Words, *,
                            border: float = 0.0) -> torch.Tensor:
        """How the probability of two word lists divides at the mask. Shape (2,), sums to 1.

        Each list counts with the *mean* probability of its words, so a longer list has no
        advantage. A word that is not one token of the vocabulary is refused.

        Args:
            text: as in ``prompt_pred``.
            token_list1, token_list2: words as they are written, such as ``["good", "great"]``.
            border: log-odds at which the two are equal. 0 takes the model as it is; the median
                of ``log_odds`` of unlabelled texts takes out its preference for one list.

        Raises:
            CourseError: as ``prompt_pred``; an empty list, a word that is unknown, of several
                tokens, or there twice.
        """
        odds = self.log_odds([text], token_list1, token_list2)[0] - border
        return torch.stack([odds, -odds]).sigmoid()

    @door
    @torch.no_grad()
    def log_odds(self, texts: Sequence[str], token_list1: Words, token_list2: Words
                 ) -> torch.Tensor:
        """For each text, log(mean probability of list 1 / mean probability of list 2).

        The numbers behind ``compute_tokens_prob``, for many texts. Shape (texts,), float32.
        """
        lists = {"token_list1": token_list1, "token_list2": token_list2}
        lists = {name: [words] if isinstance(words, str) else words
                 for name, words in lists.items()}
        texts = listed(texts)
        encoded, odds = self._encoded(texts), torch.empty(len(texts))
        for before, group in self._by_gap(texts).items():
            tokens = word_ids(lists, self.tokenizer, before)
            part = Encoded([encoded.ids[i] for i in group], [encoded.masks[i] for i in group], [])
            # Logits do: what turns them into log-probabilities is the same for both lists.
            first, second = self._asked(part, tokens).tensor_split([len(lists["token_list1"])], -1)
            odds[group] = self._together(first) - self._together(second)
        return odds

    def _by_gap(self, texts: Sequence[str]) -> dict[str, list[int]]:
        """Texts by the character before their mask: it decides how a word is written there."""
        groups: dict[str, list[int]] = {}
        for number, text in enumerate(texts):
            before = text.replace("[MASK]", self.tokenizer.mask_token)
            before = before[: before.index(self.tokenizer.mask_token)][-1:]
            groups.setdefault(" " if before.isspace() else before, []).append(number)
        return groups

    @staticmethod
    def _together(logits: torch.Tensor) -> torch.Tensor:
        """Log of the mean of exponentials: (texts, words) -> (texts,)."""
        return log_sum(logits) - torch.tensor(float(logits.shape[-1])).log()

    def _encoded(self, texts: Sequence[str]) -> Encoded:
        """Texts that bring their prompt with them, with special tokens."""
        result = Encoded([], [], [])
        for ids in map(self._ids, listed(texts)):
            result.ids.append(ids)
            result.masks.append([ids.index(self.tokenizer.mask_token_id)])
            result.truncated.append(0)
        self.unknown = unknown_share(result.ids, self.tokenizer)
        warn_of_unknown(self.unknown)
        return result

    def _ids(self, text: str) -> list[int]:
        if is_blank(checked_text(text)):
            raise CourseError("the text is empty: give a text that ends in a prompt")
        text = text.replace("[MASK]", self.tokenizer.mask_token)
        ids = self.tokenizer(text, verbose=False)["input_ids"]
        masks = ids.count(self.tokenizer.mask_token_id)
        if masks != 1:
            raise CourseError(f"the text has {masks or 'no'} mask{'s' * (masks > 1)}: end it with "
                              "a prompt that has one, such as 'Because it was [MASK].'")
        if len(ids) > self.max_length:
            raise CourseError(f"the text has {len(ids)} tokens, the model reads {self.max_length}: "
                              "shorten the text, not the prompt")
        return ids

    def _asked(self, encoded: Encoded, tokens: torch.Tensor, normalised: bool = False
               ) -> torch.Tensor:
        """``_word_logits``, where they are numbers."""
        return checked_scores(self._word_logits(encoded, tokens, normalised))

    def _word_logits(self, encoded: Encoded, tokens: torch.Tensor,
                     normalised: bool = False) -> torch.Tensor:
        """Logits of ``tokens`` at the mask of each text: (texts, tokens), in their order."""
        rows, order, device = [], [], self.model.device
        for group in batches([len(ids) for ids in encoded.ids]):
            ids, attention = pad([encoded.ids[i] for i in group], self.tokenizer.pad_token_id or 0)
            places = torch.tensor([encoded.masks[i] for i in group], device=device)
            attention = attention if attention is None else attention.to(device)
            rows.append(word_logits(self.model, ids.to(device), places, tokens.to(device),
                                    attention, normalised)[:, 0].cpu())
            order += group
        return torch.cat(rows)[torch.tensor(order).argsort()]

