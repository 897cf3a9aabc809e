"""The matrix of notes and backends: a short mark for each pair, the same in Markdown and on the page."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from layerlaws.checking.verdict import ACCEPTED, STATES, UNEXPECTED
from layerlaws.report.contents import FOLDED, NOT_RUN, Report, Row

DEPARTED = (ACCEPTED, "known")

LEGEND = (
    "14: all fourteen laws hold that the backend was held to; 12/14 ✗: two do not; 12/14 ○: two depart by design, or "
    "accept bad input; 64%: of what was drawn, it took that much. Nothing: the backend has no such function."
)


@dataclass(frozen=True)
class Mark:
    """What became of a note on a backend. text: "" if no law was held to it. state: the worst. words: all states."""

    text: str
    state: str
    domain: str
    words: str


def marks_of(row: Row) -> list[Mark]:
    """The marks of a note, in the order of the backends."""
    return [mark_of(counts, domain) for counts, domain in zip(row.counts, row.domain, strict=True)]


def mark_of(counts: Iterable[tuple[str, int]], domain: str) -> Mark:
    """The mark for these numbers of laws by state, and for how much of what was drawn was taken ("" for all)."""
    found = dict(counts)
    words = states_in_words(found) + (f"; on {domain} of what was drawn" if domain else "")
    tried = sum(number for state, number in found.items() if state not in FOLDED)
    state = _worst(found)
    if not tried:
        return Mark("", state, "", words)
    held = found.get("held", 0)
    sign = " ✗" if state in UNEXPECTED else " ○" if state in DEPARTED else ""
    return Mark(f"{held}/{tried}{sign}" if sign else f"{held}", state, domain, words)


def states_in_words(counts: Mapping[str, int]) -> str:
    """For example "12 held, 1 broken"."""
    return ", ".join(f"{number:,} {state}" for state, number in counts.items())


def _worst(counts: Mapping[str, int]) -> str:
    order = (*UNEXPECTED, *DEPARTED, "held", *(state for state in (*STATES, NOT_RUN) if state in FOLDED))
    return next((state for state in order if counts.get(state)), NOT_RUN)


def grouped(report: Report) -> list[list[int]]:
    """The backends by number, those together that have functions of the same notes; those of most notes first.

    Backends that were held to no law are left out.
    """
    groups: dict[tuple[bool, ...], list[int]] = {}
    offered = zip(*([bool(mark.text) for mark in marks_of(row)] for row in report.rows), strict=True)
    for i, notes in enumerate(offered):
        if any(notes):
            groups.setdefault(notes, []).append(i)
    return [groups[notes] for notes in sorted(groups, key=lambda notes: -sum(notes))]


def absent(report: Report) -> list[tuple[str, str]]:
    """The backends that were held to no law, and what became of the laws."""
    there = {i for group in grouped(report) for i in group}
    return [
        (name, states_in_words(dict(counts)))
        for i, (name, counts) in enumerate(zip(report.backends, report.totals, strict=True))
        if i not in there
    ]


def offered_by_some(report: Report) -> list[Row]:
    """The notes of which at least one backend has a function."""
    return [row for row in report.rows if any(mark.text for mark in marks_of(row))]


def offered_by_none(report: Report) -> Sequence[str]:
    """The names of the others."""
    return [row.name for row in report.rows if not any(mark.text for mark in marks_of(row))]
