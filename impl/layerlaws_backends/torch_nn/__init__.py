"""torch.nn as its users call it: thin adapters, no repair of what the library does.

Where the library deviates by design, `known` says so, with a link. Weights are copied into the modules, since
that is what a user who ports a model does; torch keeps linear weights as (out, in).
"""

from __future__ import annotations

import torch

from layerlaws import Known
from layerlaws_backends.torch._arrays import gradient, into, to_numpy

__all__ = ["describe", "dtypes", "from_numpy", "gradient", "known", "to_numpy"]

dtypes = ("float32", "float64", "bfloat16", "float16")
from_numpy = into("cpu")

_ALIGNMENT = Known(
    "is_causal aligns query 0 with key 0, also where a cache makes the keys longer",
    "https://github.com/pytorch/pytorch/issues/103082",
)

known = {
    "decoding_in_chunks_is_the_parallel_pass": _ALIGNMENT,
}


def describe() -> str:
    """Device and library, for the header of a record."""
    return f"CPU, PyTorch {torch.__version__}, {torch.get_num_threads()} threads"
