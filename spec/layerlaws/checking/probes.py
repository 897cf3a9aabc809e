"""The calls on which an implementation is compared with known faults: those that the laws of an operation make.

A law often changes what it draws (it cuts it, or spoils it so that it has to be refused), so the calls it makes show
more than its inputs do. They are recorded while the laws are held on the definitions, once per process.
"""

from __future__ import annotations

import contextlib
from collections.abc import Hashable, Iterator, Mapping
from functools import cache
from typing import Any

import numpy as np

from layerlaws.checking.calls import Call, recording
from layerlaws.checking.examples import examples
from layerlaws.checking.reference import reference_of
from layerlaws.checking.trial import Trial, inputs_of
from layerlaws.language.backend import Backend
from layerlaws.language.implementation import Example, Raised, Unoffered, cast_to
from layerlaws.language.note import Case, Note
from layerlaws.language.operations import Operation
from layerlaws.numerics.formats import Format, is_float
from layerlaws.support.errors import Broken

DRAWN, OF_THE_LAW, OF_EACH_LAW = 40, 20, 3
"""How many inputs of the operation, examples of the broken law, and examples of every other law are used."""

MANY = 200
"""Examples of the broken law where fewer do not show enough: what a law is about may be rare."""

MOST_CALLS = 60
"""Most calls of one law, and as many as there are examples: some laws rewrite every part of their input in turn."""


@cache
def drawn(operation: Operation, format: Format) -> list[Call]:
    """Calls on inputs drawn for the operation itself."""
    inputs = examples(operation.inputs, DRAWN, None)
    return [Call(operation.name, cast_to(arguments, format), None, None) for arguments in inputs]


def of_all_laws(note: Note, operation: Operation, format: Format) -> Iterator[Call]:
    """The calls of an operation that the laws of a note make on a few examples each, without duplicates."""
    seen = {key(call) for call in drawn(operation, format)}
    for case in note.cases:
        if operation in case.operations:
            for call in _of_law(case, format, OF_EACH_LAW):
                if call.operation == operation.name and key(call) not in seen:
                    seen.add(key(call))
                    yield call


def of_law(case: Case, operation: Operation, format: Format, count: int = OF_THE_LAW) -> list[Call]:
    """The calls of an operation that a law makes on so many more examples."""
    calls = _of_law(case, format, count)
    return [call for call in calls if call.operation == operation.name]


def of_failure(backend: Backend, case: Case, failing: Mapping[str, Any]) -> list[Call]:
    """The calls that a law makes of a backend on the example that broke it, up to the one that did."""
    calls: list[Call] = []
    with contextlib.suppress(Broken, Raised, Unoffered, ValueError, LookupError):  # only the calls matter
        run(recording(backend, calls), case, failing)
    return calls


def run(backend: Backend, case: Case, failing: Mapping[str, Any]) -> float | None:
    """Hold a backend to a law on one example, as `Trial.run_example`, with the name of its format as `format`."""
    extra = {name: failing[name] for name in case.law.extra}
    inputs = {name: x for name, x in failing.items() if name not in {"format", *extra}}
    return Trial(backend, case).run_example(backend.format(failing["format"]), Example(inputs), extra)


def examples_of(case: Case, backend: Backend, count: int) -> Iterator[dict[str, Any]]:
    """Some of the examples of a law, by argument, each in one of the backend's formats, named as `format`."""
    inputs = examples(inputs_of(case), count, None)
    extra = {name: examples(draws, count, None) for name, draws in case.law.extra.items()}
    for i in range(max([len(inputs), *map(len, extra.values())])):
        format = backend.formats[i % len(backend.formats)]
        further = {name: draws[i % len(draws)] for name, draws in extra.items()}
        yield {**cast_to(inputs[i % len(inputs)], format), **further, "format": format.name}


@cache
def _of_law(case: Case, format: Format, count: int) -> list[Call]:
    count = min(count, max(OF_EACH_LAW, case.law.examples or count))
    backend = reference_of(case.operations, dtypes=(format.name,))
    found: dict[Hashable, Call] = {}
    for example in examples_of(case, backend, count):
        for call in of_failure(backend, case, example):
            if not any(map(_holds_nan, call.arguments.values())):  # what is not a number tells no fault from another
                found.setdefault(key(call), call)
        if len(found) >= max(MOST_CALLS, count):
            break
    return list(found.values())[: max(MOST_CALLS, count)]


def _holds_nan(x: Any) -> bool:
    if isinstance(x, tuple):
        return any(map(_holds_nan, x))
    return isinstance(x, np.ndarray) and is_float(x) and bool(np.isnan(x.astype(np.float64)).any())


def key(call: Call) -> Hashable:
    """The identity of a call: its operation, and every number it is given."""
    return call.operation, _content(call.arguments), _content(call.cotangent)


def _content(x: Any) -> Hashable:
    if isinstance(x, dict):
        return tuple((name, _content(part)) for name, part in x.items())
    if isinstance(x, tuple):
        return tuple(map(_content, x))
    return (x.shape, x.dtype.name, x.tobytes()) if isinstance(x, np.ndarray) else repr(x)
