"""The beta-VAE: a latent is sampled around its mean, and pays beta for its divergence from the prior.

Note of 2021-11-15. A variational autoencoder encodes an example as a normal distribution over latents, with a mean and
a variance for each, samples from it in a way that can be differentiated, and decodes the sample (Kingma, Welling,
Auto-Encoding Variational Bayes, 2014, sections 2.3, 2.4 and appendix B). Its loss is the reconstruction error plus the
Kullback-Leibler divergence of that distribution from the standard normal one. The beta-VAE weighs the divergence by
beta, so that latents come apart (Higgins et al., beta-VAE, 2017, section 2, equation 4).

Claimed: the sample has the mean and the variance it is told; the divergence is the expectation of log q(z) / p(z), is
not negative and adds up over latents; the loss is affine in beta, with the divergence as its slope; beta = 1 is the
VAE. Expectations are taken by Gauss-Hermite quadrature, which is exact for the quadratic functions in question with two
nodes, and no number of samples is. Not claimed: that latents come apart.

Conventions. The encoder returns the logarithm of the variance, not of the deviation. Pixels are Bernoulli variables
with logits; their cross-entropy is summed over pixels and the divergence over latents, and both are averaged over the
batch. Averages over pixels or latents are another beta: torch's `reduction="mean"` divides beta's counterpart by the
number of pixels.

The divergence is defined as it is written, 1/2 sum(mean^2 + exp(lv) - 1 - lv), with the rounding of that form: next to
lv = 0 it may come out negative by an amount within its error. With expm1 in place of exp - 1 it does not.

Erratum. The study of the brain that the note cites for beta-VAE's latents models single neurons of the face patches,
not the brain; that it is "self-supervised" is the word of its later version (Higgins et al., Unsupervised deep learning
identifies semantic disentanglement in single inferotemporal face patch neurons, 2021). No law shows it.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from layerlaws import (
    Claim,
    Cost,
    all_of,
    asbounded,
    at_most,
    closely,
    exactly,
    fault,
    law,
    operation,
    refused,
    rounded,
    workload,
)
from layerlaws.language import strategies as st
from layerlaws.language.dependence import dependence
from layerlaws.language.inputs import PLAIN, TEXTURES, arrays, extents, normal, rewritten, seeds
from layerlaws.numerics.mathematics import require, sigmoid
from layerlaws.numerics.reverse_mode import constant, straight_through, with_slope

# --- inputs ---------------------------------------------------------------------------------------------------

betas = st.sampled_from([0.0, 0.25, 1.0, 4.0, 10.0, 0.1])

MILD = (*PLAIN, "ties", "one-hot", "sparse", "tiny")
"""Sizes whose exponentials every format holds."""


@st.composite
def latents(draw: st.DrawFn, textures: tuple[str, ...] = tuple(TEXTURES)) -> dict[str, Any]:
    """Means of all sizes and mild variances: of extreme ones there is a law."""
    shape = draw(extents(2, edges=(0, 1)))
    return {
        "mean": draw(arrays(shape, textures=textures)),
        "log_variance": draw(arrays(shape, textures=tuple(texture for texture in textures if texture in MILD))),
    }


@st.composite
def samples(
    draw: st.DrawFn, textures: tuple[str, ...] = tuple(TEXTURES), edges: tuple[int, ...] = (0, 1)
) -> dict[str, Any]:
    shape = draw(extents(2, edges=edges))
    mean, log_variance, noise = draw(arrays(shape, shape, shape, textures=textures))
    return {"mean": mean, "log_variance": log_variance, "noise": noise}


@st.composite
def loud_samples(draw: st.DrawFn) -> dict[str, Any]:
    """Noise far from 0, and no extreme variances, so that all influences show."""
    drawn = draw(samples(PLAIN, edges=()))
    noise = drawn["noise"]
    loud = np.where(noise < 0, -1, 1) + 2 * noise
    return {"mean": drawn["mean"], "log_variance": drawn["log_variance"] / 4, "noise": loud}


@st.composite
def autoencodings(draw: st.DrawFn, textures: tuple[str, ...] = tuple(TEXTURES)) -> dict[str, Any]:
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


# --- definitions ----------------------------------------------------------------------------------------------


@operation(inputs=samples(), batch=("mean", "log_variance", "noise"), differentiable=True)
def reparameterize(mean: Any, log_variance: Any, noise: Any) -> Any:
    """mean + exp(log_variance / 2) noise. All (B, Z)  ->  (B, Z)."""
    for name, array in (("log_variance", log_variance), ("noise", noise)):
        require(array.shape == mean.shape, f"{name} has shape {array.shape}, mean {mean.shape}")
    return mean + np.exp(log_variance / 2) * noise


@operation(inputs=latents(), batch=("mean", "log_variance"), differentiable=True)
def kl_divergence(mean: Any, log_variance: Any) -> Any:
    """1/2 sum(mean^2 + exp(log_variance) - 1 - log_variance): from N(mean, exp(log_variance)) to N(0, 1).

    mean, log_variance (B, Z)  ->  (B,)
    """
    require(log_variance.shape == mean.shape, f"log_variance has shape {log_variance.shape}, mean {mean.shape}")
    return np.sum(divergences(mean, log_variance), axis=1) / 2


def divergences(mean: Any, log_variance: Any) -> Any:
    """The terms of twice the divergence, one beside the other: they may be added up in any order. (B, 4 Z)."""
    ones = np.ones(mean.shape, mean.dtype)
    return np.concatenate([np.square(mean), np.exp(log_variance), -ones, -log_variance], axis=1)


@with_slope(lambda y, x: sigmoid(x) - 0.5)
def log_partition(x: Any) -> Any:
    """log(exp(x / 2) + exp(-x / 2)), what normalizes a Bernoulli variable with values 1/2 and -1/2."""
    return np.abs(x) / 2 + np.log1p(np.exp(-np.abs(x)))


@operation(inputs=autoencodings(), differentiable=True)
def beta_vae_loss(logits: Any, targets: Any, mean: Any, log_variance: Any, beta: float) -> Any:
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


# --- laws: sampling -------------------------------------------------------------------------------------------


@law()
def without_noise_the_sample_is_the_mean(reparameterize: Any, mean: Any, log_variance: Any, noise: Any) -> Claim:
    """Noise 0 gives the mean, whatever the variance."""
    finite = np.minimum(log_variance, 8).astype(mean.dtype)  # 0 times an overflow is not asked for
    return closely(reparameterize(mean=mean, log_variance=finite, noise=np.zeros_like(mean)), mean)


@law(inputs=samples(MILD))
def a_sample_has_the_mean_and_variance_it_is_told(
    reparameterize: Any, mean: Any, log_variance: Any, noise: Any
) -> Claim:
    """Noise of 1 and of -1, as likely, has mean 0 and variance 1: the samples have the mean, and exp(log_variance)."""
    up, down = (reparameterize(mean=mean, log_variance=log_variance, noise=np.full_like(mean, t)) for t in (1, -1))
    return all_of(closely((up + down) / 2, mean), closely(np.square((up - down) / 2), np.exp(asbounded(log_variance))))


@law(inputs=loud_samples(), which=st.sampled_from(["mean", "log_variance", "noise"]))
def each_latent_has_its_own_noise(reparameterize: Any, mean: Any, log_variance: Any, noise: Any, which: str) -> Claim:
    """Who depends on whom is the identity: a latent depends on its own mean, variance and noise, and on no other's."""
    given = {"mean": mean, "log_variance": log_variance, "noise": noise}

    def moved(j: int) -> dict[str, Any]:
        return {**given, which: rewritten(given[which], (slice(None), j), given[which][:, j] + 4)} if j >= 0 else given

    return exactly(dependence(reparameterize, moved, mean.shape[1], axis=1), np.eye(mean.shape[1], dtype=bool))


