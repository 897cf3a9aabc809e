"""Byte-pair encoding: the most frequent pair of neighbours becomes a symbol of its own, again and again.

Note of 2021-10-26. Gage compressed data this way (A New Algorithm for Data Compression, The C Users Journal 12(2),
1994): replace the most frequent pair of bytes by a byte that does not occur, write the pair into a table, repeat.
Sennrich, Haddow and Birch made it a tokenizer (Neural Machine Translation of Rare Words with Subword Units, 2016,
section 3.2): the table is trained on words weighted by their frequency, no pair crosses a word, and any word,
unknown ones too, is encoded by the table in the order in which it was learned. On bytes every text has a code.

Claimed: encoding loses nothing, whatever the bytes and whatever the table; encoding the training words gives the
segmentation that the trainer had reached. Not claimed: that the result is the shortest possible, or that pieces
mean anything.

Conventions. Overlapping occurrences are counted (aaa holds aa twice), and replaced from left to right without
overlap. Among equally frequent pairs the smallest (id, id) is merged; subword-nmt takes the largest pair of
strings, sentencepiece the shortest piece, minbpe the pair seen first. A piece is its row of the table: two rows
that spell the same bytes are two ids. Hugging Face's tokenizers identify a piece by its spelling, and tiktoken
merges whatever spells a piece.

Erratum. ababab -> ccc with c = ab is the textbook's compression. Gage's own program merges from three occurrences on,
so it stops there (cc occurs twice), and what it writes, table and output together, is 10 bytes for the 6. Shown by
gage_writes_ten_bytes_for_the_six_of_ababab.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from itertools import groupby, pairwise, product
from typing import Any

import numpy as np

from layerlaws import Claim, all_of, at_most, exactly, fault, law, operation, refused
from layerlaws.language import strategies as st
from layerlaws.language.inputs import rewritten, seeds
from layerlaws.language.words import library_text, library_words, packed, unpacked
from layerlaws.language.workloads import Cost, workload
from layerlaws.numerics.mathematics import require

Words = list[list[int]]

# --- inputs ---------------------------------------------------------------------------------------------------


def _letters(alphabet: str) -> st.SearchStrategy[tuple[int, Words]]:
    long = st.lists(st.text(alphabet, max_size=14), min_size=3, max_size=8)
    words = st.one_of(long, long, long, st.lists(st.text(alphabet, max_size=3), max_size=3))
    return st.builds(lambda drawn: (len(alphabet), [[alphabet.index(x) for x in word] for word in drawn]), words)


def _library(start: int, size: int) -> tuple[int, Words]:
    """Words of real text, as bytes."""
    return 256, [list(word) for word in library_text(400_000)[start : start + size].split()]


texts = st.one_of(
    _letters("ab"),
    _letters("abc"),
    st.builds(lambda words: (256, [list(w) for w in words]), st.lists(st.binary(max_size=14), min_size=2, max_size=8)),
    st.builds(_library, st.integers(0, 399_000), st.integers(20, 300)),
)
"""How many symbols there are, and words of them: few letters, so that pairs recur, any bytes, and real text."""


@st.composite
def symbol_pairs(draw: st.DrawFn) -> dict[str, Any]:
    """A text without words, a pair that mostly stands in it, and an id that need not be new."""
    base, words = draw(texts)
    symbols, _ = packed(words)
    place = draw(st.integers(0, 30))
    first, second = symbols[place : place + 2] if place + 2 <= len(symbols) else (0, base - 1)
    merged = draw(st.sampled_from([base, base, base, first, second]))
    return {"symbols": symbols, "first": int(first), "second": int(second), "merged": int(merged)}


@st.composite
def corpora(draw: st.DrawFn) -> dict[str, Any]:
    base, words = draw(texts)
    symbols, offsets = packed(words)
    drawn = np.random.default_rng(draw(seeds)).integers(0, draw(st.sampled_from([2, 4, 30])), len(words))
    counts = drawn if draw(st.booleans()) else np.ones(len(words), np.int64)
    return {
        "symbols": symbols, "offsets": offsets, "counts": counts, "base": base + draw(st.sampled_from([0, 0, 3])),
        "num_merges": draw(st.sampled_from([12, 8, 4, 2, 1, 12, 8, 4, 2, 1, 0])),
        "min_count": draw(st.sampled_from([1, 1, 2, 0, 3])),
    }  # fmt: skip


def _table(base: int, words: Words, size: int, generator: np.random.Generator, distinct: bool) -> Any:
    """A well-formed table whose rows mostly occur; distinct: no two rows spell the same."""
    rows: list[tuple[int, int]] = []
    spelled: dict[int, tuple[int, ...]] = {}

    def spelling(id: int) -> tuple[int, ...]:
        return spelled.get(id, (id,))

    while len(rows) < size:
        found = [pair for word in words for pair in pairwise(word)]
        kind = generator.random()
        row = found[generator.integers(len(found))] if found else (0, 0)
        if not found or kind < 0.1:
            row = (int(generator.integers(base + len(rows))), int(generator.integers(base + len(rows))))
        elif not distinct and kind < 0.2 and rows:
            row = rows[generator.integers(len(rows))]
        elif not distinct and kind < 0.5 and row[1] >= base:
            again = (base + len(rows), rows[row[1] - base][1])  # x (yz) is in the text: rows for xy and (xy) z
            rows, row = [*rows, (row[0], rows[row[1] - base][0])], again
            spelled[again[0]] = spelling(rows[-1][0]) + spelling(rows[-1][1])
            words = [_replaced(word, *rows[-1], again[0]) for word in words]
        both = spelling(row[0]) + spelling(row[1])
        if distinct and both in spelled.values():
            size -= 1
            continue
        spelled[base + len(rows)] = both
        words = [_replaced(word, *row, base + len(rows)) for word in words]
        rows.append(row)
    return np.array(rows, np.int64).reshape(-1, 2)


@st.composite
def tables_and_texts(draw: st.DrawFn, distinct: bool = True) -> dict[str, Any]:
    base, words = draw(texts)
    base += draw(st.sampled_from([0, 0, 3]))
    merges = _table(base, words, draw(st.integers(0, 8)), np.random.default_rng(draw(seeds)), distinct)
    symbols, offsets = packed(words)
    return {"symbols": symbols, "offsets": offsets, "merges": merges, "base": base}


@st.composite
def respelled_texts(draw: st.DrawFn) -> dict[str, Any]:
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


@st.composite
def encoded_texts(draw: st.DrawFn) -> dict[str, Any]:
    """Any ids that a table gives a meaning, whether or not encoding would ever write them."""
    drawn = draw(tables_and_texts())
    generator = np.random.default_rng(draw(seeds))
    limit = drawn["base"] + len(drawn["merges"])
    ids = generator.integers(max(0, limit - 12), limit, len(drawn["symbols"]))
    return {"ids": ids, "offsets": drawn["offsets"], "merges": drawn["merges"], "base": drawn["base"]}


# --- definitions ----------------------------------------------------------------------------------------------


@operation(inputs=symbol_pairs())
def replace_pair(symbols: Any, first: int, second: int, merged: int) -> Any:
    """Every first, second becomes merged: read from left to right, without overlap, and nothing is read twice.

    symbols (N,)  ->  (N',)
    """
    return np.array(_replaced(symbols.tolist(), first, second, merged), np.int64)


@operation(inputs=corpora())
def bpe_train(symbols: Any, offsets: Any, counts: Any, base: int, num_merges: int, min_count: int) -> Any:
    """The most frequent pair inside words becomes id base + k, for k = 0, 1, ..., and pairs are counted again.

    symbols (N,), offsets (W + 1,), counts (W,) how often each word occurs  ->  (M, 2), M <= num_merges

    Of equally frequent pairs the smallest (id, id); fewer rows where no pair occurs, or none min_count times.
    """
    words = _words(symbols, offsets, base)
    require(len(counts) == len(words), f"counts has {len(counts)} entries for {len(words)} words")
    require(counts >= 0, "counts must not be negative")
    require(num_merges >= 0, "num_merges must not be negative")
    require(min_count >= 0, "min_count must not be negative")
    merges: list[tuple[int, int]] = []
    while len(merges) < num_merges:
        pair, count = _most_frequent(words, counts)
        if count < max(min_count, 1):
            break
        words = [_replaced(word, *pair, base + len(merges)) for word in words]
        merges.append(pair)
    return np.array(merges, np.int64).reshape(-1, 2)


@operation(inputs=tables_and_texts())
def bpe_encode(symbols: Any, offsets: Any, merges: Any, base: int) -> Any:
    """In each word the pair that stands first in the table is merged wherever it occurs, until none is left.

    symbols (N,), offsets (W + 1,), merges (M, 2), merges[k] < base + k  ->  ids (N',), offsets (W + 1,)

    Of equal rows the first counts.
    """
    words, rows = _words(symbols, offsets, base), _rows(merges, base)
    return packed(_encoded(word, rows, base) for word in words)


@operation(inputs=encoded_texts())
def bpe_decode(ids: Any, offsets: Any, merges: Any, base: int) -> Any:
    """Id base + k is spelled as the two ids of row k, and those in turn, down to symbols.

    ids (N',), offsets (W + 1,), merges (M, 2), merges[k] < base + k  ->  symbols (N,), offsets (W + 1,)
    """
    rows = _rows(merges, base)
    return packed(_spelled(word, rows, base) for word in _words(ids, offsets, base + len(rows), "ids"))


def _words(symbols: Any, offsets: Any, count: int, name: str = "symbols") -> Words:
    require((symbols >= 0) & (symbols < count), f"{name} must lie in [0, {count})")
    return unpacked(symbols, offsets)


def _rows(merges: Any, base: int) -> list[tuple[int, int]]:
    require(merges.ndim == 2 and merges.shape[1] == 2, f"merges must be pairs, not of shape {merges.shape}")
    known = base + np.arange(len(merges))[:, None]
    require((merges >= 0) & (merges < known), "merges may join only symbols and ids of earlier rows")
    return [(first, second) for first, second in merges.tolist()]


def _replaced(word: Sequence[int], first: int, second: int, merged: int) -> list[int]:
    written, place = [], 0
    while place < len(word):
        found = place + 1 < len(word) and word[place] == first and word[place + 1] == second
        written.append(merged if found else word[place])
        place += 2 if found else 1
    return written


def _most_frequent(words: Iterable[Sequence[int]], counts: Any) -> tuple[tuple[int, int], int]:
    """The pair that occurs most often, the smallest among equals, and how often; 0 times where there is none."""
    return min(_found(words, counts).items(), key=lambda item: (-item[1], item[0]), default=((0, 0), 0))


def _found(words: Iterable[Sequence[int]], counts: Any) -> Counter[tuple[int, int]]:
    """How often each pair occurs, overlapping occurrences too, in the order in which pairs are first seen."""
    found: Counter[tuple[int, int]] = Counter()
    for word, count in zip(words, counts.tolist(), strict=True):
        for pair in pairwise(word):
            found[pair] += count
    return found


def _encoded(word: list[int], rows: list[tuple[int, int]], base: int) -> list[int]:
    while found := set(pairwise(word)).intersection(rows):
        rank = min(rows.index(pair) for pair in found)
        word = _replaced(word, *rows[rank], base + rank)
    return word


def _spelled(word: list[int], rows: list[tuple[int, int]], base: int) -> list[int]:
    written, unread = [], word[::-1]
    while unread:
        id = unread.pop()
        if id < base:
            written.append(id)
        else:
            first, second = rows[id - base]
            unread += [second, first]
    return written


# --- laws: replacing a pair -----------------------------------------------------------------------------------


@law(examples=1)
def ababab_becomes_ccc(replace_pair: Any) -> Claim:
    """With c for ab, ababab is ccc."""
    return exactly(replace_pair(symbols=np.array([0, 1] * 3), first=0, second=1, merged=2), np.array([2, 2, 2]))


@law(length=st.integers(0, 40))
def a_run_is_merged_from_the_left(replace_pair: Any, length: int) -> Claim:
    """With c for aa, aaa is ca, and a run of any length is as many c as fit, and one a behind them where it is odd."""
    run = replace_pair(symbols=np.zeros(length, np.int64), first=0, second=0, merged=1)
    return exactly(run, np.array([1] * (length // 2) + [0] * (length % 2), np.int64))


@law()
def the_length_drops_by_what_does_not_overlap(replace_pair: Any, symbols: Any, first: int, second: int) -> Claim:
    """The result is shorter by the occurrences that do not overlap, half of a run (rounded down) where the pair is
    one symbol twice, and holds the new symbol as often.
    """
    new = int(symbols.max(initial=max(first, second))) + 1
    read = symbols.tolist()
    runs = sum(len(list(run)) // 2 for symbol, run in groupby(read) if symbol == first)
    occurrences = runs if first == second else sum(pair == (first, second) for pair in pairwise(read))
    result = replace_pair(symbols=symbols, first=first, second=second, merged=new)
    return exactly(np.array([len(symbols) - len(result), (result == new).sum()]), np.array([occurrences] * 2))


@law(length=st.integers(2, 9))
def what_is_written_is_not_read_again(replace_pair: Any, length: int) -> Claim:
    """Replacing ab by a takes one b from every a, however many follow: abb becomes ab, not a."""
    symbols = np.array([0, *[1] * length], np.int64)
    return exactly(replace_pair(symbols=symbols, first=0, second=1, merged=0), symbols[:-1])


SHORT = [word for length in range(11) for word in product((0, 1), repeat=length)]
"""All strings over two symbols up to length 10."""


@law(examples=1)
def every_short_string_is_replaced_as_by_the_loop(replace_pair: Any) -> Claim:
    """On all strings of two symbols up to length 10 each of the four pairs is replaced as by reading symbol by
    symbol.
    """
    text = np.array([symbol for word in SHORT for symbol in (*word, 2)], np.int64)  # 2 keeps them apart

    def claim(first: int, second: int) -> Claim:
        call = {"symbols": text, "first": first, "second": second, "merged": 3}
        return exactly(replace_pair(**call), replace_pair.definition(**call))

    return all_of(*[claim(first, second) for first, second in product((0, 1), repeat=2)])


# --- laws: encoding -------------------------------------------------------------------------------------------


@law(examples=1)
def every_short_string_is_encoded_as_by_the_loop(bpe_encode: Any) -> Claim:
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
    bpe_encode: Any, replace_pair: Any, symbols: Any, offsets: Any, merges: Any, base: int
) -> Claim:
    """Since a row joins only what earlier rows made, encoding is replacing one row's pair after the other."""
    end = base + len(merges)  # an id of its own behind every word
    text = np.insert(symbols, offsets[1:], end)
    for k, (first, second) in enumerate(merges.tolist()):
        text = replace_pair(symbols=text, first=first, second=second, merged=base + k)
    ids, ends = bpe_encode(symbols=symbols, offsets=offsets, merges=merges, base=base)
    return exactly(np.insert(ids, ends[1:], end), text)


@law()
def decoding_undoes_encoding(
    bpe_encode: Any, bpe_decode: Any, symbols: Any, offsets: Any, merges: Any, base: int
) -> Claim:
    """Whatever the symbols and whatever the table, decoding gives back every word."""
    ids, ends = bpe_encode(symbols=symbols, offsets=offsets, merges=merges, base=base)
    return exactly(bpe_decode(ids=ids, offsets=ends, merges=merges, base=base), (symbols, offsets))


@law(examples=5, seed=seeds)
def every_byte_and_every_word_survives(bpe_encode: Any, bpe_decode: Any, seed: int) -> Claim:
    """All 256 bytes, runs of spaces, bytes that are no UTF-8, and empty words come back from encoding and decoding."""
    drawn = [b"", bytes(range(256)), b"  ", b"    ", b"\xc3\x28 \xff\xfe \xed\xa0\x80", b"", "naïve 😀".encode(), b""]
    words = [list(word) for word in drawn]
    symbols, offsets = packed(words)
    merges = _table(256, words, 30, np.random.default_rng(seed), distinct=True)
    ids, ends = bpe_encode(symbols=symbols, offsets=offsets, merges=merges, base=256)
    return exactly(bpe_decode(ids=ids, offsets=ends, merges=merges, base=256), (symbols, offsets))


@law()
def more_merges_never_make_a_word_longer(bpe_encode: Any, symbols: Any, offsets: Any, merges: Any, base: int) -> Claim:
    """Row by row of the table, no word gets longer."""
    lengths = [np.diff(bpe_encode(symbols=symbols, offsets=offsets, merges=merges[:rows], base=base)[1])
               for rows in range(len(merges) + 1)]  # fmt: skip
    return at_most(np.stack(lengths[1:] + lengths[-1:]), np.stack(lengths))


@law(word=st.integers(0, 20))
def a_word_is_encoded_without_its_neighbours(
    bpe_encode: Any, symbols: Any, offsets: Any, merges: Any, base: int, word: int
) -> Claim:
    """A word's ids are the same alone as among others."""
    words = unpacked(symbols, offsets) or [[]]
    chosen = word % len(words)
    alone, _ = bpe_encode(**dict(zip(("symbols", "offsets"), packed([words[chosen]]), strict=True)),
                          merges=merges, base=base)  # fmt: skip
    ids, ends = bpe_encode(symbols=symbols, offsets=offsets, merges=merges, base=base)
    return exactly(alone, ids[slice(*ends[chosen : chosen + 2])])


@law()
def no_merge_crosses_a_word(bpe_encode: Any, symbols: Any, merges: Any, base: int) -> Claim:
    """Cut into words of one symbol each, a text is encoded as it stands."""
    offsets = np.arange(len(symbols) + 1)
    return exactly(bpe_encode(symbols=symbols, offsets=offsets, merges=merges, base=base), (symbols, offsets))


@law(seed=seeds)
def permuted_words_give_permuted_results(
    bpe_encode: Any, symbols: Any, offsets: Any, merges: Any, base: int, seed: int
) -> Claim:
    """Words in another order are encoded in that order."""
    order = np.random.default_rng(seed).permutation(len(offsets) - 1)

    def permuted(symbols: Any, offsets: Any) -> Any:
        words = unpacked(symbols, offsets)
        return packed([words[w] for w in order])

    moved_symbols, moved_offsets = permuted(symbols, offsets)
    result = bpe_encode(symbols=moved_symbols, offsets=moved_offsets, merges=merges, base=base)
    return exactly(result, permuted(*bpe_encode(symbols=symbols, offsets=offsets, merges=merges, base=base)))


@law(repeated=st.integers(0, 20))
def of_equal_merges_the_first_counts(
    bpe_encode: Any, symbols: Any, offsets: Any, merges: Any, base: int, repeated: int
) -> Claim:
    """A row that stands in the table already has no effect when it is written below once more."""
    again = np.concatenate([merges, merges[repeated % len(merges) :][:1]]) if len(merges) else merges
    once = bpe_encode(symbols=symbols, offsets=offsets, merges=merges, base=base)
    return exactly(bpe_encode(symbols=symbols, offsets=offsets, merges=again, base=base), once)


@law(inputs=respelled_texts())
def rows_that_spell_the_same_stay_apart(
    bpe_encode: Any, bpe_decode: Any, symbols: Any, offsets: Any, merges: Any, base: int
) -> Claim:
    """A row joins its two ids, not whatever spells them: (ab)c and a(bc) are two ids, also for what follows; and
    decoding undoes encoding with such a table, too.
    """
    words, rows = unpacked(symbols, offsets), _rows(merges, base)
    for k, row in enumerate(rows):
        words = [_replaced(word, *row, base + k) for word in words]
    ids, ends = bpe_encode(symbols=symbols, offsets=offsets, merges=merges, base=base)
    text = bpe_decode(ids=ids, offsets=ends, merges=merges, base=base)
    return all_of(exactly((ids, ends), packed(words)), exactly(text, (symbols, offsets)))


# --- laws: training -------------------------------------------------------------------------------------------


@law(step=st.integers(0, 30))
def each_merge_is_the_most_frequent_pair_of_what_encoding_gives(
    bpe_train: Any, bpe_encode: Any, symbols: Any, offsets: Any, counts: Any, base: int, num_merges: int,
    min_count: int, step: int,
) -> Claim:  # fmt: skip
    """Encoding the training words reproduces the trainer's segmentation: encoded with the first k rows, their most
    frequent pair is row k, and when the table ends early no pair is frequent enough.
    """
    merges = bpe_train(symbols=symbols, offsets=offsets, counts=counts, base=base, num_merges=num_merges,
                       min_count=min_count)  # fmt: skip
    k = step % (len(merges) + 1)
    pair, count = _most_frequent(
        unpacked(*bpe_encode(symbols=symbols, offsets=offsets, merges=merges[:k], base=base)), counts
    )
    enough = count >= max(min_count, 1)
    return exactly(np.array([pair] if enough and k < num_merges else [], np.int64).reshape(-1, 2), merges[k : k + 1])


@law()
def a_table_is_the_beginning_of_every_longer_one(
    bpe_train: Any, symbols: Any, offsets: Any, counts: Any, base: int, num_merges: int, min_count: int
) -> Claim:
    """One more merge leaves those before it as they are."""
    corpus = {"symbols": symbols, "offsets": offsets, "counts": counts, "base": base, "min_count": min_count}
    table, longer = (bpe_train(**corpus, num_merges=rows) for rows in (num_merges, num_merges + 1))
    return exactly(longer[: len(table)], table)


@law(rise=st.integers(1, 3))
def a_higher_threshold_only_ends_the_table_earlier(
    bpe_train: Any, symbols: Any, offsets: Any, counts: Any, base: int, num_merges: int, min_count: int, rise: int
) -> Claim:
    """The most frequent pair gets no more frequent, so a higher min_count cuts the table off and changes no row."""
    corpus = {"symbols": symbols, "offsets": offsets, "counts": counts, "base": base, "num_merges": num_merges}
    table, shorter = (bpe_train(**corpus, min_count=least) for least in (min_count, min_count + rise))
    return exactly(table[: len(shorter)], shorter)


@law(inputs=corpora(), seed=seeds)
def counts_weigh_as_repetition(
    bpe_train: Any, symbols: Any, offsets: Any, counts: Any, base: int, num_merges: int, min_count: int, seed: int
) -> Claim:
    """A word that counts n times is n words that count once, wherever they stand."""
    words = unpacked(symbols, offsets)
    order = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(words)), counts))
    copies, ends = packed([words[w] for w in order])
    rest = {"base": base, "num_merges": num_merges, "min_count": min_count}
    repeated = bpe_train(symbols=copies, offsets=ends, counts=np.ones(len(order), np.int64), **rest)
    return exactly(bpe_train(symbols=symbols, offsets=offsets, counts=counts, **rest), repeated)


