"""ELMo: a word is a weighted mean of all layers of a language model, with weights learned by the task.

Note of 2021-11-08. The layers of a deep bidirectional language model know different things, syntax below and meaning
above. ELMo gives a task all of them, mixed as gamma sum_j s_j h_j, where the weights s are a softmax over one learned
score for each layer and gamma is a learned scale (Peters, Neumann, Iyyer, Gardner, Clark, Lee, Zettlemoyer, Deep
contextualized word representations, 2018, section 3.2, equation 1).

Claimed: the mix is a mean of the layers times gamma, the same for all words; the weights and gamma are learned jointly
with the task, and move to the layer that informs it. Not claimed: which layer that is.

Conventions. Scores start at 0, so that the mix starts as the mean. AllenNLP's `scalar_mix_parameters` are scores, not
weights: 1, 0, 0 gives the weights 0.58, 0.21, 0.21. Its `do_layer_norm` normalizes the layers first, which the paper
only considers.

Erratum. The note mixes the two LSTM layers with alpha_1 and alpha_2. The sum begins with layer 0, the representation of
the word by its characters, so that the released model of two LSTM layers mixes 3; and gamma stands in front of it.
Shown by every_layer_has_a_say_from_layer_0_on.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from layerlaws.language import (
    STEEPNESS,
    TEXTURES,
    Arguments,
    Array,
    Claim,
    Cost,
    Format,
    Implementation,
    all_of,
    arrays,
    asbounded,
    at_most,
    closely,
    constant,
    dependence,
    differ,
    exactly,
    extents,
    far_below,
    fault,
    law,
    normal,
    operation,
    refused,
    require,
    rewritten,
    seeds,
    softmax,
    softmax_from,
    workload,
)
from layerlaws.language import strategies as st

scales = st.sampled_from([1.0, 0.5, -2.0, 3.0, 0.1, 10.0])


@st.composite
def mixtures(
    draw: st.DrawFn, textures: tuple[str, ...] = tuple(TEXTURES), edges: tuple[int, ...] = (0, 1, 2, 3), least: int = 1
) -> Arguments:
    """Layers with a score for each, and a scale. least: of the layers."""
    more, batch, length, width = draw(extents(4, edges=edges))
    count = more + least - 1
    layers, scores = draw(arrays((count, batch, length, width), (count,), textures=textures))
    return {"layers": layers, "scores": scores, "gamma": np.array(draw(scales))}


@st.composite
def plain_mixtures(draw: st.DrawFn) -> Arguments:
    """Two layers or more, that differ, and scores so near each other that each layer shows."""
    drawn = draw(mixtures(("normal",), edges=(), least=2))
    return {**drawn, "scores": drawn["scores"] / 4}


@operation(inputs=mixtures(), differentiable=True)
def scalar_mix(layers: Array, scores: Array, gamma: Array) -> Array:
    """gamma sum_j softmax(scores)_j layers_j.

    layers (L, B, T, D), L >= 1, scores (L,), gamma ()  ->  (B, T, D)
    """
    count = layers.shape[0]
    require(count > 0, "layers must hold one layer at least")
    require(scores.shape == (count,), f"scores has shape {scores.shape}, there are {count} layers")
    require(gamma.shape == (), f"gamma has shape {gamma.shape}, it is one number")
    weights = gamma * softmax(scores)
    return np.sum(weights[:, None, None, None] * layers, axis=0)


@law()
def scores_become_weights_by_a_softmax(scalar_mix: Implementation, layers: Array, scores: Array, gamma: Array) -> Claim:
    """Layers that are 1 in a place of their own, and 0 elsewhere, read the weights out: gamma softmax(scores)."""
    count = len(scores)
    signs = np.eye(count, dtype=scores.dtype)[:, None, None, :]
    result = scalar_mix(layers=signs, scores=scores, gamma=gamma)
    return closely(result[0, 0], asbounded(gamma) * softmax(asbounded(scores)))


@law(examples=4)
def scores_of_1_0_0_are_not_those_weights(scalar_mix: Implementation, inputs: Arguments, format: Format) -> Claim:
    """Convention. Scores 1, 0, 0 give weights e / (e + 2), 1 / (e + 2), 1 / (e + 2): 0.58, 0.21, 0.21."""
    signs = np.eye(3, dtype=format.dtype)[:, None, None, :]
    scores, one = np.array([1, 0, 0], format.dtype), np.array(1, format.dtype)
    e = np.exp(asbounded(one))
    shares = np.stack([e, asbounded(one), asbounded(one)]) / (e + 2)
    return closely(scalar_mix(layers=signs, scores=scores, gamma=one)[0, 0], shares)


@law(steepness=STEEPNESS, examples=40)
def equal_scores_give_the_mean(
    scalar_mix: Implementation, layers: Array, scores: Array, gamma: Array, steepness: int, format: Format
) -> Claim:
    """As training starts, with all scores 0, and with any equal scores, the mix is gamma times the mean layer; so it is
    with scores as far below zero as the format bears.
    """
    mean = asbounded(gamma) * np.mean(asbounded(layers), axis=0)
    depth = np.asarray(-far_below(format, steepness), scores.dtype)
    equal = (np.zeros_like(scores), np.repeat(scores[:1], len(scores)), np.repeat(depth, len(scores)))
    return all_of(*(closely(scalar_mix(layers=layers, scores=level, gamma=gamma), mean) for level in equal))


@fault(
    scalar_mix,
    breaks=equal_scores_give_the_mean,
    kind="precision",
    repair="Start from minus infinity, or from the first score.",
)
def starts_the_maximum_at_a_number(layers: Array, scores: Array, gamma: Array) -> Array:
    """The running maximum starts at -1e9: where all scores lie below, their exponentials vanish and nothing is left."""
    return gamma * _mixed(layers, softmax_from(scores, -1e9))


@law(offset=st.sampled_from([-8.0, 0.5, 3.0, 16.0]))
def a_constant_added_to_all_scores_changes_nothing(
    scalar_mix: Implementation, layers: Array, scores: Array, gamma: Array, offset: float
) -> Claim:
    """Only differences between scores count."""
    moved = scalar_mix(layers=layers, scores=asbounded(scores) + offset, gamma=gamma)
    return closely(moved, scalar_mix(layers=layers, scores=scores, gamma=gamma))


def _mixed(layers: Array, weights: Array) -> Array:
    """sum_j weights_j layers_j."""
    return np.sum(weights[:, None, None, None] * layers, axis=0)


@fault(
    scalar_mix,
    breaks=(
        scores_become_weights_by_a_softmax,
        scores_of_1_0_0_are_not_those_weights,
        equal_scores_give_the_mean,
        a_constant_added_to_all_scores_changes_nothing,
    ),
    kind="formula",
    repair="Put them through a softmax.",
    seen="https://github.com/allenai/allennlp/issues/2392",
)
def takes_scores_for_weights(layers: Array, scores: Array, gamma: Array) -> Array:
    """The scores are used as weights, as users of the parameter expected."""
    scalar_mix(layers, scores, gamma)
    return gamma * _mixed(layers, scores)


@law(place=seeds)
def a_score_far_above_the_others_picks_its_layer(
    scalar_mix: Implementation, layers: Array, scores: Array, gamma: Array, place: int
) -> Claim:
    """With a score of 1e4 among scores of -1e4, or 0 among minus infinities, the mix is gamma times its layer."""
    chosen = np.arange(len(scores)) == place % len(scores)
    limits = [np.where(chosen, *ends).astype(scores.dtype) for ends in ((1e4, -1e4), (0.0, -np.inf))]
    layer = asbounded(gamma) * asbounded(layers[chosen][0])
    return all_of(*(closely(scalar_mix(layers=layers, scores=x, gamma=gamma), layer) for x in limits))


@fault(
    scalar_mix,
    breaks=a_score_far_above_the_others_picks_its_layer,
    kind="precision",
    repair="Subtract the highest score first.",
    seen="https://github.com/dwavesystems/dwave-optimization/issues/555",
)
def does_not_shift_the_scores(layers: Array, scores: Array, gamma: Array) -> Array:
    """exp overflows at a score of 1e4, and the weight is not a number."""
    scalar_mix(layers, scores, gamma)
    raised = np.exp(scores)
    return gamma * _mixed(layers, raised / np.sum(raised))


@law()
def equal_layers_are_their_own_mix(scalar_mix: Implementation, layers: Array, scores: Array, gamma: Array) -> Claim:
    """Where all layers are the same the result is gamma times that layer, whatever the scores."""
    same = np.repeat(layers[:1], len(layers), axis=0)
    return closely(scalar_mix(layers=same, scores=scores, gamma=gamma), asbounded(gamma) * asbounded(layers[0]))


@law()
def a_mix_lies_between_its_layers(scalar_mix: Implementation, layers: Array, scores: Array, gamma: Array) -> Claim:
    """With gamma 1 each number lies between the smallest and the largest of the layers'."""
    result = scalar_mix(layers=layers, scores=scores, gamma=np.ones_like(gamma))
    return all_of(at_most(asbounded(layers.min(axis=0)), result), at_most(result, asbounded(layers.max(axis=0))))


