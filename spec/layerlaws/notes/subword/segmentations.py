"""The best segmentations of a word, by dynamic programming, and how far the best is ahead."""

from __future__ import annotations

from layerlaws.language import Array
from layerlaws.notes.subword.words import Piece, Words


def two_best(word: Piece, table: dict[Piece, int], numbers: list[float]) -> Words:
    """The ids of the best segmentation and, where there is one, of the next: none where no pieces spell the word."""
    longest = max(map(len, table), default=0)
    reached: list[list[tuple[float, Piece]]] = [[(0.0, ())]]
    for end in range(1, len(word) + 1):
        ways = [
            (score + numbers[id], (*ids, id))
            for start in range(max(0, end - longest), end)
            if (id := table.get(word[start:end])) is not None
            for score, ids in reached[start]
        ]
        reached.append(sorted(ways, key=lambda way: -way[0])[:2])
    return [ids for _, ids in reached[-1]]


def clear_words(words: Words, table: dict[Piece, int], numbers: list[float], share: float) -> Words:
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
