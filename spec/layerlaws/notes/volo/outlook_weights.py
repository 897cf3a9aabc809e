"""Whose weights outlook attention uses and how far they reach; what it refuses, and its workload."""

from __future__ import annotations

from typing import Any

import numpy as np

from layerlaws.language import (
    STEEPNESS,
    Arguments,
    Array,
    Claim,
    Cost,
    Format,
    Ids,
    Implementation,
    Mask,
    answers_as,
    arrays,
    asbounded,
    closely,
    dependence,
    exactly,
    far_below,
    fault,
    law,
    matrix,
    normal,
    refused,
    rewritten,
    rounded,
    seeds,
    sigmoid,
    softmax,
    softmax_from,
    workload,
)
from layerlaws.language import strategies as st
from layerlaws.notes.volo.folding import fold
from layerlaws.notes.volo.outlook import (
    blind,
    block_means,
    constant_values_come_out_k_squared_times,
    outlook_attention,
    outlook_with,
    outlooks,
    plain_output,
    through,
    uniform_weights_on_ones_fade_to_the_border,
)
from layerlaws.notes.volo.unfolding import unfold
from layerlaws.notes.volo.windows import count_windows, flattened, window_views


@st.composite
def telling_outlooks(draw: st.DrawFn, kernels: tuple[int, ...] = (1, 3), strides: tuple[int, ...] = (1,)) -> Arguments:
    """Small images, scores near each other, and values that cannot cancel, so that every influence shows."""
    drawn = draw(outlooks(kernels, strides, textures=("normal",)))
    height, width = draw(st.integers(1, 8)), draw(st.integers(1, 3))
    x = draw(arrays((1, height, width, drawn["x"].shape[-1]), textures=("normal",)))
    positive = {name: np.abs(drawn[name]) + 0.5 for name in ("w_v", "w_o")}
    return {**drawn, **positive, "x": x, "w_a": drawn["w_a"] / 64, "b_a": drawn["b_a"] / 16}


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
    kind="axis",
    repair="It has to run over those that are mixed, the last axis.",
    seen="https://github.com/labmlai/annotated_deep_learning_paper_implementations/issues/146",
)
def softmax_over_the_outputs(**inputs: Any) -> Array:
    """The softmax runs over the pixels that come out."""
    return outlook_with(**inputs, weigh=lambda scores: softmax(scores, axis=-2))


@fault(
    outlook_attention,
    breaks=(constant_values_come_out_k_squared_times, a_constant_on_the_scores_of_an_output_changes_nothing),
    kind="formula",
    repair="Use the softmax.",
)
def weights_are_not_normalized(**inputs: Any) -> Array:
    """Each score goes through a sigmoid by itself, so that weights do not sum to 1."""
    return outlook_with(**inputs, weigh=sigmoid)


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
    kind="formula",
    repair="Average the block.",
)
def forgets_the_pooling(**inputs: Any) -> Array:
    """Only the first pixel of each block decides the weights."""
    return outlook_with(**inputs, pool=lambda x, size: x[:, ::size, ::size])


@law(inputs=outlooks(kernels=(1, 3)), steepness=STEEPNESS, examples=40)
def equal_scores_mix_a_window_alike_however_low_they_are(
    outlook_attention: Implementation, inputs: Arguments, steepness: int, format: Format
) -> Claim:
    """Where w_a is 0 and b_a constant, each pixel of a window weighs the same, and scores may lie as far below zero as
    the format bears.
    """
    far, near = ({**blind(inputs), "b_a": np.full_like(inputs["b_a"], x)} for x in (-far_below(format, steepness), 0))
    return answers_as(outlook_attention, far, near)


@fault(
    outlook_attention,
    breaks=equal_scores_mix_a_window_alike_however_low_they_are,
    kind="precision",
    repair="Start from minus infinity, or from the first score.",
)
def starts_the_maximum_of_a_window_at_a_number(**inputs: Any) -> Array:
    """The running maximum starts at -1e9: where all scores lie below, their exponentials vanish and nothing is left."""
    return outlook_with(**inputs, weigh=lambda scores: softmax_from(scores, -1e9))


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

    return outlook_with(**inputs, pool=pool)


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


def reached(operation: Implementation, inputs: Arguments, seed: int) -> Mask:
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
    kind="boundary",
    repair="Pad with zeros.",
)
def wraps_around(**inputs: Any) -> Array:
    """Windows at the border see the opposite one."""
    return outlook_with(**inputs, view=lambda x, **options: flattened(window_views(x, **options, mode="wrap")))


def over(extent: int, kernel_size: int, stride: int) -> Ids:
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

    return outlook_with(**{**inputs, "stride": 1}, pool=pool)


@law(inputs=outlooks(kernels=(3,), strides=(1, 2), narrowest=2), place=st.tuples(st.integers(0, 9), st.integers(0, 9)))
def a_centre_may_send_one_pixel_to_its_whole_window(
    outlook_attention: Implementation, inputs: Arguments, place: tuple[int, int], format: Format
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
        return outlook_with(x, w_v, w_a, b_a, w_o, b_o, num_heads, kernel_size, stride)
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
    kind="axis",
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

    return outlook_with(**inputs, view=view, put=put)


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
    kind="refusal",
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
    centres = count_windows(Y, K, stride, K // 2) * count_windows(X, K, stride, K // 2)
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
