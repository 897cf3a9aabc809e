"""Weights of attention: as they are defined, and with the knobs that faults turn."""

from __future__ import annotations

import numpy as np

from layerlaws.language import Array, Ids, Mask, require, root, softmax


def attention_weights(query: Array, key: Array, mask: Mask | None) -> Array:
    """softmax(query keyT / sqrt(d)) over the allowed keys. (B, H, T, d), (B, H, S, d) -> (B, H, T, S)."""
    scores = query @ key.swapaxes(-1, -2) / root(query.shape[-1])
    if mask is not None:
        require(np.shape(mask) == scores.shape, f"mask has shape {np.shape(mask)}, expected {scores.shape}")
    return softmax(scores, where=True if mask is None else mask)


def allowed(mask: Mask | None, query: Array, key: Array) -> Mask:
    """The mask, all of it where there is none. -> (..., T, S) bool."""
    return np.ones((*query.shape[:-1], key.shape[-2]), bool) if mask is None else mask


def plain_weights(
    query: Array,
    key: Array,
    mask: Mask | None,
    *,
    scale: float | None = None,
    axis: int | tuple[int, int] = -1,
    fill: float = -np.inf,
    bias: Array = 0.0,
    shift: bool = True,
    extra: float = 0.0,
    least: float = -np.inf,
) -> Array:
    """Weights of plain attention, with the knobs that faults turn; a row that sees nothing gets weights 0."""
    scores = query @ key.swapaxes(-1, -2) * (query.shape[-1] ** -0.5 if scale is None else scale) + bias
    seen = allowed(mask, query, key)
    require(seen.shape == scores.shape, f"mask has shape {seen.shape}, expected {scores.shape}")
    scores = np.where(seen, scores, np.asarray(fill, query.dtype))
    highest = np.maximum(np.max(scores, axis=axis, keepdims=True), least) if shift else 0.0
    raised = np.exp(scores - np.where(np.isfinite(highest), highest, 0.0))
    total = np.sum(raised, axis=axis, keepdims=True) + extra
    some = seen.any(axis=axis, keepdims=True) | np.isfinite(fill)  # the others are divided by a sum of zeros
    return np.divide(raised, np.where(some, total, 1.0)).astype(query.dtype)


def bare_weights(query: Array, key: Array, mask: Mask | None) -> Array:
    """Weights as a mask that is added gives them: not a number where a row has nothing but -inf."""
    hidden = np.where(allowed(mask, query, key), 0.0, -np.inf).astype(query.dtype)
    scores = query @ key.swapaxes(-1, -2) / root(query.shape[-1]) + hidden
    raised = np.exp(scores - np.max(scores, axis=-1, keepdims=True))
    return raised / np.sum(raised, axis=-1, keepdims=True)


def distances(query: Array, key: Array) -> Ids:
    """|i - j| of query i and key j, (T, S)."""
    return np.abs(np.arange(query.shape[-2])[:, None] - np.arange(key.shape[-2]))
