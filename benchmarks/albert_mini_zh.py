"""What the checkpoint ``albert-mini-zh`` can do: the figures of its model card.

1. Masked-LM loss and top-1 accuracy on the test splits of the two Chinese corpora.
2. Sentence order on pairs from articles that no recipe read, with the openings of articles and
   without them; a bag of characters, by five-fold cross-validation, stands beside it.
3. The ten gaps that were fixed before the training.

    python benchmarks/albert_mini_zh.py --text FOLDER [--model FOLDER]

writes ``results/albert_mini_zh.json``.
"""

import argparse
import json
import lzma
from itertools import groupby
from pathlib import Path

import numpy as np
import torch
from scipy import sparse
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from transformers import AutoModelForPreTraining

from companion import checkpoints, corpora, metrics
from companion.filling import fill
from companion.objectives.masked_order import MaskedOrder, pack_pairs, places, predictions
from companion.pretraining import Recipe
from companion.pretraining.text import _joined, _share

OUT = Path(__file__).with_name("results") / "albert_mini_zh.json"
GAPS = Path(checkpoints.__file__).parent / "probes" / "cloze_zh.json"


def masked(model, tokenizer) -> dict:
    found = {}
    for name in ("people_daily", "shopping_reviews"):
        texts = getattr(corpora, name)()["test"]["text"]
        scores = metrics.masked_lm(model, tokenizer, texts, length=128)
        found[name] = {key: round(value, 4) for key, value in scores.items()}
    return found


def unread(folder: Path) -> list[str]:
    """Articles of the encyclopedia of which neither recipe read a line."""
    first, second = (Recipe.read(f"albert-mini-zh{part}") for part in ("-first", ""))
    (file, share), = first.text.files.items()
    with lzma.open(folder / file, "rt", encoding="utf8") as handle:
        lines = [line.strip() for line in handle]
    articles = [list(part) for filled, part in groupby(lines, key=bool) if filled]
    read = set(_share([line for line in lines if line], share, first.seed))
    whole = [_joined(article) for article in articles]
    read_whole = set(_share(whole, second.text.files[file], second.seed))
    return [text for text, article in zip(whole, articles)
            if text not in read_whole and not read.intersection(article)]


def bags(ids: torch.Tensor, size: int) -> sparse.csr_matrix:
    """Counts of characters, first half and second half apart: (pairs, 2 * size)."""
    one = places(ids.shape[1])[0] + 2
    rows = np.repeat(np.arange(len(ids)), ids.shape[1])
    columns = ids.numpy() + size * (np.arange(ids.shape[1]) >= one)
    return sparse.csr_matrix((np.ones(ids.numel()), (rows, columns.ravel())),
                             shape=(len(ids), 2 * size))


@torch.inference_mode()
def order(model, tokenizer, texts: list[str], margin: int) -> dict:
    rows = pack_pairs(texts, tokenizer, 128, margin)
    rows = rows[rows[:, 128] != tokenizer.pad_token_id]
    clear = MaskedOrder(tokenizer, hidden=0.0, random=0.0, seed=0)  # no character is hidden
    batches = [clear(rows[i : i + 50], i) for i in range(0, len(rows), 50)]
    ids, labels = (torch.cat([batch[key] for batch in batches]) for key in ("input_ids", "order"))
    right = torch.cat([predictions(model, b)["order"][0].argmax(-1) for b in batches]) == labels
    bag = cross_val_score(LogisticRegression(C=0.05, max_iter=300), bags(ids, len(tokenizer)),
                          labels.numpy(), cv=5)
    return {"pairs": len(ids), "accuracy": round(right.float().mean().item(), 4),
            "characters": round(float(bag.mean()), 4)}


def gaps(model, tokenizer) -> list[dict]:
    items = json.loads(GAPS.read_text(encoding="utf8"))["items"]
    return [{"text": item["text"], "answer": item["answer"],
             "best": fill(model, tokenizer, item["text"], 3)[0]} for item in items]


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--text", required=True, type=Path, metavar="FOLDER")
    arguments.add_argument("--model", default="albert-mini-zh")
    chosen = arguments.parse_args()
    name = chosen.model
    model, tokenizer = checkpoints.load(name)
    where = checkpoints.folder(name) if name in checkpoints.COURSE else name
    pairs = AutoModelForPreTraining.from_pretrained(where, dtype=torch.float32).eval()
    texts = unread(chosen.text)
    result = {
        "masked": masked(model, tokenizer),
        "articles": len(texts),
        "order": {"with openings": order(pairs, tokenizer, texts, 0),
                  "without openings": order(pairs, tokenizer, texts, 1)},
        "gaps": gaps(model, tokenizer),
    }
    result["right"] = sum(item["best"][0][0] == item["answer"] for item in result["gaps"])
    OUT.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf8")
    print(json.dumps(result, indent=1, ensure_ascii=False))


if __name__ == "__main__":
    main()
