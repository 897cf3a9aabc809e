"""Reconstruction plus beta times the divergence: beta_vae_loss."""

from __future__ import annotations

import math

import numpy as np

from layerlaws.language import (
    TEXTURES,
    Arguments,
    Array,
    Claim,
    Cost,
    Format,
    Implementation,
    Results,
    all_of,
    arrays,
    asbounded,
    closely,
    exactly,
    extents,
    fault,
    law,
    operation,
    refused,
    require,
    rewritten,
    rounded,
    seeds,
    sigmoid,
    straight_through,
    with_slope,
    workload,
)
from layerlaws.language import strategies as st
from layerlaws.notes.beta_vae.divergence import divergences, kl_divergence
from layerlaws.notes.beta_vae.sampling import MILD

betas = st.sampled_from([0.0, 0.25, 1.0, 4.0, 10.0, 0.1])


@st.composite
def autoencodings(draw: st.DrawFn, textures: tuple[str, ...] = tuple(TEXTURES)) -> Arguments:
    """Logits of pixels, and pixels: 129 shades of grey, or black and white, with latents of the same examples."""
    batch, pixels, width = draw(extents(3, edges=(0, 1, 2)))
    logits, mean = draw(arrays((batch, pixels), (batch, width), textures=textures))
    shades = np.random.default_rng(draw(seeds)).random((batch, pixels))
    return {
        "logits": logits,
        "targets": np.rint(shades) if draw(st.booleans()) else np.rint(128 * shades) / 128,
        "mean": mean,
        "log_variance": draw(arrays((batch, width), textures=MILD)),
        "beta": draw(betas),
    }


@with_slope(lambda y, x: sigmoid(x) - 0.5)
def log_partition(x: Array) -> Array:
    """log(exp(x / 2) + exp(-x / 2)), what normalizes a Bernoulli variable with values 1/2 and -1/2."""
    return np.abs(x) / 2 + np.log1p(np.exp(-np.abs(x)))


@operation(inputs=autoencodings(), differentiable=True)
def beta_vae_loss(
    logits: Array, targets: Array, mean: Array, log_variance: Array, beta: float
) -> tuple[Array, Array, Array]:
    """reconstruction + beta kl: Bernoulli cross-entropy summed over pixels, divergence over latents, batch means.

    logits, targets (B, D), targets in [0, 1], mean, log_variance (B, Z), beta >= 0
    ->  loss (), reconstruction (), kl ()
    """
    require(beta >= 0, f"beta must not be negative, it is {beta}")
    require(targets.shape == logits.shape, f"targets has shape {targets.shape}, logits {logits.shape}")
    require(log_variance.shape == mean.shape, f"log_variance has shape {log_variance.shape}, mean {mean.shape}")
    require(len(mean) == len(logits), f"mean has {len(mean)} rows, logits {len(logits)}")
    require((targets >= 0) & (targets <= 1), "targets must lie in [0, 1]")
    # -t log sigmoid(x) - (1 - t) log sigmoid(-x), put together from terms as large as those of any other form: some
    # subtract x, others t x.
    pixels = np.concatenate([log_partition(logits), (0.5 - targets) * logits], axis=1)
    reconstruction = np.sum(pixels) / len(logits)
    kl = np.sum(divergences(mean, log_variance)) / 2 / len(mean)
    return reconstruction + beta * kl, reconstruction, kl


@law(other=betas)
def the_loss_is_affine_in_beta(beta_vae_loss: Implementation, inputs: Arguments, other: float) -> Claim:
    """Its slope by beta is the divergence; reconstruction and divergence do not ask for beta."""
    loss, reconstruction, kl = beta_vae_loss(**inputs)
    another = beta_vae_loss(**{**inputs, "beta": other})
    return all_of(
        closely(loss, reconstruction + inputs["beta"] * kl),
        closely(another[0] - loss, (other - inputs["beta"]) * kl),
        closely(another[1:], (reconstruction, kl)),
    )


