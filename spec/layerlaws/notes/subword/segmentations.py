"""The best segmentations of a word, by dynamic programming, and how far the best is ahead."""

from __future__ import annotations

from typing import Any

from layerlaws.language import Array
from layerlaws.notes.subword.words import Piece, Words


def two_best(word: Piece, table: dict[Piece, int], numbers: list[float]) -> Words:
    """The ids of the best segmentation and, where there is one, of the next: none where no pieces spell the word."""
    lengths = sorted({len(piece) for piece in table}, reverse=True)
    reached: list[list[Way]] = [[(0.0, None)]]
    for end in range(1, len(word) + 1):
        ways: list[Way] = [
            (way[0] + numbers[id], (id, way))
            for length in lengths
            if length <= end and (id := table.get(word[end - length : end])) is not None
            for way in reached[end - length]
        ]
        reached.append(sorted(ways, key=lambda way: -way[0])[:2])
    return [_ids_of(way) for way in reached[-1]]


Way = tuple[float, Any]
"""A score, and the last piece with the way that it was put behind; None for the empty beginning."""


def _ids_of(way: Way) -> Piece:
    ids = []
    while way[1] is not None:
        id, way = way[1]
        ids.append(id)
    return tuple(reversed(ids))


def clear_words(words: Words, table: dict[Piece, int], numbers: list[float], share: float = 0.0) -> Words:
    """The words whose best segmentation is ahead of the next by more than this share of its score."""

    def ahead(word: Piece) -> bool:
        best, *next_best = (sum(numbers[id] for id in ids) for ids in two_best(word, table, numbers))
        return all(best - other > -best * share for other in next_best)

    chosen = {word for word in set(words) if ahead(word)}
    return [word for word in words if word in chosen]


def most_probable_ids(pieces: Words, numbers: Array) -> dict[Piece, int]:
    """The id of each spelling: of equal pieces the most probable, then the first."""
    table: dict[Piece, int] = {}
    for id, piece in enumerate(pieces):
        if numbers[id] > numbers[table.setdefault(piece, id)]:
            table[piece] = id
    return table
