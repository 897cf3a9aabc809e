"""Definitions are differentiated rightly, and no correct gradient lies outside its bound."""

from __future__ import annotations

import math
from collections.abc import Callable
from statistics import NormalDist
from typing import Any

import hypothesis
import numpy as np
import pytest

from layerlaws import Bounded, asbounded, catalogue, check, load_backend
from layerlaws.checking.reference import reference
from layerlaws.language.backend import Backend
from layerlaws.language.generic_laws import faults_of
from layerlaws.language.implementation import cast_to
from layerlaws.language.note import Case
from layerlaws.language.operations import Operation
from layerlaws.numerics.formats import format_of
from layerlaws.numerics.mathematics import affine, erf, gelu, layer_norm, log_softmax, sigmoid, softmax
from layerlaws.numerics.reverse_mode import straight_through, vjp


def gradient_of(function: Callable[[Any], Any], x: Any, cotangent: Any) -> Any:
    """The gradient of sum(cotangent * function(x)) by x."""
    return vjp(lambda x: function(x), {"x": x})[1](cotangent)["x"]


NORMAL = NormalDist()

GRID = np.array([-2.5, -1.0, -0.3, 0.2, 0.7, 1.9])

SMOOTH: list[tuple[str, Callable[[Any], Any], Callable[[float], float]]] = [
    ("exp", np.exp, math.exp),
    ("expm1", np.expm1, math.exp),
    ("log", lambda x: np.log(np.square(x)), lambda x: 2 / x),
    ("log1p", lambda x: np.log1p(np.square(x)), lambda x: 2 * x / (1 + x * x)),
    ("sqrt", lambda x: np.sqrt(np.square(x) + 1.0), lambda x: x / math.sqrt(x * x + 1)),
    ("tanh", np.tanh, lambda x: 1 / math.cosh(x) ** 2),
    ("erf", erf, lambda x: 2 / math.sqrt(math.pi) * math.exp(-x * x)),
    ("gelu", gelu, lambda x: NORMAL.cdf(x) + x * NORMAL.pdf(x)),
    ("sin", np.sin, math.cos),
    ("cos", np.cos, lambda x: -math.sin(x)),
    ("reciprocal", np.reciprocal, lambda x: -1 / x**2),
    ("divide", lambda x: (x + 1.0) / (np.square(x) + 2.0), lambda x: (2 - 2 * x - x * x) / (x * x + 2) ** 2),
    ("power", lambda x: x**2, lambda x: 2 * x),
    ("negative", lambda x: 3.0 - -x * x, lambda x: 2 * x),
    ("absolute", np.abs, lambda x: math.copysign(1, x)),
    ("maximum", lambda x: np.maximum(x, 0.5), lambda x: float(x > 0.5)),
    ("minimum", lambda x: np.minimum(0.5, x), lambda x: float(x < 0.5)),
    ("clip", lambda x: np.clip(x, -1.5, 0.5), lambda x: float(-1.5 < x < 0.5)),
    ("sigmoid", sigmoid, lambda x: 1 / (2 + math.exp(x) + math.exp(-x))),
    ("used twice", lambda x: x * np.exp(x) + x, lambda x: (1 + x) * math.exp(x) + 1),
]


@pytest.mark.parametrize(("function", "slope"), [row[1:] for row in SMOOTH], ids=[row[0] for row in SMOOTH])
@pytest.mark.parametrize("dtype", ["float64", "float32", "float16"])
def test_slopes_are_those_of_calculus(
    function: Callable[[Any], Any], slope: Callable[[float], float], dtype: str
) -> None:
    x = GRID.astype(dtype)
    exact = np.array([slope(float(number)) for number in x])
    gradient = gradient_of(function, asbounded(x), np.ones_like(x))
    assert (np.abs(gradient.value - exact) <= gradient.error).all()
    assert (gradient.error <= 200 * format_of(x).unit * (1 + np.abs(exact))).all()  # the bound says something
    plain = gradient_of(function, GRID, np.ones_like(GRID))
    double = gradient_of(function, asbounded(GRID), np.ones_like(GRID))
    assert (np.abs(plain - double.value) <= double.error).all()


