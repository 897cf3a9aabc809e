"""Hypothesis strategies that can also be sampled fast, without a record of the choices made.

Hypothesis records every choice, so that it can shrink an example that fails; recording costs 50 microseconds per
choice. A sweep over examples shared by many laws needs no record: within `fast_sampling`, Hypothesis draws one seed per
test case, and the strategies of this module sample from a generator with that seed. Searches for a counterexample let
Hypothesis draw every choice. Strategies from elsewhere work, too; Hypothesis always draws from them.

Notes import this module as `st` in place of `hypothesis.strategies`. Arguments must be hashable, except that the values
of `sampled_from` may be a list.
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
    "DrawFn", "SearchStrategy", "binary", "booleans", "builds", "composite", "fast_sampling", "fixed_dictionaries",
    "floats", "integers", "just", "lists", "none", "one_of", "sampled_from", "seeds", "several", "text", "tuples",
    "turns",
]  # fmt: skip

P = ParamSpec("P")
T = TypeVar("T")

UNIFORM_RANGE = 2**24
"""Longest range of integers that is sampled uniformly; in longer ones small integers are likelier, as in Hypothesis."""

END_INTERVAL = 32
"""In ranges longer than this, one integer in so many, on average, is an end of the range."""

_FAST_SAMPLING = ContextVar("fast_sampling", default=False)


@contextmanager
def fast_sampling() -> Iterator[None]:
    """Sample the strategies of this module fast within the context."""
    token = _FAST_SAMPLING.set(True)
    try:
        yield
    finally:
        _FAST_SAMPLING.reset(token)


class Sampler:
    """The draw function that composite strategies are given for one example.

    draw: Hypothesis's own draw function. random: the generator of fast sampling, None where Hypothesis draws.
    number: of the example, counted on from the seed where several are sampled with one.
    """

    def __init__(self, draw: DrawFn) -> None:
        self.draw = draw
        self.random: Random | None = None
        self.number = 0
        if _FAST_SAMPLING.get():
            self.number = draw(_SEEDS)  # 0 in Hypothesis's first test case, the simplest one, which it draws itself
            self.random = Random(self.number) if self.number else None

    def __call__(self, strategy: SearchStrategy[T], label: object = None) -> T:
        sample = _COMPOSITES.get(strategy)
        if sample is None and self.random is not None:
            sample = _FAST.get(strategy)
        return self.draw(strategy, label) if sample is None else cast(T, sample(self))

    def below(self, count: int) -> int:
        """A uniform integer in [0, count). For fast sampling only."""
        return int(cast(Random, self.random).random() * count)


_SEEDS = st.integers(0, UNIFORM_RANGE - 1)

Sample = Callable[[Sampler], Any]

_COMPOSITES: WeakKeyDictionary[SearchStrategy[Any], Sample] = WeakKeyDictionary()
"""The functions of composite strategies. They are called directly, which halves the cost of Hypothesis's draws, too."""

_FAST: WeakKeyDictionary[SearchStrategy[Any], Sample] = WeakKeyDictionary()
"""The fast samplers of the other strategies of this module."""


def composite(build: Callable[Concatenate[DrawFn, P], T]) -> Callable[P, SearchStrategy[T]]:
    """`hypothesis.strategies.composite`, but equal arguments give the same strategy: laws share its examples."""

    @functools.lru_cache(maxsize=4096)  # arrays come in many shapes
    @functools.wraps(build)
    def strategy(*args: P.args, **options: P.kwargs) -> SearchStrategy[T]:
        sample = functools.partial(_sampled, build, args, options)
        made = _from_sample(sample)
        _COMPOSITES[made] = sample
        return cast(SearchStrategy[T], made)

    return cast(Callable[P, SearchStrategy[T]], strategy)


def _sampled(build: Callable[..., Any], args: tuple[Any, ...], options: Mapping[str, Any], sampler: Sampler) -> Any:
    return build(sampler, *args, **options)


@st.composite
def _from_sample(draw: DrawFn, sample: Sample) -> Any:
    """The one Hypothesis composite behind every strategy of `composite`: making each of them one parses its source."""
    return sample(Sampler(draw))


def _fast(strategy: SearchStrategy[T], sample: Callable[[Sampler], T]) -> SearchStrategy[T]:
    """The strategy, registered with its fast sampler."""
    _FAST[strategy] = sample
    return strategy


seeds = _fast(st.integers(0, UNIFORM_RANGE - 1), lambda sampler: sampler.below(UNIFORM_RANGE))
"""Seeds of the generators that make the numbers of arrays."""


