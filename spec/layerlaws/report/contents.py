"""What a report consists of: plain text, cut and cleaned, which each format escapes in its own way."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from layerlaws.report import text
from layerlaws.verdict import STATES, UNEXPECTED

NOT_RUN = "not run"

MEANINGS = {**STATES, NOT_RUN: "the run did not reach or did not select the law"}


@dataclass(frozen=True)
class Result:
    """A law and what came of it on one backend, ready to print. facts: examples and shares, in words."""

    backend: str
    law: str
    sentence: str
    state: str
    reason: str = ""
    diagnosis: str = ""
    link: str = ""
    facts: str = ""
    input_dtype: str = ""
    counterexample: tuple[tuple[str, str], ...] = ()
    sides: tuple[tuple[str, str], ...] = ()

    @property
    def unexpected(self) -> bool:
        return self.state in UNEXPECTED


@dataclass(frozen=True)
class Cell:
    """One note on one backend. anchor: name of its place in the page."""

    anchor: str
    backend: str
    results: tuple[Result, ...]

    @property
    def counts(self) -> list[tuple[str, int]]:
        """How many laws are in each state, states that none is in left out."""
        return counted(self.results)


@dataclass(frozen=True)
class Row:
    """One note on every backend."""

    name: str
    title: str
    errata: str
    cells: tuple[Cell, ...]

    @property
    def laws(self) -> int:
        return len(self.cells[0].results)


@dataclass(frozen=True)
class Proof:
    """A fault that laws of the catalogue must notice. operation: its name, or how many operations it is made for."""

    operation: str
    fault: str
    description: str
    breaks: tuple[str, ...]
    source: str


@dataclass(frozen=True)
class Report:
    """Everything a report shows, in the order it shows it.

    beyond: results for laws that are not in the catalogue (notes of other packages).
    """

    backends: tuple[str, ...]
    warnings: tuple[str, ...]
    provenance: tuple[tuple[str, ...], ...]
    rows: tuple[Row, ...]
    beyond: tuple[Result, ...]
    accuracy: tuple[tuple[str, ...], ...]
    proofs: tuple[Proof, ...]

    @property
    def laws(self) -> int:
        """How many laws the catalogue has."""
        return sum(row.laws for row in self.rows)

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
        return tuple(result for row in self.rows for cell in row.cells for result in cell.results) + self.beyond

    @property
    def unexpected(self) -> list[Result]:
        return [result for result in self.results if result.unexpected]

    @property
    def known(self) -> list[Result]:
        return [result for result in self.results if result.state == "known"]

    @property
    def totals(self) -> list[list[tuple[str, int]]]:
        """Of each backend, how many laws of the catalogue are in each state."""
        columns = zip(*(row.cells for row in self.rows), strict=True)
        return [counted(result for cell in column for result in cell.results) for column in columns]


def counted(results: Iterable[Result]) -> list[tuple[str, int]]:
    """How many results are in each state, in the order of the states."""
    counts = Counter(result.state for result in results)
    return [(state, counts[state]) for state in (*STATES, NOT_RUN) if counts[state]]
