"""Holds one backend to one case on examples: shared ones first, then those Hypothesis draws to find a failing one."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import hypothesis
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st

from layerlaws.checking.calls import Call
from layerlaws.checking.examples import examples
from layerlaws.checking.verdict import Verdict, without_numbers
from layerlaws.language.backend import Backend
from layerlaws.language.claims import Moments, Settlement, settle
from layerlaws.language.implementation import Declined, Example, Implementation, Raised, cast_to
from layerlaws.language.note import Case
from layerlaws.numerics.arithmetic import computing_in, tighter
from layerlaws.numerics.formats import Format
from layerlaws.numerics.rounding import quietly
from layerlaws.support.errors import Broken, Undecidable
from layerlaws.support.storage import nothing_kept

PROFILES = {"quick": 20, "standard": 100, "thorough": 1000}
"""Most examples per law. A law that states a single fact may need fewer (`Law.examples`)."""


MOST_LAPS = 5
"""Where a backend declines examples, up to this many times as many are drawn, until enough were offered."""

MOST_REASONS = 8
"""Different reasons for declining that are kept; the rest are counted as `OTHER_REASONS`."""

OTHER_REASONS = "other reasons"

NAMES_ARITHMETIC = ("agrees_with_definition", "gradient_agrees_with_definition")
"""Laws whose verdict names the tightest arithmetic that all results fit."""


@dataclass
class Statistics:
    """What the examples of one law have shown so far.

    executed, undecidable, declined, decisive: numbers of examples, as in `Verdict`; decisive ones have also asked the
    backend something. asked: whether any did. declines: how often each reason was given for declining; reasons that
    differ in numbers only are one, and the first is kept. used: by dtype, the share of the allowed error that each
    decided example used. moments: by dtype, of the signed shares of all elements. arithmetics: by dtype, those that all
    results fit, the tightest first. refusals: the argument at fault and what was raised, for each call that had to be
    refused and was. layouts: by name, why arrays in a layout of memory did not reach the backend; "" where they did.
    drawn: the example executed last, by argument, and the name of its format as `format`. sizes: at which sizes the law
    holds and at which it breaks, in words. rows, inexact: as in `Verdict`. differing: how many examples had rows that
    differ; first: the message and the example of the first. announce: called with each example before it is executed,
    for those who outlive this process.
    """

    executed: int = 0
    undecidable: int = 0
    declined: int = 0
    decisive: int = 0
    declines: dict[str, int] = field(default_factory=dict)
    asked: bool = False
    used: dict[str, list[float]] = field(default_factory=dict)
    moments: dict[str, Moments] = field(default_factory=dict)
    arithmetics: dict[str, list[Format]] = field(default_factory=dict)
    refusals: list[tuple[str, BaseException]] = field(default_factory=list)
    layouts: dict[str, str] = field(default_factory=dict)
    drawn: dict[str, Any] = field(default_factory=dict)
    sizes: str = ""
    rows: int = 0
    inexact: int = 0
    differing: int = 0
    first: tuple[str, dict[str, Any]] | None = None
    announce: Callable[[dict[str, Any]], None] | None = None

    @property
    def offered(self) -> int:
        """How many examples were executed that the backend did not decline."""
        return self.executed - self.declined

    def compare(self, settlement: Settlement) -> None:
        """Count the rows that were compared bit for bit on the example executed last."""
        self.rows += settlement.rows
        self.inexact += settlement.inexact
        if settlement.inexact:
            self.differing += 1
            self.first = self.first or (settlement.seen, self.drawn)

    def decline(self, reason: str) -> None:
        """Count an example that the backend declined."""
        self.declined += 1
        alike = (known for known in self.declines if without_numbers(known) == without_numbers(reason))
        known = next(alike, reason if len(self.declines) < MOST_REASONS else OTHER_REASONS)
        self.declines[known] = self.declines.get(known, 0) + 1


@dataclass(frozen=True)
class Trial:
    """One backend held to one case.

    profile: how many examples (`PROFILES`). seed: None for the same examples in every run. shrink: whether to search
    for the smallest failing example. statistics: updated by every example; copies by `replace` share it. calls: where
    the backend records its calls of one example, or None.
    """

    backend: Backend
    case: Case
    profile: str = "standard"
    seed: int | None = None
    shrink: bool = True
    statistics: Statistics = field(default_factory=Statistics)
    calls: list[Call] | None = None

    @property
    def blank(self) -> Verdict:
        """The verdict "held", which says nothing of examples yet."""
        case, law = self.case, self.case.law
        return Verdict(self.backend.name, case.note.name, case.operation.name, law.name, "held", kind=law.kind)

    @property
    def count(self) -> int:
        """How many examples the law gets."""
        return min(PROFILES[self.profile], self.case.law.examples or PROFILES[self.profile])

    def arithmetic(self, format: Format) -> Format:
        """What the law's operations are computed in, and their gradients where it needs these."""
        names = [operation.name for operation in self.case.operations]
        return self.backend.arithmetic(format, names, "gradient" in self.case.law.needs)

    def sweep(self, count: int) -> None:
        """Hold the law on `count` examples shared with other laws, which saves most of the drawing.

        Where the backend declines some, further ones are drawn, up to `MOST_LAPS` times as many in all, until it was
        held to `count`. Raises Broken or Raised at the first failing example, after a search for a small one if the
        trial shrinks.
        """
        before, declined = self.statistics.offered, self.statistics.declined
        for lap in range(MOST_LAPS):
            for format, example, further in self._lap(count, lap):
                if lap and self.statistics.offered - before >= count:
                    return
                self._hold(count, format, example, further)
            if self.statistics.declined == declined:
                return

    def _lap(self, count: int, lap: int) -> Iterator[tuple[Format, Example, dict[str, Any]]]:
        """`count` examples shared with other laws, each in a format; fewer if there are no more."""
        law, strategy = self.case.law, inputs_of(self.case)
        size = PROFILES[self.profile] if law.inputs is None else count  # all laws on the same inputs share one list
        inputs = examples(strategy, size, self.seed, lap)
        extra = {name: examples(draws, count, self.seed, lap) for name, draws in law.extra.items()}
        if not inputs or not all(extra.values()):
            return
        for i in range(min(count, max([len(inputs), *map(len, extra.values())]))):
            format = self.backend.formats[i % len(self.backend.formats)]
            further = {name: drawn[i % len(drawn)] for name, drawn in extra.items()}
            yield format, _shared_example(strategy, size, self.seed, lap, i % len(inputs), format), further

    def _hold(self, count: int, format: Format, example: Example, further: Mapping[str, Any]) -> None:
        """`run_example`; if it fails, after a search for a smaller example that does, if the trial shrinks."""
        try:
            self.run_example(format, example, further)
        except (Broken, Raised):
            if self.shrink:
                failing = self.statistics.drawn
                self.search(2 * count)
                self.statistics.drawn = failing  # the search found no failing example: report this one
            raise

    def search(self, count: int, target: bool = False) -> None:
        """Hold the law on `count` examples drawn by Hypothesis, which shrinks a failing one if the trial shrinks.

        target: steer towards large shares of the allowed error. Raises Broken or Raised at a failing example.
        """
        drawn = st.fixed_dictionaries(
            {
                "format": st.sampled_from(self.backend.formats),
                "inputs": inputs_of(self.case),
                "extra": st.fixed_dictionaries(self.case.law.extra),
            }
        )

        @settings(
            max_examples=count,
            deadline=None,
            database=None,
            derandomize=self.seed is None,
            print_blob=False,
            report_multiple_bugs=False,
            suppress_health_check=list(HealthCheck),
            phases=[Phase.generate, *([Phase.target] if target else []), *([Phase.shrink] if self.shrink else [])],
        )
        @hypothesis.given(drawn)
        def holds(drawn: dict[str, Any]) -> None:
            example = Example(cast_to(drawn["inputs"], drawn["format"]))
            declined = self.statistics.declined
            used = self.run_example(drawn["format"], example, drawn["extra"])
            if self.statistics.declined > declined:
                hypothesis.reject()  # so that another is drawn in its place, as many times as Hypothesis would
            if target and used is not None:
                hypothesis.target(used)

        with nothing_kept(), warnings.catch_warnings():
            # Hypothesis warns of examples that are long to print; `literal` prints them.
            warnings.simplefilter("ignore", hypothesis.errors.HypothesisWarning)
            with contextlib.suppress(hypothesis.errors.Unsatisfiable):  # all were declined
                (holds if self.seed is None else hypothesis.seed(self.seed)(holds))()

    def run_example(self, format: Format, example: Example, extra: Mapping[str, Any]) -> float | None:
        """Hold the law on one example and count it; extra: its values of the law's extra strategies.

        Returns the share of the allowed error used, None if the example is undecidable or declined. Raises Broken or
        Raised if the law does not hold.
        """
        statistics = self.statistics
        format = self.arithmetic(format)
        statistics.drawn = {"format": format.name, **example.inputs, **extra}
        if statistics.announce is not None:
            statistics.announce(statistics.drawn)
        statistics.executed += 1
        try:
            settlement, asked = self._settle(format, example, extra)
        except (Undecidable, hypothesis.errors.UnsatisfiedAssumption):
            statistics.undecidable += 1
            return None
        except Declined as declined:
            statistics.decline(declined.reason)
            return None
        statistics.asked |= asked
        statistics.compare(settlement)
        statistics.decisive += settlement.decisive and asked
        statistics.used.setdefault(format.name, []).append(settlement.used)
        statistics.moments[format.name] = statistics.moments.get(format.name, Moments()) + settlement.moments
        if self.case.law.name in NAMES_ARITHMETIC:
            self._narrow_down(format, example, extra)
        return settlement.used

    def _settle(self, format: Format, example: Example, extra: Mapping[str, Any]) -> tuple[Settlement, bool]:
        """What the law's claim shows on one example in one arithmetic, and whether it asked the backend anything.

        Raises Broken, Raised, Undecidable or, if the backend does not offer the example, Declined.
        """
        case, inputs = self.case, example.inputs
        operations = {o.name: Implementation(o, self.backend, format, example) for o in case.operations}
        values = {**inputs, **extra, **operations, "operation": operations[case.operation.name], "inputs": inputs}
        values["format"] = format
        try:
            with quietly(), computing_in(format):
                settlement = settle(case.law.state(**{name: values[name] for name in case.law.parameters}))
            for implementation in operations.values():
                if any(isinstance(error, NotImplementedError) for _, error in implementation.refusals):
                    _require_offered(implementation, inputs)
            return settlement, any(implementation.asked for implementation in operations.values())
        finally:
            for implementation in operations.values():
                self.statistics.refusals += implementation.refusals
                for layout, obstacle in implementation.layouts.items():
                    if self.statistics.layouts.get(layout, obstacle) or not obstacle:
                        self.statistics.layouts[layout] = obstacle

    def _narrow_down(self, format: Format, example: Example, extra: Mapping[str, Any]) -> None:
        """Drop the arithmetics, tighter than the declared one, that the results of this example do not fit."""
        fitting = self.statistics.arithmetics.setdefault(format.name, [*tighter(format), format])
        for candidate in fitting[:-1]:
            try:
                self._settle(candidate, example, extra)
            except Broken:
                fitting.remove(candidate)
            except (Raised, Declined, Undecidable, hypothesis.errors.UnsatisfiedAssumption):
                continue


def _require_offered(implementation: Implementation, inputs: Mapping[str, Any]) -> None:
    """Raise Declined if a backend that declined bad input declines the good one it was made from, too.

    It may then have declined it for another reason, so that nothing is seen of how it treats bad input.
    """
    good = {name: inputs[name] for name in implementation.operation.parameters if name in inputs}
    with contextlib.suppress(Raised):
        implementation.raw(implementation.native(good))


def inputs_of(case: Case) -> st.SearchStrategy[dict[str, Any]]:
    """The strategy of a case's inputs: the law's own or, by default, the operation's."""
    return case.operation.inputs if case.law.inputs is None else case.law.inputs


@cache
def _shared_example(
    strategy: st.SearchStrategy[Any], count: int, seed: int | None, lap: int, number: int, format: Format
) -> Example:
    """One of `examples` in a format; laws that share it also share what the definitions say on it."""
    return Example(cast_to(examples(strategy, count, seed, lap)[number], format))
