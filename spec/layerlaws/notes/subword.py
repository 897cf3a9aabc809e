"""Unknown words: one name for all of them, a shorter history in their place, or the pieces they are made of.

Note of 2021-09-30. A vocabulary is finite, and text is not. "I don't know": every word outside the vocabulary
becomes the same id, and which word it was is lost. "Let me look again": a language model that never saw a word
after a history asks a shorter one. Stupid back-off multiplies by a constant per step (Brants, Popat, Xu, Och and
Dean, Large Language Models in Machine Translation, 2007, section 4); Katz back-off takes from what was seen exactly
what it gives to what was not (Katz, Estimation of Probabilities from Sparse Data for the Language Model Component
of a Speech Recognizer, 1987; absolute discounting after Ney, Essen and Kneser, On Structuring Probabilistic
Dependences in Stochastic Language Modelling, 1994). "I know its parts": WordPiece reads a word from the left and
takes the longest piece that fits (Wu et al., Google's Neural Machine Translation System, 2016, section 4.1; the
greedy reading is that of BERT, 2018); a unigram model takes the most probable of all segmentations (Kudo, Subword
Regularization, 2018, section 3.2).

Claimed: pieces spell the word that they encode; the unigram model finds the best segmentation that there is; Katz
back-off is a probability distribution whatever the corpus. Not claimed: that greedy pieces are the fewest or that
they are found where some exist, or that pieces mean anything.

Conventions. A piece is a row of symbols with a mark that says whether it continues a word (BERT's ##); of equal
pieces the first counts, of equal ones with different probabilities the most probable. A word without symbols has no
pieces, and no id of its own. A word that is longer than the limit is unknown as a whole; tensorflow-text and
sentencepiece can name single symbols unknown instead. A history counts wherever it occurs, at the end of the corpus
too, where no word follows; Katz's model divides by how often any word followed. The corpus is one line, without
marks for begin and end. Below the unigrams of Katz's model stands the uniform distribution, as in SRILM; where every
word of the vocabulary was seen after a history there is nobody to give to, and nothing is discounted.

Erratum. What back-off with a constant gives is not "the probability of a model of another precision" but a score: the
scores of all words after one history may add up to more than 1, or to less. Shown by scores_are_no_probabilities.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from itertools import cycle, islice, pairwise, product
from typing import Any

import numpy as np

from layerlaws import Claim, Undecidable, all_of, asbounded, at_most, closely, exactly, fault, law, operation, refused
from layerlaws.language import strategies as st
from layerlaws.language.inputs import LIKELY_EDGES, rewritten, seeds
from layerlaws.language.words import library_text, packed, unpacked
from layerlaws.language.workloads import Cost, workload
from layerlaws.notes.byte_pair_encoding import learned_pieces, texts
from layerlaws.numerics.bounded import value_of
from layerlaws.numerics.mathematics import ids_within, require
from layerlaws.numerics.reverse_mode import constant

Piece = tuple[int, ...]
Words = list[Piece]

# --- inputs ---------------------------------------------------------------------------------------------------


@st.composite
def _words_to_encode(draw: st.DrawFn, longest: int = 1000) -> Words:
    """Words of `texts`; in every tenth example one of them ends at a tile's edge."""
    base, words = draw(texts)
    if not any(words) and draw(st.integers(0, 3)):
        words = [*words, [0, base - 1, 0]]
    if longest > 256 and draw(st.integers(0, 9)) == 9:
        generator = np.random.default_rng(draw(seeds))
        words = [generator.integers(0, min(base, 3), draw(st.sampled_from(LIKELY_EDGES))).tolist(), *words[:3]]
    return [tuple(word[:longest]) for word in words]


def _parts(words: Words, count: int, generator: np.random.Generator) -> Words:
    """Some parts of words, whole words among them, and now and then what is none."""
    letters = sorted({symbol for word in words for symbol in word}) or [0]
    kept = [word for word in words if word]
    parts = []
    for _ in range(count):
        length = int(generator.choice([1, 2, 2, 3, 4, 6, 300]))
        if kept and generator.random() < 0.9:
            word = kept[generator.integers(len(kept))]
            start = generator.integers(len(word)) if length < 300 else 0
            parts.append(word[start : start + length])
        else:
            parts.append(tuple(generator.choice(letters, min(length, 3)).tolist()))
    return parts


def _kept(pieces: Iterable[Any], distinct: bool, generator: np.random.Generator) -> list[Any]:
    """Pieces without repetition or, where not `distinct`, with some of them written once more somewhere behind."""
    kept = list(dict.fromkeys(pieces))
    if distinct or not kept:
        return kept
    again = [kept[k] for k in generator.integers(0, len(kept), 3)]
    return [*kept, *again]


def _vocabulary(pieces: Iterable[Sequence[int]]) -> dict[str, Any]:
    return dict(zip(("pieces", "piece_offsets"), packed(pieces), strict=True))


def _text(words: Iterable[Sequence[int]]) -> dict[str, Any]:
    return dict(zip(("symbols", "offsets"), packed(words), strict=True))


@st.composite
def listed_words(draw: st.DrawFn, distinct: bool = True) -> dict[str, Any]:
    """A text, and a vocabulary with some of its words."""
    words, generator = draw(_words_to_encode()), np.random.default_rng(draw(seeds))
    whole = [word for word in words if word and generator.random() < 0.5]
    pieces = _kept([*whole, *_parts(words, draw(st.integers(0, 6)), generator)], distinct, generator)
    unknown = draw(st.sampled_from([len(pieces), len(pieces) + 5, 0]))
    return {**_text(words), **_vocabulary(pieces), "unknown": unknown}


@st.composite
def marked_pieces(draw: st.DrawFn, distinct: bool = True) -> dict[str, Any]:
    """A text, and pieces that begin or continue words; often all single symbols among them."""
    words, generator = draw(_words_to_encode()), np.random.default_rng(draw(seeds))
    parts = _parts(words, draw(st.integers(0, 16)), generator)
    marked = [(part, bool(generator.random() < 0.6)) for part in parts]
    marked += [(word[:length], False) for word in words if word for length in generator.integers(1, len(word) + 1, 1)]
    if draw(st.integers(0, 2)):
        marked += [
            ((symbol,), mark) for symbol in sorted({s for word in words for s in word}) for mark in (False, True)
        ]
    marked = [marked[k] for k in generator.permutation(len(marked))]
    kept = _kept(marked, distinct, generator)
    unknown = draw(st.sampled_from([len(kept), len(kept) + 5, 0]))
    longest = max(map(len, words), default=0)
    return {
        **_text(words), **_vocabulary(piece for piece, _ in kept),
        "continuing": np.array([mark for _, mark in kept], bool), "unknown": unknown,
        "max_length": draw(st.sampled_from([100, 1000, longest, max(longest - 1, 0), 3])),
    }  # fmt: skip


@st.composite
def weighted_pieces(draw: st.DrawFn, distinct: bool = True, longest: int = 1000) -> dict[str, Any]:
    """A text, and pieces with log-probabilities that spell every word of it: single symbols first.

    Words with equally good segmentations (a aa and aa a) are left out: nothing is said of them.
    """
    words, generator = draw(_words_to_encode(longest)), np.random.default_rng(draw(seeds))
    single = [(symbol,) for symbol in sorted({symbol for word in words for symbol in word})] or [(0,)]
    pieces = _kept([*single, *_parts(words, draw(st.integers(0, 16)), generator)], distinct, generator)
    spread = draw(st.sampled_from([2.0, 2.0, 4.0, 0.5]))
    weights = np.minimum(generator.normal(-4.0, spread, len(pieces)), 0.0)
    words = _clear(words, _most_probable(pieces, weights), weights.tolist(), 1e-6)
    return {**_text(words), **_vocabulary(pieces), "log_probabilities": weights}


def _clear(words: Words, table: dict[Piece, int], numbers: list[float], share: float) -> Words:
    """The words whose best segmentation is ahead of the next by more than this share of its score."""

    def ahead(word: Piece) -> bool:
        best, *next_best = (sum(numbers[id] for id in ids) for ids in _two_best(word, table, numbers))
        return all(best - other > -best * share for other in next_best)

    chosen = {word for word in set(words) if ahead(word)}
    return [word for word in words if word in chosen]


@st.composite
def _histories(draw: st.DrawFn) -> dict[str, Any]:
    """A corpus of few words, and a history that mostly occurs in it."""
    generator = np.random.default_rng(draw(seeds))
    words = draw(st.sampled_from([2, 3, 4, 6, 1]))
    length = draw(st.one_of(st.integers(1, 40), st.sampled_from(LIKELY_EDGES)))
    corpus = generator.integers(0, words, length)
    start = int(generator.integers(0, length))
    history = corpus[start : start + draw(st.integers(0, 4))]
    vocabulary = words + draw(st.sampled_from([0, 1, 0, 3]))
    if len(history) and draw(st.integers(0, 3)) == 3:
        history = rewritten(history, int(generator.integers(len(history))), vocabulary - 1)
    return {
        "corpus": corpus,
        "history": history,
        "vocabulary": vocabulary,
        "order": draw(st.sampled_from([3, 2, 4, 1, 5])),
    }


ALPHAS = st.sampled_from([0.4, 0.4, 0.25, 0.9, 1.0, 0.0])
DISCOUNTS = st.sampled_from([0.75, 0.75, 0.5, 0.1, 1.0, 0.0])


@st.composite
def histories_to_score(draw: st.DrawFn) -> dict[str, Any]:
    return {**draw(_histories()), "alpha": draw(ALPHAS)}


@st.composite
def histories_to_discount(draw: st.DrawFn) -> dict[str, Any]:
    return {**draw(_histories()), "discount": draw(DISCOUNTS)}


# --- definitions: one id for what is unknown ------------------------------------------------------------------


@operation(inputs=listed_words())
def unknown_encode(symbols: Any, offsets: Any, pieces: Any, piece_offsets: Any, unknown: int) -> Any:
    """The id of the piece that a word is, or `unknown`.

    symbols (N,), offsets (W + 1,), pieces (M,), piece_offsets (P + 1,)  ->  (W,)

    Of equal pieces the first counts.
    """
    words, table = _words(symbols, offsets), _first_ids(_pieces(pieces, piece_offsets))
    require(unknown >= 0, "unknown must not be negative")
    return np.array([table.get(word, unknown) for word in words], np.int64)


def _words(symbols: Any, offsets: Any) -> Words:
    require(symbols >= 0, "symbols must not be negative")
    return [tuple(word) for word in unpacked(symbols, offsets)]


def _pieces(pieces: Any, piece_offsets: Any) -> Words:
    require(pieces >= 0, "pieces must not be negative")
    read = [tuple(piece) for piece in unpacked(pieces, piece_offsets, "piece_offsets")]
    require(all(read), "pieces must not be empty")
    return read


def _first_ids(pieces: Iterable[Any]) -> dict[Any, int]:
    table: dict[Any, int] = {}
    for id, piece in enumerate(pieces):
        table.setdefault(piece, id)
    return table


# --- definitions: a shorter history ---------------------------------------------------------------------------


@operation(inputs=histories_to_score())
def backoff_scores(corpus: Any, history: Any, vocabulary: int, order: int, alpha: float) -> Any:
    """score(w | h) = count(h w) / count(h) where h w occurs, else alpha score(w | h without its first word).

    corpus (N,), history (n,) of which the last order - 1 words count  ->  (V,) float64

    At last count(w) / N. Occurrences may overlap.
    """
    context = _context(corpus, history, vocabulary, order)
    require(0 <= alpha <= 1, "alpha must lie in [0, 1]")
    scores = _exact(_followers(corpus, (), vocabulary)) / len(corpus)
    for given in _suffixes(context)[1:]:
        followers = _followers(corpus, given, vocabulary)
        occurrences = _grams(corpus, len(given))[given]
        scores = np.where(followers > 0, _exact(followers) / max(occurrences, 1), alpha * scores)
    return scores