@law(scale=st.integers(30, 50))
def only_proportions_of_counts_matter(
    bpe_train: Any, symbols: Any, offsets: Any, counts: Any, base: int, num_merges: int, min_count: int, scale: int
) -> Claim:
    """A billion times as many words, and a threshold as much higher, train the same table."""
    rest = {"symbols": symbols, "offsets": offsets, "base": base, "num_merges": num_merges}
    small = bpe_train(**rest, counts=counts, min_count=max(min_count, 1))
    return exactly(bpe_train(**rest, counts=counts << scale, min_count=max(min_count, 1) << scale), small)


@law(pairs=st.integers(1, 6), seed=seeds)
def among_equally_frequent_pairs_the_smallest_is_merged(bpe_train: Any, pairs: int, seed: int) -> Claim:
    """Words of two symbols that occur once each are merged in the order of their symbols."""
    generator = np.random.default_rng(seed)
    words = np.stack(np.divmod(generator.choice(25, pairs, replace=False), 5), axis=1)
    table = bpe_train(symbols=words.reshape(-1), offsets=np.arange(0, 2 * pairs + 1, 2),
                      counts=np.ones(pairs, np.int64), base=5, num_merges=pairs, min_count=1)  # fmt: skip
    return exactly(table, words[np.lexsort((words[:, 1], words[:, 0]))])


