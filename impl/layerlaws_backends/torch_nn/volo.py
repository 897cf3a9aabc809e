"""Unfolding and folding as torch.nn offers them."""

from __future__ import annotations

import torch
from torch import nn


def unfold(x: torch.Tensor, kernel_size: int, stride: int, padding: int) -> torch.Tensor:
    """nn.Unfold, which takes channels first and puts windows last. x (B, Y, X, C)  ->  (B, L, C K K)."""
    patches: torch.Tensor = nn.Unfold(kernel_size, padding=padding, stride=stride)(x.permute(0, 3, 1, 2))
    return patches.mT


def fold(patches: torch.Tensor, height: int, width: int, kernel_size: int, stride: int, padding: int) -> torch.Tensor:
    """nn.Fold, which takes windows last and puts channels first. patches (B, L, C K K)  ->  (B, Y, X, C)."""
    image: torch.Tensor = nn.Fold((height, width), kernel_size, padding=padding, stride=stride)(patches.mT)
    return image.permute(0, 2, 3, 1)
