"""TODO-TITLE relative."""

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
    Results,
    all_of,
    arrays,
    asbounded,
    closely,
    differ,
    exactly,
    extents,
    fault,
    huge,
    law,
    masks,
    normal,
    operation,
    refused,
    require,
    rewritten,
    root,
    seeds,
    softmax,
    workload,
)
from layerlaws.language import strategies as st
from layerlaws.notes.conv_s2s.convolutions import encoder_convolution
from layerlaws.notes.masked_attention import masked_self_attention
from layerlaws.notes.multi_head_attention.heads import multi_head_attention, projected_states
from layerlaws.notes.multi_head_attention.scaled_dot_product import scaled_dot_product_attention
from layerlaws.notes.position_methods.shared import _order_shows, _to_itself, _turned, tokens, turns
from layerlaws.notes.rnn_language_model.recurrence import rnn_language_model
from layerlaws.notes.sinusoidal_positions import sinusoidal_positions


@st.composite
def related_states(draw: st.DrawFn, textures: tuple[str, ...] = tuple(TEXTURES), square: bool = False) -> Arguments:
    """Queries, keys, values, tables of any reach from 0 and, mostly, a mask; every query may look somewhere.

    square: as many keys as queries.
    """
    batch, heads, queries, keys, width, value_width, reach = draw(extents(7, edges=(2, 3, 4, 5, 6)))
    keys, rows = queries if square else keys, 2 * reach - 1
    query, key, value, key_table, value_table = draw(
        arrays(
            (batch, heads, queries, width),
            (batch, heads, keys, width),
            (batch, heads, keys, value_width),
            (rows, width),
            (rows, value_width),
            textures=textures,
        )
    )
    mask = draw(st.one_of(st.none(), masks((batch, heads, queries, keys), empty_rows=False)))
    return {
        "query": query,
        "key": key,
        "value": value,
        "key_table": key_table,
        "value_table": value_table,
        "mask": mask,
    }


@st.composite
def telling_states(draw: st.DrawFn) -> Arguments:
    """Numbers of one size, and scores near each other: no weight vanishes."""
    states = draw(related_states(textures=PLAIN))
    return {**states, "query": states["query"] / 4}


@st.composite
def blind_states(draw: st.DrawFn) -> Arguments:
    """Some queries may look nowhere."""
    states = draw(related_states(textures=PLAIN))
    mask = draw(masks((*states["query"].shape[:3], states["key"].shape[2])))
    return {**states, "mask": mask & draw(masks((*mask.shape[:3], 1)))}


def distances(queries: int, keys: int) -> Array:
    """By how much key j comes after query i. (T, S)."""
    return np.arange(keys) - np.arange(queries)[:, None]


def table_rows(queries: int, keys: int, rows: int) -> Array:
    """Which of the 2k + 1 rows belongs to which pair: the clipped distance, plus k. (T, S)."""
    reach = rows // 2
    return np.clip(distances(queries, keys), -reach, reach) + reach


def _fits(query: Array, key: Array, value: Array, key_table: Array, value_table: Array, mask: Mask) -> None:
    """Refuse what does not belong together."""
    require(len(key_table) % 2, f"key_table has {len(key_table)} rows, an even number: none is for distance 0")
    require(len(value_table) == len(key_table), f"value_table has {len(value_table)} rows, key_table {len(key_table)}")
    require(value.shape[2] == key.shape[2], f"value has {value.shape[2]} positions, key has {key.shape[2]}")
    for name, array, other in (
        ("key", key, query),
        ("key_table", key_table, query),
        ("value_table", value_table, value),
    ):
        require(array.shape[-1] == other.shape[-1], f"{name} is {array.shape[-1]} wide, not {other.shape[-1]}")
    scores = (*query.shape[:3], key.shape[2])
    require(mask is None or np.shape(mask) == scores, f"mask has not the shape {scores} of the scores")


@operation(inputs=related_states(), batch=("query", "key", "value", "mask"), differentiable=True)
def relative_attention(
    query: Array, key: Array, value: Array, key_table: Array, value_table: Array, mask: Mask
) -> Array:
    """sum over j of a_ij (value_j + value_table_r), a_i = softmax(query_i . (key_j + key_table_r) / sqrt(d)) over the
    keys that the mask allows, r = min(max(j - i, -k), k) + k; 0 where it allows none.

    query (B, H, T, d), key (B, H, S, d), value (B, H, S, e), key_table (2k + 1, d), value_table (2k + 1, e),
    mask (B, H, T, S) bool, True: may look, or None  ->  (B, H, T, e)
    """
    _fits(query, key, value, key_table, value_table, mask)
    pairs = (*query.shape[:3], key.shape[2])  # (B, H, T, S)
    rows = table_rows(pairs[2], pairs[3], len(key_table))

    def beside(content: Array, table: Array, axis: int) -> Array:
        """What a pair has by its content and by its distance: the terms of one sum, which has any order."""
        shape = (*pairs, table.shape[1])
        both = (np.broadcast_to(x, shape) for x in (content[:, :, None], table[rows]))
        return np.concatenate(list(both), axis=axis)

    twice = np.concatenate([query, query], axis=-1)[..., None]
    scores = (beside(key, key_table, -1) @ twice)[..., 0] / root(query.shape[3])
    weights = softmax(scores, where=True if mask is None else mask)
    shares = np.concatenate([weights, weights], axis=-1)[..., None, :]
    return (shares @ beside(value, value_table, -2))[..., 0, :]


