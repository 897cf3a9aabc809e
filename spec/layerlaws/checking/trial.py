"""Try the examples of a law: those that laws share, and those that Hypothesis makes up in search of a failure."""

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
from layerlaws.language.backend import Backend
from layerlaws.language.claims import settle
from layerlaws.language.implementation import Example, Implementation, Raised, cast_to
from layerlaws.language.note import Case
from layerlaws.numerics.formats import Format
from layerlaws.numerics.rounding import quietly
from layerlaws.support.errors import Broken, Undecidable

PROFILES = {"quick": 20, "standard": 100, "thorough": 1000}
"""Examples per law, at most: a law that states one fact may need fewer (`Law.examples`)."""


@dataclass
class Tally:
    """What the examples of one law have shown so far."""

    executed: int = 0
    undecidable: int = 0
    telling: int = 0
    used: dict[str, list[float]] = field(default_factory=dict)
    refusals: list[tuple[str, BaseException]] = field(default_factory=list)
    drawn: dict[str, Any] = field(default_factory=dict)


def sweep(backend: Backend, case: Case, profile: str, count: int, seed: int | None, shrink: bool, tally: Tally) -> None:
    """Hold the law on examples that other laws share, which saves most of the drawing.

    Raises Broken or Raised at the first one that fails; where `shrink`, after a search for a small one.
    """
    law = case.law
    strategy = _inputs(case)
    size = PROFILES[profile] if law.inputs is None else count  # laws that need fewer share with those that need all
    inputs = examples(strategy, size, seed)
    extra = {name: examples(strategy, count, seed) for name, strategy in law.extra.items()}
    for i in range(min(count, max([len(inputs), *map(len, extra.values())]))):
        format = backend.formats[i % len(backend.formats)]
        further = {name: drawn[i % len(drawn)] for name, drawn in extra.items()}
        example = _shared(strategy, size, seed, i % len(inputs), format)
        try:
            try_once(backend, case, format, example, further, tally)
        except (Broken, Raised):
            if shrink:
                failing = tally.drawn
                search(backend, case, 2 * count, seed, shrink, tally)
                tally.drawn = failing  # the search met none that fails: the one at hand has to do
            raise


def search(
    backend: Backend, case: Case, count: int, seed: int | None, shrink: bool, tally: Tally, target: bool = False
) -> None:
    """Let Hypothesis draw whole examples and, where one fails, look for the smallest that does.

    target: steer towards large shares of the allowed error. Raises Broken or Raised.
    """
    drawn = st.fixed_dictionaries({
        "format": st.sampled_from(backend.formats),
        "inputs": _inputs(case),
        "extra": st.fixed_dictionaries(case.law.extra),
    })  # fmt: skip

    @settings(
        max_examples=count,
        deadline=None,
        database=None,
        derandomize=seed is None,
        print_blob=False,
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate, *([Phase.target] if target else []), *([Phase.shrink] if shrink else [])],
    )
    @hypothesis.given(drawn)
    def holds(drawn: dict[str, Any]) -> None:
        example = Example(cast_to(drawn["inputs"], drawn["format"]))
        used = try_once(backend, case, drawn["format"], example, drawn["extra"], tally)
        if target and used is not None:
            hypothesis.target(used)

    with warnings.catch_warnings():
        # Hypothesis warns of examples that are long to print; they are printed by `literal`.
        warnings.simplefilter("ignore", hypothesis.errors.HypothesisWarning)
        (holds if seed is None else hypothesis.seed(seed)(holds))()


@cache
def _shared(strategy: st.SearchStrategy[Any], count: int, seed: int | None, number: int, format: Format) -> Example:
    """One of `examples` in a format; laws that share it share what definitions say about it."""
    return Example(cast_to(examples(strategy, count, seed)[number], format))


def _inputs(case: Case) -> st.SearchStrategy[dict[str, Any]]:
    return case.operation.inputs if case.law.inputs is None else case.law.inputs


def try_once(
    backend: Backend, case: Case, format: Format, example: Example, extra: Mapping[str, Any], tally: Tally
) -> float | None:
    """One example: the share of the allowed error it used, None where it was undecidable.

    Raises Broken or Raised where the law does not hold.
    """
    inputs = example.inputs
    spoken_of = {o.name: Implementation(o, backend, format, example) for o in case.operations}
    pool = {**inputs, **extra, **spoken_of, "operation": spoken_of[case.operation.name], "inputs": inputs}
    pool["format"] = format
    tally.drawn = {"format": format.name, **inputs, **extra}
    tally.executed += 1
    try:
        with quietly():
            settlement = settle(case.law.state(**{name: pool[name] for name in case.law.parameters}))
    except (Undecidable, hypothesis.errors.UnsatisfiedAssumption):
        tally.undecidable += 1
        return None
    finally:
        for implementation in spoken_of.values():
            tally.refusals += implementation.refusals
    tally.telling += settlement.telling
    tally.used.setdefault(format.name, []).append(settlement.used)
    return settlement.used
