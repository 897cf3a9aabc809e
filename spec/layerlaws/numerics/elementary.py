"""Rounding rules of elementary functions that notes rarely need, and everybody's tests do.

Each says how far errors of the arguments carry (`carried`, over the whole box, not first-order), and how often a
library rounds. Libraries are taken to be accurate to 4 ulp, as in `layerlaws.numerics.rounding`: the CUDA C++
Programming Guide (mathematical functions) documents up to 3 ulp for exp2, log2, log10, sinh, cosh, atan, atan2, asin,
acos, hypot and cbrt, 4 ulp for pow in float32 and 2 in double; glibc (Errors in Math Functions) up to 4 ulp; NumPy's
SVML kernels 4 ulp.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from layerlaws.numerics import rounding
from layerlaws.numerics.formats import Format
from layerlaws.numerics.rounding import ELEMENTARY, Array, Error

SCALED = ELEMENTARY + 2
"""A logarithm to another base may be the natural one times a rounded constant: two roundings more."""

LOG2 = math.log(2)


def _power(format: Format, y: Array, a: Array, ea: Error, b: Array, eb: Error) -> Array:
    """a**b = exp(b log a), for a > 0, or whole b that are exact.

    With t = b log a, which errors move by at most d = |b| dl + eb (|log a| + dl), dl = -log(1 - ea / a), the result
    moves by at most y (exp(d) - 1). As for exp, two roundings of t are counted on top, for those that form exp2(b log2
    a) (the WGSL specification, accuracy of built-in functions, allows just that). A whole exponent k may be |k| - 1
    multiplications in any order and a reciprocal. Special cases (poles, infinities) are exact ones of IEEE 754-2019,
    section 9.2, where the operands are exact, and unknown otherwise.
    """
    ea, eb = np.asarray(ea), np.asarray(eb)
    exact = (ea == 0) & (eb == 0)
    size = np.abs(a)
    whole = (b == np.rint(b)) & (eb == 0)
    logarithm = np.abs(np.log(size))
    moved = np.where(ea == 0, 0.0, -np.log1p(-ea / size))
    argument = np.abs(b) * moved + eb * (logarithm + moved)
    argument += 2 * format.unit * (np.abs(b) * logarithm + argument)
    carried = np.abs(y) * np.expm1(argument)
    around_zero = np.where(whole & (b > 0), np.abs(y) + (size + ea) ** np.where(b > 0, b, 1), np.inf)
    carried = np.where(ea >= size, np.where(ea == 0, 0.0, around_zero), carried)
    carried = np.where((a - ea < 0) & ~whole, np.inf, carried)
    carried = np.where(whole & (b == 0), 0.0, carried)
    further = np.where(whole & np.isfinite(b), np.maximum(np.abs(b) + 1 - ELEMENTARY, 0.0), 0.0)
    grown = np.expm1(further * math.log1p(format.unit)) * (np.abs(y) + carried)
    carried = carried + np.where(further > 0, grown, 0.0)
    special = ~np.isfinite(a) | ~np.isfinite(b) | (a == 0) | np.isnan(y)
    carried = np.where(exact & special, 0.0, carried)
    unknown = ~exact & (np.isinf(a) | np.isinf(b) | np.isinf(ea) | np.isinf(eb)) | np.isposinf(carried)
    return rounding._settled(format, y, carried, unknown, exact & special | np.isnan(a) | np.isnan(b), ELEMENTARY)


def _power_kept(arithmetic: Format, y: Array, a: Array, ea: Error, b: Array, eb: Error) -> Array:
    """`_power`, kept; or a whole power as |k| products and quotients written out, of which each is kept."""
    error = rounding.evaluated(_power)(arithmetic, y, a, ea, b, eb)
    keep = arithmetic.keep
    if arithmetic.evaluate is keep:
        return error
    further = np.where((b == np.rint(b)) & (np.asarray(eb) == 0) & np.isfinite(y), np.maximum(np.abs(b) - 1, 0.0), 0.0)
    size = np.where(further > 0, np.abs(y) + error, 0.0)
    flushed = further * keep.unit * np.minimum(size, keep.smallest_normal)
    return error + (np.expm1(further * math.log1p(keep.unit)) * size + flushed) * rounding.MARGIN


def _hypot(y: Array, a: Array, ea: Error, b: Array, eb: Error) -> Error:
    """The triangle inequality: the length of a vector moves by no more than the vector."""
    return np.hypot(ea, eb)


def _arctan(format: Format, y: Array, a: Array, ea: Array) -> Array:
    """The slope 1 / (1 + x^2) is steepest at the nearest number to 0; results are no farther apart than pi."""
    nearest = np.maximum(np.abs(a) - ea, 0.0)
    return np.where(np.isinf(ea), np.inf, np.minimum(ea / (1 + np.square(nearest)), math.pi))


def _arctan2(format: Format, y: Array, a: Array, ea: Error, b: Array, eb: Error) -> Array:
    """The point (b, a) lies in a disc of radius r: its angle moves by asin(r / distance).

    Nothing is claimed where the disc holds the origin or meets the negative half of the axis, where the angle jumps.
    """
    ea, eb = np.asarray(ea), np.asarray(eb)
    exact = (ea == 0) & (eb == 0)
    radius, distance = np.hypot(ea, eb), np.hypot(a, b)
    carried = np.where(radius < distance, np.arcsin(np.minimum(radius / distance, 1.0)), np.inf)
    jumps = (np.abs(a) <= ea) & (b - eb < 0)
    infinite = np.isinf(a) | np.isinf(b) | np.isinf(radius)
    unknown = ~exact & (jumps | infinite | ~(radius < distance))
    carried = np.where(exact | unknown, 0.0, carried)
    return rounding._settled(format, y, carried, unknown, exact | np.isnan(y), ELEMENTARY)


def _arcsin(format: Format, y: Array, a: Array, ea: Array) -> Array:
    """asin and acos: the slope 1 / sqrt(1 - x^2) at the outer end h, or, at the edge, acos(1 - e) <= pi sqrt(e / 2).

    Nothing is claimed where the argument may leave [-1, 1].
    """
    inner = 1 - np.abs(a)
    slope = ea / np.sqrt((inner - ea) * (1 + np.abs(a) + ea))
    carried = np.minimum(np.where(np.isnan(slope), np.inf, slope), math.pi * np.sqrt(ea / 2))
    return np.where(inner >= ea, carried, np.where(ea == 0, 0.0, np.inf))


def _sinh(format: Format, y: Array, a: Array, ea: Array) -> Array:
    """sinh(a + e) - sinh(a) = 2 cosh(a + e / 2) sinh(e / 2), with the rounded argument of an exponential."""
    e = rounding._exp_argument(format, a, ea)
    carried: Array = 2 * np.cosh(np.abs(a) + e / 2) * np.sinh(e / 2)
    return carried


def _cosh(format: Format, y: Array, a: Array, ea: Array) -> Array:
    """cosh(a + e) - cosh(a) = 2 sinh(a + e / 2) sinh(e / 2)."""
    e = rounding._exp_argument(format, a, ea)
    carried: Array = 2 * np.sinh(np.abs(a) + e / 2) * np.sinh(e / 2)
    return carried


def _exp2(format: Format, y: Array, a: Array, ea: Array) -> Array:
    """2**(a + e) - 2**a, with the rounded argument of those that form exp(x log 2)."""
    e = rounding._exp_argument(format, a, ea)
    carried: Array = np.exp2(a + e) * -np.expm1(-e * LOG2)
    return carried


def _logarithm(base: float) -> Any:
    def scaled(format: Format, y: Array, a: Array, ea: Array) -> Array:
        return rounding._log(y, a, ea) / math.log(base)

    return rounding._unary(scaled, SCALED, pole=0, written_out=3)


def _cbrt(format: Format, y: Array, a: Array, ea: Array) -> Array:
    """The cube root bends: the end towards 0 is the farther one, as e / (y^2 + y c + c^2), c the root there."""
    size, root = np.abs(a), np.abs(y)
    inner = np.cbrt(np.maximum(size - ea, 0.0))
    within = ea / (np.square(root) + root * inner + np.square(inner))
    return np.where(ea > 0, np.where(size > ea, within, root + np.cbrt(np.maximum(ea - size, 0.0))), 0.0)


def _logaddexp(arithmetic: Format, y: Array, a: Array, ea: Error, b: Array, eb: Error) -> Array:
    """max(a, b) + s, s = log1p(exp(-|a - b|)): a mean of the errors is carried, as both slopes add to 1.

    s is off by 20 roundings of itself at most (8 of log1p, which passes on the 8 of exp, and products of them), and by
    three of |a - b| times its slope, at most d exp(-d), which is never above 1 / e. Then the sum is rounded once.
    """
    format = arithmetic.keep
    ea, eb = np.asarray(ea), np.asarray(eb)
    apart = np.abs(a - b)
    nearest = np.where(np.isnan(apart), 0.0, np.maximum(apart - ea - eb, 0.0))
    short = np.exp(-nearest)
    slope = np.where(nearest < 1, 1 / math.e, np.minimum(nearest, 1e300) * short)
    inside = format.growth(20) * np.log1p(short) + format.growth(4) * slope + format.smallest_normal * (short > 0)
    carried = np.maximum(ea, eb) + np.where(np.isinf(a) | np.isinf(b), 0.0, inside)
    definite = np.isnan(a) | np.isnan(b) | (np.isinf(y) & (np.isinf(a) | np.isinf(b)))
    return rounding._settled(format, y, carried, np.isinf(ea) | np.isinf(eb), definite, 1)


def _erfc(format: Format, y: Array, a: Array, ea: Array) -> Array:
    """The slope 2 / sqrt(pi) exp(-x^2) at the number in the box that is nearest to 0; and what `ERFC` itself loses."""
    nearest = np.maximum(np.abs(a) - ea, 0.0)
    carried = np.where(np.isinf(ea), np.inf, np.minimum(ea * np.exp(-np.square(nearest)) * (2 / math.sqrt(math.pi)), 2))
    narrowed = np.where(ea == 0, 0.0, 2 * np.square(np.minimum(np.abs(a), 1e3)) + 2)
    return carried + (10 + narrowed) * 2.0**-53 * np.abs(y)


ERFC = np.frompyfunc(math.erfc, 1, 1)
"""1 - erf(x) as a NumPy function, which NumPy lacks: of 5 ulp of double (glibc, Errors in Math Functions)."""

ERFC_ROUNDINGS = 10
"""5 ulp: the CUDA C++ Programming Guide documents that for erfc in double, and 4 ulp in float32."""

ELEMENTARY_RULES: dict[np.ufunc, Any] = {
    np.power: _power_kept,
    np.float_power: _power_kept,
    np.hypot: rounding.evaluated(rounding._binary(_hypot, ELEMENTARY), roundings=2),  # the root of a sum, written out
    np.arctan: rounding._unary(_arctan, ELEMENTARY),
    np.arctan2: rounding.evaluated(_arctan2),
    np.arcsin: rounding._unary(_arcsin, ELEMENTARY),
    np.arccos: rounding._unary(_arcsin, ELEMENTARY),
    np.sinh: rounding._unary(_sinh, ELEMENTARY, own=True),
    np.cosh: rounding._unary(_cosh, ELEMENTARY, own=True),
    np.exp2: rounding._unary(_exp2, ELEMENTARY, own=True),
    np.log2: _logarithm(2),
    np.log10: _logarithm(10),
    np.cbrt: rounding._unary(_cbrt, ELEMENTARY),
    np.logaddexp: _logaddexp,
    np.fabs: rounding._exact,
    ERFC: rounding._unary(_erfc, ERFC_ROUNDINGS, own=True),
}
"""Error of ufunc(operands), as in `rounding.RULES`, which they join."""

rounding.RULES.update(ELEMENTARY_RULES)
rounding.DECISIONS.add(np.trunc)
