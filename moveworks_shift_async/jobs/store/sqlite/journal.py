"""The journal of a job: what was planned, and what became of it, chunk by chunk.

A chunk that is `sending` says so on the disk before its first byte leaves, and its answer is on
the disk before the next step. All methods wait for the disk; `thread` calls them from a thread of
their own.

Theory of operation, for a file that people move, copy, link and back up:

1. The main file says all of it (`database`): wherever it is carried, alone or not, after a kill or
   in the middle of a run, each chunk that may have left is `sending` or has ended.
2. One process works on a file, by whatever name (`lock`), and stops before the next `sending` once
   its path names another file, or the file holds less than the process has written.
3. A run writes down which file it worked on. Another file is a copy, and the job may have gone on
   in the first one: that is for the user to say (`Stray.COPY`). A plan that never began is free.
4. Each change of a chunk counts up in its row and in the job's. Where the sums differ the pages
   are of different moments (`Stray.TORN`): it was copied while it was written, or its process was
   killed in a commit and it was carried away without what lay beside it. The job's count is noted
   on the file itself, and apart from it, since a backup may bring back the former: so an older copy
   that is put in its place is known (`Stray.OLDER`). Both are gone on with by the user's word
   alone, and all that may have left is unknown then.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
import stat
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import accumulate
from operator import sub
from typing import Any, TypeVar

from attrs import asdict, define, field, fields

from ....errors import JournalError
from ....wire.moveworks import Content
from ....wire.recipients import CheckedRecipients
from ...records import (
    Chunk,
    ChunkRecord,
    Command,
    Event,
    Header,
    Incident,
    Left,
    LeftOut,
    Run,
    Settlement,
    State,
    Stray,
)
from .database import Database, check_name, damaged, reading
from .lock import Lock, marked, moved_away, place_of, steps_noted

T = TypeVar("T")

# What a field's annotation stands for.
_KINDS: Mapping[str, tuple[type, ...]] = {"int": (int,), "float": (int, float), "str": (str,)}
# Seconds since 1970 at the end of the year 9999, behind which Python knows no time.
_LATEST = 253_402_300_800.0

# Level 6 takes a third of the time of planning more and saves a tenth of the file.
_LEVEL = 3
# Seconds. What a killed process left on its way may have been counted by the server as late as its
# answer could have come: the usual bound of a request.
_ANSWER = 60.0


@define(eq=False, repr=False)
class Journal:
    """An open journal. Not for two threads at once. Its methods raise `JournalError`."""

    _db: Database
    #: Held while it is planned or run, until `close`.
    _lock: Lock | None = field(default=None)
    #: What was noted of the file before it was read, on it and apart from it.
    _noted: tuple[str, str] = field(default=("", ""))
    #: The job's key and count of steps as this process has written them; None: it runs nothing.
    _written: tuple[str, int] | None = field(default=None, init=False)

    @classmethod
    def create(cls, path: str, header: Header) -> Journal:
        """A new file, readable by its owner alone, and locked. One whose planning broke off is
        replaced; nothing else is.
        """
        check_name(path)
        _make_way(path)
        lock = Lock.make(path)
        try:
            journal = cls(Database.connect(path, new=True), lock)
        except BaseException:
            lock.remove()
            raise
        try:
            with journal.transaction():
                journal._db.write_tables()
                journal._db.run("add_job", asdict(header) | {"key": secrets.token_hex(16)})
        except BaseException:
            journal.discard()
            raise
        return journal

    @classmethod
    def open(cls, path: str, *, verify: bool = False) -> Journal:
        """An existing journal; `JournalError` if there is none, and the file is left untouched.

        `verify` reads all of it first, as `Journal.verify` does.
        """
        return cls(Database.connect(path))._checked(verify)

    @classmethod
    def take(cls, path: str) -> tuple[Journal, float]:
        """The same, verified and locked; and when the last command was given before it was locked.

        Raises `JobRunning` if another has it.
        """
        journal = cls(Database.connect(path))
        try:
            commanded_at = journal.commanded_at()
            journal._lock = Lock.take(path)
            journal._noted = marked(path)
            journal._db.keep_beside()
        except BaseException:
            journal.close()
            raise
        return journal._checked(verify=True), commanded_at

    def _checked(self, verify: bool) -> Journal:
        if verify:
            try:
                self.verify()
            except BaseException:
                self.close()
                raise
        return self

    @classmethod
    @contextlib.contextmanager
    def look(cls, path: str) -> Iterator[Journal]:
        """A journal for reading alone, as of one moment, which leaves the file as it is."""
        noted = marked(path)  # before the file is read: whoever runs it only adds steps
        with Database.look(path) as database:
            yield cls(database, noted=noted)

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
                if self._written is not None:
                    counted = self._count()
        except JournalError:
            if self._written is not None and self._lock is not None:
                self._lock.check_place()  # which says more than SQLite does of a file that is gone
            raise
        if counted is not None and counted != self._written and self._lock is not None:
            # Before anything that was written can leave: how much the file holds, on the file.
            self._written = counted
            self._lock.mark("{} {}".format(*counted))

    def _count(self) -> tuple[str, int]:
        row = self._db.run("steps").fetchone()
        if row is None:
            raise damaged(self.path)
        return str(row[0]), int(row[1])

    def snapshot(self) -> contextlib.AbstractContextManager[None]:
        """All that is read inside is as of one moment, and nobody's writing waits for it."""
        return self._db.snapshot()

    # --- planning -------------------------------------------------------------------------

    def add_content(self, number: int, content: Content) -> None:
        """A message with its context."""
        context = None if content.context is None else json.dumps(dict(content.context))
        self._db.run("add_content", (number, content.message, context))

    def add_chunks(
        self, chunks: Iterable[tuple[int, int, int, bytes]], parent: int | None = None
    ) -> None:
        """Chunks as (id, content, people, packed addresses)."""
        rows = [*chunks]
        self._db.run_for_each(
            "add_chunk",
            [
                {"id": number, "content": content, "people": people, "parent": parent}
                for number, content, people, _ in rows
            ],
        )
        self._db.run_for_each("add_address", [(number, packed) for number, *_, packed in rows])

    def add_left_out(self, blocks: Iterable[tuple[Left, bytes]]) -> None:
        """Entries that are for nobody, as `pack_left_out` packs them."""
        self._db.run_for_each("add_left_out", blocks)

    def complete(self, header: Header) -> Header:
        """The plan is whole: fix its numbers and its digest."""
        digest = self.digest(header)
        self._db.run("complete", asdict(header) | {"digest": digest})
        return self.header()

    def digest(self, header: Header) -> str:
        """Of what is sent to whom, as it is in the file."""
        digest = hashlib.sha256(f"{header.event_id}\0".encode())
        for row in self._db.rows("contents"):
            digest.update(json.dumps(row).encode())
        for content, people, packed in self._db.rows("packed"):
            digest.update(b"%d %d %d\0" % (content, people, len(packed)))
            digest.update(packed)
        return digest.hexdigest()

    # --- running --------------------------------------------------------------------------

    def verify(self) -> Header:
        """The header, once nothing in the file is found damaged or changed."""
        header = self.header()
        if not header.complete:
            raise JournalError(
                f"the planning of {self.path} was interrupted; nothing was sent: plan it again"
            )
        found = [*self._db.rows("quick_check")]
        with reading(self.path):
            (people,) = self._db.run("people").fetchone()
            whole = found == [("ok",)] and people == header.people
            whole = whole and self.digest(header) == header.digest
            self.totals()  # every state is one
        if not whole:
            raise damaged(self.path)
        return header

    def strayed(self) -> Stray | None:
        """Why it may not be the file that the job was last run from; None: it is, or never ran."""
        if self._written is not None:
            return None  # this process has it, and has settled that
        header, (key, steps) = self.header(), self._count()
        with reading(self.path):
            (counted,) = self._db.run("steps_of_chunks").fetchone()
        if counted != steps:
            return Stray.TORN
        if steps_noted(self._noted, key) > steps:
            return Stray.OLDER
        if header.place is None:
            return None
        on_file, apart = (note.partition(" ")[0] for note in self._noted)
        same = header.place == place_of(self.path) and apart in ("", key)
        return None if same and (on_file == key or not header.marked) else Stray.COPY

    def adopt(self) -> None:
        """By the user's word this file is the newest from now on, whatever was noted of others."""
        key, steps = self._count()
        (counted,) = self._db.run("steps_of_chunks").fetchone()
        most = 1 + max(steps, counted, steps_noted(self._noted, key))
        self._db.run("set_steps", (most,))
        self._db.run("add_steps", (most - counted,))

    def may_have_told(self) -> bool:
        """Somebody was told, refused, or may have been."""
        (found,) = self._db.run("may_have_told").fetchone()
        return bool(found)

    def belong(self, base_url: str, identity: str) -> None:
        """From now on this file is the job's, and the job that server's and that credential's."""
        assert self._lock is not None  # noqa: S101 - who runs it has it
        self._db.run("bind", (base_url, identity))
        key, _ = self._count()
        # Not the count of now, which may be rolled back: a mark never says more than its file.
        kept = self._lock.mark(f"{key} {steps_noted(self._noted, key)}")
        self._db.run("set_place", (self._lock.place, kept))
        self._written = key, -1

    def recent(self, now: float, window: float, most: int) -> list[float]:
        """Ages in seconds of the requests, `most` at most, that the server may still count.

        A slot ends one window after its answer. The clock may have been set back since.
        """
        ages = []
        for sent_at, ended_at in self._db.rows("recent", (most,)):
            age = now - (min(now, sent_at + _ANSWER) if ended_at is None else ended_at)
            if abs(age) < window:
                ages.append(max(0.0, age))
        return ages

    def claim(self, after: int, count: int) -> list[Chunk]:
        """The next chunks that are planned, with an id above `after`."""
        event_id = self.header().event_id
        return [*self._each(lambda row: _chunk(event_id, row), "claim", (after, count))]

    def sending(self, chunk: int, at: float) -> None:
        """A request of this chunk may leave from now on."""
        self._check_place()
        if self._db.run("sending", (at, chunk)).rowcount != 1:
            raise JournalError(f"chunk {chunk} of {self.path} is not planned any more")

    def _check_place(self) -> None:
        """What this process has written is in the file that its path names."""
        if self._written is None or self._lock is None:
            return
        self._lock.check_place()
        (key, steps), found = self._written, self._count()
        if found[0] != key or found[1] < steps:
            raise moved_away(self.path)

    def settle(self, step: Settlement) -> None:
        """A request of a chunk has ended, or did not leave."""
        if self._db.run("settle", asdict(step)).rowcount != 1:
            if self._written is not None:  # this process has made it `sending`, in that file
                raise moved_away(self.path)
            raise JournalError(f"chunk {step.chunk} of {self.path} has ended already")

    def split(self, chunk: int, parts: Iterable[tuple[str, ...]]) -> None:
        """New planned chunks for the parts of one that is settled as split."""
        (number,) = self._db.run("next_chunk").fetchone()
        (content,) = self._db.run("content_of", (chunk,)).fetchone()
        rows = [
            (number + place, content, len(part), pack(part)) for place, part in enumerate(parts)
        ]
        self.add_chunks(rows, parent=chunk)

    def isolated(self) -> int:
        """Chunks that splitting has added."""
        (count,) = self._db.run("isolated").fetchone()
        return int(count)

    def orphans(self) -> int:
        """Chunks that a process left `sending` are unknown now; how many there were."""
        reason = "the process ended while the request was on its way"
        return self._db.run("orphans", {"reason": reason}).rowcount

    def doubt(self) -> int:
        """Chunks that are planned by this file, and may have left by another, are unknown now."""
        reason = "the journal was an older copy, or torn; the request may have been made since"
        return self._db.run("doubt", {"reason": reason}).rowcount

    def resend_unknown(self) -> int:
        """Unknown chunks are planned again; how many."""
        return self._db.run("resend_unknown").rowcount

    def leave_unknown(self, at: float) -> int:
        """Unknown chunks stay so by the user's word, and those that wait to be sent again."""
        return self._db.run("leave_unknown", (at,)).rowcount

    def left_at(self) -> float | None:
        """When the user said so last; None: never."""
        (at,) = self._db.run("left_at").fetchone()
        return None if at is None else float(at)

    def begin_run(self, run: Run) -> int:
        """A process begins; the number of the run."""
        row = (run.pid, run.host, run.began_at, run.budget, run.per)
        (number,) = self._db.run("begin_run", row).fetchone()
        return int(number)

    def end_run(self, number: int, at: float, how: str) -> None:
        """The process ends, and says why."""
        self._db.run("end_run", (at, how, number))

    def add_event(self, event: Event) -> None:
        """Something made the job wait."""
        self._db.run("add_event", (event.at, event.incident, event.seconds, event.reason))

    def command(self) -> Command:
        """What is wanted of the process that runs the job."""
        (found,) = self._db.run("command").fetchone()
        with reading(self.path):
            return Command(found)

    def set_command(self, command: Command, at: float) -> None:
        """Ask it of the process that runs the job."""
        self._db.run("set_command", (command, at))

    def commanded_at(self) -> float:
        """When the last command was given, by the clock of whoever did."""
        row = self._db.run("commanded_at").fetchone()
        if row is None:
            raise damaged(self.path)
        return float(row[0])

    def forget_command(self, commanded_at: float) -> None:
        """What was asked then holds no more; a later command does."""
        self._db.run("forget_command", (commanded_at,))

    # --- account --------------------------------------------------------------------------

    def header(self) -> Header:
        """What the job is."""
        row = self._db.run("header").fetchone()
        if row is None:
            raise damaged(self.path)
        names = ("source", "event_id", "planned_at", "complete", "people", "duplicates",
                 "differing", "invalid", "chunks", "texts", "digest", "key", "base_url", "identity",
                 "place", "marked")  # fmt: skip
        values = dict(zip(names, row, strict=True))
        flags = {name: bool(values[name]) for name in ("complete", "marked")}
        with reading(self.path):
            return _sound(Header(**values | flags))

    def records(self) -> Iterator[ChunkRecord]:
        """Every chunk, in order."""
        return self._each(_record, "records")

    def totals(self) -> list[tuple[State, bool, int, int, int, int]]:
        """Rows of (state, left alone, chunks, people, requests, answers 429)."""
        return [*self._each(lambda row: (State(row[0]), bool(row[1]), *row[2:]), "totals")]

    def recipients(self) -> Iterator[tuple[int, tuple[str, ...]]]:
        """Whom each chunk is for, in the order of `records`."""
        return self._each(lambda row: (row[0], unpack(row[1])), "recipients")

    def left_out(self) -> Iterator[LeftOut]:
        """The entries that are for nobody: all that are no address, then all duplicates."""
        return self._each(lambda row: unpack_left_out(Left(row[0]), row[1]), "left_out")

    def texts(self, count: int) -> list[tuple[Content, int]]:
        """The first texts of the job, each with how many people it is for."""
        event_id = self.header().event_id
        rows = self._each(lambda row: (_content(event_id, *row[:2]), row[2]), "texts", (count,))
        return [*rows]

    def runs(self) -> list[Run]:
        """The processes that worked on it."""
        return [*self._each(_run, "runs")]

    def events(self) -> list[Event]:
        """What made it wait."""
        return [*self._each(_event, "events")]

    def _each(
        self, make: Callable[[tuple[Any, ...]], T], name: str, values: Any = ()
    ) -> Iterator[T]:
        """What is made of each row; what nothing can be made of is damage."""
        for row in self._db.rows(name, values):
            with reading(self.path):
                made = make(row)
            yield made