@fault(
    scalar_mix,
    breaks=(
        a_constant_added_to_all_scores_changes_nothing,
        equal_layers_are_their_own_mix,
        a_mix_lies_between_its_layers,
    ),
    kind="formula",
    repair="Use one softmax over layers.",
)
def gates_each_layer(layers: Array, scores: Array, gamma: Array) -> Array:
    """Each score goes through a sigmoid of its own, and the weights do not sum to 1."""
    scalar_mix(layers, scores, gamma)
    return gamma * _mixed(layers, 1.0 / (1.0 + np.exp(-scores)))


@law(seed=seeds)
def layers_may_be_permuted_with_their_scores(
    scalar_mix: Implementation, layers: Array, scores: Array, gamma: Array, seed: int
) -> Claim:
    """The mix does not know the order of the layers."""
    order = np.random.default_rng(seed).permutation(len(scores))
    permuted = scalar_mix(layers=layers[order], scores=scores[order], gamma=gamma)
    return closely(permuted, scalar_mix(layers=layers, scores=scores, gamma=gamma))


@fault(
    scalar_mix,
    breaks=layers_may_be_permuted_with_their_scores,
    kind="formula",
    repair="Scores are learned: start them equal, and leave them alone.",
)
def prefers_upper_layers(layers: Array, scores: Array, gamma: Array) -> Array:
    """The number of the layer is added to its score."""
    scalar_mix(layers, scores, gamma)
    return scalar_mix(layers, scores + np.arange(len(scores)).astype(scores.dtype), gamma)


