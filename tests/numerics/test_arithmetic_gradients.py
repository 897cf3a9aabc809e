"""No correct gradient leaves the bound of the arithmetic it is computed in.

Gradients are written down by hand and run on emulated machines: inner products in one go or by shares that are each
kept, products fused with the sums over them or kept before.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from layerlaws.numerics import mathematics
from layerlaws.numerics.arithmetic import mixed
from layerlaws.numerics.bounded import asbounded
from layerlaws.numerics.formats import Format
from layerlaws.numerics.reverse_mode import vjp

from .emulation import Emulated, Machine, nearest
from .test_arithmetic import drawn, emulated, every_arithmetic, machines, share_used

ORDERS = ["forward", "reversed", "pairwise", "permuted", "8 lanes"]


def bounds(definition: Callable[..., Any], cotangent: Any, format: Format, **arguments: Any) -> dict[str, Any]:
    leaves = {name: asbounded(x, format) for name, x in arguments.items()}
    found: dict[str, Any] = vjp(definition, leaves)[1](cotangent)
    return found


def dot(a: Emulated, b: Emulated) -> Emulated:
    """sum(a b) over the first axis, in one go."""
    return Emulated(a.machine.kept(a.machine.dot(a.value, b.value)), a.machine)


def added_up(shares: list[Emulated]) -> Emulated:
    """Arrays that are kept, added up."""
    machine = shares[0].machine
    return Emulated(machine.kept(machine.total(np.stack([x.value for x in shares]))), machine)


@pytest.mark.parametrize("texture", ["normal", "spread", "alternating", "near overflow", "subnormal"])
@every_arithmetic
def test_products(format: Format, texture: str) -> None:
    """The weight is shared by the batch: one product over batch and rows."""
    g = np.random.default_rng(0)
    x, w = drawn(g, (3, 20, 17), format, texture), drawn(g, (17, 5), format)
    s = drawn(g, (3, 20, 5), format)
    bound = bounds(lambda x, w: x @ w, s, format, x=x, w=w)
    for machine in machines(format, ORDERS, (False, True)):
        X, W, S = (emulated(y, machine) for y in (x, w, s))
        with np.errstate(all="ignore"):
            share_used(S @ W.T, bound["x"])
            share_used(X.reshape(60, 17).T @ S.reshape(60, 5), bound["w"])


@pytest.mark.parametrize("count", [1, 2, 65, 512])
@every_arithmetic
def test_broadcast_operands(format: Format, count: int) -> None:
    g = np.random.default_rng(count)
    x, gain, shift = drawn(g, (count, 6), format), drawn(g, (6,), format), drawn(g, (6,), format)
    for texture in ("normal", "alternating"):
        s = drawn(g, (6, count), format, texture).T
        bound = bounds(lambda x, gain, shift: x * gain + shift, s, format, x=x, gain=gain, shift=shift)
        for machine in machines(format, ORDERS):
            X, S = emulated(x, machine), emulated(s, machine)
            with np.errstate(all="ignore"):
                share_used(np.sum(S, axis=0), bound["shift"])
                share_used(np.sum(S * X, axis=0), bound["gain"])
                if format.multiply is format.keep:
                    share_used(dot(S, X), bound["gain"])


@every_arithmetic
def test_gathers_that_repeat_rows(format: Format) -> None:
    """Rows that were looked up 0, 1, 2 and many times."""
    g = np.random.default_rng(0)
    ids = np.concatenate([np.full(64, 3), [0, 1, 1, 5]])
    table, s = drawn(g, (7, 4), format), drawn(g, (68, 4), format)
    once = bounds(lambda table: table[ids], s, format, table=table)["table"]
    squared = bounds(lambda table: table[ids] * table[ids], s, format, table=table)["table"]

    def scattered(rows: Emulated) -> Emulated:
        machine = rows.machine
        return Emulated(np.stack([machine.kept(machine.total(rows.value[ids == k])) for k in range(7)]), machine)

    for machine in machines(format, ORDERS):
        S = emulated(s, machine)
        share_used(scattered(S), once)
        product = S * emulated(table, machine)[ids]
        share_used(scattered(product + product), squared)


@every_arithmetic
def test_an_element_that_was_looked_up_once_is_not_rounded(format: Format) -> None:
    g = np.random.default_rng(0)
    x, s = drawn(g, (6, 4), format), drawn(g, (4, 6), format)
    bound = bounds(lambda x: x.T[[1, 0, 3, 2]].reshape(2, 12).swapaxes(0, 1), s.reshape(12, 2), format, x=x)["x"]
    if format.keep.precision <= format.accumulate.precision:
        assert not bound.error.any()


@pytest.mark.parametrize("steps", [2, 5, 20])
@pytest.mark.parametrize("texture", ["normal", "spread", "alternating"])
@every_arithmetic
def test_weights_shared_by_the_steps_of_a_recurrence(format: Format, steps: int, texture: str) -> None:
    """Shares kept one by one and then added up, or one inner product over all steps and the batch."""
    g = np.random.default_rng(steps)
    x = drawn(g, (steps, 6, 9), format, texture, 0.1 if texture == "alternating" else 1.0)
    w, s = drawn(g, (9, 9), format, scale=1 / 3), drawn(g, (6, 9), format)

    def recurrence(x: Any, w: Any) -> Any:
        state = x[0]
        for k in range(1, steps):
            state = x[k] + state @ w
        return state

    bound = bounds(recurrence, s, format, x=x, w=w)
    for machine in machines(format, ORDERS, (False, True)):
        W, adjoint = emulated(w, machine), emulated(s, machine)
        with np.errstate(all="ignore"):
            states = [emulated(x[0], machine)]
            for k in range(1, steps):
                states.append(emulated(x[k], machine) + states[-1] @ W)
            befores, afters = [], []
            for k in reversed(range(1, steps)):
                befores.append(states[k - 1])
                afters.append(adjoint)
                adjoint = adjoint @ W.T
            shares = [a.T @ b for a, b in zip(befores, afters, strict=True)]
            share_used(added_up(shares), bound["w"])
            tall, wide = (Emulated(np.concatenate([y.value for y in ys]), machine) for ys in (befores, afters))
            share_used(tall.T @ wide, bound["w"])
            share_used(adjoint, bound["x"][0])


def attention(q: Any, k: Any, v: Any) -> Any:
    """(n, d), (m, d), (m, e) -> (n, e)."""
    return mathematics.softmax((q @ k.swapaxes(0, 1)) * (1 / math.sqrt(q.shape[1]))) @ v


@pytest.mark.parametrize(("keys", "scale"), [(2, 1.0), (64, 1.0), (64, 3.0), (200, 0.1)])
@every_arithmetic
def test_attention(format: Format, keys: int, scale: float) -> None:
    """Softmax's inner sum as sum(P dP), or as sum(dO O) with the result as it was kept, or stored and read again."""
    g = np.random.default_rng(keys)
    q, k, v, s = (drawn(g, (n, 16), format, scale=scale) for n in (8, keys, keys, 8))
    factor = 1 / math.sqrt(16)
    bound = bounds(attention, s, format, q=q, k=k, v=v)
    for machine in machines(format, ["forward", "pairwise", "8 lanes"], (False, True)):
        Q, K, V, S = (emulated(y, machine) for y in (q, k, v, s))
        P = mathematics.softmax((Q @ K.T) * factor)
        share_used(P.T @ S, bound["v"])
        dP = S @ V.T
        kept = P @ V
        read = Emulated(nearest(format.store, kept.value), machine)
        for total in (P * dP, S * kept, S * read):
            inner = np.sum(total, axis=1, keepdims=True)
            dS = P * (dP - inner) * factor
            share_used(dS @ K, bound["q"])
            share_used(dS.T @ Q, bound["k"])


