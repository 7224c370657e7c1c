"""`moveworks-shift fleet init`, `worker` and `submit`: jobs on many machines."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from ..client import MoveworksClient
from ..clock import SYSTEM_CLOCK
from ..errors import ConfigurationError
from ..jobs.report.sentences import moment
from ..jobs.store.names import check_lease
from ..jobs.store.postgres.run_store import LEASE_SECONDS
from ..jobs.store.postgres.store import PostgresStore
from ..text import install, one_line, plural
from .failures import ExitCode
from .shared_options import (
    MOVEWORKS_EPILOG,
    database_argument,
    journal_argument,
    lease_option,
    moveworks_settings,
    option,
    rate_options,
    server_options,
)
from .signals import on_signal, run_loop
from .terminal import note, show

if TYPE_CHECKING:
    from ..fleet.tables import Made


@click.group()
def fleet() -> None:
    """Jobs on many machines."""
    try:
        import procrastinate  # noqa: F401, PLC0415 - of the extra `fleet`
    except ImportError:
        command = install('"procrastinate>=3.10"', '"psycopg[binary,pool]>=3.2"')
        raise ConfigurationError(f"a fleet needs what is not installed: {command}") from None


@fleet.command()
@database_argument
def init(url: str) -> int:
    """Make the tables in the database at URL, or bring them up to date.

    It may be run again at any time. What roles need is printed as SQL on stdout.
    """
    from ..fleet.tables import grants, make_fleet  # noqa: PLC0415 - see `fleet`

    _say_made(run_loop(make_fleet(url)))
    show(grants())
    return ExitCode.OK


def _say_made(made: Made) -> None:
    note(f"tables of jobs: {'made' if made.ours else 'there already'}")
    engine = f"tables of procrastinate {made.release}"
    if made.engine:
        note(f"{engine}: made")
    elif made.migrations:
        note(f"{engine}: brought up to date by {plural(made.migrations, 'change')}")
    else:
        note(f"{engine}: there already")


class _Time(click.ParamType):  # type: ignore[type-arg]  # click 8.2 knows no argument
    name = "time"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime:
        now = SYSTEM_CLOCK.utcnow().astimezone()
        try:
            if len(value) == 5:  # the next time that a clock here shows it
                days = (now.date() + timedelta(days=later) for later in range(2))
                times = [datetime.fromisoformat(f"{day}T{value}").astimezone() for day in days]
                return times[0] if times[0] > now else times[1]
            return datetime.fromisoformat(value).astimezone()
        except ValueError:
            self.fail("a time is 22:30, 2026-05-14T22:30 or 2026-05-14T22:30+02:00", param, ctx)


@fleet.command()
@journal_argument
@option(
    "--at",
    metavar="TIME",
    type=_Time(),
    help="Not before this time: 22:30, or 2026-05-14T22:30, with +02:00 where it is not local.",
)
@option("--workers", metavar="N", type=click.IntRange(min=1), default=1, show_default=True,
        help="How many workers may work on it at once.")  # fmt: skip
def submit(journal: str, at: datetime | None, workers: int) -> int:
    """Hand a planned job to the workers of its database, now or at a time.

    To submit it twice is one submission. `status` shows how it stands, `stop` takes it back.
    """
    from ..fleet.submission import submit  # noqa: PLC0415 - see `fleet`

    store = PostgresStore.at(journal)
    made = run_loop(submit(store, at=at, workers=workers))
    what = "submitted" if made.new else "it was submitted before, and nothing was changed:"
    who = plural(made.workers, "worker")
    note(f"{one_line(store.name)}: {what} to {who}, from {moment(made.not_before.astimezone(UTC))}")
    return ExitCode.OK


@fleet.command(epilog=MOVEWORKS_EPILOG)
@database_argument
@lease_option
@rate_options
@server_options
@click.pass_context
def worker(context: click.Context, /, url: str, lease: float | None, **_: Any) -> int:
    """Work on the submitted jobs of the database at URL, one after the other, until a signal.

    SIGTERM and Ctrl-C let requests in flight end, and another worker goes on with the job; a second
    one cuts them, and leaves their people unknown. One line on stderr tells of each event.
    """
    from ..fleet.worker import run_worker  # noqa: PLC0415 - see `fleet`

    seconds = LEASE_SECONDS if lease is None else lease
    check_lease(seconds)
    client = partial(MoveworksClient.of, moveworks_settings(context))
    with _told():
        run_loop(_until_signal(partial(run_worker, url, client, lease=seconds)))
    return ExitCode.OK


async def _until_signal(work: Callable[..., Awaitable[None]]) -> None:
    stopping = asyncio.Event()

    def pressed() -> None:
        if stopping.is_set():
            note("left at once: what was in flight is unknown, as others will see")
            os._exit(ExitCode.INTERRUPTED)
        stopping.set()

    with on_signal(asyncio.get_running_loop(), pressed):
        await work(stopping=stopping)


class _Notes(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        note(record.getMessage())


@contextmanager
def _told() -> Iterator[None]:
    """What the worker logs, as lines on stderr."""
    logger, lines = logging.getLogger("moveworks_shift_async.fleet"), _Notes()
    logger.addHandler(lines)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(lines)
