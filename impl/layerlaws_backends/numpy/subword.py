"""Unknown words in NumPy: each distinct word once, all of them at once, through a trie that is three arrays."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from layerlaws_backends.numpy._words import Dictionary, distinct, taken

Ids = NDArray[np.int64]
Floats = NDArray[np.floating[Any]]

_NONE = -1
"""No node, or no piece."""


def unknown_encode(symbols: Ids, offsets: Ids, pieces: Ids, piece_offsets: Ids, unknown: int) -> Ids:
    """The id of the piece that each word is, or `unknown`. symbols (N,), offsets (W + 1,)  ->  (W,)."""
    _check_text(symbols, offsets, pieces, piece_offsets)
    _check_not_negative(unknown=unknown)
    count = len(piece_offsets) - 1
    every, inverse = distinct(np.concatenate([pieces, symbols]), np.append(piece_offsets, offsets[1:] + len(pieces)))
    ids = np.full(len(every), unknown)
    ids[inverse[:count][::-1]] = np.arange(count)[::-1]  # the last of several assignments stands: the first piece
    return ids[inverse[count:]]


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
    symbols: Ids,
    offsets: Ids,
    pieces: Ids,
    piece_offsets: Ids,
    continuing: NDArray[np.bool_],
    unknown: int,
    max_length: int,
) -> tuple[Ids, Ids]:
    """From the left, the longest piece that fits, or `unknown` for the word. -> ids (N',), offsets (W + 1,).

    symbols (N,), offsets (W + 1,), pieces (M,), piece_offsets (P + 1,), continuing (P,). Every round gives each
    unfinished word its next piece; within it, all of them walk down the trie together.
    """
    _check_text(symbols, offsets, pieces, piece_offsets)
    _check_not_negative(unknown=unknown, max_length=max_length)
    if continuing.shape != (len(piece_offsets) - 1,):
        raise ValueError(f"continuing must be {len(piece_offsets) - 1} marks, not of shape {continuing.shape}")
    representatives, inverse = distinct(symbols, offsets)
    text, ends = taken(symbols, offsets, representatives)
    trie = _trie(pieces, piece_offsets, np.arange(len(continuing)), continuing)
    codes, lengths = trie.codes(text), np.diff(ends)
    lost = lengths > max_length
    words = np.flatnonzero(~lost & (lengths > 0))
    at = ends[words]
    rounds: list[tuple[Ids, Ids]] = []  # the words that got a piece in each round, and which
    while len(words):
        piece, length = _longest(trie, codes, at, ends[words + 1], trie.roots[min(len(rounds), 1)])
        lost[words[piece == _NONE]] = True
        fits = piece != _NONE
        words, at = words[fits], at[fits] + length[fits]
        rounds.append((words, piece[fits]))
        unfinished = at < ends[words + 1]
        words, at = words[unfinished], at[unfinished]
    rounds.append((np.flatnonzero(lost), np.full(lost.sum(), unknown)))
    owners = np.concatenate([owner for owner, _ in rounds])
    ids = np.concatenate([piece for _, piece in rounds])
    kept = ~lost[owners] | (np.arange(len(owners)) >= len(owners) - lost.sum())
    owners, ids = owners[kept], ids[kept]
    counts = np.bincount(owners, minlength=len(lengths))
    return taken(ids[np.argsort(owners, kind="stable")], np.append(0, np.cumsum(counts)), inverse)


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
    representatives, inverse = distinct(symbols, offsets)
    text, ends = taken(symbols, offsets, representatives)
    lengths = np.diff(ends)
    trie = _trie(pieces, piece_offsets, np.argsort(-log_probabilities, kind="stable"))
    owner = np.repeat(np.arange(len(lengths)), lengths)
    place = np.arange(len(text)) - ends[owner]
    fitting = _fitting(trie, trie.codes(text), np.argsort(place, kind="stable"), ends[1:][owner])
    rounds = np.arange(lengths.max(initial=0) + 1)
    cuts = [np.searchsorted(place[at], rounds).tolist() for _, at, _ in fitting]
    first = ends[:-1] + np.arange(len(lengths))  # a word of n symbols has n + 1 states: nothing read, ..., all read
    best = np.full(len(text) + len(lengths), -np.inf, log_probabilities.dtype)
    best[first] = 0
    last = np.full(len(best), _NONE)  # the piece that the best way to a state ends with
    for t in rounds[:-1].tolist():
        for (length, at, ids), cut in zip(fitting, cuts, strict=True):
            here = slice(cut[t], cut[t + 1])
            begins, id = at[here] + owner[at[here]], ids[here]
            sums = best[begins] + log_probabilities[id]
            better = sums > best[begins + length]
            stops = begins[better] + length
            best[stops], last[stops] = sums[better], id[better]
    scores = best[first + lengths]
    if np.isneginf(scores).any():
        raise ValueError("symbols hold a word that no pieces spell")
    words = np.flatnonzero(lengths)
    states, back = (first + lengths)[words], []
    while len(words):
        back.append((words, last[states]))
        states = states - np.diff(piece_offsets)[last[states]]
        unfinished = states > first[words]
        words, states = words[unfinished], states[unfinished]
    owners = np.concatenate([lengths[:0], *(owner for owner, _ in reversed(back))])
    found = np.concatenate([lengths[:0], *(piece for _, piece in reversed(back))])
    counts = np.bincount(owners, minlength=len(lengths))
    return *taken(found[np.argsort(owners, kind="stable")], np.append(0, np.cumsum(counts)), inverse), scores[inverse]


class _Trie(NamedTuple):
    """Nodes are numbered as `edges` has them; two roots stand behind: one begins words, the other continues them.

    alphabet: the symbols of all pieces. edges: node times `size`, plus the place of a symbol in the alphabet: the
    number of the node behind. pieces: which piece ends at a node, one entry more for "no node".
    """

    alphabet: Dictionary
    size: int
    edges: Dictionary
    roots: Ids
    pieces: Ids

    def codes(self, symbols: Ids) -> Ids:
        """The symbols' places in the alphabet, size - 1 for those that no piece has."""
        return self.alphabet.find(symbols) % self.size

    def step(self, nodes: Ids, codes: Ids) -> Ids:
        """The node behind each node by one more symbol, _NONE where there is none."""
        return self.edges.find(nodes * self.size + codes)


def _trie(pieces: Ids, offsets: Ids, order: Ids, continuing: NDArray[np.bool_] | None = None) -> _Trie:
    """Pieces from their roots on. order: of equal pieces with equal roots, the one that comes first here counts."""
    alphabet, codes = np.unique(pieces, return_inverse=True)
    codes, size = codes.reshape(-1), len(alphabet) + 1
    lengths, roots = np.diff(offsets), len(pieces) + np.arange(2)  # there are no more nodes than symbols in pieces
    nodes = roots[np.zeros(len(lengths), np.int64) if continuing is None else continuing.astype(np.int64)]
    count, levels = 0, [np.zeros(0, np.int64)]
    for depth in range(int(lengths.max(initial=0))):
        longer = np.flatnonzero(lengths > depth)
        keys, children = np.unique(nodes[longer] * size + codes[offsets[longer] + depth], return_inverse=True)
        nodes[longer] = count + children.reshape(-1)
        levels.append(keys)
        count += len(keys)
    ends = np.full(count + 1, _NONE)
    ends[nodes[order[::-1]]] = order[::-1]  # the last of several assignments stands
    return _Trie(Dictionary(alphabet), size, Dictionary(np.concatenate(levels)), roots, ends)


def _longest(trie: _Trie, codes: Ids, at: Ids, ends: Ids, root: int) -> tuple[Ids, Ids]:
    """The longest piece that fits at each place, before the word's end, and its length; _NONE where none does."""
    piece, length = np.full(len(at), _NONE), np.zeros(len(at), np.int64)
    walking, nodes, depth = np.arange(len(at)), np.full(len(at), root), 0
    while len(walking):
        nodes = trie.step(nodes, codes[at[walking] + depth])
        depth += 1
        ended = np.flatnonzero(trie.pieces[nodes] != _NONE)
        piece[walking[ended]], length[walking[ended]] = trie.pieces[nodes[ended]], depth
        on = (nodes != _NONE) & (at[walking] + depth < ends[walking])
        walking, nodes = walking[on], nodes[on]
    return piece, length


def _fitting(trie: _Trie, codes: Ids, at: Ids, ends: Ids) -> list[tuple[int, Ids, Ids]]:
    """For each length of pieces: the places where one begins, in the given order, and which. ends: of places' words."""
    nodes, depth, found = np.full(len(at), trie.roots[0]), 0, []
    while len(at):
        nodes = trie.step(nodes, codes[at + depth])
        depth += 1
        ended = np.flatnonzero(trie.pieces[nodes] != _NONE)
        if len(ended):
            found.append((depth, at[ended], trie.pieces[nodes[ended]]))
        on = (nodes != _NONE) & (at + depth < ends[at])
        at, nodes = at[on], nodes[on]
    return found


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
    for name, of, cuts, text in (
        ("symbols", "offsets", offsets, symbols),
        ("pieces", "piece_offsets", piece_offsets, pieces),
    ):
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
