"""Laws of operations, and the faults that prove each law worth having."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from hypothesis.strategies import SearchStrategy

from layerlaws.language.operations import Operation


@dataclass(frozen=True, eq=False)
class Law:
    """A sentence about operations, and the claim that states it.

    state: returns a claim; its parameters name operations, inputs of the first operation named, and `extra`
    draws ("operation" is the first operation itself, "inputs" all its inputs as a dict).
    extra: strategies of what else the law speaks of.
    inputs: strategy in place of the operation's own inputs.
    examples: how many examples are enough at most, for laws that state one fact.
    needs: what a backend has to offer besides the operations, for example ("gradient",).
    """

    name: str
    state: Callable[..., Any]
    extra: dict[str, SearchStrategy[Any]] = field(default_factory=dict)
    inputs: SearchStrategy[dict[str, Any]] | None = None
    examples: int | None = None
    needs: tuple[str, ...] = ()

    @cached_property
    def parameters(self) -> tuple[str, ...]:
        return tuple(inspect.signature(self.state).parameters)

    @property
    def statement(self) -> str:
        """The sentence: the first paragraph of the docstring, on one line."""
        return " ".join((inspect.getdoc(self.state) or "").split("\n\n")[0].split())


def law(
    *,
    inputs: SearchStrategy[dict[str, Any]] | None = None,
    examples: int | None = None,
    needs: Iterable[str] = (),
    **extra: SearchStrategy[Any],
) -> Callable[[Callable[..., Any]], Law]:
    """Make a function that returns a claim a law of the note it stands in. See `Law` for the options."""

    def make(state: Callable[..., Any]) -> Law:
        if not inspect.getdoc(state):
            raise TypeError(f"the law {state.__name__} says nothing: give it a docstring, one sentence")
        return Law(state.__name__, state, extra, inputs, examples, tuple(needs))

    return make


KINDS = {
    "formula": "a term is missing, is wrong or should not be there",
    "scale": "a factor or a divisor is wrong",
    "axis": "it works along another axis, or with axes in another order",
    "mask": "it uses what it must not see, or misses what it may",
    "shift": "positions or sequences are aligned wrongly",
    "boundary": "the first, the last, an empty or a padded place is treated wrongly",
    "size": "it breaks from some size on, as at the edge of a tile",
    "order": "ties, ranks or steps are taken in another order",
    "precision": "the mathematics is right, but it overflows, cancels or is stored too narrowly",
    "gradient": "results are right, their gradient is not",
    "refusal": "it accepts bad input, or refuses good input",
    "contract": "the shape, the dtype or the treatment of its arguments is not as agreed",
}
"""Kinds of mistakes, and what each of them means."""


@dataclass(frozen=True, eq=False)
class Fault:
    """A wrong implementation of an operation, and the laws that must notice.

    function: takes the operation's arguments as plain NumPy arrays. Its docstring says what is wrong.
    breaks: names of the laws that fail for it. kind: what sort of mistake it is, one of `KINDS`.
    repair: what to do instead, a sentence. seen: where it was really shipped (a link), or "constructed".
    alike: where the mistake leaves a choice, whether results on these arguments are one; None where it leaves none.
    """

    operation: Operation
    function: Callable[..., Any]
    breaks: tuple[str, ...]
    kind: str
    repair: str
    seen: str
    alike: Callable[[Any, dict[str, Any]], bool] | None = None

    @property
    def name(self) -> str:
        return self.function.__name__

    @property
    def wrong(self) -> str:
        """What is wrong, on one line."""
        return " ".join((inspect.getdoc(self.function) or "").split())

    @property
    def description(self) -> str:
        """What is wrong, and how to repair it, on one line."""
        return f"{self.wrong} {self.repair}".strip()


def fault(
    operation: Operation,
    *,
    breaks: Law | str | Iterable[Law | str],
    kind: str,
    repair: str,
    seen: str = "constructed",
    alike: Callable[[Any, dict[str, Any]], bool] | None = None,
) -> Callable[[Callable[..., Any]], Fault]:
    """Make a function a known wrong implementation of an operation. See `Fault`.

    breaks: the law, or laws, above it; laws that come with every operation, and those of other files, by name.
    Raises ValueError for an unknown kind, TypeError where the function or the repair says nothing.
    """
    laws = (breaks,) if isinstance(breaks, Law | str) else tuple(breaks)
    names = tuple(law if isinstance(law, str) else law.name for law in laws)

    def make(function: Callable[..., Any]) -> Fault:
        if not inspect.getdoc(function):
            raise TypeError(f"the fault {function.__name__} needs a docstring that says what is wrong")
        if not repair:
            raise TypeError(f"the fault {function.__name__} needs a repair: what to do instead, a sentence")
        if kind not in KINDS:
            raise ValueError(f"the fault {function.__name__} has kind {kind!r}, expected one of {', '.join(KINDS)}")
        return Fault(operation, function, names, kind, repair, seen, alike)

    return make
