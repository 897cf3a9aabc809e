"""Writes files so that nothing but them is touched: no link is followed, and no file is ever half written."""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path

NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0)
"""Opening a link fails with this flag; Windows lacks it, and asks for rights to make one."""

BINARY = getattr(os, "O_BINARY", 0)
"""Windows would change line breaks without it."""

NO_WAIT = getattr(os, "O_NONBLOCK", 0)
"""A pipe is opened with this flag although nobody writes to it."""


def no_file(mode: int) -> str:
    """What something is that is no regular file, in words. mode: as `os.stat` says it."""
    return f"a {'directory' if stat.S_ISDIR(mode) else 'device or pipe'}, not a file"


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[int]:
    """A new, empty file, as a descriptor to write to; it becomes the file at this path when the block ends well.

    A link at the path is replaced, and what it points to is left alone. Raises OSError.
    """
    part = path.with_name(f".{path.name[:100]}.{secrets.token_hex(8)}.part")
    file = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | NO_FOLLOW | BINARY, 0o666)
    try:
        try:
            yield file
        finally:
            os.close(file)
        os.replace(part, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(part)
        raise


def replace_text(path: Path, text: str) -> None:
    """Write a text to a file, all of it or nothing. See `replacing`."""
    with replacing(path) as file:
        write(file, text.encode("utf-8", errors="backslashreplace"))


def write(file: int, content: bytes) -> None:
    """Write all of it to a descriptor. Raises OSError, after some of it may have been written."""
    while content:
        content = content[os.write(file, content) :]


def copy(source: Path, target: Path) -> None:
    """Copy a regular file. Raises OSError, also for a source that is none."""
    with opened(source) as content, replacing(target) as file:
        while block := os.read(content, 2**20):
            write(file, block)


@contextlib.contextmanager
def opened(path: Path) -> Iterator[int]:
    """A regular file, as a descriptor to read from. Pipes and devices are not waited for. Raises OSError."""
    file = os.open(path, os.O_RDONLY | NO_WAIT | BINARY)
    try:
        mode = os.fstat(file).st_mode
        if not stat.S_ISREG(mode):
            raise OSError(0, no_file(mode), str(path))
        yield file
    finally:
        os.close(file)


def start_of(path: Path, length: int) -> bytes:
    """The first bytes of a regular file. Raises OSError."""
    with opened(path) as file:
        read = b""
        while len(read) < length and (block := os.read(file, length - len(read))):
            read += block
        return read


def real_folder(directory: Path, *names: str) -> Path:
    """A folder below a directory, made where it is missing. Raises OSError where there is a link, or no folder."""
    folder = directory
    for name in names:
        folder = folder / name
        with contextlib.suppress(FileExistsError):
            folder.mkdir(parents=folder.parent == directory)
        mode = folder.lstat().st_mode
        if not stat.S_ISDIR(mode):
            what = "a link" if stat.S_ISLNK(mode) else "no folder"
            raise OSError(0, f"it is {what}; move it out of the way", str(folder))
    return folder
