"""Soft prompts: the words of a template become vectors that can be trained.

Lester et al. (2021) train vectors in front of the text and leave the model alone; they start
best at the embeddings of words (section 3.1). P-tuning (Liu et al., 2021) puts such vectors
around the text and the mask. Here every token of the template gets a vector of its own, which
starts at the token's embedding. So before training the soft prompt *is* the template.
"""

from collections.abc import Sequence

import torch
from torch import nn
from transformers import PreTrainedTokenizerBase

from companion.errors import CourseError
from companion.guards import door
from companion.prompting.template import Encoded, Input, Template, _inside
from companion.tokenization import fast_backend

APART = "put a space between its slot and the words beside it"


class SoftWords(nn.Module):
    """An embedding table, and a few vectors with the ids that come after its own."""

    def __init__(self, words: nn.Embedding, starts: Sequence[int]):
        super().__init__()
        self.words = words
        self.soft = nn.Parameter(words.weight[list(starts)].detach().clone())

    @property
    def weight(self) -> nn.Parameter:
        return self.words.weight

    @property
    def num_embeddings(self) -> int:
        return self.words.num_embeddings

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        size = self.num_embeddings
        fixed = self.words(ids.clamp(max=size - 1))
        soft = self.soft[(ids - size).clamp(min=0)]
        return torch.where((ids >= size)[..., None], soft, fixed)


class SoftTemplate(Template):
    """A template whose own tokens have the ids of soft words: ``first``, ``first`` + 1, ..."""

    def __init__(self, template: Template, first: int):
        super().__init__(template.pattern, template.shorten, template.cut)
        self.first = first

    def encode(self, tokenizer: PreTrainedTokenizerBase, texts: Sequence[Input], max_length: int,
               masks: int = 1, content_free: bool = False) -> Encoded:
        """As ``Template.encode``, with the ids of soft words.

        Raises:
            CourseError: as there; a text that changes tokens of the template, with which it
                grows together, so that the soft words would stand for others.
        """
        encoded = super().encode(tokenizer, texts, max_length, masks, content_free)
        ends = ends_of(self, tokenizer, masks)
        (usual,) = super().encode(tokenizer, ["a"], 10_000, masks).ids
        usual = [usual[place] for place in own_places(usual, ends, tokenizer)]
        for number, ids in enumerate(encoded.ids):
            places = own_places(ids, ends, tokenizer)
            if [ids[place] for place in places] != usual:
                raise CourseError(f"text {number} changes the tokens of the template "
                                  f"{self.pattern!r}: {APART}")
            for word, place in enumerate(places):
                ids[place] = self.first + word
        return encoded


def ends_of(template: Template, tokenizer: PreTrainedTokenizerBase, masks: int = 1
            ) -> tuple[int, int]:
    """How many tokens stand before the text and after it, special ones and masks included."""
    if len(template.slots) != 1 or template.places != 1:
        raise CourseError("a soft prompt needs a template with one text and one mask: tune "
                          '"all" or "head" instead')
    text, spans = template._render({template.slots[0]: "a"}, tokenizer.mask_token * masks)
    encoding = fast_backend(tokenizer).encode(text)
    _, start, end = spans[0]
    inside = _inside(encoding, text, start, end)
    if not inside:  # the token of "a" has letters of the template in it
        raise CourseError(f"the template {template.pattern!r} grows together with its text: "
                          f"{APART}")
    return inside[0], len(encoding.ids) - inside[-1] - 1


def own_places(ids: Sequence[int], ends: tuple[int, int], tokenizer: PreTrainedTokenizerBase
               ) -> list[int]:
    """The positions of the template's own words in a row: at its ends, nothing special."""
    before, after = ends
    places = [*range(before), *range(len(ids) - after, len(ids))]
    special = set(tokenizer.all_special_ids)
    return [place for place in places if ids[place] not in special]


@door
def soft_prompt(model: nn.Module, template: Template, tokenizer: PreTrainedTokenizerBase
                ) -> SoftTemplate:
    """Give ``model``, in place, soft words for the tokens of a template.

    ``save_pretrained`` does not save such a model in a form that others can load.

    Returns:
        The template to use with it. Before training, predictions are those of ``template``. A
        text that changes the template's tokens is refused when it is encoded.

    Raises:
        CourseError: a template with several slots or masks, without a word of its own, or with
            a word that grows together with the text.
    """
    words = model.get_input_embeddings()
    if isinstance(words, SoftWords):
        raise CourseError("this model has a soft prompt already: begin with the model before it")
    ends = ends_of(template, tokenizer)
    row = template.encode(tokenizer, ["a"], 10_000).ids[0]
    places = own_places(row, ends, tokenizer)
    if not places:
        raise CourseError(f"the template {template.pattern!r} has no word of its own: add some")
    model.set_input_embeddings(SoftWords(words, [row[place] for place in places]))
    return SoftTemplate(template, words.num_embeddings)
