"""Outlook attention, and what comes of the values in a window: sums, scales, the border, heads."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from layerlaws.language import (
    TEXTURES,
    Arguments,
    Array,
    Claim,
    Format,
    Implementation,
    affine,
    arrays,
    asbounded,
    closely,
    extents,
    fault,
    law,
    operation,
    require,
    rewritten,
    root,
    rounded,
    seeds,
    softmax,
)
from layerlaws.language import strategies as st
from layerlaws.notes.volo.folding import fold
from layerlaws.notes.volo.unfolding import unfold
from layerlaws.notes.volo.windows import counts


@st.composite
def outlooks(
    draw: st.DrawFn,
    kernels: tuple[int, ...] = (1, 3, 5),
    strides: tuple[int, ...] = (1, 2, 3),
    edges: bool = False,
    room: bool = False,
    narrowest: int = 1,
    textures: tuple[str, ...] = tuple(TEXTURES),
) -> Arguments:
    """Arguments of outlook attention, with scores that do not all saturate the softmax.

    edges: images may end at a tile's edge. room: for a stride and K - 1 pixels more on both axes. narrowest: the
    smallest width of a head.
    """
    batch, height, width = draw(extents(3, edges=(1, 2) if edges else ()))
    pixels = (
        batch * height * width
    )  # windows of 25 x 25 weights are kept to small images, those of 9 x 9 to larger ones
    fitting = [k for k in kernels if k < 5 or pixels <= 60]
    if pixels > 2000:
        fitting = [k for k in fitting if k == min(kernels)]
    kernel_size = draw(st.sampled_from(fitting))
    stride = draw(st.sampled_from(strides))
    num_heads, head_width = draw(st.integers(1, 3)), draw(st.integers(narrowest, 3))
    if room:
        height, width = height + stride + kernel_size - 1, width + stride + kernel_size - 1
    channels, scores = num_heads * head_width, num_heads * kernel_size**4
    x, w_v, w_a, b_a, w_o, b_o = draw(
        arrays(
            (batch, height, width, channels),
            (channels, channels),
            (channels, scores),
            (scores,),
            (channels, channels),
            (channels,),
            textures=textures,
        )
    )
    return {
        "x": x,
        "w_v": w_v,
        "w_a": w_a / 8,
        "b_a": b_a,
        "w_o": w_o,
        "b_o": b_o,
        "num_heads": num_heads,
        "kernel_size": kernel_size,
        "stride": stride,
    }


def block_means(x: Array, size: int) -> Array:
    """The means of blocks of size x size pixels, those that the border cuts off over the pixels they have.

    (B, Y, X, C)  ->  (B, ceil(Y / size), ceil(X / size), C)
    """
    batch, height, width, channels = x.shape
    rows, columns = -(-height // size), -(-width // size)
    padded = np.pad(x, ((0, 0), (0, rows * size - height), (0, columns * size - width), (0, 0)))
    sums = padded.reshape(batch, rows, size, columns, size, channels).sum(axis=(2, 4))
    tall, wide = (np.minimum(size, n - size * np.arange(-(-n // size))) for n in (height, width))
    return sums / (tall[:, None] * wide)[:, :, None].astype(x.dtype)


@operation(inputs=outlooks(edges=True), batch=("x",), differentiable=True)
def outlook_attention(
    x: Array, w_v: Array, w_a: Array, b_a: Array, w_o: Array, b_o: Array, num_heads: int, kernel_size: int, stride: int
) -> Array:
    """fold(softmax(A / sqrt(C/H)) unfold(x w_v)) w_o + b_o, where A = mean of the centre's block w_a + b_a.

    x (B, Y, X, C), w_v and w_o (C, C), w_a (C, H K^4), b_a (H K^4,), b_o (C,), K odd  ->  (B, Y, X, C).
    A is, for each window and head, (K^2 pixels that come out, K^2 pixels they are mixed from); softmax over the latter.
    """
    batch, height, width, channels = x.shape
    require(kernel_size >= 1 and kernel_size % 2, f"kernel_size is {kernel_size}: only odd windows have a centre")
    require(stride >= 1, f"stride must be at least 1, not {stride}")
    require(num_heads >= 1 and channels % num_heads == 0, f"num_heads is {num_heads}, x has {channels} channels")
    head_width, taps, padding = channels // num_heads, kernel_size**2, kernel_size // 2
    for name, array, shape in (
        ("w_v", w_v, (channels, channels)),
        ("w_a", w_a, (channels, num_heads * taps**2)),
        ("b_a", b_a, (num_heads * taps**2,)),
        ("w_o", w_o, (channels, channels)),
        ("b_o", b_o, (channels,)),
    ):
        require(array.shape == shape, f"{name} has shape {array.shape}, not {shape}")
    patches = unfold(x @ w_v, kernel_size, stride, padding)  # (B, L, C K K)
    values = patches.reshape(batch, -1, num_heads, head_width, taps)
    centres = block_means(x, stride).reshape(batch, -1, channels)  # (B, L, C)
    scores = affine(centres, w_a, b_a).reshape(batch, -1, num_heads, taps, taps) / root(head_width)
    mixed = values @ softmax(scores).swapaxes(-1, -2)  # (B, L, H, C/H, K^2 that come out)
    folded = fold(mixed.reshape(*patches.shape), height, width, kernel_size, stride, padding)
    return affine(folded, w_o, b_o)


def outlook_with(
    x: Array,
    w_v: Array,
    w_a: Array,
    b_a: Array,
    w_o: Array,
    b_o: Array,
    num_heads: int,
    kernel_size: int,
    stride: int,
    pool: Callable[[Array, int], Array] = block_means,
    weigh: Callable[..., Array] = softmax,
    put: Callable[..., Array] = fold,
    view: Callable[..., Array] = unfold,
    scale: float | None = None,
) -> Array:
    """Outlook attention with the knobs that faults turn; it checks nothing."""
    batch, height, width, channels = x.shape
    taps, head_width = kernel_size**2, channels // num_heads
    options = {"kernel_size": kernel_size, "stride": stride, "padding": kernel_size // 2}
    patches = view(x @ w_v, **options)
    values = patches.reshape(batch, -1, num_heads, head_width, taps)
    scores = pool(x, stride).reshape(batch, -1, channels) @ w_a + b_a
    scores = scores.reshape(batch, -1, num_heads, taps, taps) * (head_width**-0.5 if scale is None else scale)
    mixed = (values @ weigh(scores).swapaxes(-1, -2)).reshape(*patches.shape)
    return put(mixed, height=height, width=width, **options) @ w_o + b_o


def plain_output(inputs: Arguments) -> Arguments:
    """The same arguments with an output projection that leaves everything as it is."""
    return {**inputs, "w_o": np.eye(len(inputs["w_o"]), dtype=inputs["x"].dtype), "b_o": np.zeros_like(inputs["b_o"])}


def blind(inputs: Arguments) -> Arguments:
    """The same arguments with weights that do not depend on the image: those of b_a."""
    return {**inputs, "w_a": np.zeros_like(inputs["w_a"])}


def through(x: Array, *weights: Array) -> Array:
    """x times matrices, as a law computes it."""
    for weight in weights:
        x = asbounded(x) @ asbounded(weight)
    return x


@law(inputs=outlooks(kernels=(1, 3), strides=(1,), room=True))
def constant_values_come_out_k_squared_times(outlook_attention: Implementation, inputs: Arguments) -> Claim:
    """Where all values are the same c, any weights give K^2 c at pixels none of whose windows touch the padding."""
    x, w_v, reach = inputs["x"], inputs["w_v"], inputs["kernel_size"] - 1
    constant = np.where(np.arange(len(w_v))[:, None] == 0, w_v, 0)  # the values are row 0 times channel 0
    arguments = {**plain_output(inputs), "x": rewritten(x, np.s_[..., 0], 1), "w_v": constant}
    inside = outlook_attention(**arguments)[:, reach : x.shape[1] - reach, reach : x.shape[2] - reach]
    return closely(inside, np.broadcast_to(asbounded(w_v[0]) * (reach + 1) ** 2, inside.shape))


@law(num_heads=st.integers(1, 2), channels=st.sampled_from([2, 4]), examples=4)
def uniform_weights_on_ones_fade_to_the_border(
    outlook_attention: Implementation, num_heads: int, channels: int, format: Format
) -> Claim:
    """Uniform weights on an image of ones, 5 x 5 with K = 3, give 9 in the centre and 25/9 in the corners."""
    eye = np.eye(channels, dtype=format.dtype)
    result = outlook_attention(
        x=np.ones((1, 5, 5, channels), format.dtype),
        w_v=eye,
        w_a=np.zeros((channels, 81 * num_heads), format.dtype),
        b_a=np.ones(81 * num_heads, format.dtype),
        w_o=eye,
        b_o=np.zeros(channels, format.dtype),
        num_heads=num_heads,
        kernel_size=3,
        stride=1,
    )
    along = np.array([5, 8, 9, 8, 5])  # sums of three sums of three, with zeros beyond the ends
    expected = np.outer(along, along) / 9
    return closely(result, rounded(np.broadcast_to(expected[:, :, None], result.shape), format))


@law(inputs=outlooks(kernels=(1,), strides=(1,)))
def one_tap_leaves_two_linear_maps(outlook_attention: Implementation, inputs: Arguments) -> Claim:
    """With K = 1 and stride 1 there is nothing to mix: x w_v w_o + b_o."""
    expected = affine(through(inputs["x"], inputs["w_v"]), asbounded(inputs["w_o"]), asbounded(inputs["b_o"]))
    return closely(outlook_attention(**inputs), expected)


@fault(
    outlook_attention,
    breaks=one_tap_leaves_two_linear_maps,
    kind="axis",
    repair="Permute the axes first.",
    seen="https://github.com/leaderj1001/Attention-Augmented-Conv2d/issues/21",
)
def reshapes_without_permuting(**inputs: Any) -> Array:
    """Numbers ordered (windows, channels) are reshaped to (channels, windows)."""

    def put(patches: Array, **options: int) -> Array:
        batch, count, size = patches.shape
        return fold(patches.reshape(batch, size, count).swapaxes(1, 2), **options)

    return outlook_with(**inputs, put=put)


@law(inputs=outlooks(kernels=(1,), strides=(2, 3), room=True))
def pixels_under_no_window_get_the_output_bias(outlook_attention: Implementation, inputs: Arguments) -> Claim:
    """With K = 1 and a stride above 1 the pixels between the windows are 0 before the output projection."""
    height, width = inputs["x"].shape[1:3]
    between = (np.arange(height) % inputs["stride"] > 0)[:, None] | (np.arange(width) % inputs["stride"] > 0)
    result = outlook_attention(**inputs)[:, between]
    return closely(result, np.broadcast_to(inputs["b_o"], result.shape))


@law(inputs=outlooks(kernels=(1, 3)))
def weights_that_pick_each_pixel_itself_count_the_windows(
    outlook_attention: Implementation, inputs: Arguments
) -> Claim:
    """Scores of 1e4 from each pixel to itself give x w_v times the number of windows over it, and nothing overflows."""
    kernel_size, dtype = inputs["kernel_size"], inputs["x"].dtype
    itself = np.tile(1e4 * np.eye(kernel_size**2).ravel(), inputs["num_heads"]).astype(dtype)
    height, width = inputs["x"].shape[1:3]
    number = counts(height, width, kernel_size, inputs["stride"], kernel_size // 2, dtype)
    result = outlook_attention(**{**blind(plain_output(inputs)), "b_a": itself})
    return closely(result, through(inputs["x"], inputs["w_v"]) * number)


@fault(
    outlook_attention,
    breaks=weights_that_pick_each_pixel_itself_count_the_windows,
    kind="precision",
    repair="Subtract the largest first.",
    seen="https://github.com/dwavesystems/dwave-optimization/issues/555",
)
def exponentials_overflow(**inputs: Any) -> Array:
    """Scores go to exp as they are, which overflows."""
    return outlook_with(**inputs, weigh=lambda scores: np.exp(scores) / np.exp(scores).sum(axis=-1, keepdims=True))


@fault(
    outlook_attention,
    breaks=(
        constant_values_come_out_k_squared_times,
        pixels_under_no_window_get_the_output_bias,
        weights_that_pick_each_pixel_itself_count_the_windows,
    ),
    kind="scale",
    repair="Outlook attention adds up.",
)
def divides_by_the_overlaps(**inputs: Any) -> Array:
    """Sums are divided by the number of windows over a pixel, which may be 0."""

    def put(patches: Array, **options: int) -> Array:
        return fold(patches, **options) / counts(**options, dtype=patches.dtype)

    return outlook_with(**inputs, put=put)


@law(inputs=outlooks(kernels=(3, 5)), score=st.sampled_from([-4.0, -1.0, 0.5, 2.0]))
def a_lone_pixel_competes_with_the_padding(
    outlook_attention: Implementation, inputs: Arguments, score: float, format: Format
) -> Claim:
    """In an image of one pixel, with a score t for itself and 0 for the K^2 - 1 zeros around it, the pixel keeps
    1 / (1 + (K^2 - 1) exp(-t / sqrt(C/H))) of its value.
    """
    taps, x = inputs["kernel_size"] ** 2, inputs["x"][:, :1, :1]
    middle = (np.arange(taps**2) == (taps**2 - 1) // 2) * score
    b_a = np.tile(middle, inputs["num_heads"]).astype(x.dtype)
    kept = 1 / (1 + (taps - 1) * np.exp(-score / root(x.shape[-1] // inputs["num_heads"])))
    result = outlook_attention(**{**blind(plain_output(inputs)), "x": x, "b_a": b_a, "stride": 1})
    return closely(result, through(x, inputs["w_v"]) * rounded(kept, format))


@fault(
    outlook_attention,
    breaks=a_lone_pixel_competes_with_the_padding,
    kind="scale",
    repair="Divide by the root of a head's width, sqrt(C/H).",
    seen="https://github.com/aladdinpersson/Machine-Learning-Collection/issues/65",
)
def outlook_scaled_by_the_whole_width(**inputs: Any) -> Array:
    """Scores are divided by sqrt(C)."""
    return outlook_with(**inputs, scale=inputs["x"].shape[-1] ** -0.5)


@fault(
    outlook_attention,
    breaks=(a_lone_pixel_competes_with_the_padding, uniform_weights_on_ones_fade_to_the_border),
    kind="boundary",
    repair="They take their share of the weights like any pixel.",
)
def padding_is_masked(**inputs: Any) -> Array:
    """Zeros of the padding are kept out of the softmax."""
    kernel_size, ones = inputs["kernel_size"], np.ones((1, *inputs["x"].shape[1:3], 1))
    inside = unfold(ones, kernel_size, inputs["stride"], kernel_size // 2)[0] > 0  # (L, K^2)
    return outlook_with(**inputs, weigh=lambda scores: softmax(scores, where=inside[:, None, None]))


@law(inputs=outlooks(kernels=(1, 3)))
def the_output_projection_comes_after_folding(outlook_attention: Implementation, inputs: Arguments) -> Claim:
    """w_o and b_o act on each folded pixel once, however many windows lie over it."""
    folded = outlook_attention(**plain_output(inputs))
    projected = affine(folded, asbounded(inputs["w_o"]), asbounded(inputs["b_o"]))
    return closely(outlook_attention(**inputs), projected)


@fault(
    outlook_attention,
    breaks=the_output_projection_comes_after_folding,
    kind="order",
    repair="Fold first.",
)
def projects_every_patch(**inputs: Any) -> Array:
    """Output weights and bias are applied to each patch, so that the bias counts once per window."""
    kernel_size, b_o = inputs["kernel_size"], inputs["b_o"]
    height, width = inputs["x"].shape[1:3]
    number = counts(height, width, kernel_size, inputs["stride"], kernel_size // 2, b_o.dtype)
    return outlook_with(**{**inputs, "b_o": 0 * b_o}) + number * b_o


@law(inputs=outlooks(kernels=(1, 3)), seed=seeds)
def heads_of_outlook_may_be_permuted(outlook_attention: Implementation, inputs: Arguments, seed: int) -> Claim:
    """Permuting the heads, blocks of C/H channels of w_v and w_o and of K^4 scores, changes nothing."""
    heads = inputs["num_heads"]
    order = np.random.default_rng(seed).permutation(heads)

    def blocks(array: Array) -> Array:
        """The last axis with its blocks permuted."""
        return array.reshape(*array.shape[:-1], heads, -1)[..., order, :].reshape(array.shape)

    permuted = {name: blocks(inputs[name]) for name in ("w_v", "w_a", "b_a")} | {"w_o": blocks(inputs["w_o"].T).T}
    return closely(outlook_attention(**{**inputs, **permuted}), outlook_attention(**inputs))


@fault(
    outlook_attention,
    breaks=heads_of_outlook_may_be_permuted,
    kind="axis",
    repair="Heads own blocks of C/H channels.",
)
def heads_interleaved(**inputs: Any) -> Array:
    """Channel c goes to head c mod H."""
    order = np.arange(inputs["x"].shape[-1]).reshape(-1, inputs["num_heads"]).T.ravel()
    return outlook_with(**{**inputs, "w_v": inputs["w_v"][:, order], "w_o": inputs["w_o"][order]})
