"""Finds the notes: modules dropped into `layerlaws.notes`, and entry points of the group `layerlaws.notes`.

Nothing is listed by hand. A note's operations, laws, faults and workloads are what its module defines, in that order.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import cache
from importlib.metadata import entry_points
from types import ModuleType
from typing import Any

from layerlaws import notes
from layerlaws.language import generic_laws
from layerlaws.language.laws import Fault, Law
from layerlaws.language.note import Case, Catalogue, Note
from layerlaws.language.operations import Operation
from layerlaws.language.workloads import Headline, Workload
from layerlaws.support.errors import WrongUse


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
    free = [(law, (operation,)) for operation in note.operations for law in generic_laws.laws_of(operation)]
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
