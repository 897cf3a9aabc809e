"""The dot score: the inner product of the two states."""

from __future__ import annotations

import numpy as np

from layerlaws.language import (
    PLAIN,
    Arguments,
    Array,
    Claim,
    Cost,
    Implementation,
    arrays,
    closely,
    extents,
    fault,
    law,
    normal,
    operation,
    refused,
    require,
    seeds,
    workload,
)
from layerlaws.language import strategies as st


@st.composite
def states(draw: st.DrawFn, textures: tuple[str, ...] | None = None) -> Arguments:
    """Target states as queries and source states as keys, of one width."""
    batch, queries, keys, width = draw(extents(4, edges=(1, 2, 3)))
    shapes = (batch, queries, width), (batch, keys, width)
    query, key = draw(arrays(*shapes, textures=textures) if textures else arrays(*shapes))
    return {"query": query, "keys": key}


@operation(inputs=states(), batch=("query", "keys"), differentiable=True)
def dot_score(query: Array, keys: Array) -> Array:
    """query . key, of every query with every key.

    query (B, T, D), keys (B, S, D)  ->  (B, T, S)
    """
    require(query.shape[-1] == keys.shape[-1], f"keys are {keys.shape[-1]} wide, query {query.shape[-1]}")
    return query @ keys.swapaxes(-1, -2)


def _dot(query: Array, keys: Array) -> Array:
    require(query.shape[-1] == keys.shape[-1], "keys and query differ in width")
    return query @ keys.swapaxes(-1, -2)


@law()
def dot_score_does_not_tell_query_from_key(dot_score: Implementation, query: Array, keys: Array) -> Claim:
    """Queries and keys may change places: the scores are the same, transposed."""
    return closely(dot_score(query=keys, keys=query), dot_score(query=query, keys=keys).swapaxes(1, 2))


@law()
def dot_score_against_unit_vectors_reads_the_query(dot_score: Implementation, query: Array) -> Claim:
    """Keys that are unit vectors score the query's own components: there is nothing else in the score."""
    batch, _, width = query.shape
    units = np.broadcast_to(np.eye(width), (batch, width, width)).astype(query.dtype)
    return closely(dot_score(query=query, keys=units), query)


@fault(
    dot_score,
    breaks=(dot_score_does_not_tell_query_from_key, dot_score_against_unit_vectors_reads_the_query),
    kind="formula",
    repair="Multiply the states themselves.",
    seen="https://github.com/OpenNMT/OpenNMT-py/pull/141",
)
def dot_with_a_matrix_of_its_own(query: Array, keys: Array) -> Array:
    """What is called dot has a learned matrix between the states: that is general."""
    width = query.shape[-1]
    return _dot(query @ (np.tri(width) * 0.5).astype(query.dtype), keys)


@law(added=st.integers(1, 4), seed=seeds)
def what_is_orthogonal_to_all_keys_scores_nothing(
    dot_score: Implementation, query: Array, keys: Array, added: int, seed: int
) -> Claim:
    """A component that is orthogonal to every key changes no score of the query that it is added to."""
    batch, length, _ = query.shape
    component = normal(seed, (batch, length, added), query, 3)
    wider = dot_score(
        query=np.concatenate([query, component], axis=-1),
        keys=np.concatenate([keys, np.zeros((batch, keys.shape[1], added), keys.dtype)], axis=-1),
    )
    return closely(wider, dot_score(query=query, keys=keys))


@fault(
    dot_score,
    breaks=(what_is_orthogonal_to_all_keys_scores_nothing, dot_score_against_unit_vectors_reads_the_query),
    kind="scale",
    repair="The inner product is taken of the states as they are.",
)
def dot_score_is_a_cosine(query: Array, keys: Array) -> Array:
    """Queries are normalized to length 1."""
    length = np.sqrt(np.sum(np.square(query), axis=-1, keepdims=True))
    return _dot(query / np.where(length > 0, length, 1.0).astype(query.dtype), keys)


@fault(
    dot_score,
    breaks=(dot_score_against_unit_vectors_reads_the_query, what_is_orthogonal_to_all_keys_scores_nothing),
    kind="scale",
    repair="Luong's dot is not scaled.",
)
def dot_score_is_divided_by_the_root_of_the_width(query: Array, keys: Array) -> Array:
    """Scores are divided by the root of the width, as the Transformer does."""
    return _dot(query, keys) * query.shape[-1] ** -0.5


@law(inputs=states(textures=PLAIN), surplus=st.integers(1, 3), examples=20)
def dot_score_refuses_states_of_two_widths(dot_score: Implementation, query: Array, keys: Array, surplus: int) -> Claim:
    """An inner product takes two vectors of the same length."""
    wider = np.concatenate([keys] * (surplus + 1), axis=-1)
    return refused(dot_score, "keys", {"query": query, "keys": wider})


@fault(
    dot_score,
    breaks=dot_score_refuses_states_of_two_widths,
    kind="refusal",
    repair="Compare the widths, and raise ValueError.",
)
def dot_score_cuts_the_wider_state(query: Array, keys: Array) -> Array:
    """The wider of two states is cut to the width of the other."""
    width = min(query.shape[-1], keys.shape[-1])
    return _dot(query[..., :width], keys[..., :width])


SENTENCES = {"B": 128, "T": 1, "S": 50, "D": 1000}
"""One step of decoding, 128 sentences of 50 words, 1,000 units (Luong et al. 2015, section 4)."""


def _states(random: np.random.Generator, B: int, T: int, S: int, D: int) -> Arguments:
    return {"query": np.tanh(random.standard_normal((B, T, D))), "keys": np.tanh(random.standard_normal((B, S, D)))}


def _dot_cost(B: int, T: int, S: int, D: int) -> Cost:
    """One product of all pairs; both sides' states are read."""
    return Cost(flops=2 * B * T * S * D, moved=B * ((T + S) * D + T * S))


def _dot_cost_backward(B: int, T: int, S: int, D: int) -> Cost:
    """Two more products; gradients as large as what was read."""
    return Cost(flops=6 * B * T * S * D, moved=2 * B * ((T + S) * D + T * S))


@workload(dot_score, sizes=SENTENCES, cost=_dot_cost, backward=_dot_cost_backward, gradient=True)
def dot_scores_of_a_step(random: np.random.Generator, B: int, T: int, S: int, D: int) -> Arguments:
    """One target state of 128 sentences against the 50 words of their sources, 1,000 wide (Luong et al. 2015, section
    4).
    """
    return _states(random, B, T, S, D)
