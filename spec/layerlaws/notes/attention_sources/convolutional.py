"""Attention of ConvS2S: a layer's state and its own embedding ask, and the context is of states and embeddings."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

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
    dependence,
    exactly,
    extents,
    fault,
    huge,
    law,
    matrix,
    normal,
    operation,
    rewritten,
    root,
    seeds,
    softmax,
    workload,
)
from layerlaws.language import strategies as st
from layerlaws.notes.attention_sources.decoders import _cut, _filled, _fits, _log_ratios, _misfits, _places, _twice


@st.composite
def conv_s2s_states(draw: st.DrawFn, textures: tuple[str, ...] = tuple(TEXTURES)) -> Arguments:
    batch, length, source, channels, width = draw(extents(5, edges=(1, 2, 3, 4), squared=(4,)))
    shapes = {
        "state": (batch, length, channels),
        "target_embedding": (batch, length, width),
        "memory": (batch, source, width),
        "source_embedding": (batch, source, width),
        "w": (channels, width),
        "b": (width,),
    }
    return _filled(draw, shapes, textures, states=4)


@st.composite
def crossings(draw: st.DrawFn) -> Arguments:
    """ConvS2S attention between source states for and against, which each sign of a question turns over."""
    batch, length, source, width = (draw(st.integers(*ends)) for ends in ((1, 2), (1, 4), (2, 4), (1, 2)))
    generator = np.random.default_rng(draw(seeds))
    pattern = generator.choice([-1.0, 1.0], width)
    against = generator.permuted(np.eye(1, source) * np.ones((batch, source)), axis=-1)
    asked, held = (generator.choice([-1.0, 1.0], (batch, length, 1)) for _ in range(2))
    return {
        "state": held,
        "target_embedding": asked * pattern,
        "memory": (1 - 2 * against)[..., None] * pattern / width,
        "source_embedding": generator.standard_normal((batch, source, width)),
        "w": pattern[None] / 2,
        "b": generator.standard_normal(width) / 64,
    }


def _summary(state: Array, target_embedding: Array, w: Array, b: Array) -> Array:
    """d = state w + b + g, one sum, as kernels may start it from any of its terms. (B, T, C)  ->  (B, T, E)."""
    ones = np.eye(target_embedding.shape[-1], dtype=state.dtype)
    return affine(np.concatenate([state, target_embedding], axis=-1), np.concatenate([w, ones]), b)


def _scaled_context(weights: Array, memory: Array, source_embedding: Array) -> Array:
    """sqrt(S) times the sum of weights_j (z_j + e_j), of both at once or of each. (B, T, S)  ->  (B, T, E)."""
    twice, values = (
        np.concatenate(parts, axis) for parts, axis in (((weights, weights), -1), ((memory, source_embedding), 1))
    )
    return twice @ values * root(memory.shape[1])


@operation(
    inputs=conv_s2s_states(), batch=("state", "target_embedding", "memory", "source_embedding"), differentiable=True
)
def conv_s2s_attention(
    state: Array, target_embedding: Array, memory: Array, source_embedding: Array, w: Array, b: Array
) -> tuple[Array, Array]:
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


def _negated(x: Array, step: int) -> Array:
    return rewritten(x, np.s_[:, step], -x[:, step])


@law(inputs=crossings(), examples=60)
def conv_s2s_s_weights_see_their_own_embedding_and_state(
    conv_s2s_attention: Implementation, inputs: Arguments
) -> Claim:
    """The weights of step t depend on g_t and on the state of step t, and on those of no other step."""
    length = inputs["state"].shape[1]

    def reached(name: str) -> Array:
        def moved(t: int) -> Arguments:
            return inputs if t < 0 else {**inputs, name: _negated(inputs[name], t)}

        return dependence(conv_s2s_attention, moved, length, axis=1, of=1)

    alone = np.eye(length, dtype=bool)
    return all_of(exactly(reached("target_embedding"), alone), exactly(reached("state"), alone))


@law(inputs=crossings(), width=st.integers(1, 3), examples=60)
def conv_s2s_s_weights_see_an_embedding_that_the_state_has_not_seen(
    conv_s2s_attention: Implementation,
    decoder_convolution: Implementation,
    inputs: Arguments,
    width: int,
    format: Format,
) -> Claim:
    """Behind a convolution of K taps whose newest is 0, the state of step t has seen g_(t-K+1) to g_(t-1). The weights
    of step t depend on all of these and on g_t, which asks by itself.
    """
    width = min(width, 2) if format.precision == 8 else width  # what 8 bits still show
    embedded = inputs["target_embedding"]
    sign = np.sign(inputs["w"][:1, :1])
    kernel = np.concatenate([np.repeat(sign[None], width - 1, axis=0), np.zeros_like(sign[None])])

    def attend(embedded: Array) -> tuple[Array, Array]:
        state = decoder_convolution(x=embedded[:, :, :1], kernel=kernel, bias=np.zeros_like(sign[0]))
        computed, defined = conv_s2s_attention.compare(**{**inputs, "state": state, "target_embedding": embedded})
        return computed[1], defined[1]

    def moved(t: int) -> Arguments:
        return {"embedded": embedded if t < 0 else _negated(embedded, t)}

    reached = dependence(SimpleNamespace(compare=attend), moved, embedded.shape[1], axis=1)
    lag = np.arange(len(reached))[:, None] - np.arange(len(reached))
    return exactly(reached, (lag >= 0) & (lag < width))


@law(seed=seeds, place=st.integers(0, 99))
def steps_of_conv_s2s_attention_are_independent(
    conv_s2s_attention: Implementation, inputs: Arguments, seed: int, place: int
) -> Claim:
    """Another embedding g_i and another state at step i leave context and weights of all other steps as they are."""
    step = place % inputs["state"].shape[1]
    others = {
        name: rewritten(x := inputs[name], np.s_[:, step], normal(seed, x[:, step].shape, x, 100))
        for name in ("state", "target_embedding")
    }
    before, after = (conv_s2s_attention(**{**inputs, **change}) for change in ({}, others))
    rest = np.arange(inputs["state"].shape[1]) != step
    return closely(tuple(x[:, rest] for x in after), tuple(x[:, rest] for x in before))


def _conv_s2s_scores(inputs: Arguments) -> Array:
    asking = _summary(inputs["state"], inputs["target_embedding"], inputs["w"], inputs["b"])
    return asking @ inputs["memory"].swapaxes(-1, -2)


def _conv_s2s(
    inputs: Arguments, scores: Array | None = None, mix: Callable[..., Array] = _scaled_context
) -> tuple[Array, Array]:
    """ConvS2S attention with the parts that faults exchange."""
    found = _conv_s2s_scores(inputs) if scores is None else scores
    weights = softmax(found)
    return mix(weights, inputs["memory"], inputs["source_embedding"]), weights


@fault(
    conv_s2s_attention,
    breaks=(
        conv_s2s_s_weights_see_their_own_embedding_and_state,
        conv_s2s_s_weights_see_an_embedding_that_the_state_has_not_seen,
        steps_of_conv_s2s_attention_are_independent,
    ),
    kind="shift",
    repair="g_i belongs to i.",
)
def asks_with_the_embedding_before(**inputs: Array) -> Results:
    """The target embeddings are shifted once more, and each step asks with that of the one before."""
    shifted = np.pad(inputs["target_embedding"], ((0, 0), (1, 0), (0, 0)))[:, :-1]
    return _conv_s2s({**inputs, "target_embedding": shifted})


@law(inputs=conv_s2s_states(textures=PLAIN))
def conv_s2s_s_weights_compare_as_dot_products(conv_s2s_attention: Implementation, inputs: Arguments) -> Claim:
    """log(weights_i / weights_j) = (state w + b + g) . (z_i - z_j), without any scale."""
    asking = asbounded(inputs["state"]) @ inputs["w"] + inputs["b"] + inputs["target_embedding"]
    scores = asking @ inputs["memory"].swapaxes(1, 2)
    return closely(_log_ratios(conv_s2s_attention(**inputs)[1]), scores - scores[..., :1])


@fault(
    conv_s2s_attention,
    breaks=(
        conv_s2s_s_weights_see_their_own_embedding_and_state,
        conv_s2s_s_weights_see_an_embedding_that_the_state_has_not_seen,
        conv_s2s_s_weights_compare_as_dot_products,
    ),
    kind="formula",
    repair="Add it to state w + b.",
)
def asks_with_the_state_alone(**inputs: Array) -> Results:
    """g is left out of the question."""
    return _conv_s2s({**inputs, "target_embedding": 0 * inputs["target_embedding"]})


@fault(
    conv_s2s_attention,
    breaks=conv_s2s_s_weights_compare_as_dot_products,
    kind="scale",
    repair="ConvS2S has plain dot products.",
)
def scales_the_scores_as_the_transformer_does(**inputs: Array) -> Results:
    """Scores are divided by the root of the width, as in later models."""
    return _conv_s2s(inputs, scores=_conv_s2s_scores(inputs) / root(len(inputs["b"])))


@law()
def a_question_of_zeros_gives_the_scaled_mean(conv_s2s_attention: Implementation, inputs: Arguments) -> Claim:
    """Where state w + b = -g, so that d = 0, the context is sqrt(S) times the mean of z + e."""
    length, source = inputs["state"].shape[1], inputs["memory"].shape[1]
    silent = {
        **inputs,
        "w": np.zeros_like(inputs["w"]),
        "target_embedding": np.broadcast_to(-inputs["b"], inputs["target_embedding"].shape),
    }
    both = np.concatenate([asbounded(inputs["memory"]), asbounded(inputs["source_embedding"])], axis=1)
    mean = np.sum(both, axis=1) / source * root(source)
    return closely(conv_s2s_attention(**silent)[0], np.repeat(mean[:, None], length, axis=1))


@law(seed=seeds)
def the_bias_of_conv_s2s_may_move_to_the_target_embeddings(
    conv_s2s_attention: Implementation, inputs: Arguments, seed: int
) -> Claim:
    """What is added to b and taken from every g changes nothing: only state w + b + g asks."""
    vector = asbounded(normal(seed, inputs["b"].shape, inputs["b"]))
    moved = {"b": inputs["b"] + vector, "target_embedding": inputs["target_embedding"] - vector}
    return closely(conv_s2s_attention(**{**inputs, **moved}), conv_s2s_attention(**inputs))


@fault(
    conv_s2s_attention,
    breaks=the_bias_of_conv_s2s_may_move_to_the_target_embeddings,
    kind="formula",
    repair="Add it to state w.",
)
def forgets_the_bias(**inputs: Array) -> Results:
    """b is left out of the question."""
    return _conv_s2s({**inputs, "b": 0 * inputs["b"]})


@law()
def conv_s2s_s_weights_are_shares(conv_s2s_attention: Implementation, inputs: Arguments) -> Claim:
    """Weights are not negative and sum to 1 over the source, for every step of the decoder."""
    weights = conv_s2s_attention(**inputs)[1]
    return all_of(
        at_most(np.zeros(weights.shape), weights),
        closely(np.sum(weights, axis=-1), np.ones(weights.shape[:-1])),
    )


@fault(
    conv_s2s_attention,
    breaks=(
        conv_s2s_s_weights_see_their_own_embedding_and_state,
        conv_s2s_s_weights_are_shares,
        steps_of_conv_s2s_attention_are_independent,
    ),
    kind="axis",
    repair="It has to run over the source.",
)
def softmax_over_the_decoder_s_steps(**inputs: Array) -> tuple[Array, Array]:
    """The softmax runs over the steps that ask."""
    weights = softmax(_conv_s2s_scores(inputs), axis=1)
    return _scaled_context(weights, inputs["memory"], inputs["source_embedding"]), weights


@fault(
    conv_s2s_attention,
    breaks=(conv_s2s_s_weights_are_shares, "batches_are_independent"),
    kind="axis",
    repair="It has to run over the source.",
    seen="https://github.com/OpenNMT/OpenNMT-py/pull/378",
)
def conv_s2s_s_softmax_over_the_batch(**inputs: Array) -> tuple[Array, Array]:
    """The softmax runs over the first axis, the batch."""
    weights = softmax(_conv_s2s_scores(inputs), axis=0)
    return _scaled_context(weights, inputs["memory"], inputs["source_embedding"]), weights


@law(seed=seeds)
def the_order_of_the_source_does_not_matter_to_conv_s2s(
    conv_s2s_attention: Implementation, inputs: Arguments, seed: int
) -> Claim:
    """Source states permuted together with their embeddings get permuted weights; the context stays the same."""
    order = np.random.default_rng(seed).permutation(inputs["memory"].shape[1])
    context, weights = conv_s2s_attention(**inputs)
    permuted = {name: inputs[name][:, order] for name in ("memory", "source_embedding")}
    return closely(conv_s2s_attention(**{**inputs, **permuted}), (context, weights[..., order]))


@fault(
    conv_s2s_attention,
    breaks=(the_order_of_the_source_does_not_matter_to_conv_s2s, a_question_of_zeros_gives_the_scaled_mean),
    kind="formula",
    repair="Positions are in the embeddings already.",
)
def conv_s2s_s_scores_prefer_late_places(**inputs: Array) -> Results:
    """The place of a source state is added to its score."""
    return _conv_s2s(inputs, scores=_conv_s2s_scores(inputs) + _places(inputs["memory"]))


@law()
def doubling_the_source_scales_conv_s2s_s_context_by_the_root_of_2(
    conv_s2s_attention: Implementation, inputs: Arguments
) -> Claim:
    """Every source state twice halves the weights, and the context grows by sqrt(2), as sqrt(S) does."""
    context, weights = conv_s2s_attention(**inputs)
    doubled = {name: _twice(inputs[name]) for name in ("memory", "source_embedding")}
    halves = np.concatenate([weights, weights], axis=2) / 2
    return closely(conv_s2s_attention(**{**inputs, **doubled}), (context * root(2), halves))


@fault(
    conv_s2s_attention,
    breaks=(doubling_the_source_scales_conv_s2s_s_context_by_the_root_of_2, a_question_of_zeros_gives_the_scaled_mean),
    kind="scale",
    repair="Multiply.",
)
def forgets_the_root(**inputs: Array) -> Results:
    """The context is not multiplied by sqrt(S), and shrinks with the length of the source."""
    return _conv_s2s(inputs, mix=lambda weights, memory, embedded: weights @ (memory + embedded))


@fault(
    conv_s2s_attention,
    breaks=(doubling_the_source_scales_conv_s2s_s_context_by_the_root_of_2, a_question_of_zeros_gives_the_scaled_mean),
    kind="scale",
    repair="Multiply by sqrt(S).",
)
def divides_by_the_root(**inputs: Array) -> Results:
    """S sqrt(1/S) is taken for sqrt(1/S)."""
    return _conv_s2s(
        inputs, mix=lambda weights, memory, embedded: _scaled_context(weights, memory, embedded) / memory.shape[1]
    )


@law()
def source_embeddings_never_enter_the_scores(conv_s2s_attention: Implementation, inputs: Arguments) -> Claim:
    """Whatever e holds, the weights come out as they are: z alone answers."""
    other = np.full_like(inputs["source_embedding"], huge(inputs["source_embedding"]))
    other[:, ::2] *= -1
    return closely(conv_s2s_attention(**{**inputs, "source_embedding": other})[1], conv_s2s_attention(**inputs)[1])


@law(inputs=conv_s2s_states(textures=PLAIN), needs=["gradient"], seed=seeds)
def the_weights_leave_source_embeddings_without_gradient(
    conv_s2s_attention: Implementation, inputs: Arguments, seed: int
) -> Claim:
    """What the weights contribute to a loss does not reach e."""
    context, weights = conv_s2s_attention(**inputs)
    silent = np.zeros(context.shape, context.dtype)
    gradient = conv_s2s_attention.gradient((silent, normal(seed, weights.shape, weights)), **inputs)
    return exactly(gradient["source_embedding"], np.zeros_like(inputs["source_embedding"]))


@fault(
    conv_s2s_attention,
    breaks=(
        source_embeddings_never_enter_the_scores,
        the_weights_leave_source_embeddings_without_gradient,
        conv_s2s_s_weights_compare_as_dot_products,
    ),
    kind="formula",
    repair="Scores are against z alone.",
)
def scores_against_what_is_weighed(**inputs: Array) -> Results:
    """The source embeddings are added before the scores, as if keys and values were one."""
    both = inputs["memory"] + inputs["source_embedding"]
    scores = _conv_s2s_scores({**inputs, "memory": both})
    return _conv_s2s(inputs, scores=scores)


@law(seed=seeds)
def a_vector_moved_from_e_to_z_alters_only_the_weights(
    conv_s2s_attention: Implementation, inputs: Arguments, seed: int
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
    conv_s2s_attention: Implementation, inputs: Arguments, seed: int
) -> Claim:
    """One vector for all places adds the same to all scores: not even the weights change."""
    vector = asbounded(normal(seed, inputs["b"].shape, inputs["b"]))
    moved = {"memory": inputs["memory"] + vector, "source_embedding": inputs["source_embedding"] - vector}
    return closely(conv_s2s_attention(**{**inputs, **moved}), conv_s2s_attention(**inputs))


@fault(
    conv_s2s_attention,
    breaks=(
        a_vector_moved_from_e_to_z_alters_only_the_weights,
        the_same_vector_moved_from_every_e_to_every_z_alters_nothing,
        a_question_of_zeros_gives_the_scaled_mean,
    ),
    kind="formula",
    repair="Weigh z + e.",
    seen="https://github.com/bentrevett/pytorch-seq2seq/issues/41",
)
def weighs_the_source_states_twice(**inputs: Array) -> Results:
    """z is added to z + e once more."""
    return _conv_s2s(inputs, mix=lambda weights, memory, embedded: _scaled_context(weights, 2 * memory, embedded))


@fault(
    conv_s2s_attention,
    breaks=(
        a_vector_moved_from_e_to_z_alters_only_the_weights,
        the_same_vector_moved_from_every_e_to_every_z_alters_nothing,
    ),
    kind="formula",
    repair="Add e, which says what stands at a place.",
)
def forgets_the_source_embeddings(**inputs: Array) -> Results:
    """z alone is weighed."""
    return _conv_s2s({**inputs, "source_embedding": 0 * inputs["source_embedding"]})


@law(inputs=conv_s2s_states(textures=PLAIN), examples=20)
def conv_s2s_attention_refuses_shapes_that_do_not_fit(conv_s2s_attention: Implementation, inputs: Arguments) -> Claim:
    """The source has as many examples as the decoder, and w leads from the decoder's width to that of the source."""
    return _misfits(conv_s2s_attention, inputs, {"memory": (0, 2), "w": (0, 1)})


