"""Multi-head attention in NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def _weights(query: Array, key: Array, mask: Array | None) -> Array:
    """Softmax of the scaled scores over the allowed keys, 0 where none is. -> (B, H, T, S)."""
    scores: Array = (query * query.dtype.type(query.shape[-1] ** -0.5)) @ key.swapaxes(-1, -2)
    if mask is not None:
        if mask.shape[-2:] != scores.shape[-2:]:
            raise ValueError(f"mask has the shape {mask.shape}, scores have {scores.shape}")
        np.copyto(scores, -np.inf, where=~mask)
        np.copyto(scores, 0, where=~mask.any(axis=-1, keepdims=True))  # such rows are cleared at the end
    scores -= scores.max(axis=-1, keepdims=True)
    np.exp(scores, out=scores)
    scores /= scores.sum(axis=-1, keepdims=True)
    if mask is not None:
        np.copyto(scores, 0, where=~mask)
    return scores


def scaled_dot_product_attention(query: Array, key: Array, value: Array, mask: Array | None) -> Array:
    """softmax(query keyT / sqrt(d) over the keys that the mask allows) value.

    query (B, H, T, d), key (B, H, S, d), value (B, H, S, e), mask (B, H, T, S) or None  ->  (B, H, T, e)
    """
    if value.shape[2] != key.shape[2]:
        raise ValueError(f"value has {value.shape[2]} positions, key has {key.shape[2]}")
    result: Array = _weights(query, key, mask) @ value
    return result


def multi_head_attention(
    query: Array, key: Array, value: Array, w_q: Array, w_k: Array, w_v: Array, w_o: Array, b_q: Array, b_k: Array,
    b_v: Array, b_o: Array, num_heads: int, mask: Array | None,
) -> tuple[Array, Array]:  # fmt: skip
    """Attention of H heads side by side, between projections.

    query (B, T, D), key and value (B, S, D), w (D, D), b (D,), mask (B, T, S) or None
    ->  output (B, T, D), weights (B, H, T, S)
    """
    width = query.shape[-1]
    if num_heads < 1 or width % num_heads:
        raise ValueError(f"num_heads = {num_heads} does not divide the width {width}")
    if value.shape[1] != key.shape[1]:
        raise ValueError(f"value has {value.shape[1]} positions, key has {key.shape[1]}")

    def project(x: Array, w: Array, b: Array) -> Array:  # (B, T, D) -> (B, H, T, d)
        return (x @ w + b).reshape(*x.shape[:2], num_heads, width // num_heads).swapaxes(1, 2)

    weights = _weights(project(query, w_q, b_q), project(key, w_k, b_k), None if mask is None else mask[:, None])
    mixed = (weights @ project(value, w_v, b_v)).swapaxes(1, 2)  # (B, T, H, d)
    return mixed.reshape(query.shape) @ w_o + b_o, weights
