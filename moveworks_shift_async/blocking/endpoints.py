"""What the clients hold: the endpoints of the async clients, waited for."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Coroutine, Iterable, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

from attrs import define

from ..limits.priority import Priority
from ..models import AppObject, Receipt, ShiftMessage
from ..sending.stream import Recipients
from ..session import SessionManager
from ..wire.moveworks import Context
from ..wire.recipients import MAX_RECIPIENTS
from .batcher import LingeringBatcher
from .bulk import BulkSend
from .portal import Calling, Portal

if TYPE_CHECKING:
    from .. import client as aio

T = TypeVar("T")


@define(eq=False, repr=False)
class Endpoint:
    """How one call is made and waited for."""

    _portal: Portal
    _session: SessionManager

    def _wait(self, call: Callable[[], Coroutine[Any, Any, T]]) -> T:
        return Calling(self._portal, call, self._withdraw).result()

    def _withdraw(self, task: asyncio.Task[Any]) -> None:
        self._session.withdraw(task, "interrupted")


@define(eq=False, repr=False)
class AuthEndpoint(Endpoint):
    """`client.auth`."""

    _client: aio.MoveworksClient

    def test(self, *, once: bool = False) -> str:
        """Check the credential; return the vendor's text. Nobody is told anything."""
        return self._wait(lambda: self._client.auth.test(once=once))


@define(eq=False, repr=False)
class EventsEndpoint(Endpoint):
    """`client.events`."""

    _client: aio.MoveworksClient

    def send(
        self,
        event_id: str | uuid.UUID,
        message: str,
        recipients: Iterable[str],
        context: Context | None = None,
        *,
        priority: Priority = "normal",
        deadline: float | None = None,
    ) -> Receipt:
        """Tell exactly these 1..500 recipients, in one request; as the async `events.send`."""
        people = _here(recipients)
        return self._wait(
            lambda: self._client.events.send(
                event_id, message, people, context, priority=priority, deadline=deadline
            )
        )

    def send_bulk(
        self,
        event_id: str | uuid.UUID,
        message: str,
        recipients: Recipients,
        context: Context | None = None,
        *,
        priority: Priority = "bulk",
    ) -> BulkSend:
        """Tell any number of people, in requests of 500: take its result, or iterate its outcomes.

        A generator of recipients is read in the thread that waits.
        """
        return BulkSend.of(
            self._portal,
            recipients,
            lambda people: self._client.events.send_bulk(
                event_id, message, people, context, priority=priority
            ),
        )

    def batcher(
        self,
        *,
        linger: float = 0.05,
        max_waiting: int = 50_000,
        priority: Priority = "normal",
    ) -> LingeringBatcher:
        """Collect single sends of many threads into shared requests: `with ... as batcher`."""
        self._portal.check()
        batcher = self._client.events.batcher(
            linger=linger, max_waiting=max_waiting, priority=priority
        )
        return LingeringBatcher(self._portal, batcher)


@define(eq=False, repr=False)
class MessagesEndpoint(Endpoint):
    """`client.messages`, which the vendor calls legacy."""

    _client: aio.MoveworksClient

    def send(
        self,
        message: str,
        recipients: Iterable[str],
        context: Context | None = None,
        *,
        priority: Priority = "normal",
        deadline: float | None = None,
    ) -> Receipt:
        """Tell exactly these 1..500 recipients, in one request; as `events.send`, but no event."""
        people = _here(recipients)
        return self._wait(
            lambda: self._client.messages.send(
                message, people, context, priority=priority, deadline=deadline
            )
        )

    def send_bulk(
        self,
        message: str,
        recipients: Recipients,
        context: Context | None = None,
        *,
        priority: Priority = "bulk",
    ) -> BulkSend:
        """Tell any number of people; as `events.send_bulk`, but no event."""
        return BulkSend.of(
            self._portal,
            recipients,
            lambda people: self._client.messages.send_bulk(
                message, people, context, priority=priority
            ),
        )


@define(eq=False, repr=False)
class ShiftMessagesEndpoint(Endpoint):
    """`shift.messages`."""

    _client: aio.ShiftClient

    def create(
        self,
        *,
        text: str | None = None,
        team: str | uuid.UUID | None = None,
        users: Sequence[str | uuid.UUID] = (),
        emails: Sequence[str] = (),
        mention: AppObject | None = None,
        attachments: object = None,
    ) -> ShiftMessage:
        """Create one message and return it; as the async `messages.create`."""
        return self._wait(
            lambda: self._client.messages.create(
                text=text,
                team=team,
                users=users,
                emails=emails,
                mention=mention,
                attachments=attachments,
            )
        )


def _here(recipients: Iterable[str]) -> Iterable[str]:
    """A generator's entries, read in the caller's thread; one request takes 500."""
    if hasattr(type(recipients), "__len__") or not isinstance(recipients, Iterable):
        return recipients
    return list(islice(recipients, MAX_RECIPIENTS + 1))
