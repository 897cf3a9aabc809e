"""Telling order: attention sees a set, and positions have to be brought in.

Note of 2021-10-27. Attention compares contents and adds up values, so that nothing in it says which token came first
(Vaswani et al., Attention Is All You Need, 2017, section 3.5). Three ways to bring order in: a learned row per
position, added to the token (Gehring, Auli, Grangier, Yarats, Dauphin, Convolutional Sequence to Sequence Learning,
2017, section 3.1); a fixed row of sines and cosines in its place; or a learned row per distance between two tokens,
added to the key and to the value of every pair (Shaw, Uszkoreit, Vaswani, Self-Attention with Relative Position
Representations, 2018, section 3). A causal mask tells order, too, and so do recurrence and convolutions wider than 1.

Claimed: without any of these self-attention is equivariant under permutations, and attention to a source does not
depend on the source's order; each of them ends that; relative attention depends on distances only, and tells none
beyond k apart. Not claimed: which way is the best.

Conventions. Row r of a table of 2k + 1 rows belongs to the distance r - k, and the distance is the key's position minus
the query's: positive where the key comes later. Both positions are counted from 0, also where there are more keys than
queries; tensor2tensor lines the last query up with the last key there, as a decoder with a cache has to. The tables are
shared by all heads and scaled with the keys. Hugging Face's BERT with "relative_key" takes query minus key, has no
table for values, and does not clip: a sequence longer than its table is an error
(https://github.com/huggingface/transformers/issues/17026). Many models multiply the tokens by the root of their width
before they add positions; here they do not.

Erratum. Self-attention is often called insensitive to order. It is equivariant: permuted tokens give permuted results.
Insensitive is what pools its results over all positions, and attention to a source whose order changes. Shown by
equivariant_is_not_insensitive, self_attention_without_positions_is_equivariant and
the_order_of_a_source_does_not_matter.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from layerlaws import Claim, Cost, all_of, asbounded, closely, differ, exactly, fault, law, operation, refused, workload
from layerlaws.language import strategies as st
from layerlaws.language.inputs import PLAIN, TEXTURES, arrays, extents, huge, masks, normal, rewritten, seeds
from layerlaws.notes.conv_s2s import encoder_convolution
from layerlaws.notes.masked_attention import masked_self_attention
from layerlaws.notes.multi_head_attention import multi_head_attention, projected_states, scaled_dot_product_attention
from layerlaws.notes.rnn_language_model import rnn_language_model
from layerlaws.notes.sinusoidal_positions import sinusoidal_positions
from layerlaws.numerics.mathematics import require, root, softmax
from layerlaws.numerics.reverse_mode import constant

# --- inputs ---------------------------------------------------------------------------------------------------


@st.composite
def sequences(draw: st.DrawFn) -> dict[str, Any]:
    """A batch of sequences and a table that may have more rows than they have positions."""
    batch, length, width, spare = draw(extents(4, edges=(0, 1, 2, 3)))
    x, table = draw(arrays((batch, length, width), (length + spare - 1, width)))
    return {"x": x, "table": table}


@st.composite
def related_states(
    draw: st.DrawFn, textures: tuple[str, ...] = tuple(TEXTURES), square: bool = False
) -> dict[str, Any]:
    """Queries, keys, values, tables of any reach from 0 and, mostly, a mask; every query may look somewhere.

    square: as many keys as queries.
    """
    batch, heads, queries, keys, width, value_width, reach = draw(extents(7, edges=(2, 3, 4, 5, 6)))
    keys, rows = queries if square else keys, 2 * reach - 1
    query, key, value, key_table, value_table = draw(
        arrays(
            (batch, heads, queries, width), (batch, heads, keys, width), (batch, heads, keys, value_width),
            (rows, width), (rows, value_width), textures=textures,
        )
    )  # fmt: skip
    mask = draw(st.one_of(st.none(), masks((batch, heads, queries, keys), empty_rows=False)))
    return {"query": query, "key": key, "value": value, "key_table": key_table, "value_table": value_table,
            "mask": mask}  # fmt: skip


# --- definitions ----------------------------------------------------------------------------------------------


@operation(inputs=sequences(), batch=("x",), differentiable=True)
def learned_positions(x: Any, table: Any) -> Any:
    """x + table[:T]: row p of the table is added to position p of every sequence.

    x (B, T, D), table (P, D), P >= T  ->  (B, T, D)
    """
    length, (positions, width) = x.shape[1], table.shape
    require(length <= positions, f"table has {positions} rows, fewer than {length} positions")
    require(width == x.shape[2], f"table is {width} wide, x {x.shape[2]}")
    return x + table[:length]


@operation(inputs=related_states(), batch=("query", "key", "value", "mask"), differentiable=True)
def relative_attention(query: Any, key: Any, value: Any, key_table: Any, value_table: Any, mask: Any) -> Any:
    """sum over j of a_ij (value_j + value_table_r), a_i = softmax(query_i . (key_j + key_table_r) / sqrt(d)) over the
    keys that the mask allows, r = min(max(j - i, -k), k) + k; 0 where it allows none.

    query (B, H, T, d), key (B, H, S, d), value (B, H, S, e), key_table (2k + 1, d), value_table (2k + 1, e),
    mask (B, H, T, S) bool, True: may look, or None  ->  (B, H, T, e)
    """
    _fits(query, key, value, key_table, value_table, mask)
    pairs = (*query.shape[:3], key.shape[2])  # (B, H, T, S)
    rows = table_rows(pairs[2], pairs[3], len(key_table))

    def beside(content: Any, table: Any, axis: int) -> Any:
        """What a pair has by its content and by its distance: the terms of one sum, which has any order."""
        shape = (*pairs, table.shape[1])
        both = (np.broadcast_to(x, shape) for x in (content[:, :, None], table[rows]))
        return np.concatenate(list(both), axis=axis)

    twice = np.concatenate([query, query], axis=-1)[..., None]
    scores = (beside(key, key_table, -1) @ twice)[..., 0] / root(query.shape[3])
    weights = softmax(scores, where=True if mask is None else mask)
    shares = np.concatenate([weights, weights], axis=-1)[..., None, :]
    return (shares @ beside(value, value_table, -2))[..., 0, :]


def table_rows(queries: int, keys: int, rows: int) -> Any:
    """Which of the 2k + 1 rows belongs to which pair: the clipped distance, plus k. (T, S)."""
    reach = rows // 2
    return np.clip(distances(queries, keys), -reach, reach) + reach


def distances(queries: int, keys: int) -> Any:
    """By how much key j comes after query i. (T, S)."""
    return np.arange(keys) - np.arange(queries)[:, None]


def _fits(query: Any, key: Any, value: Any, key_table: Any, value_table: Any, mask: Any) -> None:
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


# --- inputs of single laws ------------------------------------------------------------------------------------


@st.composite
def tokens(draw: st.DrawFn) -> dict[str, Any]:
    """At least two tokens, all different, of few numbers; sequences enough that what changes shows in one of them."""
    batch, length = draw(extents(2, least=2))
    width = draw(st.integers(2, 3))
    return {"x": draw(arrays((8 * batch, length, width), textures=("normal",)))}


@st.composite
def telling_states(draw: st.DrawFn) -> dict[str, Any]:
    """Numbers of one size, and scores near each other: no weight vanishes."""
    states = draw(related_states(textures=PLAIN))
    return {**states, "query": states["query"] / 4}


@st.composite
def blind_states(draw: st.DrawFn) -> dict[str, Any]:
    """Some queries may look nowhere."""
    states = draw(related_states(textures=PLAIN))
    mask = draw(masks((*states["query"].shape[:3], states["key"].shape[2])))
    return {**states, "mask": mask & draw(masks((*mask.shape[:3], 1)))}


turns = st.integers(1, 9)
"""By how many places, at the least, a sequence is turned."""


def _turned(length: int, turn: int) -> Any:
    """An order of at least two places in which none stays where it was."""
    return np.roll(np.arange(length), 1 + turn % (length - 1))


def _order_shows(layer: Any, operations: tuple[Any, ...], x: Any, order: Any) -> Claim:
    """Permuted tokens do not give the permuted results. layer: of the operations and the tokens (B, T, D)."""

    def results(*calls: Any) -> tuple[Any, Any]:
        return layer(*calls, x[:, order]), layer(*calls, x)[:, order]

    return differ(*results(*operations), expected=results(*(o.definition for o in operations)))


def _to_itself(attend: Any, x: Any, **others: Any) -> Any:
    """x plus self-attention of one head, whose scores are kept small: what changes is not lost to rounding.

    (B, T, D) -> (B, T, D)
    """
    head = x[:, None]
    return x + attend(query=head * 0.0625, key=head, value=head, **others)[:, 0]


# --- laws: order without positions ----------------------------------------------------------------------------


@law(inputs=projected_states(), examples=50, seed=seeds)
def self_attention_without_positions_is_equivariant(
    multi_head_attention: Any, inputs: dict[str, Any], seed: int
) -> Claim:
    """Permuted tokens give permuted results, and weights permuted on both sides."""

    def attended(x: Any) -> Any:
        return multi_head_attention(**{**inputs, "query": x, "key": x, "value": x, "mask": None})

    x = inputs["key"]
    order = np.random.default_rng(seed).permutation(x.shape[1])
    output, weights = attended(x)
    return closely(attended(x[:, order]), (output[:, order], weights[:, :, order][..., order]))


@law(inputs=projected_states(), seed=seeds)
def the_order_of_a_source_does_not_matter(multi_head_attention: Any, inputs: dict[str, Any], seed: int) -> Claim:
    """Attention to a source gives the same output for every order of the source; its weights are permuted with it."""
    source, mask = inputs["key"], inputs["mask"]
    order = np.random.default_rng(seed).permutation(source.shape[1])
    permuted = {"key": source[:, order], "value": source[:, order], "mask": None if mask is None else mask[..., order]}
    output, weights = multi_head_attention(**{**inputs, "value": source})
    return closely(multi_head_attention(**{**inputs, **permuted}), (output, weights[..., order]))


@law(inputs=tokens(), examples=50, turn=turns)
def equivariant_is_not_insensitive(scaled_dot_product_attention: Any, x: Any, turn: int) -> Claim:
    """Erratum. The order of the tokens shows in the results, which move with them; it is gone once results are pooled
    over all positions.
    """
    order = _turned(x.shape[1], turn)

    def results(attend: Any) -> list[Any]:
        heads = x[:, None], x[:, None, order]
        return [attend(query=head * 0.5, key=head, value=head, mask=None)[:, 0] for head in heads]

    one, other = results(scaled_dot_product_attention)
    before, after = results(scaled_dot_product_attention.definition)
    return all_of(
        differ(one, other, expected=(before, after)),
        closely(np.mean(one, axis=1), np.mean(other, axis=1)),
    )


# --- laws: what tells order -----------------------------------------------------------------------------------


@law(inputs=tokens(), examples=50, turn=turns, seed=seeds)
def learned_positions_tell_order(
    learned_positions: Any, scaled_dot_product_attention: Any, x: Any, turn: int, seed: int
) -> Claim:
    """With learned positions added to the tokens, a layer of self-attention is no longer equivariant."""
    table = normal(seed, x.shape[1:], x)

    def layer(add: Any, attend: Any, x: Any) -> Any:
        return _to_itself(attend, add(x=x, table=table), mask=None)

    return _order_shows(layer, (learned_positions, scaled_dot_product_attention), x, _turned(x.shape[1], turn))


@law(inputs=tokens(), examples=50, turn=turns)
def sinusoidal_positions_tell_order(
    sinusoidal_positions: Any, scaled_dot_product_attention: Any, x: Any, turn: int, format: Any
) -> Claim:
    """With sinusoidal positions added to the tokens, a layer of self-attention is no longer equivariant."""

    def layer(encode: Any, attend: Any, x: Any) -> Any:
        rows = encode(positions=np.arange(x.shape[1]), width=x.shape[2], dtype=format.name)
        return _to_itself(attend, x + rows, mask=None)

    return _order_shows(layer, (sinusoidal_positions, scaled_dot_product_attention), x, _turned(x.shape[1], turn))


@law(inputs=tokens(), examples=50, turn=turns, seed=seeds, reach=st.integers(1, 3))
def relative_positions_tell_order(relative_attention: Any, x: Any, turn: int, seed: int, reach: int) -> Claim:
    """With rows by distance, a layer of self-attention is no longer equivariant."""
    rows = (2 * reach + 1, x.shape[2])
    key_table, value_table = normal(seed, rows, x), normal(seed + 1, rows, x, 4)

    def layer(attend: Any, x: Any) -> Any:
        return _to_itself(attend, x, key_table=key_table, value_table=value_table, mask=None)

    return _order_shows(layer, (relative_attention,), x, _turned(x.shape[1], turn))


@law(inputs=tokens(), examples=50, turn=turns)
def a_causal_mask_tells_order(masked_self_attention: Any, x: Any, turn: int) -> Claim:
    """Under a causal mask a layer of self-attention is not equivariant, without any positions."""
    return _order_shows(_to_itself, (masked_self_attention,), x, _turned(x.shape[1], turn))


@law(inputs=tokens(), examples=50, turn=turns)
def a_recurrent_network_tells_order(rnn_language_model: Any, x: Any, turn: int) -> Claim:
    """The same words in another order leave a recurrent network, which has no positions, in another state."""
    x = x[:4]  # every token of all sequences is a word of its own
    words, (length, width) = np.arange(x.shape[0] * x.shape[1]), x.shape[1:]
    eye, nothing = np.eye(width).astype(x.dtype), np.zeros(width, x.dtype)
    network = {
        "state": np.zeros((len(x), width), x.dtype), "token_table": x.reshape(-1, width), "w_x": eye, "w_h": eye / 2,
        "b_h": nothing, "w_out": np.zeros((width, len(words)), x.dtype), "b_out": np.zeros(len(words), x.dtype),
    }  # fmt: skip
    texts = words.reshape(-1, length), words.reshape(-1, length)[:, _turned(length, turn)]

    def states(read: Any) -> list[Any]:
        return [read(tokens=text, **network)[1] for text in texts]

    one, other = states(rnn_language_model)
    before, after = states(rnn_language_model.definition)
    return differ(one, other, expected=(before, after))


@law(inputs=tokens(), seed=seeds, channels=st.integers(1, 5))
def a_pooled_convolution_of_width_1_does_not_tell_order(
    encoder_convolution: Any, x: Any, seed: int, channels: int
) -> Claim:
    """The greatest over all positions of a convolution of width 1 is the same for every order of the tokens."""
    order = np.random.default_rng(seed).permutation(x.shape[1])
    pool = _pooled(seed, x, 1, channels)
    return closely(pool(encoder_convolution, x[:, order]), pool(encoder_convolution, x))


@law(inputs=tokens(), seed=seeds, turn=turns)
def a_pooled_convolution_of_width_3_tells_order(encoder_convolution: Any, x: Any, seed: int, turn: int) -> Claim:
    """The greatest over all positions of a convolution of width 3 changes with the order of the tokens."""
    order, pool = _turned(x.shape[1], turn), _pooled(seed, x, 3, 8)

    def results(convolve: Any) -> tuple[Any, Any]:
        return pool(convolve, x), pool(convolve, x[:, order])

    return differ(*results(encoder_convolution), expected=results(encoder_convolution.definition))


def _pooled(seed: int, x: Any, width: int, channels: int) -> Any:
    """A convolution of this width, and the greatest result over all positions in each channel."""
    kernel, bias = normal(seed, (width, x.shape[2], channels), x), normal(seed + 1, (channels,), x)
    return lambda convolve, x: np.max(convolve(x=x, kernel=kernel, bias=bias), axis=1)


# --- laws: learned positions ----------------------------------------------------------------------------------


@law()
def zeros_bring_out_the_table(learned_positions: Any, x: Any, table: Any) -> Claim:
    """Added to tokens of zeros, the first T rows of the table come out, in order and the same in every sequence."""
    result = learned_positions(x=np.zeros_like(x), table=table)
    return closely(result, np.broadcast_to(table[: x.shape[1]], x.shape))


@law(seed=seeds)
def what_a_position_adds_does_not_depend_on_the_token(learned_positions: Any, x: Any, table: Any, seed: int) -> Claim:
    """Two sequences with positions differ by as much as the tokens do."""
    other = normal(seed, x.shape, x)
    difference = learned_positions(x=x, table=table) - learned_positions(x=other, table=table)
    return closely(difference, asbounded(x) - asbounded(other))


@law(cut=st.integers(0, 99))
def a_prefix_keeps_its_positions(learned_positions: Any, x: Any, table: Any, cut: int) -> Claim:
    """The first tokens come out the same whether or not others follow."""
    kept = 1 + cut % x.shape[1]
    whole = learned_positions(x=x, table=table)
    return closely(learned_positions(x=x[:, :kept], table=table), whole[:, :kept])


@law(seed=seeds)
def tokens_may_be_permuted_with_their_rows(learned_positions: Any, x: Any, table: Any, seed: int) -> Claim:
    """The position is in the table alone: tokens and rows permuted alike give the permuted results."""
    length = x.shape[1]
    order = np.random.default_rng(seed).permutation(length)
    permuted = rewritten(table, slice(length), table[order])
    result = learned_positions(x=x[:, order], table=permuted)
    return closely(result, learned_positions(x=x, table=table)[:, order])


@law()
def rows_beyond_the_sequence_have_no_effect(learned_positions: Any, x: Any, table: Any) -> Claim:
    """Rows from T on may hold anything."""
    other = rewritten(table, slice(x.shape[1], None), huge(table))
    return closely(learned_positions(x=x, table=other), learned_positions(x=x, table=table))


@law(needs=["gradient"], seed=seeds)
def rows_beyond_the_sequence_get_no_gradient(learned_positions: Any, x: Any, table: Any, seed: int) -> Claim:
    """The gradient is exactly 0 for the rows from T on, and the sum over the batch for the others."""
    cotangent = normal(seed, x.shape, x)
    gradient = learned_positions.gradient(cotangent, x=x, table=table)["table"]
    used, unused = gradient[: x.shape[1]], gradient[x.shape[1] :]
    return all_of(closely(used, asbounded(cotangent).sum(axis=0)), exactly(unused, np.zeros_like(unused)))


@law(examples=20)
def a_sequence_longer_than_the_table_is_refused(learned_positions: Any, x: Any, table: Any) -> Claim:
    """A learned table ends: positions beyond it have no row."""
    return refused(learned_positions, "table", {"x": x, "table": table[: x.shape[1] - 1]})


@law(examples=20)
def positions_of_another_width_are_refused(learned_positions: Any, x: Any, table: Any) -> Claim:
    """Rows are as wide as tokens: one number more is too many, even for tokens of one number."""
    return refused(learned_positions, "table", {"x": x, "table": np.concatenate([table, table[:, :1]], axis=1)})


# --- laws: which row a pair gets ------------------------------------------------------------------------------


@law()
def the_row_of_a_pair_is_its_clipped_distance(relative_attention: Any, query: Any, key: Any, key_table: Any) -> Claim:
    """A table of values that holds its own distances -k to k, read with equal weights, gives the mean of j - i over
    all j, each clipped to k.
    """
    keys, reach = key.shape[2], len(key_table) // 2
    own = np.arange(-reach, reach + 1)[:, None].astype(query.dtype)
    result = relative_attention(
        query=np.zeros_like(query), key=key, value=np.zeros_like(key[..., :1]), key_table=key_table, value_table=own,
        mask=None,
    )  # fmt: skip
    total = np.clip(distances(query.shape[2], keys), -reach, reach).sum(axis=1)[:, None]
    return closely(result * keys, np.broadcast_to(total, result.shape))


@law(inputs=telling_states())
def a_score_adds_the_query_times_the_row_of_the_pair(
    relative_attention: Any, query: Any, key: Any, key_table: Any
) -> Claim:
    """log(w_ij / w_i0) is the difference of query_i . (key_j + row) / sqrt(d) between the pairs; the weights are what
    comes out for one-hot values.
    """
    keys = key.shape[2]
    values = np.broadcast_to(np.eye(keys), (*key.shape[:2], keys, keys)).astype(query.dtype)
    logs = np.log(
        relative_attention(
            query=query, key=key, value=values, key_table=key_table,
            value_table=np.zeros((len(key_table), keys), query.dtype), mask=None,
        )
    )  # fmt: skip
    rows = key_table[table_rows(query.shape[2], keys, len(key_table))]  # (T, S, d)
    relative = (asbounded(query)[:, :, :, None] @ rows.swapaxes(-1, -2))[:, :, :, 0]
    scores = (asbounded(query) @ key.swapaxes(-1, -2) + relative) / root(query.shape[3])
    return closely(logs - logs[..., :1], scores - scores[..., :1])


@law(more=st.integers(1, 5))
def distances_beyond_the_reach_share_the_last_row(relative_attention: Any, inputs: dict[str, Any], more: int) -> Claim:
    """Both ends of both tables repeated any number of times change nothing: that is what clipping means."""
    longer = {name: np.pad(inputs[name], ((more, more), (0, 0)), mode="edge") for name in ("key_table", "value_table")}
    return closely(relative_attention(**{**inputs, **longer}), relative_attention(**inputs))


@law(seed=seeds)
def beyond_the_reach_order_is_lost(relative_attention: Any, inputs: dict[str, Any], seed: int) -> Claim:
    """The first query does not notice when the keys from k on, all of them at distance k or beyond, change places."""
    reach, keys = len(inputs["key_table"]) // 2, inputs["key"].shape[2]
    near = min(reach, keys)
    order = np.concatenate([np.arange(near), near + np.random.default_rng(seed).permutation(keys - near)])
    mask = inputs["mask"]
    permuted = {**inputs, "key": inputs["key"][:, :, order], "value": inputs["value"][:, :, order],
                "mask": None if mask is None else mask[..., order]}  # fmt: skip
    return closely(relative_attention(**permuted)[:, :, 0], relative_attention(**inputs)[:, :, 0])


@law()
def rows_of_absent_distances_have_no_effect(relative_attention: Any, inputs: dict[str, Any]) -> Claim:
    """Rows for distances that no query and key have may hold anything."""
    absent = ~_present(inputs)
    other = {name: rewritten(inputs[name], absent, huge(inputs[name])) for name in ("key_table", "value_table")}
    return closely(relative_attention(**{**inputs, **other}), relative_attention(**inputs))


@law(needs=["gradient"], seed=seeds)
def rows_of_absent_distances_get_no_gradient(relative_attention: Any, inputs: dict[str, Any], seed: int) -> Claim:
    """The gradient is exactly 0 for rows of distances that no query and key have."""
    absent = ~_present(inputs)
    cotangent = normal(seed, (*inputs["query"].shape[:3], inputs["value"].shape[3]), inputs["value"])
    gradient = relative_attention.gradient(cotangent, **inputs)
    found = np.concatenate([gradient[name][absent] for name in ("key_table", "value_table")], axis=1)
    return exactly(found, np.zeros_like(found))


def _present(inputs: dict[str, Any]) -> Any:
    """Which rows of the tables some pair of positions uses. (2k + 1,)."""
    count = len(inputs["key_table"])
    return np.isin(np.arange(count), table_rows(inputs["query"].shape[2], inputs["key"].shape[2], count))


# --- laws: relative attention ---------------------------------------------------------------------------------


def _plain(inputs: dict[str, Any]) -> dict[str, Any]:
    """What attention without positions takes of it."""
    return {name: inputs[name] for name in ("query", "key", "value", "mask")}


@law()
def tables_of_zeros_give_plain_attention(
    relative_attention: Any, scaled_dot_product_attention: Any, inputs: dict[str, Any]
) -> Claim:
    """With nothing in the tables, relative attention is attention."""
    empty = {name: np.zeros_like(inputs[name]) for name in ("key_table", "value_table")}
    return closely(relative_attention(**{**inputs, **empty}), scaled_dot_product_attention(**_plain(inputs)))


@law()
def equal_rows_for_keys_have_no_effect(relative_attention: Any, inputs: dict[str, Any]) -> Claim:
    """A key table whose rows are all the same adds one number to all scores of a query, which the softmax ignores."""
    table = inputs["key_table"]
    level = {**inputs, "key_table": np.broadcast_to(table[:1], table.shape)}
    return closely(relative_attention(**level), relative_attention(**{**inputs, "key_table": np.zeros_like(table)}))


@law()
def equal_rows_for_values_are_added_as_they_are(relative_attention: Any, inputs: dict[str, Any]) -> Claim:
    """Weights sum to 1, so a value table whose rows are all the same adds that row to every result."""
    table = inputs["value_table"]
    level = {**inputs, "value_table": np.broadcast_to(table[:1], table.shape)}
    bare = relative_attention(**{**inputs, "value_table": np.zeros_like(table)})
    return closely(relative_attention(**level), bare + asbounded(table)[0])


@law()
def a_reach_of_0_is_attention_plus_the_value_row(
    relative_attention: Any, scaled_dot_product_attention: Any, inputs: dict[str, Any]
) -> Claim:
    """With k = 0 all pairs share one row: that of the keys has no effect, and that of the values is added."""
    row = {name: inputs[name][:1] for name in ("key_table", "value_table")}
    attended = scaled_dot_product_attention(**_plain(inputs))
    return closely(relative_attention(**{**inputs, **row}), attended + asbounded(row["value_table"]))


@law(inputs=related_states(square=True))
def reversed_tables_read_the_reversed_sequence(relative_attention: Any, inputs: dict[str, Any]) -> Claim:
    """Backwards, with the tables upside down, the same results come out backwards."""
    mask = inputs["mask"]
    backwards = {
        **{name: inputs[name][:, :, ::-1] for name in ("query", "key", "value")},
        **{name: inputs[name][::-1] for name in ("key_table", "value_table")},
        "mask": None if mask is None else mask[..., ::-1, ::-1],
    }
    return closely(relative_attention(**backwards), relative_attention(**inputs)[:, :, ::-1])


@law(shift=st.integers(1, 5), seed=seeds)
def a_sequence_may_stand_anywhere(relative_attention: Any, inputs: dict[str, Any], shift: int, seed: int) -> Claim:
    """Behind any number of positions that it may not look at, a sequence gives what it gives at the beginning."""
    seen = _allowed(inputs)
    moved = {
        name: np.concatenate([normal(seed, (*x.shape[:2], shift, x.shape[3]), x), x], axis=2)
        for name, x in inputs.items() if name in ("query", "key", "value")
    }  # fmt: skip
    mask = np.pad(seen, ((0, 0), (0, 0), (shift, 0), (shift, 0)))
    result = relative_attention(**{**inputs, **moved, "mask": mask})
    return closely(result[:, :, shift:], relative_attention(**inputs))


@law(surplus=st.integers(1, 5), seed=seeds)
def hidden_keys_bring_no_rows_along(relative_attention: Any, inputs: dict[str, Any], surplus: int, seed: int) -> Claim:
    """Keys that no query may look at leave no trace, neither by what they hold nor by their distance."""
    key, value = inputs["key"], inputs["value"]
    shapes = ((*x.shape[:2], surplus, x.shape[3]) for x in (key, value))
    further = {
        "key": np.concatenate([key, normal(seed, next(shapes), key, 100)], axis=2),
        "value": np.concatenate([value, np.full(next(shapes), huge(value), value.dtype)], axis=2),
        "mask": np.pad(_allowed(inputs), ((0, 0), (0, 0), (0, 0), (0, surplus))),
    }
    return closely(relative_attention(**{**inputs, **further}), relative_attention(**inputs))


def _allowed(inputs: dict[str, Any]) -> Any:
    """The mask, all of it where there is none. (B, H, T, S) bool."""
    if inputs["mask"] is not None:
        return inputs["mask"]
    return np.ones((*inputs["query"].shape[:3], inputs["key"].shape[2]), bool)


@law(head=st.integers(0, 9))
def every_head_uses_the_same_tables(relative_attention: Any, inputs: dict[str, Any], head: int) -> Claim:
    """Each head comes out as if it had been alone with the tables."""
    chosen = head % inputs["query"].shape[1]
    alone = {name: x[:, chosen : chosen + 1] for name, x in _plain(inputs).items() if x is not None}
    return closely(relative_attention(**{**inputs, **alone}), relative_attention(**inputs)[:, chosen : chosen + 1])


@law(inputs=blind_states())
def a_query_that_sees_nothing_gets_no_rows(relative_attention: Any, inputs: dict[str, Any]) -> Claim:
    """Where the mask allows no key the result is 0, no row of the value table included, and other queries do not
    notice.
    """
    blind = ~inputs["mask"].any(axis=-1)
    result = relative_attention(**inputs)
    others = relative_attention(**{**inputs, "mask": inputs["mask"] | blind[..., None]})
    return all_of(
        exactly(result.value[blind], np.zeros_like(result.value[blind])), closely(result[~blind], others[~blind])
    )


@law(inputs=blind_states(), needs=["gradient"])
def a_query_that_sees_nothing_spoils_no_table(relative_attention: Any, inputs: dict[str, Any]) -> Claim:
    """All gradients are finite, also where some query sees nothing, and that query's own gradient is 0."""
    blind = ~inputs["mask"].any(axis=-1)
    cotangent = np.ones((*inputs["query"].shape[:3], inputs["value"].shape[3]), inputs["value"].dtype)
    gradient = relative_attention.gradient(cotangent, **inputs)
    finite = np.array([np.isfinite(x).all() for x in gradient.values()])
    own = gradient["query"][blind]
    return all_of(exactly(finite, np.ones(finite.shape, bool)), exactly(own, np.zeros_like(own)))


