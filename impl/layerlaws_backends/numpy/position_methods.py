"""Learned positions and relative attention in NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

Array = NDArray[Any]

_ROWS = 64
"""Queries per block: their scores against 512 keys stay in the second-level cache."""


def learned_positions(x: Array, table: Array) -> Array:
    """x + table[:T]. x (B, T, D), table (P, D)  ->  (B, T, D)."""
    if len(table) < x.shape[1]:
        raise ValueError(f"table has {len(table)} rows, fewer than {x.shape[1]} positions")
    if table.shape[1] != x.shape[2]:
        raise ValueError(f"table is {table.shape[1]} wide, x {x.shape[2]}")
    result: Array = x + table[: x.shape[1]]
    return result


def relative_attention(
    query: Array, key: Array, value: Array, key_table: Array, value_table: Array, mask: Array | None
) -> Array:
    """Attention whose keys and values have a row by distance added, in blocks of queries.

    No pair of positions ever has a vector of its own. A block's scores stand in a buffer whose columns are distances:
    each row begins one column further left than the one above it, so that a row of a table belongs to a column.

    query (B, H, T, d), key (B, H, S, d), value (B, H, S, e), key_table (2k + 1, d), value_table (2k + 1, e),
    mask (B, H, T, S) or None  ->  (B, H, T, e)
    """
    _check(query, key, value, key_table, value_table, mask)
    length = query.shape[2]
    query = query * query.dtype.type(query.shape[3] ** -0.5)
    result = np.empty((*query.shape[:3], value.shape[3]), value.dtype)
    for start in range(0, length, _ROWS):
        block = slice(start, min(start + _ROWS, length))
        seen = None if mask is None else mask[:, :, block]
        result[:, :, block] = _attended(query[:, :, block], start, key, value, key_table, value_table, seen)
    return result


def _attended(
    query: Array, start: int, key: Array, value: Array, key_table: Array, value_table: Array, mask: Array | None
) -> Array:
    """The results of queries from position `start` on, which are scaled already. -> (B, H, R, e)."""
    batch, heads, rows, _ = query.shape
    columns, reach = rows + key.shape[2] - 1, len(key_table) // 2  # column c is distance c - zero
    zero = rows - 1 + start
    # Columns before `left` are farther than the reach, and so are those from `right` on; table rows for the others.
    left, right = (min(max(c, 0), columns) for c in (zero - reach, zero + reach + 1))
    within = slice(left - zero + reach, right - zero + reach) if left < right else slice(0, 0)

    skewed = np.full((batch, heads, rows, columns), -np.inf, query.dtype)
    scores = _straightened(skewed, key.shape[2])  # a view of it: (B, H, R, S)
    np.matmul(query, key.swapaxes(-1, -2), out=scores)
    if mask is not None:
        np.copyto(scores, -np.inf, where=~mask)
    relative = query @ key_table.T  # (B, H, R, 2k + 1)
    skewed[..., :left] += relative[..., :1]
    skewed[..., left:right] += relative[..., within]
    skewed[..., right:] += relative[..., -1:]

    highest = skewed.max(axis=-1, keepdims=True)
    np.copyto(highest, 0, where=np.isneginf(highest))  # queries that see nothing
    skewed -= highest
    np.exp(skewed, out=skewed)
    total = skewed.sum(axis=-1, keepdims=True)
    np.copyto(total, 1, where=total == 0)

    weights = np.zeros_like(relative)  # by row of the table
    weights[..., within] = skewed[..., left:right]
    weights[..., 0] += skewed[..., :left].sum(axis=-1)
    weights[..., -1] += skewed[..., right:].sum(axis=-1)
    result: Array = scores @ value
    result += weights @ value_table
    result /= total
    return result


def _straightened(skewed: Array, keys: int) -> Array:
    """Key j of row i stands in column R - 1 - i + j. A view: (B, H, R, R + S - 1) -> (B, H, R, S)."""
    *outer, row, step = skewed.strides
    rows = skewed.shape[2]
    return as_strided(skewed[..., rows - 1 :], (*skewed.shape[:3], keys), (*outer, row - step, step))


def _check(query: Array, key: Array, value: Array, key_table: Array, value_table: Array, mask: Array | None) -> None:
    if len(key_table) % 2 == 0:
        raise ValueError(f"key_table has {len(key_table)} rows, an even number: none is for distance 0")
    if len(value_table) != len(key_table):
        raise ValueError(f"value_table has {len(value_table)} rows, key_table {len(key_table)}")
    if key.shape[3] != query.shape[3]:
        raise ValueError(f"key is {key.shape[3]} wide, query {query.shape[3]}")
    if key_table.shape[1] != query.shape[3]:
        raise ValueError(f"key_table is {key_table.shape[1]} wide, query {query.shape[3]}")
    if value_table.shape[1] != value.shape[3]:
        raise ValueError(f"value_table is {value_table.shape[1]} wide, value {value.shape[3]}")
    if value.shape[2] != key.shape[2]:
        raise ValueError(f"value has {value.shape[2]} positions, key has {key.shape[2]}")
    scores = (*query.shape[:3], key.shape[2])
    if mask is not None and mask.shape != scores:
        raise ValueError(f"mask has shape {mask.shape}, expected {scores}")
