"""nn.CrossEntropyLoss with label smoothing; torch.nn has no smoothing of labels alone."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import nn

from layerlaws import Known

_LOSS = "https://github.com/pytorch/pytorch/blob/main/aten/src/ATen/native/LossNLL.cpp"
_ADDED_UP = Known(
    "the log-probabilities of a row are added up in their own dtype before they are averaged: float16 overflows",
    _LOSS,
    "float16",
)
known = {
    "a_batch_of_ignored_rows_costs_nothing": Known(
        "where every row is ignored the mean loss is 0 / 0, not a number",
        "https://github.com/pytorch/pytorch/issues/116349",
    ),
    "a_loss_cannot_be_smoothed_by_less_than_nothing": Known(
        "label_smoothing is looked at only where it is above 0; a negative one, or not a number, counts as none", _LOSS
    ),
    "many_improbable_classes_do_not_overflow": _ADDED_UP,
    "label_smoothed_cross_entropy.agrees_at_seldom_sizes": replace(_ADDED_UP, rare=True),
}


def label_smoothed_cross_entropy(
    logits: torch.Tensor, targets: torch.Tensor, smoothing: float, ignore_index: int
) -> torch.Tensor:
    """nn.CrossEntropyLoss, averaged. logits (N, K), targets (N,)  ->  ()."""
    loss: torch.Tensor = nn.CrossEntropyLoss(ignore_index=ignore_index, label_smoothing=smoothing)(logits, targets)
    return loss
