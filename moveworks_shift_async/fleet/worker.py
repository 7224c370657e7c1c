"""The process that takes jobs from the queue until it is told to stop.

The engine's worker ends by itself where its connections are lost, so it is begun anew, for ever.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable

import procrastinate
from attrs import define, field

from ..client import MoveworksClient
from ..clock import SYSTEM_CLOCK
from ..storage.database_url import without_password
from ..storage.postgres import reporting
from .blueprint import EVERY_FIVE_SECONDS, make_blueprint
from .engine import CARE_QUEUE, NAMESPACE, QUEUE, both, make_app
from .submission import sweep
from .tables import check_engine

logger: logging.Logger = logging.getLogger("moveworks_shift_async.fleet")

# Heartbeats in the time of a lease.
_BEATS = 6
# Seconds between two tries.
_AGAIN = 1.0


async def run_worker(
    url: str, client: Callable[[], MoveworksClient], *, lease: float, stopping: asyncio.Event
) -> None:
    """Work on one job after the other until `stopping`; then requests in flight end.

    Raises `JournalError` if the database cannot be used as it begins, and waits for it later.
    """
    async with both(url) as connection:
        await check_engine(connection, url)
    app = make_app(url)
    app.add_tasks_from(make_blueprint(url, client, lease=lease), namespace=NAMESPACE)
    async with reporting(url):
        await app.open_async()
    try:
        logger.info("ready for the jobs of %s", without_password(url))
        await _Worker(app, url, lease, stopping).work()
        logger.info("stopped")
    finally:
        with contextlib.suppress(procrastinate.exceptions.ConnectorException):
            await app.close_async()


@define(eq=False, repr=False)
class _Worker:
    _app: procrastinate.App
    _url: str
    _lease: float
    _stopping: asyncio.Event
    #: The queue cannot be reached just now.
    _away: bool = field(default=False, init=False)

    async def work(self) -> None:
        """The jobs wait for each other, and what looks after them for none."""
        self._add_sweep()
        async with asyncio.TaskGroup() as tasks:
            queues = [tasks.create_task(self._keep(queue)) for queue in (QUEUE, CARE_QUEUE)]
            await self._stopping.wait()
            logger.info("stopping: requests in flight end")
            for queue in queues:
                queue.cancel()

    async def _keep(self, queue: str) -> None:
        """Run the engine's worker, again and again."""
        while not self._stopping.is_set():
            try:
                await self._app.run_worker_async(
                    queues=[queue],
                    concurrency=1,
                    install_signal_handlers=False,  # its own would not tell the task
                    delete_jobs="successful",
                    update_heartbeat_interval=self._lease / _BEATS,
                    stalled_worker_timeout=self._lease,
                )
            except Exception as error:
                if not (self._away or self._stopping.is_set()):
                    logger.warning("the queue is away (%s); waiting", type(error).__name__)
                self._away = True
            await SYSTEM_CLOCK.sleep(_AGAIN)

    def _add_sweep(self) -> None:
        name = f"{NAMESPACE}:sweep"

        @self._app.periodic(cron=EVERY_FIVE_SECONDS)
        @self._app.task(name=name, queue=CARE_QUEUE, queueing_lock=name)
        async def again(timestamp: int) -> None:
            """Submissions whose tasks were lost get new ones."""
            if self._away:
                logger.info("the queue is there again")
            self._away = False
            if count := await sweep(self._url):
                logger.warning("%d submitted jobs had no task; given to the workers again", count)
