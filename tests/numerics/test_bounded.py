"""Definitions stay plain NumPy: what a Bounded array answers to, and what it refuses to decide."""

from __future__ import annotations

import operator
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from layerlaws.checking.literals import LONGEST, literal
from layerlaws.numerics import mathematics
from layerlaws.numerics.bounded import FUNCTIONS, REARRANGEMENTS, Bounded, asbounded, error_of, rounded, value_of
from layerlaws.numerics.contractions import CONTRACTIONS
from layerlaws.numerics.formats import FORMATS, Format, format_of, formats_named, is_float
from layerlaws.numerics.rounding import DECISIONS, RULES
from layerlaws.numerics.statistics import STATISTICS
from layerlaws.support.errors import Undecidable

FLOAT64, FLOAT32 = FORMATS["float64"], FORMATS["float32"]

NUMBERS = np.random.default_rng(5).standard_normal((2, 3, 4))
ERRORS = np.random.default_rng(6).uniform(0.1, 1, (2, 3, 4))
RANKS = np.argsort(NUMBERS, axis=-1)

Call = Callable[[Any], Any]

CALLS: dict[Any, list[Call]] = {
    np.reshape: [lambda x: np.reshape(x, (4, 6)), lambda x: x.reshape(6, 4), lambda x: x.reshape((-1,))],
    np.transpose: [lambda x: np.transpose(x, (2, 0, 1)), lambda x: x.transpose(1, 0, 2), lambda x: x.T],
    np.swapaxes: [lambda x: np.swapaxes(x, 0, -1), lambda x: x.swapaxes(0, 1)],
    np.moveaxis: [lambda x: np.moveaxis(x, 0, -1)],
    np.expand_dims: [lambda x: np.expand_dims(x, 1), lambda x: x[:, None]],
    np.squeeze: [lambda x: np.squeeze(x[:1], axis=0)],
    np.broadcast_to: [lambda x: np.broadcast_to(x, (5, 2, 3, 4))],
    np.take: [lambda x: np.take(x, [2, 0], axis=1), lambda x: np.take(x, 7), lambda x: x[..., [1, 1]]],
    np.take_along_axis: [lambda x: np.take_along_axis(x, RANKS, axis=-1)],
    np.flip: [lambda x: np.flip(x, axis=0), lambda x: x[::-1]],
    np.roll: [lambda x: np.roll(x, 1, axis=-1)],
    np.repeat: [lambda x: np.repeat(x, 2, axis=1)],
    np.tile: [lambda x: np.tile(x, (1, 2, 1))],
    np.pad: [lambda x: np.pad(x, ((0, 0), (1, 2), (0, 0))), lambda x: np.pad(x, 1, mode="edge"),
             lambda x: np.pad(x, 1, constant_values=2.0), lambda x: np.pad(x, 1, "constant", constant_values=-np.inf)],
    np.ravel: [lambda x: np.ravel(x)],
    np.tril: [lambda x: np.tril(x, 1)],
    np.triu: [lambda x: np.triu(x)],
    np.diagonal: [lambda x: np.diagonal(x, axis1=1, axis2=2)],
    np.lib.stride_tricks.sliding_window_view:
        [lambda x: np.lib.stride_tricks.sliding_window_view(x, 2, axis=1)],
    np.delete: [lambda x: np.delete(x, 1, axis=2)],
    np.sum: [lambda x: np.sum(x, axis=1), lambda x: np.sum(x), lambda x: x.sum(-1, keepdims=True),
             lambda x: np.sum(x, axis=(0, 2))],
    np.mean: [lambda x: np.mean(x, axis=-1, keepdims=True), lambda x: x.mean(), lambda x: np.mean(x, axis=(0, 1))],
    np.cumsum: [lambda x: np.cumsum(x, axis=1), lambda x: np.cumsum(x, axis=-1)],
    np.max: [lambda x: np.max(x, axis=-1, keepdims=True), lambda x: x.max(), lambda x: np.max(x, axis=(0, 1))],
    np.min: [lambda x: np.min(x, axis=0)],
    np.argmax: [lambda x: np.argmax(x, axis=-1), lambda x: np.argmax(x), lambda x: np.argmax(x, axis=0)],
    np.argmin: [lambda x: np.argmin(x, axis=1), lambda x: np.argmin(x)],
    np.argsort: [lambda x: np.argsort(x), lambda x: np.argsort(x, axis=0), lambda x: np.argsort(x, 1, kind="stable")],
    np.where: [lambda x: np.where(NUMBERS > 0, x, 0.0), lambda x: np.where(NUMBERS > 0, -np.inf, x),
               lambda x: np.where(True, x, NUMBERS[0])],
    np.concatenate: [lambda x: np.concatenate([x, x], axis=1), lambda x: np.concatenate([np.zeros((1, 3, 4)), x])],
    np.stack: [lambda x: np.stack([x, NUMBERS], axis=1)],
    np.shape: [np.shape, lambda x: x.shape],
    np.ndim: [np.ndim, lambda x: x.ndim],
    np.size: [np.size, lambda x: x.size],
    np.zeros_like: [np.zeros_like],
    np.ones_like: [np.ones_like],
    np.clip: [lambda x: np.clip(x, -0.5, 0.5)],
    np.split: [lambda x: np.split(x, 2, axis=2)[1], lambda x: np.split(x, [1], axis=1)[0]],
}  # fmt: skip

