"""Seven backends of the kind found in public repositories: each right, but for one restriction or deviation.

Sources of files, by name; the operations that each offers follow from its functions.
"""

from __future__ import annotations

HEAD = """
import numpy as np
from layerlaws_backends.numpy import {module} as right

def from_numpy(array):
    return array

def to_numpy(array):
    return np.asarray(array)
"""

ODD_WIDTH = (
    HEAD.format(module="sinusoidal_positions")
    + """
def sinusoidal_positions(positions, width, dtype):
    if width % 2:
        raise NotImplementedError(f"cannot use sin/cos positional encoding with odd dim (got dim = {width})")
    return right.sinusoidal_positions(positions, width, dtype)
"""
)

SQUARE_IMAGES = (
    HEAD.format(module="masked_autoencoder")
    + """
def patchify(images, patch_size):
    if images.shape[2] != images.shape[3]:
        raise NotImplementedError("images have to be square")
    return right.patchify(images, patch_size)

def unpatchify(patches, patch_size, height, width):
    if height != width:
        raise NotImplementedError("images have to be square")
    return right.unpatchify(patches, patch_size, height, width)
"""
)

OUTPUT_ONLY = (
    HEAD.format(module="multi_head_attention")
    + """
def multi_head_attention(**arguments):
    return right.multi_head_attention(**arguments)[0]
"""
)

ONE_LENGTH = (
    HEAD.format(module="position_methods")
    + """
def relative_attention(query, key, value, key_table, value_table, mask):
    if query.shape[2] != key.shape[2]:
        raise NotImplementedError("queries and keys have to be of one length")
    return right.relative_attention(query, key, value, key_table, value_table, mask)
"""
)

BASE_256 = (
    HEAD.format(module="byte_pair_encoding")
    + """
def bpe_encode(symbols, offsets, merges, base):
    if base != 256:
        raise NotImplementedError(f"symbols are bytes: base is 256, not {base}")
    return right.bpe_encode(symbols, offsets, merges, base)

def bpe_decode(ids, offsets, merges, base):
    if base != 256:
        raise NotImplementedError(f"symbols are bytes: base is 256, not {base}")
    return right.bpe_decode(ids, offsets, merges, base)
"""
)

FINITE_FILL = (
    HEAD.format(module="multi_head_attention")
    + """
def scaled_dot_product_attention(query, key, value, mask):
    if key.shape[2] != value.shape[2]:
        raise ValueError("key and value have other lengths")
    scores = query @ key.swapaxes(-1, -2) / query.dtype.type(query.shape[-1]) ** 0.5
    if mask is not None:
        if mask.shape != scores.shape:
            raise ValueError("mask has another shape than the scores")
        scores = np.where(mask, scores, query.dtype.type(-1e9))
    weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return (weights / weights.sum(axis=-1, keepdims=True) @ value).astype(query.dtype)
"""
)

NO_SECOND_RESULT = (
    HEAD.format(module="local_attention")
    + """
def local_attention_predictive(**arguments):
    return right.local_attention_predictive(**arguments)[0]
"""
)

BACKENDS = {
    "odd_width": ODD_WIDTH,
    "square_images": SQUARE_IMAGES,
    "output_only": OUTPUT_ONLY,
    "one_length": ONE_LENGTH,
    "base_256": BASE_256,
    "finite_fill": FINITE_FILL,
    "no_second_result": NO_SECOND_RESULT,
}
