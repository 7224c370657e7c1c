"""`moveworks-shift shift send`."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import click

from ..client import ShiftClient
from ..errors import InvalidInput, OutcomeUnknown
from ..models import AppObject, ShiftMessage
from ..retry import RetryPolicy
from ..settings import ShiftSettings, Timeouts, shift_from_env
from ..text import one_line
from ..wire.shift import AddressedUsers, message_request
from .failures import ExitCode
from .input_files import read_json
from .shared_options import SHIFT_EPILOG, json_option, option, options
from .signals import run_loop
from .terminal import note, say

_NOT_SENT = "Error: interrupted. Nothing was sent. Run it again to send it."
_SENT = (
    "Error: interrupted. The message may have been created or not."
    " Look for it before you send it again."
)
# Without a connection it ends within ten seconds, while whoever started it is still looking.
_TWICE = RetryPolicy(attempts=2)
_TIMEOUT = Timeouts(connect=4.0)


@click.group()
def shift() -> None:
    """The SHIFT messages API."""


_options = options(
    option("--text", help="The message; {0} stands where the mention goes."),
    option("--team", metavar="ID", help="The team to address; then no users."),
    option("--user", metavar="ID", multiple=True, help="A user to address; repeatable."),
    option("--email", metavar="ADDR", multiple=True, help="As --user, by address."),
    option("--mention-id", metavar="ID", help="The application object that is mentioned."),
    option("--mention-name", metavar="NAME", help="Its name in the text."),
    option("--attachments-file", metavar="FILE",
           help="A JSON file of attachments, sent as it is."),
    option("--list-users", is_flag=True, help="Write the users as a plain list of ids."),
    option("--base-url", envvar="SHIFT_BASE_URL", metavar="URL",
           help="The server; no default."),
    json_option("SHIFT_SEND"),
)  # fmt: skip


@shift.command("send", epilog=SHIFT_EPILOG)
@_options
def shift_send(
    *, mention_id: str | None, mention_name: str | None, attachments_file: str | None, **given: Any
) -> int:
    """Send one message to a team or to users, and print its id."""
    content = {
        "text": given["text"],
        "team": given["team"],
        "users": given["user"],
        "emails": given["email"],
        "mention": _mention(mention_id, mention_name),
        "attachments": None if attachments_file is None else read_json(attachments_file),
    }
    form: AddressedUsers = "list" if given["list_users"] else "object"
    message_request(**content, addressed_users=form)  # raises for what the vendor would refuse
    settings = shift_from_env(instead={"SHIFT_BASE_URL": given["base_url"] or ""})
    message = run_loop(_create(content, form, settings))
    if message is None:
        return ExitCode.INTERRUPTED
    say(json.dumps(_as_json(message)) if given["as_json"] else one_line(message.id))
    return ExitCode.OK


def _mention(mention_id: str | None, name: str | None) -> AppObject | None:
    if (mention_id is None) != (name is None):
        raise InvalidInput("give --mention-id and --mention-name together")
    return None if mention_id is None or name is None else AppObject(mention_id, name)


async def _create(
    content: dict[str, Any], form: AddressedUsers, settings: ShiftSettings
) -> ShiftMessage | None:
    """Send it; None where Ctrl-C came first, and then it is said what is known."""
    client = ShiftClient(
        settings.credentials,
        base_url=settings.base_url,
        addressed_users=form,
        retry=_TWICE,
        timeout=_TIMEOUT,
    )
    message = None
    try:
        async with client:
            message = await client.messages.create(**content)
    except asyncio.CancelledError as cancelled:
        if message is None:
            note(_SENT if isinstance(cancelled.__cause__, OutcomeUnknown) else _NOT_SENT)
    return message


def _as_json(message: ShiftMessage) -> dict[str, Any]:
    created = message.created_at
    return {
        "id": message.id,
        "addressed_teams": list(message.addressed_teams),
        "created_at": None if created is None else created.isoformat(),
    }
