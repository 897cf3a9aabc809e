"""Luong's step: the new state asks, and what it finds is combined with it for the output."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from layerlaws.language import (
    PLAIN,
    TEXTURES,
    Arguments,
    Array,
    Claim,
    Cost,
    Format,
    Implementation,
    Results,
    affine,
    all_of,
    asbounded,
    at_most,
    closely,
    exactly,
    extents,
    fault,
    law,
    linear_sum,
    matrix,
    normal,
    operation,
    seeds,
    softmax,
    workload,
)
from layerlaws.language import strategies as st
from layerlaws.notes.attention_sources.bahdanau import _bahdanau, bahdanau_step
from layerlaws.notes.attention_sources.decoders import (
    Register,
    Shapes,
    _context,
    _cut,
    _filled,
    _fits,
    _linear_recurrence,
    _log_ratios,
    _misfits,
    _mixed,
    _places,
    _recurrence,
    _rooted_context,
    _twice,
    sentences,
)


def _luong_shapes(batch: int, embedded: int, width: int, source: int, depth: int) -> Shapes:
    return {
        "embedding": (batch, embedded),
        "state": (batch, width),
        "memory": (batch, source, depth),
        "w_input": (embedded, width),
        "w_state": (width, width),
        "bias": (width,),
        "w_score": (width, depth),
        "w_combine": (depth + width, width),
    }


@st.composite
def luong_steps(draw: st.DrawFn, textures: tuple[str, ...] = tuple(TEXTURES)) -> Arguments:
    return _filled(draw, _luong_shapes(*draw(extents(5, edges=(1, 2, 3, 4), squared=(2,)))), textures)


def _general_weights(state: Array, memory: Array, w_score: Array) -> Array:
    """softmax over the source of state w_score m_j, a sum over all pairs. (B, Q), (B, S, M)  ->  (B, S).

    Some multiply the state by w_score first and others the memory; one sum over the pairs bounds both.
    """
    pairs = state[:, None, :, None] * memory[:, :, None]  # (B, S, Q, M)
    return softmax(pairs.reshape(*memory.shape[:2], -1) @ w_score.reshape(-1))


@operation(inputs=luong_steps(), batch=("embedding", "state", "memory"), differentiable=True)
def luong_step(
    embedding: Array,
    state: Array,
    memory: Array,
    w_input: Array,
    w_state: Array,
    bias: Array,
    w_score: Array,
    w_combine: Array,
) -> tuple[Array, Array, Array, Array]:
    """new_state = tanh(embedding w_input + state w_state + bias), weights = softmax over j of new_state w_score
    memory_j, context = sum of weights_j memory_j, attentional = tanh([context; new_state] w_combine).

    embedding (B, E), state (B, Q), memory (B, S, M), w_input (E, Q), w_state (Q, Q), bias (Q,), w_score (Q, M),
    w_combine (M + Q, Q)  ->  new_state (B, Q), attentional (B, Q), context (B, M), weights (B, S)
    """
    (batch, embedded), width = embedding.shape, state.shape[-1]
    source, depth = memory.shape[1:]
    _fits("state", state, batch, width)
    _fits("memory", memory, batch, source, depth)
    _fits("w_input", w_input, embedded, width)
    _fits("w_state", w_state, width, width)
    _fits("bias", bias, width)
    _fits("w_score", w_score, width, depth)
    _fits("w_combine", w_combine, depth + width, width)
    new_state = _recurrence(embedding, state, w_input, w_state, bias)
    weights = _general_weights(new_state, memory, w_score)
    context = _context(weights, memory)
    attentional = np.tanh(linear_sum((context, w_combine[:depth]), (new_state, w_combine[depth:])))
    return new_state, attentional, context, weights


@law(inputs=sentences, examples=60)
def luong_s_weights_see_the_inputs_up_to_their_step(
    luong_step: Implementation, steps: int, batch: int, source: int, seed: int, format: Format
) -> Claim:
    """Decoding step by step, the weights of step t depend on the inputs up to t: on every one of them, the input of
    step t included, and on no later one.
    """
    decoder = Register(steps, batch, source, seed, format)
    units = decoder.units
    decoder.arguments |= {
        "memory": (1.5 * decoder.chosen - 0.75) * decoder.signs(batch, 1, units),
        "w_score": np.eye(units) + decoder.faint(units, units),
        "w_combine": decoder.faint(2 * units, units),
    }
    reached = decoder.reached(luong_step, first=1)
    return exactly(reached, np.tri(*reached.shape, dtype=bool))


@law(seed=seeds)
def luong_s_previous_state_asks_through_the_new_one_alone(
    luong_step: Implementation, inputs: Arguments, seed: int
) -> Claim:
    """Where w_state is 0 and the recurrence forgets, whatever the previous state holds changes nothing at all."""
    forgetful = {**inputs, "w_state": np.zeros_like(inputs["w_state"])}
    other = normal(seed, inputs["state"].shape, inputs["state"], 100)
    return closely(luong_step(**{**forgetful, "state": other}), luong_step(**forgetful))


@law(seed=seeds)
def the_source_does_not_reach_luong_s_new_state(luong_step: Implementation, inputs: Arguments, seed: int) -> Claim:
    """The recurrence goes on before it looks: another source leaves the new state as it is."""
    other = normal(seed, inputs["memory"].shape, inputs["memory"], 100)
    return closely(luong_step(**{**inputs, "memory": other})[0], luong_step(**inputs)[0])


@law()
def a_bahdanau_step_reads_its_context_beside_the_embedding(
    bahdanau_step: Implementation, luong_step: Implementation, inputs: Arguments
) -> Claim:
    """The new state is that of a recurrence whose input is [embedding; context], with w_context below w_input: Luong's
    recurrence, fed with what was found first.
    """
    new_state, context, _ = bahdanau_step(**inputs)
    width, depth = inputs["state"].shape[1], inputs["memory"].shape[2]
    none = {
        name: np.zeros(shape, inputs["state"].dtype)
        for name, shape in (("w_score", (width, depth)), ("w_combine", (depth + width, width)))
    }
    recurrence = luong_step(
        embedding=np.concatenate([asbounded(inputs["embedding"]), context], axis=1),
        w_input=np.concatenate([inputs["w_input"], inputs["w_context"]]),
        **{name: inputs[name] for name in ("state", "memory", "w_state", "bias")},
        **none,
    )
    return closely(new_state, recurrence[0])


def _forgetful_recurrence(x: Array, state: Array, w_x: Array, w_state: Array, bias: Array) -> Array:
    return np.tanh(affine(x, w_x, bias))


@fault(
    bahdanau_step,
    breaks=a_bahdanau_step_reads_its_context_beside_the_embedding,
    kind="formula",
    repair="Pass the state.",
    seen="https://github.com/tensorflow/tensorflow/issues/38248",
)
def starts_every_step_anew(**inputs: Array) -> Results:
    """The cell is called without its previous state, of which only the context is handed on."""
    return _bahdanau(inputs, new_state=_forgetful_recurrence)


@fault(
    bahdanau_step,
    breaks=a_bahdanau_step_reads_its_context_beside_the_embedding,
    kind="formula",
    repair="Add context w_context.",
)
def finds_a_context_and_drops_it(**inputs: Array) -> Results:
    """The context is computed and not fed to the recurrence."""
    return _bahdanau({**inputs, "w_context": 0 * inputs["w_context"]})


def _luong(
    inputs: Arguments,
    new_state: Callable[..., Array] = _recurrence,
    weigh: Callable[..., Array] = _general_weights,
    mix: Callable[..., Array] = _context,
    asking: Array | None = None,
) -> tuple[Array, Array, Array, Array]:
    """A Luong step with the parts that faults exchange. asking: what asks in place of the new state."""
    new = new_state(inputs["embedding"], inputs["state"], inputs["w_input"], inputs["w_state"], inputs["bias"])
    weights = weigh(new if asking is None else asking, inputs["memory"], inputs["w_score"])
    context = mix(weights, inputs["memory"])
    attentional = np.tanh(np.concatenate([context, new], axis=-1) @ inputs["w_combine"])
    return new, attentional, context, weights


@fault(
    luong_step,
    breaks=(the_source_does_not_reach_luong_s_new_state, a_bahdanau_step_reads_its_context_beside_the_embedding),
    kind="formula",
    repair="The recurrence goes on from the new state.",
    seen="https://github.com/MaximumEntropy/Seq2Seq-PyTorch/issues/10",
)
def hands_the_attentional_vector_on(**inputs: Array) -> tuple[Array, Array, Array, Array]:
    """The attentional vector is the state of the next step."""
    _, *others = _luong(inputs)
    return others[0], *others


@law(inputs=luong_steps(textures=PLAIN))
def luong_s_weights_compare_as_general_scores(luong_step: Implementation, inputs: Arguments) -> Claim:
    """log(weights_i / weights_j) = new_state w_score (memory_i - memory_j)."""
    new_state, *_, weights = luong_step(**inputs)
    scores = np.sum((new_state @ inputs["w_score"])[:, None] * inputs["memory"], axis=-1)
    return closely(_log_ratios(weights), scores - scores[:, :1])


@fault(
    luong_step,
    breaks=(
        luong_s_weights_see_the_inputs_up_to_their_step,
        luong_s_previous_state_asks_through_the_new_one_alone,
        luong_s_weights_compare_as_general_scores,
    ),
    kind="order",
    repair="What the cell has just returned asks.",
    seen="https://github.com/A-Jacobson/minimal-nmt/issues/2",
)
def asks_with_the_previous_state(**inputs: Array) -> Results:
    """The question is asked before the cell is run: Bahdanau's order."""
    return _luong(inputs, asking=inputs["state"])


