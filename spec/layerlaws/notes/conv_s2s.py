"""ConvS2S convolutions: where the zeros go decides what a step may see.

Note of 2021-10-29. A convolutional sequence-to-sequence model has no recurrence and no mask: padding alone keeps
the length and, in the decoder, hides the future. The encoder puts (K - 1)/2 zeros on each side; the decoder puts
K - 1 zeros in front, so that step i reads steps i - K + 1 to i. Each layer is a convolution to twice the width, a
gated linear unit and a residual sum scaled by sqrt(1/2) (Gehring, Auli, Grangier, Yarats, Dauphin, Convolutional
Sequence to Sequence Learning, 2017, sections 3.2 and 3.5; the gate is from Dauphin, Fan, Auli, Grangier, Language
Modeling with Gated Convolutional Networks, 2017).

Claimed: lengths are kept; the dependence of outputs on inputs is exactly the stated band; L layers see 1 + L(K - 1)
steps; the last K - 1 steps are all that a decoder has to remember. Not claimed: anything about weight normalization,
dropout or the attention between encoder and decoder.

Conventions. Kernels are (width, in, out), correlated and not flipped, oldest tap first; torch keeps (out, in, width).
What the libraries pad on both sides they cut off at the end again, K - 1 steps of it: TCN's Chomp1d
(https://github.com/locuslab/TCN/issues/8) does so, and it equals padding in front. With K = 1 there is nothing to cut
off, and a slice [:-0] would take all. The bound of a convolution is that of a sum over its taps, element by element;
a Fourier transform keeps only a bound by the largest element, and is a fault here.

Erratum. The note pads K - 1 zeros on both ends "and deletes the last K", which is the paper's own sentence in section
3.2. Both ends make T + K - 1 outputs, so that deleting K leaves T - 1: for T = 1 nothing, and L steps are lost over L
layers. K - 1 is right. Shown by deleting_the_last_k_would_lose_a_step_per_layer and
padding_both_ends_and_deleting_k_minus_1_is_padding_in_front.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from layerlaws import (
    Claim,
    Cost,
    Headline,
    all_of,
    asbounded,
    at_most,
    closely,
    exactly,
    fault,
    law,
    operation,
    refused,
    workload,
)
from layerlaws.language import strategies as st
from layerlaws.language.dependence import dependence
from layerlaws.language.inputs import PLAIN, TEXTURES, arrays, extents, huge, normal, rewritten, seeds
from layerlaws.language.workloads import matrix
from layerlaws.notes.cloze_lstm import recurrent_layer
from layerlaws.numerics.mathematics import require, root, sigmoid

# --- inputs ---------------------------------------------------------------------------------------------------


@st.composite
def convolutions(
    draw: st.DrawFn, odd: bool = False, doubled: bool = False, textures: tuple[str, ...] = tuple(TEXTURES)
) -> dict[str, Any]:
    """A sequence and a kernel. odd: of odd width. doubled: with twice as many channels out as in."""
    batch, length, channels, out = draw(extents(4, edges=(1, 2, 3)))
    width = draw(st.sampled_from([1, 3, 5, 7] if odd else [1, 2, 3, 4, 5]))
    out = 2 * channels if doubled else out
    x, kernel, bias = draw(arrays((batch, length, channels), (width, channels, out), (out,), textures=textures))
    return {"x": x, "kernel": kernel, "bias": bias}


@st.composite
def telling_convolutions(draw: st.DrawFn, odd: bool = False) -> dict[str, Any]:
    """Numbers of one size, and a weight in every tap and channel that shows what it reads."""
    drawn = draw(convolutions(odd=odd, textures=PLAIN))
    faint = (np.abs(drawn["kernel"]) < 0.5).all(axis=2, keepdims=True)
    return {**drawn, "kernel": np.where(faint, 1.0, drawn["kernel"])}


@st.composite
def blocks(draw: st.DrawFn) -> dict[str, Any]:
    causal = draw(st.booleans())
    return {**draw(convolutions(odd=not causal, doubled=True)), "causal": causal}


@st.composite
def gates(draw: st.DrawFn) -> dict[str, Any]:
    *outer, channels = draw(extents(3, edges=(1, 2)))
    axes = tuple(outer[: draw(st.integers(0, 2))])
    content, gate = draw(arrays((*axes, channels), (*axes, channels)))
    return {"x": np.concatenate([content, gate], axis=-1)}


# --- definitions ----------------------------------------------------------------------------------------------


def convolution(x: Any, kernel: Any, bias: Any, before: int, after: int) -> Any:
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
def encoder_convolution(x: Any, kernel: Any, bias: Any) -> Any:
    """bias + sum over k of x[i - (K-1)/2 + k] kernel[k], K odd, zeros beyond both ends.

    x (B, T, C), kernel (K, C, O), bias (O,)  ->  (B, T, O)
    """
    half, even = divmod(kernel.shape[0] - 1, 2)
    require(not even, f"kernel has the even width {kernel.shape[0]}: it has no middle")
    return convolution(x, kernel, bias, half, half)


@operation(inputs=convolutions(), batch=("x",), differentiable=True)
def decoder_convolution(x: Any, kernel: Any, bias: Any) -> Any:
    """bias + sum over k of x[i - K + 1 + k] kernel[k], zeros before the beginning.

    x (B, T, C), kernel (K, C, O), bias (O,)  ->  (B, T, O)
    """
    return convolution(x, kernel, bias, kernel.shape[0] - 1, 0)


@operation(inputs=gates(), differentiable=True)
def gated_linear_unit(x: Any) -> Any:
    """A sigmoid(B), where A is the first half of the last axis and B the second. (..., 2C) -> (..., C)."""
    width, odd = divmod(x.shape[-1], 2)
    require(not odd, f"x has {x.shape[-1]} channels, which have no halves")
    return x[..., :width] * sigmoid(x[..., width:])


@operation(inputs=blocks(), batch=("x",), differentiable=True)
def conv_s2s_block(x: Any, kernel: Any, bias: Any, causal: bool) -> Any:
    """(x + glu(convolution of x)) sqrt(1/2): the decoder's convolution where causal, else the encoder's.

    x (B, T, C), kernel (K, C, 2C), bias (2C,)  ->  (B, T, C)
    """
    channels = x.shape[-1]
    require(kernel.shape[2] == 2 * channels, f"kernel writes {kernel.shape[2]} channels, not twice the {channels} of x")
    convolved = (decoder_convolution if causal else encoder_convolution)(x, kernel, bias)
    return (x + gated_linear_unit(convolved)) / root(2)


# --- laws: length ---------------------------------------------------------------------------------------------


@law()
def the_decoder_keeps_the_length(decoder_convolution: Any, x: Any, kernel: Any, bias: Any) -> Claim:
    """As many steps come out of the decoder's convolution as go in, for every length and every width."""
    return exactly(decoder_convolution(x=x, kernel=kernel, bias=bias).shape[1], x.shape[1])


