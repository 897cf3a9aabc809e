"""A sample around the mean, as the noise says: reparameterize."""

from __future__ import annotations

import numpy as np

from layerlaws.language import (
    PLAIN,
    TEXTURES,
    Arguments,
    Array,
    Claim,
    Implementation,
    all_of,
    arrays,
    asbounded,
    closely,
    constant,
    dependence,
    exactly,
    extents,
    fault,
    law,
    normal,
    operation,
    refused,
    require,
    rewritten,
    seeds,
)
from layerlaws.language import strategies as st

MILD = (*PLAIN, "ties", "one-hot", "sparse", "tiny")
"""Sizes whose exponentials every format holds."""


@st.composite
def samples(draw: st.DrawFn, textures: tuple[str, ...] = tuple(TEXTURES), edges: tuple[int, ...] = (0, 1)) -> Arguments:
    shape = draw(extents(2, edges=edges))
    mean, log_variance, noise = draw(arrays(shape, shape, shape, textures=textures))
    return {"mean": mean, "log_variance": log_variance, "noise": noise}


@st.composite
def loud_samples(draw: st.DrawFn) -> Arguments:
    """Noise far from 0, and no extreme variances, so that all influences show."""
    drawn = draw(samples(PLAIN, edges=()))
    noise = drawn["noise"]
    loud = np.where(noise < 0, -1, 1) + 2 * noise
    return {"mean": drawn["mean"], "log_variance": drawn["log_variance"] / 4, "noise": loud}


@operation(inputs=samples(), batch=("mean", "log_variance", "noise"), differentiable=True)
def reparameterize(mean: Array, log_variance: Array, noise: Array) -> Array:
    """mean + exp(log_variance / 2) noise. All (B, Z)  ->  (B, Z)."""
    for name, array in (("log_variance", log_variance), ("noise", noise)):
        require(array.shape == mean.shape, f"{name} has shape {array.shape}, mean {mean.shape}")
    return mean + np.exp(log_variance / 2) * noise


@law()
def without_noise_the_sample_is_the_mean(
    reparameterize: Implementation, mean: Array, log_variance: Array, noise: Array
) -> Claim:
    """Noise 0 gives the mean, whatever the variance."""
    finite = np.minimum(log_variance, 8).astype(mean.dtype)  # 0 times an overflow is not asked for
    return closely(reparameterize(mean=mean, log_variance=finite, noise=np.zeros_like(mean)), mean)


@fault(
    reparameterize,
    breaks=without_noise_the_sample_is_the_mean,
    kind="formula",
    repair="Multiply the noise by it.",
)
def adds_the_deviation(mean: Array, log_variance: Array, noise: Array) -> Array:
    """The deviation is added to mean and noise."""
    require(noise.shape == log_variance.shape == mean.shape, "shapes differ")
    return mean + np.exp(log_variance / 2) + noise


@law(inputs=samples(MILD))
def a_sample_has_the_mean_and_variance_it_is_told(
    reparameterize: Implementation, mean: Array, log_variance: Array, noise: Array
) -> Claim:
    """Noise of 1 and of -1, as likely, has mean 0 and variance 1: the samples have the mean, and exp(log_variance)."""
    up, down = (reparameterize(mean=mean, log_variance=log_variance, noise=np.full_like(mean, t)) for t in (1, -1))
    return all_of(closely((up + down) / 2, mean), closely(np.square((up - down) / 2), np.exp(asbounded(log_variance))))


@fault(
    reparameterize,
    breaks=a_sample_has_the_mean_and_variance_it_is_told,
    kind="scale",
    repair="Take it as it is.",
    seen="https://github.com/keras-team/keras/pull/4211",
)
def samples_with_a_hundredth_of_the_noise(mean: Array, log_variance: Array, noise: Array) -> Array:
    """The noise has a deviation of 0.01 instead of 1, so that the loss is no bound any more."""
    return reparameterize(mean, log_variance, 0.01 * noise)