@law(length=st.integers(2, 9))
def overlapping_occurrences_are_counted(bpe_train: Any, length: int) -> Claim:
    """A run of n symbols holds their pair n - 1 times: it is merged at that threshold, and not above it."""
    run = {"symbols": np.zeros(length, np.int64), "offsets": np.array([0, length]), "counts": np.ones(1, np.int64)}
    table, none = (bpe_train(**run, base=1, num_merges=1, min_count=least) for least in (length - 1, length))
    return all_of(exactly(table, np.array([[0, 0]])), exactly(len(none), 0))


@law()
def words_of_one_symbol_train_nothing(bpe_train: Any, symbols: Any, base: int) -> Claim:
    """No pair reaches from one word into the next: a text cut into single symbols has none."""
    table = bpe_train(symbols=symbols, offsets=np.arange(len(symbols) + 1), counts=np.ones(len(symbols), np.int64),
                      base=base, num_merges=3, min_count=1)  # fmt: skip
    return exactly(len(table), 0)


@law()
def no_two_merges_spell_the_same(
    bpe_train: Any, bpe_decode: Any, symbols: Any, offsets: Any, counts: Any, base: int, num_merges: int, min_count: int
) -> Claim:
    """A trained piece is made in one way only: merges that never cross its ends treat it alike wherever it stands."""
    merges = bpe_train(symbols=symbols, offsets=offsets, counts=counts, base=base, num_merges=num_merges,
                       min_count=min_count)  # fmt: skip
    ids = np.arange(len(merges)) + base
    spelled, ends = bpe_decode(ids=ids, offsets=np.arange(len(ids) + 1), merges=merges, base=base)
    pieces = {tuple(piece) for piece in unpacked(spelled, ends)}
    return exactly(len(pieces), len(merges))


