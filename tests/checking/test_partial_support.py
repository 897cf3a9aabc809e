"""Backends that offer a part of an operation: held on it, with the share said, and nothing hidden behind it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from layerlaws import Unsupported, hold, load_backend
from layerlaws.checking.check import check
from layerlaws.checking.reference import reference
from layerlaws.checking.trial import MOST_LAPS, MOST_REASONS, OTHER_REASONS, PROFILES, Statistics
from layerlaws.checking.verdict import Verdict, declines_in_words, percentage, share_of_domain
from layerlaws.discovery import catalogue
from layerlaws.language.backend import Backend

CATALOGUE = catalogue()
RIGHT = reference(CATALOGUE)
QUICK = PROFILES["quick"]

Function = Callable[..., Any]


def offering(name: str, takes: Callable[..., str], function: Function | None = None) -> Backend:
    """The definitions, of which one declines whatever `takes` gives a reason for."""
    inner = function or RIGHT.functions[name]

    def part(**arguments: Any) -> Any:
        reason = takes(**arguments)
        if reason:
            raise Unsupported(reason)
        return inner(**arguments)

    return replace(RIGHT, functions={**RIGHT.functions, name: part})


def verdict(backend: Backend, law: str, **options: Any) -> Verdict:
    (case,) = CATALOGUE.select((), (law,))
    return check(backend, case, profile="quick", **options)


def one_length(query: Any, key: Any, **others: Any) -> str:
    """Why attention for T = S alone declines its arguments, or ""."""
    return "" if query.shape[-2] == key.shape[-2] else f"T = {query.shape[-2]} is not S = {key.shape[-2]}"


SQUARE = offering("masked_self_attention", one_length)


def test_a_law_is_held_on_what_is_offered_and_the_share_is_said() -> None:
    found = verdict(SQUARE, "masked_self_attention.agrees_with_definition")
    assert found.state == "held"
    assert 0 < found.declined < found.examples
    assert found.examples - found.declined == QUICK, "as many as the profile has were offered"
    assert found.examples <= MOST_LAPS * QUICK
    assert found.share == 1 - found.declined / found.examples
    assert sum(found.declines.values()) == found.declined
    assert len(found.declines) == 1, "reasons that differ in numbers are one"
    assert next(iter(found.declines)).startswith("T = ")


def test_a_fault_on_what_is_offered_is_found() -> None:
    def shifted(**arguments: Any) -> Any:
        return RIGHT.functions["masked_self_attention"](**arguments) + 1

    found = verdict(
        offering("masked_self_attention", one_length, shifted), "masked_self_attention.agrees_with_definition"
    )
    assert found.state == "broken"
    assert found.counterexample


def test_a_law_of_which_everything_was_declined_is_not_offered() -> None:
    nothing = offering("masked_self_attention", lambda **arguments: "not written yet")
    for case in CATALOGUE.select(("masked_attention",), ()):
        if "masked_self_attention" in [operation.name for operation in case.operations]:
            found = check(nothing, case, profile="quick")
            assert (found.state, found.unexpected) == ("not offered", False), case.id
            assert found.examples == found.declined + found.undecidable
            assert found.examples <= MOST_LAPS * QUICK
            assert "not written yet" in found.reason


def test_declining_bad_input_is_refusing_it() -> None:
    def even(query: Any, key: Any, **others: Any) -> str:
        return "more queries than keys" if query.shape[-2] > key.shape[-2] else ""

    found = verdict(offering("masked_self_attention", even), "more_queries_than_keys_are_refused")
    assert (found.state, found.declined) == ("held", 0)


def test_declining_good_input_as_well_says_nothing_of_refusals() -> None:
    def everything(**arguments: Any) -> str:
        return "no"

    backend = offering("masked_self_attention", everything)
    assert verdict(backend, "more_queries_than_keys_are_refused").state == "not offered"


def test_a_law_that_is_silent_on_what_is_offered_is_not_offered() -> None:
    """Where a single position is all that is taken, nothing can be seen of the past."""
    single = offering(
        "masked_self_attention", lambda query, key, **others: "" if key.shape[-2] == 1 else "one position only"
    )
    found = verdict(single, "no_gradient_flows_from_the_past_to_the_future")
    assert found.state in ("held", "not offered")
    assert found.declined


def test_gradients_may_be_declined_alone() -> None:
    def gradient(function: Any, arguments: Any, cotangent: Any) -> Any:
        if arguments["query"].shape[-2] > 1:
            raise NotImplementedError
        assert RIGHT.gradient is not None
        return RIGHT.gradient(function, arguments, cotangent)

    backend = replace(RIGHT, gradient=gradient)
    found = verdict(backend, "masked_self_attention.gradient_agrees_with_definition")
    assert (found.state, found.share < 1) == ("held", True)
    assert list(found.declines) == ["gradient of masked_self_attention gives no reason"]
    assert verdict(backend, "masked_self_attention.agrees_with_definition").declined == 0


def test_thorough_search_takes_declined_examples_for_none() -> None:
    (case,) = CATALOGUE.select((), ("causal_mask.agrees_with_definition",))
    odd = offering("causal_mask", lambda queries, keys: "an even number" if queries % 2 == 0 else "")
    found = check(odd, case, profile="thorough")
    assert (found.state, found.declined > 0) == ("held", True)
    nothing = offering("causal_mask", lambda **arguments: "no")
    assert check(nothing, case, profile="thorough").state == "not offered"


def test_one_declined_example_is_neither_held_nor_broken() -> None:
    arguments = {"query": np.ones((1, 1, 1, 1)), "key": np.ones((1, 1, 2, 1)), "value": np.ones((1, 1, 2, 1))}
    again = hold(SQUARE, "masked_self_attention.agrees_with_definition", "float32", arguments)
    assert (again.verdict.state, again.holds) == ("not offered", False)
    assert "T = 1 is not S = 2" in str(again)


def test_reasons_are_short_and_few() -> None:
    statistics = Statistics()
    for letter in "abcdefghijkl":
        statistics.decline(f"{letter} 1")
        statistics.decline(f"{letter} 2")
    assert len(statistics.declines) == MOST_REASONS + 1
    assert statistics.declines["a 1"] == 2
    assert statistics.declines[OTHER_REASONS] == 2 * (12 - MOST_REASONS)
    long = offering("masked_self_attention", lambda **arguments: "x" * 10000 + "\nsecond line")
    (reason,) = verdict(long, "masked_self_attention.agrees_with_definition").declines
    assert len(reason) < 200


def test_shares_are_of_what_was_decided_or_declined() -> None:
    def seen(**fields: int) -> Verdict:
        return Verdict("b", "n", "o", "l", "held", **fields)

    assert seen(examples=10, undecidable=2, declined=2).share == 0.75
    assert seen().share == 1
    assert share_of_domain([seen(examples=1, declined=1), seen(examples=3)]) == 0.75
    assert [percentage(share) for share in (0, 0.001, 0.64, 0.999, 1)] == ["0%", "<1%", "64%", ">99%", "100%"]
    twice = [Verdict("b", "n", "o", "l", "held", examples=2, declined=1, declines={f"T = {n}": 1}) for n in (1, 2)]
    assert declines_in_words(twice) == "T = 1 (50%)"
    assert Verdict.from_json(twice[0].to_json()) == twice[0]


WHOLE = """
from layerlaws import Known

