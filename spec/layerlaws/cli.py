"""The command line: list, explain, check, bench, report, badge, merge, diff, vectors, new.

Exit status: 0 if nothing unexpected happened, 1 for an unexpected verdict (with `check --strict`, for accepted bad
input, with `check --exact` for bits that differ, too) or a regression, 2 for wrong use.
"""

from __future__ import annotations

import argparse
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO, TypeAlias, cast

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from layerlaws.backends import installed_backends
from layerlaws.checking.trial import PROFILES
from layerlaws.discovery import catalogue
from layerlaws.language.laws import KINDS_OF_LAWS
from layerlaws.report.badge import badge
from layerlaws.report.explanation import explain, notes_table
from layerlaws.report.junit import writable, write_junit
from layerlaws.report.scaffold import scaffold
from layerlaws.report.vectors import write_vectors
from layerlaws.running.diffing import diff, in_words
from layerlaws.running.journal import DIRECTORY, records_at
from layerlaws.running.merging import merge
from layerlaws.running.processes import inspected
from layerlaws.running.progress import Progress, not_offered, summarize
from layerlaws.running.runner import TIME_LIMITS, Plan, Unwritten, run
from layerlaws.running.worker import Facts
from layerlaws.support.errors import RecordError, WrongUse
from layerlaws.support.printable import printable
from layerlaws.support.terminal import Ended, ended_by_signals, printing, say
from layerlaws.support.version import __version__

