"""What adapters to libraries that take strings share: symbols as characters, arrays as they are."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

Ids = NDArray[np.int64]

_SURROGATES = 0xD800
"""From here on 0x800 code points are no characters of their own."""


def from_numpy(array: NDArray[Any]) -> NDArray[Any]:
    """The array itself."""
    return array


def to_numpy(array: Any) -> NDArray[Any]:
    """The result as an array."""
    return np.asarray(array)


def text_of(symbols: Ids, first: int = 0) -> str:
    """One character per symbol, in the order of symbols; `first` stands for 0."""
    codes = symbols + first
    return (codes + 0x800 * (codes >= _SURROGATES)).astype("<u4").tobytes().decode("utf-32-le")


def symbols_of(text: str, first: int = 0) -> Ids:
    """The symbols that these characters stand for."""
    codes = np.frombuffer(text.encode("utf-32-le"), "<u4").astype(np.int64)
    return codes - 0x800 * (codes >= _SURROGATES) - first


def words_of(symbols: Ids, offsets: Ids, first: int = 0) -> list[str]:
    """The words of a text as strings."""
    if len(offsets) < 1 or offsets[0] != 0 or offsets[-1] != len(symbols) or (np.diff(offsets) < 0).any():
        raise ValueError(f"offsets must rise from 0 to {len(symbols)}")
    text = text_of(symbols, first)
    return [text[start:end] for start, end in pairwise(offsets.tolist())]


def spellings(merges: Ids, base: int, first: int = 0) -> list[str]:
    """The spelling of every id: symbols, then rows of the table."""
    if (merges < 0).any():
        raise ValueError("merges must not be negative")
    spelled = [text_of(np.array([symbol]), first) for symbol in range(base)]
    for left, right in merges.tolist():
        spelled.append(spelled[left] + spelled[right])
    return spelled
