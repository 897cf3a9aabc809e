"""Which wing may import which: no import runs upwards, and no modules import each other in a circle.

Read from the source, so that imports within functions count, and so do those for type checkers alone: an annotation
that names something of a higher wing depends on that wing as well.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("spec/layerlaws", "impl/layerlaws_backends")

GROUND = ("support", "numerics", "language")
ONE_BACKEND = (*GROUND, "discovery", "declarations", "backends", "checking")
MANY = (*ONE_BACKEND, "running", "layerlaws")

WINGS: dict[str, tuple[str, ...]] = {
    "support": (),
    "numerics": ("support",),
    "language": ("support", "numerics"),
    "notes": ("language",),
    "discovery": (*GROUND, "notes"),
    "declarations": GROUND,
    "backends": (*GROUND, "declarations"),
    "checking": (*GROUND, "discovery", "backends"),
    "literals": ("checking",),
    "running": ONE_BACKEND,
    "pytest_plugin": (*ONE_BACKEND, "running"),
    "layerlaws": (*ONE_BACKEND, "pytest_plugin"),
    "torch": ONE_BACKEND,
    "benchmark": MANY,
    "report": (*MANY, "benchmark"),
    "cli": (*MANY, "benchmark", "report"),
    "__main__": ("cli",),
    "layerlaws_backends": ("layerlaws", "torch"),
}
"""What the modules of each wing may import besides their own wing. A wing is a folder or a module of spec/layerlaws;
`layerlaws` is the front door, `layerlaws/__init__.py`. Each names only wings that stand before it, so no import runs
upwards.
"""


@dataclass(frozen=True)
class Import:
    """One import of a module of this project: who imports what, and in which line of which file."""

    importer: str
    imported: str
    path: str
    line: int

    def __str__(self) -> str:
        return f"{self.path}:{self.line} imports {self.imported}"


def wing(module: str) -> str:
    """layerlaws.report.page -> report; the front door and the bundled backends go by their package's name."""
    package, _, rest = module.partition(".")
    return rest.partition(".")[0] if package == "layerlaws" and rest else package


def imports_of(root: Path) -> list[Import]:
    """Every import of a module of the project by another, in all packages under a checkout."""
    files = {_module(package, path): path for package in _packages(root) for path in sorted(package.rglob("*.py"))}
    return [found for module, path in files.items() for found in _imports(module, path, root, files.keys())]


def _packages(root: Path) -> Iterator[Path]:
    return (root / package for package in PACKAGES if (root / package).is_dir())


def _module(package: Path, path: Path) -> str:
    return ".".join(path.relative_to(package.parent).with_suffix("").parts).removesuffix(".__init__")


def _imports(module: str, path: Path, root: Path, modules: Iterable[str]) -> Iterator[Import]:
    """Packages that Python imports on the way to a module do not count: they are there whoever asks for it."""
    names = set(modules)
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            imported = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = _absolute(node, module, path)
            imported = [name if (name := f"{base}.{alias.name}") in names else base for alias in node.names]
        else:
            continue
        for name in dict.fromkeys(imported):
            if name.partition(".")[0] in ("layerlaws", "layerlaws_backends"):
                yield Import(module, name, str(path.relative_to(root)), node.lineno)


def _absolute(node: ast.ImportFrom, module: str, path: Path) -> str:
    """What `from` names, where it begins with dots, too."""
    if not node.level:
        return node.module or ""
    package = module.split(".") if path.name == "__init__.py" else module.split(".")[:-1]
    base = package[: len(package) - node.level + 1]
    return ".".join([*base, *([node.module] if node.module else [])])


def upward(imports: Iterable[Import]) -> list[str]:
    """What the table does not allow, each with its place and the rule."""
    return [
        f"{found}, which the wing {wing(found.importer)!r} may not: {_rule(wing(found.importer))}"
        for found in imports
        if wing(found.imported) not in (wing(found.importer), *WINGS.get(wing(found.importer), ()))
    ]


def _rule(importer: str) -> str:
    if importer not in WINGS:
        return "WINGS in tests/test_imports.py does not have it; say there what it may import"
    return f"it may import {', '.join(WINGS[importer]) or 'nothing of this project'} (WINGS in tests/test_imports.py)"


