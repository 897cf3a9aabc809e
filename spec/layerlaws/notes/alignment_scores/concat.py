"""The concat score: a small network over both states, which is the additive score; and a law of all three."""

from __future__ import annotations

from collections.abc import Callable

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
    at_most,
    closely,
    differ,
    extents,
    fault,
    law,
    linear_sum,
    matrix,
    operation,
    refused,
    require,
    sigmoid,
    workload,
)
from layerlaws.language import strategies as st
from layerlaws.notes.alignment_scores.dot import SENTENCES, _dot, _states, dot_score
from layerlaws.notes.alignment_scores.general import PARAMETERS, general_score


@st.composite
def additive_states(draw: st.DrawFn, textures: tuple[str, ...] | None = None, same_width: bool = False) -> Arguments:
    """States of two widths, mostly, or of the same, and the weights of a network over both."""
    batch, queries, keys, width, key_width, hidden = draw(extents(6, edges=(1, 2, 3, 4, 5)))
    key_width = width if same_width else key_width
    shapes = (batch, queries, width), (batch, keys, key_width)
    query, key = draw(arrays(*shapes, textures=textures) if textures else arrays(*shapes))
    w, v = draw(arrays((width + key_width, hidden), (hidden,), textures=PLAIN if textures else PARAMETERS))
    return {"query": query, "keys": key, "w": w, "v": v}


@st.composite
def lopsided_states(draw: st.DrawFn) -> Arguments:
    """Plain states and weights of one width, for which concat differs from concat of the swapped states."""
    inputs = draw(additive_states(textures=PLAIN, same_width=True))
    return {**inputs, "query": inputs["query"] / 4, "keys": inputs["keys"] / 4, "v": inputs["v"] + 3.0}


@operation(inputs=additive_states(), batch=("query", "keys"), differentiable=True)
def concat_score(query: Array, keys: Array, w: Array, v: Array) -> Array:
    """v . tanh([query; key] w), of every query with every key.

    query (B, T, Q), keys (B, S, M), w (Q + M, A), v (A,)  ->  (B, T, S)
    """
    batch, length, width = query.shape
    _, count, key_width = keys.shape
    require(len(w) == width + key_width, f"w has {len(w)} rows, not {width} + {key_width}")
    require(v.shape == w.shape[1:], f"v has {v.shape[0]} elements, w {w.shape[1]} columns")
    asking = np.broadcast_to(query[:, :, None], (batch, length, count, width))
    asked = np.broadcast_to(keys[:, None], (batch, length, count, key_width))
    return np.tanh(linear_sum((asking, w[:width]), (asked, w[width:]))) @ v


def _additive(query: Array, keys: Array, w: Array, v: Array, squash: Callable[[Array], Array] = np.tanh) -> Array:
    """Bahdanau's form, on which faults are built; w and v have to fit."""
    width = query.shape[-1]
    require(len(w) == width + keys.shape[-1] and v.shape == w.shape[1:], "w or v does not fit")
    return squash((query @ w[:width])[:, :, None] + (keys @ w[width:])[:, None]) @ v


@law()
def concat_score_is_the_additive_score(
    concat_score: Implementation, query: Array, keys: Array, w: Array, v: Array
) -> Claim:
    """With w cut into the query's rows and the key's, concat is Bahdanau's v . tanh(query w_q + key w_k)."""
    width = query.shape[-1]
    one, other = asbounded(query) @ w[:width], asbounded(keys) @ w[width:]
    additive = np.tanh(one[:, :, None] + other[:, None]) @ v
    return closely(concat_score(query=query, keys=keys, w=w, v=v), additive)


@fault(
    concat_score,
    breaks=concat_score_is_the_additive_score,
    kind="order",
    repair="The query comes first.",
)
def concat_with_the_key_first(query: Array, keys: Array, w: Array, v: Array) -> Array:
    """The key is put in front of the query, so that each meets the other's rows of w."""
    count = keys.shape[-1]
    return _additive(query, keys, np.concatenate([w[count:], w[:count]], axis=0), v)


@fault(
    concat_score,
    breaks="agrees_at_every_scale",
    kind="precision",
    repair="Take tanh itself, which is accurate near 0.",
    seen="https://github.com/tinygrad/tinygrad/pull/107",
)
def concat_squashes_by_a_sigmoid(query: Array, keys: Array, w: Array, v: Array) -> Array:
    """tanh is 2 sigmoid(2 x) - 1, which loses all digits of small numbers."""
    return _additive(query, keys, w, v, lambda x: sigmoid(x * 2.0) * 2.0 - 1.0)


