"""Nothing is lost: every writer of the project, on what somebody else wrote, and stopped."""

import ast
import errno
import os
import resource
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest
import tiny
import tiny_ner
from accelerate.state import AcceleratorState

from companion import corpora, rerun, storage
from companion.__main__ import main
from companion.errors import CourseError
from companion.ner import training
from companion.ner.tagger import AlbertTagger
from companion.pretraining import Recipe, parts, pretrain, state
from tools import notebooks, pages, ship

RECIPE = """name = "tiny"
[text]
row_length = 16
[model]
vocabulary = 120
config = { hidden_size = 16, num_hidden_layers = 1, num_attention_heads = 2 }
[training]
tokens = 1000
rows = 8
precision = "no"
"""


# --- the writers: each is given a place and writes there ----------------------------------------


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """What the writers read: a tagger, its folder, a finished run, its rows, a recipe's file."""
    folder = tmp_path_factory.mktemp("made")
    patch = pytest.MonkeyPatch()
    patch.setattr(corpora, "movie_reviews", lambda: {
        split: {"text": tiny.texts(40, seed)}
        for seed, split in enumerate(("train", "validation", "test"))})
    (folder / "recipe.toml").write_text(RECIPE)
    AcceleratorState._reset_state()
    pretrain(Recipe.read(folder / "recipe.toml"), folder / "run", progress=False)
    tagger = tiny_ner.tagger(folder / "encoder")
    tagger.save(folder / "tagger")
    rerun.keep(Recipe.read(folder / "recipe.toml"), folder / "run" / "packed", 1, folder / "start")
    yield folder
    patch.undo()


def save(made, place):
    AlbertTagger.from_pretrained(made / "tagger").save(place)


def train(made, place):
    AcceleratorState._reset_state()
    tagger = AlbertTagger.from_pretrained(made / "tagger")
    training.train(tagger, tiny_ner.examples(8), tiny_ner.examples(4, 1),
                   training.Settings(epochs=1, size=8, precision="no"), place, progress=False)


def command(*arguments):
    def write(made, place):
        words = [word.format(made=made, place=place) for word in arguments]
        if code := main(words):
            raise CourseError(f"exit code {code}")
    return write


def run_model(made, place):
    AcceleratorState._reset_state()
    pretrain(Recipe.read(made / "recipe.toml"), place, progress=False)


def ship_run(made, place):
    before, ship.MODELS = ship.MODELS, Path(place).parent
    try:
        ship.ship(made / "run", Path(place).name)
    finally:
        ship.MODELS = before


def rehash(made, place):
    before, ship.MODELS = ship.MODELS, Path(place).parent
    try:
        ship.rehash(Path(place).name)
    finally:
        ship.MODELS = before


def keep_start(made, place):
    rerun.keep(Recipe.read(made / "recipe.toml"), made / "run" / "packed", 1, place)


def use_start(made, place):
    short = rerun.beginning(Recipe.read(made / "recipe.toml"), 1, made / "start")
    rerun.prepare(short, made / "start", Path(place))


FOLDERS = {
    "save": save, "train": train, "pretrain()": run_model, "ship": ship_run, "rehash": rehash,
    "pretrain": command("pretrain", "{made}/recipe.toml", "--out", "{place}"),
    "pack": command("pack", "{made}/recipe.toml", "--out", "{place}"),
    "rerun.keep": keep_start, "rerun.prepare": use_start,
    "write_parts": lambda made, place: parts.write_parts(made / "run" / "packed", Path(place), "a"),
    "write_folder": lambda made, place: storage.write_folder(place, fill),
}
FILES = {
    "--html": command("ner", "北京", "--model", "{made}/tagger", "--html", "{place}"),
    "write_page": lambda made, place: storage.write_page(place, "<p>\n" * 200),
}
WRITERS = FOLDERS | FILES


def fill(folder: Path) -> None:
    (folder / "a").write_text("a" * 1000)
    (folder / "b").mkdir()
    (folder / "b" / "c").write_text("c")


# --- what is already there ----------------------------------------------------------------------


