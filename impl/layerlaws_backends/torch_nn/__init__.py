"""torch.nn as its users call it: thin adapters, no repair of what the library does.

Where the library deviates by design, `known` of the note's module says so, with a link. Weights are copied into the
modules, since that is what a user who ports a model does; torch keeps linear weights as (out, in).
"""

from __future__ import annotations

import torch

from layerlaws.torch import from_numpy, gradient, to_numpy
from layerlaws_backends.torch._formats import ADDING

__all__ = ["arithmetic", "describe", "dtypes", "from_numpy", "gradient", "to_numpy"]

dtypes = ("float32", "float64", "bfloat16", "float16")
arithmetic = ADDING


def describe() -> str:
    """Device and library, for the header of a record."""
    return f"CPU, PyTorch {torch.__version__}"
