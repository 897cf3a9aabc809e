"""What a benchmark run leaves: JSON Lines beside the records of conformance, `benchmark-NAME.jsonl`."""

from __future__ import annotations

from dataclasses import dataclass, field

SCHEMA = 1
"""Version of the format of benchmark records."""

STATES = {
    "timed": "timed, and the timed output is the definition's within its bound",
    "wrong": "the output at full size is not the definition's: no time is shown",
    "broken": "it breaks a law of this operation: no time is shown",
    "error": "it raised, ran out of memory or out of time",
    "missing": "the backend has no such function, or no gradient",
    "unavailable": "the backend cannot run on that machine",
}
"""What may come of a workload on a backend."""


@dataclass(frozen=True)
class Ceiling:
    """What the machine reaches in this run with a library's own best call.

    flops: of a large float32 matrix product, per second. bandwidth: bytes per second of a large copy, read plus
    written. library: whose calls these were, for example "numpy" or "torch".
    """

    library: str
    flops: float
    bandwidth: float


@dataclass(frozen=True)
class Timing:
    """One workload on one backend.

    purpose: "workload", "growth" or "headline". mode: "forward" or "gradient" (forward plus gradient).
    seconds: median of the rounds; low, high: first and third quartile; least: the fastest round.
    memory: peak bytes beyond what was held before the call; None where it was not measured.
    flops, moved, text: the workload's cost (moved in bytes here). bound: seconds that the machine's ceilings allow at
    best, max(flops / peak, moved / bandwidth); 0 where the cost says nothing.
    used: largest share of the allowed error at full size; None where the definition was not run at full size, and
    `reason` says what was compared instead.
    """

    backend: str
    note: str
    operation: str
    workload: str
    purpose: str
    mode: str
    sizes: dict[str, int]
    dtype: str
    state: str
    reason: str = ""
    rounds: int = 0
    seconds: float = 0.0
    low: float = 0.0
    high: float = 0.0
    least: float = 0.0
    memory: int | None = None
    flops: float = 0.0
    moved: float = 0.0
    text: float = 0.0
    bound: float = 0.0
    used: float | None = None


@dataclass(frozen=True)
class BenchmarkHeader:
    """What ran, where, and how. clocks: processor model and frequencies. threads: of each library's pool."""

    name: str
    suite: str
    backends: dict[str, str]
    """Device of each backend, or "unavailable: reason"."""
    threads: dict[str, int]
    clocks: str
    quick: bool
    whole: bool
    ceilings: list[Ceiling] = field(default_factory=list)
    schema: int = SCHEMA
    started: str = ""
    environment: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class BenchmarkRecord:
    """A benchmark run, read back."""

    header: BenchmarkHeader
    timings: tuple[Timing, ...]
    complete: bool
