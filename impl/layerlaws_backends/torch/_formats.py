"""The formats of PyTorch, and where it adds up in the storage format."""

from __future__ import annotations

from layerlaws import Arithmetic

DTYPES = ("float32", "float64", "bfloat16", "float16")

ADDS_AS_STORED = {name: Arithmetic(accumulate=name) for name in ("bfloat16", "float16")}

FORTH = ("fold", "outlook_attention")
"""Operations whose results PyTorch adds up in the storage format.

col2im, which is F.fold and the gradient of F.unfold: data_im[i] += data_col[j] (aten/src/ATen/native/im2col.h).
"""

BACK = (
    "bert_embeddings", "target_embedding", "unfold",
    "encoder_convolution", "decoder_convolution", "conv_s2s_block", "feed_forward_convolution",
    "feed_forward", "local_attention_monotonic", "local_attention_predictive",
    "lstm", "cloze_lstm", "rnn_language_model",
)  # fmt: skip
"""Operations whose gradients PyTorch adds up in the storage format.

- Of a table that rows are looked up in: grad_weight[k].add_(row) (aten/src/ATen/native/Embedding.cpp,
  embedding_dense_backward_cpu), and index_put_ with accumulate.
- Of a convolution's kernel: one product for each example of the batch, added to what is stored
  (aten/src/ATen/native/ConvolutionMM2d.cpp, slow_conv2d_backward_weight_out_cpu_template): with a batch of 256 it was
  seen to be 70 unit roundoffs of bfloat16 off.
- Of a tensor that is used several times, by steps, windows or blocks: shares are added one after another
  (torch/csrc/autograd/input_buffer.cpp, accumulate).
"""

ADDING = dict.fromkeys((*FORTH, *(f"gradient of {operation}" for operation in BACK)), ADDS_AS_STORED)
