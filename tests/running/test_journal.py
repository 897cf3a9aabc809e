"""Records: written line by line, read back whole, and refused with one clear line where they are damaged."""

from __future__ import annotations

import errno
import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from layerlaws.checking.verdict import Accuracy, Verdict
from layerlaws.running.journal import Header, Journal, read_record, record_name, records_in
from layerlaws.support.errors import RecordError

HELD = Verdict(
    "mine",
    "masked_attention",
    "causal_mask",
    "the_mask_is_a_staircase",
    "held",
    examples=5,
    accuracy={"float32": Accuracy(0.5, 0.25, 5)},
)
BROKEN = Verdict(
    "mine",
    "masked_attention",
    "causal_mask",
    "agrees_with_definition",
    "broken",
    "1 is not 0",
    counterexample={"queries": "1"},
    sides={"left": "np.array([[True]])"},
)


def header(backend: str = "mine") -> Header:
    return Header(backend, "0.0", "CPU", ["float32"], "quick", None, 2, True)


def write(directory: Path, complete: bool = True, backend: str = "mine") -> Path:
    with Journal(directory, header(backend)) as journal:
        journal.add(HELD)
        journal.add(BROKEN)
        return journal.close(1.5) if complete else journal.part


def test_a_record_reads_back_as_it_was_written(tmp_path: Path) -> None:
    record = read_record(write(tmp_path))
    assert record.complete
    assert record.seconds == 1.5
    assert record.verdicts == (HELD, BROKEN)
    assert record.header == header() or record.header.started != header().started
    assert record.counts == {"held": 1, "broken": 1}


def test_a_run_that_is_killed_keeps_what_it_saw_and_leaves_the_earlier_record(tmp_path: Path) -> None:
    whole = write(tmp_path)
    before = whole.read_bytes()
    part = write(tmp_path, complete=False)
    assert whole.read_bytes() == before
    record = read_record(part)
    assert not record.complete
    assert record.verdicts == (HELD, BROKEN)
    assert [r.path for r in records_in(tmp_path)] == [whole]


def test_a_line_cut_off_while_it_was_written_is_left_out(tmp_path: Path) -> None:
    path = write(tmp_path)
    path.write_text(path.read_text()[:-20])
    record = read_record(path)
    assert not record.complete
    assert record.verdicts == (HELD, BROKEN)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda text: "", "no header"),
        (lambda text: "hello\n", "line 1: not JSON"),
        (lambda text: "[1]\n", "not an object"),
        (lambda text: text.replace('"schema": 1', '"schema": 99'), "schema 99, this version reads 1; a newer"),
        (lambda text: text.replace('"schema": 1', '"schema": "x"'), "no header"),
        (lambda text: '{"event": "started"}\n{"event": "ended"}\n', "no header"),
        (lambda text: text[: len(text) // 3], "no header"),
        (lambda text: text.encode("utf-16").decode("latin-1"), "line 1: not"),
        (lambda text: "[" * 100_000 + "\n", "line 1: not a record's JSON"),
        (lambda text: "1" * 100_000 + "\n", "line 1: not a record's JSON"),
        (lambda text: text.replace('"seconds": 1.5', '"seconds": "long"'), "another version"),
        (lambda text: text.replace('"seconds": 1.5', '"minutes": 1'), "another version"),
        (lambda text: text.replace('"held"', '"splendid"'), "no state of a verdict"),
        (lambda text: text.replace('"law":', '"love":', 1), "another version"),
        (lambda text: text.replace('"examples": 5,', '"examples": "many",'), "examples is 'many', not int"),
        (lambda text: text.replace('"dtypes": ["float32"]', '"dtypes": 3'), "dtypes is 3"),
        (lambda text: "\n".join(text.splitlines()[:1] + text.splitlines()[2:]) + "\n", "counts 2 verdicts, 1 stand"),
    ],
)
def test_a_damaged_record_is_refused_with_the_file_and_the_reason(tmp_path: Path, damage, said) -> None:  # type: ignore[no-untyped-def]
    path = write(tmp_path)
    path.write_text(damage(path.read_text()))
    with pytest.raises(RecordError, match=said) as refusal:
        read_record(path)
    assert str(path) in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_any_text_of_a_backend_is_kept(tmp_path: Path) -> None:
    said = "line\u2028separator, next line\u0085, lone surrogate \ud800, quotes \"', tags </script>"
    with Journal(tmp_path, header()) as journal:
        journal.add(replace(BROKEN, reason=said))
        journal.close(1.0)
    assert records_in(tmp_path)[0].verdicts[0].reason == said


@pytest.mark.parametrize("data", [b"\xff\xd8\xff\xe0\x00\x10JFIF\n\x00\xff", b"\xff\xfe\x00\n", bytes(1000) + b"\n"])
def test_a_binary_file_is_no_record(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "x.jsonl").write_bytes(data)
    with pytest.raises(RecordError, match="line 1: not"):
        records_in(tmp_path)


def test_what_is_no_file_is_no_record(tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").mkdir()
    with pytest.raises(RecordError, match=r"x\.jsonl: a directory, not a record"):
        records_in(tmp_path)
    with pytest.raises(RecordError, match="No such file"):
        read_record(tmp_path / "y.jsonl")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes with names")
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "mine.jsonl")
    with pytest.raises(RecordError, match="pipe, not a record"):
        read_record(tmp_path / "mine.jsonl")
    os.mkfifo(tmp_path / "mine.jsonl.part")
    with pytest.raises(RecordError, match="is no file"):
        write(tmp_path)