# --- laws: refusals -------------------------------------------------------------------------------------------


@law(inputs=telling_states(), examples=20)
def a_table_without_a_middle_is_refused(relative_attention: Any, inputs: dict[str, Any]) -> Claim:
    """Distances run from -k to k: a table has an odd number of rows."""
    even = {name: np.concatenate([inputs[name], inputs[name][:1]]) for name in ("key_table", "value_table")}
    return refused(relative_attention, "key_table", {**inputs, **even})


@law(inputs=telling_states(), examples=20)
def tables_of_different_reach_are_refused(relative_attention: Any, inputs: dict[str, Any]) -> Claim:
    """Keys and values have the same distances."""
    longer = np.pad(inputs["value_table"], ((1, 1), (0, 0)))
    return refused(relative_attention, "value_table", {**inputs, "value_table": longer})


@law(inputs=telling_states(), examples=20)
def tables_of_another_width_are_refused(relative_attention: Any, inputs: dict[str, Any]) -> Claim:
    """Rows are as wide as what they are added to: one number more is too many, even beside a width of 1."""
    wide = {name: np.concatenate([inputs[name], inputs[name][:, :1]], axis=1) for name in ("key_table", "value_table")}
    return all_of(
        *(refused(relative_attention, name, {**inputs, name: wide[name]}) for name in ("key_table", "value_table"))
    )


