"""Backends that do everything a backend should not, all in one run: each costs its own verdicts, and no other."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
from collections import Counter
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import pytest

from layerlaws.checking.verdict import Verdict
from layerlaws.running.journal import Record, read_record

LAWS = (
    "scalar_mix.agrees_with_definition",
    "scalar_mix.leaves_its_inputs_alone",
    "scalar_mix.answers_the_same_twice",
    "scalar_mix.equal_layers_are_their_own_mix",
    "causal_mask.agrees_with_definition",
)
WITNESS = "causal_mask"
"""Every hostile backend offers it, too, and does it right."""

GOOD = """
import ctypes, gc, multiprocessing, os, random, re, signal, subprocess, sys, threading, time, warnings
import numpy as np

def from_numpy(array):
    return array

def to_numpy(array):
    return np.asarray(array)

def causal_mask(queries, keys):
    return np.tri(queries, keys, keys - queries, dtype=bool)

def _right(layers, scores, gamma):
    weights = np.exp(scores - scores.max())
    return np.tensordot(weights * (gamma / weights.sum()), layers, axes=1)

def scalar_mix(layers, scores, gamma):
    return _right(layers, scores, gamma)
"""


class Hostile(NamedTuple):
    """state, reason: of at least one of its verdicts on scalar_mix; the others have that state, or hold.

    loads: whether it gets as far as being held to laws.
    """

    does: str
    state: str
    reason: str
    code: str
    loads: bool = True


def when_loaded(does: str, state: str, reason: str, code: str) -> Hostile:
    return Hostile(does, state, reason, code, loads=False)


def when_called(does: str, state: str, reason: str, body: str) -> Hostile:
    """`body` comes before `return _right(layers, scores, gamma)`."""
    body = textwrap.indent(textwrap.dedent(body).strip(), "    ")
    function = f"def scalar_mix(layers, scores, gamma):\n{body}\n    return _right(layers, scores, gamma)"
    return Hostile(does, state, reason, function)


DIED = "while the backend was loaded"
HOSTILE = {
    # while it is loaded
    "lacks_a_package": when_loaded("needs what is not there", "unavailable", "needs nopackage", "import nopackage"),
    "import_error": when_loaded("raises ImportError", "unavailable", "no libx.so", "raise ImportError('no libx.so')"),
    "syntax_error": when_loaded("is no Python", "error", "SyntaxError", "def scalar_mix(:"),
    "raises_loading": when_loaded("raises", "error", "RuntimeError: no luck", "raise RuntimeError('no luck')"),
    "exits_loading": when_loaded("sys.exit()", "error", "SystemExit: 3", "sys.exit(3)"),
    "interrupts_loading": when_loaded("KeyboardInterrupt", "error", "KeyboardInterrupt", "raise KeyboardInterrupt"),
    "quits_loading": when_loaded("os._exit(0)", "crashed", f"(exit status 0) {DIED}", "os._exit(0)"),
    "segfaults_loading": when_loaded("segfault", "crashed", f"(SIGSEGV) {DIED}", "ctypes.string_at(0)"),
    "hangs_loading": when_loaded("endless loop", "timed out", "not loaded within", "while True: pass"),
    "deletes_itself": when_loaded("deletes its own file", "error", "there is no file", "os.remove(__file__)"),
    "describes_wrongly": when_loaded("describe() raises", "error", "ZeroDivisionError", "def describe(): return 1 / 0"),
    # its process
    "raises": when_called("raises", "error", "RuntimeError: no luck", "raise RuntimeError('no luck')"),
    "exits": when_called("sys.exit()", "error", "SystemExit", "sys.exit()"),
    "interrupts": when_called("raises KeyboardInterrupt", "error", "KeyboardInterrupt", "raise KeyboardInterrupt"),
    "raises_unprintably": when_called(
        "its exception raises when printed",
        "error",
        "cannot be printed",
        """
        class Silent(BaseException):
            def __str__(self): raise Silent
        raise Silent""",
    ),
    "quits": when_called("os._exit(0)", "crashed", "exit status 0", "os._exit(0)"),
    "segfaults": when_called("segfault", "crashed", "SIGSEGV", "ctypes.string_at(0)"),
    "aborts": when_called("os.abort()", "crashed", "SIGABRT", "os.abort()"),
    "killed": when_called("is killed, as where memory runs out", "crashed", "SIGKILL", "os.kill(os.getpid(), 9)"),
    "kills_its_group": when_called("kills its process group", "crashed", "SIGKILL", "os.killpg(0, signal.SIGKILL)"),
    "loops_in_python": when_called("endless loop", "timed out", "no verdict within", "while True: pass"),
    "loops_in_c": when_called(
        "endless loop in C, holding the GIL", "timed out", "no verdict within", "re.match('(a+)+$', 'a' * 64 + 'b')"
    ),
    "recurses": when_called("endless recursion", "error", "RecursionError", "return scalar_mix(layers, scores, gamma)"),
    "hogs_memory": when_called(
        "fills the memory",
        "error",
        "MemoryError (a worker may use 1.0 GiB)",
        """
        hoard = []
        while True: hoard.append(bytearray(2**26))""",
    ),
    "wants_a_petabyte": when_called("np.ones(2**47)", "error", "MemoryError: Unable to allocate", "np.ones(2**47)"),
    "floods": when_called(
        "prints gigabytes, also by os.write",
        "held",
        "",
        """
        for _ in range(8):
            print('x' * 2**20)
            print('x' * 2**20, file=sys.stderr)
            os.write(1, b'x' * 2**20)
            os.write(2, b'x' * 2**20)""",
    ),
    "closes_stdout": when_called(
        "closes stdout, and prints", "error", "I/O operation on closed file", "sys.stdout.close(); print('hello')"
    ),
    "closes_files": when_called("closes all its files", "crashed", "process died", "os.closerange(0, 512)"),
    "leaves_a_thread": when_called(
        "leaves threads running",
        "held",
        "",
        """
        if threading.active_count() < 4:
            threading.Thread(target=lambda: [time.sleep(0.001) for _ in iter(int, 1)]).start()""",
    ),
    "leaves_a_process": when_called(
        "leaves child processes running",
        "held",
        "",
        """
        if not os.path.exists('child'):
            child = subprocess.Popen(['sleep', '600'], start_new_session=True)
            open('child', 'w').write(str(child.pid))""",
    ),
    "forks": when_called(
        "forks, and both go on",
        "held",
        "",
        """
        if not hasattr(os, 'forked'):
            os.forked = os.fork()""",
    ),
    # its surroundings
    "numpy_errors": when_called("np.seterr(all='raise')", "held", "", "np.seterr(all='raise')"),
    "seeds": when_called("seeds all generators", "held", "", "random.seed(0); np.random.seed(0)"),
    "warning_errors": when_called("makes warnings errors", "held", "", "warnings.simplefilter('error')"),
    "surroundings": when_called(
        "empties os.environ and sys.path, leaves the directory",
        "held",
        "",
        "os.environ.clear(); sys.path.clear(); os.chdir('/')",
    ),
    "print_options": when_called("np.set_printoptions", "held", "", "np.set_printoptions(precision=1, threshold=0)"),
    "signals": when_called(
        "ignores all signals",
        "held",
        "",
        """
        for number in (signal.SIGALRM, signal.SIGTERM, signal.SIGINT, signal.SIGCHLD):
            signal.signal(number, signal.SIG_IGN)""",
    ),
    "no_garbage": when_called("gc.disable(), gc.freeze()", "held", "", "gc.disable(); gc.freeze()"),
    "replaces_exp": when_called("replaces np.exp", "error", "it replaced numpy.exp", "np.exp = np.exp2"),
    "replaces_exp_loading": when_loaded("replaces np.exp", "error", "it replaced numpy.exp", "np.exp = np.exp2"),
    "replaces_a_claim": when_called(
        "replaces a claim",
        "error",
        "it replaced layerlaws.language.claims.settle",
        """
        import layerlaws.language.claims
        layerlaws.language.claims.settle = print""",
    ),
    # its results
    "overwrites": when_called(
        "overwrites its inputs",
        "broken",
        "changed its argument 'layers'",
        "result = _right(layers, scores, gamma); layers[...] = 0; return result",
    ),
    "aliases": when_called(
        "returns a view of an input", "broken", "shares memory with its argument 'layers'", "return layers[0]"
    ),
    "counts": when_called(
        "depends on the number of calls",
        "broken",
        "is not",
        """
        gc.calls = getattr(gc, 'calls', 0) + 1
        return _right(layers, scores, gamma) * (1 + gc.calls % 2)""",
    ),
    "nan": when_called("nan everywhere", "broken", "nan is not", "return np.full_like(layers[0], np.nan)"),
    "shape": when_called("wrong shape", "broken", "has shape", "return _right(layers, scores, gamma)[None]"),
    "dtype": when_called("wrong dtype", "broken", "returned dtype", "return _right(layers, scores, gamma) > 0"),
    "text": when_called("returns a string", "broken", "has shape ()", "return 'hello'"),
    "generator": when_called("returns a generator", "broken", "an array of Python objects", "return iter(layers)"),
    "objects": when_called(
        "returns an array of objects",
        "broken",
        "an array of Python objects",
        "return _right(layers, scores, gamma).astype(object)",
    ),
    "huge": when_called(
        "returns 4 exabytes, lazily",
        "broken",
        "has shape (1152921504606846976,)",
        "return np.broadcast_to(np.float32(1), 2**60)",
    ),
    "lazy": when_called(
        "fails when its result is read",
        "broken",
        "to_numpy cannot take: RuntimeError: too late",
        """
        class Lazy:
            def __array__(self, *_, **__): raise RuntimeError('too late')
        return Lazy()""",
    ),
    "liar": when_called(
        "returns an array that equals everything",
        "broken",
        "is not",
        """
        class Liar(np.ndarray):
            def __array_ufunc__(self, ufunc, *_, **__): return True
        return np.zeros_like(layers[0]).view(Liar)""",
    ),
    "talks": when_called(
        "an exception of 1 MB, with control characters",
        "error",
        "cut, 1000007 characters",
        "raise ValueError('\\x1b[2J\\x00\\ud800\\u202e' + 5 * 10**5 * '<b')",
    ),
    "name": when_called(
        "a type with a name of 4 MB", "broken", "(cut, ", "return type('\\x1b<b>' * 10**6, (), {'__array__': None})()"
    ),
    "no_conversion": Hostile(
        "from_numpy raises",
        "error",
        "from_numpy raised RuntimeError: no luck",
        "def from_numpy(array):\n    raise RuntimeError('no luck')",
    ),
}
if find_spec("torch"):
    HOSTILE["torch_state"] = Hostile(
        "sets torch's default dtype, threads, seed",
        "held",
        "",
        """