@law(factor=st.sampled_from([-1.0, 0.5, 2.0, 0.0]))
def a_mix_is_homogeneous(
    scalar_mix: Implementation, layers: Array, scores: Array, gamma: Array, factor: float
) -> Claim:
    """Scaling gamma, or all layers, scales the mix: there is no normalization on the way, and no offset."""
    result = scalar_mix(layers=layers, scores=scores, gamma=gamma)
    scaled = layers * layers.dtype.type(factor), gamma * gamma.dtype.type(factor)
    return all_of(
        closely(scalar_mix(layers=scaled[0], scores=scores, gamma=gamma), factor * result),
        closely(scalar_mix(layers=layers, scores=scores, gamma=np.asarray(scaled[1])), factor * result),
    )


@law(seed=seeds)
def a_mix_is_linear_in_its_layers(
    scalar_mix: Implementation, layers: Array, scores: Array, gamma: Array, seed: int
) -> Claim:
    """The mix of sums is the sum of the mixes."""
    others = normal(seed, layers.shape, layers)
    one, other = (scalar_mix(layers=x, scores=scores, gamma=gamma) for x in (layers, others))
    summed = asbounded(layers) + asbounded(others)
    return closely(scalar_mix(layers=summed, scores=scores, gamma=gamma), one + other)