@law(examples=2, start=st.integers(0, 300_000), size=st.integers(15_000, 25_000))
def real_text_is_trained_encoded_and_decoded_as_defined(
    bpe_train: Any, bpe_encode: Any, bpe_decode: Any, start: int, size: int
) -> Claim:
    """On some thousand words of Python's documentation, 40 merges are those of the plain loop, and so is the code."""
    base, words = _library(start, size)
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


def _size_written_by_gage(output: int) -> int:
    """Bytes that Gage's program writes for a table of one pair (code 255, the first that does not occur).

    The table lists the 256 codes in runs. A count says that 127 codes stand for themselves, and the code behind
    them is spelled out: code 127 by itself, code 255 by its pair. Two bytes of length go before the output.
    """
    table = (1 + 1) + (1 + 2)
    return table + 2 + output


@law(examples=1)
def gage_writes_ten_bytes_for_the_six_of_ababab(bpe_train: Any, bpe_encode: Any) -> Claim:
    """Erratum. With Gage's threshold of three occurrences ababab ends as ccc, and the output together with its
    table is 10 bytes for 6.
    """
    text, offsets = np.array([97, 98] * 3), np.array([0, 6])
    merges = bpe_train(symbols=text, offsets=offsets, counts=np.ones(1, np.int64), base=256, num_merges=256,
                       min_count=3)  # fmt: skip
    ids, _ = bpe_encode(symbols=text, offsets=offsets, merges=merges, base=256)
    return all_of(
        exactly(merges, np.array([[97, 98]])),
        exactly(ids, np.array([256, 256, 256])),
        exactly(_size_written_by_gage(len(ids)), 10),
    )


# --- laws: decoding, and what is refused ----------------------------------------------------------------------


@law(row=st.integers(0, 9))
def an_id_spells_its_pair(bpe_decode: Any, merges: Any, base: int, row: int) -> Claim:
    """The id of a row is spelled as the first id of its pair, then the second."""
    id = base + row % max(len(merges), 1)
    pair = merges[id - base] if len(merges) else np.array([], np.int64)
    one = bpe_decode(ids=np.array([id][: len(merges)], np.int64), offsets=np.array([0, min(1, len(merges))]),
                     merges=merges, base=base)  # fmt: skip
    two = bpe_decode(ids=pair, offsets=np.array([0, len(pair)]), merges=merges, base=base)
    return exactly(one, two)


