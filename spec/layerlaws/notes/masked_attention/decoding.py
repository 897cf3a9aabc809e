"""Self-attention that sees no future: masked_self_attention."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

from layerlaws.language import (
    PLAIN,
    Arguments,
    Array,
    Claim,
    Cost,
    Implementation,
    Mask,
    all_of,
    arrays,
    at_moderate_sizes,
    bit_for_bit,
    closely,
    dependence,
    exactly,
    extents,
    fault,
    huge,
    law,
    normal,
    operation,
    refused,
    require,
    rewritten,
    root,
    seeds,
    softmax,
    workload,
)
from layerlaws.language import strategies as st
from layerlaws.notes.masked_attention.masks import causal_mask


@st.composite
def decoder_states(draw: st.DrawFn, cached: bool = True) -> Arguments:
    """Queries, and at least as many keys and values; without a cache, as many."""
    batch, heads, queries, width, value_width, earlier = draw(extents(6, edges=(2, 3, 5), squared=(2,)))
    keys = queries + earlier - 1 if cached and draw(st.booleans()) else queries
    query, key, value = draw(
        arrays((batch, heads, queries, width), (batch, heads, keys, width), (batch, heads, keys, value_width))
    )
    return {"query": query, "key": key, "value": value}


@st.composite
def plain_decoder_states(draw: st.DrawFn) -> Arguments:
    """Small numbers of one size, and scores near each other, so that every influence can be seen."""
    batch, heads, keys, width, value_width = draw(extents(5))
    queries = draw(st.integers(1, keys))
    key, value = draw(arrays((batch, heads, keys, width), (batch, heads, keys, value_width), textures=PLAIN))
    query = draw(arrays((batch, heads, queries, width), textures=PLAIN)) / 4
    return {"query": query, "key": key, "value": value}


@operation(inputs=decoder_states(), batch=("query", "key", "value"), differentiable=True)
def masked_self_attention(query: Array, key: Array, value: Array) -> Array:
    """softmax(query keyT / sqrt(d) over keys j <= i + S - T) value.

    query (B, H, T, d), key (B, H, S, d), value (B, H, S, e), S >= T  ->  (B, H, T, e)
    """
    length, keys = query.shape[-2], key.shape[-2]
    require(length <= keys, f"query has {length} positions, more than the {keys} of key")
    require(value.shape[-2] == keys, f"value has {value.shape[-2]} positions, key has {keys}")
    scores = query @ key.swapaxes(-1, -2) / root(query.shape[-1])  # (B, H, T, S)
    return softmax(scores, where=causal_mask(length, keys)) @ value


def _attention(
    query: Array,
    key: Array,
    value: Array,
    seen: Mask,
    scale: float | None = None,
    axis: int = -1,
    fill: float = -np.inf,
    least: float = -np.inf,
) -> Array:
    """Plain attention with the knobs that faults turn."""
    require(query.shape[-2] <= key.shape[-2], "query is longer than key")
    scores = query @ key.swapaxes(-1, -2) * (query.shape[-1] ** -0.5 if scale is None else scale)
    scores = np.where(seen, scores, np.asarray(fill, query.dtype))
    weights = np.exp(scores - np.maximum(np.max(scores, axis=axis, keepdims=True), least))
    return weights / np.sum(weights, axis=axis, keepdims=True) @ value


def _staircase(query: Array, key: Array, offset: int | None = None) -> Mask:
    length, keys = query.shape[-2], key.shape[-2]
    return np.tril(np.ones((length, keys), bool), keys - length if offset is None else offset)


@fault(
    masked_self_attention,
    breaks="agrees_with_definition",
    kind="scale",
    repair="Divide by the root of the head width d.",
    seen="https://github.com/lucidrains/vit-pytorch/issues/65",
)
def scales_by_the_model_width(query: Array, key: Array, value: Array) -> Array:
    """Scores are divided by the root of the model width H d."""
    return _attention(query, key, value, _staircase(query, key), (query.shape[1] * query.shape[-1]) ** -0.5)


@fault(
    masked_self_attention,
    breaks="agrees_with_definition",
    kind="scale",
    repair="Divide by it.",
    seen="https://github.com/esceptico/perceiver-io/issues/9",
)
def multiplies_by_the_root(query: Array, key: Array, value: Array) -> Array:
    """Scores are multiplied by sqrt(d)."""
    return _attention(query, key, value, _staircase(query, key), query.shape[-1] ** 0.5)


@fault(
    masked_self_attention,
    breaks="agrees_with_definition",
    kind="size",
    repair="Mask every tile.",
)
def forgets_the_mask_beyond_the_first_tile(query: Array, key: Array, value: Array) -> Array:
    """Positions from 64 on see everything: a tiled kernel that masks its first tile only."""
    return _attention(query, key, value, _staircase(query, key) | (np.arange(query.shape[-2]) >= 64)[:, None])


@law(inputs=plain_decoder_states(), seed=seeds)
def no_position_sees_the_future(
    masked_self_attention: Implementation, query: Array, key: Array, value: Array, seed: int
) -> Claim:
    """Who depends on whom is exactly the lower triangle: nothing above it, and all on and below it alive."""
    length, keys = query.shape[-2], key.shape[-2]

    def moved(j: int) -> Arguments:
        if j < 0:
            return {"query": query, "key": key, "value": value}
        place = (slice(None), slice(None), j)
        noise = normal(seed, value[place].shape, value) + value.dtype.type(64)
        return {"query": query, "key": key, "value": rewritten(value, place, value[place] + noise)}

    expected = np.arange(keys) <= np.arange(length)[:, None] + keys - length
    return exactly(dependence(masked_self_attention, moved, keys, axis=2), expected)


@law(seed=seeds, cut=st.integers(0, 5))
def the_future_may_hold_anything(
    masked_self_attention: Implementation, query: Array, key: Array, value: Array, seed: int, cut: int
) -> Claim:
    """Huge keys and values after a position leave it, and all before it, as they were."""
    length, keys = query.shape[-2], key.shape[-2]
    row = cut % length
    later = (slice(None), slice(None), slice(row + keys - length + 1, None))
    before = masked_self_attention(query=query, key=key, value=value)
    after = masked_self_attention(
        query=query,
        key=rewritten(key, later, normal(seed, key[later].shape, key, 100)),
        value=rewritten(value, later, huge(value)),
    )
    return closely(after[:, :, : row + 1], before[:, :, : row + 1])


@fault(
    masked_self_attention,
    breaks=the_future_may_hold_anything,
    kind="mask",
    repair="Fill with -inf.",
    seen="https://github.com/google/flax/issues/982",
)
def masks_with_a_small_constant(query: Array, key: Array, value: Array) -> Array:
    """Masked scores are set to -100, which large scores undercut."""
    return _attention(query, key, value, _staircase(query, key), fill=-100.0)


@law(inputs=plain_decoder_states(), needs=["gradient"], row=st.integers(0, 9))
def no_gradient_flows_from_the_past_to_the_future(
    masked_self_attention: Implementation, query: Array, key: Array, value: Array, row: int
) -> Claim:
    """The gradient of one position by the values is zero at later positions and alive at all others."""
    length, keys = query.shape[-2], key.shape[-2]
    row %= length
    cotangent = np.zeros((*query.shape[:-1], value.shape[-1]), value.dtype)
    cotangent[:, :, row] = 1
    gradient = masked_self_attention.gradient(cotangent, query=query, key=key, value=value)
    alive = (np.abs(gradient["value"]) > 0).any(axis=(0, 1, 3))
    late = np.arange(keys) > row + keys - length
    return all_of(exactly(alive, ~late), exactly(gradient["key"][:, :, late], np.zeros_like(key[:, :, late])))


MASK_BROKEN = (no_position_sees_the_future, the_future_may_hold_anything, no_gradient_flows_from_the_past_to_the_future)


@fault(
    masked_self_attention,
    breaks=MASK_BROKEN,
    kind="mask",
    repair="Mask above the diagonal.",
    seen="https://github.com/pytorch/pytorch/issues/29546",
)
def masks_the_past_instead(query: Array, key: Array, value: Array) -> Array:
    """The triangle is the wrong way up: each position sees itself and what follows."""
    length, keys = query.shape[-2], key.shape[-2]
    return _attention(query, key, value, np.triu(np.ones((length, keys), bool), keys - length))


@fault(
    masked_self_attention,
    breaks=MASK_BROKEN,
    kind="mask",
    repair="Mask the keys j > i + S - T.",
    seen="https://github.com/huggingface/transformers/issues/48745",
)
def forgets_the_mask(query: Array, key: Array, value: Array) -> Array:
    """No causal mask at all: every position sees every other."""
    return _attention(query, key, value, True)


@fault(
    masked_self_attention,
    breaks=MASK_BROKEN,
    kind="mask",
    repair="The diagonal of the triangle is one too high: it must be S - T.",
    seen="https://github.com/hkproj/pytorch-transformer/issues/19",
)
def mask_off_by_one(query: Array, key: Array, value: Array) -> Array:
    """Each position also sees the next one."""
    return _attention(query, key, value, _staircase(query, key, key.shape[-2] - query.shape[-2] + 1))


@law(length=st.integers(1, 9))
def a_prefix_needs_no_more_than_itself(
    masked_self_attention: Implementation, query: Array, key: Array, value: Array, length: int
) -> Claim:
    """Attention over the first positions alone is the beginning of attention over all."""
    rows = query.shape[-2]
    kept = (length - 1) % rows + 1
    dropped = rows - kept
    whole = masked_self_attention(query=query, key=key, value=value)
    keys = key.shape[-2] - dropped
    prefix = masked_self_attention(query=query[:, :, :kept], key=key[:, :, :keys], value=value[:, :, :keys])
    return closely(prefix, whole[:, :, :kept])


@law(cuts=st.lists(st.integers(1, 9), max_size=3))
def decoding_in_chunks_is_the_parallel_pass(
    masked_self_attention: Implementation, query: Array, key: Array, value: Array, cuts: list[int]
) -> Claim:
    """Decoding in any chunks against a cache of the earlier keys and values gives the rows of the parallel pass."""
    whole = masked_self_attention(query=query, key=key, value=value)
    return closely(_in_chunks(masked_self_attention, query, key, value, cuts), whole)


def _in_chunks(attention: Callable[..., Array], query: Array, key: Array, value: Array, cuts: Iterable[int]) -> Array:
    """Attention for the queries up to each cut, and those up to the end, against the keys and values so far."""
    length, earlier = query.shape[-2], key.shape[-2] - query.shape[-2]
    ends = sorted({cut for cut in cuts if cut < length} | {length})
    chunks = [
        attention(query=query[:, :, start:end], key=key[:, :, : earlier + end], value=value[:, :, : earlier + end])
        for start, end in zip([0, *ends[:-1]], ends, strict=True)
    ]
    return np.concatenate(chunks, axis=2)


@fault(
    masked_self_attention,
    breaks=decoding_in_chunks_is_the_parallel_pass,
    kind="shift",
    repair="Queries are the last positions: allow j <= i + S - T.",
    seen="https://github.com/pytorch/pytorch/issues/103082",
)
def mask_aligned_to_the_first_key(query: Array, key: Array, value: Array) -> Array:
    """With a cache, query 0 is lined up with key 0."""
    return _attention(query, key, value, _staircase(query, key, 0))


@law(inputs=at_moderate_sizes(decoder_states()), size=st.sampled_from((1, 5, 16)), kind="exact", examples=6)
def chunks_change_no_bit_of_the_parallel_pass(
    masked_self_attention: Implementation, query: Array, key: Array, value: Array, size: int
) -> Claim:
    """Decoding position by position, or in chunks, against a cache gives the same bits as the parallel pass."""
    cuts = range(size, query.shape[-2], size)
    whole = masked_self_attention.results(query=query, key=key, value=value)
    chunks = _in_chunks(masked_self_attention.results, query, key, value, cuts)
    one, other = (np.moveaxis(x, 2, 0) for x in (whole, chunks))  # a row is a position
    return bit_for_bit(one, other, ("in the parallel pass", f"in chunks of {size}"))


@fault(
    masked_self_attention,
    breaks=chunks_change_no_bit_of_the_parallel_pass,
    kind="order",
    repair="Split the keys at the same places, whatever the number of queries, if bits are to be the same.",
    seen="https://github.com/vllm-project/vllm/issues/11778",
)
def decodes_in_another_order(query: Array, key: Array, value: Array) -> Array:
    """A decoding step, one query, goes to a kernel of its own, which adds up in another order: last bits differ."""
    length, earlier = query.shape[-2], key.shape[-2] - query.shape[-2]
    require(earlier >= 0, "query is longer than key")
    every = np.ones((1, 1), bool)
    rows = [
        _attention(query[:, :, i : i + 1], key[:, :, : earlier + i + 1], value[:, :, : earlier + i + 1], every)
        for i in range(length)
    ]
    result = np.concatenate(rows, axis=2) if rows else query @ key.swapaxes(-1, -2) @ value
    return np.nextafter(result, np.asarray(np.inf, result.dtype)) if length < key.shape[-2] else result


@law(inputs=decoder_states(cached=False))
def the_first_position_returns_its_own_value(
    masked_self_attention: Implementation, query: Array, key: Array, value: Array
) -> Claim:
    """Without a cache the first position sees only itself, so its weight is 1 and its value comes out."""
    result = masked_self_attention(query=query, key=key, value=value)
    return closely(result[:, :, 0], value[:, :, 0])


@fault(
    masked_self_attention,
    breaks=the_first_position_returns_its_own_value,
    kind="mask",
    repair="Allow j = i + S - T, too.",
)
def strict_mask(query: Array, key: Array, value: Array) -> Array:
    """No position sees itself, and the first sees nothing."""
    return _attention(query, key, value, _staircase(query, key, key.shape[-2] - query.shape[-2] - 1))


@fault(
    masked_self_attention,
    breaks=the_first_position_returns_its_own_value,
    kind="axis",
    repair="It has to run over the keys, the last axis of the scores.",
    seen="https://github.com/labmlai/annotated_deep_learning_paper_implementations/issues/146",
)
def softmax_over_queries(query: Array, key: Array, value: Array) -> Array:
    """The softmax runs over the queries."""
    return _attention(query, key, value, _staircase(query, key), axis=-2)


@law()
def a_query_of_zeros_gives_the_running_mean(
    masked_self_attention: Implementation, query: Array, key: Array, value: Array
) -> Claim:
    """With query 0 all seen keys weigh the same: each position gets the mean of the values up to it."""
    length, keys = query.shape[-2], key.shape[-2]
    result = masked_self_attention(query=np.zeros_like(query), key=key, value=value)
    counts = np.arange(keys - length + 1, keys + 1)[:, None]
    means = np.cumsum(value.astype(result.value.dtype), axis=2)[:, :, keys - length :] / counts
    return closely(result, means)


@fault(
    masked_self_attention,
    breaks=(a_query_of_zeros_gives_the_running_mean, a_prefix_needs_no_more_than_itself),
    kind="scale",
    repair="Mask the scores, or divide by the new sum.",
)
def masks_after_the_softmax(query: Array, key: Array, value: Array) -> Array:
    """Weights are zeroed after the softmax and no longer sum to 1."""
    everything = np.broadcast_to(np.eye(key.shape[-2]), (*key.shape[:2], key.shape[-2], key.shape[-2]))
    weights = _attention(query, key, everything.astype(key.dtype), True)
    return np.where(_staircase(query, key), weights, 0) @ value


@law(inputs=decoder_states(cached=False), seed=seeds)
def positions_may_be_permuted_with_their_mask(
    masked_self_attention: Implementation,
    scaled_dot_product_attention: Implementation,
    query: Array,
    key: Array,
    value: Array,
    seed: int,
) -> Claim:
    """The order of positions enters by the mask alone: attention over permuted positions under the mask permuted
    in the same way gives the permuted results.
    """
    order = np.random.default_rng(seed).permutation(query.shape[-2])
    seen = np.tril(np.ones((query.shape[-2], key.shape[-2]), bool))[order][:, order]
    permuted = scaled_dot_product_attention(
        query=query[:, :, order],
        key=key[:, :, order],
        value=value[:, :, order],
        mask=np.broadcast_to(seen, (*query.shape[:3], key.shape[-2])),
    )
    return closely(permuted, masked_self_attention(query=query, key=key, value=value)[:, :, order])


@fault(
    masked_self_attention,
    breaks=positions_may_be_permuted_with_their_mask,
    kind="formula",
    repair="Leave it out.",
)
def weighs_near_keys_more(query: Array, key: Array, value: Array) -> Array:
    """A bias by distance is added to the scores, so that order matters beyond the mask."""
    reach = np.arange(query.shape[-2])[:, None] + key.shape[-2] - query.shape[-2] - np.arange(key.shape[-2])
    scores = query @ key.swapaxes(-1, -2) * query.shape[-1] ** -0.5 - 0.5 * np.abs(reach)
    weights = np.where(_staircase(query, key), np.exp(scores - scores.max(-1, keepdims=True)), 0)
    return weights / weights.sum(-1, keepdims=True) @ value


@law(inputs=plain_decoder_states(), surplus=st.integers(1, 3), examples=20)
def more_queries_than_keys_are_refused(
    masked_self_attention: Implementation, query: Array, key: Array, value: Array, surplus: int
) -> Claim:
    """Queries are the last of the keys' positions, so there cannot be more of them."""
    kept = max(query.shape[-2] - surplus, 0)
    return refused(
        masked_self_attention, "query", {"query": query, "key": key[:, :, :kept], "value": value[:, :, :kept]}
    )