@fault(
    scalar_mix,
    breaks=(a_mix_is_homogeneous, a_mix_is_linear_in_its_layers, equal_layers_are_their_own_mix),
    kind="formula",
    repair="Mix the layers as they are.",
    seen="https://github.com/allenai/allennlp/pull/543",
)
def normalizes_the_layers(layers: Array, scores: Array, gamma: Array) -> Array:
    """Each layer is normalized before it is mixed, an option of the library that is off by default."""
    centred = layers - np.mean(layers, axis=(1, 2, 3), keepdims=True)
    spread = np.sqrt(np.mean(np.square(centred), axis=(1, 2, 3), keepdims=True) + 1e-12)
    return scalar_mix(centred / spread, scores, gamma)


@law(inputs=plain_mixtures(), seed=seeds)
def every_layer_has_a_say_from_layer_0_on(
    scalar_mix: Implementation, layers: Array, scores: Array, gamma: Array, seed: int
) -> Claim:
    """Erratum. The mix depends on every layer, layer 0 included, and on gamma."""
    given = {"layers": layers, "scores": scores, "gamma": gamma}
    count = len(scores)

    def moved(j: int) -> Arguments:
        if j < 0:
            return given
        if j == count:
            return {**given, "gamma": np.asarray(-gamma)}
        return {**given, "layers": rewritten(layers, j, normal(seed, layers[j].shape, layers) + 4)}

    seen = dependence(scalar_mix, moved, count + 1, axis=0).all(axis=0)
    return exactly(seen, np.ones(count + 1, bool))


@fault(
    scalar_mix,
    breaks=(equal_scores_give_the_mean, every_layer_has_a_say_from_layer_0_on),
    kind="boundary",
    repair="Mix layer 0, too.",
)
def leaves_out_layer_0(layers: Array, scores: Array, gamma: Array) -> Array:
    """alpha_1 and alpha_2 weigh the two LSTM layers, and the words by their characters are lost."""
    scalar_mix(layers, scores, gamma)
    return scalar_mix(layers[1:], scores[1:], gamma) if len(scores) > 1 else gamma * layers[0]


@fault(
    scalar_mix,
    breaks=(a_mix_is_homogeneous, every_layer_has_a_say_from_layer_0_on),
    kind="scale",
    repair="Multiply by it.",
)
def forgets_the_scale(layers: Array, scores: Array, gamma: Array) -> Array:
    """gamma is taken and not used, as in the note's formula."""
    return scalar_mix(layers, scores, np.ones_like(gamma) + 0.0 * gamma)


@law(inputs=plain_mixtures(), place=seeds)
def every_score_has_a_say(scalar_mix: Implementation, layers: Array, scores: Array, gamma: Array, place: int) -> Claim:
    """Where layers differ, raising one score by 2 changes the mix."""
    raised = scores + (np.arange(len(scores)) == place % len(scores)).astype(scores.dtype) * scores.dtype.type(2)
    before, after = (scalar_mix.compare(layers=layers, scores=s, gamma=gamma) for s in (scores, raised))
    return differ(before[0], after[0], expected=(before[1], after[1]))


@law(inputs=plain_mixtures(), axis=st.integers(0, 2))
def each_word_is_mixed_alone(
    scalar_mix: Implementation, layers: Array, scores: Array, gamma: Array, axis: int
) -> Claim:
    """Who depends on whom is the identity, along the batch, the positions and the columns: weights are shared, and
    nothing else is.
    """
    extent = layers.shape[axis + 1]

    def moved(j: int) -> Arguments:
        place = (slice(None),) * (axis + 1) + (j,)
        rows = rewritten(layers, place, layers[place] + 4) if j >= 0 else layers
        return {"layers": rows, "scores": scores, "gamma": gamma}

    return exactly(dependence(scalar_mix, moved, extent, axis=axis), np.eye(extent, dtype=bool))


