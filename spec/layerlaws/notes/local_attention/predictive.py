"""Predictive local attention: the window stands around a place that the query predicts."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from layerlaws.language import (
    FORMATS,
    PLAIN,
    Arguments,
    Array,
    Bounded,
    Claim,
    Cost,
    Headline,
    Implementation,
    Results,
    all_of,
    arrays,
    asbounded,
    closely,
    dependence,
    error_of,
    exactly,
    extents,
    fault,
    huge,
    law,
    operation,
    refused,
    require,
    seeds,
    sigmoid,
    softmax,
    value_of,
    with_slope,
    workload,
)
from layerlaws.language import strategies as st
from layerlaws.notes.alignment_scores.dot import dot_score
from layerlaws.notes.local_attention.monotonic import local_attention_monotonic, monotonic_windows
from layerlaws.notes.local_attention.windows import _near, _read, _rewritten_state, _sources, _steps
from layerlaws.notes.multi_head_attention.scaled_dot_product import scaled_dot_product_attention


def _positions(query: Array, w_p: Array, v_p: Array, count: int) -> Array:
    """count sigmoid(v_p . tanh(query w_p)): the predicted centre of every query. -> (B, T)."""

    @with_slope(lambda position, x: position * (1.0 - position / count))
    def placed(x: Array) -> Array:
        """The sigmoid of 0 is 1/2 in every implementation, without rounding: there the middle is hit exactly."""
        nothing = (value_of(x) == 0) & (error_of(x) == 0)
        return np.where(nothing, count / 2, count * sigmoid(x))

    return placed(np.tanh(query @ w_p) @ v_p)


CANDIDATES = 16
"""Queries drawn for every one that is used."""


@st.composite
def predicting_steps(draw: st.DrawFn, plain: bool = False) -> Arguments:
    """Queries whose windows are decided, in half precision, too, wherever there are such.

    plain: scores near each other, and a wide Gaussian, so that every influence can be seen.

    Of several queries the one is taken whose centre is farthest from a whole position, by more than its rounding
    error. In half precision that leaves the first places of a long sentence, so in some examples the error is that of
    single precision, which leaves them all.
    """
    batch, queries, keys, width, hidden = draw(extents(5, edges=() if plain else (1, 2, 3), most=4097))
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


@st.composite
def central_predictions(draw: st.DrawFn, counts: tuple[int, ...] = (5, 5, 7), scale: float = 512.0) -> Arguments:
    """Constant scores, and centres near the middle of a short sentence of odd length: half-way between places."""
    batch, queries, width, _ = draw(extents(4, edges=(1, 2)))
    hidden, keys = draw(st.sampled_from((1, 2, 4))), draw(st.sampled_from(counts))
    query, w_p = draw(arrays((batch, queries, width), (width, hidden), textures=PLAIN))
    signs = np.random.default_rng(draw(seeds)).choice([-1.0, 1.0], hidden)
    window = draw(st.integers(1, max(keys - 1, 2) // 2))
    return {
        "query": query * scale,
        "keys": np.zeros((batch, keys, width)),
        "w_p": w_p,
        "v_p": signs / hidden / 32,
        "window": window,
    }


@st.composite
def middle_steps(draw: st.DrawFn, even: bool = False) -> Arguments:
    """v_p = 0: every centre is exactly the middle of the sentence, a whole position where that is even."""
    batch, queries, keys, width, hidden = draw(extents(5, edges=(1, 2, 3)))
    window = draw(st.integers(1, 8))
    if even:
        keys = 2 * (window + keys // 2 + 1)
    query, key, w_p = draw(arrays((batch, queries, width), (batch, keys, width), (width, hidden), textures=PLAIN))
    return {"query": query / 2, "keys": key, "w_p": w_p, "v_p": np.zeros(hidden), "window": window}


@operation(inputs=predicting_steps(), batch=("query", "keys"), differentiable=True)
def local_attention_predictive(query: Array, keys: Array, w_p: Array, v_p: Array, window: int) -> tuple[Array, Array]:
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


def _predicted(inputs: Arguments) -> Array:
    """The centres, with their errors. -> (B, T)."""
    query, w_p, v_p = (asbounded(inputs[name]) for name in ("query", "w_p", "v_p"))
    return _positions(query, w_p, v_p, inputs["keys"].shape[1])


@law(inputs=predicting_steps(plain=True), seed=seeds)
def predictive_attention_reads_its_window_alone(
    local_attention_predictive: Implementation, inputs: Arguments, seed: int
) -> Claim:
    """The context of a step depends on the states floor(p) - w to floor(p) + w, on each, and on no others."""
    one = {**inputs, "query": inputs["query"][:1], "keys": inputs["keys"][:1]}
    count = inputs["keys"].shape[1]

    def moved(s: int) -> Arguments:
        return one if s < 0 else {**one, "keys": _rewritten_state(one["keys"], s, seed)}

    expected = _near(np.floor(_predicted(one)), inputs["window"], count)
    return exactly(dependence(local_attention_predictive, moved, count, axis=1), expected[0])


@law(seed=seeds)
def outside_the_predicted_window_anything_may_stand(
    local_attention_predictive: Implementation, inputs: Arguments, seed: int
) -> Claim:
    """Huge states outside the window of a step change neither its context nor its weights."""
    query, keys = inputs["query"], inputs["keys"]
    step = seed % query.shape[1]
    near = _near(np.floor(_predicted(inputs))[:, step], inputs["window"], keys.shape[1])
    other = np.where(near[..., None], keys, keys.dtype.type(huge(keys)))
    after = local_attention_predictive(**{**inputs, "keys": other})
    before = local_attention_predictive(**inputs)
    return all_of(*(closely(one[:, step], two[:, step]) for one, two in zip(after, before, strict=True)))


def _bell(centres: Array, sigma: float, count: int) -> Array:
    return np.exp(-np.square(np.arange(count).astype(centres.dtype) - centres[..., None]) / (2 * sigma**2))


def _predict(
    query: Array,
    keys: Array,
    w_p: Array,
    v_p: Array,
    window: int,
    *,
    centres: Array | None = None,
    whole: Callable[[Array], Array] = np.floor,
    before: int | None = None,
    sigma: float | None = None,
) -> tuple[Array, Array]:
    """Plain predictive attention with the knobs that faults turn."""
    require(window >= 1, "window is empty")
    require(w_p.shape[0] == query.shape[-1], "w_p does not fit")
    require(v_p.shape == w_p.shape[1:], "v_p does not fit")
    count = keys.shape[1]
    centres = _positions(query, w_p, v_p, count) if centres is None else centres
    steps = np.arange(count) - whole(centres)[..., None]
    near = (steps >= -(window if before is None else before)) & (steps <= window)
    return _read(query, keys, near, _bell(centres, window / 2 if sigma is None else sigma, count))


@fault(
    local_attention_predictive,
    breaks=(predictive_attention_reads_its_window_alone, outside_the_predicted_window_anything_may_stand),
    kind="shift",
    repair="It stands around floor(p).",
)
def window_stands_around_the_nearest_place(query: Array, keys: Array, w_p: Array, v_p: Array, window: int) -> Results:
    """The window is centred on round(p)."""
    return _predict(query, keys, w_p, v_p, window, whole=np.rint)


@law()
def contexts_are_weighted_sums_of_states(
    local_attention_predictive: Implementation, local_attention_monotonic: Implementation, inputs: Arguments
) -> Claim:
    """In both forms the context is the sum of the states, each times its weight: what is read is what is weighed."""
    keys = inputs["keys"]
    context, weights = local_attention_predictive(**inputs)
    other = {name: inputs[name] for name in ("query", "keys", "window")}
    other_context, other_weights = local_attention_monotonic(**other)
    return all_of(closely(context, weights @ keys), closely(other_context, other_weights @ keys))


@fault(
    local_attention_monotonic,
    breaks=contexts_are_weighted_sums_of_states,
    kind="formula",
    repair="Return the weights.",
)
def weights_are_returned_before_the_softmax(query: Array, keys: Array, window: int) -> tuple[Array, Array]:
    """The scores are returned in place of the weights that the context was made with."""
    near = np.abs(_steps(query, keys, window)) <= window
    return _read(query, keys, near)[0], np.where(near, dot_score(query, keys), 0.0)


@fault(
    local_attention_predictive,
    breaks=contexts_are_weighted_sums_of_states,
    kind="order",
    repair="Weigh the states with what is returned.",
)
def gaussian_reaches_the_weights_only(
    query: Array, keys: Array, w_p: Array, v_p: Array, window: int
) -> tuple[Array, Array]:
    """The context is made before the Gaussian."""
    context, _ = _predict(query, keys, w_p, v_p, window, sigma=1e6)
    return context, _predict(query, keys, w_p, v_p, window)[1]


@law(inputs=central_predictions())
def a_real_centre_has_only_twice_the_window_within_reach(
    local_attention_predictive: Implementation, inputs: Arguments
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


@fault(
    local_attention_predictive,
    breaks=a_real_centre_has_only_twice_the_window_within_reach,
    kind="mask",
    repair="Take 2 w + 1, around floor(p).",
)
def window_reaches_from_the_real_centre(query: Array, keys: Array, w_p: Array, v_p: Array, window: int) -> Results:
    """Only states within w of the real centre are read, 2 w of them."""
    return _predict(query, keys, w_p, v_p, window, before=window - 1)


@law(inputs=central_predictions())
def predictions_keep_to_what_their_outer_weights_allow(
    local_attention_predictive: Implementation, inputs: Arguments
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


@fault(
    local_attention_predictive,
    breaks=(predictions_keep_to_what_their_outer_weights_allow, "agrees_with_definition"),
    kind="formula",
    repair="Take tanh of h w_p.",
)
def predicts_without_tanh(query: Array, keys: Array, w_p: Array, v_p: Array, window: int) -> Results:
    """The prediction is linear before its sigmoid: a large state saturates it."""
    return _predict(query, keys, w_p, v_p, window, centres=keys.shape[1] * sigmoid(query @ w_p @ v_p))


@law(inputs=middle_steps(), examples=20)
def a_predicted_window_of_nothing_is_refused(local_attention_predictive: Implementation, inputs: Arguments) -> Claim:
    """sigma is half the window, so a predicted window reaches one state at least."""
    return refused(local_attention_predictive, "window", {**inputs, "window": 1 - inputs["window"]})


@fault(
    local_attention_predictive,
    breaks=a_predicted_window_of_nothing_is_refused,
    kind="refusal",
    repair="Refuse it with ValueError.",
)
def a_predicted_window_is_at_least_one(query: Array, keys: Array, w_p: Array, v_p: Array, window: int) -> Results:
    """A window of 0 or less is silently taken for 1."""
    return _predict(query, keys, w_p, v_p, max(window, 1))


@law(inputs=middle_steps(), surplus=st.integers(1, 3), examples=20)
def a_prediction_from_other_states_is_refused(
    local_attention_predictive: Implementation, inputs: Arguments, surplus: int
) -> Claim:
    """w_p has a row for every component of the query."""
    larger = np.concatenate([inputs["w_p"]] * (surplus + 1), axis=0)
    return refused(local_attention_predictive, "w_p", {**inputs, "w_p": larger})


@fault(
    local_attention_predictive,
    breaks=a_prediction_from_other_states_is_refused,
    kind="refusal",
    repair="Compare them, and raise ValueError.",
)
def cuts_the_inner_weights(query: Array, keys: Array, w_p: Array, v_p: Array, window: int) -> Results:
    """Rows of w_p beyond the width of the query are dropped."""
    return _predict(query, keys, w_p[: query.shape[-1]], v_p, window)


@law(inputs=middle_steps(), surplus=st.integers(1, 3), examples=20)
def a_prediction_with_other_outer_weights_is_refused(
    local_attention_predictive: Implementation, inputs: Arguments, surplus: int
) -> Claim:
    """v_p has an element for every column of w_p."""
    longer = np.concatenate([inputs["v_p"]] * (surplus + 1))
    return refused(local_attention_predictive, "v_p", {**inputs, "v_p": longer})


@fault(
    local_attention_predictive,
    breaks=a_prediction_with_other_outer_weights_is_refused,
    kind="refusal",
    repair="Compare them, and raise ValueError.",
)
def cuts_the_outer_weights(query: Array, keys: Array, w_p: Array, v_p: Array, window: int) -> Results:
    """Elements of v_p beyond the columns of w_p are dropped."""
    return _predict(query, keys, w_p, v_p[: w_p.shape[1]], window)


def _predictive_cost(B: int, T: int, S: int, D: int, window: int) -> Cost:
    """The network that predicts, and two products of the pairs in the windows."""
    read = min(2 * window + 1, S)
    flops = 2 * B * T * (D**2 + D) + 4 * B * T * read * D
    return Cost(flops=flops, moved=B * ((2 * T + min(S, T * read)) * D + T * S) + D**2 + D)


@workload(
    local_attention_predictive,
    sizes={"B": 32, "T": 50, "S": 1000, "D": 512, "window": 10},
    cost=_predictive_cost,
    grows={"S": (250, 500, 2000)},
    gradient=True,
)
def predicted_windows(random: np.random.Generator, B: int, T: int, S: int, D: int, window: int) -> Arguments:
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


@workload(
    scaled_dot_product_attention,
    sizes={"B": 32, "T": 50, "S": 1000, "D": 512},
    cost=_global_cost,
    grows={"S": (250, 500, 2000)},
    gradient=True,
)
def global_attention(random: np.random.Generator, B: int, T: int, S: int, D: int) -> Arguments:
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
    "Local attention at given places costs less than global attention to 1,000 states.",
    _COST,
    fast=monotonic_windows,
    slow=global_attention,
)


predictive_against_global_attention = Headline(
    "Local attention costs less than global attention to 1,000 states, though it has to predict its places.",
    _COST,
    fast=predicted_windows,
    slow=global_attention,
)
