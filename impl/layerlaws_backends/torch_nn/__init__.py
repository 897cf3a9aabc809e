"""torch.nn as its users call it: thin adapters, no repair of what the library does.

Where the library deviates by design, `known` says so, with a link. Weights are copied into the modules, since
that is what a user who ports a model does; torch keeps linear weights as (out, in).
"""

from __future__ import annotations

import torch

from layerlaws import Known
from layerlaws_backends.torch._arrays import gradient, into, to_numpy

__all__ = ["describe", "dtypes", "from_numpy", "gradient", "known", "to_numpy"]

dtypes = ("float32", "float64", "bfloat16", "float16")
from_numpy = into("cpu")

_ALIGNMENT = Known(
    "is_causal aligns query 0 with key 0, whichever of the two are longer",
    "https://github.com/pytorch/pytorch/issues/103082",
)

_ANY_TABLE = Known(
    "nn.Embedding takes a table of any number of rows; that BERT has two segments is not its business",
    "https://docs.pytorch.org/docs/stable/generated/torch.nn.Embedding.html",
)
_BROADCASTING = Known(
    "sums broadcast an axis of extent 1 instead of refusing another extent",
    "https://docs.pytorch.org/docs/stable/notes/broadcasting.html",
)
_EVEN_KERNEL = Known(
    "nn.Conv1d takes kernels of any width; padded by half of an even one it returns one step more",
    "https://docs.pytorch.org/docs/stable/generated/torch.nn.Conv1d.html",
)

_BLIND_QUERY = Known(
    "with need_weights=True the softmax of a row that is masked from end to end is not a number",
    "https://github.com/pytorch/pytorch/issues/41508",
)
_ANY_WIDTH = Known(
    "nn.Linear leads to any width; that the attentional vector has the state's is not its business",
    "https://docs.pytorch.org/docs/stable/generated/torch.nn.Linear.html",
)
_WIDE_KERNEL = Known(
    "nn.Conv1d takes kernels of any width; a wider one without padding makes the sequence shorter",
    "https://docs.pytorch.org/docs/stable/generated/torch.nn.Conv1d.html",
)
_UNREAD = Known(
    "nn.Embedding checks the ids that it looks up, and the last target is none of them",
    "https://docs.pytorch.org/docs/stable/generated/torch.nn.Embedding.html",
)

known = {
    "masked_self_attention.agrees_with_definition": _ALIGNMENT,
    "masked_self_attention.gradient_agrees_with_definition": _ALIGNMENT,
    "no_position_sees_the_future": _ALIGNMENT,
    "no_gradient_flows_from_the_past_to_the_future": _ALIGNMENT,
    "a_query_of_zeros_gives_the_running_mean": _ALIGNMENT,
    "decoding_in_chunks_is_the_parallel_pass": _ALIGNMENT,
    "more_queries_than_keys_are_refused": _ALIGNMENT,
    "the_segment_table_has_exactly_two_rows": _ANY_TABLE,
    "segment_ids_of_another_length_are_refused": _BROADCASTING,
    "the_encoder_refuses_an_even_kernel": _EVEN_KERNEL,
    "a_block_refuses_a_kernel_that_does_not_double_the_channels": _BROADCASTING,
    "a_query_that_sees_nothing_gets_the_output_bias": _BLIND_QUERY,
    "gradients_are_finite_where_a_query_sees_nothing": _BLIND_QUERY,
    "wider_kernels_are_refused": _WIDE_KERNEL,
    "a_last_target_outside_the_vocabulary_is_refused": _UNREAD,
    "words_and_positions_of_different_widths_are_refused": _BROADCASTING,
    "conv_s2s_attention_refuses_embeddings_that_do_not_fit": _BROADCASTING,
    "a_luong_step_refuses_weights_of_another_shape": _ANY_WIDTH,
}


def describe() -> str:
    """Device and library, for the header of a record."""
    return f"CPU, PyTorch {torch.__version__}"
