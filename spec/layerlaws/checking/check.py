"""Holds one backend to one law, in this process."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from statistics import median
from typing import Any

import hypothesis

from layerlaws.checking.blame import blamed
from layerlaws.checking.diagnosis import diagnose
from layerlaws.checking.judgement import Judgement, cause_of, judge, judge_unstated
from layerlaws.checking.literals import literal, printed
from layerlaws.checking.shrinking import smallest
from layerlaws.checking.tracebacks import own_lines
from layerlaws.checking.trial import Statistics, Trial
from layerlaws.checking.verdict import INEXACT, NOTICED, REACHED, Accuracy, Verdict, percentage
from layerlaws.language.backend import Backend, Known
from layerlaws.language.claims import Moments
from layerlaws.language.implementation import Example, Raised, Unoffered, cast_to
from layerlaws.language.note import Case
from layerlaws.numerics.arithmetic import HALF, described
from layerlaws.support import stopwatch
from layerlaws.support.errors import Broken

LEAST_DECISIVE = 0.1
"""Smallest share of decisive examples among the decided ones; below it a law has shown nothing."""


def check(
    backend: Backend,
    case: Case,
    *,
    profile: str = "standard",
    seed: int | None = None,
    shrink: bool = True,
    statistics: Statistics | None = None,
    witness: Mapping[str, Any] | None = None,
) -> Verdict:
    """Hold a backend to a law.

    profile: how many examples (`PROFILES`); "thorough" steers a tenth of them towards large shares of the allowed
    error. seed: None for the same examples in every run. shrink: whether to search for the smallest counterexample.
    statistics: filled with what the examples showed, for callers who need more than the verdict. witness: an example
    that once showed a known deviation, with the name of its format as `format`; it is run first.
    """
    trial = Trial(backend, case, profile, seed, shrink, Statistics() if statistics is None else statistics)
    absent = absence(backend, case)
    if absent:
        return replace(trial.blank, state=absent[0], reason=absent[1])
    start, before = time.perf_counter(), stopwatch.reading()
    known = backend.known.get(case.id)
    verdict = _verdict(trial) if known is None else _verdict_despite(known, trial, witness)
    seen = trial.statistics
    verdict = replace(
        verdict,
        examples=seen.executed,
        undecidable=seen.undecidable,
        declined=seen.declined,
        declines=dict(seen.declines),
        layouts={name: obstacle or REACHED for name, obstacle in seen.layouts.items()},
        decisive=seen.decisive,
        rows=seen.rows,
        inexact=seen.inexact,
        seconds=round(time.perf_counter() - start, 4),
        spent=stopwatch.since(before),
        arithmetic={name: described(fitting[0]) for name, fitting in seen.arithmetics.items() if name in HALF},
        accuracy={name: _accuracy(shares, seen.moments[name]) for name, shares in seen.used.items()},
    )
    if verdict.state not in NOTICED or verdict.state == INEXACT:  # no fault is told by its last bits
        return verdict
    return _explained(verdict, backend, case, seen.drawn)


def _explained(verdict: Verdict, backend: Backend, case: Case, failing: Mapping[str, Any]) -> Verdict:
    """A broken verdict with its diagnosis and, where the law speaks of several operations, which of them is off."""
    off = blamed(backend, case, failing)
    reason = f"{verdict.reason}; {off}" if off else verdict.reason
    return replace(verdict, reason=reason, diagnosis=diagnose(backend, case, failing))


def _accuracy(shares: list[float], moments: Moments) -> Accuracy:
    return Accuracy(max(shares), median(shares), len(shares), moments.mean, moments.rms, moments.count)


def absence(backend: Backend, case: Case) -> tuple[str, str] | None:
    """State and reason of a law that the backend cannot be held to; None if it can."""
    if backend.unavailable:
        return "unavailable", backend.unavailable
    lacking = [operation.name for operation in case.operations if backend.function(operation.name) is None]
    if lacking:
        return "missing", f"no {', '.join(lacking)}"
    if "gradient" in case.law.needs and backend.gradient is None:
        return "missing", "it offers no gradient"
    return None


def replay(trial: Trial, drawn: Mapping[str, Any], judged: bool = True) -> Verdict:
    """Hold the backend of a trial to its law on one example.

    drawn: the example by argument, and the name of its format as `format`. Known deviations do not count: the verdict
    is "held" or says what was seen. An undecidable example is "held", too, and counted as undecidable.
    """
    format = trial.backend.format(drawn["format"])
    extra = {name: drawn[name] for name in trial.case.law.extra}
    inputs = cast_to({name: x for name, x in drawn.items() if name not in {"format", *extra}}, format)
    return _judge(trial, lambda: trial.run_example(format, Example(inputs), extra), judged)


def _verdict(trial: Trial, judged: bool = True) -> Verdict:
    aimed = trial.count // 10 if trial.profile == "thorough" else 0

    def run() -> None:
        try:
            trial.sweep(trial.count - aimed)
            if aimed:
                trial.search(aimed, target=True)
        except (Broken, Raised) as failure:
            raise _smallest(trial, failure) from failure.__cause__

    return _judge(trial, run, judged)


def _smallest(trial: Trial, failure: Broken | Raised) -> Broken | Raised:
    """How the backend fails on the smallest example that can be found, which becomes the one executed last."""
    if not trial.shrink or not trial.statistics.drawn:
        return failure
    found = smallest(trial, trial.statistics.drawn, failure)
    trial.statistics.drawn, trial.statistics.sizes = found.example, found.sizes
    return found.failure


def _verdict_despite(known: Known, trial: Trial, witness: Mapping[str, Any] | None) -> Verdict:
    """The verdict on a law with a known deviation: other formats have to hold; its own run until it shows."""
    formats = trial.backend.formats
    deviating = tuple(format for format in formats if known.concerns(format.name))
    others = tuple(format for format in formats if format not in deviating)
    if others:
        verdict = _verdict(replace(trial, backend=replace(trial.backend, formats=others)))
        if verdict.state not in ("held", "not offered") or not deviating:
            return verdict
    verdict = trial.blank
    if witness is not None and witness.get("format") in {format.name for format in deviating}:
        verdict = replay(trial, witness, judged=False)
    if verdict.state in ("held", "not offered"):
        its_own = replace(trial, backend=replace(trial.backend, formats=deviating), shrink=False)
        verdict = _verdict(its_own, judged=False)
    if verdict.state == "held" and known.rare:
        return verdict
    if verdict.state == "held":
        return replace(verdict, state="stale", reason=f"declared as known ({known.reason}), but it holds")
    if not verdict.dtype:  # no example broke it: a law that says nothing is never a known deviation
        return verdict
    only = f" (in {', '.join(f.name for f in deviating)}; it holds in {', '.join(f.name for f in others)})"
    return replace(verdict, state="known", reason=known.reason + (only if others else ""), link=known.link)


def _judge(trial: Trial, run: Callable[[], object], judged: bool) -> Verdict:
    """The verdict on the examples that `run` executes; it raises where the law does not hold.

    judged: whether it matters what a failure is due to; of a known deviation it does not.
    """
    try:
        run()
    except Broken as broken:
        judgement = judge(trial, broken) if judged else Judgement("broken", str(broken))
        return _failed(trial, judgement, broken.sides)
    except Raised as raised:
        judgement = Judgement("error", str(raised), cause_of(raised, trial))
        return replace(_failed(trial, judgement), sides=own_lines(raised.cause))
    except Unoffered as unoffered:
        return replace(trial.blank, state="missing", reason=str(unoffered))
    except (ValueError, LookupError) as nonsense:  # a definition or the law refuses what an earlier call returned
        reason = f"the law cannot be stated of the results: {nonsense}"
        return _failed(trial, judge_unstated(trial, reason, "broken") if judged else Judgement("broken", reason))
    except hypothesis.errors.Flaky as flaky:
        reason = f"the same input did not fail twice, so results depend on more: {flaky}"
        return _failed(trial, Judgement("broken", reason))
    if trial.statistics.first is not None:
        return _inexact(trial, *trial.statistics.first)
    silence, seen = _silence(trial.statistics), trial.statistics
    if silence and seen.declined:
        reasons = ", ".join(f"{reason} ({count} times)" for reason, count in seen.declines.items())
        rest = f"; {silence}" if seen.offered > seen.undecidable else ""
        reason = f"it declined {seen.declined} of {seen.executed} examples: {reasons}{rest}"
        return replace(trial.blank, state="not offered", reason=reason)
    if silence and seen.drawn and judged:
        judgement = judge_unstated(trial, silence, "error")
        return replace(trial.blank, state=judgement.state, reason=judgement.reason, cause=judgement.cause)
    return replace(trial.blank, state="error", reason=silence) if silence else trial.blank


def _inexact(trial: Trial, seen: str, drawn: Mapping[str, Any]) -> Verdict:
    """The verdict where bits differ. drawn: the first example that shows it; its numbers are too many to be kept."""
    found = trial.statistics
    shapes = ", ".join(f"{name} {x.shape}" for name, x in drawn.items() if hasattr(x, "shape"))
    decided = found.offered - found.undecidable
    share = f"{found.inexact:,} of {found.rows:,} rows differ ({percentage(found.inexact / found.rows)})"
    reason = f"{share}, in {found.differing} of {decided} examples; for example {seen}, with {shapes}"
    return replace(trial.blank, state=INEXACT, reason=reason, dtype=drawn["format"])


def _failed(trial: Trial, judgement: Judgement, sides: tuple[tuple[str, Any], ...] = ()) -> Verdict:
    """The verdict on a law that failed on the example executed last."""
    example = dict(trial.statistics.drawn)
    format = example.pop("format", "")
    arguments, packed = printed(example)
    return replace(
        trial.blank,
        state=judgement.state,
        reason=judgement.reason,
        cause=judgement.cause,
        dtype=format,
        counterexample=arguments,
        packed=packed,
        sides={name: literal(x) for name, x in sides},
        sizes=trial.statistics.sizes,
    )


def _silence(statistics: Statistics) -> str:
    """Why a law that was not broken has shown nothing, which is an error; "" if it has shown something."""
    decided = statistics.offered - statistics.undecidable
    if not decided:
        return f"the law said nothing: all {statistics.executed} examples were undecidable"
    if not statistics.asked:
        return f"the law said nothing: in none of {decided} examples was the backend asked anything"
    if statistics.decisive < LEAST_DECISIVE * decided:
        idle = decided - statistics.decisive
        return f"the law said nothing: in {idle} of {decided} examples the allowed error was as large as the values"
    return ""