MOVED = REARRANGEMENTS | {np.where, np.concatenate, np.stack, np.split}
"""Functions that carry an error to the place where they carry its number."""


def cases(functions: Any) -> list[Any]:
    return [
        pytest.param(call, id=f"{f.__name__}-{k}") for f in CALLS if f in functions for k, call in enumerate(CALLS[f])
    ]


def test_every_function_is_tested() -> None:
    others = set(CONTRACTIONS) | set(STATISTICS)  # test_contractions and test_statistics have them
    assert set(CALLS) | others == REARRANGEMENTS | set(FUNCTIONS)


@pytest.mark.parametrize("call", cases(CALLS))
def test_values_are_those_of_plain_numpy(call: Call) -> None:
    plain = call(NUMBERS)
    result = call(asbounded(NUMBERS))
    assert np.shape(result) == np.shape(plain)
    same = value_of(result) == plain  # but for sums, which the wider format rounds less
    with np.errstate(invalid="ignore"):
        assert np.all(same | (np.abs(value_of(result) - plain) <= error_of(result)))


@pytest.mark.parametrize("call", cases(MOVED))
def test_errors_go_where_their_numbers_go(call: Call) -> None:
    """Marked by an error equal to its number, each number keeps its mark; a constant of the definition has none."""
    marks = np.arange(1.0, 25).reshape(2, 3, 4)
    result = call(Bounded(marks, marks, FLOAT64))
    put_in = (result.error == 0) & ((result.value == 0) | ~np.isin(result.value, marks) | np.isin(result.value, [2.0]))
    assert np.array_equal(np.where(put_in, result.value, result.error), result.value)


@pytest.mark.parametrize("ufunc", RULES, ids=lambda ufunc: ufunc.__name__)
def test_operations_work_from_either_side_and_with_plain_arrays(ufunc: np.ufunc) -> None:
    x = np.abs(NUMBERS) / 4 + 0.25 if ufunc is not np.matmul else NUMBERS[0]
    x = np.minimum(x, 1.0) if ufunc in (np.arcsin, np.arccos) else x
    y = x.T if ufunc is np.matmul else x + 1
    with_bounded: list[Any] = (
        [ufunc(asbounded(x))]
        if ufunc.nin == 1
        else [ufunc(asbounded(x), asbounded(y)), ufunc(x, asbounded(y)), ufunc(asbounded(x), y)]
    )
    plain = ufunc(x) if ufunc.nin == 1 else ufunc(x, y)
    for result in with_bounded:
        assert isinstance(result, Bounded)
        assert np.all(np.abs(result.value - plain) <= result.error)


@pytest.mark.parametrize("decide", sorted(DECISIONS, key=str), ids=lambda ufunc: ufunc.__name__)
def test_decisions_are_plain_numpy_on_exact_numbers(decide: np.ufunc) -> None:
    x = np.array([-2.0, -0.5, 0.0, 0.5, 2.0, np.inf, np.nan])
    arguments = (x,) if decide.nin == 1 else (x, x[::-1].copy())
    with np.errstate(all="ignore"):
        plain = decide(*arguments)
    np.testing.assert_array_equal(decide(*map(asbounded, arguments)), plain)


