"""The convolutions of ConvS2S in PyTorch."""

from __future__ import annotations

import math

import torch
from torch.nn import functional as F


def encoder_convolution(x: torch.Tensor, kernel: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    """Convolution with (K - 1)/2 zeros on each side. x (B, T, C), kernel (K, C, O), bias (O,)  ->  (B, T, O)."""
    width = kernel.shape[0]
    if width % 2 == 0:
        raise ValueError(f"kernel has the even width {width}: it has no middle")
    return _convolution(x, kernel, bias, width // 2, width // 2)


def decoder_convolution(x: torch.Tensor, kernel: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    """Convolution with K - 1 zeros in front. x (B, T, C), kernel (K, C, O), bias (O,)  ->  (B, T, O)."""
    return _convolution(x, kernel, bias, kernel.shape[0] - 1, 0)


def gated_linear_unit(x: torch.Tensor) -> torch.Tensor:
    """First half times sigmoid of the second. (..., 2C)  ->  (..., C)."""
    if x.shape[-1] % 2:
        raise ValueError(f"x has {x.shape[-1]} channels, which have no halves")
    return F.glu(x)


def conv_s2s_block(x: torch.Tensor, kernel: torch.Tensor, bias: torch.Tensor, causal: bool) -> torch.Tensor:
    """(x + glu(convolution)) sqrt(1/2). x (B, T, C), kernel (K, C, 2C), bias (2C,)  ->  (B, T, C)."""
    if kernel.shape[2] != 2 * x.shape[-1]:
        raise ValueError(f"kernel writes {kernel.shape[2]} channels, not twice the {x.shape[-1]} of x")
    convolve = decoder_convolution if causal else encoder_convolution
    return F.glu(convolve(x, kernel, bias)).add_(x).mul_(math.sqrt(0.5))


def _convolution(x: torch.Tensor, kernel: torch.Tensor, bias: torch.Tensor, before: int, after: int) -> torch.Tensor:
    """One matrix product over windows laid side by side, with zeros around: F.conv1d would turn all to (B, C, T)."""
    width = kernel.shape[0]
    if width < 1:
        raise ValueError("kernel has no taps")
    if x.shape[2] != kernel.shape[1]:
        raise ValueError(f"kernel reads {kernel.shape[1]} channels, x has {x.shape[2]}")
    if bias.shape != kernel.shape[2:]:
        raise ValueError(f"bias has shape {tuple(bias.shape)}, kernel writes {kernel.shape[2]} channels")
    padded = F.pad(x, (0, 0, before, after))
    steps = padded.shape[1] - width + 1
    windows = torch.cat([padded[:, tap : tap + steps] for tap in range(width)], dim=2)  # (B, T, K C)
    return F.linear(windows, kernel.flatten(0, 1).mT, bias)
