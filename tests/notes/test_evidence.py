"""Every law earns its place by a fault it catches, and every fault is caught by the laws it names.

Nothing here is listed by hand: a note dropped into the catalogue is held to all of this.
"""

from __future__ import annotations

import sys
from functools import cache

import pytest

from layerlaws import catalogue, load_backend
from layerlaws.checking.check import check
from layerlaws.checking.reference import reference
from layerlaws.checking.trial import Statistics
from layerlaws.checking.verdict import INEXACT, NOTICED, Verdict
from layerlaws.language.backend import Backend
from layerlaws.language.errata import errata_of
from layerlaws.language.evidence import faults_of, noticed_by
from layerlaws.language.laws import KINDS_OF_LAWS, Fault
from layerlaws.language.note import Case, Note

# Hypothesis remarks on the size of a failing example, which these failures are not shrunk to reduce.
pytestmark = pytest.mark.filterwarnings("ignore:Generating overly large repr")

CATALOGUE = catalogue()
NOTES = {note.name: note for note in CATALOGUE.notes}
OWN_BACKENDS = ("numpy", "torch-cpu")


@pytest.fixture(autouse=True)
def no_diagnosis(monkeypatch: pytest.MonkeyPatch) -> None:
    """Which fault a fault behaves like is not asked here, and costs more than finding it."""
    monkeypatch.setattr(sys.modules[check.__module__], "diagnose", lambda *asked: "")


@pytest.fixture(params=NOTES)
def note(request: pytest.FixtureRequest) -> Note:
    return NOTES[request.param]


@cache
def caught(fault: Fault, case: Case) -> Verdict:
    """What the law says to the definitions with this fault among them: few examples first."""
    backend = reference(CATALOGUE, fault)
    verdict = check(backend, case, profile="quick", shrink=False)
    return verdict if verdict.state in NOTICED else check(backend, case, profile="standard", shrink=False)


def test_every_fault_is_caught_by_each_law_it_names(note: Note) -> None:
    missed = []
    for fault in faults_of(note):
        named = noticed_by(fault, note)
        assert set(fault.breaks) <= {case.law.name for case in named}, (
            f"{fault.name} names laws that do not speak of it"
        )
        missed += [
            f"{fault.name}: {case.id} is {v.state} {v.reason}"
            for case in named
            if (v := caught(fault, case)).state not in NOTICED
        ]
    assert not missed, "\n".join(missed)


def test_every_law_is_broken_by_a_fault(note: Note) -> None:
    named = {case.id for fault in faults_of(note) for case in noticed_by(fault, note)}
    assert {case.id for case in note.cases} == named


def test_the_definitions_hold_every_law(note: Note) -> None:
    """But for exact ones: NumPy's matrix product is not batch-invariant."""
    backend = reference(CATALOGUE)
    verdicts = [check(backend, case, profile="quick", shrink=False) for case in note.cases]
    held = {kind: ("held", INEXACT) if kind == "exact" else ("held",) for kind in KINDS_OF_LAWS}
    assert not [f"{v.id}: {v.state}, {v.reason} ({v.dtype})" for v in verdicts if v.state not in held[v.kind]]
    assert {dtype for v in verdicts for dtype in v.accuracy} == {"float32", "float64"}


def test_every_law_and_every_operation_has_a_sentence(note: Note) -> None:
    for case in note.cases:
        assert case.law.statement.endswith((".", "!", "?")), case.id
        assert len(case.law.statement) > 20, case.id
    for operation in note.operations:
        assert operation.definition.__doc__, operation.name
    assert note.title.endswith("."), "the note begins with a sentence"
    assert len(note.prose.splitlines()) > 3


def test_every_fault_says_what_is_wrong_and_where_it_was_seen(note: Note) -> None:
    for fault in faults_of(note):
        assert fault.description.endswith("."), fault.name
        assert fault.breaks, fault.name
        assert fault.seen == "constructed" or fault.seen.startswith("https://"), fault.name
    names = [fault.name for fault in note.faults]
    assert len(set(names)) == len(names)


def test_every_erratum_names_laws_that_show_it(note: Note) -> None:
    laws = {law.name: law.statement for law in note.own_laws}
    named = {law for erratum in errata_of(note) for law in erratum.laws}
    assert named <= set(laws), "an erratum is shown by laws of its note"
    marked = {law for law, statement in laws.items() if statement.startswith("Erratum.")}
    assert marked <= named, "a law about an erratum is named by one"


def test_faults_take_the_arguments_of_their_operations(note: Note) -> None:
    import inspect

    for fault in note.faults:
        inspect.signature(fault.function).bind(**dict.fromkeys(fault.operation.parameters))


@cache
def loaded(name: str) -> Backend:
    return load_backend(name, CATALOGUE)


@pytest.mark.parametrize("backend_name", OWN_BACKENDS)
def test_bad_arguments_raise_value_error_naming_them(note: Note, backend_name: str) -> None:
    """Conformance takes any exception for a refusal; our own backends are to be helpful."""
    if backend_name.startswith("torch"):
        pytest.importorskip("torch")
    backend = loaded(backend_name)
    unhelpful = set()
    for case in (case for case in note.cases if case.law.kind == "refusals"):
        statistics = Statistics()
        check(backend, case, profile="quick", shrink=False, statistics=statistics)
        unhelpful |= {
            f"{case.id}: {type(error).__name__}: {error}"
            for naming, error in statistics.refusals
            if not isinstance(error, ValueError) or naming not in str(error)
        }
    assert not unhelpful, "\n".join(sorted(unhelpful))
