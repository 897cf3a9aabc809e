"""The contents of a report as clean text of bounded length, which each output format escapes in its own way."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from layerlaws.checking.exactness import PROPERTIES, Exactness
from layerlaws.checking.verdict import STATES, UNEXPECTED
from layerlaws.report import text

NOT_RUN = "not run"

MEANINGS = {**STATES, NOT_RUN: "the run did not reach or did not select the law"}

FOLDED = ("missing", "not offered", "unavailable", NOT_RUN)
"""States of laws that a backend was not held to, or declined; they are folded away."""

SELF_EXPLANATORY = ("held", "missing", "unavailable", NOT_RUN)
"""The states that need no further explanation."""


@dataclass(frozen=True)
class Result:
    """The result of a law on one backend, ready to print.

    sentence: the law's. share: the worst share of the allowed error, "" for a law that did not hold. examples: how many
    are decisive, out of all. script: the path of the counterexample script, relative to the records. domain: how much
    of what was drawn the backend took, "" for all of it. kind: of the law. cause: of a
    failure that others share, "" for none.
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
    domain: str = ""
    kind: str = ""
    cause: str = ""

    @property
    def unexpected(self) -> bool:
        return self.state in UNEXPECTED

    @property
    def self_explanatory(self) -> bool:
        """Whether there is nothing to report but the state."""
        return self.state in SELF_EXPLANATORY


@dataclass(frozen=True)
class Law:
    """A law of the catalogue and its result on every backend.

    faults: the columns of its note's kill matrix whose faults break it. kind: what it is about.
    """

    id: str
    sentence: str
    results: tuple[Result, ...]
    faults: frozenset[str]
    kind: str

    @property
    def unasked(self) -> bool:
        """Whether no backend was held to it."""
        return all(result.state in FOLDED for result in self.results)

    @property
    def folded(self) -> list[tuple[str, list[str]]]:
        """The backends that were not held to it, by state."""
        found: dict[str, list[str]] = {}
        for result in self.results:
            if result.state in FOLDED:
                found.setdefault(result.state, []).append(result.backend)
        return list(found.items())


@dataclass(frozen=True)
class Fault:
    """A fault that laws have to detect.

    column: its label in the kill matrix. operation: its name, or the number of operations for a generic fault. source:
    where the fault was shipped, or "constructed". laws: ids of the laws that detect it; names for a generic fault.
    """

    column: str
    name: str
    operation: str
    description: str
    source: str
    laws: tuple[str, ...]


@dataclass(frozen=True)
class Erratum:
    """A mistake that a note corrects, and the ids of the laws that demonstrate it."""

    text: str
    laws: tuple[str, ...]


@dataclass(frozen=True)
class Used:
    """What a backend used of the allowed error of one operation in one dtype, as text; all "" where it says nothing.

    why: why there are no shares, "" if there are. worst, median: share of the allowed error. mean: of the signed shares
    of all elements, "" where the record lacks it; biased: whether that is far from 0. arithmetic: the tightest that all
    results fit, in half precision.
    """

    why: str
    worst: str = ""
    median: str = ""
    mean: str = ""
    arithmetic: str = ""
    biased: bool = False


@dataclass(frozen=True)
class Accuracy:
    """Shares of the allowed error of one operation in one dtype on each backend. of: "result" or "gradient"."""

    operation: str
    of: str
    dtype: str
    shares: tuple[Used, ...]