@law()
def the_encoder_keeps_the_length(encoder_convolution: Any, x: Any, kernel: Any, bias: Any) -> Claim:
    """As many steps come out of the encoder's convolution as go in, for every length and every odd width."""
    return exactly(encoder_convolution(x=x, kernel=kernel, bias=bias).shape[1], x.shape[1])


@law(layers=st.integers(1, 6), width=st.integers(1, 5), length=st.integers(1, 6))
def deleting_the_last_k_would_lose_a_step_per_layer(
    decoder_convolution: Any, layers: int, width: int, length: int, format: Any
) -> Claim:
    """Erratum. After any number of layers T steps are left; padding K - 1 on both ends and deleting the last K, not
    K - 1, would leave T minus the number of layers.
    """
    x, kernel = np.ones((1, length, 1), format.dtype), np.ones((width, 1, 1), format.dtype)
    for _ in range(layers):
        x = decoder_convolution(x=x, kernel=kernel, bias=np.zeros(1, format.dtype))
    return exactly(x.shape[1], length)


@law()
def padding_both_ends_and_deleting_k_minus_1_is_padding_in_front(
    decoder_convolution: Any, x: Any, kernel: Any, bias: Any
) -> Claim:
    """With K - 1 zeros behind the sequence as well, the outputs are the same ones and K - 1 more at the end."""
    surplus = kernel.shape[0] - 1
    both = decoder_convolution(x=np.pad(x, ((0, 0), (0, surplus), (0, 0))), kernel=kernel, bias=bias)
    return closely(both[:, : both.shape[1] - surplus], decoder_convolution(x=x, kernel=kernel, bias=bias))


