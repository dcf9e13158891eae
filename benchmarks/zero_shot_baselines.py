"""What prompting must beat: a word list without a model, and a linear bag of words with labels.

    python benchmarks/zero_shot_baselines.py

VADER (Hutto and Gilbert, 2014) sums the scores of a hand-made lexicon. The bag of words is
logistic regression on tf-idf of words and word pairs, as scikit-learn has them by default; it
is trained on so many labelled training reviews of the same collection: five random subsets of
each size, the reviews that the choice of label words read, and all.
Adds its rows to ``results/zero_shot.jsonl``.
"""

import numpy as np
import zero_shot_setting as setting
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer
from zero_shot import add, interval, rows

SIZES, SEEDS = (32, 100, 320, 1000), (13, 21, 42, 87, 100)


def vader(texts: list[str]) -> np.ndarray:
    analyser = SentimentIntensityAnalyzer()
    return np.array([analyser.polarity_scores(text)["compound"] for text in texts])


def bag_of_words(train, test) -> np.ndarray:
    """Whether each test text is right."""
    model = make_pipeline(TfidfVectorizer(ngram_range=(1, 2)), LogisticRegression(C=10))
    model.fit(train["text"], train["label"])
    return model.predict(test["text"]) == np.array(test["label"])


def report(collection: str, name: str, right: np.ndarray, **more) -> None:
    add({"part": "baseline", "collection": collection, "name": name,
         "accuracy": round(float(right.mean()), 4), "interval": interval(right), **more})
    print(rows("baseline")[-1], flush=True)


def run(collection: str) -> None:
    train, test = (setting.reviews(split)[collection] for split in ("train", "test"))
    labels, first = np.array(test["label"]), setting.LABELLED[collection]
    scores = vader(test["text"])
    border = np.median(vader(train.select(range(first, first + setting.BORDER))["text"]))
    report(collection, "VADER, border 0", (scores > 0) == labels)
    report(collection, "VADER, median border", (scores > border) == labels)
    for size in SIZES:
        each = [bag_of_words(train.shuffle(seed=seed).select(range(size)), test)
                for seed in SEEDS]
        report(collection, "bag of words", np.mean(each, 0), labels=size,
               seeds=[round(float(right.mean()), 4) for right in each])
    for size in (first, len(train)):
        report(collection, "bag of words", bag_of_words(train.select(range(size)), test),
               labels=size)


if __name__ == "__main__":
    for name in setting.COLLECTIONS:
        if not any(row["collection"] == name for row in rows("baseline")):
            run(name)
