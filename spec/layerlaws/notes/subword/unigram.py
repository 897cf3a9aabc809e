"""The most probable of all segmentations: unigram_encode."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np

from layerlaws.language import (
    STEEPNESS,
    Arguments,
    Array,
    Claim,
    Cost,
    Format,
    Ids,
    Implementation,
    Results,
    Undecidable,
    all_of,
    asbounded,
    at_most,
    closely,
    constant,
    exactly,
    far_below,
    fault,
    law,
    operation,
    packed,
    refused,
    require,
    rewritten,
    seeds,
    unpacked,
    value_of,
    workload,
)
from layerlaws.language import strategies as st
from layerlaws.notes.byte_pair_encoding.library import learned_pieces
from layerlaws.notes.subword.library import GROWS, SAMPLE, encoder_arguments, first_library_words
from layerlaws.notes.subword.segmentations import clear_words, most_probable_ids, two_best
from layerlaws.notes.subword.words import (
    Piece,
    Words,
    as_pieces,
    as_text,
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
def weighted_pieces(draw: st.DrawFn, distinct: bool = True, longest: int = 1000) -> Arguments:
    """A text, and pieces with log-probabilities that spell every word of it: single symbols first.

    Words with equally good segmentations (a aa and aa a) are left out: nothing is said of them. Which are nearer than
    rounding decides is for the definition to say, as it depends on the format.
    """
    words, generator = draw(words_to_encode(longest)), np.random.default_rng(draw(seeds))
    single = [(symbol,) for symbol in sorted({symbol for word in words for symbol in word})] or [(0,)]
    pieces = list_pieces([*single, *parts_of(words, draw(st.integers(0, 16)), generator)], distinct, generator)
    spread = draw(st.sampled_from([2.0, 2.0, 4.0, 0.5]))
    weights = np.minimum(generator.normal(-4.0, spread, len(pieces)), 0.0)
    words = clear_words(words, most_probable_ids(pieces, weights), weights.tolist())
    return {**as_text(words), **as_pieces(pieces), "log_probabilities": weights}


def _weighted(
    symbols: Ids, offsets: Ids, pieces: Ids, piece_offsets: Ids, log_probabilities: Array
) -> tuple[Words, dict[Piece, int], list[float]]:
    """The words, the id of each spelling, and the log-probabilities as numbers, checked."""
    words, read = read_words(symbols, offsets), read_pieces(pieces, piece_offsets)
    numbers = value_of(constant(log_probabilities)).astype(np.float64)
    require(numbers.shape == (len(read),), f"log_probabilities has shape {numbers.shape} for {len(read)} pieces")
    require(np.isfinite(numbers) & (numbers <= 0), "log_probabilities must be finite and at most 0")
    return words, most_probable_ids(read, numbers), numbers.tolist()


def _sum(word: Piece, terms: Array) -> Array:
    """The sum over its pieces, with room for the error of as many terms as the word has symbols. (1,)."""
    return np.sum(np.concatenate([terms, np.zeros(len(word) - len(terms), terms.dtype)]), keepdims=True)


def _segmented(words: Words, chosen: dict[Piece, Piece], log_probabilities: Array) -> tuple[Ids, Ids, Array]:
    """All pieces are looked up at once, so that on the way back all uses of a piece are one sum, in any order."""
    ids, ends = packed(chosen[word] for word in words)
    terms = log_probabilities[ids]
    sums = [_sum(word, terms[start:end]) for word, (start, end) in zip(words, pairwise(ends), strict=True)]
    return ids, ends, np.concatenate([terms[:0], *sums])


@operation(inputs=weighted_pieces(), differentiable=True)
def unigram_encode(
    symbols: Ids, offsets: Ids, pieces: Ids, piece_offsets: Ids, log_probabilities: Array
) -> tuple[Ids, Ids, Array]:
    """The segmentation with the highest sum of log-probabilities, and that sum.

    symbols (N,), offsets (W + 1,), pieces (M,), piece_offsets (P + 1,), log_probabilities (P,), finite, at most 0
      ->  ids (N',), offsets (W + 1,), scores (W,)

    A word that no pieces spell is refused. Of equal pieces the most probable counts, then the first. Where two
    segmentations have the same score, or rounding could make one higher than the other, nothing is said.
    """
    words, table, numbers = _weighted(symbols, offsets, pieces, piece_offsets, log_probabilities)
    found = {word: two_best(word, table, numbers) for word in set(words)}
    require(all(found.values()), "symbols hold a word that no pieces spell")
    for word, (best, *others) in found.items():
        for other in others:
            one, two = (_sum(word, log_probabilities[list(ids)]) for ids in (best, other))
            if np.any(one <= two):
                raise Undecidable("two segmentations have the same score")
    return _segmented(words, {word: best for word, (best, *_) in found.items()}, log_probabilities)


def _segmentations(word: list[int], pieces: list[list[int]]) -> Iterator[list[int]]:
    if not word:
        yield []
    for id, piece in enumerate(pieces):
        if word[: len(piece)] == piece:
            yield from ([id, *rest] for rest in _segmentations(word[len(piece) :], pieces))


@law(inputs=weighted_pieces(longest=7))
def no_segmentation_of_all_scores_higher(
    unigram_encode: Implementation,
    symbols: Ids,
    offsets: Ids,
    pieces: Ids,
    piece_offsets: Ids,
    log_probabilities: Array,
) -> Claim:
    """The score is the highest over all segmentations, found by trying every one."""
    read = unpacked(pieces, piece_offsets)
    words = unpacked(symbols, offsets)
    padded = np.concatenate([asbounded(log_probabilities), np.zeros(1)])

    def highest(word: list[int]) -> Array:
        every = [ids + [len(read)] * (len(word) - len(ids)) for ids in _segmentations(word, read)]
        return np.max(np.sum(padded[np.array(every, np.int64)], axis=1))

    _, _, scores = unigram_encode(
        symbols=symbols,
        offsets=offsets,
        pieces=pieces,
        piece_offsets=piece_offsets,
        log_probabilities=log_probabilities,
    )
    return all_of(
        exactly(len(scores), len(words)),
        *(closely(score, highest(word)) for score, word in zip(scores, words, strict=True)),
    )


Choose = Callable[[Piece, dict[Piece, int], list[float]], Piece]


def _chosen(
    choose: Choose, symbols: Ids, offsets: Ids, pieces: Ids, piece_offsets: Ids, log_probabilities: Array
) -> tuple[Ids, Ids, Array]:
    """Words segmented by `choose`, after the definition's own checks, with the sums over their pieces as scores."""
    words, table, numbers = _weighted(symbols, offsets, pieces, piece_offsets, log_probabilities)
    require(all(two_best(word, table, numbers) for word in set(words)), "symbols hold a word that no pieces spell")
    return _segmented(words, {word: choose(word, table, numbers) for word in set(words)}, log_probabilities)


def as_defined(unigram_encode: Implementation, inputs: Arguments) -> Claim:
    """The definition's pieces, and its scores as exact numbers."""
    (*code, scores), (*expected, sums) = unigram_encode.compare(**inputs)
    return all_of(exactly(tuple(code), tuple(expected)), closely(scores, value_of(sums)))


@fault(
    unigram_encode,
    breaks=no_segmentation_of_all_scores_higher,
    kind="formula",
    repair="Carry them over.",
    seen="https://github.com/NVIDIA/TensorRT-Model-Connect/pull/1060",
)
def loses_the_probabilities(**call: Any) -> tuple[Ids, Ids, Array]:
    """All log-probabilities are 0 after conversion, and any segmentation is as good as any other."""
    return _chosen(lambda word, table, numbers: two_best(word, table, [0.0] * len(numbers))[0], **call)


@law()
def the_most_probable_pieces_spell_the_word(unigram_encode: Implementation, inputs: Arguments) -> Claim:
    """A word's pieces, one behind the other, are the word, and there are scores for as many words."""
    pieces = unpacked(inputs["pieces"], inputs["piece_offsets"])
    ids, ends, scores = unigram_encode(**inputs)
    spelled = [[symbol for id in code for symbol in spelling_of(pieces, id)] for code in unpacked(ids, ends)]
    return all_of(exactly(packed(spelled), (inputs["symbols"], inputs["offsets"])), exactly(len(scores), len(spelled)))


@fault(
    unigram_encode,
    breaks=the_most_probable_pieces_spell_the_word,
    kind="order",
    repair="Turn it round.",
)
def gives_the_pieces_backwards(**call: Any) -> tuple[Ids, Ids, Array]:
    """The way back from the end of the word is returned as it is."""
    ids, ends, scores = unigram_encode(**call)
    return *packed(code[::-1] for code in unpacked(ids, ends)), scores


@law()
def a_score_is_the_sum_over_the_pieces(unigram_encode: Implementation, inputs: Arguments) -> Claim:
    """A word's score is the sum of the log-probabilities of the pieces that are returned with it, 0 for none."""
    weights = asbounded(inputs["log_probabilities"])
    ids, ends, scores = unigram_encode(**inputs)
    sums = [np.sum(weights[code], keepdims=True) for code in map(list, unpacked(ids, ends))]
    return closely(scores, np.concatenate([weights[:0], *sums]))


def _next_best(word: Piece, table: dict[Piece, int], prefer: Callable[[int, int], float]) -> Piece:
    """From the left, the piece that is preferred by (id, length); only such that leave a way to the end."""
    ways = [
        not word[start:] or bool(two_best(word[start:], table, [-1.0] * (max(table.values()) + 1)))
        for start in range(len(word) + 1)
    ]
    ids: list[int] = []
    start = 0
    while start < len(word):
        fitting = [
            (table[word[start:end]], end)
            for end in range(start + 1, len(word) + 1)
            if word[start:end] in table and ways[end]
        ]
        id, end = max(fitting, key=lambda found: prefer(found[0], found[1]))
        ids.append(id)
        start = end
    return tuple(ids)


@fault(
    unigram_encode,
    breaks=(a_score_is_the_sum_over_the_pieces, no_segmentation_of_all_scores_higher),
    kind="formula",
    repair="Update both.",
)
def scores_the_segmentation_found_first(**call: Any) -> tuple[Ids, Ids, Array]:
    """The pieces are the best ones, but the scores are still those of the first segmentation that was found."""
    _, _, scores = _chosen(lambda word, table, numbers: _next_best(word, table, lambda id, end: -end), **call)
    ids, ends, _ = _chosen(lambda word, table, numbers: two_best(word, table, numbers)[0], **call)
    return ids, ends, scores


@fault(
    unigram_encode,
    breaks=a_score_is_the_sum_over_the_pieces,
    kind="scale",
    repair="It is their sum.",
)
def averages_over_the_pieces(**call: Any) -> tuple[Ids, Ids, Array]:
    """A word's score is divided by the number of its pieces."""
    ids, ends, scores = unigram_encode(**call)
    return ids, ends, scores / np.maximum(np.diff(ends), 1).astype(scores.dtype)


@law()
def greedy_pieces_are_no_more_probable(
    unigram_encode: Implementation, wordpiece_encode: Implementation, inputs: Arguments
) -> Claim:
    """The longest pieces first, from the same vocabulary without marks, have at most the score of the best."""
    pieces = unpacked(inputs["pieces"], inputs["piece_offsets"])
    weights = asbounded(inputs["log_probabilities"])
    text = {"symbols": inputs["symbols"], "offsets": inputs["offsets"]}
    ids, ends = wordpiece_encode(
        **text,
        **as_pieces([*pieces, *pieces]),
        unknown=2 * len(pieces),
        max_length=10**6,
        continuing=np.arange(2 * len(pieces)) >= len(pieces),
    )
    greedy = [np.sum(weights[[id % len(pieces) for id in code]], keepdims=True) for code in unpacked(ids, ends)]
    return at_most(np.concatenate([weights[:0], *greedy]), unigram_encode(**inputs)[2])


@fault(
    unigram_encode,
    breaks=(no_segmentation_of_all_scores_higher, greedy_pieces_are_no_more_probable),
    kind="formula",
    repair="Compare whole sums.",
)
def takes_the_most_probable_next_piece(**call: Any) -> tuple[Ids, Ids, Array]:
    """From the left the most probable of the pieces that fit is taken, mostly a short one."""
    return _chosen(lambda word, table, numbers: _next_best(word, table, lambda id, end: numbers[id]), **call)


@law(steepness=STEEPNESS)
def twice_the_log_probabilities_choose_the_same_pieces(
    unigram_encode: Implementation, inputs: Arguments, steepness: int, format: Format
) -> Claim:
    """With all log-probabilities twice as large, or any power of two, the pieces are the same, and so are the scores up
    to that power: no way is too bad to be the best.
    """
    ids, ends, scores = unigram_encode(**inputs)
    power = far_below(format, steepness) / 128
    factor = np.asarray(power, format.dtype)
    multiplied = unigram_encode(**{**inputs, "log_probabilities": factor * inputs["log_probabilities"]})
    return all_of(exactly(multiplied[:2], (ids, ends)), closely(multiplied[2], power * scores))


@fault(
    unigram_encode,
    breaks=twice_the_log_probabilities_choose_the_same_pieces,
    kind="precision",
    repair="Start from minus infinity.",
)
def starts_the_best_way_at_a_number(**call: Any) -> tuple[Ids, Ids, Array]:
    """The best score so far starts at -1e9, and a word whose ways are all below keeps the first that was found."""

    def choose(word: Piece, table: dict[Piece, int], numbers: list[float]) -> Piece:
        best = two_best(word, table, numbers)[0]
        lost = sum(numbers[id] for id in best) < -1e9
        return _next_best(word, table, lambda id, end: -end) if lost else best

    return _chosen(choose, **call)


@law(words=st.integers(1, 4), seed=seeds)
def the_better_of_two_near_ways_is_chosen(
    unigram_encode: Implementation, words: int, seed: int, format: Format
) -> Claim:
    """Of two segmentations whose scores differ by a few units in the last place of the format the better one counts."""
    generator = np.random.default_rng(seed)
    parts = -generator.integers(1, 16, (words, 2)) / 4
    apart = 16 * np.spacing(-parts.sum(axis=1)) * 2.0 ** (53 - format.precision)
    wholes = parts.sum(axis=1) + generator.choice([-1, 1], words) * apart
    symbols = np.arange(2 * words)
    inputs = {
        "symbols": symbols,
        "offsets": np.arange(0, 2 * words + 1, 2),
        **as_pieces([*symbols[:, None].tolist(), *symbols.reshape(-1, 2).tolist()]),
        "log_probabilities": np.concatenate([parts.ravel(), wholes]).astype(format.dtype),
    }
    return as_defined(unigram_encode, inputs)


@fault(
    unigram_encode,
    breaks=the_better_of_two_near_ways_is_chosen,
    kind="precision",
    repair="Add up in the format of the log-probabilities, or a wider one.",
    seen="https://github.com/ggml-org/llama.cpp/pull/13725",
)
def compares_scores_in_a_narrower_format(**call: Any) -> tuple[Ids, Ids, Array]:
    """Scores are compared in single precision, and what double adds to that decides nothing."""

    def choose(word: Piece, table: dict[Piece, int], numbers: list[float]) -> Piece:
        return two_best(word, table, [float(np.float32(x)) for x in numbers])[0]

    return _chosen(choose, **call)


@fault(
    unigram_encode,
    breaks=twice_the_log_probabilities_choose_the_same_pieces,
    kind="formula",
    repair="Add up log-probabilities and nothing else.",
)
def charges_for_every_piece(**call: Any) -> tuple[Ids, Ids, Array]:
    """Every piece costs 4 more, so that few long pieces win."""
    return _chosen(lambda word, table, numbers: two_best(word, table, [x - 4.0 for x in numbers])[0], **call)


@law()
def a_further_piece_lowers_no_score(unigram_encode: Implementation, inputs: Arguments) -> Claim:
    """With one piece less, one of several symbols, no word scores higher."""
    pieces = unpacked(inputs["pieces"], inputs["piece_offsets"])
    kept = len(pieces) - (len(pieces[-1]) > 1)
    fewer = {**inputs, **as_pieces(pieces[:kept]), "log_probabilities": inputs["log_probabilities"][:kept]}
    return at_most(unigram_encode(**fewer)[2], unigram_encode(**inputs)[2])


@fault(
    unigram_encode,
    breaks=(no_segmentation_of_all_scores_higher, a_further_piece_lowers_no_score),
    kind="formula",
    repair="Compare whole sums.",
)
def takes_the_longest_piece(**call: Any) -> tuple[Ids, Ids, Array]:
    """The longest piece that fits is taken, whatever its probability: that is WordPiece."""
    return _chosen(lambda word, table, numbers: _next_best(word, table, lambda id, end: end), **call)


@law(seed=seeds)
def words_have_their_scores_wherever_they_stand(unigram_encode: Implementation, inputs: Arguments, seed: int) -> Claim:
    """Words in another order, some left out and some repeated, have the pieces and scores that each of them had."""
    order = shuffled_order(inputs["offsets"], seed)
    text = as_text(take_words(inputs["symbols"], inputs["offsets"], order))
    ids, ends, scores = unigram_encode(**inputs)
    moved = unigram_encode(**{**inputs, **text})
    return all_of(exactly(moved[:2], packed(take_words(ids, ends, order))), closely(moved[2], scores[order]))


@fault(
    unigram_encode,
    breaks=words_have_their_scores_wherever_they_stand,
    kind="mask",
    repair="Begin each word with 0.",
)
def scores_on_from_word_to_word(**call: Any) -> tuple[Ids, Ids, Array]:
    """The score is not set back between words, and each has that of all before it, too."""
    ids, ends, scores = unigram_encode(**call)
    return ids, ends, np.cumsum(scores, axis=0)


@law(inputs=weighted_pieces(distinct=False))
def of_equal_pieces_the_most_probable_counts(unigram_encode: Implementation, inputs: Arguments) -> Claim:
    """Where several pieces spell the same, the most probable one is used."""
    return as_defined(unigram_encode, inputs)


@fault(
    unigram_encode,
    breaks=of_equal_pieces_the_most_probable_counts,
    kind="order",
    repair="Compare them.",
)
def takes_the_first_of_equal_pieces(**call: Any) -> Results:
    """Pieces that spell the same are one entry of a dictionary, which has the first one's probability."""
    pieces = read_pieces(call["pieces"], call["piece_offsets"])
    first = np.array([pieces.index(piece) for piece in pieces], np.int64)
    return unigram_encode(**{**call, "log_probabilities": call["log_probabilities"][first]})


@law(inputs=weighted_pieces(distinct=False))
def of_equally_probable_equal_pieces_the_first_counts(unigram_encode: Implementation, inputs: Arguments) -> Claim:
    """Where several pieces spell the same and have the same probability, the first one is used."""
    pieces = [tuple(piece) for piece in unpacked(inputs["pieces"], inputs["piece_offsets"])]
    first = np.array([pieces.index(piece) for piece in pieces], np.int64)
    return as_defined(unigram_encode, {**inputs, "log_probabilities": inputs["log_probabilities"][first]})


@fault(
    unigram_encode,
    breaks=of_equally_probable_equal_pieces_the_first_counts,
    kind="order",
    repair="Replace it only by a more probable one.",
)
def takes_the_last_of_equally_probable_pieces(**call: Any) -> tuple[Ids, Ids, Array]:
    """A later piece that spells the same and is as probable takes the place of the first."""
    ids, ends, scores = unigram_encode(**call)
    pieces = read_pieces(call["pieces"], call["piece_offsets"])
    rows = list(zip(pieces, value_of(call["log_probabilities"]).tolist(), strict=True))
    last = {row: id for id, row in enumerate(rows)}
    return np.array([last[rows[id]] for id in ids.tolist()], np.int64), ends, scores


@law(examples=1)
def a_symbol_needs_no_piece_of_its_own(unigram_encode: Implementation) -> Claim:
    """With ab and c, abcab is spelled though neither a nor b is a piece."""
    inputs = {**as_text([[0, 1, 2, 0, 1]]), **as_pieces([[0, 1], [2]]), "log_probabilities": np.array([-1.0, -2.0])}
    ids, ends, scores = unigram_encode(**inputs)
    return all_of(exactly((ids, ends), (np.array([0, 1, 0]), np.array([0, 3]))), closely(scores, np.array([-4.0])))


@fault(
    unigram_encode,
    breaks=a_symbol_needs_no_piece_of_its_own,
    kind="formula",
    repair="A longer piece may hold it.",
)
def needs_a_piece_for_every_symbol(**call: Any) -> Results:
    """A symbol that is no piece by itself is unknown wherever it stands, and left out."""
    known = [piece[0] for piece in read_pieces(call["pieces"], call["piece_offsets"]) if len(piece) == 1]
    words = read_words(call["symbols"], call["offsets"])
    return unigram_encode(**{**call, **as_text([[symbol for symbol in word if symbol in known] for word in words])})


@law(examples=20, place=st.sampled_from([0, 1, -1]))
def words_that_no_pieces_spell_are_refused(unigram_encode: Implementation, inputs: Arguments, place: int) -> Claim:
    """There is no unknown piece: a word with a symbol that is in no piece has no segmentation."""
    strange = int(inputs["pieces"].max()) + 1
    words = [*unpacked(inputs["symbols"], inputs["offsets"]), inputs["pieces"][:2].tolist()]
    words[place % len(words)] = [*words[place % len(words)], strange, strange]
    return refused(unigram_encode, "symbols", {**inputs, **as_text(words)})


@fault(
    unigram_encode,
    breaks=words_that_no_pieces_spell_are_refused,
    kind="refusal",
    repair="Refuse the word.",
)
def leaves_out_what_it_cannot_spell(**call: Any) -> Results:
    """Symbols that are in no piece leave no trace in the code."""
    words, pieces = read_words(call["symbols"], call["offsets"]), call["pieces"]
    return unigram_encode(**{**call, **as_text([[symbol for symbol in word if symbol in pieces] for word in words])})


@law(examples=20, place=st.integers(0, 30), wrong=st.sampled_from([0.5, np.inf, -np.inf, np.nan]))
def numbers_that_are_no_log_probabilities_are_refused(
    unigram_encode: Implementation, inputs: Arguments, place: int, wrong: float
) -> Claim:
    """Log-probabilities are finite and at most 0, and there is one for each piece.

    Above 0 lies no probability, with NaN no segmentation is the best, and with a piece that never occurs, all that use
    it are equally bad.
    """
    weights = inputs["log_probabilities"]
    return all_of(
        *[
            refused(unigram_encode, "log_probabilities", {**inputs, "log_probabilities": numbers})
            for numbers in (
                rewritten(weights, place % len(weights), wrong),
                weights[:-1],
                np.append(weights, weights[:1]),
            )
        ]
    )


@fault(
    unigram_encode,
    breaks=numbers_that_are_no_log_probabilities_are_refused,
    kind="refusal",
    repair="Refuse it.",
    seen="https://github.com/google/sentencepiece/issues/851",
)
def accepts_any_numbers(**call: Any) -> Results:
    """What is not a number, infinite or positive is taken for some log-probability or other."""
    numbers = np.minimum(np.nan_to_num(call["log_probabilities"], neginf=-100.0), 0)
    numbers = np.append(numbers, np.zeros(1, numbers.dtype))[: len(call["piece_offsets"]) - 1]
    return unigram_encode(**{**call, "log_probabilities": numbers})


_REPEATS = re.compile(rb"(.+)(.*)\1\2\1", re.DOTALL)
"""What stands more than twice in a row: aaa, ababa."""


@cache
def _untied_words(words: int) -> tuple[bytes, ...]:
    """Words without such repeats. Others can often be split into the same pieces in another order, and rounding alone
    decides between the two.
    """
    text = first_library_words(words + words // 8 + 8)
    tied = set(filter(_REPEATS.search, set(text)))
    return tuple(word for word in text if word not in tied)[:words]


def _untied_cost(words: int, pieces: int) -> Cost:
    return Cost(text=sum(map(len, _untied_words(words))))


@workload(unigram_encode, sizes={"words": 1_000_000, "pieces": 8_000}, cost=_untied_cost, grows=GROWS)
def split_library_words_by_probability(random: np.random.Generator, words: int, pieces: int) -> Arguments:
    """The same words, but for those with repeats (one in 70), in the most probable pieces, whose probabilities fall
    with their rank, as Zipf has it.

    Pieces have up to 16 symbols, as sentencepiece's have.
    """
    spelled = sorted(dict.fromkeys(learned_pieces(SAMPLE, pieces)), key=lambda piece: len(piece) == 1)
    spelled = [piece for piece in spelled if len(piece) <= 16]
    weights = -2 - np.log(10 + np.arange(len(spelled))) - random.random(len(spelled)) / 100
    return {**encoder_arguments(_untied_words(words), spelled), "log_probabilities": weights}