def stranger(folder: Path) -> None:
    """Files and folders of somebody else, with the names that ours have."""
    for name in ("thesis.txt", "config.json", "log.jsonl", "sha256.json", "step-0000001/state.pt",
                 "packed/train.npy", "model/config.json", "newest/notes.txt", "a-0.npz",
                 "tagger.json", "README.md", ".proj.partial/old/notes.txt", "empty/x"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text('{"mine": 1}')


def a_folder(place: Path) -> Path:
    stranger(place / "proj")
    return place / "proj"


def a_workspace(place: Path) -> Path:
    stranger(place / ".proj.partial")
    return place / "proj"


def a_file(place: Path) -> Path:
    (place / "proj").write_text("thesis\n")
    return place / "proj"


def the_working_folder(place: Path) -> Path:
    stranger(place)
    return Path(".")


def a_link(place: Path) -> Path:
    stranger(place / "far" / "away")
    (place / "proj").symlink_to(place / "far" / "away")
    return place / "proj"


def an_edited_page(place: Path) -> Path:
    storage.write_page(place / "proj", "<p>\n")
    (place / "proj").write_text("<b>" + (place / "proj").read_text())
    return place / "proj"


def one_of_ours_with_a_note(place: Path) -> Path:
    storage.write_folder(place / "proj", fill)
    (place / "proj" / "b" / "note.txt").write_text("mine")
    return place / "proj"


def one_of_ours_edited(place: Path) -> Path:
    storage.write_folder(place / "proj", fill)
    (place / "proj" / "a").write_text("mine")
    return place / "proj"


PLACES = [a_folder, a_workspace, a_file, the_working_folder, a_link, an_edited_page,
          one_of_ours_with_a_note, one_of_ours_edited]


def contents(place: Path) -> dict[str, bytes | str]:
    """Every file and link below a folder."""
    return {str(path.relative_to(place)): os.readlink(path) if path.is_symlink()
            else path.read_bytes() if path.is_file() else b"" for path in place.rglob("*")}


def refused(call) -> None:
    """The call works, or ends in one line that names a cause and a cure."""
    try:
        call()
    except CourseError as problem:
        assert "\n" not in str(problem) and ": " in str(problem) or "exit code 1" in str(problem)


def lost(before: dict, place: Path) -> set[str]:
    now = contents(place)
    return {name for name, content in before.items() if now.get(name) != content}


@pytest.mark.parametrize("there", PLACES)
@pytest.mark.parametrize("name", WRITERS)
def test_nothing_of_somebody_else_is_lost(name, there, made, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    place = there(tmp_path)
    before = contents(tmp_path)
    refused(lambda: WRITERS[name](made, place))
    assert not lost(before, tmp_path)
    printed = capsys.readouterr().err
    assert "Traceback" not in printed and printed.count("error: ") <= 1


# --- what the disk refuses, and kills -----------------------------------------------------------


@contextmanager
def full_disk(bytes_left: int = 300):
    """No file can be longer: every library meets a true error of the system."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (bytes_left, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


@contextmanager
def write_protected():
    """As root, nothing is: so the system's calls are told to refuse."""
    def refuse(path, *_, **__):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "mkdir", refuse)
        patch.setattr(os, "access", lambda *_, **__: False)
        yield


@contextmanager
def killed():
    """Stopped when the first thing is moved to its place."""
    def stop(*_):
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "replace", stop)
        yield


@pytest.mark.parametrize("trouble", [full_disk, write_protected, killed])
@pytest.mark.parametrize("again", [False, True], ids=["new", "again"])
@pytest.mark.parametrize("name", WRITERS)
def test_a_stopped_writer_leaves_what_was_there(name, again, trouble, made, tmp_path, capsys):
    place = tmp_path / "deep" / "proj"
    if again:
        WRITERS["ship" if name == "rehash" else name](made, place)
    before = contents(tmp_path)
    try:
        with trouble():
            refused(lambda: WRITERS[name](made, place))
    except KeyboardInterrupt:
        pass
    assert "Traceback" not in capsys.readouterr().err
    kept = contents(tmp_path)
    assert not lost(before, tmp_path)
    assert not {name for name in kept if "partial" in name or "aside" in name}
    if not again and name not in ("train", "pretrain", "pretrain()", "pack"):
        assert not kept  # those keep the rows or the state that they have finished


