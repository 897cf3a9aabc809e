"""PyTorch on the CPU."""

from __future__ import annotations

import torch

from layerlaws_backends.torch._arrays import DTYPES, gradient, into, to_numpy

__all__ = ["describe", "dtypes", "from_numpy", "gradient", "operations", "to_numpy"]

operations = "layerlaws_backends.torch"
dtypes = DTYPES
from_numpy = into("cpu")


def describe() -> str:
    """Device and library, for the header of a record."""
    return f"CPU, PyTorch {torch.__version__}"
