"""Modules of torch.nn, and of tutorials, held to operations by `layerlaws.torch.from_module`."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from layerlaws.backends import load_backend
from layerlaws.checking.check import check
from layerlaws.discovery import catalogue
from layerlaws.language.backend import Backend
from layerlaws.numerics.formats import formats_named
from layerlaws.support.errors import WrongUse
from layerlaws.support.sources import Sources

torch = pytest.importorskip("torch")

from layerlaws import torch as bridge  # noqa: E402

nn = torch.nn
Made = dict[str, Any]


class Tutorial(nn.Module):
    """Multi-head attention with four linear layers; returns its output only."""

    fill = -1e9

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        assert width % heads == 0
        self.heads = heads
        self.q, self.k, self.v, self.o = (nn.Linear(width, width) for _ in range(4))

    def split(self, x: Any) -> Any:
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)

    def weights(self, query: Any, key: Any, mask: Any) -> Any:
        q, k = self.split(self.q(query)), self.split(self.k(key))
        scores = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])
        if mask is None:
            return torch.softmax(scores, -1)
        return torch.softmax(scores.masked_fill(~mask[:, None], self.fill), -1)

    def forward(self, query: Any, key: Any, value: Any, mask: Any) -> Any:
        mixed = self.weights(query, key, mask) @ self.split(self.v(value))
        return self.o(mixed.transpose(1, 2).flatten(2))


class Careful(Tutorial):
    """Weights 0 where a query sees nothing, and both results."""

    fill = -math.inf

    def weights(self, query: Any, key: Any, mask: Any) -> Any:
        if mask is None:
            return super().weights(query, key, mask)
        seeing = mask.any(-1, keepdim=True)
        return super().weights(query, key, mask | ~seeing) * seeing[:, None]

    def forward(self, query: Any, key: Any, value: Any, mask: Any) -> Any:
        return self.weights(query, key, mask), super().forward(query, key, value, mask)


LINEARS = {
    f"{name}.{kind}": bridge.transposed(f"w_{name}") if kind == "weight" else f"b_{name}"
    for name in "qkvo"
    for kind in ("weight", "bias")
}


def attention(module: Any = Tutorial, **changed: Any) -> Callable[..., Any]:
    described: Made = {
        "build": lambda query, num_heads: module(query.shape[-1], num_heads),
        "parameters": LINEARS,
        "call": lambda module, query, key, value, mask: module(query, key, value, mask),
        "results": ["output"],
    }
    return bridge.from_module("multi_head_attention", **{**described, **changed})


def verdicts(operation: str, function: Callable[..., Any], dtypes: tuple[str, ...] = ("float32",)) -> dict[str, Any]:
    """The verdict on every law of one operation alone, by the law's name; bits that differ are no matter here."""
    backend = Backend(
        "mine", {operation: function}, bridge.from_numpy, bridge.to_numpy, formats_named(dtypes), bridge.gradient
    )
    of_one = [case for case in catalogue().cases if [o.name for o in case.operations] == [operation]]
    cases = [case for case in of_one if case.law.kind != "exact"]
    return {case.law.name: check(backend, case, profile="quick") for case in cases}


def test_a_module_that_returns_its_output_only_is_held_to_the_laws_of_its_output() -> None:
    found = verdicts("multi_head_attention", attention())
    missing = {name for name, verdict in found.items() if verdict.state == "missing"}
    assert "weights_are_shares" in missing
    assert "a_head_knows_only_its_own_columns" in missing
    assert all(found[name].reason == "Tutorial does not return weights" for name in missing)
    held = {name for name, verdict in found.items() if verdict.state == "held"}
    assert {"agrees_with_definition", "gradient_agrees_with_definition", "leaves_its_inputs_alone"} <= held
    assert {"batches_are_independent", "the_order_of_heads_does_not_matter"} <= held
    # Its fill of -1e9 lets a query that sees nothing look everywhere: seen in the output alone.
    broken = {name for name, verdict in found.items() if verdict.state not in ("held", "missing")}
    assert broken == {"a_query_that_sees_nothing_gets_the_output_bias"}


def test_a_wrong_output_is_seen_without_the_weights() -> None:
    class Unscaled(Tutorial):
        def split(self, x: Any) -> Any:
            return super().split(x) * 1.01

    found = verdicts("multi_head_attention", attention(Unscaled))
    assert found["agrees_with_definition"].state == "broken"
    assert found["gradient_agrees_with_definition"].state == "broken"
    assert found["weights_are_shares"].state == "missing"


def test_results_in_another_order_are_put_in_the_operations_order() -> None:
    found = verdicts("multi_head_attention", attention(Careful, results=["weights", "output"]), ("float32", "float64"))
    assert {verdict.state for verdict in found.values()} == {"held"}


