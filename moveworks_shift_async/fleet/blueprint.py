"""A submitted job as a task of the engine, for an app of ours or of the user's own."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

from attrs import define
from procrastinate import Blueprint, JobContext
from procrastinate.exceptions import UniqueViolation
from procrastinate.jobs import Status
from procrastinate.manager import JobManager
from procrastinate.worker import Worker

from ..client import MoveworksClient
from ..errors import MoveworksError
from ..jobs.job import Job
from ..jobs.report.account import JobAccount
from ..text import covered, one_line, people
from .engine import CARE_QUEUE, QUEUE
from .policy import Again, GivenBack, may_pass
from .submission import WORK, close, is_open

logger: logging.Logger = logging.getLogger("moveworks_shift_async.fleet")

#: How often is looked for stalled tasks: seconds stand last.
EVERY_FIVE_SECONDS = "* * * * * */5"
# Seconds until the next try where the job's database was away, busy or full.
_LATER = 5.0
# Where the task finds its worker's wish to stop.
_STOPPING = "moveworks_shift_stopping"


def make_blueprint(
    url: str,
    client: Callable[[], MoveworksClient] = MoveworksClient.from_env,
    *,
    lease: float = 60.0,
) -> Blueprint:
    """The tasks of a fleet whose jobs are in the database at `url`, for an app of procrastinate.

    `app.add_tasks_from(make_blueprint(url), namespace="moveworks_shift")` makes
    `moveworks_shift:work`, which takes a job's name, `job="tonight"`, and works on it until nothing
    of it is planned. It needs workers on the queues `moveworks_shift` and `moveworks_shift_care`.
    A worker that stops lets requests in flight end and gives the job back. `lease` is for how many
    seconds a worker may be silent before others go on without it; let its heartbeat be quicker.
    Each call makes a new one, for an app renames the tasks that it takes.
    """
    blueprint = Blueprint()
    fleet = _Fleet(url, client, lease)

    @blueprint.task(
        name=WORK,
        queue=QUEUE,
        retry=Again(),
        pass_context=True,
        task_middleware=[_let_it_hear],
    )
    async def work(context: JobContext, job: str, submission: int | None = None) -> None:
        """Work on a job until nothing of it is planned."""
        await fleet.work(context.additional_context[_STOPPING], job, submission)

    @blueprint.periodic(cron=EVERY_FIVE_SECONDS)
    @blueprint.task(name="rescue", queue=CARE_QUEUE, queueing_lock="moveworks_shift:rescue",
                    pass_context=True)  # fmt: skip
    async def rescue(context: JobContext, timestamp: int) -> None:
        """Give the jobs of silent workers to others."""
        await _rescue(context.app.job_manager, work.name, context.task.name, lease)

    return blueprint


async def _let_it_hear(
    call_next: Callable[[], Awaitable[Any]], context: JobContext, worker: Worker
) -> Any:
    """Pass on that the worker stops: the engine itself would let the task go on for hours, without
    a heartbeat. It stops by a signal, or by itself where it has lost its connections.
    """
    context.additional_context[_STOPPING] = getattr(worker, "_stop_event", None) or asyncio.Event()
    return await call_next()


@define(eq=False, repr=False)
class _Fleet:
    _url: str
    _client: Callable[[], MoveworksClient]
    _lease: float

    async def work(self, stopping: asyncio.Event, name: str, number: int | None) -> None:
        """What the task does; raises what `Again` judges."""
        if stopping.is_set():
            raise GivenBack
        try:
            if number is not None and not await is_open(self._url, name, number):
                logger.info("%s: not wanted any more", covered(name))
                return
            logger.info("%s: begun", covered(name))
            await self._ended(await self._run(stopping, name), stopping, name, number)
        except GivenBack:
            raise
        except Exception as error:
            await self._failed(error, stopping, name, number)
            raise

    async def _run(self, stopping: asyncio.Event, name: str) -> JobAccount:
        job = Job(f"{self._url}#{name}")
        async with self._client() as client:
            with _draining(job, stopping):
                return await job.resume(client, lease=self._lease, stays=False)

    async def _ended(
        self, account: JobAccount, stopping: asyncio.Event, name: str, number: int | None
    ) -> None:
        shown, told = covered(name), f"{account.accepted:,} of {people(account.people)} accepted"
        if account.finished:
            logger.info("%s: finished, %s, %s unknown", shown, told, f"{account.unknown:,}")
        elif stopping.is_set():
            logger.info("%s: given back, %s so far", shown, told)
            raise GivenBack
        elif number is None or not await is_open(self._url, name, number):
            logger.info("%s: stopped by command, %s so far", shown, told)
            return
        elif account.opens_at is not None:
            logger.info("%s: %s, %s so far", shown, account.closed, told)
            raise GivenBack(account.opens_at)
        elif account.closed is not None:
            left = f"{people(account.not_sent)} not sent"
            logger.warning("%s: %s; %s, %s", shown, account.closed, told, left)
        else:  # something was planned again as this run ended
            raise GivenBack
        if number is not None:
            await close(self._url, name, number)

    async def _failed(
        self, error: Exception, stopping: asyncio.Event, name: str, number: int | None
    ) -> None:
        ours = isinstance(error, MoveworksError)
        said = one_line(error) if ours else f"unexpected {type(error).__name__}"
        if may_pass(error):
            logger.warning("%s: %s; it is tried again", covered(name), said)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), _LATER)
            return
        logger.error("%s: %s; correct that, and submit it again", covered(name), said)
        if number is not None:
            with contextlib.suppress(MoveworksError):  # then a later task meets the same
                await close(self._url, name, number)


@contextlib.contextmanager
def _draining(job: Job, stopping: asyncio.Event) -> Iterator[None]:
    async def drain() -> None:
        await stopping.wait()
        job.drain("the worker stops")

    waiting = asyncio.create_task(drain())
    try:
        yield
    finally:
        waiting.cancel()


async def _rescue(jobs: JobManager, work: str, rescue: str, silent: float) -> None:
    """Have the tasks of silent workers done by others, and drop what such a rescue left itself."""
    for job in await jobs.get_stalled_jobs(task_name=work, seconds_since_heartbeat=silent):
        try:
            await jobs.retry_job(job)
        except UniqueViolation:  # another task of it waits already
            await jobs.finish_job(job, Status.FAILED, delete_job=True)
        name = covered(job.task_kwargs.get("job"))
        logger.warning("%s: its worker was silent; given to another", name)
    for job in await jobs.get_stalled_jobs(task_name=rescue, seconds_since_heartbeat=silent):
        await jobs.finish_job(job, Status.FAILED, delete_job=True)
