"""Loading models: the course's own checkpoints, a local folder, or a hub id, the same way.

Course checkpoints lie in ``companion/models``. Their files are compared with the SHA-256
values of their manifest before anything is read.
"""

import functools
import json
from pathlib import Path

import torch
import transformers
from transformers import AutoTokenizer, BertTokenizer, PreTrainedModel, PreTrainedTokenizerBase
from transformers.utils import cached_file

from companion.errors import CourseError
from companion.pretraining import state
from companion.pretraining.build import quiet

MODELS = Path(__file__).resolve().parent / "models"
COURSE = tuple(sorted(p.parent.name for p in MODELS.glob("*/config.json")))
KINDS = {
    "masked": "AutoModelForMaskedLM",
    "causal": "AutoModelForCausalLM",
    "seq2seq": "AutoModelForSeq2SeqLM",
    "encoder": "AutoModel",
    "tagger": "AutoModelForTokenClassification",
}


def folder(name: str) -> Path:
    """Folder of a course checkpoint: weights, tokenizer, model card, log.

    Raises:
        CourseError: no course checkpoint has this name.
    """
    if name not in COURSE:
        known = ", ".join(COURSE) or "none yet"
        raise CourseError(f"no course checkpoint is called '{name}': use one of {known}")
    return MODELS / name


def kind_of(name: str) -> str:
    """What a course checkpoint was trained as: "masked", "causal", "seq2seq" or "tagger".

    Raises:
        CourseError: no course checkpoint has this name.
    """
    config = json.loads((folder(name) / "config.json").read_text(encoding="utf8"))
    trained = config["architectures"][0]
    if trained.endswith(("ForMaskedLM", "ForPreTraining")):
        return "masked"
    if trained.endswith("ForTokenClassification"):
        return "tagger"
    return "seq2seq" if config.get("is_encoder_decoder") else "causal"


@functools.cache  # hashing 34 MB takes a moment, and chapters load more than once
def verify(name: str) -> None:
    """Compare the files of a course checkpoint with its manifest.

    Raises:
        CourseError: a file is missing or damaged.
    """
    state.verify(folder(name))


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
        CourseError: unknown kind, damaged files, nothing of this name, no network.
    """
    if kind not in KINDS:
        raise CourseError(f"unknown kind {kind!r}: use one of {', '.join(KINDS)}")
    if str(name) in COURSE:
        verify(str(name))
        if kind not in ("encoder", own := kind_of(str(name))):
            raise CourseError(f'{name} is a {own} model: load it with kind="{own}", or "encoder" '
                              "for hidden states")
        where: str | Path = folder(str(name))
    else:
        where = _elsewhere(name)
    try:
        with quiet():
            # float32 on purpose: transformers 5 would keep the fp16 of the file.
            model = getattr(transformers, KINDS[kind]).from_pretrained(where, dtype=torch.float32)
            tokenizer = _tokenizer(where, model.config.model_type)
    except (OSError, ValueError) as problem:
        raise CourseError(_explain(name, kind, problem)) from None
    if model.get_input_embeddings().num_embeddings < len(tokenizer):
        raise CourseError(
            f"{name}: the tokenizer has {len(tokenizer)} entries but the model "
            f"{model.get_input_embeddings().num_embeddings}: they are not from one checkpoint"
        )
    return model.eval(), tokenizer


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
        if not has("tokenizer.json"):
            raise ValueError("no tokenizer.json, spiece.model or vocab.txt beside it")
    return AutoTokenizer.from_pretrained(where)


def _elsewhere(name: str | Path) -> str | Path:
    path = Path(name)
    if path.is_dir():
        if (path / state.MANIFEST).is_file():
            state.verify(path)
        return path
    if path.is_absolute() or str(name).startswith((".", "~")) or str(name).count("/") > 1:
        raise CourseError(f"there is no folder {name}: check the path")
    return str(name)


def _explain(name: str | Path, kind: str, problem: Exception) -> str:
    """One line for the several pages that transformers says."""
    text = str(problem).splitlines()[0] if str(problem) else type(problem).__name__
    if Path(name).is_dir() or str(name) in COURSE:
        return f"{name} cannot be loaded as a {kind} model ({text}): check its config.json"
    return (
        f"'{name}' is no course checkpoint ({', '.join(COURSE)}), no local folder, and the hub "
        "gave no such model: check the name, or your network if you meant a hub id"
    )
