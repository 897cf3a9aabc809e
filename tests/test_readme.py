"""The README shows what really happens: its table is generated, its example runs, its output is printed."""

from __future__ import annotations

import doctest
import importlib.util
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from layerlaws import catalogue, check, load_backend
from layerlaws.numerics.bounded import known

Command = Callable[..., subprocess.CompletedProcess[str]]

ROOT = Path(__file__).parent.parent

needs_torch = pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="the extra torch is not installed")

README = (ROOT / "README.md").read_text(encoding="utf-8")


def block(language: str, first: str) -> str:
    """The code block of this language that begins like this."""
    found = [text for text in re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL) if text.startswith(first)]
    assert len(found) == 1, f"the README has {len(found)} {language} blocks that begin with {first!r}"
    return found[0]


def test_the_table_of_notes_is_the_generated_one(command: Command) -> None:
    table = command("list", "--markdown").stdout.strip()
    assert table in README, "paste the output of `layerlaws list --markdown` into README.md"


@pytest.mark.parametrize(
    ("file", "begins"),
    [("my_backend.py", '"""Causal attention'), pytest.param("my_attention.py", '"""Multi-head', marks=needs_torch)],
)
def test_the_examples_fail_as_shown(file: str, begins: str, command: Command, tmp_path: Path) -> None:
    (tmp_path / file).write_text(block("python", begins), encoding="utf-8")
    first, _, rest = block("console", f"$ layerlaws check ./{file}").partition("\n")
    run = command(*first.removeprefix("$ layerlaws ").split())
    assert run.returncode == 1
    assert _timeless(rest) == _timeless(run.stdout)


def _timeless(text: str) -> str:
    """Without what differs between runs.

    How many examples it took differs between an editable and an installed copy, too: Hypothesis also draws constants
    that it finds in local sources.
    """
    return re.sub(r"^.* examples/s: .*\n?", "", re.sub(r"\d+ examples, ", "", text), flags=re.MULTILINE).strip()


def test_the_example_holds_once_it_is_repaired(command: Command, tmp_path: Path) -> None:
    wrong = "np.tri(length, keys, dtype=bool)"
    repaired = block("python", '"""Causal attention').replace(wrong, "np.tri(length, keys, keys - length, dtype=bool)")
    (tmp_path / "my_backend.py").write_text(repaired, encoding="utf-8")
    run = command("check", "./my_backend.py", "--note", "masked_attention", "--profile", "quick")
    assert run.returncode == 0, run.stdout


@needs_torch
def test_the_module_holds_once_it_is_repaired(command: Command, tmp_path: Path) -> None:
    softmax, repair = "weights = scores.softmax(dim=-1)", "weights = weights.masked_fill(mask.unsqueeze(1) == 0, 0)"
    fill = "torch.finfo(scores.dtype).min"
    assert repair in README
    assert fill in README
    mended = f"{softmax}\n        if mask is not None:\n            {repair}"
    text = block("python", '"""Multi-head').replace(softmax, mended).replace("-1e9", fill)
    (tmp_path / "my_attention.py").write_text(text, encoding="utf-8")
    run = command("check", "./my_attention.py", "--note", "multi_head_attention", "--profile", "quick")
    assert run.returncode == 0, run.stdout


@needs_torch
@pytest.mark.parametrize(("number", "operation"), [(0, "multi_head_attention"), (1, "lstm")])
def test_the_modules_of_the_page_agree_with_their_definitions(number: int, operation: str, tmp_path: Path) -> None:
    page = (ROOT / "docs" / "your-module.md").read_text(encoding="utf-8")
    file = tmp_path / "shown.py"
    file.write_text(re.findall(r"```python\n(.*?)```", page, re.DOTALL)[number], encoding="utf-8")
    backend = load_backend(str(file), catalogue())
    assert [*backend.functions] == [operation]
    for law in ("agrees_with_definition", "gradient_agrees_with_definition"):
        (case,) = catalogue().select((), (f"{operation}.{law}",))
        assert check(backend, case, profile="quick").state == "held"


@pytest.mark.parametrize("name", ["README.md", "docs/bound.md"])
def test_the_sessions_run_as_shown(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    shown = "".join(re.findall(r"```pycon\n.*?```", text, re.DOTALL))
    session = doctest.DocTestParser().get_doctest(shown, {}, name, name, 0)
    assert session.examples
    runner = doctest.DocTestRunner()
    complaints: list[str] = []
    assert runner.run(session, out=complaints.append).failed == 0, "".join(complaints)


def test_the_list_of_functions_is_that_of_the_rules() -> None:
    text = (ROOT / "docs" / "bound.md").read_text(encoding="utf-8")
    _, listed, _ = re.split(r"<!-- .*functions.*? -->", text)
    assert re.findall(r"`(\w.*?)`", listed) == known()
