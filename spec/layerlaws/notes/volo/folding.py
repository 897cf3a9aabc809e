"""Fold: windows are put back where they lie, and added up where they overlap."""

from __future__ import annotations

from typing import Any

import numpy as np

from layerlaws.language import (
    Arguments,
    Array,
    Claim,
    Ids,
    Implementation,
    Mask,
    arrays,
    asbounded,
    closely,
    fault,
    law,
    normal,
    operation,
    refused,
    require,
    seeds,
    workload,
)
from layerlaws.language import strategies as st
from layerlaws.notes.volo.unfolding import unfold, unfolding_sees_a_frame_of_zeros
from layerlaws.notes.volo.windows import (
    NONSENSE,
    SOFT_SPLIT,
    count_windows,
    counts,
    frames,
    framing,
    swapped,
    windows_cost,
    windows_cost_backward,
)


@st.composite
def patchworks(draw: st.DrawFn, least: int = 1) -> Arguments:
    """The patches of an image of `frames`, of any numbers."""
    drawn = draw(frames(least))
    batch, height, width, channels = drawn.pop("x").shape
    rows, columns = (count_windows(extent, **drawn) for extent in (height, width))
    patches = draw(arrays((batch, rows * columns, channels * drawn["kernel_size"] ** 2)))
    return {"patches": patches, "height": height, "width": width, **drawn}


def covering(extent: int, count: int, kernel_size: int, stride: int, padding: int) -> tuple[Ids, Ids, Mask]:
    """The windows over each place of an axis, the tap that each has there, and whether there is such a window.

    Three arrays (extent, ceil(K / stride)); window and tap are 0 where there is none.
    """
    place = np.arange(extent)[:, None] + padding
    window = place // stride - np.arange(-(-kernel_size // stride))
    tap = place - window * stride
    there = (window >= 0) & (window < count) & (tap < kernel_size)
    return np.where(there, window, 0), np.where(there, tap, 0), there


@operation(inputs=patchworks(), batch=("patches",), differentiable=True)
def fold(patches: Array, height: int, width: int, kernel_size: int, stride: int, padding: int) -> Array:
    """Every patch put back where `unfold` takes it from; the sum where several overlap, 0 where none lies.

    patches (B, L, C K K)  ->  (B, Y, X, C); what lies on the padding is dropped.
    """
    rows, columns = (count_windows(extent, kernel_size, stride, padding) for extent in (height, width))
    batch, count, size = patches.shape
    channels, rest = divmod(size, kernel_size**2)
    require(count == rows * columns, f"patches has {count} windows, the image has {rows} x {columns}")
    require(not rest, f"patches has rows of {size}, no multiple of {kernel_size} x {kernel_size}")
    taps = patches.reshape(batch, rows, columns, channels, kernel_size, kernel_size)
    row, ky, tall = (x[:, :, None, None] for x in covering(height, rows, kernel_size, stride, padding))
    column, kx, wide = covering(width, columns, kernel_size, stride, padding)
    found = taps[:, row, column, :, ky, kx]  # (Y, windows over y, X, windows over x, B, C)
    summed = np.where((tall & wide)[..., None, None], found, 0.0).sum(axis=(1, 3))
    return np.moveaxis(summed, 2, 0)


@law(seed=seeds)
def fold_is_the_adjoint_of_unfold(unfold: Implementation, fold: Implementation, inputs: Arguments, seed: int) -> Claim:
    """<unfold x, y> = <x, fold y> for any patches y."""
    x, patches = inputs["x"], unfold(**inputs)
    other = normal(seed, patches.shape, x)
    folded = fold(patches=other, height=x.shape[1], width=x.shape[2], **framing(inputs))
    return closely((patches * asbounded(other)).sum(axis=(1, 2)), (asbounded(x) * folded).sum(axis=(1, 2, 3)))


@law()
def fold_counts_the_windows_over_each_pixel(unfold: Implementation, fold: Implementation, inputs: Arguments) -> Claim:
    """fold(unfold x) is x times the number of windows over each pixel, 0 where there is none."""
    x, options = inputs["x"], framing(inputs)
    height, width = x.shape[1:3]
    back = fold(patches=unfold(**inputs), height=height, width=width, **options)
    return closely(back, asbounded(x) * counts(height, width, **options, dtype=x.dtype))


@fault(
    unfold,
    breaks=(unfolding_sees_a_frame_of_zeros, fold_is_the_adjoint_of_unfold, fold_counts_the_windows_over_each_pixel),
    kind="axis",
    repair="Compare rows with the height.",
    seen="https://github.com/BVLC/caffe/pull/298",
)
def bounds_of_the_other_axis(x: Array, **options: int) -> Array:
    """A row is compared with the width and a column with the height, so that parts of images that are not square
    count as padding.
    """
    height, width = x.shape[1:3]
    inside = (np.arange(height) < width)[:, None] & (np.arange(width) < height)
    return unfold(np.where(inside[:, :, None], x, 0), **options)


ADDED_UP = (fold_counts_the_windows_over_each_pixel, fold_is_the_adjoint_of_unfold)


@fault(
    fold,
    breaks=ADDED_UP,
    kind="scale",
    repair="Fold adds up; dividing is left to the caller.",
)
def averages_the_overlaps(patches: Array, **options: int) -> Array:
    """Sums are divided by the number of windows over a pixel."""
    return fold(patches, **options) / np.maximum(counts(**options, dtype=patches.dtype), 1)


