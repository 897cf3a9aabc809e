"""Alignment scores: three ways to say how well a decoder state matches an encoder state.

Note of 2021-10-06. Attention first scores every pair of a target state h_t and a source state h_s, and only then
normalizes. Luong, Pham and Manning (Effective Approaches to Attention-based Neural Machine Translation, EMNLP 2015,
section 3.1) compare three scores: the inner product (dot), a bilinear form (general), and a small network over both
states (concat), which is the additive score of Bahdanau, Cho and Bengio (Neural Machine Translation by Jointly
Learning to Align and Translate, ICLR 2015, appendix A.1.2) written with one matrix instead of two.

Claimed: dot has no parameters and does not tell the two states apart; general turns into dot where its matrix is the
identity, and takes states of two widths; concat is the additive score, is bounded by its outer weights, and does
tell the two states apart. Not claimed: that one of them translates better.

Conventions. Scores are returned as they are: nothing is divided by the root of the width, as Vaswani et al. (2017) do,
and no softmax is taken. Here general is query w keyT with w (Q, M); a library that projects the keys first keeps w
transposed, as (out, in) of its linear layer. The rows of concat's w belong to the query first, then to the key;
Bahdanau et al. keep two matrices.

Erratum. The article that the note cites adds the two states and multiplies the sum by one matrix where it says concat.
That is concat with both halves of w tied, which makes the score symmetric and needs states of one width. Shown by
concat_score_tells_query_from_key and tied_halves_make_concat_score_additive.

Erratum. Its formula for general multiplies shapes that do not fit: w has to stand between the two states. Shown by
general_score_refuses_a_matrix_that_does_not_fit.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from layerlaws import Claim, Cost, all_of, at_most, closely, differ, fault, law, operation, refused, workload
from layerlaws.language import strategies as st
from layerlaws.language.inputs import PLAIN, arrays, extents, normal, seeds
from layerlaws.language.workloads import matrix
from layerlaws.numerics.bounded import asbounded
from layerlaws.numerics.mathematics import require

# --- inputs ---------------------------------------------------------------------------------------------------

PARAMETERS = ("integers", "normal", "one-hot", "sparse", "tiny")
"""Textures of weights: none so large that every tanh is saturated."""


@st.composite
def states(draw: st.DrawFn, textures: tuple[str, ...] | None = None) -> dict[str, Any]:
    """Target states as queries and source states as keys, of one width."""
    batch, queries, keys, width = draw(extents(4, edges=(1, 2, 3)))
    shapes = (batch, queries, width), (batch, keys, width)
    query, key = draw(arrays(*shapes, textures=textures) if textures else arrays(*shapes))
    return {"query": query, "keys": key}


@st.composite
def bilinear_states(draw: st.DrawFn, textures: tuple[str, ...] | None = None) -> dict[str, Any]:
    """States of two widths, mostly, and a matrix between them."""
    batch, queries, keys, width, key_width = draw(extents(5, edges=(1, 2, 3, 4)))
    shapes = (batch, queries, width), (batch, keys, key_width)
    query, key = draw(arrays(*shapes, textures=textures) if textures else arrays(*shapes))
    return {"query": query, "keys": key, "w": draw(arrays((width, key_width), textures=PARAMETERS))}


@st.composite
def additive_states(
    draw: st.DrawFn, textures: tuple[str, ...] | None = None, same_width: bool = False
) -> dict[str, Any]:
    """States of two widths, mostly, or of the same, and the weights of a network over both."""
    batch, queries, keys, width, key_width, hidden = draw(extents(6, edges=(1, 2, 3, 4, 5)))
    key_width = width if same_width else key_width
    shapes = (batch, queries, width), (batch, keys, key_width)
    query, key = draw(arrays(*shapes, textures=textures) if textures else arrays(*shapes))
    w, v = draw(arrays((width + key_width, hidden), (hidden,), textures=PLAIN if textures else PARAMETERS))
    return {"query": query, "keys": key, "w": w, "v": v}


@st.composite
def lopsided_states(draw: st.DrawFn) -> dict[str, Any]:
    """Plain states and weights of one width, for which concat differs from concat of the swapped states."""
    inputs = draw(additive_states(textures=PLAIN, same_width=True))
    return {**inputs, "query": inputs["query"] / 4, "keys": inputs["keys"] / 4, "v": inputs["v"] + 3.0}


# --- definitions ----------------------------------------------------------------------------------------------


@operation(inputs=states(), batch=("query", "keys"), differentiable=True)
def dot_score(query: Any, keys: Any) -> Any:
    """query . key, of every query with every key.

    query (B, T, D), keys (B, S, D)  ->  (B, T, S)
    """
    require(query.shape[-1] == keys.shape[-1], f"keys are {keys.shape[-1]} wide, query {query.shape[-1]}")
    return query @ keys.swapaxes(-1, -2)


@operation(inputs=bilinear_states(), batch=("query", "keys"), differentiable=True)
def general_score(query: Any, keys: Any, w: Any) -> Any:
    """query w keyT, of every query with every key.

    query (B, T, Q), keys (B, S, M), w (Q, M)  ->  (B, T, S)
    """
    expected = (query.shape[-1], keys.shape[-1])
    require(w.shape == expected, f"w has the shape {w.shape}, not {expected}")
    return query @ w @ keys.swapaxes(-1, -2)


@operation(inputs=additive_states(), batch=("query", "keys"), differentiable=True)
def concat_score(query: Any, keys: Any, w: Any, v: Any) -> Any:
    """v . tanh([query; key] w), of every query with every key.

    query (B, T, Q), keys (B, S, M), w (Q + M, A), v (A,)  ->  (B, T, S)
    """
    batch, length, width = query.shape
    _, count, key_width = keys.shape
    require(len(w) == width + key_width, f"w has {len(w)} rows, not {width} + {key_width}")
    require(v.shape == w.shape[1:], f"v has {v.shape[0]} elements, w {w.shape[1]} columns")
    pairs = np.concatenate(
        [
            np.broadcast_to(query[:, :, None], (batch, length, count, width)),
            np.broadcast_to(keys[:, None], (batch, length, count, key_width)),
        ],
        axis=-1,
    )
    return np.tanh(pairs @ w) @ v


# --- laws: dot ------------------------------------------------------------------------------------------------


@law()
def dot_score_does_not_tell_query_from_key(dot_score: Any, query: Any, keys: Any) -> Claim:
    """Queries and keys may change places: the scores are the same, transposed."""
    return closely(dot_score(query=keys, keys=query), dot_score(query=query, keys=keys).swapaxes(1, 2))


@law()
def dot_score_against_unit_vectors_reads_the_query(dot_score: Any, query: Any) -> Claim:
    """Keys that are unit vectors score the query's own components: there is nothing else in the score."""
    batch, _, width = query.shape
    units = np.broadcast_to(np.eye(width), (batch, width, width)).astype(query.dtype)
    return closely(dot_score(query=query, keys=units), query)


