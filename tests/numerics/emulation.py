"""Machines that compute as a declared arithmetic says, emulated exactly in double precision.

An `Emulated` array holds numbers of the format that arrays are kept in. NumPy's functions on it round as such a machine
does: definitions run on it unchanged. The double that an operation is evaluated in has more than twice the bits of the
format that its result is rounded to, so rounding twice is rounding once (Figueroa, When is double rounding innocuous?,
SIGNUM Newsletter 30(3), 1995); a fused multiply-add is rounded to odd in between (Boldo and Melquiond, Emulation of
FMA and correctly rounded sums: proved algorithms using rounding to odd, IEEE Trans. Comput. 57(4), 2008).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from layerlaws.numerics.formats import FORMATS, Format

Numbers = NDArray[np.float64]
Order = Callable[[Sequence[Any], Callable[[Any, Any], Any]], Any]


def nearest(format: Format, x: Any, choose: Callable[[Numbers], Numbers] = np.rint) -> Numbers:
    """Doubles rounded to a format with gradual underflow; to even, or as `choose` has it. Overflow is infinite."""
    x = np.asarray(x, np.float64)
    if choose is np.rint and format.name in ("float32", "float16"):
        return x.astype(format.dtype).astype(np.float64)
    _, exponent = np.frexp(x)
    least = round(math.log2(format.smallest_normal)) + 1
    grid = np.maximum(exponent, least) - format.precision
    result = np.ldexp(choose(np.ldexp(x, -grid)), grid)
    return np.where(np.abs(result) > format.largest, np.copysign(np.inf, x), np.where(np.isfinite(x), result, x))


def chopped(format: Format, x: Any) -> Numbers:
    """Doubles rounded towards zero."""
    return nearest(format, x, np.trunc)


def odd_sum(a: Numbers, b: Numbers) -> Numbers:
    """a + b rounded to odd: an inexact double whose last bit is 0 gives way to its neighbour on the other side."""
    total = np.asarray(a + b)
    back = total - a
    lost = (a - (total - back)) + (b - back)
    even = (total.view(np.int64) & 1) == 0
    beyond = np.nextafter(total, np.where(lost > 0, np.inf, -np.inf))
    return np.where((lost != 0) & even & np.isfinite(total), beyond, total)


# --- orders of summation ----------------------------------------------------------------------------------------


def forward(xs: Sequence[Any], add: Callable[[Any, Any], Any]) -> Any:
    total = xs[0]
    for x in xs[1:]:
        total = add(total, x)
    return total


def pairwise(xs: Sequence[Any], add: Callable[[Any, Any], Any]) -> Any:
    while len(xs) > 1:
        paired = [add(xs[k], xs[k + 1]) for k in range(0, len(xs) - 1, 2)]
        xs = paired + list(xs[len(xs) - len(xs) % 2 :])
    return xs[0]


def blocks(size: int) -> Order:
    def blocked(xs: Sequence[Any], add: Callable[[Any, Any], Any]) -> Any:
        return forward([forward(xs[k : k + size], add) for k in range(0, len(xs), size)], add)

    return blocked


def lanes(count: int) -> Order:
    def laid(xs: Sequence[Any], add: Callable[[Any, Any], Any]) -> Any:
        return pairwise([forward(xs[k::count], add) for k in range(min(count, len(xs)))], add)

    return laid


def permuted(xs: Sequence[Any], add: Callable[[Any, Any], Any]) -> Any:
    return forward([xs[k] for k in np.random.default_rng(len(xs)).permutation(len(xs))], add)


ORDERS: dict[str, Order] = {
    "forward": forward,
    "reversed": lambda xs, add: forward(xs[::-1], add),
    "pairwise": pairwise,
    "permuted": permuted,
    **{f"blocks of {size}": blocks(size) for size in (4, 8, 16, 32)},
    "8 lanes": lanes(8),
}


@dataclass(frozen=True)
class Machine:
    """What rounds: the formats of an arithmetic, an order of summation, and the rounding of sums and of operands.

    fused: products are not rounded before they are added. evaluate: the format of elementary functions that
    are off by as much as `EVALUATED` says; by default they are exact.
    """

    accumulate: Format
    keep: Format
    multiply: Format
    order: Order = forward
    fused: bool = False
    sums: Callable[[Format, Any], Numbers] = nearest
    operands: Callable[[Format, Any], Numbers] = nearest
    evaluate: Format | None = None

    @classmethod
    def of(cls, format: Format, **options: Any) -> Machine:
        return cls(format.accumulate, format.keep, format.multiply, **options)

    def holding(self, keep: Format) -> Machine:
        """The same, which keeps arrays in another format, and multiplies them as they are unless it rounded them."""
        return replace(self, keep=keep, multiply=keep if self.multiply is self.keep else self.multiply)

    def kept(self, x: Any) -> Numbers:
        return nearest(self.keep, x)

    def add(self, a: Numbers, b: Numbers) -> Numbers:
        return self.sums(self.accumulate, odd_sum(a, b))

    def total(self, terms: Numbers) -> Numbers:
        """The sum over the first axis, as it is accumulated."""
        if len(terms) == 0:
            return np.zeros(terms.shape[1:])
        return self.order(list(self.sums(self.accumulate, terms)), self.add)

    def dot(self, a: Numbers, b: Numbers) -> Numbers:
        """sum(a * b) over the first axis, as it is accumulated."""
        pairs = self._factors(a, b)
        if not self.fused:
            return self.total(np.concatenate([self.sums(self.accumulate, x * y) for x, y in pairs]))
        # partial sums and factors go through the same order: a pair stands for a product yet to be added
        steps = [(x, y) for left, right in pairs for x, y in zip(left, right, strict=True)]

        def value(x: Any) -> Numbers:
            return self.sums(self.accumulate, x[0] * x[1]) if isinstance(x, tuple) else x

        def add(x: Any, y: Any) -> Numbers:
            if isinstance(y, tuple):
                return self.sums(self.accumulate, odd_sum(value(x), y[0] * y[1]))
            return self.add(value(x), y)

        return value(self.order(steps, add))

    def _factors(self, a: Numbers, b: Numbers) -> list[tuple[Numbers, Numbers]]:
        if self.multiply is self.keep:
            return [(a, b)]
        if self.multiply.name != "bf16x3":
            return [(self.operands(self.multiply, a), self.operands(self.multiply, b))]
        (high, low), (upper, lower) = parts(a), parts(b)
        return [(high, upper), (high, lower), (low, upper)]


def parts(x: Numbers) -> tuple[Numbers, Numbers]:
    """A number as two of bfloat16, and what is left."""
    high = nearest(FORMATS["bfloat16"], x)
    return high, nearest(FORMATS["bfloat16"], x - high)


class Emulated(np.lib.mixins.NDArrayOperatorsMixin):
    """An array on a machine."""

    def __init__(self, value: Any, machine: Machine) -> None:
        self.value: Numbers = np.asarray(value, np.float64)
        self.machine = machine

    shape = property(lambda self: self.value.shape)
    ndim = property(lambda self: self.value.ndim)
    size = property(lambda self: self.value.size)
    dtype = property(lambda self: np.dtype(np.float64))
    T = property(lambda self: Emulated(self.value.T, self.machine))

    def __getitem__(self, index: Any) -> Emulated:
        return Emulated(self.value[index], self.machine)

    def reshape(self, *shape: Any) -> Emulated:
        return Emulated(self.value.reshape(*shape), self.machine)

    def swapaxes(self, first: int, second: int) -> Emulated:
        return Emulated(self.value.swapaxes(first, second), self.machine)

    def __array_ufunc__(self, ufunc: Any, method: str, *operands: Any, **options: Any) -> Any:
        values = [
            x.value
            if isinstance(x, Emulated)
            else nearest(self.machine.keep, x)
            if np.ndim(x) == 0 and not isinstance(x, bool)
            else np.asarray(x)
            for x in operands
        ]
        if ufunc is np.power:
            ufunc, values = np.square, values[:1]
        if ufunc is np.matmul:
            return Emulated(self.machine.kept(matmul(self.machine, *values)), self.machine)
        result = ufunc(*values)
        if result.dtype == bool:
            return result
        if self.machine.evaluate and ufunc in EVALUATED:
            result = off(self.machine.evaluate, result, EVALUATED[ufunc])
        return Emulated(self.machine.kept(np.asarray(result, np.float64)), self.machine)

    def __array_function__(self, function: Any, types: Any, args: Any, options: Any) -> Any:
        if function in REDUCTIONS:
            return REDUCTIONS[function](*args, **options)
        plain = [[plain_of(y) for y in x] if isinstance(x, list | tuple) else plain_of(x) for x in args]
        result = function(*plain, **options)
        return Emulated(result, self.machine)


EVALUATED: dict[Any, int] = {
    **dict.fromkeys((np.exp, np.expm1, np.log, np.log1p, np.tanh, np.sin, np.cos), 7),
    np.sqrt: 1,
}
"""How many unit roundoffs functions are off before they are rounded: 8 are 4 ulp, 2 those of an instruction of 1."""


def off(format: Format, exact: Any, roundings: int) -> Numbers:
    """Results of a format that are off by as much as is allowed, above and below in turns."""
    sign = (-1.0) ** np.arange(np.size(exact)).reshape(np.shape(exact))
    return nearest(format, exact * (1 + sign * roundings * format.unit_roundoff))


def plain_of(x: Any) -> Any:
    return x.value if isinstance(x, Emulated) else x


def matmul(machine: Machine, a: Numbers, b: Numbers) -> Numbers:
    """a @ b as it is accumulated."""
    left, right = np.broadcast_arrays(a[..., :, :, None], b[..., None, :, :])
    return machine.dot(np.moveaxis(left, -2, 0), np.moveaxis(right, -2, 0))


def _sum(x: Emulated, axis: Any = None, *, keepdims: bool = False) -> Emulated:
    axes = tuple(range(x.ndim)) if axis is None else (axis,) if isinstance(axis, int) else tuple(axis)
    axes = tuple(k % x.ndim for k in axes)
    rest = [k for k in range(x.ndim) if k not in axes]
    moved = x.value.transpose(*axes, *rest).reshape(-1, *(x.shape[k] for k in rest))
    total = x.machine.kept(x.machine.total(moved))
    return Emulated(np.expand_dims(total, axes) if keepdims else total, x.machine)


def _mean(x: Emulated, axis: Any = None, *, keepdims: bool = False) -> Any:
    total = _sum(x, axis, keepdims=keepdims)
    return total / float(x.size // total.size)


def _cumsum(x: Emulated, axis: int) -> Emulated:
    terms = list(x.machine.sums(x.machine.accumulate, np.moveaxis(x.value, axis, 0)))
    running = [terms[0]]
    for term in terms[1:]:
        running.append(x.machine.add(running[-1], term))
    return Emulated(x.machine.kept(np.stack(running, axis)), x.machine)


REDUCTIONS: dict[Any, Callable[..., Any]] = {np.sum: _sum, np.mean: _mean, np.cumsum: _cumsum}
