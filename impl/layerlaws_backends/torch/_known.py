"""Known deviations of PyTorch's own functions, wherever a backend calls them."""

from __future__ import annotations

from layerlaws import Known

HIDDEN_KEYS = Known(
    "a hidden score is what the key gives plus -inf, which is not a number where the key is none",
    "https://github.com/pytorch/pytorch/issues/101967",
    rare=True,
)
"""What F.scaled_dot_product_attention does with hidden keys that are not numbers; not all of its kernels do."""
