"""Claims about results. A law returns one and never asserts; a trial settles it.

Every result carries its own allowed error (`layerlaws.numerics.bounded`), and so do sums, differences and compositions
of results. So no claim needs a tolerance.
"""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from layerlaws.language.dependence import changed, refuse_not_a_number
from layerlaws.language.implementation import Implementation
from layerlaws.language.withheld import Unoffered, offered
from layerlaws.numerics.bounded import Bounded, error_of, stored, value_of
from layerlaws.numerics.formats import ArrayLike
from layerlaws.numerics.rounding import quietly
from layerlaws.support.errors import Broken


@dataclass(frozen=True)
class Moments:
    """Signed shares of the allowed error of many elements: their number, sum, and sum of squares.

    A share is positive where the computed number is farther from 0 than the exact one. Rounding to nearest leaves a
    mean near 0. An accumulator that truncates, as those of tensor cores do (arXiv 2512.07004), leaves a negative one,
    which no bound on the worst case can see. The TOSA specification looks at the first two moments of dot products for
    that reason.
    """

    count: int = 0
    total: float = 0.0
    squares: float = 0.0

    def __add__(self, other: Moments) -> Moments:
        return Moments(self.count + other.count, self.total + other.total, self.squares + other.squares)

    @property
    def mean(self) -> float:
        return self.total / self.count if self.count else 0.0

    @property
    def rms(self) -> float:
        """Root mean square."""
        return math.sqrt(self.squares / self.count) if self.count else 0.0


@dataclass
class Settlement:
    """What settling a claim that holds has shown.

    used: the largest share of the allowed error that was used; 0 for exact claims. decisive: whether the claim could
    have failed: at one place, at least, the allowed error was smaller than the values compared. moments: of the shares.
    rows: how many were compared bit for bit; inexact: how many of them differ; seen: one of these, in words.
    """

    used: float = 0.0
    decisive: bool = True
    moments: Moments = field(default=Moments(), compare=False)
    rows: int = 0
    inexact: int = 0
    seen: str = ""


class Claim:
    """A statement about results."""

    def settle(self) -> Settlement:
        """Raises Broken if the claim does not hold."""
        raise NotImplementedError


@dataclass(frozen=True)
class closely(Claim):
    """Both sides are equal up to the rounding errors that they carry.

    names: what messages call the two sides. of: what is compared, one name for each pair of results.
    """

    left: Any
    right: Any
    names: tuple[str, str] = ("left", "right")
    of: tuple[str, ...] = ()

    def settle(self) -> Settlement:
        if isinstance(self.left, tuple) or isinstance(self.right, tuple):
            return _each(self.left, self.right, partial(closely, names=self.names), self.of)
        if not isinstance(self.left, Bounded) and not isinstance(self.right, Bounded):
            return exactly(self.left, self.right, self.names).settle()
        return _compare(self.left, self.right, lambda left, right: abs(left - right), "apart", self.names)


@dataclass(frozen=True)
class at_most(Claim):
    """The left side is at most the right one, up to the rounding errors that they carry."""

    left: Any
    right: Any

    def settle(self) -> Settlement:
        if isinstance(self.left, tuple) or isinstance(self.right, tuple):
            return _each(self.left, self.right, at_most)
        return _compare(self.left, self.right, lambda left, right: np.maximum(left - right, 0), "above")


@dataclass(frozen=True)
class exactly(Claim):
    """Both sides are equal without any rounding error. For integers, masks and exact zeros.

    names: what messages call the two sides.
    """

    left: Any
    right: Any
    names: tuple[str, str] = ("left", "right")

    def settle(self) -> Settlement:
        if isinstance(self.left, tuple) or isinstance(self.right, tuple):
            return _each(self.left, self.right, partial(exactly, names=self.names))
        left, right = map(value_of, offered(self.left, self.right))
        _same_shape(left, right, self.names)
        different = np.asarray(left != right)  # NaN differs from everything, including itself
        if different.any():
            unequal = _unequal(left, right, different.shape, _largest(different))
            sides = tuple(zip(self.names, (self.left, self.right), strict=True))
            raise Broken(f"{unequal}: {different.sum()} of {different.size} elements differ", sides)
        return Settlement(decisive=different.size > 0)


