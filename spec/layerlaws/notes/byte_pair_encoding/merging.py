"""Byte-pair encoding as plain loops over lists: merging, counting, encoding, spelling and the checks of input."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise, product

import numpy as np

from layerlaws.language import Ids, require, unpacked

Words = list[list[int]]
Pair = tuple[int, int]
Rows = list[Pair]

SHORT = [word for length in range(11) for word in product((0, 1), repeat=length)]
"""All strings over two symbols up to length 10."""


def read_words(symbols: Ids, offsets: Ids, count: int, name: str = "symbols") -> Words:
    """The words; refuses symbols (or what `name` says) outside [0, count)."""
    require((symbols >= 0) & (symbols < count), f"{name} must lie in [0, {count})")
    return unpacked(symbols, offsets)


def read_rows(merges: Ids, base: int) -> Rows:
    """The table; refuses rows that join what no earlier row has made."""
    require(merges.ndim == 2 and merges.shape[1] == 2, f"merges must be pairs, not of shape {merges.shape}")
    known = base + np.arange(len(merges))[:, None]
    require((merges >= 0) & (merges < known), "merges may join only symbols and ids of earlier rows")
    return [(first, second) for first, second in merges.tolist()]


def merge_pair(word: Sequence[int], first: int, second: int, merged: int) -> list[int]:
    """The word with `merged` for the pair, from left to right and without overlap."""
    written, place = [], 0
    while place < len(word):
        found = place + 1 < len(word) and word[place] == first and word[place + 1] == second
        written.append(merged if found else word[place])
        place += 2 if found else 1
    return written


def count_pairs(words: Iterable[Sequence[int]], counts: Ids) -> Counter[Pair]:
    """How often each pair occurs, overlapping occurrences too, in the order in which pairs are first seen."""
    found: Counter[Pair] = Counter()
    for word, count in zip(words, counts.tolist(), strict=True):
        for pair in pairwise(word):
            found[pair] += count
    return found


def most_frequent_pair(words: Iterable[Sequence[int]], counts: Ids) -> tuple[Pair, int]:
    """The pair that occurs most often, the smallest among equals, and how often; 0 times where there is none."""
    return min(count_pairs(words, counts).items(), key=lambda item: (-item[1], item[0]), default=((0, 0), 0))


def encode_word(word: list[int], rows: Rows, base: int) -> list[int]:
    """The word with the pair merged that stands first in the table, until none is left."""
    while found := set(pairwise(word)).intersection(rows):
        rank = min(rows.index(pair) for pair in found)
        word = merge_pair(word, *rows[rank], base + rank)
    return word


def spell_word(word: list[int], rows: Rows, base: int) -> list[int]:
    """The symbols that the ids of a word stand for."""
    written, unread = [], word[::-1]
    while unread:
        id = unread.pop()
        if id < base:
            written.append(id)
        else:
            first, second = rows[id - base]
            unread += [second, first]
    return written