@operation(inputs=histories_to_discount())
def katz_probabilities(corpus: Any, history: Any, vocabulary: int, order: int, discount: float) -> Any:
    """P(w | h) = (count(h w) - discount) / followers(h) where h w occurs; what that leaves goes to the other words,
    in the proportions of P(w | h without its first word).

    corpus (N,), history (n,) of which the last order - 1 words count  ->  (V,) float64

    followers(h) is the sum of count(h w) over w; where it is 0, the shorter history's probabilities stand. Below
    the empty history all words are equally probable.
    """
    context = _context(corpus, history, vocabulary, order)
    require(0 <= discount <= 1, "discount must lie in [0, 1]")
    probabilities = _exact(np.ones(vocabulary)) / vocabulary
    for given in _suffixes(context):
        probabilities = _discounted(_followers(corpus, given, vocabulary), discount, probabilities)
    return probabilities


def _discounted(followers: Any, discount: float, shorter: Any) -> Any:
    total, seen = int(followers.sum()), followers > 0
    if total == 0:
        return shorter
    if discount == 0 or seen.all():
        return _exact(followers) / total
    unseen = np.where(seen, 0.0, shorter)
    left = discount * _exact(seen.sum()) / total
    return np.where(seen, (_exact(followers) - discount) / total, left * unseen / np.sum(unseen))


def _context(corpus: Any, history: Any, vocabulary: int, order: int) -> Piece:
    require(len(corpus) > 0, "corpus must not be empty")
    ids_within(corpus, vocabulary, "corpus")
    ids_within(history, vocabulary, "history")
    require(order >= 1, "order must be at least 1")
    return tuple(history.tolist()[max(len(history) - order + 1, 0) :])


def _suffixes(context: Piece) -> list[Piece]:
    """The histories to look at, the shortest first: (), (c,), (b, c), (a, b, c)."""
    return [context[len(context) - length :] for length in range(len(context) + 1)]


def _grams(corpus: Any, length: int) -> Counter[Piece]:
    """How often each row of this many words occurs."""
    read = corpus.tolist()
    return Counter(zip(*(read[k:] for k in range(length)), strict=False))


def _followers(corpus: Any, given: Piece, vocabulary: int) -> Any:
    """How often each word follows. (V,)."""
    grams = _grams(corpus, len(given) + 1)
    return np.array([grams[*given, word] for word in range(vocabulary)])


def _exact(counts: Any) -> Any:
    return asbounded(np.asarray(counts, np.float64))


# --- definitions: pieces --------------------------------------------------------------------------------------


@operation(inputs=marked_pieces())
def wordpiece_encode(
    symbols: Any, offsets: Any, pieces: Any, piece_offsets: Any, continuing: Any, unknown: int, max_length: int
) -> Any:
    """From the left, the longest piece that fits: one that begins words first, then ones that continue them.

    symbols (N,), offsets (W + 1,), pieces (M,), piece_offsets (P + 1,), continuing (P,) True: does not begin a word
      ->  ids (N',), offsets (W + 1,)

    Where none fits, and for more than max_length symbols, the whole word is one `unknown`. Of equal pieces with equal
    marks the first counts.
    """
    table = _marked(pieces, piece_offsets, continuing)
    require(unknown >= 0, "unknown must not be negative")
    require(max_length >= 0, "max_length must not be negative")
    return packed(_greedy(word, table, unknown, max_length) for word in _words(symbols, offsets))


Marked = dict[tuple[Piece, bool], int]


def _marked(pieces: Any, piece_offsets: Any, continuing: Any) -> Marked:
    read = _pieces(pieces, piece_offsets)
    require(len(continuing) == len(read), f"continuing has {len(continuing)} entries for {len(read)} pieces")
    return _first_ids(zip(read, continuing.tolist(), strict=True))


def _greedy(word: Piece, table: Marked, unknown: int, max_length: int) -> list[int]:
    ids: list[int] = []
    start = 0
    while start < len(word):
        ends = [end for end in range(start + 1, len(word) + 1) if (word[start:end], start > 0) in table]
        if not ends or len(word) > max_length:
            return [unknown]
        ids.append(table[word[start : ends[-1]], start > 0])
        start = ends[-1]
    return ids


@operation(inputs=weighted_pieces(), differentiable=True)
def unigram_encode(symbols: Any, offsets: Any, pieces: Any, piece_offsets: Any, log_probabilities: Any) -> Any:
    """The segmentation with the highest sum of log-probabilities, and that sum.

    symbols (N,), offsets (W + 1,), pieces (M,), piece_offsets (P + 1,), log_probabilities (P,), finite, at most 0
      ->  ids (N',), offsets (W + 1,), scores (W,)

    A word that no pieces spell is refused. Of equal pieces the most probable counts, then the first. Where two
    segmentations have the same score, or rounding could make one higher than the other, nothing is said.
    """
    words, table, numbers = _weighted(symbols, offsets, pieces, piece_offsets, log_probabilities)
    found = {word: _two_best(word, table, numbers) for word in set(words)}
    require(all(found.values()), "symbols hold a word that no pieces spell")
    for word, (best, *others) in found.items():
        for other in others:
            one, two = (_sum(word, log_probabilities[list(ids)]) for ids in (best, other))
            if np.any(one <= two):
                raise Undecidable("two segmentations have the same score")
    return _segmented(words, {word: best for word, (best, *_) in found.items()}, log_probabilities)


def _weighted(
    symbols: Any, offsets: Any, pieces: Any, piece_offsets: Any, log_probabilities: Any
) -> tuple[Words, dict[Piece, int], list[float]]:
    """The words, the id of each spelling, and the log-probabilities as numbers, checked."""
    words, read = _words(symbols, offsets), _pieces(pieces, piece_offsets)
    numbers = value_of(constant(log_probabilities)).astype(np.float64)
    require(numbers.shape == (len(read),), f"log_probabilities has shape {numbers.shape} for {len(read)} pieces")
    require(np.isfinite(numbers) & (numbers <= 0), "log_probabilities must be finite and at most 0")
    return words, _most_probable(read, numbers), numbers.tolist()


def _most_probable(pieces: Words, numbers: Any) -> dict[Piece, int]:
    """The id of each spelling: of equal pieces the most probable, then the first."""
    table: dict[Piece, int] = {}
    for id, piece in enumerate(pieces):
        if numbers[id] > numbers[table.setdefault(piece, id)]:
            table[piece] = id
    return table


def _two_best(word: Piece, table: dict[Piece, int], numbers: list[float]) -> Words:
    """The ids of the best segmentation and, where there is one, of the next: none where no pieces spell the word."""
    longest = max(map(len, table), default=0)
    reached: list[list[tuple[float, Piece]]] = [[(0.0, ())]]
    for end in range(1, len(word) + 1):
        ways = [(score + numbers[id], (*ids, id)) for start in range(max(0, end - longest), end)
                if (id := table.get(word[start:end])) is not None for score, ids in reached[start]]  # fmt: skip
        reached.append(sorted(ways, key=lambda way: -way[0])[:2])
    return [ids for _, ids in reached[-1]]


def _sum(word: Piece, terms: Any) -> Any:
    """The sum over its pieces, with room for the error of as many terms as the word has symbols. (1,)."""
    return np.sum(np.concatenate([terms, np.zeros(len(word) - len(terms), terms.dtype)]), keepdims=True)


def _segmented(words: Words, chosen: dict[Piece, Piece], log_probabilities: Any) -> Any:
    """All pieces are looked up at once, so that on the way back all uses of a piece are one sum, in any order."""
    ids, ends = packed(chosen[word] for word in words)
    terms = log_probabilities[ids]
    sums = [_sum(word, terms[start:end]) for word, (start, end) in zip(words, pairwise(ends), strict=True)]
    return ids, ends, np.concatenate([terms[:0], *sums])


# --- laws: one id for what is unknown -------------------------------------------------------------------------


@law()
def every_listed_word_is_its_own_id(unknown_encode: Any, pieces: Any, piece_offsets: Any, unknown: int) -> Claim:
    """Encoding the vocabulary itself gives 0, 1, 2, ..."""
    vocabulary = {"pieces": pieces, "piece_offsets": piece_offsets}
    ids = unknown_encode(symbols=pieces, offsets=piece_offsets, **vocabulary, unknown=unknown)
    return exactly(ids, np.arange(len(piece_offsets) - 1))


@law(place=st.sampled_from([0, 1, -1]))
def a_word_outside_the_list_is_unknown(
    unknown_encode: Any, symbols: Any, offsets: Any, pieces: Any, piece_offsets: Any, unknown: int, place: int
) -> Claim:
    """Words with a symbol that no piece has are unknown, all of them, whatever else they hold; so is the empty word."""
    strange = int(pieces.max(initial=0)) + 1
    words = [[*word[: place % (len(word) + 1)], strange, *word[place % (len(word) + 1) :]]
             for word in unpacked(symbols, offsets)]  # fmt: skip
    ids = unknown_encode(**_text([*words, []]), pieces=pieces, piece_offsets=piece_offsets, unknown=unknown)
    return exactly(ids, np.full(len(offsets), unknown))


@law()
def which_unknown_word_it_was_is_lost_but_not_in_bytes(
    unknown_encode: Any, bpe_encode: Any, bpe_decode: Any, symbols: Any, offsets: Any, pieces: Any,
    piece_offsets: Any, unknown: int,
) -> Claim:  # fmt: skip
    """Two different texts of unknown words have the same code, so nothing can undo it; byte-pair encoding, even with
    an empty table, gives each back.
    """
    base = int(max(symbols.max(initial=0), pieces.max(initial=0))) + 3
    texts = [_text([*word, base - k] for word in [[], *unpacked(symbols, offsets)]) for k in (1, 2)]
    table = {"merges": np.zeros((0, 2), np.int64), "base": base}

    def spelled(text: dict[str, Any]) -> Claim:
        ids, ends = bpe_encode(**text, **table)
        return exactly(bpe_decode(ids=ids, offsets=ends, **table), (text["symbols"], text["offsets"]))

    vocabulary = {"pieces": pieces, "piece_offsets": piece_offsets, "unknown": unknown}
    one, other = (unknown_encode(**text, **vocabulary) for text in texts)
    return all_of(exactly(one, other), *map(spelled, texts))


@law(seed=seeds)
def words_are_looked_up_one_by_one(
    unknown_encode: Any, symbols: Any, offsets: Any, pieces: Any, piece_offsets: Any, unknown: int, seed: int
) -> Claim:
    """Words in another order, some left out and some repeated, have the ids that each of them had."""
    vocabulary = {"pieces": pieces, "piece_offsets": piece_offsets, "unknown": unknown}
    order = _order(offsets, seed)
    ids = unknown_encode(symbols=symbols, offsets=offsets, **vocabulary)
    moved = unknown_encode(**_text(_taken(symbols, offsets, order)), **vocabulary)
    return exactly(moved, ids[order])


@law(inputs=listed_words(distinct=False))
def of_equal_listed_words_the_first_counts(unknown_encode: Any, inputs: dict[str, Any]) -> Claim:
    """A piece that stands in the list already has no effect when it stands there once more."""
    return exactly(unknown_encode(**inputs), unknown_encode.definition(**inputs))


def _order(offsets: Any, seed: int) -> Any:
    """Numbers of words: shuffled, some missing and some twice."""
    count = len(offsets) - 1
    return np.random.default_rng(seed).integers(0, count, count + 2) if count else np.zeros(0, np.int64)


def _taken(symbols: Any, offsets: Any, words: Any) -> list[list[int]]:
    """These words of a text (or of a code), in this order."""
    read = unpacked(symbols, offsets)
    return [read[w] for w in words]


# --- laws: back-off with a constant ---------------------------------------------------------------------------


@law()
def a_history_never_seen_costs_alpha(
    backoff_scores: Any, corpus: Any, history: Any, vocabulary: int, alpha: float
) -> Claim:
    """After a history that does not occur every score is alpha times that after the shorter history."""
    shorter = {"corpus": corpus, "vocabulary": vocabulary + 1, "alpha": alpha}
    unseen = np.append(vocabulary, history)
    after = backoff_scores(**shorter, history=unseen, order=len(unseen) + 1)
    return closely(after, alpha * backoff_scores(**shorter, history=history, order=len(unseen)))


@law(steps=st.integers(0, 4))
def every_step_back_costs_alpha_once_more(
    backoff_scores: Any, corpus: Any, vocabulary: int, alpha: float, steps: int
) -> Claim:
    """From a history of n words of which none ever occurred, it takes alpha to the n to get to the frequencies."""
    history = np.full(steps, vocabulary)
    scores = backoff_scores(corpus=corpus, history=history, vocabulary=vocabulary + 1, order=steps + 1, alpha=alpha)
    expected = _exact(np.bincount(corpus, minlength=vocabulary + 1)) / len(corpus)
    for _ in range(steps):
        expected = alpha * expected
    return closely(scores, expected)