@fault(
    beta_vae_loss,
    breaks=the_loss_is_affine_in_beta,
    kind="formula",
    repair="Multiply the divergence by it.",
    seen="https://github.com/AlexanderVNikitin/tsgm/issues/69",
)
def does_not_use_beta(
    logits: Array, targets: Array, mean: Array, log_variance: Array, beta: float
) -> tuple[Array, Array, Array]:
    """beta is taken and never used."""
    _, *parts = beta_vae_loss(logits, targets, mean, log_variance, beta)
    return parts[0] + parts[1], *parts


@law()
def beta_1_is_the_variational_autoencoder(
    beta_vae_loss: Implementation, kl_divergence: Implementation, inputs: Arguments
) -> Claim:
    """With beta = 1 the loss is the negative evidence lower bound: reconstruction plus the mean divergence; with beta
    = 0 it is that of an autoencoder, reconstruction alone.
    """
    vae, plain = (beta_vae_loss(**{**inputs, "beta": beta}) for beta in (1.0, 0.0))
    divergence = kl_divergence(mean=inputs["mean"], log_variance=inputs["log_variance"])
    claims = [closely(vae[0], vae[1] + np.mean(divergence)), closely(vae[2], np.mean(divergence))]
    return all_of(*claims, closely(plain[0], plain[1]))


@fault(
    beta_vae_loss,
    breaks=(the_loss_is_affine_in_beta, beta_1_is_the_variational_autoencoder),
    kind="scale",
    repair="It has the weight 1.",
)
def weighs_the_reconstruction_as_well(
    logits: Array, targets: Array, mean: Array, log_variance: Array, beta: float
) -> tuple[Array, Array, Array]:
    """Reconstruction gets 1 - beta, as if the two were mixed."""
    _, *parts = beta_vae_loss(logits, targets, mean, log_variance, beta)
    return (1.0 - beta) * parts[0] + beta * parts[1], *parts


@law()
def the_reconstruction_is_bernoulli_cross_entropy(beta_vae_loss: Implementation, inputs: Arguments) -> Claim:
    """It is -t log sigmoid(x) - (1 - t) log sigmoid(-x), summed over pixels and averaged over the batch."""
    x, t = asbounded(inputs["logits"]), asbounded(inputs["targets"])

    def log_sigmoid(x: Array) -> Array:
        return np.minimum(x, 0.0) - np.log1p(np.exp(-np.abs(x)))

    costs = -t * log_sigmoid(x) - (1.0 - t) * log_sigmoid(-x)
    return closely(beta_vae_loss(**inputs)[1], np.mean(np.sum(costs, axis=1)))


@law(examples=20)
def logits_of_0_cost_log_2_a_pixel(beta_vae_loss: Implementation, inputs: Arguments, format: Format) -> Claim:
    """Undecided pixels cost log 2 each, whatever they should be: as many times as there are pixels."""
    undecided = {**inputs, "logits": np.zeros_like(inputs["logits"])}
    return closely(beta_vae_loss(**undecided)[1], rounded(inputs["logits"].shape[1] * math.log(2), format))


@law()
def negatives_cost_the_same(beta_vae_loss: Implementation, inputs: Arguments) -> Claim:
    """The negative of an image, with logits negated, has the same reconstruction error."""
    negative = {**inputs, "logits": -inputs["logits"], "targets": 1 - inputs["targets"]}
    return closely(beta_vae_loss(**negative)[1], beta_vae_loss(**inputs)[1])


