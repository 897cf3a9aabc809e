"""The convolutions of both sides, encoder_convolution and decoder_convolution: laws on the encoder's, and on both."""

from __future__ import annotations

from typing import Any

import numpy as np

from layerlaws.language import (
    PLAIN,
    TEXTURES,
    Arguments,
    Array,
    Claim,
    Cost,
    Ids,
    Implementation,
    Mask,
    all_of,
    arrays,
    asbounded,
    closely,
    dependence,
    exactly,
    extents,
    fault,
    kept_in_parts,
    law,
    matrix,
    normal,
    operation,
    refused,
    require,
    rewritten,
    seeds,
    workload,
)
from layerlaws.language import strategies as st


@st.composite
def convolutions(
    draw: st.DrawFn, odd: bool = False, doubled: bool = False, textures: tuple[str, ...] = tuple(TEXTURES)
) -> Arguments:
    """A sequence and a kernel. odd: of odd width. doubled: with twice as many channels out as in."""
    batch, length, channels, out = draw(extents(4, edges=(1, 2, 3), squared=(2,) if doubled else ()))
    width = draw(st.sampled_from([1, 3, 5, 7] if odd else [1, 2, 3, 4, 5]))
    out = 2 * channels if doubled else out
    x, kernel, bias = draw(arrays((batch, length, channels), (width, channels, out), (out,), textures=textures))
    return {"x": x, "kernel": kernel, "bias": bias}


@st.composite
def telling_convolutions(draw: st.DrawFn, odd: bool = False) -> Arguments:
    """Numbers of one size, and a weight in every tap and channel that shows what it reads."""
    drawn = draw(convolutions(odd=odd, textures=PLAIN))
    faint = (np.abs(drawn["kernel"]) < 0.5).all(axis=2, keepdims=True)
    return {**drawn, "kernel": np.where(faint, 1.0, drawn["kernel"])}


