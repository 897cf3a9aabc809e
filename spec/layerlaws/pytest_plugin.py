"""Laws in any pytest suite: `laws_for("my_package.my_backend")` makes a test function for a backend."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from layerlaws.checking.verdict import Verdict
    from layerlaws.language.backend import Backend
    from layerlaws.language.note import Case


def pytest_addoption(parser: pytest.Parser) -> None:
    """Options for the number of examples and their seed."""
    group = parser.getgroup("layerlaws", "holding backends to the laws of layerlaws")
    group.addoption("--layerlaws-profile", default="standard", help="quick, standard or thorough (default: standard)")
    group.addoption("--layerlaws-strict", action="store_true", help="bad input that is accepted is a failure, too")
    group.addoption("--layerlaws-seed", type=int, default=None, help="draw other examples than every run does")
    group.addoption(
        "--layerlaws-missing", action="store_true", help="skip laws of what a backend does not offer; else deselected"
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
    accepted, unless the option --layerlaws-strict is given. Raises WrongUse for names that do not exist.
    """
    from layerlaws.backends import load_backend
    from layerlaws.checking.check import absence
    from layerlaws.discovery import catalogue

    notes_and_laws = catalogue()
    loaded = load_backend(backend, notes_and_laws)
    cases = notes_and_laws.select(tuple(notes), tuple(laws))

    @pytest.mark.parametrize("case", cases, ids=[case.id for case in cases])
    def test_laws(case: Case, request: pytest.FixtureRequest) -> None:
        _conclude(_hold(loaded, case, request), request.config.getoption("layerlaws_strict"))

    states = {case.id: absence(loaded, case) for case in cases}
    absent = frozenset(id for id, state in states.items() if state is not None and state[0] == "missing")
    test_laws.layerlaws_absent = absent  # type: ignore[attr-defined]
    return test_laws


def _hold(backend: Backend, case: Case, request: pytest.FixtureRequest) -> Verdict:
    """The verdict on a law with the options of the pytest run."""
    from layerlaws.checking.check import check

    option = request.config.getoption
    return check(backend, case, profile=option("layerlaws_profile"), seed=option("layerlaws_seed"))


def _conclude(verdict: Verdict, strict: bool) -> None:
    """Skip, xfail or fail the test item according to a verdict. strict: whether accepted bad input is a failure."""
    from layerlaws.checking.failure import failure

    if verdict.state in ("missing", "not offered", "unavailable"):
        pytest.skip(f"{verdict.state}: {verdict.reason}")
    if verdict.state == "known":
        pytest.xfail(f"{verdict.reason} ({verdict.link})")
    if verdict.state == "accepted" and not strict:
        pytest.xfail(f"{verdict.reason} (--layerlaws-strict makes this a failure)")
    if verdict.counts(strict):
        pytest.fail(failure(verdict), pytrace=False)
