"""A report as one HTML page that needs nothing else: no network, no script."""

from __future__ import annotations

from pathlib import Path

import jinja2
from markupsafe import Markup, escape

from layerlaws.report.contents import MEANINGS, Report
from layerlaws.report.text import MARK, link, link_name


def as_page(report: Report) -> str:
    """The report as the text of a page. Everything put into the template is escaped."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"breakable": _breakable, "link": link, "link_name": link_name}
    return environment.get_template("template.html.j2").render(report=report, meanings=MEANINGS, mark=MARK)


def _breakable(name: str) -> Markup:
    """An identifier that may be broken after dots and underscores, escaped (no entity contains either)."""
    return Markup(str(escape(name)).replace("_", "_<wbr>").replace(".", ".<wbr>"))
