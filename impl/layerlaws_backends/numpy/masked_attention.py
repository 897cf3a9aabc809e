"""Masked self-attention and teacher forcing in NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

_ROWS = 64
"""Queries per block: their scores against 512 keys stay in the second-level cache."""


def causal_mask(queries: int, keys: int) -> NDArray[np.bool_]:
    """True where key j <= query i + keys - queries. -> (queries, keys)."""
    if queries < 0 or keys < 0:
        raise ValueError(f"queries and keys are lengths, not {queries} and {keys}")
    return np.tri(queries, keys, keys - queries, dtype=bool)


def masked_self_attention(query: Array, key: Array, value: Array) -> Array:
    """Causal attention of the last T of S positions, in blocks of queries that never touch the masked half.

    query (B, H, T, d), key (B, H, S, d), value (B, H, S, e), S >= T  ->  (B, H, T, e)
    """
    length, keys = query.shape[2], key.shape[2]
    if length > keys:
        raise ValueError(f"query has {length} positions, more than the {keys} of key")
    if value.shape[2] != keys:
        raise ValueError(f"value has {value.shape[2]} positions, key has {keys}")
    scale = query.dtype.type(query.shape[-1] ** -0.5)
    result = np.empty((*query.shape[:3], value.shape[-1]), value.dtype)
    future = ~np.tri(_ROWS, dtype=bool)
    for start in range(0, length, _ROWS):
        end = min(start + _ROWS, length)
        seen = keys - length + end  # keys that the last row of the block may see
        scores = (query[:, :, start:end] * scale) @ key[:, :, :seen].swapaxes(-1, -2)
        np.copyto(scores[..., keys - length + start :], -np.inf, where=future[: end - start, : end - start])
        scores -= scores.max(axis=-1, keepdims=True)
        np.exp(scores, out=scores)
        total = scores.sum(axis=-1, keepdims=True)
        np.matmul(scores, value[:, :, :seen], out=result[:, :, start:end])
        result[:, :, start:end] /= total
    return result


def teacher_forcing(targets: Array, begin: int, end: int) -> tuple[Array, Array]:
    """[begin] + targets and targets + [end]. targets (B, T)  ->  two (B, T + 1)."""
    inputs, expected = (np.empty((targets.shape[0], targets.shape[1] + 1), np.int64) for _ in range(2))
    inputs[:, 0], inputs[:, 1:] = begin, targets
    expected[:, :-1], expected[:, -1] = targets, end
    return inputs, expected
