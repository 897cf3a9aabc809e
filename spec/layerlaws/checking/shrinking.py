"""Makes a failing example smaller once Hypothesis is done: every axis once more, then the numbers.

Hypothesis shrinks the choices that an example was drawn by, and stops where the choices branch: extents that have to
differ, or a rare size that comes from a list. Here axes are cut and numbers replaced in the example itself. A smaller
example counts only if the definitions hold the law on it, so that it is one that a law may be held to.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from layerlaws.checking import probes
from layerlaws.checking.axes import Axis, axes_of, cut
from layerlaws.checking.reference import reference_of
from layerlaws.checking.trial import Trial
from layerlaws.language.implementation import Raised
from layerlaws.numerics.formats import is_float
from layerlaws.support.errors import Broken

PATIENCE, LONGEST = 3.0, 20.0
"""Seconds of this process's time, and on the wall, after which no further example is tried."""

OTHERS, LEAST_TRIED = 5, 3
"""How many examples with other numbers are tried before a law is said to hold at a size, and how many have to count."""

Failure = Broken | Raised
Example = dict[str, Any]


@dataclass(frozen=True)
class Smallest:
    """The smallest failing example that was found: the example with its format, what was raised, and where it holds.

    sizes: for each axis that decides, the size at which the law holds and that at which it does not, in words.
    """

    example: Example
    failure: Failure
    sizes: str


def smallest(trial: Trial, example: Mapping[str, Any], failure: Failure) -> Smallest:
    """Cut the axes of a failing example and replace its numbers, as long as the backend fails in the same way."""
    search = _Search(trial, dict(example), failure)
    for axis in sorted(search.axes(), key=lambda axis: -axis.size):
        search.shorten(axis)
    for name in search.example:
        search.simplify(name)
    sizes = [search.edge(axis) for axis in search.axes() if axis.size > 1] + search.edges_of_numbers()
    return Smallest(search.example, search.failure, "; ".join(filter(None, sizes)))


class _Search:
    """A failing example that is being made smaller."""

    def __init__(self, trial: Trial, example: Example, failure: Failure) -> None:
        self._trial, self.example, self.failure = trial, example, failure
        self._definitions = reference_of(trial.case.operations, dtypes=(example["format"],))
        self._until = time.process_time() + PATIENCE, time.monotonic() + LONGEST

    def axes(self) -> list[Axis]:
        """The axes of the example as it is now."""
        return axes_of(self._trial.case.operation, self._inputs())

    def shorten(self, axis: Axis) -> None:
        """Cut an axis to the least size at which the backend still fails: 1, 2, half, and between by bisection."""
        for size in sorted({1, 2, axis.size // 2} & set(range(1, axis.size))):
            for last in (False, True):
                if self._take(self._cut(axis, size, last)):
                    again = [other for other in self.axes() if other.places == axis.places]
                    return self.shorten(again[0]) if again and size > 2 else None
        held, broken = axis.size // 2, axis
        while broken.size - held > 1:
            middle = (held + broken.size) // 2
            if self._take(self._cut(broken, middle)) or self._take(self._cut(broken, middle, last=True)):
                broken = Axis(axis.name, middle, axis.places)
            else:
                held = middle
        return None

    def simplify(self, name: str) -> None:
        """Replace all numbers of an argument by zeros or ones, an integer by 0 or 1, a mask by one that is True."""
        x = self.example[name]
        if isinstance(x, np.ndarray) and x.size:
            for value in (0, 1) if x.dtype != bool else (True,):
                if np.any(x != x.dtype.type(value)) and self._take({**self.example, name: np.full_like(x, value)}):
                    return None
        elif type(x) in (int, float):
            for value in (0, 1, *([x // 2, x - 1] if type(x) is int and x > 2 else [])):
                if x != value and self._take({**self.example, name: type(x)(value)}):
                    return self.simplify(name)
        return None

    def edge(self, axis: Axis) -> str:
        """At which size of an axis the law still holds, in words; "" if it cannot be said."""
        below = [self._cut(axis, axis.size - 1, last) for last in (False, True)]
        tried = [self._holds(example) for example in (*below, *self._with_other_numbers(below[0]))]
        if False in tried or tried.count(True) < LEAST_TRIED:
            return ""
        return f"holds at {axis.name} = {axis.size - 1}, breaks at {axis.name} = {axis.size}"

    def edges_of_numbers(self) -> list[str]:
        """The same for integers among the inputs, such as sizes."""
        numbers = {name: x for name, x in self._inputs().items() if type(x) is int and x > 1}
        return [
            f"holds at {name} = {x - 1}, breaks at {name} = {x}"
            for name, x in numbers.items()
            if self._holds({**self.example, name: x - 1})
        ]

    def _with_other_numbers(self, example: Example) -> Iterator[Example]:
        """The example with other float arrays of the same sizes."""
        for seed in range(OTHERS):
            generator = np.random.default_rng(seed)
            yield {
                name: generator.standard_normal(x.shape).astype(x.dtype) if _is_float_array(x) else x
                for name, x in example.items()
            }

    def _inputs(self) -> Example:
        return {n: x for n, x in self.example.items() if n not in ("format", *self._trial.case.law.extra)}

    def _cut(self, axis: Axis, size: int, last: bool = False) -> Example:
        return {**self.example, **cut(self._inputs(), axis, size, last)}

    def _take(self, example: Example) -> bool:
        """Go on from a smaller example if the backend fails on it in the same way, and the definitions do not."""
        if self._is_late():
            return False
        failure = self._failure(example)
        if failure is None or not self._is_valid(example):
            return False
        self.example, self.failure = example, failure
        return True

    def _is_late(self) -> bool:
        return time.process_time() > self._until[0] or time.monotonic() > self._until[1]

    def _failure(self, example: Example) -> Failure | None:
        """How the backend fails on an example, None if it does not, or in another way."""
        try:
            self._run(self._trial, example)
        except Broken as broken:
            return broken if isinstance(self.failure, Broken) else None
        except Raised as raised:
            alike = isinstance(self.failure, Raised) and type(raised.cause) is type(self.failure.cause)
            return raised if alike else None
        except Exception:  # it is no input of the operation, or of the law
            return None
        return None

    def _holds(self, example: Example) -> bool | None:
        """Whether the backend holds the law on an example, None if nothing can be said of it."""
        if self._is_late() or not self._is_valid(example):
            return None
        return self._decided(lambda: self._run(self._trial, example))

    def _is_valid(self, example: Example) -> bool:
        """Whether the law may be held on an example: the definitions hold it."""
        definitions = replace(self._trial, backend=self._definitions)
        return self._decided(lambda: self._run(definitions, example)) is True

    def _decided(self, run: Callable[[], float | None]) -> bool | None:
        try:
            return True if run() is not None else None
        except (Broken, Raised):
            return False
        except Exception:  # what is left is no input of the operation, or of the law
            return None

    def _run(self, trial: Trial, example: Example) -> float | None:
        return probes.run(trial.backend, trial.case, example)


def _is_float_array(x: Any) -> bool:
    return isinstance(x, np.ndarray) and is_float(x)
