"""What the definition says about a workload: what every timed output is compared with.

The definition is evaluated once per workload on `Bounded` arrays, in double, whatever the backends do in float32.
Where that takes too long or too much memory, a smaller part of the workload is compared instead, and the timing
says which.
"""

from __future__ import annotations

import contextlib
import signal
import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from layerlaws.benchmark.jobs import BATCHES
from layerlaws.benchmark.memory import limited_memory
from layerlaws.language.backend import Backend
from layerlaws.language.claims import settle
from layerlaws.language.generic_laws import agreement, gradient_agreement
from layerlaws.language.implementation import Implementation, Unoffered, as_exact, cast_to
from layerlaws.language.workloads import Workload
from layerlaws.numerics.formats import Format, is_float
from layerlaws.numerics.reverse_mode import vjp
from layerlaws.numerics.rounding import quietly
from layerlaws.support.errors import Undecidable

PARTS = (4096, 1024, 256, 64, 16, 4)
"""A part of a workload is this many times smaller, in the size that grows or else in the largest, and in the batch."""

SHARES = (16, 8, 4)
"""Where one of the sizes that parts leave alone costs most, all sizes are this many times smaller."""

STEP = 64
"""A part says how long up to this many times its work takes."""

TICK = 0.05
"""Seconds from look to look at the clock."""


class OutOfTime(Exception):
    """The definition took too long."""


@dataclass(frozen=True)
class Expected:
    """Arguments in a format, and the definition's results. cotangent: None for "forward"."""

    workload: Workload
    arguments: dict[str, Any]
    results: Any
    cotangent: Any = None

    @property
    def floats(self) -> bool:
        """Whether any of it depends on the format."""
        parts = [part for x in self.arguments.values() for part in (x if isinstance(x, tuple) else (x,))]
        return "dtype" in self.arguments or any(isinstance(x, np.ndarray) and is_float(x) for x in parts)

    def compare(self, backend: Backend, format: Format) -> float:
        """Hold a backend to it: the largest share of the allowed error that was used.

        Raises Broken where the backend is wrong, Raised where it raises, Unoffered where it has no such function.
        """
        implementation = Implementation(self.workload.operation, backend, format)
        with quietly():
            if self.cotangent is None:
                return self.judge(implementation, implementation.results(**self.arguments))
            if implementation.offered_weights(self.cotangent, self.arguments) is not self.cotangent:
                raise Unoffered("it does not offer all results, so its gradient is another one")
            return self.judge(implementation, implementation.gradient(self.cotangent, **self.arguments))

    def judge(self, implementation: Implementation, results: Any) -> float:
        """Hold results or gradients, as NumPy arrays, to it: the largest share of the allowed error that was used.

        Raises Broken where they are wrong.
        """
        with quietly():
            agree = agreement if self.cotangent is None else gradient_agreement
            return settle(agree(implementation, results, self.results)).used


def arguments_of(workload: Workload, format: Format) -> dict[str, Any]:
    """The arguments of a workload in a format: the same ones in every run and every process."""
    random = np.random.default_rng(zlib.crc32(workload.name.encode()))
    return cast_to(workload.arguments(random, **workload.sizes), format)


def cotangent_of(results: Any, format: Format) -> Any:
    """Standard normal weights for every float result, zeros for others. results: arrays or `Bounded`."""
    random = np.random.default_rng(0)

    def weights(x: Any) -> Any:
        return random.standard_normal(x.shape).astype(format.dtype) if is_float(x) else np.zeros_like(x)

    return tuple(map(weights, results)) if isinstance(results, tuple) else weights(results)


