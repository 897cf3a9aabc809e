"""The words and the tables of merges that examples are drawn from."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from layerlaws.language import Arguments, Ids, library_text, packed, seeds, sizes_are_seldom
from layerlaws.language import strategies as st
from layerlaws.notes.byte_pair_encoding.merging import Rows, Words, merge_pair


def _letters(alphabet: str) -> st.SearchStrategy[tuple[int, Words]]:
    long = st.lists(st.text(alphabet, max_size=14), min_size=3, max_size=8)
    words = st.one_of(long, long, long, st.lists(st.text(alphabet, max_size=3), max_size=3))
    return st.builds(lambda drawn: (len(alphabet), [[alphabet.index(x) for x in word] for word in drawn]), words)


def library_sample(start: int, size: int) -> tuple[int, Words]:
    """Words of real text, as bytes."""
    return 256, [list(word) for word in library_text(400_000)[start : start + size].split()]


BEYOND = 32_769
"""Symbols of a word beyond what 16 bits count."""


@st.composite
def long_words(draw: st.DrawFn) -> tuple[int, Words]:
    """A word of few letters that is longer than most buffers."""
    generator, base = np.random.default_rng(draw(seeds)), draw(st.integers(2, 3))
    length = draw(st.sampled_from((1025, 1025, 1025, BEYOND)))
    return base, [generator.integers(0, base, length).tolist(), [0, 1]]


@st.composite
def texts_of_any_length(draw: st.DrawFn) -> tuple[int, Words]:
    drawn: tuple[int, Words] = draw(long_words() if sizes_are_seldom() else usual_texts)
    return drawn


usual_texts = st.one_of(
    _letters("ab"),
    _letters("abc"),
    st.builds(lambda words: (256, [list(w) for w in words]), st.lists(st.binary(max_size=14), min_size=2, max_size=8)),
    st.builds(library_sample, st.integers(0, 399_000), st.integers(20, 300)),
)
"""How many symbols there are, and words of them: few letters, so that pairs recur, any bytes, and real text."""

texts = texts_of_any_length()


def random_table(base: int, words: Words, size: int, generator: np.random.Generator, distinct: bool) -> Ids:
    """A well-formed table whose rows mostly occur; distinct: no two rows spell the same."""
    rows: Rows = []
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
            words = [merge_pair(word, *rows[-1], again[0]) for word in words]
        both = spelling(row[0]) + spelling(row[1])
        if distinct and both in spelled.values():
            size -= 1
            continue
        spelled[base + len(rows)] = both
        words = [merge_pair(word, *row, base + len(rows)) for word in words]
        rows.append(row)
    return np.array(rows, np.int64).reshape(-1, 2)


@st.composite
def tables_and_texts(draw: st.DrawFn, distinct: bool = True) -> Arguments:
    """Words, and a table that mostly merges some of their symbols."""
    base, words = draw(texts)
    base += draw(st.sampled_from([0, 0, 3]))
    merges = random_table(base, words, draw(st.integers(0, 8)), np.random.default_rng(draw(seeds)), distinct)
    symbols, offsets = packed(words)
    return {"symbols": symbols, "offsets": offsets, "merges": merges, "base": base}
