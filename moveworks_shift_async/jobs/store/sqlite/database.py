"""The file of a journal as SQLite has it: opened, marked, and its errors as ours.

The statements stand in `journal.sql`, by name.

A rollback journal, not a write-ahead log: what is committed stands in the main file itself, on the
disk before the commit returns (`synchronous=FULL`). So the main file alone, wherever it is carried,
says all that was committed; a log beside it would have to go with it. What lies beside it for the
milliseconds of a commit, and after a kill, is what the commit replaces. The price is three times
the waiting of a log, and a commit is shared by all requests that wait for one (`thread`).
"""

from __future__ import annotations

import contextlib
import os
import weakref
import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from attrs import define

from ....errors import JournalError
from ....storage import sqlite
from ..ports import TEXTS
from .beside import check_beside, check_left
from .lock import first_bytes, is_held, missing, moved_away, quiet
from .statements import schema, statements, tables

# Marks the file as a journal, in SQLite's own header: "mwsj".
APPLICATION_ID = 0x6D77736A
# How a file of SQLite's begins, and where the mark stands (https://sqlite.org/fileformat2.html).
_SQLITE, _MARK = b"SQLite format 3\0", slice(68, 72)
# Of the tables in it. A release that writes others takes another number.
FORMAT = 5
# Seconds to wait for another process, which has the file for a few milliseconds.
BUSY_SECONDS = 10.0


@define(eq=False, repr=False)
class Database:
    """An open file. Not for two threads at once. Its methods raise `JournalError`."""

    path: str
    connection: sqlite.Connection
    #: How a transaction begins; what is written to takes its turn first.
    _begin: str = "BEGIN IMMEDIATE"

    def __attrs_post_init__(self) -> None:
        weakref.finalize(self, self.connection.close)

    @classmethod
    def connect(cls, path: str, *, new: bool = False) -> Database:
        """An existing file, for writing too; a journal of this release, unless it is `new`."""
        _check_files(path)
        with reporting(path):
            database = cls(path, sqlite.connect(path, busy_seconds=BUSY_SECONDS))
            if not new:
                _check_mark(path, database.connection)
            database.connection.execute("PRAGMA synchronous = FULL")
        return database

    @classmethod
    def look(cls, path: str, *, addresses: bool = True) -> Database:
        """A private copy of an existing file, as of one moment, to read from.

        Who writes to the file waits while it is copied, some milliseconds, and not while an account
        of millions is written from it. Without `addresses` little is copied: what says how the
        chunks stand.
        """
        with reporting(path):
            scratch = sqlite.scratch(busy_seconds=BUSY_SECONDS)
            database = cls(path, scratch, begin="BEGIN")
            with quiet:
                _copied(path, scratch, _copy if addresses else _copy_numbers)
            scratch.execute("PRAGMA query_only = ON")
        return database

    def write_tables(self) -> None:
        """Make the file a journal; inside a transaction."""
        for statement in tables():
            self.connection.execute(statement)
        sqlite.set_mark(self.connection, APPLICATION_ID, FORMAT)

    def keep_beside(self) -> None:
        """Keep the file of a commit for the next one, until `tidy`: it takes half the time."""
        with reporting(self.path):
            self.connection.execute("PRAGMA journal_mode = PERSIST")

    def tidy(self) -> None:
        """Leave nothing beside the file, and close it."""
        with contextlib.suppress(sqlite.Error):  # what cannot be removed does no harm
            self.connection.execute("PRAGMA journal_mode = DELETE")
        self.close()

    def close(self) -> None:
        """Close the file."""
        self.connection.close()

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """All that is done inside is on the disk at its end, or nothing of it."""
        with reporting(self.path):
            self.connection.execute(self._begin)
            try:
                yield
                self.connection.execute("COMMIT")
            except BaseException:
                self._roll_back()
                raise

    def _roll_back(self) -> None:
        with contextlib.suppress(sqlite.Error):  # a full or broken disk has done so already
            self.connection.execute("ROLLBACK")

    def run(self, name: str, values: Any = ()) -> sqlite.Cursor:
        """Run one statement of `journal.sql`."""
        with reporting(self.path):
            return self.connection.execute(statements()[name], values)

    def run_for_each(self, name: str, rows: Iterable[Any]) -> None:
        """Run it once for each row of values."""
        with reporting(self.path):
            self.connection.executemany(statements()[name], rows)

    def rows(self, name: str, values: Any = ()) -> Iterator[Any]:
        """Each row when it is asked for; a damaged page may be met at any of them."""
        cursor = self.run(name, values)
        while (row := self._next(cursor)) is not None:
            yield row

    def one(self, name: str, values: Any = ()) -> Any:
        """The first row; where there is none, the file is damaged."""
        row = self._next(self.run(name, values))
        if row is None:
            raise damaged(self.path)
        return row

    def _next(self, cursor: sqlite.Cursor) -> Any:
        # On its own: a generator that nobody reads to its end must not end inside of `reporting`.
        with reporting(self.path):
            return cursor.fetchone()


