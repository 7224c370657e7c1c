"""The journal of a job: what was planned, and what became of it, chunk by chunk.

A chunk that is `sending` says so on the disk before its first byte leaves, and its answer is on
the disk before the next step. All methods wait for the disk; `thread` calls them from a thread of
their own.

Theory of operation, for a file that people move, copy, link and back up:

1. The main file says all of it (`database`): wherever it is carried, alone or not, after a kill or
   in the middle of a run, each chunk that may have left is `sending` or has ended.
2. One process works on a file, by whatever name (`lock`), and stops before the next `sending` once
   its path names another file, or the file holds less than the process has written.
3. Whether it is the file that the job was last run from is told by `identity`.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import stat
from collections.abc import Iterable, Iterator
from typing import Any

from attrs import asdict, define, field

from ....errors import JournalError
from ....wire.moveworks import Content
from ...records import DIED, UNWRITTEN, Event, Header, Run, Settlement
from ..ports import Parts
from ..rows import header_values, pack
from .beside import check_name
from .database import Database
from .identity import FileIdentity
from .lock import Lock, marked
from .reads import Reads


@define(eq=False, repr=False)
class Journal:
    """An open journal. Not for two threads at once. Its methods raise `JournalError`."""

    _db: Database
    #: Held while it is planned or run, until `close`.
    _lock: Lock | None = field(default=None)
    identity: FileIdentity = field(init=False)
    reads: Reads = field(init=False)
    #: The run of this process; None: it runs nothing.
    _run: str | None = field(default=None, init=False)
    #: When the last command was given that was there before this process had the lock.
    commanded_at: float = field(default=0.0, init=False)

    def __attrs_post_init__(self) -> None:
        self.identity, self.reads = FileIdentity(self._db), Reads(self._db)

    @classmethod
    def create(cls, path: str, header: Header) -> Journal:
        """A new file, readable by its owner alone, and locked. One whose planning broke off is
        replaced; nothing else is.
        """
        check_name(path)
        _make_way(path)
        lock = Lock.take(path, new=True)
        try:
            journal = cls(Database.connect(path, new=True), lock)
        except BaseException:
            lock.remove()
            raise
        try:
            with journal.transaction():
                journal._db.write_tables()
                journal._db.run("add_job", header_values(header) | {"key": secrets.token_hex(16)})
        except BaseException:
            journal.discard()
            raise
        return journal

    @classmethod
    def open(cls, path: str) -> Journal:
        """An existing journal; `JournalError` if there is none, and the file is left untouched."""
        return cls(Database.connect(path))

    @classmethod
    def take(cls, path: str) -> Journal:
        """The same, locked, and found whole by `Reads.verify`.

        Raises `JobRunning` if another has it.
        """
        journal = cls(Database.connect(path))
        try:
            journal.commanded_at = journal.reads.value("commanded_at")
            journal._lock = Lock.take(path)
            journal.identity = FileIdentity(journal._db, marked(path))
            journal._db.keep_beside()
            journal.reads.verify()
        except BaseException:
            journal.close()
            raise
        return journal

    @classmethod
    def look(cls, path: str, *, addresses: bool = True) -> Journal:
        """A journal for reading alone, as of one moment, which leaves the file as it is."""
        noted = marked(path)  # before the file is read: whoever runs it only adds steps
        journal = cls(Database.look(path, addresses=addresses))
        journal.identity = FileIdentity(journal._db, noted)
        return journal

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def path(self) -> str:
        """The file, as it was given."""
        return self._db.path

    def close(self) -> None:
        """Close the file, and let somebody else have it."""
        if self._lock is None:
            self._db.close()
        else:
            self._db.tidy()
            self._lock.release()

    def discard(self) -> None:
        """Close a file that was made here and remove it, if it is still where it was made."""
        assert self._lock is not None  # noqa: S101 - who made it has it
        self._db.tidy()
        self._lock.remove()

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """All that is done inside is on the disk at its end, or nothing of it."""
        counted = None
        try:
            with self._db.transaction():
                yield
                if self.identity.belongs:
                    counted = self.identity.count()
        except JournalError:
            if self.identity.belongs and self._lock is not None:
                self._lock.check_place()  # which says more than SQLite does of a file that is gone
            raise
        if counted is not None and self._lock is not None:
            self.identity.committed(self._lock, counted)

    def write(self, name: str, values: Any = ()) -> int:
        """Run one statement of `journal.sql`; how many rows it has changed."""
        return self._db.run(name, values).rowcount

    # --- planning -------------------------------------------------------------------------

    def add_content(self, number: int, content: Content, odd: str | None = None) -> None:
        """A message with its context, and what is odd about a value in it."""
        context = None if content.context is None else json.dumps(dict(content.context))
        self.write("add_content", (number, content.message, context, odd))

    def add_chunks(self, chunks: Iterable[tuple[int, int, int, bytes]]) -> None:
        """Chunks as (id, content, people, packed addresses)."""
        added = [*chunks]
        self._db.run_for_each("add_chunk", [chunk[:3] for chunk in added])
        self._db.run_for_each("add_address", [(number, packed) for number, *_, packed in added])

    def complete(self, header: Header) -> Header:
        """The plan is whole: fix its numbers and its digest."""
        digest = self.reads.digest(header)
        self.write("complete", header_values(header) | {"digest": digest})
        return self.reads.header()

    # --- running --------------------------------------------------------------------------

    def belong(self, base_url: str, identity: str) -> None:
        """From now on this file is the job's, and the job that server's and that credential's."""
        assert self._lock is not None  # noqa: S101 - who runs it has it
        self.write("bind", (base_url, identity))
        self.identity.belong(self._lock)

    def sending(self, chunk: int, at: float, owner: str = "") -> bool:
        """A request of this chunk may leave from now on; False: it is not planned any more."""
        if self._lock is not None:
            self.identity.check(self._lock)
        return self.write("sending", (at, owner, chunk)) == 1

    def settle(self, step: Settlement, parts: Parts = ()) -> bool:
        """A request of a chunk has ended, or did not leave; its parts are new chunks.

        Only the owner of what is `sending` may say so; or of an orphan, to make it better. False:
        nothing was changed by that.
        """
        if self.write("settle", asdict(step)) == 1:
            if parts:
                self.split(step.chunk, parts)
            return True
        self._check_run()
        return False

    def _check_run(self) -> None:
        """This process still has the file that its run began with: nobody else has begun since."""
        if self._run is None or self._lock is None:
            return
        self.identity.check(self._lock)
        if self._db.run("last_run").fetchone() != (self._run,):
            raise self.identity.moved()

    def split(self, chunk: int, parts: Parts) -> int:
        """New planned chunks for the parts of one that is split; the number of the first."""
        first: int = self.reads.value("next_chunk")
        new = [*enumerate(parts, first)]
        self._db.run_for_each("add_part", [(number, len(part), chunk) for number, part in new])
        self._db.run_for_each("add_address", [(number, pack(part)) for number, part in new])
        return first

    def orphans(self) -> int:
        """Chunks that a run left `sending` are unknown now; how many there were."""
        return self.write("orphans", {"died": DIED, "unwritten": UNWRITTEN})

    def doubt(self) -> int:
        """Chunks that are planned by this file, and may have left by another, are unknown now."""
        reason = "the journal was an older copy, or torn; the request may have been made since"
        return self.write("doubt", {"reason": reason})

    def add_event(self, event: Event) -> None:
        """Something made the job wait."""
        self.write("add_event", asdict(event))

    def begin_run(self, run: Run) -> None:
        """A process begins."""
        self.write("begin_run", asdict(run))
        self._run = run.id


def _make_way(path: str) -> None:
    """Remove a journal whose planning broke off: nothing was ever sent from it."""
    if not _is_file(path):
        return
    journal = Journal.open(path)
    try:
        journal._lock = Lock.take(path)
        complete = journal.reads.header().complete
    except BaseException:
        journal.close()
        raise
    if complete:
        journal.close()
        raise JournalError(
            f"{path} holds a job already: go on with it (resume), or name another file"
        )
    journal.discard()


def _is_file(path: str) -> bool:
    """Whether a file is there; `JournalError` for what surely is no journal."""
    try:
        kind = os.stat(path).st_mode
    except OSError:
        if os.path.lexists(path):
            raise JournalError(f"{path} leads nowhere; name another file") from None
        return False
    if stat.S_ISDIR(kind):
        raise JournalError(f"{path} is a folder; name a file in it")
    if not stat.S_ISREG(kind):
        raise JournalError(f"{path} is no regular file; it was left untouched: name another file")
    if not os.path.getsize(path):
        raise JournalError(
            f"{path} is an empty file, and not surely a plan that broke off; remove it, or name"
            " another file"
        )
    return True
