"""Images cut into patches, and put together again: patchify and unpatchify."""

from __future__ import annotations

import math

import numpy as np

from layerlaws.language import (
    Arguments,
    Array,
    Claim,
    Cost,
    Implementation,
    all_of,
    arrays,
    asbounded,
    closely,
    extents,
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

# --- patchify and unpatchify ----------------------------------------------------------------------------------


@st.composite
def tiled_images(draw: st.DrawFn) -> Arguments:
    images, channels, rows, columns, size = draw(extents(5, edges=(2, 3), squared=(4,)))
    return {"images": draw(arrays((images, channels, rows * size, columns * size))), "patch_size": size}


@operation(inputs=tiled_images(), batch=("images",), differentiable=True)
def patchify(images: Array, patch_size: int) -> Array:
    """Squares of patch_size x patch_size pixels, row by row; within each the pixels row by row, channels last.

    images (N, C, Y, X)  ->  (N, L, P P C), L = (Y / P) (X / P)
    """
    count, channels, height, width = images.shape
    require(patch_size >= 1, "patch_size must be positive")
    require(height % patch_size == 0 and width % patch_size == 0, f"images of {height} x {width} have no whole patches")
    rows, columns = height // patch_size, width // patch_size
    cut = images.reshape(count, channels, rows, patch_size, columns, patch_size)
    return cut.transpose(0, 2, 4, 3, 5, 1).reshape(count, rows * columns, patch_size * patch_size * channels)


@st.composite
def patch_grids(draw: st.DrawFn) -> Arguments:
    images, channels, rows, columns, size = draw(extents(5, edges=(2, 3), squared=(4,)))
    patches = draw(arrays((images, rows * columns, size * size * channels)))
    return {"patches": patches, "patch_size": size, "height": rows * size, "width": columns * size}


@operation(inputs=patch_grids(), batch=("patches",), differentiable=True)
def unpatchify(patches: Array, patch_size: int, height: int, width: int) -> Array:
    """The image that `patchify` made the patches of.

    patches (N, L, P P C)  ->  (N, C, Y, X), Y = height, X = width
    """
    count, length, pixels = patches.shape
    require(patch_size >= 1, "patch_size must be positive")
    require(height % patch_size == 0, f"height = {height} is no multiple of {patch_size}")
    require(width % patch_size == 0, f"width = {width} is no multiple of {patch_size}")
    rows, columns = height // patch_size, width // patch_size
    require(length == rows * columns, f"patches are {length}, not {rows} x {columns}")
    require(pixels % patch_size**2 == 0, f"patches hold {pixels} numbers, no multiple of {patch_size} x {patch_size}")
    channels = pixels // patch_size**2
    grid = patches.reshape(count, rows, columns, patch_size, patch_size, channels)
    return grid.transpose(0, 5, 1, 3, 2, 4).reshape(count, channels, height, width)


@law()
def pixels_stand_row_by_row_with_their_channels_last(patchify: Implementation, images: Array, patch_size: int) -> Claim:
    """Number (py P + px) C + c of patch gy (X / P) + gx is channel c of the pixel (gy P + py, gx P + px)."""
    channels, height, width = images.shape[1:]
    columns = width // patch_size
    patch = np.arange(height // patch_size * columns)[:, None]
    number = np.arange(patch_size * patch_size * channels)
    row = patch // columns * patch_size + number // channels // patch_size
    column = patch % columns * patch_size + number // channels % patch_size
    return closely(patchify(images=images, patch_size=patch_size), images[:, number % channels, row, column])


@law()
def unpatchify_undoes_patchify(
    patchify: Implementation, unpatchify: Implementation, images: Array, patch_size: int
) -> Claim:
    """An image cut into patches and put together again is itself, also where it is not square."""
    patches = patchify(images=images, patch_size=patch_size)
    height, width = images.shape[2:]
    return closely(unpatchify(patches=patches, patch_size=patch_size, height=height, width=width), images)


@fault(
    unpatchify,
    breaks=unpatchify_undoes_patchify,
    kind="axis",
    repair="Count them from the height.",
    seen="https://github.com/PKU-YuanGroup/Chat-UniVi/issues/48",
)
def swaps_the_sides_of_the_grid(patches: Array, patch_size: int, height: int, width: int) -> Array:
    """Rows of the grid are counted from the width, right for square images only."""
    require(height % patch_size == 0 and width % patch_size == 0, "height or width is no multiple of patch_size")
    rows, columns, channels = width // patch_size, height // patch_size, patches.shape[2] // patch_size**2
    require(patches.shape[1] == rows * columns, "patches are of another grid")
    grid = patches.reshape(len(patches), rows, columns, patch_size, patch_size, channels)
    return grid.transpose(0, 5, 1, 3, 2, 4).reshape(len(patches), channels, height, width)


@law(seed=seeds)
def embedding_patches_is_a_strided_convolution(
    patchify: Implementation, images: Array, patch_size: int, seed: int
) -> Claim:
    """Patches times a matrix are a convolution of the image with the matrix as kernel, and stride P."""
    kernel = normal(seed, (patch_size, patch_size, images.shape[1], 3), images)
    embedded = patchify(images=images, patch_size=patch_size) @ kernel.reshape(-1, 3)
    convolved: Array = 0.0
    for row in range(patch_size):
        for column in range(patch_size):
            tap = images[:, :, row::patch_size, column::patch_size].transpose(0, 2, 3, 1)  # (N, Y / P, X / P, C)
            convolved = convolved + asbounded(tap) @ kernel[row, column]
    return closely(embedded, convolved.reshape(embedded.shape))


def _cut(images: Array, size: int, *order: int) -> Array:
    """Patches with axes (N, C, Y / P, P, X / P, P) in another order."""
    count, channels, height, width = images.shape
    require(height % size == 0 and width % size == 0, "images have no whole patches")
    cut = images.reshape(count, channels, height // size, size, width // size, size)
    return cut.transpose(*order).reshape(count, -1, size * size * channels)


@fault(
    patchify,
    breaks=(
        pixels_stand_row_by_row_with_their_channels_last,
        embedding_patches_is_a_strided_convolution,
        unpatchify_undoes_patchify,
    ),
    kind="axis",
    repair="Put the channels last.",
)
def channels_first(images: Array, patch_size: int) -> Array:
    """A patch lists its channels one after the other, (c, py, px), as unfold does."""
    return _cut(images, patch_size, 0, 2, 4, 1, 3, 5)


@fault(
    patchify,
    breaks=(
        pixels_stand_row_by_row_with_their_channels_last,
        embedding_patches_is_a_strided_convolution,
        unpatchify_undoes_patchify,
    ),
    kind="axis",
    repair="Count them along its rows.",
)
def patches_column_by_column(images: Array, patch_size: int) -> Array:
    """Patches are counted down the columns of the grid."""
    return _cut(images, patch_size, 0, 4, 2, 3, 5, 1)


def _copied(**sizes: int) -> Cost:
    """Every pixel is read once and written once."""
    return Cost(moved=2 * math.prod(size for name, size in sizes.items() if name != "P"))


# --- patchify alone -------------------------------------------------------------------------------------------


@law(surplus=st.integers(1, 4), examples=20)
def images_without_whole_patches_are_refused(
    patchify: Implementation, images: Array, patch_size: int, surplus: int
) -> Claim:
    """Height and width have to be multiples of the patch size."""
    size = patch_size + 1
    odd = size * surplus + 1
    high, wide = (np.zeros((*images.shape[:2], *shape), images.dtype) for shape in ((odd, size), (size, odd)))
    return all_of(*[refused(patchify, "images", {"images": x, "patch_size": size}) for x in (high, wide)])


@fault(
    patchify,
    breaks=images_without_whole_patches_are_refused,
    kind="refusal",
    repair="Refuse such images.",
    seen="https://github.com/dovahcrow/patchify.py/issues/7",
)
def leaves_out_the_border(images: Array, patch_size: int) -> Array:
    """Pixels beyond the last whole patch are dropped without a word."""
    height, width = (extent // patch_size * patch_size for extent in images.shape[2:])
    return _cut(images[:, :, :height, :width], patch_size, 0, 2, 4, 3, 5, 1)


@workload(patchify, sizes={"N": 64, "C": 3, "Y": 224, "X": 224, "P": 16}, cost=_copied)
def imagenet_patches(random: np.random.Generator, N: int, C: int, Y: int, X: int, P: int) -> Arguments:
    """64 images of 224 x 224 cut into 196 patches each (He et al. 2021, section 4)."""
    return {"images": random.standard_normal((N, C, Y, X)), "patch_size": P}


# --- unpatchify alone -----------------------------------------------------------------------------------------


@law(surplus=st.integers(1, 3), examples=20)
def patches_of_another_grid_are_refused(
    unpatchify: Implementation, patches: Array, patch_size: int, height: int, width: int, surplus: int
) -> Claim:
    """An image has as many patches as its height and width hold, no more and no fewer."""
    call = {"patches": patches, "patch_size": patch_size, "height": height, "width": width}
    return all_of(
        refused(unpatchify, "patches", {**call, "height": height + surplus * patch_size}),
        refused(unpatchify, "patches", {**call, "patches": np.concatenate([patches] * (surplus + 1), axis=1)}),
    )


@law(examples=20)
def an_image_size_of_no_whole_patches_is_refused(
    unpatchify: Implementation, patches: Array, patch_size: int, height: int, width: int
) -> Claim:
    """Height and width of the image have to be multiples of the patch size."""
    size = patch_size + (patch_size == 1)
    call = {"patches": np.tile(patches, (1, 1, size * size)), "patch_size": size}
    rows, columns = height // patch_size * size, width // patch_size * size
    return all_of(
        refused(unpatchify, "height", {**call, "height": rows + 1, "width": columns}),
        refused(unpatchify, "width", {**call, "height": rows, "width": columns + 1}),
    )


@fault(
    unpatchify,
    breaks=(patches_of_another_grid_are_refused, an_image_size_of_no_whole_patches_is_refused),
    kind="refusal",
    repair="Refuse them.",
)
def fills_up_with_zeros(patches: Array, patch_size: int, height: int, width: int) -> Array:
    """Too few patches are padded with zeros, too many are dropped, and so are pixels."""
    rows, columns, pixels = -(-height // patch_size), -(-width // patch_size), patches.shape[2]
    wanted = rows * columns
    padded = np.concatenate([patches, np.zeros((len(patches), wanted, pixels), patches.dtype)], axis=1)[:, :wanted]
    whole = unpatchify(padded, patch_size, rows * patch_size, columns * patch_size)
    return whole[:, :, :height, :width]


@workload(unpatchify, sizes={"N": 64, "C": 3, "Y": 224, "X": 224, "P": 16}, cost=_copied)
def imagenet_images(random: np.random.Generator, N: int, C: int, Y: int, X: int, P: int) -> Arguments:
    """64 images of 224 x 224 put together from 196 patches each (He et al. 2021, section 4)."""
    patches = random.standard_normal((N, (Y // P) * (X // P), P * P * C))
    return {"patches": patches, "patch_size": P, "height": Y, "width": X}
