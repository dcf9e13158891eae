"""Three families, one budget: what each finished run can do. One JSON line a run.

    python benchmarks/families_measure.py --runs FOLDER      resumes; --seconds N stops after N

All models answer the same questions about the same reviews of IMDB: classification by a linear
probe (2,000 reviews of the training split, 1,000 of the test split), a hidden token in the
middle of 1,000 test reviews, and continuations of the beginnings of 200. Beside them stand
what needs no network ("baseline") and a BERT with random weights ("untrained").
"""

import copy
import json
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import families_questions
import numpy as np
import torch
import transformers
from families_questions import (
    AT,
    COUNTED,
    LENGTH,
    PROMPT,
    PROMPTS,
    TEST,
    TRAIN,
    WRITTEN,
    Questions,
    questions,
)
from options import options, parsed
from scipy import sparse
from sklearn.linear_model import LogisticRegression
from torch.utils.flop_counter import FlopCounterMode
from transformers import PreTrainedTokenizerFast

from companion import abilities, metrics, rerun
from companion.families import kind_of
from companion.objectives import spans
from companion.pretraining import build
from companion.pretraining.recipe import Recipe
from companion.pretraining.tasks import TASKS

OUT = Path(__file__).with_name("results") / "families.jsonl"
KEPT = 20  # steps whose rows are kept for the chapter

SMALLEST = {name: value for name, value in families_questions.SMALLEST.items() if name.isupper()}

# --- a run --------------------------------------------------------------------------------


def load(folder: Path):
    config = json.loads((folder / "config.json").read_text(encoding="utf8"))
    with build.quiet():
        model = getattr(transformers, config["architectures"][0]).from_pretrained(
            folder, dtype=torch.float32, attn_implementation="eager")
    return model.eval(), PreTrainedTokenizerFast.from_pretrained(folder)


def abilities_of(model, tokenizer, asked: Questions) -> dict:
    """All measures of a model."""
    if {t: i for t, i in tokenizer.get_vocab().items() if i < len(asked.shares)} != {
            t: i for t, i in asked.tokenizer.get_vocab().items() if i < len(asked.shares)}:
        raise SystemExit("the runs have different vocabularies: train them with one recipe text")
    fast = copy.deepcopy(model).bfloat16()  # for the probe's vectors, half the time
    train, test = (abilities.features(fast, tokenizer, texts, LENGTH)
                   for texts, _ in (asked.train, asked.test))
    ranks, nats = abilities.fill_in(model, tokenizer, asked.rows, AT)
    written = abilities.continuations(model, tokenizer, asked.prompts, WRITTEN)
    found = {"classification": metrics.probe(train, asked.train[1], test, asked.test[1]),
             **filled(ranks, nats), **wrote(asked, written)}
    if kind_of(model) == "masked":
        loss = metrics.masked_lm(model, tokenizer, asked.test[0][:200], rows=256)
        found["masked_loss"] = loss["loss"]
    if kind_of(model) == "spans":
        found |= by_label(model, tokenizer, asked.rows[:256])
    return found


@torch.inference_mode()
def by_label(model, tokenizer, rows: np.ndarray) -> dict:
    """The loss of span corruption, apart for marks (sentinels and eos), the first token of a
    span, which only the encoder can tell, and the others, which follow one in the decoder.

    "other" is the loss of first tokens when the encoder reads another row than their own. It is
    as low as "first" in a model whose decoder does not use what the encoder read.
    """
    batch = spans.SpanCorruption(tokenizer)(rows)
    labels, nats = batch["labels"], nats_of(model, batch)
    marks = torch.isin(labels, torch.tensor([*spans.sentinels(tokenizer), tokenizer.eos_token_id]))
    first = torch.nn.functional.pad(marks[:, :-1], (1, 0)) & ~marks
    kinds = {"marks": marks, "first": first, "later": ~marks & ~first}
    swapped = {name: tensor if name == "labels" else tensor.roll(1, 0)
               for name, tensor in batch.items()}
    return {**{f"{name}_nats": float(nats[where].mean()) for name, where in kinds.items()},
            "other_nats": float(nats_of(model, swapped)[first].mean()),
            "sentinel_seen": sentinel_seen(model, tokenizer, batch)}


