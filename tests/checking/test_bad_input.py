"""Bad input that is accepted is told apart from wrong results, counted, and a failure only where that is asked for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from layerlaws.checking.check import check
from layerlaws.checking.reference import reference
from layerlaws.checking.verdict import Verdict, bad_input, bad_input_in_words
from layerlaws.discovery import catalogue
from layerlaws.running.journal import Header, Journal, read_record

CATALOGUE = catalogue()

ACCEPTS = """
def masked_self_attention(query, key, value):
    length, keys = query.shape[-2], key.shape[-2]
    scores = query @ key.swapaxes(-1, -2) / query.shape[-1] ** 0.5
    seen = np.tri(length, keys, keys - length, dtype=bool)
    scores = np.where(seen, scores, -np.inf).astype(query.dtype)
    with np.errstate(invalid="ignore"):
        weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return weights / weights.sum(axis=-1, keepdims=True) @ value
"""
"""Right on good input; more queries than keys are not refused."""


def test_accepted_bad_input_has_a_state_of_its_own() -> None:
    right = reference(CATALOGUE)
    (case,) = CATALOGUE.select((), ("more_queries_than_keys_are_refused",))
    lenient = {**right.functions, "masked_self_attention": lambda query, key, value: np.zeros_like(query)}
    verdict = check(replace(right, functions=lenient), case, profile="quick")
    assert (verdict.state, verdict.kind) == ("accepted", "refusals")
    assert verdict.counterexample
    assert not verdict.unexpected
    assert [verdict.counts(strict) for strict in (False, True)] == [False, True]
    assert Verdict.from_json(verdict.to_json()) == verdict


def seen(law: str, state: str, kind: str = "refusals") -> Verdict:
    return Verdict("b", "n", "o", law, state, kind=kind)


def test_a_kind_of_bad_input_is_a_law_and_those_not_tried_are_not_counted() -> None:
    states = ("held", "accepted", "known", "stale", "missing", "not offered", "unavailable", "error", "crashed")
    verdicts = [seen(state, state) for state in states] + [seen("values", "broken", "values")]
    accepted, tried = bad_input(verdicts)
    assert [verdict.law for verdict in accepted] == ["accepted", "known"]
    assert [verdict.law for verdict in tried] == ["held", "accepted", "known", "stale"]
    assert bad_input_in_words(verdicts) == "2 of 4 kinds, 1 of them by design"
    assert bad_input_in_words(verdicts[:2]) == "1 of 2 kinds"
    assert bad_input_in_words([seen("a", "known")]) == "1 of 1 kind, by design"
    assert bad_input_in_words(verdicts[4:]) == ""


@pytest.mark.parametrize(("strict", "status"), [((), 0), (("--strict",), 1)])
def test_a_run_fails_for_it_only_if_it_is_strict(
    strict: tuple[str, ...], status: int, command: Any, backend_file: Any
) -> None:
    backend_file("lenient", ACCEPTS)
    laws = ("masked_self_attention.more_queries_than_keys_are_refused", "masked_self_attention.agrees_with_definition")
    chosen = [part for law in laws for part in ("--law", law)]
    done = command("check", "./lenient.py", "--profile", "quick", *chosen, *strict)
    assert done.returncode == status, done.stdout
    said = " ".join(done.stdout.split())
    assert f"2 of 2 laws, {status} unexpected" in said
    assert "backend held accepted of ./lenient.py 1 1 2" in said
    assert "accepts bad input: 1 of 1 kind" in said
    assert "masked_self_attention: more_queries_than_keys_are_refused" in said
    assert ("counts with --strict" in said) is not bool(strict)
    assert ("is accepted" in said) is bool(strict), "it is shown in full where it counts"


@pytest.mark.parametrize(("strict", "outcome"), [((), "xfailed"), (("--layerlaws-strict",), "failed")])
def test_pytest_fails_for_it_only_if_it_is_strict(
    strict: tuple[str, ...], outcome: str, pytester: pytest.Pytester, backend_file: Any
) -> None:
    path: Path = backend_file("lenient", ACCEPTS)
    pytester.makepyfile(
        "from layerlaws import laws_for\n"
        f"test_laws = laws_for({str(path)!r}, laws=['masked_self_attention.more_queries_than_keys_are_refused'])"
    )
    pytester.runpytest("--layerlaws-profile", "quick", *strict).assert_outcomes(**{outcome: 1})


def test_kinds_are_shown_where_laws_are(command: Any) -> None:
    listed = command("list").stdout
    assert f"{len(CATALOGUE.cases)} laws: " in listed
    assert " of refusals, " in listed
    law = command("explain", "more_queries_than_keys_are_refused").stdout
    assert "of kind refusals: bad input is refused" in " ".join(law.split())
    assert "[refusals] Queries are the last" in command("explain", "masked_self_attention").stdout


def test_records_keep_kinds_and_causes(tmp_path: Path) -> None:
    verdict = replace(seen("a", "broken", "values"), cause="c", declined=1, examples=2, declines={"no": 1})
    with Journal(tmp_path, Header("b", "0", "CPU", ["float32"], "quick", None, 1, True)) as journal:
        journal.add(verdict)
        path = journal.close(1.0)
    assert read_record(path).verdicts == (verdict,)
