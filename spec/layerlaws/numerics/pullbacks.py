"""The derivative of one operation, and the way back through one that only moves, adds up or multiplies.

What was added up on the way stays known (`layerlaws.numerics.accumulation`), since it may be added up in one go with
more.
Everything here runs on `Bounded` and on plain arrays alike and is put together by `layerlaws.numerics.reverse_mode`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from layerlaws.numerics import rounding
from layerlaws.numerics.accumulation import Sum, plain, sizes_of, summed
from layerlaws.numerics.bounded import Bounded, error_of, value_of

SLOPES: dict[np.ufunc, Callable[..., tuple[Any, ...]]] = {
    np.add: lambda y, a, b: (1, 1),
    np.subtract: lambda y, a, b: (1, -1),
    np.multiply: lambda y, a, b: (b, a),
    np.divide: lambda y, a, b: (1.0 / b, -y / b),
    np.square: lambda y, a: (2 * a,),
    np.reciprocal: lambda y, a: (-y * y,),
    np.negative: lambda y, a: (-1,),
    np.positive: lambda y, a: (1,),
    np.absolute: lambda y, a: (2 * _larger(a, 0.0, a) - 1,),
    np.maximum: lambda y, a, b: (_larger(a, b, y), _larger(b, a, y)),
    np.minimum: lambda y, a, b: (_larger(b, a, y), _larger(a, b, y)),
    np.exp: lambda y, a: (y,),
    np.expm1: lambda y, a: (y + 1,),
    np.log: lambda y, a: (1.0 / a,),
    np.log1p: lambda y, a: (1.0 / (1.0 + a),),
    np.sqrt: lambda y, a: (0.5 / y,),
    np.tanh: lambda y, a: (1.0 - np.square(y),),
    rounding.ERF: lambda y, a: (np.exp(-np.square(a)) * (2 / math.sqrt(math.pi)),),
    np.sin: lambda y, a: (np.cos(a),),
    np.cos: lambda y, a: (-np.sin(a),),
}
"""Slopes of y = ufunc(operands) by each operand, from y and the operands."""


def times(adjoint: Any, slope: Any, shape: tuple[int, ...]) -> Any:
    """The share of an operand of this shape: adjoint times slope, added up where the operand was repeated.

    Where the adjoint is that of the weights of attention, the sum may have been formed as sum(dO * O): see `product`.
    """
    exact = isinstance(slope, int) and abs(slope) == 1
    share = plain(adjoint) if exact and slope > 0 else -adjoint if exact else adjoint * slope
    fused: NDArray[np.float64] | float = 0.0
    if isinstance(adjoint, Sum) and not isinstance(adjoint.fused, float):
        fused = adjoint.fused * (1.0 if exact else sizes_of(slope))
    if share.shape == shape:
        return share if isinstance(fused, float) else summed(share, 1, sizes_of(share), fused)
    front = share.ndim - len(shape)
    repeated = tuple(k for k in range(share.ndim) if k < front or shape[k - front] != share.shape[k])
    if not isinstance(fused, float):
        share = Bounded(share.value, share.error + fused, share.format)
    total = np.sum(share, axis=repeated, keepdims=True).reshape(shape)
    if not isinstance(total, Bounded):
        return total
    sizes = np.sum(sizes_of(share), axis=repeated, keepdims=True).reshape(shape)
    return summed(total, share.size // total.size if total.size else 0, sizes)


def of_extreme(x: Any, sign: int, axis: Any) -> Any:
    """The slope of the largest (sign 1) or smallest (-1) element along axes, by each element."""
    value, error = sign * value_of(x), error_of(x)
    surely = np.max(value - error, axis=axis, keepdims=True)
    candidates = value + error >= surely
    return _share(candidates, np.sum(candidates, axis=axis, keepdims=True) > 1, x)


def _larger(a: Any, b: Any, like: Any) -> Any:
    """1 where a is larger than b, 0 where it is smaller; anything between where they are equal up to rounding."""
    gap = value_of(a) - value_of(b)
    unsure = ~(np.abs(gap) > error_of(a) + error_of(b))
    return _share(unsure | (gap > 0), unsure, like)


def _share(chosen: Any, unsure: Any, like: Any) -> Any:
    share = np.where(chosen, np.where(unsure, 0.5, 1.0), 0.0)
    if isinstance(like, Bounded):
        return Bounded(share, np.where(chosen & unsure, 0.5, 0.0), like.format)
    return share.astype(like.dtype)


def product(left: Any, right: Any, shape: tuple[int, ...], other: int) -> Any:
    """left @ right, added up over the batch axes along which an operand of this shape was repeated.

    It is one inner product over all that is added up, in any order. Where attention is fused, sum(dO * O) stands for
    sum(P * dP), whose dP is never formed: its rounding is that of the `other` contraction, the one of the forward pass,
    so as many roundings, those of its operands, and the one in which O was stored are counted as `Sum.fused`: the way
    back reads O from memory (FlashAttention-2, algorithm 2, line 4), however much the kernel of the way forth kept.
    """
    batch = np.broadcast_shapes(left.shape[:-2], right.shape[:-2])
    front = len(batch) - len(shape) + 2
    repeated = [k for k in range(len(batch)) if k < front or shape[k - front] != batch[k]]
    if repeated:
        count = len(repeated)
        left = np.moveaxis(np.broadcast_to(left, batch + left.shape[-2:]), repeated, range(-1 - count, -1))
        right = np.moveaxis(np.broadcast_to(right, batch + right.shape[-2:]), repeated, range(-2 - count, -2))
        kept = len(batch) - count
        left = left.reshape(*left.shape[: kept + 1], -1)
        right = right.reshape(*right.shape[:kept], -1, right.shape[-1])
    share = (left @ right).reshape(shape)
    if not isinstance(share, Bounded):
        return share
    sizes = (sizes_of(left) @ sizes_of(right)).reshape(shape)
    sums, arrays, stored = share.format.accumulate, share.format.keep, share.format.store
    lost = other * rounding.products(share.format) * sums.unit
    if stored.precision < sums.precision:
        lost += stored.unit
    if share.format.multiply is not arrays:
        lost += share.format.multiply.growth(4)
    return summed(share, left.shape[-1], sizes, np.where(np.isfinite(sizes), lost * sizes, np.inf))


def places(shape: tuple[int, ...]) -> NDArray[np.int64]:
    """The elements of an array numbered from 1, so that 0 stands for padding."""
    return np.arange(1, int(np.prod(shape)) + 1).reshape(shape)


def scattered(adjoint: Any, moved: NDArray[np.int64], shape: tuple[int, ...]) -> Any:
    """The way back through a rearrangement: each element gets the sum over the places it went to.

    moved: `places(shape)` after the rearrangement.
    """
    count = int(np.prod(shape)) + 1

    def back(x: Any) -> Any:
        total = np.zeros(count, x.dtype)
        np.add.at(total, moved.ravel(), x.ravel())
        return total[1:].reshape(shape)

    if not isinstance(adjoint, Bounded):
        return back(adjoint)
    places_each = np.bincount(moved.ravel(), minlength=count)[1:].reshape(shape)
    value = back(adjoint.value)
    error = rounding.of_sum(adjoint.format, value, places_each, back(sizes_of(adjoint)), back(adjoint.error))
    total = Bounded(value, error, adjoint.format)
    if isinstance(adjoint, Sum) and np.all(places_each <= 1):  # only moved
        fused = adjoint.fused if isinstance(adjoint.fused, float) else back(adjoint.fused)
        return summed(total, back(adjoint.terms), back(adjoint.sizes), fused)
    return summed(total, places_each, back(sizes_of(adjoint)))
