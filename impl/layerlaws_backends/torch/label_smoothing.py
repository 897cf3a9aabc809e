"""Label smoothing in PyTorch."""

from __future__ import annotations

import torch
from torch.nn import functional as F


def smooth_labels(one_hot: torch.Tensor, smoothing: float) -> torch.Tensor:
    """(1 - smoothing) one_hot + smoothing / K. (N, K) -> (N, K)."""
    _check(smoothing)
    return torch.add(smoothing / one_hot.shape[1], one_hot, alpha=1 - smoothing)


def label_smoothed_cross_entropy(
    logits: torch.Tensor, targets: torch.Tensor, smoothing: float, ignore_index: int
) -> torch.Tensor:
    """Mean over the kept rows of -log_softmax, gathered at the target and averaged over the classes.

    Rows are reduced in single precision at least: in half, a sum over many classes overflows.
    logits (N, K), targets (N,)  ->  ()
    """
    _check(smoothing)
    classes = logits.shape[1]
    if targets.shape != logits.shape[:1]:
        raise ValueError(f"targets has shape {tuple(targets.shape)}, logits has {len(logits)} rows")
    kept = targets != ignore_index
    if (kept & ((targets < 0) | (targets >= classes))).any():  # a kernel on a GPU would stop the whole process
        raise ValueError(f"targets must lie in [0, {classes}) or be {ignore_index}")
    wide = torch.promote_types(logits.dtype, torch.float32)
    log_p = F.log_softmax(logits, dim=1, dtype=wide)
    right = log_p.gather(1, targets.where(kept, 0)[:, None])[:, 0]
    expected = torch.lerp(right, log_p.sum(dim=1) / classes, smoothing)  # the gradient of a mean fills an array
    return (-expected.where(kept, 0).sum() / kept.sum().clamp(min=1)).to(logits.dtype)


def _check(smoothing: float) -> None:
    if not 0 <= smoothing <= 1:
        raise ValueError(f"smoothing is a share in [0, 1], not {smoothing}")
