"""einsum and its kin: the values of NumPy, a bound that no order of contraction leaves, and that is not idle."""

from __future__ import annotations

import itertools
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from layerlaws.numerics.arithmetic import Arithmetic
from layerlaws.numerics.bounded import Bounded, asbounded
from layerlaws.numerics.contractions import CONTRACTIONS
from layerlaws.numerics.formats import FORMATS, Format
from layerlaws.numerics.rounding import MARGIN

ml_dtypes = pytest.importorskip("ml_dtypes")

EXTENTS = {"i": 2, "j": 3, "k": 4, "l": 2, "b": 2}

SUBSCRIPTS = [
    "ij,jk->ik", "ij,jk", "ij->ji", "ii", "ii->i", "ij->", "ij,kl->il", "i,i", "i,j->ij", "bij,bjk->bik", "ij,ij->",
    "...ij,...jk->...ik", "i...->...", "ij,jk,kl->il", "ij,jk,kl,li", "i,ij,j", "ij,jk,ik->", "ji,j", "ij,jk,k->i",
]  # fmt: skip

SPELLINGS: dict[Any, list[tuple[Any, tuple[tuple[int, ...], ...]]]] = {
    np.dot: [(np.dot, ((3,), (3,))), (np.dot, ((2, 3), (3,))), (np.dot, ((2, 3), (4, 3, 2))), (np.dot, ((), (3,)))],
    np.inner: [(np.inner, ((3,), (3,))), (np.inner, ((2, 3), (4, 3)))],
    np.vdot: [(np.vdot, ((2, 3), (3, 2)))],
    np.outer: [(np.outer, ((2,), (2, 2)))],
    np.tensordot: [(np.tensordot, ((2, 3, 4), (3, 4, 5))),
                   (lambda a, b: np.tensordot(a, b, ([0, 2], [1, -1])), ((2, 3, 4), (5, 2, 4))),
                   (lambda a, b: np.tensordot(a, b, 0), ((2,), (3,)))],
    np.einsum: [(lambda a, b: np.einsum("ij,jk", a, b), ((2, 3), (3, 2)))],
    np.trace: [(np.trace, ((3, 3),)), (lambda a: np.trace(a, 1, 1, 2), ((2, 3, 3),))],
}  # fmt: skip

NEWER = {"vecdot": ((2, 3), (2, 3)), "matvec": ((2, 3), (3,)), "vecmat": ((3,), (3, 2))}
"""Functions that came with NumPy 2."""

SPELLINGS.update({f: [(f, NEWER[name])] for name in NEWER if (f := getattr(np, name, None)) is not None})


@pytest.fixture(params=FORMATS)
def format(request: pytest.FixtureRequest) -> Format:
    return FORMATS[request.param]


def test_every_function_is_tested() -> None:
    assert set(CONTRACTIONS) <= set(SPELLINGS)


@pytest.mark.parametrize(("function", "shapes"), [case for cases in SPELLINGS.values() for case in cases])
def test_values_are_those_of_numpy_and_lie_in_the_bound(function: Any, shapes: Any) -> None:
    g = np.random.default_rng(0)
    arrays = [g.standard_normal(shape).astype(np.float32) for shape in shapes]
    result = function(*(asbounded(x) for x in arrays))
    plain = function(*arrays)
    assert result.shape == plain.shape
    assert np.all(np.abs(result.value - plain) <= result.error)
    assert np.all(result.error < 20 * 2.0**-24 * function(*(np.abs(x) for x in arrays)))
    one = function(asbounded(arrays[0]), *arrays[1:])
    np.testing.assert_array_equal(one.error, result.error)


def operands_of(subscripts: str, g: np.random.Generator, format: Format, texture: str) -> list[Any]:
    inputs = subscripts.partition("->")[0].replace("...", "b").split(",")
    shapes = [tuple(EXTENTS[c] for c in s) for s in inputs]
    draw = {
        "ordinary": lambda s: g.standard_normal(s),
        "spread": lambda s: g.standard_normal(s) * 2.0 ** g.uniform(-8, 3, s),
        "integers": lambda s: g.integers(-3, 4, s),
        "small": lambda s: g.standard_normal(s) * 2.0**-9,
    }[texture]
    return [np.asarray(draw(s), np.float64).astype(format.dtype) for s in shapes]


