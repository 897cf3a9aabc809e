"""The error of the removed patches alone: reconstruction_loss."""

from __future__ import annotations

import numpy as np

from layerlaws.language import (
    PLAIN,
    Arguments,
    Array,
    Claim,
    Cost,
    Implementation,
    Mask,
    all_of,
    arrays,
    asbounded,
    at_most,
    closely,
    exactly,
    extents,
    fault,
    huge,
    law,
    masks,
    operation,
    refused,
    require,
    rewritten,
    workload,
)
from layerlaws.language import strategies as st
from layerlaws.notes.masked_autoencoder.encoder import SEEN


@st.composite
def reconstructions(
    draw: st.DrawFn, textures: tuple[str, ...] | None = None, normalize: bool | None = None
) -> Arguments:
    """Targets, predictions and a mask that removes something; patches of one pixel are not normalized."""
    images, length, pixels = draw(extents(3, edges=(1, 2)))
    normalize = draw(st.booleans()) if normalize is None else normalize
    pixels = max(pixels, 2) if normalize else pixels
    shapes = ((images, length, pixels), (images, length, pixels))
    target, prediction = draw(arrays(*shapes, textures=textures) if textures else arrays(*shapes))
    mask = draw(masks((images * length,), empty_rows=False)).reshape(images, length)
    return {"target": target, "prediction": prediction, "mask": mask, "normalize": normalize}


@operation(inputs=reconstructions(), differentiable=True)
def reconstruction_loss(target: Array, prediction: Array, mask: Mask, normalize: bool) -> Array:
    """The mean squared error of the removed patches, those of all images together.

    normalize: each target patch t becomes (t - mean) / sqrt(variance + 1e-6), with the unbiased variance.

    target, prediction (N, L, P), mask (N, L) bool, True: removed  ->  ()
    """
    pixels = target.shape[-1]
    require(prediction.shape == target.shape, f"prediction has shape {prediction.shape}, expected {target.shape}")
    require(mask.shape == target.shape[:2], f"mask has shape {mask.shape}, expected {target.shape[:2]}")
    require(np.any(mask), "mask removes no patch")
    if normalize:
        require(pixels > 1, "target has patches of one pixel, which have no variance")
        centred = target - np.mean(target, axis=-1, keepdims=True)
        variance = np.sum(np.square(centred), axis=-1, keepdims=True) / (pixels - 1)
        target = centred / np.sqrt(variance + 1e-6)
    per_patch = np.mean(np.square(prediction - target), axis=-1)  # (N, L)
    return np.sum(np.where(mask, per_patch, 0.0)) / int(mask.sum())


@law()
def the_loss_ignores_visible_patches(reconstruction_loss: Implementation, inputs: Arguments) -> Claim:
    """Whatever is predicted at visible patches, and whatever is there, the loss is the same."""
    target, prediction, visible = inputs["target"], inputs["prediction"], ~inputs["mask"]
    other = {
        "target": rewritten(target, visible, huge(target)),
        "prediction": rewritten(prediction, visible, -huge(prediction)),
    }
    return closely(reconstruction_loss(**{**inputs, **other}), reconstruction_loss(**inputs))


@law(needs=["gradient"])
def no_gradient_flows_to_visible_patches(reconstruction_loss: Implementation, inputs: Arguments) -> Claim:
    """The gradient of the loss is exactly 0 by what is predicted at visible patches, and by what is there."""
    gradient = reconstruction_loss.gradient(np.ones((), inputs["target"].dtype), **inputs)
    visible = [gradient[name][~inputs["mask"]] for name in ("target", "prediction")]
    return all_of(*[exactly(x, np.zeros_like(x)) for x in visible])


def _loss(
    target: Array,
    prediction: Array,
    mask: Mask,
    normalize: bool,
    weights: Array | None = None,
    ddof: int = 1,
    inside: bool = True,
    axis: int | tuple[int, int] = -1,
) -> Array:
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


@fault(
    reconstruction_loss,
    breaks=(the_loss_ignores_visible_patches, no_gradient_flows_to_visible_patches),
    kind="mask",
    repair="True means removed.",
)
def counts_the_visible_patches(target: Array, prediction: Array, mask: Mask, normalize: bool) -> Array:
    """The mask is taken for one of visible patches."""
    return _loss(target, prediction, mask, normalize, ~mask / max(int((~mask).sum()), 1))


