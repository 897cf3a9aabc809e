"""Finds and loads backends: a module, a package of modules, an object in a module, or a file.

A backend has functions named after operations, and converts arrays from and to NumPy. Bundled backends are found like
all others: by entry points of the group `layerlaws.backends`.
"""

from __future__ import annotations

import difflib
import functools
import importlib
import importlib.util
import inspect
import pkgutil
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

from layerlaws.declarations import arithmetic_of, available, check_declarations, dtypes_of, known_of
from layerlaws.language.backend import GRADIENT_OF, Backend, Known
from layerlaws.language.note import Catalogue
from layerlaws.language.operations import BACKENDS, Operation
from layerlaws.numerics.arithmetic import Arithmetic
from layerlaws.numerics.formats import FORMATS, STORAGE_FORMATS, Format, formats_named
from layerlaws.support.errors import WrongUse, known_name
from layerlaws.support.sources import Sources

AGREEMENT = "agrees_with_definition"
"""The law that an operation whose deviation is declared as a whole does not hold."""

PROTOCOL = {"from_numpy", "to_numpy", "available", "synchronize", "gradient", "describe", "measured"}
"""Names of a backend's functions that are not operations."""


def installed_backends() -> dict[str, str]:
    """The installed backends: where each is found ("module" or "module:object"), by name.

    Raises WrongUse where two packages announce different ones by one name.
    """
    found: dict[str, EntryPoint] = {}
    for entry in entry_points(group="layerlaws.backends"):
        other = found.setdefault(entry.name, entry)
        if other.value != entry.value:
            packages = " and ".join(each.dist.name if each.dist else each.value for each in (other, entry))
            raise WrongUse(f"the packages {packages} both announce a backend {entry.name!r}: uninstall one of them")
    return {name: entry.value for name, entry in found.items()}


def load_backend(name: str, catalogue: Catalogue, sources: Sources | None = None) -> Backend:
    """The backend of this name: an installed one, "module", "module:object" or "path.py".

    sources: what finds modules and remembers their code; None for one that does so while the backend is loaded. A
    backend whose dependencies are missing, or whose `available` gives a reason, is returned as unavailable. Raises
    WrongUse if it does not exist, declares what cannot be, or has a function that is not an operation or has other
    parameters.
    """
    if sources is None:
        with Sources() as sources:
            return load_backend(name, catalogue, sources)
    installed = installed_backends()
    place = installed.get(name, name)
    try:
        found = _find(place, name, installed, sources)
        _homes(found)  # a package may need something in one of its modules only
    except ModuleNotFoundError as missing:
        return _unavailable(name, f"it needs {missing.name}, which is not installed: {_remedy(name, missing)}")
    except ImportError as broken:
        return _unavailable(name, f"it cannot be imported: {broken}")
    check_declarations(found, name)
    functions = _functions(found, name, catalogue)
    BACKENDS.update({function.__module__ for function in functions.values() if inspect.isfunction(function)})
    formats, arithmetics = _arithmetics(found, name, catalogue)
    reason = available(found, name)
    return Backend(
        name,
        functions,
        found.from_numpy,
        found.to_numpy,
        formats,
        getattr(found, "gradient", None),
        getattr(found, "synchronize", None) or (lambda: None),
        str(found.describe()) if getattr(found, "describe", None) and not reason else "CPU",
        _known(found, name, catalogue),
        reason,
        getattr(found, "measured", None),
        arithmetics,
    )


def _find(place: str, name: str, installed: Mapping[str, str], sources: Sources) -> Any:
    """The module or object at this place. Raises WrongUse, or ImportError if importing it fails."""
    if place.endswith(".py"):
        return _module_from_file(Path(place), sources)
    module, _, attribute = place.partition(":")
    top = module.partition(".")[0]
    sources.packages.add(top)
    if name not in installed and sources.place_of(top) is None and top not in sys.modules:
        sources.folders.append(str(Path.cwd()))
        if sources.place_of(top) is None:
            _refuse(module, name, installed)
    if "." in module and name not in installed and not _importable(module):
        _refuse(module, name, installed)
    found = importlib.import_module(module)
    if attribute and not hasattr(found, attribute):
        raise WrongUse(f"{module} has no {attribute!r}")
    return getattr(found, attribute) if attribute else found


