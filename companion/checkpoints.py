"""Loading models: the course's own checkpoints, a local folder, or a hub id, the same way.

Course checkpoints lie in ``companion/models``. Their files are compared with the SHA-256
values of their manifest before anything is read.
"""

import functools
import json
from difflib import get_close_matches
from pathlib import Path

import torch
import transformers
from transformers import (
    AutoConfig,
    AutoTokenizer,
    BertTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.utils import cached_file

from companion import storage
from companion.errors import CourseError
from companion.guards import door
from companion.pretraining.build import quiet
from companion.tokenization import only_special

MODELS = Path(__file__).resolve().parent / "models"
COURSE = tuple(sorted(p.parent.name for p in MODELS.glob("*/config.json")))
KINDS = {
    "masked": "AutoModelForMaskedLM",
    "causal": "AutoModelForCausalLM",
    "seq2seq": "AutoModelForSeq2SeqLM",
    "encoder": "AutoModel",
    "tagger": "AutoModelForTokenClassification",
}
# How the classes that such a model was trained as end, and what it has beside its encoder.
HEADS = {
    "masked": (("ForMaskedLM", "ForPreTraining"), "masked-LM head"),
    "causal": (("ForCausalLM", "LMHeadModel"), "causal-LM head"),
    "seq2seq": (("ForConditionalGeneration",), "decoder with a head"),
    "tagger": (("ForTokenClassification",), "head for tags"),
}
# Vocabularies, of whatever kind of tokenizer; transformers does not mind when there is none.
VOCABULARIES = ("tokenizer.json", "vocab.txt", "vocab.json", "spiece.model", "tokenizer.model",
                "sentencepiece.bpe.model", "spm.model", "source.spm")


class OtherKindError(CourseError):
    """A model that was trained as another kind than it is loaded as: ``own``."""

    def __init__(self, message: str, own: str):
        super().__init__(message)
        self.own = own


@door
def folder(name: str) -> Path:
    """Folder of a course checkpoint: weights, tokenizer, model card, log.

    Raises:
        CourseError: no course checkpoint has this name.
    """
    if name not in COURSE:
        known = ", ".join(COURSE) or "none yet"
        raise CourseError(f"no course checkpoint is called '{name}': use one of {known}")
    return MODELS / name


@door
def kind_of(name: str) -> str:
    """What a course checkpoint was trained as: "masked", "causal", "seq2seq" or "tagger".

    Raises:
        CourseError: no course checkpoint has this name.
    """
    config = json.loads((folder(name) / "config.json").read_text(encoding="utf8"))
    return _trained_as(config["architectures"][0])


def _trained_as(architecture: str) -> str:
    """The kind of a class of transformers; what has another head is good as an encoder."""
    return next((kind for kind, (ends, _) in HEADS.items() if architecture.endswith(ends)),
                "encoder")


@functools.cache  # hashing 34 MB takes a moment, and chapters load more than once
def verify(name: str) -> None:
    """Compare the files of a course checkpoint with its manifest.

    Raises:
        CourseError: a file is missing or damaged.
    """
    storage.verify(folder(name))


def load(
    name: str | Path = "bert-mini-en", kind: str = "masked"
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """A model, in float32 and in evaluation mode, and its tokenizer.

    Args:
        name: a course checkpoint (``COURSE``), a local folder, or a hub id such as
            ``"bert-base-uncased"``.
        kind: what the model is for: ``"masked"``, ``"causal"``, ``"seq2seq"``, ``"tagger"``,
            or ``"encoder"`` for hidden states without a head.

    Returns:
        ``(model, tokenizer)`` as the Auto classes of transformers give them.

    Raises:
        CourseError: unknown kind, damaged files, nothing of this name, no network; a head of
            this kind that was never trained; a slow tokenizer, or none.
    """
    where = _found(name, kind)
    try:
        with quiet():
            # float32 on purpose: transformers 5 would keep the fp16 of the file.
            model, report = getattr(transformers, KINDS[kind]).from_pretrained(
                where, dtype=torch.float32, output_loading_info=True)
            tokenizer = _tokenizer(where, model.config.model_type)
    except Exception as problem:  # all that is raised at damaged files has no class in common
        raise _explain(name, where, kind, problem) from None
    _refuse_untrained(name, kind, model, report["missing_keys"])
    refuse_tokenizer(name, tokenizer)
    if model.get_input_embeddings().num_embeddings < len(tokenizer):
        raise CourseError(
            f"{name}: the tokenizer has {len(tokenizer)} entries but the model "
            f"{model.get_input_embeddings().num_embeddings}: they are not from one checkpoint"
        )
    return model.eval(), tokenizer


def _found(name: str | Path, kind: str) -> str | Path:
    """Where the files are: a folder, or the hub id."""
    if not isinstance(name, (str, Path)) or not str(name).strip() or "\0" in str(name):
        shown = f"{str(name)!r}" if isinstance(name, (str, Path)) else \
            f"of type {type(name).__name__}"
        raise CourseError(f"the name of the model is {shown}: give a course checkpoint "
                          f"({', '.join(COURSE)}), a folder or a hub id")
    if not isinstance(kind, str):
        raise CourseError(f"the kind is of type {type(kind).__name__}: use one of "
                          f"{', '.join(KINDS)}")
    if kind not in KINDS:
        raise CourseError(f"unknown kind {kind!r}: use one of {', '.join(KINDS)}")
    where = place(name)
    if str(name) in COURSE and kind not in ("encoder", own := kind_of(str(name))):
        raise OtherKindError(f'{name} is a {own} model: load it with kind="{own}", or "encoder" '
                        "for hidden states", own)
    return where


def place(name: str | Path) -> str | Path:
    """Where a model is: the folder of a course checkpoint, a folder, or a hub id as it is.

    Raises:
        CourseError: damaged files; no such folder; nearly the name of a course checkpoint.
    """
    if str(name) not in COURSE:
        return _elsewhere(name)
    verify(str(name))
    return folder(str(name))


def _refuse_untrained(name: str | Path, kind: str, model: PreTrainedModel, missing) -> None:
    """Refuse a model with weights that its files lack: they would be random, unnoticed.

    Poolers may be lacking. So may what is computed, and what is another name of weights
    that are there.
    """
    named = dict(model.named_parameters(remove_duplicate=False))
    there = {id(values) for key, values in named.items() if key not in missing}
    lost = [key for key, values in named.items() if values.requires_grad
            and key in missing and id(values) not in there and "pooler" not in key.split(".")]
    if not lost:
        return
    own = _trained_as((model.config.architectures or [""])[0])
    of_encoder = any(key.startswith(f"{model.base_model_prefix}.") for key in lost)
    if kind in HEADS and own != kind and not of_encoder:
        raise OtherKindError(f"{name} has no {HEADS[kind][1]} ({lost[0]} is missing): load it with "
                        f'kind="{own}", as it was trained', own)
    raise CourseError(f"{name} lacks {len(lost)} of the weights of a {kind} model, such as "
                      f"{lost[0]}: check its files")


def refuse_tokenizer(name: str | Path, tokenizer: PreTrainedTokenizerBase) -> None:
    """Refuse what the course cannot read texts with.

    Raises:
        CourseError: a slow tokenizer, or one without a vocabulary: where the files are missing,
            transformers gives one that knows special tokens only.
    """
    if not tokenizer.is_fast:
        raise CourseError(f"{name} has a slow tokenizer ({type(tokenizer).__name__}): use a model "
                          "with a tokenizer.json")
    if only_special(tokenizer):
        raise CourseError(f"{name} has no vocabulary: put the files of its tokenizer "
                          "(tokenizer.json, or vocab.txt) beside the weights")


def _tokenizer(where: str | Path, model_type: str) -> PreTrainedTokenizerBase:
    """The tokenizer that the files are for, which for Chinese ALBERTs is BERT's.

    They have BERT's ``vocab.txt`` and no SentencePiece file. ``AutoTokenizer`` goes by the
    model type, takes ALBERT's own tokenizer, and reads every text as one ``[UNK]``.
    """
    def has(file: str) -> bool:
        return bool(cached_file(where, file, _raise_exceptions_for_missing_entries=False,
                                _raise_exceptions_for_connection_errors=False))

    if model_type == "albert" and not has("spiece.model"):
        if has("vocab.txt"):
            return BertTokenizer.from_pretrained(where)
    if not any(map(has, VOCABULARIES)):
        raise ValueError("no tokenizer.json, vocab.txt, spiece.model or the like beside it")
    return AutoTokenizer.from_pretrained(where)


def _elsewhere(name: str | Path) -> str | Path:
    path = Path(name)
    storage.recover(path)
    if path.is_dir():
        if (path / storage.MANIFEST).is_file():
            storage.verify(path)
        return path
    if path.is_absolute() or str(name).startswith((".", "~")) or str(name).count("/") > 1:
        raise CourseError(f"there is no folder {name}: check the path")
    # Before any network: models of the hub without an owner have names far from these.
    near = get_close_matches(str(name).lower(), COURSE, 1, cutoff=0.75)
    if near and "/" not in str(name):
        raise CourseError(f"there is no model {name}: did you mean {near[0]}?")
    return str(name)


def _explain(name: str | Path, where: str | Path, kind: str, problem: Exception) -> CourseError:
    """One line for the several pages that transformers says."""
    text = str(problem).splitlines()[0] if str(problem) else type(problem).__name__
    if text.startswith("Unrecognized configuration class"):
        with quiet():
            config = AutoConfig.from_pretrained(where)
        own = _trained_as((config.architectures or [""])[0])
        return OtherKindError(f'{name} is a model of the kind {config.model_type}, which has no '
                         f'{HEADS[kind][1]}: load it with kind="{own}"', own)
    if "ignore_mismatched_sizes" in text:
        text = "the weights have other sizes than config.json says"
    # What is not there, at the hub or on disk, is an OSError.
    if Path(name).is_dir() or str(name) in COURSE or not isinstance(problem, OSError):
        return CourseError(f"{name} cannot be loaded as a {kind} model ({text}): check its files")
    return CourseError(
        f"'{name}' is no course checkpoint ({', '.join(COURSE)}), no local folder, and the hub "
        "gave no such model: check the name, or your network if you meant a hub id"
    )