@law(inputs=projected_states(), examples=50, seed=seeds)
def self_attention_without_positions_is_equivariant(
    multi_head_attention: Implementation, inputs: Arguments, seed: int
) -> Claim:
    """Permuted tokens give permuted results, and weights permuted on both sides."""

    def attended(x: Array) -> Array:
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


def _ramp(x: Array, axis: int) -> Array:
    """x plus a quarter of the place along an axis."""
    shape = [1] * x.ndim
    shape[axis] = -1
    return x + (np.arange(x.shape[axis]).reshape(shape) / 4).astype(x.dtype)


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
    order = _turned(x.shape[1], turn)

    def results(attend: Array) -> list[Any]:
        heads = x[:, None], x[:, None, order]
        return [attend(query=head * 0.5, key=head, value=head, mask=None)[:, 0] for head in heads]

    one, other = results(scaled_dot_product_attention)
    before, after = results(scaled_dot_product_attention.definition)
    return all_of(
        differ(one, other, expected=(before, after)),
        closely(np.mean(one, axis=1), np.mean(other, axis=1)),
    )


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
    kind="order",
    repair="Leave them alone.",
)
def weighs_early_keys_more(query: Array, key: Array, value: Array, mask: Mask) -> Array:
    """Values are weighed by their place, so that the mean over all positions depends on order."""
    return scaled_dot_product_attention(query, key, _ramp(value, 2) * _ramp(np.ones_like(value), 2), mask)


@law(inputs=tokens(), examples=50, turn=turns)
def sinusoidal_positions_tell_order(
    sinusoidal_positions: Implementation,
    scaled_dot_product_attention: Implementation,
    x: Array,
    turn: int,
    format: Array,
) -> Claim:
    """With sinusoidal positions added to the tokens, a layer of self-attention is no longer equivariant."""

    def layer(encode: Array, attend: Array, x: Array) -> Array:
        rows = encode(positions=np.arange(x.shape[1]), width=x.shape[2], dtype=format.name)
        return _to_itself(attend, x + rows, mask=None)

    return _order_shows(layer, (sinusoidal_positions, scaled_dot_product_attention), x, _turned(x.shape[1], turn))


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

    def layer(attend: Array, x: Array) -> Array:
        return _to_itself(attend, x, key_table=key_table, value_table=value_table, mask=None)

    return _order_shows(layer, (relative_attention,), x, _turned(x.shape[1], turn))


@law(inputs=tokens(), examples=50, turn=turns)
def a_causal_mask_tells_order(masked_self_attention: Implementation, x: Array, turn: int) -> Claim:
    """Under a causal mask a layer of self-attention is not equivariant, without any positions."""
    return _order_shows(_to_itself, (masked_self_attention,), x, _turned(x.shape[1], turn))


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
    texts = words.reshape(-1, length), words.reshape(-1, length)[:, _turned(length, turn)]

    def states(read: Array) -> list[Any]:
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


def _pooled(seed: int, x: Array, width: int, channels: int) -> Array:
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
    order, pool = _turned(x.shape[1], turn), _pooled(seed, x, 3, 8)

    def results(convolve: Array) -> tuple[Any, Any]:
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


@law()
def the_row_of_a_pair_is_its_clipped_distance(
    relative_attention: Implementation, query: Array, key: Array, key_table: Array
) -> Claim:
    """A table of values that holds its own distances -k to k, read with equal weights, gives the mean of j - i over
    all j, each clipped to k.
    """
    keys, reach = key.shape[2], len(key_table) // 2
    own = np.arange(-reach, reach + 1)[:, None].astype(query.dtype)
    result = relative_attention(
        query=np.zeros_like(query),
        key=key,
        value=np.zeros_like(key[..., :1]),
        key_table=key_table,
        value_table=own,
        mask=None,
    )
    total = np.clip(distances(query.shape[2], keys), -reach, reach).sum(axis=1)[:, None]
    return closely(result * keys, np.broadcast_to(total, result.shape))


def _by_query(query: Array, rows: Array) -> Array:
    """query_i . row of the pair. (B, H, T, d), (..., T, S, d) -> (B, H, T, S)."""
    return (query[..., None, :] @ rows.swapaxes(-1, -2))[..., 0, :]


