"""Bahdanau's step: the previous state asks, and what it finds is one more input of the recurrence."""

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
    asbounded,
    at_most,
    closely,
    exactly,
    extents,
    fault,
    law,
    matrix,
    normal,
    operation,
    seeds,
    softmax,
    workload,
)
from layerlaws.language import strategies as st
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


def _bahdanau_shapes(batch: int, embedded: int, width: int, source: int, depth: int, hidden: int) -> Shapes:
    return {
        "embedding": (batch, embedded),
        "state": (batch, width),
        "memory": (batch, source, depth),
        "w_query": (width, hidden),
        "w_memory": (depth, hidden),
        "v": (hidden,),
        "w_input": (embedded, width),
        "w_context": (depth, width),
        "w_state": (width, width),
        "bias": (width,),
    }


@st.composite
def bahdanau_steps(draw: st.DrawFn, textures: tuple[str, ...] = tuple(TEXTURES)) -> Arguments:
    return _filled(draw, _bahdanau_shapes(*draw(extents(6, edges=(1, 2, 3, 4, 5), squared=(2,)))), textures)


def _additive_weights(state: Array, memory: Array, w_query: Array, w_memory: Array, v: Array) -> Array:
    """softmax over the source of v . tanh(state w_query + m_j w_memory). (B, Q), (B, S, M)  ->  (B, S)."""
    asked = np.broadcast_to(state[:, None], (*memory.shape[:2], state.shape[-1]))
    hidden = np.concatenate([asked, memory], axis=-1) @ np.concatenate([w_query, w_memory])
    return softmax(np.tanh(hidden) @ v)


@operation(inputs=bahdanau_steps(), batch=("embedding", "state", "memory"), differentiable=True)
def bahdanau_step(
    embedding: Array,
    state: Array,
    memory: Array,
    w_query: Array,
    w_memory: Array,
    v: Array,
    w_input: Array,
    w_context: Array,
    w_state: Array,
    bias: Array,
) -> tuple[Array, Array, Array]:
    """weights = softmax over j of v . tanh(state w_query + memory_j w_memory), context = sum of weights_j memory_j,
    new_state = tanh(embedding w_input + context w_context + state w_state + bias).

    embedding (B, E), state (B, Q), memory (B, S, M), w_query (Q, A), w_memory (M, A), v (A,), w_input (E, Q),
    w_context (M, Q), w_state (Q, Q), bias (Q,)  ->  new_state (B, Q), context (B, M), weights (B, S)
    """
    (batch, embedded), width, hidden = embedding.shape, state.shape[-1], v.shape[0]
    source, depth = memory.shape[1:]
    _fits("state", state, batch, width)
    _fits("memory", memory, batch, source, depth)
    _fits("w_query", w_query, width, hidden)
    _fits("w_memory", w_memory, depth, hidden)
    _fits("w_input", w_input, embedded, width)
    _fits("w_context", w_context, depth, width)
    _fits("w_state", w_state, width, width)
    _fits("bias", bias, width)
    weights = _additive_weights(state, memory, w_query, w_memory, v)
    context = _context(weights, memory)
    inputs = np.concatenate([embedding, context], axis=-1)
    return _recurrence(inputs, state, np.concatenate([w_input, w_context]), w_state, bias), context, weights


def _bahdanau(
    inputs: Arguments,
    new_state: Callable[..., Array] = _recurrence,
    weigh: Callable[..., Array] = _additive_weights,
    mix: Callable[..., Array] = _context,
) -> tuple[Array, Array, Array]:
    """A Bahdanau step with the parts that faults exchange."""
    state, memory = inputs["state"], inputs["memory"]
    weights = weigh(state, memory, inputs["w_query"], inputs["w_memory"], inputs["v"])
    context = mix(weights, memory)
    found = np.concatenate([inputs["embedding"], context], axis=-1)
    w_found = np.concatenate([inputs["w_input"], inputs["w_context"]])
    return new_state(found, state, w_found, inputs["w_state"], inputs["bias"]), context, weights