@fault(
    scalar_mix,
    breaks=("agrees_with_definition", each_word_is_mixed_alone),
    kind="axis",
    repair="Stack them on an axis of their own.",
    seen="https://github.com/dpressel/mead-baseline/pull/365",
)
def averages_over_the_columns(layers: Array, scores: Array, gamma: Array) -> Array:
    """The layers lie one behind the other on the last axis, and the mean runs over it: over columns and layers at
    once.
    """
    mixed = scalar_mix(layers, scores, gamma)
    return np.broadcast_to(np.mean(mixed, axis=-1, keepdims=True), mixed.shape)


@law(place=seeds)
def an_example_alone_is_mixed_as_in_its_batch(
    scalar_mix: Implementation, layers: Array, scores: Array, gamma: Array, place: int
) -> Claim:
    """One row of the batch comes out as if it had been alone."""
    row = place % layers.shape[1]
    alone = scalar_mix(layers=layers[:, row : row + 1], scores=scores, gamma=gamma)
    return closely(alone, scalar_mix(layers=layers, scores=scores, gamma=gamma)[row : row + 1])


@fault(
    scalar_mix,
    breaks=(each_word_is_mixed_alone, an_example_alone_is_mixed_as_in_its_batch),
    kind="formula",
    repair="Mix each alone.",
)
def adds_the_mean_of_the_batch(layers: Array, scores: Array, gamma: Array) -> Array:
    """The mean over the batch is mixed in, so that a sentence depends on its neighbours."""
    mixed = scalar_mix(layers, scores, gamma)
    return (mixed + np.mean(mixed, axis=0, keepdims=True)) / 2


def explained(layers: Array, scores: Array, gamma: Array, cotangent: Array) -> tuple[Array, Array, Array]:
    """The weights, <cotangent, layer_j> of each layer, and their weighted mean, with bounds."""
    weights = softmax(asbounded(scores))
    products = asbounded(layers.reshape(len(scores), -1)) @ asbounded(cotangent.reshape(-1))
    return weights, products, np.sum(weights * products)


@law(inputs=mixtures(least=2), needs=["gradient"], seed=seeds)
def a_score_learns_what_its_layer_adds_to_the_mix(
    scalar_mix: Implementation, layers: Array, scores: Array, gamma: Array, seed: int
) -> Claim:
    """The gradient by score j is gamma s_j <G, layer_j - sum_i s_i layer_i>, where G is the gradient by the mix."""
    cotangent = normal(seed, layers.shape[1:], layers)
    gradient = scalar_mix.compare_gradient(cotangent, layers=layers, scores=scores, gamma=gamma)[0]["scores"]
    weights, products, mean = explained(layers, scores, gamma, cotangent)
    return closely(gradient, asbounded(gamma) * weights * (products - mean))


@law(inputs=mixtures(least=2), needs=["gradient"], seed=seeds)
def the_gradients_of_the_scores_sum_to_0(
    scalar_mix: Implementation, layers: Array, scores: Array, gamma: Array, seed: int
) -> Claim:
    """What one score gains the others lose."""
    cotangent = normal(seed, layers.shape[1:], layers)
    gradient = scalar_mix.compare_gradient(cotangent, layers=layers, scores=scores, gamma=gamma)[0]["scores"]
    return closely(gradient[0], -np.sum(gradient[1:]))


@fault(
    scalar_mix,
    breaks=(the_gradients_of_the_scores_sum_to_0, a_score_learns_what_its_layer_adds_to_the_mix),
    kind="gradient",
    repair="Let the gradient through.",
)
def takes_the_softmax_s_sum_for_a_constant(layers: Array, scores: Array, gamma: Array) -> Array:
    """The sum under the softmax is detached, so that each score learns as if weights need not sum to 1."""
    scalar_mix(layers, scores, gamma)
    raised = np.exp(scores - np.max(constant(scores)))
    return gamma * _mixed(layers, raised / constant(np.sum(raised)))


