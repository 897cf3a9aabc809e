"""Exact laws: bits that differ are counted, told apart from what is wrong, and fail a run only where asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import ml_dtypes
import numpy as np
import pytest

from layerlaws import load_backend
from layerlaws.benchmark.runner import Plan
from layerlaws.checking.check import check
from layerlaws.checking.exactness import PROPERTIES, exactness_of
from layerlaws.checking.failure import failure
from layerlaws.checking.reference import plain, reference, reference_of
from layerlaws.checking.verdict import Verdict
from layerlaws.discovery import catalogue
from layerlaws.language import exact_laws
from layerlaws.language.backend import Backend
from layerlaws.language.claims import bit_for_bit, settle
from layerlaws.language.note import Case
from layerlaws.language.operations import Operation
from layerlaws.report.badge import badge
from layerlaws.running.diffing import Change
from layerlaws.running.journal import Header, Record

CATALOGUE = catalogue()
EXACT = [case for case in CATALOGUE.cases if case.law.kind == "exact"]
LAWS = (*exact_laws.BATCH_INVARIANT, *exact_laws.DETERMINISTIC)

ONE_ROW_ADDS_UP_OTHERWISE = """
def dot_score(query, keys):
    terms = query[:, :, None] * keys[:, None]
    return np.cumsum(terms, axis=-1)[..., -1] if len(query) == 1 else np.sum(terms, axis=-1)
