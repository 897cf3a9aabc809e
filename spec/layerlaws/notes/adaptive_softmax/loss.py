"""The negative log-probability of a target, from the head and its cluster alone: adaptive_softmax_loss."""

from __future__ import annotations

from typing import Any

import numpy as np

from layerlaws.language import (
    PLAIN,
    STEEPNESS,
    Arguments,
    Array,
    Claim,
    Cost,
    Format,
    Headline,
    Ids,
    Implementation,
    all_of,
    answers_as,
    asbounded,
    closely,
    constant,
    exactly,
    far_below,
    fault,
    ids_within,
    keys_with_scores,
    law,
    log_softmax,
    log_softmax_from,
    matrix,
    normal,
    one_hot,
    operation,
    refused,
    require,
    seeds,
    softmax,
    two_factors,
    workload,
    zipf,
)
from layerlaws.language import strategies as st
from layerlaws.notes.adaptive_softmax.clusters import (
    all_logs,
    at,
    cluster_logs,
    cutoffs_of,
    inputs_of,
    joined,
    layer_weights,
    tail_cost,
    targeted,
)
from layerlaws.notes.adaptive_softmax.distribution import adaptive_log_softmax, leaves_out_the_mass_of_the_tail


@st.composite
def extreme_layers(draw: st.DrawFn) -> Arguments:
    """All scores of the head and of the tails are 1e4 or -1e4."""
    drawn = draw(targeted(textures=("one-hot",)))
    signs = draw(st.sampled_from([(-1,), (1,), (-1, 1)]))
    generator = np.random.default_rng(draw(seeds))

    def score(x: Array) -> Array:
        return generator.choice(signs, x.shape) * 100.0

    return {
        **drawn,
        "hidden": drawn["hidden"] * 100,
        "head": score(drawn["head"]),
        "tail_outputs": tuple(map(score, drawn["tail_outputs"])),
    }


@operation(inputs=targeted(), batch=("hidden", "targets"), differentiable=True)
def adaptive_softmax_loss(
    hidden: Array,
    head: Array,
    tail_projections: tuple[Array, ...],
    tail_outputs: tuple[Array, ...],
    cutoffs: tuple[int, ...],
    targets: Ids,
) -> Array:
    """-log p(targets[n]) of each row.

    hidden (N, H), head (H, c0 + J), tail_projections J of (H, h_j), tail_outputs J of (h_j, c_{j+1} - c_j),
    cutoffs (c0, c1, ..., V), targets (N,) ids  ->  (N,)
    """
    logs = adaptive_log_softmax(hidden, head, tail_projections, tail_outputs, cutoffs)
    require(targets.shape == (hidden.shape[0],), f"targets has shape {targets.shape}, expected {(hidden.shape[0],)}")
    ids_within(targets, cutoffs[-1], "targets")
    return -at(logs, targets)


@law(inputs=targeted(tails=(0, 0)))
def without_tails_it_is_the_plain_softmax(
    adaptive_log_softmax: Implementation,
    adaptive_softmax_loss: Implementation,
    inputs: Arguments,
    hidden: Array,
    head: Array,
    targets: Ids,
) -> Claim:
    """With (V,) for cutoffs, log-probabilities and loss are those of a softmax over all words."""
    expected = log_softmax(asbounded(hidden) @ head)
    return all_of(
        closely(adaptive_log_softmax(**inputs_of(adaptive_log_softmax, inputs)), expected),
        closely(adaptive_softmax_loss(**inputs), -at(expected, targets)),
    )


@fault(
    adaptive_log_softmax,
    breaks=without_tails_it_is_the_plain_softmax,
    kind="boundary",
    repair="Take the log_softmax first.",
)
def returns_scores_where_there_are_no_tails(cutoffs: tuple[int, ...], **weights: Any) -> Array:
    """A short cut for a head without tails leaves before it has normalized."""
    return all_logs(cutoffs, **weights) if len(cutoffs) > 1 else weights["hidden"] @ weights["head"]