@law(needs=["gradient"], seed=seeds)
def scale_and_layers_learn_what_they_multiply(
    scalar_mix: Implementation, layers: Array, scores: Array, gamma: Array, seed: int
) -> Claim:
    """The gradient by gamma is <G, sum_i s_i layer_i>, and by layer j it is gamma s_j G."""
    cotangent = normal(seed, layers.shape[1:], layers)
    gradient = scalar_mix.compare_gradient(cotangent, layers=layers, scores=scores, gamma=gamma)[0]
    weights, _, mean = explained(layers, scores, gamma, cotangent)
    shares = (asbounded(gamma) * weights)[:, None, None, None]
    return all_of(closely(gradient["gamma"], mean), closely(gradient["layers"], shares * asbounded(cotangent)))


@law(inputs=plain_mixtures(), needs=["gradient"], place=seeds)
def gradients_are_alive_where_layers_differ(
    scalar_mix: Implementation, layers: Array, scores: Array, gamma: Array, place: int
) -> Claim:
    """By Jacobian as by perturbation: one word's gradient reaches its own numbers in every layer and no others, and has
    the right sign in every score and in gamma.
    """
    one = np.arange(layers[0].size).reshape(layers.shape[1:]) == place % layers[0].size
    cotangent = one.astype(layers.dtype)
    computed, expected = scalar_mix.compare_gradient(cotangent, layers=layers, scores=scores, gamma=gamma)

    def sign(name: str, of: Arguments) -> Array:
        told = np.abs(expected[name].value) > expected[name].error
        return np.where(told, np.sign(of[name].value), 0.0)

    return all_of(
        exactly(computed["layers"].value != 0, np.broadcast_to(one, layers.shape)),
        *(exactly(sign(name, computed), sign(name, expected)) for name in ("scores", "gamma")),
    )


@law(needs=["gradient"], count=st.integers(2, 5), informative=st.integers(0, 4), seed=seeds, examples=50)
def descent_moves_the_weights_to_the_informative_layer(
    scalar_mix: Implementation, layers: Array, scores: Array, gamma: Array, count: int, informative: int, seed: int
) -> Claim:
    """A task that asks for twice one layer, and starts from the mean of all, raises that layer's weight and gamma by
    gradient descent, and its loss falls, in no step the other way.

    Layers of the toy task are 1 in a place of their own. By symmetry the other weights stay equal to each other, so the
    gradient by the informative score is negative at any step length, and by gamma until the scale is reached.
    """
    dtype = layers.dtype
    informative %= count
    toy = np.eye(count, dtype=dtype)[:, None, :, None]  # (L, 1, L, 1): each layer knows one word
    toy = toy[:, :, np.random.default_rng(seed).permutation(count)]
    target = 2 * toy[informative]
    learned = {"scores": np.zeros(count, dtype), "gamma": np.ones((), dtype)}
    rates = {"scores": dtype.type(2), "gamma": dtype.type(0.25)}
    gains: list[Array] = []  # what is to rise: the weight, the scale, and the loss with the sign changed
    for _ in range(5):
        mix = scalar_mix(layers=toy, **learned)
        weight, loss = softmax(asbounded(learned["scores"]))[informative], np.sum(np.square(mix - target))
        gains.append(np.stack([weight, asbounded(learned["gamma"]), -loss]))
        gradient = scalar_mix.gradient((mix.value - target).astype(dtype), layers=toy, **learned)
        learned = {name: np.asarray(learned[name] - rate * gradient[name]) for name, rate in rates.items()}
    first, last = gains[0], gains[-1]
    risen = last.value - last.error > first.value + first.error
    return all_of(exactly(risen, np.ones(3, bool)), *(at_most(*steps) for steps in pairwise(gains)))


@fault(
    scalar_mix,
    breaks=(
        every_layer_has_a_say_from_layer_0_on,
        every_score_has_a_say,
        gradients_are_alive_where_layers_differ,
        descent_moves_the_weights_to_the_informative_layer,
    ),
    kind="formula",
    repair="Ask the model for all hidden states.",
    seen="https://github.com/huggingface/transformers/pull/28563",
)
def mixes_the_last_layer_alone(layers: Array, scores: Array, gamma: Array) -> Array:
    """The model's output is taken for the list of its layers, and weights multiply the last layer only."""
    scalar_mix(layers, scores, gamma)
    return gamma * layers[-1] * np.sum(softmax(scores))


