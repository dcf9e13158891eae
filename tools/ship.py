"""Turn a finished run into a course checkpoint: ``python -m tools.ship RUN NAME``.

The weights are rounded to fp16, the log and the report on the text go with them (also those of
the runs that this one went on from), and a manifest of SHA-256 values comes last. The model card
(README.md) and licence files that already lie in the checkpoint's folder are kept.
"""

import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import torch
import transformers
from transformers import AutoTokenizer

from companion import storage
from companion.checkpoints import MODELS
from companion.errors import CourseError
from companion.pretraining.tasks import TASKS
from companion.tokenization import SPECIAL, bert_tokenizer

KEPT = ("README.md", "LICENSE", "NOTICE")  # written by hand, so that they may differ
DROPOUTS = ("hidden_dropout_prob", "attention_probs_dropout_prob", "resid_pdrop", "embd_pdrop",
            "attn_pdrop", "classifier_dropout_prob")


def ship(run: Path, name: str) -> Path:
    """Write ``companion/models/NAME`` from a run's folder; gives the folder back."""
    storage.verify(run / "model")
    recipe = json.loads((run / "recipe.json").read_text(encoding="utf8"))
    auto = getattr(transformers, TASKS[recipe["objective"]].model)
    model = auto.from_pretrained(run / "model", dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(run / "model")
    room = model.config.max_position_embeddings
    if tokenizer.cls_token == SPECIAL["cls_token"]:  # of BERT's form
        tokenizer = bert_tokenizer(tokenizer.backend_tokenizer, room)
    tokenizer.model_max_length = room
    # A recipe may pretrain without dropout, for speed; who fine-tunes expects the usual one.
    for dropout in DROPOUTS:
        if hasattr(model.config, dropout):
            setattr(model.config, dropout, 0.1)
    target = storage.folder_for(MODELS / name, KEPT)
    by_hand = {n: (target / n).read_bytes() for n in KEPT if (target / n).is_file()}

    def fill(folder: Path) -> None:
        model.half().save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        _copy_records(run, folder, "")
        for before in _runs_before(recipe):
            _copy_records(before, folder, before.name.removeprefix(name) or "-before")
        for file, content in by_hand.items():
            (folder / file).write_bytes(content)

    storage.write_folder(target, fill, KEPT)
    return MODELS / name


def _runs_before(recipe: dict) -> Iterator[Path]:
    """The run whose result this one started from (``runs/NAME-first``), and those before it."""
    while (before := Path(recipe["model"]["start"]).parent / "recipe.json").is_file():
        yield before.parent
        recipe = json.loads(before.read_text(encoding="utf8"))


def _copy_records(run: Path, folder: Path, suffix: str) -> None:
    shutil.copy(run / "log.jsonl", folder / f"log{suffix}.jsonl")
    shutil.copy(run / "packed" / "text.json", folder / f"text{suffix}.json")


def rehash(name: str) -> None:
    """Renew the manifest after README.md or another file by hand was edited."""
    folder = MODELS / name
    if not folder.is_dir():
        raise CourseError(f"there is no checkpoint {name}: ship it first")

    def fill(partial: Path) -> None:
        for path in folder.iterdir():
            if path.name != storage.MANIFEST:
                shutil.copy(path, partial / path.name)

    storage.write_folder(folder, fill, KEPT)


def main(arguments: list[str]) -> None:
    """The command line: RUN NAME, or --rehash NAME."""
    if len(arguments) != 2:
        sys.exit("use: python -m tools.ship RUN NAME, or python -m tools.ship --rehash NAME")
    try:
        if arguments[0] == "--rehash":
            rehash(arguments[1])
        else:
            print(ship(Path(arguments[0]), arguments[1]).name)
    except CourseError as problem:
        sys.exit(f"error: {problem}")


if __name__ == "__main__":
    main(sys.argv[1:])
