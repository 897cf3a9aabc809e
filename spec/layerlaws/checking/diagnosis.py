"""Diagnosis: which known fault a broken implementation behaves like.

The implementation and every known fault of its operation are run on the same calls: those that the broken law makes on
the input that broke it, others that it makes, and those of the other laws. A fault is named only if

- the implementation agrees with it in every call: it refuses what the fault refuses, and otherwise returns the fault's
  results within rounding error,
- enough of the calls distinguish the fault from the definition,
- on the input that broke the law, the fault may differ from the definition.

If no fault matches, there is no diagnosis. Faults that no call distinguishes are named together.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

from layerlaws.checking import probes
from layerlaws.checking.behaviour import REFUSED, distinguishes, of_backend, of_definition, of_fault, same
from layerlaws.checking.calls import Call
from layerlaws.language.backend import Backend
from layerlaws.language.implementation import Implementation, Unoffered
from layerlaws.language.laws import Fault
from layerlaws.language.note import Case, Note
from layerlaws.language.operations import Operation
from layerlaws.numerics.formats import Format
from layerlaws.support.errors import Broken, Undecidable

LEAST_CALLS = 3
"""Fewest calls that must distinguish a fault from the definition before it is named."""


def diagnose(backend: Backend, case: Case, failing: Mapping[str, Any] | None = None) -> str:
    """The known faults that the backend's functions behave like, in words; "" if there are none.

    failing: the example that broke the law by argument, and the name of its format as `format`.
    """
    return " Or: ".join(
        f"{fault.name}: {fault.description}" + (f" ({fault.seen})" if fault.seen != "constructed" else "")
        for fault in matching(backend, case, failing)
    )


def matching(backend: Backend, case: Case, failing: Mapping[str, Any] | None = None) -> list[Fault]:
    """The known faults of a law's operations that the backend agrees with in every call."""
    return [
        fault
        for operation in case.operations
        if operation.name in backend.functions
        for fault in _matching(backend, operation, case, failing)
    ]


def _matching(backend: Backend, operation: Operation, case: Case, failing: Mapping[str, Any] | None) -> list[Fault]:
    format = _most_precise(backend)
    alike = _alike(backend, operation, case.note)
    if alike and failing:
        own = backend.format(failing["format"])
        calls = [call for call in probes.of_failure(case, failing, own) if call.operation == operation.name]
        alike = _narrowed(backend, operation, alike, calls, own)
        alike = {fault: count for fault, count in alike.items() if _may_show(fault, calls, own)}
    if alike:
        alike = _narrowed(backend, operation, alike, probes.of_law(case, operation, format), format)
    return [fault for fault, count in alike.items() if count >= LEAST_CALLS]


@cache
def _alike(backend: Backend, operation: Operation, note: Note) -> dict[Fault, int]:
    """The known faults that agree with the backend, and how many calls distinguish each from the definition."""
    format = _most_precise(backend)
    faults = {fault: 0 for fault in note.faults if fault.operation is operation}
    faults = _narrowed(backend, operation, faults, probes.drawn(operation, format), format)
    calls = probes.of_all_laws(note, operation, format)
    # Calls that have to be refused are left out: a backend may accept them and have a known fault as well.
    proper = (call for call in calls if not _refused(operation, call, format))
    return _narrowed(backend, operation, faults, proper, format)


def _narrowed(
    backend: Backend, operation: Operation, faults: Mapping[Fault, int], calls: Iterable[Call], format: Format
) -> dict[Fault, int]:
    """Those of the faults that agree with the backend in these calls, too, with their counts raised."""
    implementation = Implementation(operation, backend, format)
    alike = dict(faults)
    for call in calls if alike else ():
        try:
            seen = of_backend(implementation, call)
        except Unoffered:
            continue
        except Broken:
            return {}
        for fault in list(alike):
            try:
                faulty = of_fault(fault, call, format)
                if same(seen, faulty, format):
                    alike[fault] += distinguishes(faulty, of_definition(operation, call, format))
                else:
                    del alike[fault]
            except Undecidable:
                continue
        if not alike:
            break
    return alike


def _refused(operation: Operation, call: Call, format: Format) -> bool:
    try:
        return of_definition(operation, call, format) is REFUSED
    except Undecidable:
        return False


def _may_show(fault: Fault, calls: Iterable[Call], format: Format) -> bool:
    """Whether the fault can explain the failure: it may differ from the definition in one of these calls."""
    for call in calls:
        try:
            if distinguishes(of_fault(fault, call, format), of_definition(fault.operation, call, format)):
                return True
        except Undecidable:
            return True
    return False


def _most_precise(backend: Backend) -> Format:
    return max(backend.formats, key=lambda format: format.precision)
