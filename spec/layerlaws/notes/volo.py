"""Outlook attention and tokens-to-token: windows of an image unfolded, mixed by weights, folded back.

Note of 2021-11-17. Two ways to give a vision transformer the fine structure of an image, both made of windows of
K x K pixels that overlap. Tokens-to-token makes each window one token (Yuan and others, Tokens-to-Token ViT, 2021,
section 3.1: the soft split, which is `unfold`). Outlook attention lets the pixel at a window's centre say, by one
linear map and without any keys, how the K^2 pixels of its window are mixed into K^2 new ones; where windows overlap,
the new pixels are added up, which is `fold` (Yuan, Hou, Jiang, Feng, Yan, VOLO: Vision Outlooker for Visual
Recognition, 2021, section 3.1).

Claimed: fold is the adjoint of unfold; a pixel sees the K - 1 pixels on each side of it; the weights belong to the
centre of a window and serve all pixels under it; at 224 x 224 the soft splits of T2T make 3136, 784 and 196 tokens.
Not claimed: anything about accuracy, or about what T2T does between its soft splits.

Conventions. Images are (B, Y, X, C); patches are (B, L, C K K), L = rows times columns of windows, row by row, and
within a patch the channel is slowest, then ky, then kx. torch's F.unfold takes (B, C, Y, X) and returns the transpose,
(B, C K K, L); F.fold takes that. Others put the channel last (tf.image.extract_patches), so that weights do not carry
over. There are floor((Y + 2 padding - K) / stride) + 1 rows of windows: pixels behind the last one are in none, and
fold leaves them 0. Padding is zeros, and those zeros take part in the softmax. With a stride s the window is centred at
the first pixel of the s x s block whose average decides its weights; blocks cut off by the border are averaged over
the pixels they have (ceil_mode=True and no padding in torch). Overlaps are summed and not divided by their number.

Erratum. The released code has a shortcut for stride 1: it folds the weights of each pixel to a window of (2K - 1)^2 and
applies them to that pixel alone. That is another function, since a pixel is weighed by the centre of every window over
it: on normal numbers its results are off by 0.1 to 0.8 of their size (a relative error in the Euclidean norm), the more
the further the scores are apart. Shown by a_centre_may_send_one_pixel_to_its_whole_window.

Erratum. Algorithm 1 of the paper has v.permute(2, 1, 0), which makes (C, X, Y) of (Y, X, C), so that window (j, i) is
mixed by the weights of pixel (i, j). Shown by outlook_treats_both_axes_alike.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from layerlaws import Claim, Cost, asbounded, closely, exactly, fault, law, operation, refused, rounded, workload
from layerlaws.language import strategies as st
from layerlaws.language.dependence import dependence
from layerlaws.language.inputs import TEXTURES, arrays, extents, normal, rewritten, seeds
from layerlaws.language.workloads import matrix
from layerlaws.numerics.mathematics import affine, require, root, sigmoid, softmax

# --- inputs ---------------------------------------------------------------------------------------------------


@st.composite
def frames(draw: st.DrawFn, least: int = 1) -> dict[str, Any]:
    """An image and windows that fit into it. least: the smallest kernel."""
    shape = draw(extents(4, edges=(1, 2)))
    kernel_size, stride = draw(st.integers(least, 4)), draw(st.integers(1, 4))
    short = max(kernel_size - min(shape[1:3]), 0)
    padding = max(draw(st.integers(0, min(kernel_size - 1, 2))), (short + 1) // 2)
    return {"x": draw(arrays(shape)), "kernel_size": kernel_size, "stride": stride, "padding": padding}


@st.composite
def patchworks(draw: st.DrawFn, least: int = 1) -> dict[str, Any]:
    """The patches of an image of `frames`, of any numbers."""
    drawn = draw(frames(least))
    batch, height, width, channels = drawn.pop("x").shape
    rows, columns = (windows(extent, **drawn) for extent in (height, width))
    patches = draw(arrays((batch, rows * columns, channels * drawn["kernel_size"] ** 2)))
    return {"patches": patches, "height": height, "width": width, **drawn}


@st.composite
def outlooks(
    draw: st.DrawFn,
    kernels: tuple[int, ...] = (1, 3, 5),
    strides: tuple[int, ...] = (1, 2, 3),
    edges: bool = False,
    room: bool = False,
    narrowest: int = 1,
    textures: tuple[str, ...] = tuple(TEXTURES),
) -> dict[str, Any]:
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
            (batch, height, width, channels), (channels, channels), (channels, scores), (scores,),
            (channels, channels), (channels,), textures=textures,
        )
    )  # fmt: skip
    return {"x": x, "w_v": w_v, "w_a": w_a / 8, "b_a": b_a, "w_o": w_o, "b_o": b_o,
            "num_heads": num_heads, "kernel_size": kernel_size, "stride": stride}  # fmt: skip


@st.composite
def telling_outlooks(
    draw: st.DrawFn, kernels: tuple[int, ...] = (1, 3), strides: tuple[int, ...] = (1,)
) -> dict[str, Any]:
    """Small images, scores near each other, and values that cannot cancel, so that every influence shows."""
    drawn = draw(outlooks(kernels, strides, textures=("normal",)))
    height, width = draw(st.integers(1, 8)), draw(st.integers(1, 3))
    x = draw(arrays((1, height, width, drawn["x"].shape[-1]), textures=("normal",)))
    positive = {name: np.abs(drawn[name]) + 0.5 for name in ("w_v", "w_o")}
    return {**drawn, **positive, "x": x, "w_a": drawn["w_a"] / 64, "b_a": drawn["b_a"] / 16}


# --- definitions ----------------------------------------------------------------------------------------------


def windows(extent: int, kernel_size: int, stride: int, padding: int) -> int:
    """How many windows there are along an axis: floor((extent + 2 padding - K) / stride) + 1, at least 1."""
    require(kernel_size >= 1, f"kernel_size must be at least 1, not {kernel_size}")
    require(stride >= 1, f"stride must be at least 1, not {stride}")
    require(padding >= 0, f"padding must not be negative, as {padding}")
    room = extent + 2 * padding
    require(room >= kernel_size, f"kernel_size is {kernel_size}, the padded image has {room} pixels")
    return (room - kernel_size) // stride + 1


@operation(inputs=frames(), batch=("x",), differentiable=True)
def unfold(x: Any, kernel_size: int, stride: int, padding: int) -> Any:
    """The windows of K x K pixels, each one row (c, ky, kx): x[i stride + ky - padding, j stride + kx - padding, c].

    x (B, Y, X, C)  ->  (B, L, C K K), L windows row by row; zeros around the image.
    """
    batch, height, width, channels = x.shape
    rows, columns = (windows(extent, kernel_size, stride, padding) for extent in (height, width))
    border = (padding, padding)
    padded = np.pad(x, ((0, 0), border, border, (0, 0)))
    views = np.lib.stride_tricks.sliding_window_view(padded, (kernel_size, kernel_size), axis=(1, 2))
    return views[:, ::stride, ::stride].reshape(batch, rows * columns, channels * kernel_size**2)


@operation(inputs=patchworks(), batch=("patches",), differentiable=True)
def fold(patches: Any, height: int, width: int, kernel_size: int, stride: int, padding: int) -> Any:
    """Every patch put back where `unfold` takes it from; the sum where several overlap, 0 where none lies.

    patches (B, L, C K K)  ->  (B, Y, X, C); what lies on the padding is dropped.
    """
    rows, columns = (windows(extent, kernel_size, stride, padding) for extent in (height, width))
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


def covering(extent: int, count: int, kernel_size: int, stride: int, padding: int) -> tuple[Any, Any, Any]:
    """The windows over each place of an axis, the tap that each has there, and whether there is such a window.

    Three arrays (extent, ceil(K / stride)); window and tap are 0 where there is none.
    """
    place = np.arange(extent)[:, None] + padding
    window = place // stride - np.arange(-(-kernel_size // stride))
    tap = place - window * stride
    there = (window >= 0) & (window < count) & (tap < kernel_size)
    return np.where(there, window, 0), np.where(there, tap, 0), there


def block_means(x: Any, size: int) -> Any:
    """The means of blocks of size x size pixels, those that the border cuts off over the pixels they have.

    (B, Y, X, C)  ->  (B, ceil(Y / size), ceil(X / size), C)
    """
    batch, height, width, channels = x.shape
    rows, columns = -(-height // size), -(-width // size)
    padded = np.pad(x, ((0, 0), (0, rows * size - height), (0, columns * size - width), (0, 0)))
    sums = padded.reshape(batch, rows, size, columns, size, channels).sum(axis=(2, 4))
    tall, wide = (np.minimum(size, n - size * np.arange(-(-n // size))) for n in (height, width))
    return sums / (tall[:, None] * wide)[:, :, None].astype(x.dtype)


def spread(means: Any, size: int, shape: tuple[int, ...]) -> Any:
    """Every mean at all pixels of its block, in an image of this shape."""
    return np.repeat(np.repeat(means, size, axis=1), size, axis=2)[:, : shape[1], : shape[2]]


@operation(inputs=outlooks(edges=True), batch=("x",), differentiable=True)
def outlook_attention(
    x: Any, w_v: Any, w_a: Any, b_a: Any, w_o: Any, b_o: Any, num_heads: int, kernel_size: int, stride: int
) -> Any:
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
        ("w_v", w_v, (channels, channels)), ("w_a", w_a, (channels, num_heads * taps**2)),
        ("b_a", b_a, (num_heads * taps**2,)), ("w_o", w_o, (channels, channels)), ("b_o", b_o, (channels,)),
    ):  # fmt: skip
        require(array.shape == shape, f"{name} has shape {array.shape}, not {shape}")
    patches = unfold(x @ w_v, kernel_size, stride, padding)  # (B, L, C K K)
    values = patches.reshape(batch, -1, num_heads, head_width, taps)
    centres = block_means(x, stride).reshape(batch, -1, channels)  # (B, L, C)
    scores = affine(centres, w_a, b_a).reshape(batch, -1, num_heads, taps, taps) / root(head_width)
    mixed = values @ softmax(scores).swapaxes(-1, -2)  # (B, L, H, C/H, K^2 that come out)
    folded = fold(mixed.reshape(*patches.shape), height, width, kernel_size, stride, padding)
    return affine(folded, w_o, b_o)


# --- laws: unfold and fold ------------------------------------------------------------------------------------


def framing(inputs: dict[str, Any]) -> dict[str, int]:
    """How windows lie over an image."""
    return {name: inputs[name] for name in ("kernel_size", "stride", "padding")}


def border(padding: int) -> tuple[tuple[int, int], ...]:
    """Padding of Y and X as np.pad takes it."""
    return (0, 0), (padding, padding), (padding, padding), (0, 0)


@law(examples=1)
def the_soft_splits_of_t2t_make_3136_784_and_196_tokens(unfold: Any, format: Any) -> Claim:
    """At 224 x 224 the windows 7/4/2, 3/2/1 and 3/2/1 (kernel, stride, padding) with 64 channels between them make
    tokens of 3136 x 147, 784 x 576 and 196 x 576.
    """
    steps = ((224, 3, 7, 4, 2), (56, 64, 3, 2, 1), (28, 64, 3, 2, 1))
    shapes = [
        unfold(x=np.zeros((1, side, side, channels), format.dtype), kernel_size=k, stride=s, padding=p).shape
        for side, channels, k, s, p in steps
    ]
    return exactly(np.array(shapes), np.array([(1, 3136, 147), (1, 784, 576), (1, 196, 576)]))


@law(seed=seeds)
def a_linear_map_of_patches_is_a_convolution(unfold: Any, inputs: dict[str, Any], seed: int) -> Claim:
    """Patches times weights (C K K, O) are the convolution with the kernel (C, K, K, O)."""
    x, kernel_size, stride = inputs["x"], inputs["kernel_size"], inputs["stride"]
    kernel = normal(seed, (x.shape[-1], kernel_size, kernel_size, 2), x)
    rows, columns = (windows(extent, **framing(inputs)) for extent in x.shape[1:3])
    padded = np.pad(x, border(inputs["padding"]))
    convolved: Any = 0
    for ky, kx in np.ndindex(kernel_size, kernel_size):
        under = padded[:, ky::stride, kx::stride][:, :rows, :columns]
        convolved = convolved + asbounded(under) @ asbounded(kernel[:, ky, kx])
    patches = unfold(**inputs)
    return closely(patches @ asbounded(kernel.reshape(-1, 2)), convolved.reshape(*patches.shape[:2], 2))


@law(seed=seeds)
def fold_is_the_adjoint_of_unfold(unfold: Any, fold: Any, inputs: dict[str, Any], seed: int) -> Claim:
    """<unfold x, y> = <x, fold y> for any patches y."""
    x, patches = inputs["x"], unfold(**inputs)
    other = normal(seed, patches.shape, x)
    folded = fold(patches=other, height=x.shape[1], width=x.shape[2], **framing(inputs))
    return closely((patches * asbounded(other)).sum(axis=(1, 2)), (asbounded(x) * folded).sum(axis=(1, 2, 3)))


def counts(height: int, width: int, kernel_size: int, stride: int, padding: int, dtype: Any) -> Any:
    """How many windows lie over each pixel. (Y, X, 1)"""

    def along(extent: int) -> Any:
        first = np.arange(windows(extent, kernel_size, stride, padding)) * stride - padding
        place = np.arange(extent)[:, None]
        return ((place >= first) & (place < first + kernel_size)).sum(axis=1)

    return np.multiply.outer(along(height), along(width))[:, :, None].astype(dtype)


@law()
def fold_counts_the_windows_over_each_pixel(unfold: Any, fold: Any, inputs: dict[str, Any]) -> Claim:
    """fold(unfold x) is x times the number of windows over each pixel, 0 where there is none."""
    x, options = inputs["x"], framing(inputs)
    height, width = x.shape[1:3]
    back = fold(patches=unfold(**inputs), height=height, width=width, **options)
    return closely(back, asbounded(x) * counts(height, width, **options, dtype=x.dtype))


@law()
def unfolding_sees_a_frame_of_zeros(unfold: Any, inputs: dict[str, Any]) -> Claim:
    """Padding is the same as zeros written around the image beforehand."""
    framed = np.pad(inputs["x"], border(inputs["padding"]))
    return exactly(unfold(**inputs), unfold(**{**inputs, "x": framed, "padding": 0}))


@law()
def folding_cuts_the_frame_off(fold: Any, inputs: dict[str, Any]) -> Claim:
    """Folding to the padded image and cutting the padding off on all sides is folding with padding."""
    height, width, padding = inputs["height"], inputs["width"], inputs["padding"]
    whole = {"height": height + 2 * padding, "width": width + 2 * padding, "padding": 0}
    framed = fold(**{**inputs, **whole})
    return closely(framed[:, padding : padding + height, padding : padding + width], fold(**inputs))


def swapped(patches: Any, rows: int, kernel_size: int) -> Any:
    """The patches of an image with `rows` rows of windows as those of the image with Y and X swapped."""
    batch, count, size = patches.shape
    grid = patches.reshape(batch, rows, count // rows, -1, kernel_size, kernel_size)
    return grid.transpose(0, 2, 1, 3, 5, 4).reshape(batch, count, size)


@law()
def unfolding_treats_both_axes_alike(unfold: Any, inputs: dict[str, Any]) -> Claim:
    """Swapping Y and X swaps the axes of the grid of windows and those of the kernel, on images that are not square."""
    rows = windows(inputs["x"].shape[1], **framing(inputs))
    across = unfold(**{**inputs, "x": inputs["x"].swapaxes(1, 2)})
    return exactly(across, swapped(unfold(**inputs), rows, inputs["kernel_size"]))


@law()
def folding_treats_both_axes_alike(fold: Any, inputs: dict[str, Any]) -> Claim:
    """Swapping the axes of the grid and of the kernel swaps Y and X, on images that are not square."""
    rows = windows(inputs["height"], **framing(inputs))
    across = {
        "patches": swapped(inputs["patches"], rows, inputs["kernel_size"]),
        "height": inputs["width"],
        "width": inputs["height"],
    }
    return closely(fold(**{**inputs, **across}), fold(**inputs).swapaxes(1, 2))


NONSENSE = st.sampled_from([("kernel_size", 0), ("kernel_size", 999), ("stride", 0), ("stride", -1), ("padding", -1)])


@law(wrong=NONSENSE, examples=20)
def unfold_refuses_windows_that_cannot_be(unfold: Any, inputs: dict[str, Any], wrong: tuple[str, int]) -> Claim:
    """No kernel below 1 or larger than the padded image, no stride below 1, no padding below 0."""
    return refused(unfold, wrong[0], {**inputs, wrong[0]: wrong[1]})


@law(wrong=NONSENSE, examples=20)
def fold_refuses_windows_that_cannot_be(fold: Any, inputs: dict[str, Any], wrong: tuple[str, int]) -> Claim:
    """No kernel below 1 or larger than the padded image, no stride below 1, no padding below 0."""
    return refused(fold, wrong[0], {**inputs, wrong[0]: wrong[1]})


@law(examples=20)
def patches_of_another_image_are_refused(fold: Any, inputs: dict[str, Any]) -> Claim:
    """One patch more than the image has windows does not fit."""
    patches = inputs["patches"]
    return refused(fold, "patches", {**inputs, "patches": np.concatenate([patches, patches[:, :1]], axis=1)})


@law(inputs=patchworks(least=2), examples=20)
def patches_of_another_kernel_are_refused(fold: Any, inputs: dict[str, Any]) -> Claim:
    """Patches whose rows are no multiple of K x K do not fit."""
    patches = inputs["patches"]
    return refused(fold, "patches", {**inputs, "patches": np.concatenate([patches, patches[..., :1]], axis=2)})


# --- laws: what outlook attention computes --------------------------------------------------------------------


def plain_output(inputs: dict[str, Any]) -> dict[str, Any]:
    """The same arguments with an output projection that leaves everything as it is."""
    return {**inputs, "w_o": np.eye(len(inputs["w_o"]), dtype=inputs["x"].dtype), "b_o": np.zeros_like(inputs["b_o"])}


def blind(inputs: dict[str, Any]) -> dict[str, Any]:
    """The same arguments with weights that do not depend on the image: those of b_a."""
    return {**inputs, "w_a": np.zeros_like(inputs["w_a"])}


def pointing(inputs: dict[str, Any]) -> dict[str, Any]:
    """The same arguments where only the last channel decides the weights, and has no part in the values."""
    first = np.arange(inputs["x"].shape[-1])[:, None] < inputs["x"].shape[-1] - 1
    return {**inputs, "w_v": np.where(first, inputs["w_v"], 0), "w_a": np.where(first, 0, inputs["w_a"])}


def through(x: Any, *weights: Any) -> Any:
    """x times matrices, as a law computes it."""
    for weight in weights:
        x = asbounded(x) @ asbounded(weight)
    return x


@law(inputs=outlooks(kernels=(1, 3), strides=(1,), room=True))
def constant_values_come_out_k_squared_times(outlook_attention: Any, inputs: dict[str, Any]) -> Claim:
    """Where all values are the same c, any weights give K^2 c at pixels none of whose windows touch the padding."""
    x, w_v, reach = inputs["x"], inputs["w_v"], inputs["kernel_size"] - 1
    constant = np.where(np.arange(len(w_v))[:, None] == 0, w_v, 0)  # the values are row 0 times channel 0
    arguments = {**plain_output(inputs), "x": rewritten(x, np.s_[..., 0], 1), "w_v": constant}
    inside = outlook_attention(**arguments)[:, reach : x.shape[1] - reach, reach : x.shape[2] - reach]
    return closely(inside, np.broadcast_to(asbounded(w_v[0]) * (reach + 1) ** 2, inside.shape))


@law(num_heads=st.integers(1, 2), channels=st.sampled_from([2, 4]), examples=4)
def uniform_weights_on_ones_fade_to_the_border(
    outlook_attention: Any, num_heads: int, channels: int, format: Any
) -> Claim:
    """Uniform weights on an image of ones, 5 x 5 with K = 3, give 9 in the centre and 25/9 in the corners."""
    eye = np.eye(channels, dtype=format.dtype)
    result = outlook_attention(
        x=np.ones((1, 5, 5, channels), format.dtype), w_v=eye, w_a=np.zeros((channels, 81 * num_heads), format.dtype),
        b_a=np.ones(81 * num_heads, format.dtype), w_o=eye, b_o=np.zeros(channels, format.dtype),
        num_heads=num_heads, kernel_size=3, stride=1,
    )  # fmt: skip
    along = np.array([5, 8, 9, 8, 5])  # sums of three sums of three, with zeros beyond the ends
    expected = np.outer(along, along) / 9
    return closely(result, rounded(np.broadcast_to(expected[:, :, None], result.shape), format))


@law(inputs=outlooks(kernels=(1,), strides=(1,)))
def one_tap_leaves_two_linear_maps(outlook_attention: Any, inputs: dict[str, Any]) -> Claim:
    """With K = 1 and stride 1 there is nothing to mix: x w_v w_o + b_o."""
    expected = affine(through(inputs["x"], inputs["w_v"]), asbounded(inputs["w_o"]), asbounded(inputs["b_o"]))
    return closely(outlook_attention(**inputs), expected)


@law(inputs=outlooks(kernels=(1,), strides=(2, 3), room=True))
def pixels_under_no_window_get_the_output_bias(outlook_attention: Any, inputs: dict[str, Any]) -> Claim:
    """With K = 1 and a stride above 1 the pixels between the windows are 0 before the output projection."""
    height, width = inputs["x"].shape[1:3]
    between = (np.arange(height) % inputs["stride"] > 0)[:, None] | (np.arange(width) % inputs["stride"] > 0)
    result = outlook_attention(**inputs)[:, between]
    return closely(result, np.broadcast_to(inputs["b_o"], result.shape))


@law(inputs=outlooks(kernels=(1, 3)))
def weights_that_pick_each_pixel_itself_count_the_windows(outlook_attention: Any, inputs: dict[str, Any]) -> Claim:
    """Scores of 1e4 from each pixel to itself give x w_v times the number of windows over it, and nothing overflows."""
    kernel_size, dtype = inputs["kernel_size"], inputs["x"].dtype
    itself = np.tile(1e4 * np.eye(kernel_size**2).ravel(), inputs["num_heads"]).astype(dtype)
    height, width = inputs["x"].shape[1:3]
    number = counts(height, width, kernel_size, inputs["stride"], kernel_size // 2, dtype)
    result = outlook_attention(**{**blind(plain_output(inputs)), "b_a": itself})
    return closely(result, through(inputs["x"], inputs["w_v"]) * number)


@law(inputs=outlooks(kernels=(3, 5)), score=st.sampled_from([-4.0, -1.0, 0.5, 2.0]))
def a_lone_pixel_competes_with_the_padding(
    outlook_attention: Any, inputs: dict[str, Any], score: float, format: Any
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


@law(inputs=outlooks(kernels=(1, 3)))
def the_output_projection_comes_after_folding(outlook_attention: Any, inputs: dict[str, Any]) -> Claim:
    """w_o and b_o act on each folded pixel once, however many windows lie over it."""
    folded = outlook_attention(**plain_output(inputs))
    projected = affine(folded, asbounded(inputs["w_o"]), asbounded(inputs["b_o"]))
    return closely(outlook_attention(**inputs), projected)


@law(inputs=outlooks(kernels=(1, 3)), seed=seeds)
def heads_of_outlook_may_be_permuted(outlook_attention: Any, inputs: dict[str, Any], seed: int) -> Claim:
    """Permuting the heads, blocks of C/H channels of w_v and w_o and of K^4 scores, changes nothing."""
    heads = inputs["num_heads"]
    order = np.random.default_rng(seed).permutation(heads)

    def blocks(array: Any) -> Any:
        """The last axis with its blocks permuted."""
        return array.reshape(*array.shape[:-1], heads, -1)[..., order, :].reshape(array.shape)

    permuted = {name: blocks(inputs[name]) for name in ("w_v", "w_a", "b_a")} | {"w_o": blocks(inputs["w_o"].T).T}
    return closely(outlook_attention(**{**inputs, **permuted}), outlook_attention(**inputs))


# --- laws: where the weights come from ------------------------------------------------------------------------


@law(inputs=outlooks(kernels=(1, 3)), seed=seeds)
def a_constant_on_the_scores_of_an_output_changes_nothing(
    outlook_attention: Any, inputs: dict[str, Any], seed: int
) -> Claim:
    """Softmax runs over the pixels that are mixed: what all scores of a pixel that comes out share has no effect."""
    (channels, scores), taps = inputs["w_a"].shape, inputs["kernel_size"] ** 2
    shared = np.repeat(normal(seed, (channels + 1, scores // taps), inputs["x"]), taps, axis=1)
    moved = {"w_a": asbounded(inputs["w_a"]) + asbounded(shared[1:]),
             "b_a": asbounded(inputs["b_a"]) + asbounded(shared[0])}  # fmt: skip
    return closely(outlook_attention(**{**inputs, **moved}), outlook_attention(**inputs))


@law(inputs=outlooks(kernels=(3,), strides=(2, 3), narrowest=2))
def the_weights_see_the_average_of_their_block(outlook_attention: Any, inputs: dict[str, Any]) -> Claim:
    """Where one channel decides the weights, each of its pixels may be replaced by the average of its block."""
    arguments, stride = pointing(inputs), inputs["stride"]
    x = inputs["x"]
    means = spread(block_means(asbounded(x[..., -1:]), stride), stride, x.shape)
    levelled = np.concatenate([asbounded(x[..., :-1]), means], axis=-1)
    return closely(outlook_attention(**{**arguments, "x": levelled}), outlook_attention(**arguments))


@law(inputs=outlooks(kernels=(3,), narrowest=2))
def equal_pixels_weigh_as_a_bias_up_to_the_border(outlook_attention: Any, inputs: dict[str, Any]) -> Claim:
    """Where the channel that decides the weights is constant, all windows weigh alike, those of blocks cut off by the
    border, too: the channel's row of w_a is a bias.
    """
    arguments = pointing({**inputs, "x": rewritten(inputs["x"], np.s_[..., -1], 2)})
    bias = asbounded(inputs["b_a"]) + asbounded(inputs["w_a"][-1]) * 2
    return closely(outlook_attention(**arguments), outlook_attention(**{**blind(arguments), "b_a": bias}))


@law(inputs=outlooks(kernels=(1, 3), room=True))
def outlook_moves_with_the_image_by_multiples_of_the_stride(outlook_attention: Any, inputs: dict[str, Any]) -> Claim:
    """Cutting one stride off the top and the left cuts it off the result, K - 1 pixels away from the cut."""
    stride, reach = inputs["stride"], inputs["kernel_size"] - 1
    whole = outlook_attention(**inputs)
    part = outlook_attention(**{**inputs, "x": inputs["x"][:, stride:, stride:]})
    return closely(part[:, reach:, reach:], whole[:, stride + reach :, stride + reach :])


@law(inputs=outlooks(kernels=(1, 3)))
def outlook_treats_both_axes_alike(outlook_attention: Any, inputs: dict[str, Any]) -> Claim:
    """Swapping Y and X of the image and of both kernels in the scores swaps Y and X of the result."""
    kernel = (inputs["num_heads"], *4 * (inputs["kernel_size"],))

    def across(array: Any) -> Any:
        return array.reshape(-1, *kernel).transpose(0, 1, 3, 2, 5, 4).reshape(array.shape)

    turned = {"x": inputs["x"].swapaxes(1, 2), "w_a": across(inputs["w_a"]), "b_a": across(inputs["b_a"])}
    return closely(outlook_attention(**{**inputs, **turned}), outlook_attention(**inputs).swapaxes(1, 2))


def over(extent: int, kernel_size: int, stride: int) -> Any:
    """Which pixels each window lies over, along one axis. (windows, pixels) 0 or 1."""
    centre = np.arange(0, extent, stride)[:, None]
    return (np.abs(np.arange(extent) - centre) <= kernel_size // 2).astype(int)


def reached(operation: Any, inputs: dict[str, Any], seed: int) -> Any:
    """Which rows of the result move when a row of the image is rewritten. (Y, Y) bool."""
    x = inputs["x"]

    def moved(j: int) -> dict[str, Any]:
        place = np.s_[:, j]
        return inputs if j < 0 else {**inputs, "x": rewritten(x, place, 64 + normal(seed, x[place].shape, x))}

    return dependence(operation, moved, x.shape[1], axis=1)


@law(inputs=telling_outlooks(), seed=seeds, examples=40)
def a_pixel_sees_k_minus_1_pixels_on_each_side(outlook_attention: Any, inputs: dict[str, Any], seed: int) -> Claim:
    """At stride 1 the receptive field is 2K - 1 wide: the pixels that share a window with the one in the middle, all
    of them and no others.
    """
    row = np.arange(inputs["x"].shape[1])
    distance = np.abs(row[:, None] - row)
    return exactly(reached(outlook_attention, inputs, seed), distance <= inputs["kernel_size"] - 1)


@law(inputs=telling_outlooks(kernels=(3,), strides=(2,)), seed=seeds, examples=40)
def with_a_stride_pixels_meet_under_the_windows_there_are(
    outlook_attention: Any, inputs: dict[str, Any], seed: int
) -> Claim:
    """With K = 3 and stride 2 there are windows around every other pixel only, and what lies under none of those over
    a pixel does not reach it.
    """
    under = over(inputs["x"].shape[1], 3, 2)
    return exactly(reached(outlook_attention, inputs, seed), under.T @ under > 0)


@law(inputs=outlooks(kernels=(3,), strides=(1, 2), narrowest=2), place=st.tuples(st.integers(0, 9), st.integers(0, 9)))
def a_centre_may_send_one_pixel_to_its_whole_window(
    outlook_attention: Any, inputs: dict[str, Any], place: tuple[int, int], format: Any
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


# --- laws: refusals -------------------------------------------------------------------------------------------


@law(inputs=outlooks(kernels=(1, 3)), examples=20)
def an_even_window_has_no_centre(outlook_attention: Any, inputs: dict[str, Any]) -> Claim:
    """An even kernel is refused, also with weights of its own size."""
    kernel_size, width = inputs["kernel_size"] + 1, inputs["x"].shape[-1]
    b_a = np.zeros(inputs["num_heads"] * kernel_size**4, inputs["x"].dtype)
    even = {"kernel_size": kernel_size, "w_a": np.zeros((width, len(b_a)), b_a.dtype), "b_a": b_a}
    return refused(outlook_attention, "kernel_size", {**inputs, **even})


@law(inputs=outlooks(kernels=(1, 3)), stride=st.sampled_from([0, -1]), examples=20)
def outlook_refuses_strides_below_1(outlook_attention: Any, inputs: dict[str, Any], stride: int) -> Claim:
    """Windows have to be at least one pixel apart."""
    return refused(outlook_attention, "stride", {**inputs, "stride": stride})


@law(inputs=outlooks(kernels=(1, 3)), surplus=st.integers(1, 3), examples=20)
def outlook_heads_that_do_not_divide_the_channels_are_refused(
    outlook_attention: Any, inputs: dict[str, Any], surplus: int
) -> Claim:
    """More heads than channels are refused, also with weights for that many."""
    heads, width = inputs["x"].shape[-1] + surplus, inputs["x"].shape[-1]
    b_a = np.zeros(heads * inputs["kernel_size"] ** 4, inputs["x"].dtype)
    more = {"num_heads": heads, "w_a": np.zeros((width, len(b_a)), b_a.dtype), "b_a": b_a}
    return refused(outlook_attention, "num_heads", {**inputs, **more})


@law(inputs=outlooks(kernels=(1, 3)), naming=st.sampled_from(["w_v", "w_a", "b_a", "w_o", "b_o"]), examples=20)
def outlook_weights_of_another_size_are_refused(outlook_attention: Any, inputs: dict[str, Any], naming: str) -> Claim:
    """Twice as many columns as there are channels, or heads times K^4 scores, do not fit."""
    array = inputs[naming]
    return refused(outlook_attention, naming, {**inputs, naming: np.concatenate([array, array], axis=-1)})


# --- faults ---------------------------------------------------------------------------------------------------


def _views(x: Any, kernel_size: int, stride: int, padding: int, **how: Any) -> Any:
    """The windows of an image, (B, rows, columns, C, K, K); how: what stands in the padding."""
    padded = np.pad(x, border(padding), **how)
    views = np.lib.stride_tricks.sliding_window_view(padded, (kernel_size, kernel_size), axis=(1, 2))
    return views[:, ::stride, ::stride]


def _flat(views: Any) -> Any:
    return views.reshape(views.shape[0], views.shape[1] * views.shape[2], -1)


@fault(unfold, breaks="a_linear_map_of_patches_is_a_convolution",
       seen="https://github.com/pytorch/executorch/pull/20708")  # fmt: skip
def kernel_before_channel(**inputs: Any) -> Any:
    """Rows are ordered (ky, kx, c), the weights of a convolution (c, ky, kx). Put the channel first."""
    return _flat(_views(**inputs).transpose(0, 1, 2, 4, 5, 3))


@fault(unfold, breaks="a_linear_map_of_patches_is_a_convolution")
def kernel_column_by_column(**inputs: Any) -> Any:
    """Rows are ordered (c, kx, ky). Windows are read row by row: (c, ky, kx)."""
    return _flat(_views(**inputs).swapaxes(-1, -2))


@fault(unfold, breaks="unfolding_treats_both_axes_alike")
def windows_column_by_column(**inputs: Any) -> Any:
    """Windows are listed column by column. List them row by row, as the pixels of an image are."""
    return _flat(_views(**inputs).swapaxes(1, 2))


@fault(unfold, breaks=("unfolding_sees_a_frame_of_zeros", "fold_is_the_adjoint_of_unfold",
                       "fold_counts_the_windows_over_each_pixel"),
       seen="https://github.com/BVLC/caffe/pull/298")  # fmt: skip
def bounds_of_the_other_axis(x: Any, **options: int) -> Any:
    """A row is compared with the width and a column with the height, so that parts of images that are not square
    count as padding. Compare rows with the height.
    """
    height, width = x.shape[1:3]
    inside = (np.arange(height) < width)[:, None] & (np.arange(width) < height)
    return unfold(np.where(inside[:, :, None], x, 0), **options)


@fault(unfold, breaks="the_soft_splits_of_t2t_make_3136_784_and_196_tokens")
def windows_past_the_end(x: Any, **options: int) -> Any:
    """The number of windows is rounded up. Pixels behind the last whole window are in none: round down."""
    missing = [-(n + 2 * options["padding"] - options["kernel_size"]) % options["stride"] for n in x.shape[1:3]]
    return unfold(np.pad(x, ((0, 0), *((0, m) for m in missing), (0, 0))), **options)


@fault(unfold, breaks="unfolding_sees_a_frame_of_zeros")
def pads_with_the_edge(**inputs: Any) -> Any:
    """The border's pixels are repeated beyond it. Pad with zeros."""
    return _flat(_views(**inputs, mode="edge"))


