"""Images and the windows that lie over them: how many, where, and with what around the border."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import DTypeLike

from layerlaws.language import Arguments, Array, Cost, Ids, arrays, extents, require
from layerlaws.language import strategies as st


@st.composite
def frames(draw: st.DrawFn, least: int = 1) -> Arguments:
    """An image and windows that fit into it. least: the smallest kernel."""
    shape = draw(extents(4, edges=(1, 2)))
    kernel_size, stride = draw(st.integers(least, 4)), draw(st.integers(1, 4))
    short = max(kernel_size - min(shape[1:3]), 0)
    padding = max(draw(st.integers(0, min(kernel_size - 1, 2))), (short + 1) // 2)
    return {"x": draw(arrays(shape)), "kernel_size": kernel_size, "stride": stride, "padding": padding}


def count_windows(extent: int, kernel_size: int, stride: int, padding: int) -> int:
    """How many windows there are along an axis: floor((extent + 2 padding - K) / stride) + 1, at least 1."""
    require(kernel_size >= 1, f"kernel_size must be at least 1, not {kernel_size}")
    require(stride >= 1, f"stride must be at least 1, not {stride}")
    require(padding >= 0, f"padding must not be negative, as {padding}")
    room = extent + 2 * padding
    require(room >= kernel_size, f"kernel_size is {kernel_size}, the padded image has {room} pixels")
    return (room - kernel_size) // stride + 1


def framing(inputs: Arguments) -> dict[str, int]:
    """How windows lie over an image."""
    return {name: inputs[name] for name in ("kernel_size", "stride", "padding")}


def border(padding: int) -> tuple[tuple[int, int], ...]:
    """Padding of Y and X as np.pad takes it."""
    return (0, 0), (padding, padding), (padding, padding), (0, 0)


def counts(height: int, width: int, kernel_size: int, stride: int, padding: int, dtype: DTypeLike) -> Array:
    """How many windows lie over each pixel. (Y, X, 1)"""

    def along(extent: int) -> Ids:
        first = np.arange(count_windows(extent, kernel_size, stride, padding)) * stride - padding
        place = np.arange(extent)[:, None]
        return ((place >= first) & (place < first + kernel_size)).sum(axis=1)

    return np.multiply.outer(along(height), along(width))[:, :, None].astype(dtype)


def swapped(patches: Array, rows: int, kernel_size: int) -> Array:
    """The patches of an image with `rows` rows of windows as those of the image with Y and X swapped."""
    batch, count, size = patches.shape
    grid = patches.reshape(batch, rows, count // rows, -1, kernel_size, kernel_size)
    return grid.transpose(0, 2, 1, 3, 5, 4).reshape(batch, count, size)


NONSENSE = st.sampled_from([("kernel_size", 0), ("kernel_size", 999), ("stride", 0), ("stride", -1), ("padding", -1)])


def window_views(
    x: Array, kernel_size: int, stride: int, padding: int, mode: Literal["constant", "edge", "wrap"] = "constant"
) -> Array:
    """The windows of an image, (B, rows, columns, C, K, K). mode: of the padding, as np.pad has it."""
    padded = np.pad(x, border(padding), mode=mode)
    views = np.lib.stride_tricks.sliding_window_view(padded, (kernel_size, kernel_size), axis=(1, 2))
    return views[:, ::stride, ::stride]


def flattened(views: Array) -> Array:
    """Windows row by row, the numbers of each in one row. (B, rows, columns, ...) -> (B, L, C K K)."""
    return views.reshape(views.shape[0], views.shape[1] * views.shape[2], -1)


SOFT_SPLIT = {"B": 8, "Y": 224, "X": 224, "C": 3, "K": 7, "stride": 4, "padding": 2}
"""The first soft split of T2T-ViT (Yuan et al. 2021, Tokens-to-Token ViT, section 3.1 and table 1)."""


def windows_cost(B: int, Y: int, X: int, C: int, K: int, stride: int, padding: int) -> Cost:
    """Every pixel once, and every place of every window."""
    places = count_windows(Y, K, stride, padding) * count_windows(X, K, stride, padding) * K**2
    return Cost(moved=B * C * (Y * X + places))


def windows_cost_backward(**sizes: int) -> Cost:
    """The adjoint moves what the operation moved, the other way."""
    return Cost(moved=2 * windows_cost(**sizes).moved)
