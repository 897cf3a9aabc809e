"""Byte-pair encoding by sentencepiece.SentencePieceProcessor, its model written from a table, without normalization.

There is no bpe_train: the library's trainer says which pieces there are, not which pairs they were made of.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from sentencepiece import SentencePieceProcessor

from layerlaws import Known
from layerlaws_backends._characters import Ids, spellings, symbols_of, words_of
from layerlaws_backends.sentencepiece._model import processor, split

_SPELLING = Known(
    "pieces are identified by their spelling: no two may spell the same, and neighbours that spell one are merged",
    "https://github.com/google/sentencepiece/issues/739",
)

known = {
    "bpe_encode.agrees_at_seldom_sizes": replace(_SPELLING, rare=True),
    "every_short_string_is_encoded_as_by_the_loop": _SPELLING,
    "of_equal_merges_the_first_counts": _SPELLING,
    "rows_that_spell_the_same_stay_apart": _SPELLING,
}


def bpe_encode(symbols: Ids, offsets: Ids, merges: Ids, base: int) -> tuple[Ids, Ids]:
    """SentencePieceProcessor.encode. symbols (N,), offsets (W + 1,), merges (M, 2)  ->  ids (N',), offsets (W + 1,)."""
    return split(_processor(merges, base), words_of(symbols, offsets, 1), "symbols")


def bpe_decode(ids: Ids, offsets: Ids, merges: Ids, base: int) -> tuple[Ids, Ids]:
    """SentencePieceProcessor.decode. ids (N',), offsets (W + 1,), merges (M, 2)  ->  symbols (N,), offsets (W + 1,)."""
    if (ids < 0).any():
        raise ValueError("ids must not be negative")
    words = _processor(merges, base).decode([word.tolist() for word in np.split(ids + 1, offsets[1:-1])])
    texts = [symbols_of(word, 1) for word in words[: len(offsets) - 1]]
    return np.concatenate([ids[:0], *texts]), np.cumsum([0, *map(len, texts)])


def _processor(merges: Ids, base: int) -> SentencePieceProcessor:
    spelled = spellings(merges, base, 1)
    return processor(spelled, -np.arange(len(spelled), dtype=np.float64), "bpe")
