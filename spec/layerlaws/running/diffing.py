"""Compares two runs law by law."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from layerlaws.checking.verdict import INEXACT, STATES, Verdict
from layerlaws.running.journal import Record, records_at
from layerlaws.support.errors import RecordError

NOTABLE_GROWTH = 2.0
"""Factor by which a worst share of the allowed error has to grow to be reported, if it is above `NOTABLE_SHARE`."""

NOTABLE_SHARE = 0.1

MOST_GROWTHS = 5
"""Most growths of shares that are printed: shares vary with the examples alone."""

GOOD_STATES = ("held", "known")
"""States that a law leaves only by a regression."""


@dataclass(frozen=True)
class Change:
    """A law whose state differs between two runs."""

    old: Verdict
    new: Verdict

    @property
    def regression(self) -> bool:
        """Whether a law that was held or known no longer is; a function that has gone missing counts, too.

        Bits that differ do not: they depend on the machine as well.
        """
        return self.old.state in GOOD_STATES and self.new.state not in (*GOOD_STATES, "stale", INEXACT)


@dataclass(frozen=True)
class Growth:
    """A law whose worst share of the allowed error, in one dtype, is larger than before."""

    law: str
    before: float
    now: float


@dataclass(frozen=True)
class Difference:
    """What differs between two runs, law by law, over all their backends.

    added, removed: verdicts on laws that only the newer or only the older run has. changed: regressions first.
    unchanged: how many laws have the same state. remarks: settings that differ, and incomplete records. accuracy: worst
    shares that grew notably, largest growth first.
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
    """The difference between two runs, each a directory of records or a single record.

    Raises RecordError if one of them has no record, or if they have no backend in common.
    """
    runs = [{record.header.backend: record for record in records_at(source)} for source in (old, new)]
    if not runs[0].keys() & runs[1].keys():
        names = " and ".join(", ".join(run) for run in runs)
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
    for run, against, which in ((old, new, "older"), (new, old, "newer")):
        if alone := [name for name in run if name not in against]:
            yield f"only the {which} run has {', '.join(alone)}"
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
        if before is not None and shares.worst > NOTABLE_SHARE and shares.worst > NOTABLE_GROWTH * before.worst:
            yield Growth(f"{new.backend}: {new.id} ({dtype})", before.worst, shares.worst)


def in_words(difference: Difference) -> list[str]:
    """A difference as lines of text, the most important first."""
    lines = [f"note: {remark}" for remark in difference.remarks]
    for change in difference.changed:
        label = "regression" if change.regression else "changed"
        lines.append(f"{label}: {change.new.backend}: {change.new.id}: {change.old.state} -> {change.new.state}")
        if change.regression and change.new.reason:
            lines.append("  " + change.new.reason.partition("\n")[0])
    for label, verdicts in (("added", difference.added), ("removed", difference.removed)):
        lines += _summed(label, verdicts)
    if difference.accuracy:
        more = f"; the {MOST_GROWTHS} that grew most" if len(difference.accuracy) > MOST_GROWTHS else ""
        lines.append(f"larger share of the allowed error at worst: {len(difference.accuracy)} laws and dtypes{more}")
    largest = difference.accuracy[:MOST_GROWTHS]
    lines += [f"  {growth.law}: {growth.before:.2g} -> {growth.now:.2g}" for growth in largest]
    lines.append(
        f"{len(difference.added)} added, {len(difference.removed)} removed, {len(difference.changed)} changed "
        f"({len(difference.regressions)} regressions), {difference.unchanged} unchanged"
    )
    return lines


def _summed(label: str, verdicts: Sequence[Verdict]) -> Iterable[str]:
    """For each backend, how many laws only one run has, by state; of added ones, those that are unexpected."""
    for backend in dict.fromkeys(verdict.backend for verdict in verdicts):
        own = Counter(verdict.state for verdict in verdicts if verdict.backend == backend)
        yield f"{label}: {backend}: " + ", ".join(f"{own[state]} {state}" for state in STATES if own[state])
        if label == "added":
            yield from (f"  {v.id} is {v.state}" for v in verdicts if v.backend == backend and v.unexpected)
