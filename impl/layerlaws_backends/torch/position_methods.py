"""Learned positions and relative attention in PyTorch."""

from __future__ import annotations

import torch


def learned_positions(x: torch.Tensor, table: torch.Tensor) -> torch.Tensor:
    """x + table[:T]. x (B, T, D), table (P, D)  ->  (B, T, D)."""
    if len(table) < x.shape[1]:
        raise ValueError(f"table has {len(table)} rows, fewer than {x.shape[1]} positions")
    if table.shape[1] != x.shape[2]:
        raise ValueError(f"table is {table.shape[1]} wide, x {x.shape[2]}")
    return x + table[: x.shape[1]]


def relative_attention(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, key_table: torch.Tensor, value_table: torch.Tensor,
    mask: torch.Tensor | None,
) -> torch.Tensor:  # fmt: skip
    """Attention whose keys and values have a row by distance added.

    No pair of positions ever has a vector of its own: every query meets every row of the key table once, and the
    weights are added up by row before they meet the value table. No fused kernel returns weights.

    query (B, H, T, d), key (B, H, S, d), value (B, H, S, e), key_table (2k + 1, d), value_table (2k + 1, e),
    mask (B, H, T, S) or None  ->  (B, H, T, e)
    """
    _check(query, key, value, key_table, value_table, mask)
    length, keys, reach = query.shape[2], key.shape[2], len(key_table) // 2
    positions = torch.arange(max(length, keys), device=query.device)
    rows = (positions[:keys] - positions[:length, None]).clamp(-reach, reach) + reach  # (T, S)
    query = query * query.shape[3] ** -0.5
    scores = query @ key.mT
    scores += (query @ key_table.mT).gather(3, rows.expand_as(scores))
    if mask is None:
        weights = scores.softmax(dim=-1)
    else:
        blind = ~mask.any(dim=-1, keepdim=True)
        # Rows without any key must not reach the softmax as -inf: their gradients would not be finite.
        scores = scores.masked_fill(~mask, -torch.inf).masked_fill(blind, 0)
        weights = scores.softmax(dim=-1).masked_fill(blind, 0)
    return weights @ value + _by_row(weights, reach) @ value_table


def _by_row(weights: torch.Tensor, reach: int) -> torch.Tensor:
    """Weights added up by row of a table: those beyond the reach at its ends. (B, H, T, S) -> (B, H, T, 2k + 1)."""
    length, keys = weights.shape[2:]
    offsets = torch.arange(-reach, reach + 1, device=weights.device)
    columns = torch.arange(length, device=weights.device)[:, None] + offsets  # (T, 2k + 1)
    outside = (columns < 0) | (columns >= keys)
    near = weights.gather(3, columns.clamp(0, keys - 1).expand(*weights.shape[:3], -1)).masked_fill(outside, 0)
    before = weights.tril(-reach - 1).sum(dim=-1, keepdim=True)
    after = weights.triu(reach + 1).sum(dim=-1, keepdim=True)
    if not reach:
        return near + before + after
    return torch.cat([near[..., :1] + before, near[..., 1:-1], near[..., -1:] + after], dim=-1)


def _check(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, key_table: torch.Tensor, value_table: torch.Tensor,
    mask: torch.Tensor | None,
) -> None:  # fmt: skip
    if len(key_table) % 2 == 0:
        raise ValueError(f"key_table has {len(key_table)} rows, an even number: none is for distance 0")
    if len(value_table) != len(key_table):
        raise ValueError(f"value_table has {len(value_table)} rows, key_table {len(key_table)}")
    for name, width, expected in (
        ("key", key.shape[3], query.shape[3]),
        ("key_table", key_table.shape[1], query.shape[3]),
        ("value_table", value_table.shape[1], value.shape[3]),
    ):
        if width != expected:
            raise ValueError(f"{name} is {width} wide, not {expected}")
    if value.shape[2] != key.shape[2]:
        raise ValueError(f"value has {value.shape[2]} positions, key has {key.shape[2]}")
    scores = (*query.shape[:3], key.shape[2])
    if mask is not None and mask.shape != scores:
        raise ValueError(f"mask has the shape {tuple(mask.shape)}, scores have {scores}")
