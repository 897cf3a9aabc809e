"""Pure NumPy, written to be read and to be fast. One module per note; float32 and float64."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

dtypes = ("float32", "float64")


def from_numpy(array: NDArray[Any]) -> NDArray[Any]:
    """The array itself."""
    return array


def to_numpy(array: Any) -> NDArray[Any]:
    """The result as an array: sums over everything are NumPy scalars."""
    return np.asarray(array)


def describe() -> str:
    """Device and library, for the header of a record."""
    return f"CPU, NumPy {np.__version__}"
