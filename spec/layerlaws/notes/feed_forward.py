"""The feed-forward network of a Transformer: the same two layers at every position.

Note of 2021-11-26. After attention, each position goes alone through two linear layers with a ReLU between them
(Vaswani et al., Attention Is All You Need, 2017, section 3.3). The card has it as 512 -> 2048 -> 512: the hidden
layer is four times as wide as the model, which makes 2,099,712 parameters; and as two convolutions of width 1,
which is another way to say that every position is treated alike and alone.

Claimed: both forms are one function; positions do not see each other; the function is what two matrices and a
ReLU make it (hidden units may be exchanged, rescaled, taken apart and added up). Not claimed: that it is needed,
or that it keeps positions apart.

Conventions. w_1 is (D, F), w_2 is (F, D), in before out; kernels are (width, in, out). PyTorch keeps linear
weights as (out, in), and kernels of Conv1d as (out, in, width) on inputs (B, D, T).

Erratum. "Without the feed-forward network the outputs of all positions would be similar" is no law: the network maps
equal rows to equal rows, so it cannot part what attention has made alike. What keeps rows apart is, first of all, the
residual connection around attention (Dong, Cordonnier, Loukas, Attention is Not All You Need: Pure Attention Loses Rank
Doubly Exponentially with Depth, 2021). Shown by equal_rows_stay_equal and only_the_residual_keeps_rows_apart.
"""

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
    affine,
    all_of,
    arrays,
    asbounded,
    closely,
    constant,
    dependence,
    exactly,
    extents,
    fault,
    law,
    matrix,
    normal,
    operation,
    refused,
    relu,
    require,
    rewritten,
    seeds,
    with_gradient,
    workload,
)
from layerlaws.language import strategies as st

# --- feed_forward ---------------------------------------------------------------------------------------------


@st.composite
def networks(draw: st.DrawFn, textures: tuple[str, ...] = tuple(TEXTURES), least: int = 1) -> Arguments:
    """Rows and the weights and biases of both layers."""
    batch, length, width, hidden = draw(extents(4, edges=(1, 2, 3), least=least))
    shapes = (batch, length, width), (width, hidden), (hidden,), (hidden, width), (width,)
    names = ("x", "w_1", "b_1", "w_2", "b_2")
    return dict(zip(names, draw(arrays(*shapes, textures=textures)), strict=True))


@st.composite
def paper_networks(draw: st.DrawFn) -> Arguments:
    """512 -> 2048 -> 512, with weights of the size that is usual for these widths."""
    shapes = (1, draw(st.integers(1, 3)), 512), (512, 2048), (2048,), (2048, 512), (512,)
    x, w_1, b_1, w_2, b_2 = draw(arrays(*shapes, textures=("normal",)))
    return {"x": x, "w_1": w_1 / 512**0.5, "b_1": b_1, "w_2": w_2 / 2048**0.5, "b_2": b_2}


@st.composite
def open_networks(draw: st.DrawFn) -> Arguments:
    """Each hidden unit has its negative beside it, so that no change of a row is swallowed by the ReLU."""
    drawn = draw(networks(textures=("normal",)))
    w_1, w_2 = drawn["w_1"], drawn["w_2"]
    b_1 = np.zeros(2 * w_1.shape[1])
    return {**drawn, "w_1": np.concatenate([w_1, -w_1], axis=1), "b_1": b_1, "w_2": np.concatenate([w_2, -w_2])}


@operation(inputs=networks(), batch=("x",), differentiable=True)
def feed_forward(x: Array, w_1: Array, b_1: Array, w_2: Array, b_2: Array) -> Array:
    """max(0, x w_1 + b_1) w_2 + b_2.

    x (B, T, D), w_1 (D, F), b_1 (F,), w_2 (F, D), b_2 (D,)  ->  (B, T, D)
    """
    width, hidden = x.shape[-1], b_1.shape[-1]
    require(w_1.shape == (width, hidden), f"w_1 has shape {w_1.shape}, expected {(width, hidden)}")
    require(w_2.shape == (hidden, width), f"w_2 has shape {w_2.shape}, expected {(hidden, width)}")
    return affine(relu(affine(x, w_1, b_1)), w_2, b_2)


