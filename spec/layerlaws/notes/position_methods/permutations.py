"""Tokens, orders of them, and whether a layer notices that they have changed places."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from layerlaws.language import Arguments, Array, Claim, Ids, Implementation, arrays, differ, extents
from layerlaws.language import strategies as st


@st.composite
def tokens(draw: st.DrawFn) -> Arguments:
    """At least two tokens, all different, of few numbers; sequences enough that what changes shows in one of them."""
    batch, length = draw(extents(2, least=2))
    width = draw(st.integers(2, 3))
    return {"x": draw(arrays((8 * batch, length, width), textures=("normal",)))}


turns = st.integers(1, 9)
"""By how many places, at the least, a sequence is turned."""


def turned(length: int, turn: int) -> Ids:
    """An order of at least two places in which none stays where it was."""
    return np.roll(np.arange(length), 1 + turn % (length - 1))


def order_shows(layer: Callable[..., Array], operations: tuple[Implementation, ...], x: Array, order: Ids) -> Claim:
    """Permuted tokens do not give the permuted results. layer: of the operations and the tokens (B, T, D)."""

    def results(*calls: Callable[..., Array]) -> tuple[Array, Array]:
        return layer(*calls, x[:, order]), layer(*calls, x)[:, order]

    return differ(*results(*operations), expected=results(*(o.definition for o in operations)))


def to_itself(attend: Callable[..., Array], x: Array, **others: Array) -> Array:
    """x plus self-attention of one head, whose scores are kept small: what changes is not lost to rounding.

    (B, T, D) -> (B, T, D)
    """
    head = x[:, None]
    return x + attend(query=head * 0.0625, key=head, value=head, **others)[:, 0]
