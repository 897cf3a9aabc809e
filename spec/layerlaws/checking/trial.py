"""Holds one backend to one case on examples: shared ones first, then those Hypothesis draws to find a failing one."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import hypothesis
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st

from layerlaws.checking.examples import examples
from layerlaws.checking.verdict import Verdict
from layerlaws.language.backend import Backend
from layerlaws.language.claims import Moments, Settlement, settle
from layerlaws.language.implementation import Example, Implementation, Raised, cast_to
from layerlaws.language.note import Case
from layerlaws.numerics.arithmetic import computing_in, tighter
from layerlaws.numerics.formats import Format
from layerlaws.numerics.rounding import quietly
from layerlaws.support.errors import Broken, Undecidable
from layerlaws.support.storage import nothing_kept

PROFILES = {"quick": 20, "standard": 100, "thorough": 1000}
"""Most examples per law. A law that states a single fact may need fewer (`Law.examples`)."""


NAMES_ARITHMETIC = ("agrees_with_definition", "gradient_agrees_with_definition")
"""Laws whose verdict names the tightest arithmetic that all results fit."""


@dataclass
class Statistics:
    """What the examples of one law have shown so far.

    executed, undecidable, decisive: numbers of examples, as in `Verdict`; decisive ones also asked the backend
    something. asked: whether any did. used: by dtype, the share of the allowed
    error that each decided example used. moments: by dtype, of the signed shares of all elements. arithmetics: by
    dtype, those that all results fit, the tightest first. refusals: the argument at fault and what was raised, for each
    call that had to be refused and was. drawn: the example executed last, by argument, and the name of its format as
    `format`.
    """

    executed: int = 0
    undecidable: int = 0
    decisive: int = 0
    asked: bool = False
    used: dict[str, list[float]] = field(default_factory=dict)
    moments: dict[str, Moments] = field(default_factory=dict)
    arithmetics: dict[str, list[Format]] = field(default_factory=dict)
    refusals: list[tuple[str, BaseException]] = field(default_factory=list)
    drawn: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Trial:
    """One backend held to one case.

    profile: how many examples (`PROFILES`). seed: None for the same examples in every run. shrink: whether to search
    for the smallest failing example. statistics: updated by every example; copies by `replace` share it.
    """

    backend: Backend
    case: Case
    profile: str = "standard"
    seed: int | None = None
    shrink: bool = True
    statistics: Statistics = field(default_factory=Statistics)

    @property
    def blank(self) -> Verdict:
        """The verdict "held", which says nothing of examples yet."""
        case = self.case
        return Verdict(self.backend.name, case.note.name, case.operation.name, case.law.name, "held")

    @property
    def count(self) -> int:
        """How many examples the law gets."""
        return min(PROFILES[self.profile], self.case.law.examples or PROFILES[self.profile])

    def sweep(self, count: int) -> None:
        """Hold the law on `count` examples shared with other laws, which saves most of the drawing.

        Raises Broken or Raised at the first failing example, after a search for a small one if the trial shrinks.
        """
        law, strategy = self.case.law, inputs_of(self.case)
        size = PROFILES[self.profile] if law.inputs is None else count  # all laws on the same inputs share one list
        inputs = examples(strategy, size, self.seed)
        extra = {name: examples(draws, count, self.seed) for name, draws in law.extra.items()}
        for i in range(min(count, max([len(inputs), *map(len, extra.values())]))):
            format = self.backend.formats[i % len(self.backend.formats)]
            further = {name: drawn[i % len(drawn)] for name, drawn in extra.items()}
            example = _shared_example(strategy, size, self.seed, i % len(inputs), format)
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
            used = self.run_example(drawn["format"], example, drawn["extra"])
            if target and used is not None:
                hypothesis.target(used)

        with nothing_kept(), warnings.catch_warnings():
            # Hypothesis warns of examples that are long to print; `literal` prints them.
            warnings.simplefilter("ignore", hypothesis.errors.HypothesisWarning)
            (holds if self.seed is None else hypothesis.seed(self.seed)(holds))()

    def run_example(self, format: Format, example: Example, extra: Mapping[str, Any]) -> float | None:
        """Hold the law on one example and count it; extra: its values of the law's extra strategies.

        Returns the share of the allowed error used, None if the example is undecidable. Raises Broken or Raised if the
        law does not hold.
        """
        statistics = self.statistics
        format = self.backend.arithmetic(format, [operation.name for operation in self.case.operations])
        statistics.drawn = {"format": format.name, **example.inputs, **extra}
        statistics.executed += 1
        try:
            settlement, asked = self._settle(format, example, extra)
        except (Undecidable, hypothesis.errors.UnsatisfiedAssumption):
            statistics.undecidable += 1
            return None
        statistics.asked |= asked
        statistics.decisive += settlement.decisive and asked
        statistics.used.setdefault(format.name, []).append(settlement.used)
        statistics.moments[format.name] = statistics.moments.get(format.name, Moments()) + settlement.moments
        if self.case.law.name in NAMES_ARITHMETIC:
            self._narrow_down(format, example, extra)
        return settlement.used

    def _settle(self, format: Format, example: Example, extra: Mapping[str, Any]) -> tuple[Settlement, bool]:
        """What the law's claim shows on one example in one arithmetic, and whether it asked the backend anything.

        Raises Broken, Raised or Undecidable.
        """
        case, inputs = self.case, example.inputs
        operations = {o.name: Implementation(o, self.backend, format, example) for o in case.operations}
        values = {**inputs, **extra, **operations, "operation": operations[case.operation.name], "inputs": inputs}
        values["format"] = format
        try:
            with quietly(), computing_in(format):
                settlement = settle(case.law.state(**{name: values[name] for name in case.law.parameters}))
                return settlement, any(implementation.asked for implementation in operations.values())
        finally:
            for implementation in operations.values():
                self.statistics.refusals += implementation.refusals

    def _narrow_down(self, format: Format, example: Example, extra: Mapping[str, Any]) -> None:
        """Drop the arithmetics, tighter than the declared one, that the results of this example do not fit."""
        fitting = self.statistics.arithmetics.setdefault(format.name, [*tighter(format), format])
        for candidate in fitting[:-1]:
            try:
                self._settle(candidate, example, extra)
            except Broken:
                fitting.remove(candidate)
            except (Raised, Undecidable, hypothesis.errors.UnsatisfiedAssumption):
                continue


def inputs_of(case: Case) -> st.SearchStrategy[dict[str, Any]]:
    """The strategy of a case's inputs: the law's own or, by default, the operation's."""
    return case.operation.inputs if case.law.inputs is None else case.law.inputs


@cache
def _shared_example(
    strategy: st.SearchStrategy[Any], count: int, seed: int | None, number: int, format: Format
) -> Example:
    """One of `examples` in a format; laws that share it also share what the definitions say on it."""
    return Example(cast_to(examples(strategy, count, seed)[number], format))
