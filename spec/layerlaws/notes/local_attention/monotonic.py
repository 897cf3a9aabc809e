"""Monotonic local attention: the window of step t stands around source state t."""

from __future__ import annotations

import numpy as np

from layerlaws.language import (
    HUGE,
    PLAIN,
    STEEPNESS,
    Arguments,
    Array,
    Claim,
    Cost,
    Format,
    Implementation,
    Results,
    all_of,
    answers_as,
    arrays,
    at_most,
    closely,
    dependence,
    exactly,
    extents,
    far_below,
    fault,
    huge,
    law,
    operation,
    refused,
    require,
    rewritten,
    seeds,
    softmax,
    two_factors,
    workload,
)
from layerlaws.language import strategies as st
from layerlaws.notes.alignment_scores.dot import dot_score
from layerlaws.notes.local_attention.windows import _near, _read, _rewritten_state, _sources, _steps


@st.composite
def decoder_steps(draw: st.DrawFn, textures: tuple[str, ...] | None = None, longer: int = 0) -> Arguments:
    """Queries and keys of any two lengths; longer: so many more queries than the window of the last key reaches."""
    batch, queries, keys, width = draw(extents(4, edges=(1, 2, 3)))
    window = draw(st.one_of(st.integers(0, 4), st.just(min(max(queries, keys), HUGE[-1]))))
    if longer:
        window %= 4
        queries = keys + window + longer
    shapes = (batch, queries, width), (batch, keys, width)
    query, key = draw(arrays(*shapes, textures=textures) if textures else arrays(*shapes))
    return {"query": query / 4, "keys": key, "window": window}


@st.composite
def plain_steps(draw: st.DrawFn) -> Arguments:
    """Small numbers of one size, and scores near each other, so that every influence can be seen."""
    batch, queries, keys, width = draw(extents(4))
    query, key = draw(arrays((batch, queries, width), (batch, keys, width), textures=PLAIN))
    return {"query": query / 512, "keys": key, "window": draw(st.integers(0, 3))}


@operation(inputs=decoder_steps(), batch=("query", "keys"), differentiable=True)
def local_attention_monotonic(query: Array, keys: Array, window: int) -> tuple[Array, Array]:
    """softmax(query . key over keys s with |s - t| <= window), and the sum of keys weighted by it; 0 where none is.

    query (B, T, D), keys (B, S, D)  ->  context (B, T, D), weights (B, T, S)
    """
    require(window >= 0, f"window = {window} is negative")
    weights = softmax(dot_score(query, keys), where=_near(np.arange(query.shape[1]), window, keys.shape[1]))
    return weights @ keys, weights


@law(inputs=plain_steps(), seed=seeds)
def monotonic_attention_reads_its_window_alone(
    local_attention_monotonic: Implementation, query: Array, keys: Array, window: int, seed: int
) -> Claim:
    """The context of step t depends on the states t - w to t + w, on each of them, and on no others, whatever S is."""

    def moved(s: int) -> Arguments:
        return {"query": query, "keys": keys if s < 0 else _rewritten_state(keys, s, seed), "window": window}

    count = keys.shape[1]
    expected = _near(np.arange(query.shape[1]), window, count)
    return exactly(dependence(local_attention_monotonic, moved, count, axis=1), expected)


@law(seed=seeds)
def outside_the_monotonic_window_anything_may_stand(
    local_attention_monotonic: Implementation, query: Array, keys: Array, window: int, seed: int
) -> Claim:
    """Huge states outside the window of a step change neither its context nor its weights."""
    step = seed % query.shape[1]
    far = (slice(None), ~_near(step, window, keys.shape[1]))
    other = rewritten(keys, far, huge(keys))
    after = local_attention_monotonic(query=query, keys=other, window=window)
    before = local_attention_monotonic(query=query, keys=keys, window=window)
    return all_of(*(closely(one[:, step], two[:, step]) for one, two in zip(after, before, strict=True)))


