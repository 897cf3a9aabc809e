"""Mistakes that a note corrects, its own or its sources', each with the laws that show it.

They are the paragraphs of a note's docstring that begin with "Erratum."; such a paragraph ends with "Shown by
one_law and another_law." or, where it is about history, with "No law shows it."
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from layerlaws.language.note import Note
from layerlaws.support.errors import WrongUse

_PARAGRAPH = re.compile(r"Erratum\. (?P<text>.*?) (?:Shown by (?P<laws>[\w, ]+)|No law shows it)\.")


@dataclass(frozen=True)
class Erratum:
    """What is wrong and what is right, and the names of the laws that show it."""

    text: str
    laws: tuple[str, ...]


def errata_of(note: Note) -> tuple[Erratum, ...]:
    """A note's errata, in order. Raises WrongUse for one that does not say which laws show it."""
    paragraphs = (" ".join(paragraph.split()) for paragraph in note.prose.split("\n\n"))
    return tuple(_erratum(note, paragraph) for paragraph in paragraphs if re.match("Errat(a|um)", paragraph))


def _erratum(note: Note, paragraph: str) -> Erratum:
    found = _PARAGRAPH.fullmatch(paragraph)
    if not found:
        raise WrongUse(
            f'an erratum of {note.name} has to read "Erratum. ... Shown by one_law and another_law." or end with '
            f'"No law shows it."; it reads {paragraph[:40]!r} ... {paragraph[-40:]!r}'
        )
    return Erratum(found["text"], tuple(re.split(r", | and ", found["laws"])) if found["laws"] else ())
