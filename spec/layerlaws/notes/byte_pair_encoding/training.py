"""A table of merges learned from words and their counts: bpe_train."""

from __future__ import annotations

from collections.abc import Callable

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
    packed,
    refused,
    require,
    rewritten,
    seeds,
    unpacked,
    workload,
)
from layerlaws.language import strategies as st
from layerlaws.notes.byte_pair_encoding.library import GROWS, SIZES, library_corpus, text_cost
from layerlaws.notes.byte_pair_encoding.merging import (
    Pair,
    Rows,
    Words,
    count_pairs,
    merge_pair,
    most_frequent_pair,
    read_words,
)
from layerlaws.notes.byte_pair_encoding.texts import texts


@st.composite
def corpora(draw: st.DrawFn) -> Arguments:
    """Words with counts, and when training ends."""
    base, words = draw(texts)
    symbols, offsets = packed(words)
    drawn = np.random.default_rng(draw(seeds)).integers(0, draw(st.sampled_from([2, 4, 30])), len(words))
    counts = drawn if draw(st.booleans()) else np.ones(len(words), np.int64)
    return {
        "symbols": symbols,
        "offsets": offsets,
        "counts": counts,
        "base": base + draw(st.sampled_from([0, 0, 3])),
        "num_merges": draw(st.sampled_from([12, 8, 4, 2, 1, 12, 8, 4, 2, 1, 0])),
        "min_count": draw(st.sampled_from([1, 1, 2, 0, 3])),
    }


@operation(inputs=corpora())
def bpe_train(symbols: Ids, offsets: Ids, counts: Ids, base: int, num_merges: int, min_count: int) -> Ids:
    """The most frequent pair inside words becomes id base + k, for k = 0, 1, ..., and pairs are counted again.

    symbols (N,), offsets (W + 1,), counts (W,) how often each word occurs  ->  (M, 2), M <= num_merges

    Of equally frequent pairs the smallest (id, id); fewer rows where no pair occurs, or none min_count times.
    """
    words = read_words(symbols, offsets, base)
    require(len(counts) == len(words), f"counts has {len(counts)} entries for {len(words)} words")
    require(counts >= 0, "counts must not be negative")
    require(num_merges >= 0, "num_merges must not be negative")
    require(min_count >= 0, "min_count must not be negative")
    merges: Rows = []
    while len(merges) < num_merges:
        pair, count = most_frequent_pair(words, counts)
        if count < max(min_count, 1):
            break
        words = [merge_pair(word, *pair, base + len(merges)) for word in words]
        merges.append(pair)
    return np.array(merges, np.int64).reshape(-1, 2)


@law()
def a_table_is_the_beginning_of_every_longer_one(
    bpe_train: Implementation, symbols: Ids, offsets: Ids, counts: Ids, base: int, num_merges: int, min_count: int
) -> Claim:
    """One more merge leaves those before it as they are."""
    corpus = {"symbols": symbols, "offsets": offsets, "counts": counts, "base": base, "min_count": min_count}
    table, longer = (bpe_train(**corpus, num_merges=rows) for rows in (num_merges, num_merges + 1))
    return exactly(longer[: len(table)], table)


Choice = tuple[Pair, int]
"""A pair and how often it occurs."""


def checked_words(symbols: Ids, offsets: Ids, counts: Ids, base: int, num_merges: int, min_count: int) -> Words:
    """The words, after the definition's own checks."""
    bpe_train(symbols, offsets, counts, base, min(num_merges, 0), min_count)  # trains nothing
    return unpacked(symbols, offsets)


def train_by(
    words: Words,
    counts: Ids,
    base: int,
    num_merges: int,
    least: int,
    choose: Callable[[Words, Ids], Choice] = most_frequent_pair,
    replaced: Callable[[list[int], int, int, int], list[int]] = merge_pair,
) -> Ids:
    """Training with the knobs that faults turn: how the next pair is chosen, and how it is replaced."""
    merges: Rows = []
    while len(merges) < num_merges:
        pair, count = choose(words, counts)
        if count < max(least, 1):
            break
        words = [replaced(word, *pair, base + len(merges)) for word in words]
        merges.append(pair)
    return np.array(merges, np.int64).reshape(-1, 2)


