"""BERT's embedding layers as torch.nn offers them."""

from __future__ import annotations

import torch
from torch import nn
from torch.func import functional_call

from layerlaws import Known
from layerlaws_backends.torch_nn._known import BROADCASTING

known = {
    "the_segment_table_has_exactly_two_rows": Known(
        "nn.Embedding takes a table of any number of rows; that BERT has two segments is not its business",
        "https://docs.pytorch.org/docs/stable/generated/torch.nn.Embedding.html",
    ),
    "segment_ids_of_another_length_are_refused": BROADCASTING,
}


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
    """Three nn.Embedding and an nn.LayerNorm, which refuse what they refuse.

    token_ids, segment_ids (B, T), token_table (V, D), segment_table (2, D), position_table (P, D), scale, shift (D,)
    ->  (B, T, D)
    """
    positions = torch.arange(token_ids.shape[1], device=token_ids.device)
    summed = (
        _look_up(token_table, token_ids) + _look_up(segment_table, segment_ids) + _look_up(position_table, positions)
    )
    norm = nn.LayerNorm(len(scale), eps=epsilon, device="meta")
    result: torch.Tensor = functional_call(norm, {"weight": scale, "bias": shift}, summed)
    return result


def _look_up(table: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
    """nn.Embedding with this table. The meta device spares drawing another."""
    count, width = table.shape
    rows: torch.Tensor = functional_call(nn.Embedding(count, width, device="meta"), {"weight": table}, ids)
    return rows
