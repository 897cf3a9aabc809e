"""What CI systems get: JUnit XML, a badge, and a workflow whose steps run as they stand in docs/ci.md."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml

from layerlaws.checking.verdict import STATES, Verdict
from layerlaws.report.badge import badge
from layerlaws.report.junit import write_junit
from layerlaws.running.journal import Header, Record, read_record
from layerlaws.running.worker import Facts

Command = Callable[..., subprocess.CompletedProcess[str]]
BackendFile = Callable[[str, str], Path]

ROOT = Path(__file__).parent.parent

STAIRCASE = """
def causal_mask(queries, keys):
    return np.tri(queries, keys, dtype=bool)

def teacher_forcing(targets, begin, end):
    rows = len(targets)
    return (np.concatenate([np.full((rows, 1), begin), targets], 1),
            np.concatenate([targets, np.full((rows, 1), end)], 1))
"""

ALLOWED: dict[str, tuple[set[str], set[str], set[str]]] = {
    "testsuites": ({"testsuite"}, set(), {"name", "time", "tests", "failures", "errors"}),
    "testsuite": (
        {"testcase", "properties", "system-out", "system-err"},
        {"name", "tests", "failures", "errors"},
        {"name", "tests", "failures", "errors", "time", "skipped", "timestamp", "hostname", "id", "package"},
    ),
    "properties": ({"property"}, set(), set()),
    "property": (set(), {"name", "value"}, {"name", "value"}),
    "testcase": ({"skipped", "error", "failure", "system-out"}, {"name"}, {"name", "time", "classname"}),
    **{tag: (set(), set(), {"type", "message"}) for tag in ("skipped", "error", "failure")},
}
"""Of each element of Jenkins' junit-10.xsd: what may stand in it, attributes that it must have, and may have."""


def assert_valid(element: ElementTree.Element) -> None:
    children, needed, attributes = ALLOWED[element.tag]
    assert needed <= set(element.keys()) <= attributes
    assert {child.tag for child in element} <= children
    if element.get("time"):
        assert float(element.get("time", "")) >= 0
    for child in element:
        assert_valid(child)


def of(state: str, **fields: Any) -> Verdict:
    return replace(Verdict("mine", "a_note", "twice", state.replace(" ", "_"), state), **fields)


def test_every_state_is_a_test_that_passed_failed_or_was_skipped(tmp_path: Path) -> None:
    verdicts = [of(state, reason=f"{state}, for a <reason> & \x00\x1b[31m\ud800", seconds=0.5) for state in STATES]
    write_junit(tmp_path / "laws.xml", [Facts("mine", "CPU"), Facts("theirs")], verdicts, lambda v: v.unexpected)
    root = ElementTree.parse(tmp_path / "laws.xml").getroot()
    assert_valid(root)
    mine, theirs = root
    outcomes = {test.get("name"): [child.tag for child in test] for test in mine.findall("testcase")}
    assert outcomes["held"] == []
    assert {name for name, tags in outcomes.items() if tags == ["failure"]} == {"broken", "not_judged", "stale"}
    assert {name for name, tags in outcomes.items() if tags == ["error"]} == {"error", "crashed", "timed_out"}
    assert {name for name, tags in outcomes.items() if tags == ["skipped"]} >= {"missing", "unavailable", "known"}
    assert len(outcomes) == len(STATES) == int(mine.get("tests", ""))
    assert mine.get("time") == f"{len(STATES) / 2:.3f}"
    broken = next(test for test in mine.findall("testcase") if test.get("name") == "broken")
    assert broken.get("classname") == "a_note.twice"
    assert "mine: twice.broken is broken" in (broken[0].text or "")
    assert "for a <reason> & " in broken[0].get("message", "")
    assert theirs.get("tests") == "0"
    assert [root.get(name) for name in ("failures", "errors")] == [mine.get("failures"), mine.get("errors")]


def test_check_writes_junit_and_lists_what_is_missing(
    command: Command, backend_file: BackendFile, tmp_path: Path
) -> None:
    backend_file("mine", STAIRCASE)
    arguments = ("./mine.py", "--note", "masked_attention", "--profile", "quick", "--junit", "laws.xml", "--missing")
    run = command("check", *arguments)
    assert run.returncode == 1
    assert run.stdout.endswith(
        "./mine.py does not offer 2 of 4 functions:\n"
        "  masked_attention: masked_self_attention\n"
        "  multi_head_attention: scaled_dot_product_attention\n"
    )
    root = ElementTree.parse(tmp_path / "laws.xml").getroot()
    assert_valid(root)
    failures = [test.get("name") for test in root.iter("testcase") if test.find("failure") is not None]
    assert "agrees_with_definition" in failures
    assert int(root[0].get("skipped", "")) > 5
    refused = command("check", "./mine.py", "--law", "the_mask_is_a_staircase", "--junit", "mine.py/laws.xml")
    assert refused.returncode == 2
    assert "cannot write mine.py/laws.xml: File exists; name another file for --junit" in refused.stderr


