"""A fault, offered as a backend, is diagnosed as itself; a right implementation never is."""

from __future__ import annotations

import pytest

from layerlaws.catalogue import Case, Note, catalogue
from layerlaws.diagnosis import diagnose
from layerlaws.law import Fault
from layerlaws.reference import reference

NOTES = catalogue().notes


def first_case(note: Note, fault: Fault) -> Case:
    return next(case for case in note.cases if fault.operation in case.operations)


@pytest.mark.parametrize("note", NOTES, ids=[note.name for note in NOTES])
def test_a_fault_is_diagnosed_as_itself_or_not_at_all(note: Note, record_property: pytest.RecordProperty) -> None:
    """A fault that shows only on inputs an operation's own strategy never draws (bad input, say) stays unnamed."""
    named = 0
    for fault in note.faults:
        diagnosis = diagnose(reference(catalogue(), fault), first_case(note, fault))
        assert not diagnosis or fault.name in diagnosis, f"{fault.name} is taken for {diagnosis}"
        named += bool(diagnosis)
    record_property("diagnosed", f"{named} of {len(note.faults)}")
    assert named > 0


@pytest.mark.parametrize("note", NOTES, ids=[note.name for note in NOTES])
def test_a_right_implementation_is_never_diagnosed(note: Note) -> None:
    right = reference(catalogue())
    assert [diagnose(right, case) for case in note.cases] == [""] * len(note.cases)