@dataclass(frozen=True)
class bit_for_bit(Claim):
    """Both sides have the same bits, row by row; a row is what stands at one place of the first axis.

    It is never broken: where bits differ, the settlement says in how many rows. NaN is NaN, whatever its bits. names:
    what messages call the two sides, as in "0.25 in a batch of 8, 0.26 alone".
    """

    one: Any
    other: Any
    names: tuple[str, str]

    def settle(self) -> Settlement:
        sides = offered(*(x if isinstance(x, tuple) else (x,) for x in (self.one, self.other)))
        if len(sides[0]) != len(sides[1]):
            count = [f"{len(side)} results {name}" for side, name in zip(sides, self.names, strict=True)]
            return Settlement(rows=1, inexact=1, seen=", ".join(count))
        return _merged(
            [self._row_by_row(np.asarray(one), np.asarray(other)) for one, other in zip(*sides, strict=True)]
        )

    def _row_by_row(self, one: NDArray[Any], other: NDArray[Any]) -> Settlement:
        if one.shape != other.shape or one.dtype != other.dtype:
            count = max(1, *(x.shape[0] if x.ndim else 1 for x in (one, other)))
            forms = (f"{x.dtype} of shape {x.shape} {name}" for x, name in zip((one, other), self.names, strict=True))
            return Settlement(rows=count, inexact=count, seen=", ".join(forms))
        if one.tobytes() == other.tobytes():
            return Settlement(decisive=one.size > 0, rows=len(one) if one.ndim else 1)
        different = _in_bits(one, other)
        rows = np.atleast_1d(different.any(axis=tuple(range(1, one.ndim))))
        seen = ""
        if rows.any():
            place = _largest(different)
            texts = _pair(one, other, one.shape, place)
            pairs = (f"{text} {name}" for text, name in zip(texts, self.names, strict=True))
            seen = f"{', '.join(pairs)}, at {list(place)}"
        return Settlement(decisive=one.size > 0, rows=rows.size, inexact=int(rows.sum()), seen=seen)


@dataclass(frozen=True)
class differ(Claim):
    """A change of the input changes the output. one, other: results of one operation on two inputs.

    expected: the definition's results on the same two inputs. If these differ by less than their errors, the change
    cannot be seen and the example is undecidable; if they are equal, nothing is claimed.
    """

    one: Any
    other: Any
    expected: tuple[Any, Any]

    def settle(self) -> Settlement:
        one, other, before, after = offered(self.one, self.other, *self.expected)
        for computed, defined in ((one, before), (other, after)):
            refuse_not_a_number(computed, defined)
        demanded = changed(before, after, demanded=True)
        if demanded and not changed(one, other):
            raise Broken("the change does not reach the output", (("before", one), ("after", other)))
        return Settlement(decisive=demanded)


@dataclass(frozen=True)
class refused(Claim):
    """Calling the operation with these arguments raises an exception. naming: the argument at fault."""

    operation: Implementation
    naming: str
    arguments: dict[str, Any]

    def settle(self) -> Settlement:
        result = self.operation.refusal(self.naming, self.arguments)
        if result is not None:
            accepted = ((f"accepted {name}", x) for name, x in self.arguments.items())
            raise Broken(
                f"{self.operation.name} accepted a bad {self.naming!r} instead of raising ValueError",
                (*sorted(accepted, key=lambda side: side[0] != f"accepted {self.naming}"), ("returned", result)),
            )
        return Settlement()


@dataclass(frozen=True)
class all_of(Claim):
    """All of several claims hold."""

    claims: tuple[Claim, ...]

    def __init__(self, *claims: Claim) -> None:
        object.__setattr__(self, "claims", claims)

    def settle(self) -> Settlement:
        settled, withheld = [], None
        for claim in self.claims:
            try:
                settled.append(settle(claim))
            except Unoffered as unoffered:
                withheld = unoffered
        if withheld is not None and not settled:
            raise withheld
        return _merged(settled)


def settle(claim: Any) -> Settlement:
    """Settle what a law returned. Raises Broken if the claim does not hold, TypeError if it is not a claim."""
    if not isinstance(claim, Claim):
        raise TypeError(
            f"a law returns a claim, such as closely(left, right); this one returned {type(claim).__name__}"
        )
    with quietly():
        return claim.settle()


def _merged(settled: list[Settlement]) -> Settlement:
    if not settled:
        raise TypeError("a claim about nothing: an empty tuple of results or an all_of() without claims")
    moments = functools.reduce(operator.add, (s.moments for s in settled))
    rows, inexact = sum(s.rows for s in settled), sum(s.inexact for s in settled)
    seen = next((s.seen for s in settled if s.seen), "")
    return Settlement(max(s.used for s in settled), any(s.decisive for s in settled), moments, rows, inexact, seen)


def _each(left: Any, right: Any, claim: Callable[[Any, Any], Claim], of: tuple[str, ...] = ()) -> Settlement:
    """Settle a claim about each pair of two tuples of results; of: what messages call each pair."""
    left, right = offered(left, right)
    if not (isinstance(left, tuple) and isinstance(right, tuple) and len(left) == len(right)):
        count = [len(side) if isinstance(side, tuple) else 1 for side in (left, right)]
        raise Broken(f"{count[0]} results are not {count[1]}", (("left", left), ("right", right)))
    names = of if len(of) == len(left) else tuple(f"result {k} of {len(left)}" for k in range(len(left)))
    return _merged([_named(name, claim(one, other)) for name, one, other in zip(names, left, right, strict=True)])