@law(place=st.integers(0, 30), shift=st.sampled_from([0, 1, 7]), examples=20)
def ids_without_a_row_are_refused(
    bpe_decode: Any, ids: Any, offsets: Any, merges: Any, base: int, place: int, shift: int
) -> Claim:
    """No id beyond the table has a spelling."""
    ids, offsets = (ids, offsets) if len(ids) else (np.zeros(1, np.int64), np.array([0, 1]))
    wrong = rewritten(ids, place % len(ids), base + len(merges) + shift)
    return refused(bpe_decode, "ids", {"ids": wrong, "offsets": offsets, "merges": merges, "base": base})


@law(row=st.integers(0, 9), shift=st.sampled_from([0, 1, -99]), side=st.integers(0, 1), examples=20)
def tables_that_look_ahead_are_refused(
    bpe_encode: Any, bpe_decode: Any, symbols: Any, offsets: Any, merges: Any, base: int, row: int, shift: int,
    side: int,
) -> Claim:  # fmt: skip
    """A row may join only symbols and the ids of rows above it: not its own id, no later one, none below 0."""
    merges = merges if len(merges) else np.zeros((1, 2), np.int64)
    row %= len(merges)
    wrong = rewritten(merges, (row, side), -1 if shift < 0 else base + row + shift)
    rest = {"offsets": offsets, "merges": wrong, "base": base}
    return all_of(refused(bpe_encode, "merges", {"symbols": symbols, **rest}),
                  refused(bpe_decode, "merges", {"ids": symbols, **rest}))  # fmt: skip


@law(place=st.integers(0, 30), shift=st.sampled_from([0, 1, 7]), examples=20)
def symbols_outside_the_alphabet_are_refused_in_encoding(
    bpe_encode: Any, symbols: Any, offsets: Any, merges: Any, base: int, place: int, shift: int
) -> Claim:
    """Symbols are less than base; an id of the table is no symbol."""
    symbols, offsets = (symbols, offsets) if len(symbols) else (np.zeros(1, np.int64), np.array([0, 1]))
    wrong = rewritten(symbols, place % len(symbols), base + shift)
    return refused(bpe_encode, "symbols", {"symbols": wrong, "offsets": offsets, "merges": merges, "base": base})


@law(place=st.integers(0, 30), shift=st.sampled_from([0, 1, 7]), examples=20)
def symbols_outside_the_alphabet_are_refused_in_training(
    bpe_train: Any, inputs: dict[str, Any], place: int, shift: int
) -> Claim:
    """Symbols are less than base, where the new ids begin."""
    word = {"symbols": np.zeros(1, np.int64), "offsets": np.array([0, 1]), "counts": np.ones(1, np.int64)}
    corpus = inputs if len(inputs["symbols"]) else {**inputs, **word}
    wrong = rewritten(corpus["symbols"], place % len(corpus["symbols"]), corpus["base"] + shift)
    return refused(bpe_train, "symbols", {**corpus, "symbols": wrong})


@law(examples=20)
def offsets_that_cut_no_words_are_refused(bpe_encode: Any, symbols: Any, offsets: Any, merges: Any, base: int) -> Claim:
    """Offsets begin at 0, end at the last symbol, and do not fall."""
    symbols = np.append(symbols, 0)
    offsets = np.append(offsets, len(symbols))
    rest = {"symbols": symbols, "merges": merges, "base": base}
    return all_of(*[
        refused(bpe_encode, "offsets", {**rest, "offsets": wrong})
        for wrong in (offsets[:-1], rewritten(offsets, 0, 1), np.append(offsets, len(symbols) + 1),
                      np.insert(offsets, 1, len(symbols) + 1))
    ])  # fmt: skip


@law(examples=20)
def counts_and_limits_that_mean_nothing_are_refused(bpe_train: Any, inputs: dict[str, Any]) -> Claim:
    """There is one count for each word, and no count, number of merges or threshold is negative."""
    counts = inputs["counts"]
    negative = [] if not len(counts) else [refused(bpe_train, "counts", {**inputs, "counts": counts - counts[0] - 1})]
    return all_of(
        refused(bpe_train, "counts", {**inputs, "counts": np.append(counts, 1)}),
        refused(bpe_train, "num_merges", {**inputs, "num_merges": -1}),
        refused(bpe_train, "min_count", {**inputs, "min_count": -1}),
        *negative,
    )


# --- faults ---------------------------------------------------------------------------------------------------


@fault(replace_pair, breaks=("a_run_is_merged_from_the_left", "the_length_drops_by_what_does_not_overlap",
                             "every_short_string_is_replaced_as_by_the_loop"),
       seen="https://github.com/karpathy/minbpe/pull/38")  # fmt: skip
def replaces_every_match(symbols: Any, first: int, second: int, merged: int) -> Any:
    """Matches are marked all at once and all replaced, overlapping ones too. In a run take every second one."""
    hits = np.flatnonzero((symbols[:-1] == first) & (symbols[1:] == second))
    left = np.ones(len(symbols), bool)
    left[hits + 1] = False
    result = symbols.copy()
    result[hits] = merged
    return result[left | (result == merged)]


@fault(replace_pair, breaks=("a_run_is_merged_from_the_left", "every_short_string_is_replaced_as_by_the_loop"))
def replaces_from_the_right(symbols: Any, first: int, second: int, merged: int) -> Any:
    """Of an odd run the first symbol stays, because it is read from its end. Read from the left."""
    return np.array(_replaced(symbols[::-1].tolist(), second, first, merged)[::-1], np.int64)


@fault(replace_pair, breaks="ababab_becomes_ccc")
def replaces_the_first_occurrence_only(symbols: Any, first: int, second: int, merged: int) -> Any:
    """One occurrence is replaced and the rest left. Go on to the end."""
    for place, pair in enumerate(pairwise(symbols.tolist())):
        if pair == (first, second):
            return np.concatenate([symbols[:place], [merged], symbols[place + 2 :]])
    return symbols.copy()


@fault(replace_pair, breaks="what_is_written_is_not_read_again")
def reads_what_it_wrote(symbols: Any, first: int, second: int, merged: int) -> Any:
    """A pair is looked for in the output, where the new symbol may begin one. Look in the input only."""
    written: list[int] = []
    for symbol in symbols.tolist():
        found = written[-1:] == [first] and symbol == second
        written[-1 if found else len(written) :] = [merged if found else symbol]
    return np.array(written, np.int64)


def _by_word(symbols: Any, offsets: Any, merges: Any, base: int, encode: Any) -> Any:
    """Each word encoded by `encode`, after the checks that are not the point of a fault."""
    rows = _rows(merges, base)
    return packed(encode(word, rows) for word in _words(symbols, offsets, base))


@fault(bpe_encode, breaks=("the_table_is_applied_from_top_to_bottom", "every_short_string_is_encoded_as_by_the_loop"))
def merges_the_leftmost_pair_first(symbols: Any, offsets: Any, merges: Any, base: int) -> Any:
    """The first pair from the left that stands in the table is merged. Take the one that stands first in the table."""

    def encode(word: list[int], rows: list[tuple[int, int]]) -> list[int]:
        place = 0
        while place + 1 < len(word):
            pair = (word[place], word[place + 1])
            if pair in rows:
                word = [*word[:place], base + rows.index(pair), *word[place + 2 :]]
                place = 0
            else:
                place += 1
        return word

    return _by_word(symbols, offsets, merges, base, encode)


