"""How far the past reaches, how fast it fades, and the bounds of the state that carries it."""

from __future__ import annotations

import numpy as np

from layerlaws.language import (
    Arguments,
    Array,
    Claim,
    Ids,
    Implementation,
    Results,
    asbounded,
    at_most,
    closely,
    dependence,
    differ,
    exactly,
    extents,
    fault,
    ids,
    law,
    normal,
    relu,
    rewritten,
    seeds,
    sigmoid,
)
from layerlaws.language import strategies as st
from layerlaws.notes.rnn_language_model.recurrence import (
    _run,
    a_text_may_be_cut_where_the_state_is_carried_on,
    an_empty_text_leaves_the_state_as_it_is,
    rnn_language_model,
)


@st.composite
def registers(draw: st.DrawFn) -> Arguments:
    """A shift register: a word sets the first unit to its sign, and each unit hands its sign on to the next.

    tanh is saturated, which stills the rounding errors, so that the last word still shows what the first one was.
    Words k and k + H differ in sign, and each prediction shows one unit.
    """
    hidden, embedding = draw(extents(2))
    tokens = draw(ids((1, draw(st.integers(1, hidden))), 2 * hidden))
    generator = np.random.default_rng(draw(seeds))
    signs, order = generator.choice([-1.0, 1.0], embedding), generator.permutation(hidden)
    table = generator.uniform(0.75, 1.0, (hidden, embedding)) * signs
    w_x, w_h, one = np.zeros((embedding, hidden)), np.zeros((hidden, hidden)), np.eye(hidden)
    w_x[:, order[0]] = 3 * signs / embedding
    w_h[order[:-1], order[1:]] = 3.0
    return {
        "tokens": tokens,
        "state": np.zeros((1, hidden)),
        "token_table": np.concatenate([table, -table]),
        "w_x": w_x,
        "w_h": w_h,
        "b_h": np.zeros(hidden),
        "w_out": np.concatenate([one, -one], axis=1),
        "b_out": np.zeros(2 * hidden),
    }


@st.composite
def remembering_texts(draw: st.DrawFn, batch: int = 0, steps: int = 5) -> Arguments:
    """A model that forgets little: the recurrence turns the state and does not shrink it, and tanh is not saturated.

    batch: its size, drawn where 0. steps: at most.
    """
    rows, embedding, hidden, words = draw(extents(4))
    rows = batch or rows
    tokens = draw(ids((rows, draw(st.integers(1, steps))), words))
    generator = np.random.default_rng(draw(seeds))
    turn = np.eye(hidden)[generator.permutation(hidden)] * generator.choice([-1.0, 1.0], hidden)
    return {
        "tokens": tokens,
        "state": generator.choice([-0.25, 0.25], (rows, hidden)),
        "token_table": generator.uniform(0.5, 1.0, (words, embedding)),
        "w_x": generator.choice([-0.5, 0.5], (embedding, hidden)) / embedding,
        "w_h": turn,
        "b_h": np.zeros(hidden),
        "w_out": generator.choice([-1.0, 1.0], (hidden, words)),
        "b_out": np.zeros(words),
    }


