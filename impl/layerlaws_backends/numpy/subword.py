"""Unknown words in NumPy: each distinct word once, all of them at once, through a trie that is three arrays."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from layerlaws_backends.numpy.byte_pair_encoding import _distinct, _taken

Ids = NDArray[np.int64]
Floats = NDArray[np.floating[Any]]

_NONE = -1
"""No node, or no piece."""


def unknown_encode(symbols: Ids, offsets: Ids, pieces: Ids, piece_offsets: Ids, unknown: int) -> Ids:
    """The id of the piece that each word is, or `unknown`. symbols (N,), offsets (W + 1,)  ->  (W,)."""
    _check_text(symbols, offsets, pieces, piece_offsets)
    _check_not_negative(unknown=unknown)
    representatives, inverse = _distinct(symbols, offsets)
    text, ends = _taken(symbols, offsets, representatives)
    trie = _trie(pieces, piece_offsets, np.zeros(len(piece_offsets) - 1, np.int64), np.arange(len(piece_offsets) - 1))
    lengths, codes = np.diff(ends), trie.codes(text)
    nodes, alive = np.zeros(len(lengths), np.int64), np.arange(len(lengths))
    found = np.full(len(lengths), unknown)
    depth = 0
    while len(alive):
        over = alive[lengths[alive] == depth]
        found[over] = np.where(trie.pieces[nodes[over]] == _NONE, unknown, trie.pieces[nodes[over]])
        alive = alive[lengths[alive] > depth]
        nodes[alive] = trie.step(nodes[alive], codes[ends[alive] + depth])
        alive = alive[nodes[alive] != _NONE]
        depth += 1
    return found[inverse]


def backoff_scores(corpus: Ids, history: Ids, vocabulary: int, order: int, alpha: float) -> NDArray[np.float64]:
    """Stupid back-off: count(h w) / count(h) for the longest h, times alpha per step back. corpus (N,)  ->  (V,)."""
    context = _context(corpus, history, vocabulary, order)
    if not 0 <= alpha <= 1:
        raise ValueError(f"alpha must lie in [0, 1], not {alpha}")
    places = np.arange(len(corpus) + 1)  # behind every word: where the history could end
    scores: NDArray[np.float64] = np.bincount(corpus, minlength=vocabulary) / len(corpus)
    for back in range(1, len(context) + 1):
        places = _preceded(corpus, places, back, int(context[-back]))
        followers = _followers(corpus, places, vocabulary)
        scores = np.where(followers > 0, followers / max(len(places), 1), alpha * scores)
    return scores


def katz_probabilities(corpus: Ids, history: Ids, vocabulary: int, order: int, discount: float) -> NDArray[np.float64]:
    """Katz back-off with absolute discounting, above the uniform distribution. corpus (N,)  ->  (V,)."""
    context = _context(corpus, history, vocabulary, order)
    if not 0 <= discount <= 1:
        raise ValueError(f"discount must lie in [0, 1], not {discount}")
    places = np.arange(len(corpus) + 1)
    probabilities = np.full(vocabulary, 1 / vocabulary)
    for back in range(len(context) + 1):
        places = _preceded(corpus, places, back, int(context[-back])) if back else places
        followers = _followers(corpus, places, vocabulary)
        total, seen = followers.sum(), followers > 0
        if not total:
            break  # then nothing follows any longer history either
        if discount == 0 or seen.all():
            probabilities = followers / total
        else:
            unseen = np.where(seen, 0, probabilities)
            left = discount * seen.sum() / total
            probabilities = np.where(seen, (followers - discount) / total, left * (unseen / unseen.sum()))
    return probabilities


def wordpiece_encode(
    symbols: Ids, offsets: Ids, pieces: Ids, piece_offsets: Ids, continuing: NDArray[np.bool_], unknown: int,
    max_length: int,
) -> tuple[Ids, Ids]:  # fmt: skip
    """From the left, the longest piece that fits, or `unknown` for the word. -> ids (N',), offsets (W + 1,).

    symbols (N,), offsets (W + 1,), pieces (M,), piece_offsets (P + 1,), continuing (P,). Every round gives each
    unfinished word its next piece; within it, all of them walk down the trie together.
    """
    _check_text(symbols, offsets, pieces, piece_offsets)
    _check_not_negative(unknown=unknown, max_length=max_length)
    if continuing.shape != (len(piece_offsets) - 1,):
        raise ValueError(f"continuing must be {len(piece_offsets) - 1} marks, not of shape {continuing.shape}")
    representatives, inverse = _distinct(symbols, offsets)
    text, ends = _taken(symbols, offsets, representatives)
    trie = _trie(pieces, piece_offsets, continuing.astype(np.int64), np.arange(len(continuing)))
    codes, lengths = trie.codes(text), np.diff(ends)
    lost = lengths > max_length
    words = np.flatnonzero(~lost & (lengths > 0))
    at = ends[words]
    taken: list[tuple[Ids, Ids]] = []  # the words that got a piece in each round, and which
    while len(words):
        piece, length = _longest(trie, codes, at, ends[words + 1], root=min(len(taken), 1))
        lost[words[piece == _NONE]] = True
        fits = piece != _NONE
        words, at = words[fits], at[fits] + length[fits]
        taken.append((words, piece[fits]))
        unfinished = at < ends[words + 1]
        words, at = words[unfinished], at[unfinished]
    taken.append((np.flatnonzero(lost), np.full(lost.sum(), unknown)))
    owners = np.concatenate([owner for owner, _ in taken])
    ids = np.concatenate([piece for _, piece in taken])
    kept = ~lost[owners] | (np.arange(len(owners)) >= len(owners) - lost.sum())
    owners, ids = owners[kept], ids[kept]
    counts = np.bincount(owners, minlength=len(lengths))
    return _taken(ids[np.argsort(owners, kind="stable")], np.append(0, np.cumsum(counts)), inverse)


def unigram_encode(
    symbols: Ids, offsets: Ids, pieces: Ids, piece_offsets: Ids, log_probabilities: Floats
) -> tuple[Ids, Ids, Floats]:
    """The segmentation with the highest sum of log-probabilities. -> ids (N',), offsets (W + 1,), scores (W,).

    symbols (N,), offsets (W + 1,), pieces (M,), piece_offsets (P + 1,), log_probabilities (P,). Viterbi's algorithm:
    round t finds the best way to the t-th symbol of every word, from all pieces that end there.
    """
    _check_text(symbols, offsets, pieces, piece_offsets)
    if log_probabilities.shape != (len(piece_offsets) - 1,):
        raise ValueError(f"log_probabilities must be {len(piece_offsets) - 1} numbers, not {log_probabilities.shape}")
    if not (np.isfinite(log_probabilities) & (log_probabilities <= 0)).all():
        raise ValueError("log_probabilities must be finite and at most 0")
    representatives, inverse = _distinct(symbols, offsets)
    text, ends = _taken(symbols, offsets, representatives)
    lengths = np.diff(ends)
    trie = _trie(pieces, piece_offsets, np.zeros(len(log_probabilities), np.int64),
                 np.argsort(-log_probabilities, kind="stable"))  # fmt: skip
    begins, stops, ids = _fitting(trie, trie.codes(text), lengths)
    first = ends[:-1] + np.arange(len(lengths))  # a word of n symbols has n + 1 states: nothing read, ..., all read
    owner = np.repeat(np.arange(len(lengths)), lengths + 1)
    order = np.lexsort((stops, (stops - first[owner[stops]])))
    begins, stops, ids = begins[order], stops[order], ids[order]
    rounds = np.searchsorted(stops - first[owner[stops]], np.arange(1, lengths.max(initial=0) + 2))
    best = np.full(len(owner), -np.inf, log_probabilities.dtype)
    best[first] = 0
    way = np.full(len(owner), _NONE)  # the piece that the best way to a state ends with, as its place in ids
    for start, end in zip(rounds[:-1].tolist(), rounds[1:].tolist(), strict=True):
        sums = best[begins[start:end]] + log_probabilities[ids[start:end]]
        heads = np.flatnonzero(np.diff(stops[start:end], prepend=_NONE))
        states = stops[start:end][heads]
        if len(states):
            best[states] = np.maximum.reduceat(sums, heads)
            winners = start + np.flatnonzero(sums == best[stops[start:end]])
            way[stops[winners]] = winners
    scores = best[first + lengths]
    if np.isneginf(scores).any():
        raise ValueError("symbols hold a word that no pieces spell")
    words = np.flatnonzero(lengths)
    states, back = (first + lengths)[words], []
    while len(words):
        last = way[states]
        back.append((words, ids[last]))
        states = begins[last]
        unfinished = states > first[words]
        words, states = words[unfinished], states[unfinished]
    owners = np.concatenate([lengths[:0], *(owner for owner, _ in reversed(back))])
    found = np.concatenate([lengths[:0], *(piece for _, piece in reversed(back))])
    counts = np.bincount(owners, minlength=len(lengths))
    return *_taken(found[np.argsort(owners, kind="stable")], np.append(0, np.cumsum(counts)), inverse), scores[inverse]


class _Trie(NamedTuple):
    """Node 0 begins words, node 1 continues them.

    alphabet: the symbols of all pieces, sorted. keys: node times the size of the alphabet, plus the symbol's place
    in it, sorted. children: the node behind each key. pieces: which piece ends at a node.
    """

    alphabet: Ids
    keys: Ids
    children: Ids
    pieces: Ids

    def codes(self, symbols: Ids) -> Ids:
        """The symbols' places in the alphabet, _NONE for those that no piece has."""
        place = np.searchsorted(self.alphabet[:-1], symbols)
        found: Ids = np.where(self.alphabet[place] == symbols, place, _NONE)
        return found

    def step(self, nodes: Ids, codes: Ids) -> Ids:
        """The node behind each node by one more symbol, _NONE where there is none."""
        keys = np.where(codes == _NONE, _NONE, nodes * len(self.alphabet) + codes)
        place = np.searchsorted(self.keys[:-1], keys)
        found: Ids = np.where(self.keys[place] == keys, self.children[place], _NONE)
        return found


def _trie(pieces: Ids, offsets: Ids, roots: Ids, order: Ids) -> _Trie:
    """Pieces from their roots on. order: of equal pieces with equal roots, the one that comes first here counts."""
    none = np.iinfo(np.int64).max  # stands behind the last key, and equals none
    alphabet, codes = np.unique(pieces, return_inverse=True)
    codes, size = codes.reshape(-1), len(alphabet) + 1
    nodes, lengths = roots.copy(), np.diff(offsets)
    count, levels = 2, [np.zeros(0, np.int64)]
    for depth in range(int(lengths.max(initial=0))):
        longer = lengths > depth
        keys, children = np.unique(nodes[longer] * size + codes[offsets[:-1][longer] + depth], return_inverse=True)
        nodes[longer] = count + children.reshape(-1)
        levels.append(keys)
        count += len(keys)
    keys = np.concatenate(levels)
    place = np.argsort(keys)
    ends = np.full(count, _NONE)
    ends[nodes[order[::-1]]] = order[::-1]  # the last of several assignments stands
    return _Trie(np.append(alphabet, none), np.append(keys[place], none), np.append(place + 2, 0), ends)


def _longest(trie: _Trie, codes: Ids, at: Ids, ends: Ids, root: int) -> tuple[Ids, Ids]:
    """The longest piece that fits at each place, before the word's end, and its length; _NONE where none does."""
    piece, length = np.full(len(at), _NONE), np.zeros(len(at), np.int64)
    walking, nodes, depth = np.arange(len(at)), np.full(len(at), root), 0
    while len(walking):
        nodes = trie.step(nodes, codes[at[walking] + depth])
        depth += 1
        ended = (nodes != _NONE) & (trie.pieces[nodes] != _NONE)
        piece[walking[ended]], length[walking[ended]] = trie.pieces[nodes[ended]], depth
        on = (nodes != _NONE) & (at[walking] + depth < ends[walking])
        walking, nodes = walking[on], nodes[on]
    return piece, length


def _fitting(trie: _Trie, codes: Ids, lengths: Ids) -> tuple[Ids, Ids, Ids]:
    """All pieces at all places: from which state, to which, and which piece. A word of n symbols has n + 1 states."""
    owner = np.repeat(np.arange(len(lengths)), lengths)
    at = np.arange(len(codes))
    ends = np.cumsum(lengths)[owner]
    nodes, depth, found = np.zeros(len(codes), np.int64), 0, []
    while len(at):
        nodes = trie.step(nodes, codes[at + depth])
        depth += 1
        ended = (nodes != _NONE) & (trie.pieces[nodes] != _NONE)
        begins = at[ended] + owner[at[ended]]
        found.append((begins, begins + depth, trie.pieces[nodes[ended]]))
        on = (nodes != _NONE) & (at + depth < ends[at])
        at, nodes = at[on], nodes[on]
    none = (codes[:0],) * 3
    begins, stops, ids = (np.concatenate(parts) for parts in zip(none, *found, strict=True))
    return begins, stops, ids


def _context(corpus: Ids, history: Ids, vocabulary: int, order: int) -> Ids:
    """The last order - 1 words of the history."""
    if not len(corpus):
        raise ValueError("corpus must not be empty")
    for name, words in (("corpus", corpus), ("history", history)):
        if len(words) and (words.min() < 0 or words.max() >= vocabulary):
            raise ValueError(f"{name} must lie in [0, {vocabulary})")
    if order < 1:
        raise ValueError(f"order must be at least 1, not {order}")
    context: Ids = history[max(len(history) - order + 1, 0) :]
    return context


def _preceded(corpus: Ids, places: Ids, back: int, word: int) -> Ids:
    """The places with this word so many steps before them."""
    places = places[places >= back]
    left: Ids = places[corpus[places - back] == word]
    return left


def _followers(corpus: Ids, places: Ids, vocabulary: int) -> Ids:
    """How often each word stands at one of the places. (V,)."""
    counts: Ids = np.bincount(corpus[places[places < len(corpus)]], minlength=vocabulary)
    return counts


def _check_text(symbols: Ids, offsets: Ids, pieces: Ids, piece_offsets: Ids) -> None:
    for name, of, cuts, text in (("symbols", "offsets", offsets, symbols),
                                 ("pieces", "piece_offsets", piece_offsets, pieces)):  # fmt: skip
        if len(cuts) < 1 or cuts[0] != 0 or cuts[-1] != len(text) or (np.diff(cuts) < 0).any():
            raise ValueError(f"{of} must rise from 0 to {len(text)}")
        if len(text) and text.min() < 0:
            raise ValueError(f"{name} must not be negative")
    if (np.diff(piece_offsets) == 0).any():
        raise ValueError("pieces must not be empty")


def _check_not_negative(**numbers: int) -> None:
    for name, number in numbers.items():
        if number < 0:
            raise ValueError(f"{name} must not be negative, not {number}")
