"""Luong's scores as they are usually ported: nn.Linear without bias, and torch.bmm."""

from __future__ import annotations

import torch
from torch import nn
from torch.func import functional_call


def dot_score(query: torch.Tensor, keys: torch.Tensor) -> torch.Tensor:
    """torch.bmm. query (B, T, D), keys (B, S, D)  ->  (B, T, S)."""
    return torch.bmm(query, keys.mT)


def general_score(query: torch.Tensor, keys: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
    """nn.Linear on the keys, then torch.bmm. query (B, T, Q), keys (B, S, M), w (Q, M)  ->  (B, T, S)."""
    return torch.bmm(query, _linear(keys, w).mT)


def concat_score(query: torch.Tensor, keys: torch.Tensor, w: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    """nn.Linear on all pairs of states, laid side by side, tanh, and nn.Linear onto one number.

    query (B, T, Q), keys (B, S, M), w (Q + M, A), v (A,)  ->  (B, T, S)
    """
    steps, states = query.shape[1], keys.shape[1]
    pairs = torch.cat(
        [query[:, :, None].expand(-1, -1, states, -1), keys[:, None].expand(-1, steps, -1, -1)], dim=-1
    )  # (B, T, S, Q + M)
    return _linear(torch.tanh(_linear(pairs, w.mT)), v[None]).squeeze(-1)


def _linear(x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """nn.Linear without bias and with these weights, (out, in). The meta device spares drawing others."""
    layer = nn.Linear(weight.shape[1], weight.shape[0], bias=False, device="meta")
    result: torch.Tensor = functional_call(layer, {"weight": weight}, x)
    return result