"""
"""Right, and not batch-invariant."""


def verdict_of(functions: dict[str, Callable[..., Any]], law: str) -> Verdict:
    """What a law says to the definitions with these functions among them."""
    (case,) = CATALOGUE.select((), (law,))
    right = reference(CATALOGUE)
    return check(replace(right, functions={**right.functions, **functions}), case, profile="quick")


def one_row_rounds_otherwise(x: Any, table: Any) -> Any:
    result = x + table[: x.shape[1]]
    return np.nextafter(result, np.asarray(np.inf, result.dtype)) if len(x) == 1 else result


def test_bits_are_compared_row_by_row() -> None:
    one = np.arange(12, dtype=np.float32).reshape(4, 3)
    other = one.copy()
    other[1:3, 2] = np.nextafter(other[1:3, 2], np.float32(99))
    found = settle(bit_for_bit(one, other, ("here", "there")))
    assert (found.rows, found.inexact) == (4, 2)
    assert found.seen == "5 here, 5.00000048 there, at [1, 2]"
    assert settle(bit_for_bit(one, one.copy(), ("", ""))).inexact == 0
    several = settle(bit_for_bit((one, one[0]), (one, other[1]), ("", "")))
    assert (several.rows, several.inexact) == (7, 3)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", ml_dtypes.bfloat16])
def test_signs_of_zeros_count_and_payloads_of_nan_do_not(dtype: Any) -> None:
    def inexact(one: Any, other: Any) -> int:
        return settle(bit_for_bit(np.asarray(one, dtype), np.asarray(other, dtype), ("", ""))).inexact

    assert inexact([0.0, 1.0], [-0.0, 1.0]) == 1
    assert inexact([np.nan], [-np.nan]) == 0
    assert inexact([np.inf], [-np.inf]) == 1
    assert inexact(0.5, 0.25) == 1
    assert inexact(np.zeros((0, 3)), np.zeros((0, 3))) == 0


def test_other_shapes_dtypes_and_numbers_of_results_differ_in_all_rows() -> None:
    one = np.zeros((3, 2), np.float32)
    for other in (np.zeros((3, 1), np.float32), np.zeros((3, 2)), np.zeros(3, np.float32)):
        found = settle(bit_for_bit(one, other, ("a", "b")))
        assert found.inexact == found.rows == 3
        assert f"of shape {other.shape} b" in found.seen
    assert settle(bit_for_bit((one, one), one, ("a", "b"))).seen == "2 results a, 1 results b"


def test_every_operation_that_returns_floats_has_them() -> None:
    found = {case.operation.name for case in EXACT}
    assert {"lstm", "katz_probabilities", "sinusoidal_positions", "unigram_encode"} <= found
    assert not {"causal_mask", "bpe_encode", "adaptive_softmax_predict", "teacher_forcing"} & found
    in_chunks = [case for case in EXACT if case.law.name not in LAWS]
    assert {case.operation.name for case in in_chunks} == {"lstm", "rnn_language_model", "masked_self_attention"}


@cache
def row_by_row(operation: Operation) -> Backend:
    found = reference_of([operation])
    return replace(found, functions={operation.name: plain(exact_laws.row_by_row(operation))})


@pytest.mark.parametrize(
    "case", [case for case in EXACT if case.law.name in exact_laws.BATCH_INVARIANT], ids=lambda case: case.id
)
def test_what_is_computed_row_by_row_is_batch_invariant(case: Case) -> None:
    """So that what the faults of these laws are made from holds, whatever NumPy does with batches."""
    verdict = check(row_by_row(case.operation), case, profile="quick")
    assert (verdict.state, verdict.inexact) == ("held", 0), verdict.reason
    assert verdict.rows > 20


def test_numpy_is_deterministic() -> None:
    backend = load_backend("numpy", CATALOGUE)
    law = exact_laws.DETERMINISTIC[0]
    verdicts = [check(backend, case, profile="quick") for case in EXACT if case.law.name == law]
    assert not [f"{verdict.id}: {verdict.reason}" for verdict in verdicts if verdict.state != "held"]
    assert all(verdict.rows for verdict in verdicts)


def test_all_examples_are_counted_and_nothing_is_unexpected() -> None:
    name = exact_laws.size_of_the_batch_changes_no_bit.__name__
    verdict = verdict_of({"learned_positions": one_row_rounds_otherwise}, f"learned_positions.{name}")
    assert (verdict.state, verdict.kind, verdict.examples) == ("inexact", "exact", exact_laws.FEW)
    assert verdict.inexact == exact_laws.ALONE * exact_laws.FEW < verdict.rows
    assert f"{verdict.inexact} of {verdict.rows} rows differ" in verdict.reason
    assert f"in {exact_laws.FEW} of {exact_laws.FEW} examples" in verdict.reason
    assert "alone (row 0)" in verdict.reason
    assert not verdict.counterexample
    assert not verdict.unexpected
    assert [verdict.counts(True, exact) for exact in (False, True)] == [False, True]
    assert Verdict.from_json(verdict.to_json()) == verdict
    assert f"--law learned_positions.{name} --exact" in failure(verdict)


def test_a_result_of_another_shape_is_no_other_state() -> None:
    law = f"learned_positions.{exact_laws.size_of_the_batch_changes_no_bit.__name__}"
    squeezing = {"learned_positions": lambda x, table: np.squeeze(x + table[: x.shape[1]], 0) if len(x) == 1 else x}
    assert verdict_of(squeezing, law).state == "inexact"


def test_what_raises_is_an_error_and_what_is_declined_is_set_aside() -> None:
    law = f"learned_positions.{exact_laws.size_of_the_batch_changes_no_bit.__name__}"

    def raising(error: type[Exception]) -> Callable[..., Any]:
        def function(x: Any, table: Any) -> Any:
            if len(x) == 1:
                raise error("one row")
            return x + table[: x.shape[1]]

        return function

    assert verdict_of({"learned_positions": raising(OSError)}, law).state == "error"
    assert verdict_of({"learned_positions": raising(NotImplementedError)}, law).state == "not offered"


def seen(law: str, rows: int, inexact: int, operation: str = "o") -> Verdict:
    state = "inexact" if inexact else "held"
    return Verdict("b", "n", operation, law, state, kind="exact", rows=rows, inexact=inexact)


def test_properties_are_told_with_the_share_of_rows_that_differ() -> None:
    size, place = exact_laws.BATCH_INVARIANT
    verdicts = [seen(size, 90, 9), seen(place, 10, 0), seen(size, 100, 0, "p"), seen(exact_laws.DETERMINISTIC[0], 5, 0)]
    verdicts += [replace(verdicts[0], state="missing", rows=0, inexact=0, operation="q"), seen("pieces", 1000, 1)]
    found = {each.name: each for each in exactness_of(verdicts)}
    assert tuple(found) == PROPERTIES
    assert found["batch-invariant"].words == "batch-invariant in 1 of 2 operations (4% of rows differ)"
    assert found["batch-invariant"].inexact == ("o",)
    assert [each.brief for each in found.values()] == ["4% differ", "yes", "<1% differ"]
    assert found["deterministic"].words == "deterministic in 1 of 1 operation"
    assert not list(exactness_of([replace(verdicts[0], kind="values")]))


@pytest.mark.parametrize(("exact", "status"), [((), 0), (("--exact",), 1)])
def test_a_run_fails_for_it_only_if_that_is_asked_for(
    exact: tuple[str, ...], status: int, command: Any, backend_file: Any, tmp_path: Path
) -> None:
    backend_file("adding", ONE_ROW_ADDS_UP_OTHERWISE)
    names = (
        exact_laws.size_of_the_batch_changes_no_bit.__name__,
        "another_run_changes_no_bit",
        "agrees_with_definition",
    )
    chosen = [part for law in names for part in ("--law", f"dot_score.{law}")]
    done = command("check", "./adding.py", "--profile", "quick", *chosen, "--junit", "laws.xml", *exact)
    assert done.returncode == status, done.stdout
    said = " ".join(done.stdout.split())
    assert f"3 of 3 laws, {status} unexpected" in said
    assert "backend held inexact of ./adding.py 2 1 3" in said
    assert "bit for bit: batch-invariant in 0 of 1 operation (" in said
    assert "deterministic in 1 of 1 operation" in said
    assert "not batch-invariant: dot_score" in said
    assert ("counts with --exact" in said) is not bool(exact)
    assert ("is inexact" in said) is bool(exact), "it is shown in full where it counts"
    suite = ElementTree.parse(tmp_path / "laws.xml").getroot()
    assert (suite.get("failures"), len(list(suite.iter("skipped")))) == (str(status), 1 - status)


@pytest.mark.parametrize(("exact", "outcome"), [((), "xfailed"), (("--layerlaws-exact",), "failed")])
def test_pytest_fails_for_it_only_if_that_is_asked_for(
    exact: tuple[str, ...], outcome: str, pytester: pytest.Pytester, backend_file: Any
) -> None:
    path: Path = backend_file("adding", ONE_ROW_ADDS_UP_OTHERWISE)
    law = exact_laws.size_of_the_batch_changes_no_bit.__name__
    pytester.makepyfile(
        f"from layerlaws import laws_for\ntest_laws = laws_for({str(path)!r}, laws=['dot_score.{law}'])"
    )
    pytester.runpytest("--layerlaws-profile", "quick", *exact).assert_outcomes(**{outcome: 1})


def test_a_deviation_of_a_whole_operation_is_not_about_bits(backend_file: Any) -> None:
    known = "known = {'dot_score': Known('it adds up', 'https://example.org')}\n"
    path = backend_file("adding", f"from layerlaws import Known\n{known}{ONE_ROW_ADDS_UP_OTHERWISE}")
    declared = load_backend(str(path), CATALOGUE).known
    assert "dot_score.batches_are_independent" in declared
    assert not [case.id for case in EXACT if case.id in declared]


def test_benchmarks_do_not_hold_them() -> None:
    plan = Plan(CATALOGUE, [], CATALOGUE.notes)
    assert plan.cases
    assert not [case.id for case in plan.cases if case.law.kind == "exact"]


def test_bits_that_come_to_differ_are_no_regression() -> None:
    before, after = seen("size", 9, 0), seen("size", 9, 1)
    assert not Change(before, after).regression
    assert Change(before, replace(after, state="error")).regression


def test_a_badge_does_not_count_them() -> None:
    header = Header("b", "0", "CPU", ["float32"], "quick", None, 3, True)
    held = Verdict("b", "n", "o", "law", "held", kind="values")
    lacking = replace(seen("size", 9, 0), state="missing")
    record = Record(Path("b.jsonl"), header, (held, seen("size", 9, 1), lacking), True)
    assert "1 of 1 laws hold" in badge(record)
