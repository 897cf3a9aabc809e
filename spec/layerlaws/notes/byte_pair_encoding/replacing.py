"""One pair replaced in a text: replace_pair."""

from __future__ import annotations

from itertools import groupby, pairwise, product

import numpy as np

from layerlaws.language import Arguments, Claim, Ids, Implementation, all_of, exactly, fault, law, operation, packed
from layerlaws.language import strategies as st
from layerlaws.notes.byte_pair_encoding.merging import SHORT, merge_pair
from layerlaws.notes.byte_pair_encoding.texts import texts


@st.composite
def symbol_pairs(draw: st.DrawFn) -> Arguments:
    """A text without words, a pair that mostly stands in it, and an id that need not be new."""
    base, words = draw(texts)
    symbols, _ = packed(words)
    place = draw(st.integers(0, 30))
    first, second = symbols[place : place + 2] if place + 2 <= len(symbols) else (0, base - 1)
    merged = draw(st.sampled_from([base, base, base, first, second]))
    return {"symbols": symbols, "first": int(first), "second": int(second), "merged": int(merged)}


@operation(inputs=symbol_pairs())
def replace_pair(symbols: Ids, first: int, second: int, merged: int) -> Ids:
    """Every first, second becomes merged: read from left to right, without overlap, and nothing is read twice.

    symbols (N,)  ->  (N',)
    """
    return np.array(merge_pair(symbols.tolist(), first, second, merged), np.int64)


@law(examples=1)
def ababab_becomes_ccc(replace_pair: Implementation) -> Claim:
    """With c for ab, ababab is ccc."""
    return exactly(replace_pair(symbols=np.array([0, 1] * 3), first=0, second=1, merged=2), np.array([2, 2, 2]))


@fault(
    replace_pair,
    breaks=ababab_becomes_ccc,
    kind="formula",
    repair="Go on to the end.",
)
def replaces_the_first_occurrence_only(symbols: Ids, first: int, second: int, merged: int) -> Ids:
    """One occurrence is replaced and the rest left."""
    for place, pair in enumerate(pairwise(symbols.tolist())):
        if pair == (first, second):
            return np.concatenate([symbols[:place], [merged], symbols[place + 2 :]])
    return symbols.copy()


@law(length=st.integers(0, 40))
def a_run_is_merged_from_the_left(replace_pair: Implementation, length: int) -> Claim:
    """With c for aa, aaa is ca, and a run of any length is as many c as fit, and one a behind them where it is odd."""
    run = replace_pair(symbols=np.zeros(length, np.int64), first=0, second=0, merged=1)
    return exactly(run, np.array([1] * (length // 2) + [0] * (length % 2), np.int64))


@law()
def the_length_drops_by_what_does_not_overlap(
    replace_pair: Implementation, symbols: Ids, first: int, second: int
) -> Claim:
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
def what_is_written_is_not_read_again(replace_pair: Implementation, length: int) -> Claim:
    """Replacing ab by a takes one b from every a, however many follow: abb becomes ab, not a."""
    symbols = np.array([0, *[1] * length], np.int64)
    return exactly(replace_pair(symbols=symbols, first=0, second=1, merged=0), symbols[:-1])


@fault(
    replace_pair,
    breaks=what_is_written_is_not_read_again,
    kind="mask",
    repair="Look in the input only.",
)
def reads_what_it_wrote(symbols: Ids, first: int, second: int, merged: int) -> Ids:
    """A pair is looked for in the output, where the new symbol may begin one."""
    written: list[int] = []
    for symbol in symbols.tolist():
        found = written[-1:] == [first] and symbol == second
        written[-1 if found else len(written) :] = [merged if found else symbol]
    return np.array(written, np.int64)


@law(examples=1)
def every_short_string_is_replaced_as_by_the_loop(replace_pair: Implementation) -> Claim:
    """On all strings of two symbols up to length 10 each of the four pairs is replaced as by reading symbol by
    symbol.
    """
    text = np.array([symbol for word in SHORT for symbol in (*word, 2)], np.int64)  # 2 keeps them apart

    def claim(first: int, second: int) -> Claim:
        call = {"symbols": text, "first": first, "second": second, "merged": 3}
        return exactly(replace_pair(**call), replace_pair.definition(**call))

    return all_of(*[claim(first, second) for first, second in product((0, 1), repeat=2)])


@fault(
    replace_pair,
    breaks=(
        a_run_is_merged_from_the_left,
        the_length_drops_by_what_does_not_overlap,
        every_short_string_is_replaced_as_by_the_loop,
    ),
    kind="formula",
    repair="In a run take every second one.",
    seen="https://github.com/karpathy/minbpe/pull/38",
)
def replaces_every_match(symbols: Ids, first: int, second: int, merged: int) -> Ids:
    """Matches are marked all at once and all replaced, overlapping ones too."""
    hits = np.flatnonzero((symbols[:-1] == first) & (symbols[1:] == second))
    left = np.ones(len(symbols), bool)
    left[hits + 1] = False
    result = symbols.copy()
    result[hits] = merged
    return result[left | (result == merged)]


@fault(
    replace_pair,
    breaks=(a_run_is_merged_from_the_left, every_short_string_is_replaced_as_by_the_loop),
    kind="order",
    repair="Read from the left.",
)
def replaces_from_the_right(symbols: Ids, first: int, second: int, merged: int) -> Ids:
    """Of an odd run the first symbol stays, because it is read from its end."""
    return np.array(merge_pair(symbols[::-1].tolist(), second, first, merged)[::-1], np.int64)
