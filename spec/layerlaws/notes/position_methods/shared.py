"""TODO-TITLE shared."""

from __future__ import annotations

from typing import Any

import numpy as np

from layerlaws.language import Arguments, Array, Claim, Ids, arrays, differ, extents
from layerlaws.language import strategies as st


@st.composite
def tokens(draw: st.DrawFn) -> Arguments:
    """At least two tokens, all different, of few numbers; sequences enough that what changes shows in one of them."""
    batch, length = draw(extents(2, least=2))
    width = draw(st.integers(2, 3))
    return {"x": draw(arrays((8 * batch, length, width), textures=("normal",)))}


turns = st.integers(1, 9)
"""By how many places, at the least, a sequence is turned."""


def _turned(length: int, turn: int) -> Array:
    """An order of at least two places in which none stays where it was."""
    return np.roll(np.arange(length), 1 + turn % (length - 1))


def _order_shows(layer: Array, operations: tuple[Any, ...], x: Array, order: Ids) -> Claim:
    """Permuted tokens do not give the permuted results. layer: of the operations and the tokens (B, T, D)."""

    def results(*calls: Any) -> tuple[Any, Any]:
        return layer(*calls, x[:, order]), layer(*calls, x)[:, order]

    return differ(*results(*operations), expected=results(*(o.definition for o in operations)))


def _to_itself(attend: Array, x: Array, **others: Any) -> Array:
    """x plus self-attention of one head, whose scores are kept small: what changes is not lost to rounding.

    (B, T, D) -> (B, T, D)
    """
    head = x[:, None]
    return x + attend(query=head * 0.0625, key=head, value=head, **others)[:, 0]
