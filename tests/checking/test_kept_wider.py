"""Whoever keeps more than any declaration says holds every law: definitions in double, each result rounded once."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest

from layerlaws import catalogue, check
from layerlaws.checking import trial
from layerlaws.language.backend import Backend
from layerlaws.language.operations import Operation
from layerlaws.numerics.arithmetic import mixed
from layerlaws.numerics.bounded import value_of
from layerlaws.numerics.reverse_mode import vjp

pytest.importorskip("ml_dtypes")

FUSED = mixed("bfloat16", "float32", "float32")


def _wide(x: Any) -> Any:
    if isinstance(x, tuple):
        parts = tuple(map(_wide, x))
        return x if all(a is b for a, b in zip(x, parts, strict=True)) else parts
    if isinstance(x, np.ndarray) and x.dtype == FUSED.dtype:
        return x.astype(np.float64)
    return "float64" if isinstance(x, str) and x == FUSED.name else x


def _rounded(x: Any, dtype: Any = FUSED.dtype) -> Any:
    if isinstance(x, tuple):
        return tuple(_rounded(part, dtype) for part in x)
    array = value_of(x)
    return array.astype(dtype) if array.dtype.kind == "f" else array


def _in_double(operation: Operation) -> Callable[..., Any]:
    def function(**arguments: Any) -> Any:
        wide = {name: _wide(x) for name, x in arguments.items()}
        with np.errstate(all="ignore"):
            results = operation.definition(**wide)
        counts = all(wide[name] is x for name, x in arguments.items())  # of integers: results are doubles
        return _rounded(results, np.float64 if counts else FUSED.dtype)

    function.__signature__ = inspect.signature(operation.definition)  # type: ignore[attr-defined]
    function.definition = operation.definition  # type: ignore[attr-defined]
    return function


def _gradient(function: Any, arguments: Mapping[str, Any], cotangent: Any) -> dict[str, Any]:
    _, pull = vjp(function.definition, {name: _wide(x) for name, x in arguments.items()})
    return {name: _rounded(x) for name, x in pull(_wide(cotangent)).items()}


@pytest.mark.parametrize("note", catalogue().notes, ids=lambda note: note.name)
def test_definitions_in_double_rounded_once_hold_every_law(note: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the tightest arithmetic of bfloat16, so that no law counts on what lies between two steps being rounded."""
    monkeypatch.setitem(trial.PROFILES, "quick", 5)
    functions = {operation.name: _in_double(operation) for operation in note.operations}
    backend = Backend("in double", functions, lambda x: x, lambda x: x, (FUSED,), _gradient)
    verdicts = [check(backend, case, profile="quick", seed=0, shrink=False) for case in note.cases]
    broken = [f"{v.id}: {v.reason}" for v in verdicts if v.state == "broken" or v.state == "error"]
    assert not [text for text in broken if "said nothing" not in text and "Undecidable" not in text]
    assert any(v.state == "held" for v in verdicts)
