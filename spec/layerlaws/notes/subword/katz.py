"""Katz back-off with absolute discounting: katz_probabilities."""

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
    at_most,
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

DISCOUNTS = st.sampled_from([0.75, 0.75, 0.5, 0.1, 1.0, 0.0])


@st.composite
def histories_to_discount(draw: st.DrawFn) -> Arguments:
    """A corpus, a history, and what seen words give up."""
    return {**draw(histories()), "discount": draw(DISCOUNTS)}


def _discounted(followers: Ids, discount: float, shorter: Array) -> Array:
    total, seen = int(followers.sum()), followers > 0
    if total == 0:
        return shorter
    if discount == 0 or seen.all():
        return as_exact(followers) / total
    unseen = np.where(seen, 0.0, shorter)
    left = discount * as_exact(seen.sum()) / total
    return np.where(seen, (as_exact(followers) - discount) / total, left * unseen / np.sum(unseen))


@operation(inputs=histories_to_discount())
def katz_probabilities(corpus: Ids, history: Ids, vocabulary: int, order: int, discount: float) -> Array:
    """P(w | h) = (count(h w) - discount) / followers(h) where h w occurs; what that leaves goes to the other words,
    in the proportions of P(w | h without its first word).

    corpus (N,), history (n,) of which the last order - 1 words count  ->  (V,) float64

    followers(h) is the sum of count(h w) over w; where it is 0, the shorter history's probabilities stand. Below
    the empty history all words are equally probable.
    """
    context = read_context(corpus, history, vocabulary, order)
    require(0 <= discount <= 1, "discount must lie in [0, 1]")
    probabilities = as_exact(np.ones(vocabulary)) / vocabulary
    for given in suffixes(context):
        probabilities = _discounted(count_followers(corpus, given, vocabulary), discount, probabilities)
    return probabilities


@law()
def katz_probabilities_sum_to_one(katz_probabilities: Implementation, inputs: Arguments) -> Claim:
    """Whatever the corpus, the history, the order and the discount, no probability is negative, and all add up to 1."""
    probabilities = katz_probabilities(**inputs)
    return all_of(closely(np.sum(probabilities), 1.0), at_most(0.0, probabilities))


def _katz(
    corpus: Ids,
    history: Ids,
    vocabulary: int,
    order: int,
    discount: float,
    step: Callable[[Ids, float, Array, Piece], Array],
) -> Array:
    """Probabilities with another step from the shorter history's to the longer one's."""
    context = read_context(corpus, history, vocabulary, order)
    katz_probabilities(corpus, history, vocabulary, order, discount)  # its checks
    probabilities = as_exact(np.ones(vocabulary)) / vocabulary
    for given in suffixes(context):
        followers = count_followers(corpus, given, vocabulary)
        probabilities = step(followers, discount, probabilities, given) if followers.sum() else probabilities
    return probabilities


@fault(
    katz_probabilities,
    breaks=katz_probabilities_sum_to_one,
    kind="scale",
    repair="Divide by their sum.",
    seen="https://github.com/nltk/nltk/issues/367",
)
def gives_without_normalizing(corpus: Ids, history: Ids, vocabulary: int, order: int, discount: float) -> Array:
    """What the discount leaves is multiplied by the shorter history's probabilities, which do not add up to 1 over
    the unseen words.
    """

    def step(followers: Ids, discount: float, shorter: Array, given: Piece) -> Array:
        if discount == 0 or (followers > 0).all():
            return _discounted(followers, discount, shorter)
        total = int(followers.sum())
        left = discount * as_exact((followers > 0).sum()) / total
        return np.where(followers > 0, (as_exact(followers) - discount) / total, left * shorter)

    return _katz(corpus, history, vocabulary, order, discount, step)


