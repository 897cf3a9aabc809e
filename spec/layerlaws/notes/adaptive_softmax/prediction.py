"""TODO-TITLE prediction."""

from __future__ import annotations

from typing import Any

import numpy as np

from layerlaws.language import (
    PLAIN,
    Arguments,
    Array,
    Claim,
    Ids,
    Implementation,
    all_of,
    asbounded,
    at_most,
    exactly,
    fault,
    law,
    one_hot,
    operation,
    refused,
    seeds,
    workload,
    zipf,
)
from layerlaws.language import strategies as st
from layerlaws.notes.adaptive_softmax.distribution import adaptive_log_softmax
from layerlaws.notes.adaptive_softmax.shared import (
    _at,
    _distribution,
    _for,
    _parts,
    _weights,
    layers,
    tail_cost,
    targeted,
)


@st.composite
def clear_layers(draw: st.DrawFn, tails: tuple[int, int] = (1, 3)) -> Arguments:
    """Each score is one weight, and one in each row of weights stands out: rounding orders no two candidates."""
    drawn = draw(layers(textures=("normal",), tails=tails))
    generator = np.random.default_rng(draw(seeds))

    def picked(x: Array) -> Any:
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
    tail_projections: tuple[Any, ...],
    tail_outputs: tuple[Any, ...],
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
    return at_most(logs, np.broadcast_to(_at(logs, predicted)[:, None], logs.shape))


@fault(
    adaptive_softmax_predict,
    breaks=no_word_is_likelier_than_the_predicted_one,
    kind="formula",
    repair="Look into the tails, too.",
)
def predicts_from_the_shortlist(cutoffs: Array, **weights: Any) -> Ids:
    """Only words of the short list are ever predicted."""
    top, _ = _parts(**weights)
    return np.argmax(top[:, : cutoffs[0]], axis=1)


@fault(
    adaptive_softmax_predict,
    breaks=no_word_is_likelier_than_the_predicted_one,
    kind="formula",
    repair="Compare it with the words of all other clusters.",
)
def enters_the_likeliest_cluster(cutoffs: Array, **weights: Any) -> Ids:
    """Where the best entry of the head is a tail, the best word of that tail is predicted, though its share of the
    mass may be small.
    """
    top, tails = _parts(**weights)
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
def takes_the_last_word_for_a_tail(cutoffs: Array, **weights: Any) -> Ids:
    """Without tails the last column of the head still counts as the entry of one."""
    logs = _distribution(cutoffs, **weights)
    return np.argmax(logs if len(cutoffs) > 1 else logs[:, : max(cutoffs[0] - 1, 1)], axis=1)


@law(inputs=targeted(textures=PLAIN), examples=20)
def cutoffs_that_do_not_increase_are_refused(
    adaptive_softmax_loss: Implementation,
    adaptive_log_softmax: Implementation,
    adaptive_softmax_predict: Implementation,
    inputs: Arguments,
    head: Array,
    cutoffs: tuple[int, ...],
) -> Claim:
    """No cutoffs, an empty short list, an empty tail, even where the weights fit them, and clusters out of order are
    refused.
    """
    inputs = {**inputs, "targets": np.zeros_like(inputs["targets"])}
    first, *rest = cutoffs
    projections, outputs = inputs["tail_projections"], inputs["tail_outputs"]
    no_shortlist = {"head": head[:, first:], "cutoffs": (0, *(c - first for c in rest))}
    empty_tail = {
        "head": np.concatenate([head, head[:, -1:]], axis=1),
        "tail_projections": (*projections, projections[-1]),
        "tail_outputs": (*outputs, outputs[-1][:, :0]),
        "cutoffs": (*cutoffs, cutoffs[-1]),
    }
    changes = (no_shortlist, empty_tail, {"cutoffs": cutoffs[::-1]}, {"cutoffs": ()})
    return all_of(
        *(
            refused(f, "cutoffs", {**_for(f, inputs), **change})
            for f in (adaptive_softmax_loss, adaptive_log_softmax, adaptive_softmax_predict)
            for change in changes
        )
    )


