"""Finds the notes: modules and packages in `layerlaws.notes`, and entry points of the group `layerlaws.notes`.

Nothing is listed by hand. A note's operations, laws, faults and workloads are what its module defines, in that order;
a note that is a package has them in one module per operation, in the order of `parts` in its `__init__`.
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
    parts = _parts(module)

    def defined(kind: Any, home: Callable[[Any], Any]) -> tuple[Any, ...]:
        return tuple(
            x
            for part in parts
            for x in vars(part).values()
            if isinstance(x, kind) and home(x).__module__ == part.__name__
        )

    return Note(
        module,
        defined(Operation, lambda o: o.definition),
        defined(Law, lambda law: law.state),
        defined(Fault, lambda fault: fault.function),
        defined(Workload, lambda workload: workload.arguments),
        tuple(dict.fromkeys(x for part in parts for x in vars(part).values() if isinstance(x, Headline))),
    )


def _parts(module: ModuleType) -> list[ModuleType]:
    """A note's module itself, then the modules of its package, which it lists as `parts`.

    Raises WrongUse for a module of the package that is not listed: nothing in it would be checked.
    """
    parts: list[ModuleType] = list(getattr(module, "parts", ()))
    there = {info.name for info in pkgutil.iter_modules(getattr(module, "__path__", ()))}
    forgotten = there - {part.__name__.rpartition(".")[2] for part in parts}
    if forgotten:
        raise WrongUse(f"{module.__name__} has to list {', '.join(sorted(forgotten))} in `parts`, or it is not checked")
    return [module, *parts]


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
