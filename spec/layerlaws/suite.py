"""The test module behind `layerlaws check`: every backend and law that the options name."""

from __future__ import annotations

import gc
from functools import cache

import pytest

from layerlaws.backends import Backend, load_backend
from layerlaws.catalogue import Case, catalogue
from layerlaws.pytest_plugin import conclude, hold

gc.set_threshold(50_000)  # by default, looking for garbage takes a tenth of the time, and there is little


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One item per backend and law."""
    option = metafunc.config.getoption
    cases = catalogue().select(option("layerlaws_note"), option("layerlaws_law"))
    pairs = [(backend, case) for backend in option("layerlaws_backend") for case in cases]
    metafunc.parametrize(
        ("backend_name", "case"), pairs, ids=[item_id(i, case.id) for i, (_, case) in enumerate(pairs)]
    )


def test_law(backend_name: str, case: Case, request: pytest.FixtureRequest) -> None:
    """The backend obeys the law."""
    conclude(hold(_backend(backend_name), case, request))


def item_id(number: int, law: str) -> str:
    """Names an item; the number finds backend and law again, whatever characters their names have."""
    return f"{number}-{law}"


@cache
def _backend(name: str) -> Backend:
    return load_backend(name, catalogue())
