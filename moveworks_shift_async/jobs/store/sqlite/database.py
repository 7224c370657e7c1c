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
import re
import shutil
import stat
import tempfile
import weakref
import zlib
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

from attrs import define

from ....errors import JournalError
from ....storage import sqlite
from ....storage.system import refused
from .lock import is_free, marked, moved_away, quiet, steps_noted

# Marks the file as a journal, in SQLite's own header: "mwsj".
APPLICATION_ID = 0x6D77736A
# Of the tables in it. A release that writes others takes another number.
FORMAT = 2
# Seconds to wait for another process, which has the file for a few milliseconds.
BUSY_SECONDS = 10.0
# What SQLite takes for its own beside a file, by its name alone.
_BESIDE = ("-journal", "-wal", "-shm")
# How a rollback journal begins, or ends up (https://sqlite.org/fileformat2.html, section 3).
_ROLLBACK = (b"\xd9\xd5\x05\xf9\x20\xa1\x63\xd7", bytes(8), b"")


@define(eq=False, repr=False)
class Database:
    """An open file. Not for two threads at once. Its methods raise `JournalError`."""

    path: str
    connection: sqlite.Connection

    @classmethod
    def connect(cls, path: str, *, new: bool = False) -> Database:
        """An existing file, for writing too; a journal of this release, unless it is `new`."""
        if not os.path.isfile(path):
            raise JournalError(f"there is no journal {path}; make one with a plan")
        _check_beside(path)
        _check_left(path)
        with reporting(path):
            database = cls(path, sqlite.connect(path, busy_seconds=BUSY_SECONDS))
            weakref.finalize(database, database.connection.close)
            if not new:
                database._check_mark()
            database.connection.execute("PRAGMA synchronous = FULL")
        return database

    @classmethod
    @contextlib.contextmanager
    def look(cls, path: str) -> Iterator[Database]:
        """A private copy of an existing file, as of one moment, to read from.

        Who writes to the file waits while it is copied, some milliseconds, and not while an account
        of millions is written from it.
        """
        with reporting(path), contextlib.closing(sqlite.scratch()) as copy:
            database = cls(path, copy)
            with quiet:
                _copied(path, copy)
            database._check_mark()
            copy.execute("PRAGMA query_only = ON")
            yield database

    def write_tables(self) -> None:
        """Make the file a journal; inside a transaction."""
        for statement in _tables():
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
            self.connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                self.connection.execute("COMMIT")
            except BaseException:
                self._roll_back()
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
                self._roll_back()

    def _roll_back(self) -> None:
        with contextlib.suppress(sqlite.Error):  # a full or broken disk has done so already
            self.connection.execute("ROLLBACK")

    def run(self, name: str, values: Any = ()) -> sqlite.Cursor:
        """Run one statement of `journal.sql`."""
        with reporting(self.path):
            return self.connection.execute(_statements()[name], values)

    def run_for_each(self, name: str, rows: Iterable[Any]) -> None:
        """Run it once for each row of values."""
        with reporting(self.path):
            self.connection.executemany(_statements()[name], rows)

    def rows(self, name: str, values: Any = ()) -> Iterator[Any]:
        """Each row when it is asked for; a damaged page may be met at any of them."""
        cursor = self.run(name, values)
        while (row := self._next(cursor)) is not None:
            yield row

    def _next(self, cursor: sqlite.Cursor) -> Any:
        # On its own: a generator that nobody reads to its end must not end inside of `reporting`.
        with reporting(self.path):
            return cursor.fetchone()

    def _check_mark(self) -> None:
        """It is a journal, of this release's format."""
        owner, version = sqlite.mark_of(self.connection)
        if owner != APPLICATION_ID:
            raise JournalError(f"{self.path} is no journal of a job; it was left untouched")
        if version != FORMAT:
            raise JournalError(
                f"{self.path} was written by another release of this package (its format is"
                f" {version}, this one reads {FORMAT}); go on with that release"
            )
        found = self.connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_schema")
        if sorted(found.fetchall()) != _schema():
            raise damaged(self.path)


def _real(path: str) -> str:
    """As SQLite names the files beside it; and `:memory:` and `file:` are names like others."""
    return os.path.realpath(path)


def check_name(path: str) -> None:
    """Refuse a name for a new journal that is a part of another one by its name."""
    if path.endswith((*_BESIDE, "-lock")):
        raise JournalError(
            f"{path} cannot be the name of a journal: files of that name belong to another one;"
            " name another file"
        )
    _check_beside(path)
    if not os.path.lexists(path) and _undoes(path):  # SQLite would remove it
        raise _lies_beside(path, "it undoes half a commit of another journal")


