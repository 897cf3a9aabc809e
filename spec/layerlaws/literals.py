"""Kept for counterexample scripts of version 0.1.0; new ones import `unpacked` from `layerlaws`."""

from layerlaws.checking.literals import unpacked as unpacked
