"""Results that a backend does not offer: a law is held on the others, and not at all where none is left."""

from __future__ import annotations

from typing import Any

import numpy as np

UNDECIDED = ("shape", "dtype", "size", "ndim", "format")
"""Attributes that laws build other arrays from: nothing can be put in their place."""


class Unoffered(Exception):
    """The backend lacks what a law needs: a function, a result, or gradients."""


class Withheld(np.lib.mixins.NDArrayOperatorsMixin):
    """Stands where a function returned an exception of type NotImplementedError in place of one of its results.

    What is computed from it is withheld, too, and claims about it are left out; what has to know its shape or its
    numbers raises `Unoffered`. reason: what the backend said.
    """

    def __init__(self, reason: str) -> None:
        self.reason = reason

    def __getattr__(self, name: str) -> Withheld:
        if name.startswith("__"):
            raise AttributeError(name)
        return self.unoffered() if name in UNDECIDED else self

    def __getitem__(self, index: Any) -> Withheld:
        return self

    def __call__(self, *_: Any, **__: Any) -> Withheld:
        return self

    def __array_ufunc__(self, *_: Any, **__: Any) -> Withheld:
        return self

    def __array_function__(self, *_: Any) -> Withheld:
        return self

    def unoffered(self, *_: Any, **__: Any) -> Any:
        """Raises `Unoffered` with the reason."""
        raise Unoffered(self.reason)

    __array__ = __bool__ = __float__ = __index__ = __int__ = __iter__ = __len__ = unoffered


def offered(*sides: Any) -> tuple[Any, ...]:
    """The sides of a comparison without what is withheld on one of them; tuples are compared place by place.

    Raises `Unoffered` where nothing is left to compare. Sides of different lengths come back as they are.
    """
    tuples = [side for side in sides if isinstance(side, tuple)]
    if not tuples:
        for side in sides:
            if isinstance(side, Withheld):
                side.unoffered()
        return sides
    if len(tuples) < len(sides) or len({len(side) for side in tuples}) > 1:
        return sides
    rows = list(zip(*sides, strict=True))
    kept = [row for row in rows if not any(isinstance(x, Withheld) for x in row)]
    if rows and not kept:
        next(x for x in rows[0] if isinstance(x, Withheld)).unoffered()
    return tuple(zip(*kept, strict=True)) if len(kept) < len(rows) else sides
