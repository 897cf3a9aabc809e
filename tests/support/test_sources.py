"""Which code a backend is made of: all of it, as it stands in its files, and none that nobody named."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from layerlaws import WrongUse, catalogue, load_backend
from layerlaws.support.sources import Sources, digest_of, installed

BACKEND = """
import numpy as np

def from_numpy(array):
    return array

def to_numpy(array):
    return np.asarray(array)

def causal_mask(queries, keys):
    import {helper}
    return {helper}.mask(queries, keys)
"""
RIGHT = "import numpy as np\n\ndef mask(queries, keys):\n    return np.tri(queries, keys, keys - queries, dtype=bool)\n"


@pytest.fixture(autouse=True)
def _forgotten() -> Iterator[None]:
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        del sys.modules[name]


def files_of(name: str) -> dict[str, str]:
    sources = Sources()
    with sources:
        load_backend(name, catalogue(), sources)
        return sources.survey()


def test_the_digest_covers_helpers_that_are_imported_late_and_by_helpers(tmp_path: Path) -> None:
    (tmp_path / "backend_of_mine.py").write_text(BACKEND.format(helper="helper_of_mine"))
    (tmp_path / "helper_of_mine.py").write_text("from package_of_mine.masks import mask\n")
    (tmp_path / "package_of_mine").mkdir()
    (tmp_path / "package_of_mine" / "__init__.py").write_text("")
    masks = tmp_path / "package_of_mine" / "masks.py"
    masks.write_text(RIGHT)
    (tmp_path / "of_somebody_else.py").write_text("")
    before = files_of(str(tmp_path / "backend_of_mine.py"))
    assert set(before) >= {"backend_of_mine", "helper_of_mine", "package_of_mine", "package_of_mine.masks"}
    assert "of_somebody_else" not in before
    assert not [name for name in before if name.startswith(("numpy", "layerlaws."))]
    masks.write_text(RIGHT + "# changed\n")
    for name in ("backend_of_mine", "helper_of_mine", "package_of_mine", "package_of_mine.masks"):
        sys.modules.pop(name, None)
    after = files_of(str(tmp_path / "backend_of_mine.py"))
    assert {name for name in before if before[name] != after[name]} == {"package_of_mine.masks"}
    assert digest_of(before) != digest_of(after)


def test_the_code_of_a_bundled_backend_is_known_wherever_it_is_installed() -> None:
    files = files_of("numpy")
    assert {"layerlaws_backends.numpy", "layerlaws_backends.numpy.elmo"} <= set(files)


def test_stale_bytecode_is_not_used_and_none_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the same size and time as the source: an editor, or a checkout, makes that so."""
    monkeypatch.syspath_prepend(tmp_path)
    package = tmp_path / "package_of_mine"
    package.mkdir()
    (package / "__init__.py").write_text("")
    module = package / "mine.py"
    module.write_text(BACKEND.format(helper="helper_of_mine") + "answer = 1\n")
    compiled = compile(module.read_text().replace("answer = 1", "answer = 2"), str(module), "exec")
    cached = package / "__pycache__" / f"mine.{sys.implementation.cache_tag}.pyc"
    cached.parent.mkdir()
    stat = module.stat()
    import importlib._bootstrap_external as bootstrap  # type: ignore[import-not-found]

    cached.write_bytes(bootstrap._code_to_timestamp_pyc(compiled, int(stat.st_mtime), stat.st_size))
    load_backend("package_of_mine.mine", catalogue())
    assert sys.modules["package_of_mine.mine"].answer == 1
    assert os.listdir(cached.parent) == [cached.name]


def test_modules_beside_a_backend_are_for_its_own_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine.py").write_text(BACKEND.format(helper="helper_of_mine"))
    (tmp_path / "helper_of_mine.py").write_text(RIGHT)
    with Sources() as sources:
        backend = load_backend(str(tmp_path / "mine.py"), catalogue(), sources)
        with pytest.raises(ModuleNotFoundError):
            import helper_of_mine  # type: ignore[import-not-found]  # noqa: F401
        function = backend.function("causal_mask")
        assert function is not None
        assert function(2, 2).tolist() == [[True, False], [True, True]]


def test_a_backend_called_like_a_library_does_not_take_its_place(tmp_path: Path) -> None:
    path = tmp_path / "secrets.py"
    path.write_text(BACKEND.format(helper="os"))
    load_backend(str(path), catalogue())
    import secrets

    assert secrets.token_hex


def test_the_working_directory_is_looked_at_for_what_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "backend_of_mine.py").write_text(BACKEND.format(helper="os"))
    path = list(sys.path)
    assert load_backend("backend_of_mine", catalogue()).functions.keys() == {"causal_mask"}
    assert sys.path == path
    with pytest.raises(WrongUse, match="there is no"):
        load_backend("backend_of_yours", catalogue())


def test_what_is_installed_is_told_from_what_is_not() -> None:
    assert installed(os.__file__)
    assert installed(pytest.__file__)
    assert installed("/usr/lib/libm.so.6")
    assert not installed("/srv/code/backend.py")
    assert not installed("/srv/code/kernel.so")
