"""pytest is the only runner: one item per backend and law, here and in other people's suites.

`laws_for("my_package.my_backend")` makes a test function of a backend; `layerlaws check` runs the same through
`layerlaws.suite`. An item carries its verdict in `user_properties`, so that whoever listens can write it down.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from layerlaws.backends import Backend
    from layerlaws.catalogue import Case
    from layerlaws.verdict import Verdict

PROPERTY = "layerlaws"
"""Name of the user property that holds an item's verdict, as JSON fields."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Options of a run; `layerlaws check` passes its own on through them."""
    group = parser.getgroup("layerlaws", "holding backends to the laws of layerlaws")
    group.addoption("--layerlaws-profile", default="standard", help="quick, standard or thorough (default: standard)")
    group.addoption("--layerlaws-seed", type=int, default=None, help="draw other examples than every run does")
    for name in ("backend", "note", "law"):
        group.addoption(f"--layerlaws-{name}", action="append", default=[], help=f"a {name} for layerlaws.suite")


def laws_for(backend: str, *, notes: Iterable[str] = (), laws: Iterable[str] = ()) -> Callable[..., None]:
    """A test function that holds a backend to its laws, one item per law.

    backend: an installed name, "module", "module:object" or "path.py". notes, laws: only these.
    Use it in a test module as `test_laws = laws_for("my_package.my_backend")`. Laws of operations that the
    backend does not offer are skipped; known deviations are expected to fail.
    """
    from layerlaws.backends import load_backend
    from layerlaws.catalogue import catalogue

    notes_and_laws = catalogue()
    loaded = load_backend(backend, notes_and_laws)
    cases = notes_and_laws.select(tuple(notes), tuple(laws))

    @pytest.mark.parametrize("case", cases, ids=[case.id for case in cases])
    def test_laws(case: Case, request: pytest.FixtureRequest) -> None:
        conclude(hold(loaded, case, request))

    return test_laws


def hold(backend: Backend, case: Case, request: pytest.FixtureRequest) -> Verdict:
    """Hold a backend to a law with the options of the run, and attach the verdict to the item."""
    from layerlaws.check import check

    option = request.config.getoption
    verdict = check(backend, case, profile=option("layerlaws_profile"), seed=option("layerlaws_seed"))
    request.node.user_properties.append((PROPERTY, verdict.to_json()))
    return verdict


def conclude(verdict: Verdict) -> None:
    """The outcome of a verdict in pytest's terms."""
    from layerlaws.explanation import failure

    if verdict.state in ("missing", "unavailable"):
        pytest.skip(f"{verdict.state}: {verdict.reason}")
    if verdict.state == "known":
        pytest.xfail(f"{verdict.reason} ({verdict.link})")
    if verdict.unexpected:
        pytest.fail(failure(verdict), pytrace=False)


def verdict_fields(report: pytest.TestReport) -> dict[str, Any] | None:
    """The JSON fields of an item's verdict, None for a report without one."""
    return next((value for name, value in report.user_properties if name == PROPERTY and isinstance(value, dict)), None)
