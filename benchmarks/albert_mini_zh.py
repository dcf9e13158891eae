"""What the checkpoint ``albert-mini-zh`` can do: the figures of its model card.

1. Masked-LM loss and top-1 accuracy on the test splits of the two Chinese corpora.
2. Sentence order on pairs from articles that no recipe read: the first pair of every article, the
   later ones, and all together; a bag of characters, by five-fold cross-validation, beside it.
3. The ten gaps that were fixed before the training.

    python benchmarks/albert_mini_zh.py --text FOLDER [--model FOLDER]

writes ``results/albert_mini_zh.json``.
"""

import json
from pathlib import Path

import numpy as np
import torch
from options import few, options, parsed
from scipy import sparse
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from transformers import AutoModelForPreTraining

from companion import checkpoints, corpora, metrics, storage
from companion.corpora.sentences import split_sentences
from companion.filling import fill
from companion.objectives.masked_order import (
    MaskedOrder,
    pair_rows,
    places,
    predictions,
    stretches,
)
from companion.pretraining import Recipe
from companion.pretraining.text import read_texts, share_of
from companion.tokenization import encode

OUT = Path(__file__).with_name("results") / "albert_mini_zh.json"
LENGTH = 128  # tokens in a row, as in pretraining
ARTICLES = None  # how many that no recipe read; all
GAPS = Path(checkpoints.__file__).parent / "probes" / "cloze_zh.json"
CORPORA = {"people_daily": corpora.people_daily, "shopping_reviews": corpora.shopping_reviews}
SMALLEST = {"ARTICLES": 60, "CORPORA": {name: few(load, 10) for name, load in CORPORA.items()}}


def masked(model, tokenizer) -> dict:
    found = {}
    for name, load in CORPORA.items():
        texts = load()["test"]["text"]
        scores = metrics.masked_lm(model, tokenizer, texts, length=LENGTH)
        found[name] = {key: round(value, 4) for key, value in scores.items()}
    return found


def unread(folder: Path) -> list[str]:
    """Articles of the encyclopedia that neither recipe read."""
    recipes = [Recipe.read(f"albert-mini-zh{part}") for part in ("-first", "")]
    (file,) = recipes[0].text.files
    articles = read_texts(folder / file, documents=True)
    read = set().union(*(share_of(articles, r.text.files[file], r.seed) for r in recipes))
    return [article for article in articles if article not in read]


def pairs_of(texts: list[str], tokenizer) -> dict[str, list]:
    """Pairs of neighbouring stretches of the articles: their first pair, and all later ones."""
    found: dict[str, list] = {"openings": [], "inside": []}
    sentences = [split_sentences(text, "zh") for text in texts]
    ids = encode(tokenizer, (s for part in sentences for s in part))
    for part in sentences:
        pairs, _ = stretches([next(ids) for _ in part], LENGTH)
        found["openings"] += pairs[:1]
        found["inside"] += pairs[1:]
    return found


def bags(ids: torch.Tensor, size: int) -> sparse.csr_matrix:
    """Counts of characters, first half and second half apart: (pairs, 2 * size)."""
    one = places(ids.shape[1])[0] + 2
    rows = np.repeat(np.arange(len(ids)), ids.shape[1])
    columns = ids.numpy() + size * (np.arange(ids.shape[1]) >= one)
    return sparse.csr_matrix((np.ones(ids.numel()), (rows, columns.ravel())),
                             shape=(len(ids), 2 * size))


@torch.inference_mode()
def order(model, tokenizer, pairs: list) -> dict:
    """Right answers of the model, and of a bag of characters by five-fold cross-validation."""
    rows = pair_rows(pairs, tokenizer, LENGTH)
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
    arguments = options(__doc__)
    arguments.add_argument("--text", required=True, type=Path, metavar="FOLDER")
    arguments.add_argument("--model", default="albert-mini-zh")
    chosen = parsed(arguments, globals())
    name = chosen.model
    model, tokenizer = checkpoints.load(name)
    where = checkpoints.folder(name) if name in checkpoints.COURSE else name
    whole = AutoModelForPreTraining.from_pretrained(where, dtype=torch.float32).eval()
    texts = unread(chosen.text)[:ARTICLES]
    asked = pairs_of(texts, tokenizer)
    asked["all"] = asked["openings"] + asked["inside"]
    result = {
        "masked": masked(model, tokenizer),
        "articles": len(texts),
        "order": {name: order(whole, tokenizer, part) for name, part in asked.items()},
        "gaps": gaps(model, tokenizer),
    }
    result["right"] = sum(item["best"][0][0] == item["answer"] for item in result["gaps"])
    storage.write_text(OUT, json.dumps(result, indent=1, ensure_ascii=False) + "\n")
    print(json.dumps(result, indent=1, ensure_ascii=False))


if __name__ == "__main__":
    main()
