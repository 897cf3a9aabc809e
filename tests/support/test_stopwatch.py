"""Where the time of a check goes."""

from __future__ import annotations

import time

from layerlaws import catalogue, check, load_backend
from layerlaws.support import stopwatch
from layerlaws.support.stopwatch import spends


def test_a_part_within_a_part_counts_once() -> None:
    @spends("backend")
    def inner() -> None:
        time.sleep(0.02)

    @spends("definition")
    def outer() -> None:
        inner()
        inner()

    before = stopwatch.reading()
    outer()
    spent = stopwatch.since(before)
    assert spent["backend"] >= 0.04
    assert spent.get("definition", 0.0) < spent["backend"]
    assert "drawing" not in spent


def test_a_verdict_says_what_its_time_went_into() -> None:
    known = catalogue()
    (case,) = known.select([], ["feed_forward.agrees_with_definition"])
    verdict = check(load_backend("numpy", known), case, profile="quick", seed=12345)
    assert verdict.spent.keys() == set(stopwatch.PARTS)
    assert 0 < sum(verdict.spent.values()) <= verdict.seconds + 0.001
    assert type(verdict).from_json(verdict.to_json()) == verdict
