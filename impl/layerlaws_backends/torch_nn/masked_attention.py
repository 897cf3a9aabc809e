"""Causal attention as torch.nn.functional offers it."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch.nn import functional as F

from layerlaws import Known
from layerlaws_backends.torch._known import HIDDEN_KEYS

_ALIGNMENT = Known(
    "is_causal aligns query 0 with key 0, whichever of the two are longer",
    "https://github.com/pytorch/pytorch/issues/103082",
)
known = (
    {"a_later_key_may_be_no_number": HIDDEN_KEYS}
    | dict.fromkeys(
        (
            "masked_self_attention.agrees_with_definition",
            "masked_self_attention.gradient_agrees_with_definition",
            "masked_self_attention.agrees_at_seldom_sizes",
            "masked_self_attention.agrees_at_every_scale",
            "masked_self_attention.what_is_not_a_number_is_not_hidden",
            "the_past_may_score_far_below_the_future",
            "the_future_may_score_as_high_as_numbers_get",
            "no_position_sees_the_future",
            "no_gradient_flows_from_the_past_to_the_future",
            "a_query_of_zeros_gives_the_running_mean",
            "decoding_in_chunks_is_the_parallel_pass",
            "more_queries_than_keys_are_refused",
        ),
        _ALIGNMENT,
    )
    | dict.fromkeys(
        (
            "a_prefix_needs_no_more_than_itself",
            # relate results to each other, which cannot be judged where single ones are not the definition's
            "masked_self_attention.memory_layout_does_not_matter",
            "masked_self_attention.gradient_does_not_depend_on_memory_layout",
            "masked_self_attention.arguments_are_read_anew",
            "masked_self_attention.calls_at_the_same_time_do_not_meet",
        ),
        replace(_ALIGNMENT, rare=True),
    )
)


def masked_self_attention(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
    """F.scaled_dot_product_attention with is_causal. (B, H, T, d), (B, H, S, d), (B, H, S, e) -> (B, H, T, e)."""
    return F.scaled_dot_product_attention(query, key, value, is_causal=True)
