"""Whether a backend computes in, or returns, another dtype than its arguments have."""

from __future__ import annotations

from typing import Any

import numpy as np

from layerlaws.checking import probes
from layerlaws.checking.behaviour import REFUSED, evaluated, of_backend, of_definition, same
from layerlaws.checking.calls import Call
from layerlaws.language.backend import Backend
from layerlaws.language.implementation import Implementation, Unoffered
from layerlaws.language.laws import Fault
from layerlaws.language.note import Case
from layerlaws.language.operations import Operation
from layerlaws.language.withheld import offered
from layerlaws.numerics.bounded import Bounded, value_of
from layerlaws.numerics.formats import FORMATS, Format, is_float
from layerlaws.support.errors import Broken, Undecidable

BELOW = 1 + 2.0**-30
"""A factor that a float32 number does not notice: it rounds back to itself."""


def loses_bits(implementation: Implementation, call: Call, seen: Any, expected: Any) -> bool:
    """Whether float64 results are off because they, or an argument, were rounded to float32 on the way.

    Results that are off show it where every one of them is a float32 number, or where an argument changes by less than
    float32 resolves, the definition notices, and the results do not. Raises Undecidable.
    """
    if seen is REFUSED or expected is REFUSED or same(seen, expected, implementation.format):
        return False
    if not _all_double(seen):
        return False
    return _all_single(seen) or any(_notices_nothing(implementation, call, name) for name in call.arguments)


def _all_double(results: Any) -> bool:
    """Whether all floating-point results are float64 arrays."""
    if isinstance(results, tuple):
        return all(map(_all_double, results))
    return not is_float(results) or bool(results.dtype == np.float64)


def _all_single(results: Any) -> bool:
    """Whether all float64 results are float32 numbers."""
    if isinstance(results, tuple):
        return all(map(_all_single, results))
    return not is_float(results) or bool(np.array_equal(results, results.astype(np.float32), equal_nan=True))


def _notices_nothing(implementation: Implementation, call: Call, name: str) -> bool:
    """Whether the results ignore a change of one argument that float32 ignores, though the definition's change."""
    single = _rounded(call.arguments[name], 1.0)
    if single is None:
        return False
    outcomes = []
    for argument in (single, _rounded(call.arguments[name], BELOW)):
        moved = Call(call.operation, {**call.arguments, name: argument}, call.cotangent, None)
        try:
            seen = of_backend(implementation, moved)
            outcomes.append((seen, evaluated(implementation.operation.definition, moved, implementation.format)))
        except (Unoffered, Broken):
            return False
    (before, defined), (after, changed) = outcomes
    if before is REFUSED or after is REFUSED:
        return False
    return _equal(before, after) and not same(_values(defined), changed, implementation.format)


def _rounded(x: Any, factor: float) -> Any:
    """The nearest float32 numbers times a factor, as float64; None for what is no float64 array."""
    if isinstance(x, tuple):
        parts = tuple(_rounded(part, factor) for part in x)
        return parts if parts and all(part is not None for part in parts) else None
    if not isinstance(x, np.ndarray) or x.dtype != np.float64:
        return None
    return x.astype(np.float32).astype(np.float64) * factor


def _equal(one: Any, other: Any) -> bool:
    if isinstance(one, tuple):
        return all(map(_equal, one, other))
    return bool(np.array_equal(one, other))


def _values(results: Any) -> Any:
    return tuple(map(_values, results)) if isinstance(results, tuple) else value_of(results)


def of_another_dtype(backend: Backend, operation: Operation, case: Case, format: Format) -> Fault | None:
    """The deviation of a backend whose results are right but for their dtype; None if they are not.

    case: the broken law; only that which speaks of dtypes is explained.
    """
    if case.operation is not operation or case.law.name != "agrees_with_definition":
        return None
    implementation = Implementation(operation, backend, format)
    found: set[tuple[str, str]] = set()
    for call in probes.drawn(operation, format):
        try:
            seen, expected = of_backend(implementation, call), of_definition(operation, call, format)
        except (Undecidable, Unoffered):
            continue
        except Broken:
            return None
        wrong = _other_dtypes(seen, expected)
        if wrong is None:
            return None
        found |= wrong
    return _deviation(operation, *found.pop()) if len(found) == 1 else None


def _other_dtypes(seen: Any, expected: Any) -> set[tuple[str, str]] | None:
    """The dtypes of results, and those expected, where they differ; None if anything else is wrong."""
    if seen is REFUSED or expected is REFUSED:
        return set() if seen is expected else None
    got, wanted = (x if isinstance(x, tuple) else (x,) for x in offered(seen, expected))
    if len(got) != len(wanted):
        return None
    wrong = set()
    for one, other in zip(got, wanted, strict=True):
        dtype = np.dtype(other.dtype) if hasattr(other, "dtype") else np.asarray(other).dtype
        if not _right(one, other):
            return None
        if one.dtype != dtype:
            wrong.add((one.dtype.name, dtype.name))
    return wrong


def _right(one: Any, other: Any) -> bool:
    """Whether numbers are right up to the rounding of the dtype that they came in."""
    values = value_of(other)
    if not isinstance(other, Bounded):
        return one.shape == values.shape and bool(np.array_equal(one, values))
    if not is_float(one) or one.shape != other.shape:
        return False
    came = FORMATS[one.dtype.name]
    loss = came.unit * np.abs(other.double) + came.smallest_normal if one.dtype != other.dtype else 0.0
    return same(one.astype(other.dtype), Bounded(values, other.error + loss, other.format), other.format)


def _deviation(operation: Operation, got: str, wanted: str) -> Fault:
    def function(**arguments: Any) -> Any:
        return operation(**arguments)

    function.__name__ = f"returns_{got}"
    function.__doc__ = f"The numbers are right, but they are {got} where {wanted} is agreed."
    return Fault(operation, function, ("agrees_with_definition",), "contract", f"Return {wanted}.", "constructed")
