"""Multi-head attention: several small attentions side by side, each on its own slice of the width.

Note of 2021-11-26. A query is compared with every key; the softmax of the scores says how much of each value
it takes (Vaswani et al., Attention Is All You Need, 2017, section 3.2.1). Instead of one attention of width D,
H attentions of width D / H run in parallel on learned projections of the inputs; their results are laid side by
side and projected once more (section 3.2.2).

Claimed: the result of a query is a weighted mean of the values it may see, with weights that depend on scores
only by their differences; the heads know nothing of each other, so their contributions to the output add up.
Not claimed: that heads specialise, or that many heads are better than few.

Conventions. A mask is True where a query may look; torch.nn.MultiheadAttention means the opposite, its bool mask
is True where it must not. A query that may look nowhere gets weights 0, here and in PyTorch's
scaled_dot_product_attention; elsewhere it gets not-a-number or the mean of all values. Weights are (in, out)
and apart; PyTorch packs those of query, key and value as (3 D, D), out before in. Head h owns the columns
[h d, (h + 1) d) of the projections and the same rows of w_o.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from layerlaws import Claim, Cost, all_of, at_most, closely, exactly, fault, law, operation, refused, workload
from layerlaws.language import strategies as st
from layerlaws.language.dependence import dependence
from layerlaws.language.inputs import PLAIN, arrays, extents, huge, masks, normal, rewritten, seeds
from layerlaws.language.workloads import matrix
from layerlaws.numerics.bounded import asbounded
from layerlaws.numerics.mathematics import affine, merge_heads, require, root, softmax, split_heads

# --- inputs ---------------------------------------------------------------------------------------------------

PROJECTIONS = ("integers", "normal", "one-hot", "sparse", "tiny")
"""Textures of weights: none so large that every softmax is saturated."""

WEIGHTS, BIASES = ("w_q", "w_k", "w_v", "w_o"), ("b_q", "b_k", "b_v", "b_o")


@st.composite
def attention_states(draw: st.DrawFn, textures: tuple[str, ...] | None = None) -> dict[str, Any]:
    """Queries, keys, values and, mostly, a mask; every query may look somewhere."""
    batch, heads, queries, keys, width, value_width = draw(extents(6, edges=(2, 3, 4, 5)))
    shapes = ((batch, heads, queries, width), (batch, heads, keys, width), (batch, heads, keys, value_width))
    query, key, value = draw(arrays(*shapes, textures=textures) if textures else arrays(*shapes))
    mask = draw(st.one_of(st.none(), masks((batch, heads, queries, keys), empty_rows=False)))
    return {"query": query, "key": key, "value": value, "mask": mask}


@st.composite
def projected_states(
    draw: st.DrawFn, least: int = 1, textures: tuple[str, ...] | None = None, empty_rows: bool = False
) -> dict[str, Any]:
    """Everything that multi-head attention takes; `least` is the smallest extent, also of the number of heads."""
    batch, queries, keys, heads, head_width = draw(extents(5, edges=(1, 2), least=least))
    width = heads * head_width
    shapes = ((batch, queries, width), (batch, keys, width), (batch, keys, width))
    query, key, value = draw(arrays(*shapes, textures=textures) if textures else arrays(*shapes))
    weights = dict(zip(WEIGHTS, draw(arrays(*[(width, width)] * 4, textures=PROJECTIONS)), strict=True))
    biases = dict(zip(BIASES, draw(arrays(*[(width,)] * 4, textures=PROJECTIONS)), strict=True))
    mask = draw(st.one_of(st.none(), masks((batch, queries, keys), empty_rows=empty_rows)))
    return {"query": query, "key": key, "value": value, **weights, **biases, "num_heads": heads, "mask": mask}


# --- definitions ----------------------------------------------------------------------------------------------


def _weights(query: Any, key: Any, mask: Any) -> Any:
    """softmax(query keyT / sqrt(d)) over the allowed keys. (B, H, T, d), (B, H, S, d) -> (B, H, T, S)."""
    scores = query @ key.swapaxes(-1, -2) / root(query.shape[-1])
    require(mask is None or np.shape(mask) == scores.shape, f"mask has not the shape {scores.shape} of the scores")
    return softmax(scores, where=True if mask is None else mask)


@operation(inputs=attention_states(), batch=("query", "key", "value", "mask"), differentiable=True)
def scaled_dot_product_attention(query: Any, key: Any, value: Any, mask: Any) -> Any:
    """softmax(query keyT / sqrt(d) over the keys that the mask allows) value; 0 where it allows none.

    query (B, H, T, d), key (B, H, S, d), value (B, H, S, e), mask (B, H, T, S) bool, True: may look, or None
    ->  (B, H, T, e)
    """
    require(value.shape[-2] == key.shape[-2], f"value has {value.shape[-2]} positions, key has {key.shape[-2]}")
    require(query.shape[-1] == key.shape[-1], f"query is {query.shape[-1]} wide, key {key.shape[-1]}")
    return _weights(query, key, mask) @ value


@operation(inputs=projected_states(), batch=("query", "key", "value", "mask"), differentiable=True)
def multi_head_attention(
    query: Any, key: Any, value: Any, w_q: Any, w_k: Any, w_v: Any, w_o: Any, b_q: Any, b_k: Any, b_v: Any, b_o: Any,
    num_heads: int, mask: Any,
) -> Any:  # fmt: skip
    """[A_1 V_1, ..., A_H V_H] w_o + b_o, A_h = softmax(Q_h K_hT / sqrt(D / H)), Q = query w_q + b_q, and so on.

    query (B, T, D), key and value (B, S, D), w (D, D), b (D,), mask (B, T, S) bool, True: may look, or None
    ->  output (B, T, D), weights A (B, H, T, S)
    """
    width = query.shape[-1]
    require(num_heads >= 1 and width % num_heads == 0, f"num_heads = {num_heads} does not divide the width {width}")
    require(value.shape[1] == key.shape[1], f"value has {value.shape[1]} positions, key has {key.shape[1]}")
    q, k, v = (split_heads(affine(x, w, b), num_heads) for x, w, b in
               ((query, w_q, b_q), (key, w_k, b_k), (value, w_v, b_v)))  # fmt: skip
    if mask is not None:
        expected = (query.shape[0], query.shape[1], key.shape[1])
        require(mask.shape == expected, f"mask has the shape {mask.shape}, not {expected}")
        mask = np.broadcast_to(mask[:, None], (mask.shape[0], num_heads, *mask.shape[1:]))
    weights = _weights(q, k, mask)
    return affine(merge_heads(weights @ v), w_o, b_o), weights


# --- inputs of single laws ------------------------------------------------------------------------------------


@st.composite
def padded_states(draw: st.DrawFn) -> dict[str, Any]:
    """A mask that hides the same keys from every query, and some key at least from none."""
    inputs = draw(attention_states())
    kept = draw(masks((inputs["key"].shape[2],), empty_rows=False))
    return {**inputs, "mask": np.broadcast_to(kept, (*inputs["query"].shape[:3], kept.size)).copy()}


@st.composite
def visible_states(draw: st.DrawFn) -> dict[str, Any]:
    """Small numbers of one size, and one mask for all batches and heads, so that every influence can be seen."""
    batch, heads, queries, keys, width, value_width = draw(extents(6))
    mask = np.broadcast_to(draw(masks((queries, keys))), (batch, heads, queries, keys)).copy()
    shapes = ((batch, heads, queries, width), (batch, heads, keys, width), (batch, heads, keys, value_width))
    query, key, value = draw(arrays(*shapes, textures=PLAIN))
    return {"query": query / 4, "key": key, "value": value, "mask": mask}


@st.composite
def large_logits(draw: st.DrawFn) -> dict[str, Any]:
    """Scores of exactly 10,000 and -10,000, of both kinds wherever there are two keys."""
    batch, heads, queries, keys, value_width = draw(extents(5, edges=(2, 3)))
    generator = np.random.default_rng(draw(seeds))
    key = generator.choice([-100.0, 100.0], (batch, heads, keys, 1))
    query = generator.choice([-100.0, 100.0], (batch, heads, queries, 1))
    return {"query": query, "key": key, "value": draw(arrays((batch, heads, keys, value_width))), "mask": None}


@st.composite
def blind_states(draw: st.DrawFn) -> dict[str, Any]:
    """Some queries may look nowhere."""
    inputs = draw(attention_states(textures=PLAIN))
    mask = draw(masks((*inputs["query"].shape[:3], inputs["key"].shape[2])))
    return {**inputs, "mask": mask & draw(masks((*mask.shape[:3], 1)))}


@st.composite
def blind_projected_states(draw: st.DrawFn) -> dict[str, Any]:
    """Some queries may look nowhere."""
    inputs = draw(projected_states(textures=PLAIN))
    mask = draw(masks((*inputs["query"].shape[:2], inputs["key"].shape[1])))
    return {**inputs, "mask": mask & draw(masks((*mask.shape[:2], 1)))}


def _allowed(mask: Any, query: Any, key: Any) -> Any:
    """The mask, all of it where there is none. -> (..., T, S) bool."""
    return np.ones((*query.shape[:-1], key.shape[-2]), bool) if mask is None else mask


# --- laws: attention ------------------------------------------------------------------------------------------


@law()
def results_lie_within_the_values_that_are_seen(
    scaled_dot_product_attention: Any, query: Any, key: Any, value: Any, mask: Any
) -> Claim:
    """No component of a result is below the least or above the greatest of the values its query may see."""
    seen, spread = _allowed(mask, query, key)[..., None], value[:, :, None].astype(np.float64)
    result = scaled_dot_product_attention(query=query, key=key, value=value, mask=mask)
    least = np.where(seen, spread, np.inf).min(axis=3)
    greatest = np.where(seen, spread, -np.inf).max(axis=3)
    return all_of(at_most(least, result), at_most(result, greatest))


@law(inputs=attention_states(textures=PLAIN))
def weights_compare_as_the_scores_differ(
    scaled_dot_product_attention: Any, query: Any, key: Any, value: Any, mask: Any
) -> Claim:
    """log(w_i / w_j) = query . (key_i - key_j) / sqrt(d); the weights are what comes out for one-hot values."""
    keys = key.shape[2]
    values = np.broadcast_to(np.eye(keys), (*key.shape[:2], keys, keys)).astype(value.dtype)
    logs = np.log(scaled_dot_product_attention(query=query, key=key, value=values, mask=None))
    scores = asbounded(query) @ key.swapaxes(-1, -2) / root(query.shape[-1])
    return closely(logs - logs[..., :1], scores - scores[..., :1])


@law(inputs=visible_states(), seed=seeds)
def a_query_sees_what_its_mask_allows(
    scaled_dot_product_attention: Any, query: Any, key: Any, value: Any, mask: Any, seed: int
) -> Claim:
    """Who depends on whom is exactly the mask: the values where it is True, and no others, reach the result."""

    def moved(j: int) -> dict[str, Any]:
        place = (slice(None), slice(None), j)
        noise = normal(seed, value[:, :, 0].shape, value) + value.dtype.type(64)
        changed = value if j < 0 else rewritten(value, place, value[place] + noise)
        return {"query": query, "key": key, "value": changed, "mask": mask}

    return exactly(dependence(scaled_dot_product_attention, moved, key.shape[2], axis=2), mask[0, 0])


@law(inputs=padded_states(), seed=seeds)
def hidden_keys_and_values_may_hold_anything(
    scaled_dot_product_attention: Any, query: Any, key: Any, value: Any, mask: Any, seed: int
) -> Claim:
    """Huge keys and values at places that no query may see change nothing."""
    hidden = (slice(None), slice(None), ~mask[0, 0, 0])
    after = scaled_dot_product_attention(
        query=query, key=rewritten(key, hidden, normal(seed, key[hidden].shape, key, 100)),
        value=rewritten(value, hidden, huge(value)), mask=mask,
    )  # fmt: skip
    return closely(after, scaled_dot_product_attention(query=query, key=key, value=value, mask=mask))


@law(inputs=padded_states())
def hidden_keys_may_as_well_be_left_out(
    scaled_dot_product_attention: Any, query: Any, key: Any, value: Any, mask: Any
) -> Claim:
    """Attention under a mask that hides some keys from everybody is attention over the other keys."""
    kept = mask[0, 0, 0]
    whole = scaled_dot_product_attention(query=query, key=key, value=value, mask=mask)
    return closely(
        scaled_dot_product_attention(query=query, key=key[:, :, kept], value=value[:, :, kept], mask=None), whole
    )


@law()
def no_mask_is_a_mask_that_allows_everything(
    scaled_dot_product_attention: Any, query: Any, key: Any, value: Any
) -> Claim:
    """Without a mask every query sees every key."""
    everything = np.ones((*query.shape[:3], key.shape[2]), bool)
    without = scaled_dot_product_attention(query=query, key=key, value=value, mask=None)
    return closely(without, scaled_dot_product_attention(query=query, key=key, value=value, mask=everything))


@law()
def a_single_key_gives_its_value(scaled_dot_product_attention: Any, query: Any, key: Any, value: Any) -> Claim:
    """One key gets weight 1 whatever its score, so its value comes out for every query."""
    result = scaled_dot_product_attention(query=query, key=key[:, :, :1], value=value[:, :, :1], mask=None)
    return closely(result, np.broadcast_to(value[:, :, :1], result.shape))


@law(seed=seeds)
def the_order_of_keys_does_not_matter(
    scaled_dot_product_attention: Any, query: Any, key: Any, value: Any, mask: Any, seed: int
) -> Claim:
    """Permuting the keys, with their values and their places in the mask, changes nothing."""
    order = np.random.default_rng(seed).permutation(key.shape[2])
    permuted = scaled_dot_product_attention(
        query=query, key=key[:, :, order], value=value[:, :, order], mask=None if mask is None else mask[..., order]
    )
    return closely(permuted, scaled_dot_product_attention(query=query, key=key, value=value, mask=mask))


@law()
def doubling_all_keys_changes_nothing(
    scaled_dot_product_attention: Any, query: Any, key: Any, value: Any, mask: Any
) -> Claim:
    """Every key twice, with its value, halves all weights and doubles what they are given to."""
    twice = scaled_dot_product_attention(
        query=query, key=np.concatenate([key, key], axis=2), value=np.concatenate([value, value], axis=2),
        mask=None if mask is None else np.concatenate([mask, mask], axis=3),
    )  # fmt: skip
    return closely(twice, scaled_dot_product_attention(query=query, key=key, value=value, mask=mask))


@law(head=st.integers(0, 9))
def heads_are_independent(
    scaled_dot_product_attention: Any, query: Any, key: Any, value: Any, mask: Any, head: int
) -> Claim:
    """Each head comes out as if it had been alone."""
    one = (slice(None), slice(head % query.shape[1], head % query.shape[1] + 1))
    alone = scaled_dot_product_attention(
        query=query[one], key=key[one], value=value[one], mask=None if mask is None else mask[one]
    )
    return closely(alone, scaled_dot_product_attention(query=query, key=key, value=value, mask=mask)[one])


@law(inputs=large_logits())
def large_logits_stay_finite(scaled_dot_product_attention: Any, query: Any, key: Any, value: Any) -> Claim:
    """Where scores are 10,000 and -10,000, the result is finite: the mean of the values with the higher score."""
    scores = query.astype(np.float64) @ key.swapaxes(-1, -2).astype(np.float64)
    highest = scores == scores.max(axis=-1, keepdims=True)
    result = scaled_dot_product_attention(query=query, key=key, value=value, mask=None)
    means = asbounded(highest / highest.sum(axis=-1, keepdims=True), result.format) @ value
    return all_of(exactly(np.isfinite(result.value), np.ones(result.shape, bool)), closely(result, means))


@law(inputs=blind_states())
def a_query_that_sees_nothing_gets_nothing(
    scaled_dot_product_attention: Any, query: Any, key: Any, value: Any, mask: Any
) -> Claim:
    """Where the mask allows no key the result is 0, and the other queries do not notice."""
    blind = ~mask.any(axis=-1)
    result = scaled_dot_product_attention(query=query, key=key, value=value, mask=mask)
    others = scaled_dot_product_attention(query=query, key=key, value=value, mask=mask | blind[..., None])
    return all_of(
        exactly(result.value[blind], np.zeros_like(result.value[blind])), closely(result[~blind], others[~blind])
    )


@law(inputs=blind_states(), needs=["gradient"])
def no_gradient_flows_through_a_query_that_sees_nothing(
    scaled_dot_product_attention: Any, query: Any, key: Any, value: Any, mask: Any
) -> Claim:
    """All gradients are finite, also where some query sees nothing, and that query's own gradient is 0."""
    blind = ~mask.any(axis=-1)
    cotangent = np.ones((*query.shape[:-1], value.shape[-1]), value.dtype)
    gradient = scaled_dot_product_attention.gradient(cotangent, query=query, key=key, value=value, mask=mask)
    finite = np.array([np.isfinite(gradient[name]).all() for name in ("query", "key", "value")])
    return all_of(exactly(finite, np.ones(3, bool)), exactly(gradient["query"][blind], np.zeros_like(query[blind])))


