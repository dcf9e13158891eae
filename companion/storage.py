"""Files on disk: whole or not there, and never at the cost of what somebody else wrote.

All that this project writes goes through here. It is first made in a workspace beside its place
(``.NAME.partial``) and then moved there in one step. A folder that is there already is only
replaced when its manifest says that all of it was written here.
"""

import errno
import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

from companion.errors import CourseError

MANIFEST = "sha256.json"
# What a workspace holds: the sign that it is ours, what is being made, what it replaces.
MARK, NEW, OLD = "workspace-of-companion", "new", "old"
SEAL = "<!-- written by python -m companion; sha256 of the lines above: {} -->\n"


def sha256(path: Path) -> str:
    """The SHA-256 of a file, as hexadecimal digits."""
    digest = hashlib.sha256()
    with open(path, "rb") as handle:
        while block := handle.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


# --- where may be written ---------------------------------------------------------------------


def folder_for(path: str | Path, carried: Collection[str] = ()) -> Path:
    """The place of a folder that may be written: a link is followed, and nothing is lost there.

    Args:
        carried: names of files that the new folder will hold too, so that they may be there.

    Raises:
        CourseError: a file; the working folder; a folder without write permission, or with
            anything that its manifest does not list as it is now.
    """
    folder = _resolved(path)
    if not os.path.lexists(folder):
        return folder
    if not folder.is_dir():
        raise CourseError(f"{path} is a file: name a folder")
    if folder in (here := Path.cwd(), *here.parents):
        raise CourseError(f"{path} is the folder that you are working in: name a folder in it")
    if not os.access(folder, os.W_OK):
        raise CourseError(f"{path} is write-protected: name another folder")
    _refuse_foreign(path, (name for name in foreign(folder) if name not in carried))
    return folder


def file_for(path: str | Path) -> Path:
    """The place of a file that may be written; a link is followed.

    Raises:
        CourseError: a folder, or a file without write permission.
    """
    file = _resolved(path)
    if file.is_dir():
        raise CourseError(f"{path} is a folder: name another file")
    if file.exists() and not os.access(file, os.W_OK):
        raise CourseError(f"{path} is write-protected: name another file")
    return file


def page_for(path: str | Path) -> Path:
    """The place of an HTML page, whose last line says whether it may be replaced.

    Raises:
        CourseError: see `file_for`; a file that was not written here, or was edited since.
    """
    file = file_for(path)
    text = file.read_bytes().decode(errors="replace") if file.is_file() else ""
    if text and not is_sealed(text):
        raise CourseError(f"{path} is there already and was not written by this command, or was "
                          "edited since: name another file")
    return file


def foreign(folder: Path, copy: Path | None = None) -> Iterator[str]:
    """What lies in a folder without being listed in its manifest as it is now.

    ``copy``: a folder whose files are not missed when they lie in ``folder`` too, unchanged.
    """
    listed = _manifest(folder)
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink():
            known = False
        elif path.is_dir():
            known = any(other.startswith(f"{name}/") for other in listed)
        elif name == MANIFEST:
            known = bool(listed)
        else:
            known = (name in listed and sha256(path) == listed[name]) or (
                copy is not None and (copy / name).is_file()
                and sha256(copy / name) == sha256(path))
        if not known:
            yield name


def _refuse_foreign(path: str | Path, names: Iterator[str]) -> None:
    if found := list(islice(names, 4)):
        there = ", ".join(found[:3]) + (", ..." if len(found) > 3 else "")
        raise CourseError(f"{path} holds what was not saved there by this course, or was changed "
                          f"since ({there}): name a new folder, such as {Path(path) / 'saved'}")


def _resolved(path: str | Path) -> Path:
    if not isinstance(path, (str, Path)) or not str(path).strip():
        shown = repr(path) if isinstance(path, str) else f"a {type(path).__name__}"
        raise CourseError(f"the name of what is written is {shown}: name a file or a folder")
    try:
        return Path(path).resolve()
    except (OSError, RuntimeError, ValueError) as problem:  # links in a circle; a NUL
        raise CourseError(f"{str(path)!r} cannot be written ({problem}): give another name") \
            from None


