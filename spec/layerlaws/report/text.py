"""Sanitizes the text of records: bounded length, visible characters only, and only links to web pages.

Names, messages and links come from backends, so they may contain anything. They are cut and cleaned here; each output
format then escapes them in its own way.
"""

from __future__ import annotations

import re
import unicodedata
from urllib.parse import urlsplit

MARK = "written by layerlaws report"
"""Marks every file that a report writes, in its first lines."""

LINE, BLOCK, LINK = 300, 1000, 500
"""Maximum length of a line of prose, a block of code, and a link, in characters."""

_URL_CHARACTERS = re.compile(r"[A-Za-z0-9\-._~:/?#@!$&'()*+,;=%]+")
_THREAD = re.compile(r"/([^/]+/[^/]+)/(?:issues|pull|discussions)/(\d+)/?")


def line(text: object, longest: int = LINE) -> str:
    """The text on one line, cut to `longest` characters."""
    return " ".join(block(text, longest).split())


def block(text: object, longest: int = BLOCK) -> str:
    """The text with its line breaks, cut to `longest` characters."""
    whole = str(text)
    shown = _visible(whole[:longest].strip())
    if len(whole) <= longest:
        return shown
    return f"{shown} ... ({len(whole):,} characters, whole in the record)" if longest >= LINE else f"{shown} ..."


def link(url: object) -> str:
    """The URL if it is an ordinary http or https one, otherwise ""."""
    text = str(url)
    if len(text) > LINK or not _URL_CHARACTERS.fullmatch(text):
        return ""
    try:
        parts = urlsplit(text)
    except ValueError:
        return ""
    # a user name in front of the host can make it look like another host
    return text if parts.scheme in ("http", "https") and parts.hostname and "@" not in parts.netloc else ""


def link_name(url: str) -> str:
    """The label of a link: owner/repository#number for a thread on GitHub, otherwise host and path."""
    parts = urlsplit(url)
    thread = _THREAD.fullmatch(parts.path)
    if thread and parts.hostname == "github.com":
        return f"{thread[1]}#{thread[2]}"
    return line(f"{parts.hostname}{parts.path}".removeprefix("www.").rstrip("/"), 80)


def number(n: int, what: str) -> str:
    """A number of things, for example "1 law" or "2 laws"."""
    return f"{n:,} {what}{'' if n == 1 else 's'}"


def share(used: float) -> str:
    """A share of the allowed error with two significant digits."""
    return f"{used:.2g}"


def signed(mean: float) -> str:
    """A mean of signed shares with two significant digits and its sign."""
    return f"{mean:+.2g}"


def _visible(text: str) -> str:
    """The text with control characters, bidirectional marks and lone surrogates escaped."""
    if text.isprintable():
        return text
    return "".join(
        c if c in "\n\t" or not unicodedata.category(c).startswith("C") else c.encode("unicode_escape").decode()
        for c in text
    )
