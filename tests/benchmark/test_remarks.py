"""What is right on valid input is timed, whatever bad input it accepts, and that is said beside its time."""

from __future__ import annotations

import io
from typing import Any

from rich.console import Console

from layerlaws.benchmark.record import Timing
from layerlaws.benchmark.runner import Listener, Plan, _barred, _Recorder, _remarks
from layerlaws.benchmark.summary import summarize
from layerlaws.checking.verdict import Verdict
from layerlaws.discovery import catalogue

CATALOGUE = catalogue()


def verdict(law: str, state: str) -> Verdict:
    (case,) = CATALOGUE.select((), (law,))
    return Verdict("mine", case.note.name, case.operation.name, case.law.name, state, kind=case.law.kind)


FOUND = [
    verdict("feed_forward.hidden_widths_have_to_match", "accepted"),
    verdict("feed_forward.agrees_with_definition", "held"),
    verdict("feed_forward_convolution.agrees_with_definition", "broken"),
    verdict("feed_forward_convolution.batches_are_independent", "not judged"),
]


def timing(state: str, **fields: Any) -> Timing:
    names = {"note": "feed_forward", "workload": "a_workload", "purpose": "workload", "mode": "forward"}
    return Timing("mine", operation="feed_forward", sizes={}, dtype="float32", state=state, **{**names, **fields})


def test_accepted_bad_input_bars_nobody_and_is_a_remark() -> None:
    plan = Plan(CATALOGUE, [], [CATALOGUE.note("feed_forward")])
    assert {(operation, mode) for _, operation, mode in _barred(plan, FOUND)} == {
        ("feed_forward_convolution", "forward"),
        ("feed_forward_convolution", "gradient"),
    }
    told: list[Timing] = []
    listener = Listener(lambda verdict: None, lambda header: None, told.append)
    recorder = _Recorder(plan, None, listener, _remarks(FOUND))
    recorder.add(timing("timed", seconds=1.0))
    recorder.add(timing("missing"))
    assert [t.remark for t in told] == ["accepts bad input: hidden_widths_have_to_match", ""]
    text = io.StringIO()
    summarize(Console(file=text, width=80), told)
    assert "mine: feed_forward accepts bad input: hidden_widths_have_to_match" in " ".join(text.getvalue().split())
