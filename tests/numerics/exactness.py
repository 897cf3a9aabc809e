"""Exact arithmetic, and numbers that look for trouble: what the tests of rounding rules share."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from typing import Any

import mpmath
import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st

from layerlaws.numerics.bounded import Bounded
from layerlaws.numerics.formats import FORMATS, Format

ml_dtypes = pytest.importorskip("ml_dtypes")

mp = mpmath.mp.clone()
mp.prec = 256

NARROW = replace(FORMATS["float64"])  # as where longdouble is no wider than double: Windows, Apple silicon
NARROW.__dict__["wide"] = np.float64

EVERY_FORMAT = {**FORMATS, "float64 without a wider format": NARROW}

examples = settings(deadline=None, derandomize=True, database=None)

seeds = st.integers(0, 2**32 - 1)

Numbers = Callable[[np.random.Generator, int, Format], Any]


# --- exact arithmetic -----------------------------------------------------------------------------------------


def exact(x: Any) -> Any:
    """A float of any width as an mpf, without rounding."""
    head = float(x)
    return mp.mpf(head) + (mp.mpf(float(x - np.longdouble(head))) if isinstance(x, np.longdouble) else 0)


def fraction(x: Any) -> Fraction:
    head = float(x)
    return Fraction(head) + (Fraction(float(x - np.longdouble(head))) if isinstance(x, np.longdouble) else 0)


def fits(computed: Any, value: Any, error: float, number: Callable[[Any], Any] = exact) -> bool:
    """Whether a computed number (a float, an mpf, a Fraction or an infinity) is one the bound allows."""
    if np.isinf(error):
        return True
    if computed in (math.inf, -math.inf) or np.isinf(value):
        return bool(computed == value)
    distance = (computed if isinstance(computed, Fraction | mp.mpf) else number(computed)) - number(value)
    return bool(abs(distance) <= number(error))


# --- numbers --------------------------------------------------------------------------------------------------

NUMBERS: dict[str, Numbers] = {
    "integers": lambda g, n, f: g.integers(-3, 4, n),
    "ordinary": lambda g, n, f: g.standard_normal(n) * 10.0 ** g.uniform(-2, 2, n),
    "near one": lambda g, n, f: 1 + g.integers(-4, 5, n) * 2 * f.unit_roundoff,
    "any exponent": lambda g, n, f: g.choice([-1, 1], n) * 2.0 ** g.uniform(
        np.log2(f.smallest_normal) - 4, np.log2(f.largest), n),
    "around the smallest": lambda g, n, f: g.uniform(-4, 4, n) * f.smallest_normal,
    "around the largest": lambda g, n, f: g.choice([-1, 1], n) * f.largest * g.choice([1, 1 / 2, 1 / 3, 1 / 300], n),
}  # fmt: skip

SPREADS = (0.0, 0.0, 1.0, 50.0)
"""Errors of operands, in unit roundoffs of their sizes; larger ones, up to several times the sizes, come on top."""


def operand(g: np.random.Generator, texture: str, count: int, format: Format) -> Bounded:
    """Numbers of the format, some of them with an error."""
    numbers = np.asarray(NUMBERS[texture](g, count, format), np.float64).astype(format.dtype)
    spread = g.choice([*(s * format.unit_roundoff for s in SPREADS), 0.01, 0.5, 0.999, 3.0], count)
    error = np.minimum(np.abs(numbers.astype(np.float64)), 1e300) * spread
    return Bounded(numbers.astype(format.wide), error, format)


def inside(g: np.random.Generator, x: Bounded) -> list[Any]:
    """For each number, one within its error: exactly, mostly at one of the ends."""
    places = g.choice([-1.0, 1.0, 0.0, 0.25], x.size)
    largest = exact(x.format.largest)
    moved = [exact(v) + mp.mpf(t) * exact(e) for v, e, t in zip(x.value, x.error, places, strict=True)]
    return [max(-largest, min(largest, m)) for m in moved]


def representable_inside(g: np.random.Generator, x: Bounded) -> Any:
    """For each number, one of the format within its error."""
    with np.errstate(all="ignore"):
        moved = (x.value + g.uniform(-1, 1, x.shape) * x.error).astype(x.dtype)
        allowed = np.abs(moved.astype(x.format.wide) - x.value) <= x.error
        return np.where(allowed, moved, x.value.astype(x.dtype)).astype(x.dtype)


def half_used(used: list[float], by: str = "") -> float:
    """The median share of the bound that was used; printed (pytest -rP)."""
    median = float(np.median(used))
    print(f"median share of the bound used {by}: {median:.3g}")
    return median


def pairwise(xs: list[Any], add: Callable[[Any, Any], Any]) -> Any:
    half = len(xs) // 2
    return add(pairwise(xs[:half], add), pairwise(xs[half:], add)) if half else xs[0]
