"""Heads side by side, each on its own columns of the projections: multi_head_attention."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from layerlaws.language import (
    PLAIN,
    Arguments,
    Array,
    Claim,
    Cost,
    Implementation,
    Mask,
    affine,
    all_of,
    arrays,
    asbounded,
    at_most,
    closely,
    exactly,
    extents,
    fault,
    law,
    masks,
    matrix,
    merge_heads,
    normal,
    operation,
    refused,
    require,
    seeds,
    split_heads,
    workload,
)
from layerlaws.language import strategies as st
from layerlaws.notes.multi_head_attention.weights import (
    allowed,
    attention_weights,
    bare_weights,
    distances,
    plain_weights,
)

PROJECTIONS = ("integers", "normal", "one-hot", "sparse", "tiny")
"""Textures of weights: none so large that every softmax is saturated."""


WEIGHTS, BIASES = ("w_q", "w_k", "w_v", "w_o"), ("b_q", "b_k", "b_v", "b_o")


@st.composite
def projected_states(
    draw: st.DrawFn, least: int = 1, textures: tuple[str, ...] | None = None, empty_rows: bool = False
) -> Arguments:
    """Everything that multi-head attention takes; `least` is the smallest extent, also of the number of heads."""
    batch, queries, keys, heads, head_width = draw(extents(5, edges=(1, 2), least=least, squared=(3, 4)))
    width = heads * head_width
    shapes = ((batch, queries, width), (batch, keys, width), (batch, keys, width))
    query, key, value = draw(arrays(*shapes, textures=textures) if textures else arrays(*shapes))
    weights = dict(zip(WEIGHTS, draw(arrays(*[(width, width)] * 4, textures=PROJECTIONS)), strict=True))
    biases = dict(zip(BIASES, draw(arrays(*[(width,)] * 4, textures=PROJECTIONS)), strict=True))
    mask = draw(st.one_of(st.none(), masks((batch, queries, keys), empty_rows=empty_rows)))
    return {"query": query, "key": key, "value": value, **weights, **biases, "num_heads": heads, "mask": mask}


@st.composite
def blind_projected_states(draw: st.DrawFn) -> Arguments:
    """Some queries may look nowhere."""
    inputs = draw(projected_states(textures=PLAIN))
    mask = draw(masks((*inputs["query"].shape[:2], inputs["key"].shape[1])))
    return {**inputs, "mask": mask & draw(masks((*mask.shape[:2], 1)))}


@operation(inputs=projected_states(), batch=("query", "key", "value", "mask"), differentiable=True)
def multi_head_attention(
    query: Array,
    key: Array,
    value: Array,
    w_q: Array,
    w_k: Array,
    w_v: Array,
    w_o: Array,
    b_q: Array,
    b_k: Array,
    b_v: Array,
    b_o: Array,
    num_heads: int,
    mask: Mask | None,
) -> tuple[Array, Array]:
    """[A_1 V_1, ..., A_H V_H] w_o + b_o, A_h = softmax(Q_h K_hT / sqrt(D / H)), Q = query w_q + b_q, and so on.

    query (B, T, D), key and value (B, S, D), w (D, D), b (D,), mask (B, T, S) bool, True: may look, or None
    ->  output (B, T, D), weights A (B, H, T, S)
    """
    width = query.shape[-1]
    require(num_heads >= 1 and width % num_heads == 0, f"num_heads = {num_heads} does not divide the width {width}")
    require(value.shape[1] == key.shape[1], f"value has {value.shape[1]} positions, key has {key.shape[1]}")
    q, k, v = (
        split_heads(affine(x, w, b), num_heads) for x, w, b in ((query, w_q, b_q), (key, w_k, b_k), (value, w_v, b_v))
    )
    if mask is not None:
        expected = (query.shape[0], query.shape[1], key.shape[1])
        require(mask.shape == expected, f"mask has shape {mask.shape}, expected {expected}")
        mask = np.broadcast_to(mask[:, None], (mask.shape[0], num_heads, *mask.shape[1:]))
    weights = attention_weights(q, k, mask)
    return affine(merge_heads(weights @ v), w_o, b_o), weights


@law()
def weights_are_shares(multi_head_attention: Implementation, inputs: Arguments) -> Claim:
    """Weights are not negative, sum to 1 over the keys, and are 0 where the mask forbids to look."""
    _, weights = multi_head_attention(**inputs)
    seen = np.broadcast_to(allowed(inputs["mask"], inputs["query"], inputs["key"])[:, None], weights.shape)
    return all_of(
        at_most(0.0, weights),
        closely(weights.sum(axis=-1), np.ones(weights.shape[:-1])),
        exactly(weights.value[~seen], np.zeros((~seen).sum())),
    )


def require_whole_heads(num_heads: int, width: int) -> None:
    require(num_heads >= 1 and width % num_heads == 0, "num_heads does not divide the width")


def plain_heads(
    inputs: Arguments,
    split: Callable[[Array, int], Array] = split_heads,
    merge: Callable[[Array], Array] = merge_heads,
    attend: Callable[[Array, Array, Mask | None], Array] = plain_weights,
) -> tuple[Array, Array]:
    """Plain multi-head attention with the parts that faults replace: output and weights."""
    heads, mask = inputs["num_heads"], inputs["mask"]
    require_whole_heads(heads, inputs["query"].shape[-1])
    q, k, v = (
        split(inputs[name] @ inputs[f"w_{name[0]}"] + inputs[f"b_{name[0]}"], heads)
        for name in ("query", "key", "value")
    )
    mask = None if mask is None else np.repeat(mask[:, None], heads, axis=1)
    weights = attend(q, k, mask)
    return merge(weights @ v) @ inputs["w_o"] + inputs["b_o"], weights


@fault(
    multi_head_attention,
    breaks=weights_are_shares,
    kind="mask",
    repair="Negate it on the way.",
    seen="https://github.com/pytorch/pytorch/pull/75039",
)
def takes_the_mask_for_its_opposite(**inputs: Any) -> tuple[Array, Array]:
    """The mask is passed to a module whose masks are True where a query must not look."""
    mask = inputs["mask"]
    return plain_heads({**inputs, "mask": None if mask is None else ~mask})


@law()
def heads_add_up(multi_head_attention: Implementation, inputs: Arguments) -> Claim:
    """The output is b_o plus, for every head, its weights times its values times its rows of w_o."""
    output, weights = multi_head_attention(**inputs)
    heads = inputs["num_heads"]
    values = split_heads(asbounded(inputs["value"]) @ inputs["w_v"] + inputs["b_v"], heads)
    rows = inputs["w_o"].reshape(1, heads, -1, inputs["w_o"].shape[1])
    return closely(output, np.sum(weights @ values @ rows, axis=1) + inputs["b_o"])


@law(inputs=projected_states(least=2))
def unprojected_heads_attend_to_their_own_columns(
    multi_head_attention: Implementation, scaled_dot_product_attention: Implementation, inputs: Arguments
) -> Claim:
    """With identity projections each head is attention on its own slice of the columns, and slices lie side by side."""
    heads, width = inputs["num_heads"], inputs["query"].shape[-1]
    plain = {name: np.eye(width).astype(inputs[name].dtype) for name in WEIGHTS}
    plain |= {name: np.zeros_like(inputs[name]) for name in BIASES}
    output, _ = multi_head_attention(**{**inputs, **plain})
    sliced = {name: split_heads(inputs[name], heads) for name in ("query", "key", "value")}
    mask = inputs["mask"]
    if mask is not None:
        mask = np.repeat(mask[:, None], heads, axis=1)
    return closely(output, merge_heads(scaled_dot_product_attention(**sliced, mask=mask)))


@fault(
    multi_head_attention,
    breaks=unprojected_heads_attend_to_their_own_columns,
    kind="scale",
    repair="Divide by the root of the head width D / H.",
    seen="https://github.com/lucidrains/vit-pytorch/issues/65",
)
def scales_by_the_model_width(**inputs: Any) -> tuple[Array, Array]:
    """Scores are divided by the root of the model width D."""
    scale = inputs["query"].shape[-1] ** -0.5
    return plain_heads(inputs, attend=lambda q, k, mask: plain_weights(q, k, mask, scale=scale))


@fault(
    multi_head_attention,
    breaks=(heads_add_up, unprojected_heads_attend_to_their_own_columns),
    kind="axis",
    repair="Swap heads and positions first.",
    seen="https://github.com/jsbaan/transformer-from-scratch/pull/6",
)
def joins_heads_without_transposing(**inputs: Any) -> tuple[Array, Array]:
    """(B, H, T, d) is reshaped to (B, T, H d), which mixes positions."""
    return plain_heads(inputs, merge=lambda x: x.reshape(x.shape[0], x.shape[2], -1))


@fault(
    multi_head_attention,
    breaks=unprojected_heads_attend_to_their_own_columns,
    kind="axis",
    repair="Reshape to (B, T, H, d), then swap.",
    seen="https://github.com/reczoo/FuxiCTR/issues/30",
)
def splits_heads_without_transposing(**inputs: Any) -> tuple[Array, Array]:
    """(B, T, H d) is reshaped to (B, H, T, d), which mixes positions."""
    return plain_heads(inputs, split=lambda x, heads: x.reshape(x.shape[0], heads, x.shape[1], -1))


@fault(
    multi_head_attention,
    breaks=(heads_add_up, unprojected_heads_attend_to_their_own_columns),
    kind="axis",
    repair="Swap heads and positions both times.",
)
def reshapes_instead_of_transposing(**inputs: Any) -> tuple[Array, Array]:
    """Heads are split off and joined by reshape alone, which mixes positions."""
    return plain_heads(
        inputs,
        split=lambda x, heads: x.reshape(x.shape[0], heads, x.shape[1], -1),
        merge=lambda x: x.reshape(x.shape[0], x.shape[2], -1),
    )


@fault(
    multi_head_attention,
    breaks=(heads_add_up, unprojected_heads_attend_to_their_own_columns),
    kind="axis",
    repair="Reshape to (H, d), not to (d, H).",
)
def interleaves_heads(**inputs: Any) -> tuple[Array, Array]:
    """Head h takes every H-th column instead of d columns in a row."""
    return plain_heads(
        inputs,
        split=lambda x, heads: np.moveaxis(x.reshape(*x.shape[:2], -1, heads), -1, 1),
        merge=lambda x: np.moveaxis(x, 1, -1).reshape(x.shape[0], x.shape[2], -1),
    )


@law(seed=seeds)
def the_order_of_heads_does_not_matter(multi_head_attention: Implementation, inputs: Arguments, seed: int) -> Claim:
    """Permuting the heads' blocks in all four weights permutes the weights and leaves the output as it was."""
    heads, width = inputs["num_heads"], inputs["query"].shape[-1]
    order = np.random.default_rng(seed).permutation(heads)
    columns = np.arange(width).reshape(heads, -1)[order].ravel()
    permuted = {name: inputs[name][..., columns] for name in ("w_q", "w_k", "w_v", "b_q", "b_k", "b_v")}
    output, weights = multi_head_attention(**{**inputs, **permuted, "w_o": inputs["w_o"][columns]})
    before, weights_before = multi_head_attention(**inputs)
    return all_of(closely(output, before), closely(weights, weights_before[:, order]))


