"""`moveworks-shift send`."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import click
from attrs import evolve, field, frozen

from ..errors import InvalidInput, JournalError
from ..jobs.job import Job
from ..jobs.left_out import Exclusion
from ..jobs.plan.plan import Plan
from ..jobs.plan.rejects import not_addresses
from ..settings import MoveworksSettings
from ..sources import open_recipients
from .confirmation import confirm, destination, summary
from .failures import ExitCode
from .foreground import run_in_foreground
from .line_numbers import Reopen
from .message_options import message_options
from .plan import PlanArguments, make_plan, sent_by, show_plan
from .run import run_job
from .send_account import SendAccount, conclude, invalid_rows, read_send
from .shared_options import (
    MOVEWORKS_EPILOG,
    json_option,
    moveworks_settings,
    option,
    own_address,
    picked,
    rate_options,
    server_options,
    yes_option,
)
from .signals import run_loop
from .temporary import temporary_journal
from .terminal import note, show


@frozen(kw_only=True)
class _SendOptions:
    """What was asked for, apart from the settings."""

    plan: PlanArguments
    test_to: str | None = field(repr=False)
    dry_run: bool
    yes: bool
    as_json: bool

    def test(self) -> PlanArguments:
        """The same to the address of --test-to alone."""
        me = (self.test_to or "",)
        return evolve(self.plan, recipients=me, column=None, encoding=None, exclude=())

    @property
    def file(self) -> Reopen | None:
        """Where the people stand, if it can be read twice."""
        path = self.plan.recipients
        if self.test_to is not None or not isinstance(path, str) or not Path(path).is_file():
            return None
        return partial(open_recipients, path, self.plan.column, encoding=self.plan.encoding)


@click.command(epilog=MOVEWORKS_EPILOG)
@message_options
@option("--dry-run", is_flag=True, help="Show what would be sent, and send nothing.")
@option("--test-to", metavar="ADDRESS", help="Send to this address only.")
@option(
    "--journal",
    metavar="FILE",
    help="Make it a job in this new file, which can be resumed: plan and run in one.",
)
@yes_option
@json_option("SEND")
@rate_options
@server_options
@click.pass_context
def send(context: click.Context, /, *, journal: str | None, **given: Any) -> int:
    """Send one message to everybody in a file.

    `plan` and `run` do it as a job that can be resumed, with templates. Exit codes: 0 all accepted;
    2 usage; 3 some rejected or not sent; 4 some unknown; 5 nobody told; 130 interrupted.
    """
    options = picked(_SendOptions, given, plan=PlanArguments.of(given))
    if options.test_to is not None:
        own_address(options.test_to, "--test-to")
    if journal is None:
        return _send_now(context, options)
    return _send_job(context, options, journal)


def _send_now(context: click.Context, options: _SendOptions) -> ExitCode:
    """Send it by a journal that lasts no longer than the sending."""
    account = None
    with temporary_journal() as journal:
        plan = _preview(journal, options)
        if options.dry_run:
            return _dry(plan, options)
        if options.test_to is None:
            account = _run(plan, options, moveworks_settings(context))
    if account is None:
        note("test: to the address of --test-to only; nobody else is told")
        with temporary_journal() as journal:
            plan = make_plan(journal, options.test())
            account = _run(plan, options, moveworks_settings(context))
    return conclude(account, options.file, as_json=options.as_json)


def _preview(journal: str, options: _SendOptions) -> Plan:
    """Plan it, and say whom it is for before anything goes out."""
    alone = options.plan.recipients is None and options.test_to is not None
    plan = make_plan(journal, evolve(options.test() if alone else options.plan, strict=False))
    for line in summary(plan):
        note(line)
    lists: list[Plan | Exclusion] = [plan, *plan.exclusions]
    for one in lists:
        if options.plan.strict and one.invalid:
            raise not_addresses(one.source, one.invalid, one.invalid_examples)
    return plan


def _dry(plan: Plan, options: _SendOptions) -> ExitCode:
    note("dry run: nothing was sent")
    if options.as_json:
        invalid = invalid_rows(run_loop(Job(plan.journal).invalid()))
        show(json.dumps(_plain(plan) | {"invalid_rows": invalid}))
    return ExitCode.OK


def _plain(plan: Plan) -> dict[str, Any]:
    return {
        "dry_run": True,
        "people": plan.people,
        "excluded": plan.excluded,
        "duplicates": plan.duplicates,
        "invalid": plan.invalid,
        "requests": plan.chunks,
        "least_seconds": plan.least_time,
    }


def _run(plan: Plan, options: _SendOptions, settings: MoveworksSettings) -> SendAccount:
    note(destination(options.plan.message.event, settings))
    if not confirm(plan.people, yes=options.yes, source=options.plan.recipients):
        raise click.Abort
    return run_loop(_sent(Job(plan.journal), plan.chunks, settings))


async def _sent(job: Job, requests: int, settings: MoveworksSettings) -> SendAccount:
    """Run the job; it does not wait for a server that is away, for nobody can resume it."""
    run = await run_in_foreground(
        job, settings, partial(job.run, waits=False), as_json=False, requests=requests
    )
    return await read_send(job, run)


def _send_job(context: click.Context, options: _SendOptions, journal: str) -> int:
    """Plan it, show the plan, and run it."""
    if options.dry_run or options.test_to is not None:
        raise InvalidInput(
            "--journal goes with neither --dry-run nor --test-to; see plan, and run --test-to"
        )
    settings = moveworks_settings(context)
    plan = make_plan(journal, options.plan)
    show_plan(plan)
    note(destination(options.plan.message.event, settings))
    _confirm_job(plan.people, options, journal)
    job = Job(journal)
    return run_job(
        job, settings, job.run, as_json=options.as_json, requests=plan.chunks, lines=False
    )


def _confirm_job(count: int, options: _SendOptions, journal: str) -> None:
    """Ask before a large send. Without a yes the journal stays, and it is said how to go on."""
    try:
        agreed = confirm(count, yes=options.yes, source=options.plan.recipients)
    except InvalidInput as error:
        raise JournalError(
            f"{str(error).removesuffix('; add --yes')}; the job is planned, and {sent_by(journal)}"
        ) from None
    except KeyboardInterrupt:
        agreed = False
    if not agreed:
        note(f"Nothing was sent. The job is planned, and {sent_by(journal)}")
        raise click.exceptions.Exit(ExitCode.INTERRUPTED)
