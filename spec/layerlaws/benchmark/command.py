"""`layerlaws bench`: the run, its progress, and its exit status."""

from __future__ import annotations

import argparse

from rich.console import Console

from layerlaws.benchmark.record import BenchmarkHeader, Timing
from layerlaws.benchmark.runner import Listener, Plan, Unwritten, run
from layerlaws.benchmark.summary import describe, summarize, title
from layerlaws.language.note import Catalogue
from layerlaws.running.journal import DIRECTORY
from layerlaws.running.progress import Progress
from layerlaws.running.worker import Facts


def bench(options: argparse.Namespace, console: Console, known: Catalogue, backends: list[Facts]) -> bool:
    """Time backends as the options say. Returns whether anything unexpected happened."""
    notes = [known.note(name) for name in options.note] or known.notes
    partial = bool(options.note or options.quick)
    plan = Plan(known, backends, notes, options.quick, options.output or (None if partial else DIRECTORY))
    with Progress(console, len(plan.present) * len(plan.cases)) as progress:

        def header(found: BenchmarkHeader) -> None:
            describe(console, found)
            progress.begin(found.timings, "timing", "timings")

        def timing(found: Timing) -> None:
            progress.step(found.state if found.unexpected else "", f"{found.backend}: {title(found)}")

        unwritten: Unwritten | None = None
        try:
            timings = run(plan, Listener(progress.add, header, timing))
        except Unwritten as error:
            timings, unwritten = error.timings, error
    summarize(console, timings)
    if unwritten:
        raise unwritten
    if plan.output is not None:
        console.print(f"record: {plan.output}; `layerlaws report {plan.output}` makes pages of it", markup=False)
    return any(timing.unexpected for timing in timings)
