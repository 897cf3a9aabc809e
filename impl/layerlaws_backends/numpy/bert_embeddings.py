"""BERT's embedding layers in NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def segment_ids(first_length: int, second_length: int | None) -> NDArray[np.int64]:
    """0 for [CLS] A [SEP], 1 for B [SEP]. -> (T,)."""
    if first_length < 0 or (second_length or 0) < 0:
        raise ValueError(f"first_length and second_length are lengths, not {first_length} and {second_length}")
    ids = np.zeros(first_length + 2 + (second_length + 1 if second_length else 0), np.int64)
    ids[first_length + 2 :] = 1
    return ids


def bert_embeddings(
    token_ids: NDArray[np.int64],
    segment_ids: NDArray[np.int64],
    token_table: Array,
    segment_table: Array,
    position_table: Array,
    scale: Array,
    shift: Array,
    epsilon: float,
) -> Array:
    """LayerNorm(token + segment + position), the sum and its normalization in one buffer.

    token_ids, segment_ids (B, T), token_table (V, D), segment_table (2, D), position_table (P, D), scale, shift (D,)
    ->  (B, T, D)
    """
    length, width = token_ids.shape[1], token_table.shape[1]
    if segment_ids.shape != token_ids.shape:
        raise ValueError(f"segment_ids has shape {segment_ids.shape}, token_ids {token_ids.shape}")
    if segment_table.shape != (2, width):
        raise ValueError(f"segment_table has shape {segment_table.shape}, not {(2, width)}")
    if position_table.shape[0] < length or position_table.shape[1] != width:
        raise ValueError(f"position_table has shape {position_table.shape}: {length} rows of {width} are needed")
    if scale.shape != (width,) or shift.shape != (width,):
        raise ValueError(f"scale and shift have shapes {scale.shape} and {shift.shape}, not {(width,)}")
    for name, ids, count in (("token_ids", token_ids, len(token_table)), ("segment_ids", segment_ids, 2)):
        if ids.size and not 0 <= ids.min() <= ids.max() < count:
            raise ValueError(f"{name} must lie in [0, {count})")
    x = token_table[token_ids]
    x += segment_table[segment_ids]
    x += position_table[:length]
    x -= x.mean(axis=-1, keepdims=True)
    variance = np.einsum("btd,btd->bt", x, x)[..., None] / width
    x /= np.sqrt(variance + epsilon)
    x *= scale
    x += shift
    return x
