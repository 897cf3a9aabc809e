"""Unfold: every window of an image becomes one row, as the soft split of tokens-to-token."""

from __future__ import annotations

import numpy as np

from layerlaws.language import (
    Arguments,
    Array,
    Claim,
    Format,
    Implementation,
    asbounded,
    closely,
    exactly,
    fault,
    law,
    normal,
    operation,
    refused,
    seeds,
    workload,
)
from layerlaws.notes.volo.windows import (
    NONSENSE,
    SOFT_SPLIT,
    border,
    count_windows,
    flattened,
    frames,
    framing,
    swapped,
    window_views,
    windows_cost,
    windows_cost_backward,
)


@operation(inputs=frames(), batch=("x",), differentiable=True)
def unfold(x: Array, kernel_size: int, stride: int, padding: int) -> Array:
    """The windows of K x K pixels, each one row (c, ky, kx): x[i stride + ky - padding, j stride + kx - padding, c].

    x (B, Y, X, C)  ->  (B, L, C K K), L windows row by row; zeros around the image.
    """
    batch, height, width, channels = x.shape
    rows, columns = (count_windows(extent, kernel_size, stride, padding) for extent in (height, width))
    border = (padding, padding)
    padded = np.pad(x, ((0, 0), border, border, (0, 0)))
    views = np.lib.stride_tricks.sliding_window_view(padded, (kernel_size, kernel_size), axis=(1, 2))
    return views[:, ::stride, ::stride].reshape(batch, rows * columns, channels * kernel_size**2)


@law(examples=1)
def the_soft_splits_of_t2t_make_3136_784_and_196_tokens(unfold: Implementation, format: Format) -> Claim:
    """At 224 x 224 the windows 7/4/2, 3/2/1 and 3/2/1 (kernel, stride, padding) with 64 channels between them make
    tokens of 3136 x 147, 784 x 576 and 196 x 576.
    """
    steps = ((224, 3, 7, 4, 2), (56, 64, 3, 2, 1), (28, 64, 3, 2, 1))
    shapes = [
        unfold(x=np.zeros((1, side, side, channels), format.dtype), kernel_size=k, stride=s, padding=p).shape
        for side, channels, k, s, p in steps
    ]
    return exactly(np.array(shapes), np.array([(1, 3136, 147), (1, 784, 576), (1, 196, 576)]))


@fault(
    unfold,
    breaks=the_soft_splits_of_t2t_make_3136_784_and_196_tokens,
    kind="boundary",
    repair="Pixels behind the last whole window are in none: round down.",
)
def windows_past_the_end(x: Array, **options: int) -> Array:
    """The number of windows is rounded up."""
    missing = [-(n + 2 * options["padding"] - options["kernel_size"]) % options["stride"] for n in x.shape[1:3]]
    return unfold(np.pad(x, ((0, 0), *((0, m) for m in missing), (0, 0))), **options)


@law(seed=seeds)
def a_linear_map_of_patches_is_a_convolution(unfold: Implementation, inputs: Arguments, seed: int) -> Claim:
    """Patches times weights (C K K, O) are the convolution with the kernel (C, K, K, O)."""
    x, kernel_size, stride = inputs["x"], inputs["kernel_size"], inputs["stride"]
    kernel = normal(seed, (x.shape[-1], kernel_size, kernel_size, 2), x)
    rows, columns = (count_windows(extent, **framing(inputs)) for extent in x.shape[1:3])
    padded = np.pad(x, border(inputs["padding"]))
    convolved: Array = 0
    for ky, kx in np.ndindex(kernel_size, kernel_size):
        under = padded[:, ky::stride, kx::stride][:, :rows, :columns]
        convolved = convolved + asbounded(under) @ asbounded(kernel[:, ky, kx])
    patches = unfold(**inputs)
    return closely(patches @ asbounded(kernel.reshape(-1, 2)), convolved.reshape(*patches.shape[:2], 2))


