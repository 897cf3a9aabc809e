"""Speed in reports: ratios of right answers only, words for all else, plots that are safe and always the same."""

from __future__ import annotations

import re
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from markdown_it import MarkdownIt

import layerlaws.report
from layerlaws import __version__
from layerlaws.benchmark.record import BenchmarkHeader, BenchmarkJournal, Ceiling, Timing, benchmarks_in
from layerlaws.language.note import Catalogue
from layerlaws.report import write_report
from layerlaws.report.plots import MISSING, plots_of
from layerlaws.report.speed import COLUMNS, NOTHING, Entry, Roof, Speed
from layerlaws.report.speed_tables import speed_of
from layerlaws.report.units import digits, percent, round_scaled, scaled, times
from layerlaws.running.journal import Header, Journal

HOSTILE = "_<script>alert('1')</script>\"'><blink>|`$\\frac$ **x** [a](javascript:alert(3)) \u202e\x1b[31m & 文"

SIZES = {"B": 2, "T": 8}

SVG = "{http://www.w3.org/2000/svg}"


ROOF: dict[str, Any] = {"peak": 1e11, "bandwidth": 1e10, "device": "cpu"}


def timing(backend: str, seconds: float = 0.0, **fields: Any) -> Timing:
    one = Timing(
        backend, "doubling", "double", "double_much", "workload", "forward", {"B": 2, "T": 8}, "float32", "timed"
    )
    measured = {"seconds": seconds, "low": seconds * 0.9, "high": seconds * 1.2, "least": seconds * 0.8, "rounds": 7}
    return replace(one, **((measured if seconds else {}) | fields))


def record(directory: Path, *timings: Timing, name: str = "cpu", complete: bool = True, **fields: Any) -> None:
    header = BenchmarkHeader(
        name,
        __version__,
        dict.fromkeys(("numpy", "fast", "other"), "CPU"),
        {"openblas": 2},
        "2.4 GHz",
        False,
        True,
        [Ceiling("numpy", 1e11, 1e10), Ceiling("fast", 2e11, 1.5e10)],
        timings=9,
    )
    with BenchmarkJournal(directory, name) as journal:
        journal.begin(replace(header, **fields))
        for each in timings:
            journal.add(each)
        if complete:
            journal.close(12.5)