def _leveled(inputs: Arguments, asked: float, held: float) -> Arguments:
    """Layers that give every word, in the head and in its tail, the score -asked held."""
    return {
        **inputs,
        "hidden": keys_with_scores(inputs["hidden"], asked),
        "head": np.full_like(inputs["head"], -held),
        "tail_projections": tuple(keys_with_scores(x, 1.0) for x in inputs["tail_projections"]),
        "tail_outputs": tuple(np.full_like(x, -held) for x in inputs["tail_outputs"]),
    }


@law(inputs=targeted(), steepness=STEEPNESS, examples=40)
def words_with_equal_scores_share_alike_however_low_these_are(
    adaptive_log_softmax: Implementation,
    adaptive_softmax_loss: Implementation,
    inputs: Arguments,
    steepness: int,
    format: Format,
) -> Claim:
    """Where all scores of the head are equal, and all of each tail, words share its mass alike, and scores may lie as
    far below zero as the format bears.
    """
    far = _leveled(inputs, *two_factors(far_below(format, steepness)))
    near = {**far, "hidden": np.zeros_like(inputs["hidden"])}
    operations = (adaptive_log_softmax, adaptive_softmax_loss)
    return all_of(*(answers_as(f, inputs_of(f, far), inputs_of(f, near)) for f in operations))


@fault(
    adaptive_log_softmax,
    breaks=words_with_equal_scores_share_alike_however_low_these_are,
    kind="precision",
    repair="Start from minus infinity, or from the first score.",
)
def starts_the_highest_score_at_a_number(cutoffs: tuple[int, ...], **weights: Any) -> Array:
    """The running maximum starts at -1e9: where all scores lie below, the log of no exponential is infinite."""
    return all_logs(cutoffs, **weights, normalize=lambda scores: log_softmax_from(scores, -1e9))


@fault(
    adaptive_softmax_loss,
    breaks=words_with_equal_scores_share_alike_however_low_these_are,
    kind="precision",
    repair="Start from minus infinity, or from the first score.",
)
def starts_the_likeliest_word_at_a_number(cutoffs: tuple[int, ...], targets: Ids, **weights: Any) -> Array:
    """The running maximum starts at -1e9: where all scores lie below, the log of no exponential is infinite."""
    ids_within(targets, cutoffs[-1], "targets")
    return -at(all_logs(cutoffs, **weights, normalize=lambda scores: log_softmax_from(scores, -1e9)), targets)


@law(inputs=extreme_layers())
def extreme_scores_give_finite_log_probabilities(
    adaptive_log_softmax: Implementation, adaptive_softmax_loss: Implementation, inputs: Arguments
) -> Claim:
    """Where all scores are 1e4 or -1e4, every log-probability and every loss is finite."""
    finite = [
        np.isfinite(x.value)
        for x in (adaptive_log_softmax(**inputs_of(adaptive_log_softmax, inputs)), adaptive_softmax_loss(**inputs))
    ]
    return all_of(*(exactly(x, np.ones_like(x)) for x in finite))


@fault(
    adaptive_log_softmax,
    breaks=extreme_scores_give_finite_log_probabilities,
    kind="precision",
    repair="Use log_softmax.",
    seen="https://github.com/deeplearning4j/deeplearning4j/issues/785",
)
def takes_the_log_of_a_softmax(cutoffs: tuple[int, ...], **weights: Any) -> Array:
    """Probabilities underflow to 0 before the logarithm is taken."""
    return all_logs(cutoffs, **weights, normalize=lambda scores: np.log(softmax(scores)))


@fault(
    adaptive_log_softmax,
    breaks=extreme_scores_give_finite_log_probabilities,
    kind="precision",
    repair="Subtract the highest score of the row first.",
    seen="https://github.com/dwavesystems/dwave-optimization/issues/555",
)
def subtracts_no_maximum(cutoffs: tuple[int, ...], **weights: Any) -> Array:
    """exp overflows at scores of a few hundred."""

    def normalize(scores: Array) -> Array:
        return scores - np.log(np.sum(np.exp(scores), axis=1, keepdims=True))

    return all_logs(cutoffs, **weights, normalize=normalize)


