"""ELMo's mix of layers in NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def scalar_mix(layers: Array, scores: Array, gamma: Array) -> Array:
    """gamma sum_j softmax(scores)_j layers_j, as one vector-matrix product.

    layers (L, B, T, D), scores (L,), gamma ()  ->  (B, T, D)
    """
    if not len(layers):
        raise ValueError("layers must hold one layer at least")
    if scores.shape != layers.shape[:1]:
        raise ValueError(f"scores has shape {scores.shape}, there are {len(layers)} layers")
    if gamma.shape != ():
        raise ValueError(f"gamma has shape {gamma.shape}, it is one number")
    weights = np.exp(scores - scores.max())
    weights *= gamma / weights.sum()
    mixed: Array = np.tensordot(weights, layers, axes=1)
    return mixed
