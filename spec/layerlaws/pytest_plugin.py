"""Laws in any pytest suite: `laws_for("my_package.my_backend")` makes a test function for a backend."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from layerlaws.checking.verdict import Verdict
    from layerlaws.language.backend import Backend
    from layerlaws.language.note import Case

PROFILES = ("quick", "standard", "thorough")
MOST_SEEDS = 2**63


def pytest_addoption(parser: pytest.Parser) -> None:
    """Options for the number of examples, their seed, and where backends run."""
    group = parser.getgroup("layerlaws", "holding backends to the laws of layerlaws")
    group.addoption(
        "--layerlaws-profile",
        choices=PROFILES,
        default=PROFILES[1],
        help="quick, standard or thorough (default: standard)",
    )
    group.addoption("--layerlaws-strict", action="store_true", help="bad input that is accepted is a failure, too")
    group.addoption("--layerlaws-exact", action="store_true", help="results whose bits differ are a failure, too")
    group.addoption("--layerlaws-seed", type=_seed, default=None, help="draw other examples than every run does")
    group.addoption(
        "--layerlaws-missing", action="store_true", help="skip laws of what a backend does not offer; else deselected"
    )
    group.addoption(
        "--layerlaws-in-process",
        action="store_true",
        help="hold backends to laws in the process of pytest, for a debugger: one that crashes or hangs takes it along",
    )


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect the laws of operations that a backend lacks, unless --layerlaws-missing asks for them."""
    if config.getoption("layerlaws_missing"):
        return
    absent = [item for item in items if _is_absent(item)]
    if absent:
        config.hook.pytest_deselected(items=absent)
        config.stash[_DESELECTED] = len(absent)
        items[:] = [item for item in items if not _is_absent(item)]


def pytest_report_collectionfinish(config: pytest.Config) -> list[str]:
    """Say in the header how many laws are not held, and how to see them."""
    count = config.stash.get(_DESELECTED, 0)
    return [f"layerlaws: {count} laws are of what a backend does not offer (--layerlaws-missing)"] if count else []


_DESELECTED = pytest.StashKey[int]()


def _is_absent(item: pytest.Item) -> bool:
    """Whether an item is a law of an operation that its backend lacks."""
    absent = getattr(getattr(item, "function", None), "layerlaws_absent", frozenset[str]())
    return bool(absent) and item.callspec.params["case"].id in absent  # type: ignore[attr-defined]


def laws_for(backend: str, *, notes: Iterable[str] = (), laws: Iterable[str] = ()) -> Callable[..., None]:
    """A test function that holds a backend to its laws, with one test item per law.

    backend: an installed name, "module", "module:object" or "path.py". notes, laws: by name, to select only these. In a
    test module, write `test_laws = laws_for("my_package.my_backend")`. Laws of operations that the backend lacks are
    deselected, or skipped with --layerlaws-missing; known deviations are expected failures, and so is bad input that is
    accepted, unless the option --layerlaws-strict is given, and results that are the same but for their last bits,
    unless --layerlaws-exact is. The backend is loaded and called in a worker process, as by
    `layerlaws check`: one that crashes or hangs fails its own items only. Raises WrongUse for names that do not exist.
    """
    from layerlaws.discovery import catalogue
    from layerlaws.running.holder import holder

    facts = holder(backend).facts  # names that do not exist are refused while tests are collected
    cases = catalogue().select(tuple(notes), tuple(laws))

    @pytest.mark.parametrize("case", cases, ids=[case.id for case in cases])
    def test_laws(case: Case, request: pytest.FixtureRequest) -> None:
        asked = (request.config.getoption(f"layerlaws_{name}", False) for name in ("strict", "exact"))
        _conclude(_held(backend, case, request.config), *asked)

    lacking = () if facts.state else cases
    absent = frozenset(case.id for case in lacking if facts.lacks(case))
    test_laws.layerlaws_absent = absent  # type: ignore[attr-defined]
    return test_laws


def _held(backend: str, case: Case, config: pytest.Config) -> Verdict:
    """The verdict on a law with the options of the pytest run, which lacks them where this plugin is blocked."""
    from layerlaws.running.holder import holder

    profile = config.getoption("layerlaws_profile", PROFILES[1])
    seed = config.getoption("layerlaws_seed", None)
    if config.getoption("layerlaws_in_process", False):
        return _held_here(_loaded(backend), case, profile, seed)
    return holder(backend).hold(case, profile, seed)


def _held_here(backend: Backend, case: Case, profile: str, seed: int | None) -> Verdict:
    """The verdict of this process. Functions that the backend replaced are put back for the next test."""
    from layerlaws.checking.check import check
    from layerlaws.checking.tampering import accusation, restore, snapshot, tampered

    intact = snapshot()
    verdict = check(backend, case, profile=profile, seed=seed)
    function = tampered(intact)
    if not function:
        return verdict
    restore(intact)
    return replace(verdict, state="error", reason=accusation(function))


@cache
def _loaded(backend: str) -> Backend:
    """The backend in this process. Functions that loading it replaced are put back; `holder` has reported them."""
    from layerlaws.backends import load_backend
    from layerlaws.checking.tampering import restore, snapshot
    from layerlaws.discovery import catalogue

    intact = snapshot()
    loaded = load_backend(backend, catalogue())
    restore(intact)
    return loaded


def _seed(text: str) -> int:
    if not text.isdecimal() or int(text) >= MOST_SEEDS:
        raise argparse.ArgumentTypeError(f"{text[:40]!r} is no whole number from 0 to {MOST_SEEDS - 1:,}")
    return int(text)


def _conclude(verdict: Verdict, strict: bool, exact: bool) -> None:
    """Skip, xfail or fail the test item according to a verdict. strict, exact: as in `Verdict.counts`."""
    from layerlaws.checking.failure import failure

    if verdict.state in ("missing", "not offered", "unavailable"):
        pytest.skip(f"{verdict.state}: {verdict.reason}")
    if verdict.state == "known":
        pytest.xfail(f"{verdict.reason} ({verdict.link})")
    if verdict.state == "accepted" and not strict:
        pytest.xfail(f"{verdict.reason} (--layerlaws-strict makes this a failure)")
    if verdict.state == "inexact" and not exact:
        pytest.xfail(f"{verdict.reason} (--layerlaws-exact makes this a failure)")
    if verdict.counts(strict, exact):
        pytest.fail(failure(verdict), pytrace=False)
