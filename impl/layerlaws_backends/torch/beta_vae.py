"""The beta-VAE in PyTorch."""

from __future__ import annotations

import torch
from torch.nn import functional as F


def reparameterize(mean: torch.Tensor, log_variance: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
    """mean + exp(log_variance / 2) noise. (B, Z), (B, Z), (B, Z) -> (B, Z)."""
    _same_shape("log_variance", log_variance, "mean", mean)
    _same_shape("noise", noise, "mean", mean)
    return torch.addcmul(mean, (log_variance / 2).exp(), noise)


def kl_divergence(mean: torch.Tensor, log_variance: torch.Tensor) -> torch.Tensor:
    """1/2 sum(mean^2 + expm1(log_variance) - log_variance): with expm1 it never falls below 0.

    mean, log_variance (B, Z)  ->  (B,)
    """
    _same_shape("log_variance", log_variance, "mean", mean)
    return (mean.square() + (log_variance.expm1() - log_variance)).sum(dim=1) / 2


def beta_vae_loss(
    logits: torch.Tensor, targets: torch.Tensor, mean: torch.Tensor, log_variance: torch.Tensor, beta: float
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Bernoulli cross-entropy of logits summed over pixels, plus beta times the divergence, averaged over the batch.

    logits, targets (B, D), mean, log_variance (B, Z)  ->  loss (), reconstruction (), kl ()
    """
    if not beta >= 0:
        raise ValueError(f"beta must not be negative, it is {beta}")
    _same_shape("targets", targets, "logits", logits)
    if len(mean) != len(logits):
        raise ValueError(f"mean has {len(mean)} rows, logits {len(logits)}")
    lowest, highest = targets.aminmax() if targets.numel() else (0, 0)
    if not 0 <= lowest <= highest <= 1:
        raise ValueError("targets must lie in [0, 1]")
    reconstruction = F.binary_cross_entropy_with_logits(logits, targets, reduction="sum") / len(logits)
    kl = kl_divergence(mean, log_variance).mean()
    return reconstruction + beta * kl, reconstruction, kl


def _same_shape(name: str, tensor: torch.Tensor, other_name: str, other: torch.Tensor) -> None:
    if tensor.shape != other.shape:
        raise ValueError(f"{name} has shape {tuple(tensor.shape)}, {other_name} {tuple(other.shape)}")
