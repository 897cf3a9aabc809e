"""Fast sampling gives the same kinds of values as Hypothesis does."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as hypothesis_strategies

from layerlaws.checking.examples import TOGETHER, examples
from layerlaws.language import strategies as st

COUNT = 300


@st.composite
def pairs(draw: st.DrawFn, most: int) -> tuple[int, list[str]]:
    return draw(st.integers(1, most)), draw(st.lists(st.text("ab", max_size=3), max_size=2))


STRATEGIES: dict[str, tuple[st.SearchStrategy[Any], Any]] = {
    "integers": (st.integers(-2, 5), lambda x: type(x) is int and -2 <= x <= 5),
    "wide integers": (st.integers(7, 10**12), lambda x: 7 <= x <= 10**12),
    "sampled": (st.sampled_from(["a", None, 3]), lambda x: x in ("a", None, 3)),
    "booleans": (st.booleans(), lambda x: type(x) is bool),
    "floats": (st.floats(-1.5, 0.25), lambda x: type(x) is float and -1.5 <= x <= 0.25),
    "just": (st.just((1, 2)), lambda x: x == (1, 2)),
    "none": (st.none(), lambda x: x is None),
    "one of": (st.one_of(st.none(), st.integers(1, 2)), lambda x: x in (None, 1, 2)),
    "lists": (st.lists(st.booleans(), min_size=1, max_size=3), lambda x: type(x) is list and 1 <= len(x) <= 3),
    "text": (st.text("xyz", max_size=4), lambda x: set(x) <= set("xyz") and len(x) <= 4),
    "binary": (st.binary(max_size=4), lambda x: type(x) is bytes and len(x) <= 4),
    "tuples": (st.tuples(st.none(), st.booleans()), lambda x: x[0] is None and type(x[1]) is bool),
    "dictionaries": (st.fixed_dictionaries({"n": st.integers(1, 2)}), lambda x: x in ({"n": 1}, {"n": 2})),
    "builds": (st.builds(lambda n: 2 * n, st.integers(1, 3)), lambda x: x in (2, 4, 6)),
    "composite": (pairs(4), lambda x: 1 <= x[0] <= 4 and len(x[1]) <= 2),
    "seeds": (st.seeds, lambda x: 0 <= x < st.UNIFORM_RANGE),
}


@pytest.mark.parametrize("name", STRATEGIES)
def test_sampled_and_drawn_values_are_of_the_same_kind(name: str) -> None:
    strategy, fits = STRATEGIES[name]
    sampled = examples(strategy, COUNT, None)
    assert len(sampled) == COUNT
    assert all(map(fits, sampled))
    drawn = []

    @settings(max_examples=50, database=None, derandomize=True)
    @given(strategy)
    def collect(x: Any) -> None:
        drawn.append(x)

    collect()
    assert all(map(fits, drawn))
    assert repr(sampled[0]) == repr(drawn[0]), "both begin with the simplest"


@pytest.mark.parametrize("name", ["integers", "sampled", "booleans", "one of", "lists", "dictionaries"])
def test_every_possible_value_is_sampled(name: str) -> None:
    strategy, _ = STRATEGIES[name]
    sampled = {repr(x) for x in examples(strategy, 2000, None)}
    drawn = set()

    @settings(max_examples=200, database=None, derandomize=True)
    @given(strategy)
    def collect(x: Any) -> None:
        drawn.add(repr(x))

    collect()
    assert drawn <= sampled


def test_the_ends_of_a_long_range_are_sampled() -> None:
    sampled = examples(st.integers(0, 10**6), 1000, None)
    assert {0, 10**6} <= set(sampled)
    assert len(set(sampled)) > 900


def test_small_and_large_integers_of_a_wide_range_are_sampled() -> None:
    sampled = examples(st.integers(0, 10**12), 1000, None)
    assert sum(x < 1000 for x in sampled) > 100
    assert sum(x > 10**9 for x in sampled) > 100


def test_equal_choices_of_other_types_are_other_strategies() -> None:
    assert {repr(x) for x in examples(st.sampled_from((0, 1)), 50, None)} == {"0", "1"}
    assert {repr(x) for x in examples(st.sampled_from((False, True)), 50, None)} == {"False", "True"}


def test_strategies_from_elsewhere_are_drawn_by_hypothesis() -> None:
    @st.composite
    def mixed(draw: st.DrawFn) -> tuple[int, int]:
        return draw(hypothesis_strategies.integers(0, 10**6)), draw(st.integers(0, 10**6))

    drawn = examples(mixed(), 100, None)
    assert len({x[0] for x in drawn}) > 30
    assert len({x[1] for x in drawn}) > 90
    assert len(examples(hypothesis_strategies.sampled_from("abc"), 30, None)) > 0


@pytest.mark.parametrize("count", [1, 2, TOGETHER, TOGETHER + 2, 100, 101])
def test_as_many_examples_as_asked_for(count: int) -> None:
    assert len(examples(st.integers(0, 10**9), count, None)) == count


def test_the_same_examples_in_every_call_and_others_with_another_seed() -> None:
    examples.cache_clear()
    first = examples(pairs(1000), 100, None)
    examples.cache_clear()
    assert examples(pairs(1000), 100, None) == first
    assert examples(pairs(1000), 100, 1) != first
    assert len(set(map(repr, first))) > 90, "they differ"
