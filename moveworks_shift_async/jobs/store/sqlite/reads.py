"""What a journal holds, read as values."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, TypeVar

from attrs import frozen

from ....errors import JournalError
from ....wire.moveworks import Content
from ...left_out import LeftOut
from ...records import Chunk, ChunkRecord, Command, Event, Header, Run, Total, Wanted
from .. import rows
from ..first import Free
from ..ports import Audience, PlannedText
from .database import Database, damaged, reading

T = TypeVar("T")


@frozen(eq=False, repr=False)
class Reads:
    """Reads from an open database. What is damaged raises `JournalError`."""

    _db: Database

    def header(self) -> Header:
        """What the job is."""
        row = self._db.one("header")
        with reading(self._db.path):
            return rows.value_of(Header, row)

    def whole_header(self) -> Header:
        """The same of a whole plan; nothing else is looked at."""
        header = self.header()
        if not header.complete:
            raise JournalError(
                f"the planning of {self._db.path} was interrupted; nothing was sent: plan it again"
            )
        return header

    def digest(self, header: Header) -> str:
        """Of what is sent to whom, as it is in the file."""
        digest = hashlib.sha256(f"{header.event_id}\0".encode())
        for row in self._db.rows("contents"):
            digest.update(json.dumps(row).encode())
        for content, people, packed in self._db.rows("packed"):
            digest.update(b"%d %d %d\0" % (content, people, len(packed)))
            digest.update(packed)
        return digest.hexdigest()

    def verify(self) -> Header:
        """The header, once nothing in the file is found damaged or changed."""
        header = self.whole_header()
        found = [*self._db.rows("quick_check")]
        people = self.value("people")
        with reading(self._db.path):
            whole = found == [("ok",)] and people == header.people
            whole = whole and self.digest(header) == header.digest
            self.totals()  # every state is one
        if not whole:
            raise damaged(self._db.path)
        return header

    def records(self) -> Iterator[ChunkRecord]:
        """Every chunk, in order."""
        return self._each(partial(rows.value_of, ChunkRecord), "records")

    def totals(self) -> list[Total]:
        """How many chunks and people stand where."""
        return [*self._each(partial(rows.value_of, Total), "totals")]

    def recipients(self) -> Iterator[tuple[int, tuple[str, ...]]]:
        """Whom each chunk is for, in the order of `records`."""
        return self._each(lambda row: (row[0], rows.unpack(row[1])), "recipients")

    def left_out(self) -> Iterator[LeftOut]:
        """The entries that are for nobody: no addresses, then excluded ones, then duplicates."""
        return self._each(rows.left_out_of, "left_out")

    def texts(self, count: int) -> list[tuple[Content, int]]:
        """The first texts of the job, each with how many people it is for."""
        event_id = self.header().event_id
        make = partial(rows.content_of, event_id)
        return [*self._each(lambda row: (make(*row[:2]), row[2]), "texts", (count,))]

    def planned_texts(self) -> Iterator[PlannedText]:
        """Every text."""
        make = partial(rows.planned_text_of, self.header().event_id)
        return self._each(make, "planned_texts")

    def audiences(self, texts: Sequence[int]) -> dict[int, Audience]:
        """Whom these texts are for."""
        return dict(self._each(rows.audience_of, "audiences", (json.dumps(texts),)))

    def runs(self) -> list[Run]:
        """The processes that worked on it."""
        return [*self._each(partial(rows.value_of, Run), "runs")]

    def events(self) -> list[Event]:
        """What made it wait."""
        return [*self._each(partial(rows.value_of, Event), "events")]

    def value(self, name: str, values: Any = ()) -> Any:
        """What a statement of one row and one column finds."""
        return self._db.one(name, values)[0]

    def recent(self, now: float, window: float, most: int) -> list[float]:
        """Ages in seconds of the requests, `most` at most, that the server may still count."""
        return rows.ages_of(self._db.rows("recent", (most,)), now, window)

    def claim(
        self, after: int, count: int, owner: str = "", *, chosen: bool = False
    ) -> list[Chunk]:
        """The next chunks that are planned, with an id above `after`; those chosen for it alone."""
        make = partial(rows.chunk_of, self.header().event_id, owner)
        of = {"after": after, "count": count, "run": owner if chosen else None}
        return [*self._each(make, "claim", of)]

    def free(self) -> Iterator[Free]:
        """What is planned, in the order of the plan."""
        return self._db.rows("free")

    def addresses(self, chunk: int) -> tuple[str, ...]:
        """Whom a chunk is for."""
        with reading(self._db.path):
            return rows.unpack(self.value("addresses", (chunk,)))

    def command(self) -> Command:
        """What is wanted of the process that runs the job."""
        with reading(self._db.path):
            return Command(self.value("command"))

    def wanted(self) -> Wanted:
        """The same, and when it may send."""
        return Wanted(command=self.command(), schedule=self.header().schedule)

    def _each(
        self, make: Callable[[tuple[Any, ...]], T], name: str, values: Any = ()
    ) -> Iterator[T]:
        """What is made of each row; what nothing can be made of is damage."""
        for row in self._db.rows(name, values):
            with reading(self._db.path):
                made = make(row)
            yield made
