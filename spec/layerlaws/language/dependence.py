"""Dependence: which parts of an input can change which parts of an output.

A dependence is shown by perturbation: one part of the input is rewritten, and an output that changes by more than its
rounding error depends on that part. Where the output depends on it by the definition, it has to change, too; if the
definition's own change is lost in rounding error, the example is undecidable, never held.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from layerlaws.language.withheld import Withheld
from layerlaws.numerics.bounded import error_of, value_of
from layerlaws.numerics.rounding import quietly
from layerlaws.support.errors import Broken, Undecidable

Perturbation = Callable[[int], dict[str, Any]]
"""From i to the arguments of an operation with part i of the input rewritten, or unchanged for i = -1."""


def changed(before: Any, after: Any, demanded: bool = False) -> bool:
    """Whether two results differ somewhere by more than their errors.

    demanded: whether the results are the definition's and an implementation has to show the change. Then the change
    must be larger than twice the errors, so that rounding cannot hide it, or zero; raises Undecidable otherwise.
    """
    moved, hidden = _moves(before, after, axis=None, demanded=demanded)
    if demanded and hidden and not moved:
        raise Undecidable("the change drowns in the rounding error")
    return bool(moved)


def refuse_not_a_number(computed: Any, defined: Any) -> None:
    """Raises Broken where a result is NaN and the definition's is a number: NaN shows no dependence."""
    if isinstance(computed, Withheld):
        return
    if isinstance(defined, tuple):
        for one, other in zip(computed, defined, strict=True):
            refuse_not_a_number(one, other)
        return
    got, expected = value_of(computed), value_of(defined)
    if got.dtype.kind == "f" and np.any(np.isnan(got) & ~np.isnan(expected)):
        raise Broken("the result is not a number where the definition has one", (("left", got), ("right", expected)))


def dependence(operation: Any, perturbed: Perturbation, parts: int, axis: int, of: int = 0) -> NDArray[np.bool_]:
    """Which positions along an output axis change when part j of the input is rewritten.

    operation: as a law receives it, or anything else with `compare`. perturbed: gives the arguments, see
    `Perturbation`. parts: how many parts the input has. axis: of the output. of: which output, if there are several.
    Returns bool (extent of the axis, parts). Raises Undecidable if the definition changes by less than rounding can
    hide, Broken if results are NaN.
    """
    computed, defined = operation.compare(**perturbed(-1))
    refuse_not_a_number(computed, defined)
    columns = []
    for j in range(parts):
        moved, expected = operation.compare(**perturbed(j))
        refuse_not_a_number(moved, expected)
        _, hidden = _moves(_one(defined, of), _one(expected, of), axis, demanded=True)
        if np.any(hidden):
            raise Undecidable("the definition's own change drowns in the rounding error")
        columns.append(_moves(_one(computed, of), _one(moved, of), axis)[0])
    extent = np.shape(value_of(_one(defined, of)))[axis]
    return np.stack(columns, axis=-1) if columns else np.zeros((extent, 0), bool)


def _one(result: Any, index: int) -> Any:
    return result[index] if isinstance(result, tuple) else result


def _moves(before: Any, after: Any, axis: int | None, demanded: bool = False) -> tuple[Any, Any]:
    """Where along the axis (None: whether anywhere) a result changed beyond its errors, and where only within them."""
    if isinstance(before, tuple):
        pairs = [_moves(one, other, axis, demanded) for one, other in zip(before, after, strict=True)]
        return any(p[0] for p in pairs), any(p[1] for p in pairs)
    one, other = value_of(before), value_of(after)
    if one.dtype.kind in "biu":
        apart, allowed = one != other, np.zeros(one.shape)
        moved = apart
    else:
        with quietly():
            apart = np.where(one == other, 0.0, np.abs(one - other))  # equal infinities, too
        allowed = (2 if demanded else 1) * (error_of(before) + error_of(after))
        moved = (np.isnan(apart) & np.isfinite(allowed)) | (apart > allowed)  # an infinite error bounds nothing
    hidden = ~moved & ~(apart == 0)
    if axis is None:
        return bool(moved.any()), bool(hidden.any())
    others = tuple(k for k in range(one.ndim) if k != axis % one.ndim)
    moved_there = moved.any(axis=others)
    return moved_there, hidden.any(axis=others) & ~moved_there
