"""The part of a report on speed: clean text of bounded length, and numbers, for tables and plots.

Only a correct result has a time. Anything else that became of a workload on a backend is a state, and enters no ratio.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import geometric_mean

from layerlaws.report.units import NONE, digits, percent, scaled, times

COLUMNS = (
    "dtype", "median", "quartiles", "rounds", "speed, NumPy = 1", "time, fastest = 1", "peak memory", "of the ceiling",
    "text per second", "of the allowed error",
)  # fmt: skip
"""The columns of a table of timings, in the order of `Entry.facts`."""


NOTHING = "There is no benchmark record here. `layerlaws bench` writes one; then write the report again."

HOW = (
    "Only right answers have a time: what breaks a law of the operation, or is not what the definition says at this "
    "size, has a word in its place. Backends took turns, round by round; times are medians. The ceiling is the time "
    "that a large matrix product and a large copy allow: medians too, of rounds between those of the backends (in a "
    "quick run, at its start). Memory is the peak beyond what was held before."
)


@dataclass(frozen=True)
class Entry:
    """One backend on one workload. A number is None if it is unknown; all are None if no time may be shown.

    seconds: median. faster: NumPy's time over this one. behind: this time over the fastest backend's. memory: peak, in
    bytes. share: of the speed that the machine's ceilings allow. rate: bytes of text per second. intensity: FLOP per
    byte that has to move. flops: FLOP per second. used: largest share of the allowed error.
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
        """The median time, or the state."""
        return self.state if self.seconds is None else scaled(self.seconds, "s")

    @property
    def ratio(self) -> str:
        """`faster` as text, for example "2.50×"."""
        return times(self.faster)

    @property
    def facts(self) -> tuple[str, ...]:
        """The values of `COLUMNS`; a dash for those that are unknown."""
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
    def reported(self) -> tuple[Entry, ...]:
        """The entries of backends that the workload could be run on."""
        return tuple(entry for entry in self.entries if entry.state not in ("missing", "unavailable", "not run"))


@dataclass(frozen=True)
class Measured:
    """A claim of a note about speed, as measured in one run.

    line: on both workloads, "fast against slow"; `faster` of its entries is the slow one's time over the fast one's.
    """

    claim: str
    source: str
    line: Line


@dataclass(frozen=True)
class Curve:
    """Time against one size of a workload on one backend, with all other sizes fixed.

    points: (size, median seconds), sorted by size. exponent: the fitted p if time grows as size to the power p.
    """

    workload: str
    mode: str
    size: str
    backend: str
    points: tuple[tuple[int, float], ...]
    exponent: float


@dataclass(frozen=True)
class Roof:
    """The FLOP per second and the bytes per second that a device reached while workloads were timed."""

    device: str
    flops: float
    bandwidth: float


@dataclass(frozen=True)
class Run:
    """One benchmark record. slug: its name in file names and anchors, unique in the report."""

    name: str
    slug: str
    warnings: tuple[str, ...]
    backends: tuple[str, ...]
    headlines: tuple[Measured, ...]
    lines: tuple[Line, ...]
    curves: tuple[Curve, ...]
    roofs: tuple[Roof, ...]

    def pace(self, backend: str) -> str:
        """The geometric mean of how many times as fast as NumPy a backend is; "" if it was not timed."""
        entries = [entry for line in self.lines for entry in line.entries if entry.backend == backend]
        timed = sum(entry.seconds is not None for entry in entries)
        ratios = [entry.faster for entry in entries if entry.faster]
        if not timed or backend == "numpy":
            return "the measure of the others" if timed else ""
        if not ratios:
            return f"{timed:,} timed, NumPy is not"
        return f"{times(geometric_mean(ratios))} NumPy ({len(ratios):,} timed)"

    @property
    def growth(self) -> list[tuple[str, ...]]:
        """Rows of workload, mode, smallest and largest size, then the fitted power of the size for each backend."""
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
    """Everything that a report shows about speed. provenance: one row per fact, its name before its values by run."""

    runs: tuple[Run, ...] = ()
    provenance: tuple[tuple[str, ...], ...] = ()

    @property
    def backends(self) -> tuple[str, ...]:
        """The backends of all runs; each has its own colour in the plots."""
        return tuple(dict.fromkeys(name for run in self.runs for name in run.backends))

    def pace(self, backend: str) -> str:
        """How many times as fast as NumPy a backend is, as the geometric mean over its times in each run."""
        found = [(run.name, pace) for run in self.runs if (pace := run.pace(backend))]
        return "; ".join(f"{name}: {pace}" if len(found) > 1 else pace for name, pace in found)

    @property
    def warnings(self) -> tuple[str, ...]:
        """Warnings about the runs, for the head of the report."""
        return tuple(warning for run in self.runs for warning in run.warnings)
