"""The shares of the allowed error that implementations used, their bias, and the tightest arithmetic that they fit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from layerlaws.checking.verdict import Accuracy as Shares
from layerlaws.checking.verdict import Verdict
from layerlaws.language.note import Note
from layerlaws.report import text
from layerlaws.report.contents import NOT_RUN, Accuracy, Used
from layerlaws.running.journal import Record

ACCURACY = {"agrees_with_definition": "result", "gradient_agrees_with_definition": "gradient"}
"""The laws whose share of the allowed error measures accuracy, and what it is the accuracy of."""

ERRORS, PART = 10, 0.25
"""Results lean to one side where their mean share is farther from 0 than this many standard errors, and than this part
of the root mean square. The second is asked for since elements of one example are not independent: rounding to nearest
passes the first now and then where there are very many, and one that always errs to one side has some 0.87.
"""


def biased(shares: Shares) -> bool:
    """Whether results lean to one side, as `ERRORS` and `PART` have it."""
    return abs(shares.bias) > ERRORS and abs(shares.mean) > PART * shares.rms


def counts(verdict: Verdict) -> bool:
    """Whether shares are complete: those of a failed law leave out the example that failed."""
    return verdict.state in ("held", "stale")


def accuracy_of(note: Note, records: Sequence[Record], verdicts: Sequence[Mapping[str, Verdict]]) -> Iterable[Accuracy]:
    """The shares of each operation of a note, for results and gradients, in each dtype that a backend offers.

    Operations without rounding (on integers or masks) are left out.
    """
    for case in note.cases:
        if case.law.name not in ACCURACY:
            continue
        found = [of.get(case.id) for of in verdicts]
        used = [shares for verdict in found if verdict for shares in verdict.accuracy.values()]
        if used and not any(shares.worst for shares in used):
            continue
        for dtype in dict.fromkeys(dtype for verdict in found if verdict for dtype in verdict.accuracy):
            shares = (_used(verdict, dtype, record) for verdict, record in zip(found, records, strict=True))
            yield Accuracy(case.operation.name, ACCURACY[case.law.name], text.line(dtype, 40), tuple(shares))


def worst_of(note: Note, verdicts: Sequence[Mapping[str, Verdict]]) -> tuple[str, ...]:
    """For each backend, the worst share that a held law of `ACCURACY` used in the note; "" if there is none."""
    ids = [case.id for case in note.cases if case.law.name in ACCURACY]
    return tuple(largest_of(of[id] for id in ids if id in of)[0] for of in verdicts)


def largest_of(verdicts: Iterable[Verdict]) -> tuple[str, str]:
    """The largest share that a held law of `ACCURACY` used, and its operation and dtype; "" if there is none."""
    used = [
        (shares.worst, f"{text.line(verdict.operation, 60)}, {text.line(dtype, 40)}")
        for verdict in verdicts
        if verdict.law in ACCURACY and counts(verdict)
        for dtype, shares in verdict.accuracy.items()
    ]
    if not used:
        return "", ""
    share, where = max(used, key=lambda each: each[0])
    return text.share(share), where


def arithmetics_of(verdicts: Iterable[Verdict]) -> tuple[tuple[str, tuple[tuple[str, int], ...]], ...]:
    """By dtype of half precision, the tightest arithmetics that results fit, with how many operations fit each."""
    found: dict[str, Counter[str]] = {}
    for verdict in verdicts:
        if ACCURACY.get(verdict.law) == "result" and verdict.state == "held":
            for dtype in verdict.arithmetic:
                words = _arithmetic(verdict, dtype)
                if words:
                    found.setdefault(dtype, Counter())[words] += 1
    return tuple((text.line(dtype, 40), tuple(counter.most_common())) for dtype, counter in found.items())


def _arithmetic(verdict: Verdict, dtype: str) -> str:
    """An arithmetic, its dtype left out: "in float32, kept in float16", "throughout"; "" where nothing is rounded."""
    if dtype not in verdict.accuracy or not verdict.accuracy[dtype].elements:
        return ""
    words = text.line(verdict.arithmetic.get(dtype, ""), 120)
    return words.removeprefix(dtype).lstrip(", ").replace("accumulated in", "in", 1)


def _used(verdict: Verdict | None, dtype: str, record: Record) -> Used:
    if verdict is None:
        return Used(NOT_RUN)
    if not counts(verdict):
        return Used(verdict.state)
    if dtype not in verdict.accuracy:
        return Used("no example" if dtype in record.header.dtypes else "not offered")
    shares = verdict.accuracy[dtype]
    mean = text.signed(shares.mean) if shares.elements else ""
    arithmetic = _arithmetic(verdict, dtype) if verdict.state == "held" else ""
    return Used("", text.share(shares.worst), text.share(shares.median), mean, arithmetic, biased(shares))