def convolution(x: Array, kernel: Array, bias: Array, before: int, after: int) -> Array:
    """bias + sum over k of x[i - before + k] kernel[k], with zeros around x.

    The bias is one more term of the sum, since kernels start from it as often as they add it at the end.
    """
    require(kernel.shape[0] >= 1, "kernel has no taps")
    require(kernel.shape[1] == x.shape[-1], f"kernel reads {kernel.shape[1]} channels, x has {x.shape[-1]}")
    require(bias.shape[0] == kernel.shape[2], f"bias has {bias.shape[0]} channels, kernel writes {kernel.shape[2]}")
    width, channels, out = kernel.shape
    padded = np.pad(x, ((0, 0), (before, after), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, width, axis=1)  # (B, T, C, K)
    taps = windows.swapaxes(-1, -2).reshape(*windows.shape[:2], width * channels)
    one = np.ones((*taps.shape[:2], 1), x.dtype)
    weights = np.concatenate([kernel.reshape(width * channels, out), bias.reshape(1, out)])
    total = np.concatenate([taps, one], axis=-1) @ weights
    return kept_in_parts(total, lambda: [bias, *(windows[..., k] @ kernel[k] for k in range(width))])


@operation(inputs=convolutions(odd=True), batch=("x",), differentiable=True)
def encoder_convolution(x: Array, kernel: Array, bias: Array) -> Array:
    """bias + sum over k of x[i - (K-1)/2 + k] kernel[k], K odd, zeros beyond both ends.

    x (B, T, C), kernel (K, C, O), bias (O,)  ->  (B, T, O)
    """
    half, even = divmod(kernel.shape[0] - 1, 2)
    require(not even, f"kernel has the even width {kernel.shape[0]}: it has no middle")
    return convolution(x, kernel, bias, half, half)


@operation(inputs=convolutions(), batch=("x",), differentiable=True)
def decoder_convolution(x: Array, kernel: Array, bias: Array) -> Array:
    """bias + sum over k of x[i - K + 1 + k] kernel[k], zeros before the beginning.

    x (B, T, C), kernel (K, C, O), bias (O,)  ->  (B, T, O)
    """
    return convolution(x, kernel, bias, kernel.shape[0] - 1, 0)


def convolve_by_taps(x: Array, kernel: Array, bias: Array, before: int, after: int, **padding: Any) -> Array:
    """A convolution with the knobs that faults turn, tap by tap."""
    require(kernel.shape[1] == x.shape[-1], "kernel does not fit x")
    padded = np.pad(x, ((0, 0), (before, after), (0, 0)), **padding)
    steps = max(padded.shape[1] - kernel.shape[0] + 1, 0)
    return bias + sum(padded[:, k : k + steps] @ tap for k, tap in enumerate(kernel))


def half_width(kernel: Array) -> int:
    """(K - 1)/2 of a kernel of odd width K."""
    require(kernel.shape[0] % 2, "kernel is of even width")
    return int(kernel.shape[0] // 2)


@fault(
    encoder_convolution,
    breaks="agrees_with_definition",
    kind="boundary",
    repair="Pad with zeros.",
)
def repeats_the_ends(x: Array, kernel: Array, bias: Array) -> Array:
    """The first and the last step are repeated beyond the ends."""
    return convolve_by_taps(x, kernel, bias, half_width(kernel), half_width(kernel), mode="edge")


@law()
def the_encoder_keeps_the_length(encoder_convolution: Implementation, x: Array, kernel: Array, bias: Array) -> Claim:
    """As many steps come out of the encoder's convolution as go in, for every length and every odd width."""
    return exactly(encoder_convolution(x=x, kernel=kernel, bias=bias).shape[1], x.shape[1])


@fault(
    encoder_convolution,
    breaks=the_encoder_keeps_the_length,
    kind="boundary",
    repair="Put (K - 1)/2 zeros on each side.",
)
def pads_the_encoder_not_at_all(x: Array, kernel: Array, bias: Array) -> Array:
    """Only whole windows are used, and K - 1 steps are lost."""
    half_width(kernel)
    return convolve_by_taps(x, kernel, bias, 0, 0)


@law(inputs=convolutions(odd=True))
def the_decoder_is_the_encoder_half_a_kernel_late(
    encoder_convolution: Implementation, decoder_convolution: Implementation, x: Array, kernel: Array, bias: Array
) -> Claim:
    """Delaying the sequence by (K - 1)/2 steps turns the encoder's convolution into the decoder's."""
    late = np.pad(x, ((0, 0), ((kernel.shape[0] - 1) // 2, 0), (0, 0)))
    delayed = encoder_convolution(x=late, kernel=kernel, bias=bias)
    return closely(delayed[:, : x.shape[1]], decoder_convolution(x=x, kernel=kernel, bias=bias))


def support(operation: Implementation, x: Array, kernel: Array, bias: Array, channel: int) -> Mask:
    """Which output steps move when one channel of one input step becomes 64, far above all others. (T, T) bool."""

    def moved(j: int) -> Arguments:
        other = x if j < 0 else rewritten(x, (slice(None), j, channel % x.shape[2]), 64)
        return {"x": other, "kernel": kernel, "bias": bias}

    return dependence(operation, moved, x.shape[1], axis=1)


def lags(length: int) -> Ids:
    """How many steps input j lies before output i. (T, T)."""
    return np.arange(length)[:, None] - np.arange(length)


@law(inputs=telling_convolutions(odd=True), channel=st.integers(0, 99))
def an_encoder_step_sees_half_a_kernel_on_each_side(
    encoder_convolution: Implementation, x: Array, kernel: Array, bias: Array, channel: int
) -> Claim:
    """Output i depends on the inputs i - (K - 1)/2 to i + (K - 1)/2: on every one of them, and on no other."""
    seen = np.abs(lags(x.shape[1])) <= (kernel.shape[0] - 1) // 2
    return exactly(support(encoder_convolution, x, kernel, bias, channel), seen)


@law(place=st.integers(0, 99), channel=st.integers(0, 99))
def an_impulse_reads_the_encoder_s_taps_around_it(
    encoder_convolution: Implementation, x: Array, kernel: Array, bias: Array, place: int, channel: int
) -> Claim:
    """A single 1 in the sequence brings out the taps, the last one first and the middle one at the impulse's step."""
    width, place, channel = kernel.shape[0], place % x.shape[1], channel % x.shape[2]
    impulse = np.zeros((1, x.shape[1] + 2 * width, x.shape[2]), x.dtype)
    impulse = rewritten(impulse, (0, place + width, channel), 1)
    response = encoder_convolution(x=impulse, kernel=kernel, bias=np.zeros_like(bias))
    start = place + width - width // 2
    silence = np.zeros((response.shape[1], len(bias)), x.dtype)
    return closely(response[0], rewritten(silence, slice(start, start + width), kernel[::-1, channel]))


@fault(
    encoder_convolution,
    breaks=an_impulse_reads_the_encoder_s_taps_around_it,
    kind="order",
    repair="Do not flip them.",
    seen="https://github.com/srush/Autodiff-Puzzles/pull/7",
)
def flips_the_encoder_s_kernel(x: Array, kernel: Array, bias: Array) -> Array:
    """The taps are used in reverse, as in the convolution of signal processing."""
    return convolve_by_taps(x, kernel[::-1], bias, half_width(kernel), half_width(kernel))


@law(inputs=convolutions(odd=True), seed=seeds)
def convolutions_are_linear_in_the_sequence(
    encoder_convolution: Implementation,
    decoder_convolution: Implementation,
    x: Array,
    kernel: Array,
    bias: Array,
    seed: int,
) -> Claim:
    """Without bias the convolution of a sum is the sum of the convolutions."""
    other, none = normal(seed, x.shape, x), np.zeros_like(bias)
    total = asbounded(x) + asbounded(other)
    return all_of(
        *(
            closely(
                convolve(x=total, kernel=kernel, bias=none),
                convolve(x=x, kernel=kernel, bias=none) + convolve(x=other, kernel=kernel, bias=none),
            )
            for convolve in (encoder_convolution, decoder_convolution)
        )
    )


@fault(
    decoder_convolution,
    breaks=convolutions_are_linear_in_the_sequence,
    kind="formula",
    repair="Leave the non-linearity to the gate.",
)
def applies_a_rectifier(x: Array, kernel: Array, bias: Array) -> Array:
    """A rectifier follows the convolution, which is linear."""
    return np.maximum(convolve_by_taps(x, kernel, bias, kernel.shape[0] - 1, 0), 0)


@law(inputs=convolutions(odd=True), seed=seeds)
def convolutions_are_linear_in_the_kernel(
    encoder_convolution: Implementation,
    decoder_convolution: Implementation,
    x: Array,
    kernel: Array,
    bias: Array,
    seed: int,
) -> Claim:
    """Kernels add up, each with its own bias."""
    other, more = normal(seed, kernel.shape, kernel), normal(seed + 1, bias.shape, bias)
    total, sums = asbounded(kernel) + asbounded(other), asbounded(bias) + asbounded(more)
    return all_of(
        *(
            closely(
                convolve(x=x, kernel=total, bias=sums),
                convolve(x=x, kernel=kernel, bias=bias) + convolve(x=x, kernel=other, bias=more),
            )
            for convolve in (encoder_convolution, decoder_convolution)
        )
    )


@law(inputs=convolutions(odd=True))
def a_kernel_of_width_1_is_a_linear_map_of_each_step(
    encoder_convolution: Implementation, decoder_convolution: Implementation, x: Array, kernel: Array, bias: Array
) -> Claim:
    """With one tap both convolutions are x kernel[0] + bias."""
    expected = asbounded(x) @ asbounded(kernel[0]) + asbounded(bias)
    return all_of(
        closely(encoder_convolution(x=x, kernel=kernel[:1], bias=bias), expected),
        closely(decoder_convolution(x=x, kernel=kernel[:1], bias=bias), expected),
    )


@fault(
    decoder_convolution,
    breaks=(
        convolutions_are_linear_in_the_sequence,
        convolutions_are_linear_in_the_kernel,
        a_kernel_of_width_1_is_a_linear_map_of_each_step,
    ),
    kind="scale",
    repair="Use them as given.",
)
def normalizes_the_decoder_s_kernel(x: Array, kernel: Array, bias: Array) -> Array:
    """Each output channel's taps are scaled to length 1: weight normalization applied twice."""
    length = np.sqrt(np.square(kernel).sum(axis=(0, 1)))
    return convolve_by_taps(x, kernel / np.where(length > 0, length, 1).astype(x.dtype), bias, kernel.shape[0] - 1, 0)


@law()
def reversed_taps_read_the_reversed_sequence(
    encoder_convolution: Implementation, x: Array, kernel: Array, bias: Array
) -> Claim:
    """The encoder has no direction: reversing the sequence and the taps reverses the output."""
    back = encoder_convolution(x=x[:, ::-1], kernel=kernel[::-1], bias=bias)
    return closely(back[:, ::-1], encoder_convolution(x=x, kernel=kernel, bias=bias))


@fault(
    encoder_convolution,
    breaks=(
        an_encoder_step_sees_half_a_kernel_on_each_side,
        an_impulse_reads_the_encoder_s_taps_around_it,
        reversed_taps_read_the_reversed_sequence,
    ),
    kind="shift",
    repair="Put half of them on each side.",
)
def pads_the_encoder_as_the_decoder(x: Array, kernel: Array, bias: Array) -> Array:
    """All zeros stand in front, so that the encoder is blind to what follows."""
    return convolve_by_taps(x, kernel, bias, 2 * half_width(kernel), 0)


@law(examples=20)
def the_encoder_refuses_an_even_kernel(
    encoder_convolution: Implementation, x: Array, kernel: Array, bias: Array
) -> Claim:
    """A kernel of even width has no middle tap, and no equal padding keeps the length."""
    even = np.concatenate([kernel, kernel[:1]])
    return refused(encoder_convolution, "kernel", {"x": x, "kernel": even, "bias": bias})


@fault(
    encoder_convolution,
    breaks=the_encoder_refuses_an_even_kernel,
    kind="refusal",
    repair="Refuse it.",
)
def takes_an_even_kernel(x: Array, kernel: Array, bias: Array) -> Array:
    """An even kernel is padded by one zero more at the end and leans to the left."""
    return convolve_by_taps(x, kernel, bias, (kernel.shape[0] - 1) // 2, kernel.shape[0] // 2)


@law(inputs=convolutions(odd=True), examples=20)
def other_channels_than_the_kernel_s_are_refused(
    encoder_convolution: Implementation, decoder_convolution: Implementation, x: Array, kernel: Array, bias: Array
) -> Claim:
    """A kernel that reads one channel more than the sequence has does not fit."""
    wide = np.concatenate([kernel, kernel[:, :1]], axis=1)
    arguments = {"x": x, "kernel": wide, "bias": bias}
    return all_of(refused(encoder_convolution, "kernel", arguments), refused(decoder_convolution, "kernel", arguments))


@fault(
    encoder_convolution,
    breaks=other_channels_than_the_kernel_s_are_refused,
    kind="refusal",
    repair="Compare the numbers of channels.",
)
def reads_the_channels_that_fit(x: Array, kernel: Array, bias: Array) -> Array:
    """Channels that the other side lacks are left out in silence."""
    half, channels = half_width(kernel), min(x.shape[-1], kernel.shape[1])
    return convolve_by_taps(x[..., :channels], kernel[:, :channels], bias, half, half)


LAYER = {"B": 32, "T": 50, "C": 512, "K": 3}
"""A layer of ConvS2S, whose convolution writes twice as many channels as it reads."""


def layer_inputs(random: np.random.Generator, B: int, T: int, C: int, K: int) -> Arguments:
    """A sequence, and a kernel and a bias of such a layer."""
    kernel = matrix(random, K * C, 2 * C).reshape(K, C, 2 * C)
    return {"x": random.standard_normal((B, T, C)), "kernel": kernel, "bias": random.standard_normal(2 * C) / 8}


def convolution_cost(B: int, T: int, C: int, K: int) -> Cost:
    """A matrix product for each tap; those that lie on the padding count, as one product computes all."""
    return Cost(flops=4 * B * T * K * C**2, moved=3 * B * T * C + 2 * (K * C + 1) * C)


@workload(encoder_convolution, sizes=LAYER, cost=convolution_cost, gradient=True)
def conv_s2s_encoder_layer(random: np.random.Generator, B: int, T: int, C: int, K: int) -> Arguments:
    """A convolution of ConvS2S's encoder, 512 wide and 3 words long, over 32 sentences of 50 words (Gehring et al.
    2017, section 4.2).
    """
    return layer_inputs(random, B, T, C, K)
