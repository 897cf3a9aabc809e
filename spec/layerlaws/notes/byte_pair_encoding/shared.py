"""TODO-TITLE shared."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cache
from itertools import pairwise, product

import numpy as np

from layerlaws.language import (
    Arguments,
    Array,
    Cost,
    Ids,
    library_text,
    library_words,
    packed,
    require,
    seeds,
    unpacked,
)
from layerlaws.language import strategies as st

Words = list[list[int]]


def _letters(alphabet: str) -> st.SearchStrategy[tuple[int, Words]]:
    long = st.lists(st.text(alphabet, max_size=14), min_size=3, max_size=8)
    words = st.one_of(long, long, long, st.lists(st.text(alphabet, max_size=3), max_size=3))
    return st.builds(lambda drawn: (len(alphabet), [[alphabet.index(x) for x in word] for word in drawn]), words)


def _library(start: int, size: int) -> tuple[int, Words]:
    """Words of real text, as bytes."""
    return 256, [list(word) for word in library_text(400_000)[start : start + size].split()]


texts = st.one_of(
    _letters("ab"),
    _letters("abc"),
    st.builds(lambda words: (256, [list(w) for w in words]), st.lists(st.binary(max_size=14), min_size=2, max_size=8)),
    st.builds(_library, st.integers(0, 399_000), st.integers(20, 300)),
)
"""How many symbols there are, and words of them: few letters, so that pairs recur, any bytes, and real text."""


def _replaced(word: Sequence[int], first: int, second: int, merged: int) -> list[int]:
    written, place = [], 0
    while place < len(word):
        found = place + 1 < len(word) and word[place] == first and word[place + 1] == second
        written.append(merged if found else word[place])
        place += 2 if found else 1
    return written


def _table(base: int, words: Words, size: int, generator: np.random.Generator, distinct: bool) -> Array:
    """A well-formed table whose rows mostly occur; distinct: no two rows spell the same."""
    rows: list[tuple[int, int]] = []
    spelled: dict[int, tuple[int, ...]] = {}

    def spelling(id: int) -> tuple[int, ...]:
        return spelled.get(id, (id,))

    while len(rows) < size:
        found = [pair for word in words for pair in pairwise(word)]
        kind = generator.random()
        row = found[generator.integers(len(found))] if found else (0, 0)
        if not found or kind < 0.1:
            row = (int(generator.integers(base + len(rows))), int(generator.integers(base + len(rows))))
        elif not distinct and kind < 0.2 and rows:
            row = rows[generator.integers(len(rows))]
        elif not distinct and kind < 0.5 and row[1] >= base:
            again = (base + len(rows), rows[row[1] - base][1])  # x (yz) is in the text: rows for xy and (xy) z
            rows, row = [*rows, (row[0], rows[row[1] - base][0])], again
            spelled[again[0]] = spelling(rows[-1][0]) + spelling(rows[-1][1])
            words = [_replaced(word, *rows[-1], again[0]) for word in words]
        both = spelling(row[0]) + spelling(row[1])
        if distinct and both in spelled.values():
            size -= 1
            continue
        spelled[base + len(rows)] = both
        words = [_replaced(word, *row, base + len(rows)) for word in words]
        rows.append(row)
    return np.array(rows, np.int64).reshape(-1, 2)


@st.composite
def tables_and_texts(draw: st.DrawFn, distinct: bool = True) -> Arguments:
    base, words = draw(texts)
    base += draw(st.sampled_from([0, 0, 3]))
    merges = _table(base, words, draw(st.integers(0, 8)), np.random.default_rng(draw(seeds)), distinct)
    symbols, offsets = packed(words)
    return {"symbols": symbols, "offsets": offsets, "merges": merges, "base": base}


def _words(symbols: Ids, offsets: Ids, count: int, name: str = "symbols") -> Words:
    require((symbols >= 0) & (symbols < count), f"{name} must lie in [0, {count})")
    return unpacked(symbols, offsets)


def _rows(merges: Ids, base: int) -> list[tuple[int, int]]:
    require(merges.ndim == 2 and merges.shape[1] == 2, f"merges must be pairs, not of shape {merges.shape}")
    known = base + np.arange(len(merges))[:, None]
    require((merges >= 0) & (merges < known), "merges may join only symbols and ids of earlier rows")
    return [(first, second) for first, second in merges.tolist()]


def _found(words: Iterable[Sequence[int]], counts: Ids) -> Counter[tuple[int, int]]:
    """How often each pair occurs, overlapping occurrences too, in the order in which pairs are first seen."""
    found: Counter[tuple[int, int]] = Counter()
    for word, count in zip(words, counts.tolist(), strict=True):
        for pair in pairwise(word):
            found[pair] += count
    return found


def _most_frequent(words: Iterable[Sequence[int]], counts: Ids) -> tuple[tuple[int, int], int]:
    """The pair that occurs most often, the smallest among equals, and how often; 0 times where there is none."""
    return min(_found(words, counts).items(), key=lambda item: (-item[1], item[0]), default=((0, 0), 0))


def _encoded(word: list[int], rows: list[tuple[int, int]], base: int) -> list[int]:
    while found := set(pairwise(word)).intersection(rows):
        rank = min(rows.index(pair) for pair in found)
        word = _replaced(word, *rows[rank], base + rank)
    return word


def _spelled(word: list[int], rows: list[tuple[int, int]], base: int) -> list[int]:
    written, unread = [], word[::-1]
    while unread:
        id = unread.pop()
        if id < base:
            written.append(id)
        else:
            first, second = rows[id - base]
            unread += [second, first]
    return written


SHORT = [word for length in range(11) for word in product((0, 1), repeat=length)]
"""All strings over two symbols up to length 10."""


def _by_word(symbols: Ids, offsets: Ids, merges: Ids, base: int, encode: Array) -> Array:
    """Each word encoded by `encode`, after the checks that are not the point of a fault."""
    rows = _rows(merges, base)
    return packed(encode(word, rows) for word in _words(symbols, offsets, base))


Choice = tuple[tuple[int, int], int]


def _trained(
    words: Words,
    counts: Ids,
    base: int,
    num_merges: int,
    least: int,
    choose: Array = _most_frequent,
    replaced: Array = _replaced,
) -> Array:
    """Training with the knobs that faults turn: how the next pair is chosen, and how it is replaced."""
    merges: list[tuple[int, int]] = []
    while len(merges) < num_merges:
        pair, count = choose(words, counts)
        if count < max(least, 1):
            break
        words = [replaced(word, *pair, base + len(merges)) for word in words]
        merges.append(pair)
    return np.array(merges, np.int64).reshape(-1, 2)


def _merged(word: list[int], rows: dict[tuple[int, int], int]) -> list[int]:
    """The word after all rows, the first one first."""
    while found := [(rows[pair], place) for place, pair in enumerate(pairwise(word)) if pair in rows]:
        id, place = min(found)
        word = [*word[:place], id, *word[place + 2 :]]
    return word


@cache
def learned_merges(size: int, num_merges: int) -> Array:
    """A table for this much real text, learned in seconds: every 32nd word is read, and each count of pairs serves for
    several rows. -> (M, 2)
    """
    counts = Counter(library_words(size)[::32])
    words, weights = [list(word) for word in counts], np.array(list(counts.values()))
    rows: dict[tuple[int, int], int] = {}
    while len(rows) < num_merges and (found := _found(words, weights)):
        enough = min(len(rows) + max(8, len(rows) // 4), num_merges)
        for pair in sorted(found, key=lambda pair: (-found[pair], pair))[: enough - len(rows)]:
            rows[pair] = 256 + len(rows)
        words = [_merged(word, rows) for word in words]
    return np.array(list(rows), np.int64).reshape(-1, 2)


def _text_cost(bytes: int, merges: int) -> Cost:
    return Cost(text=bytes)


SIZES = {"bytes": 5_000_000, "merges": 8_000}


GROWS = {"bytes": (1_250_000, 2_500_000)}


def _library_words(size: int) -> Arguments:
    words = library_words(size)
    symbols = np.frombuffer(b"".join(words), np.uint8).astype(np.int64)
    return {"symbols": symbols, "offsets": np.cumsum([0, *map(len, words)])}