@law(inputs=samples(MILD), needs=["gradient"], seed=seeds)
def a_sample_is_differentiated_by_mean_and_variance(
    reparameterize: Any, mean: Any, log_variance: Any, noise: Any, seed: int
) -> Claim:
    """dz/dmean = 1, dz/dlog_variance = sigma noise / 2, dz/dnoise = sigma, each for its own latent alone."""
    weights = normal(seed, mean.shape, mean)
    given = {"mean": mean, "log_variance": log_variance, "noise": noise}
    gradient = reparameterize.compare_gradient(weights, **given)[0]
    deviation = np.exp(asbounded(log_variance) / 2)
    return all_of(
        closely(gradient["mean"], asbounded(weights)),
        closely(gradient["log_variance"], weights * deviation * noise / 2),
        closely(gradient["noise"], weights * deviation),
    )


@law(inputs=loud_samples(), needs=["gradient"], place=seeds)
def the_jacobian_of_a_sample_is_diagonal(
    reparameterize: Any, mean: Any, log_variance: Any, noise: Any, place: int
) -> Claim:
    """By Jacobian as by perturbation: one latent's gradient is alive in its own mean, variance and noise, and exactly 0
    elsewhere.
    """
    one = np.arange(mean.size).reshape(mean.shape) == place % mean.size
    gradient = reparameterize.gradient(one.astype(mean.dtype), mean=mean, log_variance=log_variance, noise=noise)
    return all_of(*(exactly(gradient[name] != 0, one) for name in ("mean", "log_variance", "noise")))