@law(inputs=telling_states(), examples=20)
def a_mask_of_another_shape_is_refused_by_relative_attention(relative_attention: Any, inputs: dict[str, Any]) -> Claim:
    """A mask says something of every pair, and of no others."""
    wide = np.pad(_allowed(inputs), ((0, 0), (0, 0), (0, 0), (0, 1)))
    return refused(relative_attention, "mask", {**inputs, "mask": wide})


@law(inputs=telling_states(), examples=20)
def relative_attention_refuses_keys_without_values(relative_attention: Any, inputs: dict[str, Any]) -> Claim:
    """Every key has a value."""
    longer = np.concatenate([inputs["key"], inputs["key"]], axis=2)
    return refused(relative_attention, "value", {**inputs, "key": longer, "mask": None})


# --- faults: attention that knows positions by itself ---------------------------------------------------------


def _ramp(x: Any, axis: int) -> Any:
    """x plus a quarter of the place along an axis."""
    shape = [1] * x.ndim
    shape[axis] = -1
    return x + (np.arange(x.shape[axis]).reshape(shape) / 4).astype(x.dtype)


@fault(multi_head_attention, breaks=("self_attention_without_positions_is_equivariant",
                                     "the_order_of_a_source_does_not_matter"))  # fmt: skip
def adds_positions_of_its_own(
    query: Any, key: Any, value: Any, w_q: Any, w_k: Any, w_v: Any, w_o: Any, b_q: Any, b_k: Any, b_v: Any, b_o: Any,
    num_heads: int, mask: Any,
) -> Any:  # fmt: skip
    """Attention adds positions to its weights and its output behind the caller's back. Add them before, to tokens."""
    arguments = (w_q, w_k, w_v, w_o, b_q, b_k, b_v, b_o, num_heads, mask)
    output, weights = multi_head_attention(query, key, value, *arguments)
    return _ramp(output, 1), _ramp(weights, -1)


