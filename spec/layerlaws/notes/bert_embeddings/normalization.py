"""How the sum of rows is normalized: mean, variance and epsilon, and what rounding leaves of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from layerlaws.language import (
    Arguments,
    Array,
    Claim,
    Format,
    Implementation,
    all_of,
    asbounded,
    closely,
    fault,
    law,
    seeds,
)
from layerlaws.language import strategies as st
from layerlaws.notes.bert_embeddings.embeddings import (
    a_vector_may_move_from_the_tokens_to_the_segments,
    bert_embeddings,
    normal_sentences,
    plain_sentences,
)


def total(inputs: Arguments) -> Array:
    """The sum of the three rows of each token, before normalization. (B, T, D)."""
    length = inputs["token_ids"].shape[1]
    rows = inputs["token_table"][inputs["token_ids"]], inputs["segment_table"][inputs["segment_ids"]]
    return asbounded(rows[0]) + asbounded(rows[1]) + asbounded(inputs["position_table"][:length])


def spread(inputs: Arguments) -> Array:
    """The biased variance of that sum. (B, T)."""
    rows = total(inputs)
    return np.mean(np.square(rows - np.mean(rows, axis=-1, keepdims=True)), axis=-1)


@law()
def the_result_has_mean_0_and_a_known_variance(bert_embeddings: Implementation, inputs: Arguments) -> Claim:
    """With scale 1 and shift 0 each token has mean 0 and variance v / (v + epsilon), where v is the (biased) variance
    of its sum of rows.
    """
    width = inputs["scale"].shape
    bare = {**inputs, "scale": np.ones(width, inputs["scale"].dtype), "shift": np.zeros(width, inputs["shift"].dtype)}
    result = bert_embeddings(**bare)
    variance = spread(inputs)
    return all_of(
        closely(np.mean(result, axis=-1), np.zeros(result.shape[:-1])),
        closely(np.mean(np.square(result), axis=-1), variance / (variance + inputs["epsilon"])),
    )


def _normalized(inputs: Arguments) -> tuple[Array, Callable[[Array], Array]]:
    """What is to be normalized, and a function for the end; refuses what the definition refuses."""
    bert_embeddings(**inputs)
    length = inputs["token_ids"].shape[1]
    rows = inputs["token_table"][inputs["token_ids"]] + inputs["segment_table"][inputs["segment_ids"]]
    return rows + inputs["position_table"][:length], lambda x: x * inputs["scale"] + inputs["shift"]


@fault(
    bert_embeddings,
    breaks=the_result_has_mean_0_and_a_known_variance,
    kind="scale",
    repair="Divide by D.",
    seen="https://github.com/harvardnlp/annotated-transformer/pull/119",
)
def divides_by_the_unbiased_deviation(**inputs: Any) -> Array:
    """The variance is divided by D - 1, as torch.std does unless told not to."""
    rows, finish = _normalized(inputs)
    variance = np.square(rows - rows.mean(axis=-1, keepdims=True)).sum(axis=-1, keepdims=True)
    variance = variance / max(rows.shape[-1] - 1, 1)
    return finish((rows - rows.mean(axis=-1, keepdims=True)) / np.sqrt(variance + inputs["epsilon"]))


@fault(
    bert_embeddings,
    breaks=the_result_has_mean_0_and_a_known_variance,
    kind="formula",
    repair="It belongs inside the root, to the variance.",
    seen="https://github.com/hyunwoongko/transformer/issues/7",
)
def adds_epsilon_to_the_deviation(**inputs: Any) -> Array:
    """Epsilon is added to the standard deviation."""
    rows, finish = _normalized(inputs)
    centred = rows - rows.mean(axis=-1, keepdims=True)
    return finish(centred / (np.sqrt(np.square(centred).mean(axis=-1, keepdims=True)) + inputs["epsilon"]))


@law(inputs=plain_sentences, offset=st.sampled_from([-3.0, 0.3, 2.0]), place=seeds)
def a_constant_added_to_a_row_changes_nothing(
    bert_embeddings: Implementation, inputs: Arguments, offset: float, place: int
) -> Claim:
    """A number added to all of a row of any table is taken off again with the mean."""
    moved = {}
    for name in ("token_table", "segment_table", "position_table"):
        chosen = np.arange(len(inputs[name])) == place % len(inputs[name])
        moved[name] = np.where(chosen[:, None], asbounded(inputs[name]) + offset, asbounded(inputs[name]))
    return closely(bert_embeddings(**{**inputs, **moved}), bert_embeddings(**inputs))


@fault(
    bert_embeddings,
    breaks=(a_vector_may_move_from_the_tokens_to_the_segments, a_constant_added_to_a_row_changes_nothing),
    kind="scale",
    repair="Add the rows as they are, and centre.",
)
def scales_tokens_by_the_root_of_the_width(**inputs: Any) -> Array:
    """Token rows are multiplied by sqrt(D), as in the original Transformer, and all is divided by the root of the
    mean square without taking the mean off.
    """
    rows, finish = _normalized({**inputs, "token_table": inputs["token_table"] * inputs["scale"].size ** 0.5})
    return finish(rows / np.sqrt(np.mean(np.square(rows), axis=-1, keepdims=True) + inputs["epsilon"]))


@fault(
    bert_embeddings,
    breaks=a_constant_added_to_a_row_changes_nothing,
    kind="formula",
    repair="Centre first.",
)
def normalizes_without_the_mean(**inputs: Any) -> Array:
    """The root of the mean square stands for the deviation, and the mean is not taken off."""
    rows, finish = _normalized(inputs)
    return finish(rows / np.sqrt(np.square(rows).mean(axis=-1, keepdims=True) + inputs["epsilon"]))


@law(inputs=normal_sentences)
def a_mean_far_from_zero_costs_a_factor_not_its_square(
    bert_embeddings: Implementation, inputs: Arguments, format: Format
) -> Claim:
    """Rows whose mean is 1/sqrt(u) times their deviation lose half of the digits to rounding, and not all."""
    far = {**inputs, "token_table": asbounded(inputs["token_table"]) + 2.0 ** (format.precision // 2)}
    return closely(bert_embeddings(**far), bert_embeddings(**inputs))


@fault(
    bert_embeddings,
    breaks=a_mean_far_from_zero_costs_a_factor_not_its_square,
    kind="precision",
    repair="Take the mean off first, or use Welford's update.",
    seen="https://github.com/ml-explore/mlx/issues/2238",
)
def variance_in_one_pass(**inputs: Any) -> Array:
    """The variance is the mean square minus the squared mean, which cancel where the mean is large."""
    rows, finish = _normalized(inputs)
    mean = rows.mean(axis=-1, keepdims=True)
    variance = np.maximum(np.square(rows).mean(axis=-1, keepdims=True) - np.square(mean), 0)
    return finish((rows - mean) / np.sqrt(variance + inputs["epsilon"]))
