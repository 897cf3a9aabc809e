"""subword-nmt, the program of Sennrich, Haddow and Birch, as its users call it: thin adapters, no repair.

Symbols become characters, words become strings. Where the library deviates by design, `known` of the note says so.
"""

from __future__ import annotations

from importlib.metadata import version

from layerlaws_backends._characters import from_numpy, to_numpy

__all__ = ["describe", "dtypes", "from_numpy", "to_numpy"]

dtypes = ("float64",)


def describe() -> str:
    """Device and library, for the header of a record."""
    return f"CPU, subword-nmt {version('subword-nmt')}"
