"""The files at the top of the repository agree with each other and with the package."""

from __future__ import annotations

import ast
import itertools
import os
import re
import shutil
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from tools import pages
from tools.links import broken_links
from tools.requirements import PLATFORM_ONLY, closure, direct
from tools.settings import Site
from tools.site import stale_files
from tools.text_rules import machine_paths

ROOT = pages.ROOT
# Put together from parts, so that this file does not match its own pattern.
HOSTS = re.compile("|".join([r"py" r"pi\.org", r"python" r"hosted\.org", r"npm" r"js\.org",
                             r"deb\." r"debian\.org", r"download\.py" r"torch\.org",
                             r"ana" r"conda\.org"]))


def tracked_files() -> list[Path]:
    """All files that are, or are about to be, part of the repository."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("not a git checkout")
    paths = [ROOT / name for name in listed.decode().split("\0") if name]
    return [path for path in paths if path.is_file()]


def texts() -> dict[str, str]:
    """Name and text of every tracked file that is text."""
    found = {}
    for path in tracked_files():
        try:
            found[str(path.relative_to(ROOT))] = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
    return found


def pins() -> dict[str, str]:
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    split = [line.split("==") for line in lines if line and not line.startswith("#")]
    return {name: version for name, version in split}


def test_no_text_holds_a_machine_path() -> None:
    found = {name: list(machine_paths(text)) for name, text in texts().items()}
    assert {name: excerpts for name, excerpts in found.items() if excerpts} == {}


@pytest.mark.parametrize("path", ["/" + "tmp/x", "see /" + "root/x", "'/" + "Users/me'",
                                  "C:" + "\\Users\\me", str(ROOT / "x")])
def test_a_machine_path_is_found(path: str) -> None:
    assert len(list(machine_paths(f"first line\nthen {path}"))) == 1


@pytest.mark.parametrize("text", ["https://example.org/home/x", "a/tmp/b", "and/or", "/", "~/x"])
def test_other_slashes_are_no_machine_paths(text: str) -> None:
    assert list(machine_paths(text)) == []


def test_no_text_names_a_package_host() -> None:
    found = {name: HOSTS.findall(text) for name, text in texts().items()}
    assert {name: hosts for name, hosts in found.items() if hosts} == {}


def test_a_package_host_is_found() -> None:
    assert HOSTS.search("--index-url https://" + "py" + "pi.org/simple")


def test_requirements_are_plain_pins() -> None:
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    wrong = [line for line in lines if line and not line.startswith("#")
             and not re.fullmatch(r"[a-z0-9-]+==[0-9][\w.]*", line)]
    assert wrong == []  # no local tag such as +cpu, no host, no option
    names = [line for line in lines if "==" in line]
    assert names == sorted(names, key=lambda line: line.split("==")[0])


@pytest.mark.parametrize("requirement", direct(), ids=str)
def test_the_pin_lies_in_the_range(requirement: Requirement) -> None:
    pin = pins()[canonicalize_name(requirement.name)]
    assert requirement.specifier.contains(pin)
    assert any(part.operator == ">=" for part in requirement.specifier), "a floor is missing"


def test_the_companion_has_no_upper_limits() -> None:
    assert [str(requirement) for requirement in direct(extras=())
            if any(part.operator != ">=" for part in requirement.specifier)] == []


@pytest.mark.skipif(os.environ.get("PACKAGES", "tested") != "tested",
                    reason="make test-latest and test-oldest: other packages are installed")
def test_requirements_are_complete() -> None:
    missing = set(closure(direct())) - set(pins())
    assert missing == set(), "run `make requirements`"
    assert [name for name in pins() if name.startswith(PLATFORM_ONLY)] == []


def test_jupyter_book_is_1() -> None:
    assert Version(pins()["jupyter-book"]).major == 1


def test_every_import_of_the_companion_is_declared() -> None:
    declared = {canonicalize_name(requirement.name) for requirement in direct(extras=())}
    known = packages_distributions()
    undeclared = set()
    for path in (ROOT / "companion").rglob("*.py"):
        for module in imported(path.read_text(encoding="utf-8")):
            homes = {canonicalize_name(home) for home in known.get(module, [module])}
            own = module == "companion" or module in sys.stdlib_module_names
            if not own and not homes & declared:
                undeclared.add(f"{path.relative_to(ROOT)}: {module}")
    assert undeclared == set()


def imported(source: str) -> set[str]:
    """Top-level names of the modules that a source imports absolutely."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            found.add(node.module.partition(".")[0])
    return found


def test_generated_parts_are_current() -> None:
    stale = stale_files(Site.read(ROOT / "site.toml"), ROOT)
    assert [path.name for path in stale] == [], "run `make site`"


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md"])
def test_links_of_the_top_pages_lead_somewhere(page: str) -> None:
    assert broken_links(ROOT / page) == []


def test_the_wheel_would_carry_recipes_and_models() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    globs = project["tool"]["setuptools"]["package-data"]["companion"]
    data = [path for folder in ("models", "recipes") for path in
            (ROOT / "companion" / folder).rglob("*") if path.is_file() and path.suffix != ".py"]
    carried = {path for glob in globs for path in (ROOT / "companion").glob(glob)}
    assert [path.name for path in data if path not in carried] == []


def workflows() -> dict[str, dict]:
    """What runs on the forge. (YAML reads the key `on` as true.)"""
    folder = ROOT / ".github" / "workflows"
    return {path.name: yaml.safe_load(path.read_text(encoding="utf-8"))
            for path in sorted(folder.glob("*.yml"))}


def runs() -> list[str]:
    """Every command of a step, once for each value of the matrix."""
    found = []
    for workflow in workflows().values():
        for job in workflow["jobs"].values():
            matrix = {key: list(values) for key, values in
                      job.get("strategy", {}).get("matrix", {}).items()}
            for chosen in itertools.product(*matrix.values()):
                for step in job["steps"]:
                    text = step.get("run", "")
                    for key, value in zip(matrix, chosen):
                        text = text.replace(f"${{{{ matrix.{key} }}}}", value)
                    found.append(text)
    return sorted({text for text in found if text})


@pytest.mark.parametrize("command", runs())
def test_the_step_of_a_workflow_names_what_the_makefile_has(command: str, tmp_path: Path) -> None:
    """The shell and make read it; with -n make says what it would do, and does nothing."""
    shutil.copy(ROOT / "Makefile", tmp_path)
    assert "${{" not in command and command.startswith("make ")
    assert subprocess.run(["bash", "-ec", command], cwd=tmp_path, capture_output=True,
                          env={**os.environ, "MAKEFLAGS": "n"}).returncode == 0


def test_workflows_run_when_they_should() -> None:
    found = workflows()
    assert set(found) == {"tests.yml", "site.yml", "weekly.yml"}
    matrix = found["tests.yml"]["jobs"]["tests"]["strategy"]["matrix"]
    assert matrix == {"os": ["ubuntu-latest", "macos-latest"],
                      "python": ["3.11", "3.12", "3.13", "3.14"]}
    assert found["site.yml"][True]["push"] == {"tags": ["v*"]}
    assert found["weekly.yml"][True]["schedule"]


def test_the_hooks_before_a_commit_are_those_of_make_lint() -> None:
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    hooks = [hook["entry"] for repo in config["repos"] for hook in repo["hooks"]]
    dry = subprocess.run(["make", "-n", "lint"], cwd=ROOT, capture_output=True, text=True).stdout
    assert hooks and [line for line in dry.splitlines() if line in hooks] == hooks
