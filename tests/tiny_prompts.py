"""The tokenizers of RoBERTa and ALBERT with tiny vocabularies, models to go with them, and a
Chinese one of single characters."""

import json

import tiny
import torch
from tokenizers import (
    AddedToken,
    Tokenizer,
    models,
    normalizers,
    pre_tokenizers,
    trainers,
)
from transformers import AlbertTokenizer, RobertaTokenizer

from companion.tokenization import bert_tokenizer, train_wordpiece

EXTRA = ["it was great . it was good . it is bad : because it was awful . not great , good ."]
TEXTS = [*tiny.texts(200), *EXTRA * 100]
CHINESE = ["这本书很好。我很喜欢。", "电影太差了，不满意。", "味道不错，满意。"]
WORDS = {"pos": ["great", "good"], "neg": ["awful", "bad"]}


def bert_words():
    return train_wordpiece(TEXTS, 400)


def roberta_words(texts=TEXTS, size=500) -> RobertaTokenizer:
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.train_from_iterator(texts, trainers.BpeTrainer(
        vocab_size=size, show_progress=False, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        special_tokens=["<s>", "<pad>", "</s>", "<unk>", "<mask>"]))
    state = json.loads(backend.to_str())["model"]
    return RobertaTokenizer(  # the mask takes the space before it, as in the published files
        vocab=state["vocab"], merges=[tuple(pair) for pair in state["merges"]],
        mask_token=AddedToken("<mask>", lstrip=True, special=True))


def albert_words() -> AlbertTokenizer:
    """Whole words and single characters; a word of the texts is one piece."""
    special = ["<pad>", "<unk>", "[CLS]", "[SEP]", "[MASK]"]
    words = sorted({"\u2581" + word for text in TEXTS for word in text.split()})
    characters = sorted({"\u2581", *"".join(TEXTS).replace(" ", ""), *"INABCQRST"})
    return AlbertTokenizer(vocab=[*((token, 0.0) for token in special),
                                  *((word, -5.0) for word in words),
                                  *((character, -9.0) for character in characters)])


def chinese():
    characters = sorted(set("".join(CHINESE)))
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    backend = Tokenizer(models.WordPiece(
        {token: i for i, token in enumerate(special + characters)}, unk_token="[UNK]"))
    backend.normalizer = normalizers.BertNormalizer()
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return bert_tokenizer(backend, 64)


TOKENIZERS = {"bert": bert_words, "roberta": roberta_words, "albert": albert_words}


def pair(family: str):
    """A model with random weights, of which no two words score alike, and its tokenizer."""
    tokenizer = TOKENIZERS[family]()
    torch.manual_seed(1)
    model = tiny.model(family, len(tokenizer), initializer_range=0.3, layers=2,
                       pad_token_id=tokenizer.pad_token_id)
    for name, values in model.named_parameters():
        if name.endswith("bias"):  # zero after the start, so that nobody would miss them
            torch.nn.init.normal_(values, std=0.5)
    return model, tokenizer
