"""PyTorch on a CUDA device."""

from __future__ import annotations

from collections.abc import Callable

import torch

from layerlaws.torch import gradient, into, to_numpy
from layerlaws_backends.torch._formats import ADDING, ADDS_AS_STORED, DTYPES

__all__ = [
    "arithmetic", "available", "describe", "dtypes", "from_numpy", "gradient", "measured", "operations", "synchronize",
    "to_numpy",
]  # fmt: skip

operations = "layerlaws_backends.torch"
dtypes = DTYPES
from_numpy = into("cuda")
# The kernels of a GPU add with atomics of the storage format here: aten/src/ATen/native/cuda/EmbeddingBackwardKernel.cu
# keeps partial sums in float32, but index_put_ and col2im do not promise to. No record of a GPU says so yet.
arithmetic = {**ADDING, "unigram_encode": ADDS_AS_STORED}

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


def measured(call: Callable[[], object]) -> tuple[float, int]:
    """Seconds between two events around a call, and the bytes it needed at most beyond those held before."""
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    held = torch.cuda.memory_allocated()
    start.record()
    call()
    end.record()
    torch.cuda.synchronize()
    return start.elapsed_time(end) / 1000, torch.cuda.max_memory_allocated() - held


def describe() -> str:
    """Device and library, for the header of a record."""
    return f"{torch.cuda.get_device_name()}, PyTorch {torch.__version__}, CUDA {torch.version.cuda}"
