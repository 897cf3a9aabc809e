"""Masked autoencoder: hide most patches of an image, encode the rest, and rebuild what was hidden.

Note of 2021-11-17, on He, Chen, Xie, Li, Dollar, Girshick, Masked Autoencoders Are Scalable Vision Learners (CVPR
2022; arXiv 2111.06377 of November 2021), section 3. An image is cut into patches, as for a Vision Transformer
(Dosovitskiy et al. 2021). Noise is drawn for each patch; the patches with the least are kept, a quarter of them, say.
Only those enter the encoder. Behind it every removed place gets one shared vector, the mask token, and a small decoder
predicts the pixels of the removed patches, which alone count in the loss.

Claimed: nothing of a removed patch reaches the encoder, and its cost is that of the kept ones; the loss does not look
at patches that were visible; shuffling and restoring leave every token where it was. Not claimed: anything of the
decoder, which is Transformer blocks again, of the class token, or of a ratio that is best.

Conventions. In the mask True means removed. A patch lists its pixels row by row, the channels of a pixel side by side:
(py, px, c); torch.nn.functional.unfold and convolution kernels go (c, py, px). Positions are added before patches are
removed. Blocks normalize in front of attention and of the network (pre-norm); the reference has one more LayerNorm
behind the last block, which is left out here, as its class token is. GELU is the exact one. A normalized target is
divided by the unbiased standard deviation of its patch, since the reference calls torch.var as it is; 1e-6 is added to
the variance, inside the root.

Erratum. The reference keeps int(L (1 - ratio)) patches, in floating point: none of 10 at ratio 0.9, and 9 of 100. Here
`keep` is a number of patches. Shown by a_ratio_does_not_say_how_many_tokens_to_keep.

Erratum. "3x or more" faster pre-training, as the abstract has it, is not the paper's own table 2 throughout: with the
decoder of 8 blocks it says 2.8x for ViT-L. No law shows it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from statistics import NormalDist
from typing import Any

import numpy as np

from layerlaws import Claim, Cost, Headline, all_of, at_most, closely, exactly, fault, law, operation, refused, workload
from layerlaws.language import strategies as st
from layerlaws.language.dependence import dependence
from layerlaws.language.inputs import PLAIN, arrays, extents, huge, masks, normal, rewritten, seeds
from layerlaws.language.workloads import matrix
from layerlaws.notes.multi_head_attention import multi_head_attention
from layerlaws.numerics.bounded import asbounded, rounded
from layerlaws.numerics.mathematics import affine, gelu, layer_norm, require

# --- inputs ---------------------------------------------------------------------------------------------------

NOISE = ("normal", "normal", "ties", "integers", "sparse")
"""Textures of noise: a good part of it has ties, and zeros of both signs."""

MATRICES = ("normal", "normal", "integers", "tiny", "sparse")
"""Textures of an encoder's weights, which are divided by 4, so that scores are small."""


SEEN = ("normal",)
"""Weights through which every influence can be seen."""

BLOCK = (
    "norm_1_scale", "norm_1_shift", "w_q", "b_q", "w_k", "b_k", "w_v", "b_v", "w_o", "b_o", "norm_2_scale",
    "norm_2_shift", "w_1", "b_1", "w_2", "b_2",
)  # fmt: skip
"""The arguments of the encoder that have a row for every block."""


@st.composite
def tiled_images(draw: st.DrawFn) -> dict[str, Any]:
    images, channels, rows, columns, size = draw(extents(5, edges=(2, 3)))
    return {"images": draw(arrays((images, channels, rows * size, columns * size))), "patch_size": size}


@st.composite
def patch_grids(draw: st.DrawFn) -> dict[str, Any]:
    images, channels, rows, columns, size = draw(extents(5, edges=(2, 3)))
    patches = draw(arrays((images, rows * columns, size * size * channels)))
    return {"patches": patches, "patch_size": size, "height": rows * size, "width": columns * size}


@st.composite
def noisy_tokens(draw: st.DrawFn) -> dict[str, Any]:
    images, length, width = draw(extents(3, edges=(1, 2)))
    tokens, noise = draw(arrays((images, length, width))), draw(arrays((images, length), textures=NOISE))
    return {"tokens": tokens, "noise": noise, "keep": draw(st.integers(1, length))}


@st.composite
def shuffled_tokens(draw: st.DrawFn, edges: tuple[int, ...] = (1, 2)) -> dict[str, Any]:
    images, length, width = draw(extents(3, edges=edges))
    visible, mask_token = draw(arrays((images, draw(st.integers(1, length)), width), (width,)))
    places = np.tile(np.arange(length), (images, 1))
    return {
        "visible": visible,
        "mask_token": mask_token,
        "restore": np.random.default_rng(draw(seeds)).permuted(places, axis=1),
    }


@st.composite
def encoders(
    draw: st.DrawFn, textures: tuple[str, ...] = MATRICES, edges: tuple[int, ...] = (1, 2, 5)
) -> dict[str, Any]:
    """Everything the encoder takes, with one or two blocks."""
    count, length, pixels, heads, head_width, hidden = draw(extents(6, edges=edges))
    width, blocks = heads * head_width, draw(st.integers(1, 2))
    patches = draw(arrays((count, length, pixels), textures=textures))
    noise = draw(arrays((count, length), textures=NOISE))
    shapes = {
        "w_embed": (pixels, width), "b_embed": (width,), "positions": (length, width),
        "norm_1_scale": (blocks, width), "norm_1_shift": (blocks, width),
        "w_q": (blocks, width, width), "b_q": (blocks, width), "w_k": (blocks, width, width), "b_k": (blocks, width),
        "w_v": (blocks, width, width), "b_v": (blocks, width), "w_o": (blocks, width, width), "b_o": (blocks, width),
        "norm_2_scale": (blocks, width), "norm_2_shift": (blocks, width),
        "w_1": (blocks, width, hidden), "b_1": (blocks, hidden), "w_2": (blocks, hidden, width), "b_2": (blocks, width),
    }  # fmt: skip
    drawn = dict(zip(shapes, draw(arrays(*shapes.values(), textures=textures)), strict=True))
    weights = {name: x if name in ("w_embed", "positions") else x / 4 for name, x in drawn.items()}
    return {
        "patches": patches, "noise": noise, "keep": draw(st.integers(1, length)), **weights,
        "num_heads": heads, "epsilon": draw(st.sampled_from((1e-6, 1e-5, 1e-2))),
    }  # fmt: skip


@st.composite
def calm_encoders(draw: st.DrawFn) -> dict[str, Any]:
    """One image of few patches, and a block that adds little, so that what reaches the latents can be seen."""
    inputs = draw(encoders(textures=SEEN, edges=()))
    length = min(inputs["patches"].shape[1], 3)
    calmed = {name: inputs[name][:1] / 16 for name in BLOCK}
    w_embed = np.copysign(1 + np.abs(inputs["w_embed"]), inputs["w_embed"])  # no pixel is lost
    short = {name: inputs[name][:1, :length] for name in ("patches", "noise")}
    return {
        **inputs, **calmed, **short, "w_embed": w_embed, "positions": inputs["positions"][:length],
        "keep": min(inputs["keep"], length), "epsilon": 0.5,
    }  # fmt: skip


@st.composite
def reconstructions(
    draw: st.DrawFn, textures: tuple[str, ...] | None = None, normalize: bool | None = None
) -> dict[str, Any]:
    """Targets, predictions and a mask that removes something; patches of one pixel are not normalized."""
    images, length, pixels = draw(extents(3, edges=(1, 2)))
    normalize = draw(st.booleans()) if normalize is None else normalize
    pixels = max(pixels, 2) if normalize else pixels
    shapes = ((images, length, pixels), (images, length, pixels))
    target, prediction = draw(arrays(*shapes, textures=textures) if textures else arrays(*shapes))
    mask = draw(masks((images * length,), empty_rows=False)).reshape(images, length)
    return {"target": target, "prediction": prediction, "mask": mask, "normalize": normalize}


# --- definitions ----------------------------------------------------------------------------------------------


@operation(inputs=tiled_images(), batch=("images",), differentiable=True)
def patchify(images: Any, patch_size: int) -> Any:
    """Squares of patch_size x patch_size pixels, row by row; within each the pixels row by row, channels last.

    images (N, C, Y, X)  ->  (N, L, P P C), L = (Y / P) (X / P)
    """
    count, channels, height, width = images.shape
    require(patch_size >= 1, "patch_size must be positive")
    require(height % patch_size == 0 and width % patch_size == 0, f"images of {height} x {width} have no whole patches")
    rows, columns = height // patch_size, width // patch_size
    cut = images.reshape(count, channels, rows, patch_size, columns, patch_size)
    return cut.transpose(0, 2, 4, 3, 5, 1).reshape(count, rows * columns, patch_size * patch_size * channels)


