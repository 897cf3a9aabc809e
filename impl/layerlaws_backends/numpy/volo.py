"""Windows of images and outlook attention in NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

Array = NDArray[Any]


def unfold(x: Array, kernel_size: int, stride: int, padding: int) -> Array:
    """Windows as rows ordered (c, ky, kx). x (B, Y, X, C)  ->  (B, L, C K K)."""
    rows, columns = _grid(x.shape[1], x.shape[2], kernel_size, stride, padding)
    patches = _windows(x, kernel_size, stride, padding).transpose(0, 1, 2, 5, 3, 4)
    return patches.copy().reshape(x.shape[0], rows * columns, x.shape[3] * kernel_size**2)


def fold(patches: Array, height: int, width: int, kernel_size: int, stride: int, padding: int) -> Array:
    """The sum of the windows over each pixel. patches (B, L, C K K)  ->  (B, Y, X, C)."""
    rows, columns = _grid(height, width, kernel_size, stride, padding)
    batch, count, size = patches.shape
    if count != rows * columns:
        raise ValueError(f"patches has {count} windows, the image has {rows} x {columns}")
    if size % kernel_size**2:
        raise ValueError(f"patches has rows of {size}, no multiple of {kernel_size} x {kernel_size}")
    taps = patches.reshape(batch, rows, columns, -1, kernel_size, kernel_size).transpose(0, 1, 2, 4, 5, 3)
    return _summed(taps, height, width, stride, padding)


def outlook_attention(
    x: Array, w_v: Array, w_a: Array, b_a: Array, w_o: Array, b_o: Array, num_heads: int, kernel_size: int, stride: int
) -> Array:
    """Windows mixed by the weights of their centres, folded and projected.

    x (B, Y, X, C), w_v and w_o (C, C), w_a (C, H K^4), b_a (H K^4,), b_o (C,)  ->  (B, Y, X, C)
    """
    batch, height, width, channels = x.shape
    _check(channels, w_v, w_a, b_a, w_o, b_o, num_heads, kernel_size, stride)
    head_width, taps, padding = channels // num_heads, kernel_size**2, kernel_size // 2
    rows, columns = -(-height // stride), -(-width // stride)

    weights = _block_means(x, stride).reshape(-1, channels) @ w_a
    weights += b_a
    weights = weights.reshape(-1, num_heads, taps, taps)
    weights -= weights.max(axis=-1, keepdims=True)
    weights *= x.dtype.type(head_width**-0.5)
    np.exp(weights, out=weights)
    weights /= weights.sum(axis=-1, keepdims=True)

    # Channels stay last, so that values are copied and added up in whole runs.
    values = (x.reshape(-1, channels) @ w_v).reshape(x.shape)
    views = _windows(values, kernel_size, stride, padding)
    patches = views.reshape(-1, taps, num_heads, head_width).swapaxes(1, 2).copy()  # (B L, H, K K, C/H)
    mixed = (weights @ patches).swapaxes(1, 2).reshape(batch, rows, columns, kernel_size, kernel_size, channels)
    result: Array = _summed(mixed, height, width, stride, padding).reshape(-1, channels) @ w_o
    result += b_o
    return result.reshape(x.shape)


def _windows(x: Array, kernel_size: int, stride: int, padding: int) -> Array:
    """A view of all windows of the padded image, (B, rows, columns, K, K, C)."""
    batch, height, width, channels = x.shape
    padded = np.zeros((batch, height + 2 * padding, width + 2 * padding, channels), x.dtype)
    padded[:, padding : padding + height, padding : padding + width] = x
    views = sliding_window_view(padded, (kernel_size, kernel_size), axis=(1, 2))[:, ::stride, ::stride]
    return views.transpose(0, 1, 2, 4, 5, 3)


def _summed(taps: Array, height: int, width: int, stride: int, padding: int) -> Array:
    """The adjoint of `_windows`, tap by tap: (B, rows, columns, K, K, C)  ->  (B, Y, X, C)."""
    batch, rows, columns, kernel_size, _, channels = taps.shape
    padded = np.zeros((batch, height + 2 * padding, width + 2 * padding, channels), taps.dtype)
    for ky, kx in np.ndindex(kernel_size, kernel_size):
        padded[:, ky::stride, kx::stride][:, :rows, :columns] += taps[:, :, :, ky, kx]
    return padded[:, padding : padding + height, padding : padding + width].copy()


def _block_means(x: Array, size: int) -> Array:
    """Means over blocks of size x size pixels, the last ones over what is left. (B, rows, columns, C)."""
    if size == 1:
        return x
    batch, height, width, channels = x.shape
    rows, columns = -(-height // size), -(-width // size)
    sums = np.zeros((batch, rows, columns, channels), x.dtype)
    for down, across in np.ndindex(min(size, height), min(size, width)):
        part = x[:, down::size, across::size]
        sums[:, : part.shape[1], : part.shape[2]] += part
    tall, wide = (np.minimum(size, extent - np.arange(0, extent, size)) for extent in (height, width))
    sums /= (tall[:, None] * wide)[:, :, None].astype(x.dtype)
    return sums


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
    w_v: Array,
    w_a: Array,
    b_a: Array,
    w_o: Array,
    b_o: Array,
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
    for name, (array, shape) in shapes.items():
        if array.shape != shape:
            raise ValueError(f"{name} has shape {array.shape}, not {shape}")
