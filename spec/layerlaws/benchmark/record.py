"""What a benchmark run leaves: JSON Lines beside the records of conformance, `benchmark-NAME.jsonl`."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from layerlaws.running.journal import check_owner, environment, plain, record_paths
from layerlaws.support.fields import check_types
from layerlaws.support.jsonlines import read_entries
from layerlaws.support.record_file import RecordFile

SCHEMA = 2
"""Version of the format of benchmark records."""

STATES = {
    "timed": "timed, and the timed output is the definition's within its bound",
    "wrong": "the output at full size is not the definition's: no time is shown",
    "broken": "it breaks a law of this operation: no time is shown",
    "error": "it raised, ran out of memory or out of time",
    "known": "wrong or refused at full size, by design of the library: no time is shown",
    "missing": "the backend has no such function, or no gradient",
    "unavailable": "the backend cannot run on that machine",
}
"""What may come of a workload on a backend."""

UNEXPECTED = ("wrong", "broken", "error")
"""States that make a run fail."""


@dataclass(frozen=True)
class Ceiling:
    """What the machine reaches with a library's own best call, at the start of a run: medians.

    flops: of a large float32 matrix product, per second. bandwidth: bytes per second of a large copy, read plus
    written. library: whose calls these were, for example "numpy" or "torch". device: as the library calls it, "cpu" or
    "cuda:0".
    """

    library: str
    flops: float
    bandwidth: float
    device: str = "cpu"


@dataclass(frozen=True)
class Timing:
    """One workload on one backend.

    purpose: "workload", "growth" or "headline". mode: "forward" or "gradient" (forward plus gradient).
    seconds: median of the rounds; low, high: first and third quartile; least: the fastest round.
    memory: peak bytes beyond what was held before the call; None where it was not measured.
    flops, moved, text: the workload's cost (moved in bytes here). device: as its library calls it. peak, bandwidth:
    the ceilings of that device, in FLOP and bytes per second: medians of rounds between those of the workload, or
    where a job has no such rounds, those from the start of the run; 0 where there are none.
    used: largest share of the allowed error at full size; None where the definition was not run at full size, and
    `reason` says what was compared instead. calls: per round; the times are those of one call.
    headline: the claim that a "headline" belongs to; its two sides were timed in turns.
    remark: what is to be known of a backend that is timed, such as the bad input that it accepts.
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
    device: str = ""
    peak: float = 0.0
    bandwidth: float = 0.0
    used: float | None = None
    calls: int = 1
    headline: str = ""
    remark: str = ""

    @property
    def unexpected(self) -> bool:
        return self.state in UNEXPECTED

    @property
    def bound(self) -> float:
        """Seconds that the ceilings allow at best: max(flops / peak, moved / bandwidth); 0 where nothing says."""
        return max(self.flops / self.peak, self.moved / self.bandwidth) if self.peak and self.bandwidth else 0.0

    @property
    def share(self) -> float | None:
        """Of the machine's ceiling that was reached, median against median; None where nothing says."""
        return self.bound / self.seconds if self.bound and self.seconds else None


@dataclass(frozen=True)
class BenchmarkHeader:
    """What ran, where, and how.

    name: of the record, "cpu" or the kind of device. clocks: processor model and frequencies. threads: of each
    library's pool. memory: how peak memory was measured on the CPU. timings: how many the run set out to record.
    whole: whether that was everything there is.
    """

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
    started: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    environment: dict[str, str] = field(default_factory=environment)
    timings: int = 0
    memory: str = ""


@dataclass(frozen=True)
class BenchmarkRecord:
    """A benchmark run, read back. seconds: of wall time; complete: whether it came to its end."""

    header: BenchmarkHeader
    timings: tuple[Timing, ...]
    complete: bool
    path: Path = Path()
    seconds: float = 0.0


class BenchmarkJournal:
    """Writes a benchmark record, a line per timing as soon as it is known; only `close` writes the footer."""

    def __init__(self, directory: Path, name: str) -> None:
        """Open the record `benchmark-NAME.jsonl`.

        Raises OSError where the directory cannot be written, and RecordError where another run writes the record.
        """
        path = directory / f"benchmark-{plain(name)}.jsonl"
        check_owner(path, "benchmark", "name", name)
        self._file = RecordFile(path)
        self.path, self.part = self._file.path, self._file.part
        self._file.begin([])
        self.timings = 0

    def begin(self, header: BenchmarkHeader) -> None:
        """Write the header, once the ceilings in it are measured."""
        self._file.append({"kind": "benchmark", **asdict(header)})

    def add(self, timing: Timing) -> None:
        """Append a timing."""
        self._file.append({"kind": "timing", **asdict(timing)})
        self.timings += 1

    def close(self, seconds: float) -> Path:
        """Write the footer of a complete run. seconds: of wall time. Raises RecordError if it cannot be written."""
        self._file.append({"kind": "footer", "timings": self.timings, "seconds": round(seconds, 3)})
        self._file.publish()
        self._file.close()
        return self.path

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        self._file.close()


def read_benchmark(path: Path) -> BenchmarkRecord:
    """Read a benchmark record. Raises RecordError where it is none, is damaged, or is of another schema."""
    header, timings, seconds = read_entries(path, "benchmark", SCHEMA, _header, "timing", _timing, _identity)
    return BenchmarkRecord(header, tuple(timings), seconds is not None, path, seconds or 0.0)


def _header(fields: dict[str, Any]) -> BenchmarkHeader:
    header = BenchmarkHeader(**{**fields, "ceilings": [Ceiling(**ceiling) for ceiling in fields["ceilings"]]})
    check_types(header, *header.ceilings)
    return header


def benchmarks_in(directory: Path) -> list[BenchmarkRecord]:
    """The benchmark records of a directory, by name; none is no error."""
    return [read_benchmark(path) for path in record_paths(directory, "benchmark")]


def _identity(timing: Timing) -> object:
    """What a timing is of."""
    return timing.backend, timing.workload, timing.purpose, timing.mode, timing.headline, tuple(timing.sizes.items())


def _timing(fields: dict[str, Any]) -> Timing:
    timing = Timing(**fields)
    check_timing(timing)
    return timing


def check_timing(timing: Timing) -> None:
    """Refuse a timing that is not of this package's making. Raises TypeError and ValueError."""
    check_types(timing)
    if timing.state not in STATES:
        raise ValueError(f"{timing.state!r} is no state of a timing; there are {', '.join(STATES)}")
    if timing.state == "timed" and not (timing.seconds > 0 and math.isfinite(timing.seconds)):
        raise ValueError(f"{timing.workload} is timed, in {timing.seconds!r} seconds")