def circle(imports: Iterable[Import]) -> list[Import]:
    """The imports that lead from a module back to itself, one after the other; empty where no circle is."""
    first: dict[tuple[str, str], Import] = {}
    for found in imports:
        if found.importer != found.imported:
            first.setdefault((found.importer, found.imported), found)
    graph: dict[str, set[str]] = {}
    for importer, imported in first:
        graph.setdefault(importer, set()).add(imported)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as found:
        return [first[importer, imported] for imported, importer in pairwise(found.args[1])][::-1]
    return []


IMPORTS = imports_of(ROOT)


def test_each_wing_in_the_table_names_only_those_before_it() -> None:
    wings = list(WINGS)
    below = {name: {*wings[: wings.index(name)]} for name in wings}
    assert [name for name in wings if not {*WINGS[name]} <= below[name]] == []


def test_the_table_has_every_wing_and_no_other() -> None:
    spec, backends = (ROOT / package for package in PACKAGES)
    modules = {_module(spec, path) for path in spec.rglob("*.py")} | {backends.name}
    assert {wing(module) for module in modules} == {*WINGS}


@pytest.mark.parametrize("name", WINGS)
def test_a_wing_imports_only_what_it_may(name: str) -> None:
    wrong = upward(found for found in IMPORTS if wing(found.importer) == name)
    assert not wrong, "\n".join(wrong)


def test_no_modules_import_each_other_in_a_circle() -> None:
    around = circle(IMPORTS)
    assert not around, "a circle: " + ", ".join(map(str, around))


# --- what the rules above notice --------------------------------------------------------------------------------------


def planted(root: Path, **modules: str) -> list[Import]:
    """The imports of a checkout with these modules of layerlaws: `language__claims` is layerlaws/language/claims.py."""
    for name, source in {"__init__": "", **modules}.items():
        path = root / "spec" / "layerlaws" / ("__init__.py" if name == "__init__" else name.replace("__", "/") + ".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source, encoding="utf-8")
    return imports_of(root)


@pytest.mark.parametrize(
    "source",
    [
        "import layerlaws.language.claims",
        "import layerlaws.language.claims as claims",
        "from layerlaws.language import claims",
        "from layerlaws.language.claims import closely",
        "from ..language.claims import closely",
        "from ..language import claims",
        "def late():\n    from layerlaws.language.claims import closely",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from layerlaws.language.claims import Claim",
    ],
)
def test_an_import_that_runs_upwards_is_noticed(source: str, tmp_path: Path) -> None:
    imports = planted(tmp_path, numerics__bounded=source, language__claims="")
    line = source.count("\n") + 1
    assert upward(imports) == [
        f"spec/layerlaws/numerics/bounded.py:{line} imports layerlaws.language.claims, which the wing 'numerics' may "
        "not: it may import support (WINGS in tests/test_imports.py)"
    ]


def test_the_front_door_is_no_way_around_the_table(tmp_path: Path) -> None:
    (found,) = upward(planted(tmp_path, language__claims="from layerlaws import check"))
    assert "claims.py:1 imports layerlaws, which the wing 'language' may not" in found


def test_a_wing_that_is_not_in_the_table_may_import_nothing(tmp_path: Path) -> None:
    (found,) = upward(planted(tmp_path, attic__old="from layerlaws.support import errors", support__errors=""))
    assert "WINGS in tests/test_imports.py does not have it" in found


def test_imports_downwards_within_a_wing_and_of_others_are_allowed(tmp_path: Path) -> None:
    sources = "import numpy\nfrom layerlaws.numerics import bounded\nfrom layerlaws.language.laws import Law"
    assert upward(planted(tmp_path, language__claims=sources, language__laws="", numerics__bounded="")) == []


def test_a_circle_is_told_from_its_first_import_to_its_last(tmp_path: Path) -> None:
    imports = planted(
        tmp_path,
        language__claims="def settle():\n    from layerlaws.language.dependence import changed",
        language__dependence="from layerlaws.language import laws",
        language__laws="from layerlaws.language.claims import Claim",
        language__words="from layerlaws.language import laws",
    )
    around = circle(imports)
    assert len(around) == 3
    assert all(one.imported == other.importer for one, other in pairwise([*around, around[0]]))
    assert "spec/layerlaws/language/claims.py:2 imports layerlaws.language.dependence" in map(str, around)