def pack(addresses: Iterable[str]) -> bytes:
    """Addresses as the journal keeps them: 500 of them take about 5 kB."""
    return zlib.compress("\n".join(addresses).encode(), _LEVEL)


def unpack(packed: bytes) -> tuple[str, ...]:
    """The addresses that `pack` took."""
    return tuple(zlib.decompress(packed).decode().split("\n"))


def pack_left_out(lines: Sequence[int], reasons: Sequence[str], entries: Sequence[str]) -> bytes:
    """Entries that are for nobody, as the journal keeps them: a duplicate takes about 12 bytes."""
    # Lines as steps from one to the next: most of them are small numbers that come again.
    steps = [*map(sub, lines, (0, *lines[:-1]))]
    return zlib.compress(json.dumps((steps, reasons, entries)).encode(), _LEVEL)


def unpack_left_out(why: Left, packed: bytes) -> LeftOut:
    """The entries that `pack_left_out` took."""
    steps, reasons, entries = json.loads(zlib.decompress(packed))
    return LeftOut(why=why, lines=[*accumulate(steps)], reasons=reasons, entries=entries)


def _chunk(event_id: str | None, row: tuple[Any, ...]) -> Chunk:
    number, message, context, packed, resent = row
    return Chunk(
        id=number,
        content=_content(event_id, message, context),
        recipients=CheckedRecipients(unpack(packed)),
        resent=bool(resent),
    )


