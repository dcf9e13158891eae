"""Packed rows as a few files, so that a machine without the texts can train on them.

``python -m companion pack RECIPE --text FOLDER --out FOLDER`` writes them on one machine;
``python -m companion pretrain RECIPE --rows FILE ...`` reads them on another, which needs torch
and transformers, but neither the texts nor ``datasets``.
"""

import os
import zipfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

from companion import storage
from companion.errors import CourseError

LARGEST = 25 * 2**20  # bytes of rows in one file before compression, so it is smaller still
ROWS, PLACE = "train.npy", "part"


def write_parts(packed: Path, folder: Path, name: str, largest: int = LARGEST) -> list[Path]:
    """The folder of packed rows as files ``NAME-0.npz``, ``NAME-1.npz``, ...

    The first one also holds the other files of the folder (tokenizer, validation rows, counts).

    Args:
        packed: the folder ``packed`` of a run.
        largest: bytes of rows in one file, at least one row.

    Raises:
        CourseError: the folder is damaged, or one of the files is already there.
    """
    storage.verify(packed, "delete it and run again, to pack the text again")
    rows = np.load(packed / ROWS)
    each = max(1, largest // rows[0].nbytes)
    parts = [rows[at : at + each] for at in range(0, len(rows), each)]
    files = [folder / f"{name}-{number}.npz" for number in range(len(parts))]
    if there := [file.name for file in files if file.exists()]:
        raise CourseError(f"{folder} has a file {there[0]} already: name another --out folder")
    others = {file.name: np.frombuffer(file.read_bytes(), np.uint8)
              for file in sorted(packed.iterdir()) if file.name not in (ROWS, storage.MANIFEST)}
    try:
        for number, (file, part) in enumerate(zip(files, parts)):
            place, extra = np.array([number, len(parts)]), others if number == 0 else {}
            storage.write_file(file, partial(_write_part, {ROWS: part, PLACE: place, **extra}))
    except BaseException:
        for file in filter(os.path.isfile, files):  # none of them was there before
            file.unlink()
        raise
    return files


def _write_part(arrays: dict[str, np.ndarray], file: Path) -> None:
    with open(file, "wb") as handle:  # by its name, numpy would call it .npz
        np.savez_compressed(handle, **arrays)


def read_parts(files: Sequence[str | Path], into: Path) -> None:
    """Write the folder of packed rows again, into an empty folder.

    Raises:
        CourseError: a file that is missing, damaged or no part of packed rows; parts that are
            missing, doubled or out of order.
    """
    found = [_part(Path(file)) for file in files]
    places = [tuple(int(value) for value in part[PLACE]) for part in found]
    if places != [(number, places[0][1]) for number in range(places[0][1])]:
        given = ", ".join(f"{number + 1} of {total}" for number, total in places)
        raise CourseError(f"--rows has the parts {given}: give every part once, in order")
    np.save(into / ROWS, np.concatenate([part[ROWS] for part in found]))
    for name, content in found[0].items():
        if name not in (ROWS, PLACE):
            (into / Path(name).name).write_bytes(content.tobytes())


def _part(file: Path) -> dict[str, np.ndarray]:
    try:
        with open(file, "rb") as handle, np.load(handle) as archive:
            part = {name: archive[name] for name in archive.files}
        if part[ROWS].ndim == 2 and part[PLACE].shape == (2,):
            return part
    except (OSError, ValueError, KeyError, EOFError, AttributeError, zipfile.BadZipFile):
        pass
    raise CourseError(f"{file} is no part of packed rows, or damaged: write it again with "
                      "'python -m companion pack'")
