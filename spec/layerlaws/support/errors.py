"""The exceptions that cross from one module of this package to another."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from typing import Any

MOST_NAMES = 30
"""Most names that are listed where none is like the one that was given."""

LISTED = "`layerlaws list` has the notes, `layerlaws explain NOTE` their laws"
"""Where the names of the catalogue stand."""


class Undecidable(Exception):
    """Rounding could change a decision (a comparison, an order, a floor), so this input shows nothing."""


class WrongUse(Exception):
    """The user asked for something that does not exist or is not possible; the message says what to do instead."""


def known_name(name: str, names: Iterable[str], kind: str, listed: str = "") -> str:
    """The name itself. Raises WrongUse, with similar names, if `names` lacks it.

    kind: what it is the name of. listed: where all names stand, for messages about more than `MOST_NAMES`.
    """
    names = sorted(names)
    if name in names:
        return name
    near = _near(name, names)
    hint = f"there are {', '.join(names) or 'none'}"
    if len(names) > MOST_NAMES:
        hint = f"none of {len(names)} is like it" + (f": {listed}" if listed else "")
    raise WrongUse(f"there is no {kind} called {name!r}; " + (f"did you mean {' or '.join(near)}?" if near else hint))


def _near(name: str, names: Sequence[str]) -> list[str]:
    """Up to three names that are meant, maybe: by their initials, by their letters, or by a part of them."""
    short = name.lower()
    initials = [other for other in names if "".join(word[:1] for word in other.split("_")) == short]
    alike = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    parts = [other for other in names if len(short) > 2 and short in other.lower()]
    return list(dict.fromkeys([*initials, *alike, *sorted(parts, key=len)]))[:3]


class Unsupported(NotImplementedError):
    """What a function of a backend raises for input that it does not offer; the message is the reason.

    The example is then set aside and counted, and the law is judged by the others. Any NotImplementedError does the
    same. It is no answer to bad input only: that may be refused by any exception, this one included.
    """


class Broken(Exception):
    """A claim does not hold. The message says where and by how much.

    sides: both sides by name. cause: what is wrong with a result whatever the law says of it, in words that are the
    same in every law, such as "wrong shape of the result of lstm"; "" for none. within: whether the claim is one about
    being equal up to allowed errors, and not an exact one.
    """

    def __init__(
        self, message: str, sides: tuple[tuple[str, Any], ...] = (), cause: str = "", within: bool = False
    ) -> None:
        super().__init__(message)
        self.sides, self.cause, self.within = sides, cause, within


class RecordError(Exception):
    """A file is not a record that this version can read or write; the message gives file, line and reason."""
