"""No correct evaluation leaves the bound of the arithmetic it computes in: sums, products, compositions, recurrences.

Evaluations are emulated exactly: many orders of summation, with and without fused multiply-add, kept as declared or
in float32, which is more. What is off is measured from the value that the library goes by.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from layerlaws.numerics import mathematics
from layerlaws.numerics.arithmetic import Arithmetic, mixed
from layerlaws.numerics.bounded import Bounded, asbounded, stored
from layerlaws.numerics.formats import FORMATS, Format

from .emulation import EVALUATED, ORDERS, Emulated, Machine, chopped, nearest, permuted

pytest.importorskip("ml_dtypes")

FLOAT32 = FORMATS["float32"]

ARITHMETICS = [
    Arithmetic(store=store, accumulate=accumulate, keep=keep, multiply=multiply).format()
    for store, accumulate, keep, multiply in (
        ("float16", "float32", "float16", ""),
        ("float16", "float32", "float32", ""),
        ("float16", "float16", "float16", ""),
        ("bfloat16", "float32", "bfloat16", ""),
        ("bfloat16", "float32", "float32", ""),
        ("bfloat16", "bfloat16", "bfloat16", ""),
        ("bfloat16", "bfloat16", "float32", ""),
        ("bfloat16", "float32", "float32", "bfloat16"),
        ("float8_e4m3fn", "float32", "float32", ""),
        ("float8_e4m3fn", "bfloat16", "float16", ""),
        ("float8_e5m2", "float32", "float32", ""),
        ("float32", "float32", "float32", "tf32"),
        ("float32", "float32", "float32", "bf16x3"),
    )
]


def named(format: Format) -> str:
    parts = [format.store, format.accumulate, format.keep]
    return " ".join(f.name for f in [*parts, *([format.multiply] if format.multiply is not format.keep else [])])


every_arithmetic = pytest.mark.parametrize("format", ARITHMETICS, ids=named)


TEXTURES: dict[str, Callable[[np.random.Generator, tuple[int, ...], Format], Any]] = {
    "normal": lambda g, shape, f: g.standard_normal(shape),
    "spread": lambda g, shape, f: g.standard_normal(shape) * 2.0 ** g.uniform(-6, 6, shape),
    "ones": lambda g, shape, f: np.ones(shape),
    "alternating": lambda g, shape, f: (-1.0) ** np.arange(shape[-1]) * (100 + g.standard_normal(shape)),
    "near overflow": lambda g, shape, f: g.standard_normal(shape) * min(f.largest, f.keep.largest) / shape[-1] ** 0.5,
    "subnormal": lambda g, shape, f: g.integers(-9, 10, shape) * f.smallest_normal / 4,
}


def drawn(
    g: np.random.Generator, shape: tuple[int, ...], format: Format, texture: str = "normal", scale: float = 1.0
) -> Any:
    """Numbers of the storage format; those beyond it become its largest."""
    numbers = np.clip(TEXTURES[texture](g, shape, format) * scale, -format.largest, format.largest)
    return numbers.astype(format.dtype)


def in_all_textures(g: np.random.Generator, rows: int, count: int, format: Format) -> Any:
    """(len(TEXTURES) rows, count) numbers."""
    return np.concatenate([drawn(g, (rows, count), format, texture) for texture in TEXTURES])


def emulated(x: Any, machine: Machine) -> Emulated:
    return Emulated(np.asarray(x).astype(np.float64), machine)


def share_used(computed: Any, bound: Bounded) -> float:
    """The largest share of the bound that was used; fails where it was exceeded, kept or stored."""
    used = [_share_used(computed.value, bound)]
    with np.errstate(all="ignore"):
        used.append(_share_used(nearest(bound.format.store, computed.value), stored(bound)))
    return max(used)


def _share_used(computed: Any, bound: Bounded) -> float:
    assert computed.shape == bound.shape
    with np.errstate(all="ignore"):
        apart = np.where(computed == bound.value, 0.0, np.abs(computed - bound.value))
        silent = np.isinf(bound.error)
        share = np.where(silent | (apart == 0), 0.0, apart / np.where(bound.error > 0, bound.error, 1e-300))
    assert not np.isnan(share).any(), "no number, and the bound is finite"
    assert np.all((apart <= bound.error) | silent), f"{np.max(share):.4g} of the bound"
    return float(np.max(share, initial=0.0))


def machines(format: Format, orders: list[str], fused: tuple[bool, ...] = (False,)) -> list[Machine]:
    """Machines that keep to an arithmetic: those that keep arrays as declared, and in float32; one of libraries whose
    functions are off by as much as is allowed.
    """
    made = [Machine.of(format, order=ORDERS[name], fused=f) for name in orders for f in fused]
    made += [] if format.keep is FLOAT32 else [m.holding(FLOAT32) for m in made[:3]]
    return [*made, replace(made[0], evaluate=format.evaluate)]


def orders_for(count: int) -> list[str]:
    """All orders; of the longest sums, which take longest, the most different ones."""
    return list(ORDERS) if count <= 512 else ["forward", "blocks of 16"]


def fusions_for(count: int) -> tuple[bool, ...]:
    return (False, True) if count <= 65 else (True,)


COUNTS = pytest.mark.parametrize("count", [1, 2, 63, 64, 65, 512, 4096])


@COUNTS
@every_arithmetic
def test_no_order_of_summation_leaves_the_bound(format: Format, count: int) -> None:
    x = in_all_textures(np.random.default_rng(count), 3, count, format)
    bounded = asbounded(x, format)
    total, mean = np.sum(bounded, axis=-1), np.mean(bounded, axis=-1)
    for machine in machines(format, orders_for(count)):
        with np.errstate(all="ignore"):
            sums = np.sum(emulated(x, machine), axis=-1)
            share_used(sums, total)
            share_used(sums / float(count), mean)
            terms = np.moveaxis(x.astype(np.float64), -1, 0)
            share_used(Emulated(machine.kept(machine.total(terms) / count), machine), mean)


@pytest.mark.parametrize("count", [1, 2, 5])
def test_terms_wider_than_the_accumulator_are_rounded_to_it(count: int) -> None:
    format = mixed("bfloat16", "bfloat16", "float32")
    x = drawn(np.random.default_rng(count), (50, count), format)
    third = np.sum(asbounded(x, format) / 3.0, axis=-1)
    share_used(np.sum(emulated(x, Machine.of(format)) / 3.0, axis=-1), third)
    running = np.cumsum(asbounded(x, format) / 3.0, -1)
    share_used(np.cumsum(emulated(x, Machine.of(format)) / 3.0, -1), running)


@COUNTS
@every_arithmetic
def test_no_running_sum_leaves_the_bound(format: Format, count: int) -> None:
    x = in_all_textures(np.random.default_rng(count), 3, count, format)
    bound = np.cumsum(asbounded(x, format), -1)
    for machine in machines(format, ["forward"]):
        with np.errstate(all="ignore"):
            share_used(np.cumsum(emulated(x, machine), -1), bound)


@COUNTS
@every_arithmetic
def test_no_inner_product_leaves_the_bound(format: Format, count: int) -> None:
    g = np.random.default_rng(count)
    a, b = in_all_textures(g, 1, count, format), in_all_textures(g, 1, count, format).T
    bound = asbounded(a, format) @ asbounded(b, format)
    for machine in machines(format, orders_for(count), fusions_for(count)):
        with np.errstate(all="ignore"):
            share_used(emulated(a, machine) @ emulated(b, machine), bound)


@pytest.mark.parametrize("count", [1, 64, 512])
@pytest.mark.parametrize(
    ("multiply", "rounding"),
    [("tf32", nearest), ("tf32", chopped), ("bfloat16", nearest), ("bfloat16", chopped), ("bf16x3", nearest)],
)
def test_operands_may_be_rounded_or_chopped(multiply: str, rounding: Any, count: int) -> None:
    """Of float32 numbers; tensor cores drop the last bits of those that they take for tf32."""
    format = (
        mixed("float32", "float32", "float32", multiply)
        if multiply != "bfloat16"
        else mixed("bfloat16", "float32", "float32", multiply)
    )
    g = np.random.default_rng(count)
    a, b = in_all_textures(g, 1, count, format), in_all_textures(g, 1, count, format).T
    one, other = asbounded(a, format), asbounded(b, format)
    bound, twice = one @ other, (one / 3.0) @ other
    for order, fused in itertools.product(orders_for(count), fusions_for(count)):
        machine = Machine.of(format, order=ORDERS[order], fused=fused, operands=rounding)
        with np.errstate(all="ignore"):
            left, right = emulated(a, machine), emulated(b, machine)
            share_used(left @ right, bound)
            share_used((left / 3.0) @ right, twice)


def test_three_products_of_parts_are_added_up_for_one() -> None:
    """1, then 4,095 products that cancel in pairs, whose cross terms of 1.125 u each are rounded up to 2 u."""
    format = mixed("float32", "float32", "float32", "bf16x3")
    signs = (-1.0) ** np.arange(4095)
    second = 0.75 * 2.0**-16
    a = np.concatenate([[1.0], signs * 1.5 * 2.0**-8 + second]).astype(np.float32)[None]
    b = np.concatenate([[1.0], 1.5 * 2.0**-8 + signs * second]).astype(np.float32)[:, None]
    bound = asbounded(a, format) @ asbounded(b, format)
    machine = Machine.of(format)
    assert share_used(emulated(a, machine) @ emulated(b, machine), bound) > 0.3
    once = asbounded(a) @ asbounded(b)
    assert bound.error > 2 * once.error


@pytest.mark.parametrize("exponent", range(-126, -90, 4))
def test_second_parts_that_underflow_stay_within_the_bound(exponent: int) -> None:
    format = mixed("float32", "float32", "float32", "bf16x3")
    a = (np.random.default_rng(0).uniform(1, 2, (20, 3)) * 2.0**exponent).astype(np.float32)
    b = np.full((3, 1), 2.0**60, np.float32)
    machine = Machine.of(format)
    share_used(emulated(a, machine) @ emulated(b, machine), asbounded(a, format) @ asbounded(b, format))


@pytest.mark.parametrize("multiply", ["tf32", "bf16x3", "bfloat16"])
def test_stored_numbers_that_products_represent_lose_nothing(multiply: str) -> None:
    format, plain = mixed("bfloat16", "float32", "float32", multiply), mixed("bfloat16", "float32", "float32")
    a = drawn(np.random.default_rng(0), (8, 64), format)
    ways = [asbounded(a, f) @ asbounded(a.T, f) for f in (format, plain)]
    assert np.all(ways[0].error <= 3.05 * ways[1].error)


def test_where_the_format_that_is_kept_overflows_nothing_is_claimed() -> None:
    for accumulate in ("float32", "bfloat16"):
        format = mixed("float8_e4m3fn", accumulate, "float16")
        x = asbounded(np.full((1, 400), 448.0).astype(format.dtype), format)
        for result in (np.sum(x), np.cumsum(x, 1)[0, -1], x @ x.T):
            assert np.isinf(result.error).all()


def test_an_element_that_is_only_moved_is_not_rounded() -> None:
    format = mixed("bfloat16", "float32", "bfloat16")
    x = asbounded(drawn(np.random.default_rng(0), (5, 1), format), format)
    for result in (np.sum(x, axis=1), np.cumsum(x, 1), np.sum(x / 3.0, axis=1) - 0.0):
        assert np.all(result.error <= 3.1 * format.unit_roundoff * np.abs(result.value.reshape(result.shape)))
    assert not np.sum(x, axis=1).error.any()


# --- elementary functions ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("function", EVALUATED, ids=lambda f: f.__name__)
@every_arithmetic
def test_no_elementary_function_leaves_the_bound(format: Format, function: Any) -> None:
    """It is evaluated in the wider of the formats that sums are added up and arrays kept in, and then kept."""
    with np.errstate(all="ignore"):
        x = in_all_textures(np.random.default_rng(0), 1, 64, format)
        x = np.where(np.isfinite(function(x.astype(np.float64))), x, x.dtype.type(1))
        bound = function(asbounded(x, format))
        exact, worst = (
            share_used(function(emulated(x, Machine.of(format, evaluate=evaluate))), bound)
            for evaluate in (None, format.evaluate)
        )
    assert exact > (0.3 if format.evaluate is not format.keep else 0.05)
    assert worst > (0.3 if function is not np.sqrt else 0.5)


# --- compositions -----------------------------------------------------------------------------------------------


def softmax_by_reciprocal(x: Any) -> Any:
    raised = np.exp(x - np.max(x, axis=-1, keepdims=True))
    return raised * (1.0 / np.sum(raised, axis=-1, keepdims=True))


def layer_norm_by_reciprocal(x: Any, scale: Any, shift: Any, epsilon: float) -> Any:
    centred = x - np.mean(x, axis=-1, keepdims=True)
    root = 1.0 / np.sqrt(np.mean(centred * centred, axis=-1, keepdims=True) + epsilon)
    return centred * (root * scale) + shift


@pytest.mark.parametrize("count", [1, 2, 65, 512])
@every_arithmetic
def test_no_softmax_leaves_the_bound(format: Format, count: int) -> None:
    g = np.random.default_rng(count)
    x = np.concatenate([in_all_textures(g, 1, count, format), drawn(g, (2, count), format, scale=8)])
    bound = mathematics.softmax(asbounded(x, format))
    for machine in machines(format, ["forward", "pairwise", "8 lanes"]):
        with np.errstate(all="ignore"):
            share_used(mathematics.softmax(emulated(x, machine)), bound)
            share_used(softmax_by_reciprocal(emulated(x, machine)), bound)


@pytest.mark.parametrize("count", [1, 2, 65, 512])
@every_arithmetic
def test_no_layer_normalization_leaves_the_bound(format: Format, count: int) -> None:
    g = np.random.default_rng(count)
    x = np.concatenate([in_all_textures(g, 1, count, format), drawn(g, (2, count), format, scale=8)])
    arguments = (x, drawn(g, (count,), format), drawn(g, (count,), format))
    bound = mathematics.layer_norm(*(asbounded(y, format) for y in arguments), 1e-5)
    for machine in machines(format, ["forward", "pairwise", "8 lanes"]):
        for way in (mathematics.layer_norm, layer_norm_by_reciprocal):
            with np.errstate(all="ignore"):
                share_used(way(*(emulated(y, machine) for y in arguments), 1e-5), bound)


def elman(x: Any, weight: Any) -> Any:
    """(T, B, n), (n, n) -> (B, n): h = tanh(x + h W), from 0 on."""
    state = np.tanh(x[0])
    for step in range(1, x.shape[0]):
        state = np.tanh(x[step] + state @ weight)
    return state


def leaky(x: Any, weight: Any) -> Any:
    """The same without a function that forgets errors."""
    state = x[0]
    for step in range(1, x.shape[0]):
        state = x[step] + (state @ weight) * 0.5
    return state


@pytest.mark.parametrize("recurrence", [elman, leaky])
@pytest.mark.parametrize("steps", [5, 20])
@every_arithmetic
def test_no_recurrence_leaves_the_bound(format: Format, steps: int, recurrence: Callable[[Any, Any], Any]) -> None:
    g = np.random.default_rng(steps)
    for scale in (0.3, 1.0):
        x = drawn(g, (steps, 4, 24), format, scale=scale)
        weight = drawn(g, (24, 24), format, scale=scale / math.sqrt(24))
        bound = recurrence(asbounded(x, format), asbounded(weight, format))
        for machine in machines(format, ["forward", "pairwise", "permuted"], (False, True)):
            with np.errstate(all="ignore"):
                share_used(recurrence(emulated(x, machine), emulated(weight, machine)), bound)


def test_an_emulated_sum_is_rounded_as_numpy_rounds_it() -> None:
    """The machine itself, against NumPy's float32 and float16."""
    for name in ("float32", "float16"):
        format = FORMATS[name]
        g = np.random.default_rng(0)
        x = in_all_textures(g, 3, 64, format)
        with np.errstate(all="ignore"):
            total = x[:, 0]
            for k in range(1, 64):
                total = total + x[:, k]
            machine = Machine.of(format, order=ORDERS["forward"])
            np.testing.assert_array_equal(np.sum(emulated(x, machine), axis=-1).value, total.astype(np.float64))
    assert permuted(list(range(5)), lambda a, b: a + b) == 10