@fault(
    fold,
    breaks=ADDED_UP,
    kind="formula",
    repair="Add them up.",
)
def keeps_the_last_window_only(patches: Array, height: int, width: int, **options: int) -> Array:
    """Where windows overlap the last one overwrites the others."""
    count, taps = patches.shape[1], options["kernel_size"] ** 2
    pixels = unfold(np.arange(1.0, height * width + 1).reshape(1, height, width, 1), **options)[0].astype(int)
    last = np.zeros(height * width + 1, int)  # number 0 is the padding
    np.maximum.at(last, pixels, np.arange(count)[:, None])
    kept = (last[pixels] == np.arange(count)[:, None])[:, None]  # (L, 1, K K)
    grid = np.where(kept, patches.reshape(len(patches), count, -1, taps), 0.0)
    return fold(grid.reshape(*patches.shape), height, width, **options)


@fault(
    fold,
    breaks=fold_counts_the_windows_over_each_pixel,
    kind="axis",
    repair="Use the same order on both ways.",
)
def folds_kernel_before_channel(patches: Array, **options: int) -> Array:
    """Rows are read as (ky, kx, c) though unfold wrote (c, ky, kx)."""
    other = patches.reshape(*patches.shape[:2], options["kernel_size"] ** 2, -1).swapaxes(-1, -2)
    return fold(other.reshape(*patches.shape), **options)


@law()
def folding_cuts_the_frame_off(fold: Implementation, inputs: Arguments) -> Claim:
    """Folding to the padded image and cutting the padding off on all sides is folding with padding."""
    height, width, padding = inputs["height"], inputs["width"], inputs["padding"]
    whole = {"height": height + 2 * padding, "width": width + 2 * padding, "padding": 0}
    framed = fold(**{**inputs, **whole})
    return closely(framed[:, padding : padding + height, padding : padding + width], fold(**inputs))


@fault(
    fold,
    breaks=folding_cuts_the_frame_off,
    kind="boundary",
    repair="Cut it off on both sides.",
)
def cuts_the_frame_off_at_the_end(patches: Array, height: int, width: int, padding: int, **options: int) -> Array:
    """The padding is cut off twice at the end and not at the beginning."""
    framed = fold(patches, height + 2 * padding, width + 2 * padding, padding=0, **options)
    return framed[:, :height, :width]


@law()
def folding_treats_both_axes_alike(fold: Implementation, inputs: Arguments) -> Claim:
    """Swapping the axes of the grid and of the kernel swaps Y and X, on images that are not square."""
    rows = count_windows(inputs["height"], **framing(inputs))
    across = {
        "patches": swapped(inputs["patches"], rows, inputs["kernel_size"]),
        "height": inputs["width"],
        "width": inputs["height"],
    }
    return closely(fold(**{**inputs, **across}), fold(**inputs).swapaxes(1, 2))


@fault(
    fold,
    breaks=folding_treats_both_axes_alike,
    kind="axis",
    repair="They are listed row by row.",
)
def folds_column_by_column(patches: Array, height: int, width: int, **options: int) -> Array:
    """Patches are taken to be listed column by column."""
    grid = patches.reshape(
        len(patches), count_windows(width, **options), count_windows(height, **options), -1
    ).swapaxes(1, 2)
    return fold(grid.reshape(*patches.shape), height, width, **options)


@law(wrong=NONSENSE, examples=20)
def fold_refuses_windows_that_cannot_be(fold: Implementation, inputs: Arguments, wrong: tuple[str, int]) -> Claim:
    """No kernel below 1 or larger than the padded image, no stride below 1, no padding below 0."""
    return refused(fold, wrong[0], {**inputs, wrong[0]: wrong[1]})


@fault(
    fold,
    breaks=fold_refuses_windows_that_cannot_be,
    kind="refusal",
    repair="Raise ValueError.",
)
def folds_whatever_it_is_told(**inputs: Any) -> Array:
    """Impossible windows give an empty image in silence."""
    try:
        return fold(**inputs)
    except ValueError:
        return np.zeros((len(inputs["patches"]), inputs["height"], inputs["width"], 1), inputs["patches"].dtype)


@law(examples=20)
def patches_of_another_image_are_refused(fold: Implementation, inputs: Arguments) -> Claim:
    """One patch more than the image has windows does not fit."""
    patches = inputs["patches"]
    return refused(fold, "patches", {**inputs, "patches": np.concatenate([patches, patches[:, :1]], axis=1)})


@law(inputs=patchworks(least=2), examples=20)
def patches_of_another_kernel_are_refused(fold: Implementation, inputs: Arguments) -> Claim:
    """Patches whose rows are no multiple of K x K do not fit."""
    patches = inputs["patches"]
    return refused(fold, "patches", {**inputs, "patches": np.concatenate([patches, patches[..., :1]], axis=2)})


@fault(
    fold,
    breaks=(patches_of_another_image_are_refused, patches_of_another_kernel_are_refused),
    kind="refusal",
    repair="Raise ValueError.",
)
def drops_what_does_not_fit(patches: Array, height: int, width: int, **options: int) -> Array:
    """Surplus patches and surplus numbers in them are left out in silence."""
    count = count_windows(height, **options) * count_windows(width, **options)
    whole = patches.shape[2] - patches.shape[2] % options["kernel_size"] ** 2
    return fold(patches[:, :count, :whole], height, width, **options)


@workload(fold, sizes=SOFT_SPLIT, cost=windows_cost, backward=windows_cost_backward, gradient=True)
def soft_split_put_back(
    random: np.random.Generator, B: int, Y: int, X: int, C: int, K: int, stride: int, padding: int
) -> Arguments:
    """The adjoint of T2T-ViT's first soft split: the windows of 8 images added up (Yuan et al. 2021, Tokens-to-Token
    ViT, section 3.1).
    """
    count = count_windows(Y, K, stride, padding) * count_windows(X, K, stride, padding)
    return {
        "patches": random.standard_normal((B, count, C * K**2)),
        "height": Y,
        "width": X,
        "kernel_size": K,
        "stride": stride,
        "padding": padding,
    }
