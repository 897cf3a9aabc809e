"""Each word predicted from two LSTMs that have read all others: cloze_lstm."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from layerlaws.language import (
    STEEPNESS,
    Arguments,
    Array,
    Claim,
    Cost,
    Format,
    Implementation,
    Results,
    affine,
    all_of,
    answers_as,
    answers_where,
    arrays,
    asbounded,
    closely,
    dependence,
    differ,
    durations,
    exactly,
    extents,
    far_below,
    fault,
    huge,
    law,
    log_softmax,
    log_softmax_from,
    matrix,
    operation,
    refused,
    require,
    rewritten,
    seeds,
    workload,
)
from layerlaws.language import strategies as st
from layerlaws.notes.cloze_lstm.recurrence import FAR, gate_weights, lstm, lstm_weights


@st.composite
def gapped_texts(draw: st.DrawFn) -> Arguments:
    """One word at least; gates are not saturated and scores near each other, three times in four."""
    batch, length, width, hidden, words = draw(extents(5, edges=(2, 4), squared=(3,)))
    sides = ((width, 4 * hidden), (hidden, 4 * hidden), (4 * hidden,))
    shapes = ((batch, draw(durations(min(length, 4))), width), *sides, *sides, (2 * hidden, words + 1), (words + 1,))
    embeddings, *weights, w_out, b_out = draw(arrays(*shapes))
    calm = draw(st.integers(0, 3)) > 0
    forward, backward = (gate_weights(side, embeddings, calm) for side in (weights[:3], weights[3:]))
    scored = np.abs(w_out).sum(axis=0).max() + np.abs(b_out).max() if calm else 0.0
    w_out, b_out = (array / max(1.0, scored / 4) for array in (w_out, b_out))
    return {"embeddings": embeddings, "forward": forward, "backward": backward, "w_out": w_out, "b_out": b_out}


@st.composite
def registers(draw: st.DrawFn, least: int = 1) -> Arguments:
    """Two shift registers: a word sets the first unit to its sign, and each unit hands its sign on to the next.

    Gates are open or closed and candidates saturated, which stills the rounding errors, so that the word at one end
    of the text still shows at the other. least: fewest units.
    """
    hidden, width = draw(st.integers(least, 4)), draw(st.integers(1, 3))
    length = draw(st.integers(1, hidden + 1))
    generator = np.random.default_rng(draw(seeds))
    signs = generator.choice([-1.0, 1.0], width)

    def side() -> tuple[Array, Array, Array]:
        order = generator.permutation(hidden)
        w_x, w_h, one = np.zeros((width, 4, hidden)), np.zeros((hidden, 4, hidden)), np.ones(hidden)
        w_x[:, 2, order[0]] = 4 * signs / width
        w_h[order[:-1], 2, order[1:]] = 4.0
        bias = np.concatenate([8 * one, -8 * one, 0 * one, 8 * one])
        return w_x.reshape(width, -1), w_h.reshape(hidden, -1), bias

    embeddings = generator.uniform(0.75, 1.0, (1, length, width)) * signs * generator.choice([-1.0, 1.0], (length, 1))
    return {
        "embeddings": embeddings,
        "forward": side(),
        "backward": side(),
        "w_out": np.eye(2 * hidden, 2 * hidden + 1),
        "b_out": np.zeros(2 * hidden + 1),
    }


@st.composite
def gentle_texts(draw: st.DrawFn) -> Arguments:
    """A few words, and weights under which no gradient is lost."""
    width, hidden, words = draw(extents(3))
    generator = np.random.default_rng(draw(seeds))

    def side() -> tuple[Array, ...]:
        shapes = ((width, 4 * hidden), (hidden, 4 * hidden), (4 * hidden,))
        return tuple(generator.standard_normal(shape) / 2 for shape in shapes)

    return {
        "embeddings": generator.standard_normal((1, draw(st.integers(1, 6)), width)),
        "forward": side(),
        "backward": side(),
        "w_out": generator.standard_normal((2 * hidden, words + 1)),
        "b_out": np.zeros(words + 1),
    }


@operation(inputs=gapped_texts(), batch=("embeddings",), differentiable=True)
def cloze_lstm(
    embeddings: Array, forward: tuple[Array, ...], backward: tuple[Array, ...], w_out: Array, b_out: Array
) -> Array:
    """log softmax([h, k] w_out + b_out): at i, h has read words 0 .. i - 1, and k words T - 1 .. i + 1 backwards.

    embeddings (B, T, E), T >= 0, forward and backward (w_x (E, 4 H), w_h (H, 4 H), bias (4 H,)), w_out (2 H, V),
    b_out (V,)  ->  log-probabilities (B, T, V)
    """
    batch, length, width = embeddings.shape
    units, words = w_out.shape[0] // 2, w_out.shape[1]
    require(w_out.shape[0] == 2 * units, f"w_out has {w_out.shape[0]} rows, not as many for each of two sides")
    require(b_out.shape == (words,), f"b_out has shape {b_out.shape}, expected {(words,)}")
    for name, side in (("forward", forward), ("backward", backward)):
        shapes, fitting = tuple(w.shape for w in side), ((width, 4 * units), (units, 4 * units), (4 * units,))
        require(shapes == fitting, f"{name} has shapes {shapes}, expected {fitting}")
    nothing = np.zeros((batch, units), embeddings.dtype)
    before, _, _ = lstm(embeddings, nothing, nothing, *forward)
    after, _, _ = lstm(np.flip(embeddings, 1), nothing, nothing, *backward)
    left = np.concatenate([nothing[:, None], before], axis=1)[:, :length]
    right = np.concatenate([np.flip(after, 1), nothing[:, None]], axis=1)[:, 1:]
    return log_softmax(affine(np.concatenate([left, right], axis=2), w_out, b_out))


@law(inputs=registers(), examples=30)
def the_gap_sees_every_word_but_its_own(cloze_lstm: Implementation, embeddings: Array, inputs: Arguments) -> Claim:
    """Who depends on whom is all but the diagonal: each prediction on every other word, none on its own."""
    length = embeddings.shape[1]

    def moved(j: int) -> Arguments:
        return inputs if j < 0 else {**inputs, "embeddings": rewritten(embeddings, (0, j), -embeddings[0, j])}

    return exactly(dependence(cloze_lstm, moved, length, axis=1), ~np.eye(length, dtype=bool))


def _outputs(run: Callable[..., Results], x: Array, side: tuple[Array, Array, Array]) -> Array:
    """The outputs of an LSTM that starts from zeros."""
    nothing = np.zeros((x.shape[0], side[1].shape[0]), x.dtype)
    return run(x=x, hidden=nothing, cell=nothing, w_x=side[0], w_h=side[1], bias=side[2])[0]


def _both(
    run: Callable[..., Results], x: Array, forward: tuple[Array, Array, Array], backward: tuple[Array, Array, Array]
) -> Array:
    """A bidirectional LSTM: the states that have read words 0 .. i, and words T - 1 .. i. (B, T, 2 H)."""
    after = np.flip(_outputs(run, np.flip(x, 1), backward), 1)
    return np.concatenate([_outputs(run, x, forward), after], axis=2)


def _gap(embeddings: Array, forward: tuple[Array, ...], backward: tuple[Array, ...]) -> tuple[Array, Array]:
    """The forward states before each word, and the backward states after it, with zeros at the ends. (B, T + 1, H)."""
    nothing = np.zeros((embeddings.shape[0], 1, forward[1].shape[0]), embeddings.dtype)
    both = _both(lstm, embeddings, forward, backward)
    half = forward[1].shape[0]
    return np.concatenate([nothing, both[..., :half]], axis=1), np.concatenate([both[..., half:], nothing], axis=1)


def _filled(
    left: Array, right: Array, w_out: Array, b_out: Array, normalize: Callable[[Array], Array] = log_softmax
) -> Array:
    """The log-probabilities of all words at gaps with these states beside them."""
    return normalize(np.concatenate([left, right], axis=2) @ w_out + b_out)


@fault(
    cloze_lstm,
    breaks=the_gap_sees_every_word_but_its_own,
    kind="mask",
    repair="A cloze has two sides.",
)
def reads_the_left_side_only(
    embeddings: Array, forward: tuple[Array, ...], backward: tuple[Array, ...], w_out: Array, b_out: Array
) -> Array:
    """The words after the gap are never read."""
    left, right = _gap(embeddings, forward, backward)
    return _filled(left[:, :-1], 0 * right[:, 1:], w_out, b_out)


@law(steepness=STEEPNESS, examples=60)
def equal_scores_fill_a_gap_alike_however_low_they_are(
    cloze_lstm: Implementation, inputs: Arguments, steepness: int, format: Format
) -> Claim:
    """Where w_out is 0 and b_out constant, each word has probability 1 / V, and scores may lie as far below zero as the
    format bears.
    """
    level = {name: np.zeros_like(inputs[name]) for name in ("w_out", "b_out")}
    far = np.full_like(inputs["b_out"], -far_below(format, steepness))
    return answers_as(cloze_lstm, {**inputs, **level, "b_out": far}, {**inputs, **level})


@fault(
    cloze_lstm,
    breaks=equal_scores_fill_a_gap_alike_however_low_they_are,
    kind="precision",
    repair="Start from minus infinity, or from the first score.",
)
def starts_the_best_score_at_a_number(
    embeddings: Array, forward: tuple[Array, ...], backward: tuple[Array, ...], w_out: Array, b_out: Array
) -> Array:
    """The running maximum starts at -1e9: where all scores lie below, the log of no exponential is infinite."""
    left, right = _gap(embeddings, forward, backward)
    return _filled(left[:, :-1], right[:, 1:], w_out, b_out, lambda scores: log_softmax_from(scores, -1e9))


@law(inputs=gentle_texts(), needs=["gradient"], place=st.integers(0, 5))
def gradients_reach_every_word_but_the_one_in_the_gap(
    cloze_lstm: Implementation, embeddings: Array, inputs: Arguments, place: int
) -> Claim:
    """The gradient of one prediction is zero by the embedding of its own word, and alive by all the others."""
    place %= embeddings.shape[1]
    weights = np.zeros((*embeddings.shape[:2], inputs["b_out"].size), embeddings.dtype)
    weights[:, place, 0] = 1
    gradient = cloze_lstm.gradient(weights, **inputs)["embeddings"]
    return exactly((np.abs(gradient) > 0).any(axis=(0, 2)), np.arange(embeddings.shape[1]) != place)


@law(inputs=gentle_texts(), steps=st.sampled_from((65, 129, 257, 513)), examples=10)
def the_far_end_of_a_text_still_fills_a_gap(cloze_lstm: Implementation, inputs: Arguments, steps: int) -> Claim:
    """Where the first word alone opens the input gates and the forget gates stay open, the prediction of the last word
    is the same however many words lie between; so it is of the first word by the last.
    """
    units, dtype = inputs["w_out"].shape[0] // 2, inputs["w_out"].dtype
    gates = np.repeat([64.0, 0.0, 0.0, 0.0], units)  # a word of 1 opens the input gate, one of -1 closes it
    side = (gates[None], np.zeros((units, 4 * units)), np.repeat([0.0, 64.0, 64.0, 64.0], units))

    def text(length: int) -> Arguments:
        words = np.full((1, length, 1), -1, dtype)
        words[:, [0, -1]] = 1
        weights = tuple(x.astype(dtype) for x in side)
        return {**inputs, "embeddings": words, "forward": weights, "backward": weights}

    return answers_where(cloze_lstm, text(steps), text(3), np.s_[:, [0, -1]])


@fault(
    cloze_lstm,
    breaks=the_far_end_of_a_text_still_fills_a_gap,
    kind="size",
    repair="Read the whole text from both ends.",
)
def reads_64_words_on_each_side(
    embeddings: Array, forward: tuple[Array, ...], backward: tuple[Array, ...], w_out: Array, b_out: Array
) -> Array:
    """At each gap no more than 64 words are read on each side."""
    length = embeddings.shape[1]
    left, right = _gap(embeddings, forward, backward)
    if length > 65:
        left, right = _gap(embeddings[:, -65:], forward, backward)[0], _gap(embeddings[:, :65], forward, backward)[1]
        left = np.concatenate([np.zeros((len(left), length + 1 - left.shape[1], left.shape[2]), left.dtype), left], 1)
        right = np.concatenate([right, np.zeros_like(left[:, right.shape[1] :])], 1)
    return _filled(left[:, :-1], right[:, 1:], w_out, b_out)


@law(place=st.integers(0, 64), examples=60)
def the_word_in_the_gap_may_hold_anything(
    cloze_lstm: Implementation, embeddings: Array, inputs: Arguments, place: int
) -> Claim:
    """A huge embedding leaves the prediction of its own word as it was."""
    place %= embeddings.shape[1]
    other = {**inputs, "embeddings": rewritten(embeddings, (slice(None), place), huge(embeddings))}
    return closely(cloze_lstm(**other)[:, place], cloze_lstm(**inputs)[:, place])


@law()
def a_word_alone_is_predicted_from_nothing(cloze_lstm: Implementation, embeddings: Array, inputs: Arguments) -> Claim:
    """In a text of one word both states are zero: what is left is log softmax of b_out."""
    alone = cloze_lstm(**{**inputs, "embeddings": embeddings[:, :1]})
    return closely(alone, np.broadcast_to(log_softmax(asbounded(inputs["b_out"])), alone.shape))


@law(examples=5)
def a_text_of_no_words_has_no_gaps(cloze_lstm: Implementation, embeddings: Array, inputs: Arguments) -> Claim:
    """Nothing is predicted in an empty text, and nothing is refused."""
    return exactly(cloze_lstm(**{**inputs, "embeddings": embeddings[:, :0]}).shape[1], 0)


@fault(
    cloze_lstm,
    breaks=a_text_of_no_words_has_no_gaps,
    kind="boundary",
    repair="Cut to T.",
)
def pads_before_it_looks(
    embeddings: Array, forward: tuple[Array, ...], backward: tuple[Array, ...], w_out: Array, b_out: Array
) -> Array:
    """The zeros at the ends are cut to T - 1 states and one more, which makes one gap of no words."""
    left, right = _gap(embeddings, forward, backward)
    length = max(1, embeddings.shape[1])
    return _filled(left[:, :length], np.flip(np.flip(right, 1)[:, :length], 1), w_out, b_out)


@law(examples=30)
def at_each_end_one_side_is_empty(cloze_lstm: Implementation, embeddings: Array, inputs: Arguments) -> Claim:
    """The first word is predicted without the forward rows of w_out, the last one without the backward rows."""
    w_out = inputs["w_out"]
    half = len(w_out) // 2
    whole = cloze_lstm(**inputs)
    first = cloze_lstm(**{**inputs, "w_out": rewritten(w_out, slice(None, half), -w_out[:half])})
    last = cloze_lstm(**{**inputs, "w_out": rewritten(w_out, slice(half, None), -w_out[half:])})
    return all_of(closely(first[:, 0], whole[:, 0]), closely(last[:, -1], whole[:, -1]))


@law(examples=60)
def reversing_the_text_exchanges_the_sides(cloze_lstm: Implementation, embeddings: Array, inputs: Arguments) -> Claim:
    """The reversed text, under the two LSTMs exchanged with their rows of w_out, has the reversed predictions."""
    w_out, half = inputs["w_out"], len(inputs["w_out"]) // 2
    mirrored = cloze_lstm(
        embeddings=embeddings[:, ::-1],
        forward=inputs["backward"],
        backward=inputs["forward"],
        w_out=np.concatenate([w_out[half:], w_out[:half]]),
        b_out=inputs["b_out"],
    )
    return closely(mirrored[:, ::-1], cloze_lstm(**inputs))


@fault(
    cloze_lstm,
    breaks=(the_gap_sees_every_word_but_its_own, reversing_the_text_exchanges_the_sides),
    kind="order",
    repair="Do so.",
    seen="https://github.com/keras-team/keras/issues/1703",
)
def backward_states_in_the_order_they_were_computed(
    embeddings: Array, forward: tuple[Array, ...], backward: tuple[Array, ...], w_out: Array, b_out: Array
) -> Array:
    """The outputs of the backward LSTM are not reversed back: what has read only the last word stands first."""
    left, right = _gap(embeddings, forward, backward)
    return _filled(left[:, :-1], np.flip(right[:, 1:], 1), w_out, b_out)


@fault(
    cloze_lstm,
    breaks=reversing_the_text_exchanges_the_sides,
    kind="formula",
    repair="Each side has its own.",
)
def one_lstm_for_both_directions(
    embeddings: Array, forward: tuple[Array, ...], backward: tuple[Array, ...], w_out: Array, b_out: Array
) -> Array:
    """The forward weights serve both directions."""
    left, right = _gap(embeddings, forward, forward)
    return _filled(left[:, :-1], right[:, 1:], w_out, b_out)


@law(place=st.integers(0, 64))
def each_side_is_an_lstm_of_its_own(
    cloze_lstm: Implementation, lstm: Implementation, embeddings: Array, inputs: Arguments, place: int
) -> Claim:
    """A prediction is that of two LSTMs, one over the words before the gap, one over the reversed words after it."""
    place %= embeddings.shape[1]
    half = len(inputs["w_out"]) // 2
    states = []
    for words, side in ((embeddings[:, :place], "forward"), (embeddings[:, :place:-1], "backward")):
        state = np.zeros((len(words), half), words.dtype)
        if words.shape[1]:
            weights = dict(zip(("w_x", "w_h", "bias"), inputs[side], strict=True))
            _, state, _ = lstm(x=words, hidden=state, cell=state, **weights)
        states.append(asbounded(state))
    expected = log_softmax(affine(np.concatenate(states, axis=1), inputs["w_out"], inputs["b_out"]))
    return closely(cloze_lstm(**inputs)[:, place], expected)


@fault(
    cloze_lstm,
    breaks=(at_each_end_one_side_is_empty, each_side_is_an_lstm_of_its_own),
    kind="boundary",
    repair="Put zeros.",
)
def repeats_the_states_at_the_ends(
    embeddings: Array, forward: tuple[Array, ...], backward: tuple[Array, ...], w_out: Array, b_out: Array
) -> Array:
    """An empty side repeats the nearest state of that direction, which has read the word in the gap."""
    left, right = _gap(embeddings, forward, backward)
    left = np.concatenate([left[:, 1:2], left[:, 1:-1]], axis=1)
    right = np.concatenate([right[:, 1:-1], right[:, -2:-1]], axis=1)
    return _filled(left, right, w_out, b_out)


@law()
def probabilities_of_the_word_in_the_gap_sum_to_one(cloze_lstm: Implementation, inputs: Arguments) -> Claim:
    """At every gap the probabilities of all words sum to 1."""
    predictions = cloze_lstm(**inputs)
    return closely(np.sum(np.exp(predictions), axis=-1), np.ones(predictions.shape[:-1]))


@fault(
    cloze_lstm,
    breaks=probabilities_of_the_word_in_the_gap_sum_to_one,
    kind="formula",
    repair="One softmax over both.",
)
def sums_the_log_probabilities_of_the_sides(
    embeddings: Array, forward: tuple[Array, ...], backward: tuple[Array, ...], w_out: Array, b_out: Array
) -> Array:
    """Each side predicts alone, and the log-probabilities are added up without normalizing."""
    left, right = _gap(embeddings, forward, backward)
    half = w_out.shape[0] // 2
    return log_softmax(left[:, :-1] @ w_out[:half] + b_out) + log_softmax(right[:, 1:] @ w_out[half:])


@law(examples=20)
def sides_without_their_weights_are_refused(cloze_lstm: Implementation, inputs: Arguments) -> Claim:
    """Each side has weights of its own that fit the embeddings; a w_x with a row more is refused."""
    w_x, w_h, bias = inputs["backward"]
    return refused(cloze_lstm, "backward", {**inputs, "backward": (np.concatenate([w_x, w_x[:1]]), w_h, bias)})


@fault(
    cloze_lstm,
    breaks=sides_without_their_weights_are_refused,
    kind="refusal",
    repair="Compare the shapes, and raise ValueError.",
)
def ignores_surplus_rows_of_a_side(
    embeddings: Array, forward: tuple[Array, ...], backward: tuple[Array, ...], w_out: Array, b_out: Array
) -> Array:
    """Rows of w_x beyond the width of the embeddings are dropped."""
    width = embeddings.shape[2]
    forward, backward = ((w_x[:width], w_h, bias) for w_x, w_h, bias in (forward, backward))
    left, right = _gap(embeddings, forward, backward)
    return _filled(left[:, :-1], right[:, 1:], w_out, b_out)


def _second_layer(side: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
    """Weights of an LSTM over the two states of a first layer: both are read as a state of its own is."""
    _, w_h, bias = side
    return np.concatenate([w_h, w_h]), w_h, bias


@law(inputs=registers(least=3), examples=10)
def bidirectional_is_not_enough(lstm: Implementation, cloze_lstm: Implementation, inputs: Arguments) -> Claim:
    """Erratum. A plain bidirectional LSTM tells its output at i what word i is; two of them stacked tell the output
    at i - 1, so that shifting the outputs does not help. Two LSTMs with a gap between them do not tell.
    """
    embeddings = inputs["embeddings"][:, :1]
    text = np.concatenate([embeddings, embeddings], axis=1)  # two words, the second is to be predicted
    other = rewritten(text, (slice(None), 1), -text[:, 1])

    def plain(run: Callable[..., Results], x: Array) -> Array:
        return _both(run, x, inputs["forward"], inputs["backward"])[:, 1]

    def stacked(run: Callable[..., Results], x: Array) -> Array:
        first = _both(run, x, inputs["forward"], inputs["backward"])
        return _outputs(run, first[:, :1], _second_layer(inputs["backward"]))[:, 0]

    def leaks(network: Callable[..., Array]) -> Claim:
        return differ(
            network(lstm, text),
            network(lstm, other),
            expected=(network(lstm.definition, text), network(lstm.definition, other)),
        )

    one, two = (cloze_lstm(**{**inputs, "embeddings": x})[:, 1] for x in (text, other))
    return all_of(leaks(plain), leaks(stacked), closely(one, two))


WORD_SEEN = (
    the_gap_sees_every_word_but_its_own,
    gradients_reach_every_word_but_the_one_in_the_gap,
    the_word_in_the_gap_may_hold_anything,
    each_side_is_an_lstm_of_its_own,
)


@fault(
    cloze_lstm,
    breaks=(*WORD_SEEN, a_word_alone_is_predicted_from_nothing, bidirectional_is_not_enough),
    kind="mask",
    repair="Take the forward state after i - 1 and the backward state after i + 1.",
)
def plain_bidirectional_lstm(
    embeddings: Array, forward: tuple[Array, ...], backward: tuple[Array, ...], w_out: Array, b_out: Array
) -> Array:
    """Both states at i have read word i, which is to be predicted."""
    left, right = _gap(embeddings, forward, backward)
    return _filled(left[:, 1:], right[:, :-1], w_out, b_out)


@fault(
    cloze_lstm,
    breaks=(*WORD_SEEN, bidirectional_is_not_enough),
    kind="mask",
    repair="Keep the two directions apart through all layers.",
)
def two_stacked_layers_with_shifted_outputs(
    embeddings: Array, forward: tuple[Array, ...], backward: tuple[Array, ...], w_out: Array, b_out: Array
) -> Array:
    """The gap is left only after a second bidirectional layer, whose inputs have read all words in both directions."""
    first = _both(lstm, embeddings, forward, backward)
    left, right = _gap(first, _second_layer(forward), _second_layer(backward))
    return _filled(left[:, :-1], right[:, 1:], w_out, b_out)


def _cloze_cost(B: int, T: int, E: int, H: int, V: int) -> Cost:
    """Two LSTMs, neither of which has to read the last word that it comes to, and scores of all words."""
    weights = 2 * (E + H + 1) * 4 * H + (2 * H + 1) * V
    flops = 2 * 2 * B * (T - 1) * (E + H) * 4 * H + 4 * B * T * H * V
    return Cost(flops=flops, moved=B * T * (E + V) + weights)


@workload(
    cloze_lstm,
    sizes={"B": 32, "T": 64, "E": 256, "H": 512, "V": 10_000},
    cost=_cloze_cost,
    gradient=True,
    beyond={**FAR, "V": 16},
)
def gap_filling(random: np.random.Generator, B: int, T: int, E: int, H: int, V: int) -> Arguments:
    """Every word of 32 texts of 64 words left out and guessed from both sides, with 512 units each way and as many
    words as the Penn Treebank has, 10,000 (Zaremba et al. 2014, section 4.1).
    """
    return {
        "embeddings": random.standard_normal((B, T, E)),
        "forward": lstm_weights(random, E, H),
        "backward": lstm_weights(random, E, H),
        "w_out": matrix(random, 2 * H, V),
        "b_out": random.standard_normal(V) / 8,
    }
