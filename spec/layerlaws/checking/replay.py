"""Holds a backend to a law on one example and reports every call: what counterexample scripts run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from layerlaws.backends import load_backend
from layerlaws.checking.behaviour import by_name, evaluated
from layerlaws.checking.calls import Call, recording
from layerlaws.checking.check import absence, replay
from layerlaws.checking.failure import failure
from layerlaws.checking.literals import literal
from layerlaws.checking.tampering import accusation, restore, snapshot, tampered
from layerlaws.checking.trial import Trial
from layerlaws.checking.verdict import Verdict
from layerlaws.discovery import catalogue
from layerlaws.language.backend import Backend
from layerlaws.language.note import Case
from layerlaws.numerics.bounded import Bounded
from layerlaws.numerics.formats import FORMATS, Format
from layerlaws.support.errors import Undecidable, WrongUse


@dataclass(frozen=True)
class Replay:
    """The result of holding a backend to a law on one example.

    calls: each call that the law made, as text, with what the definition says on the same arguments.
    """

    verdict: Verdict
    calls: tuple[str, ...]

    @property
    def holds(self) -> bool:
        return self.verdict.state == "held"

    @property
    def status(self) -> int:
        """An exit status: 0 if the law holds, 1 if it does not, 2 if that cannot be told."""
        if not self.verdict.dtype and not self.holds:  # no example was executed
            return 2
        return 0 if self.holds else 1

    def __str__(self) -> str:
        return "\n\n".join([failure(replace(self.verdict, counterexample={}), again=""), *self.calls])


def hold(backend: str | Backend, law: str, dtype: str, arguments: Mapping[str, Any]) -> Replay:
    """Hold a backend to a law on exactly these arguments.

    backend: an installed name, "module", "module:object" or "path.py". law: "operation.law". dtype: the format, to
    which float arrays are cast. arguments: everything the law draws, by name: the inputs of its first operation and its
    extra values. Known deviations count as broken. A backend that replaces functions which laws use gets the state
    "error"; they are put back. Raises WrongUse for names that do not exist, and for missing arguments.
    """
    (case,) = catalogue().select((), (law,))
    intact = snapshot()
    held = _held(backend, case, dtype, arguments)
    function = tampered(intact)
    if not function:
        return held
    restore(intact)
    return replace(held, verdict=replace(held.verdict, state="error", reason=accusation(function)))


def _held(backend: str | Backend, case: Case, dtype: str, arguments: Mapping[str, Any]) -> Replay:
    backend = load_backend(backend, catalogue()) if isinstance(backend, str) else backend
    if dtype not in FORMATS:
        raise WrongUse(f"there is no dtype called {dtype!r}; there are {', '.join(FORMATS)}")
    _check_names(case, arguments)
    absent = absence(backend, case)
    if absent:
        return Replay(replace(Trial(backend, case).blank, state=absent[0], reason=absent[1]), ())
    calls: list[Call] = []
    trial = Trial(recording(backend, calls), case, calls=calls)
    verdict = replay(trial, {**arguments, "format": dtype})
    if trial.statistics.undecidable:
        verdict = replace(verdict, state="error", reason="undecidable: rounding could turn a decision of the law")
    return Replay(verdict, tuple(_described(call, case, trial.backend.format(dtype)) for call in calls))


def _check_names(case: Case, arguments: Mapping[str, Any]) -> None:
    not_drawn = {operation.name for operation in case.operations} | {"operation", "inputs", "format"}
    lacking = ({*case.law.parameters} - not_drawn | {*case.law.extra}) - set(arguments)
    if lacking:
        raise WrongUse(f"the example lacks {', '.join(sorted(lacking))}, which {case.id} speaks of")


def _described(call: Call, case: Case, format: Format) -> str:
    """A call and its outcome, and what the definition says on the same arguments, with its allowed error."""
    name = call.operation if call.cotangent is None else f"gradient of {call.operation}"
    given = call.arguments if call.cotangent is None else {**call.arguments, "cotangent": call.cotangent}
    operation = next(operation for operation in case.operations if operation.name == call.operation)
    try:
        defined = evaluated(operation.definition, call, format)
        expected = [_line("definition", defined), _line("allowed error", _errors(defined))]
    except Undecidable as undecidable:
        expected = [f"definition: undecidable, {undecidable}"]
    except Exception as error:
        expected = [f"definition refuses: {error}"]
    raised = isinstance(call.outcome, BaseException)
    lines = [f"{name}, called with", *(_line(f"  {key}", x) for key, x in given.items())]
    return "\n".join([*lines, _line("raised" if raised else "returned", call.outcome), *expected])


def _line(label: str, x: Any) -> str:
    if isinstance(x, BaseException):
        return f"{label}: {type(x).__name__}: {x}"
    return f"{label}: {literal(by_name(x) if isinstance(x, dict) else x)}"


def _errors(defined: Any) -> Any:
    if isinstance(defined, tuple):
        return tuple(map(_errors, defined))
    return np.asarray(defined.error) if isinstance(defined, Bounded) else 0
