"""The timer: pytest-benchmark's, with backends taking turns round by round.

One call of `benchmark.pedantic` times all of them: its `setup` says whose turn it is, so that rounds go A B C A B C ...
and a machine that slows down for a while slows all down alike; ratios survive what medians do not. The rounds of
each are then dealt to a `Stats` of its own. (One `benchmark` per backend would time A A A B B B.)
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from pytest_benchmark.fixture import BenchmarkFixture
from pytest_benchmark.stats import Stats

from layerlaws.benchmark import memory

SHORTEST = 1e-3
"""Seconds: a round has as many calls as take this long, so that the clock and the loop around it do not show."""


SHORT = 0.1
"""Seconds: a round up to this long is done once untimed before it is timed. While others had their turn, its threads
fell asleep, woken ones share a core for some milliseconds, other threads may still spin, and caches hold other data.
"""


@dataclass(frozen=True)
class Budget:
    """How long a contender may take. seconds: for its rounds. least, most: rounds; patience: seconds for `least`."""

    seconds: float
    least: int
    most: int
    patience: float


@dataclass(frozen=True)
class Effort:
    """What a run may take. contender: to be timed. probe: to measure a ceiling again between the rounds of a workload,
    None to leave it at the start. definition: seconds to evaluate one. patience: seconds without a word after which a
    worker is taken to hang.
    """

    contender: Budget
    probe: Budget | None
    definition: float
    patience: int


@dataclass
class Entrant:
    """One that takes turns.

    call: what is timed. synchronize: waits until the call is done. measured: the backend's own clock, of one call
    and its peak memory (see `Backend.measured`), or None.
    """

    call: Callable[[], Any]
    synchronize: Callable[[], None] = lambda: None
    measured: Callable[[Callable[[], Any]], tuple[float, int]] | None = None
    calls: int = 1
    rounds: int = 1
    short: bool = False
    stats: Any = field(default_factory=Stats)
    failed: Exception | None = None
    own_clock: list[float] = field(default_factory=list)

    def warm_up(self, budget: Budget) -> None:
        """Call until what is set up on first calls is there, and settle how many rounds and calls there will be."""
        seconds = self.once()
        if seconds < budget.seconds:
            seconds = min(seconds, self.once())
        self.calls = max(1, round(SHORTEST / max(seconds, 1e-7)))
        whole = seconds * self.calls
        self.short = whole <= SHORT
        least = budget.least if whole * budget.least <= budget.patience else max(1, int(budget.patience / whole))
        self.rounds = min(max(least, int(budget.seconds / whole)), budget.most)

    def wake(self) -> None:
        """What comes before a round, untimed."""
        if self.short:
            self._attempt(self._calls)

    def turn(self) -> None:
        """One round."""
        if self.measured is None:
            self._attempt(self._calls)
        else:
            measured = self.measured
            self._attempt(lambda: self.own_clock.append(measured(self._calls)[0]))

    def peak(self) -> int | None:
        """Peak memory of one call, in bytes."""
        if self.measured is not None:
            return self.measured(self.call)[1]
        return memory.peak(self.call)

    def once(self) -> float:
        """Seconds of one call, by the wall clock."""
        start = time.perf_counter()
        self.call()
        self.synchronize()
        return time.perf_counter() - start

    def _attempt(self, act: Callable[[], None]) -> None:
        if self.failed is None:
            try:
                act()
            except Exception as error:
                self.failed = error

    def _calls(self) -> None:
        for _ in range(self.calls):
            self.call()
            self.synchronize()


def take_turns(benchmark: BenchmarkFixture, entrants: Sequence[Entrant], announce: Callable[[Entrant], None]) -> None:
    """Time all of them in turns; their `stats` hold seconds per call. `announce` hears whose turn it is."""
    schedule = list(turns([entrant.rounds for entrant in entrants]))
    waiting = iter(schedule)

    def setup() -> tuple[tuple[Entrant], dict[str, Any]]:
        entrant = entrants[next(waiting)]
        announce(entrant)
        entrant.wake()
        return (entrant,), {}

    benchmark.pedantic(Entrant.turn, setup=setup, rounds=len(schedule))
    timed: Any = benchmark.stats
    for place, seconds in zip(schedule, timed.stats.data, strict=True):
        entrant = entrants[place]
        if entrant.failed is None:
            entrant.stats.update((entrant.own_clock.pop(0) if entrant.measured else seconds) / entrant.calls)


def turns(rounds: Sequence[int]) -> Iterator[int]:
    """Who is next, by place: everyone once a round, in another order every time, so that nobody always comes after
    the same one; who has fewer rounds than others skips some, evenly.
    """
    most, random = max(rounds, default=0), Random(0)
    for i in range(most):
        present = [place for place, own in enumerate(rounds) if i * own // most != (i + 1) * own // most]
        random.shuffle(present)
        yield from present
