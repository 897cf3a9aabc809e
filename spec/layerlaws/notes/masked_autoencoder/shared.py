"""TODO-TITLE shared."""

from __future__ import annotations

import numpy as np

from layerlaws.language import Array

NOISE = ("normal", "normal", "ties", "integers", "sparse")
"""Textures of noise: a good part of it has ties, and zeros of both signs."""


SEEN = ("normal",)
"""Weights through which every influence can be seen."""


def _ranks(noise: Array) -> Array:
    """The place of each token in the stable order of noise, counted one by one."""
    one, other = noise.astype(np.float64)[:, :, None], noise.astype(np.float64)[:, None, :]
    earlier = np.tri(noise.shape[1], k=-1, dtype=bool)  # [i, j]: j before i
    return ((other < one) | ((other == one) & earlier)).sum(axis=2)