@fault(
    multi_head_attention,
    breaks=the_order_of_heads_does_not_matter,
    kind="formula",
    repair="Heads differ by their weights only.",
)
def slopes_by_the_number_of_the_head(**inputs: Any) -> tuple[Array, Array]:
    """Each head has its own bias by distance, so that heads are not alike."""

    def attend(q: Array, k: Array, mask: Mask | None) -> Array:
        slopes = 0.5 * np.arange(1, q.shape[1] + 1)[:, None, None]
        return plain_weights(q, k, mask, bias=(-slopes * distances(q, k)).astype(q.dtype))

    return plain_heads(inputs, attend=attend)


@law(inputs=projected_states(least=2), head=st.integers(0, 9), seed=seeds)
def a_head_knows_only_its_own_columns(
    multi_head_attention: Implementation, inputs: Arguments, head: int, seed: int
) -> Claim:
    """Other columns of w_q and w_k for one head leave the weights of the other heads as they were."""
    heads, width = inputs["num_heads"], inputs["query"].shape[-1]
    chosen = np.arange(width) // (width // heads) == head % heads
    noise = normal(seed, inputs["w_q"].shape, inputs["w_q"])
    other = {name: np.where(chosen, noise, inputs[name]) for name in ("w_q", "w_k")}
    others = np.arange(heads) != head % heads
    after, before = (multi_head_attention(**x)[1][:, others] for x in ({**inputs, **other}, inputs))
    return closely(after, before)


