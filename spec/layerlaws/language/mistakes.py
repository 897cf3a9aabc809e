"""What faults are made of that every operation can have."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from layerlaws.numerics.formats import is_float


def moved(x: Any) -> Any:
    """Every number off by a hundredth of its size and a bit, integers by one, masks inverted."""
    if not is_float(x):
        return ~x if x.dtype == bool else x + np.asarray(1, x.dtype)
    return x + (0.01 * np.abs(x) + 0.01).astype(x.dtype)


def each(result: Any, change: Callable[[Any], Any]) -> Any:
    """A changed result, or tuple of results; scalars as arrays."""
    if isinstance(result, tuple):
        return tuple(each(part, change) for part in result)
    return change(result if hasattr(result, "shape") else np.asarray(result))
