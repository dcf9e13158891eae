"""Pretraining runs of seconds, each in a process of its own that can be killed.

    python tests/tiny_runs.py '[{"out": "a"}, {"out": "b", "kill": "step"}]'

One process for every run of the list, one after the other. They are forked, so that what
takes seconds (importing torch) is done once. The last line of the output is a list: for
every run the exit code (-9 when it was killed) and the message of its error, if any.
"""

import json
import os
import signal
import socket
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

import tiny
import torch

from companion import corpora, storage
from companion.errors import CourseError
from companion.objectives import masked
from companion.pretraining import Recipe, loop, pretrain

SAVE_EVERY, STEPS, KILLED_AT = 10, 50, 33


GPT = {"n_embd": 16, "n_layer": 1, "n_head": 2, "n_positions": 16}
T5 = {"d_model": 16, "d_kv": 8, "d_ff": 32, "num_layers": 1, "num_decoder_layers": 1,
      "num_heads": 2}


def recipe(**training) -> Recipe:
    """A model of one layer on rows of 16 tokens; dropout is on, as its stream must resume.

    ``objective``: "masked" trains a BERT, "causal" a GPT with byte-level BPE, "spans" a T5.
    """
    objective = training.pop("objective", "masked")
    training = {"tokens": STEPS * 8 * 16, "rows": 8, "rate": 1e-2, "precision": "no",
                "evaluate_every": 25, "save_every": SAVE_EVERY, "dropout": 0.1} | training
    shape = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
             "intermediate_size": 32, "max_position_embeddings": 32,
             "hidden_dropout_prob": training["dropout"],
             "attention_probs_dropout_prob": training.pop("dropout")}
    model = {"masked": {"vocabulary": 120, "config": shape},
             "causal": {"vocabulary": 300, "tokenizer": "bpe", "kind": "gpt2", "config": GPT},
             "spans": {"vocabulary": 120, "kind": "t5", "config": T5}}[objective]
    if objective == "causal" and hasattr(torch.optim, "Muon"):
        training = {"matrix_rate": 1e-2} | training  # its momentum must survive a kill too
    return Recipe.from_dict({
        "name": training.pop("name", "tiny"), "training": training, "objective": objective,
        "model": model, "text": {"row_length": 16},
    })


def use_tiny_corpora() -> None:
    splits = {"train": tiny.texts(150, 1), "validation": tiny.texts(20, 2),
              "test": tiny.texts(20, 3)}
    corpora.movie_reviews = lambda: {name: {"text": list(t)} for name, t in splits.items()}


# --- kills --------------------------------------------------------------------------------


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def before(place, name: str, when, half=lambda *_: None) -> None:
    """Kill this process when ``place.name`` is called with arguments that ``when`` accepts;
    ``half`` first does a part of the work."""
    original = getattr(place, name)

    def watched(*arguments, **settings):
        if when(*arguments):
            half(*arguments)
            die()
        return original(*arguments, **settings)

    setattr(place, name, watched)


def half_a_state(data, path) -> None:
    Path(path).write_bytes(os.urandom(5000))


def half_a_removal(folder) -> None:
    (folder / "state.pt").unlink()


def is_state(path, step: int) -> bool:
    return Path(path).name.startswith(f"step-{step:07d}")


KILLS = {
    "step": lambda: before(loop._Run, "one_step", lambda run: run.step == KILLED_AT),
    "first steps": lambda: before(loop._Run, "one_step", lambda run: run.step == 7),
    "writing": lambda: before(torch, "save", lambda data, path: data["step"] == 30, half_a_state),
    "hashing": lambda: before(storage, "sha256", lambda path: path.name == "state.pt"
                              and is_state(path.parents[1].name.removeprefix("."), 30)),
    "renaming": lambda: before(os, "replace", lambda old, new: is_state(new, 30)),
    "pruning": lambda: before(storage, "remove", lambda path: is_state(path, 10), half_a_removal),
    "model": lambda: before(os, "replace", lambda old, new: new.name == "model"),
    "packing": lambda: before(os, "replace", lambda old, new: new.name == "packed"),
    "packed": lambda: before(storage, "write_text", lambda path, *_: path.name == "recipe.json"),
}


# --- runs ---------------------------------------------------------------------------------


class AsTwoProcesses(masked.MaskedLM):
    """Masks one batch as two processes would mask their halves of it."""

    def __call__(self, rows, number=0):
        halves = [masked.MaskedLM.__call__(self, rows[r::2], 2 * number + r) for r in range(2)]
        return {name: torch.cat([half[name] for half in halves]) for name in halves[0]}


def run(out: str, kill: str = "", as_two: bool = False, **training) -> str:
    """Pretrain; gives the message of the error, or an empty text."""
    use_tiny_corpora()
    if kill:
        KILLS[kill]()
    if as_two:
        original = loop._Run.one_step

        def one_step(self):
            self.collator.__class__ = AsTwoProcesses
            return original(self)

        loop._Run.one_step = one_step
    try:
        pretrain(recipe(**training), out, progress=False)
    except CourseError as problem:
        return str(problem)
    return ""


def forked(settings: dict, environment: dict[str, str]) -> tuple[int, int]:
    """Start a run in a process of its own: its id, and where its message can be read."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        code = 1
        try:
            os.environ.update(environment)
            os.write(writing, run(**settings).encode())
            code = 0
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
    os.close(writing)
    return child, reading


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def job(settings: dict) -> list:
    """One run, in ``processes`` processes that find each other as torchrun's do."""
    world = settings.pop("processes", 1)
    common = {"WORLD_SIZE": str(world), "MASTER_ADDR": "127.0.0.1",
              "MASTER_PORT": str(free_port())} if world > 1 else {}
    started = [forked(settings, common and {**common, "RANK": str(rank), "LOCAL_RANK": str(rank)})
               for rank in range(world)]
    results = []
    for child, reading in started:
        with os.fdopen(reading) as pipe:
            message = pipe.read()
        results.append([os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), message])
    return max(results)  # the same for all of them, where all is well


if __name__ == "__main__":
    listed = json.loads(sys.argv[1])
    if "WORLD_SIZE" in os.environ:  # started by accelerate: this is one of several processes
        sys.exit(run(**listed[0]) or 0)
    print(json.dumps([job(settings) for settings in listed]))
