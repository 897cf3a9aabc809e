"""The provenance of a report's records: what ran, where, how, and how far."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence, Set

from layerlaws.report import text
from layerlaws.running.journal import Record


def names_of(records: Sequence[Record]) -> tuple[str, ...]:
    """The name of each record: its backend, with its file if two records are of the same backend."""
    times = Counter(record.header.backend for record in records)
    return tuple(
        text.line(record.header.backend, 60)
        if times[record.header.backend] == 1
        else text.line(f"{record.header.backend} ({record.path.name})", 100)
        for record in records
    )


def warnings_of(names: Sequence[str], records: Sequence[Record]) -> tuple[str, ...]:
    """Warnings about runs that did not finish, or that were asked for some laws only."""
    warnings = []
    for name, record in zip(names, records, strict=True):
        if not record.complete:
            done = f"{len(record.verdicts):,} of {record.header.laws:,} laws"
            warnings.append(f"{name} is INCOMPLETE: its run stopped after {done}.")
        elif not record.header.whole:
            warnings.append(f"{name} is PARTIAL: its run was asked for {record.header.laws:,} laws, not for all.")
    return tuple(warnings)


def provenance_of(records: Sequence[Record], laws: Set[str]) -> tuple[tuple[str, ...], ...]:
    """One row per fact: its name, then its value for each record. laws: ids of those in the catalogue."""
    facts: dict[str, Callable[[Record], object]] = {
        "state": lambda record: "complete" if record.complete else "INCOMPLETE",
        "laws": lambda record: f"{len(laws & {verdict.id for verdict in record.verdicts}):,} of {len(laws):,}",
        "suite": lambda record: f"layerlaws {record.header.suite}",
        "device": lambda record: record.header.device,
        "environment": lambda record: ", ".join(f"{name} {value}" for name, value in record.header.environment.items()),
        "unavailable": lambda record: record.header.unavailable,
        "dtypes": lambda record: ", ".join(map(str, record.header.dtypes)),
        "profile": lambda record: record.header.profile,
        "seed": lambda record: "same examples in every run" if record.header.seed is None else record.header.seed,
        "date": lambda record: record.header.started,
        "seconds of all workers": lambda record: f"{record.seconds:,.1f}" if record.complete else "unknown",
        "examples": lambda record: f"{sum(verdict.examples for verdict in record.verdicts):,}",
        "of these undecidable": lambda record: f"{sum(verdict.undecidable for verdict in record.verdicts):,}",
        "of these telling": lambda record: f"{sum(verdict.decisive for verdict in record.verdicts):,}",
    }
    rows = ((name, *(text.line(fact(record)) for record in records)) for name, fact in facts.items())
    return tuple(row for row in rows if any(row[1:]))
