"""Attention of three decoders to the source, in PyTorch."""

from __future__ import annotations

import math

import torch


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
    """The previous state asks, the context goes into the new one.

    embedding (B, E), state (B, Q), memory (B, S, M), w_query (Q, A), w_memory (M, A), v (A,), w_input (E, Q),
    w_context (M, Q), w_state (Q, Q), bias (Q,)  ->  new_state (B, Q), context (B, M), weights (B, S)
    """
    (batch, embedded), width, (source, depth), hidden_width = embedding.shape, state.shape[1], memory.shape[1:], len(v)
    _check("state", state, batch, width)
    _check("memory", memory, batch, source, depth)
    _check("w_query", w_query, width, hidden_width)
    _check("w_memory", w_memory, depth, hidden_width)
    _check("w_input", w_input, embedded, width)
    _check("w_context", w_context, depth, width)
    _check("w_state", w_state, width, width)
    _check("bias", bias, width)
    hidden = memory @ w_memory
    hidden += (state @ w_query)[:, None]
    weights = (hidden.tanh_() @ v).softmax(dim=-1)
    context = _weighted_sum(weights, memory)
    summed = torch.addmm(torch.addmm(torch.addmm(bias, embedding, w_input), context, w_context), state, w_state)
    return summed.tanh(), context, weights


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
    """The new state asks, and is combined with the context.

    embedding (B, E), state (B, Q), memory (B, S, M), w_input (E, Q), w_state (Q, Q), bias (Q,), w_score (Q, M),
    w_combine (M + Q, Q)  ->  new_state (B, Q), attentional (B, Q), context (B, M), weights (B, S)
    """
    (batch, embedded), width, (source, depth) = embedding.shape, state.shape[1], memory.shape[1:]
    _check("state", state, batch, width)
    _check("memory", memory, batch, source, depth)
    _check("w_input", w_input, embedded, width)
    _check("w_state", w_state, width, width)
    _check("bias", bias, width)
    _check("w_score", w_score, width, depth)
    _check("w_combine", w_combine, depth + width, width)
    new_state = torch.addmm(torch.addmm(bias, embedding, w_input), state, w_state).tanh()
    weights = torch.bmm(memory, (new_state @ w_score)[:, :, None])[:, :, 0].softmax(dim=-1)
    context = _weighted_sum(weights, memory)
    attentional = torch.addmm(context @ w_combine[:depth], new_state, w_combine[depth:]).tanh()
    return new_state, attentional, context, weights


def conv_s2s_attention(
    state: torch.Tensor,
    target_embedding: torch.Tensor,
    memory: torch.Tensor,
    source_embedding: torch.Tensor,
    w: torch.Tensor,
    b: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Each state asks together with its target embedding; source states answer, and give their embeddings, too.

    state (B, T, C), target_embedding (B, T, E), memory (B, S, E), source_embedding (B, S, E), w (C, E), b (E,)
    ->  context (B, T, E), weights (B, T, S)
    """
    (batch, length, channels), source, width = state.shape, memory.shape[1], len(b)
    _check("target_embedding", target_embedding, batch, length, width)
    _check("memory", memory, batch, source, width)
    _check("source_embedding", source_embedding, batch, source, width)
    _check("w", w, channels, width)
    asking = torch.nn.functional.linear(state, w.mT, b).add_(target_embedding)
    weights = torch.bmm(asking, memory.mT).softmax(dim=-1)
    return torch.bmm(weights, memory + source_embedding) * math.sqrt(source), weights


def _weighted_sum(weights: torch.Tensor, memory: torch.Tensor) -> torch.Tensor:
    """(B, S), (B, S, M)  ->  (B, M)."""
    return torch.bmm(weights[:, None], memory)[:, 0]


def _check(name: str, array: torch.Tensor, *shape: int) -> None:
    if array.shape != shape:
        raise ValueError(f"{name} has shape {tuple(array.shape)}, expected {shape}")
