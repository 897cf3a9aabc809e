"""Shares of a gradient that remember what they were added up from.

An array that is used several times, such as the weights of a recurrence, gets a share from each use, and most shares
are sums themselves: inner products over the batch. An implementation may add up the terms of all shares in one go, in
any order: steps laid side by side are one matrix product, and a product may start from what is there already. So the
shares are not rounded one by one: what is bounded is one sum over all their terms.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from layerlaws.numerics import rounding
from layerlaws.numerics.bounded import Bounded, error_of, value_of
from layerlaws.numerics.formats import Format


class Sum(Bounded):
    """An array with the terms that each element was added up from.

    terms: how many. sizes: their absolute values added up. Both are of the array's shape. fused: what the array is off
    further where its products with something else are added up by another road, that of fused attention.
    """

    __slots__ = ("fused", "sizes", "terms")

    sizes: NDArray[np.float64]
    terms: NDArray[np.int64]
    fused: NDArray[np.float64] | float


def summed(
    total: Bounded,
    terms: int | NDArray[np.int64],
    sizes: NDArray[np.float64],
    fused: NDArray[np.float64] | float = 0.0,
) -> Sum:
    """A sum whose error is known, with its terms."""
    made = Sum.of(total.value, total.absolute, total.format)
    made.terms, made.sizes = np.broadcast_to(np.asarray(terms, np.int64), total.shape), sizes
    made.fused = fused
    return made


def plain(x: Any) -> Any:
    """The same, rounded: its terms are forgotten, as what is computed from it starts from the result."""
    return Bounded.of(x.value, x.absolute, x.format) if isinstance(x, Sum) else x


def taken(x: Any, indices: Any, axis: int) -> Any:
    """A part of an adjoint: sums stay sums."""
    part = np.take(x, indices, axis)
    if not isinstance(x, Sum):
        return part
    fused = x.fused if isinstance(x.fused, float) else np.take(x.fused, indices, axis)
    return summed(part, np.take(x.terms, indices, axis), np.take(x.sizes, indices, axis), fused)


def together(shares: Sequence[Any]) -> Any:
    """What an array gets from all its uses."""
    if len(shares) == 1:
        return shares[0]
    if not isinstance(shares[0], Bounded):
        return np.sum(np.stack(shares), axis=0)
    format = shares[0].format
    sums = [x if isinstance(x, Sum) else summed(x, 1, sizes_of(x)) for x in shares]
    value = np.sum(np.stack([x.value for x in sums]), axis=0)
    terms = np.sum([x.terms for x in sums], axis=0)
    sizes = np.sum([np.where(np.isfinite(x.value), x.sizes, 0.0) for x in sums], axis=0)  # infinities are not rounded
    carried = np.sum([_of_terms(x, format) for x in sums], axis=0)
    total = Bounded(value, rounding.of_sum(format, value, terms, sizes, carried), format)
    return summed(total, terms, sizes, sum(x.fused for x in sums))


def sizes_of(x: Any) -> NDArray[np.float64]:
    """The largest absolute value that each computed element may have."""
    size: NDArray[np.float64] = np.abs(value_of(x)).astype(np.float64) + error_of(x)
    return size


def _of_terms(x: Sum, format: Format) -> NDArray[np.float64]:
    """The errors of the terms themselves: what is left of an error without that of adding them up.

    Where sums are kept in a narrower format than they are accumulated in, the rounding of each share stays counted.
    """
    adding = rounding.of_adding(format.accumulate, x.terms, x.sizes, 0.0) / rounding.MARGIN
    return np.where(np.isfinite(x.error) & np.isfinite(adding), np.maximum(x.error - adding, 0.0), x.error)
