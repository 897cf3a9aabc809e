"""Relative attention never gives a pair of positions a vector of its own: the memory it takes says so, no law could."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from layerlaws_backends.numpy.position_methods import relative_attention

LENGTH, WIDTH, REACH = 512, 64, 16
PAIRS = LENGTH * LENGTH * WIDTH
"""Numbers in the tensor (T, S, d) that is not to be."""


@pytest.fixture
def arguments() -> dict[str, NDArray[Any]]:
    generator = np.random.default_rng(0)
    shapes = {
        **dict.fromkeys(("query", "key", "value"), (1, 1, LENGTH, WIDTH)),
        **dict.fromkeys(("key_table", "value_table"), (2 * REACH + 1, WIDTH)),
    }
    return {name: generator.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}


def test_relative_attention_in_numpy_takes_little_memory(arguments: dict[str, NDArray[Any]]) -> None:
    tracemalloc.start()
    try:
        relative_attention(**arguments, mask=None)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 4 * PAIRS / 50


def test_relative_attention_in_torch_keeps_little_for_the_way_back(arguments: dict[str, NDArray[Any]]) -> None:
    torch = pytest.importorskip("torch")
    from layerlaws_backends.torch import position_methods

    kept: list[int] = []

    def keep(tensor: Any) -> Any:
        kept.append(tensor.untyped_storage().nbytes())
        return tensor

    leaves = {name: torch.from_numpy(x).requires_grad_() for name, x in arguments.items()}
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        position_methods.relative_attention(**leaves, mask=None)
    assert kept
    assert sum(kept) < 4 * PAIRS / 2
    assert max(kept) < 4 * PAIRS / 20
