"""A decoder whose visible scores lie far below those of the future: what hides a score must be less than any score."""

from __future__ import annotations

import numpy as np

from layerlaws.language import (
    FORMATS,
    STEEPNESS,
    Array,
    Claim,
    Format,
    Implementation,
    answers_as,
    answers_where,
    far_below,
    fault,
    keys_with_scores,
    law,
    require,
    rewritten,
    seeds,
    softmax,
    two_factors,
)
from layerlaws.language import strategies as st
from layerlaws.notes.masked_attention.decoding import _attention, _staircase, masked_self_attention


def _asking_once(query: Array, row: int, size: float) -> Array:
    """Queries of zeros, but for one, which asks for the first component of keys."""
    sizes = np.zeros(query.shape[-2])
    sizes[row] = size
    return keys_with_scores(query, sizes)


@law(steepness=STEEPNESS, seed=seeds, row=st.integers(0, 300), examples=60)
def the_past_may_score_far_below_the_future(
    masked_self_attention: Implementation,
    query: Array,
    key: Array,
    value: Array,
    steepness: int,
    seed: int,
    row: int,
    format: Format,
) -> Claim:
    """Where all scores of a position and of those before it are equal, it gets the mean of their values, however far
    below zero they lie, and whatever the scores of later positions are.
    """
    asked, held = two_factors(far_below(format, steepness))
    row %= query.shape[-2]
    later = np.arange(key.shape[-2]) > row + key.shape[-2] - query.shape[-2]
    sizes = np.where(later, np.random.default_rng(seed).choice([0.0, held], later.shape), -held)
    near = {"query": np.zeros_like(query), "key": key, "value": value}
    far = {"query": _asking_once(query, row, asked), "key": keys_with_scores(key, sizes)}
    return answers_as(masked_self_attention, {**near, **far}, near)


@fault(
    masked_self_attention,
    breaks=the_past_may_score_far_below_the_future,
    kind="precision",
    repair="Start from minus infinity, or from the first score.",
)
def starts_the_running_maximum_at_a_number(query: Array, key: Array, value: Array) -> Array:
    """The running maximum starts at -1e9: where all scores lie below, their exponentials vanish and nothing is left."""
    return _attention(query, key, value, _staircase(query, key), least=-1e9)


@fault(
    masked_self_attention,
    breaks=the_past_may_score_far_below_the_future,
    kind="mask",
    repair="Fill with -inf.",
    seen="https://github.com/huggingface/transformers/issues/14859",
)
def fills_the_future_with_minus_ten_thousand(query: Array, key: Array, value: Array) -> Array:
    """Scores of later positions are set to -10,000; visible ones below that are hidden by them."""
    return _attention(query, key, value, _staircase(query, key), fill=-1e4)


@fault(
    masked_self_attention,
    breaks=the_past_may_score_far_below_the_future,
    kind="mask",
    repair="Fill with -inf.",
    seen="https://github.com/awslabs/gluonts/pull/1401",
)
def fills_the_future_with_minus_a_billion(query: Array, key: Array, value: Array) -> Array:
    """Scores of later positions are set to -1e9; visible ones below that are hidden by them."""
    return _attention(query, key, value, _staircase(query, key), fill=-1e9)


@law(row=st.integers(0, 300))
def the_future_may_score_as_high_as_numbers_get(
    masked_self_attention: Implementation, query: Array, key: Array, value: Array, row: int, format: Format
) -> Claim:
    """Where later positions score as high as the greatest number of the format, a position gets the mean of the values
    up to it, whose scores are 0.
    """
    row %= query.shape[-2]
    later = np.arange(key.shape[-2]) > row + key.shape[-2] - query.shape[-2]
    greatest = np.asarray(format.largest).astype(key.dtype)
    single = np.zeros_like(key[..., :1])  # of one component, so that no scale is in the way
    near = {"query": np.zeros_like(query[..., :1]), "key": single, "value": value}
    far = {
        "query": _asking_once(query[..., :1], row, 1.0),
        "key": rewritten(single, np.s_[:, :, later], greatest),
    }
    return answers_as(masked_self_attention, {**near, **far}, near)


@fault(
    masked_self_attention,
    breaks=the_future_may_score_as_high_as_numbers_get,
    kind="mask",
    repair="Set such scores to -inf; do not add to them.",
    seen="https://github.com/huggingface/transformers/pull/17306",
)
def adds_the_least_number_to_the_future(query: Array, key: Array, value: Array) -> Array:
    """The least number of the format (finfo.min) is added to scores of later positions, and the greatest become 0."""
    require(query.shape[-2] <= key.shape[-2], "query is longer than key")
    scores = (query @ key.swapaxes(-1, -2) * query.shape[-1] ** -0.5).astype(query.dtype)
    scores[..., ~_staircase(query, key)] -= np.asarray(FORMATS[query.dtype.name].largest, query.dtype)
    return softmax(scores) @ value


@law(row=st.integers(0, 300), examples=20)
def a_later_key_may_be_no_number(
    masked_self_attention: Implementation, query: Array, key: Array, value: Array, row: int
) -> Claim:
    """Keys that are not numbers after a position leave it, and all before it, as they were."""
    row %= query.shape[-2]
    later = np.arange(key.shape[-2]) > row + key.shape[-2] - query.shape[-2]
    inputs = {"query": query, "key": key, "value": value}
    spoiled = rewritten(key, np.s_[:, :, later], np.nan)
    return answers_where(masked_self_attention, {**inputs, "key": spoiled}, inputs, np.s_[:, :, : row + 1])


@fault(
    masked_self_attention,
    breaks=a_later_key_may_be_no_number,
    kind="mask",
    repair="Set such scores to -inf; do not add to them.",
    seen="https://github.com/pytorch/pytorch/issues/101967",
)
def adds_minus_infinity_to_the_future(query: Array, key: Array, value: Array) -> Array:
    """The mask is added to the scores, and what is not a number stays so, and makes the whole row so."""
    scores = query @ key.swapaxes(-1, -2)
    spoiled = np.where(np.isnan(scores).any(axis=-1, keepdims=True), np.nan, 1.0).astype(query.dtype)
    return _attention(query, key, value, _staircase(query, key)) * spoiled