@fault(
    katz_probabilities,
    breaks=katz_probabilities_sum_to_one,
    kind="formula",
    repair="Add up all.",
    seen="https://github.com/kpu/kenlm/issues/405",
)
def forgets_what_frequent_words_gave(corpus: Ids, history: Ids, vocabulary: int, order: int, discount: float) -> Array:
    """All words give up the discount, but only what those seen up to three times gave is handed on."""

    def step(followers: Ids, discount: float, shorter: Array, given: Piece) -> Array:
        whole = _discounted(followers, discount, shorter)
        seen = followers > 0
        share = as_exact((seen & (followers <= 3)).sum()) / int(seen.sum())
        return np.where(seen, whole, share * whole)

    return _katz(corpus, history, vocabulary, order, discount, step)


@law()
def where_every_word_was_seen_nothing_is_discounted(
    katz_probabilities: Implementation, corpus: Ids, history: Ids, vocabulary: int, order: int, discount: float
) -> Claim:
    """With nobody to give to, nothing is taken: once the history was followed by every word, probabilities are the
    shares of what followed.
    """
    context = history[max(len(history) - order + 1, 0) :]
    full = np.concatenate([corpus, *(np.append(context, word) for word in range(vocabulary))])
    followers = count_followers(full, tuple(context.tolist()), vocabulary)
    result = katz_probabilities(corpus=full, history=history, vocabulary=vocabulary, order=order, discount=discount)
    return closely(result, as_exact(followers) / int(followers.sum()))


@fault(
    katz_probabilities,
    breaks=(where_every_word_was_seen_nothing_is_discounted, katz_probabilities_sum_to_one),
    kind="boundary",
    repair="Take nothing there.",
    seen="https://github.com/k2-fsa/icefall/issues/163",
)
def discounts_for_nobody(corpus: Ids, history: Ids, vocabulary: int, order: int, discount: float) -> Array:
    """The discount is taken where every word was seen, too, and is lost, since there is none to give it to."""

    def step(followers: Ids, discount: float, shorter: Array, given: Piece) -> Array:
        whole = _discounted(followers, discount, shorter)
        return (as_exact(followers) - discount) / int(followers.sum()) if (followers > 0).all() else whole

    return _katz(corpus, history, vocabulary, order, discount, step)


@law()
def a_history_that_nothing_follows_changes_nothing(
    katz_probabilities: Implementation, corpus: Ids, history: Ids, vocabulary: int, discount: float
) -> Claim:
    """After a history that never occurred, or only where the corpus ends, the shorter history's probabilities stand."""
    call = {"vocabulary": vocabulary + 1, "discount": discount}
    unseen = {"corpus": corpus, "history": np.append(vocabulary, history), "order": len(history) + 2}
    last = np.append(corpus, vocabulary)
    return all_of(
        closely(katz_probabilities(**call, **unseen), katz_probabilities(**call, **{**unseen, "history": history})),
        closely(
            katz_probabilities(**call, corpus=last, history=last[-1:], order=2),
            katz_probabilities(**call, corpus=last, history=last[:0], order=2),
        ),
    )


@fault(
    katz_probabilities,
    breaks=a_history_that_nothing_follows_changes_nothing,
    kind="formula",
    repair="Ask the shorter history.",
)
def is_at_a_loss_after_a_new_history(corpus: Ids, history: Ids, vocabulary: int, order: int, discount: float) -> Array:
    """After a history that nothing followed all words are taken for equally probable."""
    context = read_context(corpus, history, vocabulary, order)
    known = katz_probabilities(corpus, history, vocabulary, order, discount)
    return known if count_followers(corpus, context, vocabulary).sum() else known * 0 + 1 / vocabulary


