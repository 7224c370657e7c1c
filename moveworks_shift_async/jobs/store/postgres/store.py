"""A job in a PostgreSQL database as a store."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator

from attrs import field, frozen

from ....errors import JournalError
from ....storage.database_url import without_password
from ....storage.postgres import connected, conninfo
from ....storage.postgres_errors import driver
from ...records import Command, Header
from .account_store import PostgresAccountStore
from .plan_store import PostgresPlanStore
from .run_store import LEASE_SECONDS, PostgresRunStore
from .statements import row, run, sql


@frozen
class PostgresStore:
    """`Store` for `postgresql://host/database#job`."""

    url: str = field(repr=False)
    job: str
    lease: float = LEASE_SECONDS
    #: A plan sorts in the system's own folder.
    scratch: None = None

    @classmethod
    def at(cls, name: str) -> PostgresStore:
        """`JournalError` if no job is named."""
        url, _, job = name.rpartition("#")
        # With an @ in it, it may be a part of a password.
        if not url or not job.strip() or not job.isprintable() or "@" in job:
            raise JournalError(
                "this URL names no job; a job is named behind it, without # and @:"
                " postgresql://host/database#name"
            )
        return cls(url, job)

    @property
    def name(self) -> str:
        """As the user gave it, without a password."""
        return f"{without_password(self.url)}#{self.job}"

    async def plan(self, header: Header) -> PostgresPlanStore:
        """A new job."""
        return await PostgresPlanStore.create(self.url, self.job, self.name, header)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncGenerator[PostgresRunStore]:
        """Take part in it."""
        store = PostgresRunStore(self.url, await self.number(), self.name, self.lease)
        await store.open()
        try:
            yield store
        finally:
            await store.close()

    @contextlib.asynccontextmanager
    async def reading(self, *, addresses: bool = True) -> AsyncGenerator[PostgresAccountStore]:
        """Look at it."""
        yield PostgresAccountStore(self.url, await self.number(), self.name)

    async def exists(self) -> bool:
        """Look for its name."""
        return await self._number() is not None

    def remove(self) -> None:
        """Delete it; in this thread, as no event loop may be there."""
        psycopg = driver()
        with contextlib.suppress(psycopg.Error), psycopg.connect(**conninfo(self.url, 0)) as one:
            one.execute(sql("remove"), (self.job,))

    async def ask(self, command: Command, at: float) -> bool:
        """Write it into the job, where every run of it looks; a fleet loses what is to stop."""
        number = await self.number()
        values = {"command": command, "job": number}
        async with connected(self.url) as connection, connection.transaction():
            asked = await run(connection, "set_command", values) == 1
            if command is Command.STOP:
                await run(connection, "take_back", values)
        return asked

    async def number(self) -> int:
        """Of the job in the tables; `JournalError` if there is none."""
        number = await self._number()
        if number is None:
            raise JournalError(f"there is no job {self.name}; make one with a plan")
        return number

    async def _number(self) -> int | None:
        async with connected(self.url) as connection:
            found = await row(connection, "job", (self.job,))
        return None if found is None else int(found[0])