@fault(
    reparameterize,
    breaks=a_sample_has_the_mean_and_variance_it_is_told,
    kind="formula",
    repair="Use those of the encoder.",
    seen="https://github.com/huggingface/diffusers/pull/13657",
)
def takes_every_variance_for_1(mean: Array, log_variance: Array, noise: Array) -> Array:
    """Zeros stand in for the log-variances, so that all noise has a deviation of 1."""
    return reparameterize(mean, np.zeros_like(log_variance), noise)


@law(inputs=loud_samples(), which=st.sampled_from(["mean", "log_variance", "noise"]))
def each_latent_has_its_own_noise(
    reparameterize: Implementation, mean: Array, log_variance: Array, noise: Array, which: str
) -> Claim:
    """Who depends on whom is the identity: a latent depends on its own mean, variance and noise, and on no other's."""
    given = {"mean": mean, "log_variance": log_variance, "noise": noise}

    def moved(j: int) -> Arguments:
        return {**given, which: rewritten(given[which], (slice(None), j), given[which][:, j] + 4)} if j >= 0 else given

    return exactly(dependence(reparameterize, moved, mean.shape[1], axis=1), np.eye(mean.shape[1], dtype=bool))


@fault(
    reparameterize,
    breaks=(a_sample_has_the_mean_and_variance_it_is_told, each_latent_has_its_own_noise),
    kind="formula",
    repair="Sample.",
    seen="https://github.com/pytorch/examples/pull/419",
)
def returns_the_mean(mean: Array, log_variance: Array, noise: Array) -> Array:
    """The mean stands for the sample, in evaluation at least, and the loss is no bound there."""
    return reparameterize(mean, log_variance, 0.0 * noise)


@law(inputs=samples(MILD), needs=["gradient"], seed=seeds)
def a_sample_is_differentiated_by_mean_and_variance(
    reparameterize: Implementation, mean: Array, log_variance: Array, noise: Array, seed: int
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
    reparameterize: Implementation, mean: Array, log_variance: Array, noise: Array, place: int
) -> Claim:
    """By Jacobian as by perturbation: one latent's gradient is alive in its own mean, variance and noise, and exactly 0
    elsewhere.
    """
    one = np.arange(mean.size).reshape(mean.shape) == place % mean.size
    gradient = reparameterize.gradient(one.astype(mean.dtype), mean=mean, log_variance=log_variance, noise=noise)
    return all_of(*(exactly(gradient[name] != 0, one) for name in ("mean", "log_variance", "noise")))


@fault(
    reparameterize,
    breaks=(each_latent_has_its_own_noise, the_jacobian_of_a_sample_is_diagonal),
    kind="formula",
    repair="Draw one for each.",
)
def one_noise_for_all_latents(mean: Array, log_variance: Array, noise: Array) -> Array:
    """The first latent's noise is used for all of an example, so that latents move together."""
    reparameterize(mean, log_variance, noise)
    return mean + np.exp(log_variance / 2) * noise[:, :1]


@fault(
    reparameterize,
    breaks=(a_sample_is_differentiated_by_mean_and_variance, the_jacobian_of_a_sample_is_diagonal),
    kind="gradient",
    repair="Multiply the noise by the deviation itself.",
)
def samples_without_a_path_back(mean: Array, log_variance: Array, noise: Array) -> Array:
    """The deviation is detached, as in a call of a library's sampler, and the variance is never learned."""
    reparameterize(mean, log_variance, noise)
    return mean + constant(np.exp(log_variance / 2)) * noise


@law(examples=20)
def each_latent_needs_its_noise(
    reparameterize: Implementation, mean: Array, log_variance: Array, noise: Array
) -> Claim:
    """Noise for one latent more than there are is refused, even for a single latent: it is not spread over others."""
    more = np.concatenate([noise, noise[:, :1]], axis=1)
    return refused(reparameterize, "noise", {"mean": mean, "log_variance": log_variance, "noise": more})


@fault(
    reparameterize,
    breaks=each_latent_needs_its_noise,
    kind="refusal",
    repair="Compare the shapes.",
)
def cuts_the_noise(mean: Array, log_variance: Array, noise: Array) -> Array:
    """Noise beyond the last latent is dropped in silence."""
    return reparameterize(mean, log_variance, noise[:, : mean.shape[1]])
