"""TODO-TITLE convolutions."""

from __future__ import annotations

import numpy as np

from layerlaws.language import (
    PLAIN,
    Arguments,
    Array,
    Claim,
    Cost,
    Implementation,
    all_of,
    asbounded,
    closely,
    dependence,
    exactly,
    fault,
    huge,
    law,
    normal,
    operation,
    refused,
    require,
    rewritten,
    seeds,
    workload,
)
from layerlaws.language import strategies as st
from layerlaws.notes.conv_s2s.shared import LAYER, _convolve, _layer, _odd, convolutions

# --- encoder_convolution --------------------------------------------------------------------------------------


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
    return np.concatenate([taps, one], axis=-1) @ weights


@operation(inputs=convolutions(odd=True), batch=("x",), differentiable=True)
def encoder_convolution(x: Array, kernel: Array, bias: Array) -> Array:
    """bias + sum over k of x[i - (K-1)/2 + k] kernel[k], K odd, zeros beyond both ends.

    x (B, T, C), kernel (K, C, O), bias (O,)  ->  (B, T, O)
    """
    half, even = divmod(kernel.shape[0] - 1, 2)
    require(not even, f"kernel has the even width {kernel.shape[0]}: it has no middle")
    return convolution(x, kernel, bias, half, half)


@fault(
    encoder_convolution,
    breaks="agrees_with_definition",
    kind="boundary",
    repair="Pad with zeros.",
)
def repeats_the_ends(x: Array, kernel: Array, bias: Array) -> Array:
    """The first and the last step are repeated beyond the ends."""
    return _convolve(x, kernel, bias, _odd(kernel), _odd(kernel), mode="edge")


@law()
def the_encoder_keeps_the_length(encoder_convolution: Implementation, x: Array, kernel: Array, bias: Array) -> Claim:
    """As many steps come out of the encoder's convolution as go in, for every length and every odd width."""
    return exactly(encoder_convolution(x=x, kernel=kernel, bias=bias).shape[1], x.shape[1])


@fault(
    encoder_convolution,
    breaks=the_encoder_keeps_the_length,
    kind="formula",
    repair="Put (K - 1)/2 zeros on each side.",
)
def pads_the_encoder_not_at_all(x: Array, kernel: Array, bias: Array) -> Array:
    """Only whole windows are used, and K - 1 steps are lost."""
    _odd(kernel)
    return _convolve(x, kernel, bias, 0, 0)