@law()
def with_w_score_of_zeros_luong_s_context_is_the_mean(luong_step: Implementation, inputs: Arguments) -> Claim:
    """Without w_score all scores are 0, and the context is the mean of the source states."""
    result = luong_step(**{**inputs, "w_score": np.zeros_like(inputs["w_score"])})
    return closely(result[2], np.mean(asbounded(inputs["memory"]), axis=1))


@fault(
    luong_step,
    breaks=(luong_s_weights_compare_as_general_scores, with_w_score_of_zeros_luong_s_context_is_the_mean),
    kind="formula",
    repair="Multiply by w_score.",
    seen="https://github.com/OpenNMT/OpenNMT-py/pull/141",
)
def scores_by_the_plain_dot_product(**inputs: Array) -> Results:
    """The dot and the general score are taken for each other (in the thread the other way round), and w_score is not
    used.
    """
    ones = np.eye(*inputs["w_score"].shape, dtype=inputs["w_score"].dtype)
    return _luong({**inputs, "w_score": ones})


@law()
def luong_s_context_is_made_of_shares(luong_step: Implementation, inputs: Arguments) -> Claim:
    """Weights are not negative and sum to 1 over the source; the context is the sum of the source states by them."""
    *_, context, weights = luong_step(**inputs)
    return _mixed(context, weights, inputs["memory"])


