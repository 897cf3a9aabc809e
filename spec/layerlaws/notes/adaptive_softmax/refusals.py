"""What distribution, loss and prediction all refuse: cutoffs, heads and tails that do not fit each other."""

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
    fault,
    law,
    refused,
)
from layerlaws.notes.adaptive_softmax.clusters import (
    all_logs,
    inputs_of,
    targeted,
)
from layerlaws.notes.adaptive_softmax.distribution import adaptive_log_softmax
from layerlaws.notes.adaptive_softmax.prediction import adaptive_softmax_predict


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

    They mean nothing: words are in the order of their frequency, the head holds the most frequent ones (Grave et al.
    2017, section 4), and a cluster without words has no distribution over its words.
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
            refused(f, "cutoffs", {**inputs_of(f, inputs), **change})
            for f in (adaptive_softmax_loss, adaptive_log_softmax, adaptive_softmax_predict)
            for change in changes
        )
    )


@fault(
    adaptive_log_softmax,
    breaks=cutoffs_that_do_not_increase_are_refused,
    kind="refusal",
    repair="Refuse it.",
)
def accepts_an_empty_shortlist(cutoffs: tuple[int, ...], **weights: Any) -> Array:
    """A first cutoff of 0 is taken, and the most frequent words go through a tail."""
    return all_logs(cutoffs, **weights)


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
            refused(f, "head", {**inputs_of(f, inputs), "head": other})
            for f in (adaptive_softmax_loss, adaptive_log_softmax, adaptive_softmax_predict)
            for other in (np.concatenate([head, head[:, :1]], axis=1), head[:, 1:])
        )
    )


@fault(
    adaptive_log_softmax,
    breaks=a_head_without_one_entry_for_each_tail_is_refused,
    kind="refusal",
    repair="Compare head with cutoffs.",
)
def ignores_surplus_entries(cutoffs: tuple[int, ...], **weights: Any) -> Array:
    """Columns of the head beyond the tails' take probability that no word gets."""
    return all_logs(cutoffs, **weights)


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
            refused(f, name, {**inputs_of(f, inputs), name: other})
            for f in (adaptive_softmax_loss, adaptive_log_softmax, adaptive_softmax_predict)
            for name, other in wrong
        )
    )


@fault(
    adaptive_softmax_predict,
    breaks=tails_that_do_not_fit_are_refused,
    kind="refusal",
    repair="Compare its outputs with cutoffs.",
)
def predicts_words_beyond_the_vocabulary(cutoffs: tuple[int, ...], **weights: Any) -> Ids:
    """A tail with too many words is taken as it is."""
    return np.argmax(all_logs(cutoffs, **weights), axis=1)
