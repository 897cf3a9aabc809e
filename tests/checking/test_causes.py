"""One cause is told once, and no law is called broken that was not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from layerlaws import hold, load_backend
from layerlaws.checking.check import check
from layerlaws.checking.failure import failure
from layerlaws.checking.reference import reference
from layerlaws.checking.verdict import UNEXPECTED, Verdict, by_cause
from layerlaws.discovery import catalogue
from layerlaws.language.backend import Backend, Known
from layerlaws.language.laws import consults_definition

from .parts import BACKENDS

CATALOGUE = catalogue()
RIGHT = reference(CATALOGUE)


def with_function(name: str, function: Callable[..., Any], **changes: Any) -> Backend:
    return replace(RIGHT, functions={name: function}, **changes)


def verdicts_on(backend: Backend, name: str) -> dict[str, Verdict]:
    """The verdicts on all laws that speak of one operation only, by law."""
    cases = [case for case in CATALOGUE.cases if [operation.name for operation in case.operations] == [name]]
    return {case.law.name: check(backend, case, profile="quick", shrink=False) for case in cases}


def changed(name: str, change: Callable[[Any], Any]) -> Backend:
    """The definitions, with one operation's results changed."""
    return with_function(name, lambda **arguments: change(RIGHT.functions[name](**arguments)))


def failed(verdicts: dict[str, Verdict]) -> dict[str, Verdict]:
    return {law: verdict for law, verdict in verdicts.items() if verdict.state in UNEXPECTED}


WRONG = {
    "shape": (lambda x: x[None], "wrong shape of the result of masked_self_attention"),
    "dtype": (lambda x: x.astype(np.complex128), "wrong dtype from masked_self_attention"),
    "number of results": (lambda x: (x, x), "wrong number of results from masked_self_attention"),
    "no array": (lambda x: None, "no array from masked_self_attention"),
    "NaN": (lambda x: x * np.nan, "NaN from masked_self_attention"),
}


@pytest.mark.filterwarnings("ignore:Casting complex values")
@pytest.mark.parametrize("what", WRONG)
def test_what_is_wrong_with_every_result_is_one_cause_and_breaks_no_other_law(what: str) -> None:
    change, cause = WRONG[what]
    backend = replace(changed("masked_self_attention", change), gradient=None)
    if what == "no array":
        backend = replace(backend, to_numpy=lambda x: x)
    verdicts = failed(verdicts_on(backend, "masked_self_attention"))
    assert len(verdicts) > 4
    assert {verdict.cause for verdict in verdicts.values()} == {cause}
    assert len(by_cause(verdicts.values())) == 1
    assert verdicts["agrees_with_definition"].state == "broken"
    assert by_cause(reversed(list(verdicts.values())))[0][0].state == "broken", "the one that says most stands first"
    assert ("answers_the_same_twice" in verdicts) is (what == "no array"), "it does, if it answers at all"


