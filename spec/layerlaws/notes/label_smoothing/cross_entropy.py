"""The cross-entropy with smoothed labels, and what it is for which logits and which share."""

from __future__ import annotations

import math

import numpy as np

from layerlaws.language import (
    STEEPNESS,
    TEXTURES,
    Arguments,
    Array,
    Claim,
    Cost,
    Format,
    Ids,
    Implementation,
    Mask,
    all_of,
    arrays,
    asbounded,
    at_most,
    closely,
    differ,
    exactly,
    extents,
    far_below,
    fault,
    ids,
    ids_within,
    law,
    log_softmax,
    log_softmax_from,
    one_hot,
    operation,
    require,
    rewritten,
    rounded,
    seeds,
    softmax,
    workload,
    zipf,
)
from layerlaws.language import strategies as st
from layerlaws.notes.label_smoothing.labels import smooth_labels

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


def kept_rows(inputs: Arguments) -> tuple[Array, Ids]:
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


def loss_terms(logits: Array, targets: Ids, smoothing: float, ignore_index: int) -> tuple[Array, Array, Mask]:
    """-log p of the target and its mean over the classes, of all rows, and which of them count.

    Refuses what the definition refuses.
    """
    label_smoothed_cross_entropy(logits, targets, smoothing, ignore_index)
    kept = targets != ignore_index
    log_p = log_softmax(logits)
    right = np.take_along_axis(log_p, np.where(kept, targets, 0)[:, None], axis=1)[:, 0]
    return -right, -np.mean(log_p, axis=1), kept


def mean_over_kept(rows: Array, kept: Mask) -> Array:
    """The mean over the rows that count; 0 if there are none."""
    return np.sum(np.where(kept, rows, 0.0)) / max(int(np.sum(kept)), 1)


@fault(
    label_smoothed_cross_entropy,
    breaks=(the_loss_is_at_least_the_entropy_of_the_labels, without_smoothing_it_is_cross_entropy),
    kind="formula",
    repair="Subtract their mean.",
)
def subtracts_the_uniform_term(logits: Array, targets: Ids, smoothing: float, ignore_index: int) -> Array:
    """The log-probabilities are added to -log p of the target with the wrong sign, and the bonus is 1."""
    right, uniform, kept = loss_terms(logits, targets, smoothing, ignore_index)
    return mean_over_kept((1.0 - smoothing) * right - smoothing * uniform, kept) - 1.0


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
    kind="precision",
    repair="Subtract the highest logit first.",
    seen="https://github.com/dwavesystems/dwave-optimization/issues/555",
)
def does_not_shift_the_logits(logits: Array, targets: Ids, smoothing: float, ignore_index: int) -> Array:
    """exp is taken of the logits as they are, and a 1 in the sum hides where all of them are small."""
    label_smoothed_cross_entropy(logits, targets, smoothing, ignore_index)
    kept = targets != ignore_index
    log_p = logits - np.log(1e-6 + np.sum(np.exp(logits), axis=1, keepdims=True))
    right = np.take_along_axis(log_p, np.where(kept, targets, 0)[:, None], axis=1)[:, 0]
    return mean_over_kept(-(1.0 - smoothing) * right - smoothing * np.mean(log_p, axis=1), kept)


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
    right, _, kept = loss_terms(logits, targets, smoothing, ignore_index)
    classes = logits.shape[1]
    words = -log_softmax(logits)[:, 1:] if classes > 1 else logits * 0.0
    return mean_over_kept((1.0 - smoothing) * right + smoothing * np.mean(words, axis=1), kept)


