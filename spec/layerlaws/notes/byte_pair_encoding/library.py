"""Workloads on real text: its words, and the merges and pieces learned from it."""

from __future__ import annotations

from collections import Counter
from functools import cache
from itertools import pairwise

import numpy as np

from layerlaws.language import Arguments, Cost, Ids, library_words
from layerlaws.notes.byte_pair_encoding.merging import Pair, count_pairs


def _merged(word: list[int], rows: dict[Pair, int]) -> list[int]:
    """The word after all rows, the first one first."""
    while found := [(rows[pair], place) for place, pair in enumerate(pairwise(word)) if pair in rows]:
        id, place = min(found)
        word = [*word[:place], id, *word[place + 2 :]]
    return word


@cache
def learned_merges(size: int, num_merges: int) -> Ids:
    """A table for this much real text, learned in seconds: every 32nd word is read, and each count of pairs serves for
    several rows. -> (M, 2)
    """
    counts = Counter(library_words(size)[::32])
    words, weights = [list(word) for word in counts], np.array(list(counts.values()))
    rows: dict[Pair, int] = {}
    while len(rows) < num_merges and (found := count_pairs(words, weights)):
        enough = min(len(rows) + max(8, len(rows) // 4), num_merges)
        for pair in sorted(found, key=lambda pair: (-found[pair], pair))[: enough - len(rows)]:
            rows[pair] = 256 + len(rows)
        words = [_merged(word, rows) for word in words]
    return np.array(list(rows), np.int64).reshape(-1, 2)


def learned_pieces(size: int, num_merges: int) -> list[bytes]:
    """What every id of `learned_merges` spells, the 256 bytes first."""
    pieces = [bytes([byte]) for byte in range(256)]
    for first, second in learned_merges(size, num_merges).tolist():
        pieces.append(pieces[first] + pieces[second])
    return pieces


SIZES = {"bytes": 5_000_000, "merges": 8_000}
GROWS = {"bytes": (1_250_000, 2_500_000)}


def library_corpus(size: int) -> Arguments:
    """Words of this many bytes, not counting white space."""
    words = library_words(size)
    symbols = np.frombuffer(b"".join(words), np.uint8).astype(np.int64)
    return {"symbols": symbols, "offsets": np.cumsum([0, *map(len, words)])}


def text_cost(bytes: int, merges: int) -> Cost:
    """The bytes of text that are read."""
    return Cost(text=bytes)