@fault(
    bpe_train,
    breaks=a_table_is_the_beginning_of_every_longer_one,
    kind="order",
    repair="One merge, one count.",
    seen="https://github.com/karpathy/minbpe/issues/95",
)
def merges_several_pairs_a_round(
    symbols: Ids, offsets: Ids, counts: Ids, base: int, num_merges: int, min_count: int
) -> Ids:
    """To save counting, a share of the wanted merges is taken from each count, though the first changes it for the
    next.
    """
    words = checked_words(symbols, offsets, counts, base, num_merges, min_count)
    merges: Rows = []
    while len(merges) < num_merges:
        ranked = sorted((-n, pair) for pair, n in count_pairs(words, counts).items() if n >= max(min_count, 1))
        for _, pair in ranked[: min(num_merges // 2 + 1, num_merges - len(merges))]:
            words = [merge_pair(word, *pair, base + len(merges)) for word in words]
            merges.append(pair)
        if not ranked:
            break
    return np.array(merges, np.int64).reshape(-1, 2)


@law(rise=st.integers(1, 3))
def a_higher_threshold_only_ends_the_table_earlier(
    bpe_train: Implementation,
    symbols: Ids,
    offsets: Ids,
    counts: Ids,
    base: int,
    num_merges: int,
    min_count: int,
    rise: int,
) -> Claim:
    """The most frequent pair gets no more frequent, so a higher min_count cuts the table off and changes no row."""
    corpus = {"symbols": symbols, "offsets": offsets, "counts": counts, "base": base, "num_merges": num_merges}
    table, shorter = (bpe_train(**corpus, min_count=least) for least in (min_count, min_count + rise))
    return exactly(table[: len(shorter)], shorter)


@fault(
    bpe_train,
    breaks=a_higher_threshold_only_ends_the_table_earlier,
    kind="formula",
    repair="It belongs to pairs.",
)
def drops_rare_words(symbols: Ids, offsets: Ids, counts: Ids, base: int, num_merges: int, min_count: int) -> Ids:
    """The threshold is applied to words, and the rare ones do not train."""
    words = checked_words(symbols, offsets, counts, base, num_merges, min_count)
    return train_by(words, np.where(counts < min_count, 0, counts), base, num_merges, 1)


@law(inputs=corpora(), seed=seeds)
def counts_weigh_as_repetition(
    bpe_train: Implementation,
    symbols: Ids,
    offsets: Ids,
    counts: Ids,
    base: int,
    num_merges: int,
    min_count: int,
    seed: int,
) -> Claim:
    """A word that counts n times is n words that count once, wherever they stand."""
    words = unpacked(symbols, offsets)
    order = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(words)), counts))
    copies, ends = packed([words[w] for w in order])
    rest = {"base": base, "num_merges": num_merges, "min_count": min_count}
    repeated = bpe_train(symbols=copies, offsets=ends, counts=np.ones(len(order), np.int64), **rest)
    return exactly(bpe_train(symbols=symbols, offsets=offsets, counts=counts, **rest), repeated)


@fault(
    bpe_train,
    breaks=counts_weigh_as_repetition,
    kind="formula",
    repair="Add them up.",
    seen="https://github.com/rohitg00/ai-engineering-from-scratch/pull/47",
)
def overwrites_counts_of_equal_words(
    symbols: Ids, offsets: Ids, counts: Ids, base: int, num_merges: int, min_count: int
) -> Ids:
    """In a dictionary from words to counts, a word that comes again replaces its earlier count."""
    words = checked_words(symbols, offsets, counts, base, num_merges, min_count)
    table = dict(zip(map(tuple, words), counts.tolist(), strict=True))
    return train_by(list(map(list, table)), np.array(list(table.values()), np.int64), base, num_merges, min_count)


