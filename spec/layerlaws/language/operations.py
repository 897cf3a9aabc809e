"""Operations, and one backend's implementation of one, called as mathematics."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from hypothesis.strategies import SearchStrategy

from layerlaws.support.errors import WrongUse

BACKENDS: set[str] = set()
"""Names of the modules of backends that were loaded."""


@dataclass(frozen=True, eq=False)
class Operation:
    """One operation of a note: what it means, and inputs to try it on.

    definition: plain NumPy mathematics; evaluated on `Bounded` arrays it carries its own rounding bound.
    inputs: strategy of a dict of arguments; floats are drawn as float64 and cast to the format under test. An
    argument called `dtype` says by name what the results are to be; whatever is drawn, it is that format's.
    batch: the arguments whose first axis is a batch axis; every result then has it first, too.
    differentiable: whether float results vary smoothly with float arguments, so that backends may differentiate it.
    """

    definition: Callable[..., Any]
    inputs: SearchStrategy[dict[str, Any]]
    batch: tuple[str, ...] = ()
    differentiable: bool = False

    @property
    def name(self) -> str:
        return self.definition.__name__

    @property
    def parameters(self) -> tuple[str, ...]:
        return tuple(inspect.signature(self.definition).parameters)

    @property
    def takes_arrays(self) -> bool:
        """Whether any argument may be an array: the definition annotates the others as Python's own types."""
        annotations = (str(p.annotation) for p in inspect.signature(self.definition).parameters.values())
        return any(set(re.split(r"\W+", kind)) - {"int", "float", "bool", "str", "None"} for kind in annotations)

    @property
    def returns_floats(self) -> bool:
        """Whether a result may be a float array: ids and masks are right or wrong, whatever the order of sums."""
        return "Array" in re.split(r"\W+", str(inspect.signature(self.definition).return_annotation))

    @property
    def signature(self) -> str:
        """The call as a backend writes it, for example "causal_mask(queries, keys)"."""
        return f"{self.name}({', '.join(self.parameters)})"

    @property
    def results(self) -> tuple[str, ...]:
        """The names of several results, as the documentation has them behind its arrow; () where there is one."""
        parts = (inspect.getdoc(self.definition) or "").rpartition("->")[2]
        names = re.findall(r"(?:^|,)\s*([a-z][\w-]*)(?: [\w ]+)?\s*\(", parts)
        return tuple(names) if len(names) > 1 else ()

    def __call__(self, *args: Any, **arguments: Any) -> Any:
        """The definition's results. Raises WrongUse where a backend asks: it would be compared with itself."""
        if BACKENDS and sys._getframe(1).f_globals.get("__name__") in BACKENDS:
            raise WrongUse(f"the backend calls the definition of {self.name}, which every backend is compared with")
        return self.definition(*args, **arguments)


def operation(
    *, inputs: SearchStrategy[dict[str, Any]], batch: Iterable[str] = (), differentiable: bool = False
) -> Callable[[Callable[..., Any]], Operation]:
    """Make a definition an operation that backends implement under its name."""
    return lambda definition: Operation(definition, inputs, tuple(batch), differentiable)
