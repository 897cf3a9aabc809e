"""Attention to the source: whose state asks the question.

Note of 2021-11-02. In a sequence-to-sequence model the decoder weighs the states of the source, by a question that each
of them answers with a score. Three models differ in who asks. In Bahdanau, Cho, Bengio, Neural Machine Translation by
Jointly Learning to Align and Translate, 2015, section 3.1 and appendix A.1.2, it is the decoder's previous state: the
step first looks at the source, and what it found is one more input of the recurrence. In Luong, Pham, Manning,
Effective Approaches to Attention-based Neural Machine Translation, 2015, sections 3 and 3.1, it is the new state: the
step first goes on, and what it then finds is combined with the state for the output. In ConvS2S (Gehring, Auli,
Grangier, Yarats, Dauphin, Convolutional Sequence to Sequence Learning, 2017, section 3.3) it is the state of a layer
together with g_i, the embedding of the decoder's input at the same place: there is no recurrence to carry it.

Claimed, for the weights of step t: with Bahdanau they depend on the decoder's inputs strictly before t; with Luong on
those up to t; in ConvS2S on g_t directly, beside all that the state has seen. Every one of these inputs can reach them,
and no other. In ConvS2S what is weighed is not what answers: the scores come from the encoder's outputs z alone, the
context is made of z + e with the embeddings e of the source. Not claimed: that one of them translates better.

Conventions. The recurrence is tanh(x w_input + s w_state + bias), where the papers have a gated unit and an LSTM; who
asks is the same. Luong's score is the general one, s' w_score m; [c; h] has the context first. His input feeding, the
attentional vector beside the next embedding, is left to the caller: with it the context does reach the next state, and
the weights of a step still wait for its own input. There is no mask: all source states are states of words. ConvS2S
takes the sum over S source states times sqrt(S), which fairseq writes as S sqrt(1/S), so that uniform weights keep the
variance; the other two do not.

Erratum. That "the decoder's state asks" is true of all three, and tells none of them apart: what tells them apart is
which inputs that state has seen. Bahdanau's alignment model reads s_(i-1); tutorials ask with what the cell has just
returned, which is Luong's order, or with the embedding of the new input beside the state, and call it by his name.
Shown by bahdanau_s_weights_see_the_inputs_before_their_step, luong_s_weights_see_the_inputs_up_to_their_step and
conv_s2s_s_weights_see_their_own_embedding_and_state.
"""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np

from layerlaws import (
    Claim,
    Cost,
    all_of,
    asbounded,
    at_most,
    closely,
    exactly,
    fault,
    law,
    operation,
    refused,
    workload,
)
from layerlaws.language import strategies as st
from layerlaws.language.dependence import dependence
from layerlaws.language.inputs import PLAIN, TEXTURES, arrays, extents, huge, normal, rewritten, seeds
from layerlaws.language.workloads import matrix
from layerlaws.numerics.mathematics import affine, require, root, softmax

# --- inputs ---------------------------------------------------------------------------------------------------

WEIGHTS = ("integers", "normal", "one-hot", "sparse", "tiny")
"""Textures of weights: none so large that everything is saturated."""

Shapes = dict[str, tuple[int, ...]]


def _bahdanau_shapes(batch: int, embedded: int, width: int, source: int, depth: int, hidden: int) -> Shapes:
    return {
        "embedding": (batch, embedded), "state": (batch, width), "memory": (batch, source, depth),
        "w_query": (width, hidden), "w_memory": (depth, hidden), "v": (hidden,),
        "w_input": (embedded, width), "w_context": (depth, width), "w_state": (width, width), "bias": (width,),
    }  # fmt: skip


def _luong_shapes(batch: int, embedded: int, width: int, source: int, depth: int) -> Shapes:
    return {
        "embedding": (batch, embedded), "state": (batch, width), "memory": (batch, source, depth),
        "w_input": (embedded, width), "w_state": (width, width), "bias": (width,),
        "w_score": (width, depth), "w_combine": (depth + width, width),
    }  # fmt: skip


def _filled(draw: st.DrawFn, shapes: Shapes, textures: tuple[str, ...], states: int = 3) -> dict[str, Any]:
    """Arrays of these shapes: the first ones states of these textures, the others weights."""
    names = list(shapes)
    given = draw(arrays(*[shapes[name] for name in names[:states]], textures=textures))
    weights = PLAIN if textures == PLAIN else WEIGHTS
    learned = draw(arrays(*[shapes[name] for name in names[states:]], textures=weights))
    return dict(zip(names, [*given, *learned], strict=True))


@st.composite
def bahdanau_steps(draw: st.DrawFn, textures: tuple[str, ...] = tuple(TEXTURES)) -> dict[str, Any]:
    return _filled(draw, _bahdanau_shapes(*draw(extents(6, edges=(1, 2, 3, 4, 5)))), textures)


@st.composite
def luong_steps(draw: st.DrawFn, textures: tuple[str, ...] = tuple(TEXTURES)) -> dict[str, Any]:
    return _filled(draw, _luong_shapes(*draw(extents(5, edges=(1, 2, 3, 4)))), textures)


@st.composite
def conv_s2s_states(draw: st.DrawFn, textures: tuple[str, ...] = tuple(TEXTURES)) -> dict[str, Any]:
    batch, length, source, channels, width = draw(extents(5, edges=(1, 2, 3, 4)))
    shapes = {
        "state": (batch, length, channels), "target_embedding": (batch, length, width),
        "memory": (batch, source, width), "source_embedding": (batch, source, width),
        "w": (channels, width), "b": (width,),
    }  # fmt: skip
    return _filled(draw, shapes, textures, states=4)


# --- definitions ----------------------------------------------------------------------------------------------


def _fits(name: str, array: Any, *shape: int) -> None:
    require(array.shape == shape, f"{name} has the shape {array.shape}, not {shape}")


def _recurrence(x: Any, state: Any, w_x: Any, w_state: Any, bias: Any) -> Any:
    """tanh(x w_x + state w_state + bias), one sum."""
    return np.tanh(affine(np.concatenate([x, state], axis=-1), np.concatenate([w_x, w_state]), bias))


def _additive_weights(state: Any, memory: Any, w_query: Any, w_memory: Any, v: Any) -> Any:
    """softmax over the source of v . tanh(state w_query + m_j w_memory). (B, Q), (B, S, M)  ->  (B, S)."""
    asked = np.broadcast_to(state[:, None], (*memory.shape[:2], state.shape[-1]))
    hidden = np.concatenate([asked, memory], axis=-1) @ np.concatenate([w_query, w_memory])
    return softmax(np.tanh(hidden) @ v)


def _general_weights(state: Any, memory: Any, w_score: Any) -> Any:
    """softmax over the source of state w_score m_j, a sum over all pairs. (B, Q), (B, S, M)  ->  (B, S).

    Some multiply the state by w_score first and others the memory; one sum over the pairs bounds both.
    """
    pairs = state[:, None, :, None] * memory[:, :, None]  # (B, S, Q, M)
    return softmax(pairs.reshape(*memory.shape[:2], -1) @ w_score.reshape(-1))


def _context(weights: Any, memory: Any) -> Any:
    """The sum of the source states by their weights. (B, S), (B, S, M)  ->  (B, M)."""
    return (weights[:, None] @ memory)[:, 0]


@operation(inputs=bahdanau_steps(), batch=("embedding", "state", "memory"), differentiable=True)
def bahdanau_step(
    embedding: Any, state: Any, memory: Any, w_query: Any, w_memory: Any, v: Any, w_input: Any, w_context: Any,
    w_state: Any, bias: Any,
) -> Any:  # fmt: skip
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


@operation(inputs=luong_steps(), batch=("embedding", "state", "memory"), differentiable=True)
def luong_step(
    embedding: Any, state: Any, memory: Any, w_input: Any, w_state: Any, bias: Any, w_score: Any, w_combine: Any
) -> Any:
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
    attentional = np.tanh(np.concatenate([context, new_state], axis=-1) @ w_combine)
    return new_state, attentional, context, weights


