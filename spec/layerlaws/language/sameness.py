"""Whether two calls gave the same: bit for bit, or else up to the errors that the definition allows."""

from __future__ import annotations

from typing import Any

import numpy as np

from layerlaws.language.claims import Claim, closely, exactly, settle
from layerlaws.language.implementation import Implementation
from layerlaws.language.withheld import Withheld
from layerlaws.support.errors import Broken, Undecidable

LARGEST = 2**24
"""Elements of a result whose bits are compared. No law has more; a wrong shape may have any number, at no cost."""


def parts(x: Any) -> tuple[Any, ...]:
    """The results of a call that returned a tuple, or the only one."""
    return x if isinstance(x, tuple) else (x,)


def alike(one: Any, other: Any) -> bool:
    """Whether two results are the same: shapes, dtypes, and every bit."""
    pairs = list(zip(parts(one), parts(other), strict=False))
    return len(parts(one)) == len(parts(other)) and all(
        x.shape == y.shape and x.dtype == y.dtype and x.size <= LARGEST and x.tobytes() == y.tobytes() for x, y in pairs
    )


def same_bits(one: Any, other: Any) -> bool:
    """Whether two arrays of one shape and dtype have the same bits."""
    return bool(np.array_equal(np.atleast_1d(one).view(np.uint8), np.atleast_1d(other).view(np.uint8)))


def kept(results: Any) -> Any:
    """A copy of results, which nobody else can change; those that are withheld are left out."""
    copies = tuple(np.array(x, copy=True) for x in parts(results) if not isinstance(x, Withheld))
    return copies if isinstance(results, tuple) else copies[0] if copies else ()


def same_results(
    operation: Implementation, one: Any, other: Any, arguments: dict[str, Any], names: tuple[str, str]
) -> Claim:
    """Two calls on the same arguments gave the same results; names: what messages call the two.

    Where their bits differ, both are held to each other within the errors of the definition. Of results that are both
    not the definition's these say nothing: then Broken is raised with that as its cause.
    """
    if _comparable(one, other):
        return exactly(len(parts(one)), len(parts(other)))
    expected = defined(operation, arguments)
    try:
        is_defined(operation, one, expected)
    except Broken as broken:
        if not is_right(operation, other, expected):
            raise
        raise Broken(f"{names[1]} it is right, but {names[0]} {broken}", broken.sides) from None
    try:
        second = operation.beside(other, expected)
    except Broken as broken:  # the first has the right shape, so this one is no cause of its own
        raise Broken(f"{names[1]}: {broken}", broken.sides) from None
    return closely(operation.beside(one, expected), second, names=names)


def same_gradients(
    operation: Implementation, one: dict[str, Any], other: dict[str, Any], expected: Any, names: tuple[str, str]
) -> Claim:
    """`same_results` for gradients by argument; expected: a function that returns those of the definition."""
    if one.keys() == other.keys() and all(alike(one[name], other[name]) for name in one):
        return exactly(len(one), len(other))
    gradients = expected()
    first = operation.beside_gradient(one, gradients)
    _is_as_expected(f"the gradient of {operation.name}", tuple(first.values()), tuple(gradients.values()))
    second = operation.beside_gradient(other, gradients)
    of = tuple(f"the gradient by {name}" for name in gradients)
    return closely(tuple(first.values()), tuple(second.values()), names=names, of=of)


def defined(operation: Implementation, arguments: dict[str, Any]) -> Any:
    """The definition's results. Raises Undecidable where it refuses the arguments: nothing is said of them."""
    try:
        return operation.definition(**arguments)
    except (ValueError, LookupError) as refused:
        raise Undecidable(f"the definition refuses these arguments: {refused}") from refused


def is_defined(operation: Implementation, results: Any, expected: Any) -> None:
    """Raises Broken, with the cause that all laws share, unless results are the definition's."""
    _is_as_expected(operation.name, operation.beside(results, expected), expected)


def is_right(operation: Implementation, results: Any, expected: Any) -> bool:
    """Whether results are the definition's."""
    try:
        is_defined(operation, results, expected)
    except Broken:
        return False
    return True


def _is_as_expected(what: str, results: Any, expected: Any) -> None:
    try:
        settle(closely(results, expected, names=("returned", "expected")))
    except Broken as broken:
        cause = broken.cause or f"{what} differs from its definition"
        raise Broken(f"{what} differs from its definition ({broken})", broken.sides, cause) from None


def _comparable(one: Any, other: Any) -> bool:
    """Whether results are the same bit for bit; what is withheld counts as the same."""
    if len(parts(one)) != len(parts(other)):
        return False
    pairs = zip(parts(one), parts(other), strict=True)
    return all(isinstance(x, Withheld) or isinstance(y, Withheld) or alike(x, y) for x, y in pairs)
