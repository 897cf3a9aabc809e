"""The longest piece that fits, from the left: wordpiece_encode."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np

from layerlaws.language import (
    Arguments,
    Claim,
    Ids,
    Implementation,
    Mask,
    Results,
    all_of,
    exactly,
    fault,
    law,
    operation,
    packed,
    refused,
    require,
    seeds,
    unpacked,
    workload,
)
from layerlaws.language import strategies as st
from layerlaws.notes.byte_pair_encoding.library import learned_pieces
from layerlaws.notes.subword.library import GROWS, SAMPLE, encoder_arguments, first_library_words, text_cost
from layerlaws.notes.subword.words import (
    Piece,
    as_pieces,
    as_text,
    first_ids,
    list_pieces,
    parts_of,
    read_pieces,
    read_words,
    shuffled_order,
    spelling_of,
    take_words,
    words_to_encode,
)


@st.composite
def marked_pieces(draw: st.DrawFn, distinct: bool = True) -> Arguments:
    """A text, and pieces that begin or continue words; often all single symbols among them."""
    words, generator = draw(words_to_encode()), np.random.default_rng(draw(seeds))
    parts = parts_of(words, draw(st.integers(0, 16)), generator)
    marked = [(part, bool(generator.random() < 0.6)) for part in parts]
    marked += [(word[:length], False) for word in words if word for length in generator.integers(1, len(word) + 1, 1)]
    if draw(st.integers(0, 2)):
        marked += [
            ((symbol,), mark) for symbol in sorted({s for word in words for s in word}) for mark in (False, True)
        ]
    marked = [marked[k] for k in generator.permutation(len(marked))]
    kept = list_pieces(marked, distinct, generator)
    unknown = draw(st.sampled_from([len(kept), len(kept) + 5, 0]))
    longest = max(map(len, words), default=0)
    return {
        **as_text(words),
        **as_pieces(piece for piece, _ in kept),
        "continuing": np.array([mark for _, mark in kept], bool),
        "unknown": unknown,
        "max_length": draw(st.sampled_from([100, 1000, longest, max(longest - 1, 0), 3])),
    }


Marked = dict[tuple[Piece, bool], int]


def _marked(pieces: Ids, piece_offsets: Ids, continuing: Mask) -> Marked:
    read = read_pieces(pieces, piece_offsets)
    require(len(continuing) == len(read), f"continuing has {len(continuing)} entries for {len(read)} pieces")
    return first_ids(zip(read, continuing.tolist(), strict=True))


def _greedy(word: Piece, table: Marked, unknown: int, max_length: int) -> list[int]:
    ids: list[int] = []
    lengths, start = sorted({len(piece) for piece, _ in table}, reverse=True), 0
    while start < len(word):
        ends = (start + length for length in lengths if start + length <= len(word))
        end = next((end for end in ends if (word[start:end], start > 0) in table), None)
        if end is None or len(word) > max_length:
            return [unknown]
        ids.append(table[word[start:end], start > 0])
        start = end
    return ids


@operation(inputs=marked_pieces())
def wordpiece_encode(
    symbols: Ids, offsets: Ids, pieces: Ids, piece_offsets: Ids, continuing: Mask, unknown: int, max_length: int
) -> tuple[Ids, Ids]:
    """From the left, the longest piece that fits: one that begins words first, then ones that continue them.

    symbols (N,), offsets (W + 1,), pieces (M,), piece_offsets (P + 1,), continuing (P,) True: does not begin a word
      ->  ids (N',), offsets (W + 1,)

    Where none fits, and for more than max_length symbols, the whole word is one `unknown`. Of equal pieces with equal
    marks the first counts.
    """
    table = _marked(pieces, piece_offsets, continuing)
    require(unknown >= 0, "unknown must not be negative")
    require(max_length >= 0, "max_length must not be negative")
    return packed(_greedy(word, table, unknown, max_length) for word in read_words(symbols, offsets))


@law(examples=1)
def greedy_gives_up_where_there_is_a_way(wordpiece_encode: Implementation) -> Claim:
    """With abc, ab and ##cd, abcd is unknown: abc is taken, no piece goes on with d, and ab ##cd is never tried."""
    ids = wordpiece_encode(
        **as_text([[0, 1, 2, 3], [0, 1, 2], [0, 1]]),
        **as_pieces([[0, 1, 2], [0, 1], [2, 3]]),
        continuing=np.array([False, False, True]),
        unknown=3,
        max_length=100,
    )
    return exactly(ids, (np.array([3, 0, 1]), np.array([0, 1, 2, 3])))


Encode = Callable[[Piece, Marked], list[int] | None]


def _by_word(
    encode: Encode,
    symbols: Ids,
    offsets: Ids,
    pieces: Ids,
    piece_offsets: Ids,
    continuing: Mask,
    unknown: int,
    max_length: int,
) -> tuple[Ids, Ids]:
    """Each word encoded by `encode` (None: unknown), after the checks that are not the point of a fault."""
    wordpiece_encode(symbols[:0], offsets[:1] * 0, pieces, piece_offsets, continuing, unknown, max_length)
    table = _marked(pieces, piece_offsets, continuing)
    codes = ((word, encode(word, table)) for word in read_words(symbols, offsets))
    return packed([unknown] if code is None or len(word) > max_length else code for word, code in codes)


@fault(
    wordpiece_encode,
    breaks=greedy_gives_up_where_there_is_a_way,
    kind="formula",
    repair="The longest piece stays.",
)
def tries_another_way(**call: Any) -> tuple[Ids, Ids]:
    """At a dead end the last piece is taken back and a shorter one tried: it finds more words, and is not what
    models were trained with.
    """

    def encode(word: Piece, table: Marked) -> list[int] | None:
        ways: list[list[int] | None] = [None] * len(word) + [[]]
        for start in reversed(range(len(word))):
            for end in range(start + 1, len(word) + 1):
                way = ways[end]
                if way is not None and (word[start:end], start > 0) in table:
                    ways[start] = [table[word[start:end], start > 0], *way]
        return ways[0]

    return _by_word(encode, **call)


@law()
def pieces_spell_the_word_or_it_is_unknown_as_a_whole(wordpiece_encode: Implementation, inputs: Arguments) -> Claim:
    """A word's pieces, one behind the other, are the word; else its code is `unknown`, once, and nothing else. An empty
    word has no pieces.
    """
    pieces = unpacked(inputs["pieces"], inputs["piece_offsets"])
    unknown = len(pieces)  # a piece in no case
    codes = unpacked(*wordpiece_encode(**{**inputs, "unknown": unknown}))
    words = unpacked(inputs["symbols"], inputs["offsets"])
    spelled = [
        word if word and code == [unknown] else [symbol for id in code for symbol in spelling_of(pieces, id)]
        for word, code in zip(words, codes, strict=True)
    ]
    return exactly(packed(spelled), (inputs["symbols"], inputs["offsets"]))


def _greedily(
    choose: Callable[[list[int]], int] = max,
    dead_end: Callable[[list[int]], list[int] | None] = lambda ids: None,
    mark: Callable[[int, bool], bool] = lambda start, kind: kind == (start > 0),
) -> Encode:
    """Reading from the left with the knobs that faults turn: which end is chosen, what the ids before a dead end
    become, and which marks fit.
    """

    def encode(word: Piece, table: Marked) -> list[int] | None:
        ids: list[int] = []
        start = 0
        while start < len(word):
            found = {
                end: table[word[start:end], kind]
                for kind in (False, True)
                if mark(start, kind)
                for end in range(start + 1, len(word) + 1)
                if (word[start:end], kind) in table
            }
            if not found:
                return dead_end(ids)
            end = choose(list(found))
            ids.append(found[end])
            start = end
        return ids

    return encode


@fault(
    wordpiece_encode,
    breaks=pieces_spell_the_word_or_it_is_unknown_as_a_whole,
    kind="formula",
    repair="The whole word is one unknown.",
    seen="https://github.com/elastic/elasticsearch/pull/87510",
)
def keeps_the_pieces_before_a_dead_end(**call: Any) -> tuple[Ids, Ids]:
    """A word that cannot be finished is its first pieces and then unknown."""
    return _by_word(_greedily(dead_end=lambda ids: [*ids, call["unknown"]]), **call)


@fault(
    wordpiece_encode,
    breaks=(pieces_spell_the_word_or_it_is_unknown_as_a_whole, greedy_gives_up_where_there_is_a_way),
    kind="formula",
    repair="It is unknown.",
)
def falls_back_to_the_pieces_so_far(**call: Any) -> tuple[Ids, Ids]:
    """A word that cannot be finished is the pieces found so far, as if it ended there."""
    return _by_word(_greedily(dead_end=lambda ids: ids or None), **call)


@law()
def no_longer_piece_fits(wordpiece_encode: Implementation, inputs: Arguments) -> Claim:
    """Wherever a piece was taken, it is the longest of those that fit there."""
    pieces = unpacked(inputs["pieces"], inputs["piece_offsets"])
    unknown = len(pieces)
    codes = unpacked(*wordpiece_encode(**{**inputs, "unknown": unknown}))
    marks = inputs["continuing"].tolist()
    taken, longest = [], []
    for word, code in zip(unpacked(inputs["symbols"], inputs["offsets"]), codes, strict=True):
        start = 0
        for id in code if unknown not in code else []:
            fitting = [
                len(piece)
                for piece, mark in zip(pieces, marks, strict=True)
                if mark == (start > 0) and word[start : start + len(piece)] == piece
            ]
            taken.append(len(spelling_of(pieces, id)))
            longest.append(max(fitting, default=0))
            start += taken[-1]
    return exactly(np.array(taken), np.array(longest))


@fault(
    wordpiece_encode,
    breaks=no_longer_piece_fits,
    kind="formula",
    repair="Try every length.",
    seen="https://github.com/iamlemec/bert.cpp/issues/6",
)
def tries_every_second_length(**call: Any) -> tuple[Ids, Ids]:
    """A loop over lengths counts twice in one round, so that pieces are passed over."""

    def choose(ends: list[int]) -> int:
        return max([end for end in ends if (max(ends) - end) % 2 == 1] or ends)

    return _by_word(_greedily(choose=choose), **call)


@law()
def the_first_piece_begins_a_word_and_the_others_continue_it(
    wordpiece_encode: Implementation, inputs: Arguments
) -> Claim:
    """Only a word's first piece is without the mark, so the words can be told from the pieces alone."""
    unknown = len(inputs["continuing"])
    ids, ends = wordpiece_encode(**{**inputs, "unknown": unknown})
    marks = np.append(inputs["continuing"], False)[ids]
    first = np.isin(np.arange(len(ids)), ends[:-1])
    return exactly(marks, ~first)


@fault(
    wordpiece_encode,
    breaks=the_first_piece_begins_a_word_and_the_others_continue_it,
    kind="boundary",
    repair="The other way round.",
    seen="https://github.com/huggingface/tokenizers/issues/643",
)
def marks_the_first_piece(**call: Any) -> tuple[Ids, Ids]:
    """The mark of continuing pieces is put before the first piece, and none before the others."""
    return _by_word(_greedily(mark=lambda start, kind: kind == (start == 0)), **call)


@law()
def with_every_symbol_in_both_kinds_no_word_is_unknown(wordpiece_encode: Implementation, inputs: Arguments) -> Claim:
    """Once each symbol is a piece that begins words and one that continues them, every word has pieces."""
    pieces = unpacked(inputs["pieces"], inputs["piece_offsets"])
    single = [[symbol] for symbol in np.unique(inputs["symbols"]).tolist()]
    marks = np.repeat([False, True], len(single))
    total = len(pieces) + 2 * len(single)
    ids, _ = wordpiece_encode(
        **as_text(unpacked(inputs["symbols"], inputs["offsets"])),
        **as_pieces([*pieces, *single, *single]),
        unknown=total,
        max_length=1000,
        continuing=np.append(inputs["continuing"], marks),
    )
    return exactly((ids == total).sum(), 0)


@fault(
    wordpiece_encode,
    breaks=with_every_symbol_in_both_kinds_no_word_is_unknown,
    kind="formula",
    repair="Try them.",
    seen="https://github.com/NMZivkovic/BertTokenizers/issues/12",
)
def needs_two_symbols_to_continue(**call: Any) -> Results:
    """Pieces of one symbol are not tried inside a word, and what only they could spell is unknown."""
    lengths = np.diff(call["piece_offsets"])
    strange = call["pieces"].max(initial=0) + call["symbols"].max(initial=0) + 1
    dull = np.where(call["continuing"] & (lengths == 1), strange, 0)
    return wordpiece_encode(**{**call, "pieces": call["pieces"] + np.repeat(dull, lengths)})


@law(limit=st.integers(0, 8))
def words_beyond_the_limit_are_unknown_and_others_untouched(
    wordpiece_encode: Implementation, inputs: Arguments, limit: int
) -> Claim:
    """A word of max_length symbols is encoded as without a limit; one more symbol makes it unknown."""
    free = unpacked(*wordpiece_encode(**{**inputs, "max_length": 10**6}))
    long = (np.diff(inputs["offsets"]) > limit).tolist()
    expected = [[inputs["unknown"]] if beyond else code for beyond, code in zip(long, free, strict=True)]
    return exactly(wordpiece_encode(**{**inputs, "max_length": limit}), packed(expected))


@fault(
    wordpiece_encode,
    breaks=words_beyond_the_limit_are_unknown_and_others_untouched,
    kind="formula",
    repair="Those of more than max_length symbols are unknown.",
    seen="https://github.com/huggingface/transformers.js/pull/398",
)
def knows_no_limit(**call: Any) -> Results:
    """Words of any length are read."""
    limit = call["max_length"]
    return wordpiece_encode(**{**call, "max_length": limit if limit < 0 else 10**9})


@fault(
    wordpiece_encode,
    breaks=words_beyond_the_limit_are_unknown_and_others_untouched,
    kind="boundary",
    repair="More than that is too long.",
)
def stops_before_the_limit(**call: Any) -> tuple[Ids, Ids]:
    """A word of exactly max_length symbols is unknown already."""
    codes = unpacked(*wordpiece_encode(**call))
    at_limit = ((np.diff(call["offsets"]) == call["max_length"]) & (call["max_length"] > 0)).tolist()
    return packed([call["unknown"]] if long else code for long, code in zip(at_limit, codes, strict=True))


@fault(
    wordpiece_encode,
    breaks=words_beyond_the_limit_are_unknown_and_others_untouched,
    kind="formula",
    repair="Write the unknown id for it.",
    seen="https://github.com/zhongbin1/bert_tokenization_for_java/issues/1",
)
def passes_over_long_words(**call: Any) -> tuple[Ids, Ids]:
    """A word that is too long is left out of the code."""
    codes = unpacked(*wordpiece_encode(**call))
    long = (np.diff(call["offsets"]) > call["max_length"]).tolist()
    return packed([] if beyond else code for beyond, code in zip(long, codes, strict=True))


@law(seed=seeds)
def words_have_their_pieces_wherever_they_stand(
    wordpiece_encode: Implementation, inputs: Arguments, seed: int
) -> Claim:
    """Words in another order, some left out and some repeated, have the pieces that each of them had."""
    order = shuffled_order(inputs["offsets"], seed)
    text = as_text(take_words(inputs["symbols"], inputs["offsets"], order))
    ids, ends = wordpiece_encode(**inputs)
    return exactly(wordpiece_encode(**{**inputs, **text}), packed(take_words(ids, ends, order)))


@fault(
    wordpiece_encode,
    breaks=words_have_their_pieces_wherever_they_stand,
    kind="boundary",
    repair="Every word begins anew.",
)
def reads_words_as_one(**call: Any) -> tuple[Ids, Ids]:
    """Only the first word begins as one, and all later ones continue it."""
    wordpiece_encode(**call)  # its checks
    table = _marked(call["pieces"], call["piece_offsets"], call["continuing"])
    later: Marked = {(piece, mark): id for (piece, kind), id in table.items() if kind for mark in (False, True)}
    words = read_words(call["symbols"], call["offsets"])
    return packed(
        _greedy(word, later if w else table, call["unknown"], call["max_length"]) for w, word in enumerate(words)
    )


@law(inputs=marked_pieces(distinct=False))
def of_equal_marked_pieces_the_first_counts(wordpiece_encode: Implementation, inputs: Arguments) -> Claim:
    """A piece with the symbols and the mark of an earlier one has no effect."""
    return exactly(wordpiece_encode(**inputs), wordpiece_encode.definition(**inputs))


@fault(
    wordpiece_encode,
    breaks=of_equal_marked_pieces_the_first_counts,
    kind="order",
    repair="Keep the first id.",
)
def takes_the_last_of_equal_marked_pieces(**call: Any) -> tuple[Ids, Ids]:
    """A dictionary from pieces to ids is overwritten by later equal pieces."""
    ids, ends = wordpiece_encode(**call)
    rows = list(zip(read_pieces(call["pieces"], call["piece_offsets"]), call["continuing"].tolist(), strict=True))
    last = {row: id for id, row in enumerate(rows)}
    known = {id: last[row] for id, row in enumerate(rows)}
    return np.array([known.get(id, id) for id in ids.tolist()], np.int64), ends


SHORT = [word for length in range(9) for word in product((0, 1), repeat=length)]
"""All strings over two symbols up to length 8."""


@law(examples=1)
def every_short_string_is_read_as_by_the_loop(wordpiece_encode: Implementation) -> Claim:
    """On all strings of two symbols up to length 8, pieces are those of the plain loop, for vocabularies of runs and of
    pieces that overlap.
    """

    def claim(begin: list[list[int]], go_on: list[list[int]], max_length: int) -> Claim:
        call = {
            **as_text(SHORT),
            **as_pieces([*go_on, *begin]),
            "unknown": 9,
            "max_length": max_length,
            "continuing": np.arange(len(begin) + len(go_on)) < len(go_on),
        }
        return exactly(wordpiece_encode(**call), wordpiece_encode.definition(**call))

    return all_of(
        claim([[0], [0, 0, 0], [1]], [[0, 0], [1], [0, 1, 0]], 100),
        claim([[0, 1], [1, 0], [0, 1, 0, 0]], [[0], [1], [0, 1], [1, 1, 1]], 100),
        claim([[0], [1]], [[0], [1]], 5),
    )


@fault(
    wordpiece_encode,
    breaks=(no_longer_piece_fits, every_short_string_is_read_as_by_the_loop),
    kind="order",
    repair="Look for the longest first.",
)
def takes_the_shortest_piece(**call: Any) -> tuple[Ids, Ids]:
    """The first piece that fits is taken, read from the short end."""
    return _by_word(_greedily(choose=min), **call)


@fault(
    wordpiece_encode,
    breaks=(no_longer_piece_fits, every_short_string_is_read_as_by_the_loop),
    kind="order",
    repair="Begin at the left.",
    seen="https://github.com/axa-group/nlp.js/issues/1192",
)
def reads_from_the_end(**call: Any) -> tuple[Ids, Ids]:
    """The longest piece at the end of the word is taken first: vegan is v ##egan instead of vega ##n."""

    def encode(word: Piece, table: Marked) -> list[int] | None:
        ids: list[int] = []
        end = len(word)
        while end:
            start = next((start for start in range(end) if (word[start:end], start > 0) in table), None)
            if start is None:
                return None
            ids.insert(0, table[word[start:end], start > 0])
            end = start
        return ids

    return _by_word(encode, **call)


@fault(
    wordpiece_encode,
    breaks=(the_first_piece_begins_a_word_and_the_others_continue_it, every_short_string_is_read_as_by_the_loop),
    kind="boundary",
    repair="Only pieces without the mark may.",
)
def begins_words_with_any_piece(**call: Any) -> tuple[Ids, Ids]:
    """A continuing piece may begin a word as well."""
    return _by_word(_greedily(mark=lambda start, kind: kind or start == 0), **call)


@law(examples=20)
def marks_and_limits_that_mean_nothing_are_refused(wordpiece_encode: Implementation, inputs: Arguments) -> Claim:
    """There is one mark for each piece; the unknown id and the limit are not negative."""
    inputs = {**inputs, **as_text([[1], *unpacked(inputs["symbols"], inputs["offsets"]), [2, 3]])}
    marks = inputs["continuing"]
    other_numbers = [np.append(marks, True), *([marks[1:]] if len(marks) else [])]
    return all_of(
        *(refused(wordpiece_encode, "continuing", {**inputs, "continuing": other}) for other in other_numbers),
        refused(wordpiece_encode, "unknown", {**inputs, "unknown": -1}),
        refused(wordpiece_encode, "max_length", {**inputs, "max_length": -1}),
    )


@fault(
    wordpiece_encode,
    breaks=marks_and_limits_that_mean_nothing_are_refused,
    kind="refusal",
    repair="Refuse them.",
)
def accepts_any_marks(**call: Any) -> Results:
    """Missing marks are filled up and others cut off, and negative numbers taken for 0."""
    count = len(call["piece_offsets"]) - 1
    marks = np.append(call["continuing"], np.zeros(count, bool))[:count]
    limits = {name: max(call[name], 0) for name in ("unknown", "max_length")}
    return wordpiece_encode(**{**call, **limits, "continuing": marks})


@workload(wordpiece_encode, sizes={"words": 1_000_000, "pieces": 8_000}, cost=text_cost, grows=GROWS)
def split_library_words_greedily(random: np.random.Generator, words: int, pieces: int) -> Arguments:
    """The same words in the longest pieces that fit: 8,000 and the 256 bytes, each both to begin and to continue."""
    spelled = [*dict.fromkeys(learned_pieces(SAMPLE, pieces))]
    marks = np.repeat([False, True], len(spelled))
    return {
        **encoder_arguments(first_library_words(words), spelled * 2),
        "continuing": marks,
        "unknown": 2 * len(spelled),
        "max_length": 100,
    }
