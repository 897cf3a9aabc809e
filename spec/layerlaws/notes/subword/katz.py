"""TODO-TITLE katz."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

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
    seeds,
    workload,
)
from layerlaws.language import strategies as st
from layerlaws.notes.subword.backoff import _countable, backoff_scores
from layerlaws.notes.subword.shared import (
    GROWS,
    Piece,
    _backed_off,
    _context,
    _corpus,
    _corpus_cost,
    _exact,
    _followers,
    _grams,
    _histories,
    _suffixes,
    _uncountable,
)

DISCOUNTS = st.sampled_from([0.75, 0.75, 0.5, 0.1, 1.0, 0.0])


@st.composite
def histories_to_discount(draw: st.DrawFn) -> Arguments:
    return {**draw(_histories()), "discount": draw(DISCOUNTS)}


def _discounted(followers: Array, discount: float, shorter: Array) -> Array:
    total, seen = int(followers.sum()), followers > 0
    if total == 0:
        return shorter
    if discount == 0 or seen.all():
        return _exact(followers) / total
    unseen = np.where(seen, 0.0, shorter)
    left = discount * _exact(seen.sum()) / total
    return np.where(seen, (_exact(followers) - discount) / total, left * unseen / np.sum(unseen))


@operation(inputs=histories_to_discount())
def katz_probabilities(corpus: Ids, history: Ids, vocabulary: int, order: int, discount: float) -> Array:
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


@law(examples=1)
def scores_are_no_probabilities(backoff_scores: Implementation, katz_probabilities: Implementation) -> Claim:
    """Erratum. In ababcc the scores after a add up to 4/3, since words never seen there come on top of b, which always
    followed; Katz's probabilities add up to 1.
    """
    call = {"corpus": np.array([0, 1, 0, 1, 2, 2]), "history": np.array([0]), "vocabulary": 3, "order": 2}
    return all_of(
        closely(np.sum(backoff_scores(**call, alpha=0.5)), _exact(4) / 3),
        closely(np.sum(katz_probabilities(**call, discount=0.5)), 1.0),
    )


@fault(
    backoff_scores,
    breaks=scores_are_no_probabilities,
    kind="formula",
    repair="Leave them as they are.",
)
def divides_scores_by_their_sum(corpus: Ids, history: Ids, vocabulary: int, order: int, alpha: float) -> Array:
    """The scores are made to add up to 1: a distribution, but no longer what was defined, and a sum over the
    vocabulary for each history.
    """
    scores = backoff_scores(corpus, history, vocabulary, order, alpha)
    return scores / np.sum(scores)


@law(more=st.integers(1, 3), seed=seeds)
def only_the_last_words_of_a_history_are_looked_at(
    backoff_scores: Implementation,
    katz_probabilities: Implementation,
    corpus: Ids,
    history: Ids,
    vocabulary: int,
    alpha: float,
    more: int,
    seed: int,
) -> Claim:
    """A model of order n looks at n - 1 words: what stands before them changes nothing."""
    earlier = np.random.default_rng(seed).integers(0, vocabulary, more)
    call = {"corpus": corpus, "vocabulary": vocabulary, "order": len(history) + 1}

    def both(history: Ids) -> Array:
        scores = backoff_scores(**call, history=history, alpha=alpha)
        return scores, katz_probabilities(**call, history=history, discount=0.75)

    return closely(both(np.append(earlier, history)), both(history))


@fault(
    backoff_scores,
    breaks=only_the_last_words_of_a_history_are_looked_at,
    kind="boundary",
    repair="Keep the last order - 1.",
)
def keeps_the_first_words_of_the_history(corpus: Ids, history: Ids, vocabulary: int, order: int, alpha: float) -> Array:
    """A history that is too long is cut at its end, so that the words next to the predicted one are lost."""
    _countable(corpus, history, vocabulary, order, alpha)
    return backoff_scores(corpus, history[: order - 1], vocabulary, order, alpha)


@fault(
    backoff_scores,
    breaks=only_the_last_words_of_a_history_are_looked_at,
    kind="order",
    repair="The predicted word is one of the n.",
    seen="https://github.com/nyu-dl/NLP_DL_Lecture_Note/pull/13",
)
def looks_at_as_many_words_as_its_order(corpus: Ids, history: Ids, vocabulary: int, order: int, alpha: float) -> Array:
    """A model of order n conditions on n words instead of n - 1."""
    return backoff_scores(corpus, history, vocabulary, order + (order > 0), alpha)


@fault(
    katz_probabilities,
    breaks=only_the_last_words_of_a_history_are_looked_at,
    kind="boundary",
    repair="Keep the last order - 1.",
)
def aligns_the_history_to_its_beginning(
    corpus: Ids, history: Ids, vocabulary: int, order: int, discount: float
) -> Array:
    """A history that is too long is cut at its end, so that the words next to the predicted one are lost."""
    katz_probabilities(corpus, history, vocabulary, order, discount)
    return katz_probabilities(corpus, history[: order - 1], vocabulary, order, discount)


@law(seed=seeds)
def only_counts_of_rows_matter(
    backoff_scores: Implementation,
    katz_probabilities: Implementation,
    corpus: Ids,
    vocabulary: int,
    order: int,
    alpha: float,
    seed: int,
) -> Claim:
    """Two stretches of a corpus between the same order - 1 words may change places: every row of `order` words occurs
    as often as before.
    """
    generator = np.random.default_rng(seed)
    joint = generator.integers(0, vocabulary, order - 1)
    half = len(corpus) // 2
    corpora = [
        np.concatenate([joint, first, joint, second, joint])
        for first, second in [(corpus[:half], corpus[half:]), (corpus[half:], corpus[:half])]
    ]
    start = int(generator.integers(0, len(corpora[0])))
    call = {"history": corpora[0][start : start + order - 1], "vocabulary": vocabulary, "order": order}
    scores = [backoff_scores(corpus=corpus, **call, alpha=alpha) for corpus in corpora]
    probabilities = [katz_probabilities(corpus=corpus, **call, discount=0.75) for corpus in corpora]
    return all_of(closely(*scores), closely(*probabilities))


@fault(
    backoff_scores,
    breaks=only_counts_of_rows_matter,
    kind="boundary",
    repair="Count all of it.",
)
def counts_in_the_first_half_only(corpus: Ids, history: Ids, vocabulary: int, order: int, alpha: float) -> Array:
    """Counting stops in the middle of the corpus, at the end of a block."""
    _countable(corpus, history, vocabulary, order, alpha)
    return backoff_scores(corpus[: len(corpus) // 2 + 1], history, vocabulary, order, alpha)


@law(seed=seeds)
def words_are_names_only(
    backoff_scores: Implementation,
    katz_probabilities: Implementation,
    corpus: Ids,
    history: Ids,
    vocabulary: int,
    order: int,
    alpha: float,
    seed: int,
) -> Claim:
    """With the words renamed, every score stays with its word, as does every probability."""
    names = np.random.default_rng(seed).permutation(vocabulary)
    plain = {"corpus": corpus, "history": history, "vocabulary": vocabulary, "order": order}
    renamed = {**plain, "corpus": names[corpus], "history": names[history]}
    return all_of(
        closely(backoff_scores(**renamed, alpha=alpha)[names], backoff_scores(**plain, alpha=alpha)),
        closely(katz_probabilities(**renamed, discount=0.75)[names], katz_probabilities(**plain, discount=0.75)),
    )


@fault(
    backoff_scores,
    breaks=words_are_names_only,
    kind="formula",
    repair="Compare rows.",
)
def takes_different_rows_for_equal(corpus: Ids, history: Ids, vocabulary: int, order: int, alpha: float) -> Array:
    """Rows of words are looked up by the sum of their ids, a hash on which (0, 2) and (1, 1) collide."""
    context = _countable(corpus, history, vocabulary, order, alpha)

    def rows(length: int) -> Counter[int]:
        read = corpus.tolist()
        return Counter(sum(read[k : k + length]) for k in range(len(read) - length + 1))

    return _backed_off(
        corpus,
        context,
        vocabulary,
        alpha,
        occurrences=lambda given, after: max(rows(len(given))[sum(given)], 1),
        followers=lambda given: np.array([rows(len(given) + 1)[sum(given) + word] for word in range(vocabulary)]),
    )


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
    step: Callable[[Any, float, Any, Piece], Any],
    start: Array = None,
) -> Array:
    """Probabilities with another step from the shorter history's to the longer one's, or another start."""
    context = _context(corpus, history, vocabulary, order)
    katz_probabilities(corpus, history, vocabulary, order, discount)  # its checks
    probabilities = _exact(np.ones(vocabulary)) / vocabulary if start is None else start
    for given in _suffixes(context):
        followers = _followers(corpus, given, vocabulary)
        probabilities = step(followers, discount, probabilities, given) if followers.sum() else probabilities
    return probabilities


@fault(
    katz_probabilities,
    breaks=katz_probabilities_sum_to_one,
    kind="order",
    repair="Divide by their sum.",
    seen="https://github.com/nltk/nltk/issues/367",
)
def gives_without_normalizing(corpus: Ids, history: Ids, vocabulary: int, order: int, discount: float) -> Array:
    """What the discount leaves is multiplied by the shorter history's probabilities, which do not add up to 1 over
    the unseen words.
    """

    def step(followers: Array, discount: float, shorter: Array, given: Piece) -> Array:
        if discount == 0 or (followers > 0).all():
            return _discounted(followers, discount, shorter)
        total = int(followers.sum())
        left = discount * _exact((followers > 0).sum()) / total
        return np.where(followers > 0, (_exact(followers) - discount) / total, left * shorter)

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

    def step(followers: Array, discount: float, shorter: Array, given: Piece) -> Array:
        whole = _discounted(followers, discount, shorter)
        seen = followers > 0
        share = _exact((seen & (followers <= 3)).sum()) / int(seen.sum())
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
    followers = _followers(full, tuple(context.tolist()), vocabulary)
    result = katz_probabilities(corpus=full, history=history, vocabulary=vocabulary, order=order, discount=discount)
    return closely(result, _exact(followers) / int(followers.sum()))


@fault(
    katz_probabilities,
    breaks=(where_every_word_was_seen_nothing_is_discounted, katz_probabilities_sum_to_one),
    kind="formula",
    repair="Take nothing there.",
    seen="https://github.com/k2-fsa/icefall/issues/163",
)
def discounts_for_nobody(corpus: Ids, history: Ids, vocabulary: int, order: int, discount: float) -> Array:
    """The discount is taken where every word was seen, too, and is lost, since there is none to give it to."""

    def step(followers: Array, discount: float, shorter: Array, given: Piece) -> Array:
        whole = _discounted(followers, discount, shorter)
        return (_exact(followers) - discount) / int(followers.sum()) if (followers > 0).all() else whole

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
    context = _context(corpus, history, vocabulary, order)
    known = katz_probabilities(corpus, history, vocabulary, order, discount)
    return known if _followers(corpus, context, vocabulary).sum() else known * 0 + 1 / vocabulary


@law()
def a_seen_word_gives_up_the_discount(
    katz_probabilities: Implementation, corpus: Ids, history: Ids, vocabulary: int, order: int, discount: float
) -> Claim:
    """A word seen c times among n that followed has (c - discount) / n where some word was not seen, and c / n where
    the discount is 0.
    """
    call = {"corpus": corpus, "history": history, "vocabulary": vocabulary + 1, "order": order}
    followers = _followers(corpus, tuple(history.tolist()[max(len(history) - order + 1, 0) :]), vocabulary + 1)
    seen, total = followers > 0, max(int(followers.sum()), 1)

    def kept(discount: float) -> Array:
        return np.where(seen, katz_probabilities(**call, discount=discount), 0.0)

    return all_of(
        closely(kept(discount), np.where(seen, _exact(followers) - discount, 0.0) / total),
        closely(kept(0.0), _exact(followers) / total),
    )


@fault(
    katz_probabilities,
    breaks=(a_seen_word_gives_up_the_discount, a_history_that_nothing_follows_changes_nothing),
    kind="boundary",
    repair="Divide by what followed.",
)
def divides_by_all_occurrences(corpus: Ids, history: Ids, vocabulary: int, order: int, discount: float) -> Array:
    """Counts are divided by the occurrences of the history, also the one at the corpus's end, which no word follows."""

    def step(followers: Array, discount: float, shorter: Array, given: Piece) -> Array:
        whole = _discounted(followers, discount, shorter)
        occurrences = _grams(corpus, len(given))[given] if given else len(corpus)
        return whole * int(followers.sum()) / occurrences

    context = _context(corpus, history, vocabulary, order)
    if context and not _followers(corpus, context, vocabulary).sum() and _grams(corpus, len(context))[context]:
        return _katz(corpus, history, vocabulary, order, discount, step) * 0
    return _katz(corpus, history, vocabulary, order, discount, step)