def record(*states: str, complete: bool = True, backend: str = "mine") -> Record:
    verdicts = tuple(of(state) for state in states)
    header = Header(backend, "1.0", "CPU", ["float32"], "quick", None, len(states), True)
    return Record(Path("mine.jsonl"), header, verdicts, complete)


@pytest.mark.parametrize(
    ("made", "value", "colour", "title"),
    [
        (record("held", "held"), "2 of 2 laws hold", "#2a7f4a", "mine, layerlaws 1.0: 2 held"),
        (record("held", "known"), "1 of 2 laws hold", "#2a7f4a", "mine, layerlaws 1.0: 1 held, 1 known"),
        (
            record("held", "broken", "missing", "missing"),
            "1 of 2 laws hold",
            "#b3372f",
            "mine, layerlaws 1.0: 1 broken, 1 held; 2 more are of what it does not offer",
        ),
        (record("held", complete=False), "incomplete record", "#6b7178", "mine, layerlaws 1.0: 1 held"),
        (record("missing"), "no law held", "#6b7178", "mine, layerlaws 1.0: nothing; 1 more are of what it does not"),
        (record("held", backend="<b>\x1b"), "1 of 1 laws hold", "#2a7f4a", "<b>\\x1b, layerlaws 1.0: 1 held"),
    ],
)
def test_a_badge_says_how_many_laws_hold(made: Record, value: str, colour: str, title: str) -> None:
    root = ElementTree.fromstring(badge(made))
    space = "{http://www.w3.org/2000/svg}"
    assert [text.text for text in root.iter(f"{space}text")] == ["layerlaws", value]
    assert (root.findtext(f"{space}title") or "").startswith(title)
    assert root.find(f"{space}path").get("fill") == colour  # type: ignore[union-attr]
    assert root.get("aria-label") == f"layerlaws: {value}"
    ends = [int(text.get("x", "")) + int(text.get("textLength", "")) for text in root.iter(f"{space}text")]
    assert ends[-1] < int(root.get("width", ""))


def workflow() -> list[dict[str, Any]]:
    page = (ROOT / "docs" / "ci.md").read_text(encoding="utf-8")
    text = page.split("```yaml\n")[1].split("```")[0]
    steps: list[dict[str, Any]] = yaml.safe_load(text)["jobs"]["laws"]["steps"]
    return steps


def test_the_workflow_runs_as_it_stands_in_the_page(backend_file: BackendFile, tmp_path: Path) -> None:
    """All but the installation, which test_wheel does, and the actions of GitHub."""
    source = backend_file("my_backend", STAIRCASE).read_text(encoding="utf-8")
    (tmp_path / "my_package").mkdir()
    (tmp_path / "my_package" / "my_backend.py").write_text(source, encoding="utf-8")
    tool = tmp_path / "bin" / "layerlaws"
    tool.parent.mkdir()
    tool.write_text(f'#!/bin/sh\nexec {sys.executable} -m layerlaws "$@"\n', encoding="utf-8")
    tool.chmod(0o755)
    environment = {
        "PATH": f"{tool.parent}:/usr/bin:/bin",
        "HOME": str(tmp_path),
        "OMP_NUM_THREADS": "1",
        "GITHUB_STEP_SUMMARY": str(tmp_path / "summary.md"),
    }
    runs = [step for step in workflow() if "run" in step]
    assert runs[0]["run"].startswith("pip install . layerlaws")
    codes = []
    for step in runs[1:]:
        done = subprocess.run(
            ["bash", "-e", "-o", "pipefail", "-c", step["run"]],
            cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=240,
        )  # fmt: skip
        codes.append(done.returncode)
        assert done.returncode in (0, 1), done.stderr
        assert done.returncode == 0 or "if" not in step, done.stderr
    assert codes == [1, 0]  # the mask lines up with the first key: a job that fails, and shows why
    (upload,) = [step["with"]["path"] for step in workflow() if "upload" in step.get("uses", "")]
    made = {path.name for path in (tmp_path / upload).iterdir()}
    assert made >= {"laws.xml", "laws.svg", "index.html", "README.md", "counterexamples", "my_package.my_backend.jsonl"}
    counts: Counter[str] = read_record(tmp_path / upload / "my_package.my_backend.jsonl").counts
    assert counts["broken"] > 0 < counts["missing"]
    assert "my_package.my_backend" in (tmp_path / "summary.md").read_text(encoding="utf-8")
    assert os.listdir(tmp_path / upload / "counterexamples") == ["my_package.my_backend"]
