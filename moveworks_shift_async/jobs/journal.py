"""The journal of a job: what was planned, and what became of it, chunk by chunk.

A chunk that is `sending` says so on the disk before its first byte leaves, and its answer is on
the disk before the next step. All methods wait for the disk; `scribe` calls them from a thread of
their own.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate
from operator import sub
from pathlib import Path
from typing import Any

from attrs import asdict, define

from ..errors import JournalError
from ..wire.moveworks import Content
from .database import Database, damaged, reading, remove
from .records import (
    Chunk,
    ChunkRecord,
    Event,
    Header,
    Incident,
    Left,
    LeftOut,
    Run,
    State,
    Step,
    Wish,
)

# Level 6 takes a third of the time of planning more and saves a tenth of the file.
_LEVEL = 3


@define(eq=False, repr=False)
class Journal:
    """An open journal. Not for two threads at once. Its methods raise `JournalError`."""

    _db: Database

    @classmethod
    def create(cls, path: str, header: Header) -> Journal:
        """A new file, readable by its owner alone. One whose planning broke off is replaced."""
        _make_way(path)
        journal = cls(Database.make(path))
        try:
            with journal.transaction():
                journal._db.write_tables()
                journal._db.run("add_job", asdict(header))
            journal._db.log_ahead()
        except BaseException:
            journal.close()
            remove(path)
            raise
        return journal

    @classmethod
    def open(cls, path: str, *, verify: bool = False) -> Journal:
        """An existing journal; `JournalError` if there is none, and the file is left untouched.

        `verify` reads all of it first, as `Journal.verify` does.
        """
        with cls.look(path) as looked:
            if verify:
                looked.verify()
        return cls(Database.connect(path))

    @classmethod
    @contextlib.contextmanager
    def look(cls, path: str) -> Iterator[Journal]:
        """A journal for reading alone, which leaves the file as it is whatever is in it."""
        with Database.look(path) as database:
            yield cls(database)

    @property
    def path(self) -> str:
        """The file, as it was given."""
        return self._db.path

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def transaction(self) -> contextlib.AbstractContextManager[None]:
        """All that is done inside is on the disk at its end, or nothing of it."""
        return self._db.transaction()

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
            whole = found == [("ok",)] and self.digest(header) == header.digest
        if not whole:
            raise damaged(self.path)
        return header

    def bind(self, base_url: str) -> None:
        """Tie the job to a server, once."""
        self._db.run("bind", (base_url,))

    def claim(self, after: int, count: int) -> list[Chunk]:
        """The next chunks that are planned, with an id above `after`."""
        event_id = self.header().event_id
        with reading(self.path):
            return [
                Chunk(
                    id=number,
                    content=_content(event_id, message, context),
                    recipients=unpack(packed),
                    resent=bool(resent),
                )
                for number, message, context, packed, resent in self._db.rows(
                    "claim", (after, count)
                )
            ]

    def sending(self, chunk: int, at: float) -> None:
        """A request of this chunk may leave from now on."""
        if self._db.run("sending", (at, chunk)).rowcount != 1:
            raise JournalError(f"chunk {chunk} of {self.path} is not planned any more")

    def settle(self, step: Step) -> None:
        """A request of a chunk has ended, or did not leave."""
        if self._db.run("settle", asdict(step)).rowcount != 1:
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

    def resend_unknown(self) -> int:
        """Unknown chunks are planned again; how many."""
        return self._db.run("resend_unknown").rowcount

    def leave_unknown(self) -> int:
        """Unknown chunks stay so by the user's word, and those that wait to be sent again."""
        return self._db.run("leave_unknown").rowcount

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

    def wish(self) -> Wish:
        """What is wanted of the process that runs the job."""
        (found,) = self._db.run("wish").fetchone()
        with reading(self.path):
            return Wish(found)

    def set_wish(self, wish: Wish, at: float) -> None:
        """Ask it of the process that runs the job."""
        self._db.run("set_wish", (wish, at))

    def wished_at(self) -> float:
        """When the last wish was uttered, by the clock of whoever did."""
        row = self._db.run("wished_at").fetchone()
        if row is None:
            raise damaged(self.path)
        return float(row[0])

    def forget_wish(self, wished_at: float) -> None:
        """What was asked then holds no more; a later wish does."""
        self._db.run("forget_wish", (wished_at,))

    # --- account --------------------------------------------------------------------------

    def header(self) -> Header:
        """What the job is."""
        row = self._db.run("header").fetchone()
        if row is None:
            raise damaged(self.path)
        names = ("source", "event_id", "planned_at", "complete", "people", "duplicates",
                 "differing", "invalid", "chunks", "texts", "digest", "base_url")  # fmt: skip
        values = dict(zip(names, row, strict=True))
        return Header(**values | {"complete": bool(values["complete"])})

    def records(self) -> Iterator[ChunkRecord]:
        """Every chunk, in order."""
        with reading(self.path):
            for number, state, people, requests, throttled, *rest in self._db.rows("records"):
                sent_at, ended_at, error, reason, left_alone, resent = rest
                yield ChunkRecord(
                    id=number,
                    state=State(state),
                    people=people,
                    requests=requests,
                    throttled=throttled,
                    sent_at=sent_at,
                    ended_at=ended_at,
                    error=error,
                    reason=reason,
                    left_alone=bool(left_alone),
                    resent=bool(resent),
                )

    def totals(self) -> list[tuple[State, bool, int, int, int, int]]:
        """Rows of (state, left alone, chunks, people, requests, answers 429)."""
        with reading(self.path):
            rows = self._db.rows("totals")
            return [(State(state), bool(left), *rest) for state, left, *rest in rows]

    def recipients(self) -> Iterator[tuple[int, tuple[str, ...]]]:
        """Whom each chunk is for, in the order of `records`."""
        with reading(self.path):
            for number, packed in self._db.rows("recipients"):
                yield number, unpack(packed)

    def left_out(self) -> Iterator[LeftOut]:
        """The entries that are for nobody: all that are no address, then all duplicates."""
        with reading(self.path):
            for why, packed in self._db.rows("left_out"):
                yield unpack_left_out(Left(why), packed)

    def texts(self, count: int) -> list[tuple[Content, int]]:
        """The first texts of the job, each with how many people it is for."""
        event_id = self.header().event_id
        with reading(self.path):
            return [
                (_content(event_id, message, context), people)
                for message, context, people in self._db.rows("texts", (count,))
            ]

    def runs(self) -> list[Run]:
        """The processes that worked on it."""
        names = ("id", "pid", "host", "began_at", "ended_at", "ended", "budget", "per")
        return [Run(**dict(zip(names, row, strict=True))) for row in self._db.rows("runs")]

    def events(self) -> list[Event]:
        """What made it wait."""
        with reading(self.path):
            return [
                Event(at=at, incident=Incident(incident), seconds=seconds, reason=reason)
                for at, incident, seconds, reason in self._db.rows("events")
            ]


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


def _content(event_id: str | None, message: str, context: str | None) -> Content:
    found: Mapping[str, Any] | None = None if context is None else json.loads(context)
    return Content(event_id=event_id, message=message, context=found)


def _make_way(path: str) -> None:
    """Remove a journal whose planning broke off: nothing was ever sent from it."""
    if not Path(path).exists():
        return
    # A process that was killed as it made the file has left an empty one.
    complete = Path(path).stat().st_size > 0 and _is_complete(path)
    if complete:
        raise JournalError(
            f"{path} holds a job already: go on with it (resume), or name another file"
        )
    remove(path)


def _is_complete(path: str) -> bool:
    with Journal.look(path) as journal:
        return journal.header().complete
