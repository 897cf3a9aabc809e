"""Which patches are removed at random, and how their places are filled again: random_masking and restore_tokens."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from layerlaws.language import (
    Arguments,
    Array,
    Claim,
    Cost,
    Ids,
    Implementation,
    Mask,
    Results,
    all_of,
    arrays,
    closely,
    dependence,
    exactly,
    extents,
    fault,
    huge,
    law,
    normal,
    operation,
    refused,
    require,
    rewritten,
    seeds,
    workload,
)
from layerlaws.language import strategies as st

# --- random_masking -------------------------------------------------------------------------------------------


NOISE = ("normal", "normal", "ties", "integers", "sparse")
"""Textures of noise: a good part of it has ties, and zeros of both signs."""


@st.composite
def noisy_tokens(draw: st.DrawFn) -> Arguments:
    images, length, width = draw(extents(3, edges=(1, 2)))
    tokens, noise = draw(arrays((images, length, width))), draw(arrays((images, length), textures=NOISE))
    return {"tokens": tokens, "noise": noise, "keep": draw(st.integers(1, length))}


@operation(inputs=noisy_tokens(), batch=("tokens", "noise"), differentiable=True)
def random_masking(tokens: Array, noise: Array, keep: int) -> tuple[Array, Mask, Ids]:
    """The `keep` tokens of least noise, in its order; of equal noise the first token counts as less.

    tokens (N, L, D), noise (N, L), 1 <= keep <= L  ->  visible (N, keep, D), mask (N, L) bool, True: removed,
    restore (N, L), the place of each token in the order of noise
    """
    length = tokens.shape[1]
    require(noise.shape == tokens.shape[:2], f"noise has shape {noise.shape}, expected {tokens.shape[:2]}")
    require(1 <= keep <= length, f"keep = {keep} lies outside 1 ... {length}")
    shuffle = np.argsort(noise, axis=1, kind="stable")
    restore = np.argsort(shuffle, axis=1)
    return np.take_along_axis(tokens, shuffle[:, :keep, None], axis=1), restore >= keep, restore


def stable_ranks(noise: Array) -> Ids:
    """The place of each token in the stable order of noise, counted one by one."""
    one, other = noise.astype(np.float64)[:, :, None], noise.astype(np.float64)[:, None, :]
    earlier = np.tri(noise.shape[1], k=-1, dtype=bool)  # [i, j]: j before i
    return ((other < one) | ((other == one) & earlier)).sum(axis=2)


@law()
def the_tokens_of_least_noise_are_kept(random_masking: Implementation, tokens: Array, noise: Array, keep: int) -> Claim:
    """The place of a token is the number of tokens with less noise, or equal noise and before it; the first `keep`
    are visible, in this order.
    """
    ranks = stable_ranks(noise)
    kept = np.take_along_axis(tokens, np.argsort(ranks, axis=1)[:, :keep, None], axis=1)
    visible, _, restore = random_masking(tokens=tokens, noise=noise, keep=keep)
    return all_of(exactly(restore, ranks), closely(visible, kept))


def _masked(tokens: Array, shuffle: Ids, keep: int, restore: Ids | None = None) -> tuple[Array, Mask, Ids]:
    require(1 <= keep <= tokens.shape[1], "keep lies outside the number of tokens")
    restore = np.argsort(shuffle, axis=1) if restore is None else restore
    return np.take_along_axis(tokens, shuffle[:, :keep, None], axis=1), restore >= keep, restore


def _shuffle(tokens: Array, noise: Array) -> Ids:
    require(noise.shape == tokens.shape[:2], "noise has another shape than tokens")
    return np.argsort(noise, axis=1, kind="stable")


@fault(
    random_masking,
    breaks=the_tokens_of_least_noise_are_kept,
    kind="order",
    repair="Keep those of least.",
)
def keeps_the_most_noise(tokens: Array, noise: Array, keep: int) -> tuple[Array, Mask, Ids]:
    """The tokens of most noise are kept."""
    return _masked(tokens, _shuffle(tokens, -noise), keep)


@law()
def the_mask_is_true_where_the_place_is_beyond_the_kept(
    random_masking: Implementation, tokens: Array, noise: Array, keep: int
) -> Claim:
    """A token is removed if its place is `keep` or more, and L - keep tokens of each image are."""
    _, mask, restore = random_masking(tokens=tokens, noise=noise, keep=keep)
    return all_of(
        exactly(mask, restore >= keep), exactly(mask.sum(axis=1), np.full(len(tokens), tokens.shape[1] - keep))
    )


@fault(
    random_masking,
    breaks=the_mask_is_true_where_the_place_is_beyond_the_kept,
    kind="order",
    repair="Gather it by restore.",
)
def forgets_to_restore_the_mask(tokens: Array, noise: Array, keep: int) -> tuple[Array, Mask, Ids]:
    """The mask is in the order of noise, its last places True."""
    visible, mask, restore = _masked(tokens, _shuffle(tokens, noise), keep)
    return visible, np.sort(mask, axis=1), restore


@law()
def equal_noise_keeps_the_first_tokens(random_masking: Implementation, tokens: Array, noise: Array, keep: int) -> Claim:
    """Where all noise is equal, the order is that of the tokens."""
    visible, mask, restore = random_masking(tokens=tokens, noise=np.zeros_like(noise), keep=keep)
    places = np.tile(np.arange(tokens.shape[1]), (len(tokens), 1))
    return all_of(closely(visible, tokens[:, :keep]), exactly(mask, places >= keep), exactly(restore, places))


@fault(
    random_masking,
    breaks=equal_noise_keeps_the_first_tokens,
    kind="order",
    repair="Ask for a stable one.",
)
def takes_the_last_of_equals_first(tokens: Array, noise: Array, keep: int) -> tuple[Array, Mask, Ids]:
    """Of equal noise the last token comes first: the sort is not stable."""
    return _masked(tokens, noise.shape[1] - 1 - _shuffle(tokens, np.flip(noise, 1)), keep)


def _is_some_order(results: Results, inputs: Arguments) -> bool:
    """Whether results keep the tokens of least noise, in an order of it: of equal noise any token may come first."""
    visible, mask, restore = results
    tokens, noise, keep = inputs["tokens"], inputs["noise"], inputs["keep"]
    places = np.tile(np.arange(tokens.shape[1]), (len(tokens), 1))
    if restore.shape != noise.shape or not np.array_equal(np.sort(restore, axis=1), places):
        return False
    order = np.argsort(restore, axis=1)
    return (
        bool(np.all(np.diff(np.take_along_axis(noise, order, axis=1).astype(np.float64), axis=1) >= 0))
        and np.array_equal(mask, restore >= keep)
        and np.array_equal(visible, np.take_along_axis(tokens, order[:, :keep, None], axis=1))
    )


@fault(
    random_masking,
    breaks=the_tokens_of_least_noise_are_kept,
    kind="order",
    repair="Ask for a stable sort.",
    seen="https://github.com/facebookresearch/mae/blob/main/models_mae.py",
    alike=_is_some_order,
)
def sorts_equal_noise_as_it_falls(tokens: Array, noise: Array, keep: int) -> tuple[Array, Mask, Ids]:
    """The sort is not stable, and of equal noise any token may come first."""
    _shuffle(tokens, noise)
    return _masked(tokens, np.argsort(noise, axis=1, kind="heapsort"), keep)


@law()
def images_are_masked_by_their_own_noise(
    random_masking: Implementation, tokens: Array, noise: Array, keep: int
) -> Claim:
    """Exchanging the noise of images exchanges their masks: none is shared, whatever the tokens are."""
    _, mask, restore = random_masking(tokens=tokens, noise=noise, keep=keep)
    _, other_mask, other_restore = random_masking(tokens=tokens, noise=np.flip(noise, 0), keep=keep)
    return all_of(exactly(other_mask, mask[::-1]), exactly(other_restore, restore[::-1]))


@fault(
    random_masking,
    breaks=images_are_masked_by_their_own_noise,
    kind="mask",
    repair="Sort each row by itself.",
)
def one_mask_for_the_batch(tokens: Array, noise: Array, keep: int) -> tuple[Array, Mask, Ids]:
    """All images are masked by the noise of the first."""
    return _masked(tokens, np.repeat(_shuffle(tokens, noise)[:1], len(tokens), axis=0), keep)


@law(below=st.integers(-2, 0), above=st.integers(1, 3), examples=20)
def a_number_of_kept_tokens_out_of_range_is_refused(
    random_masking: Implementation, tokens: Array, noise: Array, below: int, above: int
) -> Claim:
    """At least one token is kept, and at most all."""
    call = {"tokens": tokens, "noise": noise}
    outside = (below, tokens.shape[1] + above)
    return all_of(*[refused(random_masking, "keep", {**call, "keep": keep}) for keep in outside])


@fault(
    random_masking,
    breaks=a_number_of_kept_tokens_out_of_range_is_refused,
    kind="refusal",
    repair="Refuse it.",
)
def keeps_nothing_without_a_word(tokens: Array, noise: Array, keep: int) -> tuple[Array, Mask, Ids]:
    """keep = 0 gives empty arrays, from which means are not a number later."""
    shuffle = _shuffle(tokens, noise)
    restore = np.argsort(shuffle, axis=1)
    return np.take_along_axis(tokens, shuffle[:, :keep, None], axis=1), restore >= keep, restore


@law(surplus=st.integers(1, 3), examples=20)
def noise_for_other_tokens_is_refused(
    random_masking: Implementation, tokens: Array, noise: Array, keep: int, surplus: int
) -> Claim:
    """Every token has its noise, and there is no more."""
    longer = np.concatenate([noise] * (surplus + 1), axis=1)
    return refused(random_masking, "noise", {"tokens": tokens, "noise": longer, "keep": keep})


@fault(
    random_masking,
    breaks=noise_for_other_tokens_is_refused,
    kind="refusal",
    repair="Compare the shapes first.",
)
def ignores_surplus_noise(tokens: Array, noise: Array, keep: int) -> Results:
    """More noise than tokens is cut off."""
    return random_masking(tokens, noise[: tokens.shape[0], : tokens.shape[1]], keep)


@law(examples=1)
def a_ratio_does_not_say_how_many_tokens_to_keep(random_masking: Implementation) -> Claim:
    """Erratum. int(L (1 - ratio)) asks for none of 10 tokens at ratio 0.9, which no call may, and for 9 of 100, so that
    91 are removed; in exact arithmetic it is 1 and 10.
    """

    def asked(length: int) -> int:
        return int(length * (1 - 0.9))

    call = {"tokens": np.zeros((1, 100, 1)), "noise": np.arange(100)[None] * 1.0, "keep": asked(100)}
    meant = [int(length * (1 - Fraction(9, 10))) for length in (10, 100)]
    return all_of(
        exactly(np.array([asked(10), asked(100)]), np.array([0, 9])),
        exactly(np.array(meant), np.array([1, 10])),
        exactly(random_masking(**call)[1].sum(), 91),
    )


@fault(
    random_masking,
    breaks=(a_ratio_does_not_say_how_many_tokens_to_keep, the_mask_is_true_where_the_place_is_beyond_the_kept),
    kind="mask",
    repair="True says removed: invert it.",
)
def marks_what_is_kept(tokens: Array, noise: Array, keep: int) -> tuple[Array, Mask, Ids]:
    """The mask is True where a token is kept."""
    visible, mask, restore = _masked(tokens, _shuffle(tokens, noise), keep)
    return visible, ~mask, restore


@workload(
    random_masking,
    sizes={"N": 64, "L": 196, "keep": 49, "D": 768},
    cost=lambda N, L, keep, D: Cost(moved=N * (L + 2 * keep * D)),
)
def vit_base_masking(random: np.random.Generator, N: int, L: int, keep: int, D: int) -> Arguments:
    """A quarter of the embedded patches of 64 images at the width of ViT-B (He et al. 2021, section 4)."""
    return {"tokens": random.standard_normal((N, L, D)), "noise": random.random((N, L)), "keep": keep}


# --- restore_tokens -------------------------------------------------------------------------------------------


@st.composite
def shuffled_tokens(draw: st.DrawFn, edges: tuple[int, ...] = (1, 2)) -> Arguments:
    images, length, width = draw(extents(3, edges=edges))
    visible, mask_token = draw(arrays((images, draw(st.integers(1, length)), width), (width,)))
    places = np.tile(np.arange(length), (images, 1))
    return {
        "visible": visible,
        "mask_token": mask_token,
        "restore": np.random.default_rng(draw(seeds)).permuted(places, axis=1),
    }


@operation(inputs=shuffled_tokens(), batch=("visible", "restore"), differentiable=True)
def restore_tokens(visible: Array, mask_token: Array, restore: Ids) -> Array:
    """Every token where it was, the mask token at the places of those that were removed.

    visible (N, keep, D), mask_token (D,), restore (N, L), in each row a permutation  ->  (N, L, D)
    """
    (count, keep, width), length = visible.shape, restore.shape[1]
    require(keep <= length, f"restore has {length} places, fewer than the {keep} of visible")
    require(np.sort(restore, axis=1) == np.arange(length), "restore must hold each place once")
    filled = np.broadcast_to(mask_token, (count, length - keep, width))
    return np.take_along_axis(np.concatenate([visible, filled], axis=1), restore[:, :, None], axis=1)


@law(seed=seeds)
def restoring_puts_every_token_where_it_was(
    random_masking: Implementation, restore_tokens: Implementation, tokens: Array, noise: Array, keep: int, seed: int
) -> Claim:
    """Restored, the kept tokens are at their old places and the mask token at those of the others."""
    visible, mask, restore = random_masking(tokens=tokens, noise=noise, keep=keep)
    mask_token = normal(seed, tokens.shape[2:], tokens)
    restored = restore_tokens(visible=visible, mask_token=mask_token, restore=restore)
    return closely(restored, np.where(mask[:, :, None], mask_token, tokens))


@fault(
    random_masking,
    breaks=(the_mask_is_true_where_the_place_is_beyond_the_kept, restoring_puts_every_token_where_it_was),
    kind="shift",
    repair="Begin at `keep`.",
    seen="https://github.com/IcarusWizard/MAE/issues/17",
)
def counts_the_class_token(tokens: Array, noise: Array, keep: int) -> tuple[Array, Mask, Ids]:
    """The mask begins one place late, as if a class token stood in front."""
    visible, _, restore = _masked(tokens, _shuffle(tokens, noise), keep)
    return visible, restore > keep, restore


@law()
def keeping_all_tokens_and_restoring_them_changes_nothing(
    random_masking: Implementation, restore_tokens: Implementation, tokens: Array, noise: Array
) -> Claim:
    """With keep = L the tokens come back in their own order, and the mask token is nowhere."""
    visible, mask, restore = random_masking(tokens=tokens, noise=noise, keep=tokens.shape[1])
    mask_token = np.full(tokens.shape[2:], huge(tokens), tokens.dtype)
    restored = restore_tokens(visible=visible, mask_token=mask_token, restore=restore)
    return all_of(closely(restored, tokens), exactly(mask, np.zeros(mask.shape, bool)))


@fault(
    random_masking,
    breaks=(
        the_tokens_of_least_noise_are_kept,
        restoring_puts_every_token_where_it_was,
        keeping_all_tokens_and_restoring_them_changes_nothing,
    ),
    kind="order",
    repair="Sort the shuffle once more.",
)
def returns_the_shuffle_itself(tokens: Array, noise: Array, keep: int) -> tuple[Array, Mask, Ids]:
    """restore is the shuffle, not its inverse."""
    shuffle = _shuffle(tokens, noise)
    return _masked(tokens, shuffle, keep, shuffle)


def _filled(visible: Array, mask_token: Array, restore: Ids) -> Array:
    """The mask token at the removed places, in the order of noise. -> (N, L - keep, D)."""
    count, length = restore.shape
    require(np.sort(restore, axis=1) == np.arange(length), "restore is no permutation")
    require(visible.shape[1] <= length, "restore is too short")
    return np.broadcast_to(mask_token, (count, length - visible.shape[1], visible.shape[2]))


@fault(
    restore_tokens,
    breaks=(restoring_puts_every_token_where_it_was, keeping_all_tokens_and_restoring_them_changes_nothing),
    kind="order",
    repair="Gather them by its inverse, which restore is already.",
)
def shuffles_once_more(visible: Array, mask_token: Array, restore: Ids) -> Array:
    """Tokens are gathered by the shuffle."""
    both = np.concatenate([visible, _filled(visible, mask_token, restore)], axis=1)
    return np.take_along_axis(both, np.argsort(restore, axis=1)[:, :, None], axis=1)


@law(inputs=shuffled_tokens(edges=()))
def the_mask_token_fills_the_removed_places(
    restore_tokens: Implementation, visible: Array, mask_token: Array, restore: Ids
) -> Claim:
    """A place depends on the mask token if it was removed, else on its own visible token, and on no other."""
    keep = visible.shape[1]
    visible, restore = visible[:1], restore[:1]  # the first image: each has places of its own

    def moved(part: int) -> Arguments:
        place = (0, part)
        one = visible if not 0 <= part < keep else rewritten(visible, place, visible[place] + visible.dtype.type(64))
        other = mask_token + mask_token.dtype.type(64) if part == keep else mask_token
        return {"visible": one, "mask_token": other, "restore": restore}

    expected = np.minimum(restore[0], keep)[:, None] == np.arange(keep + 1)
    return exactly(dependence(restore_tokens, moved, keep + 1, axis=1), expected)


@fault(
    restore_tokens,
    breaks=(
        restoring_puts_every_token_where_it_was,
        keeping_all_tokens_and_restoring_them_changes_nothing,
        the_mask_token_fills_the_removed_places,
    ),
    kind="order",
    repair="Gather them by restore.",
    seen="https://github.com/lucidrains/vit-pytorch/issues/241",
)
def leaves_tokens_shuffled(visible: Array, mask_token: Array, restore: Ids) -> Array:
    """Visible and mask tokens are put side by side and stay in the order of noise."""
    return np.concatenate([visible, _filled(visible, mask_token, restore)], axis=1)


@fault(
    restore_tokens,
    breaks=(restoring_puts_every_token_where_it_was, the_mask_token_fills_the_removed_places),
    kind="order",
    repair="Put them behind.",
    seen="https://github.com/lucidrains/vit-pytorch/issues/171",
)
def mask_tokens_in_front(visible: Array, mask_token: Array, restore: Ids) -> Array:
    """Mask tokens stand in front, while the order of noise has the visible ones first."""
    both = np.concatenate([_filled(visible, mask_token, restore), visible], axis=1)
    return np.take_along_axis(both, restore[:, :, None], axis=1)


@law(examples=20)
def places_that_are_taken_twice_are_refused(
    restore_tokens: Implementation, visible: Array, mask_token: Array, restore: Ids
) -> Claim:
    """The places of an image are a permutation: none is taken twice or lies outside."""
    beyond = restore + 1
    twice = np.concatenate([restore, restore[:, :1]], axis=1)
    call = {"visible": visible, "mask_token": mask_token}
    return all_of(*[refused(restore_tokens, "restore", {**call, "restore": places}) for places in (beyond, twice)])


@fault(
    restore_tokens,
    breaks=places_that_are_taken_twice_are_refused,
    kind="refusal",
    repair="Check that they permute.",
)
def wraps_places_around(visible: Array, mask_token: Array, restore: Ids) -> Array:
    """Places beyond the end are taken modulo the length, and repeated ones are accepted."""
    count, length = restore.shape
    filled = np.broadcast_to(mask_token, (count, max(length - visible.shape[1], 0), visible.shape[2]))
    return np.take_along_axis(np.concatenate([visible, filled], axis=1), restore[:, :, None] % length, axis=1)


@workload(
    restore_tokens,
    sizes={"N": 64, "L": 196, "keep": 49, "D": 512},
    cost=lambda N, L, keep, D: Cost(moved=N * (keep + L) * D + D),
)
def decoder_input(random: np.random.Generator, N: int, L: int, keep: int, D: int) -> Arguments:
    """What a decoder of width 512 is given for 64 images of which it has a quarter (He et al. 2021, section 4.1)."""
    return {
        "visible": random.standard_normal((N, keep, D)),
        "mask_token": random.standard_normal(D),
        "restore": np.argsort(random.random((N, L)), axis=1),
    }