@fault(
    adaptive_log_softmax,
    breaks=extreme_scores_give_finite_log_probabilities,
    kind="precision",
    repair="Subtract the maximum as it is.",
    seen="https://github.com/PaddlePaddle/Paddle/pull/21165",
)
def clamps_the_maximum(cutoffs: tuple[int, ...], **weights: Any) -> Array:
    """The maximum that is subtracted is at least -64, so that where all scores are far below it every exponential is
    0.
    """

    def normalize(scores: Array) -> Array:
        shifted = scores - np.maximum(np.max(scores, axis=1, keepdims=True), -64.0)
        return shifted - np.log(np.sum(np.exp(shifted), axis=1, keepdims=True))

    return all_logs(cutoffs, **weights, normalize=normalize)


@law()
def the_loss_is_the_negative_log_probability_of_the_target(
    adaptive_softmax_loss: Implementation, adaptive_log_softmax: Implementation, inputs: Arguments, targets: Ids
) -> Claim:
    """Going through the target's cluster only gives what the distribution over all words has at the target."""
    return closely(
        adaptive_softmax_loss(**inputs), -at(adaptive_log_softmax(**inputs_of(adaptive_log_softmax, inputs)), targets)
    )


@fault(
    adaptive_softmax_loss,
    breaks=the_loss_is_the_negative_log_probability_of_the_target,
    kind="formula",
    repair="Add the loss of the tail's entry in the head.",
)
def loses_the_term_of_the_head(targets: Ids, **layer: Any) -> Array:
    """The loss of a word in a tail is that within the tail."""
    return -at(leaves_out_the_mass_of_the_tail.function(**layer), targets)


@fault(
    adaptive_softmax_loss,
    breaks=the_loss_is_the_negative_log_probability_of_the_target,
    kind="formula",
    repair="Add it once.",
    seen="https://github.com/salesforce/awd-lstm-lm/issues/82",
)
def counts_the_entry_of_the_tail_twice(targets: Ids, cutoffs: tuple[int, ...], **weights: Any) -> Array:
    """The head's loss is added to a log-probability that has it already."""
    top, tails = cluster_logs(**weights)
    once = [top[:, cutoffs[0] + j, None] + tail for j, tail in enumerate(tails)]
    return -at(joined(top, once, cutoffs[0]), targets)


@fault(
    adaptive_softmax_loss,
    breaks=the_loss_is_the_negative_log_probability_of_the_target,
    kind="boundary",
    repair="The short list ends at c0 - 1.",
)
def counts_the_cutoff_to_the_shortlist(targets: Ids, cutoffs: tuple[int, ...], **weights: Any) -> Array:
    """Word c0 is looked up in the head, where the entry of the first tail stands."""
    top, tails = cluster_logs(**weights)
    beyond = min(cutoffs[0], top.shape[1] - 1)  # without tails there is no such column
    return -np.where(targets == cutoffs[0], top[:, beyond], at(joined(top, tails, cutoffs[0]), targets))


@law(seed=seeds)
def losses_of_a_permuted_batch_are_permuted(
    adaptive_softmax_loss: Implementation, inputs: Arguments, hidden: Array, targets: Ids, seed: int
) -> Claim:
    """Rows are gathered by cluster and put back: each loss stands where its row does, in any order of the batch."""
    order = np.random.default_rng(seed).permutation(len(targets))
    permuted = adaptive_softmax_loss(**{**inputs, "hidden": hidden[order], "targets": targets[order]})
    return closely(permuted, adaptive_softmax_loss(**inputs)[order])


