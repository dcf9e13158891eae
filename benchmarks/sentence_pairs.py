"""Sentence pairs: bert-mini-en fine-tuned for each objective, beside a bag of words.

    python benchmarks/sentence_pairs.py [OBJECTIVE SEED]...    NextSentence 0 SentenceOrder 0 ...

Without arguments it makes all runs that ``benchmarks/results/sentence_pairs.json`` does not hold
yet; the chapter draws this file. Every run reads 14,400 pairs, each from another training
review, in bf16, for about three minutes on two cores; the bag of words learns from the same pairs.
Settings were tried out on the validation split, with seed 0 (with 3e-4, next sentence never left
the accuracy 0.5); the test split is read once, at the end of a run.
"""

import json
import sys
from pathlib import Path

import machine
import numpy as np
import torch
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from tqdm import tqdm
from transformers import BertForNextSentencePrediction

from companion import checkpoints
from companion.corpora import movie_reviews
from companion.corpora.sentences import split_sentences
from companion.objectives import pairs
from companion.pretraining.build import quiet
from companion.pretraining.loop import keep_memory, rate

OUT = Path(__file__).with_name("results") / "sentence_pairs.json"
OBJECTIVES, SEEDS = ("NextSentence", "SentenceOrder"), (0, 1, 2)
SENTENCES, LENGTH, SIZE, STEPS, EVERY = 2, 96, 32, 450, 90
RATE, CURVE = 1e-4, 400


def model_for_pairs(seed: int) -> BertForNextSentencePrediction:
    """The encoder of bert-mini-en under a pooler and a head with random weights."""
    torch.manual_seed(seed)
    with quiet():
        return BertForNextSentencePrediction.from_pretrained(
            checkpoints.folder("bert-mini-en"), dtype=torch.float32, attn_implementation="eager",
            hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)


def rows_of(batch: dict, rows) -> dict:
    return {name: tensor[rows] for name, tensor in batch.items()}


@torch.inference_mode()
def accuracy(model, batch: dict) -> float:
    model.eval()
    right = 0
    for rows in torch.arange(len(batch["labels"])).split(64):
        part = rows_of(batch, rows)
        labels = part.pop("labels")
        with torch.autocast("cpu", torch.bfloat16):
            right += (pairs.pair_logits(model, **part).argmax(-1) == labels).sum().item()
    model.train()
    return right / len(batch["labels"])


def fine_tune(seed: int, train: dict, curve: dict, test: dict) -> dict:
    """Accuracy on the validation pairs while training, and on the test pairs at the end."""
    model = model_for_pairs(seed).train()
    optimiser = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=0.01)
    found = {"validation": [round(accuracy(model, curve), 4)]}
    for step in tqdm(range(STEPS), mininterval=20):
        for group in optimiser.param_groups:
            group["lr"] = RATE * rate(step, STEPS, 0.1)
        rows = slice(step * SIZE, (step + 1) * SIZE)
        with torch.autocast("cpu", torch.bfloat16):
            loss = pairs.loss(model, rows_of(train, rows))
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        if (step + 1) % EVERY == 0:
            found["validation"].append(round(accuracy(model, curve), 4))
            tqdm.write(f"{step + 1} {loss.item():.3f} {found['validation'][-1]:.3f}")
    return found | {"test": round(accuracy(model, test), 4)}


def halves(batch: dict) -> list[tuple[list[int], list[int]]]:
    """The token ids of the two halves of every row, without special tokens."""
    found = []
    for ids, segments, mask in zip(*(batch[k] for k in (
            "input_ids", "token_type_ids", "attention_mask"))):
        ids, segments = ids[mask == 1][1:-1], segments[mask == 1][1:-1]
        found.append((ids[segments == 0][:-1].tolist(), ids[segments == 1].tolist()))
    return found


def bag_of_words(train: dict, test: dict) -> dict:
    """Accuracy of logistic regression on the cosine of the halves, and on both bags."""
    known, asked = halves(train), halves(test)
    bag = TfidfVectorizer(analyzer=list, sublinear_tf=True).fit([a + b for a, b in known])
    marked = TfidfVectorizer(analyzer=lambda pair: [(i, t) for i in (0, 1) for t in pair[i]],
                             sublinear_tf=True).fit(known)

    def cosine(rows):
        a, b = (bag.transform(half) for half in zip(*rows))
        return np.asarray(a.multiply(b).sum(1))

    scores = {}
    for name, features in (("together", cosine), ("side by side", marked.transform)):
        model = LogisticRegression(max_iter=1000).fit(features(known), train["labels"])
        scores[name] = round(model.score(features(asked), test["labels"]), 4)
    return scores


def main(arguments: list[str]) -> None:
    keep_memory()
    result = json.loads(OUT.read_text(encoding="utf8")) if OUT.exists() else {"runs": []}
    done = {(run["objective"], run["seed"]) for run in result["runs"]}
    wanted = list(zip(arguments[::2], map(int, arguments[1::2])))
    wanted = wanted or [(o, s) for o in OBJECTIVES for s in SEEDS]
    reviews = movie_reviews(collection="imdb")
    tokenizer = checkpoints.load("bert-mini-en")[1]
    documents = [pairs.encode(map(split_sentences, reviews[split]["text"]), tokenizer)
                 for split in ("train", "validation", "test")]
    for objective, seed in wanted:
        if (objective, seed) in done:
            continue
        collator = getattr(pairs, objective)(tokenizer, LENGTH, seed, SENTENCES)
        batches = []
        for number, texts in enumerate(documents):
            texts = [text for text in texts if collator.usable(text)]
            batches.append(collator(texts[:CURVE] if number == 1 else texts, number))
        train, curve, test = batches
        order = np.random.default_rng(seed).permutation(len(train["labels"]))[: STEPS * SIZE]
        train = rows_of(train, torch.from_numpy(order))
        run = {"objective": objective, "seed": seed, "pairs": len(train["labels"]),
               "test_pairs": len(test["labels"]), "bag_of_words": bag_of_words(train, test)}
        print(run, flush=True)
        run |= fine_tune(seed, train, curve, test)
        print(run, flush=True)
        result["runs"].append(run)
        result |= {"steps": list(range(0, STEPS + 1, EVERY)), "sentences": SENTENCES,
                   "length": LENGTH, "batch": SIZE, "rate": RATE, "machine": machine.describe()}
        OUT.write_text(json.dumps(result, indent=1) + "\n", encoding="utf8")


if __name__ == "__main__":
    main(sys.argv[1:])
