"""New files, whole or not at all, for their owner's eyes.

A file is written without a name, where the system can do that, and gets its name at the end: a
process that is killed meanwhile leaves nothing behind. Elsewhere it has another name until then,
which every error and every interruption removes.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from attrs import define

from ...errors import InvalidInput, JournalError, NotSent

# Open files of this process by their numbers, as Linux shows them.
_OPEN_FILES = "/proc/self/fd"


@contextlib.contextmanager
def new_files(
    paths: Sequence[str], stop: threading.Event | None = None
) -> Iterator[tuple[BinaryIO, ...]]:
    """Write into them; at the end all stand at their paths, on the disk, for their owner alone.

    Raises `InvalidInput` if there is a file of such a name, which is left as it is, `JournalError`
    if the disk does not take one, and `NotSent` if `stop` was set from another thread. After an
    error or an interruption none of them stands there. What can be known of the paths is found
    before anything is written.
    """
    for path in paths:
        _check(path)
    with contextlib.ExitStack() as undo:
        parts: list[_Part] = []
        for path in paths:
            parts.append(_Part.beside(path))
            undo.callback(parts[-1].remove)
        with _reporting(*paths):
            yield tuple(part.file for part in parts)
        for part in parts:
            with _reporting(part.path):
                part.file.flush()
                os.fsync(part.file.fileno())
        for part in parts:
            with _reporting(part.path):
                go_on(stop)
                part.put()
                undo.callback(Path(part.path).unlink, missing_ok=True)
        for folder in {Path(path).parent for path in paths}:
            _keep_names(folder)
        go_on(stop)
        undo.pop_all()
        for part in parts:
            part.remove()


def go_on(stop: threading.Event | None) -> None:
    """Raise `NotSent` once it is set."""
    if stop is not None and stop.is_set():
        raise NotSent("the writing was stopped; nothing was written")


@define(eq=False)
class _Part:
    """A file that is being written."""

    path: str
    file: BinaryIO
    #: Its name until then; None: it has none.
    name: str | None = None

    @classmethod
    def beside(cls, path: str) -> _Part:
        """In the same folder, so that one step puts it at its path."""
        folder = Path(path).parent
        with _reporting(path):
            number, name = _nameless(folder), None
            if number is None:
                # It makes the file for its owner alone. A long name would be too long with more.
                number, name = tempfile.mkstemp(prefix=".moveworks-shift-", dir=folder)
            return cls(path, open(number, "wb"), name)

    def put(self) -> None:
        """Give it its name, unless somebody has taken the name meanwhile."""
        try:
            if self.name is None:
                _link_open(self.file.fileno(), self.path)
            else:
                os.link(self.name, self.path)
        except FileExistsError:
            _refuse_existing(self.path)
        except OSError:
            if self.name is None:
                raise
            _refuse_existing(self.path)
            Path(self.name).rename(self.path)  # a disk without hard links: nearly as good

    def remove(self) -> None:
        """Leave nothing behind."""
        with contextlib.suppress(OSError):  # what a full disk does not take is not wanted
            self.file.close()
        if self.name is not None:
            Path(self.name).unlink(missing_ok=True)


def _nameless(folder: Path) -> int | None:
    """A new file without a name that can be given one later; None where that is not known."""
    try:
        number = os.open(folder, os.O_TMPFILE | os.O_RDWR, 0o600)
    except (AttributeError, OSError):  # another system, or a disk that has no such files
        return None
    if Path(_OPEN_FILES, str(number)).exists():
        return number
    os.close(number)
    return None


def _link_open(number: int, path: str) -> None:
    """Give an open file a name; how open(2) says to, under O_TMPFILE."""
    folder = os.open(_OPEN_FILES, os.O_RDONLY)
    try:
        # With a folder given, the system follows the link from the number to the file.
        os.link(str(number), path, src_dir_fd=folder, follow_symlinks=True)
    finally:
        os.close(folder)


def _check(path: str) -> None:
    with _reporting(path):
        _refuse_existing(path)
    if not Path(path).name or path.endswith("/"):
        raise InvalidInput(f"{path or 'an empty name'} is no name of a file; name one")


def _refuse_existing(path: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.lstat(path)
        raise InvalidInput(f"{path} is there already and was left as it is; name another file")


def _keep_names(folder: Path) -> None:
    """The names are on the disk as well. Not everywhere can a folder be opened for that."""
    with contextlib.suppress(OSError):
        number = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)


@contextlib.contextmanager
def _reporting(*paths: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        named = " and ".join(paths)
        raise JournalError(f"{named} cannot be written: {error.strerror or error}") from None
