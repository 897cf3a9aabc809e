"""Text from a backend, made safe to store and to print."""

from __future__ import annotations

import unicodedata

LONGEST = 10_000
"""Characters of a text that are kept."""


def printable(text: object, longest: int = LONGEST) -> str:
    """The text, cut and with control characters escaped, which a terminal would obey. Never raises."""
    try:
        whole = str(text)
    except BaseException as error:
        return f"(it cannot be printed: {type(error).__name__:.100})"
    shown = "".join(
        c if c in "\n\t" or unicodedata.category(c) not in ("Cc", "Cf", "Cs") else c.encode("unicode_escape").decode()
        for c in whole[:longest]
    )
    return shown if len(whole) <= longest else f"{shown} ... (cut, {len(whole)} characters)"


def describe(error: BaseException) -> str:
    """An exception in words: its type and its message."""
    name, message = printable(type(error).__name__, 100), printable(error, LONGEST // 2)
    return f"{name}: {message}" if message else name
