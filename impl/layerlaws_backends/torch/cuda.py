"""PyTorch on a CUDA device."""

from __future__ import annotations

import torch

from layerlaws_backends.torch._arrays import DTYPES, gradient, into, to_numpy

__all__ = ["available", "describe", "dtypes", "from_numpy", "gradient", "operations", "synchronize", "to_numpy"]

operations = "layerlaws_backends.torch"
dtypes = DTYPES
from_numpy = into("cuda")

# float32 is to mean float32: convolutions round to TF32 (10 bits) unless told not to.
torch.backends.cudnn.allow_tf32 = False
torch.backends.cuda.matmul.allow_tf32 = False


def available() -> str:
    """Why there is no CUDA here, or nothing."""
    if torch.version.cuda is None:
        return f"PyTorch {torch.__version__} is built without CUDA"
    return "" if torch.cuda.is_available() else "no CUDA device"


def synchronize() -> None:
    """Wait until the device has done all it was given."""
    torch.cuda.synchronize()


def describe() -> str:
    """Device and library, for the header of a record."""
    return f"{torch.cuda.get_device_name()}, PyTorch {torch.__version__}, CUDA {torch.version.cuda}"
