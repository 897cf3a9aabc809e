"""Examples drawn by Hypothesis once, and shared by all laws that ask for the same strategy."""

from __future__ import annotations

from functools import cache
from typing import Any

import hypothesis
from hypothesis import HealthCheck, Phase, settings
from hypothesis.strategies import SearchStrategy

BATCH = 10
"""Draws in a row. From the tenth on Hypothesis mixes parts of earlier ones, so that what is rare (a large extent,
say) comes in clumps or not at all, in twice the time."""


@cache
def examples(strategy: SearchStrategy[Any], count: int, seed: int | None) -> tuple[Any, ...]:
    """Up to `count` draws, fewer where the strategy has no more; the same ones in every call and every process.

    seed: other draws than without one (None).
    """
    drawn: list[Any] = []
    for start in range(0, count, BATCH):
        wanted = min(BATCH, count - start)
        batch = _batch(strategy, wanted + 1, f"{seed} {start}")
        drawn += batch[1:] if start else batch[:wanted]  # the first draw is always the simplest there is
        if len(batch) <= wanted:
            break  # there are no more
    return tuple(drawn)


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
