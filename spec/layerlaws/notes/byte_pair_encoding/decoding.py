"""Ids spelled out again: bpe_decode, alone and after encoding."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import groupby, pairwise

import numpy as np

from layerlaws.language import (
    Arguments,
    Claim,
    Ids,
    Implementation,
    Results,
    all_of,
    exactly,
    fault,
    law,
    library_words,
    operation,
    packed,
    refused,
    rewritten,
    seeds,
    unpacked,
    workload,
)
from layerlaws.language import strategies as st
from layerlaws.notes.byte_pair_encoding.encoding import bpe_encode, encode_words_by
from layerlaws.notes.byte_pair_encoding.library import GROWS, SIZES, learned_merges, learned_pieces, text_cost
from layerlaws.notes.byte_pair_encoding.merging import (
    Rows,
    Words,
    encode_word,
    merge_pair,
    most_frequent_pair,
    read_rows,
    read_words,
    spell_word,
)
from layerlaws.notes.byte_pair_encoding.replacing import replaces_the_first_occurrence_only
from layerlaws.notes.byte_pair_encoding.texts import library_sample, random_table, tables_and_texts
from layerlaws.notes.byte_pair_encoding.training import Choice, bpe_train, checked_words, train_by


@st.composite
def encoded_texts(draw: st.DrawFn) -> Arguments:
    """Any ids that a table gives a meaning, whether or not encoding would ever write them."""
    drawn = draw(tables_and_texts())
    generator = np.random.default_rng(draw(seeds))
    limit = drawn["base"] + len(drawn["merges"])
    ids = generator.integers(max(0, limit - 12), limit, len(drawn["symbols"]))
    return {"ids": ids, "offsets": drawn["offsets"], "merges": drawn["merges"], "base": drawn["base"]}


@st.composite
def respelled_texts(draw: st.DrawFn) -> Arguments:
    """Tables whose first rows spell 000 twice, as (00)0 and 0(00), and more of that kind; the first word is 000."""
    drawn = draw(tables_and_texts(distinct=False))
    base, merges = drawn["base"], drawn["merges"]
    first = [[0, 0], [base, 0], [0, base]]
    return {
        "symbols": np.concatenate([[0, 0, 0], drawn["symbols"]]),
        "offsets": np.concatenate([[0], drawn["offsets"] + 3]),
        "merges": np.concatenate([first, np.where(merges >= base, merges + len(first), merges)]),
        "base": base,
    }


@operation(inputs=encoded_texts())
def bpe_decode(ids: Ids, offsets: Ids, merges: Ids, base: int) -> tuple[Ids, Ids]:
    """Id base + k is spelled as the two ids of row k, and those in turn, down to symbols.

    ids (N',), offsets (W + 1,), merges (M, 2), merges[k] < base + k  ->  symbols (N,), offsets (W + 1,)
    """
    rows = read_rows(merges, base)
    return packed(spell_word(word, rows, base) for word in read_words(ids, offsets, base + len(rows), "ids"))


@law()
def decoding_undoes_encoding(
    bpe_encode: Implementation, bpe_decode: Implementation, symbols: Ids, offsets: Ids, merges: Ids, base: int
) -> Claim:
    """Whatever the symbols and whatever the table, decoding gives back every word."""
    ids, ends = bpe_encode(symbols=symbols, offsets=offsets, merges=merges, base=base)
    return exactly(bpe_decode(ids=ids, offsets=ends, merges=merges, base=base), (symbols, offsets))


@law(examples=5, seed=seeds)
def every_byte_and_every_word_survives(bpe_encode: Implementation, bpe_decode: Implementation, seed: int) -> Claim:
    """All 256 bytes, runs of spaces, bytes that are no UTF-8, and empty words come back from encoding and decoding."""
    drawn = [b"", bytes(range(256)), b"  ", b"    ", b"\xc3\x28 \xff\xfe \xed\xa0\x80", b"", "naïve 😀".encode(), b""]
    words = [list(word) for word in drawn]
    symbols, offsets = packed(words)
    merges = random_table(256, words, 30, np.random.default_rng(seed), distinct=True)
    ids, ends = bpe_encode(symbols=symbols, offsets=offsets, merges=merges, base=256)
    return exactly(bpe_decode(ids=ids, offsets=ends, merges=merges, base=256), (symbols, offsets))


@fault(
    bpe_encode,
    breaks=every_byte_and_every_word_survives,
    kind="mask",
    repair="Every byte has an id.",
    seen="https://github.com/dotnet/machinelearning/issues/7715",
)
def drops_spaces(symbols: Ids, offsets: Ids, merges: Ids, base: int) -> tuple[Ids, Ids]:
    """Spaces find no place in the code and are left out without a word."""

    def encode(word: list[int], rows: Rows) -> list[int]:
        return encode_word([symbol for symbol in word if symbol != 32], rows, base)

    return encode_words_by(symbols, offsets, merges, base, encode)


@fault(
    bpe_encode,
    breaks=every_byte_and_every_word_survives,
    kind="boundary",
    repair="An empty word has an empty code.",
)
def drops_empty_words(symbols: Ids, offsets: Ids, merges: Ids, base: int) -> tuple[Ids, Ids]:
    """Words without symbols vanish, and all later ones move up."""
    ids, ends = bpe_encode(symbols, offsets, merges, base)
    return ids, np.unique(ends)


@fault(
    bpe_decode,
    breaks=every_byte_and_every_word_survives,
    kind="contract",
    repair="Return bytes.",
    seen="https://github.com/tensorflow/swift-models/pull/571",
)
def replaces_what_is_no_utf8(ids: Ids, offsets: Ids, merges: Ids, base: int) -> tuple[Ids, Ids]:
    """Decoded bytes pass through a string, and what is no UTF-8 becomes a replacement character."""
    words = unpacked(*bpe_decode(ids, offsets, merges, base))
    return packed(bytes(word).decode(errors="replace").encode() if base == 256 else word for word in words)


@fault(
    bpe_decode,
    breaks=every_byte_and_every_word_survives,
    kind="formula",
    repair="Join without separator.",
    seen="https://github.com/huggingface/tokenizers/issues/817",
)
def rounds_even_runs_of_spaces_up(ids: Ids, offsets: Ids, merges: Ids, base: int) -> tuple[Ids, Ids]:
    """An even number of spaces comes back odd: pieces of spaces are joined by one more."""

    def spaced(word: list[int]) -> list[int]:
        runs = [list(run) for _, run in groupby(word)]
        return [symbol for run in runs for symbol in ([*run, 32] if run[0] == 32 and len(run) % 2 == 0 else run)]

    return packed(map(spaced, unpacked(*bpe_decode(ids, offsets, merges, base))))


@law(inputs=respelled_texts())
def rows_that_spell_the_same_stay_apart(
    bpe_encode: Implementation, bpe_decode: Implementation, symbols: Ids, offsets: Ids, merges: Ids, base: int
) -> Claim:
    """A row joins its two ids, not whatever spells them: (ab)c and a(bc) are two ids, also for what follows; and
    decoding undoes encoding with such a table, too.
    """
    words, rows = unpacked(symbols, offsets), read_rows(merges, base)
    for k, row in enumerate(rows):
        words = [merge_pair(word, *row, base + k) for word in words]
    ids, ends = bpe_encode(symbols=symbols, offsets=offsets, merges=merges, base=base)
    text = bpe_decode(ids=ids, offsets=ends, merges=merges, base=base)
    return all_of(exactly((ids, ends), packed(words)), exactly(text, (symbols, offsets)))


@fault(
    bpe_encode,
    breaks=rows_that_spell_the_same_stay_apart,
    kind="formula",
    repair="Compare pairs of ids.",
    seen="https://github.com/karpathy/minbpe/issues/11",
)
def merges_whatever_spells_a_piece(symbols: Ids, offsets: Ids, merges: Ids, base: int) -> tuple[Ids, Ids]:
    """Two neighbours are merged if together they spell a piece, however that one was made."""

    def encode(word: list[int], rows: Rows) -> list[int]:
        pieces = [spell_word([base + k], rows, base) for k in range(len(rows))]
        while True:
            spelled = {pair: spell_word(list(pair), rows, base) for pair in pairwise(word)}
            found = {pieces.index(both): pair for pair, both in spelled.items() if both in pieces}
            if not found:
                return word
            word = merge_pair(word, *found[min(found)], base + min(found))

    return encode_words_by(symbols, offsets, merges, base, encode)


@law()
def no_two_merges_spell_the_same(
    bpe_train: Implementation,
    bpe_decode: Implementation,
    symbols: Ids,
    offsets: Ids,
    counts: Ids,
    base: int,
    num_merges: int,
    min_count: int,
) -> Claim:
    """A trained piece is made in one way only: merges that never cross its ends treat it alike wherever it stands."""
    merges = bpe_train(
        symbols=symbols, offsets=offsets, counts=counts, base=base, num_merges=num_merges, min_count=min_count
    )
    ids = np.arange(len(merges)) + base
    spelled, ends = bpe_decode(ids=ids, offsets=np.arange(len(ids) + 1), merges=merges, base=base)
    pieces = {tuple(piece) for piece in unpacked(spelled, ends)}
    return exactly(len(pieces), len(merges))


@fault(
    bpe_train,
    breaks=no_two_merges_spell_the_same,
    kind="formula",
    repair="Merge all.",
)
def merges_a_pair_once_per_word(
    symbols: Ids, offsets: Ids, counts: Ids, base: int, num_merges: int, min_count: int
) -> Ids:
    """Only the first occurrence in a word is merged, and the pair is learned again for the next."""

    def once(word: list[int], first: int, second: int, merged: int) -> list[int]:
        return [*map(int, replaces_the_first_occurrence_only.function(np.array(word), first, second, merged))]

    words = checked_words(symbols, offsets, counts, base, num_merges, min_count)
    return train_by(words, counts, base, num_merges, min_count, replaced=once)


@law(examples=2, start=st.integers(0, 300_000), size=st.integers(15_000, 25_000))
def real_text_is_trained_encoded_and_decoded_as_defined(
    bpe_train: Implementation, bpe_encode: Implementation, bpe_decode: Implementation, start: int, size: int
) -> Claim:
    """On some thousand words of Python's documentation, 40 merges are those of the plain loop, and so is the code."""
    base, words = library_sample(start, size)
    symbols, offsets = packed(words)
    found = Counter(map(tuple, words))
    distinct, ends = packed(list(found))
    corpus = {"symbols": distinct, "offsets": ends, "counts": np.array(list(found.values())), "base": base}
    merges, expected = bpe_train.compare(**corpus, num_merges=40, min_count=2)
    (ids, ends), code = bpe_encode.compare(symbols=symbols, offsets=offsets, merges=expected, base=base)
    return all_of(
        exactly(merges, expected),
        exactly((ids, ends), code),
        exactly(bpe_decode(ids=ids, offsets=ends, merges=expected, base=base), (symbols, offsets)),
    )


@fault(
    bpe_train,
    breaks=real_text_is_trained_encoded_and_decoded_as_defined,
    kind="size",
    repair="Count all.",
)
def counts_the_first_block_only(
    symbols: Ids, offsets: Ids, counts: Ids, base: int, num_merges: int, min_count: int
) -> Ids:
    """Pairs are counted in the first 512 words, a block, and the rest of a long text is left out."""

    def choose(words: Words, counts: Ids) -> Choice:
        return most_frequent_pair(words[:512], counts[:512])

    words = checked_words(symbols, offsets, counts, base, num_merges, min_count)
    return train_by(words, counts, base, num_merges, min_count, choose)


@law(row=st.integers(0, 9))
def an_id_spells_its_pair(bpe_decode: Implementation, merges: Ids, base: int, row: int) -> Claim:
    """The id of a row is spelled as the first id of its pair, then the second."""
    id = base + row % max(len(merges), 1)
    pair = merges[id - base] if len(merges) else np.array([], np.int64)
    one = bpe_decode(
        ids=np.array([id][: len(merges)], np.int64),
        offsets=np.array([0, min(1, len(merges))]),
        merges=merges,
        base=base,
    )
    two = bpe_decode(ids=pair, offsets=np.array([0, len(pair)]), merges=merges, base=base)
    return exactly(one, two)


@fault(
    bpe_decode,
    breaks=(decoding_undoes_encoding, an_id_spells_its_pair),
    kind="order",
    repair="Write the first half first.",
)
def spells_pairs_backwards(ids: Ids, offsets: Ids, merges: Ids, base: int) -> tuple[Ids, Ids]:
    """The second half of a pair comes out before the first. A stack gives back last what was put there first."""
    rows = [(second, first) for first, second in read_rows(merges, base)]
    return packed(spell_word(word, rows, base) for word in read_words(ids, offsets, base + len(rows), "ids"))


@law(place=st.integers(0, 30), shift=st.sampled_from([0, 1, 7]), examples=20)
def ids_without_a_row_are_refused(
    bpe_decode: Implementation, ids: Ids, offsets: Ids, merges: Ids, base: int, place: int, shift: int
) -> Claim:
    """No id beyond the table has a spelling."""
    ids, offsets = (ids, offsets) if len(ids) else (np.zeros(1, np.int64), np.array([0, 1]))
    wrong = rewritten(ids, place % len(ids), base + len(merges) + shift)
    return refused(bpe_decode, "ids", {"ids": wrong, "offsets": offsets, "merges": merges, "base": base})


@fault(
    bpe_decode,
    breaks=ids_without_a_row_are_refused,
    kind="refusal",
    repair="Refuse them.",
    seen="https://github.com/huggingface/transformers/issues/20781",
)
def skips_unknown_ids(ids: Ids, offsets: Ids, merges: Ids, base: int) -> tuple[Ids, Ids]:
    """Ids that no row has are left out of the text without a word."""
    rows = read_rows(merges, base)
    words = [[id for id in word if 0 <= id < base + len(rows)] for word in unpacked(ids, offsets)]
    return packed(spell_word(word, rows, base) for word in words)


@law(row=st.integers(0, 9), shift=st.sampled_from([0, 1, -99]), side=st.integers(0, 1), examples=20)
def tables_that_look_ahead_are_refused(
    bpe_encode: Implementation,
    bpe_decode: Implementation,
    symbols: Ids,
    offsets: Ids,
    merges: Ids,
    base: int,
    row: int,
    shift: int,
    side: int,
) -> Claim:
    """A row may join only symbols and the ids of rows above it: not its own id, no later one, none below 0."""
    merges = merges if len(merges) else np.zeros((1, 2), np.int64)
    row %= len(merges)
    wrong = rewritten(merges, (row, side), -1 if shift < 0 else base + row + shift)
    rest = {"offsets": offsets, "merges": wrong, "base": base}
    return all_of(
        refused(bpe_encode, "merges", {"symbols": symbols, **rest}),
        refused(bpe_decode, "merges", {"ids": symbols, **rest}),
    )


@fault(
    bpe_encode,
    breaks=tables_that_look_ahead_are_refused,
    kind="refusal",
    repair="Check the table first.",
)
def accepts_any_table(symbols: Ids, offsets: Ids, merges: Ids, base: int) -> Results:
    """A row that names an id nobody has made is passed over."""
    known = base + np.arange(len(merges))[:, None]
    sound = np.where(((merges >= 0) & (merges < known)).all(axis=1, keepdims=True), merges, 0)
    return bpe_encode(symbols, offsets, sound, base)


def _longest_pieces(word: bytes, pieces: dict[bytes, int], longest: int) -> Iterator[int]:
    """The ids of a word: the longest piece that fits, from the left."""
    while word:
        piece = next(word[:length] for length in range(min(longest, len(word)), 0, -1) if word[:length] in pieces)
        yield pieces[piece]
        word = word[len(piece) :]


@workload(bpe_decode, sizes=SIZES, cost=text_cost, grows=GROWS)
def decode_library_text(random: np.random.Generator, bytes: int, merges: int) -> Arguments:
    """The same words back from ids: the longest piece that fits, from the left."""
    pieces = {piece: id for id, piece in enumerate(learned_pieces(bytes, merges))}
    longest = max(map(len, pieces))

    words = library_words(bytes)
    codes = {word: [*_longest_pieces(word, pieces, longest)] for word in set(words)}
    ids, offsets = packed(codes[word] for word in words)
    return {"ids": ids, "offsets": offsets, "merges": learned_merges(bytes, merges), "base": 256}
