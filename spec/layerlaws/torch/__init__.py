"""PyTorch for backends: arrays in and out, gradients, and operations made of an nn.Module (docs/your-module.md).

A backend imports `from_numpy` (or `into`, for another device), `to_numpy` and `gradient`, and holds its modules to
operations by `from_module`, with `transposed`, `packed`, `split` and `as_built` for parameters that are kept in another
layout. Needs PyTorch: the extra `torch`.
"""

try:
    import torch as _torch  # noqa: F401
except ModuleNotFoundError as _missing:
    if _missing.name != "torch":
        raise
    raise ModuleNotFoundError("layerlaws.torch needs PyTorch: pip install 'layerlaws[torch]'", name="torch") from None

from layerlaws.torch.arrays import from_numpy, gradient, into, to_numpy
from layerlaws.torch.modules import from_module
from layerlaws.torch.sources import as_built, packed, split, transposed

__all__ = ["as_built", "from_module", "from_numpy", "gradient", "into", "packed", "split", "to_numpy", "transposed"]
