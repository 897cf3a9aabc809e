"""An LSTM over a sequence, from given states to the last ones: lstm."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np

from layerlaws.language import (
    PLAIN,
    TEXTURES,
    Arguments,
    Array,
    Claim,
    Cost,
    Implementation,
    Results,
    affine,
    all_of,
    answers_where,
    arrays,
    asbounded,
    at_moderate_sizes,
    at_most,
    bit_for_bit,
    calmed,
    closely,
    constant,
    durations,
    exactly,
    extents,
    fault,
    huge,
    law,
    linear_sum,
    matrix,
    normal,
    operation,
    refused,
    require,
    rewritten,
    seeds,
    sigmoid,
    workload,
)
from layerlaws.language import strategies as st


def gate_weights(weights: Sequence[Array], heard: Array, calm: bool) -> tuple[Array, Array, Array]:
    """Weights of a recurrence that does not stretch. calm: and of gates that what is heard does not saturate."""
    w_x, w_h, bias = weights
    reach = np.abs(heard @ w_x).max(initial=0.0) if calm else 0.0
    return w_x / max(1.0, reach / 2), calmed(w_h), bias


@st.composite
def sequences(draw: st.DrawFn, textures: tuple[str, ...] = tuple(TEXTURES)) -> Arguments:
    """One step at least, and gates that are not saturated, three times in four; always, where textures are plain."""
    batch, length, width, hidden = draw(extents(4, edges=(2, 3), squared=(3,)))
    shapes = (
        (batch, draw(durations(length)), width),
        (batch, hidden),
        (batch, hidden),
        (width, 4 * hidden),
        (hidden, 4 * hidden),
        (4 * hidden,),
    )
    x, hidden_state, cell, *weights = draw(arrays(*shapes, textures=textures))
    w_x, w_h, bias = gate_weights(weights, x, textures == PLAIN or draw(st.integers(0, 3)) > 0)
    return {"x": x, "hidden": hidden_state, "cell": cell, "w_x": w_x, "w_h": w_h, "bias": bias}


@operation(inputs=sequences(), batch=("x", "hidden", "cell"), differentiable=True)
def lstm(x: Array, hidden: Array, cell: Array, w_x: Array, w_h: Array, bias: Array) -> tuple[Array, Array, Array]:
    """i, f, g, o = x w_x + h w_h + bias; c = sigmoid(f) c + sigmoid(i) tanh(g); h = sigmoid(o) tanh(c), step by step.

    x (B, T, E), T >= 0, hidden, cell (B, H), w_x (E, 4 H), w_h (H, 4 H), bias (4 H,)
    ->  output (B, T, H), hidden (B, H), cell (B, H)
    """
    batch, _, width = x.shape
    units = cell.shape[1]
    require(hidden.shape == (batch, units), f"hidden has shape {hidden.shape}, expected {(batch, units)}")
    require(cell.shape[0] == batch, f"cell has {cell.shape[0]} rows, x has {batch}")
    for name, weights, shape in (
        ("w_x", w_x, (width, 4 * units)),
        ("w_h", w_h, (units, 4 * units)),
        ("bias", bias, (4 * units,)),
    ):
        require(weights.shape == shape, f"{name} has shape {weights.shape}, expected {shape}")
    outputs = [hidden]
    for t in range(x.shape[1]):
        sums = linear_sum((x[:, t], w_x), (outputs[-1], w_h), bias=bias)
        i, f, _, o = np.split(sigmoid(sums), 4, axis=1)
        cell = f * cell + i * np.tanh(sums[:, 2 * units : 3 * units])
        outputs.append(o * np.tanh(cell))
    states = np.stack(outputs, axis=1)  # (B, T + 1, H), the state before the first step in front
    return states[:, 1:], states[:, -1], cell


@law(examples=20)
def an_empty_sequence_leaves_both_states(lstm: Implementation, x: Array, inputs: Arguments) -> Claim:
    """No steps give no outputs, and hidden state and cell as they came in."""
    output, hidden, cell = lstm(**{**inputs, "x": x[:, :0]})
    return all_of(exactly((hidden, cell), (inputs["hidden"], inputs["cell"])), exactly(output.shape[1], 0))


@law(cuts=st.lists(st.integers(1, 64), max_size=3))
def a_sequence_may_be_cut_where_both_states_are_carried_on(
    lstm: Implementation, x: Array, inputs: Arguments, cuts: list[int]
) -> Claim:
    """Any pieces, each from the hidden state and the cell that the one before it left, are the whole sequence."""
    return closely(_in_pieces(lstm, inputs, [1 + cut % x.shape[1] for cut in cuts]), lstm(**inputs))


def _in_pieces(lstm: Callable[..., Results], inputs: Arguments, ends: Iterable[int]) -> Results:
    """What comes of a sequence that is read up to each of these steps, and from there on to its end."""
    x, hidden, cell, pieces = inputs["x"], inputs["hidden"], inputs["cell"], []
    ends = sorted({*ends, x.shape[1]})
    for start, end in zip([0, *ends[:-1]], ends, strict=True):
        output, hidden, cell = lstm(**{**inputs, "x": x[:, start:end], "hidden": hidden, "cell": cell})
        pieces.append(output)
    return np.concatenate(pieces, axis=1), hidden, cell


def _steps(
    x: Array,
    hidden: Array,
    cell: Array,
    w_x: Array,
    w_h: Array,
    bias: Array,
    update: Callable[[Array, Array, Array, Array], Array] | None = None,
    show: Callable[[Array, Array], Array] | None = None,
    order: str = "ifgo",
) -> tuple[Array, Array, Array]:
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


@fault(
    lstm,
    breaks=(a_sequence_may_be_cut_where_both_states_are_carried_on, an_empty_sequence_leaves_both_states),
    kind="formula",
    repair="Return both.",
    seen="https://github.com/salesforce/decaNLP/issues/9",
)
def returns_the_hidden_state_twice(
    x: Array, hidden: Array, cell: Array, w_x: Array, w_h: Array, bias: Array
) -> tuple[Array, Array, Array]:
    """The hidden state comes back in place of the cell."""
    output, hidden, _ = _steps(x, hidden, cell, w_x, w_h, bias)
    return output, hidden, hidden + 0


@law(inputs=at_moderate_sizes(sequences()), size=st.sampled_from((1, 5, 16)), kind="exact", examples=6)
def pieces_change_no_bit_of_a_sequence(lstm: Implementation, x: Array, inputs: Arguments, size: int) -> Claim:
    """Reading a sequence step by step, or in pieces, carrying both states on, gives the same bits as at once."""
    whole = lstm.results(**inputs)
    pieces = _in_pieces(lstm.results, inputs, range(size, x.shape[1], size))
    one, other = ((np.swapaxes(output, 0, 1), *states) for output, *states in (whole, pieces))  # step by step
    return bit_for_bit(one, other, ("at once", f"in pieces of {size}"))


@fault(
    lstm,
    breaks=pieces_change_no_bit_of_a_sequence,
    kind="precision",
    repair="Hand on the cell as it is computed with, if bits are to be the same.",
)
def rounds_the_cell_that_it_hands_on(
    x: Array, hidden: Array, cell: Array, w_x: Array, w_h: Array, bias: Array
) -> tuple[Array, Array, Array]:
    """The cell that is handed on is rounded once more than the one that is computed with: last bits differ."""
    output, hidden, cell = _steps(x, hidden, cell, w_x, w_h, bias)
    return output, hidden, np.nextafter(cell, np.asarray(np.inf, cell.dtype))


@law()
def the_last_output_is_the_hidden_state(lstm: Implementation, inputs: Arguments) -> Claim:
    """The hidden state that comes back is the output of the last step."""
    output, hidden, _ = lstm(**inputs)
    return closely(hidden, output[:, -1])


@fault(
    lstm,
    breaks=the_last_output_is_the_hidden_state,
    kind="boundary",
    repair="Return that of the last.",
)
def returns_the_first_hidden_state(
    x: Array, hidden: Array, cell: Array, w_x: Array, w_h: Array, bias: Array
) -> tuple[Array, Array, Array]:
    """The hidden state that comes back is that of the first step."""
    output, last, cell = _steps(x, hidden, cell, w_x, w_h, bias)
    return output, output[:, 0] if x.shape[1] else last, cell


@law(cut=st.integers(0, 64), examples=20)
def what_comes_later_may_be_no_number(lstm: Implementation, x: Array, inputs: Arguments, cut: int) -> Claim:
    """What is not a number after a step leaves its output, and all before it, as they were."""
    cut = 1 + cut % x.shape[1]
    spoiled = {**inputs, "x": rewritten(x, np.s_[:, cut:], np.nan)}
    return answers_where(lstm, spoiled, inputs, np.s_[:, :cut], number=0)


@fault(
    lstm,
    breaks=what_comes_later_may_be_no_number,
    kind="mask",
    repair="Read a step when its turn comes.",
)
def multiplies_later_steps_by_zero(
    x: Array, hidden: Array, cell: Array, w_x: Array, w_h: Array, bias: Array
) -> tuple[Array, Array, Array]:
    """All steps are read at once, later ones with weights of 0, and 0 times what is not a number is none."""
    return _steps(x + 0.0 * np.sum(x, axis=1, keepdims=True), hidden, cell, w_x, w_h, bias)


@law()
def outputs_stay_between_minus_one_and_one(lstm: Implementation, inputs: Arguments) -> Claim:
    """Whatever is read, no output leaves [-1, 1]."""
    output, _, _ = lstm(**inputs)
    return at_most(np.abs(output), np.ones(output.shape))


@law()
def the_cell_grows_by_at_most_one_a_step(lstm: Implementation, x: Array, inputs: Arguments) -> Claim:
    """After T steps no number of the cell is larger than it was by more than T."""
    _, _, first = lstm(**{**inputs, "x": x[:, :1]})
    _, _, last = lstm(**inputs)
    before = np.abs(asbounded(inputs["cell"]))
    return all_of(at_most(np.abs(first), before + 1.0), at_most(np.abs(last), before + float(x.shape[1])))


@fault(
    lstm,
    breaks=the_cell_grows_by_at_most_one_a_step,
    kind="formula",
    repair="Take tanh of them.",
)
def stores_candidates_unsquashed(
    x: Array, hidden: Array, cell: Array, w_x: Array, w_h: Array, bias: Array
) -> tuple[Array, Array, Array]:
    """Candidates enter the cell without tanh."""
    return _steps(x, hidden, cell, w_x, w_h, bias, update=lambda i, f, g, c: sigmoid(f) * c + sigmoid(i) * g)


def _forced(inputs: Arguments, **gates: int) -> Arguments:
    """Gates held open (1) or closed (-1), whatever is read."""
    units, bias = inputs["cell"].shape[1], inputs["bias"]
    for name, sign in gates.items():
        place = ("input", "forget", "candidate", "output").index(name)
        bias = rewritten(bias, slice(place * units, (place + 1) * units), sign * huge(bias))
    return {**inputs, "bias": bias}


@law(inputs=sequences(textures=PLAIN), examples=50)
def an_open_forget_gate_and_a_closed_input_gate_keep_the_cell(lstm: Implementation, inputs: Arguments) -> Claim:
    """With forget gates of 1 and input gates of 0 the cell comes back as it came, after any number of steps."""
    _, _, cell = lstm(**_forced(inputs, forget=1, input=-1))
    return closely(cell, inputs["cell"])


@law(inputs=sequences(textures=PLAIN), steps=st.sampled_from((65, 129, 257, 513)), examples=20)
def a_cell_is_kept_over_hundreds_of_steps(lstm: Implementation, x: Array, inputs: Arguments, steps: int) -> Claim:
    """With forget gates of 1 and input gates of 0 the cell is, after hundreds of steps, what it is after one."""
    kept = _forced(inputs, forget=1, input=-1)
    once, often = ({**kept, "x": np.repeat(x[:, :1], times, axis=1)} for times in (1, steps))
    return answers_where(lstm, often, once, np.s_[:], number=2)


@fault(
    lstm,
    breaks=a_cell_is_kept_over_hundreds_of_steps,
    kind="size",
    repair="Carry the states on without end.",
)
def forgets_all_but_the_last_128_steps(
    x: Array, hidden: Array, cell: Array, w_x: Array, w_h: Array, bias: Array
) -> tuple[Array, Array, Array]:
    """Long sequences are cut into windows, and each starts from zeros."""
    start = max(x.shape[1] - 128, 0)
    output, _, _ = _steps(x, hidden, cell, w_x, w_h, bias)
    first = 0 if start else 1
    last, hidden, cell = _steps(x[:, start:], hidden * first, cell * first, w_x, w_h, bias)
    return np.concatenate([output[:, :start], last], axis=1), hidden, cell


@fault(
    lstm,
    breaks="agrees_at_every_scale",
    kind="precision",
    repair="Take tanh itself, which is accurate near 0.",
    seen="https://github.com/tinygrad/tinygrad/pull/107",
)
def makes_tanh_of_a_sigmoid(
    x: Array, hidden: Array, cell: Array, w_x: Array, w_h: Array, bias: Array
) -> tuple[Array, Array, Array]:
    """tanh is 2 sigmoid(2 x) - 1, which loses all digits of small numbers."""

    def squash(x: Array) -> Array:
        return sigmoid(x * 2.0) * 2.0 - 1.0

    return _steps(
        x,
        hidden,
        cell,
        w_x,
        w_h,
        bias,
        update=lambda i, f, g, c: sigmoid(f) * c + sigmoid(i) * squash(g),
        show=lambda o, c: sigmoid(o) * squash(c),
    )


@law(inputs=sequences(textures=PLAIN))
def a_closed_forget_gate_leaves_the_candidate_alone(lstm: Implementation, x: Array, inputs: Arguments) -> Claim:
    """With forget gates of 0 and input gates of 1 the cell is tanh of the third quarter of the sums, nothing else."""
    forced = {**_forced(inputs, forget=-1, input=1), "x": x[:, :1]}
    _, _, cell = lstm(**forced)
    third = slice(2 * cell.shape[1], 3 * cell.shape[1])
    heard = np.concatenate([x[:, 0], inputs["hidden"]], axis=1)
    weights = np.concatenate([inputs["w_x"], inputs["w_h"]])[:, third]
    return closely(cell, np.tanh(affine(asbounded(heard), weights, inputs["bias"][third])))


@fault(
    lstm,
    breaks=(an_open_forget_gate_and_a_closed_input_gate_keep_the_cell, a_closed_forget_gate_leaves_the_candidate_alone),
    kind="formula",
    repair="Each has its own.",
    seen="https://github.com/ddbourgin/numpy-ml/issues/42",
)
def gates_share_the_bias_of_the_output_gate(
    x: Array, hidden: Array, cell: Array, w_x: Array, w_h: Array, bias: Array
) -> tuple[Array, Array, Array]:
    """Input and forget gate get the bias of the output gate."""
    _, _, g, o = np.split(bias, 4)
    return _steps(x, hidden, cell, w_x, w_h, np.concatenate([o, o, g, o]))


@law(inputs=sequences(textures=PLAIN), examples=50)
def an_open_output_gate_shows_tanh_of_the_cell(lstm: Implementation, x: Array, inputs: Arguments) -> Claim:
    """With output gates of 1 the hidden state is tanh of the cell; with output gates of 0 it is 0."""
    _, hidden, cell = lstm(**_forced(inputs, output=1))
    _, silent, _ = lstm(**_forced(inputs, output=-1))
    return all_of(closely(hidden, np.tanh(cell)), closely(silent, np.zeros(silent.shape)))


@fault(
    lstm,
    breaks=(a_closed_forget_gate_leaves_the_candidate_alone, an_open_output_gate_shows_tanh_of_the_cell),
    kind="contract",
    repair="It is input, forget, candidate, output.",
)
def gates_in_the_order_of_onnx(
    x: Array, hidden: Array, cell: Array, w_x: Array, w_h: Array, bias: Array
) -> tuple[Array, Array, Array]:
    """Weights are taken in the order input, output, forget, candidate."""
    return _steps(x, hidden, cell, w_x, w_h, bias, order="iofg")


@fault(
    lstm,
    breaks=(outputs_stay_between_minus_one_and_one, an_open_output_gate_shows_tanh_of_the_cell),
    kind="formula",
    repair="Take tanh of the cell first.",
)
def shows_the_cell_unsquashed(
    x: Array, hidden: Array, cell: Array, w_x: Array, w_h: Array, bias: Array
) -> tuple[Array, Array, Array]:
    """The output is the gate times the cell."""
    return _steps(x, hidden, cell, w_x, w_h, bias, show=lambda o, c: sigmoid(o) * c)


@law(inputs=sequences(textures=PLAIN), needs=["gradient"], seed=seeds, examples=20)
def an_open_forget_gate_carries_gradients_undiminished(lstm: Implementation, inputs: Arguments, seed: int) -> Claim:
    """With forget gates of 1 and input gates of 0 the gradient by the first cell is that by the last, however many
    steps lie between them.
    """
    cell, x = inputs["cell"], inputs["x"]
    weights = np.zeros((*x.shape[:2], cell.shape[1]), x.dtype), 0 * cell, normal(seed, cell.shape, cell)
    computed, _ = lstm.compare_gradient(weights, **_forced(inputs, forget=1, input=-1))
    return closely(computed["cell"], weights[2])


@fault(
    lstm,
    breaks=(an_open_forget_gate_carries_gradients_undiminished, "gradient_agrees_with_definition"),
    kind="gradient",
    repair="Let its gradient pass.",
)
def cuts_the_gradient_of_the_cell(
    x: Array, hidden: Array, cell: Array, w_x: Array, w_h: Array, bias: Array
) -> tuple[Array, Array, Array]:
    """The cell is detached at every step, so that what it keeps is never learned."""
    return _steps(
        x, hidden, cell, w_x, w_h, bias, update=lambda i, f, g, c: sigmoid(f) * constant(c) + sigmoid(i) * np.tanh(g)
    )


@law(surplus=st.integers(1, 3), examples=20)
def states_of_different_widths_are_refused(lstm: Implementation, inputs: Arguments, surplus: int) -> Claim:
    """Hidden state and cell have the same units; a hidden state with more is refused."""
    hidden = np.concatenate([inputs["hidden"]] + [inputs["hidden"][:, :1]] * surplus, axis=1)
    return refused(lstm, "hidden", {**inputs, "hidden": hidden})


@fault(
    lstm,
    breaks=states_of_different_widths_are_refused,
    kind="refusal",
    repair="Compare the widths, and raise ValueError.",
)
def cuts_the_hidden_state_to_its_width(
    x: Array, hidden: Array, cell: Array, w_x: Array, w_h: Array, bias: Array
) -> tuple[Array, Array, Array]:
    """Surplus units of the hidden state are dropped."""
    return _steps(x, hidden[:, : cell.shape[1]], cell, w_x, w_h, bias)


@law(examples=20)
def a_recurrent_matrix_of_five_gates_is_refused(lstm: Implementation, inputs: Arguments) -> Claim:
    """w_h has four columns for each unit; a matrix with five is refused."""
    w_h = inputs["w_h"]
    return refused(lstm, "w_h", {**inputs, "w_h": np.concatenate([w_h, w_h[:, : w_h.shape[0]]], axis=1)})


@fault(
    lstm,
    breaks=a_recurrent_matrix_of_five_gates_is_refused,
    kind="refusal",
    repair="Compare the shapes, and raise ValueError.",
)
def ignores_surplus_gates(
    x: Array, hidden: Array, cell: Array, w_x: Array, w_h: Array, bias: Array
) -> tuple[Array, Array, Array]:
    """Columns of w_h beyond four gates are dropped."""
    return _steps(x, hidden, cell, w_x, w_h[:, : 4 * cell.shape[1]], bias)


def _lstm_cost(B: int, T: int, E: int, H: int) -> Cost:
    """The products with the input and with the state before, of every step."""
    return Cost(flops=2 * B * T * (E + H) * 4 * H, moved=B * T * (E + H) + 4 * B * H + (E + H + 1) * 4 * H)


def lstm_weights(random: np.random.Generator, E: int, H: int) -> tuple[Array, Array, Array]:
    """Recurrent weights so small that the bounds of errors do not grow from step to step.

    Every other forget gate is nearly open, as training leaves some: its unit remembers hundreds of steps.
    """
    w_x, w_h, bias = matrix(random, E, 4 * H) / 2, matrix(random, H, 4 * H) / 32, random.standard_normal(4 * H) / 8
    bias[H : 2 * H : 2] += 6
    return w_x, w_h, bias


FAR = {"B": 1, "T": 257, "E": 8, "H": 32}
"""Few units over more steps than windows of 64 and of 128 hold."""


@workload(lstm, sizes={"B": 32, "T": 64, "E": 256, "H": 512}, cost=_lstm_cost, gradient=True, beyond=FAR)
def recurrent_layer(random: np.random.Generator, B: int, T: int, E: int, H: int) -> Arguments:
    """One direction of a recurrent encoder of 512 units over 32 texts of 64 words: a size common at the time of the
    note's sources.
    """
    w_x, w_h, bias = lstm_weights(random, E, H)
    nothing = np.zeros((B, H))
    return {
        "x": random.standard_normal((B, T, E)),
        "hidden": nothing,
        "cell": nothing,
        "w_x": w_x,
        "w_h": w_h,
        "bias": bias,
    }