def is_journal(path: str) -> bool:
    """Whether a file is one, of whatever release; it is not opened by SQLite."""
    begin = first_bytes(path, _MARK.stop)
    if begin is None:
        return is_held(path)
    owner = APPLICATION_ID.to_bytes(4, "big")
    return begin.startswith(_SQLITE) and begin[_MARK] == owner


def _check_files(path: str) -> None:
    """The file is there, and nothing beside it that SQLite would take for its own."""
    if not os.path.isfile(path):
        raise missing(path)
    check_beside(path)
    check_left(path)


def _check_mark(path: str, connection: sqlite.Connection, name: str = "main") -> None:
    """It is a journal, of this release's format."""
    owner, version = sqlite.mark_of(connection, name)
    if owner != APPLICATION_ID:
        raise _foreign(path)
    if version != FORMAT:
        raise JournalError(
            f"{path} was written by another release of this package (its format is"
            f" {version}, this one reads {FORMAT}); go on with that release"
        )
    ask = f"SELECT type, name, tbl_name, sql FROM {name}.sqlite_schema"  # noqa: S608 - our own name
    found = connection.execute(ask)
    if sorted(found.fetchall()) != schema():
        raise damaged(path)


def _copied(
    path: str,
    copy: sqlite.Connection,
    how: Callable[[str, sqlite.Mode, sqlite.Connection], None],
) -> None:
    """Copy it; a commit that a killed process has left unfinished is undone first."""
    _check_files(path)
    try:
        how(path, "ro", copy)
    except sqlite.Error as error:
        if sqlite.fault_of(error) is not sqlite.Fault.UNFINISHED:
            raise
        how(path, "rw", copy)


def _copy(path: str, mode: sqlite.Mode, copy: sqlite.Connection) -> None:
    with contextlib.closing(sqlite.connect(path, mode, busy_seconds=BUSY_SECONDS)) as source:
        _check_mark(path, source)
        source.backup(copy)
    _check_mark(path, copy)


def _copy_numbers(path: str, mode: sqlite.Mode, copy: sqlite.Connection) -> None:
    """All tables but those of addresses, and the first texts. Constraints stay behind: what is
    damaged is met by whoever reads it.
    """
    sqlite.attach(copy, path, mode, "source")
    try:
        copy.execute("BEGIN")
        _check_mark(path, copy, "source")
        for statement in statements()["copy_numbers"].split(";"):
            copy.execute(statement, {"texts": TEXTS} if ":texts" in statement else {})
    finally:
        if copy.in_transaction:
            copy.execute("COMMIT")  # whether all of it is there, or an error is on its way
        copy.execute("DETACH source")


@contextlib.contextmanager
def reporting(path: str) -> Iterator[None]:
    """SQLite's errors as ours."""
    try:
        yield
    except sqlite.Error as error:
        raise _translated(path, error) from None  # its text may quote what stands in the file
    except UnicodeDecodeError:  # it did, and what stands there is no text
        raise damaged(path) from None


@contextlib.contextmanager
def reading(path: str) -> Iterator[None]:
    """The same, where values are made of what stands there."""
    try:
        with reporting(path):
            yield
    except (zlib.error, ValueError, TypeError, OverflowError):
        raise damaged(path) from None  # as above


def damaged(path: str) -> JournalError:
    """What is in the file was not written by this package, or was changed since."""
    return JournalError(
        f"{path} is damaged: what it holds is not what was planned; it was left untouched."
        " Restore a copy of it"
    )


def _foreign(path: str) -> JournalError:
    return JournalError(f"{path} is no journal of a job; it was left untouched")


def _translated(path: str, error: sqlite.Error) -> JournalError:
    match sqlite.fault_of(error):
        case sqlite.Fault.MOVED:
            return moved_away(path)
        case sqlite.Fault.FOREIGN:
            return _foreign(path)
        case sqlite.Fault.DAMAGED:
            return damaged(path)
        case sqlite.Fault.DISK:
            return JournalError(
                f"the disk of {path} is full or broken ({sqlite.name_of(error)}); make room, then"
                " resume the job"
            )
        case sqlite.Fault.BUSY:
            why = "another program has it locked"
        case sqlite.Fault.FORBIDDEN | sqlite.Fault.UNFINISHED:
            why = "it and its directory must be writable for this user"
        case _:
            why = f"SQLite says {sqlite.name_of(error)}"
    return JournalError(f"the journal {path} cannot be used: {why}")
