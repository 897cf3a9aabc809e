"""Examples drawn once, and shared by all laws that ask for the same strategy."""

from __future__ import annotations

from functools import cache
from typing import Any

import hypothesis
from hypothesis import HealthCheck, Phase, settings

from layerlaws.language import strategies as st
from layerlaws.support.stopwatch import spends

BATCH = 10
"""Test cases in a row. From the tenth on Hypothesis mixes parts of earlier ones, so that what is rare (a large extent,
say) comes in clumps or not at all, in twice the time."""

TOGETHER = 10
"""Examples per test case: most of what a dealt example costs is by the test case."""


@cache
@spends("drawing")
def examples(strategy: st.SearchStrategy[Any], count: int, seed: int | None) -> tuple[Any, ...]:
    """`count` examples, the first of which is the simplest; the same ones in every call and every process.

    seed: other examples than without one (None).
    """
    together = st.several(strategy, max(1, min(TOGETHER, count - 1)))
    drawn: list[Any] = []
    while len(drawn) < count:
        wanted = min(BATCH, 1 + -(-(count - len(drawn)) // TOGETHER))
        simplest, *cases = _batch(together, wanted, f"{seed} {len(drawn)}")
        new = [*([] if drawn else simplest[:1]), *(example for case in cases for example in case)]
        if not new:
            break  # there are no more
        drawn += new
    return tuple(drawn[:count])


def _batch(strategy: st.SearchStrategy[Any], count: int, seed: str) -> list[Any]:
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

    with st.dealing():
        collect()
    return drawn