def _summary(state: Any, target_embedding: Any, w: Any, b: Any) -> Any:
    """d = state w + b + g, one sum, as kernels may start it from any of its terms. (B, T, C)  ->  (B, T, E)."""
    ones = np.eye(target_embedding.shape[-1], dtype=state.dtype)
    return affine(np.concatenate([state, target_embedding], axis=-1), np.concatenate([w, ones]), b)


def _scaled_context(weights: Any, memory: Any, source_embedding: Any) -> Any:
    """sqrt(S) times the sum of weights_j (z_j + e_j), of both at once or of each. (B, T, S)  ->  (B, T, E)."""
    twice, values = (np.concatenate(parts, axis) for parts, axis in
                     (((weights, weights), -1), ((memory, source_embedding), 1)))  # fmt: skip
    return twice @ values * root(memory.shape[1])


@operation(
    inputs=conv_s2s_states(), batch=("state", "target_embedding", "memory", "source_embedding"), differentiable=True
)
def conv_s2s_attention(state: Any, target_embedding: Any, memory: Any, source_embedding: Any, w: Any, b: Any) -> Any:
    """d = state w + b + g, weights = softmax over j of d . z_j, context = sqrt(S) sum of weights_j (z_j + e_j).

    state (B, T, C), target_embedding g (B, T, E), memory z (B, S, E), source_embedding e (B, S, E), w (C, E), b (E,)
    ->  context (B, T, E), weights (B, T, S)
    """
    (batch, length, channels), source, width = state.shape, memory.shape[1], b.shape[0]
    _fits("target_embedding", target_embedding, batch, length, width)
    _fits("memory", memory, batch, source, width)
    _fits("source_embedding", source_embedding, batch, source, width)
    _fits("w", w, channels, width)
    weights = softmax(_summary(state, target_embedding, w, b) @ memory.swapaxes(-1, -2))
    return _scaled_context(weights, memory, source_embedding), weights


# --- inputs of single laws ------------------------------------------------------------------------------------


sentences = st.fixed_dictionaries({
    "steps": st.integers(1, 3), "batch": st.integers(1, 2), "source": st.integers(2, 4), "seed": seeds,
})  # fmt: skip


class Register:
    """A decoder whose units are all near 1 or -1, so that the lower formats, too, show who reaches the weights.

    The first unit takes the sign of the embedding, each of the others what the one before it held. To each unit one
    source state answers unlike the others. Shorter in half precision, whose errors grow with the units that are read.
    """

    def __init__(self, steps: int, batch: int, source: int, seed: int, format: Any) -> None:
        reach = {11: 2, 8: 1}.get(format.precision, steps)
        self.units, self.dtype = min(steps, reach), format.dtype
        steps, source = self.units, min(source, 2 * reach)
        self.generator = np.random.default_rng(seed)
        places = (batch, self.units, source)
        self.chosen = self.generator.permuted(np.eye(1, source) * np.ones(places), axis=-1).swapaxes(1, 2)
        pattern = self.signs(2, 1)
        self.embeddings = (self.signs(batch, steps, 1) * pattern.T).astype(self.dtype)
        self.arguments = {
            "state": self.signs(batch, self.units),
            "w_input": 2 * pattern * np.eye(1, self.units) + self.faint(2, self.units),
            "w_state": 4 * np.eye(self.units, k=1) + self.faint(self.units, self.units),
            "bias": self.faint(self.units),
        }

    def signs(self, *shape: int) -> Any:
        return self.generator.choice([-1.0, 1.0], shape)

    def faint(self, *shape: int) -> Any:
        return self.generator.standard_normal(shape) / 64

    def decoded(self, step: Any, part: int) -> tuple[Any, Any]:
        """The weights of all steps (B, T, S), taken one after the other, and what the definition says they are.

        part: what is negated, 0 for the first unit of the first state, t for the embedding of step t, -1 for nothing.
        """
        arguments = {name: x.astype(self.dtype) for name, x in self.arguments.items()}
        state, found = arguments.pop("state"), []
        if part == 0:
            state = rewritten(state, np.s_[:, 0], -state[:, 0])
        for t in range(self.embeddings.shape[1]):
            embedding = self.embeddings[:, t] * (-1 if part == t + 1 else 1)
            computed, defined = step.compare(embedding=embedding, state=state, **arguments)
            state = computed[0]
            found.append((computed[-1], defined[-1]))
        computed, defined = zip(*found, strict=True)
        return np.stack(computed, axis=1), np.stack(defined, axis=1)

    def reached(self, step: Any, first: int) -> Any:
        """Which weights move with the parts from this one to the last embedding. (T, parts) bool."""
        steps = self.embeddings.shape[1]
        unrolled = SimpleNamespace(compare=lambda part: self.decoded(step, part))
        return dependence(unrolled, lambda j: {"part": j if j < 0 else first + j}, 1 + steps - first, axis=1)


@st.composite
def crossings(draw: st.DrawFn) -> dict[str, Any]:
    """ConvS2S attention between source states for and against, which each sign of a question turns over."""
    batch, length, source, width = (draw(st.integers(*ends)) for ends in ((1, 2), (1, 4), (2, 4), (1, 2)))
    generator = np.random.default_rng(draw(seeds))
    pattern = generator.choice([-1.0, 1.0], width)
    against = generator.permuted(np.eye(1, source) * np.ones((batch, source)), axis=-1)
    asked, held = (generator.choice([-1.0, 1.0], (batch, length, 1)) for _ in range(2))
    return {
        "state": held, "target_embedding": asked * pattern,
        "memory": (1 - 2 * against)[..., None] * pattern / width,
        "source_embedding": generator.standard_normal((batch, source, width)), "w": pattern[None] / 2,
        "b": generator.standard_normal(width) / 64,
    }  # fmt: skip


def _negated(x: Any, step: int) -> Any:
    return rewritten(x, np.s_[:, step], -x[:, step])


# --- laws: who asks -------------------------------------------------------------------------------------------


@law(inputs=sentences, examples=60)
def bahdanau_s_weights_see_the_inputs_before_their_step(
    bahdanau_step: Any, steps: int, batch: int, source: int, seed: int, format: Any
) -> Claim:
    """Decoding step by step, the weights of step t depend on the first state and on the inputs before t: on every
    one of them, and not on the input of step t or a later one.
    """
    decoder = Register(steps, batch, source, seed, format)
    units = decoder.units
    # tanh(4 (s + m)): where m is 2 or -2 the answer of a source state does not depend on the unit.
    decoder.arguments |= {
        "memory": 2 * decoder.chosen * decoder.signs(*decoder.chosen.shape),
        "w_query": 4 * np.eye(units) + decoder.faint(units, units), "w_memory": 4 * np.eye(units),
        "v": decoder.signs(units), "w_context": decoder.faint(units, units),
    }  # fmt: skip
    reached = decoder.reached(bahdanau_step, first=0)
    return exactly(reached, np.tri(*reached.shape, dtype=bool))


@law(inputs=sentences, examples=60)
def luong_s_weights_see_the_inputs_up_to_their_step(
    luong_step: Any, steps: int, batch: int, source: int, seed: int, format: Any
) -> Claim:
    """Decoding step by step, the weights of step t depend on the inputs up to t: on every one of them, the input of
    step t included, and on no later one.
    """
    decoder = Register(steps, batch, source, seed, format)
    units = decoder.units
    decoder.arguments |= {
        "memory": (1.5 * decoder.chosen - 0.75) * decoder.signs(batch, 1, units),
        "w_score": np.eye(units) + decoder.faint(units, units), "w_combine": decoder.faint(2 * units, units),
    }  # fmt: skip
    reached = decoder.reached(luong_step, first=1)
    return exactly(reached, np.tri(*reached.shape, dtype=bool))


