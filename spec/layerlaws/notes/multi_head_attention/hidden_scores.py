"""What hides a score must be less than every score: visible scores far below zero, beside hidden ones."""

from __future__ import annotations

from typing import Any

import numpy as np

from layerlaws.language import (
    STEEPNESS,
    Arguments,
    Array,
    Claim,
    Format,
    Implementation,
    Mask,
    answers_as,
    far_below,
    fault,
    keys_with_scores,
    law,
    rewritten,
    seeds,
    two_factors,
)
from layerlaws.notes.multi_head_attention.heads import (
    a_query_that_sees_nothing_gets_the_output_bias,
    multi_head_attention,
    plain_heads,
    projected_states,
)
from layerlaws.notes.multi_head_attention.scaled_dot_product import (
    a_query_that_sees_nothing_gets_nothing,
    padded_states,
    scaled_dot_product_attention,
)
from layerlaws.notes.multi_head_attention.weights import allowed, plain_weights


def steep_sizes(kept: Mask, size: float, seed: int) -> Array:
    """-size for what is seen, size or 0 for what is hidden. (..., S)."""
    hidden = np.random.default_rng(seed).choice([0.0, size], kept.shape)
    return np.where(kept, -size, hidden)


@law(inputs=padded_states(), steepness=STEEPNESS, seed=seeds, examples=60)
def visible_scores_may_lie_far_below_hidden_ones(
    scaled_dot_product_attention: Implementation,
    query: Array,
    key: Array,
    value: Array,
    mask: Mask,
    steepness: int,
    seed: int,
    format: Format,
) -> Claim:
    """Where all scores that a query may see are equal, it gets the mean of their values, however far below zero they
    lie, and whatever score is hidden beside them.
    """
    asked, held = two_factors(far_below(format, steepness))
    near = {"query": np.zeros_like(query), "key": np.zeros_like(key), "value": value, "mask": mask}
    far = {
        "query": keys_with_scores(query, asked),
        "key": keys_with_scores(key, steep_sizes(mask[0, 0, 0], held, seed)),
    }
    return answers_as(scaled_dot_product_attention, {**near, **far}, near)


@fault(
    scaled_dot_product_attention,
    breaks=visible_scores_may_lie_far_below_hidden_ones,
    kind="precision",
    repair="Start from minus infinity, or from the first score.",
)
def looks_for_the_greatest_score_from_a_number_on(query: Array, key: Array, value: Array, mask: Mask | None) -> Array:
    """The running maximum starts at -1e9: where all scores lie below, their exponentials vanish and nothing is left."""
    return plain_weights(query, key, mask, least=-1e9) @ value


@fault(
    scaled_dot_product_attention,
    breaks=(visible_scores_may_lie_far_below_hidden_ones, a_query_that_sees_nothing_gets_nothing),
    kind="mask",
    repair="Fill with -inf, and give a query that sees nothing weights 0.",
    seen="https://github.com/EleutherAI/gpt-neox/pull/966",
)
def hides_scores_behind_minus_ten_thousand(query: Array, key: Array, value: Array, mask: Mask | None) -> Array:
    """Hidden scores are set to -10,000; visible ones below that are hidden by them."""
    return plain_weights(query, key, mask, fill=-1e4) @ value


@fault(
    scaled_dot_product_attention,
    breaks=(visible_scores_may_lie_far_below_hidden_ones, a_query_that_sees_nothing_gets_nothing),
    kind="mask",
    repair="Fill with -inf, and give a query that sees nothing weights 0.",
    seen="https://github.com/awslabs/gluonts/pull/1401",
)
def hides_scores_behind_minus_a_billion(query: Array, key: Array, value: Array, mask: Mask | None) -> Array:
    """Hidden scores are set to -1e9; visible ones below that are hidden by them."""
    return plain_weights(query, key, mask, fill=-1e9) @ value


