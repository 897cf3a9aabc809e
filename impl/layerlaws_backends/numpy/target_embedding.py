"""Target embedding in NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def target_embedding(targets: NDArray[np.int64], begin: int, token_table: Array, position_table: Array) -> Array:
    """token_table[y_(i-1)] + position_table[i], y_(-1) = begin.

    targets (B, T), token_table (V, E), position_table (P, E)  ->  (B, T, E)
    """
    length, words = targets.shape[1], len(token_table)
    if length > len(position_table):
        raise ValueError(f"position_table has {len(position_table)} rows, fewer than {length} targets")
    if token_table.shape[1] != position_table.shape[1]:
        raise ValueError(f"token_table has width {token_table.shape[1]}, position_table {position_table.shape[1]}")
    if targets.size and not 0 <= targets.min() <= targets.max() < words:
        raise ValueError(f"targets must lie in [0, {words})")
    if not 0 <= begin < words:
        raise ValueError(f"begin must lie in [0, {words}), not {begin}")
    previous = np.empty_like(targets)
    previous[:, :1] = begin
    previous[:, 1:] = targets[:, :-1]
    embedded = token_table[previous]
    embedded += position_table[:length]
    return embedded
