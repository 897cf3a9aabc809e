"""Workloads on real text: its words as bytes for encoders, and as numbers for language models."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import cache
from itertools import cycle, islice

import numpy as np

from layerlaws.language import Arguments, Cost, Ids, library_text

SAMPLE = 5_000_000
"""Bytes of words from which pieces are learned."""

GROWS = {"words": (250_000, 500_000)}


@cache
def first_library_words(words: int) -> tuple[bytes, ...]:
    """So many words of Python's documentation and sources; from the beginning again where an installation has fewer."""
    return tuple(islice(cycle(library_text(12 * words).split()), words))


def _joined(words: Sequence[bytes]) -> tuple[Ids, Ids]:
    """Symbols and offsets: every byte is a symbol."""
    return np.frombuffer(b"".join(words), np.uint8).astype(np.int64), np.cumsum([0, *map(len, words)])


def encoder_arguments(words: Sequence[bytes], pieces: Sequence[bytes]) -> Arguments:
    """A text and its pieces, as every encoder takes them."""
    (symbols, offsets), (spelled, ends) = _joined(words), _joined(pieces)
    return {"symbols": symbols, "offsets": offsets, "pieces": spelled, "piece_offsets": ends}


def text_cost(words: int, pieces: int) -> Cost:
    """The bytes of text that are read."""
    return Cost(text=sum(map(len, first_library_words(words))))


def library_corpus(words: int) -> tuple[Ids, int]:
    """A text as numbers of its words, the most frequent first, and how many there are."""
    text = first_library_words(words)
    numbers = {word: number for number, (word, _) in enumerate(Counter(text).most_common())}
    return np.array([numbers[word] for word in text]), len(numbers)


def corpus_cost(words: int) -> Cost:
    """Every word of the corpus is read once."""
    return Cost(moved=words, text=sum(map(len, first_library_words(words))))