@law(inputs=reconstructions(normalize=False), needs=["gradient"])
def the_gradient_of_the_loss_is_the_error(
    reconstruction_loss: Implementation, target: Array, prediction: Array, mask: Mask, normalize: bool
) -> Claim:
    """By the prediction it is 2 (prediction - target) / (P M) at the M removed patches; by the target the opposite."""
    call = {"target": target, "prediction": prediction, "mask": mask, "normalize": normalize}
    gradient, _ = reconstruction_loss.compare_gradient(np.ones((), target.dtype), **call)
    error = 2 * (asbounded(prediction) - target) / (target.shape[-1] * int(mask.sum()))
    slope = np.where(mask[:, :, None], error, 0.0)
    return all_of(closely(gradient["prediction"], slope), closely(gradient["target"], -slope))


@law(inputs=reconstructions(normalize=False))
def the_loss_is_a_mean_over_removed_pixels(reconstruction_loss: Implementation, mask: Mask, target: Array) -> Claim:
    """An error of 3 at every pixel is a loss of 9, however many pixels, patches and images there are."""
    prediction = np.full_like(target, 3)
    result = reconstruction_loss(target=np.zeros_like(target), prediction=prediction, mask=mask, normalize=False)
    return closely(result, np.full((), 9, target.dtype))


@fault(
    reconstruction_loss,
    breaks=(the_loss_is_a_mean_over_removed_pixels, the_gradient_of_the_loss_is_the_error),
    kind="scale",
    repair="Divide by the number of its pixels.",
)
def adds_up_the_pixels(target: Array, prediction: Array, mask: Mask, normalize: bool) -> Array:
    """The squared errors of a patch are added up instead of averaged."""
    return reconstruction_loss(target, prediction, mask, normalize) * target.shape[-1]


@law()
def images_weigh_by_their_removed_patches(reconstruction_loss: Implementation, inputs: Arguments) -> Claim:
    """The loss of a batch is the mean of its images' losses, each weighted by the number of its removed patches."""
    total, removed = 0.0, inputs["mask"].sum(axis=1)
    for image in np.flatnonzero(removed):
        part = {name: inputs[name][image : image + 1] for name in ("target", "prediction", "mask")}
        total = total + reconstruction_loss(**{**inputs, **part}) * int(removed[image])
    return closely(reconstruction_loss(**inputs), total / int(removed.sum()))


@fault(
    reconstruction_loss,
    breaks=(
        the_loss_ignores_visible_patches,
        no_gradient_flows_to_visible_patches,
        the_gradient_of_the_loss_is_the_error,
        images_weigh_by_their_removed_patches,
    ),
    kind="mask",
    repair="Count the removed ones only.",
    seen="https://github.com/dome272/MaskGIT-pytorch/pull/16",
)
def counts_all_patches(target: Array, prediction: Array, mask: Mask, normalize: bool) -> Array:
    """The error is averaged over visible patches, too."""
    return _loss(target, prediction, mask, normalize, np.full(mask.shape, 1 / mask.size))


@fault(
    reconstruction_loss,
    breaks=(images_weigh_by_their_removed_patches, the_gradient_of_the_loss_is_the_error),
    kind="scale",
    repair="Average all removed patches together.",
)
def averages_images_first(target: Array, prediction: Array, mask: Mask, normalize: bool) -> Array:
    """Each image's error is averaged by itself, then those of the images."""
    removed = mask.sum(axis=1, keepdims=True)
    return _loss(target, prediction, mask, normalize, mask / np.maximum(removed, 1) / max(int((removed > 0).sum()), 1))


@fault(
    reconstruction_loss,
    breaks=images_weigh_by_their_removed_patches,
    kind="boundary",
    repair="Average all removed patches together.",
    seen="https://github.com/Zhen-Dong/Magic-Me/issues/14",
)
def divides_by_the_removed_patches_of_an_image(target: Array, prediction: Array, mask: Mask, normalize: bool) -> Array:
    """Each image's error is divided by its own number of removed patches, and one without any is 0 / 0."""
    removed = mask.sum(axis=1, keepdims=True)
    shares = np.where(removed > 0, mask / np.maximum(removed, 1), np.nan) / len(mask)
    return _loss(target, prediction, mask, normalize, shares)


