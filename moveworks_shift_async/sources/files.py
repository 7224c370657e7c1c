"""A path or standard input -> an open binary file that can be read more than once.

Every format reads through `SteadyFile`: no further than the file reached when it was opened, in
slices between which the reading can be stopped, and with an error if it was changed meanwhile.
"""

from __future__ import annotations

import os
import select
import stat
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from io import BufferedReader, FileIO
from typing import IO, Any, BinaryIO

from ..errors import InvalidInput
from ..storage.system import refused
from ..text import install
from .refusals import refuse

STDIN = "-"
GoOn = Callable[[], None]
#: Bytes copied at once.
_COPY = 1 << 20
#: Bytes that are taken from what can be read only once; a directory of ten million people is 1 GB.
_MOST_COPIED = 1 << 34
#: Milliseconds to wait for more of it before asking whether to go on.
_POLL_MILLISECONDS = 200


#: What is wrong with a file that others write to.
CHANGED = "it was changed while it was read; try again"


def nothing() -> None:
    """Go on, always."""


class SteadyFile(FileIO):
    """An open file; between its slices `go_on` is called, which may raise."""

    def __init__(
        self,
        file: str | int,
        title: str,
        go_on: GoOn = nothing,
        *,
        closefd: bool = True,
        opener: Callable[[str, int], int] | None = None,
        like: os.stat_result | None = None,
    ) -> None:
        """`title` is the name for messages; `like` is what the file was when it was opened."""
        super().__init__(file, closefd=closefd, opener=opener)
        self.title = title
        self.go_on = go_on
        self.opened_as: os.stat_result = like or os.fstat(self.fileno())

    def again(self) -> BufferedReader:
        """Read it from its beginning; the file stays open. All readers share its position."""
        self.seek(0)
        view = SteadyFile(self.fileno(), self.title, self.go_on, closefd=False, like=self.opened_as)
        return BufferedReader(view, _COPY // 4)

    def readinto(self, buffer: Any, /) -> int | None:
        """Read a slice, at most to where the file ended when it was opened."""
        self.go_on()
        view = memoryview(buffer)
        left = max(self.opened_as.st_size - self.tell(), 0)
        count = super().readinto(view[:left])
        if not count and left and view:
            raise self.changed()
        return count

    def read(self, size: int | None = -1, /) -> bytes:
        """Read some bytes, or all that are left."""
        left = max(self.opened_as.st_size - self.tell(), 0)
        buffer = bytearray(left if size is None or size < 0 else min(size, left))
        count, at = 1, 0
        while count and at < len(buffer):
            count = self.readinto(memoryview(buffer)[at : at + _COPY]) or 0
            at += count
        return bytes(buffer[:at])

    def verify(self) -> None:
        """Raise `InvalidInput` if it was written to since it was opened."""
        now, then = os.fstat(self.fileno()), self.opened_as
        if (now.st_size, now.st_mtime_ns) != (then.st_size, then.st_mtime_ns):
            raise self.changed()

    def changed(self) -> InvalidInput:
        """Build the error for a file that others write to."""
        return refuse(self.title, None, CHANGED)


def name_of(where: str | os.PathLike[str]) -> str:
    """Return the name for messages: as the caller gave it."""
    return "standard input" if where == STDIN else os.fspath(where)


@contextmanager
def opened(
    where: str | os.PathLike[str],
    name: str | None = None,
    go_on: GoOn = nothing,
) -> Iterator[SteadyFile]:
    """Open a file, or standard input for `-`. `InvalidInput` where it cannot be read.

    What can be read only once is copied to a temporary file first. That file has no name, and
    nobody else may open it; its space is free again when it is closed. A device is refused.
    """
    name = name or name_of(where)
    with ExitStack() as stack:
        try:
            file = _open(where, name, go_on, stack)
        except (OSError, ValueError) as error:
            raise refused(InvalidInput, f"{name} cannot be read", error) from None
        yield file


def _open(where: str | os.PathLike[str], name: str, go_on: GoOn, stack: ExitStack) -> SteadyFile:
    if where == STDIN:
        if sys.stdin is None:  # started with it closed
            raise ValueError("it is closed")
        return _copied(sys.stdin.buffer, name, go_on, stack)
    file = stack.enter_context(SteadyFile(os.fspath(where), name, go_on, opener=_without_waiting))
    # Files that a system makes up as they are read (in /proc, on some network disks) have no size.
    whole = file.seekable() and file.opened_as.st_size > 0
    return file if whole and not _is_device(file) else _copied(file, name, go_on, stack)


def _without_waiting(path: str, flags: int) -> int:
    """Open without waiting: a named pipe has perhaps nobody who writes to it yet."""
    # Only Linux says of such a pipe that its writer is still to come; elsewhere the opening waits.
    return os.open(path, flags | (os.O_NONBLOCK if sys.platform == "linux" else 0))


def _is_device(file: IO[bytes]) -> bool:
    try:
        mode = os.fstat(file.fileno()).st_mode
    except OSError:  # a program's own object in the place of standard input
        return False
    return stat.S_ISBLK(mode) or (stat.S_ISCHR(mode) and not file.isatty())


def _copied(source: BinaryIO | FileIO, name: str, go_on: GoOn, stack: ExitStack) -> SteadyFile:
    if _is_device(source):
        raise ValueError("it is a device; give a file")
    copy = stack.enter_context(tempfile.TemporaryFile(buffering=0))  # noqa: SIM115  it is one
    took = 0
    for data in _slices(source, go_on):
        took += len(data)
        if took > _MOST_COPIED:
            raise ValueError(f"more than {_MOST_COPIED:,} bytes came, and no end")
        copy.write(data)
    return SteadyFile(copy.fileno(), name, go_on, closefd=False)


def _slices(source: BinaryIO | FileIO, go_on: GoOn) -> Iterator[bytes]:
    """Read a pipe or a terminal to its end, without waiting where nobody would hear."""
    wait = _waiting(source)
    # A `SteadyFile` reads no further than its size, and a pipe has none.
    read: Any = FileIO.read if isinstance(source, FileIO) else type(source).read1  # type: ignore[attr-defined]
    while True:
        go_on()
        if wait is not None and not wait():
            continue
        data = read(source, _COPY)
        if data == b"":
            return
        yield data or b""  # None: somebody else read it


def _waiting(source: IO[bytes]) -> Callable[[], object] | None:
    """Return what waits a little for something to read; None where nothing can."""
    try:
        poll = select.poll()
        poll.register(source, select.POLLIN | select.POLLHUP)
    except (AttributeError, OSError, ValueError):  # Windows; no real file
        return None
    return lambda: poll.poll(_POLL_MILLISECONDS)


def missing(name: str, what: str, library: str) -> InvalidInput:
    """Build the error for a format whose library is not installed."""
    how = f"run: {install(library.lower())}"
    return refuse(name, None, f"{what} is read with {library}, which is not installed; {how}")
