"""The beta-VAE in NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def reparameterize(mean: Array, log_variance: Array, noise: Array) -> Array:
    """mean + exp(log_variance / 2) noise, in one buffer. (B, Z), (B, Z), (B, Z) -> (B, Z)."""
    _same_shape("log_variance", log_variance, "mean", mean)
    _same_shape("noise", noise, "mean", mean)
    sample: Array = log_variance * log_variance.dtype.type(0.5)
    np.exp(sample, out=sample)
    sample *= noise
    sample += mean
    return sample


def kl_divergence(mean: Array, log_variance: Array) -> Array:
    """1/2 sum(mean^2 + expm1(log_variance) - log_variance): with expm1 it never falls below 0.

    mean, log_variance (B, Z)  ->  (B,)
    """
    _same_shape("log_variance", log_variance, "mean", mean)
    terms = np.expm1(log_variance)
    terms -= log_variance
    total: Array = terms.sum(axis=1) + np.einsum("bz,bz->b", mean, mean)
    return total / 2


def beta_vae_loss(
    logits: Array, targets: Array, mean: Array, log_variance: Array, beta: float
) -> tuple[Array, Array, Array]:
    """Bernoulli cross-entropy of logits summed over pixels, plus beta times the divergence, averaged over the batch.

    logits, targets (B, D), mean, log_variance (B, Z)  ->  loss (), reconstruction (), kl ()
    """
    if not beta >= 0:
        raise ValueError(f"beta must not be negative, it is {beta}")
    _same_shape("targets", targets, "logits", logits)
    _same_shape("log_variance", log_variance, "mean", mean)
    if len(mean) != len(logits):
        raise ValueError(f"mean has {len(mean)} rows, logits {len(logits)}")
    if targets.size and not 0 <= targets.min() <= targets.max() <= 1:
        raise ValueError("targets must lie in [0, 1]")
    costs = np.abs(logits)
    np.negative(costs, out=costs)
    np.exp(costs, out=costs)
    np.log1p(costs, out=costs)
    costs += np.maximum(logits, 0)
    costs -= logits * targets
    reconstruction = costs.sum() / logits.dtype.type(len(logits))
    kl = kl_divergence(mean, log_variance).mean()
    return reconstruction + logits.dtype.type(beta) * kl, reconstruction, kl


def _same_shape(name: str, array: Array, other_name: str, other: Array) -> None:
    if array.shape != other.shape:
        raise ValueError(f"{name} has shape {array.shape}, {other_name} {other.shape}")
