"""Settings of every test run; they must be made before torch or transformers is imported."""

from tools import environment

environment.apply()

from hypothesis import settings  # noqa: E402

# No deadline: a test must not fail because the machine is busy. The examples are drawn from
# a fixed seed, so a failure is the same for everybody.
settings.register_profile("course", deadline=None, derandomize=True)
settings.load_profile("course")