@law()
def a_seen_word_gives_up_the_discount(
    katz_probabilities: Implementation, corpus: Ids, history: Ids, vocabulary: int, order: int, discount: float
) -> Claim:
    """A word seen c times among n that followed has (c - discount) / n where some word was not seen, and c / n where
    the discount is 0.
    """
    call = {"corpus": corpus, "history": history, "vocabulary": vocabulary + 1, "order": order}
    followers = count_followers(corpus, tuple(history.tolist()[max(len(history) - order + 1, 0) :]), vocabulary + 1)
    seen, total = followers > 0, max(int(followers.sum()), 1)

    def kept(discount: float) -> Array:
        return np.where(seen, katz_probabilities(**call, discount=discount), 0.0)

    return all_of(
        closely(kept(discount), np.where(seen, as_exact(followers) - discount, 0.0) / total),
        closely(kept(0.0), as_exact(followers) / total),
    )


@fault(
    katz_probabilities,
    breaks=(a_seen_word_gives_up_the_discount, a_history_that_nothing_follows_changes_nothing),
    kind="scale",
    repair="Divide by what followed.",
)
def divides_by_all_occurrences(corpus: Ids, history: Ids, vocabulary: int, order: int, discount: float) -> Array:
    """Counts are divided by the occurrences of the history, also the one at the corpus's end, which no word follows."""

    def step(followers: Ids, discount: float, shorter: Array, given: Piece) -> Array:
        whole = _discounted(followers, discount, shorter)
        occurrences = count_rows(corpus, len(given))[given] if given else len(corpus)
        return whole * int(followers.sum()) / occurrences

    context = read_context(corpus, history, vocabulary, order)
    if context and not count_followers(corpus, context, vocabulary).sum() and count_rows(corpus, len(context))[context]:
        return _katz(corpus, history, vocabulary, order, discount, step) * 0
    return _katz(corpus, history, vocabulary, order, discount, step)


@fault(
    katz_probabilities,
    breaks=a_seen_word_gives_up_the_discount,
    kind="formula",
    repair="Subtract it from every count.",
)
def discounts_in_proportion(corpus: Ids, history: Ids, vocabulary: int, order: int, discount: float) -> Array:
    """Counts are multiplied by 1 - discount instead of lowered by it: another way of discounting, not this one."""

    def step(followers: Ids, discount: float, shorter: Array, given: Piece) -> Array:
        whole = _discounted(followers, discount, shorter)
        if (followers > 0).all() or discount == 0:
            return whole
        unseen = np.where(followers > 0, 0.0, whole)
        total = np.sum(unseen)
        scaled = unseen / total * discount
        return np.where(followers > 0, as_exact(followers) / int(followers.sum()) * (1 - discount), scaled)

    return _katz(corpus, history, vocabulary, order, discount, step)


@fault(
    katz_probabilities,
    breaks=a_seen_word_gives_up_the_discount,
    kind="formula",
    repair="Only unseen words get it.",
    seen="https://github.com/matteodellamico/montecarlopwd/issues/2",
)
def gives_to_seen_words_too(corpus: Ids, history: Ids, vocabulary: int, order: int, discount: float) -> Array:
    """What the discount leaves is spread over all words, those that were seen included: that is interpolation."""

    def step(followers: Ids, discount: float, shorter: Array, given: Piece) -> Array:
        total = int(followers.sum())
        left = discount * as_exact((followers > 0).sum()) / total
        return np.where(followers > 0, (as_exact(followers) - discount) / total, 0.0) + left * shorter

    return _katz(corpus, history, vocabulary, order, discount, step)


@law()
def unseen_words_share_as_after_the_shorter_history(
    katz_probabilities: Implementation, corpus: Ids, history: Ids, vocabulary: int, discount: float
) -> Claim:
    """Words never seen after a history keep the proportions that they have after the shorter one."""
    call = {"corpus": corpus, "vocabulary": vocabulary + 2, "discount": discount}
    longer = katz_probabilities(**call, history=history, order=len(history) + 1)
    shorter = katz_probabilities(**call, history=history[1:], order=max(len(history), 1))
    unseen = count_followers(corpus, tuple(history.tolist()), vocabulary + 2) == 0
    longer, shorter = longer[unseen], shorter[unseen]
    return closely(longer[:, None] * shorter[None, :], shorter[:, None] * longer[None, :])


