"""Which layers tell the order of tokens, and which do not."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from layerlaws.language import (
    Arguments,
    Array,
    Claim,
    Format,
    Ids,
    Implementation,
    Mask,
    Results,
    all_of,
    closely,
    differ,
    fault,
    law,
    normal,
    seeds,
)
from layerlaws.language import strategies as st
from layerlaws.notes.conv_s2s.convolutions import encoder_convolution
from layerlaws.notes.masked_attention.decoding import masked_self_attention
from layerlaws.notes.multi_head_attention.heads import multi_head_attention, projected_states
from layerlaws.notes.multi_head_attention.scaled_dot_product import scaled_dot_product_attention
from layerlaws.notes.position_methods.permutations import order_shows, to_itself, tokens, turned, turns
from layerlaws.notes.rnn_language_model.recurrence import rnn_language_model
from layerlaws.notes.sinusoidal_positions import sinusoidal_positions


def _ramp(x: Array, axis: int) -> Array:
    """x plus a quarter of the place along an axis."""
    shape = [1] * x.ndim
    shape[axis] = -1
    return x + (np.arange(x.shape[axis]).reshape(shape) / 4).astype(x.dtype)


@law(inputs=projected_states(), examples=50, seed=seeds)
def self_attention_without_positions_is_equivariant(
    multi_head_attention: Implementation, inputs: Arguments, seed: int
) -> Claim:
    """Permuted tokens give permuted results, and weights permuted on both sides."""

    def attended(x: Array) -> Results:
        return multi_head_attention(**{**inputs, "query": x, "key": x, "value": x, "mask": None})

    x = inputs["key"]
    order = np.random.default_rng(seed).permutation(x.shape[1])
    output, weights = attended(x)
    return closely(attended(x[:, order]), (output[:, order], weights[:, :, order][..., order]))


@law(inputs=projected_states(), seed=seeds)
def the_order_of_a_source_does_not_matter(multi_head_attention: Implementation, inputs: Arguments, seed: int) -> Claim:
    """Attention to a source gives the same output for every order of the source; its weights are permuted with it."""
    source, mask = inputs["key"], inputs["mask"]
    order = np.random.default_rng(seed).permutation(source.shape[1])
    permuted = {"key": source[:, order], "value": source[:, order], "mask": None if mask is None else mask[..., order]}
    output, weights = multi_head_attention(**{**inputs, "value": source})
    return closely(multi_head_attention(**{**inputs, **permuted}), (output, weights[..., order]))


@fault(
    multi_head_attention,
    breaks=(self_attention_without_positions_is_equivariant, the_order_of_a_source_does_not_matter),
    kind="formula",
    repair="Add them before, to tokens.",
)
def adds_positions_of_its_own(
    query: Array,
    key: Array,
    value: Array,
    w_q: Array,
    w_k: Array,
    w_v: Array,
    w_o: Array,
    b_q: Array,
    b_k: Array,
    b_v: Array,
    b_o: Array,
    num_heads: int,
    mask: Mask,
) -> tuple[Array, Array]:
    """Attention adds positions to its weights and its output behind the caller's back."""
    arguments = (w_q, w_k, w_v, w_o, b_q, b_k, b_v, b_o, num_heads, mask)
    output, weights = multi_head_attention(query, key, value, *arguments)
    return _ramp(output, 1), _ramp(weights, -1)


@law(inputs=tokens(), examples=50, turn=turns)
def equivariant_is_not_insensitive(scaled_dot_product_attention: Implementation, x: Array, turn: int) -> Claim:
    """Erratum. The order of the tokens shows in the results, which move with them; it is gone once results are pooled
    over all positions.
    """
    order = turned(x.shape[1], turn)

    def results(attend: Callable[..., Array]) -> list[Array]:
        heads = x[:, None], x[:, None, order]
        return [attend(query=head * 0.5, key=head, value=head, mask=None)[:, 0] for head in heads]

    one, other = results(scaled_dot_product_attention)
    before, after = results(scaled_dot_product_attention.definition)
    shows = differ(one, other, expected=(before, after))
    return all_of(shows, closely(np.mean(one, axis=1), np.mean(other, axis=1)))


