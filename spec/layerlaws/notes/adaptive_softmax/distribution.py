"""The log-probabilities of all words: adaptive_log_softmax."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from layerlaws.language import (
    Arguments,
    Array,
    Claim,
    Cost,
    Implementation,
    arrays,
    asbounded,
    closely,
    extents,
    fault,
    law,
    log_softmax,
    normal,
    operation,
    require,
    seeds,
    softmax,
    workload,
)
from layerlaws.language import strategies as st
from layerlaws.notes.adaptive_softmax.clusters import all_logs, cluster_logs, joined, layer_weights, layers, tail_cost


@st.composite
def score_tables(draw: st.DrawFn) -> Arguments:
    """A score for every word in every row, and cutoffs."""
    rows, *words = draw(extents(4))
    cutoffs = tuple(int(n) for n in np.cumsum(words))
    return {"scores": draw(arrays((rows, cutoffs[-1]))), "cutoffs": cutoffs}


def _require_fitting(
    hidden: Array,
    head: Array,
    tail_projections: tuple[Array, ...],
    tail_outputs: tuple[Array, ...],
    cutoffs: tuple[int, ...],
) -> None:
    width, sizes = hidden.shape[1], np.diff((0, *cutoffs))
    require(len(cutoffs) > 0 and np.all(sizes > 0), f"cutoffs must increase from above 0, not {cutoffs}")
    tails = len(cutoffs) - 1
    columns = cutoffs[0] + tails
    require(head.shape == (width, columns), f"head has shape {head.shape}, expected {(width, columns)}")
    for name, given in (("tail_projections", tail_projections), ("tail_outputs", tail_outputs)):
        require(len(given) == tails, f"{name} has {len(given)} matrices for {tails} tails")
    for projection, output, size in zip(tail_projections, tail_outputs, sizes[1:], strict=True):
        rows, columns = projection.shape
        require(rows == width, f"tail_projections has a matrix of {rows} rows, not {width}")
        require(
            output.shape == (columns, size),
            f"tail_outputs has a matrix of shape {output.shape}, not {(columns, size)}",
        )


@operation(inputs=layers(), batch=("hidden",), differentiable=True)
def adaptive_log_softmax(
    hidden: Array,
    head: Array,
    tail_projections: tuple[Array, ...],
    tail_outputs: tuple[Array, ...],
    cutoffs: tuple[int, ...],
) -> Array:
    """log p: log_softmax(hidden head) for words below c0, and for those of tail j its entry there, number c0 + j, plus
    log_softmax(hidden tail_projections[j] tail_outputs[j]).

    hidden (N, H), head (H, c0 + J), tail_projections J of (H, h_j), tail_outputs J of (h_j, c_{j+1} - c_j),
    cutoffs (c0, c1, ..., V)  ->  (N, V)
    """
    _require_fitting(hidden, head, tail_projections, tail_outputs, cutoffs)
    shortlist = cutoffs[0]
    top = log_softmax(hidden @ head)  # (N, c0 + J)
    parts = [top[:, :shortlist]]
    for j, (projection, output) in enumerate(zip(tail_projections, tail_outputs, strict=True), shortlist):
        parts.append(top[:, j : j + 1] + log_softmax(hidden @ projection @ output))
    return np.concatenate(parts, axis=1)


@law()
def probabilities_over_the_whole_vocabulary_sum_to_one(
    adaptive_log_softmax: Implementation, inputs: Arguments
) -> Claim:
    """The probabilities of all words, those of the short list and of every tail, sum to 1."""
    total = np.exp(adaptive_log_softmax(**inputs)).sum(axis=1)
    return closely(total, np.ones(len(total)))


@law()
def each_tail_weighs_what_its_head_entry_says(
    adaptive_log_softmax: Implementation, inputs: Arguments, hidden: Array, head: Array, cutoffs: tuple[int, ...]
) -> Claim:
    """The probabilities within a tail sum to what the softmax of the head gives to that tail's entry."""
    probabilities = np.exp(adaptive_log_softmax(**inputs))
    masses = [probabilities[:, low:high].sum(axis=1) for low, high in pairwise(cutoffs)]
    return closely(np.stack(masses, axis=1), softmax(asbounded(hidden) @ head)[:, cutoffs[0] :])


