"""Hold one backend to one law, in this process."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import hypothesis

from layerlaws.checking.diagnosis import diagnose
from layerlaws.checking.literals import literal, whole
from layerlaws.checking.trial import PROFILES, Tally, search, sweep, try_once
from layerlaws.checking.verdict import Accuracy, Verdict
from layerlaws.language.backend import Backend, Known
from layerlaws.language.implementation import Example, Raised, Unoffered, cast_to
from layerlaws.language.note import Case
from layerlaws.numerics.formats import format_of
from layerlaws.support import stopwatch
from layerlaws.support.errors import Broken

SAYS_SOMETHING = 0.1
"""Least share of telling examples among the decided ones; below it a law has shown nothing."""


def check(
    backend: Backend,
    case: Case,
    *,
    profile: str = "standard",
    seed: int | None = None,
    shrink: bool = True,
    tally: Tally | None = None,
    witness: Mapping[str, Any] | None = None,
) -> Verdict:
    """Hold a backend to a law.

    profile: how many examples (`PROFILES`); "thorough" steers a tenth of them towards large shares of the allowed
    error.
    seed: None for the same examples in every run. shrink: look for the smallest counterexample.
    tally: filled with what the examples showed, for callers who want more than the verdict.
    witness: an example, and its format's name as `format`, on which a known deviation once showed; it is tried first.
    """
    tally = Tally() if tally is None else tally
    blank = Verdict(backend.name, case.note.name, case.operation.name, case.law.name, "held")
    absent = absence(backend, case)
    if absent:
        return replace(blank, state=absent[0], reason=absent[1])
    start, before = time.perf_counter(), stopwatch.reading()
    known = backend.known.get(case.id)
    if known is None:
        verdict = _run(backend, case, profile, seed, shrink, tally, blank)
    else:
        verdict = _held_but_for(known, backend, case, profile, seed, shrink, tally, blank, witness)
    verdict = replace(
        verdict,
        examples=tally.executed,
        undecidable=tally.undecidable,
        telling=tally.telling,
        seconds=round(time.perf_counter() - start, 4),
        spent=stopwatch.since(before),
        accuracy={
            name: Accuracy(max(shares), statistics.median(shares), len(shares)) for name, shares in tally.used.items()
        },
    )
    return replace(verdict, diagnosis=diagnose(backend, case, tally.drawn)) if verdict.state == "broken" else verdict


def absence(backend: Backend, case: Case) -> tuple[str, str] | None:
    """The state and reason of a law that the backend cannot be held to, None where it can."""
    if backend.unavailable:
        return "unavailable", backend.unavailable
    lacking = [operation.name for operation in case.operations if backend.function(operation.name) is None]
    if lacking:
        return "missing", f"no {', '.join(lacking)}"
    if "gradient" in case.law.needs and backend.gradient is None:
        return "missing", "it offers no gradient"
    return None


def _run(
    backend: Backend, case: Case, profile: str, seed: int | None, shrink: bool, tally: Tally, blank: Verdict
) -> Verdict:
    count = min(PROFILES[profile], case.law.examples or PROFILES[profile])
    aimed = count // 10 if profile == "thorough" else 0

    def attempt() -> None:
        sweep(backend, case, profile, count - aimed, seed, shrink, tally)
        if aimed:
            search(backend, case, aimed, seed, shrink, tally, target=True)

    return judge(attempt, blank, tally)


def _held_but_for(
    known: Known, backend: Backend, case: Case, profile: str, seed: int | None, shrink: bool, tally: Tally,
    blank: Verdict, witness: Mapping[str, Any] | None,
) -> Verdict:  # fmt: skip
    """Hold a law from which a deviation is known: fully in other formats; in its own, until it shows."""
    its_own = tuple(format for format in backend.formats if known.concerns(format.name))
    others = tuple(format for format in backend.formats if format not in its_own)
    if others:
        verdict = _run(replace(backend, formats=others), case, profile, seed, shrink, tally, blank)
        if verdict.state != "held" or not its_own:
            return verdict
    verdict = blank
    if witness is not None and witness.get("format") in {format.name for format in its_own}:
        verdict = replay(backend, case, witness, tally)
    if verdict.state == "held":
        verdict = _run(replace(backend, formats=its_own), case, profile, seed, False, tally, blank)
    if verdict.state == "held" and known.rare:
        return verdict
    if verdict.state == "held":
        return replace(verdict, state="stale", reason=f"declared as known ({known.reason}), but it holds")
    if not verdict.dtype:  # no example broke it: that a law said nothing is never known
        return verdict
    only = f" (in {', '.join(f.name for f in its_own)}; it holds in {', '.join(f.name for f in others)})"
    return replace(verdict, state="known", reason=known.reason + (only if others else ""), link=known.link)


def replay(backend: Backend, case: Case, drawn: Mapping[str, Any], tally: Tally | None = None) -> Verdict:
    """Hold a backend to a law on one example: what the law draws, by name, and the name of its format as `format`.

    Whatever is known of the backend, the verdict is "held" or says what was seen; an example that decides nothing,
    because rounding could turn a decision, is "held", too, and counted as undecidable.
    """
    tally = Tally() if tally is None else tally
    format = format_of(drawn["format"])
    extra = {name: drawn[name] for name in case.law.extra}
    inputs = cast_to({name: x for name, x in drawn.items() if name not in {"format", *extra}}, format)
    blank = Verdict(backend.name, case.note.name, case.operation.name, case.law.name, "held")
    return judge(lambda: try_once(backend, case, format, Example(inputs), extra, tally), blank, tally)


def judge(attempt: Callable[[], object], blank: Verdict, tally: Tally) -> Verdict:
    """What holding a law came to. attempt: tries its examples, and raises where it does not hold."""
    try:
        attempt()
    except Broken as broken:
        return _failed(blank, "broken", str(broken), tally, broken.sides)
    except Raised as raised:
        return _failed(blank, "error", str(raised), tally)
    except Unoffered as unoffered:
        return replace(blank, state="missing", reason=str(unoffered))
    except (ValueError, LookupError) as nonsense:  # a definition or the law refuses what an earlier call returned
        return _failed(blank, "broken", f"the law cannot be stated of the results: {nonsense}", tally)
    except hypothesis.errors.Flaky as flaky:
        return _failed(blank, "broken", f"the same input did not fail twice, so results depend on more: {flaky}", tally)
    silence = _silence(tally)
    return replace(blank, state="error", reason=silence) if silence else blank


def _failed(blank: Verdict, state: str, reason: str, tally: Tally, sides: Any = ()) -> Verdict:
    drawn = {name: x for name, x in tally.drawn.items() if name != "format"}
    arguments = {name: literal(x) for name, x in drawn.items()}
    return replace(
        blank,
        state=state,
        reason=reason,
        dtype=tally.drawn.get("format", ""),
        counterexample=arguments,
        packed={name: whole(x) for name, x in drawn.items() if arguments[name] != whole(x)},
        sides={name: literal(x) for name, x in sides},
    )


def _silence(tally: Tally) -> str:
    """Why a law that did not break has shown nothing all the same: an error, not a success. "" where it has."""
    decided = tally.executed - tally.undecidable
    if not decided:
        return f"the law said nothing: all {tally.executed} examples were undecidable"
    if tally.telling < SAYS_SOMETHING * decided:
        idle = decided - tally.telling
        return f"the law said nothing: in {idle} of {decided} examples the allowed error was as large as the values"
    return ""
