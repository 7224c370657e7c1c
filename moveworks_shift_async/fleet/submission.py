"""Which jobs are handed to the workers: our table says it, and the engine gets tasks for it."""

from __future__ import annotations

from datetime import datetime

import procrastinate
from attrs import frozen

from ..clock import SYSTEM_CLOCK
from ..errors import InvalidInput, JournalError
from ..jobs.schedule.change import ScheduleChange, When, Windows
from ..jobs.schedule.schedule import Schedule
from ..jobs.store.postgres.account_store import header_of
from ..jobs.store.postgres.statements import run, set_schedule
from ..jobs.store.postgres.store import PostgresStore
from ..storage.postgres import Connection
from .engine import NAMESPACE, QUEUE, both, row, sql
from .tables import check_engine

# Names of the tasks have no namespace in a blueprint.
WORK = "work"


@frozen(kw_only=True)
class Submission:
    """A job that the workers have."""

    #: False: it was submitted before, and nothing was changed.
    new: bool
    not_before: datetime
    #: How many may work on it at once.
    workers: int


async def submit(
    store: PostgresStore,
    *,
    window: Windows | None = None,
    at: When | None = None,
    not_after: When | None = None,
    workers: int = 1,
) -> Submission:
    """Hand a planned job to the workers; once, however often it is asked for.

    They begin when it may be sent: `window`, `at` and `not_after` are as in `Job.run`, and kept in
    the job. Raises `JournalError` for a job of which nothing can be sent.
    """
    change = ScheduleChange.of(SYSTEM_CLOCK.utcnow(), window, at, not_after)
    async with both(store.url) as connection, connection.transaction():
        await check_engine(connection, store.url)
        job = await _sendable(connection, store)
        schedule = change.applied((await header_of(connection, job)).schedule)
        opens = await _opens(connection, schedule)
        # A pause or a stop was for those who had it before.
        await run(connection, "forget_command", {"job": job})
        number = await row(connection, "submit", {"job": job, "at": opens, "workers": workers})
        not_before, allowed = await row(connection, "submitted", (job,)) or (opens, workers)
        if number is not None:
            if change:
                await set_schedule(connection, job, schedule)
            await _defer(connection, store.job, number[0], not_before, workers)
    return Submission(new=number is not None, not_before=not_before, workers=allowed)


async def _opens(connection: Connection, schedule: Schedule) -> datetime | None:
    """From when the workers may have it, by the database's time; None: nothing says so."""
    now = await _now(connection)
    opens = schedule.opens(now)
    if opens is None:
        raise InvalidInput(f"nothing could be sent: {schedule.why_closed(now)}")
    return opens if opens > now else schedule.not_before


async def _sendable(connection: Connection, store: PostgresStore) -> int:
    number, complete, forgotten, left = await row(connection, "job", (store.job,)) or [None] * 4
    if number is None:
        raise JournalError(f"there is no job {store.name}; make one with a plan")
    if forgotten:
        raise JournalError(f"the texts and addresses of {store.name} were removed")
    if not complete:
        raise JournalError(f"the planning of {store.name} was interrupted; plan it again")
    if not left:
        raise JournalError(f"nothing of {store.name} is left to send; see its account (report)")
    return int(number)


async def _defer(connection: Connection, job: str, number: int, at: datetime, workers: int) -> None:
    """One task for each worker that may work on it, in the transaction of the submission."""
    app = procrastinate.App(connector=procrastinate.PsycopgConnector())
    for place in range(workers):
        lock = f"{job}/{number}/{place}"
        task = app.configure_task(
            f"{NAMESPACE}:{WORK}",
            queue=QUEUE,
            lock=lock,
            queueing_lock=lock,
            schedule_at=at,
            connection=connection,
        )
        await task.defer_async(job=job, submission=number)


async def is_open(url: str, job: str, number: int) -> bool:
    """Whether nobody has ended or stopped it."""
    async with both(url) as connection:
        return await row(connection, "is_open", (job, number)) is not None


async def close(url: str, job: str, number: int) -> None:
    """Nothing more is to be done for it, unless others are at work on it still."""
    async with both(url) as connection:
        await connection.execute(sql("close"), {"job": job, "number": number})


async def sweep(url: str) -> int:
    """Give tasks to open submissions whose tasks were lost or have failed; how many those were."""
    async with both(url) as connection, connection.transaction():
        found = await connection.execute(sql("without_task"), {"queue": QUEUE})
        lost = await found.fetchall()
        for job, number, workers in lost:
            await _defer(connection, job, number, await _now(connection), workers)
    return len(lost)


async def _now(connection: Connection) -> datetime:
    found = await (await connection.execute("SELECT clock_timestamp()")).fetchone()
    assert found is not None  # noqa: S101 - for the type checker
    now: datetime = found[0]
    return now