@fault(
    katz_probabilities,
    breaks=unseen_words_share_as_after_the_shorter_history,
    kind="formula",
    repair="Share it as there.",
)
def gives_to_all_unseen_words_alike(corpus: Ids, history: Ids, vocabulary: int, order: int, discount: float) -> Array:
    """What the discount leaves is divided evenly, and the shorter history is never asked."""

    def step(followers: Ids, discount: float, shorter: Array, given: Piece) -> Array:
        return _discounted(followers, discount, shorter * 0 + 1 / vocabulary)

    return _katz(corpus, history, vocabulary, order, discount, step)


@law(new=st.integers(1, 4))
def words_that_never_occurred_are_equally_probable(
    katz_probabilities: Implementation, corpus: Ids, vocabulary: int, discount: float, new: int
) -> Claim:
    """Below the unigrams stands the uniform distribution: of k words outside the corpus each has 1/k of what the
    discount leaves, discount * (words seen) / N.
    """
    seen = len(set(corpus.tolist()))
    probabilities = katz_probabilities(
        corpus=corpus, history=corpus[:0], vocabulary=vocabulary + new, order=1, discount=discount
    )
    left = discount * as_exact([seen]) / len(corpus) / (vocabulary + new - seen)
    return closely(probabilities[vocabulary:], np.broadcast_to(left, (new,)))


@fault(
    katz_probabilities,
    breaks=words_that_never_occurred_are_equally_probable,
    kind="formula",
    repair="Give it a share of what the discount leaves.",
)
def ends_with_the_unigrams(corpus: Ids, history: Ids, vocabulary: int, order: int, discount: float) -> Array:
    """Nothing stands below the unigrams, so that a word outside the corpus has probability 0."""
    probabilities = katz_probabilities(corpus, history, vocabulary, order, discount)
    known = count_followers(corpus, (), vocabulary) > 0
    return np.where(known, probabilities, 0.0) / np.sum(np.where(known, probabilities, 0.0))


@law(examples=20, place=st.integers(0, 30), shift=st.sampled_from([0, 1, 7]))
def probabilities_of_what_cannot_be_counted_are_refused(
    katz_probabilities: Implementation, inputs: Arguments, place: int, shift: int
) -> Claim:
    """A corpus is not empty; its words and the history's are ids of the vocabulary; the order is at least 1, and the
    discount in [0, 1].
    """
    return all_of(
        *(refused(katz_probabilities, name, arguments) for name, arguments in uncountable(inputs, place, shift)),
        *(refused(katz_probabilities, "discount", {**inputs, "discount": wrong}) for wrong in (-0.1, 1.1, np.nan)),
    )


@fault(
    katz_probabilities,
    breaks=probabilities_of_what_cannot_be_counted_are_refused,
    kind="refusal",
    repair="Refuse them.",
)
def discounts_anything(corpus: Ids, history: Ids, vocabulary: int, order: int, discount: float) -> Array:
    """Words outside the vocabulary, an order of 0 and any discount are taken as they come."""
    inside = corpus[(corpus >= 0) & (corpus < vocabulary)]
    inside = inside if len(inside) else np.zeros(1, np.int64)
    known = history[(history >= 0) & (history < vocabulary)]
    return katz_probabilities(inside, known, vocabulary, max(order, 1), float(np.clip(np.nan_to_num(discount), 0, 1)))


@workload(katz_probabilities, sizes={"words": 1_000_000}, cost=corpus_cost, grows=GROWS)
def probabilities_after_two_words(random: np.random.Generator, words: int) -> Arguments:
    """Katz back-off for every word of the vocabulary after two words that stand somewhere in a million."""
    corpus, vocabulary = library_corpus(words)
    place = int(random.integers(len(corpus) - 2))
    return {
        "corpus": corpus,
        "history": corpus[place : place + 2],
        "vocabulary": vocabulary,
        "order": 3,
        "discount": 0.75,
    }