@fault(
    beta_vae_loss,
    breaks=(the_reconstruction_is_bernoulli_cross_entropy, negatives_cost_the_same),
    kind="precision",
    repair="Use log sigmoid, which has no threshold.",
)
def cuts_softplus_off_at_20(
    logits: Array, targets: Array, mean: Array, log_variance: Array, beta: float
) -> tuple[Array, Array, Array]:
    """log(1 + exp(x)) is taken for x where x > 20, as a library's softplus does by default: true of single
    precision, not of double.
    """
    _, _, kl = beta_vae_loss(logits, targets, mean, log_variance, beta)
    softplus = np.where(logits > 20, logits, np.log1p(np.exp(np.minimum(logits, 20.0))))
    reconstruction = np.sum(softplus - logits * targets) / len(logits)
    return reconstruction + beta * kl, reconstruction, kl


@fault(
    beta_vae_loss,
    breaks=negatives_cost_the_same,
    kind="formula",
    repair="Add the other term.",
)
def leaves_out_the_dark_pixels(
    logits: Array, targets: Array, mean: Array, log_variance: Array, beta: float
) -> tuple[Array, Array, Array]:
    """-t log p is summed without -(1 - t) log(1 - p): black pixels cost nothing."""
    _, _, kl = beta_vae_loss(logits, targets, mean, log_variance, beta)
    half = log_partition(logits) - logits / 2
    reconstruction = np.sum(targets * half) / len(logits)
    return reconstruction + beta * kl, reconstruction, kl


@law(times=st.integers(2, 3))
def a_repeated_batch_costs_the_same(beta_vae_loss: Implementation, inputs: Arguments, times: int) -> Claim:
    """Losses are averaged over the batch: each example taken twice or three times changes nothing."""
    arrays = {name: np.concatenate([x] * times) for name, x in inputs.items() if name != "beta"}
    return closely(beta_vae_loss(**arrays, beta=inputs["beta"]), beta_vae_loss(**inputs))


@fault(
    beta_vae_loss,
    breaks=a_repeated_batch_costs_the_same,
    kind="scale",
    repair="Treat them alike.",
    seen="https://github.com/zdebruine/MMVAE/pull/19",
)
def averages_the_reconstruction_alone(
    logits: Array, targets: Array, mean: Array, log_variance: Array, beta: float
) -> tuple[Array, Array, Array]:
    """Reconstruction is averaged over the batch and the divergence summed, so that beta grows with the batch."""
    _, reconstruction, kl = beta_vae_loss(logits, targets, mean, log_variance, beta)
    return reconstruction + beta * (kl * len(mean)), reconstruction, kl * len(mean)


@law(inputs=autoencodings(MILD))
def twice_the_pixels_cost_twice(beta_vae_loss: Implementation, inputs: Arguments) -> Claim:
    """Pixels and latents are summed: an image beside itself, with its latents beside themselves, costs double."""
    arrays = {name: np.concatenate([x, x], axis=1) for name, x in inputs.items() if name != "beta"}
    doubled = beta_vae_loss(**arrays, beta=inputs["beta"])
    return closely(doubled, tuple(2 * part for part in beta_vae_loss(**inputs)))


@fault(
    beta_vae_loss,
    breaks=(twice_the_pixels_cost_twice, logits_of_0_cost_log_2_a_pixel, the_reconstruction_is_bernoulli_cross_entropy),
    kind="scale",
    repair="Sum over pixels.",
    seen="https://github.com/pytorch/examples/issues/817",
)
def averages_over_pixels(
    logits: Array, targets: Array, mean: Array, log_variance: Array, beta: float
) -> tuple[Array, Array, Array]:
    """Cross-entropy is averaged over the pixels, which multiplies beta by their number."""
    _, reconstruction, kl = beta_vae_loss(logits, targets, mean, log_variance, beta)
    each = reconstruction / logits.shape[1]
    return each + beta * kl, each, kl


