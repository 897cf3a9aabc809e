"""Notes and backends of other packages: refused by name where they clash or cannot be imported."""

from __future__ import annotations

import sys
from importlib.metadata import EntryPoint
from pathlib import Path
from types import ModuleType

import pytest

from layerlaws import backends, discovery
from layerlaws.backends import installed_backends
from layerlaws.discovery import catalogue_of
from layerlaws.support.errors import WrongUse


def announced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str) -> ModuleType:
    """The note in a package with this source."""
    (tmp_path / "their_note.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "their_note", raising=False)
    return discovery._announced(EntryPoint("theirs", "their_note", discovery.ANNOUNCING))


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("import sys; sys.exit(0)", "SystemExit: 0"),
        ("def (", "SyntaxError"),
        ("import nopackage", "No module named 'nopackage'"),
        ("raise BaseException('no luck')", "no luck"),
    ],
)
def test_a_package_of_notes_that_cannot_be_imported_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, said: str
) -> None:
    with pytest.raises(WrongUse, match="the note 'theirs' of the package their_note cannot be imported") as refusal:
        announced(tmp_path, monkeypatch, source)
    assert said in str(refusal.value)
    assert "pip uninstall" in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_two_notes_of_one_name_are_refused() -> None:
    one, other = ModuleType("ours.elmo", "One."), ModuleType("theirs.elmo", "Another.")
    with pytest.raises(WrongUse, match=r"two notes are called elmo, those in ours.elmo and theirs.elmo"):
        catalogue_of([one, other])


def test_two_backends_of_one_name_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = (EntryPoint("numpy", value, "layerlaws.backends") for value in ("ours.numpy", "theirs.numpy"))
    monkeypatch.setattr(backends, "entry_points", lambda group: [ours, theirs])
    with pytest.raises(WrongUse, match=r"ours.numpy and theirs.numpy both announce a backend 'numpy'"):
        installed_backends()
    monkeypatch.setattr(backends, "entry_points", lambda group: [ours, ours])
    assert installed_backends() == {"numpy": "ours.numpy"}, "one package that is found twice"
