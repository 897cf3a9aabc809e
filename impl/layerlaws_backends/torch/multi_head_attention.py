"""Multi-head attention in PyTorch."""

from __future__ import annotations

import torch
from torch.nn import functional as F

from layerlaws_backends.torch._known import HIDDEN_KEYS

known = {"a_hidden_key_may_be_no_number": HIDDEN_KEYS}


def scaled_dot_product_attention(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, mask: torch.Tensor | None
) -> torch.Tensor:
    """softmax(query keyT / sqrt(d) over the keys that the mask allows) value.

    query (B, H, T, d), key (B, H, S, d), value (B, H, S, e), mask (B, H, T, S) or None  ->  (B, H, T, e)
    """
    if value.shape[2] != key.shape[2]:
        raise ValueError(f"value has {value.shape[2]} positions, key has {key.shape[2]}")
    if mask is not None and mask.shape[2:] != (query.shape[2], key.shape[2]):
        raise ValueError(f"mask has shape {tuple(mask.shape)}, expected (..., {query.shape[2]}, {key.shape[2]})")
    return F.scaled_dot_product_attention(query, key, value, attn_mask=mask)


def multi_head_attention(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    w_q: torch.Tensor,
    w_k: torch.Tensor,
    w_v: torch.Tensor,
    w_o: torch.Tensor,
    b_q: torch.Tensor,
    b_k: torch.Tensor,
    b_v: torch.Tensor,
    b_o: torch.Tensor,
    num_heads: int,
    mask: torch.Tensor | None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Attention of H heads side by side, between projections. The weights are asked for, so no kernel may fuse them.

    query (B, T, D), key and value (B, S, D), w (D, D), b (D,), mask (B, T, S) or None
    ->  output (B, T, D), weights (B, H, T, S)
    """
    width = query.shape[-1]
    if num_heads < 1 or width % num_heads:
        raise ValueError(f"num_heads = {num_heads} does not divide the width {width}")
    if value.shape[1] != key.shape[1]:
        raise ValueError(f"value has {value.shape[1]} positions, key has {key.shape[1]}")
    q, k, v = (
        F.linear(x, w.mT, b).view(*x.shape[:2], num_heads, width // num_heads).transpose(1, 2)
        for x, w, b in ((query, w_q, b_q), (key, w_k, b_k), (value, w_v, b_v))
    )
    scores = (q * (width // num_heads) ** -0.5) @ k.mT
    blind = None if mask is None else ~mask.any(dim=-1)[:, None, :, None]  # (B, 1, T, 1)
    if mask is not None:
        scores.masked_fill_(~mask[:, None], -torch.inf)
    if blind is not None and blind.any():
        # Rows without any key must not reach the softmax as -inf: their gradients would not be finite.
        weights = scores.masked_fill_(blind, 0).softmax(dim=-1).masked_fill(blind, 0)
    else:
        weights = scores.softmax(dim=-1)
    mixed = (weights @ v).transpose(1, 2).flatten(2)  # (B, T, D)
    return F.linear(mixed, w_o.mT, b_o), weights