def run_folder(path: str | Path, sign: str, *names: str) -> Path:
    """The folder of a run, which may hold other things, if only under other names.

    Args:
        sign: pattern of what is there once a run has begun: then the names are its own.
        names: patterns of what a run writes and replaces.

    Raises:
        CourseError: a file; a folder without write permission; one of the names, of another
            origin.
    """
    folder = _resolved(path)
    if os.path.lexists(folder) and not folder.is_dir():
        raise CourseError(f"{path} is a file: name a folder")
    if folder.is_dir() and not os.access(folder, os.W_OK):
        raise CourseError(f"{path} is write-protected: name another folder")
    there = [found.name for name in names for found in folder.glob(name)]
    if there and not any(folder.glob(sign)):
        raise CourseError(f"{path} holds {there[0]}, but no run that this course has begun: name "
                          "another folder")
    return Path(path)


# --- writing ----------------------------------------------------------------------------------


def write_folder(path: str | Path, fill: Callable[[Path], object],
                 carried: Collection[str] = ()) -> None:
    """Make a folder in one move: ``fill`` writes into an empty one, a manifest comes last.

    A kill at any moment leaves the old folder, the new one or none, never a part of one.

    Args:
        carried: names of files that ``fill`` copies from the folder that is replaced.

    Raises:
        CourseError: see `folder_for`; a full disk, or no permission.
    """
    folder = folder_for(path, carried)
    with reported(path), _workspace(folder) as work:
        new = work / NEW
        new.mkdir()
        fill(new)
        _seal(new)
        if folder.is_dir():
            _refuse_foreign(path, foreign(folder, new))
            os.replace(folder, work / OLD)  # a rename cannot replace a folder that is not empty
        os.replace(new, folder)


def _seal(folder: Path) -> None:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    hashes = {path.relative_to(folder).as_posix(): sha256(path) for path in files}
    (folder / MANIFEST).write_text(json.dumps(hashes, indent=1) + "\n", encoding="utf8")
    for path in (*files, folder / MANIFEST):
        _settle(path)


def write_file(path: str | Path, fill: Callable[[Path], object]) -> None:
    """Make or replace a file in one move: ``fill`` writes another one, of the given name.

    Raises:
        CourseError: see `file_for`; a full disk, or no permission.
    """
    file = file_for(path)
    with reported(path), _workspace(file) as work:
        fill(work / NEW)
        _settle(work / NEW)
        os.replace(work / NEW, file)


def write_text(path: str | Path, text: str) -> None:
    """`write_file` with a text, as UTF-8. A pipe or a device is written to as it is."""
    file = file_for(path)
    if file.exists() and not file.is_file():
        with reported(path), open(file, "w", encoding="utf8") as handle:
            handle.write(text)
    else:
        write_file(path, lambda new: new.write_text(text, encoding="utf8"))


def write_page(path: str | Path, html: str) -> None:
    """`write_text` with a page that the next one may replace; see `page_for`."""
    page_for(path)
    write_text(path, sealed(html))


def append_line(path: Path, line: str) -> None:
    """Add a line to a file of ours, such as a log."""
    with reported(path), open(path, "a", encoding="utf8") as handle:
        handle.write(line + "\n")


def make_folder(path: str | Path) -> Path:
    """A folder that may hold other things too; it stays as it is where it is there already.

    Raises:
        CourseError: a file is in its place, or no permission.
    """
    with reported(path):
        Path(path).mkdir(parents=True, exist_ok=True)
    return Path(path)


def _settle(path: Path) -> None:
    with open(path, "rb") as handle:
        os.fsync(handle.fileno())


@contextmanager
def reported(path: str | Path) -> Iterator[None]:
    """Around calls that write: what the disk refuses becomes one line."""
    try:
        yield
    except Exception as problem:  # those of tokenizers are of no other class
        number = _number(problem)
        if isinstance(problem, (CourseError, BrokenPipeError)) or number is None:
            raise
        reason = os.strerror(number) if number else "the disk refused it"
        room = "make room on the disk, or " if number in (0, errno.ENOSPC, errno.EDQUOT) else ""
        raise CourseError(f"{path} cannot be written ({reason}): {room}name another place") \
            from None


def _number(problem: Exception) -> int | None:
    """The error number of what the disk refused, 0 where a library keeps it; None of others."""
    if isinstance(problem, OSError):
        return problem.errno or 0
    if found := re.search(r"\(os error (\d+)\)", str(problem)):  # of safetensors, tokenizers
        return int(found.group(1))
    return 0 if "inline_container" in str(problem) else None  # of torch.save


