"""A backend is held to the arithmetic that it declares, and told the tightest one that its results fit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from layerlaws import Arithmetic, WrongUse, catalogue, check, load_backend
from layerlaws.language.backend import Backend
from layerlaws.numerics.arithmetic import mixed
from layerlaws.numerics.formats import FORMATS

ml_dtypes = pytest.importorskip("ml_dtypes")

BFLOAT16 = ml_dtypes.bfloat16
FUSED = mixed("bfloat16", "float32", "float32")
(AGREEMENT,) = catalogue().select(laws=["dot_score.agrees_with_definition"])


def in_float32(query: Any, keys: Any) -> Any:
    """Accumulated in float32, and rounded once."""
    return np.einsum("btd,bsd->bts", query.astype(np.float32), keys.astype(np.float32)).astype(BFLOAT16)


def in_bfloat16(query: Any, keys: Any) -> Any:
    """Each product and each partial sum is rounded to bfloat16."""
    total = np.zeros((*query.shape[:-1], keys.shape[-2]), BFLOAT16)
    for d in range(query.shape[-1]):
        total = total + query[..., d, None] * keys[:, None, :, d]
    return total


def backend(dot_score: Callable[..., Any], arithmetic: Mapping[str, Any] | None = None) -> Backend:
    format = (
        mixed("bfloat16", "float32", "bfloat16") if arithmetic is None else arithmetic["bfloat16"].format("bfloat16")
    )
    return Backend("mine", {"dot_score": dot_score}, lambda x: x, lambda x: x, (format,))


def test_an_accumulator_of_float32_holds_and_is_named() -> None:
    verdict = check(backend(in_float32), AGREEMENT)
    assert verdict.state == "held", verdict.reason
    assert verdict.arithmetic == {"bfloat16": "bfloat16, accumulated in float32, kept in float32"}


def test_adding_up_in_the_storage_format_breaks_the_law_unless_it_is_declared() -> None:
    assert check(backend(in_bfloat16), AGREEMENT).state == "broken"
    declared = {"bfloat16": Arithmetic(accumulate="bfloat16")}
    verdict = check(backend(in_bfloat16, declared), AGREEMENT)
    assert verdict.state == "held", verdict.reason
    assert verdict.arithmetic == {"bfloat16": "bfloat16 throughout"}


def test_who_keeps_more_than_declared_holds_and_is_told() -> None:
    verdict = check(backend(in_float32, {"bfloat16": Arithmetic(accumulate="bfloat16")}), AGREEMENT)
    assert verdict.state == "held", verdict.reason
    assert verdict.arithmetic == {"bfloat16": "bfloat16, accumulated in float32, kept in float32"}


def test_an_accumulator_that_truncates_leans_towards_zero() -> None:
    """Each partial sum is cut to 25 bits, as far as the unit roundoff of float32 goes: no bound on the worst case sees
    it, but the mean of the shares does.
    """

    def accumulating(narrowed: Callable[[Any], Any]) -> Callable[..., Any]:
        def dot_score(query: Any, keys: Any) -> Any:
            products = query[:, :, None].astype(np.float64) * keys[:, None].astype(np.float64)
            total = products[..., 0]
            for d in range(1, products.shape[-1]):
                total = narrowed(total + products[..., d])
            return total.astype(np.float32)

        return dot_score

    def truncated(x: Any) -> Any:
        significand, exponent = np.frexp(x)
        return np.ldexp(np.trunc(np.ldexp(significand, 25)), exponent - 25)

    def rounded(x: Any) -> Any:
        return x.astype(np.float32).astype(np.float64)

    def held(dot_score: Callable[..., Any]) -> Any:
        float32 = Backend("mine", {"dot_score": dot_score}, lambda x: x, lambda x: x, (FORMATS["float32"],))
        verdict = check(float32, AGREEMENT)
        assert verdict.state == "held", verdict.reason
        return verdict.accuracy["float32"]

    cutting, rounding = held(accumulating(truncated)), held(accumulating(rounded))
    assert cutting.bias < -20
    assert abs(rounding.bias) < 5
    assert 0 < rounding.rms <= rounding.worst <= 1
    assert abs(rounding.mean) < rounding.rms


def test_what_cannot_be_declared_is_refused_with_the_reason(backend_file: Callable[[str, str], Path]) -> None:
    from_layerlaws = "from layerlaws import Arithmetic\ndtypes = ('float32', 'bfloat16')\n"
    for wrong, reason in (
        ("{'bfloat32': Arithmetic()}", "bfloat32"),
        ("{'float16': Arithmetic()}", r"there is no dtype \(in `arithmetic` of the backend .*\) called 'float16'"),
        ("{'dot_scor': {'bfloat16': Arithmetic()}}", "did you mean dot_score"),
        (
            "{'float32': Arithmetic(accumulate='bfloat16')}",
            "accumulate is bfloat16, which is narrower than the float32",
        ),
    ):
        path = backend_file("declares", f"{from_layerlaws}arithmetic = {wrong}\n")
        with pytest.raises(WrongUse, match=reason):
            load_backend(str(path), catalogue())
    with pytest.raises(ValueError, match="keep is 'half', expected one of float64, float32"):
        Arithmetic(keep="half")


def test_gradients_may_differ_from_what_they_are_gradients_of(backend_file: Callable[[str, str], Path]) -> None:
    path = backend_file(
        "differs_back",
        "from layerlaws import Arithmetic\ndtypes = ('bfloat16',)\n"
        "arithmetic = {'gradient of dot_score': {'bfloat16': Arithmetic(accumulate='bfloat16')}}\n",
    )
    backend = load_backend(str(path), catalogue())
    forth, back = (backend.arithmetic(backend.formats[0], ["dot_score"], gradients) for gradients in (False, True))
    assert forth.accumulate.name == "float32"
    assert back.accumulate.name == "bfloat16"


def test_one_operation_may_differ_from_the_others(backend_file: Callable[[str, str], Path]) -> None:
    path = backend_file(
        "differs",
        "from layerlaws import Arithmetic\ndtypes = ('float32', 'bfloat16')\n"
        "arithmetic = {'bfloat16': Arithmetic(keep='float32'),\n"
        "              'dot_score': {'bfloat16': Arithmetic(accumulate='bfloat16')}}\n",
    )
    loaded = load_backend(str(path), catalogue())
    single, half = loaded.formats
    assert half is FUSED
    assert single.accumulate is single.keep is single
    assert loaded.arithmetic(half, ["general_score"]) is FUSED
    assert loaded.arithmetic(half, ["dot_score"]).accumulate.name == "bfloat16"
    both = loaded.arithmetic(half, ["dot_score", "general_score"])
    assert (both.accumulate.name, both.keep.name) == ("bfloat16", "bfloat16")