@dataclass(frozen=True)
class Summary:
    """What a record says of one backend, as text.

    right: "yes", "no", or why nothing can be said. kinds: of laws, with how many hold out of how many that the backend
    was held to. wrong, causes, design: how many laws do not hold, of how many causes, and how many by design. offers:
    operations offered, out of all. domain: how much of what was drawn was taken. bad_input: how many kinds are
    accepted; accepted: those that are not by design, by law. share: the largest share of the allowed error; where: by
    which operation and dtype. arithmetics: by dtype of half precision, the tightest that held, each with how many
    operations. bias: operations whose results lean to one side, "" where the record does not say. speed: against NumPy.
    exactness: what exact laws say of each property.
    """

    backend: str
    right: str
    kinds: tuple[tuple[str, int, int], ...]
    wrong: int
    causes: int
    design: int
    offers: str
    domain: str
    bad_input: str
    accepted: tuple[str, ...]
    share: str
    where: str
    arithmetics: tuple[tuple[str, tuple[tuple[str, int], ...]], ...]
    bias: str
    speed: str
    exactness: tuple[Exactness, ...] = ()

    @property
    def verdict(self) -> str:
        """Whether it is right, in words: "yes", "no: 3 laws, 1 cause", "yes, but for 5 by design"."""
        causes = f", {text.number(self.causes, 'cause')}" if self.wrong else ""
        wrong = f": {text.number(self.wrong, 'law')}{causes}" if self.wrong else ""
        design = f"{',' if self.wrong else ', but for'} {self.design:,} by design" if self.design else ""
        return f"{self.right}{wrong}{design}"

    @property
    def held(self) -> str:
        """How many laws of each kind hold: "values 40/41, gradients 12/12"."""
        return ", ".join(f"{kind} {held:,}/{of:,}" for kind, held, of in self.kinds)

    @property
    def tightest(self) -> tuple[str, ...]:
        """The tightest arithmetics that held, a line per dtype, each with how many operations fit it."""
        return tuple(
            f"{dtype}: {'; '.join(f'{words} ({number:,})' for words, number in found)}"
            for dtype, found in self.arithmetics
        )

    @property
    def leaning(self) -> str:
        """The operations whose results lean to one side, "" if there are none or nothing is known."""
        return "" if self.bias == "none" else self.bias

    @property
    def bits(self) -> str:
        """Whether it is batch-invariant and deterministic: "3% differ, yes"; "" where neither is known."""
        found = {each.name: each.brief for each in self.exactness}
        return ", ".join(found.get(name, "–") for name in PROPERTIES[:2]) if found else ""

    @property
    def brief(self) -> str:
        """What more there is to say of accuracy."""
        parts = ["half precision"] * bool(self.arithmetics) + ["leaning"] * bool(self.leaning)
        return " and ".join(parts)

    @property
    def facts(self) -> tuple[tuple[str, str], ...]:
        """Everything, with labels; "" where nothing is known."""
        return (
            ("right", f"{self.verdict} ({self.held})" if self.kinds else self.verdict),
            ("takes", f"{self.domain} of what was drawn, {self.offers}" if self.kinds else ""),
            ("accepts bad input", self.bad_input),
            ("largest share of the allowed error", f"{self.share} ({self.where})" if self.share else ""),
            ("tightest arithmetic that held", "; ".join(self.tightest)),
            ("leaning to one side", self.bias),
            ("bit for bit", ", ".join(each.words for each in self.exactness)),
            ("speed", self.speed),
        )


@dataclass(frozen=True)
class Partial:
    """An operation of which a backend offers a part: how much of what was drawn it took, and why it declined the rest.

    held: how many laws held on that part, out of those held or not.
    """

    backend: str
    operation: str
    domain: str
    held: str
    reasons: str


@dataclass(frozen=True)
class Row:
    """One note, with its results on every backend.

    worst: the worst share of the allowed error by backend, or "". domain: how much of what was drawn each backend took,
    or "" for all of it.
    """

    name: str
    title: str
    laws: tuple[Law, ...]
    faults: tuple[Fault, ...]
    errata: tuple[Erratum, ...]
    accuracy: tuple[Accuracy, ...]
    worst: tuple[str, ...]
    domain: tuple[str, ...]

    @cached_property
    def counts(self) -> list[list[tuple[str, int]]]:
        """For each backend, how many laws are in each state, without empty states.

        Exact laws, which inform, are left out where nothing went wrong.
        """
        columns = zip(*(law.results for law in self.laws), strict=True)
        return [counted(r for r in column if r.kind != "exact" or r.unexpected) for column in columns]

    @property
    def shipped(self) -> int:
        """How many of the faults were found in a public library or repository."""
        return sum(fault.source != "constructed" for fault in self.faults)

    @property
    def kills(self) -> int:
        """How many pairs of a law and a fault of the note there are in which the law detects the fault."""
        return sum(len(fault.laws) for fault in self.faults)