@fault(
    adaptive_log_softmax,
    breaks=cutoffs_that_do_not_increase_are_refused,
    kind="boundary",
    repair="Refuse it.",
)
def accepts_an_empty_shortlist(cutoffs: Array, **weights: Any) -> Array:
    """A first cutoff of 0 is taken, and the most frequent words go through a tail."""
    return _distribution(cutoffs, **weights)


@law(inputs=targeted(textures=PLAIN), examples=20)
def a_head_without_one_entry_for_each_tail_is_refused(
    adaptive_softmax_loss: Implementation,
    adaptive_log_softmax: Implementation,
    adaptive_softmax_predict: Implementation,
    inputs: Arguments,
    head: Array,
) -> Claim:
    """A head of more or fewer than c0 + J columns is refused."""
    return all_of(
        *(
            refused(f, "head", {**_for(f, inputs), "head": other})
            for f in (adaptive_softmax_loss, adaptive_log_softmax, adaptive_softmax_predict)
            for other in (np.concatenate([head, head[:, :1]], axis=1), head[:, 1:])
        )
    )


@fault(
    adaptive_log_softmax,
    breaks=a_head_without_one_entry_for_each_tail_is_refused,
    kind="formula",
    repair="Compare head with cutoffs.",
)
def ignores_surplus_entries(cutoffs: Array, **weights: Any) -> Array:
    """Columns of the head beyond the tails' take probability that no word gets."""
    return _distribution(cutoffs, **weights)


@law(inputs=targeted(textures=PLAIN), examples=20)
def tails_that_do_not_fit_are_refused(
    adaptive_softmax_loss: Implementation,
    adaptive_log_softmax: Implementation,
    adaptive_softmax_predict: Implementation,
    inputs: Arguments,
) -> Claim:
    """A tail with a word too many, a projection of another width, and a tail too many or too few are refused."""
    projections, outputs = inputs["tail_projections"], inputs["tail_outputs"]
    surplus_word = (*outputs[:-1], np.concatenate([outputs[-1], outputs[-1][:, :1]], axis=1))
    surplus_width = (*projections[:-1], np.concatenate([projections[-1], projections[-1][:1]]))
    wrong = (
        ("tail_outputs", surplus_word),
        ("tail_projections", surplus_width),
        ("tail_outputs", (*outputs, outputs[-1])),
        ("tail_outputs", outputs[:-1]),
        ("tail_projections", (*projections, projections[-1])),
        ("tail_projections", projections[:-1]),
    )
    return all_of(
        *(
            refused(f, name, {**_for(f, inputs), name: other})
            for f in (adaptive_softmax_loss, adaptive_log_softmax, adaptive_softmax_predict)
            for name, other in wrong
        )
    )


@fault(
    adaptive_softmax_predict,
    breaks=tails_that_do_not_fit_are_refused,
    kind="formula",
    repair="Compare its outputs with cutoffs.",
)
def predicts_words_beyond_the_vocabulary(cutoffs: Array, **weights: Any) -> Ids:
    """A tail with too many words is taken as it is."""
    return np.argmax(_distribution(cutoffs, **weights), axis=1)


@workload(
    adaptive_softmax_predict, sizes={"N": 1024, "H": 512, "V": 50_000}, cost=lambda N, H, V: tail_cost(N, H, V, (0, 0))
)
def likeliest_words(random: np.random.Generator, N: int, H: int, V: int) -> Arguments:
    """The likeliest of 50,000 words after each of 1,024, with the clusters of `adaptive_loss`; each state asks for a
    word of the short list, clearly, as those of a trained model mostly do.
    """
    weights = _weights(random, H, V)
    asked = weights["head"][:, zipf(random, (N,), weights["cutoffs"][0])].T
    return {"hidden": random.standard_normal((N, H)) + 16 * asked, **weights}
