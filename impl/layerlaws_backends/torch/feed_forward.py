"""The position-wise feed-forward network in PyTorch."""

from __future__ import annotations

import torch
from torch.nn import functional as F

_HIDDEN = 2**21
"""Hidden numbers at a time on a CPU: they stay near it, and in memory that the allocator keeps, not the system."""


def feed_forward(
    x: torch.Tensor, w_1: torch.Tensor, b_1: torch.Tensor, w_2: torch.Tensor, b_2: torch.Tensor
) -> torch.Tensor:
    """max(0, x w_1 + b_1) w_2 + b_2. x (B, T, D), w_1 (D, F), b_1 (F,), w_2 (F, D), b_2 (D,)  ->  (B, T, D)."""
    if w_1.shape != (x.shape[-1], b_1.shape[-1]):
        raise ValueError(f"w_1 has shape {tuple(w_1.shape)}, expected {(x.shape[-1], b_1.shape[-1])}")
    if w_2.shape != (b_1.shape[-1], x.shape[-1]):
        raise ValueError(f"w_2 has shape {tuple(w_2.shape)}, expected {(b_1.shape[-1], x.shape[-1])}")
    # Positions in one axis: F.linear would return a view, and autograd copies the gradient of a view changed in place.
    positions = x.flatten(0, 1)
    blocks = len(positions) * len(b_1) // _HIDDEN if x.device.type == "cpu" else 1
    hidden = (torch.addmm(b_1, block, w_1).relu_() for block in positions.chunk(max(1, blocks)))
    return torch.cat([torch.addmm(b_2, block, w_2) for block in hidden]).view(x.shape)


def feed_forward_convolution(
    x: torch.Tensor, kernel_1: torch.Tensor, b_1: torch.Tensor, kernel_2: torch.Tensor, b_2: torch.Tensor
) -> torch.Tensor:
    """The same by two convolutions of width 1. conv1d keeps channels before positions and kernels as (out, in, width).

    x (B, T, D), kernel_1 (1, D, F), b_1 (F,), kernel_2 (1, F, D), b_2 (D,)  ->  (B, T, D)
    """
    for name, kernel in (("kernel_1", kernel_1), ("kernel_2", kernel_2)):
        if kernel.shape[0] != 1:
            raise ValueError(f"{name} is {kernel.shape[0]} wide, not 1")
    hidden = F.conv1d(x.mT, kernel_1.permute(2, 1, 0).contiguous(), b_1).relu_()
    return F.conv1d(hidden, kernel_2.permute(2, 1, 0).contiguous(), b_2).mT
