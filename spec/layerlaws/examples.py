"""Examples drawn by Hypothesis once, and shared by all laws that ask for the same strategy."""

from __future__ import annotations

from functools import cache
from typing import Any

import hypothesis
from hypothesis import HealthCheck, Phase, settings
from hypothesis.strategies import SearchStrategy


@cache
def examples(strategy: SearchStrategy[Any], count: int, seed: int | None = None) -> tuple[Any, ...]:
    """Up to `count` draws, fewer where the strategy has no more; the same ones in every call and every process.

    seed: other draws than without one. Drawing costs about as much as holding a small law does.
    """
    drawn: list[Any] = []

    @settings(
        max_examples=count,
        derandomize=seed is None,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],
    )
    @hypothesis.given(strategy)
    def collect(example: Any) -> None:
        drawn.append(example)

    (collect if seed is None else hypothesis.seed(seed)(collect))()
    return tuple(drawn)