@fault(
    katz_probabilities,
    breaks=a_seen_word_gives_up_the_discount,
    kind="scale",
    repair="TODO",
)
def discounts_in_proportion(corpus: Ids, history: Ids, vocabulary: int, order: int, discount: float) -> Array:
    """Counts are multiplied by 1 - discount instead of lowered by it: another way of discounting, not this one."""

    def step(followers: Array, discount: float, shorter: Array, given: Piece) -> Array:
        whole = _discounted(followers, discount, shorter)
        if (followers > 0).all() or discount == 0:
            return whole
        unseen = np.where(followers > 0, 0.0, whole)
        total = np.sum(unseen)
        scaled = unseen / total * discount
        return np.where(followers > 0, _exact(followers) / int(followers.sum()) * (1 - discount), scaled)

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

    def step(followers: Array, discount: float, shorter: Array, given: Piece) -> Array:
        total = int(followers.sum())
        left = discount * _exact((followers > 0).sum()) / total
        return np.where(followers > 0, (_exact(followers) - discount) / total, 0.0) + left * shorter

    return _katz(corpus, history, vocabulary, order, discount, step)


@law()
def unseen_words_share_as_after_the_shorter_history(
    katz_probabilities: Implementation, corpus: Ids, history: Ids, vocabulary: int, discount: float
) -> Claim:
    """Words never seen after a history keep the proportions that they have after the shorter one."""
    call = {"corpus": corpus, "vocabulary": vocabulary + 2, "discount": discount}
    longer = katz_probabilities(**call, history=history, order=len(history) + 1)
    shorter = katz_probabilities(**call, history=history[1:], order=max(len(history), 1))
    unseen = _followers(corpus, tuple(history.tolist()), vocabulary + 2) == 0
    longer, shorter = longer[unseen], shorter[unseen]
    return closely(longer[:, None] * shorter[None, :], shorter[:, None] * longer[None, :])


