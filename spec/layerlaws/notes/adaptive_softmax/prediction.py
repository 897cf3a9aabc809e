"""The likeliest of all words: adaptive_softmax_predict."""

from __future__ import annotations

from typing import Any

import numpy as np

from layerlaws.language import (
    STEEPNESS,
    Arguments,
    Array,
    Claim,
    Format,
    Ids,
    Implementation,
    asbounded,
    at_most,
    exactly,
    far_below,
    fault,
    law,
    one_hot,
    operation,
    seeds,
    two_factors,
    workload,
    zipf,
)
from layerlaws.language import strategies as st
from layerlaws.notes.adaptive_softmax.clusters import (
    all_logs,
    at,
    cluster_logs,
    layer_weights,
    layers,
    tail_cost,
)
from layerlaws.notes.adaptive_softmax.distribution import adaptive_log_softmax


@st.composite
def clear_layers(draw: st.DrawFn, tails: tuple[int, int] = (1, 3)) -> Arguments:
    """Each score is one weight, and one in each row of weights stands out: rounding orders no two candidates."""
    drawn = draw(layers(textures=("normal",), tails=tails))
    generator = np.random.default_rng(draw(seeds))

    def picked(x: Array) -> Array:
        return one_hot(generator.integers(x.shape[1], size=len(x)), x.shape[1])

    return {
        **drawn,
        "hidden": picked(drawn["hidden"]),
        "head": drawn["head"] / 4 + 2 * picked(drawn["head"]),
        "tail_projections": tuple(map(picked, drawn["tail_projections"])),
        "tail_outputs": tuple(x / 4 + 2 * picked(x) for x in drawn["tail_outputs"]),
    }


@operation(inputs=clear_layers(), batch=("hidden",))
def adaptive_softmax_predict(
    hidden: Array,
    head: Array,
    tail_projections: tuple[Array, ...],
    tail_outputs: tuple[Array, ...],
    cutoffs: tuple[int, ...],
) -> Ids:
    """The word of the largest p, in each row.

    hidden (N, H), head (H, c0 + J), tail_projections J of (H, h_j), tail_outputs J of (h_j, c_{j+1} - c_j),
    cutoffs (c0, c1, ..., V)  ->  (N,) ids
    """
    return np.argmax(adaptive_log_softmax(hidden, head, tail_projections, tail_outputs, cutoffs), axis=1)


@law(inputs=layers())
def no_word_is_likelier_than_the_predicted_one(
    adaptive_softmax_predict: Implementation, adaptive_log_softmax: Implementation, inputs: Arguments
) -> Claim:
    """Erratum. The predicted word is the likeliest of all, whichever cluster is: entering the likeliest cluster and
    looking no further does not find it.
    """
    predicted = adaptive_softmax_predict.results(**inputs)  # without its definition, which does not decide near ties
    logs = adaptive_log_softmax.definition(**inputs)
    return at_most(logs, np.broadcast_to(at(logs, predicted)[:, None], logs.shape))


@fault(
    adaptive_softmax_predict,
    breaks=no_word_is_likelier_than_the_predicted_one,
    kind="formula",
    repair="Look into the tails, too.",
)
def predicts_from_the_shortlist(cutoffs: tuple[int, ...], **weights: Any) -> Ids:
    """Only words of the short list are ever predicted."""
    top, _ = cluster_logs(**weights)
    return np.argmax(top[:, : cutoffs[0]], axis=1)


@fault(
    adaptive_softmax_predict,
    breaks=no_word_is_likelier_than_the_predicted_one,
    kind="formula",
    repair="Compare it with the words of all other clusters.",
)
def enters_the_likeliest_cluster(cutoffs: tuple[int, ...], **weights: Any) -> Ids:
    """Where the best entry of the head is a tail, the best word of that tail is predicted, though its share of the
    mass may be small.
    """
    top, tails = cluster_logs(**weights)
    best = np.argmax(top, axis=1)
    word = best
    for j, tail in enumerate(tails):
        word = np.where(best == cutoffs[0] + j, cutoffs[j] + np.argmax(tail, axis=1), word)
    return word


@law(inputs=clear_layers(tails=(0, 0)))
def without_tails_the_highest_score_is_predicted(
    adaptive_softmax_predict: Implementation, inputs: Arguments, hidden: Array, head: Array
) -> Claim:
    """With (V,) for cutoffs the word with the highest score of the head is predicted, the last one included."""
    return exactly(adaptive_softmax_predict(**inputs), np.argmax(asbounded(hidden) @ head, axis=1))


@fault(
    adaptive_softmax_predict,
    breaks=without_tails_the_highest_score_is_predicted,
    kind="boundary",
    repair="Take the short list from cutoffs.",
)
def takes_the_last_word_for_a_tail(cutoffs: tuple[int, ...], **weights: Any) -> Ids:
    """Without tails the last column of the head still counts as the entry of one."""
    logs = all_logs(cutoffs, **weights)
    return np.argmax(logs if len(cutoffs) > 1 else logs[:, : max(cutoffs[0] - 1, 1)], axis=1)


@law(inputs=clear_layers(), steepness=STEEPNESS, examples=40)
def the_likeliest_word_may_have_a_score_far_below_zero(
    adaptive_softmax_predict: Implementation, inputs: Arguments, steepness: int, format: Format
) -> Claim:
    """Where all scores, of the head and within each tail, lie far below zero, the highest of them still wins."""
    asked, held = two_factors(max(far_below(format, steepness) / 512, 64.0))  # what the definition still tells apart

    def lowered(x: Array) -> Array:
        """-held where a row is greatest, -2 held elsewhere."""
        return np.where(one_hot(np.argmax(x, axis=1), x.shape[1]) > 0, -held, -2 * held).astype(x.dtype)

    far = {
        **inputs,
        "hidden": inputs["hidden"] * np.asarray(asked, inputs["hidden"].dtype),
        "head": lowered(inputs["head"]),
        "tail_outputs": tuple(map(lowered, inputs["tail_outputs"])),
    }
    return exactly(adaptive_softmax_predict(**far), adaptive_softmax_predict.definition(**far))


@fault(
    adaptive_softmax_predict,
    breaks=the_likeliest_word_may_have_a_score_far_below_zero,
    kind="precision",
    repair="Start from minus infinity, or from the first score.",
)
def looks_for_the_likeliest_word_from_a_number_on(cutoffs: tuple[int, ...], **weights: Any) -> Ids:
    """The running maximum starts at -1e6 with word 0: where all scores lie below, word 0 stays."""
    top, _ = cluster_logs(**weights, normalize=lambda scores: scores)
    logs = all_logs(cutoffs, **weights)
    return np.where(np.max(top, axis=1) < -1e6, 0, np.argmax(logs, axis=1))


@workload(
    adaptive_softmax_predict, sizes={"N": 1024, "H": 512, "V": 50_000}, cost=lambda N, H, V: tail_cost(N, H, V, (0, 0))
)
def likeliest_words(random: np.random.Generator, N: int, H: int, V: int) -> Arguments:
    """The likeliest of 50,000 words after each of 1,024, with the clusters of `adaptive_loss`; each state asks for a
    word of the short list, clearly, as those of a trained model mostly do.
    """
    weights = layer_weights(random, H, V)
    asked = weights["head"][:, zipf(random, (N,), weights["cutoffs"][0])].T
    return {"hidden": random.standard_normal((N, H)) + 16 * asked, **weights}