def expected_of(workload: Workload, mode: str, format: Format, limit: float) -> Expected | None:
    """What the definition says, of the workload or of the largest part of it that takes up to about `limit` seconds.

    Small parts tell how long larger ones take. None where no part can be decided in time and memory.
    """
    parts, tried = _parts(workload), _Tried(limit)
    best: Expected | None = None
    while parts and tried.failures < 2:
        place = tried.largest(parts)
        if place is None:
            break
        part = parts.pop(place)
        try:
            with limited_memory():
                arguments = arguments_of(part, format)
                start = time.thread_time()
                with limited_time(limit):
                    best = _evaluated(part, arguments, mode, format)
        except (OutOfTime, MemoryError):
            tried.fail(part)
            parts = parts[:place]
        except Undecidable:
            continue
        except (ArithmeticError, LookupError, ValueError):
            if part is workload:
                raise
            continue  # its sizes do not fit each other
        else:
            tried.succeed(part, time.thread_time() - start)
            parts = parts[place:]
    return best


class _Tried:
    """How long parts took, by their work, for a guess at how long others take."""

    def __init__(self, limit: float) -> None:
        self.limit = limit
        self.seconds: list[tuple[float, float]] = []
        self.failures = 0

    def succeed(self, part: Workload, seconds: float) -> None:
        self.seconds.append((_work(part), seconds))

    def fail(self, part: Workload) -> None:
        self.failures += 1
        self.seconds.append((_work(part), 2 * self.limit))

    def largest(self, parts: list[Workload]) -> int | None:
        """The place of the largest part that should take up to the limit, of parts in order of their work."""
        if not self.seconds:
            return 0
        works = [_work(part) for part in parts]
        reach = max(STEP * self.seconds[-1][0], works[0])
        return max((i for i, x in enumerate(works) if x <= reach and self.guess(x) <= self.limit), default=None)

    def guess(self, work: float) -> float:
        """Seconds, in a straight line through the last two."""
        (before, early), (last, late) = [(0.0, 0.0), *self.seconds][-2:]
        return late + (late - early) / (last - before) * (work - last) if last != before else late


def _work(workload: Workload) -> float:
    cost = workload.cost(**workload.sizes)
    return cost.flops + cost.moved + cost.text


def _parts(workload: Workload) -> list[Workload]:
    """The workload and smaller versions of it, in the order of their work."""
    names = list(workload.grows) or [max(workload.sizes, key=lambda name: workload.sizes[name])]
    batch = {name: size for name, size in workload.sizes.items() if name in BATCHES and name not in names}
    smaller = [
        {name: max(1, size // factor) for name, size in batch.items()}
        | {name: workload.sizes[name] // factor for name in names}
        for factor in PARTS
    ]
    smaller += [{name: max(1, size // factor) for name, size in workload.sizes.items()} for factor in SHARES]
    parts = [workload.at(**sizes) for sizes in smaller if all(size >= 1 for size in sizes.values())]
    parts = [part for part in parts if _work(part) < _work(workload)]
    return [*sorted(parts, key=_work), workload]


def _evaluated(workload: Workload, arguments: dict[str, Any], mode: str, format: Format) -> Expected:
    definition = workload.operation.definition
    with quietly():
        if mode == "forward":
            return Expected(workload, arguments, definition(**as_exact(arguments, format)))
        results, pull = vjp(definition, as_exact(arguments, format))
        cotangent = cotangent_of(results, format)
        exact = as_exact({"cotangent": cotangent}, format)["cotangent"]
        return Expected(workload, arguments, pull(exact), cotangent)


@contextlib.contextmanager
def limited_time(seconds: float) -> Iterator[None]:
    """Raise OutOfTime in a block that keeps this thread busy for longer, however busy others keep the machine.

    Only in the main thread of a system with interval timers (not on Windows).
    """
    if not hasattr(signal, "setitimer"):
        yield
        return
    start = time.thread_time()

    def look(number: int, frame: Any) -> None:
        if time.thread_time() - start > seconds:
            raise OutOfTime(f"more than {seconds:g} s")

    before = signal.signal(signal.SIGALRM, look)
    signal.setitimer(signal.ITIMER_REAL, TICK, TICK)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
