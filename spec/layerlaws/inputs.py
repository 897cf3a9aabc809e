"""Hypothesis strategies that notes share.

Bulk numbers are not drawn one by one: each array has one seed and one texture, which is cheap to draw and
shrinks to small integers. What carries structure (sizes, masks, cut points, text) is drawn as such.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from typing import Any, Concatenate, ParamSpec, TypeVar, cast
from weakref import WeakKeyDictionary

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from layerlaws.formats import format_of

TILE_EDGES = tuple(n + d for n in (16, 32, 64, 128, 256) for d in (-1, 0, 1))
"""Extents around the tile sizes of kernels: where they break."""

LIKELY_EDGES = TILE_EDGES + 2 * tuple(n for n in TILE_EDGES if n > 62)
"""The larger ones are likelier: what breaks beyond a tile of any size breaks there."""

seeds = st.integers(0, 2**32 - 1)
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


P = ParamSpec("P")
T = TypeVar("T")


def composite(build: Callable[Concatenate[st.DrawFn, P], T]) -> Callable[P, st.SearchStrategy[T]]:
    """`hypothesis.strategies.composite`, but equal arguments give the same strategy, so that laws that name it share
    examples, and a strategy drawn within another is no more than a call, which halves the cost of a draw.

    Arguments have to be hashable.
    """

    @functools.lru_cache(maxsize=4096)  # arrays are of many shapes
    @functools.wraps(build)
    def strategy(*args: P.args, **options: P.kwargs) -> st.SearchStrategy[T]:
        builder = functools.partial(_called, build, args, options)
        made = _built(builder)
        _BUILDERS[made] = builder
        return cast(st.SearchStrategy[T], made)

    return cast(Callable[P, st.SearchStrategy[T]], strategy)


def _called(build: Callable[..., Any], args: Any, options: Any, draw: st.DrawFn) -> Any:
    return build(draw, *args, **options)


@st.composite
def _built(draw: st.DrawFn, builder: Callable[[st.DrawFn], Any]) -> Any:
    """All strategies of `composite`: making each one with hypothesis.strategies.composite parses its source."""
    return builder(_calling(draw))


_BUILDERS: WeakKeyDictionary[st.SearchStrategy[Any], Callable[[st.DrawFn], Any]] = WeakKeyDictionary()
"""How `composite` strategies draw, given a draw function."""


def _calling(draw: st.DrawFn) -> st.DrawFn:
    """Draws from `composite` strategies by calling what builds them."""

    def drawn(strategy: st.SearchStrategy[Any], label: object = None) -> Any:
        build = _BUILDERS.get(strategy)
        return draw(strategy, label) if build is None else build(within)

    within = cast(st.DrawFn, drawn)
    return within


# Building a strategy costs more than drawing from it.
_between = cache(st.integers)
_one_of = cache(st.sampled_from)
_COIN = st.booleans()


EVEN = 2**24
"""How many numbers Hypothesis draws evenly from; of more it prefers small ones."""

_ONE_BY_ONE = ContextVar("one_by_one", default=False)


@contextmanager
def one_by_one() -> Iterator[None]:
    """Within, every choice is a draw of its own, as a search for a small example needs it.

    Elsewhere choices are drawn together: the cost of a draw is by the choice, and much of that of a law.
    """
    token = _ONE_BY_ONE.set(True)
    try:
        yield
    finally:
        _ONE_BY_ONE.reset(token)


def _digits(draw: st.DrawFn, base: int, count: int) -> list[int]:
    """`count` numbers below `base`."""
    if _ONE_BY_ONE.get():
        return [draw(_between(0, base - 1)) for _ in range(count)]
    if base**count > EVEN:
        return _digits(draw, base, count // 2) + _digits(draw, base, count - count // 2)
    return _places(draw(_between(0, base**count - 1)), base, count)


def _places(code: int, base: int, count: int) -> list[int]:
    return [code // base**place % base for place in range(count)]


@composite
def arrays(draw: st.DrawFn, *shapes: tuple[int, ...], textures: tuple[str, ...] = tuple(TEXTURES)) -> Any:
    """float64 arrays of these shapes, each of its own texture; one array where one shape is given."""
    base, count = len(textures), len(shapes)
    together = base**count <= 2**12 and not _ONE_BY_ONE.get()  # then one draw gives the seed, too
    seed, code = divmod(draw(_between(0, EVEN - 1)), base**count if together else 1)
    chosen = _places(code, base, count) if together else _digits(draw, base, count)
    generator = np.random.default_rng(seed)
    drawn = [TEXTURES[textures[digit]](generator, shape) for digit, shape in zip(chosen, shapes, strict=True)]
    return drawn[0] if len(drawn) == 1 else drawn


@composite
def extents(draw: st.DrawFn, count: int, edges: tuple[int, ...] = (), least: int = 1) -> tuple[int, ...]:
    """Sizes of `count` axes: mostly small and different from each other, sometimes equal, 1 well represented.

    edges: positions of the axes of which one, in about every tenth example, is at a tile's edge.
    least: the smallest extent.
    """
    kind = draw(_between(0, 7))
    if kind == 7 and edges:
        sizes = [least + digit for digit in _digits(draw, 2, count)]
        sizes[draw(_one_of(edges))] = draw(_one_of(LIKELY_EDGES))
        return tuple(sizes)
    sizes = []
    for digit in _digits(draw, 5 if kind < 3 and not _ONE_BY_ONE.get() else max(6, count + 1), count):
        size = least + digit
        while kind >= 3 and size in sizes:
            size += 1
        sizes.append(size)
    return tuple(sizes)


@composite
def durations(draw: st.DrawFn, usual: int) -> int:
    """Steps of a recurrence: mostly the usual number of them, sometimes just beyond a tile's edge."""
    rare: dict[int, int] = {0: 17, 1: 33, 2: 65}
    return rare.get(draw(_between(0, 59)), usual)


@composite
def ids(draw: st.DrawFn, shape: tuple[int, ...], count: int) -> NDArray[np.int64]:
    """int64 ids in [0, count), every one as likely, the ends well represented."""
    generator = np.random.default_rng(draw(seeds))
    drawn: NDArray[np.int64] = generator.integers(0, count, shape)
    if drawn.size and draw(_COIN):
        drawn.flat[generator.integers(drawn.size)] = draw(_one_of((0, count - 1)))
    return drawn


@composite
def masks(draw: st.DrawFn, shape: tuple[int, ...], empty_rows: bool = True) -> NDArray[np.bool_]:
    """Boolean masks (True: may be used) of every density; rows of the last axis may be empty where allowed."""
    generator = np.random.default_rng(draw(seeds))
    mask: NDArray[np.bool_] = generator.random(shape) < draw(_one_of((0.2, 0.5, 0.9, 1.0)))
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