@law(added=st.integers(1, 4), seed=seeds)
def what_is_orthogonal_to_all_keys_scores_nothing(
    dot_score: Any, query: Any, keys: Any, added: int, seed: int
) -> Claim:
    """A component that is orthogonal to every key changes no score of the query that it is added to."""
    batch, length, _ = query.shape
    component = normal(seed, (batch, length, added), query, 3)
    wider = dot_score(
        query=np.concatenate([query, component], axis=-1),
        keys=np.concatenate([keys, np.zeros((batch, keys.shape[1], added), keys.dtype)], axis=-1),
    )
    return closely(wider, dot_score(query=query, keys=keys))


@law(inputs=states(textures=PLAIN), surplus=st.integers(1, 3), examples=20)
def dot_score_refuses_states_of_two_widths(dot_score: Any, query: Any, keys: Any, surplus: int) -> Claim:
    """An inner product takes two vectors of the same length."""
    wider = np.concatenate([keys] * (surplus + 1), axis=-1)
    return refused(dot_score, "keys", {"query": query, "keys": wider})


# --- laws: general --------------------------------------------------------------------------------------------


@law()
def general_score_with_the_identity_is_dot_score(general_score: Any, dot_score: Any, query: Any) -> Claim:
    """With the identity between query and key, general is dot."""
    keys = query[:, ::-1]
    identity = np.eye(query.shape[-1]).astype(query.dtype)
    return closely(general_score(query=query, keys=keys, w=identity), dot_score(query=query, keys=keys))