@law()
def without_history_scores_are_frequencies(
    backoff_scores: Any, corpus: Any, history: Any, vocabulary: int, alpha: float
) -> Claim:
    """An empty history, and order 1 with any history, give count(w) / N, which adds up to 1."""
    call = {"corpus": corpus, "vocabulary": vocabulary, "alpha": alpha}
    unigrams = backoff_scores(**call, history=history[:0], order=3)
    return all_of(
        closely(unigrams, _exact(np.bincount(corpus, minlength=vocabulary)) / len(corpus)),
        closely(backoff_scores(**call, history=history, order=1), unigrams),
        closely(np.sum(unigrams), 1.0),
    )


@law()
def words_seen_after_the_history_pay_nothing(
    backoff_scores: Any, corpus: Any, history: Any, vocabulary: int, order: int, alpha: float
) -> Claim:
    """Where the whole history was followed by a word, that word's score is its share of the history's occurrences,
    whatever alpha; for alpha = 0 all others have 0.
    """
    call = {"corpus": corpus, "history": history, "vocabulary": vocabulary, "order": order}
    context = history.tolist()[max(len(history) - order + 1, 0) :]
    ends = [t for t in range(len(context), len(corpus) + 1) if corpus[t - len(context) : t].tolist() == context]
    followers = np.bincount([corpus[t] for t in ends if t < len(corpus)], minlength=vocabulary)
    share = _exact(followers) / max(len(ends) if context else len(corpus), 1)
    scores = backoff_scores(**call, alpha=alpha)
    return all_of(
        closely(np.where(followers > 0, scores, 0.0), share), closely(backoff_scores(**call, alpha=0.0), share)
    )


@law(examples=1)
def an_occurrence_at_the_end_counts(backoff_scores: Any) -> Claim:
    """In aba, b follows one of two a: its score is 1/2, though nothing follows the other."""
    scores = backoff_scores(corpus=np.array([0, 1, 0]), history=np.array([0]), vocabulary=2, order=2, alpha=0.5)
    return closely(scores, _exact([2 / 3, 1]) / 2)


@law(examples=1)
def scores_are_no_probabilities(backoff_scores: Any, katz_probabilities: Any) -> Claim:
    """Erratum. In ababcc the scores after a add up to 4/3, since words never seen there come on top of b, which always
    followed; Katz's probabilities add up to 1.
    """
    call = {"corpus": np.array([0, 1, 0, 1, 2, 2]), "history": np.array([0]), "vocabulary": 3, "order": 2}
    return all_of(
        closely(np.sum(backoff_scores(**call, alpha=0.5)), _exact(4) / 3),
        closely(np.sum(katz_probabilities(**call, discount=0.5)), 1.0),
    )


@law(length=st.integers(2, 40), order=st.integers(1, 6))
def occurrences_may_overlap(backoff_scores: Any, length: int, order: int) -> Claim:
    """A run of n equal words holds n - k + 1 times k of them: after k, one more has (n - k) / (n - k + 1)."""
    known = min(order - 1, length - 1)
    run = {"corpus": np.zeros(length, np.int64), "history": np.zeros(known, np.int64), "vocabulary": 1}
    share = _exact([length - known]) / (length - known + 1) if known else _exact([1.0])
    return closely(backoff_scores(**run, order=order, alpha=0.5), share)


@law(more=st.integers(1, 3), seed=seeds)
def only_the_last_words_of_a_history_are_looked_at(
    backoff_scores: Any, katz_probabilities: Any, corpus: Any, history: Any, vocabulary: int, alpha: float, more: int,
    seed: int,
) -> Claim:  # fmt: skip
    """A model of order n looks at n - 1 words: what stands before them changes nothing."""
    earlier = np.random.default_rng(seed).integers(0, vocabulary, more)
    call = {"corpus": corpus, "vocabulary": vocabulary, "order": len(history) + 1}

    def both(history: Any) -> Any:
        scores = backoff_scores(**call, history=history, alpha=alpha)
        return scores, katz_probabilities(**call, history=history, discount=0.75)

    return closely(both(np.append(earlier, history)), both(history))


@law(seed=seeds)
def only_counts_of_rows_matter(
    backoff_scores: Any, katz_probabilities: Any, corpus: Any, vocabulary: int, order: int, alpha: float, seed: int
) -> Claim:
    """Two stretches of a corpus between the same order - 1 words may change places: every row of `order` words occurs
    as often as before.
    """
    generator = np.random.default_rng(seed)
    joint = generator.integers(0, vocabulary, order - 1)
    half = len(corpus) // 2
    corpora = [np.concatenate([joint, first, joint, second, joint])
               for first, second in [(corpus[:half], corpus[half:]), (corpus[half:], corpus[:half])]]  # fmt: skip
    start = int(generator.integers(0, len(corpora[0])))
    call = {"history": corpora[0][start : start + order - 1], "vocabulary": vocabulary, "order": order}
    scores = [backoff_scores(corpus=corpus, **call, alpha=alpha) for corpus in corpora]
    probabilities = [katz_probabilities(corpus=corpus, **call, discount=0.75) for corpus in corpora]
    return all_of(closely(*scores), closely(*probabilities))


@law(seed=seeds)
def words_are_names_only(
    backoff_scores: Any, katz_probabilities: Any, corpus: Any, history: Any, vocabulary: int, order: int,
    alpha: float, seed: int,
) -> Claim:  # fmt: skip
    """With the words renamed, every score stays with its word, as does every probability."""
    names = np.random.default_rng(seed).permutation(vocabulary)
    plain = {"corpus": corpus, "history": history, "vocabulary": vocabulary, "order": order}
    renamed = {**plain, "corpus": names[corpus], "history": names[history]}
    return all_of(
        closely(backoff_scores(**renamed, alpha=alpha)[names], backoff_scores(**plain, alpha=alpha)),
        closely(katz_probabilities(**renamed, discount=0.75)[names], katz_probabilities(**plain, discount=0.75)),
    )


# --- laws: Katz back-off --------------------------------------------------------------------------------------


@law()
def katz_probabilities_sum_to_one(katz_probabilities: Any, inputs: dict[str, Any]) -> Claim:
    """Whatever the corpus, the history, the order and the discount, no probability is negative, and all add up to 1."""
    probabilities = katz_probabilities(**inputs)
    return all_of(closely(np.sum(probabilities), 1.0), at_most(0.0, probabilities))


@law()
def where_every_word_was_seen_nothing_is_discounted(
    katz_probabilities: Any, corpus: Any, history: Any, vocabulary: int, order: int, discount: float
) -> Claim:
    """With nobody to give to, nothing is taken: once the history was followed by every word, probabilities are the
    shares of what followed.
    """
    context = history[max(len(history) - order + 1, 0) :]
    full = np.concatenate([corpus, *(np.append(context, word) for word in range(vocabulary))])
    followers = _followers(full, tuple(context.tolist()), vocabulary)
    result = katz_probabilities(corpus=full, history=history, vocabulary=vocabulary, order=order, discount=discount)
    return closely(result, _exact(followers) / int(followers.sum()))


@law()
def a_history_that_nothing_follows_changes_nothing(
    katz_probabilities: Any, corpus: Any, history: Any, vocabulary: int, discount: float
) -> Claim:
    """After a history that never occurred, or only where the corpus ends, the shorter history's probabilities stand."""
    call = {"vocabulary": vocabulary + 1, "discount": discount}
    unseen = {"corpus": corpus, "history": np.append(vocabulary, history), "order": len(history) + 2}
    last = np.append(corpus, vocabulary)
    return all_of(
        closely(katz_probabilities(**call, **unseen),
                katz_probabilities(**call, **{**unseen, "history": history})),
        closely(katz_probabilities(**call, corpus=last, history=last[-1:], order=2),
                katz_probabilities(**call, corpus=last, history=last[:0], order=2)),
    )  # fmt: skip


@law()
def a_seen_word_gives_up_the_discount(
    katz_probabilities: Any, corpus: Any, history: Any, vocabulary: int, order: int, discount: float
) -> Claim:
    """A word seen c times among n that followed has (c - discount) / n where some word was not seen, and c / n where
    the discount is 0.
    """
    call = {"corpus": corpus, "history": history, "vocabulary": vocabulary + 1, "order": order}
    followers = _followers(corpus, tuple(history.tolist()[max(len(history) - order + 1, 0) :]), vocabulary + 1)
    seen, total = followers > 0, max(int(followers.sum()), 1)

    def kept(discount: float) -> Any:
        return np.where(seen, katz_probabilities(**call, discount=discount), 0.0)

    return all_of(closely(kept(discount), np.where(seen, _exact(followers) - discount, 0.0) / total),
                  closely(kept(0.0), _exact(followers) / total))  # fmt: skip


@law()
def unseen_words_share_as_after_the_shorter_history(
    katz_probabilities: Any, corpus: Any, history: Any, vocabulary: int, discount: float
) -> Claim:
    """Words never seen after a history keep the proportions that they have after the shorter one."""
    call = {"corpus": corpus, "vocabulary": vocabulary + 2, "discount": discount}
    longer = katz_probabilities(**call, history=history, order=len(history) + 1)
    shorter = katz_probabilities(**call, history=history[1:], order=max(len(history), 1))
    unseen = _followers(corpus, tuple(history.tolist()), vocabulary + 2) == 0
    longer, shorter = longer[unseen], shorter[unseen]
    return closely(longer[:, None] * shorter[None, :], shorter[:, None] * longer[None, :])


@law(new=st.integers(1, 4))
def words_that_never_occurred_are_equally_probable(
    katz_probabilities: Any, corpus: Any, vocabulary: int, discount: float, new: int
) -> Claim:
    """Below the unigrams stands the uniform distribution: of k words outside the corpus each has 1/k of what the
    discount leaves, discount * (words seen) / N.
    """
    seen = len(set(corpus.tolist()))
    probabilities = katz_probabilities(corpus=corpus, history=corpus[:0], vocabulary=vocabulary + new, order=1,
                                       discount=discount)  # fmt: skip
    left = discount * _exact([seen]) / len(corpus) / (vocabulary + new - seen)
    return closely(probabilities[vocabulary:], np.broadcast_to(left, (new,)))


# --- laws: the longest piece first ----------------------------------------------------------------------------


@law(examples=1)
def greedy_gives_up_where_there_is_a_way(wordpiece_encode: Any) -> Claim:
    """With abc, ab and ##cd, abcd is unknown: abc is taken, no piece goes on with d, and ab ##cd is never tried."""
    ids = wordpiece_encode(**_text([[0, 1, 2, 3], [0, 1, 2], [0, 1]]), **_vocabulary([[0, 1, 2], [0, 1], [2, 3]]),
                           continuing=np.array([False, False, True]), unknown=3, max_length=100)  # fmt: skip
    return exactly(ids, (np.array([3, 0, 1]), np.array([0, 1, 2, 3])))


@law()
def pieces_spell_the_word_or_it_is_unknown_as_a_whole(wordpiece_encode: Any, inputs: dict[str, Any]) -> Claim:
    """A word's pieces, one behind the other, are the word; else its code is `unknown`, once, and nothing else. An empty
    word has no pieces.
    """
    pieces = unpacked(inputs["pieces"], inputs["piece_offsets"])
    unknown = len(pieces)  # a piece in no case
    codes = unpacked(*wordpiece_encode(**{**inputs, "unknown": unknown}))
    words = unpacked(inputs["symbols"], inputs["offsets"])
    spelled = [word if word and code == [unknown] else [symbol for id in code for symbol in _spelling(pieces, id)]
               for word, code in zip(words, codes, strict=True)]  # fmt: skip
    return exactly(packed(spelled), (inputs["symbols"], inputs["offsets"]))


def _spelling(pieces: Sequence[Sequence[int]], id: int) -> Sequence[int]:
    """The symbols of a piece; -1, which is no symbol, for an id that none has."""
    return pieces[id] if 0 <= id < len(pieces) else [-1]


