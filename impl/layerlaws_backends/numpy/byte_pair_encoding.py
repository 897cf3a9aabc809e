"""Byte-pair encoding in NumPy: all words at once, each distinct word once."""

from __future__ import annotations

import heapq
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

Ids = NDArray[np.int64]
Pair = tuple[int, int, Ids]
"""Minus how often a pair occurs, the pair as one number, and the positions where it was seen."""

_END = -1
"""Stands behind every word, so that no pair reaches from one word into the next."""


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

    symbols (N,), offsets (W + 1,), counts (W,). Only a new id brings new pairs, so a pair is counted in full when
    it first appears and can only become rarer. A heap therefore holds upper bounds, and a pair is looked at again
    only when its bound is the highest of all.
    """
    _check_words(symbols, offsets, base, "symbols")
    if len(counts) != len(offsets) - 1 or (counts < 0).any():
        raise ValueError(f"counts must be {len(offsets) - 1} numbers, none negative")
    if num_merges < 0 or min_count < 0:
        raise ValueError(f"num_merges and min_count must not be negative, not {num_merges} and {min_count}")
    representatives, inverse = _distinct(symbols, offsets)
    weight_of_word = np.zeros(len(representatives), np.int64)
    np.add.at(weight_of_word, inverse, counts)
    text, ends = _ended(*_taken(symbols, offsets, representatives))
    weights = np.repeat(weight_of_word, np.diff(ends, prepend=0))
    size, least = _packing(base + num_merges), max(min_count, 1)
    # A chain of positions: a merged pair keeps the first one's place.
    following = np.append(np.arange(1, len(text) + 1), 0)
    preceding = np.arange(-1, len(text))
    text = np.append(text, _END)
    starts = np.flatnonzero((text[:-1] != _END) & (text[1:] != _END))
    pairs = np.full(len(text), -1)
    pairs[starts] = text[starts] * size + text[starts + 1]

    heap: list[tuple[int, int, Ids, Iterator[Pair]]] = []

    def push(source: Iterator[Pair]) -> None:
        for bound, pair, positions in source:
            heapq.heappush(heap, (bound, pair, positions, source))
            return

    push(_most_frequent_first(pairs[starts], starts, weights, least))
    merges: list[tuple[int, int]] = []
    while heap and len(merges) < num_merges:
        bound, pair, positions, source = heapq.heappop(heap)
        push(source)
        positions = positions[pairs[positions] == pair]
        count = int(weights[positions].sum())
        if count < -bound:
            if count >= least:
                heapq.heappush(heap, (-count, pair, positions, iter(())))
            continue
        first, second = divmod(pair, size)
        if first == second:
            positions = positions[_every_other(following[positions[:-1]] == positions[1:], len(positions))]
        new = base + len(merges)
        merges.append((first, second))
        swallowed = following[positions]
        behind = following[swallowed]
        text[positions], pairs[swallowed] = new, -1
        following[positions], preceding[behind] = behind, positions
        before = preceding[positions]
        before = before[(text[before] != _END) & (text[before] != new)]
        inner = text[behind] != _END
        pairs[positions] = -1
        changed = np.concatenate([before, positions[inner]])
        keys = text[changed] * size + text[following[changed]]
        pairs[changed] = keys
        push(_most_frequent_first(keys, changed, weights, least))
    return np.array(merges, np.int64).reshape(-1, 2)


def bpe_encode(symbols: Ids, offsets: Ids, merges: Ids, base: int) -> tuple[Ids, Ids]:
    """Each word's lowest pair of the table, all its occurrences, until none is left. -> ids (N',), offsets (W + 1,).

    symbols (N,), offsets (W + 1,), merges (M, 2). Every round serves all words that still have a pair to merge.
    """
    _check_words(symbols, offsets, base, "symbols")
    _check_table(merges, base)
    representatives, inverse = _distinct(symbols, offsets)
    ids, ends = _encoded(*_taken(symbols, offsets, representatives), merges, base)
    return _taken(ids, ends, inverse)


def bpe_decode(ids: Ids, offsets: Ids, merges: Ids, base: int) -> tuple[Ids, Ids]:
    """Every id spelled out. ids (N',), offsets (W + 1,), merges (M, 2)  ->  symbols (N,), offsets (W + 1,)."""
    _check_table(merges, base)
    _check_words(ids, offsets, base + len(merges), "ids")
    used, inverse = np.unique(ids, return_inverse=True)
    spelled, owner = used, np.arange(len(used))
    while (nested := spelled >= base).any():
        copies = 1 + nested
        first = (np.cumsum(copies) - copies)[nested]
        rows = merges[spelled[nested] - base]
        spelled, owner = np.repeat(spelled, copies), np.repeat(owner, copies)
        spelled[first], spelled[first + 1] = rows[:, 0], rows[:, 1]
    pieces = np.append(0, np.cumsum(np.bincount(owner, minlength=len(used))))
    symbols, ends = _taken(spelled, pieces, inverse.reshape(-1))
    return symbols, ends[offsets]


def _encoded(symbols: Ids, offsets: Ids, merges: Ids, base: int) -> tuple[Ids, Ids]:
    """bpe_encode of words that are all worth encoding."""
    words = len(offsets) - 1
    size, none = _packing(base + len(merges)), len(merges)
    table, ranks = np.unique(merges[:, 0] * size + merges[:, 1], return_index=True)  # the first of equal merges
    table, ranks = np.append(table, np.iinfo(np.int64).max), np.append(ranks, none)

    def rank(left: Ids, right: Ids) -> Ids:
        key = left * size + right
        place = np.searchsorted(table, key)
        found: Ids = np.where((table[place] == key) & (right != _END), ranks[place], none)
        return found

    text, ends = _ended(symbols, offsets)
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
        inside = text[hits - 1] != _END
        at[hits[inside] - 1] = rank(text[hits[inside] - 1], text[hits[inside]])
    if not done:
        return symbols.copy(), offsets.copy()
    order = np.argsort(np.concatenate([part[0] for part in done]))
    lengths = np.concatenate([part[1] for part in done])
    ids, ends = _taken(np.concatenate([part[2] for part in done]), np.append(0, np.cumsum(lengths)), order)
    return ids[ids != _END], ends - np.arange(words + 1)


def _every_other(touching: NDArray[np.bool_], count: int) -> NDArray[np.bool_]:
    """Of `count` occurrences in order, those that left-to-right replacement takes.

    touching (count - 1,): whether an occurrence overlaps the one before; in a run of such, every second one goes.
    """
    place = np.arange(count)
    starts = np.append(True, ~touching)[:count]
    taken: NDArray[np.bool_] = (place - np.maximum.accumulate(np.where(starts, place, 0))) % 2 == 0
    return taken


def _most_frequent_first(pairs: Ids, positions: Ids, weights: Ids, least: int) -> Iterator[Pair]:
    """The distinct pairs, those that weigh most first, the smallest first among equals; none below `least`."""
    order = np.argsort(pairs, kind="stable")
    pairs, positions = pairs[order], positions[order]
    starts = np.flatnonzero(np.append(True, pairs[1:] != pairs[:-1])[: len(pairs)])
    if not len(starts):
        return
    ends = np.append(starts[1:], len(pairs))
    totals = np.add.reduceat(weights[positions], starts)
    for k in np.lexsort((starts, -totals)).tolist():
        if totals[k] < least:
            return
        yield -int(totals[k]), int(pairs[starts[k]]), positions[starts[k] : ends[k]]


def _distinct(symbols: Ids, offsets: Ids) -> tuple[Ids, Ids]:
    """One word of each kind, and for every word the number of its kind, by a hash that is then checked."""
    lengths = np.diff(offsets)
    place = np.arange(len(symbols)) - np.repeat(offsets[:-1], lengths)
    longest = int(lengths.max(initial=0))
    factors = np.random.default_rng(0).integers(0, 2**63, longest + 1).astype(np.uint64) * 2 + 1
    sums = np.append(np.uint64(0), np.cumsum((symbols + 1).astype(np.uint64) * factors[place], dtype=np.uint64))
    hashes = sums[offsets[1:]] - sums[offsets[:-1]] + lengths.astype(np.uint64) * factors[longest]
    _, kinds, inverse = np.unique(hashes, return_index=True, return_inverse=True)
    inverse = inverse.reshape(-1)
    same = np.array_equal(lengths[kinds][inverse], lengths)
    if same and np.array_equal(symbols[np.repeat(offsets[kinds][inverse], lengths) + place], symbols):
        return kinds, inverse
    return np.arange(len(lengths)), np.arange(len(lengths))


def _taken(symbols: Ids, offsets: Ids, words: Ids) -> tuple[Ids, Ids]:
    """These words of a text, in this order, repeated where they are named repeatedly."""
    lengths = np.diff(offsets)[words]
    ends = np.append(0, np.cumsum(lengths))
    return symbols[np.repeat(offsets[words] - ends[:-1], lengths) + np.arange(ends[-1])], ends


def _ended(symbols: Ids, offsets: Ids) -> tuple[Ids, Ids]:
    """The text with _END behind every word, and where each word ends then (behind its _END)."""
    return np.insert(symbols, offsets[1:], _END), offsets[1:] + np.arange(1, len(offsets))


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
