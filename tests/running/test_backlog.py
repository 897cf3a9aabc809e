"""Which laws a backend is held to next, and when it is held to no more of them."""

from __future__ import annotations

from collections import Counter
from typing import Any

from layerlaws.checking.verdict import Verdict
from layerlaws.discovery import catalogue
from layerlaws.running.backlog import MOST_LOST, MOST_TIMED_OUT, Backlog
from layerlaws.running.worker import Facts, Task


class FakeWorker:
    """What a backlog asks of a worker."""

    law, limit, elapsed, death = "", 5.0, 5.0, "the process died (SIGSEGV)"


def backlog(*notes: str) -> Backlog:
    def listen(verdict: Verdict) -> None:
        assert verdict.backend == "mine"

    made = Backlog(Task("mine", "quick", None, 5.0, 0), catalogue().select(notes), None, listen)
    made.begin(Facts("mine"))
    return made


def lose_all(laws: Backlog, late: bool) -> list[str]:
    """Send out every law, one at a time, and lose each; the laws that were sent out."""
    worker: Any = FakeWorker()
    sent = []
    while law := laws.take(worker):
        worker.law = law
        sent.append(law)
        laws.lose(worker, late)
    assert not laws.unfinished
    return sent


def test_an_operation_that_crashes_or_times_out_is_given_up() -> None:
    for state, most in MOST_LOST.items():
        laws = backlog("masked_attention")
        sent = Counter(law.partition(".")[0] for law in lose_all(laws, state == "timed out"))
        of = Counter(case.operation.name for case in laws.cases.values())
        assert sent == {operation: min(most, count) for operation, count in of.items()}
        assert {verdict.state for verdict in laws.verdicts} == {state}
        given_up = {verdict.reason for verdict in laws.verdicts if verdict.reason.startswith("not held")}
        assert f"not held: masked_self_attention {state} {most} times before" in given_up


def test_a_backend_that_never_returns_is_given_up() -> None:
    laws = backlog()
    assert len(lose_all(laws, late=True)) == MOST_TIMED_OUT
    assert len(laws.verdicts) == len(catalogue().cases)
    assert laws.verdicts[-1].reason == f"not held: the backend timed out {MOST_TIMED_OUT} times before"


def test_an_operation_that_sometimes_returns_is_not_given_up() -> None:
    """A law that times out says nothing of another law that does not."""
    laws, worker = backlog("masked_attention"), FakeWorker()
    for _ in range(len(laws.cases)):
        worker.law = laws.take(worker)  # type: ignore[arg-type]
        if worker.law.endswith("agrees_with_definition"):
            held = Verdict("mine", "masked_attention", *worker.law.split("."), "held", examples=20)
            laws.finish(worker, {"verdict": held.to_json()})  # type: ignore[arg-type]
        else:
            laws.lose(worker, late=True)  # type: ignore[arg-type]
    assert not [verdict.reason for verdict in laws.verdicts if verdict.reason.startswith("not held")]


def test_a_law_whose_worker_was_ended_from_elsewhere_is_held_once_more() -> None:
    laws, worker = backlog("elmo"), FakeWorker()
    worker.law = first = laws.take(worker)  # type: ignore[arg-type]
    assert laws.put_back(worker)  # type: ignore[arg-type]
    assert laws.take(worker) == first  # type: ignore[arg-type]
    assert not laws.put_back(worker)  # type: ignore[arg-type]


def test_a_worker_that_loads_other_code_than_the_run_began_with_is_not_used() -> None:
    laws, worker = backlog("elmo"), FakeWorker()
    worker.law = laws.take(worker)  # type: ignore[arg-type]
    assert laws.load_again(worker, Facts("mine"))  # type: ignore[arg-type]
    assert not laws.load_again(worker, Facts("mine", code="other"))  # type: ignore[arg-type]
    assert (laws.verdicts[-1].state, laws.verdicts[-1].reason) == ("error", "its code has changed during the run")


def test_workers_keep_to_different_operations_as_long_as_there_are_any() -> None:
    laws, one, other = backlog("masked_attention"), FakeWorker(), FakeWorker()
    of_masks = sum(law.startswith("causal_mask.") for law in laws.waiting)
    taken = [(laws.take(one).partition(".")[0], laws.take(other).partition(".")[0]) for _ in range(of_masks)]  # type: ignore[arg-type]
    assert taken == [("causal_mask", "masked_self_attention")] * of_masks
    assert laws.take(one).startswith("teacher_forcing")  # type: ignore[arg-type]


def test_nonsense_in_place_of_a_verdict_is_a_crash() -> None:
    laws, worker = backlog("elmo"), FakeWorker()
    for message in ({}, {"verdict": 3}, {"verdict": {"state": "splendid"}}, {"verdict": {"accuracy": [1]}}):
        worker.law = laws.take(worker)  # type: ignore[arg-type]
        laws.finish(worker, message)  # type: ignore[arg-type]
        assert laws.verdicts[-1].state == "crashed"
        assert laws.verdicts[-1].id == worker.law
