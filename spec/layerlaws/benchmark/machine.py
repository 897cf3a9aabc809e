"""What the machine can do, measured in the run itself: the peak of a matrix product, and the bandwidth of a copy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from pytest_benchmark.fixture import BenchmarkFixture

from layerlaws.backends import Backend
from layerlaws.benchmark.record import Ceiling
from layerlaws.benchmark.timing import Budget, Entrant, take_turns

LONG_ENOUGH = 0.05
"""Seconds that a matrix product must take to count as large."""

LARGEST = 16384
"""Rows of the largest matrix that is tried: a gigabyte."""

COPIED = 2**26
"""float32 numbers of a copy, 256 MB: more than caches hold."""


def place_of(backend: Backend) -> tuple[str, str]:
    """The library whose arrays a backend takes, and the device they are on: ("torch", "cuda:0")."""
    array = backend.from_numpy(np.zeros(1, np.float32))
    return type(array).__module__.partition(".")[0], str(getattr(array, "device", "cpu"))


def ceilings(benchmark: BenchmarkFixture, backends: Sequence[Backend], budget: Budget) -> list[Ceiling]:
    """The ceilings of each library on each device, from its arrays' own `@` and item assignment.

    backends: one for each library and device. The fastest round counts; whose arrays cannot do that has no ceiling.
    """
    products = {place_of(backend): _product(backend) for backend in backends}
    copies = {place_of(backend): _copy(backend) for backend in backends}
    entrants = [entrant for entrant, _ in (*products.values(), *copies.values())]
    for entrant in entrants:
        entrant.warm_up(budget)
    take_turns(benchmark, entrants, lambda entrant: None)
    return [
        Ceiling(library, flops / product.stats.min, moved / copies[library, device][0].stats.min, device)
        for (library, device), (product, flops) in products.items()
        for moved in [copies[library, device][1]]
    ]


def _product(backend: Backend) -> tuple[Entrant, float]:
    """A float32 product of matrices, large enough for the device, and its floating-point operations."""
    rows = 1024
    while True:
        side = backend.from_numpy(np.random.default_rng(0).standard_normal((rows, rows)).astype(np.float32))
        entrant = _entrant(backend, lambda side=side: side @ side)  # type: ignore[misc]
        entrant.once()
        if entrant.once() > LONG_ENOUGH or rows == LARGEST:
            return entrant, 2.0 * rows**3
        rows *= 2


def _copy(backend: Backend) -> tuple[Entrant, float]:
    """A copy into memory that is there already, and the bytes it reads and writes."""
    source, target = (backend.from_numpy(np.full(COPIED, x, np.float32)) for x in (1, 0))

    def copy() -> None:
        target[...] = source

    return _entrant(backend, copy), 8.0 * COPIED


def _entrant(backend: Backend, call: Callable[[], Any]) -> Entrant:
    return Entrant(call, backend.synchronize, backend.measured)


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
