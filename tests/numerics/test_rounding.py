"""The rounding rules against exact arithmetic: no correct evaluation ever leaves its bound, and bounds are not idle.

Truth is computed with Fractions, or with mpmath to 256 bits. Evaluations are NumPy's own, other orders and other
algorithms in the format, and a worst case that takes every operand at the end of its error and rounds each time in
the same direction by the full unit roundoff, or flushes to zero.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from layerlaws.numerics.bounded import Bounded, asbounded, rounded
from layerlaws.numerics.elementary import ELEMENTARY_RULES
from layerlaws.numerics.formats import FORMATS, Format
from layerlaws.numerics.rounding import ELEMENTARY, ERF, MARGIN, RULES
from layerlaws.numerics.sizes import product_of_sizes

from .exactness import (
    EVERY_FORMAT,
    NARROW,
    NUMBERS,
    exact,
    examples,
    fits,
    fraction,
    half_used,
    inside,
    mp,
    operand,
    pairwise,
    representable_inside,
    seeds,
)

# --- single operations ----------------------------------------------------------------------------------------

EXACTLY: dict[np.ufunc, Callable[..., Any]] = {
    np.add: lambda a, b: a + b, np.subtract: lambda a, b: a - b, np.multiply: lambda a, b: a * b,
    np.divide: lambda a, b: a / b, np.square: lambda a: a * a, np.reciprocal: lambda a: 1 / a,
    np.negative: lambda a: -a, np.positive: lambda a: a, np.absolute: abs, np.maximum: max, np.minimum: min,
    np.exp: mp.exp, np.expm1: mp.expm1, np.log: mp.log, np.log1p: mp.log1p, np.sqrt: mp.sqrt,
    np.tanh: mp.tanh, ERF: mp.erf, np.sin: mp.sin, np.cos: mp.cos,
}  # fmt: skip

EXACT_OPERATIONS = (np.negative, np.positive, np.absolute, np.maximum, np.minimum)
TWO_ROUNDINGS = (np.divide, np.reciprocal, np.sqrt)
ONE_ROUNDING = (np.add, np.subtract, np.multiply, np.square)
PERIODIC, EXPONENTIAL = (np.sin, np.cos), (np.exp, np.expm1)


def roundings_of(ufunc: np.ufunc) -> int:
    """How often the documentation of the rules lets an implementation round."""
    return (
        0 if ufunc in EXACT_OPERATIONS else 2 if ufunc in TWO_ROUNDINGS else 1 if ufunc in ONE_ROUNDING else ELEMENTARY
    )


def worst_results(ufunc: np.ufunc, operands: list[Any], format: Format) -> list[Any]:
    """What the worst implementations of the model give for exact operands; none outside the domain."""
    u = mp.mpf(format.unit_roundoff)
    arguments = [operands]
    if ufunc in EXPONENTIAL:  # 2**(x log2 e)
        arguments += [[operands[0] * (1 + u) ** 2], [operands[0] * (1 - u) ** 2]]
    results = []
    for argument in arguments:
        try:
            true = EXACTLY[ufunc](*argument)
        except (ValueError, ZeroDivisionError):
            continue
        if not isinstance(true, mp.mpf) or not mp.isfinite(true):
            continue  # outside the domain
        signs = (-1, 1) if argument is operands else (0,)
        off = min(16 * u, mp.mpf(2) ** -20) if ufunc is ERF else 0  # 1 - erfc(|x|)
        for computed in (true * (1 + sign * u) ** roundings_of(ufunc) + sign * off for sign in signs):
            if abs(computed) > format.largest:
                results.append(mp.inf if computed > 0 else -mp.inf)
            elif abs(computed) >= format.smallest_normal or ufunc in EXACT_OPERATIONS:
                results.append(computed)
            else:  # gradual underflow, and flushed
                least = 2 * u * format.smallest_normal
                results += [mp.nint(computed / least) * least, mp.zero]
    return results


def computed_natively(ufunc: np.ufunc, operands: list[Any]) -> Any:
    """What NumPy gives for arrays of the format; Python's floats, where they have to do, rounded to it."""
    native = ufunc(*operands)
    return native.astype(operands[0].dtype) if native.dtype == object else native


def limited(ufunc: np.ufunc, x: Bounded) -> Bounded:
    """Arguments for which mpmath answers quickly, and that lie in the domain, at least with their values."""
    reach = 1e4 if ufunc in PERIODIC + EXPONENTIAL else np.inf
    kept = np.where(np.abs(x.value) < reach, x.value, 1)
    if ufunc in (np.log, np.sqrt):
        kept = np.abs(kept)
    if ufunc is np.log1p:
        kept = np.where(kept > -1, kept, -kept)
    return Bounded(kept, np.minimum(x.error, reach), x.format)


