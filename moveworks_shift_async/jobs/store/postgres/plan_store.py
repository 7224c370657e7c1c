"""`PlanStore` on a database: chunks come by COPY, compressed in threads."""

from __future__ import annotations

import contextlib
import hashlib
import json
import secrets
import threading
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from attrs import define, evolve, field

from ....clock import SYSTEM_CLOCK
from ....errors import InvalidInput, JobRunning, JournalError
from ....storage.postgres import Connection, connect, connected, reporting
from ...records import Header
from ...threads import in_thread
from ..ports import PlanBatch
from ..rows import header_values, pack, pack_left_out
from .account_store import header_of
from .statements import row, run, sql, value

# zlib lets go of the interpreter, so threads are enough; more than two wait for the first one.
_PACKERS = 2
# Looks at whether another planner is still there, a tenth of a second apart: the server hears of
# the end of one with a delay.
_LOOKS = 20


@define(eq=False, repr=False)
class PostgresPlanStore:
    """Has the name for as long as its connection lasts; nobody runs what is not complete."""

    _url: str
    #: As the user may read it.
    _name: str
    _connection: Connection
    _job: int = 0
    _digest: Any = field(factory=hashlib.sha256, init=False)
    _packers: ThreadPoolExecutor = field(
        factory=lambda: ThreadPoolExecutor(_PACKERS, thread_name_prefix="pack"), init=False
    )

    @classmethod
    async def create(cls, url: str, name: str, shown: str, header: Header) -> PostgresPlanStore:
        """A new job, in the place of one whose planning broke off."""
        async with reporting(url):
            store = cls(url, shown, await connect(url, 0))
            try:
                await store._begin(name, header)
            except BaseException:
                store.close()
                raise
        return store

    async def _begin(self, name: str, header: Header) -> None:
        await self._take(name)
        async with self._connection.transaction():
            await run(self._connection, "drop_unfinished", (name,))
            if await row(self._connection, "job", (name,)) is not None:
                raise JournalError(
                    f"{self._name} holds a job already: go on with it (resume), or name another"
                )
            key = secrets.token_hex(16)
            values = header_values(header) | {"name": name, "key": key}
            self._job = await value(self._connection, "add_job", values)
        self._digest.update(f"{header.event_id}\0".encode())

    async def _take(self, name: str) -> None:
        for _ in range(_LOOKS):
            if await value(self._connection, "lock_plan", (name,)):
                return
            await SYSTEM_CLOCK.sleep(0.1)
        raise JobRunning(f"{self._name} is just being planned by another process")

    async def write(self, batch: PlanBatch) -> None:
        """One transaction."""
        packed = await in_thread(lambda: self._packed(batch.chunks), threading.Event())
        async with reporting(self._url), self._connection.transaction():
            for number, content in batch.texts:
                if "\0" in content.message:
                    raise InvalidInput("a message holds a NUL, which PostgreSQL cannot keep")
                context = None if content.context is None else json.dumps(dict(content.context))
                text = (number, content.message, context)
                odd = batch.odd.get(number)
                await run(self._connection, "add_content", (self._job, *text, odd))
                self._digest.update(json.dumps(text).encode())
            await self._copy(batch, packed)
            for some in batch.left_out:
                data = pack_left_out(some.entries)
                await run(self._connection, "add_left_out", (self._job, some.why, data))

    async def _copy(self, batch: PlanBatch, packed: Sequence[bytes]) -> None:
        async with self._copying("copy_chunks") as copy:
            for number, (text, people) in enumerate(batch.chunks, batch.first):
                await copy.write_row((self._job, number, text, len(people)))
        async with self._copying("copy_addresses") as copy:
            for number, data in enumerate(packed, batch.first):
                await copy.write_row((self._job, number, data))
                self._digest.update(data)

    @contextlib.asynccontextmanager
    async def _copying(self, name: str) -> AsyncIterator[Any]:
        async with self._connection.cursor() as cursor, cursor.copy(sql(name)) as copy:
            yield copy

    async def complete(self, header: Header) -> Header:
        """Fix its numbers and its digest."""
        whole = evolve(header, digest=self._digest.hexdigest())
        async with reporting(self._url):
            async with self._connection.transaction():
                await run(self._connection, "complete", header_values(whole) | {"job": self._job})
            return await header_of(self._connection, self._job)

    async def discard(self) -> None:
        """Remove the job; on a new connection, whatever this one is in the middle of."""
        self.close()
        async with connected(self._url) as connection:
            await connection.execute("DELETE FROM job WHERE id = %s", (self._job,))

    def close(self) -> None:
        """Let go of the connection, and so of the name."""
        self._connection.pgconn.finish()
        self._packers.shutdown(wait=False)

    def _packed(self, chunks: Sequence[tuple[int, Sequence[str]]]) -> list[bytes]:
        return [*self._packers.map(pack, (people for _, people in chunks))]