def rounded_to(x: Fraction, format: Format, flush: bool) -> Fraction:
    """The nearest number of the format; what is below the normal ones may be flushed."""
    if flush and abs(x) < Fraction(format.smallest_normal):
        return Fraction(0)
    if not x:
        return x
    exponent = (abs(x).numerator.bit_length() - abs(x).denominator.bit_length()) - format.precision
    step = Fraction(2) ** max(exponent, int(np.log2(format.smallest_normal)) - format.precision + 1)
    return round(x / step) * step


def contracted(
    inputs: list[str], output: str, arrays: list[Any], order: list[int], accumulate: Format, keep: Format, flush: bool
) -> Any:
    """Pair by pair in this order, each inner product added up term by term, and what is between stored."""
    names, tensors = list(inputs), list(arrays)
    while len(tensors) > 1 or set(names[0]) != set(output) or len(names[0]) != len(output):
        if len(tensors) > 1:
            first = order[len(tensors) - 2] % len(tensors)
            one, a = names.pop(first), tensors.pop(first)
            other, b = names.pop(-1), tensors.pop(-1)
        else:
            (one, a), (other, b) = (names.pop(), tensors.pop()), ("", None)
        needed = set(output).union(*names)
        left = sorted(set(one + other) & needed)
        summed = sorted(set(one + other) - needed)
        extents = {c: n for s, x in ((one, a), (other, b)) if x is not None for c, n in zip(s, x.shape, strict=True)}
        result = np.empty([extents[c] for c in left], object)
        for place in np.ndindex(*result.shape):
            total = None
            for terms in itertools.product(*(range(extents[c]) for c in summed)):
                at = {**dict(zip(left, place, strict=True)), **dict(zip(summed, terms, strict=True))}
                term = a[tuple(at[c] for c in one)]
                if b is not None:
                    term = rounded_to(term * b[tuple(at[c] for c in other)], accumulate, flush)
                total = term if total is None else rounded_to(total + term, accumulate, flush)
            result[place] = rounded_to(Fraction(0) if total is None else total, keep, flush)
        names.append("".join(left))
        tensors.append(result)
    (name,), (tensor,) = names, tensors
    return np.transpose(tensor, [name.index(c) for c in output]) if output else tensor


def moved(x: Bounded, g: np.random.Generator) -> Any:
    """Exact numbers at the ends of their errors."""
    signs = g.choice([-1, 1, 0], x.shape)
    exact = [
        Fraction(float(v)) + int(s) * Fraction(float(e))
        for v, e, s in zip(x.value.flat, x.error.flat, signs.flat, strict=True)
    ]
    return np.array([*exact, None], object)[:-1].reshape(x.shape)


@pytest.mark.parametrize("keep", ["", "float32"])
@pytest.mark.parametrize("name", ["float32", "float16", "bfloat16"])
@pytest.mark.parametrize("subscripts", [s for s in SUBSCRIPTS if "..." not in s and "ii" not in s])
def test_no_order_of_contraction_leaves_the_bound(subscripts: str, name: str, keep: str) -> None:
    format = Arithmetic(keep=keep).format(name)
    inputs = subscripts.partition("->")[0].split(",")
    implied = "".join(sorted(c for c in set("".join(inputs)) if "".join(inputs).count(c) == 1))
    output = subscripts.partition("->")[2] if "->" in subscripts else implied
    claimed = 0

    @settings(deadline=None, derandomize=True, database=None, max_examples=8)
    @given(
        st.integers(0, 2**32 - 1),
        st.sampled_from(["ordinary", "spread", "integers", "small"]),
        st.booleans(),
        st.booleans(),
    )
    def holds(seed: int, texture: str, certain: bool, flush: bool) -> None:
        nonlocal claimed
        g = np.random.default_rng(seed)
        parts = [asbounded(x, format) for x in operands_of(subscripts, g, format, texture)]
        if not certain:
            parts = [Bounded(x.value, np.abs(x.double) * g.choice([0.0, 1e-7, 0.01, 0.5]), format) for x in parts]
        result = np.einsum(subscripts, *parts)
        arrays = [moved(x, g) for x in parts]
        order = [int(k) for k in g.integers(0, 4, 4)]
        computed = contracted(inputs, output, arrays, order, format.accumulate, format.keep, flush)
        for value, error, x in zip(result.value.flat, result.error.flat, np.ravel(computed), strict=True):
            if np.isfinite(error):
                claimed += 1
                assert abs(x - Fraction(float(value))) <= Fraction(float(error)), (order, texture)

    holds()
    assert claimed > 4


