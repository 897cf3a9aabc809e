"""The rules of elementary functions against mpmath, as in test_rounding: never left, and not idle."""

from __future__ import annotations

import inspect
import itertools
import math
from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from layerlaws.numerics.bounded import Bounded, asbounded
from layerlaws.numerics.elementary import ELEMENTARY_RULES, ERFC, ERFC_ROUNDINGS, SCALED
from layerlaws.numerics.formats import FORMATS, Format
from layerlaws.numerics.rounding import ELEMENTARY

ml_dtypes = pytest.importorskip("ml_dtypes")

mp = mpmath.mp.clone()
mp.prec = 256

EXACTLY: dict[np.ufunc, Callable[..., Any]] = {
    np.power: lambda a, b: mp.mpf(a) ** b, np.float_power: lambda a, b: mp.mpf(a) ** b, np.hypot: mp.hypot,
    np.arctan: mp.atan, np.arctan2: mp.atan2, np.arcsin: mp.asin, np.arccos: mp.acos, np.sinh: mp.sinh,
    np.cosh: mp.cosh, np.exp2: lambda a: mp.mpf(2) ** a, np.log2: lambda a: mp.log(a, 2), np.log10: mp.log10,
    np.cbrt: lambda a: mp.sign(a) * mp.cbrt(abs(a)),
    np.logaddexp: lambda a, b: max(a, b) + mp.log1p(mp.exp(-abs(a - b))), np.fabs: abs, ERFC: mp.erfc,
}  # fmt: skip

IN_THE_DOMAIN: dict[np.ufunc, Callable[[Any], Any]] = {
    np.arcsin: lambda x: x / (1 + np.abs(x)), np.arccos: lambda x: x / (1 + np.abs(x)), np.log2: np.abs,
    np.log10: np.abs, np.exp2: lambda x: np.clip(x, -200, 200), np.sinh: lambda x: np.clip(x, -100, 100),
    np.cosh: lambda x: np.clip(x, -100, 100), ERFC: lambda x: np.clip(x, -12, 12),
    np.power: lambda x: np.clip(x, -30, 30), np.float_power: lambda x: np.clip(x, -30, 30),
}  # fmt: skip
"""Arguments for which mpmath answers quickly, and of which a claim can be made."""

ROADS: dict[np.ufunc, list[Callable[..., Any]]] = {
    np.power: [lambda a, b: np.exp2(b * np.log2(a)) if a > 0 and abs(b * np.log2(a)) < 2 else None],
    np.log2: [lambda a: np.log(a) * type(a)(1 / math.log(2))],
    np.log10: [lambda a: np.log(a) * type(a)(1 / math.log(10))],
    np.exp2: [lambda a: np.exp(a * type(a)(math.log(2)))],
    np.logaddexp: [lambda a, b: np.maximum(a, b) + np.log1p(np.exp(-np.abs(a - b)))],
}
"""What implementations write in place of a library's function, in the format."""

MAGNITUDES = st.sampled_from([1e-6, 1e-2, 1.0, 1.0, 8.0, 50.0])
SPREADS = (0.0, 0.0, 1e-7, 1e-3, 0.3, 2.0)


@pytest.fixture(params=FORMATS)
def format(request: pytest.FixtureRequest) -> Format:
    return FORMATS[request.param]


def exact(x: Any) -> Any:
    head = float(x)
    return mp.mpf(head) + (mp.mpf(float(x - np.longdouble(head))) if isinstance(x, np.longdouble) else 0)


def drawn(ufunc: np.ufunc, g: np.random.Generator, scale: float, format: Format, errors: bool) -> list[Bounded]:
    operands = []
    for k in range(ufunc.nin):
        x = g.standard_normal(8) * scale
        if ufunc in (np.power, np.float_power):
            x = np.abs(x) if k == 0 and g.random() < 0.7 else np.where(g.random(8) < 0.5, np.rint(x), x)
        x = IN_THE_DOMAIN.get(ufunc, lambda x: x)(x).astype(format.dtype).astype(format.wide)
        operands.append(Bounded(x, np.abs(x).astype(float) * g.choice(SPREADS, 8) if errors else 0.0, format))
    return operands


