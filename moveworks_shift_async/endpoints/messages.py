"""POST /rest/v1/messages/send, which the vendor calls legacy."""

from __future__ import annotations

from collections.abc import Coroutine, Iterable
from typing import Any

from attrs import define

from ..limits.priority import Priority
from ..models import Receipt
from ..sending.stream import BulkSend, Recipients
from ..wire.moveworks import Content, Context
from .sending import Sender


@define(eq=False, repr=False)
class MessagesEndpoint:
    """`client.messages`."""

    _sender: Sender

    def send(
        self,
        message: str,
        recipients: Iterable[str],
        context: Context | None = None,
        *,
        priority: Priority = "normal",
        deadline: float | None = None,
    ) -> Coroutine[Any, Any, Receipt]:
        """Tell exactly these 1..500 recipients, in one request; as `events.send`, but no event.

        The vendor's current reference no longer names `context` here; it is sent if given.
        """
        return self._sender.send(None, message, recipients, context, priority, deadline)

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
