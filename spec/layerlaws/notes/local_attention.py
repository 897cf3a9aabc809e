"""Local attention: every target state looks at a few neighbouring source states, however long the sentence is.

Note of 2021-10-01. Global attention scores all S source states at every target step. Luong, Pham and Manning
(Effective Approaches to Attention-based Neural Machine Translation, EMNLP 2015, section 3.2) choose a centre p_t first
and take the softmax over the window [p_t - w, p_t + w] only. The centre is the step itself, p_t = t (monotonic, for
languages that run alike), or is predicted from the state, p_t = S sigmoid(v_p . tanh(h_t w_p)) (predictive); then the
weights are multiplied by a Gaussian around p_t with sigma = w/2, which lets gradient reach the prediction although the
borders of the window jump.

Claimed: states outside the window have no effect at all, so that the work at a step does not grow with S; with a
window over everything the monotonic form is global attention; the gradient of the predictive form reaches w_p and v_p.
Not claimed: that it translates better, or that predicted centres are alignments.

Conventions. Positions are 0 ... S - 1 and states outside the sentence are left out; libraries that pad instead give
weight to what they padded with. The score is the plain inner product (`dot_score`). The window stands around floor(p),
not round(p), and always has 2 w + 1 places. The Gaussian is not renormalized: predictive weights sum to less than 1.
A monotonic window behind the last state, t > S - 1 + w, is empty: weights and context are 0. A prediction that lies
within its rounding error of a whole position is undecidable: its window may be either of two.

Erratum. "Only 2 D + 1 states" for a window [p_t - D, p_t + D] holds for whole p_t alone; around a real p_t there are 2
D. The window around floor(p_t) has its 2 D + 1 states always, and the first of them lies farther than D from p_t. Shown
by a_real_centre_has_only_twice_the_window_within_reach.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from layerlaws import Claim, Cost, Headline, all_of, at_most, closely, exactly, fault, law, operation, refused, workload
from layerlaws.language import strategies as st
from layerlaws.language.dependence import dependence
from layerlaws.language.inputs import PLAIN, arrays, extents, huge, normal, rewritten, seeds
from layerlaws.notes.alignment_scores import dot_score
from layerlaws.notes.multi_head_attention import scaled_dot_product_attention
from layerlaws.numerics.bounded import Bounded, asbounded, error_of, rounded, value_of
from layerlaws.numerics.formats import FORMATS
from layerlaws.numerics.mathematics import require, sigmoid, softmax
from layerlaws.numerics.reverse_mode import with_slope
from layerlaws.support.errors import Undecidable

# --- definitions ----------------------------------------------------------------------------------------------


def _positions(query: Any, w_p: Any, v_p: Any, count: int) -> Any:
    """count sigmoid(v_p . tanh(query w_p)): the predicted centre of every query. -> (B, T)."""

    @with_slope(lambda position, x: position * (1.0 - position / count))
    def placed(x: Any) -> Any:
        """The sigmoid of 0 is 1/2 in every implementation, without rounding: there the middle is hit exactly."""
        nothing = (value_of(x) == 0) & (error_of(x) == 0)
        return np.where(nothing, count / 2, count * sigmoid(x))

    return placed(np.tanh(query @ w_p) @ v_p)


def _near(centres: Any, window: int, count: int) -> Any:
    """True at the places within a window of whole centres. (...) -> (..., count)."""
    return np.abs(np.arange(count) - np.asarray(centres)[..., None]) <= window


# --- inputs ---------------------------------------------------------------------------------------------------


@st.composite
def decoder_steps(draw: st.DrawFn, textures: tuple[str, ...] | None = None, longer: int = 0) -> dict[str, Any]:
    """Queries and keys of any two lengths; longer: so many more queries than the window of the last key reaches."""
    batch, queries, keys, width = draw(extents(4, edges=(1, 2, 3)))
    window = draw(st.one_of(st.integers(0, 4), st.just(max(queries, keys))))
    if longer:
        window %= 4
        queries = keys + window + longer
    shapes = (batch, queries, width), (batch, keys, width)
    query, key = draw(arrays(*shapes, textures=textures) if textures else arrays(*shapes))
    return {"query": query / 4, "keys": key, "window": window}


@st.composite
def plain_steps(draw: st.DrawFn) -> dict[str, Any]:
    """Small numbers of one size, and scores near each other, so that every influence can be seen."""
    batch, queries, keys, width = draw(extents(4))
    query, key = draw(arrays((batch, queries, width), (batch, keys, width), textures=PLAIN))
    return {"query": query / 512, "keys": key, "window": draw(st.integers(0, 3))}


CANDIDATES = 16
"""Queries drawn for every one that is used."""


@st.composite
def predicting_steps(draw: st.DrawFn, plain: bool = False) -> dict[str, Any]:
    """Queries whose windows are decided, in half precision, too, wherever there are such.

    plain: scores near each other, and a wide Gaussian, so that every influence can be seen.

    Of several queries the one is taken whose centre is farthest from a whole position, by more than its rounding
    error. In half precision that leaves the first places of a long sentence, so in some examples the error is that of
    single precision, which leaves them all.
    """
    batch, queries, keys, width, hidden = draw(extents(5, edges=() if plain else (1, 2, 3)))
    window = draw(st.integers(4, 5) if plain else st.one_of(st.integers(1, 4), st.just(keys)))
    generator = np.random.default_rng(draw(seeds))
    format = FORMATS["float32" if not plain and draw(st.integers(0, 15)) == 15 else "bfloat16"]
    w_p = generator.standard_normal((width, hidden))
    # Wide queries leave no centre but the middle decided in half precision; the places of long sentences lie far apart.
    sizes_of_v = (0,) if width > 9 else (0, 1, 2, 4) if keys < 9 else (0, 9)
    v_p = generator.standard_normal(hidden) / hidden * draw(st.sampled_from(sizes_of_v))
    sizes = 4.0 ** generator.integers(-2, 3, (batch, queries, CANDIDATES, 1))
    candidates = generator.standard_normal((batch, queries, CANDIDATES, width)) * sizes
    exact = [Bounded(x, 0.0, format) for x in (candidates, w_p, v_p)]
    centres = _positions(exact[0], exact[1], exact[2], keys)
    spare = np.abs(centres.value - np.rint(centres.value)) - centres.error
    best = np.argmax(np.where(np.isnan(spare), -np.inf, spare), axis=2)[..., None, None]
    query = np.take_along_axis(candidates, best, axis=2)[:, :, 0]
    shape, share = (batch, keys, width), 2.0 ** -(12 if plain else 6 if width > 9 else 4)  # the centres stay
    key = draw(arrays(shape, textures=PLAIN) if plain else arrays(shape))
    return {"query": query * share, "keys": key, "w_p": w_p / share, "v_p": v_p, "window": window}


# --- operations -----------------------------------------------------------------------------------------------


@operation(inputs=decoder_steps(), batch=("query", "keys"), differentiable=True)
def local_attention_monotonic(query: Any, keys: Any, window: int) -> Any:
    """softmax(query . key over keys s with |s - t| <= window), and the sum of keys weighted by it; 0 where none is.

    query (B, T, D), keys (B, S, D)  ->  context (B, T, D), weights (B, T, S)
    """
    require(window >= 0, f"window = {window} is negative")
    weights = softmax(dot_score(query, keys), where=_near(np.arange(query.shape[1]), window, keys.shape[1]))
    return weights @ keys, weights


@operation(inputs=predicting_steps(), batch=("query", "keys"), differentiable=True)
def local_attention_predictive(query: Any, keys: Any, w_p: Any, v_p: Any, window: int) -> Any:
    """softmax(query . key over |s - floor(p)| <= window) exp(-(s - p)^2 / (2 sigma^2)), and keys weighted by it.

    p = S sigmoid(v_p . tanh(query w_p)), sigma = window / 2.
    query (B, T, D), keys (B, S, D), w_p (D, A), v_p (A,)  ->  context (B, T, D), weights (B, T, S)
    """
    require(window >= 1, f"window = {window} is empty: a predicted window reaches at least 1")
    require(w_p.shape[0] == query.shape[-1], f"w_p has {w_p.shape[0]} rows, query is {query.shape[-1]} wide")
    require(v_p.shape == w_p.shape[1:], f"v_p has {v_p.shape[0]} elements, w_p {w_p.shape[1]} columns")
    count = keys.shape[1]
    centres = _positions(query, w_p, v_p, count)
    shares = softmax(dot_score(query, keys), where=_near(np.floor(centres), window, count))
    sigma = window / 2
    weights = shares * np.exp(-np.square(np.arange(count) - centres[..., None]) / (2 * sigma**2))
    return weights @ keys, weights


# --- inputs of single laws ------------------------------------------------------------------------------------


@st.composite
def central_predictions(draw: st.DrawFn, counts: tuple[int, ...] = (5, 5, 7), scale: float = 512.0) -> dict[str, Any]:
    """Constant scores, and centres near the middle of a short sentence of odd length: half-way between places."""
    batch, queries, width, _ = draw(extents(4, edges=(1, 2)))
    hidden, keys = draw(st.sampled_from((1, 2, 4))), draw(st.sampled_from(counts))
    query, w_p = draw(arrays((batch, queries, width), (width, hidden), textures=PLAIN))
    signs = np.random.default_rng(draw(seeds)).choice([-1.0, 1.0], hidden)
    window = draw(st.integers(1, max(keys - 1, 2) // 2))
    return {
        "query": query * scale, "keys": np.zeros((batch, keys, width)), "w_p": w_p, "v_p": signs / hidden / 32,
        "window": window,
    }  # fmt: skip


@st.composite
def middle_steps(draw: st.DrawFn, even: bool = False) -> dict[str, Any]:
    """v_p = 0: every centre is exactly the middle of the sentence, a whole position where that is even."""
    batch, queries, keys, width, hidden = draw(extents(5, edges=(1, 2, 3)))
    window = draw(st.integers(1, 8))
    if even:
        keys = 2 * (window + keys // 2 + 1)
    query, key, w_p = draw(arrays((batch, queries, width), (batch, keys, width), (width, hidden), textures=PLAIN))
    return {"query": query / 2, "keys": key, "w_p": w_p, "v_p": np.zeros(hidden), "window": window}


# --- laws: monotonic ------------------------------------------------------------------------------------------


@law(inputs=plain_steps(), seed=seeds)
def monotonic_attention_reads_its_window_alone(
    local_attention_monotonic: Any, query: Any, keys: Any, window: int, seed: int
) -> Claim:
    """The context of step t depends on the states t - w to t + w, on each of them, and on no others, whatever S is."""

    def moved(s: int) -> dict[str, Any]:
        return {"query": query, "keys": keys if s < 0 else _rewritten_state(keys, s, seed), "window": window}

    count = keys.shape[1]
    expected = _near(np.arange(query.shape[1]), window, count)
    return exactly(dependence(local_attention_monotonic, moved, count, axis=1), expected)


def _rewritten_state(keys: Any, s: int, seed: int) -> Any:
    """The keys with another state at s, in every row of the batch."""
    place = (slice(None), s)
    return rewritten(keys, place, keys[place] + normal(seed, keys[place].shape, keys) + keys.dtype.type(64))


@law(seed=seeds)
def outside_the_monotonic_window_anything_may_stand(
    local_attention_monotonic: Any, query: Any, keys: Any, window: int, seed: int
) -> Claim:
    """Huge states outside the window of a step change neither its context nor its weights."""
    step = seed % query.shape[1]
    far = (slice(None), ~_near(step, window, keys.shape[1]))
    other = rewritten(keys, far, huge(keys))
    after = local_attention_monotonic(query=query, keys=other, window=window)
    before = local_attention_monotonic(query=query, keys=keys, window=window)
    return all_of(*(closely(one[:, step], two[:, step]) for one, two in zip(after, before, strict=True)))


@law()
def monotonic_weights_are_shares_of_the_window(
    local_attention_monotonic: Any, query: Any, keys: Any, window: int
) -> Claim:
    """Weights are not negative, exactly 0 outside the window, and sum to 1, or to 0 where the window is empty."""
    _, weights = local_attention_monotonic(query=query, keys=keys, window=window)
    near = np.broadcast_to(_near(np.arange(query.shape[1]), window, keys.shape[1]), weights.shape)
    return all_of(
        at_most(0.0, weights),
        exactly(weights.value[~near], np.zeros(np.sum(~near))),
        closely(weights.sum(axis=-1), near.any(axis=-1).astype(np.float64)),
    )


@law(inputs=decoder_steps(longer=2))
def a_window_behind_the_sentence_is_empty(local_attention_monotonic: Any, query: Any, keys: Any, window: int) -> Claim:
    """Steps whose window begins after the last state get weights 0 and context 0; those before do not notice."""
    last = keys.shape[1] + window
    context, weights = local_attention_monotonic(query=query, keys=keys, window=window)
    shorter = local_attention_monotonic(query=query[:, :last], keys=keys, window=window)
    return all_of(
        exactly(context.value[:, last:], np.zeros(context[:, last:].shape)),
        exactly(weights.value[:, last:], np.zeros(weights[:, last:].shape)),
        closely((context[:, :last], weights[:, :last]), shorter),
    )


@law(inputs=decoder_steps(longer=2, textures=PLAIN), needs=["gradient"])
def an_empty_window_spoils_no_gradient(local_attention_monotonic: Any, query: Any, keys: Any, window: int) -> Claim:
    """Gradients are finite where some window is empty, and 0 by the queries whose window is."""
    batch, length, width = query.shape
    cotangent = np.ones((batch, length, width), query.dtype), np.ones((batch, length, keys.shape[1]), query.dtype)
    gradient = local_attention_monotonic.gradient(cotangent, query=query, keys=keys, window=window)
    finite = np.array([np.isfinite(x.astype(np.float64)).all() for x in gradient.values()])
    blind = gradient["query"][:, keys.shape[1] + window :]
    return all_of(exactly(finite, np.ones(2, bool)), exactly(blind, np.zeros_like(blind)))


@law()
def a_window_over_everything_is_global_attention(
    local_attention_monotonic: Any, dot_score: Any, query: Any, keys: Any
) -> Claim:
    """With a window of max(S, T) - 1 or more no state is left out: the weights are the softmax of all scores."""
    weights = softmax(dot_score(query=query, keys=keys))
    reach = max(query.shape[1], keys.shape[1]) - 1
    return all_of(
        closely(local_attention_monotonic(query=query, keys=keys, window=reach), (weights @ keys, weights)),
        closely(local_attention_monotonic(query=query, keys=keys, window=10**9), (weights @ keys, weights)),
    )


@law()
def a_window_of_one_state_copies_it(local_attention_monotonic: Any, query: Any, keys: Any) -> Claim:
    """With window 0 the context of step t is source state t, and its weight 1."""
    context, weights = local_attention_monotonic(query=query, keys=keys, window=0)
    common = min(query.shape[1], keys.shape[1])
    return all_of(
        closely(context[:, :common], keys[:, :common]),
        closely(weights, np.broadcast_to(np.eye(query.shape[1], keys.shape[1]), weights.shape)),
    )


@law(start=st.integers(1, 9))
def the_window_moves_with_the_step(
    local_attention_monotonic: Any, query: Any, keys: Any, window: int, start: int
) -> Claim:
    """Without the first states of both sequences, steps whose window held none of them come out the same."""
    kept = min(start, query.shape[1] - 1, keys.shape[1] - 1)
    whole = local_attention_monotonic(query=query, keys=keys, window=window)
    rest = local_attention_monotonic(query=query[:, kept:], keys=keys[:, kept:], window=window)
    first = window + kept if kept else 0
    return all_of(
        closely(rest[0][:, first - kept :], whole[0][:, first:]),
        closely(rest[1][:, first - kept :], whole[1][:, first:, kept:]),
    )


@law(inputs=plain_steps(), examples=20)
def a_negative_window_is_refused(local_attention_monotonic: Any, query: Any, keys: Any, window: int) -> Claim:
    """A window reaches 0 states or more to each side."""
    return refused(local_attention_monotonic, "window", {"query": query, "keys": keys, "window": -1 - window})


@law(inputs=plain_steps(), surplus=st.integers(1, 3), examples=20)
def monotonic_attention_refuses_states_of_two_widths(
    local_attention_monotonic: Any, query: Any, keys: Any, window: int, surplus: int
) -> Claim:
    """Queries and keys are multiplied, component by component."""
    wider = np.concatenate([keys] * (surplus + 1), axis=-1)
    return refused(local_attention_monotonic, "keys", {"query": query, "keys": wider, "window": window})


# --- laws: predictive -----------------------------------------------------------------------------------------


def _predicted(inputs: dict[str, Any]) -> Any:
    """The centres, with their errors. -> (B, T)."""
    query, w_p, v_p = (asbounded(inputs[name]) for name in ("query", "w_p", "v_p"))
    return _positions(query, w_p, v_p, inputs["keys"].shape[1])


@law(inputs=predicting_steps(plain=True), seed=seeds)
def predictive_attention_reads_its_window_alone(
    local_attention_predictive: Any, inputs: dict[str, Any], seed: int
) -> Claim:
    """The context of a step depends on the states floor(p) - w to floor(p) + w, on each, and on no others."""
    one = {**inputs, "query": inputs["query"][:1], "keys": inputs["keys"][:1]}
    count = inputs["keys"].shape[1]

    def moved(s: int) -> dict[str, Any]:
        return one if s < 0 else {**one, "keys": _rewritten_state(one["keys"], s, seed)}

    expected = _near(np.floor(_predicted(one)), inputs["window"], count)
    return exactly(dependence(local_attention_predictive, moved, count, axis=1), expected[0])


@law(seed=seeds)
def outside_the_predicted_window_anything_may_stand(
    local_attention_predictive: Any, inputs: dict[str, Any], seed: int
) -> Claim:
    """Huge states outside the window of a step change neither its context nor its weights."""
    query, keys = inputs["query"], inputs["keys"]
    step = seed % query.shape[1]
    near = _near(np.floor(_predicted(inputs))[:, step], inputs["window"], keys.shape[1])
    other = np.where(near[..., None], keys, keys.dtype.type(huge(keys)))
    after = local_attention_predictive(**{**inputs, "keys": other})
    before = local_attention_predictive(**inputs)
    return all_of(*(closely(one[:, step], two[:, step]) for one, two in zip(after, before, strict=True)))


@law()
def predictive_weights_sum_to_at_most_one(local_attention_predictive: Any, inputs: dict[str, Any]) -> Claim:
    """Weights are not negative, and the Gaussian only takes away: they sum to 1 at most."""
    _, weights = local_attention_predictive(**inputs)
    return all_of(at_most(0.0, weights), at_most(weights.sum(axis=-1), 1.0))


@law()
def contexts_are_weighted_sums_of_states(
    local_attention_predictive: Any, local_attention_monotonic: Any, inputs: dict[str, Any]
) -> Claim:
    """In both forms the context is the sum of the states, each times its weight: what is read is what is weighed."""
    keys = inputs["keys"]
    context, weights = local_attention_predictive(**inputs)
    other = {name: inputs[name] for name in ("query", "keys", "window")}
    other_context, other_weights = local_attention_monotonic(**other)
    return all_of(closely(context, weights @ keys), closely(other_context, other_weights @ keys))


@law(inputs=central_predictions())
def a_real_centre_has_only_twice_the_window_within_reach(
    local_attention_predictive: Any, inputs: dict[str, Any]
) -> Claim:
    """Erratum. 2 w + 1 states have weight, always; around a centre that is no whole position, only 2 w of them lie
    within w of it.
    """
    window, count = inputs["window"], inputs["keys"].shape[1]
    _, weights = local_attention_predictive(**inputs)
    within = np.abs(np.arange(count) - _predicted(inputs)[..., None]) <= window
    some = weights.value != 0
    ones = np.ones(some.shape[:-1], np.int64)
    return all_of(exactly(some.sum(-1), ones * (2 * window + 1)), exactly((some & within).sum(-1), ones * (2 * window)))


@law(inputs=central_predictions())
def predictions_keep_to_what_their_outer_weights_allow(
    local_attention_predictive: Any, inputs: dict[str, Any]
) -> Claim:
    """tanh is at most 1, so the centre lies within S sigmoid(+-sum |v_p|) however large the query is."""
    _, weights = local_attention_predictive(**inputs)
    window, count = inputs["window"], inputs["keys"].shape[1]
    reach = float(np.sum(np.abs(inputs["v_p"].astype(np.float64))))
    first, last = (math.floor(count / (1 + math.exp(-x))) for x in (-reach, reach))
    places = np.arange(count)
    never = np.broadcast_to((places < first - window) | (places > last + window), weights.shape)
    reached = np.broadcast_to((places >= last - window) & (places <= first + window), weights.shape)
    return all_of(
        exactly(weights.value[never], np.zeros(never.sum())),
        exactly(weights.value[reached] != 0, np.ones(reached.sum(), bool)),
    )


@law(inputs=central_predictions())
def weights_fall_off_as_sigma_says(local_attention_predictive: Any, inputs: dict[str, Any]) -> Claim:
    """Under constant scores log-weights are a parabola: its second difference is -1 / sigma^2 = -4 / w^2, whatever p
    is.
    """
    window, count = inputs["window"], inputs["keys"].shape[1]
    _, weights = local_attention_predictive(**inputs)
    middle = (count - 1) // 2  # the floor of every centre
    logs = np.log(weights[..., middle - window : middle + window + 1])
    bends = logs[..., 2:] - logs[..., 1:-1] * 2.0 + logs[..., :-2]
    return closely(bends, rounded(np.full(bends.shape, -4 / window**2), bends.format))


@law(inputs=middle_steps())
def without_a_prediction_the_centre_is_the_middle(
    local_attention_predictive: Any, local_attention_monotonic: Any, inputs: dict[str, Any]
) -> Claim:
    """With v_p = 0 the centre is S/2: the weights of monotonic attention at step floor(S/2), times the Gaussian
    around S/2.
    """
    query, keys, window = inputs["query"][:, :1], inputs["keys"], inputs["window"]
    count = keys.shape[1]
    _, weights = local_attention_predictive(**{**inputs, "query": query})
    steps = np.concatenate([np.repeat(query * 0, count // 2, axis=1), query], axis=1)
    _, shares = local_attention_monotonic(query=steps, keys=keys, window=window)
    gaussian = np.exp(-((np.arange(count) - count / 2) ** 2) * 2 / window**2)
    return closely(weights, shares[:, -1:] * rounded(gaussian, shares.format))


@law(inputs=middle_steps(even=True))
def constant_scores_leave_a_known_mass(local_attention_predictive: Any, inputs: dict[str, Any]) -> Claim:
    """Under constant scores and around a whole position the weights sum to the mean of exp(-2 s^2 / w^2) over the
    window: 0.5278 for w = 3.
    """
    window, keys = inputs["window"], inputs["keys"]
    same = np.repeat(keys[:, :1], keys.shape[1], axis=1)
    _, weights = local_attention_predictive(**{**inputs, "keys": same})
    mass = np.mean(np.exp(-2 * np.arange(-window, window + 1) ** 2 / window**2))
    return closely(weights.sum(axis=-1), rounded(np.full(weights.shape[:-1], mass), weights.format))


@law(inputs=middle_steps(even=True))
def weights_are_symmetric_about_a_whole_position(local_attention_predictive: Any, inputs: dict[str, Any]) -> Claim:
    """States mirrored about a whole position, here S/2, get mirrored weights, and the same context."""
    keys = inputs["keys"]
    mirror = -np.arange(keys.shape[1]) % keys.shape[1]  # S/2 - s and S/2 + s change places, 0 stays
    context, weights = local_attention_predictive(**inputs)
    mirrored_context, mirrored = local_attention_predictive(**{**inputs, "keys": keys[:, mirror]})
    return all_of(closely(mirrored, weights[:, :, mirror]), closely(mirrored_context, context))


@law(inputs=central_predictions(counts=(1, 3, 5), scale=0.5), needs=["gradient"])
def the_gradient_reaches_the_prediction(local_attention_predictive: Any, inputs: dict[str, Any]) -> Claim:
    """The Gaussian passes gradient on to the centre, and so to v_p and w_p: none of it is lost at the floor."""
    one = {**inputs, "query": inputs["query"][:1, :1], "keys": inputs["keys"][:1], "window": inputs["window"] + 2}
    cotangent = np.zeros_like(one["query"]), np.zeros_like(one["keys"][:, None, :, 0])
    cotangent[1][..., 0] = 1  # the weight of the first state
    computed, expected = local_attention_predictive.compare_gradient(cotangent, **one)
    alive = [np.abs(expected[name].value) > expected[name].error for name in ("w_p", "v_p")]
    if not any(part.any() for part in alive):
        raise Undecidable("the gradient by the prediction drowns in the rounding error")
    return all_of(*(
        exactly(computed[name].value[part] != 0, np.ones(part.sum(), bool))
        for name, part in zip(("w_p", "v_p"), alive, strict=True)
    ))  # fmt: skip


@law(inputs=middle_steps(), examples=20)
def a_predicted_window_of_nothing_is_refused(local_attention_predictive: Any, inputs: dict[str, Any]) -> Claim:
    """sigma is half the window, so a predicted window reaches one state at least."""
    return refused(local_attention_predictive, "window", {**inputs, "window": 1 - inputs["window"]})


@law(inputs=middle_steps(), surplus=st.integers(1, 3), examples=20)
def a_prediction_from_other_states_is_refused(
    local_attention_predictive: Any, inputs: dict[str, Any], surplus: int
) -> Claim:
    """w_p has a row for every component of the query."""
    larger = np.concatenate([inputs["w_p"]] * (surplus + 1), axis=0)
    return refused(local_attention_predictive, "w_p", {**inputs, "w_p": larger})


@law(inputs=middle_steps(), surplus=st.integers(1, 3), examples=20)
def a_prediction_with_other_outer_weights_is_refused(
    local_attention_predictive: Any, inputs: dict[str, Any], surplus: int
) -> Claim:
    """v_p has an element for every column of w_p."""
    longer = np.concatenate([inputs["v_p"]] * (surplus + 1))
    return refused(local_attention_predictive, "v_p", {**inputs, "v_p": longer})


# --- faults ---------------------------------------------------------------------------------------------------


def _read(query: Any, keys: Any, near: Any, falloff: Any = 1.0, axis: int = -1) -> Any:
    """Context and weights of plain attention over the places that are near."""
    require(query.shape[-1] == keys.shape[-1], "keys and query differ in width")
    weights = softmax(query @ keys.swapaxes(-1, -2), where=near, axis=axis) * falloff
    return weights @ keys, weights


def _steps(query: Any, keys: Any, window: int) -> Any:
    """How far every state lies after every step. -> (T, S)."""
    require(window >= 0, "window is negative")
    return np.arange(keys.shape[1]) - np.arange(query.shape[1])[:, None]


def _bell(centres: Any, sigma: float, count: int) -> Any:
    return np.exp(-np.square(np.arange(count).astype(centres.dtype) - centres[..., None]) / (2 * sigma**2))


def _predict(
    query: Any, keys: Any, w_p: Any, v_p: Any, window: int, *, centres: Any = None, whole: Any = np.floor,
    before: int | None = None, sigma: float | None = None,
) -> Any:  # fmt: skip
    """Plain predictive attention with the knobs that faults turn."""
    require(window >= 1, "window is empty")
    require(w_p.shape[0] == query.shape[-1], "w_p does not fit")
    require(v_p.shape == w_p.shape[1:], "v_p does not fit")
    count = keys.shape[1]
    centres = _positions(query, w_p, v_p, count) if centres is None else centres
    steps = np.arange(count) - whole(centres)[..., None]
    near = (steps >= -(window if before is None else before)) & (steps <= window)
    return _read(query, keys, near, _bell(centres, window / 2 if sigma is None else sigma, count))


@fault(local_attention_monotonic, breaks=("monotonic_attention_reads_its_window_alone",
                                          "outside_the_monotonic_window_anything_may_stand"),
       seen="https://github.com/microsoft/onnxruntime/pull/25927")  # fmt: skip
def window_is_one_too_wide(query: Any, keys: Any, window: int) -> Any:
    """The window is counted without the step itself and reaches one state farther. It is t - w to t + w."""
    return _read(query, keys, np.abs(_steps(query, keys, window)) <= window + 1)


@fault(local_attention_monotonic, breaks=("monotonic_attention_reads_its_window_alone",
                                          "a_window_of_one_state_copies_it"))  # fmt: skip
def window_leaves_out_its_last_state(query: Any, keys: Any, window: int) -> Any:
    """The window is the half-open range(t - w, t + w). State t + w belongs to it."""
    steps = _steps(query, keys, window)
    return _read(query, keys, (steps >= -window) & (steps < window))


@fault(local_attention_monotonic, breaks=("monotonic_attention_reads_its_window_alone",
                                          "outside_the_monotonic_window_anything_may_stand",
                                          "a_window_behind_the_sentence_is_empty",
                                          "a_window_of_one_state_copies_it"),
       seen="https://github.com/jax-ml/jax/issues/32300")  # fmt: skip
def forgets_the_window(query: Any, keys: Any, window: int) -> Any:
    """Without another mask the window is skipped, and attention is global. Mask whatever is outside the window."""
    return _read(query, keys, _steps(query, keys, window) > -np.inf)


@fault(local_attention_monotonic, breaks=("monotonic_attention_reads_its_window_alone",
                                          "outside_the_monotonic_window_anything_may_stand"),
       seen="https://github.com/jax-ml/jax/pull/39576")  # fmt: skip
def drops_the_right_border(query: Any, keys: Any, window: int) -> Any:
    """Only the left border of the window is looked after. States after t + w are outside, too."""
    return _read(query, keys, _steps(query, keys, window) >= -window)


@fault(local_attention_monotonic, breaks=("monotonic_weights_are_shares_of_the_window",
                                          "outside_the_monotonic_window_anything_may_stand"))  # fmt: skip
def crops_the_global_softmax(query: Any, keys: Any, window: int) -> Any:
    """The softmax runs over all states and is cut to the window. Take it inside the window only."""
    _, weights = _read(query, keys, True)
    cropped = np.where(np.abs(_steps(query, keys, window)) <= window, weights, 0.0).astype(query.dtype)
    return cropped @ keys, cropped


@fault(local_attention_monotonic, breaks=("monotonic_weights_are_shares_of_the_window",
                                          "a_window_over_everything_is_global_attention"),
       seen="https://github.com/labmlai/annotated_deep_learning_paper_implementations/issues/146")  # fmt: skip
def shares_run_over_the_steps(query: Any, keys: Any, window: int) -> Any:
    """The softmax runs over the queries. It has to run over the keys, the last axis of the scores."""
    return _read(query, keys, np.abs(_steps(query, keys, window)) <= window, axis=-2)


@fault(local_attention_monotonic, breaks=("a_window_behind_the_sentence_is_empty",
                                          "an_empty_window_spoils_no_gradient"),
       seen="https://github.com/pytorch/pytorch/issues/103749")  # fmt: skip
def an_empty_window_is_not_a_number(query: Any, keys: Any, window: int) -> Any:
    """The softmax of an empty window is 0 / 0, in the results and in the gradients. Give its step weights 0."""
    hidden = np.where(np.abs(_steps(query, keys, window)) <= window, 0.0, -np.inf).astype(query.dtype)
    scores = dot_score(query, keys) + hidden
    raised = np.exp(scores - np.max(scores, axis=-1, keepdims=True))
    weights = raised / np.sum(raised, axis=-1, keepdims=True)
    return weights @ keys, weights


@fault(local_attention_monotonic, breaks=("a_window_behind_the_sentence_is_empty",
                                          "monotonic_weights_are_shares_of_the_window"))  # fmt: skip
def the_last_window_is_used_again(query: Any, keys: Any, window: int) -> Any:
    """Behind the sentence the centre is clipped to the last state. A window that holds no state is empty."""
    _steps(query, keys, window)
    return _read(query, keys, _near(np.minimum(np.arange(query.shape[1]), keys.shape[1] - 1), window, keys.shape[1]))


@fault(local_attention_monotonic, breaks="monotonic_weights_are_shares_of_the_window")
def padding_takes_its_share(query: Any, keys: Any, window: int) -> Any:
    """The sentence is padded with states of zeros, which get weight at both ends. Leave out what is no state."""
    require(window >= 0, "window is negative")
    length, count = query.shape[1], keys.shape[1]
    reach = min(window, length + count)
    zeros = np.zeros((keys.shape[0], reach, keys.shape[2]), keys.dtype)
    padded = np.concatenate([zeros, keys, zeros], axis=1)
    context, weights = _read(query, padded, _near(np.arange(length) + reach, reach, count + 2 * reach))
    return context, weights[:, :, reach : reach + count]


@fault(local_attention_monotonic, breaks=("the_window_moves_with_the_step", "a_window_of_one_state_copies_it"))
def steps_are_scaled_to_the_sentence(query: Any, keys: Any, window: int) -> Any:
    """The centre is t S / T, so that it depends on the length of what is yet to be translated. It is t."""
    require(window >= 0, "window is negative")
    centres = np.arange(query.shape[1]) * keys.shape[1] // query.shape[1]
    return _read(query, keys, _near(centres, window, keys.shape[1]))


@fault(local_attention_monotonic, breaks="contexts_are_weighted_sums_of_states")
def weights_are_returned_before_the_softmax(query: Any, keys: Any, window: int) -> Any:
    """The scores are returned in place of the weights that the context was made with. Return the weights."""
    near = np.abs(_steps(query, keys, window)) <= window
    return _read(query, keys, near)[0], np.where(near, dot_score(query, keys), 0.0)


@fault(local_attention_monotonic, breaks="a_negative_window_is_refused")
def a_negative_window_is_taken_by_its_size(query: Any, keys: Any, window: int) -> Any:
    """The sign of the window is dropped. Refuse a negative one with ValueError."""
    return _read(query, keys, np.abs(_steps(query, keys, 0)) <= abs(window))


@fault(local_attention_monotonic, breaks="monotonic_attention_refuses_states_of_two_widths")
def cuts_states_to_the_query(query: Any, keys: Any, window: int) -> Any:
    """Components of the keys beyond those of the query are dropped. Compare the widths, and raise ValueError."""
    return _read(query, keys[..., : query.shape[-1]], np.abs(_steps(query, keys, window)) <= window)


@fault(local_attention_predictive, breaks=("predictive_attention_reads_its_window_alone",
                                           "outside_the_predicted_window_anything_may_stand"))  # fmt: skip
def window_stands_around_the_nearest_place(query: Any, keys: Any, w_p: Any, v_p: Any, window: int) -> Any:
    """The window is centred on round(p). It stands around floor(p)."""
    return _predict(query, keys, w_p, v_p, window, whole=np.rint)


@fault(local_attention_predictive, breaks="a_real_centre_has_only_twice_the_window_within_reach")
def window_reaches_from_the_real_centre(query: Any, keys: Any, w_p: Any, v_p: Any, window: int) -> Any:
    """Only states within w of the real centre are read, 2 w of them. Take 2 w + 1, around floor(p)."""
    return _predict(query, keys, w_p, v_p, window, before=window - 1)


@fault(local_attention_predictive, breaks=("outside_the_predicted_window_anything_may_stand",
                                           "predictive_attention_reads_its_window_alone",
                                           "a_real_centre_has_only_twice_the_window_within_reach",
                                           "constant_scores_leave_a_known_mass"))  # fmt: skip
def leaves_the_window_to_the_gaussian(query: Any, keys: Any, w_p: Any, v_p: Any, window: int) -> Any:
    """All states are scored, and only the Gaussian makes those far away small. Mask what is outside the window."""
    centres = _positions(query, w_p, v_p, keys.shape[1])
    return _read(query, keys, True, _bell(centres, window / 2, keys.shape[1]))


@fault(local_attention_predictive, breaks=("outside_the_predicted_window_anything_may_stand",
                                           "constant_scores_leave_a_known_mass"))  # fmt: skip
def crops_the_global_softmax_to_the_prediction(query: Any, keys: Any, w_p: Any, v_p: Any, window: int) -> Any:
    """The softmax runs over all states and is cut to the window. Take it inside the window only."""
    count = keys.shape[1]
    centres = _positions(query, w_p, v_p, count)
    near = _near(np.floor(centres), window, count).astype(query.dtype)
    return _read(query, keys, True, _bell(centres, window / 2, count) * near)


@fault(local_attention_predictive, breaks=("constant_scores_leave_a_known_mass",
                                           "without_a_prediction_the_centre_is_the_middle"))  # fmt: skip
def renormalizes_after_the_gaussian(query: Any, keys: Any, w_p: Any, v_p: Any, window: int) -> Any:
    """Weights are divided by their sum after the Gaussian. What it takes away stays away."""
    _, weights = _predict(query, keys, w_p, v_p, window)
    shares = weights / np.sum(weights, axis=-1, keepdims=True)
    return shares @ keys, shares


@fault(local_attention_predictive, breaks=("weights_fall_off_as_sigma_says", "constant_scores_leave_a_known_mass",
                                           "without_a_prediction_the_centre_is_the_middle"))  # fmt: skip
def sigma_is_the_window(query: Any, keys: Any, w_p: Any, v_p: Any, window: int) -> Any:
    """The Gaussian has sigma = w. It is half the window."""
    return _predict(query, keys, w_p, v_p, window, sigma=window)


@fault(local_attention_predictive, breaks=("predictive_weights_sum_to_at_most_one",
                                           "constant_scores_leave_a_known_mass"))  # fmt: skip
def divides_by_the_gaussian(query: Any, keys: Any, w_p: Any, v_p: Any, window: int) -> Any:
    """The exponent lost its minus sign, so that states far from the centre weigh more than their share. Restore it."""
    count = keys.shape[1]
    centres = _positions(query, w_p, v_p, count)
    return _read(query, keys, _near(np.floor(centres), window, count), 1.0 / _bell(centres, window / 2, count))


@fault(local_attention_predictive, breaks="weights_are_symmetric_about_a_whole_position")
def predicted_window_leaves_out_its_last_state(query: Any, keys: Any, w_p: Any, v_p: Any, window: int) -> Any:
    """The window is the half-open range(floor(p) - w, floor(p) + w). State floor(p) + w belongs to it."""
    return _predict(query, keys, w_p, v_p, window, whole=lambda centres: np.floor(centres) - 1, before=window - 1)


@fault(local_attention_predictive, breaks=("the_gradient_reaches_the_prediction",
                                           "without_a_prediction_the_centre_is_the_middle"),
       seen="https://github.com/giancds/tsf_nmt/issues/2")  # fmt: skip
def floors_the_centre_of_the_gaussian(query: Any, keys: Any, w_p: Any, v_p: Any, window: int) -> Any:
    """p is floored before the Gaussian, too, so that no gradient reaches it. Only the window stands around floor(p)."""
    centres = np.floor(_positions(query, w_p, v_p, keys.shape[1]))
    return _predict(query, keys, w_p, v_p, window, centres=np.asarray(centres).astype(query.dtype))


@fault(local_attention_predictive, breaks=("predictions_keep_to_what_their_outer_weights_allow",
                                           "agrees_with_definition"))  # fmt: skip
def predicts_without_tanh(query: Any, keys: Any, w_p: Any, v_p: Any, window: int) -> Any:
    """The prediction is linear before its sigmoid: a large state saturates it. Take tanh of h w_p."""
    return _predict(query, keys, w_p, v_p, window, centres=keys.shape[1] * sigmoid(query @ w_p @ v_p))


@fault(local_attention_predictive, breaks=("without_a_prediction_the_centre_is_the_middle",
                                           "weights_are_symmetric_about_a_whole_position"))  # fmt: skip
def predicts_up_to_the_last_place(query: Any, keys: Any, w_p: Any, v_p: Any, window: int) -> Any:
    """The sigmoid is scaled by S - 1. The centre is S sigmoid(...), whose floor is a place."""
    return _predict(query, keys, w_p, v_p, window, centres=_positions(query, w_p, v_p, keys.shape[1] - 1))


@fault(local_attention_predictive, breaks="contexts_are_weighted_sums_of_states")
def gaussian_reaches_the_weights_only(query: Any, keys: Any, w_p: Any, v_p: Any, window: int) -> Any:
    """The context is made before the Gaussian. Weigh the states with what is returned."""
    context, _ = _predict(query, keys, w_p, v_p, window, sigma=1e6)
    return context, _predict(query, keys, w_p, v_p, window)[1]


@fault(local_attention_predictive, breaks="a_predicted_window_of_nothing_is_refused")
def a_predicted_window_is_at_least_one(query: Any, keys: Any, w_p: Any, v_p: Any, window: int) -> Any:
    """A window of 0 or less is silently taken for 1. Refuse it with ValueError."""
    return _predict(query, keys, w_p, v_p, max(window, 1))


@fault(local_attention_predictive, breaks="a_prediction_from_other_states_is_refused")
def cuts_the_inner_weights(query: Any, keys: Any, w_p: Any, v_p: Any, window: int) -> Any:
    """Rows of w_p beyond the width of the query are dropped. Compare them, and raise ValueError."""
    return _predict(query, keys, w_p[: query.shape[-1]], v_p, window)


@fault(local_attention_predictive, breaks="a_prediction_with_other_outer_weights_is_refused")
def cuts_the_outer_weights(query: Any, keys: Any, w_p: Any, v_p: Any, window: int) -> Any:
    """Elements of v_p beyond the columns of w_p are dropped. Compare them, and raise ValueError."""
    return _predict(query, keys, w_p, v_p[: w_p.shape[1]], window)


# --- workloads ------------------------------------------------------------------------------------------------


def _sources(random: np.random.Generator, B: int, T: int, S: int, D: int) -> tuple[Any, Any]:
    """Decoder states, and the states of long sources: whole paragraphs, for which the paper has local attention."""
    return random.standard_normal((B, T, D)) / 4, random.standard_normal((B, S, D))


def _monotonic_cost(B: int, T: int, S: int, D: int, window: int) -> Cost:
    """Two products of the pairs in the windows; the weights of all states are written, as they are a result."""
    pairs = int(_near(np.arange(T), window, S).sum())
    return Cost(flops=4 * B * pairs * D, moved=B * ((2 * T + min(S, T + window)) * D + T * S))


@workload(local_attention_monotonic, sizes={"B": 32, "T": 50, "S": 1000, "D": 512, "window": 10},
          cost=_monotonic_cost, grows={"S": (250, 500, 2000)}, gradient=True)  # fmt: skip
def monotonic_windows(random: np.random.Generator, B: int, T: int, S: int, D: int, window: int) -> dict[str, Any]:
    """50 steps for 32 sources of 1,000 states, 512 wide, with the paper's window of 10 (Luong et al. 2015, sections 3.2
    and 4).
    """
    query, keys = _sources(random, B, T, S, D)
    return {"query": query, "keys": keys, "window": window}


def _predictive_cost(B: int, T: int, S: int, D: int, window: int) -> Cost:
    """The network that predicts, and two products of the pairs in the windows."""
    read = min(2 * window + 1, S)
    flops = 2 * B * T * (D**2 + D) + 4 * B * T * read * D
    return Cost(flops=flops, moved=B * ((2 * T + min(S, T * read)) * D + T * S) + D**2 + D)


@workload(local_attention_predictive, sizes={"B": 32, "T": 50, "S": 1000, "D": 512, "window": 10},
          cost=_predictive_cost, grows={"S": (250, 500, 2000)}, gradient=True)  # fmt: skip
def predicted_windows(random: np.random.Generator, B: int, T: int, S: int, D: int, window: int) -> dict[str, Any]:
    """The same with predicted centres, spread over the source (Luong et al. 2015, sections 3.2 and 4).

    Of four times as many states those are taken whose centres lie farthest from whole positions, each hidden unit looks
    at 4 numbers of a state, and v_p at one unit: so rounding in single precision moves no window.
    """
    _, keys = _sources(random, B, 1, S, D)
    w_p = random.permuted(random.standard_normal((D, D)) * (np.arange(D) < 4)[:, None], axis=0) / 2
    v_p = 2.0 * (np.arange(D) == random.integers(D))
    states = random.standard_normal((4 * B * T, D))
    centres = value_of(_positions(states, w_p, v_p, S))
    clearest = np.argsort(np.abs(centres - np.floor(centres) - 0.5))[: B * T]
    return {"query": states[clearest].reshape(B, T, D), "keys": keys, "w_p": w_p, "v_p": v_p, "window": window}


def _global_cost(B: int, T: int, S: int, D: int) -> Cost:
    """Two products of all pairs."""
    return Cost(flops=4 * B * T * S * D, moved=2 * B * (T + S) * D)


@workload(scaled_dot_product_attention, sizes={"B": 32, "T": 50, "S": 1000, "D": 512}, cost=_global_cost,
          grows={"S": (250, 500, 2000)}, gradient=True)  # fmt: skip
def global_attention(random: np.random.Generator, B: int, T: int, S: int, D: int) -> dict[str, Any]:
    """The same steps looking at all states of the source (Luong et al. 2015, section 3.1), by the operation that
    libraries have made fast, with one head.
    """
    query, keys = (x[:, None] for x in _sources(random, B, T, S, D))
    return {"query": query, "key": keys, "value": keys, "mask": None}


_COST = (
    "Luong et al. 2015, Effective Approaches to Attention-based Neural Machine Translation, section 3.2: global"
    " attention is expensive on long sources; local attention looks at 21 states whatever their number"
)

monotonic_against_global_attention = Headline(
    "Local attention at given places costs less than global attention to 1,000 states.", _COST,
    fast=monotonic_windows, slow=global_attention,
)  # fmt: skip

predictive_against_global_attention = Headline(
    "Local attention costs less than global attention to 1,000 states, though it has to predict its places.", _COST,
    fast=predicted_windows, slow=global_attention,
)  # fmt: skip
