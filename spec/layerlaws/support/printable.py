"""Text that comes from a backend: made fit to be kept and printed, whatever it holds."""

from __future__ import annotations

import unicodedata

LONGEST = 10_000
"""Characters after which a text is cut."""


def plain(text: object, longest: int = LONGEST) -> str:
    """Printable text of bounded length: control characters, which a terminal obeys, are spelled out."""
    try:
        whole = str(text)
    except BaseException as error:
        return f"(it cannot be printed: {type(error).__name__:.100})"
    shown = "".join(
        c if c in "\n\t" or unicodedata.category(c) not in ("Cc", "Cf", "Cs") else c.encode("unicode_escape").decode()
        for c in whole[:longest]
    )
    return shown if len(whole) <= longest else f"{shown} ... (cut, {len(whole)} characters)"


def told(error: BaseException) -> str:
    """An exception in words: its type and what it says."""
    name, message = plain(type(error).__name__, 100), plain(error, LONGEST // 2)
    return f"{name}: {message}" if message else name