def _opposite(tokens: Ids, table: Array) -> Array:
    """The words whose embeddings are the negatives."""
    return (tokens + len(table) // 2) % len(table)


@law(inputs=registers(), examples=60)
def predictions_see_every_word_so_far_and_none_later(
    rnn_language_model: Implementation, tokens: Ids, inputs: Arguments
) -> Claim:
    """Who depends on whom is exactly the lower triangle: no later word, and every word so far."""

    def moved(j: int) -> Arguments:
        if j < 0:
            return inputs
        return {**inputs, "tokens": rewritten(tokens, (0, j), _opposite(tokens[0, j], inputs["token_table"]))}

    length = tokens.shape[1]
    return exactly(dependence(rnn_language_model, moved, length, axis=1), np.tri(length, dtype=bool))


@law(inputs=remembering_texts(steps=40), examples=60)
def the_far_past_still_reaches(rnn_language_model: Implementation, inputs: Arguments) -> Claim:
    """There is no window: where w_h turns the state and keeps its signs, the state before the first word shows in the
    last one, however long the text.
    """
    lasting = {**inputs, "w_h": 4 * inputs["w_h"], "state": 4 * inputs["state"]}
    (_, one), (_, expected_one) = rnn_language_model.compare(**lasting)
    (_, two), (_, expected_two) = rnn_language_model.compare(**{**lasting, "state": -lasting["state"]})
    return differ(one, two, expected=(expected_one, expected_two))


@law(inputs=remembering_texts(steps=1), steps=st.sampled_from((65, 129, 257, 513)), examples=20)
def the_first_state_decides_the_signs_of_the_last(
    rnn_language_model: Implementation, inputs: Arguments, steps: int
) -> Claim:
    """Where w_h turns the state and saturates it, and nothing is read, hundreds of steps leave the signs it turned."""
    turn = inputs["w_h"].astype(np.float64)
    signs = np.sign(inputs["state"].astype(np.float64) @ np.linalg.matrix_power(turn, steps))
    silent = {"w_x": np.zeros_like(inputs["w_x"]), "w_h": 4 * inputs["w_h"]}
    tokens = np.repeat(inputs["tokens"], steps, axis=1)
    results = rnn_language_model.results(**{**inputs, **silent, "tokens": tokens})
    _, state = rnn_language_model.as_many(results, rnn_language_model.definition(**inputs))
    return exactly(np.sign(state.astype(np.float64)), signs)


@fault(
    rnn_language_model,
    breaks=the_first_state_decides_the_signs_of_the_last,
    kind="size",
    repair="Carry the state on without end.",
)
def forgets_all_but_the_last_64_words(
    tokens: Ids, state: Array, token_table: Array, w_x: Array, w_h: Array, b_h: Array, w_out: Array, b_out: Array
) -> Results:
    """The state is that of the last 64 words, read from zeros where there are more."""
    weights = (token_table, w_x, w_h, b_h, w_out, b_out)
    predictions, last = _run(tokens, state, *weights)
    return predictions, _run(tokens[:, -64:], state * 0.0, *weights)[1] if tokens.shape[1] > 64 else last


@fault(
    rnn_language_model,
    breaks="agrees_at_every_scale",
    kind="precision",
    repair="Take tanh itself, which is accurate near 0.",
    seen="https://github.com/tinygrad/tinygrad/pull/107",
)
def squashes_by_a_sigmoid(
    tokens: Ids, state: Array, token_table: Array, w_x: Array, w_h: Array, b_h: Array, w_out: Array, b_out: Array
) -> Results:
    """tanh is 2 sigmoid(2 x) - 1, which loses all digits of small numbers."""

    def squash(x: Array) -> Array:
        return sigmoid(x * 2.0) * 2.0 - 1.0

    return _run(tokens, state, token_table, w_x, w_h, b_h, w_out, b_out, activate=squash)


PAST_FORGOTTEN = (
    an_empty_text_leaves_the_state_as_it_is,
    a_text_may_be_cut_where_the_state_is_carried_on,
    the_far_past_still_reaches,
)


@fault(
    rnn_language_model,
    breaks=PAST_FORGOTTEN,
    kind="boundary",
    repair="Start from it; zeros are the caller's choice.",
)
def starts_from_zeros(
    tokens: Ids, state: Array, token_table: Array, w_x: Array, w_h: Array, b_h: Array, w_out: Array, b_out: Array
) -> Results:
    """The state that is given is ignored."""
    return _run(tokens, np.zeros(state.shape, state.dtype), token_table, w_x, w_h, b_h, w_out, b_out)


@fault(
    rnn_language_model,
    breaks=(the_far_past_still_reaches, predictions_see_every_word_so_far_and_none_later),
    kind="mask",
    repair="Carry it on without end.",
)
def forgets_beyond_a_window(
    tokens: Ids, state: Array, token_table: Array, w_x: Array, w_h: Array, b_h: Array, w_out: Array, b_out: Array
) -> Results:
    """The state is set to zero before every third word, as a model of a window would."""

    def step(x: Array, h: Array, t: int) -> Array:
        return np.tanh(x @ w_x + (h @ w_h if t % 3 != 2 else 0.0) + b_h)

    return _run(tokens, state, token_table, w_x, w_h, b_h, w_out, b_out, step)


def _stretch(w_h: Array) -> Array:
    """At least the square of what w_h stretches a state by: the largest row sum times the largest column sum."""
    sizes = np.abs(asbounded(w_h))
    return np.max(np.sum(sizes, axis=0)) * np.max(np.sum(sizes, axis=1))


def _faded(start: Array, w_h: Array, steps: int) -> Array:
    """The squared lengths of rows, times the squared stretch for every step."""
    reach, stretch = np.sum(np.square(start), axis=1), _stretch(w_h)
    for _ in range(steps):
        reach = reach * stretch
    return reach


@law(seed=seeds, shrinking=st.sampled_from([0.25, 0.5, 1.0, 2.0]))
def the_past_fades_as_the_largest_stretch_allows(
    rnn_language_model: Implementation, tokens: Ids, inputs: Arguments, seed: int, shrinking: float
) -> Claim:
    """After T steps two states differ at most by their first difference times the T-th power of the largest
    singular value of w_h: tanh stretches nothing.
    """
    start = inputs["state"]
    weights = {**inputs, "w_h": (inputs["w_h"].astype(np.float64) * shrinking).astype(start.dtype)}
    other = (start + normal(seed, start.shape, start)).astype(start.dtype)
    _, one = rnn_language_model(**weights)
    _, two = rnn_language_model(**{**weights, "state": other})
    apart = np.sum(np.square(one - two), axis=1)
    return at_most(apart, _faded(asbounded(start) - other, weights["w_h"], tokens.shape[1]))


@law()
def states_stay_between_minus_one_and_one(rnn_language_model: Implementation, inputs: Arguments) -> Claim:
    """Whatever is read, no number of the state leaves [-1, 1]."""
    _, state = rnn_language_model(**inputs)
    return at_most(np.abs(state), np.ones(state.shape))


@law(seed=seeds)
def hidden_units_may_change_their_signs(rnn_language_model: Implementation, inputs: Arguments, seed: int) -> Claim:
    """tanh is odd: with every weight into and out of a unit negated, its state is negated and predictions stay."""
    signs = np.random.default_rng(seed).choice([-1, 1], inputs["b_h"].shape).astype(inputs["b_h"].dtype)
    turned = {
        "state": inputs["state"] * signs,
        "w_x": inputs["w_x"] * signs,
        "w_h": signs[:, None] * inputs["w_h"] * signs,
        "b_h": inputs["b_h"] * signs,
        "w_out": signs[:, None] * inputs["w_out"],
    }
    predictions, state = rnn_language_model(**{**inputs, **turned})
    return closely((predictions, state * signs), rnn_language_model(**inputs))


@fault(
    rnn_language_model,
    breaks=(states_stay_between_minus_one_and_one, hidden_units_may_change_their_signs),
    kind="formula",
    repair="Take tanh.",
)
def activates_with_relu(
    tokens: Ids, state: Array, token_table: Array, w_x: Array, w_h: Array, b_h: Array, w_out: Array, b_out: Array
) -> Results:
    """max(0, .) stands in place of tanh, as nonlinearity='relu' of PyTorch has it."""
    return _run(tokens, state, token_table, w_x, w_h, b_h, w_out, b_out, activate=relu)
