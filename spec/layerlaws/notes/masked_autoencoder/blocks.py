"""What the encoder does to the patches that are left: their positions, its blocks, and their activation."""

from __future__ import annotations

from collections.abc import Callable
from statistics import NormalDist
from typing import Any

import numpy as np

from layerlaws.language import (
    STEEPNESS,
    Arguments,
    Array,
    Claim,
    Format,
    Implementation,
    affine,
    answers_as,
    asbounded,
    closely,
    far_below,
    fault,
    gelu,
    law,
    layer_norm,
    root,
    rounded,
    seeds,
    two_factors,
)
from layerlaws.notes.masked_autoencoder.encoder import (
    BLOCK,
    encoders,
    encoding_the_kept_patches_alone_is_the_same,
    masked_encoder,
)
from layerlaws.notes.masked_autoencoder.masking import random_masking, stable_ranks
from layerlaws.notes.multi_head_attention.heads import multi_head_attention


@law(inputs=encoders(edges=()), seed=seeds, examples=50)
def the_order_of_patches_enters_by_their_positions(
    masked_encoder: Implementation, inputs: Arguments, seed: int
) -> Claim:
    """Patches permuted together with their positions and noise give the same latents."""
    ranks = stable_ranks(inputs["noise"]).astype(inputs["noise"].dtype)  # no two are equal, so that ties decide nothing
    order = np.random.default_rng(seed).permutation(ranks.shape[1])
    permuted = {
        **inputs,
        "patches": inputs["patches"][:, order],
        "positions": inputs["positions"][order],
        "noise": ranks[:, order],
    }
    return closely(masked_encoder(**permuted), masked_encoder(**{**inputs, "noise": ranks}))


@law()
def blocks_that_add_nothing_leave_the_embedding(masked_encoder: Implementation, inputs: Arguments) -> Claim:
    """Where attention and network end in zeros, the latents are the embedded kept patches with their positions."""
    nothing = {name: np.zeros_like(inputs[name]) for name in ("w_o", "b_o", "w_2", "b_2")}
    embedded = affine(asbounded(inputs["patches"]), inputs["w_embed"], inputs["b_embed"]) + inputs["positions"]
    kept = np.argsort(stable_ranks(inputs["noise"]), axis=1)[:, : inputs["keep"], None]
    return closely(masked_encoder(**{**inputs, **nothing}), np.take_along_axis(embedded, kept, axis=1))


def _encode(
    inputs: Arguments,
    positions: Array | None = None,
    activation: Callable[[Array], Array] = gelu,
    twice: bool = False,
    pre_norm: bool = True,
) -> Array:
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


@fault(
    masked_encoder,
    breaks=(
        the_order_of_patches_enters_by_their_positions,
        encoding_the_kept_patches_alone_is_the_same,
        blocks_that_add_nothing_leave_the_embedding,
    ),
    kind="shift",
    repair="Add them before.",
)
def positions_of_the_first_places(**inputs: Any) -> Array:
    """Patches are removed before positions are added, so that the kept ones get the first rows."""
    return _encode(inputs, positions=inputs["positions"][: inputs["keep"]])


@fault(
    masked_encoder,
    breaks=blocks_that_add_nothing_leave_the_embedding,
    kind="shift",
    repair="Patch n has row n.",
    seen="https://github.com/lucidrains/vit-pytorch/issues/253",
)
def positions_one_row_off(**inputs: Any) -> Array:
    """The first row of positions is skipped, as if it were a class token's."""
    return masked_encoder(**{**inputs, "positions": np.roll(inputs["positions"], -1, 0)})


@fault(
    masked_encoder,
    breaks=blocks_that_add_nothing_leave_the_embedding,
    kind="formula",
    repair="Here they are pre-norm, x + f(LN(x)).",
)
def normalizes_behind_the_residual(**inputs: Any) -> Array:
    """Blocks are post-norm, LN(x + f(x))."""
    return _encode(inputs, pre_norm=False)


@fault(
    masked_encoder,
    breaks=blocks_that_add_nothing_leave_the_embedding,
    kind="formula",
    repair="Add what attention returns.",
    seen="https://github.com/kyegomez/BitNet/issues/32",
)
def adds_the_residual_to_itself(**inputs: Any) -> Array:
    """x + x stands where x + attention(x) belongs: the result of attention is overwritten by its input."""
    return _encode(inputs, twice=True)


def _blocks_alone(x: Array, inputs: Arguments, first: int = 0) -> Arguments:
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