@fault(
    local_attention_monotonic,
    breaks=(monotonic_attention_reads_its_window_alone, outside_the_monotonic_window_anything_may_stand),
    kind="mask",
    repair="It is t - w to t + w.",
    seen="https://github.com/microsoft/onnxruntime/pull/25927",
)
def window_is_one_too_wide(query: Array, keys: Array, window: int) -> Results:
    """The window is counted without the step itself and reaches one state farther."""
    return _read(query, keys, np.abs(_steps(query, keys, window)) <= window + 1)


@fault(
    local_attention_monotonic,
    breaks=(monotonic_attention_reads_its_window_alone, outside_the_monotonic_window_anything_may_stand),
    kind="mask",
    repair="States after t + w are outside, too.",
    seen="https://github.com/jax-ml/jax/pull/39576",
)
def drops_the_right_border(query: Array, keys: Array, window: int) -> Results:
    """Only the left border of the window is looked after."""
    return _read(query, keys, _steps(query, keys, window) >= -window)


@law()
def monotonic_weights_are_shares_of_the_window(
    local_attention_monotonic: Implementation, query: Array, keys: Array, window: int
) -> Claim:
    """Weights are not negative, exactly 0 outside the window, and sum to 1, or to 0 where the window is empty."""
    _, weights = local_attention_monotonic(query=query, keys=keys, window=window)
    near = np.broadcast_to(_near(np.arange(query.shape[1]), window, keys.shape[1]), weights.shape)
    return all_of(
        at_most(0.0, weights),
        exactly(weights.value[~near], np.zeros(np.sum(~near))),
        closely(weights.sum(axis=-1), near.any(axis=-1).astype(np.float64)),
    )


@fault(
    local_attention_monotonic,
    breaks=(monotonic_weights_are_shares_of_the_window, outside_the_monotonic_window_anything_may_stand),
    kind="mask",
    repair="Take it inside the window only.",
)
def crops_the_global_softmax(query: Array, keys: Array, window: int) -> tuple[Array, Array]:
    """The softmax runs over all states and is cut to the window."""
    _, weights = _read(query, keys, True)
    cropped = np.where(np.abs(_steps(query, keys, window)) <= window, weights, 0.0).astype(query.dtype)
    return cropped @ keys, cropped


@fault(
    local_attention_monotonic,
    breaks=monotonic_weights_are_shares_of_the_window,
    kind="boundary",
    repair="Leave out what is no state.",
)
def padding_takes_its_share(query: Array, keys: Array, window: int) -> tuple[Array, Array]:
    """The sentence is padded with states of zeros, which get weight at both ends."""
    require(window >= 0, "window is negative")
    length, count = query.shape[1], keys.shape[1]
    reach = min(window, length + count)
    zeros = np.zeros((keys.shape[0], reach, keys.shape[2]), keys.dtype)
    padded = np.concatenate([zeros, keys, zeros], axis=1)
    context, weights = _read(query, padded, _near(np.arange(length) + reach, reach, count + 2 * reach))
    return context, weights[:, :, reach : reach + count]


@law(inputs=decoder_steps(longer=2))
def a_window_behind_the_sentence_is_empty(
    local_attention_monotonic: Implementation, query: Array, keys: Array, window: int
) -> Claim:
    """Steps whose window begins after the last state get weights 0 and context 0; those before do not notice."""
    last = keys.shape[1] + window
    context, weights = local_attention_monotonic(query=query, keys=keys, window=window)
    shorter = local_attention_monotonic(query=query[:, :last], keys=keys, window=window)
    return all_of(
        exactly(context.value[:, last:], np.zeros(context[:, last:].shape)),
        exactly(weights.value[:, last:], np.zeros(weights[:, last:].shape)),
        closely((context[:, :last], weights[:, :last]), shorter),
    )


