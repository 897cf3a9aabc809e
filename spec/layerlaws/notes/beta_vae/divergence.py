"""How far a latent lies from the prior: kl_divergence."""

from __future__ import annotations

import math

import numpy as np

from layerlaws.language import (
    PLAIN,
    TEXTURES,
    Arguments,
    Array,
    Claim,
    Format,
    Implementation,
    all_of,
    arrays,
    asbounded,
    at_most,
    closely,
    constant,
    extents,
    fault,
    law,
    normal,
    operation,
    refused,
    require,
    rounded,
    seeds,
)
from layerlaws.language import strategies as st
from layerlaws.notes.beta_vae.sampling import MILD, a_sample_has_the_mean_and_variance_it_is_told, reparameterize


@st.composite
def latents(draw: st.DrawFn, textures: tuple[str, ...] = tuple(TEXTURES)) -> Arguments:
    """Means of all sizes and mild variances: of extreme ones there is a law."""
    shape = draw(extents(2, edges=(0, 1)))
    return {
        "mean": draw(arrays(shape, textures=textures)),
        "log_variance": draw(arrays(shape, textures=tuple(texture for texture in textures if texture in MILD))),
    }


def divergences(mean: Array, log_variance: Array) -> Array:
    """The terms of twice the divergence, one beside the other: they may be added up in any order. (B, 4 Z)."""
    ones = np.ones(mean.shape, mean.dtype)
    return np.concatenate([np.square(mean), np.exp(log_variance), -ones, -log_variance], axis=1)


@operation(inputs=latents(), batch=("mean", "log_variance"), differentiable=True)
def kl_divergence(mean: Array, log_variance: Array) -> Array:
    """1/2 sum(mean^2 + exp(log_variance) - 1 - log_variance): from N(mean, exp(log_variance)) to N(0, 1).

    mean, log_variance (B, Z)  ->  (B,)
    """
    require(log_variance.shape == mean.shape, f"log_variance has shape {log_variance.shape}, mean {mean.shape}")
    return np.sum(divergences(mean, log_variance), axis=1) / 2


@law()
def the_divergence_is_not_negative(kl_divergence: Implementation, mean: Array, log_variance: Array) -> Claim:
    """Up to its bound: the form with exp - 1 may fall below 0 by its rounding, where log_variance is near 0."""
    return at_most(np.zeros(len(mean)), kl_divergence(mean=mean, log_variance=log_variance))


@fault(
    kl_divergence,
    breaks=the_divergence_is_not_negative,
    kind="formula",
    repair="The loss adds its negative.",
)
def has_the_sign_of_the_lower_bound(mean: Array, log_variance: Array) -> Array:
    """1/2 sum(1 + log_variance - mean^2 - exp(log_variance)) is what the lower bound gains."""
    return -kl_divergence(mean, log_variance)


@law()
def only_the_standard_normal_costs_nothing(kl_divergence: Implementation, mean: Array, log_variance: Array) -> Claim:
    """With variance 1 the divergence is half the squared length of the mean, and 0 at the prior itself."""
    nothing = np.zeros_like(mean)
    return all_of(
        closely(kl_divergence(mean=nothing, log_variance=nothing), np.zeros(len(mean))),
        closely(kl_divergence(mean=mean, log_variance=nothing), np.sum(np.square(asbounded(mean)), axis=1) / 2),
    )


@fault(
    kl_divergence,
    breaks=only_the_standard_normal_costs_nothing,
    kind="formula",
    repair="Subtract 1 for each latent.",
)
def forgets_the_one(mean: Array, log_variance: Array) -> Array:
    """The 1 under the sum is left out, and each latent costs 1/2 more. It changes no gradient, but the bound."""
    return kl_divergence(mean, log_variance) + mean.shape[1] / 2


@law(inputs=latents(MILD))
def the_divergence_is_an_expected_log_ratio(
    kl_divergence: Implementation, reparameterize: Implementation, mean: Array, log_variance: Array
) -> Claim:
    """It is the mean of log q(z) - log p(z) over samples z: a quadratic function of the noise, whose mean Gauss and
    Hermite's rule with the two nodes 1 and -1 has exactly.
    """

    def log_ratio(t: float) -> Array:
        z = reparameterize(mean=mean, log_variance=log_variance, noise=np.full_like(mean, t))
        log_q, log_p = -asbounded(log_variance) / 2 - t * t / 2, -np.square(z) / 2
        return np.sum(log_q - log_p, axis=1)

    return closely(kl_divergence(mean=mean, log_variance=log_variance), (log_ratio(1.0) + log_ratio(-1.0)) / 2)


