"""The options that every program here has: where it writes, and its smallest setting."""

import argparse
from collections.abc import Callable
from pathlib import Path

RESULTS = Path(__file__).with_name("results")


def options(text: str | None) -> argparse.ArgumentParser:
    """A parser with ``--out`` and ``--smallest``; the first line of ``text`` is the help."""
    parser = argparse.ArgumentParser(description=(text or "").partition("\n")[0])
    parser.add_argument("--out", type=Path, default=RESULTS, metavar="FOLDER",
                        help="where the results go (benchmarks/results)")
    parser.add_argument("--smallest", action="store_true",
                        help="as little of everything as will do, to try the program")
    return parser


def parsed(parser: argparse.ArgumentParser, *modules: dict) -> argparse.Namespace:
    """The arguments; each of the modules (their ``globals()``) is set accordingly.

    With ``--smallest`` the names in a module's SMALLEST get the values that they have there. OUT,
    the file of the results, lies in the folder of ``--out``.
    """
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    for names in modules:
        if given.smallest:
            names.update(names["SMALLEST"])
        if "OUT" in names:
            names["OUT"] = given.out / names["OUT"].name
    return given


def few(load: Callable, count: int) -> Callable:
    """A corpus of which every split has its first ``count`` rows only."""
    def loaded(*arguments, **named) -> dict:
        return {split: part[:count] if isinstance(part, list)
                else part.select(range(min(count, len(part))))
                for split, part in load(*arguments, **named).items()}
    return loaded
