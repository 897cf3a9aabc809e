"""Examples, drawn once per strategy and shared by all laws that use it."""

from __future__ import annotations

from functools import cache
from typing import Any

import hypothesis
from hypothesis import HealthCheck, Phase, settings

from layerlaws.language import strategies as st
from layerlaws.support.stopwatch import spends
from layerlaws.support.storage import nothing_kept

BATCH = 10
"""Test cases per run of Hypothesis. From the tenth on, Hypothesis mixes parts of earlier ones: rare values (a large
extent, say) then come in clumps or not at all, and drawing takes twice as long."""

TOGETHER = 10
"""Examples per test case, whose overhead is most of the cost of fast sampling."""


@cache
@spends("drawing")
def examples(strategy: st.SearchStrategy[Any], count: int, seed: int | None, lap: int = 0) -> tuple[Any, ...]:
    """`count` examples, the simplest one first; the same in every call and every process.

    seed: changes the examples; None for the default ones. lap: from 1 on, further examples, without the simplest one.
    """
    name = f"{seed}, lap {lap}" if lap else f"{seed}"
    together = st.several(strategy, max(1, min(TOGETHER, count - 1)))
    drawn: list[Any] = []
    while len(drawn) < count:
        wanted = min(BATCH, 1 + -(-(count - len(drawn)) // TOGETHER))
        simplest, *cases = _batch(together, wanted, f"{name} {len(drawn)}")
        new = [*([] if drawn or lap else simplest[:1]), *(example for case in cases for example in case)]
        if not new:
            break  # the strategy has no more values
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

    with nothing_kept(), st.fast_sampling():
        collect()
    return drawn
