"""Byte-pair encoding in PyTorch: all words at once, each distinct word once."""

from __future__ import annotations

import torch
from torch import Tensor

_NONE = -1
"""Stands behind every word while training, and for "no pair here"."""

_RIVALS = 128
"""How many of the most frequent pairs are put in order at once."""


def replace_pair(symbols: Tensor, first: int, second: int, merged: int) -> Tensor:
    """symbols with every first, second replaced by merged, from left to right. (N,) -> (N',)."""
    found = (symbols[:-1] == first) & (symbols[1:] == second)
    hits = _taken(found.nonzero().squeeze(1), first == second)
    result = symbols.index_fill(0, hits, merged)
    left = torch.ones_like(symbols, dtype=torch.bool).index_fill_(0, hits + 1, False)
    return result[left]


def bpe_train(symbols: Tensor, offsets: Tensor, counts: Tensor, base: int, num_merges: int, min_count: int) -> Tensor:
    """The most frequent pair inside words, merged and counted again, num_merges times. -> (M, 2).

    symbols (N,), offsets (W + 1,), counts (W,). The count of every pair is kept up to date where a merge changes
    it. Since the highest count never rises, only pairs above a floor are compared, and the floor is lowered (by
    half) when none is left. Several merges are made at once, see `_together`.
    """
    _check_words(symbols, offsets, base, "symbols")
    if counts.shape != (len(offsets) - 1,) or bool((counts < 0).any()):
        raise ValueError(f"counts must be {len(offsets) - 1} numbers, none negative")
    if num_merges < 0 or min_count < 0:
        raise ValueError(f"num_merges and min_count must not be negative, not {num_merges} and {min_count}")
    size, least = _packing(base + num_merges), max(min_count, 1)
    kinds, inverse = _distinct(symbols, offsets)
    weights = counts.new_zeros(len(kinds)).index_add_(0, inverse, counts)
    text, ends = _words(symbols, offsets, kinds)
    places = torch.arange(len(text), device=text.device) + _owners(ends)  # with room for a _NONE behind every word
    text = text.new_full((len(text) + len(kinds) + 1,), _NONE).index_copy_(0, places, text)
    weights = torch.zeros_like(text).index_copy_(0, places, weights[_owners(ends)])
    # A chain of places: a merged pair keeps the first one's.
    following = torch.arange(1, len(text) + 1, device=text.device)
    preceding = (following - 2).remainder(len(text))  # before the first place is the _NONE at the end

    starts = ((text[:-1] != _NONE) & (text[1:] != _NONE)).nonzero().squeeze(1)
    slot = torch.full_like(text, _NONE)  # which pair starts at a place, as its number among all pairs ever seen
    keys, slot[starts] = torch.unique(text[starts] * size + text[starts + 1], return_inverse=True)
    known = len(keys)
    # A pair's places are all known when it first appears: only a new id makes new pairs. Each merged occurrence makes
    # two at most, and there are fewer occurrences than symbols, so that much room is enough.
    room = keys.new_zeros(2 * len(text))
    places = torch.cat([starts[slot[starts].argsort(stable=True)], room])
    begins = torch.cat([_ends(torch.bincount(slot[starts], minlength=known)), room])
    keys = torch.cat([keys, room])
    totals = torch.zeros_like(keys).index_add_(0, slot[starts], weights[starts])

    def forget(places: Tensor) -> Tensor:
        """Uncount the pairs that start at these places; returns the places where there was one."""
        numbers = slot.index_select(0, places)
        there = (numbers != _NONE).nonzero().squeeze(1)
        places = places.index_select(0, there)
        totals.index_add_(0, numbers.index_select(0, there), weights.index_select(0, places), alpha=-1)
        slot.index_fill_(0, places, _NONE)
        return places

    floor, candidates = 0, totals.new_empty(0)
    merges: list[tuple[int, int]] = []
    while len(merges) < num_merges:
        rivals = totals.index_select(0, candidates)
        highest = int(rivals.max()) if len(rivals) else _NONE
        if highest < floor or not len(rivals):
            highest = int(totals.max())
            if highest < least:
                break
            floor = max(highest // 2, least)
            candidates = (totals[:known] >= floor).nonzero().squeeze(1)
            rivals = totals.index_select(0, candidates)
        enough = max(int(rivals.topk(min(_RIVALS, len(rivals))).values[-1]), floor)
        foremost = candidates[rivals >= enough]
        foremost = foremost[keys[foremost].argsort()]
        foremost = foremost[totals[foremost].argsort(descending=True, stable=True)][: num_merges - len(merges)]
        rows = [divmod(key, size) for key in keys[foremost].tolist()]
        rows = rows[: _together(rows)]
        winners = foremost[: len(rows)]
        at = torch.cat(
            [places[start:end] for start, end in torch.stack([begins[winners], begins[winners + 1]], 1).tolist()]
        )
        number = torch.arange(len(rows), device=at.device).repeat_interleave(begins[winners + 1] - begins[winners])
        still = (slot.index_select(0, at) == winners.index_select(0, number)).nonzero().squeeze(1)
        at, number = at.index_select(0, still), number.index_select(0, still)
        if rows[-1][0] == rows[-1][1]:
            kept = _kept(at, following[at])
            at, number = at[kept], number[kept]
        new = number + base + len(merges)
        merges += rows

        swallowed = following.index_select(0, at)
        behind, before = following.index_select(0, swallowed), preceding.index_select(0, at)
        forget(torch.cat([at, swallowed]))
        before = forget(before)  # where nothing is there any more, it has just been merged itself
        text.scatter_(0, at, new)
        following.scatter_(0, at, behind)
        preceding.scatter_(0, behind, at)
        changed = torch.cat([before, at[text.index_select(0, behind) != _NONE]])
        right = text.index_select(0, following.index_select(0, changed))
        fresh, number = torch.unique(text.index_select(0, changed) * size + right, return_inverse=True)
        slot.scatter_(0, changed, number + known)
        more = known + len(fresh)
        keys[known:more] = fresh
        begins[known : more + 1] = begins[known] + _ends(torch.bincount(number, minlength=len(fresh)))
        places[begins[known] : begins[more]] = changed.index_select(0, number.argsort(stable=True))
        totals.index_add_(0, number + known, weights.index_select(0, changed))
        risen = (totals[known:more] >= floor).nonzero().squeeze(1) + known
        candidates, known = torch.cat([candidates, risen]), more
    return torch.tensor(merges, dtype=torch.int64, device=symbols.device).reshape(-1, 2)


def bpe_encode(symbols: Tensor, offsets: Tensor, merges: Tensor, base: int) -> tuple[Tensor, Tensor]:
    """Each word's lowest pair of the table, all its occurrences, until none is left. -> ids (N',), offsets (W + 1,).

    symbols (N,), offsets (W + 1,), merges (M, 2). Every round serves all words that still have a pair to merge.
    """
    _check_words(symbols, offsets, base, "symbols")
    _check_table(merges, base)
    size, none = _packing(base + len(merges)), len(merges)
    table, order = (merges[:, 0] * size + merges[:, 1]).sort(stable=True)  # of equal merges the first comes first
    table, order = torch.cat([table, table.new_full((1,), -1)]), torch.cat([order, order.new_full((1,), none)])

    def rank(left: Tensor, right: Tensor) -> Tensor:
        key = left * size + right
        place = torch.searchsorted(table[:-1], key)
        return torch.where(table[place] == key, order[place], none)

    kinds, inverse = _distinct(symbols, offsets)
    text, ends = _words(symbols, offsets, kinds)
    owner = _owners(ends)
    done = []
    at = torch.full_like(text, none)  # the rank of the pair that starts here
    inside = (owner[:-1] == owner[1:]).nonzero().squeeze(1)
    at[inside] = rank(text[inside], text[inside + 1])
    while len(text):
        lowest = at.new_full((len(kinds),), none).scatter_reduce_(0, owner, at, "amin")[owner]
        busy = lowest != none
        done.append((owner[~busy], text[~busy]))
        text, owner, at, lowest = text[busy], owner[busy], at[busy], lowest[busy]
        hits = _taken((at == lowest).nonzero().squeeze(1), True)
        text[hits] = at[hits] + base
        left = torch.ones_like(busy[busy]).index_fill_(0, hits + 1, False)
        text, owner, at = text[left], owner[left], at[left]
        hits = hits - torch.arange(len(hits), device=hits.device)
        changed = torch.cat([hits, hits[hits > 0] - 1])
        within = changed.clamp(max=len(text) - 2) + 1
        joined = (changed + 1 < len(text)) & (owner[changed] == owner[within])
        at[changed] = torch.where(joined, rank(text[changed], text[within]), none)
    if not done:
        return symbols.clone(), offsets.clone()
    owner, text = (torch.cat(parts) for parts in zip(*done, strict=True))
    ends = _ends(torch.bincount(owner, minlength=len(kinds)))
    return _words(text[owner.argsort(stable=True)], ends, inverse)


def bpe_decode(ids: Tensor, offsets: Tensor, merges: Tensor, base: int) -> tuple[Tensor, Tensor]:
    """Every id spelled out. ids (N',), offsets (W + 1,), merges (M, 2)  ->  symbols (N,), offsets (W + 1,)."""
    _check_table(merges, base)
    _check_words(ids, offsets, base + len(merges), "ids")
    kinds, inverse = _numbered(_twins(ids))
    spelled = ids[kinds]
    used = len(spelled)
    owner = torch.arange(used, device=ids.device)
    while bool((nested := spelled >= base).any()):
        halves = merges[(spelled - base).clamp(min=0)] if len(merges) else spelled.new_zeros(len(spelled), 2)
        both = torch.where(nested[:, None], halves, torch.stack([spelled, torch.full_like(spelled, _NONE)], 1))
        owner = owner[:, None].expand(-1, 2)[both != _NONE]
        spelled = both[both != _NONE]
    symbols, ends = _words(spelled, _ends(torch.bincount(owner, minlength=used)), inverse)
    return symbols, ends[offsets]


def _together(rows: list[tuple[int, int]]) -> int:
    """How many of these pairs, the most frequent first, are the next merges whatever the first of them change.

    Those up to the first that shares an id with one before: merging xy leaves the count of zw alone, and no pair with
    the new id is more frequent than one with x or y was, all of which stand behind zw. A pair xx is the last one,
    since xx xx may be more frequent than what follows.
    """
    used: set[int] = set()
    for place, (first, second) in enumerate(rows):
        if first in used or second in used:
            return place
        if first == second:
            return place + 1
        used.update((first, second))
    return len(rows)


def _taken(hits: Tensor, overlapping: bool) -> Tensor:
    """Of the places where a pair stands, in order, those that left-to-right replacement takes.

    overlapping: whether the pair may overlap itself; of a run of such, every second one goes.
    """
    return hits[_kept(hits, hits + 1)] if overlapping else hits


def _kept(hits: Tensor, behind: Tensor) -> Tensor:
    """Which occurrences replacement takes. behind: the place behind each one's first symbol."""
    number = torch.arange(len(hits), device=hits.device)
    apart = torch.cat([number[:1] == 0, behind[:-1] != hits[1:]])
    return (number - torch.where(apart, number, 0).cummax(0).values) % 2 == 0


def _distinct(symbols: Tensor, offsets: Tensor) -> tuple[Tensor, Tensor]:
    """One word of each kind, and for every word the number of its kind, by a hash that is then checked."""
    lengths = offsets.diff()
    words = len(lengths)
    owner = _owners(offsets)
    place = torch.arange(len(symbols), device=symbols.device) - offsets[owner]
    longest = int(lengths.max()) if words else 0
    generator = torch.Generator().manual_seed(0)
    factors = torch.randint(2**62, (longest + 1,), generator=generator).to(symbols.device) | 1
    sums = _ends((symbols + 1) * factors[place])
    twin = _twins(sums[offsets].diff() + lengths * factors[longest])
    if torch.equal(lengths[twin], lengths) and torch.equal(symbols[offsets[twin][owner] + place], symbols):
        return _numbered(twin)
    number = torch.arange(words, device=symbols.device)
    return number, number


def _twins(hashes: Tensor) -> Tensor:
    """For every number the place of one that equals it: the same for all of a kind.

    All write their place into a table, at an address made from their number; those that read one with another number
    there try again at other addresses.
    """
    bits = max(len(hashes).bit_length(), 4)
    twins = torch.arange(len(hashes), device=hashes.device)
    left, table = twins.clone(), twins.new_zeros(2**bits)
    generator = torch.Generator().manual_seed(1)
    while len(left):
        factor = int(torch.randint(2**62, (), generator=generator)) * 2 + 1
        slots = (hashes[left] * factor >> 64 - bits) & 2**bits - 1
        table[slots] = left
        found = table[slots]
        same = hashes[found] == hashes[left]
        twins[left[same]] = found[same]
        left = left[~same]
    return twins


def _numbered(twins: Tensor) -> tuple[Tensor, Tensor]:
    """One place per kind, and for every element the number of its kind."""
    chosen = torch.zeros_like(twins, dtype=torch.bool).index_fill_(0, twins, True)
    return chosen.nonzero().squeeze(1), (chosen.cumsum(0) - 1)[twins]


def _words(symbols: Tensor, offsets: Tensor, words: Tensor) -> tuple[Tensor, Tensor]:
    """These words of a text, in this order, repeated where they are named repeatedly."""
    ends = _ends(offsets.diff()[words])
    owner = _owners(ends)
    shift = offsets[words] - ends[:-1]
    return symbols[shift[owner] + torch.arange(len(owner), device=symbols.device)], ends


def _owners(offsets: Tensor) -> Tensor:
    """For each symbol the number of its word. (W + 1,) -> (N,)."""
    rises = offsets.new_zeros(int(offsets[-1]) + 1)
    return rises.index_add_(0, offsets[1:-1], torch.ones_like(offsets[1:-1])).cumsum(0)[:-1]


def _ends(lengths: Tensor) -> Tensor:
    """0 and the running sums: offsets of parts of these lengths."""
    return torch.cat([lengths.new_zeros(1), lengths.cumsum(0)])


def _packing(ids: int) -> int:
    """The factor that packs two ids into one number."""
    if ids >= 2**31:
        raise ValueError(f"base and merges make {ids} ids; two of them must fit into 63 bits")
    return max(ids, 1)


def _check_words(symbols: Tensor, offsets: Tensor, count: int, name: str) -> None:
    if len(offsets) < 1 or int(offsets[0]) != 0 or int(offsets[-1]) != len(symbols) or bool((offsets.diff() < 0).any()):
        raise ValueError(f"offsets must rise from 0 to {len(symbols)}")
    if len(symbols) and (int(symbols.min()) < 0 or int(symbols.max()) >= count):
        raise ValueError(f"{name} must lie in [0, {count})")


def _check_table(merges: Tensor, base: int) -> None:
    if merges.ndim != 2 or merges.shape[1] != 2:
        raise ValueError(f"merges must be pairs, not of shape {tuple(merges.shape)}")
    limit = base + torch.arange(len(merges), device=merges.device)[:, None]
    if bool(((merges < 0) | (merges >= limit)).any()):
        raise ValueError("merges may join only symbols and the ids of earlier merges")