def test_after_a_true_kill_the_old_folder_or_the_new_one_is_whole(tmp_path):
    place, codes, names = tmp_path / "proj", [], []
    while 0 not in codes:
        storage.write_folder(place, fill)
        assert [path.name for path in tmp_path.iterdir()] == ["proj"]
        if not (child := os.fork()):
            die_at(len(codes) + 1)
            storage.write_folder(place, lambda folder: (folder / "new").write_text("b" * 1000))
            os._exit(0)
        codes.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        storage.recover(place)  # what every reader does first
        storage.verify(place)
        names.append(set(contents(place)))
    assert codes[:-1] == [9] * len(codes[:-1]) and len(codes) > 10
    assert names.count({"a", "b", "b/c", storage.MANIFEST}) > 5
    assert names.count({"new", storage.MANIFEST}) > 2 and len(set(map(frozenset, names))) == 2


def die_at(step: int) -> None:
    """Let this process die before its call of the system with this number."""
    count = iter(range(1, 1000))
    for name in ("replace", "mkdir", "rmdir", "unlink", "fsync", "open"):
        setattr(os, name, _counted(getattr(os, name), count, step))


def _counted(original, count, step: int):
    def watched(*arguments, **settings):
        if next(count) == step:
            os._exit(9)
        return original(*arguments, **settings)

    return watched


# --- what a writer may replace ------------------------------------------------------------------


