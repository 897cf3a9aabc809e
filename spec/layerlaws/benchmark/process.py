"""A worker process of a benchmark run, as the run sees it: answers one request at a time, or is lost."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from layerlaws.benchmark.messages import A, decode
from layerlaws.running import processes
from layerlaws.running.isolation import WorkerProcess, wait
from layerlaws.support.printable import describe


class Lost(Exception):
    """A process died, did not answer in time, or sent nonsense; the message says which, and what it was doing."""


class BenchmarkProcess(WorkerProcess):
    """lost: why the process is of no more use, "" while it is. It has been killed then."""

    def __init__(self, name: str, serve: Callable[..., None], *arguments: Any, limit: float) -> None:
        """Start the process. limit: seconds for an answer.

        It is a new interpreter: the fork server has loaded NumPy with the one thread that each worker of `check` has.
        """
        super().__init__(name, serve, *arguments, loading=processes.LOADING, limit=limit, fresh=True)
        self.lost = ""
        self._number = 0

    def call(self, expected: type[A], doing: str, **request: Any) -> A:
        """Send a request and wait for its answer. doing: the request in words, for messages.

        Raises Refusal for what the process declines, and Lost.
        """
        if self.lost:
            raise Lost(self.lost)
        self._number += 1
        self.ask(doing, id=self._number, **request)
        message = self.await_message(lambda message: message.get("id") == self._number)
        self.asked = ""
        if message is None:
            self.lose(f"{self.death} ({doing})" if self.dead else f"no answer within {self.limit:g} s ({doing})")
            raise Lost(self.lost)
        if message.get("spent"):
            self.lose("it was ended after it replaced functions that others use")
        try:
            return decode(message, expected)
        except (TypeError, ValueError, LookupError) as nonsense:
            self.lose(f"the process sent nonsense: {describe(nonsense)} ({doing})")
            raise Lost(self.lost) from None

    def await_message(self, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any] | None:
        """The next message of this kind; None if the process dies or is overdue before."""
        while True:
            wait([self])
            dead = self.dead  # read first: then all messages of a dead process are there
            for message in self.hear():
                if wanted(message):
                    return message
            if dead or self.overdue > 0:
                return None

    def lose(self, reason: str) -> None:
        """Give the process up and kill it."""
        self.lost = reason
        self.end()
