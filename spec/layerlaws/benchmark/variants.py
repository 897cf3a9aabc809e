"""Arguments that differ from round to round, so that what is timed has to be computed each time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import cycle, islice
from typing import Any

import numpy as np

from layerlaws.numerics.formats import Format, is_float

MOST_BYTES = 2**26
"""Of the arrays that differ, and of all variants of them that one round is timed with."""

DISTINCT = 64
"""How many variants there are in formats of few digits; in others there are this many times as many."""


class Variants:
    """The arguments of a workload, as arrays of the backend, and others in which arrays of floats are scaled down.

    Very large arrays are not. Where no array is left, or where the function refuses a variant, all calls are made with
    the same arguments.
    """

    def __init__(self, arguments: Mapping[str, Any], native: Mapping[str, Any], format: Format) -> None:
        """arguments, native: the same as NumPy arrays and as arrays of the backend."""
        self._native = dict(native)
        arrays = {name: x for name, x in arguments.items() if isinstance(x, np.ndarray) and is_float(x) and x.any()}
        self._arrays: dict[str, Any] = {}
        for name in sorted(arrays, key=lambda name: arrays[name].nbytes):
            if self._bytes + arrays[name].nbytes <= MOST_BYTES:
                self._arrays[name] = arrays[name]
        self._steps = DISTINCT * (DISTINCT if format.dtype.itemsize >= 4 else 1)
        self._next = cycle([self._native])

    @property
    def _bytes(self) -> int:
        return sum(int(array.nbytes) for array in self._arrays.values())

    def call(self, function: Callable[..., Any]) -> Any:
        """Call a function with the next arguments."""
        return function(next(self._next))

    def stay(self) -> None:
        """Make all calls with the same arguments from now on."""
        self._arrays = {}
        self._next = cycle([self._native])

    def choose(self, number: int, calls: int, convert: Callable[[Mapping[str, Any]], dict[str, Any]]) -> None:
        """Make the arguments of the next calls ready; with number 0 they are the workload's own. convert: to native."""
        if not self._arrays or not number:
            self._next = cycle([self._native])
            return
        most = max(1, min(calls, MOST_BYTES // max(1, self._bytes)))
        numbers = islice(range(number * calls, number * calls + calls), most)
        self._next = cycle([self._native | convert(self._scaled(k)) for k in numbers])

    def _scaled(self, number: int) -> dict[str, Any]:
        factor = 1 - (1 + number % (self._steps - 1)) / (2 * self._steps)
        return {name: (array * factor).astype(array.dtype) for name, array in self._arrays.items()}