import torch
def scalar_mix(layers, scores, gamma):
    torch.set_default_dtype(torch.float16)
    torch.set_num_threads(64)
    torch.manual_seed(0)
    return _right(layers, scores, gamma)
""",
    )

LIMIT = 10
"""Seconds of work for a law, and for loading a backend: plenty for good ones, and waited for twice."""

RUN = f"""
import sys
from layerlaws import cli
from layerlaws.running import backlog, processes, runner
backlog.MOST_LOST["timed out"] = 1
processes.LOADING = {LIMIT}
processes.memory_share = runner.memory_share = lambda jobs: 2**30
sys.exit(cli.main(sys.argv[1:]))
"""


def check(directory: Path, backends: list[str], output: str) -> subprocess.CompletedProcess[str]:
    options = [*(f"--law={law}" for law in LAWS), "--profile=quick", f"--timeout={LIMIT}", f"--output={output}"]
    return subprocess.run(
        [sys.executable, "-c", RUN, "check", *backends, *options],
        cwd=directory,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where hostile backends and good ones were all held to a few laws in one run, and a good one in another."""
    directory = tmp_path_factory.mktemp("hostile")
    for name, hostile in HOSTILE.items():
        (directory / f"{name}.py").write_text(GOOD + "\n" + hostile.code + "\n")
    for name in ("first", "last", "alone"):
        (directory / f"{name}.py").write_text(GOOD)
    assert check(directory, ["./alone.py"], "alone").returncode == 0
    names = ["first", *HOSTILE, "last"]
    run = check(directory, [f"./{name}.py" for name in names], "together")
    assert run.returncode == 1, run.stdout[-3000:] + run.stderr[-3000:]
    assert run.stderr.count("was asked for, but") == 2
    assert len(run.stdout) < 200_000
    assert "\x1b" not in run.stdout
    return directory