@fault(scaled_dot_product_attention, breaks="equivariant_is_not_insensitive")
def pools_its_results(query: Any, key: Any, value: Any, mask: Any) -> Any:
    """Every query gets the mean of all results. Leave pooling to what follows."""
    results = scaled_dot_product_attention(query, key, value, mask)
    return np.broadcast_to(np.mean(results, axis=2, keepdims=True), results.shape)


@fault(scaled_dot_product_attention, breaks="equivariant_is_not_insensitive")
def weighs_early_keys_more(query: Any, key: Any, value: Any, mask: Any) -> Any:
    """Values are weighed by their place, so that the mean over all positions depends on order. Leave them alone."""
    return scaled_dot_product_attention(query, key, _ramp(value, 2) * _ramp(np.ones_like(value), 2), mask)


@fault(masked_self_attention, breaks="a_causal_mask_tells_order",
       seen="https://github.com/huggingface/transformers/issues/48745")  # fmt: skip
def has_no_causal_mask(query: Any, key: Any, value: Any) -> Any:
    """Every position sees every other, and nothing is left that tells order. Mask the keys j > i."""
    return scaled_dot_product_attention(query, key, value, None)


@fault(sinusoidal_positions, breaks="sinusoidal_positions_tell_order")
def has_one_wave_for_all(positions: Any, width: int, dtype: str) -> Any:
    """Every position gets the row of position 0. Compute the row of each."""
    return sinusoidal_positions(np.zeros_like(positions), width, dtype)


