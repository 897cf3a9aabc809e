"""Text from backends does nothing to a terminal, and does not fill it."""

from __future__ import annotations

from layerlaws.support.printable import LONGEST, plain, told


def test_control_characters_are_spelled_out() -> None:
    assert plain("a\x1b[2Jb\x00\u202e\ud800 ü\n\t") == "a\\x1b[2Jb\\x00\\u202e\\ud800 ü\n\t"


def test_long_text_is_cut_and_says_so() -> None:
    assert plain("x" * 10**7) == "x" * LONGEST + " ... (cut, 10000000 characters)"


def test_an_exception_that_cannot_be_printed_is_still_told() -> None:
    class Silent(BaseException):
        def __str__(self) -> str:
            raise Silent

    assert told(Silent()) == "Silent: (it cannot be printed: Silent)"
    assert told(KeyboardInterrupt()) == "KeyboardInterrupt"
