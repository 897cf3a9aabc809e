"""Where the time of a check goes."""

from __future__ import annotations

import pytest

from layerlaws import catalogue, check, load_backend
from layerlaws.support import stopwatch
from layerlaws.support.stopwatch import spends


def test_a_part_within_a_part_counts_once(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(stopwatch.time, "perf_counter", lambda: now[0])

    @spends("backend")
    def inner() -> None:
        now[0] += 0.02

    @spends("definition")
    def outer() -> None:
        inner()
        inner()

    before = stopwatch.reading()
    outer()
    spent = stopwatch.since(before)
    assert spent == {"backend": 0.04}


def test_a_verdict_says_what_its_time_went_into() -> None:
    known = catalogue()
    (case,) = known.select([], ["feed_forward.agrees_with_definition"])
    verdict = check(load_backend("numpy", known), case, profile="quick", seed=12345)
    assert verdict.spent.keys() == set(stopwatch.PARTS)
    assert 0 < sum(verdict.spent.values()) <= verdict.seconds + 0.001
    assert type(verdict).from_json(verdict.to_json()) == verdict