@law(inputs=sentences, examples=60)
def bahdanau_s_weights_see_the_inputs_before_their_step(
    bahdanau_step: Implementation, steps: int, batch: int, source: int, seed: int, format: Format
) -> Claim:
    """Decoding step by step, the weights of step t depend on the first state and on the inputs before t: on every
    one of them, and not on the input of step t or a later one.
    """
    decoder = Register(steps, batch, source, seed, format)
    units = decoder.units
    # tanh(4 (s + m)): where m is 2 or -2 the answer of a source state does not depend on the unit.
    decoder.arguments |= {
        "memory": 2 * decoder.chosen * decoder.signs(*decoder.chosen.shape),
        "w_query": 4 * np.eye(units) + decoder.faint(units, units),
        "w_memory": 4 * np.eye(units),
        "v": decoder.signs(units),
        "w_context": decoder.faint(units, units),
    }
    reached = decoder.reached(bahdanau_step, first=0)
    return exactly(reached, np.tri(*reached.shape, dtype=bool))


@law(seed=seeds)
def the_input_of_a_bahdanau_step_asks_for_nothing(bahdanau_step: Implementation, inputs: Arguments, seed: int) -> Claim:
    """Whatever the embedding holds, context and weights of its step come out as they are."""
    other = normal(seed, inputs["embedding"].shape, inputs["embedding"], 100)
    return closely(bahdanau_step(**{**inputs, "embedding": other})[1:], bahdanau_step(**inputs)[1:])


@law(inputs=bahdanau_steps(textures=PLAIN), needs=["gradient"], seed=seeds)
def bahdanau_s_weights_leave_the_recurrence_without_gradient(
    bahdanau_step: Implementation, inputs: Arguments, seed: int
) -> Claim:
    """What weights and context contribute to a loss reaches neither the embedding nor any weight of the recurrence:
    they are settled before it.
    """
    state, memory = inputs["state"], inputs["memory"]
    batch, source, depth = memory.shape
    gradient = bahdanau_step.gradient(
        (np.zeros_like(state), normal(seed, (batch, depth), memory), normal(seed, (batch, source), memory)), **inputs
    )
    behind = ("embedding", "w_input", "w_context", "w_state", "bias")
    return exactly(tuple(gradient[name] for name in behind), tuple(np.zeros_like(inputs[name]) for name in behind))


INPUT_ASKS = (
    bahdanau_s_weights_see_the_inputs_before_their_step,
    the_input_of_a_bahdanau_step_asks_for_nothing,
    bahdanau_s_weights_leave_the_recurrence_without_gradient,
)


@fault(
    bahdanau_step,
    breaks=INPUT_ASKS,
    kind="order",
    repair="The previous state asks.",
)
def asks_with_the_new_state(**inputs: Array) -> Results:
    """The cell is run first, without a context, and what it returns asks: Luong's order."""
    arguments = (inputs[name] for name in ("embedding", "state", "w_input", "w_state", "bias"))
    ahead = _recurrence(*arguments)
    return _bahdanau(inputs, weigh=lambda state, *others: _additive_weights(ahead, *others))


@fault(
    bahdanau_step,
    breaks=INPUT_ASKS,
    kind="formula",
    repair="Leave it to the recurrence.",
    seen="https://github.com/pytorch/tutorials/issues/87",
)
def asks_with_the_embedding_as_well(**inputs: Array) -> Results:
    """The embedding of the new input asks beside the previous state."""
    beside = inputs["embedding"] @ inputs["w_input"]
    return _bahdanau(inputs, weigh=lambda state, *others: _additive_weights(state + beside, *others))


@law(inputs=bahdanau_steps(textures=PLAIN))
def bahdanau_s_weights_compare_as_additive_scores(bahdanau_step: Implementation, inputs: Arguments) -> Claim:
    """log(weights_i / weights_j) = v . (tanh(state w_query + memory_i w_memory) - tanh(state w_query + memory_j
    w_memory)).
    """
    state, memory = asbounded(inputs["state"]), asbounded(inputs["memory"])
    scores = np.tanh((state @ inputs["w_query"])[:, None] + memory @ inputs["w_memory"]) @ inputs["v"]
    return closely(_log_ratios(bahdanau_step(**inputs)[2]), scores - scores[:, :1])


@law(inputs=bahdanau_steps(textures=PLAIN))
def no_source_state_outweighs_another_beyond_v(bahdanau_step: Implementation, inputs: Arguments) -> Claim:
    """Each hidden unit answers between -1 and 1, so however large the source states, no weight is more than
    exp(2 sum |v|) times another.
    """
    loud = {**inputs, "memory": inputs["memory"] * inputs["memory"].dtype.type(16)}
    weights = bahdanau_step(**loud)[2]
    most = np.exp(2 * np.sum(asbounded(np.abs(inputs["v"])), axis=0))
    return at_most(np.max(weights, axis=1), np.min(weights, axis=1) * most)


