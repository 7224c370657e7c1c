"""`moveworks-shift fleet init`, `worker` and `submit`: jobs on many machines."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import UTC
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from ..client import MoveworksClient
from ..errors import ConfigurationError
from ..jobs.report.sentences import moment
from ..jobs.store.names import check_lease
from ..jobs.store.postgres.run_store import LEASE_SECONDS
from ..jobs.store.postgres.store import PostgresStore
from ..text import install, one_line, plural
from .failures import ExitCode
from .schedule_options import ScheduleArguments, schedule_options
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


@fleet.command()
@journal_argument
@schedule_options
@option("--workers", metavar="N", type=click.IntRange(min=1), default=1, show_default=True,
        help="How many workers may work on it at once.")  # fmt: skip
def submit(journal: str, workers: int, **given: Any) -> int:
    """Hand a planned job to the workers of its database, for when it may be sent.

    To submit it twice is one submission. `status` shows how it stands, `stop` takes it back.
    """
    from ..fleet.submission import submit  # noqa: PLC0415 - see `fleet`

    store, when = PostgresStore.at(journal), ScheduleArguments.of(given)
    when.change()
    made = run_loop(submit(store, workers=workers, **when.given))
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