@law()
def no_longer_piece_fits(wordpiece_encode: Any, inputs: dict[str, Any]) -> Claim:
    """Wherever a piece was taken, it is the longest of those that fit there."""
    pieces = unpacked(inputs["pieces"], inputs["piece_offsets"])
    unknown = len(pieces)
    codes = unpacked(*wordpiece_encode(**{**inputs, "unknown": unknown}))
    marks = inputs["continuing"].tolist()
    taken, longest = [], []
    for word, code in zip(unpacked(inputs["symbols"], inputs["offsets"]), codes, strict=True):
        start = 0
        for id in code if unknown not in code else []:
            fitting = [len(piece) for piece, mark in zip(pieces, marks, strict=True)
                       if mark == (start > 0) and word[start : start + len(piece)] == piece]  # fmt: skip
            taken.append(len(_spelling(pieces, id)))
            longest.append(max(fitting, default=0))
            start += taken[-1]
    return exactly(np.array(taken), np.array(longest))


@law()
def the_first_piece_begins_a_word_and_the_others_continue_it(wordpiece_encode: Any, inputs: dict[str, Any]) -> Claim:
    """Only a word's first piece is without the mark, so the words can be told from the pieces alone."""
    unknown = len(inputs["continuing"])
    ids, ends = wordpiece_encode(**{**inputs, "unknown": unknown})
    marks = np.append(inputs["continuing"], False)[ids]
    first = np.isin(np.arange(len(ids)), ends[:-1])
    return exactly(marks, ~first)


@law()
def with_every_symbol_in_both_kinds_no_word_is_unknown(wordpiece_encode: Any, inputs: dict[str, Any]) -> Claim:
    """Once each symbol is a piece that begins words and one that continues them, every word has pieces."""
    pieces = unpacked(inputs["pieces"], inputs["piece_offsets"])
    single = [[symbol] for symbol in np.unique(inputs["symbols"]).tolist()]
    marks = np.repeat([False, True], len(single))
    total = len(pieces) + 2 * len(single)
    ids, _ = wordpiece_encode(**_text(unpacked(inputs["symbols"], inputs["offsets"])),
                              **_vocabulary([*pieces, *single, *single]), unknown=total, max_length=1000,
                              continuing=np.append(inputs["continuing"], marks))  # fmt: skip
    return exactly((ids == total).sum(), 0)


@law(limit=st.integers(0, 8))
def words_beyond_the_limit_are_unknown_and_others_untouched(
    wordpiece_encode: Any, inputs: dict[str, Any], limit: int
) -> Claim:
    """A word of max_length symbols is encoded as without a limit; one more symbol makes it unknown."""
    free = unpacked(*wordpiece_encode(**{**inputs, "max_length": 10**6}))
    long = (np.diff(inputs["offsets"]) > limit).tolist()
    expected = [[inputs["unknown"]] if beyond else code for beyond, code in zip(long, free, strict=True)]
    return exactly(wordpiece_encode(**{**inputs, "max_length": limit}), packed(expected))


@law(seed=seeds)
def words_have_their_pieces_wherever_they_stand(wordpiece_encode: Any, inputs: dict[str, Any], seed: int) -> Claim:
    """Words in another order, some left out and some repeated, have the pieces that each of them had."""
    order = _order(inputs["offsets"], seed)
    text = _text(_taken(inputs["symbols"], inputs["offsets"], order))
    ids, ends = wordpiece_encode(**inputs)
    return exactly(wordpiece_encode(**{**inputs, **text}), packed(_taken(ids, ends, order)))


@law(inputs=marked_pieces(distinct=False))
def of_equal_marked_pieces_the_first_counts(wordpiece_encode: Any, inputs: dict[str, Any]) -> Claim:
    """A piece with the symbols and the mark of an earlier one has no effect."""
    return exactly(wordpiece_encode(**inputs), wordpiece_encode.definition(**inputs))


SHORT = [word for length in range(9) for word in product((0, 1), repeat=length)]
"""All strings over two symbols up to length 8."""


@law(examples=1)
def every_short_string_is_read_as_by_the_loop(wordpiece_encode: Any) -> Claim:
    """On all strings of two symbols up to length 8, pieces are those of the plain loop, for vocabularies of runs and of
    pieces that overlap.
    """

    def claim(begin: list[list[int]], go_on: list[list[int]], max_length: int) -> Claim:
        call = {**_text(SHORT), **_vocabulary([*go_on, *begin]), "unknown": 9, "max_length": max_length,
                "continuing": np.arange(len(begin) + len(go_on)) < len(go_on)}  # fmt: skip
        return exactly(wordpiece_encode(**call), wordpiece_encode.definition(**call))

    return all_of(
        claim([[0], [0, 0, 0], [1]], [[0, 0], [1], [0, 1, 0]], 100),
        claim([[0, 1], [1, 0], [0, 1, 0, 0]], [[0], [1], [0, 1], [1, 1, 1]], 100),
        claim([[0], [1]], [[0], [1]], 5),
    )


# --- laws: the most probable pieces ---------------------------------------------------------------------------


@law(inputs=weighted_pieces(longest=7))
def no_segmentation_of_all_scores_higher(
    unigram_encode: Any, symbols: Any, offsets: Any, pieces: Any, piece_offsets: Any, log_probabilities: Any
) -> Claim:
    """The score is the highest over all segmentations, found by trying every one."""
    read = unpacked(pieces, piece_offsets)
    words = unpacked(symbols, offsets)
    padded = np.concatenate([asbounded(log_probabilities), np.zeros(1)])

    def highest(word: list[int]) -> Any:
        every = [ids + [len(read)] * (len(word) - len(ids)) for ids in _segmentations(word, read)]
        return np.max(np.sum(padded[np.array(every, np.int64)], axis=1))

    _, _, scores = unigram_encode(symbols=symbols, offsets=offsets, pieces=pieces, piece_offsets=piece_offsets,
                                  log_probabilities=log_probabilities)  # fmt: skip
    return all_of(exactly(len(scores), len(words)),
                  *(closely(score, highest(word)) for score, word in zip(scores, words, strict=True)))  # fmt: skip


def _segmentations(word: list[int], pieces: list[list[int]]) -> Iterator[list[int]]:
    if not word:
        yield []
    for id, piece in enumerate(pieces):
        if word[: len(piece)] == piece:
            yield from ([id, *rest] for rest in _segmentations(word[len(piece) :], pieces))


@law()
def the_most_probable_pieces_spell_the_word(unigram_encode: Any, inputs: dict[str, Any]) -> Claim:
    """A word's pieces, one behind the other, are the word, and there are scores for as many words."""
    pieces = unpacked(inputs["pieces"], inputs["piece_offsets"])
    ids, ends, scores = unigram_encode(**inputs)
    spelled = [[symbol for id in code for symbol in _spelling(pieces, id)] for code in unpacked(ids, ends)]
    return all_of(exactly(packed(spelled), (inputs["symbols"], inputs["offsets"])), exactly(len(scores), len(spelled)))


@law()
def a_score_is_the_sum_over_the_pieces(unigram_encode: Any, inputs: dict[str, Any]) -> Claim:
    """A word's score is the sum of the log-probabilities of the pieces that are returned with it, 0 for none."""
    weights = asbounded(inputs["log_probabilities"])
    ids, ends, scores = unigram_encode(**inputs)
    sums = [np.sum(weights[code], keepdims=True) for code in map(list, unpacked(ids, ends))]
    return closely(scores, np.concatenate([weights[:0], *sums]))


@law()
def greedy_pieces_are_no_more_probable(unigram_encode: Any, wordpiece_encode: Any, inputs: dict[str, Any]) -> Claim:
    """The longest pieces first, from the same vocabulary without marks, have at most the score of the best."""
    pieces = unpacked(inputs["pieces"], inputs["piece_offsets"])
    weights = asbounded(inputs["log_probabilities"])
    text = {"symbols": inputs["symbols"], "offsets": inputs["offsets"]}
    ids, ends = wordpiece_encode(**text, **_vocabulary([*pieces, *pieces]), unknown=2 * len(pieces), max_length=10**6,
                                 continuing=np.arange(2 * len(pieces)) >= len(pieces))  # fmt: skip
    greedy = [np.sum(weights[[id % len(pieces) for id in code]], keepdims=True) for code in unpacked(ids, ends)]
    return at_most(np.concatenate([weights[:0], *greedy]), unigram_encode(**inputs)[2])


@law()
def twice_the_log_probabilities_choose_the_same_pieces(unigram_encode: Any, inputs: dict[str, Any]) -> Claim:
    """With all log-probabilities doubled the pieces are the same, and the scores twice as large."""
    ids, ends, scores = unigram_encode(**inputs)
    doubled = unigram_encode(**{**inputs, "log_probabilities": 2 * inputs["log_probabilities"]})
    return all_of(exactly(doubled[:2], (ids, ends)), closely(doubled[2], 2 * scores))


@law()
def a_further_piece_lowers_no_score(unigram_encode: Any, inputs: dict[str, Any]) -> Claim:
    """With one piece less, one of several symbols, no word scores higher."""
    pieces = unpacked(inputs["pieces"], inputs["piece_offsets"])
    kept = len(pieces) - (len(pieces[-1]) > 1)
    fewer = {**inputs, **_vocabulary(pieces[:kept]), "log_probabilities": inputs["log_probabilities"][:kept]}
    return at_most(unigram_encode(**fewer)[2], unigram_encode(**inputs)[2])


@law(seed=seeds)
def words_have_their_scores_wherever_they_stand(unigram_encode: Any, inputs: dict[str, Any], seed: int) -> Claim:
    """Words in another order, some left out and some repeated, have the pieces and scores that each of them had."""
    order = _order(inputs["offsets"], seed)
    text = _text(_taken(inputs["symbols"], inputs["offsets"], order))
    ids, ends, scores = unigram_encode(**inputs)
    moved = unigram_encode(**{**inputs, **text})
    return all_of(exactly(moved[:2], packed(_taken(ids, ends, order))), closely(moved[2], scores[order]))


@law(inputs=weighted_pieces(distinct=False))
def of_equal_pieces_the_most_probable_counts(unigram_encode: Any, inputs: dict[str, Any]) -> Claim:
    """Where several pieces spell the same, the most probable one is used."""
    return _as_defined(unigram_encode, inputs)


@law(inputs=weighted_pieces(distinct=False))
def of_equally_probable_equal_pieces_the_first_counts(unigram_encode: Any, inputs: dict[str, Any]) -> Claim:
    """Where several pieces spell the same and have the same probability, the first one is used."""
    pieces = [tuple(piece) for piece in unpacked(inputs["pieces"], inputs["piece_offsets"])]
    first = np.array([pieces.index(piece) for piece in pieces], np.int64)
    return _as_defined(unigram_encode, {**inputs, "log_probabilities": inputs["log_probabilities"][first]})


def _as_defined(unigram_encode: Any, inputs: dict[str, Any]) -> Claim:
    (*code, scores), (*expected, sums) = unigram_encode.compare(**inputs)
    return all_of(exactly(tuple(code), tuple(expected)), closely(scores, value_of(sums)))


@law(examples=1)
def a_symbol_needs_no_piece_of_its_own(unigram_encode: Any) -> Claim:
    """With ab and c, abcab is spelled though neither a nor b is a piece."""
    inputs = {**_text([[0, 1, 2, 0, 1]]), **_vocabulary([[0, 1], [2]]), "log_probabilities": np.array([-1.0, -2.0])}
    ids, ends, scores = unigram_encode(**inputs)
    return all_of(exactly((ids, ends), (np.array([0, 1, 0]), np.array([0, 3]))), closely(scores, np.array([-4.0])))


# --- laws: real text, and what is refused ---------------------------------------------------------------------


