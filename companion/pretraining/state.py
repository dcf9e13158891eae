"""Files that are whole or not there: atomic writing, hashes, states to resume from."""

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from companion.errors import CourseError

MANIFEST = "sha256.json"
KEEP = 2  # the newest state may turn out damaged; the one before it is still there


def sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as handle:
        while block := handle.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def write_text(path: Path, text: str) -> None:
    """Replace a file in one move, so that a reader never sees half of it."""
    partial = path.with_name(path.name + ".partial")
    with open(partial, "w", encoding="utf8") as handle:
        handle.write(text)
        handle.flush()
        os.fsync(handle.fileno())
    os.replace(partial, path)


def write_folder(folder: Path, fill: Callable[[Path], None]) -> None:
    """Make a folder in one move: ``fill`` writes into a temporary one beside it.

    A manifest of SHA-256 hashes is added last. A kill at any moment leaves either no
    folder or a whole one; an unfinished ``.partial`` folder is ignored and overwritten.
    """
    partial = folder.with_name(folder.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    fill(partial)
    names = sorted(p.name for p in partial.iterdir())
    hashes = {name: sha256(partial / name) for name in names}
    write_text(partial / MANIFEST, json.dumps(hashes, indent=1) + "\n")
    for name in names:
        with open(partial / name, "rb") as handle:
            os.fsync(handle.fileno())
    old = folder.with_name(folder.name + ".old.partial")
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():  # a rename cannot replace a folder that is not empty
        os.replace(folder, old)
    os.replace(partial, folder)
    shutil.rmtree(old, ignore_errors=True)


def verify(folder: Path, cure: str = "restore it with git, or fetch it again") -> None:
    """Compare every file with the manifest. ``cure`` ends the message of an error.

    Raises:
        CourseError: no manifest, a missing file, or one whose hash differs.
    """
    try:
        hashes = json.loads((folder / MANIFEST).read_text(encoding="utf8"))
    except (OSError, ValueError):  # not there; not UTF-8; not JSON
        hashes = None
    if not isinstance(hashes, dict) or not hashes:
        raise CourseError(f"{folder.name} has no readable {MANIFEST}: {cure}")
    for name, expected in hashes.items():
        path = folder / name
        if not path.is_file():
            raise CourseError(f"{folder.name}/{name} is missing: {cure}")
        if sha256(path) != expected:
            raise CourseError(
                f"{folder.name}/{name} is damaged (its SHA-256 differs from {MANIFEST}): {cure}"
            )


def newest(folder: Path) -> tuple[Path | None, list[str]]:
    """The newest whole state under ``folder`` and messages about damaged ones passed over."""
    warnings = []
    for state in reversed(_states(folder)):
        try:
            verify(state, "the state before it is used")
            return state, warnings
        except CourseError as problem:
            warnings.append(str(problem))
    if warnings:
        raise CourseError(f"no state in {folder.name} is whole: delete its folders step-* "
                          "to begin again")
    return None, warnings


def _states(folder: Path) -> list[Path]:
    found = [p for p in folder.glob("step-*") if p.name.removeprefix("step-").isdigit()]
    return sorted(found, key=lambda p: int(p.name.removeprefix("step-")))


def prune(folder: Path) -> None:
    """Delete all states but the newest ``KEEP``."""
    for old in _states(folder)[:-KEEP]:
        shutil.rmtree(old)
