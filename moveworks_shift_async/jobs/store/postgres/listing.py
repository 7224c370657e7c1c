"""The jobs of a database: listed, and forgotten but for their numbers."""

from __future__ import annotations

from typing import Any

from attrs import frozen

from ....errors import JobRunning
from ....storage.postgres import connected, snapshot
from .lease import alive
from .statements import Row, rows, run, value
from .store import PostgresStore


@frozen(kw_only=True)
class StoredJob:
    """How one job stands, in counts of people."""

    name: str
    complete: bool
    #: Seconds since 1970 in UTC.
    planned_at: float
    #: When its texts and addresses were removed; None: they are there.
    forgotten_at: float | None
    #: From when the workers of a fleet may have it; None: they do not have it.
    submitted_for: float | None
    paused: bool
    running: bool
    #: A process has worked on it.
    begun: bool
    people: int
    accepted: int
    rejected: int
    unknown: int
    #: The unknown of whom the user has not said that they stay so.
    undecided: int
    not_sent: int
    #: Those whom a run that goes on would still send to.
    ahead: int

    @property
    def finished(self) -> bool:
        """Nothing is left to send."""
        return self.complete and not self.ahead


async def list_jobs(url: str) -> list[StoredJob]:
    """All of one moment, in the order of their plans; `JournalError` if there are no tables."""
    async with connected(url) as connection, snapshot(connection):
        return [_stored(found) for found in await rows(connection, "jobs")]


def _stored(found: Row) -> StoredJob:
    names = ("name", "complete", "planned_at", "forgotten_at", "submitted_for", "paused",
             "running", "begun")  # fmt: skip
    counts = ("people", "accepted", "rejected", "unknown", "undecided", "not_sent", "ahead")
    values: dict[str, Any] = dict(zip((*names, *counts), found, strict=True))
    return StoredJob(**values | {name: int(values[name]) for name in counts})


async def forget(store: PostgresStore, at: float) -> bool:
    """Remove its texts and addresses for good; False: that was done before.

    Raises `JobRunning` while somebody plans or runs it.
    """
    number = await store.number()
    async with connected(store.url) as connection:
        if not await value(connection, "lock_plan", (store.job,)):
            raise JobRunning(f"{store.name} is just being planned by another process")
        async with connection.transaction():
            await run(connection, "lock_job", (number,))
            if await alive(connection, number):
                raise JobRunning(f"{store.name} is being run; stop it first")
            return await run(connection, "forget", {"job": number, "at": at}) == 1
