"""Records: written line by line, read back whole, and refused with one clear line where they are damaged."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from layerlaws.journal import Header, Journal, RecordError, read_record, record_name, records_in
from layerlaws.verdict import Accuracy, Verdict

HELD = Verdict(
    "mine", "masked_attention", "causal_mask", "the_mask_is_a_staircase", "held", examples=5,
    accuracy={"float32": Accuracy(0.5, 0.25, 5)},
)  # fmt: skip
BROKEN = Verdict(
    "mine", "masked_attention", "causal_mask", "agrees_with_definition", "broken", "1 is not 0",
    counterexample={"queries": "1"}, sides={"left": "np.array([[True]])"},
)  # fmt: skip


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
        (lambda text: text.replace('"schema": 1', '"schema": 99'), "schema 99"),
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


def test_a_binary_file_is_no_record(tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(RecordError, match="not a text file"):
        records_in(tmp_path)


def test_an_empty_directory_says_how_to_make_a_record(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="layerlaws check"):
        records_in(tmp_path)


@pytest.mark.parametrize(
    ("backend", "name"),
    [("numpy", "numpy.jsonl"), ("./my_backend.py", "my_backend.jsonl"), ("a.b:c", "a.b-c.jsonl"),
     ("../../etc/passwd.py", "passwd.jsonl"), ("<x>/'y'", "x-y.jsonl")],
)  # fmt: skip
def test_a_backend_name_gives_a_harmless_file_name(backend: str, name: str) -> None:
    assert record_name(backend) == name


def test_every_line_is_json_with_its_kind(tmp_path: Path) -> None:
    kinds = [json.loads(line)["kind"] for line in write(tmp_path).read_text().splitlines()]
    assert kinds == ["header", "verdict", "verdict", "footer"]
