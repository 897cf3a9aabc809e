"""What a step of the decoder sees: laws on decoder_convolution alone."""

from __future__ import annotations

import numpy as np

from layerlaws.language import (
    Arguments,
    Array,
    Claim,
    Format,
    Implementation,
    answers_where,
    closely,
    exactly,
    fault,
    huge,
    law,
    require,
    rewritten,
    workload,
)
from layerlaws.language import strategies as st
from layerlaws.notes.conv_s2s.convolutions import (
    LAYER,
    convolution_cost,
    convolve_by_taps,
    decoder_convolution,
    lags,
    layer_inputs,
    support,
    telling_convolutions,
    the_decoder_is_the_encoder_half_a_kernel_late,
)


@law()
def the_decoder_keeps_the_length(decoder_convolution: Implementation, x: Array, kernel: Array, bias: Array) -> Claim:
    """As many steps come out of the decoder's convolution as go in, for every length and every width."""
    return exactly(decoder_convolution(x=x, kernel=kernel, bias=bias).shape[1], x.shape[1])


@fault(
    decoder_convolution,
    breaks=(the_decoder_keeps_the_length, "batches_are_independent"),
    kind="boundary",
    repair="Slice to the length.",
)
def deletes_with_a_slice_to_minus_zero(x: Array, kernel: Array, bias: Array) -> Array:
    """Trimmed with [:-(K - 1)], which takes everything where K = 1."""
    padding = kernel.shape[0] - 1
    return convolve_by_taps(x, kernel, bias, padding, padding)[:, :-padding]


@law(layers=st.integers(1, 6), width=st.integers(1, 5), length=st.integers(1, 6))
def deleting_the_last_k_would_lose_a_step_per_layer(
    decoder_convolution: Implementation, layers: int, width: int, length: int, format: Format
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
    full = convolve_by_taps(x, kernel, bias, padding, padding)
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


@law(cut=st.integers(0, 99), examples=20)
def a_future_that_is_no_number_leaves_no_trace(
    decoder_convolution: Implementation, x: Array, kernel: Array, bias: Array, cut: int
) -> Claim:
    """What is not a number after a step leaves it, and all before it, as they were."""
    cut = 1 + cut % x.shape[1]
    inputs = {"x": x, "kernel": kernel, "bias": bias}
    spoiled = {**inputs, "x": rewritten(x, np.s_[:, cut:], np.nan)}
    return answers_where(decoder_convolution, spoiled, inputs, np.s_[:, :cut])


@fault(
    decoder_convolution,
    breaks=a_future_that_is_no_number_leaves_no_trace,
    kind="mask",
    repair="Read the steps that are seen.",
)
def multiplies_the_future_by_zero(x: Array, kernel: Array, bias: Array) -> Array:
    """All steps are read, later ones with taps of 0, and 0 times what is not a number is none."""
    return decoder_convolution(x, kernel, bias) + 0.0 * np.sum(x, axis=(1, 2), keepdims=True)


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
    kind="precision",
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
    return convolve_by_taps(x, kernel, bias, kernel.shape[0] - 1 - half, half)


@fault(
    decoder_convolution,
    breaks=(*BAND_BROKEN, the_decoder_is_the_encoder_half_a_kernel_late),
    kind="mask",
    repair="Delete the last K - 1.",
)
def deletes_at_the_wrong_end(x: Array, kernel: Array, bias: Array) -> Array:
    """Padded on both ends, trimmed in front: steps see the future only."""
    return convolve_by_taps(x, kernel, bias, 0, kernel.shape[0] - 1)


@fault(
    decoder_convolution,
    breaks=BAND_BROKEN,
    kind="shift",
    repair="Put K - 1 in front.",
)
def pads_one_step_too_many(x: Array, kernel: Array, bias: Array) -> Array:
    """K zeros in front and the last output deleted: a step no longer sees itself."""
    return convolve_by_taps(x, kernel, bias, kernel.shape[0], 0)[:, : x.shape[1]]


@fault(
    decoder_convolution,
    breaks=an_impulse_reads_the_decoder_s_taps_from_the_newest,
    kind="order",
    repair="Do not flip them.",
    seen="https://github.com/srush/Autodiff-Puzzles/pull/7",
)
def flips_the_decoder_s_kernel(x: Array, kernel: Array, bias: Array) -> Array:
    """The taps are used in reverse, as in the convolution of signal processing."""
    return convolve_by_taps(x, kernel[::-1], bias, kernel.shape[0] - 1, 0)


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
    kind="mask",
    repair="Use the window only.",
)
def averages_over_the_sequence(x: Array, kernel: Array, bias: Array) -> Array:
    """The mean over all steps is taken off first: what is far away and yet to come is seen."""
    return convolve_by_taps(x - x.mean(axis=1, keepdims=True), kernel, bias, kernel.shape[0] - 1, 0)


@fault(
    decoder_convolution,
    breaks=streaming_with_a_buffer_of_k_minus_1_is_the_parallel_pass,
    kind="boundary",
    repair="Pad with zeros.",
)
def repeats_the_first_step(x: Array, kernel: Array, bias: Array) -> Array:
    """The first step is repeated in front, as if it had always been there."""
    return convolve_by_taps(x, kernel, bias, kernel.shape[0] - 1, 0, mode="edge")


@workload(decoder_convolution, sizes=LAYER, cost=convolution_cost, gradient=True)
def conv_s2s_decoder_layer(random: np.random.Generator, B: int, T: int, C: int, K: int) -> Arguments:
    """The same convolution in the decoder, which sees no later word (Gehring et al. 2017, sections 3.2 and 4.2)."""
    return layer_inputs(random, B, T, C, K)