@law(seed=seeds)
def words_that_count_nothing_train_nothing(
    bpe_train: Implementation, symbols: Ids, offsets: Ids, base: int, num_merges: int, seed: int
) -> Claim:
    """A word whose count is 0 is as good as left out, also where no threshold keeps its pairs from being merged."""
    words = unpacked(symbols, offsets)
    counts = np.random.default_rng(seed).integers(0, 2, len(words))
    counts[seed % max(1, len(counts)) :][:1] = 1
    kept, ends = packed([word for word, count in zip(words, counts, strict=True) if count])
    rest = {"base": base, "num_merges": num_merges, "min_count": 0}
    alone = bpe_train(symbols=kept, offsets=ends, counts=np.ones(len(ends) - 1, np.int64), **rest)
    return exactly(bpe_train(symbols=symbols, offsets=offsets, counts=counts, **rest), alone)


@fault(
    bpe_train,
    breaks=words_that_count_nothing_train_nothing,
    kind="boundary",
    repair="A pair has to occur: stop at a count of 0.",
    seen="https://github.com/huggingface/tokenizers/issues/2320",
)
def merges_pairs_that_never_occur(
    symbols: Ids, offsets: Ids, counts: Ids, base: int, num_merges: int, min_count: int
) -> Ids:
    """With a threshold of 0 a pair is merged that stands in words of count 0 alone."""
    words = checked_words(symbols, offsets, counts, base, num_merges, min_count)
    merges: Rows = []
    while len(merges) < num_merges and any(len(word) > 1 for word in words):
        pair, count = most_frequent_pair(words, counts)
        if count < min_count:
            break
        words = [merge_pair(word, *pair, base + len(merges)) for word in words]
        merges.append(pair)
    return np.array(merges, np.int64).reshape(-1, 2)


@law(scale=st.integers(25, 60), more=st.booleans())
def one_more_decides_however_many_there_are(bpe_train: Implementation, scale: int, more: bool) -> Claim:
    """Of two pairs the one that occurs once more is merged, though both occur more often than a double can count."""
    counts = 2**scale + np.array([0, 1] if more else [1, 0])
    corpus = {"symbols": np.array([0, 1, 1, 0]), "offsets": np.array([0, 2, 4]), "counts": counts, "base": 2}
    expected = np.array([[1, 0] if more else [0, 1]])
    return exactly(bpe_train(**corpus, num_merges=1, min_count=1), expected)


@fault(
    bpe_train,
    breaks=one_more_decides_however_many_there_are,
    kind="precision",
    repair="Count in whole numbers.",
)
def counts_in_doubles(symbols: Ids, offsets: Ids, counts: Ids, base: int, num_merges: int, min_count: int) -> Ids:
    """Counts are kept as doubles, which tell neighbours apart up to 2^53 only; then the smaller pair wins."""

    def choose(words: Words, counts: Ids) -> Choice:
        found = {pair: float(n) for pair, n in count_pairs(words, counts).items()}
        pair = min(found, key=lambda pair: (-found[pair], pair), default=(0, 0))
        return pair, int(found.get(pair, 0))

    words = checked_words(symbols, offsets, counts, base, num_merges, min_count)
    return train_by(words, counts, base, num_merges, min_count, choose)


@law(scale=st.integers(30, 50))
def only_proportions_of_counts_matter(
    bpe_train: Implementation,
    symbols: Ids,
    offsets: Ids,
    counts: Ids,
    base: int,
    num_merges: int,
    min_count: int,
    scale: int,
) -> Claim:
    """A billion times as many words, and a threshold as much higher, train the same table."""
    rest = {"symbols": symbols, "offsets": offsets, "base": base, "num_merges": num_merges}
    small = bpe_train(**rest, counts=counts, min_count=max(min_count, 1))
    return exactly(bpe_train(**rest, counts=counts << scale, min_count=max(min_count, 1) << scale), small)


@fault(
    bpe_train,
    breaks=only_proportions_of_counts_matter,
    kind="precision",
    repair="Count in 64 bits.",
    seen="https://github.com/huggingface/tokenizers/issues/2058",
)
def counts_in_32_bits(symbols: Ids, offsets: Ids, counts: Ids, base: int, num_merges: int, min_count: int) -> Ids:
    """Counts wrap around beyond two billion, and the most frequent pair of all is passed over."""

    def choose(words: Words, counts: Ids) -> Choice:
        wrapped = {pair: (n + 2**31) % 2**32 - 2**31 for pair, n in count_pairs(words, counts).items()}
        return min(wrapped.items(), key=lambda item: (-item[1], item[0]), default=((0, 0), 0))

    words = checked_words(symbols, offsets, counts, base, num_merges, min_count)
    return train_by(words, counts, base, num_merges, min_count, choose)


