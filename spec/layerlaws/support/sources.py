"""Imports code from its source, and remembers which code that was.

What is installed and the standard library are imported as always. Anything else is compiled from the source that is
read, so that no stale bytecode is used and none is left behind, and its digest is kept by the name of the module.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.machinery
import importlib.util
import os
import sys
import sysconfig
from collections.abc import Iterator, Sequence
from functools import cache
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from itertools import chain
from pathlib import Path
from types import CodeType, FrameType, ModuleType
from typing import Any

from layerlaws.support.files import start_of

INSTALLED = ("site-packages", "dist-packages")
"""Names of folders whose modules are installed ones, wherever they are."""

SYSTEM = ("/usr/", "/lib/", "/lib64/", "/nix/store/")
"""Where the system's libraries of machine code are."""

SELF = __name__.partition(".")[0]
"""The code of this package is not a backend's."""

LARGEST = 2**27
"""Bytes of a file of code that are read."""


class Sources(MetaPathFinder):
    """Finds modules before anything else does. files: the digest of each by the name of its module.

    folders: where the code of the backend, and it alone, finds modules that are nowhere else. packages: top-level
    names of packages whose code counts although they are installed.
    """

    def __init__(self) -> None:
        self.files: dict[str, str] = {}
        self.folders: list[str] = []
        self.packages: set[str] = set()
        self._paths: dict[str, str] = {}

    def __enter__(self) -> Sources:
        """Find modules from now on."""
        sys.meta_path.insert(0, self)
        return self

    def __exit__(self, *error: object) -> None:
        """Find modules no more."""
        sys.meta_path.remove(self)

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        """The module as Python's own finders find it, or in `folders`; compiled from source unless it is installed."""
        spec = self._found(name, path, target)
        own = name in self.packages or self._asked_by_own_code(sys._getframe(1))
        if spec is None and own and "." not in name:
            spec = PathFinder.find_spec(name, self.folders)
        return self._compiled(spec) if spec else None

    def take(self, name: str, path: Path) -> ModuleType:
        """Execute a file as a module of this name."""
        loader = _FromSource(name, str(path), self)
        spec = importlib.util.spec_from_file_location(name, path, loader=loader)
        assert spec is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        loader.exec_module(module)
        return module

    def place_of(self, name: str) -> str | None:
        """Where a module would be imported from, "" if it has no file; None if there is none. Imports nothing."""
        spec = self._spec(name)
        return None if spec is None else spec.origin or ""

    def note(self, name: str, content: bytes, path: str) -> None:
        """Remember the code of a module."""
        self.files[name] = _digest(content)
        self._paths[name] = path

    def survey(self) -> dict[str, str]:
        """The digests of everything imported by now, of what its import statements name, and of libraries."""
        for name, module in list(sys.modules.items()):  # what was imported before this looked
            path = getattr(module, "__file__", None)
            if name == "__main__" or name in self.files or not isinstance(path, str):
                continue
            if self._counts(name, path) and _is_source(path):
                self._note_file(name, path)
        waiting = [name for name, path in self._paths.items() if _is_source(path)]
        seen = set(waiting)
        while waiting:
            name = waiting.pop()
            for other in set(chain.from_iterable(map(_with_packages, self._named_in(name)))) - seen:
                seen.add(other)
                spec = self._spec(other)
                if spec and spec.origin and self._counts(other, spec.origin) and _is_source(spec.origin):
                    self._note_file(other, spec.origin)
                    waiting.append(other)
        return self.loaded()

    def loaded(self) -> dict[str, str]:
        """The digests known by now, with those of libraries of machine code that are loaded but not installed."""
        for path in _mapped():
            if Path(path).name not in self.files and not installed(path):
                self._note_file(Path(path).name, path)
        return dict(self.files)

    def path_of(self, name: str) -> str:
        """Where the code of a module is."""
        return self._paths.get(name, "")

    def _counts(self, name: str, path: str) -> bool:
        top = name.partition(".")[0]
        return top != SELF and (top in self.packages or not installed(path))

    def _found(self, name: str, path: Sequence[str] | None, target: ModuleType | None) -> ModuleSpec | None:
        for finder in sys.meta_path:
            if finder is not self:
                spec = finder.find_spec(name, path, target) if hasattr(finder, "find_spec") else None
                if spec is not None:
                    return spec
        return None

    def _compiled(self, spec: ModuleSpec) -> ModuleSpec:
        """The module's specification, with a loader of source if its code counts."""
        origin = spec.origin or ""
        if not self._counts(spec.name, origin):
            return spec
        if type(spec.loader) is importlib.machinery.SourceFileLoader:
            spec.loader, spec.cached = _FromSource(spec.name, origin, self), None
        elif spec.has_location:
            self._note_file(spec.name, origin)
        return spec

    def _asked_by_own_code(self, frame: FrameType | None) -> bool:
        """Whether the import stands in code that is not installed."""
        while frame and frame.f_globals.get("__name__", "").partition(".")[0] in ("importlib", "_frozen_importlib"):
            frame = frame.f_back
        return frame is not None and frame.f_globals.get("__name__") in self.files

    def _note_file(self, name: str, path: str) -> None:
        content = read(path)
        if content is not None:
            self.note(name, content, path)

    def _spec(self, name: str) -> ModuleSpec | None:
        """The specification of a module. Nothing is imported, so packages that change their path are not followed."""
        path: Sequence[str] | None = None
        spec = None
        parts = name.split(".")
        for number in range(1, len(parts) + 1):
            whole = ".".join(parts[:number])
            spec = self._found(whole, path, None)
            if spec is None and path is None:
                spec = PathFinder.find_spec(whole, self.folders)
            if spec is None:
                return None
            path = list(spec.submodule_search_locations or ())
        return spec

    def _named_in(self, name: str) -> Iterator[str]:
        """The modules that the import statements of a module name, wherever in it they stand."""
        path = self._paths[name]
        package = name if Path(path).stem == "__init__" else name.rpartition(".")[0]
        try:
            tree = ast.parse(read(path) or b"")
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
                base = ".".join([*above, *([node.module] if node.module else [])])
                yield from ([base] if base else [])
                yield from (f"{base}.{alias.name}" for alias in node.names if base)