@law(inputs=attention_states(textures=PLAIN), surplus=st.integers(1, 3), examples=20)
def keys_without_values_are_refused(
    scaled_dot_product_attention: Any, query: Any, key: Any, value: Any, surplus: int
) -> Claim:
    """Every key has a value."""
    longer = np.concatenate([key] * (surplus + 1), axis=2)
    return refused(scaled_dot_product_attention, "value", {"query": query, "key": longer, "value": value, "mask": None})


@law(inputs=attention_states(textures=PLAIN), surplus=st.integers(1, 3), examples=20)
def a_mask_for_other_keys_is_refused(
    scaled_dot_product_attention: Any, query: Any, key: Any, value: Any, surplus: int
) -> Claim:
    """A mask says something of every key, and of no others."""
    mask = np.ones((*query.shape[:3], key.shape[2] + surplus), bool)
    return refused(scaled_dot_product_attention, "mask", {"query": query, "key": key, "value": value, "mask": mask})


# --- laws: many heads -----------------------------------------------------------------------------------------


@law()
def weights_are_shares(multi_head_attention: Any, inputs: dict[str, Any]) -> Claim:
    """Weights are not negative, sum to 1 over the keys, and are 0 where the mask forbids to look."""
    _, weights = multi_head_attention(**inputs)
    seen = np.broadcast_to(_allowed(inputs["mask"], inputs["query"], inputs["key"])[:, None], weights.shape)
    return all_of(
        at_most(0.0, weights),
        closely(weights.sum(axis=-1), np.ones(weights.shape[:-1])),
        exactly(weights.value[~seen], np.zeros((~seen).sum())),
    )


