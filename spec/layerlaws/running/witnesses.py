"""Examples on which known deviations showed in an earlier run, from its record: tried first in the next one."""

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
    """The example on which a backend's known deviation from a law showed, and its format's name as `format`.

    None where the directory holds no record that says so.
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
