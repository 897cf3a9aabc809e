"""Reports: states kept apart, denominators fixed by the catalogue, and nothing a backend says taken as markup."""

from __future__ import annotations

import os
import re
from base64 import b64encode
from dataclasses import replace
from hashlib import sha256
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from string import ascii_lowercase
from types import ModuleType
from typing import Any

import pytest
from markdown_it import MarkdownIt

import layerlaws.report
from layerlaws import __version__
from layerlaws.checking.verdict import STATES, Accuracy, Verdict
from layerlaws.discovery import catalogue_of
from layerlaws.language.errata import errata_of
from layerlaws.language.note import Catalogue
from layerlaws.report import write_report
from layerlaws.report.contents import NOT_RUN, Report, Used
from layerlaws.report.tables import report_of
from layerlaws.report.words import WORDS
from layerlaws.running.journal import Header, Journal, records_in
from layerlaws.support.errors import RecordError, WrongUse

SOURCE = "https://github.com/somebody/something/issues/7"

NOTE = f'''"""Doubling: twice is plus itself.

Claimed: little.

Erratum. The note says "thrice". Shown by doubling_is_adding.

Erratum. It was written in <1999>. No law shows it.
"""
from layerlaws import closely, fault, law, operation
from hypothesis import strategies as st

@operation(inputs=st.just({{}}))
def double(x):
    """2 x."""
    return 2 * x

@law()
def doubling_is_adding(double, x):
    """Twice a number is the number and <itself>."""
    return closely(double(x=x), x + x)

@fault(double, breaks=doubling_is_adding, kind="scale", repair="Multiply by two.", seen="{SOURCE}")
def triples(x):
    """It triples."""
    return 3 * x
'''


def doubling() -> Catalogue:
    """A catalogue of one note that no change of the real ones can change."""
    module = ModuleType("test_notes.doubling")
    exec(NOTE, vars(module))
    return catalogue_of([module])


LAWS = tuple(case.law.name for case in doubling().cases)
"""Those that come with every operation, and at last the note's own."""

HOSTILE = (
    "<script>alert('1')</script>\"'><img src=x onerror=alert(2)> `|` **x** [a](javascript:alert(3)) \u202e\x1b[31m"
)


@pytest.fixture(autouse=True)
def known(monkeypatch: pytest.MonkeyPatch) -> Catalogue:
    """The catalogue of one note in place of the real one."""
    found = doubling()
    monkeypatch.setattr(layerlaws.report, "catalogue", lambda: found)
    return found


def header(backend: str = "mine", **changes: Any) -> Header:
    return replace(
        Header(backend, __version__, "CPU, 2 threads", ["float32"], "quick", None, len(LAWS), True), **changes
    )


def verdict(law: str = LAWS[0], state: str = "held", **fields: Any) -> Verdict:
    return Verdict(fields.pop("backend", "mine"), "doubling", "double", law, state, **fields)


def write(directory: Path, *verdicts: Verdict, complete: bool = True, **header_fields: Any) -> None:
    head = header(**header_fields)
    with Journal(directory, head) as journal:
        for each in verdicts:
            journal.add(replace(each, backend=head.backend))
        if complete:
            journal.close(2.5)


def tables(directory: Path, known: Catalogue) -> Report:
    return report_of(records_in(directory), known)


def texts(directory: Path) -> tuple[str, str]:
    readme, page = write_report(directory)
    return readme.read_text(encoding="utf-8"), page.read_text(encoding="utf-8")


