"""BERT's embedding layers in PyTorch."""

from __future__ import annotations

import torch
from torch.nn import functional as F


def segment_ids(first_length: int, second_length: int | None) -> torch.Tensor:
    """0 for [CLS] A [SEP], 1 for B [SEP]. -> (T,)."""
    if first_length < 0 or (second_length or 0) < 0:
        raise ValueError(f"first_length and second_length are lengths, not {first_length} and {second_length}")
    second = second_length + 1 if second_length else 0
    return (torch.arange(first_length + 2 + second) >= first_length + 2).long()


def bert_embeddings(
    token_ids: torch.Tensor,
    segment_ids: torch.Tensor,
    token_table: torch.Tensor,
    segment_table: torch.Tensor,
    position_table: torch.Tensor,
    scale: torch.Tensor,
    shift: torch.Tensor,
    epsilon: float,
) -> torch.Tensor:
    """LayerNorm(token + segment + position).

    token_ids, segment_ids (B, T), token_table (V, D), segment_table (2, D), position_table (P, D), scale, shift (D,)
    ->  (B, T, D)
    """
    length, width = token_ids.shape[1], token_table.shape[1]
    if segment_ids.shape != token_ids.shape:
        raise ValueError(f"segment_ids has shape {tuple(segment_ids.shape)}, token_ids {tuple(token_ids.shape)}")
    if segment_table.shape != (2, width):
        raise ValueError(f"segment_table has shape {tuple(segment_table.shape)}, not {(2, width)}")
    if position_table.shape[0] < length or position_table.shape[1] != width:
        raise ValueError(f"position_table has shape {tuple(position_table.shape)}: {length} rows of {width} are needed")
    if scale.shape != (width,) or shift.shape != (width,):
        raise ValueError(f"scale and shift have shapes {tuple(scale.shape)} and {tuple(shift.shape)}, not {(width,)}")
    _within(token_ids, len(token_table), "token_ids")
    _within(segment_ids, 2, "segment_ids")
    summed = F.embedding(token_ids, token_table)
    summed += F.embedding(segment_ids, segment_table)
    summed += position_table[:length]
    return F.layer_norm(summed, (width,), scale, shift, epsilon)


def _within(ids: torch.Tensor, count: int, name: str) -> None:
    """Out of range, a kernel on a GPU would stop the whole process."""
    if ((ids < 0) | (ids >= count)).any():
        raise ValueError(f"{name} must lie in [0, {count})")
