"""Messages of worker processes: what is no answer is refused, whatever it is."""

from __future__ import annotations

import json
from typing import Any

import pytest

from layerlaws.benchmark.messages import Answer, Compared, Done, Figures, Rate, Ready, Refusal, Refused, decode, encode


@pytest.mark.parametrize(
    "answer",
    [Done(), Compared(0.5), Ready(0, [3, 50], "cuda:0"), Rate(1e12), Figures(3, 1, 0.5, 0.4, 0.6, 0.3, None)],
    ids=lambda answer: type(answer).__name__,
)
def test_an_answer_comes_back_as_it_was_sent(answer: Answer) -> None:
    assert decode(json.loads(json.dumps(encode(answer))), type(answer)) == answer


def test_a_refusal_is_raised_whatever_was_expected() -> None:
    with pytest.raises(Refusal, match="no luck") as raised:
        decode(encode(Refused("wrong", "no luck")), Ready)
    assert raised.value.state == "wrong"


@pytest.mark.parametrize(
    "message",
    [
        {},
        {"kind": "Ready"},
        {"kind": ["Ready"], "fields": {}},
        {"kind": "Done", "fields": {}},
        {"kind": "Ready", "fields": []},
        {"kind": "Ready", "fields": {"first": 0, "rounds": [3], "more": 1}},
        {"kind": "Ready", "fields": {"first": "0", "rounds": [3]}},
        {"kind": "Ready", "fields": {"first": 0, "rounds": 3}},
        {"kind": "Ready", "fields": {"first": 0, "rounds": [0]}},
        {"kind": "Ready", "fields": {"first": 0, "rounds": [10**9]}},
        {"kind": "Refused", "fields": {"state": "splendid", "reason": ""}},
        {"kind": "Refused", "fields": {"state": "error", "reason": 1}},
    ],
)
def test_nonsense_is_refused(message: dict[str, Any]) -> None:
    with pytest.raises((TypeError, ValueError, LookupError)):
        decode(message, Ready)


@pytest.mark.parametrize("rate", [float("nan"), float("inf"), -1.0, "1"])
def test_a_rate_is_a_finite_number(rate: Any) -> None:
    with pytest.raises((TypeError, ValueError)):
        decode({"kind": "Rate", "fields": {"per_second": rate}}, Rate)
