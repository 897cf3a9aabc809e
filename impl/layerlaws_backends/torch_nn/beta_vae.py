"""torch.distributions and F.binary_cross_entropy_with_logits, of which a beta-VAE is put together."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import distributions
from torch.distributions.transforms import AffineTransform
from torch.nn import functional as F

from layerlaws import Known
from layerlaws_backends.torch_nn._known import BROADCASTING

_PARTS = Known(
    "torch has the parts of a beta-VAE's loss, not the loss: nothing there sees beta, or the batches of both parts",
    "https://docs.pytorch.org/docs/stable/distributions.html#module-torch.distributions.kl",
)
_SQUARED_DEVIATION = Known(
    "Normal keeps the deviation, and kl_divergence takes the log of its square, which is 0 for tiny variances",
    "https://github.com/pytorch/pytorch/blob/main/torch/distributions/kl.py",
)
_ROUNDED_DEVIATION = Known(
    "kl_divergence takes the square of a deviation, and its logarithm, that Normal keeps in half precision",
    "https://github.com/pytorch/pytorch/blob/main/torch/distributions/kl.py",
    dtype=("float16", "bfloat16"),
    rare=True,
)
known = {
    "kl_divergence.agrees_with_definition": _ROUNDED_DEVIATION,
    "beta_vae_loss.agrees_with_definition": _ROUNDED_DEVIATION,
    "each_latent_needs_its_noise": BROADCASTING,
    "each_mean_has_its_variance": BROADCASTING,
    "tiny_variances_cost_their_logarithm": _SQUARED_DEVIATION,
    "tiny_variances_are_pulled_up": _SQUARED_DEVIATION,
    "kl_divergence.agrees_at_every_scale": replace(_SQUARED_DEVIATION, dtype="float16", rare=True),
    "beta_vae_loss.agrees_at_every_scale": replace(_SQUARED_DEVIATION, dtype="float16", rare=True),
    "pixels_outside_0_and_1_are_refused": Known(
        "binary_cross_entropy_with_logits takes targets of any size",
        "https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.binary_cross_entropy_with_logits.html",
    ),
    "a_negative_beta_is_refused": _PARTS,
    "images_and_latents_are_of_one_batch": _PARTS,
}


def reparameterize(mean: torch.Tensor, log_variance: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
    """AffineTransform of the noise, as TransformedDistribution applies it. (B, Z), (B, Z), (B, Z) -> (B, Z)."""
    sample: torch.Tensor = AffineTransform(mean, (log_variance / 2).exp())(noise)
    return sample


def kl_divergence(mean: torch.Tensor, log_variance: torch.Tensor) -> torch.Tensor:
    """distributions.kl_divergence of two Normals, summed. (B, Z), (B, Z) -> (B,)."""
    posterior = distributions.Normal(mean, (log_variance / 2).exp(), validate_args=False)
    prior = distributions.Normal(torch.zeros_like(mean), torch.ones_like(mean), validate_args=False)
    return distributions.kl_divergence(posterior, prior).sum(dim=1)


def beta_vae_loss(
    logits: torch.Tensor, targets: torch.Tensor, mean: torch.Tensor, log_variance: torch.Tensor, beta: float
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """F.binary_cross_entropy_with_logits with reduction="sum", and the divergence.

    logits, targets (B, D), mean, log_variance (B, Z)  ->  loss (), reconstruction (), kl ()
    """
    reconstruction = F.binary_cross_entropy_with_logits(logits, targets, reduction="sum") / len(logits)
    kl = kl_divergence(mean, log_variance).mean()
    return reconstruction + beta * kl, reconstruction, kl