@fault(
    scaled_dot_product_attention,
    breaks=equivariant_is_not_insensitive,
    kind="formula",
    repair="Leave pooling to what follows.",
)
def pools_its_results(query: Array, key: Array, value: Array, mask: Mask) -> Array:
    """Every query gets the mean of all results."""
    results = scaled_dot_product_attention(query, key, value, mask)
    return np.broadcast_to(np.mean(results, axis=2, keepdims=True), results.shape)


@fault(
    scaled_dot_product_attention,
    breaks=equivariant_is_not_insensitive,
    kind="formula",
    repair="Leave them alone.",
)
def weighs_early_keys_more(query: Array, key: Array, value: Array, mask: Mask) -> Array:
    """Values are weighed by their place, so that the mean over all positions depends on order."""
    return scaled_dot_product_attention(query, key, _ramp(value, 2) * _ramp(np.ones_like(value), 2), mask)


@law(inputs=tokens(), examples=50, turn=turns, seed=seeds)
def learned_positions_tell_order(
    learned_positions: Implementation, scaled_dot_product_attention: Implementation, x: Array, turn: int, seed: int
) -> Claim:
    """With learned positions added to the tokens, a layer of self-attention is no longer equivariant."""
    table = normal(seed, x.shape[1:], x)

    def layer(add: Callable[..., Array], attend: Callable[..., Array], x: Array) -> Array:
        return to_itself(attend, add(x=x, table=table), mask=None)

    return order_shows(layer, (learned_positions, scaled_dot_product_attention), x, turned(x.shape[1], turn))


@law(inputs=tokens(), examples=50, turn=turns)
def sinusoidal_positions_tell_order(
    sinusoidal_positions: Implementation,
    scaled_dot_product_attention: Implementation,
    x: Array,
    turn: int,
    format: Format,
) -> Claim:
    """With sinusoidal positions added to the tokens, a layer of self-attention is no longer equivariant."""

    def layer(encode: Callable[..., Array], attend: Callable[..., Array], x: Array) -> Array:
        rows = encode(positions=np.arange(x.shape[1]), width=x.shape[2], dtype=format.name)
        return to_itself(attend, x + rows, mask=None)

    return order_shows(layer, (sinusoidal_positions, scaled_dot_product_attention), x, turned(x.shape[1], turn))


@fault(
    sinusoidal_positions,
    breaks=sinusoidal_positions_tell_order,
    kind="formula",
    repair="Compute the row of each.",
)
def has_one_wave_for_all(positions: Ids, width: int, dtype: str) -> Array:
    """Every position gets the row of position 0."""
    return sinusoidal_positions(np.zeros_like(positions), width, dtype)


@law(inputs=tokens(), examples=50, turn=turns, seed=seeds, reach=st.integers(1, 3))
def relative_positions_tell_order(
    relative_attention: Implementation, x: Array, turn: int, seed: int, reach: int
) -> Claim:
    """With rows by distance, a layer of self-attention is no longer equivariant."""
    rows = (2 * reach + 1, x.shape[2])
    key_table, value_table = normal(seed, rows, x), normal(seed + 1, rows, x, 4)

    def layer(attend: Callable[..., Array], x: Array) -> Array:
        return to_itself(attend, x, key_table=key_table, value_table=value_table, mask=None)

    return order_shows(layer, (relative_attention,), x, turned(x.shape[1], turn))


@law(inputs=tokens(), examples=50, turn=turns)
def a_causal_mask_tells_order(masked_self_attention: Implementation, x: Array, turn: int) -> Claim:
    """Under a causal mask a layer of self-attention is not equivariant, without any positions."""
    return order_shows(to_itself, (masked_self_attention,), x, turned(x.shape[1], turn))


@fault(
    masked_self_attention,
    breaks=a_causal_mask_tells_order,
    kind="mask",
    repair="Mask the keys j > i.",
    seen="https://github.com/huggingface/transformers/issues/48745",
)
def has_no_causal_mask(query: Array, key: Array, value: Array) -> Array:
    """Every position sees every other, and nothing is left that tells order."""
    return scaled_dot_product_attention(query, key, value, None)


