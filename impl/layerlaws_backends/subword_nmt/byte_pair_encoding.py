"""Byte-pair encoding by subword_nmt.learn_bpe and subword_nmt.apply_bpe.

Codes are written in the format of version 0.1, in which the end of a word is a symbol of its own that no row names.
"""

from __future__ import annotations

import io
from collections import Counter
from contextlib import redirect_stderr

import numpy as np
from subword_nmt.apply_bpe import BPE
from subword_nmt.learn_bpe import learn_bpe

from layerlaws import Known
from layerlaws_backends._characters import Ids, spellings, words_of

_LAST = Known(
    "a word's last symbol is another one than the same symbol elsewhere: it carries the end of the word",
    "https://github.com/rsennrich/subword-nmt/issues/19",
)
_PROGRAM = "https://github.com/rsennrich/subword-nmt/blob/master/subword_nmt/learn_bpe.py"

known = {
    "bpe_train.agrees_with_definition": _LAST,
    "each_merge_is_the_most_frequent_pair_of_what_encoding_gives": _LAST,
    "overlapping_occurrences_are_counted": _LAST,
    "gage_writes_ten_bytes_for_the_six_of_ababab": _LAST,
    "among_equally_frequent_pairs_the_smallest_is_merged": Known(
        "of equally frequent pairs the largest is merged, in the order of strings", _PROGRAM
    ),
    "symbols_outside_the_alphabet_are_refused_in_training": Known("the alphabet is whatever the text holds", _PROGRAM),
}

_FIRST = 0x4E00
"""The character for symbol 0: from here on none is white space."""

_END = "</w>"


def bpe_train(symbols: Ids, offsets: Ids, counts: Ids, base: int, num_merges: int, min_count: int) -> Ids:
    """learn_bpe on a dictionary of words. symbols (N,), offsets (W + 1,), counts (W,)  ->  (M, 2).

    To the library a word's last symbol is another one than elsewhere, with an end mark; here it has the same id.
    """
    words = words_of(symbols, offsets, _FIRST)
    if len(counts) != len(words) or (counts < 0).any():
        raise ValueError(f"counts must be {len(words)} numbers, none negative")
    if num_merges < 0 or min_count < 0:
        raise ValueError(f"num_merges and min_count must not be negative, not {num_merges} and {min_count}")
    lines = (f"{word} {count}\n" for word, count in zip(words, counts.tolist(), strict=True) if word)
    codes = io.StringIO()
    with redirect_stderr(io.StringIO()):  # its progress bar
        learn_bpe(io.StringIO("".join(lines)), codes, num_merges, max(min_count, 1), is_dict=True)
    ids: dict[str, int] = {}
    for symbol, character in enumerate(spellings(np.zeros((0, 2), np.int64), base, _FIRST)):
        ids[character] = ids[character + _END] = symbol
    rows: list[tuple[int, int]] = []
    for line in codes.getvalue().splitlines()[1:]:
        left, right = line.split(" ")
        ids[left + right] = base + len(rows)
        rows.append((ids[left], ids[right]))
    return np.array(rows, np.int64).reshape(-1, 2)


def bpe_encode(symbols: Ids, offsets: Ids, merges: Ids, base: int) -> tuple[Ids, Ids]:
    """BPE.segment_tokens on all words. symbols (N,), offsets (W + 1,), merges (M, 2)  ->  ids (N',), offsets (W + 1,).

    Words without symbols are no tokens to the library, and are not given to it.
    """
    spelled = spellings(merges, base, _FIRST)
    codes = "\n".join(f"{spelled[left]} {spelled[right]}" for left, right in merges.tolist())
    bpe = BPE(io.StringIO("#version: 0.1\n" + (codes or f"{_END} {_END}")), separator="")
    names: dict[str, int] = {}
    for id, piece in enumerate(spelled):
        names.setdefault(piece, id)
    words = words_of(symbols, offsets, _FIRST)
    code = {word: [names[piece] for piece in bpe.segment_tokens([word])] for word in Counter(words)}
    ids = np.array([id for word in words for id in code[word]], np.int64)
    return ids, np.cumsum([0, *(len(code[word]) for word in words)])