@fault(bpe_encode, breaks="more_merges_never_make_a_word_longer")
def applies_the_table_from_its_end(symbols: Any, offsets: Any, merges: Any, base: int) -> Any:
    """The pair that stands last in the table goes first. Rank by the order in which merges were learned."""

    def encode(word: list[int], rows: list[tuple[int, int]]) -> list[int]:
        while found := set(pairwise(word)).intersection(rows):
            rank = max(rows.index(pair) for pair in found)
            word = _replaced(word, *rows[rank], base + rank)
        return word

    return _by_word(symbols, offsets, merges, base, encode)


@fault(bpe_encode, breaks="of_equal_merges_the_first_counts")
def takes_the_last_of_equal_merges(symbols: Any, offsets: Any, merges: Any, base: int) -> Any:
    """A dictionary from pairs to ranks is overwritten by later equal rows. Keep the first rank."""

    def encode(word: list[int], rows: list[tuple[int, int]]) -> list[int]:
        ranks = {row: k for k, row in enumerate(rows)}
        while found := set(pairwise(word)).intersection(rows):
            rank = min(ranks[pair] for pair in found)
            word = _replaced(word, *rows[rank], base + rank)
        return word

    return _by_word(symbols, offsets, merges, base, encode)


@fault(bpe_encode, breaks="rows_that_spell_the_same_stay_apart",
       seen="https://github.com/karpathy/minbpe/issues/11")  # fmt: skip
def merges_whatever_spells_a_piece(symbols: Any, offsets: Any, merges: Any, base: int) -> Any:
    """Two neighbours are merged if together they spell a piece, however that one was made. Compare pairs of ids."""

    def encode(word: list[int], rows: list[tuple[int, int]]) -> list[int]:
        pieces = [_spelled([base + k], rows, base) for k in range(len(rows))]
        while True:
            spelled = {pair: _spelled(list(pair), rows, base) for pair in pairwise(word)}
            found = {pieces.index(both): pair for pair, both in spelled.items() if both in pieces}
            if not found:
                return word
            word = _replaced(word, *found[min(found)], base + min(found))

    return _by_word(symbols, offsets, merges, base, encode)


@fault(bpe_encode, breaks=("no_merge_crosses_a_word", "a_word_is_encoded_without_its_neighbours"),
       seen="https://github.com/rasbt/LLMs-from-scratch/issues/558")  # fmt: skip
def encodes_words_as_one(symbols: Any, offsets: Any, merges: Any, base: int) -> Any:
    """Neighbouring words are encoded in one piece, and merges reach across their border. Encode them one by one."""
    words, rows = _words(symbols, offsets, base), _rows(merges, base)
    ids = _encoded([symbol for word in words for symbol in word], rows, base)
    lengths = np.cumsum([0, *(len(_spelled([id], rows, base)) for id in ids)])
    return np.array(ids, np.int64), np.searchsorted(lengths, offsets)


@fault(bpe_encode, breaks="permuted_words_give_permuted_results")
def returns_the_distinct_words_sorted(symbols: Any, offsets: Any, merges: Any, base: int) -> Any:
    """Words are sorted to find equal ones, and the results come in that order. Undo the sorting."""
    ids, ends = bpe_encode(symbols, offsets, merges, base)
    order = sorted(range(len(offsets) - 1), key=lambda w: symbols[slice(*offsets[w : w + 2])].tolist())
    words = unpacked(ids, ends)
    return packed([words[w] for w in order])


@fault(bpe_encode, breaks="every_byte_and_every_word_survives",
       seen="https://github.com/dotnet/machinelearning/issues/7715")  # fmt: skip
def drops_spaces(symbols: Any, offsets: Any, merges: Any, base: int) -> Any:
    """Spaces find no place in the code and are left out without a word. Every byte has an id."""
    return _by_word(symbols, offsets, merges, base,
                    lambda word, rows: _encoded([symbol for symbol in word if symbol != 32], rows, base))  # fmt: skip


@fault(bpe_encode, breaks="every_byte_and_every_word_survives")
def drops_empty_words(symbols: Any, offsets: Any, merges: Any, base: int) -> Any:
    """Words without symbols vanish, and all later ones move up. An empty word has an empty code."""
    ids, ends = bpe_encode(symbols, offsets, merges, base)
    return ids, np.unique(ends)


@fault(bpe_decode, breaks="every_byte_and_every_word_survives",
       seen="https://github.com/tensorflow/swift-models/pull/571")  # fmt: skip
def replaces_what_is_no_utf8(ids: Any, offsets: Any, merges: Any, base: int) -> Any:
    """Decoded bytes pass through a string, and what is no UTF-8 becomes a replacement character. Return bytes."""
    words = unpacked(*bpe_decode(ids, offsets, merges, base))
    return packed(bytes(word).decode(errors="replace").encode() if base == 256 else word for word in words)


@fault(bpe_decode, breaks="every_byte_and_every_word_survives",
       seen="https://github.com/huggingface/tokenizers/issues/817")  # fmt: skip
def rounds_even_runs_of_spaces_up(ids: Any, offsets: Any, merges: Any, base: int) -> Any:
    """An even number of spaces comes back odd: pieces of spaces are joined by one more. Join without separator."""

    def spaced(word: list[int]) -> list[int]:
        runs = [list(run) for _, run in groupby(word)]
        return [symbol for run in runs for symbol in ([*run, 32] if run[0] == 32 and len(run) % 2 == 0 else run)]

    return packed(map(spaced, unpacked(*bpe_decode(ids, offsets, merges, base))))


@fault(bpe_decode, breaks=("decoding_undoes_encoding", "an_id_spells_its_pair"))
def spells_pairs_backwards(ids: Any, offsets: Any, merges: Any, base: int) -> Any:
    """The second half of a pair comes out before the first. A stack gives back last what was put there first."""
    rows = [(second, first) for first, second in _rows(merges, base)]
    return packed(_spelled(word, rows, base) for word in _words(ids, offsets, base + len(rows), "ids"))


@fault(bpe_decode, breaks="ids_without_a_row_are_refused",
       seen="https://github.com/huggingface/transformers/issues/20781")  # fmt: skip
def skips_unknown_ids(ids: Any, offsets: Any, merges: Any, base: int) -> Any:
    """Ids that no row has are left out of the text without a word. Refuse them."""
    rows = _rows(merges, base)
    words = [[id for id in word if 0 <= id < base + len(rows)] for word in unpacked(ids, offsets)]
    return packed(_spelled(word, rows, base) for word in words)


@fault(bpe_encode, breaks="tables_that_look_ahead_are_refused")
def accepts_any_table(symbols: Any, offsets: Any, merges: Any, base: int) -> Any:
    """A row that names an id nobody has made is passed over. Check the table first."""
    known = base + np.arange(len(merges))[:, None]
    sound = np.where(((merges >= 0) & (merges < known)).all(axis=1, keepdims=True), merges, 0)
    return bpe_encode(symbols, offsets, sound, base)


@fault(bpe_encode, breaks="symbols_outside_the_alphabet_are_refused_in_encoding",
       seen="https://github.com/huggingface/tokenizers/issues/517")  # fmt: skip
