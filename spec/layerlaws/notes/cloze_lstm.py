"""Cloze with two LSTMs: each word predicted from all the others, and never from itself.

Note of 2021-11-01. A word is understood from both sides. A window gives k words before and k words after the gap
(as in the continuous bag of words of Mikolov, Chen, Corrado, Dean, Efficient Estimation of Word Representations in
Vector Space, 2013, section 3.1); two LSTMs, one in each direction, give all of them: the gap at i is filled from the
forward state after word i - 1 and the backward state after word i + 1 (Melamud, Goldberger, Dagan, context2vec:
Learning Generic Context Embedding with Bidirectional LSTM, 2016, section 2). The LSTM is that of Hochreiter and
Schmidhuber, Long Short-Term Memory, 1997, with the forget gate of Gers, Schmidhuber, Cummins, Learning to Forget,
2000.

Claimed: the prediction at i depends on every word but word i; reversing the text exchanges the two sides; a cell
gains at most 1 a step, and is kept, with its gradient, where the forget gate is open and the input gate closed. Not
claimed: that a window and two LSTMs predict alike.

Conventions. Gates stand in the order input, forget, candidate, output, each H wide, with one bias: PyTorch's order,
and two biases there, which are added up; ONNX has input, output, forget, candidate. The rows of w_out are the forward
state's, then the backward state's. At the ends of the text the state of the empty side is zero.

Erratum. "Bidirectional" is not enough. A plain bidirectional LSTM has read word i in both directions by the time it
predicts word i; and where two such layers are stacked, shifting the outputs of the second does not help, since the
first has already told its neighbours what word i is. Shown by bidirectional_is_not_enough.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from layerlaws import (
    Claim,
    Cost,
    all_of,
    asbounded,
    at_most,
    closely,
    differ,
    exactly,
    fault,
    law,
    operation,
    refused,
    workload,
)
from layerlaws.language import strategies as st
from layerlaws.language.dependence import dependence
from layerlaws.language.inputs import (
    PLAIN,
    TEXTURES,
    arrays,
    calmed,
    durations,
    extents,
    huge,
    ids,
    normal,
    rewritten,
    seeds,
)
from layerlaws.language.workloads import matrix
from layerlaws.numerics.mathematics import affine, log_softmax, require, sigmoid
from layerlaws.numerics.reverse_mode import constant

# --- inputs ---------------------------------------------------------------------------------------------------


@st.composite
def texts(draw: st.DrawFn, distinct: bool = False) -> dict[str, Any]:
    """distinct: no word occurs twice, and none is the padding."""
    length, width = draw(extents(2, edges=(0,)))
    length = 0 if draw(st.integers(0, 9)) == 0 else length
    if distinct:
        tokens = np.random.default_rng(draw(seeds)).permutation(length).astype(np.int64)
        return {"tokens": tokens, "width": width, "padding": draw(st.sampled_from([-1, length]))}
    return {"tokens": draw(ids((length,), 5)), "width": width, "padding": draw(st.sampled_from([0, -1, 5]))}


def _gates(weights: Sequence[Any], heard: Any, calm: bool) -> tuple[Any, Any, Any]:
    """Weights of a recurrence that does not stretch. calm: and of gates that what is heard does not saturate."""
    w_x, w_h, bias = weights
    reach = np.abs(heard @ w_x).max(initial=0.0) if calm else 0.0
    return w_x / max(1.0, reach / 2), calmed(w_h), bias


@st.composite
def sequences(draw: st.DrawFn, textures: tuple[str, ...] = tuple(TEXTURES)) -> dict[str, Any]:
    """One step at least, and gates that are not saturated, three times in four; always, where textures are plain."""
    batch, length, width, hidden = draw(extents(4, edges=(2, 3)))
    shapes = ((batch, draw(durations(length)), width), (batch, hidden), (batch, hidden), (width, 4 * hidden),
              (hidden, 4 * hidden), (4 * hidden,))  # fmt: skip
    x, hidden_state, cell, *weights = draw(arrays(*shapes, textures=textures))
    w_x, w_h, bias = _gates(weights, x, textures == PLAIN or draw(st.integers(0, 3)) > 0)
    return {"x": x, "hidden": hidden_state, "cell": cell, "w_x": w_x, "w_h": w_h, "bias": bias}


@st.composite
def gapped_texts(draw: st.DrawFn) -> dict[str, Any]:
    """One word at least; gates are not saturated and scores near each other, three times in four."""
    batch, length, width, hidden, words = draw(extents(5, edges=(2, 4)))
    sides = ((width, 4 * hidden), (hidden, 4 * hidden), (4 * hidden,))
    shapes = ((batch, draw(durations(min(length, 4))), width), *sides, *sides, (2 * hidden, words + 1), (words + 1,))
    embeddings, *weights, w_out, b_out = draw(arrays(*shapes))
    calm = draw(st.integers(0, 3)) > 0
    forward, backward = (_gates(side, embeddings, calm) for side in (weights[:3], weights[3:]))
    scored = np.abs(w_out).sum(axis=0).max() + np.abs(b_out).max() if calm else 0.0
    w_out, b_out = (array / max(1.0, scored / 4) for array in (w_out, b_out))
    return {"embeddings": embeddings, "forward": forward, "backward": backward, "w_out": w_out, "b_out": b_out}


@st.composite
def registers(draw: st.DrawFn, least: int = 1) -> dict[str, Any]:
    """Two shift registers: a word sets the first unit to its sign, and each unit hands its sign on to the next.

    Gates are open or closed and candidates saturated, which stills the rounding errors, so that the word at one end
    of the text still shows at the other. least: fewest units.
    """
    hidden, width = draw(st.integers(least, 4)), draw(st.integers(1, 3))
    length = draw(st.integers(1, hidden + 1))
    generator = np.random.default_rng(draw(seeds))
    signs = generator.choice([-1.0, 1.0], width)

    def side() -> tuple[Any, Any, Any]:
        order = generator.permutation(hidden)
        w_x, w_h, one = np.zeros((width, 4, hidden)), np.zeros((hidden, 4, hidden)), np.ones(hidden)
        w_x[:, 2, order[0]] = 4 * signs / width
        w_h[order[:-1], 2, order[1:]] = 4.0
        bias = np.concatenate([8 * one, -8 * one, 0 * one, 8 * one])
        return w_x.reshape(width, -1), w_h.reshape(hidden, -1), bias

    embeddings = generator.uniform(0.75, 1.0, (1, length, width)) * signs * generator.choice([-1.0, 1.0], (length, 1))
    return {"embeddings": embeddings, "forward": side(), "backward": side(),
            "w_out": np.eye(2 * hidden, 2 * hidden + 1), "b_out": np.zeros(2 * hidden + 1)}  # fmt: skip


@st.composite
def gentle_texts(draw: st.DrawFn) -> dict[str, Any]:
    """A few words, and weights under which no gradient is lost."""
    width, hidden, words = draw(extents(3))
    generator = np.random.default_rng(draw(seeds))

    def side() -> tuple[Any, ...]:
        shapes = ((width, 4 * hidden), (hidden, 4 * hidden), (4 * hidden,))
        return tuple(generator.standard_normal(shape) / 2 for shape in shapes)

    return {
        "embeddings": generator.standard_normal((1, draw(st.integers(1, 6)), width)), "forward": side(),
        "backward": side(), "w_out": generator.standard_normal((2 * hidden, words + 1)), "b_out": np.zeros(words + 1),
    }  # fmt: skip


# --- definitions ----------------------------------------------------------------------------------------------


@operation(inputs=texts())
def cloze_windows(tokens: Any, width: int, padding: int) -> Any:
    """Each word, and the k = width words before and after it, in the order of the text; padding beyond its ends.

    tokens (T,) ids, width >= 1  ->  contexts (T, 2 k), targets (T,)
    """
    require(width >= 1, f"width must be 1 at least, not {width}")
    sides = np.delete(np.arange(2 * width + 1), width)
    padded = np.pad(tokens, width, constant_values=padding)
    return padded[np.arange(len(tokens))[:, None] + sides], tokens.copy()


@operation(inputs=sequences(), batch=("x", "hidden", "cell"), differentiable=True)
def lstm(x: Any, hidden: Any, cell: Any, w_x: Any, w_h: Any, bias: Any) -> Any:
    """i, f, g, o = x w_x + h w_h + bias; c = sigmoid(f) c + sigmoid(i) tanh(g); h = sigmoid(o) tanh(c), step by step.

    x (B, T, E), T >= 0, hidden, cell (B, H), w_x (E, 4 H), w_h (H, 4 H), bias (4 H,)
    ->  output (B, T, H), hidden (B, H), cell (B, H)
    """
    batch, _, width = x.shape
    units = cell.shape[1]
    require(hidden.shape == (batch, units), f"hidden has the shape {hidden.shape}, not {(batch, units)}")
    require(cell.shape[0] == batch, f"cell has {cell.shape[0]} rows, x has {batch}")
    for name, weights, shape in (("w_x", w_x, (width, 4 * units)), ("w_h", w_h, (units, 4 * units)),
                                 ("bias", bias, (4 * units,))):  # fmt: skip
        require(weights.shape == shape, f"{name} has the shape {weights.shape}, not {shape}")
    outputs, weights = [hidden], np.concatenate([w_x, w_h])
    for t in range(x.shape[1]):
        sums = affine(np.concatenate([x[:, t], outputs[-1]], axis=1), weights, bias)
        i, f, _, o = np.split(sigmoid(sums), 4, axis=1)
        cell = f * cell + i * np.tanh(sums[:, 2 * units : 3 * units])
        outputs.append(o * np.tanh(cell))
    states = np.stack(outputs, axis=1)  # (B, T + 1, H), the state before the first step in front
    return states[:, 1:], states[:, -1], cell


@operation(inputs=gapped_texts(), batch=("embeddings",), differentiable=True)
def cloze_lstm(embeddings: Any, forward: Any, backward: Any, w_out: Any, b_out: Any) -> Any:
    """log softmax([h, k] w_out + b_out): at i, h has read words 0 .. i - 1, and k words T - 1 .. i + 1 backwards.

    embeddings (B, T, E), T >= 0, forward and backward (w_x (E, 4 H), w_h (H, 4 H), bias (4 H,)), w_out (2 H, V),
    b_out (V,)  ->  log-probabilities (B, T, V)
    """
    batch, length, width = embeddings.shape
    units, words = w_out.shape[0] // 2, w_out.shape[1]
    require(w_out.shape[0] == 2 * units, f"w_out has {w_out.shape[0]} rows, not as many for each of two sides")
    require(b_out.shape == (words,), f"b_out has the shape {b_out.shape}, not {(words,)}")
    for name, side in (("forward", forward), ("backward", backward)):
        shapes, fitting = tuple(w.shape for w in side), ((width, 4 * units), (units, 4 * units), (4 * units,))
        require(shapes == fitting, f"{name} has the shapes {shapes}, not {fitting}")
    nothing = np.zeros((batch, units), embeddings.dtype)
    before, _, _ = lstm(embeddings, nothing, nothing, *forward)
    after, _, _ = lstm(np.flip(embeddings, 1), nothing, nothing, *backward)
    left = np.concatenate([nothing[:, None], before], axis=1)[:, :length]
    right = np.concatenate([np.flip(after, 1), nothing[:, None]], axis=1)[:, 1:]
    return log_softmax(affine(np.concatenate([left, right], axis=2), w_out, b_out))


# --- laws: windows --------------------------------------------------------------------------------------------


@law(inputs=texts(distinct=True))
def a_window_holds_the_neighbours_and_never_the_word(
    cloze_windows: Any, tokens: Any, width: int, padding: int
) -> Claim:
    """Where no word occurs twice, window i holds words i - k .. i - 1 and i + 1 .. i + k, in this order, not word i."""
    contexts, targets = cloze_windows(tokens=tokens, width=width, padding=padding)
    places = np.arange(len(tokens))[:, None] + np.array([d for d in range(-width, width + 1) if d])
    inside = (places >= 0) & (places < len(tokens))
    everywhere = tokens[places.clip(0, max(0, len(tokens) - 1))] if len(tokens) else places
    return all_of(
        exactly(targets, tokens),
        exactly((contexts == targets[:, None]).any(axis=1), np.zeros(len(tokens), bool)),
        exactly(np.where(inside, contexts, 0), np.where(inside, everywhere, 0)),
    )


@law(inputs=texts(distinct=True))
def padding_stands_only_beyond_the_ends(cloze_windows: Any, tokens: Any, width: int, padding: int) -> Claim:
    """Window i lacks max(0, k - i) words on the left and max(0, k - (T - 1 - i)) on the right, and no others."""
    contexts, _ = cloze_windows(tokens=tokens, width=width, padding=padding)
    missing = contexts == padding
    lacking = np.maximum(0, width - np.arange(len(tokens)))
    return all_of(
        exactly(missing[:, :width].sum(axis=1), lacking), exactly(missing[:, width:].sum(axis=1), lacking[::-1])
    )


@law()
def reversing_the_text_mirrors_its_windows(cloze_windows: Any, tokens: Any, width: int, padding: int) -> Claim:
    """The windows of the reversed text are the windows of the text in reverse order, each read backwards."""
    contexts, targets = cloze_windows(tokens=tokens, width=width, padding=padding)
    mirrored, words = cloze_windows(tokens=tokens[::-1], width=width, padding=padding)
    return exactly((mirrored[::-1, ::-1], words[::-1]), (contexts, targets))


@law(wider=st.integers(1, 3))
def a_wider_window_holds_the_narrower_one(
    cloze_windows: Any, tokens: Any, width: int, padding: int, wider: int
) -> Claim:
    """The middle of a wide window is the narrow one."""
    narrow, _ = cloze_windows(tokens=tokens, width=width, padding=padding)
    wide, _ = cloze_windows(tokens=tokens, width=width + wider, padding=padding)
    return exactly(wide[:, wider : wider + 2 * width], narrow)


@law(width=st.integers(-2, 0), examples=10)
def a_window_without_neighbours_is_refused(cloze_windows: Any, tokens: Any, padding: int, width: int) -> Claim:
    """A window is 1 wide at least, on each side."""
    return refused(cloze_windows, "width", {"tokens": tokens, "width": width, "padding": padding})


# --- laws: the LSTM -------------------------------------------------------------------------------------------


@law(examples=20)
def an_empty_sequence_leaves_both_states(lstm: Any, x: Any, inputs: dict[str, Any]) -> Claim:
    """No steps give no outputs, and hidden state and cell as they came in."""
    output, hidden, cell = lstm(**{**inputs, "x": x[:, :0]})
    return all_of(exactly((hidden, cell), (inputs["hidden"], inputs["cell"])), exactly(output.shape[1], 0))


@law(cuts=st.lists(st.integers(1, 64), max_size=3))
def a_sequence_may_be_cut_where_both_states_are_carried_on(
    lstm: Any, x: Any, inputs: dict[str, Any], cuts: list[int]
) -> Claim:
    """Any pieces, each from the hidden state and the cell that the one before it left, are the whole sequence."""
    ends = sorted({1 + cut % x.shape[1] for cut in cuts} | {x.shape[1]})
    pieces, hidden, cell = [], inputs["hidden"], inputs["cell"]
    for start, end in zip([0, *ends[:-1]], ends, strict=True):
        output, hidden, cell = lstm(**{**inputs, "x": x[:, start:end], "hidden": hidden, "cell": cell})
        pieces.append(output)
    return closely((np.concatenate(pieces, axis=1), hidden, cell), lstm(**inputs))


@law()
def the_last_output_is_the_hidden_state(lstm: Any, inputs: dict[str, Any]) -> Claim:
    """The hidden state that comes back is the output of the last step."""
    output, hidden, _ = lstm(**inputs)
    return closely(hidden, output[:, -1])


@law()
def outputs_stay_between_minus_one_and_one(lstm: Any, inputs: dict[str, Any]) -> Claim:
    """Whatever is read, no output leaves [-1, 1]."""
    output, _, _ = lstm(**inputs)
    return at_most(np.abs(output), np.ones(output.shape))


@law()
def the_cell_grows_by_at_most_one_a_step(lstm: Any, x: Any, inputs: dict[str, Any]) -> Claim:
    """After T steps no number of the cell is larger than it was by more than T."""
    _, _, first = lstm(**{**inputs, "x": x[:, :1]})
    _, _, last = lstm(**inputs)
    before = np.abs(asbounded(inputs["cell"]))
    return all_of(at_most(np.abs(first), before + 1.0), at_most(np.abs(last), before + float(x.shape[1])))


def _forced(inputs: dict[str, Any], **gates: int) -> dict[str, Any]:
    """Gates held open (1) or closed (-1), whatever is read."""
    units, bias = inputs["cell"].shape[1], inputs["bias"]
    for name, sign in gates.items():
        place = ("input", "forget", "candidate", "output").index(name)
        bias = rewritten(bias, slice(place * units, (place + 1) * units), sign * huge(bias))
    return {**inputs, "bias": bias}


@law(inputs=sequences(textures=PLAIN), examples=50)
def an_open_forget_gate_and_a_closed_input_gate_keep_the_cell(lstm: Any, inputs: dict[str, Any]) -> Claim:
    """With forget gates of 1 and input gates of 0 the cell comes back as it came, after any number of steps."""
    _, _, cell = lstm(**_forced(inputs, forget=1, input=-1))
    return closely(cell, inputs["cell"])


@law(inputs=sequences(textures=PLAIN))
def a_closed_forget_gate_leaves_the_candidate_alone(lstm: Any, x: Any, inputs: dict[str, Any]) -> Claim:
    """With forget gates of 0 and input gates of 1 the cell is tanh of the third quarter of the sums, nothing else."""
    forced = {**_forced(inputs, forget=-1, input=1), "x": x[:, :1]}
    _, _, cell = lstm(**forced)
    third = slice(2 * cell.shape[1], 3 * cell.shape[1])
    heard = np.concatenate([x[:, 0], inputs["hidden"]], axis=1)
    weights = np.concatenate([inputs["w_x"], inputs["w_h"]])[:, third]
    return closely(cell, np.tanh(affine(asbounded(heard), weights, inputs["bias"][third])))


@law(inputs=sequences(textures=PLAIN), examples=50)
def an_open_output_gate_shows_tanh_of_the_cell(lstm: Any, x: Any, inputs: dict[str, Any]) -> Claim:
    """With output gates of 1 the hidden state is tanh of the cell; with output gates of 0 it is 0."""
    _, hidden, cell = lstm(**_forced(inputs, output=1))
    _, silent, _ = lstm(**_forced(inputs, output=-1))
    return all_of(closely(hidden, np.tanh(cell)), closely(silent, np.zeros(silent.shape)))


@law(inputs=sequences(textures=PLAIN), needs=["gradient"], seed=seeds, examples=20)
def an_open_forget_gate_carries_gradients_undiminished(lstm: Any, inputs: dict[str, Any], seed: int) -> Claim:
    """With forget gates of 1 and input gates of 0 the gradient by the first cell is that by the last, however many
    steps lie between them.
    """
    cell, x = inputs["cell"], inputs["x"]
    weights = np.zeros((*x.shape[:2], cell.shape[1]), x.dtype), 0 * cell, normal(seed, cell.shape, cell)
    computed, _ = lstm.compare_gradient(weights, **_forced(inputs, forget=1, input=-1))
    return closely(computed["cell"], weights[2])


@law(surplus=st.integers(1, 3), examples=20)
def states_of_different_widths_are_refused(lstm: Any, inputs: dict[str, Any], surplus: int) -> Claim:
    """Hidden state and cell have the same units; a hidden state with more is refused."""
    hidden = np.concatenate([inputs["hidden"]] + [inputs["hidden"][:, :1]] * surplus, axis=1)
    return refused(lstm, "hidden", {**inputs, "hidden": hidden})


@law(examples=20)
def a_recurrent_matrix_of_five_gates_is_refused(lstm: Any, inputs: dict[str, Any]) -> Claim:
    """w_h has four columns for each unit; a matrix with five is refused."""
    w_h = inputs["w_h"]
    return refused(lstm, "w_h", {**inputs, "w_h": np.concatenate([w_h, w_h[:, : w_h.shape[0]]], axis=1)})


# --- laws: the gap --------------------------------------------------------------------------------------------


@law(inputs=registers(), examples=30)
def the_gap_sees_every_word_but_its_own(cloze_lstm: Any, embeddings: Any, inputs: dict[str, Any]) -> Claim:
    """Who depends on whom is all but the diagonal: each prediction on every other word, none on its own."""
    length = embeddings.shape[1]

    def moved(j: int) -> dict[str, Any]:
        return inputs if j < 0 else {**inputs, "embeddings": rewritten(embeddings, (0, j), -embeddings[0, j])}

    return exactly(dependence(cloze_lstm, moved, length, axis=1), ~np.eye(length, dtype=bool))


@law(inputs=gentle_texts(), needs=["gradient"], place=st.integers(0, 5))
def gradients_reach_every_word_but_the_one_in_the_gap(
    cloze_lstm: Any, embeddings: Any, inputs: dict[str, Any], place: int
) -> Claim:
    """The gradient of one prediction is zero by the embedding of its own word, and alive by all the others."""
    place %= embeddings.shape[1]
    weights = np.zeros((*embeddings.shape[:2], inputs["b_out"].size), embeddings.dtype)
    weights[:, place, 0] = 1
    gradient = cloze_lstm.gradient(weights, **inputs)["embeddings"]
    return exactly((np.abs(gradient) > 0).any(axis=(0, 2)), np.arange(embeddings.shape[1]) != place)


@law(place=st.integers(0, 64), examples=60)
def the_word_in_the_gap_may_hold_anything(
    cloze_lstm: Any, embeddings: Any, inputs: dict[str, Any], place: int
) -> Claim:
    """A huge embedding leaves the prediction of its own word as it was."""
    place %= embeddings.shape[1]
    other = {**inputs, "embeddings": rewritten(embeddings, (slice(None), place), huge(embeddings))}
    return closely(cloze_lstm(**other)[:, place], cloze_lstm(**inputs)[:, place])


@law()
def a_word_alone_is_predicted_from_nothing(cloze_lstm: Any, embeddings: Any, inputs: dict[str, Any]) -> Claim:
    """In a text of one word both states are zero: what is left is log softmax of b_out."""
    alone = cloze_lstm(**{**inputs, "embeddings": embeddings[:, :1]})
    return closely(alone, np.broadcast_to(log_softmax(asbounded(inputs["b_out"])), alone.shape))


@law(examples=5)
def a_text_of_no_words_has_no_gaps(cloze_lstm: Any, embeddings: Any, inputs: dict[str, Any]) -> Claim:
    """Nothing is predicted in an empty text, and nothing is refused."""
    return exactly(cloze_lstm(**{**inputs, "embeddings": embeddings[:, :0]}).shape[1], 0)


@law(examples=30)
def at_each_end_one_side_is_empty(cloze_lstm: Any, embeddings: Any, inputs: dict[str, Any]) -> Claim:
    """The first word is predicted without the forward rows of w_out, the last one without the backward rows."""
    w_out = inputs["w_out"]
    half = len(w_out) // 2
    whole = cloze_lstm(**inputs)
    first = cloze_lstm(**{**inputs, "w_out": rewritten(w_out, slice(None, half), -w_out[:half])})
    last = cloze_lstm(**{**inputs, "w_out": rewritten(w_out, slice(half, None), -w_out[half:])})
    return all_of(closely(first[:, 0], whole[:, 0]), closely(last[:, -1], whole[:, -1]))


@law(examples=60)
def reversing_the_text_exchanges_the_sides(cloze_lstm: Any, embeddings: Any, inputs: dict[str, Any]) -> Claim:
    """The reversed text, under the two LSTMs exchanged with their rows of w_out, has the reversed predictions."""
    w_out, half = inputs["w_out"], len(inputs["w_out"]) // 2
    mirrored = cloze_lstm(
        embeddings=embeddings[:, ::-1], forward=inputs["backward"], backward=inputs["forward"],
        w_out=np.concatenate([w_out[half:], w_out[:half]]), b_out=inputs["b_out"],
    )  # fmt: skip
    return closely(mirrored[:, ::-1], cloze_lstm(**inputs))


@law(place=st.integers(0, 64))
def each_side_is_an_lstm_of_its_own(
    cloze_lstm: Any, lstm: Any, embeddings: Any, inputs: dict[str, Any], place: int
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


@law()
def probabilities_of_the_word_in_the_gap_sum_to_one(cloze_lstm: Any, inputs: dict[str, Any]) -> Claim:
    """At every gap the probabilities of all words sum to 1."""
    predictions = cloze_lstm(**inputs)
    return closely(np.sum(np.exp(predictions), axis=-1), np.ones(predictions.shape[:-1]))


@law(examples=20)
def sides_without_their_weights_are_refused(cloze_lstm: Any, inputs: dict[str, Any]) -> Claim:
    """Each side has weights of its own that fit the embeddings; a w_x with a row more is refused."""
    w_x, w_h, bias = inputs["backward"]
    return refused(cloze_lstm, "backward", {**inputs, "backward": (np.concatenate([w_x, w_x[:1]]), w_h, bias)})


def _second_layer(side: tuple[Any, Any, Any]) -> tuple[Any, Any, Any]:
    """Weights of an LSTM over the two states of a first layer: both are read as a state of its own is."""
    _, w_h, bias = side
    return np.concatenate([w_h, w_h]), w_h, bias


def _outputs(run: Callable[..., Any], x: Any, side: tuple[Any, Any, Any]) -> Any:
    """The outputs of an LSTM that starts from zeros."""
    nothing = np.zeros((x.shape[0], side[1].shape[0]), x.dtype)
    return run(x=x, hidden=nothing, cell=nothing, w_x=side[0], w_h=side[1], bias=side[2])[0]


def _both(run: Callable[..., Any], x: Any, forward: tuple[Any, Any, Any], backward: tuple[Any, Any, Any]) -> Any:
    """A bidirectional LSTM: the states that have read words 0 .. i, and words T - 1 .. i. (B, T, 2 H)."""
    after = np.flip(_outputs(run, np.flip(x, 1), backward), 1)
    return np.concatenate([_outputs(run, x, forward), after], axis=2)


@law(inputs=registers(least=3), examples=10)
def bidirectional_is_not_enough(lstm: Any, cloze_lstm: Any, inputs: dict[str, Any]) -> Claim:
    """Erratum. A plain bidirectional LSTM tells its output at i what word i is; two of them stacked tell the output
    at i - 1, so that shifting the outputs does not help. Two LSTMs with a gap between them do not tell.
    """
    embeddings = inputs["embeddings"][:, :1]
    text = np.concatenate([embeddings, embeddings], axis=1)  # two words, the second is to be predicted
    other = rewritten(text, (slice(None), 1), -text[:, 1])

    def plain(run: Callable[..., Any], x: Any) -> Any:
        return _both(run, x, inputs["forward"], inputs["backward"])[:, 1]

    def stacked(run: Callable[..., Any], x: Any) -> Any:
        first = _both(run, x, inputs["forward"], inputs["backward"])
        return _outputs(run, first[:, :1], _second_layer(inputs["backward"]))[:, 0]

    def leaks(network: Callable[..., Any]) -> Claim:
        return differ(network(lstm, text), network(lstm, other),
                      expected=(network(lstm.definition, text), network(lstm.definition, other)))  # fmt: skip

    one, two = (cloze_lstm(**{**inputs, "embeddings": x})[:, 1] for x in (text, other))
    return all_of(leaks(plain), leaks(stacked), closely(one, two))


# --- faults ---------------------------------------------------------------------------------------------------


@fault(cloze_windows, breaks="a_window_holds_the_neighbours_and_never_the_word")
def window_with_the_word_itself(tokens: Any, width: int, padding: int) -> Any:
    """The window is 2 k consecutive words, the word itself among them. Leave the middle of 2 k + 1 out."""
    padded = np.pad(tokens, width, constant_values=padding)
    return padded[np.arange(len(tokens))[:, None] + np.arange(2 * width)], tokens.copy()


@fault(cloze_windows, breaks=(
    "a_window_holds_the_neighbours_and_never_the_word", "reversing_the_text_mirrors_its_windows",
    "a_wider_window_holds_the_narrower_one",
))  # fmt: skip
def window_of_the_words_before(tokens: Any, width: int, padding: int) -> Any:
    """All 2 k words stand before the gap, as in a language model. Take k on each side."""
    padded = np.pad(tokens, (2 * width, 0), constant_values=padding)
    return padded[np.arange(len(tokens))[:, None] + np.arange(2 * width)], tokens.copy()


@fault(cloze_windows, breaks="padding_stands_only_beyond_the_ends")
def windows_around_the_corner(tokens: Any, width: int, padding: int) -> Any:
    """Beyond its ends the text begins again, as negative indices make it. Put padding there."""
    places = np.arange(len(tokens))[:, None] + np.delete(np.arange(2 * width + 1), width) - width
    return tokens[places % max(1, len(tokens))], tokens.copy()


@fault(cloze_windows, breaks="a_window_without_neighbours_is_refused")
def takes_any_width(tokens: Any, width: int, padding: int) -> Any:
    """A width below 1 gives windows of nothing. Raise ValueError."""
    return cloze_windows(tokens, max(width, 1), padding)[0][:, : 2 * max(width, 0)], tokens.copy()


def _steps(
    x: Any, hidden: Any, cell: Any, w_x: Any, w_h: Any, bias: Any,
    update: Any = None, show: Any = None, order: str = "ifgo",
) -> Any:  # fmt: skip
    """The plain LSTM with the knobs that faults turn. update(i, f, g, c) and show(o, c) of the sums before the gates;
    order: of the gates.
    """
    require(w_h.shape[1] == 4 * hidden.shape[1] == 4 * cell.shape[1], "w_h and hidden do not fit")
    update = update or (lambda i, f, g, c: sigmoid(f) * c + sigmoid(i) * np.tanh(g))
    show = show or (lambda o, c: sigmoid(o) * np.tanh(c))
    outputs = [hidden]
    for t in range(x.shape[1]):
        sums = dict(zip(order, np.split(x[:, t] @ w_x + outputs[-1] @ w_h + bias, 4, axis=1), strict=True))
        cell = update(sums["i"], sums["f"], sums["g"], cell)
        outputs.append(show(sums["o"], cell))
    states = np.stack(outputs, axis=1)
    return states[:, 1:], states[:, -1], cell


@fault(lstm, breaks=("an_open_forget_gate_and_a_closed_input_gate_keep_the_cell",
                     "a_closed_forget_gate_leaves_the_candidate_alone"),
       seen="https://github.com/ddbourgin/numpy-ml/issues/42")  # fmt: skip
def gates_share_the_bias_of_the_output_gate(x: Any, hidden: Any, cell: Any, w_x: Any, w_h: Any, bias: Any) -> Any:
    """Input and forget gate get the bias of the output gate. Each has its own."""
    _, _, g, o = np.split(bias, 4)
    return _steps(x, hidden, cell, w_x, w_h, np.concatenate([o, o, g, o]))


@fault(lstm, breaks=("a_sequence_may_be_cut_where_both_states_are_carried_on", "an_empty_sequence_leaves_both_states"),
       seen="https://github.com/salesforce/decaNLP/issues/9")  # fmt: skip
def returns_the_hidden_state_twice(x: Any, hidden: Any, cell: Any, w_x: Any, w_h: Any, bias: Any) -> Any:
    """The hidden state comes back in place of the cell. Return both."""
    output, hidden, _ = _steps(x, hidden, cell, w_x, w_h, bias)
    return output, hidden, hidden + 0


@fault(lstm, breaks=("a_closed_forget_gate_leaves_the_candidate_alone", "an_open_output_gate_shows_tanh_of_the_cell"))
def gates_in_the_order_of_onnx(x: Any, hidden: Any, cell: Any, w_x: Any, w_h: Any, bias: Any) -> Any:
    """Weights are taken in the order input, output, forget, candidate. It is input, forget, candidate, output."""
    return _steps(x, hidden, cell, w_x, w_h, bias, order="iofg")


@fault(lstm, breaks=("outputs_stay_between_minus_one_and_one", "an_open_output_gate_shows_tanh_of_the_cell"))
def shows_the_cell_unsquashed(x: Any, hidden: Any, cell: Any, w_x: Any, w_h: Any, bias: Any) -> Any:
    """The output is the gate times the cell. Take tanh of the cell first."""
    return _steps(x, hidden, cell, w_x, w_h, bias, show=lambda o, c: sigmoid(o) * c)


@fault(lstm, breaks="the_cell_grows_by_at_most_one_a_step")
def stores_candidates_unsquashed(x: Any, hidden: Any, cell: Any, w_x: Any, w_h: Any, bias: Any) -> Any:
    """Candidates enter the cell without tanh. Take tanh of them."""
    return _steps(x, hidden, cell, w_x, w_h, bias, update=lambda i, f, g, c: sigmoid(f) * c + sigmoid(i) * g)


@fault(lstm, breaks="the_last_output_is_the_hidden_state")
def returns_the_first_hidden_state(x: Any, hidden: Any, cell: Any, w_x: Any, w_h: Any, bias: Any) -> Any:
    """The hidden state that comes back is that of the first step. Return that of the last."""
    output, last, cell = _steps(x, hidden, cell, w_x, w_h, bias)
    return output, output[:, 0] if x.shape[1] else last, cell


@fault(lstm, breaks=("an_open_forget_gate_carries_gradients_undiminished", "gradient_agrees_with_definition"))
def cuts_the_gradient_of_the_cell(x: Any, hidden: Any, cell: Any, w_x: Any, w_h: Any, bias: Any) -> Any:
    """The cell is detached at every step, so that what it keeps is never learned. Let its gradient pass."""
    return _steps(x, hidden, cell, w_x, w_h, bias,
                  update=lambda i, f, g, c: sigmoid(f) * constant(c) + sigmoid(i) * np.tanh(g))  # fmt: skip


@fault(lstm, breaks="states_of_different_widths_are_refused")
def cuts_the_hidden_state_to_its_width(x: Any, hidden: Any, cell: Any, w_x: Any, w_h: Any, bias: Any) -> Any:
    """Surplus units of the hidden state are dropped. Compare the widths, and raise ValueError."""
    return _steps(x, hidden[:, : cell.shape[1]], cell, w_x, w_h, bias)


@fault(lstm, breaks="a_recurrent_matrix_of_five_gates_is_refused")
def ignores_surplus_gates(x: Any, hidden: Any, cell: Any, w_x: Any, w_h: Any, bias: Any) -> Any:
    """Columns of w_h beyond four gates are dropped. Compare the shapes, and raise ValueError."""
    return _steps(x, hidden, cell, w_x, w_h[:, : 4 * cell.shape[1]], bias)


def _gap(embeddings: Any, forward: Any, backward: Any) -> tuple[Any, Any]:
    """The forward states before each word, and the backward states after it, with zeros at the ends. (B, T + 1, H)."""
    nothing = np.zeros((embeddings.shape[0], 1, forward[1].shape[0]), embeddings.dtype)
    both = _both(lstm, embeddings, forward, backward)
    half = forward[1].shape[0]
    return (np.concatenate([nothing, both[..., :half]], axis=1), np.concatenate([both[..., half:], nothing], axis=1))


def _filled(left: Any, right: Any, w_out: Any, b_out: Any) -> Any:
    return log_softmax(np.concatenate([left, right], axis=2) @ w_out + b_out)


WORD_SEEN = (
    "the_gap_sees_every_word_but_its_own", "gradients_reach_every_word_but_the_one_in_the_gap",
    "the_word_in_the_gap_may_hold_anything", "each_side_is_an_lstm_of_its_own",
)  # fmt: skip


@fault(cloze_lstm, breaks=(*WORD_SEEN, "a_word_alone_is_predicted_from_nothing", "bidirectional_is_not_enough"))
def plain_bidirectional_lstm(embeddings: Any, forward: Any, backward: Any, w_out: Any, b_out: Any) -> Any:
    """Both states at i have read word i, which is to be predicted. Take the forward state after i - 1 and the backward
    state after i + 1.
    """
    left, right = _gap(embeddings, forward, backward)
    return _filled(left[:, 1:], right[:, :-1], w_out, b_out)


@fault(cloze_lstm, breaks=(*WORD_SEEN, "bidirectional_is_not_enough"))
def two_stacked_layers_with_shifted_outputs(
    embeddings: Any, forward: Any, backward: Any, w_out: Any, b_out: Any
) -> Any:
    """The gap is left only after a second bidirectional layer, whose inputs have read all words in both directions.
    Keep the two directions apart through all layers.
    """
    first = _both(lstm, embeddings, forward, backward)
    left, right = _gap(first, _second_layer(forward), _second_layer(backward))
    return _filled(left[:, :-1], right[:, 1:], w_out, b_out)


@fault(cloze_lstm, breaks=("the_gap_sees_every_word_but_its_own", "reversing_the_text_exchanges_the_sides"),
       seen="https://github.com/keras-team/keras/issues/1703")  # fmt: skip
def backward_states_in_the_order_they_were_computed(
    embeddings: Any, forward: Any, backward: Any, w_out: Any, b_out: Any
) -> Any:
    """The outputs of the backward LSTM are not reversed back: what has read only the last word stands first. Do so."""
    left, right = _gap(embeddings, forward, backward)
    return _filled(left[:, :-1], np.flip(right[:, 1:], 1), w_out, b_out)


@fault(cloze_lstm, breaks="reversing_the_text_exchanges_the_sides")
def one_lstm_for_both_directions(embeddings: Any, forward: Any, backward: Any, w_out: Any, b_out: Any) -> Any:
    """The forward weights serve both directions. Each side has its own."""
    left, right = _gap(embeddings, forward, forward)
    return _filled(left[:, :-1], right[:, 1:], w_out, b_out)


@fault(cloze_lstm, breaks="the_gap_sees_every_word_but_its_own")
def reads_the_left_side_only(embeddings: Any, forward: Any, backward: Any, w_out: Any, b_out: Any) -> Any:
    """The words after the gap are never read. A cloze has two sides."""
    left, right = _gap(embeddings, forward, backward)
    return _filled(left[:, :-1], 0 * right[:, 1:], w_out, b_out)


@fault(cloze_lstm, breaks=("at_each_end_one_side_is_empty", "each_side_is_an_lstm_of_its_own"))
def repeats_the_states_at_the_ends(embeddings: Any, forward: Any, backward: Any, w_out: Any, b_out: Any) -> Any:
    """An empty side repeats the nearest state of that direction, which has read the word in the gap. Put zeros."""
    left, right = _gap(embeddings, forward, backward)
    left, right = (np.concatenate([left[:, 1:2], left[:, 1:-1]], axis=1),
                   np.concatenate([right[:, 1:-1], right[:, -2:-1]], axis=1))  # fmt: skip
    return _filled(left, right, w_out, b_out)


@fault(cloze_lstm, breaks="probabilities_of_the_word_in_the_gap_sum_to_one")
def sums_the_log_probabilities_of_the_sides(
    embeddings: Any, forward: Any, backward: Any, w_out: Any, b_out: Any
) -> Any:
    """Each side predicts alone, and the log-probabilities are added up without normalizing. One softmax over both."""
    left, right = _gap(embeddings, forward, backward)
    half = w_out.shape[0] // 2
    return log_softmax(left[:, :-1] @ w_out[:half] + b_out) + log_softmax(right[:, 1:] @ w_out[half:])


@fault(cloze_lstm, breaks="a_text_of_no_words_has_no_gaps")
def pads_before_it_looks(embeddings: Any, forward: Any, backward: Any, w_out: Any, b_out: Any) -> Any:
    """The zeros at the ends are cut to T - 1 states and one more, which makes one gap of no words. Cut to T."""
    left, right = _gap(embeddings, forward, backward)
    length = max(1, embeddings.shape[1])
    return _filled(left[:, :length], np.flip(np.flip(right, 1)[:, :length], 1), w_out, b_out)


@fault(cloze_lstm, breaks="sides_without_their_weights_are_refused")
def ignores_surplus_rows_of_a_side(embeddings: Any, forward: Any, backward: Any, w_out: Any, b_out: Any) -> Any:
    """Rows of w_x beyond the width of the embeddings are dropped. Compare the shapes, and raise ValueError."""
    width = embeddings.shape[2]
    forward, backward = ((w_x[:width], w_h, bias) for w_x, w_h, bias in (forward, backward))
    left, right = _gap(embeddings, forward, backward)
    return _filled(left[:, :-1], right[:, 1:], w_out, b_out)


# --- workloads ------------------------------------------------------------------------------------------------


def _lstm_cost(B: int, T: int, E: int, H: int) -> Cost:
    """The products with the input and with the state before, of every step."""
    return Cost(flops=2 * B * T * (E + H) * 4 * H, moved=B * T * (E + H) + 4 * B * H + (E + H + 1) * 4 * H)


def _lstm_weights(random: np.random.Generator, E: int, H: int) -> tuple[Any, Any, Any]:
    """Recurrent weights so small that the bounds of errors do not grow from step to step."""
    return matrix(random, E, 4 * H) / 2, matrix(random, H, 4 * H) / 32, random.standard_normal(4 * H) / 8


@workload(lstm, sizes={"B": 32, "T": 64, "E": 256, "H": 512}, cost=_lstm_cost, gradient=True)
def recurrent_layer(random: np.random.Generator, B: int, T: int, E: int, H: int) -> dict[str, Any]:
    """One direction of a recurrent encoder of 512 units over 32 texts of 64 words: a size common at the time of the
    note's sources.
    """
    w_x, w_h, bias = _lstm_weights(random, E, H)
    nothing = np.zeros((B, H))
    return {"x": random.standard_normal((B, T, E)), "hidden": nothing, "cell": nothing, "w_x": w_x, "w_h": w_h,
            "bias": bias}  # fmt: skip


def _cloze_cost(B: int, T: int, E: int, H: int, V: int) -> Cost:
    """Two LSTMs, neither of which has to read the last word that it comes to, and scores of all words."""
    weights = 2 * (E + H + 1) * 4 * H + (2 * H + 1) * V
    flops = 2 * 2 * B * (T - 1) * (E + H) * 4 * H + 4 * B * T * H * V
    return Cost(flops=flops, moved=B * T * (E + V) + weights)


@workload(cloze_lstm, sizes={"B": 32, "T": 64, "E": 256, "H": 512, "V": 10_000}, cost=_cloze_cost, gradient=True)
def gap_filling(random: np.random.Generator, B: int, T: int, E: int, H: int, V: int) -> dict[str, Any]:
    """Every word of 32 texts of 64 words left out and guessed from both sides, with 512 units each way and as many
    words as the Penn Treebank has, 10,000 (Zaremba et al. 2014, section 4.1).
    """
    return {
        "embeddings": random.standard_normal((B, T, E)),
        "forward": _lstm_weights(random, E, H),
        "backward": _lstm_weights(random, E, H),
        "w_out": matrix(random, 2 * H, V),
        "b_out": random.standard_normal(V) / 8,
    }
