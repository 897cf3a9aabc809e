"""What relative attention makes of both tables: empty, level, short, upside down, and the same for all heads."""

from __future__ import annotations

import numpy as np

from layerlaws.language import (
    Arguments,
    Array,
    Claim,
    Implementation,
    Mask,
    asbounded,
    closely,
    fault,
    law,
    normal,
    seeds,
)
from layerlaws.language import strategies as st
from layerlaws.notes.position_methods.relative import (
    ROWS_BROKEN,
    a_score_adds_the_query_times_the_row_of_the_pair,
    allowed,
    beyond_the_reach_order_is_lost,
    lag,
    related,
    related_states,
    relative_attention,
    table_rows,
    the_row_of_a_pair_is_its_clipped_distance,
)


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
    bias = (np.abs(lag(query, key)) / -4).astype(query.dtype)
    return related(query, key, value, key_table, value_table, mask, bias=bias)


@law()
def equal_rows_for_keys_have_no_effect(relative_attention: Implementation, inputs: Arguments) -> Claim:
    """A key table whose rows are all the same adds one number to all scores of a query, which the softmax ignores."""
    table = inputs["key_table"]
    level = {**inputs, "key_table": np.broadcast_to(table[:1], table.shape)}
    return closely(relative_attention(**level), relative_attention(**{**inputs, "key_table": np.zeros_like(table)}))


@fault(
    relative_attention,
    breaks=(a_score_adds_the_query_times_the_row_of_the_pair, equal_rows_for_keys_have_no_effect),
    kind="formula",
    repair="Add it to the key.",
)
def adds_the_rows_to_the_queries(
    query: Array, key: Array, value: Array, key_table: Array, value_table: Array, mask: Mask
) -> Array:
    """The row is added to the query and multiplied by the key."""
    rows = table_rows(query.shape[2], key.shape[2], len(key_table))
    relative = np.sum(key[:, :, None] * key_table[rows], axis=-1)
    return related(query, key, value, key_table, value_table, mask, relative=relative)


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
    kind="axis",
    repair="It has to run over the keys, the last axis of the scores.",
    seen="https://github.com/labmlai/annotated_deep_learning_paper_implementations/issues/146",
)
def weighs_queries_against_each_other(
    query: Array, key: Array, value: Array, key_table: Array, value_table: Array, mask: Mask
) -> Array:
    """The softmax runs over the queries."""
    return related(query, key, value, key_table, value_table, mask, axis=-2)


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
    return related(query, key, value, key_table, np.zeros_like(value_table), mask)


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
    rows = np.minimum(np.abs(lag(query, key)), reach) + reach
    return related(query, key, value, key_table, value_table, mask, rows=rows)


@law(shift=st.integers(1, 5), seed=seeds)
def a_sequence_may_stand_anywhere(
    relative_attention: Implementation, inputs: Arguments, shift: int, seed: int
) -> Claim:
    """Behind any number of positions that it may not look at, a sequence gives what it gives at the beginning."""
    seen = allowed(inputs)
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
    kind="shift",
    repair="Take the distance between the two.",
    seen="https://github.com/lucidrains/lambda-networks/pull/25",
)
def takes_the_key_s_own_position(
    query: Array, key: Array, value: Array, key_table: Array, value_table: Array, mask: Mask
) -> Array:
    """The row is that of the key's place, whichever query asks."""
    reach = len(key_table) // 2
    rows = np.broadcast_to(np.minimum(np.arange(key.shape[2]), reach) + reach, (query.shape[2], key.shape[2]))
    return related(query, key, value, key_table, value_table, mask, rows=rows)


@law(head=st.integers(0, 9))
def every_head_uses_the_same_tables(relative_attention: Implementation, inputs: Arguments, head: int) -> Claim:
    """Each head comes out as if it had been alone with the tables."""
    chosen = head % inputs["query"].shape[1]
    alone = {name: x[:, chosen : chosen + 1] for name, x in _plain(inputs).items() if x is not None}
    return closely(relative_attention(**{**inputs, **alone}), relative_attention(**inputs)[:, chosen : chosen + 1])


@fault(
    relative_attention,
    breaks=every_head_uses_the_same_tables,
    kind="shift",
    repair="All heads share them.",
)
def turns_the_tables_for_every_head(
    query: Array, key: Array, value: Array, key_table: Array, value_table: Array, mask: Mask
) -> Array:
    """Head h reads the tables h rows further on."""
    rows = table_rows(query.shape[2], key.shape[2], len(key_table)) + np.arange(query.shape[1])[:, None, None]
    rows = np.broadcast_to(rows, (*query.shape[:3], key.shape[2]))
    return related(query, key, value, key_table, value_table, mask, rows=rows)


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
    return related(query, key, value, key_table, value_table, mask, scale=scale)