def nats_of(model, batch: dict) -> torch.Tensor:
    return torch.nn.functional.cross_entropy(
        spans.logits(model, batch).mT, batch["labels"], reduction="none")


def sentinel_seen(model, tokenizer, batch: dict) -> float:
    """The attention that a sentinel in the decoder gives to the same one in the encoder, in the
    head that gives most. A head that looks everywhere alike gives about 0.01."""
    read = spans.shift_right(batch["labels"], model.config.decoder_start_token_id,
                             model.config.pad_token_id)
    same = read[:, :, None] == batch["input_ids"][:, None, :]
    asked = torch.isin(read, torch.tensor(spans.sentinels(tokenizer))) & same.any(-1)
    inputs = {name: tensor for name, tensor in batch.items() if name != "labels"}
    layers = model(**inputs, decoder_input_ids=read, output_attentions=True).cross_attentions
    given = torch.stack([(layer * same[:, None]).sum(-1) for layer in layers])
    return float(given.permute(0, 2, 1, 3)[:, :, asked].mean(-1).max())


def filled(ranks: np.ndarray, nats: np.ndarray) -> dict:
    return {"fill_top1": float((ranks < 1).mean()), "fill_top5": float((ranks < 5).mean()),
            "fill_nats": float(nats.mean())}


def wrote(asked: Questions, written: np.ndarray) -> dict:
    return {"bits": abilities.bits(asked.ngrams, asked.prompts, written),
            "repeated": abilities.repeated(written), "samples": asked.readable(written)}


def sizes(model) -> dict:
    tables = {id(m.weight) for m in model.modules() if isinstance(m, torch.nn.Embedding)}
    each = [(id(p), p.numel()) for p in model.parameters()]
    return {"parameters": sum(n for _, n in each),
            "without_embeddings": sum(n for i, n in each if i not in tables)}


def operations(model, tokenizer, recipe: Recipe, rows: np.ndarray) -> float:
    """Of a training step, forward and backward, for each token of its rows."""
    task = TASKS[recipe.objective]
    batch = task.collator(recipe, tokenizer)(rows, 0)
    with FlopCounterMode(display=False) as counter:
        task.loss(model, batch).backward()
    model.zero_grad()
    return counter.get_total_flops() / (len(rows) * recipe.text.row_length)


def run_line(folder: Path, asked: Questions) -> dict:
    variant, _, seed = folder.name.rpartition("-")
    recipe = replace(Recipe.read(f"families-{variant}"), seed=int(seed))
    model, tokenizer = load(folder / "model")
    rows = np.load(folder / "packed" / "train.npy", mmap_mode="r")[: recipe.training.rows]
    return {"variant": variant, "seed": int(seed), **sizes(model),
            "operations": operations(model, tokenizer, recipe, np.array(rows)),
            **abilities_of(model, tokenizer, asked)}


# --- what stands beside the runs ----------------------------------------------------------


def baseline(asked: Questions) -> dict:
    """The largest class, a bag of the same tokens, frequencies of tokens, the real text."""
    train, test = (_bags(asked.tokenizer, texts) for texts, _ in (asked.train, asked.test))
    bag = LogisticRegression(C=0.1, max_iter=1000).fit(train, asked.train[1])
    shares = np.delete(asked.shares, asked.tokenizer.all_special_ids)
    order = {token: i for i, (token, _) in enumerate(Counter(
        {t: s for t, s in enumerate(asked.shares)
         if t not in asked.tokenizer.all_special_ids}).most_common())}
    hidden = asked.rows[:, AT]
    drawn = np.random.default_rng(0).choice(
        np.delete(np.arange(len(asked.shares)), asked.tokenizer.all_special_ids),
        (PROMPTS, WRITTEN), p=shares / shares.sum())
    common = Counter(asked.test[1]).most_common(1)[0][1] / len(asked.test[1])
    texts = [*asked.train[0], *asked.test[0]]
    return {"variant": "baseline", "seed": 0, "majority": common,
            "classification": float(bag.score(test, asked.test[1])),
            **filled(np.array([order[t] for t in hidden]),
                     -np.log(asked.shares[hidden] / shares.sum())),
            **wrote(asked, drawn),
            "real": wrote(asked, asked.real()), "prompts": asked.readable(asked.prompts),
            "setting": {"length": LENGTH, "hidden_at": AT, "prompt": PROMPT, "written": WRITTEN,
                        "prompts": PROMPTS, "train": TRAIN, "test": TEST, "counted": COUNTED},
            "longer": abilities.first_tokens(asked.tokenizer, texts, LENGTH)[1] / len(texts)}


