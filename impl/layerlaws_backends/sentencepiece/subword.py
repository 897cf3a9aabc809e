"""The most probable pieces by sentencepiece.SentencePieceProcessor, its model written from pieces and scores."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from layerlaws import Known
from layerlaws_backends._characters import Ids, words_of
from layerlaws_backends.sentencepiece._model import processor, split

_PIECES = Known("no two pieces may have one spelling", "https://github.com/google/sentencepiece/issues/797")

known = {
    "of_equal_pieces_the_most_probable_counts": _PIECES,
    "of_equally_probable_equal_pieces_the_first_counts": _PIECES,
    "numbers_that_are_no_log_probabilities_are_refused": Known(
        "a score is any number, the larger the better",
        "https://github.com/google/sentencepiece/issues/739",
    ),
}


def unigram_encode(
    symbols: Ids, offsets: Ids, pieces: Ids, piece_offsets: Ids, log_probabilities: NDArray[np.floating[Any]]
) -> tuple[Ids, Ids, NDArray[np.floating[Any]]]:
    """SentencePieceProcessor.encode. symbols (N,), offsets (W + 1,)  ->  ids (N',), offsets (W + 1,), scores (W,).

    The library keeps scores to itself: they are added up here.
    """
    model = processor(words_of(pieces, piece_offsets, 1), log_probabilities.tolist(), "unigram")
    ids, ends = split(model, words_of(symbols, offsets, 1), "symbols")
    scores = np.zeros(len(offsets) - 1, log_probabilities.dtype)
    np.add.at(scores, np.repeat(np.arange(len(scores)), np.diff(ends)), log_probabilities[ids])
    return ids, ends, scores
