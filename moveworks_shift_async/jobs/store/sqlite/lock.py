"""One process at a time works on a journal, and sees that it is still the same file.

The lock is the system's own, on the journal's file and not on its name: two names of one file
(links, mounts) are one lock, and nothing lies beside the journal that could be removed. The system
lets go of it when the process ends, however it ends.

A mark goes with the lock: the job's key, and how many steps the journal held when it was written
last. It is an extended attribute of the file, where the disk knows such, and it is remembered apart
from the file (`memory`). A copy that is put into the file's place has fewer steps than the mark;
another file that was given the same number has no mark. Whatever the disk knows, a file is told
from others by its device and number.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import sys
import threading
from collections.abc import Callable

from attrs import define

from ....errors import JobRunning, JournalError
from ....storage.system import reason, refused
from .memory import forget, remember, remembered

# Seconds. `is_free` has the file for some microseconds, a process that works on it for longer.
_LOOKERS = 0.2
_TURNS = 40
_MARK = "user.moveworks_shift.journal"

#: A process loses all its POSIX locks on a file, those of SQLite too, with any close of it. So a
#: file is closed here only while no other thread has it open to look at, and never while it is
#: `_held`: by then SQLite writes to it.
quiet: threading.RLock = threading.RLock()
_held: set[tuple[int, int]] = set()


@define(eq=False, repr=False)
class Lock:
    """Held from `take` to `release`, or to the end of the process."""

    path: str
    #: Device and number of the file, whatever the path names later.
    file: tuple[int, int]
    _descriptor: int

    @classmethod
    def take(cls, journal: str, *, new: bool = False) -> Lock:
        """Lock a file that is there, or make a `new` one, readable by its owner alone.

        Raises `JobRunning` if another process has it, or another job of this one, and
        `JournalError` if it cannot be opened or made.
        """
        path = os.path.realpath(journal)
        with quiet:
            try:
                if not new and _file_at(journal) in _held:
                    raise JobRunning(f"another process works on {journal} just now")
                made = os.O_CREAT | os.O_EXCL if new else 0
                descriptor = os.open(path, os.O_RDWR | made, 0o600)
            except OSError as error:
                raise _unusable(journal, error, made=new) from None
            try:
                _wait_for(descriptor, journal)
            except BaseException:
                os.close(descriptor)
                raise
            found = os.fstat(descriptor)
            file = found.st_dev, found.st_ino
            _held.add(file)
        return cls(path, file, descriptor)

    def release(self) -> None:
        """Let somebody else have it. Its journal is closed by then."""
        with quiet:
            if self._descriptor >= 0:
                _held.discard(self.file)
                _let_go(self._descriptor)
                os.close(self._descriptor)
                self._descriptor = -1

    def remove(self) -> None:
        """Remove the file and let go of it, unless its path names another one by now."""
        with contextlib.suppress(OSError, JournalError):
            self.check_place()
            os.unlink(self.path)
        self.release()

    def check_place(self) -> None:
        """Raise `JournalError` unless the path still names this file."""
        with contextlib.suppress(OSError):  # what cannot be reached is not in its place
            if _file_at(self.path) == self.file:
                return
        raise moved_away(self.path)

    @property
    def place(self) -> str:
        """As `place_of` gives it, whatever the path names from here by now."""
        return "{}:{}".format(*self.file)

    def mark(self, text: str) -> bool:
        """Note this on the file itself, and apart from it; whether its disk can."""
        remember(self.place, text)
        try:
            os.setxattr(self._descriptor, _MARK, text.encode())
        except (OSError, AttributeError):  # the disk or the system knows no such notes
            return False
        return True


def marked(journal: str) -> tuple[str, str]:
    """What `mark` noted, on the file and apart from it; empty where nothing is."""
    apart = ""
    with contextlib.suppress(JournalError):
        apart = remembered(place_of(journal))
    try:
        return os.getxattr(os.path.realpath(journal), _MARK).decode(errors="replace"), apart
    except (OSError, AttributeError):
        return "", apart


def remove(journal: str) -> None:
    """Remove the file, what a killed process has left beside it, and what was noted of it."""
    with contextlib.suppress(OSError, JournalError):
        forget(place_of(journal))
        for path in (journal, f"{os.path.realpath(journal)}-journal"):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)


def steps_noted(notes: tuple[str, str], key: str) -> int:
    """How many steps of this job the file held once, by what was noted of it."""
    noted = [note.split(" ") for note in notes]
    return max((int(n[1]) for n in noted if n[0] == key and n[1:] and n[1].isdecimal()), default=0)


def place_of(journal: str) -> str:
    """Device and number of the file, as the journal keeps them; `JournalError` without one."""
    try:
        return "{}:{}".format(*_file_at(journal))
    except OSError as error:
        raise _unusable(journal, error, made=False) from None


def first_bytes(journal: str, count: int) -> bytes | None:
    """How a file begins; None where a job of this process has it, or it cannot be read."""
    with quiet, contextlib.suppress(OSError, ValueError, JournalError):
        if _file_at(journal) not in _held:
            with open(journal, "rb") as file:
                return file.read(count)
    return None


def is_held(journal: str) -> bool:
    """Whether a job of this process has the file."""
    with quiet, contextlib.suppress(OSError, ValueError, JournalError):
        return _file_at(journal) in _held
    return False


def is_free(journal: str) -> bool:
    """Whether surely no process works on it: it is there, and nobody has it."""
    with quiet:
        try:
            if _file_at(journal) in _held:
                return False
            descriptor = os.open(os.path.realpath(journal), os.O_RDONLY)
        except (OSError, JournalError):
            return False
        try:
            _look(descriptor)
        except OSError:  # taken, or it cannot tell
            return False
        finally:
            os.close(descriptor)  # which lets go of it as well
    return True


def moved_away(path: str) -> JournalError:
    """The name that a process opened is another file's now, or nobody's."""
    return JournalError(
        f"{path} was moved, renamed, replaced or deleted while its job ran, so nothing more is"
        " sent; go on (resume) with that very file: under its new name, or put back"
    )


def missing(path: str) -> JournalError:
    """There is no file of that name."""
    return JournalError(f"there is no journal {path}; make one with a plan")


def _file_at(journal: str) -> tuple[int, int]:
    """Device and number of a regular file; to open another kind might wait for ever."""
    found = os.stat(journal)
    if not stat.S_ISREG(found.st_mode):
        raise JournalError(f"{journal} is no regular file, so it is no journal of a job")
    return found.st_dev, found.st_ino


def _wait_for(descriptor: int, journal: str) -> None:
    """Take it, from those too who only look whether it is free."""
    for turn in range(_TURNS):
        try:
            return _take(descriptor)
        except OSError as error:
            if error.errno not in (errno.EACCES, errno.EAGAIN):
                raise JournalError(
                    f"{journal} cannot be locked: {reason(error)}; keep it on a local disk"
                ) from None
        if turn < _TURNS - 1:
            threading.Event().wait(_LOOKERS / _TURNS)
    raise JobRunning(f"another process works on {journal} just now")


def _unusable(journal: str, error: OSError, *, made: bool) -> JournalError:
    if isinstance(error, FileNotFoundError) and not made:
        return missing(journal)
    what = f"{journal} cannot be {'made' if made else 'opened'}"
    return refused(JournalError, what, error, written=journal if made else "")


_take: Callable[[int], None]
#: The same, beside others who look.
_look: Callable[[int], None]
_let_go: Callable[[int], None]
if sys.platform == "win32":  # pragma: no cover - no such machine is tested
    import msvcrt

    # Far behind the end: there a lock forbids to read what is locked.
    _BYTE = 2**62

    def _take(descriptor: int) -> None:
        os.lseek(descriptor, _BYTE, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)

    _look = _take

    def _let_go(descriptor: int) -> None:
        os.lseek(descriptor, _BYTE, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_UNLCK, 1)
else:
    import fcntl

    def _take(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def _look(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)

    def _let_go(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_UN)
