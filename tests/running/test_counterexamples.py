"""Scripts that reproduce what a run found, each run as a process of its own."""

from __future__ import annotations

import base64
import subprocess
import sys
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from layerlaws import WrongUse, hold, load_backend
from layerlaws.checking.check import check
from layerlaws.checking.literals import LARGEST, LONGEST, MOST_BYTES, evaluated, whole
from layerlaws.checking.verdict import Verdict
from layerlaws.discovery import catalogue
from layerlaws.running.counterexamples import script, script_path, write_scripts

BackendFile = Callable[[str, str], Path]

ATTENTION = """
def masked_self_attention(query, key, value):
    scores = query @ key.swapaxes(-1, -2) / query.shape[-1] ** 0.5
    length, keys = scores.shape[-2:]
    scores = np.where(np.tri(length, keys, dtype=bool), scores, -np.inf).astype(query.dtype)
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    return weights / weights.sum(-1, keepdims=True) @ value
"""
REPAIRED = ATTENTION.replace("np.tri(length, keys,", "np.tri(length, keys, keys - length,")

RAISES = "\ndef causal_mask(queries, keys):\n    raise RuntimeError('no \\x1b[31m luck')\n"

FORGETS_SPACES = "\ndef bpe_encode(**arguments):\n    return np.zeros(0, np.int64), np.zeros(1, np.int64)\n"

HALF = 'dtypes = ("bfloat16",)\n'

DETACHED = """
def gradient(function, arguments, cotangent):
    return {name: 0 * x for name, x in arguments.items()}
"""


@pytest.fixture(autouse=True)
def no_diagnosis(monkeypatch: pytest.MonkeyPatch) -> None:
    """Which fault a fault behaves like is not asked here, and costs more than finding it."""
    monkeypatch.setattr(sys.modules[check.__module__], "diagnose", lambda *asked: "")


def broken(name: str, law: str) -> Verdict:
    (case,) = catalogue().select((), (law,))
    verdict = check(load_backend(name, catalogue()), case, profile="quick", shrink=False)
    assert verdict.counts(strict=True), verdict
    return verdict


