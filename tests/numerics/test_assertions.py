"""The tolerance of any numeric test: what `bound` claims, what `assert_within` says, and what is refused by name."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from layerlaws import Arithmetic, Undecidable, assert_within, bound
from layerlaws.numerics import mathematics
from layerlaws.numerics.formats import FORMATS
from layerlaws.numerics.rounding import MARGIN

ml_dtypes = pytest.importorskip("ml_dtypes")

G = np.random.default_rng(0)
X = G.standard_normal((3, 5)).astype(np.float32)


def test_value_and_error_of_a_plain_function() -> None:
    value, error = bound(np.matmul, X, X.T)
    assert type(value) is type(error) is np.ndarray
    assert value.dtype == error.dtype == np.float64
    sizes = np.abs(X.astype(np.float64)) @ np.abs(X.T.astype(np.float64))
    lost = 5 * 2.0**-24
    gamma = lost / (1 - lost)  # Higham 2002, lemma 3.1
    assert np.all((lost * sizes <= error) & (error <= gamma * sizes * MARGIN))


def test_half_precision_adds_up_in_float32_unless_it_is_told_otherwise() -> None:
    x = G.uniform(0.5, 1, (4, 512)).astype(np.float16)
    value, error = bound(np.matmul, x, x.T)
    assert np.all(error < value * 2.0**-10)
    _, wide = bound(np.matmul, x, x.T, arithmetic=Arithmetic(accumulate="float16"))
    assert np.all(wide > value * 0.2)
    _, named = bound(np.matmul, x, x.T, arithmetic="float16")
    np.testing.assert_array_equal(named, error)


def test_what_is_kept_wider_is_rounded_where_it_leaves() -> None:
    x = G.uniform(0.5, 1, 64).astype(ml_dtypes.bfloat16)
    value, kept = bound(lambda x: np.exp(x) * np.exp(x), x, arithmetic=Arithmetic(keep="float32"))
    _, written = bound(lambda x: np.exp(x) * np.exp(x), x)
    assert np.all((kept > value * 2.0**-9) & (kept < value * 2.0**-7.9))
    assert np.all(written > 2.9 * kept)  # two exponentials and their product are rounded, each


def test_arrays_are_found_in_tuples_lists_and_keywords() -> None:
    def f(parts: Any, scale: Any = 1, count: int = 1) -> Any:
        assert type(count) is int
        return np.concatenate(list(parts)) * scale, np.argmax(parts[0])

    (value, places), (error, none) = bound(f, [X, X], scale=X[:1], count=2)
    np.testing.assert_array_equal(value, np.concatenate([X, X]) * X[:1].astype(float))
    assert np.array_equal(error > 0, value != 0)
    assert places == X.argmax()
    assert none == 0


def test_an_operation_of_a_note_is_a_function() -> None:
    from layerlaws.discovery import catalogue

    operation = catalogue().operations["dot_score"]
    inputs = {"query": X[None, :1, :], "keys": X[None]}
    names = dict(zip(operation.parameters, inputs.values(), strict=False))
    value, error = bound(operation, **names)
    assert np.all(error[value != 0] > 0)


@pytest.mark.parametrize(
    ("arguments", "arithmetic", "told"),
    [
        ((X, X.astype(np.float64)), None, "the arguments are float32 and float64; a bound is for one storage format"),
        ((1.0, 2), None, "no floating-point array among the arguments"),
        ((X, X), "bfloat16", "the arguments are float32 and the arithmetic stores bfloat16"),
        ((X, X), 3, "arithmetic is 3, expected an Arithmetic or the name of a storage format"),
        ((X, X), "float33", "store is 'float33', expected one of float64"),
    ],
)
def test_what_is_no_arithmetic_is_refused_with_what_to_do(arguments: Any, arithmetic: Any, told: str) -> None:
    with pytest.raises((TypeError, ValueError), match=told):
        bound(np.add, *arguments, arithmetic=arithmetic)


@pytest.mark.parametrize(
    ("function", "told"),
    [
        (lambda x: np.linalg.inv(x), r"no rule for numpy\.linalg\.inv"),
        (lambda x: np.arctanh(x), r"no rule for numpy\.arctanh; near it are .*arctan"),
        (lambda x: np.add.reduce(x), r"no rule for numpy\.add\.reduce; write numpy\.sum instead"),
        (lambda x: np.sum(x, dtype=np.float64), r"no rule for numpy\.sum with dtype=: leave out= and dtype= away"),
        (lambda x: np.exp(x, where=np.ones(5, bool)), r"no rule for numpy\.exp with where="),
        (lambda x: np.add(x, x, out=np.zeros((3, 5))), r"no rule for numpy\.add with out="),
        (lambda x: np.mean(x, where=x > 0), r"numpy\.mean with where=.*numpy\.where\(mask, x, 0\)"),
        (lambda x: np.linalg.norm(x, "nuc"), "norm of matrices with ord='nuc'; it knows None"),
        (lambda x: np.einsum(x, [0, 1], [0]), "einsum with subscripts as text"),
    ],
)
def test_what_has_no_rule_is_refused_by_name(function: Callable[[Any], Any], told: str) -> None:
    with pytest.raises(TypeError, match=told):
        bound(function, X)


def test_a_decision_within_the_errors_is_explained() -> None:
    with pytest.raises(Undecidable, match=r"argmax turns within .* choose inputs that lie farther apart"):
        bound(lambda x: np.argmax(x * np.float32(1 / 3) * x), np.array([1, 1 + 2.0**-23], np.float32))


# --- assert_within ---------------------------------------------------------------------------------------------


def test_a_correct_result_passes_and_the_worst_element_of_a_wrong_one_is_told() -> None:
    right = np.matmul(X, X.T)
    assert_within(right, np.matmul, X, X.T)
    wrong = right.copy()
    wrong[0, 1] += 1e-3
    wrong[2, 1] *= 1.5
    value, error = bound(np.matmul, X, X.T)
    with pytest.raises(AssertionError) as failed:
        assert_within(wrong, np.matmul, X, X.T)
    share = float(abs(wrong[2, 1] - value[2, 1]) / error[2, 1])
    assert str(failed.value) == (
        f"matmul is {float(wrong[2, 1]):.9g} at [2, 1], expected {float(value[2, 1]):.9g}\n"
        f"  apart:   {abs(wrong[2, 1] - value[2, 1]):.3g}\n"
        f"  allowed: {error[2, 1]:.3g}\n"
        f"  share:   {share:.3g}x of what is allowed\n"
        "  out:     2 of 9 elements\n"
        "  in:      float32 throughout"
    )


@pytest.mark.parametrize(
    ("actual", "told"),
    [
        (X[:2], r"exp has shape \(2, 5\), expected \(3, 5\)"),
        (np.exp(X).astype(np.float64), "exp has dtype float64, expected float32"),
        ((X, X), r"exp has shape \(2, 3, 5\), expected \(3, 5\)"),
        (np.exp(X) * np.float32(np.nan), "exp is nan at .*\n.*inf\n.*\n.*\n.*15 of 15 elements"),
    ],
)
def test_what_is_no_result_of_the_function_is_told(actual: Any, told: str) -> None:
    with pytest.raises(AssertionError, match=told):
        assert_within(actual, np.exp, X)


def test_integers_and_masks_are_exact() -> None:
    assert_within(np.argmax(X, axis=1), np.argmax, X, axis=1)
    with pytest.raises(AssertionError, match=r"argmax is \d at \[0\], expected \d: 3 of 3 elements differ"):
        assert_within(np.argmax(X, axis=1) + 1, np.argmax, X, axis=1)
    with pytest.raises(AssertionError, match="has dtype float64, expected bool"):
        assert_within((X > 0).astype(np.float64), np.greater, X, 0.0)


def test_several_results() -> None:
    def both(x: Any) -> Any:
        return np.exp(x), np.sum(x)

    assert_within((np.exp(X), X.sum()), both, X)
    with pytest.raises(AssertionError, match=r"both\[1\] is"):
        assert_within([np.exp(X), X.sum() * 2], both, X)
    with pytest.raises(AssertionError, match="both gives 2 results, and 1 came"):
        assert_within(np.exp(X), both, X)


def test_where_nothing_is_claimed_the_assertion_fails_and_says_why() -> None:
    big = np.full(3, 3e38, np.float32)
    with pytest.raises(AssertionError, match=r"nothing is claimed of any of the 3 elements.*ends at 3.4e.38"):
        assert_within(big, np.add, big, big)
    with pytest.raises(AssertionError, match="the definition gives no numbers"):
        assert_within(big, np.log, -big)
    mixed = np.array([3e38, 1.0], np.float32)
    assert_within(np.array([7.0, 2.0], np.float32), np.add, mixed, mixed)
    with pytest.raises(AssertionError, match="unclaimed: 1 of 2 elements"):
        assert_within(np.array([7.0, 3.0], np.float32), np.add, mixed, mixed)


def test_infinities_have_to_be_infinite() -> None:
    infinite = np.array([np.inf, 1.0], np.float32)
    assert_within(infinite + 1, np.add, infinite, 1.0)
    with pytest.raises(AssertionError, match=r"at \[0\], expected inf"):
        assert_within(np.array([5.0, 2.0], np.float32), np.add, infinite, 1.0)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16", "float64"])
def test_tensors_are_taken_as_they_are(dtype: str) -> None:
    torch = pytest.importorskip("torch")
    a = torch.from_numpy(X).to(getattr(torch, dtype)).requires_grad_()
    assert_within(a @ a.T, np.matmul, a, a.T)
    with pytest.raises(AssertionError, match=f"{dtype}"):
        assert_within(1.25 * (a @ a.T), np.matmul, a, a.T)


def test_the_traceback_in_pytest_ends_at_the_callers_line(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("""
        import numpy as np
        from layerlaws import assert_within

        def test_it():
            x = np.ones(3, np.float32)
            assert_within(x, np.exp, x)
    """)
    lines = pytester.runpytest_subprocess("-p", "no:cacheprovider").stdout.str()
    assert "assert_within(x, np.exp, x)" in lines
    assert "assertions.py" not in lines


# --- a GELU ----------------------------------------------------------------------------------------------------


def test_the_bound_of_a_gelu_says_how_far_it_may_be_off() -> None:
    x = np.linspace(-6, 6, 1001, dtype=np.float32)
    value, error = bound(mathematics.gelu, x)
    computed = np.array([0.5 * t * math.erfc(-t / math.sqrt(2)) for t in x.astype(float)])
    assert np.all(np.abs(value - computed) <= 1e-6 * error + 1e-12)
    assert_within(computed.astype(np.float32), mathematics.gelu, x)


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_has_a_bound(name: str) -> None:
    x = X.astype(FORMATS[name].dtype)
    value, error = bound(lambda x: np.std(x, axis=1), x)
    assert np.all(error > 0)
    assert np.all(error < 80 * FORMATS[name].unit_roundoff * np.maximum(value, 1))
