"""Records of several runs or machines, merged into one directory, and two runs compared law by law."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from layerlaws.checking.verdict import Accuracy, Verdict
from layerlaws.running.diffing import diff, in_words
from layerlaws.running.journal import Header, Journal, read_record, records_in
from layerlaws.running.merging import merge
from layerlaws.support.errors import RecordError

Command = Callable[..., subprocess.CompletedProcess[str]]

REPORTS = Path(__file__).parents[2] / "reports"

HELD = Verdict("mine", "a_note", "twice", "doubles", "held", accuracy={"float32": Accuracy(0.1, 0.1, 5)})
KNOWN = Verdict("mine", "a_note", "twice", "refuses", "known", "by design", "https://example.org")
BROKEN = Verdict("mine", "a_note", "twice", "commutes", "broken", "1 is not 2\nat all", counterexample={"x": "1"})


def write(
    directory: Path,
    *verdicts: Verdict,
    backend: str = "mine",
    suite: str = "1.0",
    seed: int | None = None,
    complete: bool = True,
) -> Path:
    header = Header(backend, suite, "CPU", ["float32"], "quick", seed, len(verdicts), True)
    with Journal(directory, header) as journal:
        for verdict in verdicts:
            journal.add(replace(verdict, backend=backend))
        return journal.close(1.0) if complete else journal.part


def test_records_of_two_machines_stand_side_by_side(tmp_path: Path) -> None:
    one, other = write(tmp_path / "a", HELD, BROKEN), write(tmp_path / "b", HELD, backend="theirs")
    (tmp_path / "b" / "benchmark-there.jsonl").write_text('{"kind": "benchmark"}\n')
    written = merge([tmp_path / "a", other], tmp_path / "both")
    assert [path.name for path in written] == ["mine.jsonl", "theirs.jsonl"]
    assert (tmp_path / "both" / "mine.jsonl").read_bytes() == one.read_bytes()
    assert [r.header.backend for r in records_in(tmp_path / "both")] == ["mine", "theirs"]
    merge([tmp_path / "b"], tmp_path / "c")
    assert (tmp_path / "c" / "benchmark-there.jsonl").is_file()


def test_merging_refuses_what_cannot_stand_side_by_side(tmp_path: Path) -> None:
    a, b = tmp_path / "a", tmp_path / "b"
    write(a, HELD)
    write(b, HELD)
    write(tmp_path / "old", HELD, backend="theirs", suite="0.9")
    part = write(tmp_path / "part", HELD, backend="theirs", complete=False)
    target = tmp_path / "c"
    for sources, said in (
        ([a, b], "mine is in .*a.mine.jsonl and in .*b.mine.jsonl"),
        ([a, a], "merge the one that you trust"),
        ([a, tmp_path / "old"], "of suite 0.9, .* of 1.0"),
        ([a, part], "incomplete .1 of 1 laws.*--incomplete"),
        ([a, tmp_path / "nowhere"], "no file or directory"),
        ([tmp_path], "holds no record"),
    ):
        with pytest.raises(RecordError, match=said):
            merge(sources, target)
        assert not target.exists()
    with pytest.raises(RecordError, match="holds records already"):
        merge([a], b)
    merge([a, part], target, incomplete=True)
    assert [r.complete for r in records_in(target)] == [True, False]


def test_a_difference_puts_regressions_first_and_counts_the_rest(tmp_path: Path) -> None:
    moved = replace(BROKEN, law="moved")
    worse = replace(HELD, accuracy={"float32": Accuracy(0.5, 0.1, 5)})
    old = write(tmp_path / "old", HELD, BROKEN, KNOWN, replace(HELD, law="halves"), moved)
    new = write(
        tmp_path / "new",
        worse,
        replace(BROKEN, state="held", reason=""),
        replace(KNOWN, state="broken", reason="x"),
        replace(BROKEN, law="halves"),
        replace(HELD, law="new"),
        seed=3,
    )
    difference = diff(old, new)
    assert [change.new.law for change in difference.regressions] == ["refuses", "halves"]
    assert in_words(difference) == [
        "note: mine: seed none before, 3 now",
        "regression: mine: twice.refuses: known -> broken",
        "  x",
        "regression: mine: twice.halves: held -> broken",
        "  1 is not 2",
        "changed: mine: twice.commutes: broken -> held",
        "added: mine: 1 held",
        "removed: mine: 1 broken",
        "larger share of the allowed error at worst: 1 laws and dtypes",
        "  mine: twice.doubles (float32): 0.1 -> 0.5",
        "1 added, 1 removed, 3 changed (2 regressions), 1 unchanged",
    ]


def test_diff_exits_with_1_on_a_regression_only(command: Command, tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    write(old, HELD)
    write(new, replace(HELD, state="broken", reason="1 is not 2"))
    run = command("diff", "old", "new")
    assert run.returncode == 1
    assert run.stdout.startswith("regression: mine: twice.doubles: held -> broken")
    assert command("diff", "new", "old").returncode == 0
    refused = command("diff", "old", "nowhere")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "no file or directory nowhere" in refused.stderr
    write(tmp_path / "other", HELD, backend="theirs")
    refused = command("diff", "old/mine.jsonl", "other/theirs.jsonl")
    assert refused.returncode == 2
    assert "different backends, mine and theirs" in refused.stderr


def test_runs_of_different_backends_are_no_comparison(command: Command, tmp_path: Path) -> None:
    for name, backends in (("old", ("mine", "ours")), ("new", ("mine", "theirs")), ("others", ("theirs",))):
        for backend in backends:
            write(tmp_path / name, HELD, backend=backend)
    assert command("diff", "old", "new").stdout.splitlines()[:2] == [
        "note: only the older run has ours",
        "note: only the newer run has theirs",
    ]
    refused = command("diff", "old", "others")
    assert refused.returncode == 2
    assert "these are records of different backends, mine, ours and theirs: name two runs of one" in refused.stderr


def test_a_missing_function_is_a_regression_and_a_repair_is_none(tmp_path: Path) -> None:
    old = write(tmp_path / "old", HELD, KNOWN)
    new = write(tmp_path / "new", replace(HELD, state="missing"), replace(KNOWN, state="stale"))
    assert [change.new.state for change in diff(old, new).regressions] == ["missing"]


@pytest.mark.skipif(not (REPORTS / "numpy.jsonl").exists(), reason="no reports stand beside these tests")
def test_real_records_merge_and_differ_in_nothing_from_themselves(command: Command, tmp_path: Path) -> None:
    run = command("merge", str(REPORTS / "numpy.jsonl"), str(REPORTS / "torch-cpu.jsonl"), "-o", "merged")
    assert run.returncode == 0, run.stderr
    record = read_record(tmp_path / "merged" / "numpy.jsonl")
    same = command("diff", str(REPORTS / "numpy.jsonl"), "merged/numpy.jsonl")
    assert same.returncode == 0
    assert same.stdout == f"0 added, 0 removed, 0 changed (0 regressions), {len(record.verdicts)} unchanged\n"


def test_records_of_one_file_name_are_both_kept_and_none_takes_anothers_place(tmp_path: Path) -> None:
    for folder, backend in (("a", "mine"), ("b", "theirs")):
        write(tmp_path / folder, HELD, backend=backend).rename(tmp_path / folder / "x.jsonl")
    written = merge([tmp_path / "a", tmp_path / "b"], tmp_path / "both")
    assert [path.name for path in written] == ["mine.jsonl", "theirs.jsonl"]
    write(tmp_path / "c", HELD, backend="MINE")
    with pytest.raises(RecordError, match=r"a/x.jsonl and .*c/MINE.jsonl would both be .*both-2/"):
        merge([tmp_path / "a", tmp_path / "c"], tmp_path / "both-2")
    assert not (tmp_path / "both-2").exists()


HOSTILE = "\x1b]0;title\x07\x1b[31m\ud800"


def test_what_strangers_write_into_records_is_printed_without_escape_sequences(
    command: Command, tmp_path: Path
) -> None:
    broken = replace(BROKEN, backend=HOSTILE, reason=HOSTILE)
    for folder, state in (("old", "held"), ("new", "broken")):
        write(tmp_path / folder, replace(broken, state=state), backend=HOSTILE, suite=HOSTILE)
    (tmp_path / "\x1b[31m").mkdir()
    for arguments in (("diff", "old", "new"), ("merge", "new", "-o", "merged"), ("report", "\x1b[31m")):
        run = command(*arguments)
        assert "\x1b" not in run.stdout + run.stderr
        assert "Traceback" not in run.stderr
        assert run.stdout + run.stderr
