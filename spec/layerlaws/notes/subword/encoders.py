"""What holds of all three encoders: on real text, and in what they refuse."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from layerlaws.language import (
    Arguments,
    Claim,
    Ids,
    Implementation,
    all_of,
    exactly,
    fault,
    law,
    library_text,
    refused,
    rewritten,
    seeds,
)
from layerlaws.language import strategies as st
from layerlaws.notes.subword.segmentations import clear_words
from layerlaws.notes.subword.unigram import as_defined, weighted_pieces
from layerlaws.notes.subword.unknown import unknown_encode
from layerlaws.notes.subword.words import as_pieces, as_text, first_ids, list_pieces, parts_of


@law(inputs=st.fixed_dictionaries({"start": st.integers(0, 300_000), "seed": seeds}), examples=2)
def real_text_is_encoded_as_defined(
    unknown_encode: Implementation,
    wordpiece_encode: Implementation,
    unigram_encode: Implementation,
    start: int,
    seed: int,
) -> Claim:
    """On some thousand words of Python's documentation, with some hundred pieces of them, all three are as defined."""
    generator = np.random.default_rng(seed)
    words = [tuple(word) for word in library_text(400_000)[start : start + 12_000].split()]
    single = [(symbol,) for symbol in sorted({symbol for word in words for symbol in word})]
    pieces = list_pieces([*single, *parts_of(words, 600, generator)], True, generator)
    weights = -generator.integers(1, 100, len(pieces)) / 8  # representable in all formats
    call = {**as_text(words), **as_pieces(pieces)}
    marked = {**call, **as_pieces([*pieces, *pieces]), "continuing": np.arange(2 * len(pieces)) >= len(pieces)}
    clear = clear_words([word for word in words if len(word) <= 12], first_ids(pieces), weights.tolist(), 1 / 8)
    return all_of(
        exactly(*unknown_encode.compare(**call, unknown=len(pieces))),
        exactly(*wordpiece_encode.compare(**marked, unknown=2 * len(pieces), max_length=12)),
        as_defined(unigram_encode, {**call, **as_text(clear), "log_probabilities": weights}),
    )


@fault(
    unknown_encode,
    breaks=real_text_is_encoded_as_defined,
    kind="size",
    repair="Let it grow.",
)
def lists_the_first_hundred(**call: Any) -> Ids:
    """The vocabulary is cut to a hundred entries, a table of fixed size, without a word."""
    ids = unknown_encode(**call)
    return np.where(ids < 100, ids, call["unknown"])


def _all_three(
    unknown_encode: Implementation, wordpiece_encode: Implementation, unigram_encode: Implementation, inputs: Arguments
) -> list[tuple[Implementation, Arguments]]:
    """Each encoder with a call on the same text and pieces."""
    count = len(inputs["piece_offsets"]) - 1
    call = {name: inputs[name] for name in ("symbols", "offsets", "pieces", "piece_offsets")}
    marked = {**call, "continuing": np.zeros(count, bool), "unknown": count, "max_length": 1000}
    return [(unknown_encode, {**call, "unknown": count}), (wordpiece_encode, marked), (unigram_encode, inputs)]


@law(inputs=weighted_pieces(), examples=20)
def offsets_that_cut_no_words_or_pieces_are_refused(
    unknown_encode: Implementation, wordpiece_encode: Implementation, unigram_encode: Implementation, inputs: Arguments
) -> Claim:
    """Offsets begin at 0, end at the last symbol, and do not fall; those of pieces neither."""

    def wrong(offsets: Ids) -> list[Ids]:
        return [
            offsets[:-1] if offsets[-1] > offsets[-2:][0] else offsets[:0],
            rewritten(offsets, 0, 1),
            np.append(offsets, offsets[-1] + 1),
            np.insert(offsets, 1, offsets[-1] + 1),
        ]

    calls = [
        (operation, {**arguments, name: offsets})
        for operation, arguments in _all_three(unknown_encode, wordpiece_encode, unigram_encode, inputs)
        for name in ("offsets", "piece_offsets")
        for offsets in wrong(inputs[name])
    ]
    return all_of(*(refused(operation, "offsets", arguments) for operation, arguments in calls))


@fault(
    unknown_encode,
    breaks=offsets_that_cut_no_words_or_pieces_are_refused,
    kind="refusal",
    repair="Check that they cover the text.",
)
def cuts_words_wherever_it_is_told(**call: Any) -> Ids:
    """Offsets are taken as they come, and symbols outside them are lost."""
    words = [call["symbols"][start:end].tolist() for start, end in pairwise(call["offsets"].tolist())]
    return unknown_encode(**{**call, **as_text(words)})


@law(inputs=weighted_pieces(), examples=20, place=st.integers(0, 30))
def negative_symbols_are_refused(
    unknown_encode: Implementation,
    wordpiece_encode: Implementation,
    unigram_encode: Implementation,
    inputs: Arguments,
    place: int,
) -> Claim:
    """Symbols are not negative, neither in words nor in pieces."""

    def spoiled(name: str) -> list[Arguments]:
        symbols = inputs[name]
        return [{name: rewritten(symbols, place % len(symbols), -1)}] if len(symbols) else []

    return all_of(
        *[
            refused(operation, name, {**arguments, **change})
            for operation, arguments in _all_three(unknown_encode, wordpiece_encode, unigram_encode, inputs)
            for name in ("symbols", "pieces")
            for change in spoiled(name)
        ]
    )


@fault(
    unknown_encode,
    breaks=negative_symbols_are_refused,
    kind="refusal",
    repair="Refuse them.",
)
def reads_any_symbol(**call: Any) -> Ids:
    """Symbols below 0 are read like others, though they index from the end of a table."""
    return unknown_encode(**{**call, "symbols": call["symbols"] - call["symbols"].min(initial=0)})


@law(inputs=weighted_pieces(), examples=20, place=st.integers(0, 30))
def empty_pieces_are_refused(
    unknown_encode: Implementation,
    wordpiece_encode: Implementation,
    unigram_encode: Implementation,
    inputs: Arguments,
    place: int,
) -> Claim:
    """A piece without symbols would fit everywhere and lead nowhere."""
    offsets = inputs["piece_offsets"]
    wrong = {"piece_offsets": np.insert(offsets, place % len(offsets), offsets[place % len(offsets)])}
    weights = inputs["log_probabilities"]
    one_more = {"continuing": np.zeros(len(offsets), bool), "log_probabilities": np.append(weights, weights[:1])}
    return all_of(
        *[
            refused(
                operation, "pieces", {**arguments, **wrong, **{k: x for k, x in one_more.items() if k in arguments}}
            )
            for operation, arguments in _all_three(unknown_encode, wordpiece_encode, unigram_encode, inputs)
        ]
    )


@fault(
    unknown_encode,
    breaks=empty_pieces_are_refused,
    kind="refusal",
    repair="Refuse it.",
)
def passes_over_empty_pieces(**call: Any) -> Ids:
    """An empty line of the vocabulary file is passed over, and all later ids move up by one."""
    return unknown_encode(**{**call, "piece_offsets": np.unique(call["piece_offsets"])})
