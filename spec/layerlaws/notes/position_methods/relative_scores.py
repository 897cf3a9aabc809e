"""Relative attention where visible scores lie far below hidden ones: what hides a score must be less than any score."""

from __future__ import annotations

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
from layerlaws.notes.position_methods.relative import allowed, related, relative_attention
from layerlaws.notes.position_methods.relative_masks import a_query_that_sees_nothing_gets_no_rows


@law(steepness=STEEPNESS, seed=seeds, examples=60)
def related_scores_may_lie_far_below_hidden_ones(
    relative_attention: Implementation, inputs: Arguments, steepness: int, seed: int, format: Format
) -> Claim:
    """Where all scores that a query may see are equal, and no row of the key table tells distances apart, it gets the
    mean of values and their rows, however far below zero the scores lie, and whatever score is hidden beside them.
    """
    asked, held = two_factors(far_below(format, steepness))
    generator = np.random.default_rng(seed)
    kept = generator.random(inputs["key"].shape[2]) < 0.6
    kept[seed % len(kept)] = True
    near = {
        **inputs,
        "query": np.zeros_like(inputs["query"]),
        "key_table": np.zeros_like(inputs["key_table"]),
        "mask": np.broadcast_to(kept, allowed(inputs).shape).copy(),
    }
    far = {
        "query": keys_with_scores(inputs["query"], asked),
        "key": keys_with_scores(inputs["key"], np.where(kept, -held, generator.choice([0.0, held], kept.shape))),
    }
    return answers_as(relative_attention, {**near, **far}, near)


@fault(
    relative_attention,
    breaks=related_scores_may_lie_far_below_hidden_ones,
    kind="precision",
    repair="Start from minus infinity, or from the first score.",
)
def starts_the_greatest_score_at_a_number(
    query: Array, key: Array, value: Array, key_table: Array, value_table: Array, mask: Mask
) -> Array:
    """The running maximum starts at -1e9: where all scores lie below, their exponentials vanish and nothing is left."""
    return related(query, key, value, key_table, value_table, mask, least=-1e9)


FAR_AND_BLIND = (related_scores_may_lie_far_below_hidden_ones, a_query_that_sees_nothing_gets_no_rows)


@fault(
    relative_attention,
    breaks=FAR_AND_BLIND,
    kind="mask",
    repair="Fill with -inf, and give a query that sees nothing weights 0.",
    seen="https://github.com/EleutherAI/gpt-neox/pull/966",
)
def puts_minus_ten_thousand_for_hidden(
    query: Array, key: Array, value: Array, key_table: Array, value_table: Array, mask: Mask
) -> Array:
    """Hidden scores are set to -10,000; visible ones below that are hidden by them."""
    return related(query, key, value, key_table, value_table, mask, fill=-1e4)


@fault(
    relative_attention,
    breaks=FAR_AND_BLIND,
    kind="mask",
    repair="Fill with -inf, and give a query that sees nothing weights 0.",
    seen="https://github.com/awslabs/gluonts/pull/1401",
)
def puts_minus_a_billion_for_hidden(
    query: Array, key: Array, value: Array, key_table: Array, value_table: Array, mask: Mask
) -> Array:
    """Hidden scores are set to -1e9; visible ones below that are hidden by them."""
    return related(query, key, value, key_table, value_table, mask, fill=-1e9)


@fault(
    relative_attention,
    breaks=a_query_that_sees_nothing_gets_no_rows,
    kind="mask",
    repair="Give a query that sees nothing weights 0.",
    seen="https://github.com/patrick-kidger/equinox/pull/274",
)
def puts_the_least_number_for_hidden(
    query: Array, key: Array, value: Array, key_table: Array, value_table: Array, mask: Mask
) -> Array:
    """Hidden scores are set to the least number of the format (finfo.min), so that a query that sees nothing weighs all
    keys alike.
    """
    blind = False if mask is None else ~mask.any(axis=-1, keepdims=True)
    alike = related(np.zeros_like(query), key, value, key_table, value_table, None)
    return np.where(blind, alike, related(query, key, value, key_table, value_table, mask))


@law(seed=seeds, examples=20)
def a_hidden_key_with_a_distance_may_be_no_number(
    relative_attention: Implementation, inputs: Arguments, seed: int
) -> Claim:
    """Keys that are not numbers at places that no query may see change nothing: their scores are not looked at."""
    kept = np.random.default_rng(seed).random(inputs["key"].shape[2]) < 0.6
    kept[seed % len(kept)] = True
    hiding = {**inputs, "mask": np.broadcast_to(kept, allowed(inputs).shape).copy()}
    spoiled = rewritten(inputs["key"], np.s_[:, :, ~kept], np.nan)
    return answers_as(relative_attention, {**hiding, "key": spoiled}, hiding)


@fault(
    relative_attention,
    breaks=a_hidden_key_with_a_distance_may_be_no_number,
    kind="mask",
    repair="Set hidden scores to -inf; do not add to them.",
    seen="https://github.com/pytorch/pytorch/issues/101967",
)
def adds_minus_infinity_for_hidden(
    query: Array, key: Array, value: Array, key_table: Array, value_table: Array, mask: Mask
) -> Array:
    """The mask is added to the scores, and what is not a number stays so, and makes the whole row so."""
    scores = query @ key.swapaxes(-1, -2)
    spoiled = np.where(np.isnan(scores).any(axis=-1, keepdims=True), np.nan, 1.0).astype(query.dtype)
    return related(query, key, value, key_table, value_table, mask) * spoiled
