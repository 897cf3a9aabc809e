"""TODO-TITLE shared."""

from __future__ import annotations

from typing import Any

import numpy as np

from layerlaws.language import TEXTURES, Arguments, Array, arrays, extents, matrix, require
from layerlaws.language import strategies as st


@st.composite
def convolutions(
    draw: st.DrawFn, odd: bool = False, doubled: bool = False, textures: tuple[str, ...] = tuple(TEXTURES)
) -> Arguments:
    """A sequence and a kernel. odd: of odd width. doubled: with twice as many channels out as in."""
    batch, length, channels, out = draw(extents(4, edges=(1, 2, 3)))
    width = draw(st.sampled_from([1, 3, 5, 7] if odd else [1, 2, 3, 4, 5]))
    out = 2 * channels if doubled else out
    x, kernel, bias = draw(arrays((batch, length, channels), (width, channels, out), (out,), textures=textures))
    return {"x": x, "kernel": kernel, "bias": bias}


def _convolve(x: Array, kernel: Array, bias: Array, before: int, after: int, **padding: Any) -> Array:
    """A convolution with the knobs that faults turn, tap by tap."""
    require(kernel.shape[1] == x.shape[-1], "kernel does not fit x")
    padded = np.pad(x, ((0, 0), (before, after), (0, 0)), **padding)
    steps = max(padded.shape[1] - kernel.shape[0] + 1, 0)
    return bias + sum(padded[:, k : k + steps] @ tap for k, tap in enumerate(kernel))


def _odd(kernel: Array) -> int:
    require(kernel.shape[0] % 2, "kernel is of even width")
    return int(kernel.shape[0] // 2)


LAYER = {"B": 32, "T": 50, "C": 512, "K": 3}
"""A layer of ConvS2S, whose convolution writes twice as many channels as it reads."""


def _layer(random: np.random.Generator, B: int, T: int, C: int, K: int) -> Arguments:
    kernel = matrix(random, K * C, 2 * C).reshape(K, C, 2 * C)
    return {"x": random.standard_normal((B, T, C)), "kernel": kernel, "bias": random.standard_normal(2 * C) / 8}
