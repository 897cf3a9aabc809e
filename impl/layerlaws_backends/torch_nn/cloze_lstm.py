"""The LSTM of torch.nn, and two of them around a gap."""

from __future__ import annotations

import torch
from torch import nn
from torch.func import functional_call
from torch.nn import functional as F

from layerlaws import Known
from layerlaws_backends.torch.cpu import GATES_CLOSE_EARLY

_NO_STEPS = Known("nn.LSTM refuses a sequence of no steps", "https://github.com/pytorch/pytorch/issues/50192")
_UNCHECKED = Known(
    "functional_call does not compare shapes, as load_state_dict does, and the fused LSTM ignores surplus weights",
    "https://docs.pytorch.org/docs/stable/generated/torch.func.functional_call.html",
    "float32",
)
known = {
    "lstm.agrees_with_definition": GATES_CLOSE_EARLY,
    "lstm.gradient_agrees_with_definition": GATES_CLOSE_EARLY,
    "an_empty_sequence_leaves_both_states": _NO_STEPS,
    "a_text_of_no_words_has_no_gaps": _NO_STEPS,
    "a_recurrent_matrix_of_five_gates_is_refused": _UNCHECKED,
    "sides_without_their_weights_are_refused": _UNCHECKED,
}

Weights = tuple[torch.Tensor, torch.Tensor, torch.Tensor]


def lstm(
    x: torch.Tensor, hidden: torch.Tensor, cell: torch.Tensor, w_x: torch.Tensor, w_h: torch.Tensor, bias: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """nn.LSTM has (out, in) weights, a second bias, and states with an axis for its layers in front.

    x (B, T, E), hidden, cell (B, H), w_x (E, 4H), w_h (H, 4H), bias (4H,)
    ->  output (B, T, H), hidden (B, H), cell (B, H)
    """
    module = nn.LSTM(x.shape[-1], cell.shape[-1], batch_first=True, device="meta", dtype=x.dtype)
    weights = {"weight_ih_l0": w_x.mT, "weight_hh_l0": w_h.mT, "bias_ih_l0": bias, "bias_hh_l0": torch.zeros_like(bias)}
    output, (last, memory) = functional_call(module, weights, (x, (hidden[None], cell[None])))
    return output, last[0], memory[0]


def cloze_lstm(
    embeddings: torch.Tensor, forward: Weights, backward: Weights, w_out: torch.Tensor, b_out: torch.Tensor
) -> torch.Tensor:
    """A bidirectional nn.LSTM, whose outputs of each direction are shifted away from the gap, and nn.Linear.

    embeddings (B, T, E), forward and backward (w_x (E, 4H), w_h (H, 4H), bias (4H,)), w_out (2H, V), b_out (V,)
    ->  log-probabilities (B, T, V)
    """
    (units2, words), units = w_out.shape, w_out.shape[0] // 2
    module = nn.LSTM(
        embeddings.shape[-1], units, batch_first=True, bidirectional=True, device="meta", dtype=embeddings.dtype
    )
    weights: dict[str, torch.Tensor] = {}
    for suffix, (w_x, w_h, bias) in (("_l0", forward), ("_l0_reverse", backward)):
        weights |= {f"weight_ih{suffix}": w_x.mT, f"weight_hh{suffix}": w_h.mT}
        weights |= {f"bias_ih{suffix}": bias, f"bias_hh{suffix}": torch.zeros_like(bias)}
    before, after = functional_call(module, weights, (embeddings,))[0].split(units, dim=-1)
    states = torch.cat([F.pad(before, (0, 0, 1, -1)), F.pad(after, (0, 0, -1, 1))], dim=-1)
    linear = nn.Linear(units2, words, device="meta", dtype=embeddings.dtype)
    return F.log_softmax(functional_call(linear, {"weight": w_out.mT, "bias": b_out}, states), dim=-1)
