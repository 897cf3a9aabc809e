"""Attention of three decoders to the source, in NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def bahdanau_step(
    embedding: Array,
    state: Array,
    memory: Array,
    w_query: Array,
    w_memory: Array,
    v: Array,
    w_input: Array,
    w_context: Array,
    w_state: Array,
    bias: Array,
) -> tuple[Array, Array, Array]:
    """The previous state asks, the context goes into the new one.

    embedding (B, E), state (B, Q), memory (B, S, M), w_query (Q, A), w_memory (M, A), v (A,), w_input (E, Q),
    w_context (M, Q), w_state (Q, Q), bias (Q,)  ->  new_state (B, Q), context (B, M), weights (B, S)
    """
    (batch, embedded), width, (source, depth), hidden_width = embedding.shape, state.shape[1], memory.shape[1:], len(v)
    _check_shapes(
        {
            "state": (state, (batch, width)),
            "memory": (memory, (batch, source, depth)),
            "w_query": (w_query, (width, hidden_width)),
            "w_memory": (w_memory, (depth, hidden_width)),
            "w_input": (w_input, (embedded, width)),
            "w_context": (w_context, (depth, width)),
            "w_state": (w_state, (width, width)),
            "bias": (bias, (width,)),
        }
    )
    hidden = (memory.reshape(-1, depth) @ w_memory).reshape(batch, source, hidden_width)
    hidden += (state @ w_query)[:, None]
    np.tanh(hidden, out=hidden)
    weights = _softmax(hidden @ v)
    context = _weighted_sum(weights, memory)
    new_state = embedding @ w_input
    new_state += context @ w_context
    new_state += state @ w_state
    new_state += bias
    return np.tanh(new_state, out=new_state), context, weights


def luong_step(
    embedding: Array,
    state: Array,
    memory: Array,
    w_input: Array,
    w_state: Array,
    bias: Array,
    w_score: Array,
    w_combine: Array,
) -> tuple[Array, Array, Array, Array]:
    """The new state asks, and is combined with the context.

    embedding (B, E), state (B, Q), memory (B, S, M), w_input (E, Q), w_state (Q, Q), bias (Q,), w_score (Q, M),
    w_combine (M + Q, Q)  ->  new_state (B, Q), attentional (B, Q), context (B, M), weights (B, S)
    """
    (batch, embedded), width, (source, depth) = embedding.shape, state.shape[1], memory.shape[1:]
    _check_shapes(
        {
            "state": (state, (batch, width)),
            "memory": (memory, (batch, source, depth)),
            "w_input": (w_input, (embedded, width)),
            "w_state": (w_state, (width, width)),
            "bias": (bias, (width,)),
            "w_score": (w_score, (width, depth)),
            "w_combine": (w_combine, (depth + width, width)),
        }
    )
    new_state = embedding @ w_input
    new_state += state @ w_state
    new_state += bias
    np.tanh(new_state, out=new_state)
    weights = _softmax((memory @ (new_state @ w_score)[:, :, None])[:, :, 0])
    context = _weighted_sum(weights, memory)
    attentional = context @ w_combine[:depth]
    attentional += new_state @ w_combine[depth:]
    return new_state, np.tanh(attentional, out=attentional), context, weights


def conv_s2s_attention(
    state: Array, target_embedding: Array, memory: Array, source_embedding: Array, w: Array, b: Array
) -> tuple[Array, Array]:
    """Each state asks together with its target embedding; source states answer, and give their embeddings, too.

    state (B, T, C), target_embedding (B, T, E), memory (B, S, E), source_embedding (B, S, E), w (C, E), b (E,)
    ->  context (B, T, E), weights (B, T, S)
    """
    (batch, length, channels), source, width = state.shape, memory.shape[1], len(b)
    _check_shapes(
        {
            "target_embedding": (target_embedding, (batch, length, width)),
            "memory": (memory, (batch, source, width)),
            "source_embedding": (source_embedding, (batch, source, width)),
            "w": (w, (channels, width)),
        }
    )
    asking = (state.reshape(-1, channels) @ w).reshape(batch, length, width)
    asking += b
    asking += target_embedding
    weights = _softmax(asking @ memory.swapaxes(1, 2))
    context = weights @ (memory + source_embedding)
    context *= context.dtype.type(source**0.5)
    return context, weights


def _softmax(scores: Array) -> Array:
    """Over the last axis, in place."""
    scores -= scores.max(axis=-1, keepdims=True)
    np.exp(scores, out=scores)
    scores /= scores.sum(axis=-1, keepdims=True)
    return scores


def _weighted_sum(weights: Array, memory: Array) -> Array:
    """(B, S), (B, S, M)  ->  (B, M)."""
    total: Array = (weights[:, None] @ memory)[:, 0]
    return total


def _check_shapes(expected: dict[str, tuple[Array, tuple[int, ...]]]) -> None:
    for name, (array, shape) in expected.items():
        if array.shape != shape:
            raise ValueError(f"{name} has shape {array.shape}, expected {shape}")
