"""Target embedding as torch.nn offers it."""

from __future__ import annotations

import torch
from torch.nn import functional as F

from layerlaws_backends.torch_nn.bert_embeddings import _look_up


def target_embedding(
    targets: torch.Tensor, begin: int, token_table: torch.Tensor, position_table: torch.Tensor
) -> torch.Tensor:
    """Two nn.Embedding, which refuse what they refuse, the first of them on the shifted targets.

    targets (B, T), token_table (V, E), position_table (P, E)  ->  (B, T, E)
    """
    previous = F.pad(targets[:, :-1], (1, 0), value=begin)
    positions = torch.arange(targets.shape[1], device=targets.device)
    return _look_up(token_table, previous) + _look_up(position_table, positions)
