"""Arrays that record what they were computed from, so that `layerlaws.numerics.reverse_mode` can go back."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np

from layerlaws.numerics.accumulation import taken
from layerlaws.numerics.bounded import REARRANGEMENTS, Bounded, asbounded
from layerlaws.numerics.pullbacks import SLOPES, of_extreme, places, product, scattered, times
from layerlaws.numerics.rounding import DECISIONS, MARGIN, quietly

Pull = Callable[[Any], Any]
"""From the adjoint of a result to its share in the adjoint of an operand."""

_ages = itertools.count()


class Variable(np.lib.mixins.NDArrayOperatorsMixin):
    """An array in a computation that is being differentiated.

    primal: the array itself, `Bounded` or plain. edges: the variables it was computed from, and the way back.
    """

    __slots__ = ("age", "edges", "primal")

    def __init__(self, primal: Any, *edges: tuple[Variable, Pull]) -> None:
        self.primal = primal if isinstance(primal, Bounded) else np.asarray(primal)
        self.edges = edges
        self.age = next(_ages)

    shape = property(lambda self: self.primal.shape)
    ndim = property(lambda self: self.primal.ndim)
    size = property(lambda self: self.primal.size)
    dtype = property(lambda self: self.primal.dtype)
    T = property(lambda self: np.transpose(self))

    def __len__(self) -> int:
        return len(self.primal)

    def __iter__(self) -> Iterator[Variable]:
        return (self[i] for i in range(len(self)))

    def __getitem__(self, index: Any) -> Variable:
        return _rearranged(lambda x: x[index], self)

    def __bool__(self) -> bool:
        raise TypeError("a Variable is neither true nor false; compare it with something")

    def __array__(self, *_: Any, **__: Any) -> Any:
        raise TypeError("a Variable is differentiated; NumPy must not take it for a plain array")

    def reshape(self, *shape: Any) -> Variable:
        return _rearranged(lambda x: x.reshape(*shape), self)

    def transpose(self, *axes: Any) -> Variable:
        return _rearranged(lambda x: x.transpose(*axes), self)

    def swapaxes(self, first: int, second: int) -> Variable:
        return _rearranged(lambda x: x.swapaxes(first, second), self)

    def astype(self, dtype: Any, **_: Any) -> Variable:
        cast = self.primal if isinstance(self.primal, Bounded) else self.primal.astype(dtype)
        return Variable(cast, (self, lambda s: s))

    def sum(self, axis: Any = None, keepdims: bool = False) -> Any:
        return np.sum(self, axis=axis, keepdims=keepdims)

    def mean(self, axis: Any = None, keepdims: bool = False) -> Any:
        return np.mean(self, axis=axis, keepdims=keepdims)

    def max(self, axis: Any = None, keepdims: bool = False) -> Any:
        return np.max(self, axis=axis, keepdims=keepdims)

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *operands: Any, **options: Any) -> Any:
        if method != "__call__" or options:
            return NotImplemented
        if ufunc is np.power and operands[1] == 2:
            ufunc, operands = np.square, operands[:1]
        if ufunc is np.matmul:
            return _matmul(*operands)
        primals = [constant(x) for x in operands]
        with quietly():
            result = ufunc(*primals)
            if ufunc in DECISIONS:
                return result
            if ufunc not in SLOPES:
                return NotImplemented
            return elementwise(result, operands, SLOPES[ufunc](result, *primals))

    def __array_function__(self, function: Any, types: Any, args: Any, options: Any) -> Any:
        with quietly():
            if function in LINEAR:
                return LINEAR[function](*args, **options)
            if function in REARRANGEMENTS:
                return _rearranged(lambda x: function(x, *args[1:], **options), args[0])
            if function in CONSTANT:
                return function(*(constant(x) for x in args), **options)
        return NotImplemented


def constant(x: Any) -> Any:
    """The array of a `Variable`, cut off from what it was computed from; anything else as it is."""
    return x.primal if isinstance(x, Variable) else x


def kept_in_parts(total: Any, parts: Callable[[], Sequence[Any]]) -> Any:
    """A sum that may have been added up from parts, each of which was kept, in any order.

    In a format that sums are accumulated in as they are kept, that is one more order of summation and costs nothing.
    Where sums are kept in a narrower format, each part and each sum of some of them is rounded to it: n parts, and
    n - 2 sums before the last, none of them larger than the sizes of all parts together. parts: called only there.
    """
    whole = constant(total)
    if not isinstance(whole, Bounded) or whole.format.keep.precision >= whole.format.accumulate.precision:
        return total
    with quietly():
        pieces = [asbounded(constant(part), whole.format) for part in parts()]
        sizes = functools.reduce(np.add, [np.abs(part.double) + part.absolute for part in pieces])
        kept, rounded = whole.format.keep, max(len(pieces) - 1, 0)
        extra = (rounded * kept.unit * sizes + 2 * rounded * np.minimum(sizes, kept.smallest_normal)) * MARGIN
        loosened = Bounded(whole.value, whole.absolute + np.where(np.isnan(extra), np.inf, extra), whole.format)
    return Variable(loosened, (total, lambda s: s)) if isinstance(total, Variable) else loosened


def elementwise(result: Any, operands: tuple[Any, ...], slopes: tuple[Any, ...]) -> Variable:
    """A result with its slopes by each operand."""

    def edge(x: Variable, slope: Any) -> tuple[Variable, Pull]:
        return x, lambda s: times(s, slope, x.shape)

    return Variable(result, *(edge(x, c) for x, c in zip(operands, slopes, strict=True) if isinstance(x, Variable)))


def _rearranged(rearrange: Callable[[Any], Any], x: Variable) -> Variable:
    """A function that only moves elements about, done to their numbers as well."""
    moved = rearrange(places(x.shape))
    return Variable(rearrange(x.primal), (x, lambda s: scattered(s, moved, x.shape)))


def _matmul(a: Any, b: Any) -> Variable:
    if a.ndim == 1:
        return _matmul(a[None, :], b)[..., 0, :]
    if b.ndim == 1:
        return _matmul(a, b[:, None])[..., 0]
    one, other = constant(a), constant(b)
    edges: list[tuple[Variable, Pull]] = []
    if isinstance(a, Variable):
        edges.append((a, lambda s: product(s, np.swapaxes(other, -1, -2), one.shape, one.shape[-1])))
    if isinstance(b, Variable):
        edges.append((b, lambda s: product(np.swapaxes(one, -1, -2), s, other.shape, one.shape[-1])))
    return Variable(one @ other, *edges)


def _sum(x: Variable, axis: Any = None, *, keepdims: bool = False) -> Variable:
    kept = np.sum(places(x.shape), axis=axis, keepdims=True).shape
    total = np.sum(x.primal, axis=axis, keepdims=keepdims)
    return Variable(total, (x, lambda s: np.broadcast_to(s.reshape(kept), x.shape)))


def _mean(x: Variable, axis: Any = None, *, keepdims: bool = False) -> Any:
    total = _sum(x, axis, keepdims=keepdims)
    return total / (x.size // total.size if total.size else 1)


def _extreme(choose: Callable[..., Any], sign: int) -> Callable[..., Variable]:
    def extreme(x: Variable, axis: Any = None, *, keepdims: bool = False) -> Variable:
        slope = of_extreme(x.primal, sign, axis)
        kept = np.sum(places(x.shape), axis=axis, keepdims=True).shape
        result = choose(x.primal, axis=axis, keepdims=keepdims)
        return Variable(result, (x, lambda s: times(s.reshape(kept), slope, x.shape)))

    return extreme


def _cumsum(x: Variable, axis: int) -> Variable:
    return Variable(np.cumsum(x.primal, axis), (x, lambda s: np.flip(np.cumsum(np.flip(s, axis), axis), axis)))


def _where(condition: Any, yes: Any, no: Any) -> Variable:
    condition = np.asarray(constant(condition))
    edges: list[tuple[Variable, Pull]] = []
    if isinstance(yes, Variable):
        edges.append((yes, lambda s: times(np.where(condition, s, 0.0), 1, yes.shape)))
    if isinstance(no, Variable):
        edges.append((no, lambda s: times(np.where(condition, 0.0, s), 1, no.shape)))
    return Variable(np.where(condition, constant(yes), constant(no)), *edges)


def _pad(x: Variable, width: Any, mode: Any = "constant", **constants: Any) -> Variable:
    moved = np.pad(places(x.shape), width, mode)
    return Variable(np.pad(x.primal, width, mode, **constants), (x, lambda s: scattered(s, moved, x.shape)))


def _concatenate(arrays: Any, axis: int = 0) -> Variable:
    edges: list[tuple[Variable, Pull]] = []
    start = 0
    for x in arrays:
        cut = range(start, start := start + x.shape[axis])
        if isinstance(x, Variable):
            edges.append((x, partial(taken, indices=cut, axis=axis)))
    return Variable(np.concatenate([constant(x) for x in arrays], axis=axis), *edges)


def _stack(arrays: Any, axis: int = 0) -> Variable:
    edges: list[tuple[Variable, Pull]] = [
        (x, partial(taken, indices=k, axis=axis)) for k, x in enumerate(arrays) if isinstance(x, Variable)
    ]
    return Variable(np.stack([constant(x) for x in arrays], axis=axis), *edges)


def _split(x: Variable, parts: Any, axis: int = 0) -> list[Any]:
    cuts = np.split(np.arange(x.shape[axis]), parts)
    return [np.take(x, cut, axis) for cut in cuts]


CONSTANT = {np.shape, np.ndim, np.size, np.zeros_like, np.ones_like, np.argmax, np.argmin, np.argsort}
"""Functions whose results do not vary with the numbers: shapes and decisions."""

LINEAR: dict[Any, Callable[..., Any]] = {
    np.sum: _sum,
    np.mean: _mean,
    np.cumsum: _cumsum,
    np.max: _extreme(np.max, 1),
    np.min: _extreme(np.min, -1),
    np.where: _where,
    np.pad: _pad,
    np.concatenate: _concatenate,
    np.stack: _stack,
    np.split: _split,
    np.clip: lambda x, low, high: np.minimum(np.maximum(x, low), high),
}
"""Functions with several elements in one result, or several arrays; the largest is linear where it is smooth."""
