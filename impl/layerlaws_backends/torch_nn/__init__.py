"""torch.nn as its users call it: thin adapters, no repair of what the library does.

Where the library deviates by design, `known` of the note's module says so, with a link. Weights are copied into the
modules, since that is what a user who ports a model does; torch keeps linear weights as (out, in).
"""

from __future__ import annotations

import torch

from layerlaws.torch import from_numpy, gradient, to_numpy
from layerlaws_backends.torch._formats import ADDS_AS_STORED

__all__ = ["arithmetic", "describe", "dtypes", "from_numpy", "gradient", "to_numpy"]

dtypes = ("float32", "float64", "bfloat16", "float16")
arithmetic = {
    "bert_embeddings": ADDS_AS_STORED,
    "target_embedding": ADDS_AS_STORED,
    "rnn_language_model": ADDS_AS_STORED,
    "fold": ADDS_AS_STORED,
    "unfold": ADDS_AS_STORED,
    "outlook_attention": ADDS_AS_STORED,
    # nn.Bilinear multiplies three tensors element by element, and adds up the stored products:
    # aten/src/ATen/native/Linear.cpp, _trilinear
    "general_score": ADDS_AS_STORED,
}


def describe() -> str:
    """Device and library, for the header of a record."""
    return f"CPU, PyTorch {torch.__version__}"