def ignores_unknown_symbols(symbols: Any, offsets: Any, merges: Any, base: int) -> Any:
    """A symbol that is none of the alphabet leaves no trace in the code. Refuse it."""
    words = [[symbol for symbol in word if 0 <= symbol < base] for word in unpacked(symbols, offsets)]
    return bpe_encode(*packed(words), merges, base)


@fault(bpe_encode, breaks="offsets_that_cut_no_words_are_refused")
def cuts_wherever_it_is_told(symbols: Any, offsets: Any, merges: Any, base: int) -> Any:
    """Offsets are taken as they come, and symbols outside them are lost. Check that they cover the text."""
    cuts = offsets.tolist()
    return bpe_encode(*packed([symbols[start:end].tolist() for start, end in pairwise(cuts)]), merges, base)


Choice = tuple[tuple[int, int], int]


def _trained(
    words: Words, counts: Any, base: int, num_merges: int, least: int, choose: Any = _most_frequent,
    replaced: Any = _replaced,
) -> Any:  # fmt: skip
    """Training with the knobs that faults turn: how the next pair is chosen, and how it is replaced."""
    merges: list[tuple[int, int]] = []
    while len(merges) < num_merges:
        pair, count = choose(words, counts)
        if count < max(least, 1):
            break
        words = [replaced(word, *pair, base + len(merges)) for word in words]
        merges.append(pair)
    return np.array(merges, np.int64).reshape(-1, 2)


def _checked(symbols: Any, offsets: Any, counts: Any, base: int, num_merges: int, min_count: int) -> Words:
    """The words, after the definition's own checks."""
    bpe_train(symbols, offsets, counts, base, min(num_merges, 0), min_count)  # trains nothing
    return unpacked(symbols, offsets)


@fault(bpe_train, breaks="overlapping_occurrences_are_counted", seen="https://github.com/karpathy/minbpe/issues/51")
def counts_without_overlap(symbols: Any, offsets: Any, counts: Any, base: int, num_merges: int, min_count: int) -> Any:
    """Of a run only the pairs that can be replaced are counted: a convention, but another one. Count all."""

    def choose(words: Words, counts: Any) -> Choice:
        best = ((0, 0), 0)
        for pair in sorted(_found(words, counts)):
            drops = [len(word) - len(_replaced(word, *pair, -1)) for word in words]
            count = sum(drop * weight for drop, weight in zip(drops, counts.tolist(), strict=True))
            best = (pair, count) if count > best[1] else best
        return best

    words = _checked(symbols, offsets, counts, base, num_merges, min_count)
    return _trained(words, counts, base, num_merges, min_count, choose)


@fault(bpe_train, breaks="among_equally_frequent_pairs_the_smallest_is_merged",
       seen="https://github.com/karpathy/minbpe/pull/90")  # fmt: skip
def breaks_ties_by_first_sight(
    symbols: Any, offsets: Any, counts: Any, base: int, num_merges: int, min_count: int
) -> Any:
    """Of equally frequent pairs the first in the text wins, so that the order of words matters. Take the smallest."""

    def choose(words: Words, counts: Any) -> Choice:
        return max(_found(words, counts).items(), key=lambda item: item[1], default=((0, 0), 0))

    words = _checked(symbols, offsets, counts, base, num_merges, min_count)
    return _trained(words, counts, base, num_merges, min_count, choose)


@fault(bpe_train, breaks="among_equally_frequent_pairs_the_smallest_is_merged")
def breaks_ties_by_the_largest(
    symbols: Any, offsets: Any, counts: Any, base: int, num_merges: int, min_count: int
) -> Any:
    """Of equally frequent pairs the largest wins, as in subword-nmt: a convention, but another one."""

    def choose(words: Words, counts: Any) -> Choice:
        return max(_found(words, counts).items(), key=lambda item: (item[1], item[0]), default=((0, 0), 0))

    words = _checked(symbols, offsets, counts, base, num_merges, min_count)
    return _trained(words, counts, base, num_merges, min_count, choose)


@fault(bpe_train, breaks="each_merge_is_the_most_frequent_pair_of_what_encoding_gives")
def counts_once_and_for_all(symbols: Any, offsets: Any, counts: Any, base: int, num_merges: int, min_count: int) -> Any:
    """Pairs are counted before the first merge and never again. Count anew, or keep the counts up to date."""
    found = _found(_checked(symbols, offsets, counts, base, num_merges, min_count), counts)
    ranked = sorted((-count, pair) for pair, count in found.items() if count >= max(min_count, 1))
    return np.array([pair for _, pair in ranked[:num_merges]], np.int64).reshape(-1, 2)


@fault(bpe_train, breaks="a_table_is_the_beginning_of_every_longer_one",
       seen="https://github.com/karpathy/minbpe/issues/95")  # fmt: skip