@law()
def concat_score_is_bounded_by_its_outer_weights(
    concat_score: Implementation, query: Array, keys: Array, w: Array, v: Array
) -> Claim:
    """No score is larger than the sum of |v|, however large the states are."""
    reach = np.sum(np.abs(asbounded(v)))
    scores = concat_score(query=query * 64, keys=keys, w=w, v=v)
    return all_of(at_most(scores, reach), at_most(-reach, scores))


@fault(
    concat_score,
    breaks=(concat_score_is_bounded_by_its_outer_weights, concat_score_is_the_additive_score),
    kind="formula",
    repair="Take tanh before v.",
)
def concat_without_tanh(query: Array, keys: Array, w: Array, v: Array) -> Array:
    """The network has no non-linearity, so that the query only shifts all its scores."""
    return _additive(query, keys, w, v, squash=np.positive)


@law(inputs=additive_states(same_width=True))
def opposite_halves_make_concat_score_antisymmetric(
    concat_score: Implementation, query: Array, keys: Array, w: Array, v: Array
) -> Claim:
    """Where the key's half of w is minus the query's, states that change places change the sign: score(h, h) = 0."""
    half = w[: query.shape[-1]]
    opposite = np.concatenate([half, -half], axis=0)
    scores = concat_score(query=query, keys=keys, w=opposite, v=v)
    swapped = concat_score(query=keys, keys=query, w=opposite, v=v).swapaxes(1, 2)
    itself = np.diagonal(concat_score(query=query, keys=query, w=opposite, v=v), axis1=1, axis2=2)
    return all_of(closely(swapped, -scores), closely(itself, np.zeros(itself.shape)))


@law(inputs=lopsided_states())
def concat_score_tells_query_from_key(
    concat_score: Implementation, query: Array, keys: Array, w: Array, v: Array
) -> Claim:
    """Erratum. Concatenating is not adding: states that change places get other scores, unless w treats both alike."""
    arguments = {"query": query, "keys": keys, "w": w, "v": v}
    swapped = {"query": keys, "keys": query, "w": w, "v": v}
    scores, swapped_scores = concat_score(**arguments), concat_score(**swapped).swapaxes(1, 2)
    expected = concat_score.definition(**arguments), concat_score.definition(**swapped).swapaxes(1, 2)
    return differ(scores, swapped_scores, expected)


@fault(
    concat_score,
    breaks=(
        concat_score_tells_query_from_key,
        opposite_halves_make_concat_score_antisymmetric,
        concat_score_is_the_additive_score,
    ),
    kind="formula",
    repair="Give each its own rows.",
)
def adds_instead_of_concatenating(query: Array, keys: Array, w: Array, v: Array) -> Array:
    """Both states go through the same half of w, as if they were added first."""
    width, common = query.shape[-1], min(query.shape[-1], keys.shape[-1])
    return _additive(query, keys, np.concatenate([w[:width], w[:common], w[width + common :]], axis=0), v)


@law(inputs=additive_states(same_width=True))
def tied_halves_make_concat_score_additive(
    concat_score: Implementation, query: Array, keys: Array, w: Array, v: Array
) -> Claim:
    """Erratum. Where both halves of w are the same, and only there, concat is v . tanh((query + key) w), in which
    states may change places.
    """
    half = w[: query.shape[-1]]
    tied = np.concatenate([half, half], axis=0)
    scores = concat_score(query=query, keys=keys, w=tied, v=v)
    sums = asbounded(query)[:, :, None] + asbounded(keys)[:, None]
    swapped = concat_score(query=keys, keys=query, w=tied, v=v).swapaxes(1, 2)
    return all_of(closely(scores, np.tanh(sums @ half) @ v), closely(swapped, scores))


@fault(
    concat_score,
    breaks=tied_halves_make_concat_score_additive,
    kind="order",
    repair="Row Q + m belongs to component m of the key.",
)
def concatenates_with_the_key_reversed(query: Array, keys: Array, w: Array, v: Array) -> Array:
    """The components of the key meet the rows of w in reverse."""
    return _additive(query, keys[..., ::-1], w, v)


@law(inputs=additive_states(textures=PLAIN), surplus=st.integers(1, 3), examples=20)
def concat_score_refuses_a_matrix_for_other_states(
    concat_score: Implementation, query: Array, keys: Array, w: Array, v: Array, surplus: int
) -> Claim:
    """w has a row for every component of the query and of the key."""
    larger = np.concatenate([w] * (surplus + 1), axis=0)
    return refused(concat_score, "w", {"query": query, "keys": keys, "w": larger, "v": v})


