"""What `families_measure.py` asks of every model: the same reviews, places and prompts."""

from dataclasses import dataclass

import numpy as np
from options import few
from transformers import PreTrainedTokenizerFast

from companion.corpora import movie_reviews
from companion.ngrams import KneserNey
from companion.tokenization import encode

LENGTH, AT = 126, 63  # tokens of a review that are read; the place of the hidden one
PROMPT, WRITTEN, PROMPTS, SHOWN = 20, 20, 200, 3
TRAIN, TEST, COUNTED = 2000, 1000, 6000  # reviews; COUNTED of them fit the trigram model
SMALLEST = {"movie_reviews": few(movie_reviews, 200), "TRAIN": 20, "TEST": 12, "COUNTED": 40,
            "PROMPTS": 3, "WRITTEN": 2}


@dataclass
class Questions:
    """The reviews, and what is asked about them, as ids of the vocabulary of all variants."""

    tokenizer: PreTrainedTokenizerFast
    train: tuple[list[str], list[int]]
    test: tuple[list[str], list[int]]
    rows: np.ndarray  # test reviews of at least LENGTH tokens, cut there
    ngrams: KneserNey
    shares: np.ndarray  # of every vocabulary entry in training text, plus one

    @property
    def prompts(self) -> np.ndarray:
        return self.rows[:PROMPTS, :PROMPT]

    def real(self) -> np.ndarray:
        return self.rows[:PROMPTS, PROMPT : PROMPT + WRITTEN]

    def readable(self, ids: np.ndarray) -> list[str]:
        return [self.tokenizer.decode(row) for row in ids[:SHOWN].tolist()]


def questions(tokenizer: PreTrainedTokenizerFast) -> Questions:
    data = {split: part.filter(lambda c: [x == "imdb" for x in c], batched=True,
                               input_columns="collection")
            for split, part in movie_reviews().items() if split != "validation"}
    train, test = data["train"][:COUNTED], data["test"][:]
    counted = [[tokenizer.sep_token_id, *ids] for ids in encode(tokenizer, train["text"])]
    size = tokenizer.vocab_size  # without the sentinels of a T5
    long = [ids[:LENGTH] for ids in encode(tokenizer, test["text"])
            if len(ids) >= LENGTH and ids[AT] not in tokenizer.all_special_ids]
    tokens = np.concatenate([ids[1:] for ids in counted])
    return Questions(
        tokenizer, (train["text"][:TRAIN], train["label"][:TRAIN]),
        (test["text"][:TEST], test["label"][:TEST]), np.array(long[:TEST]),
        KneserNey.fit(counted, size), np.bincount(tokens, minlength=size) + 1.0)