@fault(
    multi_head_attention,
    breaks=(a_head_knows_only_its_own_columns, weights_are_shares),
    kind="axis",
    repair="Take the softmax within each head.",
)
def softmax_over_heads_and_keys(**inputs: Any) -> tuple[Array, Array]:
    """The weights of all heads together sum to 1."""
    return plain_heads(inputs, attend=lambda q, k, mask: plain_weights(q, k, mask, axis=(1, 3)))


@fault(
    multi_head_attention,
    breaks=(heads_add_up, a_head_knows_only_its_own_columns),
    kind="formula",
    repair="Ask for each head's own (average_attn_weights=False).",
    seen="https://docs.pytorch.org/docs/stable/generated/torch.nn.MultiheadAttention.html",
)
def returns_the_mean_of_the_weights(**inputs: Any) -> tuple[Array, Array]:
    """Weights are averaged over the heads, PyTorch's default."""
    output, weights = plain_heads(inputs)
    return output, np.broadcast_to(weights.mean(axis=1, keepdims=True), weights.shape)


@law(inputs=blind_projected_states())
def a_query_that_sees_nothing_gets_the_output_bias(multi_head_attention: Implementation, inputs: Arguments) -> Claim:
    """Where the mask allows no key, weights are 0 and the output is b_o; the other queries do not notice."""
    blind = ~inputs["mask"].any(axis=-1)
    output, weights = multi_head_attention(**inputs)
    others, _ = multi_head_attention(**{**inputs, "mask": inputs["mask"] | blind[..., None]})
    unseen = weights.value.swapaxes(1, 2)[blind]
    return all_of(
        exactly(unseen, np.zeros_like(unseen)),
        closely(output[blind], np.broadcast_to(asbounded(inputs["b_o"]), output[blind].shape)),
        closely(output[~blind], others[~blind]),
    )