@law()
def general_score_is_dot_score_of_projections(
    general_score: Any, dot_score: Any, query: Any, keys: Any, w: Any
) -> Claim:
    """Projecting the query by w, or the key by w transposed, and taking dot gives general, whatever the two widths."""
    scores = general_score(query=query, keys=keys, w=w)
    return all_of(
        closely(dot_score(query=asbounded(query) @ w, keys=keys), scores),
        closely(dot_score(query=query, keys=asbounded(keys) @ w.T), scores),
    )


@law(seed=seeds)
def general_score_is_bilinear(general_score: Any, query: Any, keys: Any, w: Any, seed: int) -> Claim:
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


@law(inputs=bilinear_states(textures=PLAIN), surplus=st.integers(1, 3), by_rows=st.booleans(), examples=20)
def general_score_refuses_a_matrix_that_does_not_fit(
    general_score: Any, query: Any, keys: Any, w: Any, surplus: int, by_rows: bool
) -> Claim:
    """w has as many rows as the query is wide and as many columns as the keys are."""
    larger = np.concatenate([w] * (surplus + 1), axis=0 if by_rows else 1)
    return refused(general_score, "w", {"query": query, "keys": keys, "w": larger})


# --- laws: concat ---------------------------------------------------------------------------------------------


@law()
def concat_score_is_the_additive_score(concat_score: Any, query: Any, keys: Any, w: Any, v: Any) -> Claim:
    """With w cut into the query's rows and the key's, concat is Bahdanau's v . tanh(query w_q + key w_k)."""
    width = query.shape[-1]
    one, other = asbounded(query) @ w[:width], asbounded(keys) @ w[width:]
    additive = np.tanh(one[:, :, None] + other[:, None]) @ v
    return closely(concat_score(query=query, keys=keys, w=w, v=v), additive)


@law()
def concat_score_is_bounded_by_its_outer_weights(concat_score: Any, query: Any, keys: Any, w: Any, v: Any) -> Claim:
    """No score is larger than the sum of |v|, however large the states are."""
    reach = np.sum(np.abs(asbounded(v)))
    scores = concat_score(query=query * 64, keys=keys, w=w, v=v)
    return all_of(at_most(scores, reach), at_most(-reach, scores))


@law(inputs=additive_states(same_width=True))
def opposite_halves_make_concat_score_antisymmetric(concat_score: Any, query: Any, keys: Any, w: Any, v: Any) -> Claim:
    """Where the key's half of w is minus the query's, states that change places change the sign: score(h, h) = 0."""
    half = w[: query.shape[-1]]
    opposite = np.concatenate([half, -half], axis=0)
    scores = concat_score(query=query, keys=keys, w=opposite, v=v)
    swapped = concat_score(query=keys, keys=query, w=opposite, v=v).swapaxes(1, 2)
    itself = np.diagonal(concat_score(query=query, keys=query, w=opposite, v=v), axis1=1, axis2=2)
    return all_of(closely(swapped, -scores), closely(itself, np.zeros(itself.shape)))


@law(inputs=lopsided_states())
def concat_score_tells_query_from_key(concat_score: Any, query: Any, keys: Any, w: Any, v: Any) -> Claim:
    """Erratum. Concatenating is not adding: states that change places get other scores, unless w treats both alike."""
    arguments = {"query": query, "keys": keys, "w": w, "v": v}
    swapped = {"query": keys, "keys": query, "w": w, "v": v}
    scores, swapped_scores = concat_score(**arguments), concat_score(**swapped).swapaxes(1, 2)
    expected = concat_score.definition(**arguments), concat_score.definition(**swapped).swapaxes(1, 2)
    return differ(scores, swapped_scores, expected)


