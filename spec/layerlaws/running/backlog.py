"""One backend's part of a run: laws that wait, laws in progress, and verdicts."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

from layerlaws.checking.literals import printed
from layerlaws.checking.verdict import Verdict
from layerlaws.language.note import Case
from layerlaws.running.counterexamples import write_scripts
from layerlaws.running.journal import Journal
from layerlaws.running.processes import Worker
from layerlaws.running.traces import last_example
from layerlaws.running.worker import LONGEST_CAUSE, Facts, Task
from layerlaws.support.errors import RecordError

_log = logging.getLogger(__name__)

MOST_LOST = {"timed out": 3, "crashed": 10}
"""How many verdicts of an operation may be lost in each state before its remaining laws are given up, if no law of it
has come to its end.
"""

MOST_TIMED_OUT = 10
"""Time-outs of a backend before its remaining laws are given up, if no law has come to its end. One that never returns
would take a day otherwise.
"""

Listener = Callable[[Verdict], None]


class Backlog:
    """The laws one backend is held to.

    unfinished: ids of those without a verdict; waiting: of those not yet sent. unwritten: why its record is not where
    it should be, "" if it is.
    """

    def __init__(self, task: Task, cases: Sequence[Case], journal: Journal | None, listen: Listener) -> None:
        self.task, self.journal, self.listen = task, journal, listen
        self.cases = {case.id: case for case in cases}
        self.unfinished = set(self.cases)
        self.waiting = list(self.cases)
        self.verdicts: list[Verdict] = []
        self.unwritten = ""
        self._code = ""
        self._operations: dict[Worker, str] = {}
        self._lost: Counter[tuple[str, str]] = Counter()
        self._returned: set[str] = set()
        self._put_back: set[str] = set()

    def begin(self, facts: Facts) -> None:
        """Take over the verdicts of a resumed record, and give up all laws if the backend cannot be loaded."""
        for verdict in self.journal.kept if self.journal else ():
            self._record(verdict, kept=True)
        self._code = facts.code
        if facts.state:
            self.give_up(facts.state, facts.reason)

    def load_again(self, worker: Worker, facts: Facts) -> bool:
        """Whether a new worker has loaded the backend that the run began with; if not, its law is given up."""
        if not facts.state and facts.code == self._code:
            return True
        why = f"it could not be loaded again: {facts.reason}" if facts.state else "its code has changed during the run"
        self.give_up(facts.state or "error", why, [worker.law])
        return False

    def take(self, worker: Worker) -> str:
        """The next law for a worker, "" if none waits.

        It is of the worker's current operation or, failing that, of one that no other worker is on: laws of one
        operation share their inputs, which each process draws for itself.
        """
        here, elsewhere = self._operations.get(worker, ""), set(self._operations.values())
        operations = {law: self.cases[law].operation.name for law in self.waiting}
        law = min(operations, key=lambda law: (operations[law] != here, operations[law] in elsewhere), default="")
        if law:
            self.waiting.remove(law)
            self._operations[worker] = operations[law]
        return law

    def forget(self, worker: Worker) -> None:
        """Remove a worker that has ended."""
        self._operations.pop(worker, None)

    def finish(self, worker: Worker, message: dict[str, Any]) -> None:
        """Record the verdict in a worker's message."""
        fallback = self._unheld(worker.law, "crashed")
        try:
            verdict = Verdict.from_json(message["verdict"])
        except (TypeError, ValueError, LookupError, AttributeError) as nonsense:
            verdict = replace(fallback, reason=f"what the process sent is no verdict: {nonsense}")
        identity = {name: getattr(fallback, name) for name in ("backend", "note", "operation", "law", "kind")}
        if self.journal and isinstance(message.get("code"), dict):
            self.journal.add_code(message["code"])
        if verdict.examples:
            self._returned.add(fallback.operation)
        self._record(replace(verdict, **identity))

    def put_back(self, worker: Worker) -> bool:
        """Have a law held again whose worker was ended from elsewhere. Returns whether it will be: once only."""
        first = worker.law not in self._put_back
        if first:
            self._put_back.add(worker.law)
            self.waiting.insert(0, worker.law)
        return first

    def lose(self, worker: Worker, late: bool) -> None:
        """Record that a worker died or is late, and give up laws where that has happened too often."""
        state = "timed out" if late else "crashed"
        reason = f"no verdict within {worker.limit:g} s" if late else f"{worker.death} while the law was being held"
        example = last_example(self.task.traces, worker.pid) if self.task.traces else {}
        format = example.pop("format", "")
        arguments, packed = printed(example)
        operation = self.cases[worker.law].operation.name
        lost = self._unheld(worker.law, state, reason, f"{operation} {state}")
        seconds = round(worker.elapsed, 3)
        self._record(replace(lost, seconds=seconds, dtype=format, counterexample=arguments, packed=packed))
        self._lost[operation, state] += 1
        for law in list(self.waiting):
            self._give_up_if_hopeless(law)

    def _give_up_if_hopeless(self, law: str) -> None:
        """Give a law up that would be lost as well, as far as one can tell."""
        operation = self.cases[law].operation.name
        for state, most in MOST_LOST.items():
            lost = self._lost[operation, state]
            if lost >= most and operation not in self._returned:
                reason = f"not held: {operation} {state} {lost} times before"
                self.give_up(state, reason, [law], f"{operation} {state}")
                return
        timed_out = sum(count for (_, state), count in self._lost.items() if state == "timed out")
        if timed_out >= MOST_TIMED_OUT and not self._returned:
            self.give_up("timed out", f"not held: the backend timed out {timed_out} times before", [law])

    def add(self, case: Case) -> None:
        """One more law, to be held next or, where that is hopeless, given up at once."""
        self.cases[case.id] = case
        self.unfinished.add(case.id)
        self.waiting.insert(0, case.id)
        self._give_up_if_hopeless(case.id)

    def give_up(self, state: str, reason: str, laws: Iterable[str] | None = None, cause: str = "") -> None:
        """Record this state and reason for laws, by default all that wait, without holding the backend to them.

        cause: that the laws share; by default the reason.
        """
        for law in list(self.waiting if laws is None else laws):
            self._record(self._unheld(law, state, reason, cause or reason[:LONGEST_CAUSE]))

    def _unheld(self, law: str, state: str, reason: str = "", cause: str = "") -> Verdict:
        case = self.cases[law]
        names = (self.task.backend, case.note.name, case.operation.name, case.law.name)
        return Verdict(*names, state, reason, kind=case.law.kind, cause=cause)

    def _record(self, verdict: Verdict, kept: bool = False) -> None:
        """Record a verdict, report it, and close the record after the last one."""
        self.unfinished.discard(verdict.id)
        if verdict.id in self.waiting:
            self.waiting.remove(verdict.id)
        if self.journal and not kept:
            self.journal.add(verdict)
        self.verdicts.append(verdict)
        self.listen(verdict)
        if self.journal and not self.unfinished:
            self._close(self.journal)

    def _close(self, journal: Journal) -> None:
        """Publish the record, and write what comes with it. What fails costs nothing else."""
        try:
            journal.close(sum(verdict.seconds for verdict in self.verdicts))
        except RecordError as error:
            self.unwritten = str(error)
        try:
            write_scripts(journal.path.parent, self.task.backend, self.verdicts)
        except OSError as error:
            _log.warning("no scripts are written to %s: %s", error.filename, error.strerror)