@fault(
    multi_head_attention,
    breaks=a_query_that_sees_nothing_gets_the_output_bias,
    kind="boundary",
    repair="Their heads are 0, and then b_o is added.",
)
def a_blind_query_gets_no_bias(**inputs: Any) -> tuple[Array, Array]:
    """Rows that see nothing are set to 0 after the last projection."""
    output, weights = plain_heads(inputs)
    seen = allowed(inputs["mask"], inputs["query"], inputs["key"]).any(axis=-1, keepdims=True)
    return np.where(seen, output, output.dtype.type(0)), weights


@fault(
    multi_head_attention,
    breaks=a_query_that_sees_nothing_gets_the_output_bias,
    kind="mask",
    repair="Its weights are 0.",
    seen="https://github.com/NVIDIA/apex/issues/1390",
)
def a_blind_query_attends_uniformly(**inputs: Any) -> tuple[Array, Array]:
    """Hidden scores are filled with a large negative number, and a row that has no others weighs all keys alike."""
    return plain_heads(inputs, attend=lambda q, k, mask: plain_weights(q, k, mask, fill=-(2.0**100)))


@fault(
    multi_head_attention,
    breaks=a_query_that_sees_nothing_gets_the_output_bias,
    kind="mask",
    repair="Its weights are 0.",
)
def a_blind_query_attends_to_all_keys(**inputs: Any) -> tuple[Array, Array]:
    """A large number is subtracted from hidden scores, and a row that has no others attends to all keys."""

    def attend(q: Array, k: Array, mask: Mask | None) -> Array:
        return plain_weights(q, k, None, bias=np.where(allowed(mask, q, k), 0.0, -(2.0**30)))

    return plain_heads(inputs, attend=attend)