@fault(
    bahdanau_step,
    breaks=(bahdanau_s_weights_compare_as_additive_scores, no_source_state_outweighs_another_beyond_v),
    kind="formula",
    repair="Put tanh before v.",
    seen="https://github.com/keon/seq2seq/issues/3",
)
def adds_up_without_tanh(**inputs: Array) -> Results:
    """The hidden layer of the scores is linear, so that the state adds the same to all of them."""

    def weigh(state: Array, memory: Array, w_query: Array, w_memory: Array, v: Array) -> Array:
        return softmax(((state @ w_query)[:, None] + memory @ w_memory) @ v)

    return _bahdanau(inputs, weigh=weigh)


@law()
def with_v_of_zeros_bahdanau_s_context_is_the_mean(bahdanau_step: Implementation, inputs: Arguments) -> Claim:
    """Without v all scores are 0, and the context is the mean of the source states."""
    result = bahdanau_step(**{**inputs, "v": np.zeros_like(inputs["v"])})
    return closely(result[1], np.mean(asbounded(inputs["memory"]), axis=1))


@law()
def bahdanau_s_context_is_made_of_shares(bahdanau_step: Implementation, inputs: Arguments) -> Claim:
    """Weights are not negative and sum to 1 over the source; the context is the sum of the source states by them."""
    _, context, weights = bahdanau_step(**inputs)
    return _mixed(context, weights, inputs["memory"])


@fault(
    bahdanau_step,
    breaks=bahdanau_s_context_is_made_of_shares,
    kind="formula",
    repair="Weigh them themselves.",
    seen="https://github.com/microsoft/CNTK/issues/2083",
)
def weighs_the_projected_source(**inputs: Array) -> Results:
    """What is weighed are the source states times w_memory (cut or filled up to their width)."""

    def mix(weights: Array, memory: Array) -> Array:
        depth = memory.shape[-1]
        projected = memory @ inputs["w_memory"]
        return _context(weights, np.pad(projected, ((0, 0), (0, 0), (0, depth)))[..., :depth])

    return _bahdanau(inputs, mix=mix)


@law(seed=seeds)
def the_order_of_the_source_does_not_matter_to_bahdanau(
    bahdanau_step: Implementation, inputs: Arguments, seed: int
) -> Claim:
    """Permuted source states get permuted weights; the new state and the context stay the same."""
    order = np.random.default_rng(seed).permutation(inputs["memory"].shape[1])
    *before, weights = bahdanau_step(**inputs)
    return closely(bahdanau_step(**{**inputs, "memory": inputs["memory"][:, order]}), (*before, weights[:, order]))


@fault(
    bahdanau_step,
    breaks=(the_order_of_the_source_does_not_matter_to_bahdanau, with_v_of_zeros_bahdanau_s_context_is_the_mean),
    kind="formula",
    repair="Scores come from states alone.",
)
def bahdanau_s_scores_prefer_late_places(**inputs: Array) -> Results:
    """The place of a source state is added to its score."""

    def weigh(state: Array, memory: Array, w_query: Array, w_memory: Array, v: Array) -> Array:
        return softmax(np.tanh((state @ w_query)[:, None] + memory @ w_memory) @ v + _places(memory))

    return _bahdanau(inputs, weigh=weigh)


@law()
def doubling_the_source_leaves_bahdanau_s_context(bahdanau_step: Implementation, inputs: Arguments) -> Claim:
    """Every source state twice halves the weights; the new state and the context stay the same."""
    *before, weights = bahdanau_step(**inputs)
    return closely(bahdanau_step(**{**inputs, "memory": _twice(inputs["memory"])}), (*before, _twice(weights) / 2))


@fault(
    bahdanau_step,
    breaks=(
        bahdanau_s_context_is_made_of_shares,
        "batches_are_independent",
        doubling_the_source_leaves_bahdanau_s_context,
    ),
    kind="axis",
    repair="It has to run over the source.",
    seen="https://github.com/PetrochukM/PyTorch-NLP/issues/2",
)
def bahdanau_s_softmax_over_the_batch(**inputs: Array) -> Results:
    """The softmax runs over the examples of the batch."""

    def weigh(state: Array, memory: Array, w_query: Array, w_memory: Array, v: Array) -> Array:
        return softmax(np.tanh((state @ w_query)[:, None] + memory @ w_memory) @ v, axis=0)

    return _bahdanau(inputs, weigh=weigh)


