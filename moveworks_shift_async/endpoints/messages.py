"""POST /rest/v1/messages/send, which the vendor calls legacy."""

from __future__ import annotations

from collections.abc import Iterable

from attrs import define

from ..bulk import BulkSend, Recipients
from ..limits.lanes import Priority
from ..models import Receipt
from ..wire.moveworks import Content, Context
from .sending import Sender


@define(eq=False, repr=False)
class MessagesEndpoint:
    """`client.messages`."""

    _sender: Sender

    async def send(
        self,
        message: str,
        recipients: Iterable[str],
        context: Context | None = None,
        *,
        priority: Priority = "normal",
    ) -> Receipt:
        """Tell exactly these 1..500 recipients, in one request; as `events.send`, but no event.

        The vendor's current reference no longer names `context` here; it is sent if given.
        """
        content = Content(event_id=None, message=message, context=context)
        return await self._sender.send(content, recipients, priority)

    def send_bulk(
        self,
        message: str,
        recipients: Recipients,
        context: Context | None = None,
        *,
        priority: Priority = "bulk",
    ) -> BulkSend:
        """Tell any number of people, in requests of 500; as `events.send_bulk`, but no event."""
        content = Content(event_id=None, message=message, context=context)
        return self._sender.send_bulk(content, recipients, priority)
