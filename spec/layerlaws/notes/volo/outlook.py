"""TODO-TITLE outlook."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from layerlaws.language import (
    TEXTURES,
    Arguments,
    Array,
    Claim,
    Cost,
    Implementation,
    affine,
    arrays,
    asbounded,
    closely,
    dependence,
    exactly,
    extents,
    fault,
    law,
    matrix,
    normal,
    operation,
    refused,
    require,
    rewritten,
    root,
    rounded,
    seeds,
    sigmoid,
    softmax,
    workload,
)
from layerlaws.language import strategies as st
from layerlaws.notes.volo.folding import fold
from layerlaws.notes.volo.shared import _flat, _views, counts, windows
from layerlaws.notes.volo.unfolding import unfold


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
    large = batch * height * width > 60  # windows of 25 x 25 weights are kept to small images
    kernel_size, stride = (
        draw(st.sampled_from([k for k in kernels if k < 5 or not large])),
        draw(st.sampled_from(strides)),
    )
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


@st.composite
def telling_outlooks(draw: st.DrawFn, kernels: tuple[int, ...] = (1, 3), strides: tuple[int, ...] = (1,)) -> Arguments:
    """Small images, scores near each other, and values that cannot cancel, so that every influence shows."""
    drawn = draw(outlooks(kernels, strides, textures=("normal",)))
    height, width = draw(st.integers(1, 8)), draw(st.integers(1, 3))
    x = draw(arrays((1, height, width, drawn["x"].shape[-1]), textures=("normal",)))
    positive = {name: np.abs(drawn[name]) + 0.5 for name in ("w_v", "w_o")}
    return {**drawn, **positive, "x": x, "w_a": drawn["w_a"] / 64, "b_a": drawn["b_a"] / 16}


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


def plain_output(inputs: Arguments) -> Arguments:
    """The same arguments with an output projection that leaves everything as it is."""
    return {**inputs, "w_o": np.eye(len(inputs["w_o"]), dtype=inputs["x"].dtype), "b_o": np.zeros_like(inputs["b_o"])}


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
    outlook_attention: Implementation, num_heads: int, channels: int, format: Array
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


def through(x: Array, *weights: Any) -> Array:
    """x times matrices, as a law computes it."""
    for weight in weights:
        x = asbounded(x) @ asbounded(weight)
    return x


@law(inputs=outlooks(kernels=(1,), strides=(1,)))
def one_tap_leaves_two_linear_maps(outlook_attention: Implementation, inputs: Arguments) -> Claim:
    """With K = 1 and stride 1 there is nothing to mix: x w_v w_o + b_o."""
    expected = affine(through(inputs["x"], inputs["w_v"]), asbounded(inputs["w_o"]), asbounded(inputs["b_o"]))
    return closely(outlook_attention(**inputs), expected)


def _outlook(
    x: Array,
    w_v: Array,
    w_a: Array,
    b_a: Array,
    w_o: Array,
    b_o: Array,
    num_heads: int,
    kernel_size: int,
    stride: int,
    pool: Callable[..., Any] = block_means,
    weigh: Callable[..., Any] = softmax,
    put: Callable[..., Any] = fold,
    view: Callable[..., Any] = unfold,
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


@fault(
    outlook_attention,
    breaks=one_tap_leaves_two_linear_maps,
    kind="order",
    repair="Permute the axes first.",
    seen="https://github.com/leaderj1001/Attention-Augmented-Conv2d/issues/21",
)
def reshapes_without_permuting(**inputs: Any) -> Array:
    """Numbers ordered (windows, channels) are reshaped to (channels, windows)."""

    def put(patches: Array, **options: int) -> Array:
        batch, count, size = patches.shape
        return fold(patches.reshape(batch, size, count).swapaxes(1, 2), **options)

    return _outlook(**inputs, put=put)


@law(inputs=outlooks(kernels=(1,), strides=(2, 3), room=True))
def pixels_under_no_window_get_the_output_bias(outlook_attention: Implementation, inputs: Arguments) -> Claim:
    """With K = 1 and a stride above 1 the pixels between the windows are 0 before the output projection."""
    height, width = inputs["x"].shape[1:3]
    between = (np.arange(height) % inputs["stride"] > 0)[:, None] | (np.arange(width) % inputs["stride"] > 0)
    result = outlook_attention(**inputs)[:, between]
    return closely(result, np.broadcast_to(inputs["b_o"], result.shape))


def blind(inputs: Arguments) -> Arguments:
    """The same arguments with weights that do not depend on the image: those of b_a."""
    return {**inputs, "w_a": np.zeros_like(inputs["w_a"])}


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
    return _outlook(**inputs, weigh=lambda scores: np.exp(scores) / np.exp(scores).sum(axis=-1, keepdims=True))


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

    return _outlook(**inputs, put=put)


@law(inputs=outlooks(kernels=(3, 5)), score=st.sampled_from([-4.0, -1.0, 0.5, 2.0]))
def a_lone_pixel_competes_with_the_padding(
    outlook_attention: Implementation, inputs: Arguments, score: float, format: Array
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
    return _outlook(**inputs, scale=inputs["x"].shape[-1] ** -0.5)


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
    return _outlook(**inputs, weigh=lambda scores: softmax(scores, where=inside[:, None, None]))


@law(inputs=outlooks(kernels=(1, 3)))
def the_output_projection_comes_after_folding(outlook_attention: Implementation, inputs: Arguments) -> Claim:
    """w_o and b_o act on each folded pixel once, however many windows lie over it."""
    folded = outlook_attention(**plain_output(inputs))
    projected = affine(folded, asbounded(inputs["w_o"]), asbounded(inputs["b_o"]))
    return closely(outlook_attention(**inputs), projected)


@fault(
    outlook_attention,
    breaks=the_output_projection_comes_after_folding,
    kind="formula",
    repair="Fold first.",
)
def projects_every_patch(**inputs: Any) -> Array:
    """Output weights and bias are applied to each patch, so that the bias counts once per window."""
    kernel_size, b_o = inputs["kernel_size"], inputs["b_o"]
    height, width = inputs["x"].shape[1:3]
    number = counts(height, width, kernel_size, inputs["stride"], kernel_size // 2, b_o.dtype)
    return _outlook(**{**inputs, "b_o": 0 * b_o}) + number * b_o


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
    kind="formula",
    repair="Heads own blocks of C/H channels.",
)
def heads_interleaved(**inputs: Any) -> Array:
    """Channel c goes to head c mod H."""
    order = np.arange(inputs["x"].shape[-1]).reshape(-1, inputs["num_heads"]).T.ravel()
    return _outlook(**{**inputs, "w_v": inputs["w_v"][:, order], "w_o": inputs["w_o"][order]})


@law(inputs=outlooks(kernels=(1, 3)), seed=seeds)
def a_constant_on_the_scores_of_an_output_changes_nothing(
    outlook_attention: Implementation, inputs: Arguments, seed: int
) -> Claim:
    """Softmax runs over the pixels that are mixed: what all scores of a pixel that comes out share has no effect."""
    (channels, scores), taps = inputs["w_a"].shape, inputs["kernel_size"] ** 2
    shared = np.repeat(normal(seed, (channels + 1, scores // taps), inputs["x"]), taps, axis=1)
    moved = {
        "w_a": asbounded(inputs["w_a"]) + asbounded(shared[1:]),
        "b_a": asbounded(inputs["b_a"]) + asbounded(shared[0]),
    }
    return closely(outlook_attention(**{**inputs, **moved}), outlook_attention(**inputs))


@fault(
    outlook_attention,
    breaks=a_constant_on_the_scores_of_an_output_changes_nothing,
    kind="formula",
    repair="It has to run over those that are mixed, the last axis.",
    seen="https://github.com/labmlai/annotated_deep_learning_paper_implementations/issues/146",
)
def softmax_over_the_outputs(**inputs: Any) -> Array:
    """The softmax runs over the pixels that come out."""
    return _outlook(**inputs, weigh=lambda scores: softmax(scores, axis=-2))


@fault(
    outlook_attention,
    breaks=(constant_values_come_out_k_squared_times, a_constant_on_the_scores_of_an_output_changes_nothing),
    kind="formula",
    repair="Use the softmax.",
)
def weights_are_not_normalized(**inputs: Any) -> Array:
    """Each score goes through a sigmoid by itself, so that weights do not sum to 1."""
    return _outlook(**inputs, weigh=sigmoid)


def spread(means: Array, size: int, shape: tuple[int, ...]) -> Array:
    """Every mean at all pixels of its block, in an image of this shape."""
    return np.repeat(np.repeat(means, size, axis=1), size, axis=2)[:, : shape[1], : shape[2]]


def pointing(inputs: Arguments) -> Arguments:
    """The same arguments where only the last channel decides the weights, and has no part in the values."""
    first = np.arange(inputs["x"].shape[-1])[:, None] < inputs["x"].shape[-1] - 1
    return {**inputs, "w_v": np.where(first, inputs["w_v"], 0), "w_a": np.where(first, 0, inputs["w_a"])}


@law(inputs=outlooks(kernels=(3,), strides=(2, 3), narrowest=2))
def the_weights_see_the_average_of_their_block(outlook_attention: Implementation, inputs: Arguments) -> Claim:
    """Where one channel decides the weights, each of its pixels may be replaced by the average of its block."""
    arguments, stride = pointing(inputs), inputs["stride"]
    x = inputs["x"]
    means = spread(block_means(asbounded(x[..., -1:]), stride), stride, x.shape)
    levelled = np.concatenate([asbounded(x[..., :-1]), means], axis=-1)
    return closely(outlook_attention(**{**arguments, "x": levelled}), outlook_attention(**arguments))


@fault(
    outlook_attention,
    breaks=the_weights_see_the_average_of_their_block,
    kind="boundary",
    repair="Average the block.",
)
def forgets_the_pooling(**inputs: Any) -> Array:
    """Only the first pixel of each block decides the weights."""
    return _outlook(**inputs, pool=lambda x, size: x[:, ::size, ::size])


@law(inputs=outlooks(kernels=(3,), narrowest=2))
def equal_pixels_weigh_as_a_bias_up_to_the_border(outlook_attention: Implementation, inputs: Arguments) -> Claim:
    """Where the channel that decides the weights is constant, all windows weigh alike, those of blocks cut off by the
    border, too: the channel's row of w_a is a bias.
    """
    arguments = pointing({**inputs, "x": rewritten(inputs["x"], np.s_[..., -1], 2)})
    bias = asbounded(inputs["b_a"]) + asbounded(inputs["w_a"][-1]) * 2
    return closely(outlook_attention(**arguments), outlook_attention(**{**blind(arguments), "b_a": bias}))


@fault(
    outlook_attention,
    breaks=equal_pixels_weigh_as_a_bias_up_to_the_border,
    kind="boundary",
    repair="Divide by the pixels they have.",
    seen="https://github.com/root-project/root/issues/22523",
)
def partial_blocks_divided_by_whole_ones(**inputs: Any) -> Array:
    """Blocks cut off by the border are divided by the size of a whole one."""

    def pool(x: Array, size: int) -> Array:
        return block_means(np.pad(x, ((0, 0), *((0, -n % size) for n in x.shape[1:3]), (0, 0))), size)

    return _outlook(**inputs, pool=pool)


@law(inputs=outlooks(kernels=(1, 3), room=True))
def outlook_moves_with_the_image_by_multiples_of_the_stride(
    outlook_attention: Implementation, inputs: Arguments
) -> Claim:
    """Cutting one stride off the top and the left cuts it off the result, K - 1 pixels away from the cut."""
    stride, reach = inputs["stride"], inputs["kernel_size"] - 1
    whole = outlook_attention(**inputs)
    part = outlook_attention(**{**inputs, "x": inputs["x"][:, stride:, stride:]})
    return closely(part[:, reach:, reach:], whole[:, stride + reach :, stride + reach :])


@law(inputs=outlooks(kernels=(1, 3)))
def outlook_treats_both_axes_alike(outlook_attention: Implementation, inputs: Arguments) -> Claim:
    """Swapping Y and X of the image and of both kernels in the scores swaps Y and X of the result."""
    kernel = (inputs["num_heads"], *4 * (inputs["kernel_size"],))

    def across(array: Array) -> Array:
        return array.reshape(-1, *kernel).transpose(0, 1, 3, 2, 5, 4).reshape(array.shape)

    turned = {"x": inputs["x"].swapaxes(1, 2), "w_a": across(inputs["w_a"]), "b_a": across(inputs["b_a"])}
    return closely(outlook_attention(**{**inputs, **turned}), outlook_attention(**inputs).swapaxes(1, 2))


def reached(operation: Implementation, inputs: Arguments, seed: int) -> Array:
    """Which rows of the result move when a row of the image is rewritten. (Y, Y) bool."""
    x = inputs["x"]

    def moved(j: int) -> Arguments:
        place = np.s_[:, j]
        return inputs if j < 0 else {**inputs, "x": rewritten(x, place, 64 + normal(seed, x[place].shape, x))}

    return dependence(operation, moved, x.shape[1], axis=1)


@law(inputs=telling_outlooks(), seed=seeds, examples=40)
def a_pixel_sees_k_minus_1_pixels_on_each_side(
    outlook_attention: Implementation, inputs: Arguments, seed: int
) -> Claim:
    """At stride 1 the receptive field is 2K - 1 wide: the pixels that share a window with the one in the middle, all
    of them and no others.
    """
    row = np.arange(inputs["x"].shape[1])
    distance = np.abs(row[:, None] - row)
    return exactly(reached(outlook_attention, inputs, seed), distance <= inputs["kernel_size"] - 1)


@fault(
    outlook_attention,
    breaks=a_pixel_sees_k_minus_1_pixels_on_each_side,
    kind="mask",
    repair="Pad with zeros.",
)
def wraps_around(**inputs: Any) -> Array:
    """Windows at the border see the opposite one."""
    return _outlook(**inputs, view=lambda x, **options: _flat(_views(x, **options, mode="wrap")))


def over(extent: int, kernel_size: int, stride: int) -> Array:
    """Which pixels each window lies over, along one axis. (windows, pixels) 0 or 1."""
    centre = np.arange(0, extent, stride)[:, None]
    return (np.abs(np.arange(extent) - centre) <= kernel_size // 2).astype(int)


@law(inputs=telling_outlooks(kernels=(3,), strides=(2,)), seed=seeds, examples=40)
def with_a_stride_pixels_meet_under_the_windows_there_are(
    outlook_attention: Implementation, inputs: Arguments, seed: int
) -> Claim:
    """With K = 3 and stride 2 there are windows around every other pixel only, and what lies under none of those over
    a pixel does not reach it.
    """
    under = over(inputs["x"].shape[1], 3, 2)
    return exactly(reached(outlook_attention, inputs, seed), under.T @ under > 0)


@fault(
    outlook_attention,
    breaks=with_a_stride_pixels_meet_under_the_windows_there_are,
    kind="formula",
    repair="There is one window per block.",
)
def a_window_around_every_pixel(**inputs: Any) -> Array:
    """The weights of a block serve a window around each of its pixels."""

    def pool(x: Array, _: int) -> Array:
        return spread(block_means(x, inputs["stride"]), inputs["stride"], x.shape)

    return _outlook(**{**inputs, "stride": 1}, pool=pool)


@law(inputs=outlooks(kernels=(3,), strides=(1, 2), narrowest=2), place=st.tuples(st.integers(0, 9), st.integers(0, 9)))
def a_centre_may_send_one_pixel_to_its_whole_window(
    outlook_attention: Implementation, inputs: Arguments, place: tuple[int, int], format: Array
) -> Claim:
    """Erratum. Where the scores of one centre point at one pixel, that pixel comes out everywhere under the centre's
    window, and the others bring their K^2-th part of it: weights belong to windows. The shortcut of the released code
    has the centre send it to itself alone.
    """
    x, stride = inputs["x"], inputs["stride"]
    taps, shares = [], []
    for extent, position in zip(x.shape[1:3], place, strict=True):
        under, pixel = over(extent, 3, stride), position % extent
        window = pixel // stride  # the one whose block the pixel is in
        taps.append(pixel - window * stride + 1)
        shares.append((under.T @ under[:, pixel], under[window]))  # windows with the pixel over each place; this one
    pixel = tuple(position % extent for extent, position in zip(x.shape[1:3], place, strict=True))
    block = tuple(slice(i - i % stride, i - i % stride + stride) for i in pixel)
    lone = rewritten(np.zeros_like(x), np.s_[:, *pixel], x[:, *pixel])
    lone = rewritten(lone, np.s_[..., -1], 0)
    lone = rewritten(lone, np.s_[:, *block, -1], 1)  # the channel that decides the weights
    chosen = np.tile((np.arange(81) % 9 == 3 * taps[0] + taps[1]) * 1e4, inputs["num_heads"]).astype(x.dtype)
    arguments = pointing(plain_output({**inputs, "x": lone, "b_a": np.zeros_like(inputs["b_a"])}))
    arguments["w_a"] = rewritten(np.zeros_like(inputs["w_a"]), -1, chosen)
    sharing, sent = (np.multiply.outer(*pair) for pair in zip(*shares, strict=True))
    expected = rounded(((sharing - sent) / 9 + sent)[:, :, None], format)
    value = through(lone[:, *pixel][:, None, None], arguments["w_v"])
    return closely(outlook_attention(**arguments), value * expected)


@fault(
    outlook_attention,
    breaks=(a_centre_may_send_one_pixel_to_its_whole_window, uniform_weights_on_ones_fade_to_the_border),
    kind="formula",
    repair="The weights of a centre belong to its window: mix the window first, then fold the pixels.",
    seen="https://github.com/sail-sg/volo/blob/113117f14b15c7db235e5486c2b2804b2d6b72d8/models/volo.py",
)
def weighs_each_pixel_by_itself(
    x: Array, w_v: Array, w_a: Array, b_a: Array, w_o: Array, b_o: Array, num_heads: int, kernel_size: int, stride: int
) -> Array:
    """At stride 1 the weights of a pixel are folded to (2K - 1)^2 and serve that pixel alone."""
    if stride > 1:
        return _outlook(x, w_v, w_a, b_a, w_o, b_o, num_heads, kernel_size, stride)
    batch, head_width = len(x), x.shape[-1] // num_heads
    reach, taps = 2 * kernel_size - 1, kernel_size**2
    scores = (x @ w_a + b_a).reshape(-1, taps, taps) * head_width**-0.5
    weights = fold(softmax(scores).swapaxes(-1, -2), reach, reach, kernel_size, 1, 0)
    values = unfold(x @ w_v, reach, 1, kernel_size - 1).reshape(batch, -1, num_heads, head_width, reach**2)
    mixed = values @ weights.reshape(batch, -1, num_heads, reach**2, 1)
    return mixed.reshape(*x.shape) @ w_o + b_o


@fault(
    outlook_attention,
    breaks=(
        a_centre_may_send_one_pixel_to_its_whole_window,
        outlook_treats_both_axes_alike,
        outlook_moves_with_the_image_by_multiples_of_the_stride,
    ),
    kind="formula",
    repair="Permute (Y, X, C) to (C, Y, X).",
    seen="https://arxiv.org/abs/2106.13112",
)
def weights_of_the_mirrored_pixel(**inputs: Any) -> Array:
    """Algorithm 1 as printed: values are unfolded with Y and X swapped, weights are not, so that the two are paired
    across the diagonal.
    """

    def view(values: Array, **options: int) -> Array:
        return unfold(values.swapaxes(1, 2), **options)

    def put(patches: Array, height: int, width: int, **options: int) -> Array:
        return fold(patches, width, height, **options).swapaxes(1, 2)

    return _outlook(**inputs, view=view, put=put)


@law(inputs=outlooks(kernels=(1, 3)), examples=20)
def an_even_window_has_no_centre(outlook_attention: Implementation, inputs: Arguments) -> Claim:
    """An even kernel is refused, also with weights of its own size."""
    kernel_size, width = inputs["kernel_size"] + 1, inputs["x"].shape[-1]
    b_a = np.zeros(inputs["num_heads"] * kernel_size**4, inputs["x"].dtype)
    even = {"kernel_size": kernel_size, "w_a": np.zeros((width, len(b_a)), b_a.dtype), "b_a": b_a}
    return refused(outlook_attention, "kernel_size", {**inputs, **even})


@law(inputs=outlooks(kernels=(1, 3)), stride=st.sampled_from([0, -1]), examples=20)
def outlook_refuses_strides_below_1(outlook_attention: Implementation, inputs: Arguments, stride: int) -> Claim:
    """Windows have to be at least one pixel apart."""
    return refused(outlook_attention, "stride", {**inputs, "stride": stride})


@law(inputs=outlooks(kernels=(1, 3)), surplus=st.integers(1, 3), examples=20)
def outlook_heads_that_do_not_divide_the_channels_are_refused(
    outlook_attention: Implementation, inputs: Arguments, surplus: int
) -> Claim:
    """More heads than channels are refused, also with weights for that many."""
    heads, width = inputs["x"].shape[-1] + surplus, inputs["x"].shape[-1]
    b_a = np.zeros(heads * inputs["kernel_size"] ** 4, inputs["x"].dtype)
    more = {"num_heads": heads, "w_a": np.zeros((width, len(b_a)), b_a.dtype), "b_a": b_a}
    return refused(outlook_attention, "num_heads", {**inputs, **more})


@law(inputs=outlooks(kernels=(1, 3)), naming=st.sampled_from(["w_v", "w_a", "b_a", "w_o", "b_o"]), examples=20)
def outlook_weights_of_another_size_are_refused(
    outlook_attention: Implementation, inputs: Arguments, naming: str
) -> Claim:
    """Twice as many columns as there are channels, or heads times K^4 scores, do not fit."""
    array = inputs[naming]
    return refused(outlook_attention, naming, {**inputs, naming: np.concatenate([array, array], axis=-1)})


@fault(
    outlook_attention,
    breaks=(
        an_even_window_has_no_centre,
        outlook_heads_that_do_not_divide_the_channels_are_refused,
        outlook_weights_of_another_size_are_refused,
        outlook_refuses_strides_below_1,
    ),
    kind="formula",
    repair="Raise ValueError.",
)
def outlook_of_anything(**inputs: Any) -> Array:
    """Sizes that do not fit give the image back in silence."""
    try:
        return outlook_attention(**inputs)
    except ValueError:
        return 1 * inputs["x"]


def _outlook_cost(B: int, Y: int, X: int, C: int, H: int, K: int, stride: int) -> Cost:
    """Values and output at each pixel; at each window its weights, and its K^2 pixels mixed into K^2 new ones."""
    centres = windows(Y, K, stride, K // 2) * windows(X, K, stride, K // 2)
    flops = 4 * B * Y * X * C**2 + 2 * B * centres * C * (H + 1) * K**4
    return Cost(flops=flops, moved=2 * B * Y * X * C + 2 * C**2 + C * (H * K**4 + 1) + H * K**4)


@workload(
    outlook_attention,
    sizes={"B": 8, "Y": 28, "X": 28, "C": 192, "H": 6, "K": 3, "stride": 2},
    cost=_outlook_cost,
    gradient=True,
)
def volo_d1_outlooker(
    random: np.random.Generator, B: int, Y: int, X: int, C: int, H: int, K: int, stride: int
) -> Arguments:
    """An outlooker of VOLO-D1 on 8 images of 224 x 224, 28 x 28 tokens by then (Yuan et al. 2021, table 2)."""
    return {
        "x": random.standard_normal((B, Y, X, C)),
        "w_v": matrix(random, C, C),
        "w_a": matrix(random, C, H * K**4),
        "b_a": random.standard_normal(H * K**4),
        "w_o": matrix(random, C, C),
        "b_o": random.standard_normal(C),
        "num_heads": H,
        "kernel_size": K,
        "stride": stride,
    }
