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

from ..errors import InvalidInput, JournalError, NotSent
from .system import refused

# Open files of this process by their numbers, as Linux shows them.
_OPEN_FILES = "/proc/self/fd"


@contextlib.contextmanager
def new_files(
    paths: Sequence[str], stop: threading.Event | None = None
) -> Iterator[tuple[BinaryIO, ...]]:
    """Write into them; at the end all stand at their paths, on the disk, for their owner alone.

    Raises as `NewFile` does, `JournalError` if the disk does not take what is written, and
    `NotSent` if `stop` was set from another thread. After an error or an interruption none of them
    stands there. What can be known of the paths is found before anything is written.
    """
    for path in paths:
        _check(path)
    with contextlib.ExitStack() as undo:
        files: list[NewFile] = []
        for path in paths:
            files.append(NewFile.at(path))
            undo.callback(files[-1].remove)
        with _reporting(*paths):
            yield tuple(file.file for file in files)
        for file in files:
            file.keep()
        for file in files:
            go_on(stop)
            file.put()
        go_on(stop)
        undo.pop_all()


def go_on(stop: threading.Event | None) -> None:
    """Raise `NotSent` once it is set."""
    if stop is not None and stop.is_set():
        raise NotSent("the writing was stopped; nothing was written")


@define(eq=False)
class NewFile:
    """A file that is being written. `put` it in the end, or `remove` it."""

    path: str
    file: BinaryIO
    #: Its name until it stands at its path; None: it has none.
    _name: str | None = None
    _stands: bool = False

    @classmethod
    def at(cls, path: str) -> NewFile:
        """Raises `InvalidInput` if there is one of that name, and leaves that as it is.

        `JournalError` says that the disk does not take it.
        """
        _check(path)
        folder = Path(path).parent
        with _reporting(path):
            number, name = _nameless(folder), None
            if number is None:
                # It makes the file for its owner alone. A long name would be too long with more.
                number, name = tempfile.mkstemp(prefix=".moveworks-shift-", dir=folder)
            return cls(path, open(number, "wb"), name)

    def keep(self) -> None:
        """See that all of it is on the disk."""
        with _reporting(self.path):
            self.file.flush()
            os.fsync(self.file.fileno())

    def put(self) -> None:
        """Close it, standing at its path, unless somebody has taken the name meanwhile."""
        with _reporting(self.path):
            self._link()
            self._stands = True
            self.file.close()
            _keep_names(Path(self.path).parent)

    def remove(self) -> None:
        """Leave nothing behind, whatever was done."""
        with contextlib.suppress(OSError):  # what a full disk does not take is not wanted
            self.file.close()
        if self._stands:
            Path(self.path).unlink(missing_ok=True)
        elif self._name is not None:
            Path(self._name).unlink(missing_ok=True)

    def _link(self) -> None:
        if self._name is None:
            try:
                _link_open(self.file.fileno(), self.path)
            except FileExistsError:
                _refuse_existing(self.path)
            return
        try:
            os.link(self._name, self.path)
            Path(self._name).unlink()
        except FileExistsError:
            _refuse_existing(self.path)
        except OSError:
            _refuse_existing(self.path)
            Path(self._name).rename(self.path)  # a disk without hard links: nearly as good


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
        what = f"{' and '.join(paths)} cannot be written"
        raise refused(JournalError, what, error, written=paths[0]) from None
