"""One exercise is one block: the solution, its cases, and the mistakes with their hints.

    @exercise("masked-fresh", "the loss", "a model that knows nothing starts at this loss.",
              cases=[case(30522), case(7)])
    def fresh_loss(vocab_size):
        '''The task. The stub in the chapter is this function without its body.'''
        return math.log(vocab_size)

    fresh_loss.mistakes(("the logarithm has base 2. Use the natural one.", math.log2))
    fresh_loss.also_right(numpy.log)

A mistake is a wrong function and its hint. `check` gives the hint to every answer with the same
results, and the tests prove that each mistake is rejected and told by its own hint.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import torch


@dataclass(frozen=True)
class Case:
    """One call of the learner's function and the right answer to it.

    `given` maps argument names to values, in the order of the arguments. A tuple in `expected`
    stands for several results; a list is one result.
    """

    given: dict[str, Any]
    expected: Any


_FROM_SOLUTION = object()


class Call(NamedTuple):
    """Arguments of one call; the right answer is made later unless it is given."""

    arguments: tuple
    expected: Any = _FROM_SOLUTION


def case(*arguments: Any, expected: Any = _FROM_SOLUTION) -> Call:
    """One call to check, with the right answer where it comes from elsewhere than the solution.

    An answer that was worked out by hand, or by a library, also tests the solution.
    """
    return Call(arguments, expected)


class Mistake(NamedTuple):
    """Wrong functions and the hint for answers with the same results."""

    hint: str
    functions: tuple[Callable, ...]


class Rule(NamedTuple):
    """A hint for answers that no one wrong function stands for.

    `holds` gets the first wrong `Case` and the answer's result, of the right kind and shape.
    `example` is an answer that must get the hint. `always`: right results are refused too.
    """

    hint: str
    holds: Callable[[Case, Any], Any]
    example: Callable
    always: bool = False


@dataclass(eq=False)
class Exercise:
    """One exercise. Made by `@exercise`; calling it calls the solution.

    Attributes:
        id: the name the learner gives to `check`.
        results: one name for each result, for messages such as "labels: wrong shape".
        success: the sentence after the ✓.
    """

    id: str
    results: tuple[str, ...]
    success: str
    solution: Callable
    calls: Sequence[Call] | Callable[[], Sequence[Call]]
    reference: Callable | None = None
    known: list[Mistake] = field(default_factory=list)
    rules: list[Rule] = field(default_factory=list)
    others: list[Callable] = field(default_factory=list)

    def __call__(self, *arguments: Any) -> Any:
        return self.solution(*arguments)

    @property
    def function(self) -> str:
        """The name of the function in the stub."""
        return self.solution.__name__

    def forbids_to_modify(self, argument: str) -> bool:
        """Whether the docstring says of an argument that it must not be modified."""
        parts = re.split(r"\n *(?=[\w, ]+: )", self.solution.__doc__ or "")
        about = [" ".join(part.split()) for part in parts
                 if argument in part.partition(":")[0].split(", ")]
        return any(re.search("(not|neither may) be modified", part) for part in about)

    @property
    def source(self) -> str:
        """The source of the solution without its decorator: the cell of the solutions page."""
        text = inspect.getsource(self.solution)
        return text[text.index("def "):].rstrip("\n")

    @cached_property
    def _cases(self) -> list[Case]:
        with torch.enable_grad():
            return [Case(self._named(call.arguments), self._expected(call))
                    for call in (self.calls() if callable(self.calls) else self.calls)]

    def cases(self) -> list[Case]:
        """The cases, built at the first call. Nobody may modify them."""
        return self._cases

    def _named(self, arguments: tuple) -> dict[str, Any]:
        return dict(zip(inspect.signature(self.solution).parameters, arguments, strict=True))

    def _expected(self, call: Call) -> Any:
        if call.expected is not _FROM_SOLUTION:
            return call.expected
        return (self.reference or self.solution)(*call.arguments)

    def mistakes(self, *mistakes: tuple) -> None:
        """Add mistakes, each as (hint, wrong function, further functions with this hint)."""
        self.known += [Mistake(hint, functions) for hint, *functions in mistakes]

    def mistake(self, hint: str) -> Callable[[Callable], Callable]:
        """The decorator of one wrong function."""
        def add(function: Callable) -> Callable:
            self.known.append(Mistake(hint, (function,)))
            return function
        return add

    def hint_if(self, hint: str, holds: Callable, example: Callable) -> None:
        """Add a hint for wrong answers for which `holds(case, result)` is true."""
        self.rules.append(Rule(hint, holds, example))

    def refuse_if(self, hint: str, holds: Callable, example: Callable) -> None:
        """The same, and answers with the right values are wrong when it holds."""
        self.rules.append(Rule(hint, holds, example, always=True))

    def also_right(self, *functions: Callable) -> Callable:
        """Add other right answers. It also works as a decorator of one function."""
        self.others += functions
        return functions[0]


def exercise(id: str, results: str | tuple[str, ...], success: str,
             cases: Sequence[Call] | Callable[[], Sequence[Call]],
             expected: Callable | None = None) -> Callable[[Callable], Exercise]:
    """Make an exercise of its solution.

    Args:
        id: the name that the learner gives to `check`.
        results: what the result is called in messages, or a tuple with a name for each result.
        success: the sentence after the ✓.
        cases: the calls, or a function that builds them at the first check.
        expected: an independent way to the right answers, for cases that do not bring their own.
    """
    names = (results,) if isinstance(results, str) else results
    return lambda solution: Exercise(id, names, success, solution, cases, expected)
