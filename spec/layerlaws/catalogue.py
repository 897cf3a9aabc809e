"""Finds the notes: modules dropped into `layerlaws.notes`, and entry points of the group `layerlaws.notes`.

Nothing is listed by hand. A note's operations, laws, faults and workloads are what its module defines, in that order.
"""

from __future__ import annotations

import difflib
import importlib
import inspect
import pkgutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.metadata import entry_points
from types import ModuleType
from typing import Any

from layerlaws import free_laws, notes
from layerlaws.law import Fault, Law
from layerlaws.operation import Operation
from layerlaws.workload import Headline, Workload


class WrongUse(Exception):
    """The user asked for something that does not exist or cannot be; the message says what to do instead."""


@dataclass(frozen=True, eq=False)
class Case:
    """A law together with the operations it speaks of; the first of them gives its inputs."""

    note: Note
    law: Law
    operations: tuple[Operation, ...]

    @property
    def operation(self) -> Operation:
        return self.operations[0]

    @property
    def id(self) -> str:
        """operation.law, unique in the catalogue."""
        return f"{self.operation.name}.{self.law.name}"


@dataclass(frozen=True, eq=False)
class Note:
    """One module of specification."""

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
        chosen = {known_name(name, names, "law") for name in laws}
        selected = tuple(case for case in wanted if chosen & {case.law.name, case.id})
        if not selected:
            raise WrongUse(f"no law of {', '.join(notes)} is called {' or '.join(laws)}")
        return selected


def known_name(name: str, names: Iterable[str], kind: str) -> str:
    """The name itself. Raises WrongUse, with near names, where it is none of `names`."""
    names = sorted(names)
    if name in names:
        return name
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    hint = f"; did you mean {' or '.join(near)}?" if near else f"; there are {', '.join(names) or 'none'}"
    raise WrongUse(f"there is no {kind} called {name!r}{hint}")


@cache
def catalogue() -> Catalogue:
    """Every note that is installed. Raises WrongUse where two operations share a name."""
    modules = [
        importlib.import_module(f"{notes.__name__}.{module.name}")
        for module in pkgutil.iter_modules(notes.__path__)
        if not module.name.startswith("_")
    ]
    modules += [entry.load() for entry in entry_points(group="layerlaws.notes")]
    return catalogue_of(modules)


def catalogue_of(modules: Iterable[ModuleType]) -> Catalogue:
    """A catalogue of these modules. Raises WrongUse where two operations share a name."""
    bare = [_note(module) for module in modules]
    operations: dict[str, Operation] = {}
    for note in bare:
        for operation in note.operations:
            if operation.name in operations:
                raise WrongUse(f"two notes define {operation.name}: rename the one in {note.module.__name__}")
            operations[operation.name] = operation
    return Catalogue(tuple(_with_cases(note, operations) for note in bare))


def _note(module: ModuleType) -> Note:
    def defined(kind: Any, home: Callable[[Any], Any]) -> tuple[Any, ...]:
        return tuple(x for x in vars(module).values() if isinstance(x, kind) and home(x).__module__ == module.__name__)

    return Note(
        module,
        defined(Operation, lambda o: o.definition),
        defined(Law, lambda law: law.state),
        defined(Fault, lambda fault: fault.function),
        defined(Workload, lambda workload: workload.arguments),
        tuple(x for x in vars(module).values() if isinstance(x, Headline)),
    )


def _with_cases(note: Note, operations: dict[str, Operation]) -> Note:
    free = [(law, (operation,)) for operation in note.operations for law in free_laws.laws_of(operation)]
    own = [(law, tuple(operations[p] for p in law.parameters if p in operations)) for law in note.own_laws]
    for law, spoken_of in own:
        if not spoken_of:
            raise WrongUse(f"the law {note.name}.{law.name} names no operation among its parameters: {law.parameters}")
    whole = replace(note, cases=())
    object.__setattr__(whole, "cases", tuple(Case(whole, law, spoken_of) for law, spoken_of in free + own))
    seen: set[str] = set()
    for case in whole.cases:
        if case.id in seen:
            raise WrongUse(f"{note.name} states {case.id} twice")
        seen.add(case.id)
    return whole