@fault(rnn_language_model, breaks="a_recurrent_network_tells_order")
def reads_a_bag_of_words(
    tokens: Any, state: Any, token_table: Any, w_x: Any, w_h: Any, b_h: Any, w_out: Any, b_out: Any
) -> Any:
    """Words are sorted before they are read, as a count of words would have them. Read them as they come."""
    return rnn_language_model(np.sort(tokens, axis=1), state, token_table, w_x, w_h, b_h, w_out, b_out)


@fault(encoder_convolution, breaks="a_pooled_convolution_of_width_1_does_not_tell_order")
def adds_positions_to_the_convolution(x: Any, kernel: Any, bias: Any) -> Any:
    """The convolution adds positions of its own. It is the same map at every step."""
    return _ramp(encoder_convolution(x, kernel, bias), 1)


@fault(encoder_convolution, breaks="a_pooled_convolution_of_width_3_tells_order")
def reads_the_middle_tap_only(x: Any, kernel: Any, bias: Any) -> Any:
    """Only the middle tap is used, as if the kernel were of width 1. Use all of them."""
    middle = kernel.shape[0] // 2
    return encoder_convolution(x, kernel[middle : middle + 1], bias)


# --- faults: learned positions --------------------------------------------------------------------------------


def _added(x: Any, table: Any, rows: Any) -> Any:
    """Tokens plus the rows of the table that a fault has chosen."""
    require(x.shape[1] <= len(table), "table has too few rows")
    require(x.shape[2] == table.shape[1], "table is of another width")
    return x + table[rows % len(table)]