@law(inputs=crossings(), examples=60)
def conv_s2s_s_weights_see_their_own_embedding_and_state(conv_s2s_attention: Any, inputs: dict[str, Any]) -> Claim:
    """The weights of step t depend on g_t and on the state of step t, and on those of no other step."""
    length = inputs["state"].shape[1]

    def reached(name: str) -> Any:
        def moved(t: int) -> dict[str, Any]:
            return inputs if t < 0 else {**inputs, name: _negated(inputs[name], t)}

        return dependence(conv_s2s_attention, moved, length, axis=1, of=1)

    alone = np.eye(length, dtype=bool)
    return all_of(exactly(reached("target_embedding"), alone), exactly(reached("state"), alone))


@law(inputs=crossings(), width=st.integers(1, 3), examples=60)
def conv_s2s_s_weights_see_an_embedding_that_the_state_has_not_seen(
    conv_s2s_attention: Any, decoder_convolution: Any, inputs: dict[str, Any], width: int, format: Any
) -> Claim:
    """Behind a convolution of K taps whose newest is 0, the state of step t has seen g_(t-K+1) to g_(t-1). The weights
    of step t depend on all of these and on g_t, which asks by itself.
    """
    width = min(width, 2) if format.precision == 8 else width  # what 8 bits still show
    embedded = inputs["target_embedding"]
    sign = np.sign(inputs["w"][:1, :1])
    kernel = np.concatenate([np.repeat(sign[None], width - 1, axis=0), np.zeros_like(sign[None])])

    def attend(embedded: Any) -> tuple[Any, Any]:
        state = decoder_convolution(x=embedded[:, :, :1], kernel=kernel, bias=np.zeros_like(sign[0]))
        computed, defined = conv_s2s_attention.compare(**{**inputs, "state": state, "target_embedding": embedded})
        return computed[1], defined[1]

    def moved(t: int) -> dict[str, Any]:
        return {"embedded": embedded if t < 0 else _negated(embedded, t)}

    reached = dependence(SimpleNamespace(compare=attend), moved, embedded.shape[1], axis=1)
    lag = np.arange(len(reached))[:, None] - np.arange(len(reached))
    return exactly(reached, (lag >= 0) & (lag < width))


@law(seed=seeds)
def the_input_of_a_bahdanau_step_asks_for_nothing(bahdanau_step: Any, inputs: dict[str, Any], seed: int) -> Claim:
    """Whatever the embedding holds, context and weights of its step come out as they are."""
    other = normal(seed, inputs["embedding"].shape, inputs["embedding"], 100)
    return closely(bahdanau_step(**{**inputs, "embedding": other})[1:], bahdanau_step(**inputs)[1:])


