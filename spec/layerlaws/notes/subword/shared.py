"""TODO-TITLE shared."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from itertools import cycle, islice
from typing import Any

import numpy as np

from layerlaws.language import (
    LIKELY_EDGES,
    Arguments,
    Array,
    Cost,
    Ids,
    asbounded,
    ids_within,
    library_text,
    packed,
    require,
    rewritten,
    seeds,
    unpacked,
)
from layerlaws.language import strategies as st
from layerlaws.notes.byte_pair_encoding.shared import texts

Piece = tuple[int, ...]


Words = list[Piece]


@st.composite
def _words_to_encode(draw: st.DrawFn, longest: int = 1000) -> Words:
    """Words of `texts`; in every tenth example one of them ends at a tile's edge."""
    base, words = draw(texts)
    if not any(words) and draw(st.integers(0, 3)):
        words = [*words, [0, base - 1, 0]]
    if longest > 256 and draw(st.integers(0, 9)) == 9:
        generator = np.random.default_rng(draw(seeds))
        words = [generator.integers(0, min(base, 3), draw(st.sampled_from(LIKELY_EDGES))).tolist(), *words[:3]]
    return [tuple(word[:longest]) for word in words]


def _parts(words: Words, count: int, generator: np.random.Generator) -> Words:
    """Some parts of words, whole words among them, and now and then what is none."""
    letters = sorted({symbol for word in words for symbol in word}) or [0]
    kept = [word for word in words if word]
    parts = []
    for _ in range(count):
        length = int(generator.choice([1, 2, 2, 3, 4, 6, 300]))
        if kept and generator.random() < 0.9:
            word = kept[generator.integers(len(kept))]
            start = generator.integers(len(word)) if length < 300 else 0
            parts.append(word[start : start + length])
        else:
            parts.append(tuple(generator.choice(letters, min(length, 3)).tolist()))
    return parts


def _kept(pieces: Iterable[Any], distinct: bool, generator: np.random.Generator) -> list[Any]:
    """Pieces without repetition or, where not `distinct`, with some of them written once more somewhere behind."""
    kept = list(dict.fromkeys(pieces))
    if distinct or not kept:
        return kept
    again = [kept[k] for k in generator.integers(0, len(kept), 3)]
    return [*kept, *again]


def _vocabulary(pieces: Iterable[Sequence[int]]) -> Arguments:
    return dict(zip(("pieces", "piece_offsets"), packed(pieces), strict=True))


def _text(words: Iterable[Sequence[int]]) -> Arguments:
    return dict(zip(("symbols", "offsets"), packed(words), strict=True))


@st.composite
def _histories(draw: st.DrawFn) -> Arguments:
    """A corpus of few words, and a history that mostly occurs in it."""
    generator = np.random.default_rng(draw(seeds))
    words = draw(st.sampled_from([2, 3, 4, 6, 1]))
    length = draw(st.one_of(st.integers(1, 40), st.sampled_from(LIKELY_EDGES)))
    corpus = generator.integers(0, words, length)
    start = int(generator.integers(0, length))
    history = corpus[start : start + draw(st.integers(0, 4))]
    vocabulary = words + draw(st.sampled_from([0, 1, 0, 3]))
    if len(history) and draw(st.integers(0, 3)) == 3:
        history = rewritten(history, int(generator.integers(len(history))), vocabulary - 1)
    return {
        "corpus": corpus,
        "history": history,
        "vocabulary": vocabulary,
        "order": draw(st.sampled_from([3, 2, 4, 1, 5])),
    }


def _words(symbols: Ids, offsets: Ids) -> Words:
    require(symbols >= 0, "symbols must not be negative")
    return [tuple(word) for word in unpacked(symbols, offsets)]


def _pieces(pieces: Ids, piece_offsets: Ids) -> Words:
    require(pieces >= 0, "pieces must not be negative")
    read = [tuple(piece) for piece in unpacked(pieces, piece_offsets, "piece_offsets")]
    require(all(read), "pieces must not be empty")
    return read


def _first_ids(pieces: Iterable[Any]) -> dict[Any, int]:
    table: dict[Any, int] = {}
    for id, piece in enumerate(pieces):
        table.setdefault(piece, id)
    return table


def _context(corpus: Ids, history: Ids, vocabulary: int, order: int) -> Piece:
    require(len(corpus) > 0, "corpus must not be empty")
    ids_within(corpus, vocabulary, "corpus")
    ids_within(history, vocabulary, "history")
    require(order >= 1, "order must be at least 1")
    return tuple(history.tolist()[max(len(history) - order + 1, 0) :])