@law(seed=seeds)
def extreme_logits_leave_the_loss_finite(beta_vae_loss: Implementation, inputs: Arguments, seed: int) -> Claim:
    """With a logit of 1e4 a pixel costs 0 where it is right, 1e4 where it is wrong."""
    generator = np.random.default_rng(seed)
    dtype = inputs["logits"].dtype
    logits, targets = (generator.choice(pair, (1, 2)).astype(dtype) for pair in ([-1e4, 1e4], [0.0, 1.0]))
    latent = np.zeros((1, 1), dtype)
    loss = beta_vae_loss(logits=logits, targets=targets, mean=latent, log_variance=latent, beta=inputs["beta"])
    wrong = (logits > 0) != (targets > 0)
    finite = np.array([np.isfinite(part.value) for part in loss])
    return all_of(
        exactly(finite, np.ones(3, bool)), closely(loss[1], np.sum(asbounded(np.where(wrong, abs(logits), 0))))
    )


@fault(
    beta_vae_loss,
    breaks=extreme_logits_leave_the_loss_finite,
    kind="precision",
    repair="Work with logits.",
)
def takes_the_log_of_a_sigmoid(
    logits: Array, targets: Array, mean: Array, log_variance: Array, beta: float
) -> tuple[Array, Array, Array]:
    """Pixels go through a sigmoid first, and the log of one that has become 0 is infinite."""
    _, _, kl = beta_vae_loss(logits, targets, mean, log_variance, beta)
    p = sigmoid(logits)
    reconstruction = -np.sum(targets * np.log(p) + (1.0 - targets) * np.log(1.0 - p)) / len(logits)
    return reconstruction + beta * kl, reconstruction, kl


@law(inputs=autoencodings(MILD), needs=["gradient"])
def the_loss_is_differentiated_in_closed_form(beta_vae_loss: Implementation, inputs: Arguments) -> Claim:
    """By the logits its gradient is (sigmoid - targets) / B, by the mean beta mean / B, and by the log-variance beta
    (exp(log_variance) - 1) / (2 B).
    """
    dtype, batch, beta = inputs["logits"].dtype, len(inputs["logits"]), inputs["beta"]
    weights = (np.ones((), dtype), np.zeros((), dtype), np.zeros((), dtype))
    gradient = beta_vae_loss.compare_gradient(weights, **inputs)[0]
    mean, log_variance = asbounded(inputs["mean"]), asbounded(inputs["log_variance"])
    return all_of(
        closely(gradient["logits"], (sigmoid(asbounded(inputs["logits"])) - inputs["targets"]) / batch),
        closely(gradient["mean"], beta * mean / batch),
        closely(gradient["log_variance"], beta * (np.exp(log_variance) - 1.0) / (2 * batch)),
    )


@fault(
    beta_vae_loss,
    breaks=the_loss_is_differentiated_in_closed_form,
    kind="gradient",
    repair="Add the divergence itself.",
)
def the_divergence_is_logged_and_not_learned(
    logits: Array, targets: Array, mean: Array, log_variance: Array, beta: float
) -> tuple[Array, Array, Array]:
    """The divergence is taken as a number out of the graph before it is added, and latents feel no prior."""
    loss, reconstruction, kl = beta_vae_loss(logits, targets, mean, log_variance, beta)
    return straight_through(loss, reconstruction), reconstruction, kl


@law(bad=st.sampled_from([-0.5, 1.5, 255.0]), place=seeds, examples=20)
def pixels_outside_0_and_1_are_refused(
    beta_vae_loss: Implementation, inputs: Arguments, bad: float, place: int
) -> Claim:
    """A pixel is a probability: with shades from 0 to 255, or from -1 to 1, the loss has no lower bound."""
    targets = inputs["targets"]
    spoilt = rewritten(targets, np.unravel_index(place % targets.size, targets.shape), bad)
    return refused(beta_vae_loss, "targets", {**inputs, "targets": spoilt})


@fault(
    beta_vae_loss,
    breaks=pixels_outside_0_and_1_are_refused,
    kind="refusal",
    repair="Refuse them.",
)
def clips_pixels(logits: Array, targets: Array, mean: Array, log_variance: Array, beta: float) -> Results:
    """Pixels outside [0, 1] are cut off in silence, and nearly all are white where they go up to 255."""
    return beta_vae_loss(logits, np.clip(targets, 0.0, 1.0), mean, log_variance, beta)


