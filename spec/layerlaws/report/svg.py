"""Prepares matplotlib's SVG for a page: small, in the colours of the page, and accessible to screen readers.

matplotlib draws with placeholder colours. They become CSS variables here, so that one drawing has a light and a dark
form.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from xml.etree import ElementTree

from layerlaws.report.text import MARK

INK, SOFT, RULE, PAPER = "#010001", "#010002", "#010003", "#010004"
"""Placeholders for the colours of text, secondary text, lines, and background."""

TIP = "tip:"
"""Prefix of the id of an element whose id is a tooltip."""

_SERIES = {
    f"series-{i}": colours
    for i, colours in enumerate(
        (
            ("#0065a8", "#62b5f5"),
            ("#c24e00", "#ff9a57"),
            ("#00805c", "#45cfa3"),
            ("#a8447f", "#f09cc8"),
            ("#8a6a00", "#dfc04d"),
            ("#5b4bb7", "#b3a7ff"),
            ("#4f7d1f", "#a5d36f"),
            ("#5a6168", "#b4bac0"),
        )
    )
}
"""Light and dark colours of backends. Further backends reuse them with other marker shapes."""

_PAGE = {"ink": ("#1d2125", "#e6e8ea"), "soft": ("#565d64", "#a6adb4"), "rule": ("#d5d9dd", "#3a4047"),
         "paper": ("#ffffff", "#15181b")}  # fmt: skip
"""Light and dark colours of the page, for plots in files of their own."""

_SPACE = "http://www.w3.org/2000/svg"
_TEXTS = {f"{{{_SPACE}}}{tag}" for tag in ("text", "tspan", "title")}
_LINK = "{http://www.w3.org/1999/xlink}href"
_FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif"


@dataclass(frozen=True)
class Plot:
    """A drawing as SVG. name: of its file, without suffix. inline: for a page with `STYLE`. alone: for a file."""

    name: str
    title: str
    description: str
    inline: str
    alone: str


def series(i: int) -> str:
    """The placeholder for the colour of backend i."""
    return f"#0200{i % len(_SERIES):02x}"


def _variables(colours: dict[str, tuple[str, str]]) -> str:
    light, dark = ("; ".join(f"--{name}: {both[i]}" for name, both in colours.items()) for i in (0, 1))
    return f":root {{ {light} }} @media (prefers-color-scheme: dark) {{ :root {{ {dark} }} }}"


STYLE = _variables(_SERIES)
"""The style that a page needs for inline plots, in addition to its own colours."""

_PLACEHOLDERS = {INK: "ink", SOFT: "soft", RULE: "rule", PAPER: "paper"} | {
    series(i): f"series-{i}" for i in range(len(_SERIES))
}


def plot_of(drawing: str, name: str, title: str, description: str) -> Plot:
    """A plot from the SVG that matplotlib wrote. name: unique in the page."""
    ElementTree.register_namespace("", _SPACE)
    root = ElementTree.fromstring(drawing)
    for parent in list(root.iter()):
        for child in [c for c in parent if c.tag.endswith(("}metadata", "}style", "}clipPath"))]:
            parent.remove(child)
    _rename(root, name)
    for element in root.iter():
        _lighten(element)
    _, _, width, height = root.attrib["viewBox"].split()
    root.attrib |= {"width": width, "height": height, "role": "img", "font-family": _FONT}
    root.attrib["aria-labelledby"] = f"{name}-title {name}-desc"
    for i, (tag, text) in enumerate((("title", title), ("desc", description))):
        child = ElementTree.Element(f"{{{_SPACE}}}{tag}", {"id": f"{name}-{tag}"})
        child.text = text
        root.insert(i, child)
    inline = ElementTree.tostring(root, encoding="unicode")
    style = ElementTree.Element(f"{{{_SPACE}}}style")
    # With a background of its own, the plot is readable anywhere.
    style.text = f"{_variables(_PAGE | _SERIES)} svg {{ background: var(--paper) }}"
    root.insert(2, style)
    alone = ElementTree.tostring(root, encoding="unicode")
    return Plot(name, title, description, inline, f"<!-- {MARK}; change the records, not this file -->\n{alone}\n")


def _rename(root: ElementTree.Element, name: str) -> None:
    """Prefix ids that are referred to with the plot's name, turn tooltips into titles, and remove other ids."""
    wanted = {value.removeprefix("#") for e in root.iter() for key, value in e.items() if key == _LINK}
    for element in root.iter():
        if _LINK in element.attrib:
            element.set("href", f"#{name}-{element.attrib.pop(_LINK).removeprefix('#')}")
        id = element.attrib.pop("id", "")
        if id in wanted:
            element.set("id", f"{name}-{id}")
        elif id.startswith(TIP):
            tip = ElementTree.Element(f"{{{_SPACE}}}title")
            tip.text = id.removeprefix(TIP)
            element.insert(0, tip)


def _lighten(element: ElementTree.Element) -> None:
    """Shorten numbers, use the page's colours and font, and remove indentation and clipping, which nothing needs.

    Styles become attributes, since the page's security policy forbids inline styles.
    """
    element.attrib.pop("clip-path", None)
    declarations = (part.partition(":") for part in element.attrib.pop("style", "").split(";") if part.strip())
    element.attrib |= {key.strip(): value.strip() for key, _, value in declarations if key.strip() != "font-family"}
    for key, value in list(element.items()):
        if key in ("d", "x", "y", "transform", "points"):
            value = " ".join(re.sub(r"-?\d+\.\d+", lambda number: f"{float(number[0]):.1f}", value).split())
        if key == "transform" and value.startswith("rotate(-0 "):
            del element.attrib[key]
        else:
            element.set(key, f"var(--{_PLACEHOLDERS[value]})" if value in _PLACEHOLDERS else value)
    if element.tag not in _TEXTS and not (element.text or "").strip():
        element.text = None
    element.tail = None
