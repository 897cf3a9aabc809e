"""Unknown words in PyTorch: each distinct word once, pieces found by hashes that are then checked."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from layerlaws_backends.torch.byte_pair_encoding import _distinct, _ends, _owners, _words

_NONE = -1
"""No piece."""


def unknown_encode(symbols: Tensor, offsets: Tensor, pieces: Tensor, piece_offsets: Tensor, unknown: int) -> Tensor:
    """The id of the piece that each word is, or `unknown`. symbols (N,), offsets (W + 1,)  ->  (W,)."""
    _check_text(symbols, offsets, pieces, piece_offsets)
    _check_not_negative(unknown=unknown)
    text = _distinct_words(symbols, offsets)
    vocabulary = _vocabulary(pieces, piece_offsets, torch.arange(len(piece_offsets) - 1, device=pieces.device))
    ids = torch.full_like(text.lengths, unknown)
    for length, at, id in _found(text, vocabulary, text.offsets[:-1][text.lengths > 0]):
        words = text.owner[at]
        whole = text.lengths[words] == length
        ids[words[whole]] = id[whole]
    return ids[text.inverse]


def backoff_scores(corpus: Tensor, history: Tensor, vocabulary: int, order: int, alpha: float) -> Tensor:
    """Stupid back-off: count(h w) / count(h) for the longest h, times alpha per step back. corpus (N,)  ->  (V,)."""
    occurrences, followers = _matches(corpus, history, vocabulary, order)
    if not 0 <= alpha <= 1:
        raise ValueError(f"alpha must lie in [0, 1], not {alpha}")
    shares = followers.double() / occurrences.clamp(min=1)[:, None]
    steps = torch.arange(len(shares) - 1, -1, -1, device=corpus.device, dtype=torch.float64)
    longest = (len(shares) - 1 - (followers > 0).flip(0).int().argmax(0))[None]  # 0 where a word never occurred
    return (shares * alpha ** steps[:, None]).gather(0, longest)[0]


def katz_probabilities(corpus: Tensor, history: Tensor, vocabulary: int, order: int, discount: float) -> Tensor:
    """Katz back-off with absolute discounting, above the uniform distribution. corpus (N,)  ->  (V,)."""
    _, followers = _matches(corpus, history, vocabulary, order)
    if not 0 <= discount <= 1:
        raise ValueError(f"discount must lie in [0, 1], not {discount}")
    probabilities = torch.full((vocabulary,), 1 / vocabulary, dtype=torch.float64, device=corpus.device)
    for counts in followers.double():  # integers and a Python float would meet in the default dtype
        total, seen = counts.sum(), counts > 0
        own = counts / total
        left = discount * seen.sum(dtype=counts.dtype) / total
        room = probabilities.masked_fill(seen, 0).sum()
        shared = torch.where(seen, (counts - discount) / total, probabilities / room * left)
        shared = own if discount == 0 else torch.where(seen.all(), own, shared)
        probabilities = torch.where(total > 0, shared, probabilities)
    return probabilities


def wordpiece_encode(
    symbols: Tensor,
    offsets: Tensor,
    pieces: Tensor,
    piece_offsets: Tensor,
    continuing: Tensor,
    unknown: int,
    max_length: int,
) -> tuple[Tensor, Tensor]:
    """From the left, the longest piece that fits, or `unknown` for the word. -> ids (N',), offsets (W + 1,).

    symbols (N,), offsets (W + 1,), pieces (M,), piece_offsets (P + 1,), continuing (P,). The longest piece at every
    place is looked up first; then all words go from piece to piece.
    """
    _check_text(symbols, offsets, pieces, piece_offsets)
    _check_not_negative(unknown=unknown, max_length=max_length)
    if continuing.shape != (len(piece_offsets) - 1,):
        raise ValueError(f"continuing must be {len(piece_offsets) - 1} marks, not of shape {tuple(continuing.shape)}")
    text = _distinct_words(symbols, offsets)
    piece, reach = torch.full_like(text.symbols, _NONE), torch.zeros_like(text.symbols)
    for mark in (False, True):
        vocabulary = _vocabulary(pieces, piece_offsets, (continuing == mark).nonzero().squeeze(1))
        for length, at, id in _found(text, vocabulary, ((text.places > 0) == mark).nonzero().squeeze(1)):
            piece[at], reach[at] = id, length

    lost = text.lengths > max_length
    words = (~lost & (text.lengths > 0)).nonzero().squeeze(1)
    owners, ids, at = [words[:0]], [words[:0]], text.offsets[words]
    while len(words):
        lost[words[piece[at] == _NONE]] = True
        words, at = words[piece[at] != _NONE], at[piece[at] != _NONE]
        owners.append(words)
        ids.append(piece[at])
        at = at + reach[at]
        unfinished = at < text.offsets[words + 1]
        words, at = words[unfinished], at[unfinished]
    owner, id = torch.cat(owners), torch.cat(ids)
    owner, id = owner[~lost[owner]], id[~lost[owner]]
    owner = torch.cat([owner, lost.nonzero().squeeze(1)])
    id = torch.cat([id, id.new_full((len(owner) - len(id),), unknown)])
    ends = _ends(torch.bincount(owner, minlength=len(text.lengths)))
    return _words(id[owner.argsort(stable=True)], ends, text.inverse)


def unigram_encode(
    symbols: Tensor, offsets: Tensor, pieces: Tensor, piece_offsets: Tensor, log_probabilities: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """The segmentation with the highest sum of log-probabilities. -> ids (N',), offsets (W + 1,), scores (W,).

    symbols (N,), offsets (W + 1,), pieces (M,), piece_offsets (P + 1,), log_probabilities (P,). Viterbi's algorithm
    from the ends of the words: round t finds the best way on from the t-th symbol before the end of every word.
    """
    _check_text(symbols, offsets, pieces, piece_offsets)
    if log_probabilities.shape != (len(piece_offsets) - 1,):
        raise ValueError(f"log_probabilities must be {len(piece_offsets) - 1} numbers, not {log_probabilities.shape}")
    weights = log_probabilities.detach()
    if not bool((weights.isfinite() & (weights <= 0)).all()):
        raise ValueError("log_probabilities must be finite and at most 0")
    weights = weights.to(torch.promote_types(weights.dtype, torch.float32))
    text = _distinct_words(symbols, offsets)
    vocabulary = _vocabulary(pieces, piece_offsets, weights.argsort(descending=True, stable=True))
    size = len(text.symbols)
    everywhere = torch.arange(size, device=symbols.device)
    rows = [
        (length, torch.full_like(text.symbols, _NONE).index_copy_(0, at, id))
        for length, at, id in _found(text, vocabulary, everywhere)
    ]

    ahead = text.offsets[1:][text.owner] - everywhere  # symbols from here to the end
    by_distance = ahead.argsort(stable=True)
    rounds = torch.bincount(ahead).cumsum(0).tolist() if size else []
    best = weights.new_full((size,), -torch.inf)
    piece, reach = torch.full_like(text.symbols, _NONE), torch.ones_like(text.symbols)
    for distance in range(1, len(rounds)):
        at = by_distance[rounds[distance - 1] : rounds[distance]]
        for length, ids in rows:
            if length > distance:
                break
            id = ids[at]
            on = best[at + length] if length < distance else 0.0
            total = torch.where(id == _NONE, -torch.inf, weights[id] + on)
            better = (total > best[at]).nonzero().squeeze(1)
            winners = at[better]
            best[winners], piece[winners], reach[winners] = total[better], id[better], length
    words = (text.lengths > 0).nonzero().squeeze(1)
    at = text.offsets[words]
    if bool(best[at].isneginf().any()):
        raise ValueError("symbols hold a word that no pieces spell")

    owners, found = [words[:0]], [words[:0]]
    while len(words):
        owners.append(words)
        found.append(piece[at])
        at = at + reach[at]
        unfinished = at < text.offsets[words + 1]
        words, at = words[unfinished], at[unfinished]
    owner, id = torch.cat(owners), torch.cat(found)
    order = owner.argsort(stable=True)
    scores = log_probabilities.new_zeros(len(text.lengths)).index_add(0, owner, log_probabilities[id])
    ends = _ends(torch.bincount(owner, minlength=len(text.lengths)))
    return *_words(id[order], ends, text.inverse), scores[text.inverse]


class _Text(NamedTuple):
    """Distinct words: symbols (N,), offsets (W + 1,), lengths (W,); the word of each symbol and its place in it.

    inverse: for each word of the original text its number here.
    """

    symbols: Tensor
    offsets: Tensor
    lengths: Tensor
    owner: Tensor
    places: Tensor
    inverse: Tensor


def _distinct_words(symbols: Tensor, offsets: Tensor) -> _Text:
    kinds, inverse = _distinct(symbols, offsets)
    text, ends = _words(symbols, offsets, kinds)
    owner = _owners(ends)
    return _Text(text, ends, ends.diff(), owner, torch.arange(len(text), device=text.device) - ends[owner], inverse)


class _Vocabulary(NamedTuple):
    """For each length that occurs, from the shortest on: the sorted hashes of its pieces, and their ids.

    factor: hash(s_1 ... s_n) = (hash(s_1 ... s_(n-1)) + s_n + 1) * factor, in 64 bits that wrap around.
    """

    symbols: Tensor
    offsets: Tensor
    factor: int
    tables: dict[int, tuple[Tensor, Tensor]]


def _vocabulary(pieces: Tensor, offsets: Tensor, order: Tensor) -> _Vocabulary:
    """These pieces, in this order: of equal ones the first counts. Factors are tried until no two pieces collide."""
    lengths = offsets.diff()
    generator = torch.Generator().manual_seed(0)
    tables: dict[int, tuple[Tensor, Tensor]] = {}
    while True:
        factor = int(torch.randint(2**62, (), generator=generator)) * 2 + 1 - 2**62
        for length in torch.unique(lengths[order]).tolist():
            ids = order[lengths[order] == length]
            spelled = pieces[offsets[ids][:, None] + torch.arange(length, device=pieces.device)]
            hashes = torch.zeros_like(ids)
            for symbol in spelled.unbind(1):
                hashes = (hashes + symbol + 1) * factor
            keys, kinds = torch.unique(hashes, return_inverse=True)
            place = torch.arange(len(ids), device=ids.device)
            first = torch.full_like(keys, len(ids)).scatter_reduce_(0, kinds, place, "amin")
            if not torch.equal(spelled[first[kinds]], spelled):
                break
            tables[length] = keys, ids[first]
        else:
            return _Vocabulary(pieces, offsets, factor, tables)


def _found(text: _Text, vocabulary: _Vocabulary, at: Tensor) -> list[tuple[int, Tensor, Tensor]]:
    """For each length of pieces: at which of the places one begins, and which."""
    room = text.offsets[text.owner[at] + 1] - at
    hashes = torch.zeros_like(at)
    found = []
    for length in range(1, max(vocabulary.tables, default=0) + 1):
        enough = room >= length
        if not bool(enough.all()):
            at, room, hashes = at[enough], room[enough], hashes[enough]
        hashes = (hashes + text.symbols[at + length - 1] + 1) * vocabulary.factor
        if length in vocabulary.tables:
            keys, ids = vocabulary.tables[length]
            place = torch.searchsorted(keys, hashes).clamp(max=len(keys) - 1)
            hits = (keys[place] == hashes).nonzero().squeeze(1)
            here, id = at[hits], ids[place[hits]]
            same = torch.ones_like(hits, dtype=torch.bool)
            for k in range(length):
                same &= text.symbols[here + k] == vocabulary.symbols[vocabulary.offsets[id] + k]
            found.append((length, here[same], id[same]))
    return found


def _matches(corpus: Tensor, history: Tensor, vocabulary: int, order: int) -> tuple[Tensor, Tensor]:
    """For the last 0, 1, ..., n words of the history: how often they occur (n + 1,), and what follows (n + 1, V).

    n is the length of the history, or order - 1. The empty history occurs as often as there are words.
    """
    if not len(corpus):
        raise ValueError("corpus must not be empty")
    for name, words in (("corpus", corpus), ("history", history)):
        if len(words) and (int(words.min()) < 0 or int(words.max()) >= vocabulary):
            raise ValueError(f"{name} must lie in [0, {vocabulary})")
    if order < 1:
        raise ValueError(f"order must be at least 1, not {order}")
    context = history[max(len(history) - order + 1, 0) :].flip(0)
    before = torch.cat([corpus.new_full((len(context),), -1), corpus]).unfold(0, len(context) + 1, 1).flip(1)
    before = torch.cat([before[:, 1:], before[-1:, :-1]])  # the last words before each place, the nearest first
    matched = (before == context).long().cumprod(1).sum(1)  # how many words of the history stand before each place
    depths = len(context) + 1
    exact = torch.bincount(matched[:-1] * vocabulary + corpus, minlength=depths * vocabulary)
    followers = exact.reshape(depths, vocabulary).flip(0).cumsum(0).flip(0)
    occurrences = torch.bincount(matched, minlength=depths).flip(0).cumsum(0).flip(0)
    occurrences[0] = len(corpus)
    return occurrences, followers


def _check_text(symbols: Tensor, offsets: Tensor, pieces: Tensor, piece_offsets: Tensor) -> None:
    for name, of, cuts, text in (
        ("symbols", "offsets", offsets, symbols),
        ("pieces", "piece_offsets", piece_offsets, pieces),
    ):
        if len(cuts) < 1 or int(cuts[0]) != 0 or int(cuts[-1]) != len(text) or bool((cuts.diff() < 0).any()):
            raise ValueError(f"{of} must rise from 0 to {len(text)}")
        if len(text) and int(text.min()) < 0:
            raise ValueError(f"{name} must not be negative")
    if bool((piece_offsets.diff() == 0).any()):
        raise ValueError("pieces must not be empty")


def _check_not_negative(**numbers: int) -> None:
    for name, number in numbers.items():
        if number < 0:
            raise ValueError(f"{name} must not be negative, not {number}")
