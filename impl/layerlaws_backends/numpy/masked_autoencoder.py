"""Masked autoencoder in NumPy."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from layerlaws_backends.numpy.multi_head_attention import _linear, multi_head_attention

Array = NDArray[Any]

_BLOCK = 1 << 14
"""Numbers per block of the activation: its temporaries stay in the second-level cache."""

# Coefficients of W. J. Cody, Rational Chebyshev approximations for the error function, Mathematics of Computation 23
# (1969), tables II and III, as in his CALERF (netlib, specfun), highest power first.
_NEAR = (
    (1.85777706184603153e-1, 3.16112374387056560, 1.13864154151050156e2, 3.77485237685302021e2, 3.20937758913846947e3),
    (1.0, 2.36012909523441209e1, 2.44024637934444173e2, 1.28261652607737228e3, 2.84423683343917062e3),
)
"""erf(x) / x for |x| <= 0.46875, in x^2: numerator and denominator."""

_FAR = (
    (2.15311535474403846e-8, 5.64188496988670089e-1, 8.88314979438837594, 6.61191906371416295e1, 2.98635138197400131e2,
     8.81952221241769090e2, 1.71204761263407058e3, 2.05107837782607147e3, 1.23033935479799725e3),
    (1.0, 1.57449261107098347e1, 1.17693950891312499e2, 5.37181101862009858e2, 1.62138957456669019e3,
     3.29079923573345963e3, 4.36261909014324716e3, 3.43936767414372164e3, 1.23033935480374942e3),
)  # fmt: skip
"""exp(x^2) erfc(x) for 0.46875 <= x <= 4, in x; good enough for 1 - erfc(x) beyond, where erfc(x) is below 2e-8."""


def patchify(images: Array, patch_size: int) -> Array:
    """Squares of pixels, row by row, channels last. images (N, C, Y, X)  ->  (N, L, P P C)."""
    count, channels, height, width = images.shape
    if patch_size < 1 or height % patch_size or width % patch_size:
        raise ValueError(f"images of {height} x {width} have no whole patches of patch_size = {patch_size}")
    cut = images.reshape(count, channels, height // patch_size, patch_size, width // patch_size, patch_size)
    patches = np.ascontiguousarray(cut.transpose(0, 2, 4, 3, 5, 1))
    return _own(patches, images).reshape(count, -1, patch_size * patch_size * channels)


def unpatchify(patches: Array, patch_size: int, height: int, width: int) -> Array:
    """The image that the patches are of. patches (N, L, P P C)  ->  (N, C, height, width)."""
    count, length, pixels = patches.shape
    for name, extent in (("height", height), ("width", width)):
        if patch_size < 1 or extent % patch_size:
            raise ValueError(f"{name} = {extent} is no multiple of patch_size = {patch_size}")
    rows, columns = height // patch_size, width // patch_size
    if length != rows * columns or pixels % patch_size**2:
        raise ValueError(f"patches are {length} of {pixels} numbers, not {rows * columns} of P P C, P = {patch_size}")
    grid = patches.reshape(count, rows, columns, patch_size, patch_size, -1)
    images = np.ascontiguousarray(grid.transpose(0, 5, 1, 3, 2, 4))
    return _own(images, patches).reshape(count, -1, height, width)


def random_masking(tokens: Array, noise: Array, keep: int) -> tuple[Array, NDArray[np.bool_], NDArray[np.int64]]:
    """The `keep` tokens of least noise. (N, L, D), (N, L)  ->  visible (N, keep, D), mask (N, L), restore (N, L)."""
    kept, mask, restore = _kept(tokens, noise, keep)
    return _rows(tokens, kept), mask, restore


def restore_tokens(visible: Array, mask_token: Array, restore: NDArray[np.int64]) -> Array:
    """Visible tokens at their places, the mask token at the others.

    visible (N, keep, D), mask_token (D,), restore (N, L)  ->  (N, L, D)
    """
    (count, keep, width), length = visible.shape, restore.shape[1]
    shuffle = np.argsort(restore, axis=1)
    if keep > length or (np.take_along_axis(restore, shuffle, axis=1) != np.arange(length)).any():
        raise ValueError(f"restore must hold each of at least {keep} places once")
    tokens = np.empty((count, length, width), visible.dtype)
    tokens[:] = mask_token
    tokens[np.arange(count)[:, None], shuffle[:, :keep]] = visible
    return tokens


def masked_encoder(
    patches: Array,
    noise: Array,
    keep: int,
    w_embed: Array,
    b_embed: Array,
    positions: Array,
    norm_1_scale: Array,
    norm_1_shift: Array,
    w_q: Array,
    b_q: Array,
    w_k: Array,
    b_k: Array,
    w_v: Array,
    b_v: Array,
    w_o: Array,
    b_o: Array,
    norm_2_scale: Array,
    norm_2_shift: Array,
    w_1: Array,
    b_1: Array,
    w_2: Array,
    b_2: Array,
    num_heads: int,
    epsilon: float,
) -> Array:
    """Embed the kept patches at their positions, then pre-norm Transformer blocks; removed ones are never touched.

    patches (N, L, P), noise (N, L), w_embed (P, D), positions (L, D), a row for each block of all others
    ->  (N, keep, D)
    """
    if len(positions) != patches.shape[1]:
        raise ValueError(f"positions has {len(positions)} rows, but there are {patches.shape[1]} patches")
    kept, _, _ = _kept(patches, noise, keep)
    x = _linear(_rows(patches, kept), w_embed, b_embed)
    x += positions[kept]
    for z in range(len(norm_1_scale)):
        seen = _layer_norm(x, norm_1_scale[z], norm_1_shift[z], epsilon)
        x += multi_head_attention(
            seen, seen, seen, w_q[z], w_k[z], w_v[z], w_o[z], b_q[z], b_k[z], b_v[z], b_o[z], num_heads, None
        )[0]
        hidden = _linear(_layer_norm(x, norm_2_scale[z], norm_2_shift[z], epsilon), w_1[z], b_1[z])
        x += _linear(_gelu(hidden), w_2[z], b_2[z])
    return x


def reconstruction_loss(target: Array, prediction: Array, mask: NDArray[np.bool_], normalize: bool) -> Array:
    """Mean squared error of the removed patches, the others left out. (N, L, P), (N, L, P), (N, L)  ->  ()."""
    if prediction.shape != target.shape:
        raise ValueError(f"prediction has shape {prediction.shape}, expected {target.shape}")
    if mask.shape != target.shape[:2] or not mask.any():
        raise ValueError("mask must have an element per patch, and remove a patch at least")
    wanted = target[mask]  # (M, P)
    if normalize:
        if wanted.shape[1] < 2:
            raise ValueError("target has patches of one pixel, which have no variance")
        wanted -= wanted.mean(axis=1, keepdims=True)
        variance = np.einsum("mp,mp->m", wanted, wanted)[:, None] / (wanted.shape[1] - 1)
        wanted /= np.sqrt(variance + 1e-6)
    wanted -= prediction[mask]
    return np.asarray(np.square(wanted, out=wanted).mean())


def _own(array: Array, source: Array) -> Array:
    """The array itself, a copy where it is a view of the source: a single patch is in order already."""
    return array.copy() if np.may_share_memory(array, source) else array


def _rows(tokens: Array, places: NDArray[np.int64]) -> Array:
    """Whole rows of each image, by index. tokens (N, L, D), places (N, k)  ->  (N, k, D)."""
    return tokens[np.arange(len(tokens))[:, None], places]


def _kept(tokens: Array, noise: Array, keep: int) -> tuple[NDArray[np.int64], NDArray[np.bool_], NDArray[np.int64]]:
    """Indices of the tokens of least noise, which are removed, and the place of each in the order of noise."""
    count, length = tokens.shape[:2]
    if noise.shape != (count, length):
        raise ValueError(f"noise has shape {noise.shape}, expected {(count, length)}")
    if not 1 <= keep <= length:
        raise ValueError(f"keep = {keep} lies outside 1 ... {length}")
    shuffle = np.argsort(noise, axis=1, kind="stable")
    restore = np.empty_like(shuffle)
    np.put_along_axis(restore, shuffle, np.broadcast_to(np.arange(length), shuffle.shape), axis=1)
    return shuffle[:, :keep], restore >= keep, restore


def _layer_norm(x: Array, scale: Array, shift: Array, epsilon: float) -> Array:
    centred: Array = x - x.mean(axis=-1, keepdims=True)
    variance = np.einsum("...d,...d->...", centred, centred)[..., None] / x.shape[-1]
    centred /= np.sqrt(variance + epsilon)
    centred *= scale
    centred += shift
    return centred


def _gelu(x: Array) -> Array:
    """x (1 + erf(x / sqrt(2))) / 2, in place."""
    flat = x.reshape(-1)
    for start in range(0, flat.size, _BLOCK):
        block = flat[start : start + _BLOCK]
        weight = _erf(block * math.sqrt(0.5))
        weight += 1
        weight *= 0.5
        block *= weight
    return x


def _erf(x: Array) -> Array:
    """The error function, to about 2 ulp."""
    size = np.minimum(np.abs(x), 6)  # from there on 1 in double precision
    square = size * size
    erf: Array = 1 - np.exp(-square) * (_polynomial(_FAR[0], size) / _polynomial(_FAR[1], size))
    np.copysign(erf, x, out=erf)
    near = size < 0.46875
    if near.any():
        square = square[near]
        erf[near] = x[near] * (_polynomial(_NEAR[0], square) / _polynomial(_NEAR[1], square))
    return erf


def _polynomial(coefficients: tuple[float, ...], x: Array) -> Array:
    """By Horner's rule, highest power first."""
    value = np.full_like(x, coefficients[0])
    for coefficient in coefficients[1:]:
        value *= x
        value += coefficient
    return value
