"""What sending for an event and sending without one have in common."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from attrs import define, evolve

from ..bulk import BulkSend, Recipients
from ..errors import InvalidInput
from ..limits.lanes import Priority
from ..models import Receipt
from ..session import Call, SessionManager
from ..wire.http import Request
from ..wire.moveworks import Content, parse_receipt

if TYPE_CHECKING:
    from ..linger import LingeringBatcher


@define(eq=False, repr=False)
class Sender:
    """Sends one message, in one request or in as many as it takes."""

    _session: SessionManager
    max_in_flight: int

    async def send(
        self, content: Content, recipients: Iterable[str], priority: Priority
    ) -> Receipt:
        """One request to 1..500 recipients."""
        if isinstance(recipients, (str, bytes)) or not isinstance(recipients, Iterable):
            raise InvalidInput("recipients must be a list of addresses")
        return await self.deliver(content, tuple(recipients), Call(priority=priority))

    def send_bulk(self, content: Content, recipients: Recipients, priority: Priority) -> BulkSend:
        """Any number of recipients. What is wrong with the message is raised here, at once."""
        content.check()

        async def deliver(chunk: tuple[str, ...], call: Call) -> Receipt:
            return await self.deliver(content, chunk, call)

        return BulkSend(deliver, recipients, self.max_in_flight, priority, self._session.clock)

    def batcher(self, linger: float, max_waiting: int, priority: Priority) -> LingeringBatcher:
        """Collects single sends."""
        from ..linger import LingeringBatcher  # noqa: PLC0415 - not every program batches

        return LingeringBatcher(self._late, linger, max_waiting, priority, self._session.clock)

    async def deliver(self, content: Content, people: Sequence[str], call: Call) -> Receipt:
        """One request, checked and written before it waits for anything."""
        request = content.request(people)
        return await self._call(lambda: request, lambda: len(people), call)

    async def _late(
        self, content: Content, people: Callable[[], Sequence[str]], call: Call
    ) -> Receipt:
        """Written when its slot is there; whom it is for is asked only then."""
        return await self._call(lambda: content.request(people()), lambda: len(people()), call)

    async def _call(
        self, request: Callable[[], Request], count: Callable[[], int], call: Call
    ) -> Receipt:
        return await self._session.call(
            request,
            lambda response, attempts: evolve(
                parse_receipt(response, recipients=count()), attempts=attempts
            ),
            call=call,
        )