def test_python_operators() -> None:
    x = asbounded(np.array([1.0, 2.0]))
    for result, value in (
        (x + 1, [2, 3]),
        (1 - x, [0, -1]),
        (2 * x, [2, 4]),
        (1 / x, [1, 0.5]),
        (-x, [-1, -2]),
        (x**2, [1, 4]),
        (abs(-x), [1, 2]),
        (x @ x, 5),
        (+x, [1, 2]),
    ):
        assert isinstance(result, Bounded)
        np.testing.assert_array_equal(result.value, value)
    assert (x > 1.5).tolist() == [False, True]
    assert len(x) == 2
    assert [float(part.value) for part in x] == [1.0, 2.0]
    assert x.dtype == np.float64
    assert "float64" in repr(x)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda x: np.arctanh(x),
        lambda x: np.add.reduce(x),
        lambda x: np.add(x, 1, where=[True, False]),
        lambda x: np.asarray(x),
        np.array,
        lambda x: float(x[0]),
        bool,
        lambda x: operator.setitem(x, 0, 1.0),
        lambda x: operator.iadd(np.zeros(2), x),
        lambda x: np.linalg.inv(x),
    ],
)
def test_what_has_no_rule_is_refused(wrong: Call) -> None:
    with pytest.raises(TypeError):
        wrong(asbounded(np.array([1.0, 2.0])))


def test_a_bounded_is_never_taken_for_a_plain_array() -> None:
    with pytest.raises(TypeError, match=r"take \.value where the error may be lost"):
        np.asarray(asbounded(np.ones(2)))
    with pytest.raises(TypeError, match="neither true nor false"):
        assert asbounded(np.ones(2))


def test_formats_do_not_mix() -> None:
    single, double = asbounded(np.ones(2, np.float32)), asbounded(np.ones(2))
    for meet in (
        operator.add,
        operator.matmul,
        operator.lt,
        np.maximum,
        lambda a, b: np.concatenate([a, b]),
        lambda a, b: np.where(True, a, b),
        lambda a, b: np.stack([a, b]),
    ):
        with pytest.raises(TypeError, match=r"float\d\d result meets a float\d\d one"):
            meet(single, double)
    with pytest.raises(TypeError, match="float32 result meets a float64 one"):
        asbounded(single, FLOAT64)


@pytest.mark.parametrize("name", FORMATS)
def test_constants_are_rounded_once(name: str) -> None:
    format = FORMATS[name]
    u = format.unit_roundoff
    for exact in (0.0, 1.0, -0.5, 3, 96.0, 2.0**-14, np.inf, True):
        assert asbounded(exact, format).error == 0, exact
    for constant in (1 / 3, mathematics.root(3), -0.1):
        assert abs(constant) * u <= asbounded(constant, format).error <= 2 * abs(constant) * u * 1.01
    assert asbounded(2**54 - 1, FLOAT64).error > 0
    assert (asbounded(2**30 + 1, format).error == 0) == (name == "float64")
    assert asbounded(np.array([1 / 3]).astype(format.dtype), format).error == 0, (
        "what an implementation is given is exact"
    )
    below = format.smallest_normal / 4
    if name != "float64":
        assert below <= asbounded(below, format).error < 2 * below


def test_a_constant_of_double_covers_another_form_of_it() -> None:
    """Some divide by sqrt(2), others multiply by sqrt(1/2); both are rounded."""
    other = np.longdouble(1) / np.longdouble(mathematics.root(0.5))
    assert asbounded(mathematics.root(2), FLOAT64).error >= abs(other - np.longdouble(mathematics.root(2)))


def test_a_wider_array_is_rounded_and_the_same_array_is_not() -> None:
    third = np.array([1 / 3])
    assert asbounded(third).error == 0
    assert asbounded(third, FLOAT32).error > 0
    assert asbounded(third.astype(np.float32), FLOAT32).error == 0
    assert asbounded(np.array([1, 2]), FLOAT32).error.tolist() == [0, 0]
    assert asbounded(np.array([0.5]), FLOAT32).error == 0
    with pytest.raises(TypeError, match="int64 is not a floating-point format"):
        asbounded(np.array([1, 2]))


