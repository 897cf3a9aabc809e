"""ELMo's mix of layers in PyTorch."""

from __future__ import annotations

import torch


def scalar_mix(layers: torch.Tensor, scores: torch.Tensor, gamma: torch.Tensor) -> torch.Tensor:
    """gamma sum_j softmax(scores)_j layers_j, as one vector-matrix product.

    layers (L, B, T, D), scores (L,), gamma ()  ->  (B, T, D)
    """
    if not len(layers):
        raise ValueError("layers must hold one layer at least")
    if scores.shape != layers.shape[:1]:
        raise ValueError(f"scores has shape {tuple(scores.shape)}, there are {len(layers)} layers")
    if gamma.shape != ():
        raise ValueError(f"gamma has shape {tuple(gamma.shape)}, it is one number")
    weights = gamma * scores.softmax(dim=0)
    return (weights @ layers.flatten(start_dim=1)).view(layers.shape[1:])