LINEAR: list[tuple[str, Callable[[Any], Any], tuple[int, ...]]] = [
    ("index", lambda x: x[1:, ::2], (3, 4)),
    ("gather", lambda x: x[np.array([2, 0, 2])], (3, 4)),
    ("reshape", lambda x: x.reshape(2, -1), (3, 4)),
    ("transpose", lambda x: x.transpose(2, 0, 1), (2, 3, 4)),
    ("T", lambda x: x.T, (2, 3)),
    ("swapaxes", lambda x: np.swapaxes(x, 0, 1), (2, 3)),
    ("broadcast_to", lambda x: np.broadcast_to(x, (3, 2, 4)), (2, 1)),
    ("take", lambda x: np.take(x, [0, 0, 2], axis=1), (2, 3)),
    ("take_along_axis", lambda x: np.take_along_axis(x, np.array([[2, 0], [1, 1]]), 1), (2, 3)),
    ("pad", lambda x: np.pad(x, ((1, 0), (2, 3))), (2, 3)),
    ("pad with ones", lambda x: np.pad(x, ((1, 0), (2, 3)), constant_values=1.0), (2, 3)),
    ("reflect", lambda x: np.pad(x, ((1, 0), (2, 1)), mode="reflect"), (2, 3)),
    ("tril", np.tril, (3, 3)),
    ("repeat", lambda x: np.repeat(x, 3, axis=0), (2, 3)),
    ("windows", lambda x: np.lib.stride_tricks.sliding_window_view(x, 2, axis=0), (4, 3)),
    ("sum", lambda x: np.sum(x, axis=(0, 2)), (2, 3, 4)),
    ("sum of all", lambda x: x.sum(), (2, 3)),
    ("mean", lambda x: 3 * x.mean(axis=-1, keepdims=True), (2, 3)),
    ("cumsum", lambda x: np.cumsum(x, axis=1), (2, 3)),
    ("concatenate", lambda x: np.concatenate([x, np.ones((1, 2, 3)), 2 * x], axis=0), (1, 2, 3)),
    ("stack", lambda x: np.stack([x, x + x], axis=-1), (2, 3)),
    ("split", lambda x: np.split(x, [1, 2], axis=1)[2], (2, 4)),
    ("where", lambda x: np.where(np.tri(2, 3) > 0, x, 2 * x), (3,)),
    ("matmul", lambda x: np.arange(12.0).reshape(3, 4) @ x, (2, 4, 5)),
    ("shared matrix", lambda x: np.arange(24.0).reshape(2, 3, 4) @ x, (4, 5)),
    ("shared left", lambda x: x @ np.arange(24.0).reshape(2, 3, 4), (1, 5, 3)),
    ("vector", lambda x: np.arange(24.0).reshape(2, 3, 4) @ x, (4,)),
    ("vector left", lambda x: x @ np.arange(12.0).reshape(3, 4), (3,)),
]


@pytest.mark.parametrize(("function", "shape"), [row[1:] for row in LINEAR], ids=[row[0] for row in LINEAR])
def test_the_way_back_is_the_transpose(function: Callable[[Any], Any], shape: tuple[int, ...]) -> None:
    """f(x) - f(0) is J x, so <J x, y> = <x, JT y>; with small integers exactly."""
    generator = np.random.default_rng(0)
    x = generator.integers(-4, 5, shape) * 1.0
    result, pull = vjp(lambda x: function(x), {"x": x})
    y = generator.integers(-4, 5, np.shape(result)) * 1.0
    moved = result - function(np.zeros(shape))
    gradient = pull(y)["x"]
    assert gradient.shape == shape
    assert np.sum(moved * y) == np.sum(x * gradient)
    bounded = gradient_of(function, asbounded(x), y)
    assert (np.abs(bounded.value - gradient) <= bounded.error).all()


def test_a_kink_leaves_every_slope_between_open() -> None:
    gradient = gradient_of(lambda x: np.maximum(x, 0.0), asbounded(np.array([-1.0, 0.0, 1.0])), np.full(3, 8.0))
    low, high = gradient.value - gradient.error, gradient.value + gradient.error
    assert low[0] == high[0] == 0
    assert low[1] <= 0
    assert high[1] >= 8
    assert 8 - low[2] < 1e-14
    tied = gradient_of(lambda x: np.max(x, axis=-1), asbounded(np.array([3.0, 1.0, 3.0])), np.array(1.0))
    assert (tied.value - tied.error <= [0, 0, 0]).all()
    assert (tied.value + tied.error >= [1, 0, 1]).all()
    assert tied.error[1] == 0


def test_the_shift_of_a_softmax_leaves_no_trace_at_ties() -> None:
    """The maximum cancels, so that a tie must not widen anything."""
    x = asbounded(np.array([[1.0, 1.0, -2.0]]))
    for function in (softmax, log_softmax):
        gradient = gradient_of(function, x, np.array([[1.0, -3.0, 2.0]]))
        assert (gradient.error < 1e-13).all()


def test_an_adjoint_brings_its_error_along() -> None:
    x = asbounded(np.array([2.0, -3.0]))
    exact = gradient_of(np.square, x, np.ones(2))
    unsure = gradient_of(np.square, x, Bounded(np.ones(2), 0.25, x.format))
    np.testing.assert_array_equal(unsure.value, exact.value)
    assert (unsure.error >= 0.25 * np.abs(exact.value)).all()


