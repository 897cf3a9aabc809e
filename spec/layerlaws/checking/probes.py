"""Calls on which an implementation is compared with known faults: those that the laws of an operation make.

A law often changes what it draws (cuts it, spoils it so that it must be refused), so that the calls it makes show
what its inputs do not. They are heard from the definitions, once per process.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import numpy as np

from layerlaws.checking.calls import Call, overheard
from layerlaws.checking.examples import examples
from layerlaws.checking.reference import reference_of
from layerlaws.checking.trial import Tally, try_once
from layerlaws.language.implementation import Example, Raised, cast_to
from layerlaws.language.note import Case, Note
from layerlaws.language.operations import Operation
from layerlaws.numerics.formats import Format
from layerlaws.support.errors import Broken

DRAWN, OF_THE_LAW, OF_EACH_LAW = 40, 40, 3
"""Inputs drawn for an operation itself; examples of the law that broke, and of every law that speaks of it."""

MOST_CALLS = 60
"""Calls of one law, at most: some rewrite every part of their input in turn."""


@cache
def drawn(operation: Operation, format: Format) -> list[Call]:
    """Calls on the inputs that are drawn for the operation."""
    inputs = examples(operation.inputs, DRAWN, None)
    return [Call(operation.name, cast_to(arguments, format), None, None) for arguments in inputs]


def of_all_laws(note: Note, operation: Operation, format: Format) -> Iterator[Call]:
    """The calls of an operation that the laws of a note make, in a few examples of each; each call once."""
    seen = {_key(call) for call in drawn(operation, format)}
    for case in note.cases:
        if operation in case.operations:
            for call in _of_law(case, format, OF_EACH_LAW):
                if call.operation == operation.name and _key(call) not in seen:
                    seen.add(_key(call))
                    yield call


def of_law(case: Case, operation: Operation, format: Format) -> list[Call]:
    """The further calls of an operation that a law makes in more examples."""
    seen = set(map(_key, [*drawn(operation, format), *of_all_laws(case.note, operation, format)]))
    calls = _of_law(case, format, OF_THE_LAW)
    return [call for call in calls if call.operation == operation.name and _key(call) not in seen]


def of_failure(case: Case, failing: Mapping[str, Any], format: Format) -> list[Call]:
    """The calls that a law makes in the example that broke it."""
    extra = {name: failing[name] for name in case.law.extra}
    inputs = {name: x for name, x in failing.items() if name not in {"format", *extra}}
    return list(_of_example(case, format, inputs, extra))


def _of_example(case: Case, format: Format, inputs: Mapping[str, Any], extra: Mapping[str, Any]) -> list[Call]:

    heard: list[Call] = []
    backend = overheard(reference_of(case.operations, dtypes=(format.name,)), heard)
    with contextlib.suppress(Broken, Raised, ValueError, LookupError):  # what the law comes to is not asked for
        try_once(backend, case, format, Example(dict(inputs)), extra, Tally())
    return heard


@cache
def _of_law(case: Case, format: Format, count: int) -> list[Call]:
    strategy = case.operation.inputs if case.law.inputs is None else case.law.inputs
    count = min(count, max(OF_EACH_LAW, case.law.examples or count))
    inputs = examples(strategy, count, None)
    extra = {name: examples(draws, count, None) for name, draws in case.law.extra.items()}
    found: dict[Any, Call] = {}
    for i in range(max([len(inputs), *map(len, extra.values())])):
        further = {name: draws[i % len(draws)] for name, draws in extra.items()}
        for call in _of_example(case, format, cast_to(inputs[i % len(inputs)], format), further):
            found.setdefault(_key(call), call)
        if len(found) >= MOST_CALLS:
            break
    return list(found.values())[:MOST_CALLS]


def _key(call: Call) -> Any:
    """What tells calls apart: the operation, and every number it is given."""
    return call.operation, _content(call.arguments), _content(call.cotangent)


def _content(x: Any) -> Any:
    if isinstance(x, dict):
        return tuple((name, _content(part)) for name, part in x.items())
    if isinstance(x, tuple):
        return tuple(map(_content, x))
    return (x.shape, x.dtype.name, x.tobytes()) if isinstance(x, np.ndarray) else repr(x)
