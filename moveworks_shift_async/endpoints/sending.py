"""What sending for an event and sending without one have in common."""

from __future__ import annotations

import uuid
from collections.abc import Iterable

from attrs import define, evolve

from ..bulk import BulkSend, Recipients
from ..errors import InvalidInput
from ..models import Receipt
from ..session import Call, SessionManager
from ..wire import moveworks


@define(eq=False, repr=False)
class Sender:
    """Sends one message, in one request or in as many as it takes."""

    _session: SessionManager
    _max_in_flight: int

    async def send(
        self,
        event_id: str | uuid.UUID | None,
        message: str,
        recipients: Iterable[str],
        context: moveworks.Context | None,
        call: Call | None = None,
    ) -> Receipt:
        """One request to 1..500 recipients; without an event id, to the legacy endpoint."""
        if isinstance(recipients, (str, bytes)) or not isinstance(recipients, Iterable):
            raise InvalidInput("recipients must be a list of addresses")
        people = list(recipients)
        request = moveworks.send_request(event_id, message, people, context)
        return await self._session.call(
            request,
            lambda response, attempts: evolve(
                moveworks.parse_receipt(response, recipients=len(people)), attempts=attempts
            ),
            call=call,
        )

    def send_bulk(
        self,
        event_id: str | uuid.UUID | None,
        message: str,
        recipients: Recipients,
        context: moveworks.Context | None,
    ) -> BulkSend:
        """Any number of recipients. What is wrong with the message is raised here, at once."""
        moveworks.send_path(event_id)
        moveworks.check_message(message, context)

        async def deliver(chunk: tuple[str, ...], call: Call) -> Receipt:
            return await self.send(event_id, message, chunk, context, call)

        return BulkSend(deliver, recipients, self._max_in_flight, self._session.clock)
