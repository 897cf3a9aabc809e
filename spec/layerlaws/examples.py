"""Examples drawn by Hypothesis once, and shared by all laws that ask for the same strategy."""

from __future__ import annotations

from functools import cache
from typing import Any

import hypothesis
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st

ROW = 10
"""Examples drawn in one go: what Hypothesis does around each go costs more than most draws."""

ROWS = 10
"""Goes in a row. After the tenth, Hypothesis mixes parts of earlier ones, so that what is rare (a large extent,
say) comes in clumps or not at all."""


@cache
def examples(strategy: st.SearchStrategy[Any], count: int, seed: int | None) -> tuple[Any, ...]:
    """Up to `count` draws, fewer where the strategy has no more; the same ones in every call and every process.

    The first is the simplest there is. seed: other draws than without one (None).
    """
    if count <= ROW:
        return tuple(_drawn(strategy, count, str(seed)))
    drawn: list[Any] = []
    while len(drawn) < count:
        rows = _drawn(st.tuples(*[strategy] * ROW), ROWS + 1, f"{seed} {len(drawn)}")
        if len(rows) <= ROWS:  # there are few different examples: each of them once
            return tuple(_drawn(strategy, count, str(seed)))
        drawn += [] if drawn else rows[0][:1]  # a run begins with the simplest examples
        drawn += [example for row in rows[1:] for example in row]
    return tuple(drawn[:count])


def _drawn(strategy: st.SearchStrategy[Any], count: int, seed: str) -> list[Any]:
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