@fault(
    adaptive_log_softmax,
    breaks=(each_tail_weighs_what_its_head_entry_says, "agrees_with_definition"),
    kind="shift",
    repair="Its entry is column c0 + j of the head.",
)
def takes_the_entry_of_the_next_tail(cutoffs: tuple[int, ...], **weights: Any) -> Array:
    """Tail j is multiplied by the mass of tail j + 1."""
    return joined(*cluster_logs(**weights), cutoffs[0], first=1)


@law(tail=st.integers(0, 2), seed=seeds)
def a_tail_changes_no_word_outside_it(
    adaptive_log_softmax: Implementation, inputs: Arguments, cutoffs: tuple[int, ...], tail: int, seed: int
) -> Claim:
    """Other weights in one tail leave the short list and the words of all other tails as they were."""
    tail %= len(cutoffs) - 1
    other = {
        name: tuple(normal(seed, x.shape, x, 10) if j == tail else x for j, x in enumerate(inputs[name]))
        for name in ("tail_projections", "tail_outputs")
    }
    outside = np.delete(np.arange(cutoffs[-1]), np.arange(cutoffs[tail], cutoffs[tail + 1]))
    before, after = adaptive_log_softmax(**inputs), adaptive_log_softmax(**{**inputs, **other})
    return closely(after[:, outside], before[:, outside])


def _log_sum(scores: Array) -> Array:
    """(N, n) -> (N, 1): log(sum(exp(scores)))."""
    highest = np.max(scores, axis=1, keepdims=True)
    return highest + np.log(np.sum(np.exp(scores - highest), axis=1, keepdims=True))


@fault(
    adaptive_log_softmax,
    breaks=a_tail_changes_no_word_outside_it,
    kind="scale",
    repair="Each tail has a softmax of its own.",
)
def normalizes_the_tails_together(cutoffs: tuple[int, ...], **weights: Any) -> Array:
    """One softmax runs over the words of all tails, times the mass of all."""
    top, scores = cluster_logs(**weights, normalize=lambda scores: scores)
    top = log_softmax(top)
    tails = [_log_sum(top[:, cutoffs[0] :]) + log_softmax(np.concatenate(scores, axis=1))] if scores else []
    return np.concatenate([top[:, : cutoffs[0]], *tails], axis=1)


@law(seed=seeds)
def words_may_be_relabelled_within_their_cluster(
    adaptive_log_softmax: Implementation, inputs: Arguments, head: Array, cutoffs: tuple[int, ...], seed: int
) -> Claim:
    """Words of the short list, and words of one tail, may change places if their columns of weights do."""
    generator = np.random.default_rng(seed)
    shortlist, *tails = [generator.permutation(size) for size in np.diff((0, *cutoffs))]
    entries = np.concatenate([shortlist, np.arange(cutoffs[0], head.shape[1])])
    order = np.concatenate([shortlist, *(start + t for start, t in zip(cutoffs, tails, strict=False))])
    outputs = tuple(x[:, t] for x, t in zip(inputs["tail_outputs"], tails, strict=True))
    relabelled = adaptive_log_softmax(**{**inputs, "head": head[:, entries], "tail_outputs": outputs})
    return closely(relabelled, adaptive_log_softmax(**inputs)[:, order])


@fault(
    adaptive_log_softmax,
    breaks=words_may_be_relabelled_within_their_cluster,
    kind="boundary",
    repair="Stop at the cutoff.",
)
def leaves_the_last_word_out_of_the_sum(cutoffs: tuple[int, ...], **weights: Any) -> Array:
    """The sums end one word early: a slice that stops at cutoff - 1. A slice excludes its end anyway."""

    def normalize(scores: Array) -> Array:
        return scores - _log_sum(scores[:, : max(scores.shape[1] - 1, 1)])

    return all_logs(cutoffs, **weights, normalize=normalize)