def true_at(ufunc: np.ufunc, point: list[Any]) -> Any:
    try:
        result = EXACTLY[ufunc](*point)
    except (ValueError, ZeroDivisionError):
        return None
    return result if isinstance(result, mp.mpf) and mp.isfinite(result) else None


def roundings_of(ufunc: np.ufunc) -> int:
    return {np.fabs: 0, np.log2: SCALED, np.log10: SCALED, ERFC: ERFC_ROUNDINGS, np.logaddexp: 1}.get(ufunc, ELEMENTARY)


def test_every_rule_is_tested() -> None:
    assert set(EXACTLY) == set(ELEMENTARY_RULES)


@pytest.mark.parametrize("ufunc", EXACTLY, ids=lambda ufunc: ufunc.__name__)
def test_no_evaluation_leaves_the_bound(ufunc: np.ufunc, format: Format) -> None:
    claimed = 0

    @settings(deadline=None, derandomize=True, database=None, max_examples=30)
    @given(st.integers(0, 2**32 - 1), MAGNITUDES, st.booleans())
    def holds(seed: int, scale: float, errors: bool) -> None:
        nonlocal claimed
        g = np.random.default_rng(seed)
        operands = drawn(ufunc, g, scale, format, errors)
        result = ufunc(*operands)
        u = mp.mpf(format.unit_roundoff)
        for k in range(8):
            if not np.isfinite(result.error[k]) or np.isnan(result.value[k]):
                continue
            for place in (-1.0, 1.0, 0.0, float(g.uniform(-1, 1))):
                signs = [place] + [float(g.choice([-1, 1, 0]))] * (ufunc.nin - 1)
                point = [
                    exact(x.value[k]) + mp.mpf(s) * exact(x.error[k]) for x, s in zip(operands, signs, strict=True)
                ]
                true = true_at(ufunc, point)
                if true is None:
                    continue
                claimed += 1
                for sign in (-1, 1):
                    computed = true * (1 + sign * u) ** roundings_of(ufunc)
                    if ufunc is not np.fabs and abs(computed) < format.smallest_normal:
                        computed = mp.zero
                    apart = abs(computed - exact(result.value[k]))
                    assert apart <= exact(result.error[k]), (ufunc, [(x.value[k], x.error[k]) for x in operands], place)
            numbers = [x.value[k].astype(format.dtype) for x in operands]
            for road in ROADS.get(ufunc, []):
                with np.errstate(all="ignore"):
                    computed = road(*numbers)
                if computed is not None and np.isfinite(computed):
                    assert abs(exact(computed) - exact(result.value[k])) <= exact(result.error[k]), inspect.getsource(
                        road
                    )

    holds()
    assert claimed > 300, "the draws have to be ones of which something is claimed"


@pytest.mark.parametrize("ufunc", [u for u in EXACTLY if roundings_of(u)], ids=lambda ufunc: ufunc.__name__)
def test_the_bound_is_not_idle(ufunc: np.ufunc, format: Format) -> None:
    """A correctly rounded result uses u / 4 or more half of the time; the rules count up to 10 roundings, two of the
    argument, whose size is at most 2 here, an exponential's slope, and 20 of log1p(exp(-d)).
    """
    g = np.random.default_rng(1)
    operands = [g.uniform(0.3, 0.9, 200).astype(format.dtype).astype(format.wide) for _ in range(ufunc.nin)]
    result = ufunc(*(Bounded(x, 0.0, format) for x in operands))
    used = []
    for k in range(200):
        true = true_at(ufunc, [exact(x[k]) for x in operands])
        computed = exact(format.dtype.type(float(true)) if format.name != "float64" else float(true))
        used.append(float(abs(computed - true) / exact(result.error[k])))
    assert np.median(used) > 1 / (4 * 2 * 24)


