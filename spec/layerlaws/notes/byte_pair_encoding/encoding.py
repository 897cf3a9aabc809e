"""Words encoded by a table of merges: bpe_encode, alone and after training."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np

from layerlaws.language import (
    Arguments,
    Claim,
    Ids,
    Implementation,
    Results,
    all_of,
    at_most,
    exactly,
    fault,
    law,
    operation,
    packed,
    refused,
    rewritten,
    seeds,
    unpacked,
    workload,
)
from layerlaws.language import strategies as st
from layerlaws.notes.byte_pair_encoding.library import GROWS, SIZES, learned_merges, library_corpus, text_cost
from layerlaws.notes.byte_pair_encoding.merging import (
    SHORT,
    Rows,
    count_pairs,
    encode_word,
    merge_pair,
    most_frequent_pair,
    read_rows,
    read_words,
    spell_word,
)
from layerlaws.notes.byte_pair_encoding.texts import tables_and_texts
from layerlaws.notes.byte_pair_encoding.training import (
    bpe_train,
    checked_words,
    overlapping_occurrences_are_counted,
    train_by,
)


@operation(inputs=tables_and_texts())
def bpe_encode(symbols: Ids, offsets: Ids, merges: Ids, base: int) -> tuple[Ids, Ids]:
    """In each word the pair that stands first in the table is merged wherever it occurs, until none is left.

    symbols (N,), offsets (W + 1,), merges (M, 2), merges[k] < base + k  ->  ids (N',), offsets (W + 1,)

    Of equal rows the first counts.
    """
    words, rows = read_words(symbols, offsets, base), read_rows(merges, base)
    return packed(encode_word(word, rows, base) for word in words)


@law(examples=1)
def every_short_string_is_encoded_as_by_the_loop(bpe_encode: Implementation) -> Claim:
    """On all strings of two symbols up to length 10, encoding is merging in a plain loop, for tables of runs, of
    repeated pairs and of pieces that overlap.
    """
    symbols, offsets = packed(SHORT)

    def claim(*rows: tuple[int, int]) -> Claim:
        call = {"symbols": symbols, "offsets": offsets, "merges": np.array(rows, np.int64), "base": 2}
        return exactly(bpe_encode(**call), bpe_encode.definition(**call))

    return all_of(
        claim((0, 0), (2, 0), (2, 2), (1, 1), (5, 2)),
        claim((0, 1), (2, 2), (3, 0), (1, 1), (5, 3)),
        claim((0, 1), (1, 0), (3, 3), (2, 0), (2, 2)),
    )


@law()
def the_table_is_applied_from_top_to_bottom(
    bpe_encode: Implementation, replace_pair: Implementation, symbols: Ids, offsets: Ids, merges: Ids, base: int
) -> Claim:
    """Since a row joins only what earlier rows made, encoding is replacing one row's pair after the other."""
    end = base + len(merges)  # an id of its own behind every word
    text = np.insert(symbols, offsets[1:], end)
    for k, (first, second) in enumerate(merges.tolist()):
        text = replace_pair(symbols=text, first=first, second=second, merged=base + k)
    ids, ends = bpe_encode(symbols=symbols, offsets=offsets, merges=merges, base=base)
    return exactly(np.insert(ids, ends[1:], end), text)


def encode_words_by(
    symbols: Ids, offsets: Ids, merges: Ids, base: int, encode: Callable[[list[int], Rows], list[int]]
) -> tuple[Ids, Ids]:
    """Each word encoded by `encode`, after the checks that are not the point of a fault."""
    rows = read_rows(merges, base)
    return packed(encode(word, rows) for word in read_words(symbols, offsets, base))


@fault(
    bpe_encode,
    breaks=(the_table_is_applied_from_top_to_bottom, every_short_string_is_encoded_as_by_the_loop),
    kind="order",
    repair="Take the one that stands first in the table.",
)
def merges_the_leftmost_pair_first(symbols: Ids, offsets: Ids, merges: Ids, base: int) -> tuple[Ids, Ids]:
    """The first pair from the left that stands in the table is merged."""

    def encode(word: list[int], rows: Rows) -> list[int]:
        place = 0
        while place + 1 < len(word):
            pair = (word[place], word[place + 1])
            if pair in rows:
                word = [*word[:place], base + rows.index(pair), *word[place + 2 :]]
                place = 0
            else:
                place += 1
        return word

    return encode_words_by(symbols, offsets, merges, base, encode)


@law()
def more_merges_never_make_a_word_longer(
    bpe_encode: Implementation, symbols: Ids, offsets: Ids, merges: Ids, base: int
) -> Claim:
    """Row by row of the table, no word gets longer."""
    lengths = [
        np.diff(bpe_encode(symbols=symbols, offsets=offsets, merges=merges[:rows], base=base)[1])
        for rows in range(len(merges) + 1)
    ]
    return at_most(np.stack(lengths[1:] + lengths[-1:]), np.stack(lengths))


@fault(
    bpe_encode,
    breaks=more_merges_never_make_a_word_longer,
    kind="order",
    repair="Rank by the order in which merges were learned.",
)
def applies_the_table_from_its_end(symbols: Ids, offsets: Ids, merges: Ids, base: int) -> tuple[Ids, Ids]:
    """The pair that stands last in the table goes first."""

    def encode(word: list[int], rows: Rows) -> list[int]:
        while found := set(pairwise(word)).intersection(rows):
            rank = max(rows.index(pair) for pair in found)
            word = merge_pair(word, *rows[rank], base + rank)
        return word

    return encode_words_by(symbols, offsets, merges, base, encode)


@law(word=st.integers(0, 20))
def a_word_is_encoded_without_its_neighbours(
    bpe_encode: Implementation, symbols: Ids, offsets: Ids, merges: Ids, base: int, word: int
) -> Claim:
    """A word's ids are the same alone as among others."""
    words = unpacked(symbols, offsets) or [[]]
    chosen = word % len(words)
    letters, end = packed([words[chosen]])
    alone, _ = bpe_encode(symbols=letters, offsets=end, merges=merges, base=base)
    ids, ends = bpe_encode(symbols=symbols, offsets=offsets, merges=merges, base=base)
    return exactly(alone, ids[slice(*ends[chosen : chosen + 2])])


@law()
def no_merge_crosses_a_word(bpe_encode: Implementation, symbols: Ids, merges: Ids, base: int) -> Claim:
    """Cut into words of one symbol each, a text is encoded as it stands."""
    offsets = np.arange(len(symbols) + 1)
    return exactly(bpe_encode(symbols=symbols, offsets=offsets, merges=merges, base=base), (symbols, offsets))


@fault(
    bpe_encode,
    breaks=(no_merge_crosses_a_word, a_word_is_encoded_without_its_neighbours),
    kind="mask",
    repair="Encode them one by one.",
    seen="https://github.com/rasbt/LLMs-from-scratch/issues/558",
)
def encodes_words_as_one(symbols: Ids, offsets: Ids, merges: Ids, base: int) -> tuple[Ids, Ids]:
    """Neighbouring words are encoded in one piece, and merges reach across their border."""
    words, rows = read_words(symbols, offsets, base), read_rows(merges, base)
    ids = encode_word([symbol for word in words for symbol in word], rows, base)
    lengths = np.cumsum([0, *(len(spell_word([id], rows, base)) for id in ids)])
    return np.array(ids, np.int64), np.searchsorted(lengths, offsets)


@law(seed=seeds)
def permuted_words_give_permuted_results(
    bpe_encode: Implementation, symbols: Ids, offsets: Ids, merges: Ids, base: int, seed: int
) -> Claim:
    """Words in another order are encoded in that order."""
    order = np.random.default_rng(seed).permutation(len(offsets) - 1)

    def permuted(symbols: Ids, offsets: Ids) -> tuple[Ids, Ids]:
        words = unpacked(symbols, offsets)
        return packed([words[w] for w in order])

    moved_symbols, moved_offsets = permuted(symbols, offsets)
    result = bpe_encode(symbols=moved_symbols, offsets=moved_offsets, merges=merges, base=base)
    return exactly(result, permuted(*bpe_encode(symbols=symbols, offsets=offsets, merges=merges, base=base)))


@fault(
    bpe_encode,
    breaks=permuted_words_give_permuted_results,
    kind="order",
    repair="Undo the sorting.",
)
def returns_the_distinct_words_sorted(symbols: Ids, offsets: Ids, merges: Ids, base: int) -> tuple[Ids, Ids]:
    """Words are sorted to find equal ones, and the results come in that order."""
    ids, ends = bpe_encode(symbols, offsets, merges, base)
    order = sorted(range(len(offsets) - 1), key=lambda w: symbols[slice(*offsets[w : w + 2])].tolist())
    words = unpacked(ids, ends)
    return packed([words[w] for w in order])


@law(repeated=st.integers(0, 20))
def of_equal_merges_the_first_counts(
    bpe_encode: Implementation, symbols: Ids, offsets: Ids, merges: Ids, base: int, repeated: int
) -> Claim:
    """A row that stands in the table already has no effect when it is written below once more."""
    again = np.concatenate([merges, merges[repeated % len(merges) :][:1]]) if len(merges) else merges
    once = bpe_encode(symbols=symbols, offsets=offsets, merges=merges, base=base)
    return exactly(bpe_encode(symbols=symbols, offsets=offsets, merges=again, base=base), once)


@fault(
    bpe_encode,
    breaks=of_equal_merges_the_first_counts,
    kind="order",
    repair="Keep the first rank.",
)
def takes_the_last_of_equal_merges(symbols: Ids, offsets: Ids, merges: Ids, base: int) -> tuple[Ids, Ids]:
    """A dictionary from pairs to ranks is overwritten by later equal rows."""

    def encode(word: list[int], rows: Rows) -> list[int]:
        ranks = {row: k for k, row in enumerate(rows)}
        while found := set(pairwise(word)).intersection(rows):
            rank = min(ranks[pair] for pair in found)
            word = merge_pair(word, *rows[rank], base + rank)
        return word

    return encode_words_by(symbols, offsets, merges, base, encode)


@law(step=st.integers(0, 30))
def each_merge_is_the_most_frequent_pair_of_what_encoding_gives(
    bpe_train: Implementation,
    bpe_encode: Implementation,
    symbols: Ids,
    offsets: Ids,
    counts: Ids,
    base: int,
    num_merges: int,
    min_count: int,
    step: int,
) -> Claim:
    """Encoding the training words reproduces the trainer's segmentation: encoded with the first k rows, their most
    frequent pair is row k, and when the table ends early no pair is frequent enough.
    """
    merges = bpe_train(
        symbols=symbols, offsets=offsets, counts=counts, base=base, num_merges=num_merges, min_count=min_count
    )
    k = step % (len(merges) + 1)
    pair, count = most_frequent_pair(
        unpacked(*bpe_encode(symbols=symbols, offsets=offsets, merges=merges[:k], base=base)), counts
    )
    enough = count >= max(min_count, 1)
    return exactly(np.array([pair] if enough and k < num_merges else [], np.int64).reshape(-1, 2), merges[k : k + 1])


@fault(
    bpe_train,
    breaks=each_merge_is_the_most_frequent_pair_of_what_encoding_gives,
    kind="formula",
    repair="Count anew, or keep the counts up to date.",
)
def counts_once_and_for_all(symbols: Ids, offsets: Ids, counts: Ids, base: int, num_merges: int, min_count: int) -> Ids:
    """Pairs are counted before the first merge and never again."""
    found = count_pairs(checked_words(symbols, offsets, counts, base, num_merges, min_count), counts)
    ranked = sorted((-count, pair) for pair, count in found.items() if count >= max(min_count, 1))
    return np.array([pair for _, pair in ranked[:num_merges]], np.int64).reshape(-1, 2)


def _size_written_by_gage(output: int) -> int:
    """Bytes that Gage's program writes for a table of one pair (code 255, the first that does not occur).

    The table lists the 256 codes in runs. A count says that 127 codes stand for themselves, and the code behind
    them is spelled out: code 127 by itself, code 255 by its pair. Two bytes of length go before the output.
    """
    table = (1 + 1) + (1 + 2)
    return table + 2 + output


@law(examples=1)
def gage_writes_ten_bytes_for_the_six_of_ababab(bpe_train: Implementation, bpe_encode: Implementation) -> Claim:
    """Erratum. With Gage's threshold of three occurrences ababab ends as ccc, and the output together with its
    table is 10 bytes for 6.
    """
    text, offsets = np.array([97, 98] * 3), np.array([0, 6])
    merges = bpe_train(
        symbols=text, offsets=offsets, counts=np.ones(1, np.int64), base=256, num_merges=256, min_count=3
    )
    ids, _ = bpe_encode(symbols=text, offsets=offsets, merges=merges, base=256)
    return all_of(
        exactly(merges, np.array([[97, 98]])),
        exactly(ids, np.array([256, 256, 256])),
        exactly(_size_written_by_gage(len(ids)), 10),
    )


@fault(
    bpe_train,
    breaks=(gage_writes_ten_bytes_for_the_six_of_ababab, overlapping_occurrences_are_counted),
    kind="formula",
    repair="Stop below min_count.",
)
def ignores_the_threshold(symbols: Ids, offsets: Ids, counts: Ids, base: int, num_merges: int, min_count: int) -> Ids:
    """Merging goes on with pairs that occur once."""
    words = checked_words(symbols, offsets, counts, base, num_merges, min_count)
    return train_by(words, counts, base, num_merges, 1)


@law(place=st.integers(0, 30), shift=st.sampled_from([0, 1, 7]), examples=20)
def symbols_outside_the_alphabet_are_refused_in_encoding(
    bpe_encode: Implementation, symbols: Ids, offsets: Ids, merges: Ids, base: int, place: int, shift: int
) -> Claim:
    """Symbols are less than base; an id of the table is no symbol."""
    symbols, offsets = (symbols, offsets) if len(symbols) else (np.zeros(1, np.int64), np.array([0, 1]))
    wrong = rewritten(symbols, place % len(symbols), base + shift)
    return refused(bpe_encode, "symbols", {"symbols": wrong, "offsets": offsets, "merges": merges, "base": base})


@fault(
    bpe_encode,
    breaks=symbols_outside_the_alphabet_are_refused_in_encoding,
    kind="refusal",
    repair="Refuse it.",
    seen="https://github.com/huggingface/tokenizers/issues/517",
)
def ignores_unknown_symbols(symbols: Ids, offsets: Ids, merges: Ids, base: int) -> Results:
    """A symbol that is none of the alphabet leaves no trace in the code."""
    words = [[symbol for symbol in word if 0 <= symbol < base] for word in unpacked(symbols, offsets)]
    return bpe_encode(*packed(words), merges, base)


@law(examples=20)
def offsets_that_cut_no_words_are_refused(
    bpe_encode: Implementation, symbols: Ids, offsets: Ids, merges: Ids, base: int
) -> Claim:
    """Offsets begin at 0, end at the last symbol, and do not fall."""
    symbols = np.append(symbols, 0)
    offsets = np.append(offsets, len(symbols))
    rest = {"symbols": symbols, "merges": merges, "base": base}
    return all_of(
        *[
            refused(bpe_encode, "offsets", {**rest, "offsets": wrong})
            for wrong in (
                offsets[:-1],
                rewritten(offsets, 0, 1),
                np.append(offsets, len(symbols) + 1),
                np.insert(offsets, 1, len(symbols) + 1),
            )
        ]
    )


@fault(
    bpe_encode,
    breaks=offsets_that_cut_no_words_are_refused,
    kind="refusal",
    repair="Check that they cover the text.",
)
def cuts_wherever_it_is_told(symbols: Ids, offsets: Ids, merges: Ids, base: int) -> Results:
    """Offsets are taken as they come, and symbols outside them are lost."""
    cuts = offsets.tolist()
    return bpe_encode(*packed([symbols[start:end].tolist() for start, end in pairwise(cuts)]), merges, base)


@workload(bpe_encode, sizes=SIZES, cost=text_cost, grows=GROWS)
def encode_library_text(random: np.random.Generator, bytes: int, merges: int) -> Arguments:
    """The same words encoded with 8,000 merges."""
    return {**library_corpus(bytes), "merges": learned_merges(bytes, merges), "base": 256}
