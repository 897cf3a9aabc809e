"""The convolutions of ConvS2S in NumPy: one matrix product over strided windows."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

Array = NDArray[Any]


def encoder_convolution(x: Array, kernel: Array, bias: Array) -> Array:
    """Convolution with (K - 1)/2 zeros on each side. x (B, T, C), kernel (K, C, O), bias (O,)  ->  (B, T, O)."""
    if kernel.shape[0] % 2 == 0:
        raise ValueError(f"kernel has the even width {kernel.shape[0]}: it has no middle")
    half = kernel.shape[0] // 2
    return _convolution(x, kernel, bias, half, half)


def decoder_convolution(x: Array, kernel: Array, bias: Array) -> Array:
    """Convolution with K - 1 zeros in front. x (B, T, C), kernel (K, C, O), bias (O,)  ->  (B, T, O)."""
    return _convolution(x, kernel, bias, kernel.shape[0] - 1, 0)


def gated_linear_unit(x: Array) -> Array:
    """First half times sigmoid of the second. (..., 2C)  ->  (..., C)."""
    if x.shape[-1] % 2:
        raise ValueError(f"x has {x.shape[-1]} channels, which have no halves")
    content, gate = np.split(x, 2, axis=-1)
    divisor = np.negative(gate)
    with np.errstate(over="ignore"):  # a gate that is shut: exp(-gate) is infinite, the quotient 0
        np.exp(divisor, out=divisor)
    divisor += 1
    result: Array = np.divide(content, divisor, out=divisor)
    return result


def conv_s2s_block(x: Array, kernel: Array, bias: Array, causal: bool) -> Array:
    """(x + glu(convolution)) sqrt(1/2). x (B, T, C), kernel (K, C, 2C), bias (2C,)  ->  (B, T, C)."""
    if kernel.shape[2] != 2 * x.shape[-1]:
        raise ValueError(f"kernel writes {kernel.shape[2]} channels, not twice the {x.shape[-1]} of x")
    result = gated_linear_unit((decoder_convolution if causal else encoder_convolution)(x, kernel, bias))
    result += x
    result *= math.sqrt(0.5)
    return result


def _convolution(x: Array, kernel: Array, bias: Array, before: int, after: int) -> Array:
    """Correlation with zeros around x: the windows, copied side by side, times all taps at once."""
    width, channels, out = kernel.shape
    if width < 1:
        raise ValueError("kernel has no taps")
    if x.shape[2] != channels:
        raise ValueError(f"kernel reads {channels} channels, x has {x.shape[2]}")
    if bias.shape != (out,):
        raise ValueError(f"bias has shape {bias.shape}, kernel writes {out} channels")
    batch, length, _ = x.shape
    padded = np.zeros((batch, before + length + after, channels), x.dtype)
    padded[:, before : before + length] = x
    windows = sliding_window_view(padded, (width, channels), axis=(1, 2))[:, :, 0]  # (B, T, K, C)
    steps = windows.shape[1]
    result: Array = windows.reshape(batch * steps, width * channels) @ kernel.reshape(width * channels, out)
    result += bias
    return result.reshape(batch, steps, out)