def _network(
    x: Array, w_1: Array, b_1: Array, w_2: Array, b_2: Array, activate: Callable[[Array], Array] = relu
) -> Array:
    """The plain network with another activation; it refuses what does not fit together."""
    require(w_1.shape == w_2.T.shape == (x.shape[-1], b_1.size), "w_1 and w_2 do not fit")
    return (activate(x @ w_1 + b_1) @ w_2 + b_2).astype(x.dtype)


@law(inputs=paper_networks(), examples=2)
def the_paper_has_2099712_parameters(feed_forward: Implementation, inputs: Arguments) -> Claim:
    """512 -> 2048 -> 512 takes w_1 (512, 2048) and w_2 (2048, 512): 2,099,712 parameters with the biases."""
    parameters = {name: array for name, array in inputs.items() if name != "x"}
    return all_of(
        exactly(sum(array.size for array in parameters.values()), 2_099_712),
        closely(*feed_forward.compare(**inputs)),
    )


@fault(
    feed_forward,
    breaks=(the_paper_has_2099712_parameters, "agrees_with_definition"),
    kind="axis",
    repair="They are (in, out): transpose when porting.",
    seen="https://github.com/AutoGPTQ/AutoGPTQ/pull/140",
)
def takes_weights_as_out_before_in(x: Array, w_1: Array, b_1: Array, w_2: Array, b_2: Array) -> Array:
    """The numbers of the weights are laid out as (out, in)."""
    w_1, w_2 = (w.reshape(w.shape[::-1]).T for w in (w_1, w_2))
    return _network(x, w_1, b_1, w_2, b_2)


@law(inputs=paper_networks(), examples=2)
def weights_laid_out_the_other_way_are_refused(feed_forward: Implementation, inputs: Arguments) -> Claim:
    """w_1 (2048, 512) and w_2 (512, 2048) do not fit a model width of 512."""
    return all_of(*(refused(feed_forward, name, {**inputs, name: inputs[name].T}) for name in ("w_1", "w_2")))


@fault(
    feed_forward,
    breaks=weights_laid_out_the_other_way_are_refused,
    kind="refusal",
    repair="Raise ValueError.",
)
def turns_weights_until_they_fit(x: Array, w_1: Array, b_1: Array, w_2: Array, b_2: Array) -> Array:
    """Weights of the wrong orientation are transposed silently, which hides errors where D = F."""

    def turned(w: Array, shape: tuple[int, int]) -> Array:
        return w.T if w.shape != shape and w.T.shape == shape else w

    shape = (x.shape[-1], b_1.size)
    return _network(x, turned(w_1, shape), b_1, turned(w_2, shape[::-1]), b_2)


@law(inputs=networks(textures=PLAIN), surplus=st.integers(1, 3))
def hidden_widths_have_to_match(feed_forward: Implementation, inputs: Arguments, surplus: int) -> Claim:
    """Both layers have the same hidden width; weights that lack hidden units, or have too many, are refused."""
    w_2 = inputs["w_2"]
    return refused(feed_forward, "w_2", {**inputs, "w_2": np.concatenate([w_2, *[w_2] * surplus])})


@fault(
    feed_forward,
    breaks=hidden_widths_have_to_match,
    kind="refusal",
    repair="Compare the widths, and raise ValueError.",
)
def ignores_surplus_hidden_units(x: Array, w_1: Array, b_1: Array, w_2: Array, b_2: Array) -> Array:
    """Rows of w_2 without a hidden unit are dropped."""
    return _network(x, w_1, b_1, w_2[: b_1.size], b_2)


@law(inputs=open_networks(), seed=seeds)
def each_position_is_alone(feed_forward: Implementation, inputs: Arguments, seed: int) -> Claim:
    """A position's result depends on that position and on no other."""
    x = inputs["x"]

    def moved(j: int) -> Arguments:
        if j < 0:
            return inputs
        noise = normal(seed, x[:, 0].shape, x) + x.dtype.type(8)
        return {**inputs, "x": rewritten(x, (slice(None), j), x[:, j] + noise)}

    return exactly(dependence(feed_forward, moved, x.shape[1], axis=1), np.eye(x.shape[1], dtype=bool))


@fault(
    feed_forward,
    breaks=each_position_is_alone,
    kind="formula",
    repair="Positions are separate.",
)
def takes_positions_for_a_batch_to_average(x: Array, w_1: Array, b_1: Array, w_2: Array, b_2: Array) -> Array:
    """Hidden numbers are centred over the positions, as batch normalization would."""
    return _network(x, w_1, b_1, w_2, b_2, lambda h: relu(h - h.mean(axis=1, keepdims=True)))


