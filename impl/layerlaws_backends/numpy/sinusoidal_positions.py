"""Sinusoidal positions in NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def sinusoidal_positions(positions: NDArray[np.int64], width: int, dtype: str) -> NDArray[Any]:
    """sin(p 10000^(-2i / width)) in column 2i, cos of the same in column 2i + 1. positions (T,)  ->  (T, width)."""
    if width < 1:
        raise ValueError(f"width must be at least 1, not {width}")
    if dtype not in ("float64", "float32", "float16"):
        raise ValueError(f"dtype must be float64, float32 or float16, not {dtype}")
    # In double, whatever the result is: single precision has lost the angle long before position 1,000,000.
    angles = positions[:, None] / 10000.0 ** (np.arange(0, width, 2) / width)
    rows = np.empty((len(positions), width), dtype)
    np.sin(angles, out=rows[:, 0::2])
    np.cos(angles[:, : width // 2], out=rows[:, 1::2])
    return rows
