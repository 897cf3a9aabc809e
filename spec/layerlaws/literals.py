"""Where counterexample scripts of version 0.1 import from; new ones import `unpacked` from `layerlaws`."""

from layerlaws.checking.literals import unpacked

__all__ = ["unpacked"]
