"""Records: written line by line, read back whole, and refused with one clear line where they are damaged."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest

from layerlaws.checking.verdict import Accuracy, Verdict
from layerlaws.running.journal import Header, Journal, read_record, record_name, records_in
from layerlaws.support.errors import RecordError
from layerlaws.support.sources import digest_at

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
        (lambda text: text.replace('"examples": 5,', '"examples": "many",'), "line 2: examples is 'many', not int"),
        (lambda text: text.replace('"examples": 5,', f'"examples": {10**400},'), "examples is a number beyond 2..63"),
        (lambda text: text.replace('"seconds": 1.5', f'"seconds": {10**400}'), "line 4: a number beyond"),
        (lambda text: text.replace('{"queries": "1"}', '{"queries": ["1"]}'), "line 3: counterexample is"),
        (lambda text: text.replace('"worst": 0.5', '"worst": [0.5]'), "line 2: worst is"),
        (lambda text: text.replace('"law":', '"law": {}, "LAW":', 1), "another version"),
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
    with pytest.raises(RecordError, match=r"x\.jsonl: a directory, not a file"):
        records_in(tmp_path)
    with pytest.raises(RecordError, match="No such file"):
        read_record(tmp_path / "y.jsonl")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes with names")
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "mine.jsonl")
    with pytest.raises(RecordError, match="pipe, not a file"):
        read_record(tmp_path / "mine.jsonl")
    os.mkfifo(tmp_path / "mine.jsonl.part")
    with pytest.raises(RecordError, match="pipe, not a file; move it"):
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


def full_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.write

    def half(file: int, data: bytes) -> int:
        if len(data) < 40:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(file, data[: len(data) // 2])

    monkeypatch.setattr(os, "write", half)


def test_a_full_disk_costs_no_verdict_where_it_has_room_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with Journal(tmp_path, header()) as journal:
        full_disk(monkeypatch)
        journal.add(HELD)
        assert "mine.jsonl.part: No space left on device; the run goes on" in caplog.text
        monkeypatch.undo()
        assert journal.part.read_bytes().count(b"\n") == 1, "no half line is left"
        journal.add(BROKEN)
        assert read_record(journal.close(1.0)).verdicts == (HELD, BROKEN)


def test_a_disk_that_stays_full_is_an_error_at_the_end_and_what_was_written_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Journal(tmp_path, header()) as journal:
        journal.add(HELD)
        full_disk(monkeypatch)
        journal.add(BROKEN)
        with pytest.raises(RecordError, match=r"mine.jsonl.part: No space left on device; what was finished"):
            journal.close(1.0)
    monkeypatch.undo()
    assert read_record(journal.part).verdicts == (HELD,)


def test_a_record_whose_place_is_gone_is_saved_where_temporary_files_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    with Journal(tmp_path / "records", header()) as journal:
        shutil.rmtree(tmp_path / "records")
        (tmp_path / "records").write_text("a file")
        journal.add(HELD)
        with pytest.raises(RecordError, match=r"the whole record is .*mine.jsonl instead"):
            journal.close(1.0)
    (saved,) = (tmp_path / "temporary").rglob("mine.jsonl")
    assert read_record(saved).verdicts == (HELD,)


def test_a_record_that_is_removed_during_the_run_is_written_anew(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with Journal(tmp_path / "records", header()) as journal:
        journal.add(HELD)
        shutil.rmtree(tmp_path / "records")
        journal.add(BROKEN)
        assert read_record(journal.part).verdicts == (HELD, BROKEN), "at once"
        assert "was removed during the run" in caplog.text
        assert read_record(journal.close(1.0)).complete


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_no_link_is_followed(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_text("mine")
    records = tmp_path / "records"
    records.mkdir()
    (records / "mine.jsonl.part").symlink_to(precious)
    with pytest.raises(RecordError, match="part is a link, not a file; move it"):
        Journal(records, header())
    (records / "mine.jsonl.part").unlink()
    part = write(records, complete=False)
    part.with_name(part.name + "~").symlink_to(precious)
    (records / "mine.jsonl").symlink_to(precious)
    assert read_record(write(records)).complete
    assert precious.read_text() == "mine"


def test_a_file_that_is_not_the_backends_own_record_is_not_replaced(tmp_path: Path) -> None:
    write(tmp_path, backend="my_backend")
    with pytest.raises(RecordError, match=r"is the record of my_backend, and that of ./my_backend.py would replace it"):
        Journal(tmp_path, header("./my_backend.py"))
    (tmp_path / "mine.jsonl").write_text('{"text": "a data set"}\n')
    with pytest.raises(RecordError, match=r"mine\.jsonl is no record of layerlaws"):
        Journal(tmp_path, header())


def test_a_law_stands_in_a_record_once(tmp_path: Path) -> None:
    with Journal(tmp_path, header()) as journal:
        journal.add(BROKEN)
        journal.add(replace(BROKEN, state="held"))
        path = journal.close(1.0)
    with pytest.raises(RecordError, match=r"line 3: causal_mask.agrees_with_definition stands there a second time"):
        read_record(path)


def test_a_resumed_run_holds_again_what_timed_out(tmp_path: Path) -> None:
    """It may have been the machine. In a complete record as well: that is what a frozen run leaves."""
    late = replace(BROKEN, state="timed out", reason="no verdict within 1 s", counterexample={}, sides={})
    for complete in (False, True):
        with Journal(tmp_path, header()) as journal:
            journal.add(late)
            journal.add(HELD)
            if complete:
                journal.close(1.0)
        with Journal(tmp_path, header(), resume=True) as journal:
            assert journal.kept == (HELD,)
            journal.add(BROKEN)
            assert read_record(journal.close(2.0)).verdicts == (HELD, BROKEN)


def test_code_that_is_imported_late_belongs_to_the_record(tmp_path: Path) -> None:
    late = tmp_path / "late.py"
    late.write_text("right")
    with Journal(tmp_path, header()) as journal:
        journal.add(HELD)
        journal.add_code({"late": [digest_at(str(late)), str(late)]})
    Journal(tmp_path, header(), resume=True).close(1.0)
    (tmp_path / "mine.jsonl").rename(tmp_path / "mine.jsonl.part")
    late.write_text("wrong")
    with pytest.raises(RecordError, match="late, which the backend imports, has changed"):
        Journal(tmp_path, header(), resume=True)


def test_an_empty_directory_says_how_to_make_a_record(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="layerlaws check"):
        records_in(tmp_path)


@pytest.mark.parametrize(
    ("backend", "name"),
    [
        ("numpy", "numpy.jsonl"),
        ("./my_backend.py", "my_backend.jsonl"),
        ("a.b:c", "a.b-c-[0-9a-f]{8}.jsonl"),
        ("../../etc/passwd.py", "passwd-[0-9a-f]{8}.jsonl"),
        ("<x>/'y'", "x-y-[0-9a-f]{8}.jsonl"),
        ("./\u65b9\u6cd5.py", "backend-[0-9a-f]{8}.jsonl"),
        (300 * "x" + "\ud800", "x{100}-[0-9a-f]{8}.jsonl"),
    ],
)
def test_a_backend_name_gives_a_harmless_file_name(backend: str, name: str) -> None:
    assert re.fullmatch(name, record_name(backend))


def test_backends_of_one_stem_have_records_of_their_own() -> None:
    assert len({record_name(name) for name in ("a/impl.py", "b/impl.py", "impl", "\u65b9.py", "\u6cd5.py")}) == 5


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