@law(examples=20)
def each_latent_needs_its_noise(reparameterize: Any, mean: Any, log_variance: Any, noise: Any) -> Claim:
    """Noise for one latent more than there are is refused, even for a single latent: it is not spread over others."""
    more = np.concatenate([noise, noise[:, :1]], axis=1)
    return refused(reparameterize, "noise", {"mean": mean, "log_variance": log_variance, "noise": more})


# --- laws: the divergence -------------------------------------------------------------------------------------


@law()
def the_divergence_is_not_negative(kl_divergence: Any, mean: Any, log_variance: Any) -> Claim:
    """Up to its bound: the form with exp - 1 may fall below 0 by its rounding, where log_variance is near 0."""
    return at_most(np.zeros(len(mean)), kl_divergence(mean=mean, log_variance=log_variance))


@law()
def only_the_standard_normal_costs_nothing(kl_divergence: Any, mean: Any, log_variance: Any) -> Claim:
    """With variance 1 the divergence is half the squared length of the mean, and 0 at the prior itself."""
    nothing = np.zeros_like(mean)
    return all_of(
        closely(kl_divergence(mean=nothing, log_variance=nothing), np.zeros(len(mean))),
        closely(kl_divergence(mean=mean, log_variance=nothing), np.sum(np.square(asbounded(mean)), axis=1) / 2),
    )


@law(inputs=latents(MILD))
def the_divergence_is_an_expected_log_ratio(
    kl_divergence: Any, reparameterize: Any, mean: Any, log_variance: Any
) -> Claim:
    """It is the mean of log q(z) - log p(z) over samples z: a quadratic function of the noise, whose mean Gauss and
    Hermite's rule with the two nodes 1 and -1 has exactly.
    """

    def log_ratio(t: float) -> Any:
        z = reparameterize(mean=mean, log_variance=log_variance, noise=np.full_like(mean, t))
        log_q, log_p = -asbounded(log_variance) / 2 - t * t / 2, -np.square(z) / 2
        return np.sum(log_q - log_p, axis=1)

    return closely(kl_divergence(mean=mean, log_variance=log_variance), (log_ratio(1.0) + log_ratio(-1.0)) / 2)


@law(inputs=latents(PLAIN), examples=10)
def a_variance_of_e_costs_e_minus_2_halves(kl_divergence: Any, mean: Any, log_variance: Any, format: Any) -> Claim:
    """In closed form: each latent with mean 0 and log-variance 1 costs (e - 2) / 2, with -1 it costs 1 / (2 e), and
    with mean 1 and variance 1 it costs 1/2.
    """
    width = mean.shape[1]

    def cost(centre: float, log_variance: float) -> Any:
        given = {"mean": np.full_like(mean, centre), "log_variance": np.full_like(mean, log_variance)}
        return kl_divergence(**given)

    def claimed(each: float) -> Any:
        return rounded(np.full(len(mean), each * width), format)

    return all_of(
        closely(cost(0, 1), claimed((math.e - 2) / 2)),
        closely(cost(0, -1), claimed(1 / math.e / 2)),
        closely(cost(1, 0), claimed(0.5)),
    )


TINY = (12, 100, 1000)
"""The logarithms of tiny variances, negated: in every format one that is next to nothing, or nothing."""


@law(examples=8)
def tiny_variances_cost_their_logarithm(kl_divergence: Any, mean: Any, log_variance: Any, format: Any) -> Claim:
    """Where exp(log_variance), or its root, is less than the format holds, the divergence is finite all the same."""
    width = mean.shape[1]

    def cost(size: int) -> Claim:
        computed = kl_divergence(mean=np.zeros_like(mean), log_variance=np.full_like(mean, -size))
        each = (math.exp(-size) - 1 + size) / 2
        return closely(computed, rounded(np.full(len(mean), width * each), format))

    return all_of(*map(cost, TINY))


@law(needs=["gradient"], examples=8)
def tiny_variances_are_pulled_up(kl_divergence: Any, mean: Any, log_variance: Any, format: Any) -> Claim:
    """There the gradient by the log-variance is that of -log_variance / 2: minus one half."""

    def slope(size: int) -> Claim:
        given = {"mean": np.zeros_like(mean), "log_variance": np.full_like(mean, -size)}
        gradient = kl_divergence.compare_gradient(np.ones(len(mean), mean.dtype), **given)[0]["log_variance"]
        return closely(gradient, rounded(np.full(mean.shape, math.expm1(-size) / 2), format))

    return all_of(*map(slope, TINY))


