"""PyTorch on the CPU."""

from __future__ import annotations

import torch

from layerlaws import Known
from layerlaws.torch import from_numpy, gradient, to_numpy
from layerlaws_backends.torch._formats import ADDING, ADDS_AS_STORED, DTYPES

__all__ = ["arithmetic", "describe", "dtypes", "from_numpy", "gradient", "known", "operations", "to_numpy"]

operations = "layerlaws_backends.torch"
dtypes = DTYPES
arithmetic = {
    **ADDING,
    "unigram_encode": ADDS_AS_STORED,  # the best score up to each place is stored, one addition a piece
}
GATES_CLOSE_EARLY = Known(
    "gates of oneDNN's LSTM are 0 below 2^-125.5, just above the smallest normal number: its exponential is made "
    "of 2^(n - 1), for which a normal number has no exponent there",
    "https://github.com/uxlfoundation/oneDNN/blob/main/src/cpu/x64/injectors/jit_uni_eltwise_injector.cpp",
    "float32",
    rare=True,
)
_GATED = (
    "agrees_with_definition",
    "gradient_agrees_with_definition",
    "agrees_at_seldom_sizes",
    "agrees_at_every_scale",
)
known = {f"lstm.{law}": GATES_CLOSE_EARLY for law in _GATED}


def describe() -> str:
    """Device and library, for the header of a record."""
    return f"CPU, PyTorch {torch.__version__}"
