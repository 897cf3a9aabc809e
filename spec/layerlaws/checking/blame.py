"""Which of the operations that a broken law speaks of is off."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from layerlaws.checking import probes
from layerlaws.checking.behaviour import of_definition, of_record, same
from layerlaws.language.backend import Backend
from layerlaws.language.note import Case
from layerlaws.support.errors import Undecidable


def blamed(backend: Backend, case: Case, failing: Mapping[str, Any]) -> str:
    """Which operations of a law differ from their definitions in the calls of a failing example, in words.

    "" if the law speaks of one operation only, or if the definitions do not tell. failing: the example by argument,
    with the name of its format as `format`.
    """
    if len(case.operations) < 2:
        return ""
    format, wrong = backend.format(failing["format"]), dict[str, bool]()
    operations = {operation.name: operation for operation in case.operations}
    for call in probes.of_failure(backend, case, failing):
        try:
            expected = of_definition(operations[call.operation], call, format)
        except Undecidable:
            continue
        differs = not same(of_record(call), expected, format)
        wrong[call.operation] = wrong.get(call.operation, False) or differs
    off, right = ([name for name, is_off in wrong.items() if is_off is wanted] for wanted in (True, False))
    if not off or not right:
        return ""
    verb, other = ("differs" if len(off) == 1 else "differ"), ("does" if len(right) == 1 else "do")
    return f"{' and '.join(off)} {verb} from the definition there, {' and '.join(right)} {other} not"
