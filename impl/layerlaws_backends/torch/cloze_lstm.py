"""Cloze windows and the two LSTMs around a gap, in PyTorch."""

from __future__ import annotations

import torch
from torch.nn import functional as F

Weights = tuple[torch.Tensor, torch.Tensor, torch.Tensor]


def cloze_windows(tokens: torch.Tensor, width: int, padding: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The k = width words on each side of every word. tokens (T,)  ->  contexts (T, 2k), targets (T,)."""
    if width < 1:
        raise ValueError(f"width must be 1 at least, not {width}")
    sides = F.pad(tokens, (width, width), value=padding).unfold(0, width, 1)  # (T + k + 1, k)
    return torch.cat([sides[: len(tokens)], sides[width + 1 :]], dim=1), tokens.clone()


def lstm(
    x: torch.Tensor, hidden: torch.Tensor, cell: torch.Tensor, w_x: torch.Tensor, w_h: torch.Tensor, bias: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """torch.lstm, which is fused where the device has a kernel for it.

    x (B, T, E), hidden, cell (B, H), w_x (E, 4H), w_h (H, 4H), bias (4H,)
    ->  output (B, T, H), hidden (B, H), cell (B, H)
    """
    (batch, length, width), units = x.shape, cell.shape[1]
    shapes = {
        "hidden": (hidden, (batch, units)),
        "cell": (cell, (batch, units)),
        "w_x": (w_x, (width, 4 * units)),
        "w_h": (w_h, (units, 4 * units)),
        "bias": (bias, (4 * units,)),
    }
    for name, (tensor, shape) in shapes.items():
        if tensor.shape != shape:
            raise ValueError(f"{name} has shape {tuple(tensor.shape)}, expected {shape}")
    if not length:
        return x.new_empty(batch, 0, units), hidden.clone(), cell.clone()
    weights = [w_x.mT, w_h.mT, bias, torch.zeros_like(bias)]  # (out, in), and a bias for each
    # cuDNN keeps what the gradient needs in training only.
    training = torch.is_grad_enabled() and any(tensor.requires_grad for tensor in (x, hidden, cell, w_x, w_h, bias))
    output, last, memory = torch.lstm(
        x,
        (hidden[None], cell[None]),
        weights,
        has_biases=True,
        num_layers=1,
        dropout=0.0,
        train=training,
        bidirectional=False,
        batch_first=True,
    )
    return output, last[0], memory[0]


def cloze_lstm(
    embeddings: torch.Tensor, forward: Weights, backward: Weights, w_out: torch.Tensor, b_out: torch.Tensor
) -> torch.Tensor:
    """Forward states after word i - 1 and backward states after word i + 1, one product with w_out.

    embeddings (B, T, E), forward and backward (w_x (E, 4H), w_h (H, 4H), bias (4H,)), w_out (2H, V), b_out (V,)
    ->  log-probabilities (B, T, V)
    """
    (batch, length, width), units, words = embeddings.shape, w_out.shape[0] // 2, w_out.shape[1]
    if w_out.shape[0] % 2 or b_out.shape != (words,):
        raise ValueError(f"w_out and b_out have the shapes {tuple(w_out.shape)} and {tuple(b_out.shape)}")
    fitting = [(width, 4 * units), (units, 4 * units), (4 * units,)]
    for name, side in (("forward", forward), ("backward", backward)):
        if [tuple(tensor.shape) for tensor in side] != fitting:
            raise ValueError(f"{name} has shapes {[tuple(tensor.shape) for tensor in side]}, expected {fitting}")
    nothing = embeddings.new_zeros(batch, units)
    left, _, _ = lstm(embeddings[:, :-1], nothing, nothing, *forward)
    right, _, _ = lstm(embeddings[:, 1:].flip(1), nothing, nothing, *backward)
    # A state of zeros in front of the forward ones, and behind the backward ones; a text of no words has neither.
    ends = (0, 0, 1, 0), (0, 0, 0, 1)
    states = torch.cat([F.pad(left, ends[0]), F.pad(right.flip(1), ends[1])], dim=2)[:, :length]
    return F.linear(states, w_out.mT, b_out).log_softmax(dim=-1)
