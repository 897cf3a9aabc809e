"""Backends that take queries in blocks: the laws run at sizes of one block, so here the blocks are made smaller."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from layerlaws_backends.numpy import masked_attention, multi_head_attention, position_methods

LENGTHS = [(7, 7), (7, 10), (9, 4), (1, 5)]


def _inputs(length: int, keys: int, masked: bool) -> dict[str, Any]:
    draw = np.random.default_rng(0).standard_normal
    mask = draw((2, 3, length, keys)) > 0
    mask[:, :, 0] = False  # a query that sees nothing
    inputs = {"query": draw((2, 3, length, 4)), "key": draw((2, 3, keys, 4)), "value": draw((2, 3, keys, 5))}
    return {**inputs, "mask": mask if masked else None}


@pytest.mark.parametrize(("length", "keys"), LENGTHS)
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("rows", [1, 2, 3])
def test_blocks_of_queries_do_not_show(
    length: int, keys: int, masked: bool, rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    inputs = _inputs(length, keys, masked)
    tables = {"key_table": np.linspace(-1, 1, 20).reshape(5, 4), "value_table": np.linspace(-2, 1, 25).reshape(5, 5)}
    rng = np.random.default_rng(1)
    weights = {f"w_{name}": rng.standard_normal((4, 4)) for name in "qkvo"}
    biases = {f"b_{name}": rng.standard_normal(4) for name in "qkvo"}
    states = {"query": inputs["query"][:, 0], "key": inputs["key"][:, 0], "value": inputs["key"][:, 1]}
    mask = None if inputs["mask"] is None else inputs["mask"][:, 0]

    def results() -> list[Any]:
        found = [
            multi_head_attention.scaled_dot_product_attention(**inputs),
            *multi_head_attention.multi_head_attention(**states, **weights, **biases, num_heads=2, mask=mask),
            position_methods.relative_attention(**inputs, **tables),
        ]
        if length <= keys:
            found.append(masked_attention.masked_self_attention(inputs["query"], inputs["key"], inputs["value"]))
        return found

    whole = results()
    for module in (multi_head_attention, masked_attention, position_methods):
        monkeypatch.setattr(module, "_ROWS", rows)
    for one, other in zip(results(), whole, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("length", "keys"), LENGTHS)
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("reach", [0, 2, 12])
def test_blocks_of_queries_do_not_show_in_torch(
    length: int, keys: int, masked: bool, reach: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch = pytest.importorskip("torch")
    from layerlaws_backends.torch import position_methods as relative

    inputs = {name: x if x is None else torch.from_numpy(x) for name, x in _inputs(length, keys, masked).items()}
    tables = {
        "key_table": torch.randn(2 * reach + 1, 4).double(),
        "value_table": torch.randn(2 * reach + 1, 5).double(),
    }
    whole = relative.relative_attention(**inputs, **tables)
    monkeypatch.setattr(relative, "_ROWS", 2)
    torch.testing.assert_close(relative.relative_attention(**inputs, **tables), whole)
