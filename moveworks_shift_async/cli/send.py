"""`moveworks-shift send`."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import click
from attrs import field, fields, frozen

from ..errors import InvalidInput, JournalError
from ..jobs.job import Job
from ..limits.window import least_time
from ..settings import RateLimit
from .failures import ExitCode
from .message_options import MessageOptions, letter_options
from .options import (
    MOVEWORKS_EPILOG,
    json_option,
    moveworks_settings,
    option,
    rate_options,
    server_options,
    yes_option,
)
from .outcome import conclude, invalid_rows
from .plan import Planning, make_plan, sent_by, show_plan
from .recipients import Mailing, confirm, destination, load, only, preview
from .run import run_job
from .sending import Letter, deliver
from .terminal import note, say

_WORDS = tuple(part.name for part in fields(MessageOptions))


@frozen(kw_only=True)
class _Order:
    """What was asked for, an attribute for each option."""

    words: MessageOptions
    recipients: str | None
    column: str | None
    encoding: str | None
    journal: str | None
    dry_run: bool
    strict: bool
    test_to: str | None = field(repr=False)
    yes: bool
    as_json: bool
    requests_per_minute: int
    share: float
    base_url: str | None
    region: str | None

    @property
    def limit(self) -> RateLimit:
        """The rate, which a dry run shows without any credential."""
        return RateLimit(requests=self.requests_per_minute, share=self.share)

    def planning(self) -> Planning:
        """What is to be planned, for a job."""
        return Planning(
            words=self.words,
            recipients=self.recipients,
            column=self.column,
            encoding=self.encoding,
            strict=self.strict,
            requests_per_minute=self.requests_per_minute,
            share=self.share,
        )

    def server(self) -> dict[str, Any]:
        """What the settings are made of, the credential aside."""
        return {
            "base_url": self.base_url,
            "region": self.region,
            "requests_per_minute": self.requests_per_minute,
            "share": self.share,
        }


@click.command(epilog=MOVEWORKS_EPILOG)
@letter_options
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
def send(context: click.Context, /, **given: Any) -> int:
    """Send one message to everybody in a file.

    `plan` and `run` do it as a job that can be resumed, with templates. Exit codes: 0 all accepted;
    2 usage; 3 some rejected or not sent; 4 some unknown; 5 nobody told; 130 interrupted.
    """
    words = MessageOptions(**{name: given.pop(name) for name in _WORDS if name in given})
    order = _Order(words=words, **given)
    if order.journal is not None:
        return _send_job(context, order, order.journal)
    letter, mailing = _letter(order), _mailing(order)
    show(mailing, order.limit)
    if order.strict and mailing.invalid:
        raise mailing.refusal()
    if order.dry_run:
        return _dry(mailing, order)
    if order.test_to is not None:
        mailing = only(order.test_to)
        note("test: to the address of --test-to only; nobody else is told")
    settings = moveworks_settings(context, **order.server())
    note(destination(order.words.event, settings))
    if not confirm(mailing.people, yes=order.yes, source=order.recipients):
        raise click.Abort
    result = asyncio.run(deliver(letter, mailing, settings))
    return conclude(result, mailing, as_json=order.as_json)


def show(mailing: Mailing, limit: RateLimit) -> None:
    """Say whom it is for, before anything goes out."""
    for line in preview(mailing, limit):
        note(line)


def _letter(order: _Order) -> Letter:
    words = order.words
    letter = Letter(event_id=words.event, message=words.text(), context=words.context())
    letter.check()
    return letter


def _send_job(context: click.Context, order: _Order, journal: str) -> int:
    """Plan it, show the plan, and run it."""
    if order.dry_run or order.test_to is not None:
        raise InvalidInput(
            "--journal goes with neither --dry-run nor --test-to; see plan, and run --test-to"
        )
    settings = moveworks_settings(context, **order.server())
    made = make_plan(journal, order.planning())
    show_plan(made)
    note(destination(order.words.event, settings))
    _confirm_job(made.people, order, journal)
    job = Job(journal)
    return run_job(
        job,
        settings,
        lambda client, show: job.run(client, on_progress=show),
        as_json=order.as_json,
        requests=made.chunks,
        lines=False,
    )


def _confirm_job(count: int, order: _Order, journal: str) -> None:
    """Ask before a large send. Without a yes the journal stays, and it is said how to go on."""
    try:
        agreed = confirm(count, yes=order.yes, source=order.recipients)
    except InvalidInput as error:
        raise JournalError(
            f"{str(error).removesuffix('; add --yes')}; the job is planned, and {sent_by(journal)}"
        ) from None
    except KeyboardInterrupt:
        agreed = False
    if not agreed:
        note(f"Nothing was sent. The job is planned, and {sent_by(journal)}")
        raise click.exceptions.Exit(ExitCode.INTERRUPTED)


def _mailing(order: _Order) -> Mailing:
    """The file's people; with --test-to alone, its address. A bad test address fails here."""
    test = None if order.test_to is None else only(order.test_to)
    if order.recipients is not None:
        return load(order.recipients, order.column, order.encoding)
    if test is None:
        raise InvalidInput("give --recipients FILE, or - for standard input")
    return test


def _dry(mailing: Mailing, order: _Order) -> ExitCode:
    note("dry run: nothing was sent")
    if order.as_json:
        say(json.dumps(_plan(mailing, order.limit)))
    return ExitCode.OK


def _plan(mailing: Mailing, limit: RateLimit) -> dict[str, Any]:
    return {
        "dry_run": True,
        "people": mailing.people,
        "duplicates": mailing.duplicates,
        "invalid": len(mailing.invalid),
        "invalid_rows": invalid_rows(mailing),
        "requests": mailing.requests,
        "least_seconds": least_time(mailing.requests, limit.budget, limit.per),
    }
