"""What a failure says: whether the law is broken, or single results are wrong, and which cause other laws share.

A law often relates a backend's results to each other, up to the errors that they may have. These errors are those of
the definition: where a single result is not the definition's, they say nothing of it, and the law cannot be judged.
"""

from __future__ import annotations

import contextlib
import inspect
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from layerlaws.checking.calls import Call, recording
from layerlaws.checking.trial import NAMES_ARITHMETIC, Statistics, Trial
from layerlaws.checking.verdict import ACCEPTED
from layerlaws.language.backend import Backend
from layerlaws.language.claims import settle
from layerlaws.language.generic_laws import agreement, gradient_agreement
from layerlaws.language.implementation import Example, Implementation, Raised, as_exact
from layerlaws.language.laws import consults_definition
from layerlaws.language.note import Case
from layerlaws.language.withheld import Withheld
from layerlaws.numerics.arithmetic import computing_in
from layerlaws.numerics.bounded import Bounded, value_of
from layerlaws.numerics.formats import Format, is_float
from layerlaws.numerics.rounding import quietly
from layerlaws.support.errors import Broken
from layerlaws.support.printable import printable

STATED_OF_DEFINITION = (
    *NAMES_ARITHMETIC,
    "agrees_at_seldom_sizes",
    "agrees_at_every_scale",
    "an_empty_batch_is_empty_or_refused",
)
"""Laws that say what single results are: these are broken by a wrong shape, dtype or number, and all others follow."""


@dataclass(frozen=True)
class Judgement:
    """State, reason and cause of a verdict on a law that failed."""

    state: str
    reason: str
    cause: str = ""


@dataclass(frozen=True)
class Difference:
    """How a single call differs from the definition, in words, and the cause that it is of.

    of_values: it has the right form (shape, dtype, number of results) and numbers where numbers belong.
    """

    words: str
    cause: str
    not_a_number: bool = False
    of_values: bool = False


def judge(trial: Trial, broken: Broken) -> Judgement:
    """What it means that a law did not hold on the example that the trial executed last."""
    law, seen = trial.case.law, str(broken)
    if law.kind == "refusals":
        return Judgement(ACCEPTED, seen)
    if broken.cause:
        return Judgement("broken" if law.name in STATED_OF_DEFINITION else "not judged", seen, broken.cause)
    if law.kind in ("state", "memory", "exact"):
        return Judgement("broken", seen)
    calls, found = differences(trial)
    if law.name in STATED_OF_DEFINITION:
        return Judgement("broken", seen, found[0].cause if found else "")
    nan = next((difference for difference in found if difference.not_a_number), None)
    relational = calls > 1 and not consults_definition(law.state)
    if not (relational and found and (nan or broken.within)):
        return Judgement("broken", seen, nan.cause if nan else _nan_by_the_law(trial, broken))
    off = nan or found[0]
    if off.of_values and any(_is_given(side) for _, side in broken.sides):
        return Judgement("broken", seen, off.cause)
    return Judgement("not judged", f"{off.words}, in a call of its own; between the results: {seen}", off.cause)


def _nan_by_the_law(trial: Trial, broken: Broken) -> str:
    """The cause, if a law of one operation met NaN where its other side has a number, whatever the definition says."""
    names = {operation.name for operation in trial.case.operations}
    pair = [side for _, side in broken.sides]
    if len(names) == 1 and len(pair) == 2 and _not_a_number(value_of(pair[0]), pair[1]):
        return f"NaN from {names.pop()}"
    return ""


def _is_given(side: Any) -> bool:
    """Whether a side of a claim is an argument or a constant: a result compared with it is right or wrong by itself."""
    # What is given carries no error, which is then the number 0 and no array.
    return not isinstance(side, Bounded) or type(side.absolute) is float


def judge_unstated(trial: Trial, reason: str, otherwise: str) -> Judgement:
    """What it means that a law could not be stated of the results, or said nothing of them.

    otherwise: the state where they are those of the definition.
    """
    _, found = differences(trial)
    if found:
        return Judgement("not judged", f"{found[0].words}; {reason}", found[0].cause)
    return Judgement(otherwise, reason)


