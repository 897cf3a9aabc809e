"""The true sequence, shifted by one: teacher_forcing."""

from __future__ import annotations

import numpy as np

from layerlaws.language import (
    Arguments,
    Array,
    Claim,
    Ids,
    Implementation,
    Mask,
    all_of,
    exactly,
    extents,
    fault,
    ids,
    law,
    operation,
    rewritten,
)
from layerlaws.language import strategies as st


@st.composite
def target_batches(draw: st.DrawFn) -> Arguments:
    """Words 2, 3, ...; begin and end are two ids that are no words, or the same one."""
    shape = draw(extents(2))
    begin, end = draw(st.sampled_from([(0, 1), (1, 0), (0, 0)]))
    return {"targets": draw(ids(shape, draw(st.integers(1, 20)))) + 2, "begin": begin, "end": end}


@operation(inputs=target_batches(), batch=("targets",))
def teacher_forcing(targets: Ids, begin: int, end: int) -> tuple[Ids, Ids]:
    """The decoder's inputs [begin] + targets, and what it has to predict from them, targets + [end].

    targets (B, T) ids  ->  inputs (B, T + 1), expected (B, T + 1)
    """
    rows = targets.shape[0]
    first, last = (np.full((rows, 1), word, np.int64) for word in (begin, end))
    return np.concatenate([first, targets], axis=1), np.concatenate([targets, last], axis=1)


@law()
def inputs_are_the_expected_words_one_step_late(
    teacher_forcing: Implementation, targets: Ids, begin: int, end: int
) -> Claim:
    """inputs[:, 1:] = expected[:, :-1]: each word is fed in at the step after it was to be predicted."""
    inputs, expected = teacher_forcing(targets=targets, begin=begin, end=end)
    return exactly(inputs[:, 1:], expected[:, :-1])


@fault(
    teacher_forcing,
    breaks=inputs_are_the_expected_words_one_step_late,
    kind="shift",
    repair="Shift once.",
    seen="https://github.com/huggingface/transformers/pull/37830",
)
def shifts_twice(targets: Ids, begin: int, end: int) -> tuple[Ids, Ids]:
    """Inputs are shifted again, so that step i predicts word i + 1."""
    rows = np.full((len(targets), 1), begin, np.int64)
    inputs = np.concatenate([rows, rows, targets], axis=1)[:, :-1]
    return inputs, np.concatenate([targets, np.full((len(targets), 1), end, np.int64)], axis=1)


@law()
def no_expected_word_stands_in_the_prefix_that_predicts_it(
    teacher_forcing: Implementation, targets: Ids, begin: int, end: int
) -> Claim:
    """Where all words differ, the word expected at step i is none of the inputs up to step i."""
    distinct = np.arange(targets.size, dtype=np.int64).reshape(targets.shape) + 2
    inputs, expected = teacher_forcing(targets=distinct, begin=0, end=1)
    found = inputs[:, None, :] == expected[:, :, None]  # (B, step, place in the inputs)
    return exactly(np.tril(found), np.zeros_like(found))


@law()
def copying_the_input_cannot_be_right(teacher_forcing: Implementation, targets: Ids, begin: int, end: int) -> Claim:
    """In every row some input differs from the word expected there: a copying decoder has a loss above 0."""
    inputs, expected = teacher_forcing(targets=targets, begin=begin, end=end)
    return exactly((inputs != expected).any(axis=1), np.ones(len(targets), bool))


@law(inputs=st.fixed_dictionaries({"targets": ids((1, 5), 6), "begin": st.just(6), "end": st.just(7)}), examples=10)
def only_the_shift_hides_the_word_to_be_predicted(
    teacher_forcing: Implementation, masked_self_attention: Implementation, targets: Ids, begin: int, end: int
) -> Claim:
    """Erratum. Under the causal mask, row i of the unshifted targets sees target i itself; of the shifted inputs
    it sees the targets before i only.
    """
    words = np.eye(8)  # a table of distinct rows
    length = targets.shape[1]

    def attended(sequence: Ids) -> Array:
        rows = words[sequence][:, None]  # (B, 1, T, 8)
        return masked_self_attention(query=np.zeros_like(rows), key=rows, value=rows)

    def fed(sequence: Ids) -> Ids:
        return teacher_forcing(targets=sequence, begin=begin, end=end)[0][:, :-1]

    def leaks(shifted: bool) -> Mask:
        seen = []
        for j in range(length):
            other = rewritten(targets, (0, j), (targets[0, j] + 1) % 6)
            one, two = (attended(fed(t) if shifted else t) for t in (targets, other))
            seen.append((np.abs(one.value - two.value) > one.error + two.error).any(axis=(0, 1, 3)))
        return np.stack(seen, axis=1)

    everything = np.ones((length, length), bool)
    return all_of(exactly(leaks(False), np.tril(everything)), exactly(leaks(True), np.tril(everything, -1)))


@fault(
    teacher_forcing,
    breaks=(
        no_expected_word_stands_in_the_prefix_that_predicts_it,
        copying_the_input_cannot_be_right,
        only_the_shift_hides_the_word_to_be_predicted,
    ),
    kind="shift",
    repair="Put begin in front of the inputs.",
    seen="https://github.com/huggingface/transformers/issues/27517",
)
def does_not_shift(targets: Ids, begin: int, end: int) -> tuple[Ids, Ids]:
    """Inputs and expected words are the same sequence: the loss of copying is 0."""
    whole = np.concatenate([targets, np.full((len(targets), 1), end, np.int64)], axis=1)
    return whole, whole.copy()
