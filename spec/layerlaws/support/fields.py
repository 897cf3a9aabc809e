"""Checks that what came as JSON has the types that a dataclass says."""

from __future__ import annotations

import ast
from collections.abc import Callable
from dataclasses import fields
from functools import cache
from typing import Any

LARGEST = 2**63
"""Whole numbers from here on are nobody's count, and no float has their digits."""

Check = Callable[[Any], bool]


def check_types(*parts: Any) -> None:
    """Raises TypeError for a dataclass with a field, or an element of one, that is not of the annotated type."""
    for part in parts:
        kind: Any = type(part)
        values = vars(part)
        for name, annotation, exact, fits in _checks(kind):
            if type(values[name]) is not exact and not fits(values[name]):
                raise TypeError(f"{name} is {_shown(values[name])}, not {annotation}")


def number(value: object) -> float:
    """A number of a record. Raises TypeError for anything else."""
    if not _is_float(value):
        raise TypeError(f"{_shown(value)} is no number")
    return float(value)  # type: ignore[arg-type]


def _shown(value: object) -> str:
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= LARGEST:
        return "a number beyond 2**63"
    return f"{value!r:.40}"


@cache
def _checks(kind: Any) -> tuple[tuple[str, str, type | None, Check], ...]:
    """For each field its name, its annotation, a type all of whose values are right, and what checks others."""
    annotations = {field.name: str(field.type) for field in fields(kind)}
    exact = {"str": str, "float": float, "bool": bool}
    checks = {name: _check(ast.parse(text, mode="eval").body) for name, text in annotations.items()}
    return tuple((name, text, exact.get(text), checks[name]) for name, text in annotations.items())


def _check(annotation: ast.expr) -> Check:
    """Whether a value is of an annotated type: text, numbers, lists and dicts of these, dataclasses, or one of two."""
    match annotation:
        case ast.BinOp(left=left, right=right):
            one, other = _check(left), _check(right)
            return lambda value: one(value) or other(value)
        case ast.Constant(value=None):
            return lambda value: value is None
        case ast.Subscript(value=ast.Name(id="list"), slice=element):
            inside = _check(element)
            return lambda value: isinstance(value, list) and all(map(inside, value))
        case ast.Subscript(value=ast.Name(id="dict"), slice=ast.Tuple(elts=[_, element])):
            inside = _check(element)
            return lambda value: (
                isinstance(value, dict)
                and (not value or (all(map(_is_text, value)) and all(map(inside, value.values()))))
            )
        case ast.Name(id=name) if name in _BASIC:
            return _BASIC[name]
        case ast.Name(id=name):
            return lambda value: type(value).__name__ == name
    raise TypeError(f"nothing checks fields of type {ast.unparse(annotation)}")


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and -LARGEST < value < LARGEST


def _is_float(value: object) -> bool:
    return isinstance(value, float) or _is_int(value)


_BASIC: dict[str, Check] = {
    "str": _is_text,
    "int": _is_int,
    "float": _is_float,
    "bool": lambda value: isinstance(value, bool),
    "Any": lambda value: True,
}
