"""POST /rest/v1/events/{event_id}/messages/send."""

from __future__ import annotations

import uuid
from collections.abc import Coroutine, Iterable
from typing import TYPE_CHECKING, Any

from attrs import define

from ..limits.priority import Priority
from ..models import Receipt
from ..sending.stream import BulkSend, Recipients
from ..wire.moveworks import Content, Context
from .sending import Sender

if TYPE_CHECKING:
    from ..sending.coalesce import LingeringBatcher


@define(eq=False, repr=False)
class EventsEndpoint:
    """`client.events`."""

    _sender: Sender

    def send(
        self,
        event_id: str | uuid.UUID,
        message: str,
        recipients: Iterable[str],
        context: Context | None = None,
        *,
        priority: Priority = "normal",
        deadline: float | None = None,
    ) -> Coroutine[Any, Any, Receipt]:
        """Tell exactly these 1..500 recipients, in one request.

        `message` is 1..20000 characters of the vendor's HTML; `context` is
        `{"slots": {name: value}}`, the same for all. What is passed is sent as it is now, whatever
        becomes of it before the call is awaited or repeated. Duplicates are not removed here. An
        `"urgent"` send takes the next free slot, before `"normal"` and `"bulk"` ones. `deadline` is
        the seconds that this call may take with all its waits, where those of the retry policy do
        not fit: it ends in `DeadlineExceeded` before a wait that would outlast them.

        Raises `InvalidInput` before anything is sent, and otherwise a `MoveworksError` whose
        `outcome` says what is known of the recipients.
        """
        return self._sender.send(event_id, message, recipients, context, priority, deadline)

    def send_bulk(
        self,
        event_id: str | uuid.UUID,
        message: str,
        recipients: Recipients,
        context: Context | None = None,
        *,
        priority: Priority = "bulk",
    ) -> BulkSend:
        """Tell any number of people, in requests of 500: await it, or iterate its outcomes.

        Recipients are trimmed, checked and told once each, whatever the case of their letters.
        Raises `InvalidInput` at once for the message, the context or the event id.
        """
        content = Content(event_id=event_id, message=message, context=context)
        return self._sender.send_bulk(content, recipients, priority)

    def batcher(
        self,
        *,
        linger: float = 0.05,
        max_waiting: int = 50_000,
        priority: Priority = "normal",
    ) -> LingeringBatcher:
        """Collect single sends into shared requests: `async with client.events.batcher() as b`.

        Sends of the same event, message and context that come within `linger` seconds, or while
        their chunk waits for the rate limit, go out together, up to 500. At most `max_waiting`
        recipients wait at once, about 10 MB; beyond it `send` waits for room.
        """
        return self._sender.batcher(linger, max_waiting, priority)
