"""What the bundled backends promise beyond the laws of the beta-VAE."""

from __future__ import annotations

import importlib

import numpy as np
import pytest


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", ["numpy", "torch"])
def test_divergence_never_falls_below_0(name: str, dtype: str) -> None:
    """Next to log_variance 0 a form with exp - 1 does; theirs has expm1."""
    if name == "torch":
        pytest.importorskip("torch")
    backend = importlib.import_module("layerlaws_backends.numpy" if name == "numpy" else "layerlaws_backends.torch.cpu")
    kl_divergence = importlib.import_module(f"layerlaws_backends.{name}.beta_vae").kl_divergence
    near_0 = np.concatenate([np.linspace(-1e-3, 1e-3, 20001), np.geomspace(1e-30, 1e-3, 1000)]).astype(dtype)[:, None]

    def divergence(log_variance: np.ndarray) -> np.ndarray:
        arrays = (np.zeros_like(log_variance), log_variance)
        found: np.ndarray = backend.to_numpy(kl_divergence(*map(backend.from_numpy, arrays)))
        return found

    assert divergence(near_0).min() >= 0
    assert divergence(-near_0).min() >= 0
    plain = (np.exp(near_0) - 1 - near_0) / 2
    assert plain.min() < 0, "the form with exp - 1 does fall below 0 here"
