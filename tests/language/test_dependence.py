"""Who depends on whom: what moves for sure, what rounding could hide, and what shows nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from layerlaws.language.dependence import changed, dependence
from layerlaws.numerics.bounded import Bounded
from layerlaws.numerics.formats import FORMATS
from layerlaws.support.errors import Broken, Undecidable


def bounded(value: Any, error: Any = 0.1) -> Bounded:
    return Bounded(value, error, FORMATS["float64"])


class Imitation:
    """An operation as laws see it: `computed` is the backend's function, `defined` the definition's."""

    def __init__(self, computed: Any, defined: Any) -> None:
        self.computed, self.defined = computed, defined

    def compare(self, x: Any) -> tuple[Any, Any]:
        return self.computed(x), self.defined(x)


def rewritten(j: int) -> dict[str, Any]:
    x = np.ones((2, 4))
    if j >= 0:
        x[:, j] = 9
    return {"x": x}


def running_sums(x: Any) -> Bounded:
    return bounded(np.cumsum(x, axis=1))


def test_a_running_sum_depends_on_the_past() -> None:
    found = dependence(Imitation(running_sums, running_sums), rewritten, 4, axis=1)
    assert np.array_equal(found, np.tril(np.ones((4, 4), bool)))


def test_what_is_found_is_the_backends_not_the_definitions() -> None:
    whole = Imitation(lambda x: bounded(np.broadcast_to(x.sum(axis=1, keepdims=True), x.shape)), running_sums)
    assert dependence(whole, rewritten, 4, axis=1).all()
    constant = Imitation(lambda x: bounded(np.ones_like(x)), running_sums)
    assert not dependence(constant, rewritten, 4, axis=1).any()


def test_moves_within_the_errors_are_no_dependence() -> None:
    drifting = Imitation(lambda x: bounded(x.cumsum(axis=1) + 0.02 * x.sum()), running_sums)
    assert np.array_equal(dependence(drifting, rewritten, 4, axis=1), np.tril(np.ones((4, 4), bool)) | True)
    quiet = Imitation(lambda x: bounded(x.cumsum(axis=1) + 0.005 * x.sum()), running_sums)
    assert np.array_equal(dependence(quiet, rewritten, 4, axis=1), np.tril(np.ones((4, 4), bool)))


def test_one_of_several_results_along_any_axis() -> None:
    def pair(x: Any) -> Any:
        return np.zeros(3), bounded(x.T)

    both = Imitation(pair, pair)
    assert np.array_equal(dependence(both, rewritten, 4, axis=0, of=1), np.eye(4, dtype=bool))
    assert np.array_equal(dependence(both, rewritten, 4, axis=-2, of=1), np.eye(4, dtype=bool))
    assert dependence(both, rewritten, 0, axis=0, of=1).shape == (4, 0)


def test_integers_and_masks_move_when_they_differ() -> None:
    def ids(x: Any) -> Any:
        return x.astype(np.int64)

    assert np.array_equal(dependence(Imitation(ids, ids), rewritten, 4, axis=1), np.eye(4, dtype=bool))
    assert changed(np.array([True]), np.array([False]))
    assert not changed(np.array([3]), np.array([3]))


def test_a_definition_whose_change_drowns_is_undecidable() -> None:
    blurred = Imitation(running_sums, lambda x: bounded(np.cumsum(x, axis=1), 5.0))
    with pytest.raises(Undecidable):
        dependence(blurred, rewritten, 4, axis=1)
    unknown = Imitation(running_sums, lambda x: bounded(np.cumsum(x, axis=1), np.inf))
    with pytest.raises(Undecidable):
        dependence(unknown, rewritten, 4, axis=1)


@pytest.mark.parametrize("when", [-1, 2])
def test_not_a_number_shows_no_dependence(when: int) -> None:
    def nothing(x: Any) -> Bounded:
        rewritten_part = int(np.argmax(x[0])) if x.max() > 1 else -1
        return bounded(np.full(x.shape, np.nan)) if rewritten_part == when else running_sums(x)

    with pytest.raises(Broken, match="not a number where the definition has one"):
        dependence(Imitation(nothing, running_sums), rewritten, 4, axis=1)


def test_changed_is_more_than_the_errors() -> None:
    assert changed(bounded([1.0]), bounded([1.25]))
    assert not changed(bounded([1.0]), bounded([1.15]))
    assert changed((np.array([1]), bounded([1.0])), (np.array([1]), bounded([2.0])))
    assert not changed(bounded([1.0]), bounded([1.0]), demanded=True)
    assert changed(bounded([1.0]), bounded([1.5]), demanded=True)


def test_a_demanded_change_has_to_be_beyond_twice_the_errors() -> None:
    """The definition's value may be off by its error, and so may the implementation's, on both sides of the change."""
    with pytest.raises(Undecidable):
        changed(bounded([1.0]), bounded([1.35]), demanded=True)
    assert changed(bounded([1.0, 1.0]), bounded([1.35, 2.0]), demanded=True), "one place that shows is enough"


def test_equal_infinities_have_not_moved() -> None:
    assert not changed(bounded([np.inf, -np.inf]), bounded([np.inf, -np.inf]))
    assert changed(bounded([np.inf]), bounded([-np.inf]))
    assert changed(bounded([np.inf]), bounded([1.0]))


def test_not_a_number_has_moved() -> None:
    """Where nothing may move, not a number is a change; where something has to, `differ` refuses it."""
    assert changed(bounded([np.nan]), bounded([np.nan]))


def test_nothing_is_known_of_what_has_an_infinite_error() -> None:
    """A definition that overflows claims nothing, and what it becomes then is no change that has to be seen."""
    with pytest.raises(Undecidable):
        changed(bounded([np.nan], np.inf), bounded([1.0]), demanded=True)
