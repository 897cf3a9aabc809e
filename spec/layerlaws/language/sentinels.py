"""Scores far below zero, where numbers that stand for minus infinity, or for nothing seen yet, are met.

A softmax does not change when one number is added to all scores of a row, however large. Where all scores that count
are equal, no rounding hides that: the weights are those of scores of 0, and so is what they may be off by.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from layerlaws.language import strategies as st
from layerlaws.language.claims import Claim, closely
from layerlaws.language.implementation import Implementation, numbers_of
from layerlaws.numerics.formats import Format

STEEPNESS = st.sampled_from((0, 0, 0, 1, 2, 3))
"""How far below zero scores lie, for `far_below`; 0 is as far as the format bears."""

SLACK = 2.0**6
"""What a correct exponential may be off by in its argument, so that it does not overflow."""


def far_below(format: Format, steepness: int) -> float:
    """A power of two: how far below zero scores lie, 2^8, 2^11, 2^14 or as far as the format bears.

    That is its range, and `SLACK` over the unit roundoff of its sums: a kernel that forms exp2(s log2 e - m log2 e)
    with a fused multiply-add loses half a unit in the last place of s log2 e, which is the same for all equal scores.
    """
    most = math.floor(min(math.log2(SLACK / format.accumulate.unit_roundoff), math.log2(format.keep.largest)))
    return 2.0 ** (most, 14, 11, 8)[steepness]


def two_factors(depth: float) -> tuple[float, float]:
    """Two powers of two with this product, of nearly the same size."""
    first = 2.0 ** (int(math.log2(depth)) // 2)
    return first, depth / first


def answers_as(operation: Implementation, inputs: dict[str, Any], like: dict[str, Any]) -> Claim:
    """The results on inputs are what the definition says of others, on which its results are exactly the same."""
    expected = operation.definition(**like)
    computed = operation.beside(operation.results(**inputs), expected)
    return closely(computed, numbers_of(expected), names=("returned", "expected"))


def answers_where(
    operation: Implementation, inputs: dict[str, Any], like: dict[str, Any], place: Any, number: int | None = None
) -> Claim:
    """The results on inputs are, at a place, what the definition says of others. number: which of several results."""
    expected = operation.definition(**like)
    results = operation.as_many(operation.results(**inputs), expected)
    if number is not None:
        results, expected = results[number], expected[number]
    part = expected[place]
    return closely(operation.beside(results[place], part), part.value)


def softmax_from(scores: Any, start: float) -> Any:
    """What a softmax gives whose running maximum starts at a finite number: for faults."""
    raised = np.exp(scores - np.maximum(np.max(scores, axis=-1, keepdims=True), start))
    return raised / np.sum(raised, axis=-1, keepdims=True)


def log_softmax_from(scores: Any, start: float) -> Any:
    """The same of log_softmax."""
    shifted = scores - np.maximum(np.max(scores, axis=-1, keepdims=True), start)
    return shifted - np.log(np.sum(np.exp(shifted), axis=-1, keepdims=True))


def keys_with_scores(key: Any, sizes: Any) -> Any:
    """Keys whose first component is given and all others 0: their scores are a multiple of it. sizes: (..., S)."""
    made = np.zeros_like(key)
    made[..., 0] = sizes
    return made