@fault(
    local_attention_monotonic,
    breaks=(a_window_behind_the_sentence_is_empty, monotonic_weights_are_shares_of_the_window),
    kind="boundary",
    repair="A window that holds no state is empty.",
)
def the_last_window_is_used_again(query: Array, keys: Array, window: int) -> Results:
    """Behind the sentence the centre is clipped to the last state."""
    _steps(query, keys, window)
    return _read(query, keys, _near(np.minimum(np.arange(query.shape[1]), keys.shape[1] - 1), window, keys.shape[1]))


@law(steepness=STEEPNESS, seed=seeds, examples=60)
def a_window_may_score_far_below_what_is_outside(
    local_attention_monotonic: Implementation,
    query: Array,
    keys: Array,
    window: int,
    steepness: int,
    seed: int,
    format: Format,
) -> Claim:
    """Where all scores inside the window of a step are equal, it gets their mean, however far below zero they lie, and
    whatever the scores outside are.
    """
    asked, held = two_factors(far_below(format, steepness))
    generator = np.random.default_rng(seed)
    step = int(generator.integers(query.shape[1]))
    near = _near(step, window, keys.shape[1])
    states = keys.copy()
    states[..., 0] = np.where(near, -held, generator.choice([0.0, held], near.shape))
    level = {"query": np.zeros_like(query), "keys": states, "window": window}
    far = rewritten(level["query"], np.s_[:, step, 0], asked)
    return answers_as(local_attention_monotonic, {**level, "query": far}, level)


@fault(
    local_attention_monotonic,
    breaks=a_window_may_score_far_below_what_is_outside,
    kind="precision",
    repair="Start from minus infinity, or from the first score.",
)
def starts_the_maximum_of_a_window_at_a_number(query: Array, keys: Array, window: int) -> Results:
    """The running maximum starts at -1e9: where all scores lie below, their exponentials vanish and nothing is left."""
    return _read(query, keys, np.abs(_steps(query, keys, window)) <= window, least=-1e9)


@fault(
    local_attention_monotonic,
    breaks=(a_window_may_score_far_below_what_is_outside, a_window_behind_the_sentence_is_empty),
    kind="mask",
    repair="Fill with -inf, and give an empty window weights 0.",
    seen="https://github.com/huggingface/transformers/issues/14859",
)
def puts_minus_ten_thousand_outside_the_window(query: Array, keys: Array, window: int) -> Results:
    """Scores outside the window are set to -10,000; those inside that lie below are hidden by them."""
    return _read(query, keys, np.abs(_steps(query, keys, window)) <= window, fill=-1e4)


@fault(
    local_attention_monotonic,
    breaks=(a_window_may_score_far_below_what_is_outside, a_window_behind_the_sentence_is_empty),
    kind="mask",
    repair="Fill with -inf, and give an empty window weights 0.",
    seen="https://github.com/awslabs/gluonts/pull/1401",
)
def puts_minus_a_billion_outside_the_window(query: Array, keys: Array, window: int) -> Results:
    """Scores outside the window are set to -1e9; those inside that lie below are hidden by them."""
    return _read(query, keys, np.abs(_steps(query, keys, window)) <= window, fill=-1e9)


@fault(
    local_attention_monotonic,
    breaks=(a_window_behind_the_sentence_is_empty, monotonic_weights_are_shares_of_the_window),
    kind="mask",
    repair="Give an empty window weights 0.",
    seen="https://github.com/patrick-kidger/equinox/pull/274",
)
def puts_the_least_number_outside_the_window(query: Array, keys: Array, window: int) -> Results:
    """Scores outside the window are set to the least number of the format (finfo.min), so that an empty window has the
    mean of all states.
    """
    near = np.abs(_steps(query, keys, window)) <= window
    alike = _read(np.zeros_like(query), keys, True)
    pairs = zip(alike, _read(query, keys, near), strict=True)
    context, weights = (np.where(near.any(axis=-1, keepdims=True), read, mean) for mean, read in pairs)
    return context, weights


