"""`moveworks-shift jobs`: the jobs of a database, and what is forgotten of one."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import click
from attrs import asdict

from ..clock import SYSTEM_CLOCK
from ..jobs.report.sentences import moment, standing_of
from ..jobs.store.postgres.listing import StoredJob, forget, list_jobs
from ..jobs.store.postgres.store import PostgresStore
from ..text import covered, one_line
from .failures import ExitCode
from .shared_options import database_argument, json_option, option
from .signals import run_loop
from .terminal import note, show


@click.command()
@database_argument
@option(
    "--forget",
    "forgotten",
    metavar="NAME",
    allow_from_autoenv=False,
    help="Remove the texts and the addresses of this job for good, and keep its numbers.",
)
@json_option("JOBS")
def jobs(url: str, forgotten: str | None, as_json: bool) -> int:
    """List the jobs in a database with their state, oldest first.

    With --forget nothing is listed. Counts are people.
    """
    if forgotten is not None:
        return _forget(PostgresStore.at(f"{url}#{forgotten}"))
    found = run_loop(list_jobs(url))
    if as_json:
        show(json.dumps([_plain(job) for job in found]))
    elif found:
        show("\n".join(_table(found)))
    else:
        note("no jobs")
    return ExitCode.OK


def _forget(store: PostgresStore) -> int:
    done = run_loop(forget(store, SYSTEM_CLOCK.utcnow().timestamp()))
    what = "texts and addresses are removed" if done else "texts and addresses were removed before"
    note(f"{one_line(store.name)}: {what}; its numbers stay. Backups may still hold them")
    return ExitCode.OK


def _plain(job: StoredJob) -> dict[str, object]:
    times = {
        name: _time(getattr(job, name)) for name in ("planned_at", "forgotten_at", "submitted_for")
    }
    return asdict(job) | times | {"state": standing_of(job), "finished": job.finished}


def _time(at: float | None) -> str | None:
    return None if at is None else datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")


def _table(found: list[StoredJob]) -> list[str]:
    head = ("job", "state", "people", "accepted", "rejected", "unknown", "not sent", "planned",
            "submitted for")  # fmt: skip
    table = [head, *map(_row, found)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return ["  ".join(map(_cell, row, widths, range(len(row)))).rstrip() for row in table]


def _row(job: StoredJob) -> tuple[str, ...]:
    counts = (job.people, job.accepted, job.rejected, job.unknown, job.not_sent)
    times = map(_moment, (job.planned_at, job.submitted_for))
    return (covered(job.name), standing_of(job), *(f"{count:,}" for count in counts), *times)


def _moment(at: float | None) -> str:
    return "" if at is None else moment(datetime.fromtimestamp(at, UTC))


def _cell(text: str, width: int, column: int) -> str:
    """Counts stand at the right."""
    return text.rjust(width) if 2 <= column <= 6 else text.ljust(width)
