"""The position-wise feed-forward network in NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

_HIDDEN = 2**22
"""Hidden numbers at a time: they stay near the processor, and the memory that they take does not grow with x."""


def feed_forward(x: Array, w_1: Array, b_1: Array, w_2: Array, b_2: Array) -> Array:
    """max(0, x w_1 + b_1) w_2 + b_2. x (B, T, D), w_1 (D, F), b_1 (F,), w_2 (F, D), b_2 (D,)  ->  (B, T, D)."""
    width, hidden_width = x.shape[-1], b_1.shape[-1]
    if w_1.shape != (width, hidden_width):
        raise ValueError(f"w_1 has shape {w_1.shape}, expected {(width, hidden_width)}")
    if w_2.shape != (hidden_width, width):
        raise ValueError(f"w_2 has shape {w_2.shape}, expected {(hidden_width, width)}")
    positions = x.reshape(-1, width)
    result = np.empty((len(positions), width), np.result_type(x, w_1, b_1, w_2, b_2))
    rows = max(1, _HIDDEN // max(1, hidden_width))
    space = np.empty((min(rows, len(positions)), hidden_width), result.dtype)
    for start in range(0, len(positions), rows):
        block = positions[start : start + rows]
        hidden = np.matmul(block, w_1, out=space[: len(block)])
        hidden += b_1
        np.maximum(hidden, 0, out=hidden)
        np.matmul(hidden, w_2, out=result[start : start + rows])
    result += b_2
    return result.reshape(x.shape)


def feed_forward_convolution(x: Array, kernel_1: Array, b_1: Array, kernel_2: Array, b_2: Array) -> Array:
    """The same by two convolutions of width 1, which are products with the only tap.

    x (B, T, D), kernel_1 (1, D, F), b_1 (F,), kernel_2 (1, F, D), b_2 (D,)  ->  (B, T, D)
    """
    for name, kernel in (("kernel_1", kernel_1), ("kernel_2", kernel_2)):
        if kernel.shape[0] != 1:
            raise ValueError(f"{name} is {kernel.shape[0]} wide, not 1")
    return feed_forward(x, kernel_1[0], b_1, kernel_2[0], b_2)
