"""One id for all words outside the vocabulary: unknown_encode."""

from __future__ import annotations

from collections import Counter
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
    operation,
    require,
    seeds,
    unpacked,
    workload,
)
from layerlaws.language import strategies as st
from layerlaws.notes.subword.library import GROWS, encoder_arguments, first_library_words, text_cost
from layerlaws.notes.subword.words import (
    as_pieces,
    as_text,
    first_ids,
    list_pieces,
    parts_of,
    read_pieces,
    read_words,
    shuffled_order,
    take_words,
    words_to_encode,
)


@st.composite
def listed_words(draw: st.DrawFn, distinct: bool = True) -> Arguments:
    """A text, and a vocabulary with some of its words."""
    words, generator = draw(words_to_encode()), np.random.default_rng(draw(seeds))
    whole = [word for word in words if word and generator.random() < 0.5]
    pieces = list_pieces([*whole, *parts_of(words, draw(st.integers(0, 6)), generator)], distinct, generator)
    unknown = draw(st.sampled_from([len(pieces), len(pieces) + 5, 0]))
    return {**as_text(words), **as_pieces(pieces), "unknown": unknown}


@operation(inputs=listed_words())
def unknown_encode(symbols: Ids, offsets: Ids, pieces: Ids, piece_offsets: Ids, unknown: int) -> Ids:
    """The id of the piece that a word is, or `unknown`.

    symbols (N,), offsets (W + 1,), pieces (M,), piece_offsets (P + 1,)  ->  (W,)

    Of equal pieces the first counts.
    """
    words, table = read_words(symbols, offsets), first_ids(read_pieces(pieces, piece_offsets))
    require(unknown >= 0, "unknown must not be negative")
    return np.array([table.get(word, unknown) for word in words], np.int64)


@law()
def every_listed_word_is_its_own_id(
    unknown_encode: Implementation, pieces: Ids, piece_offsets: Ids, unknown: int
) -> Claim:
    """Encoding the vocabulary itself gives 0, 1, 2, ..."""
    vocabulary = {"pieces": pieces, "piece_offsets": piece_offsets}
    ids = unknown_encode(symbols=pieces, offsets=piece_offsets, **vocabulary, unknown=unknown)
    return exactly(ids, np.arange(len(piece_offsets) - 1))


@fault(
    unknown_encode,
    breaks=every_listed_word_is_its_own_id,
    kind="shift",
    repair="The first piece is 0.",
)
def counts_from_one(**call: Any) -> Ids:
    """Ids are numbered from 1, as if 0 were padding."""
    ids = unknown_encode(**call)
    return np.where(ids == call["unknown"], ids, ids + 1)


@law(place=st.sampled_from([0, 1, -1]))
def a_word_outside_the_list_is_unknown(
    unknown_encode: Implementation,
    symbols: Ids,
    offsets: Ids,
    pieces: Ids,
    piece_offsets: Ids,
    unknown: int,
    place: int,
) -> Claim:
    """Words with a symbol that no piece has are unknown, all of them, whatever else they hold; so is the empty word."""
    strange = int(pieces.max(initial=0)) + 1
    words = [
        [*word[: place % (len(word) + 1)], strange, *word[place % (len(word) + 1) :]]
        for word in unpacked(symbols, offsets)
    ]
    ids = unknown_encode(**as_text([*words, []]), pieces=pieces, piece_offsets=piece_offsets, unknown=unknown)
    return exactly(ids, np.full(len(offsets), unknown))


@fault(
    unknown_encode,
    breaks=a_word_outside_the_list_is_unknown,
    kind="contract",
    repair="Write the unknown id.",
    seen="https://github.com/facebookresearch/DME/issues/4",
)
def drops_unknown_words(**call: Any) -> Ids:
    """Words outside the vocabulary leave no trace, and the sentence closes over them."""
    ids = unknown_encode(**call)
    return ids[ids != call["unknown"]]


@fault(
    unknown_encode,
    breaks=a_word_outside_the_list_is_unknown,
    kind="formula",
    repair="Compare whole words.",
)
def knows_a_word_by_its_beginning(symbols: Ids, offsets: Ids, pieces: Ids, piece_offsets: Ids, unknown: int) -> Ids:
    """The longest listed word that a word begins with is taken for it."""
    words, table = read_words(symbols, offsets), first_ids(read_pieces(pieces, piece_offsets))
    beginnings = [next((word[:end] for end in range(len(word), 0, -1) if word[:end] in table), ()) for word in words]
    return np.array([table.get(beginning, unknown) for beginning in beginnings], np.int64)