@law(inputs=st.fixed_dictionaries({"start": st.integers(0, 300_000), "seed": seeds}), examples=2)
def real_text_is_encoded_as_defined(
    unknown_encode: Any, wordpiece_encode: Any, unigram_encode: Any, start: int, seed: int
) -> Claim:
    """On some thousand words of Python's documentation, with some hundred pieces of them, all three are as defined."""
    generator = np.random.default_rng(seed)
    words = [tuple(word) for word in library_text(400_000)[start : start + 12_000].split()]
    single = [(symbol,) for symbol in sorted({symbol for word in words for symbol in word})]
    pieces = _kept([*single, *_parts(words, 600, generator)], True, generator)
    weights = -generator.integers(1, 100, len(pieces)) / 8  # representable in all formats
    call = {**_text(words), **_vocabulary(pieces)}
    marked = {**call, **_vocabulary([*pieces, *pieces]), "continuing": np.arange(2 * len(pieces)) >= len(pieces)}
    clear = _clear([word for word in words if len(word) <= 12], _first_ids(pieces), weights.tolist(), 1 / 8)
    return all_of(
        exactly(*unknown_encode.compare(**call, unknown=len(pieces))),
        exactly(*wordpiece_encode.compare(**marked, unknown=2 * len(pieces), max_length=12)),
        _as_defined(unigram_encode, {**call, **_text(clear), "log_probabilities": weights}),
    )


@law(inputs=weighted_pieces(), examples=20)
def offsets_that_cut_no_words_or_pieces_are_refused(
    unknown_encode: Any, wordpiece_encode: Any, unigram_encode: Any, inputs: dict[str, Any]
) -> Claim:
    """Offsets begin at 0, end at the last symbol, and do not fall; those of pieces neither."""

    def wrong(offsets: Any) -> list[Any]:
        return [offsets[:-1] if offsets[-1] > offsets[-2:][0] else offsets[:0], rewritten(offsets, 0, 1),
                np.append(offsets, offsets[-1] + 1), np.insert(offsets, 1, offsets[-1] + 1)]  # fmt: skip

    calls = [(operation, {**arguments, name: offsets})
             for operation, arguments in _all_three(unknown_encode, wordpiece_encode, unigram_encode, inputs)
             for name in ("offsets", "piece_offsets") for offsets in wrong(inputs[name])]  # fmt: skip
    return all_of(*(refused(operation, "offsets", arguments) for operation, arguments in calls))


@law(inputs=weighted_pieces(), examples=20, place=st.integers(0, 30))
def negative_symbols_are_refused(
    unknown_encode: Any, wordpiece_encode: Any, unigram_encode: Any, inputs: dict[str, Any], place: int
) -> Claim:
    """Symbols are not negative, neither in words nor in pieces."""

    def spoiled(name: str) -> list[dict[str, Any]]:
        symbols = inputs[name]
        return [{name: rewritten(symbols, place % len(symbols), -1)}] if len(symbols) else []

    return all_of(*[
        refused(operation, name, {**arguments, **change})
        for operation, arguments in _all_three(unknown_encode, wordpiece_encode, unigram_encode, inputs)
        for name in ("symbols", "pieces") for change in spoiled(name)
    ])  # fmt: skip


@law(inputs=weighted_pieces(), examples=20, place=st.integers(0, 30))
def empty_pieces_are_refused(
    unknown_encode: Any, wordpiece_encode: Any, unigram_encode: Any, inputs: dict[str, Any], place: int
) -> Claim:
    """A piece without symbols would fit everywhere and lead nowhere."""
    offsets = inputs["piece_offsets"]
    wrong = {"piece_offsets": np.insert(offsets, place % len(offsets), offsets[place % len(offsets)])}
    weights = inputs["log_probabilities"]
    one_more = {"continuing": np.zeros(len(offsets), bool), "log_probabilities": np.append(weights, weights[:1])}
    return all_of(*[
        refused(operation, "pieces", {**arguments, **wrong, **{k: x for k, x in one_more.items() if k in arguments}})
        for operation, arguments in _all_three(unknown_encode, wordpiece_encode, unigram_encode, inputs)
    ])  # fmt: skip


def _all_three(unknown_encode: Any, wordpiece_encode: Any, unigram_encode: Any, inputs: dict[str, Any]) -> list[Any]:
    count = len(inputs["piece_offsets"]) - 1
    call = {name: inputs[name] for name in ("symbols", "offsets", "pieces", "piece_offsets")}
    marked = {**call, "continuing": np.zeros(count, bool), "unknown": count, "max_length": 1000}
    return [(unknown_encode, {**call, "unknown": count}), (wordpiece_encode, marked), (unigram_encode, inputs)]


@law(examples=20)
def marks_and_limits_that_mean_nothing_are_refused(wordpiece_encode: Any, inputs: dict[str, Any]) -> Claim:
    """There is one mark for each piece; the unknown id and the limit are not negative."""
    inputs = {**inputs, **_text([[1], *unpacked(inputs["symbols"], inputs["offsets"]), [2, 3]])}
    return all_of(
        refused(wordpiece_encode, "continuing", {**inputs, "continuing": np.append(inputs["continuing"], True)}),
        refused(wordpiece_encode, "continuing", {**inputs, "continuing": inputs["continuing"][1:]})
        if len(inputs["continuing"])
        else exactly(0, 0),
        refused(wordpiece_encode, "unknown", {**inputs, "unknown": -1}),
        refused(wordpiece_encode, "max_length", {**inputs, "max_length": -1}),
    )


@law(examples=20, place=st.sampled_from([0, 1, -1]))
def words_that_no_pieces_spell_are_refused(unigram_encode: Any, inputs: dict[str, Any], place: int) -> Claim:
    """There is no unknown piece: a word with a symbol that is in no piece has no segmentation."""
    strange = int(inputs["pieces"].max()) + 1
    words = [*unpacked(inputs["symbols"], inputs["offsets"]), inputs["pieces"][:2].tolist()]
    words[place % len(words)] = [*words[place % len(words)], strange, strange]
    return refused(unigram_encode, "symbols", {**inputs, **_text(words)})


@law(examples=20, place=st.integers(0, 30), wrong=st.sampled_from([0.5, np.inf, -np.inf, np.nan]))
def numbers_that_are_no_log_probabilities_are_refused(
    unigram_encode: Any, inputs: dict[str, Any], place: int, wrong: float
) -> Claim:
    """Log-probabilities are finite and at most 0, and there is one for each piece."""
    weights = inputs["log_probabilities"]
    return all_of(*[
        refused(unigram_encode, "log_probabilities", {**inputs, "log_probabilities": numbers})
        for numbers in (rewritten(weights, place % len(weights), wrong), weights[:-1], np.append(weights, weights[:1]))
    ])  # fmt: skip


@law(examples=20, place=st.integers(0, 30), shift=st.sampled_from([0, 1, 7]))
def scores_of_what_cannot_be_counted_are_refused(
    backoff_scores: Any, inputs: dict[str, Any], place: int, shift: int
) -> Claim:
    """A corpus is not empty; its words and the history's are ids of the vocabulary; the order is at least 1, and
    alpha in [0, 1].
    """
    return all_of(
        *(refused(backoff_scores, name, arguments) for name, arguments in _uncountable(inputs, place, shift)),
        *(refused(backoff_scores, "alpha", {**inputs, "alpha": wrong}) for wrong in (-0.1, 1.1, np.nan)),
    )


@law(examples=20, place=st.integers(0, 30), shift=st.sampled_from([0, 1, 7]))
def probabilities_of_what_cannot_be_counted_are_refused(
    katz_probabilities: Any, inputs: dict[str, Any], place: int, shift: int
) -> Claim:
    """A corpus is not empty; its words and the history's are ids of the vocabulary; the order is at least 1, and the
    discount in [0, 1].
    """
    return all_of(
        *(refused(katz_probabilities, name, arguments) for name, arguments in _uncountable(inputs, place, shift)),
        *(refused(katz_probabilities, "discount", {**inputs, "discount": wrong}) for wrong in (-0.1, 1.1, np.nan)),
    )


def _uncountable(inputs: dict[str, Any], place: int, shift: int) -> list[tuple[str, dict[str, Any]]]:
    corpus, outside = inputs["corpus"], inputs["vocabulary"] + shift
    return [
        ("corpus", {**inputs, "corpus": corpus[:0]}),
        ("corpus", {**inputs, "corpus": rewritten(corpus, place % len(corpus), outside)}),
        ("corpus", {**inputs, "corpus": rewritten(corpus, place % len(corpus), -1)}),
        ("history", {**inputs, "history": np.append(inputs["history"], outside)}),
        ("history", {**inputs, "history": np.append(inputs["history"], -1)}),
        ("order", {**inputs, "order": 0}),
    ]


# --- faults: one id for what is unknown -----------------------------------------------------------------------


@fault(unknown_encode, breaks="a_word_outside_the_list_is_unknown",
       seen="https://github.com/facebookresearch/DME/issues/4")  # fmt: skip
def drops_unknown_words(**call: Any) -> Any:
    """Words outside the vocabulary leave no trace, and the sentence closes over them. Write the unknown id."""
    ids = unknown_encode(**call)
    return ids[ids != call["unknown"]]


@fault(unknown_encode, breaks="a_word_outside_the_list_is_unknown")
def knows_a_word_by_its_beginning(symbols: Any, offsets: Any, pieces: Any, piece_offsets: Any, unknown: int) -> Any:
    """The longest listed word that a word begins with is taken for it. Compare whole words."""
    words, table = _words(symbols, offsets), _first_ids(_pieces(pieces, piece_offsets))
    beginnings = [next((word[:end] for end in range(len(word), 0, -1) if word[:end] in table), ()) for word in words]
    return np.array([table.get(beginning, unknown) for beginning in beginnings], np.int64)


@fault(unknown_encode, breaks="every_listed_word_is_its_own_id")
def counts_from_one(**call: Any) -> Any:
    """Ids are numbered from 1, as if 0 were padding. The first piece is 0."""
    ids = unknown_encode(**call)
    return np.where(ids == call["unknown"], ids, ids + 1)


@fault(unknown_encode, breaks=("which_unknown_word_it_was_is_lost_but_not_in_bytes",
                               "a_word_outside_the_list_is_unknown"))  # fmt: skip
def learns_unknown_words(**call: Any) -> Any:
    """An unknown word gets an id made of its symbols, for which no table has a row. Its id is `unknown`."""
    ids, words = unknown_encode(**call), _words(call["symbols"], call["offsets"])
    made = np.array([call["unknown"] + sum(word) % 1000 for word in words], np.int64)
    return np.where(ids == call["unknown"], made, ids)


@fault(unknown_encode, breaks="words_are_looked_up_one_by_one")
def looks_up_distinct_words(**call: Any) -> Any:
    """Words are sorted so that each is looked up once, and the ids stay in that order. Undo the sorting."""
    ids, words = unknown_encode(**call), _words(call["symbols"], call["offsets"])
    return ids[sorted(range(len(words)), key=lambda w: words[w])]


@fault(unknown_encode, breaks="of_equal_listed_words_the_first_counts")
def lists_the_last_of_equal_words(symbols: Any, offsets: Any, pieces: Any, piece_offsets: Any, unknown: int) -> Any:
    """A dictionary from words to ids is overwritten by later equal words. Keep the first id."""
    words, table = _words(symbols, offsets), {piece: id for id, piece in enumerate(_pieces(pieces, piece_offsets))}
    unknown_encode(symbols, offsets, pieces, piece_offsets, unknown)
    return np.array([table.get(word, unknown) for word in words], np.int64)


@fault(unknown_encode, breaks="real_text_is_encoded_as_defined")
def lists_the_first_hundred(**call: Any) -> Any:
    """The vocabulary is cut to a hundred entries, a table of fixed size, without a word. Let it grow."""
    ids = unknown_encode(**call)
    return np.where(ids < 100, ids, call["unknown"])


@fault(unknown_encode, breaks="offsets_that_cut_no_words_or_pieces_are_refused")
def cuts_words_wherever_it_is_told(**call: Any) -> Any:
    """Offsets are taken as they come, and symbols outside them are lost. Check that they cover the text."""
    words = [call["symbols"][start:end].tolist() for start, end in pairwise(call["offsets"].tolist())]
    return unknown_encode(**{**call, **_text(words)})


@fault(unknown_encode, breaks="negative_symbols_are_refused")
def reads_any_symbol(**call: Any) -> Any:
    """Symbols below 0 are read like others, though they index from the end of a table. Refuse them."""
    return unknown_encode(**{**call, "symbols": call["symbols"] - call["symbols"].min(initial=0)})


@fault(unknown_encode, breaks="empty_pieces_are_refused")
def passes_over_empty_pieces(**call: Any) -> Any:
    """An empty line of the vocabulary file is passed over, and all later ids move up by one. Refuse it."""
    return unknown_encode(**{**call, "piece_offsets": np.unique(call["piece_offsets"])})


