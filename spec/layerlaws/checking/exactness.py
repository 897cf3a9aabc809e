"""Of which operations the results have the same bits: alone or in a batch, from run to run, in chunks or at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from layerlaws.checking.verdict import Verdict, percentage
from layerlaws.language.exact_laws import BATCH_INVARIANT, DETERMINISTIC

PROPERTIES = ("batch-invariant", "deterministic", "the same in chunks")
"""What exact laws say of an operation. Chunks are those that a cache or a carried state allows."""


@dataclass(frozen=True)
class Exactness:
    """What exact laws of one property showed.

    operations: those that laws were held to. inexact: those of which some rows differ. rows: how many were compared;
    differing: how many of them differ.
    """

    name: str
    operations: tuple[str, ...]
    inexact: tuple[str, ...]
    rows: int
    differing: int

    @property
    def brief(self) -> str:
        """The share of rows that differ, or "yes" where none does."""
        return f"{percentage(self.differing / self.rows)} differ" if self.inexact else "yes"

    @property
    def words(self) -> str:
        """For example "batch-invariant in 3 of 5 operations (2% of rows differ)"."""
        count = len(self.operations)
        differ = f" ({percentage(self.differing / self.rows)} of rows differ)" if self.inexact else ""
        return f"{self.name} in {count - len(self.inexact):,} of {count:,} operation{'s' * (count != 1)}{differ}"


def exactness_of(verdicts: Iterable[Verdict]) -> Iterator[Exactness]:
    """What is known of each of the `PROPERTIES`; those of which no law was held to an end are left out."""
    by_name: dict[str, list[Verdict]] = {}
    for verdict in verdicts:
        if verdict.kind == "exact" and verdict.rows:
            by_name.setdefault(_property(verdict.law), []).append(verdict)
    for name in PROPERTIES:
        if name in by_name:
            own = by_name[name]
            yield Exactness(
                name,
                tuple(dict.fromkeys(verdict.operation for verdict in own)),
                tuple(dict.fromkeys(verdict.operation for verdict in own if verdict.inexact)),
                sum(verdict.rows for verdict in own),
                sum(verdict.inexact for verdict in own),
            )


def _property(law: str) -> str:
    return PROPERTIES[0] if law in BATCH_INVARIANT else PROPERTIES[1] if law in DETERMINISTIC else PROPERTIES[2]