@fault(
    reparameterize,
    breaks=(a_sample_has_the_mean_and_variance_it_is_told, the_divergence_is_an_expected_log_ratio),
    kind="scale",
    repair="Multiply by the deviation, exp(log_variance / 2).",
    seen="https://github.com/alecGraves/BVAE-tf/issues/7",
)
def scales_by_the_variance(mean: Array, log_variance: Array, noise: Array) -> Array:
    """The noise is multiplied by exp(log_variance), the variance."""
    require(noise.shape == log_variance.shape == mean.shape, "shapes differ")
    return mean + np.exp(log_variance) * noise


@law(inputs=latents(PLAIN), examples=10)
def a_variance_of_e_costs_e_minus_2_halves(
    kl_divergence: Implementation, mean: Array, log_variance: Array, format: Format
) -> Claim:
    """In closed form: each latent with mean 0 and log-variance 1 costs (e - 2) / 2, with -1 it costs 1 / (2 e), and
    with mean 1 and variance 1 it costs 1/2.
    """
    width = mean.shape[1]

    def cost(centre: float, log_variance: float) -> Array:
        given = {"mean": np.full_like(mean, centre), "log_variance": np.full_like(mean, log_variance)}
        return kl_divergence(**given)

    def claimed(each: float) -> Array:
        return rounded(np.full(len(mean), each * width), format)

    return all_of(
        closely(cost(0, 1), claimed((math.e - 2) / 2)),
        closely(cost(0, -1), claimed(1 / math.e / 2)),
        closely(cost(1, 0), claimed(0.5)),
    )


TINY = (12, 100, 1000)
"""The logarithms of tiny variances, negated: in every format one that is next to nothing, or nothing."""


@law(examples=8)
def tiny_variances_cost_their_logarithm(
    kl_divergence: Implementation, mean: Array, log_variance: Array, format: Format
) -> Claim:
    """Where exp(log_variance), or its root, is less than the format holds, the divergence is finite all the same."""
    width = mean.shape[1]

    def cost(size: int) -> Claim:
        computed = kl_divergence(mean=np.zeros_like(mean), log_variance=np.full_like(mean, -size))
        each = (math.exp(-size) - 1 + size) / 2
        return closely(computed, rounded(np.full(len(mean), width * each), format))

    return all_of(*map(cost, TINY))


@law(needs=["gradient"], examples=8)
def tiny_variances_are_pulled_up(
    kl_divergence: Implementation, mean: Array, log_variance: Array, format: Format
) -> Claim:
    """There the gradient by the log-variance is that of -log_variance / 2: minus one half."""

    def slope(size: int) -> Claim:
        given = {"mean": np.zeros_like(mean), "log_variance": np.full_like(mean, -size)}
        gradient = kl_divergence.compare_gradient(np.ones(len(mean), mean.dtype), **given)[0]["log_variance"]
        return closely(gradient, rounded(np.full(mean.shape, math.expm1(-size) / 2), format))

    return all_of(*map(slope, TINY))


@fault(
    kl_divergence,
    breaks=(tiny_variances_cost_their_logarithm, tiny_variances_are_pulled_up),
    kind="precision",
    repair="Use the log-variance that is there.",
)
def takes_the_log_of_the_variance_again(mean: Array, log_variance: Array) -> Array:
    """The divergence is computed from the deviation, whose square, and then the log of it, is out of range where the
    variance is tiny.
    """
    require(log_variance.shape == mean.shape, "log_variance has another shape")
    variance = np.square(np.exp(log_variance / 2))
    return np.sum(np.square(mean) + variance - 1.0 - np.log(variance), axis=1) / 2


@law(cut=st.integers(0, 9))
def divergences_of_latents_add_up(kl_divergence: Implementation, mean: Array, log_variance: Array, cut: int) -> Claim:
    """Latents are independent: the divergence of some and that of the others is that of all."""
    cut %= mean.shape[1] + 1
    parts = [
        kl_divergence(mean=mean[:, cols], log_variance=log_variance[:, cols]) for cols in (slice(cut), slice(cut, None))
    ]
    return closely(kl_divergence(mean=mean, log_variance=log_variance), parts[0] + parts[1])