@law(inputs=decoder_steps(longer=2, textures=PLAIN), needs=["gradient"])
def an_empty_window_spoils_no_gradient(
    local_attention_monotonic: Implementation, query: Array, keys: Array, window: int
) -> Claim:
    """Gradients are finite where some window is empty, and 0 by the queries whose window is."""
    batch, length, width = query.shape
    cotangent = np.ones((batch, length, width), query.dtype), np.ones((batch, length, keys.shape[1]), query.dtype)
    gradient = local_attention_monotonic.gradient(cotangent, query=query, keys=keys, window=window)
    finite = np.array([np.isfinite(x.astype(np.float64)).all() for x in gradient.values()])
    blind = gradient["query"][:, keys.shape[1] + window :]
    return all_of(exactly(finite, np.ones(2, bool)), exactly(blind, np.zeros_like(blind)))


@fault(
    local_attention_monotonic,
    breaks=(a_window_behind_the_sentence_is_empty, an_empty_window_spoils_no_gradient),
    kind="boundary",
    repair="Give its step weights 0.",
    seen="https://github.com/pytorch/pytorch/issues/103749",
)
def an_empty_window_is_not_a_number(query: Array, keys: Array, window: int) -> tuple[Array, Array]:
    """The softmax of an empty window is 0 / 0, in the results and in the gradients."""
    hidden = np.where(np.abs(_steps(query, keys, window)) <= window, 0.0, -np.inf).astype(query.dtype)
    scores = dot_score(query, keys) + hidden
    raised = np.exp(scores - np.max(scores, axis=-1, keepdims=True))
    weights = raised / np.sum(raised, axis=-1, keepdims=True)
    return weights @ keys, weights


@law()
def a_window_over_everything_is_global_attention(
    local_attention_monotonic: Implementation, dot_score: Implementation, query: Array, keys: Array
) -> Claim:
    """With a window of max(S, T) - 1 or more no state is left out: the weights are the softmax of all scores."""
    weights = softmax(dot_score(query=query, keys=keys))
    reach = max(query.shape[1], keys.shape[1]) - 1
    return all_of(
        closely(local_attention_monotonic(query=query, keys=keys, window=reach), (weights @ keys, weights)),
        closely(local_attention_monotonic(query=query, keys=keys, window=10**9), (weights @ keys, weights)),
    )


@fault(
    local_attention_monotonic,
    breaks=(monotonic_weights_are_shares_of_the_window, a_window_over_everything_is_global_attention),
    kind="axis",
    repair="It has to run over the keys, the last axis of the scores.",
    seen="https://github.com/labmlai/annotated_deep_learning_paper_implementations/issues/146",
)
def shares_run_over_the_steps(query: Array, keys: Array, window: int) -> Results:
    """The softmax runs over the queries."""
    return _read(query, keys, np.abs(_steps(query, keys, window)) <= window, axis=-2)


@law()
def a_window_of_one_state_copies_it(local_attention_monotonic: Implementation, query: Array, keys: Array) -> Claim:
    """With window 0 the context of step t is source state t, and its weight 1."""
    context, weights = local_attention_monotonic(query=query, keys=keys, window=0)
    common = min(query.shape[1], keys.shape[1])
    return all_of(
        closely(context[:, :common], keys[:, :common]),
        closely(weights, np.broadcast_to(np.eye(query.shape[1], keys.shape[1]), weights.shape)),
    )


@fault(
    local_attention_monotonic,
    breaks=(monotonic_attention_reads_its_window_alone, a_window_of_one_state_copies_it),
    kind="mask",
    repair="State t + w belongs to it.",
)
def window_leaves_out_its_last_state(query: Array, keys: Array, window: int) -> Results:
    """The window is the half-open range(t - w, t + w)."""
    steps = _steps(query, keys, window)
    return _read(query, keys, (steps >= -window) & (steps < window))