@fault(
    concat_score,
    breaks=concat_score_refuses_a_matrix_for_other_states,
    kind="refusal",
    repair="Count them, and raise ValueError.",
)
def concat_cuts_its_matrix(query: Array, keys: Array, w: Array, v: Array) -> Array:
    """Rows of w beyond the two states are dropped."""
    return _additive(query, keys, w[: query.shape[-1] + keys.shape[-1]], v)


@law(inputs=additive_states(textures=PLAIN), surplus=st.integers(1, 3), examples=20)
def concat_score_refuses_other_outer_weights(
    concat_score: Implementation, query: Array, keys: Array, w: Array, v: Array, surplus: int
) -> Claim:
    """v has an element for every column of w."""
    longer = np.concatenate([v] * (surplus + 1))
    return refused(concat_score, "v", {"query": query, "keys": keys, "w": w, "v": longer})


@fault(
    concat_score,
    breaks=concat_score_refuses_other_outer_weights,
    kind="refusal",
    repair="Count them, and raise ValueError.",
)
def concat_cuts_its_outer_weights(query: Array, keys: Array, w: Array, v: Array) -> Array:
    """Elements of v beyond the columns of w are dropped."""
    return _additive(query, keys, w, v[: w.shape[1]])


@law(place=st.integers(0, 9))
def a_pair_scores_the_same_in_any_company(
    concat_score: Implementation,
    general_score: Implementation,
    dot_score: Implementation,
    query: Array,
    keys: Array,
    w: Array,
    v: Array,
    place: int,
) -> Claim:
    """One query and one key alone get the score that they get among others: a score is not normalized."""
    t, s = place % query.shape[1], place % keys.shape[1]
    matrix = np.broadcast_to(w[: query.shape[-1], :1], (query.shape[-1], keys.shape[-1])).copy()
    claims = []
    for score, one, more in (
        (concat_score, keys, {"w": w, "v": v}),
        (general_score, keys, {"w": matrix}),
        (dot_score, query[:, ::-1], {}),
    ):
        column = s % one.shape[1]
        among = score(query=query, keys=one, **more)[:, t : t + 1, column : column + 1]
        alone = score(query=query[:, t : t + 1], keys=one[:, column : column + 1], **more)
        claims.append(closely(alone, among))
    return all_of(*claims)


@fault(
    dot_score,
    breaks=a_pair_scores_the_same_in_any_company,
    kind="formula",
    repair="Return scores as they are.",
)
def dot_score_is_centred(query: Array, keys: Array) -> Array:
    """The mean score of a query is subtracted, which only the softmax would not notice."""
    scores = _dot(query, keys)
    return scores - np.mean(scores, axis=-1, keepdims=True)


@fault(
    general_score,
    breaks=a_pair_scores_the_same_in_any_company,
    kind="formula",
    repair="Leave the softmax to the caller.",
)
def general_is_already_a_softmax(query: Array, keys: Array, w: Array) -> Array:
    """Weights are returned where scores belong."""
    scores = _dot(query @ w, keys)
    raised = np.exp(scores - np.max(scores, axis=-1, keepdims=True))
    return raised / np.sum(raised, axis=-1, keepdims=True)


@fault(
    concat_score,
    breaks=a_pair_scores_the_same_in_any_company,
    kind="axis",
    repair="A score concerns one pair.",
)
def concat_scores_are_centred_over_queries(query: Array, keys: Array, w: Array, v: Array) -> Array:
    """The mean over the queries is subtracted: scores run along the wrong axis."""
    scores = _additive(query, keys, w, v)
    return scores - np.mean(scores, axis=1, keepdims=True)


def _concat_cost(B: int, T: int, S: int, D: int) -> Cost:
    """Each state through its half of the matrix once; each pair weighed by v."""
    return Cost(flops=2 * B * (T + S) * D**2 + 2 * B * T * S * D, moved=B * ((T + S) * D + T * S) + 2 * D**2 + D)


@workload(concat_score, sizes=SENTENCES, cost=_concat_cost, gradient=True)
def concat_scores_of_a_step(random: np.random.Generator, B: int, T: int, S: int, D: int) -> Arguments:
    """The same states through a network of 1,000 hidden units (Luong et al. 2015, sections 3.1 and 4)."""
    return {**_states(random, B, T, S, D), "w": matrix(random, 2 * D, D), "v": random.standard_normal(D) / D**0.5}
