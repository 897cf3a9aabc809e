"""What can go wrong, and is said so: the exceptions of this package that cross from one module to another."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any


class Undecidable(Exception):
    """A decision (a comparison, an order, a floor) that rounding could turn: nothing can be said of this input."""


class WrongUse(Exception):
    """The user asked for something that does not exist or cannot be; the message says what to do instead."""


def known_name(name: str, names: Iterable[str], kind: str) -> str:
    """The name itself. Raises WrongUse, with near names, where it is none of `names`."""
    names = sorted(names)
    if name in names:
        return name
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    hint = f"; did you mean {' or '.join(near)}?" if near else f"; there are {', '.join(names) or 'none'}"
    raise WrongUse(f"there is no {kind} called {name!r}{hint}")


class Broken(Exception):
    """A claim does not hold. The message says where and by how much; `sides` shows both."""

    def __init__(self, message: str, sides: tuple[tuple[str, Any], ...] = ()) -> None:
        super().__init__(message)
        self.sides = sides


class RecordError(Exception):
    """A file is no record that this version can read or write; the message says which file, which line and why."""