@law(inputs=convolutions(odd=True))
def the_decoder_is_the_encoder_half_a_kernel_late(
    encoder_convolution: Implementation, decoder_convolution: Implementation, x: Array, kernel: Array, bias: Array
) -> Claim:
    """Delaying the sequence by (K - 1)/2 steps turns the encoder's convolution into the decoder's."""
    late = np.pad(x, ((0, 0), ((kernel.shape[0] - 1) // 2, 0), (0, 0)))
    delayed = encoder_convolution(x=late, kernel=kernel, bias=bias)
    return closely(delayed[:, : x.shape[1]], decoder_convolution(x=x, kernel=kernel, bias=bias))


def support(operation: Implementation, x: Array, kernel: Array, bias: Array, channel: int) -> Array:
    """Which output steps move when one channel of one input step becomes 64, far above all others. (T, T) bool."""

    def moved(j: int) -> Arguments:
        other = x if j < 0 else rewritten(x, (slice(None), j, channel % x.shape[2]), 64)
        return {"x": other, "kernel": kernel, "bias": bias}

    return dependence(operation, moved, x.shape[1], axis=1)


def lags(length: int) -> Array:
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
    kind="formula",
    repair="Do not flip them.",
    seen="https://github.com/srush/Autodiff-Puzzles/pull/7",
)
def flips_the_encoder_s_kernel(x: Array, kernel: Array, bias: Array) -> Array:
    """The taps are used in reverse, as in the convolution of signal processing."""
    return _convolve(x, kernel[::-1], bias, _odd(kernel), _odd(kernel))


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


@operation(inputs=convolutions(), batch=("x",), differentiable=True)
def decoder_convolution(x: Array, kernel: Array, bias: Array) -> Array:
    """bias + sum over k of x[i - K + 1 + k] kernel[k], zeros before the beginning.

    x (B, T, C), kernel (K, C, O), bias (O,)  ->  (B, T, O)
    """
    return convolution(x, kernel, bias, kernel.shape[0] - 1, 0)


@fault(
    decoder_convolution,
    breaks=convolutions_are_linear_in_the_sequence,
    kind="formula",
    repair="Leave the non-linearity to the gate.",
)
def applies_a_rectifier(x: Array, kernel: Array, bias: Array) -> Array:
    """A rectifier follows the convolution, which is linear."""
    return np.maximum(_convolve(x, kernel, bias, kernel.shape[0] - 1, 0), 0)


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
    return _convolve(x, kernel / np.where(length > 0, length, 1).astype(x.dtype), bias, kernel.shape[0] - 1, 0)


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
    kind="formula",
    repair="Put half of them on each side.",
)
def pads_the_encoder_as_the_decoder(x: Array, kernel: Array, bias: Array) -> Array:
    """All zeros stand in front, so that the encoder is blind to what follows."""
    return _convolve(x, kernel, bias, 2 * _odd(kernel), 0)


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
    kind="boundary",
    repair="Refuse it.",
)
def takes_an_even_kernel(x: Array, kernel: Array, bias: Array) -> Array:
    """An even kernel is padded by one zero more at the end and leans to the left."""
    return _convolve(x, kernel, bias, (kernel.shape[0] - 1) // 2, kernel.shape[0] // 2)


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
    kind="formula",
    repair="Compare the numbers of channels.",
)
def reads_the_channels_that_fit(x: Array, kernel: Array, bias: Array) -> Array:
    """Channels that the other side lacks are left out in silence."""
    half, channels = _odd(kernel), min(x.shape[-1], kernel.shape[1])
    return _convolve(x[..., :channels], kernel[:, :channels], bias, half, half)


def _convolution_cost(B: int, T: int, C: int, K: int) -> Cost:
    """A matrix product for each tap; those that lie on the padding count, as one product computes all."""
    return Cost(flops=4 * B * T * K * C**2, moved=3 * B * T * C + 2 * (K * C + 1) * C)


@workload(encoder_convolution, sizes=LAYER, cost=_convolution_cost, gradient=True)
def conv_s2s_encoder_layer(random: np.random.Generator, B: int, T: int, C: int, K: int) -> Arguments:
    """A convolution of ConvS2S's encoder, 512 wide and 3 words long, over 32 sentences of 50 words (Gehring et al.
    2017, section 4.2).
    """
    return _layer(random, B, T, C, K)


# --- decoder_convolution --------------------------------------------------------------------------------------


@law()
def the_decoder_keeps_the_length(decoder_convolution: Implementation, x: Array, kernel: Array, bias: Array) -> Claim:
    """As many steps come out of the decoder's convolution as go in, for every length and every width."""
    return exactly(decoder_convolution(x=x, kernel=kernel, bias=bias).shape[1], x.shape[1])


@fault(
    decoder_convolution,
    breaks=(the_decoder_keeps_the_length, "batches_are_independent"),
    kind="formula",
    repair="Slice to the length.",
)
def deletes_with_a_slice_to_minus_zero(x: Array, kernel: Array, bias: Array) -> Array:
    """Trimmed with [:-(K - 1)], which takes everything where K = 1."""
    padding = kernel.shape[0] - 1
    return _convolve(x, kernel, bias, padding, padding)[:, :-padding]


@law(layers=st.integers(1, 6), width=st.integers(1, 5), length=st.integers(1, 6))
def deleting_the_last_k_would_lose_a_step_per_layer(
    decoder_convolution: Implementation, layers: int, width: int, length: int, format: Array
) -> Claim:
    """Erratum. After any number of layers T steps are left; padding K - 1 on both ends and deleting the last K, not
    K - 1, would leave T minus the number of layers.
    """
    x, kernel = np.ones((1, length, 1), format.dtype), np.ones((width, 1, 1), format.dtype)
    for _ in range(layers):
        x = decoder_convolution(x=x, kernel=kernel, bias=np.zeros(1, format.dtype))
    return exactly(x.shape[1], length)