@fault(unfold, breaks="unfold_refuses_windows_that_cannot_be")
def unfolds_whatever_it_is_told(x: Any, kernel_size: int, stride: int, padding: int) -> Any:
    """Impossible windows are replaced by possible ones in silence. Raise ValueError."""
    return unfold(x, min(max(kernel_size, 1), *x.shape[1:3]), max(stride, 1), max(padding, 0))


@fault(fold, breaks="fold_refuses_windows_that_cannot_be")
def folds_whatever_it_is_told(**inputs: Any) -> Any:
    """Impossible windows give an empty image in silence. Raise ValueError."""
    try:
        return fold(**inputs)
    except ValueError:
        return np.zeros((len(inputs["patches"]), inputs["height"], inputs["width"], 1), inputs["patches"].dtype)


ADDED_UP = ("fold_counts_the_windows_over_each_pixel", "fold_is_the_adjoint_of_unfold")


@fault(fold, breaks=ADDED_UP)
def averages_the_overlaps(patches: Any, **options: int) -> Any:
    """Sums are divided by the number of windows over a pixel. Fold adds up; dividing is left to the caller."""
    return fold(patches, **options) / np.maximum(counts(**options, dtype=patches.dtype), 1)


@fault(fold, breaks=ADDED_UP)
def keeps_the_last_window_only(patches: Any, height: int, width: int, **options: int) -> Any:
    """Where windows overlap the last one overwrites the others. Add them up."""
    count, taps = patches.shape[1], options["kernel_size"] ** 2
    pixels = unfold(np.arange(1.0, height * width + 1).reshape(1, height, width, 1), **options)[0].astype(int)
    last = np.zeros(height * width + 1, int)  # number 0 is the padding
    np.maximum.at(last, pixels, np.arange(count)[:, None])
    kept = (last[pixels] == np.arange(count)[:, None])[:, None]  # (L, 1, K K)
    grid = np.where(kept, patches.reshape(len(patches), count, -1, taps), 0.0)
    return fold(grid.reshape(*patches.shape), height, width, **options)


