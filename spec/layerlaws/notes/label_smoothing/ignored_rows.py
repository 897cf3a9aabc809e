"""Rows that the loss ignores: they count nowhere, hold anything and learn nothing."""

from __future__ import annotations

import numpy as np

from layerlaws.language import (
    PLAIN,
    Arguments,
    Array,
    Claim,
    Ids,
    Implementation,
    all_of,
    answers_as,
    closely,
    exactly,
    fault,
    huge,
    law,
)
from layerlaws.notes.label_smoothing.cross_entropy import (
    inner_shares,
    kept_rows,
    label_smoothed_cross_entropy,
    loss_terms,
    mean_over_kept,
    predictions,
)


@law()
def deleting_ignored_rows_changes_nothing(label_smoothed_cross_entropy: Implementation, inputs: Arguments) -> Claim:
    """An ignored row counts in neither term and not in the denominator: the loss is that of the other rows alone."""
    logits, targets = kept_rows(inputs)
    alone = label_smoothed_cross_entropy(**{**inputs, "logits": logits, "targets": targets})
    return closely(label_smoothed_cross_entropy(**inputs), alone)


@fault(
    label_smoothed_cross_entropy,
    breaks=deleting_ignored_rows_changes_nothing,
    kind="scale",
    repair="Divide by the number of the kept.",
    seen="https://github.com/pytorch/pytorch/pull/69511",
)
def divides_by_all_rows(logits: Array, targets: Ids, smoothing: float, ignore_index: int) -> Array:
    """The sum over the kept rows is divided by the number of all."""
    right, uniform, kept = loss_terms(logits, targets, smoothing, ignore_index)
    return np.sum(np.where(kept, (1.0 - smoothing) * right + smoothing * uniform, 0.0)) / len(targets)


@law(examples=20)
def ignored_rows_may_hold_what_is_no_number(label_smoothed_cross_entropy: Implementation, inputs: Arguments) -> Claim:
    """Logits that are not numbers in ignored rows leave the loss as it is."""
    ignored = (inputs["targets"] == inputs["ignore_index"])[:, None]
    nothing = np.asarray(np.nan, inputs["logits"].dtype)
    spoiled = {**inputs, "logits": np.where(ignored, nothing, inputs["logits"])}
    return answers_as(label_smoothed_cross_entropy, spoiled, inputs)


@fault(
    label_smoothed_cross_entropy,
    breaks=ignored_rows_may_hold_what_is_no_number,
    kind="mask",
    repair="Leave ignored rows out.",
)
def multiplies_ignored_rows_by_zero(logits: Array, targets: Ids, smoothing: float, ignore_index: int) -> Array:
    """Losses of ignored rows are multiplied by 0, and 0 times what is not a number is none."""
    right, uniform, kept = loss_terms(logits, targets, smoothing, ignore_index)
    rows = ((1.0 - smoothing) * right + smoothing * uniform) * kept.astype(logits.dtype)
    return np.sum(rows) / max(int(np.sum(kept)), 1)


@law()
def ignored_rows_may_hold_anything(label_smoothed_cross_entropy: Implementation, inputs: Arguments) -> Claim:
    """Huge logits in ignored rows leave the loss as it is."""
    ignored = (inputs["targets"] == inputs["ignore_index"])[:, None]
    sign = np.where(np.arange(inputs["logits"].shape[1]) % 2, -1, 1)
    spoilt = np.where(ignored, (sign * huge(inputs["logits"])).astype(inputs["logits"].dtype), inputs["logits"])
    return closely(label_smoothed_cross_entropy(**{**inputs, "logits": spoilt}), label_smoothed_cross_entropy(**inputs))


plain_predictions = predictions(textures=PLAIN, share=inner_shares)


@law(inputs=plain_predictions, needs=["gradient"])
def gradient_reaches_the_kept_rows_and_no_others(
    label_smoothed_cross_entropy: Implementation, inputs: Arguments
) -> Claim:
    """By Jacobian as by perturbation: the gradient is exactly 0 in ignored rows, and in no other row."""
    kept = inputs["targets"] != inputs["ignore_index"]
    one = np.ones((), inputs["logits"].dtype)
    computed, expected = label_smoothed_cross_entropy.compare_gradient(one, **inputs)
    told = np.abs(expected["logits"].value) > expected["logits"].error
    lost = told & (computed["logits"].value == 0)
    return all_of(
        exactly(computed["logits"].value[~kept], np.zeros_like(inputs["logits"][~kept], float)),
        exactly(lost, np.zeros_like(lost)),
    )


@fault(
    label_smoothed_cross_entropy,
    breaks=(
        deleting_ignored_rows_changes_nothing,
        ignored_rows_may_hold_anything,
        gradient_reaches_the_kept_rows_and_no_others,
    ),
    kind="mask",
    repair="Mask both terms.",
    seen="https://github.com/pytorch/pytorch/issues/73205",
)
def smooths_towards_ignored_rows(logits: Array, targets: Ids, smoothing: float, ignore_index: int) -> Array:
    """The uniform term adds up over all rows, the ignored ones too."""
    right, uniform, kept = loss_terms(logits, targets, smoothing, ignore_index)
    return (1.0 - smoothing) * mean_over_kept(right, kept) + smoothing * np.sum(uniform) / max(int(kept.sum()), 1)


@law(examples=20)
def a_batch_of_ignored_rows_costs_nothing(label_smoothed_cross_entropy: Implementation, inputs: Arguments) -> Claim:
    """Where every row is ignored the loss is 0, so that a batch of padding does not spoil an epoch."""
    nothing = {**inputs, "targets": np.full_like(inputs["targets"], inputs["ignore_index"])}
    return exactly(label_smoothed_cross_entropy(**nothing).value, np.zeros(()))


@law(needs=["gradient"], examples=20)
def a_batch_of_ignored_rows_teaches_nothing(label_smoothed_cross_entropy: Implementation, inputs: Arguments) -> Claim:
    """Where every row is ignored the gradient is 0 as well."""
    nothing = {**inputs, "targets": np.full_like(inputs["targets"], inputs["ignore_index"])}
    gradient = label_smoothed_cross_entropy.gradient(np.ones((), inputs["logits"].dtype), **nothing)["logits"]
    return exactly(gradient, np.zeros_like(gradient))


@fault(
    label_smoothed_cross_entropy,
    breaks=(a_batch_of_ignored_rows_costs_nothing, a_batch_of_ignored_rows_teaches_nothing),
    kind="boundary",
    repair="Divide by 1 at least.",
    seen="https://github.com/pytorch/pytorch/issues/116349",
)
def means_of_nothing(logits: Array, targets: Ids, smoothing: float, ignore_index: int) -> Array:
    """Where all rows are ignored 0 is divided by 0, and the gradient is not a number either."""
    right, uniform, kept = loss_terms(logits, targets, smoothing, ignore_index)
    return np.sum(((1.0 - smoothing) * right + smoothing * uniform) * kept) / np.asarray(kept.sum(), logits.dtype)