def run(path: Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": "/usr/bin:/bin", "OMP_NUM_THREADS": "1", "PYTHONPATH": ":".join(sys.path)}
    return subprocess.run(
        [sys.executable, str(path)], cwd=cwd, capture_output=True, text=True, check=False, env=environment
    )


@pytest.mark.parametrize(
    ("functions", "law", "said"),
    [
        (ATTENTION, "masked_self_attention.agrees_with_definition", "allowed error: np.array("),
        (ATTENTION, "masked_self_attention.more_queries_than_keys_are_refused", "definition refuses: query has"),
        (ATTENTION, "masked_self_attention.decoding_in_chunks_is_the_parallel_pass", "apart"),
        (RAISES, "causal_mask.agrees_with_definition", "raised: RuntimeError: no"),
        (FORGETS_SPACES, "bpe_encode.agrees_with_definition", "definition: (np.zeros("),
        (HALF + ATTENTION, "masked_self_attention.agrees_with_definition", "'bfloat16'"),
        (REPAIRED + DETACHED, "masked_self_attention.gradient_agrees_with_definition", "gradient of masked_self_att"),
    ],
    ids=["value", "refusal", "extra draws", "raised", "text", "bfloat16", "gradient"],
)
def test_a_script_breaks_until_the_backend_is_repaired(
    functions: str, law: str, said: str, backend_file: BackendFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if HALF in functions:
        pytest.importorskip("ml_dtypes")
    monkeypatch.chdir(tmp_path)
    backend_file("mine", functions)
    verdict = broken("./mine.py", law)
    (path,) = write_scripts(tmp_path / "reports", "./mine.py", [verdict])
    assert path == tmp_path / "reports" / "counterexamples" / "mine" / f"{law}.py"
    first = run(path, tmp_path)
    assert first.returncode == 1, first.stderr
    assert first.stdout.startswith(f"./mine.py: {law} is {verdict.state}")
    assert said in first.stdout
    if functions == ATTENTION:
        checked = "    if query.shape[-2] > key.shape[-2]:\n        raise ValueError\n    scores ="
        backend_file("mine", REPAIRED.replace("    scores =", checked, 1))
        repaired = run(path, tmp_path)
        assert repaired.returncode == 0, repaired.stdout + repaired.stderr


KEPT = """
import sys

import numpy as np

import layerlaws
from layerlaws.literals import unpacked

example = layerlaws.hold("numpy", "teacher_forcing.agrees_with_definition", "float32", ARGUMENTS)
print(example)
sys.exit(not example.holds)
"""
"""What a script of version 0.1.0 with a packed argument consists of."""


def test_packed_arguments_are_unpacked_by_kept_scripts_and_by_new_ones(tmp_path: Path) -> None:
    targets = np.random.default_rng(0).integers(0, 9, (2, LONGEST))
    arguments = {"targets": whole(targets), "begin": "10", "end": "11"}
    assert "unpacked(" in arguments["targets"]
    verdict = Verdict(
        "numpy",
        "masked_attention",
        "teacher_forcing",
        "agrees_with_definition",
        "broken",
        dtype="float32",
        counterexample=arguments,
    )
    (new,) = write_scripts(tmp_path, "numpy", [verdict])
    assert "from layerlaws import hold, unpacked\n" in new.read_text()
    kept = tmp_path / "kept.py"
    values = ", ".join(f"{name!r}: {text}" for name, text in arguments.items())
    kept.write_text(KEPT.replace("ARGUMENTS", f"{{{values}}}"))
    for path in (new, kept):
        result = run(path, tmp_path)
        assert result.returncode == 0, result.stderr
        assert "teacher_forcing.agrees_with_definition is held" in result.stdout


FAILED = Verdict(
    "./mine.py",
    "masked_attention",
    "causal_mask",
    "the_mask_is_a_staircase",
    "broken",
    "1 is not 0",
    dtype="float32",
    counterexample={"queries": "1", "keys": "2"},
)


def test_scripts_of_an_earlier_run_go_away(tmp_path: Path) -> None:
    (path,) = write_scripts(tmp_path, "./mine.py", [FAILED])
    (other,) = write_scripts(tmp_path, "theirs", [replace(FAILED, backend="theirs")])
    assert write_scripts(tmp_path, "./mine.py", [replace(FAILED, state="held")]) == []
    assert not path.exists()
    assert other.exists()


HOSTILE = 'x\'; import os; os._exit(7)\n#"""\u2028\x1b]0;\u202e\ud800 \\'


def test_whatever_a_record_says_the_script_only_holds_the_law(tmp_path: Path) -> None:
    """Names and messages are text, arguments are values; a file name stays in its directory."""
    verdict = Verdict(
        HOSTILE,
        "a_note",
        "../../causal_mask",
        HOSTILE,
        "broken",
        HOSTILE * 50,
        dtype=HOSTILE,
        diagnosis=HOSTILE,
        counterexample={HOSTILE: "1", "t": repr(HOSTILE)},
    )
    (path,) = write_scripts(tmp_path, HOSTILE, [verdict])
    assert path.resolve().is_relative_to(tmp_path / "counterexamples")
    text = path.read_text(encoding="ascii")
    compile(text, str(path), "exec")
    outside = [
        line for line in text.splitlines() if line and not line.startswith(("#", "BACKEND", "LAW", "DTYPE", " "))
    ]
    assert outside == [
        '"""Holds one backend to one law on one example: exit status 0 if the law holds, 1 if not, 2 if unknown."""',
        "import sys",
        "import numpy as np",
        "from layerlaws import hold",
        "ARGUMENTS = {",
        "}",
        "try:",
        "except Exception as reason:",
        "print(example)",
        "sys.exit(example.status)",
    ]
    for name in ("..", ".", "/", ""):
        place = script_path(replace(verdict, backend=name))
        assert place is not None
        assert len(place.parts) == 3
        assert ".." not in place.parts


@pytest.mark.parametrize(
    "code",
    [
        "__import__('os').system('true')",
        "np.load('x')",
        "x",
        "[i for i in ()]",
        "np.array([1], 'object')",
        "np.array([1., ... (cut, shape (9,))",
    ],
)
def test_an_argument_that_is_no_value_gives_no_script(code: str) -> None:
    with pytest.raises(ValueError, match="no printed argument"):
        evaluated(code)
    verdict = Verdict("mine", "n", "o", "l", "broken", "x", dtype="float32", counterexample={"x": code})
    assert script(verdict) is None
    assert script_path(verdict) is None


@pytest.mark.parametrize(
    "x",
    [
        np.random.default_rng(0).standard_normal((40, 50)).astype(np.float32),
        np.zeros((0, 3)),
        np.array([[True]]),
        np.array([np.nan, np.inf, -np.inf, -0.0]),
        np.arange(9000),
        (np.arange(2), np.ones(9000)),
        (),
        None,
        "a'b",
        -1.5,
        float("-inf"),
        [1, 2],
        ("kernel_size", 0),
    ],
    ids=lambda x: type(x).__name__,
)
def test_an_argument_is_read_back_as_it_was(x: object) -> None:
    back = evaluated(whole(x))
    assert type(back) is type(x)
    for one, other in zip(*((side,) if not isinstance(side, tuple) else side for side in (back, x)), strict=True):
        np.testing.assert_array_equal(one, other)
        assert getattr(one, "dtype", None) == getattr(other, "dtype", None)


def test_what_swells_is_not_unpacked_and_what_is_huge_is_not_kept() -> None:
    noise = np.random.default_rng(0).bytes(LARGEST)
    assert "cut" in whole(np.frombuffer(noise, np.uint8))
    assert "unpacked" in whole(np.zeros(9 * LONGEST))
    with pytest.raises(ValueError, match="multiple of element size"):
        evaluated(whole(np.zeros(9 * LONGEST)).replace(f"({9 * LONGEST},)", "(1,)"))
    bomb = base64.b64encode(zlib.compress(bytes(2 * MOST_BYTES), 9)).decode()
    for shape in ((2 * MOST_BYTES,), (2**62, 2**62), (-1,)):
        with pytest.raises(ValueError, match="is beyond"):
            evaluated(f"unpacked({bomb!r}, 'uint8', {shape})")
    assert "cut" in whole(np.zeros(MOST_BYTES))


@pytest.mark.parametrize(
    "text",
    [
        "np.zeros((99999999999999999999, 0), 'float32')",
        "float('" + 400 * "9" + "x')",
        "np.array([1" + 400 * "0" + "], 'int64')",
    ],
)
def test_numbers_beyond_all_sense_are_no_arguments(text: str) -> None:
    with pytest.raises(ValueError, match=r"no printed argument|could not convert"):
        evaluated(text)


def test_holding_one_example_refuses_what_is_none() -> None:
    law = "causal_mask.the_mask_is_a_staircase"
    assert hold("numpy", law, "float32", {"queries": 1, "keys": 2}).holds
    with pytest.raises(WrongUse, match="lacks keys"):
        hold("numpy", law, "float32", {"queries": 1})
    with pytest.raises(WrongUse, match="no dtype called 'float31'"):
        hold("numpy", law, "float31", {"queries": 1, "keys": 2})
    with pytest.raises(WrongUse, match="did you mean"):
        hold("numpy", "causal_mask.the_mask_is_a_stair", "float32", {})


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_scripts_are_written_through_no_link_and_remove_nothing_else(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    (precious / "mine").mkdir(parents=True)
    (precious / "mine" / "notes.txt").write_text("mine")
    records = tmp_path / "records"
    records.mkdir()
    (records / "counterexamples").symlink_to(precious)
    with pytest.raises(OSError, match="it is a link; move it out of the way"):
        write_scripts(records, "./mine.py", [FAILED])
    (records / "counterexamples").unlink()
    (records / "counterexamples").mkdir()
    (records / "counterexamples" / "mine").symlink_to(precious / "mine")
    with pytest.raises(OSError, match="it is a link"):
        write_scripts(records, "./mine.py", [])
    (records / "counterexamples" / "mine").unlink()
    (script,) = write_scripts(records, "./mine.py", [FAILED])
    (script.parent / "own.py").write_text("print('mine')")
    assert write_scripts(records, "./mine.py", []) == []
    assert [path.name for path in script.parent.iterdir()] == ["own.py"]
    assert [path.name for path in precious.rglob("*")] == ["mine", "notes.txt"]
