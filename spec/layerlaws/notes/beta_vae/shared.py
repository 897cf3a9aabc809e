"""TODO-TITLE shared."""

from __future__ import annotations

import numpy as np

from layerlaws.language import PLAIN, Array

MILD = (*PLAIN, "ties", "one-hot", "sparse", "tiny")
"""Sizes whose exponentials every format holds."""


def divergences(mean: Array, log_variance: Array) -> Array:
    """The terms of twice the divergence, one beside the other: they may be added up in any order. (B, 4 Z)."""
    ones = np.ones(mean.shape, mean.dtype)
    return np.concatenate([np.square(mean), np.exp(log_variance), -ones, -log_variance], axis=1)
