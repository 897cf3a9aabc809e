"""Learned positions as torch.nn offers them; it has no relative attention."""

from __future__ import annotations

import torch
from torch import nn
from torch.func import functional_call

from layerlaws_backends.torch_nn._known import BROADCASTING

known = {"positions_of_another_width_are_refused": BROADCASTING}


def learned_positions(x: torch.Tensor, table: torch.Tensor) -> torch.Tensor:
    """nn.Embedding of 0, 1, 2, ..., added to x. x (B, T, D), table (P, D)  ->  (B, T, D)."""
    count, width = table.shape
    embedding = nn.Embedding(count, width, device="meta")  # spares drawing another table
    rows: torch.Tensor = functional_call(embedding, {"weight": table}, torch.arange(x.shape[1], device=x.device))
    return x + rows
