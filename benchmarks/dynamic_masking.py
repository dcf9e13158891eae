"""Static against dynamic masks: one small model, one small text, read twenty times.

Writes ``benchmarks/results/dynamic_masking.json``, which the chapter draws. Everything
runs in fp32, three seeds a kind. Takes a few minutes on two cores.
"""

import json
import platform
from pathlib import Path

import numpy as np
import torch
from options import few, options, parsed
from tqdm import tqdm
from transformers import BertConfig, BertForMaskedLM

from companion import storage
from companion.corpora import movie_reviews
from companion.objectives import masked
from companion.pretraining.loop import evaluate, keep_memory, rate
from companion.tokenization import pack, train_wordpiece

OUT = Path(__file__).with_name("results") / "dynamic_masking.json"
SEEDS, EPOCHS, SIZE, LENGTH, ROWS = (13, 21, 42), 20, 16, 64, 400
SMALLEST = {"movie_reviews": few(movie_reviews, 200), "SEEDS": (13, 21), "EPOCHS": 2, "SIZE": 4,
            "ROWS": 4}


def fresh(vocabulary: int, seed: int) -> BertForMaskedLM:
    torch.manual_seed(seed)
    return BertForMaskedLM(BertConfig(
        vocab_size=vocabulary, hidden_size=128, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=512, max_position_embeddings=LENGTH, hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0, attn_implementation="eager"))


def run(kind: str, seed: int, rows, held_out, tokenizer) -> dict:
    """Held-out loss after every second epoch. Static: a row has one mask for all epochs."""
    model = fresh(len(tokenizer), seed)
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.01)
    collator = masked.MaskedLM(tokenizer, seed=seed)
    validation = masked.MaskedLM(tokenizer, seed=0)  # the same masks for every run
    per_epoch = len(rows) // SIZE
    steps = EPOCHS * per_epoch
    losses = []
    for epoch in tqdm(range(EPOCHS), desc=f"{kind} {seed}"):
        model.train()
        for i in range(per_epoch):
            step = epoch * per_epoch + i
            for group in optimiser.param_groups:
                group["lr"] = 1e-3 * rate(step, steps, 0.06)
            # Batches hold the same rows in both kinds; only the number of the mask differs.
            batch = collator(rows[i * SIZE : (i + 1) * SIZE], i if kind == "static" else step)
            loss = masked.loss(model, batch)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        if epoch % 2:
            losses.append(round(evaluate(model, validation, held_out)["loss"], 4))
    return {"seed": seed, "train": round(loss.item(), 4), "held_out": losses}


def main() -> None:
    parsed(options(__doc__), globals())
    keep_memory()
    reviews = movie_reviews(collection="rotten_tomatoes")
    tokenizer = train_wordpiece(reviews["train"]["text"], 2000)
    rows = pack(reviews["train"]["text"], tokenizer, LENGTH)[:ROWS]
    held_out = pack(reviews["validation"]["text"], tokenizer, LENGTH)[:256]
    result = {kind: [run(kind, seed, rows, held_out, tokenizer) for seed in SEEDS]
              for kind in ("static", "dynamic")}
    result |= {"epochs": list(range(2, EPOCHS + 1, 2)), "rows": len(rows), "length": LENGTH,
               "vocabulary": len(tokenizer), "torch": torch.__version__,
               "machine": platform.machine()}
    OUT.parent.mkdir(exist_ok=True)
    storage.write_text(OUT, json.dumps(result, indent=1) + "\n")
    for kind in ("static", "dynamic"):
        final = np.array([r["held_out"][-1] for r in result[kind]])
        print(f"{kind:8} {final.mean():.3f} (standard deviation {final.std(ddof=1):.3f})")


if __name__ == "__main__":
    main()