@law(inputs=convolutions(odd=True))
def the_decoder_is_the_encoder_half_a_kernel_late(
    encoder_convolution: Any, decoder_convolution: Any, x: Any, kernel: Any, bias: Any
) -> Claim:
    """Delaying the sequence by (K - 1)/2 steps turns the encoder's convolution into the decoder's."""
    late = np.pad(x, ((0, 0), ((kernel.shape[0] - 1) // 2, 0), (0, 0)))
    delayed = encoder_convolution(x=late, kernel=kernel, bias=bias)
    return closely(delayed[:, : x.shape[1]], decoder_convolution(x=x, kernel=kernel, bias=bias))


# --- laws: who sees whom --------------------------------------------------------------------------------------


def support(operation: Any, x: Any, kernel: Any, bias: Any, channel: int) -> Any:
    """Which output steps move when one channel of one input step becomes 64, far above all others. (T, T) bool."""

    def moved(j: int) -> dict[str, Any]:
        other = x if j < 0 else rewritten(x, (slice(None), j, channel % x.shape[2]), 64)
        return {"x": other, "kernel": kernel, "bias": bias}

    return dependence(operation, moved, x.shape[1], axis=1)


def lags(length: int) -> Any:
    """How many steps input j lies before output i. (T, T)."""
    return np.arange(length)[:, None] - np.arange(length)


@law(inputs=telling_convolutions(), channel=st.integers(0, 99))
def a_decoder_step_sees_itself_and_k_minus_1_before_it(
    decoder_convolution: Any, x: Any, kernel: Any, bias: Any, channel: int
) -> Claim:
    """Output i depends on the inputs i - K + 1 to i: on every one of them, and on no other."""
    lag = lags(x.shape[1])
    return exactly(support(decoder_convolution, x, kernel, bias, channel), (lag >= 0) & (lag < kernel.shape[0]))


@law(inputs=telling_convolutions(odd=True), channel=st.integers(0, 99))
def an_encoder_step_sees_half_a_kernel_on_each_side(
    encoder_convolution: Any, x: Any, kernel: Any, bias: Any, channel: int
) -> Claim:
    """Output i depends on the inputs i - (K - 1)/2 to i + (K - 1)/2: on every one of them, and on no other."""
    seen = np.abs(lags(x.shape[1])) <= (kernel.shape[0] - 1) // 2
    return exactly(support(encoder_convolution, x, kernel, bias, channel), seen)


@law(cut=st.integers(0, 99))
def a_huge_future_leaves_no_trace(decoder_convolution: Any, x: Any, kernel: Any, bias: Any, cut: int) -> Claim:
    """Whatever the size of what follows a step, the step and all before it come out as accurate as without it."""
    cut %= x.shape[1]
    before = decoder_convolution(x=x, kernel=kernel, bias=bias)
    future = decoder_convolution(x=rewritten(x, np.s_[:, cut + 1 :], huge(x)), kernel=kernel, bias=bias)
    return closely(future[:, : cut + 1], before[:, : cut + 1])


@law(layers=st.integers(1, 6), width=st.sampled_from([1, 3, 5]), causal=st.booleans())
def l_layers_see_1_plus_l_times_k_minus_1_steps(
    conv_s2s_block: Any, layers: int, width: int, causal: bool, format: Any
) -> Claim:
    """One step reaches 1 + L(K - 1) steps through L blocks, 25 for six blocks of width 5: from itself onwards where
    causal, else as many on each side.
    """
    reach = layers * (width - 1)
    impulse = np.zeros((1, 2 * reach + 3, 1), format.dtype)
    impulse[:, reach + 1] = 1
    kernel = np.concatenate([np.ones((width, 1, 1)), np.zeros((width, 1, 1))], axis=2).astype(format.dtype)
    response: Any = impulse
    for _ in range(layers):
        response = conv_s2s_block(x=response, kernel=kernel, bias=np.zeros(2, format.dtype), causal=causal)
    lag = np.arange(impulse.shape[1]) - (reach + 1)
    expected = (lag >= 0) & (lag <= reach) if causal else 2 * np.abs(lag) <= reach
    return exactly(np.abs(response.value[0, :, 0]) > response.error[0, :, 0], expected)


# --- laws: the taps -------------------------------------------------------------------------------------------


@law(place=st.integers(0, 99), channel=st.integers(0, 99))
def an_impulse_reads_the_decoder_s_taps_from_the_newest(
    decoder_convolution: Any, x: Any, kernel: Any, bias: Any, place: int, channel: int
) -> Claim:
    """A single 1 in the sequence brings out the taps, the last one first and at the impulse's own step."""
    width, place, channel = kernel.shape[0], place % x.shape[1], channel % x.shape[2]
    impulse = rewritten(np.zeros((1, x.shape[1] + width, x.shape[2]), x.dtype), (0, place, channel), 1)
    response = decoder_convolution(x=impulse, kernel=kernel, bias=np.zeros_like(bias))
    silence = np.zeros((response.shape[1], len(bias)), x.dtype)
    return closely(response[0], rewritten(silence, slice(place, place + width), kernel[::-1, channel]))


@law(place=st.integers(0, 99), channel=st.integers(0, 99))
def an_impulse_reads_the_encoder_s_taps_around_it(
    encoder_convolution: Any, x: Any, kernel: Any, bias: Any, place: int, channel: int
) -> Claim:
    """A single 1 in the sequence brings out the taps, the last one first and the middle one at the impulse's step."""
    width, place, channel = kernel.shape[0], place % x.shape[1], channel % x.shape[2]
    impulse = np.zeros((1, x.shape[1] + 2 * width, x.shape[2]), x.dtype)
    impulse = rewritten(impulse, (0, place + width, channel), 1)
    response = encoder_convolution(x=impulse, kernel=kernel, bias=np.zeros_like(bias))
    start = place + width - width // 2
    silence = np.zeros((response.shape[1], len(bias)), x.dtype)
    return closely(response[0], rewritten(silence, slice(start, start + width), kernel[::-1, channel]))


@law(cuts=st.lists(st.integers(1, 9), max_size=3))
def streaming_with_a_buffer_of_k_minus_1_is_the_parallel_pass(
    decoder_convolution: Any, x: Any, kernel: Any, bias: Any, cuts: list[int]
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


@law(inputs=convolutions(odd=True), seed=seeds)
def convolutions_are_linear_in_the_sequence(
    encoder_convolution: Any, decoder_convolution: Any, x: Any, kernel: Any, bias: Any, seed: int
) -> Claim:
    """Without bias the convolution of a sum is the sum of the convolutions."""
    other, none = normal(seed, x.shape, x), np.zeros_like(bias)
    total = asbounded(x) + asbounded(other)
    return all_of(*(
        closely(convolve(x=total, kernel=kernel, bias=none),
                convolve(x=x, kernel=kernel, bias=none) + convolve(x=other, kernel=kernel, bias=none))
        for convolve in (encoder_convolution, decoder_convolution)
    ))  # fmt: skip


@law(inputs=convolutions(odd=True), seed=seeds)
def convolutions_are_linear_in_the_kernel(
    encoder_convolution: Any, decoder_convolution: Any, x: Any, kernel: Any, bias: Any, seed: int
) -> Claim:
    """Kernels add up, each with its own bias."""
    other, more = normal(seed, kernel.shape, kernel), normal(seed + 1, bias.shape, bias)
    total, sums = asbounded(kernel) + asbounded(other), asbounded(bias) + asbounded(more)
    return all_of(*(
        closely(convolve(x=x, kernel=total, bias=sums),
                convolve(x=x, kernel=kernel, bias=bias) + convolve(x=x, kernel=other, bias=more))
        for convolve in (encoder_convolution, decoder_convolution)
    ))  # fmt: skip


@law(inputs=convolutions(odd=True))
def a_kernel_of_width_1_is_a_linear_map_of_each_step(
    encoder_convolution: Any, decoder_convolution: Any, x: Any, kernel: Any, bias: Any
) -> Claim:
    """With one tap both convolutions are x kernel[0] + bias."""
    expected = asbounded(x) @ asbounded(kernel[0]) + asbounded(bias)
    return all_of(
        closely(encoder_convolution(x=x, kernel=kernel[:1], bias=bias), expected),
        closely(decoder_convolution(x=x, kernel=kernel[:1], bias=bias), expected),
    )


@law()
def reversed_taps_read_the_reversed_sequence(encoder_convolution: Any, x: Any, kernel: Any, bias: Any) -> Claim:
    """The encoder has no direction: reversing the sequence and the taps reverses the output."""
    back = encoder_convolution(x=x[:, ::-1], kernel=kernel[::-1], bias=bias)
    return closely(back[:, ::-1], encoder_convolution(x=x, kernel=kernel, bias=bias))


# --- laws: gate and block -------------------------------------------------------------------------------------


@law()
def a_gate_of_zero_halves(gated_linear_unit: Any, x: Any) -> Claim:
    """With B = 0 the gate is half open: A / 2 comes out."""
    content = x[..., : x.shape[-1] // 2]
    half = gated_linear_unit(x=np.concatenate([content, np.zeros_like(content)], axis=-1))
    return closely(half, asbounded(content) * 0.5)


@law(gate=st.sampled_from([np.inf, 1e4]))
def a_gate_opens_and_shuts(gated_linear_unit: Any, x: Any, gate: float) -> Claim:
    """B = inf and B = 1e4 let A pass as it is; B = -inf and B = -1e4 let nothing pass."""
    content = x[..., : x.shape[-1] // 2]
    wide = np.full_like(content, gate)
    opened = gated_linear_unit(x=np.concatenate([content, wide], axis=-1))
    shut = gated_linear_unit(x=np.concatenate([content, -wide], axis=-1))
    return all_of(closely(opened, content), closely(shut, np.zeros_like(content)))


@law()
def a_gate_never_amplifies(gated_linear_unit: Any, x: Any) -> Claim:
    """No output is larger than its A."""
    return at_most(np.abs(gated_linear_unit(x=x)), np.abs(x[..., : x.shape[-1] // 2]))


@law()
def the_second_half_is_the_gate(gated_linear_unit: Any, x: Any) -> Claim:
    """Negating the first half negates the output; A sigmoid(B) + A sigmoid(-B) is A."""
    content, gate = x[..., : x.shape[-1] // 2], x[..., x.shape[-1] // 2 :]
    result = gated_linear_unit(x=x)
    negated = gated_linear_unit(x=np.concatenate([-content, gate], axis=-1))
    complement = gated_linear_unit(x=np.concatenate([content, -gate], axis=-1))
    return all_of(closely(-negated, result), closely(result + complement, content))


@law()
def a_silent_convolution_leaves_the_residual(
    conv_s2s_block: Any, x: Any, kernel: Any, bias: Any, causal: bool
) -> Claim:
    """A kernel and a bias of zeros leave x sqrt(1/2): the residual is there, and it is scaled."""
    result = conv_s2s_block(x=x, kernel=np.zeros_like(kernel), bias=np.zeros_like(bias), causal=causal)
    return closely(result, asbounded(x) / root(2))


@law()
def a_block_is_its_parts(
    conv_s2s_block: Any, encoder_convolution: Any, decoder_convolution: Any, gated_linear_unit: Any,
    x: Any, kernel: Any, bias: Any, causal: bool,
) -> Claim:  # fmt: skip
    """sqrt(2) times the block minus x is the gated convolution: the decoder's where causal, else the encoder's."""
    convolve = decoder_convolution if causal else encoder_convolution
    gated = gated_linear_unit(x=convolve(x=x, kernel=kernel, bias=bias))
    return closely(conv_s2s_block(x=x, kernel=kernel, bias=bias, causal=causal) * root(2) - asbounded(x), gated)


# --- laws: refusals -------------------------------------------------------------------------------------------


@law(examples=20)
def the_encoder_refuses_an_even_kernel(encoder_convolution: Any, x: Any, kernel: Any, bias: Any) -> Claim:
    """A kernel of even width has no middle tap, and no equal padding keeps the length."""
    even = np.concatenate([kernel, kernel[:1]])
    return refused(encoder_convolution, "kernel", {"x": x, "kernel": even, "bias": bias})


@law(inputs=convolutions(odd=True), examples=20)
def other_channels_than_the_kernel_s_are_refused(
    encoder_convolution: Any, decoder_convolution: Any, x: Any, kernel: Any, bias: Any
) -> Claim:
    """A kernel that reads one channel more than the sequence has does not fit."""
    wide = np.concatenate([kernel, kernel[:, :1]], axis=1)
    arguments = {"x": x, "kernel": wide, "bias": bias}
    return all_of(refused(encoder_convolution, "kernel", arguments), refused(decoder_convolution, "kernel", arguments))


@law()
def an_odd_number_of_channels_has_no_gate(gated_linear_unit: Any, x: Any) -> Claim:
    """Content and gate are of one width; an odd number of channels is refused."""
    return refused(gated_linear_unit, "x", {"x": x[..., 1:]})


@law(examples=20)
def a_block_refuses_a_kernel_that_does_not_double_the_channels(
    conv_s2s_block: Any, x: Any, kernel: Any, bias: Any, causal: bool
) -> Claim:
    """Four times the channels would leave twice as many behind the gate, too many for the residual sum."""
    twice = {"kernel": np.concatenate([kernel, kernel], axis=2), "bias": np.concatenate([bias, bias])}
    return refused(conv_s2s_block, "kernel", {"x": x, **twice, "causal": causal})


# --- faults ---------------------------------------------------------------------------------------------------


def _convolve(x: Any, kernel: Any, bias: Any, before: int, after: int, **padding: Any) -> Any:
    """A convolution with the knobs that faults turn, tap by tap."""
    require(kernel.shape[1] == x.shape[-1], "kernel does not fit x")
    padded = np.pad(x, ((0, 0), (before, after), (0, 0)), **padding)
    steps = max(padded.shape[1] - kernel.shape[0] + 1, 0)
    return bias + sum(padded[:, k : k + steps] @ tap for k, tap in enumerate(kernel))


def _odd(kernel: Any) -> int:
    require(kernel.shape[0] % 2, "kernel is of even width")
    return int(kernel.shape[0] // 2)


BAND_BROKEN = ("a_decoder_step_sees_itself_and_k_minus_1_before_it",
               "an_impulse_reads_the_decoder_s_taps_from_the_newest")  # fmt: skip


@fault(decoder_convolution, breaks=("deleting_the_last_k_would_lose_a_step_per_layer", "the_decoder_keeps_the_length"))
def deletes_the_last_k(x: Any, kernel: Any, bias: Any) -> Any:
    """The sentence taken literally: K - 1 zeros on both ends, the last K outputs deleted. Delete K - 1."""
    padding = kernel.shape[0] - 1
    full = _convolve(x, kernel, bias, padding, padding)
    return full[:, : full.shape[1] - kernel.shape[0]]


@fault(decoder_convolution, breaks=(*BAND_BROKEN, "a_huge_future_leaves_no_trace"),
       seen="https://github.com/maxim5/time-series-machine-learning/issues/12")  # fmt: skip
def pads_as_the_encoder_does(x: Any, kernel: Any, bias: Any) -> Any:
    """Half of the zeros stand behind the sequence, so that steps see the future. Put all K - 1 in front."""
    half = (kernel.shape[0] - 1) // 2
    return _convolve(x, kernel, bias, kernel.shape[0] - 1 - half, half)


@fault(decoder_convolution, breaks=(*BAND_BROKEN, "the_decoder_is_the_encoder_half_a_kernel_late"))
def deletes_at_the_wrong_end(x: Any, kernel: Any, bias: Any) -> Any:
    """Padded on both ends, trimmed in front: steps see the future only. Delete the last K - 1."""
    return _convolve(x, kernel, bias, 0, kernel.shape[0] - 1)


@fault(decoder_convolution, breaks=BAND_BROKEN)
def pads_one_step_too_many(x: Any, kernel: Any, bias: Any) -> Any:
    """K zeros in front and the last output deleted: a step no longer sees itself. Put K - 1 in front."""
    return _convolve(x, kernel, bias, kernel.shape[0], 0)[:, : x.shape[1]]


@fault(decoder_convolution, breaks=("the_decoder_keeps_the_length", "batches_are_independent"))
def deletes_with_a_slice_to_minus_zero(x: Any, kernel: Any, bias: Any) -> Any:
    """Trimmed with [:-(K - 1)], which takes everything where K = 1. Slice to the length."""
    padding = kernel.shape[0] - 1
    return _convolve(x, kernel, bias, padding, padding)[:, :-padding]


@fault(decoder_convolution, breaks=("padding_both_ends_and_deleting_k_minus_1_is_padding_in_front",
                                    "streaming_with_a_buffer_of_k_minus_1_is_the_parallel_pass"))  # fmt: skip
def averages_over_the_sequence(x: Any, kernel: Any, bias: Any) -> Any:
    """The mean over all steps is taken off first: what is far away and yet to come is seen. Use the window only."""
    return _convolve(x - x.mean(axis=1, keepdims=True), kernel, bias, kernel.shape[0] - 1, 0)


@fault(decoder_convolution, breaks="streaming_with_a_buffer_of_k_minus_1_is_the_parallel_pass")
def repeats_the_first_step(x: Any, kernel: Any, bias: Any) -> Any:
    """The first step is repeated in front, as if it had always been there. Pad with zeros."""
    return _convolve(x, kernel, bias, kernel.shape[0] - 1, 0, mode="edge")


@fault(decoder_convolution, breaks="an_impulse_reads_the_decoder_s_taps_from_the_newest",
       seen="https://github.com/srush/Autodiff-Puzzles/pull/7")  # fmt: skip
def flips_the_decoder_s_kernel(x: Any, kernel: Any, bias: Any) -> Any:
    """The taps are used in reverse, as in the convolution of signal processing. Do not flip them."""
    return _convolve(x, kernel[::-1], bias, kernel.shape[0] - 1, 0)


@fault(decoder_convolution, breaks="a_huge_future_leaves_no_trace")
def convolves_by_fourier_transform(x: Any, kernel: Any, bias: Any) -> Any:
    """A Fourier transform spreads the rounding error of the largest step over all. Sum over the taps."""
    require(kernel.shape[1] == x.shape[-1], "kernel does not fit x")
    size = x.shape[1] + kernel.shape[0] - 1
    taps = np.fft.rfft(kernel[::-1], size, axis=0)
    spectrum = np.einsum("bfc,fco->bfo", np.fft.rfft(x, size, axis=1), taps)
    return np.fft.irfft(spectrum, size, axis=1)[:, : x.shape[1]] + bias


@fault(decoder_convolution, breaks=("convolutions_are_linear_in_the_sequence", "convolutions_are_linear_in_the_kernel",
                                    "a_kernel_of_width_1_is_a_linear_map_of_each_step"))  # fmt: skip
def normalizes_the_decoder_s_kernel(x: Any, kernel: Any, bias: Any) -> Any:
    """Each output channel's taps are scaled to length 1: weight normalization applied twice. Use them as given."""
    length = np.sqrt(np.square(kernel).sum(axis=(0, 1)))
    return _convolve(x, kernel / np.where(length > 0, length, 1).astype(x.dtype), bias, kernel.shape[0] - 1, 0)


@fault(decoder_convolution, breaks="convolutions_are_linear_in_the_sequence")
def applies_a_rectifier(x: Any, kernel: Any, bias: Any) -> Any:
    """A rectifier follows the convolution, which is linear. Leave the non-linearity to the gate."""
    return np.maximum(_convolve(x, kernel, bias, kernel.shape[0] - 1, 0), 0)


@fault(encoder_convolution, breaks="the_encoder_keeps_the_length")
def pads_the_encoder_not_at_all(x: Any, kernel: Any, bias: Any) -> Any:
    """Only whole windows are used, and K - 1 steps are lost. Put (K - 1)/2 zeros on each side."""
    _odd(kernel)
    return _convolve(x, kernel, bias, 0, 0)


@fault(encoder_convolution, breaks=("an_encoder_step_sees_half_a_kernel_on_each_side",
                                    "an_impulse_reads_the_encoder_s_taps_around_it",
                                    "reversed_taps_read_the_reversed_sequence"))  # fmt: skip
def pads_the_encoder_as_the_decoder(x: Any, kernel: Any, bias: Any) -> Any:
    """All zeros stand in front, so that the encoder is blind to what follows. Put half of them on each side."""
    return _convolve(x, kernel, bias, 2 * _odd(kernel), 0)


@fault(encoder_convolution, breaks="the_encoder_refuses_an_even_kernel")
def takes_an_even_kernel(x: Any, kernel: Any, bias: Any) -> Any:
    """An even kernel is padded by one zero more at the end and leans to the left. Refuse it."""
    return _convolve(x, kernel, bias, (kernel.shape[0] - 1) // 2, kernel.shape[0] // 2)


@fault(encoder_convolution, breaks="an_impulse_reads_the_encoder_s_taps_around_it",
       seen="https://github.com/srush/Autodiff-Puzzles/pull/7")  # fmt: skip
def flips_the_encoder_s_kernel(x: Any, kernel: Any, bias: Any) -> Any:
    """The taps are used in reverse, as in the convolution of signal processing. Do not flip them."""
    return _convolve(x, kernel[::-1], bias, _odd(kernel), _odd(kernel))


@fault(encoder_convolution, breaks="agrees_with_definition")
def repeats_the_ends(x: Any, kernel: Any, bias: Any) -> Any:
    """The first and the last step are repeated beyond the ends. Pad with zeros."""
    return _convolve(x, kernel, bias, _odd(kernel), _odd(kernel), mode="edge")


@fault(encoder_convolution, breaks="other_channels_than_the_kernel_s_are_refused")
def reads_the_channels_that_fit(x: Any, kernel: Any, bias: Any) -> Any:
    """Channels that the other side lacks are left out in silence. Compare the numbers of channels."""
    half, channels = _odd(kernel), min(x.shape[-1], kernel.shape[1])
    return _convolve(x[..., :channels], kernel[:, :channels], bias, half, half)


@fault(gated_linear_unit, breaks=("the_second_half_is_the_gate", "a_gate_of_zero_halves", "a_gate_opens_and_shuts"))
def gates_with_the_first_half(x: Any) -> Any:
    """The halves are exchanged: sigmoid(A) B. The second half is the gate."""
    require(x.shape[-1] % 2 == 0, "x is odd")
    gate, content = np.split(x, 2, axis=-1)
    return content * sigmoid(gate)


@fault(gated_linear_unit, breaks=("a_gate_of_zero_halves", "a_gate_never_amplifies"),
       seen="https://github.com/LeronQ/STGCN-Pytorch/issues/1")  # fmt: skip
def adds_the_gate(x: Any) -> Any:
    """A + sigmoid(B) lets everything pass. Multiply."""
    require(x.shape[-1] % 2 == 0, "x is odd")
    content, gate = np.split(x, 2, axis=-1)
    return content + sigmoid(gate)


@fault(gated_linear_unit, breaks="a_gate_opens_and_shuts")
def overflows_in_the_gate(x: Any) -> Any:
    """exp(B) / (1 + exp(B)) is infinity by infinity for large B. Take 1 / (1 + exp(-B)) there."""
    require(x.shape[-1] % 2 == 0, "x is odd")
    content, gate = np.split(x, 2, axis=-1)
    return content * (np.exp(gate) / (1 + np.exp(gate)))


@fault(gated_linear_unit, breaks=("a_gate_of_zero_halves", "the_second_half_is_the_gate"))
def gates_with_tanh(x: Any) -> Any:
    """The gate is tanh(B), which is shut at 0 and turns signs. Use the logistic sigmoid."""
    require(x.shape[-1] % 2 == 0, "x is odd")
    content, gate = np.split(x, 2, axis=-1)
    return content * np.tanh(gate)


@fault(gated_linear_unit, breaks="an_odd_number_of_channels_has_no_gate")
def drops_the_odd_channel(x: Any) -> Any:
    """The last of an odd number of channels is dropped in silence. Refuse it."""
    half = x.shape[-1] // 2
    return x[..., :half] * sigmoid(x[..., half : 2 * half])


def _block(x: Any, kernel: Any, bias: Any, causal: bool) -> tuple[Any, Any]:
    """The gated convolution and the residual factor, for faults that put them together wrongly."""
    require(kernel.shape[2] == 2 * x.shape[-1], "kernel does not double x")
    half = 0 if causal else _odd(kernel)
    content, gate = np.split(_convolve(x, kernel, bias, kernel.shape[0] - 1 - half, half), 2, axis=-1)
    return content * sigmoid(gate), root(2)


@fault(conv_s2s_block, breaks=("a_silent_convolution_leaves_the_residual", "a_block_is_its_parts"))
def forgets_the_residual(x: Any, kernel: Any, bias: Any, causal: bool) -> Any:
    """The gated convolution comes out alone. Add x."""
    gated, scale = _block(x, kernel, bias, causal)
    return gated / scale


@fault(conv_s2s_block, breaks=("a_silent_convolution_leaves_the_residual", "a_block_is_its_parts"))
def forgets_the_scale(x: Any, kernel: Any, bias: Any, causal: bool) -> Any:
    """The sum of two is not scaled, and its variance doubles with every layer. Multiply by sqrt(1/2)."""
    return x + _block(x, kernel, bias, causal)[0]


@fault(conv_s2s_block, breaks="a_block_is_its_parts")
def scales_before_the_residual(x: Any, kernel: Any, bias: Any, causal: bool) -> Any:
    """Only the residual is scaled. Scale the sum."""
    gated, scale = _block(x, kernel, bias, causal)
    return x / scale + gated


@fault(conv_s2s_block, breaks="l_layers_see_1_plus_l_times_k_minus_1_steps")
def is_never_causal(x: Any, kernel: Any, bias: Any, causal: bool) -> Any:
    """The flag is ignored, and the decoder sees the future. Pad in front where causal."""
    half = (kernel.shape[0] - 1) // 2
    require(kernel.shape[2] == 2 * x.shape[-1], "kernel does not double x")
    content, gate = np.split(_convolve(x, kernel, bias, kernel.shape[0] - 1 - half, half), 2, axis=-1)
    return (x + content * sigmoid(gate)) / root(2)


@fault(conv_s2s_block, breaks="l_layers_see_1_plus_l_times_k_minus_1_steps")
def dilates_its_kernel(x: Any, kernel: Any, bias: Any, causal: bool) -> Any:
    """Every other tap is skipped, so that the field grows twice as fast and has holes. Read adjacent steps."""
    taps = np.zeros((2 * kernel.shape[0] - 1, *kernel.shape[1:]), kernel.dtype)
    gated, scale = _block(x, rewritten(taps, slice(None, None, 2), kernel), bias, causal)
    return (x + gated) / scale


@fault(conv_s2s_block, breaks="a_block_refuses_a_kernel_that_does_not_double_the_channels")
def adds_the_channels_that_fit(x: Any, kernel: Any, bias: Any, causal: bool) -> Any:
    """Channels beyond those of x are left out in silence. Refuse kernels that do not double the channels."""
    channels = x.shape[-1]
    gated, scale = _block(x, kernel[..., : 2 * channels], bias[: 2 * channels], causal)
    return (x + gated) / scale


# --- workloads ------------------------------------------------------------------------------------------------


LAYER = {"B": 32, "T": 50, "C": 512, "K": 3}
"""A layer of ConvS2S, whose convolution writes twice as many channels as it reads."""


def _convolution_cost(B: int, T: int, C: int, K: int) -> Cost:
    """A matrix product for each tap; those that lie on the padding count, as one product computes all."""
    return Cost(flops=4 * B * T * K * C**2, moved=3 * B * T * C + 2 * (K * C + 1) * C)


def _layer(random: np.random.Generator, B: int, T: int, C: int, K: int) -> dict[str, Any]:
    kernel = matrix(random, K * C, 2 * C).reshape(K, C, 2 * C)
    return {"x": random.standard_normal((B, T, C)), "kernel": kernel, "bias": random.standard_normal(2 * C) / 8}


@workload(encoder_convolution, sizes=LAYER, cost=_convolution_cost, gradient=True)
def conv_s2s_encoder_layer(random: np.random.Generator, B: int, T: int, C: int, K: int) -> dict[str, Any]:
    """A convolution of ConvS2S's encoder, 512 wide and 3 words long, over 32 sentences of 50 words (Gehring et al.
    2017, section 4.2).
    """
    return _layer(random, B, T, C, K)


@workload(decoder_convolution, sizes=LAYER, cost=_convolution_cost, gradient=True)
def conv_s2s_decoder_layer(random: np.random.Generator, B: int, T: int, C: int, K: int) -> dict[str, Any]:
    """The same convolution in the decoder, which sees no later word (Gehring et al. 2017, sections 3.2 and 4.2)."""
    return _layer(random, B, T, C, K)


def _gate_cost(B: int, T: int, C: int) -> Cost:
    """A sigmoid in three operations, and a product."""
    return Cost(flops=4 * B * T * C, moved=3 * B * T * C)


def _gate_cost_backward(B: int, T: int, C: int) -> Cost:
    """Six operations more for the gradients of both halves."""
    return Cost(flops=10 * B * T * C, moved=6 * B * T * C)


@workload(gated_linear_unit, sizes={"B": 32, "T": 50, "C": 512}, cost=_gate_cost, backward=_gate_cost_backward,
          gradient=True)  # fmt: skip
def conv_s2s_gate(random: np.random.Generator, B: int, T: int, C: int) -> dict[str, Any]:
    """The gate of that layer: 1,024 numbers become 512 (Gehring et al. 2017, section 3.2)."""
    return {"x": random.standard_normal((B, T, 2 * C))}


@workload(conv_s2s_block, sizes=LAYER,
          cost=lambda B, T, C, K: Cost(flops=4 * B * T * K * C**2, moved=2 * B * T * C + 2 * (K * C + 1) * C),
          gradient=True)  # fmt: skip
def conv_s2s_layer(random: np.random.Generator, B: int, T: int, C: int, K: int) -> dict[str, Any]:
    """A whole layer of ConvS2S's decoder, with gate and residual, over 32 sentences of 50 words (Gehring et al. 2017,
    section 4.2).
    """
    return {**_layer(random, B, T, C, K), "causal": True}


_SPEED = (
    "Gehring et al. 2017, Convolutional Sequence to Sequence Learning, abstract: an order of magnitude faster, for"
    " whole models that translate; measured here is one layer of each, at the same width"
)

convolution_against_recurrence = Headline(
    "A convolution reads all words at once, and is faster than an LSTM, which reads one after the other.", _SPEED,
    fast=conv_s2s_layer, slow=recurrent_layer.at(T=50, E=512),
)  # fmt: skip

convolution_against_recurrence_in_training = Headline(
    "A convolution trains on all words at once, and faster than an LSTM, which goes from one to the next.", _SPEED,
    fast=conv_s2s_layer, slow=recurrent_layer.at(T=50, E=512), gradient=True,
)  # fmt: skip