@fault(
    adaptive_softmax_loss,
    breaks=(losses_of_a_permuted_batch_are_permuted, "agrees_with_definition"),
    kind="order",
    repair="Put each where its row is.",
)
def returns_losses_by_cluster(targets: Ids, cutoffs: tuple[int, ...], **weights: Any) -> Array:
    """Losses come back cluster by cluster, as they were computed."""
    order = np.argsort(np.searchsorted(cutoffs, targets, side="right"), kind="stable")
    return -at(all_logs(cutoffs, **weights), targets)[order]


def _keeping_to(visited: int, targets: Ids, cutoffs: tuple[int, ...]) -> tuple[Ids, list[int]]:
    """Targets that visit only the tails whose bits are set, never all of them, and the tails they do not visit.

    Targets in other tails are moved to the short list.
    """
    tails = len(cutoffs) - 1
    idle = [j for j in range(tails) if not visited % (2**tails - 1) >> j & 1]
    for j in idle:
        targets = np.where((targets >= cutoffs[j]) & (targets < cutoffs[j + 1]), targets % cutoffs[0], targets)
    return targets, idle


@law(visited=st.integers(0, 6))
def tails_without_targets_may_hold_anything(
    adaptive_softmax_loss: Implementation, inputs: Arguments, cutoffs: tuple[int, ...], visited: int
) -> Claim:
    """A loss reads the head and its target's tail: weights of other tails may be anything, even not a number."""
    targets, idle = _keeping_to(visited, inputs["targets"], cutoffs)
    inputs = {**inputs, "targets": targets}
    spoilt = {
        name: tuple(np.full_like(x, np.nan) if j in idle else x for j, x in enumerate(inputs[name]))
        for name in ("tail_projections", "tail_outputs")
    }
    return closely(adaptive_softmax_loss(**{**inputs, **spoilt}), adaptive_softmax_loss(**inputs))


@fault(
    adaptive_softmax_loss,
    breaks=tails_without_targets_may_hold_anything,
    kind="mask",
    repair="Select rows instead.",
)
def multiplies_losses_by_a_mask(targets: Ids, cutoffs: tuple[int, ...], **weights: Any) -> Array:
    """Every tail is computed for every row, and multiplied by 0 where the target is elsewhere; what is not a number
    survives that.
    """
    top, tails = cluster_logs(**weights)
    cluster = np.searchsorted(cutoffs, targets, side="right")
    loss = -at(top, np.where(cluster == 0, targets, cutoffs[0] + cluster - 1))
    for j, tail in enumerate(tails):
        word = np.clip(targets - cutoffs[j], 0, tail.shape[1] - 1)
        loss = loss - at(tail, word) * (cluster == j + 1).astype(tail.dtype)
    return loss


@law(needs=["gradient"], visited=st.integers(0, 6), seed=seeds)
def tails_without_targets_get_no_gradient(
    adaptive_softmax_loss: Implementation, inputs: Arguments, cutoffs: tuple[int, ...], visited: int, seed: int
) -> Claim:
    """The gradient of the loss by both matrices of a tail that no target is in is exactly 0."""
    targets, idle = _keeping_to(visited, inputs["targets"], cutoffs)
    cotangent = normal(seed, targets.shape, inputs["hidden"])
    gradient = adaptive_softmax_loss.gradient(cotangent, **{**inputs, "targets": targets})
    found = [gradient[name][j] for name in ("tail_projections", "tail_outputs") for j in idle]
    return all_of(*(exactly(x, np.zeros_like(x)) for x in found))


@fault(
    adaptive_softmax_loss,
    breaks=tails_without_targets_get_no_gradient,
    kind="gradient",
    repair="Gather the rows of a tail first.",
)
def trains_every_tail(targets: Ids, cutoffs: tuple[int, ...], **weights: Any) -> Array:
    """The gradient of every tail's first word is let through in every row, whatever the target."""
    top, tails = cluster_logs(**weights)
    loss = -at(joined(top, tails, cutoffs[0]), targets)
    for tail in tails:
        loss = loss + (tail[:, 0] - constant(tail[:, 0]))
    return loss