@law(steepness=STEEPNESS, examples=40)
def blocks_weigh_equal_scores_alike_however_low_they_are(
    masked_encoder: Implementation, inputs: Arguments, steepness: int, format: Format
) -> Claim:
    """Where queries and keys are their biases alone, every patch gets the mean of all, and scores may lie as far below
    zero as the format bears.
    """
    asked, held = two_factors(far_below(format, steepness))
    none = {name: np.zeros_like(inputs[name]) for name in ("w_q", "w_k", "b_q", "b_k")}
    width = inputs["b_q"].shape[1]
    first = np.arange(width) % (width // inputs["num_heads"]) == 0  # of each head
    biases = {"b_q": np.where(first, asked, none["b_q"]), "b_k": np.where(first, -held, none["b_k"])}
    return answers_as(masked_encoder, {**inputs, **none, **biases}, {**inputs, **none})


@fault(
    masked_encoder,
    breaks=blocks_weigh_equal_scores_alike_however_low_they_are,
    kind="precision",
    repair="Start from minus infinity, or from the first score.",
)
def starts_the_maximum_of_blocks_at_a_number(**inputs: Any) -> Array:
    """The running maximum starts at -1e9: where all scores lie below, their exponentials vanish and nothing is left."""
    width, scores = inputs["b_q"].shape[1], inputs["b_q"] * inputs["b_k"]
    by_head = np.sum(scores.reshape(len(scores), inputs["num_heads"], -1), axis=2) / root(width // inputs["num_heads"])
    lost = np.where(np.max(by_head) < -1e9 - 1e4, np.nan, 1.0).astype(inputs["patches"].dtype)
    return masked_encoder(**inputs) * lost


@law()
def blocks_follow_each_other(masked_encoder: Implementation, inputs: Arguments) -> Claim:
    """The first block, then the others over its latents, are the whole encoder."""
    first = masked_encoder(**{**inputs, **{name: inputs[name][:1] for name in BLOCK}})
    return closely(masked_encoder(**_blocks_alone(first, inputs, first=1)), masked_encoder(**inputs))


@fault(
    masked_encoder,
    breaks=(blocks_that_add_nothing_leave_the_embedding, blocks_follow_each_other),
    kind="formula",
    repair="This encoder ends without.",
)
def norm_behind_the_last_block(**inputs: Any) -> Array:
    """One more LayerNorm follows the last block."""
    result = masked_encoder(**inputs)
    width = result.shape[-1]
    return layer_norm(result, np.ones(width, result.dtype), np.zeros(width, result.dtype), inputs["epsilon"])


@fault(
    masked_encoder,
    breaks=blocks_follow_each_other,
    kind="formula",
    repair="Give each its own.",
)
def one_block_many_times(**inputs: Any) -> Array:
    """Every block has the weights of the last."""
    count = len(inputs["norm_1_scale"])
    return masked_encoder(**{**inputs, **{name: np.repeat(inputs[name][-1:], count, axis=0) for name in BLOCK}})


@law(seed=seeds)
def the_activation_weighs_by_the_normal_distribution(
    masked_encoder: Implementation, format: Format, seed: int
) -> Claim:
    """Over zeros a block gives gelu(b_1) w_2, and gelu(x) is x times the probability of a normal number below x."""
    points = (np.random.default_rng(seed).standard_normal(6) * 2).astype(format.dtype)

    def zeros(*shape: int) -> Array:
        return np.zeros(shape, format.dtype)

    vectors = dict.fromkeys([name for name in BLOCK if name[:2] != "w_"], zeros(1, 6))
    matrices = dict.fromkeys([name for name in BLOCK if name[:2] == "w_"], zeros(1, 6, 6))
    latents = masked_encoder(
        **{**vectors, **matrices, "b_1": points[None], "w_2": np.eye(6, dtype=format.dtype)[None]},
        patches=zeros(1, 1, 1),
        noise=zeros(1, 1),
        keep=1,
        w_embed=zeros(1, 6),
        b_embed=zeros(6),
        positions=zeros(1, 6),
        num_heads=2,
        epsilon=0.5,
    )
    below = rounded([NormalDist().cdf(float(x)) for x in points], format)
    return closely(latents[0, 0], below * points)


@fault(
    masked_encoder,
    breaks=the_activation_weighs_by_the_normal_distribution,
    kind="formula",
    repair="Use the error function.",
)
def gelu_by_tanh(**inputs: Any) -> Array:
    """GELU is approximated by a tanh, which is off by up to 5e-4."""

    def approximated(x: Array) -> Array:
        return 0.5 * x * (1.0 + np.tanh(0.7978845608028654 * (x + 0.044715 * x * x * x)))

    return _encode(inputs, activation=approximated)


@fault(
    masked_encoder,
    breaks=the_activation_weighs_by_the_normal_distribution,
    kind="formula",
    repair="It is a GELU.",
)
def rectifies(**inputs: Any) -> Array:
    """The activation is max(0, x)."""
    return _encode(inputs, activation=lambda x: np.maximum(x, 0.0))
