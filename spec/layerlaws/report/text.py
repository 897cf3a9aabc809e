"""What a record says, made fit to print: short, visible characters only, links that are links.

Names, messages and links come from backends, so they can hold anything. Here they are cut and cleaned; each
format then escapes them in its own way.
"""

from __future__ import annotations

import re
import unicodedata
from urllib.parse import urlsplit

MARK = "written by layerlaws report"
"""Stands in the first lines of every file a report writes."""

LINE, BLOCK, LINK = 300, 1000, 500
"""Longest line of prose, block of code and link, in characters."""

_URL_CHARACTERS = re.compile(r"[A-Za-z0-9\-._~:/?#@!$&'()*+,;=%]+")
_THREAD = re.compile(r"/([^/]+/[^/]+)/(?:issues|pull|discussions)/(\d+)/?")


def line(text: object, longest: int = LINE) -> str:
    """Text on one line, cut where it is longer than `longest`."""
    return " ".join(block(text, longest).split())


def block(text: object, longest: int = BLOCK) -> str:
    """Text with its line breaks, cut where it is longer than `longest`."""
    whole = str(text)
    shown = _visible(whole[:longest].strip())
    if len(whole) <= longest:
        return shown
    return f"{shown} ... ({len(whole):,} characters, whole in the record)" if longest >= LINE else f"{shown} ..."


def link(url: object) -> str:
    """The URL where it is a plain http or https one, otherwise nothing."""
    text = str(url)
    if len(text) > LINK or not _URL_CHARACTERS.fullmatch(text):
        return ""
    try:
        parts = urlsplit(text)
    except ValueError:
        return ""
    # a user name before the host is there to make one host look like another
    return text if parts.scheme in ("http", "https") and parts.hostname and "@" not in parts.netloc else ""


def link_name(url: str) -> str:
    """What to call a link: owner/repository#number for a thread on GitHub, otherwise host and path."""
    parts = urlsplit(url)
    thread = _THREAD.fullmatch(parts.path)
    if thread and parts.hostname == "github.com":
        return f"{thread[1]}#{thread[2]}"
    return line(f"{parts.hostname}{parts.path}".removeprefix("www.").rstrip("/"), 80)


def number(n: int, what: str) -> str:
    """A number of things: 1 law, 2 laws."""
    return f"{n:,} {what}{'' if n == 1 else 's'}"


def share(used: float) -> str:
    """A share of the allowed error, in two digits."""
    return f"{used:.2g}"


def _visible(text: str) -> str:
    """Control characters, marks that turn the direction of writing, and half characters, spelled out."""
    return "".join(
        c if c in "\n\t" or not unicodedata.category(c).startswith("C") else c.encode("unicode_escape").decode()
        for c in text
    )
