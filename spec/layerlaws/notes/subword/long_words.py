"""Words longer than 16 bits count, whose pieces are known without a search."""

from __future__ import annotations

from typing import Any

import numpy as np

from layerlaws.language import (
    Claim,
    Format,
    Ids,
    Implementation,
    Results,
    all_of,
    closely,
    exactly,
    fault,
    law,
    seeds,
    unpacked,
)
from layerlaws.notes.subword.unigram import unigram_encode
from layerlaws.notes.subword.unknown import unknown_encode
from layerlaws.notes.subword.wordpiece import wordpiece_encode
from layerlaws.notes.subword.words import as_pieces, as_text

UNIT, TIMES = 64, 513
"""A word repeats so many symbols so often, and is then longer than 2^15."""


def _word(seed: int) -> tuple[list[int], list[int]]:
    """Symbols, and a word that repeats them."""
    unit = np.random.default_rng(seed).integers(0, 3, UNIT).tolist()
    return unit, unit * TIMES


@law(seed=seeds, examples=1)
def a_word_of_any_length_is_looked_up_whole(unknown_encode: Implementation, seed: int) -> Claim:
    """A word of tens of thousands of symbols is found, and one that differs in its last symbol is another."""
    _, word = _word(seed)
    other = [*word[:-1], (word[-1] + 1) % 3]
    ids = unknown_encode(**as_text([word, other, [0]]), **as_pieces([[0], word]), unknown=2)
    return exactly(ids, np.array([1, 2, 0]))


@fault(
    unknown_encode,
    breaks=a_word_of_any_length_is_looked_up_whole,
    kind="size",
    repair="Compare whole words.",
)
def compares_the_first_32_768_symbols(symbols: Ids, offsets: Ids, pieces: Ids, piece_offsets: Ids, unknown: int) -> Ids:
    """Words are cut to 2^15 symbols before they are looked up."""
    words, listed = (
        as_text([word[: 2**15] for word in unpacked(*text)]) for text in ((symbols, offsets), (pieces, piece_offsets))
    )
    return unknown_encode(**words, pieces=listed["symbols"], piece_offsets=listed["offsets"], unknown=unknown)


@law(seed=seeds, examples=1)
def a_word_of_any_length_is_cut_into_what_it_repeats(wordpiece_encode: Implementation, seed: int) -> Claim:
    """Where what a word repeats is a piece, the word is so many of them, also beyond tens of thousands of symbols."""
    unit, word = _word(seed)
    ids, ends = wordpiece_encode(
        **as_text([word, unit]),
        **as_pieces([[0], [1], [2], unit, [0], [1], [2], unit]),
        continuing=np.arange(8) >= 4,
        unknown=8,
        max_length=10**6,
    )
    return exactly((ids, ends), (np.array([3, *[7] * (TIMES - 1), 3]), np.array([0, TIMES, TIMES + 1])))


@fault(
    wordpiece_encode,
    breaks=a_word_of_any_length_is_cut_into_what_it_repeats,
    kind="size",
    repair="Count symbols in 32 bits or more.",
)
def gives_up_beyond_32_768_symbols(**call: Any) -> Results:
    """A word of more than 2^15 symbols is unknown, whatever max_length says."""
    return wordpiece_encode(**{**call, "max_length": min(call["max_length"], 2**15)})


@law(seed=seeds, examples=1)
def a_word_of_any_length_has_the_sum_of_what_it_repeats(
    unigram_encode: Implementation, seed: int, format: Format
) -> Claim:
    """Where what a word repeats is by far the most probable piece, its score is so many times that piece's, also
    beyond tens of thousands of symbols.
    """
    unit, word = _word(seed)
    inputs = {
        **as_text([word, unit]),
        **as_pieces([[0], [1], [2], unit]),
        "log_probabilities": np.array([-1, -2, -4, -1], format.dtype),
    }
    expected = unigram_encode.definition(**inputs)
    ids, ends, scores = unigram_encode.as_many(unigram_encode.results(**inputs), expected)
    return all_of(
        exactly((ids, ends), (np.full(TIMES + 1, 3), np.array([0, TIMES, TIMES + 1]))),
        closely(unigram_encode.beside(scores, expected[2]), expected[2].value),
    )


@fault(
    unigram_encode,
    breaks=a_word_of_any_length_has_the_sum_of_what_it_repeats,
    kind="size",
    repair="Go on to the end of the word.",
)
def reads_the_first_32_768_symbols(symbols: Ids, offsets: Ids, **call: Any) -> Results:
    """Words are cut to 2^15 symbols, and what follows is lost."""
    return unigram_encode(**as_text([word[: 2**15] for word in unpacked(symbols, offsets)]), **call)