@dataclass(frozen=True)
class Report:
    """Everything that a report shows.

    provenance: one row per fact, its name first. generic: the faults of laws that come with every operation. beyond:
    results for laws that are not in the catalogue (those of notes in other packages). partial: operations that a
    backend offers in part. domain: how much of what was drawn each backend took, or "" for all of it. summaries:
    of each backend.
    """

    backends: tuple[str, ...]
    warnings: tuple[str, ...]
    provenance: tuple[tuple[str, ...], ...]
    rows: tuple[Row, ...]
    generic: tuple[Fault, ...]
    beyond: tuple[Result, ...]
    partial: tuple[Partial, ...]
    domain: tuple[str, ...]
    summaries: tuple[Summary, ...]

    @property
    def laws(self) -> int:
        """The number of laws in the catalogue."""
        return sum(len(row.laws) for row in self.rows)

    @property
    def summary(self) -> str:
        """The numbers of backends, laws and notes, of unexpected verdicts and of known deviations."""
        counts = ((len(self.backends), "backend"), (self.laws, "law"), (len(self.rows), "note"))
        backends, laws, notes = (text.number(n, what) for n, what in counts)
        unexpected = (
            text.number(len(self.unexpected), "unexpected verdict") if self.unexpected else "no unexpected verdict"
        )
        if len(self.causes) < len(self.unexpected):
            unexpected += f" of {text.number(len(self.causes), 'cause')}"
        return f"{backends} and {laws} of {notes}: {unexpected}, {text.number(len(self.known), 'known deviation')}."

    @cached_property
    def results(self) -> tuple[Result, ...]:
        return tuple(result for row in self.rows for law in row.laws for result in law.results) + self.beyond

    @cached_property
    def unexpected(self) -> list[Result]:
        return [result for result in self.results if result.unexpected]

    @cached_property
    def causes(self) -> list[list[Result]]:
        """The unexpected results, those of one backend and cause together, with one first that says most."""
        groups: dict[tuple[str, str, str], list[Result]] = {}
        for result in self.unexpected:
            key = (result.backend, result.cause, "" if result.cause else result.law)
            groups.setdefault(key, []).append(result)
        return [sorted(group, key=lambda result: result.state == "not judged") for group in groups.values()]

    @property
    def causes_by_backend(self) -> list[tuple[str, list[list[Result]]]]:
        """The causes of each backend that has any."""
        found: dict[str, list[list[Result]]] = {}
        for group in self.causes:
            found.setdefault(group[0].backend, []).append(group)
        return list(found.items())

    @property
    def shared(self) -> list[tuple[str, str]]:
        """The facts of provenance that are the same for all records."""
        return [(name, facts[0]) for name, *facts in self.provenance if len(set(facts)) == 1]

    @property
    def own(self) -> list[tuple[str, list[tuple[str, str]]]]:
        """The other facts, by backend."""
        rows = [row for row in self.provenance if len(set(row[1:])) > 1]
        facts = ([(row[0], row[i]) for row in rows if row[i]] for i in range(1, len(self.backends) + 1))
        return [(name, of) for name, of in zip(self.backends, facts, strict=True) if of]

    @property
    def known(self) -> list[Result]:
        return [result for result in self.results if result.state == "known"]

    @property
    def known_by_backend(self) -> list[tuple[str, list[Result]]]:
        """The known deviations of each backend that has any."""
        found: dict[str, list[Result]] = {}
        for result in self.known:
            found.setdefault(result.backend, []).append(result)
        return list(found.items())

    @cached_property
    def totals(self) -> list[list[tuple[str, int]]]:
        """For each backend, how many laws of the catalogue are in each state."""
        laws = [law for row in self.rows for law in row.laws]
        return [counted(law.results[i] for law in laws) for i in range(len(self.backends))]


def counted(results: Iterable[Result]) -> list[tuple[str, int]]:
    """How many results are in each state, in the order of the states."""
    counts = Counter(result.state for result in results)
    return [(state, counts[state]) for state in (*STATES, NOT_RUN) if counts[state]]
