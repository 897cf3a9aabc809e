"""Matrix products of sizes: upper bounds, in half the time where they are large."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

LARGE = 2**20
"""Multiplications from which on looking at the operands first pays."""


def product_of_sizes(a: Any, b: Any) -> NDArray[np.float64]:
    """At least a @ b, for numbers that are not negative, and where it is large: formed in float32, in half the time.

    Each operand is rounded to float32 once, and an inner product of K terms is, with nothing to cancel, at least
    (1 - u)**(K + 2) of the exact one (Higham 2002, section 3.1), u = 2**-24, as long as nothing underflows. It is
    divided by less than that, 1 - (K + 4) u, which covers the division in double as well.
    """
    terms = a.shape[-1]
    if a.size * b.shape[-1] < LARGE or a.ndim < 2 or b.ndim < 2 or terms > 2**16 or not (_safe(a) and _safe(b)):
        double: NDArray[np.float64] = np.asarray(a @ b)
        return double
    short = (a.astype(np.float32) @ b.astype(np.float32)).astype(np.float64)
    enough: NDArray[np.float64] = short / (1 - (terms + 4) * 2.0**-24)
    return enough


def _safe(x: NDArray[Any]) -> bool:
    """Whether products of such numbers, and sums of 2**16 of them, stay within float32: all are 0 or near 1."""
    if not np.maximum.reduce(x, axis=None, initial=0.0) <= 2.0**50:
        return False
    if np.minimum.reduce(x, axis=None, initial=1.0) >= 2.0**-60:
        return True
    return not ((x > 0) & (x < 2.0**-60)).any()
