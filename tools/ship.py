"""Turn a finished run into a course checkpoint: ``python -m tools.ship RUN NAME``.

The weights are rounded to fp16, the log and the report on the text go with them (also those of
the run that this one went on from), and a manifest of SHA-256 values comes last. The model card (README.md) and licence files that
already lie in the checkpoint's folder are kept.
"""

import json
import shutil
import sys
from pathlib import Path

import torch
from transformers import AutoModelForMaskedLM, AutoTokenizer

from companion.checkpoints import MODELS
from companion.pretraining import state
from companion.tokenization import bert_tokenizer

KEPT = ("README.md", "LICENSE", "NOTICE")  # written by hand


def ship(run: Path, name: str) -> Path:
    """Write ``companion/models/NAME`` from a run's folder; gives the folder back."""
    state.verify(run / "model")
    model = AutoModelForMaskedLM.from_pretrained(run / "model", dtype=torch.float32)
    loaded = AutoTokenizer.from_pretrained(run / "model")
    tokenizer = bert_tokenizer(loaded.backend_tokenizer, model.config.max_position_embeddings)
    # A recipe may pretrain without dropout, for speed; who fine-tunes expects BERT's.
    model.config.hidden_dropout_prob = model.config.attention_probs_dropout_prob = 0.1
    target = MODELS / name
    by_hand = {n: (target / n).read_bytes() for n in KEPT if (target / n).is_file()}

    def fill(folder: Path) -> None:
        model.half().save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        _copy_records(run, folder, "")
        start = json.loads((run / "recipe.json").read_text(encoding="utf8"))["model"]["start"]
        if (Path(start).parent / "log.jsonl").is_file():
            _copy_records(Path(start).parent, folder, "-first")
        for file, content in by_hand.items():
            (folder / file).write_bytes(content)

    state.write_folder(target, fill)
    return target


def _copy_records(run: Path, folder: Path, suffix: str) -> None:
    shutil.copy(run / "log.jsonl", folder / f"log{suffix}.jsonl")
    shutil.copy(run / "packed" / "text.json", folder / f"text{suffix}.json")


def rehash(name: str) -> None:
    """Renew the manifest after README.md or another file by hand was edited."""
    folder = MODELS / name

    def fill(partial: Path) -> None:
        for path in folder.iterdir():
            if path.name != state.MANIFEST:
                shutil.copy(path, partial / path.name)

    state.write_folder(folder, fill)


if __name__ == "__main__":
    if len(sys.argv) == 3 and sys.argv[1] == "--rehash":
        rehash(sys.argv[2])
    elif len(sys.argv) == 3:
        print(ship(Path(sys.argv[1]), sys.argv[2]).name)
    else:
        sys.exit("use: python -m tools.ship RUN NAME, or python -m tools.ship --rehash NAME")
