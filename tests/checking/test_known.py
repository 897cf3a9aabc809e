"""Deviations by design: of some formats only, looked at cheaply, and never a cover for anything else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from layerlaws import Known, WrongUse, load_backend
from layerlaws.checking.check import check
from layerlaws.checking.reference import reference
from layerlaws.checking.verdict import Verdict
from layerlaws.discovery import catalogue
from layerlaws.language.backend import Backend
from layerlaws.language.note import Case
from layerlaws.running.journal import Header, Journal
from layerlaws.running.witnesses import witness

BackendFile = Callable[[str, str], Path]

(CASE,) = catalogue().select((), ("masked_self_attention.agrees_with_definition",))
RIGHT = reference(catalogue())


def deviating(known: Known, *formats: str, least: int = 1) -> Backend:
    """Attention that is wrong in these formats, from so many keys on; every call is counted."""

    def attention(query: Any, key: Any, value: Any) -> Any:
        CALLS.append(key.shape)
        result = RIGHT.functions["masked_self_attention"](query=query, key=key, value=value)
        return result + 1 if query.dtype.name in formats and key.shape[-2] >= least else result

    return replace(RIGHT, functions={"masked_self_attention": attention}, known={CASE.id: known})


CALLS: list[tuple[int, ...]] = []


@pytest.fixture(autouse=True)
def no_calls_yet() -> None:
    CALLS.clear()


def held(backend: Backend, case: Case = CASE, **options: Any) -> Verdict:
    return check(backend, case, profile="quick", **options)


@pytest.mark.parametrize("dtype", ["float32", ("float32",), ("float32", "float16")])
def test_a_deviation_of_one_format_has_to_hold_in_the_others(dtype: Any) -> None:
    known = Known("by design", "https://example.org", dtype)
    verdict = held(deviating(known, "float32"))
    assert (verdict.state, verdict.dtype) == ("known", "float32")
    assert verdict.reason == "by design (in float32; it holds in float64)"
    assert verdict.accuracy.keys() == {"float64"}
    verdict = held(deviating(known, "float32", "float64"))
    assert (verdict.state, verdict.dtype) == ("broken", "float64")
    assert held(deviating(known)).state == "stale"
    assert held(deviating(known, "float64")).state == "broken"


def test_a_rare_deviation_is_known_where_it_shows_and_held_where_it_does_not() -> None:
    rare = Known("by design", "https://example.org", "float32", rare=True)
    verdict = held(deviating(rare))
    assert (verdict.state, verdict.reason) == ("held", "")
    assert verdict.accuracy.keys() == {"float32", "float64"}
    assert held(deviating(rare, "float32")).state == "known"
    assert held(deviating(rare, "float64")).state == "broken"


def test_a_deviation_of_formats_that_a_backend_has_not_is_no_matter() -> None:
    assert held(deviating(Known("by design", "https://example.org", "float16"))).state == "held"


def test_a_known_deviation_is_not_shrunk_and_its_witness_is_all_that_is_tried(tmp_path: Path) -> None:
    backend = deviating(Known("by design", "https://example.org"), "float32", "float64", least=3)
    first = held(backend)
    assert first.state == "known"
    assert len(CALLS) == first.examples, "the smallest example was searched for"
    with Journal(tmp_path, Header(backend.name, "0", "CPU", ["float32"], "quick", None, 1, True)) as journal:
        journal.add(first)
        journal.close(1.0)
    stored = witness(str(tmp_path), backend, CASE)
    assert stored is not None
    CALLS.clear()
    again = held(backend, witness=stored)
    assert (again.state, again.counterexample, again.dtype) == ("known", first.counterexample, first.dtype)
    assert (again.examples, len(CALLS)) == (1, 1)


def test_a_witness_that_shows_nothing_any_more_is_not_believed() -> None:
    stored = {
        "format": "float32",
        "query": np.ones((1, 1, 1, 1)),
        "key": np.ones((1, 1, 1, 1)),
        "value": np.ones((1, 1, 1, 1)),
    }
    known = Known("by design", "https://example.org")
    assert held(deviating(known, "float32", "float64", least=3), witness=stored).state == "known"
    stale = held(deviating(known), witness=stored)
    assert (stale.state, stale.examples) == ("stale", 21)


def test_only_a_record_of_the_same_deviation_is_a_witness(tmp_path: Path) -> None:
    backend = deviating(Known("by design", "https://example.org"))
    assert witness(None, backend, CASE) is None
    assert witness(str(tmp_path), backend, CASE) is None
    (tmp_path / "definitions.jsonl").write_text("nonsense\n")
    assert witness(str(tmp_path), backend, CASE) is None
    assert witness(str(tmp_path), replace(backend, known={}), CASE) is None


def test_a_dtype_that_does_not_exist_is_refused(
    backend_file: BackendFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    backend_file(
        "mine",
        "from layerlaws import Known\nknown = {'the_mask_is_a_staircase': Known('so it is', 'link', 'bfloat61')}\n",
    )
    with pytest.raises(WrongUse, match=r"no dtype .in `known` of the backend ./mine.py.*did you mean bfloat16"):
        load_backend("./mine.py", catalogue())
