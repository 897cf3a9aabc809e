"""The floating-point formats a backend may compute in, and what is known of their rounding.

A format is what the error bounds of `layerlaws.numerics.bounded` are relative to: its unit roundoff, its smallest
normal and its largest number.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

ArrayLike = Any
"""Anything NumPy makes an array of."""


@dataclass(frozen=True)
class Format:
    """A binary floating-point format.

    name: as NumPy and the array libraries spell it, for example "float32".
    precision: bits of the significand, the hidden one included.
    smallest_normal, largest: positive numbers of the format.
    """

    name: str
    precision: int
    smallest_normal: float
    largest: float

    @property
    def unit_roundoff(self) -> float:
        """u: rounding a number moves it by at most u times its size (round to nearest)."""
        return 2.0**-self.precision

    @property
    def store(self) -> Format:
        """What arguments and results are; a plain format is alike in all parts of an arithmetic."""
        return self

    @property
    def accumulate(self) -> Format:
        """What sums and inner products are added up in."""
        return self

    @property
    def keep(self) -> Format:
        """What arrays between operations are held in."""
        return self

    @property
    def multiply(self) -> Format:
        """What the operands of products are rounded to first."""
        return self

    @property
    def evaluate(self) -> Format:
        """What elementary functions are evaluated in, before their results are kept."""
        return self

    @cached_property
    def dtype(self) -> np.dtype[Any]:
        """The NumPy dtype; bfloat16 and the formats of 8 bits need the package ml_dtypes."""
        if self.name not in EXTENSIONS:
            return np.dtype(self.name)
        try:
            import ml_dtypes
        except ModuleNotFoundError as missing:
            raise ModuleNotFoundError(
                f"{self.name} arrays need ml_dtypes: pip install 'layerlaws[half]'", name=missing.name
            ) from missing
        extension: np.dtype[Any] = np.dtype(getattr(ml_dtypes, self.name))
        return extension

    @cached_property
    def wide(self) -> type[np.floating[Any]]:
        """What definitions are evaluated in: double for formats of up to 24 bits, else the widest there is."""
        return np.float64 if self.precision <= 24 else np.longdouble

    @cached_property
    def unit(self) -> float:
        """Relative size of one rounding, as the bounds count it.

        It is u plus the roundoff of the wide format: the definition is rounded too, and where longdouble is
        no wider than double (Windows, Apple silicon) a float64 bound doubles instead of becoming wrong.
        """
        return self.unit_roundoff + float(np.finfo(self.wide).eps) / 2

    @cached_property
    def least_without_flush(self) -> float:
        """Numbers of this size and above lose nothing to underflow, nor does the double their error is computed in."""
        return max(self.smallest_normal, 2.0**-900)

    def growth(self, roundings: int) -> float:
        """(1 + unit)**roundings - 1: how much a number may grow, relatively, in so many roundings."""
        return math.expm1(roundings * math.log1p(self.unit))


FORMATS = {
    f.name: f
    for f in (
        Format("float64", 53, 2.0**-1022, float(np.finfo(np.float64).max)),
        Format("float32", 24, 2.0**-126, float(np.finfo(np.float32).max)),
        Format("float16", 11, 2.0**-14, 65504.0),
        Format("bfloat16", 8, 2.0**-126, (2 - 2.0**-7) * 2.0**127),
    )
}
"""Formats that arrays are stored in and computed with, by name."""

STORAGE_FORMATS = {
    f.name: f
    for f in (
        Format("float8_e4m3fn", 4, 2.0**-6, 448.0),
        Format("float8_e5m2", 3, 2.0**-14, 57344.0),
    )
}
"""Formats that arrays are stored in only: what is computed with them is computed in wider ones.

Micikevicius et al., FP8 Formats for Deep Learning, 2022, table 1 (arXiv 2209.05433).
"""

EXTENSIONS = ("bfloat16", *STORAGE_FORMATS)
"""Formats whose NumPy dtype comes from ml_dtypes."""

PRODUCT_FORMATS = {
    f.name: f
    for f in (
        Format("tf32", 11, 2.0**-126, FORMATS["float32"].largest),
        Format("bf16x3", 16, 2.0**-126, FORMATS["bfloat16"].largest),
    )
}
"""Formats that only the operands of products are rounded to, by name.

tf32: NVIDIA A100 Tensor Core GPU Architecture, 2020, the exponent of float32 and 10 stored bits. bf16x3: a float32 as
two bfloat16 numbers, and three of the four products of their parts (Henry, Tang, Heinecke, Leveraging the bfloat16
Artificial Intelligence Datatype for Higher-Precision Computations, 2019).
"""


def is_float(array: ArrayLike) -> bool:
    """Whether an array or scalar is real floating point; so are the formats that NumPy files under other kinds."""
    dtype = getattr(array, "dtype", None)
    if dtype is None:
        return isinstance(array, float)
    return bool(dtype.kind == "f" or (dtype.kind not in "iub" and dtype.name in EXTENSIONS))


def format_of(array: ArrayLike) -> Format:
    """The format of an array, a dtype or a dtype's name.

    Raises TypeError for anything that is not one of the supported formats.
    """
    name = array if isinstance(array, str) else np.dtype(getattr(array, "dtype", array)).name
    known = FORMATS | STORAGE_FORMATS
    if name not in known:
        raise TypeError(f"{name} is not a floating-point format layerlaws knows; it knows {', '.join(known)}")
    return known[name]


def formats_named(names: Iterable[str]) -> tuple[Format, ...]:
    """The formats of these names, in this order."""
    return tuple(format_of(name) for name in names)
