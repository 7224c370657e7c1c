"""`moveworks-shift send`."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import click
from attrs import field, frozen

from ..errors import InvalidInput
from ..limits.window import least_time
from ..settings import RateLimit
from .failures import ExitCode
from .files import read_object, read_text
from .options import (
    MOVEWORKS_EPILOG,
    json_option,
    moveworks_settings,
    option,
    rate_options,
    server_options,
)
from .outcome import conclude, invalid_rows
from .recipients import Mailing, confirm, load, only, preview
from .sending import Letter, deliver
from .terminal import note, say


@frozen(kw_only=True)
class _Order:
    """What was asked for, an attribute for each option."""

    event: str | None
    legacy: bool
    message: str | None = field(repr=False)
    message_file: str | None
    recipients: str | None
    column: str | None
    context_file: str | None
    dry_run: bool
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

    def server(self) -> dict[str, Any]:
        """What the settings are made of, the credential aside."""
        return {
            "base_url": self.base_url,
            "region": self.region,
            "requests_per_minute": self.requests_per_minute,
            "share": self.share,
        }


@click.command(epilog=MOVEWORKS_EPILOG)
@option("--event", metavar="ID", help="The event to send for, a UUID.")
@option("--legacy", is_flag=True, help="Send without an event, through the legacy endpoint.")
@option("--message", metavar="TEXT", help="The message, 1 to 20000 characters.")
@option("--message-file", metavar="FILE", help="A UTF-8 file that holds the message.")
@option("--recipients", metavar="FILE", help="CSV, JSON, Excel, Parquet, text; - is stdin.")
@option("--column", metavar="NAME", help="The column of the addresses, where it is not clear.")
@option("--context-file", metavar="FILE", help='A JSON object like {"slots": {...}}.')
@option("--dry-run", is_flag=True, help="Show what would be sent, and send nothing.")
@option("--test-to", metavar="ADDRESS", help="Send to this address only.")
@option("--yes", is_flag=True, help="Do not ask before more than 500 people.")
@json_option("SEND")
@rate_options
@server_options
@click.pass_context
def send(context: click.Context, /, **given: Any) -> int:
    """Send one message to everybody in a file.

    Exit codes: 0 all accepted; 2 usage; 3 some rejected or invalid; 4 some unknown; 5 nothing
    sent; 130 interrupted.
    """
    order = _Order(**given)
    letter, mailing = _letter(order), _mailing(order)
    show(mailing, order.limit)
    if order.dry_run:
        return _dry(mailing, order)
    if order.test_to is not None:
        mailing = only(order.test_to)
        note("test: to the address of --test-to only; nobody else is told")
    settings = moveworks_settings(context, **order.server())
    if not confirm(mailing, yes=order.yes, source=order.recipients):
        raise click.Abort
    result = asyncio.run(deliver(letter, mailing, settings))
    return conclude(result, mailing, as_json=order.as_json)


def show(mailing: Mailing, limit: RateLimit) -> None:
    """Say whom it is for, before anything goes out."""
    for line in preview(mailing, limit):
        note(line)


def _letter(order: _Order) -> Letter:
    if (order.event is None) != order.legacy:
        raise InvalidInput("give one of --event and --legacy")
    if (order.message is None) == (order.message_file is None):
        raise InvalidInput("give one of --message and --message-file")
    file, context = order.message_file, order.context_file
    letter = Letter(
        event_id=order.event,
        message=order.message or "" if file is None else read_text(file),
        context=None if context is None else read_object(context),
    )
    letter.check()
    return letter


def _mailing(order: _Order) -> Mailing:
    """The file's people; with --test-to alone, its address. A bad test address fails here."""
    test = None if order.test_to is None else only(order.test_to)
    if order.recipients is not None:
        return load(order.recipients, order.column)
    if test is None:
        raise InvalidInput("give --recipients FILE, or - for standard input")
    return test


def _dry(mailing: Mailing, order: _Order) -> ExitCode:
    note("dry run: nothing was sent")
    if order.as_json:
        say(json.dumps(_plan(mailing, order.limit)))
    return ExitCode.REJECTED if mailing.invalid else ExitCode.OK


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
