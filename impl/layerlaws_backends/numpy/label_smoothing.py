"""Label smoothing in NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

_BLOCK = 2**16
"""Logits per block: they stay in the second-level cache between the four passes over them."""


def smooth_labels(one_hot: Array, smoothing: float) -> Array:
    """(1 - smoothing) one_hot + smoothing / K. (N, K) -> (N, K)."""
    _check(smoothing)
    smoothed = one_hot * (1 - smoothing)
    smoothed += smoothing / one_hot.shape[1]
    return smoothed


def label_smoothed_cross_entropy(
    logits: Array, targets: NDArray[np.int64], smoothing: float, ignore_index: int
) -> Array:
    """Mean over the kept rows of log(sum(exp(logits))) less the logits' mean under the smoothed label.

    logits (N, K), targets (N,)  ->  ()
    """
    _check(smoothing)
    classes = logits.shape[1]
    if targets.shape != logits.shape[:1]:
        raise ValueError(f"targets has shape {targets.shape}, logits has {len(logits)} rows")
    kept = np.flatnonzero(targets != ignore_index)
    if not kept.size:
        return np.zeros((), logits.dtype)
    if not 0 <= targets[kept].min() <= targets[kept].max() < classes:
        raise ValueError(f"targets must lie in [0, {classes}) or be {ignore_index}")
    losses = np.empty(kept.size, logits.dtype)
    step = max(_BLOCK // classes, 1)
    for start in range(0, kept.size, step):
        rows = kept[start : start + step]
        shifted = logits[rows]
        shifted -= shifted.max(axis=1, keepdims=True)  # all terms of a row have one sign from here on
        expected = (1 - smoothing) * shifted[np.arange(rows.size), targets[rows]] + smoothing * shifted.mean(axis=1)
        np.exp(shifted, out=shifted)
        losses[start : start + step] = np.log(shifted.sum(axis=1)) - expected
    return np.asarray(losses.mean())


def _check(smoothing: float) -> None:
    if not 0 <= smoothing <= 1:
        raise ValueError(f"smoothing is a share in [0, 1], not {smoothing}")