# --- faults: back-off with a constant -------------------------------------------------------------------------


def _backed_off(
    corpus: Any, context: Piece, vocabulary: int, alpha: float, occurrences: Callable[[Piece, Any], Any] | None = None,
    followers: Callable[[Piece], Any] | None = None, last: Any = None,
) -> Any:  # fmt: skip
    """Scores with the knobs that faults turn: how histories and what follows them are counted, and the last resort."""
    scores = _exact(_followers(corpus, (), vocabulary)) / len(corpus) if last is None else last
    for given in _suffixes(context)[1:]:
        after = followers(given) if followers else _followers(corpus, given, vocabulary)
        total = occurrences(given, after) if occurrences else _grams(corpus, len(given))[given]
        scores = np.where(after > 0, _exact(after) / max(int(total), 1), alpha * scores)
    return scores


def _countable(corpus: Any, history: Any, vocabulary: int, order: int, alpha: float) -> Piece:
    """The last words of the history, after the definition's own checks."""
    backoff_scores(corpus, history[:0], vocabulary, 1, alpha)
    return _context(corpus, history, vocabulary, order)


@fault(backoff_scores, breaks="every_step_back_costs_alpha_once_more")
def pays_alpha_once(corpus: Any, history: Any, vocabulary: int, order: int, alpha: float) -> Any:
    """Alpha is applied when the full history fails, and not at the further steps back. It is a price per step."""
    context = _countable(corpus, history, vocabulary, order, alpha)
    free = _backed_off(corpus, context[1:], vocabulary, 1.0)
    followers = _followers(corpus, context, vocabulary)
    if not context:
        return free
    return np.where(followers > 0, _exact(followers) / max(_grams(corpus, len(context))[context], 1), alpha * free)


@fault(backoff_scores, breaks="a_history_never_seen_costs_alpha")
def goes_on_without_alpha_where_nothing_was_seen(
    corpus: Any, history: Any, vocabulary: int, order: int, alpha: float
) -> Any:
    """A history that never occurred is left out without a price, as in Katz's model. Here every step costs alpha."""
    context = _countable(corpus, history, vocabulary, order, alpha)
    while context and not _grams(corpus, len(context))[context]:
        context = context[1:]
    return _backed_off(corpus, context, vocabulary, alpha)


@fault(backoff_scores, breaks="words_seen_after_the_history_pay_nothing")
def adds_the_shorter_history_to_all(corpus: Any, history: Any, vocabulary: int, order: int, alpha: float) -> Any:
    """Alpha times the shorter history's score is added to words that were seen as well: that is interpolation. Back
    off only where nothing was seen.
    """
    context = _countable(corpus, history, vocabulary, order, alpha)
    scores = _exact(_followers(corpus, (), vocabulary)) / len(corpus)
    for given in _suffixes(context)[1:]:
        own = _exact(_followers(corpus, given, vocabulary)) / max(_grams(corpus, len(given))[given], 1)
        scores = own + alpha * scores
    return scores


@fault(backoff_scores, breaks="only_the_last_words_of_a_history_are_looked_at")
def keeps_the_first_words_of_the_history(corpus: Any, history: Any, vocabulary: int, order: int, alpha: float) -> Any:
    """A history that is too long is cut at its end, so that the words next to the predicted one are lost. Keep the
    last order - 1.
    """
    _countable(corpus, history, vocabulary, order, alpha)
    return backoff_scores(corpus, history[: order - 1], vocabulary, order, alpha)


@fault(backoff_scores, breaks="only_the_last_words_of_a_history_are_looked_at",
       seen="https://github.com/nyu-dl/NLP_DL_Lecture_Note/pull/13")  # fmt: skip
def looks_at_as_many_words_as_its_order(corpus: Any, history: Any, vocabulary: int, order: int, alpha: float) -> Any:
    """A model of order n conditions on n words instead of n - 1. The predicted word is one of the n."""
    return backoff_scores(corpus, history, vocabulary, order + (order > 0), alpha)


@fault(backoff_scores, breaks=("an_occurrence_at_the_end_counts", "words_seen_after_the_history_pay_nothing"))
def leaves_out_the_end_of_the_corpus(corpus: Any, history: Any, vocabulary: int, order: int, alpha: float) -> Any:
    """A history counts only where a word follows, so its last occurrence is lost when the corpus ends with it. Count
    every occurrence.
    """
    context = _countable(corpus, history, vocabulary, order, alpha)
    return _backed_off(corpus, context, vocabulary, alpha, occurrences=lambda given, after: after.sum())


@fault(backoff_scores, breaks="occurrences_may_overlap")
def counts_histories_without_overlap(corpus: Any, history: Any, vocabulary: int, order: int, alpha: float) -> Any:
    """Occurrences are counted as a string search does, from the end of the last one on. They may overlap."""
    context = _countable(corpus, history, vocabulary, order, alpha)
    read = corpus.tolist()

    def occurrences(given: Piece, after: Any) -> int:
        count = place = 0
        while place + len(given) <= len(read):
            found = tuple(read[place : place + len(given)]) == given
            count, place = count + found, place + (len(given) if found else 1)
        return count

    return _backed_off(corpus, context, vocabulary, alpha, occurrences=occurrences)


@fault(backoff_scores, breaks="without_history_scores_are_frequencies")
def ends_with_equal_scores(corpus: Any, history: Any, vocabulary: int, order: int, alpha: float) -> Any:
    """The last resort is 1/V for every word instead of its frequency. Stupid back-off ends with count(w) / N."""
    context = _countable(corpus, history, vocabulary, order, alpha)
    return _backed_off(corpus, context, vocabulary, alpha, last=_exact(np.ones(vocabulary)) / vocabulary)


@fault(backoff_scores, breaks="scores_are_no_probabilities")
def divides_scores_by_their_sum(corpus: Any, history: Any, vocabulary: int, order: int, alpha: float) -> Any:
    """The scores are made to add up to 1: a distribution, but no longer what was defined, and a sum over the
    vocabulary for each history. Leave them as they are.
    """
    scores = backoff_scores(corpus, history, vocabulary, order, alpha)
    return scores / np.sum(scores)