@law(pairs=st.integers(1, 6), seed=seeds)
def among_equally_frequent_pairs_the_smallest_is_merged(bpe_train: Implementation, pairs: int, seed: int) -> Claim:
    """Words of two symbols that occur once each are merged in the order of their symbols."""
    generator = np.random.default_rng(seed)
    words = np.stack(np.divmod(generator.choice(25, pairs, replace=False), 5), axis=1)
    table = bpe_train(
        symbols=words.reshape(-1),
        offsets=np.arange(0, 2 * pairs + 1, 2),
        counts=np.ones(pairs, np.int64),
        base=5,
        num_merges=pairs,
        min_count=1,
    )
    return exactly(table, words[np.lexsort((words[:, 1], words[:, 0]))])


@fault(
    bpe_train,
    breaks=among_equally_frequent_pairs_the_smallest_is_merged,
    kind="order",
    repair="Take the smallest.",
    seen="https://github.com/karpathy/minbpe/pull/90",
)
def breaks_ties_by_first_sight(
    symbols: Ids, offsets: Ids, counts: Ids, base: int, num_merges: int, min_count: int
) -> Ids:
    """Of equally frequent pairs the first in the text wins, so that the order of words matters."""

    def choose(words: Words, counts: Ids) -> Choice:
        return max(count_pairs(words, counts).items(), key=lambda item: item[1], default=((0, 0), 0))

    words = checked_words(symbols, offsets, counts, base, num_merges, min_count)
    return train_by(words, counts, base, num_merges, min_count, choose)


@fault(
    bpe_train,
    breaks=among_equally_frequent_pairs_the_smallest_is_merged,
    kind="order",
    repair="Take the smallest.",
)
def breaks_ties_by_the_largest(
    symbols: Ids, offsets: Ids, counts: Ids, base: int, num_merges: int, min_count: int
) -> Ids:
    """Of equally frequent pairs the largest wins, as in subword-nmt: a convention, but another one."""

    def choose(words: Words, counts: Ids) -> Choice:
        return max(count_pairs(words, counts).items(), key=lambda item: (item[1], item[0]), default=((0, 0), 0))

    words = checked_words(symbols, offsets, counts, base, num_merges, min_count)
    return train_by(words, counts, base, num_merges, min_count, choose)


@law(length=st.integers(2, 9))
def overlapping_occurrences_are_counted(bpe_train: Implementation, length: int) -> Claim:
    """A run of n symbols holds their pair n - 1 times: it is merged at that threshold, and not above it."""
    run = {"symbols": np.zeros(length, np.int64), "offsets": np.array([0, length]), "counts": np.ones(1, np.int64)}
    table, none = (bpe_train(**run, base=1, num_merges=1, min_count=least) for least in (length - 1, length))
    return all_of(exactly(table, np.array([[0, 0]])), exactly(len(none), 0))


@fault(
    bpe_train,
    breaks=overlapping_occurrences_are_counted,
    kind="formula",
    repair="Count all.",
    seen="https://github.com/karpathy/minbpe/issues/51",
)
def counts_without_overlap(symbols: Ids, offsets: Ids, counts: Ids, base: int, num_merges: int, min_count: int) -> Ids:
    """Of a run only the pairs that can be replaced are counted: a convention, but another one."""

    def choose(words: Words, counts: Ids) -> Choice:
        best = ((0, 0), 0)
        for pair in sorted(count_pairs(words, counts)):
            drops = [len(word) - len(merge_pair(word, *pair, -1)) for word in words]
            count = sum(drop * weight for drop, weight in zip(drops, counts.tolist(), strict=True))
            best = (pair, count) if count > best[1] else best
        return best

    words = checked_words(symbols, offsets, counts, base, num_merges, min_count)
    return train_by(words, counts, base, num_merges, min_count, choose)