@fault(fold, breaks="folding_cuts_the_frame_off")
def cuts_the_frame_off_at_the_end(patches: Any, height: int, width: int, padding: int, **options: int) -> Any:
    """The padding is cut off twice at the end and not at the beginning. Cut it off on both sides."""
    framed = fold(patches, height + 2 * padding, width + 2 * padding, padding=0, **options)
    return framed[:, :height, :width]


@fault(fold, breaks="folding_treats_both_axes_alike")
def folds_column_by_column(patches: Any, height: int, width: int, **options: int) -> Any:
    """Patches are taken to be listed column by column. They are listed row by row."""
    grid = patches.reshape(len(patches), windows(width, **options), windows(height, **options), -1).swapaxes(1, 2)
    return fold(grid.reshape(*patches.shape), height, width, **options)


@fault(fold, breaks="fold_counts_the_windows_over_each_pixel")
def folds_kernel_before_channel(patches: Any, **options: int) -> Any:
    """Rows are read as (ky, kx, c) though unfold wrote (c, ky, kx). Use the same order on both ways."""
    other = patches.reshape(*patches.shape[:2], options["kernel_size"] ** 2, -1).swapaxes(-1, -2)
    return fold(other.reshape(*patches.shape), **options)


@fault(fold, breaks=("patches_of_another_image_are_refused", "patches_of_another_kernel_are_refused"))
def drops_what_does_not_fit(patches: Any, height: int, width: int, **options: int) -> Any:
    """Surplus patches and surplus numbers in them are left out in silence. Raise ValueError."""
    count = windows(height, **options) * windows(width, **options)
    whole = patches.shape[2] - patches.shape[2] % options["kernel_size"] ** 2
    return fold(patches[:, :count, :whole], height, width, **options)


