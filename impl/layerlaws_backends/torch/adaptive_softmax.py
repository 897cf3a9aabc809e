"""The adaptive softmax in PyTorch."""

from __future__ import annotations

import torch
from torch.nn import functional as F

Tensors = tuple[torch.Tensor, ...]


def adaptive_log_softmax(
    hidden: torch.Tensor, head: torch.Tensor, tail_projections: Tensors, tail_outputs: Tensors, cutoffs: tuple[int, ...]
) -> torch.Tensor:
    """Log-probabilities of all words.

    hidden (N, H), head (H, c0 + J), tail_projections J of (H, h_j), tail_outputs J of (h_j, c_{j+1} - c_j),
    cutoffs (c0, c1, ..., V)  ->  (N, V)
    """
    _check(hidden, head, tail_projections, tail_outputs, cutoffs)
    top = F.log_softmax(hidden @ head, dim=1)
    tails = [
        top[:, cutoffs[0] + j, None] + F.log_softmax(hidden @ projection @ output, dim=1)
        for j, (projection, output) in enumerate(zip(tail_projections, tail_outputs, strict=True))
    ]
    return torch.cat([top[:, : cutoffs[0]], *tails], dim=1)


def adaptive_softmax_loss(
    hidden: torch.Tensor,
    head: torch.Tensor,
    tail_projections: Tensors,
    tail_outputs: Tensors,
    cutoffs: tuple[int, ...],
    targets: torch.Tensor,
) -> torch.Tensor:
    """-log p(targets[n]): the head for all rows, each tail for the rows whose targets are in it.

    hidden (N, H), head (H, c0 + J), tail_projections J of (H, h_j), tail_outputs J of (h_j, c_{j+1} - c_j),
    cutoffs (c0, c1, ..., V), targets (N,) ids  ->  (N,)
    """
    _check(hidden, head, tail_projections, tail_outputs, cutoffs)
    if targets.shape != hidden.shape[:1]:
        raise ValueError(f"targets has shape {tuple(targets.shape)}, expected {tuple(hidden.shape[:1])}")
    if ((targets < 0) | (targets >= cutoffs[-1])).any():
        raise ValueError(f"targets must lie in [0, {cutoffs[-1]})")
    cluster = torch.bucketize(targets.contiguous(), torch.tensor(cutoffs, device=targets.device), right=True)
    # 0 is the short list, whose words are columns of the head; j + 1 is tail j, whose entry stands behind them.
    column = torch.where(cluster == 0, targets, cutoffs[0] - 1 + cluster)
    loss = F.cross_entropy(hidden @ head, column, reduction="none")
    for j, (projection, output) in enumerate(zip(tail_projections, tail_outputs, strict=True)):
        rows = (cluster == j + 1).nonzero().squeeze(1)
        if rows.numel():
            scores = hidden.index_select(0, rows) @ projection @ output
            inner = F.cross_entropy(scores, targets.index_select(0, rows) - cutoffs[j], reduction="none")
            loss = loss.index_add(0, rows, inner)
    return loss


def adaptive_softmax_predict(
    hidden: torch.Tensor, head: torch.Tensor, tail_projections: Tensors, tail_outputs: Tensors, cutoffs: tuple[int, ...]
) -> torch.Tensor:
    """The likeliest word; a tail is entered only by rows where it outweighs the best word found before.

    hidden (N, H), head (H, c0 + J), tail_projections J of (H, h_j), tail_outputs J of (h_j, c_{j+1} - c_j),
    cutoffs (c0, c1, ..., V)  ->  (N,) ids
    """
    _check(hidden, head, tail_projections, tail_outputs, cutoffs)
    top = F.log_softmax(hidden @ head, dim=1)
    best, word = top[:, : cutoffs[0]].max(dim=1)
    for j, (projection, output) in enumerate(zip(tail_projections, tail_outputs, strict=True)):
        entry = top[:, cutoffs[0] + j]
        rows = (entry > best).nonzero().squeeze(1)
        inner, likeliest = F.log_softmax(hidden[rows] @ projection @ output, dim=1).max(dim=1)
        found = entry[rows] + inner
        better = found > best[rows]
        word = word.index_put((rows[better],), cutoffs[j] + likeliest[better])
        best = best.index_put((rows[better],), found[better])
    return word


def _check(
    hidden: torch.Tensor, head: torch.Tensor, tail_projections: Tensors, tail_outputs: Tensors, cutoffs: tuple[int, ...]
) -> None:
    """Refuse weights that do not fit the hidden states and the cutoffs."""
    sizes = [end - start for start, end in zip((0, *cutoffs), cutoffs, strict=False)]
    if not sizes or min(sizes) <= 0:
        raise ValueError(f"cutoffs must increase from above 0, not {cutoffs}")
    width, tails = hidden.shape[1], len(cutoffs) - 1
    if head.shape != (width, cutoffs[0] + tails):
        raise ValueError(f"head has shape {tuple(head.shape)}, expected {(width, cutoffs[0] + tails)}")
    for name, matrices in (("tail_projections", tail_projections), ("tail_outputs", tail_outputs)):
        if len(matrices) != tails:
            raise ValueError(f"{name} has {len(matrices)} matrices for {tails} tails")
    for projection, output, size in zip(tail_projections, tail_outputs, sizes[1:], strict=True):
        if projection.shape[0] != width:
            raise ValueError(f"tail_projections has a matrix of {projection.shape[0]} rows, not {width}")
        if output.shape != (projection.shape[1], size):
            raise ValueError(
                f"tail_outputs has a matrix of shape {tuple(output.shape)}, not {(projection.shape[1], size)}"
            )
