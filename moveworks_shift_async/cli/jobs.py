"""`moveworks-shift status`, `pause`, `stop` and `report`: a job is looked at, or told to wait."""

from __future__ import annotations

import json
from typing import Any

import click
from attrs import asdict

from ..errors import MoveworksError
from ..jobs.job import Job
from ..jobs.report.account import JobAccount
from ..jobs.report.lines import account_lines
from ..text import one_line, shell_word
from .failures import ExitCode, error_line, exit_code
from .schedule_options import plain_schedule, plain_time
from .shared_options import journal_argument, json_option, option
from .signals import cancel_on_signal, run_loop
from .terminal import note, show


@click.command()
@journal_argument
@json_option("STATUS")
def status(journal: str, as_json: bool) -> int:
    """Show how a job stands, also while it runs. Nothing is changed.

    The exit code is 0 whatever has become of the people.
    """
    show(account_text(run_loop(Job(journal).account()), as_json=as_json))
    return ExitCode.OK


@click.command()
@journal_argument
def pause(journal: str) -> int:
    """Let the process that runs a job send nothing more until `resume`.

    That process waits meanwhile. Exit code 2 if there is none.
    """
    run_loop(Job(journal).pause())
    note(f"pausing: requests in flight end, no others begin; {goes_on(journal)}")
    return ExitCode.OK


@click.command()
@journal_argument
def stop(journal: str) -> int:
    """Let the process that runs a job end; `resume` goes on.

    It ends as it does after Ctrl-C. Exit code 2 if there is none.
    """
    run_loop(Job(journal).stop())
    note(f"stopping: requests in flight end, and then that process; {goes_on(journal)}")
    return ExitCode.OK


@click.command()
@journal_argument
@option(
    "--csv",
    metavar="FILE",
    help="Write a row for each recipient, and for each entry left out, to a new CSV file.",
)
@option("--html", metavar="FILE", help="Write the account as one page to a new HTML file.")
@json_option("REPORT")
def report(journal: str, csv: str | None, html: str | None, as_json: bool) -> int:
    """Print what has become of everybody in a job.

    Both files are written or none, and none replaces one that is there. The exit code is 0 whatever
    has become of the people.
    """
    try:
        account = run_loop(_reported(Job(journal), csv, html))
    except MoveworksError as error:
        note(error_line(error, went_out="Nothing was written" if csv or html else None))
        return exit_code(error)
    if csv is not None:
        note(f"{one_line(csv)}: written, a row for each recipient and each entry left out")
    if html is not None:
        note(f"{one_line(html)}: written, one page")
    show(account_text(account, as_json=as_json))
    return ExitCode.OK


async def _reported(job: Job, csv: str | None, html: str | None) -> JobAccount:
    """Both files, or none: a Ctrl-C leaves none, so the command can be run again."""
    with cancel_on_signal("the disk"):
        return await job.write(csv=csv, page=html)


def account_text(account: JobAccount, *, as_json: bool = False) -> str:
    """All of it for stdout."""
    return json.dumps(plain_account(account)) if as_json else "\n".join(account_lines(account))


def goes_on(journal: str) -> str:
    """What goes on with a job that has begun."""
    return f"this goes on: moveworks-shift resume {shell_word(Job(journal).name)}"


def plain_account(account: JobAccount) -> dict[str, Any]:
    """The account as plain values: people, requests, seconds."""
    counts = ("people", "accepted", "rejected", "unknown", "left_alone", "resent", "not_sent",
              "in_flight", "excluded", "duplicates", "invalid", "chunks", "requests",
              "throttled", "running", "paused", "finished", "forgotten")  # fmt: skip
    return {
        **{name: getattr(account, name) for name in counts},
        "exclusions": [asdict(one) for one in account.exclusions],
        "seconds": round(account.elapsed, 3),
        **plain_schedule(account.schedule),
        "closed": account.closed,
        "opens_at": plain_time(account.opens_at),
        "errors": [
            {
                "outcome": "not_sent" if kind.state == "planned" else kind.state.value,
                "error": kind.error,
                "message": kind.message,
                "people": kind.people,
                "chunks": kind.chunks,
            }
            for kind in account.errors
        ],
    }
