"""The gradient of the loss by the logits: softmax minus smoothed labels."""

from __future__ import annotations

import numpy as np

from layerlaws.language import (
    Arguments,
    Array,
    Claim,
    Ids,
    Implementation,
    asbounded,
    closely,
    fault,
    law,
    softmax,
    straight_through,
)
from layerlaws.notes.label_smoothing.cross_entropy import (
    equal_logits_cost_the_log_of_the_classes,
    label_smoothed_cross_entropy,
    log_labels_as_logits_cost_their_entropy,
    loss_terms,
    mean_over_kept,
    smoothed,
)
from layerlaws.notes.label_smoothing.ignored_rows import gradient_reaches_the_kept_rows_and_no_others


def loss_gradient(label_smoothed_cross_entropy: Implementation, inputs: Arguments) -> Array:
    """The backend's gradient by the logits, with its bound. (N, K)."""
    one = np.ones((), inputs["logits"].dtype)
    return label_smoothed_cross_entropy.compare_gradient(one, **inputs)[0]["logits"]


@law(needs=["gradient"])
def the_gradient_is_softmax_minus_smoothed_labels(
    label_smoothed_cross_entropy: Implementation, inputs: Arguments
) -> Claim:
    """By the logits the gradient is (softmax - q') / rows in each kept row."""
    kept = inputs["targets"] != inputs["ignore_index"]
    slope = (softmax(asbounded(inputs["logits"])) - smoothed(inputs)) / int(kept.sum())
    return closely(loss_gradient(label_smoothed_cross_entropy, inputs), np.where(kept[:, None], slope, 0.0))


@fault(
    label_smoothed_cross_entropy,
    breaks=(gradient_reaches_the_kept_rows_and_no_others, the_gradient_is_softmax_minus_smoothed_labels),
    kind="gradient",
    repair="Mask it as well.",
)
def the_backward_pass_forgets_the_mask(logits: Array, targets: Ids, smoothing: float, ignore_index: int) -> Array:
    """The loss is right, and its gradient is written by hand for all rows, the ignored ones too."""
    right, uniform, kept = loss_terms(logits, targets, smoothing, ignore_index)
    every = np.sum((1.0 - smoothing) * right + smoothing * uniform) / max(int(kept.sum()), 1)
    return straight_through(label_smoothed_cross_entropy(logits, targets, smoothing, ignore_index), every)


@fault(
    label_smoothed_cross_entropy,
    breaks=(
        equal_logits_cost_the_log_of_the_classes,
        log_labels_as_logits_cost_their_entropy,
        the_gradient_is_softmax_minus_smoothed_labels,
    ),
    kind="scale",
    repair="Take as much as is given.",
    seen="https://github.com/fastai/fastai/pull/1814",
)
def smooths_by_two_different_shares(logits: Array, targets: Ids, smoothing: float, ignore_index: int) -> Array:
    """The right class loses eps K / (K - 1), and all together gain eps."""
    right, uniform, kept = loss_terms(logits, targets, smoothing, ignore_index)
    classes = logits.shape[1]
    return mean_over_kept((1.0 - smoothing * classes / max(classes - 1, 1)) * right + smoothing * uniform, kept)


@law(needs=["gradient"])
def the_gradient_of_each_row_sums_to_0(label_smoothed_cross_entropy: Implementation, inputs: Arguments) -> Claim:
    """Softmax and q' both sum to 1, so a row's gradient sums to 0: no constant in the logits is learned."""
    gradient = loss_gradient(label_smoothed_cross_entropy, inputs)
    return closely(gradient[:, 1:].sum(axis=1), -gradient[:, 0])


@fault(
    label_smoothed_cross_entropy,
    breaks=the_gradient_of_each_row_sums_to_0,
    kind="gradient",
    repair="Detach it in both, or in neither.",
)
def takes_the_highest_logit_for_a_constant(logits: Array, targets: Ids, smoothing: float, ignore_index: int) -> Array:
    """What is subtracted before exp is detached in one place and added back in another, where it is not."""
    right, uniform, kept = loss_terms(logits, targets, smoothing, ignore_index)
    rows = (1.0 - smoothing) * right + smoothing * uniform
    highest = np.max(logits, axis=1)
    return mean_over_kept(straight_through(rows, rows + highest), kept)
