"""Target embedding in PyTorch."""

from __future__ import annotations

import torch
from torch.nn import functional as F

from layerlaws_backends.torch.bert_embeddings import _within


def target_embedding(
    targets: torch.Tensor, begin: int, token_table: torch.Tensor, position_table: torch.Tensor
) -> torch.Tensor:
    """token_table[y_(i-1)] + position_table[i], y_(-1) = begin.

    targets (B, T), token_table (V, E), position_table (P, E)  ->  (B, T, E)
    """
    length, words = targets.shape[1], token_table.shape[0]
    if length > position_table.shape[0]:
        raise ValueError(f"position_table has {position_table.shape[0]} rows, fewer than {length} targets")
    if token_table.shape[1] != position_table.shape[1]:
        raise ValueError(f"token_table has width {token_table.shape[1]}, position_table {position_table.shape[1]}")
    if not 0 <= begin < words:
        raise ValueError(f"begin must lie in [0, {words}), not {begin}")
    _within(targets, words, "targets")
    previous = F.pad(targets, (1, 0), value=begin)[:, :length]
    return F.embedding(previous, token_table).add_(position_table[:length])  # a second large result costs as much again
