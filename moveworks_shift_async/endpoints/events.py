"""POST /rest/v1/events/{event_id}/messages/send."""

from __future__ import annotations

import uuid
from collections.abc import Iterable

from attrs import define

from ..bulk import BulkSend, Recipients
from ..models import Receipt
from ..wire.moveworks import Context
from .sending import Sender


@define(eq=False, repr=False)
class EventsEndpoint:
    """`client.events`."""

    _sender: Sender

    async def send(
        self,
        event_id: str | uuid.UUID,
        message: str,
        recipients: Iterable[str],
        context: Context | None = None,
    ) -> Receipt:
        """Tell exactly these 1..500 recipients, in one request.

        `message` is 1..20000 characters of the vendor's HTML; `context` is
        `{"slots": {name: value}}`, the same for all. Duplicates are not removed here.

        Raises `InvalidInput` before anything is sent, and otherwise a `MoveworksError` whose
        `outcome` says what is known of the recipients.
        """
        return await self._sender.send(event_id, message, recipients, context)

    def send_bulk(
        self,
        event_id: str | uuid.UUID,
        message: str,
        recipients: Recipients,
        context: Context | None = None,
    ) -> BulkSend:
        """Tell any number of people, in requests of 500: await it, or iterate its outcomes.

        Recipients are trimmed, checked and told once each, whatever the case of their letters.
        Raises `InvalidInput` at once for the message, the context or the event id.
        """
        return self._sender.send_bulk(event_id, message, recipients, context)