@law(inputs=projected_states(), steepness=STEEPNESS, seed=seeds, examples=60)
def heads_bear_visible_scores_far_below_hidden_ones(
    multi_head_attention: Implementation, inputs: Arguments, steepness: int, seed: int, format: Format
) -> Claim:
    """Where all scores that a query may see are equal, all heads weigh them alike, however far below zero they lie, and
    whatever score is hidden beside them.
    """
    asked, held = two_factors(far_below(format, steepness))
    batch, queries, width = inputs["query"].shape
    kept = np.random.default_rng(seed).random(inputs["key"].shape[1]) < 0.6
    kept[seed % len(kept)] = True
    first = np.arange(width) % (width // inputs["num_heads"]) == 0  # of each head
    sizes = steep_sizes(kept, held, seed)[:, None] * first
    near = {
        **inputs,
        "w_q": np.zeros_like(inputs["w_q"]),
        "b_q": np.zeros_like(inputs["b_q"]),
        "w_k": np.eye(width).astype(inputs["w_k"].dtype),
        "b_k": np.zeros_like(inputs["b_k"]),
        "mask": np.broadcast_to(kept, (batch, queries, len(kept))).copy(),
    }
    far = {
        "b_q": (asked * first).astype(inputs["b_q"].dtype),
        "key": np.broadcast_to(sizes, inputs["key"].shape).astype(inputs["key"].dtype),
    }
    return answers_as(multi_head_attention, {**near, **far}, near)


@fault(
    multi_head_attention,
    breaks=heads_bear_visible_scores_far_below_hidden_ones,
    kind="precision",
    repair="Start from minus infinity, or from the first score.",
)
def starts_the_maximum_at_a_number(**inputs: Any) -> tuple[Array, Array]:
    """The running maximum starts at -1e9: where all scores lie below, their exponentials vanish and nothing is left."""
    return plain_heads(inputs, attend=lambda q, k, mask: plain_weights(q, k, mask, least=-1e9))


@fault(
    multi_head_attention,
    breaks=(heads_bear_visible_scores_far_below_hidden_ones, a_query_that_sees_nothing_gets_the_output_bias),
    kind="mask",
    repair="Fill with -inf, and give a query that sees nothing weights 0.",
    seen="https://github.com/EleutherAI/gpt-neox/pull/966",
)
def fills_with_minus_ten_thousand(**inputs: Any) -> tuple[Array, Array]:
    """Hidden scores are set to -10,000; visible ones below that are hidden by them."""
    return plain_heads(inputs, attend=lambda q, k, mask: plain_weights(q, k, mask, fill=-1e4))


@fault(
    multi_head_attention,
    breaks=(heads_bear_visible_scores_far_below_hidden_ones, a_query_that_sees_nothing_gets_the_output_bias),
    kind="mask",
    repair="Fill with -inf, and give a query that sees nothing weights 0.",
    seen="https://github.com/awslabs/gluonts/pull/1401",
)
def fills_with_minus_a_billion(**inputs: Any) -> tuple[Array, Array]:
    """Hidden scores are set to -1e9; visible ones below that are hidden by them."""
    return plain_heads(inputs, attend=lambda q, k, mask: plain_weights(q, k, mask, fill=-1e9))


@fault(
    multi_head_attention,
    breaks=a_query_that_sees_nothing_gets_the_output_bias,
    kind="mask",
    repair="Give a query that sees nothing weights 0.",
    seen="https://github.com/patrick-kidger/equinox/pull/274",
)
def fills_with_the_least_number(**inputs: Any) -> tuple[Array, Array]:
    """Hidden scores are set to the least number of the format (finfo.min), so that a query that sees nothing weighs all
    keys alike.
    """

    def attend(q: Array, k: Array, mask: Mask | None) -> Array:
        seen = allowed(mask, q, k)
        alike = np.broadcast_to(1 / np.asarray(k.shape[-2], q.dtype), seen.shape)
        return np.where(seen.any(axis=-1, keepdims=True), plain_weights(q, k, mask), alike)

    return plain_heads(inputs, attend=attend)


@law(inputs=padded_states(), examples=20)
def a_hidden_key_may_be_no_number(
    scaled_dot_product_attention: Implementation, query: Array, key: Array, value: Array, mask: Mask
) -> Claim:
    """Keys that are not numbers at places that no query may see change nothing: their scores are not looked at."""
    inputs = {"query": query, "key": key, "value": value, "mask": mask}
    spoiled = rewritten(key, np.s_[:, :, ~mask[0, 0, 0]], np.nan)
    return answers_as(scaled_dot_product_attention, {**inputs, "key": spoiled}, inputs)


@fault(
    scaled_dot_product_attention,
    breaks=a_hidden_key_may_be_no_number,
    kind="mask",
    repair="Set hidden scores to -inf; do not add to them.",
    seen="https://github.com/pytorch/pytorch/issues/101967",
)
def adds_minus_infinity_to_hidden_scores(query: Array, key: Array, value: Array, mask: Mask | None) -> Array:
    """The mask is added to the scores, and what is not a number stays so, and makes the whole row so."""
    scores = query @ key.swapaxes(-1, -2)
    spoiled = np.where(np.isnan(scores).any(axis=-1, keepdims=True), np.nan, 1.0).astype(query.dtype)
    return plain_weights(query, key, mask) @ value * spoiled
