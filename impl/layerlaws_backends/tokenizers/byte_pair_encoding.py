"""Byte-pair encoding by tokenizers.models.BPE and its trainer, without normalizer and pre-tokenizer."""

from __future__ import annotations

import json

import numpy as np
from tokenizers import Tokenizer, decoders, models, trainers

from layerlaws import Known
from layerlaws_backends._characters import Ids, spellings, symbols_of, text_of, words_of

_SPELLING = Known(
    "a piece is identified by its spelling: merges that spell the same share one id",
    "https://github.com/huggingface/tokenizers/pull/286",
)

_ONE_BY_ONE = Known(
    "the trainer takes words one by one, not counts, and counts pairs in 32 bits",
    "https://github.com/huggingface/tokenizers/issues/2058",
)
known = {
    "of_equal_merges_the_first_counts": _SPELLING,
    "rows_that_spell_the_same_stay_apart": _SPELLING,
    "only_proportions_of_counts_matter": _ONE_BY_ONE,
    "one_more_decides_however_many_there_are": _ONE_BY_ONE,
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

_MOST_WORDS = 10_000_000
_BATCH = 10_000


def bpe_train(symbols: Ids, offsets: Ids, counts: Ids, base: int, num_merges: int, min_count: int) -> Ids:
    """BpeTrainer on every word, as often as it counts. symbols (N,), offsets (W + 1,), counts (W,)  ->  (M, 2)."""
    words = words_of(symbols, offsets)
    if len(counts) != len(words) or (counts < 0).any() or counts.sum() > _MOST_WORDS:
        raise ValueError(f"counts must say for each of {len(words)} words how often it is fed to the trainer")
    if num_merges < 0:
        raise ValueError(f"num_merges must not be negative, not {num_merges}")
    trainer = trainers.BpeTrainer(
        vocab_size=base + num_merges,
        min_frequency=min_count,
        show_progress=False,
        initial_alphabet=[*text_of(np.arange(base))],
    )
    tokenizer = Tokenizer(models.BPE())
    fed = np.repeat(np.array(words, object), counts)
    tokenizer.train_from_iterator(
        (fed[start : start + _BATCH].tolist() for start in range(0, len(fed), _BATCH)), trainer
    )
    model = json.loads(tokenizer.to_str())["model"]
    ids = [[model["vocab"][piece] for piece in pair] for pair in model["merges"]]
    return np.array(ids, np.int64).reshape(-1, 2)


def bpe_encode(symbols: Ids, offsets: Ids, merges: Ids, base: int) -> tuple[Ids, Ids]:
    """Tokenizer.encode_batch, some thousand words at a time: they come split, as from a pre-tokenizer.

    symbols (N,), offsets (W + 1,), merges (M, 2)  ->  ids (N',), offsets (W + 1,)
    """
    words = words_of(symbols, offsets)
    batch = [words[start : start + _BATCH] for start in range(0, len(words), _BATCH)]
    encodings = _tokenizer(merges, base).encode_batch(batch, is_pretokenized=True, add_special_tokens=False)
    ids = np.concatenate([symbols[:0], *(encoding.ids for encoding in encodings)]).astype(np.int64)
    owner = [np.array(encoding.word_ids, np.int64) + k * _BATCH for k, encoding in enumerate(encodings)]
    return ids, np.append(0, np.cumsum(np.bincount(np.concatenate([symbols[:0], *owner]), minlength=len(words))))


def bpe_decode(ids: Ids, offsets: Ids, merges: Ids, base: int) -> tuple[Ids, Ids]:
    """Tokenizer.decode_batch. ids (N',), offsets (W + 1,), merges (M, 2)  ->  symbols (N,), offsets (W + 1,)."""
    words = [word.tolist() for word in np.split(ids, offsets[1:-1])][: len(offsets) - 1]
    texts = _tokenizer(merges, base).decode_batch(words, skip_special_tokens=False)
    return symbols_of("".join(texts)), np.cumsum([0, *map(len, texts)], dtype=np.int64)


def _tokenizer(merges: Ids, base: int) -> Tokenizer:
    """The model with a piece for every symbol and every row of the table."""
    pieces = spellings(merges, base)
    rows = [(pieces[first], pieces[second]) for first, second in merges.tolist()]
    tokenizer = Tokenizer(models.BPE(vocab={piece: id for id, piece in enumerate(pieces)}, merges=rows))
    tokenizer.decoder = decoders.Fuse()
    return tokenizer
