"""Results that a backend does not offer: they break no law and hold none, and hide nothing of the others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from layerlaws.checking.check import check
from layerlaws.checking.diagnosis import matching
from layerlaws.checking.reference import gradient, plain
from layerlaws.discovery import catalogue
from layerlaws.language.backend import Backend
from layerlaws.language.claims import Claim, all_of, at_most, closely, differ, exactly, settle
from layerlaws.language.dependence import dependence
from layerlaws.language.withheld import Unoffered, Withheld, offered
from layerlaws.numerics.bounded import asbounded
from layerlaws.numerics.formats import formats_named
from layerlaws.support.errors import Broken

NONE = Withheld("no weights here")
ONE, TWO = asbounded(np.ones(2, "float32")), asbounded(np.full(2, 2.0, "float32"))


@pytest.mark.parametrize(
    "computed",
    [
        lambda x: x + 1,
        lambda x: 2.0 @ x,
        lambda x: ONE * x,
        lambda x: x @ np.ones((2, 2)),
        lambda x: np.sum(x, axis=-1),
        lambda x: np.zeros_like(x),
        lambda x: x.value.swapaxes(1, 2)[0],
        lambda x: x[:, None].sum(axis=1),
        lambda x: np.where(x > 0, 1.0, x),
    ],
)
def test_what_is_computed_from_it_is_withheld_too(computed: Callable[[Any], Any]) -> None:
    assert computed(NONE) is NONE


@pytest.mark.parametrize(
    "needed",
    [
        lambda x: np.ones(x.shape[:-1]),
        lambda x: bool(x),
        lambda x: bool(x == 1),
        lambda x: list(x),
        lambda x: len(x),
        lambda x: float(x),
        lambda x: range(x),
        lambda x: np.asarray(x),
        lambda x: np.ones(3)[x],
        lambda x: x.dtype,
    ],
)
def test_what_has_to_know_it_raises(needed: Callable[[Any], Any]) -> None:
    with pytest.raises(Unoffered, match="no weights here"):
        needed(NONE)


@pytest.mark.parametrize(
    "claim",
    [
        closely(NONE, ONE),
        closely((NONE,), (ONE,)),
        exactly(NONE, np.zeros(2)),
        at_most(0.0, NONE),
        all_of(closely(NONE, ONE), exactly(NONE, NONE)),
        differ(NONE, NONE, (ONE, TWO)),
        differ((NONE,), (NONE,), ((ONE,), (TWO,))),
    ],
)
def test_a_claim_about_nothing_else_is_not_offered(claim: Claim) -> None:
    with pytest.raises(Unoffered, match="no weights here"):
        settle(claim)


def test_the_other_results_are_compared() -> None:
    assert settle(closely((ONE, NONE), (ONE, TWO))).decisive
    assert settle(all_of(closely(ONE, ONE), at_most(NONE, ONE))).decisive
    assert settle(differ((ONE, NONE), (TWO, NONE), ((ONE, ONE), (TWO, TWO)))).decisive
    for wrong in (
        closely((ONE, NONE), (TWO, TWO)),
        all_of(closely(NONE, ONE), closely(ONE, TWO)),
        differ((ONE, NONE), (ONE, NONE), ((ONE, ONE), (TWO, ONE))),
        closely((ONE, NONE), (ONE, TWO, TWO)),
    ):
        with pytest.raises(Broken):
            settle(wrong)


def test_sides_lose_the_places_that_one_of_them_withholds() -> None:
    assert offered((1, NONE, 3), (4, 5, 6), (7, 8, 9)) == ((1, 3), (4, 6), (7, 9))
    assert offered((1, 2), (3, 4)) == ((1, 2), (3, 4))
    assert offered((), ()) == ((), ())
    assert offered(1, 2) == (1, 2)


def test_a_dependence_on_it_is_not_offered() -> None:
    class Operation:
        def compare(self, x: Any) -> Any:
            return (x, NONE), (x, x)

    def perturbed(i: int) -> Any:
        moved = np.ones(2, "float32")
        moved[i] += i >= 0
        return {"x": asbounded(moved)}

    assert dependence(Operation(), perturbed, 2, axis=0, of=0).tolist() == [[True, False], [False, True]]
    with pytest.raises(Unoffered, match="no weights here"):
        dependence(Operation(), perturbed, 2, axis=0, of=1)


def _output_only(function: Callable[..., Any]) -> Backend:
    def multi_head_attention(**arguments: Any) -> Any:
        return function(**arguments)[0], NotImplementedError("no weights here")

    def slope(called: Any, arguments: Any, cotangent: Any) -> Any:
        return gradient(lambda **x: function(**x)[0], arguments, cotangent[0])

    own = {"multi_head_attention": multi_head_attention}
    return Backend("mine", own, lambda x: x, np.asarray, formats_named(("float32", "float64")), slope)


def test_a_backend_is_held_to_the_laws_of_what_it_returns() -> None:
    note = catalogue().note("multi_head_attention")
    backend = _output_only(plain(catalogue().operations["multi_head_attention"].definition))
    cases = {case.law.name: case for case in note.cases if [o.name for o in case.operations] == [*backend.functions]}
    found = {name: check(backend, case, profile="quick") for name, case in cases.items()}
    assert {verdict.state for verdict in found.values()} == {"held", "missing"}
    assert found["weights_are_shares"].reason == "no weights here"
    assert found["gradient_agrees_with_definition"].state == "held"
    assert found["a_query_that_sees_nothing_gets_the_output_bias"].state == "held"


def test_no_other_fault_is_named_where_results_are_withheld() -> None:
    """The laws that prove this one need the weights, too."""
    note = catalogue().note("multi_head_attention")
    fault = next(fault for fault in note.faults if fault.name == "interleaves_heads")
    backend = _output_only(plain(fault.function))
    case = next(case for case in note.cases if case.id == "multi_head_attention.agrees_with_definition")
    assert check(backend, case).state == "broken"
    assert set(matching(backend, case)) <= {fault}


def test_every_operation_names_its_results() -> None:
    for operation in catalogue().operations.values():
        annotated = str(operation.definition.__annotations__["return"])
        count = annotated.count(",") + 1 if annotated.startswith("tuple[") else 0
        assert len(operation.results) == count, f"{operation.name}: {operation.results}"
    assert catalogue().operations["luong_step"].results == ("new_state", "attentional", "context", "weights")
