"""A fault, offered as a backend, is diagnosed as itself or not at all; nothing else is ever diagnosed.

By default a few faults of each note are offered; LAYERLAWS_ALL_FAULTS=1 offers them all, and says how many are named.
"""

from __future__ import annotations

import os
import sys

import pytest

from layerlaws.checking.check import check
from layerlaws.checking.diagnosis import diagnose, matching
from layerlaws.checking.reference import reference
from layerlaws.checking.trial import Statistics
from layerlaws.checking.verdict import NOTICED
from layerlaws.discovery import catalogue
from layerlaws.language import generic_laws
from layerlaws.language.backend import Backend
from layerlaws.language.laws import Fault
from layerlaws.language.note import Case, Note

NOTES = catalogue().notes
FREE = {law.name for operation in catalogue().operations.values() for law in generic_laws.laws_of(operation)}
EVERY = 1 if os.environ.get("LAYERLAWS_ALL_FAULTS") else 12
"""Which faults are offered: all, or the first of so many."""

each_note = pytest.mark.parametrize("note", NOTES, ids=[note.name for note in NOTES])


@pytest.fixture(autouse=True)
def no_diagnosis(monkeypatch: pytest.MonkeyPatch) -> None:
    """Verdicts come without a diagnosis: it is asked for here, with the names of the faults."""
    monkeypatch.setattr(sys.modules[check.__module__], "diagnose", lambda *asked: "")


def cases_of(fault: Fault, note: Note) -> list[Case]:
    """The laws that a fault breaks."""
    return [
        case
        for case in note.cases
        if case.law.name in fault.breaks
        and fault.operation in case.operations
        and (case.operation is fault.operation or case.law.name not in FREE)
    ]


def named(backend: Backend, case: Case) -> set[str]:
    """The faults that are named where a law breaks, on the example that broke it."""
    for profile in ("quick", "standard"):
        statistics = Statistics()
        if check(backend, case, profile=profile, shrink=False, statistics=statistics).state in NOTICED:
            return {fault.name for fault in matching(backend, case, statistics.drawn)}
    return set()


@each_note
def test_a_fault_is_diagnosed_as_itself_or_not_at_all(note: Note, record_property: pytest.RecordProperty) -> None:
    """Faults that no call tells apart are named together, whichever of them is offered."""
    offered = note.faults[::EVERY]
    found = {}
    for fault in offered:
        diagnoses = [named(reference(catalogue(), fault), case) for case in cases_of(fault, note)[:3]]
        for names in diagnoses:
            assert not names or fault.name in names, f"{fault.name} is taken for {', '.join(names)}"
        found[fault.name] = set().union(*diagnoses)
    for fault_name, names in found.items():
        for other in names & set(found):
            assert fault_name in found[other], f"{fault_name} is taken for {other}, but not the other way round"
    record_property("diagnosed", f"{sum(map(bool, found.values()))} of {len(offered)}")
    assert any(found.values())


@each_note
def test_a_right_implementation_is_never_diagnosed(note: Note) -> None:
    right = reference(catalogue())
    assert [diagnose(right, case) for case in note.cases[::EVERY]] == [""] * len(note.cases[::EVERY])


@each_note
def test_what_is_no_known_fault_is_never_diagnosed(note: Note) -> None:
    """A fault of another operation, and a wrong implementation that nobody has described."""
    for operation in note.operations[::EVERY]:
        other = next(fault for note in NOTES for fault in note.faults if fault.operation is not operation)
        unknown = generic_laws.faults_of(operation)[0]
        case = next(case for case in note.cases if case.operations == (operation,))
        assert diagnose(reference(catalogue(), other), case) == ""
        assert named(reference(catalogue(), unknown), case) == set()


def test_a_fault_is_named_although_another_thing_is_wrong_too() -> None:
    """What it forgets to refuse does not hide what it computes."""
    note = catalogue().note("masked_attention")
    late = next(fault for fault in note.faults if fault.name == "mask_aligned_to_the_first_key")
    right = reference(catalogue(), late)

    def forgiving(query: object, key: object, value: object) -> object:
        try:
            return right.functions["masked_self_attention"](query=query, key=key, value=value)
        except ValueError:
            return value

    backend = Backend("two faults", {"masked_self_attention": forgiving}, lambda x: x, lambda x: x, right.formats)
    (case,) = catalogue().select((), ("masked_self_attention.agrees_with_definition",))
    assert named(backend, case) == {late.name}
    (case,) = catalogue().select((), ("masked_self_attention.more_queries_than_keys_are_refused",))
    assert named(backend, case) == set()
