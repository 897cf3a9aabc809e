"""The timer: rounds in turns, how many there are, and the memory of a call."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from layerlaws.benchmark import memory, timing
from layerlaws.benchmark.timing import Budget, Entrant, turns
from layerlaws.benchmark.variants import MOST_BYTES, Variants
from layerlaws.numerics.formats import FORMATS


def test_turns_go_round_and_who_has_fewer_skips_evenly() -> None:
    whole = list(turns([30] * 3))
    in_rounds = [tuple(whole[i : i + 3]) for i in range(0, 90, 3)]
    assert all(sorted(places) == [0, 1, 2] for places in in_rounds)
    assert len(set(in_rounds)) == 6, "in every order"
    assert [sorted(places) for places in ([0], [0, 1], [0], [0, 1])] == _rounds(turns([4, 2]), [1, 2, 1, 2])
    assert list(turns([])) == []


def _rounds(places: Iterator[int], sizes: list[int]) -> list[list[int]]:
    found = [sorted(itertools.islice(places, size)) for size in sizes]
    assert next(places, None) is None
    return found


def test_rounds_are_interleaved_and_one_that_fails_leaves_the_others(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)  # pytest-benchmark refuses to time beside others
    pytester.makepyfile("""
        import time
        from layerlaws.benchmark.timing import Entrant, take_turns, turns

        def test_turns(benchmark):
            calls = []
            def slow(): calls.append("slow"); time.sleep(0.2)
            def fast(): calls.append("fast")
            def fails(): calls.append("fails"); raise RuntimeError
            entrants = [Entrant(call, rounds=3) for call in (slow, fails, fast)]
            entrants[2].calls = 2
            entrants[2].short = True
            take_turns(benchmark, entrants, turns([3, 3, 3]).__next__)
            assert [calls.count(name) for name in ("slow", "fails", "fast")] == [3, 1, 12]
            assert calls.index("fast") < 7, "not after all rounds of the others"
            assert [entrant.stats.rounds for entrant in entrants] == [3, 0, 3]
            assert entrants[0].stats.min >= 0.2 > entrants[2].stats.min
            assert isinstance(entrants[1].failed, RuntimeError)

        def test_a_clock_of_its_own(benchmark):
            entrant = Entrant(lambda: None, measured=lambda call: (call(), 40.0)[1:] + (7,), rounds=2, calls=4)
            take_turns(benchmark, [entrant], lambda: 0)
            assert entrant.stats.median == 10.0
            assert entrant.peak() == 7
    """)
    run = pytester.runpytest_subprocess("-p", "no:xdist", "-p", "no:cacheprovider")
    run.assert_outcomes(passed=2)


@pytest.fixture
def taking(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], Callable[[], None]]:
    """A call that takes so many seconds, by a clock that nothing else moves on."""
    now = [0.0]
    monkeypatch.setattr(timing.time, "perf_counter", lambda: now[0])

    def call(seconds: float) -> Callable[[], None]:
        def passing() -> None:
            now[0] += seconds

        return passing

    return call


def test_warming_up_settles_rounds_within_the_budget(taking: Callable[[float], Callable[[], None]]) -> None:
    patient = Entrant(taking(0.02))
    patient.warm_up(Budget(seconds=0.101, least=2, most=50, patience=1.0))
    assert (patient.rounds, patient.calls, patient.short) == (5, 1, True)
    slow = Entrant(taking(0.02))
    slow.warm_up(Budget(seconds=0.01, least=50, most=50, patience=0.061))
    assert slow.rounds == 3
    quick = Entrant(taking(1e-5))
    quick.warm_up(Budget(seconds=0.1, least=2, most=50, patience=1.0))
    assert quick.calls == 100
    long = Entrant(taking(0.11))
    long.warm_up(Budget(seconds=0.1, least=1, most=1, patience=1.0))
    assert not long.short, "a long call is not made twice to time it once"


def test_every_round_but_the_last_has_arguments_of_its_own() -> None:
    arguments = {"x": np.arange(1.0, 5.0, dtype=np.float32), "ids": np.arange(4), "n": 3}
    variants = Variants(arguments, arguments, FORMATS["float32"])
    seen: list[tuple[float, ...]] = []

    def call() -> None:
        variants.call(lambda native: seen.append(tuple(native["x"].tolist())))

    def vary(number: int, calls: int) -> None:
        variants.choose(number, calls, dict)

    entrant = Entrant(call, vary=vary, rounds=3, calls=2)
    for _ in range(entrant.rounds):
        entrant.wake()
        entrant.turn()
    assert len(set(seen)) == 5, "four of the first rounds, and the workload's own"
    assert seen[4:] == [(1.0, 2.0, 3.0, 4.0)] * 2
    variants.stay()
    vary(1, 1)
    call()
    assert seen[-1] == (1.0, 2.0, 3.0, 4.0)


def test_arguments_without_floats_and_very_large_ones_stay() -> None:
    large = np.ones(MOST_BYTES // 4 + 1, np.float32)
    native = {"ids": np.arange(4), "table": large}
    variants = Variants(native, native, FORMATS["float32"])
    variants.choose(1, 1, dict)
    assert variants.call(lambda given: given["table"]) is large


def test_the_peak_of_a_call_is_what_it_allocates() -> None:
    if not memory.how():
        pytest.skip("not measured on this system")
    peak = memory.peak(lambda: np.ones(20_000_000).sum())
    assert peak is not None
    assert 150e6 < peak < 250e6
    assert memory.peak(lambda: None) < 20e6  # type: ignore[operator]
