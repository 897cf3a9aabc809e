"""The formats of PyTorch, and where it adds up in the storage format."""

from __future__ import annotations

from layerlaws import Arithmetic

DTYPES = ("float32", "float64", "bfloat16", "float16")

ADDS_AS_STORED = {name: Arithmetic(accumulate=name) for name in ("bfloat16", "float16")}
"""Where PyTorch adds up in the storage format.

The gradient of a table that rows are looked up in: grad_weight[k].add_(row) (aten/src/ATen/native/Embedding.cpp,
embedding_dense_backward_cpu), and index_put_ with accumulate. col2im, which is F.fold and the gradient of F.unfold:
data_im[i] += data_col[j] (aten/src/ATen/native/im2col.h).
"""
