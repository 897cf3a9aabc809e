"""The adaptive softmax in NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def adaptive_log_softmax(
    hidden: Array,
    head: Array,
    tail_projections: tuple[Array, ...],
    tail_outputs: tuple[Array, ...],
    cutoffs: tuple[int, ...],
) -> Array:
    """Log-probabilities of all words; each tail is computed in its place in the result.

    hidden (N, H), head (H, c0 + J), tail_projections J of (H, h_j), tail_outputs J of (h_j, c_{j+1} - c_j),
    cutoffs (c0, c1, ..., V)  ->  (N, V)
    """
    _check(hidden, head, tail_projections, tail_outputs, cutoffs)
    top = _normalize(hidden @ head)
    result = np.empty((len(hidden), cutoffs[-1]), hidden.dtype)
    result[:, : cutoffs[0]] = top[:, : cutoffs[0]]
    for j, (projection, output) in enumerate(zip(tail_projections, tail_outputs, strict=True)):
        tail = result[:, cutoffs[j] : cutoffs[j + 1]]
        np.matmul(hidden @ projection, output, out=tail)
        _normalize(tail)
        tail += top[:, cutoffs[0] + j, None]
    return result


def adaptive_softmax_loss(
    hidden: Array,
    head: Array,
    tail_projections: tuple[Array, ...],
    tail_outputs: tuple[Array, ...],
    cutoffs: tuple[int, ...],
    targets: NDArray[np.int64],
) -> Array:
    """-log p(targets[n]): the head for all rows, each tail for the rows whose targets are in it.

    hidden (N, H), head (H, c0 + J), tail_projections J of (H, h_j), tail_outputs J of (h_j, c_{j+1} - c_j),
    cutoffs (c0, c1, ..., V), targets (N,) ids  ->  (N,)
    """
    _check(hidden, head, tail_projections, tail_outputs, cutoffs)
    if targets.shape != hidden.shape[:1]:
        raise ValueError(f"targets has shape {targets.shape}, expected {hidden.shape[:1]}")
    if ((targets < 0) | (targets >= cutoffs[-1])).any():
        raise ValueError(f"targets must lie in [0, {cutoffs[-1]})")
    cluster = np.searchsorted(cutoffs, targets, side="right")  # 0: the short list, j + 1: tail j
    loss = _losses(hidden @ head, np.where(cluster == 0, targets, cutoffs[0] - 1 + cluster))
    for j, (projection, output) in enumerate(zip(tail_projections, tail_outputs, strict=True)):
        rows = np.flatnonzero(cluster == j + 1)
        if rows.size:
            loss[rows] += _losses(hidden[rows] @ projection @ output, targets[rows] - cutoffs[j])
    return loss


def adaptive_softmax_predict(
    hidden: Array,
    head: Array,
    tail_projections: tuple[Array, ...],
    tail_outputs: tuple[Array, ...],
    cutoffs: tuple[int, ...],
) -> NDArray[np.int64]:
    """The likeliest word; a tail is entered only by rows where it outweighs the best word found before.

    hidden (N, H), head (H, c0 + J), tail_projections J of (H, h_j), tail_outputs J of (h_j, c_{j+1} - c_j),
    cutoffs (c0, c1, ..., V)  ->  (N,) ids
    """
    _check(hidden, head, tail_projections, tail_outputs, cutoffs)
    top = _normalize(hidden @ head)
    word: NDArray[np.int64] = top[:, : cutoffs[0]].argmax(axis=1)
    best = np.take_along_axis(top, word[:, None], axis=1)[:, 0]
    for j, (projection, output) in enumerate(zip(tail_projections, tail_outputs, strict=True)):
        rows = np.flatnonzero(top[:, cutoffs[0] + j] > best)
        scores = hidden[rows] @ projection @ output
        likeliest = scores.argmax(axis=1)
        found = top[rows, cutoffs[0] + j] - _losses(scores, likeliest)
        better = found > best[rows]
        word[rows[better]], best[rows[better]] = cutoffs[j] + likeliest[better], found[better]
    return word


def _normalize(scores: Array) -> Array:
    """The scores minus log(sum(exp(scores))), in place."""
    scores -= scores.max(axis=1, keepdims=True)
    scores -= np.log(np.exp(scores).sum(axis=1, keepdims=True))
    return scores


def _losses(scores: Array, targets: NDArray[np.int64]) -> Array:
    """-log_softmax(scores) at the targets; the scores are overwritten. (N, n), (N,)  ->  (N,)."""
    scores -= scores.max(axis=1, keepdims=True)
    chosen = np.take_along_axis(scores, targets[:, None], axis=1)[:, 0]
    loss: Array = np.log(np.exp(scores, out=scores).sum(axis=1)) - chosen
    return loss


def _check(
    hidden: Array,
    head: Array,
    tail_projections: tuple[Array, ...],
    tail_outputs: tuple[Array, ...],
    cutoffs: tuple[int, ...],
) -> None:
    """Refuse weights that do not fit the hidden states and the cutoffs."""
    if not cutoffs or any(end <= start for start, end in zip((0, *cutoffs), cutoffs, strict=False)):
        raise ValueError(f"cutoffs must increase from above 0, not {cutoffs}")
    width, tails = hidden.shape[1], len(cutoffs) - 1
    if head.shape != (width, cutoffs[0] + tails):
        raise ValueError(f"head has shape {head.shape}, expected {(width, cutoffs[0] + tails)}")
    if len(tail_projections) != tails:
        raise ValueError(f"tail_projections has {len(tail_projections)} matrices for {tails} tails")
    if len(tail_outputs) != tails:
        raise ValueError(f"tail_outputs has {len(tail_outputs)} matrices for {tails} tails")
    for j, (projection, output) in enumerate(zip(tail_projections, tail_outputs, strict=True)):
        if projection.shape[0] != width:
            raise ValueError(f"tail_projections[{j}] has {projection.shape[0]} rows, not {width}")
        expected = (projection.shape[1], cutoffs[j + 1] - cutoffs[j])
        if output.shape != expected:
            raise ValueError(f"tail_outputs[{j}] has shape {output.shape}, expected {expected}")