@operation(inputs=patch_grids(), batch=("patches",), differentiable=True)
def unpatchify(patches: Any, patch_size: int, height: int, width: int) -> Any:
    """The image that `patchify` made the patches of.

    patches (N, L, P P C)  ->  (N, C, Y, X), Y = height, X = width
    """
    count, length, pixels = patches.shape
    require(patch_size >= 1, "patch_size must be positive")
    require(height % patch_size == 0, f"height = {height} is no multiple of {patch_size}")
    require(width % patch_size == 0, f"width = {width} is no multiple of {patch_size}")
    rows, columns = height // patch_size, width // patch_size
    require(length == rows * columns, f"patches are {length}, not {rows} x {columns}")
    require(pixels % patch_size**2 == 0, f"patches hold {pixels} numbers, no multiple of {patch_size} x {patch_size}")
    channels = pixels // patch_size**2
    grid = patches.reshape(count, rows, columns, patch_size, patch_size, channels)
    return grid.transpose(0, 5, 1, 3, 2, 4).reshape(count, channels, height, width)


@operation(inputs=noisy_tokens(), batch=("tokens", "noise"), differentiable=True)
def random_masking(tokens: Any, noise: Any, keep: int) -> Any:
    """The `keep` tokens of least noise, in its order; of equal noise the first token counts as less.

    tokens (N, L, D), noise (N, L), 1 <= keep <= L  ->  visible (N, keep, D), mask (N, L) bool, True: removed,
    restore (N, L), the place of each token in the order of noise
    """
    length = tokens.shape[1]
    require(noise.shape == tokens.shape[:2], f"noise has the shape {noise.shape}, not {tokens.shape[:2]}")
    require(1 <= keep <= length, f"keep = {keep} lies outside 1 ... {length}")
    shuffle = np.argsort(noise, axis=1, kind="stable")
    restore = np.argsort(shuffle, axis=1)
    return np.take_along_axis(tokens, shuffle[:, :keep, None], axis=1), restore >= keep, restore


@operation(inputs=shuffled_tokens(), batch=("visible", "restore"), differentiable=True)
def restore_tokens(visible: Any, mask_token: Any, restore: Any) -> Any:
    """Every token where it was, the mask token at the places of those that were removed.

    visible (N, keep, D), mask_token (D,), restore (N, L), in each row a permutation  ->  (N, L, D)
    """
    (count, keep, width), length = visible.shape, restore.shape[1]
    require(keep <= length, f"restore has {length} places, fewer than the {keep} of visible")
    require(np.sort(restore, axis=1) == np.arange(length), "restore must hold each place once")
    filled = np.broadcast_to(mask_token, (count, length - keep, width))
    return np.take_along_axis(np.concatenate([visible, filled], axis=1), restore[:, :, None], axis=1)


@operation(inputs=encoders(), batch=("patches", "noise"), differentiable=True)
def masked_encoder(
    patches: Any, noise: Any, keep: int, w_embed: Any, b_embed: Any, positions: Any, norm_1_scale: Any,
    norm_1_shift: Any, w_q: Any, b_q: Any, w_k: Any, b_k: Any, w_v: Any, b_v: Any, w_o: Any, b_o: Any,
    norm_2_scale: Any, norm_2_shift: Any, w_1: Any, b_1: Any, w_2: Any, b_2: Any, num_heads: int, epsilon: float,
) -> Any:  # fmt: skip
    """Embed, add positions, remove patches; then Z pre-norm Transformer blocks over those that are left.

    In each block x becomes x + attention(LN(x)), then x + gelu(LN(x) w_1 + b_1) w_2 + b_2; no norm at the end.

    patches (N, L, P), noise (N, L), w_embed (P, D), b_embed (D,), positions (L, D); of each block: norms (Z, D),
    w_q, w_k, w_v, w_o (Z, D, D), w_1 (Z, D, F), b_1 (Z, F), w_2 (Z, F, D), other biases (Z, D)  ->  (N, keep, D)
    """
    length, known = patches.shape[1], positions.shape[0]
    require(known == length, f"positions has {known} rows, but there are {length} patches")
    x, _, _ = random_masking(affine(patches, w_embed, b_embed) + positions, noise, keep)
    for z in range(norm_1_scale.shape[0]):
        seen = layer_norm(x, norm_1_scale[z], norm_1_shift[z], epsilon)
        x = x + multi_head_attention(
            seen, seen, seen, w_q[z], w_k[z], w_v[z], w_o[z], b_q[z], b_k[z], b_v[z], b_o[z], num_heads, None
        )[0]  # fmt: skip
        seen = layer_norm(x, norm_2_scale[z], norm_2_shift[z], epsilon)
        x = x + affine(gelu(affine(seen, w_1[z], b_1[z])), w_2[z], b_2[z])
    return x


@operation(inputs=reconstructions(), differentiable=True)
def reconstruction_loss(target: Any, prediction: Any, mask: Any, normalize: bool) -> Any:
    """The mean squared error of the removed patches, those of all images together.

    normalize: each target patch t becomes (t - mean) / sqrt(variance + 1e-6), with the unbiased variance.

    target, prediction (N, L, P), mask (N, L) bool, True: removed  ->  ()
    """
    pixels = target.shape[-1]
    require(prediction.shape == target.shape, f"prediction has the shape {prediction.shape}, not {target.shape}")
    require(mask.shape == target.shape[:2], f"mask has the shape {mask.shape}, not {target.shape[:2]}")
    require(np.any(mask), "mask removes no patch")
    if normalize:
        require(pixels > 1, "target has patches of one pixel, which have no variance")
        centred = target - np.mean(target, axis=-1, keepdims=True)
        variance = np.sum(np.square(centred), axis=-1, keepdims=True) / (pixels - 1)
        target = centred / np.sqrt(variance + 1e-6)
    per_patch = np.mean(np.square(prediction - target), axis=-1)  # (N, L)
    return np.sum(np.where(mask, per_patch, 0.0)) / int(mask.sum())


# --- inputs of single laws ------------------------------------------------------------------------------------


def _ranks(noise: Any) -> Any:
    """The place of each token in the stable order of noise, counted one by one."""
    one, other = noise.astype(np.float64)[:, :, None], noise.astype(np.float64)[:, None, :]
    earlier = np.tri(noise.shape[1], k=-1, dtype=bool)  # [i, j]: j before i
    return ((other < one) | ((other == one) & earlier)).sum(axis=2)


def _blocks_alone(x: Any, inputs: dict[str, Any], first: int = 0) -> dict[str, Any]:
    """Arguments with which the encoder only applies its blocks, from the given one on, to x (N, keep, D)."""
    count, keep, width = x.shape
    return {
        **inputs,
        **{name: inputs[name][first:] for name in BLOCK},
        "patches": x,
        "noise": np.tile(np.arange(keep), (count, 1)).astype(x.dtype),
        "keep": keep,
        "w_embed": np.eye(width, dtype=x.dtype),
        "b_embed": np.zeros(width, x.dtype),
        "positions": np.zeros((keep, width), x.dtype),
    }


# --- laws: patches --------------------------------------------------------------------------------------------


