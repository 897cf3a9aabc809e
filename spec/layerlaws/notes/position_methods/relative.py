"""Relative attention, and how a pair of positions finds its row of both tables."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from layerlaws.language import (
    PLAIN,
    TEXTURES,
    Arguments,
    Array,
    Claim,
    Ids,
    Implementation,
    Mask,
    arrays,
    asbounded,
    closely,
    exactly,
    extents,
    fault,
    huge,
    law,
    masks,
    normal,
    operation,
    require,
    rewritten,
    root,
    seeds,
    softmax,
)
from layerlaws.language import strategies as st
from layerlaws.notes.position_methods.order import relative_positions_tell_order


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
    tables = {"key_table": key_table, "value_table": value_table}
    return {"query": query, "key": key, "value": value, **tables, "mask": mask}


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


def distances(queries: int, keys: int) -> Ids:
    """By how much key j comes after query i. (T, S)."""
    return np.arange(keys) - np.arange(queries)[:, None]


def table_rows(queries: int, keys: int, rows: int) -> Ids:
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
    require(mask is None or np.shape(mask) == scores, f"mask has shape {np.shape(mask)}, expected {scores}")


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


def _by_query(query: Array, rows: Array) -> Array:
    """query_i . row of the pair. (B, H, T, d), (..., T, S, d) -> (B, H, T, S)."""
    return (query[..., None, :] @ rows.swapaxes(-1, -2))[..., 0, :]


def related(
    query: Array,
    key: Array,
    value: Array,
    key_table: Array,
    value_table: Array,
    mask: Mask,
    *,
    rows: Ids | None = None,
    scale: float | None = None,
    table_scale: float | None = None,
    relative: Array | None = None,
    axis: int = -1,
    fill: float = -np.inf,
    least: float = -np.inf,
    bias: Array | float = 0.0,
    shares: Callable[[Array], Array] = lambda weights: weights,
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
    scores = scores if mask is None else np.where(mask, scores, np.asarray(fill, query.dtype))
    highest = np.maximum(np.max(scores, axis=axis, keepdims=True), least)
    raised = np.exp(scores - np.where(np.isfinite(highest), highest, 0.0))
    total = np.sum(raised, axis=axis, keepdims=True)
    weights = raised / np.where(total == 0, 1.0, total)
    return weights @ value + (shares(weights)[..., None, :] @ value_table[rows])[..., 0, :]


def lag(query: Array, key: Array) -> Ids:
    """By how much each key comes after each query. (T, S)."""
    return distances(query.shape[2], key.shape[2])


def allowed(inputs: Arguments) -> Mask:
    """The mask, all of it where there is none. (B, H, T, S) bool."""
    if inputs["mask"] is not None:
        return inputs["mask"]
    return np.ones((*inputs["query"].shape[:3], inputs["key"].shape[2]), bool)


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


@fault(
    relative_attention,
    breaks=("batches_are_independent", the_row_of_a_pair_is_its_clipped_distance),
    kind="axis",
    repair="Count along the third axis.",
)
def counts_queries_along_the_batch(
    query: Array, key: Array, value: Array, key_table: Array, value_table: Array, mask: Mask
) -> Array:
    """The number of the sequence in the batch stands in for the query's position."""
    reach = len(key_table) // 2
    lag = np.arange(key.shape[2]) - np.arange(len(query))[:, None, None, None]
    rows = np.broadcast_to(np.clip(lag, -reach, reach) + reach, (*query.shape[:3], key.shape[2]))
    return related(query, key, value, key_table, value_table, mask, rows=rows)


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
    rows = np.clip(lag(query, key) - key.shape[2] + query.shape[2], -reach, reach) + reach
    return related(query, key, value, key_table, value_table, mask, rows=rows)


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
    return related(query, key, value, key_table, value_table, mask, rows=rows)


@fault(
    relative_attention,
    breaks=(relative_positions_tell_order, *ROWS_BROKEN),
    kind="formula",
    repair="Look the distance up.",
)
def uses_one_row_for_all_pairs(
    query: Array, key: Array, value: Array, key_table: Array, value_table: Array, mask: Mask
) -> Array:
    """Every pair gets the middle row, that of distance 0, so that nothing tells order."""
    rows = np.full((query.shape[2], key.shape[2]), len(key_table) // 2)
    return related(query, key, value, key_table, value_table, mask, rows=rows)


@fault(
    relative_attention,
    breaks=a_score_adds_the_query_times_the_row_of_the_pair,
    kind="shift",
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
    asking = np.where((lag(query, key) > 0)[..., None], next_one, asking)
    rows = table_rows(query.shape[2], key.shape[2], len(key_table))
    relative = np.sum(asking * key_table[rows], axis=-1)
    return related(query, key, value, key_table, value_table, mask, relative=relative)


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
    return related(query, key, value, key_table, value_table, mask, table_scale=1.0)


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
    return related(query, key, value, np.zeros_like(key_table), value_table, mask)


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
    rows = np.clip(lag(query, key), min(1 - reach, 0), max(reach - 1, 0)) + reach
    return related(query, key, value, key_table, value_table, mask, rows=rows)


@fault(
    relative_attention,
    breaks=distances_beyond_the_reach_share_the_last_row,
    kind="boundary",
    repair="Clip: the last row stands for all that is farther.",
)
def has_no_row_beyond_the_reach(
    query: Array, key: Array, value: Array, key_table: Array, value_table: Array, mask: Mask
) -> Array:
    """Beyond k nothing is added at all."""

    def within(table: Array) -> Array:
        return np.pad(table, ((1, 1), (0, 0)))

    return related(query, key, value, within(key_table), within(value_table), mask)


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
    kind="boundary",
    repair="Clip to k first.",
)
def starts_again_beyond_the_reach(
    query: Array, key: Array, value: Array, key_table: Array, value_table: Array, mask: Mask
) -> Array:
    """Distances are not clipped, and indices beyond the table wrap around."""
    return related(query, key, value, key_table, value_table, mask, rows=lag(query, key) + len(key_table) // 2)


def _present(inputs: Arguments) -> Mask:
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
    return related(query, key, value, key_table, centred, mask)
