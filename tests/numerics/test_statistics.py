"""Products, variances, norms and orders against exact arithmetic and other algorithms; and SciPy's functions."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import layerlaws
from layerlaws.numerics.bounded import Bounded, asbounded, error_of, value_of
from layerlaws.numerics.formats import FORMATS, Format
from layerlaws.numerics.special import SUBSTITUTES
from layerlaws.numerics.statistics import STATISTICS

ml_dtypes = pytest.importorskip("ml_dtypes")

X = np.random.default_rng(0).uniform(0.5, 2, (3, 4, 5))

Call = Callable[[Any], Any]

CALLS: dict[Any, list[Call]] = {
    np.var: [lambda x: np.var(x, axis=1), lambda x: x.var(), lambda x: np.var(x, axis=(0, 2), ddof=1, keepdims=True)],
    np.std: [lambda x: np.std(x, axis=-1), lambda x: x.std(ddof=1)],
    np.prod: [lambda x: np.prod(x, axis=1), lambda x: x.prod(), lambda x: np.prod(x, axis=(0, 1), keepdims=True)],
    np.cumprod: [lambda x: np.cumprod(x, axis=1), lambda x: np.cumprod(x)],
    np.linalg.norm: [lambda x: np.linalg.norm(x), lambda x: np.linalg.norm(x, axis=1),
                     lambda x: np.linalg.norm(x[0], 1),
                     lambda x: np.linalg.norm(x[0], np.inf), lambda x: np.linalg.norm(x, 1, axis=2),
                     lambda x: np.linalg.norm(x, np.inf, axis=0, keepdims=True),
                     lambda x: np.linalg.norm(x[0, 0], -np.inf),
                     lambda x: np.linalg.norm(x, "fro", axis=(1, 2)),
                     lambda x: np.linalg.norm(x, 1, (0, 2), keepdims=True)],
    np.sort: [lambda x: np.sort(x), lambda x: np.sort(x, axis=0), lambda x: np.sort(x, axis=None)],
    np.median: [lambda x: np.median(x), lambda x: np.median(x, axis=1), lambda x: np.median(x, axis=-1)],
    np.average: [lambda x: np.average(x), lambda x: np.average(x, axis=1, weights=X.sum((0, 2))),
                 lambda x: np.average(x, weights=X, axis=0)],
    np.ptp: [lambda x: np.ptp(x, axis=1)],
    np.diff: [lambda x: np.diff(x), lambda x: np.diff(x, n=2, axis=1)],
    np.clip: [lambda x: np.clip(x, 0.75, None), lambda x: x.clip(0.75, 1.5), lambda x: np.clip(x, None, 1.25)],
    np.full_like: [lambda x: np.full_like(x, 2.0)],
    np.hstack: [lambda x: np.hstack([x, x]), lambda x: np.hstack([x[0, 0], x[0, 0]])],
    np.vstack: [lambda x: np.vstack([x[0, 0], x[0, 1]])],
    np.atleast_1d: [lambda x: np.atleast_1d(x[0, 0, 0])],
    np.atleast_2d: [lambda x: np.atleast_2d(x[0, 0])],
    np.copy: [np.copy],
}  # fmt: skip

METHODS: list[Call] = [
    lambda x: x.min(axis=0), lambda x: x.argmax(axis=1), lambda x: x.argmin(), lambda x: x[0].dot(X[0].T),
    lambda x: x.ravel(), lambda x: x.flatten(), lambda x: x.cumsum(axis=1), lambda x: x[:1].squeeze(0),
    lambda x: x.repeat(2, axis=1), lambda x: x.argsort(axis=2), lambda x: x.take([0, 2], axis=1),
    lambda x: x.cumprod(0),
]  # fmt: skip


@pytest.fixture(params=FORMATS)
def format(request: pytest.FixtureRequest) -> Format:
    return FORMATS[request.param]


def test_every_function_is_tested() -> None:
    assert set(CALLS) == set(STATISTICS)


@pytest.mark.parametrize("call", [*itertools.chain(*CALLS.values()), *METHODS])
def test_values_are_those_of_numpy(call: Call) -> None:
    result, plain = call(asbounded(X)), call(X)
    value, error = value_of(result), error_of(result)
    assert np.shape(value) == np.shape(plain)
    assert np.all(np.abs(value - plain) <= error), "NumPy is itself within the bound"


def perturbed(g: np.random.Generator, count: int, format: Format, scale: float, errors: bool) -> Bounded:
    x = (np.exp(g.normal(0, 1.5, count)) * g.choice([-1, 1], count) * scale).astype(format.dtype).astype(format.wide)
    error = np.abs(x).astype(float) * g.choice([0.0, 1e-7, 1e-3, 0.3, 1.5], count) if errors else 0.0
    return Bounded(x, error, format)


@pytest.mark.parametrize("count", [1, 2, 9, 40])
def test_no_product_leaves_its_bound(count: int, format: Format) -> None:
    """In any order, rounded each time in the same direction by a whole unit, operands at the ends of their errors."""

    @settings(deadline=None, derandomize=True, database=None, max_examples=40)
    @given(st.integers(0, 2**32 - 1), st.sampled_from([1e-3, 0.5, 1.0, 2.0]), st.booleans())
    def holds(seed: int, scale: float, errors: bool) -> None:
        g = np.random.default_rng(seed)
        x = perturbed(g, count, format, scale, errors)
        result, running = np.prod(x), np.cumprod(x)
        signs = g.choice([-1, 1, 0], count)
        point = [
            Fraction(float(v)) + Fraction(float(v - np.longdouble(float(v)))) + int(s) * Fraction(float(e))
            for v, e, s in zip(x.value, x.error, signs, strict=True)
        ]
        for order in (list(range(count)), list(np.argsort(np.abs(x.double))), list(np.argsort(-np.abs(x.double)))):
            for sign in (-1, 1):
                total = point[order[0]]
                for step, k in enumerate(order[1:], start=1):
                    if order == list(range(count)):
                        check(total, running.value[step - 1], running.error[step - 1])
                    total = total * point[k] * (1 + sign * Fraction(format.unit_roundoff))
                    total = Fraction(0) if abs(total) < Fraction(format.smallest_normal) else total
                check(total, result.value, result.error)

    def check(computed: Fraction, value: Any, error: Any) -> None:
        if np.isfinite(error):
            exactly = Fraction(float(value)) + Fraction(float(value - np.longdouble(float(value))))
            assert abs(computed - exactly) <= Fraction(float(error))

    holds()


def test_the_bound_of_a_product_is_not_idle(format: Format) -> None:
    """n - 1 roundings of at most u each and of either sign: the root of n times u / 4, over n u."""
    g = np.random.default_rng(4)
    used = []
    for _ in range(60):
        x = g.uniform(0.8, 1.25, 24).astype(format.dtype)
        result = np.prod(asbounded(x))
        computed = x[0]
        for factor in x[1:]:
            computed = format.dtype.type(computed * factor)
        used.append(float(abs(format.wide(computed) - result.value) / result.error))
    assert max(used) <= 1
    assert np.median(used) > 1 / (4 * 2 * math.sqrt(24))


def test_products_of_zeros_infinities_and_nothing() -> None:
    f = FORMATS["float32"]
    for numbers, value in (([0.0, 3.0], 0.0), ([np.inf, 2.0], np.inf), ([np.nan, 2.0], np.nan), ([], 1.0)):
        result = np.prod(asbounded(np.array(numbers, np.float32)))
        np.testing.assert_equal(float(result.value), value)
        assert result.error == 0
    assert np.isinf(np.prod(asbounded(np.array([1e30, 1e30, 1e-30], np.float32))).error), "it may overflow on the way"
    assert np.isinf(np.prod(Bounded([np.inf, 0.1], [0.0, 0.2], f)).error)
    assert np.prod(asbounded(np.array([1e-30, 1e-30, 1e30], np.float32))).error >= 1e-30, "it may be flushed on the way"


# --- other algorithms for the same -----------------------------------------------------------------------------


def welford(x: Any) -> Any:
    mean, squares = x[..., 0], np.zeros_like(x[..., 0])
    for k in range(1, x.shape[-1]):
        step = x[..., k] - mean
        mean = mean + step / x.dtype.type(k + 1)
        squares = squares + step * (x[..., k] - mean)
    return squares / x.dtype.type(x.shape[-1])


def two_passes(x: Any) -> Any:
    mean = np.sum(x, -1, keepdims=True) * (x.dtype.type(1) / x.dtype.type(x.shape[-1]))
    return np.sum((x - mean) * (x - mean), -1) / x.dtype.type(x.shape[-1])


def scaled_norm(x: Any) -> Any:
    largest = np.max(np.abs(x), -1, keepdims=True)
    return largest[..., 0] * np.sqrt(np.sum(np.square(x / largest), -1))


def plain_norm(x: Any) -> Any:
    return np.sqrt(np.sum(x * x, -1))


@pytest.mark.parametrize(
    ("function", "way"),
    [
        (np.var, welford),
        (np.var, two_passes),
        (np.std, lambda x: np.sqrt(welford(x))),
        (np.linalg.norm, scaled_norm),
        (np.linalg.norm, plain_norm),
    ],
)
@pytest.mark.parametrize("count", [2, 17, 120])
def test_other_algorithms_stay_within_the_bound_and_use_it(
    function: Any, way: Call, count: int, format: Format
) -> None:
    used = []
    g = np.random.default_rng(count)
    for offset in (0.0, 3.0):
        x = (g.standard_normal((30, count)) + offset).astype(format.dtype)
        result = function(asbounded(x), axis=-1)
        computed = np.asarray(way(x)).astype(format.dtype).astype(format.wide)
        share = (np.abs(computed - result.value) / result.error).astype(float)
        assert share.max() <= 1
        used.append(np.median(share))
    assert max(used) > 1 / (4 * (4 * count + 12)), "at most 4 n + 12 roundings are counted; one of u / 4 is certain"


def test_the_formula_that_cancels_leaves_the_bound_of_a_variance() -> None:
    x = (np.random.default_rng(1).standard_normal((8, 100)) + 1000).astype(np.float32)
    with pytest.raises(AssertionError, match=r"[1-9] of 8 elements"):
        layerlaws.assert_within(np.mean(x * x, axis=1) - np.mean(x, axis=1) ** 2, np.var, x, axis=1)
    layerlaws.assert_within(np.var(x, axis=1), np.var, x, axis=1)


@settings(deadline=None, derandomize=True, database=None, max_examples=60)
@given(st.integers(0, 2**32 - 1))
def test_orders_move_no_more_than_what_is_ordered(seed: int) -> None:
    g = np.random.default_rng(seed)
    x = Bounded(g.integers(0, 6, (3, 7)), g.choice([0.0, 0.2, 0.6, 3.0], (3, 7)), FORMATS["float64"])
    for function in (lambda y: np.sort(y, axis=1), lambda y: np.median(y, axis=1), lambda y: np.ptp(y, axis=1)):
        result = function(x)
        for _ in range(5):
            moved = function(x.value + g.choice([-1, 1, 0.5], x.shape) * x.error)
            assert np.all(np.abs(moved - result.value) <= result.error * (1 + 1e-15))


# --- SciPy -----------------------------------------------------------------------------------------------------


def test_functions_of_scipy_are_known_by_name() -> None:
    special = pytest.importorskip("scipy.special")
    x = np.random.default_rng(2).standard_normal((3, 6)).astype(np.float32)
    positive = np.abs(x) + np.float32(0.1)
    for name in ("erf", "erfc", "expit", "log_expit"):
        layerlaws.assert_within(getattr(special, name)(x), getattr(special, name), x)
    for name in ("xlogy", "xlog1py", "rel_entr"):
        layerlaws.assert_within(
            getattr(special, name)(positive, positive[::-1]), getattr(special, name), positive, positive[::-1]
        )
    layerlaws.assert_within(special.entr(positive), special.entr, positive)
    layerlaws.assert_within(special.logsumexp(x, axis=1), special.logsumexp, x, axis=1)
    layerlaws.assert_within(special.softmax(x, axis=1), special.softmax, x, axis=1)
    layerlaws.assert_within(special.log_softmax(x), special.log_softmax, x)
    with pytest.raises(TypeError, match=r"no rule for scipy\.special\.gammaln"):
        layerlaws.bound(special.gammaln, x)
    for _, name in SUBSTITUTES:
        assert layerlaws.bound(getattr(special, name), x)[1].max() < 1e-5


@pytest.mark.parametrize("name", ["logsumexp", "softmax", "log_softmax"])
def test_substitutes_for_scipy_are_the_same_mathematics(name: str, format: Format) -> None:
    mp = mpmath.mp.clone()
    mp.prec = 200
    x = (np.random.default_rng(3).standard_normal(7) * 4).astype(format.dtype)
    result = SUBSTITUTES["scipy.special", name](asbounded(x))
    total = mp.fsum(mp.exp(float(v)) for v in x)
    true = {
        "logsumexp": [mp.log(total)],
        "softmax": [mp.exp(float(v)) / total for v in x],
        "log_softmax": [float(v) - mp.log(total) for v in x],
    }[name]
    for value, error, t in zip(np.ravel(result.value), np.ravel(result.error), true, strict=True):
        assert abs(t - mp.mpf(float(value))) <= float(error)
        assert float(error) < 100 * format.unit_roundoff * max(1, abs(t)) * 8


def test_a_logarithm_of_a_sum_of_nothing() -> None:
    x = asbounded(np.full(3, -np.inf, np.float32))
    result = SUBSTITUTES["scipy.special", "logsumexp"](x)
    assert float(result.value) == -np.inf
    assert np.isfinite(result.error)
