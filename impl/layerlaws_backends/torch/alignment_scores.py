"""Luong's alignment scores in PyTorch."""

from __future__ import annotations

import torch


def dot_score(query: torch.Tensor, keys: torch.Tensor) -> torch.Tensor:
    """query . key of every pair. query (B, T, D), keys (B, S, D)  ->  (B, T, S)."""
    if query.shape[-1] != keys.shape[-1]:
        raise ValueError(f"keys are {keys.shape[-1]} wide, query {query.shape[-1]}")
    return torch.bmm(query, keys.mT)


def general_score(query: torch.Tensor, keys: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
    """query w keyT of every pair. query (B, T, Q), keys (B, S, M), w (Q, M)  ->  (B, T, S)."""
    if w.shape != (query.shape[-1], keys.shape[-1]):
        raise ValueError(f"w has shape {tuple(w.shape)}, expected ({query.shape[-1]}, {keys.shape[-1]})")
    # The shorter of the two sequences is the cheaper one to project.
    if query.shape[1] <= keys.shape[1]:
        return torch.bmm(query @ w, keys.mT)
    return torch.bmm(query, (keys @ w.mT).mT)


def concat_score(query: torch.Tensor, keys: torch.Tensor, w: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    """v . tanh([query; key] w) of every pair. [query; key] w is a sum, so no pair is ever concatenated.

    query (B, T, Q), keys (B, S, M), w (Q + M, A), v (A,)  ->  (B, T, S)
    """
    width, key_width = query.shape[-1], keys.shape[-1]
    if w.shape[0] != width + key_width:
        raise ValueError(f"w has {w.shape[0]} rows, not {width} + {key_width}")
    if v.shape != w.shape[1:]:
        raise ValueError(f"v has {v.shape[0]} elements, w {w.shape[1]} columns")
    for_query, for_key = w[:width], w[width:]
    return ((query @ for_query)[:, :, None] + (keys @ for_key)[:, None]).tanh_() @ v
