"""Examples drawn by Hypothesis once, and shared by all laws that ask for the same strategy."""

from __future__ import annotations

from functools import cache
from typing import Any

import hypothesis
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

BATCH = 10
"""Test cases in a row. From the tenth on Hypothesis mixes parts of earlier ones, so that what is rare (a large extent,
say) comes in clumps or not at all, in twice the time."""

TOGETHER = 3
"""Draws per test case: half of what a draw costs is by the test case. With more, too many are the simplest of all."""


@cache
def examples(strategy: SearchStrategy[Any], count: int, seed: int | None) -> tuple[Any, ...]:
    """Up to `count` draws, fewer where the strategy has no more; the same ones in every call and every process.

    seed: other draws than without one (None).
    """
    per_case = min(TOGETHER, count)
    together = st.tuples(*[strategy] * per_case)
    drawn: list[Any] = []
    while len(drawn) < count:
        wanted = min(BATCH, -(-(count - len(drawn)) // per_case))
        batch = _batch(together, wanted + bool(drawn), f"{seed} {len(drawn)}")
        new = batch[1:] if drawn else batch  # the first test case is always the simplest there is
        drawn += [draw for case in new for draw in case]
        if len(new) < wanted:
            break  # there are no more
    return tuple(drawn[:count])


def _batch(strategy: SearchStrategy[Any], count: int, seed: str) -> list[Any]:
    drawn: list[Any] = []

    @hypothesis.seed(seed)
    @settings(
        max_examples=count,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],
    )
    @hypothesis.given(strategy)
    def collect(example: Any) -> None:
        drawn.append(example)

    collect()
    return drawn
