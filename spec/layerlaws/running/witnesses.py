"""Witnesses: examples from the record of an earlier run that show known deviations, run first in the next one."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from layerlaws.checking.literals import evaluated
from layerlaws.checking.verdict import Verdict
from layerlaws.language.backend import Backend
from layerlaws.language.note import Case
from layerlaws.running.journal import read_record, record_name
from layerlaws.support.errors import RecordError


def witness(directory: str, backend: Backend, case: Case) -> dict[str, Any] | None:
    """The example that showed a backend's known deviation from a law, with the name of its format as `format`.

    None if the directory has no record of it.
    """
    if not directory or case.id not in backend.known:
        return None
    verdict = _known(directory, backend.name).get(case.id)
    if verdict is None:
        return None
    try:
        drawn = {name: evaluated(verdict.packed.get(name, text)) for name, text in verdict.counterexample.items()}
    except ValueError:
        return None
    whole = {*case.law.extra} <= drawn.keys()
    return {**drawn, "format": verdict.dtype} if whole else None


@cache
def _known(directory: str, backend: str) -> dict[str, Verdict]:
    try:
        record = read_record(Path(directory) / record_name(backend))
    except RecordError:
        return {}
    return {verdict.id: verdict for verdict in record.verdicts if verdict.state == "known"}