@pytest.fixture(autouse=True)
def no_laws(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reports on speed without the laws of the notes."""
    monkeypatch.setattr(layerlaws.report, "catalogue", lambda: Catalogue(()))


def speed(directory: Path) -> Speed:
    return speed_of(benchmarks_in(directory), Catalogue(()))


def entries(directory: Path, line: int = 0) -> dict[str, Entry]:
    return {entry.backend: entry for entry in speed(directory).runs[0].lines[line].entries}


def texts(directory: Path) -> tuple[str, str]:
    """README and page; there has to be a record of conformance beside."""
    with Journal(directory, Header("mine", __version__, "CPU", ["float32"], "quick", None, 1, True)) as journal:
        journal.close(1)
    readme, page, *_ = write_report(directory)
    return readme.read_text(encoding="utf-8"), page.read_text(encoding="utf-8")


def full(directory: Path, **fields: Any) -> None:
    """A record that has something for every table and plot."""
    costs = {"flops": 4e9, "moved": 1e8, "text": 5e6, **ROOF, "memory": 3_000_000, "used": 0.25}
    names = fields.pop("backends", {"numpy": "CPU", "fast": "CPU"})
    own = [timing(name, 0.4 / (i + 1), **costs) for i, name in enumerate(names)]
    grown = [
        timing(name, 0.4 * k / (i + 1), purpose="growth", sizes={"B": 2, "T": 8 * k})
        for i, name in enumerate(names)
        for k in (2, 4)
    ]
    sides = [
        timing(name, seconds, purpose="headline", headline="Half is twice as fast.", workload=side)
        for name in names
        for side, seconds in (("half", 0.1), ("whole", 0.25))
    ]
    record(directory, *own, *grown, *sides, backends=names, **fields)


def test_ratios_and_shares_of_the_ceiling_are_those_of_the_medians(tmp_path: Path) -> None:
    record(
        tmp_path,
        timing("numpy", 0.4, flops=4e9, moved=1e8, **ROOF, memory=3_000_000, text=2e6, used=0.25),
        timing("fast", 0.1, flops=4e9, moved=1e8, **ROOF),
        timing("other", 0.8),
    )
    found = entries(tmp_path)
    assert [found[name].faster for name in found] == pytest.approx([1, 4, 0.5])
    assert [found[name].behind for name in found] == pytest.approx([4, 1, 8])
    assert found["fast"].share == pytest.approx(0.4)
    assert (found["fast"].intensity, found["fast"].flops) == pytest.approx((40, 4e10))
    assert (found["other"].share, found["other"].intensity, found["other"].rate, found["other"].memory) == (None,) * 4
    assert dict(zip(COLUMNS, found["numpy"].facts, strict=True)) == {
        "dtype": "float32",
        "median": "400 ms",
        "quartiles": "360 ms to 480 ms",
        "rounds": "7",
        "speed, NumPy = 1": "1.00×",
        "time, fastest = 1": "4.00×",
        "peak memory": "3.00 MB",
        "of the ceiling": "10%",
        "text per second": "5.00 MB/s",
        "of the allowed error": "0.250",
    }


def test_the_roof_is_the_median_of_what_a_device_reached_beside_the_workloads(tmp_path: Path) -> None:
    reached = [timing("numpy", 0.4, **{**ROOF, "peak": peak}, workload=str(peak)) for peak in (1e11, 3e11, 4e11)]
    odd = [timing("numpy", 0.4, **{**ROOF, "peak": peak}, workload=str(peak)) for peak in (0.0, -1.0, float("nan"))]
    other = timing("fast", 0.4, **{**ROOF, "device": "cuda:0"})
    grown = timing("fast", 0.4, **{**ROOF, "peak": 9e11}, purpose="growth")
    record(tmp_path, *reached, *odd, other, grown)
    assert speed(tmp_path).runs[0].roofs == (Roof("cpu", 3e11, 1e10), Roof("cuda:0", 1e11, 1e10))
    page = texts(tmp_path)[1]
    assert "cpu: 300 GFLOP/s, 10.0 GB/s" in page
    assert "at the start fast on cpu: 200 GFLOP/s, 15.0 GB/s" in page


@pytest.mark.parametrize("state", ["wrong", "broken", "error", "missing"])
def test_what_is_not_right_has_a_word_and_no_number_and_enters_no_ratio(state: str, tmp_path: Path) -> None:
    other = timing("other", 0.001234, state=state, reason="3 is not 2", **ROOF, memory=77_700_000)
    record(tmp_path, timing("numpy", 0.4), timing("fast", 0.1), other)
    found = entries(tmp_path)
    assert found["other"] == Entry("other", state, "3 is not 2")
    assert found["fast"].behind == 1
    readme, page = (text.split("Median time, and how many times as fast as NumPy")[1] for text in texts(tmp_path))
    for section in (readme, page):
        assert "1.23" not in section
        assert "77.7" not in section
    assert f">{state}</b>" in page
    assert "| double_much | 400 ms | 100 ms, 4.00× |" + (f" {state} |" if state != "missing" else "  |") in readme


def test_without_a_right_answer_of_numpy_nothing_is_compared_with_it(tmp_path: Path) -> None:
    record(tmp_path, timing("numpy", 0.4, state="wrong"), timing("fast", 0.1), timing("other", 0.2))
    assert [entry.faster for entry in entries(tmp_path).values()] == [None, None, None]
    assert entries(tmp_path)["other"].behind == 2
    assert "ratios" not in plots_of(speed(tmp_path))[0]["cpu"]


def test_modes_and_sizes_are_lines_of_their_own_and_backends_in_other_dtypes_are_not(tmp_path: Path) -> None:
    record(
        tmp_path,
        timing("numpy", 0.4),
        timing("fast", 0.1, dtype="float64"),
        timing("fast", 0.3, mode="gradient"),
        timing("numpy", 0.5, sizes={"B": 1, "T": 8}),
        timing("other", state="unavailable", dtype=""),
    )
    (run,) = speed(tmp_path).runs
    assert run.backends == ("numpy", "fast")
    assert [(line.mode, line.setting) for line in run.lines] == [
        ("forward", "B 2, T 8"),
        ("forward and gradient", "B 2, T 8"),
        ("forward", "B 1, T 8"),
    ]
    assert entries(tmp_path)["fast"].dtype == "float64"
    assert entries(tmp_path, 2)["fast"] == Entry("fast", "not run")


def test_a_headline_has_the_slow_time_over_the_fast_one(tmp_path: Path) -> None:
    claim = {"purpose": "headline", "headline": "Half is twice as fast."}
    half = {**claim, "workload": "half", "sizes": {"V": 5}}
    whole = {**claim, "workload": "whole", "sizes": {"V": 10}}
    broken = [timing("other", state="missing", **whole), timing("other", 0.1, **half)]
    record(tmp_path, *broken, timing("fast", 0.2, **half), timing("fast", 0.5, **whole))
    (measured,) = speed(tmp_path).runs[0].headlines
    assert (measured.claim, measured.line.workload) == ("Half is twice as fast.", "half against whole")
    assert measured.line.setting == "V 5, against V 10"
    ratios = {entry.backend: (entry.state, entry.faster) for entry in measured.line.entries}
    assert ratios == {"fast": ("timed", pytest.approx(2.5)), "other": ("missing", None)}


def test_growth_is_told_with_its_power(tmp_path: Path) -> None:
    full(tmp_path)
    (run,) = speed(tmp_path).runs
    assert run.growth == [("double_much", "forward", "T 8", "T 32", "T^1.00", "T^1.00")]
    assert run.curves[0].points == ((8, 0.4), (16, 0.8), (32, 1.6))


def test_every_text_shows_tables_and_plots(tmp_path: Path) -> None:
    full(tmp_path)
    readme, page = texts(tmp_path)
    for kind in ("headlines", "ratios", "roofline", "growth"):
        assert f"](speed-cpu-{kind}.svg)" in readme
        assert (tmp_path / f"speed-cpu-{kind}.svg").is_file()
        assert f'aria-labelledby="speed-cpu-{kind}-title speed-cpu-{kind}-desc"' in page
    for text in (readme, page):
        for fact in ("Half is twice as fast.", "2.50×", "2.00×"):
            assert fact in text
    for fact in ("T^1.00", "200 GFLOP/s", "2.4 GHz", "openblas 2"):
        assert fact in page


def test_runs_stand_side_by_side_and_unfinished_ones_say_so(tmp_path: Path) -> None:
    record(tmp_path, timing("numpy", 0.4), complete=False, whole=False)
    record(tmp_path, timing("numpy", 0.4), name="cuda", quick=True, whole=False, suite="0.0.1")
    found = speed(tmp_path)
    assert [row[1:] for row in found.provenance if row[0] in ("state", "suite")] == [
        ("complete, 1 timing, quick", "INCOMPLETE, 1 timing"),
        ("layerlaws 0.0.1", f"layerlaws {__version__}"),
    ]
    for text in texts(tmp_path):
        assert "cpu is INCOMPLETE: its run stopped after 1 of 9 timings" in text
        for word in ("cuda is PARTIAL", "cuda is QUICK", "cuda is of layerlaws 0.0.1"):
            assert word in text


def test_runs_of_one_name_are_told_apart(tmp_path: Path) -> None:
    full(tmp_path)
    (tmp_path / "benchmark-cpu.jsonl").rename(tmp_path / "benchmark-elsewhere.jsonl")
    full(tmp_path)
    assert sorted(run.name for run in speed(tmp_path).runs) == [
        "cpu (benchmark-cpu.jsonl)",
        "cpu (benchmark-elsewhere.jsonl)",
    ]
    ids = re.findall(r'\bid="([^"]*)"', texts(tmp_path)[1])
    assert len(ids) == len(set(ids))
    assert len(list(tmp_path.glob("*-ratios.svg"))) == 2


def test_without_a_record_the_section_says_how_to_get_one(tmp_path: Path) -> None:
    readme, page = texts(tmp_path)
    assert NOTHING in readme.split("## Speed")[1]
    assert NOTHING.replace("`", "") in page.split('id="speed"')[1]
    assert {path.name for path in tmp_path.iterdir()} == {"mine.jsonl", "README.md", "index.html"}


def test_without_matplotlib_the_tables_stand_and_say_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full(tmp_path)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    readme, page = texts(tmp_path)
    assert MISSING in readme
    assert "pip install &#39;layerlaws[bench]&#39;" in page
    assert "2.00×" in readme
    assert "2.00×" in page
    assert ".svg" not in readme
    assert "<svg" not in page
    assert not list(tmp_path.glob("*.svg"))


def test_a_plot_is_the_same_every_time_and_well_formed(tmp_path: Path) -> None:
    full(tmp_path)
    first, second = (plots_of(speed(tmp_path))[0]["cpu"] for _ in range(2))
    assert list(first) == ["headlines", "ratios", "roofline", "growth"]
    assert first == second
    for plot in first.values():
        for drawing in (plot.inline, plot.alone):
            root = ElementTree.fromstring(drawing)
            assert (root.tag, root.get("role")) == (f"{SVG}svg", "img")
            assert [element.tag for element in root][:2] == [f"{SVG}title", f"{SVG}desc"]
            assert root.findtext(f"{SVG}title") == plot.title
            ids = [element.get("id") for element in root.iter() if element.get("id")]
            assert len(ids) == len(set(ids))
            assert {e.attrib["href"][1:] for e in root.iter() if "href" in e.attrib} <= set(ids)
            colours = {v for e in root.iter() for k, v in e.items() if k in ("fill", "stroke")}
            assert all(re.fullmatch(r"none|var\(--[a-z0-9-]+\)", colour) for colour in colours), colours
        assert not re.search(r"style=|url\(|<style", plot.inline)
        assert "prefers-color-scheme: dark" in plot.alone


def test_names_are_no_markup_in_plots_and_page(tmp_path: Path) -> None:
    full(
        tmp_path,
        name="cpu",
        backends={"numpy": HOSTILE, HOSTILE: HOSTILE},
        clocks=HOSTILE,
        threads={HOSTILE: 1},
        ceilings=[Ceiling(HOSTILE, 1e11, 1e10, HOSTILE)],
        environment={HOSTILE: HOSTILE},
    )
    wrong = timing("other", state="wrong", workload=HOSTILE, reason=HOSTILE, mode=HOSTILE, sizes={HOSTILE: 3})
    growing = [
        timing(HOSTILE, t, workload=HOSTILE, sizes={HOSTILE: n}, purpose=p)
        for n, t, p in ((1, 0.1, "workload"), (2, 0.3, "growth"))
    ]
    claim = [
        timing(HOSTILE, 0.2, workload=HOSTILE, purpose="headline", headline=HOSTILE, sizes={HOSTILE: n}) for n in (1, 2)
    ]
    record(tmp_path, wrong, *growing, *claim, timing(HOSTILE, 0.2, workload=HOSTILE, sizes={HOSTILE: 3}), name=HOSTILE)
    readme, page = texts(tmp_path)
    tags = Tags(page)
    assert not {"blink", "img", "iframe"} & set(tags.found)
    assert tags.found.count("script") == 1  # the page's own
    assert not [name for name in tags.names if name.startswith("on")]
    assert "\u202e" not in page
    for plots in plots_of(speed(tmp_path))[0].values():
        for plot in plots.values():
            allowed = {"svg", "title", "desc", "g", "path", "use", "text", "tspan", "defs"}
            assert {element.tag.removeprefix(SVG) for element in ElementTree.fromstring(plot.inline).iter()} <= allowed
    tokens = MarkdownIt("commonmark").enable(["table"]).parse(readme)
    flat = [t for token in tokens for t in (token, *(token.children or ()))]
    assert {t.content for t in flat if t.type.startswith("html_")} <= {readme.splitlines()[0] + "\n", "<br>"}
    assert not [t for t in flat if t.type == "link_open" and str(t.attrs["href"]).startswith("javascript")]


class Tags(HTMLParser):
    """The elements of a page and the names of their attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.names: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append(tag)
        self.names += [name for name, _ in attrs]


def test_numbers_are_told_in_three_digits() -> None:
    assert [digits(x) for x in (0.01234, 0.9996, 1.234, 99.96, 123.4, 12345.0, 0.0)] == [
        "0.0123",
        "1.00",
        "1.23",
        "100",
        "123",
        "12,300",
        "0",
    ]
    assert [scaled(x, "s") for x in (None, 0, 2.5e-9, 0.001, 0.9996, 61)] == [
        "–",
        "0 s",
        "2.50 ns",
        "1.00 ms",
        "1.00 s",
        "61.0 s",
    ]
    assert [round_scaled(x, "B") for x in (100, 2.5e6)] == ["100 B", "2.5 MB"]
    assert [percent(x) for x in (None, 0.0012, 0.5, 1.2)] == ["–", "0.120%", "50%", "120%"]
    assert times(None) == "–"
