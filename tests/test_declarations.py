"""What a backend declares that cannot be is refused in a line that says what was expected."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from layerlaws import WrongUse, catalogue, load_backend
from layerlaws.checking.check import check

BackendFile = Callable[[str, str], Path]


@pytest.mark.parametrize(
    ("declared", "said"),
    [
        ('dtypes = ("float32")', "dtypes .* is 'float32', expected a tuple of names; with one, ('float32',)"),
        ("dtypes = ()", "expected at least one name"),
        ("dtypes = 3", "expected a tuple of names"),
        ("dtypes = (3,)", "expected a tuple of names"),
        ("def available(): return True", 'returned True: return "" if it can run'),
        ("def available(): return None", "returned None"),
        ("known = ['x']", "expected a dict of Known"),
        ("known = {'causal_mask.agrees_with_definition': 3}", "expected Known"),
        ("known = {'causal_mask.agrees_with_definition': 'abc'}", "expected Known"),
        ("known = {3: ('x', 'y')}", "has the key 3; keys are names"),
        ("arithmetic = 3", "expected a dict of Arithmetic"),
        ("arithmetic = {'float16': 3}", "expected Arithmetic"),
        ("gradient = 3", "gradient .* is 3, expected a function, or leave it out"),
        ("synchronize = 'x'", "expected a function"),
        ("operations = 3", "expected the name of a package"),
        ("to_numpy = 3", "has no function to_numpy: say how arrays go out"),
    ],
)
def test_what_cannot_be_is_refused(backend_file: BackendFile, declared: str, said: str) -> None:
    said = said.replace("(", r"\(").replace(")", r"\)") if "(" in said else said
    with pytest.raises(WrongUse, match=said) as refusal:
        load_backend(str(backend_file("mine", declared + "\n")), catalogue())
    assert "\n" not in str(refusal.value)


def test_what_is_none_is_left_out(backend_file: BackendFile) -> None:
    path = backend_file("mine", "gradient = synchronize = measured = describe = available = None\n")
    backend = load_backend(str(path), catalogue())
    assert (backend.gradient, backend.unavailable, backend.device) == (None, "", "CPU")
    backend.synchronize()


@pytest.mark.parametrize(
    "code",
    [
        "from layerlaws.notes.elmo import scalar_mix\n",
        "from layerlaws.notes import elmo as _elmo\nscalar_mix = _elmo.scalar_mix.definition\n",
        "import functools as _f\nfrom layerlaws.notes import elmo as _e\nscalar_mix = _f.partial(_e.scalar_mix)\n",
    ],
)
def test_a_definition_is_no_backend(backend_file: BackendFile, code: str) -> None:
    with pytest.raises(WrongUse, match=r"scalar_mix of the backend .* is the definition itself"):
        load_backend(str(backend_file("mine", code)), catalogue())


def test_a_backend_that_calls_the_definition_is_an_error(backend_file: BackendFile) -> None:
    borrowed = "def scalar_mix(layers, scores, gamma):\n    return _elmo.scalar_mix(layers, scores, gamma)\n"
    path = backend_file("mine", "from layerlaws.notes import elmo as _elmo\n" + borrowed)
    (case,) = catalogue().select((), ("scalar_mix.agrees_with_definition",))
    verdict = check(load_backend(str(path), catalogue()), case, profile="quick", shrink=False)
    assert verdict.state == "error"
    assert "calls the definition of scalar_mix, which every backend is compared with" in verdict.reason