@functools.cache
def integers(least: int, most: int) -> SearchStrategy[int]:
    """Integers from least to most."""
    count = most - least + 1

    def sample(sampler: Sampler) -> int:
        if count > END_INTERVAL and not sampler.below(END_INTERVAL):
            return (least, most)[sampler.below(2)]
        if count <= UNIFORM_RANGE:
            return least + sampler.below(count)
        return least + sampler.below(min(count, 2 ** sampler.below(count.bit_length() + 1)))

    return _fast(st.integers(least, most), sample)


def sampled_from(values: Sequence[T]) -> SearchStrategy[T]:
    """One of these values; examples shrink towards the first."""
    return cast(SearchStrategy[T], _sampled_from(tuple(values), tuple(map(type, values))))


@functools.cache
def _sampled_from(values: tuple[Any, ...], types: tuple[type, ...]) -> SearchStrategy[Any]:
    """types: part of the key of the cache, since (0, 1) and (False, True) are equal."""
    return _fast(st.sampled_from(values), lambda sampler: values[sampler.below(len(values))])


@functools.cache
def booleans() -> SearchStrategy[bool]:
    return _fast(st.booleans(), lambda sampler: bool(sampler.below(2)))


@functools.cache
def floats(least: float, most: float) -> SearchStrategy[float]:
    """float16 numbers from least to most, which must be float16 numbers themselves."""

    def sample(sampler: Sampler) -> float:
        share = (0.0, 1.0)[sampler.below(2)] if not sampler.below(8) else cast(Random, sampler.random).random()
        return float(np.float16(least + share * (most - least)))

    return _fast(st.floats(least, most, width=16, allow_subnormal=False), sample)


def just(value: T) -> SearchStrategy[T]:
    return _fast(st.just(value), lambda sampler: value)


def none() -> SearchStrategy[None]:
    return just(None)


@functools.cache
def one_of(*strategies: SearchStrategy[Any]) -> SearchStrategy[Any]:
    """A value of one of these strategies, each equally likely."""
    return _fast(st.one_of(*strategies), lambda sampler: sampler(strategies[sampler.below(len(strategies))]))


@functools.cache
def lists(elements: SearchStrategy[T], *, min_size: int = 0, max_size: int) -> SearchStrategy[list[T]]:
    """Lists of min_size to max_size elements."""

    def sample(sampler: Sampler) -> list[T]:
        return [sampler(elements) for _ in range(min_size + sampler.below(max_size - min_size + 1))]

    return _fast(st.lists(elements, min_size=min_size, max_size=max_size), sample)


@functools.cache
def text(alphabet: str, *, max_size: int) -> SearchStrategy[str]:
    """Strings of up to max_size characters of the alphabet."""

    def sample(sampler: Sampler) -> str:
        return "".join(alphabet[sampler.below(len(alphabet))] for _ in range(sampler.below(max_size + 1)))

    return _fast(st.text(alphabet, max_size=max_size), sample)


@functools.cache
def binary(*, max_size: int) -> SearchStrategy[bytes]:
    """Byte strings of up to max_size bytes."""
    return _fast(
        st.binary(max_size=max_size),
        lambda sampler: bytes(sampler.below(256) for _ in range(sampler.below(max_size + 1))),
    )


@functools.cache
def tuples(*strategies: SearchStrategy[Any]) -> SearchStrategy[tuple[Any, ...]]:
    return _fast(st.tuples(*strategies), lambda sampler: tuple(map(sampler, strategies)))


def fixed_dictionaries(strategies: Mapping[str, SearchStrategy[Any]]) -> SearchStrategy[dict[str, Any]]:
    chosen = dict(strategies)
    return _fast(st.fixed_dictionaries(chosen), lambda sampler: {name: sampler(x) for name, x in chosen.items()})


def builds(build: Callable[..., T], *strategies: SearchStrategy[Any]) -> SearchStrategy[T]:
    """The results of `build` on values of these strategies."""
    return _fast(st.builds(build, *strategies), lambda sampler: build(*map(sampler, strategies)))


@composite
def several(draw: DrawFn, strategy: SearchStrategy[Any], count: int) -> list[Any]:
    """`count` examples at once; one where Hypothesis draws every choice, as it does in its first test case."""
    sampler, drawn = cast(Sampler, draw), []
    for _ in range(1 if sampler.random is None else count):
        drawn.append(draw(strategy))
        sampler.number += 1
    return drawn


@composite
def turns(draw: DrawFn, count: int) -> int:
    """0 to count - 1, one after the other in examples that are sampled together, so that none is left out by chance."""
    sampler = cast(Sampler, draw)
    return draw(integers(0, count - 1)) if sampler.random is None else sampler.number % count
