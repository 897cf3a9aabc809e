"""Laws on memory and state: each has a fault that it alone catches, layouts are measured, and scripts replay calls."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from layerlaws import catalogue, load_backend
from layerlaws.checking.check import check
from layerlaws.checking.reference import reference
from layerlaws.checking.verdict import NOTICED, REACHED, Verdict
from layerlaws.language import memory_laws, state_laws
from layerlaws.language.backend import Backend
from layerlaws.language.evidence import faults_of
from layerlaws.language.layouts import BACKWARDS, COLUMNS, LAYOUTS, OFFSET, REPEATED, SCATTERED, UNALIGNED
from layerlaws.running.counterexamples import script

LAWS = (*memory_laws.FAULTS, *state_laws.FAULTS)
VALUES = "memory_layout_does_not_matter"


@pytest.fixture(autouse=True)
def no_diagnosis(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules[check.__module__], "diagnose", lambda *asked: "")


def verdict(backend: Backend, id: str) -> Verdict:
    (case,) = catalogue().select((), (id,))
    return check(backend, case, profile="quick", shrink=False)


@pytest.mark.parametrize("law", LAWS)
def test_each_law_alone_catches_its_fault(law: str) -> None:
    name = "gated_linear_unit"
    note = next(n for n in catalogue().notes if any(o.name == name for o in n.operations))
    (fault,) = (f for f in faults_of(note) if f.operation.name == name and f.breaks == (law,))
    about = [case for case in note.cases if case.operation.name == name]
    assert len(about) > len(LAWS)
    seen = {case.law.name: check(reference(catalogue(), fault), case, profile="quick", shrink=False) for case in about}
    assert {name for name, v in seen.items() if v.state in NOTICED} == {law}
    assert seen[law].state == "broken"
    assert {name for name, v in seen.items() if v.state not in ("held", "broken")} == set()


def test_a_graph_cached_without_its_optional_argument_is_told_with_the_calls() -> None:
    """https://github.com/pytorch/pytorch/pull/95563, with a mask in place of a bias."""
    right = reference(catalogue())
    inner, cached = right.functions["scaled_dot_product_attention"], dict[Any, Any]()

    def attention(query: Any, key: Any, value: Any, mask: Any) -> Any:
        graph = cached.setdefault((query.shape, key.shape, value.shape, query.dtype), mask is not None)
        hidden = np.zeros((*query.shape[:3], key.shape[2]), bool)
        used = (mask if mask is not None else hidden) if graph else None
        return inner(query=query, key=key, value=value, mask=used)

    functions = {"scaled_dot_product_attention": attention}
    backend = Backend("cached", functions, right.from_numpy, right.to_numpy, right.formats)
    found = verdict(backend, "scaled_dot_product_attention.other_calls_change_nothing")
    assert found.state == "broken"
    assert "depends on earlier calls: called without mask" in found.reason


@pytest.mark.parametrize("shape", [(3, 4), (5,), (2, 1, 3), ()])
@pytest.mark.parametrize("dtype", ["float32", "int64", "bool"])
def test_a_layout_has_the_same_numbers_in_memory_of_its_own(shape: tuple[int, ...], dtype: str) -> None:
    array = np.random.default_rng(0).integers(0, 2, shape).astype(dtype)
    for layout in LAYOUTS:
        laid = layout.lay_out(array)
        if laid is not None:
            assert np.array_equal(laid, array), layout.name
            assert not np.shares_memory(laid, array)
            assert layout.reached(laid, laid), layout.name
            copied = layout.reached(np.array(laid, order="C"), laid)
            assert not copied, layout.name
            assert not np.may_share_memory(memory_laws._as_if_contiguous(laid), array)


def test_layouts_are_what_they_are_called() -> None:
    array = np.ones((2, 3))
    strides = {layout.name: laid.strides for layout in LAYOUTS if (laid := layout.lay_out(array)) is not None}
    assert strides[COLUMNS.name] == (8, 16)
    assert strides[SCATTERED.name] == (48, 16)
    assert strides[REPEATED.name] == (0, 0)
    assert strides[BACKWARDS.name] == (-24, -8)
    unaligned, offset = UNALIGNED.lay_out(array), OFFSET.lay_out(array)
    assert unaligned is not None
    assert offset is not None
    assert not unaligned.flags.aligned
    assert offset.flags.aligned
    assert offset.base is not None
    assert offset.ctypes.data - offset.base.ctypes.data == 8


def test_a_backend_that_copies_is_not_offered_other_layouts() -> None:
    right = reference(catalogue())
    copying = Backend("copying", right.functions, lambda x: np.array(x, order="C"), right.to_numpy, right.formats)
    found = verdict(copying, f"feed_forward.{VALUES}")
    assert found.state == "not offered"
    assert "column-major: from_numpy copies it" in found.reason
    assert set(found.layouts.values()) == {"from_numpy copies it", "only NumPy's arrays can be"}


def test_the_verdict_says_which_layouts_reached_the_backend() -> None:
    assert verdict(load_backend("numpy", catalogue()), f"feed_forward.{VALUES}").layouts == {
        layout.name: REACHED for layout in LAYOUTS
    }


def test_strides_of_pytorch_are_measured() -> None:
    pytest.importorskip("torch")
    layouts = verdict(load_backend("torch-cpu", catalogue()), f"feed_forward.{VALUES}").layouts
    assert {name for name, said in layouts.items() if said == REACHED} == {
        COLUMNS.name, SCATTERED.name, OFFSET.name, REPEATED.name
    }  # fmt: skip
    assert "negative" in layouts[BACKWARDS.name]


STATEFUL = """
import numpy as np
from layerlaws_backends.numpy.conv_s2s import gated_linear_unit as right

seen = {}

def from_numpy(array):
    return array

def to_numpy(array):
    return np.asarray(array)

def gated_linear_unit(x):
    # The first numbers of a shape, in whatever dtype, are baked into what is kept for it.
    return right(seen.setdefault(x.shape, x.astype(np.float64)).astype(x.dtype))
"""


def test_the_script_of_a_failure_that_depends_on_earlier_calls_replays_them(tmp_path: Path) -> None:
    file = tmp_path / "stateful.py"
    file.write_text(STATEFUL, encoding="utf-8")
    found = verdict(load_backend(str(file), catalogue()), "gated_linear_unit.other_calls_change_nothing")
    assert found.state in NOTICED
    text = script(found)
    assert text is not None
    (tmp_path / "again.py").write_text(text, encoding="utf-8")
    run = subprocess.run([sys.executable, "again.py"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert run.returncode == 1, run.stdout + run.stderr
    assert run.stdout.count("gated_linear_unit, called with") >= 2