def test_an_exception_of_one_type_from_one_line_is_one_cause(
    backend_file: Any, monkeypatch: Any, tmp_path: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    backend_file(
        "mine",
        "\ndef _checked(queries, keys):\n"
        "    if queries > 1:\n        raise RuntimeError(f'{queries} queries')\n"
        "\ndef causal_mask(queries, keys):\n    _checked(queries, keys)\n"
        "    return np.tri(queries, keys, keys - queries, dtype=bool)\n",
    )
    verdicts = failed(verdicts_on(load_backend("./mine.py", CATALOGUE), "causal_mask"))
    assert len(verdicts) > 2
    assert {(verdict.state, verdict.cause) for verdict in verdicts.values()} == {
        ("error", "RuntimeError in line 12 of mine.py")
    }


def test_a_missing_argument_is_the_error_that_it_is() -> None:
    def short(query: Any, key: Any) -> Any:
        return query

    verdicts = failed(verdicts_on(with_function("masked_self_attention", short), "masked_self_attention"))
    assert {verdict.state for verdict in verdicts.values()} == {"error"}
    assert len({verdict.cause for verdict in verdicts.values()}) == 1


def scaled_by_design(**arguments: Any) -> Any:
    """ConvS2S attention whose scores are scaled by 1/sqrt(E), as fairseq's are: a definition of its own."""
    width = arguments["target_embedding"].shape[-1]
    scale = arguments["state"].dtype.type(width**-0.5)
    state, memory, source = arguments["state"], arguments["memory"], arguments["source_embedding"]
    asked = state @ arguments["w"] + arguments["b"] + arguments["target_embedding"]
    scores = asked @ memory.swapaxes(-1, -2) * scale
    weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
    weights = weights / weights.sum(axis=-1, keepdims=True)
    context = weights @ (memory + source) * state.dtype.type(memory.shape[1]) ** 0.5
    return context.astype(state.dtype), weights.astype(state.dtype)


def test_a_function_of_another_definition_keeps_the_laws_that_relate_its_own_results() -> None:
    """fairseq's attention: three laws, such as that on the order of the source, were called broken."""
    verdicts = verdicts_on(with_function("conv_s2s_attention", scaled_by_design), "conv_s2s_attention")
    assert verdicts["agrees_with_definition"].state == "broken"
    relational = [
        case.law
        for case in CATALOGUE.cases
        if case.law.name in verdicts and case.law.kind == "values" and not consults_definition(case.law.state)
    ]
    order = [law.name for law in relational if "order" in law.name or "source" in law.name]
    assert order
    assert not [law for law in order if verdicts[law].state == "broken"]
    for verdict in verdicts.values():
        if verdict.state == "not judged" and verdict.kind == "values":
            assert verdict.cause.removeprefix("the gradient of ") == "conv_s2s_attention differs from its definition"
            assert "in a call of its own; between the results: " in verdict.reason


def test_a_law_between_right_results_stays_broken() -> None:
    """A batch that leaks within the allowed error of each row cannot be, so one that shows is broken or not judged."""

    def forgets(query: Any, key: Any, value: Any) -> Any:
        result = RIGHT.functions["masked_self_attention"](query=query, key=key, value=value)
        return result if len(query) == 1 else result[::-1]

    verdict = verdicts_on(with_function("masked_self_attention", forgets), "masked_self_attention")
    assert verdict["batches_are_independent"].state == "not judged"
    assert verdict["batches_are_independent"].unexpected, "nothing is hidden: the example shows a wrong result"
    assert verdict["batches_are_independent"].counterexample


def test_what_a_law_says_exactly_is_judged_whatever_the_results_are() -> None:
    """That the future has no effect needs no allowed error."""
    (case,) = CATALOGUE.select((), ("masked_self_attention.no_position_sees_the_future",))

    def sees_all(query: Any, key: Any, value: Any) -> Any:
        return RIGHT.functions["scaled_dot_product_attention"](query=query, key=key, value=value, mask=None)

    verdict = check(with_function("masked_self_attention", sees_all), case, profile="quick")
    assert verdict.state == "broken"


def test_state_is_judged_by_the_answers_alone() -> None:
    answers = iter(range(10**6))

    def counts(**arguments: Any) -> Any:
        return RIGHT.functions["masked_self_attention"](**arguments) + next(answers)

    verdicts = verdicts_on(with_function("masked_self_attention", counts), "masked_self_attention")
    assert verdicts["answers_the_same_twice"].state == "broken"
    off = changed("masked_self_attention", lambda x: x + 1)
    assert verdicts_on(off, "masked_self_attention")["answers_the_same_twice"].state == "held"


def test_where_the_definition_cannot_say_the_law_is_judged() -> None:
    from layerlaws.checking.judgement import judge
    from layerlaws.checking.trial import Trial
    from layerlaws.support.errors import Broken

    (case,) = CATALOGUE.select((), ("masked_self_attention.batches_are_independent",))
    off = changed("masked_self_attention", lambda x: x + 1)
    trial = Trial(off, case)
    one = np.ones((1, 1, 1, 1))
    refused = {"query": np.ones((1, 1, 2, 1)), "key": one, "value": one, "format": "float64"}
    trial.statistics.drawn = refused
    assert judge(trial, Broken("x", within=True)).state == "broken"
    trial.statistics.drawn = {**refused, "query": one}
    assert judge(trial, Broken("x", within=True)).state == "not judged"
    assert judge(trial, Broken("x")).state == "broken", "exact claims need no allowed errors"


def test_a_known_deviation_stays_known_whatever_it_is_due_to() -> None:
    known = {"masked_self_attention.batches_are_independent": Known("by design", "https://example.org")}
    off = replace(changed("masked_self_attention", lambda x: x[::-1] if len(x) > 1 else x + 1), known=known)
    assert verdicts_on(off, "masked_self_attention")["batches_are_independent"].state == "known"


def test_one_example_tells_its_calls_once() -> None:
    off = changed("masked_self_attention", lambda x: x[::-1])
    two = np.arange(2.0).reshape(2, 1, 1, 1)
    again = hold(
        off, "masked_self_attention.batches_are_independent", "float64", {"query": two, "key": two, "value": two}
    )
    assert again.verdict.state == "not judged"
    assert len(again.calls) == 2


def test_others_of_a_cause_are_named() -> None:
    def seen(law: str, **fields: Any) -> Verdict:
        return Verdict("b", "n", fields.pop("operation", "o"), law, fields.pop("state", "broken"), "x", **fields)

    first, *others = [seen("one", cause="c"), seen("two", cause="c"), seen("three", operation="p", cause="c")]
    text = failure(first, again="", others=others)
    assert text.endswith("  2 more laws meet the same (c): two, p.three")
    assert "1 more law meets the same (c): two" in failure(first, again="", others=others[:1])
    alone = [seen("one"), seen("two"), seen("one", state="error", cause="c")]
    assert [len(group) for group in by_cause(alone)] == [1, 1, 1]


EXPECTED = {
    "odd_width": ("held", "not offered"),
    "square_images": ("held", "not offered"),
    "one_length": ("held", "not offered"),
    "base_256": ("held", "not offered"),
    "output_only": ("held", "broken", "not judged"),
    "no_second_result": ("held", "broken", "not judged"),
    "finite_fill": ("held", "broken"),
}


@pytest.mark.parametrize("name", BACKENDS)
def test_a_backend_that_is_right_but_for_one_thing_is_told_one_thing(
    name: str, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / f"{name}.py").write_text(BACKENDS[name])
    backend = load_backend(f"./{name}.py", CATALOGUE)
    cases = [case for case in CATALOGUE.cases if {o.name for o in case.operations} <= set(backend.functions)]
    found = [check(backend, case, profile="quick", shrink=False) for case in cases if not case.law.needs]
    assert {verdict.state for verdict in found if verdict.kind != "exact"} <= set(EXPECTED[name])
    causes = by_cause(verdict for verdict in found if verdict.unexpected)
    if "broken" in EXPECTED[name]:
        assert all(group[0].state == "broken" for group in causes)
        assert len(causes) == (3 if name == "finite_fill" else 1)
    else:
        assert not causes
        assert any(verdict.declined for verdict in found)
