"""Where the command line prints, and how it is ended: neither takes what a run has found."""

from __future__ import annotations

import contextlib
import io
import os
import signal
import sys
from collections.abc import Iterator
from types import FrameType
from typing import TextIO

from layerlaws.support.printable import printable


class Ended(BaseException):
    """The user, the terminal or the system asked this process to end. status: its exit status."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.status = 128 + number


@contextlib.contextmanager
def ended_by_signals() -> Iterator[None]:
    """Raise Ended in a block where a signal asks the process to end, so that what it has started ends with it."""

    def end(number: int, frame: FrameType | None) -> None:
        for each in before:
            signal.signal(each, signal.SIG_IGN)  # one is enough: ending takes a moment
        raise Ended(number)

    before = {}
    try:
        for name in ("SIGINT", "SIGTERM", "SIGHUP"):
            number = getattr(signal, name, None)
            if number is not None and signal.getsignal(number) is not signal.SIG_IGN:  # as nohup wants it
                before[number] = signal.signal(number, end)
    except ValueError:  # not the main thread, which alone may
        pass
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def printing() -> Iterator[Output]:
    """Standard output, which takes every character and never raises: where nobody reads, nothing is written."""
    with contextlib.suppress(OSError):
        while (standard := os.open(os.devnull, os.O_RDWR)) <= 2:  # or a record would become standard output
            pass
        os.close(standard)
    output = Output(sys.stdout)
    try:
        yield output
    finally:
        output.flush()
        output.give_up_broken()


def say(what: object) -> None:
    """Print a line of this program to standard error, if there is one."""
    if sys.stderr is not None:
        with contextlib.suppress(OSError, ValueError):
            text = f"layerlaws: {printable(what)}"
            encoding = sys.stderr.encoding or "ascii"
            print(text.encode(encoding, errors="backslashreplace").decode(encoding), file=sys.stderr)


class Output(io.TextIOBase):
    """Writes to another file for as long as that works. lost: whether something could not be written."""

    def __init__(self, file: TextIO | None) -> None:
        self._file = file
        self._broken, self.lost = file is None, False
        if file is None:
            say("standard output is closed: nothing is printed, and records are written all the same")

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """Of the other file."""
        return getattr(self._file, "encoding", None) or "ascii"

    def isatty(self) -> bool:
        """Whether it is a terminal."""
        with contextlib.suppress(ValueError):  # it is closed
            return self._file is not None and self._file.isatty()
        return False

    def fileno(self) -> int:
        """Of the other file. Raises OSError if it has none."""
        if self._file is None:
            raise OSError("closed")
        return self._file.fileno()

    def writable(self) -> bool:
        """Always."""
        return True

    def write(self, text: str) -> int:
        """Write a text, with what the other file cannot encode escaped."""
        if not self._broken and self._file is not None:
            try:
                shown = text.encode(self.encoding, errors="backslashreplace").decode(self.encoding)
                self._file.write(shown)
            except (OSError, ValueError) as error:
                self._break(error)
        return len(text)

    def flush(self) -> None:
        """Flush the other file."""
        if not self._broken and self._file is not None:
            try:
                self._file.flush()
            except (OSError, ValueError) as error:
                self._break(error)

    def give_up_broken(self) -> None:
        """Lead the other file nowhere if it is broken, or Python would complain of it when it ends."""
        if self._broken and self._file is not None:
            with contextlib.suppress(OSError, ValueError):
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, self._file.fileno())
                os.close(nowhere)

    def _break(self, error: Exception) -> None:
        self._broken = True
        if not isinstance(error, BrokenPipeError):  # somebody has read enough
            self.lost = True
            say(f"cannot print any more: {getattr(error, 'strerror', None) or error}")
