"""Smoothed labels: q' = (1 - eps) q + eps / K."""

from __future__ import annotations

import math

import numpy as np

from layerlaws.language import (
    Arguments,
    Array,
    Claim,
    Cost,
    Implementation,
    all_of,
    asbounded,
    at_most,
    closely,
    exactly,
    extents,
    fault,
    ids,
    law,
    one_hot,
    operation,
    refused,
    require,
    workload,
)
from layerlaws.language import strategies as st

partial_shares = st.one_of(st.sampled_from([0.0, 0.1, 0.5]), st.floats(0, 0.875))
"""Shares that leave something of a label, and so a gradient."""

below_nothing = st.sampled_from([-0.1, -1e-3, -2.0, -math.inf, math.nan])
above_all = st.sampled_from([1.001, 1.1, 2.0, math.inf])
"""Numbers that are no share: too small, and too large."""


@st.composite
def labels(draw: st.DrawFn) -> Arguments:
    """One-hot labels, and a share to smooth them by."""
    rows, classes = draw(extents(2, edges=(0, 1)))
    return {"one_hot": one_hot(draw(ids((rows,), classes)), classes), "smoothing": draw(partial_shares)}


@operation(inputs=labels(), batch=("one_hot",), differentiable=True)
def smooth_labels(one_hot: Array, smoothing: float) -> Array:
    """(1 - smoothing) one_hot + smoothing / K: from each label a share of the way to the uniform distribution.

    one_hot (N, K), smoothing in [0, 1]  ->  (N, K)
    """
    require(0 <= smoothing <= 1, f"smoothing is a share in [0, 1], not {smoothing}")
    # Written as one step, it has the rounding of 1 - smoothing in the format of the labels, too.
    return one_hot + smoothing * (1 / one_hot.shape[1] - one_hot)


@law()
def smoothed_labels_sum_to_1(smooth_labels: Implementation, one_hot: Array, smoothing: float) -> Claim:
    """What is taken from one class goes to all: each row is a distribution still."""
    result = smooth_labels(one_hot=one_hot, smoothing=smoothing)
    return all_of(closely(result.sum(axis=1), np.ones(len(one_hot))), at_most(np.zeros(one_hot.shape), result))


@law()
def without_smoothing_labels_stay_as_they_are(smooth_labels: Implementation, one_hot: Array, smoothing: float) -> Claim:
    """A share of 0 is the identity."""
    return exactly(smooth_labels(one_hot=one_hot, smoothing=0.0), one_hot.astype(np.float64))


@fault(
    smooth_labels,
    breaks=(smoothed_labels_sum_to_1, without_smoothing_labels_stay_as_they_are),
    kind="scale",
    repair="Add smoothing / K.",
    seen="https://github.com/TimDettmers/ConvE/issues/55",
)
def adds_a_whole_uniform_distribution(one_hot: Array, smoothing: float) -> Array:
    """1 / K is added without its share, so that labels sum to 2 - eps."""
    require(0 <= smoothing <= 1, "smoothing is out of range")
    return (1.0 - smoothing) * one_hot + 1 / one_hot.shape[1]


@law()
def full_smoothing_forgets_the_label(smooth_labels: Implementation, one_hot: Array, smoothing: float) -> Claim:
    """A share of 1 leaves the uniform distribution, whatever the label was."""
    uniform = 1 / asbounded(np.full(one_hot.shape, one_hot.shape[1], one_hot.dtype))
    return closely(smooth_labels(one_hot=one_hot, smoothing=1.0), uniform)


@law()
def labels_are_affine_in_the_smoothing(smooth_labels: Implementation, one_hot: Array, smoothing: float) -> Claim:
    """q'(eps) = (1 - eps) q'(0) + eps q'(1)."""
    none, full = (smooth_labels(one_hot=one_hot, smoothing=share) for share in (0.0, 1.0))
    between = none + smoothing * (full - none)
    return closely(smooth_labels(one_hot=one_hot, smoothing=smoothing), between)


@fault(
    smooth_labels,
    breaks=labels_are_affine_in_the_smoothing,
    kind="formula",
    repair="Smooth once.",
)
def smooths_labels_twice(one_hot: Array, smoothing: float) -> Array:
    """The data set smooths its labels, and the loss does so again."""
    return smooth_labels(smooth_labels(one_hot, smoothing), smoothing)


@law(step=st.integers(0, 4))
def a_share_that_spares_the_right_class_is_another_share_of_all(
    smooth_labels: Implementation, one_hot: Array, smoothing: float, step: int
) -> Claim:
    """Convention. 1 - eps for the right class and eps / (K - 1) for each other is smoothing by eps K / (K - 1)."""
    classes = one_hot.shape[1]
    each = 2.0 ** -(math.ceil(math.log2(classes)) + step)  # eps / (K - 1), for which no constant is rounded
    spared = np.where(one_hot == 1, 1 - each * (classes - 1), each)
    return closely(smooth_labels(one_hot=one_hot, smoothing=each * classes), spared)


@fault(
    smooth_labels,
    breaks=(full_smoothing_forgets_the_label, a_share_that_spares_the_right_class_is_another_share_of_all),
    kind="formula",
    repair="Give every class smoothing / K.",
)
def spares_the_right_class(one_hot: Array, smoothing: float) -> Array:
    """The share goes to the other classes alone, as in fairseq, under the same name."""
    require(0 <= smoothing <= 1, "smoothing is out of range")
    return (1.0 - smoothing) * one_hot + smoothing / max(one_hot.shape[1] - 1, 1) * (1.0 - one_hot)


@law(wrong=st.one_of(below_nothing, above_all), examples=20)
def labels_are_smoothed_by_a_share(
    smooth_labels: Implementation, one_hot: Array, smoothing: float, wrong: float
) -> Claim:
    """Smoothing is a share, from 0 to 1."""
    return refused(smooth_labels, "smoothing", {"one_hot": one_hot, "smoothing": wrong})


@fault(
    smooth_labels,
    breaks=labels_are_smoothed_by_a_share,
    kind="refusal",
    repair="Refuse them.",
)
def smooths_labels_by_any_number(one_hot: Array, smoothing: float) -> Array:
    """Shares outside [0, 1] are cut off in silence."""
    return smooth_labels(one_hot, min(max(smoothing, 0.0), 1.0))


@workload(smooth_labels, sizes={"N": 4096, "K": 1000}, cost=lambda N, K: Cost(flops=2 * N * K, moved=2 * N * K))
def imagenet_labels(random: np.random.Generator, N: int, K: int) -> Arguments:
    """One-hot labels of 4,096 images in the 1,000 classes of ImageNet (Szegedy et al. 2016, section 7)."""
    return {"one_hot": one_hot(random.integers(K, size=N), K), "smoothing": 0.1}
