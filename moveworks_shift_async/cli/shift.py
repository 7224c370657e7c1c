"""`moveworks-shift shift send`."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import click
from attrs import frozen

from ..client import ShiftClient
from ..errors import InvalidInput, OutcomeUnknown
from ..models import AppObject, ShiftMessage
from ..retry import RetryPolicy
from ..settings import ShiftSettings, Timeouts
from ..text import one_line
from ..wire.shift import AddressedUsers, message_request
from .failures import ExitCode
from .input_files import read_json
from .shared_options import SHIFT_EPILOG, json_option, option, shift_settings
from .terminal import note, say

_NOT_SENT = "Error: interrupted. Nothing was sent. Run it again to send it."
_SENT = (
    "Error: interrupted. The message may have been created or not."
    " Look for it before you send it again."
)
# Without a connection it ends within ten seconds: who started it still looks.
_TWICE = RetryPolicy(attempts=2)
_TIMEOUT = Timeouts(connect=4.0)


@frozen(kw_only=True)
class _Post:
    """One message, as `shift.messages.create` takes it."""

    content: dict[str, Any]
    addressed_users: AddressedUsers

    def check(self) -> None:
        """Raise `InvalidInput` for what the vendor would refuse."""
        message_request(**self.content, addressed_users=self.addressed_users)


@click.group()
def shift() -> None:
    """The SHIFT messages API."""


@shift.command("send", epilog=SHIFT_EPILOG)
@option("--text", help="The message; {0} stands where the mention goes.")
@option("--team", metavar="ID", help="The team to address; then no users.")
@option(
    "--user",
    "users",
    metavar="ID",
    multiple=True,
    envvar="MOVEWORKS_SHIFT_SHIFT_SEND_USER",
    show_envvar=False,
    help="A user to address; repeatable.",
)
@option(
    "--email",
    "emails",
    metavar="ADDR",
    multiple=True,
    envvar="MOVEWORKS_SHIFT_SHIFT_SEND_EMAIL",
    show_envvar=False,
    help="As --user, by address.",
)
@option("--mention-id", metavar="ID", help="The application object that is mentioned.")
@option("--mention-name", metavar="NAME", help="Its name in the text.")
@option("--attachments-file", metavar="FILE", help="A JSON file of attachments, sent as it is.")
@option("--list-users", is_flag=True, help="Write the users as a plain list of ids.")
@option("--base-url", envvar="SHIFT_BASE_URL", metavar="URL", help="The server; no default.")
@json_option("SHIFT_SEND")
def shift_send(
    *,
    mention_id: str | None,
    mention_name: str | None,
    attachments_file: str | None,
    list_users: bool,
    base_url: str | None,
    as_json: bool,
    **content: Any,
) -> int:
    """Send one message to a team or to users, and print its id."""
    content["mention"] = _mention(mention_id, mention_name)
    content["attachments"] = None if attachments_file is None else read_json(attachments_file)
    post = _Post(content=content, addressed_users="list" if list_users else "object")
    post.check()
    message = asyncio.run(_create(post, shift_settings(base_url=base_url)))
    if message is None:
        return ExitCode.INTERRUPTED
    say(json.dumps(_as_json(message)) if as_json else one_line(message.id))
    return ExitCode.OK


def _mention(mention_id: str | None, name: str | None) -> AppObject | None:
    if (mention_id is None) != (name is None):
        raise InvalidInput("give --mention-id and --mention-name together")
    return None if mention_id is None or name is None else AppObject(mention_id, name)


async def _create(post: _Post, settings: ShiftSettings) -> ShiftMessage | None:
    """Send it; None where Ctrl-C came first, and then it is said what is known."""
    client = ShiftClient(
        settings.credentials,
        base_url=settings.base_url,
        addressed_users=post.addressed_users,
        retry=_TWICE,
        timeout=_TIMEOUT,
    )
    message = None
    try:
        async with client:
            message = await client.messages.create(**post.content)
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