@law(cut=st.integers(0, 9))
def divergences_of_latents_add_up(kl_divergence: Any, mean: Any, log_variance: Any, cut: int) -> Claim:
    """Latents are independent: the divergence of some and that of the others is that of all."""
    cut %= mean.shape[1] + 1
    parts = [kl_divergence(mean=mean[:, cols], log_variance=log_variance[:, cols])
             for cols in (slice(cut), slice(cut, None))]  # fmt: skip
    return closely(kl_divergence(mean=mean, log_variance=log_variance), parts[0] + parts[1])


@law(inputs=latents(PLAIN), angle=st.floats(-3, 3))
def rotating_the_mean_changes_no_divergence(kl_divergence: Any, mean: Any, log_variance: Any, angle: float) -> Claim:
    """Only the length of the mean counts, since the prior is the same in all directions."""
    half = mean.shape[1] // 2
    one, other, rest = asbounded(mean[:, :half]), asbounded(mean[:, half : 2 * half]), mean[:, 2 * half :]
    cosine, sine = math.cos(angle), math.sin(angle)
    rotated = np.concatenate([cosine * one - sine * other, sine * one + cosine * other, asbounded(-rest)], axis=1)
    return closely(
        kl_divergence(mean=rotated, log_variance=log_variance), kl_divergence(mean=mean, log_variance=log_variance)
    )


@law(needs=["gradient"], seed=seeds)
def the_divergence_pulls_towards_the_prior(kl_divergence: Any, mean: Any, log_variance: Any, seed: int) -> Claim:
    """Its gradient is the mean, by the mean, and (exp(log_variance) - 1) / 2 by the log-variance."""
    weights = normal(seed, (len(mean),), mean)
    gradient = kl_divergence.compare_gradient(weights, mean=mean, log_variance=log_variance)[0]
    column = asbounded(weights)[:, None]
    return all_of(
        closely(gradient["mean"], column * mean),
        closely(gradient["log_variance"], column * (np.exp(asbounded(log_variance)) - 1.0) / 2),
    )


@law(examples=20)
def each_mean_has_its_variance(kl_divergence: Any, mean: Any, log_variance: Any) -> Claim:
    """Variances for one latent more than there are means are refused, even for a single latent."""
    more = np.concatenate([log_variance, log_variance[:, :1]], axis=1)
    return refused(kl_divergence, "log_variance", {"mean": mean, "log_variance": more})


# --- laws: the loss -------------------------------------------------------------------------------------------


@law(other=betas)
def the_loss_is_affine_in_beta(beta_vae_loss: Any, inputs: dict[str, Any], other: float) -> Claim:
    """Its slope by beta is the divergence; reconstruction and divergence do not ask for beta."""
    loss, reconstruction, kl = beta_vae_loss(**inputs)
    another = beta_vae_loss(**{**inputs, "beta": other})
    return all_of(
        closely(loss, reconstruction + inputs["beta"] * kl),
        closely(another[0] - loss, (other - inputs["beta"]) * kl),
        closely(another[1:], (reconstruction, kl)),
    )


@law()
def beta_1_is_the_variational_autoencoder(beta_vae_loss: Any, kl_divergence: Any, inputs: dict[str, Any]) -> Claim:
    """With beta = 1 the loss is the negative evidence lower bound: reconstruction plus the mean divergence; with beta
    = 0 it is that of an autoencoder, reconstruction alone.
    """
    vae, plain = (beta_vae_loss(**{**inputs, "beta": beta}) for beta in (1.0, 0.0))
    divergence = kl_divergence(mean=inputs["mean"], log_variance=inputs["log_variance"])
    claims = [closely(vae[0], vae[1] + np.mean(divergence)), closely(vae[2], np.mean(divergence))]
    return all_of(*claims, closely(plain[0], plain[1]))


@law()
def the_reconstruction_is_bernoulli_cross_entropy(beta_vae_loss: Any, inputs: dict[str, Any]) -> Claim:
    """It is -t log sigmoid(x) - (1 - t) log sigmoid(-x), summed over pixels and averaged over the batch."""
    x, t = asbounded(inputs["logits"]), asbounded(inputs["targets"])

    def log_sigmoid(x: Any) -> Any:
        return np.minimum(x, 0.0) - np.log1p(np.exp(-np.abs(x)))

    costs = -t * log_sigmoid(x) - (1.0 - t) * log_sigmoid(-x)
    return closely(beta_vae_loss(**inputs)[1], np.mean(np.sum(costs, axis=1)))


