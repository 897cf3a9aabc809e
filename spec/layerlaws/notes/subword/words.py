"""Words and pieces: drawn for examples, packed as arguments, and read again."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from typing import TypeVar

import numpy as np

from layerlaws.language import HUGE, LIKELY_EDGES, Arguments, Ids, packed, require, seeds, sizes_are_seldom, unpacked
from layerlaws.language import strategies as st
from layerlaws.notes.byte_pair_encoding.texts import texts

Piece = tuple[int, ...]
Words = list[Piece]

Named = TypeVar("Named", bound=Hashable)
"""What has an id: a piece, or a piece with its mark."""


@st.composite
def words_to_encode(draw: st.DrawFn, longest: int = 1000) -> Words:
    """Words of `texts`; in every tenth example one of them ends at a tile's edge."""
    base, words = draw(texts)
    if not any(words) and draw(st.integers(0, 3)):
        words = [*words, [0, base - 1, 0]]
    if sizes_are_seldom():
        generator = np.random.default_rng(draw(seeds))
        words = [generator.integers(0, min(base, 3), HUGE[-1]).tolist(), *words[:3]]
    elif longest > 256 and draw(st.integers(0, 9)) == 9:
        generator = np.random.default_rng(draw(seeds))
        words = [generator.integers(0, min(base, 3), draw(st.sampled_from(LIKELY_EDGES))).tolist(), *words[:3]]
    return [tuple(word[:longest]) for word in words]


def parts_of(words: Words, count: int, generator: np.random.Generator) -> Words:
    """Some parts of words, whole words among them, and now and then what is none."""
    letters = sorted({symbol for word in words for symbol in word}) or [0]
    kept = [word for word in words if word]
    parts = []
    for _ in range(count):
        length = int(generator.choice([1, 2, 2, 3, 4, 6, 300]))
        if kept and generator.random() < 0.9:
            word = kept[generator.integers(len(kept))]
            start = generator.integers(len(word)) if length < 300 else 0
            parts.append(word[start : start + length])
        else:
            parts.append(tuple(generator.choice(letters, min(length, 3)).tolist()))
    return parts


def list_pieces(pieces: Iterable[Named], distinct: bool, generator: np.random.Generator) -> list[Named]:
    """Pieces without repetition or, where not `distinct`, with some of them written once more somewhere behind."""
    kept = list(dict.fromkeys(pieces))
    if distinct or not kept:
        return kept
    again = [kept[k] for k in generator.integers(0, len(kept), 3)]
    return [*kept, *again]


def as_pieces(pieces: Iterable[Sequence[int]]) -> Arguments:
    """The arguments that are pieces."""
    return dict(zip(("pieces", "piece_offsets"), packed(pieces), strict=True))


def as_text(words: Iterable[Sequence[int]]) -> Arguments:
    """The arguments that are words to encode."""
    return dict(zip(("symbols", "offsets"), packed(words), strict=True))


def read_words(symbols: Ids, offsets: Ids) -> Words:
    """The words; refuses negative symbols."""
    require(symbols >= 0, "symbols must not be negative")
    return [tuple(word) for word in unpacked(symbols, offsets)]


def read_pieces(pieces: Ids, piece_offsets: Ids) -> Words:
    """The pieces; refuses negative symbols and empty pieces."""
    require(pieces >= 0, "pieces must not be negative")
    read = [tuple(piece) for piece in unpacked(pieces, piece_offsets, "piece_offsets")]
    require(all(read), "pieces must not be empty")
    return read


def first_ids(pieces: Iterable[Named]) -> dict[Named, int]:
    """The id of each piece: of equal pieces the first."""
    table: dict[Named, int] = {}
    for id, piece in enumerate(pieces):
        table.setdefault(piece, id)
    return table


def shuffled_order(offsets: Ids, seed: int) -> Ids:
    """Numbers of words: shuffled, some missing and some twice."""
    count = len(offsets) - 1
    return np.random.default_rng(seed).integers(0, count, count + 2) if count else np.zeros(0, np.int64)


def take_words(symbols: Ids, offsets: Ids, words: Ids) -> list[list[int]]:
    """These words of a text (or of a code), in this order."""
    read = unpacked(symbols, offsets)
    return [read[w] for w in words]


def spelling_of(pieces: Sequence[Sequence[int]], id: int) -> Sequence[int]:
    """The symbols of a piece; -1, which is no symbol, for an id that none has."""
    return pieces[id] if 0 <= id < len(pieces) else [-1]
