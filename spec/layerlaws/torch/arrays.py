"""How arrays reach a device and come back, and how functions are differentiated."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray


def into(device: str) -> Callable[[NDArray[Any]], torch.Tensor]:
    """The `from_numpy` of a device, such as "cuda". bfloat16 travels as the 16-bit integers of its bits."""

    def from_numpy(array: NDArray[Any]) -> torch.Tensor:
        if array.dtype.name == "bfloat16":
            return torch.from_numpy(array.view(np.int16)).view(torch.bfloat16).to(device)
        return torch.from_numpy(array).to(device)

    return from_numpy


def from_numpy(array: NDArray[Any]) -> torch.Tensor:
    """An array as a tensor on the CPU, of the same dtype; it shares the array's memory."""
    return _on_cpu(array)


_on_cpu = into("cpu")


def to_numpy(tensor: torch.Tensor) -> NDArray[Any]:
    """A tensor of any device as an array. bfloat16 needs ml_dtypes, which the extra `torch` installs."""
    tensor = tensor.detach().cpu()
    if tensor.dtype == torch.bfloat16:
        import ml_dtypes

        return tensor.contiguous().view(torch.int16).numpy().view(ml_dtypes.bfloat16)
    array: NDArray[Any] = tensor.numpy()
    return array


def gradient(function: Callable[..., Any], arguments: Mapping[str, Any], cotangent: Any) -> dict[str, Any]:
    """The gradient of sum(cotangent * function(**arguments)) by every floating-point argument, by its name.

    A tuple of tensors gets a tuple of gradients; an argument that the result does not depend on gets zeros. cotangent:
    a tensor like the result, or a tuple of them; those of results without a gradient do not count.
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
    pairs = [(result, weight) for result, weight in pairs if getattr(result, "requires_grad", False)]
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
