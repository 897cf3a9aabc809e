"""Masked autoencoder in PyTorch."""

from __future__ import annotations

import math

import torch
from torch.nn import functional as F


def patchify(images: torch.Tensor, patch_size: int) -> torch.Tensor:
    """Squares of pixels, row by row, channels last. images (N, C, Y, X)  ->  (N, L, P P C)."""
    count, channels, height, width = images.shape
    if patch_size < 1 or height % patch_size or width % patch_size:
        raise ValueError(f"images of {height} x {width} have no whole patches of patch_size = {patch_size}")
    cut = images.view(count, channels, height // patch_size, patch_size, width // patch_size, patch_size)
    patches = cut.permute(0, 2, 4, 3, 5, 1).clone(memory_format=torch.contiguous_format)
    return patches.view(count, -1, patch_size * patch_size * channels)


def unpatchify(patches: torch.Tensor, patch_size: int, height: int, width: int) -> torch.Tensor:
    """The image that the patches are of. patches (N, L, P P C)  ->  (N, C, height, width)."""
    count, length, pixels = patches.shape
    for name, extent in (("height", height), ("width", width)):
        if patch_size < 1 or extent % patch_size:
            raise ValueError(f"{name} = {extent} is no multiple of patch_size = {patch_size}")
    rows, columns = height // patch_size, width // patch_size
    if length != rows * columns or pixels % patch_size**2:
        raise ValueError(f"patches are {length} of {pixels} numbers, not {rows * columns} of P P C, P = {patch_size}")
    grid = patches.view(count, rows, columns, patch_size, patch_size, -1)
    return grid.permute(0, 5, 1, 3, 2, 4).clone(memory_format=torch.contiguous_format).view(count, -1, height, width)


def random_masking(
    tokens: torch.Tensor, noise: torch.Tensor, keep: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The `keep` tokens of least noise. (N, L, D), (N, L)  ->  visible (N, keep, D), mask (N, L), restore (N, L)."""
    shuffle = _shuffle(tokens, noise, keep)
    places = torch.arange(noise.shape[1], device=noise.device).expand_as(shuffle)
    restore = torch.empty_like(shuffle).scatter_(1, shuffle, places)  # the inverse, without sorting again
    return _gather(tokens, shuffle[:, :keep]), restore >= keep, restore


def restore_tokens(visible: torch.Tensor, mask_token: torch.Tensor, restore: torch.Tensor) -> torch.Tensor:
    """Visible tokens at their places, the mask token at the others.

    visible (N, keep, D), mask_token (D,), restore (N, L)  ->  (N, L, D)
    """
    (_, keep, width), length = visible.shape, restore.shape[1]
    order, shuffle = restore.sort(dim=1)
    if keep > length or (order != torch.arange(length, device=restore.device)).any():
        raise ValueError(f"restore must hold each of at least {keep} places once")
    places = shuffle[:, :keep, None].expand(-1, -1, width)
    return mask_token.expand(len(visible), length, -1).scatter(1, places, visible)


def masked_encoder(
    patches: torch.Tensor,
    noise: torch.Tensor,
    keep: int,
    w_embed: torch.Tensor,
    b_embed: torch.Tensor,
    positions: torch.Tensor,
    norm_1_scale: torch.Tensor,
    norm_1_shift: torch.Tensor,
    w_q: torch.Tensor,
    b_q: torch.Tensor,
    w_k: torch.Tensor,
    b_k: torch.Tensor,
    w_v: torch.Tensor,
    b_v: torch.Tensor,
    w_o: torch.Tensor,
    b_o: torch.Tensor,
    norm_2_scale: torch.Tensor,
    norm_2_shift: torch.Tensor,
    w_1: torch.Tensor,
    b_1: torch.Tensor,
    w_2: torch.Tensor,
    b_2: torch.Tensor,
    num_heads: int,
    epsilon: float,
) -> torch.Tensor:
    """Embed the kept patches at their positions, then pre-norm Transformer blocks; removed ones are never touched.

    patches (N, L, P), noise (N, L), w_embed (P, D), positions (L, D), a row for each block of all others
    ->  (N, keep, D)
    """
    length, width = patches.shape[1], w_embed.shape[1]
    if len(positions) != length:
        raise ValueError(f"positions has {len(positions)} rows, but there are {length} patches")
    if num_heads < 1 or width % num_heads:
        raise ValueError(f"num_heads = {num_heads} does not divide the width {width}")
    kept = _shuffle(patches, noise, keep)[:, :keep]
    x = F.linear(_gather(patches, kept), w_embed.mT, b_embed) + positions[kept]

    def heads(x: torch.Tensor, w: torch.Tensor, b: torch.Tensor) -> torch.Tensor:  # (N, keep, D) -> (N, H, keep, d)
        return F.linear(x, w.mT, b).view(*x.shape[:2], num_heads, -1).transpose(1, 2)

    for z in range(len(norm_1_scale)):
        seen = F.layer_norm(x, (width,), norm_1_scale[z], norm_1_shift[z], epsilon)
        q, k, v = heads(seen, w_q[z], b_q[z]), heads(seen, w_k[z], b_k[z]), heads(seen, w_v[z], b_v[z])
        mixed = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        x = x + F.linear(mixed, w_o[z].mT, b_o[z])
        seen = F.layer_norm(x, (width,), norm_2_scale[z], norm_2_shift[z], epsilon)
        x = x + F.linear(F.gelu(F.linear(seen, w_1[z].mT, b_1[z])), w_2[z].mT, b_2[z])
    return x


def reconstruction_loss(
    target: torch.Tensor, prediction: torch.Tensor, mask: torch.Tensor, normalize: bool
) -> torch.Tensor:
    """Mean squared error of the removed patches, the others left out. (N, L, P), (N, L, P), (N, L)  ->  ()."""
    if prediction.shape != target.shape:
        raise ValueError(f"prediction has shape {tuple(prediction.shape)}, expected {tuple(target.shape)}")
    if mask.shape != target.shape[:2] or not mask.any():
        raise ValueError("mask must have an element per patch, and remove a patch at least")
    pixels, removed = target.shape[2], mask.flatten().nonzero()[:, 0]
    wanted, found = (x.flatten(0, 1).index_select(0, removed) for x in (target, prediction))  # (M, P)
    if normalize:
        if pixels < 2:
            raise ValueError("target has patches of one pixel, which have no variance")
        # F.layer_norm, in one pass, divides by P where the variance wanted divides by P - 1.
        share = (pixels - 1) / pixels
        wanted = F.layer_norm(wanted, (pixels,), eps=1e-6 * share).mul_(math.sqrt(share))
    return F.mse_loss(found, wanted)


def _shuffle(tokens: torch.Tensor, noise: torch.Tensor, keep: int) -> torch.Tensor:
    """Indices of the tokens in the stable order of noise. -> (N, L)."""
    if noise.shape != tokens.shape[:2]:
        raise ValueError(f"noise has shape {tuple(noise.shape)}, expected {tuple(tokens.shape[:2])}")
    if not 1 <= keep <= tokens.shape[1]:
        raise ValueError(f"keep = {keep} lies outside 1 ... {tokens.shape[1]}")
    return noise.argsort(dim=1, stable=True)


def _gather(tokens: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
    """Rows of each image by index. tokens (N, L, D), places (N, k)  ->  (N, k, D)."""
    return tokens.gather(1, places[:, :, None].expand(-1, -1, tokens.shape[2]))