@law(examples=20)
def logits_of_0_cost_log_2_a_pixel(beta_vae_loss: Any, inputs: dict[str, Any], format: Any) -> Claim:
    """Undecided pixels cost log 2 each, whatever they should be: as many times as there are pixels."""
    undecided = {**inputs, "logits": np.zeros_like(inputs["logits"])}
    return closely(beta_vae_loss(**undecided)[1], rounded(inputs["logits"].shape[1] * math.log(2), format))


@law()
def negatives_cost_the_same(beta_vae_loss: Any, inputs: dict[str, Any]) -> Claim:
    """The negative of an image, with logits negated, has the same reconstruction error."""
    negative = {**inputs, "logits": -inputs["logits"], "targets": 1 - inputs["targets"]}
    return closely(beta_vae_loss(**negative)[1], beta_vae_loss(**inputs)[1])


@law(times=st.integers(2, 3))
def a_repeated_batch_costs_the_same(beta_vae_loss: Any, inputs: dict[str, Any], times: int) -> Claim:
    """Losses are averaged over the batch: each example taken twice or three times changes nothing."""
    arrays = {name: np.concatenate([x] * times) for name, x in inputs.items() if name != "beta"}
    return closely(beta_vae_loss(**arrays, beta=inputs["beta"]), beta_vae_loss(**inputs))


@law(inputs=autoencodings(MILD))
def twice_the_pixels_cost_twice(beta_vae_loss: Any, inputs: dict[str, Any]) -> Claim:
    """Pixels and latents are summed: an image beside itself, with its latents beside themselves, costs double."""
    arrays = {name: np.concatenate([x, x], axis=1) for name, x in inputs.items() if name != "beta"}
    doubled = beta_vae_loss(**arrays, beta=inputs["beta"])
    return closely(doubled, tuple(2 * part for part in beta_vae_loss(**inputs)))


@law(seed=seeds)
def extreme_logits_leave_the_loss_finite(beta_vae_loss: Any, inputs: dict[str, Any], seed: int) -> Claim:
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


@law(inputs=autoencodings(MILD), needs=["gradient"])
def the_loss_is_differentiated_in_closed_form(beta_vae_loss: Any, inputs: dict[str, Any]) -> Claim:
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


@law(bad=st.sampled_from([-0.5, 1.5, 255.0]), place=seeds, examples=20)
def pixels_outside_0_and_1_are_refused(beta_vae_loss: Any, inputs: dict[str, Any], bad: float, place: int) -> Claim:
    """A pixel is a probability: with shades from 0 to 255, or from -1 to 1, the loss has no lower bound."""
    targets = inputs["targets"]
    spoilt = rewritten(targets, np.unravel_index(place % targets.size, targets.shape), bad)
    return refused(beta_vae_loss, "targets", {**inputs, "targets": spoilt})


@law(bad=st.sampled_from([-1.0, -1e-3, math.nan]), examples=20)
def a_negative_beta_is_refused(beta_vae_loss: Any, inputs: dict[str, Any], bad: float) -> Claim:
    """A negative beta would reward divergence without end."""
    return refused(beta_vae_loss, "beta", {**inputs, "beta": bad})


@law(examples=20)
def each_pixel_has_one_logit(beta_vae_loss: Any, inputs: dict[str, Any]) -> Claim:
    """One pixel more than there are logits is too many, even for a single logit."""
    more = np.concatenate([inputs["targets"], inputs["targets"][:, :1]], axis=1)
    return refused(beta_vae_loss, "targets", {**inputs, "targets": more})


@law(examples=20)
def images_and_latents_are_of_one_batch(beta_vae_loss: Any, inputs: dict[str, Any]) -> Claim:
    """Latents of one example more than there are images are refused."""
    more = {name: np.concatenate([inputs[name], inputs[name][:1]]) for name in ("mean", "log_variance")}
    return refused(beta_vae_loss, "mean", {**inputs, **more})


# --- faults ---------------------------------------------------------------------------------------------------


@fault(reparameterize, breaks=("a_sample_has_the_mean_and_variance_it_is_told",
                               "the_divergence_is_an_expected_log_ratio"),
       seen="https://github.com/alecGraves/BVAE-tf/issues/7")  # fmt: skip
def scales_by_the_variance(mean: Any, log_variance: Any, noise: Any) -> Any:
    """The noise is multiplied by exp(log_variance), the variance. Multiply by the deviation, exp(log_variance / 2)."""
    require(noise.shape == log_variance.shape == mean.shape, "shapes differ")
    return mean + np.exp(log_variance) * noise


