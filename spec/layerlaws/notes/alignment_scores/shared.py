"""TODO-TITLE shared."""

from __future__ import annotations

import numpy as np

from layerlaws.language import Arguments, Array, Cost, require

PARAMETERS = ("integers", "normal", "one-hot", "sparse", "tiny")
"""Textures of weights: none so large that every tanh is saturated."""


def _dot(query: Array, keys: Array) -> Array:
    require(query.shape[-1] == keys.shape[-1], "keys and query differ in width")
    return query @ keys.swapaxes(-1, -2)


SENTENCES = {"B": 128, "T": 1, "S": 50, "D": 1000}
"""One step of decoding, 128 sentences of 50 words, 1,000 units (Luong et al. 2015, section 4)."""


def _states(random: np.random.Generator, B: int, T: int, S: int, D: int) -> Arguments:
    return {"query": np.tanh(random.standard_normal((B, T, D))), "keys": np.tanh(random.standard_normal((B, S, D)))}


def _dot_cost(B: int, T: int, S: int, D: int) -> Cost:
    """One product of all pairs; both sides' states are read."""
    return Cost(flops=2 * B * T * S * D, moved=B * ((T + S) * D + T * S))
