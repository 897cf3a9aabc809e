"""The model, one word at a time: what it predicts, the state it hands on, and what it refuses."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

from layerlaws.language import (
    STEEPNESS,
    Arguments,
    Array,
    Claim,
    Cost,
    Format,
    Ids,
    Implementation,
    Results,
    affine,
    all_of,
    answers_as,
    arrays,
    at_moderate_sizes,
    bit_for_bit,
    calmed,
    closely,
    durations,
    exactly,
    extents,
    far_below,
    fault,
    ids,
    ids_within,
    law,
    linear_sum,
    log_softmax,
    log_softmax_from,
    matrix,
    operation,
    refused,
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
    rows, length, embedding, hidden, words = draw(extents(5, edges=(2, 3, 4), squared=(3,)))
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
        require(given[name].shape == shape, f"{name} has shape {given[name].shape}, expected {shape}")


@operation(inputs=texts(), batch=("tokens", "state"), differentiable=True)
def rnn_language_model(
    tokens: Ids, state: Array, token_table: Array, w_x: Array, w_h: Array, b_h: Array, w_out: Array, b_out: Array
) -> tuple[Array, Array]:
    """h = tanh(x w_x + h w_h + b_h) from word to word, and log softmax(h w_out + b_out) after each.

    tokens (B, T) ids, T >= 0, state (B, H), token_table (V, E), w_x (E, H), w_h (H, H), b_h (H,), w_out (H, V),
    b_out (V,)  ->  log-probabilities of the next word (B, T, V), state after the last word (B, H)
    """
    _fits(tokens, state, token_table, w_x, w_h, b_h, w_out, b_out)
    embedded = token_table[tokens]
    states = [state]
    for t in range(tokens.shape[1]):
        states.append(np.tanh(linear_sum((embedded[:, t], w_x), (states[-1], w_h), bias=b_h)))
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
    step: Callable[[Array, Array, int], Array] | None = None,
    activate: Callable[[Array], Array] = np.tanh,
    normalize: Callable[[Array], Array] = log_softmax,
) -> tuple[Array, Array]:
    """The plain model with the knobs that faults turn: step(x, h, t) in place of the recurrence, activate in it."""
    ids_within(tokens, len(token_table), "tokens")
    step = step or (lambda x, h, t: activate(x @ w_x + h @ w_h + b_h))
    embedded, states = token_table[tokens], [state]
    for t in range(tokens.shape[1]):
        states.append(step(embedded[:, t], states[-1], t))
    hidden = np.stack(states, axis=1)
    return normalize(hidden[:, 1:] @ w_out + b_out), hidden[:, -1]


@law(steepness=STEEPNESS, examples=40)
def words_of_equal_score_are_equally_likely_however_low_it_is(
    rnn_language_model: Implementation, inputs: Arguments, steepness: int, format: Format
) -> Claim:
    """Where w_out is 0 and b_out constant, each word has probability 1 / V, and scores may lie as far below zero as the
    format bears.
    """
    level = {name: np.zeros_like(inputs[name]) for name in ("w_out", "b_out")}
    far = np.full_like(inputs["b_out"], -far_below(format, steepness))
    return answers_as(rnn_language_model, {**inputs, **level, "b_out": far}, {**inputs, **level})


@fault(
    rnn_language_model,
    breaks=words_of_equal_score_are_equally_likely_however_low_it_is,
    kind="precision",
    repair="Start from minus infinity, or from the first score.",
)
def starts_the_likeliest_score_at_a_number(
    tokens: Ids, state: Array, token_table: Array, w_x: Array, w_h: Array, b_h: Array, w_out: Array, b_out: Array
) -> Results:
    """The running maximum starts at -1e9: where all scores lie below, the log of no exponential is infinite."""
    weights = (token_table, w_x, w_h, b_h, w_out, b_out)
    return _run(tokens, state, *weights, normalize=lambda scores: log_softmax_from(scores, -1e9))


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
    ends = [1 + cut % tokens.shape[1] for cut in cuts]
    return closely(_in_pieces(rnn_language_model, inputs, ends), rnn_language_model(**inputs))


def _in_pieces(model: Callable[..., Results], inputs: Arguments, ends: Iterable[int]) -> Results:
    """Predictions and last state of a text that is read up to each of these words, and from there on to its end."""
    tokens, state, pieces = inputs["tokens"], inputs["state"], []
    ends = sorted({*ends, tokens.shape[1]})
    for start, end in zip([0, *ends[:-1]], ends, strict=True):
        predictions, state = model(**{**inputs, "tokens": tokens[:, start:end], "state": state})
        pieces.append(predictions)
    return np.concatenate(pieces, axis=1), state


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


@law(inputs=at_moderate_sizes(texts()), size=st.sampled_from((1, 5, 16)), kind="exact", examples=6)
def pieces_change_no_bit_of_a_text(
    rnn_language_model: Implementation, tokens: Ids, inputs: Arguments, size: int
) -> Claim:
    """Reading a text word by word, or in pieces, carrying the state on, gives the same bits as reading it at once."""
    whole = rnn_language_model.results(**inputs)
    pieces = _in_pieces(rnn_language_model.results, inputs, range(size, tokens.shape[1], size))
    one, other = ((np.swapaxes(predictions, 0, 1), state) for predictions, state in (whole, pieces))  # word by word
    return bit_for_bit(one, other, ("at once", f"in pieces of {size}"))


@fault(
    rnn_language_model,
    breaks=pieces_change_no_bit_of_a_text,
    kind="precision",
    repair="Hand on the state as it is computed with, if bits are to be the same.",
)
def rounds_the_state_that_it_hands_on(
    tokens: Ids, state: Array, token_table: Array, w_x: Array, w_h: Array, b_h: Array, w_out: Array, b_out: Array
) -> tuple[Array, Array]:
    """The state that is handed on is rounded once more than the one that is computed with: last bits differ."""
    require(w_h.shape == (state.shape[1], state.shape[1]), "w_h is no square matrix of the width of the state")
    predictions = []
    for t in range(tokens.shape[1]):
        step, state = _run(tokens[:, t : t + 1], state, token_table, w_x, w_h, b_h, w_out, b_out)
        predictions.append(step)
    none, state = _run(tokens[:, :0], state, token_table, w_x, w_h, b_h, w_out, b_out)
    return np.concatenate([none, *predictions], axis=1), np.nextafter(state, np.asarray(2, state.dtype))


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
    breaks=a_text_may_be_cut_where_the_state_is_carried_on,
    kind="formula",
    repair="Hand each state on to the next step.",
    seen="https://github.com/karpathy/makemore/pull/3",
)
def every_step_starts_from_the_first_state(
    tokens: Ids, state: Array, token_table: Array, w_x: Array, w_h: Array, b_h: Array, w_out: Array, b_out: Array
) -> Results:
    """The state that came in is used at every step, and no word hears of those before it."""

    def step(x: Array, h: Array, t: int) -> Array:
        return np.tanh(x @ w_x + state @ w_h + b_h)

    return _run(tokens, state, token_table, w_x, w_h, b_h, w_out, b_out, step)


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

    def step(x: Array, h: Array, t: int) -> Array:
        return np.tanh(x @ (w_x * (1 / (1 + t))).astype(w_x.dtype) + h @ w_h + b_h)

    return _run(tokens, state, token_table, w_x, w_h, b_h, w_out, b_out, step)


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
    dtype = inputs["b_out"].dtype
    apart, times = (128, 1) if dtype.itemsize == 2 else (256, 5)  # -1280 is off by whole numbers in half precision
    b_out = -apart * np.arange(inputs["b_out"].size).clip(0, times).astype(dtype)
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
    kind="formula",
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
    kind="refusal",
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
    kind="refusal",
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
    kind="refusal",
    repair="Raise ValueError.",
)
def wraps_unknown_words(
    tokens: Ids, state: Array, token_table: Array, w_x: Array, w_h: Array, b_h: Array, w_out: Array, b_out: Array
) -> Results:
    """Ids outside the vocabulary are taken modulo its size, as negative indices of Python are."""
    return _run(tokens % len(token_table), state, token_table, w_x, w_h, b_h, w_out, b_out)


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
    beyond={"B": 1, "T": 257, "E": 8, "H": 32, "V": 16},
)
def treebank_model(random: np.random.Generator, B: int, T: int, E: int, H: int, V: int) -> Arguments:
    """20 texts of 35 words from the 10,000 of the Penn Treebank, 650 units: the medium size of Zaremba et al. 2014,
    section 4.1, in one layer and without gates. Every fourth unit keeps the sign it starts with, however many words
    are read.
    """
    w_x, w_h, b_h = matrix(random, E, H) / 2, matrix(random, H, H) / 32, random.standard_normal(H) / 8
    keeping = np.arange(H) % 4 == 0
    w_x, w_h, b_h = w_x * ~keeping, w_h * ~keeping + np.diag(4.0 * keeping), b_h * ~keeping
    return {
        "tokens": zipf(random, (B, T), V),
        "state": np.tanh(random.standard_normal((B, H))),
        "token_table": random.standard_normal((V, E)),
        "w_x": w_x,
        "w_h": w_h,
        "b_h": b_h,
        "w_out": matrix(random, H, V),
        "b_out": random.standard_normal(V) / 8,
    }
