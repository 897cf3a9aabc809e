"""Notes, operations and laws as text, for a terminal."""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Callable, Iterator, Sequence
from itertools import dropwhile
from typing import Any

from tabulate import tabulate

from layerlaws.discovery import catalogue
from layerlaws.language.evidence import faults_of, noticed_by
from layerlaws.language.laws import KINDS_OF_LAWS, Fault
from layerlaws.language.note import Case, Catalogue, Note
from layerlaws.support.errors import LISTED, known_name

WIDTH = 80


def explain(name: str) -> str:
    """A note, an operation or a law as text: prose, definition, laws, faults with their sources.

    Raises WrongUse, with similar names, for any other name.
    """
    known = catalogue()
    names = (
        {note.name for note in known.notes}
        | set(known.operations)
        | {part for case in known.cases for part in (case.id, case.law.name)}
    )
    known_name(name, names, "note, operation or law", LISTED)
    for note in known.notes:
        if note.name == name:
            return _note(note)
    if name in known.operations:
        return _operation(known, name)
    return "\n\n".join(_law(case) for case in known.cases if name in (case.id, case.law.name))


def notes_table(known: Catalogue) -> str:
    """The notes as a Markdown table: operations, numbers of laws and faults, title."""
    rows = [
        (
            f"`{note.name}`",
            ", ".join(f"`{operation.name}`" for operation in note.operations),
            len(note.cases),
            len(note.faults),
            note.title,
        )
        for note in known.notes
    ]
    return str(tabulate(rows, headers=("note", "operations", "laws", "faults", "says"), tablefmt="github"))


def _note(note: Note) -> str:
    parts = [f"{note.name}\n{'=' * len(note.name)}", note.prose]
    parts += [_definition(operation.definition) for operation in note.operations]
    parts.append("Laws\n----\n" + "\n".join(_laws(note.cases)))
    parts.append("Faults that prove them\n----------------------\n" + "\n".join(map(_fault, note.faults)))
    return "\n\n".join(parts)


def _laws(cases: Sequence[Case]) -> Iterator[str]:
    """The laws; one that several operations obey is listed once."""
    same: dict[str, list[Case]] = {}
    for case in cases:
        same.setdefault(case.law.name, []).append(case)
    for name, those in same.items():
        whose = ", ".join(case.id.removesuffix(f".{name}") for case in those)
        law = those[0].law
        yield _entry(f"{name} ({whose})" if len(those) > 1 else those[0].id, f"[{law.kind}] {law.statement}")


def _operation(known: Catalogue, name: str) -> str:
    operation = known.operations[name]
    cases = [case for case in known.cases if operation in case.operations]
    faults = [fault for note in known.notes for fault in note.faults if fault.operation is operation]
    return "\n\n".join(
        [
            f"{name}, of the note {next(note.name for note in known.notes if operation in note.operations)}",
            _definition(operation.definition),
            "Laws\n----\n" + "\n".join(_entry(case.id, f"[{case.law.kind}] {case.law.statement}") for case in cases),
            "Faults\n------\n" + ("\n".join(map(_fault, faults)) or "only those of the free laws"),
        ]
    )


def _law(case: Case) -> str:
    faults = [fault for fault in faults_of(case.note) if case in noticed_by(fault, case.note)]
    return "\n\n".join(
        [
            f"{case.id}, of the note {case.note.name}; of kind {case.law.kind}: {KINDS_OF_LAWS[case.law.kind]}",
            textwrap.fill(case.law.statement, WIDTH),
            inspect.getsource(case.law.state).rstrip(),
            "Proven by\n---------\n" + "\n".join(map(_fault, faults)),
        ]
    )


def _definition(definition: Callable[..., Any]) -> str:
    """The source of a definition, without its decorators."""
    lines = inspect.getsource(definition).rstrip().splitlines()
    return "\n".join(dropwhile(lambda line: not line.startswith("def "), lines))


def _entry(name: str, sentence: str) -> str:
    return f"{_filled(name, '', '  ')}\n{_filled(sentence, '    ', '    ')}"


def _filled(text: str, first: str, others: str) -> str:
    """The text wrapped, without breaking links and names."""
    return textwrap.fill(
        text, WIDTH, initial_indent=first, subsequent_indent=others, break_long_words=False, break_on_hyphens=False
    )


def _fault(fault: Fault) -> str:
    words = f"{fault.description} Breaks {', '.join(fault.breaks)}. Seen: {fault.seen}"
    return _entry(f"{fault.operation.name}: {fault.name}", words)
