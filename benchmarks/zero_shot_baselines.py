"""What prompting must beat: a word list without a model, and a linear bag of words with labels.

    python benchmarks/zero_shot_baselines.py [--seconds N]   # for each collection; call until done

VADER (Hutto and Gilbert, 2014) sums the scores of a hand-made lexicon. The bag of words is
logistic regression on tf-idf of words and word pairs, as scikit-learn has them by default; it
is trained on so many labelled training reviews of the same collection: five random subsets of
each size, the reviews that the choice of label words read, and all.
Adds its rows to ``results/zero_shot.jsonl``.
"""

import time

import numpy as np
import zero_shot
import zero_shot_setting as setting
from options import options, parsed
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer
from zero_shot import add, interval, rows

SIZES, SEEDS = (32, 100, 320, 1000), (13, 21, 42, 87, 100)
SMALLEST = {"SIZES": (8,), "SEEDS": (13,)}


def vader(texts: list[str]) -> np.ndarray:
    analyser = SentimentIntensityAnalyzer()
    return np.array([analyser.polarity_scores(text)["compound"] for text in texts])


def bag_of_words(train, test) -> np.ndarray:
    """Whether each test text is right."""
    model = make_pipeline(TfidfVectorizer(ngram_range=(1, 2)), LogisticRegression(C=10))
    model.fit(train["text"], train["label"])
    return model.predict(test["text"]) == np.array(test["label"])


def report(collection: str, name: str, labels: int, each: list[np.ndarray]) -> None:
    """One row; ``each`` holds which texts are right, for one run or for one a seed."""
    right = np.mean(each, 0)
    add({"part": "baseline", "collection": collection, "name": name, "labels": labels,
         "accuracy": round(float(right.mean()), 4),
         "runs": [round(float(r.mean()), 4) for r in each],
         **({"interval": interval(right)} if len(each) == 1 else {})})
    print(rows("baseline")[-1], flush=True)


def vader_runs(collection: str, train, test) -> None:
    first = setting.LABELLED[collection]
    scores, labels = vader(test["text"]), np.array(test["label"])
    border = np.median(vader(train.select(range(first, first + setting.BORDER))["text"]))
    report(collection, "VADER, border 0", 0, [(scores > 0) == labels])
    report(collection, "VADER, median border", 0, [(scores > border) == labels])


def runs(collection: str, seconds: float) -> None:
    began, done = time.time(), {(row["collection"], row["labels"]) for row in rows("baseline")}
    train, test = (setting.reviews(split)[collection] for split in ("train", "test"))
    if (collection, 0) not in done:
        vader_runs(collection, train, test)
    for size in (*SIZES, setting.LABELLED[collection], len(train)):
        if (collection, size) in done:
            continue
        if time.time() - began > seconds - 40:
            return print("not all baselines are done: call again")
        subsets = [train.shuffle(seed=s).select(range(size)) for s in SEEDS] \
            if size in SIZES else [train.select(range(size))]
        report(collection, "bag of words", size, [bag_of_words(part, test) for part in subsets])


if __name__ == "__main__":
    parser = options(__doc__)
    parser.add_argument("--seconds", type=float, default=1e9)
    given = parsed(parser, globals(), vars(zero_shot), vars(setting))
    for name in setting.COLLECTIONS:
        runs(name, given.seconds)
