"""The recurrent language model of nn.Embedding, nn.RNN and nn.Linear."""

from __future__ import annotations

import torch
from torch import nn
from torch.func import functional_call
from torch.nn import functional as F

from layerlaws import Known

known = {
    "an_empty_text_leaves_the_state_as_it_is": Known(
        "nn.RNN refuses a sequence of no steps", "https://github.com/pytorch/pytorch/issues/50192"
    ),
}


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
    """nn.RNN has (out, in) weights, a second bias, and a state with an axis for its layers in front.

    tokens (B, T), state (B, H), token_table (V, E), w_x (E, H), w_h (H, H), b_h (H,), w_out (H, V), b_out (V,)
    ->  log-probabilities (B, T, V), state (B, H)
    """
    (words, embedding), hidden = token_table.shape, len(b_h)
    table = nn.Embedding(words, embedding, device="meta")
    recurrence = nn.RNN(embedding, hidden, batch_first=True, device="meta", dtype=state.dtype)
    linear = nn.Linear(hidden, words, device="meta", dtype=state.dtype)
    weights = {"weight_ih_l0": w_x.mT, "weight_hh_l0": w_h.mT, "bias_ih_l0": b_h, "bias_hh_l0": torch.zeros_like(b_h)}
    embedded = functional_call(table, {"weight": token_table}, tokens)
    states, last = functional_call(recurrence, weights, (embedded, state[None]))
    scores = functional_call(linear, {"weight": w_out.mT, "bias": b_out}, states)
    return F.log_softmax(scores, dim=-1), last[0]
