"""A report as one self-contained HTML page that needs no network and is readable without its script."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Collection, Sequence
from functools import cache
from itertools import zip_longest
from pathlib import Path

import jinja2
from markupsafe import Markup, escape

from layerlaws.checking.verdict import UNEXPECTED
from layerlaws.report import speed as speed_words
from layerlaws.report import text
from layerlaws.report.accuracy import ERRORS, PART
from layerlaws.report.contents import FOLDED, MEANINGS, Fault, Report
from layerlaws.report.marks import LEGEND, grouped, marks_of, offered_by_none, offered_by_some
from layerlaws.report.plots import Plots
from layerlaws.report.speed import Speed
from layerlaws.report.svg import STYLE
from layerlaws.report.words import WORDS

HERE = Path(__file__).parent


def as_page(report: Report, speed: Speed | None = None, plots: Plots | None = None, missing: str = "") -> str:
    """The report as HTML. The template escapes everything it is given.

    missing: why plots are missing, "" if none is. The page's security policy allows its own style and script, by their
    hashes, and nothing else.
    """
    return _template().render(
        report=report,
        meanings=MEANINGS,
        words=WORDS,
        unexpected=UNEXPECTED,
        folded=FOLDED,
        groups=grouped(report),
        notes=offered_by_some(report),
        none_offers=offered_by_none(report),
        marks={row.name: marks_of(row) for row in report.rows},
        marks_legend=LEGEND,
        errors=ERRORS,
        part=PART,
        mark=text.MARK,
        text=text,
        speed=speed or Speed(),
        speed_words=speed_words,
        plots=plots or {},
        plots_missing=missing,
        style=Markup("".join([*map(_read, ("page.css", "speed.css")), STYLE, _columns(report.backends)])),
        script=Markup(_read("page.js")),
    )


@cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "breakable": _breakable,
        "link": text.link,
        "link_name": text.link_name,
        "hashed": _hashed,
        "heads": _heads,
        "dots": _dots,
        "shade": _shade,
    }
    return environment.get_template("template.html.j2")


def _read(name: str) -> str:
    return (HERE / name).read_text(encoding="utf-8")


def _breakable(name: str) -> Markup:
    """An identifier, escaped, with line breaks allowed after dots and underscores, which no entity contains."""
    return Markup(str(escape(name)).replace("_", "_<wbr>").replace(".", ".<wbr>"))


def _hashed(code: str) -> Markup:
    """The source of a style or script in a content security policy: its hash."""
    return Markup(f"'sha256-{base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()}'")


def _columns(backends: Sequence[str]) -> str:
    """The style rules of each backend's column: marked, shown alone, or labelled on a narrow screen."""
    rules = []
    for i, name in enumerate(backends, 2):
        rules += [
            f".laws:has(th:nth-child({i}):target) tr:not(.told) > :nth-child({i}) {{ background: var(--mark); }}",
            f"[data-only='{i - 1}'] .laws tr:not(.told) > :nth-child(n+2):not(:nth-child({i})) {{ display: none; }}",
            f"[data-only='{i - 1}'] .told:not(.of-{i - 1}) {{ display: none; }}",
            f".laws td:nth-child({i})::before {{ content: {_css_string(name)}; }}",
            f".laws:has(th:nth-child({i}):target) td.none:nth-child({i}) {{ display: inline-block; }}",
            f"[data-only='{i - 1}'] .laws td.none:nth-child({i}) {{ display: inline-block; }}",
        ]
    return "\n".join(["", *rules, ""])


def _shade(share: str) -> str:
    """The class of a cell with this share of the allowed error: darker where more was used."""
    return f"share-{sum(float(share) >= least for least in (0.1, 0.3, 0.6, 0.9))}"


def _css_string(name: str) -> str:
    """A name as a CSS string, with all characters but letters, digits and spaces escaped."""
    return '"' + re.sub(r"[^A-Za-z0-9 ]", lambda found: f"\\{ord(found[0]):06x}", name) + '"'


def _heads(faults: Sequence[Fault], generic: Sequence[Fault]) -> str:
    """The column labels of a kill matrix, written downwards, one character wide."""
    longest = max((len(fault.column) for fault in faults), default=1)
    columns = [fault.column.rjust(longest) for fault in faults] + [" " * longest]
    columns += [fault.column.rjust(longest) for fault in generic]
    return "\n".join("".join(line) for line in zip_longest(*columns, fillvalue=" "))


def _dots(noticed: Collection[str], faults: Sequence[Fault], generic: Sequence[Fault]) -> str:
    """A row of a kill matrix: a filled dot for each fault that the law detects, a small one for others."""

    def line(columns: Sequence[Fault]) -> str:
        return "".join("●" if fault.column in noticed else "·" for fault in columns)

    return f"{line(faults)} {line(generic)}"
