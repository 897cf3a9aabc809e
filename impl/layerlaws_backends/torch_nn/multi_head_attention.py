"""F.scaled_dot_product_attention and torch.nn.MultiheadAttention."""

from __future__ import annotations

import torch
from torch import nn
from torch.func import functional_call
from torch.nn import functional as F

from layerlaws import Known
from layerlaws_backends.torch._known import HIDDEN_KEYS

_BLIND_QUERY = Known(
    "with need_weights=True the softmax of a row that is masked from end to end is not a number",
    "https://github.com/pytorch/pytorch/issues/41508",
)
known = {
    "a_hidden_key_may_be_no_number": HIDDEN_KEYS,
    "a_query_that_sees_nothing_gets_the_output_bias": _BLIND_QUERY,
    "gradients_are_finite_where_a_query_sees_nothing": _BLIND_QUERY,
}


def scaled_dot_product_attention(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, mask: torch.Tensor | None
) -> torch.Tensor:
    """F.scaled_dot_product_attention, whose bool mask is True where a query may look.

    query (B, H, T, d), key (B, H, S, d), value (B, H, S, e), mask (B, H, T, S) or None  ->  (B, H, T, e)
    """
    return F.scaled_dot_product_attention(query, key, value, attn_mask=mask)


def multi_head_attention(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    w_q: torch.Tensor,
    w_k: torch.Tensor,
    w_v: torch.Tensor,
    w_o: torch.Tensor,
    b_q: torch.Tensor,
    b_k: torch.Tensor,
    b_v: torch.Tensor,
    b_o: torch.Tensor,
    num_heads: int,
    mask: torch.Tensor | None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """nn.MultiheadAttention with its packed projection, (out, in) weights and a mask that is True where none may look.

    query (B, T, D), key and value (B, S, D), w (D, D), b (D,), mask (B, T, S) or None
    ->  output (B, T, D), weights (B, H, T, S)
    """
    module = nn.MultiheadAttention(query.shape[-1], num_heads, batch_first=True, device="meta", dtype=query.dtype)
    parameters = {
        "in_proj_weight": torch.cat([w_q.mT, w_k.mT, w_v.mT]),
        "in_proj_bias": torch.cat([b_q, b_k, b_v]),
        "out_proj.weight": w_o.mT,
        "out_proj.bias": b_o,
    }
    forbidden = None if mask is None else ~mask.repeat_interleave(num_heads, dim=0)  # (B H, T, S)
    options = {"attn_mask": forbidden, "need_weights": True, "average_attn_weights": False}
    output, weights = functional_call(module.eval(), parameters, (query, key, value), options)
    return output, weights
