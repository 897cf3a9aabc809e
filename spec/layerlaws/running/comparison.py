"""Records beside each other: merged into one directory, and two runs compared law by law."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from layerlaws.checking.verdict import STATES, Verdict
from layerlaws.running.counterexamples import write_scripts
from layerlaws.running.journal import Record, read_record, record_name, records_in
from layerlaws.support.errors import RecordError

GREW = 2.0
"""A worst share of the allowed error that grew by this factor, and is above `NOTABLE`, is mentioned."""

NOTABLE = 0.1

SHOWN = 5
"""Lines about accuracy, at most: different examples alone make it vary."""

GOOD = ("held", "known")
"""States that a change may leave only as a regression."""


# --- merge ----------------------------------------------------------------------------------------------------


def merge(sources: Sequence[Path], target: Path, incomplete: bool = False) -> list[Path]:
    """Put records of several runs into one directory, which must not hold any yet; returns what was written.

    sources: directories of records, or single ones; records of benchmarks in the directories go along. incomplete:
    whether unfinished records may be among them. Raises RecordError, before anything is written, where a source holds
    no record, where a backend is there twice, and where suite versions differ.
    """
    records = [record for source in sources for record in _records(source)]
    _check_mergeable(records, incomplete)
    benchmarks = [path for source in sources if source.is_dir() for path in sorted(source.glob("benchmark-*.jsonl"))]
    names = Counter(path.name for path in benchmarks)
    twice = next((name for name, count in names.items() if count > 1), None)
    if twice:
        raise RecordError(f"{twice} is there twice: rename one of them")
    if target.exists() and (not target.is_dir() or any(target.glob("*.jsonl*"))):
        raise RecordError(f"{target} holds records already: merge into a new directory")
    target.mkdir(parents=True, exist_ok=True)
    written = [_copied(record.path, target / record.path.name) for record in records]
    written += [_copied(path, target / path.name) for path in benchmarks]
    for record in records:
        write_scripts(target, record.header.backend, record.verdicts)
    return written


def _records(source: Path) -> list[Record]:
    if not source.exists():
        raise RecordError(f"there is no file or directory {source}")
    return records_in(source) if source.is_dir() else [read_record(source)]


def _check_mergeable(records: Sequence[Record], incomplete: bool) -> None:
    first = records[0]
    by_name: dict[str, Record] = {}
    for record in records:
        if record.header.suite != first.header.suite:
            raise RecordError(
                f"{record.path} is of suite {record.header.suite}, {first.path} of {first.header.suite}: "
                "laws differ between versions; run one of them again"
            )
        if not record.complete and not incomplete:
            raise RecordError(
                f"{record.path} is incomplete ({len(record.verdicts)} of {record.header.laws} laws): "
                "finish the run, or merge with --incomplete"
            )
        other = by_name.setdefault(record_name(record.header.backend), record)
        if other is not record:
            raise RecordError(
                f"{record.header.backend} is in {other.path} and in {record.path}: merge the one that you trust"
            )


def _copied(source: Path, target: Path) -> Path:
    """A copy, which is there whole or not at all."""
    unfinished = target.with_name(target.name + ".copy")
    shutil.copyfile(source, unfinished)
    os.replace(unfinished, target)
    return target


# --- diff -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Change:
    """A law whose state is another one in the newer run."""

    old: Verdict
    new: Verdict

    @property
    def regression(self) -> bool:
        """Whether what held, or was known, no longer does; a function that has gone missing counts, too."""
        return self.old.state in GOOD and self.new.state not in (*GOOD, "stale")


@dataclass(frozen=True)
class Growth:
    """A law of which examples of a dtype use a larger share of the allowed error than before, at worst."""

    law: str
    before: float
    now: float


@dataclass(frozen=True)
class Difference:
    """Two runs, law by law. added, removed: laws, of all backends, that only the newer or the older run has.

    remarks: what makes the runs less than comparable. accuracy: worst shares that grew notably, most first.
    """

    added: tuple[Verdict, ...]
    removed: tuple[Verdict, ...]
    changed: tuple[Change, ...]
    unchanged: int
    remarks: tuple[str, ...]
    accuracy: tuple[Growth, ...]

    @property
    def regressions(self) -> tuple[Change, ...]:
        return tuple(change for change in self.changed if change.regression)


def diff(old: Path, new: Path) -> Difference:
    """What is different between two runs: directories of records, or single ones.

    Raises RecordError where one of them holds no record.
    """
    runs = [{record.header.backend: record for record in _records(source)} for source in (old, new)]
    if len(runs[0]) == len(runs[1]) == 1 and old.is_file() and new.is_file() and runs[0].keys() != runs[1].keys():
        names = " and ".join(name for run in runs for name in run)
        raise RecordError(f"these are records of different backends, {names}: name two runs of one")
    before, after = (
        {(verdict.backend, verdict.id): verdict for record in run.values() for verdict in record.verdicts}
        for run in runs
    )
    both = [(before[key], after[key]) for key in before if key in after]
    changed = [Change(one, other) for one, other in both if one.state != other.state]
    return Difference(
        tuple(verdict for key, verdict in after.items() if key not in before),
        tuple(verdict for key, verdict in before.items() if key not in after),
        tuple(sorted(changed, key=lambda change: not change.regression)),
        len(both) - len(changed),
        tuple(_remarks(*runs)),
        tuple(sorted((g for one, other in both for g in _grown(one, other)), key=lambda g: g.before / g.now)),
    )


def _remarks(old: dict[str, Record], new: dict[str, Record]) -> Iterable[str]:
    for name in old:
        if name in new:
            one, other = old[name], new[name]
            for what in ("suite", "profile", "seed", "device", "dtypes"):
                values = getattr(one.header, what), getattr(other.header, what)
                if values[0] != values[1]:
                    yield f"{name}: {what} {_shown(values[0])} before, {_shown(values[1])} now"
    for name, record in [*old.items(), *new.items()]:
        if not record.complete:
            done = f"{len(record.verdicts)} of {record.header.laws} laws"
            yield f"{name}: {record.path} is incomplete ({done})"


def _shown(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else "none" if value is None else str(value)


def _grown(old: Verdict, new: Verdict) -> Iterable[Growth]:
    for dtype, shares in new.accuracy.items():
        before = old.accuracy.get(dtype)
        if before is not None and shares.worst > NOTABLE and shares.worst > GREW * before.worst:
            yield Growth(f"{new.backend}: {new.id} ({dtype})", before.worst, shares.worst)


def in_words(difference: Difference) -> list[str]:
    """A difference, line by line: what matters first."""
    lines = [f"note: {remark}" for remark in difference.remarks]
    for change in difference.changed:
        label = "regression" if change.regression else "changed"
        lines.append(f"{label}: {change.new.backend}: {change.new.id}: {change.old.state} -> {change.new.state}")
        if change.regression and change.new.reason:
            lines.append("  " + change.new.reason.partition("\n")[0])
    for label, verdicts in (("added", difference.added), ("removed", difference.removed)):
        lines += _summed(label, verdicts)
    if difference.accuracy:
        more = f"; the {SHOWN} that grew most" if len(difference.accuracy) > SHOWN else ""
        lines.append(f"larger share of the allowed error at worst: {len(difference.accuracy)} laws and dtypes{more}")
    lines += [f"  {growth.law}: {growth.before:.2g} -> {growth.now:.2g}" for growth in difference.accuracy[:SHOWN]]
    lines.append(
        f"{len(difference.added)} added, {len(difference.removed)} removed, {len(difference.changed)} changed "
        f"({len(difference.regressions)} regressions), {difference.unchanged} unchanged"
    )
    return lines


def _summed(label: str, verdicts: Sequence[Verdict]) -> Iterable[str]:
    """Laws that only one run has: how many of each backend, and those among them that are unexpected."""
    for backend in dict.fromkeys(verdict.backend for verdict in verdicts):
        own = Counter(verdict.state for verdict in verdicts if verdict.backend == backend)
        yield f"{label}: {backend}: " + ", ".join(f"{own[state]} {state}" for state in STATES if own[state])
        if label == "added":
            yield from (f"  {v.id} is {v.state}" for v in verdicts if v.backend == backend and v.unexpected)
