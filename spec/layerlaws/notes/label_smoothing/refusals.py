"""Shares and targets that the loss refuses."""

from __future__ import annotations

import numpy as np

from layerlaws.language import Arguments, Array, Claim, Ids, Implementation, fault, law, refused, rewritten, seeds
from layerlaws.language import strategies as st
from layerlaws.notes.label_smoothing.cross_entropy import label_smoothed_cross_entropy
from layerlaws.notes.label_smoothing.labels import above_all, below_nothing


@law(wrong=below_nothing, examples=20)
def a_loss_cannot_be_smoothed_by_less_than_nothing(
    label_smoothed_cross_entropy: Implementation, inputs: Arguments, wrong: float
) -> Claim:
    """A negative share is refused, and so is what is not a number."""
    return refused(label_smoothed_cross_entropy, "smoothing", {**inputs, "smoothing": wrong})


@law(wrong=above_all, examples=20)
def a_loss_cannot_be_smoothed_by_more_than_all(
    label_smoothed_cross_entropy: Implementation, inputs: Arguments, wrong: float
) -> Claim:
    """A share above 1 is refused."""
    return refused(label_smoothed_cross_entropy, "smoothing", {**inputs, "smoothing": wrong})


@fault(
    label_smoothed_cross_entropy,
    breaks=(a_loss_cannot_be_smoothed_by_less_than_nothing, a_loss_cannot_be_smoothed_by_more_than_all),
    kind="refusal",
    repair="Refuse them.",
)
def smooths_by_any_number(logits: Array, targets: Ids, smoothing: float, ignore_index: int) -> Array:
    """Shares outside [0, 1] are cut off in silence."""
    return label_smoothed_cross_entropy(logits, targets, min(max(smoothing, 0.0), 1.0), ignore_index)


@law(bad=st.sampled_from([-5, -1, 0, 1, 1000]), place=seeds, examples=20)
def targets_that_are_no_class_are_refused(
    label_smoothed_cross_entropy: Implementation, inputs: Arguments, bad: int, place: int
) -> Claim:
    """A target is a class or the ignored index; no other is wrapped around, clipped or ignored."""
    classes, targets = inputs["logits"].shape[1], inputs["targets"]
    wrong = bad if bad < 0 else classes + bad
    spoilt = rewritten(np.where(targets == inputs["ignore_index"], -100, targets), place % len(targets), wrong)
    return refused(label_smoothed_cross_entropy, "targets", {**inputs, "targets": spoilt, "ignore_index": -100})


@fault(
    label_smoothed_cross_entropy,
    breaks=targets_that_are_no_class_are_refused,
    kind="refusal",
    repair="Refuse them.",
)
def wraps_targets(logits: Array, targets: Ids, smoothing: float, ignore_index: int) -> Array:
    """Targets are taken modulo the classes, as negative indices are."""
    wrapped = np.where(targets == ignore_index, ignore_index, targets % logits.shape[1])
    return label_smoothed_cross_entropy(logits, wrapped, smoothing, ignore_index)


@law(examples=20)
def each_row_of_logits_has_one_target(label_smoothed_cross_entropy: Implementation, inputs: Arguments) -> Claim:
    """One target more than there are rows is too many, even for a single row."""
    more = np.concatenate([inputs["targets"], inputs["targets"][:1]])
    return refused(label_smoothed_cross_entropy, "targets", {**inputs, "targets": more})


@fault(
    label_smoothed_cross_entropy,
    breaks=each_row_of_logits_has_one_target,
    kind="refusal",
    repair="Compare the lengths.",
)
def drops_further_targets(logits: Array, targets: Ids, smoothing: float, ignore_index: int) -> Array:
    """Targets beyond the last row are dropped in silence."""
    return label_smoothed_cross_entropy(logits, targets[: len(logits)], smoothing, ignore_index)