def test_every_rule_is_tested() -> None:
    assert set(EXACTLY) | {np.matmul} | set(ELEMENTARY_RULES) == set(RULES), "test_elementary has the others"


@pytest.mark.parametrize("ufunc", EXACTLY, ids=lambda ufunc: ufunc.__name__)
def test_no_evaluation_leaves_the_bound_of_an_operation(ufunc: np.ufunc, format: Format) -> None:
    @settings(examples, max_examples=25)
    @given(seeds, st.lists(st.sampled_from(list(NUMBERS)), min_size=2, max_size=2))
    def holds(seed: int, textures: list[str]) -> None:
        g = np.random.default_rng(seed)
        operands = [limited(ufunc, operand(g, texture, 8, format)) for texture in textures[: ufunc.nin]]
        result = ufunc(*operands)
        with np.errstate(all="ignore"):
            native = computed_natively(ufunc, [representable_inside(g, x) for x in operands])
        assert native.dtype == format.dtype
        points = zip(*(inside(g, x) for x in operands), strict=True)
        for k, (point, value, error) in enumerate(zip(points, result.value, result.error, strict=True)):
            assert not np.isnan(error)
            for computed in worst_results(ufunc, list(point), format):
                assert fits(computed, value, error), (ufunc, [(x.value[k], x.error[k]) for x in operands], computed)
            if not np.isnan(native[k]):
                assert fits(native[k], value, error), (ufunc, [(x.value[k], x.error[k]) for x in operands], native[k])

    holds()


@pytest.mark.parametrize("ufunc", [u for u in EXACTLY if roundings_of(u)], ids=lambda ufunc: ufunc.__name__)
def test_the_bound_of_an_operation_is_not_idle(ufunc: np.ufunc, format: Format) -> None:
    """A correctly rounded result is u / 4 of its size off, or more, half of the time: its error is spread evenly up
    to half a unit in the last place, and that is between u / 2 and u of the size. The rule counts R roundings, two
    more per unit of the argument for an exponential, 16 of 1 for the error function, and a narrow format counts each
    of them twice.
    """
    g = np.random.default_rng(1)
    numbers = [np.abs(g.uniform(0.2, 2, 400)).astype(format.dtype) for _ in range(ufunc.nin)]
    result = ufunc(*(asbounded(x, format) for x in numbers))
    with np.errstate(all="ignore"):
        native = computed_natively(ufunc, numbers).astype(format.wide)
    if format is NARROW or format.name == "float64":  # the value itself has to be known better
        true = [EXACTLY[ufunc](*map(exact, xs)) for xs in zip(*numbers, strict=True)]
        apart = [float(abs(exact(n) - t)) for n, t in zip(native, true, strict=True)]
    else:
        apart = np.abs(native - result.value).astype(float).tolist()
    used = [a / e for a, e in zip(apart, result.error, strict=True) if a]  # a result that is exact tells nothing
    further = 4 if ufunc in EXPONENTIAL else 16 if ufunc is ERF else 0
    counted = (roundings_of(ufunc) + further) * (2 if format is NARROW else 1)
    if not used:
        pytest.fail("every result was exact")
    assert half_used(used) > 1 / (8 * counted)


def test_a_perturbed_operand_reaches_the_end_of_its_bound() -> None:
    """Where the operands' errors are large, rounding is nothing, and the worst corner of the box is the bound."""
    f = FORMATS["float32"]
    u = f.unit_roundoff
    one, two = Bounded([3.0], [0.5], f), Bounded([2.0], [0.25], f)
    corners = list(itertools.product((2.5, 3.5), (1.75, 2.25)))
    used = []
    for ufunc in (np.add, np.subtract, np.multiply, np.divide):
        result = ufunc(one, two)
        apart = max(abs(ufunc(a, b) - float(result.value[0])) for a, b in corners)
        assert apart <= result.error[0] <= apart * (MARGIN + 16 * u), ufunc
        used.append(apart / result.error[0])
    for ufunc in (np.square, np.exp, np.log, np.sqrt, np.reciprocal, np.expm1):
        result = ufunc(one)
        apart = max(abs(float(ufunc(a)) - float(result.value[0])) for a in (2.5, 3.5))
        assert apart <= result.error[0] <= apart * (MARGIN + 256 * u), ufunc
        used.append(apart / result.error[0])
    half_used(used)