def _related(
    query: Array,
    key: Array,
    value: Array,
    key_table: Array,
    value_table: Array,
    mask: Mask,
    *,
    rows: Array = None,
    scale: float | None = None,
    table_scale: float | None = None,
    relative: Array = None,
    axis: int = -1,
    fill: float = -np.inf,
    bias: Array = 0.0,
    shares: Array = lambda weights: weights,
) -> Array:
    """Relative attention with the knobs that faults turn.

    rows: of the tables, by pair. relative: query_i . row of the pair, as a fault computes it. shares: of the weights,
    what the value table is multiplied by.
    """
    _fits(query, key, value, key_table, value_table, mask)
    rows = table_rows(query.shape[2], key.shape[2], len(key_table)) if rows is None else rows % len(key_table)
    scale = query.shape[3] ** -0.5 if scale is None else scale
    relative = _by_query(query, key_table[rows]) if relative is None else relative
    scores = query @ key.swapaxes(-1, -2) * scale + relative * (scale if table_scale is None else table_scale) + bias
    scores = scores if mask is None else np.where(mask, scores, fill)
    highest = np.max(scores, axis=axis, keepdims=True)
    raised = np.exp(scores - np.where(np.isfinite(highest), highest, 0.0))
    total = np.sum(raised, axis=axis, keepdims=True)
    weights = raised / np.where(total == 0, 1.0, total)
    return weights @ value + (shares(weights)[..., None, :] @ value_table[rows])[..., 0, :]


@fault(
    relative_attention,
    breaks=("batches_are_independent", the_row_of_a_pair_is_its_clipped_distance),
    kind="formula",
    repair="Count along the third axis.",
)
def counts_queries_along_the_batch(
    query: Array, key: Array, value: Array, key_table: Array, value_table: Array, mask: Mask
) -> Array:
    """The number of the sequence in the batch stands in for the query's position."""
    reach = len(key_table) // 2
    lag = np.arange(key.shape[2]) - np.arange(len(query))[:, None, None, None]
    rows = np.broadcast_to(np.clip(lag, -reach, reach) + reach, (*query.shape[:3], key.shape[2]))
    return _related(query, key, value, key_table, value_table, mask, rows=rows)


def _lag(query: Array, key: Array) -> Array:
    return distances(query.shape[2], key.shape[2])


@fault(
    relative_attention,
    breaks=the_row_of_a_pair_is_its_clipped_distance,
    kind="shift",
    repair="Count both from 0.",
)
def lines_up_the_last_positions(
    query: Array, key: Array, value: Array, key_table: Array, value_table: Array, mask: Mask
) -> Array:
    """The last query is lined up with the last key, as beside a cache."""
    reach = len(key_table) // 2
    rows = np.clip(_lag(query, key) - key.shape[2] + query.shape[2], -reach, reach) + reach
    return _related(query, key, value, key_table, value_table, mask, rows=rows)


@law(inputs=telling_states())
def a_score_adds_the_query_times_the_row_of_the_pair(
    relative_attention: Implementation, query: Array, key: Array, key_table: Array
) -> Claim:
    """log(w_ij / w_i0) is the difference of query_i . (key_j + row) / sqrt(d) between the pairs; the weights are what
    comes out for one-hot values.
    """
    keys = key.shape[2]
    values = np.broadcast_to(np.eye(keys), (*key.shape[:2], keys, keys)).astype(query.dtype)
    logs = np.log(
        relative_attention(
            query=query,
            key=key,
            value=values,
            key_table=key_table,
            value_table=np.zeros((len(key_table), keys), query.dtype),
            mask=None,
        )
    )
    rows = key_table[table_rows(query.shape[2], keys, len(key_table))]  # (T, S, d)
    relative = (asbounded(query)[:, :, :, None] @ rows.swapaxes(-1, -2))[:, :, :, 0]
    scores = (asbounded(query) @ key.swapaxes(-1, -2) + relative) / root(query.shape[3])
    return closely(logs - logs[..., :1], scores - scores[..., :1])


ROWS_BROKEN = (the_row_of_a_pair_is_its_clipped_distance, a_score_adds_the_query_times_the_row_of_the_pair)


@fault(
    relative_attention,
    breaks=ROWS_BROKEN,
    kind="formula",
    repair="Take j - i.",
    seen="https://github.com/nntrainer/nntrainer/pull/3982",
)
def takes_i_minus_j(query: Array, key: Array, value: Array, key_table: Array, value_table: Array, mask: Mask) -> Array:
    """The distance is the query's position minus the key's: the tables are upside down."""
    rows = len(key_table) - 1 - table_rows(query.shape[2], key.shape[2], len(key_table))
    return _related(query, key, value, key_table, value_table, mask, rows=rows)


