"""layerlaws: executable definitions of deep-learning building blocks, and the laws they obey.

What a note writer imports: `operation`, `law`, `fault`, `workload`, the claims, `asbounded`, `rounded`, `require`.
What a backend writer imports: nothing, or `Known`; for a pytest suite `laws_for`.
What a caller imports: `catalogue`, `load_backend`, `check`, `hold`.
"""

from layerlaws.backends import load_backend
from layerlaws.checking.check import check
from layerlaws.checking.replay import Replay, hold
from layerlaws.checking.verdict import Verdict
from layerlaws.discovery import catalogue
from layerlaws.language.backend import Backend, Known
from layerlaws.language.claims import Claim, all_of, at_most, closely, differ, exactly, refused
from layerlaws.language.laws import Fault, Law, fault, law
from layerlaws.language.note import Catalogue
from layerlaws.language.operations import Operation, operation
from layerlaws.language.workloads import Cost, Headline, Workload, workload
from layerlaws.numerics.arithmetic import Arithmetic
from layerlaws.numerics.assertions import assert_within, bound
from layerlaws.numerics.bounded import Bounded, asbounded, rounded
from layerlaws.pytest_plugin import laws_for
from layerlaws.support.errors import Broken, Undecidable, WrongUse

__version__ = "0.1.0"

__all__ = [
    "Arithmetic", "Backend", "Bounded", "Broken", "Catalogue", "Claim", "Cost", "Fault", "Headline", "Known", "Law",
    "Operation", "Replay", "Undecidable", "Verdict", "Workload", "WrongUse", "all_of", "asbounded", "assert_within",
    "at_most", "bound", "catalogue", "check", "closely", "differ", "exactly", "fault", "hold", "law", "laws_for",
    "load_backend", "operation", "refused", "rounded", "workload",
]  # fmt: skip
