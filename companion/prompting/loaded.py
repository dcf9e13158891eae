"""The model and the tokenizer of a classifier, in whatever form they are given."""

from pathlib import Path
from typing import Any

import torch
from transformers import AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from companion import checkpoints
from companion.errors import CourseError
from companion.objectives.masked import head_of
from companion.tokenization import fast_backend, only_special


def loaded(model: Any, tokenizer: Any, kind: str = "masked"
           ) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """A model in evaluation mode, and a tokenizer that fits it.

    Args:
        model: a course checkpoint, a local folder, a hub id, a model object, or the pair that
            ``companion.checkpoints.load`` gave.
        tokenizer: the tokenizer or its name; None for that of the checkpoint. A model object
            needs it.
        kind: ``"masked"``, or ``"encoder"`` where no head is needed.

    Raises:
        CourseError: nothing of this name, a model object without tokenizer or in training mode,
            no masked LM, a slow tokenizer, one without mask token, without any word, or with
            more entries than the model.
    """
    own = None
    if isinstance(model, (tuple, list)) and len(model) == 2:
        model, own = model
    elif not isinstance(model, torch.nn.Module):
        model, own = checkpoints.load(model, kind)
    tokenizer = own if tokenizer is None else tokenizer
    if tokenizer is None:
        raise CourseError("a model object needs its tokenizer: give tokenizer=... too, or the "
                          "name of a checkpoint as the model")
    tokenizer = _tokenizer(tokenizer)
    _refuse_model(model, kind)
    _refuse_tokenizer(model, tokenizer, kind)
    return model, tokenizer


def _tokenizer(given: Any) -> PreTrainedTokenizerBase:
    if isinstance(given, PreTrainedTokenizerBase):
        return given
    if not isinstance(given, (str, Path)):
        raise CourseError(f"the tokenizer is of type {type(given).__name__}: give a tokenizer of "
                          "transformers, or the name of its checkpoint")
    course = str(given) in checkpoints.COURSE
    try:
        found = AutoTokenizer.from_pretrained(checkpoints.folder(str(given)) if course else given)
    except (OSError, ValueError):
        raise CourseError(f"no tokenizer is called '{given}': give a course checkpoint, a folder, "
                          "a hub id or a tokenizer object") from None
    checkpoints.refuse_tokenizer(given, found)
    return found


def _refuse_model(model: Any, kind: str) -> None:
    if not isinstance(model, PreTrainedModel):
        raise CourseError(f"the model is of type {type(model).__name__}: give a model of "
                          "transformers, or the name of a checkpoint")
    if kind == "masked":
        head_of(model)
    if model.training:
        raise CourseError("the model is in training mode, so dropout makes its answers random: "
                          "call model.eval() first")


def _refuse_tokenizer(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, kind: str
                      ) -> None:
    fast_backend(tokenizer)
    if kind == "masked" and tokenizer.mask_token is None:
        raise CourseError("this tokenizer has no mask token: use the one of the model")
    if only_special(tokenizer):
        raise CourseError("this tokenizer has no words, so its files are missing: give the folder "
                          "that has its tokenizer.json or vocab.txt")
    entries = model.get_input_embeddings().num_embeddings
    if len(tokenizer) > entries:
        raise CourseError(f"the tokenizer has {len(tokenizer)} entries but the model {entries}: "
                          "use the tokenizer that the model was trained with")