def _named(name: str, claim: Claim) -> Settlement:
    """Settle a claim about one of several results; the message says which."""
    try:
        return claim.settle()
    except Broken as broken:
        raise Broken(f"{name}: {broken}", broken.sides, broken.cause, broken.within) from None


def _same_shape(left: ArrayLike, right: ArrayLike, names: tuple[str, str]) -> None:
    one, other = (np.shape(value_of(side)) for side in (left, right))
    if one != other and one != () and other != ():
        side = f"the {names[0]} side" if names[0] == "left" else f"what was {names[0]}"
        raise Broken(f"{side} has shape {one}, expected {other}", tuple(zip(names, (left, right), strict=True)))


def _compare(
    left: Any, right: Any, distance: Callable[[Any, Any], Any], word: str, names: tuple[str, str] = ("left", "right")
) -> Settlement:
    left, right = offered(left, right)
    _same_shape(left, right, names)
    left, right = _beside_stored(left, right), _beside_stored(right, left)
    one, other = value_of(left), value_of(right)
    allowed = np.asarray(error_of(left) + error_of(right))
    apart = np.where(one == other, 0.0, np.asarray(distance(one, other)))
    silent = np.isinf(allowed)  # intermediate results may have overflowed: nothing is claimed
    # NaN is never within a bound, so NaN on both sides does not hold.
    bad = ~(apart <= allowed) & ~silent
    if bad.any():
        worst = _largest(np.where(bad, np.where(np.isnan(apart), np.inf, apart - allowed), -1.0))
        limit = float(np.broadcast_to(allowed, bad.shape)[worst])
        raise Broken(
            f"{_unequal(one, other, bad.shape, worst)}: {float(apart[worst]):.3g} {word}, {limit:.3g} allowed "
            f"({bad.sum()} of {bad.size} elements)",
            tuple(zip(names, (left, right), strict=True)),
            within=True,
        )
    share = np.where(silent | (apart == 0), 0.0, apart / np.where(allowed == 0, 1.0, allowed))
    decisive = ~silent & ((allowed == 0) | (allowed < np.abs(one) + np.abs(other)))
    claimed = ~silent & (allowed > 0) & np.isfinite(one) & np.isfinite(other)
    outwards = np.sign(np.where(claimed, one - other, 0.0)) * np.sign(np.where(claimed, other, 0.0))
    signed = np.where(claimed, share * outwards, 0.0).astype(np.float64)
    moments = Moments(int(np.sum(claimed)), float(np.sum(signed)), float(np.sum(np.square(signed))))
    return Settlement(float(np.max(share, initial=0.0)), bool(decisive.any()), moments)


def _beside_stored(side: Any, other: Any) -> Any:
    """What is compared with an array of the storage format, such as a gradient as the backend returned it."""
    if isinstance(other, Bounded) or not isinstance(side, Bounded) or np.ndim(other) == 0:
        return side
    return stored(side) if getattr(other, "dtype", None) == side.dtype else side


def _largest(x: NDArray[Any]) -> tuple[int, ...]:
    """The index of the first of the largest elements."""
    return tuple(int(i) for i in np.unravel_index(int(np.argmax(x)), x.shape))


def _in_bits(one: NDArray[Any], other: NDArray[Any]) -> NDArray[np.bool_]:
    """Where two arrays of one shape and dtype differ in a bit, and are not both NaN."""
    bits = (np.ascontiguousarray(x).view(np.uint8).reshape(*x.shape, x.itemsize) for x in (one, other))
    different: NDArray[np.bool_] = np.any(np.not_equal(*bits), axis=-1)
    different &= ~((one != one) & (other != other))
    return different


def _unequal(left: NDArray[Any], right: NDArray[Any], shape: tuple[int, ...], index: tuple[int, ...]) -> str:
    """The two elements at an index of the shape that both sides are broadcast to, as the beginning of a message."""
    return f"{' is not '.join(_pair(left, right, shape, index))} at {list(index)}"


def _pair(left: NDArray[Any], right: NDArray[Any], shape: tuple[int, ...], index: tuple[int, ...]) -> list[str]:
    """The two elements at an index of the shape that both sides are broadcast to, in digits that tell them apart."""
    pair = [np.broadcast_to(side, shape)[index] for side in (left, right)]
    texts: list[str] = []
    for digits in DIGITS:
        texts = [_number(x, digits) for x in pair]
        if texts[0] != texts[1]:
            break
    return texts


DIGITS = (9, 17, 21)
"""Significant digits that are printed: as many as tell two numbers of a format apart, float32 first."""


def _number(x: Any, digits: int) -> str:
    if np.asarray(x).dtype.kind in "iub":
        return str(x)
    if digits <= 17 or not np.isfinite(x):
        return f"{float(x):.{digits}g}"
    return np.format_float_positional(x, precision=digits, unique=False, fractional=False, trim="-")