@fault(reparameterize, breaks="a_sample_has_the_mean_and_variance_it_is_told",
       seen="https://github.com/keras-team/keras/pull/4211")  # fmt: skip
def samples_with_a_hundredth_of_the_noise(mean: Any, log_variance: Any, noise: Any) -> Any:
    """The noise has a deviation of 0.01 instead of 1, so that the loss is no bound any more. Take it as it is."""
    return reparameterize(mean, log_variance, 0.01 * noise)


@fault(reparameterize, breaks=("a_sample_has_the_mean_and_variance_it_is_told", "each_latent_has_its_own_noise"),
       seen="https://github.com/pytorch/examples/pull/419")  # fmt: skip
def returns_the_mean(mean: Any, log_variance: Any, noise: Any) -> Any:
    """The mean stands for the sample, in evaluation at least, and the loss is no bound there. Sample."""
    return reparameterize(mean, log_variance, 0.0 * noise)


@fault(reparameterize, breaks="without_noise_the_sample_is_the_mean")
def adds_the_deviation(mean: Any, log_variance: Any, noise: Any) -> Any:
    """The deviation is added to mean and noise. Multiply the noise by it."""
    require(noise.shape == log_variance.shape == mean.shape, "shapes differ")
    return mean + np.exp(log_variance / 2) + noise


@fault(reparameterize, breaks=("each_latent_has_its_own_noise", "the_jacobian_of_a_sample_is_diagonal"))
def one_noise_for_all_latents(mean: Any, log_variance: Any, noise: Any) -> Any:
    """The first latent's noise is used for all of an example, so that latents move together. Draw one for each."""
    reparameterize(mean, log_variance, noise)
    return mean + np.exp(log_variance / 2) * noise[:, :1]


@fault(reparameterize, breaks=("a_sample_is_differentiated_by_mean_and_variance",
                               "the_jacobian_of_a_sample_is_diagonal"))  # fmt: skip
def samples_without_a_path_back(mean: Any, log_variance: Any, noise: Any) -> Any:
    """The deviation is detached, as in a call of a library's sampler, and the variance is never learned. Multiply the
    noise by the deviation itself.
    """
    reparameterize(mean, log_variance, noise)
    return mean + constant(np.exp(log_variance / 2)) * noise


@fault(reparameterize, breaks="each_latent_needs_its_noise")
def cuts_the_noise(mean: Any, log_variance: Any, noise: Any) -> Any:
    """Noise beyond the last latent is dropped in silence. Compare the shapes."""
    return reparameterize(mean, log_variance, noise[:, : mean.shape[1]])


@fault(kl_divergence, breaks=("the_divergence_is_an_expected_log_ratio", "the_divergence_pulls_towards_the_prior",
                              "a_variance_of_e_costs_e_minus_2_halves"),
       seen="https://github.com/pyg-team/pytorch_geometric/pull/1368")  # fmt: skip
def takes_the_variance_for_the_deviation(mean: Any, log_variance: Any) -> Any:
    """The formula for the logarithm of the deviation is used with that of the variance (the thread has the reverse).
    Use the formula for what the encoder returns.
    """
    return kl_divergence(mean, 2 * log_variance)


@fault(kl_divergence, breaks="divergences_of_latents_add_up",
       seen="https://github.com/podgorskiy/VAE/issues/1")  # fmt: skip
def averages_over_latents(mean: Any, log_variance: Any) -> Any:
    """The divergence is averaged over the latents, which divides beta by their number. Sum."""
    return kl_divergence(mean, log_variance) / max(mean.shape[1], 1)


@fault(kl_divergence, breaks="the_divergence_is_not_negative")
def has_the_sign_of_the_lower_bound(mean: Any, log_variance: Any) -> Any:
    """1/2 sum(1 + log_variance - mean^2 - exp(log_variance)) is what the lower bound gains. The loss adds its
    negative.
    """
    return -kl_divergence(mean, log_variance)


@fault(kl_divergence, breaks="only_the_standard_normal_costs_nothing")
def forgets_the_one(mean: Any, log_variance: Any) -> Any:
    """The 1 under the sum is left out, and each latent costs 1/2 more. It changes no gradient, but the bound."""
    return kl_divergence(mean, log_variance) + mean.shape[1] / 2


@fault(kl_divergence, breaks="rotating_the_mean_changes_no_divergence")
def adds_up_absolute_means(mean: Any, log_variance: Any) -> Any:
    """The absolute mean is added instead of its square. Square it."""
    require(log_variance.shape == mean.shape, "log_variance has another shape")
    return np.sum(np.abs(mean) + np.exp(log_variance) - 1.0 - log_variance, axis=1) / 2