@law()
def equal_rows_stay_equal(feed_forward: Implementation, inputs: Arguments) -> Claim:
    """Erratum. Positions that hold the same come out the same: the network cannot tell them apart."""
    x = inputs["x"]
    result = feed_forward(**{**inputs, "x": np.broadcast_to(x[:, :1], x.shape)})
    return closely(result, np.broadcast_to(result[:, :1], result.shape))


def _identity(x: Array) -> Arguments:
    """Weights with which the network returns its input: x = max(0, x) - max(0, -x)."""
    one, nothing = np.eye(x.shape[-1]).astype(x.dtype), np.zeros(x.shape[-1], x.dtype)
    return {
        "w_1": np.concatenate([one, -one], axis=1),
        "b_1": np.concatenate([nothing, nothing]),
        "w_2": np.concatenate([one, -one]),
        "b_2": nothing,
    }


@fault(
    feed_forward,
    breaks="gradient_agrees_with_definition",
    kind="gradient",
    repair="Add up over positions, too.",
    seen="https://github.com/ooples/AiDotNet.Tensors/issues/234",
)
def adds_the_bias_gradient_up_over_the_batch_only(x: Array, w_1: Array, b_1: Array, w_2: Array, b_2: Array) -> Array:
    """The gradient by b_2 is summed over the first axis alone, and keeps one row for each position."""
    return with_gradient(feed_forward(x, w_1, b_1, w_2, constant(b_2)), b_2, lambda s: s.sum(axis=0))


@law(inputs=networks(textures=PLAIN))
def only_the_residual_keeps_rows_apart(
    feed_forward: Implementation, multi_head_attention: Implementation, inputs: Arguments
) -> Claim:
    """Erratum. Attention that looks everywhere alike makes all rows equal, and the network leaves them equal;
    with a residual connection around attention they stay as far apart as they were.
    """
    x = inputs["x"]
    width = x.shape[-1]
    one, nothing = np.eye(width).astype(x.dtype), np.zeros(width, x.dtype)
    weights = {"w_q": 0 * one, "w_k": one, "w_v": one, "w_o": one}
    biases = dict.fromkeys(("b_q", "b_k", "b_v", "b_o"), nothing)
    attended, _ = multi_head_attention(query=x, key=x, value=x, **weights, **biases, num_heads=1, mask=None)
    alike = feed_forward(**{**inputs, "x": attended})
    apart = feed_forward(x=x + attended, **_identity(x))
    return all_of(
        closely(alike, np.broadcast_to(alike[:, :1], alike.shape)),
        closely(apart - apart[:, :1], asbounded(x) - x[:, :1]),
    )


@fault(
    feed_forward,
    breaks=(equal_rows_stay_equal, only_the_residual_keeps_rows_apart),
    kind="formula",
    repair="All positions share one b_1.",
)
def knows_the_place_of_a_row(x: Array, w_1: Array, b_1: Array, w_2: Array, b_2: Array) -> Array:
    """Hidden units get a bias that grows with the position."""
    places = np.arange(x.shape[1], dtype=x.dtype)[:, None]
    return _network(x, w_1, b_1, w_2, b_2, lambda h: relu(h) + places)


@law()
def the_network_can_be_the_identity(feed_forward: Implementation, x: Array) -> Claim:
    """With w_1 = [I, -I] and w_2 = [I; -I] every row comes out as it went in."""
    return closely(feed_forward(x=x, **_identity(x)), x)


@law()
def without_biases_the_even_part_is_the_absolute_value(feed_forward: Implementation, inputs: Arguments) -> Claim:
    """f(x) + f(-x) = |x w_1| w_2 and f(x) - f(-x) = x w_1 w_2."""
    x, w_1, w_2 = inputs["x"], inputs["w_1"], inputs["w_2"]
    unbiased = {**inputs, "b_1": np.zeros_like(inputs["b_1"]), "b_2": np.zeros_like(inputs["b_2"])}
    one, other = feed_forward(**unbiased), feed_forward(**{**unbiased, "x": -x})
    product = asbounded(x) @ w_1
    return all_of(closely(one + other, np.abs(product) @ w_2), closely(one - other, product @ w_2))