# --- sums and products of matrices ----------------------------------------------------------------------------


def added(format: Format, flush: bool) -> Callable[[Any, Any], Any]:
    """Addition in the format, optionally flushing what is below the smallest normal number."""

    def add(a: Any, b: Any) -> Any:
        total = format.dtype.type(a + b)
        return format.dtype.type(0) if flush and abs(float(total)) < format.smallest_normal else total

    return add


def forward(xs: list[Any], add: Callable[[Any, Any], Any]) -> Any:
    total = xs[0]
    for x in xs[1:]:
        total = add(total, x)
    return total


def blocked(xs: list[Any], add: Callable[[Any, Any], Any]) -> Any:
    return forward([forward(xs[k : k + 8], add) for k in range(0, len(xs), 8)], add)


ORDERS: dict[str, Callable[..., Any]] = {
    "forward": forward,
    "backward": lambda xs, add: forward(xs[::-1], add),
    "largest first": lambda xs, add: forward(sorted(xs, key=lambda x: -abs(float(x))), add),
    "pairwise": pairwise,
    "blocked": blocked,
}


@settings(examples, max_examples=60)
@given(seeds, st.sampled_from(list(NUMBERS)), st.sampled_from([1, 2, 3, 17, 130]), st.booleans(), st.booleans())
@pytest.mark.parametrize("name", EVERY_FORMAT)
def test_no_order_of_summation_leaves_the_bound(
    name: str, seed: int, texture: str, count: int, flush: bool, certain: bool
) -> None:
    format = EVERY_FORMAT[name]
    g = np.random.default_rng(seed)
    numbers = operand(g, texture, count, format)
    if certain:
        numbers = Bounded(numbers.value, 0, format)
    total, running, mean = np.sum(numbers), np.cumsum(numbers, 0), np.mean(numbers)
    largest = np.max(numbers)
    taken = representable_inside(g, numbers)
    assert fits(taken.astype(format.wide).max(), largest.value, largest.error)
    with np.errstate(all="ignore"):
        for order in ORDERS.values():
            result = order(list(taken), added(format, flush))
            if np.isnan(float(result)):  # infinities of both signs
                assert np.isinf(total.error)
                continue
            assert fits(result, total.value, total.error, fraction)
            for computed in (
                result / format.dtype.type(count),
                result * (format.dtype.type(1) / format.dtype.type(count)),
            ):
                assert fits(format.dtype.type(computed), mean.value, mean.error, fraction)
        for k, computed in enumerate(itertools.accumulate(taken, added(format, flush))):
            assert np.isnan(float(computed)) or fits(computed, running.value[k], running.error[k], fraction)
        for computed in (
            np.sum(taken),
            np.float64(math.fsum(taken)).astype(format.dtype) if np.isfinite(total.error) else taken.sum(),
        ):
            assert np.isnan(float(computed)) or fits(computed, total.value, total.error, fraction)


def dot_products(a: Any, b: Any, format: Format, flush: bool) -> dict[str, Any]:
    """Inner products as different machines form them."""
    add = added(format, flush)
    products = [add(x * y, 0) for x, y in zip(a, b, strict=True)]
    results = {name: order(products, add) for name, order in ORDERS.items()}
    wide = math.fsum(float(Fraction(float(x)) * Fraction(float(y))) for x, y in zip(a, b, strict=True))
    results["float64 inside"] = format.dtype.type(wide)
    fused = Fraction(0)
    for x, y in zip(a, b, strict=True):
        fused = Fraction(float(format.dtype.type(float(Fraction(float(x)) * Fraction(float(y)) + fused))))
    results["fused"] = format.dtype.type(float(fused))
    results["NumPy"] = (a @ b) if format.name != "bfloat16" else results["float64 inside"]
    return results


@settings(examples, max_examples=50)
@given(
    seeds,
    st.lists(st.sampled_from([t for t in NUMBERS if "largest" not in t]), min_size=2, max_size=2),
    st.sampled_from([1, 2, 7, 64]),
    st.booleans(),
    st.booleans(),
)
@pytest.mark.parametrize("name", EVERY_FORMAT)
def test_no_inner_product_leaves_the_bound(
    name: str, seed: int, textures: list[str], count: int, flush: bool, certain: bool
) -> None:
    format = EVERY_FORMAT[name]
    g = np.random.default_rng(seed)
    a, b = (operand(g, texture, 2 * count, format) for texture in textures)
    if certain:
        a = Bounded(a.value, 0, format)
    a, b = a.reshape(2, count), b.reshape(count, 2)
    result = a @ b
    rows, columns = representable_inside(g, a), representable_inside(g, b)
    for i, j in itertools.product(range(2), range(2)):
        if np.isinf(result.error[i, j]):
            continue
        with np.errstate(all="ignore"):
            computed = dot_products(rows[i], columns[:, j], format, flush)
        for way, x in computed.items():
            assert fits(x, result.value[i, j], result.error[i, j], fraction), (way, rows[i], columns[:, j])