@law(inputs=conv_s2s_states(textures=PLAIN), examples=20)
def conv_s2s_attention_refuses_embeddings_that_do_not_fit(
    conv_s2s_attention: Implementation, inputs: Arguments
) -> Claim:
    """There is one embedding for each state, on either side: two are too many for one, too."""
    one = {name: inputs[name][:, :1] for name in ("state", "target_embedding")}
    return all_of(
        _misfits(conv_s2s_attention, inputs, {"target_embedding": (0, 1, 2), "source_embedding": (0, 1, 2)}),
        _misfits(conv_s2s_attention, {**inputs, **one}, {"target_embedding": (1,)}),
    )


@fault(
    conv_s2s_attention,
    breaks=(conv_s2s_attention_refuses_shapes_that_do_not_fit, conv_s2s_attention_refuses_embeddings_that_do_not_fit),
    kind="refusal",
    repair="Compare the shapes.",
)
def conv_s2s_arguments_are_cut_to_fit(**inputs: Array) -> Results:
    """What is too long is dropped in silence."""
    (batch, length, channels), source, width = inputs["state"].shape, inputs["memory"].shape[1], len(inputs["b"])
    shapes = {
        "target_embedding": (batch, length, width),
        "memory": (batch, source, width),
        "source_embedding": (batch, source, width),
        "w": (channels, width),
    }
    return _conv_s2s(_cut(inputs, **shapes))


def _conv_s2s_cost(B: int, T: int, S: int, D: int) -> Cost:
    """A projection, and two products of all pairs."""
    return Cost(flops=2 * B * T * D**2 + 4 * B * T * S * D, moved=B * (3 * T * D + 2 * S * D + T * S) + D**2 + D)


@workload(conv_s2s_attention, sizes={"B": 32, "T": 50, "S": 50, "D": 512}, cost=_conv_s2s_cost, gradient=True)
def conv_s2s_decoder_attention(random: np.random.Generator, B: int, T: int, S: int, D: int) -> Arguments:
    """The attention of one decoder layer of ConvS2S, 512 wide (Gehring et al. 2017, sections 3.3 and 4.2), over 32
    sentences of 50 words and sources of as many.
    """
    return {
        "state": random.standard_normal((B, T, D)) / 4,
        "target_embedding": random.standard_normal((B, T, D)) / 4,
        "memory": random.standard_normal((B, S, D)) / 4,
        "source_embedding": random.standard_normal((B, S, D)) / 4,
        "w": matrix(random, D, D),
        "b": random.standard_normal(D) / 8,
    }