@law()
def the_last_layer_is_linear(feed_forward: Implementation, inputs: Arguments) -> Claim:
    """With -w_2 and -b_2 the result is negated: nothing follows the second layer."""
    negated = feed_forward(**{**inputs, "w_2": -inputs["w_2"], "b_2": -inputs["b_2"]})
    return closely(negated, -feed_forward(**inputs))


@fault(
    feed_forward,
    breaks=the_last_layer_is_linear,
    kind="formula",
    repair="Only the hidden layer has one.",
)
def rectifies_the_result_too(x: Array, w_1: Array, b_1: Array, w_2: Array, b_2: Array) -> Array:
    """A ReLU follows the second layer as well."""
    return relu(_network(x, w_1, b_1, w_2, b_2))


@law(seed=seeds)
def hidden_units_may_be_exchanged(feed_forward: Implementation, inputs: Arguments, seed: int) -> Claim:
    """Permuting the columns of w_1, b_1 and the rows of w_2 alike changes nothing."""
    order = np.random.default_rng(seed).permutation(inputs["b_1"].size)
    permuted = {"w_1": inputs["w_1"][:, order], "b_1": inputs["b_1"][order], "w_2": inputs["w_2"][order]}
    return closely(feed_forward(**{**inputs, **permuted}), feed_forward(**inputs))


@fault(
    feed_forward,
    breaks=hidden_units_may_be_exchanged,
    kind="formula",
    repair="It belongs to all of them.",
)
def rectifies_the_first_half_only(x: Array, w_1: Array, b_1: Array, w_2: Array, b_2: Array) -> Array:
    """The ReLU reaches only the first half of the hidden units."""
    first = np.arange(b_1.size) < b_1.size // 2
    return _network(x, w_1, b_1, w_2, b_2, lambda h: np.where(first, relu(h), h))


@law(seed=seeds)
def hidden_units_may_be_rescaled(feed_forward: Implementation, inputs: Arguments, seed: int) -> Claim:
    """max(0, s h) = s max(0, h) for s > 0: what is multiplied into w_1 and b_1 may be divided out of w_2."""
    scales = 2.0 ** np.random.default_rng(seed).integers(-3, 4, inputs["b_1"].size)
    rescaled = {
        "w_1": asbounded(inputs["w_1"]) * scales,
        "b_1": asbounded(inputs["b_1"]) * scales,
        "w_2": asbounded(inputs["w_2"]) * (1 / scales)[:, None],
    }
    return closely(feed_forward(**{**inputs, **rescaled}), feed_forward(**inputs))


@fault(
    feed_forward,
    breaks=(without_biases_the_even_part_is_the_absolute_value, hidden_units_may_be_rescaled),
    kind="formula",
    repair="Vaswani et al. have max(0, h).",
)
def activates_with_gelu(x: Array, w_1: Array, b_1: Array, w_2: Array, b_2: Array) -> Array:
    """GELU stands in place of the ReLU, as in BERT."""

    def gelu(h: Array) -> Array:
        return 0.5 * h * (1 + np.tanh((2 / np.pi) ** 0.5 * (h + 0.044715 * h * h * h)))

    return _network(x, w_1, b_1, w_2, b_2, gelu)


@law(inputs=networks(textures=PLAIN))
def closed_units_leave_only_the_last_bias(feed_forward: Implementation, inputs: Arguments, format: Format) -> Claim:
    """With b_1 far below zero every hidden unit is 0, and b_2 comes out exactly."""
    closed = feed_forward(**{**inputs, "b_1": np.full_like(inputs["b_1"], -format.largest / 2)})
    return exactly(closed.value, np.broadcast_to(inputs["b_2"].astype(closed.value.dtype), closed.shape))


@fault(
    feed_forward,
    breaks=(the_network_can_be_the_identity, closed_units_leave_only_the_last_bias),
    kind="formula",
    repair="The residual belongs to the block around it, which knows what to add.",
    seen="https://github.com/strutive07/transformer-tensorflow2.0/issues/14",
)
def keeps_the_residual_inside(x: Array, w_1: Array, b_1: Array, w_2: Array, b_2: Array) -> Array:
    """The input is added to the result."""
    return _network(x, w_1, b_1, w_2, b_2) + x


