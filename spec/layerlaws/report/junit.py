"""Verdicts as JUnit XML, which CI systems show as tests: one suite per backend, one test per law.

The elements and attributes are those of Jenkins' schema, which pytest writes, too:
https://github.com/jenkinsci/xunit-plugin/blob/master/src/main/resources/org/jenkinsci/plugins/xunit/types/model/xsd/junit-10.xsd
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from xml.etree import ElementTree

from layerlaws import __version__
from layerlaws.checking.failure import failure
from layerlaws.checking.verdict import Verdict
from layerlaws.running.worker import Facts
from layerlaws.support.errors import WrongUse

ERRORS = ("error", "crashed", "timed out")
"""States in which the law did not come to an end."""

_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML 1.0 does not have (section 2.2)."""


def writable(path: Path) -> Path:
    """The path, once it is known that a file can be written there. Raises WrongUse before any work is done."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8"):
            return path
    except OSError as error:
        raise WrongUse(f"cannot write {path}: {error.strerror}; name another file for --junit") from None


def write_junit(
    path: Path, backends: Sequence[Facts], verdicts: Iterable[Verdict], fails: Callable[[Verdict], bool]
) -> None:
    """Write the verdicts of a run. fails: whether a verdict makes the run fail; other laws than those that were held
    are skipped tests.
    """
    root = ElementTree.Element("testsuites", name="layerlaws")
    by_backend: dict[str, list[Verdict]] = {backend.name: [] for backend in backends}
    for verdict in verdicts:
        by_backend[verdict.backend].append(verdict)
    for backend in backends:
        _add_suite(root, backend, by_backend[backend.name], fails)
    for name in ("tests", "failures", "errors"):
        root.set(name, str(sum(int(suite.get(name, "0")) for suite in root)))
    ElementTree.indent(root)
    ElementTree.ElementTree(root).write(path, encoding="utf-8", xml_declaration=True)


def _add_suite(
    root: ElementTree.Element, backend: Facts, verdicts: Sequence[Verdict], fails: Callable[[Verdict], bool]
) -> None:
    suite = ElementTree.SubElement(root, "testsuite", name=_text(backend.name))
    properties = ElementTree.SubElement(suite, "properties")
    said = {"layerlaws": __version__, "device": backend.device, "dtypes": ", ".join(backend.dtypes)}
    for name, value in said.items():
        ElementTree.SubElement(properties, "property", name=name, value=_text(value))
    for verdict in verdicts:
        _add_test(suite, verdict, fails(verdict))
    counted = {"failures": "failure", "errors": "error", "skipped": "skipped"}
    suite.set("tests", str(len(verdicts)))
    for name, tag in counted.items():
        suite.set(name, str(len(suite.findall(f"testcase/{tag}"))))
    suite.set("time", f"{sum(verdict.seconds for verdict in verdicts):.3f}")


def _add_test(suite: ElementTree.Element, verdict: Verdict, failing: bool) -> None:
    test = ElementTree.SubElement(
        suite,
        "testcase",
        classname=f"{verdict.note}.{verdict.operation}",
        name=verdict.law,
        time=f"{verdict.seconds:.3f}",
    )
    if verdict.state == "held":
        return
    tag = ("error" if verdict.state in ERRORS else "failure") if failing else "skipped"
    first = verdict.reason.partition("\n")[0]
    outcome = ElementTree.SubElement(test, tag, type=verdict.state, message=_text(f"{verdict.state}: {first}"))
    outcome.text = _text(failure(verdict)) if failing else _text(verdict.link) or None


def _text(text: str) -> str:
    """The text without the characters that XML does not have."""
    return _NO_XML.sub("\ufffd", text)