def _outlook(
    x: Any, w_v: Any, w_a: Any, b_a: Any, w_o: Any, b_o: Any, num_heads: int, kernel_size: int, stride: int,
    pool: Callable[..., Any] = block_means, weigh: Callable[..., Any] = softmax, put: Callable[..., Any] = fold,
    view: Callable[..., Any] = unfold, scale: float | None = None,
) -> Any:  # fmt: skip
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


@fault(outlook_attention,
       breaks=("a_centre_may_send_one_pixel_to_its_whole_window", "uniform_weights_on_ones_fade_to_the_border"),
       seen="https://github.com/sail-sg/volo/blob/113117f14b15c7db235e5486c2b2804b2d6b72d8/models/volo.py")  # fmt: skip
def weighs_each_pixel_by_itself(
    x: Any, w_v: Any, w_a: Any, b_a: Any, w_o: Any, b_o: Any, num_heads: int, kernel_size: int, stride: int
) -> Any:
    """At stride 1 the weights of a pixel are folded to (2K - 1)^2 and serve that pixel alone. The weights of a centre
    belong to its window: mix the window first, then fold the pixels.
    """
    if stride > 1:
        return _outlook(x, w_v, w_a, b_a, w_o, b_o, num_heads, kernel_size, stride)
    batch, head_width = len(x), x.shape[-1] // num_heads
    reach, taps = 2 * kernel_size - 1, kernel_size**2
    scores = (x @ w_a + b_a).reshape(-1, taps, taps) * head_width**-0.5
    weights = fold(softmax(scores).swapaxes(-1, -2), reach, reach, kernel_size, 1, 0)
    values = unfold(x @ w_v, reach, 1, kernel_size - 1).reshape(batch, -1, num_heads, head_width, reach**2)
    mixed = values @ weights.reshape(batch, -1, num_heads, reach**2, 1)
    return mixed.reshape(*x.shape) @ w_o + b_o


