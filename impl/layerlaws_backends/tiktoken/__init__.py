"""OpenAI's tiktoken, a library in Rust, as its users call it: thin adapters, no repair.

Symbols become characters, a text one string. Where the library deviates by design, `known` of the note says so.
"""

from __future__ import annotations

import tiktoken

from layerlaws_backends._characters import from_numpy, to_numpy

__all__ = ["describe", "dtypes", "from_numpy", "to_numpy"]

dtypes = ("float64",)


def describe() -> str:
    """Device and library, for the header of a record."""
    return f"CPU, tiktoken {tiktoken.__version__}"
