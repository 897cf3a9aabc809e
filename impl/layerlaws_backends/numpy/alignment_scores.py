"""Luong's alignment scores in NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def dot_score(query: Array, keys: Array) -> Array:
    """query . key of every pair. query (B, T, D), keys (B, S, D)  ->  (B, T, S)."""
    if query.shape[-1] != keys.shape[-1]:
        raise ValueError(f"keys are {keys.shape[-1]} wide, query {query.shape[-1]}")
    scores: Array = query @ keys.swapaxes(1, 2)
    return scores


def general_score(query: Array, keys: Array, w: Array) -> Array:
    """query w keyT of every pair. query (B, T, Q), keys (B, S, M), w (Q, M)  ->  (B, T, S)."""
    if w.shape != (query.shape[-1], keys.shape[-1]):
        raise ValueError(f"w has shape {w.shape}, expected {(query.shape[-1], keys.shape[-1])}")
    if query.shape[1] <= keys.shape[1]:  # project what there is less of
        projected: Array = _times(query, w) @ keys.swapaxes(1, 2)
        return projected
    scores: Array = query @ _times(keys, w.T).swapaxes(1, 2)
    return scores


def concat_score(query: Array, keys: Array, w: Array, v: Array) -> Array:
    """v . tanh([query; key] w) of every pair: each state meets its own rows of w once, not once per pair.

    query (B, T, Q), keys (B, S, M), w (Q + M, A), v (A,)  ->  (B, T, S)
    """
    width = query.shape[-1]
    if len(w) != width + keys.shape[-1]:
        raise ValueError(f"w has {len(w)} rows, not {width} + {keys.shape[-1]}")
    if v.shape != w.shape[1:]:
        raise ValueError(f"v has {len(v)} elements, w {w.shape[1]} columns")
    hidden: Array = _times(query, w[:width])[:, :, None] + _times(keys, w[width:])[:, None]  # (B, T, S, A)
    np.tanh(hidden, out=hidden)
    scores: Array = hidden @ v
    return scores


def _times(x: Array, w: Array) -> Array:
    """x w as one product of two matrices. (B, N, D), (D, E)  ->  (B, N, E)."""
    batch, length, width = x.shape
    product: Array = x.reshape(batch * length, width) @ w
    return product.reshape(batch, length, w.shape[1])