@fault(
    local_attention_monotonic,
    breaks=(
        monotonic_attention_reads_its_window_alone,
        outside_the_monotonic_window_anything_may_stand,
        a_window_behind_the_sentence_is_empty,
        a_window_of_one_state_copies_it,
    ),
    kind="mask",
    repair="Mask whatever is outside the window.",
    seen="https://github.com/jax-ml/jax/issues/32300",
)
def forgets_the_window(query: Array, keys: Array, window: int) -> Results:
    """Without another mask the window is skipped, and attention is global."""
    return _read(query, keys, _steps(query, keys, window) > -np.inf)


@law(start=st.integers(1, 9))
def the_window_moves_with_the_step(
    local_attention_monotonic: Implementation, query: Array, keys: Array, window: int, start: int
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


@fault(
    local_attention_monotonic,
    breaks=(the_window_moves_with_the_step, a_window_of_one_state_copies_it),
    kind="shift",
    repair="It is t.",
)
def steps_are_scaled_to_the_sentence(query: Array, keys: Array, window: int) -> Results:
    """The centre is t S / T, so that it depends on the length of what is yet to be translated."""
    require(window >= 0, "window is negative")
    centres = np.arange(query.shape[1]) * keys.shape[1] // query.shape[1]
    return _read(query, keys, _near(centres, window, keys.shape[1]))


@law(inputs=plain_steps(), examples=20)
def a_negative_window_is_refused(
    local_attention_monotonic: Implementation, query: Array, keys: Array, window: int
) -> Claim:
    """A window reaches 0 states or more to each side."""
    return refused(local_attention_monotonic, "window", {"query": query, "keys": keys, "window": -1 - window})


@fault(
    local_attention_monotonic,
    breaks=a_negative_window_is_refused,
    kind="refusal",
    repair="Refuse a negative one with ValueError.",
)
def a_negative_window_is_taken_by_its_size(query: Array, keys: Array, window: int) -> Results:
    """The sign of the window is dropped."""
    return _read(query, keys, np.abs(_steps(query, keys, 0)) <= abs(window))


@law(inputs=plain_steps(), surplus=st.integers(1, 3), examples=20)
def monotonic_attention_refuses_states_of_two_widths(
    local_attention_monotonic: Implementation, query: Array, keys: Array, window: int, surplus: int
) -> Claim:
    """Queries and keys are multiplied, component by component."""
    wider = np.concatenate([keys] * (surplus + 1), axis=-1)
    return refused(local_attention_monotonic, "keys", {"query": query, "keys": wider, "window": window})


@fault(
    local_attention_monotonic,
    breaks=monotonic_attention_refuses_states_of_two_widths,
    kind="refusal",
    repair="Compare the widths, and raise ValueError.",
)
def cuts_states_to_the_query(query: Array, keys: Array, window: int) -> Results:
    """Components of the keys beyond those of the query are dropped."""
    return _read(query, keys[..., : query.shape[-1]], np.abs(_steps(query, keys, window)) <= window)


def _monotonic_cost(B: int, T: int, S: int, D: int, window: int) -> Cost:
    """Two products of the pairs in the windows; the weights of all states are written, as they are a result."""
    pairs = int(_near(np.arange(T), window, S).sum())
    return Cost(flops=4 * B * pairs * D, moved=B * ((2 * T + min(S, T + window)) * D + T * S))


@workload(
    local_attention_monotonic,
    sizes={"B": 32, "T": 50, "S": 1000, "D": 512, "window": 10},
    cost=_monotonic_cost,
    grows={"S": (250, 500, 2000)},
    gradient=True,
)
def monotonic_windows(random: np.random.Generator, B: int, T: int, S: int, D: int, window: int) -> Arguments:
    """50 steps for 32 sources of 1,000 states, 512 wide, with the paper's window of 10 (Luong et al. 2015, sections 3.2
    and 4).
    """
    query, keys = _sources(random, B, T, S, D)
    return {"query": query, "keys": keys, "window": window}
