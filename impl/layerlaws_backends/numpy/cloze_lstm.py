"""Cloze windows and the two LSTMs around a gap, in NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

Array = NDArray[Any]


def cloze_windows(tokens: NDArray[np.int64], width: int, padding: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The k = width words on each side of every word. tokens (T,)  ->  contexts (T, 2k), targets (T,)."""
    if width < 1:
        raise ValueError(f"width must be 1 at least, not {width}")
    sides = sliding_window_view(np.pad(tokens, width, constant_values=padding), width)  # (T + k + 1, k)
    return np.concatenate([sides[: len(tokens)], sides[width + 1 :]], axis=1), tokens.copy()


def lstm(x: Array, hidden: Array, cell: Array, w_x: Array, w_h: Array, bias: Array) -> tuple[Array, Array, Array]:
    """One product with w_x for all steps, one with w_h for each.

    x (B, T, E), hidden, cell (B, H), w_x (E, 4H), w_h (H, 4H), bias (4H,)
    ->  output (B, T, H), hidden (B, H), cell (B, H)
    """
    (batch, _, width), units = x.shape, cell.shape[1]
    shapes = {
        "hidden": (hidden, (batch, units)),
        "cell": (cell, (batch, units)),
        "w_x": (w_x, (width, 4 * units)),
        "w_h": (w_h, (units, 4 * units)),
        "bias": (bias, (4 * units,)),
    }
    for name, (array, shape) in shapes.items():
        if array.shape != shape:
            raise ValueError(f"{name} has shape {array.shape}, expected {shape}")
    output, last = _read(x, hidden, cell, w_x, w_h, bias)
    return output, (output[:, -1] if output.shape[1] else hidden).copy(), last


def cloze_lstm(
    embeddings: Array,
    forward: tuple[Array, Array, Array],
    backward: tuple[Array, Array, Array],
    w_out: Array,
    b_out: Array,
) -> Array:
    """Forward states after word i - 1 and backward states after word i + 1, one product with w_out.

    embeddings (B, T, E), forward and backward (w_x (E, 4H), w_h (H, 4H), bias (4H,)), w_out (2H, V), b_out (V,)
    ->  log-probabilities (B, T, V)
    """
    (batch, length, width), units, words = embeddings.shape, w_out.shape[0] // 2, w_out.shape[1]
    if w_out.shape[0] % 2 or b_out.shape != (words,):
        raise ValueError(f"w_out and b_out have the shapes {w_out.shape} and {b_out.shape}, not (2H, V) and (V,)")
    fitting = ((width, 4 * units), (units, 4 * units), (4 * units,))
    for name, side in (("forward", forward), ("backward", backward)):
        if tuple(array.shape for array in side) != fitting:
            raise ValueError(f"{name} has shapes {[array.shape for array in side]}, expected {fitting}")
    states = np.zeros((batch, length, 2 * units), embeddings.dtype)
    nothing = np.zeros((batch, units), embeddings.dtype)
    if length > 1:
        states[:, 1:, :units] = _read(embeddings[:, :-1], nothing, nothing, *forward)[0]
        states[:, -2::-1, units:] = _read(embeddings[:, :0:-1], nothing, nothing, *backward)[0]
    scores = states.reshape(-1, 2 * units) @ w_out
    scores += b_out
    scores -= scores.max(axis=-1, keepdims=True)
    scores -= np.log(np.exp(scores).sum(axis=-1, keepdims=True))
    return scores.reshape(batch, length, words)


def _read(x: Array, hidden: Array, cell: Array, w_x: Array, w_h: Array, bias: Array) -> tuple[Array, Array]:
    """The outputs (B, T, H) and the last cell (B, H)."""
    (batch, length, width), units = x.shape, cell.shape[1]
    gates = x.swapaxes(0, 1).reshape(-1, width) @ w_x  # time first: the numbers of a step lie together
    gates += bias
    output = np.empty((batch, length, units), x.dtype)
    cell = cell.copy()
    for t, step in enumerate(gates.reshape(length, batch, 4 * units)):
        step += hidden @ w_h
        candidate = np.tanh(step[:, 2 * units : 3 * units])
        _sigmoid(step)
        cell *= step[:, units : 2 * units]
        cell += step[:, :units] * candidate
        hidden = np.tanh(cell)
        hidden *= step[:, 3 * units :]
        output[:, t] = hidden
    return output, cell


def _sigmoid(x: Array) -> None:
    """1 / (1 + exp(-x)) in place. Where exp overflows, the result is 0, as it should be."""
    np.negative(x, out=x)
    with np.errstate(over="ignore"):
        np.exp(x, out=x)
    x += 1
    np.reciprocal(x, out=x)
