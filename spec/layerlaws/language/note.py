"""Notes, and the cases that a backend is held to."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from types import ModuleType

from layerlaws.language.laws import Fault, Law
from layerlaws.language.operations import Operation
from layerlaws.language.workloads import Headline, Workload
from layerlaws.support.errors import LISTED, WrongUse, known_name


@dataclass(frozen=True, eq=False)
class Case:
    """A law together with the operations it speaks of; the first of them gives its inputs."""

    note: Note
    law: Law
    operations: tuple[Operation, ...]

    @property
    def operation(self) -> Operation:
        return self.operations[0]

    @cached_property
    def id(self) -> str:
        """operation.law, unique in the catalogue."""
        return f"{self.operation.name}.{self.law.name}"


@dataclass(frozen=True, eq=False)
class Note:
    """One note: what its module defines and, where that is a package, what the modules of the package do.

    module: its docstring is the prose. order of everything else: as it is defined, module after module.
    """

    module: ModuleType
    operations: tuple[Operation, ...]
    own_laws: tuple[Law, ...]
    faults: tuple[Fault, ...]
    workloads: tuple[Workload, ...] = ()
    headlines: tuple[Headline, ...] = ()
    cases: tuple[Case, ...] = ()

    @property
    def name(self) -> str:
        return self.module.__name__.rpartition(".")[2]

    @property
    def prose(self) -> str:
        return inspect.getdoc(self.module) or ""

    @property
    def title(self) -> str:
        return self.prose.partition("\n")[0]


@dataclass(frozen=True)
class Catalogue:
    """All notes, with their operations and laws by name."""

    notes: tuple[Note, ...]

    @property
    def operations(self) -> dict[str, Operation]:
        return {o.name: o for note in self.notes for o in note.operations}

    @property
    def cases(self) -> tuple[Case, ...]:
        return tuple(case for note in self.notes for case in note.cases)

    def note(self, name: str) -> Note:
        """The note of this name. Raises WrongUse, with near names, where there is none."""
        return {note.name: note for note in self.notes}[known_name(name, [n.name for n in self.notes], "note")]

    def select(self, notes: Sequence[str] = (), laws: Sequence[str] = ()) -> tuple[Case, ...]:
        """The cases of these notes and laws (a law's own name, or operation.law); all where none are named.

        Raises WrongUse for names that do not exist, with near ones.
        """
        wanted = [case for name in notes for case in self.note(name).cases] if notes else list(self.cases)
        if not laws:
            return tuple(wanted)
        names = {name for case in self.cases for name in (case.law.name, case.id)}
        chosen = {known_name(name, names, "law", LISTED) for name in laws}
        selected = tuple(case for case in wanted if chosen & {case.law.name, case.id})
        if not selected:
            raise WrongUse(f"no law of {', '.join(notes)} is called {' or '.join(laws)}")
        return selected