@law(steepness=STEEPNESS, examples=20)
def equal_logits_cost_the_log_of_the_classes(
    label_smoothed_cross_entropy: Implementation, inputs: Arguments, steepness: int, format: Format
) -> Claim:
    """Logits that are all equal cost log K, whatever the smoothing, and however far below or above zero they are."""

    def cost(classes: int, level: float) -> Array:
        row = {"logits": np.full((1, classes), level, format.dtype), "targets": np.array([classes // 2])}
        return label_smoothed_cross_entropy(**{**inputs, **row, "ignore_index": -100})

    depth = far_below(format, steepness)
    cases = [(2, 0.0), (10, -depth), (10, depth), (1000, 0.0)]
    return all_of(*(closely(cost(*case), rounded(math.log(case[0]), format)) for case in cases))


@fault(
    label_smoothed_cross_entropy,
    breaks=equal_logits_cost_the_log_of_the_classes,
    kind="precision",
    repair="Start from minus infinity, or from the first logit.",
)
def starts_the_highest_logit_at_a_number(logits: Array, targets: Ids, smoothing: float, ignore_index: int) -> Array:
    """The running maximum starts at -1e9: where all logits lie below, the log of no exponential is infinite."""
    label_smoothed_cross_entropy(logits, targets, smoothing, ignore_index)
    kept = targets != ignore_index
    log_p = log_softmax_from(logits, -1e9)
    right = np.take_along_axis(log_p, np.where(kept, targets, 0)[:, None], axis=1)[:, 0]
    return mean_over_kept(-(1.0 - smoothing) * right - smoothing * np.mean(log_p, axis=1), kept)


@fault(
    label_smoothed_cross_entropy,
    breaks=equal_logits_cost_the_log_of_the_classes,
    kind="precision",
    repair="Subtract the highest logit from the logits first, not from the sum.",
    seen="https://github.com/pytorch/pytorch/issues/38839",
)
def subtracts_logits_from_their_log_sum(logits: Array, targets: Ids, smoothing: float, ignore_index: int) -> Array:
    """logsumexp(logits) - logit: next to a large highest logit the log of the sum is rounded away."""
    label_smoothed_cross_entropy(logits, targets, smoothing, ignore_index)
    kept = targets != ignore_index
    highest = np.max(logits, axis=1, keepdims=True)
    log_sum = highest + np.log(np.sum(np.exp(logits - highest), axis=1, keepdims=True))
    right = np.take_along_axis(log_sum - logits, np.where(kept, targets, 0)[:, None], axis=1)[:, 0]
    return mean_over_kept((1.0 - smoothing) * right + smoothing * np.mean(log_sum - logits, axis=1), kept)


@law(examples=8)
def many_improbable_classes_do_not_overflow(
    label_smoothed_cross_entropy: Implementation, inputs: Arguments, format: Format
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
    right, uniform, kept = loss_terms(logits, targets, smoothing, ignore_index)
    sums = uniform * logits.shape[1]
    return mean_over_kept((1.0 - smoothing) * right + smoothing * np.where(sums > 65504, np.inf, uniform), kept)


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
    right, uniform, kept = loss_terms(logits, targets, smoothing, ignore_index)
    others = logits.shape[1] - 1
    share = smoothing / others if others else math.nan
    return mean_over_kept((1.0 - smoothing - share) * right + share * (others + 1) * uniform, kept)


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
    repair="Subtract the highest logit from both first.",
    seen="https://github.com/pytorch/pytorch/issues/38839",
)
def subtracts_the_score_from_the_log_of_the_sum(
    logits: Array, targets: Ids, smoothing: float, ignore_index: int
) -> Array:
    """-log p is logsumexp(logits) minus a logit: where both are large, a small difference of them is lost."""
    _, _, kept = loss_terms(logits, targets, smoothing, ignore_index)
    highest = np.max(logits, axis=1, keepdims=True)
    total = (highest + np.log(np.sum(np.exp(logits - highest), axis=1, keepdims=True))).astype(logits.dtype)
    losses = total - logits
    right = np.take_along_axis(losses, np.where(kept, targets, 0)[:, None], axis=1)[:, 0]
    return mean_over_kept((1.0 - smoothing) * right + smoothing * np.mean(losses, axis=1), kept)


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
    return mean_over_kept(-(1.0 - smoothing) * right - smoothing * np.mean(log_p, axis=1), kept)


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
    format: Format,
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
    label_smoothed_cross_entropy: Implementation, inputs: Arguments, format: Format
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
    right, _, kept = loss_terms(logits, targets, smoothing, ignore_index)
    return mean_over_kept(right, kept)


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