@fault(
    feed_forward,
    breaks=closed_units_leave_only_the_last_bias,
    kind="formula",
    repair="They are 0.",
)
def lets_negative_numbers_leak(x: Array, w_1: Array, b_1: Array, w_2: Array, b_2: Array) -> Array:
    """Negative hidden numbers pass with a hundredth of their size (leaky ReLU)."""
    return _network(x, w_1, b_1, w_2, b_2, lambda h: np.maximum(h, h / 100))


@law(inputs=networks(textures=PLAIN))
def open_units_leave_an_affine_map(feed_forward: Implementation, inputs: Arguments) -> Claim:
    """With b_1 above all that x w_1 can subtract, the ReLU does nothing: (x w_1 + b_1) w_2 + b_2."""
    x, w_1 = inputs["x"], inputs["w_1"]
    reach = np.max(np.abs(x.astype(np.float64)) @ np.abs(w_1.astype(np.float64)))
    bias = np.full_like(inputs["b_1"], 2.0 ** np.ceil(np.log2(reach + 1)))
    opened = affine(affine(asbounded(x), w_1, bias), inputs["w_2"], inputs["b_2"])
    return closely(feed_forward(**{**inputs, "b_1": bias}), opened)


@fault(
    feed_forward,
    breaks=open_units_leave_an_affine_map,
    kind="formula",
    repair="The ReLU has no upper end.",
)
def caps_hidden_units_at_six(x: Array, w_1: Array, b_1: Array, w_2: Array, b_2: Array) -> Array:
    """Hidden numbers stop at 6 (ReLU6)."""
    return _network(x, w_1, b_1, w_2, b_2, lambda h: np.clip(h, 0, 6))


@law(inputs=networks(least=2), cut=st.integers(0, 300))
def the_hidden_layer_may_be_taken_apart(feed_forward: Implementation, inputs: Arguments, cut: int) -> Claim:
    """Two networks with some of the hidden units each add up to the whole, if b_2 is given to one of them."""
    w_1, b_1, w_2 = inputs["w_1"], inputs["b_1"], inputs["w_2"]
    cut = 1 + cut % (b_1.size - 1)
    first = feed_forward(**{**inputs, "w_1": w_1[:, :cut], "b_1": b_1[:cut], "w_2": w_2[:cut]})
    second = feed_forward(x=inputs["x"], w_1=w_1[:, cut:], b_1=b_1[cut:], w_2=w_2[cut:], b_2=0 * inputs["b_2"])
    return closely(first + second, feed_forward(**inputs))


@fault(
    feed_forward,
    breaks=the_hidden_layer_may_be_taken_apart,
    kind="scale",
    repair="It sums; a scale belongs into the weights.",
)
def takes_the_mean_of_hidden_units(x: Array, w_1: Array, b_1: Array, w_2: Array, b_2: Array) -> Array:
    """The second layer divides by the hidden width."""
    return _network(x, w_1, b_1, w_2 / w_2.dtype.type(b_1.size), b_2)


def _layers_cost(B: int, T: int, D: int, F: int) -> Cost:
    """Two matrix products; rows in and out, both matrices and their biases once."""
    return Cost(flops=4 * B * T * D * F, moved=2 * B * T * D + 2 * D * F + D + F)


@workload(feed_forward, sizes={"B": 8, "T": 512, "D": 512, "F": 2048}, cost=_layers_cost, gradient=True)
def transformer_feed_forward(random: np.random.Generator, B: int, T: int, D: int, F: int) -> Arguments:
    """The base Transformer's feed-forward network on 8 sentences of 512 positions (Vaswani et al. 2017, table 3)."""
    return {
        "x": random.standard_normal((B, T, D)),
        "w_1": random.standard_normal((D, F)) / D**0.5,
        "b_1": random.standard_normal(F),
        "w_2": random.standard_normal((F, D)) / F**0.5,
        "b_2": random.standard_normal(D),
    }


# --- feed_forward_convolution ---------------------------------------------------------------------------------


@st.composite
def convolutions(draw: st.DrawFn) -> Arguments:
    """The same with kernels of width 1."""
    drawn = draw(networks())
    return {
        "x": drawn["x"],
        "kernel_1": drawn["w_1"][None],
        "b_1": drawn["b_1"],
        "kernel_2": drawn["w_2"][None],
        "b_2": drawn["b_2"],
    }


