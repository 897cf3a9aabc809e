"""What holding one backend to one law came to."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from layerlaws.support.jsonlines import check_types

STATES = {
    "held": "the law holds",
    "broken": "the law does not hold",
    "error": "the function raised, or the law said nothing",
    "crashed": "the process died",
    "timed out": "no answer in time",
    "missing": "the backend has no such function",
    "unavailable": "the backend cannot run on that machine",
    "known": "the law does not hold, by design of the library",
    "stale": "declared as known, but the law holds",
}
"""What may have come of a law, and what it means."""

UNEXPECTED = ("broken", "error", "crashed", "timed out", "stale")
"""States that make a run fail."""


@dataclass(frozen=True)
class Accuracy:
    """Shares of the allowed error that the examples of one dtype used."""

    worst: float
    median: float
    examples: int


@dataclass(frozen=True)
class Verdict:
    """One backend held to one law.

    examples: executed. undecidable: of those, set aside because rounding could turn a decision. telling: of
    those, with an allowed error smaller than the values compared. sides: both sides of a broken claim, printed.
    diagnosis: the known fault, or faults, that a broken implementation behaves like, with how to repair it.
    counterexample: the smallest arguments found that break the law, as Python literals; long ones are cut.
    packed: those that are cut, whole, as `layerlaws.checking.literals` packs them. seconds: wall time,
    and what of it was `spent` on each part of `layerlaws.support.stopwatch`.
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
    telling: int = 0
    seconds: float = 0.0
    dtype: str = ""
    diagnosis: str = ""
    accuracy: dict[str, Accuracy] = field(default_factory=dict)
    counterexample: dict[str, str] = field(default_factory=dict)
    sides: dict[str, str] = field(default_factory=dict)
    spent: dict[str, float] = field(default_factory=dict)
    packed: dict[str, str] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """operation.law, as in the catalogue."""
        return f"{self.operation}.{self.law}"

    @property
    def unexpected(self) -> bool:
        return self.state in UNEXPECTED

    def to_json(self) -> dict[str, Any]:
        """The fields that say something, and those every verdict has, ready for json.dumps."""
        always = ("backend", "note", "operation", "law", "state")
        return {key: value for key, value in asdict(self).items() if key in always or value not in ("", {}, 0, 0.0)}

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> Verdict:
        """The inverse of `to_json`. Raises TypeError or ValueError for fields that are no verdict's."""
        accuracy = {dtype: Accuracy(**shares) for dtype, shares in fields.get("accuracy", {}).items()}
        verdict = cls(**{**fields, "accuracy": accuracy})
        if verdict.state not in STATES:
            raise ValueError(f"{verdict.state!r} is no state of a verdict; there are {', '.join(STATES)}")
        check_types(verdict, *verdict.accuracy.values())
        return verdict