@law(inputs=layers(last=1))
def a_tail_of_one_word_gives_it_all_of_its_mass(
    adaptive_log_softmax: Implementation, inputs: Arguments, hidden: Array, head: Array
) -> Claim:
    """With a cutoff of V - 1 the last word is alone in its tail: it has the whole probability of the tail's entry."""
    return closely(adaptive_log_softmax(**inputs)[:, -1], log_softmax(asbounded(hidden) @ head)[:, -1])


@fault(
    adaptive_log_softmax,
    breaks=a_tail_of_one_word_gives_it_all_of_its_mass,
    kind="boundary",
    repair="V - 1 is the last cutoff that leaves a word.",
    seen="https://github.com/pytorch/pytorch/issues/16658",
)
def knows_no_tail_of_one_word(cutoffs: tuple[int, ...], **weights: Any) -> Array:
    """A cutoff of V - 1 is taken to be out of range: refused, or, as here, ignored, so that the last word is never
    likely.
    """
    logs = all_logs(cutoffs, **weights)
    alone = cutoffs[-1] - 1 in cutoffs
    return np.where(alone & (np.arange(cutoffs[-1]) == cutoffs[-1] - 1), -100.0, logs)


@law(inputs=score_tables())
def entries_that_are_log_sums_give_the_full_softmax(
    adaptive_log_softmax: Implementation, scores: Array, cutoffs: tuple[int, ...]
) -> Claim:
    """Where the entry of each tail is the logarithm of the sum of its words' exponentials, cutting the vocabulary
    changes nothing.
    """
    rows = len(scores)
    tails = tuple(scores[:, low:high] for low, high in pairwise(cutoffs))
    entries = [_log_sum(asbounded(tail)) for tail in tails]
    identity = np.eye(rows, dtype=scores.dtype)  # each row of hidden picks its row of scores
    cut = adaptive_log_softmax(
        hidden=identity,
        head=np.concatenate([asbounded(scores[:, : cutoffs[0]]), *entries], axis=1),
        tail_projections=(identity,) * len(tails),
        tail_outputs=tails,
        cutoffs=cutoffs,
    )
    return closely(cut, log_softmax(asbounded(scores)))


@fault(
    adaptive_log_softmax,
    breaks=(
        probabilities_over_the_whole_vocabulary_sum_to_one,
        each_tail_weighs_what_its_head_entry_says,
        entries_that_are_log_sums_give_the_full_softmax,
    ),
    kind="formula",
    repair="Add the log-probability of the tail's entry.",
)
def leaves_out_the_mass_of_the_tail(cutoffs: tuple[int, ...], **weights: Any) -> Array:
    """Words of a tail get their probability within the tail."""
    top, tails = cluster_logs(**weights)
    return np.concatenate([top[:, : cutoffs[0]], *tails], axis=1)


def _distribution_cost(N: int, H: int, V: int) -> Cost:
    """All tails for every row; the distribution is written."""
    cost = tail_cost(N, H, V, (1, 1))
    return Cost(flops=cost.flops, moved=cost.moved + N * V)


def _distribution_cost_backward(N: int, H: int, V: int) -> Cost:
    """Two more products for each; the distribution has a gradient as large, which is read."""
    cost = _distribution_cost(N, H, V)
    return Cost(flops=3 * cost.flops, moved=2 * cost.moved)


@workload(
    adaptive_log_softmax,
    sizes={"N": 1024, "H": 512, "V": 50_000},
    cost=_distribution_cost,
    backward=_distribution_cost_backward,
    gradient=True,
)
def whole_distribution(random: np.random.Generator, N: int, H: int, V: int) -> Arguments:
    """The log-probabilities of all 50,000 words after each of 1,024, with the clusters of `adaptive_loss`."""
    return {"hidden": random.standard_normal((N, H)), **layer_weights(random, H, V)}
