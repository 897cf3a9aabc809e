"""Claims settle as mathematics and IEEE 754 have it, and nothing that says nothing counts as held."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from layerlaws.language.claims import Claim, Settlement, all_of, at_most, closely, differ, exactly, refused, settle
from layerlaws.numerics.bounded import Bounded
from layerlaws.numerics.formats import FORMATS
from layerlaws.support.errors import Broken, Undecidable

FLOAT32 = FORMATS["float32"]
ONES = np.ones(3)


def bounded(value: Any, error: Any = 0.5) -> Bounded:
    return Bounded(value, error, FLOAT32)


def broken(claim: Claim) -> str:
    """The message with which a claim breaks."""
    with pytest.raises(Broken) as caught:
        settle(claim)
    return str(caught.value)


def test_closely_holds_up_to_both_errors_and_no_further() -> None:
    assert settle(closely(bounded([3.0]), bounded([4.0]))).used == 1
    assert settle(closely(bounded([3.0]), np.array([3.25]))).used == 0.5
    assert "1.25 apart, 1 allowed" in broken(closely(bounded([3.0]), bounded([4.25])))
    assert "0.75 apart, 0.5 allowed" in broken(closely(bounded([3.0]), np.array([3.75])))


def test_the_message_shows_the_worst_place() -> None:
    left, right = bounded([[1.0, 2.0], [3.0, 4.0]]), bounded([[1.0, 4.0], [3.0, 14.0]])
    message = broken(closely(left, right))
    assert message == "4 is not 14 at [1, 1]: 10 apart, 1 allowed (2 of 4 elements)"
    assert "1 is not 2 at [1]: 1 of 3 elements differ" in broken(exactly(np.array([1, 1, 1]), np.array([1, 2, 1])))


def test_both_sides_are_shown() -> None:
    with pytest.raises(Broken) as caught:
        settle(exactly(np.array([1]), np.array([2])))
    assert [name for name, _ in caught.value.sides] == ["left", "right"]


def test_arrays_without_errors_are_compared_exactly() -> None:
    settle(closely(ONES, ONES))
    broken(closely(ONES, np.nextafter(ONES, 2)))


@pytest.mark.parametrize("claim", [closely, exactly, at_most])
@pytest.mark.parametrize("error", [None, 0.0, 0.5])
def test_not_a_number_holds_nowhere(claim: Any, error: float | None) -> None:
    def side(value: float) -> Any:
        return np.array([1.0, value]) if error is None else bounded([1.0, value], error)

    broken(claim(side(np.nan), side(np.nan)))
    broken(claim(side(np.nan), side(1.0)))
    broken(claim(side(1.0), side(np.nan)))


def test_not_a_number_breaks_claims_about_what_was_computed_from_it() -> None:
    nothing = bounded([1.0, np.nan])
    for result in (
        nothing + 1,
        nothing * 0,
        np.exp(nothing),
        np.sum(nothing),
        nothing @ np.ones(2),
        np.maximum(nothing, 3.0),
        np.concatenate([nothing, nothing]),
        np.where([False, True], nothing, 0.0),
        nothing - nothing,
    ):
        broken(closely(result, result))


def test_a_wrong_infinity_does_not_turn_into_something_that_holds() -> None:
    infinite = bounded([np.inf, 1.0])
    for result in (
        infinite + 1,
        infinite * 2.0,
        infinite / 3.0,
        np.exp(infinite),
        np.sum(infinite),
        infinite @ np.ones(2),
    ):
        broken(closely(result, np.zeros(result.shape)))
    broken(closely(infinite - infinite, np.zeros(2)))


def test_equal_infinities_hold_and_different_ones_do_not() -> None:
    infinite = bounded([np.inf, -np.inf])
    assert settle(closely(infinite, infinite)) == Settlement(used=0.0, decisive=True)
    settle(exactly(infinite, infinite))
    settle(at_most(infinite, infinite))
    settle(at_most(bounded([-np.inf]), bounded([3.0])))
    broken(closely(infinite, -infinite))
    broken(closely(infinite, bounded([np.inf, 1e38])))
    broken(at_most(bounded([np.inf]), bounded([3.0])))


def test_an_unlimited_error_is_silent_and_not_decisive() -> None:
    for value in (1.0, np.nan, np.inf):
        assert settle(closely(bounded([value], np.inf), bounded([7.0]))) == Settlement(used=0.0, decisive=False)
    assert settle(closely(bounded([1.0, 1.0], [np.inf, 0.1]), np.array([5.0, 1.0]))).decisive
    broken(closely(bounded([1.0, 2.0], [np.inf, 0.1]), np.array([5.0, 5.0])))


def test_an_error_as_large_as_the_values_is_not_decisive() -> None:
    assert not settle(closely(bounded([0.25, 0.1]), bounded([0.25, 0.1]))).decisive
    assert settle(closely(bounded([0.25, 9.0]), bounded([0.25, 9.0]))).decisive
    assert settle(closely(bounded([0.0], 0.0), bounded([0.0], 0.0))).decisive, "an exact zero could have been missed"


@pytest.mark.parametrize("claim", [closely, exactly, at_most])
def test_a_comparison_of_no_elements_is_not_decisive(claim: Any) -> None:
    assert not settle(claim(np.zeros((0, 3)), np.zeros((0, 3)))).decisive
    assert not settle(claim(bounded(np.zeros((0, 3))), bounded(np.zeros((0, 3))))).decisive


@pytest.mark.parametrize("claim", [closely, exactly, at_most])
def test_shapes_have_to_agree_but_for_scalars(claim: Any) -> None:
    assert "the left side has shape (3,), expected (1, 3)" in broken(claim(ONES, np.ones((1, 3))))
    assert "the left side has shape (3,), expected (1,)" in broken(claim(bounded(ONES), np.ones(1)))
    settle(claim(ONES, 1.0))
    settle(claim(bounded(1.0), bounded(ONES)))
    settle(claim(1.0, 1))


@pytest.mark.parametrize("claim", [closely, exactly, at_most])
def test_tuples_are_compared_element_by_element(claim: Any) -> None:
    settle(claim((ONES, bounded(ONES)), (ONES, ONES)))
    broken(claim((ONES, ONES), (ONES, 0 * ONES)))
    assert "2 results are not 3" in broken(claim((ONES, ONES), (ONES,) * 3))
    assert "1 results are not 2" in broken(claim(ONES, (ONES, ONES)))
    with pytest.raises(TypeError, match="about nothing"):
        settle(claim((), ()))


def test_used_and_decisive_of_several_results_are_the_largest() -> None:
    settled = settle(closely((bounded([8.0]), bounded([0.1])), (bounded([8.25]), bounded([0.1]))))
    assert settled == Settlement(used=0.25, decisive=True)


def test_at_most_is_one_sided() -> None:
    assert settle(at_most(bounded([-100.0]), bounded([3.0]))).used == 0
    assert settle(at_most(bounded([3.5]), bounded([3.0]))).used == 0.5
    assert "above" in broken(at_most(bounded([5.0]), bounded([3.0])))
    settle(at_most(np.array([2, 3]), np.array([2, 4])))
    broken(at_most(np.array([2, 5]), np.array([2, 4])))
    broken(at_most((ONES, 2 * ONES), (ONES, ONES)))


def test_exactly_allows_no_rounding_and_no_error() -> None:
    settle(exactly(bounded([1.0]), np.array([1])))
    settle(exactly(np.array([True, False]), np.array([1, 0])))
    broken(exactly(bounded([1.0], 10.0), bounded([1.0 + 2**-40], 10.0)))
    settle(exactly(np.array([-0.0]), np.array([0.0])))


def test_differ_asks_for_a_change_that_shows() -> None:
    before, after = bounded([1.0, 1.0], 0.1), bounded([1.0, 2.0], 0.1)
    assert settle(differ(before, after, expected=(before, after))).decisive
    assert "does not reach" in broken(differ(before, before, expected=(before, after)))
    broken(differ(before, bounded([1.0, 1.15], 0.1), expected=(before, after)))


def test_differ_asks_for_nothing_where_the_definition_does_not_move() -> None:
    before = bounded([1.0, 1.0], 0.1)
    assert not settle(differ(before, before, expected=(before, before))).decisive


def test_differ_is_undecidable_where_the_change_drowns() -> None:
    before, drowned = bounded([1.0], 0.1), bounded([1.3], 0.1)  # twice both errors is 0.4
    with pytest.raises(Undecidable):
        settle(differ(before, before, expected=(before, drowned)))
    unknown = bounded([5.0], np.inf)
    with pytest.raises(Undecidable):
        settle(differ(before, before, expected=(before, unknown)))


def test_not_a_number_is_no_change() -> None:
    before, after, nothing = bounded([1.0], 0.1), bounded([2.0], 0.1), bounded([np.nan], 0.1)
    assert "not a number" in broken(differ(nothing, nothing, expected=(before, after)))
    assert "not a number" in broken(differ(before, nothing, expected=(before, after)))
    assert "not a number" in broken(
        differ((before, nothing), (after, after), expected=((before, before), (after, after)))
    )


def refusing(result: Any) -> Any:
    return SimpleNamespace(name="some_operation", refusal=lambda naming, arguments: result)


def test_refused_breaks_with_what_was_returned() -> None:
    assert settle(refused(refusing(None), "ids", {})) == Settlement()
    with pytest.raises(Broken, match="accepted a bad 'ids' instead of raising ValueError") as caught:
        settle(refused(refusing(ONES), "ids", {}))
    assert caught.value.sides[0][1] is ONES


def test_all_of_needs_each_of_them() -> None:
    assert settle(all_of(exactly(ONES, ONES), closely(bounded([3.0]), bounded([3.5])))).used == 0.5
    broken(all_of(exactly(ONES, ONES), exactly(ONES, 2 * ONES)))
    broken(all_of(all_of(exactly(ONES, 2 * ONES)), exactly(ONES, ONES)))
    with pytest.raises(TypeError, match="about nothing"):
        settle(all_of())
    with pytest.raises(TypeError, match="bool"):
        settle(all_of(exactly(ONES, ONES), True))  # type: ignore[arg-type]


@pytest.mark.parametrize("said", [None, True, ONES, np.True_, closely, (closely(1, 1), closely(1, 1)), "yes"])
def test_what_is_no_claim_is_a_type_error(said: Any) -> None:
    with pytest.raises(TypeError, match="a law returns a claim, such as closely"):
        settle(said)


def test_settling_makes_no_floating_point_warnings() -> None:
    settle(closely(bounded([np.inf, 1e308]), bounded([np.inf, -1e308], [0.0, np.inf])))
    broken(closely(bounded([1e308]), bounded([-1e308])))
