"""Byte-pair encoding by tokenizers.models.BPE and its trainer, without normalizer and pre-tokenizer."""

from __future__ import annotations

import json
from collections.abc import Iterable
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer, decoders, models, trainers

from layerlaws import Known

_SPELLING = Known(
    "a piece is identified by its spelling: merges that spell the same share one id",
    "https://github.com/huggingface/tokenizers/pull/286",
)

known = {
    "of_equal_merges_the_first_counts": _SPELLING,
    "rows_that_spell_the_same_stay_apart": _SPELLING,
    "only_proportions_of_counts_matter": Known(
        "the trainer takes words one by one, not counts, and counts pairs in 32 bits",
        "https://github.com/huggingface/tokenizers/issues/2058",
    ),
    "symbols_outside_the_alphabet_are_refused_in_encoding": Known(
        "without an unk_token, BPE ignores characters that are not in its vocabulary",
        "https://github.com/huggingface/tokenizers/issues/643",
    ),
    "symbols_outside_the_alphabet_are_refused_in_training": Known(
        "the trainer adds every character of the text to its alphabet",
        "https://huggingface.co/docs/tokenizers/api/trainers#tokenizers.trainers.BpeTrainer",
    ),
    "ids_without_a_row_are_refused": Known(
        "decoding skips ids that have no token",
        "https://github.com/huggingface/transformers/issues/20781",
    ),
}

Ids = NDArray[np.int64]

_MOST_WORDS = 10_000_000


def bpe_train(symbols: Ids, offsets: Ids, counts: Ids, base: int, num_merges: int, min_count: int) -> Ids:
    """BpeTrainer on every word, as often as it counts. symbols (N,), offsets (W + 1,), counts (W,)  ->  (M, 2)."""
    words = _words(symbols, offsets)
    if len(counts) != len(words) or (counts < 0).any() or counts.sum() > _MOST_WORDS:
        raise ValueError(f"counts must say for each of {len(words)} words how often it is fed to the trainer")
    if num_merges < 0:
        raise ValueError(f"num_merges must not be negative, not {num_merges}")
    trainer = trainers.BpeTrainer(
        vocab_size=base + num_merges, min_frequency=min_count, show_progress=False,
        initial_alphabet=[_character(symbol) for symbol in range(base)],
    )  # fmt: skip
    tokenizer = Tokenizer(models.BPE())
    tokenizer.train_from_iterator((word for word, count in zip(words, counts, strict=True) for _ in range(count)),
                                  trainer)  # fmt: skip
    model = json.loads(tokenizer.to_str())["model"]
    ids = [[model["vocab"][piece] for piece in pair] for pair in model["merges"]]
    return np.array(ids, np.int64).reshape(-1, 2)


def bpe_encode(symbols: Ids, offsets: Ids, merges: Ids, base: int) -> tuple[Ids, Ids]:
    """Tokenizer.encode_batch. symbols (N,), offsets (W + 1,), merges (M, 2)  ->  ids (N',), offsets (W + 1,)."""
    encodings = _tokenizer(merges, base).encode_batch(_words(symbols, offsets), add_special_tokens=False)
    return _packed(encoding.ids for encoding in encodings)


def bpe_decode(ids: Ids, offsets: Ids, merges: Ids, base: int) -> tuple[Ids, Ids]:
    """Tokenizer.decode_batch. ids (N',), offsets (W + 1,), merges (M, 2)  ->  symbols (N,), offsets (W + 1,)."""
    words = [ids[start:end].tolist() for start, end in _cuts(ids, offsets)]
    texts = _tokenizer(merges, base).decode_batch(words, skip_special_tokens=False)
    return _packed([_symbol(character) for character in text] for text in texts)


def _tokenizer(merges: Ids, base: int) -> Tokenizer:
    """The model with a piece for every symbol and every row of the table."""
    pieces = {symbol: _character(symbol) for symbol in range(base)}
    rows = []
    for first, second in merges.tolist():
        rows.append((pieces[first], pieces[second]))
        pieces[len(pieces)] = "".join(rows[-1])
    tokenizer = Tokenizer(models.BPE(vocab={piece: id for id, piece in pieces.items()}, merges=rows))
    tokenizer.decoder = decoders.Fuse()
    return tokenizer


def _words(symbols: Ids, offsets: Ids) -> list[str]:
    text = "".join(map(_character, symbols.tolist()))
    return [text[start:end] for start, end in _cuts(symbols, offsets)]


def _cuts(symbols: Ids, offsets: Ids) -> list[tuple[int, int]]:
    if len(offsets) < 1 or offsets[0] != 0 or offsets[-1] != len(symbols) or (np.diff(offsets) < 0).any():
        raise ValueError(f"offsets must rise from 0 to {len(symbols)}")
    return list(pairwise(offsets.tolist()))


def _packed(words: Iterable[list[int]]) -> tuple[Ids, Ids]:
    words = list(words)
    symbols = np.array([symbol for word in words for symbol in word], np.int64)
    return symbols, np.cumsum([0, *map(len, words)], dtype=np.int64)


def _character(symbol: int) -> str:
    """The character for a symbol, in the order of symbols; surrogates are no characters of their own."""
    return chr(symbol if symbol < 0xD800 else symbol + 0x800)


def _symbol(character: str) -> int:
    code = ord(character)
    return code if code < 0xD800 else code - 0x800
