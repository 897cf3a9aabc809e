"""A whole layer, with convolution, gate and scaled residual: conv_s2s_block."""

from __future__ import annotations

import numpy as np

from layerlaws.language import (
    Arguments,
    Array,
    Claim,
    Cost,
    Format,
    Headline,
    Implementation,
    asbounded,
    closely,
    exactly,
    fault,
    law,
    operation,
    refused,
    require,
    rewritten,
    root,
    sigmoid,
    workload,
)
from layerlaws.language import strategies as st
from layerlaws.notes.cloze_lstm.recurrence import recurrent_layer
from layerlaws.notes.conv_s2s.convolutions import (
    LAYER,
    convolutions,
    convolve_by_taps,
    decoder_convolution,
    encoder_convolution,
    half_width,
    layer_inputs,
)
from layerlaws.notes.conv_s2s.gate import gated_linear_unit


@st.composite
def blocks(draw: st.DrawFn) -> Arguments:
    causal = draw(st.booleans())
    return {**draw(convolutions(odd=not causal, doubled=True)), "causal": causal}


@operation(inputs=blocks(), batch=("x",), differentiable=True)
def conv_s2s_block(x: Array, kernel: Array, bias: Array, causal: bool) -> Array:
    """(x + glu(convolution of x)) sqrt(1/2): the decoder's convolution where causal, else the encoder's.

    x (B, T, C), kernel (K, C, 2C), bias (2C,)  ->  (B, T, C)
    """
    channels = x.shape[-1]
    require(kernel.shape[2] == 2 * channels, f"kernel writes {kernel.shape[2]} channels, not twice the {channels} of x")
    convolved = (decoder_convolution if causal else encoder_convolution)(x, kernel, bias)
    return (x + gated_linear_unit(convolved)) / root(2)


@law(layers=st.integers(1, 6), width=st.sampled_from([1, 3, 5]), causal=st.booleans())
def l_layers_see_1_plus_l_times_k_minus_1_steps(
    conv_s2s_block: Implementation, layers: int, width: int, causal: bool, format: Format
) -> Claim:
    """One step reaches 1 + L(K - 1) steps through L blocks, 25 for six blocks of width 5: from itself onwards where
    causal, else as many on each side.
    """
    reach = layers * (width - 1)
    impulse = np.zeros((1, 2 * reach + 3, 1), format.dtype)
    impulse[:, reach + 1] = 1
    kernel = np.concatenate([np.ones((width, 1, 1)), np.zeros((width, 1, 1))], axis=2).astype(format.dtype)
    response: Array = impulse
    for _ in range(layers):
        response = conv_s2s_block(x=response, kernel=kernel, bias=np.zeros(2, format.dtype), causal=causal)
    lag = np.arange(impulse.shape[1]) - (reach + 1)
    expected = (lag >= 0) & (lag <= reach) if causal else 2 * np.abs(lag) <= reach
    return exactly(np.abs(response.value[0, :, 0]) > response.error[0, :, 0], expected)


@fault(
    conv_s2s_block,
    breaks=l_layers_see_1_plus_l_times_k_minus_1_steps,
    kind="mask",
    repair="Pad in front where causal.",
)
def is_never_causal(x: Array, kernel: Array, bias: Array, causal: bool) -> Array:
    """The flag is ignored, and the decoder sees the future."""
    half = (kernel.shape[0] - 1) // 2
    require(kernel.shape[2] == 2 * x.shape[-1], "kernel does not double x")
    content, gate = np.split(convolve_by_taps(x, kernel, bias, kernel.shape[0] - 1 - half, half), 2, axis=-1)
    return (x + content * sigmoid(gate)) / root(2)


def _block(x: Array, kernel: Array, bias: Array, causal: bool) -> tuple[Array, Array]:
    """The gated convolution and the residual factor, for faults that put them together wrongly."""
    require(kernel.shape[2] == 2 * x.shape[-1], "kernel does not double x")
    half = 0 if causal else half_width(kernel)
    content, gate = np.split(convolve_by_taps(x, kernel, bias, kernel.shape[0] - 1 - half, half), 2, axis=-1)
    return content * sigmoid(gate), root(2)


@fault(
    conv_s2s_block,
    breaks=l_layers_see_1_plus_l_times_k_minus_1_steps,
    kind="formula",
    repair="Read adjacent steps.",
)
def dilates_its_kernel(x: Array, kernel: Array, bias: Array, causal: bool) -> Array:
    """Every other tap is skipped, so that the field grows twice as fast and has holes."""
    taps = np.zeros((2 * kernel.shape[0] - 1, *kernel.shape[1:]), kernel.dtype)
    gated, scale = _block(x, rewritten(taps, slice(None, None, 2), kernel), bias, causal)
    return (x + gated) / scale


