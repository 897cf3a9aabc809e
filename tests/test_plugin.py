"""Other people's pytest suites: one line holds a backend to its laws."""

from __future__ import annotations

import pytest

BACKEND = """
import numpy as np

known = {"the_mask_is_a_staircase": ("the stairs start at key 0", "https://example.org/why")}

def from_numpy(array):
    return array

def to_numpy(array):
    return np.asarray(array)

def causal_mask(queries, keys):
    return np.tri(queries, keys, dtype=bool)

def teacher_forcing(targets, begin, end):
    rows = len(targets)
    return (np.concatenate([np.full((rows, 1), begin), targets], 1),
            np.concatenate([targets, np.full((rows, 1), end)], 1))
"""


def test_laws_for_makes_one_item_per_law(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        my_backend=BACKEND,
        test_mine='from layerlaws import laws_for\ntest_laws = laws_for("my_backend", notes=["masked_attention"])\n',
    )
    result = pytester.runpytest_subprocess("-rA", "-o", "pythonpath=.", "--layerlaws-profile=quick")
    outcomes = result.parseoutcomes()
    assert outcomes["xfailed"] == 1  # the known deviation
    assert outcomes["failed"] == 2  # causal_mask agrees with its definition nowhere, at seldom sizes neither
    assert outcomes["deselected"] > 5  # laws of masked_self_attention, which it does not offer
    assert outcomes["passed"] > 5
    assert "skipped" not in outcomes
    said = f"layerlaws: {outcomes['deselected']} laws are of what a backend does not offer (--layerlaws-missing)"
    result.stdout.fnmatch_lines(["collected * deselected*", said, "*causal_mask.agrees_with_definition is broken*"])


def test_laws_of_what_is_missing_are_skipped_on_demand(pytester: pytest.Pytester) -> None:
    laws = ["the_mask_is_a_staircase", "no_position_sees_the_future"]
    pytester.makepyfile(
        my_backend=BACKEND,
        test_mine=f'from layerlaws import laws_for\ntest_laws = laws_for("my_backend", laws={laws})\n',
    )
    result = pytester.runpytest_subprocess("-rs", "-o", "pythonpath=.", "--layerlaws-missing")
    result.assert_outcomes(xfailed=1, skipped=1)
    result.stdout.fnmatch_lines(["*missing: no masked_self_attention*"])


def test_an_unknown_law_name_among_the_known_deviations_is_an_error(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        my_backend=BACKEND.replace("the_mask_is_a_staircase", "the_mask_is_a_stairway"),
        test_mine='from layerlaws import laws_for\ntest_laws = laws_for("my_backend")\n',
    )
    result = pytester.runpytest_subprocess("-o", "pythonpath=.")
    result.stdout.fnmatch_lines(["*did you mean the_mask_is_a_staircase*"])


LAW = "causal_mask.agrees_with_definition"
TESTS = f"from layerlaws import laws_for\n\ntest_laws = laws_for('my_backend', laws=['{LAW}'])\n"
MINE = """
import os, sys
import numpy as np

def from_numpy(array):
    return array

def to_numpy(array):
    return np.asarray(array)

def causal_mask(queries, keys):
    {}
    return np.tri(queries, keys, keys - queries, dtype=bool)
"""
AFTER = """

def test_after():
    import numpy
    assert numpy.exp(0) == 1
    assert numpy.exp is numpy._core.umath.exp
"""


def run(pytester: pytest.Pytester, does: str, *options: str, tests: str = TESTS) -> pytest.RunResult:
    pytester.makepyfile(my_backend=MINE.format(does), test_mine=tests)
    return pytester.runpytest_subprocess("-o", "pythonpath=.", "--layerlaws-profile=quick", *options)


@pytest.mark.parametrize(
    ("does", "said"),
    [
        ("os._exit(0)", "*is crashed*"),
        ("import ctypes; ctypes.string_at(0)", "*SIGSEGV*"),
        ("sys.exit(0)", "*raised SystemExit*"),
        ("np.exp = np.exp2", "*it replaced numpy.exp*"),
    ],
)
def test_a_backend_costs_its_own_items_only(pytester: pytest.Pytester, does: str, said: str) -> None:
    result = run(pytester, does, tests=TESTS + AFTER)
    result.assert_outcomes(failed=1, passed=1)
    result.stdout.fnmatch_lines([said])


def test_in_the_process_of_pytest_replaced_functions_are_missed_as_well(pytester: pytest.Pytester) -> None:
    result = run(pytester, "np.exp = np.exp2", "--layerlaws-in-process", tests=TESTS + AFTER)
    result.assert_outcomes(failed=1, passed=1)
    result.stdout.fnmatch_lines(["*it replaced numpy.exp*"])


def test_options_that_cannot_be_are_refused_in_a_line(pytester: pytest.Pytester) -> None:
    for option in ("--layerlaws-profile=nonsense", "--layerlaws-seed=x", f"--layerlaws-seed={10**400}"):
        result = run(pytester, "pass", option)
        assert result.ret == pytest.ExitCode.USAGE_ERROR
        assert "Traceback" not in result.stderr.str()


def test_without_its_plugin_the_defaults_apply(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(my_backend=MINE.format("pass"), test_mine=TESTS)
    pytester.runpytest_subprocess("-o", "pythonpath=.", "-p", "no:layerlaws").assert_outcomes(passed=1)
