"""TODO-TITLE cross_entropy."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from layerlaws.language import (
    PLAIN,
    TEXTURES,
    Arguments,
    Array,
    Claim,
    Cost,
    Ids,
    Implementation,
    all_of,
    arrays,
    asbounded,
    at_most,
    closely,
    differ,
    exactly,
    extents,
    fault,
    huge,
    ids,
    ids_within,
    law,
    log_softmax,
    one_hot,
    operation,
    refused,
    require,
    rewritten,
    rounded,
    seeds,
    softmax,
    straight_through,
    workload,
    zipf,
)
from layerlaws.language import strategies as st
from layerlaws.notes.label_smoothing.labels import smooth_labels
from layerlaws.notes.label_smoothing.shared import above_all, below_nothing

shares = st.one_of(st.sampled_from([0.0, 0.1, 0.5, 1.0]), st.floats(0, 1))


@st.composite
def predictions(
    draw: st.DrawFn, textures: tuple[str, ...] = tuple(TEXTURES), share: st.SearchStrategy[float] = shares
) -> Arguments:
    """Logits and targets, some of them ignored, one at least not. The ignored index may be a class, as padding is."""
    rows, others = draw(extents(2, edges=(0, 1)))
    classes = others + 1
    ignore_index = draw(st.sampled_from([-100, -1, 0, classes - 1, classes, 255]))
    kept = rewritten(np.random.default_rng(draw(seeds)).random(rows) < 0.7, 0, True)
    targets = draw(ids((rows,), classes))
    targets = np.where(targets == ignore_index, (targets + 1) % classes, targets)
    if classes > 100:  # in half precision some add the log-probabilities of a row up: of that there is a law
        textures = tuple(texture for texture in textures if texture != "spread")
    return {
        "logits": draw(arrays((rows, classes), textures=textures)),
        "targets": np.where(kept, targets, ignore_index)[np.random.default_rng(draw(seeds)).permutation(rows)],
        "smoothing": draw(share),
        "ignore_index": ignore_index,
    }


@operation(inputs=predictions(), differentiable=True)
def label_smoothed_cross_entropy(logits: Array, targets: Ids, smoothing: float, ignore_index: int) -> Array:
    """The mean of -sum(q' log_softmax(logits)) over the rows whose target is not ignore_index; 0 if there are none.

    q' = (1 - smoothing) one_hot(targets) + smoothing / K. logits (N, K), targets (N,) in [0, K) or ignore_index,
    smoothing in [0, 1]  ->  ()
    """
    rows, classes = logits.shape
    require(0 <= smoothing <= 1, f"smoothing is a share in [0, 1], not {smoothing}")
    require(targets.shape == (rows,), f"targets has shape {targets.shape}, logits has {rows} rows")
    kept = targets != ignore_index
    ids_within(targets[kept], classes, "targets")
    log_p = log_softmax(logits)[kept]
    right = np.take_along_axis(log_p, targets[kept][:, None], axis=1)
    # One sum over rows and classes, in any order, to which each row's target is one more term.
    terms = np.concatenate([(1.0 - smoothing) * right, smoothing / classes * log_p], axis=1)
    return -np.sum(terms) / max(int(kept.sum()), 1)


def kept_rows(inputs: Arguments) -> tuple[Any, Any]:
    """Logits and targets of the rows that are not ignored."""
    kept = inputs["targets"] != inputs["ignore_index"]
    return inputs["logits"][kept], inputs["targets"][kept]


@law()
def without_smoothing_it_is_cross_entropy(label_smoothed_cross_entropy: Implementation, inputs: Arguments) -> Claim:
    """A share of 0 gives the mean of -log p of the right class."""
    logits, targets = kept_rows(inputs)
    right = np.take_along_axis(log_softmax(asbounded(logits)), targets[:, None], axis=1)
    return closely(label_smoothed_cross_entropy(**{**inputs, "smoothing": 0.0}), -np.mean(right))


@law()
def the_loss_is_affine_in_the_smoothing(label_smoothed_cross_entropy: Implementation, inputs: Arguments) -> Claim:
    """L(eps) = (1 - eps) L(0) + eps L(1)."""
    none, full = (label_smoothed_cross_entropy(**{**inputs, "smoothing": share}) for share in (0.0, 1.0))
    share = inputs["smoothing"]
    return closely(label_smoothed_cross_entropy(**inputs), (1.0 - share) * none + share * full)


@fault(
    label_smoothed_cross_entropy,
    breaks=the_loss_is_affine_in_the_smoothing,
    kind="formula",
    repair="Smooth once.",
)
def smooths_twice(logits: Array, targets: Ids, smoothing: float, ignore_index: int) -> Array:
    """Labels that are smoothed already are smoothed again by the loss."""
    label_smoothed_cross_entropy(logits, targets, smoothing, ignore_index)
    return label_smoothed_cross_entropy(logits, targets, 1 - (1 - smoothing) ** 2, ignore_index)


@law(seed=seeds)
def full_smoothing_does_not_ask_for_the_targets(
    label_smoothed_cross_entropy: Implementation, inputs: Arguments, seed: int
) -> Claim:
    """With a share of 1 the loss is the same whatever the targets are."""
    classes, targets = inputs["logits"].shape[1], inputs["targets"]
    others = np.random.default_rng(seed).integers(0, classes, targets.shape)
    others = np.where(others == inputs["ignore_index"], (others + 1) % classes, others)
    moved = {**inputs, "targets": np.where(targets == inputs["ignore_index"], targets, others), "smoothing": 1.0}
    return closely(label_smoothed_cross_entropy(**moved), label_smoothed_cross_entropy(**{**inputs, "smoothing": 1.0}))


def smoothed(inputs: Arguments) -> Array:
    """q' of every row, with its bound; an ignored row gets that of class 0. (N, K)."""
    logits, targets = inputs["logits"], inputs["targets"]
    known = np.where(targets == inputs["ignore_index"], 0, targets)
    hot = one_hot(known, logits.shape[1]).astype(logits.dtype)
    return smooth_labels(asbounded(hot), inputs["smoothing"])


def entropy(inputs: Arguments) -> Array:
    """-sum(q' log q') of one row; 0 log 0 is 0."""
    row = smoothed(inputs)[0]
    some = row.value > 0
    return -np.sum(np.where(some, row * np.log(np.where(some, row, 1.0)), 0.0))


@law()
def the_loss_is_at_least_the_entropy_of_the_labels(
    label_smoothed_cross_entropy: Implementation, inputs: Arguments
) -> Claim:
    """No logits cost less than the entropy of q', which is that of any smoothed one-hot label."""
    return at_most(entropy(inputs), label_smoothed_cross_entropy(**inputs))


def _terms(logits: Array, targets: Ids, smoothing: float, ignore_index: int) -> tuple[Any, Any, Any]:
    """-log p of the target and its mean over the classes, of all rows, and which of them count.

    Refuses what the definition refuses.
    """
    label_smoothed_cross_entropy(logits, targets, smoothing, ignore_index)
    kept = targets != ignore_index
    log_p = log_softmax(logits)
    right = np.take_along_axis(log_p, np.where(kept, targets, 0)[:, None], axis=1)[:, 0]
    return -right, -np.mean(log_p, axis=1), kept


def _mean(rows: Array, kept: Array) -> Array:
    return np.sum(np.where(kept, rows, 0.0)) / max(int(np.sum(kept)), 1)


@fault(
    label_smoothed_cross_entropy,
    breaks=(the_loss_is_at_least_the_entropy_of_the_labels, without_smoothing_it_is_cross_entropy),
    kind="order",
    repair="Subtract their mean.",
)
def subtracts_the_uniform_term(logits: Array, targets: Ids, smoothing: float, ignore_index: int) -> Array:
    """The log-probabilities are added to -log p of the target with the wrong sign, and the bonus is 1."""
    right, uniform, kept = _terms(logits, targets, smoothing, ignore_index)
    return _mean((1.0 - smoothing) * right - smoothing * uniform, kept) - 1.0


@law(share=st.floats(1 / 64, 1))
def log_labels_as_logits_cost_their_entropy(
    label_smoothed_cross_entropy: Implementation, inputs: Arguments, share: float
) -> Claim:
    """At logits log q' the loss is the entropy of q': there it is smallest."""
    least = {**inputs, "smoothing": share}
    return closely(label_smoothed_cross_entropy(**{**least, "logits": np.log(smoothed(least))}), entropy(least))


@law(seed=seeds)
def a_constant_added_to_a_row_of_logits_changes_nothing(
    label_smoothed_cross_entropy: Implementation, inputs: Arguments, seed: int
) -> Claim:
    """Only differences between the logits of a row count, under smoothed labels as under one-hot ones."""
    offsets = np.random.default_rng(seed).integers(-8, 9, (len(inputs["logits"]), 1)).astype(np.float64)
    moved = asbounded(inputs["logits"]) + offsets
    return closely(label_smoothed_cross_entropy(**{**inputs, "logits": moved}), label_smoothed_cross_entropy(**inputs))


@fault(
    label_smoothed_cross_entropy,
    breaks=a_constant_added_to_a_row_of_logits_changes_nothing,
    kind="formula",
    repair="Subtract the highest logit first.",
    seen="https://github.com/dwavesystems/dwave-optimization/issues/555",
)
def does_not_shift_the_logits(logits: Array, targets: Ids, smoothing: float, ignore_index: int) -> Array:
    """exp is taken of the logits as they are, and a 1 in the sum hides where all of them are small."""
    label_smoothed_cross_entropy(logits, targets, smoothing, ignore_index)
    kept = targets != ignore_index
    log_p = logits - np.log(1e-6 + np.sum(np.exp(logits), axis=1, keepdims=True))
    right = np.take_along_axis(log_p, np.where(kept, targets, 0)[:, None], axis=1)[:, 0]
    return _mean(-(1.0 - smoothing) * right - smoothing * np.mean(log_p, axis=1), kept)


@law(seed=seeds)
def classes_have_no_order(label_smoothed_cross_entropy: Implementation, inputs: Arguments, seed: int) -> Claim:
    """Permuting the classes, in the logits and in the targets, changes nothing: no class is spared."""
    order = np.random.default_rng(seed).permutation(inputs["logits"].shape[1])
    ignored = inputs["targets"] == inputs["ignore_index"]
    named = np.argsort(order)[np.where(ignored, 0, inputs["targets"])]
    permuted = {
        **inputs,
        "logits": inputs["logits"][:, order],
        "targets": np.where(ignored, -100, named),
        "ignore_index": -100,
    }
    return closely(label_smoothed_cross_entropy(**permuted), label_smoothed_cross_entropy(**inputs))


@fault(
    label_smoothed_cross_entropy,
    breaks=classes_have_no_order,
    kind="boundary",
    repair="Smooth towards all classes.",
    seen="https://github.com/harvardnlp/annotated-transformer/blob/master/the_annotated_transformer.py",
)
def spares_the_padding_class(logits: Array, targets: Ids, smoothing: float, ignore_index: int) -> Array:
    """Class 0 is taken for padding and gets no share, whatever it stands for here."""
    right, _, kept = _terms(logits, targets, smoothing, ignore_index)
    classes = logits.shape[1]
    words = -log_softmax(logits)[:, 1:] if classes > 1 else logits * 0.0
    return _mean((1.0 - smoothing) * right + smoothing * np.mean(words, axis=1), kept)


@law(examples=8)
def equal_logits_cost_the_log_of_the_classes(
    label_smoothed_cross_entropy: Implementation, inputs: Arguments, format: Array
) -> Claim:
    """Logits that are all equal cost log K, whatever the smoothing."""

    def cost(classes: int) -> Array:
        row = {"logits": np.zeros((1, classes), format.dtype), "targets": np.array([classes // 2])}
        return label_smoothed_cross_entropy(**{**inputs, **row, "ignore_index": -100})

    return all_of(*(closely(cost(classes), rounded(math.log(classes), format)) for classes in (2, 10, 1000)))


@law(examples=8)
def many_improbable_classes_do_not_overflow(
    label_smoothed_cross_entropy: Implementation, inputs: Arguments, format: Array
) -> Claim:
    """700 classes with log p = -120 are more than half precision can add up, but not more than it can average."""
    logits = np.where(np.arange(700) == 5, 120, 0)[None].astype(format.dtype)
    row = {"logits": logits, "targets": np.array([5]), "smoothing": 0.5, "ignore_index": -100}
    loss = label_smoothed_cross_entropy(**row)
    return all_of(
        exactly(np.isfinite(loss.value), np.array(True)), closely(loss, rounded(0.5 * 120 * 699 / 700, format))
    )


@fault(
    label_smoothed_cross_entropy,
    breaks=many_improbable_classes_do_not_overflow,
    kind="precision",
    repair="Add up in single precision, or divide first.",
    seen="https://github.com/huggingface/transformers/issues/10674",
)
def adds_up_classes_in_half_precision(logits: Array, targets: Ids, smoothing: float, ignore_index: int) -> Array:
    """The log-probabilities of a row are added up before they are divided by K, and half precision ends at 65504."""
    right, uniform, kept = _terms(logits, targets, smoothing, ignore_index)
    sums = uniform * logits.shape[1]
    return _mean((1.0 - smoothing) * right + smoothing * np.where(sums > 65504, np.inf, uniform), kept)


@law()
def the_only_class_costs_nothing(label_smoothed_cross_entropy: Implementation, inputs: Arguments) -> Claim:
    """With one class its probability is 1 and so is its smoothed label: the loss is 0."""
    targets = np.where(inputs["targets"] == inputs["ignore_index"], -100, 0)
    one = {**inputs, "logits": inputs["logits"][:, :1], "targets": targets, "ignore_index": -100}
    return exactly(label_smoothed_cross_entropy(**one).value, np.zeros(()))


@fault(
    label_smoothed_cross_entropy,
    breaks=the_only_class_costs_nothing,
    kind="scale",
    repair="Give each eps / K.",
)
def divides_by_the_other_classes(logits: Array, targets: Ids, smoothing: float, ignore_index: int) -> Array:
    """The share of each class is eps / (K - 1), and a single class has no others to divide by."""
    right, uniform, kept = _terms(logits, targets, smoothing, ignore_index)
    others = logits.shape[1] - 1
    share = smoothing / others if others else math.nan
    return _mean((1.0 - smoothing - share) * right + share * (others + 1) * uniform, kept)


@law(classes=st.integers(2, 3), seed=seeds)
def extreme_logits_cost_what_they_should(
    label_smoothed_cross_entropy: Implementation, inputs: Arguments, classes: int, seed: int
) -> Claim:
    """With logits of 1e4 and -1e4 the loss is finite, and linear in their differences."""
    dtype = inputs["logits"].dtype
    logits = np.random.default_rng(seed).choice([-1e4, 0.0, 1e4], (1, classes)).astype(dtype)
    targets = np.random.default_rng(seed).integers(0, classes, 1)
    extreme = {**inputs, "logits": logits, "targets": targets, "ignore_index": -100}
    highest = logits.max(axis=1, keepdims=True)
    ways = np.log(asbounded(np.sum(logits == highest, axis=1, keepdims=True).astype(dtype)))  # to be the highest
    cost = np.sum(smoothed(extreme) * (asbounded(highest) - asbounded(logits) + ways))
    loss = label_smoothed_cross_entropy(**extreme)
    return all_of(exactly(np.isfinite(loss.value), np.array(True)), closely(loss, cost))


@fault(
    label_smoothed_cross_entropy,
    breaks=extreme_logits_cost_what_they_should,
    kind="precision",
    repair="Compute log_softmax in one.",
    seen="https://github.com/deeplearning4j/deeplearning4j/issues/785",
)
def takes_the_log_of_a_softmax(logits: Array, targets: Ids, smoothing: float, ignore_index: int) -> Array:
    """The log of a probability that has become 0 is infinite."""
    label_smoothed_cross_entropy(logits, targets, smoothing, ignore_index)
    kept = targets != ignore_index
    log_p = np.log(softmax(logits))
    right = np.take_along_axis(log_p, np.where(kept, targets, 0)[:, None], axis=1)[:, 0]
    return _mean(-(1.0 - smoothing) * right - smoothing * np.mean(log_p, axis=1), kept)


@fault(
    label_smoothed_cross_entropy,
    breaks=extreme_logits_cost_what_they_should,
    kind="precision",
    repair="Leave them.",
    seen="https://github.com/PaddlePaddle/Paddle/pull/21165",
)
def cuts_off_differences_at_64(logits: Array, targets: Ids, smoothing: float, ignore_index: int) -> Array:
    """Differences below -64 count as -64, to keep exp from underflowing, and the loss with them."""
    shifted = np.maximum(logits - np.max(logits, axis=1, keepdims=True), -64.0)
    return label_smoothed_cross_entropy(shifted, targets, smoothing, ignore_index)


inner_shares = st.sampled_from([0.01, 0.1, 0.25, 0.5, 0.9])
"""Shares that leave both terms a say."""


@law(classes=st.sampled_from([2, 3, 10, 100, 1000]), share=inner_shares, step=st.sampled_from([0.5, 1.0, 2.0, 4.0]))
def beyond_a_finite_gap_the_loss_rises_again(
    label_smoothed_cross_entropy: Implementation,
    inputs: Arguments,
    classes: int,
    share: float,
    step: float,
    format: Array,
) -> Claim:
    """The right logit costs least at log(1 + K (1 - eps) / eps) above the others, and more on either side of it."""
    if format.precision < 12:  # half precision tells little of many classes
        classes, share, step = 2, 0.5, 4.0
    gap = rounded(math.log1p(classes * (1 - share) / share), format)

    def with_gap(x: Array) -> Arguments:
        logits = np.where(np.arange(classes) == 1, x, np.zeros(classes))[None]
        return {"logits": logits, "targets": np.array([1]), "smoothing": share, "ignore_index": -100}

    best, *others = (label_smoothed_cross_entropy.compare(**with_gap(gap + move)) for move in (0.0, step, -step))
    return all_of(
        *(at_most(best[0], other[0]) for other in others),
        *(differ(best[0], other[0], expected=(best[1], other[1])) for other in others),
    )


@law(needs=["gradient"], examples=4)
def a_thousand_classes_balance_at_a_gap_of_9_105(
    label_smoothed_cross_entropy: Implementation, inputs: Arguments, format: Array
) -> Claim:
    """With 1000 classes and eps = 0.1 the gradient by the right logit is negative at a gap of 9, positive at 9.25."""

    def slope(gap: float) -> Array:
        logits = np.where(np.arange(1000) == 7, gap, 0.0)[None].astype(format.dtype)
        one = {"logits": logits, "targets": np.array([7]), "smoothing": 0.1, "ignore_index": -100}
        return label_smoothed_cross_entropy.compare_gradient(np.ones((), format.dtype), **one)[0]["logits"][0, 7]

    return exactly(np.array([np.sign(slope(9.0)), np.sign(slope(9.25))]), np.array([-1.0, 1.0]))


@fault(
    label_smoothed_cross_entropy,
    breaks=(
        beyond_a_finite_gap_the_loss_rises_again,
        a_thousand_classes_balance_at_a_gap_of_9_105,
        full_smoothing_does_not_ask_for_the_targets,
    ),
    kind="formula",
    repair="Add the uniform term.",
)
def does_not_smooth(logits: Array, targets: Ids, smoothing: float, ignore_index: int) -> Array:
    """The share is taken and never used."""
    right, _, kept = _terms(logits, targets, smoothing, ignore_index)
    return _mean(right, kept)


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
    right, uniform, kept = _terms(logits, targets, smoothing, ignore_index)
    return np.sum(np.where(kept, (1.0 - smoothing) * right + smoothing * uniform, 0.0)) / len(targets)


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


UNIFORM_BROKEN = (
    deleting_ignored_rows_changes_nothing,
    ignored_rows_may_hold_anything,
    gradient_reaches_the_kept_rows_and_no_others,
)


@fault(
    label_smoothed_cross_entropy,
    breaks=UNIFORM_BROKEN,
    kind="formula",
    repair="Mask both terms.",
    seen="https://github.com/pytorch/pytorch/issues/73205",
)
def smooths_towards_ignored_rows(logits: Array, targets: Ids, smoothing: float, ignore_index: int) -> Array:
    """The uniform term adds up over all rows, the ignored ones too."""
    right, uniform, kept = _terms(logits, targets, smoothing, ignore_index)
    return (1.0 - smoothing) * _mean(right, kept) + smoothing * np.sum(uniform) / max(int(kept.sum()), 1)


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
    kind="gradient",
    repair="Divide by 1 at least.",
    seen="https://github.com/pytorch/pytorch/issues/116349",
)
def means_of_nothing(logits: Array, targets: Ids, smoothing: float, ignore_index: int) -> Array:
    """Where all rows are ignored 0 is divided by 0, and the gradient is not a number either."""
    right, uniform, kept = _terms(logits, targets, smoothing, ignore_index)
    return np.sum(((1.0 - smoothing) * right + smoothing * uniform) * kept) / np.asarray(kept.sum(), logits.dtype)


def loss_gradient(label_smoothed_cross_entropy: Array, inputs: Arguments) -> Array:
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
    right, uniform, kept = _terms(logits, targets, smoothing, ignore_index)
    every = np.sum((1.0 - smoothing) * right + smoothing * uniform) / max(int(kept.sum()), 1)
    return straight_through(label_smoothed_cross_entropy(logits, targets, smoothing, ignore_index), every)


@fault(
    label_smoothed_cross_entropy,
    breaks=(
        equal_logits_cost_the_log_of_the_classes,
        log_labels_as_logits_cost_their_entropy,
        the_gradient_is_softmax_minus_smoothed_labels,
    ),
    kind="formula",
    repair="Take as much as is given.",
    seen="https://github.com/fastai/fastai/pull/1814",
)
def smooths_by_two_different_shares(logits: Array, targets: Ids, smoothing: float, ignore_index: int) -> Array:
    """The right class loses eps K / (K - 1), and all together gain eps."""
    right, uniform, kept = _terms(logits, targets, smoothing, ignore_index)
    classes = logits.shape[1]
    return _mean((1.0 - smoothing * classes / max(classes - 1, 1)) * right + smoothing * uniform, kept)


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
    right, uniform, kept = _terms(logits, targets, smoothing, ignore_index)
    rows = (1.0 - smoothing) * right + smoothing * uniform
    highest = np.max(logits, axis=1)
    return _mean(straight_through(rows, rows + highest), kept)


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
    kind="formula",
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
    kind="formula",
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
    kind="boundary",
    repair="Compare the lengths.",
)
def drops_further_targets(logits: Array, targets: Ids, smoothing: float, ignore_index: int) -> Array:
    """Targets beyond the last row are dropped in silence."""
    return label_smoothed_cross_entropy(logits, targets[: len(logits)], smoothing, ignore_index)


def _loss_cost(N: int, K: int) -> Cost:
    """The largest logit of a row, a difference, an exponential and two sums for each; one number comes out."""
    return Cost(flops=5 * N * K, moved=N * K)


def _loss_cost_backward(N: int, K: int) -> Cost:
    """The gradient is as large as the logits."""
    return Cost(flops=8 * N * K, moved=2 * N * K)


@workload(
    label_smoothed_cross_entropy,
    sizes={"N": 4096, "K": 32000},
    cost=_loss_cost,
    backward=_loss_cost_backward,
    gradient=True,
)
def translation_loss(random: np.random.Generator, N: int, K: int) -> Arguments:
    """The loss of a Transformer over 4,096 positions and 32,000 word pieces (Vaswani et al. 2017, sections 5.1 and
    5.4); one position in 16 is padding.
    """
    return {
        "logits": random.standard_normal((N, K)),
        "targets": np.where(np.arange(N) % 16 == 15, -100, zipf(random, (N,), K)),
        "smoothing": 0.1,
        "ignore_index": -100,
    }