def record(directory: Path, name: str) -> Record:
    return read_record(directory / "together" / f"{name}.jsonl")


def timeless(verdicts: tuple[Verdict, ...]) -> list[Verdict]:
    return sorted((replace(v, seconds=0.0, spent={}, backend="") for v in verdicts), key=lambda v: v.id)


def test_a_good_backend_is_judged_as_if_it_were_alone(directory: Path) -> None:
    alone = timeless(read_record(directory / "alone" / "alone.jsonl").verdicts)
    assert {verdict.state for verdict in alone} == {"held"}
    for name in ("first", "last"):
        assert timeless(record(directory, name).verdicts) == alone


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_backend_costs_its_own_verdicts_only(name: str, directory: Path) -> None:
    hostile, found = HOSTILE[name], record(directory, name)
    assert found.complete
    assert sorted(verdict.id for verdict in found.verdicts) == sorted(LAWS)
    mixed = [verdict for verdict in found.verdicts if verdict.operation != WITNESS]
    assert {verdict.state for verdict in mixed} <= {
        hostile.state,
        "held",
        *(("not judged",) if hostile.state == "broken" else ()),
    }
    assert [v.reason for v in mixed if v.state == hostile.state and hostile.reason in v.reason], found.verdicts
    (witness,) = [verdict for verdict in found.verdicts if verdict.operation == WITNESS]
    assert witness.state == ("held" if hostile.loads else hostile.state)
    assert all(len(verdict.reason) < 20_000 for verdict in mixed)


