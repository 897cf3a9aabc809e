"""Makes the part of a report on speed from benchmark records and the catalogue."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from statistics import median

from layerlaws.benchmark.growth import Growth, growths
from layerlaws.benchmark.record import BenchmarkRecord, Timing
from layerlaws.language.note import Catalogue
from layerlaws.report import text
from layerlaws.report.speed import Curve, Entry, Line, Measured, Roof, Run, Speed
from layerlaws.report.units import scaled
from layerlaws.support.version import __version__

BASELINE = "numpy"
"""The backend that others are compared with."""

MODES = {"gradient": "forward and gradient"}
"""Labels of modes that are not their names."""

Backends = Mapping[str, str]
"""Labels of backends by their names in the record."""


def speed_of(records: Sequence[BenchmarkRecord], catalogue: Catalogue) -> Speed:
    """The part of a report on these benchmark records."""
    names = _names(records)
    runs = tuple(_run(*each, catalogue) for each in zip(records, names, _slugs(names), strict=True))
    return Speed(runs, _provenance(runs, records))


def _run(record: BenchmarkRecord, name: str, slug: str, catalogue: Catalogue) -> Run:
    present = dict.fromkeys(t.backend for t in record.timings if t.state != "unavailable")
    order = [name for name in record.header.backends if name in present]
    backends = {name: text.line(name, 60) for name in (*order, *present)}
    return Run(
        name,
        slug,
        _warnings(name, record),
        tuple(backends.values()),
        tuple(_headlines(record.timings, backends, catalogue)),
        tuple(_lines(record.timings, backends, catalogue)),
        tuple(_curve(growth, backends) for growth in growths(record.timings)),
        tuple(_roofs(record.timings)),
    )


def _roofs(timings: Iterable[Timing]) -> Iterator[Roof]:
    """For each device, the median rates that it reached while the workloads were timed."""
    reached: dict[str, list[tuple[float, float]]] = {}
    for t in timings:
        if t.purpose == "workload" and t.state == "timed" and _positive(t.peak) and _positive(t.bandwidth):
            reached.setdefault(t.device, []).append((t.peak, t.bandwidth))
    for device, pairs in reached.items():
        yield Roof(text.line(device, 60), *(median(rates) for rates in zip(*pairs, strict=True)))


def _lines(timings: Iterable[Timing], backends: Backends, catalogue: Catalogue) -> Iterator[Line]:
    """The workloads in the order of the record; if one was timed twice on a backend, the later time counts."""
    says = {workload.name: workload.says for note in catalogue.notes for workload in note.workloads}
    grouped: dict[tuple[str, str, str], dict[str, Timing]] = {}
    for t in timings:
        if t.purpose == "workload":
            grouped.setdefault((t.workload, t.mode, _sizes(t)), {})[t.backend] = t
    for (workload, mode, sizes), of in grouped.items():
        least = min((t.seconds for t in of.values() if t.state == "timed"), default=0.0)
        baseline = of.get(BASELINE)
        entries = tuple(_entry(name, of.get(raw), baseline, least) for raw, name in backends.items())
        yield Line(text.line(workload, 60), _mode(mode), sizes, says.get(workload, ""), entries)


def _entry(backend: str, t: Timing | None, baseline: Timing | None, least: float) -> Entry:
    if t is None or t.state != "timed":
        return _word(backend, t)
    return Entry(
        backend,
        t.state,
        text.line(t.reason),
        text.line(t.dtype, 20),
        t.seconds,
        quartiles=(t.low, t.high),
        rounds=t.rounds,
        faster=baseline.seconds / t.seconds if baseline and baseline.state == "timed" else None,
        behind=t.seconds / least,
        memory=t.memory,
        share=t.share if _positive(t.bound) else None,
        rate=t.text / t.seconds if _positive(t.text) else None,
        intensity=t.flops / t.moved if _positive(t.flops) and _positive(t.moved) else None,
        flops=t.flops / t.seconds if _positive(t.flops) else None,
        used=t.used,
    )


def _word(backend: str, t: Timing | None) -> Entry:
    """An entry without a time: its state and the reason."""
    return Entry(backend, t.state, text.line(t.reason)) if t else Entry(backend, "not run")


def _headlines(timings: Iterable[Timing], backends: Backends, catalogue: Catalogue) -> Iterator[Measured]:
    """The claims of which a run timed both sides or tried to, described by a backend that has both times, if any."""
    sources = {headline.claim: headline.source for note in catalogue.notes for headline in note.headlines}
    sides: dict[str, dict[str, list[Timing]]] = {}
    for t in timings:
        if t.purpose == "headline":
            sides.setdefault(t.headline, {}).setdefault(t.backend, []).append(t)
    for claim, of in sides.items():
        pairs = [pair for pair in of.values() if len(pair) == 2]
        if pairs:
            fast, slow = min(pairs, key=lambda pair: sum(t.state != "timed" for t in pair))
            both = text.line(f"{fast.workload} against {slow.workload}", 125)
            settings = dict.fromkeys((_sizes(fast), _sizes(slow)))
            entries = tuple(_compared(name, of.get(raw, [])) for raw, name in backends.items())
            line = Line(both, _mode(fast.mode), ", against ".join(settings), "", entries)
            yield Measured(text.line(claim), text.line(sources.get(claim, ""), text.LINK), line)


def _compared(backend: str, sides: Sequence[Timing]) -> Entry:
    """How many times as fast the fast side is; the state if one of the sides has no time."""
    untimed = [t for t in sides if t.state != "timed"]
    if untimed or len(sides) != 2:
        return _word(backend, untimed[0] if untimed else None)
    fast, slow = sides
    both = f"{scaled(fast.seconds, 's')} against {scaled(slow.seconds, 's')}"
    return Entry(backend, "timed", both, seconds=fast.seconds, faster=slow.seconds / fast.seconds)


def _curve(growth: Growth, backends: Backends) -> Curve:
    points = tuple(growth.seconds.items())
    workload, size = text.line(growth.workload, 60), text.line(growth.size, 30)
    return Curve(workload, _mode(growth.mode), size, backends[growth.backend], points, growth.exponent)


def _mode(mode: str) -> str:
    return MODES.get(mode, text.line(mode, 30))


def _sizes(t: Timing) -> str:
    """The sizes as text, for example "B 8, T 512"."""
    return text.line(", ".join(f"{name} {count:,}" for name, count in t.sizes.items()), 120)


def _positive(x: float) -> bool:
    """Whether a number is finite and above 0: unknown costs are 0, and JSON may contain NaN and infinity."""
    return math.isfinite(x) and x > 0


def _warnings(name: str, record: BenchmarkRecord) -> tuple[str, ...]:
    """Warnings about a record, for the head of the report."""
    header = record.header
    warnings = []
    if not record.complete:
        done = f"{len(record.timings):,} of {header.timings:,} timings"
        warnings.append(f"The benchmark {name} is INCOMPLETE: its run stopped after {done}.")
    elif not header.whole:
        warnings.append(f"The benchmark {name} is PARTIAL: its run was not asked for every workload.")
    if header.quick:
        warnings.append(f"The benchmark {name} is QUICK: small batches and few rounds, so its ratios are rough.")
    if header.suite != __version__:
        suite = text.line(header.suite, 40)
        warnings.append(f"The benchmark {name} is of layerlaws {suite}, this is {__version__}: workloads may differ.")
    return tuple(warnings)


def _provenance(runs: Sequence[Run], records: Sequence[BenchmarkRecord]) -> tuple[tuple[str, ...], ...]:
    """One row per fact: its name, then its value for each record."""
    names = "state", "suite", "date", "seconds", "backends", "threads", "clocks", "ceilings", "memory", "environment"
    rows = [[name] for name in names]
    for run, record in zip(runs, records, strict=True):
        header = record.header
        state = "complete" if record.complete else "INCOMPLETE"
        ceilings = [f"{r.device}: {scaled(r.flops, 'FLOP/s')}, {scaled(r.bandwidth, 'B/s')}" for r in run.roofs]
        for c in header.ceilings:
            if _positive(c.flops) and _positive(c.bandwidth):
                reached = f"{scaled(c.flops, 'FLOP/s')}, {scaled(c.bandwidth, 'B/s')}"
                ceilings.append(f"at the start {c.library} on {c.device}: {reached}")
        facts = (
            f"{state}, {text.number(len(record.timings), 'timing')}{', quick' if header.quick else ''}",
            f"layerlaws {header.suite}",
            header.started,
            f"{record.seconds:,.0f}" if record.complete else "unknown",
            "; ".join(f"{name}: {device}" for name, device in header.backends.items()),
            ", ".join(f"{name} {count}" for name, count in header.threads.items()),
            header.clocks,
            "; ".join(ceilings) or "not measured",
            header.memory,
            ", ".join(f"{name} {value}" for name, value in header.environment.items()),
        )
        for row, fact in zip(rows, facts, strict=True):
            row.append(text.line(fact, 600))
    return tuple(tuple(row) for row in rows if any(row[1:]))


def _names(records: Sequence[BenchmarkRecord]) -> list[str]:
    """The name of each record, with its file if two have the same name."""
    times = Counter(record.header.name for record in records)
    return [
        text.line(record.header.name, 60)
        if times[record.header.name] == 1
        else text.line(f"{record.header.name} ({record.path.name})", 100)
        for record in records
    ]


def _slugs(names: Iterable[str]) -> list[str]:
    """Names made fit for file names, and numbered if several are equal."""
    slugs: list[str] = []
    for name in names:
        stem = re.sub(r"[^a-z0-9]+", "-", name.lower())[:40].strip("-") or "benchmark"
        same = sum(slug == stem or slug.startswith(f"{stem}-run-") for slug in slugs)
        slugs.append(f"{stem}-run-{same + 1}" if same else stem)
    return slugs
