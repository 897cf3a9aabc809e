"""Hypothesis strategies that notes share.

Bulk numbers are not drawn one by one: each array has one seed and one texture, which is cheap to draw and
shrinks to small integers. What carries structure (sizes, masks, cut points, text) is drawn as such.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

import numpy as np
from numpy.typing import NDArray

from layerlaws.language import strategies as st
from layerlaws.numerics.formats import format_of

TILE_EDGES = tuple(n + d for n in (16, 32, 64, 128, 256) for d in (-1, 0, 1))
"""Extents around the tile sizes of kernels: where they break."""

LIKELY_EDGES = TILE_EDGES + 2 * tuple(n for n in TILE_EDGES if n > 62)
"""The larger ones are likelier: what breaks beyond a tile of any size breaks there."""

HUGE = (65_537, 4_097, 1_025)
"""Extents just beyond what the counters, grids and tables of kernels hold. The first is beyond 16 bits."""

EDGES = (513, 257, 129, 127, 65, 63, 33, 31)
"""Extents beside those of tiles and heads."""

PAIRS = (128, 64, 129, 127, 65, 63, 32, 16)
"""Extents that two axes have at once."""

VOLUME = 2**18
"""Most elements of an array whose axes have seldom sizes, about: the product of the extents."""

MODERATE = (16, 33, 64, 128, 8, 3)
"""Extents at which kernels take other ways for few rows than for many."""

BULK = 2**17
"""Most elements, about, of an array whose axes have moderate sizes."""

_SELDOM = ContextVar("at_seldom_sizes", default=False)

_MODERATE = ContextVar("at_moderate_sizes", default=False)

seeds = st.seeds
"""Seeds for numbers a law makes up itself: `normal(seed, shape, like)`."""

Texture = Callable[[np.random.Generator, tuple[int, ...]], NDArray[np.float64]]

TEXTURES: dict[str, Texture] = {
    "integers": lambda g, s: g.integers(-2, 3, s).astype(np.float64),
    "normal": lambda g, s: g.standard_normal(s),
    "ties": lambda g, s: g.choice([0.0, 1.0], s),
    "one-hot": lambda g, s: (g.permuted(np.arange(s[-1]) == np.zeros((*s[:-1], 1)), axis=-1) * 1.0
                             if s and s[-1] else np.zeros(s)),
    "sparse": lambda g, s: g.standard_normal(s) * (g.random(s) < 0.2),
    "large": lambda g, s: g.standard_normal(s) * 30,
    "tiny": lambda g, s: g.standard_normal(s) * 1e-3,
    "spread": lambda g, s: g.standard_normal(s) * 10.0 ** g.uniform(-3, 2, s),
}  # fmt: skip

PLAIN = ("integers", "normal")
"""Textures whose sizes are alike: for laws that need every influence to be visible."""


@st.composite
def arrays(draw: st.DrawFn, *shapes: tuple[int, ...], textures: tuple[str, ...] = tuple(TEXTURES)) -> Any:
    """float64 arrays of these shapes, each of its own texture; one array where one shape is given."""
    generator = np.random.default_rng(draw(seeds))
    kinds = st.sampled_from(textures)
    if _MODERATE.get() and "normal" in textures:
        kinds = st.just("normal")
    drawn = [TEXTURES[draw(kinds)](generator, shape) for shape in shapes]
    return drawn[0] if len(drawn) == 1 else drawn


@st.composite
def at_seldom_sizes(draw: st.DrawFn, inputs: st.SearchStrategy[Any]) -> Any:
    """The same inputs, but `extents` gives sizes that are met seldom: one axis after the other is huge, or two or three
    have the extent of a tile, and all others are tiny. `masks` hide a long beginning or end, and `durations` are long.
    """
    token = _SELDOM.set(True)
    try:
        return draw(inputs)
    finally:
        _SELDOM.reset(token)


@st.composite
def at_moderate_sizes(draw: st.DrawFn, inputs: st.SearchStrategy[Any]) -> Any:
    """The same inputs, but `extents` gives sizes of practice, as far as `BULK` goes, and numbers are normal ones: sums
    are long enough that their order shows.
    """
    token = _MODERATE.set(True)
    try:
        return draw(inputs)
    finally:
        _MODERATE.reset(token)


def sizes_are_seldom() -> bool:
    """Whether what is drawn now is drawn by `at_seldom_sizes`: strategies of texts then have long words."""
    return _SELDOM.get()


@st.composite
def extents(
    draw: st.DrawFn,
    count: int,
    edges: tuple[int, ...] = (),
    least: int = 1,
    squared: tuple[int, ...] = (),
    most: int = HUGE[0],
) -> tuple[int, ...]:
    """Sizes of `count` axes: mostly small and different from each other, sometimes equal, 1 well represented.

    edges: positions of the axes of which one, in about every tenth example, is at a tile's edge.
    least: the smallest extent. squared, most: positions of axes whose square is an array's size, as a width's that both
    axes of a matrix have, and the largest extent there may be; they count within `at_seldom_sizes`, and the former
    within `at_moderate_sizes`, only.
    """
    if _SELDOM.get():
        return draw(_seldom_sizes(count, least, squared, most))
    if _MODERATE.get():
        return draw(_moderate_sizes(count, least, squared))
    kind = draw(st.integers(0, 7))
    if kind == 7 and edges:
        sizes = [least + draw(st.integers(0, 1)) for _ in range(count)]
        sizes[draw(st.sampled_from(edges))] = draw(st.sampled_from(LIKELY_EDGES))
        return tuple(sizes)
    sizes = []
    beyond = st.integers(0, 4 if kind < 3 else max(5, count))
    for _ in range(count):
        size = least + draw(beyond)
        while kind >= 3 and size in sizes:
            size += 1
        sizes.append(size)
    return tuple(sizes)


@st.composite
def _seldom_sizes(draw: st.DrawFn, count: int, least: int, squared: tuple[int, ...], most: int) -> tuple[int, ...]:
    """One axis in turn is huge or at an edge, or two or three at once are; the others 1 or 2, as `VOLUME` bears."""
    turn = draw(st.turns(count + 2))
    large = [turn] if turn < count else draw(st.lists(st.integers(0, count - 1), min_size=2, max_size=3))
    power = sum(2 if axis in squared else 1 for axis in set(large))
    while power > 4:  # no extent of a tile is bearable
        power -= 2 if large.pop() in squared else 1
    bearable = [n for n in (*HUGE, *EDGES, *PAIRS) if n <= most and n**power <= VOLUME]
    kind = (PAIRS,) if len(large) > 1 else (HUGE, HUGE, EDGES)
    candidates = [n for n in draw(st.sampled_from(kind)) if n in bearable]
    size = draw(st.sampled_from(candidates or [max(bearable)]))
    room = VOLUME // size**power
    sizes = []
    for axis in range(count):
        small = max(least, 1) + (draw(st.integers(0, 1)) if room >= 2 * max(least, 1) else 0)
        sizes.append(size if axis in large else small)
        room //= 1 if axis in large else small
    return tuple(sizes)


@st.composite
def _moderate_sizes(draw: st.DrawFn, count: int, least: int, squared: tuple[int, ...]) -> tuple[int, ...]:
    """Every axis has one of the `MODERATE` extents, in turns from another one on, as `BULK` bears; at least 2."""
    turn = draw(st.turns(count))
    smallest = max(least, 2)
    powers = [2 if axis in squared else 1 for axis in range(count)]
    left = sum(powers)
    room = max(1.0, BULK / smallest**left)
    sizes = [smallest] * count
    for axis in (*range(turn, count), *range(turn)):
        share = room ** min(1.0, 2 / left)  # at most twice an axis's own, so that the last ones have some left
        bearable = [n for n in MODERATE if n >= smallest and (n / smallest) ** powers[axis] <= share]
        sizes[axis] = draw(st.sampled_from(bearable)) if bearable else smallest
        room /= (sizes[axis] / smallest) ** powers[axis]
        left -= powers[axis]
    return tuple(sizes)


@st.composite
def durations(draw: st.DrawFn, usual: int) -> int:
    """Steps of a recurrence: mostly the usual number of them, sometimes just beyond a tile's edge."""
    if _SELDOM.get():  # every step is a round of the definition's loop
        return draw(st.sampled_from((129, 257))) if usual > 2 else usual
    rare: dict[int, int] = {0: 17, 1: 33, 2: 65}
    return rare.get(draw(st.integers(0, 59)), usual)