def test_results_and_arguments_may_be_tuples() -> None:
    def function(layers: Any, shift: Any, count: int) -> Any:
        return layers[0] * shift + count, np.arange(count), layers[1]

    arguments = {"layers": (np.ones(2), np.zeros(3)), "shift": np.array(5.0), "count": 4}
    results, pull = vjp(function, arguments)
    assert results[1].tolist() == [0, 1, 2, 3]
    gradient = pull((np.array([1.0, 2.0]), np.zeros(4, int), np.array([7.0, 8.0, 9.0])))
    assert list(gradient) == ["layers", "shift"]
    assert [x.tolist() for x in gradient["layers"]] == [[5, 10], [7, 8, 9]]
    assert gradient["shift"].tolist() == 3


def test_an_empty_tuple_has_no_gradient() -> None:
    """Layers without tails: vjp and the gradient of torch both leave out an argument that holds no arrays."""
    arguments: dict[str, Any] = {"layers": (), "sizes": (3, 4), "shift": np.array([5.0])}
    _, pull = vjp(lambda layers, sizes, shift: shift * sizes[0] + sum(layers), arguments)
    assert {name: x.tolist() for name, x in pull(np.ones(1)).items()} == {"shift": [3]}
    torch = pytest.importorskip("torch")
    from layerlaws.torch import gradient

    native = {**arguments, "shift": torch.tensor([5.0])}
    found = gradient(lambda layers, sizes, shift: shift * sizes[0] + sum(layers), native, torch.ones(1))
    assert {name: x.tolist() for name, x in found.items()} == {"shift": [3]}


def test_a_repeated_operand_is_one_long_inner_product() -> None:
    """A shared matrix's gradient may be added up over batch and rows at once: n u |x|T|s| with n = B T."""
    x, s = (np.random.default_rng(k).standard_normal((50, 2, 3)).astype("float32") for k in (1, 2))
    w = np.zeros((3, 3), "float32")
    gradient = gradient_of(lambda w: x @ w, asbounded(w), s)
    size = np.einsum("bti,btj->ij", np.abs(x), np.abs(s), dtype=np.float64)
    assert (gradient.error >= 100 * 2.0**-24 * size).all()


STEPS: list[tuple[str, Callable[[Any, Any], Any]]] = [
    ("a product at each step", lambda w, x: sum(x[t] @ w for t in range(8))),
    ("a view at each step", lambda w, x: sum(x[t] @ w.T for t in range(8))),
    ("one view", lambda w, x: (lambda v: sum(x[t] @ v for t in range(8)))(w.T)),
    ("beside others", lambda w, x: sum(affine(x[t], w, np.zeros(1, "float32")) for t in range(8))),
    ("repeated over rows", lambda w, x: sum(x[t] * w for t in range(8))),
    ("gathered", lambda w, x: sum(x[t] * w[np.zeros(8, int)] for t in range(8))),
]


@pytest.mark.parametrize("function", [row[1] for row in STEPS], ids=[row[0] for row in STEPS])
def test_shares_of_several_uses_may_be_one_sum_in_any_order(function: Callable[[Any, Any], Any]) -> None:
    """Steps laid side by side are one sum of 64 terms; here 1 is followed by what float32 rounds away."""
    x = np.full((8, 8, 1), 2.0**-24, "float32")
    x[0, 0] = 1
    gradient = gradient_of(lambda w: function(w, x), asbounded(np.ones((1, 1), "float32")), np.ones((8, 1), "float32"))
    one_by_one = np.cumsum(x, dtype="float32")[-1]
    assert one_by_one == 1
    assert gradient.value.item() == 1 + 63 * 2.0**-24
    assert abs(one_by_one - gradient.value) <= gradient.error <= 70 * 2.0**-24


