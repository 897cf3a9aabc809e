"""Multi-head attention in NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

_ROWS = 64
"""Queries per block: the passes over their scores find them in a cache."""


def scaled_dot_product_attention(query: Array, key: Array, value: Array, mask: Array | None) -> Array:
    """softmax(query keyT / sqrt(d) over the keys that the mask allows) value.

    query (B, H, T, d), key (B, H, S, d), value (B, H, S, e), mask (B, H, T, S) or None  ->  (B, H, T, e)
    """
    if value.shape[2] != key.shape[2]:
        raise ValueError(f"value has {value.shape[2]} positions, key has {key.shape[2]}")
    if mask is not None and mask.shape[2:] != (query.shape[2], key.shape[2]):
        raise ValueError(f"mask has shape {mask.shape}, expected (..., {query.shape[2]}, {key.shape[2]})")
    scale = query.dtype.type(query.shape[-1] ** -0.5)
    result = np.empty((*query.shape[:3], value.shape[3]), value.dtype)
    for start in range(0, query.shape[2], _ROWS):
        rows = np.s_[:, :, start : start + _ROWS]
        scores = (query[rows] * scale) @ key.swapaxes(2, 3)
        total = _exponentials(scores, None if mask is None else mask[rows])
        np.matmul(scores, value, out=result[rows])
        result[rows] /= total  # fewer numbers than there are weights
    return result


def multi_head_attention(
    query: Array,
    key: Array,
    value: Array,
    w_q: Array,
    w_k: Array,
    w_v: Array,
    w_o: Array,
    b_q: Array,
    b_k: Array,
    b_v: Array,
    b_o: Array,
    num_heads: int,
    mask: Array | None,
) -> tuple[Array, Array]:
    """Attention of H heads side by side, between projections.

    query (B, T, D), key and value (B, S, D), w (D, D), b (D,), mask (B, T, S) or None
    ->  output (B, T, D), weights (B, H, T, S)
    """
    width = query.shape[-1]
    if num_heads < 1 or width % num_heads:
        raise ValueError(f"num_heads = {num_heads} does not divide the width {width}")
    if value.shape[1] != key.shape[1]:
        raise ValueError(f"value has {value.shape[1]} positions, key has {key.shape[1]}")

    if mask is not None and mask.shape[1:] != (query.shape[1], key.shape[1]):
        raise ValueError(f"mask has shape {mask.shape}, expected (..., {query.shape[1]}, {key.shape[1]})")

    def project(x: Array, w: Array, b: Array) -> Array:  # (B, T, D) -> (B, H, T, d)
        return _linear(x, w, b).reshape(*x.shape[:2], num_heads, width // num_heads).swapaxes(1, 2)

    q, k, v = project(query, w_q, b_q), project(key, w_k, b_k), project(value, w_v, b_v)
    q *= query.dtype.type((width // num_heads) ** -0.5)
    weights = np.empty((*q.shape[:3], k.shape[2]), q.dtype)
    mixed = np.empty(query.shape, q.dtype)
    by_head = mixed.reshape(*query.shape[:2], num_heads, -1).swapaxes(1, 2)
    for start in range(0, q.shape[2], _ROWS):
        rows = np.s_[:, :, start : start + _ROWS]
        np.matmul(q[rows], k.swapaxes(2, 3), out=weights[rows])
        weights[rows] /= _exponentials(weights[rows], None if mask is None else mask[:, None][rows])
        np.matmul(weights[rows], v, out=by_head[rows])
    return _linear(mixed, w_o, b_o), weights


def _exponentials(scores: Array, mask: Array | None) -> Array:
    """exp(scores - maximum) in place, 0 for hidden keys; returns their sums, 1 where all are hidden. -> (..., 1)."""
    if mask is not None:
        np.copyto(scores, -np.inf, where=~mask)
    highest = scores.max(axis=-1, keepdims=True)
    if mask is not None:
        np.copyto(highest, 0, where=np.isneginf(highest))
    scores -= highest
    np.exp(scores, out=scores)
    total: Array = scores.sum(axis=-1, keepdims=True)
    if mask is not None:
        np.copyto(total, 1, where=total == 0)
    return total


def _linear(x: Array, w: Array, b: Array) -> Array:
    """x w + b as one product of two matrices. (B, T, D), (D, E), (E,)  ->  (B, T, E)."""
    result: Array = x.reshape(-1, x.shape[2]) @ w
    result += b
    return result.reshape(*x.shape[:2], w.shape[1])