known = {"causal_mask": Known("it is another mask", "https://example.org")}

def causal_mask(queries, keys):
    return np.tri(queries, keys, KIND, dtype=bool)
"""


@pytest.mark.parametrize(("kind", "state"), [("0", "known"), ("keys - queries", "stale")])
def test_a_deviation_may_be_declared_for_a_whole_operation(
    kind: str, state: str, backend_file: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    backend_file("mine", WHOLE.replace("KIND", kind))
    backend = load_backend("./mine.py", CATALOGUE)
    cases = [case for case in CATALOGUE.cases if case.operation.name == "causal_mask"]
    states = {case.law.name: check(backend, case, profile="quick").state for case in cases}
    assert states["agrees_with_definition"] == state
    assert set(states.values()) <= {"held", state}
    assert "held" in states.values(), "laws that hold are no stale declarations"


def test_the_share_stands_in_the_summary(command: Any, backend_file: Any) -> None:
    backend_file(
        "halves",
        """
from layerlaws import Unsupported

def causal_mask(queries, keys):
    if queries != keys:
        raise Unsupported(f"{queries} queries for {keys} keys")
    return np.tri(queries, dtype=bool)
""",
    )
    done = command(
        "check", "./halves.py", "--law", "causal_mask.agrees_with_definition", "--profile", "quick", columns=200
    )
    assert done.returncode == 0, done.stdout
    said = " ".join(done.stdout.split())
    assert "held of of what was drawn ./halves.py 1 1 " in said, "the share stands in the table"
    assert "causal_mask: 1 law held, on " in said
    assert "declined: 129 queries for 2 keys (" in said
