"""Text as notes and workloads use it: int64 symbols with word offsets, and real text that is always at hand."""

from __future__ import annotations

import os
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from functools import cache
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from layerlaws.numerics.mathematics import require

Packed = tuple[NDArray[np.int64], NDArray[np.int64]]
"""Symbols (N,) and offsets (W + 1,): word w is symbols[offsets[w]:offsets[w + 1]]."""


def packed(words: Iterable[Sequence[int]]) -> Packed:
    """Words, one behind the other."""
    words = list(words)
    symbols = np.array([symbol for word in words for symbol in word], np.int64)
    return symbols, np.cumsum([0, *map(len, words)], dtype=np.int64)


def unpacked(symbols: NDArray[Any], offsets: NDArray[Any], name: str = "offsets") -> list[list[int]]:
    """The words, as lists. Refuses offsets that do not cut the symbols into words; `name` is the argument's."""
    ends = np.asarray(offsets).tolist()
    require(len(ends) > 0 and ends[0] == 0 and ends[-1] == len(symbols), f"{name} must run from 0 to {len(symbols)}")
    require(all(start <= end for start, end in pairwise(ends)), f"{name} must not fall")
    read = np.asarray(symbols).tolist()
    return [read[start:end] for start, end in pairwise(ends)]


@cache
def library_text(size: int) -> bytes:
    """The first `size` bytes of Python's own documentation and sources: English-like, in every installation."""
    home = Path(os.__file__).parent
    topics = home / "pydoc_data" / "topics.py"
    sources = sorted(path for path in (*home.glob("*.py"), *home.glob("*/*.py")) if path.parent.name != "site-packages")
    text = bytearray()
    for path in [topics, *(path for path in sources if path != topics)]:
        if len(text) >= size:
            break
        text += path.read_bytes() if path.is_file() else b""
    return bytes(text[:size])


@cache
def library_words(size: int) -> tuple[bytes, ...]:
    """The words of `library_text`, cut at white space: as many as `size` bytes hold, counted without white space."""
    words = library_text(2 * size).split()
    words *= 1 + size // sum(map(len, words))  # a small installation is read again
    return tuple(words[: bisect_right(list(accumulate(map(len, words))), size)])
