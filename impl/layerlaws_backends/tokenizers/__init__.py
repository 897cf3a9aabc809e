"""Hugging Face's tokenizers, a library in Rust, as its users call it: thin adapters, no repair.

Symbols become characters, words become strings. Where the library deviates by design, `known` says so.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import tokenizers
from numpy.typing import NDArray

from layerlaws import Known

__all__ = ["describe", "dtypes", "from_numpy", "known", "to_numpy"]

dtypes = ("float64",)

_SPELLING = Known(
    "a piece is identified by its spelling: merges that spell the same share one id",
    "https://github.com/huggingface/tokenizers/pull/286",
)

known: dict[str, Known] = {}


def from_numpy(array: NDArray[Any]) -> NDArray[Any]:
    """The array itself."""
    return array


def to_numpy(array: Any) -> NDArray[Any]:
    """The result as an array."""
    return np.asarray(array)


def describe() -> str:
    """Device and library, for the header of a record."""
    return f"CPU, tokenizers {tokenizers.__version__}"
