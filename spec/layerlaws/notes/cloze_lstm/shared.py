"""TODO-TITLE shared."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from layerlaws.language import Array, calmed, matrix


def _gates(weights: Sequence[Any], heard: Array, calm: bool) -> tuple[Any, Any, Any]:
    """Weights of a recurrence that does not stretch. calm: and of gates that what is heard does not saturate."""
    w_x, w_h, bias = weights
    reach = np.abs(heard @ w_x).max(initial=0.0) if calm else 0.0
    return w_x / max(1.0, reach / 2), calmed(w_h), bias


def _lstm_weights(random: np.random.Generator, E: int, H: int) -> tuple[Any, Any, Any]:
    """Recurrent weights so small that the bounds of errors do not grow from step to step."""
    return matrix(random, E, 4 * H) / 2, matrix(random, H, 4 * H) / 32, random.standard_normal(4 * H) / 8
