"""Byte-pair encoding in NumPy: all words at once, each distinct word once."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from layerlaws_backends.numpy._words import Dictionary, distinct, kinds, taken

Ids = NDArray[np.int64]

_NONE = -1
"""No pair here: a word ends."""

_RIVALS = 128
"""How many of the most frequent pairs are put in order at once."""


def replace_pair(symbols: Ids, first: int, second: int, merged: int) -> Ids:
    """symbols with every first, second replaced by merged, from left to right. (N,) -> (N',)."""
    hits = np.flatnonzero((symbols[:-1] == first) & (symbols[1:] == second))
    if first == second:
        hits = hits[_every_other(hits[1:] == hits[:-1] + 1, len(hits))]
    result = np.delete(symbols, hits + 1)
    result[hits - np.arange(len(hits))] = merged
    return result


def bpe_train(symbols: Ids, offsets: Ids, counts: Ids, base: int, num_merges: int, min_count: int) -> Ids:
    """The most frequent pair inside words, merged and counted again, num_merges times. -> (M, 2).

    symbols (N,), offsets (W + 1,), counts (W,). Several merges are made at once, see `_next_merges`.
    """
    _check_words(symbols, offsets, base, "symbols")
    if len(counts) != len(offsets) - 1 or (counts < 0).any():
        raise ValueError(f"counts must be {len(offsets) - 1} numbers, none negative")
    if num_merges < 0 or min_count < 0:
        raise ValueError(f"num_merges and min_count must not be negative, not {num_merges} and {min_count}")
    representatives, inverse = distinct(symbols, offsets)
    weights = np.zeros(len(representatives), np.int64)
    np.add.at(weights, inverse, counts)
    corpus = _Corpus(*taken(symbols, offsets, representatives), weights, _packing(base + num_merges))
    merges: list[tuple[int, int]] = []
    while len(merges) < num_merges and len(pairs := corpus.next_merges(max(min_count, 1), num_merges - len(merges))):
        corpus.merge(pairs, base + len(merges))
        merges += [divmod(key, corpus.size) for key in corpus.keys[pairs].tolist()]
    return np.array(merges, np.int64).reshape(-1, 2)


def bpe_encode(symbols: Ids, offsets: Ids, merges: Ids, base: int) -> tuple[Ids, Ids]:
    """Each word's lowest pair of the table, all its occurrences, until none is left. -> ids (N',), offsets (W + 1,).

    symbols (N,), offsets (W + 1,), merges (M, 2). Every round serves all words that still have a pair to merge.
    """
    _check_words(symbols, offsets, base, "symbols")
    _check_table(merges, base)
    representatives, inverse = distinct(symbols, offsets)
    ids, ends = _encoded(*taken(symbols, offsets, representatives), merges, base)
    return taken(ids, ends, inverse)


def bpe_decode(ids: Ids, offsets: Ids, merges: Ids, base: int) -> tuple[Ids, Ids]:
    """Every id spelled out. ids (N',), offsets (W + 1,), merges (M, 2)  ->  symbols (N,), offsets (W + 1,)."""
    _check_table(merges, base)
    _check_words(ids, offsets, base + len(merges), "ids")
    spelled, inverse = kinds(ids)
    used = len(spelled)
    owner = np.arange(used)
    while (nested := spelled >= base).any():
        copies = 1 + nested
        first = (np.cumsum(copies) - copies)[nested]
        rows = merges[spelled[nested] - base]
        spelled, owner = np.repeat(spelled, copies), np.repeat(owner, copies)
        spelled[first], spelled[first + 1] = rows[:, 0], rows[:, 1]
    pieces = np.append(0, np.cumsum(np.bincount(owner, minlength=used)))
    symbols, ends = taken(spelled, pieces, inverse)
    return symbols, ends[offsets]


class _Corpus:
    """Words while they are trained on: a chain of places, and how often each pair of neighbours occurs.

    A merged pair keeps the first one's place. Only a new id makes new pairs, so the places of a pair are all known
    when it first appears, in order; later some of them are passed over. Pairs are numbered as they appear.
    """

    def __init__(self, symbols: Ids, offsets: Ids, weights: Ids, size: int) -> None:
        """symbols (N,), offsets (W + 1,), weights (W,) how often each word occurs; size: see `_packing`."""
        words, places = np.arange(len(weights)), np.arange(len(symbols))
        owner = np.repeat(words, np.diff(offsets))
        length = len(symbols) + len(weights) + 1
        self.size = size
        self.text = np.full(length, _NONE)  # _NONE stands behind every word
        self.text[places + owner] = symbols
        self.weights = np.zeros(length, np.int64)
        self.weights[places + owner] = weights[owner]
        self.following = np.arange(1, length + 1)
        self.preceding = np.arange(-1, length)
        self.pair = np.full(length, _NONE)  # which pair begins at a place
        self.known, self.floor = 0, np.iinfo(np.int64).max
        self.keys, self.totals, self.places = (np.zeros(3 * length, np.int64) for _ in range(3))
        self.begins = np.zeros(3 * length + 1, np.int64)
        self.rivals = np.zeros(0, np.int64)
        self._count(np.flatnonzero((self.text[:-1] != _NONE) & (self.text[1:] != _NONE)))

    def next_merges(self, least: int, limit: int) -> Any:
        """The next merges, `limit` at most, none of a pair that occurs fewer than `least` times.

        Those are the most frequent pairs, in order, up to the first that shares an id with one before it: merging
        xy leaves the count of zw alone, and a pair with the new id is no more frequent than a pair with x or y was,
        which stands behind zw. A pair xx ends the row too: xx xx can be as frequent as it likes. The highest count
        never rises, so only pairs above a floor are compared; the floor is lowered when none is left.
        """
        totals = self.totals[self.rivals]
        if totals.max(initial=_NONE) < self.floor:
            highest = int(self.totals[: self.known].max(initial=0))
            if highest < least:
                return self.rivals[:0]
            self.floor = max(highest // 2, least)
            self.rivals = np.flatnonzero(self.totals[: self.known] >= self.floor)
            totals = self.totals[self.rivals]
        last = max(len(totals) - _RIVALS, 0)
        foremost = totals >= max(np.partition(totals, last)[last], self.floor)
        first = self.rivals[foremost]
        first = first[np.lexsort((self.keys[first], -totals[foremost]))][:limit]
        used: set[int] = set()
        for place, key in enumerate(self.keys[first].tolist()):
            x, y = divmod(key, self.size)
            if x in used or y in used:
                return first[:place]
            if x == y:
                return first[: place + 1]
            used |= {x, y}
        return first

    def merge(self, pairs: Ids, new: int) -> None:
        """Make these pairs, no two with an id in common, the ids new, new + 1, ..."""
        rows = [self.places[start:end] for start, end in zip(self.begins[pairs], self.begins[pairs + 1], strict=True)]
        number = np.repeat(np.arange(len(pairs)), [len(row) for row in rows])
        at = np.concatenate(rows)
        there = self.pair[at] == pairs[number]
        at, number = at[there], number[there]
        swallowed = self.following[at]
        if (swallowed[:-1] == at[1:]).any():  # only xx overlaps itself
            kept = _every_other(swallowed[:-1] == at[1:], len(at))
            at, number, swallowed = at[kept], number[kept], swallowed[kept]
        behind, before = self.following[swallowed], self.preceding[at]
        self._forget(np.concatenate([at, swallowed]))
        before = self._forget(before)
        self.text[at] = new + number
        self.following[at], self.preceding[behind] = behind, at
        self._count(np.concatenate([before, at[self.text[behind] != _NONE]]))

    def _forget(self, places: Ids) -> Ids:
        """Uncount the pairs that begin at these places; returns the places where there was one."""
        places = places[self.pair[places] != _NONE]
        np.subtract.at(self.totals, self.pair[places], self.weights[places])
        self.pair[places] = _NONE
        return places

    def _count(self, places: Ids) -> None:
        """Number and count the pairs that begin at these places, all of them new."""
        keys = self.text[places] * self.size + self.text[self.following[places]]
        order = np.argsort(keys, kind="stable")
        keys, places = keys[order], places[order]
        fresh = np.append(True, keys[1:] != keys[:-1])[: len(keys)]
        starts = np.flatnonzero(fresh)
        known, start = self.known, int(self.begins[self.known])
        self.known += len(starts)
        self.keys[known : self.known] = keys[starts]
        if len(starts):
            self.totals[known : self.known] = np.add.reduceat(self.weights[places], starts)
        self.begins[known + 1 : self.known + 1] = start + np.append(starts[1:], len(keys))[: len(starts)]
        self.places[start : start + len(places)] = places
        self.pair[places] = known + np.cumsum(fresh) - 1
        risen = known + np.flatnonzero(self.totals[known : self.known] >= self.floor)
        self.rivals = np.concatenate([self.rivals, risen])


def _encoded(symbols: Ids, offsets: Ids, merges: Ids, base: int) -> tuple[Ids, Ids]:
    """bpe_encode of words that are all worth encoding."""
    words, none = len(offsets) - 1, len(merges)
    end = base + none  # stands behind every word, so that no pair reaches from one word into the next
    size = _packing(end + 1)
    table, ranks = np.unique(merges[:, 0] * size + merges[:, 1], return_index=True)  # the first of equal merges
    dictionary, ranks = Dictionary(table), np.append(ranks, none)

    def rank(left: Ids, right: Ids) -> Ids:
        found: Ids = ranks[dictionary.find(left * size + right)]
        return found

    text, ends = np.insert(symbols, offsets[1:], end), offsets[1:] + np.arange(1, words + 1)
    at = np.append(rank(text[:-1], text[1:]), none)[: len(text)]
    owners, done = np.arange(words), []
    while len(owners):
        lengths = np.diff(ends, prepend=0)
        lowest = np.minimum.reduceat(at, ends - lengths)
        busy = lowest != none
        if not busy.all():
            kept = np.repeat(busy, lengths)
            done.append((owners[~busy], lengths[~busy], text[~kept]))
            text, at, owners, lengths, lowest = text[kept], at[kept], owners[busy], lengths[busy], lowest[busy]
        hits = np.flatnonzero(at == np.repeat(lowest, lengths))
        hits = hits[_every_other(hits[1:] == hits[:-1] + 1, len(hits))]  # a pair overlaps only itself
        text[hits] = base + at[hits]
        left = np.ones(len(text), bool)
        left[hits + 1] = False
        ends = np.cumsum(left)[np.cumsum(lengths) - 1]
        text, at = text[left], at[left]
        hits -= np.arange(len(hits))  # their places, now that what they swallowed is gone
        at[hits] = rank(text[hits], text[hits + 1])
        hits = hits[hits > 0]
        inside = text[hits - 1] != end
        at[hits[inside] - 1] = rank(text[hits[inside] - 1], text[hits[inside]])
    if not done:
        return symbols.copy(), offsets.copy()
    order = np.argsort(np.concatenate([part[0] for part in done]))
    lengths = np.concatenate([part[1] for part in done])
    ids, ends = taken(np.concatenate([part[2] for part in done]), np.append(0, np.cumsum(lengths)), order)
    return ids[ids != end], ends - np.arange(words + 1)


def _every_other(touching: NDArray[np.bool_], count: int) -> NDArray[np.bool_]:
    """Of `count` occurrences in order, those that left-to-right replacement takes.

    touching (count - 1,): whether an occurrence overlaps the one before; in a run of such, every second one goes.
    """
    place = np.arange(count)
    starts = np.append(True, ~touching)[:count]
    taken: NDArray[np.bool_] = (place - np.maximum.accumulate(np.where(starts, place, 0))) % 2 == 0
    return taken


def _packing(ids: int) -> int:
    """The factor that packs two ids into one number."""
    if ids >= 2**31:
        raise ValueError(f"base and merges make {ids} ids; two of them must fit into 63 bits")
    return max(ids, 1)


def _check_words(symbols: Ids, offsets: Ids, count: int, name: str) -> None:
    if len(offsets) < 1 or offsets[0] != 0 or offsets[-1] != len(symbols) or (np.diff(offsets) < 0).any():
        raise ValueError(f"offsets must rise from 0 to {len(symbols)}")
    if len(symbols) and (symbols.min() < 0 or symbols.max() >= count):
        raise ValueError(f"{name} must lie in [0, {count})")


def _check_table(merges: Ids, base: int) -> None:
    if merges.ndim != 2 or merges.shape[1] != 2:
        raise ValueError(f"merges must be pairs, not of shape {merges.shape}")
    if (merges < 0).any() or (merges >= base + np.arange(len(merges))[:, None]).any():
        raise ValueError("merges may join only symbols and the ids of earlier merges")
