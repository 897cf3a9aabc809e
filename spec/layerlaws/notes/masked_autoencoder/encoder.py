"""An encoder that never sees the removed patches: masked_encoder, and what reaches its latents."""

from __future__ import annotations

from typing import Any

import numpy as np

from layerlaws.language import (
    Arguments,
    Array,
    Claim,
    Cost,
    Headline,
    Implementation,
    affine,
    all_of,
    answers_as,
    arrays,
    closely,
    dependence,
    exactly,
    extents,
    fault,
    gelu,
    huge,
    law,
    layer_norm,
    matrix,
    normal,
    operation,
    refused,
    require,
    rewritten,
    seeds,
    workload,
)
from layerlaws.language import strategies as st
from layerlaws.notes.masked_autoencoder.masking import NOISE, random_masking, stable_ranks
from layerlaws.notes.multi_head_attention.heads import multi_head_attention

MATRICES = ("normal", "normal", "integers", "tiny", "sparse")
"""Textures of an encoder's weights, which are divided by 4, so that scores are small."""


SEEN = ("normal",)
"""Weights through which every influence can be seen."""


@st.composite
def encoders(draw: st.DrawFn, textures: tuple[str, ...] = MATRICES, edges: tuple[int, ...] = (1, 2, 5)) -> Arguments:
    """Everything the encoder takes, with one or two blocks."""
    count, length, pixels, heads, head_width, hidden = draw(extents(6, edges=edges, squared=(1, 3, 4)))
    width, blocks = heads * head_width, draw(st.integers(1, 2))
    patches = draw(arrays((count, length, pixels), textures=textures))
    noise = draw(arrays((count, length), textures=NOISE))
    shapes = {
        "w_embed": (pixels, width),
        "b_embed": (width,),
        "positions": (length, width),
        "norm_1_scale": (blocks, width),
        "norm_1_shift": (blocks, width),
        "w_q": (blocks, width, width),
        "b_q": (blocks, width),
        "w_k": (blocks, width, width),
        "b_k": (blocks, width),
        "w_v": (blocks, width, width),
        "b_v": (blocks, width),
        "w_o": (blocks, width, width),
        "b_o": (blocks, width),
        "norm_2_scale": (blocks, width),
        "norm_2_shift": (blocks, width),
        "w_1": (blocks, width, hidden),
        "b_1": (blocks, hidden),
        "w_2": (blocks, hidden, width),
        "b_2": (blocks, width),
    }
    drawn = dict(zip(shapes, draw(arrays(*shapes.values(), textures=textures)), strict=True))
    weights = {name: x if name in ("w_embed", "positions") else x / 4 for name, x in drawn.items()}
    return {
        "patches": patches,
        "noise": noise,
        "keep": draw(st.integers(1, length)),
        **weights,
        "num_heads": heads,
        "epsilon": draw(st.sampled_from((1e-6, 1e-5, 1e-2))),
    }


BLOCK = (
    "norm_1_scale", "norm_1_shift", "w_q", "b_q", "w_k", "b_k", "w_v", "b_v", "w_o", "b_o", "norm_2_scale",
    "norm_2_shift", "w_1", "b_1", "w_2", "b_2",
)  # fmt: skip
"""The arguments of the encoder that have a row for every block."""


@st.composite
def calm_encoders(draw: st.DrawFn) -> Arguments:
    """One image of few patches, and a block that adds little, so that what reaches the latents can be seen."""
    inputs = draw(encoders(textures=SEEN, edges=()))
    length = min(inputs["patches"].shape[1], 3)
    calmed = {name: inputs[name][:1] / 16 for name in BLOCK}
    w_embed = np.copysign(1 + np.abs(inputs["w_embed"]), inputs["w_embed"])  # no pixel is lost
    short = {name: inputs[name][:1, :length] for name in ("patches", "noise")}
    return {
        **inputs,
        **calmed,
        **short,
        "w_embed": w_embed,
        "positions": inputs["positions"][:length],
        "keep": min(inputs["keep"], length),
        "epsilon": 0.5,
    }


@operation(inputs=encoders(), batch=("patches", "noise"), differentiable=True)
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
        projections = w_q[z], w_k[z], w_v[z], w_o[z], b_q[z], b_k[z], b_v[z], b_o[z]
        x = x + multi_head_attention(seen, seen, seen, *projections, num_heads, None)[0]
        seen = layer_norm(x, norm_2_scale[z], norm_2_shift[z], epsilon)
        x = x + affine(gelu(affine(seen, w_1[z], b_1[z])), w_2[z], b_2[z])
    return x