@law(inputs=reconstructions(normalize=True))
def predicting_zeros_costs_the_contrast_of_the_target(reconstruction_loss: Implementation, inputs: Arguments) -> Claim:
    """A prediction of zeros for normalized patches of P pixels costs the mean of (1 - 1/P) v / (v + 1e-6), v their
    unbiased variances.
    """
    pixels = inputs["target"].shape[-1]
    removed = asbounded(inputs["target"])[inputs["mask"]]  # (M, P)
    squares = np.square(removed - np.mean(removed, axis=-1, keepdims=True))
    variance = np.sum(squares, axis=-1) / (pixels - 1)
    expected = np.mean(variance / (variance + 1e-6)) * (pixels - 1) / pixels
    return closely(reconstruction_loss(**{**inputs, "prediction": np.zeros_like(inputs["prediction"])}), expected)


@fault(
    reconstruction_loss,
    breaks=predicting_zeros_costs_the_contrast_of_the_target,
    kind="scale",
    repair="Divide by P - 1.",
)
def biased_variance(target: Array, prediction: Array, mask: Mask, normalize: bool) -> Array:
    """The variance of a target patch is divided by P."""
    return _loss(target, prediction, mask, normalize, ddof=0)


@fault(
    reconstruction_loss,
    breaks=predicting_zeros_costs_the_contrast_of_the_target,
    kind="formula",
    repair="Add it to the variance, inside the root.",
    seen="https://github.com/MCG-NJU/VideoMAE/issues/120",
)
def epsilon_outside_the_root(target: Array, prediction: Array, mask: Mask, normalize: bool) -> Array:
    """1e-6 is added to the standard deviation."""
    return _loss(target, prediction, mask, normalize, inside=False)


@fault(
    reconstruction_loss,
    breaks=predicting_zeros_costs_the_contrast_of_the_target,
    kind="axis",
    repair="Take each patch by itself.",
)
def normalizes_the_whole_image(target: Array, prediction: Array, mask: Mask, normalize: bool) -> Array:
    """Mean and variance are those of all patches of an image."""
    return _loss(target, prediction, mask, normalize, axis=(1, 2))


@law(inputs=reconstructions(textures=PLAIN, normalize=True))
def a_patch_without_contrast_is_normalized_to_zeros(reconstruction_loss: Implementation, inputs: Arguments) -> Claim:
    """Where all pixels of each patch are equal, the normalized loss is the mean square of the prediction."""
    flat = np.broadcast_to(np.sign(inputs["target"][..., :1]), inputs["target"].shape).copy()
    removed = asbounded(inputs["prediction"])[inputs["mask"]]
    return closely(reconstruction_loss(**{**inputs, "target": flat}), np.mean(np.square(removed)))


@fault(
    reconstruction_loss,
    breaks=a_patch_without_contrast_is_normalized_to_zeros,
    kind="formula",
    repair="Add 1e-6.",
)
def divides_by_a_variance_of_zero(target: Array, prediction: Array, mask: Mask, normalize: bool) -> Array:
    """Nothing is added to the variance, and a flat patch becomes not a number."""
    if not normalize:
        return reconstruction_loss(target, prediction, mask, False)
    require(target.shape[-1] > 1, "target has patches of one pixel")
    centred = target - np.mean(target, axis=-1, keepdims=True)
    variance = np.sum(np.square(centred), axis=-1, keepdims=True) / (target.shape[-1] - 1)
    return reconstruction_loss(centred / np.sqrt(variance), prediction, mask, False)