class Page(HTMLParser):
    """What a browser would make of a page: elements, ids and addresses."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def values(self, name: str) -> list[str]:
        return [value or "" for key, value in self.attributes if key == name]


@pytest.mark.parametrize("state", STATES)
def test_each_state_is_counted_apart_and_shown(state: str, tmp_path: Path, known: Catalogue) -> None:
    write(tmp_path, verdict(LAWS[0], state), verdict(LAWS[1]))
    expected = {"held": 1, state: 1, NOT_RUN: len(LAWS) - 2} if state != "held" else {"held": 2, NOT_RUN: len(LAWS) - 2}
    report = tables(tmp_path, known)
    assert dict(report.rows[0].counts[0]) == expected
    assert [dict(counts) for counts in report.totals] == [expected]
    readme, page = texts(tmp_path)
    for name, count in expected.items():
        assert f"{count} {name}" in readme
        assert f">{count} {name}</b>" in page


def test_laws_that_a_run_did_not_hold_are_not_run(tmp_path: Path, known: Catalogue) -> None:
    write(tmp_path, verdict(), whole=False, laws=1)
    report = tables(tmp_path, known)
    assert len(report.rows[0].laws) == len(LAWS)
    assert report.rows[0].counts == [[("held", 1), (NOT_RUN, len(LAWS) - 1)]]
    assert "PARTIAL" in report.warnings[0]


def test_an_incomplete_record_is_said_to_be_incomplete_everywhere(tmp_path: Path) -> None:
    write(tmp_path, verdict(), complete=False)
    for text in texts(tmp_path):
        assert text.count("INCOMPLETE") >= 2
        assert f"1 of {len(LAWS)} laws" in text


def test_the_report_says_where_the_numbers_come_from(tmp_path: Path) -> None:
    write(tmp_path, verdict(examples=1234, undecidable=5, decisive=67), seed=42)
    for text in texts(tmp_path):
        for fact in (f"layerlaws {__version__}", "CPU, 2 threads", "quick", "42", "1,234", "67", "2.5", "python 3"):
            assert fact in text


def test_the_words_of_the_report_are_explained_in_it(tmp_path: Path) -> None:
    write(tmp_path, verdict())
    readme, page = texts(tmp_path)
    assert "[share of the allowed error](#words)" in readme
    assert 'href="#words">share of the allowed error' in page
    for word in WORDS:
        assert f"- **{word}**: " in readme
        assert f"<dt>{word}</dt>" in page


def test_an_unexpected_verdict_is_shown_with_sentence_input_and_both_sides(tmp_path: Path) -> None:
    broken = verdict(
        LAWS[-1],
        "broken",
        reason="3 is not 2",
        dtype="float32",
        counterexample={"x": "np.array([1.])"},
        sides={"left": "np.array([3.])", "right": "np.array([2.])"},
        diagnosis="equals the known fault triples",
    )
    write(tmp_path, broken)
    readme, page = texts(tmp_path)
    for part in ("3 is not 2", "x = np.array([1.])", "np.array([3.])", "np.array([2.])", "known fault triples"):
        assert part in readme
        assert part in page
    assert "and \\<itself>" in readme
    assert "and &lt;itself&gt;" in page


def test_a_known_deviation_is_shown_with_reason_and_link(tmp_path: Path) -> None:
    write(tmp_path, verdict(LAWS[-1], "known", reason="by design", link=SOURCE))
    readme, page = texts(tmp_path)
    assert f"[somebody/something#7](<{SOURCE}>)" in readme.split("## Known deviations")[1].split("##")[0]
    assert f'href="{SOURCE}"' in page
    assert "no unexpected verdict" in page


def test_accuracy_leaves_out_shares_of_laws_that_failed(tmp_path: Path, known: Catalogue) -> None:
    shares = {"float32": Accuracy(0.421, 0.1, 20, mean=-0.0251, rms=0.05, elements=400)}
    write(tmp_path, verdict(accuracy=shares), backend="right")
    write(tmp_path, verdict(state="broken", accuracy=shares), backend="wrong")
    write(tmp_path, backend="other")
    write(tmp_path, verdict(accuracy={"float16": Accuracy(1, 0, 1)}), backend="half", dtypes=["float16"])
    row = tables(tmp_path, known).rows[0]
    assert [(line.operation, line.of, line.dtype) for line in row.accuracy] == [
        ("double", "result", "float16"),
        ("double", "result", "float32"),
    ]
    assert [line.shares for line in row.accuracy] == [
        (Used("", "1", "0"), Used(NOT_RUN), Used("not offered"), Used("broken")),
        (Used("not offered"), Used(NOT_RUN), Used("", "0.42", "0.1", "-0.025", "", True), Used("broken")),
    ]
    assert row.worst == ("1", "", "0.42", "")
    readme, page = texts(tmp_path)
    assert "largest share of the allowed error: 0.42 (double, float32)" in readme
    assert '<td data-label="right">0.42 <small>0.1 -0.025 leaning</small></td>' in page


def test_it_says_which_law_notices_which_fault(tmp_path: Path, known: Catalogue) -> None:
    write(tmp_path)
    report = tables(tmp_path, known)
    letters = ascii_lowercase[: len(LAWS) - 1]
    found = [(law.id.removeprefix("double."), law.faults) for law in report.rows[0].laws]
    assert found == [(law, {column}) for law, column in zip(LAWS, [*letters, "1"], strict=True)]
    readme, page = texts(tmp_path)
    assert "It triples. Multiply by two." in page
    assert f"| doubling | {len(LAWS)} | 1 | 1 | 1 time |" in readme
    assert f">1 {letters}</pre>" in page
    dots = ["· " + "".join("●" if other == letter else "·" for other in letters) for letter in letters]
    assert re.findall("<pre[^>]*>([●· ]+)</pre>", page) == [*dots, "● " + "·" * len(letters)]
    assert '<a href="#double.doubling_is_adding">doubling_is_adding</a>' in page


def test_each_erratum_leads_to_the_laws_that_show_it(tmp_path: Path, known: Catalogue) -> None:
    write(tmp_path)
    readme, page = texts(tmp_path)
    assert '- `doubling`: The note says "thrice". Shown by `double.doubling_is_adding`.' in readme
    assert "It was written in \\<1999>. No law shows it." in readme
    shown = page.split("thrice")[1].split("</dd>")[0]
    assert 'Shown by <a class="law" href="#double.doubling_is_adding">' in shown
    assert "It was written in &lt;1999&gt;." in page


def test_an_erratum_that_names_no_law_is_refused(tmp_path: Path) -> None:
    module = ModuleType("test_notes.wrong")
    exec(NOTE.replace("Shown by doubling_is_adding.", "See below."), vars(module))
    with pytest.raises(WrongUse, match=r'an erratum of wrong has to read "Erratum\. \.\.\. Shown by'):
        errata_of(catalogue_of([module]).notes[0])


def test_verdicts_for_laws_of_no_note_here_are_shown_apart(tmp_path: Path, known: Catalogue) -> None:
    write(tmp_path, verdict("a_law_of_elsewhere"))
    report = tables(tmp_path, known)
    assert report.rows[0].counts == [[(NOT_RUN, len(LAWS))]]
    assert [result.law for result in report.beyond] == ["double.a_law_of_elsewhere"]
    assert all("a_law_of_elsewhere" in text.replace("<wbr>", "") for text in texts(tmp_path))


def test_records_of_one_backend_from_two_machines_keep_their_names_apart(tmp_path: Path, known: Catalogue) -> None:
    write(tmp_path, verdict())
    (tmp_path / "mine.jsonl").rename(tmp_path / "mine-h100.jsonl")
    write(tmp_path, verdict())
    assert tables(tmp_path, known).backends == ("mine (mine-h100.jsonl)", "mine (mine.jsonl)")


def test_records_of_another_version_are_refused_and_nothing_is_written(tmp_path: Path) -> None:
    write(tmp_path, verdict())
    write(tmp_path, verdict(), backend="older", suite="0.0.1")
    with pytest.raises(RecordError, match=r"older\.jsonl was written by layerlaws 0\.0\.1, this is"):
        write_report(tmp_path)
    assert not list(tmp_path.glob("*.md"))


def test_a_file_that_no_report_wrote_is_left_alone(tmp_path: Path) -> None:
    write(tmp_path, verdict())
    (tmp_path / "README.md").write_text("mine\n", encoding="utf-8")
    with pytest.raises(RecordError, match="was not written by"):
        write_report(tmp_path)
    assert (tmp_path / "README.md").read_text(encoding="utf-8") == "mine\n"
    assert not (tmp_path / "index.html").exists()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes with names")
def test_a_report_is_written_to_no_pipe_and_through_no_link(tmp_path: Path) -> None:
    write(tmp_path, verdict())
    precious = tmp_path / "precious"
    precious.write_text("mine")
    for make in (os.mkfifo, lambda path: path.symlink_to(precious), lambda path: path.symlink_to("/dev/zero")):
        make(tmp_path / "index.html")
        with pytest.raises(RecordError, match=r"index\.html was not written by"):
            write_report(tmp_path)
        (tmp_path / "index.html").unlink()
    for name in ("README.md.part", "index.html.part"):  # what version 0.1 wrote through
        (tmp_path / name).symlink_to(precious)
    assert len(write_report(tmp_path)) == 2
    assert precious.read_text() == "mine"


def test_the_same_records_give_the_same_report(tmp_path: Path) -> None:
    write(tmp_path, verdict())
    assert texts(tmp_path) == texts(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"mine.jsonl", "README.md", "index.html"}


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    """A record whose backend says everything it should not."""
    attack = verdict(
        LAWS[-1],
        "broken",
        reason=HOSTILE + "x" * 10_000_000,
        dtype=HOSTILE,
        diagnosis=HOSTILE,
        link="javascript:alert(4)",
        counterexample={HOSTILE: "```\n<script>\n````\n" + HOSTILE},
        sides={HOSTILE: HOSTILE},
    )
    known = verdict(LAWS[2], "known", reason=HOSTILE, link="javascript:alert(5)")
    strange = verdict(HOSTILE, "error", reason=HOSTILE)
    write(tmp_path, attack, known, strange, backend=HOSTILE, device=HOSTILE, unavailable=HOSTILE, dtypes=[HOSTILE])
    return tmp_path


def test_what_a_backend_says_is_no_markup_in_the_page(hostile: Path) -> None:
    page = texts(hostile)[1]
    parsed = Page(page)
    assert not {"img", "iframe", "object", "base"} & set(parsed.tags)
    assert parsed.tags.count("script") == 1
    assert not [name for name, _ in parsed.attributes if name.startswith("on")]
    assert set(parsed.values("href")) >= {SOURCE}
    assert all(re.match(r"https://github\.com/|#|data:,$", href) for href in parsed.values("href"))
    assert "\u202e" not in page
    assert "\x1b" not in page
    assert f"({len(HOSTILE) + 10_000_000:,} characters, whole in the record)" in page
    assert len(page) < 100_000


def test_what_a_backend_says_is_no_markup_in_the_readme(hostile: Path) -> None:
    readme = texts(hostile)[0]
    tokens = [t for token in markdown().parse(readme) for t in (token, *(token.children or ()))]
    assert [t.content for t in tokens if t.type.startswith("html_")] == [readme.splitlines()[0] + "\n"]
    links = {str(t.attrs["href"]) for t in tokens if t.type == "link_open"}
    assert links == {"index.html", "#words"}
    assert sum(t.type == "fence" for t in tokens) == 1
    assert len(readme) < 50_000


def markdown() -> MarkdownIt:
    return MarkdownIt("commonmark").enable(["table", "strikethrough"])


def test_the_tables_of_the_readme_render(hostile: Path) -> None:
    tokens = markdown().parse(texts(hostile)[0])
    sections: dict[str, list[int]] = {}
    for token, following in pairwise(tokens):
        if token.type == "heading_open" and token.tag == "h2":
            section = sections.setdefault(following.content, [])
        elif token.type == "tr_open":
            section.append(0)
        elif token.type in ("td_open", "th_open"):
            section[-1] += 1
    assert sections["Summary"] == [10, 10]
    assert sections["Laws"] == [2, 2]
    assert sections["Why believe the laws"] == [5, 5]
    assert sections["Laws beyond the catalogue"] == [3, 3]
    assert list(sections)[-1] == "Provenance"


def test_the_page_needs_nothing_else_and_is_a_document(tmp_path: Path) -> None:
    write(tmp_path, verdict(), verdict(LAWS[-1], "broken", reason="no"))
    page = texts(tmp_path)[1]
    parsed = Page(page)
    ids = parsed.values("id")
    assert len(ids) == len(set(ids))
    assert {href[1:] for href in parsed.values("href") if href.startswith("#")} <= set(ids)
    assert not parsed.values("src")
    assert "url(" not in page
    assert "@import" not in page
    assert set(re.findall(r"https?://[^\s\"<]+", page)) == {SOURCE}
    assert parsed.values("scope").count("col") > 10
    assert {"main", "nav", "details", "th"} <= set(parsed.tags)
    assert parsed.values("lang") == ["en"]
    assert "width=device-width" in page


def test_the_page_allows_its_own_style_and_script_and_nothing_else(hostile: Path) -> None:
    page = texts(hostile)[1]
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)
    assert policy
    allowed = dict(part.split(" ", 1) for part in policy[1].replace("&#39;", "'").split("; "))
    code = {kind: re.findall(rf"<{kind}>(.*?)</{kind}>", page, re.DOTALL) for kind in ("style", "script")}
    hashes = {
        kind: [f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'" for text in found]
        for kind, found in code.items()
    }
    assert [allowed["style-src"]] == hashes["style"]
    assert [allowed["script-src"]] == hashes["script"]
    assert allowed["default-src"] == allowed["base-uri"] == allowed["form-action"] == "'none'"
    assert allowed["img-src"] == "data:"
    assert " style=" not in page


def test_the_name_of_a_backend_is_no_style(tmp_path: Path) -> None:
    write(tmp_path, backend='"} body { display: none } </style> \\" é')
    page = texts(tmp_path)[1]
    style = page.split("<style>")[1].split("</style>")[0]
    assert style.count("display: none } ") == 0
    assert r"\000022\00007d body \00007b display\00003a none \00007d \00003c\00002fstyle\00003e" in style


def test_a_cell_leads_to_the_laws_behind_it(tmp_path: Path) -> None:
    write(tmp_path, verdict(), verdict(LAWS[-1], "broken", reason="seen by all"))
    page = texts(tmp_path)[1]
    assert '<td class="broken" data-label="doubling"><a href="#doubling-1" title="doubling: 1 held, 1 broken' in page
    assert ">1/2 ✗</a>" in page
    laws = page.split('id="doubling-1"')[1].split("</table>")[0].replace("<wbr>", "")
    assert re.findall(r"<code>double\.(\w+)</code>", laws) == list(LAWS)
    assert "seen by all" in laws


def test_a_sentence_stands_once_however_many_backends_there_are(tmp_path: Path) -> None:
    for name in ("one", "two", "three"):
        write(tmp_path, verdict(LAWS[-1]), backend=name)
    assert texts(tmp_path)[1].count("Twice a number is the number and") == 1
