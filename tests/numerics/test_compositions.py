"""Other algorithms for the same mathematics: none of them leaves the bound of the definition."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from layerlaws.numerics import mathematics
from layerlaws.numerics.bounded import Bounded, asbounded
from layerlaws.numerics.formats import FORMATS, Format

from .exactness import (
    examples,
    half_used,
    pairwise,
    seeds,
)

# --- compositions: other algorithms for the same mathematics ----------------------------------------------------


def softmax_with_rounded_reciprocal(x: Any) -> Any:
    raised = np.exp(x - np.max(x, -1, keepdims=True))
    return raised * (x.dtype.type(1) / np.sum(raised, -1, keepdims=True))


def softmax_by_powers_of_two(x: Any) -> Any:
    raised = np.exp2((x - np.max(x, -1, keepdims=True)) * x.dtype.type(math.log2(math.e)))
    return raised / np.sum(raised, -1, keepdims=True)


def softmax_online(x: Any, block: int = 4) -> Any:
    """One pass over blocks: the sum so far is rescaled when a larger number comes."""
    highest = np.full((*x.shape[:-1], 1), -np.inf, x.dtype)
    total = np.zeros_like(highest)
    for start in range(0, x.shape[-1], block):
        part = x[..., start : start + block]
        higher = np.maximum(highest, np.max(part, -1, keepdims=True))
        total = total * np.exp(highest - higher) + np.sum(np.exp(part - higher), -1, keepdims=True)
        highest = higher
    return np.exp(x - highest) / total


def softmax_inside_float64(x: Any) -> Any:
    return mathematics.softmax(x.astype(np.float64)).astype(x.dtype)


def softmax_as_exp_of_the_logarithm(x: Any) -> Any:
    """exp(x - max - log(sum)): the logarithm of the sum is rounded at its own size, at most log n."""
    shifted = x - np.max(x, -1, keepdims=True)
    return np.exp(shifted - np.log(np.sum(np.exp(shifted), -1, keepdims=True)))


SOFTMAXES = [mathematics.softmax, softmax_with_rounded_reciprocal, softmax_by_powers_of_two, softmax_online,
             softmax_inside_float64]  # fmt: skip


def log_softmax_in_two_sums(x: Any) -> Any:
    shifted = x - np.max(x, -1, keepdims=True)
    return shifted - np.log(pairwise([np.exp(shifted[..., k : k + 1]) for k in range(x.shape[-1])], np.add))


def log_softmax_inside_float64(x: Any) -> Any:
    return mathematics.log_softmax(x.astype(np.float64)).astype(x.dtype)


def sigmoid_by_cases(x: Any) -> Any:
    one = x.dtype.type(1)
    return np.where(x >= 0, one / (one + np.exp(-np.abs(x))), np.exp(-np.abs(x)) / (one + np.exp(-np.abs(x))))


def sigmoid_that_overflows_inside(x: Any) -> Any:
    return x.dtype.type(1) / (x.dtype.type(1) + np.exp(-x))


SIGMOIDS = [mathematics.sigmoid, sigmoid_by_cases, sigmoid_that_overflows_inside]


def mean_of(x: Any) -> Any:
    return np.sum(x, -1, keepdims=True) * (x.dtype.type(1) / x.dtype.type(x.shape[-1]))


def layer_norm_with_reciprocal_root(x: Any, scale: Any, shift: Any, epsilon: float) -> Any:
    centred = x - mean_of(x)
    root = x.dtype.type(1) / np.sqrt(mean_of(centred * centred) + x.dtype.type(epsilon))
    return centred * root * scale + shift


def layer_norm_with_combined_scale(x: Any, scale: Any, shift: Any, epsilon: float) -> Any:
    centred = x - mean_of(x)
    root = x.dtype.type(1) / np.sqrt(mean_of(centred * centred) + x.dtype.type(epsilon))
    return centred * (root * scale) + shift


def layer_norm_after_welford(x: Any, scale: Any, shift: Any, epsilon: float) -> Any:
    """Mean and squares in one pass (Welford, Technometrics 4(3), 1962)."""
    mean, squares = x[..., :1], np.zeros_like(x[..., :1])
    for k in range(1, x.shape[-1]):
        step = x[..., k : k + 1] - mean
        mean = mean + step / x.dtype.type(k + 1)
        squares = squares + step * (x[..., k : k + 1] - mean)
    return (x - mean) / np.sqrt(squares / x.dtype.type(x.shape[-1]) + x.dtype.type(epsilon)) * scale + shift


def layer_norm_inside_float64(x: Any, scale: Any, shift: Any, epsilon: float) -> Any:
    wide = (y.astype(np.float64) for y in (x, scale, shift))
    return mathematics.layer_norm(*wide, epsilon).astype(x.dtype)


def layer_norm_as_defined(x: Any, scale: Any, shift: Any, epsilon: float) -> Any:
    """The definition's own order of operations, in the format."""
    centred = x - np.sum(x, -1, keepdims=True) / x.dtype.type(x.shape[-1])
    variance = np.sum(centred * centred, -1, keepdims=True) / x.dtype.type(x.shape[-1])
    return centred / np.sqrt(variance + x.dtype.type(epsilon)) * scale + shift


LAYER_NORMS = [layer_norm_as_defined, layer_norm_with_reciprocal_root, layer_norm_with_combined_scale,
               layer_norm_after_welford, layer_norm_inside_float64]  # fmt: skip

SCALES = st.sampled_from([1e-4, 1.0, 8.0, 100.0])
EXTENTS = st.sampled_from([1, 2, 5, 33, 130])


