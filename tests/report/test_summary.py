"""The summary of each backend, the matrix, and a README that stays small, narrow, and without links from records."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from itertools import cycle
from pathlib import Path

import pytest

from layerlaws import __version__
from layerlaws.checking.verdict import STATES, Accuracy, Verdict
from layerlaws.discovery import catalogue
from layerlaws.language.exact_laws import BATCH_INVARIANT, DETERMINISTIC
from layerlaws.report.accuracy import ERRORS, PART, biased
from layerlaws.report.contents import Report, Summary
from layerlaws.report.markdown import as_markdown
from layerlaws.report.markdown_text import WIDEST, escaped, linked, table, within
from layerlaws.report.marks import absent, grouped, mark_of, offered_by_none
from layerlaws.report.page import as_page
from layerlaws.report.speed import Entry, Line, Run, Speed
from layerlaws.report.tables import report_of
from layerlaws.running.journal import Header, Record

CATALOGUE = catalogue()
CASES = CATALOGUE.cases
ADDRESSES = (
    "https://evil.example/x",
    "http://evil.example",
    "www.evil.example",
    "me@evil.example",
    "ftp://evil.example",
)


def record(
    name: str, verdicts: Sequence[Verdict], complete: bool = True, unavailable: str = "", dtypes: tuple[str, ...] = ()
) -> Record:
    header = Header(name, __version__, "CPU", list(dtypes) or ["float32"], "quick", None, len(CASES), True, unavailable)
    own = tuple(replace(verdict, backend=name) for verdict in verdicts)
    return Record(Path(f"{name}.jsonl"), header, own, complete, 1.0)


def verdicts(states: Sequence[str], number: int | None = None, kind: str = "", **fields: object) -> list[Verdict]:
    """Verdicts on the laws of the catalogue (of one kind), in these states by turns."""
    cases = [case for case in CASES if kind in ("", case.law.kind)][:number]
    return [
        Verdict("", case.note.name, case.operation.name, case.law.name, state, examples=20, decisive=20, **fields)  # type: ignore[arg-type]
        for case, state in zip(cases, cycle(states), strict=False)
    ]


def summary(*args: object, speed: Speed | None = None, **options: object) -> Summary:
    """The summary of one record."""
    (found,) = report_of([record(*args, **options)], CATALOGUE, speed).summaries  # type: ignore[arg-type]
    return found


def agreement(operation: str, **fields: object) -> Verdict:
    (case,) = CATALOGUE.select((), (f"{operation}.agrees_with_definition",))
    return Verdict("", case.note.name, operation, case.law.name, "held", examples=20, **fields)  # type: ignore[arg-type]


def test_right_is_said_of_what_is_offered_by_kind_of_law() -> None:
    values = [verdict for verdict in verdicts(["held"], kind="values")[:40] if verdict.state]
    assert summary("a", values + verdicts(["held"], kind="memory")[:5]).held == "values 40/40, memory 5/5"
    assert summary("a", values).verdict == "yes"
    assert summary("a", [*values[:-1], replace(values[-1], state="known")]).verdict == "yes, but for 1 by design"
    wrong = [*values[:-3], *(replace(verdict, state="broken", cause="wrong shape") for verdict in values[-3:])]
    found = summary("a", wrong)
    assert (found.verdict, found.held) == ("no: 3 laws, 1 cause", "values 37/40")
    absent_ones = verdicts(["missing", "not offered"], 60)
    assert summary("a", absent_ones).verdict == "nothing was held"
    assert summary("a", verdicts(["unavailable"]), unavailable="no such device").verdict == "unavailable"
    assert summary("a", values, complete=False).verdict == "yes so far"


@pytest.mark.parametrize("state", ["broken", "error", "crashed", "timed out", "not judged"])
def test_whatever_is_no_right_answer_is_not_right(state: str) -> None:
    for kind in ("values", "gradients", "state", "memory", "refusals"):
        assert summary("a", verdicts([state, "held"], 10, kind)).right == "no", kind


def test_accepting_bad_input_is_told_apart_from_being_wrong() -> None:
    refusals = verdicts(["accepted", "held", "known", "held"], 8, "refusals")
    found = summary("a", refusals + verdicts(["held"], 10, "values"))
    assert found.right == "yes"
    assert found.bad_input == "4 of 8 kinds, 2 of them by design"
    assert len(found.accepted) == 2


def test_bits_have_a_column_of_their_own_and_make_nothing_wrong() -> None:
    exact = [verdict for verdict in verdicts(["held"], kind="exact") if verdict.law in BATCH_INVARIANT + DETERMINISTIC]
    own = [
        replace(verdict, kind="exact", rows=100, inexact=3 * (verdict.law in BATCH_INVARIANT))
        for verdict in exact
        if verdict.operation in ("dot_score", "concat_score")
    ]
    own = [replace(verdict, state="inexact" if verdict.inexact else "held") for verdict in own]
    values = [v for v in verdicts(["held"], kind="values") if v.operation in ("dot_score", "concat_score")]
    report = report_of([record("a", values + own)], CATALOGUE)
    (found,) = report.summaries
    assert (found.right, found.wrong, found.held) == ("yes", 0, f"values {len(values)}/{len(values)}")
    assert found.bits == "3% differ, yes"
    assert summary("a", values).bits == ""
    said = "batch-invariant in 0 of 2 operations (3% of rows differ), deterministic in 2 of 2 operations"
    page, text = as_page(report), as_markdown(report)
    assert f"bit for bit: {said}" in text
    assert "| 3% differ, yes |" in text
    assert 'data-label="batch-invariant, deterministic">3% differ, yes<details>' in page
    (row,) = [row for row in report.rows if row.name == "alignment_scores"]
    assert dict(row.counts[0])["held"] == len(values), "marks leave out what informs"
    assert not report.unexpected


def test_the_share_of_the_domain_is_in_summary_and_matrix() -> None:
    part = verdicts(["held"], 30, declined=15, declines={"odd width": 15})
    report = report_of([record("part", part)], CATALOGUE)
    assert report.summaries[0].domain == "25%"
    assert ", 25%" in as_markdown(report).split("## Laws")[1].split("##")[0]
    assert re.search(
        r'title="[a-z_]+: \d+ held; on 25% of what was drawn|; on 25% of what was drawn">', as_page(report)
    )


def test_the_tightest_arithmetic_stands_in_summary_and_accuracy() -> None:
    shares = Accuracy(0.5, 0.1, 20, mean=0.001, rms=0.2, elements=400)
    words = {"attention": "float16, accumulated in float32, kept in float32", "throughout": "float16 throughout"}
    held = [
        agreement("causal_mask", accuracy={"float16": Accuracy(0, 0, 20)}, arithmetic={"float16": words["throughout"]}),
        agreement("masked_self_attention", accuracy={"float16": shares}, arithmetic={"float16": words["attention"]}),
        agreement("luong_step", accuracy={"float16": shares}, arithmetic={"float16": words["throughout"]}),
    ]
    report = report_of([record("half", held, dtypes=("float16",))], CATALOGUE)
    assert report.summaries[0].tightest == ("float16: in float32, kept in float32 (1); throughout (1)",)
    assert "tightest arithmetic that held: float16: in float32, kept in float32 (1); throughout (1)" in as_markdown(
        report
    )
    assert "0.1 +0.001; in float32, kept in float32</small>" in as_page(report)


def test_results_lean_only_where_the_mean_is_far_from_0_in_both_ways() -> None:
    def shares(mean: float, elements: int) -> Accuracy:
        return Accuracy(1, 0.5, 20, mean=mean, rms=0.1, elements=elements)

    assert biased(shares(-0.05, 10_000))
    assert not biased(shares(-0.05, 100)), f"fewer than {ERRORS} standard errors"
    assert not biased(shares(0.1 * PART * 0.9, 10_000_000)), f"less than {PART} of the root mean square"
    assert not biased(Accuracy(1, 0.5, 20)), "records of 0.1.0 do not say"
    leaning = summary("a", [agreement("luong_step", accuracy={"float32": shares(-0.05, 10_000)})])
    assert leaning.bias == "luong_step, float32 -0.05"
    assert summary("a", [agreement("luong_step", accuracy={"float32": shares(0, 10_000)})]).bias == "none"
    assert summary("a", [agreement("luong_step", accuracy={"float32": Accuracy(1, 0.5, 20)})]).bias == ""


def test_speed_is_the_geometric_mean_over_what_was_timed() -> None:
    def line(*faster: float | None) -> Line:
        names = ("numpy", "fast", "untimed")
        entries = (
            Entry(n, "timed" if x else "broken", seconds=x, faster=x) for n, x in zip(names, faster, strict=True)
        )
        return Line("w", "forward", "", "", tuple(entries))

    run = Run("cpu", "cpu", (), ("numpy", "fast", "untimed"), (), (line(1, 2, None), line(1, 8, None)), (), ())
    speed = Speed((run,))
    assert speed.pace("fast") == "4.00× NumPy (2 timed)"
    assert speed.pace("untimed") == speed.pace("nobody") == ""
    assert speed.pace("numpy") == "the measure of the others"
    assert (
        Speed((run, replace(run, name="gpu"))).pace("fast") == "cpu: 4.00× NumPy (2 timed); gpu: 4.00× NumPy (2 timed)"
    )
    assert summary("fast", verdicts(["held"], 3), speed=speed).speed == "4.00× NumPy (2 timed)"


@pytest.mark.parametrize(
    ("counts", "text", "state"),
    [
        ({"held": 14, "missing": 3}, "14", "held"),
        ({"held": 12, "broken": 1, "known": 1}, "12/14 ✗", "broken"),
        ({"held": 12, "known": 1, "accepted": 1}, "12/14 ○", "accepted"),
        ({"missing": 14}, "", "missing"),
        ({"not run": 2, "not offered": 1}, "", "not offered"),
    ],
)
def test_a_mark_says_how_many_hold_and_the_worst(counts: dict[str, int], text: str, state: str) -> None:
    mark = mark_of(counts.items(), "")
    assert (mark.text, mark.state) == (text, state)


def test_backends_that_offer_the_same_notes_stand_together_and_absent_ones_apart() -> None:
    elmo = [verdict for verdict in verdicts(["held"]) if verdict.note == "elmo"]
    names = {"part": elmo, "all": verdicts(["held"]), "other": elmo, "gone": verdicts(["missing"])}
    report = report_of([record(name, of) for name, of in names.items()], CATALOGUE)
    assert grouped(report) == [[1], [0, 2]]
    assert [name for name, _ in absent(report)] == ["gone"]
    assert not offered_by_none(report)
    only = report_of([record("part", elmo)], CATALOGUE)
    assert len(offered_by_none(only)) == len(CATALOGUE.notes) - 1
    assert "Notes of which no backend here has a function" in as_markdown(only)


@pytest.fixture(scope="module")
def many() -> Report:
    """Thirty backends with much to say, and addresses in everything that they say."""
    said = {"reason": f"see {' '.join(ADDRESSES)} " + "long " * 60, "link": ADDRESSES[0], "diagnosis": ADDRESSES[0]}
    return report_of(
        [
            record(
                f"library-number-{i} {ADDRESSES[0]}",
                verdicts(list(STATES), 200, cause="", **said, declines={ADDRESSES[0]: 1}, declined=1),
            )
            for i in range(30)
        ],
        CATALOGUE,
    )


@pytest.fixture(scope="module")
def readme(many: Report) -> str:
    return as_markdown(many)


@pytest.fixture(scope="module")
def page(many: Report) -> str:
    return as_page(many)


def test_the_readme_of_thirty_backends_is_small_and_narrow(readme: str) -> None:
    assert len(readme.encode()) < 60_000
    widths = [len(line) for line in readme.splitlines() if line.startswith("|")]
    assert len(widths) > 40
    assert max(widths) <= WIDEST


def test_no_address_of_a_record_is_a_link(readme: str, page: str) -> None:
    assert "evil.example" in readme
    bare = re.sub(r"(`+)[^`].*?\1", "", re.sub(r"^```.*?^```", "", readme, flags=re.DOTALL | re.MULTILINE))
    assert "evil.example" not in bare
    assert 'href="https://evil' not in page


def test_addresses_become_code() -> None:
    for address in ADDRESSES:
        assert escaped(f"see {address} *now*") == f"see `{address}` \\*now\\*"
    assert escaped("www.a|b`c") == "`www.a¦b'c`"
    assert linked("github.com/a/b") == "`github.com/a/b`"
    assert linked("https://github.com/a/b/issues/7") == "[a/b#7](<https://github.com/a/b/issues/7>)"


def test_a_table_cuts_its_longest_cells() -> None:
    lines = table(("a", "b"), [("x" * 300, "short"), ("y", "z")]).splitlines()
    assert WIDEST - 2 <= len(lines[2]) <= WIDEST
    assert lines[2].endswith("x… | short |")
    assert lines[3] == "| y | z |"
    assert table(("a",), []) == "None."


def test_what_has_no_room_is_counted() -> None:
    assert within(["12345678"] * 5, 20, "causes") == ["12345678"] * 2 + ["3 more causes in [index.html](index.html)."]
    assert within(["a", "b"], 20, "causes") == ["a", "b"]


def test_the_order_is_summary_causes_matrix_and_provenance_last(readme: str, page: str) -> None:
    titles = re.findall(r"^## (.*)$", readme, re.MULTILINE)
    assert titles[:3] == ["Summary", "Unexpected verdicts", "Laws"]
    assert titles[-1] == "Provenance"
    sections = re.findall(r'<h2 id="(\w+)">', page)
    assert sections[:3] == ["summary", "unexpected", "matrix"]
    assert sections[-1] == "provenance"
