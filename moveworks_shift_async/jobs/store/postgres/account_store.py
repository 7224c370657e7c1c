"""`AccountStore` on a database: each look is of one moment."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import TypeVar

from attrs import frozen

from ....errors import JournalError
from ....storage.postgres import Connection, Work, connected, read_surely, snapshot
from ....wire.moveworks import Content
from ...left_out import LeftOut
from ...records import ChunkRecord, Command, Event, Header, Run, Total
from .. import rows as made
from ..ports import Audience, JobState, PlannedText
from .lease import alive
from .statements import row, rows, sql, value, values

T = TypeVar("T")

# Chunks read in one go: 32,000 addresses at most, some MB.
_CHUNKS = 64
# Texts read in one go: 10 MB at most, for a message has 20,000 characters.
_TEXTS = 128


@frozen(eq=False, repr=False)
class PostgresAccountStore:
    """A job by its number, with a connection for each look."""

    _url: str
    _job: int
    #: As the user may read it.
    _name: str
    #: For a run, which waits for a server that is away; else whoever looks hears of it.
    _waits: bool = False

    async def state(self) -> JobState:
        """How everything stands."""
        return await self._read(self._state)

    async def _state(self, connection: Connection) -> JobState:
        job = (self._job,)
        return JobState(
            name=self._name,
            header=await header_of(connection, self._job),
            records=await values(connection, ChunkRecord, "records", job),
            totals=await values(connection, Total, "totals", job),
            runs=await values(connection, Run, "runs", job),
            events=await values(connection, Event, "events", job),
            command=Command(await value(connection, "command", job)),
            alive=await alive(connection, self._job),
            submitted=bool(await value(connection, "is_submitted", job)),
            stray=None,
            now=await value(connection, "now"),
        )

    async def texts(self, count: int) -> list[tuple[Content, int]]:
        """The first texts."""
        return await self._read(partial(self._texts, count))

    async def _texts(self, count: int, connection: Connection) -> list[tuple[Content, int]]:
        header = await header_of(connection, self._job)
        if header.forgotten_at is not None:
            return []
        found = await rows(connection, "texts", (self._job, count))
        return [(made.content_of(header.event_id, *text), int(people)) for *text, people in found]

    async def _read(self, read: Work[T]) -> T:
        if self._waits:
            return await read_surely(self._url, read)
        async with connected(self._url) as connection, snapshot(connection):
            return await read(connection)

    async def whole_header(self) -> Header:
        """The header of a whole plan."""
        async with connected(self._url) as connection, snapshot(connection):
            return await verify(connection, self._job, self._name)

    async def planned_texts(self) -> AsyncGenerator[Sequence[PlannedText]]:
        """Every text."""
        last = -1
        async with connected(self._url) as connection, snapshot(connection):
            event_id = (await header_of(connection, self._job)).event_id
            await self._check_kept(connection)
            while found := await rows(connection, "planned_texts", (self._job, last, _TEXTS)):
                last = found[-1][0]
                yield [made.planned_text_of(event_id, text) for text in found]

    async def audiences(self, texts: Sequence[int]) -> dict[int, Audience]:
        """Whom these texts are for."""
        async with connected(self._url) as connection:
            found = await rows(connection, "audiences", (self._job, [*texts]))
        return dict(map(made.audience_of, found))

    async def verify(self) -> None:
        """It is whole: the database itself sees to it that nothing changes unseen."""
        async with connected(self._url) as connection, snapshot(connection):
            await verify(connection, self._job, self._name)

    async def recipients(self) -> AsyncGenerator[Sequence[tuple[int, tuple[str, ...]]]]:
        """Whom each chunk is for."""
        last = -1
        async with connected(self._url) as connection, snapshot(connection):
            await self._check_kept(connection)
            while some := await rows(connection, "recipients", (self._job, last, _CHUNKS)):
                last = some[-1][0]
                yield [(chunk, made.unpack(packed)) for chunk, packed in some]

    async def left_out(self) -> AsyncGenerator[LeftOut]:
        """The entries that are for nobody."""
        async with (
            connected(self._url) as connection,
            snapshot(connection),
            connection.cursor("left_out") as cursor,
        ):
            await self._check_kept(connection)
            cursor.itersize = _CHUNKS
            await cursor.execute(sql("left_out"), (self._job,))
            async for found in cursor:
                yield made.left_out_of(found)

    async def _check_kept(self, connection: Connection) -> None:
        check_kept(await header_of(connection, self._job), self._name)


async def header_of(connection: Connection, job: int) -> Header:
    """What the job is; `JournalError` if it was removed meanwhile."""
    found = await row(connection, "header", (job,))
    if found is None:
        raise JournalError("the job was removed")
    return made.value_of(Header, found)


def check_kept(header: Header, name: str) -> None:
    """Raise `JournalError` if its texts and addresses were removed."""
    if header.forgotten_at is not None:
        on = datetime.fromtimestamp(header.forgotten_at, UTC).strftime("%Y-%m-%d")
        raise JournalError(
            f"the texts and addresses of {name} were removed on {on}: its numbers are all there is,"
            " and nobody can be sent to from it"
        )


async def verify(connection: Connection, job: int, name: str) -> Header:
    """The header, if the plan is whole."""
    header = await header_of(connection, job)
    check_kept(header, name)
    if not header.complete:
        raise JournalError(
            f"the planning of {name} was interrupted; nothing was sent: plan it again"
        )
    found = await row(connection, "planned_people", (job,))
    if found != (header.chunks, header.people, header.chunks):
        raise JournalError(
            f"{name} does not hold all that was planned: a part of it was lost; nothing more is"
            " sent from it"
        )
    return header