LONGEST_LIMIT, MOST_JOBS, MOST_SEEDS, MOST_EXAMPLES = 10**6, 1000, 2**63 - 1, 10**6
"""What the options for seconds, processes, seeds and examples may be at most."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status."""
    with ended_by_signals(), printing() as output:
        try:
            options = _parser().parse_args(arguments)
            console = Console(file=cast(TextIO, output), highlight=False, soft_wrap=not output.isatty())
            status: int = options.command(options, console)
        except (WrongUse, RecordError) as wrong:
            say(wrong)
            return 2
        except OSError as error:
            say(f"{error.filename}: {error.strerror}" if error.filename else error.strerror or error)
            return 2
        except Ended as ended:
            say("stopped; records keep what was finished, and --resume goes on from there")
            return ended.status
        output.flush()
        return 2 if output.lost else status


Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="layerlaws", description="Hold implementations of deep-learning building blocks to the laws they obey."
    )
    parser.add_argument("--version", action="version", version=f"layerlaws {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for add in (_add_notes, _add_check, _add_bench, _add_records, _add_vectors, _add_new):
        add(commands)
    return parser


def _add_notes(commands: Commands) -> None:
    listing = commands.add_parser("list", help="list the notes and the installed backends")
    listing.add_argument("--markdown", action="store_true", help="the notes as a Markdown table")
    listing.set_defaults(command=_list)

    explaining = commands.add_parser("explain", help="explain a note, an operation or a law")
    explaining.add_argument("name", help="as `layerlaws list` and the reports spell it")
    explaining.set_defaults(command=_explain)


def _add_check(commands: Commands) -> None:
    checking = commands.add_parser("check", help="hold backends to the laws, and write records")
    checking.add_argument(
        "backends",
        nargs="*",
        metavar="BACKEND",
        help="an installed name, module, module:object or path.py (default: all installed)",
    )
    checking.add_argument("--note", action="append", default=[], help="only this note; may be repeated")
    checking.add_argument("--law", action="append", default=[], help="only this law; may be repeated")
    checking.add_argument(
        "--profile",
        choices=PROFILES,
        default="standard",
        help="most examples per law: " + ", ".join(f"{k} {n}" for k, n in PROFILES.items()),
    )
    checking.add_argument("--seed", type=_seed, help="seed of the examples (default: the same examples in every run)")
    checking.add_argument(
        "--output",
        type=Path,
        metavar="DIR",
        help=f"where records go (default: {DIRECTORY}; with --note or --law nowhere)",
    )
    checking.add_argument("--junit", type=Path, metavar="FILE", help="write the verdicts as JUnit XML, too")
    checking.add_argument("--missing", action="store_true", help="list the functions that backends do not offer")
    checking.add_argument("--jobs", type=_jobs, metavar="N", help="worker processes (default: one per core)")
    checking.add_argument(
        "--timeout",
        type=_seconds,
        metavar="SECONDS",
        default=0,
        help="time limit per law: " + ", ".join(f"{k} {s:g}" for k, s in TIME_LIMITS.items()),
    )
    checking.add_argument("--resume", action="store_true", help="continue the records of an interrupted run")
    checking.add_argument("--strict", action="store_true", help="bad input that is accepted makes the run fail, too")
    checking.add_argument(
        "--exact", action="store_true", help="results whose bits depend on batch, chunks or run make the run fail, too"
    )
    checking.set_defaults(command=_check)


def _add_bench(commands: Commands) -> None:
    timing = commands.add_parser("bench", help="time backends that keep the laws, side by side, and write a record")
    timing.add_argument("backends", nargs="*", metavar="BACKEND", help="as for check (default: all installed)")
    timing.add_argument("--note", action="append", default=[], help="only this note; may be repeated")
    timing.add_argument(
        "--quick", action="store_true", help="small batches, few rounds, no growth or headlines, one law per operation"
    )
    timing.add_argument(
        "--output",
        type=Path,
        metavar="DIR",
        help=f"where the record goes (default: {DIRECTORY}; with --note or --quick nowhere)",
    )
    timing.set_defaults(command=_bench)


def _add_records(commands: Commands) -> None:
    reporting = commands.add_parser("report", help="write README.md and index.html from records")
    reporting.add_argument("directory", nargs="?", type=Path, default=DIRECTORY, metavar="DIR")
    reporting.set_defaults(command=_report)

    badging = commands.add_parser("badge", help="write a badge for a README, as SVG, from a record")
    badging.add_argument("record", type=Path, metavar="RECORD", help="a record, or a directory with a single one")
    badging.add_argument("-o", "--output", type=Path, required=True, metavar="FILE", help="written anew each time")
    badging.set_defaults(command=_badge)

    merging = commands.add_parser("merge", help="merge records of several runs or machines into one directory")
    merging.add_argument("sources", nargs="+", type=Path, metavar="RECORDS", help="directories of records, or records")
    merging.add_argument("-o", "--output", type=Path, required=True, metavar="DIR", help="a directory without records")
    merging.add_argument("--incomplete", action="store_true", help="accept incomplete records, too")
    merging.set_defaults(command=_merge)

    comparing = commands.add_parser("diff", help="compare two runs law by law; exit status 1 on a regression")
    comparing.add_argument("old", type=Path, help="a directory of records, or a record")
    comparing.add_argument("new", type=Path, help="a later one")
    comparing.set_defaults(command=_diff)


def _add_vectors(commands: Commands) -> None:
    writing = commands.add_parser(
        "vectors", help="write inputs, values and allowed errors as JSON, for other languages"
    )
    writing.add_argument("note", metavar="NOTE", help="as `layerlaws list` spells it")
    writing.add_argument("-o", "--output", type=Path, required=True, metavar="DIR", help="where OPERATION.json go")
    writing.add_argument("--dtype", action="append", default=[], help="only this one; may be repeated")
    writing.add_argument("--examples", type=_positive, default=3, metavar="N", help="per dtype (default: 3)")
    writing.add_argument("--seed", type=_seed, help="seed of the examples (default: the same examples in every run)")
    writing.set_defaults(command=_vectors)


def _add_new(commands: Commands) -> None:
    starting = commands.add_parser("new", help="write a file to start a backend of your own from")
    starting.add_argument("name", help="of the backend: my_backend writes my_backend.py")
    starting.add_argument("--torch", action="store_true", help="for PyTorch: tensors and modules")
    starting.set_defaults(command=_new)


def _list(options: argparse.Namespace, console: Console) -> int:
    known = catalogue()
    if options.markdown:
        console.print(notes_table(known), markup=False)
        return 0
    notes = Table(box=None, pad_edge=False, title="Notes", title_justify="left", title_style="bold")
    for heading, right in (("note", False), ("laws", True), ("faults", True), ("says", False)):
        notes.add_column(heading, justify="right" if right else "left", no_wrap=heading != "says")
    for note in known.notes:
        notes.add_row(note.name, str(len(note.cases)), str(len(note.faults)), escape(note.title))
    console.print(notes)
    kinds = Counter(case.law.kind for case in known.cases)
    console.print(f"{len(known.cases)} laws: " + ", ".join(f"{kinds[kind]} of {kind}" for kind in KINDS_OF_LAWS))
    backends = Table(box=None, pad_edge=False, title="\nBackends", title_justify="left", title_style="bold")
    for heading in ("backend", "operations", "here"):
        backends.add_column(heading)
    for backend in inspected(list(installed_backends())):
        here = f"{backend.state}: {backend.reason}" if backend.state else backend.device
        backends.add_row(backend.name, f"{len(backend.functions)} of {len(known.operations)}", escape(here))
    console.print(backends)
    return 0


def _explain(options: argparse.Namespace, console: Console) -> int:
    console.print(explain(options.name), markup=False)
    return 0


def _check(options: argparse.Namespace, console: Console) -> int:
    cases = catalogue().select(options.note, options.law)
    partial = bool(options.note or options.law)
    output = options.output or (None if partial else DIRECTORY)
    junit = writable(options.junit) if options.junit else None
    if options.resume and output is None:
        raise WrongUse("--resume goes on with records: name the --output where they are")
    jobs = options.jobs or os.cpu_count() or 1
    backends = inspected(options.backends or list(installed_backends()), jobs)
    plan = Plan(
        backends,
        cases,
        options.note,
        options.law,
        options.profile,
        options.seed,
        output,
        jobs,
        options.timeout,
        options.resume,
        options.strict,
        options.exact,
    )
    unwritten = ""
    with Progress(console, len(backends) * len(cases), plan.fails) as progress:
        try:
            verdicts = run(plan, progress.add)
        except Unwritten as error:
            verdicts, unwritten = error.verdicts, str(error)
    if junit:
        write_junit(junit, backends, verdicts, plan.fails)
    summarize(console, plan, verdicts)
    if options.missing:
        console.print("\n".join(not_offered(plan)), markup=False)
    if unwritten:
        say(unwritten)
        return 2
    absent = [backend for backend in backends if backend.unavailable and backend.name in options.backends]
    return int(_named_but_absent(absent) or any(map(plan.fails, verdicts)))


def _named_but_absent(absent: Sequence[Facts]) -> bool:
    for backend in absent:
        say(f"{backend.name} was asked for, but {backend.unavailable}")
    return bool(absent)


def _bench(options: argparse.Namespace, console: Console) -> int:
    from layerlaws.benchmark.command import bench

    known = catalogue()
    backends = inspected(options.backends or list(installed_backends()))
    unexpected = bench(options, console, known, backends)
    absent = [backend for backend in backends if backend.unavailable and backend.name in options.backends]
    return int(unexpected or _named_but_absent(absent))


def _report(options: argparse.Namespace, console: Console) -> int:
    from layerlaws.report import write_report

    for path in write_report(options.directory):
        console.print(printable(path), markup=False)
    return 0


def _badge(options: argparse.Namespace, console: Console) -> int:
    records = records_at(options.record)
    if len(records) > 1:
        raise WrongUse(f"{options.record} holds {len(records)} records; name the one that the badge is of")
    options.output.write_text(badge(records[0]), encoding="utf-8")
    console.print(str(options.output), markup=False)
    return 0


def _merge(options: argparse.Namespace, console: Console) -> int:
    for path in merge(options.sources, options.output, options.incomplete):
        console.print(printable(path), markup=False)
    return 0


def _diff(options: argparse.Namespace, console: Console) -> int:
    difference = diff(options.old, options.new)
    for line in in_words(difference):
        console.print(printable(line), markup=False)
    return int(bool(difference.regressions))


def _vectors(options: argparse.Namespace, console: Console) -> int:
    for path in write_vectors(options.note, options.output, options.dtype, options.examples, options.seed):
        console.print(printable(path), markup=False)
    return 0


def _new(options: argparse.Namespace, console: Console) -> int:
    path = scaffold(options.name, Path.cwd(), options.torch)
    console.print(f"{path.name}: every operation is missing yet; fill in one and run\n  layerlaws check ./{path.name}")
    return 0


def _whole(text: str, least: int, most: int) -> int:
    try:
        number = int(text)
    except ValueError:
        number = least - 1
    if not least <= number <= most:
        raise argparse.ArgumentTypeError(f"{printable(text, 40)!r} is no whole number from {least} to {most:,}")
    return number


def _positive(text: str) -> int:
    return _whole(text, 1, MOST_EXAMPLES)


def _seconds(text: str) -> int:
    return _whole(text, 1, LONGEST_LIMIT)


def _jobs(text: str) -> int:
    return _whole(text, 1, MOST_JOBS)


def _seed(text: str) -> int:
    return _whole(text, 0, MOST_SEEDS)