@law(seed=seeds)
def the_order_of_the_source_does_not_matter_to_luong(luong_step: Implementation, inputs: Arguments, seed: int) -> Claim:
    """Permuted source states get permuted weights; new state, attentional vector and context stay the same."""
    order = np.random.default_rng(seed).permutation(inputs["memory"].shape[1])
    *before, weights = luong_step(**inputs)
    return closely(luong_step(**{**inputs, "memory": inputs["memory"][:, order]}), (*before, weights[:, order]))


@fault(
    luong_step,
    breaks=(the_order_of_the_source_does_not_matter_to_luong, with_w_score_of_zeros_luong_s_context_is_the_mean),
    kind="formula",
    repair="Scores come from states alone.",
)
def luong_s_scores_prefer_late_places(**inputs: Array) -> Results:
    """The place of a source state is added to its score."""

    def weigh(state: Array, memory: Array, w_score: Array) -> Array:
        return softmax((memory @ (state @ w_score)[:, :, None])[..., 0] + _places(memory))

    return _luong(inputs, weigh=weigh)


@law()
def doubling_the_source_leaves_luong_s_context(luong_step: Implementation, inputs: Arguments) -> Claim:
    """Every source state twice halves the weights; new state, attentional vector and context stay the same."""
    *before, weights = luong_step(**inputs)
    return closely(luong_step(**{**inputs, "memory": _twice(inputs["memory"])}), (*before, _twice(weights) / 2))


@fault(
    luong_step,
    breaks=(luong_s_context_is_made_of_shares, "batches_are_independent", doubling_the_source_leaves_luong_s_context),
    kind="axis",
    repair="It has to run over the source.",
    seen="https://github.com/PetrochukM/PyTorch-NLP/issues/2",
)
def luong_s_softmax_over_the_batch(**inputs: Array) -> Results:
    """The softmax runs over the examples of the batch."""

    def weigh(state: Array, memory: Array, w_score: Array) -> Array:
        return softmax((memory @ (state @ w_score)[:, :, None])[..., 0], axis=0)

    return _luong(inputs, weigh=weigh)


@fault(
    luong_step,
    breaks=(
        luong_s_context_is_made_of_shares,
        with_w_score_of_zeros_luong_s_context_is_the_mean,
        doubling_the_source_leaves_luong_s_context,
    ),
    kind="scale",
    repair="It is the plain sum by weights.",
)
def scales_luong_s_context(**inputs: Array) -> Results:
    """The context is multiplied by sqrt(S), as in ConvS2S."""
    return _luong(inputs, mix=_rooted_context)


@law()
def luong_s_states_stay_within_1(luong_step: Implementation, inputs: Arguments) -> Claim:
    """No component of the new state or of the attentional vector is above 1 or below -1."""
    one = np.ones(inputs["state"].shape)
    return at_most(tuple(np.abs(x) for x in luong_step(**inputs)[:2]), (one, one))


@fault(
    luong_step,
    breaks=luong_s_states_stay_within_1,
    kind="formula",
    repair="Put tanh around the sum.",
)
def luong_s_recurrence_is_linear(**inputs: Array) -> Results:
    """The new state has no tanh, and grows from step to step."""
    return _luong(inputs, new_state=_linear_recurrence)


