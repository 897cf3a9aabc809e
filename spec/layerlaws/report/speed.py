"""What a report says about speed: plain text, cut and cleaned, and numbers, for tables and plots.

Only a right answer has a time: whatever else came of a workload on a backend is a word, and enters no ratio.
"""

from __future__ import annotations

from dataclasses import dataclass

from layerlaws.report.units import NONE, digits, percent, scaled, times

COLUMNS = (
    "dtype", "median", "quartiles", "rounds", "speed, NumPy = 1", "time, fastest = 1", "peak memory", "of the ceiling",
    "text per second", "of the allowed error",
)  # fmt: skip
"""What is told of a timing, in the order of `Entry.facts`."""


NOTHING = "There is no benchmark record here. `layerlaws bench` writes one; then write the report again."

HOW = (
    "Only right answers have a time: what breaks a law of the operation, or is not what the definition says at this "
    "size, has a word in its place. Backends took turns, round by round; times are medians. The ceiling is the time "
    "that a large matrix product and a large copy allow: medians too, of rounds between those of the backends (in a "
    "quick run, at its start). Memory is the peak beyond what was held before."
)


@dataclass(frozen=True)
class Entry:
    """One backend on one workload. All numbers are None where no time may be shown, and where one is not known.

    seconds: median. faster: how many times as fast as NumPy. behind: time over the fastest backend's. memory: peak
    bytes. share: of the speed that the machine's ceilings allow. rate: bytes of text per second.
    intensity: FLOP per byte that has to move. flops: per second. used: largest share of the
    allowed error.
    """

    backend: str
    state: str
    reason: str = ""
    dtype: str = ""
    seconds: float | None = None
    quartiles: tuple[float, float] | None = None
    rounds: int = 0
    faster: float | None = None
    behind: float | None = None
    memory: int | None = None
    share: float | None = None
    rate: float | None = None
    intensity: float | None = None
    flops: float | None = None
    used: float | None = None

    @property
    def brief(self) -> str:
        """The median time, or the state in a word."""
        return self.state if self.seconds is None else scaled(self.seconds, "s")

    @property
    def ratio(self) -> str:
        """How many times as fast."""
        return times(self.faster)

    @property
    def facts(self) -> tuple[str, ...]:
        """In words, by `COLUMNS`; a dash where there is no number."""
        return (
            self.dtype or NONE,
            self.brief,
            " to ".join(scaled(x, "s") for x in self.quartiles) if self.quartiles else NONE,
            str(self.rounds) if self.rounds else NONE,
            self.ratio,
            times(self.behind),
            scaled(self.memory, "B"),
            percent(self.share),
            scaled(self.rate, "B/s"),
            NONE if self.used is None else digits(self.used),
        )


@dataclass(frozen=True)
class Line:
    """One workload in one mode on every backend of a run. says: what the workload stands for."""

    workload: str
    mode: str
    setting: str
    says: str
    entries: tuple[Entry, ...]

    @property
    def told(self) -> tuple[Entry, ...]:
        """Entries with more to tell than that there was nothing to run."""
        return tuple(entry for entry in self.entries if entry.state not in ("missing", "unavailable", "not run"))


@dataclass(frozen=True)
class Measured:
    """A claim of a note, and what came of it in one run.

    line: of two workloads, "fast against slow"; `faster` of an entry is the slow one's time over the fast one's.
    """

    claim: str
    source: str
    line: Line


@dataclass(frozen=True)
class Curve:
    """Time against one size of a workload on one backend, all other sizes fixed.

    points: size and median seconds, by size. exponent: p where time grows as size to the power p, fitted.
    """

    workload: str
    mode: str
    size: str
    backend: str
    points: tuple[tuple[int, float], ...]
    exponent: float


@dataclass(frozen=True)
class Roof:
    """What a device reached while workloads were timed: FLOP per second, bytes per second."""

    device: str
    flops: float
    bandwidth: float


@dataclass(frozen=True)
class Run:
    """One benchmark record. slug: its name as a part of file names and anchors, unique in the report."""

    name: str
    slug: str
    warnings: tuple[str, ...]
    backends: tuple[str, ...]
    headlines: tuple[Measured, ...]
    lines: tuple[Line, ...]
    curves: tuple[Curve, ...]
    roofs: tuple[Roof, ...]

    @property
    def growth(self) -> list[tuple[str, ...]]:
        """Workload, mode, least and largest size, then the fitted power of that size for each backend."""
        panels: dict[tuple[str, str, str], dict[str, Curve]] = {}
        for curve in self.curves:
            panels.setdefault((curve.workload, curve.mode, curve.size), {})[curve.backend] = curve
        rows = []
        for (workload, mode, size), of in panels.items():
            sizes = [n for curve in of.values() for n, _ in curve.points]
            ends = f"{size} {min(sizes):,}", f"{size} {max(sizes):,}"
            powers = (f"{size}^{of[name].exponent:.2f}" if name in of else NONE for name in self.backends)
            rows.append((workload, mode, *ends, *powers))
        return rows


@dataclass(frozen=True)
class Speed:
    """Everything a report says about speed. provenance: one row per fact, its name first, then for each run."""

    runs: tuple[Run, ...] = ()
    provenance: tuple[tuple[str, ...], ...] = ()

    @property
    def backends(self) -> tuple[str, ...]:
        """Those of all runs: each has its colour in the plots."""
        return tuple(dict.fromkeys(name for run in self.runs for name in run.backends))

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a reader must know before any number."""
        return tuple(warning for run in self.runs for warning in run.warnings)
