"""Who notices whom: the faults that prove the laws of a note, and the laws that each of them breaks."""

from __future__ import annotations

from collections.abc import Iterator

from layerlaws.language import generic_laws
from layerlaws.language.laws import Fault
from layerlaws.language.note import Case, Note


def faults_of(note: Note) -> Iterator[Fault]:
    """The faults of a note, and those that come with its operations."""
    yield from note.faults
    for operation in note.operations:
        yield from generic_laws.faults_of(operation)


def noticed_by(fault: Fault, note: Note) -> list[Case]:
    """The laws that a fault names, of its own operation where the law comes with every operation."""
    return [
        case
        for case in note.cases
        if case.law.name in fault.breaks
        and fault.operation in case.operations
        and (case.operation is fault.operation or case.law in note.own_laws)
    ]