@fault(
    decoder_convolution,
    breaks=(deleting_the_last_k_would_lose_a_step_per_layer, the_decoder_keeps_the_length),
    kind="boundary",
    repair="Delete K - 1.",
)
def deletes_the_last_k(x: Array, kernel: Array, bias: Array) -> Array:
    """The sentence taken literally: K - 1 zeros on both ends, the last K outputs deleted."""
    padding = kernel.shape[0] - 1
    full = _convolve(x, kernel, bias, padding, padding)
    return full[:, : full.shape[1] - kernel.shape[0]]


@law()
def padding_both_ends_and_deleting_k_minus_1_is_padding_in_front(
    decoder_convolution: Implementation, x: Array, kernel: Array, bias: Array
) -> Claim:
    """With K - 1 zeros behind the sequence as well, the outputs are the same ones and K - 1 more at the end."""
    surplus = kernel.shape[0] - 1
    both = decoder_convolution(x=np.pad(x, ((0, 0), (0, surplus), (0, 0))), kernel=kernel, bias=bias)
    return closely(both[:, : both.shape[1] - surplus], decoder_convolution(x=x, kernel=kernel, bias=bias))


@law(inputs=telling_convolutions(), channel=st.integers(0, 99))
def a_decoder_step_sees_itself_and_k_minus_1_before_it(
    decoder_convolution: Implementation, x: Array, kernel: Array, bias: Array, channel: int
) -> Claim:
    """Output i depends on the inputs i - K + 1 to i: on every one of them, and on no other."""
    lag = lags(x.shape[1])
    return exactly(support(decoder_convolution, x, kernel, bias, channel), (lag >= 0) & (lag < kernel.shape[0]))


@law(cut=st.integers(0, 99))
def a_huge_future_leaves_no_trace(
    decoder_convolution: Implementation, x: Array, kernel: Array, bias: Array, cut: int
) -> Claim:
    """Whatever the size of what follows a step, the step and all before it come out as accurate as without it."""
    cut %= x.shape[1]
    before = decoder_convolution(x=x, kernel=kernel, bias=bias)
    future = decoder_convolution(x=rewritten(x, np.s_[:, cut + 1 :], huge(x)), kernel=kernel, bias=bias)
    return closely(future[:, : cut + 1], before[:, : cut + 1])


@fault(
    decoder_convolution,
    breaks=a_huge_future_leaves_no_trace,
    kind="formula",
    repair="Sum over the taps.",
)
def convolves_by_fourier_transform(x: Array, kernel: Array, bias: Array) -> Array:
    """A Fourier transform spreads the rounding error of the largest step over all."""
    require(kernel.shape[1] == x.shape[-1], "kernel does not fit x")
    size = x.shape[1] + kernel.shape[0] - 1
    taps = np.fft.rfft(kernel[::-1], size, axis=0)
    spectrum = np.einsum("bfc,fco->bfo", np.fft.rfft(x, size, axis=1), taps)
    return np.fft.irfft(spectrum, size, axis=1)[:, : x.shape[1]] + bias


@law(place=st.integers(0, 99), channel=st.integers(0, 99))
def an_impulse_reads_the_decoder_s_taps_from_the_newest(
    decoder_convolution: Implementation, x: Array, kernel: Array, bias: Array, place: int, channel: int
) -> Claim:
    """A single 1 in the sequence brings out the taps, the last one first and at the impulse's own step."""
    width, place, channel = kernel.shape[0], place % x.shape[1], channel % x.shape[2]
    impulse = rewritten(np.zeros((1, x.shape[1] + width, x.shape[2]), x.dtype), (0, place, channel), 1)
    response = decoder_convolution(x=impulse, kernel=kernel, bias=np.zeros_like(bias))
    silence = np.zeros((response.shape[1], len(bias)), x.dtype)
    return closely(response[0], rewritten(silence, slice(place, place + width), kernel[::-1, channel]))


BAND_BROKEN = (a_decoder_step_sees_itself_and_k_minus_1_before_it, an_impulse_reads_the_decoder_s_taps_from_the_newest)