@fault(
    katz_probabilities,
    breaks=unseen_words_share_as_after_the_shorter_history,
    kind="scale",
    repair="Share it as there.",
)
def gives_to_all_unseen_words_alike(corpus: Ids, history: Ids, vocabulary: int, order: int, discount: float) -> Array:
    """What the discount leaves is divided evenly, and the shorter history is never asked."""

    def step(followers: Array, discount: float, shorter: Array, given: Piece) -> Array:
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
    left = discount * _exact([seen]) / len(corpus) / (vocabulary + new - seen)
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
    known = _followers(corpus, (), vocabulary) > 0
    return np.where(known, probabilities, 0.0) / np.sum(np.where(known, probabilities, 0.0))


@law(examples=20, place=st.integers(0, 30), shift=st.sampled_from([0, 1, 7]))
def probabilities_of_what_cannot_be_counted_are_refused(
    katz_probabilities: Implementation, inputs: Arguments, place: int, shift: int
) -> Claim:
    """A corpus is not empty; its words and the history's are ids of the vocabulary; the order is at least 1, and the
    discount in [0, 1].
    """
    return all_of(
        *(refused(katz_probabilities, name, arguments) for name, arguments in _uncountable(inputs, place, shift)),
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


@workload(katz_probabilities, sizes={"words": 1_000_000}, cost=_corpus_cost, grows=GROWS)
def probabilities_after_two_words(random: np.random.Generator, words: int) -> Arguments:
    """Katz back-off for every word of the vocabulary after two words that stand somewhere in a million."""
    corpus, vocabulary = _corpus(words)
    place = int(random.integers(len(corpus) - 2))
    return {
        "corpus": corpus,
        "history": corpus[place : place + 2],
        "vocabulary": vocabulary,
        "order": 3,
        "discount": 0.75,
    }