@pytest.mark.parametrize("name", ["loops_in_python", "loops_in_c"])
def test_an_operation_that_never_returns_is_given_up(name: str, directory: Path) -> None:
    reasons = Counter(v.reason for v in record(directory, name).verdicts if v.state == "timed out")
    tried = reasons.pop(f"no verdict within {LIMIT} s")
    assert tried in (1, 2), "by each worker at most once"
    (given_up,) = reasons
    assert re.fullmatch("not held: scalar_mix timed out [12] times before", given_up)


def test_what_a_backend_starts_ends_with_its_worker(directory: Path) -> None:
    with pytest.raises(ProcessLookupError):
        os.kill(int((directory / "child").read_text()), 0)


def table(directory: Path) -> str:
    """The hostile backends, what they do, and what came of it, in Markdown."""
    lines = ["| backend | what it does | scalar_mix (4 laws) | causal_mask | said |", "|---|---|---|---|---|"]
    for name, hostile in HOSTILE.items():
        verdicts = record(directory, name).verdicts
        mixed = [verdict for verdict in verdicts if verdict.operation != WITNESS]
        states = ", ".join(f"{sum(v.state == s for v in mixed)} {s}" for s in sorted({v.state for v in mixed}))
        (witness,) = [verdict.state for verdict in verdicts if verdict.operation == WITNESS]
        said = next((v.reason.partition("\n")[0][:90] for v in mixed if hostile.reason in v.reason), "")
        lines.append(f"| {name} | {hostile.does} | {states} | {witness} | {said} |")
    return "\n".join(lines)