def test_numbers_computed_beforehand_are_rounded_once() -> None:
    x = rounded(np.array([1.0, 1e-60, 0.0]), "float32")
    assert x.format is FLOAT32
    assert FLOAT32.unit_roundoff <= x.error[0] < 1.001 * FLOAT32.unit_roundoff
    assert x.error[1] >= 1e-60
    assert x.error[2] == 0
    assert rounded(1.0, FLOAT64).format is FLOAT64


@pytest.mark.parametrize("name", FORMATS)
def test_rounding_to_another_format_keeps_the_error_and_adds_one(name: str) -> None:
    format = FORMATS[name]
    x = Bounded([0.75, 0.75, 0.0, 2.0], [0.0, 0.25, 1e-3, np.inf], FLOAT64)
    once = rounded(x, name)
    assert once.format is format
    assert once.value.dtype == format.wide
    if format is FLOAT64:
        assert once is x, "nothing is rounded that was so already"
        return
    u = format.unit_roundoff
    assert 0.75 * u <= once.error[0] < 0.751 * u
    assert 0.25 + u <= once.error[1] < (0.25 + u) * 1.00001
    assert 1e-3 <= once.error[2] < 1.1e-3 + format.smallest_normal
    assert np.isinf(once.error[3])
    assert np.all(np.abs(np.array([0.5, 1.0]).astype(format.dtype).astype(float) - 0.75) <= once.error[1])


def test_a_number_beyond_the_other_format_is_unknown_there() -> None:
    beyond = Bounded(np.longdouble("1e300"), 0.0, FLOAT64)
    assert np.isinf(rounded(beyond, "float16").error)
    assert rounded(beyond, "float64") is beyond


# --- decisions ------------------------------------------------------------------------------------------------


def near(value: Any, error: Any) -> Bounded:
    return Bounded(value, error, FLOAT64)


@pytest.mark.parametrize("compare", [operator.lt, operator.le, operator.gt, operator.ge, operator.eq, operator.ne])
def test_a_comparison_within_the_errors_is_undecidable(compare: Callable[[Any, Any], Any]) -> None:
    assert compare(near([1.0], 0.1), near([1.5], 0.1)).tolist() == [compare(1.0, 1.5)]
    for left, right in (
        (near([1.0], 0.1), near([1.2], 0.1)),
        (near([1.0], 0.1), 1.0),
        (near([1.0], 0.0), near([1.0], 1e-9)),
        (near([1.0], np.inf), 5.0),
        (near([-np.inf], 0.0), near([1.0], np.inf)),
        (near([np.inf], np.inf), 1.0),
        (near([1.0, 1.0], [0.0, 0.1]), np.array([2.0, 1.0])),
    ):
        with pytest.raises(Undecidable):
            compare(left, right)
    assert compare(near([1.0], 0.0), 1.0).tolist() == [compare(1.0, 1.0)], "exact ties are decided"
    assert compare(near([1.0], 0.1), np.inf).tolist() == [compare(1.0, np.inf)]


@pytest.mark.parametrize("decide", [np.floor, np.ceil, np.rint, np.sign])
def test_a_jump_within_the_error_is_undecidable(decide: np.ufunc) -> None:
    jump = {np.floor: 2.0, np.ceil: 2.0, np.rint: 2.5, np.sign: 0.0}[decide]
    for x in (near([jump], 0.1), near([jump - 0.05], 0.1), near([jump + 0.05], 0.1), near([jump + 0.2], np.inf)):
        with pytest.raises(Undecidable):
            decide(x)
    assert decide(near([jump + 0.2], 0.1)).tolist() == [decide(jump + 0.2)]
    assert decide(near([jump], 0.0)).tolist() == [decide(jump)]


@pytest.mark.parametrize("ask", [np.isfinite, np.isnan, np.isinf])
def test_whether_an_unknown_number_is_one_is_undecidable(ask: np.ufunc) -> None:
    assert ask(near([1.0, np.inf, np.nan], 0.0)).tolist() == ask(np.array([1.0, np.inf, np.nan])).tolist()
    with pytest.raises(Undecidable):
        ask(near([1.0], np.inf))


