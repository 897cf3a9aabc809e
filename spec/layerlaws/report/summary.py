"""One line per backend: is it right, how much does it take, what does it accept, how accurate is it, and how fast."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import replace

from layerlaws.checking.exactness import exactness_of
from layerlaws.checking.verdict import (
    ACCEPTED,
    INEXACT,
    Verdict,
    bad_input,
    bad_input_in_words,
    by_cause,
    percentage,
    share_of_domain,
)
from layerlaws.language.laws import KINDS_OF_LAWS
from layerlaws.report import text
from layerlaws.report.accuracy import ACCURACY, arithmetics_of, biased, counts, largest_of
from layerlaws.report.contents import Summary
from layerlaws.report.speed import Speed
from layerlaws.report.units import NONE
from layerlaws.running.journal import Record

WRONG = ("broken", "error", "crashed", "timed out", "not judged")
"""States of laws that a backend is not right in; what is stale holds."""

RIGHT = ("held", "stale", "known")
"""States of laws that a backend is right in, or departs from by design."""

NAMED = 3
"""How many biased operations are named; of more, only the number."""


def summary_of(name: str, record: Record, verdicts: Collection[Verdict], operations: int, speed: Speed) -> Summary:
    """The summary of one record.

    name: of the backend in this report. verdicts: those of the record, each with its kind. operations: how many there
    are in the catalogue.
    """
    wrong = [verdict for verdict in verdicts if verdict.state in WRONG]
    tried = list(_tried(verdicts))
    accepted, _ = bad_input(verdicts)
    share, where = largest_of(verdicts)
    offered = {verdict.operation for verdict in verdicts if verdict.state in (*WRONG, *RIGHT, ACCEPTED, INEXACT)}
    return Summary(
        name,
        _right(record, wrong, tried),
        tuple(_kinds(tried)),
        len(wrong),
        len(by_cause(wrong)),
        sum(verdict.state == "known" for verdict in tried),
        f"{len(offered):,} of {operations:,} operations",
        percentage(share_of_domain(verdicts)) if offered else NONE,
        bad_input_in_words(verdicts),
        tuple(text.line(verdict.id) for verdict in accepted if verdict.state == ACCEPTED),
        share,
        where,
        arithmetics_of(verdicts),
        _bias(verdicts),
        speed.pace(record.header.backend),
        tuple(replace(e, inexact=tuple(text.line(name, 60) for name in e.inexact)) for e in exactness_of(verdicts)),
    )


def _right(record: Record, wrong: Collection[Verdict], tried: Collection[Verdict]) -> str:
    if record.header.unavailable and not tried:
        return "unavailable"
    if wrong:
        return "no"
    so_far = "" if record.complete else " so far"
    return f"yes{so_far}" if tried else "nothing was held"


def _tried(verdicts: Collection[Verdict]) -> Iterator[Verdict]:
    """The verdicts that say whether the backend is right: those on refusals only where one went wrong in another way
    than that bad input was accepted, and exact ones only where something went wrong but bits.
    """
    refusals = any(verdict.kind == "refusals" and verdict.state in WRONG for verdict in verdicts)
    for verdict in verdicts:
        if verdict.kind == "exact" and verdict.state not in WRONG:
            continue
        of_interest = refusals if verdict.kind == "refusals" else True
        if of_interest and verdict.state in (*WRONG, *RIGHT, ACCEPTED):
            yield verdict


def _kinds(tried: Iterable[Verdict]) -> Iterator[tuple[str, int, int]]:
    """How many laws of each kind hold, and how many there are; known deviations are none of them."""
    of, held = Counter[str](), Counter[str]()
    for verdict in tried:
        if verdict.state != "known":
            of[verdict.kind] += 1
            held[verdict.kind] += verdict.state in ("held", "stale")
    for kind in (*KINDS_OF_LAWS, ""):
        if of[kind]:
            yield kind or "others", held[kind], of[kind]


def _bias(verdicts: Iterable[Verdict]) -> str:
    """The operations whose results lean, the strongest first; "none"; or "" where no record says."""
    measured = [
        (verdict, dtype, shares)
        for verdict in verdicts
        if verdict.law in ACCURACY and counts(verdict)
        for dtype, shares in verdict.accuracy.items()
        if shares.elements
    ]
    found = sorted((each for each in measured if biased(each[2])), key=lambda each: -abs(each[2].mean / each[2].rms))
    words = [
        f"{text.line(verdict.operation, 60)}{' (gradient)' * (ACCURACY[verdict.law] == 'gradient')}, "
        f"{text.line(dtype, 40)} {text.signed(shares.mean)}"
        for verdict, dtype, shares in found[:NAMED]
    ]
    more = [f"{len(found) - NAMED} more"] if len(found) > NAMED else []
    return "; ".join([*words, *more]) or ("none" if measured else "")


def summaries_of(
    names: Sequence[str],
    records: Sequence[Record],
    verdicts: Sequence[Collection[Verdict]],
    operations: int,
    speed: Speed,
) -> tuple[Summary, ...]:
    """The summary of each record."""
    each = zip(names, records, verdicts, strict=True)
    return tuple(summary_of(name, record, of, operations, speed) for name, record, of in each)