@law(needs=["gradient"], seed=seeds, examples=50)
def the_gradient_of_the_loss_is_that_of_the_whole_distribution(
    adaptive_softmax_loss: Implementation,
    adaptive_log_softmax: Implementation,
    inputs: Arguments,
    targets: Ids,
    cutoffs: tuple[int, ...],
    seed: int,
) -> Claim:
    """The gradient that visits the targets' clusters only is the one of all log-probabilities, taken at the targets."""
    cotangent = normal(seed, targets.shape, inputs["hidden"])
    chosen = one_hot(targets, cutoffs[-1]).astype(cotangent.dtype)
    sparse, _ = adaptive_softmax_loss.compare_gradient(cotangent, **inputs)
    dense, _ = adaptive_log_softmax.compare_gradient(
        -cotangent[:, None] * chosen, **inputs_of(adaptive_log_softmax, inputs)
    )
    return closely(tuple(sparse.values()), tuple(dense.values()))


@fault(
    adaptive_softmax_loss,
    breaks=(the_gradient_of_the_loss_is_that_of_the_whole_distribution, "gradient_agrees_with_definition"),
    kind="gradient",
    repair="Let the gradient through for targets in tails, too.",
    seen="https://github.com/salesforce/awd-lstm-lm/issues/82",
)
def does_not_train_the_entries_of_the_tails(targets: Ids, cutoffs: tuple[int, ...], **weights: Any) -> Array:
    """The head's part of a tail's loss does not reach the head: the entries stay as they were initialized."""
    top, tails = cluster_logs(**weights)
    parts = [constant(top[:, cutoffs[0] + j, None]) + tail for j, tail in enumerate(tails)]
    return -at(np.concatenate([top[:, : cutoffs[0]], *parts], axis=1), targets)


@law(inputs=targeted(textures=PLAIN), place=st.integers(0, 5), beyond=st.integers(0, 3), examples=20)
def targets_outside_the_vocabulary_are_refused(
    adaptive_softmax_loss: Implementation,
    inputs: Arguments,
    targets: Ids,
    cutoffs: tuple[int, ...],
    place: int,
    beyond: int,
) -> Claim:
    """A target of V or above, or below 0, is refused, wherever it stands."""
    here = np.arange(len(targets)) == place % len(targets)
    high, low = (np.where(here, bad, targets) for bad in (cutoffs[-1] + beyond, -1 - beyond))
    return all_of(*(refused(adaptive_softmax_loss, "targets", {**inputs, "targets": bad}) for bad in (high, low)))


@fault(
    adaptive_softmax_loss,
    breaks=targets_outside_the_vocabulary_are_refused,
    kind="refusal",
    repair="Refuse them.",
)
def wraps_targets_around(targets: Ids, cutoffs: tuple[int, ...], **weights: Any) -> Array:
    """Targets of V and above, or below 0, count from the other end."""
    return -at(all_logs(cutoffs, **weights), targets % cutoffs[-1])


@law(inputs=targeted(textures=PLAIN), examples=20)
def every_row_needs_one_target(adaptive_softmax_loss: Implementation, inputs: Arguments, targets: Ids) -> Claim:
    """More rows than targets, or more targets than rows, are refused."""
    repeated = np.concatenate([targets, targets])
    return all_of(
        refused(adaptive_softmax_loss, "targets", {**inputs, "targets": repeated}),
        refused(adaptive_softmax_loss, "targets", {**inputs, "hidden": np.concatenate([inputs["hidden"]] * 2)}),
    )


@fault(
    adaptive_softmax_loss,
    breaks=every_row_needs_one_target,
    kind="refusal",
    repair="Refuse them.",
)
def takes_as_many_rows_as_targets(targets: Ids, hidden: Array, **weights: Any) -> Array:
    """Rows without a target get no loss, and nobody hears of it."""
    return adaptive_softmax_loss(hidden=hidden[: len(targets)], targets=targets, **weights)