@st.composite
def ids(draw: st.DrawFn, shape: tuple[int, ...], count: int) -> NDArray[np.int64]:
    """int64 ids in [0, count), every one as likely, the ends well represented."""
    generator = np.random.default_rng(draw(seeds))
    drawn: NDArray[np.int64] = generator.integers(0, count, shape)
    if drawn.size and draw(st.booleans()):
        drawn.flat[generator.integers(drawn.size)] = draw(st.sampled_from((0, count - 1)))
    return drawn


@st.composite
def masks(draw: st.DrawFn, shape: tuple[int, ...], empty_rows: bool = True) -> NDArray[np.bool_]:
    """Boolean masks (True: may be used) of every density; rows of the last axis may be empty where allowed."""
    generator = np.random.default_rng(draw(seeds))
    mask: NDArray[np.bool_] = generator.random(shape) < draw(st.sampled_from((0.2, 0.5, 0.9, 1.0)))
    if _SELDOM.get() and shape[-1] >= min(EDGES) and draw(st.integers(0, 3)):
        hidden = np.arange(shape[-1]) < generator.integers(shape[-1] // 2, shape[-1])
        mask[...] = ~(hidden if draw(st.booleans()) else hidden[::-1])
        return mask
    if not empty_rows and mask.size:
        mask |= np.arange(shape[-1]) == generator.integers(0, shape[-1], (*shape[:-1], 1))
    return mask


def calmed(weights: NDArray[Any]) -> NDArray[Any]:
    """Weights of a recurrence divided so that it does not stretch: many steps then do not drown in rounding.

    What a matrix stretches by at most is bounded by the root of its largest column sum times its largest row sum.
    """
    sizes = np.abs(weights)
    reach = sizes.sum(axis=0).max(initial=0.0) * sizes.sum(axis=1).max(initial=0.0)
    return weights / max(1.0, float(np.sqrt(reach)))


def normal(seed: int, shape: tuple[int, ...], like: Any, scale: float = 1.0) -> NDArray[Any]:
    """Standard normal numbers times `scale`, from a drawn seed, in the dtype of the array `like`."""
    drawn = np.asarray(np.random.default_rng(seed).standard_normal(shape) * scale)  # of shape (), too
    return drawn.astype(like.dtype)


def huge(like: Any) -> float:
    """A number far outside what is computed with: 1e10, or a thousandth of the largest where the format ends below."""
    return min(1e10, format_of(like).largest / 1000)


def rewritten(array: NDArray[Any], place: Any, numbers: Any) -> NDArray[Any]:
    """A copy of the array with other numbers at `array[place]`."""
    copy = array.copy()
    copy[place] = numbers
    return copy
