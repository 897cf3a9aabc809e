"""Sinusoidal positions in PyTorch."""

from __future__ import annotations

import math

import torch


def sinusoidal_positions(positions: torch.Tensor, width: int, dtype: str) -> torch.Tensor:
    """sin(p 10000^(-2i / width)) in column 2i, cos of the same in column 2i + 1. positions (T,)  ->  (T, width)."""
    if width < 1:
        raise ValueError(f"width must be at least 1, not {width}")
    format = getattr(torch, dtype, None)
    if not isinstance(format, torch.dtype) or not format.is_floating_point:
        raise ValueError(f"dtype must be a floating-point format, not {dtype}")
    # Angles need the bits of double, also on a GPU: bfloat16 cannot even count to 257.
    pairs = torch.arange((width + 1) // 2, dtype=torch.float64, device=positions.device)
    angles = torch.outer(positions.double(), torch.exp(pairs * (-2 * math.log(10000) / width)))
    rows = torch.empty(len(positions), width, dtype=format, device=positions.device)
    rows[:, 0::2] = angles.sin()
    rows[:, 1::2] = angles[:, : width // 2].cos()
    return rows