def _check_beside(path: str) -> None:
    """Nothing lies beside it that is not SQLite's: SQLite would take it for its own, and remove it.

    A rollback journal is one that a killed process has left, or that another writes just now.
    """
    for end in _BESIDE:
        beside = Path(f"{_real(path)}{end}")
        try:
            if not stat.S_ISREG(beside.lstat().st_mode):
                begins = None
            else:
                with beside.open("rb") as file:
                    begins = file.read(8)
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError:
            begins = None
        if end != "-journal" or begins not in _ROLLBACK:
            raise _lies_beside(path, "SQLite would take it for its own", end)


def _lies_beside(path: str, why: str, end: str = "-journal") -> JournalError:
    return JournalError(
        f"{path}{end} lies beside {path}, and {why}; it was left untouched: move it elsewhere"
    )


def _check_left(path: str) -> None:
    """What a killed process has left beside it undoes its last commit, and nothing else.

    SQLite goes by the name alone. The file may have been moved away meanwhile and have gone on, or
    another job's may lie in its place; what was left there would then undo what was done since.
    """
    with quiet:  # the file itself is read, and closed
        if not (_undoes(path) and is_free(path)):
            return
        found = _steps_of(path, "ro&immutable=1")  # as if nothing lay beside it
        if found is None:
            return  # planning broke off before it had a table: nothing was done
        undone = _steps_if_undone(path)
        key, steps = undone or ("", 0)
        if (key == found[0] and steps >= steps_noted(marked(path), key)) or not is_free(path):
            return
    raise _lies_beside(path, "it would undo what was done since it was left there")


def _undoes(path: str) -> bool:
    """Whether a rollback journal lies beside it that SQLite would undo a commit by."""
    with contextlib.suppress(OSError), open(f"{_real(path)}-journal", "rb") as file:
        return file.read(8) == _ROLLBACK[0]
    return False


def _steps_if_undone(path: str) -> tuple[str, int] | None:
    """What SQLite would make of both, tried with copies for their owner alone."""
    with tempfile.TemporaryDirectory() as folder:
        copy = os.path.join(folder, "copy")
        try:
            for end in ("", "-journal"):
                shutil.copyfile(f"{_real(path)}{end}", f"{copy}{end}")
        except OSError as error:
            place = tempfile.gettempdir()
            what = f"{path} was left in the middle of a commit, and cannot be tried in {place}"
            raise refused(JournalError, what, error, written=copy) from None
        return _steps_of(copy, "rw")


def _steps_of(path: str, mode: Literal["rw", "ro&immutable=1"]) -> tuple[str, int] | None:
    """The job's key and its count of steps; None if no job can be read."""
    with contextlib.closing(sqlite.connect(path, mode)) as connection:
        try:
            key, steps = connection.execute(_statements()["steps"]).fetchone()
            return str(key), int(steps)
        except (sqlite.Error, TypeError, ValueError):
            return None


def _copied(path: str, copy: sqlite.Connection) -> None:
    """Copy it; a commit that a killed process has left unfinished is undone first."""
    if not os.path.isfile(path):
        raise JournalError(f"there is no journal {path}; make one with a plan")
    _check_beside(path)
    _check_left(path)
    try:
        _copy(path, "ro", copy)
    except sqlite.Error as error:
        if sqlite.fault_of(error) is not sqlite.Fault.UNFINISHED:
            raise
        _copy(path, "rw", copy)


def _copy(path: str, mode: Literal["ro", "rw"], copy: sqlite.Connection) -> None:
    with contextlib.closing(sqlite.connect(path, mode, busy_seconds=BUSY_SECONDS)) as source:
        Database(path, source)._check_mark()
        source.backup(copy)


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


def _translated(path: str, error: sqlite.Error) -> JournalError:
    match sqlite.fault_of(error):
        case sqlite.Fault.MOVED:
            return moved_away(path)
        case sqlite.Fault.FOREIGN:
            return JournalError(f"{path} is no journal of a job; it was left untouched")
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


@cache
def _statements() -> Mapping[str, str]:
    """The statements of `journal.sql`, by name."""
    text = files(__package__).joinpath("journal.sql").read_text("utf-8")
    parts = re.split(r"^-- name: (\w+)\n", text, flags=re.MULTILINE)[1:]
    return dict(zip(parts[::2], parts[1::2], strict=True))


def _tables() -> list[str]:
    statements = _statements()
    return [*statements["tables"].split(";"), statements["count_steps"]]


@cache
def _schema() -> list[tuple[str, ...]]:
    """As SQLite keeps the statements that make the tables."""
    with contextlib.closing(sqlite.scratch()) as db:
        for statement in _tables():
            db.execute(statement)
        found = db.execute("SELECT type, name, tbl_name, sql FROM sqlite_schema").fetchall()
    return sorted(found)
