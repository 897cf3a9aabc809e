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
    assert outcomes["failed"] == 1  # causal_mask.agrees_with_definition
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
