"""The bundled backends obey every law that they speak to, or declare why not."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from layerlaws.backends import installed_backends, load_backend
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


PACKAGES = {
    "torch-cpu": "torch",
    "torch-cuda": "torch",
    "torch-nn": "torch",
    "tokenizers": "tokenizers",
    "tiktoken": "tiktoken",
    "sentencepiece": "sentencepiece",
    "subword-nmt": "subword_nmt",
}
"""What each bundled backend but NumPy's needs."""


def test_a_bundled_backend_whose_package_is_missing_is_unavailable() -> None:
    assert {*PACKAGES, "numpy"} == {*installed_backends()}
    script = (
        "import sys\nfrom layerlaws import catalogue, load_backend\n"
        "class Absent:\n"
        "    def find_spec(self, name, *_):\n"
        f"        if name in {[*PACKAGES.values()]}:\n"
        "            raise ModuleNotFoundError(name=name)\n"
        "sys.meta_path.insert(0, Absent())\n"
        f"for name in {[*PACKAGES]}:\n"
        "    print(load_backend(name, catalogue()).unavailable)\n"
    )
    environment = {"PYTHONPATH": os.pathsep.join(sys.path)}
    run = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)
    extras = {"torch": "torch"}
    assert run.stdout.splitlines() == [
        f"it needs {package}, which is not installed: pip install 'layerlaws[{extras.get(package, 'libraries')}]'"
        for package in PACKAGES.values()
    ]
