"""The progress of a run and its summary, on a terminal or in a log."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar
from rich.table import Table

from layerlaws.checking.exactness import exactness_of
from layerlaws.checking.failure import failure, same_cause
from layerlaws.checking.verdict import (
    ACCEPTED,
    STATES,
    Verdict,
    bad_input,
    bad_input_in_words,
    by_cause,
    declines_in_words,
    percentage,
    share_of_domain,
)
from layerlaws.discovery import catalogue
from layerlaws.running.counterexamples import DIRECTORY, script_path
from layerlaws.running.runner import Plan
from layerlaws.support.printable import printable
from layerlaws.support.stopwatch import PARTS

SHOWN = 2
"""How many failures of a backend are printed in full; the others are summarized."""

NAMED = 6
"""How many operations of one arithmetic are named; of more, only the number is printed."""

COLOURS = {
    **dict.fromkeys(("missing", "not offered", "unavailable"), "dim"),
    "held": "green",
    **dict.fromkeys(("accepted", "inexact"), "yellow"),
    "known": "cyan",
}


class Progress:
    """A progress bar on a terminal; elsewhere a line for every tenth of the work and for every unexpected verdict."""

    def __init__(
        self, console: Console, total: int, fails: Callable[[Verdict], bool] = lambda verdict: verdict.unexpected
    ) -> None:
        """fails: whether a verdict makes the run fail."""
        self.console, self.fails = console, fails
        self.bar = Bar(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self.causes: set[tuple[str, str]] = set()
        self.task = self.bar.add_task("", total=total)
        self.begin(total, "holding laws", "laws")

    def begin(self, total: int, doing: str, unit: str) -> None:
        """Start again with other work. doing: what it is, for the bar. unit: what is counted."""
        self.total, self.doing, self.unit, self.done, self.unexpected = total, doing, unit, 0, 0
        self.bar.reset(self.task, total=total, description=doing)

    def add(self, verdict: Verdict) -> None:
        """Count a verdict, and print it at once if it is unexpected and the first of its cause."""
        told = (verdict.backend, verdict.cause) in self.causes
        if verdict.cause:
            self.causes.add((verdict.backend, verdict.cause))
        unexpected = verdict.state if self.fails(verdict) else ""
        self.step(unexpected, f"{verdict.backend}: {verdict.id}", told)

    def step(self, unexpected: str, what: str, told: bool = False) -> None:
        """Count one unit of work. unexpected: the state to print, before `what`; "" for none. told: print nothing."""
        self.done += 1
        self.unexpected += bool(unexpected)
        if unexpected and not told:
            self.bar.console.print(f"[red]{unexpected}[/red] {escape(printable(what))}")
        description = f"{self.unexpected} unexpected" if self.unexpected else self.doing
        self.bar.update(self.task, completed=self.done, description=description)
        tenth = max(1, self.total // 10)
        if not self.console.is_terminal and (self.done % tenth == 0 or self.done == self.total):
            self.console.print(f"{self.done} of {self.total} {self.unit}, {self.unexpected} unexpected")

    def __enter__(self) -> Progress:
        self.bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        self.bar.stop()


def summarize(console: Console, plan: Plan, verdicts: Sequence[Verdict]) -> None:
    """Print failures, the table of verdicts, and where the records are."""
    order = {case.id: place for place, case in enumerate(plan.cases)}
    for backend in plan.backends:
        failures = [verdict for verdict in verdicts if plan.fails(verdict) and verdict.backend == backend.name]
        _failures(console, backend.name, sorted(failures, key=lambda verdict: order[verdict.id]), plan.output)
    console.print()
    console.print(_table(plan, verdicts))
    for backend in plan.backends:
        own = [verdict for verdict in verdicts if verdict.backend == backend.name]
        console.print(_examples(printable(backend.name), own), markup=False)
        for line in (*_partial(own), *_bad_input(own, plan.strict), *_exactness(own, plan.exact)):
            console.print(line, markup=False)
        if any(verdict.seconds for verdict in own):
            console.print(_durations(own), markup=False)
        for line in _arithmetics(own):
            console.print(line, markup=False)
    scripts = plan.output is not None and (plan.output / DIRECTORY).is_dir()
    if plan.output is not None and scripts and any(script_path(verdict) for verdict in verdicts):
        console.print(f"counterexamples, as scripts: {plan.output / DIRECTORY}", markup=False)
    if plan.output is not None:
        console.print(f"records: {plan.output}; `layerlaws report {plan.output}` makes pages of them", markup=False)


def not_offered(plan: Plan) -> Iterator[str]:
    """The functions that each backend does not offer, of those that the laws of the run speak of, by note."""
    spoken_of = {operation for case in plan.cases for operation in case.operations}
    for backend in plan.backends:
        absent = {operation for operation in spoken_of if operation.name not in backend.functions}
        yield f"{backend.name} does not offer {len(absent)} of {len(spoken_of)} functions" + ":" * bool(absent)
        for note in catalogue().notes:
            names = ", ".join(operation.name for operation in note.operations if operation in absent)
            if names:
                yield textwrap.fill(f"{note.name}: {names}", 78, initial_indent="  ", subsequent_indent="    ")


def _failures(console: Console, name: str, failures: Sequence[Verdict], output: Path | None) -> None:
    """Print the first failures in full and the others in brief, each cause and each diagnosis once."""
    diagnosed: set[str] = set()
    groups = by_cause(failures)
    for verdict, *others in groups[:SHOWN]:
        known = verdict.diagnosis in diagnosed
        diagnosed.add(verdict.diagnosis)
        script = script_path(verdict) if output is not None else None
        again = f"python {output / script}" if output is not None and script is not None else None
        told = replace(verdict, diagnosis="") if known else verdict
        text = failure(told, again, others)
        console.print("\n" + printable(text, len(text)), markup=False)
    if groups[SHOWN:]:
        console.print(f"\n{printable(name)}, also (--law shows one in full):", markup=False)
    for verdict, *others in groups[SHOWN:]:
        console.print(f"  {verdict.id} is {verdict.state}", markup=False)
        console.print(textwrap.indent(_brief(verdict.reason), "    "), markup=False)
        for line in same_cause(verdict, others):
            console.print(f"  {line}", markup=False)
    if any(verdict.state == "error" and " in line " in verdict.cause for verdict in failures):
        hint = "(a function that does not offer an input says so: raise layerlaws.Unsupported(reason))"
        console.print(f"\n{hint}", markup=False)
    if len(groups) < len(failures):
        causes = f"{len(groups)} cause{'s' * (len(groups) > 1)}"
        console.print(f"\n{name}: {len(failures)} unexpected verdicts, of {causes}", markup=False)


def _brief(text: str) -> str:
    """The first line of a reason, cut to two lines of a terminal."""
    return "\n".join(textwrap.wrap(text.partition("\n")[0], 76, max_lines=2, placeholder=" ..."))


def _table(plan: Plan, verdicts: Sequence[Verdict]) -> Table:
    counts = {
        backend.name: Counter(v.state for v in verdicts if v.backend == backend.name) for backend in plan.backends
    }
    shown = [state for state in STATES if state == "held" or any(count[state] for count in counts.values())]
    table = Table(box=None, pad_edge=False)
    table.add_column("backend", overflow="fold")
    for state in shown:
        table.add_column(state, justify="right", style=COLOURS.get(state, "red"))
    table.add_column("of", justify="right")
    partial = any(verdict.declined for verdict in verdicts)
    if partial:
        table.add_column("of what was drawn", justify="right")
    for name, count in counts.items():
        share = percentage(share_of_domain(verdict for verdict in verdicts if verdict.backend == name))
        cells = [str(count[state]) for state in shown] + [str(len(plan.cases))] + ([share] if partial else [])
        table.add_row(escape(printable(name)), *cells)
    return table


def _partial(verdicts: Sequence[Verdict]) -> Iterator[str]:
    """How much of what was drawn each operation takes, where it declines some, and its reasons."""
    for operation in dict.fromkeys(verdict.operation for verdict in verdicts if verdict.declined):
        own = [verdict for verdict in verdicts if verdict.operation == operation and verdict.examples]
        held = sum(verdict.state == "held" for verdict in own)
        share = f"on {percentage(share_of_domain(own))} of what was drawn"
        line = f"{operation}: {held} law{'s' * (held != 1)} held, {share}; declined: {declines_in_words(own)}"
        yield textwrap.fill(line, 78, initial_indent="  ", subsequent_indent="    ")


def _bad_input(verdicts: Sequence[Verdict], strict: bool) -> Iterator[str]:
    """How many kinds of bad input a backend accepts, and their names, but for those that it accepts by design."""
    accepted, _ = bad_input(verdicts)
    if not accepted:
        return
    new = [verdict for verdict in accepted if verdict.state == ACCEPTED]
    hint = "" if strict or not new else " (counts with --strict)"
    yield f"  accepts bad input: {bad_input_in_words(verdicts)}{hint}"
    for operation in dict.fromkeys(verdict.operation for verdict in new):
        names = ", ".join(verdict.law for verdict in new if verdict.operation == operation)
        yield textwrap.fill(f"{operation}: {names}", 78, initial_indent="    ", subsequent_indent="      ")


def _exactness(verdicts: Sequence[Verdict], exact: bool) -> Iterator[str]:
    """In how many operations results have the same bits, and the names of the others."""
    found = list(exactness_of(verdicts))
    if not found:
        return
    hint = " (counts with --exact)" if any(each.inexact for each in found) and not exact else ""
    line = f"bit for bit: {', '.join(each.words for each in found)}{hint}"
    yield textwrap.fill(line, 78, initial_indent="  ", subsequent_indent="    ")
    for each in found:
        if each.inexact:
            names = f"not {each.name}: {', '.join(each.inexact)}"
            yield textwrap.fill(names, 78, initial_indent="    ", subsequent_indent="      ")


def _durations(verdicts: Sequence[Verdict]) -> str:
    """The total time of the laws, and what it was spent on."""
    seconds = sum(verdict.seconds for verdict in verdicts)
    shares = {part: sum(verdict.spent.get(part, 0.0) for verdict in verdicts) / seconds for part in PARTS}
    parts = [f"{share:.0%} {part}" for part, share in shares.items()]
    rate = sum(verdict.examples for verdict in verdicts) / seconds
    parts.append(f"{1 - sum(shares.values()):.0%} the rest")
    return f"  {seconds:.1f} s over all workers, {rate:,.0f} examples/s: {', '.join(parts)}"


def _examples(name: str, verdicts: Sequence[Verdict]) -> str:
    """The number of examples, and the largest share of the allowed error that an operation used."""
    executed, undecidable = (sum(getattr(v, field) for v in verdicts) for field in ("examples", "undecidable"))
    line = f"{name}: {executed} examples, {undecidable} undecidable"
    shares = [
        (shares.worst, verdict.operation, dtype)
        for verdict in verdicts
        if verdict.law == "agrees_with_definition" and verdict.state == "held"
        for dtype, shares in verdict.accuracy.items()
    ]
    if not shares:
        return line
    worst, operation, dtype = max(shares)
    return f"{line}; largest share of the allowed error: {worst:.2f} ({operation}, {dtype})"


def _arithmetics(verdicts: Sequence[Verdict]) -> Iterator[str]:
    """The tightest arithmetics of half precision that the results of operations fit, and how many fit each."""
    found: dict[str, dict[str, list[str]]] = {}
    for verdict in verdicts:
        if verdict.law != "agrees_with_definition" or verdict.state != "held":
            continue
        for dtype, words in verdict.arithmetic.items():
            if not verdict.accuracy[dtype].elements:  # nothing that is rounded
                continue
            found.setdefault(dtype, {}).setdefault(words, []).append(verdict.operation)
    for by_words in found.values():
        for words, operations in sorted(by_words.items(), key=lambda item: -len(item[1])):
            names = f" ({', '.join(operations)})" if len(operations) <= NAMED else ""
            line = f"{words}: {len(operations)} operation{'s' * (len(operations) > 1)}{names}"
            yield textwrap.fill(line, 78, initial_indent="  ", subsequent_indent="    ")