@fault(
    relative_attention,
    breaks=(relative_positions_tell_order, *ROWS_BROKEN),
    kind="order",
    repair="Look the distance up.",
)
def uses_one_row_for_all_pairs(
    query: Array, key: Array, value: Array, key_table: Array, value_table: Array, mask: Mask
) -> Array:
    """Every pair gets the middle row, that of distance 0, so that nothing tells order."""
    rows = np.full((query.shape[2], key.shape[2]), len(key_table) // 2)
    return _related(query, key, value, key_table, value_table, mask, rows=rows)


@fault(
    relative_attention,
    breaks=a_score_adds_the_query_times_the_row_of_the_pair,
    kind="mask",
    repair="Shift from a buffer that has room for both directions.",
    seen="https://github.com/ZhengkunTian/OpenTransformer/issues/25",
)
def takes_later_keys_from_the_next_query(
    query: Array, key: Array, value: Array, key_table: Array, value_table: Array, mask: Mask
) -> Array:
    """Scores are shifted into place as in Transformer-XL, which leaves those of the next query where keys come
    later: right only under a causal mask.
    """
    asking = np.broadcast_to(query[:, :, :, None], (*query.shape[:3], key.shape[2], query.shape[3]))
    next_one = np.concatenate([asking[:, :, 1:], asking[:, :, -1:]], axis=2)
    asking = np.where((_lag(query, key) > 0)[..., None], next_one, asking)
    rows = table_rows(query.shape[2], key.shape[2], len(key_table))
    relative = np.sum(asking * key_table[rows], axis=-1)
    return _related(query, key, value, key_table, value_table, mask, relative=relative)


@fault(
    relative_attention,
    breaks=a_score_adds_the_query_times_the_row_of_the_pair,
    kind="scale",
    repair="Divide the sum.",
)
def does_not_scale_the_rows(
    query: Array, key: Array, value: Array, key_table: Array, value_table: Array, mask: Mask
) -> Array:
    """Only the keys' part of a score is divided by sqrt(d)."""
    return _related(query, key, value, key_table, value_table, mask, table_scale=1.0)


@fault(
    relative_attention,
    breaks=a_score_adds_the_query_times_the_row_of_the_pair,
    kind="formula",
    repair="Add those of the key table to the keys.",
)
def forgets_the_key_table(
    query: Array, key: Array, value: Array, key_table: Array, value_table: Array, mask: Mask
) -> Array:
    """Rows are added to the values only."""
    return _related(query, key, value, np.zeros_like(key_table), value_table, mask)


@law(more=st.integers(1, 5))
def distances_beyond_the_reach_share_the_last_row(
    relative_attention: Implementation, inputs: Arguments, more: int
) -> Claim:
    """Both ends of both tables repeated any number of times change nothing: that is what clipping means."""
    longer = {name: np.pad(inputs[name], ((more, more), (0, 0)), mode="edge") for name in ("key_table", "value_table")}
    return closely(relative_attention(**{**inputs, **longer}), relative_attention(**inputs))


@fault(
    relative_attention,
    breaks=(the_row_of_a_pair_is_its_clipped_distance, distances_beyond_the_reach_share_the_last_row),
    kind="boundary",
    repair="Clip to k.",
)
def clips_one_too_early(
    query: Array, key: Array, value: Array, key_table: Array, value_table: Array, mask: Mask
) -> Array:
    """Distances are clipped to k - 1, and the last rows are never used."""
    reach = len(key_table) // 2
    rows = np.clip(_lag(query, key), min(1 - reach, 0), max(reach - 1, 0)) + reach
    return _related(query, key, value, key_table, value_table, mask, rows=rows)


@fault(
    relative_attention,
    breaks=distances_beyond_the_reach_share_the_last_row,
    kind="formula",
    repair="Clip: the last row stands for all that is farther.",
)
def has_no_row_beyond_the_reach(
    query: Array, key: Array, value: Array, key_table: Array, value_table: Array, mask: Mask
) -> Array:
    """Beyond k nothing is added at all."""

    def within(table: Array) -> Array:
        return np.pad(table, ((1, 1), (0, 0)))

    return _related(query, key, value, within(key_table), within(value_table), mask)


@law(seed=seeds)
def beyond_the_reach_order_is_lost(relative_attention: Implementation, inputs: Arguments, seed: int) -> Claim:
    """The first query does not notice when the keys from k on, all of them at distance k or beyond, change places."""
    reach, keys = len(inputs["key_table"]) // 2, inputs["key"].shape[2]
    near = min(reach, keys)
    order = np.concatenate([np.arange(near), near + np.random.default_rng(seed).permutation(keys - near)])
    mask = inputs["mask"]
    permuted = {
        **inputs,
        "key": inputs["key"][:, :, order],
        "value": inputs["value"][:, :, order],
        "mask": None if mask is None else mask[..., order],
    }
    return closely(relative_attention(**permuted)[:, :, 0], relative_attention(**inputs)[:, :, 0])


@fault(
    relative_attention,
    breaks=(
        the_row_of_a_pair_is_its_clipped_distance,
        distances_beyond_the_reach_share_the_last_row,
        beyond_the_reach_order_is_lost,
    ),
    kind="formula",
    repair="Clip to k first.",
)
def starts_again_beyond_the_reach(
    query: Array, key: Array, value: Array, key_table: Array, value_table: Array, mask: Mask
) -> Array:
    """Distances are not clipped, and indices beyond the table wrap around."""
    return _related(query, key, value, key_table, value_table, mask, rows=_lag(query, key) + len(key_table) // 2)


def _present(inputs: Arguments) -> Array:
    """Which rows of the tables some pair of positions uses. (2k + 1,)."""
    count = len(inputs["key_table"])
    return np.isin(np.arange(count), table_rows(inputs["query"].shape[2], inputs["key"].shape[2], count))


@law()
def rows_of_absent_distances_have_no_effect(relative_attention: Implementation, inputs: Arguments) -> Claim:
    """Rows for distances that no query and key have may hold anything."""
    absent = ~_present(inputs)
    other = {name: rewritten(inputs[name], absent, huge(inputs[name])) for name in ("key_table", "value_table")}
    return closely(relative_attention(**{**inputs, **other}), relative_attention(**inputs))


@law(needs=["gradient"], seed=seeds)
def rows_of_absent_distances_get_no_gradient(relative_attention: Implementation, inputs: Arguments, seed: int) -> Claim:
    """The gradient is exactly 0 for rows of distances that no query and key have."""
    absent = ~_present(inputs)
    cotangent = normal(seed, (*inputs["query"].shape[:3], inputs["value"].shape[3]), inputs["value"])
    gradient = relative_attention.gradient(cotangent, **inputs)
    found = np.concatenate([gradient[name][absent] for name in ("key_table", "value_table")], axis=1)
    return exactly(found, np.zeros_like(found))


@fault(
    relative_attention,
    breaks=(rows_of_absent_distances_have_no_effect, rows_of_absent_distances_get_no_gradient),
    kind="formula",
    repair="Use rows as they are.",
)
def centres_the_value_table(
    query: Array, key: Array, value: Array, key_table: Array, value_table: Array, mask: Mask
) -> Array:
    """The mean of all rows is taken off the value table, absent distances included."""
    centred = value_table - np.mean(value_table, axis=0)
    return _related(query, key, value, key_table, centred, mask)


def _plain(inputs: Arguments) -> Arguments:
    """What attention without positions takes of it."""
    return {name: inputs[name] for name in ("query", "key", "value", "mask")}


@law()
def tables_of_zeros_give_plain_attention(
    relative_attention: Implementation, scaled_dot_product_attention: Implementation, inputs: Arguments
) -> Claim:
    """With nothing in the tables, relative attention is attention."""
    empty = {name: np.zeros_like(inputs[name]) for name in ("key_table", "value_table")}
    return closely(relative_attention(**{**inputs, **empty}), scaled_dot_product_attention(**_plain(inputs)))


@fault(
    relative_attention,
    breaks=(beyond_the_reach_order_is_lost, tables_of_zeros_give_plain_attention),
    kind="formula",
    repair="Leave it out.",
)
def weighs_far_keys_less(
    query: Array, key: Array, value: Array, key_table: Array, value_table: Array, mask: Mask
) -> Array:
    """A bias by distance is added to the scores on top of the tables."""
    bias = (np.abs(_lag(query, key)) / -4).astype(query.dtype)
    return _related(query, key, value, key_table, value_table, mask, bias=bias)


@law()
def equal_rows_for_keys_have_no_effect(relative_attention: Implementation, inputs: Arguments) -> Claim:
    """A key table whose rows are all the same adds one number to all scores of a query, which the softmax ignores."""
    table = inputs["key_table"]
    level = {**inputs, "key_table": np.broadcast_to(table[:1], table.shape)}
    return closely(relative_attention(**level), relative_attention(**{**inputs, "key_table": np.zeros_like(table)}))


@fault(
    relative_attention,
    breaks=(a_score_adds_the_query_times_the_row_of_the_pair, equal_rows_for_keys_have_no_effect),
    kind="scale",
    repair="Add it to the key.",
)
def adds_the_rows_to_the_queries(
    query: Array, key: Array, value: Array, key_table: Array, value_table: Array, mask: Mask
) -> Array:
    """The row is added to the query and multiplied by the key."""
    rows = table_rows(query.shape[2], key.shape[2], len(key_table))
    relative = np.sum(key[:, :, None] * key_table[rows], axis=-1)
    return _related(query, key, value, key_table, value_table, mask, relative=relative)


@law()
def equal_rows_for_values_are_added_as_they_are(relative_attention: Implementation, inputs: Arguments) -> Claim:
    """Weights sum to 1, so a value table whose rows are all the same adds that row to every result."""
    table = inputs["value_table"]
    level = {**inputs, "value_table": np.broadcast_to(table[:1], table.shape)}
    bare = relative_attention(**{**inputs, "value_table": np.zeros_like(table)})
    return closely(relative_attention(**level), bare + asbounded(table)[0])


@fault(
    relative_attention,
    breaks=(tables_of_zeros_give_plain_attention, equal_rows_for_values_are_added_as_they_are),
    kind="formula",
    repair="It has to run over the keys, the last axis of the scores.",
    seen="https://github.com/labmlai/annotated_deep_learning_paper_implementations/issues/146",
)
def weighs_queries_against_each_other(
    query: Array, key: Array, value: Array, key_table: Array, value_table: Array, mask: Mask
) -> Array:
    """The softmax runs over the queries."""
    return _related(query, key, value, key_table, value_table, mask, axis=-2)


@law()
def a_reach_of_0_is_attention_plus_the_value_row(
    relative_attention: Implementation, scaled_dot_product_attention: Implementation, inputs: Arguments
) -> Claim:
    """With k = 0 all pairs share one row: that of the keys has no effect, and that of the values is added."""
    row = {name: inputs[name][:1] for name in ("key_table", "value_table")}
    attended = scaled_dot_product_attention(**_plain(inputs))
    return closely(relative_attention(**{**inputs, **row}), attended + asbounded(row["value_table"]))


@fault(
    relative_attention,
    breaks=(
        equal_rows_for_values_are_added_as_they_are,
        a_reach_of_0_is_attention_plus_the_value_row,
        the_row_of_a_pair_is_its_clipped_distance,
    ),
    kind="formula",
    repair="Add those of the value table to the values.",
)
def forgets_the_value_table(
    query: Array, key: Array, value: Array, key_table: Array, value_table: Array, mask: Mask
) -> Array:
    """Rows are added to the keys only."""
    return _related(query, key, value, key_table, np.zeros_like(value_table), mask)


@law(inputs=related_states(square=True))
def reversed_tables_read_the_reversed_sequence(relative_attention: Implementation, inputs: Arguments) -> Claim:
    """Backwards, with the tables upside down, the same results come out backwards."""
    mask = inputs["mask"]
    backwards = {
        **{name: inputs[name][:, :, ::-1] for name in ("query", "key", "value")},
        **{name: inputs[name][::-1] for name in ("key_table", "value_table")},
        "mask": None if mask is None else mask[..., ::-1, ::-1],
    }
    return closely(relative_attention(**backwards), relative_attention(**inputs)[:, :, ::-1])


@fault(
    relative_attention,
    breaks=(*ROWS_BROKEN, reversed_tables_read_the_reversed_sequence),
    kind="formula",
    repair="Keep the sign.",
    seen="https://github.com/espnet/espnet/pull/2816",
)
def knows_no_direction(
    query: Array, key: Array, value: Array, key_table: Array, value_table: Array, mask: Mask
) -> Array:
    """The row is that of |j - i|, so that before and after look the same."""
    reach = len(key_table) // 2
    rows = np.minimum(np.abs(_lag(query, key)), reach) + reach
    return _related(query, key, value, key_table, value_table, mask, rows=rows)


def _allowed(inputs: Arguments) -> Array:
    """The mask, all of it where there is none. (B, H, T, S) bool."""
    if inputs["mask"] is not None:
        return inputs["mask"]
    return np.ones((*inputs["query"].shape[:3], inputs["key"].shape[2]), bool)


@law(shift=st.integers(1, 5), seed=seeds)
def a_sequence_may_stand_anywhere(
    relative_attention: Implementation, inputs: Arguments, shift: int, seed: int
) -> Claim:
    """Behind any number of positions that it may not look at, a sequence gives what it gives at the beginning."""
    seen = _allowed(inputs)
    moved = {
        name: np.concatenate([normal(seed, (*x.shape[:2], shift, x.shape[3]), x), x], axis=2)
        for name, x in inputs.items()
        if name in ("query", "key", "value")
    }
    mask = np.pad(seen, ((0, 0), (0, 0), (shift, 0), (shift, 0)))
    result = relative_attention(**{**inputs, **moved, "mask": mask})
    return closely(result[:, :, shift:], relative_attention(**inputs))


@fault(
    relative_attention,
    breaks=(a_sequence_may_stand_anywhere, *ROWS_BROKEN),
    kind="formula",
    repair="Take the distance between the two.",
    seen="https://github.com/lucidrains/lambda-networks/pull/25",
)
def takes_the_key_s_own_position(
    query: Array, key: Array, value: Array, key_table: Array, value_table: Array, mask: Mask
) -> Array:
    """The row is that of the key's place, whichever query asks."""
    reach = len(key_table) // 2
    rows = np.broadcast_to(np.minimum(np.arange(key.shape[2]), reach) + reach, (query.shape[2], key.shape[2]))
    return _related(query, key, value, key_table, value_table, mask, rows=rows)


@law(surplus=st.integers(1, 5), seed=seeds)
def hidden_keys_bring_no_rows_along(
    relative_attention: Implementation, inputs: Arguments, surplus: int, seed: int
) -> Claim:
    """Keys that no query may look at leave no trace, neither by what they hold nor by their distance."""
    key, value = inputs["key"], inputs["value"]
    shapes = ((*x.shape[:2], surplus, x.shape[3]) for x in (key, value))
    further = {
        "key": np.concatenate([key, normal(seed, next(shapes), key, 100)], axis=2),
        "value": np.concatenate([value, np.full(next(shapes), huge(value), value.dtype)], axis=2),
        "mask": np.pad(_allowed(inputs), ((0, 0), (0, 0), (0, 0), (0, surplus))),
    }
    return closely(relative_attention(**{**inputs, **further}), relative_attention(**inputs))


@fault(
    relative_attention,
    breaks=hidden_keys_bring_no_rows_along,
    kind="formula",
    repair="Fill with -inf.",
    seen="https://github.com/google/flax/issues/982",
)
def fills_with_a_small_constant(
    query: Array, key: Array, value: Array, key_table: Array, value_table: Array, mask: Mask
) -> Array:
    """Masked scores are set to -20, which does not make their weights 0."""
    return _related(query, key, value, key_table, value_table, mask, fill=-20.0)


@law(head=st.integers(0, 9))
def every_head_uses_the_same_tables(relative_attention: Implementation, inputs: Arguments, head: int) -> Claim:
    """Each head comes out as if it had been alone with the tables."""
    chosen = head % inputs["query"].shape[1]
    alone = {name: x[:, chosen : chosen + 1] for name, x in _plain(inputs).items() if x is not None}
    return closely(relative_attention(**{**inputs, **alone}), relative_attention(**inputs)[:, chosen : chosen + 1])


@fault(
    relative_attention,
    breaks=every_head_uses_the_same_tables,
    kind="formula",
    repair="All heads share them.",
)
def turns_the_tables_for_every_head(
    query: Array, key: Array, value: Array, key_table: Array, value_table: Array, mask: Mask
) -> Array:
    """Head h reads the tables h rows further on."""
    rows = table_rows(query.shape[2], key.shape[2], len(key_table)) + np.arange(query.shape[1])[:, None, None]
    rows = np.broadcast_to(rows, (*query.shape[:3], key.shape[2]))
    return _related(query, key, value, key_table, value_table, mask, rows=rows)


@fault(
    relative_attention,
    breaks=(
        tables_of_zeros_give_plain_attention,
        a_score_adds_the_query_times_the_row_of_the_pair,
        every_head_uses_the_same_tables,
    ),
    kind="scale",
    repair="Divide by the root of the head width d.",
    seen="https://github.com/upskyy/Squeezeformer/issues/1",
)
def scales_by_the_width_of_all_heads(
    query: Array, key: Array, value: Array, key_table: Array, value_table: Array, mask: Mask
) -> Array:
    """Scores are divided by the root of the model width H d."""
    scale = (query.shape[1] * query.shape[3]) ** -0.5
    return _related(query, key, value, key_table, value_table, mask, scale=scale)


@law(inputs=blind_states())
def a_query_that_sees_nothing_gets_no_rows(relative_attention: Implementation, inputs: Arguments) -> Claim:
    """Where the mask allows no key the result is 0, no row of the value table included, and other queries do not
    notice.
    """
    blind = ~inputs["mask"].any(axis=-1)
    result = relative_attention(**inputs)
    others = relative_attention(**{**inputs, "mask": inputs["mask"] | blind[..., None]})
    return all_of(
        exactly(result.value[blind], np.zeros_like(result.value[blind])), closely(result[~blind], others[~blind])
    )


@fault(
    relative_attention,
    breaks=(hidden_keys_bring_no_rows_along, a_query_that_sees_nothing_gets_no_rows),
    kind="formula",
    repair="Use the same weights for both.",
)
def masks_the_values_only(
    query: Array, key: Array, value: Array, key_table: Array, value_table: Array, mask: Mask
) -> Array:
    """The value table gets equal weights for all keys, hidden ones included."""
    return _related(
        query,
        key,
        value,
        key_table,
        value_table,
        mask,
        shares=lambda weights: np.ones_like(weights) / float(key.shape[2]),
    )


@law(inputs=blind_states(), needs=["gradient"])
def a_query_that_sees_nothing_spoils_no_table(relative_attention: Implementation, inputs: Arguments) -> Claim:
    """All gradients are finite, also where some query sees nothing, and that query's own gradient is 0."""
    blind = ~inputs["mask"].any(axis=-1)
    cotangent = np.ones((*inputs["query"].shape[:3], inputs["value"].shape[3]), inputs["value"].dtype)
    gradient = relative_attention.gradient(cotangent, **inputs)
    finite = np.array([np.isfinite(x).all() for x in gradient.values()])
    own = gradient["query"][blind]
    return all_of(exactly(finite, np.ones(finite.shape, bool)), exactly(own, np.zeros_like(own)))


@fault(
    relative_attention,
    breaks=(a_query_that_sees_nothing_gets_no_rows, a_query_that_sees_nothing_spoils_no_table),
    kind="gradient",
    repair="Give such rows weights 0.",
    seen="https://github.com/pytorch/pytorch/issues/103749",
)
def divides_nothing_by_nothing(
    query: Array, key: Array, value: Array, key_table: Array, value_table: Array, mask: Mask
) -> Array:
    """The softmax of a row without keys is 0 / 0, not a number, and so are the gradients."""
    blind = False if mask is None else ~mask.any(axis=-1, keepdims=True)
    result = _related(query, key, value, key_table, value_table, mask)
    return result * np.where(blind, np.nan, 1.0).astype(result.dtype)


@law(inputs=telling_states(), examples=20)
def a_table_without_a_middle_is_refused(relative_attention: Implementation, inputs: Arguments) -> Claim:
    """Distances run from -k to k: a table has an odd number of rows."""
    even = {name: np.concatenate([inputs[name], inputs[name][:1]]) for name in ("key_table", "value_table")}
    return refused(relative_attention, "key_table", {**inputs, **even})


@fault(
    relative_attention,
    breaks=a_table_without_a_middle_is_refused,
    kind="boundary",
    repair="Refuse it.",
)
def drops_the_last_row(
    query: Array, key: Array, value: Array, key_table: Array, value_table: Array, mask: Mask
) -> Array:
    """The last of an even number of rows is dropped in silence."""
    odd = len(key_table) - (len(key_table) + 1) % 2
    return _related(query, key, value, key_table[:odd], value_table[:odd], mask)


@law(inputs=telling_states(), examples=20)
def tables_of_different_reach_are_refused(relative_attention: Implementation, inputs: Arguments) -> Claim:
    """Keys and values have the same distances."""
    longer = np.pad(inputs["value_table"], ((1, 1), (0, 0)))
    return refused(relative_attention, "value_table", {**inputs, "value_table": longer})


@fault(
    relative_attention,
    breaks=tables_of_different_reach_are_refused,
    kind="formula",
    repair="Compare the lengths.",
)
def clips_each_table_by_itself(
    query: Array, key: Array, value: Array, key_table: Array, value_table: Array, mask: Mask
) -> Array:
    """A table of the other's reach or more is cut to its middle in silence."""
    more = max(len(value_table) - len(key_table), 0) // 2
    return _related(query, key, value, key_table, value_table[more : len(value_table) - more], mask)


@law(inputs=telling_states(), examples=20)
def tables_of_another_width_are_refused(relative_attention: Implementation, inputs: Arguments) -> Claim:
    """Rows are as wide as what they are added to: one number more is too many, even beside a width of 1."""
    wide = {name: np.concatenate([inputs[name], inputs[name][:, :1]], axis=1) for name in ("key_table", "value_table")}
    return all_of(
        *(refused(relative_attention, name, {**inputs, name: wide[name]}) for name in ("key_table", "value_table"))
    )


@fault(
    relative_attention,
    breaks=tables_of_another_width_are_refused,
    kind="formula",
    repair="Compare the widths.",
)
def reads_the_columns_that_fit(
    query: Array, key: Array, value: Array, key_table: Array, value_table: Array, mask: Mask
) -> Array:
    """Columns that keys or values lack are left out in silence."""
    return _related(query, key, value, key_table[:, : query.shape[3]], value_table[:, : value.shape[3]], mask)


@law(inputs=telling_states(), examples=20)
def a_mask_of_another_shape_is_refused_by_relative_attention(
    relative_attention: Implementation, inputs: Arguments
) -> Claim:
    """A mask says something of every pair, and of no others."""
    wide = np.pad(_allowed(inputs), ((0, 0), (0, 0), (0, 0), (0, 1)))
    return refused(relative_attention, "mask", {**inputs, "mask": wide})


@fault(
    relative_attention,
    breaks=a_mask_of_another_shape_is_refused_by_relative_attention,
    kind="mask",
    repair="Compare the shapes.",
)
def cuts_the_mask(query: Array, key: Array, value: Array, key_table: Array, value_table: Array, mask: Mask) -> Array:
    """A mask for more keys than there are is cut off in silence."""
    return _related(query, key, value, key_table, value_table, None if mask is None else mask[..., : key.shape[2]])


@law(inputs=telling_states(), examples=20)
def relative_attention_refuses_keys_without_values(relative_attention: Implementation, inputs: Arguments) -> Claim:
    """Every key has a value."""
    longer = np.concatenate([inputs["key"], inputs["key"]], axis=2)
    return refused(relative_attention, "value", {**inputs, "key": longer, "mask": None})


@fault(
    relative_attention,
    breaks=relative_attention_refuses_keys_without_values,
    kind="boundary",
    repair="Compare the lengths.",
)
def leaves_out_keys_without_values(
    query: Array, key: Array, value: Array, key_table: Array, value_table: Array, mask: Mask
) -> Array:
    """Keys beyond the last value are left out in silence."""
    return _related(query, key[:, :, : value.shape[2]], value, key_table, value_table, mask)


def _relative_cost(B: int, H: int, T: int, d: int, k: int) -> Cost:
    """Two products of all pairs of positions, and two with the tables' rows, which all pairs of a distance share."""
    rows = 2 * k + 1
    return Cost(flops=4 * B * H * T * (T + rows) * d, moved=4 * B * H * T * d + 2 * rows * d)


@workload(
    relative_attention,
    sizes={"B": 8, "H": 8, "T": 512, "d": 64, "k": 16},
    cost=_relative_cost,
    grows={"T": (128, 256, 1024)},
    gradient=True,
)
def relative_self_attention(random: np.random.Generator, B: int, H: int, T: int, d: int, k: int) -> Arguments:
    """The heads of the base Transformer with relative positions clipped at 16, over 8 sentences of 512 (Shaw et al.
    2018, section 4.1 and table 2).
    """
    query, key, value = (random.standard_normal((B, H, T, d)) for _ in range(3))
    key_table, value_table = (random.standard_normal((2 * k + 1, d)) / 4 for _ in range(2))
    return {
        "query": query,
        "key": key,
        "value": value,
        "key_table": key_table,
        "value_table": value_table,
        "mask": None,
    }