def _record(row: tuple[Any, ...]) -> ChunkRecord:
    names = ("id", "state", "people", "requests", "throttled", "sent_at", "ended_at", "error",
             "reason", "left_at", "resent")  # fmt: skip
    values = dict(zip(names, row, strict=True))
    made = ChunkRecord(**values | {"state": State(values["state"]), "resent": bool(row[-1])})
    return _sound(made)


def _run(row: tuple[Any, ...]) -> Run:
    names = ("id", "pid", "host", "began_at", "ended_at", "ended", "budget", "per")
    return _sound(Run(**dict(zip(names, row, strict=True))))


def _event(row: tuple[Any, ...]) -> Event:
    at, incident, seconds, reason = row
    return _sound(Event(at=at, incident=Incident(incident), seconds=seconds, reason=reason))


def _sound(values: T) -> T:
    """The values, if each is what its field is for: SQLite keeps anything in any column."""
    for one in fields(type(values)):  # type: ignore[arg-type]
        kind, _, may_be_none = str(one.type).partition(" | ")
        value = getattr(values, one.name)
        if value is None and may_be_none:
            continue
        if kind in _KINDS and not isinstance(value, _KINDS[kind]):
            raise TypeError(one.name)
        if kind == "float" and not abs(value) < _LATEST:
            raise ValueError(one.name)
    return values


def _content(event_id: str | None, message: str, context: str | None) -> Content:
    found: Mapping[str, Any] | None = None if context is None else json.loads(context)
    return Content(event_id=event_id, message=message, context=found)


def _make_way(path: str) -> None:
    """Remove a journal whose planning broke off: nothing was ever sent from it."""
    try:
        kind = os.stat(path).st_mode
    except OSError:
        if os.path.lexists(path):
            raise JournalError(f"{path} leads nowhere; name another file") from None
        return
    if stat.S_ISDIR(kind):
        raise JournalError(f"{path} is a folder; name a file in it")
    if not stat.S_ISREG(kind):
        raise JournalError(f"{path} is no regular file; it was left untouched: name another file")
    if not os.path.getsize(path):
        raise JournalError(
            f"{path} is an empty file, and not surely a plan that broke off; remove it, or name"
            " another file"
        )
    journal = Journal(Database.connect(path))
    try:
        journal._lock = Lock.take(path)
        complete = journal.header().complete
    except BaseException:
        journal.close()
        raise
    if complete:
        journal.close()
        raise JournalError(
            f"{path} holds a job already: go on with it (resume), or name another file"
        )
    journal.discard()