@law()
def words_of_one_symbol_train_nothing(bpe_train: Implementation, symbols: Ids, base: int) -> Claim:
    """No pair reaches from one word into the next: a text cut into single symbols has none."""
    table = bpe_train(
        symbols=symbols,
        offsets=np.arange(len(symbols) + 1),
        counts=np.ones(len(symbols), np.int64),
        base=base,
        num_merges=3,
        min_count=1,
    )
    return exactly(len(table), 0)


@fault(
    bpe_train,
    breaks=words_of_one_symbol_train_nothing,
    kind="mask",
    repair="Count inside words.",
    seen="https://github.com/rasbt/LLMs-from-scratch/pull/975",
)
def trains_across_words(symbols: Ids, offsets: Ids, counts: Ids, base: int, num_merges: int, min_count: int) -> Ids:
    """The text is trained on as one word, and learns pairs that encoding will never meet."""
    words = checked_words(symbols, offsets, counts, base, num_merges, min_count)
    text = [symbol for word in words for symbol in word]
    return train_by([text], np.ones(1, np.int64), base, num_merges, min_count)


@law(place=st.integers(0, 30), shift=st.sampled_from([0, 1, 7]), examples=20)
def symbols_outside_the_alphabet_are_refused_in_training(
    bpe_train: Implementation, inputs: Arguments, place: int, shift: int
) -> Claim:
    """Symbols are less than base, where the new ids begin."""
    word = {"symbols": np.zeros(1, np.int64), "offsets": np.array([0, 1]), "counts": np.ones(1, np.int64)}
    corpus = inputs if len(inputs["symbols"]) else {**inputs, **word}
    wrong = rewritten(corpus["symbols"], place % len(corpus["symbols"]), corpus["base"] + shift)
    return refused(bpe_train, "symbols", {**corpus, "symbols": wrong})


@fault(
    bpe_train,
    breaks=symbols_outside_the_alphabet_are_refused_in_training,
    kind="refusal",
    repair="Refuse it.",
)
def learns_unknown_symbols(symbols: Ids, offsets: Ids, counts: Ids, base: int, num_merges: int, min_count: int) -> Ids:
    """A symbol from base on is trained on like any other, though its number is that of a merge."""
    bpe_train(symbols % max(base, 1), offsets, counts, base, 0, min_count)
    return train_by(unpacked(symbols, offsets), counts, base, num_merges, min_count)


@law(examples=20)
def counts_and_limits_that_mean_nothing_are_refused(bpe_train: Implementation, inputs: Arguments) -> Claim:
    """There is one count for each word, and no count, number of merges or threshold is negative.

    No word occurs less than never: with negative counts, the most frequent pair may be one that is to be avoided.
    """
    counts = inputs["counts"]
    negative = [] if not len(counts) else [refused(bpe_train, "counts", {**inputs, "counts": counts - counts[0] - 1})]
    return all_of(
        refused(bpe_train, "counts", {**inputs, "counts": np.append(counts, 1)}),
        refused(bpe_train, "num_merges", {**inputs, "num_merges": -1}),
        refused(bpe_train, "min_count", {**inputs, "min_count": -1}),
        *negative,
    )


@fault(
    bpe_train,
    breaks=counts_and_limits_that_mean_nothing_are_refused,
    kind="refusal",
    repair="Refuse them.",
)
def accepts_any_counts(symbols: Ids, offsets: Ids, counts: Ids, base: int, num_merges: int, min_count: int) -> Ids:
    """Counts are cut to the number of words, and negative numbers taken for none."""
    words = read_words(symbols, offsets, base)
    counts = np.maximum(counts[: len(words)], 0)
    return bpe_train(symbols, offsets, counts, base, max(num_merges, 0), max(min_count, 0))


@workload(bpe_train, sizes=SIZES, cost=text_cost, grows=GROWS)
def train_on_library_text(random: np.random.Generator, bytes: int, merges: int) -> Arguments:
    """8,000 merges learned from 5 MB of words of Python's documentation and sources, not counting white space."""
    text = library_corpus(bytes)
    counts = np.ones(len(text["offsets"]) - 1, np.int64)
    return {**text, "counts": counts, "base": 256, "num_merges": merges, "min_count": 2}
