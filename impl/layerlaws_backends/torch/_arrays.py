"""How arrays reach a device and come back, and how functions are differentiated."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from layerlaws import Arithmetic, Known

DTYPES = ("float32", "float64", "bfloat16", "float16")

ADDS_AS_STORED = {name: Arithmetic(accumulate=name) for name in ("bfloat16", "float16")}
"""Where PyTorch adds up in the storage format.

The gradient of a table that rows are looked up in: grad_weight[k].add_(row) (aten/src/ATen/native/Embedding.cpp,
embedding_dense_backward_cpu), and index_put_ with accumulate. col2im, which is F.fold and the gradient of F.unfold:
data_im[i] += data_col[j] (aten/src/ATen/native/im2col.h).
"""

HIDDEN_KEYS = Known(
    "a hidden score is what the key gives plus -inf, which is not a number where the key is none",
    "https://github.com/pytorch/pytorch/issues/101967",
    rare=True,
)
"""What F.scaled_dot_product_attention does with hidden keys that are not numbers; not all of its kernels do."""


def into(device: str) -> Callable[[NDArray[Any]], torch.Tensor]:
    """from_numpy for a device. bfloat16 travels as the 16-bit integers of its bits."""

    def from_numpy(array: NDArray[Any]) -> torch.Tensor:
        if array.dtype.name == "bfloat16":
            return torch.from_numpy(array.view(np.int16)).view(torch.bfloat16).to(device)
        return torch.from_numpy(array).to(device)

    return from_numpy


def to_numpy(tensor: torch.Tensor) -> NDArray[Any]:
    """A tensor of any device as an array."""
    tensor = tensor.detach().cpu()
    if tensor.dtype == torch.bfloat16:
        import ml_dtypes

        return tensor.contiguous().view(torch.int16).numpy().view(ml_dtypes.bfloat16)
    array: NDArray[Any] = tensor.numpy()
    return array


def gradient(function: Callable[..., Any], arguments: Mapping[str, Any], cotangent: Any) -> dict[str, Any]:
    """The gradient of sum(cotangent * function(**arguments)) by every floating-point argument.

    A tuple of tensors gets a tuple of gradients; an argument that the result does not depend on gets zeros.
    """

    def leaf(x: Any) -> Any:
        if isinstance(x, tuple):
            return tuple(leaf(part) for part in x)
        return x.requires_grad_() if isinstance(x, torch.Tensor) and x.is_floating_point() else x

    leaves = {name: leaf(x) for name, x in arguments.items()}
    flat = [
        (name, x)
        for name, xs in leaves.items()
        for x in (xs if isinstance(xs, tuple) else (xs,))
        if isinstance(x, torch.Tensor) and x.requires_grad
    ]
    results = function(**leaves)
    pairs = list(zip(results, cotangent, strict=True)) if isinstance(results, tuple) else [(results, cotangent)]
    pairs = [(result, weight) for result, weight in pairs if result.requires_grad]
    found: tuple[torch.Tensor, ...] = tuple(torch.zeros_like(x) for _, x in flat)
    if pairs:
        found = torch.autograd.grad(
            [result for result, _ in pairs],
            [x for _, x in flat],
            [weight for _, weight in pairs],
            allow_unused=True,
            materialize_grads=True,
        )
    gradients: dict[str, Any] = {}
    for (name, _), g in zip(flat, found, strict=True):
        gradients[name] = (*gradients.get(name, ()), g) if isinstance(leaves[name], tuple) else g
    return gradients
