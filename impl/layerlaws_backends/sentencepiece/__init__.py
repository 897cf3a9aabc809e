"""Google's sentencepiece, a library in C++, as its users call it: thin adapters, no repair.

Symbols become characters, words become strings. Where the library deviates by design, `known` of the note says so.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import sentencepiece
from numpy.typing import NDArray

__all__ = ["describe", "dtypes", "from_numpy", "to_numpy"]

dtypes = ("float32",)


def from_numpy(array: NDArray[Any]) -> NDArray[Any]:
    """The array itself."""
    return array


def to_numpy(array: Any) -> NDArray[Any]:
    """The result as an array."""
    return np.asarray(array)


def describe() -> str:
    """Device and library, for the header of a record."""
    return f"CPU, sentencepiece {sentencepiece.__version__}"