@fault(backoff_scores, breaks="only_counts_of_rows_matter")
def counts_in_the_first_half_only(corpus: Any, history: Any, vocabulary: int, order: int, alpha: float) -> Any:
    """Counting stops in the middle of the corpus, at the end of a block. Count all of it."""
    _countable(corpus, history, vocabulary, order, alpha)
    return backoff_scores(corpus[: len(corpus) // 2 + 1], history, vocabulary, order, alpha)


@fault(backoff_scores, breaks="words_are_names_only")
def takes_different_rows_for_equal(corpus: Any, history: Any, vocabulary: int, order: int, alpha: float) -> Any:
    """Rows of words are looked up by the sum of their ids, a hash on which (0, 2) and (1, 1) collide. Compare rows."""
    context = _countable(corpus, history, vocabulary, order, alpha)

    def rows(length: int) -> Counter[int]:
        read = corpus.tolist()
        return Counter(sum(read[k : k + length]) for k in range(len(read) - length + 1))

    return _backed_off(
        corpus, context, vocabulary, alpha,
        occurrences=lambda given, after: max(rows(len(given))[sum(given)], 1),
        followers=lambda given: np.array([rows(len(given) + 1)[sum(given) + word] for word in range(vocabulary)]),
    )  # fmt: skip


@fault(backoff_scores, breaks="scores_of_what_cannot_be_counted_are_refused")
def scores_anything(corpus: Any, history: Any, vocabulary: int, order: int, alpha: float) -> Any:
    """Words outside the vocabulary, an order of 0 and any alpha are taken as they come. Refuse them."""
    inside = corpus[(corpus >= 0) & (corpus < vocabulary)]
    inside = inside if len(inside) else np.zeros(1, np.int64)
    known = history[(history >= 0) & (history < vocabulary)]
    return backoff_scores(inside, known, vocabulary, max(order, 1), float(np.clip(np.nan_to_num(alpha), 0, 1)))


# --- faults: Katz back-off ------------------------------------------------------------------------------------


def _katz(
    corpus: Any, history: Any, vocabulary: int, order: int, discount: float,
    step: Callable[[Any, float, Any, Piece], Any], start: Any = None,
) -> Any:  # fmt: skip
    """Probabilities with another step from the shorter history's to the longer one's, or another start."""
    context = _context(corpus, history, vocabulary, order)
    katz_probabilities(corpus, history, vocabulary, order, discount)  # its checks
    probabilities = _exact(np.ones(vocabulary)) / vocabulary if start is None else start
    for given in _suffixes(context):
        followers = _followers(corpus, given, vocabulary)
        probabilities = step(followers, discount, probabilities, given) if followers.sum() else probabilities
    return probabilities


@fault(katz_probabilities, breaks="katz_probabilities_sum_to_one",
       seen="https://github.com/nltk/nltk/issues/367")  # fmt: skip
def gives_without_normalizing(corpus: Any, history: Any, vocabulary: int, order: int, discount: float) -> Any:
    """What the discount leaves is multiplied by the shorter history's probabilities, which do not add up to 1 over the
    unseen words. Divide by their sum.
    """

    def step(followers: Any, discount: float, shorter: Any, given: Piece) -> Any:
        if discount == 0 or (followers > 0).all():
            return _discounted(followers, discount, shorter)
        total = int(followers.sum())
        left = discount * _exact((followers > 0).sum()) / total
        return np.where(followers > 0, (_exact(followers) - discount) / total, left * shorter)

    return _katz(corpus, history, vocabulary, order, discount, step)


@fault(katz_probabilities, breaks="katz_probabilities_sum_to_one",
       seen="https://github.com/kpu/kenlm/issues/405")  # fmt: skip
def forgets_what_frequent_words_gave(corpus: Any, history: Any, vocabulary: int, order: int, discount: float) -> Any:
    """All words give up the discount, but only what those seen up to three times gave is handed on. Add up all."""

    def step(followers: Any, discount: float, shorter: Any, given: Piece) -> Any:
        whole = _discounted(followers, discount, shorter)
        seen = followers > 0
        share = _exact((seen & (followers <= 3)).sum()) / int(seen.sum())
        return np.where(seen, whole, share * whole)

    return _katz(corpus, history, vocabulary, order, discount, step)


@fault(katz_probabilities, breaks=("where_every_word_was_seen_nothing_is_discounted", "katz_probabilities_sum_to_one"),
       seen="https://github.com/k2-fsa/icefall/issues/163")  # fmt: skip
def discounts_for_nobody(corpus: Any, history: Any, vocabulary: int, order: int, discount: float) -> Any:
    """The discount is taken where every word was seen, too, and is lost, since there is none to give it to. Take
    nothing there.
    """

    def step(followers: Any, discount: float, shorter: Any, given: Piece) -> Any:
        whole = _discounted(followers, discount, shorter)
        return (_exact(followers) - discount) / int(followers.sum()) if (followers > 0).all() else whole

    return _katz(corpus, history, vocabulary, order, discount, step)


@fault(katz_probabilities, breaks="a_history_that_nothing_follows_changes_nothing")
def is_at_a_loss_after_a_new_history(corpus: Any, history: Any, vocabulary: int, order: int, discount: float) -> Any:
    """After a history that nothing followed all words are taken for equally probable. Ask the shorter history."""
    context = _context(corpus, history, vocabulary, order)
    known = katz_probabilities(corpus, history, vocabulary, order, discount)
    return known if _followers(corpus, context, vocabulary).sum() else known * 0 + 1 / vocabulary


@fault(katz_probabilities, breaks=("a_seen_word_gives_up_the_discount",
                                   "a_history_that_nothing_follows_changes_nothing"))  # fmt: skip
def divides_by_all_occurrences(corpus: Any, history: Any, vocabulary: int, order: int, discount: float) -> Any:
    """Counts are divided by the occurrences of the history, also the one at the corpus's end, which no word follows.
    Divide by what followed.
    """

    def step(followers: Any, discount: float, shorter: Any, given: Piece) -> Any:
        whole = _discounted(followers, discount, shorter)
        occurrences = _grams(corpus, len(given))[given] if given else len(corpus)
        return whole * int(followers.sum()) / occurrences

    context = _context(corpus, history, vocabulary, order)
    if context and not _followers(corpus, context, vocabulary).sum() and _grams(corpus, len(context))[context]:
        return _katz(corpus, history, vocabulary, order, discount, step) * 0
    return _katz(corpus, history, vocabulary, order, discount, step)


@fault(katz_probabilities, breaks="a_seen_word_gives_up_the_discount")
def discounts_in_proportion(corpus: Any, history: Any, vocabulary: int, order: int, discount: float) -> Any:
    """Counts are multiplied by 1 - discount instead of lowered by it: another way of discounting, not this one."""

    def step(followers: Any, discount: float, shorter: Any, given: Piece) -> Any:
        whole = _discounted(followers, discount, shorter)
        if (followers > 0).all() or discount == 0:
            return whole
        unseen = np.where(followers > 0, 0.0, whole)
        total = np.sum(unseen)
        scaled = unseen / total * discount
        return np.where(followers > 0, _exact(followers) / int(followers.sum()) * (1 - discount), scaled)

    return _katz(corpus, history, vocabulary, order, discount, step)


@fault(katz_probabilities, breaks="a_seen_word_gives_up_the_discount",
       seen="https://github.com/matteodellamico/montecarlopwd/issues/2")  # fmt: skip
def gives_to_seen_words_too(corpus: Any, history: Any, vocabulary: int, order: int, discount: float) -> Any:
    """What the discount leaves is spread over all words, those that were seen included: that is interpolation. Only
    unseen words get it.
    """

    def step(followers: Any, discount: float, shorter: Any, given: Piece) -> Any:
        total = int(followers.sum())
        left = discount * _exact((followers > 0).sum()) / total
        return np.where(followers > 0, (_exact(followers) - discount) / total, 0.0) + left * shorter

    return _katz(corpus, history, vocabulary, order, discount, step)


@fault(katz_probabilities, breaks="unseen_words_share_as_after_the_shorter_history")
def gives_to_all_unseen_words_alike(corpus: Any, history: Any, vocabulary: int, order: int, discount: float) -> Any:
    """What the discount leaves is divided evenly, and the shorter history is never asked. Share it as there."""

    def step(followers: Any, discount: float, shorter: Any, given: Piece) -> Any:
        return _discounted(followers, discount, shorter * 0 + 1 / vocabulary)

    return _katz(corpus, history, vocabulary, order, discount, step)


@fault(katz_probabilities, breaks="words_that_never_occurred_are_equally_probable")
def ends_with_the_unigrams(corpus: Any, history: Any, vocabulary: int, order: int, discount: float) -> Any:
    """Nothing stands below the unigrams, so that a word outside the corpus has probability 0. Give it a share of what
    the discount leaves.
    """
    probabilities = katz_probabilities(corpus, history, vocabulary, order, discount)
    known = _followers(corpus, (), vocabulary) > 0
    return np.where(known, probabilities, 0.0) / np.sum(np.where(known, probabilities, 0.0))


@fault(katz_probabilities, breaks="only_the_last_words_of_a_history_are_looked_at")
def aligns_the_history_to_its_beginning(corpus: Any, history: Any, vocabulary: int, order: int, discount: float) -> Any:
    """A history that is too long is cut at its end, so that the words next to the predicted one are lost. Keep the
    last order - 1.
    """
    katz_probabilities(corpus, history, vocabulary, order, discount)
    return katz_probabilities(corpus, history[: order - 1], vocabulary, order, discount)


@fault(katz_probabilities, breaks="probabilities_of_what_cannot_be_counted_are_refused")
def discounts_anything(corpus: Any, history: Any, vocabulary: int, order: int, discount: float) -> Any:
    """Words outside the vocabulary, an order of 0 and any discount are taken as they come. Refuse them."""
    inside = corpus[(corpus >= 0) & (corpus < vocabulary)]
    inside = inside if len(inside) else np.zeros(1, np.int64)
    known = history[(history >= 0) & (history < vocabulary)]
    return katz_probabilities(inside, known, vocabulary, max(order, 1), float(np.clip(np.nan_to_num(discount), 0, 1)))


# --- faults: the longest piece first --------------------------------------------------------------------------


Encode = Callable[[Piece, Marked], list[int] | None]


def _by_word(
    encode: Encode, symbols: Any, offsets: Any, pieces: Any, piece_offsets: Any, continuing: Any, unknown: int,
    max_length: int,
) -> Any:  # fmt: skip
    """Each word encoded by `encode` (None: unknown), after the checks that are not the point of a fault."""
    wordpiece_encode(symbols[:0], offsets[:1] * 0, pieces, piece_offsets, continuing, unknown, max_length)
    table = _marked(pieces, piece_offsets, continuing)
    codes = ((word, encode(word, table)) for word in _words(symbols, offsets))
    return packed([unknown] if code is None or len(word) > max_length else code for word, code in codes)


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
            found = {end: table[word[start:end], kind] for kind in (False, True) if mark(start, kind)
                     for end in range(start + 1, len(word) + 1) if (word[start:end], kind) in table}  # fmt: skip
            if not found:
                return dead_end(ids)
            end = choose(list(found))
            ids.append(found[end])
            start = end
        return ids

    return encode


@fault(wordpiece_encode, breaks=("no_longer_piece_fits", "every_short_string_is_read_as_by_the_loop"))
def takes_the_shortest_piece(**call: Any) -> Any:
    """The first piece that fits is taken, read from the short end. Look for the longest first."""
    return _by_word(_greedily(choose=min), **call)


@fault(wordpiece_encode, breaks="no_longer_piece_fits", seen="https://github.com/iamlemec/bert.cpp/issues/6")
def tries_every_second_length(**call: Any) -> Any:
    """A loop over lengths counts twice in one round, so that pieces are passed over. Try every length."""

    def choose(ends: list[int]) -> int:
        return max([end for end in ends if (max(ends) - end) % 2 == 1] or ends)

    return _by_word(_greedily(choose=choose), **call)


@fault(wordpiece_encode, breaks=("no_longer_piece_fits", "every_short_string_is_read_as_by_the_loop"),
       seen="https://github.com/axa-group/nlp.js/issues/1192")  # fmt: skip
def reads_from_the_end(**call: Any) -> Any:
    """The longest piece at the end of the word is taken first: vegan is v ##egan instead of vega ##n. Begin at the
    left.
    """

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


@fault(wordpiece_encode, breaks="pieces_spell_the_word_or_it_is_unknown_as_a_whole",
       seen="https://github.com/elastic/elasticsearch/pull/87510")  # fmt: skip
def keeps_the_pieces_before_a_dead_end(**call: Any) -> Any:
    """A word that cannot be finished is its first pieces and then unknown. The whole word is one unknown."""
    return _by_word(_greedily(dead_end=lambda ids: [*ids, call["unknown"]]), **call)


@fault(wordpiece_encode, breaks=("pieces_spell_the_word_or_it_is_unknown_as_a_whole",
                                 "greedy_gives_up_where_there_is_a_way"))  # fmt: skip
def falls_back_to_the_pieces_so_far(**call: Any) -> Any:
    """A word that cannot be finished is the pieces found so far, as if it ended there. It is unknown."""
    return _by_word(_greedily(dead_end=lambda ids: ids or None), **call)


@fault(wordpiece_encode, breaks="greedy_gives_up_where_there_is_a_way")
def tries_another_way(**call: Any) -> Any:
    """At a dead end the last piece is taken back and a shorter one tried: it finds more words, and is not what models
    were trained with. The longest piece stays.
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


@fault(wordpiece_encode, breaks="the_first_piece_begins_a_word_and_the_others_continue_it",
       seen="https://github.com/huggingface/tokenizers/issues/643")  # fmt: skip
def marks_the_first_piece(**call: Any) -> Any:
    """The mark of continuing pieces is put before the first piece, and none before the others. The other way round."""
    return _by_word(_greedily(mark=lambda start, kind: kind == (start == 0)), **call)


@fault(wordpiece_encode, breaks=("the_first_piece_begins_a_word_and_the_others_continue_it",
                                 "every_short_string_is_read_as_by_the_loop"))  # fmt: skip
def begins_words_with_any_piece(**call: Any) -> Any:
    """A continuing piece may begin a word as well. Only pieces without the mark may."""
    return _by_word(_greedily(mark=lambda start, kind: kind or start == 0), **call)


@fault(wordpiece_encode, breaks="with_every_symbol_in_both_kinds_no_word_is_unknown",
       seen="https://github.com/NMZivkovic/BertTokenizers/issues/12")  # fmt: skip
def needs_two_symbols_to_continue(**call: Any) -> Any:
    """Pieces of one symbol are not tried inside a word, and what only they could spell is unknown. Try them."""
    lengths = np.diff(call["piece_offsets"])
    strange = call["pieces"].max(initial=0) + call["symbols"].max(initial=0) + 1
    dull = np.where(call["continuing"] & (lengths == 1), strange, 0)
    return wordpiece_encode(**{**call, "pieces": call["pieces"] + np.repeat(dull, lengths)})


@fault(wordpiece_encode, breaks="words_beyond_the_limit_are_unknown_and_others_untouched",
       seen="https://github.com/huggingface/transformers.js/pull/398")  # fmt: skip
def knows_no_limit(**call: Any) -> Any:
    """Words of any length are read. Those of more than max_length symbols are unknown."""
    limit = call["max_length"]
    return wordpiece_encode(**{**call, "max_length": limit if limit < 0 else 10**9})


@fault(wordpiece_encode, breaks="words_beyond_the_limit_are_unknown_and_others_untouched")
def stops_before_the_limit(**call: Any) -> Any:
    """A word of exactly max_length symbols is unknown already. More than that is too long."""
    codes = unpacked(*wordpiece_encode(**call))
    at_limit = ((np.diff(call["offsets"]) == call["max_length"]) & (call["max_length"] > 0)).tolist()
    return packed([call["unknown"]] if long else code for long, code in zip(at_limit, codes, strict=True))


@fault(wordpiece_encode, breaks="words_beyond_the_limit_are_unknown_and_others_untouched",
       seen="https://github.com/zhongbin1/bert_tokenization_for_java/issues/1")  # fmt: skip
def passes_over_long_words(**call: Any) -> Any:
    """A word that is too long is left out of the code. Write the unknown id for it."""
    codes = unpacked(*wordpiece_encode(**call))
    long = (np.diff(call["offsets"]) > call["max_length"]).tolist()
    return packed([] if beyond else code for beyond, code in zip(long, codes, strict=True))


@fault(wordpiece_encode, breaks="words_have_their_pieces_wherever_they_stand")
def reads_words_as_one(**call: Any) -> Any:
    """Only the first word begins as one, and all later ones continue it. Every word begins anew."""
    wordpiece_encode(**call)  # its checks
    table = _marked(call["pieces"], call["piece_offsets"], call["continuing"])
    later: Marked = {(piece, mark): id for (piece, kind), id in table.items() if kind for mark in (False, True)}
    words = _words(call["symbols"], call["offsets"])
    return packed(_greedy(word, later if w else table, call["unknown"], call["max_length"])
                  for w, word in enumerate(words))  # fmt: skip


@fault(wordpiece_encode, breaks="of_equal_marked_pieces_the_first_counts")
def takes_the_last_of_equal_marked_pieces(**call: Any) -> Any:
    """A dictionary from pieces to ids is overwritten by later equal pieces. Keep the first id."""
    ids, ends = wordpiece_encode(**call)
    rows = list(zip(_pieces(call["pieces"], call["piece_offsets"]), call["continuing"].tolist(), strict=True))
    last = {row: id for id, row in enumerate(rows)}
    known = {id: last[row] for id, row in enumerate(rows)}
    return np.array([known.get(id, id) for id in ids.tolist()], np.int64), ends


@fault(wordpiece_encode, breaks="marks_and_limits_that_mean_nothing_are_refused")
def accepts_any_marks(**call: Any) -> Any:
    """Missing marks are filled up and others cut off, and negative numbers taken for 0. Refuse them."""
    count = len(call["piece_offsets"]) - 1
    marks = np.append(call["continuing"], np.zeros(count, bool))[:count]
    limits = {name: max(call[name], 0) for name in ("unknown", "max_length")}
    return wordpiece_encode(**{**call, **limits, "continuing": marks})


# --- faults: the most probable pieces -------------------------------------------------------------------------


Choose = Callable[[Piece, dict[Piece, int], list[float]], Piece]


def _chosen(choose: Choose, symbols: Any, offsets: Any, pieces: Any, piece_offsets: Any, log_probabilities: Any) -> Any:
    """Words segmented by `choose`, after the definition's own checks, with the sums over their pieces as scores."""
    words, table, numbers = _weighted(symbols, offsets, pieces, piece_offsets, log_probabilities)
    require(all(_two_best(word, table, numbers) for word in set(words)), "symbols hold a word that no pieces spell")
    return _segmented(words, {word: choose(word, table, numbers) for word in set(words)}, log_probabilities)


def _next_best(word: Piece, table: dict[Piece, int], prefer: Callable[[int, int], Any]) -> Piece:
    """From the left, the piece that is preferred by (id, length); only such that leave a way to the end."""
    ways = [not word[start:] or bool(_two_best(word[start:], table, [-1.0] * (max(table.values()) + 1)))
            for start in range(len(word) + 1)]  # fmt: skip
    ids: list[int] = []
    start = 0
    while start < len(word):
        fitting = [(table[word[start:end]], end) for end in range(start + 1, len(word) + 1)
                   if word[start:end] in table and ways[end]]  # fmt: skip
        id, end = max(fitting, key=lambda found: prefer(found[0], found[1]))
        ids.append(id)
        start = end
    return tuple(ids)


@fault(unigram_encode, breaks=("no_segmentation_of_all_scores_higher", "a_further_piece_lowers_no_score"))
def takes_the_longest_piece(**call: Any) -> Any:
    """The longest piece that fits is taken, whatever its probability: that is WordPiece. Compare whole sums."""
    return _chosen(lambda word, table, numbers: _next_best(word, table, lambda id, end: end), **call)


@fault(unigram_encode, breaks=("no_segmentation_of_all_scores_higher", "greedy_pieces_are_no_more_probable"))
def takes_the_most_probable_next_piece(**call: Any) -> Any:
    """From the left the most probable of the pieces that fit is taken, mostly a short one. Compare whole sums."""
    return _chosen(lambda word, table, numbers: _next_best(word, table, lambda id, end: numbers[id]), **call)


@fault(unigram_encode, breaks="no_segmentation_of_all_scores_higher",
       seen="https://github.com/NVIDIA/TensorRT-Model-Connect/pull/1060")  # fmt: skip
def loses_the_probabilities(**call: Any) -> Any:
    """All log-probabilities are 0 after conversion, and any segmentation is as good as any other. Carry them over."""
    return _chosen(lambda word, table, numbers: _two_best(word, table, [0.0] * len(numbers))[0], **call)


@fault(unigram_encode, breaks="twice_the_log_probabilities_choose_the_same_pieces")
def charges_for_every_piece(**call: Any) -> Any:
    """Every piece costs 4 more, so that few long pieces win. Add up log-probabilities and nothing else."""
    return _chosen(lambda word, table, numbers: _two_best(word, table, [x - 4.0 for x in numbers])[0], **call)


@fault(unigram_encode, breaks=("a_score_is_the_sum_over_the_pieces", "no_segmentation_of_all_scores_higher"))
def scores_the_segmentation_found_first(**call: Any) -> Any:
    """The pieces are the best ones, but the scores are still those of the first segmentation that was found. Update
    both.
    """
    _, _, scores = _chosen(lambda word, table, numbers: _next_best(word, table, lambda id, end: -end), **call)
    ids, ends, _ = _chosen(lambda word, table, numbers: _two_best(word, table, numbers)[0], **call)
    return ids, ends, scores


@fault(unigram_encode, breaks="a_score_is_the_sum_over_the_pieces")
def averages_over_the_pieces(**call: Any) -> Any:
    """A word's score is divided by the number of its pieces. It is their sum."""
    ids, ends, scores = unigram_encode(**call)
    return ids, ends, scores / np.maximum(np.diff(ends), 1).astype(scores.dtype)


@fault(unigram_encode, breaks="the_most_probable_pieces_spell_the_word")
def gives_the_pieces_backwards(**call: Any) -> Any:
    """The way back from the end of the word is returned as it is. Turn it round."""
    ids, ends, scores = unigram_encode(**call)
    return *packed(code[::-1] for code in unpacked(ids, ends)), scores


@fault(unigram_encode, breaks="words_have_their_scores_wherever_they_stand")
def scores_on_from_word_to_word(**call: Any) -> Any:
    """The score is not set back between words, and each has that of all before it, too. Begin each word with 0."""
    ids, ends, scores = unigram_encode(**call)
    return ids, ends, np.cumsum(scores, axis=0)


@fault(unigram_encode, breaks="of_equal_pieces_the_most_probable_counts")
def takes_the_first_of_equal_pieces(**call: Any) -> Any:
    """Pieces that spell the same are one entry of a dictionary, which has the first one's probability. Compare them."""
    pieces = _pieces(call["pieces"], call["piece_offsets"])
    first = np.array([pieces.index(piece) for piece in pieces], np.int64)
    return unigram_encode(**{**call, "log_probabilities": call["log_probabilities"][first]})


@fault(unigram_encode, breaks="of_equally_probable_equal_pieces_the_first_counts")
def takes_the_last_of_equally_probable_pieces(**call: Any) -> Any:
    """A later piece that spells the same and is as probable takes the place of the first. Replace it only by a more
    probable one.
    """
    ids, ends, scores = unigram_encode(**call)
    pieces = _pieces(call["pieces"], call["piece_offsets"])
    rows = list(zip(pieces, value_of(call["log_probabilities"]).tolist(), strict=True))
    last = {row: id for id, row in enumerate(rows)}
    return np.array([last[rows[id]] for id in ids.tolist()], np.int64), ends, scores


@fault(unigram_encode, breaks="a_symbol_needs_no_piece_of_its_own")
def needs_a_piece_for_every_symbol(**call: Any) -> Any:
    """A symbol that is no piece by itself is unknown wherever it stands, and left out. A longer piece may hold it."""
    known = [piece[0] for piece in _pieces(call["pieces"], call["piece_offsets"]) if len(piece) == 1]
    words = _words(call["symbols"], call["offsets"])
    return unigram_encode(**{**call, **_text([[symbol for symbol in word if symbol in known] for word in words])})


@fault(unigram_encode, breaks="words_that_no_pieces_spell_are_refused")
def leaves_out_what_it_cannot_spell(**call: Any) -> Any:
    """Symbols that are in no piece leave no trace in the code. Refuse the word."""
    words, pieces = _words(call["symbols"], call["offsets"]), call["pieces"]
    return unigram_encode(**{**call, **_text([[symbol for symbol in word if symbol in pieces] for word in words])})


@fault(unigram_encode, breaks="numbers_that_are_no_log_probabilities_are_refused",
       seen="https://github.com/google/sentencepiece/issues/851")  # fmt: skip
def accepts_any_numbers(**call: Any) -> Any:
    """What is not a number, infinite or positive is taken for some log-probability or other. Refuse it."""
    numbers = np.minimum(np.nan_to_num(call["log_probabilities"], neginf=-100.0), 0)
    numbers = np.append(numbers, np.zeros(1, numbers.dtype))[: len(call["piece_offsets"]) - 1]
    return unigram_encode(**{**call, "log_probabilities": numbers})


# --- workload -------------------------------------------------------------------------------------------------


SAMPLE = 5_000_000
"""Bytes of words from which pieces are learned."""


@cache
def _library_words(words: int) -> tuple[bytes, ...]:
    """So many words of Python's documentation and sources; from the beginning again where an installation has fewer."""
    return tuple(islice(cycle(library_text(12 * words).split()), words))


def _joined(words: Iterable[bytes]) -> Any:
    words = list(words)
    return np.frombuffer(b"".join(words), np.uint8).astype(np.int64), np.cumsum([0, *map(len, words)])


def _encoding(words: Sequence[bytes], pieces: Sequence[bytes]) -> dict[str, Any]:
    return dict(
        zip(("symbols", "offsets", "pieces", "piece_offsets"), (*_joined(words), *_joined(pieces)), strict=True)
    )


def _text_cost(words: int, pieces: int) -> Cost:
    return Cost(text=sum(map(len, _library_words(words))))


GROWS = {"words": (250_000, 500_000)}


@workload(unknown_encode, sizes={"words": 1_000_000, "pieces": 30_000}, cost=_text_cost, grows=GROWS)
def look_up_library_words(random: np.random.Generator, words: int, pieces: int) -> dict[str, Any]:
    """A million words of Python's documentation and sources, and the 30,000 most frequent of them as vocabulary."""
    text = _library_words(words)
    listed = [word for word, _ in Counter(text).most_common(pieces)]
    return {**_encoding(text, listed), "unknown": len(listed)}


@workload(wordpiece_encode, sizes={"words": 1_000_000, "pieces": 8_000}, cost=_text_cost, grows=GROWS)
def split_library_words_greedily(random: np.random.Generator, words: int, pieces: int) -> dict[str, Any]:
    """The same words in the longest pieces that fit: 8,000 and the 256 bytes, each both to begin and to continue."""
    spelled = [*dict.fromkeys(learned_pieces(SAMPLE, pieces))]
    marks = np.repeat([False, True], len(spelled))
    return {**_encoding(_library_words(words), spelled * 2), "continuing": marks, "unknown": 2 * len(spelled),
            "max_length": 100}  # fmt: skip


_REPEATS = re.compile(rb"(.+)(.*)\1\2\1", re.DOTALL)
"""What stands more than twice in a row: aaa, ababa."""


@cache
def _untied_words(words: int) -> tuple[bytes, ...]:
    """Words without such repeats. Others can often be split into the same pieces in another order, and rounding alone
    decides between the two.
    """
    text = _library_words(words + words // 8 + 8)
    tied = set(filter(_REPEATS.search, set(text)))
    return tuple(word for word in text if word not in tied)[:words]


def _untied_cost(words: int, pieces: int) -> Cost:
    return Cost(text=sum(map(len, _untied_words(words))))


@workload(unigram_encode, sizes={"words": 1_000_000, "pieces": 8_000}, cost=_untied_cost, grows=GROWS)
def split_library_words_by_probability(random: np.random.Generator, words: int, pieces: int) -> dict[str, Any]:
    """The same words, but for those with repeats (one in 70), in the most probable pieces, whose probabilities fall
    with their rank, as Zipf has it.

    Pieces have up to 16 symbols, as sentencepiece's have.
    """
    spelled = sorted(dict.fromkeys(learned_pieces(SAMPLE, pieces)), key=lambda piece: len(piece) == 1)
    spelled = [piece for piece in spelled if len(piece) <= 16]
    weights = -2 - np.log(10 + np.arange(len(spelled))) - random.random(len(spelled)) / 100
    return {**_encoding(_untied_words(words), spelled), "log_probabilities": weights}


def _corpus(words: int) -> tuple[Any, int]:
    """A text as numbers of its words, the most frequent first, and how many there are."""
    text = _library_words(words)
    numbers = {word: number for number, (word, _) in enumerate(Counter(text).most_common())}
    return np.array([numbers[word] for word in text]), len(numbers)


def _corpus_cost(words: int) -> Cost:
    return Cost(moved=words, text=sum(map(len, _library_words(words))))


@workload(backoff_scores, sizes={"words": 1_000_000}, cost=_corpus_cost, grows=GROWS)
def score_after_two_words(random: np.random.Generator, words: int) -> dict[str, Any]:
    """Stupid back-off for every word of the vocabulary after two words that stand somewhere in a million."""
    corpus, vocabulary = _corpus(words)
    place = int(random.integers(len(corpus) - 2))
    return {"corpus": corpus, "history": corpus[place : place + 2], "vocabulary": vocabulary, "order": 3, "alpha": 0.4}


@workload(katz_probabilities, sizes={"words": 1_000_000}, cost=_corpus_cost, grows=GROWS)
def probabilities_after_two_words(random: np.random.Generator, words: int) -> dict[str, Any]:
    """Katz back-off for every word of the vocabulary after two words that stand somewhere in a million."""
    corpus, vocabulary = _corpus(words)
    place = int(random.integers(len(corpus) - 2))
    return {"corpus": corpus, "history": corpus[place : place + 2], "vocabulary": vocabulary, "order": 3,
            "discount": 0.75}  # fmt: skip
