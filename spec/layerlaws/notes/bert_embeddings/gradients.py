"""What a row of a table learns: the sum of the gradients of all tokens that have it."""

from __future__ import annotations

from typing import Any

import numpy as np

from layerlaws.language import (
    Arguments,
    Array,
    Claim,
    Implementation,
    all_of,
    asbounded,
    closely,
    constant,
    exactly,
    fault,
    law,
    normal,
    one_hot,
    seeds,
    with_gradient,
)
from layerlaws.language import strategies as st
from layerlaws.notes.bert_embeddings.embeddings import (
    _embedded,
    a_pair_is_told_from_one_input,
    bert_embeddings,
    plain_sentences,
    the_other_segment_changes_the_result,
)
from layerlaws.notes.bert_embeddings.normalization import spread, total


def token_gradients(inputs: Arguments, cotangent: Array) -> Array:
    """The gradient of sum(cotangent * result) by the sum of rows of each token, with its bound. (B, T, D)."""
    rows = total(inputs)
    deviation = np.sqrt(spread(inputs) + inputs["epsilon"])[..., None]
    normalized = (rows - np.mean(rows, axis=-1, keepdims=True)) / deviation
    pulled = asbounded(cotangent) * asbounded(inputs["scale"])
    along = normalized * np.mean(pulled * normalized, axis=-1, keepdims=True)
    return (pulled - np.mean(pulled, axis=-1, keepdims=True) - along) / deviation


@law(inputs=plain_sentences, needs=["gradient"], seed=seeds)
def a_row_s_gradient_is_the_sum_over_its_tokens(bert_embeddings: Implementation, inputs: Arguments, seed: int) -> Claim:
    """A segment's row gets the gradients of all its tokens, added up, and so do the rows of tokens and positions."""
    cotangent = normal(seed, (*inputs["token_ids"].shape, len(inputs["scale"])), inputs["scale"])
    computed = bert_embeddings.gradient(cotangent, **inputs)
    places = np.broadcast_to(np.arange(inputs["token_ids"].shape[1]), inputs["token_ids"].shape)
    gradients = token_gradients(inputs, cotangent).reshape(-1, cotangent.shape[-1])

    def added(name: str, found: Array) -> Claim:
        return closely(computed[name], one_hot(found.reshape(-1), len(inputs[name])).T @ gradients)

    return all_of(
        added("segment_table", inputs["segment_ids"]),
        added("token_table", inputs["token_ids"]),
        added("position_table", places),
    )


@fault(
    bert_embeddings,
    breaks=(
        the_other_segment_changes_the_result,
        a_pair_is_told_from_one_input,
        a_row_s_gradient_is_the_sum_over_its_tokens,
    ),
    kind="formula",
    repair="Look their rows up.",
    seen="https://github.com/huggingface/transformers/issues/263",
)
def everything_is_the_first_segment(**inputs: Any) -> Array:
    """Segment ids are ignored, and each token gets row 0."""
    _embedded(inputs)
    return _embedded(inputs, segment_ids=np.zeros_like(inputs["segment_ids"]))


@fault(
    bert_embeddings,
    breaks=(a_row_s_gradient_is_the_sum_over_its_tokens, "gradient_agrees_with_definition"),
    kind="gradient",
    repair="Add up the gradients of all its tokens.",
    seen="https://github.com/pytorch/pytorch/issues/1528",
)
def the_last_of_equal_tokens_trains_the_row(**inputs: Any) -> Array:
    """The gradient of a token that occurs again is overwritten: a scatter that assigns where it should add."""
    _embedded(inputs)
    ids, table = inputs["token_ids"], inputs["token_table"]
    words = len(table)
    latest = np.full(words, -1)
    latest[ids.reshape(-1)] = np.arange(ids.size)

    def assigned(adjoint: Array) -> Array:
        return np.where((latest >= 0)[:, None], adjoint[latest], 0.0)

    rows = with_gradient(constant(table)[ids.reshape(-1)], table, assigned)
    return _embedded(inputs, token_table=rows, token_ids=np.arange(ids.size).reshape(ids.shape))


@law(needs=["gradient"], present=st.integers(0, 1), seed=seeds)
def an_absent_segment_gets_no_gradient(
    bert_embeddings: Implementation, inputs: Arguments, present: int, seed: int
) -> Claim:
    """Where no token belongs to a segment, its row's gradient is exactly 0."""
    cotangent = normal(seed, (*inputs["token_ids"].shape, len(inputs["scale"])), inputs["scale"])
    one = {**inputs, "segment_ids": np.full_like(inputs["segment_ids"], present)}
    gradient = bert_embeddings.gradient(cotangent, **one)["segment_table"]
    return exactly(gradient[1 - present], np.zeros_like(gradient[0]))


@fault(
    bert_embeddings,
    breaks=an_absent_segment_gets_no_gradient,
    kind="formula",
    repair="Add one row.",
)
def both_segments_for_every_token(**inputs: Any) -> Array:
    """The mean of the rows is added to each, so that a segment that is absent is changed by training."""
    _embedded(inputs)
    mean = inputs["segment_table"].mean(axis=0, keepdims=True)
    return _embedded(inputs, segment_table=inputs["segment_table"] + mean)
