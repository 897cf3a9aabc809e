"""Calls that reach what the machine can do, in the process of a backend: a large matrix product, and a large copy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from layerlaws.benchmark.messages import Place
from layerlaws.benchmark.timing import Budget, Entrant
from layerlaws.language.backend import Backend
from layerlaws.support.printable import printable

LONG_ENOUGH = 0.02
"""Seconds that a matrix product must take to count as large."""

LARGEST = 16384
"""Rows of the largest matrix that is tried: a gigabyte."""

COPIED = 2**26
"""float32 numbers of a copy, 256 MB: more than caches hold."""

LONGEST_NAME = 200
"""Characters of the name of a library or device that are kept."""


@dataclass(frozen=True)
class Probe:
    """A call that reaches a ceiling. amount: its floating-point operations, or the bytes that it reads and writes."""

    backend: Backend
    call: Callable[[], Any]
    amount: float

    def entrant(self, budget: Budget) -> Entrant:
        """The call, warmed up."""
        entrant = Entrant(self.call, self.backend.synchronize, self.backend.measured)
        entrant.warm_up(budget)
        return entrant

    def rate(self, entrant: Entrant) -> float:
        """What the entrant reached per second: the median of its rounds, 0 if it failed."""
        return self.amount / entrant.stats.median if entrant.failed is None else 0.0


def place_of(backend: Backend) -> Place:
    """The library and the device of a backend's arrays."""
    array = backend.from_numpy(np.zeros(1, np.float32))
    library = type(array).__module__.partition(".")[0]
    return Place(printable(library, LONGEST_NAME), printable(getattr(array, "device", "cpu"), LONGEST_NAME))


def product(backend: Backend) -> Probe:
    """A float32 product of matrices, large enough for the device."""
    rows = 1024
    while True:
        side = backend.from_numpy(np.random.default_rng(0).standard_normal((rows, rows)).astype(np.float32))
        entrant = Entrant(lambda side=side: side @ side, backend.synchronize)  # type: ignore[misc]
        entrant.once()
        if entrant.once() > LONG_ENOUGH or rows >= LARGEST:
            return Probe(backend, entrant.call, 2.0 * rows**3)
        rows += rows // 2


def copy(backend: Backend) -> Probe:
    """A copy into memory that is there already."""
    source, target = (backend.from_numpy(np.full(COPIED, x, np.float32)) for x in (1, 0))

    def assign() -> None:
        target[...] = source

    return Probe(backend, assign, 8.0 * COPIED)


def threads() -> dict[str, int]:
    """Threads of each library's pool: OpenBLAS, MKL, OpenMP."""
    from threadpoolctl import threadpool_info

    return {f"{pool['prefix']} ({pool['internal_api']})": pool["num_threads"] for pool in threadpool_info()}


PROBES: dict[str, Callable[[Backend], Probe]] = {"product": product, "copy": copy}
"""How each probe is made. One raises where a backend's arrays have no `@`, or no assignment to items."""
