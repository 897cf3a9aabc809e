"""What a report consists of: plain text, cut and cleaned, which each format escapes in its own way."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from layerlaws.checking.verdict import STATES, UNEXPECTED
from layerlaws.report import text

NOT_RUN = "not run"

MEANINGS = {**STATES, NOT_RUN: "the run did not reach or did not select the law"}

PLAIN = ("held", "missing", "unavailable", NOT_RUN)
"""States that say all there is to say."""


@dataclass(frozen=True)
class Result:
    """What came of a law on one backend, ready to print.

    share: worst share of the allowed error, "" for a law that did not hold. examples: decisive ones of all.
    script: what reproduces the counterexample, seen from the directory of the records.
    """

    backend: str
    law: str
    state: str
    sentence: str = ""
    reason: str = ""
    diagnosis: str = ""
    link: str = ""
    share: str = ""
    examples: str = ""
    input_dtype: str = ""
    counterexample: tuple[tuple[str, str], ...] = ()
    sides: tuple[tuple[str, str], ...] = ()
    script: str = ""

    @property
    def unexpected(self) -> bool:
        return self.state in UNEXPECTED

    @property
    def plain(self) -> bool:
        """Whether the state says it all."""
        return self.state in PLAIN


@dataclass(frozen=True)
class Law:
    """A law of the catalogue and what came of it on every backend.

    faults: which columns of its note's kill matrix it notices.
    """

    id: str
    sentence: str
    results: tuple[Result, ...]
    faults: frozenset[str]


@dataclass(frozen=True)
class Fault:
    """A fault that laws must notice.

    column: its mark in the kill matrix. source: where it was shipped, or "constructed".
    laws: ids of those that notice; of a fault that comes with every operation, names.
    operation: its name, or how many operations it is made for.
    """

    column: str
    name: str
    operation: str
    description: str
    source: str
    laws: tuple[str, ...]


@dataclass(frozen=True)
class Erratum:
    """A mistake that a note corrects, and the ids of the laws that show it."""

    text: str
    laws: tuple[str, ...]


@dataclass(frozen=True)
class Accuracy:
    """Worst and median share of the allowed error of one operation in one dtype, on each backend, as text.

    of: what is accurate, "result" or "gradient". shares: (worst, median) for each backend, or
    (why there is none, "").
    """

    operation: str
    of: str
    dtype: str
    shares: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Row:
    """One note on every backend."""

    name: str
    title: str
    laws: tuple[Law, ...]
    faults: tuple[Fault, ...]
    errata: tuple[Erratum, ...]
    accuracy: tuple[Accuracy, ...]
    worst: tuple[str, ...]

    @property
    def counts(self) -> list[list[tuple[str, int]]]:
        """Of each backend, how many laws are in each state, states that none is in left out."""
        return [counted(column) for column in zip(*(law.results for law in self.laws), strict=True)]

    @property
    def shipped(self) -> int:
        """How many of the faults were seen in a public library or repository."""
        return sum(fault.source != "constructed" for fault in self.faults)

    @property
    def kills(self) -> int:
        """How many pairs of a law and a fault of the note there are in which the law notices the fault."""
        return sum(len(fault.laws) for fault in self.faults)


@dataclass(frozen=True)
class Report:
    """Everything a report shows.

    generic: faults that come with every operation. beyond: results for laws that are not in the catalogue (notes of
    other packages).
    """

    backends: tuple[str, ...]
    warnings: tuple[str, ...]
    provenance: tuple[tuple[str, ...], ...]
    rows: tuple[Row, ...]
    generic: tuple[Fault, ...]
    beyond: tuple[Result, ...]

    @property
    def laws(self) -> int:
        """How many laws the catalogue has."""
        return sum(len(row.laws) for row in self.rows)

    @property
    def summary(self) -> str:
        """How much was held to how much, and how many verdicts are unexpected."""
        counts = ((len(self.backends), "backend"), (self.laws, "law"), (len(self.rows), "note"))
        backends, laws, notes = (text.number(n, what) for n, what in counts)
        unexpected = (
            text.number(len(self.unexpected), "unexpected verdict") if self.unexpected else "no unexpected verdict"
        )
        return f"{backends} and {laws} of {notes}: {unexpected}, {text.number(len(self.known), 'known deviation')}."

    @property
    def results(self) -> tuple[Result, ...]:
        return tuple(result for row in self.rows for law in row.laws for result in law.results) + self.beyond

    @property
    def unexpected(self) -> list[Result]:
        return [result for result in self.results if result.unexpected]

    @property
    def known(self) -> list[Result]:
        return [result for result in self.results if result.state == "known"]

    @property
    def totals(self) -> list[list[tuple[str, int]]]:
        """Of each backend, how many laws of the catalogue are in each state."""
        columns = zip(*(law.results for row in self.rows for law in row.laws), strict=True)
        return [counted(column) for column in columns]


def counted(results: Iterable[Result]) -> list[tuple[str, int]]:
    """How many results are in each state, in the order of the states."""
    counts = Counter(result.state for result in results)
    return [(state, counts[state]) for state in (*STATES, NOT_RUN) if counts[state]]
