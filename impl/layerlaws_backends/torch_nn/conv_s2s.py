"""The convolutions of ConvS2S as torch.nn offers them."""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.func import functional_call
from torch.nn import functional as F

from layerlaws import Known
from layerlaws_backends.torch_nn._known import BROADCASTING

known = {
    "the_encoder_refuses_an_even_kernel": Known(
        "nn.Conv1d takes kernels of any width; padded by half of an even one it returns one step more",
        "https://docs.pytorch.org/docs/stable/generated/torch.nn.Conv1d.html",
    ),
    "a_block_refuses_a_kernel_that_does_not_double_the_channels": BROADCASTING,
}


def encoder_convolution(x: torch.Tensor, kernel: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    """nn.Conv1d with its own padding. x (B, T, C), kernel (K, C, O), bias (O,)  ->  (B, T, O)."""
    return _convolve(x.mT, kernel, bias, padding=kernel.shape[0] // 2).mT


def decoder_convolution(x: torch.Tensor, kernel: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    """nn.Conv1d behind F.pad. x (B, T, C), kernel (K, C, O), bias (O,)  ->  (B, T, O)."""
    return _convolve(F.pad(x.mT, (kernel.shape[0] - 1, 0)), kernel, bias).mT


def gated_linear_unit(x: torch.Tensor) -> torch.Tensor:
    """F.glu. (..., 2C)  ->  (..., C)."""
    return F.glu(x)


def conv_s2s_block(x: torch.Tensor, kernel: torch.Tensor, bias: torch.Tensor, causal: bool) -> torch.Tensor:
    """nn.Conv1d, F.glu and the scaled residual. x (B, T, C), kernel (K, C, 2C), bias (2C,)  ->  (B, T, C)."""
    convolve = decoder_convolution if causal else encoder_convolution
    return (x + F.glu(convolve(x, kernel, bias))) * math.sqrt(0.5)


def _convolve(x: torch.Tensor, kernel: torch.Tensor, bias: torch.Tensor, padding: int = 0) -> torch.Tensor:
    """nn.Conv1d with these weights, which it keeps as (out, in, width). The meta device spares drawing others."""
    width, channels, out = kernel.shape
    layer = nn.Conv1d(channels, out, width, padding=padding, device="meta")
    weight = kernel.permute(2, 1, 0).contiguous()  # as a Parameter is that was copied into
    result: torch.Tensor = functional_call(layer, {"weight": weight, "bias": bias}, x)
    return result
