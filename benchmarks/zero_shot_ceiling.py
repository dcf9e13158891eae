"""About how much a better list of label words could gain: a classifier on what the model says.

    python benchmarks/zero_shot_ceiling.py

A list of words with a border can only use the log-probabilities at the gap. Here logistic
regression gets those of a thousand words, with a weight of its own for each, and the labels of
the texts from which the words were chosen. That is an estimate of what a list can reach with
this model and template, and no strict bound. The strength of the regularisation is chosen by
cross-validation on the same training texts. The rows join ``results/zero_shot.jsonl``.
"""

import numpy as np
import torch
import zero_shot
import zero_shot_setting as setting
from options import options, parsed
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from zero_shot import add, interval, load, rows

from companion.prompting import word_choice

SMALLEST = {"STRENGTHS": (1e-2,)}
STRENGTHS = (1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0)  # scikit-learn's C


def ceiling(collection: str, pattern: str, model, tokenizer) -> dict:
    words = list(word_choice.plain_words(tokenizer).values())
    ask = [model, tokenizer, setting.template(pattern)]
    train = setting.reviews()[collection].select(range(setting.LABELLED[collection]))
    test = setting.reviews("test")[collection]
    known = word_choice.log_probabilities(*ask, train["text"], words)
    best = word_choice.fillers([known], setting.FILLERS)
    known = known[:, best].numpy()
    asked = torch.tensor(words)[best].tolist()
    found = word_choice.log_probabilities(*ask, test["text"], asked).numpy()
    known, found = known - known.mean(0), found - known.mean(0)
    validated = {c: cross_val_score(LogisticRegression(C=c, max_iter=500), known, train["label"],
                                    cv=5).mean() for c in STRENGTHS}
    best_c = max(validated, key=validated.get)
    fitted = LogisticRegression(C=best_c, max_iter=500).fit(known, train["label"])
    right = fitted.predict(found) == np.array(test["label"])
    return {"part": "ceiling", "template": pattern, "collection": collection,
            "labels read": len(train), "words": len(asked), "C": best_c,
            "validated": round(float(validated[best_c]), 4), "texts": len(right),
            "accuracy": round(float(right.mean()), 4), "interval": interval(right)}


if __name__ == "__main__":
    parsed(options(__doc__), globals(), vars(zero_shot), vars(setting))
    (model, tokenizer), (choice,) = load(), rows("words")
    done = {row["collection"] for row in rows("ceiling")}
    for collection in setting.COLLECTIONS:
        if collection not in done:
            add(ceiling(collection, choice["template"], model, tokenizer))
            print(rows("ceiling")[-1], flush=True)
