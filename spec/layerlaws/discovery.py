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
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

from layerlaws import notes
from layerlaws.language import generic_laws
from layerlaws.language.laws import Fault, Law
from layerlaws.language.note import Case, Catalogue, Note
from layerlaws.language.operations import Operation
from layerlaws.language.workloads import Headline, Workload
from layerlaws.support.errors import WrongUse
from layerlaws.support.printable import describe
from layerlaws.support.sources import digest_of, digest_of_module
from layerlaws.support.terminal import Ended

ANNOUNCING = "layerlaws.notes"
"""The group of entry points by which other packages announce notes."""


@cache
def catalogue() -> Catalogue:
    """Every note that is installed.

    Raises WrongUse where two notes or two operations share a name, and where a package of notes cannot be imported.
    """
    modules = [
        importlib.import_module(f"{notes.__name__}.{module.name}")
        for module in pkgutil.iter_modules(notes.__path__)
        if not module.name.startswith("_")
    ]
    return catalogue_of([*modules, *map(_announced, entry_points(group=ANNOUNCING))])


@cache
def suite_code() -> str:
    """A digest of the code of this package, and of other packages with notes."""
    others = {note.name: note.module.__file__ for note in catalogue().notes}
    files = {"layerlaws": str(Path(__file__).with_name("__init__.py")), **others}
    return digest_of({name: digest_of_module(Path(file)) for name, file in files.items() if file})


def _announced(entry: EntryPoint) -> ModuleType:
    """The note that an installed package announces. Raises WrongUse, naming the package, if it cannot be imported."""
    package = entry.dist.name if entry.dist else entry.value
    remedy = f"mend it, or `pip uninstall {package}`"
    try:
        module = entry.load()
    except (KeyboardInterrupt, Ended):
        raise
    except BaseException as error:  # SystemExit, too: it would end every command in silence
        said = describe(error).partition("\n")[0]
        raise WrongUse(
            f"the note {entry.name!r} of the package {package} cannot be imported: {said}; {remedy}"
        ) from None
    if not isinstance(module, ModuleType):
        raise WrongUse(
            f"the note {entry.name!r} of the package {package} is a {type(module).__name__}, no module; {remedy}"
        )
    return module


def catalogue_of(modules: Iterable[ModuleType]) -> Catalogue:
    """A catalogue of these modules. Raises WrongUse where two notes or two operations share a name."""
    bare = [_note(module) for module in modules]
    by_name: dict[str, Note] = {}
    for note in bare:
        other = by_name.setdefault(note.name, note)
        if other is not note:
            homes = f"{_home(other.module)} and {_home(note.module)}"
            raise WrongUse(f"two notes are called {note.name}, those in {homes}: rename or uninstall one of them")
    operations: dict[str, Operation] = {}
    for note in bare:
        for operation in note.operations:
            if operation.name in operations:
                raise WrongUse(f"two notes define {operation.name}: rename the one in {_home(note.module)}")
            operations[operation.name] = operation
    return Catalogue(tuple(_with_cases(note, operations) for note in bare))


def _home(module: ModuleType) -> str:
    """A module with its file: two may have the same name."""
    return f"{module.__name__} ({module.__file__})" if getattr(module, "__file__", None) else module.__name__


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