def differences(trial: Trial) -> tuple[int, list[Difference]]:
    """How many calls the law makes on the example executed last, and how those differ that are not the definition's.

    A call of which the definition says nothing (it refuses it, or is undecidable) is taken for right.
    """
    backend, case, drawn = trial.backend, trial.case, trial.statistics.drawn
    base = backend.format(drawn["format"])
    extra = {name: drawn[name] for name in case.law.extra}
    inputs = {name: x for name, x in drawn.items() if name not in {"format", *extra}}
    calls = trial.calls
    if calls is None:
        calls = []
        again = replace(trial, backend=recording(backend, calls), statistics=Statistics())
        with contextlib.suppress(Exception):  # it is known to fail
            again.run_example(base, Example(inputs), extra)
    format = trial.arithmetic(base)
    found = [_difference(backend, case, call, format) for call in calls]
    return len(calls), [difference for difference in found if difference is not None]


def _difference(backend: Backend, case: Case, call: Call, format: Format) -> Difference | None:
    operation = next(operation for operation in case.operations if operation.name == call.operation)
    implementation = Implementation(operation, backend, format)
    if isinstance(call.outcome, BaseException):
        return None
    with quietly(), computing_in(format):
        try:
            expected = _expected(implementation, call)
        except Exception:  # undecidable, or refused
            return None
        try:
            compare: Callable[..., Any] = agreement if call.cotangent is None else gradient_agreement
            settle(compare(implementation, _arrays(implementation, call.outcome), expected))
        except Broken as broken:
            what = operation.name if call.cotangent is None else f"the gradient of {operation.name}"
            nan = _not_a_number(call.outcome, expected)
            cause = broken.cause or (f"NaN from {what}" if nan else f"{what} differs from its definition")
            words = f"{what} differs from its definition ({broken})"
            return Difference(words, cause, nan and not broken.cause, not (nan or broken.cause))
    return None


def _expected(implementation: Implementation, call: Call) -> Any:
    if call.cotangent is None:
        return implementation.definition(**call.arguments)
    weights = as_exact({"weights": call.cotangent}, implementation.format)["weights"]
    return implementation.definition_gradient(weights, **call.arguments)


def _arrays(implementation: Implementation, outcome: Any) -> Any:
    """A recorded outcome as arrays, where it is not recorded as some. Raises Broken if it is none."""
    if isinstance(outcome, Mapping):
        return {name: _arrays(implementation, x) for name, x in outcome.items()}
    if isinstance(outcome, tuple):
        return tuple(_arrays(implementation, x) for x in outcome)
    if isinstance(outcome, NotImplementedError):
        return Withheld(printable(outcome))
    return outcome if isinstance(outcome, np.ndarray) else implementation.back(outcome)


def _not_a_number(outcome: Any, expected: Any) -> bool:
    """Whether a result is NaN where the definition's is a number."""
    if isinstance(expected, Mapping):
        return any(_not_a_number(outcome.get(name), x) for name, x in expected.items())
    if isinstance(expected, tuple):
        whole = isinstance(outcome, tuple) and len(outcome) == len(expected)
        return whole and any(map(_not_a_number, outcome, expected))
    if not isinstance(outcome, np.ndarray) or not is_float(outcome) or outcome.shape != np.shape(value_of(expected)):
        return False
    return bool(np.any(np.isnan(outcome.astype(np.float64)) & ~np.isnan(value_of(expected))))


def cause_of(raised: Raised, trial: Trial) -> str:
    """The type of an exception, and the line that raised it: the last one in the files of the backend's functions."""
    homes = {home for operation in trial.case.operations for home in _homes(trial.backend.function(operation.name))}
    frames = traceback.extract_tb(raised.cause.__traceback__)
    own = [frame for frame in frames if Path(frame.filename) in homes or Path(frame.filename).parent in homes]
    name = type(raised.cause).__name__
    if own:
        return f"{name} in line {own[-1].lineno} of {Path(own[-1].filename).name}"
    return f"{name} from {raised.operation.removeprefix('gradient of ')}"


def _homes(function: Any) -> list[Path]:
    """The file of a function, and the folder of its package if that is one."""
    try:
        home = Path(inspect.getfile(inspect.unwrap(function)))
    except (TypeError, ValueError):  # a builtin has no file
        return []
    return [home, home.parent] if (home.parent / "__init__.py").exists() else [home]