def merges_several_pairs_a_round(
    symbols: Any, offsets: Any, counts: Any, base: int, num_merges: int, min_count: int
) -> Any:
    """To save counting, a share of the wanted merges is taken from each count, though the first changes it for the
    next. One merge, one count.
    """
    words = _checked(symbols, offsets, counts, base, num_merges, min_count)
    merges: list[tuple[int, int]] = []
    while len(merges) < num_merges:
        ranked = sorted((-n, pair) for pair, n in _found(words, counts).items() if n >= max(min_count, 1))
        for _, pair in ranked[: min(num_merges // 2 + 1, num_merges - len(merges))]:
            words = [_replaced(word, *pair, base + len(merges)) for word in words]
            merges.append(pair)
        if not ranked:
            break
    return np.array(merges, np.int64).reshape(-1, 2)


@fault(bpe_train, breaks="a_higher_threshold_only_ends_the_table_earlier")
def drops_rare_words(symbols: Any, offsets: Any, counts: Any, base: int, num_merges: int, min_count: int) -> Any:
    """The threshold is applied to words, and the rare ones do not train. It belongs to pairs."""
    words = _checked(symbols, offsets, counts, base, num_merges, min_count)
    return _trained(words, np.where(counts < min_count, 0, counts), base, num_merges, 1)


@fault(bpe_train, breaks=("gage_writes_ten_bytes_for_the_six_of_ababab", "overlapping_occurrences_are_counted"))
def ignores_the_threshold(symbols: Any, offsets: Any, counts: Any, base: int, num_merges: int, min_count: int) -> Any:
    """Merging goes on with pairs that occur once. Stop below min_count."""
    words = _checked(symbols, offsets, counts, base, num_merges, min_count)
    return _trained(words, counts, base, num_merges, 1)


@fault(bpe_train, breaks="counts_weigh_as_repetition",
       seen="https://github.com/rohitg00/ai-engineering-from-scratch/pull/47")  # fmt: skip
def overwrites_counts_of_equal_words(
    symbols: Any, offsets: Any, counts: Any, base: int, num_merges: int, min_count: int
) -> Any:
    """In a dictionary from words to counts, a word that comes again replaces its earlier count. Add them up."""
    words = _checked(symbols, offsets, counts, base, num_merges, min_count)
    table = dict(zip(map(tuple, words), counts.tolist(), strict=True))
    return _trained(list(map(list, table)), np.array(list(table.values()), np.int64), base, num_merges, min_count)


@fault(bpe_train, breaks="only_proportions_of_counts_matter",
       seen="https://github.com/huggingface/tokenizers/issues/2058")  # fmt: skip
def counts_in_32_bits(symbols: Any, offsets: Any, counts: Any, base: int, num_merges: int, min_count: int) -> Any:
    """Counts wrap around beyond two billion, and the most frequent pair of all is passed over. Count in 64 bits."""

    def choose(words: Words, counts: Any) -> Choice:
        wrapped = {pair: (n + 2**31) % 2**32 - 2**31 for pair, n in _found(words, counts).items()}
        return min(wrapped.items(), key=lambda item: (-item[1], item[0]), default=((0, 0), 0))

    words = _checked(symbols, offsets, counts, base, num_merges, min_count)
    return _trained(words, counts, base, num_merges, min_count, choose)


@fault(bpe_train, breaks="words_of_one_symbol_train_nothing",
       seen="https://github.com/rasbt/LLMs-from-scratch/pull/975")  # fmt: skip
def trains_across_words(symbols: Any, offsets: Any, counts: Any, base: int, num_merges: int, min_count: int) -> Any:
    """The text is trained on as one word, and learns pairs that encoding will never meet. Count inside words."""
    words = _checked(symbols, offsets, counts, base, num_merges, min_count)
    text = [symbol for word in words for symbol in word]
    return _trained([text], np.ones(1, np.int64), base, num_merges, min_count)


@fault(bpe_train, breaks="no_two_merges_spell_the_same")
def merges_a_pair_once_per_word(
    symbols: Any, offsets: Any, counts: Any, base: int, num_merges: int, min_count: int
) -> Any:
    """Only the first occurrence in a word is merged, and the pair is learned again for the next. Merge all."""

    def once(word: list[int], first: int, second: int, merged: int) -> list[int]:
        return [*map(int, replaces_the_first_occurrence_only.function(np.array(word), first, second, merged))]

    words = _checked(symbols, offsets, counts, base, num_merges, min_count)
    return _trained(words, counts, base, num_merges, min_count, replaced=once)


@fault(bpe_train, breaks="real_text_is_trained_encoded_and_decoded_as_defined")
def counts_the_first_block_only(
    symbols: Any, offsets: Any, counts: Any, base: int, num_merges: int, min_count: int
) -> Any:
    """Pairs are counted in the first 512 words, a block, and the rest of a long text is left out. Count all."""

    def choose(words: Words, counts: Any) -> Choice:
        return _most_frequent(words[:512], counts[:512])

    words = _checked(symbols, offsets, counts, base, num_merges, min_count)
    return _trained(words, counts, base, num_merges, min_count, choose)


@fault(bpe_train, breaks="symbols_outside_the_alphabet_are_refused_in_training")
def learns_unknown_symbols(symbols: Any, offsets: Any, counts: Any, base: int, num_merges: int, min_count: int) -> Any:
    """A symbol from base on is trained on like any other, though its number is that of a merge. Refuse it."""
    bpe_train(symbols % max(base, 1), offsets, counts, base, 0, min_count)
    return _trained(unpacked(symbols, offsets), counts, base, num_merges, min_count)


@fault(bpe_train, breaks="counts_and_limits_that_mean_nothing_are_refused")
def accepts_any_counts(symbols: Any, offsets: Any, counts: Any, base: int, num_merges: int, min_count: int) -> Any:
    """Counts are cut to the number of words, and negative numbers taken for none. Refuse them."""
    words = _words(symbols, offsets, base)
    counts = np.maximum(counts[: len(words)], 0)
    return bpe_train(symbols, offsets, counts, base, max(num_merges, 0), max(min_count, 0))


# --- workload -------------------------------------------------------------------------------------------------


@cache
def learned_merges(size: int, num_merges: int) -> Any:
    """A table for this much real text, learned in seconds: every 32nd word is read, and each count of pairs serves for
    several rows. -> (M, 2)
    """
    counts = Counter(library_words(size)[::32])
    words, weights = [list(word) for word in counts], np.array(list(counts.values()))
    rows: dict[tuple[int, int], int] = {}
    while len(rows) < num_merges and (found := _found(words, weights)):
        enough = min(len(rows) + max(8, len(rows) // 4), num_merges)
        for pair in sorted(found, key=lambda pair: (-found[pair], pair))[: enough - len(rows)]:
            rows[pair] = 256 + len(rows)
        words = [_merged(word, rows) for word in words]
    return np.array(list(rows), np.int64).reshape(-1, 2)


def _merged(word: list[int], rows: dict[tuple[int, int], int]) -> list[int]:
    """The word after all rows, the first one first."""
    while found := [(rows[pair], place) for place, pair in enumerate(pairwise(word)) if pair in rows]:
        id, place = min(found)
        word = [*word[:place], id, *word[place + 2 :]]
    return word


def learned_pieces(size: int, num_merges: int) -> list[bytes]:
    """What every id of `learned_merges` spells, the 256 bytes first."""
    pieces = [bytes([byte]) for byte in range(256)]
    for first, second in learned_merges(size, num_merges).tolist():
        pieces.append(pieces[first] + pieces[second])
    return pieces


def _text_cost(bytes: int, merges: int) -> Cost:
    return Cost(text=bytes)


SIZES = {"bytes": 5_000_000, "merges": 8_000}
GROWS = {"bytes": (1_250_000, 2_500_000)}


def _library_words(size: int) -> dict[str, Any]:
    words = library_words(size)
    symbols = np.frombuffer(b"".join(words), np.uint8).astype(np.int64)
    return {"symbols": symbols, "offsets": np.cumsum([0, *map(len, words)])}


@workload(bpe_train, sizes=SIZES, cost=_text_cost, grows=GROWS)
def train_on_library_text(random: np.random.Generator, bytes: int, merges: int) -> dict[str, Any]:
    """8,000 merges learned from 5 MB of words of Python's documentation and sources, not counting white space."""
    text = _library_words(bytes)
    counts = np.ones(len(text["offsets"]) - 1, np.int64)
    return {**text, "counts": counts, "base": 256, "num_merges": merges, "min_count": 2}


@workload(bpe_encode, sizes=SIZES, cost=_text_cost, grows=GROWS)
def encode_library_text(random: np.random.Generator, bytes: int, merges: int) -> dict[str, Any]:
    """The same words encoded with 8,000 merges."""
    return {**_library_words(bytes), "merges": learned_merges(bytes, merges), "base": 256}


@workload(bpe_decode, sizes=SIZES, cost=_text_cost, grows=GROWS)
def decode_library_text(random: np.random.Generator, bytes: int, merges: int) -> dict[str, Any]:
    """The same words back from ids: the longest piece that fits, from the left."""
    pieces = {piece: id for id, piece in enumerate(learned_pieces(bytes, merges))}
    longest = max(map(len, pieces))

    def code(word: Any) -> Iterator[int]:
        while word:
            piece = next(word[:length] for length in range(min(longest, len(word)), 0, -1)
                         if word[:length] in pieces)  # fmt: skip
            yield pieces[piece]
            word = word[len(piece) :]

    words = library_words(bytes)
    codes = {word: [*code(word)] for word in set(words)}
    ids, offsets = packed(codes[word] for word in words)
    return {"ids": ids, "offsets": offsets, "merges": learned_merges(bytes, merges), "base": 256}
