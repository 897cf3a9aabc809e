"""Arrays that carry a proven bound on their own rounding error.

A definition evaluated on `Bounded` arrays yields a value and, next to it, how far from that value any
implementation of the same mathematics may land that computes in the given format, in any order of summation:
running error analysis after Wilkinson (Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed. 2002,
section 3.3). The rules for single operations stand in `layerlaws.numerics.rounding`; this module carries them through
NumPy's protocols, so that a definition stays plain NumPy.

The bound is rigorous, not first-order: each rule takes operands anywhere within their errors, results that may
be flushed below the smallest normal number, and overflow, where nothing is claimed (the error is infinite).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from layerlaws.numerics import rounding
from layerlaws.numerics.arithmetic import in_force
from layerlaws.numerics.formats import ArrayLike, Format, format_of
from layerlaws.numerics.refusals import accepts, no_rule
from layerlaws.numerics.rounding import quietly
from layerlaws.support.errors import Undecidable

SHORT = 26
"""Bits of a Python float that is taken to be meant exactly: half of those it has."""


def _method(function: Any) -> Callable[..., Any]:
    """A NumPy function as a method."""
    return lambda self, *args, **options: function(self, *args, **options)


class Bounded(np.lib.mixins.NDArrayOperatorsMixin):
    """An array of real numbers and, for each, how far a computed counterpart may be away.

    value: the numbers, in a format wider than `format` where there is one.
    error: of the same shape, absolute, not negative; infinite where nothing is claimed.
    absolute: the error as the rules take it, the Python number 0.0 for an array that is exact, as most are at first.
    format: what the counterpart is computed in.
    """

    __slots__ = ("_double", "absolute", "format", "value")

    def __init__(self, value: ArrayLike, error: ArrayLike, format: Format) -> None:
        self.value: NDArray[Any] = np.asarray(value, format.wide)
        absolute: NDArray[Any] = np.asarray(error, np.float64)
        if type(error) is float and error == 0.0:
            self.absolute: Any = error
        else:
            self.absolute = absolute if absolute.shape == self.value.shape else absolute + np.zeros(self.value.shape)
        self.format = format
        self._double: NDArray[np.float64] | None = self.value if format.wide is np.float64 else None

    @classmethod
    def of(cls, value: Any, absolute: Any, format: Format, double: NDArray[np.float64] | None = None) -> Self:
        """The same of parts that are known to fit: without looking at them again."""
        made = object.__new__(cls)
        made.value = value if type(value) is np.ndarray else np.asarray(value, format.wide)
        made.absolute, made.format = absolute, format
        made._double = made.value if format.wide is np.float64 else double
        return made

    @property
    def error(self) -> NDArray[np.float64]:
        exact = type(self.absolute) is float
        error: NDArray[np.float64] = np.zeros(self.value.shape) if exact else np.asarray(self.absolute)
        return error

    @property
    def double(self) -> NDArray[np.float64]:
        """The value in the double that errors are computed in."""
        if self._double is None:
            with quietly():
                self._double = rounding.as_double(self.value)
        return self._double

    shape = property(lambda self: self.value.shape)
    ndim = property(lambda self: self.value.ndim)
    size = property(lambda self: self.value.size)
    dtype = property(lambda self: self.format.dtype, doc="The dtype of the computed counterpart.")
    T = property(lambda self: self._apply(np.transpose))

    def __repr__(self) -> str:
        return f"Bounded({np.asarray(self.value, float)!r}, error={self.error!r}, {self.format.name})"

    def __len__(self) -> int:
        return len(self.value)

    def __iter__(self) -> Iterator[Bounded]:
        return (self[i] for i in range(len(self)))

    def __getitem__(self, index: Any) -> Bounded:
        return self._moved(lambda part: part[index])

    def __bool__(self) -> bool:
        raise TypeError("a Bounded is neither true nor false; compare it with something")

    def __array__(self, *_: Any, **__: Any) -> NDArray[Any]:
        raise TypeError("a Bounded is a value with an error; take .value where the error may be lost")

    def astype(self, dtype: Any) -> Bounded:
        """Itself: results are in the format anyway. Raises TypeError for another one."""
        if np.dtype(dtype) != self.dtype:
            raise TypeError(f"a {self.format.name} result cannot become {np.dtype(dtype).name}")
        return self

    def reshape(self, *shape: Any) -> Bounded:
        return self._moved(lambda part: part.reshape(*shape))

    def transpose(self, *axes: Any) -> Bounded:
        return self._moved(lambda part: part.transpose(*axes))

    def swapaxes(self, first: int, second: int) -> Bounded:
        return self._moved(lambda part: part.swapaxes(first, second))

    sum = _method(np.sum)
    mean = _method(np.mean)
    max = _method(np.max)
    min = _method(np.min)
    argmax = _method(np.argmax)
    argmin = _method(np.argmin)
    var = _method(np.var)
    std = _method(np.std)
    prod = _method(np.prod)
    dot = _method(np.dot)
    ravel = _method(np.ravel)
    clip = _method(np.clip)
    cumsum = _method(np.cumsum)
    cumprod = _method(np.cumprod)
    squeeze = _method(np.squeeze)
    argsort = _method(np.argsort)
    repeat = _method(np.repeat)
    take = _method(np.take)
    flatten = ravel

    def _apply(self, rearrange: Callable[..., Any], *args: Any, **options: Any) -> Bounded:
        return self._moved(lambda part: rearrange(part, *args, **options))

    def _moved(self, move: Callable[[Any], Any]) -> Bounded:
        """What only moves elements about: value and error move alike."""
        error = 0.0 if type(self.absolute) is float else np.asarray(move(self.absolute))
        return Bounded.of(move(self.value), error, self.format)

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *operands: Any, **options: Any) -> Any:
        if any(
            hasattr(x, "__array_ufunc__") and not isinstance(x, Bounded | np.ndarray | np.generic) for x in operands
        ):
            return NotImplemented  # the other kind of array knows
        if method != "__call__" or options:
            raise TypeError(no_rule(ufunc, known(), method, options))
        if ufunc is np.power and type(operands[1]) in (int, float) and operands[1] == 2:
            ufunc, operands = np.square, operands[:1]
        with quietly():
            if ufunc.__name__ in COMPOSED:
                return COMPOSED[ufunc.__name__](*operands)
            ufunc = NAMESAKES.get(ufunc.__name__, ufunc)
            bounded = [
                x if type(x) is Bounded and x.format is self.format else asbounded(x, self.format) for x in operands
            ]
            if ufunc in rounding.DECISIONS:
                return _decide(ufunc, bounded)
            rule = rounding.RULES.get(ufunc)
            if rule is None:
                raise TypeError(no_rule(ufunc, known()))
            value, double, flushed = _in_range(np.asarray(ufunc(*[x.value for x in bounded]), self.format.wide))
            error = rule(self.format, double, *[part for x in bounded for part in (x.double, x.absolute)])
            return Bounded.of(value, error if flushed is None else error + flushed, self.format, double)

    def __array_function__(self, function: Any, types: Any, args: Any, options: Any) -> Any:
        if any(not issubclass(x, Bounded | np.ndarray) for x in types):
            return NotImplemented
        if function in FUNCTIONS:
            accepts(FUNCTIONS[function], function, args, options)
            with quietly():
                return FUNCTIONS[function](*args, **options)
        if function in REARRANGEMENTS:
            return args[0]._apply(function, *args[1:], **options)
        raise TypeError(no_rule(function, known()))


def asbounded(x: ArrayLike, format: Format | None = None) -> Bounded:
    """`x` as an exact array of its own format, or as constants that a computation in `format` must round.

    An array of the format is exact: it is what the implementation was given. A Python number, an integer or a
    wider array is a constant of the definition, and any implementation rounds it once. In double a Python float
    is exact only where it is short, such as 0.5; one that fills its bits, such as root(3), was rounded itself.
    Raises TypeError where two formats meet.
    """
    if isinstance(x, Bounded):
        if format is not None and x.format is not format:
            raise TypeError(f"a {x.format.name} result meets a {format.name} one; a law computes in one format")
        return x
    if format is not None and type(x) in (int, float, bool):
        return _number(x, str(x), format)
    array = np.asarray(x)
    if format is None:
        format = in_force(format_of(array))
    wide = array.astype(format.wide)
    if array.dtype == format.dtype or array.dtype.kind == "b":
        return Bounded(wide, 0.0, format)
    return _constant(wide, rounding.of_constants(format.keep, wide), format)


@cache
def _number(x: float, spelled: str, format: Format) -> Bounded:
    """A Python number as a constant; spelled: tells 1 from True and 0.0 from -0.0, which are equal as keys."""
    wide = np.asarray(x).astype(format.wide)
    bits = min(format.keep.precision, SHORT) if type(x) is float else None
    return _constant(wide, rounding.of_constants(format.keep, wide, bits), format)


def _constant(wide: NDArray[Any], error: NDArray[np.float64], format: Format) -> Bounded:
    return Bounded(wide, error if error.any() else 0.0, format)


def rounded(x: ArrayLike, format: Format | str) -> Bounded:
    """Numbers computed beforehand in a wider format, rounded once: all that an implementation may lose on them.

    A `Bounded` of another format brings its error along: mixed precision, as where an implementation computes in double
    and returns half. One of this format is rounded already, and comes back as it is.
    """
    known = format if isinstance(format, Format) else in_force(format_of(format))
    if isinstance(x, Bounded) and x.format is known:
        return x
    with quietly():  # a longdouble beyond double is infinite there
        wide = np.asarray(value_of(x)).astype(known.wide)
        return Bounded(wide, rounding.once(known.keep, rounding.as_double(wide), error_of(x)), known)


def stored(x: Any) -> Any:
    """What is written out as an array of the storage format: rounded to it, where it is kept in a wider one.

    Results are; a definition calls it on what it says is stored in between. Tuples are taken part by part; what is not
    `Bounded` comes back as it is.
    """
    if isinstance(x, tuple):
        return tuple(map(stored, x))
    if not isinstance(x, Bounded) or x.format.keep.precision <= x.format.precision:
        return x
    with quietly():
        return Bounded.of(x.value, rounding.once(x.format.store, x.double, x.absolute), x.format, x.double)


def value_of(x: ArrayLike) -> NDArray[Any]:
    """The numbers, whether or not they carry an error."""
    return x.value if isinstance(x, Bounded) else np.asarray(x)


def error_of(x: ArrayLike) -> NDArray[Any]:
    """The absolute error; 0 for an array that carries none."""
    return x.error if isinstance(x, Bounded) else np.zeros(np.shape(x))


def _in_range(value: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.float64], Any]:
    """Numbers, and the double of them that errors are computed in.

    Those of a longdouble that the double does not reach are set to zero; the last is how much that moved, or None.
    """
    if value.dtype == np.float64:
        return value, value, None
    double = value.astype(np.float64)
    size = np.abs(double)
    if rounding.all_finite(size) and np.minimum.reduce(size, axis=None, initial=1.0) > _LEAST:
        return value, double, None
    double = rounding.as_double(value)
    below = (value != 0) & (np.abs(value) < _LEAST)
    if not below.any():
        return value, double, None
    return np.where(below, 0, value), np.where(below, 0.0, double), np.where(below, _LEAST, 0.0)


_LEAST = float(np.finfo(np.float64).smallest_subnormal)


def _decide(ufunc: np.ufunc, operands: list[Bounded]) -> NDArray[Any]:
    """A comparison or a rounding to integers, where the errors cannot turn it."""
    if all(type(x.absolute) is float for x in operands):
        return np.asarray(ufunc(*(x.value for x in operands)))
    if len(operands) == 2:
        gap = np.abs(operands[0].value - operands[1].value)
        reach = operands[0].error + operands[1].error
        unsure = _within(gap, reach)
        if unsure.any():
            infinite = np.isinf(operands[0].value) | np.isinf(operands[1].value)
            unsure &= ~(infinite & np.isfinite(reach))
    else:
        low, high = (ufunc(operands[0].value + sign * operands[0].error) for sign in (-1, 1))
        unsure = (operands[0].error > 0) & ((low != high) | np.isinf(operands[0].error))
    if np.any(unsure):
        raise Undecidable(f"{ufunc.__name__} turns within the rounding errors of what it compares")
    return np.asarray(ufunc(*(x.value for x in operands)))


def _reach(x: Bounded) -> NDArray[np.float64]:
    """The largest size of each computed number, 0 for infinities, which leave a sum infinite without rounding."""
    reach: NDArray[np.float64] = np.abs(x.double) + x.absolute
    return reach if rounding.all_finite(reach) else np.where(np.isfinite(x.double), reach, 0.0)


def _sum(x: Bounded, axis: Any = None, *, keepdims: bool = False) -> Bounded:
    add: Callable[..., Any] = np.add.reduce
    value = add(x.value, axis=axis, keepdims=keepdims)
    total = 0.0 if type(x.absolute) is float else add(x.absolute, axis=axis, keepdims=keepdims)
    size = add(_reach(x), axis=axis, keepdims=keepdims)
    terms = x.size // value.size if value.size else 0
    return Bounded.of(value, np.asarray(rounding.of_sum(x.format, value, terms, size, total)), x.format)


def _mean(x: Bounded, axis: Any = None, *, keepdims: bool = False) -> Bounded:
    total = _sum(x, axis, keepdims=keepdims)
    quotient: Bounded = total / (x.size // total.size if total.size else 1)
    return quotient


def _cumsum(x: Bounded, axis: int) -> Bounded:
    size = np.cumsum(_reach(x), axis)
    shape = [1] * x.ndim
    shape[axis] = -1
    terms = np.arange(1, x.shape[axis] + 1).reshape(shape)
    value = np.cumsum(x.value, axis)
    return Bounded(value, rounding.of_sum(x.format, value, terms, size, np.cumsum(x.error, axis)), x.format)


def _extreme(choose: Callable[..., Any]) -> Callable[..., Bounded]:
    """The largest (or smallest) of computed numbers is no farther off than the worst of them: nothing is decided."""

    def extreme(x: Bounded, axis: Any = None, *, keepdims: bool = False) -> Bounded:
        exact = type(x.absolute) is float
        worst = 0.0 if exact else np.asarray(np.max(x.absolute, axis=axis, keepdims=keepdims))
        return Bounded.of(choose(x.value, axis=axis, keepdims=keepdims), worst, x.format)

    return extreme


def _order(choose: Callable[..., Any]) -> Callable[..., NDArray[Any]]:
    """argmax and argmin, where every other number is farther from the chosen one than their errors."""

    def order(x: Bounded, axis: int | None = None) -> NDArray[Any]:
        flat, along = (x.reshape(-1), 0) if axis is None else (x, axis)
        chosen = choose(flat.value, axis=along, keepdims=True)
        best, reach = (np.take_along_axis(part, chosen, along) for part in (flat.value, flat.error))
        unsure = _within(np.abs(flat.value - best), flat.error + reach)
        np.put_along_axis(unsure, chosen, False, along)
        if unsure.any():
            raise Undecidable(f"{choose.__name__} turns within the rounding errors of what it orders")
        return np.asarray(choose(x.value, axis=axis))

    return order


def _argsort(x: Bounded, axis: int = -1, kind: str = "stable") -> NDArray[Any]:
    """The stable order, where no two neighbours in it are closer than their errors."""
    ranks = np.argsort(x.value, axis=axis, kind="stable")
    value, error = (np.take_along_axis(part, ranks, axis) for part in (x.value, x.error))
    later, earlier = range(1, x.shape[axis]), range(x.shape[axis] - 1)
    if _within(np.diff(value, axis=axis), np.take(error, later, axis) + np.take(error, earlier, axis)).any():
        raise Undecidable("argsort turns within the rounding errors of what it orders")
    return ranks


def _within(gap: NDArray[Any], reach: NDArray[Any]) -> NDArray[np.bool_]:
    """Whether rounding could close a gap; between exact numbers nothing can."""
    return np.asarray((reach > 0) & ~(gap > reach))


def _where(condition: ArrayLike, yes: ArrayLike, no: ArrayLike) -> Bounded:
    yes, no = _alike([yes, no])
    exact = type(yes.absolute) is float and type(no.absolute) is float
    value = np.where(condition, yes.value, no.value)
    return Bounded(value, 0.0 if exact else np.where(condition, yes.absolute, no.absolute), yes.format)


def _pad(x: Bounded, width: Any, mode: Any = "constant", *, constant_values: ArrayLike = 0) -> Bounded:
    """The numbers put in are constants of the definition."""
    if mode != "constant":
        return x._apply(np.pad, width, mode)
    filling = asbounded(constant_values, x.format)
    value, error = (
        np.pad(part, width, constant_values=put) for part, put in ((x.value, filling.value), (x.error, filling.error))
    )
    return Bounded(value, error, x.format)


def _join(join: Callable[..., Any]) -> Callable[..., Bounded]:
    def joined(arrays: Sequence[ArrayLike], axis: int = 0) -> Bounded:
        parts = _alike(arrays)
        exact = all(type(x.absolute) is float for x in parts)
        error = 0.0 if exact else join([x.error for x in parts], axis)
        return Bounded.of(join([x.value for x in parts], axis), error, parts[0].format)

    return joined


def _alike(arrays: Sequence[ArrayLike]) -> list[Bounded]:
    format = next(x.format for x in arrays if isinstance(x, Bounded))
    return [asbounded(x, format) for x in arrays]


REARRANGEMENTS = {
    np.reshape, np.transpose, np.swapaxes, np.moveaxis, np.expand_dims, np.squeeze, np.broadcast_to, np.take,
    np.take_along_axis, np.flip, np.roll, np.repeat, np.tile, np.pad, np.ravel, np.tril, np.triu, np.diagonal,
    np.lib.stride_tricks.sliding_window_view, np.delete,
}  # fmt: skip
"""Functions that move, copy or drop elements, or put in constants, and compute nothing."""

NAMESAKES: dict[str, Any] = {}
"""Functions that stand in for others of this name: see `layerlaws.numerics.special`."""

COMPOSED: dict[str, Callable[..., Any]] = {}
"""Elementwise functions that are put together from others, by name: of NumPy, or of packages that need not be there."""

FUNCTIONS: dict[Any, Callable[..., Any]] = {
    np.sum: _sum,
    np.mean: _mean,
    np.cumsum: _cumsum,
    np.max: _extreme(np.max),
    np.min: _extreme(np.min),
    np.argmax: _order(np.argmax),
    np.argmin: _order(np.argmin),
    np.argsort: _argsort,
    np.where: _where,
    np.pad: _pad,
    np.concatenate: _join(np.concatenate),
    np.stack: _join(np.stack),
    np.shape: lambda x: x.shape,
    np.ndim: lambda x: x.ndim,
    np.size: lambda x: x.size,
    np.zeros_like: lambda x: np.zeros(x.shape),
    np.ones_like: lambda x: np.ones(x.shape),
    np.split: lambda x, parts, axis=0: [
        Bounded(v, e, x.format)
        for v, e in zip(np.split(x.value, parts, axis), np.split(x.error, parts, axis), strict=True)
    ],
}


def known() -> list[str]:
    """The names of all functions that have a rule."""
    functions = {f.__name__ for f in (*rounding.RULES, *rounding.DECISIONS, *FUNCTIONS, *REARRANGEMENTS)}
    return sorted(name for name in functions.union(COMPOSED, NAMESAKES) if name.isidentifier())
