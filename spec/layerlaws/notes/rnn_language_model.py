"""The recurrent language model: one state carries the whole past, and the same weights serve every step.

Note of 2021-10-31. A language model predicts each word from the words before it. A window of n words cannot see
farther back than n; a recurrent network reads one word at a time into a state, h = tanh(x w_x + h w_h + b), and
predicts from the state alone (Elman, Finding Structure in Time, 1990; Mikolov, Karafiat, Burget, Cernocky,
Khudanpur, Recurrent neural network based language model, 2010). It is trained by unrolling: the gradient by a shared
weight is the sum over its copies (Werbos, Backpropagation Through Time: What It Does and How to Do It, 1990).

Claimed: texts of any length share the parameters, and may be cut anywhere if the state is carried on; each
prediction depends on every word so far and on none later; what the past can still do fades at least as fast as the
powers of the largest stretch of w_h (Pascanu, Mikolov, Bengio, On the difficulty of training Recurrent Neural
Networks, 2013, section 2.1). Not claimed: that the far past is put to use, which is a matter of training.

Conventions. w_x is (E, H), w_h is (H, H): rows are multiplied from the left. Prediction t is for the word after word
t, and the state that comes back is the one after the last word; a text of no words returns the state as it came.
Elman's units are logistic, Mikolov's too; tanh is what libraries call an RNN. PyTorch has two biases, which are added
up, and refuses a text of no words.

Erratum. "The same weight matrix at every step" are two matrices: one for the word, one for the state (and a third for
the prediction). Shown by words_and_states_have_a_matrix_each and the_recurrent_matrix_is_square.

Erratum. That the model does not grow with the length of the context is true of the parameters; training keeps the state
of every step, since the gradient by w_h multiplies each of them. Shown by training_needs_the_state_of_every_step.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from layerlaws.language import (
    Arguments,
    Array,
    Claim,
    Cost,
    Ids,
    Implementation,
    Results,
    affine,
    all_of,
    arrays,
    asbounded,
    at_most,
    calmed,
    closely,
    constant,
    dependence,
    differ,
    durations,
    exactly,
    extents,
    fault,
    ids,
    ids_within,
    law,
    log_softmax,
    matrix,
    normal,
    operation,
    refused,
    relu,
    require,
    rewritten,
    seeds,
    workload,
    zipf,
)
from layerlaws.language import strategies as st


@st.composite
def texts(draw: st.DrawFn, square: bool = False) -> Arguments:
    """A text of one word at least, and a model whose recurrence does not stretch.

    Three times in four words do not saturate tanh, and scores are near each other: what half precision can follow.
    square: embeddings are as wide as the state.
    """
    rows, length, embedding, hidden, words = draw(extents(5, edges=(2, 3, 4)))
    embedding, words = hidden if square else embedding, words + 1
    tokens = draw(ids((rows, draw(durations(length))), words))
    shapes = {
        "state": (rows, hidden),
        "token_table": (words, embedding),
        "w_x": (embedding, hidden),
        "w_h": (hidden, hidden),
        "b_h": (hidden,),
        "w_out": (hidden, words),
        "b_out": (words,),
    }
    drawn = dict(zip(shapes, draw(arrays(*shapes.values())), strict=True))
    drawn["w_h"] = calmed(drawn["w_h"])
    if draw(st.integers(0, 3)):
        heard = np.abs(drawn["token_table"] @ drawn["w_x"]).max()
        scored = np.abs(drawn["w_out"]).sum(axis=0).max() + np.abs(drawn["b_out"]).max()
        drawn["w_x"] = drawn["w_x"] / max(1.0, heard)
        drawn["w_out"], drawn["b_out"] = (drawn[name] / max(1.0, scored / 4) for name in ("w_out", "b_out"))
    return {"tokens": tokens, **drawn}


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


def _fits(
    tokens: Ids, state: Array, token_table: Array, w_x: Array, w_h: Array, b_h: Array, w_out: Array, b_out: Array
) -> None:
    (words, embedding), hidden = token_table.shape, b_h.shape[0]
    ids_within(tokens, words, "tokens")
    expected = {
        "state": (tokens.shape[0], hidden),
        "w_x": (embedding, hidden),
        "w_h": (hidden, hidden),
        "w_out": (hidden, words),
        "b_out": (words,),
    }
    given = {"state": state, "w_x": w_x, "w_h": w_h, "w_out": w_out, "b_out": b_out}
    for name, shape in expected.items():
        require(given[name].shape == shape, f"{name} has the shape {given[name].shape}, not {shape}")


@operation(inputs=texts(), batch=("tokens", "state"), differentiable=True)
def rnn_language_model(
    tokens: Ids, state: Array, token_table: Array, w_x: Array, w_h: Array, b_h: Array, w_out: Array, b_out: Array
) -> tuple[Array, Array]:
    """h = tanh(x w_x + h w_h + b_h) from word to word, and log softmax(h w_out + b_out) after each.

    tokens (B, T) ids, T >= 0, state (B, H), token_table (V, E), w_x (E, H), w_h (H, H), b_h (H,), w_out (H, V),
    b_out (V,)  ->  log-probabilities of the next word (B, T, V), state after the last word (B, H)
    """
    _fits(tokens, state, token_table, w_x, w_h, b_h, w_out, b_out)
    embedded, weights = token_table[tokens], np.concatenate([w_x, w_h])
    states = [state]
    for t in range(tokens.shape[1]):
        states.append(np.tanh(affine(np.concatenate([embedded[:, t], states[-1]], axis=1), weights, b_h)))
    hidden = np.stack(states, axis=1)  # (B, T + 1, H), the state before the first word in front
    return log_softmax(affine(hidden[:, 1:], w_out, b_out)), hidden[:, -1]


def _run(
    tokens: Ids,
    state: Array,
    token_table: Array,
    w_x: Array,
    w_h: Array,
    b_h: Array,
    w_out: Array,
    b_out: Array,
    step: Array = None,
    activate: Array = np.tanh,
) -> Array:
    """The plain model with the knobs that faults turn: step(x, h, t) in place of the recurrence, activate in it."""
    ids_within(tokens, len(token_table), "tokens")
    step = step or (lambda x, h, t: activate(x @ w_x + h @ w_h + b_h))
    embedded, states = token_table[tokens], [state]
    for t in range(tokens.shape[1]):
        states.append(step(embedded[:, t], states[-1], t))
    hidden = np.stack(states, axis=1)
    return log_softmax(hidden[:, 1:] @ w_out + b_out), hidden[:, -1]


@fault(
    rnn_language_model,
    breaks="agrees_with_definition",
    kind="axis",
    repair="It is (in, out): transpose when porting.",
)
def takes_the_recurrent_matrix_as_out_before_in(
    tokens: Ids, state: Array, token_table: Array, w_x: Array, w_h: Array, b_h: Array, w_out: Array, b_out: Array
) -> Results:
    """w_h is applied transposed, which its square shape hides."""
    return _run(tokens, state, token_table, w_x, w_h.T, b_h, w_out, b_out)


@law(examples=20)
def an_empty_text_leaves_the_state_as_it_is(
    rnn_language_model: Implementation, tokens: Ids, inputs: Arguments
) -> Claim:
    """A text of no words gives no predictions, and the state that came in."""
    predictions, state = rnn_language_model(**{**inputs, "tokens": tokens[:, :0]})
    return all_of(exactly(state, inputs["state"]), exactly(predictions.shape[1], 0))


@law(length=st.integers(1, 65))
def texts_of_any_length_share_the_parameters(
    rnn_language_model: Implementation, tokens: Ids, inputs: Arguments, length: int
) -> Claim:
    """With the very same parameters, the beginning of a text is predicted as it is within the whole."""
    kept = (length - 1) % tokens.shape[1] + 1
    whole, _ = rnn_language_model(**inputs)
    beginning, _ = rnn_language_model(**{**inputs, "tokens": tokens[:, :kept]})
    return closely(beginning, whole[:, :kept])


@law(cuts=st.lists(st.integers(1, 64), max_size=3))
def a_text_may_be_cut_where_the_state_is_carried_on(
    rnn_language_model: Implementation, tokens: Ids, inputs: Arguments, cuts: list[int]
) -> Claim:
    """Reading a text in any pieces, each from the state that the one before it left, is reading it at once."""
    length = tokens.shape[1]
    ends = sorted({1 + cut % length for cut in cuts} | {length})
    pieces, state = [], inputs["state"]
    for start, end in zip([0, *ends[:-1]], ends, strict=True):
        predictions, state = rnn_language_model(**{**inputs, "tokens": tokens[:, start:end], "state": state})
        pieces.append(predictions)
    return closely((np.concatenate(pieces, axis=1), state), rnn_language_model(**inputs))


@fault(
    rnn_language_model,
    breaks=a_text_may_be_cut_where_the_state_is_carried_on,
    kind="boundary",
    repair="Return the one after it.",
)
def returns_the_state_before_the_last_word(
    tokens: Ids, state: Array, token_table: Array, w_x: Array, w_h: Array, b_h: Array, w_out: Array, b_out: Array
) -> tuple[Array, Array]:
    """The state that comes back has not read the last word."""
    predictions, _ = _run(tokens, state, token_table, w_x, w_h, b_h, w_out, b_out)
    _, before = _run(tokens[:, :-1], state, token_table, w_x, w_h, b_h, w_out, b_out)
    return predictions, before


@law(delay=st.integers(1, 5))
def the_same_weights_serve_every_step(
    rnn_language_model: Implementation, tokens: Ids, inputs: Arguments, delay: int
) -> Claim:
    """Words that leave the state at zero, read before a text, delay its predictions and change none: weights do not
    know the time.
    """
    table = inputs["token_table"]
    silent = {**inputs, "state": 0 * inputs["state"], "b_h": 0 * inputs["b_h"], "token_table": rewritten(table, 0, 0.0)}
    waiting = np.zeros((len(tokens), delay), np.int64)
    late, last = rnn_language_model(**{**silent, "tokens": np.concatenate([waiting, tokens], axis=1)})
    return closely((late[:, delay:], last), rnn_language_model(**{**silent, "tokens": tokens}))


@fault(
    rnn_language_model,
    breaks=the_same_weights_serve_every_step,
    kind="scale",
    repair="Every step has the same weights.",
)
def weights_wear_off(
    tokens: Ids, state: Array, token_table: Array, w_x: Array, w_h: Array, b_h: Array, w_out: Array, b_out: Array
) -> Results:
    """w_x is divided by the number of the step."""
    return _run(
        tokens,
        state,
        token_table,
        w_x,
        w_h,
        b_h,
        w_out,
        b_out,
        lambda x, h, t: np.tanh(x @ (w_x * (1 / (1 + t))).astype(w_x.dtype) + h @ w_h + b_h),
    )


@law()
def probabilities_of_the_next_word_sum_to_one(rnn_language_model: Implementation, inputs: Arguments) -> Claim:
    """After every word the probabilities of all words sum to 1."""
    predictions, _ = rnn_language_model(**inputs)
    return closely(np.sum(np.exp(predictions), axis=-1), np.ones(predictions.shape[:-1]))


@fault(
    rnn_language_model,
    breaks=probabilities_of_the_next_word_sum_to_one,
    kind="formula",
    repair="Take log softmax over the vocabulary.",
)
def returns_logits(
    tokens: Ids, state: Array, token_table: Array, w_x: Array, w_h: Array, b_h: Array, w_out: Array, b_out: Array
) -> tuple[Array, Array]:
    """The numbers before the softmax are returned."""
    hidden = [
        _run(tokens[:, :t], state, token_table, w_x, w_h, b_h, w_out, b_out)[1] for t in range(1, tokens.shape[1] + 1)
    ]
    return np.stack(hidden, axis=1) @ w_out + b_out, hidden[-1]


@law(examples=20)
def improbable_words_keep_their_log_probabilities(
    rnn_language_model: Implementation, tokens: Ids, inputs: Arguments
) -> Claim:
    """Log-probabilities of two words differ as their scores do, also where the probability of one underflows."""
    b_out = -256 * np.arange(inputs["b_out"].size).clip(0, 5).astype(inputs["b_out"].dtype)
    predictions, _ = rnn_language_model(**{**inputs, "w_out": 0 * inputs["w_out"], "b_out": b_out})
    return closely(predictions - predictions[..., :1], np.broadcast_to(b_out, predictions.shape))


@fault(
    rnn_language_model,
    breaks=improbable_words_keep_their_log_probabilities,
    kind="precision",
    repair="Take log softmax.",
    seen="https://github.com/deeplearning4j/deeplearning4j/issues/785",
)
def takes_the_logarithm_of_the_softmax(
    tokens: Ids, state: Array, token_table: Array, w_x: Array, w_h: Array, b_h: Array, w_out: Array, b_out: Array
) -> tuple[Array, Array]:
    """Probabilities of words that score far below the best underflow, and their logarithm is -inf."""
    predictions, last = _run(tokens, state, token_table, w_x, w_h, b_h, w_out, b_out)
    return np.log(np.exp(predictions)), last


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


PAST_FORGOTTEN = (
    an_empty_text_leaves_the_state_as_it_is,
    a_text_may_be_cut_where_the_state_is_carried_on,
    the_far_past_still_reaches,
)


@fault(
    rnn_language_model,
    breaks=PAST_FORGOTTEN,
    kind="formula",
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
    kind="formula",
    repair="Carry it on without end.",
)
def forgets_beyond_a_window(
    tokens: Ids, state: Array, token_table: Array, w_x: Array, w_h: Array, b_h: Array, w_out: Array, b_out: Array
) -> Results:
    """The state is set to zero before every third word, as a model of a window would."""
    return _run(
        tokens,
        state,
        token_table,
        w_x,
        w_h,
        b_h,
        w_out,
        b_out,
        lambda x, h, t: np.tanh(x @ w_x + (h @ w_h if t % 3 != 2 else 0.0) + b_h),
    )


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
    kind="contract",
    repair="Take tanh.",
)
def activates_with_relu(
    tokens: Ids, state: Array, token_table: Array, w_x: Array, w_h: Array, b_h: Array, w_out: Array, b_out: Array
) -> Results:
    """max(0, .) stands in place of tanh, as nonlinearity='relu' of PyTorch has it."""
    return _run(tokens, state, token_table, w_x, w_h, b_h, w_out, b_out, activate=relu)


@law(inputs=texts(square=True), seed=seeds, examples=50)
def words_and_states_have_a_matrix_each(
    rnn_language_model: Implementation, tokens: Ids, inputs: Arguments, seed: int
) -> Claim:
    """Erratum. There are two matrices, not one: with w_x = 0 words do not matter, with w_h = 0 the past does not."""
    others = (tokens + 1) % len(inputs["token_table"])
    deaf = {**inputs, "w_x": 0 * inputs["w_x"]}
    heard = rnn_language_model(**deaf), rnn_language_model(**{**deaf, "tokens": others})
    order = np.random.default_rng(seed).permutation(tokens.shape[1])
    blank = {**inputs, "w_h": 0 * inputs["w_h"]}
    predictions, _ = rnn_language_model(**blank)
    permuted, _ = rnn_language_model(**{**blank, "tokens": tokens[:, order], "state": -inputs["state"]})
    return all_of(closely(*heard), closely(permuted, predictions[:, order]))


@fault(
    rnn_language_model,
    breaks=words_and_states_have_a_matrix_each,
    kind="contract",
    repair="Words have w_x, states have w_h.",
)
def takes_one_matrix_for_both(
    tokens: Ids, state: Array, token_table: Array, w_x: Array, w_h: Array, b_h: Array, w_out: Array, b_out: Array
) -> Results:
    """Word and state are added up before one matrix, where the shapes allow it."""
    return _run(tokens, state, token_table, w_x, w_x if w_x.shape == w_h.shape else w_h, b_h, w_out, b_out)


@law(examples=20)
def the_recurrent_matrix_is_square(rnn_language_model: Implementation, inputs: Arguments) -> Claim:
    """Erratum. w_h leads from state to state; a matrix that has a row more is refused."""
    w_h = inputs["w_h"]
    return refused(rnn_language_model, "w_h", {**inputs, "w_h": np.concatenate([w_h, w_h[:1]])})


@fault(
    rnn_language_model,
    breaks=the_recurrent_matrix_is_square,
    kind="formula",
    repair="Compare the shapes, and raise ValueError.",
)
def ignores_surplus_rows_of_the_recurrent_matrix(
    tokens: Ids, state: Array, token_table: Array, w_x: Array, w_h: Array, b_h: Array, w_out: Array, b_out: Array
) -> Results:
    """Rows of w_h beyond the width of the state are dropped."""
    return _run(tokens, state, token_table, w_x, w_h[: state.shape[1]], b_h, w_out, b_out)


@law(surplus=st.integers(1, 3), examples=20)
def a_state_of_another_width_is_refused(rnn_language_model: Implementation, inputs: Arguments, surplus: int) -> Claim:
    """The state has a number for each hidden unit; one with more is refused."""
    state = np.concatenate([inputs["state"]] + [inputs["state"][:, :1]] * surplus, axis=1)
    return refused(rnn_language_model, "state", {**inputs, "state": state})


@fault(
    rnn_language_model,
    breaks=a_state_of_another_width_is_refused,
    kind="formula",
    repair="Compare the widths, and raise ValueError.",
)
def cuts_the_state_to_its_width(
    tokens: Ids, state: Array, token_table: Array, w_x: Array, w_h: Array, b_h: Array, w_out: Array, b_out: Array
) -> Results:
    """Surplus numbers of the state are dropped."""
    return _run(tokens, state[:, : len(w_h)], token_table, w_x, w_h, b_h, w_out, b_out)


@law(beyond=st.sampled_from([-1, 0, 1, 1000]), examples=20)
def a_word_outside_the_vocabulary_is_refused(
    rnn_language_model: Implementation, tokens: Ids, inputs: Arguments, beyond: int
) -> Claim:
    """Ids lie in [0, V); others are refused, negative ones, too."""
    unknown = -1 if beyond < 0 else len(inputs["token_table"]) + beyond
    return refused(rnn_language_model, "tokens", {**inputs, "tokens": rewritten(tokens, (0, -1), unknown)})


@fault(
    rnn_language_model,
    breaks=a_word_outside_the_vocabulary_is_refused,
    kind="formula",
    repair="Raise ValueError.",
)
def wraps_unknown_words(
    tokens: Ids, state: Array, token_table: Array, w_x: Array, w_h: Array, b_h: Array, w_out: Array, b_out: Array
) -> Results:
    """Ids outside the vocabulary are taken modulo its size, as negative indices of Python are."""
    return _run(tokens % len(token_table), state, token_table, w_x, w_h, b_h, w_out, b_out)


@law(inputs=remembering_texts(batch=1), needs=["gradient"], step=st.integers(0, 9))
def gradients_flow_to_the_words_so_far_and_to_none_later(
    rnn_language_model: Implementation, tokens: Ids, inputs: Arguments, step: int
) -> Claim:
    """The gradient of one prediction is zero by the embedding of every later word, and alive by all the others."""
    length, width = tokens.shape[1], inputs["token_table"].shape[1]
    step %= length
    distinct = np.arange(length, dtype=np.int64)[None]
    table = np.concatenate([inputs["token_table"][tokens[0]], np.ones((1, width), inputs["b_h"].dtype)])
    w_out = normal(step, (inputs["b_h"].size, length + 1), table)
    model = {**inputs, "tokens": distinct, "token_table": table, "w_out": w_out, "b_out": 0 * w_out[0]}
    weights = np.zeros((1, length, length + 1), table.dtype)
    weights[0, step, 0] = 1
    gradient = rnn_language_model.gradient((weights, 0 * inputs["state"]), **model)["token_table"]
    return exactly((np.abs(gradient) > 0).any(axis=1), np.arange(length + 1) <= step)


FUTURE_SEEN = (
    texts_of_any_length_share_the_parameters,
    predictions_see_every_word_so_far_and_none_later,
    gradients_flow_to_the_words_so_far_and_to_none_later,
)


@fault(
    rnn_language_model,
    breaks=FUTURE_SEEN,
    kind="formula",
    repair="Read from the first word on.",
)
def reads_from_the_end(
    tokens: Ids, state: Array, token_table: Array, w_x: Array, w_h: Array, b_h: Array, w_out: Array, b_out: Array
) -> tuple[Array, Array]:
    """The text is read backwards, as by the second half of a bidirectional network."""
    predictions, last = _run(np.flip(tokens, 1), state, token_table, w_x, w_h, b_h, w_out, b_out)
    return np.flip(predictions, 1), last


@fault(
    rnn_language_model,
    breaks=FUTURE_SEEN[1:],
    kind="shift",
    repair="Read word t.",
)
def reads_the_word_it_has_to_predict(
    tokens: Ids, state: Array, token_table: Array, w_x: Array, w_h: Array, b_h: Array, w_out: Array, b_out: Array
) -> Results:
    """The text is shifted the wrong way: step t reads word t + 1, the one to be predicted."""
    ahead = np.concatenate([tokens[:, 1:], tokens[:, :1]], axis=1)
    return _run(ahead, state, token_table, w_x, w_h, b_h, w_out, b_out)


@law(needs=["gradient"], seed=seeds, examples=50)
def gradients_fade_as_the_largest_stretch_allows(
    rnn_language_model: Implementation, tokens: Ids, inputs: Arguments, seed: int
) -> Claim:
    """The gradient by the first state is at most as long as that by the last, times the T-th power of the largest
    singular value of w_h.
    """
    predictions = np.zeros((*tokens.shape, inputs["b_out"].size), inputs["b_out"].dtype)
    last = normal(seed, inputs["state"].shape, inputs["state"])
    computed, _ = rnn_language_model.compare_gradient((predictions, last), **inputs)
    reach = np.sum(np.square(computed["state"]), axis=1)
    return at_most(reach, _faded(asbounded(last), inputs["w_h"], tokens.shape[1]))


@fault(
    rnn_language_model,
    breaks=(
        the_past_fades_as_the_largest_stretch_allows,
        states_stay_between_minus_one_and_one,
        gradients_fade_as_the_largest_stretch_allows,
    ),
    kind="formula",
    repair="The next state is tanh(...) alone.",
)
def adds_each_state_to_the_one_before(
    tokens: Ids, state: Array, token_table: Array, w_x: Array, w_h: Array, b_h: Array, w_out: Array, b_out: Array
) -> Results:
    """A residual connection runs from state to state."""
    return _run(
        tokens, state, token_table, w_x, w_h, b_h, w_out, b_out, lambda x, h, t: h + np.tanh(x @ w_x + h @ w_h + b_h)
    )


def _copies(rnn: Array, inputs: Arguments, predictions: Array, last: Array) -> tuple[list[Any], list[Any]]:
    """Step by step: the states before each step, and the gradient of each step alone, given what its state got later.

    predictions (B, T, V), last (B, H): the weights of the results.
    """
    steps = [{**inputs, "tokens": inputs["tokens"][:, t : t + 1]} for t in range(inputs["tokens"].shape[1])]
    states = [inputs["state"]]
    for step in steps[:-1]:
        states.append(rnn(**{**step, "state": states[-1]})[1])
    gradients: list[Any] = []
    for t in reversed(range(len(steps))):
        computed, _ = rnn.compare_gradient((predictions[:, t : t + 1], last), **{**steps[t], "state": states[t]})
        gradients.insert(0, computed)
        last = computed["state"]
    return states, gradients


SHARED = ("token_table", "w_x", "w_h", "b_h", "w_out", "b_out")


@law(inputs=remembering_texts(), needs=["gradient"], seed=seeds, examples=30)
def shared_weights_get_the_sum_over_their_copies(
    rnn_language_model: Implementation, tokens: Ids, inputs: Arguments, seed: int
) -> Claim:
    """The gradient by a shared weight is the sum of the gradients of the single steps, chained by the gradient of the
    state.
    """
    state = inputs["state"]
    predictions = normal(seed, (*tokens.shape, inputs["b_out"].size), state)
    last = normal(seed + 1, state.shape, state)
    whole, _ = rnn_language_model.compare_gradient((predictions, last), **inputs)
    _, copies = _copies(rnn_language_model, inputs, predictions, last)
    summed = tuple(np.sum(np.stack([copy[name] for copy in copies]), axis=0) for name in SHARED)
    return closely(tuple(whole[name] for name in SHARED), summed)


@law(inputs=remembering_texts(batch=1), needs=["gradient"], seed=seeds, examples=30)
def training_needs_the_state_of_every_step(
    rnn_language_model: Implementation, tokens: Ids, inputs: Arguments, seed: int
) -> Claim:
    """Erratum. Even of the last state alone, the gradient by w_h is the sum over all steps of the state before times
    the gradient by the sum under tanh: parameters do not grow with the text, the memory of training does.
    """
    predictions = np.zeros((*tokens.shape, inputs["b_out"].size), inputs["b_out"].dtype)
    last = normal(seed, inputs["state"].shape, inputs["state"])
    whole, _ = rnn_language_model.compare_gradient((predictions, last), **inputs)
    states, copies = _copies(rnn_language_model, inputs, predictions, last)
    shares = [asbounded(state).T @ copy["b_h"][None] for state, copy in zip(states, copies, strict=True)]
    return closely(whole["w_h"], np.sum(np.stack(shares), axis=0))


@fault(
    rnn_language_model,
    breaks=(
        gradients_flow_to_the_words_so_far_and_to_none_later,
        shared_weights_get_the_sum_over_their_copies,
        training_needs_the_state_of_every_step,
    ),
    kind="gradient",
    repair="Detach where a text is cut, if at all.",
)
def cuts_the_gradient_between_steps(
    tokens: Ids, state: Array, token_table: Array, w_x: Array, w_h: Array, b_h: Array, w_out: Array, b_out: Array
) -> Results:
    """States are detached after every step, so that each weight gets the gradient of single steps only."""
    return _run(
        tokens,
        state,
        token_table,
        w_x,
        w_h,
        b_h,
        w_out,
        b_out,
        lambda x, h, t: np.tanh(x @ w_x + (constant(h) if t else h) @ w_h + b_h),
    )


def _model_cost(B: int, T: int, E: int, H: int, V: int) -> Cost:
    """Three products at every word; of the words' table the rows that are read."""
    weights = (E + H + 1) * H + (H + 1) * V
    return Cost(flops=2 * B * T * (E * H + H * H + H * V), moved=B * T * (E + V) + 2 * B * H + weights)


def _model_cost_backward(B: int, T: int, E: int, H: int, V: int) -> Cost:
    """Two more products for each, and gradients for all rows of the table."""
    forward = _model_cost(B, T, E, H, V)
    return Cost(flops=3 * forward.flops, moved=2 * forward.moved + V * E)


@workload(
    rnn_language_model,
    sizes={"B": 20, "T": 35, "E": 650, "H": 650, "V": 10_000},
    cost=_model_cost,
    backward=_model_cost_backward,
    gradient=True,
)
def treebank_model(random: np.random.Generator, B: int, T: int, E: int, H: int, V: int) -> Arguments:
    """20 texts of 35 words from the 10,000 of the Penn Treebank, 650 units: the medium size of Zaremba et al. 2014,
    section 4.1, in one layer and without gates.
    """
    return {
        "tokens": zipf(random, (B, T), V),
        "state": np.tanh(random.standard_normal((B, H))),
        "token_table": random.standard_normal((V, E)),
        "w_x": matrix(random, E, H) / 2,
        "w_h": matrix(random, H, H) / 32,
        "b_h": random.standard_normal(H) / 8,
        "w_out": matrix(random, H, V),
        "b_out": random.standard_normal(V) / 8,
    }
