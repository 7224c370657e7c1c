"""POST /v1/messages of SHIFT."""

from __future__ import annotations

import uuid
from collections.abc import Coroutine, Sequence
from typing import Any

from attrs import define

from ..errors import InvalidInput
from ..models import AppObject, ShiftMessage
from ..session import SessionManager
from ..wire import shift
from ..wire.http import Request


@define(eq=False, repr=False)
class ShiftMessagesEndpoint:
    """`shift.messages`."""

    _session: SessionManager
    _addressed_users: shift.AddressedUsers

    def create(
        self,
        *,
        text: str | None = None,
        team: str | uuid.UUID | None = None,
        users: Sequence[str | uuid.UUID] = (),
        emails: Sequence[str] = (),
        mention: AppObject | None = None,
        attachments: object = None,
    ) -> Coroutine[Any, Any, ShiftMessage]:
        """Create one message to a team, or to users by id or e-mail address, and return it.

        The text holds `{0}` exactly when there is a mention. `attachments` is passed on as it is;
        the vendor never shows one. What is passed is sent as it is now.

        Raises `InvalidInput` before anything is sent, and otherwise a `MoveworksError` whose
        `outcome` says whether the message may exist.
        """
        try:
            request: Request | InvalidInput = shift.message_request(
                text=text,
                team=team,
                users=users,
                emails=emails,
                mention=mention,
                attachments=attachments,
                addressed_users=self._addressed_users,
            )
        except InvalidInput as error:
            request = error
        return self._send(request)

    async def _send(self, request: Request | InvalidInput) -> ShiftMessage:
        """Why there can be no request is raised here, where the caller waits for it."""
        if isinstance(request, InvalidInput):
            raise request
        return await self._session.call(
            lambda: request, lambda response, _: shift.parse_message(response)
        )
