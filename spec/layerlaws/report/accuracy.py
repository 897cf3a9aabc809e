"""The shares of the allowed error that implementations used, per operation and dtype, and the worst of a note."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from layerlaws.checking.verdict import Verdict
from layerlaws.language.note import Note
from layerlaws.report import text
from layerlaws.report.contents import NOT_RUN, Accuracy
from layerlaws.running.journal import Record

ACCURACY = {"agrees_with_definition": "result", "gradient_agrees_with_definition": "gradient"}
"""The laws whose share of the allowed error measures accuracy, and what it is the accuracy of."""


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
            shares = (_shares(verdict, dtype, record) for verdict, record in zip(found, records, strict=True))
            yield Accuracy(case.operation.name, ACCURACY[case.law.name], text.line(dtype, 40), tuple(shares))


def worst_of(note: Note, verdicts: Sequence[Mapping[str, Verdict]]) -> tuple[str, ...]:
    """For each backend, the worst share that a held law of `ACCURACY` used in the note; "" if there is none."""
    ids = [case.id for case in note.cases if case.law.name in ACCURACY]
    return tuple(_worst(of[id] for id in ids if id in of) for of in verdicts)


def _worst(verdicts: Iterable[Verdict]) -> str:
    used = [shares.worst for verdict in verdicts if _counts(verdict) for shares in verdict.accuracy.values()]
    return text.share(max(used)) if used else ""


def _counts(verdict: Verdict) -> bool:
    """Whether shares are complete: those of a failed law leave out the example that failed."""
    return verdict.state in ("held", "stale")


def _shares(verdict: Verdict | None, dtype: str, record: Record) -> tuple[str, str, str]:
    if verdict is None:
        return NOT_RUN, "", ""
    if not _counts(verdict):
        return verdict.state, "", ""
    if dtype in verdict.accuracy:
        shares = verdict.accuracy[dtype]
        mean = f"{shares.mean:+.3f}" if shares.elements else ""
        return text.share(shares.worst), text.share(shares.median), mean
    return ("no example" if dtype in record.header.dtypes else "not offered"), "", ""
