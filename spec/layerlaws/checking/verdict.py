"""Verdicts: the result of holding one backend to one law."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

from layerlaws.support.fields import check_types

STATES = {
    "held": "the law holds",
    "broken": "the law does not hold",
    "error": "the function raised, or the law said nothing",
    "crashed": "the process died",
    "timed out": "no answer in time",
    "not judged": "results differ from their definition, so nothing can be said of how they relate to each other",
    "accepted": "bad input was accepted, which has to be refused",
    "inexact": "results that should be the same differ in their bits, as far as other laws allow",
    "missing": "the backend has no such function",
    "not offered": "the backend declined every example",
    "unavailable": "the backend cannot run on that machine",
    "known": "the law does not hold, by design of the library",
    "stale": "declared as known, but the law holds",
}
"""The states of a verdict, and what each means. Their order is that of tables."""

REACHED = "reached it"
"""What is said of a layout of memory in which arrays reached the backend."""

JSON_NAMES = {"decisive": "telling", "kind": "law_kind"}
"""Keys of a verdict's fields in records, where they are not the names of the fields: `kind` says what a line is."""

UNEXPECTED = ("broken", "error", "crashed", "timed out", "not judged", "stale")
"""The states that make a run fail."""

ACCEPTED = "accepted"
"""The state of a law of kind "refusals" that does not hold: it makes a run fail only where that is asked for."""

INEXACT = "inexact"
"""The state of a law of kind "exact" that does not hold: it makes a run fail only where that is asked for."""

NOTICED = ("broken", "not judged", ACCEPTED, INEXACT)
"""The states of a law that notices, on an example, that something is wrong."""


@dataclass(frozen=True)
class Accuracy:
    """The shares of the allowed error that examples of one dtype used.

    worst, median: of the largest share in each example. mean, rms: mean and root mean square of the shares of all
    elements, positive where the computed number is farther from 0 than the exact one; elements: how many there were.
    Records of 0.1.0 lack the last three.
    """

    worst: float
    median: float
    examples: int
    mean: float = 0.0
    rms: float = 0.0
    elements: int = 0

    @property
    def bias(self) -> float:
        """The mean in units of its standard error, were all elements independent; 0 where there is no spread."""
        return self.mean / self.rms * math.sqrt(self.elements) if self.rms and self.elements else 0.0


@dataclass(frozen=True)
class Verdict:
    """The result of holding one backend to one law.

    kind: of the law, as in `Law`; "" in older records. reason: why the state is what it is. cause: what is wrong with
    single results or calls, in words that all laws that meet it share; "" for none. link: where a known deviation is
    documented. examples: how many were executed. undecidable: how many of them were set aside because rounding could
    change a decision. declined: how many because the backend does not offer them; declines: how often each reason was
    given. decisive: in how many the allowed error was smaller than the values compared; records call it "telling".
    seconds: wall time, of which `spent` on each part of `layerlaws.support.stopwatch`. dtype: the format of the example
    that broke the law. diagnosis: the known faults that the implementation behaves like, and how to repair them.
    accuracy: by dtype. arithmetic: by dtype of half precision, the tightest that all results fit, in words.
    counterexample: the smallest arguments found that break the law, as Python literals; long ones are cut. packed:
    those that are cut, in full, packed by `layerlaws.checking.literals.whole`. sides: both sides of the broken claim,
    what was accepted though it should have been refused, or where the function raised. sizes: at which sizes the law
    holds and at which it breaks, where that was found. layouts: in which layouts of memory arrays were offered to the
    backend, each `REACHED` or why they did not reach it. rows: how many were compared bit for bit, over all examples;
    inexact: how many of them differ.
    """

    backend: str
    note: str
    operation: str
    law: str
    state: str
    reason: str = ""
    link: str = ""
    examples: int = 0
    undecidable: int = 0
    declined: int = 0
    decisive: int = 0
    seconds: float = 0.0
    dtype: str = ""
    diagnosis: str = ""
    accuracy: dict[str, Accuracy] = field(default_factory=dict)
    arithmetic: dict[str, str] = field(default_factory=dict)
    counterexample: dict[str, str] = field(default_factory=dict)
    sides: dict[str, str] = field(default_factory=dict)
    spent: dict[str, float] = field(default_factory=dict)
    packed: dict[str, str] = field(default_factory=dict)
    declines: dict[str, int] = field(default_factory=dict)
    kind: str = ""
    cause: str = ""
    sizes: str = ""
    layouts: dict[str, str] = field(default_factory=dict)
    rows: int = 0
    inexact: int = 0

    @property
    def id(self) -> str:
        """operation.law, as in the catalogue."""
        return f"{self.operation}.{self.law}"

    @property
    def share(self) -> float:
        """The share of what was drawn, without what is undecidable, that the backend did not decline."""
        return share_of_domain([self])

    @property
    def unexpected(self) -> bool:
        return self.state in UNEXPECTED

    def counts(self, strict: bool, exact: bool = False) -> bool:
        """Whether the verdict makes a run fail. strict: whether accepted bad input does; exact: bits that differ."""
        return self.unexpected or (strict and self.state == ACCEPTED) or (exact and self.state == INEXACT)

    def to_json(self) -> dict[str, Any]:
        """The fields that identify the verdict, and all others that are not empty, ready for json.dumps."""
        always = ("backend", "note", "operation", "law", "state")
        return {
            JSON_NAMES.get(name, name): value
            for name, value in asdict(self).items()
            if name in always or value not in ("", {}, 0, 0.0)
        }

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> Verdict:
        """The inverse of `to_json`. Raises TypeError or ValueError for what is not a verdict."""
        accuracy = {dtype: Accuracy(**shares) for dtype, shares in fields.get("accuracy", {}).items()}
        names = {key: name for name, key in JSON_NAMES.items()}
        verdict = cls(**{names.get(key, key): value for key, value in fields.items()} | {"accuracy": accuracy})
        if verdict.state not in STATES:
            raise ValueError(f"{verdict.state!r} is no state of a verdict; there are {', '.join(STATES)}")
        check_types(verdict, *verdict.accuracy.values())
        return verdict


