"""Windows of images and outlook attention in PyTorch."""

from __future__ import annotations

import torch
from torch.nn import functional as F


def unfold(x: torch.Tensor, kernel_size: int, stride: int, padding: int) -> torch.Tensor:
    """Windows as rows ordered (c, ky, kx). x (B, Y, X, C)  ->  (B, L, C K K)."""
    _grid(x.shape[1], x.shape[2], kernel_size, stride, padding)
    return F.unfold(x.permute(0, 3, 1, 2), kernel_size, padding=padding, stride=stride).mT


def fold(patches: torch.Tensor, height: int, width: int, kernel_size: int, stride: int, padding: int) -> torch.Tensor:
    """The sum of the windows over each pixel. patches (B, L, C K K)  ->  (B, Y, X, C)."""
    rows, columns = _grid(height, width, kernel_size, stride, padding)
    if patches.shape[1] != rows * columns:
        raise ValueError(f"patches has {patches.shape[1]} windows, the image has {rows} x {columns}")
    if patches.shape[2] % kernel_size**2:
        raise ValueError(f"patches has rows of {patches.shape[2]}, no multiple of {kernel_size} x {kernel_size}")
    return F.fold(patches.mT, (height, width), kernel_size, padding=padding, stride=stride).permute(0, 2, 3, 1)


def outlook_attention(
    x: torch.Tensor,
    w_v: torch.Tensor,
    w_a: torch.Tensor,
    b_a: torch.Tensor,
    w_o: torch.Tensor,
    b_o: torch.Tensor,
    num_heads: int,
    kernel_size: int,
    stride: int,
) -> torch.Tensor:
    """Windows mixed by the weights of their centres, folded and projected.

    x (B, Y, X, C), w_v and w_o (C, C), w_a (C, H K^4), b_a (H K^4,), b_o (C,)  ->  (B, Y, X, C)
    """
    batch, height, width, channels = x.shape
    _check(channels, w_v, w_a, b_a, w_o, b_o, num_heads, kernel_size, stride)
    head_width, taps, padding = channels // num_heads, kernel_size**2, kernel_size // 2

    centres = x
    if stride > 1:
        pooled = F.avg_pool2d(x.permute(0, 3, 1, 2), stride, ceil_mode=True, count_include_pad=False)
        centres = pooled.permute(0, 2, 3, 1)
    scores = F.linear(centres, w_a.mT, b_a).reshape(batch, -1, num_heads, taps, taps)
    weights = torch.softmax(scores * head_width**-0.5, dim=-1)  # (B, L, H, K K out, K K in)

    # F.unfold and F.fold keep channels before pixels; here channels stay last, and nothing has to be turned around.
    values = F.pad(x @ w_v, (0, 0, padding, padding, padding, padding))
    windows = values.unfold(1, kernel_size, stride).unfold(2, kernel_size, stride)  # (B, rows, columns, C, K, K)
    rows, columns = windows.shape[1:3]
    windows = windows.view(batch, rows, columns, num_heads, head_width, kernel_size, kernel_size)
    patches = windows.permute(0, 1, 2, 3, 5, 6, 4)
    patches = patches.reshape(batch, rows * columns, num_heads, taps, head_width)
    mixed = torch.matmul(weights, patches)  # (B, L, H, K K, C/H)
    mixed = mixed.transpose(2, 3).reshape(batch, rows, columns, taps, channels)
    folded = torch.zeros_like(values)
    for tap, part in enumerate(mixed.unbind(3)):
        down, across = divmod(tap, kernel_size)
        folded[:, down::stride, across::stride][:, :rows, :columns].add_(part)
    return F.linear(folded[:, padding : padding + height, padding : padding + width], w_o.mT, b_o)


def _grid(height: int, width: int, kernel_size: int, stride: int, padding: int) -> tuple[int, int]:
    """Rows and columns of windows."""
    if kernel_size < 1:
        raise ValueError(f"kernel_size must be at least 1, not {kernel_size}")
    if stride < 1:
        raise ValueError(f"stride must be at least 1, not {stride}")
    if padding < 0:
        raise ValueError(f"padding must not be negative, as {padding}")
    if min(height, width) + 2 * padding < kernel_size:
        raise ValueError(f"kernel_size is {kernel_size}, larger than the image {height} x {width} with its padding")
    rows, columns = ((extent + 2 * padding - kernel_size) // stride + 1 for extent in (height, width))
    return rows, columns


def _check(
    channels: int,
    w_v: torch.Tensor,
    w_a: torch.Tensor,
    b_a: torch.Tensor,
    w_o: torch.Tensor,
    b_o: torch.Tensor,
    num_heads: int,
    kernel_size: int,
    stride: int,
) -> None:
    if kernel_size < 1 or kernel_size % 2 == 0:
        raise ValueError(f"kernel_size is {kernel_size}: only odd windows have a centre")
    if stride < 1:
        raise ValueError(f"stride must be at least 1, not {stride}")
    if num_heads < 1 or channels % num_heads:
        raise ValueError(f"num_heads is {num_heads}, which does not divide the {channels} channels of x")
    scores = num_heads * kernel_size**4
    shapes = {
        "w_v": (w_v, (channels, channels)),
        "w_a": (w_a, (channels, scores)),
        "b_a": (b_a, (scores,)),
        "w_o": (w_o, (channels, channels)),
        "b_o": (b_o, (channels,)),
    }
    for name, (tensor, shape) in shapes.items():
        if tensor.shape != shape:
            raise ValueError(f"{name} has shape {tuple(tensor.shape)}, not {shape}")