@operation(inputs=convolutions(), batch=("x",), differentiable=True)
def feed_forward_convolution(x: Array, kernel_1: Array, b_1: Array, kernel_2: Array, b_2: Array) -> Array:
    """Two convolutions of width 1 over the positions, with a ReLU between them.

    x (B, T, D), kernel_1 (1, D, F), b_1 (F,), kernel_2 (1, F, D), b_2 (D,)  ->  (B, T, D)
    """

    def convolve(x: Array, kernel: Array, bias: Array, name: str) -> Array:
        require(kernel.shape[0] == 1, f"{name} is {kernel.shape[0]} wide, not 1")
        return affine(x, kernel[0], bias)

    return convolve(relu(convolve(x, kernel_1, b_1, "kernel_1")), kernel_2, b_2, "kernel_2")


@law()
def convolutions_of_width_one_are_the_same(
    feed_forward: Implementation,
    feed_forward_convolution: Implementation,
    x: Array,
    w_1: Array,
    b_1: Array,
    w_2: Array,
    b_2: Array,
) -> Claim:
    """Two linear layers at every position and two convolutions of width 1 are one function."""
    return closely(
        feed_forward_convolution(x=x, kernel_1=w_1[None], b_1=b_1, kernel_2=w_2[None], b_2=b_2),
        feed_forward(x=x, w_1=w_1, b_1=b_1, w_2=w_2, b_2=b_2),
    )


@fault(
    feed_forward,
    breaks=(each_position_is_alone, convolutions_of_width_one_are_the_same),
    kind="mask",
    repair="The width is 1.",
)
def looks_at_the_position_before(x: Array, w_1: Array, b_1: Array, w_2: Array, b_2: Array) -> Array:
    """Half of each row comes from the position before, as with a kernel of width 2."""
    before = np.concatenate([x[:, :1], x[:, :-1]], axis=1)
    return _network((x + before) / x.dtype.type(2), w_1, b_1, w_2, b_2)


@fault(
    feed_forward_convolution,
    breaks=convolutions_of_width_one_are_the_same,
    kind="axis",
    repair="Swap the axes.",
)
def reshapes_instead_of_transposing(x: Array, kernel_1: Array, b_1: Array, kernel_2: Array, b_2: Array) -> Array:
    """(B, T, D) is reshaped to the (B, D, T) that a convolution wants, which mixes positions."""
    require(len(kernel_1) == len(kernel_2) == 1, "kernels are 1 wide")
    mixed = x.reshape(x.shape[0], x.shape[2], x.shape[1]).swapaxes(1, 2)
    result = _network(mixed, kernel_1[0], b_1, kernel_2[0], b_2)
    return result.swapaxes(1, 2).reshape(x.shape)


@law(inputs=convolutions(), width=st.integers(2, 4), examples=20)
def wider_kernels_are_refused(
    feed_forward_convolution: Implementation,
    x: Array,
    kernel_1: Array,
    b_1: Array,
    kernel_2: Array,
    b_2: Array,
    width: int,
) -> Claim:
    """Kernels are 1 wide: a wider one would let positions see each other, or shorten the sequence."""
    wide = np.concatenate([kernel_1] * width)
    return refused(
        feed_forward_convolution, "kernel_1", {"x": x, "kernel_1": wide, "b_1": b_1, "kernel_2": kernel_2, "b_2": b_2}
    )


@fault(
    feed_forward_convolution,
    breaks=wider_kernels_are_refused,
    kind="refusal",
    repair="Raise ValueError for a kernel that is wider than 1.",
)
def uses_the_first_tap_only(x: Array, kernel_1: Array, b_1: Array, kernel_2: Array, b_2: Array) -> Array:
    """Taps beyond the first are ignored."""
    return _network(x, kernel_1[0], b_1, kernel_2[0], b_2)


@workload(feed_forward_convolution, sizes={"B": 8, "T": 512, "D": 512, "F": 2048}, cost=_layers_cost, gradient=True)
def position_wise_convolutions(random: np.random.Generator, B: int, T: int, D: int, F: int) -> Arguments:
    """The same network as two convolutions of width 1, the paper's other way to say it (Vaswani et al. 2017, section
    3.3).
    """
    w_1, w_2 = matrix(random, 1, D, F), matrix(random, 1, F, D)
    b_1, b_2 = random.standard_normal(F), random.standard_normal(D)
    return {"x": random.standard_normal((B, T, D)), "kernel_1": w_1, "b_1": b_1, "kernel_2": w_2, "b_2": b_2}