def _refuse(module: str, name: str, installed: Mapping[str, str]) -> None:
    """Raises WrongUse for a module that does not exist."""
    if "." not in module:
        known_name(name, installed, "backend")
    raise WrongUse(f"there is no module {module!r}; is it installed, or should it be a path ending in .py?")


def _importable(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError as missing:
        if missing.name and (module + ".").startswith(missing.name + "."):
            return False
        raise


def _module_from_file(path: Path, sources: Sources) -> ModuleType:
    """The module in a file. Its code, and no other, finds modules beside it that are nowhere else."""
    if not path.is_file():
        raise WrongUse(f"there is no file {path}")
    whole = path.absolute()
    taken = path.stem in sys.modules or sources.place_of(path.stem) not in (None, str(whole))
    name = f"_backend_{path.stem}" if taken else path.stem  # no library finds a backend where it looks for a module
    sources.packages.add(name)
    sources.folders.append(str(whole.parent))
    return sources.take(name, whole)


def _functions(found: Any, name: str, catalogue: Catalogue) -> dict[str, Callable[..., Any]]:
    """The operations among the public functions of a backend and of the modules of its package."""
    operations = catalogue.operations
    functions: dict[str, Callable[..., Any]] = {}
    strangers: list[str] = []
    for home in _homes(found):
        for attribute, value in vars(home).items() if isinstance(home, ModuleType) else _members(home):
            if attribute.startswith("_") or attribute in PROTOCOL or not callable(value) or inspect.isclass(value):
                continue
            if attribute in operations:
                _refuse_definitions(name, attribute, value, catalogue)
                _check_signature(name, operations[attribute], value)
                functions[attribute] = value
            elif getattr(value, "__module__", None) == getattr(home, "__name__", None) and inspect.isfunction(value):
                strangers.append(attribute)
    if strangers:
        raise WrongUse(_no_operations(name, strangers, operations))
    return functions


def _no_operations(name: str, strangers: Sequence[str], operations: Mapping[str, Operation]) -> str:
    """The message about public functions that are no operations, with the operations that may be meant."""
    listed = []
    for stranger in strangers:
        near = difflib.get_close_matches(stranger, operations, n=2, cutoff=0.75)
        hint = f" (did you mean {' or '.join(operations[n].signature for n in near)}?)" if near else ""
        listed.append(stranger + hint)
    what = "a function that is no operation" if len(listed) == 1 else f"{len(listed)} functions that are no operations"
    return f"the backend {name!r} defines {what}: {', '.join(listed)}; give helpers a leading underscore"


def _homes(found: Any) -> list[Any]:
    """The objects that are searched for a backend's functions: itself, and the modules of its package.

    The backend may name another package as `operations`.
    """
    named = getattr(found, "operations", None)  # refused later if it is no name
    package = importlib.import_module(named) if isinstance(named, str) else found
    homes = [found] if package is found else [found, package]
    if hasattr(package, "__path__"):
        homes += [
            importlib.import_module(f"{package.__name__}.{module.name}")
            for module in pkgutil.iter_modules(package.__path__)
            if not module.name.startswith("_")
        ]
    return homes


def _members(home: Any) -> list[tuple[str, Any]]:
    return [(attribute, getattr(home, attribute)) for attribute in dir(home)]


def _refuse_definitions(name: str, attribute: str, value: Any, catalogue: Catalogue) -> None:
    """Raises WrongUse for a definition, which would be compared with itself."""
    inner = inspect.unwrap(value) if inspect.isfunction(value) else value
    inner = inner.func if isinstance(inner, functools.partial) else inner
    definitions = {operation.definition for operation in catalogue.operations.values()}
    if isinstance(inner, Operation) or isinstance(getattr(inner, "__self__", None), Operation) or inner in definitions:
        raise WrongUse(
            f"{attribute} of the backend {name!r} is the definition itself, which every backend is compared with; "
            "give it an implementation, or leave it out"
        )


def _check_signature(name: str, operation: Operation, function: Callable[..., Any]) -> None:
    try:
        inspect.signature(function).bind(**dict.fromkeys(operation.parameters))
    except TypeError as wrong:
        raise WrongUse(
            f"{operation.name} of the backend {name!r} cannot be called as {operation.signature}: {wrong}; "
            f"it is {operation.name}{inspect.signature(function)}"
        ) from None
    except ValueError:
        return  # a builtin without a signature: calls will show


def _known(found: Any, name: str, catalogue: Catalogue) -> dict[str, Known]:
    """Known deviations of a backend and of the modules of its package, by law id.

    A law's name without an operation stands for all laws of that name, an operation's name for all laws of the
    operation: those then hold or do not, except that the operation may not agree with its definition throughout.
    """
    by_name: dict[str, list[str]] = {}
    for case in catalogue.cases:
        by_name.setdefault(case.law.name, []).append(case.id)
        by_name.setdefault(case.id, []).append(case.id)
        if case.law.kind != "exact":  # what is by design of an operation is not about its last bits
            by_name.setdefault(case.operation.name, []).append(case.id)
    known: dict[str, Known] = {}
    declared = [item for home in _homes(found) for item in known_of(home, name).items()]
    # What is said of an operation first, so that what is said of one of its laws replaces it.
    for key, said in sorted(declared, key=lambda item: item[0] not in catalogue.operations):
        ids = by_name[known_name(key, by_name, f"law or operation (in `known` of the backend {name})")]
        for id in ids:
            deviation = _checked(said, name, id)
            of_all = key in catalogue.operations and not id.endswith(f".{AGREEMENT}")
            known[id] = replace(deviation, rare=True) if of_all else deviation
    return known


def _arithmetics(
    found: Any, name: str, catalogue: Catalogue
) -> tuple[tuple[Format, ...], dict[str, dict[str, Format]]]:
    """The formats of a backend, each with its declared arithmetic, and those of single operations by name.

    `arithmetic` of the backend, and of the modules of its package: an `Arithmetic` by dtype, or by operation and dtype;
    "gradient of OPERATION" is that of the way back alone.
    Raises WrongUse for dtypes and operations that do not exist, and for arithmetics that cannot be.
    """
    dtypes = tuple(format.name for format in formats_named(dtypes_of(found, name)))
    general = {dtype: Arithmetic() for dtype in dtypes}
    single: dict[str, dict[str, Arithmetic]] = {}
    where = f"(in `arithmetic` of the backend {name})"
    for home in _homes(found):
        for key, declared in arithmetic_of(home, name).items():
            if isinstance(declared, Arithmetic):
                general[known_name(key, dtypes, f"dtype {where}")] = declared
                continue
            for dtype, own in declared.items():
                if dtype in dtypes or dtype not in FORMATS | STORAGE_FORMATS:
                    gradient = GRADIENT_OF if key.startswith(GRADIENT_OF) else ""
                    operation = known_name(key.removeprefix(gradient), catalogue.operations, f"operation {where}")
                    single.setdefault(gradient + operation, {})[known_name(dtype, dtypes, f"dtype {where}")] = own
    try:
        formats = tuple(general[dtype].format(dtype) for dtype in dtypes)
        own_formats = {
            operation: {dtype: own.format(dtype) for dtype, own in by_dtype.items()}
            for operation, by_dtype in single.items()
        }
    except ValueError as wrong:
        raise WrongUse(f"{wrong} {where}") from wrong
    return formats, own_formats


def _checked(deviation: Known, name: str, law: str) -> Known:
    """The deviation. Raises WrongUse if it names formats that do not exist."""
    dtypes = (deviation.dtype,) if isinstance(deviation.dtype, str) else deviation.dtype or ()
    for dtype in dtypes:
        known_name(dtype, FORMATS, f"dtype (in `known` of the backend {name}, {law})")
    return deviation


def _unavailable(name: str, reason: str) -> Backend:
    return Backend(name, {}, lambda x: x, lambda x: x, (), unavailable=reason)


def _remedy(name: str, missing: ModuleNotFoundError) -> str:
    libraries = dict.fromkeys(("google", "sentencepiece", "subword_nmt", "tiktoken", "tokenizers"), "libraries")
    extra = {"torch": "torch", "ml_dtypes": "half", **libraries}.get(str(missing.name).partition(".")[0])
    return f"pip install 'layerlaws[{extra}]'" if extra else f"pip install {missing.name}"
