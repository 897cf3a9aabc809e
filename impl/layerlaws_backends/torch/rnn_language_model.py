"""The recurrent language model in PyTorch."""

from __future__ import annotations

import torch
from torch.nn import functional as F


def rnn_language_model(
    tokens: torch.Tensor,
    state: torch.Tensor,
    token_table: torch.Tensor,
    w_x: torch.Tensor,
    w_h: torch.Tensor,
    b_h: torch.Tensor,
    w_out: torch.Tensor,
    b_out: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor]:
    """One product with w_x for all steps, one with w_h for each, one with w_out for all.

    tokens (B, T), state (B, H), token_table (V, E), w_x (E, H), w_h (H, H), b_h (H,), w_out (H, V), b_out (V,)
    ->  log-probabilities (B, T, V), state (B, H)
    """
    (batch, length), (words, embedding), hidden = tokens.shape, token_table.shape, b_h.shape[0]
    if tokens.numel() and (tokens.min() < 0 or tokens.max() >= words):
        raise ValueError(f"tokens must lie in [0, {words})")
    shapes = {
        "state": (state, (batch, hidden)),
        "w_x": (w_x, (embedding, hidden)),
        "w_h": (w_h, (hidden, hidden)),
        "w_out": (w_out, (hidden, words)),
        "b_out": (b_out, (words,)),
    }
    for name, (tensor, shape) in shapes.items():
        if tensor.shape != shape:
            raise ValueError(f"{name} has shape {tuple(tensor.shape)}, expected {shape}")
    inputs = torch.addmm(b_h, F.embedding(tokens.mT, token_table).flatten(0, 1), w_x)  # time first
    states = [state.clone()]
    for x in inputs.reshape(length, batch, hidden).unbind():
        states.append(torch.addmm(x, states[-1], w_h).tanh())
    after = torch.stack(states, dim=1)[:, 1:].contiguous()  # F.linear takes twice as long over a part of an array
    return F.linear(after, w_out.mT, b_out).log_softmax(dim=-1), states[-1]