def test_what_was_written_here_is_replaced(made, tmp_path, capsys):
    for name in ("save", "ship", "rerun.keep", "write_folder", "--html", "write_page"):
        for _ in range(2):
            WRITERS[name](made, tmp_path / name)
    (tmp_path / "empty").mkdir()
    save(made, tmp_path / "empty")
    storage.verify(tmp_path / "empty")
    (tmp_path / "link").symlink_to(tmp_path / "save")
    save(made, tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    capsys.readouterr()


def test_a_training_is_not_replaced_by_its_tagger(made, tmp_path):
    train(made, tmp_path / "d")
    before = contents(tmp_path)
    assert any(name.endswith("state.pt") for name in before)
    with pytest.raises(CourseError, match=r"holds .*log.jsonl.*: name a new folder, such as .*d/"):
        save(made, tmp_path / "d")
    assert contents(tmp_path) == before
    save(made, tmp_path / "e")
    train(made, tmp_path / "e")
    assert AlbertTagger.from_pretrained(tmp_path / "e").labels


def test_files_by_hand_of_a_checkpoint_are_carried_over(made, tmp_path):
    ship_run(made, tmp_path / "m")
    (tmp_path / "m" / "README.md").write_text("a card")
    rehash(made, tmp_path / "m")
    (tmp_path / "m" / "README.md").write_text("another card")
    ship_run(made, tmp_path / "m")
    assert (tmp_path / "m" / "README.md").read_text() == "another card"
    (tmp_path / "m" / "notes.txt").write_text("mine")
    for write in (ship_run, rehash):
        with pytest.raises(CourseError, match="notes.txt"):
            write(made, tmp_path / "m")


def test_states_of_somebody_else_are_not_pruned(tmp_path):
    for step in range(1, 6):
        storage.write_folder(tmp_path / f"step-{step}", fill)
    (tmp_path / "step-1" / "b" / "mine").write_text("x")
    (tmp_path / "step-2" / "a").write_text("edited")
    state.prune(tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["step-1", "step-2", "step-4", "step-5"]
    state.write(tmp_path / "step-2", fill)
    assert (tmp_path / "step-2.aside-1" / "a").read_text() == "edited"
    storage.verify(tmp_path / "step-2")


def test_a_device_is_written_to_as_it_is(capsys):
    storage.write_text("/dev/null", "x")
    with pytest.raises(CourseError, match="No space left on device.: make room"):
        storage.write_text("/dev/full", "x")


def test_a_bug_is_not_called_a_full_disk(tmp_path):
    with pytest.raises(NotImplementedError):
        storage.write_folder(tmp_path / "x", lambda folder: (_ for _ in ()).throw(
            NotImplementedError("Cannot copy out of meta tensor")))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", [None, "", 3, "a\0b", "loop"])
def test_a_name_that_is_none_is_refused(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("loop").symlink_to("loop")
    with pytest.raises(CourseError, match=": "):
        storage.write_folder(name, fill)


def test_an_edited_notebook_is_kept_before_it_is_built_again(tmp_path):
    folder = tmp_path / "notebooks"
    folder.mkdir()
    (folder / "page.py").write_text("# %%\nx = 1\n")
    notebooks.run(["page"], folder)
    path = pages.notebook_path("page", folder)
    notebooks.run(["page"], folder)
    assert not (tmp_path / "my").exists()
    edited = path.read_text().replace("x = 1", "x = 2  # my answer")
    for number in (1, 2):
        path.write_text(edited)
        notebooks.run(["page"], folder)
        assert (tmp_path / "my" / f"page-{number}.ipynb").read_text() == edited
    (folder / "page.py").write_text("# %%\nx = 3\n")
    assert notebooks.main(["twin", "page", "--folder", str(folder)]) == 0
    assert "x = 3" in (tmp_path / "my" / "page-1.py").read_text()


def test_an_environment_that_make_has_not_made_stays(tmp_path):
    stranger(tmp_path / "venv")
    before = contents(tmp_path)
    done = subprocess.run(["sh", "tools/install.sh", tmp_path / "venv", tmp_path / "stamp",
                           "tested", sys.executable], cwd=pages.ROOT, capture_output=True,
                          text=True)
    assert done.returncode == 1 and "was not made by make: move it elsewhere" in done.stderr
    assert contents(tmp_path) == before


# --- no other way to write ----------------------------------------------------------------------

WRITE = {  # names of calls, and whose they are where others have such a name
    "write_text": (), "write_bytes": (), "unlink": (), "rmdir": (), "savefig": (), "touch": (),
    "to_csv": (), "to_json": (), "save_file": (), "save_pretrained": (), "rename": (),
    "rmtree": (), "copytree": (), "copyfile": (), "open": (), "replace": ("os",),
    "remove": ("os",), "copy": ("shutil",), "move": ("shutil",), "save": ("np", "torch"),
    "savez": ("np",), "savez_compressed": ("np",)}
# Where a call above is right. "fills": it writes into the empty folder that it is handed.
RIGHT = {
    "companion/__main__.py": "opens the null device",
    "companion/ner/storing.py": "fills", "companion/ner/training.py": "fills",
    "companion/pretraining/build.py": "fills", "companion/pretraining/loop.py": "fills",
    "companion/pretraining/parts.py": "fills; after an error removes files that it has made",
    "companion/pretraining/state.py": "delete: the log of a run, asked for",
    "companion/rerun.py": "fills", "tools/ship.py": "fills",
    "tools/pages.py": "fills",
    "tools/mutate.py": "in a temporary folder; adds lines to results",
    "tools/mutations.py": "in a temporary folder",
    "benchmarks/contrastive.py": "fills", "benchmarks/families.py": "fills",
    "benchmarks/ner.py": "in a temporary folder", "benchmarks/setting.py": "in a temporary folder",
    "benchmarks/ner_scores.py": "adds lines to results",
    "benchmarks/families_measure.py": "adds lines to results",
    "benchmarks/fewshot.py": "adds lines to results",
    "benchmarks/zero_shot.py": "adds lines to results",
}


def writes(tree: ast.AST) -> list[int]:
    """Lines with a call that writes, removes or renames something, not through `storage`."""
    found = []
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        name = getattr(call.func, "attr", getattr(call.func, "id", ""))
        owner = getattr(getattr(call.func, "value", None), "id", "")
        modes = {word.value for word in call.args[:2] if isinstance(word, ast.Constant)}
        if name in WRITE and owner != "storage" and owner in (WRITE[name] or (owner,)) \
                and not (name == "open" and not modes & {"w", "a", "x", "wb", "ab"}) \
                and not (name == "rename" and call.keywords):  # of a table
            found.append(call.lineno)
    return found


def test_everything_is_written_by_one_module():
    others = {}
    for path in sorted(p for top in ("companion", "tools", "benchmarks")
                       for p in (pages.ROOT / top).rglob("*.py")):
        name = path.relative_to(pages.ROOT).as_posix()
        if name != "companion/storage.py" and (lines := writes(ast.parse(path.read_text("utf8")))):
            others[name] = lines
    assert set(others) == set(RIGHT), {n: others.get(n) for n in set(others) ^ set(RIGHT)}
