"""Relative attention under a mask, what it refuses, and its workload."""

from __future__ import annotations

import numpy as np

from layerlaws.language import (
    Arguments,
    Array,
    Claim,
    Cost,
    Implementation,
    Mask,
    all_of,
    closely,
    exactly,
    fault,
    huge,
    law,
    normal,
    refused,
    seeds,
    workload,
)
from layerlaws.language import strategies as st
from layerlaws.notes.position_methods.relative import allowed, blind_states, related, relative_attention, telling_states


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
        "mask": np.pad(allowed(inputs), ((0, 0), (0, 0), (0, 0), (0, surplus))),
    }
    return closely(relative_attention(**{**inputs, **further}), relative_attention(**inputs))


@fault(
    relative_attention,
    breaks=hidden_keys_bring_no_rows_along,
    kind="mask",
    repair="Fill with -inf.",
    seen="https://github.com/google/flax/issues/982",
)
def fills_with_a_small_constant(
    query: Array, key: Array, value: Array, key_table: Array, value_table: Array, mask: Mask
) -> Array:
    """Masked scores are set to -20, which does not make their weights 0."""
    return related(query, key, value, key_table, value_table, mask, fill=-20.0)


@law(inputs=blind_states())
def a_query_that_sees_nothing_gets_no_rows(relative_attention: Implementation, inputs: Arguments) -> Claim:
    """Where the mask allows no key the result is 0, no row of the value table included, and other queries do not
    notice.
    """
    blind = ~inputs["mask"].any(axis=-1)
    result = relative_attention(**inputs)
    others = relative_attention(**{**inputs, "mask": inputs["mask"] | blind[..., None]})
    nothing = result.value[blind]
    return all_of(exactly(nothing, np.zeros_like(nothing)), closely(result[~blind], others[~blind]))


@fault(
    relative_attention,
    breaks=(hidden_keys_bring_no_rows_along, a_query_that_sees_nothing_gets_no_rows),
    kind="mask",
    repair="Use the same weights for both.",
)
def masks_the_values_only(
    query: Array, key: Array, value: Array, key_table: Array, value_table: Array, mask: Mask
) -> Array:
    """The value table gets equal weights for all keys, hidden ones included."""

    def shares(weights: Array) -> Array:
        return np.ones_like(weights) / float(key.shape[2])

    return related(query, key, value, key_table, value_table, mask, shares=shares)


@fault(
    relative_attention,
    breaks=a_query_that_sees_nothing_gets_no_rows,
    kind="mask",
    repair="Its weights are 0.",
    seen="https://github.com/NVIDIA/apex/issues/1390",
)
def attends_uniformly_where_no_key_is_allowed(
    query: Array, key: Array, value: Array, key_table: Array, value_table: Array, mask: Mask
) -> Array:
    """Hidden scores are filled with a large negative number, and a row that has no others weighs all keys alike."""
    return related(query, key, value, key_table, value_table, mask, fill=-(2.0**100))


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
    kind="boundary",
    repair="Give such rows weights 0.",
    seen="https://github.com/pytorch/pytorch/issues/103749",
)
def divides_nothing_by_nothing(
    query: Array, key: Array, value: Array, key_table: Array, value_table: Array, mask: Mask
) -> Array:
    """The softmax of a row without keys is 0 / 0, not a number, and so are the gradients."""
    blind = False if mask is None else ~mask.any(axis=-1, keepdims=True)
    result = related(query, key, value, key_table, value_table, mask)
    return result * np.where(blind, np.nan, 1.0).astype(result.dtype)


@law(inputs=telling_states(), examples=20)
def a_table_without_a_middle_is_refused(relative_attention: Implementation, inputs: Arguments) -> Claim:
    """Distances run from -k to k: a table has an odd number of rows."""
    even = {name: np.concatenate([inputs[name], inputs[name][:1]]) for name in ("key_table", "value_table")}
    return refused(relative_attention, "key_table", {**inputs, **even})


@fault(
    relative_attention,
    breaks=a_table_without_a_middle_is_refused,
    kind="refusal",
    repair="Refuse it.",
)
def drops_the_last_row(
    query: Array, key: Array, value: Array, key_table: Array, value_table: Array, mask: Mask
) -> Array:
    """The last of an even number of rows is dropped in silence."""
    odd = len(key_table) - (len(key_table) + 1) % 2
    return related(query, key, value, key_table[:odd], value_table[:odd], mask)


@law(inputs=telling_states(), examples=20)
def tables_of_different_reach_are_refused(relative_attention: Implementation, inputs: Arguments) -> Claim:
    """Keys and values have the same distances."""
    longer = np.pad(inputs["value_table"], ((1, 1), (0, 0)))
    return refused(relative_attention, "value_table", {**inputs, "value_table": longer})


@fault(
    relative_attention,
    breaks=tables_of_different_reach_are_refused,
    kind="refusal",
    repair="Compare the lengths.",
)
def clips_each_table_by_itself(
    query: Array, key: Array, value: Array, key_table: Array, value_table: Array, mask: Mask
) -> Array:
    """A table of the other's reach or more is cut to its middle in silence."""
    more = max(len(value_table) - len(key_table), 0) // 2
    return related(query, key, value, key_table, value_table[more : len(value_table) - more], mask)


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
    kind="refusal",
    repair="Compare the widths.",
)
def reads_the_columns_that_fit(
    query: Array, key: Array, value: Array, key_table: Array, value_table: Array, mask: Mask
) -> Array:
    """Columns that keys or values lack are left out in silence."""
    return related(query, key, value, key_table[:, : query.shape[3]], value_table[:, : value.shape[3]], mask)


@law(inputs=telling_states(), examples=20)
def a_mask_of_another_shape_is_refused_by_relative_attention(
    relative_attention: Implementation, inputs: Arguments
) -> Claim:
    """A mask says something of every pair, and of no others."""
    wide = np.pad(allowed(inputs), ((0, 0), (0, 0), (0, 0), (0, 1)))
    return refused(relative_attention, "mask", {**inputs, "mask": wide})


@fault(
    relative_attention,
    breaks=a_mask_of_another_shape_is_refused_by_relative_attention,
    kind="refusal",
    repair="Compare the shapes.",
)
def cuts_the_mask(query: Array, key: Array, value: Array, key_table: Array, value_table: Array, mask: Mask) -> Array:
    """A mask for more keys than there are is cut off in silence."""
    return related(query, key, value, key_table, value_table, None if mask is None else mask[..., : key.shape[2]])


@law(inputs=telling_states(), examples=20)
def relative_attention_refuses_keys_without_values(relative_attention: Implementation, inputs: Arguments) -> Claim:
    """Every key has a value."""
    longer = np.concatenate([inputs["key"], inputs["key"]], axis=2)
    return refused(relative_attention, "value", {**inputs, "key": longer, "mask": None})


@fault(
    relative_attention,
    breaks=relative_attention_refuses_keys_without_values,
    kind="refusal",
    repair="Compare the lengths.",
)
def leaves_out_keys_without_values(
    query: Array, key: Array, value: Array, key_table: Array, value_table: Array, mask: Mask
) -> Array:
    """Keys beyond the last value are left out in silence."""
    return related(query, key[:, :, : value.shape[2]], value, key_table, value_table, mask)


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
    tables = {"key_table": key_table, "value_table": value_table}
    return {"query": query, "key": key, "value": value, **tables, "mask": None}
