"""Test vectors: read by the reader of docs/vectors.md, they accept the definition in plain NumPy and no fault."""

from __future__ import annotations

import json
import math
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from layerlaws.checking.reference import plain
from layerlaws.discovery import catalogue
from layerlaws.numerics.formats import format_of
from layerlaws.report.vectors import write_vectors
from layerlaws.support.errors import WrongUse

pytest.importorskip("ml_dtypes")

DOCS = Path(__file__).parents[2] / "docs"

PAGE = (DOCS / "vectors.md").read_text(encoding="utf-8")

Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def reader() -> dict[str, Any]:
    """The functions of the reader, executed from the page."""
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    names: dict[str, Any] = {}
    exec(code, names)
    return names


def argument(reader: dict[str, Any], written: Any) -> Any:
    if isinstance(written, list):
        return tuple(argument(reader, part) for part in written)
    if not isinstance(written, dict):
        return written
    if "float" in written:
        return float.fromhex(written["float"])
    if "map" in written:
        return {argument(reader, key): argument(reader, value) for key, value in written["map"]}
    name = written["dtype"]
    dtype = format_of(name).dtype if name in ("float32", "float16", "bfloat16", "float64") else np.dtype(name)
    return np.array(reader["numbers"](written["data"])).astype(dtype).reshape(written["shape"])


def computed(reader: dict[str, Any], case: dict[str, Any], function: Callable[..., Any]) -> list[Any]:
    results = plain(function)(**{name: argument(reader, x) for name, x in case["inputs"].items()})
    return list(results) if isinstance(results, tuple) else [results]


@pytest.mark.parametrize("note", ["alignment_scores", "masked_attention", "masked_autoencoder", "adaptive_softmax"])
def test_the_reader_of_the_page_accepts_the_definition(note: str, reader: dict[str, Any], tmp_path: Path) -> None:
    for path in write_vectors(note, tmp_path, count=2):
        cases = reader["cases"](path)
        definition = catalogue().operations[path.stem].definition
        assert {case["arithmetic"]["store"] for case in cases} == {"float32", "bfloat16", "float16"}
        assert all(case["arithmetic"]["accumulate"] == "float32" for case in cases)
        for case in cases:
            for array, result in zip(computed(reader, case, definition), case["results"], strict=True):
                assert list(array.shape) == result["shape"]
                numbers = array.astype(np.float64).ravel().tolist() if "error" in result else array.ravel().tolist()
                places = reader["out"](numbers, result)
                if case["arithmetic"]["store"] == "float32":
                    assert not places


def test_the_reader_notices_a_fault(reader: dict[str, Any], tmp_path: Path) -> None:
    fault = next(f for f in catalogue().note("alignment_scores").faults if f.operation.name == "dot_score")
    write_vectors("alignment_scores", tmp_path, ["float32"], 6)
    seen = 0
    for case in reader["cases"](tmp_path / "dot_score.json"):
        for array, result in zip(computed(reader, case, fault.function), case["results"], strict=True):
            flat = array.astype(np.float64).ravel().tolist()
            seen += list(array.shape) != result["shape"] or bool(reader["out"](flat, result))
    assert seen


def test_numbers_come_back_exactly(reader: dict[str, Any], tmp_path: Path) -> None:
    write_vectors("alignment_scores", tmp_path, ["float64"], 2, seed=7)
    file = json.loads((tmp_path / "dot_score.json").read_text())
    for case in file["cases"]:
        for x in (*case["inputs"].values(), *case["results"]):
            assert math.prod(x["shape"]) == len(x["data"])
            assert all(
                v in ("inf", "-inf", "nan") or float.fromhex(v).hex() == v for v in x["data"] if isinstance(v, str)
            )


def test_other_seeds_are_other_examples_and_the_same_are_the_same(tmp_path: Path) -> None:
    texts = []
    for k, seed in enumerate((None, None, 3)):
        (path, *_) = write_vectors("elmo", tmp_path / str(k), ["float32"], 3, seed)
        texts.append(path.read_text())
    assert texts[0] == texts[1] != texts[2]


def test_files_are_not_overwritten_and_nothing_is_left_behind(command: Command, tmp_path: Path) -> None:
    first = command("vectors", "alignment_scores", "-o", "vectors", "--examples", "2", "--dtype", "float32")
    assert first.returncode == 0, first.stderr
    shown = re.findall(r"```console\n\$ layerlaws vectors.*?\n(.*?)```", PAGE, re.DOTALL)
    assert shown == [first.stdout]
    again = command("vectors", "alignment_scores", "-o", "vectors")
    assert again.returncode == 2
    assert "vectors/dot_score.json exists already; remove it, or choose another directory" in again.stderr
    assert sorted(p.name for p in (tmp_path / "vectors").iterdir()) == [
        "concat_score.json",
        "dot_score.json",
        "general_score.json",
    ]


def test_unknown_names_are_refused(tmp_path: Path) -> None:
    with pytest.raises(WrongUse, match="no note called 'elmos'; did you mean elmo"):
        write_vectors("elmos", tmp_path)
    with pytest.raises(WrongUse, match="no dtype called 'float31'"):
        write_vectors("elmo", tmp_path, ["float31"])


@pytest.mark.parametrize("note", [note.name for note in catalogue().notes])
def test_every_note_keeps_to_the_schema(note: str, tmp_path: Path) -> None:
    schema = json.loads((DOCS / "vectors.schema.json").read_text(encoding="utf-8"))
    for path in write_vectors(note, tmp_path, ["bfloat16"], 1):
        file = json.loads(path.read_text(encoding="utf-8"))
        assert set(file) == set(schema["required"])
        assert file["schema"] == schema["properties"]["schema"]["const"]
        assert file["cases"]
        validate(file, schema, schema)


def validate(x: Any, rule: dict[str, Any], schema: dict[str, Any]) -> None:
    """The part of JSON Schema that the schema uses, so that no package is needed."""
    if "$ref" in rule:
        return validate(x, schema["$defs"][rule["$ref"].rpartition("/")[2]], schema)
    if "anyOf" in rule:
        errors = []
        for one in rule["anyOf"]:
            try:
                return validate(x, one, schema)
            except AssertionError as error:
                errors.append(error)
        raise AssertionError(errors)
    kinds = {"object": dict, "array": list, "string": str, "integer": int, "boolean": bool, "null": type(None)}
    names = rule.get("type", [])
    if names:
        assert any(type(x) is kinds[name] for name in ([names] if isinstance(names, str) else names)), (x, rule)
    assert x == rule.get("const", x)
    assert x in rule.get("enum", [x])
    assert "pattern" not in rule or re.search(rule["pattern"], x), x
    for part in x if isinstance(x, list) else ():
        validate(part, rule["items"], schema)
    if isinstance(x, dict):
        assert set(rule.get("required", ())) <= set(x), (x, rule)
        for key, part in x.items():
            inner = rule.get("properties", {}).get(key, rule.get("additionalProperties"))
            assert inner, key
            validate(part, inner, schema)
    return None
