"""Stupid back-off, a constant per step to a shorter history: backoff_scores."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from layerlaws.language import (
    Arguments,
    Array,
    Claim,
    Ids,
    Implementation,
    all_of,
    closely,
    fault,
    law,
    operation,
    refused,
    require,
    workload,
)
from layerlaws.language import strategies as st
from layerlaws.notes.subword.histories import (
    as_exact,
    count_followers,
    count_rows,
    histories,
    read_context,
    suffixes,
    uncountable,
)
from layerlaws.notes.subword.library import GROWS, corpus_cost, library_corpus
from layerlaws.notes.subword.words import Piece

ALPHAS = st.sampled_from([0.4, 0.4, 0.25, 0.9, 1.0, 0.0])


@st.composite
def histories_to_score(draw: st.DrawFn) -> Arguments:
    """A corpus, a history, and the price of a step back."""
    return {**draw(histories()), "alpha": draw(ALPHAS)}


@operation(inputs=histories_to_score())
def backoff_scores(corpus: Ids, history: Ids, vocabulary: int, order: int, alpha: float) -> Array:
    """score(w | h) = count(h w) / count(h) where h w occurs, else alpha score(w | h without its first word).

    corpus (N,), history (n,) of which the last order - 1 words count  ->  (V,) float64

    At last count(w) / N. Occurrences may overlap.
    """
    context = read_context(corpus, history, vocabulary, order)
    require(0 <= alpha <= 1, "alpha must lie in [0, 1]")
    scores = as_exact(count_followers(corpus, (), vocabulary)) / len(corpus)
    for given in suffixes(context)[1:]:
        followers = count_followers(corpus, given, vocabulary)
        occurrences = count_rows(corpus, len(given))[given]
        scores = np.where(followers > 0, as_exact(followers) / max(occurrences, 1), alpha * scores)
    return scores


@law()
def a_history_never_seen_costs_alpha(
    backoff_scores: Implementation, corpus: Ids, history: Ids, vocabulary: int, alpha: float
) -> Claim:
    """After a history that does not occur every score is alpha times that after the shorter history."""
    shorter = {"corpus": corpus, "vocabulary": vocabulary + 1, "alpha": alpha}
    unseen = np.append(vocabulary, history)
    after = backoff_scores(**shorter, history=unseen, order=len(unseen) + 1)
    return closely(after, alpha * backoff_scores(**shorter, history=history, order=len(unseen)))


def checked_context(corpus: Ids, history: Ids, vocabulary: int, order: int, alpha: float) -> Piece:
    """The last words of the history, after the definition's own checks."""
    backoff_scores(corpus, history[:0], vocabulary, 1, alpha)
    return read_context(corpus, history, vocabulary, order)


def back_off_by(
    corpus: Ids,
    context: Piece,
    vocabulary: int,
    alpha: float,
    occurrences: Callable[[Piece, Ids], int] | None = None,
    followers: Callable[[Piece], Ids] | None = None,
    last: Array | None = None,
) -> Array:
    """Scores with the knobs that faults turn: how histories and what follows them are counted, and the last resort."""
    scores = as_exact(count_followers(corpus, (), vocabulary)) / len(corpus) if last is None else last
    for given in suffixes(context)[1:]:
        after = followers(given) if followers else count_followers(corpus, given, vocabulary)
        total = occurrences(given, after) if occurrences else count_rows(corpus, len(given))[given]
        scores = np.where(after > 0, as_exact(after) / max(int(total), 1), alpha * scores)
    return scores


@fault(
    backoff_scores,
    breaks=a_history_never_seen_costs_alpha,
    kind="scale",
    repair="Here every step costs alpha.",
)
def goes_on_without_alpha_where_nothing_was_seen(
    corpus: Ids, history: Ids, vocabulary: int, order: int, alpha: float
) -> Array:
    """A history that never occurred is left out without a price, as in Katz's model."""
    context = checked_context(corpus, history, vocabulary, order, alpha)
    while context and not count_rows(corpus, len(context))[context]:
        context = context[1:]
    return back_off_by(corpus, context, vocabulary, alpha)


@law(steps=st.integers(0, 4))
def every_step_back_costs_alpha_once_more(
    backoff_scores: Implementation, corpus: Ids, vocabulary: int, alpha: float, steps: int
) -> Claim:
    """From a history of n words of which none ever occurred, it takes alpha to the n to get to the frequencies."""
    history = np.full(steps, vocabulary)
    scores = backoff_scores(corpus=corpus, history=history, vocabulary=vocabulary + 1, order=steps + 1, alpha=alpha)
    expected = as_exact(np.bincount(corpus, minlength=vocabulary + 1)) / len(corpus)
    for _ in range(steps):
        expected = alpha * expected
    return closely(scores, expected)


