"""The page in a browser: what opens, what filters, and what a hostile record cannot do. Needs Chromium."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from itertools import cycle
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from layerlaws import __version__, catalogue
from layerlaws.checking.verdict import STATES, UNEXPECTED, Accuracy, Verdict
from layerlaws.report import write_report
from layerlaws.running.journal import Header, Journal

playwright = pytest.importorskip("playwright.sync_api", reason="needs a browser driver: pip install playwright")

CASES = catalogue().cases
LINK = "https://github.com/somebody/something/issues/7"
HOSTILE = (
    "</style></script><script>window.hurt = 1</script>\"'><img src=https://evil.example/x onerror='window.hurt = 2'>\n"
    "\u202e\x00\x1b[31m\u2028\ud800 {{ 7 * 7 }} \\22}*{display:none} "
)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium: Playwright's own, or one on the PATH."""
    with playwright.sync_playwright() as driver:
        own = Path(driver.chromium.executable_path)
        names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
        path = own if own.exists() else next(filter(None, map(shutil.which, names)), None)
        if path is None:
            pytest.skip("needs a browser: `apt install chromium` or `playwright install --with-deps chromium`")
        browser = driver.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


def write(directory: Path, backend: str, verdicts: list[Verdict]) -> None:
    with Journal(
        directory, Header(backend, __version__, "CPU", ["float32"], "quick", None, len(CASES), True)
    ) as journal:
        for verdict in verdicts:
            journal.add(verdict)
        journal.close(1.0)