@fault(
    unfold,
    breaks=a_linear_map_of_patches_is_a_convolution,
    kind="axis",
    repair="Put the channel first.",
    seen="https://github.com/pytorch/executorch/pull/20708",
)
def kernel_before_channel(x: Array, kernel_size: int, stride: int, padding: int) -> Array:
    """Rows are ordered (ky, kx, c), the weights of a convolution (c, ky, kx)."""
    return flattened(window_views(x, kernel_size, stride, padding).transpose(0, 1, 2, 4, 5, 3))


@fault(
    unfold,
    breaks=a_linear_map_of_patches_is_a_convolution,
    kind="axis",
    repair="Windows are read row by row: (c, ky, kx).",
)
def kernel_column_by_column(x: Array, kernel_size: int, stride: int, padding: int) -> Array:
    """Rows are ordered (c, kx, ky)."""
    return flattened(window_views(x, kernel_size, stride, padding).swapaxes(-1, -2))


@law()
def unfolding_sees_a_frame_of_zeros(unfold: Implementation, inputs: Arguments) -> Claim:
    """Padding is the same as zeros written around the image beforehand."""
    framed = np.pad(inputs["x"], border(inputs["padding"]))
    return exactly(unfold(**inputs), unfold(**{**inputs, "x": framed, "padding": 0}))


@fault(
    unfold,
    breaks=unfolding_sees_a_frame_of_zeros,
    kind="boundary",
    repair="Pad with zeros.",
)
def pads_with_the_edge(x: Array, kernel_size: int, stride: int, padding: int) -> Array:
    """The border's pixels are repeated beyond it."""
    return flattened(window_views(x, kernel_size, stride, padding, mode="edge"))


@law()
def unfolding_treats_both_axes_alike(unfold: Implementation, inputs: Arguments) -> Claim:
    """Swapping Y and X swaps the axes of the grid of windows and those of the kernel, on images that are not square."""
    rows = count_windows(inputs["x"].shape[1], **framing(inputs))
    across = unfold(**{**inputs, "x": inputs["x"].swapaxes(1, 2)})
    return exactly(across, swapped(unfold(**inputs), rows, inputs["kernel_size"]))


@fault(
    unfold,
    breaks=unfolding_treats_both_axes_alike,
    kind="axis",
    repair="List them row by row, as the pixels of an image are.",
)
def windows_column_by_column(x: Array, kernel_size: int, stride: int, padding: int) -> Array:
    """Windows are listed column by column."""
    return flattened(window_views(x, kernel_size, stride, padding).swapaxes(1, 2))


@law(wrong=NONSENSE, examples=20)
def unfold_refuses_windows_that_cannot_be(unfold: Implementation, inputs: Arguments, wrong: tuple[str, int]) -> Claim:
    """No kernel below 1 or larger than the padded image, no stride below 1, no padding below 0."""
    return refused(unfold, wrong[0], {**inputs, wrong[0]: wrong[1]})


@fault(
    unfold,
    breaks=unfold_refuses_windows_that_cannot_be,
    kind="refusal",
    repair="Raise ValueError.",
)
def unfolds_whatever_it_is_told(x: Array, kernel_size: int, stride: int, padding: int) -> Array:
    """Impossible windows are replaced by possible ones in silence."""
    return unfold(x, min(max(kernel_size, 1), *x.shape[1:3]), max(stride, 1), max(padding, 0))


@workload(unfold, sizes=SOFT_SPLIT, cost=windows_cost, backward=windows_cost_backward, gradient=True)
def soft_split(
    random: np.random.Generator, B: int, Y: int, X: int, C: int, K: int, stride: int, padding: int
) -> Arguments:
    """The first soft split of T2T-ViT: 8 images of 224 x 224 become 3,136 tokens of 147 numbers (Yuan et al. 2021,
    Tokens-to-Token ViT, section 3.1).
    """
    return {"x": random.standard_normal((B, Y, X, C)), "kernel_size": K, "stride": stride, "padding": padding}
