"""A path or standard input -> an open binary file that can be read more than once."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from io import FileIO
from typing import BinaryIO

from ..errors import InvalidInput
from .document import refuse

STDIN = "-"
#: Bytes copied at once.
_COPY = 1 << 20


def name_of(where: str | os.PathLike[str]) -> str:
    """Return the name for messages: as the caller gave it."""
    return "standard input" if where == STDIN else os.fspath(where)


@contextmanager
def opened(where: str | os.PathLike[str]) -> Iterator[FileIO]:
    """Open a file, or standard input for `-`. `InvalidInput` where it cannot be read.

    What can be read only once is copied to a temporary file first. That file has no name, and
    nobody else may open it; its space is free again when it is closed.
    """
    with ExitStack() as stack:
        try:
            file = _open(where, stack)
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            raise InvalidInput(f"{name_of(where)} cannot be read: {reason}") from None
        yield file


def _open(where: str | os.PathLike[str], stack: ExitStack) -> FileIO:
    if where == STDIN:
        if sys.stdin is None:  # started with it closed
            raise ValueError("it is closed")
        return _copied(sys.stdin.buffer, stack)
    file = stack.enter_context(FileIO(os.fspath(where)))
    return file if file.seekable() else _copied(file, stack)


def _copied(source: BinaryIO | FileIO, stack: ExitStack) -> FileIO:
    copy = stack.enter_context(tempfile.TemporaryFile(buffering=0))  # noqa: SIM115  it is one
    shutil.copyfileobj(source, copy, _COPY)
    return copy


def again(file: FileIO) -> BinaryIO:
    """Read an open file from its beginning; the file stays with its owner."""
    os.lseek(file.fileno(), 0, os.SEEK_SET)
    return open(file.fileno(), "rb", closefd=False)


def missing(name: str, what: str, library: str) -> InvalidInput:
    """Build the error for a format whose library is not installed."""
    how = 'install it with: pip install "moveworks-shift-async[sources]"'
    return refuse(name, None, f"{what} is read with {library}, which is not installed; {how}")
