"""Corpora and histories: drawn for examples, checked, and counted as back-off needs it."""

from __future__ import annotations

from collections import Counter

import numpy as np
from numpy.typing import ArrayLike

from layerlaws.language import (
    HUGE,
    LIKELY_EDGES,
    Arguments,
    Bounded,
    Ids,
    asbounded,
    ids_within,
    require,
    rewritten,
    seeds,
    sizes_are_seldom,
)
from layerlaws.language import strategies as st
from layerlaws.notes.subword.words import Piece


@st.composite
def histories(draw: st.DrawFn) -> Arguments:
    """A corpus of few words, and a history that mostly occurs in it."""
    generator = np.random.default_rng(draw(seeds))
    words = draw(st.sampled_from([2, 3, 4, 6, 1]))
    length = draw(st.one_of(st.integers(1, 40), st.sampled_from(HUGE if sizes_are_seldom() else LIKELY_EDGES)))
    corpus = generator.integers(0, words, length)
    start = int(generator.integers(0, length))
    history = corpus[start : start + draw(st.integers(0, 4))]
    vocabulary = words + draw(st.sampled_from([0, *HUGE] if sizes_are_seldom() else [0, 1, 0, 3]))
    if len(history) and draw(st.integers(0, 3)) == 3:
        history = rewritten(history, int(generator.integers(len(history))), vocabulary - 1)
    return {
        "corpus": corpus,
        "history": history,
        "vocabulary": vocabulary,
        "order": draw(st.sampled_from([3, 2, 4, 1, 5])),
    }


def read_context(corpus: Ids, history: Ids, vocabulary: int, order: int) -> Piece:
    """The last order - 1 words of the history; refuses what cannot be counted."""
    require(len(corpus) > 0, "corpus must not be empty")
    ids_within(corpus, vocabulary, "corpus")
    ids_within(history, vocabulary, "history")
    require(order >= 1, "order must be at least 1")
    return tuple(history.tolist()[max(len(history) - order + 1, 0) :])


def suffixes(context: Piece) -> list[Piece]:
    """The histories to look at, the shortest first: (), (c,), (b, c), (a, b, c)."""
    return [context[len(context) - length :] for length in range(len(context) + 1)]


def count_rows(corpus: Ids, length: int) -> Counter[Piece]:
    """How often each row of this many words occurs."""
    read = corpus.tolist()
    return Counter(zip(*(read[k:] for k in range(length)), strict=False))


def count_followers(corpus: Ids, given: Piece, vocabulary: int) -> Ids:
    """How often each word follows. (V,)."""
    grams = count_rows(corpus, len(given) + 1)
    return np.array([grams[*given, word] for word in range(vocabulary)])


def as_exact(counts: ArrayLike) -> Bounded:
    """Numbers without error, in double precision."""
    return asbounded(np.asarray(counts, np.float64))


def uncountable(inputs: Arguments, place: int, shift: int) -> list[tuple[str, Arguments]]:
    """Calls that are refused, each with the argument that is wrong."""
    corpus, outside = inputs["corpus"], inputs["vocabulary"] + shift
    return [
        ("corpus", {**inputs, "corpus": corpus[:0]}),
        ("corpus", {**inputs, "corpus": rewritten(corpus, place % len(corpus), outside)}),
        ("corpus", {**inputs, "corpus": rewritten(corpus, place % len(corpus), -1)}),
        ("history", {**inputs, "history": np.append(inputs["history"], outside)}),
        ("history", {**inputs, "history": np.append(inputs["history"], -1)}),
        ("order", {**inputs, "order": 0}),
    ]
