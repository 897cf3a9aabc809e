"""Back-off scores and Katz's probabilities together: where they differ, and what holds of both."""

from __future__ import annotations

from collections import Counter

import numpy as np

from layerlaws.language import Array, Claim, Ids, Implementation, all_of, closely, fault, law, seeds
from layerlaws.language import strategies as st
from layerlaws.notes.subword.backoff import back_off_by, backoff_scores, checked_context
from layerlaws.notes.subword.histories import as_exact
from layerlaws.notes.subword.katz import katz_probabilities


@law(examples=1)
def scores_are_no_probabilities(backoff_scores: Implementation, katz_probabilities: Implementation) -> Claim:
    """Erratum. In ababcc the scores after a add up to 4/3, since words never seen there come on top of b, which always
    followed; Katz's probabilities add up to 1.
    """
    call = {"corpus": np.array([0, 1, 0, 1, 2, 2]), "history": np.array([0]), "vocabulary": 3, "order": 2}
    return all_of(
        closely(np.sum(backoff_scores(**call, alpha=0.5)), as_exact(4) / 3),
        closely(np.sum(katz_probabilities(**call, discount=0.5)), 1.0),
    )


@fault(
    backoff_scores,
    breaks=scores_are_no_probabilities,
    kind="scale",
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

    def both(history: Ids) -> tuple[Array, Array]:
        scores = backoff_scores(**call, history=history, alpha=alpha)
        return scores, katz_probabilities(**call, history=history, discount=0.75)

    return closely(both(np.append(earlier, history)), both(history))


@fault(
    backoff_scores,
    breaks=only_the_last_words_of_a_history_are_looked_at,
    kind="shift",
    repair="Keep the last order - 1.",
)
def keeps_the_first_words_of_the_history(corpus: Ids, history: Ids, vocabulary: int, order: int, alpha: float) -> Array:
    """A history that is too long is cut at its end, so that the words next to the predicted one are lost."""
    checked_context(corpus, history, vocabulary, order, alpha)
    return backoff_scores(corpus, history[: order - 1], vocabulary, order, alpha)


@fault(
    backoff_scores,
    breaks=only_the_last_words_of_a_history_are_looked_at,
    kind="mask",
    repair="The predicted word is one of the n.",
    seen="https://github.com/nyu-dl/NLP_DL_Lecture_Note/pull/13",
)
def looks_at_as_many_words_as_its_order(corpus: Ids, history: Ids, vocabulary: int, order: int, alpha: float) -> Array:
    """A model of order n conditions on n words instead of n - 1."""
    return backoff_scores(corpus, history, vocabulary, order + (order > 0), alpha)


@fault(
    katz_probabilities,
    breaks=only_the_last_words_of_a_history_are_looked_at,
    kind="shift",
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
    kind="size",
    repair="Count all of it.",
)
def counts_in_the_first_half_only(corpus: Ids, history: Ids, vocabulary: int, order: int, alpha: float) -> Array:
    """Counting stops in the middle of the corpus, at the end of a block."""
    checked_context(corpus, history, vocabulary, order, alpha)
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
    context = checked_context(corpus, history, vocabulary, order, alpha)

    def rows(length: int) -> Counter[int]:
        read = corpus.tolist()
        return Counter(sum(read[k : k + length]) for k in range(len(read) - length + 1))

    return back_off_by(
        corpus,
        context,
        vocabulary,
        alpha,
        occurrences=lambda given, after: max(rows(len(given))[sum(given)], 1),
        followers=lambda given: np.array([rows(len(given) + 1)[sum(given) + word] for word in range(vocabulary)]),
    )