def share_used(computed: Any, bound: Bounded) -> float:
    """The largest share of the bound that was used; fails where it was exceeded."""
    assert computed.dtype == bound.dtype
    with np.errstate(all="ignore"):
        apart = np.abs(computed.astype(bound.format.wide) - bound.value)
        apart = np.where(computed.astype(bound.format.wide) == bound.value, 0, apart)
    silent = np.isinf(bound.error)
    assert np.all((apart <= bound.error) | silent), float(np.nanmax(np.where(silent, 0, apart / bound.error)))
    return float(np.max(np.where(silent | (apart == 0), 0, apart / np.where(apart == 0, 1, bound.error)), initial=0))


def drawn(g: np.random.Generator, shape: tuple[int, ...], scale: float, format: Format) -> Any:
    return (g.standard_normal(shape) * scale).astype(format.dtype)


def held_to(
    ways: list[Callable[..., Any]], bound: Bounded, arguments: tuple[Any, ...], used: dict[str, list[float]]
) -> None:
    for way in ways:
        with np.errstate(all="ignore"):
            share = share_used(np.asarray(way(*arguments)).astype(bound.dtype), bound)
        if share:
            used.setdefault(way.__name__, []).append(share)


def not_idle(used: dict[str, list[float]]) -> None:
    """A composition counts some ten roundings of 8 (an exponential, a root), and n for a sum of up to 130 numbers, each
    at its worst and all with one sign: some 250 together. One rounding of u / 4 that is not averaged away is then
    1e-3 of the bound.
    """
    for way, shares in used.items():
        assert half_used(shares, f"by {way}") > 1e-3, way


def test_no_algorithm_for_the_softmax_leaves_its_bound(format: Format) -> None:
    used: dict[str, list[float]] = {}

    @settings(examples, max_examples=40)
    @given(seeds, EXTENTS, SCALES)
    def holds(seed: int, extent: int, scale: float) -> None:
        x = drawn(np.random.default_rng(seed), (3, extent), scale, format)
        held_to(SOFTMAXES, mathematics.softmax(asbounded(x, format)), (x,), used)

    holds()
    not_idle(used)


def test_masking_after_the_softmax_and_renormalizing_stays_within_the_bound(format: Format) -> None:
    """As long as masked scores do not exceed the others by more than the 4 that the exponential's 8 roundings,
    of which a good one uses two, leave for the subtraction at the larger size.
    """
    used: dict[str, list[float]] = {}

    @settings(examples, max_examples=40)
    @given(seeds, EXTENTS)
    def holds(seed: int, extent: int) -> None:
        g = np.random.default_rng(seed)
        x = g.uniform(-2, 2, (3, extent)).astype(format.dtype)
        mask = g.random((3, extent)) < 0.6
        mask[:, 0] = True

        def masked_late(x: Any) -> Any:
            weights = softmax_with_rounded_reciprocal(x) * mask.astype(x.dtype)
            return weights / np.sum(weights, -1, keepdims=True)

        held_to([masked_late], mathematics.softmax(asbounded(x, format), where=mask), (x,), used)

    holds()
    not_idle(used)


def test_no_algorithm_for_its_logarithm_leaves_its_bound(format: Format) -> None:
    used: dict[str, list[float]] = {}

    @settings(examples, max_examples=40)
    @given(seeds, EXTENTS, SCALES)
    def holds(seed: int, extent: int, scale: float) -> None:
        x = drawn(np.random.default_rng(seed), (3, extent), scale, format)
        bound = mathematics.log_softmax(asbounded(x, format))
        held_to([mathematics.log_softmax, log_softmax_in_two_sums, log_softmax_inside_float64], bound, (x,), used)

    holds()
    not_idle(used)


def test_no_algorithm_for_the_sigmoid_leaves_its_bound(format: Format) -> None:
    used: dict[str, list[float]] = {}

    @settings(examples, max_examples=40)
    @given(seeds, SCALES)
    def holds(seed: int, scale: float) -> None:
        x = drawn(np.random.default_rng(seed), (40,), scale, format)
        held_to(SIGMOIDS, mathematics.sigmoid(asbounded(x, format)), (x,), used)

    holds()
    not_idle(used)


def test_no_algorithm_for_layer_normalization_leaves_its_bound(format: Format) -> None:
    used: dict[str, list[float]] = {}

    @settings(examples, max_examples=40)
    @given(seeds, EXTENTS, SCALES, st.sampled_from([0.0, 1.0, 30.0]))
    def holds(seed: int, extent: int, scale: float, offset: float) -> None:
        g = np.random.default_rng(seed)
        x = (drawn(g, (3, extent), scale, format).astype(np.float64) + offset * scale).astype(format.dtype)
        gain, shift = drawn(g, (extent,), 1.0, format), drawn(g, (extent,), 1.0, format)
        bound = mathematics.layer_norm(*(asbounded(y, format) for y in (x, gain, shift)), 1e-5)
        held_to(LAYER_NORMS, bound, (x, gain, shift, 1e-5), used)

    holds()
    not_idle(used)


@pytest.mark.parametrize("name", ["float32", "float64"])
def test_a_constant_that_was_rounded_itself_counts_as_rounded(name: str) -> None:
    """x / sqrt(n) and x * n**-0.5 are the same mathematics; in double sqrt(n) is no exact constant, either."""
    format = FORMATS[name]
    x = np.random.default_rng(3).standard_normal(200).astype(format.dtype)
    for n in range(1, 200):
        quotient, product = asbounded(x) / mathematics.root(n), asbounded(x) * mathematics.root(n)
        share_used(x * format.dtype.type(n**-0.5), quotient)
        share_used(x / format.dtype.type(math.sqrt(n)), quotient)
        share_used(x / format.dtype.type(n**-0.5), product + 0 * x)
