"""The baseline without pretraining: a BiLSTM-CRF over embeddings of characters, from scratch.

The model of Huang et al. (2015), with characters for words as usual in Chinese. It is the
`Network` of this package with a table of embeddings in the place of the encoder, so training,
prediction and scores are the same code.
"""

from types import SimpleNamespace

import torch
from torch import Tensor, nn


class Characters(nn.Module):
    """A vector for every vocabulary entry, random at the start; nothing looks at a neighbour.

    Args:
        vocabulary: number of entries of the tokenizer.
        width: of the vectors.
        padding: id of ``[PAD]``, whose vector stays zero.
    """

    def __init__(self, vocabulary: int, width: int = 128, padding: int = 0):
        super().__init__()
        self.table = nn.Embedding(vocabulary, width, padding_idx=padding)
        nn.init.normal_(self.table.weight, std=width**-0.5)
        with torch.no_grad():
            self.table.weight[padding] = 0
        self.config = SimpleNamespace(
            hidden_size=width, vocab_size=vocabulary, pad_token_id=padding,
            max_position_embeddings=512)

    def forward(self, input_ids: Tensor, attention_mask: Tensor | None = None) -> SimpleNamespace:
        """Ids (rows, length) to ``last_hidden_state`` (rows, length, width)."""
        return SimpleNamespace(last_hidden_state=self.table(input_ids))

    def get_input_embeddings(self) -> nn.Embedding:
        return self.table
