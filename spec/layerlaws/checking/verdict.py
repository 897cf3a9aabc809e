"""Verdicts: the result of holding one backend to one law."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import Any

from layerlaws.support.fields import check_types

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
"""The states of a verdict, and what each means. Their order is that of tables."""

JSON_NAMES = {"decisive": "telling"}
"""Keys of a verdict's fields in records, where they are not the names of the fields."""

UNEXPECTED = ("broken", "error", "crashed", "timed out", "stale")
"""The states that make a run fail."""


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

    reason: why the state is what it is. link: where a known deviation is documented. examples: how many were
    executed. undecidable: how many of them were set aside because rounding could change a decision. decisive: in how
    many the allowed error was smaller than the values compared; records call it "telling". seconds: wall time, of which
    `spent` on each part of `layerlaws.support.stopwatch`. dtype: the format of the example that broke the law.
    diagnosis: the known faults that the implementation behaves like, and how to repair them. accuracy: by dtype.
    arithmetic: by dtype of half precision, the tightest that all results fit, in words.
    counterexample: the smallest arguments found that break the law, as Python literals; long ones are cut. packed:
    those that are cut, in full, packed by `layerlaws.checking.literals.whole`. sides: both sides of the broken claim.
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

    @property
    def id(self) -> str:
        """operation.law, as in the catalogue."""
        return f"{self.operation}.{self.law}"

    @property
    def unexpected(self) -> bool:
        return self.state in UNEXPECTED

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