@law()
def removed_pixels_may_hold_anything(masked_encoder: Implementation, inputs: Arguments) -> Claim:
    """Huge numbers in the removed patches leave the latents as they were."""
    removed = stable_ranks(inputs["noise"]) >= inputs["keep"]
    patches = rewritten(inputs["patches"], removed, huge(inputs["patches"]))
    return closely(masked_encoder(**{**inputs, "patches": patches}), masked_encoder(**inputs))


@law(examples=20)
def removed_patches_may_hold_what_is_no_number(masked_encoder: Implementation, inputs: Arguments) -> Claim:
    """What is not a number in the removed patches leaves the latents as they were: they are not read."""
    removed = stable_ranks(inputs["noise"]) >= inputs["keep"]
    spoiled = rewritten(inputs["patches"], removed, np.nan)
    return answers_as(masked_encoder, {**inputs, "patches": spoiled}, inputs)


@fault(
    masked_encoder,
    breaks=removed_patches_may_hold_what_is_no_number,
    kind="mask",
    repair="Leave removed patches out.",
)
def multiplies_removed_patches_by_zero(**inputs: Any) -> Array:
    """All patches are encoded, removed ones with weights of 0, and 0 times what is not a number is none."""
    return masked_encoder(**inputs) + 0.0 * np.sum(inputs["patches"], axis=(1, 2), keepdims=True)


@law(inputs=calm_encoders(), examples=50)
def kept_patches_reach_the_latents_and_no_others(masked_encoder: Implementation, inputs: Arguments) -> Claim:
    """The latents of an image depend on each of its kept patches, and on no removed one."""
    patches = inputs["patches"]

    def moved(place: int) -> Arguments:
        pixel = (0, place, 0)
        changed = patches if place < 0 else rewritten(patches, pixel, patches[pixel] + patches.dtype.type(8))
        return {**inputs, "patches": changed}

    kept = stable_ranks(inputs["noise"]) < inputs["keep"]
    return exactly(dependence(masked_encoder, moved, patches.shape[1], axis=0), kept)


@fault(
    masked_encoder,
    breaks=kept_patches_reach_the_latents_and_no_others,
    kind="mask",
    repair="The mask says which are removed.",
)
def encodes_the_removed_patches(**inputs: Any) -> Array:
    """The patches of most noise are encoded instead of those of least."""
    return masked_encoder(**{**inputs, "noise": -inputs["noise"]})


@law(inputs=encoders(textures=SEEN), needs=["gradient"], seed=seeds)
def no_gradient_flows_to_removed_pixels(masked_encoder: Implementation, inputs: Arguments, seed: int) -> Claim:
    """The gradient of the latents by a removed patch is exactly 0, and by a kept one it is not; a position that was
    removed in all images gets none either.
    """
    patches, keep = inputs["patches"], inputs["keep"]
    kept = stable_ranks(inputs["noise"]) < keep
    cotangent = normal(seed, (len(patches), keep, len(inputs["b_embed"])), patches)
    gradient = masked_encoder.gradient(cotangent, **inputs)
    alive = (np.abs(gradient["patches"]) > 0).any(axis=2)
    unused = gradient["positions"][~kept.any(axis=0)]
    return all_of(exactly(alive, kept), exactly(unused, np.zeros_like(unused)))


@fault(
    masked_encoder,
    breaks=(
        removed_pixels_may_hold_anything,
        kept_patches_reach_the_latents_and_no_others,
        no_gradient_flows_to_removed_pixels,
    ),
    kind="mask",
    repair="Leave it out.",
)
def centres_the_patches_of_an_image(**inputs: Any) -> Array:
    """Patches are centred by the mean of all patches of their image, which leaks the removed ones."""
    patches = inputs["patches"] - np.mean(inputs["patches"], axis=1, keepdims=True)
    return masked_encoder(**{**inputs, "patches": patches})


@law(inputs=encoders(edges=()), examples=50)
def encoding_the_kept_patches_alone_is_the_same(masked_encoder: Implementation, inputs: Arguments) -> Claim:
    """The encoder of an image whose removed patches are cut out, with their positions, gives the same latents."""
    one = {**inputs, "patches": inputs["patches"][:1], "noise": inputs["noise"][:1]}
    keep = inputs["keep"]
    kept = np.argsort(stable_ranks(one["noise"])[0])[:keep]
    alone = {
        **one,
        "patches": one["patches"][:, kept],
        "positions": inputs["positions"][kept],
        "noise": np.arange(keep)[None].astype(one["noise"].dtype),
    }
    return closely(masked_encoder(**alone), masked_encoder(**one))


