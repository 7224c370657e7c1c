"""`moveworks-shift run` and `resume`: a job is sent."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

import click

from ..client import MoveworksClient
from ..clock import SYSTEM_CLOCK
from ..errors import MoveworksError
from ..jobs.job import Job
from ..jobs.report.account import JobAccount
from ..settings import MoveworksSettings
from ..text import people, plural
from .confirmation import confirm, destination
from .failures import ExitCode, error_line, exit_code, stopped_line, what_happened
from .foreground import Runnable, run_in_foreground
from .jobs import account_text, goes_on, plain_account
from .plan import sent_by
from .preflight import check_server
from .run_limits import RunLimits, end_line, run_limit_options
from .schedule_options import ScheduleArguments, ends_at, schedule_options
from .shared_options import (
    MOVEWORKS_EPILOG,
    journal_argument,
    json_option,
    lease_option,
    moveworks_settings,
    option,
    options,
    own_address,
    picked,
    rate_options,
    server_options,
    yes_option,
)
from .signals import run_loop
from .terminal import note, say

_run_options = options(
    option("--isolate", metavar="N", type=click.IntRange(min=0), default=0, show_default="none",
           help="Add at most N requests, in all runs together, to find the addresses for which"
                " a list is refused, and tell the others; one such address among 500 costs"
                " 18."),
    option("--moved", is_flag=True,
           help="Go on in a file that was copied, restored or moved to another disk. The job"
                " must not have gone on in another file since: whoever was told there is told"
                " again."),
    run_limit_options,
    schedule_options,
    lease_option,
    yes_option,
)  # fmt: skip


@click.command(epilog=MOVEWORKS_EPILOG)
@journal_argument
@_run_options
@option(
    "--test-to",
    metavar="ADDRESS",
    help="Send the first texts, at most three, to this address only, and the job to nobody.",
)
@json_option("RUN", lines=True)
@rate_options
@server_options
@click.pass_context
def run(
    context: click.Context, /, journal: str, test_to: str | None, isolate: int, moved: bool,
    lease: float | None, yes: bool, as_json: bool, **more: Any,
) -> int:  # fmt: skip
    """Send a job that was planned.

    It asks before more than 500 people; where nobody can be asked, as in cron, it takes --yes.
    Ctrl-C sends nothing more and lets requests in flight end; `resume` goes on. Exit codes: 0 all
    accepted; 2 usage or journal; 3 some rejected or not sent; 4 some unknown; 5 nobody told; 130
    interrupted.
    """
    if test_to is not None:
        test_to = own_address(test_to, "--test-to")  # a bad address comes before anything else
    limits = picked(RunLimits, more)
    settings, job = moveworks_settings(context), Job(journal)
    if test_to is not None:
        return _test(job, settings, test_to, as_json=as_json)
    when = ScheduleArguments.of(more)
    go = partial(job.run, isolate=isolate, moved=moved, lease=lease, **limits.arguments(),
                 **when.given)  # fmt: skip
    return _run(job, settings, go, limits, when, begins=True, yes=yes, as_json=as_json)


@click.command(epilog=MOVEWORKS_EPILOG)
@journal_argument
@option(
    "--unknown",
    type=click.Choice(["report", "resend", "skip"]),
    default="report",
    help="What becomes of people who may have been told or not: report keeps them for a later"
    " decision, resend sends to them again, and some may be told twice, skip leaves them for good,"
    " and a later resend is refused.",
)
@_run_options
@option(
    "--other-credential",
    is_flag=True,
    help="Go on with another client id or API key than the job was begun with.",
)
@json_option("RESUME", lines=True)
@rate_options
@server_options
@click.pass_context
def resume(
    context: click.Context, /, journal: str, unknown: Any, isolate: int, moved: bool,
    other_credential: bool, lease: float | None, yes: bool, as_json: bool, **more: Any,
) -> int:  # fmt: skip
    """Go on with a job that was interrupted, paused or stopped.

    Whoever was accepted is not told again. After runs for the first ones (--first) alone it asks
    before more than 500 people. If the job is paused in a process that still runs, it goes on
    there, and this command ends. Exit codes: as `run`.
    """
    limits, job = picked(RunLimits, more), Job(journal)
    if run_loop(job.go_on()):
        note("the pause has ended; the process that runs the job goes on, with its own options")
        return ExitCode.OK
    settings, when = moveworks_settings(context), ScheduleArguments.of(more)
    go = partial(job.resume, unknown=unknown, isolate=isolate, moved=moved,
                 other_credential=other_credential, lease=lease,
                 **limits.arguments(), **when.given)  # fmt: skip
    return _run(job, settings, go, limits, when, begins=False, yes=yes, as_json=as_json)


def _run(
    job: Job,
    settings: MoveworksSettings,
    go: Runnable,
    limits: RunLimits,
    when: ScheduleArguments,
    *,
    begins: bool,
    yes: bool,
    as_json: bool,
) -> int:
    account = run_loop(job.account())
    schedule = when.change().applied(account.schedule)
    requests = limits.requests(account)
    ends = ends_at(schedule, requests, settings.rate_limit)
    if not _agreed(account, settings, job.name, limits, ends, yes=yes):
        return ExitCode.INTERRUPTED
    # `run` refuses a job that has begun, so the server need not be asked.
    if (begins and account.runs) or schedule.is_over(SYSTEM_CLOCK.utcnow()):
        requests = 0
    return run_job(job, settings, go, as_json=as_json, requests=requests)


def _agreed(
    account: JobAccount,
    settings: MoveworksSettings,
    journal: str,
    limits: RunLimits,
    ends: str,
    *,
    yes: bool,
) -> bool:
    """Say what is about to be sent, where and until when, and ask before a large send.

    Once a run was for everybody, whoever goes on with it has been asked; an unfinished plan, and
    one with nobody left, need no question: the run says what to do.
    """
    if not (account.complete and account.not_sent):
        return True
    count, where = limits.most(account.not_sent), destination(account.event_id, settings)
    requests = plural(account.chunks_left, "request")
    if any(run.first is None for run in account.runs):
        if ends:
            note(f"{requests} left; {ends}")
        return True
    who = people(count) if count == account.people else f"{count:,} of {people(account.people)}"
    sends = f"{who}{f' in {requests}' if count == account.not_sent else ''}, {where}"
    note("; ".join(filter(None, (sends, ends))))
    if confirm(count, yes=yes, source=None):
        return True
    note(f"Nothing was sent; {goes_on(journal) if account.runs else sent_by(journal)}")
    return False


def run_job(
    job: Job,
    settings: MoveworksSettings,
    go: Runnable,
    *,
    as_json: bool,
    requests: int,
    lines: bool = True,
) -> int:
    """Run it, show its progress, print its account; the exit code."""
    ended = run_loop(
        run_in_foreground(job, settings, go, as_json=as_json and lines, requests=requests)
    )
    stopped = ended.stopped
    if as_json:
        why = ended.ending if stopped is None else what_happened(stopped)
        say(json.dumps(plain_account(ended.account) | {"stopped": why}))
    else:
        say(account_text(ended.account))
    if stopped is not None:
        nobody = not (ended.account.accepted or ended.account.unknown)
        note(stopped_line(stopped, job.name, nobody=nobody, begun=bool(ended.account.runs)))
    elif not ended.interrupted and (line := end_line(ended.account, job.name, ended.ending)):
        note(line)
    return ended.exit_code()


def _test(job: Job, settings: MoveworksSettings, address: str, *, as_json: bool) -> int:
    """Send the first texts to one address; a Ctrl-C cannot know whether they went out."""
    try:
        sent = run_loop(_sent(job, settings, address))
    except KeyboardInterrupt:
        note("Error: interrupted. The test may have been sent or not. Nobody else was told.")
        return ExitCode.INTERRUPTED
    except MoveworksError as error:
        note(error_line(error, went_out="Nobody but the address of --test-to can have been told"))
        return exit_code(error)
    note(f"test: {plural(sent, 'request')} to the address of --test-to only; nobody else was told,"
         " and the journal is as it was")  # fmt: skip
    if as_json:
        say(json.dumps({"test": True, "requests": sent}))
    return ExitCode.OK


async def _sent(job: Job, settings: MoveworksSettings, address: str) -> int:
    async with MoveworksClient.of(settings) as client:
        await check_server(client, 1)
        return len(await job.test(client, address))