@law(inputs=bahdanau_steps(textures=PLAIN), needs=["gradient"], seed=seeds)
def bahdanau_s_weights_leave_the_recurrence_without_gradient(
    bahdanau_step: Any, inputs: dict[str, Any], seed: int
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


@law(seed=seeds)
def luong_s_previous_state_asks_through_the_new_one_alone(luong_step: Any, inputs: dict[str, Any], seed: int) -> Claim:
    """Where w_state is 0 and the recurrence forgets, whatever the previous state holds changes nothing at all."""
    forgetful = {**inputs, "w_state": np.zeros_like(inputs["w_state"])}
    other = normal(seed, inputs["state"].shape, inputs["state"], 100)
    return closely(luong_step(**{**forgetful, "state": other}), luong_step(**forgetful))


@law(seed=seeds)
def the_source_does_not_reach_luong_s_new_state(luong_step: Any, inputs: dict[str, Any], seed: int) -> Claim:
    """The recurrence goes on before it looks: another source leaves the new state as it is."""
    other = normal(seed, inputs["memory"].shape, inputs["memory"], 100)
    return closely(luong_step(**{**inputs, "memory": other})[0], luong_step(**inputs)[0])


@law()
def a_bahdanau_step_reads_its_context_beside_the_embedding(
    bahdanau_step: Any, luong_step: Any, inputs: dict[str, Any]
) -> Claim:
    """The new state is that of a recurrence whose input is [embedding; context], with w_context below w_input: Luong's
    recurrence, fed with what was found first.
    """
    new_state, context, _ = bahdanau_step(**inputs)
    width, depth = inputs["state"].shape[1], inputs["memory"].shape[2]
    none = {name: np.zeros(shape, inputs["state"].dtype) for name, shape in
            (("w_score", (width, depth)), ("w_combine", (depth + width, width)))}  # fmt: skip
    recurrence = luong_step(
        embedding=np.concatenate([asbounded(inputs["embedding"]), context], axis=1),
        w_input=np.concatenate([inputs["w_input"], inputs["w_context"]]),
        **{name: inputs[name] for name in ("state", "memory", "w_state", "bias")}, **none,
    )  # fmt: skip
    return closely(new_state, recurrence[0])


@law(seed=seeds, place=st.integers(0, 99))
def steps_of_conv_s2s_attention_are_independent(
    conv_s2s_attention: Any, inputs: dict[str, Any], seed: int, place: int
) -> Claim:
    """Another embedding g_i and another state at step i leave context and weights of all other steps as they are."""
    step = place % inputs["state"].shape[1]
    others = {name: rewritten(x := inputs[name], np.s_[:, step], normal(seed, x[:, step].shape, x, 100))
              for name in ("state", "target_embedding")}  # fmt: skip
    before, after = (conv_s2s_attention(**{**inputs, **change}) for change in ({}, others))
    rest = np.arange(inputs["state"].shape[1]) != step
    return closely(tuple(x[:, rest] for x in after), tuple(x[:, rest] for x in before))


# --- laws: the question and its answers -----------------------------------------------------------------------


def _log_ratios(weights: Any) -> Any:
    """log(weights_j / weights_0) over the last axis."""
    logs = np.log(weights)
    return logs - logs[..., :1]


@law(inputs=bahdanau_steps(textures=PLAIN))
def bahdanau_s_weights_compare_as_additive_scores(bahdanau_step: Any, inputs: dict[str, Any]) -> Claim:
    """log(weights_i / weights_j) = v . (tanh(state w_query + memory_i w_memory) - tanh(state w_query + memory_j
    w_memory)).
    """
    state, memory = asbounded(inputs["state"]), asbounded(inputs["memory"])
    scores = np.tanh((state @ inputs["w_query"])[:, None] + memory @ inputs["w_memory"]) @ inputs["v"]
    return closely(_log_ratios(bahdanau_step(**inputs)[2]), scores - scores[:, :1])


@law(inputs=luong_steps(textures=PLAIN))
def luong_s_weights_compare_as_general_scores(luong_step: Any, inputs: dict[str, Any]) -> Claim:
    """log(weights_i / weights_j) = new_state w_score (memory_i - memory_j)."""
    new_state, *_, weights = luong_step(**inputs)
    scores = np.sum((new_state @ inputs["w_score"])[:, None] * inputs["memory"], axis=-1)
    return closely(_log_ratios(weights), scores - scores[:, :1])


@law(inputs=conv_s2s_states(textures=PLAIN))
def conv_s2s_s_weights_compare_as_dot_products(conv_s2s_attention: Any, inputs: dict[str, Any]) -> Claim:
    """log(weights_i / weights_j) = (state w + b + g) . (z_i - z_j), without any scale."""
    asking = asbounded(inputs["state"]) @ inputs["w"] + inputs["b"] + inputs["target_embedding"]
    scores = asking @ inputs["memory"].swapaxes(1, 2)
    return closely(_log_ratios(conv_s2s_attention(**inputs)[1]), scores - scores[..., :1])


@law(inputs=bahdanau_steps(textures=PLAIN))
def no_source_state_outweighs_another_beyond_v(bahdanau_step: Any, inputs: dict[str, Any]) -> Claim:
    """Each hidden unit answers between -1 and 1, so however large the source states, no weight is more than
    exp(2 sum |v|) times another.
    """
    loud = {**inputs, "memory": inputs["memory"] * inputs["memory"].dtype.type(16)}
    weights = bahdanau_step(**loud)[2]
    most = np.exp(2 * np.sum(asbounded(np.abs(inputs["v"])), axis=0))
    return at_most(np.max(weights, axis=1), np.min(weights, axis=1) * most)


@law()
def with_v_of_zeros_bahdanau_s_context_is_the_mean(bahdanau_step: Any, inputs: dict[str, Any]) -> Claim:
    """Without v all scores are 0, and the context is the mean of the source states."""
    result = bahdanau_step(**{**inputs, "v": np.zeros_like(inputs["v"])})
    return closely(result[1], np.mean(asbounded(inputs["memory"]), axis=1))


@law()
def with_w_score_of_zeros_luong_s_context_is_the_mean(luong_step: Any, inputs: dict[str, Any]) -> Claim:
    """Without w_score all scores are 0, and the context is the mean of the source states."""
    result = luong_step(**{**inputs, "w_score": np.zeros_like(inputs["w_score"])})
    return closely(result[2], np.mean(asbounded(inputs["memory"]), axis=1))


@law()
def a_question_of_zeros_gives_the_scaled_mean(conv_s2s_attention: Any, inputs: dict[str, Any]) -> Claim:
    """Where state w + b = -g, so that d = 0, the context is sqrt(S) times the mean of z + e."""
    length, source = inputs["state"].shape[1], inputs["memory"].shape[1]
    silent = {**inputs, "w": np.zeros_like(inputs["w"]),
              "target_embedding": np.broadcast_to(-inputs["b"], inputs["target_embedding"].shape)}  # fmt: skip
    both = np.concatenate([asbounded(inputs["memory"]), asbounded(inputs["source_embedding"])], axis=1)
    mean = np.sum(both, axis=1) / source * root(source)
    return closely(conv_s2s_attention(**silent)[0], np.repeat(mean[:, None], length, axis=1))


@law(seed=seeds)
def the_bias_of_conv_s2s_may_move_to_the_target_embeddings(
    conv_s2s_attention: Any, inputs: dict[str, Any], seed: int
) -> Claim:
    """What is added to b and taken from every g changes nothing: only state w + b + g asks."""
    vector = asbounded(normal(seed, inputs["b"].shape, inputs["b"]))
    moved = {"b": inputs["b"] + vector, "target_embedding": inputs["target_embedding"] - vector}
    return closely(conv_s2s_attention(**{**inputs, **moved}), conv_s2s_attention(**inputs))


# --- laws: the source -----------------------------------------------------------------------------------------


def _mixed(context: Any, weights: Any, memory: Any) -> Claim:
    """The weights are shares, and the context is the sum of the source states by them. (B, M), (B, S), (B, S, M)."""
    return all_of(
        at_most(np.zeros(weights.shape), weights),
        closely(np.sum(weights, axis=-1), np.ones(weights.shape[:-1])),
        closely(context, (weights[:, None] @ memory)[:, 0]),
    )


@law()
def bahdanau_s_context_is_made_of_shares(bahdanau_step: Any, inputs: dict[str, Any]) -> Claim:
    """Weights are not negative and sum to 1 over the source; the context is the sum of the source states by them."""
    _, context, weights = bahdanau_step(**inputs)
    return _mixed(context, weights, inputs["memory"])


@law()
def luong_s_context_is_made_of_shares(luong_step: Any, inputs: dict[str, Any]) -> Claim:
    """Weights are not negative and sum to 1 over the source; the context is the sum of the source states by them."""
    *_, context, weights = luong_step(**inputs)
    return _mixed(context, weights, inputs["memory"])


@law()
def conv_s2s_s_weights_are_shares(conv_s2s_attention: Any, inputs: dict[str, Any]) -> Claim:
    """Weights are not negative and sum to 1 over the source, for every step of the decoder."""
    weights = conv_s2s_attention(**inputs)[1]
    return all_of(
        at_most(np.zeros(weights.shape), weights),
        closely(np.sum(weights, axis=-1), np.ones(weights.shape[:-1])),
    )


@law(seed=seeds)
def the_order_of_the_source_does_not_matter_to_bahdanau(bahdanau_step: Any, inputs: dict[str, Any], seed: int) -> Claim:
    """Permuted source states get permuted weights; the new state and the context stay the same."""
    order = np.random.default_rng(seed).permutation(inputs["memory"].shape[1])
    *before, weights = bahdanau_step(**inputs)
    return closely(bahdanau_step(**{**inputs, "memory": inputs["memory"][:, order]}), (*before, weights[:, order]))


@law(seed=seeds)
def the_order_of_the_source_does_not_matter_to_luong(luong_step: Any, inputs: dict[str, Any], seed: int) -> Claim:
    """Permuted source states get permuted weights; new state, attentional vector and context stay the same."""
    order = np.random.default_rng(seed).permutation(inputs["memory"].shape[1])
    *before, weights = luong_step(**inputs)
    return closely(luong_step(**{**inputs, "memory": inputs["memory"][:, order]}), (*before, weights[:, order]))


@law(seed=seeds)
def the_order_of_the_source_does_not_matter_to_conv_s2s(
    conv_s2s_attention: Any, inputs: dict[str, Any], seed: int
) -> Claim:
    """Source states permuted together with their embeddings get permuted weights; the context stays the same."""
    order = np.random.default_rng(seed).permutation(inputs["memory"].shape[1])
    context, weights = conv_s2s_attention(**inputs)
    permuted = {name: inputs[name][:, order] for name in ("memory", "source_embedding")}
    return closely(conv_s2s_attention(**{**inputs, **permuted}), (context, weights[..., order]))


def _twice(x: Any) -> Any:
    return np.concatenate([x, x], axis=1)


@law()
def doubling_the_source_leaves_bahdanau_s_context(bahdanau_step: Any, inputs: dict[str, Any]) -> Claim:
    """Every source state twice halves the weights; the new state and the context stay the same."""
    *before, weights = bahdanau_step(**inputs)
    return closely(bahdanau_step(**{**inputs, "memory": _twice(inputs["memory"])}), (*before, _twice(weights) / 2))


@law()
def doubling_the_source_leaves_luong_s_context(luong_step: Any, inputs: dict[str, Any]) -> Claim:
    """Every source state twice halves the weights; new state, attentional vector and context stay the same."""
    *before, weights = luong_step(**inputs)
    return closely(luong_step(**{**inputs, "memory": _twice(inputs["memory"])}), (*before, _twice(weights) / 2))


@law()
def doubling_the_source_scales_conv_s2s_s_context_by_the_root_of_2(
    conv_s2s_attention: Any, inputs: dict[str, Any]
) -> Claim:
    """Every source state twice halves the weights, and the context grows by sqrt(2), as sqrt(S) does."""
    context, weights = conv_s2s_attention(**inputs)
    doubled = {name: _twice(inputs[name]) for name in ("memory", "source_embedding")}
    halves = np.concatenate([weights, weights], axis=2) / 2
    return closely(conv_s2s_attention(**{**inputs, **doubled}), (context * root(2), halves))


@law()
def source_embeddings_never_enter_the_scores(conv_s2s_attention: Any, inputs: dict[str, Any]) -> Claim:
    """Whatever e holds, the weights come out as they are: z alone answers."""
    other = np.full_like(inputs["source_embedding"], huge(inputs["source_embedding"]))
    other[:, ::2] *= -1
    return closely(conv_s2s_attention(**{**inputs, "source_embedding": other})[1], conv_s2s_attention(**inputs)[1])


@law(inputs=conv_s2s_states(textures=PLAIN), needs=["gradient"], seed=seeds)
def the_weights_leave_source_embeddings_without_gradient(
    conv_s2s_attention: Any, inputs: dict[str, Any], seed: int
) -> Claim:
    """What the weights contribute to a loss does not reach e."""
    context, weights = conv_s2s_attention(**inputs)
    silent = np.zeros(context.shape, context.dtype)
    gradient = conv_s2s_attention.gradient((silent, normal(seed, weights.shape, weights)), **inputs)
    return exactly(gradient["source_embedding"], np.zeros_like(inputs["source_embedding"]))


@law(seed=seeds)
def a_vector_moved_from_e_to_z_alters_only_the_weights(
    conv_s2s_attention: Any, inputs: dict[str, Any], seed: int
) -> Claim:
    """Each z_j + u_j with e_j - u_j is weighed anew, but what is weighed is still z_j + e_j, times sqrt(S)."""
    vector = asbounded(normal(seed, inputs["memory"].shape, inputs["memory"]))
    memory, embedded = (asbounded(inputs[name]) for name in ("memory", "source_embedding"))
    context, weights = conv_s2s_attention(
        **{**inputs, "memory": memory + vector, "source_embedding": embedded - vector}
    )
    total = np.concatenate([weights, weights], axis=2) @ np.concatenate([memory, embedded], axis=1)
    return closely(context, total * root(memory.shape[1]))


@law(seed=seeds)
def the_same_vector_moved_from_every_e_to_every_z_alters_nothing(
    conv_s2s_attention: Any, inputs: dict[str, Any], seed: int
) -> Claim:
    """One vector for all places adds the same to all scores: not even the weights change."""
    vector = asbounded(normal(seed, inputs["b"].shape, inputs["b"]))
    moved = {"memory": inputs["memory"] + vector, "source_embedding": inputs["source_embedding"] - vector}
    return closely(conv_s2s_attention(**{**inputs, **moved}), conv_s2s_attention(**inputs))


# --- laws: the states -----------------------------------------------------------------------------------------


@law()
def bahdanau_s_state_stays_within_1(bahdanau_step: Any, inputs: dict[str, Any]) -> Claim:
    """No component of the new state is above 1 or below -1."""
    return at_most(np.abs(bahdanau_step(**inputs)[0]), np.ones(inputs["state"].shape))


@law()
def luong_s_states_stay_within_1(luong_step: Any, inputs: dict[str, Any]) -> Claim:
    """No component of the new state or of the attentional vector is above 1 or below -1."""
    one = np.ones(inputs["state"].shape)
    return at_most(tuple(np.abs(x) for x in luong_step(**inputs)[:2]), (one, one))


@law()
def the_first_rows_of_w_combine_read_the_context(luong_step: Any, inputs: dict[str, Any]) -> Claim:
    """The first M rows of w_combine alone give tanh(context w), the others alone tanh(new_state w)."""
    depth, w_combine = inputs["memory"].shape[2], inputs["w_combine"]
    first = (np.arange(len(w_combine)) < depth)[:, None]

    def attentional(rows: Any, of: int) -> Claim:
        results = luong_step(**{**inputs, "w_combine": np.where(rows, w_combine, np.zeros_like(w_combine))})
        return closely(results[1], np.tanh(results[of] @ w_combine[rows[:, 0]]))

    return all_of(attentional(first, of=2), attentional(~first, of=0))


# --- laws: refusals -------------------------------------------------------------------------------------------


def _longer(x: Any, axis: int) -> Any:
    """The array with its first entry along the axis once more at the end."""
    return np.concatenate([x, np.take(x, [0], axis)], axis)


def _misfits(operation: Any, inputs: dict[str, Any], places: dict[str, tuple[int, ...]]) -> Claim:
    """Each of the arguments is refused where it is too long by one along any of its axes named here."""
    return all_of(*(
        refused(operation, name, {**inputs, name: _longer(inputs[name], axis)})
        for name, axes in places.items() for axis in axes
    ))  # fmt: skip


@law(inputs=bahdanau_steps(textures=PLAIN), examples=20)
def a_bahdanau_step_refuses_weights_of_another_shape(bahdanau_step: Any, inputs: dict[str, Any]) -> Claim:
    """A weight with one row or one column too many does not fit."""
    matrices = dict.fromkeys(("w_query", "w_memory", "w_input", "w_context", "w_state"), (0, 1))
    return _misfits(bahdanau_step, inputs, {**matrices, "bias": (0,)})


@law(inputs=luong_steps(textures=PLAIN), examples=20)
def a_luong_step_refuses_weights_of_another_shape(luong_step: Any, inputs: dict[str, Any]) -> Claim:
    """A weight with one row or one column too many does not fit."""
    matrices = dict.fromkeys(("w_input", "w_state", "w_score", "w_combine"), (0, 1))
    return _misfits(luong_step, inputs, {**matrices, "bias": (0,)})


@law(inputs=bahdanau_steps(textures=PLAIN), examples=20)
def a_bahdanau_step_refuses_another_batch(bahdanau_step: Any, inputs: dict[str, Any]) -> Claim:
    """Embedding, state and source are of as many examples."""
    return _misfits(bahdanau_step, inputs, {"state": (0,), "memory": (0,)})


@law(inputs=luong_steps(textures=PLAIN), examples=20)
def a_luong_step_refuses_another_batch(luong_step: Any, inputs: dict[str, Any]) -> Claim:
    """Embedding, state and source are of as many examples."""
    return _misfits(luong_step, inputs, {"state": (0,), "memory": (0,)})


@law(inputs=conv_s2s_states(textures=PLAIN), examples=20)
def conv_s2s_attention_refuses_shapes_that_do_not_fit(conv_s2s_attention: Any, inputs: dict[str, Any]) -> Claim:
    """The source has as many examples as the decoder, and w leads from the decoder's width to that of the source."""
    return _misfits(conv_s2s_attention, inputs, {"memory": (0, 2), "w": (0, 1)})


@law(inputs=conv_s2s_states(textures=PLAIN), examples=20)
def conv_s2s_attention_refuses_embeddings_that_do_not_fit(conv_s2s_attention: Any, inputs: dict[str, Any]) -> Claim:
    """There is one embedding for each state, on either side: two are too many for one, too."""
    one = {name: inputs[name][:, :1] for name in ("state", "target_embedding")}
    return all_of(
        _misfits(conv_s2s_attention, inputs, {"target_embedding": (0, 1, 2), "source_embedding": (0, 1, 2)}),
        _misfits(conv_s2s_attention, {**inputs, **one}, {"target_embedding": (1,)}),
    )


# --- faults ---------------------------------------------------------------------------------------------------


def _bahdanau(
    inputs: dict[str, Any], new_state: Callable[..., Any] = _recurrence, weigh: Callable[..., Any] = _additive_weights,
    mix: Callable[..., Any] = _context,
) -> Any:  # fmt: skip
    """A Bahdanau step with the parts that faults exchange."""
    state, memory = inputs["state"], inputs["memory"]
    weights = weigh(state, memory, inputs["w_query"], inputs["w_memory"], inputs["v"])
    context = mix(weights, memory)
    found = np.concatenate([inputs["embedding"], context], axis=-1)
    w_found = np.concatenate([inputs["w_input"], inputs["w_context"]])
    return new_state(found, state, w_found, inputs["w_state"], inputs["bias"]), context, weights


def _luong(
    inputs: dict[str, Any], new_state: Callable[..., Any] = _recurrence, weigh: Callable[..., Any] = _general_weights,
    mix: Callable[..., Any] = _context, asking: Any = None,
) -> Any:  # fmt: skip
    """A Luong step with the parts that faults exchange. asking: what asks in place of the new state."""
    new = new_state(inputs["embedding"], inputs["state"], inputs["w_input"], inputs["w_state"], inputs["bias"])
    weights = weigh(new if asking is None else asking, inputs["memory"], inputs["w_score"])
    context = mix(weights, inputs["memory"])
    attentional = np.tanh(np.concatenate([context, new], axis=-1) @ inputs["w_combine"])
    return new, attentional, context, weights


def _conv_s2s(inputs: dict[str, Any], scores: Any = None, mix: Callable[..., Any] = _scaled_context) -> Any:
    """ConvS2S attention with the parts that faults exchange."""
    found = _conv_s2s_scores(inputs) if scores is None else scores
    weights = softmax(found)
    return mix(weights, inputs["memory"], inputs["source_embedding"]), weights


def _conv_s2s_scores(inputs: dict[str, Any]) -> Any:
    asking = _summary(inputs["state"], inputs["target_embedding"], inputs["w"], inputs["b"])
    return asking @ inputs["memory"].swapaxes(-1, -2)


def _places(memory: Any) -> Any:
    """0, 1, 2 ... along the source, a hundredth each, for faults that prefer places."""
    return (np.arange(memory.shape[1]) / 128).astype(memory.dtype)


def _linear_recurrence(x: Any, state: Any, w_x: Any, w_state: Any, bias: Any) -> Any:
    return affine(np.concatenate([x, state], axis=-1), np.concatenate([w_x, w_state]), bias)


def _forgetful_recurrence(x: Any, state: Any, w_x: Any, w_state: Any, bias: Any) -> Any:
    return np.tanh(affine(x, w_x, bias))


def _rooted_context(weights: Any, memory: Any) -> Any:
    return _context(weights, memory) * root(memory.shape[1])


INPUT_ASKS = (
    "bahdanau_s_weights_see_the_inputs_before_their_step", "the_input_of_a_bahdanau_step_asks_for_nothing",
    "bahdanau_s_weights_leave_the_recurrence_without_gradient",
)  # fmt: skip


@fault(bahdanau_step, breaks=INPUT_ASKS)
def asks_with_the_new_state(**inputs: Any) -> Any:
    """The cell is run first, without a context, and what it returns asks: Luong's order. The previous state asks."""
    arguments = (inputs[name] for name in ("embedding", "state", "w_input", "w_state", "bias"))
    ahead = _recurrence(*arguments)
    return _bahdanau(inputs, weigh=lambda state, *others: _additive_weights(ahead, *others))


@fault(bahdanau_step, breaks=INPUT_ASKS, seen="https://github.com/pytorch/tutorials/issues/87")
def asks_with_the_embedding_as_well(**inputs: Any) -> Any:
    """The embedding of the new input asks beside the previous state. Leave it to the recurrence."""
    beside = inputs["embedding"] @ inputs["w_input"]
    return _bahdanau(inputs, weigh=lambda state, *others: _additive_weights(state + beside, *others))


@fault(bahdanau_step, breaks="a_bahdanau_step_reads_its_context_beside_the_embedding",
       seen="https://github.com/tensorflow/tensorflow/issues/38248")  # fmt: skip
def starts_every_step_anew(**inputs: Any) -> Any:
    """The cell is called without its previous state, of which only the context is handed on. Pass the state."""
    return _bahdanau(inputs, new_state=_forgetful_recurrence)


@fault(bahdanau_step, breaks="a_bahdanau_step_reads_its_context_beside_the_embedding")
def finds_a_context_and_drops_it(**inputs: Any) -> Any:
    """The context is computed and not fed to the recurrence. Add context w_context."""
    return _bahdanau({**inputs, "w_context": 0 * inputs["w_context"]})


@fault(bahdanau_step, breaks=("bahdanau_s_weights_compare_as_additive_scores",
                              "no_source_state_outweighs_another_beyond_v"),
       seen="https://github.com/keon/seq2seq/issues/3")  # fmt: skip
def adds_up_without_tanh(**inputs: Any) -> Any:
    """The hidden layer of the scores is linear, so that the state adds the same to all of them. Put tanh before v."""

    def weigh(state: Any, memory: Any, w_query: Any, w_memory: Any, v: Any) -> Any:
        return softmax(((state @ w_query)[:, None] + memory @ w_memory) @ v)

    return _bahdanau(inputs, weigh=weigh)


@fault(bahdanau_step, breaks=("bahdanau_s_context_is_made_of_shares", "batches_are_independent",
                              "doubling_the_source_leaves_bahdanau_s_context"),
       seen="https://github.com/PetrochukM/PyTorch-NLP/issues/2")  # fmt: skip
def bahdanau_s_softmax_over_the_batch(**inputs: Any) -> Any:
    """The softmax runs over the examples of the batch. It has to run over the source."""

    def weigh(state: Any, memory: Any, w_query: Any, w_memory: Any, v: Any) -> Any:
        return softmax(np.tanh((state @ w_query)[:, None] + memory @ w_memory) @ v, axis=0)

    return _bahdanau(inputs, weigh=weigh)


@fault(bahdanau_step, breaks="bahdanau_s_context_is_made_of_shares",
       seen="https://github.com/microsoft/CNTK/issues/2083")  # fmt: skip
def weighs_the_projected_source(**inputs: Any) -> Any:
    """What is weighed are the source states times w_memory (cut or filled up to their width). Weigh them themselves."""

    def mix(weights: Any, memory: Any) -> Any:
        depth = memory.shape[-1]
        projected = memory @ inputs["w_memory"]
        return _context(weights, np.pad(projected, ((0, 0), (0, 0), (0, depth)))[..., :depth])

    return _bahdanau(inputs, mix=mix)


@fault(bahdanau_step, breaks=("the_order_of_the_source_does_not_matter_to_bahdanau",
                              "with_v_of_zeros_bahdanau_s_context_is_the_mean"))  # fmt: skip
def bahdanau_s_scores_prefer_late_places(**inputs: Any) -> Any:
    """The place of a source state is added to its score. Scores come from states alone."""

    def weigh(state: Any, memory: Any, w_query: Any, w_memory: Any, v: Any) -> Any:
        return softmax(np.tanh((state @ w_query)[:, None] + memory @ w_memory) @ v + _places(memory))

    return _bahdanau(inputs, weigh=weigh)


@fault(bahdanau_step, breaks=("bahdanau_s_context_is_made_of_shares",
                              "with_v_of_zeros_bahdanau_s_context_is_the_mean",
                              "doubling_the_source_leaves_bahdanau_s_context"))  # fmt: skip
def scales_bahdanau_s_context(**inputs: Any) -> Any:
    """The context is multiplied by sqrt(S), as in ConvS2S. It is the plain sum by weights."""
    return _bahdanau(inputs, mix=_rooted_context)


@fault(bahdanau_step, breaks="bahdanau_s_state_stays_within_1")
def bahdanau_s_recurrence_is_linear(**inputs: Any) -> Any:
    """The new state has no tanh, and grows from step to step. Put tanh around the sum."""
    return _bahdanau(inputs, new_state=_linear_recurrence)


def _cut(inputs: dict[str, Any], **shapes: tuple[int, ...]) -> dict[str, Any]:
    """The arguments with these cut down to these shapes, for faults that drop in silence what does not fit."""
    return {**inputs, **{name: inputs[name][tuple(slice(n) for n in shape)] for name, shape in shapes.items()}}


@fault(bahdanau_step, breaks="a_bahdanau_step_refuses_weights_of_another_shape")
def bahdanau_s_weights_are_cut_to_fit(**inputs: Any) -> Any:
    """Rows and columns that are too many are dropped in silence. Compare the shapes."""
    (batch, embedded), (source, depth) = inputs["embedding"].shape, inputs["memory"].shape[1:]
    shapes = _bahdanau_shapes(batch, embedded, inputs["state"].shape[1], source, depth, len(inputs["v"]))
    return _bahdanau(_cut(inputs, **shapes))


@fault(bahdanau_step, breaks="a_bahdanau_step_refuses_another_batch")
def bahdanau_s_surplus_examples_are_dropped(**inputs: Any) -> Any:
    """Examples beyond those of the embedding are dropped in silence. Compare the shapes."""
    batch = len(inputs["embedding"])
    return _bahdanau(_cut(inputs, state=(batch,), memory=(batch,)))


@fault(luong_step, breaks=("luong_s_weights_see_the_inputs_up_to_their_step",
                           "luong_s_previous_state_asks_through_the_new_one_alone",
                           "luong_s_weights_compare_as_general_scores"),
       seen="https://github.com/A-Jacobson/minimal-nmt/issues/2")  # fmt: skip
def asks_with_the_previous_state(**inputs: Any) -> Any:
    """The question is asked before the cell is run: Bahdanau's order. What the cell has just returned asks."""
    return _luong(inputs, asking=inputs["state"])


@fault(luong_step, breaks=("the_source_does_not_reach_luong_s_new_state",
                           "a_bahdanau_step_reads_its_context_beside_the_embedding"),
       seen="https://github.com/MaximumEntropy/Seq2Seq-PyTorch/issues/10")  # fmt: skip
def hands_the_attentional_vector_on(**inputs: Any) -> Any:
    """The attentional vector is the state of the next step. The recurrence goes on from the new state."""
    _, *others = _luong(inputs)
    return others[0], *others


@fault(luong_step, breaks="the_first_rows_of_w_combine_read_the_context")
def combines_the_state_first(**inputs: Any) -> Any:
    """The combination is of [h; c], so that w_combine is read in another order. The context comes first: [c; h]."""
    new, _, context, weights = _luong(inputs)
    return new, np.tanh(np.concatenate([new, context], axis=-1) @ inputs["w_combine"]), context, weights


@fault(luong_step, breaks=("luong_s_states_stay_within_1", "the_first_rows_of_w_combine_read_the_context"),
       seen="https://github.com/tensorflow/nmt/issues/257")  # fmt: skip
def combines_without_tanh(**inputs: Any) -> Any:
    """The attentional vector is a linear map of [c; h]. Put tanh around it."""
    new, _, context, weights = _luong(inputs)
    return new, np.concatenate([context, new], axis=-1) @ inputs["w_combine"], context, weights


@fault(luong_step, breaks="luong_s_states_stay_within_1")
def luong_s_recurrence_is_linear(**inputs: Any) -> Any:
    """The new state has no tanh, and grows from step to step. Put tanh around the sum."""
    return _luong(inputs, new_state=_linear_recurrence)


@fault(luong_step, breaks=("luong_s_weights_compare_as_general_scores",
                           "with_w_score_of_zeros_luong_s_context_is_the_mean"),
       seen="https://github.com/OpenNMT/OpenNMT-py/pull/141")  # fmt: skip
def scores_by_the_plain_dot_product(**inputs: Any) -> Any:
    """The dot and the general score are taken for each other (in the thread the other way round), and w_score is not
    used. Multiply by w_score.
    """
    ones = np.eye(*inputs["w_score"].shape, dtype=inputs["w_score"].dtype)
    return _luong({**inputs, "w_score": ones})


@fault(luong_step, breaks=("luong_s_context_is_made_of_shares", "batches_are_independent",
                           "doubling_the_source_leaves_luong_s_context"),
       seen="https://github.com/PetrochukM/PyTorch-NLP/issues/2")  # fmt: skip
def luong_s_softmax_over_the_batch(**inputs: Any) -> Any:
    """The softmax runs over the examples of the batch. It has to run over the source."""

    def weigh(state: Any, memory: Any, w_score: Any) -> Any:
        return softmax((memory @ (state @ w_score)[:, :, None])[..., 0], axis=0)

    return _luong(inputs, weigh=weigh)


@fault(luong_step, breaks=("the_order_of_the_source_does_not_matter_to_luong",
                           "with_w_score_of_zeros_luong_s_context_is_the_mean"))  # fmt: skip
def luong_s_scores_prefer_late_places(**inputs: Any) -> Any:
    """The place of a source state is added to its score. Scores come from states alone."""

    def weigh(state: Any, memory: Any, w_score: Any) -> Any:
        return softmax((memory @ (state @ w_score)[:, :, None])[..., 0] + _places(memory))

    return _luong(inputs, weigh=weigh)


@fault(luong_step, breaks=("luong_s_context_is_made_of_shares", "with_w_score_of_zeros_luong_s_context_is_the_mean",
                           "doubling_the_source_leaves_luong_s_context"))  # fmt: skip
def scales_luong_s_context(**inputs: Any) -> Any:
    """The context is multiplied by sqrt(S), as in ConvS2S. It is the plain sum by weights."""
    return _luong(inputs, mix=_rooted_context)


@fault(luong_step, breaks="a_luong_step_refuses_weights_of_another_shape")
def luong_s_weights_are_cut_to_fit(**inputs: Any) -> Any:
    """Rows and columns that are too many are dropped in silence. Compare the shapes."""
    (batch, embedded), (source, depth) = inputs["embedding"].shape, inputs["memory"].shape[1:]
    return _luong(_cut(inputs, **_luong_shapes(batch, embedded, inputs["state"].shape[1], source, depth)))


@fault(luong_step, breaks="a_luong_step_refuses_another_batch")
def luong_s_surplus_examples_are_dropped(**inputs: Any) -> Any:
    """Examples beyond those of the embedding are dropped in silence. Compare the shapes."""
    batch = len(inputs["embedding"])
    return _luong(_cut(inputs, state=(batch,), memory=(batch,)))


@fault(conv_s2s_attention, breaks=("conv_s2s_s_weights_see_their_own_embedding_and_state",
                                   "conv_s2s_s_weights_see_an_embedding_that_the_state_has_not_seen",
                                   "conv_s2s_s_weights_compare_as_dot_products"))  # fmt: skip
def asks_with_the_state_alone(**inputs: Any) -> Any:
    """g is left out of the question. Add it to state w + b."""
    return _conv_s2s({**inputs, "target_embedding": 0 * inputs["target_embedding"]})


@fault(conv_s2s_attention, breaks=("conv_s2s_s_weights_see_their_own_embedding_and_state",
                                   "conv_s2s_s_weights_see_an_embedding_that_the_state_has_not_seen",
                                   "steps_of_conv_s2s_attention_are_independent"))  # fmt: skip
def asks_with_the_embedding_before(**inputs: Any) -> Any:
    """The target embeddings are shifted once more, and each step asks with that of the one before. g_i belongs to i."""
    shifted = np.pad(inputs["target_embedding"], ((0, 0), (1, 0), (0, 0)))[:, :-1]
    return _conv_s2s({**inputs, "target_embedding": shifted})


@fault(conv_s2s_attention, breaks=("conv_s2s_s_weights_see_their_own_embedding_and_state",
                                   "conv_s2s_s_weights_are_shares",
                                   "steps_of_conv_s2s_attention_are_independent"))  # fmt: skip
def softmax_over_the_decoder_s_steps(**inputs: Any) -> Any:
    """The softmax runs over the steps that ask. It has to run over the source."""
    weights = softmax(_conv_s2s_scores(inputs), axis=1)
    return _scaled_context(weights, inputs["memory"], inputs["source_embedding"]), weights


@fault(conv_s2s_attention, breaks=("conv_s2s_s_weights_are_shares", "batches_are_independent"),
       seen="https://github.com/OpenNMT/OpenNMT-py/pull/378")  # fmt: skip
def conv_s2s_s_softmax_over_the_batch(**inputs: Any) -> Any:
    """The softmax runs over the first axis, the batch. It has to run over the source."""
    weights = softmax(_conv_s2s_scores(inputs), axis=0)
    return _scaled_context(weights, inputs["memory"], inputs["source_embedding"]), weights


@fault(conv_s2s_attention, breaks=("source_embeddings_never_enter_the_scores",
                                   "the_weights_leave_source_embeddings_without_gradient",
                                   "conv_s2s_s_weights_compare_as_dot_products"))  # fmt: skip
def scores_against_what_is_weighed(**inputs: Any) -> Any:
    """The source embeddings are added before the scores, as if keys and values were one. Scores are against z alone."""
    both = inputs["memory"] + inputs["source_embedding"]
    scores = _conv_s2s_scores({**inputs, "memory": both})
    return _conv_s2s(inputs, scores=scores)


@fault(conv_s2s_attention, breaks=("a_vector_moved_from_e_to_z_alters_only_the_weights",
                                   "the_same_vector_moved_from_every_e_to_every_z_alters_nothing",
                                   "a_question_of_zeros_gives_the_scaled_mean"),
       seen="https://github.com/bentrevett/pytorch-seq2seq/issues/41")  # fmt: skip
def weighs_the_source_states_twice(**inputs: Any) -> Any:
    """z is added to z + e once more. Weigh z + e."""
    return _conv_s2s(inputs, mix=lambda weights, memory, embedded: _scaled_context(weights, 2 * memory, embedded))


@fault(conv_s2s_attention, breaks=("a_vector_moved_from_e_to_z_alters_only_the_weights",
                                   "the_same_vector_moved_from_every_e_to_every_z_alters_nothing"))  # fmt: skip
def forgets_the_source_embeddings(**inputs: Any) -> Any:
    """z alone is weighed. Add e, which says what stands at a place."""
    return _conv_s2s({**inputs, "source_embedding": 0 * inputs["source_embedding"]})


@fault(conv_s2s_attention, breaks=("doubling_the_source_scales_conv_s2s_s_context_by_the_root_of_2",
                                   "a_question_of_zeros_gives_the_scaled_mean"))  # fmt: skip
def forgets_the_root(**inputs: Any) -> Any:
    """The context is not multiplied by sqrt(S), and shrinks with the length of the source. Multiply."""
    return _conv_s2s(inputs, mix=lambda weights, memory, embedded: weights @ (memory + embedded))


@fault(conv_s2s_attention, breaks=("doubling_the_source_scales_conv_s2s_s_context_by_the_root_of_2",
                                   "a_question_of_zeros_gives_the_scaled_mean"))  # fmt: skip
def divides_by_the_root(**inputs: Any) -> Any:
    """S sqrt(1/S) is taken for sqrt(1/S). Multiply by sqrt(S)."""
    return _conv_s2s(inputs, mix=lambda weights, memory, embedded: _scaled_context(weights, memory, embedded)
                     / memory.shape[1])  # fmt: skip


@fault(conv_s2s_attention, breaks="conv_s2s_s_weights_compare_as_dot_products")
def scales_the_scores_as_the_transformer_does(**inputs: Any) -> Any:
    """Scores are divided by the root of the width, as in later models. ConvS2S has plain dot products."""
    return _conv_s2s(inputs, scores=_conv_s2s_scores(inputs) / root(len(inputs["b"])))


@fault(conv_s2s_attention, breaks="the_bias_of_conv_s2s_may_move_to_the_target_embeddings")
def forgets_the_bias(**inputs: Any) -> Any:
    """b is left out of the question. Add it to state w."""
    return _conv_s2s({**inputs, "b": 0 * inputs["b"]})


@fault(conv_s2s_attention, breaks=("the_order_of_the_source_does_not_matter_to_conv_s2s",
                                   "a_question_of_zeros_gives_the_scaled_mean"))  # fmt: skip
def conv_s2s_s_scores_prefer_late_places(**inputs: Any) -> Any:
    """The place of a source state is added to its score. Positions are in the embeddings already."""
    return _conv_s2s(inputs, scores=_conv_s2s_scores(inputs) + _places(inputs["memory"]))


@fault(conv_s2s_attention, breaks=("conv_s2s_attention_refuses_shapes_that_do_not_fit",
                                   "conv_s2s_attention_refuses_embeddings_that_do_not_fit"))  # fmt: skip
def conv_s2s_arguments_are_cut_to_fit(**inputs: Any) -> Any:
    """What is too long is dropped in silence. Compare the shapes."""
    (batch, length, channels), source, width = inputs["state"].shape, inputs["memory"].shape[1], len(inputs["b"])
    shapes = {"target_embedding": (batch, length, width), "memory": (batch, source, width),
              "source_embedding": (batch, source, width), "w": (channels, width)}  # fmt: skip
    return _conv_s2s(_cut(inputs, **shapes))


# --- workloads ------------------------------------------------------------------------------------------------


def _bahdanau_cost(B: int, S: int, D: int) -> Cost:
    """Both halves of the score, the context, and three products for the new state."""
    flops = B * (2 * D**2 + 2 * S * D**2 + 2 * S * D + 2 * S * D + 6 * D**2)
    return Cost(flops=flops, moved=B * (4 * D + S * D + S) + 5 * D**2 + 2 * D)


@workload(bahdanau_step, sizes={"B": 32, "S": 50, "D": 512}, cost=_bahdanau_cost, gradient=True)
def bahdanau_decoder_step(random: np.random.Generator, B: int, S: int, D: int) -> dict[str, Any]:
    """One step for 32 sentences whose sources have the 50 words that were the paper's limit (Bahdanau et al. 2015,
    section 4.1), all widths 512.
    """
    return {
        "embedding": random.standard_normal((B, D)), "state": np.tanh(random.standard_normal((B, D))),
        "memory": np.tanh(random.standard_normal((B, S, D))), "w_query": matrix(random, D, D) / 4,
        "w_memory": matrix(random, D, D) / 4, "v": random.standard_normal(D) / 64, "w_input": matrix(random, D, D),
        "w_context": matrix(random, D, D), "w_state": matrix(random, D, D), "bias": random.standard_normal(D) / 8,
    }  # fmt: skip


def _luong_cost(B: int, S: int, D: int) -> Cost:
    """Two products for the new state, one to ask, two with the source, two to combine."""
    return Cost(flops=B * (4 * D**2 + 2 * D**2 + 4 * S * D + 4 * D**2), moved=B * (5 * D + S * D + S) + 5 * D**2 + D)


@workload(luong_step, sizes={"B": 32, "S": 50, "D": 512}, cost=_luong_cost, gradient=True)
def luong_decoder_step(random: np.random.Generator, B: int, S: int, D: int) -> dict[str, Any]:
    """One step for 32 sentences whose sources have the 50 words that were the paper's limit (Luong et al. 2015,
    section 4), all widths 512.

    The bound takes a score for one sum of 262,144 terms: w_score is so small that it says something all the same.
    """
    return {
        "embedding": random.standard_normal((B, D)), "state": np.tanh(random.standard_normal((B, D))),
        "memory": np.tanh(random.standard_normal((B, S, D))), "w_input": matrix(random, D, D),
        "w_state": matrix(random, D, D), "bias": random.standard_normal(D) / 8, "w_score": matrix(random, D, D) / 2**14,
        "w_combine": matrix(random, 2 * D, D),
    }  # fmt: skip


def _conv_s2s_cost(B: int, T: int, S: int, D: int) -> Cost:
    """A projection, and two products of all pairs."""
    return Cost(flops=2 * B * T * D**2 + 4 * B * T * S * D, moved=B * (3 * T * D + 2 * S * D + T * S) + D**2 + D)


@workload(conv_s2s_attention, sizes={"B": 32, "T": 50, "S": 50, "D": 512}, cost=_conv_s2s_cost, gradient=True)
def conv_s2s_decoder_attention(random: np.random.Generator, B: int, T: int, S: int, D: int) -> dict[str, Any]:
    """The attention of one decoder layer of ConvS2S, 512 wide (Gehring et al. 2017, sections 3.3 and 4.2), over 32
    sentences of 50 words and sources of as many.
    """
    return {
        "state": random.standard_normal((B, T, D)) / 4, "target_embedding": random.standard_normal((B, T, D)) / 4,
        "memory": random.standard_normal((B, S, D)) / 4, "source_embedding": random.standard_normal((B, S, D)) / 4,
        "w": matrix(random, D, D), "b": random.standard_normal(D) / 8,
    }  # fmt: skip
