"""The pieces of a masked autoencoder that torch.nn has: unfolding, folding and pre-norm Transformer blocks."""

from __future__ import annotations

import torch
from torch import nn
from torch.func import functional_call
from torch.nn import functional as F

from layerlaws import Known
from layerlaws_backends.torch_nn._known import BROADCASTING

_FOLDED_BORDER = Known(
    "F.fold leaves zeros where the patches do not fill the image",
    "https://docs.pytorch.org/docs/stable/generated/torch.nn.Fold.html",
)
_NO_TOKENS = Known(
    "torch.narrow keeps none where it is asked to, and nn.TransformerEncoderLayer takes a sequence of none",
    "https://docs.pytorch.org/docs/stable/generated/torch.narrow.html",
)
known = {
    "an_image_size_of_no_whole_patches_is_refused": _FOLDED_BORDER,
    "an_encoder_refuses_to_keep_none_or_more_than_all": _NO_TOKENS,
    "an_encoder_refuses_positions_of_other_patches": BROADCASTING,
}


def patchify(images: torch.Tensor, patch_size: int) -> torch.Tensor:
    """F.pixel_unshuffle, whose channels are (c, py, px). images (N, C, Y, X)  ->  (N, L, P P C)."""
    count, channels = images.shape[:2]
    grid = F.pixel_unshuffle(images, patch_size)  # (N, C P P, Y / P, X / P)
    patches = grid.view(count, channels, patch_size * patch_size, -1).transpose(1, 3)  # (N, L, P P, C)
    return patches.reshape(count, -1, patch_size * patch_size * channels)


def unpatchify(patches: torch.Tensor, patch_size: int, height: int, width: int) -> torch.Tensor:
    """F.fold, whose columns are (c, py, px). patches (N, L, P P C)  ->  (N, C, height, width)."""
    count, length, pixels = patches.shape
    columns = patches.view(count, length, patch_size * patch_size, -1).transpose(1, 3).reshape(count, pixels, length)
    return F.fold(columns, (height, width), patch_size, stride=patch_size)


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
    """nn.Linear, then nn.TransformerEncoderLayer with norm_first=True and activation="gelu", which is the exact one.

    patches (N, L, P), noise (N, L), w_embed (P, D), positions (L, D), a row for each block of all others
    ->  (N, keep, D)
    """
    pixels, width = w_embed.shape
    embed = nn.Linear(pixels, width, device="meta", dtype=patches.dtype)
    tokens = functional_call(embed, {"weight": w_embed.mT, "bias": b_embed}, patches) + positions
    kept = noise.argsort(dim=1, stable=True).narrow(1, 0, keep)[:, :, None]
    x: torch.Tensor = tokens.gather(1, kept.expand(-1, -1, width))
    block = nn.TransformerEncoderLayer(
        width,
        num_heads,
        dim_feedforward=b_1.shape[1],
        dropout=0.0,
        activation="gelu",
        layer_norm_eps=epsilon,
        batch_first=True,
        norm_first=True,
        device="meta",
        dtype=patches.dtype,
    ).eval()
    for z in range(len(norm_1_scale)):
        parameters = {
            "norm1.weight": norm_1_scale[z],
            "norm1.bias": norm_1_shift[z],
            "self_attn.in_proj_weight": torch.cat([w_q[z].mT, w_k[z].mT, w_v[z].mT]),
            "self_attn.in_proj_bias": torch.cat([b_q[z], b_k[z], b_v[z]]),
            "self_attn.out_proj.weight": w_o[z].mT,
            "self_attn.out_proj.bias": b_o[z],
            "norm2.weight": norm_2_scale[z],
            "norm2.bias": norm_2_shift[z],
            "linear1.weight": w_1[z].mT,
            "linear1.bias": b_1[z],
            "linear2.weight": w_2[z].mT,
            "linear2.bias": b_2[z],
        }
        x = functional_call(block, parameters, x)
    return x
