"""Masked self-attention and teacher forcing in PyTorch."""

from __future__ import annotations

import torch
from torch.nn import functional as F
from torch.nn.attention.bias import causal_lower_right

from layerlaws_backends.torch._known import HIDDEN_KEYS

known = {"a_later_key_may_be_no_number": HIDDEN_KEYS}


def causal_mask(queries: int, keys: int) -> torch.Tensor:
    """True where key j <= query i + keys - queries. -> (queries, keys)."""
    if queries < 0 or keys < 0:
        raise ValueError(f"queries and keys are lengths, not {queries} and {keys}")
    return torch.ones(queries, keys, dtype=torch.bool).tril(keys - queries)


def masked_self_attention(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
    """Causal attention of the last T of S positions.

    query (B, H, T, d), key (B, H, S, d), value (B, H, S, e), S >= T  ->  (B, H, T, e)
    """
    length, keys = query.shape[2], key.shape[2]
    if length > keys:
        raise ValueError(f"query has {length} positions, more than the {keys} of key")
    if value.shape[2] != keys:
        raise ValueError(f"value has {value.shape[2]} positions, key has {keys}")
    if length == keys:
        return F.scaled_dot_product_attention(query, key, value, is_causal=True)
    if length == 1:
        return F.scaled_dot_product_attention(query, key, value)
    # is_causal aligns query 0 with key 0; with a cache the last query belongs to the last key.
    return F.scaled_dot_product_attention(query, key, value, attn_mask=causal_lower_right(length, keys))


def teacher_forcing(targets: torch.Tensor, begin: int, end: int) -> tuple[torch.Tensor, torch.Tensor]:
    """[begin] + targets and targets + [end]. targets (B, T)  ->  two (B, T + 1)."""
    return F.pad(targets, (1, 0), value=begin), F.pad(targets, (0, 1), value=end)
