"""layerlaws: executable definitions of deep-learning building blocks, and the laws they obey.

What a note writer imports: `operation`, `law`, `fault`, `workload`, the claims, `asbounded`, `rounded`, `require`.
What a backend writer imports: nothing, or `Known`; for a pytest suite `laws_for`.
What a caller imports: `catalogue`, `load_backend`, `check`, `hold`.
"""

from layerlaws.backends import Backend, Known, load_backend
from layerlaws.bounded import Bounded, Undecidable, asbounded, rounded
from layerlaws.catalogue import Catalogue, WrongUse, catalogue
from layerlaws.check import check
from layerlaws.claims import Broken, Claim, all_of, at_most, closely, differ, exactly, refused
from layerlaws.law import Fault, Law, fault, law
from layerlaws.operation import Operation, operation
from layerlaws.pytest_plugin import laws_for
from layerlaws.replay import Replay, hold
from layerlaws.verdict import Verdict
from layerlaws.workload import Cost, Headline, Workload, workload

__version__ = "0.1.0"

__all__ = [
    "Backend", "Bounded", "Broken", "Catalogue", "Claim", "Cost", "Fault", "Headline", "Known", "Law", "Operation",
    "Replay", "Undecidable", "Verdict", "Workload", "WrongUse", "all_of", "asbounded", "at_most", "catalogue",
    "check", "closely", "differ", "exactly", "fault", "hold", "law", "laws_for", "load_backend", "operation",
    "refused", "rounded", "workload",
]  # fmt: skip
