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
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from typing import Any, Self

from attrs import define, field

from ..addresses import address_fault, person
from ..call import Call
from ..clock import SYSTEM_CLOCK, Clock, Timer
from ..errors import ClientClosed, InvalidInput, NotSent, Outcome, OutcomeUnknown
from ..limits.priority import Priority
from ..models import ChunkOutcome, Receipt
from ..tasks import ending_of, ending_of_task, raised_in, start
from ..wire.moveworks import Content, Context
from ..wire.recipients import CheckedRecipients
from .batcher import CHUNK_SIZE
from .outcomes import Ending, RunningChunk

Key = tuple[str, str, str]
#: Sends to those whom the second argument names when the slot is there.
DeliverLate = Callable[[Content, Callable[[], CheckedRecipients], Call], Awaitable[Receipt]]


@define(eq=False, repr=False)
class _Entry:
    """One recipient, with all who wait for its outcome."""

    address: str
    arrived: float
    done: asyncio.Future[ChunkOutcome]
    waiting: int = 0
    #: The call of the chunk that it is in; None while it is in no chunk.
    call: Call | None = None

    @property
    def maybe_told(self) -> bool:
        """Whether this person may have been told by now."""
        if self.done.done():
            return self.done.result().outcome in (Outcome.ACCEPTED, Outcome.UNKNOWN)
        return self.call is not None and (self.call.in_flight or self.call.maybe_told)


@define(eq=False, repr=False)
class _Group:
    """Sends of one content that are in no chunk yet, by person, oldest first."""

    key: Key
    content: Content
    entries: dict[str, _Entry] = field(factory=dict)
    timer: Timer | None = None
    #: A call of this group waits for its slot and will take who is there then.
    queued: bool = False

    def take(self) -> list[_Entry]:
        """Remove the oldest entries, up to a chunk of them."""
        return [self.entries.pop(whom) for whom in [*itertools.islice(self.entries, CHUNK_SIZE)]]


@define(eq=False, repr=False)
class _Chunk:
    """One request of a group, from its place in the rate limit's queue to its end."""

    group: _Group
    call: Call
    #: Whom it is for; None: its slot is not there yet.
    entries: list[_Entry] | None = None


@define(eq=False, repr=False)
class LingeringBatcher:
    """Collects single sends into chunks of up to 500. Use it as `async with`; its end flushes."""

    _deliver: DeliverLate
    _linger: float
    _max_waiting: int
    _priority: Priority
    _clock: Clock = SYSTEM_CLOCK
    _groups: dict[Key, _Group] = field(factory=dict, init=False)
    _calls: set[asyncio.Task[Ending]] = field(factory=set, init=False)
    _room: asyncio.Semaphore = field(init=False)
    _chunks: itertools.count[int] = field(factory=itertools.count, init=False)
    _closing: bool = field(default=False, init=False)

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
        """Join the group of the same content."""
        async with self._room:
            if self._closing:
                raise ClientClosed("this batcher is closed; not sent")
            group = self._groups.setdefault(key, _Group(key, content))
            return await self._wait(group, self._enter(group, address))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Take no more, send what waits, and return when all of it has ended.

        Cancelled, it cancels what is left; whoever waits for it gets an outcome all the same.
        """
        self._closing = True
        for group in [*self._groups.values()]:
            self._arrange(group)
        try:
            while self._calls:
                await asyncio.wait({*self._calls})
        except asyncio.CancelledError:
            for call in self._calls:
                call.cancel()
            raise

    def _enter(self, group: _Group, address: str) -> _Entry:
        whom = person(address)
        entry = group.entries.get(whom)
        if entry is None:
            done = asyncio.get_running_loop().create_future()
            entry = group.entries[whom] = _Entry(address, self._clock.now(), done)
        entry.waiting += 1
        self._arrange(group)
        return entry

    async def _wait(self, group: _Group, entry: _Entry) -> ChunkOutcome:
        try:
            # Shielded, since others may wait for the same future.
            return await asyncio.shield(entry.done)
        except asyncio.CancelledError as cancelled:
            if entry.maybe_told:
                raise cancelled from OutcomeUnknown("cancelled after the request was sent")
            raise
        finally:
            entry.waiting -= 1
            whom = person(entry.address)
            if not entry.waiting and group.entries.get(whom) is entry:
                del group.entries[whom]
                self._arrange(group)

    def _arrange(self, group: _Group) -> None:
        """Queue the group if its oldest send has lingered or a chunk is full; else set a timer."""
        if group.timer is not None:
            group.timer.cancel()
            group.timer = None
        if group.queued:
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

    def _queue(self, group: _Group) -> None:
        """Take a place in the rate limit's queue; a group has one at a time."""
        group.queued = True
        chunk = _Chunk(group, Call(priority=self._priority, shared=True))
        task = start(self._send(chunk))
        self._calls.add(task)
        task.add_done_callback(partial(self._ended, chunk))

    async def _send(self, chunk: _Chunk) -> Ending:
        recipients = partial(self._recipients, chunk)
        return await ending_of(
            self._deliver(chunk.group.content, recipients, chunk.call), _cancelled
        )

    def _recipients(self, chunk: _Chunk) -> CheckedRecipients:
        """Who is there when the slot is; in a repeat, those of them who are waited for."""
        if chunk.entries is None:
            chunk.entries = self._take(chunk.group)
        else:
            chunk.entries = [entry for entry in chunk.entries if entry.waiting]
        if not chunk.entries:
            raise NotSent("everybody in this chunk was withdrawn; not sent")
        for entry in chunk.entries:
            entry.call = chunk.call
        return CheckedRecipients(entry.address for entry in chunk.entries)

    def _ended(self, chunk: _Chunk, task: asyncio.Task[Ending]) -> None:
        """Give all who wait the outcome of their chunk, whatever ended its task."""
        self._calls.discard(task)
        ending = ending_of_task(task, _cancelled, sent=chunk.call.requests > 0)
        # Without a slot nobody was taken; then it ended for all who are there by now.
        entries = self._take(chunk.group) if chunk.entries is None else chunk.entries
        if entries:
            people = CheckedRecipients(entry.address for entry in entries)
            outcome = RunningChunk(next(self._chunks), people, chunk.call).ended(*ending)
            for entry in entries:
                if not entry.done.done():
                    entry.done.set_result(outcome)
        if (raised := raised_in(task)) is not None:
            message = f"{type(raised).__name__} was raised under a request"
            task.get_loop().call_exception_handler({"message": message, "exception": raised})

    def _take(self, group: _Group) -> list[_Entry]:
        """Whom the chunk is for; who is left is arranged for anew, behind the other groups."""
        chosen = group.take()
        group.queued = False
        self._arrange(group)
        return chosen


def _cancelled() -> NotSent:
    return NotSent("not sent: the batcher's end was cancelled")


async def _raised(error: InvalidInput) -> ChunkOutcome:
    """What was wrong at the call is for the one who awaits it."""
    raise error


def _checked(recipient: object) -> str:
    address = str.strip(recipient) if isinstance(recipient, str) else recipient
    if (fault := address_fault(address)) is not None:
        raise InvalidInput(f"recipient is no address: {fault}")
    return str(address)