@pytest.mark.parametrize(
    "ufunc",
    [np.hypot, np.arctan, np.arcsin, np.sinh, np.cosh, np.exp2, np.log2, np.cbrt, np.power, np.arctan2, ERFC],
    ids=lambda ufunc: ufunc.__name__,
)
def test_a_perturbed_operand_reaches_half_of_its_bound(ufunc: np.ufunc) -> None:
    """Where the operands' errors are large, rounding is nothing: the worst corner is the bound, up to its curvature."""
    f = FORMATS["float64"]
    operands = [Bounded(np.array([x]), np.array([1e-3]), f) for x in (0.5, 0.7)[: ufunc.nin]]
    result = ufunc(*operands)
    ends = [(exact(x.value[0]) - mp.mpf("0.001"), exact(x.value[0]) + mp.mpf("0.001")) for x in operands]
    corners = itertools.product(*ends)
    worst = max(abs(EXACTLY[ufunc](*corner) - exact(result.value[0])) for corner in corners)
    assert worst <= exact(result.error[0]) <= 2 * worst


def test_powers_of_whole_exponents_of_either_sign(format: Format) -> None:
    x = asbounded(np.array([-1.5, -0.75, 0.0, 1.25], format.dtype))
    for k in (0, 1, 2, 3, 5, -1, -3):
        result = x**k
        with np.errstate(divide="ignore"):
            powers = np.array([-1.5, -0.75, 0, 1.25]) ** float(k)
            np.testing.assert_array_max_ulp(result.value.astype(float), powers, maxulp=1)
        assert np.all(np.isfinite(result.error))
        repeated = np.array([math.prod([v] * abs(k)) for v in x.value.astype(format.dtype)], format.dtype)
        with np.errstate(divide="ignore"):
            repeated = repeated if k >= 0 else format.dtype.type(1) / repeated
        wide = repeated.astype(format.wide)
        finite = np.isfinite(result.value)
        np.testing.assert_array_equal(wide[~finite], result.value[~finite])
        assert np.all(np.abs(wide[finite] - result.value[finite]) <= result.error[finite])
    assert (x**0).value.tolist() == [1, 1, 1, 1]


def test_a_power_without_a_claim() -> None:
    f = FORMATS["float32"]
    around_zero = Bounded(np.array([0.1]), np.array([0.2]), f)
    assert np.isinf((around_zero**0.5).error)
    assert np.isinf((around_zero**-1).error)
    assert np.isfinite((around_zero**3).error)
    assert (around_zero**3).error >= 0.3**3 - 0.1**3
    negative = np.power(Bounded(np.array([-2.0]), 0.0, f), 0.5)
    assert np.isnan(negative.value)
    assert np.isfinite(negative.error), "IEEE 754 has no number here, and neither has any implementation"
    assert np.isinf((Bounded(np.array([3e30]), 0.0, f) ** 1.5).error), "it overflows"
    assert (2.0 ** asbounded(np.array([3.0], np.float32))).value == 8


def test_an_angle_jumps_behind_the_origin() -> None:
    f = FORMATS["float64"]
    minus = Bounded(np.array([-1.0]), 0.0, f)
    assert np.isinf(np.arctan2(Bounded(np.array([1e-9]), np.array([1e-8]), f), minus).error)
    assert np.isfinite(np.arctan2(Bounded(np.array([1e-7]), np.array([1e-8]), f), minus).error)
    assert np.isinf(np.arctan2(Bounded(np.array([0.1]), np.array([0.2]), f), Bounded(np.array([0.1]), 0.0, f)).error)
    assert np.arctan2(Bounded(np.array([0.0]), 0.0, f), minus).value == np.longdouble(np.arctan2(np.longdouble(0), -1))
    assert np.isinf(np.arcsin(Bounded(np.array([0.9]), np.array([0.2]), f)).error)


def test_infinities_of_a_logarithm_of_a_sum() -> None:
    f = FORMATS["float32"]
    a, b = (Bounded(np.array(x), 0.0, f) for x in ([-np.inf, -np.inf, np.inf], [-np.inf, 1.0, 2.0]))
    result = np.logaddexp(a, b)
    assert result.value.tolist() == [-np.inf, 1.0, np.inf]
    assert np.all(np.isfinite(result.error))