def test_a_product_of_sizes_is_never_below_and_hardly_above(monkeypatch: pytest.MonkeyPatch) -> None:
    """In float32 it is more than 2 (K + 4) u above at most, and as it stands in double where it might underflow."""
    monkeypatch.setattr("layerlaws.numerics.sizes.LARGE", 0)
    g = np.random.default_rng(3)
    for terms in (1, 7, 300):
        for spread in (0, 3, 20, 200):
            a, b = (np.abs(g.standard_normal(s)) * 2.0 ** g.uniform(-spread, 0, s) for s in ((4, terms), (terms, 5)))
            a[0] = 0.0
            size = product_of_sizes(a, b)
            assert size.dtype == np.float64
            for i, j in itertools.product(range(4), range(5)):
                exactly = sum(fraction(x) * fraction(y) for x, y in zip(a[i], b[:, j], strict=True))
                allowed = exactly * (1 + 2 * (terms + 4) * Fraction(2) ** -24)
                assert exactly * (1 - Fraction(terms, 2**52)) <= fraction(size[i, j]) <= allowed


def test_inner_products_with_large_errors_do_not_cancel_in_their_own_bound() -> None:
    """The bound |A| E + E |B| + E E is formed from positive terms; in double it has no digits to lose."""
    g = np.random.default_rng(7)
    for format in EVERY_FORMAT.values():
        a = Bounded(g.uniform(0.5, 1, (1, 4000)), 2.0**-70, format)
        b = Bounded(g.uniform(0.5, 1, (4000, 1)), 2.0**-70, format)
        carried = sum(
            (fraction(x) + fraction(y)) * Fraction(2) ** -70 for x, y in zip(a.value[0], b.value[:, 0], strict=True)
        )
        size = sum(fraction(x) * fraction(y) for x, y in zip(a.value[0], b.value[:, 0], strict=True))
        rounding = 4000 * Fraction(format.unit_roundoff) * size
        assert fraction((a @ b).error[0, 0]) >= carried + rounding


@pytest.mark.parametrize("count", [4, 64, 400])
def test_the_bound_of_a_sum_is_not_idle(count: int, format: Format) -> None:
    """Adding n like numbers one by one, step k errs by about u / 4 of the k-th partial sum, in either direction:
    together by u n**1.5 / 7 of one number (the root of sum k**2 / 16), where the bound says u n**2. That is
    1 / (7 sqrt n) for one standard deviation, and half of the time more than 2/3 of it; a narrow format counts u
    twice.
    """
    g = np.random.default_rng(2)
    used = []
    for _ in range(60):
        numbers = g.uniform(0.5, 1.5, count).astype(format.dtype)
        bound = np.sum(asbounded(numbers, format))
        with np.errstate(all="ignore"):
            computed = forward(list(numbers), added(format, False))
        used.append(float(abs(fraction(computed) - sum(map(fraction, numbers)))) / float(bound.error))
    assert half_used(used) > 1 / (14 * math.sqrt(count)) / (2 if format is NARROW else 1)


# --- infinities, overflow, underflow, not a number ------------------------------------------------------------


@pytest.mark.parametrize("name", EVERY_FORMAT)
def test_where_a_result_may_overflow_nothing_is_claimed(name: str) -> None:
    format = EVERY_FORMAT[name]
    big = asbounded(np.array([format.largest, -format.largest], format.dtype), format)
    for result in (
        big + big,
        big * 2,
        big * big,
        big / 0.5,
        np.square(big),
        np.exp(np.abs(big)),
        np.sum(np.abs(big)),
        np.abs(big) @ np.abs(big),
        np.cumsum(np.abs(big), 0)[1],
        np.mean(np.abs(big)),
        big * big - big,
    ):
        assert np.isinf(result.error).all()
    with np.errstate(over="ignore"):
        beyond = np.longdouble(format.largest) * 2
        if np.isfinite(format.wide(beyond)):
            assert np.isinf(rounded(beyond, format).error)
            assert np.isinf(asbounded(beyond, format).error)


