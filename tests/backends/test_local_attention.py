"""Local attention works on its windows alone: beside the results, no memory grows with the length of the source."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from layerlaws_backends.numpy import local_attention as in_numpy

BATCH, STEPS, STATES, WIDTH, WINDOW = 2, 16, 100_000, 64, 5
WINDOWS = BATCH * STEPS * (2 * WINDOW + 1) * WIDTH
"""How many numbers the windows of all steps hold."""


def calls(module: ModuleType, convert: Callable[[Any], Any]) -> dict[str, Callable[[], Any]]:
    """Both forms on a short target and a very long source."""
    generator = np.random.default_rng(0)
    query, keys = (generator.standard_normal((BATCH, n, WIDTH)) for n in (STEPS, STATES))
    w_p, v_p = generator.standard_normal((WIDTH, 8)), generator.standard_normal(8)
    query, keys, w_p, v_p = map(convert, (query, keys, w_p, v_p))
    return {
        "monotonic": lambda: module.local_attention_monotonic(query, keys, WINDOW),
        "predictive": lambda: module.local_attention_predictive(query, keys, w_p, v_p, WINDOW),
    }


@pytest.mark.parametrize("form", ["monotonic", "predictive"])
def test_numpy_holds_its_results_and_its_windows_only(form: str) -> None:
    call = calls(in_numpy, lambda x: x)[form]
    tracemalloc.start()
    results = call()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    beyond = peak - sum(x.nbytes for x in results)
    assert beyond < 3 * WINDOWS * 8
    assert beyond < BATCH * STEPS * STATES * 8 / 10, "a score for every state was held"


@pytest.mark.parametrize("form", ["monotonic", "predictive"])
def test_torch_allocates_its_results_and_its_windows_only(form: str) -> None:
    """All that is allocated, freed or not, is a bound on the peak that does not depend on the allocator."""
    torch = pytest.importorskip("torch")
    from torch.utils._python_dispatch import TorchDispatchMode

    from layerlaws_backends.torch import local_attention as in_torch

    class Allocated(TorchDispatchMode):
        numbers = 0

        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            result = func(*args, **(kwargs or {}))
            for declared, tensor in zip(
                func._schema.returns, result if isinstance(result, tuple) else (result,), strict=False
            ):
                if declared.alias_info is None and isinstance(tensor, torch.Tensor):
                    self.numbers += tensor.numel()
            return result

    call = calls(in_torch, torch.from_numpy)[form]
    with torch.no_grad(), Allocated() as allocated:
        results = call()
    assert allocated.numbers - sum(x.numel() for x in results) < 6 * WINDOWS