@law()
def pixels_stand_row_by_row_with_their_channels_last(patchify: Any, images: Any, patch_size: int) -> Claim:
    """Number (py P + px) C + c of patch gy (X / P) + gx is channel c of the pixel (gy P + py, gx P + px)."""
    channels, height, width = images.shape[1:]
    columns = width // patch_size
    patch = np.arange(height // patch_size * columns)[:, None]
    number = np.arange(patch_size * patch_size * channels)
    row = patch // columns * patch_size + number // channels // patch_size
    column = patch % columns * patch_size + number // channels % patch_size
    return closely(patchify(images=images, patch_size=patch_size), images[:, number % channels, row, column])


@law()
def unpatchify_undoes_patchify(patchify: Any, unpatchify: Any, images: Any, patch_size: int) -> Claim:
    """An image cut into patches and put together again is itself, also where it is not square."""
    patches = patchify(images=images, patch_size=patch_size)
    height, width = images.shape[2:]
    return closely(unpatchify(patches=patches, patch_size=patch_size, height=height, width=width), images)


@law(seed=seeds)
def embedding_patches_is_a_strided_convolution(patchify: Any, images: Any, patch_size: int, seed: int) -> Claim:
    """Patches times a matrix are a convolution of the image with the matrix as kernel, and stride P."""
    kernel = normal(seed, (patch_size, patch_size, images.shape[1], 3), images)
    embedded = patchify(images=images, patch_size=patch_size) @ kernel.reshape(-1, 3)
    convolved: Any = 0.0
    for row in range(patch_size):
        for column in range(patch_size):
            tap = images[:, :, row::patch_size, column::patch_size].transpose(0, 2, 3, 1)  # (N, Y / P, X / P, C)
            convolved = convolved + asbounded(tap) @ kernel[row, column]
    return closely(embedded, convolved.reshape(embedded.shape))


@law(surplus=st.integers(1, 4), examples=20)
def images_without_whole_patches_are_refused(patchify: Any, images: Any, patch_size: int, surplus: int) -> Claim:
    """Height and width have to be multiples of the patch size."""
    size = patch_size + 1
    odd = size * surplus + 1
    high, wide = (np.zeros((*images.shape[:2], *shape), images.dtype) for shape in ((odd, size), (size, odd)))
    return all_of(*[refused(patchify, "images", {"images": x, "patch_size": size}) for x in (high, wide)])


@law(surplus=st.integers(1, 3), examples=20)
def patches_of_another_grid_are_refused(
    unpatchify: Any, patches: Any, patch_size: int, height: int, width: int, surplus: int
) -> Claim:
    """An image has as many patches as its height and width hold, no more and no fewer."""
    call = {"patches": patches, "patch_size": patch_size, "height": height, "width": width}
    return all_of(
        refused(unpatchify, "patches", {**call, "height": height + surplus * patch_size}),
        refused(unpatchify, "patches", {**call, "patches": np.concatenate([patches] * (surplus + 1), axis=1)}),
    )


@law(examples=20)
def an_image_size_of_no_whole_patches_is_refused(
    unpatchify: Any, patches: Any, patch_size: int, height: int, width: int
) -> Claim:
    """Height and width of the image have to be multiples of the patch size."""
    size = patch_size + (patch_size == 1)
    call = {"patches": np.tile(patches, (1, 1, size * size)), "patch_size": size}
    rows, columns = height // patch_size * size, width // patch_size * size
    return all_of(
        refused(unpatchify, "height", {**call, "height": rows + 1, "width": columns}),
        refused(unpatchify, "width", {**call, "height": rows, "width": columns + 1}),
    )


# --- laws: masking and restoring ------------------------------------------------------------------------------


@law()
def the_tokens_of_least_noise_are_kept(random_masking: Any, tokens: Any, noise: Any, keep: int) -> Claim:
    """The place of a token is the number of tokens with less noise, or equal noise and before it; the first `keep`
    are visible, in this order.
    """
    ranks = _ranks(noise)
    kept = np.take_along_axis(tokens, np.argsort(ranks, axis=1)[:, :keep, None], axis=1)
    visible, _, restore = random_masking(tokens=tokens, noise=noise, keep=keep)
    return all_of(exactly(restore, ranks), closely(visible, kept))


@law()
def the_mask_is_true_where_the_place_is_beyond_the_kept(
    random_masking: Any, tokens: Any, noise: Any, keep: int
) -> Claim:
    """A token is removed if its place is `keep` or more, and L - keep tokens of each image are."""
    _, mask, restore = random_masking(tokens=tokens, noise=noise, keep=keep)
    return all_of(
        exactly(mask, restore >= keep), exactly(mask.sum(axis=1), np.full(len(tokens), tokens.shape[1] - keep))
    )


@law()
def equal_noise_keeps_the_first_tokens(random_masking: Any, tokens: Any, noise: Any, keep: int) -> Claim:
    """Where all noise is equal, the order is that of the tokens."""
    visible, mask, restore = random_masking(tokens=tokens, noise=np.zeros_like(noise), keep=keep)
    places = np.tile(np.arange(tokens.shape[1]), (len(tokens), 1))
    return all_of(closely(visible, tokens[:, :keep]), exactly(mask, places >= keep), exactly(restore, places))


@law()
def images_are_masked_by_their_own_noise(random_masking: Any, tokens: Any, noise: Any, keep: int) -> Claim:
    """Exchanging the noise of images exchanges their masks: none is shared, whatever the tokens are."""
    _, mask, restore = random_masking(tokens=tokens, noise=noise, keep=keep)
    _, other_mask, other_restore = random_masking(tokens=tokens, noise=np.flip(noise, 0), keep=keep)
    return all_of(exactly(other_mask, mask[::-1]), exactly(other_restore, restore[::-1]))


@law(seed=seeds)
def restoring_puts_every_token_where_it_was(
    random_masking: Any, restore_tokens: Any, tokens: Any, noise: Any, keep: int, seed: int
) -> Claim:
    """Restored, the kept tokens are at their old places and the mask token at those of the others."""
    visible, mask, restore = random_masking(tokens=tokens, noise=noise, keep=keep)
    mask_token = normal(seed, tokens.shape[2:], tokens)
    restored = restore_tokens(visible=visible, mask_token=mask_token, restore=restore)
    return closely(restored, np.where(mask[:, :, None], mask_token, tokens))


@law()
def keeping_all_tokens_and_restoring_them_changes_nothing(
    random_masking: Any, restore_tokens: Any, tokens: Any, noise: Any
) -> Claim:
    """With keep = L the tokens come back in their own order, and the mask token is nowhere."""
    visible, mask, restore = random_masking(tokens=tokens, noise=noise, keep=tokens.shape[1])
    mask_token = np.full(tokens.shape[2:], huge(tokens), tokens.dtype)
    restored = restore_tokens(visible=visible, mask_token=mask_token, restore=restore)
    return all_of(closely(restored, tokens), exactly(mask, np.zeros(mask.shape, bool)))


@law(inputs=shuffled_tokens(edges=()))
def the_mask_token_fills_the_removed_places(restore_tokens: Any, visible: Any, mask_token: Any, restore: Any) -> Claim:
    """A place depends on the mask token if it was removed, else on its own visible token, and on no other."""
    keep = visible.shape[1]
    visible, restore = visible[:1], restore[:1]  # the first image: each has places of its own

    def moved(part: int) -> dict[str, Any]:
        place = (0, part)
        one = visible if not 0 <= part < keep else rewritten(visible, place, visible[place] + visible.dtype.type(64))
        other = mask_token + mask_token.dtype.type(64) if part == keep else mask_token
        return {"visible": one, "mask_token": other, "restore": restore}

    expected = np.minimum(restore[0], keep)[:, None] == np.arange(keep + 1)
    return exactly(dependence(restore_tokens, moved, keep + 1, axis=1), expected)


@law(below=st.integers(-2, 0), above=st.integers(1, 3), examples=20)
def a_number_of_kept_tokens_out_of_range_is_refused(
    random_masking: Any, tokens: Any, noise: Any, below: int, above: int
) -> Claim:
    """At least one token is kept, and at most all."""
    call = {"tokens": tokens, "noise": noise}
    outside = (below, tokens.shape[1] + above)
    return all_of(*[refused(random_masking, "keep", {**call, "keep": keep}) for keep in outside])


@law(surplus=st.integers(1, 3), examples=20)
def noise_for_other_tokens_is_refused(random_masking: Any, tokens: Any, noise: Any, keep: int, surplus: int) -> Claim:
    """Every token has its noise, and there is no more."""
    longer = np.concatenate([noise] * (surplus + 1), axis=1)
    return refused(random_masking, "noise", {"tokens": tokens, "noise": longer, "keep": keep})


@law(examples=20)
def places_that_are_taken_twice_are_refused(restore_tokens: Any, visible: Any, mask_token: Any, restore: Any) -> Claim:
    """The places of an image are a permutation: none is taken twice or lies outside."""
    beyond = restore + 1
    twice = np.concatenate([restore, restore[:, :1]], axis=1)
    call = {"visible": visible, "mask_token": mask_token}
    return all_of(*[refused(restore_tokens, "restore", {**call, "restore": places}) for places in (beyond, twice)])


@law(examples=1)
def a_ratio_does_not_say_how_many_tokens_to_keep(random_masking: Any) -> Claim:
    """Erratum. int(L (1 - ratio)) asks for none of 10 tokens at ratio 0.9, which is refused, and for 9 of 100, so that
    91 are removed; in exact arithmetic it is 1 and 10.
    """

    def asked(length: int) -> int:
        return int(length * (1 - 0.9))

    def call(length: int) -> dict[str, Any]:
        return {"tokens": np.zeros((1, length, 1)), "noise": np.arange(length)[None] * 1.0, "keep": asked(length)}

    meant = [int(length * (1 - Fraction(9, 10))) for length in (10, 100)]
    return all_of(
        exactly(np.array([asked(10), asked(100)]), np.array([0, 9])),
        exactly(np.array(meant), np.array([1, 10])),
        refused(random_masking, "keep", call(10)),
        exactly(random_masking(**call(100))[1].sum(), 91),
    )


# --- laws: the encoder ----------------------------------------------------------------------------------------


@law()
def removed_pixels_may_hold_anything(masked_encoder: Any, inputs: dict[str, Any]) -> Claim:
    """Huge numbers in the removed patches leave the latents as they were."""
    removed = _ranks(inputs["noise"]) >= inputs["keep"]
    patches = rewritten(inputs["patches"], removed, huge(inputs["patches"]))
    return closely(masked_encoder(**{**inputs, "patches": patches}), masked_encoder(**inputs))


@law(inputs=calm_encoders(), examples=50)
def kept_patches_reach_the_latents_and_no_others(masked_encoder: Any, inputs: dict[str, Any]) -> Claim:
    """The latents of an image depend on each of its kept patches, and on no removed one."""
    patches = inputs["patches"]

    def moved(place: int) -> dict[str, Any]:
        pixel = (0, place, 0)
        changed = patches if place < 0 else rewritten(patches, pixel, patches[pixel] + patches.dtype.type(8))
        return {**inputs, "patches": changed}

    kept = _ranks(inputs["noise"]) < inputs["keep"]
    return exactly(dependence(masked_encoder, moved, patches.shape[1], axis=0), kept)


@law(inputs=encoders(textures=SEEN), needs=["gradient"], seed=seeds)
def no_gradient_flows_to_removed_pixels(masked_encoder: Any, inputs: dict[str, Any], seed: int) -> Claim:
    """The gradient of the latents by a removed patch is exactly 0, and by a kept one it is not; a position that was
    removed in all images gets none either.
    """
    patches, keep = inputs["patches"], inputs["keep"]
    kept = _ranks(inputs["noise"]) < keep
    cotangent = normal(seed, (len(patches), keep, len(inputs["b_embed"])), patches)
    gradient = masked_encoder.gradient(cotangent, **inputs)
    alive = (np.abs(gradient["patches"]) > 0).any(axis=2)
    unused = gradient["positions"][~kept.any(axis=0)]
    return all_of(exactly(alive, kept), exactly(unused, np.zeros_like(unused)))


@law(inputs=encoders(edges=()), examples=50)
def encoding_the_kept_patches_alone_is_the_same(masked_encoder: Any, inputs: dict[str, Any]) -> Claim:
    """The encoder of an image whose removed patches are cut out, with their positions, gives the same latents."""
    one = {**inputs, "patches": inputs["patches"][:1], "noise": inputs["noise"][:1]}
    keep = inputs["keep"]
    kept = np.argsort(_ranks(one["noise"])[0])[:keep]
    alone = {
        **one, "patches": one["patches"][:, kept], "positions": inputs["positions"][kept],
        "noise": np.arange(keep)[None].astype(one["noise"].dtype),
    }  # fmt: skip
    return closely(masked_encoder(**alone), masked_encoder(**one))


@law(inputs=encoders(edges=()), seed=seeds, examples=50)
def the_order_of_patches_enters_by_their_positions(masked_encoder: Any, inputs: dict[str, Any], seed: int) -> Claim:
    """Patches permuted together with their positions and noise give the same latents."""
    ranks = _ranks(inputs["noise"]).astype(inputs["noise"].dtype)  # no two are equal, so that ties decide nothing
    order = np.random.default_rng(seed).permutation(ranks.shape[1])
    permuted = {
        **inputs, "patches": inputs["patches"][:, order], "positions": inputs["positions"][order],
        "noise": ranks[:, order],
    }  # fmt: skip
    return closely(masked_encoder(**permuted), masked_encoder(**{**inputs, "noise": ranks}))


@law()
def blocks_that_add_nothing_leave_the_embedding(masked_encoder: Any, inputs: dict[str, Any]) -> Claim:
    """Where attention and network end in zeros, the latents are the embedded kept patches with their positions."""
    nothing = {name: np.zeros_like(inputs[name]) for name in ("w_o", "b_o", "w_2", "b_2")}
    embedded = affine(asbounded(inputs["patches"]), inputs["w_embed"], inputs["b_embed"]) + inputs["positions"]
    kept = np.argsort(_ranks(inputs["noise"]), axis=1)[:, : inputs["keep"], None]
    return closely(masked_encoder(**{**inputs, **nothing}), np.take_along_axis(embedded, kept, axis=1))


@law()
def blocks_follow_each_other(masked_encoder: Any, inputs: dict[str, Any]) -> Claim:
    """The first block, then the others over its latents, are the whole encoder."""
    first = masked_encoder(**{**inputs, **{name: inputs[name][:1] for name in BLOCK}})
    return closely(masked_encoder(**_blocks_alone(first, inputs, first=1)), masked_encoder(**inputs))


@law(seed=seeds)
def the_activation_weighs_by_the_normal_distribution(masked_encoder: Any, format: Any, seed: int) -> Claim:
    """Over zeros a block gives gelu(b_1) w_2, and gelu(x) is x times the probability of a normal number below x."""
    points = (np.random.default_rng(seed).standard_normal(6) * 2).astype(format.dtype)

    def zeros(*shape: int) -> Any:
        return np.zeros(shape, format.dtype)

    vectors = dict.fromkeys([name for name in BLOCK if name[:2] != "w_"], zeros(1, 6))
    matrices = dict.fromkeys([name for name in BLOCK if name[:2] == "w_"], zeros(1, 6, 6))
    latents = masked_encoder(
        **{**vectors, **matrices, "b_1": points[None], "w_2": np.eye(6, dtype=format.dtype)[None]},
        patches=zeros(1, 1, 1), noise=zeros(1, 1), keep=1, w_embed=zeros(1, 6), b_embed=zeros(6), positions=zeros(1, 6),
        num_heads=2, epsilon=0.5,
    )  # fmt: skip
    below = rounded([NormalDist().cdf(float(x)) for x in points], format)
    return closely(latents[0, 0], below * points)


@law(above=st.integers(1, 3), examples=20)
def an_encoder_refuses_to_keep_none_or_more_than_all(masked_encoder: Any, inputs: dict[str, Any], above: int) -> Claim:
    """At least one patch is kept, and at most all."""
    outside = (0, inputs["patches"].shape[1] + above)
    return all_of(*[refused(masked_encoder, "keep", {**inputs, "keep": keep}) for keep in outside])


@law(examples=20)
def an_encoder_refuses_positions_of_other_patches(masked_encoder: Any, inputs: dict[str, Any]) -> Claim:
    """Every patch has its position, and there are no more."""
    longer = np.concatenate([inputs["positions"]] * 2)
    return refused(masked_encoder, "positions", {**inputs, "positions": longer})


@law(examples=20)
def an_encoder_refuses_heads_that_do_not_divide_its_width(masked_encoder: Any, inputs: dict[str, Any]) -> Claim:
    """The heads of an encoder share its width evenly."""
    return refused(masked_encoder, "num_heads", {**inputs, "num_heads": len(inputs["b_embed"]) + 1})


# --- laws: the loss -------------------------------------------------------------------------------------------


@law()
def the_loss_ignores_visible_patches(reconstruction_loss: Any, inputs: dict[str, Any]) -> Claim:
    """Whatever is predicted at visible patches, and whatever is there, the loss is the same."""
    target, prediction, visible = inputs["target"], inputs["prediction"], ~inputs["mask"]
    other = {
        "target": rewritten(target, visible, huge(target)),
        "prediction": rewritten(prediction, visible, -huge(prediction)),
    }
    return closely(reconstruction_loss(**{**inputs, **other}), reconstruction_loss(**inputs))


@law(needs=["gradient"])
def no_gradient_flows_to_visible_patches(reconstruction_loss: Any, inputs: dict[str, Any]) -> Claim:
    """The gradient of the loss is exactly 0 by what is predicted at visible patches, and by what is there."""
    gradient = reconstruction_loss.gradient(np.ones((), inputs["target"].dtype), **inputs)
    visible = [gradient[name][~inputs["mask"]] for name in ("target", "prediction")]
    return all_of(*[exactly(x, np.zeros_like(x)) for x in visible])


@law(inputs=reconstructions(normalize=False), needs=["gradient"])
def the_gradient_of_the_loss_is_the_error(
    reconstruction_loss: Any, target: Any, prediction: Any, mask: Any, normalize: bool
) -> Claim:
    """By the prediction it is 2 (prediction - target) / (P M) at the M removed patches; by the target the opposite."""
    call = {"target": target, "prediction": prediction, "mask": mask, "normalize": normalize}
    gradient, _ = reconstruction_loss.compare_gradient(np.ones((), target.dtype), **call)
    error = 2 * (asbounded(prediction) - target) / (target.shape[-1] * int(mask.sum()))
    slope = np.where(mask[:, :, None], error, 0.0)
    return all_of(closely(gradient["prediction"], slope), closely(gradient["target"], -slope))


@law(inputs=reconstructions(normalize=False))
def the_loss_is_a_mean_over_removed_pixels(reconstruction_loss: Any, mask: Any, target: Any) -> Claim:
    """An error of 3 at every pixel is a loss of 9, however many pixels, patches and images there are."""
    prediction = np.full_like(target, 3)
    result = reconstruction_loss(target=np.zeros_like(target), prediction=prediction, mask=mask, normalize=False)
    return closely(result, np.full((), 9, target.dtype))


@law()
def images_weigh_by_their_removed_patches(reconstruction_loss: Any, inputs: dict[str, Any]) -> Claim:
    """The loss of a batch is the mean of its images' losses, each weighted by the number of its removed patches."""
    total, removed = 0.0, inputs["mask"].sum(axis=1)
    for image in np.flatnonzero(removed):
        part = {name: inputs[name][image : image + 1] for name in ("target", "prediction", "mask")}
        total = total + reconstruction_loss(**{**inputs, **part}) * int(removed[image])
    return closely(reconstruction_loss(**inputs), total / int(removed.sum()))


@law(inputs=reconstructions(normalize=True))
def predicting_zeros_costs_the_contrast_of_the_target(reconstruction_loss: Any, inputs: dict[str, Any]) -> Claim:
    """A prediction of zeros for normalized patches of P pixels costs the mean of (1 - 1/P) v / (v + 1e-6), v their
    unbiased variances.
    """
    pixels = inputs["target"].shape[-1]
    removed = asbounded(inputs["target"])[inputs["mask"]]  # (M, P)
    squares = np.square(removed - np.mean(removed, axis=-1, keepdims=True))
    variance = np.sum(squares, axis=-1) / (pixels - 1)
    expected = np.mean(variance / (variance + 1e-6)) * (pixels - 1) / pixels
    return closely(reconstruction_loss(**{**inputs, "prediction": np.zeros_like(inputs["prediction"])}), expected)


@law(inputs=reconstructions(textures=PLAIN, normalize=True))
def a_patch_without_contrast_is_normalized_to_zeros(reconstruction_loss: Any, inputs: dict[str, Any]) -> Claim:
    """Where all pixels of each patch are equal, the normalized loss is the mean square of the prediction."""
    flat = np.broadcast_to(np.sign(inputs["target"][..., :1]), inputs["target"].shape).copy()
    removed = asbounded(inputs["prediction"])[inputs["mask"]]
    return closely(reconstruction_loss(**{**inputs, "target": flat}), np.mean(np.square(removed)))


@law(inputs=reconstructions(textures=SEEN, normalize=True), contrast=st.integers(1, 3), brightness=st.integers(-8, 8))
def a_normalized_loss_ignores_brightness_and_contrast(
    reconstruction_loss: Any, inputs: dict[str, Any], contrast: int, brightness: int
) -> Claim:
    """Target patches may be made brighter, and their contrast raised by a factor a: the normalized loss changes by no
    more than the 1e-6 beside the variance accounts for, z = (t - mean) / sqrt(v + 1e-6) becoming r z with
    r^2 = (v + 1e-6) / (v + 1e-6 / a^2).
    """
    target = inputs["target"] * inputs["target"].dtype.type(16)
    numbers, predicted = (x[inputs["mask"]].astype(np.float64) for x in (target, inputs["prediction"]))
    v = numbers.var(axis=-1, ddof=1, keepdims=True)
    z = np.abs(numbers - numbers.mean(axis=-1, keepdims=True)) / np.sqrt(v + 1e-6)
    r = np.sqrt((v + 1e-6) / (v + 1e-6 / 4**contrast))
    drift = float(((r - 1) * z * ((r + 1) * z + 2 * np.abs(predicted))).max())
    one = reconstruction_loss(**{**inputs, "target": target})
    other = reconstruction_loss(**{**inputs, "target": asbounded(target) * 2**contrast + brightness})
    return all_of(at_most(one, other + drift), at_most(other, one + drift))


@law(examples=20)
def a_loss_without_removed_patches_is_refused(reconstruction_loss: Any, inputs: dict[str, Any]) -> Claim:
    """Where no patch was removed there is nothing to average."""
    return refused(reconstruction_loss, "mask", {**inputs, "mask": np.zeros_like(inputs["mask"])})


@law(examples=20)
def patches_of_one_pixel_cannot_be_normalized(reconstruction_loss: Any, inputs: dict[str, Any]) -> Claim:
    """One pixel has no unbiased variance."""
    single = {name: inputs[name][..., :1] for name in ("target", "prediction")}
    return refused(reconstruction_loss, "target", {**inputs, **single, "normalize": True})


@law(surplus=st.integers(1, 3), examples=20)
def a_prediction_of_another_shape_is_refused(reconstruction_loss: Any, inputs: dict[str, Any], surplus: int) -> Claim:
    """Every target pixel has its prediction: one patch or pixel for all, or more of them, is an error."""
    prediction = inputs["prediction"]
    longer = np.concatenate([prediction] * (surplus + 1), axis=1)
    broadcast = np.zeros((*prediction.shape[:2], prediction.shape[2] + 1), prediction.dtype)[..., :1]
    target = np.concatenate([inputs["target"]] * 2, axis=2)
    return all_of(
        refused(reconstruction_loss, "prediction", {**inputs, "prediction": longer}),
        refused(reconstruction_loss, "prediction", {**inputs, "target": target, "prediction": broadcast}),
    )


# --- faults ---------------------------------------------------------------------------------------------------


def _cut(images: Any, size: int, *order: int) -> Any:
    """Patches with axes (N, C, Y / P, P, X / P, P) in another order."""
    count, channels, height, width = images.shape
    require(height % size == 0 and width % size == 0, "images have no whole patches")
    cut = images.reshape(count, channels, height // size, size, width // size, size)
    return cut.transpose(*order).reshape(count, -1, size * size * channels)


@fault(patchify, breaks=("pixels_stand_row_by_row_with_their_channels_last",
                         "embedding_patches_is_a_strided_convolution", "unpatchify_undoes_patchify"))  # fmt: skip
def channels_first(images: Any, patch_size: int) -> Any:
    """A patch lists its channels one after the other, (c, py, px), as unfold does. Put the channels last."""
    return _cut(images, patch_size, 0, 2, 4, 1, 3, 5)


@fault(patchify, breaks=("pixels_stand_row_by_row_with_their_channels_last",
                         "embedding_patches_is_a_strided_convolution", "unpatchify_undoes_patchify"))  # fmt: skip
def patches_column_by_column(images: Any, patch_size: int) -> Any:
    """Patches are counted down the columns of the grid. Count them along its rows."""
    return _cut(images, patch_size, 0, 4, 2, 3, 5, 1)


@fault(patchify, breaks="images_without_whole_patches_are_refused",
       seen="https://github.com/dovahcrow/patchify.py/issues/7")  # fmt: skip
def leaves_out_the_border(images: Any, patch_size: int) -> Any:
    """Pixels beyond the last whole patch are dropped without a word. Refuse such images."""
    height, width = (extent // patch_size * patch_size for extent in images.shape[2:])
    return _cut(images[:, :, :height, :width], patch_size, 0, 2, 4, 3, 5, 1)


@fault(unpatchify, breaks="unpatchify_undoes_patchify", seen="https://github.com/PKU-YuanGroup/Chat-UniVi/issues/48")
def swaps_the_sides_of_the_grid(patches: Any, patch_size: int, height: int, width: int) -> Any:
    """Rows of the grid are counted from the width, right for square images only. Count them from the height."""
    require(height % patch_size == 0 and width % patch_size == 0, "height or width is no multiple of patch_size")
    rows, columns, channels = width // patch_size, height // patch_size, patches.shape[2] // patch_size**2
    require(patches.shape[1] == rows * columns, "patches are of another grid")
    grid = patches.reshape(len(patches), rows, columns, patch_size, patch_size, channels)
    return grid.transpose(0, 5, 1, 3, 2, 4).reshape(len(patches), channels, height, width)


@fault(unpatchify, breaks=("patches_of_another_grid_are_refused", "an_image_size_of_no_whole_patches_is_refused"))
def fills_up_with_zeros(patches: Any, patch_size: int, height: int, width: int) -> Any:
    """Too few patches are padded with zeros, too many are dropped, and so are pixels. Refuse them."""
    rows, columns, pixels = -(-height // patch_size), -(-width // patch_size), patches.shape[2]
    wanted = rows * columns
    padded = np.concatenate([patches, np.zeros((len(patches), wanted, pixels), patches.dtype)], axis=1)[:, :wanted]
    whole = unpatchify(padded, patch_size, rows * patch_size, columns * patch_size)
    return whole[:, :, :height, :width]


def _masked(tokens: Any, shuffle: Any, keep: int, restore: Any = None) -> Any:
    require(1 <= keep <= tokens.shape[1], "keep lies outside the number of tokens")
    restore = np.argsort(shuffle, axis=1) if restore is None else restore
    return np.take_along_axis(tokens, shuffle[:, :keep, None], axis=1), restore >= keep, restore


def _shuffle(tokens: Any, noise: Any) -> Any:
    require(noise.shape == tokens.shape[:2], "noise has another shape than tokens")
    return np.argsort(noise, axis=1, kind="stable")


@fault(random_masking, breaks=("the_tokens_of_least_noise_are_kept", "restoring_puts_every_token_where_it_was",
                               "keeping_all_tokens_and_restoring_them_changes_nothing"))  # fmt: skip
def returns_the_shuffle_itself(tokens: Any, noise: Any, keep: int) -> Any:
    """restore is the shuffle, not its inverse. Sort the shuffle once more."""
    shuffle = _shuffle(tokens, noise)
    return _masked(tokens, shuffle, keep, shuffle)


@fault(random_masking, breaks="the_tokens_of_least_noise_are_kept")
def keeps_the_most_noise(tokens: Any, noise: Any, keep: int) -> Any:
    """The tokens of most noise are kept. Keep those of least."""
    return _masked(tokens, _shuffle(tokens, -noise), keep)


@fault(random_masking, breaks="equal_noise_keeps_the_first_tokens")
def takes_the_last_of_equals_first(tokens: Any, noise: Any, keep: int) -> Any:
    """Of equal noise the last token comes first: the sort is not stable. Ask for a stable one."""
    return _masked(tokens, noise.shape[1] - 1 - _shuffle(tokens, np.flip(noise, 1)), keep)


@fault(random_masking, breaks="the_mask_is_true_where_the_place_is_beyond_the_kept")
def forgets_to_restore_the_mask(tokens: Any, noise: Any, keep: int) -> Any:
    """The mask is in the order of noise, its last places True. Gather it by restore."""
    visible, mask, restore = _masked(tokens, _shuffle(tokens, noise), keep)
    return visible, np.sort(mask, axis=1), restore


@fault(random_masking, breaks=("the_mask_is_true_where_the_place_is_beyond_the_kept",
                               "restoring_puts_every_token_where_it_was"),
       seen="https://github.com/IcarusWizard/MAE/issues/17")  # fmt: skip
def counts_the_class_token(tokens: Any, noise: Any, keep: int) -> Any:
    """The mask begins one place late, as if a class token stood in front. Begin at `keep`."""
    visible, _, restore = _masked(tokens, _shuffle(tokens, noise), keep)
    return visible, restore > keep, restore


@fault(random_masking, breaks="images_are_masked_by_their_own_noise")
def one_mask_for_the_batch(tokens: Any, noise: Any, keep: int) -> Any:
    """All images are masked by the noise of the first. Sort each row by itself."""
    return _masked(tokens, np.repeat(_shuffle(tokens, noise)[:1], len(tokens), axis=0), keep)


@fault(random_masking, breaks=("a_number_of_kept_tokens_out_of_range_is_refused",
                               "a_ratio_does_not_say_how_many_tokens_to_keep"))  # fmt: skip
def keeps_nothing_without_a_word(tokens: Any, noise: Any, keep: int) -> Any:
    """keep = 0 gives empty arrays, from which means are not a number later. Refuse it."""
    shuffle = _shuffle(tokens, noise)
    restore = np.argsort(shuffle, axis=1)
    return np.take_along_axis(tokens, shuffle[:, :keep, None], axis=1), restore >= keep, restore


@fault(random_masking, breaks="noise_for_other_tokens_is_refused")
def ignores_surplus_noise(tokens: Any, noise: Any, keep: int) -> Any:
    """More noise than tokens is cut off. Compare the shapes first."""
    return random_masking(tokens, noise[: tokens.shape[0], : tokens.shape[1]], keep)


def _filled(visible: Any, mask_token: Any, restore: Any) -> Any:
    """The mask token at the removed places, in the order of noise. -> (N, L - keep, D)."""
    count, length = restore.shape
    require(np.sort(restore, axis=1) == np.arange(length), "restore is no permutation")
    require(visible.shape[1] <= length, "restore is too short")
    return np.broadcast_to(mask_token, (count, length - visible.shape[1], visible.shape[2]))


@fault(restore_tokens, breaks=("restoring_puts_every_token_where_it_was",
                               "keeping_all_tokens_and_restoring_them_changes_nothing",
                               "the_mask_token_fills_the_removed_places"),
       seen="https://github.com/lucidrains/vit-pytorch/issues/241")  # fmt: skip
def leaves_tokens_shuffled(visible: Any, mask_token: Any, restore: Any) -> Any:
    """Visible and mask tokens are put side by side and stay in the order of noise. Gather them by restore."""
    return np.concatenate([visible, _filled(visible, mask_token, restore)], axis=1)


@fault(restore_tokens, breaks=("restoring_puts_every_token_where_it_was", "the_mask_token_fills_the_removed_places"),
       seen="https://github.com/lucidrains/vit-pytorch/issues/171")  # fmt: skip
def mask_tokens_in_front(visible: Any, mask_token: Any, restore: Any) -> Any:
    """Mask tokens stand in front, while the order of noise has the visible ones first. Put them behind."""
    both = np.concatenate([_filled(visible, mask_token, restore), visible], axis=1)
    return np.take_along_axis(both, restore[:, :, None], axis=1)


@fault(restore_tokens, breaks=("restoring_puts_every_token_where_it_was",
                               "keeping_all_tokens_and_restoring_them_changes_nothing"))  # fmt: skip
def shuffles_once_more(visible: Any, mask_token: Any, restore: Any) -> Any:
    """Tokens are gathered by the shuffle. Gather them by its inverse, which restore is already."""
    both = np.concatenate([visible, _filled(visible, mask_token, restore)], axis=1)
    return np.take_along_axis(both, np.argsort(restore, axis=1)[:, :, None], axis=1)


@fault(restore_tokens, breaks="places_that_are_taken_twice_are_refused")
def wraps_places_around(visible: Any, mask_token: Any, restore: Any) -> Any:
    """Places beyond the end are taken modulo the length, and repeated ones are accepted. Check that they permute."""
    count, length = restore.shape
    filled = np.broadcast_to(mask_token, (count, max(length - visible.shape[1], 0), visible.shape[2]))
    return np.take_along_axis(np.concatenate([visible, filled], axis=1), restore[:, :, None] % length, axis=1)


def _encode(
    inputs: dict[str, Any], positions: Any = None, activation: Callable[[Any], Any] = gelu, twice: bool = False,
    pre_norm: bool = True,
) -> Any:  # fmt: skip
    """The encoder with the knobs that faults turn. positions: what is added to the tokens that are left."""
    x = affine(inputs["patches"], inputs["w_embed"], inputs["b_embed"])
    x = random_masking(x + inputs["positions"] if positions is None else x, inputs["noise"], inputs["keep"])[0]
    x = x if positions is None else x + positions
    for z in range(len(inputs["norm_1_scale"])):
        w = {name: inputs[name][z] for name in BLOCK}
        norms = [(w[f"norm_{k}_scale"], w[f"norm_{k}_shift"], inputs["epsilon"]) for k in (1, 2)]
        projections = [w[name] for name in ("w_q", "w_k", "w_v", "w_o", "b_q", "b_k", "b_v", "b_o")]
        seen = layer_norm(x, *norms[0]) if pre_norm else x
        x = x + (x if twice else multi_head_attention(seen, seen, seen, *projections, inputs["num_heads"], None)[0])
        x = x if pre_norm else layer_norm(x, *norms[0])
        seen = layer_norm(x, *norms[1]) if pre_norm else x
        x = x + affine(activation(affine(seen, w["w_1"], w["b_1"])), w["w_2"], w["b_2"])
        x = x if pre_norm else layer_norm(x, *norms[1])
    return x


@fault(masked_encoder, breaks=("the_order_of_patches_enters_by_their_positions",
                               "encoding_the_kept_patches_alone_is_the_same",
                               "blocks_that_add_nothing_leave_the_embedding"))  # fmt: skip
def positions_of_the_first_places(**inputs: Any) -> Any:
    """Patches are removed before positions are added, so that the kept ones get the first rows. Add them before."""
    return _encode(inputs, positions=inputs["positions"][: inputs["keep"]])


@fault(masked_encoder, breaks="blocks_that_add_nothing_leave_the_embedding",
       seen="https://github.com/lucidrains/vit-pytorch/issues/253")  # fmt: skip
def positions_one_row_off(**inputs: Any) -> Any:
    """The first row of positions is skipped, as if it were a class token's. Patch n has row n."""
    return masked_encoder(**{**inputs, "positions": np.roll(inputs["positions"], -1, 0)})


@fault(masked_encoder, breaks=("removed_pixels_may_hold_anything", "kept_patches_reach_the_latents_and_no_others",
                               "no_gradient_flows_to_removed_pixels",
                               "encoding_the_kept_patches_alone_is_the_same"))  # fmt: skip
def removed_patches_are_still_attended(**inputs: Any) -> Any:
    """All patches go through the blocks, and the removed ones are dropped behind them. Drop them before."""
    return masked_encoder(**{**inputs, "keep": inputs["patches"].shape[1]})[:, : inputs["keep"]]


@fault(masked_encoder, breaks=("removed_pixels_may_hold_anything", "kept_patches_reach_the_latents_and_no_others",
                               "no_gradient_flows_to_removed_pixels"))  # fmt: skip
def centres_the_patches_of_an_image(**inputs: Any) -> Any:
    """Patches are centred by the mean of all patches of their image, which leaks the removed ones. Leave it out."""
    patches = inputs["patches"] - np.mean(inputs["patches"], axis=1, keepdims=True)
    return masked_encoder(**{**inputs, "patches": patches})


@fault(masked_encoder, breaks="kept_patches_reach_the_latents_and_no_others")
def encodes_the_removed_patches(**inputs: Any) -> Any:
    """The patches of most noise are encoded instead of those of least. The mask says which are removed."""
    return masked_encoder(**{**inputs, "noise": -inputs["noise"]})


@fault(masked_encoder, breaks=("blocks_that_add_nothing_leave_the_embedding", "blocks_follow_each_other"))
def norm_behind_the_last_block(**inputs: Any) -> Any:
    """One more LayerNorm follows the last block. This encoder ends without."""
    result = masked_encoder(**inputs)
    width = result.shape[-1]
    return layer_norm(result, np.ones(width, result.dtype), np.zeros(width, result.dtype), inputs["epsilon"])


@fault(masked_encoder, breaks="blocks_that_add_nothing_leave_the_embedding")
def normalizes_behind_the_residual(**inputs: Any) -> Any:
    """Blocks are post-norm, LN(x + f(x)). Here they are pre-norm, x + f(LN(x))."""
    return _encode(inputs, pre_norm=False)


@fault(masked_encoder, breaks="blocks_that_add_nothing_leave_the_embedding",
       seen="https://github.com/kyegomez/BitNet/issues/32")  # fmt: skip
def adds_the_residual_to_itself(**inputs: Any) -> Any:
    """x + x stands where x + attention(x) belongs: the result of attention is overwritten by its input."""
    return _encode(inputs, twice=True)


@fault(masked_encoder, breaks="blocks_follow_each_other")
def one_block_many_times(**inputs: Any) -> Any:
    """Every block has the weights of the last. Give each its own."""
    count = len(inputs["norm_1_scale"])
    return masked_encoder(**{**inputs, **{name: np.repeat(inputs[name][-1:], count, axis=0) for name in BLOCK}})


@fault(masked_encoder, breaks="the_activation_weighs_by_the_normal_distribution")
def gelu_by_tanh(**inputs: Any) -> Any:
    """GELU is approximated by a tanh, which is off by up to 5e-4. Use the error function."""

    def approximated(x: Any) -> Any:
        return 0.5 * x * (1.0 + np.tanh(0.7978845608028654 * (x + 0.044715 * x * x * x)))

    return _encode(inputs, activation=approximated)


@fault(masked_encoder, breaks="the_activation_weighs_by_the_normal_distribution")
def rectifies(**inputs: Any) -> Any:
    """The activation is max(0, x). It is a GELU."""
    return _encode(inputs, activation=lambda x: np.maximum(x, 0.0))


@fault(masked_encoder, breaks=("an_encoder_refuses_to_keep_none_or_more_than_all",
                               "an_encoder_refuses_positions_of_other_patches",
                               "an_encoder_refuses_heads_that_do_not_divide_its_width"))  # fmt: skip
def adapts_whatever_does_not_fit(**inputs: Any) -> Any:
    """keep is clipped, surplus positions are dropped, heads that do not fit become one. Refuse them."""
    length, width = inputs["patches"].shape[1], len(inputs["b_embed"])
    heads = 1 if width % inputs["num_heads"] else inputs["num_heads"]
    fitted = {
        "keep": min(max(inputs["keep"], 1), length),
        "positions": inputs["positions"][:length],
        "num_heads": heads,
    }
    return masked_encoder(**{**inputs, **fitted})


def _loss(
    target: Any, prediction: Any, mask: Any, normalize: bool, weights: Any = None, ddof: int = 1, inside: bool = True,
    axis: Any = -1,
) -> Any:  # fmt: skip
    """The loss with the knobs that faults turn. weights (N, L): of the patches, the mask by default."""
    require(np.any(mask), "mask removes no patch")
    require(prediction.shape == target.shape, "prediction has another shape")
    if normalize:
        require(target.shape[-1] > 1, "target has patches of one pixel")
        centred = target - np.mean(target, axis=axis, keepdims=True)
        squares = np.sum(np.square(centred), axis=axis, keepdims=True)
        variance = squares / (centred.size // squares.size - ddof)
        target = centred / (np.sqrt(variance + 1e-6) if inside else np.sqrt(variance) + 1e-6)
    per_patch = np.mean(np.square(prediction - target), axis=-1)
    if weights is None:
        return np.sum(np.where(mask, per_patch, 0.0)) / int(mask.sum())
    return np.sum(np.where(weights > 0, per_patch, 0.0) * weights.astype(target.dtype))


@fault(reconstruction_loss, breaks=("the_loss_ignores_visible_patches", "no_gradient_flows_to_visible_patches",
                                    "the_gradient_of_the_loss_is_the_error", "images_weigh_by_their_removed_patches"),
       seen="https://github.com/dome272/MaskGIT-pytorch/pull/16")  # fmt: skip
def counts_all_patches(target: Any, prediction: Any, mask: Any, normalize: bool) -> Any:
    """The error is averaged over visible patches, too. Count the removed ones only."""
    return _loss(target, prediction, mask, normalize, np.full(mask.shape, 1 / mask.size))


@fault(reconstruction_loss, breaks=("the_loss_ignores_visible_patches", "no_gradient_flows_to_visible_patches"))
def counts_the_visible_patches(target: Any, prediction: Any, mask: Any, normalize: bool) -> Any:
    """The mask is taken for one of visible patches. True means removed."""
    return _loss(target, prediction, mask, normalize, ~mask / max(int((~mask).sum()), 1))


@fault(reconstruction_loss, breaks=("images_weigh_by_their_removed_patches", "the_gradient_of_the_loss_is_the_error"))
def averages_images_first(target: Any, prediction: Any, mask: Any, normalize: bool) -> Any:
    """Each image's error is averaged by itself, then those of the images. Average all removed patches together."""
    removed = mask.sum(axis=1, keepdims=True)
    return _loss(target, prediction, mask, normalize, mask / np.maximum(removed, 1) / max(int((removed > 0).sum()), 1))


@fault(reconstruction_loss, breaks=("the_loss_is_a_mean_over_removed_pixels", "the_gradient_of_the_loss_is_the_error"))
def adds_up_the_pixels(target: Any, prediction: Any, mask: Any, normalize: bool) -> Any:
    """The squared errors of a patch are added up instead of averaged. Divide by the number of its pixels."""
    return reconstruction_loss(target, prediction, mask, normalize) * target.shape[-1]


@fault(reconstruction_loss, breaks="predicting_zeros_costs_the_contrast_of_the_target")
def biased_variance(target: Any, prediction: Any, mask: Any, normalize: bool) -> Any:
    """The variance of a target patch is divided by P. Divide by P - 1."""
    return _loss(target, prediction, mask, normalize, ddof=0)


@fault(reconstruction_loss, breaks="predicting_zeros_costs_the_contrast_of_the_target",
       seen="https://github.com/MCG-NJU/VideoMAE/issues/120")  # fmt: skip
def epsilon_outside_the_root(target: Any, prediction: Any, mask: Any, normalize: bool) -> Any:
    """1e-6 is added to the standard deviation. Add it to the variance, inside the root."""
    return _loss(target, prediction, mask, normalize, inside=False)


@fault(reconstruction_loss, breaks=("a_normalized_loss_ignores_brightness_and_contrast",
                                    "predicting_zeros_costs_the_contrast_of_the_target",
                                    "a_patch_without_contrast_is_normalized_to_zeros"))  # fmt: skip
def forgets_to_normalize(target: Any, prediction: Any, mask: Any, normalize: bool) -> Any:
    """The target is taken as it is, whatever `normalize` says. Normalize its patches where it is asked for."""
    require(not normalize or target.shape[-1] > 1, "target has patches of one pixel")
    return reconstruction_loss(target, prediction, mask, False)


@fault(reconstruction_loss, breaks="a_patch_without_contrast_is_normalized_to_zeros")
def divides_by_a_variance_of_zero(target: Any, prediction: Any, mask: Any, normalize: bool) -> Any:
    """Nothing is added to the variance, and a flat patch becomes not a number. Add 1e-6."""
    if not normalize:
        return reconstruction_loss(target, prediction, mask, False)
    require(target.shape[-1] > 1, "target has patches of one pixel")
    centred = target - np.mean(target, axis=-1, keepdims=True)
    variance = np.sum(np.square(centred), axis=-1, keepdims=True) / (target.shape[-1] - 1)
    return reconstruction_loss(centred / np.sqrt(variance), prediction, mask, False)


@fault(reconstruction_loss, breaks="predicting_zeros_costs_the_contrast_of_the_target")
def normalizes_the_whole_image(target: Any, prediction: Any, mask: Any, normalize: bool) -> Any:
    """Mean and variance are those of all patches of an image. Take each patch by itself."""
    return _loss(target, prediction, mask, normalize, axis=(1, 2))


@fault(reconstruction_loss, breaks="a_loss_without_removed_patches_is_refused")
def no_removed_patch_costs_nothing(target: Any, prediction: Any, mask: Any, normalize: bool) -> Any:
    """A mask that removes nothing gives 0, as if all had been rebuilt. Refuse it."""
    if mask.any():
        return reconstruction_loss(target, prediction, mask, normalize)
    return np.zeros((), target.dtype)


@fault(reconstruction_loss, breaks="patches_of_one_pixel_cannot_be_normalized")
def one_pixel_is_left_as_it_is(target: Any, prediction: Any, mask: Any, normalize: bool) -> Any:
    """Patches of one pixel are not normalized, though it was asked for. Refuse them."""
    return reconstruction_loss(target, prediction, mask, normalize and target.shape[-1] > 1)


@fault(reconstruction_loss, breaks="a_prediction_of_another_shape_is_refused")
def broadcasts_the_prediction(target: Any, prediction: Any, mask: Any, normalize: bool) -> Any:
    """One number per patch stands for all its pixels, and surplus patches are dropped. Compare the shapes first."""
    fitting = np.broadcast_to(prediction[:, : target.shape[1]], target.shape)
    return reconstruction_loss(target, fitting, mask, normalize)


# --- workloads ------------------------------------------------------------------------------------------------


def _encoder_cost(N: int, L: int, keep: int, P: int, D: int, F: int, H: int, Z: int) -> Cost:
    """Embedding, blocks, and all that is read and written, of the kept patches alone."""
    block = 8 * keep * D**2 + 4 * keep**2 * D + 4 * keep * D * F
    weights = P * D + keep * D + Z * (4 * D**2 + 2 * D * F + 9 * D + F)
    return Cost(flops=N * (2 * keep * P * D + Z * block), moved=N * (L + keep * (P + D)) + weights)


@workload(masked_encoder,
          sizes={"N": 8, "L": 196, "keep": 49, "P": 768, "D": 768, "F": 3072, "H": 12, "Z": 2},
          cost=_encoder_cost, grows={"keep": (98, 147, 196)}, gradient=True)  # fmt: skip
def vit_base_encoder(
    random: np.random.Generator, N: int, L: int, keep: int, P: int, D: int, F: int, H: int, Z: int
) -> dict[str, Any]:
    """Two blocks of ViT-B on a quarter of the 196 patches of 8 images of 224 x 224 (He et al. 2021, sections 3 and 4;
    Dosovitskiy et al. 2020, table 1).
    """
    names = "norm_1_scale norm_1_shift b_q b_k b_v b_o norm_2_scale norm_2_shift b_2"
    vectors = dict.fromkeys(names.split(), (Z, D))
    matrices = {**dict.fromkeys(("w_q", "w_k", "w_v", "w_o"), (Z, D, D)), "w_1": (Z, D, F), "w_2": (Z, F, D)}
    return {
        "patches": random.standard_normal((N, L, P)), "noise": random.random((N, L)), "keep": keep,
        "w_embed": matrix(random, P, D), "b_embed": random.standard_normal(D) / 8,
        "positions": random.standard_normal((L, D)),
        **{name: name.endswith("scale") + random.standard_normal(shape) / 8 for name, shape in vectors.items()},
        **{name: matrix(random, *shape) / 32 for name, shape in matrices.items()},
        "b_1": random.standard_normal((Z, F)) / 8, "num_heads": H, "epsilon": 1e-6,
    }  # fmt: skip


a_quarter_of_the_patches = Headline(
    "The encoder works on a quarter of the patches only, so that it is 3 times as fast or more.",
    "He et al. 2021, Masked Autoencoders Are Scalable Vision Learners, abstract and section 4.1: training 3 or more"
    " times as fast, 2.8 to 4.1 in table 2, decoder included; measured here are two encoder blocks, forward",
    fast=vit_base_encoder,
    slow=vit_base_encoder.at(keep=196),
)

a_quarter_of_the_patches_in_training = Headline(
    "The encoder trains on a quarter of the patches only, so that it is 3 times as fast or more.",
    "He et al. 2021, Masked Autoencoders Are Scalable Vision Learners, abstract and section 4.1: training 3 or more"
    " times as fast, 2.8 to 4.1 in table 2, decoder included; measured here are two encoder blocks, with gradients",
    fast=vit_base_encoder,
    slow=vit_base_encoder.at(keep=196),
    gradient=True,
)


def _copied(**sizes: int) -> Cost:
    """Every pixel is read once and written once."""
    return Cost(moved=2 * math.prod(size for name, size in sizes.items() if name != "P"))


@workload(patchify, sizes={"N": 64, "C": 3, "Y": 224, "X": 224, "P": 16}, cost=_copied)
def imagenet_patches(random: np.random.Generator, N: int, C: int, Y: int, X: int, P: int) -> dict[str, Any]:
    """64 images of 224 x 224 cut into 196 patches each (He et al. 2021, section 4)."""
    return {"images": random.standard_normal((N, C, Y, X)), "patch_size": P}


@workload(unpatchify, sizes={"N": 64, "C": 3, "Y": 224, "X": 224, "P": 16}, cost=_copied)
def imagenet_images(random: np.random.Generator, N: int, C: int, Y: int, X: int, P: int) -> dict[str, Any]:
    """64 images of 224 x 224 put together from 196 patches each (He et al. 2021, section 4)."""
    patches = random.standard_normal((N, (Y // P) * (X // P), P * P * C))
    return {"patches": patches, "patch_size": P, "height": Y, "width": X}


@workload(random_masking, sizes={"N": 64, "L": 196, "keep": 49, "D": 768},
          cost=lambda N, L, keep, D: Cost(moved=N * (L + 2 * keep * D)))  # fmt: skip
def vit_base_masking(random: np.random.Generator, N: int, L: int, keep: int, D: int) -> dict[str, Any]:
    """A quarter of the embedded patches of 64 images at the width of ViT-B (He et al. 2021, section 4)."""
    return {"tokens": random.standard_normal((N, L, D)), "noise": random.random((N, L)), "keep": keep}


@workload(restore_tokens, sizes={"N": 64, "L": 196, "keep": 49, "D": 512},
          cost=lambda N, L, keep, D: Cost(moved=N * (keep + L) * D + D))  # fmt: skip
def decoder_input(random: np.random.Generator, N: int, L: int, keep: int, D: int) -> dict[str, Any]:
    """What a decoder of width 512 is given for 64 images of which it has a quarter (He et al. 2021, section 4.1)."""
    return {
        "visible": random.standard_normal((N, keep, D)),
        "mask_token": random.standard_normal(D),
        "restore": np.argsort(random.random((N, L)), axis=1),
    }


def _reconstruction_cost(N: int, L: int, keep: int, P: int) -> Cost:
    """Five operations to normalize a target, and three for its squared error; removed patches alone."""
    removed = N * (L - keep) * P
    return Cost(flops=8 * removed, moved=2 * removed)


def _reconstruction_cost_backward(N: int, L: int, keep: int, P: int) -> Cost:
    """Gradients for all patches: those of the patches that were kept are 0."""
    forward = _reconstruction_cost(N, L, keep, P)
    return Cost(flops=3 * forward.flops, moved=forward.moved + 2 * N * L * P)


@workload(reconstruction_loss, sizes={"N": 64, "L": 196, "keep": 49, "P": 768}, cost=_reconstruction_cost,
          backward=_reconstruction_cost_backward, gradient=True)  # fmt: skip
def normalized_pixel_loss(random: np.random.Generator, N: int, L: int, keep: int, P: int) -> dict[str, Any]:
    """The loss of 64 images over the three quarters of their patches that were removed, with normalized pixels (He et
    al. 2021, section 3).
    """
    return {
        "target": random.random((N, L, P)),
        "prediction": random.standard_normal((N, L, P)),
        "mask": np.argsort(random.random((N, L)), axis=1) >= keep,
        "normalize": True,
    }
