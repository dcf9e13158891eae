"""Eight families of masked LMs, each with random weights and its own kind of tokenizer.

    model, tokenizer = tiny_models.pair("xlm-r")     # once a process, by ``checkpoints.load``
    tiny_models.folder("xlm-r", place, positions=100)  # files, for what loads by itself

All vocabularies know the same English and Chinese words. SentencePiece vocabularies have a bare
``▁``, which stands alone before most Chinese words, and ``▁好`` beside ``好``.
"""

import functools
import json
import tempfile
from pathlib import Path

import tiny_ner
import tiny_prompts
import torch
import transformers
from tokenizers import (
    AddedToken,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    trainers,
)
from tokenizers.processors import TemplateProcessing

from companion.checkpoints import load

TEXTS = [*tiny_prompts.TEXTS, *tiny_prompts.CHINESE * 30, *(e.text for e in tiny_ner.examples(60)),
         *("很好。", "很差，", "不好", "好", "差", "满意") * 20]
CHINESE = ["上海", "北京", "王明", "满意", "很好", "好", "差"]  # pieces of SentencePiece without a mark
MARKED = ["▁好", "▁不", "▁的"]  # Chinese behind a space, as in texts of several languages


def wordpiece(kind=transformers.BertTokenizer):
    characters = " ".join({c for text in TEXTS for c in text if not c.isascii()})
    vocabulary = tiny_prompts.train_wordpiece([*TEXTS, characters], 500).get_vocab()
    return kind(vocab=dict(sorted(vocabulary.items(), key=lambda entry: entry[1])))


def unigram(kind, special: list[str], **settings):
    """Words with a mark, Chinese ones without, and all characters."""
    words = sorted({"▁" + word for text in tiny_prompts.TEXTS for word in text.split()})
    characters = sorted({"▁", *"".join(TEXTS).replace(" ", ""), *"INABCQRST"})
    # The more characters a piece has, the better, as after training: fewer pieces win.
    scored = [(word, -5.0) for word in [*words, *MARKED, *(c for c in CHINESE if c[1:])]]
    return kind(vocab=[*((token, 0.0) for token in special), *scored,
                       *((character, -9.0) for character in characters)], **settings)


def xlm_r():
    return unigram(transformers.XLMRobertaTokenizer, ["<s>", "<pad>", "</s>", "<unk>", "<mask>"],
                   mask_token=AddedToken("<mask>", lstrip=True, special=True))


def albert():
    return unigram(transformers.AlbertTokenizer, ["<pad>", "<unk>", "[CLS]", "[SEP]", "[MASK]"])


def deberta():
    return unigram(transformers.DebertaV2Tokenizer, ["[PAD]", "[CLS]", "[SEP]", "[UNK]", "[MASK]"])


def modern():
    """Byte BPE with BERT's special tokens; the mask takes the space before it."""
    special = ["[UNK]", "[CLS]", "[SEP]", "[PAD]", "[MASK]"]
    backend = Tokenizer(models.BPE())
    backend.normalizer = normalizers.NFC()
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.train_from_iterator(TEXTS, trainers.BpeTrainer(
        vocab_size=700, show_progress=False, special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    backend.decoder = decoders.ByteLevel()
    backend.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B [SEP]",
        special_tokens=[("[CLS]", 1), ("[SEP]", 2)])
    state = json.loads(backend.to_str())
    state["added_tokens"][4]["lstrip"] = True
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_str(json.dumps(state)), unk_token="[UNK]",
        cls_token="[CLS]", sep_token="[SEP]", pad_token="[PAD]",
        mask_token=AddedToken("[MASK]", lstrip=True, special=True),
        model_input_names=["input_ids", "attention_mask"])


# The class of the model without "ForMaskedLM", its tokenizer, and what is its own.
FAMILIES = {
    "bert": ("Bert", wordpiece, {}),
    "roberta": ("Roberta", lambda: tiny_prompts.roberta_words(TEXTS, 700), {}),
    "albert": ("Albert", albert, {"embedding_size": 8}),
    "distilbert": ("DistilBert", lambda: wordpiece(transformers.DistilBertTokenizer), {}),
    "electra": ("Electra", lambda: wordpiece(transformers.ElectraTokenizer),
                {"embedding_size": 8}),
    "xlm-r": ("XLMRoberta", xlm_r, {}),
    "deberta-v3": ("DebertaV2", deberta, {"legacy": False, "relative_attention": True}),
    "deberta-v2": ("DebertaV2", deberta, {"legacy": True, "relative_attention": True}),
    "modernbert": ("ModernBert", modern, {}),
}


def model(family: str, tokenizer, positions: int = 64, width: int = 16, layers: int = 2,
          seed: int = 1, **config):
    """Weights so large that no two words score alike, in evaluation mode."""
    name, _, own = FAMILIES[family]
    ids = {f"{key}_token_id": getattr(tokenizer, f"{key}_token_id")
           for key in ("pad", "bos", "eos", "cls", "sep")}
    if family == "modernbert":
        ids |= {"bos_token_id": None, "eos_token_id": None}
        own = {"local_attention": 2 * positions, "decoder_bias": True}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        built = getattr(transformers, f"{name}ForMaskedLM")(getattr(transformers, f"{name}Config")(
            vocab_size=len(tokenizer), max_position_embeddings=positions, **_shape(family, width,
            layers), **ids | own | {"initializer_range": 0.3} | config)).eval()
        for key, values in built.named_parameters():
            if key.endswith("bias"):  # zero after the start, so that nobody would miss them
                torch.nn.init.normal_(values, std=0.5)
    return built


def _shape(family: str, width: int, layers: int) -> dict[str, int]:
    if family == "distilbert":
        return {"dim": width, "n_layers": layers, "n_heads": 2, "hidden_dim": 2 * width}
    return {"hidden_size": width, "num_hidden_layers": layers, "num_attention_heads": 2,
            "intermediate_size": 2 * width}


def folder(family: str, place: Path, **settings) -> Path:
    """The files of a model and its tokenizer. ``settings`` as for ``model``."""
    tokenizer = FAMILIES[family][1]()
    model(family, tokenizer, **settings).save_pretrained(place)
    tokenizer.save_pretrained(place)
    return place


@functools.cache
def pair(family: str):
    """Model and tokenizer as ``load`` gives them. Shared by all tests: do not change them."""
    with tempfile.TemporaryDirectory() as place:
        return load(folder(family, Path(place)))
