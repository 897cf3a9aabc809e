"""Learned positions and relative attention in PyTorch."""

from __future__ import annotations

import torch

_ROWS = 64
"""Queries per block on a CPU: their scores stay in a cache, and no block adds up many distant keys one by one."""


def learned_positions(x: torch.Tensor, table: torch.Tensor) -> torch.Tensor:
    """x + table[:T]. x (B, T, D), table (P, D)  ->  (B, T, D)."""
    if len(table) < x.shape[1]:
        raise ValueError(f"table has {len(table)} rows, fewer than {x.shape[1]} positions")
    if table.shape[1] != x.shape[2]:
        raise ValueError(f"table is {table.shape[1]} wide, x {x.shape[2]}")
    return x + table[: x.shape[1]]


def relative_attention(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    key_table: torch.Tensor,
    value_table: torch.Tensor,
    mask: torch.Tensor | None,
) -> torch.Tensor:
    """Attention whose keys and values have a row by distance added.

    No pair of positions ever has a vector of its own: every query meets every row of the key table once, and the
    weights are added up by row before they meet the value table. No fused kernel returns weights. Queries are taken
    in blocks, whose keys out of reach, to the left or to the right, share a row.

    query (B, H, T, d), key (B, H, S, d), value (B, H, S, e), key_table (2k + 1, d), value_table (2k + 1, e),
    mask (B, H, T, S) or None  ->  (B, H, T, e)
    """
    _check(query, key, value, key_table, value_table, mask)
    length = query.shape[2]
    query = query * query.shape[3] ** -0.5
    block = max(length, 1) if query.is_cuda else _ROWS
    parts = []
    for start in range(0, max(length, 1), block):
        rows = slice(start, start + block)
        seen = None if mask is None else mask[:, :, rows]
        parts.append(_attended(query[:, :, rows], start, key, value, key_table, value_table, seen))
    return torch.cat(parts, dim=2)


def _attended(
    query: torch.Tensor,
    start: int,
    key: torch.Tensor,
    value: torch.Tensor,
    key_table: torch.Tensor,
    value_table: torch.Tensor,
    mask: torch.Tensor | None,
) -> torch.Tensor:
    """The results of queries from position `start` on, which are scaled already. -> (B, H, R, e)."""
    (length, keys), reach = (query.shape[2], key.shape[2]), len(key_table) // 2
    # Keys before `left` are out of reach to all these queries, and so are those from `right` on.
    left, right = min(max(start - reach, 0), keys), min(start + length + reach, keys)
    steps, places = (torch.arange(*span, device=query.device) for span in ((start, start + length), (left, right)))
    rows = (places - steps[:, None]).clamp(-reach, reach) + reach  # (R, right - left)
    rows = rows.expand(*query.shape[:2], -1, -1)

    relative = query @ key_table.mT  # (B, H, R, 2k + 1)
    before, after = relative[..., :1].expand(-1, -1, -1, left), relative[..., -1:].expand(-1, -1, -1, keys - right)
    scores = query @ key.mT
    scores += torch.cat([before, relative.gather(3, rows), after], dim=3)
    if mask is None:
        weights = scores.softmax(dim=-1)
    else:
        blind = ~mask.any(dim=-1, keepdim=True)
        # Rows without any key must not reach the softmax as -inf: their gradients would not be finite.
        scores = scores.masked_fill_(~mask, -torch.inf).masked_fill_(blind, 0)
        weights = scores.softmax(dim=-1).masked_fill(blind, 0)

    far = [weights[..., part].sum(dim=-1, keepdim=True) for part in (slice(0, left), slice(right, None))]
    by_row = torch.cat([far[0], torch.zeros_like(relative[..., 1:-1]), far[1]], dim=3) if reach else far[0] + far[1]
    by_row = by_row.scatter_add(3, rows, weights[..., left:right])
    return weights @ value + by_row @ value_table


def _check(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    key_table: torch.Tensor,
    value_table: torch.Tensor,
    mask: torch.Tensor | None,
) -> None:
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
        raise ValueError(f"mask has shape {tuple(mask.shape)}, expected {scores}")
