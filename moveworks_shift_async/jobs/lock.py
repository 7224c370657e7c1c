"""One process at a time works on a journal.

The lock is SQLite's own, on an empty file beside the journal: the system lets go of it when the
process ends, however it ends, and it holds between containers that share a disk. The file stays;
to remove it while somebody takes it would give two processes a lock each.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from pathlib import Path

from attrs import define

from ..errors import JobRunning, JournalError

# Seconds. `is_free` has the file for some microseconds, a process that works on it for longer.
_LOOKERS = 0.2


@define(eq=False, repr=False)
class Lock:
    """Held from `take` to `release`, or to the end of the process."""

    _db: sqlite3.Connection

    @classmethod
    def take(cls, journal: str) -> Lock:
        """Raises `JobRunning` if another process, or another job of this one, has it."""
        path = _beside(journal)
        try:
            with contextlib.suppress(FileExistsError):
                os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
            db = sqlite3.connect(
                path, timeout=_LOOKERS, isolation_level=None, check_same_thread=False
            )
            try:
                # Else taking it needs room on the disk, and says so where the journal should.
                db.execute("PRAGMA journal_mode = MEMORY")
                db.execute("BEGIN EXCLUSIVE")
            except BaseException:
                db.close()
                raise
        except OSError as error:
            if not (directory := Path(path).parent).is_dir():
                raise JournalError(
                    f"{journal} cannot be made: {error.strerror}; make {directory} first"
                ) from None
            raise JournalError(f"{path} cannot be made: {error.strerror}") from None
        except sqlite3.Error as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
                raise JournalError(f"{path} cannot be used: {error}") from error
            raise JobRunning(f"another process works on {journal} just now") from None
        return cls(db)

    def release(self) -> None:
        """Let somebody else have it."""
        self._db.close()


def is_free(journal: str) -> bool:
    """Whether surely no process works on it: its lock is there, and nobody has it."""
    path = Path(_beside(journal))
    if not path.is_file():
        return False
    try:
        uri = f"{path.as_uri()}?mode=ro"
        with contextlib.closing(sqlite3.connect(uri, uri=True, timeout=0)) as db:
            db.execute("SELECT 1 FROM sqlite_schema").fetchall()
    except sqlite3.Error:  # taken, or it cannot tell
        return False
    return True


def _beside(journal: str) -> str:
    """The lock of a journal by whatever name: two links to it must not be two locks."""
    return f"{os.path.realpath(journal)}-lock"