@law()
def the_first_rows_of_w_combine_read_the_context(luong_step: Implementation, inputs: Arguments) -> Claim:
    """The first M rows of w_combine alone give tanh(context w), the others alone tanh(new_state w)."""
    depth, w_combine = inputs["memory"].shape[2], inputs["w_combine"]
    first = (np.arange(len(w_combine)) < depth)[:, None]

    def attentional(rows: Array, of: int) -> Claim:
        results = luong_step(**{**inputs, "w_combine": np.where(rows, w_combine, np.zeros_like(w_combine))})
        return closely(results[1], np.tanh(results[of] @ w_combine[rows[:, 0]]))

    return all_of(attentional(first, of=2), attentional(~first, of=0))


@fault(
    luong_step,
    breaks=the_first_rows_of_w_combine_read_the_context,
    kind="order",
    repair="The context comes first: [c; h].",
)
def combines_the_state_first(**inputs: Array) -> tuple[Array, Array, Array, Array]:
    """The combination is of [h; c], so that w_combine is read in another order."""
    new, _, context, weights = _luong(inputs)
    return new, np.tanh(np.concatenate([new, context], axis=-1) @ inputs["w_combine"]), context, weights


@fault(
    luong_step,
    breaks=(luong_s_states_stay_within_1, the_first_rows_of_w_combine_read_the_context),
    kind="formula",
    repair="Put tanh around it.",
    seen="https://github.com/tensorflow/nmt/issues/257",
)
def combines_without_tanh(**inputs: Array) -> tuple[Array, Array, Array, Array]:
    """The attentional vector is a linear map of [c; h]."""
    new, _, context, weights = _luong(inputs)
    return new, np.concatenate([context, new], axis=-1) @ inputs["w_combine"], context, weights


@law(inputs=luong_steps(textures=PLAIN), examples=20)
def a_luong_step_refuses_weights_of_another_shape(luong_step: Implementation, inputs: Arguments) -> Claim:
    """A weight with one row or one column too many does not fit."""
    matrices = dict.fromkeys(("w_input", "w_state", "w_score", "w_combine"), (0, 1))
    return _misfits(luong_step, inputs, {**matrices, "bias": (0,)})


@fault(
    luong_step,
    breaks=a_luong_step_refuses_weights_of_another_shape,
    kind="refusal",
    repair="Compare the shapes.",
)
def luong_s_weights_are_cut_to_fit(**inputs: Array) -> Results:
    """Rows and columns that are too many are dropped in silence."""
    (batch, embedded), (source, depth) = inputs["embedding"].shape, inputs["memory"].shape[1:]
    return _luong(_cut(inputs, **_luong_shapes(batch, embedded, inputs["state"].shape[1], source, depth)))


@law(inputs=luong_steps(textures=PLAIN), examples=20)
def a_luong_step_refuses_another_batch(luong_step: Implementation, inputs: Arguments) -> Claim:
    """Embedding, state and source are of as many examples."""
    return _misfits(luong_step, inputs, {"state": (0,), "memory": (0,)})


@fault(
    luong_step,
    breaks=a_luong_step_refuses_another_batch,
    kind="refusal",
    repair="Compare the shapes.",
)
def luong_s_surplus_examples_are_dropped(**inputs: Array) -> Results:
    """Examples beyond those of the embedding are dropped in silence."""
    batch = len(inputs["embedding"])
    return _luong(_cut(inputs, state=(batch,), memory=(batch,)))


def _luong_cost(B: int, S: int, D: int) -> Cost:
    """Two products for the new state, one to ask, two with the source, two to combine."""
    return Cost(flops=B * (4 * D**2 + 2 * D**2 + 4 * S * D + 4 * D**2), moved=B * (5 * D + S * D + S) + 5 * D**2 + D)


@workload(luong_step, sizes={"B": 32, "S": 50, "D": 512}, cost=_luong_cost, gradient=True)
def luong_decoder_step(random: np.random.Generator, B: int, S: int, D: int) -> Arguments:
    """One step for 32 sentences whose sources have the 50 words that were the paper's limit (Luong et al. 2015,
    section 4), all widths 512.

    The bound takes a score for one sum of 262,144 terms: w_score is so small that it says something all the same.
    """
    return {
        "embedding": random.standard_normal((B, D)),
        "state": np.tanh(random.standard_normal((B, D))),
        "memory": np.tanh(random.standard_normal((B, S, D))),
        "w_input": matrix(random, D, D),
        "w_state": matrix(random, D, D),
        "bias": random.standard_normal(D) / 8,
        "w_score": matrix(random, D, D) / 2**14,
        "w_combine": matrix(random, 2 * D, D),
    }
