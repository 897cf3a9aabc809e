"""One attention, queries over keys under a mask: scaled_dot_product_attention."""

from __future__ import annotations

from typing import Any

import numpy as np

from layerlaws.language import (
    PLAIN,
    Arguments,
    Array,
    Claim,
    Cost,
    Ids,
    Implementation,
    Mask,
    all_of,
    arrays,
    asbounded,
    at_most,
    closely,
    dependence,
    exactly,
    extents,
    fault,
    huge,
    law,
    masks,
    normal,
    operation,
    refused,
    require,
    rewritten,
    root,
    seeds,
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


@st.composite
def attention_states(draw: st.DrawFn, textures: tuple[str, ...] | None = None) -> Arguments:
    """Queries, keys, values and, mostly, a mask; every query may look somewhere."""
    batch, heads, queries, keys, width, value_width = draw(extents(6, edges=(2, 3, 4, 5)))
    shapes = ((batch, heads, queries, width), (batch, heads, keys, width), (batch, heads, keys, value_width))
    query, key, value = draw(arrays(*shapes, textures=textures) if textures else arrays(*shapes))
    mask = draw(st.one_of(st.none(), masks((batch, heads, queries, keys), empty_rows=False)))
    return {"query": query, "key": key, "value": value, "mask": mask}


@st.composite
def visible_states(draw: st.DrawFn) -> Arguments:
    """Small numbers of one size, and one mask for all batches and heads, so that every influence can be seen."""
    batch, heads, queries, keys, width, value_width = draw(extents(6))
    mask = np.broadcast_to(draw(masks((queries, keys))), (batch, heads, queries, keys)).copy()
    shapes = ((batch, heads, queries, width), (batch, heads, keys, width), (batch, heads, keys, value_width))
    query, key, value = draw(arrays(*shapes, textures=PLAIN))
    return {"query": query / 4, "key": key, "value": value, "mask": mask}


@st.composite
def padded_states(draw: st.DrawFn) -> Arguments:
    """A mask that hides the same keys from every query, and some key at least from none."""
    inputs = draw(attention_states())
    kept = draw(masks((inputs["key"].shape[2],), empty_rows=False))
    return {**inputs, "mask": np.broadcast_to(kept, (*inputs["query"].shape[:3], kept.size)).copy()}


@st.composite
def large_logits(draw: st.DrawFn) -> Arguments:
    """Scores of exactly 10,000 and -10,000, of both kinds wherever there are two keys."""
    batch, heads, queries, keys, value_width = draw(extents(5, edges=(2, 3)))
    generator = np.random.default_rng(draw(seeds))
    key = generator.choice([-100.0, 100.0], (batch, heads, keys, 1))
    query = generator.choice([-100.0, 100.0], (batch, heads, queries, 1))
    return {"query": query, "key": key, "value": draw(arrays((batch, heads, keys, value_width))), "mask": None}


@st.composite
def blind_states(draw: st.DrawFn) -> Arguments:
    """Some queries may look nowhere."""
    inputs = draw(attention_states(textures=PLAIN))
    mask = draw(masks((*inputs["query"].shape[:3], inputs["key"].shape[2])))
    return {**inputs, "mask": mask & draw(masks((*mask.shape[:3], 1)))}


@operation(inputs=attention_states(), batch=("query", "key", "value", "mask"), differentiable=True)
def scaled_dot_product_attention(query: Array, key: Array, value: Array, mask: Mask | None) -> Array:
    """softmax(query keyT / sqrt(d) over the keys that the mask allows) value; 0 where it allows none.

    query (B, H, T, d), key (B, H, S, d), value (B, H, S, e), mask (B, H, T, S) bool, True: may look, or None
    ->  (B, H, T, e)
    """
    require(value.shape[-2] == key.shape[-2], f"value has {value.shape[-2]} positions, key has {key.shape[-2]}")
    require(query.shape[-1] == key.shape[-1], f"query is {query.shape[-1]} wide, key {key.shape[-1]}")
    return attention_weights(query, key, mask) @ value


@law()
def results_lie_within_the_values_that_are_seen(
    scaled_dot_product_attention: Implementation, query: Array, key: Array, value: Array, mask: Mask | None
) -> Claim:
    """No component of a result is below the least or above the greatest of the values its query may see."""
    seen, spread = allowed(mask, query, key)[..., None], value[:, :, None].astype(np.float64)
    result = scaled_dot_product_attention(query=query, key=key, value=value, mask=mask)
    least = np.where(seen, spread, np.inf).min(axis=3)
    greatest = np.where(seen, spread, -np.inf).max(axis=3)
    return all_of(at_most(least, result), at_most(result, greatest))


@law(inputs=attention_states(textures=PLAIN))
def weights_compare_as_the_scores_differ(
    scaled_dot_product_attention: Implementation, query: Array, key: Array, value: Array, mask: Mask
) -> Claim:
    """log(w_i / w_j) = query . (key_i - key_j) / sqrt(d); the weights are what comes out for one-hot values."""
    keys = key.shape[2]
    values = np.broadcast_to(np.eye(keys), (*key.shape[:2], keys, keys)).astype(value.dtype)
    logs = np.log(scaled_dot_product_attention(query=query, key=key, value=values, mask=None))
    scores = asbounded(query) @ key.swapaxes(-1, -2) / root(query.shape[-1])
    return closely(logs - logs[..., :1], scores - scores[..., :1])


def _attention(query: Array, key: Array, value: Array, mask: Mask | None, **knobs: Any) -> Array:
    """Plain attention with the knobs of `plain_weights`."""
    require(value.shape[-2] == key.shape[-2], "value and key differ in length")
    return plain_weights(query, key, mask, **knobs) @ value


@fault(
    scaled_dot_product_attention,
    breaks=(weights_compare_as_the_scores_differ, "agrees_with_definition"),
    kind="scale",
    repair="Divide by it.",
    seen="https://github.com/esceptico/perceiver-io/issues/9",
)
def multiplies_scores_by_the_root(query: Array, key: Array, value: Array, mask: Mask | None) -> Array:
    """Scores are multiplied by sqrt(d)."""
    return _attention(query, key, value, mask, scale=query.shape[-1] ** 0.5)


@law(inputs=visible_states(), seed=seeds)
def a_query_sees_what_its_mask_allows(
    scaled_dot_product_attention: Implementation, query: Array, key: Array, value: Array, mask: Mask, seed: int
) -> Claim:
    """Who depends on whom is exactly the mask: the values where it is True, and no others, reach the result."""

    def moved(j: int) -> Arguments:
        place = (slice(None), slice(None), j)
        noise = normal(seed, value[:, :, 0].shape, value) + value.dtype.type(64)
        changed = value if j < 0 else rewritten(value, place, value[place] + noise)
        return {"query": query, "key": key, "value": changed, "mask": mask}

    return exactly(dependence(scaled_dot_product_attention, moved, key.shape[2], axis=2), mask[0, 0])


@law(inputs=padded_states(), seed=seeds)
def hidden_keys_and_values_may_hold_anything(
    scaled_dot_product_attention: Implementation, query: Array, key: Array, value: Array, mask: Mask, seed: int
) -> Claim:
    """Huge keys and values at places that no query may see change nothing."""
    hidden = (slice(None), slice(None), ~mask[0, 0, 0])
    after = scaled_dot_product_attention(
        query=query,
        key=rewritten(key, hidden, normal(seed, key[hidden].shape, key, 100)),
        value=rewritten(value, hidden, huge(value)),
        mask=mask,
    )
    return closely(after, scaled_dot_product_attention(query=query, key=key, value=value, mask=mask))


@fault(
    scaled_dot_product_attention,
    breaks=hidden_keys_and_values_may_hold_anything,
    kind="mask",
    repair="Fill with -inf.",
    seen="https://github.com/google/flax/issues/982",
)
def masks_with_a_finite_number(query: Array, key: Array, value: Array, mask: Mask | None) -> Array:
    """Forbidden scores are set to -100, which large scores undercut."""
    return _attention(query, key, value, mask, fill=-100.0)


@law(inputs=padded_states())
def hidden_keys_may_as_well_be_left_out(
    scaled_dot_product_attention: Implementation, query: Array, key: Array, value: Array, mask: Mask
) -> Claim:
    """Attention under a mask that hides some keys from everybody is attention over the other keys."""
    kept = mask[0, 0, 0]
    whole = scaled_dot_product_attention(query=query, key=key, value=value, mask=mask)
    return closely(
        scaled_dot_product_attention(query=query, key=key[:, :, kept], value=value[:, :, kept], mask=None), whole
    )


@fault(
    scaled_dot_product_attention,
    breaks=(
        a_query_sees_what_its_mask_allows,
        hidden_keys_and_values_may_hold_anything,
        hidden_keys_may_as_well_be_left_out,
    ),
    kind="mask",
    repair="True means: may look; negate it.",
    seen="https://github.com/InseeFrLab/torchTextClassifiers/pull/92",
)
def mask_is_inverted(query: Array, key: Array, value: Array, mask: Mask | None) -> Array:
    """The mask is taken for one that is True where a query must not look."""
    return _attention(query, key, value, None if mask is None else ~mask)


@fault(
    scaled_dot_product_attention,
    breaks=hidden_keys_may_as_well_be_left_out,
    kind="scale",
    repair="Mask the scores, or divide by the new sum.",
)
def masks_weights_without_renormalizing(query: Array, key: Array, value: Array, mask: Mask | None) -> Array:
    """Weights are set to 0 after the softmax and no longer sum to 1."""
    weights = plain_weights(query, key, None)
    return np.where(allowed(mask, query, key), weights, weights.dtype.type(0)) @ value


@law()
def no_mask_is_a_mask_that_allows_everything(
    scaled_dot_product_attention: Implementation, query: Array, key: Array, value: Array
) -> Claim:
    """Without a mask every query sees every key."""
    everything = np.ones((*query.shape[:3], key.shape[2]), bool)
    without = scaled_dot_product_attention(query=query, key=key, value=value, mask=None)
    return closely(without, scaled_dot_product_attention(query=query, key=key, value=value, mask=everything))


@fault(
    scaled_dot_product_attention,
    breaks=no_mask_is_a_mask_that_allows_everything,
    kind="mask",
    repair="None allows everything; a decoder has to ask for its mask.",
)
def no_mask_means_causal(query: Array, key: Array, value: Array, mask: Mask | None) -> Array:
    """Without a mask a causal one is used."""
    causal = np.tril(np.ones((*query.shape[:3], key.shape[2]), bool))
    return _attention(query, key, value, causal if mask is None else mask)


@law()
def a_single_key_gives_its_value(
    scaled_dot_product_attention: Implementation, query: Array, key: Array, value: Array
) -> Claim:
    """One key gets weight 1 whatever its score, so its value comes out for every query."""
    result = scaled_dot_product_attention(query=query, key=key[:, :, :1], value=value[:, :, :1], mask=None)
    return closely(result, np.broadcast_to(value[:, :, :1], result.shape))


@fault(
    scaled_dot_product_attention,
    breaks=(a_single_key_gives_its_value, results_lie_within_the_values_that_are_seen),
    kind="axis",
    repair="It has to run over the keys, the last axis of the scores.",
    seen="https://github.com/labmlai/annotated_deep_learning_paper_implementations/issues/146",
)
def softmax_runs_over_queries(query: Array, key: Array, value: Array, mask: Mask | None) -> Array:
    """The softmax runs over the queries."""
    return _attention(query, key, value, mask, axis=-2)


@law(seed=seeds)
def the_order_of_keys_does_not_matter(
    scaled_dot_product_attention: Implementation, query: Array, key: Array, value: Array, mask: Mask | None, seed: int
) -> Claim:
    """Permuting the keys, with their values and their places in the mask, changes nothing."""
    order = np.random.default_rng(seed).permutation(key.shape[2])
    permuted = scaled_dot_product_attention(
        query=query, key=key[:, :, order], value=value[:, :, order], mask=None if mask is None else mask[..., order]
    )
    return closely(permuted, scaled_dot_product_attention(query=query, key=key, value=value, mask=mask))


@fault(
    scaled_dot_product_attention,
    breaks=the_order_of_keys_does_not_matter,
    kind="formula",
    repair="Order enters by what the rows hold, not by attention.",
)
def weighs_near_keys_more(query: Array, key: Array, value: Array, mask: Mask | None) -> Array:
    """Scores fall with the distance between query and key."""
    return _attention(query, key, value, mask, bias=(-0.5 * distances(query, key)).astype(query.dtype))


@law()
def doubling_all_keys_changes_nothing(
    scaled_dot_product_attention: Implementation, query: Array, key: Array, value: Array, mask: Mask | None
) -> Claim:
    """Every key twice, with its value, halves all weights and doubles what they are given to."""
    twice = scaled_dot_product_attention(
        query=query,
        key=np.concatenate([key, key], axis=2),
        value=np.concatenate([value, value], axis=2),
        mask=None if mask is None else np.concatenate([mask, mask], axis=3),
    )
    return closely(twice, scaled_dot_product_attention(query=query, key=key, value=value, mask=mask))


@fault(
    scaled_dot_product_attention,
    breaks=(doubling_all_keys_changes_nothing, a_single_key_gives_its_value),
    kind="scale",
    repair="Divide by the sum alone.",
)
def softmax_with_one_more_in_the_sum(query: Array, key: Array, value: Array, mask: Mask | None) -> Array:
    """The sum that divides has an extra 1, as if there were another key of value 0."""
    return _attention(query, key, value, mask, extra=1.0)


@law(head=st.integers(0, 9))
def heads_are_independent(
    scaled_dot_product_attention: Implementation, query: Array, key: Array, value: Array, mask: Mask | None, head: int
) -> Claim:
    """Each head comes out as if it had been alone."""
    one = (slice(None), slice(head % query.shape[1], head % query.shape[1] + 1))
    alone = scaled_dot_product_attention(
        query=query[one], key=key[one], value=value[one], mask=None if mask is None else mask[one]
    )
    return closely(alone, scaled_dot_product_attention(query=query, key=key, value=value, mask=mask)[one])


@fault(
    scaled_dot_product_attention,
    breaks=heads_are_independent,
    kind="axis",
    repair="Take the softmax within each head.",
)
def softmax_runs_over_all_heads(query: Array, key: Array, value: Array, mask: Mask | None) -> Array:
    """Weights sum to 1 over all heads and keys together."""
    return _attention(query, key, value, mask, axis=(1, 3))


@law(inputs=large_logits())
def large_logits_stay_finite(
    scaled_dot_product_attention: Implementation, query: Array, key: Array, value: Array
) -> Claim:
    """Where scores are 10,000 and -10,000, the result is finite: the mean of the values with the higher score."""
    scores = query.astype(np.float64) @ key.swapaxes(-1, -2).astype(np.float64)
    highest = scores == scores.max(axis=-1, keepdims=True)
    result = scaled_dot_product_attention(query=query, key=key, value=value, mask=None)
    means = asbounded(highest / highest.sum(axis=-1, keepdims=True), result.format) @ value
    return all_of(exactly(np.isfinite(result.value), np.ones(result.shape, bool)), closely(result, means))


@fault(
    scaled_dot_product_attention,
    breaks=large_logits_stay_finite,
    kind="precision",
    repair="Subtract the greatest score of the row first.",
    seen="https://github.com/dwavesystems/dwave-optimization/issues/555",
)
def exponentiates_scores_as_they_are(query: Array, key: Array, value: Array, mask: Mask | None) -> Array:
    """exp(score) overflows for large scores."""
    return _attention(query, key, value, mask, shift=False)


@law(inputs=blind_states())
def a_query_that_sees_nothing_gets_nothing(
    scaled_dot_product_attention: Implementation, query: Array, key: Array, value: Array, mask: Mask
) -> Claim:
    """Where the mask allows no key the result is 0, and the other queries do not notice."""
    blind = ~mask.any(axis=-1)
    result = scaled_dot_product_attention(query=query, key=key, value=value, mask=mask)
    others = scaled_dot_product_attention(query=query, key=key, value=value, mask=mask | blind[..., None])
    return all_of(
        exactly(result.value[blind], np.zeros_like(result.value[blind])), closely(result[~blind], others[~blind])
    )


@fault(
    scaled_dot_product_attention,
    breaks=a_query_that_sees_nothing_gets_nothing,
    kind="mask",
    repair="Its weights are 0.",
    seen="https://github.com/patrick-kidger/equinox/pull/274",
)
def hides_scores_behind_the_least_number(query: Array, key: Array, value: Array, mask: Mask | None) -> Array:
    """Hidden scores are set to the least number of the format (finfo.min), so that a query that sees nothing gets the
    mean of all values.
    """
    seen = allowed(mask, query, key)
    blind = ~seen.any(axis=-1, keepdims=True)
    everything = np.broadcast_to(1 / np.asarray(key.shape[-2], query.dtype), seen.shape)  # all scores are alike
    return np.where(blind, everything, plain_weights(query, key, mask)) @ value


@law(inputs=blind_states(), needs=["gradient"])
def no_gradient_flows_through_a_query_that_sees_nothing(
    scaled_dot_product_attention: Implementation, query: Array, key: Array, value: Array, mask: Mask
) -> Claim:
    """All gradients are finite, also where some query sees nothing, and that query's own gradient is 0."""
    blind = ~mask.any(axis=-1)
    cotangent = np.ones((*query.shape[:-1], value.shape[-1]), value.dtype)
    gradient = scaled_dot_product_attention.gradient(cotangent, query=query, key=key, value=value, mask=mask)
    finite = np.array([np.isfinite(gradient[name]).all() for name in ("query", "key", "value")])
    return all_of(exactly(finite, np.ones(3, bool)), exactly(gradient["query"][blind], np.zeros_like(query[blind])))


@fault(
    scaled_dot_product_attention,
    breaks=(a_query_that_sees_nothing_gets_nothing, no_gradient_flows_through_a_query_that_sees_nothing),
    kind="boundary",
    repair="Give such a row weights 0.",
    seen="https://github.com/pytorch/pytorch/issues/103749",
)
def nothing_to_see_is_not_a_number(query: Array, key: Array, value: Array, mask: Mask | None) -> Array:
    """The softmax of a row of -inf is 0 / 0, in the result and in all gradients."""
    return bare_weights(query, key, mask) @ value


@law(inputs=attention_states(textures=PLAIN), surplus=st.integers(1, 3), examples=20)
def keys_without_values_are_refused(
    scaled_dot_product_attention: Implementation, query: Array, key: Array, value: Array, surplus: int
) -> Claim:
    """Every key has a value."""
    longer = np.concatenate([key] * (surplus + 1), axis=2)
    return refused(scaled_dot_product_attention, "value", {"query": query, "key": longer, "value": value, "mask": None})


@fault(
    scaled_dot_product_attention,
    breaks=keys_without_values_are_refused,
    kind="refusal",
    repair="Compare them, and raise ValueError.",
    seen="https://github.com/pytorch/pytorch/pull/193728",
)
def counts_keys_by_their_values(query: Array, key: Array, value: Array, mask: Mask | None) -> Array:
    """The number of keys is taken from the values, and more keys are dropped."""
    return _attention(query, key[:, :, : value.shape[2]], value, mask)


@law(inputs=attention_states(textures=PLAIN), surplus=st.integers(1, 3), examples=20)
def a_mask_for_other_keys_is_refused(
    scaled_dot_product_attention: Implementation, query: Array, key: Array, value: Array, surplus: int
) -> Claim:
    """A mask says something of every key, and of no others."""
    mask = np.ones((*query.shape[:3], key.shape[2] + surplus), bool)
    return refused(scaled_dot_product_attention, "mask", {"query": query, "key": key, "value": value, "mask": mask})


@fault(
    scaled_dot_product_attention,
    breaks=a_mask_for_other_keys_is_refused,
    kind="refusal",
    repair="Compare its shape with that of the scores, and raise ValueError.",
)
def cuts_the_mask_to_fit(query: Array, key: Array, value: Array, mask: Mask | None) -> Array:
    """A mask for more keys than there are is cut."""
    return _attention(query, key, value, None if mask is None else mask[..., : key.shape[2]])


def _lengths(B: int, S: int) -> Ids:
    """Sentences of S positions, of half as many, and of lengths between."""
    return np.linspace(S, (S + 1) // 2, B).astype(np.int64)


def _padded_cost(B: int, H: int, T: int, S: int, d: int) -> Cost:
    """Two products of the pairs that are no padding."""
    keys = int(_lengths(B, S).sum())
    return Cost(flops=4 * H * T * keys * d, moved=2 * B * H * T * d + 2 * H * keys * d)


@workload(
    scaled_dot_product_attention, sizes={"B": 8, "H": 8, "T": 512, "S": 512, "d": 64}, cost=_padded_cost, gradient=True
)
def padded_attention(random: np.random.Generator, B: int, H: int, T: int, S: int, d: int) -> Arguments:
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