def _bags(tokenizer, texts: list[str]) -> sparse.csr_matrix:
    """Which tokens stand among the first LENGTH of each text."""
    rows = [sorted(set(row)) for row in abilities.first_tokens(tokenizer, texts, LENGTH)[0]]
    columns, ends = np.concatenate(rows), np.cumsum([0, *map(len, rows)])
    return sparse.csr_matrix((np.ones(len(columns)), columns, ends), (len(rows), len(tokenizer)))


def untrained(seed: int, asked: Questions) -> dict:
    recipe = replace(Recipe.read("families-bert"), seed=seed)
    torch.manual_seed(seed)
    config = transformers.BertConfig(vocab_size=len(asked.tokenizer), **recipe.model.config)
    model = transformers.BertForMaskedLM(config).eval()
    return {"variant": "untrained", "seed": seed, **sizes(model),
            **abilities_of(model, asked.tokenizer, asked)}


# --- the file -----------------------------------------------------------------------------


def known(file: Path) -> set[tuple[str, int]]:
    lines = file.read_text(encoding="utf8").splitlines() if file.exists() else []
    return {(line["variant"], line["seed"]) for line in map(json.loads, lines)}


def waiting(runs: Path, done: set) -> Iterator[tuple[str, int, Path | None]]:
    """What is still to measure: finished runs, then what stands beside them."""
    folders = sorted(path.parent for path in runs.glob("*-*/model") if path.is_dir())
    each = [(f.name.rpartition("-")[0], int(f.name.rpartition("-")[2]), f) for f in folders]
    beside = [("baseline", 0, None)] + [("untrained", seed, None) for seed in (13, 21, 42)]
    return (job for job in [*each, *beside] if job[:2] not in done)


def _tokenizer(runs: Path) -> PreTrainedTokenizerFast:
    found = sorted(runs.glob("bert-*/model"))
    if not found:
        raise SystemExit("no run of a BERT is finished here: train one first")
    return PreTrainedTokenizerFast.from_pretrained(found[0])


def measure(runs: Path, seconds: float = float("inf"), file: Path | None = None) -> None:
    """Append a line for every run that has none yet; stop after ``seconds``."""
    begin, asked, file = time.perf_counter(), None, file or OUT
    for variant, seed, folder in waiting(runs, known(file)):
        if time.perf_counter() - begin > seconds:
            print("time is up; the same command goes on")
            return
        if asked is None:
            asked = questions(_tokenizer(runs))
        line = run_line(folder, asked) if folder else (
            baseline(asked) if variant == "baseline" else untrained(seed, asked))
        line = {k: round(v, 5) if isinstance(v, float) else v for k, v in line.items()}
        with open(file, "a", encoding="utf8") as handle:
            handle.write(json.dumps(line, ensure_ascii=False) + "\n")
        print(f"{variant}-{seed}: {time.perf_counter() - begin:.0f} s")


def keep_start(runs: Path) -> None:
    """What the chapter needs to repeat the first steps of bert-13."""
    rerun.keep(Recipe.read("families-bert"), runs / "bert-13" / "packed", KEPT,
               OUT.parent / "families" / "start")


if __name__ == "__main__":
    parser = options(__doc__)
    parser.add_argument("--runs", type=Path, default=Path("runs/families"))
    parser.add_argument("--seconds", type=float, default=float("inf"))
    parser.add_argument("--start", action="store_true",
                        help="only keep the start of bert-13 in results/families/start")
    arguments = parsed(parser, globals(), vars(families_questions))
    if arguments.start:
        keep_start(arguments.runs)
    else:
        measure(arguments.runs, arguments.seconds)
