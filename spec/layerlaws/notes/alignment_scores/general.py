"""The general score: a bilinear form, with a matrix between the two states."""

from __future__ import annotations

import numpy as np

from layerlaws.language import (
    PLAIN,
    Arguments,
    Array,
    Claim,
    Cost,
    Implementation,
    all_of,
    arrays,
    asbounded,
    closely,
    extents,
    fault,
    in_either_order,
    law,
    matrix,
    normal,
    operation,
    refused,
    require,
    seeds,
    workload,
)
from layerlaws.language import strategies as st
from layerlaws.notes.alignment_scores.dot import SENTENCES, _dot, _dot_cost, _states

PARAMETERS = ("integers", "normal", "one-hot", "sparse", "tiny")
"""Textures of weights: none so large that every tanh is saturated."""


@st.composite
def bilinear_states(draw: st.DrawFn, textures: tuple[str, ...] | None = None) -> Arguments:
    """States of two widths, mostly, and a matrix between them."""
    batch, queries, keys, width, key_width = draw(extents(5, edges=(1, 2, 3, 4)))
    shapes = (batch, queries, width), (batch, keys, key_width)
    query, key = draw(arrays(*shapes, textures=textures) if textures else arrays(*shapes))
    return {"query": query, "keys": key, "w": draw(arrays((width, key_width), textures=PARAMETERS))}


@operation(inputs=bilinear_states(), batch=("query", "keys"), differentiable=True)
def general_score(query: Array, keys: Array, w: Array) -> Array:
    """query w keyT, of every query with every key.

    query (B, T, Q), keys (B, S, M), w (Q, M)  ->  (B, T, S)
    """
    expected = (query.shape[-1], keys.shape[-1])
    require(w.shape == expected, f"w has shape {w.shape}, expected {expected}")
    keys = keys.swapaxes(-1, -2)
    return in_either_order(lambda a, b, c: a @ b @ c, lambda a, b, c: a @ (b @ c), query, w, keys)


@law()
def general_score_with_the_identity_is_dot_score(
    general_score: Implementation, dot_score: Implementation, query: Array
) -> Claim:
    """With the identity between query and key, general is dot."""
    keys = query[:, ::-1]
    identity = np.eye(query.shape[-1]).astype(query.dtype)
    return closely(general_score(query=query, keys=keys, w=identity), dot_score(query=query, keys=keys))


@fault(
    general_score,
    breaks=general_score_with_the_identity_is_dot_score,
    kind="formula",
    repair="It has to take the query's place.",
)
def general_with_a_residual(query: Array, keys: Array, w: Array) -> Array:
    """The projection is added to the query, as in a residual layer."""
    require(w.shape == (query.shape[-1], keys.shape[-1]), "w does not fit")
    return _dot(query @ (w + np.eye(*w.shape).astype(w.dtype)), keys)


@law()
def general_score_is_dot_score_of_projections(
    general_score: Implementation, dot_score: Implementation, query: Array, keys: Array, w: Array
) -> Claim:
    """Projecting the query by w, or the key by w transposed, and taking dot gives general, whatever the two widths."""
    scores = general_score(query=query, keys=keys, w=w)
    return all_of(
        closely(dot_score(query=asbounded(query) @ w, keys=keys), scores),
        closely(dot_score(query=query, keys=asbounded(keys) @ w.T), scores),
    )


@fault(
    general_score,
    breaks=(general_score_is_dot_score_of_projections, "agrees_with_definition"),
    kind="axis",
    repair="Transpose it.",
)
def general_with_the_matrix_transposed(query: Array, keys: Array, w: Array) -> Array:
    """The matrix of a linear layer is used as it is stored, (out, in), which fits where both widths are the same."""
    require(w.shape == (query.shape[-1], keys.shape[-1]), "w does not fit")
    square = w.shape[0] == w.shape[1]
    return _dot(query @ (w.T if square else w), keys)


@law(seed=seeds)
def general_score_is_bilinear(general_score: Implementation, query: Array, keys: Array, w: Array, seed: int) -> Claim:
    """Scores of a sum of queries are the sum of their scores, and so for keys; a factor of 2 comes out."""
    other = {"query": normal(seed, query.shape, query), "keys": normal(seed + 1, keys.shape, keys)}
    scores = general_score(query=query, keys=keys, w=w)
    return all_of(
        closely(
            general_score(query=asbounded(query) + other["query"], keys=keys, w=w),
            scores + general_score(query=other["query"], keys=keys, w=w),
        ),
        closely(
            general_score(query=query, keys=asbounded(keys) + other["keys"], w=w),
            scores + general_score(query=query, keys=other["keys"], w=w),
        ),
        closely(general_score(query=query * 2, keys=keys, w=w), scores * 2.0),
    )


@fault(
    general_score,
    breaks=(general_score_is_bilinear, general_score_is_dot_score_of_projections),
    kind="formula",
    repair="Switch it off.",
)
def general_with_a_bias(query: Array, keys: Array, w: Array) -> Array:
    """The linear layer between the states was left its bias, so scores are no longer bilinear."""
    require(w.shape == (query.shape[-1], keys.shape[-1]), "w does not fit")
    return _dot(query @ w + 0.5, keys)


@law(inputs=bilinear_states(textures=PLAIN), surplus=st.integers(1, 3), by_rows=st.booleans(), examples=20)
def general_score_refuses_a_matrix_that_does_not_fit(
    general_score: Implementation, query: Array, keys: Array, w: Array, surplus: int, by_rows: bool
) -> Claim:
    """w has as many rows as the query is wide and as many columns as the keys are."""
    larger = np.concatenate([w] * (surplus + 1), axis=0 if by_rows else 1)
    return refused(general_score, "w", {"query": query, "keys": keys, "w": larger})


@fault(
    general_score,
    breaks=general_score_refuses_a_matrix_that_does_not_fit,
    kind="refusal",
    repair="Compare its shape with the widths, and raise ValueError.",
)
def general_cuts_its_matrix(query: Array, keys: Array, w: Array) -> Array:
    """A matrix that is too large is cut to fit."""
    return _dot(query @ w[: query.shape[-1], : keys.shape[-1]], keys)


def _general_cost(B: int, T: int, S: int, D: int) -> Cost:
    """The shorter side goes through the matrix first."""
    pairs = _dot_cost(B, T, S, D)
    return Cost(flops=pairs.flops + 2 * B * min(T, S) * D**2, moved=pairs.moved + D**2)


def _general_cost_backward(B: int, T: int, S: int, D: int) -> Cost:
    """Two more products for each; gradients as large as what was read."""
    cost = _general_cost(B, T, S, D)
    return Cost(flops=3 * cost.flops, moved=2 * cost.moved)


@workload(general_score, sizes=SENTENCES, cost=_general_cost, backward=_general_cost_backward, gradient=True)
def general_scores_of_a_step(random: np.random.Generator, B: int, T: int, S: int, D: int) -> Arguments:
    """The same states with a matrix of 1,000 x 1,000 between them (Luong et al. 2015, sections 3.1 and 4)."""
    return {**_states(random, B, T, S, D), "w": matrix(random, D, D)}
