"""Training by unrolling: gradients fade like the past, and shared weights add them up over the steps."""

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
    constant,
    exactly,
    fault,
    law,
    normal,
    seeds,
)
from layerlaws.language import strategies as st
from layerlaws.notes.rnn_language_model.past import (
    _faded,
    predictions_see_every_word_so_far_and_none_later,
    remembering_texts,
    states_stay_between_minus_one_and_one,
    the_past_fades_as_the_largest_stretch_allows,
)
from layerlaws.notes.rnn_language_model.recurrence import (
    _run,
    rnn_language_model,
    texts_of_any_length_share_the_parameters,
)


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
    kind="order",
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

    def step(x: Array, h: Array, t: int) -> Array:
        return h + np.tanh(x @ w_x + h @ w_h + b_h)

    return _run(tokens, state, token_table, w_x, w_h, b_h, w_out, b_out, step)


def _copies(
    rnn: Implementation, inputs: Arguments, predictions: Array, last: Array
) -> tuple[list[Array], list[dict[str, Array]]]:
    """Step by step: the states before each step, and the gradient of each step alone, given what its state got later.

    predictions (B, T, V), last (B, H): the weights of the results.
    """
    steps = [{**inputs, "tokens": inputs["tokens"][:, t : t + 1]} for t in range(inputs["tokens"].shape[1])]
    states = [inputs["state"]]
    for step in steps[:-1]:
        states.append(rnn(**{**step, "state": states[-1]})[1])
    gradients: list[dict[str, Array]] = []
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

    def step(x: Array, h: Array, t: int) -> Array:
        return np.tanh(x @ w_x + (constant(h) if t else h) @ w_h + b_h)

    return _run(tokens, state, token_table, w_x, w_h, b_h, w_out, b_out, step)
