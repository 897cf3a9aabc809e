"""Windows of whole places, plain attention that reads them alone, and the sources it is for."""

from __future__ import annotations

import numpy as np

from layerlaws.language import Array, Ids, Mask, normal, require, rewritten, softmax


def _near(centres: Array, window: int, count: int) -> Mask:
    """True at the places within a window of whole centres. (...) -> (..., count)."""
    return np.abs(np.arange(count) - np.asarray(centres)[..., None]) <= window


def _rewritten_state(keys: Array, s: int, seed: int) -> Array:
    """The keys with another state at s, in every row of the batch."""
    place = (slice(None), s)
    return rewritten(keys, place, keys[place] + normal(seed, keys[place].shape, keys) + keys.dtype.type(64))


def _read(
    query: Array,
    keys: Array,
    near: Mask | bool,
    falloff: Array | float = 1.0,
    axis: int = -1,
    fill: float = -np.inf,
    least: float = -np.inf,
) -> tuple[Array, Array]:
    """Context and weights of plain attention over the places that are near.

    fill: what stands for scores of other places. least: where the greatest score is looked for from.
    """
    require(query.shape[-1] == keys.shape[-1], "keys and query differ in width")
    scores = query @ keys.swapaxes(-1, -2)
    if np.isneginf(fill) and np.isneginf(least):
        weights = softmax(scores, where=near, axis=axis) * falloff
        return weights @ keys, weights
    seen = np.broadcast_to(near, scores.shape)
    filled = np.where(seen, scores, np.asarray(fill, scores.dtype))
    some = np.isfinite(fill) | np.any(seen, axis=axis, keepdims=True)
    highest = np.maximum(np.max(filled, axis=axis, keepdims=True), least)
    raised = np.exp(filled - np.where(some, highest, 0.0))
    weights = raised / np.where(some, np.sum(raised, axis=axis, keepdims=True), 1.0) * falloff
    return weights @ keys, weights


def _steps(query: Array, keys: Array, window: int) -> Ids:
    """How far every state lies after every step. -> (T, S)."""
    require(window >= 0, "window is negative")
    return np.arange(keys.shape[1]) - np.arange(query.shape[1])[:, None]


def _sources(random: np.random.Generator, B: int, T: int, S: int, D: int) -> tuple[Array, Array]:
    """Decoder states, and the states of long sources: whole paragraphs, for which the paper has local attention."""
    return random.standard_normal((B, T, D)) / 4, random.standard_normal((B, S, D))