@fault(kl_divergence, breaks="the_divergence_pulls_towards_the_prior")
def the_variance_is_not_taught(mean: Any, log_variance: Any) -> Any:
    """The log-variance is detached before the divergence, whose value stays right. Keep it attached."""
    return kl_divergence(mean, constant(log_variance))


@fault(kl_divergence, breaks=("tiny_variances_cost_their_logarithm", "tiny_variances_are_pulled_up"))
def takes_the_log_of_the_variance_again(mean: Any, log_variance: Any) -> Any:
    """The divergence is computed from the deviation, whose square, and then the log of it, is out of range where the
    variance is tiny. Use the log-variance that is there.
    """
    require(log_variance.shape == mean.shape, "log_variance has another shape")
    variance = np.square(np.exp(log_variance / 2))
    return np.sum(np.square(mean) + variance - 1.0 - np.log(variance), axis=1) / 2


@fault(kl_divergence, breaks="each_mean_has_its_variance")
def cuts_the_variances(mean: Any, log_variance: Any) -> Any:
    """Variances beyond the last latent are dropped in silence. Compare the shapes."""
    return kl_divergence(mean, log_variance[:, : mean.shape[1]])


@fault(beta_vae_loss, breaks="the_loss_is_affine_in_beta",
       seen="https://github.com/AlexanderVNikitin/tsgm/issues/69")  # fmt: skip
def does_not_use_beta(logits: Any, targets: Any, mean: Any, log_variance: Any, beta: float) -> Any:
    """beta is taken and never used. Multiply the divergence by it."""
    _, *parts = beta_vae_loss(logits, targets, mean, log_variance, beta)
    return parts[0] + parts[1], *parts


@fault(beta_vae_loss, breaks=("the_loss_is_affine_in_beta", "beta_1_is_the_variational_autoencoder"))
def weighs_the_reconstruction_as_well(logits: Any, targets: Any, mean: Any, log_variance: Any, beta: float) -> Any:
    """Reconstruction gets 1 - beta, as if the two were mixed. It has the weight 1."""
    _, *parts = beta_vae_loss(logits, targets, mean, log_variance, beta)
    return (1.0 - beta) * parts[0] + beta * parts[1], *parts


@fault(beta_vae_loss, breaks=("twice_the_pixels_cost_twice", "logits_of_0_cost_log_2_a_pixel",
                              "the_reconstruction_is_bernoulli_cross_entropy"),
       seen="https://github.com/pytorch/examples/issues/817")  # fmt: skip
def averages_over_pixels(logits: Any, targets: Any, mean: Any, log_variance: Any, beta: float) -> Any:
    """Cross-entropy is averaged over the pixels, which multiplies beta by their number. Sum over pixels."""
    _, reconstruction, kl = beta_vae_loss(logits, targets, mean, log_variance, beta)
    each = reconstruction / logits.shape[1]
    return each + beta * kl, each, kl


@fault(beta_vae_loss, breaks="a_repeated_batch_costs_the_same",
       seen="https://github.com/zdebruine/MMVAE/pull/19")  # fmt: skip
def averages_the_reconstruction_alone(logits: Any, targets: Any, mean: Any, log_variance: Any, beta: float) -> Any:
    """Reconstruction is averaged over the batch and the divergence summed, so that beta grows with the batch. Treat
    them alike.
    """
    _, reconstruction, kl = beta_vae_loss(logits, targets, mean, log_variance, beta)
    return reconstruction + beta * (kl * len(mean)), reconstruction, kl * len(mean)


@fault(beta_vae_loss, breaks="extreme_logits_leave_the_loss_finite")
def takes_the_log_of_a_sigmoid(logits: Any, targets: Any, mean: Any, log_variance: Any, beta: float) -> Any:
    """Pixels go through a sigmoid first, and the log of one that has become 0 is infinite. Work with logits."""
    _, _, kl = beta_vae_loss(logits, targets, mean, log_variance, beta)
    p = sigmoid(logits)
    reconstruction = -np.sum(targets * np.log(p) + (1.0 - targets) * np.log(1.0 - p)) / len(logits)
    return reconstruction + beta * kl, reconstruction, kl


