"""Functions that a backend replaces although laws use them, and those that nobody minds."""

from __future__ import annotations

import builtins
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from layerlaws import hold
from layerlaws.checking.tampering import restore, snapshot, tampered

BackendFile = Callable[[str, str], Path]

MASK = "\ndef causal_mask(queries, keys):\n    {}\n    return np.tri(queries, keys, keys - queries, dtype=bool)\n"


@pytest.mark.parametrize(("module", "name"), [(np, "exp"), (math, "sqrt"), (builtins, "sum"), (np.linalg, "norm")])
def test_a_function_that_laws_use_is_missed_and_put_back(module: object, name: str) -> None:
    intact, real = snapshot(), getattr(module, name)
    setattr(module, name, lambda *_: 0)
    try:
        assert tampered(intact).rpartition(".")[2] == name
        restore(intact)
        assert getattr(module, name) is real
        assert not tampered(intact)
    finally:
        setattr(module, name, real)


@pytest.mark.parametrize(
    ("module", "name"), [(builtins, "print"), (builtins, "open"), (np, "save"), (np.testing, "run")]
)
def test_a_function_that_no_law_uses_may_be_replaced(
    module: object, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    intact = snapshot()
    monkeypatch.setattr(module, name, lambda *_: 0, raising=False)
    assert not tampered(intact)


def test_a_replay_tells_of_replaced_functions_and_puts_them_back(backend_file: BackendFile) -> None:
    path, real = backend_file("mine", MASK.format("np.exp = np.exp2")), np.exp
    replay = hold(str(path), "causal_mask.agrees_with_definition", "float32", {"queries": 2, "keys": 2})
    assert np.exp is real
    assert not replay.holds
    assert replay.verdict.reason.startswith("it replaced numpy.exp, which")
