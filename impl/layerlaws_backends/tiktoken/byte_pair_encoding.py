"""Byte-pair encoding by tiktoken.Encoding, built from a table: characters are UTF-8, byte 0 stands between words.

tiktoken encodes bytes. A character of several bytes is put together by entries that rank before all of the table.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import tiktoken

from layerlaws import Known
from layerlaws_backends._characters import Ids, spellings, symbols_of, words_of

_SPELLING = Known(
    "two neighbours are merged if together they spell a token, however that one was made; two rows with one spelling "
    "are one token",
    "https://github.com/karpathy/minbpe/issues/11",
)

known = {
    "bpe_encode.agrees_at_seldom_sizes": replace(_SPELLING, rare=True),
    "every_short_string_is_encoded_as_by_the_loop": _SPELLING,
    "rows_that_spell_the_same_stay_apart": _SPELLING,
}


def bpe_encode(symbols: Ids, offsets: Ids, merges: Ids, base: int) -> tuple[Ids, Ids]:
    """Encoding.encode_to_numpy on the whole text. symbols (N,), offsets (W + 1,)  ->  ids (N',), offsets (W + 1,)."""
    encoding, shift = _encoding(merges, base)
    tokens = encoding.encode_to_numpy("\0".join(words_of(symbols, offsets, first=1)), disallowed_special=())
    breaks = np.append(np.flatnonzero(tokens == 0), len(tokens))[: len(offsets) - 1]
    ids = tokens[tokens != 0].astype(np.int64) - shift
    if (ids < 0).any():
        raise ValueError(f"symbols must lie in [0, {base})")
    return ids, np.append(0, breaks - np.arange(len(breaks)))


def bpe_decode(ids: Ids, offsets: Ids, merges: Ids, base: int) -> tuple[Ids, Ids]:
    """Encoding.decode on the whole text. ids (N',), offsets (W + 1,)  ->  symbols (N,), offsets (W + 1,)."""
    if (ids < 0).any():
        raise ValueError("ids must not be negative")
    encoding, shift = _encoding(merges, base)
    text = symbols_of(encoding.decode(np.insert(ids + shift, offsets[1:-1], 0).tolist(), errors="strict"), first=1)
    breaks = np.append(np.flatnonzero(text == -1), len(text))[: len(offsets) - 1]
    return text[text != -1], np.append(0, breaks - np.arange(len(breaks)))


def _encoding(merges: Ids, base: int) -> tuple[tiktoken.Encoding, int]:
    """The tokens: what symbols are made of, then symbols and rows in order; and the rank of symbol 0."""
    tokens = [piece.encode() for piece in spellings(merges, base, first=1)]
    single = set(tokens[:base])
    parts = {bytes([byte]): None for byte in range(256) if bytes([byte]) not in single}
    parts |= {token[:length]: None for token in tokens[:base] for length in range(2, len(token))}
    ranks: dict[bytes, int] = {}
    for rank, token in enumerate([*parts, *tokens]):
        ranks.setdefault(token, rank)
    return tiktoken.Encoding("table", pat_str=r"[^\x00]+|\x00", mergeable_ranks=ranks, special_tokens={}), len(parts)