@fault(
    backoff_scores,
    breaks=every_step_back_costs_alpha_once_more,
    kind="formula",
    repair="Count how often each occurs.",
    seen="https://github.com/nltk/nltk/issues/2599",
)
def ends_with_all_words_alike(corpus: Ids, history: Ids, vocabulary: int, order: int, alpha: float) -> Array:
    """The last resort gives each word that occurs the same share, however often it does."""
    context = checked_context(corpus, history, vocabulary, order, alpha)
    occurs = count_followers(corpus, (), vocabulary) > 0
    return back_off_by(corpus, context, vocabulary, alpha, last=as_exact(occurs) / int(occurs.sum()))


@fault(
    backoff_scores,
    breaks=every_step_back_costs_alpha_once_more,
    kind="scale",
    repair="It is a price per step.",
)
def pays_alpha_once(corpus: Ids, history: Ids, vocabulary: int, order: int, alpha: float) -> Array:
    """Alpha is applied when the full history fails, and not at the further steps back."""
    context = checked_context(corpus, history, vocabulary, order, alpha)
    free = back_off_by(corpus, context[1:], vocabulary, 1.0)
    followers = count_followers(corpus, context, vocabulary)
    if not context:
        return free
    return np.where(
        followers > 0, as_exact(followers) / max(count_rows(corpus, len(context))[context], 1), alpha * free
    )


@law()
def without_history_scores_are_frequencies(
    backoff_scores: Implementation, corpus: Ids, history: Ids, vocabulary: int, alpha: float
) -> Claim:
    """An empty history, and order 1 with any history, give count(w) / N, which adds up to 1."""
    call = {"corpus": corpus, "vocabulary": vocabulary, "alpha": alpha}
    unigrams = backoff_scores(**call, history=history[:0], order=3)
    return all_of(
        closely(unigrams, as_exact(np.bincount(corpus, minlength=vocabulary)) / len(corpus)),
        closely(backoff_scores(**call, history=history, order=1), unigrams),
        closely(np.sum(unigrams), 1.0),
    )


@fault(
    backoff_scores,
    breaks=without_history_scores_are_frequencies,
    kind="formula",
    repair="Stupid back-off ends with count(w) / N.",
)
def ends_with_equal_scores(corpus: Ids, history: Ids, vocabulary: int, order: int, alpha: float) -> Array:
    """The last resort is 1/V for every word instead of its frequency."""
    context = checked_context(corpus, history, vocabulary, order, alpha)
    return back_off_by(corpus, context, vocabulary, alpha, last=as_exact(np.ones(vocabulary)) / vocabulary)


@law()
def words_seen_after_the_history_pay_nothing(
    backoff_scores: Implementation, corpus: Ids, history: Ids, vocabulary: int, order: int, alpha: float
) -> Claim:
    """Where the whole history was followed by a word, that word's score is its share of the history's occurrences,
    whatever alpha; for alpha = 0 all others have 0.
    """
    call = {"corpus": corpus, "history": history, "vocabulary": vocabulary, "order": order}
    context = history.tolist()[max(len(history) - order + 1, 0) :]
    ends = [t for t in range(len(context), len(corpus) + 1) if corpus[t - len(context) : t].tolist() == context]
    followers = np.bincount([corpus[t] for t in ends if t < len(corpus)], minlength=vocabulary)
    share = as_exact(followers) / max(len(ends) if context else len(corpus), 1)
    scores = backoff_scores(**call, alpha=alpha)
    return all_of(
        closely(np.where(followers > 0, scores, 0.0), share), closely(backoff_scores(**call, alpha=0.0), share)
    )


@fault(
    backoff_scores,
    breaks=words_seen_after_the_history_pay_nothing,
    kind="formula",
    repair="Back off only where nothing was seen.",
)
def adds_the_shorter_history_to_all(corpus: Ids, history: Ids, vocabulary: int, order: int, alpha: float) -> Array:
    """Alpha times the shorter history's score is added to words that were seen as well: that is interpolation."""
    context = checked_context(corpus, history, vocabulary, order, alpha)
    scores = as_exact(count_followers(corpus, (), vocabulary)) / len(corpus)
    for given in suffixes(context)[1:]:
        own = as_exact(count_followers(corpus, given, vocabulary)) / max(count_rows(corpus, len(given))[given], 1)
        scores = own + alpha * scores
    return scores


