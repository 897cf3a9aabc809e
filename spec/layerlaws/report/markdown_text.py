"""Text and tables in GitHub Flavored Markdown: nothing a record says is markup or a link, and tables are narrow."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from layerlaws.report.text import link, link_name

WIDEST = 100
"""Characters in a line of a table."""

SHORTEST = 8
"""Characters that a cell is never cut below."""

_SPECIAL = re.compile(r"([\\`*\[\]<|~&$]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9]))")

_ADDRESS = re.compile(r"(?:(?:[A-Za-z][A-Za-z0-9+.-]*://|mailto:|xmpp:|www\.)\S+|\S+@\S+)", re.IGNORECASE)
"""What forges make links of without being asked to."""


def escaped(text: str) -> str:
    """The text escaped for Markdown, anywhere but at the beginning of a line; addresses become code, not links."""
    parts, end = [], 0
    for found in _ADDRESS.finditer(text):
        parts += [_SPECIAL.sub(r"\\\1", text[end : found.start()]), code(found[0])]
        end = found.end()
    return "".join([*parts, _SPECIAL.sub(r"\\\1", text[end:])])


def code(text: str) -> str:
    """The text as code on one line, with what would end it, or the cell of a table, replaced."""
    return f"`{text.replace('`', chr(39)).replace('|', '¦')}`"


def linked(url: str) -> str:
    """A link, if that is one, or the label of one."""
    return f"[{escaped(link_name(url))}](<{url}>)" if link(url) else code(url) if "/" in url else escaped(url)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of raw text, which is escaped; the longest cells of a row that is too wide are cut."""
    body = [line(row) for row in rows]
    return "\n".join([line(head), "|" + "---|" * len(head), *body]) if body else "None."


def line(cells: Sequence[str]) -> str:
    """A line of a table, of at most `WIDEST` characters unless there are too many cells for that."""
    shown = list(cells)
    while (excess := len(text := f"| {' | '.join(map(escaped, shown))} |") - WIDEST) > 0:
        i = max(range(len(shown)), key=lambda i: len(shown[i]))
        if len(shown[i]) <= SHORTEST:
            break
        kept = max(SHORTEST - 1, len(shown[i]) - max(2, excess // 2))
        shown[i] = f"{shown[i][:kept].rstrip()}…"
    return text


def fenced(text: str) -> str:
    """A block of code in a fence longer than any in the code."""
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}python\n{text}\n{fence}"


def within(parts: Iterable[str], longest: int, what: str) -> list[str]:
    """The first parts, of at most `longest` bytes together, and how many more there are.

    Forges do not show large files.
    """
    shown: list[str] = []
    left = longest
    all_parts = list(parts)
    for part in all_parts:
        left -= len(part.encode()) + 2
        if left < 0:
            return [*shown, f"{len(all_parts) - len(shown):,} more {what} in [index.html](index.html)."]
        shown.append(part)
    return shown
