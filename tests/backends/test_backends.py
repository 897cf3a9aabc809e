"""The bundled backends obey every law that they speak to, or declare why not."""

from __future__ import annotations

import sys

import pytest

from layerlaws.backends import load_backend
from layerlaws.checking.check import check
from layerlaws.discovery import catalogue

NOTES = [note.name for note in catalogue().notes]


@pytest.mark.parametrize("note", NOTES)
@pytest.mark.parametrize(
    "name", ["numpy", "torch-cpu", "tokenizers", "layerlaws_backends.tiktoken", "layerlaws_backends.sentencepiece"]
)
def test_a_bundled_backend_holds(name: str, note: str) -> None:
    backend = load_backend(name, catalogue())
    if backend.unavailable:
        pytest.skip(backend.unavailable)
    verdicts = [check(backend, case, profile="quick") for case in catalogue().select([note])]
    assert [(v.id, v.state, v.reason) for v in verdicts if v.unexpected] == []


def test_cuda_without_a_device_is_unavailable_and_says_why() -> None:
    torch = pytest.importorskip("torch")
    backend = load_backend("torch-cuda", catalogue())
    assert bool(backend.unavailable) == (not torch.cuda.is_available())
    for case in catalogue().cases:
        state = check(backend, case, profile="quick").state if backend.unavailable else "unavailable"
        assert state == "unavailable"


def test_every_operation_has_a_numpy_and_a_torch_implementation() -> None:
    pytest.importorskip("torch")
    for name in ("numpy", "torch-cpu"):
        assert set(load_backend(name, catalogue()).functions) == set(catalogue().operations)


def test_numpy_and_torch_are_independent_witnesses() -> None:
    pytest.importorskip("torch")
    for function in load_backend("torch-cpu", catalogue()).functions.values():
        borrowed = [
            x
            for x in vars(sys.modules[function.__module__]).values()
            if getattr(x, "__module__", "").startswith("layerlaws_backends.numpy")
        ]
        assert not borrowed, f"{function.__module__} takes {borrowed} from the other witness"