def test_an_order_within_the_errors_is_undecidable() -> None:
    apart = near([[3.0, 1.0, 2.0], [9.0, 8.0, 7.0]], 0.4)
    assert np.argsort(apart).tolist() == [[1, 2, 0], [2, 1, 0]]
    assert np.argmax(apart, axis=1).tolist() == [0, 0]
    assert np.argmin(apart, axis=1).tolist() == [1, 2]
    assert int(np.argmax(apart)) == 3, "as in NumPy, over all where no axis is named"
    close = near([3.0, 1.0, 1.1], 0.2)
    assert int(np.argmax(close)) == 0, "only the end that is chosen has to be clear"
    for order in (np.argsort, np.argmin):
        with pytest.raises(Undecidable):
            order(close)


def test_an_extreme_is_undecidable_if_any_other_number_may_be_beyond_it() -> None:
    """Not the runner-up alone: a third number with a large error may be the largest."""
    for order, sign in ((np.argmax, 1), (np.argmin, -1)):
        with pytest.raises(Undecidable):
            order(near(sign * np.array([3.0, 2.0, 1.0]), [0.0, 0.0, 10.0]))
        with pytest.raises(Undecidable):
            order(near(sign * np.array([3.0, 2.0, 1.0]), [0.0, 0.0, np.inf]))


def test_exact_ties_are_decided_as_numpy_does() -> None:
    tied = near([2.0, 1.0, 2.0, 1.0], 0.0)
    assert np.argsort(tied).tolist() == [1, 3, 0, 2]
    assert int(np.argmax(tied)) == 0
    assert int(np.argmin(tied)) == 1
    assert int(np.argmax(near([-np.inf, -np.inf, 1.0], [0.0, 0.0, 0.5]))) == 2


@settings(deadline=None, derandomize=True, database=None, max_examples=100)
@given(st.integers(0, 2**32 - 1))
def test_what_is_decided_stays_so_anywhere_within_the_errors(seed: int) -> None:
    g = np.random.default_rng(seed)
    x = near(g.integers(0, 6, 6) * 1.0, g.choice([0.0, 0.2, 0.6, 3.0], 6, p=[0.5, 0.3, 0.15, 0.05]))
    for decide in (np.argmax, np.argmin, np.argsort, lambda y: y > 2.5, np.floor, np.sign):
        try:
            decided = decide(x)
        except Undecidable:
            continue
        for _ in range(5):
            moved = x.value + g.choice([-1, 1, 0.5], 6) * x.error
            plain = np.argsort(moved, kind="stable") if decide is np.argsort else decide(moved)
            np.testing.assert_array_equal(decided, plain)


def test_padding_with_a_constant_leaves_errors_not_negative() -> None:
    result = np.pad(near([1.0], 0.5), 1, constant_values=-np.inf)
    assert result.value.tolist() == [-np.inf, 1.0, -np.inf]
    assert result.error.tolist() == [0.0, 0.5, 0.0]
    third = np.pad(asbounded(np.ones(1, np.float32)), 1, constant_values=1 / 3)
    assert third.error[0] > 0


# --- a longdouble that is a double ----------------------------------------------------------------------------

NARROW = replace(FLOAT64)
NARROW.__dict__["wide"] = np.float64


@pytest.mark.skipif(np.finfo(np.longdouble).eps == np.finfo(np.float64).eps, reason="longdouble is double here")
@pytest.mark.parametrize(
    "compute",
    [
        lambda x: x + 1,
        lambda x: x @ x.T,
        lambda x: np.mean(x, axis=-1),
        lambda x: np.exp(x) / 3.0,
        lambda x: np.cumsum(x, 1),
        mathematics.softmax,
        mathematics.log_softmax,
        mathematics.sigmoid,
        lambda x: mathematics.layer_norm(x, x, x, 1e-5),
    ],
)
def test_without_a_wider_format_bounds_double_and_stay_true(compute: Call) -> None:
    """The value is then rounded as often as an implementation's, so that twice the error is allowed."""
    x = np.random.default_rng(8).standard_normal((4, 4))
    wide, narrow = compute(asbounded(x, FLOAT64)), compute(asbounded(x, NARROW))
    assert narrow.value.dtype == np.float64
    assert np.all(np.abs(narrow.value - wide.value) <= narrow.error - wide.error)
    rounds = wide.error > 0
    assert np.array_equal(rounds, narrow.error > 0)
    shares = narrow.error[rounds] / wide.error[rounds]
    assert np.all((shares > 1.9) & (shares < 2.1))


