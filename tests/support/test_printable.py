"""Text from backends does nothing to a terminal, and does not fill it."""

from __future__ import annotations

from layerlaws.support.printable import LONGEST, describe, printable


def test_control_characters_are_spelled_out() -> None:
    assert printable("a\x1b[2Jb\x00\u202e\ud800 ü\n\t") == "a\\x1b[2Jb\\x00\\u202e\\ud800 ü\n\t"


def test_long_text_is_cut_and_says_so() -> None:
    assert printable("x" * 10**7) == "x" * LONGEST + " ... (cut, 10000000 characters)"


def test_an_exception_that_cannot_be_printed_is_still_described() -> None:
    class Silent(BaseException):
        def __str__(self) -> str:
            raise Silent

    assert describe(Silent()) == "Silent: (it cannot be printed: Silent)"
    assert describe(KeyboardInterrupt()) == "KeyboardInterrupt"
