"""Google's sentencepiece, a library in C++, as its users call it: thin adapters, no repair.

Symbols become characters, words become strings. Where the library deviates by design, `known` of the note says so.
"""

from __future__ import annotations

import sentencepiece

from layerlaws_backends._characters import from_numpy, to_numpy

__all__ = ["describe", "dtypes", "from_numpy", "to_numpy"]

dtypes = ("float32",)


def describe() -> str:
    """Device and library, for the header of a record."""
    return f"CPU, sentencepiece {sentencepiece.__version__}"