def shares_by_two_levels(format: Format, g: np.random.Generator, count: int, terms: int) -> tuple[Any, Any]:
    """Uses of one argument, whose shares are sums of many terms: what is added up, and the gradient's bound."""
    x = drawn(g, (4,), format)
    s = drawn(g, (count, terms, 4), format, "spread")

    def definition(x: Any) -> Any:
        return tuple(np.broadcast_to(x, (terms, 4)) * 1.0 for _ in range(count))

    return s, vjp(definition, {"x": asbounded(x, format)})[1](tuple(s))["x"]


@pytest.mark.parametrize(("count", "terms"), [(2, 64), (20, 64), (20, 1), (64, 8)])
@every_arithmetic
def test_sums_of_sums(format: Format, count: int, terms: int) -> None:
    """In one go, and by shares that are rounded to what is kept and then added up."""
    s, bound = shares_by_two_levels(format, np.random.default_rng(count), count, terms)
    for machine in machines(format, ORDERS):
        S = emulated(s, machine)
        share_used(np.sum(S, axis=(0, 1)), bound)
        share_used(np.sum(np.sum(S, axis=1), axis=0), bound)


def test_the_roundings_of_shares_are_counted_once_each() -> None:
    """Eight shares that are kept as bfloat16, all but u below what they were, and add up to nearly nothing: so that
    the roundings of the shares are nearly all of the error, and nearly all of the bound.
    """
    format = mixed("bfloat16", "float32", "bfloat16")
    u, little = format.unit_roundoff, 2.0**-15
    shares = [[1.0, u - little], [-1.0, -u - little]] * 4  # just below the middle of two numbers, and just beyond it
    s = np.broadcast_to(np.array(shares)[:, :, None], (8, 2, 4)).astype(format.dtype)
    x = asbounded(np.ones(4, format.dtype), format)
    bound = vjp(lambda x: tuple(np.broadcast_to(x, (2, 4)) for _ in range(8)), {"x": x})[1](tuple(s))["x"]
    kept = np.sum(np.sum(emulated(s, Machine.of(format)), axis=1), axis=0)
    assert share_used(kept, bound) > 0.95


@pytest.mark.parametrize("steps", [3, 8, 20])
def test_shares_added_up_in_half_precision_are_not_what_was_declared(steps: int) -> None:
    """Adding each share to a bfloat16 gradient rounds each partial sum: printed, how far that goes (pytest -rP)."""
    declared, said = mixed("bfloat16", "float32", "bfloat16"), mixed("bfloat16", "bfloat16", "bfloat16")
    s = drawn(np.random.default_rng(steps), (steps, 1, 2000), declared)
    x = drawn(np.random.default_rng(0), (2000,), declared)

    def definition(x: Any) -> Any:
        return tuple(x * 1.0 for _ in range(steps))

    total = np.asarray(s[0, 0], np.float64)
    for share in s[1:, 0]:
        total = nearest(declared.keep, total + share.astype(np.float64))
    refused = {}
    for format in (declared, said):
        bound = vjp(definition, {"x": asbounded(x, format)})[1](tuple(s[:, 0]))["x"]
        refused[format] = float(np.mean(np.abs(total - bound.value) > bound.error))
    print(f"{steps} shares: refused {refused[declared]:.2%} where float32 was declared, {refused[said]:.2%} else")
    assert refused[said] == 0