@fault(
    scalar_mix,
    breaks=(
        a_score_learns_what_its_layer_adds_to_the_mix,
        gradients_are_alive_where_layers_differ,
        descent_moves_the_weights_to_the_informative_layer,
    ),
    kind="gradient",
    repair="Make them parameters.",
    seen="https://github.com/harvard-edge/cs249r_book/pull/1504",
)
def the_weights_are_no_parameters(layers: Array, scores: Array, gamma: Array) -> Array:
    """The scores need no gradient, and training leaves them where they were (the thread has it of a LayerNorm's
    scale).
    """
    return scalar_mix(layers, constant(scores), gamma)


@fault(
    scalar_mix,
    breaks=(scale_and_layers_learn_what_they_multiply, descent_moves_the_weights_to_the_informative_layer),
    kind="gradient",
    repair="Make it a parameter.",
)
def the_scale_is_no_parameter(layers: Array, scores: Array, gamma: Array) -> Array:
    """gamma needs no gradient, and stays at its start."""
    return scalar_mix(layers, scores, constant(gamma))


@law(examples=20)
def each_layer_has_one_score(scalar_mix: Implementation, layers: Array, scores: Array, gamma: Array) -> Claim:
    """One score more than there are layers is refused, and one layer more than there are scores."""
    more = {"scores": np.concatenate([scores, scores[:1]]), "layers": np.concatenate([layers, layers[:1]])}
    given = {"layers": layers, "scores": scores, "gamma": gamma}
    return all_of(*(refused(scalar_mix, "scores", {**given, name: longer}) for name, longer in more.items()))


@fault(
    scalar_mix,
    breaks=each_layer_has_one_score,
    kind="refusal",
    repair="Compare their numbers.",
)
def mixes_as_many_as_there_are_of_both(layers: Array, scores: Array, gamma: Array) -> Array:
    """Layers and scores are gone through side by side, to the end of the shorter."""
    count = min(len(scores), len(layers))
    return scalar_mix(layers[:count], scores[:count], gamma)


@law(size=st.integers(1, 3), examples=20)
def the_scale_is_one_number(scalar_mix: Implementation, layers: Array, scores: Array, gamma: Array, size: int) -> Claim:
    """A gamma for each column, or an array of one, is refused: it is a scalar."""
    return refused(scalar_mix, "gamma", {"layers": layers, "scores": scores, "gamma": np.repeat(gamma, size)})


@fault(
    scalar_mix,
    breaks=the_scale_is_one_number,
    kind="refusal",
    repair="Refuse them.",
)
def takes_the_first_of_several_scales(layers: Array, scores: Array, gamma: Array) -> Array:
    """Of several scales the first is used in silence."""
    return scalar_mix(layers, scores, gamma.reshape(-1)[0])


def _mix_cost(L: int, B: int, T: int, D: int) -> Cost:
    """A multiply-add for each number of each layer."""
    return Cost(flops=2 * L * B * T * D, moved=(L + 1) * B * T * D)


def _mix_cost_backward(L: int, B: int, T: int, D: int) -> Cost:
    """Besides, each layer's gradient, and its product with that of the mix; both pass through memory."""
    return Cost(flops=5 * L * B * T * D, moved=2 * (L + 1) * B * T * D)


@workload(
    scalar_mix, sizes={"L": 3, "B": 32, "T": 128, "D": 1024}, cost=_mix_cost, backward=_mix_cost_backward, gradient=True
)
def elmo_mix(random: np.random.Generator, L: int, B: int, T: int, D: int) -> Arguments:
    """The three layers of ELMo, 1,024 wide, over 32 texts of 128 words (Peters et al. 2018, sections 3.2 and 3.4)."""
    return {
        "layers": random.standard_normal((L, B, T, D)),
        "scores": random.standard_normal(L),
        "gamma": np.array(random.uniform(0.5, 2)),
    }
