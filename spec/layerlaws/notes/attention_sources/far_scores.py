"""Source states whose scores all lie far below zero: they weigh as their differences say."""

from __future__ import annotations

import numpy as np

from layerlaws.language import (
    STEEPNESS,
    Arguments,
    Array,
    Claim,
    Format,
    Implementation,
    Results,
    answers_as,
    far_below,
    fault,
    keys_with_scores,
    law,
    rewritten,
    softmax_from,
    two_factors,
)
from layerlaws.notes.attention_sources.bahdanau import _bahdanau, bahdanau_step
from layerlaws.notes.attention_sources.convolutional import (
    _conv_s2s_scores,
    _scaled_context,
    conv_s2s_attention,
)
from layerlaws.notes.attention_sources.luong import _luong, luong_step

SATURATED = 32.0
"""tanh of it is 1 in every format, or the next number to it, for all source states alike."""


def _none(inputs: Arguments, *names: str) -> Arguments:
    return {name: np.zeros_like(inputs[name]) for name in names}


@law(steepness=STEEPNESS, examples=40)
def bahdanau_s_source_may_score_far_below_zero(
    bahdanau_step: Implementation, inputs: Arguments, steepness: int, format: Format
) -> Claim:
    """Where no source state answers unlike another, all weigh the same, and scores may lie as far below zero as the
    format bears.
    """
    asking = {
        "state": keys_with_scores(inputs["state"], 1.0),
        "w_query": keys_with_scores(inputs["w_query"], SATURATED),
        **_none(inputs, "w_memory", "v"),
    }
    far = rewritten(asking["v"], 0, -far_below(format, steepness))
    return answers_as(bahdanau_step, {**inputs, **asking, "v": far}, {**inputs, **asking})


@fault(
    bahdanau_step,
    breaks=bahdanau_s_source_may_score_far_below_zero,
    kind="precision",
    repair="Start from minus infinity, or from the first score.",
)
def starts_bahdanau_s_maximum_at_a_number(**inputs: Array) -> Results:
    """The running maximum starts at -1e9: where all scores lie below, their exponentials vanish and nothing is left."""

    def weigh(state: Array, memory: Array, w_query: Array, w_memory: Array, v: Array) -> Array:
        hidden = np.tanh((state @ w_query)[:, None] + memory @ w_memory)
        return softmax_from(hidden @ v, -1e9)

    return _bahdanau(inputs, weigh=weigh)


@law(steepness=STEEPNESS, examples=40)
def luong_s_source_may_score_far_below_zero(
    luong_step: Implementation, inputs: Arguments, steepness: int, format: Format
) -> Claim:
    """Where no source state answers unlike another, all weigh the same, and scores may lie as far below zero as the
    format bears.
    """
    asked, held = two_factors(far_below(format, steepness))
    memory = inputs["memory"].copy()
    memory[..., 0] = -held
    level = {**_none(inputs, "w_input", "w_state", "w_score"), "memory": memory}
    level["bias"] = rewritten(np.zeros_like(inputs["bias"]), 0, SATURATED)
    far = rewritten(level["w_score"], (0, 0), asked)
    return answers_as(luong_step, {**inputs, **level, "w_score": far}, {**inputs, **level})


@fault(
    luong_step,
    breaks=luong_s_source_may_score_far_below_zero,
    kind="precision",
    repair="Start from minus infinity, or from the first score.",
)
def starts_luong_s_maximum_at_a_number(**inputs: Array) -> Results:
    """The running maximum starts at -1e9: where all scores lie below, their exponentials vanish and nothing is left."""

    def weigh(state: Array, memory: Array, w_score: Array) -> Array:
        return softmax_from(((state @ w_score)[:, None] @ memory.swapaxes(-1, -2))[:, 0], -1e9)

    return _luong(inputs, weigh=weigh)


@law(steepness=STEEPNESS, examples=40)
def conv_s2s_s_source_may_score_far_below_zero(
    conv_s2s_attention: Implementation, inputs: Arguments, steepness: int, format: Format
) -> Claim:
    """Where no source state answers unlike another, all weigh the same, and scores may lie as far below zero as the
    format bears.
    """
    asked, held = two_factors(far_below(format, steepness))
    memory = inputs["memory"].copy()
    memory[..., 0] = -held
    level = {**_none(inputs, "target_embedding", "w", "b"), "memory": memory}
    far = rewritten(level["b"], 0, asked)
    return answers_as(conv_s2s_attention, {**inputs, **level, "b": far}, {**inputs, **level})


@fault(
    conv_s2s_attention,
    breaks=conv_s2s_s_source_may_score_far_below_zero,
    kind="precision",
    repair="Start from minus infinity, or from the first score.",
)
def starts_the_source_s_maximum_at_a_number(**inputs: Array) -> Results:
    """The running maximum starts at -1e9: where all scores lie below, their exponentials vanish and nothing is left."""
    weights = softmax_from(_conv_s2s_scores(inputs), -1e9)
    return _scaled_context(weights, inputs["memory"], inputs["source_embedding"]), weights
