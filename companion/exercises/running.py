"""Running an answer on copies of the inputs, for some seconds at most."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch

from companion.exercises.compare import copied, equal
from companion.exercises.exercise import Case

SECONDS = 10.0
_AGAIN = 0.5  # an `except:` in the answer can swallow the first stop


class TooLong(BaseException):
    """Raised inside a function that has run too long; no `except Exception` catches it."""


@dataclass(frozen=True)
class Run:
    """What one call of an answer gave: a value or an error, and the arguments it modified."""

    value: Any = None
    error: BaseException | None = None
    modified: tuple[str, ...] = ()


def run(answer: Callable, case: Case, seconds: float | None = None) -> Run:
    """Call `answer` on copies of the inputs of `case`; stop it after `seconds`."""
    value, error = None, None
    with torch.enable_grad():
        given = {name: copied(value) for name, value in case.given.items()}
        try:
            call = partial(answer, *given.values())
            value = call() if seconds is None else _limited(call, seconds)
        except (Exception, TooLong) as raised:  # whatever the learner's code raises
            error = raised
    modified = [name for name, now in given.items() if not equal(case.given[name], now)]
    return Run(value, error, tuple(modified))


def run_all(answer: Callable, cases: Iterable[Case], seconds: float | None = None) -> list[Run]:
    """`run` on every case; nothing more is run after a call that took too long."""
    runs: list[Run] = []
    for case in cases:
        runs.append(run(answer, case, seconds))
        if isinstance(runs[-1].error, TooLong):
            break
    return runs


def _limited(call: Callable[[], Any], seconds: float) -> Any:
    """The result of `call`; `TooLong` is raised inside it when it takes longer."""
    watch = _Watch(seconds)
    try:
        try:
            watch.begin()
            return call()
        finally:
            watch.end()
    except TooLong:
        watch.end()  # the stop may have come while the first `end` was at work
        raise


class _Watch:
    """A thread that interrupts the one that made it.

    Signals would need the main thread and do not exist on Windows; this works everywhere.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds, self.thread = seconds, ctypes.c_ulong(threading.get_ident())
        self.done, self.lock = threading.Event(), threading.Lock()

    def begin(self) -> None:
        threading.Thread(target=self._wait, daemon=True).start()

    def _wait(self) -> None:
        seconds = self.seconds
        while not self.done.wait(seconds):
            with self.lock:
                if not self.done.is_set():
                    self._raise(ctypes.py_object(TooLong))
            seconds = _AGAIN

    def _raise(self, error: Any) -> None:
        ctypes.pythonapi.PyThreadState_SetAsyncExc(self.thread, error)

    def end(self) -> None:
        with self.lock:
            self.done.set()
            self._raise(None)  # takes back a stop that has not arrived yet
