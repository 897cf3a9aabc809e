"""Predictive attention whose scores lie far below those outside the window."""

from __future__ import annotations

from typing import Any

import numpy as np

from layerlaws.language import (
    STEEPNESS,
    Arguments,
    Claim,
    Format,
    Implementation,
    Results,
    answers_as,
    far_below,
    fault,
    keys_with_scores,
    law,
    require,
    seeds,
    two_factors,
)
from layerlaws.notes.local_attention.predictive import _bell, _positions, local_attention_predictive, middle_steps
from layerlaws.notes.local_attention.windows import _near, _read


@law(inputs=middle_steps(), steepness=STEEPNESS, seed=seeds, examples=60)
def a_predicted_window_may_score_far_below_what_is_outside(
    local_attention_predictive: Implementation, inputs: Arguments, steepness: int, seed: int, format: Format
) -> Claim:
    """Where all scores inside the window are equal, states weigh by their distance alone, however far below zero the
    scores lie, and whatever those outside are.
    """
    asked, held = two_factors(far_below(format, steepness))
    count = inputs["keys"].shape[1]
    window = min(inputs["window"], max(count // 2 - 1, 1))  # something is outside, where there is room
    near = _near(count // 2, window, count)
    states = inputs["keys"].copy()
    states[..., 0] = np.where(near, -held, np.random.default_rng(seed).choice([0.0, held], near.shape))
    level = {**inputs, "query": np.zeros_like(inputs["query"]), "keys": states, "window": window}
    far = keys_with_scores(inputs["query"], asked)
    return answers_as(local_attention_predictive, {**level, "query": far}, level)


def _predicted_with(inputs: Arguments, fill: float = -np.inf, least: float = -np.inf) -> Results:
    """Predictive attention that hides scores behind a number, or looks for the greatest from a number on."""
    count = inputs["keys"].shape[1]
    require(inputs["window"] >= 1, "window is empty")
    centres = _positions(inputs["query"], inputs["w_p"], inputs["v_p"], count)
    near = _near(np.floor(centres), inputs["window"], count)
    bell = _bell(centres, inputs["window"] / 2, count)
    return _read(inputs["query"], inputs["keys"], near, bell, fill=fill, least=least)


@fault(
    local_attention_predictive,
    breaks=a_predicted_window_may_score_far_below_what_is_outside,
    kind="precision",
    repair="Start from minus infinity, or from the first score.",
)
def starts_the_maximum_of_a_predicted_window_at_a_number(**inputs: Any) -> Results:
    """The running maximum starts at -1e9: where all scores lie below, their exponentials vanish and nothing is left."""
    return _predicted_with(inputs, least=-1e9)


@fault(
    local_attention_predictive,
    breaks=a_predicted_window_may_score_far_below_what_is_outside,
    kind="mask",
    repair="Fill with -inf.",
    seen="https://github.com/huggingface/transformers/issues/14859",
)
def puts_minus_ten_thousand_outside_a_predicted_window(**inputs: Any) -> Results:
    """Scores outside the window are set to -10,000; those inside that lie below are hidden by them."""
    return _predicted_with(inputs, fill=-1e4)


@fault(
    local_attention_predictive,
    breaks=a_predicted_window_may_score_far_below_what_is_outside,
    kind="mask",
    repair="Fill with -inf.",
    seen="https://github.com/awslabs/gluonts/pull/1401",
)
def puts_minus_a_billion_outside_a_predicted_window(**inputs: Any) -> Results:
    """Scores outside the window are set to -1e9; those inside that lie below are hidden by them."""
    return _predicted_with(inputs, fill=-1e9)