@law(inputs=reconstructions(textures=SEEN, normalize=True), contrast=st.integers(1, 3), brightness=st.integers(-8, 8))
def a_normalized_loss_ignores_brightness_and_contrast(
    reconstruction_loss: Implementation, inputs: Arguments, contrast: int, brightness: int
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


@fault(
    reconstruction_loss,
    breaks=(
        a_normalized_loss_ignores_brightness_and_contrast,
        predicting_zeros_costs_the_contrast_of_the_target,
        a_patch_without_contrast_is_normalized_to_zeros,
    ),
    kind="formula",
    repair="Normalize its patches where it is asked for.",
)
def forgets_to_normalize(target: Array, prediction: Array, mask: Mask, normalize: bool) -> Array:
    """The target is taken as it is, whatever `normalize` says."""
    require(not normalize or target.shape[-1] > 1, "target has patches of one pixel")
    return reconstruction_loss(target, prediction, mask, False)


@law(examples=20)
def a_loss_without_removed_patches_is_refused(reconstruction_loss: Implementation, inputs: Arguments) -> Claim:
    """Where no patch was removed there is nothing to average."""
    return refused(reconstruction_loss, "mask", {**inputs, "mask": np.zeros_like(inputs["mask"])})


@fault(
    reconstruction_loss,
    breaks=a_loss_without_removed_patches_is_refused,
    kind="refusal",
    repair="Refuse it.",
)
def no_removed_patch_costs_nothing(target: Array, prediction: Array, mask: Mask, normalize: bool) -> Array:
    """A mask that removes nothing gives 0, as if all had been rebuilt."""
    if mask.any():
        return reconstruction_loss(target, prediction, mask, normalize)
    return np.zeros((), target.dtype)


@law(examples=20)
def patches_of_one_pixel_cannot_be_normalized(reconstruction_loss: Implementation, inputs: Arguments) -> Claim:
    """One pixel has no unbiased variance."""
    single = {name: inputs[name][..., :1] for name in ("target", "prediction")}
    return refused(reconstruction_loss, "target", {**inputs, **single, "normalize": True})


@fault(
    reconstruction_loss,
    breaks=patches_of_one_pixel_cannot_be_normalized,
    kind="refusal",
    repair="Refuse them.",
)
def one_pixel_is_left_as_it_is(target: Array, prediction: Array, mask: Mask, normalize: bool) -> Array:
    """Patches of one pixel are not normalized, though it was asked for."""
    return reconstruction_loss(target, prediction, mask, normalize and target.shape[-1] > 1)


@law(surplus=st.integers(1, 3), examples=20)
def a_prediction_of_another_shape_is_refused(
    reconstruction_loss: Implementation, inputs: Arguments, surplus: int
) -> Claim:
    """Every target pixel has its prediction: one patch or pixel for all, or more of them, is an error."""
    prediction = inputs["prediction"]
    longer = np.concatenate([prediction] * (surplus + 1), axis=1)
    broadcast = np.zeros((*prediction.shape[:2], prediction.shape[2] + 1), prediction.dtype)[..., :1]
    target = np.concatenate([inputs["target"]] * 2, axis=2)
    return all_of(
        refused(reconstruction_loss, "prediction", {**inputs, "prediction": longer}),
        refused(reconstruction_loss, "prediction", {**inputs, "target": target, "prediction": broadcast}),
    )


@fault(
    reconstruction_loss,
    breaks=a_prediction_of_another_shape_is_refused,
    kind="refusal",
    repair="Compare the shapes first.",
)
def broadcasts_the_prediction(target: Array, prediction: Array, mask: Mask, normalize: bool) -> Array:
    """One number per patch stands for all its pixels, and surplus patches are dropped."""
    fitting = np.broadcast_to(prediction[:, : target.shape[1]], target.shape)
    return reconstruction_loss(target, fitting, mask, normalize)


def _reconstruction_cost(N: int, L: int, keep: int, P: int) -> Cost:
    """Five operations to normalize a target, and three for its squared error; removed patches alone."""
    removed = N * (L - keep) * P
    return Cost(flops=8 * removed, moved=2 * removed)


def _reconstruction_cost_backward(N: int, L: int, keep: int, P: int) -> Cost:
    """Gradients for all patches: those of the patches that were kept are 0."""
    forward = _reconstruction_cost(N, L, keep, P)
    return Cost(flops=3 * forward.flops, moved=forward.moved + 2 * N * L * P)


@workload(
    reconstruction_loss,
    sizes={"N": 64, "L": 196, "keep": 49, "P": 768},
    cost=_reconstruction_cost,
    backward=_reconstruction_cost_backward,
    gradient=True,
)
def normalized_pixel_loss(random: np.random.Generator, N: int, L: int, keep: int, P: int) -> Arguments:
    """The loss of 64 images over the three quarters of their patches that were removed, with normalized pixels (He et
    al. 2021, section 3).
    """
    return {
        "target": random.random((N, L, P)),
        "prediction": random.standard_normal((N, L, P)),
        "mask": np.argsort(random.random((N, L)), axis=1) >= keep,
        "normalize": True,
    }
