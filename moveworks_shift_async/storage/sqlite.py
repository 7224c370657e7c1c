"""SQLite files: made, opened, marked, and what SQLite says of them. The only importer of sqlite3.

What differs from one kind of file to the next (its tables, how safe a commit is, the error that a
user sees) belongs to its room.
"""

from __future__ import annotations

import errno
import os
import sqlite3
import threading
from enum import Enum, auto
from pathlib import Path
from typing import Literal, TypeAlias

Connection = sqlite3.Connection
Cursor = sqlite3.Cursor
Error = sqlite3.Error
Mode: TypeAlias = Literal["ro", "rw", "ro&immutable=1"]

# Held while a file is made, by whatever thread.
_making = threading.Lock()


class Fault(Enum):
    """What an error of SQLite means, whatever the file is for."""

    #: Another process, or another connection, has the file.
    BUSY = auto()
    #: The file is none of SQLite's.
    FOREIGN = auto()
    #: What stands in it is not what was written, or a table is not there: all statements are ours.
    DAMAGED = auto()
    #: The disk is full or broken.
    DISK = auto()
    #: This user may not write to it or to its directory, or it is not there.
    FORBIDDEN = auto()
    #: The path is another file's by now, or nobody's.
    MOVED = auto()
    #: A killed process has left half a commit, which only a connection that may write can undo.
    UNFINISHED = auto()
    OTHER = auto()


# By the whole number where that says more, else by its lowest byte
# (https://sqlite.org/rescode.html).
_FAULTS = {
    sqlite3.SQLITE_READONLY_DBMOVED: Fault.MOVED,
    sqlite3.SQLITE_READONLY_ROLLBACK: Fault.UNFINISHED,
    sqlite3.SQLITE_BUSY: Fault.BUSY,
    sqlite3.SQLITE_LOCKED: Fault.BUSY,
    sqlite3.SQLITE_NOTADB: Fault.FOREIGN,
    sqlite3.SQLITE_CORRUPT: Fault.DAMAGED,
    sqlite3.SQLITE_ERROR: Fault.DAMAGED,
    sqlite3.SQLITE_FULL: Fault.DISK,
    sqlite3.SQLITE_IOERR: Fault.DISK,
    sqlite3.SQLITE_READONLY: Fault.FORBIDDEN,
    sqlite3.SQLITE_CANTOPEN: Fault.FORBIDDEN,
    sqlite3.SQLITE_PERM: Fault.FORBIDDEN,
}


def fault_of(error: Error) -> Fault:
    """By its number alone: SQLite's own words may quote what stands in the file."""
    code = getattr(error, "sqlite_errorcode", None)
    if code is None:  # Python's own: what stands there is no text, or the connection is closed
        return Fault.DAMAGED if isinstance(error, sqlite3.OperationalError) else Fault.OTHER
    return _FAULTS.get(code) or _FAULTS.get(code & 0xFF, Fault.OTHER)


def name_of(error: Error) -> str:
    """SQLite's name of it, which quotes nothing: ``SQLITE_FULL``."""
    return getattr(error, "sqlite_errorname", type(error).__name__)


def make(path: str) -> None:
    """Make the file, for this user only, unless there is one; raises `OSError`.

    One that is there is never opened here. A process loses all its POSIX locks on a file with any
    close of it, also those that SQLite holds for another connection of this process; then others
    would take themselves for the last and tidy up under it.
    """
    with _making:
        try:
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        except FileExistsError:
            if Path(path).is_dir():
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path) from None


def connect(path: str, mode: Mode = "rw", *, busy_seconds: float = 5.0) -> Connection:
    """Open a file that is there: SQLite would make one for everybody to read.

    Transactions begin and end where a statement says so. `busy_seconds` is how long a statement
    waits for others; an immutable file is read as if nothing lay beside it. Links are followed
    here, as SQLite names what lies beside a file; `:memory:` and `file:` are names like others.
    """
    return sqlite3.connect(
        _uri(path, mode),
        uri=True,
        timeout=busy_seconds,
        isolation_level=None,
        check_same_thread=False,
    )


def attach(connection: Connection, path: str, mode: Mode, name: str) -> None:
    """Have the tables of a file that is there under this name in another connection as well."""
    connection.execute(f"ATTACH ? AS {name}", (_uri(path, mode),))


def scratch(*, busy_seconds: float = 5.0) -> Connection:
    """An empty database for this connection alone, gone when it is closed."""
    return sqlite3.connect(
        "", uri=True, timeout=busy_seconds, isolation_level=None, check_same_thread=False
    )


def _uri(path: str, mode: Mode) -> str:
    return f"{Path(os.path.realpath(path)).as_uri()}?mode={mode}"


def mark_of(connection: Connection, name: str = "main") -> tuple[int, int]:
    """Whose file it is and the format of its tables, in SQLite's own header; zeros in a new one."""
    (owner,) = connection.execute(f"PRAGMA {name}.application_id").fetchone()
    (version,) = connection.execute(f"PRAGMA {name}.user_version").fetchone()
    return owner, version


def set_mark(connection: Connection, owner: int, version: int) -> None:
    """Mark it, inside the transaction that makes its tables."""
    connection.execute(f"PRAGMA application_id = {owner:d}")
    connection.execute(f"PRAGMA user_version = {version:d}")