@fault(
    masked_self_attention,
    breaks=more_queries_than_keys_are_refused,
    kind="refusal",
    repair="Compare the lengths first.",
)
def accepts_more_queries_than_keys(query: Array, key: Array, value: Array) -> Array:
    """More queries than keys give numbers instead of ValueError."""
    surplus = max(query.shape[-2] - key.shape[-2], 0)
    kept = query[:, :, surplus:]
    if not key.shape[-2]:
        return np.zeros((*query.shape[:-1], value.shape[-1]), value.dtype)
    result = _attention(kept, key, value, _staircase(kept, key))
    return np.concatenate([np.zeros((*query.shape[:2], surplus, value.shape[-1]), value.dtype), result], axis=2)


def _causal_cost(B: int, H: int, T: int, S: int, d: int) -> Cost:
    """Two products of the pairs that are not masked."""
    pairs = T * S - T * (T - 1) // 2
    return Cost(flops=4 * B * H * pairs * d, moved=2 * B * H * (T + S) * d)


def _heads(random: np.random.Generator, B: int, H: int, T: int, S: int, d: int) -> Arguments:
    query, key, value = (random.standard_normal((B, H, length, d)) for length in (T, S, S))
    return {"query": query, "key": key, "value": value}


@workload(
    masked_self_attention,
    sizes={"B": 8, "H": 8, "T": 512, "d": 64},
    cost=lambda B, H, T, d: _causal_cost(B, H, T, T, d),
    grows={"T": (128, 256, 1024, 2048)},
    gradient=True,
)
def decoder_self_attention(random: np.random.Generator, B: int, H: int, T: int, d: int) -> Arguments:
    """The heads of the base Transformer's decoder (Vaswani et al. 2017, table 3) in training: all 512 positions of 8
    sentences in one pass.
    """
    return _heads(random, B, H, T, T, d)


@workload(masked_self_attention, sizes={"B": 8, "H": 8, "T": 1, "S": 4096, "d": 64}, cost=_causal_cost)
def decoding_step(random: np.random.Generator, B: int, H: int, T: int, S: int, d: int) -> Arguments:
    """The same heads when they write: one new position of 8 sentences against a cache of 4,096."""
    return _heads(random, B, H, T, S, d)
