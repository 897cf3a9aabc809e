"""Products, variances, norms and orders of many numbers.

Those that are put together from other functions have the bound of that composition: two-pass variances, norms as roots
of sums of squares. Algorithms in one pass over the deviations (Welford) stay within it; E[x^2] - E[x]^2 does not.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from layerlaws.numerics import rounding
from layerlaws.numerics.bounded import FUNCTIONS, Bounded, _alike, _mean, _sum, asbounded

Array = NDArray[Any]


def _var(x: Any, axis: Any = None, *, ddof: Any = 0, correction: Any = None, keepdims: bool = False) -> Bounded:
    """The sum of squared deviations from the mean, over n - ddof."""
    squares = _sum(np.square(x - _mean(x, axis, keepdims=True)), axis, keepdims=keepdims)
    freedom = x.size // max(squares.size, 1) - (ddof if correction is None else correction)
    variance: Bounded = squares / max(freedom, 0)
    return variance


def _std(x: Bounded, axis: Any = None, *, ddof: Any = 0, correction: Any = None, keepdims: bool = False) -> Any:
    root: Any = np.sqrt(_var(x, axis, ddof=ddof, correction=correction, keepdims=keepdims))
    return root


def _prod(x: Bounded, axis: Any = None, *, keepdims: bool = False) -> Bounded:
    """n - 1 roundings of a product of n factors in any order (Higham 2002, section 3.1), in the accumulator.

    With s = |x| + e, the product moves by at most prod(s) times the sum of e / s. Where a product of some of the
    factors may be flushed, it loses the smallest normal number times the largest product of the rest; where one may
    overflow, nothing is claimed.
    """
    multiply, add = (partial(_reduced, ufunc, axis=axis, keepdims=keepdims) for ufunc in (np.multiply, np.add))
    value = multiply(x.value)
    return _multiplied(x, value, x.size // max(value.size, 1), multiply, add)


def _cumprod(x: Bounded, axis: int | None = None) -> Bounded:
    if axis is None:
        x, axis = x.reshape(-1), 0
    along = axis
    value = np.cumprod(x.value, axis)
    return _multiplied(
        x, value, x.shape[axis], lambda part: np.cumprod(part, along), lambda part: np.cumsum(part, along)
    )


def _reduced(ufunc: Any, part: Array, axis: Any, keepdims: bool) -> Array:
    return np.asarray(ufunc.reduce(part, axis=axis, keepdims=keepdims))


def _multiplied(x: Bounded, value: Array, factors: int, multiply: Any, add: Any) -> Bounded:
    format = x.format.accumulate
    low, high = np.abs(x.double) - x.absolute, np.abs(x.double) + x.absolute
    reach, most, least = (
        multiply(high),
        multiply(np.maximum(high, 1.0)),
        multiply(np.minimum(np.maximum(low, 0.0), 1.0)),
    )
    carried = 0.0
    if type(x.absolute) is not float:
        carried = reach * add(np.where(high > 0, x.absolute / np.where(high > 0, high, 1.0), 0.0))
    error = carried + format.growth(max(factors - 1, 0)) * reach
    zero = multiply((high != 0).astype(float)) == 0
    flushed = np.where(least < format.least_without_flush, factors * format.smallest_normal * most, 0.0)
    error = np.where(zero, 0.0, (error + flushed) * rounding.MARGIN)
    error = np.where(most * (1 + format.growth(factors)) <= format.largest, error, np.inf)
    error = np.where(_definite(x, value, add), 0.0, error)
    return Bounded(value, rounding.kept(x.format, value, error), x.format)


def _definite(x: Bounded, value: Array, add: Any) -> Any:
    """Where what is not a number comes in, nothing else comes out; exact infinities stay so among exact numbers."""
    given = add((~np.isfinite(x.double)).astype(float)) > 0
    exact = add((x.error != 0).astype(float)) == 0
    nothing = add(np.isnan(x.double).astype(float)) > 0
    return nothing | (given & exact & ~np.isfinite(value) & (add((x.double == 0).astype(float)) == 0))


def _norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
    """Of vectors: the root of the sum of squares, the sum (1) or the largest or smallest (inf, -inf) of the sizes.

    Of matrices (two axes): Frobenius, and the largest column (1) or row (inf) sum. The root counts three roundings
    more, for those that divide by the largest size before they square, and multiply after (LAPACK, nrm2).
    """
    if axis is None and ord is None:
        x, axis = x.reshape(-1), 0
    along = tuple(range(x.ndim)) if axis is None else axis
    along = (along,) if isinstance(along, int) else tuple(k % x.ndim for k in along)
    matrix = len(along) == 2 and ord not in (None, "fro")
    if matrix and ord in (1, np.inf):
        summed, last = (along[0], along[1]) if ord == 1 else (along[1], along[0])
        sums = _sum(abs(x), summed, keepdims=True)
        largest = np.max(sums, axis=last, keepdims=True)
        return largest if keepdims else np.squeeze(largest, axis=along)
    if matrix or ord not in (None, "fro", 2, 1, np.inf, -np.inf):
        raise TypeError(
            f"layerlaws has no rule for numpy.linalg.norm of {'matrices' if matrix else 'vectors'} with "
            f"ord={ord!r}; it knows None, 'fro', 1 and inf, and 2 and -inf for vectors"
        )
    sizes: Any = np.abs(x)
    if ord == 1:
        return _sum(sizes, along, keepdims=keepdims)
    if ord in (np.inf, -np.inf):
        return (np.max if ord > 0 else np.min)(sizes, axis=along, keepdims=keepdims)
    root: Any = np.sqrt(_sum(np.square(x), along, keepdims=keepdims))
    return Bounded(root.value, rounding.once(x.format.keep, root.double, root.absolute, 3), x.format)


def _sort(x: Bounded, axis: int | None = -1, kind: Any = None, stable: Any = None) -> Bounded:
    """The k-th smallest number moves by no more than the number that moves most: nothing is decided."""
    if axis is None:
        x, axis = x.reshape(-1), 0
    value = np.sort(x.value, axis)
    if type(x.absolute) is float:
        return Bounded.of(value, 0.0, x.format)
    return Bounded(value, np.broadcast_to(np.max(x.absolute, axis=axis, keepdims=True, initial=0.0), x.shape), x.format)


def _median(x: Bounded, axis: Any = None, *, keepdims: bool = False) -> Any:
    if keepdims or isinstance(axis, tuple):
        raise TypeError("layerlaws has a rule for numpy.median over one axis, or all, without keepdims=")
    if axis is None:
        x, axis = x.reshape(-1), 0
    middle = x.shape[axis] // 2
    return _mean(_sort(x, axis).take([middle] if x.shape[axis] % 2 else [middle - 1, middle], axis=axis), axis)


def _average(x: Any, axis: Any = None, weights: Any = None, *, keepdims: bool = False) -> Any:
    if weights is None:
        return _mean(x, axis, keepdims=keepdims)
    x, weights = _alike([x, weights])
    if weights.shape != x.shape:
        if not isinstance(axis, int) or weights.ndim != 1:
            raise TypeError(
                "layerlaws has a rule for numpy.average with weights of the array's shape, or along one axis"
            )
        weights = weights.reshape(*(-1 if k == axis % x.ndim else 1 for k in range(x.ndim)))
    weights = np.broadcast_to(weights, x.shape)
    return _sum(x * weights, axis, keepdims=keepdims) / _sum(weights, axis, keepdims=keepdims)


def _ptp(x: Bounded, axis: Any = None, *, keepdims: bool = False) -> Any:
    return np.max(x, axis=axis, keepdims=keepdims) - np.min(x, axis=axis, keepdims=keepdims)


def _diff(x: Bounded, n: int = 1, axis: int = -1) -> Any:
    for _ in range(n):
        later, earlier = range(1, x.shape[axis]), range(x.shape[axis] - 1)
        x = np.take(x, later, axis=axis) - np.take(x, earlier, axis=axis)
    return x


def _clip(x: Any, a_min: Any = None, a_max: Any = None, *, min: Any = None, max: Any = None) -> Any:
    low, high = (a_min if min is None else min), (a_max if max is None else max)
    x = x if low is None else np.maximum(x, low)
    return x if high is None else np.minimum(x, high)


def _full_like(a: Bounded, fill_value: Any) -> Any:
    constant: Any = asbounded(fill_value, a.format)
    return np.broadcast_to(constant, a.shape)


STATISTICS: dict[Any, Callable[..., Any]] = {
    np.var: _var,
    np.std: _std,
    np.prod: _prod,
    np.cumprod: _cumprod,
    np.linalg.norm: _norm,
    np.sort: _sort,
    np.median: _median,
    np.average: _average,
    np.ptp: _ptp,
    np.diff: _diff,
    np.clip: _clip,
    np.full_like: _full_like,
    np.hstack: lambda arrays: np.concatenate([np.atleast_1d(x) for x in arrays], axis=int(np.ndim(arrays[0]) > 1)),
    np.vstack: lambda arrays: np.concatenate([np.atleast_2d(x) for x in arrays], axis=0),
    np.atleast_1d: lambda x: x if x.ndim else x.reshape(1),
    np.atleast_2d: lambda x: x if x.ndim > 1 else x.reshape(1, -1),
    np.copy: lambda a: a,
}

FUNCTIONS.update(STATISTICS)
