"""What a backend declares besides its functions: read, and refused where it is not what it should be."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from layerlaws.language.backend import Known
from layerlaws.numerics.arithmetic import Arithmetic
from layerlaws.support.errors import WrongUse
from layerlaws.support.printable import printable

DEFAULT_DTYPES = ("float32", "float64")
NEEDED = {"from_numpy": "how arrays come in", "to_numpy": "how arrays go out"}
OPTIONAL = ("available", "describe", "gradient", "measured", "synchronize")
"""Functions that a backend may have."""

SHOWN = 60
"""Characters of a value that a message shows."""


def check_declarations(found: Any, name: str) -> None:
    """Raises WrongUse for a backend that lacks what it needs, or has something else in place of a function."""
    for needed, what in NEEDED.items():
        if not callable(getattr(found, needed, None)):
            raise WrongUse(f"the backend {name!r} has no function {needed}: say {what}")
    for optional in OPTIONAL:
        value = getattr(found, optional, None)
        if value is not None and not callable(value):
            raise _wrong(name, optional, value, "a function, or leave it out")
    operations = getattr(found, "operations", "")
    if not isinstance(operations, str):
        raise _wrong(name, "operations", operations, "the name of a package")


def available(found: Any, name: str) -> str:
    """Why the backend cannot run here, "" if it can. Raises WrongUse if it says neither."""
    function = getattr(found, "available", None)
    reason = "" if function is None else function()
    if not isinstance(reason, str):
        said = printable(repr(reason), SHOWN)
        raise WrongUse(f'available() of the backend {name!r} returned {said}: return "" if it can run, or else why not')
    return reason


def dtypes_of(found: Any, name: str) -> tuple[str, ...]:
    """The names in `dtypes`. Raises WrongUse if they are no names, or none."""
    dtypes = getattr(found, "dtypes", DEFAULT_DTYPES)
    if isinstance(dtypes, str):
        raise _wrong(name, "dtypes", dtypes, f"a tuple of names; with one, ({dtypes!r},)")
    if not isinstance(dtypes, Iterable) or not all(isinstance(dtype, str) for dtype in dtypes):
        raise _wrong(name, "dtypes", dtypes, 'a tuple of names, as in ("float32", "float64")')
    if not tuple(dtypes):
        raise _wrong(name, "dtypes", dtypes, 'at least one name, as in ("float32",)')
    return tuple(dtypes)


def known_of(home: Any, name: str) -> dict[str, Known]:
    """The deviations in `known`, by the name of a law. Raises WrongUse for anything else."""
    declared = getattr(home, "known", {})
    if not isinstance(declared, Mapping):
        raise _wrong(name, "known", declared, "a dict of Known(reason, link) by the name of a law")
    return {_text(law, name, "known"): _deviation(value, name, law) for law, value in declared.items()}


def arithmetic_of(home: Any, name: str) -> dict[str, Any]:
    """`arithmetic`: an Arithmetic by dtype, or by operation and dtype. Raises WrongUse for anything else."""
    declared = getattr(home, "arithmetic", {})
    if not isinstance(declared, Mapping):
        raise _wrong(name, "arithmetic", declared, "a dict of Arithmetic(...) by dtype, or by operation and dtype")
    for key, value in declared.items():
        single = value.values() if isinstance(value, Mapping) else [value]
        if not all(isinstance(each, Arithmetic) for each in single):
            raise _wrong(name, f"arithmetic[{key!r}]", value, "Arithmetic(...), or a dict of those by dtype")
    return {_text(key, name, "arithmetic"): value for key, value in declared.items()}


def _deviation(value: Any, name: str, law: object) -> Known:
    if isinstance(value, Known):
        return value
    try:
        if isinstance(value, str):
            raise TypeError
        return Known(*value)
    except TypeError:
        raise _wrong(name, f"known[{law!r}]", value, "Known(reason, link)") from None


def _text(key: object, name: str, where: str) -> str:
    if not isinstance(key, str):
        raise WrongUse(f"{where} of the backend {name!r} has the key {printable(repr(key), SHOWN)}; keys are names")
    return key


def _wrong(name: str, what: str, value: object, expected: str) -> WrongUse:
    return WrongUse(f"{what} of the backend {name!r} is {printable(repr(value), SHOWN)}, expected {expected}")