# --- workspaces -------------------------------------------------------------------------------


@contextmanager
def _workspace(target: Path) -> Iterator[Path]:
    """A folder beside ``target`` to make it in. It goes when it is left, however that comes."""
    work = target.with_name(f".{target.name}.partial")
    if os.path.lexists(work):
        if not _is_workspace(work):
            raise CourseError(f"{work} is in the way and not of this course: move it elsewhere")
        _clear(work, target)  # left by a kill
    made = [parent for parent in work.parents if not parent.exists()]
    try:
        work.mkdir(parents=True)
        (work / MARK).touch()
        yield work
    finally:
        _clear(work, target)
        for parent in made:
            if parent.is_dir() and not any(parent.iterdir()):
                parent.rmdir()


def _is_workspace(work: Path) -> bool:
    if work.is_symlink() or not work.is_dir():
        return False
    names = {path.name for path in work.iterdir()}
    return not names or (MARK in names and names <= {MARK, NEW, OLD})


def _clear(work: Path, target: Path) -> None:
    """Remove a workspace. What it was to replace goes back where nothing has replaced it."""
    if not work.is_dir():
        return
    if (work / OLD).exists() and not os.path.lexists(target):
        os.replace(work / OLD, target)
    for part in (work / OLD, work / NEW, work / MARK):  # the sign goes last
        if part.is_dir():
            shutil.rmtree(part, ignore_errors=True)
        else:
            part.unlink(missing_ok=True)
    work.rmdir()


def recover(path: str | Path) -> None:
    """Put a folder back that a kill has caught between being moved aside and replaced."""
    target = Path(os.path.realpath(path))
    work = target.with_name(f".{target.name}.partial") if target.name else target
    if not os.path.lexists(target) and os.path.isdir(work / OLD) and _is_workspace(work):
        _clear(work, target)


# --- what was written -------------------------------------------------------------------------


def _manifest(folder: Path) -> dict[str, str]:
    """The hash of each file by its name; none where there is no readable manifest."""
    try:
        hashes = json.loads((folder / MANIFEST).read_text(encoding="utf8"))
    except (OSError, ValueError):  # not there; not UTF-8; not JSON
        return {}
    return hashes if isinstance(hashes, dict) else {}


def verify(folder: Path, cure: str = "restore it with git, or fetch it again") -> None:
    """Compare every file with the manifest. ``cure`` ends the message of an error.

    Raises:
        CourseError: no manifest, a missing file, or one whose hash differs.
    """
    hashes = _manifest(folder)
    if not hashes:
        raise CourseError(f"{folder.name} has no readable {MANIFEST}: {cure}")
    for name, expected in hashes.items():
        path = folder / name
        if not path.is_file():
            raise CourseError(f"{folder.name}/{name} is missing: {cure}")
        if sha256(path) != expected:
            raise CourseError(
                f"{folder.name}/{name} is damaged (its SHA-256 differs from {MANIFEST}): {cure}"
            )


def remove(folder: Path) -> None:
    """Delete a folder of ours, the manifest last; one with anything else in it stays."""
    if any(foreign(folder)):
        return
    for name in _manifest(folder):
        (folder / name).unlink(missing_ok=True)
    (folder / MANIFEST).unlink(missing_ok=True)
    folders = sorted((path for path in folder.rglob("*") if path.is_dir()), reverse=True)
    for inner in (*folders, folder):
        inner.rmdir()


def set_aside(path: Path) -> None:
    """Make room for a folder: what is there and could not be replaced gets another name."""
    if not os.path.lexists(path) or (path.is_dir() and not any(foreign(path))):
        return
    number = 1
    while os.path.lexists(aside := path.with_name(f"{path.name}.aside-{number}")):
        number += 1
    os.replace(path, aside)


def sealed(text: str) -> str:
    """The text of a page with a last line by which `is_sealed` knows it again."""
    return text + SEAL.format(hashlib.sha256(text.encode()).hexdigest())


def is_sealed(text: str) -> bool:
    """Whether this is a page that was written here and not edited since."""
    above = text.removesuffix("\n").rpartition("\n")[0]
    return text == sealed(above + "\n")
