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


@dataclass(frozen=True, eq=False)
class Fault:
    """A wrong implementation of an operation, and the laws that must notice.

    function: takes the operation's arguments as plain NumPy arrays. Its docstring says what is wrong and how
    to repair it. seen: where it was really shipped (a link), or "constructed".
    """

    operation: Operation
    function: Callable[..., Any]
    breaks: tuple[str, ...]
    seen: str

    @property
    def name(self) -> str:
        return self.function.__name__

    @property
    def description(self) -> str:
        return " ".join((inspect.getdoc(self.function) or "").split())


def fault(
    operation: Operation, *, breaks: str | Iterable[str], seen: str = "constructed"
) -> Callable[[Callable[..., Any]], Fault]:
    """Make a function a known wrong implementation of an operation. See `Fault`."""

    def make(function: Callable[..., Any]) -> Fault:
        if not inspect.getdoc(function):
            raise TypeError(f"the fault {function.__name__} needs a docstring: what is wrong, and how to repair it")
        return Fault(operation, function, (breaks,) if isinstance(breaks, str) else tuple(breaks), seen)

    return make
