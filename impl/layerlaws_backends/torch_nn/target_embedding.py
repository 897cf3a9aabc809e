"""Target embedding as torch.nn offers it."""

from __future__ import annotations

import torch
from torch.nn import functional as F

from layerlaws import Known
from layerlaws_backends.torch_nn._known import BROADCASTING
from layerlaws_backends.torch_nn.bert_embeddings import _look_up

known = {
    "a_last_target_outside_the_vocabulary_is_refused": Known(
        "nn.Embedding checks the ids that it looks up, and the last target is none of them",
        "https://docs.pytorch.org/docs/stable/generated/torch.nn.Embedding.html",
    ),
    "words_and_positions_of_different_widths_are_refused": BROADCASTING,
}


def target_embedding(
    targets: torch.Tensor, begin: int, token_table: torch.Tensor, position_table: torch.Tensor
) -> torch.Tensor:
    """Two nn.Embedding, which refuse what they refuse, the first of them on the shifted targets.

    targets (B, T), token_table (V, E), position_table (P, E)  ->  (B, T, E)
    """
    previous = F.pad(targets[:, :-1], (1, 0), value=begin)
    positions = torch.arange(targets.shape[1], device=targets.device)
    return _look_up(token_table, previous) + _look_up(position_table, positions)
