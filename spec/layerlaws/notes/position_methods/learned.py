"""Learned positions: a row of a table for each place, added to the token that stands there."""

from __future__ import annotations

import numpy as np

from layerlaws.language import (
    Arguments,
    Array,
    Claim,
    Cost,
    Ids,
    Implementation,
    all_of,
    arrays,
    asbounded,
    closely,
    constant,
    exactly,
    extents,
    fault,
    huge,
    law,
    normal,
    operation,
    refused,
    require,
    rewritten,
    root,
    seeds,
    workload,
)
from layerlaws.language import strategies as st
from layerlaws.notes.position_methods.order import learned_positions_tell_order


@st.composite
def sequences(draw: st.DrawFn) -> Arguments:
    """A batch of sequences and a table that may have more rows than they have positions."""
    batch, length, width, spare = draw(extents(4, edges=(0, 1, 2, 3)))
    x, table = draw(arrays((batch, length, width), (length + spare - 1, width)))
    return {"x": x, "table": table}


@operation(inputs=sequences(), batch=("x",), differentiable=True)
def learned_positions(x: Array, table: Array) -> Array:
    """x + table[:T]: row p of the table is added to position p of every sequence.

    x (B, T, D), table (P, D), P >= T  ->  (B, T, D)
    """
    length, (positions, width) = x.shape[1], table.shape
    require(length <= positions, f"table has {positions} rows, fewer than {length} positions")
    require(width == x.shape[2], f"table is {width} wide, x {x.shape[2]}")
    return x + table[:length]


def _added(x: Array, table: Array, rows: Ids) -> Array:
    """Tokens plus the rows of the table that a fault has chosen."""
    require(x.shape[1] <= len(table), "table has too few rows")
    require(x.shape[2] == table.shape[1], "table is of another width")
    return x + table[rows % len(table)]


@fault(
    learned_positions,
    breaks="gradient_agrees_with_definition",
    kind="gradient",
    repair="Add the table itself.",
    seen="https://github.com/d2l-ai/d2l-en/pull/2121",
)
def cuts_the_table_off(x: Array, table: Array) -> Array:
    """The table's data are added, cut off from the gradient, so that it is never learned."""
    return _added(x, constant(table), np.arange(x.shape[1]))


@fault(
    learned_positions,
    breaks="agrees_with_definition",
    kind="scale",
    repair="Add the row and no more.",
)
def scales_tokens_by_the_root_of_the_width(x: Array, table: Array) -> Array:
    """Tokens are multiplied by the root of their width, which is the caller's business."""
    return _added(x * root(x.shape[2]), table, np.arange(x.shape[1]))


@law()
def zeros_bring_out_the_table(learned_positions: Implementation, x: Array, table: Array) -> Claim:
    """Added to tokens of zeros, the first T rows of the table come out, in order and the same in every sequence."""
    result = learned_positions(x=np.zeros_like(x), table=table)
    return closely(result, np.broadcast_to(table[: x.shape[1]], x.shape))


@fault(
    learned_positions,
    breaks=(zeros_bring_out_the_table, "batches_are_independent", learned_positions_tell_order),
    kind="axis",
    repair="Slice it by the length.",
    seen="https://github.com/AkiRusProd/numpy-transformer/issues/1",
)
def adds_rows_along_the_batch(x: Array, table: Array) -> Array:
    """Row b is added to all of sequence b: the table is sliced by the batch."""
    return _added(x, table, np.arange(len(x))[:, None])


@law(seed=seeds)
def what_a_position_adds_does_not_depend_on_the_token(
    learned_positions: Implementation, x: Array, table: Array, seed: int
) -> Claim:
    """Two sequences with positions differ by as much as the tokens do."""
    other = normal(seed, x.shape, x)
    difference = learned_positions(x=x, table=table) - learned_positions(x=other, table=table)
    return closely(difference, asbounded(x) - asbounded(other))


@fault(
    learned_positions,
    breaks=(what_a_position_adds_does_not_depend_on_the_token, zeros_bring_out_the_table),
    kind="formula",
    repair="Add the row.",
)
def multiplies_by_the_position(x: Array, table: Array) -> Array:
    """Tokens are scaled by 1 plus their row."""
    return x * (_added(np.ones_like(x), table, np.arange(x.shape[1])))


@law(cut=st.integers(0, 99))
def a_prefix_keeps_its_positions(learned_positions: Implementation, x: Array, table: Array, cut: int) -> Claim:
    """The first tokens come out the same whether or not others follow."""
    kept = 1 + cut % x.shape[1]
    whole = learned_positions(x=x, table=table)
    return closely(learned_positions(x=x[:, :kept], table=table), whole[:, :kept])


@fault(
    learned_positions,
    breaks=(zeros_bring_out_the_table, learned_positions_tell_order, a_prefix_keeps_its_positions),
    kind="shift",
    repair="Add table[:T].",
    seen="https://github.com/DiffPoseTalk/DiffPoseTalk/issues/20",
)
def adds_the_row_of_the_length(x: Array, table: Array) -> Array:
    """table[T] is added to every position, an index where a slice belongs."""
    return _added(x, table, np.full(x.shape[1], x.shape[1]))


