"""Hypothesis's strategies, each with a quick way to draw from it as well.

Hypothesis records every choice, so that it can look for a smaller example when one fails; that costs 50 microseconds
by the choice. A sweep over examples that many laws share needs no record: within `dealing`, one draw by Hypothesis
seeds a generator, and the strategies made here are dealt from that. Searches for a counterexample draw every choice by
Hypothesis. Strategies from elsewhere work, too; they are always drawn by Hypothesis.

Notes import this module in place of `hypothesis.strategies`, and call it `st`. Arguments have to be hashable (lists
of choices may be lists).
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from random import Random
from typing import Any, Concatenate, ParamSpec, TypeVar, cast
from weakref import WeakKeyDictionary

import numpy as np
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

__all__ = [
    "DrawFn", "SearchStrategy", "binary", "booleans", "builds", "composite", "dealing", "fixed_dictionaries", "floats",
    "integers", "just", "lists", "none", "one_of", "sampled_from", "seeds", "several", "text", "tuples",
]  # fmt: skip

P = ParamSpec("P")
T = TypeVar("T")

EVEN = 2**24
"""How many integers are dealt evenly; of more, small ones are preferred, as Hypothesis does."""

ENDS = 32
"""One in so many integers of a range longer than this is one of its ends."""

_DEALING = ContextVar("dealing", default=False)


@contextmanager
def dealing() -> Iterator[None]:
    """Within, examples are dealt."""
    token = _DEALING.set(True)
    try:
        yield
    finally:
        _DEALING.reset(token)


class Dealer:
    """What draws within one example: a draw function, for what is composite."""

    def __init__(self, draw: DrawFn) -> None:
        self.draw = draw
        self.random: Random | None = None
        if _DEALING.get():
            seed = draw(_SEEDS)  # 0 in Hypothesis's first case, which is the simplest there is, and left to it
            self.random = Random(seed) if seed else None

    def __call__(self, strategy: SearchStrategy[T], label: object = None) -> T:
        build = _BUILDERS.get(strategy)
        if build is None and self.random is not None:
            build = _DEALERS.get(strategy)
        return self.draw(strategy, label) if build is None else cast(T, build(self))

    def below(self, count: int) -> int:
        """An integer in [0, count), each as likely; for dealers only."""
        return int(cast(Random, self.random).random() * count)


_SEEDS = st.integers(0, EVEN - 1)

_BUILDERS: WeakKeyDictionary[SearchStrategy[Any], Callable[[Dealer], Any]] = WeakKeyDictionary()
"""How composite strategies draw; a call, whoever draws, which halves the cost of a draw by Hypothesis, too."""

_DEALERS: WeakKeyDictionary[SearchStrategy[Any], Callable[[Dealer], Any]] = WeakKeyDictionary()
"""How the other strategies of this module are dealt."""


def composite(build: Callable[Concatenate[DrawFn, P], T]) -> Callable[P, SearchStrategy[T]]:
    """`hypothesis.strategies.composite`; equal arguments give the same strategy, so that laws share its examples."""

    @functools.lru_cache(maxsize=4096)  # arrays are of many shapes
    @functools.wraps(build)
    def strategy(*args: P.args, **options: P.kwargs) -> SearchStrategy[T]:
        builder = functools.partial(_called, build, args, options)
        made = _built(builder)
        _BUILDERS[made] = builder
        return cast(SearchStrategy[T], made)

    return cast(Callable[P, SearchStrategy[T]], strategy)


def _called(build: Callable[..., Any], args: Any, options: Any, draw: Dealer) -> Any:
    return build(draw, *args, **options)


@st.composite
def _built(draw: DrawFn, builder: Callable[[Dealer], Any]) -> Any:
    """All strategies of `composite`: making each one with hypothesis.strategies.composite parses its source."""
    return builder(Dealer(draw))


def _dealt(strategy: SearchStrategy[T], deal: Callable[[Dealer], Any]) -> SearchStrategy[T]:
    _DEALERS[strategy] = deal
    return strategy


seeds = _dealt(st.integers(0, EVEN - 1), lambda dealer: dealer.below(EVEN))
"""Seeds of generators of bulk numbers."""


@functools.cache
def integers(least: int, most: int) -> SearchStrategy[int]:
    """Integers from least to most."""
    count = most - least + 1

    def deal(dealer: Dealer) -> int:
        if count > ENDS and not dealer.below(ENDS):
            return (least, most)[dealer.below(2)]
        if count <= EVEN:
            return least + dealer.below(count)
        return least + dealer.below(min(count, 2 ** dealer.below(count.bit_length() + 1)))

    return _dealt(st.integers(least, most), deal)


def sampled_from(values: Sequence[T]) -> SearchStrategy[T]:
    """One of these, the first being the simplest."""
    return cast(SearchStrategy[T], _sampled_from(tuple(values), tuple(map(type, values))))


@functools.cache
def _sampled_from(values: tuple[Any, ...], types: tuple[type, ...]) -> SearchStrategy[Any]:
    """types: as keys of a cache, (0, 1) and (False, True) are equal."""
    return _dealt(st.sampled_from(values), lambda dealer: values[dealer.below(len(values))])


@functools.cache
def booleans() -> SearchStrategy[bool]:
    return _dealt(st.booleans(), lambda dealer: bool(dealer.below(2)))


@functools.cache
def floats(least: float, most: float) -> SearchStrategy[float]:
    """Numbers from least to most that float16 represents; the ends should be such."""

    def deal(dealer: Dealer) -> float:
        share = (0.0, 1.0)[dealer.below(2)] if not dealer.below(8) else cast(Random, dealer.random).random()
        return float(np.float16(least + share * (most - least)))

    return _dealt(st.floats(least, most, width=16, allow_subnormal=False), deal)


def just(value: T) -> SearchStrategy[T]:
    return _dealt(st.just(value), lambda dealer: value)


def none() -> SearchStrategy[None]:
    return just(None)


@functools.cache
def one_of(*strategies: SearchStrategy[Any]) -> SearchStrategy[Any]:
    """From one of these, each as likely."""
    return _dealt(st.one_of(*strategies), lambda dealer: dealer(strategies[dealer.below(len(strategies))]))


@functools.cache
def lists(elements: SearchStrategy[T], *, min_size: int = 0, max_size: int) -> SearchStrategy[list[T]]:
    """Lists of min_size to max_size elements."""

    def deal(dealer: Dealer) -> list[T]:
        return [dealer(elements) for _ in range(min_size + dealer.below(max_size - min_size + 1))]

    return _dealt(st.lists(elements, min_size=min_size, max_size=max_size), deal)


@functools.cache
def text(alphabet: str, *, max_size: int) -> SearchStrategy[str]:
    """Strings of up to max_size letters."""

    def deal(dealer: Dealer) -> str:
        return "".join(alphabet[dealer.below(len(alphabet))] for _ in range(dealer.below(max_size + 1)))

    return _dealt(st.text(alphabet, max_size=max_size), deal)


@functools.cache
def binary(*, max_size: int) -> SearchStrategy[bytes]:
    """Strings of up to max_size bytes."""
    return _dealt(
        st.binary(max_size=max_size),
        lambda dealer: bytes(dealer.below(256) for _ in range(dealer.below(max_size + 1))),
    )


@functools.cache
def tuples(*strategies: SearchStrategy[Any]) -> SearchStrategy[tuple[Any, ...]]:
    return _dealt(st.tuples(*strategies), lambda dealer: tuple(map(dealer, strategies)))


def fixed_dictionaries(strategies: Mapping[str, SearchStrategy[Any]]) -> SearchStrategy[dict[str, Any]]:
    chosen = dict(strategies)
    return _dealt(st.fixed_dictionaries(chosen), lambda dealer: {name: dealer(x) for name, x in chosen.items()})


def builds(build: Callable[..., T], *strategies: SearchStrategy[Any]) -> SearchStrategy[T]:
    """What `build` makes of draws from these."""
    return _dealt(st.builds(build, *strategies), lambda dealer: build(*map(dealer, strategies)))


@composite
def several(draw: DrawFn, strategy: SearchStrategy[Any], count: int) -> list[Any]:
    """`count` examples in one; a single one where it is the simplest."""
    dealt = cast(Dealer, draw).random is not None
    return [draw(strategy) for _ in range(count if dealt else 1)]
