"""How far one operation may carry the errors of its operands, and what it adds by rounding.

Model: fl(x op y) = (x op y)(1 + delta) + eta with |delta| <= u, and |eta| at most the smallest normal number,
since results below it may be flushed to zero (Higham 2002, section 2.2 and problem 2.19). Operands are only
known to lie within their errors, so every rule bounds the exact operation over that whole box first
(`carried`), then rounds.

An implementation is free to reach a result by another road of the same mathematics. The roads that are common
are counted here once, for everybody, instead of in a slack factor: a quotient may be a product with a rounded
reciprocal (two roundings), 1/sqrt may be one instruction of 2 ulp (two roundings each for sqrt and division),
exp(x) may be 2**(x log2 e) with a rounded constant and product. Elementary functions are taken to be accurate
to 4 ulp, the largest error their vendors document for the functions used here (NumPy's SVML kernels: 4 ulp;
SLEEF as used by PyTorch: 1 ulp; CUDA C++ Programming Guide, mathematical functions: up to 2 ulp).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from layerlaws.formats import Format

Array = NDArray[Any]

ELEMENTARY = 8
"""Roundings that an elementary function counts for: 4 ulp, of two unit roundoffs each."""


def once(format: Format, value: Array, carried: Array | float = 0.0, roundings: int = 1) -> Array:
    """Error of a result that lies within `carried` of `value` before it is rounded `roundings` times."""
    reach = np.abs(value) + carried
    growth = np.expm1(roundings * np.log1p(format.unit))
    flushed = np.where(
        np.abs(value) - carried < format.smallest_normal, np.minimum(reach, format.smallest_normal), 0.0
    )
    error = np.where(reach > format.largest, np.inf, carried + growth * reach + flushed)
    # IEEE: a definite infinity is exact, and what is not a number is nothing to compare with.
    error = np.where(np.isinf(value) & (carried == 0), 0.0, error)
    return np.where(np.isnan(value), np.inf, error)


def of_constants(format: Format, value: Array) -> Array:
    """Error of rounding constants to the format; 0 for those it represents."""
    mantissa, _ = np.frexp(value)
    scaled = np.ldexp(mantissa, format.precision)
    exact = (scaled == np.rint(scaled)) & (
        (value == 0) | ((np.abs(value) >= format.smallest_normal) & (np.abs(value) <= format.largest))
    )
    return np.where(exact | np.isinf(value), 0.0, once(format, value.astype(np.float64)))


def of_sum(format: Format, terms: int | Array, size: Array, carried: Array) -> Array:
    """Error of a sum of `terms` numbers whose absolute values add up to `size`, in any order.

    (terms - 1) u size holds without higher-order terms, whatever the order (Jeannerod and Rump, Improved error
    bounds for inner products in floating-point arithmetic, SIAM J. Matrix Anal. Appl. 34(2), 2013). Where a
    partial sum may overflow, nothing is claimed.
    """
    growth = np.maximum(np.asarray(terms) - 1, 0) * format.unit
    return np.where(size > format.largest, np.inf, carried + growth * size)


def _guard(format: Format, value: Array, carried: Array, unknown: Array, roundings: int = 1) -> Array:
    """`once`, where the algebra of `carried` may have met an infinity.

    An operand of which nothing is known leaves the result unknown. Otherwise an undefined product, such as
    0 times the infinite argument of exp(-inf), belongs to an exact limit.
    """
    carried = np.where(np.isnan(carried) | (np.isinf(value) & np.isfinite(carried)), 0.0, carried)
    return np.where(unknown, np.inf, once(format, value, carried, roundings))


def _unary(carry: Callable[[Format, Array, Array, Array], Array], roundings: int) -> Callable[..., Array]:
    def rule(format: Format, y: Array, a: Array, ea: Array) -> Array:
        return _guard(format, y, carry(format, y, a, ea), np.isinf(ea), roundings)

    return rule


def _binary(carry: Callable[[Array, Array, Array, Array, Array], Array], roundings: int) -> Callable[..., Array]:
    def rule(format: Format, y: Array, a: Array, ea: Array, b: Array, eb: Array) -> Array:
        return _guard(format, y, carry(y, a, ea, b, eb), np.isinf(ea) | np.isinf(eb), roundings)

    return rule


def _matmul(format: Format, y: Array, a: Array, ea: Array, b: Array, eb: Array) -> Array:
    """n u |A||B| for n products and n - 1 additions, in any order (Jeannerod and Rump 2013)."""
    terms = a.shape[-1]
    if not (np.isfinite(a).all() and np.isfinite(b).all() and np.isfinite(ea).all() and np.isfinite(eb).all()):
        doubt_a = (~np.isfinite(a) | ~np.isfinite(ea)).astype(np.float64)
        doubt_b = (~np.isfinite(b) | ~np.isfinite(eb)).astype(np.float64)
        doubt = (doubt_a @ np.ones_like(b) + np.ones_like(a) @ doubt_b) > 0
        a, ea, b, eb = (np.where(np.isfinite(x), x, 0.0) for x in (a, ea, b, eb))
        return np.where(doubt, np.inf, _matmul(format, np.where(doubt, 0.0, y), a, ea, b, eb))
    size = (np.abs(a) + ea) @ (np.abs(b) + eb)
    exact = np.abs(a) @ np.abs(b)
    carried = size - exact if (ea.any() or eb.any()) else np.zeros_like(size)
    # The subtraction above cancels: what it loses is below n u size of the double it is done in.
    flushed = np.where(size > 0, terms * np.minimum(size, format.smallest_normal), 0.0)
    return np.where(size > format.largest, np.inf, carried + terms * format.unit * size + flushed)


def _divide(y: Array, a: Array, ea: Array, b: Array, eb: Array) -> Array:
    room = np.abs(b) - eb
    return np.where((room > 0) | ((eb == 0) & (ea == 0)), (ea + np.abs(y) * eb) / room, np.inf)


def _exp_argument(format: Format, a: Array, ea: Array) -> Array:
    """The error of x, once x log2 e with its rounded constant has been formed."""
    return ea + 2 * format.unit * (np.abs(a) + ea)


def _log(y: Array, a: Array, ea: Array) -> Array:
    return np.where(ea < a, -np.log1p(-ea / a), np.where(ea == 0, 0.0, np.inf))


def _sqrt(format: Format, y: Array, a: Array, ea: Array) -> Array:
    # The square root bends downwards: the lower end of the interval is the farther one. A radicand that is not
    # negative mathematically is taken not to be computed negative.
    return np.where(a > ea, ea / (y + np.sqrt(np.maximum(a - ea, 0))), np.maximum(y, np.sqrt(a + ea) - y)) * (ea > 0)


def _tanh(format: Format, y: Array, a: Array, ea: Array) -> Array:
    nearest = np.maximum(np.abs(a) - ea, 0.0)  # where within the box the slope is steepest
    return np.minimum(ea * (1 - np.tanh(nearest) ** 2), 2.0)


def _exact(format: Format, y: Array, a: Array, ea: Array) -> Array:
    return ea


def _larger_error(format: Format, y: Array, a: Array, ea: Array, b: Array, eb: Array) -> Array:
    return np.maximum(ea, eb)


RULES: dict[np.ufunc, Callable[..., Array]] = {
    np.add: _binary(lambda y, a, ea, b, eb: ea + eb, 1),
    np.subtract: _binary(lambda y, a, ea, b, eb: ea + eb, 1),
    np.multiply: _binary(lambda y, a, ea, b, eb: np.abs(a) * eb + np.abs(b) * ea + ea * eb, 1),
    np.divide: _binary(_divide, 2),
    np.matmul: _matmul,
    np.square: _unary(lambda f, y, a, ea: (2 * np.abs(a) + ea) * ea, 1),
    np.reciprocal: _unary(lambda f, y, a, ea: _divide(y, np.ones_like(a), np.zeros_like(a), a, ea), 2),
    np.negative: _exact,
    np.positive: _exact,
    np.absolute: _exact,
    np.maximum: _larger_error,
    np.minimum: _larger_error,
    np.exp: _unary(lambda f, y, a, ea: y * np.expm1(_exp_argument(f, a, ea)), ELEMENTARY),
    np.expm1: _unary(lambda f, y, a, ea: np.exp(a) * np.expm1(_exp_argument(f, a, ea)), ELEMENTARY),
    np.log: _unary(lambda f, y, a, ea: _log(y, a, ea), ELEMENTARY),
    np.log1p: _unary(lambda f, y, a, ea: _log(y, 1 + a, ea), ELEMENTARY),
    np.sqrt: _unary(_sqrt, 2),
    np.tanh: _unary(_tanh, ELEMENTARY),
    np.sin: _unary(lambda f, y, a, ea: np.minimum(ea, 2.0), ELEMENTARY),
    np.cos: _unary(lambda f, y, a, ea: np.minimum(ea, 2.0), ELEMENTARY),
}
"""Error of ufunc(operands), from the format, the value, and each operand with its error."""

DECISIONS = {
    np.less, np.less_equal, np.greater, np.greater_equal, np.equal, np.not_equal, np.sign, np.floor, np.ceil,
    np.rint, np.isfinite, np.isnan, np.isinf,
}  # fmt: skip
"""Functions with jumps: decided where no error reaches a jump, undecidable elsewhere."""
