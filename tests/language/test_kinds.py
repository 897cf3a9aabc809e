"""Every law is of the kind that its claims say, and bad input is claimed by laws of its own."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import pytest

from layerlaws import catalogue
from layerlaws.checking.reference import reference
from layerlaws.checking.trial import PROFILES, Trial
from layerlaws.language import claims
from layerlaws.language.claims import Claim, all_of, exactly, refused
from layerlaws.language.implementation import Implementation
from layerlaws.language.laws import KINDS_OF_LAWS, Law, law

CATALOGUE = catalogue()
RIGHT = reference(CATALOGUE)
NOTES = {note.name: note for note in CATALOGUE.notes}


def parts(claim: Any) -> Iterator[Claim]:
    """The claims that a claim consists of."""
    if isinstance(claim, all_of):
        for each in claim.claims:
            yield from parts(each)
    else:
        yield claim


@pytest.mark.parametrize("note", NOTES)
def test_a_law_is_of_kind_refusals_exactly_if_refusals_are_all_it_claims(
    note: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Read from the claims that each law returns of the definitions, on a few examples."""
    returned: list[Claim] = []

    def spy(claim: Any) -> Any:
        returned.extend(parts(claim))
        return claims.settle(claim)

    monkeypatch.setattr(sys.modules["layerlaws.checking.trial"], "settle", spy)
    monkeypatch.setitem(PROFILES, "few", 3)
    for case in NOTES[note].cases:
        returned.clear()
        Trial(RIGHT, case, "few", shrink=False).sweep(3)
        kinds = {isinstance(claim, refused) for claim in returned}
        assert kinds == {case.law.kind == "refusals"}, case.id


def of_kind(kind: str) -> set[str]:
    return {case.law.name for case in CATALOGUE.cases if case.law.kind == kind}


def test_gradients_are_what_needs_one_unless_memory_or_bits_are_meant() -> None:
    needing = {case.law.name for case in CATALOGUE.cases if "gradient" in case.law.needs}
    assert of_kind("gradients") == needing - of_kind("memory") - of_kind("exact")


def test_state_and_memory_are_told_apart_from_values() -> None:
    assert "answers_the_same_twice" in of_kind("state")
    assert "leaves_its_inputs_alone" in of_kind("memory")
    assert {"agrees_with_definition", "batches_are_independent"} <= of_kind("values")


def test_a_law_that_reads_like_a_refusal_is_one() -> None:
    for case in CATALOGUE.cases:
        if "refuse" in case.law.name and not case.law.name.endswith("_or_refused"):
            assert case.law.kind == "refusals", case.id


def _spoilt(f: Implementation, x: Any) -> Claim:
    return refused(f, "x", {"x": x})


def test_the_kind_is_found_wherever_the_refusal_is_written() -> None:
    def plainly(f: Implementation, x: Any) -> Claim:
        """It."""
        return refused(f, "x", {"x": x})

    def in_a_generator(f: Implementation, x: Any) -> Claim:
        """It."""
        return all_of(*(refused(f, "x", {"x": y}) for y in (x, -x)))

    def in_a_helper(f: Implementation, x: Any) -> Claim:
        """It."""
        return _spoilt(f, x)

    def in_a_function_around(f: Implementation, x: Any) -> Claim:
        """It."""
        return plainly(f, x)

    for state in (plainly, in_a_generator, in_a_helper, in_a_function_around):
        assert law()(state).kind == "refusals", state.__name__


def test_a_kind_may_be_given_and_may_not_contradict_the_claims() -> None:
    def nothing_is_kept(f: Implementation, x: Any) -> Claim:
        """Nothing is kept."""
        return exactly(f(x=x), f(x=x))

    assert law()(nothing_is_kept).kind == "values"
    assert law(kind="state")(nothing_is_kept).kind == "state"
    assert law(needs=("gradient",))(nothing_is_kept).kind == "gradients"
    with pytest.raises(ValueError, match=r"kind 'stat', expected one of values, .*, state, memory, exact"):
        law(kind="stat")(nothing_is_kept)
    with pytest.raises(ValueError, match="'refusals', but does not claim that something is refused"):
        law(kind="refusals")(nothing_is_kept)

    def bad(f: Implementation, x: Any) -> Claim:
        """Bad input is refused."""
        return refused(f, "x", {"x": x})

    with pytest.raises(ValueError, match="'values', but claims that something is refused"):
        Law("bad", bad, kind="values")


def test_every_kind_has_laws() -> None:
    assert {case.law.kind for case in CATALOGUE.cases} == set(KINDS_OF_LAWS)
