"""Single sends that share requests: what arrives while a chunk lingers or waits joins it.

Theory of operation. Sends of the same content (event, message and context) stand in one group. A
group takes one place in the rate limit's queue: when its oldest send has lingered long enough, or
when a chunk is full. Whom the chunk is for is decided only when its slot is there, so everybody who
came until then is in it, up to 500. Who is left takes the next place, behind the other groups. So
the longer the wait the fuller the chunks, and no content keeps another from its turn.

A request that is repeated, after a 429 for instance, is for those in its chunk for whom somebody
still waits. No circuit breaker stands here: each send is a call of its own, as `events.send` is,
and the next one may be for another event.
"""

from __future__ import annotations

import asyncio
import itertools
import uuid
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any, Self, cast

from attrs import define, field

from ..addresses import address_fault, person
from ..call import Call
from ..clock import SYSTEM_CLOCK, Clock
from ..errors import ClientClosed, InvalidInput, NotSent, Outcome, OutcomeUnknown
from ..limits.priority import Priority
from ..models import ChunkOutcome, Receipt
from ..tasks import ending_of, ending_of_task, raised_in, start
from ..wire.moveworks import Content, Context
from ..wire.recipients import CheckedRecipients
from .batcher import CHUNK_SIZE
from .groups import Chunk, Entry, Group, Key
from .outcomes import Ending, RunningChunk

if TYPE_CHECKING:
    from ..telemetry.otel import OpenTelemetry, Share

#: Sends to those whom the second argument names when the slot is there.
DeliverLate = Callable[[Content, Callable[[], CheckedRecipients], Call], Awaitable[Receipt]]


