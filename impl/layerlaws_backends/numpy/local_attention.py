"""Local attention in NumPy. Beside its results it touches 2 w + 1 source states per step, whatever S is."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

Array = NDArray[Any]

_GATHERED = 1 << 18
"""Numbers gathered at a time: as many as the second-level cache holds of them."""


def local_attention_monotonic(query: Array, keys: Array, window: int) -> tuple[Array, Array]:
    """Attention of step t over the states t - window to t + window, which are strided views of the keys.

    query (B, T, D), keys (B, S, D)  ->  context (B, T, D), weights (B, T, S)
    """
    _, length, width = query.shape
    batch, count, _ = keys.shape
    if window < 0:
        raise ValueError(f"window = {window} is negative")
    if keys.shape[2] != width:
        raise ValueError(f"keys are {keys.shape[2]} wide, query {width}")
    reach = min(window, max(length, count))
    steps = min(length, count + reach)  # those behind have empty windows
    read = min(count, steps + reach)
    padded = np.zeros((batch, steps + 2 * reach, width), keys.dtype)
    padded[:, reach : reach + read] = keys[:, :read]
    windows = sliding_window_view(padded, 2 * reach + 1, axis=1)  # (B, steps, D, 2 w + 1), nothing copied
    places = np.arange(steps)[:, None] + np.arange(-reach, reach + 1)  # (steps, 2 w + 1)
    inside = (places >= 0) & (places < count)

    shares = (query[:, :steps, None] @ windows)[:, :, 0]
    _softmax(shares, inside)
    context = np.zeros((batch, length, width), query.dtype)
    np.matmul(shares[:, :, None], windows.swapaxes(2, 3), out=context[:, :steps, None])
    weights = np.zeros((batch, length, count), query.dtype)
    step, offset = np.nonzero(inside)
    weights[:, step, places[inside]] = shares[:, step, offset]
    return context, weights


def local_attention_predictive(query: Array, keys: Array, w_p: Array, v_p: Array, window: int) -> tuple[Array, Array]:
    """Attention over window states to each side of a predicted place, times a Gaussian around the prediction.

    query (B, T, D), keys (B, S, D), w_p (D, A), v_p (A,)  ->  context (B, T, D), weights (B, T, S)
    """
    batch, length, width = query.shape
    count = keys.shape[1]
    if window < 1:
        raise ValueError(f"window = {window} is empty: it reaches at least 1")
    if keys.shape[2] != width:
        raise ValueError(f"keys are {keys.shape[2]} wide, query {width}")
    if w_p.shape[0] != width:
        raise ValueError(f"w_p has {w_p.shape[0]} rows, query is {width} wide")
    if v_p.shape != w_p.shape[1:]:
        raise ValueError(f"v_p has {len(v_p)} elements, w_p {w_p.shape[1]} columns")
    queries = query.reshape(batch * length, width)
    centres = count * _sigmoid(np.tanh(queries @ w_p) @ v_p)
    middle = np.floor(np.where(np.isnan(centres), 0, centres)).astype(np.int64)  # its weights are not numbers, too

    # Every step reads as many states as a window has, or as there are: those inside the sentence, none twice.
    read = min(2 * window + 1, count)
    first = np.clip(middle - window, 0, count - read)
    places = first[:, None] + np.arange(read)  # (B T, read)
    inside = np.abs(places - middle[:, None]) <= window
    rows = places + np.repeat(np.arange(batch) * count, length)[:, None]
    states = keys.reshape(batch * count, width)

    context = np.empty((batch * length, width), query.dtype)
    shares = np.empty((batch * length, read), query.dtype)
    falloff = np.exp(np.square(places - centres[:, None]) * (-2 / window**2)).astype(query.dtype)
    block = max(1, _GATHERED // (read * max(width, 1)))
    for start in range(0, batch * length, block):
        part = slice(start, start + block)
        near = states[rows[part]]  # (block, read, D)
        np.matmul(near, queries[part, :, None], out=shares[part, :, None])
        _softmax(shares[part], inside[part])
        shares[part] *= falloff[part]
        np.matmul(shares[part, None], near, out=context[part, None])
    weights = np.zeros((batch, length, count), query.dtype)
    np.put_along_axis(weights.reshape(batch * length, count), places, shares, axis=1)
    return context.reshape(batch, length, width), weights


def _softmax(scores: Array, inside: Array) -> None:
    """Turns scores into shares of the places inside, of which every row has one at least; 0 at the others."""
    np.copyto(scores, -np.inf, where=~inside)
    scores -= scores.max(axis=-1, keepdims=True)
    np.exp(scores, out=scores)
    scores /= scores.sum(axis=-1, keepdims=True)


def _sigmoid(x: Array) -> Array:
    """1 / (1 + exp(-x)); where exp overflows the quotient is 0, as it should be."""
    with np.errstate(over="ignore"):
        result: Array = 1 / (1 + np.exp(-x))
    return result
