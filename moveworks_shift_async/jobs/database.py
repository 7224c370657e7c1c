"""The file of a journal as SQLite has it: opened, marked, and its errors as ours.

With `lock` the only importer of sqlite3 here. The statements stand in `journal.sql`, by name.
Write-ahead log, and every commit is on the disk before it returns (`synchronous=FULL`).
"""

from __future__ import annotations

import contextlib
import os
import re
import sqlite3
import weakref
import zlib
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from attrs import define

from ..errors import JournalError

# Marks the file as a journal, in SQLite's own header: "mwsj".
APPLICATION_ID = 0x6D77736A
# Of the tables in it. A release that writes others takes another number.
FORMAT = 2
# Seconds to wait for another process, which has the file for a few milliseconds.
PATIENCE = 10.0


@define(eq=False, repr=False)
class Database:
    """An open file. Not for two threads at once. Its methods raise `JournalError`."""

    path: str
    connection: sqlite3.Connection

    @classmethod
    def make(cls, path: str) -> Database:
        """A new file, readable by its owner alone; `write_tables` comes next."""
        try:
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        except OSError as error:
            raise JournalError(f"{path} cannot be made: {error.strerror}") from None
        return cls.connect(path)

    @classmethod
    def connect(cls, path: str) -> Database:
        """An existing file, for writing too."""
        with reporting(path):
            connection = sqlite3.connect(
                _real(path), timeout=PATIENCE, isolation_level=None, check_same_thread=False
            )
            database = cls(path, connection)
            weakref.finalize(database, connection.close)
            connection.execute("PRAGMA synchronous = FULL")
        return database

    @classmethod
    @contextlib.contextmanager
    def look(cls, path: str) -> Iterator[Database]:
        """An existing file for reading alone, which leaves it as it is whatever is in it.

        A connection that may write would move the last commits of a killed process into the file
        when it closes, even if it was opened to find the file damaged.
        """
        if not Path(path).is_file():
            raise JournalError(f"there is no journal {path}; make one with a plan")
        # Without a log nobody has it open, and SQLite need not make one beside it.
        still = "" if has_log(path) else "&immutable=1"
        uri = f"{Path(_real(path)).as_uri()}?mode=ro{still}"
        with (
            reporting(path),
            contextlib.closing(sqlite3.connect(uri, uri=True, timeout=PATIENCE)) as connection,
        ):
            database = cls(path, connection)
            database._check_mark()
            yield database

    def write_tables(self) -> None:
        """Make the file a journal; inside a transaction."""
        for statement in _statements()["tables"].split(";"):
            self.connection.execute(statement)
        self.connection.execute(f"PRAGMA application_id = {APPLICATION_ID:d}")
        self.connection.execute(f"PRAGMA user_version = {FORMAT:d}")

    def log_ahead(self) -> None:
        """Let others read while somebody writes, from now on."""
        with reporting(self.path):
            self.connection.execute("PRAGMA journal_mode = WAL")

    def close(self) -> None:
        """Close the file."""
        self.connection.close()

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """All that is done inside is on the disk at its end, or nothing of it."""
        with reporting(self.path):
            self.connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                self.connection.execute("COMMIT")
            except BaseException:
                with contextlib.suppress(sqlite3.Error):  # a full disk has rolled back by itself
                    self.connection.execute("ROLLBACK")
                raise

    @contextlib.contextmanager
    def snapshot(self) -> Iterator[None]:
        """All that is read inside is as of one moment, and nobody's writing waits for it."""
        if self.connection.in_transaction:  # which is a snapshot already
            yield
            return
        with reporting(self.path):
            self.connection.execute("BEGIN")
            try:
                yield
            finally:
                self.connection.execute("ROLLBACK")

    def run(self, name: str, values: Any = ()) -> sqlite3.Cursor:
        """Run one statement of `journal.sql`."""
        with reporting(self.path):
            return self.connection.execute(_statements()[name], values)

    def run_for_each(self, name: str, rows: Iterable[Any]) -> None:
        """Run it once for each row of values."""
        with reporting(self.path):
            self.connection.executemany(_statements()[name], rows)

    def rows(self, name: str, values: Any = ()) -> Iterator[Any]:
        """Each row when it is asked for; a damaged page may be met at any of them."""
        with reporting(self.path):
            yield from self.connection.execute(_statements()[name], values)

    def _check_mark(self) -> None:
        """It is a journal, of this release's format."""
        (mark,) = self.connection.execute("PRAGMA application_id").fetchone()
        (version,) = self.connection.execute("PRAGMA user_version").fetchone()
        if mark != APPLICATION_ID:
            raise JournalError(f"{self.path} is no journal of a job; it was left untouched")
        if version != FORMAT:
            raise JournalError(
                f"{self.path} was written by another release of this package (its format is"
                f" {version}, this one reads {FORMAT}); go on with that release"
            )


def _real(path: str) -> str:
    """As SQLite names the files beside it; and `:memory:` and `file:` are names like others."""
    return os.path.realpath(path)


def has_log(path: str) -> bool:
    """Some process has it open, or was killed and has left commits beside it."""
    return Path(f"{_real(path)}-wal").exists()


def can_write_beside(path: str) -> bool:
    """SQLite can make its log; on a read-only disk there is nothing but looking."""
    return os.access(Path(_real(path)).parent, os.W_OK)


def remove(path: str) -> None:
    """Remove a journal that nobody has open."""
    for end in ("", "-journal", "-wal", "-shm"):
        Path(path + end).unlink(missing_ok=True)


@contextlib.contextmanager
def reporting(path: str) -> Iterator[None]:
    """SQLite's errors as ours."""
    try:
        yield
    except sqlite3.Error as error:
        raise _translated(path, error) from error


@contextlib.contextmanager
def reading(path: str) -> Iterator[None]:
    """The same, where values are made of what stands there."""
    try:
        with reporting(path):
            yield
    except (zlib.error, ValueError) as error:
        raise damaged(path) from error


def damaged(path: str) -> JournalError:
    """What is in the file was not written by this package, or was changed since."""
    return JournalError(
        f"{path} is damaged: what it holds is not what was planned; it was left untouched."
        " Restore a copy of it"
    )


def _translated(path: str, error: sqlite3.Error) -> JournalError:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code == sqlite3.SQLITE_NOTADB:
        return JournalError(f"{path} is no journal of a job; it was left untouched")
    if code == sqlite3.SQLITE_CORRUPT:
        return damaged(path)
    if code in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR):
        return JournalError(
            f"the disk of {path} is full or broken ({error}); make room, then resume the job"
        )
    return JournalError(f"the journal {path} cannot be used: {error}")


@cache
def _statements() -> Mapping[str, str]:
    """The statements of `journal.sql`, by name."""
    text = files(__package__).joinpath("journal.sql").read_text("utf-8")
    parts = re.split(r"^-- name: (\w+)\n", text, flags=re.MULTILINE)[1:]
    return dict(zip(parts[::2], parts[1::2], strict=True))