@law()
def a_silent_convolution_leaves_the_residual(
    conv_s2s_block: Implementation, x: Array, kernel: Array, bias: Array, causal: bool
) -> Claim:
    """A kernel and a bias of zeros leave x sqrt(1/2): the residual is there, and it is scaled."""
    result = conv_s2s_block(x=x, kernel=np.zeros_like(kernel), bias=np.zeros_like(bias), causal=causal)
    return closely(result, asbounded(x) / root(2))


@law()
def a_block_is_its_parts(
    conv_s2s_block: Implementation,
    encoder_convolution: Implementation,
    decoder_convolution: Implementation,
    gated_linear_unit: Implementation,
    x: Array,
    kernel: Array,
    bias: Array,
    causal: bool,
) -> Claim:
    """sqrt(2) times the block minus x is the gated convolution: the decoder's where causal, else the encoder's."""
    convolve = decoder_convolution if causal else encoder_convolution
    gated = gated_linear_unit(x=convolve(x=x, kernel=kernel, bias=bias))
    return closely(conv_s2s_block(x=x, kernel=kernel, bias=bias, causal=causal) * root(2) - asbounded(x), gated)


@fault(
    conv_s2s_block,
    breaks=(a_silent_convolution_leaves_the_residual, a_block_is_its_parts),
    kind="formula",
    repair="Add x.",
)
def forgets_the_residual(x: Array, kernel: Array, bias: Array, causal: bool) -> Array:
    """The gated convolution comes out alone."""
    gated, scale = _block(x, kernel, bias, causal)
    return gated / scale


@fault(
    conv_s2s_block,
    breaks=(a_silent_convolution_leaves_the_residual, a_block_is_its_parts),
    kind="scale",
    repair="Multiply by sqrt(1/2).",
)
def forgets_the_scale(x: Array, kernel: Array, bias: Array, causal: bool) -> Array:
    """The sum of two is not scaled, and its variance doubles with every layer."""
    return x + _block(x, kernel, bias, causal)[0]


@fault(
    conv_s2s_block,
    breaks=a_block_is_its_parts,
    kind="scale",
    repair="Scale the sum.",
)
def scales_before_the_residual(x: Array, kernel: Array, bias: Array, causal: bool) -> Array:
    """Only the residual is scaled."""
    gated, scale = _block(x, kernel, bias, causal)
    return x / scale + gated


@law(examples=20)
def a_block_refuses_a_kernel_that_does_not_double_the_channels(
    conv_s2s_block: Implementation, x: Array, kernel: Array, bias: Array, causal: bool
) -> Claim:
    """Four times the channels would leave twice as many behind the gate, too many for the residual sum."""
    twice = {"kernel": np.concatenate([kernel, kernel], axis=2), "bias": np.concatenate([bias, bias])}
    return refused(conv_s2s_block, "kernel", {"x": x, **twice, "causal": causal})


@fault(
    conv_s2s_block,
    breaks=a_block_refuses_a_kernel_that_does_not_double_the_channels,
    kind="refusal",
    repair="Refuse kernels that do not double the channels.",
)
def adds_the_channels_that_fit(x: Array, kernel: Array, bias: Array, causal: bool) -> Array:
    """Channels beyond those of x are left out in silence."""
    channels = x.shape[-1]
    gated, scale = _block(x, kernel[..., : 2 * channels], bias[: 2 * channels], causal)
    return (x + gated) / scale


@workload(
    conv_s2s_block,
    sizes=LAYER,
    cost=lambda B, T, C, K: Cost(flops=4 * B * T * K * C**2, moved=2 * B * T * C + 2 * (K * C + 1) * C),
    gradient=True,
)
def conv_s2s_layer(random: np.random.Generator, B: int, T: int, C: int, K: int) -> Arguments:
    """A whole layer of ConvS2S's decoder, with gate and residual, over 32 sentences of 50 words (Gehring et al. 2017,
    section 4.2).
    """
    return {**layer_inputs(random, B, T, C, K), "causal": True}


_SPEED = (
    "Gehring et al. 2017, Convolutional Sequence to Sequence Learning, abstract: an order of magnitude faster, for"
    " whole models that translate; measured here is one layer of each, at the same width"
)


convolution_against_recurrence = Headline(
    "A convolution reads all words at once, and is faster than an LSTM, which reads one after the other.",
    _SPEED,
    fast=conv_s2s_layer,
    slow=recurrent_layer.at(T=50, E=512),
)


convolution_against_recurrence_in_training = Headline(
    "A convolution trains on all words at once, and faster than an LSTM, which goes from one to the next.",
    _SPEED,
    fast=conv_s2s_layer,
    slow=recurrent_layer.at(T=50, E=512),
    gradient=True,
)
