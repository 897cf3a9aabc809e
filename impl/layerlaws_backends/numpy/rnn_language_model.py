"""The recurrent language model in NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def rnn_language_model(
    tokens: NDArray[np.int64],
    state: Array,
    token_table: Array,
    w_x: Array,
    w_h: Array,
    b_h: Array,
    w_out: Array,
    b_out: Array,
) -> tuple[Array, Array]:
    """One product with w_x for all steps, one with w_h for each, one with w_out for all.

    tokens (B, T), state (B, H), token_table (V, E), w_x (E, H), w_h (H, H), b_h (H,), w_out (H, V), b_out (V,)
    ->  log-probabilities (B, T, V), state (B, H)
    """
    (batch, length), (words, embedding), hidden = tokens.shape, token_table.shape, b_h.shape[0]
    if tokens.size and not 0 <= tokens.min() <= tokens.max() < words:
        raise ValueError(f"tokens must lie in [0, {words})")
    shapes = {
        "state": (state, (batch, hidden)),
        "w_x": (w_x, (embedding, hidden)),
        "w_h": (w_h, (hidden, hidden)),
        "w_out": (w_out, (hidden, words)),
        "b_out": (b_out, (words,)),
    }
    for name, (array, shape) in shapes.items():
        if array.shape != shape:
            raise ValueError(f"{name} has shape {array.shape}, expected {shape}")
    states = token_table[tokens.T.ravel()] @ w_x  # time first: the numbers of a step lie together
    states += b_h
    states = states.reshape(length, batch, hidden)
    last = state
    for step in states:
        step += last @ w_h
        last = np.tanh(step, out=step)
    scores = states.swapaxes(0, 1).reshape(-1, hidden) @ w_out
    scores += b_out
    scores -= scores.max(axis=-1, keepdims=True)
    scores -= np.log(np.exp(scores).sum(axis=-1, keepdims=True))
    return scores.reshape(batch, length, words), last.copy()
