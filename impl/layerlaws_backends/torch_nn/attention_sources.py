"""Attentional decoders built of nn.RNNCell and nn.Linear, as they are ported."""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.func import functional_call
from torch.nn import functional as F

from layerlaws import Known
from layerlaws_backends.torch_nn._known import BROADCASTING

known = {
    "conv_s2s_attention_refuses_embeddings_that_do_not_fit": BROADCASTING,
    "a_luong_step_refuses_weights_of_another_shape": Known(
        "nn.Linear leads to any width; that the attentional vector has the state's is not its business",
        "https://docs.pytorch.org/docs/stable/generated/torch.nn.Linear.html",
    ),
}


def bahdanau_step(
    embedding: torch.Tensor,
    state: torch.Tensor,
    memory: torch.Tensor,
    w_query: torch.Tensor,
    w_memory: torch.Tensor,
    v: torch.Tensor,
    w_input: torch.Tensor,
    w_context: torch.Tensor,
    w_state: torch.Tensor,
    bias: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Three nn.Linear for the scores, and an nn.RNNCell that reads the embedding with the context beside it.

    embedding (B, E), state (B, Q), memory (B, S, M), w_query (Q, A), w_memory (M, A), v (A,), w_input (E, Q),
    w_context (M, Q), w_state (Q, Q), bias (Q,)  ->  new_state (B, Q), context (B, M), weights (B, S)
    """
    hidden = torch.tanh(_linear(state, w_query).unsqueeze(1) + _linear(memory, w_memory))
    weights = F.softmax(_linear(hidden, v.unsqueeze(1)).squeeze(2), dim=1)
    context = torch.bmm(weights.unsqueeze(1), memory).squeeze(1)
    inputs = torch.cat([embedding, context], dim=1)
    return _cell(inputs, state, torch.cat([w_input, w_context]), w_state, bias), context, weights


def luong_step(
    embedding: torch.Tensor,
    state: torch.Tensor,
    memory: torch.Tensor,
    w_input: torch.Tensor,
    w_state: torch.Tensor,
    bias: torch.Tensor,
    w_score: torch.Tensor,
    w_combine: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """nn.RNNCell, then nn.Linear of the source states for the general score, as PyTorch's chatbot tutorial has it.

    embedding (B, E), state (B, Q), memory (B, S, M), w_input (E, Q), w_state (Q, Q), bias (Q,), w_score (Q, M),
    w_combine (M + Q, Q)  ->  new_state (B, Q), attentional (B, Q), context (B, M), weights (B, S)
    """
    new_state = _cell(embedding, state, w_input, w_state, bias)
    energy = _linear(memory, w_score.mT)  # (B, S, Q)
    weights = F.softmax(torch.bmm(energy, new_state.unsqueeze(2)).squeeze(2), dim=1)
    context = torch.bmm(weights.unsqueeze(1), memory).squeeze(1)
    attentional = torch.tanh(_linear(torch.cat([context, new_state], dim=1), w_combine))
    return new_state, attentional, context, weights


def conv_s2s_attention(
    state: torch.Tensor,
    target_embedding: torch.Tensor,
    memory: torch.Tensor,
    source_embedding: torch.Tensor,
    w: torch.Tensor,
    b: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor]:
    """nn.Linear, torch.bmm and S sqrt(1/S), as in fairseq's convolutional decoder without its projection back.

    state (B, T, C), target_embedding (B, T, E), memory (B, S, E), source_embedding (B, S, E), w (C, E), b (E,)
    ->  context (B, T, E), weights (B, T, S)
    """
    weights = F.softmax(torch.bmm(_linear(state, w, b) + target_embedding, memory.mT), dim=2)
    source = memory.shape[1]
    return torch.bmm(weights, memory + source_embedding) * (source * math.sqrt(1.0 / source)), weights


def _linear(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None = None) -> torch.Tensor:
    """nn.Linear with these weights, which it keeps as (out, in). The meta device spares drawing others."""
    width, out = weight.shape
    layer = nn.Linear(width, out, bias=bias is not None, device="meta")
    parameters = {"weight": weight.mT} if bias is None else {"weight": weight.mT, "bias": bias}
    result: torch.Tensor = functional_call(layer, parameters, x)
    return result


def _cell(
    x: torch.Tensor, state: torch.Tensor, w_x: torch.Tensor, w_state: torch.Tensor, bias: torch.Tensor
) -> torch.Tensor:
    """nn.RNNCell, whose second bias is left at zero."""
    cell = nn.RNNCell(x.shape[1], state.shape[1], device="meta")
    parameters = {"weight_ih": w_x.mT, "weight_hh": w_state.mT, "bias_ih": bias, "bias_hh": torch.zeros_like(bias)}
    result: torch.Tensor = functional_call(cell, parameters, (x, state))
    return result