@fault(
    decoder_convolution,
    breaks=(*BAND_BROKEN, a_huge_future_leaves_no_trace),
    kind="mask",
    repair="Put all K - 1 in front.",
    seen="https://github.com/maxim5/time-series-machine-learning/issues/12",
)
def pads_as_the_encoder_does(x: Array, kernel: Array, bias: Array) -> Array:
    """Half of the zeros stand behind the sequence, so that steps see the future."""
    half = (kernel.shape[0] - 1) // 2
    return _convolve(x, kernel, bias, kernel.shape[0] - 1 - half, half)


@fault(
    decoder_convolution,
    breaks=(*BAND_BROKEN, the_decoder_is_the_encoder_half_a_kernel_late),
    kind="mask",
    repair="Delete the last K - 1.",
)
def deletes_at_the_wrong_end(x: Array, kernel: Array, bias: Array) -> Array:
    """Padded on both ends, trimmed in front: steps see the future only."""
    return _convolve(x, kernel, bias, 0, kernel.shape[0] - 1)


@fault(
    decoder_convolution,
    breaks=BAND_BROKEN,
    kind="mask",
    repair="Put K - 1 in front.",
)
def pads_one_step_too_many(x: Array, kernel: Array, bias: Array) -> Array:
    """K zeros in front and the last output deleted: a step no longer sees itself."""
    return _convolve(x, kernel, bias, kernel.shape[0], 0)[:, : x.shape[1]]


@fault(
    decoder_convolution,
    breaks=an_impulse_reads_the_decoder_s_taps_from_the_newest,
    kind="formula",
    repair="Do not flip them.",
    seen="https://github.com/srush/Autodiff-Puzzles/pull/7",
)
def flips_the_decoder_s_kernel(x: Array, kernel: Array, bias: Array) -> Array:
    """The taps are used in reverse, as in the convolution of signal processing."""
    return _convolve(x, kernel[::-1], bias, kernel.shape[0] - 1, 0)


@law(cuts=st.lists(st.integers(1, 9), max_size=3))
def streaming_with_a_buffer_of_k_minus_1_is_the_parallel_pass(
    decoder_convolution: Implementation, x: Array, kernel: Array, bias: Array, cuts: list[int]
) -> Claim:
    """Chunk by chunk, with the K - 1 inputs before each chunk in a buffer that starts with zeros, the decoder's
    convolution gives what it gives at once.
    """
    memory, length = kernel.shape[0] - 1, x.shape[1]
    history = np.pad(x, ((0, 0), (memory, 0), (0, 0)))
    ends = sorted({cut for cut in cuts if cut < length} | {length})
    chunks = [
        decoder_convolution(x=history[:, start : end + memory], kernel=kernel, bias=bias)[:, memory:]
        for start, end in zip([0, *ends[:-1]], ends, strict=True)
    ]
    return closely(np.concatenate(chunks, axis=1), decoder_convolution(x=x, kernel=kernel, bias=bias))


@fault(
    decoder_convolution,
    breaks=(
        padding_both_ends_and_deleting_k_minus_1_is_padding_in_front,
        streaming_with_a_buffer_of_k_minus_1_is_the_parallel_pass,
    ),
    kind="boundary",
    repair="Use the window only.",
)
def averages_over_the_sequence(x: Array, kernel: Array, bias: Array) -> Array:
    """The mean over all steps is taken off first: what is far away and yet to come is seen."""
    return _convolve(x - x.mean(axis=1, keepdims=True), kernel, bias, kernel.shape[0] - 1, 0)


@fault(
    decoder_convolution,
    breaks=streaming_with_a_buffer_of_k_minus_1_is_the_parallel_pass,
    kind="boundary",
    repair="Pad with zeros.",
)
def repeats_the_first_step(x: Array, kernel: Array, bias: Array) -> Array:
    """The first step is repeated in front, as if it had always been there."""
    return _convolve(x, kernel, bias, kernel.shape[0] - 1, 0, mode="edge")


@workload(decoder_convolution, sizes=LAYER, cost=_convolution_cost, gradient=True)
def conv_s2s_decoder_layer(random: np.random.Generator, B: int, T: int, C: int, K: int) -> Arguments:
    """The same convolution in the decoder, which sees no later word (Gehring et al. 2017, sections 3.2 and 4.2)."""
    return _layer(random, B, T, C, K)