class _FromSource(importlib.machinery.SourceFileLoader):
    """Compiles the source that is there, whatever bytecode is beside it, and writes none."""

    def __init__(self, name: str, path: str, sources: Sources) -> None:
        super().__init__(name, path)
        self._sources = sources

    def get_code(self, fullname: str) -> CodeType:
        """The code of the module."""
        content = self.get_data(self.path)
        self._sources.note(fullname, content, self.path)
        code: Any = self.source_to_code(content, self.path)
        assert isinstance(code, CodeType)
        return code


def _with_packages(name: str) -> Iterator[str]:
    """A module's name and those of the packages it is in: a.b.c, a.b and a."""
    while name:
        yield name
        name = name.rpartition(".")[0]


def digest_of(files: dict[str, str]) -> str:
    """One digest of many, by name."""
    text = "".join(f"{name}\0{digest}\0" for name, digest in sorted(files.items()))
    return _digest(text.encode(errors="backslashreplace"))


def digest_at(path: str) -> str:
    """The digest of a file of code; "" if it cannot be read."""
    content = read(path)
    return "" if content is None else _digest(content)


def digest_of_module(path: Path) -> str:
    """The digest of a module's file, and where that is a package's `__init__`, of all modules in its folder."""
    paths = path.parent.rglob("*.py") if path.stem == "__init__" else [path]
    return digest_of({str(each.relative_to(path.parent)): digest_at(str(each)) for each in paths})


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


def read(path: str) -> bytes | None:
    """The content of a file of code; None if it cannot be read, or is no file."""
    try:
        return start_of(Path(path), LARGEST)
    except (OSError, ValueError):
        return None


@cache
def installed(path: str) -> bool:
    """Whether this is a place of installed packages, of the standard library or of the system."""
    if not os.path.isabs(path):
        return not _is_source(path)  # built in, or frozen
    if any(name in Path(path).parts for name in INSTALLED) or path.startswith(_libraries()):
        return True
    return path.startswith(SYSTEM) and not _is_source(path)


@cache
def _libraries() -> tuple[str, ...]:
    """Folders of Python's own libraries, each with a separator at its end."""
    places = [sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")]
    places += [os.path.join(prefix, "lib") for prefix in (sys.prefix, sys.base_prefix)]
    return tuple({os.path.join(place, "") for each in places for place in (each, os.path.realpath(each))})


def _is_source(path: str) -> bool:
    return path.endswith(".py")


def _mapped() -> set[str]:
    """The libraries of machine code in this process; none where the system does not say (it is not Linux)."""
    try:
        with open("/proc/self/maps", encoding="utf-8", errors="surrogateescape") as maps:
            fields = [line.rstrip("\n").split(None, 5) for line in maps]
    except OSError:
        return set()
    paths = {each[5] for each in fields if len(each) == 6 and "x" in each[1]}
    return {path for path in paths if path.startswith("/") and os.path.isfile(path)}
