"""States to resume a run from: the newest whole one is used, the old ones are deleted."""

from collections.abc import Callable
from pathlib import Path

from companion import storage
from companion.errors import CourseError

KEEP = 2  # the newest state may turn out damaged; the one before it is still there


def newest(folder: Path) -> tuple[Path | None, list[str]]:
    """The newest whole state under ``folder`` and messages about damaged ones passed over."""
    warnings = []
    for state in reversed(_states(folder)):
        try:
            storage.verify(state, "the state before it is used")
            return state, warnings
        except CourseError as problem:
            warnings.append(str(problem))
    if warnings:
        raise CourseError(f"no state in {folder.name} is whole: move its folders step-* elsewhere "
                          "to begin again")
    return None, warnings


def write(folder: Path, fill: Callable[[Path], object]) -> None:
    """Write a folder of a run, whose state was damaged or was edited: that one is kept."""
    storage.set_aside(folder)
    storage.write_folder(folder, fill)


def _states(folder: Path) -> list[Path]:
    found = [p for p in folder.glob("step-*") if p.name.removeprefix("step-").isdigit()]
    return sorted(found, key=lambda p: int(p.name.removeprefix("step-")))


def prune(folder: Path) -> None:
    """Delete all states but the newest ``KEEP``; one that holds anything else stays."""
    for old in _states(folder)[:-KEEP]:
        storage.remove(old)


def delete(folder: Path) -> None:
    """Delete the states and the log of a run, and its folder if nothing else is in it."""
    for old in _states(folder):
        storage.remove(old)
    (folder / "log.jsonl").unlink(missing_ok=True)
    if not any(folder.iterdir()):
        folder.rmdir()