@fault(beta_vae_loss, breaks=("the_reconstruction_is_bernoulli_cross_entropy", "negatives_cost_the_same"))
def cuts_softplus_off_at_20(logits: Any, targets: Any, mean: Any, log_variance: Any, beta: float) -> Any:
    """log(1 + exp(x)) is taken for x where x > 20, as a library's softplus does by default: true of single precision,
    not of double. Use log sigmoid, which has no threshold.
    """
    _, _, kl = beta_vae_loss(logits, targets, mean, log_variance, beta)
    softplus = np.where(logits > 20, logits, np.log1p(np.exp(np.minimum(logits, 20.0))))
    reconstruction = np.sum(softplus - logits * targets) / len(logits)
    return reconstruction + beta * kl, reconstruction, kl


@fault(beta_vae_loss, breaks="negatives_cost_the_same")
def leaves_out_the_dark_pixels(logits: Any, targets: Any, mean: Any, log_variance: Any, beta: float) -> Any:
    """-t log p is summed without -(1 - t) log(1 - p): black pixels cost nothing. Add the other term."""
    _, _, kl = beta_vae_loss(logits, targets, mean, log_variance, beta)
    half = log_partition(logits) - logits / 2
    reconstruction = np.sum(targets * half) / len(logits)
    return reconstruction + beta * kl, reconstruction, kl


@fault(beta_vae_loss, breaks="the_loss_is_differentiated_in_closed_form")
def the_divergence_is_logged_and_not_learned(
    logits: Any, targets: Any, mean: Any, log_variance: Any, beta: float
) -> Any:
    """The divergence is taken as a number out of the graph before it is added, and latents feel no prior. Add the
    divergence itself.
    """
    loss, reconstruction, kl = beta_vae_loss(logits, targets, mean, log_variance, beta)
    return straight_through(loss, reconstruction), reconstruction, kl


@fault(beta_vae_loss, breaks="pixels_outside_0_and_1_are_refused")
def clips_pixels(logits: Any, targets: Any, mean: Any, log_variance: Any, beta: float) -> Any:
    """Pixels outside [0, 1] are cut off in silence, and nearly all are white where they go up to 255. Refuse them."""
    return beta_vae_loss(logits, np.clip(targets, 0.0, 1.0), mean, log_variance, beta)


@fault(beta_vae_loss, breaks="a_negative_beta_is_refused")
def takes_any_beta(logits: Any, targets: Any, mean: Any, log_variance: Any, beta: float) -> Any:
    """A negative beta counts as 0. Refuse it."""
    return beta_vae_loss(logits, targets, mean, log_variance, max(0.0, beta))


@fault(beta_vae_loss, breaks="each_pixel_has_one_logit")
def cuts_pixels(logits: Any, targets: Any, mean: Any, log_variance: Any, beta: float) -> Any:
    """Pixels beyond the last logit are dropped in silence. Compare the shapes."""
    return beta_vae_loss(logits, targets[:, : logits.shape[1]], mean, log_variance, beta)


@fault(beta_vae_loss, breaks="images_and_latents_are_of_one_batch")
def each_part_has_its_own_batch(logits: Any, targets: Any, mean: Any, log_variance: Any, beta: float) -> Any:
    """Latents of more examples than there are images are averaged all the same. Compare the batches."""
    _, reconstruction, _ = beta_vae_loss(logits, targets, mean[: len(logits)], log_variance[: len(logits)], beta)
    kl = np.sum(kl_divergence(mean, log_variance)) / len(mean)
    return reconstruction + beta * kl, reconstruction, kl


# --- workloads ------------------------------------------------------------------------------------------------


def _autoencoder_cost(B: int, D: int, Z: int) -> Cost:
    """Eight operations for each pixel, an exponential and a logarithm among them, and five for each latent."""
    return Cost(flops=B * (8 * D + 5 * Z), moved=2 * B * (D + Z))


def _autoencoder_cost_backward(B: int, D: int, Z: int) -> Cost:
    """A gradient for each number that went in."""
    return Cost(flops=2 * B * (8 * D + 5 * Z), moved=4 * B * (D + Z))


@workload(beta_vae_loss, sizes={"B": 64, "D": 4096, "Z": 32}, cost=_autoencoder_cost,
          backward=_autoencoder_cost_backward, gradient=True)  # fmt: skip
def chairs_loss(random: np.random.Generator, B: int, D: int, Z: int) -> dict[str, Any]:
    """The loss of 64 grey images of 64 x 64 with 32 latents (Higgins et al. 2017, appendix A.1: chairs)."""
    return {
        "logits": 4 * random.standard_normal((B, D)),
        "targets": random.random((B, D)),
        "mean": random.standard_normal((B, Z)),
        "log_variance": random.standard_normal((B, Z)) - 1,
        "beta": 4.0,
    }