def by_cause(verdicts: Iterable[Verdict]) -> list[list[Verdict]]:
    """Verdicts that share backend and cause, each group with one first that says most.

    Verdicts without a cause are groups of their own.
    """
    groups: dict[tuple[str, str, str], list[Verdict]] = {}
    for verdict in verdicts:
        groups.setdefault((verdict.backend, verdict.cause, "" if verdict.cause else verdict.id), []).append(verdict)
    return [sorted(group, key=lambda verdict: verdict.state == "not judged") for group in groups.values()]


def bad_input(verdicts: Iterable[Verdict]) -> tuple[list[Verdict], list[Verdict]]:
    """The kinds of bad input that a backend accepts, and all that it was tried with.

    A kind of bad input is a law that claims a refusal. Known deviations count as accepted; laws that were not held to
    an end (missing, not offered, error, ...) as not tried.
    """
    accepted = (ACCEPTED, "known")
    tried = [v for v in verdicts if v.kind == "refusals" and v.state in ("held", "stale", *accepted)]
    return [verdict for verdict in tried if verdict.state in accepted], tried


def bad_input_in_words(verdicts: Iterable[Verdict]) -> str:
    """For example "4 of 12 kinds, 1 of them by design"; "" where no kind was tried."""
    accepted, tried = bad_input(verdicts)
    known = sum(verdict.state == "known" for verdict in accepted)
    by_design = "" if not known else ", by design" if known == len(accepted) else f", {known} of them by design"
    return f"{len(accepted)} of {len(tried)} kind{'s' * (len(tried) != 1)}{by_design}" if tried else ""


def share_of_domain(verdicts: Iterable[Verdict]) -> float:
    """The share of all examples drawn, without those undecidable, that were not declined; 1 if there were none."""
    drawn = declined = 0
    for verdict in verdicts:
        drawn += verdict.examples - verdict.undecidable
        declined += verdict.declined
    return 1 - declined / drawn if drawn else 1.0


def percentage(share: float) -> str:
    """A share in percent; what is not all is never shown as all, nor what is not none as none."""
    return f"{share:.0%}" if share in (0, 1) or 0.005 <= share < 0.995 else "<1%" if share < 0.5 else ">99%"


def without_numbers(reason: str) -> str:
    """A reason without its numbers: reasons that differ in nothing else are one."""
    return re.sub(r"\d+", "", reason)


def declines_of(verdicts: Iterable[Verdict]) -> list[tuple[str, float]]:
    """The reasons for declining, each with its share of what was drawn, the most frequent first."""
    verdicts = list(verdicts)
    drawn = sum(verdict.examples - verdict.undecidable for verdict in verdicts)
    counts: Counter[str] = Counter()
    alike: dict[str, str] = {}
    for reason, count in ((reason, count) for verdict in verdicts for reason, count in verdict.declines.items()):
        counts[alike.setdefault(without_numbers(reason), reason)] += count
    return [(reason, count / drawn) for reason, count in counts.most_common()]


def declines_in_words(verdicts: Iterable[Verdict], longest: int = 3) -> str:
    """The most frequent reasons for declining, for example "T is not S (31%), heads (5%)"; "" if there are none."""
    found = declines_of(verdicts)
    words = [f"{reason} ({percentage(share)})" for reason, share in found[:longest]]
    return ", ".join([*words, "..."] if len(found) > longest else words)