@law(examples=1)
def an_occurrence_at_the_end_counts(backoff_scores: Implementation) -> Claim:
    """In aba, b follows one of two a: its score is 1/2, though nothing follows the other."""
    scores = backoff_scores(corpus=np.array([0, 1, 0]), history=np.array([0]), vocabulary=2, order=2, alpha=0.5)
    return closely(scores, as_exact([2 / 3, 1]) / 2)


@fault(
    backoff_scores,
    breaks=(an_occurrence_at_the_end_counts, words_seen_after_the_history_pay_nothing),
    kind="boundary",
    repair="Count every occurrence.",
)
def leaves_out_the_end_of_the_corpus(corpus: Ids, history: Ids, vocabulary: int, order: int, alpha: float) -> Array:
    """A history counts only where a word follows, so its last occurrence is lost when the corpus ends with it."""
    context = checked_context(corpus, history, vocabulary, order, alpha)
    return back_off_by(corpus, context, vocabulary, alpha, occurrences=lambda given, after: int(after.sum()))


@law(length=st.integers(2, 40), order=st.integers(1, 6))
def occurrences_may_overlap(backoff_scores: Implementation, length: int, order: int) -> Claim:
    """A run of n equal words holds n - k + 1 times k of them: after k, one more has (n - k) / (n - k + 1)."""
    known = min(order - 1, length - 1)
    run = {"corpus": np.zeros(length, np.int64), "history": np.zeros(known, np.int64), "vocabulary": 1}
    share = as_exact([length - known]) / (length - known + 1) if known else as_exact([1.0])
    return closely(backoff_scores(**run, order=order, alpha=0.5), share)


@fault(
    backoff_scores,
    breaks=occurrences_may_overlap,
    kind="formula",
    repair="They may overlap.",
)
def counts_histories_without_overlap(corpus: Ids, history: Ids, vocabulary: int, order: int, alpha: float) -> Array:
    """Occurrences are counted as a string search does, from the end of the last one on."""
    context = checked_context(corpus, history, vocabulary, order, alpha)
    read = corpus.tolist()

    def occurrences(given: Piece, after: Ids) -> int:
        count = place = 0
        while place + len(given) <= len(read):
            found = tuple(read[place : place + len(given)]) == given
            count, place = count + found, place + (len(given) if found else 1)
        return count

    return back_off_by(corpus, context, vocabulary, alpha, occurrences=occurrences)


@law(examples=20, place=st.integers(0, 30), shift=st.sampled_from([0, 1, 7]))
def scores_of_what_cannot_be_counted_are_refused(
    backoff_scores: Implementation, inputs: Arguments, place: int, shift: int
) -> Claim:
    """A corpus is not empty; its words and the history's are ids of the vocabulary; the order is at least 1, and
    alpha in [0, 1].
    """
    return all_of(
        *(refused(backoff_scores, name, arguments) for name, arguments in uncountable(inputs, place, shift)),
        *(refused(backoff_scores, "alpha", {**inputs, "alpha": wrong}) for wrong in (-0.1, 1.1, np.nan)),
    )


@fault(
    backoff_scores,
    breaks=scores_of_what_cannot_be_counted_are_refused,
    kind="refusal",
    repair="Refuse them.",
)
def scores_anything(corpus: Ids, history: Ids, vocabulary: int, order: int, alpha: float) -> Array:
    """Words outside the vocabulary, an order of 0 and any alpha are taken as they come."""
    inside = corpus[(corpus >= 0) & (corpus < vocabulary)]
    inside = inside if len(inside) else np.zeros(1, np.int64)
    known = history[(history >= 0) & (history < vocabulary)]
    return backoff_scores(inside, known, vocabulary, max(order, 1), float(np.clip(np.nan_to_num(alpha), 0, 1)))


@workload(backoff_scores, sizes={"words": 1_000_000}, cost=corpus_cost, grows=GROWS)
def score_after_two_words(random: np.random.Generator, words: int) -> Arguments:
    """Stupid back-off for every word of the vocabulary after two words that stand somewhere in a million."""
    corpus, vocabulary = library_corpus(words)
    place = int(random.integers(len(corpus) - 2))
    return {"corpus": corpus, "history": corpus[place : place + 2], "vocabulary": vocabulary, "order": 3, "alpha": 0.4}
