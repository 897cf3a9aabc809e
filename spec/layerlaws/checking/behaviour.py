"""The outcomes of one call on a backend, a definition and a fault, and whether two of them agree."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import deepcopy
from functools import lru_cache
from typing import Any

import numpy as np

from layerlaws.checking.calls import Call
from layerlaws.checking.reference import gradient, plain
from layerlaws.language.claims import closely, settle
from layerlaws.language.dependence import changed
from layerlaws.language.implementation import Implementation, Raised, Unoffered, as_exact
from layerlaws.language.laws import Fault
from layerlaws.language.operations import Operation
from layerlaws.language.sameness import parts
from layerlaws.language.withheld import Withheld, offered
from layerlaws.numerics.bounded import Bounded, asbounded, error_of, value_of
from layerlaws.numerics.formats import Format, is_float
from layerlaws.numerics.reverse_mode import vjp
from layerlaws.numerics.rounding import UNDERFLOW, quietly
from layerlaws.support.errors import Broken, Undecidable
from layerlaws.support.printable import printable

REFUSED = "refused"
"""Stands in place of results where the call raised."""


def of_backend(implementation: Implementation, call: Call) -> Any:
    """The backend's results, or its gradients in the order of their names, as arrays; or REFUSED.

    Raises Broken if they are not arrays, and Unoffered if the backend has no gradient, or not that of all results, or
    declines the call.
    """
    try:
        if call.cotangent is None:
            return implementation.results(**call.arguments)
        if implementation.offered_weights(call.cotangent, call.arguments) is not call.cotangent:
            raise Unoffered("the gradient of a result that the backend withholds")
        return by_name(implementation.gradient(call.cotangent, **call.arguments))
    except Raised:
        return REFUSED


def of_record(call: Call) -> Any:
    """What a backend did in a recorded call: its results, its gradients in the order of their names, or REFUSED.

    None for what are no arrays.
    """
    if isinstance(call.outcome, BaseException):
        return REFUSED
    if isinstance(call.outcome, dict):
        return by_name(call.outcome)
    results = tuple(Withheld(printable(x)) if isinstance(x, NotImplementedError) else x for x in parts(call.outcome))
    if not all(isinstance(x, np.ndarray | Withheld) for x in results):
        return None
    return results if isinstance(call.outcome, tuple) else results[0]


@lru_cache(4096)
def of_definition(operation: Operation, call: Call, format: Format) -> Any:
    """The definition's results with their errors, or REFUSED. Raises Undecidable."""
    try:
        return evaluated(operation.definition, call, format)
    except Undecidable:
        raise
    except Exception:
        return REFUSED


@lru_cache(4096)
def of_fault(fault: Fault, call: Call, format: Format) -> Any:
    """The fault's results, or REFUSED. Raises Undecidable.

    Their errors are those of the fault's own arithmetic or, if it cannot be evaluated on `Bounded` arrays or nothing is
    known of its error, the definition's. Overflow in the format, and NaN, are results as well.
    """
    results = computed(fault, call)
    if results is REFUSED:
        return REFUSED
    try:
        exact = evaluated(fault.function, call, format)
    except Undecidable:
        raise
    except Exception:  # for example, it assigns to elements
        exact = of_definition(fault.operation, call, format)
        return _each(lambda got, want: _with_error_of(got, want, format), results, exact)
    exact = _each(_overflowing, results, exact)
    if _is_known(exact):
        return exact
    return _with_known_errors(exact, results, of_definition(fault.operation, call, format))


def same(seen: Any, faulty: Any, format: Format) -> bool:
    """Whether a backend's results are a fault's, up to the fault's errors; None are nobody's."""
    if seen is REFUSED or faulty is REFUSED or seen is None:
        return seen is faulty
    seen, faulty = offered(seen, faulty)
    if shapes(seen) != shapes(faulty) or not _are_real(seen) or not _same_nans(seen, faulty):
        return False
    try:
        settle(closely(_filled(seen, faulty, format), _filled(faulty, faulty, format)))
    except Broken:
        return False
    return True


def distinguishes(faulty: Any, expected: Any) -> bool:
    """Whether a fault's results certainly differ from the definition's. Raises Undecidable if rounding may hide it."""
    if faulty is REFUSED or expected is REFUSED:
        if faulty is not expected and faulty is not REFUSED and not _says_something(faulty):
            raise Undecidable("the fault's results may be anything")
        return faulty is not expected
    return (
        shapes(faulty) != shapes(expected)
        or not _same_nans(faulty, expected)
        or (changed(faulty, expected, demanded=True))
    )


def evaluated(function: Callable[..., Any], call: Call, format: Format) -> Any:
    """A function's results on exact arguments, or its gradients in the order of their names, with their errors."""
    exact = as_exact({**deepcopy(call.arguments), "the cotangent": call.cotangent}, format)
    weights = exact.pop("the cotangent")
    with quietly():
        return function(**exact) if call.cotangent is None else by_name(vjp(function, exact)[1](weights))


