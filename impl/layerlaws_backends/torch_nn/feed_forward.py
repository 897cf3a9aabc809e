"""The feed-forward part of nn.TransformerEncoderLayer, and nn.Conv1d."""

from __future__ import annotations

import torch
from torch import nn
from torch.func import functional_call

from layerlaws import Known

known = {
    "wider_kernels_are_refused": Known(
        "nn.Conv1d takes kernels of any width; a wider one without padding makes the sequence shorter",
        "https://docs.pytorch.org/docs/stable/generated/torch.nn.Conv1d.html",
    ),
}


def feed_forward(
    x: torch.Tensor, w_1: torch.Tensor, b_1: torch.Tensor, w_2: torch.Tensor, b_2: torch.Tensor
) -> torch.Tensor:
    """linear2(dropout(activation(linear1(x)))) of an encoder layer in evaluation, without its residual and norm.

    x (B, T, D), w_1 (D, F), b_1 (F,), w_2 (F, D), b_2 (D,)  ->  (B, T, D)
    """
    layer = nn.TransformerEncoderLayer(
        x.shape[-1], nhead=1, dim_feedforward=b_1.shape[-1], batch_first=True, device="meta", dtype=x.dtype
    ).eval()
    hidden = layer.activation(functional_call(layer.linear1, {"weight": w_1.mT, "bias": b_1}, x))
    result = functional_call(layer.linear2, {"weight": w_2.mT, "bias": b_2}, layer.dropout(hidden))
    dropped: torch.Tensor = layer.dropout2(result)
    return dropped


def feed_forward_convolution(
    x: torch.Tensor, kernel_1: torch.Tensor, b_1: torch.Tensor, kernel_2: torch.Tensor, b_2: torch.Tensor
) -> torch.Tensor:
    """Two nn.Conv1d of kernel size 1 on (B, D, T); their kernels are (out, in, width).

    x (B, T, D), kernel_1 (1, D, F), b_1 (F,), kernel_2 (1, F, D), b_2 (D,)  ->  (B, T, D)
    """
    width, hidden_width = x.shape[-1], b_1.shape[-1]
    first = nn.Conv1d(width, hidden_width, kernel_size=1, device="meta", dtype=x.dtype)
    second = nn.Conv1d(hidden_width, width, kernel_size=1, device="meta", dtype=x.dtype)
    hidden = functional_call(first, {"weight": kernel_1.permute(2, 1, 0).contiguous(), "bias": b_1}, x.mT).relu()
    result: torch.Tensor = functional_call(
        second, {"weight": kernel_2.permute(2, 1, 0).contiguous(), "bias": b_2}, hidden
    )
    return result.mT
