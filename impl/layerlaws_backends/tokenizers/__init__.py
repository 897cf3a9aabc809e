"""Hugging Face's tokenizers, a library in Rust, as its users call it: thin adapters, no repair.

Symbols become characters, words become strings. Where the library deviates by design, `known` says so.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import tokenizers
from numpy.typing import NDArray

from layerlaws import Known

__all__ = ["describe", "dtypes", "from_numpy", "known", "to_numpy"]

dtypes = ("float64",)

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


def from_numpy(array: NDArray[Any]) -> NDArray[Any]:
    """The array itself."""
    return array


def to_numpy(array: Any) -> NDArray[Any]:
    """The result as an array."""
    return np.asarray(array)


def describe() -> str:
    """Device and library, for the header of a record."""
    return f"CPU, tokenizers {tokenizers.__version__}"