@pytest.mark.skipif(getattr(os, "geteuid", lambda: 0)() == 0, reason="everything is permitted here")
def test_a_record_that_may_not_be_read_says_so(tmp_path: Path) -> None:
    write(tmp_path).chmod(0)
    with pytest.raises(RecordError, match="Permission denied"):
        records_in(tmp_path)


def test_a_huge_file_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = write(tmp_path)
    with path.open("r+b") as file:
        file.truncate(2 * 2**30)
    with pytest.raises(RecordError, match="2,147,483,648 bytes, far more than a record has"):
        read_record(path)


def test_a_huge_line_is_not_read_to_its_end(tmp_path: Path) -> None:
    path = write(tmp_path)
    with path.open("r+b") as file:
        file.truncate(200 * 2**20)
    with pytest.raises(RecordError, match="line 5: longer than"):
        read_record(path)


def test_an_unfinished_record_is_resumed_where_its_last_whole_line_ends(tmp_path: Path) -> None:
    part = write(tmp_path, complete=False)
    part.write_text(part.read_text()[:-20])
    with Journal(tmp_path, header(), resume=True) as journal:
        assert journal.kept == (HELD,)
        journal.add(BROKEN)
        record = read_record(journal.close(2.0))
    assert record.complete
    assert record.verdicts == (HELD, BROKEN)


def test_a_run_that_starts_over_keeps_what_an_unfinished_one_left(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    left = write(tmp_path, complete=False).read_bytes()
    with Journal(tmp_path, header()) as journal:
        journal.close(1)
    aside = tmp_path / "mine.jsonl.part~"
    assert aside.read_bytes() == left
    assert str(aside) in caplog.text
    assert "--resume" in caplog.text
    assert not read_record(tmp_path / "mine.jsonl").verdicts
    assert [record.path.name for record in records_in(tmp_path)] == ["mine.jsonl"]


def test_a_record_that_was_killed_at_its_footer_is_resumed(tmp_path: Path) -> None:
    write(tmp_path).rename(tmp_path / "mine.jsonl.part")
    with Journal(tmp_path, header(), resume=True) as journal:
        assert journal.kept == (HELD, BROKEN)
        assert read_record(journal.close(2.0)).complete


def test_a_record_of_other_settings_is_not_resumed(tmp_path: Path) -> None:
    part = write(tmp_path, complete=False)
    before = part.read_bytes()
    for changed, said in (
        ({"profile": "thorough"}, "of profile quick, not thorough"),
        ({"code": "1"}, "another version of the backend's code"),
        ({"environment": {**header().environment, "numpy": "0"}}, "with another numpy"),
    ):
        with pytest.raises(RecordError, match=said):
            Journal(tmp_path, replace(header(), **changed), resume=True)  # type: ignore[arg-type]
    assert part.read_bytes() == before


def test_a_record_is_written_by_one_run_at_a_time(tmp_path: Path) -> None:
    with Journal(tmp_path, header()) as journal:
        with pytest.raises(RecordError, match="another run is writing"):
            Journal(tmp_path, header())
        journal.close(1.0)
        Journal(tmp_path, header()).close(1.0)


def test_a_line_that_does_not_fit_on_the_disk_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Journal(tmp_path, header()) as journal:
        journal.add(HELD)
        real = os.write

        def half(file: int, data: bytes) -> int:
            if len(data) < 40:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return real(file, data[: len(data) // 2])

        monkeypatch.setattr(os, "write", half)
        with pytest.raises(RecordError, match=r"mine.jsonl.part: No space left on device; what was finished"):
            journal.add(BROKEN)
    monkeypatch.undo()
    assert journal.part.read_bytes().endswith(b"}\n")
    assert read_record(journal.part).verdicts == (HELD,)


def test_an_empty_directory_says_how_to_make_a_record(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="layerlaws check"):
        records_in(tmp_path)


@pytest.mark.parametrize(
    ("backend", "name"),
    [
        ("numpy", "numpy.jsonl"),
        ("./my_backend.py", "my_backend.jsonl"),
        ("a.b:c", "a.b-c.jsonl"),
        ("../../etc/passwd.py", "passwd.jsonl"),
        ("<x>/'y'", "x-y.jsonl"),
    ],
)
def test_a_backend_name_gives_a_harmless_file_name(backend: str, name: str) -> None:
    assert record_name(backend) == name


def test_every_line_is_json_with_its_kind(tmp_path: Path) -> None:
    kinds = [json.loads(line)["kind"] for line in write(tmp_path).read_text().splitlines()]
    assert kinds == ["header", "verdict", "verdict", "footer"]


def test_a_verdict_keeps_the_fields_that_every_verdict_has() -> None:
    nameless = Verdict("mine", "", "", "", "held")
    assert Verdict.from_json(nameless.to_json()) == nameless


def test_decisive_examples_are_called_telling_in_records() -> None:
    """As in version 0.1, whose records have to stay readable."""
    fields = replace(HELD, decisive=4).to_json()
    assert fields["telling"] == 4
    assert "decisive" not in fields
    assert Verdict.from_json(fields).decisive == 4