@law()
def heads_add_up(multi_head_attention: Any, inputs: dict[str, Any]) -> Claim:
    """The output is b_o plus, for every head, its weights times its values times its rows of w_o."""
    output, weights = multi_head_attention(**inputs)
    heads = inputs["num_heads"]
    values = split_heads(asbounded(inputs["value"]) @ inputs["w_v"] + inputs["b_v"], heads)
    rows = inputs["w_o"].reshape(1, heads, -1, inputs["w_o"].shape[1])
    return closely(output, np.sum(weights @ values @ rows, axis=1) + inputs["b_o"])


@law(inputs=projected_states(least=2))
def unprojected_heads_attend_to_their_own_columns(
    multi_head_attention: Any, scaled_dot_product_attention: Any, inputs: dict[str, Any]
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


@law(seed=seeds)
def the_order_of_heads_does_not_matter(multi_head_attention: Any, inputs: dict[str, Any], seed: int) -> Claim:
    """Permuting the heads' blocks in all four weights permutes the weights and leaves the output as it was."""
    heads, width = inputs["num_heads"], inputs["query"].shape[-1]
    order = np.random.default_rng(seed).permutation(heads)
    columns = np.arange(width).reshape(heads, -1)[order].ravel()
    permuted = {name: inputs[name][..., columns] for name in ("w_q", "w_k", "w_v", "b_q", "b_k", "b_v")}
    output, weights = multi_head_attention(**{**inputs, **permuted, "w_o": inputs["w_o"][columns]})
    before, weights_before = multi_head_attention(**inputs)
    return all_of(closely(output, before), closely(weights, weights_before[:, order]))


@law(inputs=projected_states(textures=PLAIN), seed=seeds)
def only_inner_products_of_queries_and_keys_count(
    multi_head_attention: Any, inputs: dict[str, Any], seed: int
) -> Claim:
    """Within a head, queries may be multiplied by R and keys by the inverse of R transposed: nothing changes."""
    heads, width = inputs["num_heads"], inputs["query"].shape[-1]
    forward, backward = _change_of_basis(seed, width // heads)

    def changed(x: Any, basis: Any) -> Any:
        blocks = asbounded(x).reshape(*x.shape[:-1], heads, 1, width // heads)
        return (blocks @ basis).reshape(x.shape)

    moved = {"w_q": changed(inputs["w_q"], forward), "b_q": changed(inputs["b_q"], forward),
             "w_k": changed(inputs["w_k"], backward), "b_k": changed(inputs["b_k"], backward)}  # fmt: skip
    return closely(multi_head_attention(**{**inputs, **moved}), multi_head_attention(**inputs))


def _change_of_basis(seed: int, width: int) -> tuple[Any, Any]:
    """A matrix R of small integers and powers of two, and the inverse of its transpose, without any rounding."""
    generator = np.random.default_rng(seed)
    shear = np.zeros((width, width))
    shear[: width // 2, width // 2 :] = generator.integers(-1, 2, (width // 2, width - width // 2))
    scales = 2.0 ** generator.integers(-1, 2, width)
    identity = np.eye(width)  # shear @ shear = 0, so the inverse of identity + shear is identity - shear
    return (identity + shear) * scales, (identity - shear).T / scales


@law(seed=seeds)
def the_bias_of_keys_has_no_effect(multi_head_attention: Any, inputs: dict[str, Any], seed: int) -> Claim:
    """b_k adds the same number to all scores of a query, which the softmax does not notice."""
    other = {**inputs, "b_k": normal(seed, inputs["b_k"].shape, inputs["b_k"])}
    return closely(multi_head_attention(**other), multi_head_attention(**inputs))


@law(inputs=projected_states(textures=PLAIN))
def the_bias_of_values_is_added_as_it_is(multi_head_attention: Any, inputs: dict[str, Any]) -> Claim:
    """Weights sum to 1, so b_v adds b_v w_o to every output."""
    unbiased, _ = multi_head_attention(**{**inputs, "b_v": np.zeros_like(inputs["b_v"])})
    output, _ = multi_head_attention(**inputs)
    return closely(output - unbiased, np.broadcast_to(asbounded(inputs["b_v"])[None] @ inputs["w_o"], output.shape))


@law()
def a_query_of_zeros_gives_the_mean_value(multi_head_attention: Any, inputs: dict[str, Any]) -> Claim:
    """With w_q = 0 and b_q = 0 all keys that are seen weigh the same."""
    blank = {"w_q": np.zeros_like(inputs["w_q"]), "b_q": np.zeros_like(inputs["b_q"])}
    output, weights = multi_head_attention(**{**inputs, **blank})
    seen = _allowed(inputs["mask"], inputs["query"], inputs["key"])
    shares = asbounded(seen / seen.sum(axis=-1, keepdims=True), output.format)
    means = shares @ (asbounded(inputs["value"]) @ inputs["w_v"] + inputs["b_v"])
    return all_of(
        closely(weights, np.broadcast_to(shares[:, None], weights.shape)),
        closely(output, means @ inputs["w_o"] + inputs["b_o"]),
    )


@law(inputs=projected_states(least=2), head=st.integers(0, 9), seed=seeds)
def a_head_knows_only_its_own_columns(multi_head_attention: Any, inputs: dict[str, Any], head: int, seed: int) -> Claim:
    """Other columns of w_q and w_k for one head leave the weights of the other heads as they were."""
    heads, width = inputs["num_heads"], inputs["query"].shape[-1]
    chosen = np.arange(width) // (width // heads) == head % heads
    noise = normal(seed, inputs["w_q"].shape, inputs["w_q"])
    other = {name: np.where(chosen, noise, inputs[name]) for name in ("w_q", "w_k")}
    others = np.arange(heads) != head % heads
    after, before = (multi_head_attention(**x)[1][:, others] for x in ({**inputs, **other}, inputs))
    return closely(after, before)


@law(inputs=blind_projected_states())
def a_query_that_sees_nothing_gets_the_output_bias(multi_head_attention: Any, inputs: dict[str, Any]) -> Claim:
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


@law(inputs=blind_projected_states(), needs=["gradient"])
def gradients_are_finite_where_a_query_sees_nothing(multi_head_attention: Any, inputs: dict[str, Any]) -> Claim:
    """One query that sees nothing does not spoil the gradients of the weights, which all queries share."""
    batch, queries, _ = inputs["query"].shape
    shapes = inputs["query"].shape, (batch, inputs["num_heads"], queries, inputs["key"].shape[1])
    cotangents = tuple(np.ones(shape, inputs["query"].dtype) for shape in shapes)
    gradient = multi_head_attention.gradient(cotangents, **inputs)
    finite = np.array([np.isfinite(array).all() for array in gradient.values()])
    return exactly(finite, np.ones(finite.shape, bool))


@law(inputs=projected_states(textures=PLAIN), surplus=st.integers(1, 3), examples=20)
def heads_that_do_not_divide_the_width_are_refused(
    multi_head_attention: Any, inputs: dict[str, Any], surplus: int
) -> Claim:
    """The width is divided evenly among the heads, so their number has to divide it."""
    width = inputs["query"].shape[-1]
    count = next(n for n in range(width // 2 + surplus, 2 * width + 4) if width % n)
    return refused(multi_head_attention, "num_heads", {**inputs, "num_heads": count})


# --- faults ---------------------------------------------------------------------------------------------------


def _attend(
    query: Any, key: Any, mask: Any, *, scale: float | None = None, axis: int | tuple[int, int] = -1,
    fill: float = -np.inf, bias: Any = 0.0, shift: bool = True, extra: float = 0.0,
) -> Any:  # fmt: skip
    """Weights of plain attention, with the knobs that faults turn; a row that sees nothing gets weights 0."""
    scores = query @ key.swapaxes(-1, -2) * (query.shape[-1] ** -0.5 if scale is None else scale) + bias
    seen = _allowed(mask, query, key)
    require(seen.shape == scores.shape, "mask has not the shape of the scores")
    scores = np.where(seen, scores, fill)
    highest = np.max(scores, axis=axis, keepdims=True) if shift else 0.0
    raised = np.exp(scores - np.where(np.isfinite(highest), highest, 0.0))
    total = np.sum(raised, axis=axis, keepdims=True) + extra
    return np.divide(raised, np.where(total == 0, 1.0, total)).astype(query.dtype)


def _bare_attend(query: Any, key: Any, mask: Any) -> Any:
    """Weights as a mask that is added gives them: not a number where a row has nothing but -inf."""
    hidden = np.where(_allowed(mask, query, key), 0.0, -np.inf).astype(query.dtype)
    scores = query @ key.swapaxes(-1, -2) / root(query.shape[-1]) + hidden
    raised = np.exp(scores - np.max(scores, axis=-1, keepdims=True))
    return raised / np.sum(raised, axis=-1, keepdims=True)


def _attention(query: Any, key: Any, value: Any, mask: Any, **knobs: Any) -> Any:
    """Plain attention with the knobs of `_attend`."""
    require(value.shape[-2] == key.shape[-2], "value and key differ in length")
    return _attend(query, key, mask, **knobs) @ value


def _divides(num_heads: int, width: int) -> None:
    require(num_heads >= 1 and width % num_heads == 0, "num_heads does not divide the width")


def _heads(
    inputs: dict[str, Any], split: Any = split_heads, merge: Any = merge_heads, attend: Any = _attend
) -> tuple[Any, Any]:
    """Plain multi-head attention with the parts that faults replace: output and weights."""
    heads, mask = inputs["num_heads"], inputs["mask"]
    _divides(heads, inputs["query"].shape[-1])
    q, k, v = (split(inputs[name] @ inputs[f"w_{name[0]}"] + inputs[f"b_{name[0]}"], heads)
               for name in ("query", "key", "value"))  # fmt: skip
    mask = None if mask is None else np.repeat(mask[:, None], heads, axis=1)
    weights = attend(q, k, mask)
    return merge(weights @ v) @ inputs["w_o"] + inputs["b_o"], weights


def _distances(query: Any, key: Any) -> Any:
    return np.abs(np.arange(query.shape[-2])[:, None] - np.arange(key.shape[-2]))


@fault(scaled_dot_product_attention, breaks=("weights_compare_as_the_scores_differ", "agrees_with_definition"),
       seen="https://github.com/esceptico/perceiver-io/issues/9")  # fmt: skip
def multiplies_scores_by_the_root(query: Any, key: Any, value: Any, mask: Any) -> Any:
    """Scores are multiplied by sqrt(d). Divide by it."""
    return _attention(query, key, value, mask, scale=query.shape[-1] ** 0.5)


@fault(scaled_dot_product_attention,
       breaks=("a_single_key_gives_its_value", "results_lie_within_the_values_that_are_seen"),
       seen="https://github.com/labmlai/annotated_deep_learning_paper_implementations/issues/146")  # fmt: skip
def softmax_runs_over_queries(query: Any, key: Any, value: Any, mask: Any) -> Any:
    """The softmax runs over the queries. It has to run over the keys, the last axis of the scores."""
    return _attention(query, key, value, mask, axis=-2)


@fault(scaled_dot_product_attention, breaks="heads_are_independent")
def softmax_runs_over_all_heads(query: Any, key: Any, value: Any, mask: Any) -> Any:
    """Weights sum to 1 over all heads and keys together. Take the softmax within each head."""
    return _attention(query, key, value, mask, axis=(1, 3))


@fault(scaled_dot_product_attention,
       breaks=("a_query_sees_what_its_mask_allows", "hidden_keys_and_values_may_hold_anything",
               "hidden_keys_may_as_well_be_left_out"),
       seen="https://github.com/InseeFrLab/torchTextClassifiers/pull/92")  # fmt: skip
def mask_is_inverted(query: Any, key: Any, value: Any, mask: Any) -> Any:
    """The mask is taken for one that is True where a query must not look. True means: may look; negate it."""
    return _attention(query, key, value, None if mask is None else ~mask)


@fault(scaled_dot_product_attention, breaks="no_mask_is_a_mask_that_allows_everything")
def no_mask_means_causal(query: Any, key: Any, value: Any, mask: Any) -> Any:
    """Without a mask a causal one is used. None allows everything; a decoder has to ask for its mask."""
    causal = np.tril(np.ones((*query.shape[:3], key.shape[2]), bool))
    return _attention(query, key, value, causal if mask is None else mask)


@fault(scaled_dot_product_attention, breaks="hidden_keys_may_as_well_be_left_out")
def masks_weights_without_renormalizing(query: Any, key: Any, value: Any, mask: Any) -> Any:
    """Weights are set to 0 after the softmax and no longer sum to 1. Mask the scores, or divide by the new sum."""
    weights = _attend(query, key, None)
    return np.where(_allowed(mask, query, key), weights, weights.dtype.type(0)) @ value


@fault(scaled_dot_product_attention, breaks="hidden_keys_and_values_may_hold_anything",
       seen="https://github.com/google/flax/issues/982")  # fmt: skip
def masks_with_a_finite_number(query: Any, key: Any, value: Any, mask: Any) -> Any:
    """Forbidden scores are set to -100, which large scores undercut. Fill with -inf."""
    return _attention(query, key, value, mask, fill=-100.0)


@fault(scaled_dot_product_attention, breaks="a_query_that_sees_nothing_gets_nothing")
def sees_everything_where_nothing_is_allowed(query: Any, key: Any, value: Any, mask: Any) -> Any:
    """A row whose scores are all the same large negative number gets the mean of all values. Its weights are 0."""
    return _attention(query, key, value, mask, fill=-1e30)


@fault(scaled_dot_product_attention,
       breaks=("a_query_that_sees_nothing_gets_nothing", "no_gradient_flows_through_a_query_that_sees_nothing"),
       seen="https://github.com/pytorch/pytorch/issues/103749")  # fmt: skip
def nothing_to_see_is_not_a_number(query: Any, key: Any, value: Any, mask: Any) -> Any:
    """The softmax of a row of -inf is 0 / 0, in the result and in all gradients. Give such a row weights 0."""
    return _bare_attend(query, key, mask) @ value


@fault(scaled_dot_product_attention, breaks="large_logits_stay_finite",
       seen="https://github.com/dwavesystems/dwave-optimization/issues/555")  # fmt: skip
def exponentiates_scores_as_they_are(query: Any, key: Any, value: Any, mask: Any) -> Any:
    """exp(score) overflows for large scores. Subtract the greatest score of the row first."""
    return _attention(query, key, value, mask, shift=False)


@fault(scaled_dot_product_attention, breaks="the_order_of_keys_does_not_matter")
def weighs_near_keys_more(query: Any, key: Any, value: Any, mask: Any) -> Any:
    """Scores fall with the distance between query and key. Order enters by what the rows hold, not by attention."""
    return _attention(query, key, value, mask, bias=(-0.5 * _distances(query, key)).astype(query.dtype))


@fault(scaled_dot_product_attention, breaks=("doubling_all_keys_changes_nothing", "a_single_key_gives_its_value"))
def softmax_with_one_more_in_the_sum(query: Any, key: Any, value: Any, mask: Any) -> Any:
    """The sum that divides has an extra 1, as if there were another key of value 0. Divide by the sum alone."""
    return _attention(query, key, value, mask, extra=1.0)


@fault(scaled_dot_product_attention, breaks="keys_without_values_are_refused",
       seen="https://github.com/pytorch/pytorch/pull/193728")  # fmt: skip
def counts_keys_by_their_values(query: Any, key: Any, value: Any, mask: Any) -> Any:
    """The number of keys is taken from the values, and more keys are dropped. Compare them, and raise ValueError."""
    return _attention(query, key[:, :, : value.shape[2]], value, mask)


@fault(scaled_dot_product_attention, breaks="a_mask_for_other_keys_is_refused")
def cuts_the_mask_to_fit(query: Any, key: Any, value: Any, mask: Any) -> Any:
    """A mask for more keys than there are is cut. Compare its shape with that of the scores, and raise ValueError."""
    return _attention(query, key, value, None if mask is None else mask[..., : key.shape[2]])


@fault(multi_head_attention, breaks="unprojected_heads_attend_to_their_own_columns",
       seen="https://github.com/lucidrains/vit-pytorch/issues/65")  # fmt: skip
def scales_by_the_model_width(**inputs: Any) -> Any:
    """Scores are divided by the root of the model width D. Divide by the root of the head width D / H."""
    scale = inputs["query"].shape[-1] ** -0.5
    return _heads(inputs, attend=lambda q, k, mask: _attend(q, k, mask, scale=scale))


@fault(multi_head_attention, breaks=("heads_add_up", "unprojected_heads_attend_to_their_own_columns"),
       seen="https://github.com/jsbaan/transformer-from-scratch/pull/6")  # fmt: skip
def joins_heads_without_transposing(**inputs: Any) -> Any:
    """(B, H, T, d) is reshaped to (B, T, H d), which mixes positions. Swap heads and positions first."""
    return _heads(inputs, merge=lambda x: x.reshape(x.shape[0], x.shape[2], -1))


@fault(multi_head_attention, breaks="unprojected_heads_attend_to_their_own_columns",
       seen="https://github.com/reczoo/FuxiCTR/issues/30")  # fmt: skip
def splits_heads_without_transposing(**inputs: Any) -> Any:
    """(B, T, H d) is reshaped to (B, H, T, d), which mixes positions. Reshape to (B, T, H, d), then swap."""
    return _heads(inputs, split=lambda x, heads: x.reshape(x.shape[0], heads, x.shape[1], -1))


@fault(multi_head_attention, breaks=("heads_add_up", "unprojected_heads_attend_to_their_own_columns"))
def reshapes_instead_of_transposing(**inputs: Any) -> Any:
    """Heads are split off and joined by reshape alone, which mixes positions. Swap heads and positions both times."""
    return _heads(
        inputs,
        split=lambda x, heads: x.reshape(x.shape[0], heads, x.shape[1], -1),
        merge=lambda x: x.reshape(x.shape[0], x.shape[2], -1),
    )


@fault(multi_head_attention, breaks=("heads_add_up", "unprojected_heads_attend_to_their_own_columns"))
def interleaves_heads(**inputs: Any) -> Any:
    """Head h takes every H-th column instead of d columns in a row. Reshape to (H, d), not to (d, H)."""
    return _heads(
        inputs,
        split=lambda x, heads: np.moveaxis(x.reshape(*x.shape[:2], -1, heads), -1, 1),
        merge=lambda x: np.moveaxis(x, 1, -1).reshape(x.shape[0], x.shape[2], -1),
    )


@fault(multi_head_attention, breaks="the_order_of_heads_does_not_matter")
def slopes_by_the_number_of_the_head(**inputs: Any) -> Any:
    """Each head has its own bias by distance, so that heads are not alike. Heads differ by their weights only."""

    def attend(q: Any, k: Any, mask: Any) -> Any:
        slopes = 0.5 * np.arange(1, q.shape[1] + 1)[:, None, None]
        return _attend(q, k, mask, bias=(-slopes * _distances(q, k)).astype(q.dtype))

    return _heads(inputs, attend=attend)


@fault(multi_head_attention, breaks="only_inner_products_of_queries_and_keys_count")
def normalizes_queries_and_keys(**inputs: Any) -> Any:
    """Queries and keys are brought to length 1, as some models do. Vaswani et al. use them as they are."""

    def unit(x: Any) -> Any:
        return x / np.sqrt(np.sum(x * x, axis=-1, keepdims=True) + x.dtype.type(1e-6))

    return _heads(inputs, attend=lambda q, k, mask: _attend(unit(q), unit(k), mask))


@fault(multi_head_attention, breaks="the_bias_of_keys_has_no_effect")
def biases_are_another_key(**inputs: Any) -> Any:
    """b_k and b_v stand as one more key and value at the end, as PyTorch's bias_k and bias_v do. Add them to all."""
    _divides(inputs["num_heads"], inputs["query"].shape[-1])

    def longer(x: Any, bias: str) -> Any:
        return np.concatenate([x, np.broadcast_to(inputs[bias], (len(x), 1, x.shape[-1]))], axis=1)

    batch, queries, width = inputs["query"].shape
    mask = inputs["mask"]
    one = np.eye(width, dtype=inputs["w_k"].dtype)
    output, weights = _heads({
        **inputs, "w_k": one, "w_v": one, "b_k": 0 * inputs["b_k"], "b_v": 0 * inputs["b_v"],
        "key": longer(inputs["key"] @ inputs["w_k"], "b_k"), "value": longer(inputs["value"] @ inputs["w_v"], "b_v"),
        "mask": None if mask is None else np.concatenate([mask, np.ones((batch, queries, 1), bool)], axis=2),
    })  # fmt: skip
    return output, weights[..., :-1]


@fault(multi_head_attention, breaks=("the_bias_of_values_is_added_as_it_is", "heads_add_up"))
def forgets_the_bias_of_values(**inputs: Any) -> Any:
    """b_v is left out, as if the softmax undid it like b_k. Weights sum to 1, so b_v reaches the output."""
    return _heads({**inputs, "b_v": np.zeros_like(inputs["b_v"])})


@fault(multi_head_attention, breaks="a_query_of_zeros_gives_the_mean_value")
def each_query_prefers_itself(**inputs: Any) -> Any:
    """Keys at the query's own place score 1 more. Scores come from inner products alone."""

    def attend(q: Any, k: Any, mask: Any) -> Any:
        return _attend(q, k, mask, bias=(_distances(q, k) == 0).astype(q.dtype))

    return _heads(inputs, attend=attend)


@fault(multi_head_attention, breaks=("a_head_knows_only_its_own_columns", "weights_are_shares"))
def softmax_over_heads_and_keys(**inputs: Any) -> Any:
    """The weights of all heads together sum to 1. Take the softmax within each head."""
    return _heads(inputs, attend=lambda q, k, mask: _attend(q, k, mask, axis=(1, 3)))


@fault(multi_head_attention, breaks=("heads_add_up", "a_head_knows_only_its_own_columns"),
       seen="https://docs.pytorch.org/docs/stable/generated/torch.nn.MultiheadAttention.html")  # fmt: skip
def returns_the_mean_of_the_weights(**inputs: Any) -> Any:
    """Weights are averaged over the heads, PyTorch's default. Ask for each head's own (average_attn_weights=False)."""
    output, weights = _heads(inputs)
    return output, np.broadcast_to(weights.mean(axis=1, keepdims=True), weights.shape)


@fault(multi_head_attention, breaks="weights_are_shares", seen="https://github.com/pytorch/pytorch/pull/75039")
def takes_the_mask_for_its_opposite(**inputs: Any) -> Any:
    """The mask is passed to a module whose masks are True where a query must not look. Negate it on the way."""
    mask = inputs["mask"]
    return _heads({**inputs, "mask": None if mask is None else ~mask})


@fault(multi_head_attention,
       breaks=("a_query_that_sees_nothing_gets_the_output_bias", "gradients_are_finite_where_a_query_sees_nothing"),
       seen="https://github.com/pytorch/pytorch/issues/41508")  # fmt: skip
def a_blind_query_spoils_all_gradients(**inputs: Any) -> Any:
    """The softmax of a row of -inf is not a number, and backwards it reaches the shared weights. Give it weights 0."""
    return _heads(inputs, attend=_bare_attend)


@fault(multi_head_attention, breaks="a_query_that_sees_nothing_gets_the_output_bias")
def a_blind_query_gets_no_bias(**inputs: Any) -> Any:
    """Rows that see nothing are set to 0 after the last projection. Their heads are 0, and then b_o is added."""
    output, weights = _heads(inputs)
    seen = _allowed(inputs["mask"], inputs["query"], inputs["key"]).any(axis=-1, keepdims=True)
    return np.where(seen, output, output.dtype.type(0)), weights


@fault(multi_head_attention, breaks="heads_that_do_not_divide_the_width_are_refused")
def drops_columns_that_do_not_fit(**inputs: Any) -> Any:
    """The head width is rounded down and the last columns are dropped. Raise ValueError where H does not divide D."""
    width = inputs["query"].shape[-1]
    heads = min(inputs["num_heads"], width)
    while width % heads:
        heads -= 1
    return _heads({**inputs, "num_heads": heads})


# --- workloads ------------------------------------------------------------------------------------------------


def _self_attention_cost(B: int, T: int, D: int, H: int) -> Cost:
    """Four projections, and two products of all pairs; the weights are a result, too."""
    return Cost(flops=8 * B * T * D**2 + 4 * B * T**2 * D, moved=4 * B * T * D + 4 * D**2 + 4 * D + B * H * T**2)


@workload(multi_head_attention, sizes={"B": 8, "T": 512, "D": 512, "H": 8}, cost=_self_attention_cost,
          grows={"T": (128, 256, 1024)}, gradient=True)  # fmt: skip
def encoder_self_attention(random: np.random.Generator, B: int, T: int, D: int, H: int) -> dict[str, Any]:
    """The base Transformer's self-attention over 8 sentences of 512 positions (Vaswani et al. 2017, table 3), every
    position with every other.
    """
    states = random.standard_normal((B, T, D))
    return {
        "query": states, "key": states, "value": states,
        **{name: matrix(random, D, D) / 4 for name in ("w_q", "w_k")},  # scores whose errors bound the weights' closely
        **{name: matrix(random, D, D) for name in ("w_v", "w_o")},
        **{name: random.standard_normal(D) / 8 for name in ("b_q", "b_k", "b_v", "b_o")},
        "num_heads": H, "mask": None,
    }  # fmt: skip


def _lengths(B: int, S: int) -> Any:
    """Sentences of S positions, of half as many, and of lengths between."""
    return np.linspace(S, (S + 1) // 2, B).astype(np.int64)


def _padded_cost(B: int, H: int, T: int, S: int, d: int) -> Cost:
    """Two products of the pairs that are no padding."""
    keys = int(_lengths(B, S).sum())
    return Cost(flops=4 * H * T * keys * d, moved=2 * B * H * T * d + 2 * H * keys * d)


@workload(scaled_dot_product_attention, sizes={"B": 8, "H": 8, "T": 512, "S": 512, "d": 64}, cost=_padded_cost,
          gradient=True)  # fmt: skip
def padded_attention(random: np.random.Generator, B: int, H: int, T: int, S: int, d: int) -> dict[str, Any]:
    """The heads of the base Transformer (Vaswani et al. 2017, table 3) on 8 sources of 256 to 512 positions; a mask
    hides what is padding.
    """
    seen = np.arange(S) < _lengths(B, S)[:, None]
    return {
        "query": random.standard_normal((B, H, T, d)),
        "key": random.standard_normal((B, H, S, d)),
        "value": random.standard_normal((B, H, S, d)),
        "mask": np.broadcast_to(seen[:, None, None], (B, H, T, S)).copy(),
    }
