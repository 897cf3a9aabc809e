"""How far one operation may carry the errors of its operands, and what it adds by rounding.

Model: fl(x op y) = (x op y)(1 + delta) + eta with |delta| <= u, and |eta| at most the smallest normal number,
since results below it may be flushed to zero (Higham 2002, section 2.2 and problem 2.19). Operands are only
known to lie within their errors, so every rule bounds the exact operation over that whole box first
(`carried`), then rounds.

An implementation is free to reach a result by another road of the same mathematics. The roads that are common
are counted here once, for everybody, instead of in a slack factor: a quotient may be a product with a rounded
normal reciprocal (two roundings), 1/sqrt may be one instruction of 2 ulp (two roundings each for sqrt and division),
exp(x) may be 2**(x log2 e) with a rounded constant and product. Elementary functions are taken to be accurate
to 4 ulp, the largest error their vendors document for the functions used here (NumPy's SVML kernels: 4 ulp;
SLEEF as used by PyTorch: 1 ulp; CUDA C++ Programming Guide, mathematical functions: up to 2 ulp).

The error function has an absolute error on top. Kernels that fuse a GELU on a CPU form it in float32 as 1 - erfc(|x|),
by a short formula (Abramowitz and Stegun 1964, 7.1.26; in PyTorch and oneDNN, see
https://github.com/pytorch/pytorch/pull/189234), and the difference cancels towards 0: results were seen to be 10 unit
roundoffs of 1 off, and 16 are counted. Narrower formats are widened for it, so they are not off by more.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from typing import Any

import numpy as np
from numpy.typing import NDArray

from layerlaws.numerics.formats import Format
from layerlaws.numerics.sizes import product_of_sizes

Array = NDArray[Any]

Error = Array | float
"""An absolute error: an array, or the Python number 0.0 for operands that are exact, all of them."""

ELEMENTARY = 8
"""Roundings that an elementary function counts for: 4 ulp, of two unit roundoffs each."""


MARGIN = 1 + 2.0**-20
"""Covers the rounding of a bound, which is itself computed in double: up to 2**32 operations, all but free of
cancellation."""


ERF = np.frompyfunc(math.erf, 1, 1)
"""The error function as a NumPy function, which NumPy lacks; the results are Python floats. See `mathematics.erf`."""

SHORT_ERF = 2.0**-20
"""16 unit roundoffs of float32: absolute error of the formula in use there."""

ERF_ERROR = 4 * 2.0**-53
"""Relative error of `ERF` on wider arguments: one unit roundoff for the argument, which it narrows to double (the
error function never grows a relative change), and less than one ulp for the result (glibc, Errors in Math Functions).
"""


SPLIT = ("bf16x3",)
"""Product formats in which an operand is the sum of two numbers of half the bits."""

SPLIT_PRODUCTS = 3 * (1 + 2.0**-6)
"""How many products of parts are added up for one product, relatively to its size: three, and a part may be larger
than the number by half a unit in its last place, 2**-8 of it."""

UNDERFLOW = 4 * float(np.finfo(np.float64).smallest_subnormal)
"""What the double in which an error is computed may lose to underflow, in the products of one rule."""


_QUIET = ContextVar("quiet", default=False)


@contextmanager
def _silent() -> Iterator[None]:
    token = _QUIET.set(True)
    try:
        with np.errstate(all="ignore"):
            yield
    finally:
        _QUIET.reset(token)


def quietly() -> AbstractContextManager[None]:
    """Within, NumPy says nothing of overflow, division by zero and the like: the rules deal with what comes of them.

    Where that is so already it costs next to nothing, unlike `numpy.errstate`.
    """
    return _ALREADY if _QUIET.get() else _silent()


_ALREADY = nullcontext()


def all_finite(x: Array) -> bool:
    """Whether numbers that are not negative are all finite, and so is their sum."""
    return math.isfinite(np.add.reduce(x, axis=None))


def as_double(value: NDArray[Any]) -> Array:
    """The value in the double that errors are computed in; what is finite in a wider format stays finite.

    To be called `quietly`.
    """
    if value.dtype == np.float64:
        return value
    double = value.astype(np.float64)
    if not all_finite(np.abs(double)):
        largest = np.finfo(np.float64).max
        double = np.where(np.isinf(value), double, np.clip(double, -largest, largest))
    return double


def once(format: Format, value: Array, carried: Array | float = 0.0, roundings: int = 1) -> Array:
    """Error of a result that lies within `carried` of `value` before it is rounded `roundings` times.

    Where it may overflow, nothing is claimed. Infinities and what is not a number are exact: see `_settled`.
    """
    error = _once_if_finite(format, value, carried, roundings)
    if error is not None:
        return error
    size = np.abs(value)
    reach = size + carried
    added = format.growth(roundings) * reach
    error = carried + added + _flushed(format, size - carried - added, reach, roundings)
    return np.where(np.isfinite(value), np.where(reach + added > format.largest, np.inf, error * MARGIN), carried)


def _once_if_finite(format: Format, value: Array, carried: Array | float, roundings: int) -> Array | None:
    """`once`, None where infinities or what is not a number have come in or may come out: the way of most calls."""
    size = np.abs(value)
    growth = format.growth(roundings)
    exact = type(carried) is float and carried == 0.0
    reach = size if exact else np.asarray(size + carried)
    if not _largest(reach) * (1 + growth) <= format.largest:
        return None
    error: Array = reach * growth
    low = size - error if exact else size - carried - error
    if not exact:
        error += carried
    if np.minimum.reduce(low, axis=None, initial=np.inf) < format.least_without_flush:
        error += _flushed(format, low, reach, roundings)
    error *= MARGIN
    return error


def _flushed(format: Format, low: Array, reach: Array, roundings: int) -> Array:
    """What results add that may get below the smallest normal number: there a rounding is absolute, and the last
    one may flush. low, reach: the least and the largest size of each result. Exact zeros stay exact.
    """
    least = format.smallest_normal
    absolute = np.minimum(reach, least) + (roundings - 1) * format.unit * least
    flushed: Array = ((low < least) * absolute + UNDERFLOW) * (reach > 0)
    return flushed


def _largest(x: Array) -> float:
    """The largest of numbers that are not negative; not a number where one of them is not."""
    return float(np.maximum.reduce(x, axis=None, initial=0.0))


def of_constants(format: Format, value: Array, bits: int | None = None) -> Array:
    """Error of rounding constants to the format; 0 for those it represents, in `bits` bits where told.

    What fills more bits than that has been rounded by whoever wrote it down, and an implementation may round another
    form of the same constant: 1/sqrt(2) for sqrt(2), say.
    """
    exact = represented(format, value, format.precision if bits is None else bits)
    inexact = np.where(exact | ~np.isfinite(value), 0, value)
    return once(format, as_double(inexact), roundings=1 if bits in (None, format.precision) else 2)


def represented(format: Format, value: Array, bits: int) -> Array:
    """Whether numbers are 0, or in the normal range of a format and of so many bits."""
    mantissa, _ = np.frexp(value)
    scaled = np.ldexp(mantissa, bits)
    size = np.abs(value)
    within: Array = (value == 0) | ((size >= format.smallest_normal) & (size <= format.largest))
    short: Array = (scaled == np.rint(scaled)) & within
    return short


def of_sum(arithmetic: Format, value: Array, terms: int | Array, size: Array, carried: Error) -> Array:
    """Error of a sum of `terms` numbers whose absolute values add up to `size`, in any order.

    (terms - 1) u size, u of the format sums are accumulated in, holds without higher-order terms, whatever the order
    (Jeannerod and Rump, Improved error bounds for inner products in floating-point arithmetic, SIAM J. Matrix Anal.
    Appl. 34(2), 2013). Each partial sum may be flushed. Where one may overflow, nothing is claimed. Then the sum is
    rounded once to the format it is kept in. value: the sum itself.

    That holds for terms of the format they are added up in. Those kept in a wider one are rounded to it first, or as
    they are added: u size more, and size up by as much. A single term was kept before, and stays as it is.
    """
    sums = arithmetic.accumulate
    if not _holds(sums, arithmetic.keep):
        carried = carried + sums.unit * size + np.minimum(size, terms * sums.smallest_normal)
        size = size * (1 + sums.unit)
    error = of_adding(sums, terms, size, carried)
    rounded = kept(arithmetic, value, error)
    return error if rounded is error else np.where(np.asarray(terms) <= 1, error, rounded)


def of_adding(format: Format, terms: int | Array, size: Array, carried: Error) -> Array:
    """`of_sum` before the sum is kept: what adding up in a format may lose."""
    additions = np.maximum(terms - 1, 0) if isinstance(terms, np.ndarray) else max(terms - 1, 0)
    added = additions * format.unit * size
    error = (carried + added + additions * np.minimum(size, format.smallest_normal)) * MARGIN
    return (
        error if _largest(size + added) <= format.largest else np.where(size + added <= format.largest, error, np.inf)
    )


def kept(arithmetic: Format, value: Array, error: Array) -> Array:
    """The error of what has been accumulated, once it is rounded to the format that arrays are kept in."""
    if _holds(arithmetic.keep, arithmetic.accumulate):
        return error
    return once(arithmetic.keep, as_double(value), error)


def _holds(one: Format, other: Format) -> bool:
    """Whether one format represents all normal numbers of another: float16 lacks the range of bfloat16."""
    precise = one.precision >= other.precision
    return precise and one.largest >= other.largest and one.smallest_normal <= other.smallest_normal


def _settled(
    format: Format, value: Array, carried: Error, unknown: Array, definite: Array, roundings: int = 1
) -> Array:
    """`once`, where infinities and what is not a number may have come in.

    An operand of which nothing is known leaves the result unknown, and so does overflow. `definite`: where infinite
    operands, a pole or what is not a number give the same in every implementation, as IEEE 754 has it. The error is
    finite there, for what is not a number, too, so that no claim about it ever holds. An undefined product in
    `carried`, such as 0 times the infinite argument of exp(-inf), belongs to an exact limit.
    """
    error = once(format, value, np.where(np.isnan(carried) | definite, 0.0, carried), roundings)
    return np.where(unknown | (np.isinf(value) & ~definite), np.inf, error)


def evaluated(rule: Callable[..., Array], roundings: int = 1) -> Callable[..., Array]:
    """The rule of a function that is evaluated in one format, and then kept in another, by so many roundings.

    Libraries evaluate those of float16 and bfloat16 in float32 (PyTorch: aten/src/ATen/OpMathType.h; CUDA:
    cuda_fp16.hpp). Instructions of half precision, as NumPy uses on Intel's Sapphire Rapids (up to 3.05 ulp of
    float16, https://github.com/numpy/numpy/pull/23351), are accumulation in the storage format, to be declared.
    """

    def whole(arithmetic: Format, y: Array, *operands: Any) -> Array:
        inner, keep = arithmetic.evaluate, arithmetic.keep
        error = rule(inner, y, *operands)
        return error if inner is keep else once(keep, y, error, roundings)

    return whole


def _unary(
    carry: Callable[[Format, Array, Array, Array], Error],
    roundings: int,
    pole: float = np.inf,
    own: bool = False,
    written_out: int = 1,
) -> Callable[..., Array]:
    """A function of one argument, evaluated in so many roundings.

    own: whether `carry` adds to the error of an exact argument. written_out: how often a common road by other functions
    rounds to the format that arrays are kept in.
    """

    def rule(format: Format, y: Array, a: Array, ea: Any) -> Array:
        carried = 0.0 if type(ea) is float and not own else carry(format, y, a, ea)
        error = _once_if_finite(format, y, carried, roundings)
        if error is not None:
            return error
        definite = np.isnan(a) | (np.isinf(y) & (np.isinf(a) | ((a == pole) & (ea == 0))))
        return _settled(format, y, carried, np.isinf(ea), definite, roundings)

    if roundings == 1:
        return lambda arithmetic, *parts: rule(arithmetic.keep, *parts)
    return evaluated(rule, written_out)


def _binary(carry: Callable[[Array, Array, Error, Array, Error], Error], roundings: int) -> Callable[..., Array]:
    """A function of two arguments that rounds so often to the format that arrays are kept in."""

    def rule(arithmetic: Format, y: Array, a: Array, ea: Error, b: Array, eb: Error) -> Array:
        format = arithmetic.keep
        carried = carry(y, a, ea, b, eb)
        error = _once_if_finite(format, y, carried, roundings)
        if error is not None:
            return error
        signed = (ea < np.abs(a)) & ((eb < np.abs(b)) | (eb == 0))
        definite = np.isinf(y) & (np.isinf(a) | np.isinf(b) | (b == 0)) & (signed | ~np.isposinf(carried))
        definite |= np.isnan(a) | np.isnan(b)
        return _settled(format, y, carried, np.isinf(ea) | np.isinf(eb), definite, roundings)

    return rule


def _matmul(arithmetic: Format, y: Array, a: Array, ea: Error, b: Array, eb: Error) -> Array:
    if arithmetic.multiply is not arithmetic.keep:
        ea, eb = (_rounded_for_products(arithmetic.multiply, x, e) for x, e in ((a, ea), (b, eb)))
    roundings = a.shape[-1] * products(arithmetic)
    return kept(arithmetic, y, _of_products(arithmetic.accumulate, roundings, a, ea, b, eb))


def products(arithmetic: Format) -> float:
    """How many products are formed and added up for one."""
    return SPLIT_PRODUCTS if arithmetic.multiply.name in SPLIT else 1


def _rounded_for_products(format: Format, x: Array, error: Error) -> Array:
    """The error of operands once they are rounded to the format that products are formed in.

    Two roundings of each are counted: tensor cores that are given a float32 drop its last bits (NVIDIA, CUTLASS
    documentation, functionality: tf32 by truncation), and of the four products of split numbers one is left out. The
    second part of a split number may be flushed, while the number itself is far from it. Operands that are known and
    short enough for the format, or for the first part alone, lose nothing.
    """
    split = format.name in SPLIT
    lost = once(format, x, error, roundings=2) + (format.smallest_normal if split else 0.0) * (x != 0)
    short = represented(format, x, format.precision // 2 if split else format.precision)
    return np.where(short & (np.asarray(error) == 0), 0.0, lost)


def _of_products(format: Format, roundings: float, a: Array, ea: Error, b: Array, eb: Error) -> Array:
    """The error of a @ b as it is accumulated in a format, in so many roundings."""
    size_a, size_b = (np.abs(x) if type(e) is float else np.abs(x) + e for x, e in ((a, ea), (b, eb)))
    size = product_of_sizes(size_a, size_b)
    if math.isfinite(_largest(size)):
        return _of_inner_products(format, roundings, size, a, ea, size_b, eb)
    # Unknown: a row or column with an unknown number, and an infinity times a number of unknown sign.
    ea, eb = np.broadcast_to(ea, a.shape), np.broadcast_to(eb, b.shape)
    blind_a, blind_b = (ea > 0) & (ea >= np.abs(a)), (eb > 0) & (eb >= np.abs(b))
    meetings = (
        (np.isinf(ea), np.ones_like(b)),
        (np.ones_like(a), np.isinf(eb)),
        (np.isinf(a), blind_b),
        (blind_a, np.isinf(b)),
    )
    unknown = sum(one.astype(float) @ other.astype(float) for one, other in meetings) > 0
    a, ea, b, eb = (np.where(np.isfinite(x), x, 0.0) for x in (a, ea, b, eb))
    size_b = np.abs(b) + eb
    size = (np.abs(a) + ea) @ size_b
    return np.where(unknown, np.inf, _of_inner_products(format, roundings, size, a, ea, size_b, eb))


def _of_inner_products(
    format: Format, roundings: float, size: Array, a: Array, ea: Error, size_b: Array, eb: Error
) -> Array:
    """The error of a @ b, all finite; size_b: |b| + eb, size: (|a| + ea) @ size_b."""
    growth = roundings * format.unit
    error: Array = np.asarray(size * growth)
    if type(ea) is not float:
        error += product_of_sizes(ea, size_b)
    if type(eb) is not float:
        error += product_of_sizes(np.abs(a), eb)
    error += roundings * np.minimum(size, format.smallest_normal)
    error *= MARGIN
    if not _largest(size) * (1 + growth) <= format.largest:
        error[size * (1 + growth) > format.largest] = np.inf
    return error


def _multiply(y: Array, a: Array, ea: Error, b: Array, eb: Error) -> Error:
    if type(ea) is float:
        return 0.0 if type(eb) is float else np.abs(a) * eb
    return np.abs(b) * ea if type(eb) is float else np.abs(a) * eb + (np.abs(b) + eb) * ea


def _divide(y: Array, a: Array, ea: Error, b: Array, eb: Error) -> Error:
    if type(eb) is float:
        return 0.0 if type(ea) is float else ea / np.abs(b)
    room = np.abs(b) - eb
    return np.where((room > 0) | ((eb == 0) & (ea == 0)), ea / room + np.abs(y) * (eb / room), np.inf)


def _exp_argument(format: Format, a: Array, ea: Array) -> Array:
    """The error of x, once x log2 e with its rounded constant has been formed."""
    return ea + 2 * format.unit * (np.abs(a) + ea)


def _exp(format: Format, a: Array, ea: Array) -> Array:
    """exp(a + e) - exp(a), which is right where exp(a) underflows, too."""
    e = _exp_argument(format, a, ea)
    carried: Array = np.exp(a + e) * -np.expm1(-e)
    return carried


def _log(y: Array, a: Array, ea: Array) -> Array:
    return np.where(ea < a, -np.log1p(-ea / a), np.where(ea == 0, 0.0, np.inf))


def _sqrt(format: Format, y: Array, a: Array, ea: Array) -> Array:
    # The square root bends downwards: the lower end of the interval is the farther one. A radicand that is not
    # negative mathematically is taken not to be computed negative.
    lower = ea / (y + np.sqrt(np.maximum(a - ea, 0)))
    around_zero = np.where(a < 0, np.inf, np.maximum(y, np.sqrt(np.maximum(a + ea, 0)) - y))
    return np.where(ea > 0, np.where(a > ea, lower, around_zero), 0.0)


def _tanh(format: Format, y: Array, a: Array, ea: Array) -> Array:
    nearest = np.maximum(np.abs(a) - ea, 0.0)  # where within the box the slope is steepest
    return _in_unit_range(ea / np.cosh(nearest) ** 2, ea)


def _in_unit_range(carried: Array, ea: Array) -> Array:
    """Results between -1 and 1 are no farther apart than 2, where the argument is known to be a number."""
    return np.where(np.isinf(ea), np.inf, np.minimum(carried, 2.0))


def _erf(format: Format, y: Array, a: Array, ea: Array) -> Array:
    nearest = np.maximum(np.abs(a) - ea, 0.0)  # where within the box the slope is steepest
    carried = _in_unit_range(ea * np.exp(-np.square(nearest)) * (2 / math.sqrt(math.pi)), ea)
    return carried + ERF_ERROR * np.abs(y) + min(format.growth(16), SHORT_ERF)


def _exact(format: Format, y: Array, a: Array, ea: Error) -> Error:
    return ea


def _chosen(format: Format, y: Array, a: Array, ea: Error, b: Array, eb: Error) -> Error:
    """The error of the larger (or smaller) number; of the worse one, where errors could turn which that is."""
    if type(ea) is float and type(eb) is float:
        return 0.0
    worse = np.maximum(ea, eb)
    apart = np.abs(a - b) > (ea + eb) * MARGIN
    return np.where(apart, np.where(y == a, ea, eb), worse)


RULES: dict[np.ufunc, Callable[..., Error]] = {
    np.add: _binary(lambda y, a, ea, b, eb: ea + eb, 1),
    np.subtract: _binary(lambda y, a, ea, b, eb: ea + eb, 1),
    np.multiply: _binary(_multiply, 1),
    np.divide: _binary(_divide, 2),
    np.matmul: _matmul,
    np.square: _unary(lambda f, y, a, ea: (2 * np.abs(a) + ea) * ea, 1),
    np.reciprocal: _unary(lambda f, y, a, ea: _divide(y, np.ones_like(a), 0.0, a, ea), 2, pole=0),
    np.negative: _exact,
    np.positive: _exact,
    np.absolute: _exact,
    np.maximum: _chosen,
    np.minimum: _chosen,
    np.exp: _unary(lambda f, y, a, ea: _exp(f, a, ea), ELEMENTARY, own=True),
    np.expm1: _unary(lambda f, y, a, ea: _exp(f, a, ea), ELEMENTARY, own=True),
    np.log: _unary(lambda f, y, a, ea: _log(y, a, ea), ELEMENTARY, pole=0),
    np.log1p: _unary(lambda f, y, a, ea: _log(y, 1 + a, ea), ELEMENTARY, pole=-1),
    np.sqrt: _unary(_sqrt, 2),
    np.tanh: _unary(_tanh, ELEMENTARY),
    ERF: _unary(_erf, ELEMENTARY, own=True),
    np.sin: _unary(lambda f, y, a, ea: _in_unit_range(ea, ea), ELEMENTARY),
    np.cos: _unary(lambda f, y, a, ea: _in_unit_range(ea, ea), ELEMENTARY),
}
"""Error of ufunc(operands), from the format, the value, and each operand with its error."""

DECISIONS = {
    np.less, np.less_equal, np.greater, np.greater_equal, np.equal, np.not_equal, np.sign, np.floor, np.ceil,
    np.rint, np.isfinite, np.isnan, np.isinf,
}  # fmt: skip
"""Functions with jumps: decided where no error reaches a jump, undecidable elsewhere."""