@fault(outlook_attention,
       breaks=("a_centre_may_send_one_pixel_to_its_whole_window", "outlook_treats_both_axes_alike",
               "outlook_moves_with_the_image_by_multiples_of_the_stride"),
       seen="https://arxiv.org/abs/2106.13112")  # fmt: skip
def weights_of_the_mirrored_pixel(**inputs: Any) -> Any:
    """Algorithm 1 as printed: values are unfolded with Y and X swapped, weights are not, so that the two are paired
    across the diagonal. Permute (Y, X, C) to (C, Y, X).
    """

    def view(values: Any, **options: int) -> Any:
        return unfold(values.swapaxes(1, 2), **options)

    def put(patches: Any, height: int, width: int, **options: int) -> Any:
        return fold(patches, width, height, **options).swapaxes(1, 2)

    return _outlook(**inputs, view=view, put=put)


@fault(outlook_attention, breaks="a_constant_on_the_scores_of_an_output_changes_nothing",
       seen="https://github.com/labmlai/annotated_deep_learning_paper_implementations/issues/146")  # fmt: skip
def softmax_over_the_outputs(**inputs: Any) -> Any:
    """The softmax runs over the pixels that come out. It has to run over those that are mixed, the last axis."""
    return _outlook(**inputs, weigh=lambda scores: softmax(scores, axis=-2))


