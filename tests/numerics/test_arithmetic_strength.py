"""Bounds of half precision refuse what is wrong: dropped terms, sums in half precision, narrower weights.

What can be refused at all: a result is rounded once to the storage format, so that a fault that moves it by less than
u of its size is no fault that anybody could see. Shares are printed (pytest -rP).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from layerlaws.numerics import mathematics
from layerlaws.numerics.arithmetic import mixed
from layerlaws.numerics.bounded import Bounded, asbounded, stored
from layerlaws.numerics.formats import FORMATS, STORAGE_FORMATS, Format
from layerlaws.numerics.reverse_mode import vjp

from .emulation import ORDERS, Machine, chopped, matmul, nearest

pytest.importorskip("ml_dtypes")

HALF = pytest.mark.parametrize("name", ["float16", "bfloat16"])

FLOAT32 = FORMATS["float32"]


def normal(seed: int, shape: tuple[int, ...], format: Format, scale: float = 1.0, offset: float = 0.0) -> Any:
    return (np.random.default_rng(seed).standard_normal(shape) * scale + offset).astype(format.dtype)


def widened(*arrays: Any) -> list[Any]:
    return [x.astype(np.float32) for x in arrays]


def refused(computed: Any, bound: Bounded) -> Any:
    """Where a result, stored, lies outside the bound."""
    result = stored(bound)
    return np.abs(nearest(bound.format.store, computed) - result.value) > result.error


@pytest.mark.parametrize("count", [64, 512, 4096])
@pytest.mark.parametrize("kept", ["float32", "store"])
@HALF
def test_dropped_terms_of_a_product_are_refused(name: str, kept: str, count: int) -> None:
    """8 of them: whatever K u |a| |b| + u |r| refuses, the first u that of float32. Up to 512 terms that is all but a
    hundredth of what can be refused; of 4,096, an adversary's order costs 31 u |r| in float16.
    """
    format = mixed(name, "float32", name if kept == "store" else kept)
    a, b = normal(0, (48, count), format), normal(1, (count, 48), format)
    bound = stored(asbounded(a, format) @ asbounded(b, format))
    A, B = widened(a, b)
    dropped = nearest(format.store, A[:, :-8] @ B[:-8])
    share = np.mean(np.abs(dropped - bound.value) > bound.error)
    size = np.abs(bound.value)
    possible = np.mean(np.abs(dropped - bound.value) > format.unit_roundoff * size)
    print(f"{name}, {kept} kept, {count} terms: {share:.2%} refused of {possible:.2%} that can be")
    by_hand = count * FLOAT32.unit_roundoff * (np.abs(A) @ np.abs(B)) + format.unit_roundoff * size
    assert np.all(bound.error <= by_hand * (1 + 4 * format.unit_roundoff))
    assert share >= 0.99 * possible or count == 4096
    for order in ("forward", "reversed", "pairwise", "blocks of 8", "8 lanes"):
        machine = Machine(FLOAT32, FLOAT32, FLOAT32, order=ORDERS[order])
        rows = matmul(machine, A[:4].astype(np.float64), B.astype(np.float64))
        assert not np.any(np.abs(nearest(format.store, rows) - bound.value[:4]) > bound.error[:4])


@HALF
def test_terms_dropped_from_a_gradient_are_refused(name: str) -> None:
    """8 of the 512 examples that a weight gets its gradient from."""
    format = mixed(name, "float32", name)
    x, w, s = (normal(k, shape, format) for k, shape in enumerate(((512, 24), (24, 24), (512, 24))))
    _, pull = vjp(lambda x, w: x @ w, {"x": asbounded(x, format), "w": asbounded(w, format)})
    bound = stored(pull(asbounded(s, format))["w"])
    X, S = widened(x, s)
    dropped = nearest(format.store, X[:-8].T @ S[:-8])
    share = np.mean(np.abs(dropped - bound.value) > bound.error)
    possible = np.mean(np.abs(dropped - bound.value) > format.unit_roundoff * np.abs(bound.value))
    print(f"{name}, gradient of a weight: {share:.2%} refused of {possible:.2%} that can be")
    assert share >= 0.99 * possible
    assert not refused(X.T @ S, bound).any()


def test_a_sum_of_ones_that_stops_at_256_is_refused() -> None:
    """As it is where sums are accumulated in bfloat16; a backend that says so holds."""
    half = FORMATS["bfloat16"]
    stuck = Machine.of(half).total(np.ones((1000, 1)))
    assert stuck == 256
    ones = np.ones(1000, half.dtype)
    for kept in ("float32", "bfloat16"):
        for accumulate in ("float32", "bfloat16"):
            format = mixed("bfloat16", accumulate, kept)
            for bound in (np.sum(asbounded(ones, format)), asbounded(ones[None], format) @ asbounded(ones, format)):
                assert bool(np.all(refused(stuck, bound))) is (accumulate == "float32")


@HALF
def test_a_variance_in_one_pass_is_refused(name: str) -> None:
    """The mean square less the squared mean, each kept in half precision; in float32 it is as good as any, since
    stored numbers lie no farther from 0 than some 2**8 or 2**11 of their spread.
    """
    for kept in ("float32", name):
        format = mixed(name, "float32", kept)
        x = normal(0, (200, 64), format, offset=30)
        ones, zeros = np.ones(64, format.dtype), np.zeros(64, format.dtype)
        bound = mathematics.layer_norm(*(asbounded(y, format) for y in (x, ones, zeros)), 1e-5)
        (X,) = widened(x)
        mean, squares = X.mean(-1, keepdims=True), (X * X).mean(-1, keepdims=True)
        m, s = (nearest(format.store, y) for y in (mean, squares))
        one_pass = (X - mean) / np.sqrt(np.maximum(s - nearest(format.store, m * m), 0) + 1e-5)
        share = np.mean(refused(one_pass, bound).any(-1))
        print(f"{name}, {kept} kept: {share:.2%} of the rows refused")
        assert share >= 0.99 or kept == name  # a rounding to half precision may happen to be right
        right = (X - mean) / np.sqrt(((X - mean) ** 2).mean(-1, keepdims=True) + np.float32(1e-5))
        in_float32 = (X - mean) / np.sqrt(squares - mean * mean + np.float32(1e-5))
        assert not refused(right, bound).any()
        assert not refused(in_float32, bound).any()


def attention(q: Any, k: Any, v: Any) -> Any:
    return mathematics.softmax((q @ k.swapaxes(0, 1)) * (1 / math.sqrt(q.shape[1]))) @ v


@HALF
def test_dropped_keys_and_weights_of_eight_bits_are_refused(name: str) -> None:
    """The last 2 of 64 keys; softmax weights rounded to float8_e4m3fn, as results and before the values."""
    narrow = STORAGE_FORMATS["float8_e4m3fn"]
    for kept in ("float32", name):
        format = mixed(name, "float32", kept)
        q, k, v = (normal(seed, (n, 32), format) for seed, n in ((0, 32), (1, 64), (2, 64)))
        bound = attention(*(asbounded(x, format) for x in (q, k, v)))
        Q, K, V = widened(q, k, v)
        weights = mathematics.softmax((Q @ K.T) * np.float32(1 / math.sqrt(32)))
        scores = normal(3, (32, 64), format)
        softmax = mathematics.softmax(asbounded(scores, format))
        shares = {
            "dropped keys": refused(attention(Q, K[:-2], V[:-2]), bound),
            "weights of 8 bits": refused(nearest(narrow, weights) @ V, bound),
            "a softmax of 8 bits": refused(nearest(narrow, mathematics.softmax(scores.astype(np.float32))), softmax),
        }
        for fault, where in shares.items():
            rows = where.any(-1).mean()
            print(f"{name}, {kept} kept: {fault}: {where.mean():.2%} of the elements, {rows:.2%} of the rows")
            assert rows == 1 or kept == name
        assert not refused(attention(Q, K, V), bound).any()
        assert not refused(mathematics.softmax(scores.astype(np.float32)), softmax).any()


def standard_errors_from_zero(shares: Any) -> float:
    """How far the mean of signed shares of the bound lies from 0, in standard errors."""
    return float(abs(np.mean(shares)) / (np.std(shares) / math.sqrt(np.size(shares))))


@pytest.mark.parametrize("count", [64, 1024])
def test_an_accumulator_that_truncates_shows_in_the_mean_alone(count: int) -> None:
    """Partial sums chopped to 24 bits stay within what any order may lose; towards zero, they do not average away."""
    format = mixed("float16", "float32", "float32")
    a, b = normal(0, (40, count), format), normal(1, (count, 40), format)
    bound = asbounded(a, format) @ asbounded(b, format)
    distance = {}
    for sums in (nearest, chopped):
        rows = matmul(Machine.of(format, sums=sums), a.astype(np.float64), b.astype(np.float64))
        share = (rows - bound.value) * np.sign(bound.value) / bound.error
        assert np.abs(share).max() <= 1
        distance[sums] = standard_errors_from_zero(share)
        print(f"{count} terms, {sums.__name__}: up to {np.abs(share).max():.3g} of the bound, "
              f"mean {np.mean(share):.2g}, {distance[sums]:.3g} standard errors from 0")  # fmt: skip
    assert distance[nearest] < 3
    assert distance[chopped] > 10
