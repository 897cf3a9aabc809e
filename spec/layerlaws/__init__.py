"""layerlaws: executable definitions of deep-learning building blocks, and the laws they obey.

Public is what `__all__` names:

- for authors of notes: `operation`, `law`, `fault`, `workload`, the claims (`closely`, `exactly`, `at_most`, `differ`,
  `refused`, `all_of`), `asbounded`, `rounded`; what a catalogue consists of: `Catalogue`, `Note`, `Case`, `Operation`,
  `Law`, `Fault`, `Workload`;
- for authors of backends: `Arithmetic` declares what is accumulated and kept in which format, `Known` a deviation by
  design; a function raises `Unsupported` for input that it does not offer; `laws_for` makes a test function for pytest;
- for programs: `catalogue`, `load_backend`, `check` and, for a single example, `hold`; `unpacked` reads the packed
  arrays of counterexample scripts.
"""

from layerlaws.support import surroundings as _surroundings  # noqa: F401  # first of all: see there

# isort: split
from typing import TYPE_CHECKING, Any

from layerlaws.backends import load_backend
from layerlaws.checking.check import check
from layerlaws.checking.literals import unpacked
from layerlaws.checking.replay import Replay, hold
from layerlaws.checking.verdict import Verdict
from layerlaws.discovery import catalogue
from layerlaws.language.backend import Backend, Known
from layerlaws.language.claims import Claim, all_of, at_most, closely, differ, exactly, refused
from layerlaws.language.laws import Fault, Law, fault, law
from layerlaws.language.note import Case, Catalogue, Note
from layerlaws.language.operations import Operation, operation
from layerlaws.language.workloads import Cost, Headline, Workload, workload
from layerlaws.numerics.arithmetic import Arithmetic
from layerlaws.numerics.assertions import assert_within, bound
from layerlaws.numerics.bounded import Bounded, asbounded, rounded
from layerlaws.support.errors import Broken, Undecidable, Unsupported, WrongUse
from layerlaws.support.version import __version__ as __version__

if TYPE_CHECKING:
    from layerlaws.pytest_plugin import laws_for
else:

    def __getattr__(name: str) -> Any:
        """Import `laws_for` only where it is used: it needs pytest."""
        if name == "laws_for":
            from layerlaws.pytest_plugin import laws_for

            return laws_for
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = [
    "Arithmetic", "Backend", "Bounded", "Broken", "Case", "Catalogue", "Claim", "Cost", "Fault", "Headline", "Known",
    "Law", "Note", "Operation", "Replay", "Undecidable", "Unsupported", "Verdict", "Workload", "WrongUse", "all_of",
    "asbounded", "assert_within", "at_most", "bound", "catalogue", "check", "closely", "differ", "exactly", "fault",
    "hold", "law", "laws_for", "load_backend", "operation", "refused", "rounded", "unpacked", "workload",
]  # fmt: skip
