"""Segment ids: which of the two inputs each token of [CLS] A [SEP] B [SEP] belongs to."""

from __future__ import annotations

import numpy as np

from layerlaws.language import (
    HUGE,
    Arguments,
    Claim,
    Ids,
    Implementation,
    all_of,
    exactly,
    fault,
    law,
    operation,
    refused,
    require,
    rewritten,
    sizes_are_seldom,
)
from layerlaws.language import strategies as st


@st.composite
def pair_lengths(draw: st.DrawFn) -> Arguments:
    lengths = st.sampled_from((0, 1, *HUGE)) if sizes_are_seldom() else st.integers(0, 20)
    return draw(st.fixed_dictionaries({"first_length": lengths, "second_length": st.one_of(st.none(), lengths)}))


@operation(inputs=pair_lengths())
def segment_ids(first_length: int, second_length: int | None) -> Ids:
    """0 for [CLS] A [SEP], 1 for B [SEP]; a second length of 0 or None is no second input, and has no [SEP].

    -> (first_length + 2 + second_length + 1,) int64
    """
    require(first_length >= 0, "first_length must not be negative")
    require(second_length is None or second_length >= 0, "second_length must not be negative")
    second = second_length + 1 if second_length else 0
    return np.repeat(np.arange(2), [first_length + 2, second])


@law()
def one_segment_follows_the_other(segment_ids: Implementation, first_length: int, second_length: int | None) -> Claim:
    """Erratum. Row 0 goes to the first input with its [CLS] and its [SEP], row 1 to the second with its [SEP]."""
    found = segment_ids(first_length=first_length, second_length=second_length)
    second = second_length + 1 if second_length else 0
    return all_of(
        exactly(np.bincount(found, minlength=2), np.array([first_length + 2, second])),
        exactly(found, np.sort(found)),
    )


@fault(
    segment_ids,
    breaks=one_segment_follows_the_other,
    kind="formula",
    repair="Give the second input and its [SEP] 1.",
    seen="https://github.com/huggingface/transformers/issues/15735",
)
def one_segment_for_both(first_length: int, second_length: int | None) -> Ids:
    """All ids are 0, also those of a pair."""
    require(first_length >= 0 and (second_length or 0) >= 0, "lengths are negative")
    return np.zeros(first_length + 2 + (second_length + 1 if second_length else 0), np.int64)


@fault(
    segment_ids,
    breaks=one_segment_follows_the_other,
    kind="boundary",
    repair="That one belongs to the first.",
)
def first_separator_in_the_second_segment(first_length: int, second_length: int | None) -> Ids:
    """The second segment starts at the [SEP] between the inputs."""
    require(first_length >= 0 and (second_length or 0) >= 0, "lengths are negative")
    return np.repeat(np.arange(2), [first_length + 1, second_length + 2] if second_length else [first_length + 2, 0])


@fault(
    segment_ids,
    breaks=one_segment_follows_the_other,
    kind="boundary",
    repair="It belongs to the first input.",
)
def a_third_segment_for_the_first_token(first_length: int, second_length: int | None) -> Ids:
    """[CLS] has a segment of its own, as in XLNet."""
    found = segment_ids(first_length, second_length)
    return rewritten(found, 0, 2)


@law()
def no_second_input_has_no_separator(
    segment_ids: Implementation, first_length: int, second_length: int | None
) -> Claim:
    """A second input of length 0 is none: the ids are zeros for [CLS] A [SEP], and nothing follows."""
    zeros = np.zeros(first_length + 2, np.int64)
    return all_of(*(exactly(segment_ids(first_length=first_length, second_length=none), zeros) for none in (None, 0)))


@fault(
    segment_ids,
    breaks=no_second_input_has_no_separator,
    kind="boundary",
    repair="Without a second input there is none.",
)
def a_separator_behind_nothing(first_length: int, second_length: int | None) -> Ids:
    """A second length of 0 still brings its [SEP]."""
    require(first_length >= 0 and (second_length or 0) >= 0, "lengths are negative")
    return np.repeat(np.arange(2), [first_length + 2, 0 if second_length is None else second_length + 1])


@law(negative=st.integers(-3, -1), examples=20)
def negative_lengths_are_refused(
    segment_ids: Implementation, first_length: int, second_length: int | None, negative: int
) -> Claim:
    """Neither input has fewer tokens than none."""
    return all_of(
        refused(segment_ids, "first_length", {"first_length": negative, "second_length": second_length}),
        refused(segment_ids, "second_length", {"first_length": first_length, "second_length": negative}),
    )


@fault(
    segment_ids,
    breaks=negative_lengths_are_refused,
    kind="refusal",
    repair="Refuse them.",
)
def negative_lengths_count_as_none(first_length: int, second_length: int | None) -> Ids:
    """Negative lengths are taken for 0."""
    return segment_ids(max(first_length, 0), max(second_length or 0, 0))