@define(eq=False, repr=False)
class LingeringBatcher:
    """Collects single sends into chunks of up to 500. Use it as `async with`; its end flushes."""

    _deliver: DeliverLate
    _linger: float
    _max_waiting: int
    _priority: Priority
    _clock: Clock = SYSTEM_CLOCK
    _telemetry: OpenTelemetry | None = None
    _groups: dict[Key, Group] = field(factory=dict, init=False)
    _calls: dict[asyncio.Task[Ending], Chunk] = field(factory=dict, init=False)
    #: Who waits, each in a task.
    _waiting: dict[asyncio.Task[Any], Entry] = field(factory=dict, init=False)
    _room: asyncio.Semaphore = field(init=False)
    _chunks: itertools.count[int] = field(factory=itertools.count, init=False)
    _closing: bool = field(default=False, init=False)
    _stopped: bool = field(default=False, init=False)

    def __attrs_post_init__(self) -> None:
        if not self._linger >= 0 or not self._max_waiting >= 1:  # so NaN is refused, too
            raise InvalidInput("linger must be 0 or more seconds, and max_waiting at least 1")
        self._room = asyncio.Semaphore(self._max_waiting)

    def send(
        self,
        event_id: str | uuid.UUID,
        message: str,
        recipient: str,
        context: Context | None = None,
    ) -> Coroutine[Any, Any, ChunkOutcome]:
        """Tell one person; return the outcome of the chunk that the person was in.

        What is passed is sent as it is now. Raises `InvalidInput` for bad arguments and
        `ClientClosed` after the end, nothing else: a failure is in the outcome. Cancelled while no
        request for this person is out, it takes the person out of the chunk, unless somebody else
        waits for the same person; later, it raises `CancelledError` from `OutcomeUnknown`.
        """
        try:
            content = Content(event_id=event_id, message=message, context=context)
            return self._send_one(content, content.key(), _checked(recipient))
        except InvalidInput as error:
            return _raised(error)

    async def _send_one(self, content: Content, key: Key, address: str) -> ChunkOutcome:
        if self._telemetry is None:
            return await self._join(content, key, address)
        with self._telemetry.share() as share:
            share.outcome = await self._join(content, key, address, share)
            return share.outcome

    async def _join(
        self, content: Content, key: Key, address: str, share: Share | None = None
    ) -> ChunkOutcome:
        """Join the group of the same content."""
        async with self._room:
            if self._closing:
                raise ClientClosed("this batcher is closed; not sent")
            group = self._groups.setdefault(key, Group(key, content))
            entry = self._enter(group, address)
            if share is not None:
                entry.shares.append(share)
            return await self._wait(group, entry)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Take no more, send what waits, and return when all of it has ended.

        Cancelled, it cancels what is left; whoever waits for it gets an outcome all the same.
        """
        self._flush()
        try:
            while self._calls:
                await asyncio.wait({*self._calls})
        except asyncio.CancelledError:
            for call in self._calls:
                call.cancel()
            raise

    def stop(self) -> None:
        """Send nothing more. Requests in flight end; whoever waits for another was not told."""
        self._stopped = True
        for chunk in [*self._calls.values()]:
            chunk.withdraw("the batcher was stopped")
        self._flush()

    def _flush(self) -> None:
        self._closing = True
        for group in [*self._groups.values()]:
            self._arrange(group)

    def withdraw(self, task: asyncio.Task[Any]) -> None:
        """Let the send of this task be in no further request: what is in flight ends as it does."""
        entry = self._waiting.get(task)
        if entry is None or entry.chunk is None or not entry.in_flight:
            task.cancel()
        else:
            entry.chunk.leaving.append(task)
            self._leave(entry.chunk.group, task)

    def _enter(self, group: Group, address: str) -> Entry:
        whom = person(address)
        entry = group.entries.get(whom)
        if entry is None:
            done = asyncio.get_running_loop().create_future()
            entry = group.entries[whom] = Entry(address, self._clock.now(), done)
        entry.waiting += 1
        self._arrange(group)
        return entry

    async def _wait(self, group: Group, entry: Entry) -> ChunkOutcome:
        task = cast("asyncio.Task[Any]", asyncio.current_task())
        self._waiting[task] = entry
        try:
            # Shielded, since others may wait for the same future.
            return await asyncio.shield(entry.done)
        except asyncio.CancelledError as cancelled:
            maybe_told = entry.maybe_told
            self._leave(group, task)
            if maybe_told:
                raise cancelled from OutcomeUnknown("cancelled after the request was sent")
            raise
        finally:
            self._waiting.pop(task, None)

    def _leave(self, group: Group, task: asyncio.Task[Any]) -> None:
        """Whoever waits in this task wants no further request."""
        entry = self._waiting.pop(task, None)
        if entry is None:
            return
        entry.waiting -= 1
        if entry.waiting or entry.done.done():
            return
        if entry.chunk is not None:
            entry.chunk.withdraw_if_left()
            return
        self._count(Outcome.NOT_SENT, 1)
        group.drop(entry)
        self._arrange(group)

    def _arrange(self, group: Group) -> None:
        """Queue the group if its oldest send has lingered or a chunk is full; else set a timer."""
        if group.timer is not None:
            group.timer.cancel()
            group.timer = None
        if group.queued is not None:
            group.queued.withdraw_if_left()
        if group.queued is not None:
            return
        if not group.entries:
            self._groups.pop(group.key, None)
            return
        oldest = next(iter(group.entries.values()))
        left = oldest.arrived + self._linger - self._clock.now()
        if left <= 0 or len(group.entries) >= CHUNK_SIZE or self._closing:
            self._queue(group)
        else:
            group.timer = self._clock.call_later(left, lambda: self._arrange(group))

    def _queue(self, group: Group) -> None:
        """Take a place in the rate limit's queue; a group has one at a time."""
        call = Call(priority=self._priority, shared=True)
        group.queued = chunk = Chunk(group, call)
        call.repeats = chunk.repeats
        chunk.task = start(self._send(chunk))
        self._calls[chunk.task] = chunk
        chunk.task.add_done_callback(partial(self._ended, chunk))
        if self._stopped:
            chunk.withdraw("the batcher was stopped")

    async def _send(self, chunk: Chunk) -> Ending:
        recipients = partial(self._recipients, chunk)
        return await ending_of(
            self._deliver(chunk.group.content, recipients, chunk.call), _cancelled
        )

    def _recipients(self, chunk: Chunk) -> CheckedRecipients:
        """Who is there when the slot is; in a repeat, those of them who are waited for."""
        if chunk.entries is None:
            chunk.entries = self._take(chunk.group)
            self._link(chunk.entries)
        else:
            staying = [entry for entry in chunk.entries if entry.waiting]
            known = Outcome.UNKNOWN if chunk.call.maybe_told else Outcome.NOT_SENT
            self._count(known, len(chunk.entries) - len(staying))
            chunk.entries = staying
        if not chunk.entries:
            raise NotSent("everybody in this chunk was withdrawn; not sent")
        for entry in chunk.entries:
            entry.chunk = chunk
        return CheckedRecipients(entry.address for entry in chunk.entries)

    def _count(self, outcome: Outcome, people: int) -> None:
        if self._telemetry is not None:
            self._telemetry.count(outcome, people)

    def _link(self, entries: Iterable[Entry]) -> None:
        if self._telemetry is not None:
            self._telemetry.join(share for entry in entries for share in entry.shares)

    def _ended(self, chunk: Chunk, task: asyncio.Task[Ending]) -> None:
        """Give all who wait the outcome of their chunk, whatever ended its task."""
        del self._calls[task]
        ending = ending_of_task(task, _cancelled, sent=chunk.call.requests > 0)
        # Without a slot nobody was taken; then it ended for all who are there by now.
        entries = self._take(chunk.group) if chunk.entries is None else chunk.entries
        if entries:
            people = CheckedRecipients(entry.address for entry in entries)
            outcome = RunningChunk(next(self._chunks), people, chunk.call).ended(*ending)
            self._count(outcome.outcome, len(people))
            for entry in entries:
                if not entry.done.done():
                    entry.done.set_result(outcome)
        if (raised := raised_in(task)) is not None:
            message = f"{type(raised).__name__} was raised under a request"
            task.get_loop().call_exception_handler({"message": message, "exception": raised})

    def _take(self, group: Group) -> list[Entry]:
        """Whom the chunk is for; who is left is arranged for anew, behind the other groups."""
        chosen = group.take()
        group.queued = None
        self._arrange(group)
        return chosen


def _cancelled() -> NotSent:
    return NotSent("not sent: the batcher was stopped, or its end was cancelled")


async def _raised(error: InvalidInput) -> ChunkOutcome:
    """What was wrong at the call is for the one who awaits it."""
    raise error


def _checked(recipient: object) -> str:
    address = str.strip(recipient) if isinstance(recipient, str) else recipient
    if (fault := address_fault(address)) is not None:
        raise InvalidInput(f"recipient is no address: {fault}")
    return str(address)
