"""Write requirements.txt: the exact versions that are installed and tested here.

    python -m tools.requirements > requirements.txt
    python -m tools.requirements --floors    the lowest version of each range of pyproject.toml

Only what `pyproject.toml` names (with its extra `dev`) and what that needs in turn is
written, so a package that merely lies in the environment does not slip in.
"""

from __future__ import annotations

import sys
import tomllib
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PYPROJECT = Path(__file__).resolve().parent.parent / "pyproject.toml"
HEADER = """\
# The exact set of packages that the course is tested with (Python 3.11, Linux, CPU).
# Made from the environment by `make requirements`; do not edit by hand.
# The companion's own ranges are in pyproject.toml; on Colab only those count.
"""
# Parts of CUDA builds of PyTorch: they exist on some systems only, and torch asks for them.
PLATFORM_ONLY = ("nvidia-", "triton", "cuda-")


def direct(extras: tuple[str, ...] = ("dev",)) -> list[Requirement]:
    """What pyproject.toml asks for: the companion's dependencies and those of its extras."""
    project = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["project"]
    lines = list(project["dependencies"])
    for extra in extras:
        lines += project["optional-dependencies"][extra]
    return [Requirement(line) for line in lines]


def closure(wanted: list[Requirement]) -> dict[str, str]:
    """Names and installed versions of the wanted packages and of all that they need."""
    found: dict[str, str] = {}
    seen: set[tuple[str, str]] = set()
    queue = [(requirement, "") for requirement in wanted]
    while queue:
        requirement, extra = queue.pop()
        if requirement.marker and not requirement.marker.evaluate({"extra": extra}):
            continue
        name = canonicalize_name(requirement.name)
        if name.startswith(PLATFORM_ONLY):
            continue
        for part in ("", *requirement.extras):
            if (name, part) in seen:
                continue
            seen.add((name, part))
            found[name] = version(name).partition("+")[0]
            queue += [(Requirement(line), part) for line in requires(name) or []]
    return found


def floors() -> list[str]:
    """Pins on the lowest version of each range."""
    return [f"{need.name}=={part.version}" for need in direct() for part in need.specifier
            if part.operator in (">=", "==")]


def main(arguments: list[str]) -> None:
    """Print the file, or the floors."""
    if arguments == ["--floors"]:
        print("\n".join(floors()))
        return
    try:
        pins = closure(direct())
    except PackageNotFoundError as error:
        raise SystemExit(f"{error.name} is not installed here: run `make test` first") from None
    print(HEADER + "\n".join(f"{name}=={pins[name]}" for name in sorted(pins)))


if __name__ == "__main__":
    main(sys.argv[1:])