@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16"])
@pytest.mark.parametrize("seed", range(3))
def test_gradients_of_torch_lie_within_their_bounds(dtype: str, seed: int) -> None:
    torch = pytest.importorskip("torch")
    from layerlaws.torch import gradient, into, to_numpy

    functions: list[tuple[Any, Any, list[tuple[int, ...]]]] = [
        (
            lambda x, scale, shift: layer_norm(x, scale, shift, 1e-5),
            lambda x, scale, shift: torch.nn.functional.layer_norm(x, x.shape[-1:], scale, shift, 1e-5),
            [(5, 3, 8), (8,), (8,)],
        ),
        (
            lambda x, scale, shift: log_softmax(x * scale + shift),
            lambda x, scale, shift: torch.log_softmax(x * scale + shift, -1),
            [(4, 6), (6,), ()],
        ),
        (
            lambda x, scale, shift: np.maximum(x @ scale + shift, 0.0) * sigmoid(x @ scale),
            lambda x, scale, shift: torch.relu(x @ scale + shift) * torch.sigmoid(x @ scale),
            [(4, 2, 6), (6, 3), (3,)],
        ),
        (
            lambda x, scale, shift: np.tanh(x @ scale) @ shift,
            lambda x, scale, shift: torch.tanh(x @ scale) @ shift,
            [(4, 6), (6, 3), (3,)],
        ),
    ]
    generator = np.random.default_rng(seed)
    for definition, function, shapes in functions:
        arguments = {
            name: np.asarray(generator.standard_normal(shape) * 10.0 ** generator.uniform(-2, 1)).astype(
                format_of(dtype).dtype
            )
            for name, shape in zip(("x", "scale", "shift"), shapes, strict=True)
        }
        result, pull = vjp(definition, {name: asbounded(x) for name, x in arguments.items()})
        cotangent = generator.standard_normal(result.shape).astype(format_of(dtype).dtype)
        found = gradient(function, {n: into("cpu")(x) for n, x in arguments.items()}, into("cpu")(cotangent))
        for name, expected in pull(cotangent).items():
            assert (np.abs(to_numpy(found[name]).astype(np.float64) - expected.value) <= expected.error).all()


def _case(name: str) -> Case:
    return next(c for c in catalogue().cases if c.id == f"{name}.gradient_agrees_with_definition")


def test_the_law_holds_for_the_definition_and_not_for_its_fault() -> None:
    case = _case("masked_self_attention")
    whole = check(reference(catalogue(), dtypes=("float16", "float32", "float64")), case)
    assert whole.state == "held"
    assert all(0 < accuracy.worst < 1 for accuracy in whole.accuracy.values())
    fault = next(f for f in faults_of(case.operation) if case.law.name in f.breaks)
    assert check(reference(catalogue(), fault), case, shrink=False).state == "broken"


def test_the_law_holds_for_torch() -> None:
    pytest.importorskip("torch")
    verdict = check(load_backend("torch-cpu", catalogue()), _case("masked_self_attention"), seed=1)
    assert verdict.state == "held"


def test_a_backend_without_gradient_is_missing_not_failed() -> None:
    whole = reference(catalogue())
    bare = Backend(whole.name, whole.functions, whole.from_numpy, whole.to_numpy, whole.formats)
    assert check(bare, _case("masked_self_attention")).state == "missing"


@pytest.mark.parametrize("operation", catalogue().operations.values(), ids=lambda o: o.name)
def test_an_operation_says_rightly_whether_it_can_be_differentiated(operation: Operation) -> None:
    """On some input a float result has a slope that is not zero by some float argument, if and only if it says so."""
    assert operation.differentiable == any(_slopes(operation))


def _slopes(operation: Operation) -> list[bool]:
    found: list[bool] = []

    @hypothesis.settings(
        max_examples=10, derandomize=True, database=None, deadline=None, phases=[hypothesis.Phase.generate]
    )
    @hypothesis.given(operation.inputs)
    def look(inputs: dict[str, Any]) -> None:
        exact = {name: _exact(x) for name, x in cast_to(inputs, format_of("float64")).items()}
        results, pull = vjp(operation.definition, exact)
        cotangent = tuple(np.ones(np.shape(x)) for x in (results if isinstance(results, tuple) else (results,)))
        gradient = pull(cotangent if isinstance(results, tuple) else cotangent[0])
        parts = [part for x in gradient.values() for part in (x if isinstance(x, tuple) else (x,))]
        found.append(any(bool(np.any(np.abs(x.value) > x.error)) for x in parts))

    look()
    return found


def _exact(x: Any) -> Any:
    if isinstance(x, tuple):
        return tuple(map(_exact, x))
    return asbounded(x) if isinstance(x, np.ndarray) and x.dtype.kind == "f" else x


def test_a_fault_may_have_the_value_of_one_thing_and_the_gradient_of_another() -> None:
    arguments = {"x": np.array([2.0, 3.0])}
    value, pull = vjp(lambda x: straight_through(np.square(x), 5.0 * x), arguments)
    assert value.tolist() == [4.0, 9.0]
    assert pull(np.ones(2))["x"].tolist() == [5.0, 5.0]
    assert straight_through(1.0, 2.0) == 1.0


def test_variables_are_never_taken_for_plain_arrays() -> None:
    with pytest.raises(TypeError, match="Variable"):
        vjp(lambda x: np.linalg.norm(x), {"x": np.ones(3)})
    with pytest.raises(TypeError):
        vjp(lambda x: np.arctan(x, 2.0), {"x": Bounded(np.ones(3), 0.0, format_of("float32"))})