def test_packed_projections_of_torch_hold() -> None:
    names = ("w_q", "w_k", "w_v")
    function = bridge.from_module(
        "multi_head_attention",
        build=lambda query, num_heads: nn.MultiheadAttention(query.shape[-1], num_heads, batch_first=True),
        parameters={
            "in_proj_weight": bridge.packed(*map(bridge.transposed, names)),
            "in_proj_bias": bridge.packed("b_q", "b_k", "b_v"),
            "out_proj.weight": bridge.transposed("w_o"),
            "out_proj.bias": "b_o",
        },
        call=lambda module, query, key, value, mask, num_heads: module(
            query,
            key,
            value,
            attn_mask=None if mask is None else ~mask.repeat_interleave(num_heads, 0),
            average_attn_weights=False,
        ),
    )
    found = verdicts("multi_head_attention", function)
    unheld = {name for name, verdict in found.items() if verdict.state != "held"}
    blind = "a_query_that_sees_nothing_gets_the_output_bias", "gradients_are_finite_where_a_query_sees_nothing"
    assert unheld == {*blind}  # https://github.com/pytorch/pytorch/issues/41508


class FourGates(nn.Module):
    """An LSTM with a layer per gate, whose matrices the operation has side by side."""

    def __init__(self, inputs: int, units: int) -> None:
        super().__init__()
        self.x = nn.ModuleList(nn.Linear(inputs, units) for _ in range(4))
        self.h = nn.ModuleList(nn.Linear(units, units, bias=False) for _ in range(4))

    def forward(self, steps: Any, hidden: Any, cell: Any) -> Any:
        outputs = []
        for x in steps.unbind(1):
            i, f, g, o = (own(x) + past(hidden) for own, past in zip(self.x, self.h, strict=True))
            cell = torch.sigmoid(f) * cell + torch.sigmoid(i) * torch.tanh(g)
            hidden = torch.sigmoid(o) * torch.tanh(cell)
            outputs.append(hidden)
        return [torch.stack(outputs, 1) if outputs else steps.new_zeros(len(steps), 0, cell.shape[1]), hidden, cell]


def test_split_gates_hold() -> None:
    gates: Made = {}
    for gate in range(4):
        gates[f"x.{gate}.weight"] = bridge.transposed(bridge.split("w_x", gate, of=4, dim=1))
        gates[f"h.{gate}.weight"] = bridge.split(bridge.transposed("w_h"), gate, of=4)
        gates[f"x.{gate}.bias"] = bridge.split("bias", gate, of=4)
    function = bridge.from_module(
        "lstm",
        build=lambda x, hidden: FourGates(x.shape[-1], hidden.shape[-1]),
        parameters=gates,
        call=lambda module, x, hidden, cell: module(x, hidden, cell),
    )
    found = verdicts("lstm", function)
    assert found["agrees_with_definition"].state == found["gradient_agrees_with_definition"].state == "held"
    arguments = {"x": torch.ones(1, 2, 3), "hidden": torch.ones(1, 2), "cell": torch.ones(1, 2)}
    with pytest.raises(ValueError, match="w_x has extent 9, which 4 does not divide"):
        function(**arguments, w_x=torch.ones(3, 9), w_h=torch.ones(2, 8), bias=torch.ones(8))