@law(inputs=tokens(), examples=50, turn=turns)
def a_recurrent_network_tells_order(rnn_language_model: Implementation, x: Array, turn: int) -> Claim:
    """The same words in another order leave a recurrent network, which has no positions, in another state."""
    x = x[:4]  # every token of all sequences is a word of its own
    words, (length, width) = np.arange(x.shape[0] * x.shape[1]), x.shape[1:]
    eye, nothing = np.eye(width).astype(x.dtype), np.zeros(width, x.dtype)
    network = {
        "state": np.zeros((len(x), width), x.dtype),
        "token_table": x.reshape(-1, width),
        "w_x": eye,
        "w_h": eye / 2,
        "b_h": nothing,
        "w_out": np.zeros((width, len(words)), x.dtype),
        "b_out": np.zeros(len(words), x.dtype),
    }
    texts = words.reshape(-1, length), words.reshape(-1, length)[:, turned(length, turn)]

    def states(read: Callable[..., Results]) -> list[Array]:
        return [read(tokens=text, **network)[1] for text in texts]

    one, other = states(rnn_language_model)
    before, after = states(rnn_language_model.definition)
    return differ(one, other, expected=(before, after))


@fault(
    rnn_language_model,
    breaks=a_recurrent_network_tells_order,
    kind="order",
    repair="Read them as they come.",
)
def reads_a_bag_of_words(
    tokens: Ids, state: Array, token_table: Array, w_x: Array, w_h: Array, b_h: Array, w_out: Array, b_out: Array
) -> Results:
    """Words are sorted before they are read, as a count of words would have them."""
    return rnn_language_model(np.sort(tokens, axis=1), state, token_table, w_x, w_h, b_h, w_out, b_out)


def _pooled(seed: int, x: Array, width: int, channels: int) -> Callable[..., Array]:
    """A convolution of this width, and the greatest result over all positions in each channel."""
    kernel, bias = normal(seed, (width, x.shape[2], channels), x), normal(seed + 1, (channels,), x)
    return lambda convolve, x: np.max(convolve(x=x, kernel=kernel, bias=bias), axis=1)


@law(inputs=tokens(), seed=seeds, channels=st.integers(1, 5))
def a_pooled_convolution_of_width_1_does_not_tell_order(
    encoder_convolution: Implementation, x: Array, seed: int, channels: int
) -> Claim:
    """The greatest over all positions of a convolution of width 1 is the same for every order of the tokens."""
    order = np.random.default_rng(seed).permutation(x.shape[1])
    pool = _pooled(seed, x, 1, channels)
    return closely(pool(encoder_convolution, x[:, order]), pool(encoder_convolution, x))


@fault(
    encoder_convolution,
    breaks=a_pooled_convolution_of_width_1_does_not_tell_order,
    kind="formula",
    repair="It is the same map at every step.",
)
def adds_positions_to_the_convolution(x: Array, kernel: Array, bias: Array) -> Array:
    """The convolution adds positions of its own."""
    return _ramp(encoder_convolution(x, kernel, bias), 1)


@law(inputs=tokens(), seed=seeds, turn=turns)
def a_pooled_convolution_of_width_3_tells_order(
    encoder_convolution: Implementation, x: Array, seed: int, turn: int
) -> Claim:
    """The greatest over all positions of a convolution of width 3 changes with the order of the tokens."""
    order, pool = turned(x.shape[1], turn), _pooled(seed, x, 3, 8)

    def results(convolve: Callable[..., Array]) -> tuple[Array, Array]:
        return pool(convolve, x), pool(convolve, x[:, order])

    return differ(*results(encoder_convolution), expected=results(encoder_convolution.definition))


@fault(
    encoder_convolution,
    breaks=a_pooled_convolution_of_width_3_tells_order,
    kind="formula",
    repair="Use all of them.",
)
def reads_the_middle_tap_only(x: Array, kernel: Array, bias: Array) -> Array:
    """Only the middle tap is used, as if the kernel were of width 1."""
    middle = kernel.shape[0] // 2
    return encoder_convolution(x, kernel[middle : middle + 1], bias)