@lru_cache(4096)
def computed(fault: Fault, call: Call) -> Any:
    """The fault's results in the arithmetic of the format, as a backend would return them, or REFUSED.

    Raises Undecidable.
    """
    arguments = deepcopy(call.arguments)
    try:
        if call.cotangent is None:
            return plain(fault.function)(**arguments)
        return by_name(gradient(plain(fault.function), arguments, call.cotangent))
    except Undecidable:
        raise
    except Exception:
        return REFUSED


def _overflowing(computed: Any, exact: Any) -> Any:
    """The exact result, with infinity or NaN where the computation in the format produced it."""
    if not isinstance(exact, Bounded) or computed.shape != exact.shape:
        return exact
    if np.isnan(exact.value).any():  # next to NaN, error bounds do not count their own underflow
        exact = Bounded(exact.value, exact.error + UNDERFLOW, exact.format)
    lost = ~np.isfinite(computed.astype(exact.format.wide))
    values = np.where(lost, computed.astype(exact.format.wide), exact.value)
    return Bounded(values, np.where(lost, 0.0, exact.error), exact.format) if lost.any() else exact


def _is_known(results: Any) -> bool:
    """Whether all errors are finite."""
    if isinstance(results, tuple):
        return all(map(_is_known, results))
    return not isinstance(results, Bounded) or bool(np.isfinite(results.error).all())


def _with_known_errors(exact: Any, results: Any, expected: Any) -> Any:
    """The exact results; where their error is infinite, those computed in the format, with the definition's error."""
    if isinstance(exact, tuple):
        alike = isinstance(expected, tuple) and len(expected) == len(exact)
        return tuple(map(_with_known_errors, exact, results, expected if alike else (None,) * len(exact)))
    if not all(isinstance(x, Bounded) and x.shape == results.shape for x in (exact, expected)):
        return exact
    silent = np.isinf(exact.error) & (expected.error > 0)
    values = np.where(silent, results.astype(exact.format.wide), exact.value)
    return Bounded(values, np.where(silent, expected.error, exact.error), exact.format)


def _with_error_of(got: Any, want: Any, format: Format) -> Any:
    """Plain results with the definition's errors; exact where it has none."""
    if not is_float(got):
        return got
    if isinstance(want, Bounded) and want.shape == got.shape:
        return Bounded(got, want.error, format)
    return asbounded(got, format)


def _each(change: Callable[[Any, Any], Any], results: Any, others: Any) -> Any:
    if isinstance(results, tuple):
        pairs = others if isinstance(others, tuple) and len(others) == len(results) else [None] * len(results)
        return tuple(_each(change, one, other) for one, other in zip(results, pairs, strict=True))
    return change(results, others)


def by_name(gradients: Mapping[str, Any]) -> tuple[Any, ...]:
    """Gradients in the order of their names."""
    return tuple(gradients[name] for name in sorted(gradients))


def _are_real(results: Any) -> bool:
    """Whether results are real numbers, integers or masks."""
    if isinstance(results, tuple):
        return all(map(_are_real, results))
    values = value_of(results)
    return values.dtype.kind in "biu" or is_float(values)


def dtypes(results: Any) -> Any:
    """The dtype of a result, or of each of several; None for a refusal, and for what is withheld."""
    if isinstance(results, tuple):
        return tuple(map(dtypes, results))
    if results is REFUSED or isinstance(results, Withheld):
        return None
    return np.dtype(getattr(results, "dtype", None) or np.asarray(results).dtype)


def shapes(results: Any) -> Any:
    """The shape of a result, or of each of several."""
    return tuple(map(shapes, results)) if isinstance(results, tuple) else np.shape(results)


def _says_something(results: Any) -> bool:
    """Whether results are known at one place at least: where the error is infinite, nothing is."""
    if isinstance(results, tuple):
        return any(map(_says_something, results))
    return not isinstance(results, Bounded) or not results.size or bool(np.isfinite(results.error).any())


def _nans(results: Any) -> Any:
    """Where results are NaN."""
    values = value_of(results)
    with quietly():
        return np.isnan(values.astype(np.float64)) if is_float(values) else np.zeros(np.shape(values), bool)


def _same_nans(one: Any, other: Any) -> bool:
    """Whether both are NaN at the same places, as far as that is known."""
    if isinstance(one, tuple):
        return all(map(_same_nans, one, other))
    known = np.isfinite(error_of(one)) & np.isfinite(error_of(other))
    return not np.any((_nans(one) != _nans(other)) & known)


def _filled(results: Any, like: Any, format: Format) -> Any:
    """Results with an exact 0 in place of NaN, in the format of what they are compared with.

    Some operations compute in double, whatever format they are given.
    """
    if isinstance(results, tuple):
        return tuple(_filled(result, one, format) for result, one in zip(results, like, strict=True))
    if not is_float(value_of(results)):
        return results
    own = like.format if isinstance(like, Bounded) else format
    nans, bounded = _nans(results), asbounded(results, own)
    return Bounded(np.where(nans, 0, bounded.value), np.where(nans, 0, bounded.error), own)
