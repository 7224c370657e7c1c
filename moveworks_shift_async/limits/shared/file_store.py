"""One text in a file that processes change in turn.

A step is one transaction: `begin` takes the file for this process and gives the text, `commit`
puts the new one and lets go. A process that is killed in between has changed nothing, and the
system lets go for it.

Write-ahead log and `synchronous=NORMAL`: the disk is waited for every 1,000 pages only, and a
power cut loses the last steps but damages nothing. Measured against a rollback journal: half the
time a step (25 against 55 µs).
"""

from __future__ import annotations

import contextlib
import os
import weakref
from pathlib import Path
from typing import ClassVar

from attrs import define

from ...clock import SYSTEM_CLOCK, Clock
from ...errors import ConfigurationError
from ...storage import sqlite
from ...storage.system import reason
from .processes import alive, boot, myself
from .state import Pace
from .store import OPENING, SECONDS_HELD, Busy

# Marks the file as a gate, in SQLite's own header: "mwsg".
APPLICATION_ID = 0x6D777367
# Of the text in it. A release that writes another text takes another number.
FORMAT = 3
# Times that another process may come in between while the file is made.
TURNS = 50


@define(eq=False, repr=False)
class FileStore:
    """The open file; see `Store`.

    Its times are those of the machine's monotonic clock, which all its processes share and which
    counts anew after a reboot.
    """

    kind: ClassVar[str] = "file"
    pace: ClassVar[Pace] = Pace()
    place: str
    _clock: Clock
    #: Device and number of the file that is open, whatever the path names later.
    _file: tuple[int, int]
    _db: sqlite.Connection
    #: How long `_db` waits for others.
    _patience: float = OPENING

    @classmethod
    def open(cls, path: str, clock: Clock = SYSTEM_CLOCK) -> FileStore:
        """Open the file, make it if need be; `ConfigurationError` says what is wrong with it."""
        path = os.path.abspath(path)  # the program may change its directory
        try:
            sqlite.make(path)
            file = _file_at(path)  # before it is opened: at worst we see a change that was none
            db = sqlite.connect(path, busy_seconds=OPENING)
        except (OSError, sqlite.Error) as error:
            raise _unusable(path, error) from error
        store = cls(path, clock, file, db)
        weakref.finalize(store, db.close)
        try:
            store._prepare_in_turn()
        except sqlite.Error as error:
            db.close()
            raise _unusable(path, error) from error
        except ConfigurationError:
            db.close()
            raise
        return store

    def begin(self, patience: float) -> str:
        """Take the file and read it."""
        self._check_place()
        try:
            if patience != self._patience:
                self._db.execute(f"PRAGMA busy_timeout = {patience * 1000:.0f}")
                self._patience = patience
            self._db.execute("BEGIN IMMEDIATE")
        except sqlite.Error as error:
            if sqlite.fault_of(error) is sqlite.Fault.BUSY:
                raise self._busy() from error
            raise _unusable(self.place, error) from error
        try:
            found = self._db.execute("SELECT state FROM gate").fetchone()
        except sqlite.Error as error:
            self.rollback()
            raise _unusable(self.place, error) from error
        return str(found[0]) if found else ""

    def commit(self, text: str) -> None:
        """Write the text and let go of the file, also if it could not be written."""
        try:
            self._db.execute("REPLACE INTO gate (id, state) VALUES (1, ?)", (text,))
            self._db.execute("COMMIT")
        except sqlite.Error as error:
            self.rollback()
            raise _unusable(self.place, error) from error

    def rollback(self) -> None:
        """Let go of the file as it was."""
        with contextlib.suppress(sqlite.Error):  # it was let go already
            self._db.execute("ROLLBACK")

    def close(self) -> None:
        """Close the file; the last one to do so tidies up."""
        self._db.close()

    def now(self) -> float:
        """The machine's monotonic clock."""
        return self._clock.now()

    def epoch(self) -> str:
        """Which boot of the machine that clock counts from."""
        return boot()

    def identity(self) -> str:
        """This process."""
        return myself()

    def alive(self, identity: str, silent: float) -> bool:
        """Whether the process lives, as the machine says."""
        return alive(identity, silent)

    def damaged(self) -> ConfigurationError:
        """What is in the file was not written by a gate."""
        return _not_a_gate(self.place)

    def _busy(self) -> Busy:
        return Busy(
            f"another process has held the gate file {self.place} for {SECONDS_HELD:.0f} s or more;"
            " look for one that is stopped or hangs, or for another program that has the file open"
        )

    def _check_place(self) -> None:
        """The path names the file that is open, so whoever opens it now meets us there.

        The number of an open file is given to no other, and this costs 2 µs of a step's 100.
        """
        with contextlib.suppress(OSError):  # what cannot be reached is not in its place
            if _file_at(self.place) == self._file:
                return
        raise ConfigurationError(
            f"the gate file {self.place} was deleted, moved or replaced while it was in use, so the"
            " processes no longer share one limit; end all that use it, start them again, and"
            " leave the file alone while they run"
        )

    def _prepare_in_turn(self) -> None:
        """Prepare the file while others may be doing the same."""
        for _ in range(TURNS):
            try:
                return self._prepare()
            except sqlite.Error as error:
                if sqlite.fault_of(error) is not sqlite.Fault.BUSY:
                    raise
                self.rollback()
                # SQLite does not wait by itself where it changes the journal's mode; here it does.
                self._db.execute("BEGIN IMMEDIATE")
                self._db.execute("ROLLBACK")
        return self._prepare()

    def _prepare(self) -> None:
        # All marks as of one moment: another process may be making the file just now.
        self._db.execute("BEGIN")
        self._check_mark()
        self._db.execute("COMMIT")
        if self._db.execute("PRAGMA journal_mode").fetchone() != ("wal",):
            self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = NORMAL")
        self._db.execute("BEGIN IMMEDIATE")
        self._check_mark()
        self._db.execute("CREATE TABLE IF NOT EXISTS gate (id INTEGER PRIMARY KEY, state TEXT)")
        sqlite.set_mark(self._db, APPLICATION_ID, FORMAT)
        self._db.execute("COMMIT")

    def _check_mark(self) -> None:
        """It is ours, or there is nothing in it."""
        owner, version = sqlite.mark_of(self._db)
        (tables,) = self._db.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if tables and owner != APPLICATION_ID:
            raise self.damaged()
        if owner == APPLICATION_ID and version != FORMAT:
            raise ConfigurationError(
                f"the gate file {self.place} was written by another release of this package;"
                " delete it while no process uses it, or name another file"
            )


def _file_at(path: str) -> tuple[int, int]:
    found = os.stat(path)
    return found.st_dev, found.st_ino


def _not_a_gate(path: str) -> ConfigurationError:
    return ConfigurationError(
        f"{path} is no gate file, or is damaged; name another file,"
        " or, if it was a gate's, delete this one while no process uses it"
    )


def _unusable(path: str, error: Exception) -> ConfigurationError:
    fault = sqlite.fault_of(error) if isinstance(error, sqlite.Error) else None
    if fault in (sqlite.Fault.FOREIGN, sqlite.Fault.DAMAGED):
        return _not_a_gate(path)
    why = reason(error) if isinstance(error, OSError) else error
    directory = Path(path).absolute().parent
    if not directory.is_dir():
        return ConfigurationError(f"no directory {directory} for the gate file {path}; make it")
    return ConfigurationError(
        f"the gate file {path} cannot be used: {why}; the file and its directory must be"
        " writable for this user, on a local disk that is not full; if the file was deleted while"
        " processes used it, end them first"
    )
