"""Names for what definitions and laws are given: the same source runs on several kinds of arrays.

A definition is evaluated on NumPy arrays, on `Bounded` arrays and, where it is differentiated, on `Variable`s, so no
class says what its arguments are. These names say it to the reader.
"""

from __future__ import annotations

from typing import Any, TypeAlias

Array: TypeAlias = Any
"""Real numbers: a NumPy array, a `Bounded` or a `Variable`."""

Ids: TypeAlias = Any
"""Whole numbers: an array of int64."""

Mask: TypeAlias = Any
"""Truth values: an array of bool."""

Results: TypeAlias = Any
"""What an operation returns: an array, or a tuple of arrays."""

Arguments: TypeAlias = dict[str, Any]
"""The arguments of an operation by name: arrays, tuples of them, numbers, or None."""