def verdicts(backend: str, states: list[str], **fields: Any) -> list[Verdict]:
    """One verdict for each law of the catalogue, in these states by turns."""
    return [
        Verdict(backend, case.note.name, case.operation.name, case.law.name, state, examples=20, decisive=20, **fields)
        for case, state in zip(CASES, cycle(states), strict=False)
    ]


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A page of all notes: one backend holds every law, one is in each state by turns, one is hostile."""
    directory = tmp_path_factory.mktemp("page")
    write(directory, "steady", verdicts("steady", ["held"], accuracy={"float32": Accuracy(0.5, 0.1, 20)}))
    said = {"reason": "seen so", "link": LINK, "diagnosis": "a known fault", "dtype": "float32"}
    write(
        directory,
        "various",
        verdicts(
            "various",
            list(STATES),
            **said,
            counterexample={"x": "np.array([1.])"},
            sides={"returned": "np.array([2.])"},
        ),
    )
    attack = verdicts(
        HOSTILE,
        ["broken", "known"],
        reason=HOSTILE,
        diagnosis=HOSTILE,
        link="javascript:hurt()",
        dtype=HOSTILE,
        counterexample={HOSTILE: HOSTILE},
        sides={HOSTILE: HOSTILE},
    )
    write(directory, HOSTILE, [Verdict(HOSTILE, "nowhere", HOSTILE, HOSTILE, "error", "x" * 10_000_000), *attack[:60]])
    return write_report(directory)[1].as_uri()


@pytest.fixture
def open_page(browser: Any, address: str) -> Iterator[Callable[..., Any]]:
    """Open the page in a fresh window. Afterwards nothing may have left the page or complained in the console."""
    windows, trouble = [], []

    def open_page(suffix: str = "", **options: Any) -> Any:
        window = browser.new_context(**options)
        windows.append(window)
        window.set_default_timeout(120_000)  # a busy machine is no failure
        page = window.new_page()
        page.on("console", lambda message: trouble.append(message.text))
        page.on("pageerror", lambda error: trouble.append(str(error)))
        page.on(
            "request",
            lambda request: None if request.url.startswith(("file:", "data:")) else trouble.append(request.url),
        )
        page.on("dialog", lambda dialog: trouble.append(dialog.message))
        page.goto(address + suffix)
        return page

    yield open_page
    for window in windows:
        window.close()
    assert not trouble


def rows(page: Any) -> int:
    """How many laws can be seen."""
    return int(page.locator("table.laws > tbody:visible").count())


def test_a_cell_opens_its_laws_and_marks_its_column(open_page: Callable[..., Any]) -> None:
    page = open_page()
    assert rows(page) == 0
    page.locator("table.heat a[href='#elmo-2']").click()
    laws = page.locator("#note-elmo table.laws")
    assert laws.is_visible()
    assert rows(page) == len(catalogue().note("elmo").cases)
    assert page.url.endswith("#elmo-2")
    background = "e => getComputedStyle(e).backgroundColor"
    cells = laws.locator("tbody").first.locator("td")
    assert cells.nth(1).evaluate(background) != cells.nth(0).evaluate(background)


def test_what_a_law_has_to_say_is_there(open_page: Callable[..., Any]) -> None:
    broken = next(case.id for case, state in zip(CASES, cycle(STATES), strict=False) if state == "broken")
    page = open_page(f"#{broken}")
    law = page.locator(f"[id='{broken}']")
    assert law.is_visible()
    said = law.inner_text()
    statement = next(case.law.statement for case in CASES if case.id == broken)
    for part in (statement, "broken", "seen so", "a known fault", "x = np.array([1.])", "returned:\nnp.array([2.])"):
        assert part in said
    assert "(somebody/something#7)" in said
    assert page.locator(f"a[href='{LINK}']").count() == 0, "records are data; the suite cites no such thread"


@pytest.mark.parametrize("target", ["accuracy-volo", "faults-volo", "note-volo", "volo-3"])
def test_a_link_from_elsewhere_opens_what_it_leads_to(open_page: Callable[..., Any], target: str) -> None:
    page = open_page(f"#{target}")
    found = page.locator(f"#{target}")
    assert found.is_visible()
    assert page.evaluate("id => document.getElementById(id).getBoundingClientRect().top < innerHeight", target)
    assert found.evaluate("e => !e.matches('details') || e.open")


def test_filters_narrow_the_laws_and_stand_in_the_url(open_page: Callable[..., Any]) -> None:
    page = open_page()
    page.select_option("[name=state]", "timed out")
    timed_out = sum(state == "timed out" for _, state in zip(CASES, cycle(STATES), strict=False))
    assert rows(page) == timed_out
    assert page.locator("output").inner_text() == f"{timed_out} of {len(CASES):,} laws"
    page.select_option("[name=backend]", "various")
    assert rows(page) == timed_out
    assert (
        page.locator("table.laws:visible >> nth=0")
        .locator("tbody:visible >> nth=0")
        .locator("td b:visible")
        .first.inner_text()
        == "timed out"
    )
    law = next(
        c for c, state in zip(CASES, cycle(STATES), strict=False) if (c.note.name, state) == ("elmo", "timed out")
    )
    words = law.law.statement.upper().rstrip(".").replace("'", " ").replace(",", " ")[:60]
    page.select_option("[name=note]", "elmo")
    page.fill("[name=text]", words)
    # Asked of the page: page.url learns of replaceState only when the browser's own message has arrived.
    expected = urlencode({"state": "timed out", "backend": "various", "note": "elmo", "text": words})
    assert page.evaluate("location.search") == f"?{expected}"
    seen = rows(page)
    assert 0 < seen < timed_out
    assert page.locator(f"[id='{law.id}']").is_visible()
    page.reload()
    assert rows(page) == seen
    assert page.input_value("[name=text]") == words
    assert page.locator("details.note:visible").count() == 1
    page.click("button[type=reset]")
    page.wait_for_function("!location.search")
    assert rows(page) == 0
    assert page.locator("details.note:visible").count() == len(catalogue().notes)


def test_unexpected_states_are_one_filter(open_page: Callable[..., Any]) -> None:
    page = open_page("?state=unexpected&backend=various")
    shown = set(page.locator("table.laws > tbody:visible td:nth-child(4):visible > b").all_inner_texts())
    assert shown == set(UNEXPECTED)


def test_a_link_to_a_law_that_a_filter_hides_lifts_the_filter(open_page: Callable[..., Any]) -> None:
    page = open_page("?note=elmo")
    page.locator("table.heat a[href='#volo-2']").click()
    page.wait_for_function("!location.search")
    assert page.locator("#note-volo table.laws").is_visible()


def test_an_address_that_makes_no_sense_does_no_harm(open_page: Callable[..., Any]) -> None:
    page = open_page("?state=%22%3E%3Cscript%3E&backend=nobody&note=__proto__&text=%00%E0%A4%A#%E0%A4%A")
    assert page.locator("h1").is_visible()
    assert page.input_value("[name=state]") == ""


def test_without_javascript_everything_can_be_read(open_page: Callable[..., Any]) -> None:
    page = open_page(java_script_enabled=False)
    assert not page.locator("form").is_visible()
    assert page.locator("table.heat").first.is_visible()
    page.locator("#note-elmo > summary").click()
    assert rows(page) == len(catalogue().note("elmo").cases)
    page.locator("#faults-elmo > summary").click()
    assert page.locator("#faults-elmo ol").is_visible()


def test_what_a_backend_says_stays_text(open_page: Callable[..., Any]) -> None:
    page = open_page("?state=unexpected")
    assert page.evaluate("window.hurt") is None
    assert page.locator("script").count() == 1
    assert page.locator("img").count() == 0
    assert page.locator("a[href^='javascript']").count() == 0
    assert page.locator("table.heat thead").first.inner_text().startswith("backend")
    text = page.locator("body").inner_text()
    assert "<script>window.hurt = 1</script>" in text
    assert "{{ 7 * 7 }}" in text
    assert "\\u202e\\x00\\x1b[31m" in text
    assert not re.search("[\u202e\x00\x1b]", text)
    assert len(page.content()) < 3_000_000


@pytest.mark.parametrize("width", [390, 1280])
def test_nothing_is_wider_than_the_window(open_page: Callable[..., Any], width: int) -> None:
    page = open_page("?state=unexpected", viewport={"width": width, "height": 800})
    page.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    wide = page.evaluate(
        "w => [...document.querySelectorAll('p, summary, h1, h2, h3, dd, li, .told td')].filter(e =>"
        " !e.closest('.kills, .known') && e.getBoundingClientRect().right > w + 1).map(e => e.outerHTML.slice(0, 90))",
        width,
    )
    assert wide == []


def test_what_no_backend_was_held_to_is_folded_away(open_page: Callable[..., Any]) -> None:
    page = open_page("#elmo-2")
    laws = page.locator("#note-elmo table.laws").first
    assert laws.locator("td.none:visible").count() == laws.locator("tr > td.none:nth-child(3)").count()
    assert laws.locator("td.rest details").count() > 0
    page.select_option("[name=state]", "missing")
    missing = sum(state == "missing" for _, state in zip(CASES, cycle(STATES), strict=False))
    assert page.locator("output").inner_text() == f"{missing} of {len(CASES):,} laws"
    assert rows(page) == missing


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_state_can_be_read_on_its_colour(open_page: Callable[..., Any], scheme: str) -> None:
    page = open_page(color_scheme=scheme)
    styles = page.locator(".legend b, p, a, .soft").evaluate_all(
        "all => all.map(e => { let back = e; while (getComputedStyle(back).backgroundColor === 'rgba(0, 0, 0, 0)')"
        " back = back.parentElement; return [e.tagName + ' ' + e.className, getComputedStyle(e).color,"
        " getComputedStyle(back).backgroundColor]; })"
    )
    found = {tuple(style) for style in styles}
    assert {name for name, _, _ in found} >= {f"B {state.replace(' ', '-')}" for state in STATES}
    assert {name: round(contrast(ink, paper), 2) for name, ink, paper in found if contrast(ink, paper) < 4.5} == {}


def test_the_two_schemes_differ(open_page: Callable[..., Any]) -> None:
    def paper(scheme: str) -> float:
        body = open_page(color_scheme=scheme).locator("body")
        return luminance(body.evaluate("e => getComputedStyle(e).backgroundColor"))

    assert paper("light") > 0.8
    assert paper("dark") < 0.1


def luminance(colour: str) -> float:
    """Relative luminance of an rgb(...) colour, after WCAG 2.2."""
    channels = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """Contrast ratio of two colours, after WCAG 2.2."""
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)
