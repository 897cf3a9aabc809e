"""Which known fault does a broken implementation behave like?

The implementation and every known fault of its operation are given the same calls: those that the broken law makes
on the input that broke it, others that it makes, and those of the other laws. A fault is named only where the
implementation does the same in every call (refuses what it refuses, and gives its results within rounding), where
enough of the calls tell the fault from the definition, and where it may be told on the input that broke the law. No
match, no diagnosis. Faults that no call tells apart are named together.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

from layerlaws.checking import probes
from layerlaws.checking.behaviour import REFUSED, of_backend, of_definition, of_fault, same, tells
from layerlaws.checking.calls import Call
from layerlaws.language.backend import Backend
from layerlaws.language.implementation import Implementation, Unoffered
from layerlaws.language.laws import Fault
from layerlaws.language.note import Case, Note
from layerlaws.language.operations import Operation
from layerlaws.numerics.formats import Format, format_of
from layerlaws.support.errors import Broken, Undecidable

LEAST_CALLS = 3
"""Fewest calls that must distinguish a fault from the definition before it is named."""


def diagnose(backend: Backend, case: Case, failing: Mapping[str, Any] | None = None) -> str:
    """The known faults that the backend's functions behave like, in words; "" where there are none.

    failing: the example that broke the law, and the name of its format as `format`.
    """
    return " Or: ".join(
        f"{fault.name}: {fault.description}" + (f" ({fault.seen})" if fault.seen != "constructed" else "")
        for fault in matching(backend, case, failing)
    )


def matching(backend: Backend, case: Case, failing: Mapping[str, Any] | None = None) -> list[Fault]:
    """The known faults of a law's operations that no call tells from what the backend does."""
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
        own = format_of(failing["format"])
        calls = [call for call in probes.of_failure(case, failing, own) if call.operation == operation.name]
        alike = _narrowed(backend, operation, alike, calls, own)
        alike = {fault: count for fault, count in alike.items() if _may_show(fault, calls, own)}
    if alike:
        alike = _narrowed(backend, operation, alike, probes.of_law(case, operation, format), format)
    return [fault for fault, count in alike.items() if count >= LEAST_CALLS]


@cache
def _alike(backend: Backend, operation: Operation, note: Note) -> dict[Fault, int]:
    """The known faults that do what the backend does, and in how many calls each is told from the definition."""
    format = _most_precise(backend)
    faults = {fault: 0 for fault in note.faults if fault.operation is operation}
    faults = _narrowed(backend, operation, faults, probes.drawn(operation, format), format)
    calls = probes.of_all_laws(note, operation, format)
    # What else it accepts is another matter: who forgets to refuse may have the mask wrong, too.
    proper = (call for call in calls if not _refused(operation, call, format))
    return _narrowed(backend, operation, faults, proper, format)


def _narrowed(
    backend: Backend, operation: Operation, faults: Mapping[Fault, int], calls: Iterable[Call], format: Format
) -> dict[Fault, int]:
    """Those of the faults that do what the backend does in these calls, too."""
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
                    alike[fault] += tells(faulty, of_definition(operation, call, format))
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
    """Whether the fault explains what was seen: it is not the definition in all these calls."""
    for call in calls:
        try:
            if tells(of_fault(fault, call, format), of_definition(fault.operation, call, format)):
                return True
        except Undecidable:
            return True
    return False


def _most_precise(backend: Backend) -> Format:
    return max(backend.formats, key=lambda format: format.precision)
