"""What the machine can do, measured in the run itself: the peak of a matrix product, and the bandwidth of a copy."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from pytest_benchmark.fixture import BenchmarkFixture

from layerlaws.benchmark.record import Ceiling
from layerlaws.benchmark.timing import Budget, Entrant, take_turns
from layerlaws.language.backend import Backend

LONG_ENOUGH = 0.02
"""Seconds that a matrix product must take to count as large."""

LARGEST = 16384
"""Rows from which on a matrix is as large as any that is tried: a gigabyte."""

COPIED = 2**26
"""float32 numbers of a copy, 256 MB: more than caches hold."""

Place = tuple[str, str]
"""The library whose arrays a backend takes, and the device they are on: ("torch", "cuda:0")."""


@dataclass(frozen=True)
class Probe:
    """A call that reaches a ceiling. amount: its floating-point operations, or the bytes that it reads and writes."""

    backend: Backend
    call: Callable[[], Any]
    amount: float

    def entrant(self, budget: Budget) -> Entrant:
        """The call, ready to take turns."""
        entrant = Entrant(self.call, self.backend.synchronize, self.backend.measured)
        entrant.warm_up(budget)
        return entrant

    def rate(self, entrant: Entrant) -> float:
        """What the entrant reached per second: the median of its rounds, 0 where it failed."""
        return self.amount / entrant.stats.median if entrant.failed is None else 0.0


@dataclass(frozen=True)
class Machine:
    """What the machine reached, and the probes of the fastest product and the fastest copy on each device."""

    ceilings: Mapping[Place, Ceiling]
    best: Mapping[str, tuple[Probe, Probe]]

    def at_start(self, device: str) -> tuple[float, float]:
        """FLOP and bytes per second that the best probes of a device reached; zeros where it has none."""
        there = [ceiling for ceiling in self.ceilings.values() if ceiling.device == device]
        return max((c.flops for c in there), default=0.0), max((c.bandwidth for c in there), default=0.0)


def place_of(backend: Backend) -> Place:
    """Where the arrays of a backend are."""
    array = backend.from_numpy(np.zeros(1, np.float32))
    return type(array).__module__.partition(".")[0], str(getattr(array, "device", "cpu"))


def measured(benchmark: BenchmarkFixture, backends: Mapping[Place, Backend], budget: Budget) -> Machine:
    """The ceilings of each library on each device, from its arrays' own `@` and item assignment, all in turns.

    Whose arrays cannot do that has no ceilings.
    """
    probes: dict[Place, tuple[Probe, Probe]] = {}
    entrants: dict[Place, tuple[Entrant, ...]] = {}
    for place, backend in backends.items():
        try:
            pair = _product(backend), _copy(backend)
            probes[place], entrants[place] = pair, tuple(probe.entrant(budget) for probe in pair)
        except Exception:
            continue
    take_turns(benchmark, [entrant for pair in entrants.values() for entrant in pair], lambda entrant: None)
    rates = {place: rates_of(probes[place], pair) for place, pair in entrants.items()}
    ceilings = {place: Ceiling(place[0], pair[0], pair[1], place[1]) for place, pair in rates.items() if all(pair)}
    best = {}
    for device in {device for _, device in ceilings}:
        there = [place for place in ceilings if place[1] == device]
        product, copy = (max(there, key=lambda place: rates[place][i]) for i in (0, 1))
        best[device] = probes[product][0], probes[copy][1]
    return Machine(ceilings, best)


def rates_of(probes: Sequence[Probe], entrants: Sequence[Entrant]) -> tuple[float, ...]:
    """What each probe reached in the rounds of its entrant."""
    return tuple(probe.rate(entrant) for probe, entrant in zip(probes, entrants, strict=True))


def _product(backend: Backend) -> Probe:
    """A float32 product of matrices, large enough for the device."""
    rows = 1024
    while True:
        side = backend.from_numpy(np.random.default_rng(0).standard_normal((rows, rows)).astype(np.float32))
        entrant = Entrant(lambda side=side: side @ side, backend.synchronize)  # type: ignore[misc]
        entrant.once()
        if entrant.once() > LONG_ENOUGH or rows >= LARGEST:
            return Probe(backend, entrant.call, 2.0 * rows**3)
        rows += rows // 2


def _copy(backend: Backend) -> Probe:
    """A copy into memory that is there already."""
    source, target = (backend.from_numpy(np.full(COPIED, x, np.float32)) for x in (1, 0))

    def copy() -> None:
        target[...] = source

    return Probe(backend, copy, 8.0 * COPIED)


def threads() -> dict[str, int]:
    """Threads of each library's pool: OpenBLAS, MKL, OpenMP."""
    from threadpoolctl import threadpool_info

    return {f"{pool['prefix']} ({pool['internal_api']})": pool["num_threads"] for pool in threadpool_info()}


def clocks() -> str:
    """The processor's model and frequencies."""
    from cpuinfo import get_cpu_info

    found = get_cpu_info()
    parts = [found.get("brand_raw") or found.get("arch", "unknown processor")]
    for label, key in (("at", "hz_actual_friendly"), ("nominal", "hz_advertised_friendly")):
        if found.get(key):
            parts.append(f"{label} {found[key]}")
    return ", ".join(parts)
