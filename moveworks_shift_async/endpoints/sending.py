"""What sending for an event and sending without one have in common."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Coroutine, Iterable
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any

from attrs import define

from ..call import Call, check_deadline
from ..errors import InvalidInput
from ..limits.priority import Priority, check_priority
from ..models import Receipt
from ..sending.entries import is_iterable
from ..sending.stream import BulkSend, Recipients
from ..session import SessionManager
from ..wire.moveworks import Content, Context, parse_receipt
from ..wire.recipients import MAX_RECIPIENTS, CheckedRecipients

if TYPE_CHECKING:
    from ..sending.coalesce import LingeringBatcher
    from ..telemetry.otel import OpenTelemetry


def _listed(recipients: Iterable[str]) -> tuple[str, ...]:
    if isinstance(recipients, (str, bytes)) or not is_iterable(recipients):
        raise InvalidInput("recipients must be a list of addresses")
    if hasattr(type(recipients), "__len__"):
        return tuple(recipients)
    people = tuple(islice(recipients, MAX_RECIPIENTS + 1))  # an iterator may never end
    if len(people) > MAX_RECIPIENTS:
        raise InvalidInput(f"more than {MAX_RECIPIENTS} recipients: use send_bulk for any number")
    return people


@define(eq=False, repr=False)
class Sender:
    """Sends one message, in one request or in as many as it takes."""

    _session: SessionManager
    max_in_flight: int

    @property
    def telemetry(self) -> OpenTelemetry | None:
        """What traces and measures, if anything does."""
        return self._session.telemetry

    def send(
        self,
        event_id: str | uuid.UUID | None,
        message: str,
        recipients: Iterable[str],
        context: Context | None,
        priority: Priority,
        deadline: float | None,
    ) -> Coroutine[Any, Any, Receipt]:
        """One request, written at once: what the caller changes later changes nothing in it."""
        try:
            check_priority(priority)
            check_deadline(deadline)
            people = _listed(recipients)
            content = Content(event_id=event_id, message=message, context=context)
            request = content.request(CheckedRecipients.of(people))
        except InvalidInput as error:
            return self._fail(error)
        call = Call(priority=priority, seconds=deadline)
        call.sends(request)
        return self._session.call(lambda: request, parse_receipt, call=call)

    async def _fail(self, error: InvalidInput) -> Receipt:
        """Why there can be no request is raised where the caller waits for it."""
        raise error

    def send_bulk(self, content: Content, recipients: Recipients, priority: Priority) -> BulkSend:
        """Any number of recipients. What is wrong with the message is raised here, at once."""
        content.check()
        check_priority(priority)
        deliver = partial(self.deliver, content)
        return BulkSend(
            deliver, recipients, self.max_in_flight, priority, self._session.clock, self.telemetry
        )

    def batcher(self, linger: float, max_waiting: int, priority: Priority) -> LingeringBatcher:
        """Collects single sends."""
        from ..sending.coalesce import LingeringBatcher  # noqa: PLC0415 - not every program batches

        check_priority(priority)
        return LingeringBatcher(
            self._late, linger, max_waiting, priority, self._session.clock, self.telemetry
        )

    async def deliver(self, content: Content, people: CheckedRecipients, call: Call) -> Receipt:
        """One request, written before it waits for anything."""
        request = content.request(people)
        call.sends(request)
        return await self._session.call(lambda: request, parse_receipt, call=call)

    async def _late(
        self, content: Content, people: Callable[[], CheckedRecipients], call: Call
    ) -> Receipt:
        """Written when its slot is there; whom it is for is asked only then."""
        return await self._session.call(lambda: content.request(people()), parse_receipt, call=call)