@fault(outlook_attention, breaks=("constant_values_come_out_k_squared_times",
                                  "a_constant_on_the_scores_of_an_output_changes_nothing"))  # fmt: skip
def weights_are_not_normalized(**inputs: Any) -> Any:
    """Each score goes through a sigmoid by itself, so that weights do not sum to 1. Use the softmax."""
    return _outlook(**inputs, weigh=sigmoid)


@fault(outlook_attention, breaks="weights_that_pick_each_pixel_itself_count_the_windows",
       seen="https://github.com/dwavesystems/dwave-optimization/issues/555")  # fmt: skip
def exponentials_overflow(**inputs: Any) -> Any:
    """Scores go to exp as they are, which overflows. Subtract the largest first."""
    return _outlook(**inputs, weigh=lambda scores: np.exp(scores) / np.exp(scores).sum(axis=-1, keepdims=True))


@fault(outlook_attention, breaks="a_lone_pixel_competes_with_the_padding",
       seen="https://github.com/aladdinpersson/Machine-Learning-Collection/issues/65")  # fmt: skip
def outlook_scaled_by_the_whole_width(**inputs: Any) -> Any:
    """Scores are divided by sqrt(C). Divide by the root of a head's width, sqrt(C/H)."""
    return _outlook(**inputs, scale=inputs["x"].shape[-1] ** -0.5)


