"""Unknown words by tokenizers.models.WordLevel, WordPiece and Unigram, without normalizer and pre-tokenizer."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer, models

from layerlaws import Known
from layerlaws_backends._characters import Ids, words_of

_PIECES = "https://huggingface.co/docs/tokenizers/api/models"

_ANY_FLOATS = Known(
    "the scores of Unigram are any floats",
    f"{_PIECES}#tokenizers.models.Unigram",
)

known = {
    "of_equal_pieces_the_most_probable_counts": Known(
        "Unigram identifies a piece by its spelling; of equal ones the last counts",
        f"{_PIECES}#tokenizers.models.Unigram",
    ),
    "of_equally_probable_equal_pieces_the_first_counts": Known(
        "Unigram identifies a piece by its spelling; of equal ones the last counts",
        f"{_PIECES}#tokenizers.models.Unigram",
    ),
    "empty_pieces_are_refused": Known(
        "a vocabulary is any dictionary of strings, the empty one included",
        f"{_PIECES}#tokenizers.models.WordPiece",
    ),
    "numbers_that_are_no_log_probabilities_are_refused": _ANY_FLOATS,
    "unigram_encode.what_is_not_a_number_is_not_hidden": _ANY_FLOATS,
}

_MARK = chr(0x10FFFF)
"""Stands before pieces that continue a word, as ## does in BERT's vocabulary."""

_STRANGER = "".join([_MARK, _MARK])
"""The spelling of an unknown id that is no piece: no word has it."""


def unknown_encode(symbols: Ids, offsets: Ids, pieces: Ids, piece_offsets: Ids, unknown: int) -> Ids:
    """WordLevel on every word. symbols (N,), offsets (W + 1,)  ->  (W,)."""
    vocabulary, stranger = _named(words_of(pieces, piece_offsets), unknown)
    model = models.WordLevel(vocab=vocabulary, unk_token=stranger)
    return np.array([model.tokenize(word)[0].id for word in words_of(symbols, offsets)], np.int64)


def wordpiece_encode(
    symbols: Ids,
    offsets: Ids,
    pieces: Ids,
    piece_offsets: Ids,
    continuing: NDArray[np.bool_],
    unknown: int,
    max_length: int,
) -> tuple[Ids, Ids]:
    """WordPiece on every word. symbols (N,), offsets (W + 1,)  ->  ids (N',), offsets (W + 1,)."""
    spelled = zip(continuing.tolist(), words_of(pieces, piece_offsets), strict=True)
    vocabulary, stranger = _named([_MARK * mark + piece for mark, piece in spelled], unknown)
    model = models.WordPiece(
        vocab=vocabulary, unk_token=stranger, continuing_subword_prefix=_MARK, max_input_chars_per_word=max_length
    )
    encodings = Tokenizer(model).encode_batch(words_of(symbols, offsets), add_special_tokens=False)
    return _packed(encoding.ids for encoding in encodings)


def unigram_encode(
    symbols: Ids, offsets: Ids, pieces: Ids, piece_offsets: Ids, log_probabilities: NDArray[np.float64]
) -> tuple[Ids, Ids, NDArray[np.float64]]:
    """Unigram on every word. symbols (N,), offsets (W + 1,)  ->  ids (N',), offsets (W + 1,), scores (W,).

    The library keeps scores to itself: they are added up here. A symbol without a piece of its own needs an unknown
    piece even where longer pieces hold it; that one is so improbable here that it shows up in no other case.
    """
    vocabulary = list(zip(words_of(pieces, piece_offsets), log_probabilities.tolist(), strict=True))
    model = models.Unigram([*vocabulary, (_STRANGER, -1e9)], unk_id=len(vocabulary))
    encodings = Tokenizer(model).encode_batch(words_of(symbols, offsets), add_special_tokens=False)
    ids, ends = _packed(encoding.ids for encoding in encodings)
    if (ids == len(vocabulary)).any():
        raise ValueError("symbols hold a word that no pieces spell")
    scores = np.zeros(len(ends) - 1)
    np.add.at(scores, np.repeat(np.arange(len(scores)), np.diff(ends)), log_probabilities[ids])
    return ids, ends, scores


def _packed(words: Iterable[list[int]]) -> tuple[Ids, Ids]:
    words = list(words)
    symbols = np.array([symbol for word in words for symbol in word], np.int64)
    return symbols, np.cumsum([0, *map(len, words)], dtype=np.int64)


def _named(spelled: list[str], unknown: int) -> tuple[dict[str, int], str]:
    """The vocabulary as the dictionary that the library asks for, and the spelling of the unknown id."""
    vocabulary: dict[str, int] = {}
    for id, piece in enumerate(spelled):
        vocabulary.setdefault(piece, id)
    if 0 <= unknown < len(spelled):
        return vocabulary, spelled[unknown]
    return {**vocabulary, _STRANGER: unknown}, _STRANGER
