"""What a broken verdict tells: which argument, which result, which operation, where, and from which size on."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from layerlaws import hold
from layerlaws.checking.check import check
from layerlaws.checking.failure import failure
from layerlaws.checking.literals import evaluated
from layerlaws.checking.reference import gradient, reference
from layerlaws.checking.verdict import Verdict
from layerlaws.discovery import catalogue
from layerlaws.language.backend import Backend
from layerlaws.language.claims import at_most, closely, exactly, settle
from layerlaws.numerics.bounded import Bounded
from layerlaws.numerics.formats import FORMATS
from layerlaws.running.counterexamples import write_scripts
from layerlaws.support.errors import Broken

RIGHT = reference(catalogue())


@pytest.fixture(autouse=True)
def no_diagnosis(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules[check.__module__], "diagnose", lambda *asked: "")


def told(law: str, pull: Callable[..., Any] | None = None, **functions: Callable[..., Any]) -> Verdict:
    """The verdict on the definitions with these functions, or this gradient, in place of theirs."""
    (case,) = catalogue().select((), (law,))
    backend: Backend = replace(RIGHT, functions={**RIGHT.functions, **functions}, gradient=pull or gradient)
    verdict = check(backend, case, profile="standard")
    assert verdict.counts(strict=True), verdict
    return verdict


def test_a_gradient_is_told_by_its_argument() -> None:
    def pull(function: Any, arguments: Mapping[str, Any], cotangent: Any) -> dict[str, Any]:
        found = gradient(function, arguments, cotangent)
        return {**found, "table": found["table"] / 2}

    verdict = told("learned_positions.gradient_agrees_with_definition", pull)
    assert verdict.reason.startswith("the gradient by table: ")
    assert list(verdict.sides) == ["returned", "expected"]

    def misshapen(function: Any, arguments: Mapping[str, Any], cotangent: Any) -> dict[str, Any]:
        return {**gradient(function, arguments, cotangent), "b_2": np.sum(cotangent, axis=0)}

    verdict = told("feed_forward.gradient_agrees_with_definition", misshapen)
    assert verdict.reason == "the gradient of feed_forward by b_2 has shape (1, 1), expected (1,)"


def test_what_should_have_been_refused_is_shown_and_not_the_good_input(tmp_path: Path) -> None:
    verdict = told(
        "learned_positions.positions_of_another_width_are_refused",
        learned_positions=lambda x, table: x + table[: x.shape[1], : x.shape[2]],
    )
    text = failure(verdict)
    assert "accepted (float32):\n    table = np.array([[0., 0.]], 'float32')\n    x = " in text
    assert "smallest input found" not in text
    (script,) = write_scripts(tmp_path, verdict.backend, [verdict])
    assert "# Accepted table: np.array([[0., 0.]], 'float32')" in script.read_text()


def test_as_many_digits_are_printed_as_tell_two_numbers_apart() -> None:
    one = np.array([-1.8978560209274292])
    for other, text in (
        (np.array([-1.0]), "-1.89785602 is not -1 at [0]"),
        (np.nextafter(one, 0), "-1.8978560209274291 is not -1.8978560209274289 at [0]"),
    ):
        with pytest.raises(Broken, match=text.replace("[", r"\[")):
            settle(exactly(one, other))
    wide = np.longdouble(1) + np.finfo(np.longdouble).eps
    if float(wide) == 1.0:
        exact = Bounded(np.array([wide]), 0.0, FORMATS["float64"])
        with pytest.raises(Broken, match=r"1\.00000000000000000011 is not 1 at \[0\]"):
            settle(closely(exact, np.array([1.0])))


def test_of_several_results_the_message_says_which() -> None:
    def lstm(**arguments: Any) -> Any:
        outputs, hidden, _ = RIGHT.functions["lstm"](**arguments)
        return outputs, hidden, hidden

    assert told("lstm.agrees_with_definition", lstm=lstm).reason.startswith("result 2 of 3: ")


def test_of_two_operations_the_one_that_is_off_is_named() -> None:
    def reparameterize(mean: Any, log_variance: Any, noise: Any) -> Any:
        return mean + np.exp(log_variance) * noise

    verdict = told("kl_divergence.the_divergence_is_an_expected_log_ratio", reparameterize=reparameterize)
    assert verdict.reason.endswith("; reparameterize differs from the definition there, kl_divergence does not")


def test_an_exception_is_told_with_the_lines_of_the_backend_s_own_file() -> None:
    def causal_mask(queries: int, keys: int) -> Any:
        return deeper(queries + keys)

    def deeper(total: int) -> Any:
        return np.zeros(total).reshape(total + 1)

    verdict = told("causal_mask.agrees_with_definition", causal_mask=causal_mask)
    first, second = verdict.sides["raised at"].splitlines()
    assert first.startswith("test_messages.py, line ")
    assert first.endswith(", in causal_mask: return deeper(queries + keys)")
    assert second.endswith(", in deeper: return np.zeros(total).reshape(total + 1)")
    assert "  raised at: test_messages.py, line" in failure(verdict)


@pytest.mark.parametrize("claim", [closely, exactly, at_most])
def test_a_wrong_shape_is_shown_with_both_arrays(claim: Any) -> None:
    with pytest.raises(Broken, match=r"has shape \(3,\), expected \(2,\)") as caught:
        settle(claim(np.ones(3), np.ones(2)))
    assert [side.shape for _, side in caught.value.sides] == [(3,), (2,)]


# --- the smallest example -------------------------------------------------------------------------------------


def test_the_size_at_which_it_breaks_is_told_and_that_at_which_it_holds() -> None:
    def drops_keys_beyond_the_last_full_tile(query: Any, key: Any, value: Any) -> Any:
        return RIGHT.functions["masked_self_attention"](query=query, key=key[:, :, :128], value=value[:, :, :128])

    verdict = told(
        "masked_self_attention.agrees_with_definition", masked_self_attention=drops_keys_beyond_the_last_full_tile
    )
    assert verdict.sizes == "holds at S = 128, breaks at S = 129"
    assert "  sizes: holds at S = 128, breaks at S = 129" in failure(verdict)


def test_axes_are_cut_once_more_where_hypothesis_stopped() -> None:
    """All extents are 1, though they are drawn different from each other; what the extents do not decide is 0 or 1."""

    def feed_forward(x: Any, w_1: Any, b_1: Any, w_2: Any, b_2: Any) -> Any:
        return RIGHT.functions["feed_forward"](x=x, w_1=w_1, b_1=b_1, w_2=w_2, b_2=b_2) + x.dtype.type(len(b_1) > 2)

    verdict = told("feed_forward.agrees_with_definition", feed_forward=feed_forward)
    assert verdict.sizes == "holds at F = 2, breaks at F = 3"
    assert verdict.counterexample["x"] == "np.array([[[0.]]], 'float32')"
    assert verdict.counterexample["b_1"] == "np.array([0., 0., 0.], 'float32')"


def test_a_long_recurrence_is_cut_to_the_steps_it_takes() -> None:
    def forgets_after_ten(tokens: Any, **others: Any) -> Any:
        predictions, state = RIGHT.functions["rnn_language_model"](tokens=tokens, **others)
        return predictions, state + state.dtype.type(tokens.shape[1] > 10)

    verdict = told("rnn_language_model.agrees_with_definition", rnn_language_model=forgets_after_ten)
    assert "holds at T = 10, breaks at T = 11" in verdict.sizes


def test_a_number_that_is_a_size_is_cut_as_well() -> None:
    def causal_mask(queries: int, keys: int) -> Any:
        return RIGHT.functions["causal_mask"](queries=queries, keys=keys) ^ (keys > 6)

    verdict = told("causal_mask.agrees_with_definition", causal_mask=causal_mask)
    assert "holds at keys = 6, breaks at keys = 7" in verdict.sizes


def test_the_smallest_example_is_one_that_the_definitions_hold() -> None:
    """Logits are extreme in this law: of zeros in their place it would say something that is not true."""

    def does_not_shift(query: Any, key: Any, value: Any, mask: Any) -> Any:
        with np.errstate(all="ignore"):
            weights = np.exp(query @ key.swapaxes(-1, -2) / np.asarray(query.shape[-1] ** 0.5, query.dtype))
            return weights / weights.sum(axis=-1, keepdims=True) @ value

    law = "scaled_dot_product_attention.large_logits_stay_finite"
    verdict = told(law, scaled_dot_product_attention=does_not_shift)
    example = {name: evaluated(text) for name, text in verdict.counterexample.items()}
    assert hold(RIGHT, law, verdict.dtype, example).holds
    broken = replace(RIGHT, functions={**RIGHT.functions, "scaled_dot_product_attention": does_not_shift})
    assert not hold(broken, law, verdict.dtype, example).holds


# --- what survives --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "state"), [("import os; os._exit(3)", "crashed"), ("while True: pass", "timed out")], ids=["dies", "hangs"]
)
def test_a_crash_and_a_time_out_show_the_input(
    body: str, state: str, command: Callable[..., Any], backend_file: Callable[[str, str], Path]
) -> None:
    mask = "np.tri(queries, keys, keys - queries, dtype=bool)"
    backend_file("mine", f"def causal_mask(queries, keys):\n    if keys > 3:\n        {body}\n    return {mask}\n")
    law = "causal_mask.agrees_with_definition"
    run = command("check", "./mine.py", "--law", law, "--timeout", "10", "--profile", "quick")
    assert f"{law} is {state}" in run.stdout
    assert "  input of the last call (float" in run.stdout
    assert "    queries = " in run.stdout
    assert int(run.stdout.partition("    keys = ")[2].splitlines()[0]) > 3


def test_a_script_that_finds_no_backend_says_so_and_ends_with_2(tmp_path: Path) -> None:
    verdict = Verdict(
        "./gone.py", "masked_attention", "causal_mask", "the_mask_is_a_staircase", "broken", "1 is not 0",
        dtype="float32", counterexample={"queries": "1", "keys": "2"},
    )  # fmt: skip
    (script,) = write_scripts(tmp_path, verdict.backend, [verdict])

    def run() -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, str(script)], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
        )

    lost = run()
    assert lost.returncode == 2
    assert lost.stderr.startswith("./gone.py cannot be held to causal_mask.the_mask_is_a_staircase: ")
    assert "Traceback" not in lost.stderr
    (tmp_path / "gone.py").write_text("def from_numpy(x):\n    return x\n\n\ndef to_numpy(x):\n    return x\n")
    without = run()
    assert without.returncode == 2, without.stdout + without.stderr