@fault(
    masked_encoder,
    breaks=(
        removed_pixels_may_hold_anything,
        kept_patches_reach_the_latents_and_no_others,
        no_gradient_flows_to_removed_pixels,
        encoding_the_kept_patches_alone_is_the_same,
    ),
    kind="mask",
    repair="Drop them before.",
)
def removed_patches_are_still_attended(**inputs: Any) -> Array:
    """All patches go through the blocks, and the removed ones are dropped behind them."""
    return masked_encoder(**{**inputs, "keep": inputs["patches"].shape[1]})[:, : inputs["keep"]]


@law(above=st.integers(1, 3), examples=20)
def an_encoder_refuses_to_keep_none_or_more_than_all(
    masked_encoder: Implementation, inputs: Arguments, above: int
) -> Claim:
    """At least one patch is kept, and at most all."""
    outside = (0, inputs["patches"].shape[1] + above)
    return all_of(*[refused(masked_encoder, "keep", {**inputs, "keep": keep}) for keep in outside])


@law(examples=20)
def an_encoder_refuses_positions_of_other_patches(masked_encoder: Implementation, inputs: Arguments) -> Claim:
    """Every patch has its position, and there are no more."""
    longer = np.concatenate([inputs["positions"]] * 2)
    return refused(masked_encoder, "positions", {**inputs, "positions": longer})


@law(examples=20)
def an_encoder_refuses_heads_that_do_not_divide_its_width(masked_encoder: Implementation, inputs: Arguments) -> Claim:
    """The heads of an encoder share its width evenly."""
    return refused(masked_encoder, "num_heads", {**inputs, "num_heads": len(inputs["b_embed"]) + 1})


@fault(
    masked_encoder,
    breaks=(
        an_encoder_refuses_to_keep_none_or_more_than_all,
        an_encoder_refuses_positions_of_other_patches,
        an_encoder_refuses_heads_that_do_not_divide_its_width,
    ),
    kind="refusal",
    repair="Refuse them.",
)
def adapts_whatever_does_not_fit(**inputs: Any) -> Array:
    """keep is clipped, surplus positions are dropped, heads that do not fit become one."""
    length, width = inputs["patches"].shape[1], len(inputs["b_embed"])
    heads = 1 if width % inputs["num_heads"] else inputs["num_heads"]
    fitted = {
        "keep": min(max(inputs["keep"], 1), length),
        "positions": inputs["positions"][:length],
        "num_heads": heads,
    }
    return masked_encoder(**{**inputs, **fitted})


def _encoder_cost(N: int, L: int, keep: int, P: int, D: int, F: int, H: int, Z: int) -> Cost:
    """Embedding, blocks, and all that is read and written, of the kept patches alone."""
    block = 8 * keep * D**2 + 4 * keep**2 * D + 4 * keep * D * F
    weights = P * D + keep * D + Z * (4 * D**2 + 2 * D * F + 9 * D + F)
    return Cost(flops=N * (2 * keep * P * D + Z * block), moved=N * (L + keep * (P + D)) + weights)


@workload(
    masked_encoder,
    sizes={"N": 8, "L": 196, "keep": 49, "P": 768, "D": 768, "F": 3072, "H": 12, "Z": 2},
    cost=_encoder_cost,
    grows={"keep": (98, 147, 196)},
    gradient=True,
)
def vit_base_encoder(
    random: np.random.Generator, N: int, L: int, keep: int, P: int, D: int, F: int, H: int, Z: int
) -> Arguments:
    """Two blocks of ViT-B on a quarter of the 196 patches of 8 images of 224 x 224 (He et al. 2021, sections 3 and 4;
    Dosovitskiy et al. 2020, table 1).
    """
    names = "norm_1_scale norm_1_shift b_q b_k b_v b_o norm_2_scale norm_2_shift b_2"
    vectors = dict.fromkeys(names.split(), (Z, D))
    matrices = {**dict.fromkeys(("w_q", "w_k", "w_v", "w_o"), (Z, D, D)), "w_1": (Z, D, F), "w_2": (Z, F, D)}
    return {
        "patches": random.standard_normal((N, L, P)),
        "noise": random.random((N, L)),
        "keep": keep,
        "w_embed": matrix(random, P, D),
        "b_embed": random.standard_normal(D) / 8,
        "positions": random.standard_normal((L, D)),
        **{name: name.endswith("scale") + random.standard_normal(shape) / 8 for name, shape in vectors.items()},
        **{name: matrix(random, *shape) / 32 for name, shape in matrices.items()},
        "b_1": random.standard_normal((Z, F)) / 8,
        "num_heads": H,
        "epsilon": 1e-6,
    }


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
