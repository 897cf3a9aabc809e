"""Causal attention as torch.nn.functional offers it."""

from __future__ import annotations

import torch
from torch.nn import functional as F


def masked_self_attention(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
    """F.scaled_dot_product_attention with is_causal. (B, H, T, d), (B, H, S, d), (B, H, S, e) -> (B, H, T, e)."""
    return F.scaled_dot_product_attention(query, key, value, is_causal=True)