@law()
def which_unknown_word_it_was_is_lost_but_not_in_bytes(
    unknown_encode: Implementation,
    bpe_encode: Implementation,
    bpe_decode: Implementation,
    symbols: Ids,
    offsets: Ids,
    pieces: Ids,
    piece_offsets: Ids,
    unknown: int,
) -> Claim:
    """Two different texts of unknown words have the same code, so nothing can undo it; byte-pair encoding, even with
    an empty table, gives each back.
    """
    base = int(max(symbols.max(initial=0), pieces.max(initial=0))) + 3
    texts = [as_text([*word, base - k] for word in [[], *unpacked(symbols, offsets)]) for k in (1, 2)]
    table = {"merges": np.zeros((0, 2), np.int64), "base": base}

    def spelled(text: Arguments) -> Claim:
        ids, ends = bpe_encode(**text, **table)
        return exactly(bpe_decode(ids=ids, offsets=ends, **table), (text["symbols"], text["offsets"]))

    vocabulary = {"pieces": pieces, "piece_offsets": piece_offsets, "unknown": unknown}
    one, other = (unknown_encode(**text, **vocabulary) for text in texts)
    return all_of(exactly(one, other), *map(spelled, texts))


@fault(
    unknown_encode,
    breaks=(which_unknown_word_it_was_is_lost_but_not_in_bytes, a_word_outside_the_list_is_unknown),
    kind="formula",
    repair="Its id is `unknown`.",
)
def learns_unknown_words(**call: Any) -> Ids:
    """An unknown word gets an id made of its symbols, for which no table has a row."""
    ids, words = unknown_encode(**call), read_words(call["symbols"], call["offsets"])
    made = np.array([call["unknown"] + sum(word) % 1000 for word in words], np.int64)
    return np.where(ids == call["unknown"], made, ids)


@law(seed=seeds)
def words_are_looked_up_one_by_one(
    unknown_encode: Implementation, symbols: Ids, offsets: Ids, pieces: Ids, piece_offsets: Ids, unknown: int, seed: int
) -> Claim:
    """Words in another order, some left out and some repeated, have the ids that each of them had."""
    vocabulary = {"pieces": pieces, "piece_offsets": piece_offsets, "unknown": unknown}
    order = shuffled_order(offsets, seed)
    ids = unknown_encode(symbols=symbols, offsets=offsets, **vocabulary)
    moved = unknown_encode(**as_text(take_words(symbols, offsets, order)), **vocabulary)
    return exactly(moved, ids[order])


@fault(
    unknown_encode,
    breaks=words_are_looked_up_one_by_one,
    kind="order",
    repair="Undo the sorting.",
)
def looks_up_distinct_words(**call: Any) -> Ids:
    """Words are sorted so that each is looked up once, and the ids stay in that order."""
    ids, words = unknown_encode(**call), read_words(call["symbols"], call["offsets"])
    return ids[sorted(range(len(words)), key=lambda w: words[w])]


@law(inputs=listed_words(distinct=False))
def of_equal_listed_words_the_first_counts(unknown_encode: Implementation, inputs: Arguments) -> Claim:
    """A piece that stands in the list already has no effect when it stands there once more."""
    return exactly(unknown_encode(**inputs), unknown_encode.definition(**inputs))


@fault(
    unknown_encode,
    breaks=of_equal_listed_words_the_first_counts,
    kind="order",
    repair="Keep the first id.",
)
def lists_the_last_of_equal_words(symbols: Ids, offsets: Ids, pieces: Ids, piece_offsets: Ids, unknown: int) -> Ids:
    """A dictionary from words to ids is overwritten by later equal words."""
    words, table = (
        read_words(symbols, offsets),
        {piece: id for id, piece in enumerate(read_pieces(pieces, piece_offsets))},
    )
    unknown_encode(symbols, offsets, pieces, piece_offsets, unknown)
    return np.array([table.get(word, unknown) for word in words], np.int64)


@workload(unknown_encode, sizes={"words": 1_000_000, "pieces": 30_000}, cost=text_cost, grows=GROWS)
def look_up_library_words(random: np.random.Generator, words: int, pieces: int) -> Arguments:
    """A million words of Python's documentation and sources, and the 30,000 most frequent of them as vocabulary."""
    text = first_library_words(words)
    listed = [word for word, _ in Counter(text).most_common(pieces)]
    return {**encoder_arguments(text, listed), "unknown": len(listed)}