@law(inputs=blind_projected_states(), needs=["gradient"])
def gradients_are_finite_where_a_query_sees_nothing(multi_head_attention: Implementation, inputs: Arguments) -> Claim:
    """One query that sees nothing does not spoil the gradients of the weights, which all queries share."""
    batch, queries, _ = inputs["query"].shape
    shapes = inputs["query"].shape, (batch, inputs["num_heads"], queries, inputs["key"].shape[1])
    cotangents = tuple(np.ones(shape, inputs["query"].dtype) for shape in shapes)
    gradient = multi_head_attention.gradient(cotangents, **inputs)
    finite = np.array([np.isfinite(array).all() for array in gradient.values()])
    return exactly(finite, np.ones(finite.shape, bool))


@fault(
    multi_head_attention,
    breaks=(a_query_that_sees_nothing_gets_the_output_bias, gradients_are_finite_where_a_query_sees_nothing),
    kind="boundary",
    repair="Give it weights 0.",
    seen="https://github.com/pytorch/pytorch/issues/41508",
)
def a_blind_query_spoils_all_gradients(**inputs: Any) -> tuple[Array, Array]:
    """The softmax of a row of -inf is not a number, and backwards it reaches the shared weights."""
    return plain_heads(inputs, attend=bare_weights)


@law(inputs=projected_states(textures=PLAIN), surplus=st.integers(1, 3), examples=20)
def heads_that_do_not_divide_the_width_are_refused(
    multi_head_attention: Implementation, inputs: Arguments, surplus: int
) -> Claim:
    """The width is divided evenly among the heads, so their number has to divide it."""
    width = inputs["query"].shape[-1]
    count = next(n for n in range(width // 2 + surplus, 2 * width + 4) if width % n)
    return refused(multi_head_attention, "num_heads", {**inputs, "num_heads": count})


@fault(
    multi_head_attention,
    breaks=heads_that_do_not_divide_the_width_are_refused,
    kind="refusal",
    repair="Raise ValueError where H does not divide D.",
)
def drops_columns_that_do_not_fit(**inputs: Any) -> tuple[Array, Array]:
    """The head width is rounded down and the last columns are dropped."""
    width = inputs["query"].shape[-1]
    heads = min(inputs["num_heads"], width)
    while width % heads:
        heads -= 1
    return plain_heads({**inputs, "num_heads": heads})


def _self_attention_cost(B: int, T: int, D: int, H: int) -> Cost:
    """Four projections, and two products of all pairs; the weights are a result, too."""
    return Cost(flops=8 * B * T * D**2 + 4 * B * T**2 * D, moved=4 * B * T * D + 4 * D**2 + 4 * D + B * H * T**2)


@workload(
    multi_head_attention,
    sizes={"B": 8, "T": 512, "D": 512, "H": 8},
    cost=_self_attention_cost,
    grows={"T": (128, 256, 1024)},
    gradient=True,
)
def encoder_self_attention(random: np.random.Generator, B: int, T: int, D: int, H: int) -> Arguments:
    """The base Transformer's self-attention over 8 sentences of 512 positions (Vaswani et al. 2017, table 3), every
    position with every other.
    """
    states = random.standard_normal((B, T, D))
    return {
        "query": states,
        "key": states,
        "value": states,
        **{name: matrix(random, D, D) / 4 for name in ("w_q", "w_k")},  # scores whose errors bound the weights' closely
        **{name: matrix(random, D, D) for name in ("w_v", "w_o")},
        **{name: random.standard_normal(D) / 8 for name in ("b_q", "b_k", "b_v", "b_o")},
        "num_heads": H,
        "mask": None,
    }
