"""What several timings say together: how time grows with a size, and whether a headline holds."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from layerlaws.benchmark.record import Timing

OTHERS_EQUAL = ("backend", "workload", "mode", "dtype")


def exponent(seconds: Mapping[int, float]) -> float:
    """The p of time ~ size**p that fits best: least squares on logarithms. seconds: by size, two sizes at least.

    Raises ValueError for fewer than two sizes.
    """
    if len(seconds) < 2:
        raise ValueError(f"an exponent needs times at two sizes or more, not at {list(seconds)}")
    slope, _ = np.polyfit([math.log(size) for size in seconds], [math.log(time) for time in seconds.values()], 1)
    return float(slope)


@dataclass(frozen=True)
class Growth:
    """Times of one workload on one backend at several sizes. size: the name of what grows. seconds: by size."""

    backend: str
    workload: str
    mode: str
    size: str
    seconds: dict[int, float]

    @property
    def exponent(self) -> float:
        """Of the size: 1 is linear, 2 quadratic."""
        return exponent(self.seconds)


def growths(timings: Iterable[Timing]) -> list[Growth]:
    """Every growth curve among the timings: "growth" timings and the workload's own, which differ in one size."""
    timed = [timing for timing in timings if timing.state == "timed" and timing.purpose in ("workload", "growth")]
    own = {_key(timing): timing for timing in timed if timing.purpose == "workload"}
    curves: dict[tuple[str, ...], dict[int, float]] = {}
    for timing in timed:
        base = own.get(_key(timing))
        changed = [name for name, size in timing.sizes.items() if base and base.sizes.get(name) != size]
        if timing.purpose == "growth" and base and len(changed) == 1:
            curve = curves.setdefault((*_key(timing), changed[0]), {base.sizes[changed[0]]: base.seconds})
            curve[timing.sizes[changed[0]]] = timing.seconds
    return [
        Growth(backend, workload, mode, size, dict(sorted(seconds.items())))
        for (backend, workload, mode, _, size), seconds in curves.items()
    ]


@dataclass(frozen=True)
class Measured:
    """A headline on one backend. ratio: how many times faster the fast side is, of the medians."""

    backend: str
    claim: str
    fast: Timing
    slow: Timing

    @property
    def ratio(self) -> float:
        return self.slow.seconds / self.fast.seconds


def headlines(timings: Iterable[Timing]) -> list[Measured]:
    """Every headline both of whose sides were timed. The fast side is recorded first."""
    pairs: dict[tuple[str, str], list[Timing]] = {}
    for timing in timings:
        if timing.purpose == "headline":
            pairs.setdefault((timing.backend, timing.headline), []).append(timing)
    return [
        Measured(backend, claim, *sides)
        for (backend, claim), sides in pairs.items()
        if len(sides) == 2 and all(side.state == "timed" for side in sides)
    ]


def _key(timing: Timing) -> tuple[str, ...]:
    return tuple(getattr(timing, name) for name in OTHERS_EQUAL)
