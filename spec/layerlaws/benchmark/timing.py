"""The timer: pytest-benchmark's, with backends taking turns round by round.

Rounds go A B C A B C ... and not A A A B B B, although each backend is in a process of its own: a machine that slows
down for a while slows all down alike, so ratios survive what medians do not. In each process one call of
`benchmark.pedantic` times all of its entrants. Its `setup` waits for the next turn; the rounds of each entrant are then
sorted into a `Stats` of its own.
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
    """How long a contender is timed.

    seconds: for its rounds. least, most: number of rounds. patience: seconds that the `least` rounds may take.
    """

    seconds: float
    least: int
    most: int
    patience: float


@dataclass(frozen=True)
class Effort:
    """How long the parts of a run may take.

    contender: to be timed. probe: to measure a ceiling again between the rounds of a workload; None to measure it at
    the start only. definition: seconds to evaluate one. patience: seconds after which a process that has not answered
    is taken to hang.
    """

    contender: Budget
    probe: Budget | None
    definition: float
    patience: int


@dataclass
class Entrant:
    """A call that is timed in turns with others.

    call: what is timed. synchronize: waits until the call is done. measured: the backend's own measurement of a
    call's time and peak memory (see `Backend.measured`), or None. vary: makes ready what the next so many calls, the
    second argument, are made with; the first is a number, and with equal numbers calls are the same. Results that a
    backend has kept are then of no use to it. The last round has number 0. result: of the last call.
    """

    call: Callable[[], Any]
    synchronize: Callable[[], None] = lambda: None
    measured: Callable[[Callable[[], Any]], tuple[float, int]] | None = None
    vary: Callable[[int, int], None] = lambda number, calls: None
    calls: int = 1
    rounds: int = 1
    short: bool = False
    stats: Any = field(default_factory=Stats)
    failed: Exception | None = None
    own_clock: list[float] = field(default_factory=list)
    result: Any = None
    _turns: int = 0

    def warm_up(self, budget: Budget) -> None:
        """Do what is done on first calls only, and choose the numbers of rounds and of calls per round."""
        seconds = self.once()
        if seconds < budget.seconds:
            self.vary(-1, 1)
            seconds = self.once()
            self.vary(-2, 1)
            seconds = min(seconds, self.once())
        self.calls = max(1, round(SHORTEST / max(seconds, 1e-7)))
        whole = seconds * self.calls
        self.short = whole <= SHORT
        least = budget.least if whole * budget.least <= budget.patience else max(1, int(budget.patience / whole))
        self.rounds = min(max(least, int(budget.seconds / whole)), budget.most)

    def wake(self) -> None:
        """Prepare for a round, untimed."""
        if self.short:
            self._attempt(self._calls)
        self._turns += 1
        number = 0 if self._turns == self.rounds else self._turns
        self._attempt(lambda: self.vary(number, self.calls))

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
            self.result = self.call()
            self.synchronize()


def take_turns(benchmark: BenchmarkFixture, entrants: Sequence[Entrant], next_turn: Callable[[], int]) -> None:
    """Time entrants in as many turns as they have rounds together; their `stats` hold seconds per call.

    next_turn: returns whose turn it is, as a place in `entrants`. It may wait while others have theirs.
    """
    schedule: list[int] = []

    def setup() -> tuple[tuple[Entrant], dict[str, Any]]:
        schedule.append(next_turn())
        entrant = entrants[schedule[-1]]
        entrant.wake()
        return (entrant,), {}

    benchmark.pedantic(Entrant.turn, setup=setup, rounds=sum(entrant.rounds for entrant in entrants))
    timed: Any = benchmark.stats
    for place, seconds in zip(schedule, timed.stats.data, strict=True):
        entrant = entrants[place]
        if entrant.failed is None:
            entrant.stats.update((entrant.own_clock.pop(0) if entrant.measured else seconds) / entrant.calls)


def turns(rounds: Sequence[int]) -> Iterator[int]:
    """The order of turns, by place: all entrants once a round, in random order, so that none always follows the same
    one. Entrants with fewer rounds than others skip some, evenly.

    rounds: of each entrant.
    """
    most, random = max(rounds, default=0), Random(0)
    for i in range(most):
        present = [place for place, own in enumerate(rounds) if i * own // most != (i + 1) * own // most]
        random.shuffle(present)
        yield from present
