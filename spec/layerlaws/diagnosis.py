"""Which known fault does a broken implementation behave like?

The implementation and every known fault of its operation are run on the same inputs. A fault is named only where
the implementation gives the fault's results, within rounding, on every input, and where the fault is told from
the definition by enough of them. No match, no diagnosis.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from layerlaws.backends import Backend
from layerlaws.bounded import Bounded, Undecidable, asbounded
from layerlaws.catalogue import Case, Note
from layerlaws.claims import Broken, closely, settle
from layerlaws.dependence import changed
from layerlaws.examples import examples
from layerlaws.formats import Format, is_float
from layerlaws.implementation import Implementation, Raised, as_exact, cast_to
from layerlaws.law import Fault
from layerlaws.operation import Operation

INPUTS = 40
"""Inputs on which implementation and faults are compared."""

TELLING = 3
"""Inputs, at least, on which a fault has to be told from the definition."""


def diagnose(backend: Backend, case: Case) -> str:
    """The known faults that the backend's functions behave like, in words; "" where there are none."""
    found = [
        fault
        for operation in case.operations
        if operation.name in backend.functions
        for fault in _matching(backend, operation, case.note)
    ]
    return " Or: ".join(
        f"{fault.name}: {fault.description}" + (f" ({fault.seen})" if fault.seen != "constructed" else "")
        for fault in found
    )


@cache
def _matching(backend: Backend, operation: Operation, note: Note) -> list[Fault]:
    """The faults whose results the backend gives on all inputs, in the most precise of its formats."""
    format = max(backend.formats, key=lambda f: f.precision)
    telling = {fault: 0 for fault in note.faults if fault.operation is operation}
    for number, inputs in enumerate(_inputs(operation, format)):
        try:
            results = Implementation(operation, backend, format).results(**inputs)
        except (Raised, Broken):
            return []
        except Undecidable:
            continue
        for fault in list(telling):
            try:
                faulty, tells = _behaviour(fault, number, format)
                settle(closely(_exact(results, format), faulty))
                telling[fault] += tells
            except Undecidable:
                continue
            except Exception:  # the fault does not take this input, or gives other results
                del telling[fault]
    return [fault for fault, count in telling.items() if count >= TELLING]


@cache
def _inputs(operation: Operation, format: Format) -> list[dict[str, Any]]:
    return [cast_to(drawn, format) for drawn in examples(operation.inputs, INPUTS, None)]


@cache
def _expected(operation: Operation, number: int, format: Format) -> Any:
    inputs = _inputs(operation, format)[number]
    return operation.definition(**as_exact(inputs, format))


@cache
def _behaviour(fault: Fault, number: int, format: Format) -> tuple[Any, bool]:
    """What the fault gives for an input, with its error, and whether that tells it from the definition.

    Raises whatever the fault raises.
    """
    inputs, expected = _inputs(fault.operation, format)[number], _expected(fault.operation, number, format)
    faulty = _faulty(fault, inputs, expected, format)
    return faulty, _shapes(faulty) != _shapes(expected) or changed(faulty, expected, demanded=True)


def _faulty(fault: Fault, inputs: dict[str, Any], expected: Any, format: Format) -> Any:
    """The fault's results with their own error bound or, where it is not written for that, the definition's."""
    try:
        return fault.function(**as_exact(inputs, format))
    except (TypeError, AttributeError):  # it assigns to elements, say
        results = fault.function(**cast_to(inputs, format))
    pairs = list(zip(results, expected, strict=True)) if isinstance(expected, tuple) else [(results, expected)]
    bounded = tuple(
        Bounded(got, np.broadcast_to(want.error, np.shape(got)), format)
        if isinstance(want, Bounded)
        else np.asarray(got)
        for got, want in pairs
    )
    return bounded if isinstance(expected, tuple) else bounded[0]


def _exact(results: Any, format: Format) -> Any:
    if isinstance(results, tuple):
        return tuple(_exact(result, format) for result in results)
    return asbounded(results, format) if is_float(results) else results


def _shapes(results: Any) -> Any:
    return tuple(map(_shapes, results)) if isinstance(results, tuple) else np.shape(results)
