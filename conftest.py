"""Settings of every test run; they must be made before torch or transformers is imported."""

import os
from types import SimpleNamespace

from tools import environment

environment.apply()

import nbval.plugin  # noqa: E402
from hypothesis import Phase, settings  # noqa: E402

from tools import pages, working_copy  # noqa: E402

# A learner's own copy of a chapter is not what is tested.
nbval.plugin.nbformat = SimpleNamespace(read=working_copy.read_for_nbval)


def pytest_report_header() -> list[str]:
    """Say which notebooks are a learner's."""
    found = [name for name in pages.names() if pages.notebook_path(name).is_file()
             and pages.twin_path(name).is_file() and working_copy.is_working_copy(name)]
    return [f"notebooks/{name}.ipynb is your working copy: not it, but the chapter is tested"
            for name in found]


# No deadline: a test must not fail because the machine is busy. The examples are drawn from
# a fixed seed, so a failure is the same for everybody. A failing example is not made smaller:
# many tests are there to fail on a broken copy, and that search takes minutes. To see the
# smallest example of a failure: HYPOTHESIS_PROFILE=smallest.
settings.register_profile("smallest", deadline=None, derandomize=True)
settings.register_profile("course", settings.get_profile("smallest"),
                          phases=[Phase.explicit, Phase.generate])
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "course"))