@law(bad=st.sampled_from([-1.0, -1e-3, math.nan]), examples=20)
def a_negative_beta_is_refused(beta_vae_loss: Implementation, inputs: Arguments, bad: float) -> Claim:
    """A negative beta would reward divergence without end."""
    return refused(beta_vae_loss, "beta", {**inputs, "beta": bad})


@fault(
    beta_vae_loss,
    breaks=a_negative_beta_is_refused,
    kind="refusal",
    repair="Refuse it.",
)
def takes_any_beta(logits: Array, targets: Array, mean: Array, log_variance: Array, beta: float) -> Results:
    """A negative beta counts as 0."""
    return beta_vae_loss(logits, targets, mean, log_variance, max(0.0, beta))


@law(examples=20)
def each_pixel_has_one_logit(beta_vae_loss: Implementation, inputs: Arguments) -> Claim:
    """One pixel more than there are logits is too many, even for a single logit."""
    more = np.concatenate([inputs["targets"], inputs["targets"][:, :1]], axis=1)
    return refused(beta_vae_loss, "targets", {**inputs, "targets": more})


@fault(
    beta_vae_loss,
    breaks=each_pixel_has_one_logit,
    kind="refusal",
    repair="Compare the shapes.",
)
def cuts_pixels(logits: Array, targets: Array, mean: Array, log_variance: Array, beta: float) -> Results:
    """Pixels beyond the last logit are dropped in silence."""
    return beta_vae_loss(logits, targets[:, : logits.shape[1]], mean, log_variance, beta)


@law(examples=20)
def images_and_latents_are_of_one_batch(beta_vae_loss: Implementation, inputs: Arguments) -> Claim:
    """Latents of one example more than there are images are refused."""
    more = {name: np.concatenate([inputs[name], inputs[name][:1]]) for name in ("mean", "log_variance")}
    return refused(beta_vae_loss, "mean", {**inputs, **more})


@fault(
    beta_vae_loss,
    breaks=images_and_latents_are_of_one_batch,
    kind="refusal",
    repair="Compare the batches.",
)
def each_part_has_its_own_batch(
    logits: Array, targets: Array, mean: Array, log_variance: Array, beta: float
) -> tuple[Array, Array, Array]:
    """Latents of more examples than there are images are averaged all the same."""
    _, reconstruction, _ = beta_vae_loss(logits, targets, mean[: len(logits)], log_variance[: len(logits)], beta)
    kl = np.sum(kl_divergence(mean, log_variance)) / len(mean)
    return reconstruction + beta * kl, reconstruction, kl


def _autoencoder_cost(B: int, D: int, Z: int) -> Cost:
    """Eight operations for each pixel, an exponential and a logarithm among them, and five for each latent."""
    return Cost(flops=B * (8 * D + 5 * Z), moved=2 * B * (D + Z))


def _autoencoder_cost_backward(B: int, D: int, Z: int) -> Cost:
    """A gradient for each number that went in."""
    return Cost(flops=2 * B * (8 * D + 5 * Z), moved=4 * B * (D + Z))


@workload(
    beta_vae_loss,
    sizes={"B": 64, "D": 4096, "Z": 32},
    cost=_autoencoder_cost,
    backward=_autoencoder_cost_backward,
    gradient=True,
)
def chairs_loss(random: np.random.Generator, B: int, D: int, Z: int) -> Arguments:
    """The loss of 64 grey images of 64 x 64 with 32 latents (Higgins et al. 2017, appendix A.1: chairs)."""
    return {
        "logits": 4 * random.standard_normal((B, D)),
        "targets": random.random((B, D)),
        "mean": random.standard_normal((B, Z)),
        "log_variance": random.standard_normal((B, Z)) - 1,
        "beta": 4.0,
    }