@fault(learned_positions, breaks=("zeros_bring_out_the_table", "batches_are_independent",
                                  "learned_positions_tell_order"),
       seen="https://github.com/AkiRusProd/numpy-transformer/issues/1")  # fmt: skip
def adds_rows_along_the_batch(x: Any, table: Any) -> Any:
    """Row b is added to all of sequence b: the table is sliced by the batch. Slice it by the length."""
    return _added(x, table, np.arange(len(x))[:, None])


@fault(learned_positions, breaks=("zeros_bring_out_the_table", "learned_positions_tell_order",
                                  "a_prefix_keeps_its_positions"),
       seen="https://github.com/DiffPoseTalk/DiffPoseTalk/issues/20")  # fmt: skip
def adds_the_row_of_the_length(x: Any, table: Any) -> Any:
    """table[T] is added to every position, an index where a slice belongs. Add table[:T]."""
    return _added(x, table, np.full(x.shape[1], x.shape[1]))


@fault(learned_positions, breaks="gradient_agrees_with_definition", seen="https://github.com/d2l-ai/d2l-en/pull/2121")
def cuts_the_table_off(x: Any, table: Any) -> Any:
    """The table's data are added, cut off from the gradient, so that it is never learned. Add the table itself."""
    return _added(x, constant(table), np.arange(x.shape[1]))


@fault(learned_positions, breaks=("a_prefix_keeps_its_positions", "zeros_bring_out_the_table",
                                  "rows_beyond_the_sequence_get_no_gradient"))  # fmt: skip
def counts_from_the_end(x: Any, table: Any) -> Any:
    """The last T rows are used. Use the first T."""
    return _added(x, table, np.arange(x.shape[1]) + len(table) - x.shape[1])


@fault(learned_positions, breaks=("rows_beyond_the_sequence_have_no_effect",
                                  "rows_beyond_the_sequence_get_no_gradient"))  # fmt: skip
def centres_the_table(x: Any, table: Any) -> Any:
    """The mean of all rows is taken off, those of absent positions included. Add rows as they are."""
    return _added(x, table, np.arange(x.shape[1])) - np.mean(table, axis=0)


@fault(learned_positions, breaks=("what_a_position_adds_does_not_depend_on_the_token", "zeros_bring_out_the_table"))
def multiplies_by_the_position(x: Any, table: Any) -> Any:
    """Tokens are scaled by 1 plus their row. Add the row."""
    return x * (_added(np.ones_like(x), table, np.arange(x.shape[1])))


@fault(learned_positions, breaks="agrees_with_definition")
def scales_tokens_by_the_root_of_the_width(x: Any, table: Any) -> Any:
    """Tokens are multiplied by the root of their width, which is the caller's business. Add the row and no more."""
    return _added(x * root(x.shape[2]), table, np.arange(x.shape[1]))


@fault(learned_positions, breaks=("tokens_may_be_permuted_with_their_rows", "zeros_bring_out_the_table"))
def counts_tokens_only(x: Any, table: Any) -> Any:
    """Tokens whose first number is not positive are taken for padding and not counted. A position is a place."""
    return _added(x, table, np.cumsum(x[:, :, 0] > 0, axis=1))


@fault(learned_positions, breaks="a_sequence_longer_than_the_table_is_refused")
def starts_the_table_again(x: Any, table: Any) -> Any:
    """Beyond the last row the first one comes again, so that two positions look the same. Refuse such lengths."""
    if not len(table):
        return x + np.zeros_like(x)
    return x + table[np.arange(x.shape[1]) % len(table)]


@fault(learned_positions, breaks="positions_of_another_width_are_refused")
def adds_the_columns_that_fit(x: Any, table: Any) -> Any:
    """Columns that the tokens lack are left out in silence. Compare the widths."""
    return _added(x, table[:, : x.shape[2]], np.arange(x.shape[1]))


# --- faults: relative attention -------------------------------------------------------------------------------


def _related(
    query: Any, key: Any, value: Any, key_table: Any, value_table: Any, mask: Any, *, rows: Any = None,
    scale: float | None = None, table_scale: float | None = None, relative: Any = None, axis: int = -1,
    fill: float = -np.inf, bias: Any = 0.0, shares: Any = lambda weights: weights,
) -> Any:  # fmt: skip
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


def _by_query(query: Any, rows: Any) -> Any:
    """query_i . row of the pair. (B, H, T, d), (..., T, S, d) -> (B, H, T, S)."""
    return (query[..., None, :] @ rows.swapaxes(-1, -2))[..., 0, :]


def _lag(query: Any, key: Any) -> Any:
    return distances(query.shape[2], key.shape[2])


ROWS_BROKEN = ("the_row_of_a_pair_is_its_clipped_distance", "a_score_adds_the_query_times_the_row_of_the_pair")


@fault(relative_attention, breaks=ROWS_BROKEN, seen="https://github.com/nntrainer/nntrainer/pull/3982")
def takes_i_minus_j(query: Any, key: Any, value: Any, key_table: Any, value_table: Any, mask: Any) -> Any:
    """The distance is the query's position minus the key's: the tables are upside down. Take j - i."""
    rows = len(key_table) - 1 - table_rows(query.shape[2], key.shape[2], len(key_table))
    return _related(query, key, value, key_table, value_table, mask, rows=rows)


@fault(relative_attention, breaks=(*ROWS_BROKEN, "reversed_tables_read_the_reversed_sequence"),
       seen="https://github.com/espnet/espnet/pull/2816")  # fmt: skip
def knows_no_direction(query: Any, key: Any, value: Any, key_table: Any, value_table: Any, mask: Any) -> Any:
    """The row is that of |j - i|, so that before and after look the same. Keep the sign."""
    reach = len(key_table) // 2
    rows = np.minimum(np.abs(_lag(query, key)), reach) + reach
    return _related(query, key, value, key_table, value_table, mask, rows=rows)


@fault(relative_attention, breaks=("the_row_of_a_pair_is_its_clipped_distance",
                                   "distances_beyond_the_reach_share_the_last_row"))  # fmt: skip
def clips_one_too_early(query: Any, key: Any, value: Any, key_table: Any, value_table: Any, mask: Any) -> Any:
    """Distances are clipped to k - 1, and the last rows are never used. Clip to k."""
    reach = len(key_table) // 2
    rows = np.clip(_lag(query, key), min(1 - reach, 0), max(reach - 1, 0)) + reach
    return _related(query, key, value, key_table, value_table, mask, rows=rows)


@fault(relative_attention, breaks=("the_row_of_a_pair_is_its_clipped_distance",
                                   "distances_beyond_the_reach_share_the_last_row",
                                   "beyond_the_reach_order_is_lost"))  # fmt: skip
