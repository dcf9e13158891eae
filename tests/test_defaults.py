"""The defaults of the public functions and settings are those of ``defaults.json``.

Chapters and stored results stand on them, and no other test would notice that one had changed.
"""

import inspect
import json
from importlib import import_module
from pathlib import Path

FILE = Path(__file__).with_name("defaults.json")
PACKAGE = Path(__file__).resolve().parents[1] / "companion"
MODULES = ["metrics", *(f"{folder}.{file.stem}" for folder in ("ner", "objectives", "prompting")
                        for file in sorted((PACKAGE / folder).glob("[!_]*.py")))]


def callables(owner, name):
    """Public functions of a module, its classes, and their public methods, with their names."""
    for key, value in vars(owner).items():
        value = getattr(owner, key) if isinstance(value, classmethod | staticmethod) else value
        if key.startswith("_") or not getattr(value, "__module__", "").startswith("companion"):
            continue
        if inspect.isroutine(value) and name in f"companion.{value.__module__}.":
            yield f"{name}{key}", value
        elif inspect.isclass(value) and f"{value.__module__}." == f"companion.{name}":
            yield f"{name}{key}", value
            yield from callables(value, f"{name}{key}.")
        elif inspect.isroutine(value) and inspect.isclass(owner):
            yield f"{name}{key}", value


def found() -> dict[str, dict]:
    every = {}
    for module in MODULES:
        for name, value in callables(import_module(f"companion.{module}"), f"{module}."):
            defaults = {p.name: p.default for p in inspect.signature(value).parameters.values()
                        if isinstance(p.default, int | float | str)}
            if defaults:
                every[name] = defaults
    return every


def test_the_defaults_are_as_they_were():
    """What is new is not in the file yet: ``python tests/test_defaults.py`` writes it again."""
    pinned, now = json.loads(FILE.read_text(encoding="utf-8")), found()
    assert {name: {key: now.get(name, {}).get(key) for key in own}
            for name, own in pinned.items()} == pinned


if __name__ == "__main__":
    lines = (f"{json.dumps(name)}: {json.dumps(own)}" for name, own in sorted(found().items()))
    FILE.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