@fault(
    kl_divergence,
    breaks=divergences_of_latents_add_up,
    kind="scale",
    repair="Sum.",
    seen="https://github.com/podgorskiy/VAE/issues/1",
)
def averages_over_latents(mean: Array, log_variance: Array) -> Array:
    """The divergence is averaged over the latents, which divides beta by their number."""
    return kl_divergence(mean, log_variance) / max(mean.shape[1], 1)


@law(inputs=latents(PLAIN), angle=st.floats(-3, 3))
def rotating_the_mean_changes_no_divergence(
    kl_divergence: Implementation, mean: Array, log_variance: Array, angle: float
) -> Claim:
    """Only the length of the mean counts, since the prior is the same in all directions."""
    half = mean.shape[1] // 2
    one, other, rest = asbounded(mean[:, :half]), asbounded(mean[:, half : 2 * half]), mean[:, 2 * half :]
    cosine, sine = math.cos(angle), math.sin(angle)
    rotated = np.concatenate([cosine * one - sine * other, sine * one + cosine * other, asbounded(-rest)], axis=1)
    return closely(
        kl_divergence(mean=rotated, log_variance=log_variance), kl_divergence(mean=mean, log_variance=log_variance)
    )


@fault(
    kl_divergence,
    breaks=rotating_the_mean_changes_no_divergence,
    kind="formula",
    repair="Square it.",
)
def adds_up_absolute_means(mean: Array, log_variance: Array) -> Array:
    """The absolute mean is added instead of its square."""
    require(log_variance.shape == mean.shape, "log_variance has another shape")
    return np.sum(np.abs(mean) + np.exp(log_variance) - 1.0 - log_variance, axis=1) / 2


@law(needs=["gradient"], seed=seeds)
def the_divergence_pulls_towards_the_prior(
    kl_divergence: Implementation, mean: Array, log_variance: Array, seed: int
) -> Claim:
    """Its gradient is the mean, by the mean, and (exp(log_variance) - 1) / 2 by the log-variance."""
    weights = normal(seed, (len(mean),), mean)
    gradient = kl_divergence.compare_gradient(weights, mean=mean, log_variance=log_variance)[0]
    column = asbounded(weights)[:, None]
    return all_of(
        closely(gradient["mean"], column * mean),
        closely(gradient["log_variance"], column * (np.exp(asbounded(log_variance)) - 1.0) / 2),
    )


@fault(
    kl_divergence,
    breaks=(
        the_divergence_is_an_expected_log_ratio,
        the_divergence_pulls_towards_the_prior,
        a_variance_of_e_costs_e_minus_2_halves,
    ),
    kind="formula",
    repair="Use the formula for what the encoder returns.",
    seen="https://github.com/pyg-team/pytorch_geometric/pull/1368",
)
def takes_the_variance_for_the_deviation(mean: Array, log_variance: Array) -> Array:
    """The formula for the logarithm of the deviation is used with that of the variance (the thread has the reverse)."""
    return kl_divergence(mean, 2 * log_variance)


@fault(
    kl_divergence,
    breaks=the_divergence_pulls_towards_the_prior,
    kind="gradient",
    repair="Keep it attached.",
)
def the_variance_is_not_taught(mean: Array, log_variance: Array) -> Array:
    """The log-variance is detached before the divergence, whose value stays right."""
    return kl_divergence(mean, constant(log_variance))


@law(examples=20)
def each_mean_has_its_variance(kl_divergence: Implementation, mean: Array, log_variance: Array) -> Claim:
    """Variances for one latent more than there are means are refused, even for a single latent."""
    more = np.concatenate([log_variance, log_variance[:, :1]], axis=1)
    return refused(kl_divergence, "log_variance", {"mean": mean, "log_variance": more})


@fault(
    kl_divergence,
    breaks=each_mean_has_its_variance,
    kind="refusal",
    repair="Compare the shapes.",
)
def cuts_the_variances(mean: Array, log_variance: Array) -> Array:
    """Variances beyond the last latent are dropped in silence."""
    return kl_divergence(mean, log_variance[:, : mean.shape[1]])