@law(inputs=additive_states(same_width=True))
def tied_halves_make_concat_score_additive(concat_score: Any, query: Any, keys: Any, w: Any, v: Any) -> Claim:
    """Erratum. Where both halves of w are the same, and only there, concat is v . tanh((query + key) w), in which
    states may change places.
    """
    half = w[: query.shape[-1]]
    tied = np.concatenate([half, half], axis=0)
    scores = concat_score(query=query, keys=keys, w=tied, v=v)
    sums = asbounded(query)[:, :, None] + asbounded(keys)[:, None]
    swapped = concat_score(query=keys, keys=query, w=tied, v=v).swapaxes(1, 2)
    return all_of(closely(scores, np.tanh(sums @ half) @ v), closely(swapped, scores))


@law(inputs=additive_states(textures=PLAIN), surplus=st.integers(1, 3), examples=20)
def concat_score_refuses_a_matrix_for_other_states(
    concat_score: Any, query: Any, keys: Any, w: Any, v: Any, surplus: int
) -> Claim:
    """w has a row for every component of the query and of the key."""
    larger = np.concatenate([w] * (surplus + 1), axis=0)
    return refused(concat_score, "w", {"query": query, "keys": keys, "w": larger, "v": v})


@law(inputs=additive_states(textures=PLAIN), surplus=st.integers(1, 3), examples=20)
def concat_score_refuses_other_outer_weights(
    concat_score: Any, query: Any, keys: Any, w: Any, v: Any, surplus: int
) -> Claim:
    """v has an element for every column of w."""
    longer = np.concatenate([v] * (surplus + 1))
    return refused(concat_score, "v", {"query": query, "keys": keys, "w": w, "v": longer})


# --- laws: all three ------------------------------------------------------------------------------------------