@pytest.mark.parametrize("subscripts", SUBSCRIPTS)
def test_einsum_has_the_values_of_numpy_and_a_bound_that_is_not_idle(subscripts: str, format: Format) -> None:
    """With N terms of k factors at most N + k - 2 roundings are counted, of sizes that cancel: 48 terms of 4 factors
    are the most here, and half formats store three times between. In float32 NumPy's own
    result uses a thousandth of the bound on the worst element, and more.
    """
    arrays = operands_of(subscripts, np.random.default_rng(1), format, "ordinary")
    result = np.einsum(subscripts, *(asbounded(x) for x in arrays))
    plain = np.einsum(subscripts, *(x.astype(np.float64) for x in arrays))
    assert result.shape == plain.shape
    in_double = np.einsum(subscripts, *(asbounded(x.astype(np.float64)) for x in arrays))
    assert np.all(np.abs(result.value - plain) <= in_double.error)
    sizes = np.einsum(subscripts, *(np.abs(x.astype(np.float64)) for x in arrays))
    counted = 96 + 4 * len(arrays)
    assert np.all(
        result.error <= counted * format.unit * sizes + 1e-300 + 1e5 * format.smallest_normal * (len(arrays) > 2)
    )
    if format.name == "float32":
        computed = np.einsum(subscripts, *arrays)
        apart = np.abs(computed - result.value)
        assert np.all(apart <= result.error)
        if len(arrays) > 1 and apart.max():
            assert np.max(apart / result.error) > 1e-3


def test_one_inner_product_over_all_summed_indices() -> None:
    x = np.ones((4, 8), np.float32)
    for subscripts, terms, count in (("ij,ij->", 32, 2), ("ij,ij->i", 8, 2), ("ij->", 31, 1)):
        error = np.einsum(subscripts, *[asbounded(x)] * count).error
        size = np.einsum(subscripts, *[x] * count)
        lost = terms * FORMATS["float32"].unit
        gamma = lost / (1 - lost)  # Higham 2002, lemma 3.1
        assert np.all((lost * size <= error) & (error <= gamma * size * MARGIN))


def test_products_that_may_overflow_are_not_claimed() -> None:
    x = asbounded(np.full((2, 2), 1e30, np.float32))
    assert np.isinf(np.einsum("ij,jk->ik", x, x).error).all()
    small = asbounded(np.full((2, 2), 1e-30, np.float32))
    assert np.isinf(np.einsum("ij,jk,kl->il", x, x, small).error).all(), "in one of the orders"
    assert np.isfinite(np.einsum("ij,jk->ik", x, small).error).all()
    holes = asbounded(np.array([[np.nan, 1.0], [1.0, 1.0]], np.float32))
    result = np.einsum("ij,jk->ik", holes, holes)
    assert np.array_equal(np.isnan(result.value), [[True, True], [True, False]])
    assert np.isfinite(result.error).all()


@pytest.mark.parametrize(
    ("subscripts", "shapes", "told"),
    [
        ("ij,jk", [(2, 3)], "is for 2 operands, and 1 were given"),
        ("ijk", [(2, 3)], r"operand has shape \(2, 3\), expected 3 axes"),
    ],
)
def test_subscripts_that_do_not_fit_are_told(subscripts: str, shapes: Any, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        np.einsum(subscripts, *(asbounded(np.ones(s)) for s in shapes))
    with pytest.raises(ValueError, match=r"tensordot sums over extents \[3\] of the first operand and \[4\]"):
        np.tensordot(asbounded(np.ones((2, 3))), np.ones((4, 2)), 1)


def test_operands_rounded_before_they_are_multiplied() -> None:
    x = np.full((2, 4), 1 / 3, np.float32)
    format = Arithmetic(multiply="tf32").format("float32")
    plain, tensor = (np.einsum("ij,kj->ik", *[asbounded(x, f)] * 2) for f in (FORMATS["float32"], format))
    assert np.all(tensor.error > plain.error * 100)
    np.testing.assert_array_equal(tensor.error, (asbounded(x, format) @ asbounded(x.T, format)).error)
