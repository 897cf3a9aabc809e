"""What an implementation stores, adds up in, and keeps: an arithmetic is made of up to four formats.

A kernel of half precision is no computation in half precision: its arguments and results are *stored* in it, its sums
are *accumulated* in float32, and what lies between two steps is *kept* in the one or the other. Bounds count roundings
where they happen:

- a sum or an inner product of K terms: K times the unit roundoff of `accumulate`, in any order, with or without fused
  multiply-add, then one rounding to `keep` (Higham 2002, section 3.1; Blanchard, Higham, Lopez, Mary, Pranesh, Mixed
  precision block fused multiply-add, SIAM J. Sci. Comput. 42(3), 2020, section 3);
- an elementary function: evaluated in the wider of `accumulate` and `keep`, then one rounding to `keep`;
- everything else: rounded to `keep`, step by step;
- what is stored (results, and what a definition passes to `stored`): one more rounding to `store`, where `keep` is
  wider;
- operands of products: rounded to `multiply` first, where that is narrower than `keep`.

An implementation that keeps more than it declares holds, too: a bound is a maximum, not an emulation. A `Format`
itself is the arithmetic in which all four are alike.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import Any

import numpy as np

from layerlaws.numerics.formats import FORMATS, PRODUCT_FORMATS, STORAGE_FORMATS, Format

HALF = ("float16", "bfloat16")
"""Formats whose sums are added up in float32 unless something else is declared."""


@dataclass(frozen=True)
class Arithmetic:
    """What a backend declares of its arithmetic in one format of arguments and results.

    accumulate: what sums and inner products are added up in, and functions such as exp evaluated in: by default float32
    where the storage format is a narrower one, else the storage format. keep: what arrays between operations are held
    in: by default the storage format, and float32 for those of 8 bits, which are for storage only.
    multiply: what the operands of products are rounded to first: by default as they are kept; "tf32" and "bf16x3" are
    possible here, too. store: the storage format; a backend names it as the key of its `arithmetic`.

    Raises ValueError, when it is made or joined with a storage format, for names of no format and for parts that are
    narrower than what they hold.
    """

    accumulate: str = ""
    keep: str = ""
    multiply: str = ""
    store: str = ""

    def __post_init__(self) -> None:
        for part, known in _POSSIBLE.items():
            name = getattr(self, part)
            if name and name not in known:
                raise ValueError(f"{part} is {name!r}, expected one of {', '.join(known)}")
        if self.store:
            self.format()

    def format(self, store: str = "") -> Format:
        """The arithmetic as bounds take it: a format whose sums, kept arrays and products have formats of their own."""
        stored = store or self.store
        accumulate = self.accumulate or ("float32" if stored in (*HALF, *STORAGE_FORMATS) else stored)
        keep = self.keep or ("float32" if stored in STORAGE_FORMATS else stored)
        return mixed(stored, accumulate, keep, self.multiply)


_POSSIBLE = {
    "store": FORMATS | STORAGE_FORMATS,
    "accumulate": FORMATS,
    "keep": FORMATS,
    "multiply": FORMATS | PRODUCT_FORMATS,
}


@dataclass(frozen=True)
class Mixed(Format):
    """A storage format with the formats that an implementation adds up in, keeps arrays in, and multiplies in."""

    parts: tuple[Format, Format, Format, Format] = field(kw_only=True)

    @property
    def store(self) -> Format:
        return self.parts[0]

    @property
    def accumulate(self) -> Format:
        return self.parts[1]

    @property
    def keep(self) -> Format:
        return self.parts[2]

    @property
    def multiply(self) -> Format:
        return self.parts[3]

    @cached_property
    def wide(self) -> type[np.floating[Any]]:
        """As wide as the widest part asks for: what is accumulated in double is evaluated in more."""
        return max((part.wide for part in self.parts), key=lambda wide: np.finfo(wide).nmant)

    @property
    def evaluate(self) -> Format:
        return max(self.parts[1:3], key=lambda part: part.precision)


def mixed(store: str, accumulate: str, keep: str, multiply: str = "") -> Format:
    """The one object for an arithmetic of these formats; the storage format itself where all are alike.

    Raises ValueError where sums are added up in, or arrays kept in, a format narrower than the storage format.
    """
    stored, kept = _POSSIBLE["store"][store], FORMATS[keep]
    for part, name in (("accumulate", accumulate), ("keep", keep)):
        if FORMATS[name].precision < stored.precision:
            raise ValueError(f"{part} is {name}, which is narrower than the {store} that is stored")
    product = _POSSIBLE["multiply"][multiply or keep]
    return _interned(stored, FORMATS[accumulate], kept, kept if product.precision > kept.precision else product)


@cache
def _interned(store: Format, accumulate: Format, keep: Format, multiply: Format) -> Format:
    if accumulate is keep is multiply is store:
        return store
    parts = (store, accumulate, keep, multiply)
    return Mixed(store.name, store.precision, store.smallest_normal, store.largest, parts=parts)


def described(format: Format) -> str:
    """An arithmetic in words, for example "bfloat16, accumulated in float32, kept in float32"."""
    if format.accumulate is format.keep is format.store:
        words = f"{format.name} throughout"
    else:
        words = f"{format.name}, accumulated in {format.accumulate.name}, kept in {format.keep.name}"
    return words if format.multiply is format.keep else f"{words}, multiplied in {format.multiply.name}"


def joint(formats: tuple[Format, ...]) -> Format:
    """The narrowest of each part of several arithmetics of one storage format: what all of them keep to."""
    if len(formats) == 1:
        return formats[0]
    narrowest = [
        min((getattr(f, part) for f in formats), key=lambda f: f.precision)
        for part in ("accumulate", "keep", "multiply")
    ]
    return mixed(formats[0].name, *(f.name for f in narrowest))


def tighter(format: Format) -> list[Format]:
    """Arithmetics of the same storage format that lose less, the tightest first; none for float32 and float64."""
    if format.name not in HALF:
        return []
    product = "" if format.multiply is format.keep else format.multiply.name
    ladder = [
        mixed(format.name, "float32", "float32", product),
        mixed(format.name, "float32", format.name, product),
        FORMATS[format.name],
    ]
    return [x for x in ladder if _loses_less(x, format)]


def _loses_less(one: Format, other: Format) -> bool:
    pairs = [(getattr(one, part).precision, getattr(other, part).precision) for part in ("accumulate", "keep")]
    return all(a >= b for a, b in pairs) and any(a > b for a, b in pairs)


_IN_FORCE: ContextVar[Format | None] = ContextVar("arithmetic in force", default=None)


@contextmanager
def computing_in(format: Format) -> Iterator[None]:
    """Within, arrays of this storage format are taken to be computed with in this arithmetic."""
    token = _IN_FORCE.set(format)
    try:
        yield
    finally:
        _IN_FORCE.reset(token)


def in_force(format: Format) -> Format:
    """The arithmetic that arrays of a storage format are computed with: see `computing_in`."""
    current = _IN_FORCE.get()
    return current if current is not None and current.name == format.name else format
