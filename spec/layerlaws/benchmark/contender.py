"""A contender in the process of its backend: compared with the definition, and made ready to be timed."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from layerlaws.benchmark.exchange import load
from layerlaws.benchmark.expected import arguments_of, cotangent_of
from layerlaws.benchmark.jobs import Contender, format_of, workload_of
from layerlaws.benchmark.messages import Figures, Refusal
from layerlaws.benchmark.timing import Budget, Entrant
from layerlaws.benchmark.variants import Variants
from layerlaws.discovery import catalogue
from layerlaws.language.backend import Backend
from layerlaws.language.implementation import Declined, Implementation, Raised, Unoffered
from layerlaws.support.errors import Broken
from layerlaws.support.printable import describe, printable

AGREEMENT = {"forward": "agrees_with_definition", "gradient": "gradient_agrees_with_definition"}
"""The law that a timed output obeys, by mode."""


@dataclass
class Candidate:
    """A workload on a backend, before it is timed. note: of the job, whose laws count for known deviations."""

    backend: Backend
    note: str
    mode: str
    workload: str
    sizes: dict[str, int]

    def __post_init__(self) -> None:
        """Draw the arguments. Raises Refusal."""
        self.format = format_of([format.name for format in self.backend.formats])
        contender = Contender(self.backend.name, self.workload, tuple(self.sizes.items()))
        self.known = workload_of(contender, catalogue())
        self.implementation = Implementation(self.known.operation, self.backend, self.format)
        with self.refusing():
            self.arguments = arguments_of(self.known, self.format)

    def compare(self, directory: str) -> float:
        """Compare with what the definition says: the largest share of the allowed error. Raises Refusal.

        directory: where `exchange.save` wrote it.
        """
        with self.refusing():
            return load(Path(directory), self.known, self.format, self.arguments).compare(self.backend, self.format)

    def compare_last(self, result: Any, directory: str) -> None:
        """Compare what the last timed call returned or, where a part was compared, that part again. Raises Refusal."""
        with self.refusing("after it was timed: "):
            expected = load(Path(directory), self.known, self.format, {})
            if expected.workload.sizes != self.known.sizes:
                expected.compare(self.backend, self.format)
                return
            gradient = self.mode == "gradient"
            back = self.implementation.back
            results = {name: back(x) for name, x in result.items()} if gradient else back(result)
            expected.judge(self.implementation, results)

    def entrant(self, budget: Budget) -> Entrant:
        """The call that is timed, warmed up. Raises Refusal."""
        with self.refusing():
            variants = Variants(self.arguments, self.implementation.native(self.arguments), self.format)
            call = self._call(variants)
            self.arguments = {}  # they may be large, and are on the device by now

            def vary(number: int, calls: int) -> None:
                variants.choose(number, calls, self.implementation.native)

            entrant = Entrant(call, self.backend.synchronize, self.backend.measured, vary)
            entrant.once()
            try:
                vary(-1, 1)
                entrant.once()
            except Exception:
                variants.stay()
            entrant.warm_up(budget)
            return entrant

    def _call(self, variants: Variants) -> Callable[[], Any]:
        """One call with arguments that are on the device already."""
        backend: Any = self.backend  # it has the function and, where that is timed, a gradient
        function = backend.function(self.implementation.name)
        if self.mode == "forward":
            return lambda: variants.call(lambda native: function(**native))
        results = self.implementation.results(**self.arguments)
        weights = self.implementation.native({"cotangent": cotangent_of(results, self.format)})["cotangent"]
        return lambda: variants.call(lambda native: backend.gradient(function, native, weights))

    @contextlib.contextmanager
    def refusing(self, when: str = "") -> Iterator[None]:
        """Turn whatever a backend raises into a Refusal. when: goes before what is wrong."""
        try:
            yield
        except Broken as broken:
            laws = [f"{self.known.operation.name}.{AGREEMENT[self.mode]}"]
            raise self._refusal("wrong", when + printable(broken), laws) from None
        except Declined as declined:
            raise self._refusal("missing", printable(declined), self._laws()) from None
        except Unoffered as unoffered:
            raise Refusal("missing", printable(unoffered)) from None
        except Raised as raised:
            laws = self._laws() if isinstance(raised.cause, ValueError) else []
            raise self._refusal("error", printable(raised), laws) from None
        except (Exception, SystemExit, KeyboardInterrupt) as unforeseen:
            raise Refusal("error", describe(unforeseen)) from None

    def _laws(self) -> list[str]:
        """The laws of the note: a library that cannot do one thing may refuse others, too."""
        return [case.id for case in catalogue().note(self.note).cases]

    def _refusal(self, state: str, reason: str, laws: list[str]) -> Refusal:
        """Of this state, or "known" if the backend declares that it deviates from one of these laws by design."""
        known = next((known for law, known in self.backend.known.items() if law in laws), None)
        return Refusal("known", f"{printable(known.reason)}; {reason}") if known else Refusal(state, reason)


def measure(entrant: Entrant) -> Figures:
    """The figures of an entrant that has had its turns, and the peak memory of one more call. Raises Refusal."""
    memory = None
    if entrant.failed is None:
        try:
            memory = entrant.peak()
        except Exception as error:
            entrant.failed = error
    if entrant.failed is not None:
        name, message = type(entrant.failed).__name__, printable(entrant.failed)
        raise Refusal("error", f"{printable(name, 100)} while being timed: {message}")
    stats = entrant.stats
    return Figures(stats.rounds, entrant.calls, stats.median, stats.q1, stats.q3, stats.min, memory)