def tail_shares(V: int) -> tuple[float, ...]:
    """The part of all words of a text by Zipf's law that each tail holds."""
    masses = np.cumsum(1 / np.arange(1, V + 1))
    return tuple(np.diff([masses[cut - 1] / masses[-1] for cut in cutoffs_of(V)]))


def _adaptive_cost(N: int, H: int, V: int) -> Cost:
    """A tail is computed for the rows whose targets it holds: as many as Zipf's law has."""
    cost = tail_cost(N, H, V, tail_shares(V))
    return Cost(flops=cost.flops, moved=cost.moved + N)


def _adaptive_cost_backward(N: int, H: int, V: int) -> Cost:
    """Each product has two more; every weight has a gradient."""
    cost = _adaptive_cost(N, H, V)
    return Cost(flops=3 * cost.flops, moved=2 * cost.moved)


@workload(
    adaptive_softmax_loss,
    sizes={"N": 1024, "H": 512, "V": 50_000},
    cost=_adaptive_cost,
    backward=_adaptive_cost_backward,
    grows={"V": (10_000, 25_000, 100_000)},
    gradient=True,
)
def adaptive_loss(random: np.random.Generator, N: int, H: int, V: int) -> Arguments:
    """The loss of 1,024 words of a text by Zipf's law, over 50,000 words in a short list of 2,000 and tails up to
    10,000 and to the end (Grave et al. 2017, sections 4 and 5).
    """
    hidden = random.standard_normal((N, H))
    return {"hidden": hidden, **layer_weights(random, H, V), "targets": zipf(random, (N,), V)}


def _full_cost(N: int, H: int, V: int) -> Cost:
    """One matrix product."""
    return Cost(flops=2 * N * H * V, moved=N * H + H * V + N)


def _full_cost_backward(N: int, H: int, V: int) -> Cost:
    """Two more products; every weight has a gradient."""
    return Cost(flops=6 * N * H * V, moved=2 * (N * H + H * V + N))


@workload(
    adaptive_softmax_loss,
    sizes={"N": 1024, "H": 512, "V": 50_000},
    cost=_full_cost,
    backward=_full_cost_backward,
    grows={"V": (10_000, 25_000, 100_000)},
    gradient=True,
)
def full_loss(random: np.random.Generator, N: int, H: int, V: int) -> Arguments:
    """The same loss without tails, which is that of the full softmax over 50,000 words (Grave et al. 2017, table 1)."""
    return {
        "hidden": random.standard_normal((N, H)),
        "head": matrix(random, H, V),
        "tail_projections": (),
        "tail_outputs": (),
        "cutoffs": (V,),
        "targets": zipf(random, (N,), V),
    }


_PAPER = (
    "Grave et al. 2017, Efficient softmax approximation for GPUs: 2 to 10 times; the title of the article that the"
    " note cites says 1000%"
)


adaptive_against_full_at_10000_words = Headline(
    "Over 10,000 words the adaptive softmax trains 2 to 10 times as fast as the full one.",
    _PAPER,
    fast=adaptive_loss.at(V=10_000),
    slow=full_loss.at(V=10_000),
    gradient=True,
)


adaptive_against_full_at_50000_words = Headline(
    "Over 50,000 words the adaptive softmax trains 2 to 10 times as fast as the full one.",
    _PAPER,
    fast=adaptive_loss,
    slow=full_loss,
    gradient=True,
)


adaptive_against_full_at_250000_words = Headline(
    "Over 250,000 words the adaptive softmax trains 2 to 10 times as fast as the full one.",
    _PAPER + "; with 256 rows, as the full one would hold a gigabyte of scores for 1,024",
    fast=adaptive_loss.at(V=250_000, N=256),
    slow=full_loss.at(V=250_000, N=256),
    gradient=True,
)


adaptive_against_full_forward = Headline(
    "Over 50,000 words the loss of the adaptive softmax is found 2 to 10 times as fast, gradients aside.",
    _PAPER,
    fast=adaptive_loss,
    slow=full_loss,
)
