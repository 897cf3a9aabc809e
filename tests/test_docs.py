"""The papers hang together: links between Markdown files lead somewhere, and every decision is listed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

from layerlaws.report.words import WORDS

ROOT = Path(__file__).parent.parent
DECISIONS = ROOT / "docs" / "decisions"


def papers(root: Path) -> list[Path]:
    """The Markdown files of a checkout, those in hidden folders (environments, caches) left out."""
    found = (path.relative_to(root) for path in root.rglob("*.md"))
    return sorted(path for path in found if not any(part.startswith(".") for part in path.parts))


def parsed(path: Path) -> list[Token]:
    return MarkdownIt().enable("table").parse(path.read_text(encoding="utf-8"))


def links(path: Path) -> list[str]:
    """What its links and images lead to, in order; not what only looks like a link, in code."""
    return [
        str(target)
        for token in parsed(path)
        for child in token.children or ()
        if (target := child.attrGet("href") or child.attrGet("src"))
    ]


def anchors(path: Path) -> set[str]:
    """The fragments that GitHub makes of its headings."""
    return {_slug(text) for text in _headings(path)}


def _headings(path: Path) -> Iterator[str]:
    for opening, inline in pairwise(parsed(path)):
        if opening.type == "heading_open":
            yield "".join(child.content for child in inline.children or ())


def _slug(heading: str) -> str:
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def broken_links(path: Path) -> list[str]:
    """Relative links of a file that lead to no file, or to no heading of one."""
    broken = []
    for link in links(path):
        parts = urlsplit(link)
        if parts.scheme or parts.netloc:
            continue
        target = path.parent / unquote(parts.path) if parts.path else path
        if not target.exists() or (parts.fragment and target.suffix == ".md" and parts.fragment not in anchors(target)):
            broken.append(link)
    return broken


@pytest.mark.parametrize("paper", papers(ROOT), ids=str)
def test_relative_links_lead_somewhere(paper: Path) -> None:
    assert broken_links(ROOT / paper) == []


def test_a_link_that_leads_nowhere_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "there.md").write_text("# Here and `there`, twice\n", encoding="utf-8")
    paper = tmp_path / "paper.md"
    paper.write_text(
        "# A paper\n\n[a](there.md) [b](there.md#here-and-there-twice) [c](#a-paper) [d](https://example.org/gone.md)\n"
        "`[e](code.md)` [f](gone.md) ![g](gone.svg) [h](there.md#gone) [i](#gone)\n\n"
        "| table |\n|---|\n| [j](gone/) |\n",
        encoding="utf-8",
    )
    assert broken_links(paper) == ["gone.md", "gone.svg", "there.md#gone", "#gone", "gone/"]


def test_every_decision_is_listed_once_in_the_order_of_its_number() -> None:
    decisions = sorted(path.name for path in DECISIONS.glob("*.md") if path.name != "README.md")
    assert [link for link in links(DECISIONS / "README.md") if not urlsplit(link).scheme] == decisions
    assert [name[:5] for name in decisions] == [f"{number:04d}-" for number in range(1, len(decisions) + 1)]


@pytest.mark.parametrize("path", [path for path in papers(ROOT) if re.match(r"\d+-", path.name)], ids=str)
def test_a_decision_has_its_number_a_title_and_a_date(path: Path) -> None:
    head, blank, date, *_ = (ROOT / path).read_text(encoding="utf-8").splitlines()
    assert re.fullmatch(rf"# {int(path.name[:4])}\. \S.+", head)
    assert blank == ""
    assert re.fullmatch(r"20\d\d-[01]\d-[0-3]\d", date)


@pytest.mark.parametrize("word", WORDS)
def test_the_report_explains_a_word_as_the_glossary_does(word: str) -> None:
    glossary = " ".join((ROOT / "docs" / "glossary.md").read_text(encoding="utf-8").split())
    assert f"**{word}.** {WORDS[word]}" in glossary