@fault(outlook_attention, breaks=("a_lone_pixel_competes_with_the_padding",
                                  "uniform_weights_on_ones_fade_to_the_border"))  # fmt: skip
def padding_is_masked(**inputs: Any) -> Any:
    """Zeros of the padding are kept out of the softmax. They take their share of the weights like any pixel."""
    kernel_size, ones = inputs["kernel_size"], np.ones((1, *inputs["x"].shape[1:3], 1))
    inside = unfold(ones, kernel_size, inputs["stride"], kernel_size // 2)[0] > 0  # (L, K^2)
    return _outlook(**inputs, weigh=lambda scores: softmax(scores, where=inside[:, None, None]))


@fault(outlook_attention, breaks=("constant_values_come_out_k_squared_times",
                                  "pixels_under_no_window_get_the_output_bias",
                                  "weights_that_pick_each_pixel_itself_count_the_windows"))  # fmt: skip
def divides_by_the_overlaps(**inputs: Any) -> Any:
    """Sums are divided by the number of windows over a pixel, which may be 0. Outlook attention adds up."""

    def put(patches: Any, **options: int) -> Any:
        return fold(patches, **options) / counts(**options, dtype=patches.dtype)

    return _outlook(**inputs, put=put)


@fault(outlook_attention, breaks="equal_pixels_weigh_as_a_bias_up_to_the_border",
       seen="https://github.com/root-project/root/issues/22523")  # fmt: skip
def partial_blocks_divided_by_whole_ones(**inputs: Any) -> Any:
    """Blocks cut off by the border are divided by the size of a whole one. Divide by the pixels they have."""

    def pool(x: Any, size: int) -> Any:
        return block_means(np.pad(x, ((0, 0), *((0, -n % size) for n in x.shape[1:3]), (0, 0))), size)

    return _outlook(**inputs, pool=pool)


@fault(outlook_attention, breaks="the_weights_see_the_average_of_their_block")
def forgets_the_pooling(**inputs: Any) -> Any:
    """Only the first pixel of each block decides the weights. Average the block."""
    return _outlook(**inputs, pool=lambda x, size: x[:, ::size, ::size])


@fault(outlook_attention, breaks="with_a_stride_pixels_meet_under_the_windows_there_are")
def a_window_around_every_pixel(**inputs: Any) -> Any:
    """The weights of a block serve a window around each of its pixels. There is one window per block."""

    def pool(x: Any, _: int) -> Any:
        return spread(block_means(x, inputs["stride"]), inputs["stride"], x.shape)

    return _outlook(**{**inputs, "stride": 1}, pool=pool)


@fault(outlook_attention, breaks="a_pixel_sees_k_minus_1_pixels_on_each_side")
def wraps_around(**inputs: Any) -> Any:
    """Windows at the border see the opposite one. Pad with zeros."""
    return _outlook(**inputs, view=lambda x, **options: _flat(_views(x, **options, mode="wrap")))


@fault(outlook_attention, breaks="heads_of_outlook_may_be_permuted")
def heads_interleaved(**inputs: Any) -> Any:
    """Channel c goes to head c mod H. Heads own blocks of C/H channels."""
    order = np.arange(inputs["x"].shape[-1]).reshape(-1, inputs["num_heads"]).T.ravel()
    return _outlook(**{**inputs, "w_v": inputs["w_v"][:, order], "w_o": inputs["w_o"][order]})


@fault(outlook_attention, breaks="one_tap_leaves_two_linear_maps",
       seen="https://github.com/leaderj1001/Attention-Augmented-Conv2d/issues/21")  # fmt: skip
def reshapes_without_permuting(**inputs: Any) -> Any:
    """Numbers ordered (windows, channels) are reshaped to (channels, windows). Permute the axes first."""

    def put(patches: Any, **options: int) -> Any:
        batch, count, size = patches.shape
        return fold(patches.reshape(batch, size, count).swapaxes(1, 2), **options)

    return _outlook(**inputs, put=put)


@fault(outlook_attention, breaks="the_output_projection_comes_after_folding")
def projects_every_patch(**inputs: Any) -> Any:
    """Output weights and bias are applied to each patch, so that the bias counts once per window. Fold first."""
    kernel_size, b_o = inputs["kernel_size"], inputs["b_o"]
    height, width = inputs["x"].shape[1:3]
    number = counts(height, width, kernel_size, inputs["stride"], kernel_size // 2, b_o.dtype)
    return _outlook(**{**inputs, "b_o": 0 * b_o}) + number * b_o


@fault(outlook_attention,
       breaks=("an_even_window_has_no_centre", "outlook_heads_that_do_not_divide_the_channels_are_refused",
               "outlook_weights_of_another_size_are_refused", "outlook_refuses_strides_below_1"))  # fmt: skip
def outlook_of_anything(**inputs: Any) -> Any:
    """Sizes that do not fit give the image back in silence. Raise ValueError."""
    try:
        return outlook_attention(**inputs)
    except ValueError:
        return 1 * inputs["x"]


# --- workloads ------------------------------------------------------------------------------------------------


def _outlook_cost(B: int, Y: int, X: int, C: int, H: int, K: int, stride: int) -> Cost:
    """Values and output at each pixel; at each window its weights, and its K^2 pixels mixed into K^2 new ones."""
    centres = windows(Y, K, stride, K // 2) * windows(X, K, stride, K // 2)
    flops = 4 * B * Y * X * C**2 + 2 * B * centres * C * (H + 1) * K**4
    return Cost(flops=flops, moved=2 * B * Y * X * C + 2 * C**2 + C * (H * K**4 + 1) + H * K**4)


@workload(outlook_attention, sizes={"B": 8, "Y": 28, "X": 28, "C": 192, "H": 6, "K": 3, "stride": 2},
          cost=_outlook_cost, gradient=True)  # fmt: skip
def volo_d1_outlooker(
    random: np.random.Generator, B: int, Y: int, X: int, C: int, H: int, K: int, stride: int
) -> dict[str, Any]:
    """An outlooker of VOLO-D1 on 8 images of 224 x 224, 28 x 28 tokens by then (Yuan et al. 2021, table 2)."""
    return {
        "x": random.standard_normal((B, Y, X, C)),
        "w_v": matrix(random, C, C),
        "w_a": matrix(random, C, H * K**4),
        "b_a": random.standard_normal(H * K**4),
        "w_o": matrix(random, C, C),
        "b_o": random.standard_normal(C),
        "num_heads": H, "kernel_size": K, "stride": stride,
    }  # fmt: skip


SOFT_SPLIT = {"B": 8, "Y": 224, "X": 224, "C": 3, "K": 7, "stride": 4, "padding": 2}
"""The first soft split of T2T-ViT (Yuan et al. 2021, Tokens-to-Token ViT, section 3.1 and table 1)."""


def _windows_cost(B: int, Y: int, X: int, C: int, K: int, stride: int, padding: int) -> Cost:
    """Every pixel once, and every place of every window."""
    places = windows(Y, K, stride, padding) * windows(X, K, stride, padding) * K**2
    return Cost(moved=B * C * (Y * X + places))


def _windows_cost_backward(**sizes: int) -> Cost:
    """The adjoint moves what the operation moved, the other way."""
    return Cost(moved=2 * _windows_cost(**sizes).moved)


@workload(unfold, sizes=SOFT_SPLIT, cost=_windows_cost, backward=_windows_cost_backward, gradient=True)
def soft_split(
    random: np.random.Generator, B: int, Y: int, X: int, C: int, K: int, stride: int, padding: int
) -> dict[str, Any]:
    """The first soft split of T2T-ViT: 8 images of 224 x 224 become 3,136 tokens of 147 numbers (Yuan et al. 2021,
    Tokens-to-Token ViT, section 3.1).
    """
    return {"x": random.standard_normal((B, Y, X, C)), "kernel_size": K, "stride": stride, "padding": padding}


@workload(fold, sizes=SOFT_SPLIT, cost=_windows_cost, backward=_windows_cost_backward, gradient=True)
def soft_split_put_back(
    random: np.random.Generator, B: int, Y: int, X: int, C: int, K: int, stride: int, padding: int
) -> dict[str, Any]:
    """The adjoint of T2T-ViT's first soft split: the windows of 8 images added up (Yuan et al. 2021, Tokens-to-Token
    ViT, section 3.1).
    """
    count = windows(Y, K, stride, padding) * windows(X, K, stride, padding)
    return {
        "patches": random.standard_normal((B, count, C * K**2)),
        "height": Y, "width": X, "kernel_size": K, "stride": stride, "padding": padding,
    }  # fmt: skip