class Ruled(nn.Module):
    """Feed-forward with a buffer: a constant that it makes itself."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(width, hidden), nn.Linear(hidden, width)
        self.register_buffer("one", torch.ones(()), persistent=False)

    def forward(self, x: Any) -> Any:
        return self.second(torch.relu(self.first(x))) * self.one


WEIGHTS: Made = {
    "first.weight": bridge.transposed("w_1"), "first.bias": "b_1",
    "second.weight": bridge.transposed("w_2"), "second.bias": "b_2", "one": bridge.as_built,
}  # fmt: skip


def feed_forward(parameters: Made = WEIGHTS, **changed: Any) -> Callable[..., Any]:
    described: Made = {"build": lambda w_1: Ruled(*w_1.shape), "call": lambda module, x: module(x)}
    return bridge.from_module("feed_forward", parameters=parameters, **{**described, **changed})


@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16"])
def test_buffers_as_built_follow_the_dtype_of_the_call(dtype: str) -> None:
    found = verdicts("feed_forward", feed_forward(), (dtype,))
    assert {verdict.state for verdict in found.values()} == {"held"}


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"parameters": {k: v for k, v in WEIGHTS.items() if k != "one"}}, "does not give: one; say in `parameters`"),
        (
            {"parameters": {k: v for k, v in WEIGHTS.items() if "first" not in k}, "call": lambda m, x, b_1: m(x)},
            r"Ruled has .* that from_module\('feed_forward'\) does not give: first.weight, first.bias; say in",
        ),
        ({"parameters": {**WEIGHTS, "third.bias": "b_2"}}, "no parameter or buffer of Ruled called 'third.bias'; did"),
        ({"parameters": {**WEIGHTS, "first.bias": "b_3"}}, "no argument of feed_forward .* called 'b_3'; did you mean"),
        ({"parameters": {**WEIGHTS, "first.bias": bridge.as_built}}, "nothing uses b_1 of feed_forward"),
        (
            {"parameters": {**WEIGHTS, "first.bias": bridge.as_built}, "call": lambda m, x, b_1: m(x)},
            "first.bias of Ruled is a parameter: as_built is for buffers only",
        ),
        ({"parameters": {**WEIGHTS, "one": 1.0}}, "1.0 gives no tensor: name an argument"),
        ({"call": lambda module, inputs: module(inputs)}, "no argument of feed_forward .* called 'inputs'"),
        ({"build": Ruled}, "no argument of feed_forward .* called 'hidden'"),
        ({"results": ["weights"]}, "no result of feed_forward .* called 'weights'"),
    ],
)
def test_what_is_described_wrongly_is_refused_when_the_backend_is_loaded(changed: Made, said: str) -> None:
    with pytest.raises(WrongUse, match=said):
        feed_forward(**changed)


def test_an_operation_that_does_not_exist_and_a_part_that_does_not_exist_are_refused() -> None:
    with pytest.raises(WrongUse, match="did you mean feed_forward"):
        bridge.from_module("feed_foward", build=Ruled, parameters={}, call=lambda module: module)
    with pytest.raises(WrongUse, match="of 3 parts, counted from 0, there is no 3"):
        bridge.split("w_x", 3, of=3)


def test_a_parameter_of_another_shape_is_named_with_both_shapes() -> None:
    upright = feed_forward({**WEIGHTS, "first.weight": "w_1"})
    sizes = {"x": (1, 1, 2), "w_1": (2, 3), "b_1": (3,), "w_2": (3, 2), "b_2": (2,)}
    with pytest.raises(ValueError, match=r"w_1 has shape \(2, 3\), but first.weight of Ruled has \(3, 2\); is it tra"):
        upright(**{name: torch.ones(shape) for name, shape in sizes.items()})


def test_a_result_too_few_is_an_error_that_says_what_to_do() -> None:
    found = verdicts("multi_head_attention", attention(results=[]))
    said = "Tutorial returned 1 results, not 2 (output, weights): name in `results`"
    assert said in found["agrees_with_definition"].reason


def test_state_that_a_module_keeps_between_calls_is_seen() -> None:
    class Counting(Ruled):
        calls = 0

        def forward(self, x: Any) -> Any:
            self.calls += 1
            return super().forward(x) * self.calls

    found = verdicts("feed_forward", feed_forward(build=lambda w_1: Counting(*w_1.shape)))
    assert found["answers_the_same_twice"].state == "broken"


def test_tied_parameters_are_given_under_one_name() -> None:
    class Tied(nn.Module):
        def __init__(self, width: int, vocabulary: int) -> None:
            super().__init__()
            self.table = nn.Embedding(vocabulary, width)
            self.out = nn.Linear(width, vocabulary, bias=False)
            self.out.weight = self.table.weight

        def forward(self, query: Any, keys: Any) -> Any:
            return self.out(query)

    function = bridge.from_module(
        "dot_score",
        build=lambda keys: Tied(keys.shape[-1], keys.shape[-2]),
        parameters={"table.weight": lambda keys: keys[0]},
        call=lambda module, query, keys: module(query, keys),
    )
    query, keys = torch.ones(1, 2, 3), torch.arange(12.0).reshape(1, 4, 3)
    assert torch.equal(function(query=query, keys=keys), query @ keys.mT)


FILE = """
from torch import nn
from layerlaws.torch import from_module, from_numpy, gradient, to_numpy, transposed

feed_forward = from_module(
    "feed_forward",
    build=lambda w_1: nn.Sequential(nn.Linear(*w_1.shape), nn.ReLU(), nn.Linear(*w_1.shape[::-1])),
    parameters={
        "0.weight": transposed("w_1"), "0.bias": "b_1",
        "2.weight": transposed("w_2"), "2.bias": "b_2",
    },
    call=lambda module, x: module(x),
)
"""


def test_another_version_of_the_file_is_told_apart(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    digests = set()
    for text in (FILE, FILE.replace("nn.ReLU", "nn.GELU"), FILE):
        file.write_text(text, encoding="utf-8")
        with Sources() as sources:
            load_backend(str(file), catalogue(), sources)
        digests.add(next(digest for name, digest in sources.files.items() if name.endswith("mine")))
    assert len(digests) == 2


def test_without_torch_the_error_says_what_to_install() -> None:
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "import layerlaws\n"
        "try:\n    import layerlaws.torch\n"
        "except ModuleNotFoundError as error:\n    print(error, error.name)\n"
        "layerlaws.load_backend('torch-cpu', layerlaws.catalogue())\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONPATH": ":".join(sys.path)}, capture_output=True, text=True, check=True
    )
    assert run.stdout == "layerlaws.torch needs PyTorch: pip install 'layerlaws[torch]' torch\n"


def test_gradients_leave_out_results_that_are_no_tensors() -> None:
    x = torch.tensor([3.0])
    found = bridge.gradient(lambda x: (x * x, NotImplementedError("no second")), {"x": x}, (torch.ones(1), None))
    assert found["x"].tolist() == [6]
    assert np.array_equal(bridge.to_numpy(bridge.into("cpu")(np.ones(2, "float32"))), np.ones(2))