@fault(
    bahdanau_step,
    breaks=(
        bahdanau_s_context_is_made_of_shares,
        with_v_of_zeros_bahdanau_s_context_is_the_mean,
        doubling_the_source_leaves_bahdanau_s_context,
    ),
    kind="scale",
    repair="It is the plain sum by weights.",
)
def scales_bahdanau_s_context(**inputs: Array) -> Results:
    """The context is multiplied by sqrt(S), as in ConvS2S."""
    return _bahdanau(inputs, mix=_rooted_context)


@law()
def bahdanau_s_state_stays_within_1(bahdanau_step: Implementation, inputs: Arguments) -> Claim:
    """No component of the new state is above 1 or below -1."""
    return at_most(np.abs(bahdanau_step(**inputs)[0]), np.ones(inputs["state"].shape))


@fault(
    bahdanau_step,
    breaks=bahdanau_s_state_stays_within_1,
    kind="formula",
    repair="Put tanh around the sum.",
)
def bahdanau_s_recurrence_is_linear(**inputs: Array) -> Results:
    """The new state has no tanh, and grows from step to step."""
    return _bahdanau(inputs, new_state=_linear_recurrence)


@law(inputs=bahdanau_steps(textures=PLAIN), examples=20)
def a_bahdanau_step_refuses_weights_of_another_shape(bahdanau_step: Implementation, inputs: Arguments) -> Claim:
    """A weight with one row or one column too many does not fit."""
    matrices = dict.fromkeys(("w_query", "w_memory", "w_input", "w_context", "w_state"), (0, 1))
    return _misfits(bahdanau_step, inputs, {**matrices, "bias": (0,)})


@fault(
    bahdanau_step,
    breaks=a_bahdanau_step_refuses_weights_of_another_shape,
    kind="refusal",
    repair="Compare the shapes.",
)
def bahdanau_s_weights_are_cut_to_fit(**inputs: Array) -> Results:
    """Rows and columns that are too many are dropped in silence."""
    (batch, embedded), (source, depth) = inputs["embedding"].shape, inputs["memory"].shape[1:]
    shapes = _bahdanau_shapes(batch, embedded, inputs["state"].shape[1], source, depth, len(inputs["v"]))
    return _bahdanau(_cut(inputs, **shapes))


@law(inputs=bahdanau_steps(textures=PLAIN), examples=20)
def a_bahdanau_step_refuses_another_batch(bahdanau_step: Implementation, inputs: Arguments) -> Claim:
    """Embedding, state and source are of as many examples."""
    return _misfits(bahdanau_step, inputs, {"state": (0,), "memory": (0,)})


@fault(
    bahdanau_step,
    breaks=a_bahdanau_step_refuses_another_batch,
    kind="refusal",
    repair="Compare the shapes.",
)
def bahdanau_s_surplus_examples_are_dropped(**inputs: Array) -> Results:
    """Examples beyond those of the embedding are dropped in silence."""
    batch = len(inputs["embedding"])
    return _bahdanau(_cut(inputs, state=(batch,), memory=(batch,)))


def _bahdanau_cost(B: int, S: int, D: int) -> Cost:
    """Both halves of the score, the context, and three products for the new state."""
    flops = B * (2 * D**2 + 2 * S * D**2 + 2 * S * D + 2 * S * D + 6 * D**2)
    return Cost(flops=flops, moved=B * (4 * D + S * D + S) + 5 * D**2 + 2 * D)


@workload(bahdanau_step, sizes={"B": 32, "S": 50, "D": 512}, cost=_bahdanau_cost, gradient=True)
def bahdanau_decoder_step(random: np.random.Generator, B: int, S: int, D: int) -> Arguments:
    """One step for 32 sentences whose sources have the 50 words that were the paper's limit (Bahdanau et al. 2015,
    section 4.1), all widths 512.
    """
    return {
        "embedding": random.standard_normal((B, D)),
        "state": np.tanh(random.standard_normal((B, D))),
        "memory": np.tanh(random.standard_normal((B, S, D))),
        "w_query": matrix(random, D, D) / 4,
        "w_memory": matrix(random, D, D) / 4,
        "v": random.standard_normal(D) / 64,
        "w_input": matrix(random, D, D),
        "w_context": matrix(random, D, D),
        "w_state": matrix(random, D, D),
        "bias": random.standard_normal(D) / 8,
    }
