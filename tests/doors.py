"""Nasty inputs for the public doors of the package: what people hand over by mistake.

``EXAMPLES`` of them reach each door: 30, or as many as the variable COURSE_EXAMPLES says.
"""

import os
import signal
import sys
import threading
from contextlib import contextmanager

import numpy as np
import pandas as pd
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from companion.errors import CourseError

EXAMPLES = int(os.environ.get("COURSE_EXAMPLES", 30))
SECONDS = 20  # a door that has not answered by then hangs
MEMORY = 3 << 30  # bytes more than before: a door that asks for more would end the process
PLAIN = ["a good film .", "王明来到北京。", "Zoë Müller left.", "it was [MASK] .", "{text} {mask}",
         "{text}, {mask}{text}", "[MASK]", "[UNK] [PAD]", "great", "bad", "好", "neg", "pos", "0"]
ODD = ["", " ", "\t\r\n", "\ufeff", "\0", "\ufffd", "\u200b\u200d", "\ud83d", "a \udcff [MASK]",
       "e\u0301", "\u2028", "１９９８年", "𠀋", "👩‍👩‍👧", "שלום", "İ", "ß", "ﬁ", "㎏", "{", "}", "{}", "{0}",
       "%s", "<b>&amp;", "-1", "NaN", "None", "word " * 300, "北" * 700, "x" * 2000, "[MASK] " * 20,
       "../x", "a/b\\c", "~", ".", "\x1b[31m", "##a", "▁", "Ġ"]


def text():
    """One text, mostly one that means trouble."""
    return st.one_of(st.sampled_from(PLAIN), st.sampled_from(ODD),
                     st.text(max_size=12), st.text("ab [MASK].,北京", max_size=30),
                     st.text(st.characters(categories=["Cs", "Mn", "Cc", "Zs", "So", "Lo"]),
                             max_size=6))


def number():
    """A number as a setting, or what stands there by mistake."""
    return st.one_of(st.integers(-3, 8), st.sampled_from([0, 1, 2, 3, 0.5, 0.05, 1.5, 1e-3]),
                     st.sampled_from([True, None, "1", float("nan"), float("inf"), -1, -0.5, 10**9,
                                      np.int64(2), np.float32(0.5), [1], b"1", 2 + 1j]))


def word():
    """A word as a setting: a known one of some door, or an unknown one."""
    return st.one_of(st.sampled_from([
        "end", "start", "all", "capitals", "mean", "max", "cls", "head", "prompt", "fp32", "bf16",
        "auto", "no", "BIO", "BIOES", "crf", "softmax", "linear", "contextual", "prior", "median",
        "text", "PER", "logsumexp", "", "Fp32", "x"]), junk(), text())


def junk():
    """What nobody can mean."""
    return st.sampled_from([None, 3, 0.5, True, b"bytes", object(), {"a": "b"}, {}, {"text"}, (), [],
                            [[]], [None], [3], [float("nan")], [b"x"], np.zeros(0), np.zeros((2, 2)),
                            pd.DataFrame({"text": ["a"], "label": [0]}), lambda: 1, int, range(3)])


def items(item, most=4):
    """Some items in any container that people use."""
    plain = st.lists(item, max_size=most)
    return st.one_of(plain, plain, plain.map(tuple), plain.map(lambda x: (i for i in x)),
                     plain.map(lambda x: pd.Series(x, dtype=object)),
                     plain.map(lambda x: np.array(x, dtype=object)), item, junk())


def texts(most=4):
    return items(st.one_of(text(), text(), text(), junk()), most)


def numbers(most=5):
    return items(number(), most)


def nested(most=3):
    """Lists of lists of numbers: rows of ids, scores, tags."""
    row = st.one_of(st.lists(st.integers(-1, 30), max_size=12), st.lists(number(), max_size=4))
    return items(row, most)


def settings_of_doors():
    return settings(max_examples=EXAMPLES, deadline=None, derandomize=True, database=None,
                    suppress_health_check=list(HealthCheck))


@contextmanager
def sparing(memory=MEMORY):
    """Too much memory becomes a MemoryError (on Linux)."""
    if not sys.platform.startswith("linux"):
        yield
        return
    import resource

    before = resource.getrlimit(resource.RLIMIT_AS)
    used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + memory, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


@contextmanager
def limited(seconds=SECONDS):
    """An endless loop becomes an error (in the main thread, where there are signals)."""
    if not hasattr(signal, "SIGALRM") or threading.current_thread() is not threading.main_thread():
        yield
        return

    def late(*_):
        raise TimeoutError(f"no answer in {seconds} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def answer(door, *given):
    """What the door answers, or the line of its refusal; any other exception is a fault."""
    with limited(), sparing():
        try:
            return door(*given)
        except CourseError as problem:
            line = str(problem)
            assert line and "\n" not in line, f"not one line: {line!r}"
            return None