@law(place=st.integers(0, 9))
def a_pair_scores_the_same_in_any_company(
    concat_score: Any, general_score: Any, dot_score: Any, query: Any, keys: Any, w: Any, v: Any, place: int
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


# --- faults ---------------------------------------------------------------------------------------------------


def _dot(query: Any, keys: Any) -> Any:
    require(query.shape[-1] == keys.shape[-1], "keys and query differ in width")
    return query @ keys.swapaxes(-1, -2)


def _additive(query: Any, keys: Any, w: Any, v: Any, squash: Any = np.tanh) -> Any:
    """Bahdanau's form, on which faults are built; w and v have to fit."""
    width = query.shape[-1]
    require(len(w) == width + keys.shape[-1] and v.shape == w.shape[1:], "w or v does not fit")
    return squash((query @ w[:width])[:, :, None] + (keys @ w[width:])[:, None]) @ v


@fault(dot_score, breaks=("dot_score_does_not_tell_query_from_key", "dot_score_against_unit_vectors_reads_the_query"),
       seen="https://github.com/OpenNMT/OpenNMT-py/pull/141")  # fmt: skip
def dot_with_a_matrix_of_its_own(query: Any, keys: Any) -> Any:
    """What is called dot has a learned matrix between the states: that is general. Multiply the states themselves."""
    width = query.shape[-1]
    return _dot(query @ (np.tri(width) * 0.5).astype(query.dtype), keys)


@fault(dot_score, breaks=("what_is_orthogonal_to_all_keys_scores_nothing",
                          "dot_score_against_unit_vectors_reads_the_query"))  # fmt: skip
def dot_score_is_a_cosine(query: Any, keys: Any) -> Any:
    """Queries are normalized to length 1. The inner product is taken of the states as they are."""
    length = np.sqrt(np.sum(np.square(query), axis=-1, keepdims=True))
    return _dot(query / np.where(length > 0, length, 1.0).astype(query.dtype), keys)


@fault(dot_score, breaks=("dot_score_against_unit_vectors_reads_the_query",
                          "what_is_orthogonal_to_all_keys_scores_nothing"))  # fmt: skip
def dot_score_is_divided_by_the_root_of_the_width(query: Any, keys: Any) -> Any:
    """Scores are divided by the root of the width, as the Transformer does. Luong's dot is not scaled."""
    return _dot(query, keys) * query.shape[-1] ** -0.5


@fault(dot_score, breaks="dot_score_refuses_states_of_two_widths")
def dot_score_cuts_the_wider_state(query: Any, keys: Any) -> Any:
    """The wider of two states is cut to the width of the other. Compare the widths, and raise ValueError."""
    width = min(query.shape[-1], keys.shape[-1])
    return _dot(query[..., :width], keys[..., :width])


@fault(dot_score, breaks="a_pair_scores_the_same_in_any_company")
def dot_score_is_centred(query: Any, keys: Any) -> Any:
    """The mean score of a query is subtracted, which only the softmax would not notice. Return scores as they are."""
    scores = _dot(query, keys)
    return scores - np.mean(scores, axis=-1, keepdims=True)


@fault(general_score, breaks=("general_score_is_dot_score_of_projections", "agrees_with_definition"))
def general_with_the_matrix_transposed(query: Any, keys: Any, w: Any) -> Any:
    """The matrix of a linear layer is used as it is stored, (out, in), which fits where both widths are the same.
    Transpose it.
    """
    require(w.shape == (query.shape[-1], keys.shape[-1]), "w does not fit")
    square = w.shape[0] == w.shape[1]
    return _dot(query @ (w.T if square else w), keys)


@fault(general_score, breaks="general_score_with_the_identity_is_dot_score")
def general_with_a_residual(query: Any, keys: Any, w: Any) -> Any:
    """The projection is added to the query, as in a residual layer. It has to take the query's place."""
    require(w.shape == (query.shape[-1], keys.shape[-1]), "w does not fit")
    return _dot(query @ (w + np.eye(*w.shape).astype(w.dtype)), keys)


@fault(general_score, breaks=("general_score_is_bilinear", "general_score_is_dot_score_of_projections"))
def general_with_a_bias(query: Any, keys: Any, w: Any) -> Any:
    """The linear layer between the states was left its bias, so scores are no longer bilinear. Switch it off."""
    require(w.shape == (query.shape[-1], keys.shape[-1]), "w does not fit")
    return _dot(query @ w + 0.5, keys)


@fault(general_score, breaks="a_pair_scores_the_same_in_any_company")
def general_is_already_a_softmax(query: Any, keys: Any, w: Any) -> Any:
    """Weights are returned where scores belong. Leave the softmax to the caller."""
    scores = _dot(query @ w, keys)
    raised = np.exp(scores - np.max(scores, axis=-1, keepdims=True))
    return raised / np.sum(raised, axis=-1, keepdims=True)


@fault(general_score, breaks="general_score_refuses_a_matrix_that_does_not_fit")
def general_cuts_its_matrix(query: Any, keys: Any, w: Any) -> Any:
    """A matrix that is too large is cut to fit. Compare its shape with the widths, and raise ValueError."""
    return _dot(query @ w[: query.shape[-1], : keys.shape[-1]], keys)


@fault(concat_score, breaks=("concat_score_tells_query_from_key", "opposite_halves_make_concat_score_antisymmetric",
                             "concat_score_is_the_additive_score"))  # fmt: skip
def adds_instead_of_concatenating(query: Any, keys: Any, w: Any, v: Any) -> Any:
    """Both states go through the same half of w, as if they were added first. Give each its own rows."""
    width, common = query.shape[-1], min(query.shape[-1], keys.shape[-1])
    return _additive(query, keys, np.concatenate([w[:width], w[:common], w[width + common :]], axis=0), v)


@fault(concat_score, breaks="tied_halves_make_concat_score_additive")
def concatenates_with_the_key_reversed(query: Any, keys: Any, w: Any, v: Any) -> Any:
    """The components of the key meet the rows of w in reverse. Row Q + m belongs to component m of the key."""
    return _additive(query, keys[..., ::-1], w, v)


@fault(concat_score, breaks=("concat_score_is_bounded_by_its_outer_weights", "concat_score_is_the_additive_score"))
def concat_without_tanh(query: Any, keys: Any, w: Any, v: Any) -> Any:
    """The network has no non-linearity, so that the query only shifts all its scores. Take tanh before v."""
    return _additive(query, keys, w, v, squash=np.positive)


@fault(concat_score, breaks="concat_score_is_the_additive_score")
def concat_with_the_key_first(query: Any, keys: Any, w: Any, v: Any) -> Any:
    """The key is put in front of the query, so that each meets the other's rows of w. The query comes first."""
    count = keys.shape[-1]
    return _additive(query, keys, np.concatenate([w[count:], w[:count]], axis=0), v)


@fault(concat_score, breaks="concat_score_refuses_a_matrix_for_other_states")
def concat_cuts_its_matrix(query: Any, keys: Any, w: Any, v: Any) -> Any:
    """Rows of w beyond the two states are dropped. Count them, and raise ValueError."""
    return _additive(query, keys, w[: query.shape[-1] + keys.shape[-1]], v)


@fault(concat_score, breaks="concat_score_refuses_other_outer_weights")
def concat_cuts_its_outer_weights(query: Any, keys: Any, w: Any, v: Any) -> Any:
    """Elements of v beyond the columns of w are dropped. Count them, and raise ValueError."""
    return _additive(query, keys, w, v[: w.shape[1]])


@fault(concat_score, breaks="a_pair_scores_the_same_in_any_company")
def concat_scores_are_centred_over_queries(query: Any, keys: Any, w: Any, v: Any) -> Any:
    """The mean over the queries is subtracted: scores run along the wrong axis. A score concerns one pair."""
    scores = _additive(query, keys, w, v)
    return scores - np.mean(scores, axis=1, keepdims=True)


# --- workloads ------------------------------------------------------------------------------------------------


SENTENCES = {"B": 128, "T": 1, "S": 50, "D": 1000}
"""One step of decoding, 128 sentences of 50 words, 1,000 units (Luong et al. 2015, section 4)."""


def _states(random: np.random.Generator, B: int, T: int, S: int, D: int) -> dict[str, Any]:
    return {"query": np.tanh(random.standard_normal((B, T, D))), "keys": np.tanh(random.standard_normal((B, S, D)))}


def _dot_cost(B: int, T: int, S: int, D: int) -> Cost:
    """One product of all pairs; both sides' states are read."""
    return Cost(flops=2 * B * T * S * D, moved=B * ((T + S) * D + T * S))


def _dot_cost_backward(B: int, T: int, S: int, D: int) -> Cost:
    """Two more products; gradients as large as what was read."""
    return Cost(flops=6 * B * T * S * D, moved=2 * B * ((T + S) * D + T * S))


@workload(dot_score, sizes=SENTENCES, cost=_dot_cost, backward=_dot_cost_backward, gradient=True)
def dot_scores_of_a_step(random: np.random.Generator, B: int, T: int, S: int, D: int) -> dict[str, Any]:
    """One target state of 128 sentences against the 50 words of their sources, 1,000 wide (Luong et al. 2015, section
    4).
    """
    return _states(random, B, T, S, D)


def _general_cost(B: int, T: int, S: int, D: int) -> Cost:
    """The shorter side goes through the matrix first."""
    pairs = _dot_cost(B, T, S, D)
    return Cost(flops=pairs.flops + 2 * B * min(T, S) * D**2, moved=pairs.moved + D**2)


def _general_cost_backward(B: int, T: int, S: int, D: int) -> Cost:
    """Two more products for each; gradients as large as what was read."""
    cost = _general_cost(B, T, S, D)
    return Cost(flops=3 * cost.flops, moved=2 * cost.moved)


@workload(general_score, sizes=SENTENCES, cost=_general_cost, backward=_general_cost_backward, gradient=True)
def general_scores_of_a_step(random: np.random.Generator, B: int, T: int, S: int, D: int) -> dict[str, Any]:
    """The same states with a matrix of 1,000 x 1,000 between them (Luong et al. 2015, sections 3.1 and 4)."""
    return {**_states(random, B, T, S, D), "w": matrix(random, D, D)}


def _concat_cost(B: int, T: int, S: int, D: int) -> Cost:
    """Each state through its half of the matrix once; each pair weighed by v."""
    return Cost(flops=2 * B * (T + S) * D**2 + 2 * B * T * S * D, moved=B * ((T + S) * D + T * S) + 2 * D**2 + D)


@workload(concat_score, sizes=SENTENCES, cost=_concat_cost, gradient=True)
def concat_scores_of_a_step(random: np.random.Generator, B: int, T: int, S: int, D: int) -> dict[str, Any]:
    """The same states through a network of 1,000 hidden units (Luong et al. 2015, sections 3.1 and 4)."""
    return {**_states(random, B, T, S, D), "w": matrix(random, 2 * D, D), "v": random.standard_normal(D) / D**0.5}