def test_the_wide_format_is_wider_where_there_is_one() -> None:
    assert FLOAT32.wide is np.float64
    assert FORMATS["bfloat16"].wide is np.float64
    assert FLOAT64.wide is np.longdouble
    assert NARROW.unit == 2 * NARROW.unit_roundoff


# --- formats and literals -------------------------------------------------------------------------------------


@pytest.mark.parametrize("format", FORMATS.values(), ids=FORMATS)
def test_formats_say_of_themselves_what_their_dtypes_do(format: Format) -> None:
    ml_dtypes = pytest.importorskip("ml_dtypes")
    info = ml_dtypes.finfo(format.dtype)
    assert format.largest == float(info.max)
    assert format.smallest_normal == float(info.smallest_normal)
    assert format.unit_roundoff == float(info.eps) / 2
    array = np.ones(2, format.dtype)
    assert is_float(array)
    assert format_of(array) is format_of(format.name) is format_of(format.dtype) is format


def test_other_dtypes_are_no_formats() -> None:
    for array in (np.ones(2, np.int64), np.ones(2, bool), np.ones(2, complex), np.array(["a"])):
        assert not is_float(array)
        with pytest.raises(TypeError, match="knows float64, float32, float16, bfloat16"):
            format_of(array)
    assert is_float(1.0)
    assert not is_float(1)
    with pytest.raises(TypeError, match="float8"):
        formats_named(["float32", "float8"])


@pytest.mark.parametrize(
    "x",
    [
        np.array([[0.1, -2.5e-30], [np.nan, -np.inf]]),
        np.array(1 / 3, np.float32),
        np.zeros((0, 3)),
        np.arange(600),
        np.array([True, False]),
        np.array([[1, -2]]),
        np.array([6.1e-5, 1 / 3], np.float16),
        3,
        "text",
        None,
        0.1,
        float("inf"),
        float("-inf"),
        (1, (2.5,)),
        [1, 2],
    ],
    ids=str,
)
def test_a_literal_gives_the_argument_back(x: Any) -> None:
    back = eval(literal(x), {"np": np})  # what a reproducing script does
    assert type(back) is type(x)
    if isinstance(x, np.ndarray):
        np.testing.assert_array_equal(back, x, strict=True)
    else:
        assert back == x


def test_a_bfloat16_literal_gives_the_argument_back() -> None:
    ml_dtypes = pytest.importorskip("ml_dtypes")
    x = np.array([0.1, 3e38, np.inf], ml_dtypes.bfloat16)
    np.testing.assert_array_equal(eval(literal(x), {"np": np}).view(np.uint16), x.view(np.uint16))


@pytest.mark.parametrize("shape", [(1000,), (512, 2048)])
def test_a_long_literal_says_that_it_is_cut(shape: tuple[int, ...]) -> None:
    """And takes no longer to print for what is not shown."""
    start = time.process_time()
    text = literal(np.random.default_rng(0).standard_normal(shape))
    assert time.process_time() - start < 5
    assert LONGEST < len(text) < LONGEST + 60
    assert text.endswith(f" ... (cut, shape {shape})")
    assert literal("x" * 9000).endswith("characters)")


def test_a_bounded_is_printed_as_the_computed_number() -> None:
    assert literal(near([1.5], 0.1)) == "np.array([1.5], 'float64')"


def test_what_is_not_a_number_hides_no_flush_beside_it() -> None:
    beside = np.exp(asbounded(np.array([-790.0, np.nan])))  # smaller than any double
    alone = np.exp(asbounded(np.array([-790.0])))
    assert beside.value[0] == alone.value[0] == 0
    assert beside.error[0] == alone.error[0] > 0


@pytest.mark.parametrize("name", FORMATS)
def test_exact_arrays_stay_exact_where_nothing_rounds(name: str) -> None:
    x = asbounded(np.array([[1.0, -2.0], [0.0, 4.0]], FORMATS[name].dtype))
    moved = [-x, x.T, np.maximum(x, 0.0), np.where(x > 0, x, 0.0), np.concatenate([x, x]), x[0], np.max(x, axis=0)]
    for result in moved:
        assert type(result.absolute) is float
        assert result.error.shape == result.value.shape
        assert not result.error.any()
    assert np.array_equal((x * 0.5).value, x.value / 2)
    assert np.array_equal((x + x).error > 0, x.value != 0), "what rounds has an error"
