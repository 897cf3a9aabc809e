"""Every format, one after the other."""

from __future__ import annotations

import pytest

from layerlaws.numerics.formats import Format

from .exactness import EVERY_FORMAT


@pytest.fixture(params=EVERY_FORMAT.values(), ids=EVERY_FORMAT.keys())
def format(request: pytest.FixtureRequest) -> Format:
    chosen: Format = request.param
    return chosen