def starts_again_beyond_the_reach(query: Any, key: Any, value: Any, key_table: Any, value_table: Any, mask: Any) -> Any:
    """Distances are not clipped, and indices beyond the table wrap around. Clip to k first."""
    return _related(query, key, value, key_table, value_table, mask, rows=_lag(query, key) + len(key_table) // 2)


@fault(relative_attention, breaks="distances_beyond_the_reach_share_the_last_row")
def has_no_row_beyond_the_reach(query: Any, key: Any, value: Any, key_table: Any, value_table: Any, mask: Any) -> Any:
    """Beyond k nothing is added at all. Clip: the last row stands for all that is farther."""

    def within(table: Any) -> Any:
        return np.pad(table, ((1, 1), (0, 0)))

    return _related(query, key, value, within(key_table), within(value_table), mask)


@fault(relative_attention, breaks=("batches_are_independent", "the_row_of_a_pair_is_its_clipped_distance"))
def counts_queries_along_the_batch(
    query: Any, key: Any, value: Any, key_table: Any, value_table: Any, mask: Any
) -> Any:
    """The number of the sequence in the batch stands in for the query's position. Count along the third axis."""
    reach = len(key_table) // 2
    lag = np.arange(key.shape[2]) - np.arange(len(query))[:, None, None, None]
    rows = np.broadcast_to(np.clip(lag, -reach, reach) + reach, (*query.shape[:3], key.shape[2]))
    return _related(query, key, value, key_table, value_table, mask, rows=rows)


@fault(relative_attention, breaks="every_head_uses_the_same_tables")
def turns_the_tables_for_every_head(
    query: Any, key: Any, value: Any, key_table: Any, value_table: Any, mask: Any
) -> Any:
    """Head h reads the tables h rows further on. All heads share them."""
    rows = table_rows(query.shape[2], key.shape[2], len(key_table)) + np.arange(query.shape[1])[:, None, None]
    rows = np.broadcast_to(rows, (*query.shape[:3], key.shape[2]))
    return _related(query, key, value, key_table, value_table, mask, rows=rows)


@fault(relative_attention, breaks=("a_sequence_may_stand_anywhere", *ROWS_BROKEN),
       seen="https://github.com/lucidrains/lambda-networks/pull/25")  # fmt: skip
def takes_the_key_s_own_position(query: Any, key: Any, value: Any, key_table: Any, value_table: Any, mask: Any) -> Any:
    """The row is that of the key's place, whichever query asks. Take the distance between the two."""
    reach = len(key_table) // 2
    rows = np.broadcast_to(np.minimum(np.arange(key.shape[2]), reach) + reach, (query.shape[2], key.shape[2]))
    return _related(query, key, value, key_table, value_table, mask, rows=rows)


@fault(relative_attention, breaks="the_row_of_a_pair_is_its_clipped_distance")
def lines_up_the_last_positions(query: Any, key: Any, value: Any, key_table: Any, value_table: Any, mask: Any) -> Any:
    """The last query is lined up with the last key, as beside a cache. Count both from 0."""
    reach = len(key_table) // 2
    rows = np.clip(_lag(query, key) - key.shape[2] + query.shape[2], -reach, reach) + reach
    return _related(query, key, value, key_table, value_table, mask, rows=rows)


@fault(relative_attention, breaks=("relative_positions_tell_order", *ROWS_BROKEN))
def uses_one_row_for_all_pairs(query: Any, key: Any, value: Any, key_table: Any, value_table: Any, mask: Any) -> Any:
    """Every pair gets the middle row, that of distance 0, so that nothing tells order. Look the distance up."""
    rows = np.full((query.shape[2], key.shape[2]), len(key_table) // 2)
    return _related(query, key, value, key_table, value_table, mask, rows=rows)


@fault(relative_attention, breaks="a_score_adds_the_query_times_the_row_of_the_pair",
       seen="https://github.com/ZhengkunTian/OpenTransformer/issues/25")  # fmt: skip
def takes_later_keys_from_the_next_query(
    query: Any, key: Any, value: Any, key_table: Any, value_table: Any, mask: Any
) -> Any:
    """Scores are shifted into place as in Transformer-XL, which leaves those of the next query where keys come later:
    right only under a causal mask. Shift from a buffer that has room for both directions.
    """
    asking = np.broadcast_to(query[:, :, :, None], (*query.shape[:3], key.shape[2], query.shape[3]))
    next_one = np.concatenate([asking[:, :, 1:], asking[:, :, -1:]], axis=2)
    asking = np.where((_lag(query, key) > 0)[..., None], next_one, asking)
    rows = table_rows(query.shape[2], key.shape[2], len(key_table))
    relative = np.sum(asking * key_table[rows], axis=-1)
    return _related(query, key, value, key_table, value_table, mask, relative=relative)


@fault(relative_attention, breaks=("a_score_adds_the_query_times_the_row_of_the_pair",
                                   "equal_rows_for_keys_have_no_effect"))  # fmt: skip
def adds_the_rows_to_the_queries(query: Any, key: Any, value: Any, key_table: Any, value_table: Any, mask: Any) -> Any:
    """The row is added to the query and multiplied by the key. Add it to the key."""
    rows = table_rows(query.shape[2], key.shape[2], len(key_table))
    relative = np.sum(key[:, :, None] * key_table[rows], axis=-1)
    return _related(query, key, value, key_table, value_table, mask, relative=relative)


@fault(relative_attention, breaks="a_score_adds_the_query_times_the_row_of_the_pair")
def does_not_scale_the_rows(query: Any, key: Any, value: Any, key_table: Any, value_table: Any, mask: Any) -> Any:
    """Only the keys' part of a score is divided by sqrt(d). Divide the sum."""
    return _related(query, key, value, key_table, value_table, mask, table_scale=1.0)


@fault(relative_attention, breaks=("tables_of_zeros_give_plain_attention",
                                   "a_score_adds_the_query_times_the_row_of_the_pair",
                                   "every_head_uses_the_same_tables"),
       seen="https://github.com/upskyy/Squeezeformer/issues/1")  # fmt: skip
def scales_by_the_width_of_all_heads(
    query: Any, key: Any, value: Any, key_table: Any, value_table: Any, mask: Any
) -> Any:
    """Scores are divided by the root of the model width H d. Divide by the root of the head width d."""
    scale = (query.shape[1] * query.shape[3]) ** -0.5
    return _related(query, key, value, key_table, value_table, mask, scale=scale)


@fault(relative_attention, breaks=("equal_rows_for_values_are_added_as_they_are",
                                   "a_reach_of_0_is_attention_plus_the_value_row",
                                   "the_row_of_a_pair_is_its_clipped_distance"))  # fmt: skip
def forgets_the_value_table(query: Any, key: Any, value: Any, key_table: Any, value_table: Any, mask: Any) -> Any:
    """Rows are added to the keys only. Add those of the value table to the values."""
    return _related(query, key, value, key_table, np.zeros_like(value_table), mask)


@fault(relative_attention, breaks="a_score_adds_the_query_times_the_row_of_the_pair")
def forgets_the_key_table(query: Any, key: Any, value: Any, key_table: Any, value_table: Any, mask: Any) -> Any:
    """Rows are added to the values only. Add those of the key table to the keys."""
    return _related(query, key, value, np.zeros_like(key_table), value_table, mask)


@fault(relative_attention, breaks=("hidden_keys_bring_no_rows_along", "a_query_that_sees_nothing_gets_no_rows"))
def masks_the_values_only(query: Any, key: Any, value: Any, key_table: Any, value_table: Any, mask: Any) -> Any:
    """The value table gets equal weights for all keys, hidden ones included. Use the same weights for both."""
    return _related(query, key, value, key_table, value_table, mask,
                    shares=lambda weights: np.ones_like(weights) / float(key.shape[2]))  # fmt: skip


@fault(relative_attention, breaks="hidden_keys_bring_no_rows_along", seen="https://github.com/google/flax/issues/982")
def fills_with_a_small_constant(query: Any, key: Any, value: Any, key_table: Any, value_table: Any, mask: Any) -> Any:
    """Masked scores are set to -20, which does not make their weights 0. Fill with -inf."""
    return _related(query, key, value, key_table, value_table, mask, fill=-20.0)


@fault(relative_attention, breaks=("a_query_that_sees_nothing_gets_no_rows",
                                   "a_query_that_sees_nothing_spoils_no_table"),
       seen="https://github.com/pytorch/pytorch/issues/103749")  # fmt: skip
def divides_nothing_by_nothing(query: Any, key: Any, value: Any, key_table: Any, value_table: Any, mask: Any) -> Any:
    """The softmax of a row without keys is 0 / 0, not a number, and so are the gradients. Give such rows weights 0."""
    blind = False if mask is None else ~mask.any(axis=-1, keepdims=True)
    result = _related(query, key, value, key_table, value_table, mask)
    return result * np.where(blind, np.nan, 1.0).astype(result.dtype)


@fault(relative_attention, breaks=("tables_of_zeros_give_plain_attention",
                                   "equal_rows_for_values_are_added_as_they_are"),
       seen="https://github.com/labmlai/annotated_deep_learning_paper_implementations/issues/146")  # fmt: skip
def weighs_queries_against_each_other(
    query: Any, key: Any, value: Any, key_table: Any, value_table: Any, mask: Any
) -> Any:
    """The softmax runs over the queries. It has to run over the keys, the last axis of the scores."""
    return _related(query, key, value, key_table, value_table, mask, axis=-2)


@fault(relative_attention, breaks=("beyond_the_reach_order_is_lost", "tables_of_zeros_give_plain_attention"))
def weighs_far_keys_less(query: Any, key: Any, value: Any, key_table: Any, value_table: Any, mask: Any) -> Any:
    """A bias by distance is added to the scores on top of the tables. Leave it out."""
    bias = (np.abs(_lag(query, key)) / -4).astype(query.dtype)
    return _related(query, key, value, key_table, value_table, mask, bias=bias)


@fault(relative_attention, breaks=("rows_of_absent_distances_have_no_effect",
                                   "rows_of_absent_distances_get_no_gradient"))  # fmt: skip
def centres_the_value_table(query: Any, key: Any, value: Any, key_table: Any, value_table: Any, mask: Any) -> Any:
    """The mean of all rows is taken off the value table, absent distances included. Use rows as they are."""
    centred = value_table - np.mean(value_table, axis=0)
    return _related(query, key, value, key_table, centred, mask)


@fault(relative_attention, breaks="a_table_without_a_middle_is_refused")
def drops_the_last_row(query: Any, key: Any, value: Any, key_table: Any, value_table: Any, mask: Any) -> Any:
    """The last of an even number of rows is dropped in silence. Refuse it."""
    odd = len(key_table) - (len(key_table) + 1) % 2
    return _related(query, key, value, key_table[:odd], value_table[:odd], mask)


@fault(relative_attention, breaks="tables_of_different_reach_are_refused")
def clips_each_table_by_itself(query: Any, key: Any, value: Any, key_table: Any, value_table: Any, mask: Any) -> Any:
    """A table of the other's reach or more is cut to its middle in silence. Compare the lengths."""
    more = max(len(value_table) - len(key_table), 0) // 2
    return _related(query, key, value, key_table, value_table[more : len(value_table) - more], mask)


@fault(relative_attention, breaks="tables_of_another_width_are_refused")
def reads_the_columns_that_fit(query: Any, key: Any, value: Any, key_table: Any, value_table: Any, mask: Any) -> Any:
    """Columns that keys or values lack are left out in silence. Compare the widths."""
    return _related(query, key, value, key_table[:, : query.shape[3]], value_table[:, : value.shape[3]], mask)


@fault(relative_attention, breaks="a_mask_of_another_shape_is_refused_by_relative_attention")
def cuts_the_mask(query: Any, key: Any, value: Any, key_table: Any, value_table: Any, mask: Any) -> Any:
    """A mask for more keys than there are is cut off in silence. Compare the shapes."""
    return _related(query, key, value, key_table, value_table, None if mask is None else mask[..., : key.shape[2]])


@fault(relative_attention, breaks="relative_attention_refuses_keys_without_values")
def leaves_out_keys_without_values(
    query: Any, key: Any, value: Any, key_table: Any, value_table: Any, mask: Any
) -> Any:
    """Keys beyond the last value are left out in silence. Compare the lengths."""
    return _related(query, key[:, :, : value.shape[2]], value, key_table, value_table, mask)


# --- workloads ------------------------------------------------------------------------------------------------


def _addition_cost(B: int, T: int, D: int) -> Cost:
    return Cost(flops=B * T * D, moved=2 * B * T * D + T * D)


def _addition_cost_backward(B: int, T: int, D: int) -> Cost:
    """The gradients of all sentences are added up for the table."""
    return Cost(flops=2 * B * T * D, moved=4 * B * T * D + 2 * T * D)


@workload(learned_positions, sizes={"B": 8, "T": 512, "D": 512}, cost=_addition_cost, backward=_addition_cost_backward,
          gradient=True)  # fmt: skip
def learned_512_positions(random: np.random.Generator, B: int, T: int, D: int) -> dict[str, Any]:
    """A learned vector for each of 512 positions of 8 sentences, at the base Transformer's width (Vaswani et al. 2017,
    table 3, row E).
    """
    return {"x": random.standard_normal((B, T, D)), "table": random.standard_normal((T, D)) / 10}


def _relative_cost(B: int, H: int, T: int, d: int, k: int) -> Cost:
    """Two products of all pairs of positions, and two with the tables' rows, which all pairs of a distance share."""
    rows = 2 * k + 1
    return Cost(flops=4 * B * H * T * (T + rows) * d, moved=4 * B * H * T * d + 2 * rows * d)


@workload(relative_attention, sizes={"B": 8, "H": 8, "T": 512, "d": 64, "k": 16}, cost=_relative_cost,
          grows={"T": (128, 256, 1024)}, gradient=True)  # fmt: skip
def relative_self_attention(random: np.random.Generator, B: int, H: int, T: int, d: int, k: int) -> dict[str, Any]:
    """The heads of the base Transformer with relative positions clipped at 16, over 8 sentences of 512 (Shaw et al.
    2018, section 4.1 and table 2).
    """
    query, key, value = (random.standard_normal((B, H, T, d)) for _ in range(3))
    key_table, value_table = (random.standard_normal((2 * k + 1, d)) / 4 for _ in range(2))
    return {"query": query, "key": key, "value": value, "key_table": key_table, "value_table": value_table,
            "mask": None}  # fmt: skip
