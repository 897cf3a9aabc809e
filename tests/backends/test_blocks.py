"""Backends that take positions in blocks: the laws run at sizes of one block, so here the blocks are made smaller."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
import pytest

from layerlaws import catalogue, load_backend
from layerlaws.language.claims import settle
from layerlaws.language.generic_laws import agreement, gradient_agrees_with_definition
from layerlaws.language.implementation import Implementation
from layerlaws.numerics.formats import FORMATS
from layerlaws_backends.numpy import masked_attention, multi_head_attention, position_methods

LENGTHS = [(7, 7), (7, 10), (9, 4), (1, 5)]


def _hold(backend: str, operation: str, **arguments: Any) -> None:
    """The results are those of the definition, within its own bound. Raises Broken where they are not."""
    implementation = _offered(backend, operation)
    settle(agreement(implementation, implementation.results(**arguments), implementation.definition(**arguments)))


def _offered(backend: str, operation: str) -> Implementation:
    known = catalogue()
    return Implementation(known.operations[operation], load_backend(backend, known), FORMATS["float64"])


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

    for module in (multi_head_attention, masked_attention, position_methods):
        monkeypatch.setattr(module, "_ROWS", rows)
    _hold("numpy", "scaled_dot_product_attention", **inputs)
    _hold("numpy", "multi_head_attention", **states, **weights, **biases, num_heads=2, mask=mask)
    _hold("numpy", "relative_attention", **inputs, **tables)
    if length <= keys:
        _hold("numpy", "masked_self_attention", **{name: inputs[name] for name in ("query", "key", "value")})


@pytest.mark.parametrize(("length", "keys"), LENGTHS)
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("reach", [0, 2, 12])
def test_blocks_of_queries_do_not_show_in_torch(
    length: int, keys: int, masked: bool, reach: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("torch")
    from layerlaws_backends.torch import position_methods as relative

    draw = np.random.default_rng(2).standard_normal
    tables = {"key_table": draw((2 * reach + 1, 4)), "value_table": draw((2 * reach + 1, 5))}
    monkeypatch.setattr(relative, "_ROWS", 2)
    _hold("torch-cpu", "relative_attention", **_inputs(length, keys, masked), **tables)


@pytest.mark.parametrize("rows", [1, 2, 4, 6])
@pytest.mark.parametrize("backend", ["numpy", "torch-cpu"])
def test_blocks_of_positions_do_not_show(backend: str, rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    if backend == "torch-cpu":
        pytest.importorskip("torch")
    module = importlib.import_module(f"layerlaws_backends.{backend.partition('-')[0]}.feed_forward")
    draw = np.random.default_rng(3).standard_normal
    parts = {"w_1": draw((4, 8)), "b_1": draw(8), "w_2": draw((8, 4)), "b_2": draw(4)}
    monkeypatch.setattr(module, "_HIDDEN", rows * 8)
    _hold(backend, "feed_forward", x=draw((2, 3, 4)), **parts)
    if backend == "torch-cpu":
        settle(gradient_agrees_with_definition(_offered(backend, "feed_forward"), {"x": draw((2, 3, 4)), **parts}, 0))
