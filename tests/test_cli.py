"""The command line as a user meets it: what it prints, and its exit status."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from layerlaws.discovery import catalogue
from layerlaws.running.journal import DIRECTORY, read_record

Command = Callable[..., subprocess.CompletedProcess[str]]
BackendFile = Callable[[str, str], Path]

MASK_OFF_BY_ONE = """
def masked_self_attention(query, key, value):
    scores = query @ key.swapaxes(-1, -2) / query.shape[-1] ** 0.5
    length, keys = scores.shape[-2:]
    if length > keys:
        raise ValueError("query is longer than key")
    late = np.triu(np.ones((length, keys), bool), keys - length + 2)
    scores = np.where(late, -np.inf, scores)
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    return (weights / weights.sum(-1, keepdims=True)).astype(value.dtype) @ value
"""

HEADS_TRANSPOSED = """
def _split(x, heads):  # the axes are reshaped where they should be swapped
    return x.reshape(x.shape[0], heads, x.shape[1], -1)

def multi_head_attention(query, key, value, w_q, w_k, w_v, w_o, b_q, b_k, b_v, b_o, num_heads, mask):
    batch, length, width = query.shape
    if width % num_heads:
        raise ValueError("num_heads does not divide the width")
    q, k, v = (_split(x @ w + b, num_heads) for x, w, b in
               ((query, w_q, b_q), (key, w_k, b_k), (value, w_v, b_v)))
    scores = q @ k.swapaxes(-1, -2) / (width // num_heads) ** 0.5
    seen = np.ones(scores.shape, bool) if mask is None else np.broadcast_to(mask[:, None], scores.shape)
    scores = np.where(seen, scores, -np.inf)
    highest = np.where(seen.any(-1, keepdims=True), scores.max(-1, keepdims=True), 0)
    weights = np.exp(scores - highest)
    weights /= np.where(seen.any(-1, keepdims=True), weights.sum(-1, keepdims=True), 1)
    weights = weights.astype(query.dtype)
    merged = (weights @ v).reshape(batch, length, width)
    return merged @ w_o + b_o, weights
"""

WRONG_EPSILON = """
def bert_embeddings(token_ids, segment_ids, token_table, segment_table, position_table, scale, shift, epsilon):
    x = token_table[token_ids] + segment_table[segment_ids] + position_table[: token_ids.shape[1]]
    centred = x - x.mean(-1, keepdims=True)
    return centred / (np.sqrt((centred**2).mean(-1, keepdims=True)) + epsilon) * scale + shift
"""


def test_list_names_every_note_and_every_backend(command: Command) -> None:
    said = command("list")
    assert said.returncode == 0
    for name in [note.name for note in catalogue().notes] + ["numpy", "torch-cpu", "torch-cuda", "torch-nn"]:
        assert name in said.stdout


def test_explain_shows_a_note_an_operation_and_a_law(command: Command) -> None:
    note = command("explain", "masked_attention").stdout
    assert "Erratum" in note
    assert "no_position_sees_the_future" in note
    assert "def masked_self_attention" in command("explain", "masked_self_attention").stdout
    law = command("explain", "no_position_sees_the_future").stdout
    assert "exactly the lower triangle" in law
    assert "Proven by" in law
    several = command("explain", "attention_sources").stdout
    assert several.count("\nagrees_with_definition (bahdanau_step, luong_step, conv_s2s_attention)") == 1
    assert "differentiable=True" not in several  # nothing is left of decorators
    links = {fault.seen for fault in catalogue().note("local_attention").faults if fault.seen.startswith("https")}
    assert links <= set(command("explain", "local_attention").stdout.split())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("check", "numpi"), "did you mean numpy"),
        (("check", "numpy", "--note", "masked_atention"), "did you mean masked_attention"),
        (("check", "numpy", "--law", "no_position_sees_the_futur"), "did you mean"),
        (("check", "no.such.module"), "no module 'no.such.module'"),
        (("check", "./nothing.py"), "there is no file"),
        (("check", "numpy", "--profile", "hasty"), "invalid choice"),
        (("check", "numpy", "--jobs", "0"), "no whole number from 1"),
        (("explain", "atention"), "no note, operation or law"),
        (("report", "nowhere"), "holds no record"),
        (("new", "my-backend"), "letters, digits and underscores"),
        (("new", "numpy"), "numpy is the name of a package, which numpy.py would hide: name it my_numpy"),
        (("new", "torch", "--torch"), "name it my_torch"),
        (("new", "random.py"), "name it my_random"),
        (("new", "layerlaws"), "name it my_layerlaws"),
    ],
)
def test_wrong_use_is_refused_with_what_to_do(command: Command, arguments: tuple[str, ...], said: str) -> None:
    refused = command(*arguments)
    assert refused.returncode == 2
    assert said in refused.stderr
    assert "Traceback" not in refused.stderr


def test_a_new_backend_runs_at_once_with_everything_missing(command: Command, tmp_path: Path) -> None:
    assert command("new", "my_backend").returncode == 0
    run = command("check", "./my_backend.py")
    assert run.returncode == 0, run.stdout + run.stderr
    record = read_record(tmp_path / "layerlaws-reports" / "my_backend.jsonl")
    assert record.complete
    assert record.header.whole
    assert record.counts == {"missing": len(catalogue().cases)}
    assert command("new", "my_backend").returncode == 2


def test_a_run_in_a_clone_changes_no_tracked_file() -> None:
    root = Path(__file__).parent.parent
    assert f"/{DIRECTORY}/" in (root / ".gitignore").read_text(encoding="utf-8").splitlines()
    for options in ("check --output reports", "bench {posargs:--output reports}"):  # what keeps records says so
        assert f"layerlaws {options}" in (root / "tox.ini").read_text(encoding="utf-8")


def test_explain_offers_near_names_and_never_all(command: Command) -> None:
    said = command("explain", "mha")
    assert said.returncode == 2
    assert "did you mean multi_head_attention?" in said.stderr
    assert "did you mean sinusoidal_positions" in command("explain", "sinusoidal").stderr
    lost = command("explain", "xyzzy").stderr
    assert "`layerlaws list` has the notes" in lost
    assert len(lost) < 300


def test_helpers_without_an_underscore_are_named_all_at_once(command: Command, backend_file: BackendFile) -> None:
    backend_file("mine", "def clones(n):\n    pass\n\ndef causal_maks(queries, keys):\n    pass\n")
    refused = command("check", "./mine.py", columns=200)
    assert refused.returncode == 2
    assert refused.stderr == (
        "layerlaws: the backend './mine.py' defines 2 functions that are no operations: clones, "
        "causal_maks (did you mean causal_mask(queries, keys)?); give helpers a leading underscore\n"
    )


@pytest.mark.parametrize("no_color", ["", "1"])
def test_colours_are_for_terminals_and_no_color_turns_them_off(
    no_color: str, backend_file: BackendFile, tmp_path: Path
) -> None:
    backend_file("mine", "def causal_mask(queries, keys):\n    return np.ones((queries, keys), bool)\n")
    arguments = [sys.executable, "-m", "layerlaws", "check", "./mine.py", "--law", "the_mask_is_a_staircase"]
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "TERM": "xterm-256color", "NO_COLOR": no_color}
    ours, theirs = os.openpty()
    with subprocess.Popen(arguments, cwd=tmp_path, stdout=theirs, stderr=theirs, env=environment) as process:
        os.close(theirs)
        shown = b""
        with contextlib.suppress(OSError):  # the end of a terminal
            while more := os.read(ours, 4096):
                shown += more
        os.close(ours)
        process.wait(timeout=120)
    coloured = re.search(rb"\x1b\[[0-9;]*?(3|4|9|10)[0-9][;m]", shown)
    assert b"the_mask_is_a_staircase is broken" in shown
    assert (coloured is None) == bool(no_color), shown
    piped = subprocess.run(arguments, cwd=tmp_path, capture_output=True, env=environment, check=False, timeout=120)
    assert b"\x1b" not in piped.stdout


def test_a_new_backend_of_modules_holds_once_its_example_is_uncommented(command: Command, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    assert command("new", "mine", "--torch").returncode == 0
    file = tmp_path / "mine.py"
    lines = file.read_text(encoding="utf-8").splitlines()
    first = lines.index("# feed_forward = from_module(")
    last = lines.index("# )", first) + 1
    lines[first:last] = [line.removeprefix("# ") for line in lines[first:last]]
    file.write_text("\n".join(lines), encoding="utf-8")
    run = command("check", "./mine.py", "--note", "feed_forward", "--profile", "quick", "--output", "records")
    assert run.returncode == 0, run.stdout + run.stderr
    counts = read_record(tmp_path / "records" / "mine.jsonl").counts
    assert counts.keys() <= {"held", "inexact", "missing"}
    assert counts["held"] >= 10


def test_a_mask_off_by_one_is_diagnosed(command: Command, backend_file: BackendFile) -> None:
    backend_file("mine", MASK_OFF_BY_ONE)
    run = command("check", "./mine.py", "--note", "masked_attention")
    assert run.returncode == 1
    assert "masked_self_attention.no_position_sees_the_future is broken" in run.stdout
    assert "known fault: mask_off_by_one" in run.stdout
    assert "smallest input found" in run.stdout
    assert "Traceback" not in run.stdout


def test_transposed_heads_are_caught(command: Command, backend_file: BackendFile) -> None:
    backend_file("mine", HEADS_TRANSPOSED)
    run = command("check", "./mine.py", "--note", "multi_head_attention")
    assert run.returncode == 1
    assert "multi_head_attention.agrees_with_definition is broken" in run.stdout


def test_epsilon_outside_the_root_is_caught(command: Command, backend_file: BackendFile) -> None:
    backend_file("mine", WRONG_EPSILON)
    run = command("check", "./mine.py", "--note", "bert_embeddings", "--output", "records")
    assert run.returncode == 1
    assert "bert_embeddings.agrees_with_definition is broken" in run.stdout


def test_what_is_printed_fits_into_80_columns(command: Command, backend_file: BackendFile) -> None:
    backend_file("mine", MASK_OFF_BY_ONE)
    run = command("check", "./mine.py", "numpy", "--note", "masked_attention", "--profile", "quick")
    table = run.stdout[run.stdout.index("backend ") :].splitlines()
    assert all(len(line) <= 80 for line in table[:3]), table


def test_a_selection_leaves_the_records_of_whole_runs_alone(command: Command, tmp_path: Path) -> None:
    assert command("check", "numpy", "--law", "the_mask_is_a_staircase").returncode == 0
    assert not (tmp_path / "layerlaws-reports").exists()


def test_records_that_cannot_be_written_are_refused_before_work_starts(command: Command, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    run = command("check", "numpy", "--law", "the_mask_is_a_staircase", "--output", "file/reports")
    assert run.returncode == 2
    assert "--output" in run.stderr


def test_a_backend_that_was_asked_for_but_is_absent_is_no_success(command: Command, backend_file: BackendFile) -> None:
    backend_file("absent", "def available():\n    return 'no such device'\n")
    run = command("check", "./absent.py", "--law", "the_mask_is_a_staircase")
    assert run.returncode == 1
    assert "no such device" in run.stderr
