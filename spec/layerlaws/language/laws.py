"""Laws of operations, and the faults that prove each law worth having."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cache, cached_property
from types import CellType, CodeType, FunctionType
from typing import Any

from hypothesis.strategies import SearchStrategy

from layerlaws.language.claims import refused
from layerlaws.language.operations import Operation

KINDS_OF_LAWS = {
    "values": "what results are",
    "gradients": "what gradients are",
    "refusals": "bad input is refused",
    "state": "nothing is kept from call to call",
    "memory": "arguments are left alone, and memory is read and returned as it should be",
    "exact": "results have the same bits; it informs, and fails nothing unless that is asked for",
}
"""What laws are about. "refusals" are told apart from all others: who validates nothing is right on good input; and so
are "exact" ones: who adds up in another order is right, but not the same to the bit."""


@dataclass(frozen=True, eq=False)
class Law:
    """A sentence about operations, and the claim that states it.

    state: returns a claim; its parameters name operations, inputs of the first operation named, and `extra`
    draws ("operation" is the first operation itself, "inputs" all its inputs as a dict).
    extra: strategies of what else the law speaks of.
    inputs: strategy in place of the operation's own inputs.
    examples: how many examples are enough at most, for laws that state one fact.
    needs: what a backend has to offer besides the operations, for example ("gradient",).
    kind: what the law is about, one of `KINDS_OF_LAWS`; where it is not given, "refusals" if the law claims that
    something is refused, "gradients" if it needs one, and otherwise "values".
    """

    name: str
    state: Callable[..., Any]
    extra: dict[str, SearchStrategy[Any]] = field(default_factory=dict)
    inputs: SearchStrategy[dict[str, Any]] | None = None
    examples: int | None = None
    needs: tuple[str, ...] = ()
    kind: str = ""

    def __post_init__(self) -> None:
        """Find the kind. Raises ValueError for one that there is not, or that contradicts what the law claims."""
        found = "refusals" if claims_refusals(self.state) else "gradients" if "gradient" in self.needs else ""
        kind = self.kind or found or "values"
        if kind not in KINDS_OF_LAWS:
            raise ValueError(f"the law {self.name} has kind {kind!r}, expected one of {', '.join(KINDS_OF_LAWS)}")
        if "refusals" in (kind, found) and kind != found:
            raise ValueError(
                f"the law {self.name} has kind {kind!r}, but {'claims' if found else 'does not claim'} that something "
                "is refused: a law about bad input is one of its own"
            )
        object.__setattr__(self, "kind", kind)

    @cached_property
    def parameters(self) -> tuple[str, ...]:
        return tuple(inspect.signature(self.state).parameters)

    @cached_property
    def statement(self) -> str:
        """The sentence: the first paragraph of the docstring, on one line."""
        return " ".join((inspect.getdoc(self.state) or "").split("\n\n")[0].split())


def law(
    *,
    inputs: SearchStrategy[dict[str, Any]] | None = None,
    examples: int | None = None,
    needs: Iterable[str] = (),
    kind: str = "",
    **extra: SearchStrategy[Any],
) -> Callable[[Callable[..., Any]], Law]:
    """Make a function that returns a claim a law of the note it stands in. See `Law` for the options.

    Raises TypeError where the law says nothing, ValueError for a kind that is not its own.
    """

    def make(state: Callable[..., Any]) -> Law:
        if not inspect.getdoc(state):
            raise TypeError(f"the law {state.__name__} says nothing: give it a docstring, one sentence")
        return Law(state.__name__, state, extra, inputs, examples, tuple(needs), kind)

    return make


@cache
def claims_refusals(function: Callable[..., Any]) -> bool:
    """Whether a law claims `refused`, itself or through functions of its own package, as its code says."""
    return any(names.get(name) is refused for code, names in _codes(function) for name in code.co_names)


def consults_definition(function: Callable[..., Any]) -> bool:
    """Whether a law speaks of what the definition says, and not only of how results relate to each other."""
    asked = {"definition", "compare"}
    return any(not asked.isdisjoint(code.co_names) for code, _ in _codes(function))


def _codes(function: Any) -> list[tuple[CodeType, dict[str, Any]]]:
    """The code of a function, of those in it and around it, and of those of its package that it calls; with globals."""
    package = function.__module__.rpartition(".")[0] or function.__module__
    found: dict[CodeType, dict[str, Any]] = {}

    def visit(code: CodeType, names: dict[str, Any]) -> None:
        if code in found:
            return
        found[code] = names
        for part in (*code.co_consts, *(names.get(name) for name in code.co_names)):
            if isinstance(part, CodeType):
                visit(part, names)
            elif isinstance(part, FunctionType) and (part.__module__ or "").startswith(package):
                visit_function(part)

    def visit_function(function: Any) -> None:
        visit(function.__code__, function.__globals__)
        for cell in function.__closure__ or ():
            if cell != CellType() and isinstance(cell.cell_contents, FunctionType):
                visit_function(cell.cell_contents)

    visit_function(function)
    return list(found.items())


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
