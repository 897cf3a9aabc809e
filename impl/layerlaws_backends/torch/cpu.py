"""PyTorch on the CPU."""

from __future__ import annotations

import torch

from layerlaws import Known
from layerlaws_backends.torch._arrays import DTYPES, gradient, into, to_numpy

__all__ = ["describe", "dtypes", "from_numpy", "gradient", "known", "operations", "to_numpy"]

operations = "layerlaws_backends.torch"
dtypes = DTYPES
from_numpy = into("cpu")
GATES_CLOSE_EARLY = Known(
    "gates of oneDNN's LSTM are 0 below 2^-125.5, just above the smallest normal number: its exponential is made "
    "of 2^(n - 1), for which a normal number has no exponent there",
    "https://github.com/uxlfoundation/oneDNN/blob/main/src/cpu/x64/injectors/jit_uni_eltwise_injector.cpp",
    "float32",
    rare=True,
)
known = dict.fromkeys(("lstm.agrees_with_definition", "lstm.gradient_agrees_with_definition"), GATES_CLOSE_EARLY)


def describe() -> str:
    """Device and library, for the header of a record."""
    return f"CPU, PyTorch {torch.__version__}"
