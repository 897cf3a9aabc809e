"""Texts as symbols and word offsets: equal words found, words taken, numbers looked up; no loop over words."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

Ids = NDArray[np.int64]
Keys = NDArray[np.uint64]

_FACTOR = np.uint64(0x9E3779B97F4A7C15)
"""2**64 divided by the golden ratio, as in multiplicative hashing (Knuth, vol. 3, section 6.4)."""

_MASKS = np.array([(1 << 8 * length) - 1 for length in range(9)], np.uint64)
"""The first 0, 1, ..., 8 bytes of a block."""


def distinct(symbols: Ids, offsets: Ids) -> tuple[Ids, Ids]:
    """One word of each kind, and for every word the number of its kind.

    symbols (N,), offsets (W + 1,)  ->  (K,), (W,). Words are grouped by a hash of their bytes, eight at a time,
    and then compared with the one that stands for their kind; where two kinds collide, another hash is tried.
    """
    narrow = symbols.astype(np.min_scalar_type(int(symbols.max(initial=0))))
    width = narrow.itemsize
    text = np.zeros(len(narrow) * width + 8, np.uint8)
    text[:-8] = narrow.view(np.uint8)
    blocks = np.ndarray((len(text) - 7,), np.uint64, text, strides=(1,)).copy()  # the eight bytes from each one on
    starts, sizes = offsets[:-1] * width, np.diff(offsets) * width

    def block(words: Ids, at: int) -> Keys:
        read: Keys = blocks[starts[words] + at] & _MASKS[np.minimum(sizes[words] - at, 8)]
        return read

    for factor in _factors():
        hashes = sizes.astype(np.uint64) * factor
        for at, words in _eights(sizes):
            mixed = (hashes[words] + block(words, at)) * factor
            hashes[words] = mixed ^ (mixed >> np.uint64(29))
        twins = _first_of_equal(hashes)
        copies = np.flatnonzero(twins != np.arange(len(twins)))
        if np.array_equal(sizes[twins[copies]], sizes[copies]) and all(
            np.array_equal(block(twins[words], at), block(words, at)) for at, words in _eights(sizes, copies)
        ):
            break
    return numbered(twins)


def numbered(twins: Ids) -> tuple[Ids, Ids]:
    """From the place of an equal element for each element: one place per kind, and the number of each one's kind."""
    chosen = np.zeros(len(twins), bool)
    chosen[twins] = True
    return np.flatnonzero(chosen), (np.cumsum(chosen) - 1)[twins]


def kinds(numbers: Ids) -> tuple[Ids, Ids]:
    """The distinct numbers, in any order, and for every number the place of its kind there."""
    places, inverse = numbered(_first_of_equal(numbers.astype(np.uint64)))
    return numbers[places], inverse


def taken(symbols: Ids, offsets: Ids, words: Ids) -> tuple[Ids, Ids]:
    """These words of a text, in this order, repeated where they are named repeatedly."""
    lengths = np.diff(offsets)[words]
    ends = np.append(0, np.cumsum(lengths))
    return symbols[np.repeat(offsets[words] - ends[:-1], lengths) + np.arange(ends[-1])], ends


class Dictionary:
    """Numbers that are not negative, to be found again: a hash table with open addresses, all look-ups at once."""

    def __init__(self, keys: Ids) -> None:
        """keys (N,), no two equal."""
        bits = int(8 * len(keys) + 8).bit_length()
        self._shift, self._last = np.uint64(64 - bits), 2**bits - 1
        self._keys, self._places = np.full(2**bits, -1), np.full(2**bits, -1)
        waiting, slots = np.arange(len(keys)), self._slots(keys)
        while len(waiting):
            free = self._keys[slots] == -1
            self._keys[slots[free]], self._places[slots[free]] = keys[waiting[free]], waiting[free]
            lost = self._places[slots] != waiting
            waiting, slots = waiting[lost], (slots[lost] + 1) & self._last

    def find(self, keys: Ids) -> Ids:
        """The place of each number among the keys, -1 for one that is not there."""
        slots = self._slots(keys)
        seen, found = self._keys[slots], self._places[slots]
        searching = np.flatnonzero(seen != keys)
        found[searching] = -1
        searching = searching[seen[searching] != -1]
        slots = slots[searching]
        while len(searching):
            slots = (slots + 1) & self._last
            seen = self._keys[slots]
            hits = seen == keys[searching]
            found[searching[hits]] = self._places[slots[hits]]
            on = ~hits & (seen != -1)
            searching, slots = searching[on], slots[on]
        return found

    def _slots(self, keys: Ids) -> Ids:
        slots: Ids = ((keys.astype(np.uint64) * _FACTOR) >> self._shift).astype(np.int64)
        return slots


def _first_of_equal(keys: Keys) -> Ids:
    """For every element the place of one that equals it: the same for all of a kind.

    All write their place into a table, at an address made from their key; those that read one with another key
    there try again at other addresses.
    """
    bits = max(len(keys).bit_length(), 4)
    table = np.zeros(2**bits, np.int64)
    twins, left = np.arange(len(keys)), np.arange(len(keys))
    for factor in _factors():
        slots = (keys[left] * factor) >> np.uint64(64 - bits)
        table[slots] = left
        found = table[slots]
        same = keys[found] == keys[left]
        twins[left[same]] = found[same]
        left = left[~same]
        if not len(left):
            break
    return twins


def _factors() -> Iterator[np.uint64]:
    """Odd numbers to multiply with, until one serves."""
    generator = np.random.default_rng(0)
    factor = _FACTOR
    while True:
        yield factor
        factor = np.uint64(generator.integers(2**63)) * np.uint64(2) + np.uint64(1)


def _eights(sizes: Ids, words: Ids | None = None) -> list[tuple[int, Ids]]:
    """0, 8, 16, ... and the words that have bytes from there on."""
    words, at, steps = np.arange(len(sizes)) if words is None else words, 0, []
    while len(words := words[sizes[words] > at]):
        steps.append((at, words))
        at += 8
    return steps