@law(seed=seeds)
def tokens_may_be_permuted_with_their_rows(
    learned_positions: Implementation, x: Array, table: Array, seed: int
) -> Claim:
    """The position is in the table alone: tokens and rows permuted alike give the permuted results."""
    length = x.shape[1]
    order = np.random.default_rng(seed).permutation(length)
    permuted = rewritten(table, slice(length), table[order])
    result = learned_positions(x=x[:, order], table=permuted)
    return closely(result, learned_positions(x=x, table=table)[:, order])


@fault(
    learned_positions,
    breaks=(tokens_may_be_permuted_with_their_rows, zeros_bring_out_the_table),
    kind="shift",
    repair="A position is a place.",
)
def counts_tokens_only(x: Array, table: Array) -> Array:
    """Tokens whose first number is not positive are taken for padding and not counted."""
    return _added(x, table, np.cumsum(x[:, :, 0] > 0, axis=1))


@law()
def rows_beyond_the_sequence_have_no_effect(learned_positions: Implementation, x: Array, table: Array) -> Claim:
    """Rows from T on may hold anything."""
    other = rewritten(table, slice(x.shape[1], None), huge(table))
    return closely(learned_positions(x=x, table=other), learned_positions(x=x, table=table))


@law(needs=["gradient"], seed=seeds)
def rows_beyond_the_sequence_get_no_gradient(
    learned_positions: Implementation, x: Array, table: Array, seed: int
) -> Claim:
    """The gradient is exactly 0 for the rows from T on, and the sum over the batch for the others."""
    cotangent = normal(seed, x.shape, x)
    gradient = learned_positions.gradient(cotangent, x=x, table=table)["table"]
    used, unused = gradient[: x.shape[1]], gradient[x.shape[1] :]
    return all_of(closely(used, asbounded(cotangent).sum(axis=0)), exactly(unused, np.zeros_like(unused)))


@fault(
    learned_positions,
    breaks=(a_prefix_keeps_its_positions, zeros_bring_out_the_table, rows_beyond_the_sequence_get_no_gradient),
    kind="shift",
    repair="Use the first T.",
)
def counts_from_the_end(x: Array, table: Array) -> Array:
    """The last T rows are used."""
    return _added(x, table, np.arange(x.shape[1]) + len(table) - x.shape[1])


@fault(
    learned_positions,
    breaks=(rows_beyond_the_sequence_have_no_effect, rows_beyond_the_sequence_get_no_gradient),
    kind="formula",
    repair="Add rows as they are.",
)
def centres_the_table(x: Array, table: Array) -> Array:
    """The mean of all rows is taken off, those of absent positions included."""
    return _added(x, table, np.arange(x.shape[1])) - np.mean(table, axis=0)


@law(examples=20)
def a_sequence_longer_than_the_table_is_refused(learned_positions: Implementation, x: Array, table: Array) -> Claim:
    """A learned table ends: positions beyond it have no row."""
    return refused(learned_positions, "table", {"x": x, "table": table[: x.shape[1] - 1]})


@fault(
    learned_positions,
    breaks=a_sequence_longer_than_the_table_is_refused,
    kind="refusal",
    repair="Refuse such lengths.",
)
def starts_the_table_again(x: Array, table: Array) -> Array:
    """Beyond the last row the first one comes again, so that two positions look the same."""
    if not len(table):
        return x + np.zeros_like(x)
    return x + table[np.arange(x.shape[1]) % len(table)]


@law(examples=20)
def positions_of_another_width_are_refused(learned_positions: Implementation, x: Array, table: Array) -> Claim:
    """Rows are as wide as tokens: one number more is too many, even for tokens of one number."""
    return refused(learned_positions, "table", {"x": x, "table": np.concatenate([table, table[:, :1]], axis=1)})


@fault(
    learned_positions,
    breaks=positions_of_another_width_are_refused,
    kind="refusal",
    repair="Compare the widths.",
)
def adds_the_columns_that_fit(x: Array, table: Array) -> Array:
    """Columns that the tokens lack are left out in silence."""
    return _added(x, table[:, : x.shape[2]], np.arange(x.shape[1]))


def _addition_cost(B: int, T: int, D: int) -> Cost:
    return Cost(flops=B * T * D, moved=2 * B * T * D + T * D)


def _addition_cost_backward(B: int, T: int, D: int) -> Cost:
    """The gradients of all sentences are added up for the table."""
    return Cost(flops=2 * B * T * D, moved=4 * B * T * D + 2 * T * D)


@workload(
    learned_positions,
    sizes={"B": 8, "T": 512, "D": 512},
    cost=_addition_cost,
    backward=_addition_cost_backward,
    gradient=True,
)
def learned_512_positions(random: np.random.Generator, B: int, T: int, D: int) -> Arguments:
    """A learned vector for each of 512 positions of 8 sentences, at the base Transformer's width (Vaswani et al. 2017,
    table 3, row E).
    """
    return {"x": random.standard_normal((B, T, D)), "table": random.standard_normal((T, D)) / 10}