def test_infinities_follow_ieee_754(format: Format) -> None:
    infinite = asbounded(np.array([np.inf, -np.inf], format.dtype), format)
    unsure = Bounded(np.array([3.0, 3.0]), 0.5, format)
    for result, value in (
        (infinite + unsure, [np.inf, -np.inf]),
        (infinite * unsure, [np.inf, -np.inf]),
        (infinite / unsure, [np.inf, -np.inf]),
        (unsure / infinite, [0, 0]),
        (unsure / 0.0, [np.inf, np.inf]),
        (np.exp(infinite), [np.inf, 0]),
        (np.tanh(infinite), [1, -1]),
        (np.square(infinite), [np.inf, np.inf]),
        (np.sqrt(np.abs(infinite)), [np.inf, np.inf]),
        (np.log(np.abs(infinite)), [np.inf, np.inf]),
        (np.log(unsure * 0), [-np.inf, -np.inf]),
        (np.reciprocal(np.abs(unsure * 0)), [np.inf, np.inf]),
        (np.log1p(-asbounded(np.ones(2), format)), [-np.inf, -np.inf]),
        (np.maximum(infinite, unsure), [np.inf, 3]),
        (np.cumsum(infinite[:1], 0), [np.inf]),
        (np.sum(np.stack([unsure, infinite]), axis=0), [np.inf, -np.inf]),
        (np.stack([infinite, unsure], 1) @ asbounded(np.ones(2), format), [np.inf, -np.inf]),
    ):
        np.testing.assert_array_equal(result.value, value)
        assert np.all(np.isfinite(result.error)), value


def test_an_infinity_whose_sign_or_existence_is_in_doubt_is_not_claimed(format: Format) -> None:
    infinite = asbounded(np.array([np.inf], format.dtype), format)
    around_zero = Bounded(np.array([0.5]), 1.0, format)
    for result in (
        infinite * around_zero,
        infinite / around_zero,
        1 / around_zero,
        np.log(around_zero),
        np.reciprocal(around_zero),
        around_zero / 0.0,
        infinite @ around_zero,
        around_zero @ infinite,
    ):
        assert np.isinf(result.error).all()


def test_what_is_unknown_stays_unknown(format: Format) -> None:
    unknown = Bounded(np.array([1.0, 1.0]), np.inf, format)
    certain = asbounded(np.ones(2), format)
    for result in (
        unknown + certain,
        unknown * 0.0,
        certain / unknown,
        np.exp(unknown),
        np.tanh(unknown),
        -unknown,
        np.maximum(unknown, certain),
        np.max(unknown),
        np.sum(unknown),
        np.mean(unknown),
        unknown @ certain,
        certain @ unknown,
        np.cumsum(unknown, 0),
        np.where(True, unknown, 0),
        np.sin(unknown),
    ):
        assert np.isinf(result.error).all()


def test_what_is_not_a_number_keeps_a_finite_error(format: Format) -> None:
    """So that no claim about it holds; where the definition itself has no number, `Implementation` claims nothing."""
    nothing = Bounded(np.array([np.nan, np.nan]), 0.1, format)
    certain = asbounded(np.ones(2), format)
    for result in (
        nothing + certain,
        nothing * 0.0,
        certain / nothing,
        np.exp(nothing),
        np.tanh(nothing),
        -nothing,
        np.maximum(nothing, certain),
        np.max(nothing),
        np.sum(nothing),
        np.mean(nothing),
        nothing @ certain,
        certain @ nothing,
        np.cumsum(nothing, 0),
        np.log(nothing),
        np.sqrt(nothing),
    ):
        assert np.isnan(result.value).all()
        assert np.isfinite(result.error).all()


def test_a_root_of_what_may_be_positive_is_not_claimed_to_be_no_number(format: Format) -> None:
    result = np.sqrt(Bounded(np.array([-1e-3, -1.0]), np.array([1e-2, 0.0]), format))
    assert np.isnan(result.value).all()
    assert np.isinf(result.error[0])
    assert np.isfinite(result.error[1])


def test_where_numbers_lie_apart_the_chosen_one_brings_its_error(format: Format) -> None:
    unsure = Bounded(np.array([-3.0, 3.0, 0.25]), 0.5, format)
    np.testing.assert_array_equal(np.maximum(unsure, 0.0).error, [0, 0.5, 0.5])
    np.testing.assert_array_equal(np.minimum(unsure, 0.0).error, [0.5, 0, 0.5])
