"""nn.AdaptiveLogSoftmaxWithLoss: log_prob, forward and predict."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.func import functional_call

from layerlaws import Known

_NO_TAILS = Known(
    "nn.AdaptiveLogSoftmaxWithLoss takes at least one cutoff below the size of the vocabulary, so it has a tail",
    "https://docs.pytorch.org/docs/stable/generated/torch.nn.AdaptiveLogSoftmaxWithLoss.html",
)
known = {
    "without_tails_it_is_the_plain_softmax": _NO_TAILS,
    "without_tails_the_highest_score_is_predicted": _NO_TAILS,
}

Tensors = tuple[torch.Tensor, ...]


def adaptive_log_softmax(
    hidden: torch.Tensor, head: torch.Tensor, tail_projections: Tensors, tail_outputs: Tensors, cutoffs: tuple[int, ...]
) -> torch.Tensor:
    """log_prob. hidden (N, H), head (H, c0 + J), tails J of (H, h_j) and of (h_j, c_{j+1} - c_j)  ->  (N, V)."""
    result: torch.Tensor = _call("log_prob", hidden, head, tail_projections, tail_outputs, cutoffs)
    return result


def adaptive_softmax_loss(
    hidden: torch.Tensor,
    head: torch.Tensor,
    tail_projections: Tensors,
    tail_outputs: Tensors,
    cutoffs: tuple[int, ...],
    targets: torch.Tensor,
) -> torch.Tensor:
    """The output of forward, which is log p(target), negated.

    hidden (N, H), head (H, c0 + J), tails J of (H, h_j) and of (h_j, c_{j+1} - c_j), targets (N,)  ->  (N,)
    """
    output: torch.Tensor = _call("forward", hidden, head, tail_projections, tail_outputs, cutoffs, targets).output
    return -output


def adaptive_softmax_predict(
    hidden: torch.Tensor, head: torch.Tensor, tail_projections: Tensors, tail_outputs: Tensors, cutoffs: tuple[int, ...]
) -> torch.Tensor:
    """predict. hidden (N, H), head (H, c0 + J), tails J of (H, h_j) and of (h_j, c_{j+1} - c_j)  ->  (N,)."""
    result: torch.Tensor = _call("predict", hidden, head, tail_projections, tail_outputs, cutoffs)
    return result


class _Call(nn.Module):
    """A method of the layer as the forward of a module, for functional_call."""

    def __init__(self, layer: nn.Module, method: str) -> None:
        super().__init__()
        self.layer, self.method = layer, method

    def forward(self, *arguments: torch.Tensor) -> Any:
        return getattr(self.layer, self.method)(*arguments)


def _call(
    method: str,
    hidden: torch.Tensor,
    head: torch.Tensor,
    tail_projections: Tensors,
    tail_outputs: Tensors,
    cutoffs: tuple[int, ...],
    *targets: torch.Tensor,
) -> Any:
    """The layer's method with these weights, which torch keeps as (out, in); its cutoffs stop before V.

    Tails are as wide as the weights: div_value has only widths that divide that of the hidden states. Weights are
    loaded as a user would, which checks their shapes, then put in once more so that gradients reach them.
    """
    width = hidden.shape[1]
    layer = nn.AdaptiveLogSoftmaxWithLoss(
        width, cutoffs[-1], cutoffs[:-1], div_value=1, device="meta", dtype=hidden.dtype
    )
    weights = {"head.weight": head.mT}
    for j, projection in enumerate(tail_projections):
        weights[f"tail.{j}.0.weight"] = projection.mT
    for j, output in enumerate(tail_outputs):
        weights[f"tail.{j}.1.weight"] = output.mT
    for j, projection in enumerate(tail_projections[: len(layer.tail)]):
        narrow, words = projection.shape[1], cutoffs[j + 1] - cutoffs[j]
        layer.tail[j] = nn.Sequential(
            nn.Linear(width, narrow, bias=False, device="meta", dtype=hidden.dtype),
            nn.Linear(narrow, words, bias=False, device="meta", dtype=hidden.dtype),
        )
    layer.load_state_dict(weights, assign=True)
    named = {f"layer.{name}": weight for name, weight in weights.items()}
    return functional_call(_Call(layer, method), named, (hidden, *targets))