def _suffixes(context: Piece) -> list[Piece]:
    """The histories to look at, the shortest first: (), (c,), (b, c), (a, b, c)."""
    return [context[len(context) - length :] for length in range(len(context) + 1)]


def _grams(corpus: Ids, length: int) -> Counter[Piece]:
    """How often each row of this many words occurs."""
    read = corpus.tolist()
    return Counter(zip(*(read[k:] for k in range(length)), strict=False))


def _followers(corpus: Ids, given: Piece, vocabulary: int) -> Array:
    """How often each word follows. (V,)."""
    grams = _grams(corpus, len(given) + 1)
    return np.array([grams[*given, word] for word in range(vocabulary)])


def _exact(counts: Array) -> Array:
    return asbounded(np.asarray(counts, np.float64))


def _order(offsets: Ids, seed: int) -> Array:
    """Numbers of words: shuffled, some missing and some twice."""
    count = len(offsets) - 1
    return np.random.default_rng(seed).integers(0, count, count + 2) if count else np.zeros(0, np.int64)


def _taken(symbols: Ids, offsets: Ids, words: Ids) -> list[list[int]]:
    """These words of a text (or of a code), in this order."""
    read = unpacked(symbols, offsets)
    return [read[w] for w in words]


def _spelling(pieces: Sequence[Sequence[int]], id: int) -> Sequence[int]:
    """The symbols of a piece; -1, which is no symbol, for an id that none has."""
    return pieces[id] if 0 <= id < len(pieces) else [-1]


def _uncountable(inputs: Arguments, place: int, shift: int) -> list[tuple[str, Arguments]]:
    corpus, outside = inputs["corpus"], inputs["vocabulary"] + shift
    return [
        ("corpus", {**inputs, "corpus": corpus[:0]}),
        ("corpus", {**inputs, "corpus": rewritten(corpus, place % len(corpus), outside)}),
        ("corpus", {**inputs, "corpus": rewritten(corpus, place % len(corpus), -1)}),
        ("history", {**inputs, "history": np.append(inputs["history"], outside)}),
        ("history", {**inputs, "history": np.append(inputs["history"], -1)}),
        ("order", {**inputs, "order": 0}),
    ]


def _backed_off(
    corpus: Ids,
    context: Piece,
    vocabulary: int,
    alpha: float,
    occurrences: Callable[[Piece, Any], Any] | None = None,
    followers: Callable[[Piece], Any] | None = None,
    last: Array = None,
) -> Array:
    """Scores with the knobs that faults turn: how histories and what follows them are counted, and the last resort."""
    scores = _exact(_followers(corpus, (), vocabulary)) / len(corpus) if last is None else last
    for given in _suffixes(context)[1:]:
        after = followers(given) if followers else _followers(corpus, given, vocabulary)
        total = occurrences(given, after) if occurrences else _grams(corpus, len(given))[given]
        scores = np.where(after > 0, _exact(after) / max(int(total), 1), alpha * scores)
    return scores


SAMPLE = 5_000_000
"""Bytes of words from which pieces are learned."""


@cache
def _library_words(words: int) -> tuple[bytes, ...]:
    """So many words of Python's documentation and sources; from the beginning again where an installation has fewer."""
    return tuple(islice(cycle(library_text(12 * words).split()), words))


def _joined(words: Iterable[bytes]) -> Array:
    words = list(words)
    return np.frombuffer(b"".join(words), np.uint8).astype(np.int64), np.cumsum([0, *map(len, words)])


def _encoding(words: Sequence[bytes], pieces: Sequence[bytes]) -> Arguments:
    return dict(
        zip(("symbols", "offsets", "pieces", "piece_offsets"), (*_joined(words), *_joined(pieces)), strict=True)
    )


def _text_cost(words: int, pieces: int) -> Cost:
    return Cost(text=sum(map(len, _library_words(words))))


GROWS = {"words": (250_000, 500_000)}


def _corpus(words: int) -> tuple[Any, int]:
    """A text as numbers of its words, the most frequent first, and how many there are."""
    text = _library_words(words)
    numbers = {word: number for number, (word, _) in enumerate(Counter(text).most_common())}
    return np.array([numbers[word] for word in text]), len(numbers)


def _corpus_cost(words: int) -> Cost:
    return Cost(moved=words, text=sum(map(len, _library_words(words))))
