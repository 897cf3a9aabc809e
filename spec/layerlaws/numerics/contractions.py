"""Inner products in all their spellings: dot, vdot, inner, outer, tensordot, einsum.

All but einsum are one matrix product of rearranged operands, with the rule of that. einsum is bounded for itself: over
any order of contraction.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from layerlaws.numerics import rounding
from layerlaws.numerics.bounded import COMPOSED, FUNCTIONS, Bounded, _alike
from layerlaws.numerics.formats import Format

Array = NDArray[Any]

LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"


def _tensordot(a: Any, b: Any, axes: Any = 2) -> Any:
    a, b = _alike([a, b])
    if isinstance(axes, int):
        left, right = list(range(a.ndim - axes, a.ndim)), list(range(axes))
    else:
        left, right = ([axis] if isinstance(axis, int) else list(axis) for axis in axes)
        left, right = [k % a.ndim for k in left], [k % b.ndim for k in right]
    rows = [k for k in range(a.ndim) if k not in left]
    columns = [k for k in range(b.ndim) if k not in right]
    terms = math.prod(a.shape[k] for k in left)
    if [a.shape[k] for k in left] != [b.shape[k] for k in right]:
        raise ValueError(
            f"tensordot sums over extents {[a.shape[k] for k in left]} of the first operand and "
            f"{[b.shape[k] for k in right]} of the second"
        )
    kept_rows, kept_columns = [a.shape[k] for k in rows], [b.shape[k] for k in columns]
    one = a.transpose(rows + left).reshape(math.prod(kept_rows), terms)
    other = b.transpose(right + columns).reshape(terms, math.prod(kept_columns))
    return (one @ other).reshape((*kept_rows, *kept_columns))


def _dot(a: Any, b: Any) -> Any:
    a, b = _alike([a, b])
    if a.ndim == 0 or b.ndim == 0:
        return a * b
    return _tensordot(a, b, ([a.ndim - 1], [max(b.ndim - 2, 0)]))


def _inner(a: Any, b: Any) -> Any:
    a, b = _alike([a, b])
    return a * b if a.ndim == 0 or b.ndim == 0 else _tensordot(a, b, ([a.ndim - 1], [b.ndim - 1]))


def _vdot(a: Any, b: Any) -> Any:
    a, b = _alike([a, b])
    return a.reshape(-1) @ b.reshape(-1)


def _outer(a: Any, b: Any) -> Any:
    a, b = _alike([a, b])
    return a.reshape(-1)[:, None] * b.reshape(-1)[None, :]


def _vecdot(a: Any, b: Any) -> Any:
    a, b = _alike([a, b])
    return (a[..., None, :] @ b[..., :, None])[..., 0, 0]


def _einsum(subscripts: Any, *operands: Any, optimize: Any = False) -> Bounded:
    """Any subscripts. The bound does not ask for the order of contraction, so `optimize` changes nothing.

    With k operands, and N terms that are added up in each element of the result, every term is rounded at most
    N + k - 2 times in the accumulator, in any order: contracting some operands first is a sum of sums, whose numbers of
    terms multiply to N, and numbers from 1 up whose product is N add up to N + (how many) - 1 at most. For two operands
    that is an inner product of N terms, and N u holds without higher-order terms (see `rounding.of_sum`).
    What is stored between two contractions is rounded to the format that arrays are kept in: k - 2 times, and once for
    every operand that is added up over indices of its own before. For three operands or more nothing is claimed where a
    product of some of them may overflow, and each may lose the smallest normal number times the rest.
    """
    if not isinstance(subscripts, str):
        raise TypeError('layerlaws has a rule for numpy.einsum with subscripts as text: "ij,jk->ik"')
    parts = _alike(operands)
    inputs, output = _spelled(subscripts, [x.ndim for x in parts])
    spelled = f"{','.join(inputs)}->{output}"
    extents = _extents(inputs, parts)
    terms = math.prod(extents[c] for c in set("".join(inputs)) - set(output))
    arithmetic = parts[0].format
    multiplied = [_multiplied(arithmetic, x) for x in parts] if len(parts) > 1 else parts

    def contract(arrays: Sequence[Array]) -> Array:
        return np.asarray(np.einsum(spelled, *arrays, optimize=len(arrays) > 1))

    value = contract([x.value for x in parts])
    sizes = [np.abs(x.double) + x.absolute for x in multiplied]
    size = contract(sizes)
    carried: Any = 0.0
    for k, x in enumerate(multiplied):
        if type(x.absolute) is not float:
            others = [np.abs(y.double) for y in multiplied[:k]]
            carried = carried + contract([*others, x.absolute, *sizes[k + 1 :]])
    if len(parts) == 1:
        return Bounded(value, rounding.of_sum(arithmetic, value, terms, size, carried), arithmetic)
    error = (_lost(arithmetic, terms, size, inputs, output, extents, sizes) + carried) * rounding.MARGIN
    error = np.where(np.isfinite(size), error, np.where(np.isnan(value), 0.0, np.inf))
    return Bounded(value, rounding.kept(arithmetic, value, error), arithmetic)


def _multiplied(arithmetic: Format, x: Bounded) -> Bounded:
    if arithmetic.multiply is arithmetic.keep:
        return x
    return Bounded(x.value, rounding._rounded_for_products(arithmetic.multiply, x.double, x.absolute), x.format)


def _spelled(subscripts: str, dimensions: list[int]) -> tuple[list[str], str]:
    """Subscripts with letters in place of an ellipsis, and the output that NumPy takes where none is told."""
    left, arrow, output = subscripts.replace(" ", "").partition("->")
    inputs = left.split(",")
    if len(inputs) != len(dimensions):
        raise ValueError(f"einsum {subscripts!r} is for {len(inputs)} operands, and {len(dimensions)} were given")
    free = [c for c in LETTERS if c not in subscripts]
    spare = [n - len(s.replace("...", "")) if "..." in s else 0 for s, n in zip(inputs, dimensions, strict=True)]
    longest = "".join(free[: max(spare)])
    inputs = [s.replace("...", longest[len(longest) - n :]) for s, n in zip(inputs, spare, strict=True)]
    if arrow:
        return inputs, output.replace("...", longest)
    letters = "".join(inputs)
    return inputs, longest + "".join(sorted(c for c in set(letters) - set(longest) if letters.count(c) == 1))


def _extents(inputs: list[str], parts: list[Bounded]) -> dict[str, int]:
    extents: dict[str, int] = {}
    for letters, x in zip(inputs, parts, strict=True):
        if len(letters) != x.ndim:
            raise ValueError(f"einsum operand has shape {x.shape}, expected {len(letters)} axes ({letters!r})")
        for letter, n in zip(letters, x.shape, strict=True):
            extents[letter] = max(extents.get(letter, 1), n) if n else 0
    return extents


def _lost(
    arithmetic: Format,
    terms: int,
    size: Array,
    inputs: list[str],
    output: str,
    extents: dict[str, int],
    sizes: list[Array],
) -> Array:
    """What rounding adds, before the result is kept: see `_einsum`."""
    format, count = arithmetic.accumulate, len(inputs)
    own = sum(bool(set(s) - set(output) - set("".join(inputs[:k] + inputs[k + 1 :]))) for k, s in enumerate(inputs))
    stored = own + count - 2 if arithmetic.keep.precision < format.precision else 0
    roundings = terms * rounding.products(arithmetic)
    growth = roundings * format.unit if count == 2 else format.growth(math.ceil(roundings) + count - 2)
    growth += arithmetic.keep.growth(stored) * (1 + growth)
    if arithmetic.multiply is not arithmetic.keep:
        growth += arithmetic.multiply.growth(2 * (count - 2)) * (1 + growth)
    error: Array = growth * size + roundings * np.minimum(size, format.smallest_normal)
    if stored or count > 2:
        narrow = arithmetic.keep if stored else format
        error = error + _between(narrow, terms, inputs, output, extents, sizes) * (size > 0)
    return np.where(size * (1 + growth) <= format.largest, error, np.inf)


def _between(
    format: Format, terms: int, inputs: list[str], output: str, extents: dict[str, int], sizes: list[Array]
) -> float:
    """What products of some operands may lose to underflow in the whole, infinite where one may overflow."""
    largest = [float(np.max(x, initial=0.0)) for x in sizes]
    everything = range(len(inputs))
    rest = 0.0
    for some in itertools.chain.from_iterable(itertools.combinations(everything, n) for n in range(1, len(inputs))):
        others = [k for k in everything if k not in some]
        needed = set(output).union(*(inputs[k] for k in others))
        added = math.prod(extents[c] for c in set("".join(inputs[k] for k in some)) - needed)
        if added * math.prod(largest[k] for k in some) > format.largest / 2:
            return math.inf
        rest = max(rest, math.prod(largest[k] for k in others))
    return 2 * len(inputs) * terms * format.smallest_normal * rest


def _trace(x: Bounded, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    return np.sum(np.diagonal(x, offset, axis1, axis2), axis=-1)


CONTRACTIONS: dict[Any, Callable[..., Any]] = {
    np.tensordot: _tensordot,
    np.dot: _dot,
    np.inner: _inner,
    np.vdot: _vdot,
    np.outer: _outer,
    np.einsum: _einsum,
    np.trace: _trace,
}

FUNCTIONS.update(CONTRACTIONS)
COMPOSED["vecdot"] = _vecdot
COMPOSED["matvec"] = lambda a, b: (a @ b[..., None])[..., 0]
COMPOSED["vecmat"] = lambda a, b: (a[..., None, :] @ b)[..., 0, :]
