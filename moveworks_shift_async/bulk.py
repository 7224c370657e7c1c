"""Any number of recipients through an endpoint; outcomes as a stream, or one report at the end.

Chunks are read when there is room for them and never before: at most `max_in_flight` are held.
Each chunk is a task that this module owns and ends. However a bulk send ends (done, stopped,
cancelled, abandoned, its source broken), each recipient that was taken is in the account.
"""

from __future__ import annotations

import asyncio
import collections
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Awaitable,
    Callable,
    Collection,
    Generator,
    Iterable,
    Iterator,
)

from attrs import define, field

from .batcher import Batcher, chunks
from .breaker import STRIKES, Breaker
from .clock import SYSTEM_CLOCK, Clock
from .ending import ending_of
from .errors import (
    InvalidInput,
    MoveworksError,
    NotSent,
    Outcome,
)
from .limits.lanes import Priority
from .models import BulkReport, ChunkOutcome, Receipt
from .session import Call

Recipients = Iterable[str] | AsyncIterable[str]
Addresses = tuple[str, ...]
Deliver = Callable[[Addresses, Call], Awaitable[Receipt]]


@define(eq=False, repr=False)
class _Chunk:
    """One request on its way to its outcome."""

    index: int
    recipients: Addresses = field(repr=False)
    call: Call
    #: Set when it is in the account.
    outcome: ChunkOutcome | None = None

    def ended(
        self, receipt: Receipt | None = None, error: MoveworksError | None = None
    ) -> ChunkOutcome:
        return ChunkOutcome(
            index=self.index,
            recipients=self.recipients,
            outcome=Outcome.ACCEPTED if error is None else error.outcome,
            receipt=receipt,
            error=error,
            attempts=self.call.attempts,
        )


@define(eq=False, repr=False)
class _Account:
    """What became of whom. Accepted chunks are counted, the others kept."""

    people: dict[Outcome, int] = field(factory=lambda: dict.fromkeys(Outcome, 0))
    failures: list[ChunkOutcome] = field(factory=list)
    requests: int = 0
    throttled: int = 0

    def add(self, outcome: ChunkOutcome, call: Call) -> None:
        self.people[outcome.outcome] += len(outcome.recipients)
        self.requests += call.requests
        self.throttled += call.throttled
        if outcome.outcome is not Outcome.ACCEPTED:
            self.failures.append(outcome)


@define(eq=False, repr=False)
class BulkSend:
    """A bulk send: await it for the `BulkReport`, or iterate it for each `ChunkOutcome`.

    It starts when it is awaited or iterated, and once only. `report` is the account at any moment,
    also after a cancellation. Leaving the iteration early cancels what still runs; the account is
    complete when that has ended, at once with `contextlib.aclosing`. An exception
    of the recipients' own source is raised when the chunks read before it have ended.
    """

    _deliver: Deliver
    _recipients: Recipients
    _max_in_flight: int
    _priority: Priority = "bulk"
    _clock: Clock = SYSTEM_CLOCK
    _batcher: Batcher = field(factory=Batcher, init=False)
    _account: _Account = field(factory=_Account, init=False)
    _breaker: Breaker = field(factory=Breaker, init=False)
    _running: dict[asyncio.Task[ChunkOutcome], _Chunk] = field(factory=dict, init=False)
    _reader: asyncio.Task[None] | None = field(default=None, init=False)
    #: Read after the halt, so never started.
    _unsent: list[Addresses] = field(factory=list, init=False)
    _source: AsyncIterator[str] | Iterator[str] | None = field(default=None, init=False)
    _source_error: Exception | None = field(default=None, init=False)
    _count: int = field(default=0, init=False)
    _halted: str | None = field(default=None, init=False)
    _began: float | None = field(default=None, init=False)
    _took: float | None = field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        if isinstance(self._recipients, (str, bytes)):
            raise InvalidInput("recipients must be an iterable of addresses, not one text")
        if not isinstance(self._recipients, (Iterable, AsyncIterable)):
            raise InvalidInput("recipients must be an iterable or an async iterable of addresses")
        if isinstance(self._recipients, Collection):
            # A copy of the references: what the caller does to the list meanwhile loses nobody.
            self._recipients = tuple(self._recipients)

    def __await__(self) -> Generator[object, None, BulkReport]:
        return self._finish().__await__()

    def __aiter__(self) -> AsyncGenerator[ChunkOutcome]:
        return self._stream()

    def stop(self) -> None:
        """Send nothing more. Requests in flight end; everybody else is reported as not sent.

        People whom an iterator without a length has not yet given are not counted.
        """
        self._halt("stopped")

    @property
    def report(self) -> BulkReport:
        """The account now; final once the send has ended."""
        calls = [chunk.call for chunk in self._running.values() if chunk.outcome is None]
        people = self._account.people
        return BulkReport(
            accepted=people[Outcome.ACCEPTED],
            rejected=people[Outcome.REJECTED],
            unknown=people[Outcome.UNKNOWN],
            not_sent=people[Outcome.NOT_SENT],
            requests=self._account.requests + sum(call.requests for call in calls),
            duplicates=self._batcher.duplicates,
            invalid=tuple(self._batcher.invalid),
            throttled=self._account.throttled + sum(call.throttled for call in calls),
            elapsed=self._elapsed(),
            failures=tuple(sorted(self._account.failures, key=lambda failure: failure.index)),
        )

    def _elapsed(self) -> float:
        if self._took is not None:
            return self._took
        return 0.0 if self._began is None else self._clock.now() - self._began

    async def _finish(self) -> BulkReport:
        async for _ in self._stream():
            pass
        return self.report

    async def _stream(self) -> AsyncGenerator[ChunkOutcome]:
        self._begin()
        try:
            while self._refill():
                for outcome in await self._next_outcomes():
                    yield outcome
            for outcome in self._abandon_rest():
                yield outcome
        finally:
            await self._wind_up()
        if self._source_error is not None:
            raise self._source_error

    def _begin(self) -> None:
        if self._began is not None:
            raise InvalidInput("a bulk send runs once; call send_bulk again for another")
        self._began = self._clock.now()
        source = self._recipients
        self._source = aiter(source) if isinstance(source, AsyncIterable) else iter(source)

    def _refill(self) -> bool:
        """Read the next chunk if there is room; say whether anything is still under way."""
        room = len(self._running) < self._max_in_flight
        if room and self._reader is None and self._source is not None and not self._halted:
            self._reader = asyncio.create_task(self._read(self._source))
        return self._reader is not None or bool(self._running)

    async def _read(self, source: AsyncIterator[str] | Iterator[str]) -> None:
        """Read one chunk and start it; at the end of the source, what is left."""
        try:
            if isinstance(source, AsyncIterator):
                async for entry in source:
                    if self._start(self._batcher.feed(entry)):
                        return
            else:
                for entry in source:
                    if self._start(self._batcher.feed(entry)):
                        return
        except Exception as error:  # the caller's own: raised again when the rest has ended
            self._source_error = error
            self._halted = f"the recipients' source raised {type(error).__name__}"
            return
        self._source = None
        self._start(self._batcher.flush())

    def _start(self, addresses: Addresses | None) -> bool:
        """Start a chunk, unless there is none yet; say whether there was one."""
        if addresses is not None and self._halted:
            self._unsent.append(addresses)
        elif addresses is not None:
            chunk = self._new_chunk(addresses)
            task = asyncio.create_task(self._send(chunk))
            self._running[task] = chunk
            task.add_done_callback(lambda task: self._settle(chunk, task))
        return addresses is not None

    async def _next_outcomes(self) -> list[ChunkOutcome]:
        """Wait until a chunk was read or chunks have ended; return those that have."""
        reader = {self._reader} if self._reader else set()
        await asyncio.wait({*self._running, *reader}, return_when=asyncio.FIRST_COMPLETED)
        if self._reader is not None and self._reader.done():
            self._note_cancelled_source(self._reader)
            self._reader = None
        ended = [task for task, chunk in self._running.items() if chunk.outcome is not None]
        return [outcome for task in ended if (outcome := self._running.pop(task).outcome)]

    def _note_cancelled_source(self, reader: asyncio.Task[None]) -> None:
        """A source that raises `CancelledError` by itself has broken off like any other."""
        if reader.cancelled() and not self._halted:
            self._halted = "the recipients' source was cancelled"
            self._source_error = InvalidInput(f"{self._halted}; the rest was not sent")

    def _new_chunk(self, addresses: Addresses) -> _Chunk:
        self._count += 1
        return _Chunk(self._count - 1, addresses, Call(priority=self._priority))

    async def _send(self, chunk: _Chunk) -> ChunkOutcome:
        delivery = self._deliver(chunk.recipients, chunk.call)
        return chunk.ended(*await ending_of(delivery, self._never_sent))

    def _settle(self, chunk: _Chunk, task: asyncio.Task[ChunkOutcome]) -> None:
        """Enter the chunk into the account, whatever ended its task."""
        # A task that is cancelled before its first step never runs at all.
        cancelled = task.cancelled()
        self._enter(chunk, chunk.ended(error=self._never_sent()) if cancelled else task.result())

    def _enter(self, chunk: _Chunk, outcome: ChunkOutcome) -> ChunkOutcome:
        chunk.outcome = outcome
        self._account.add(outcome, chunk.call)
        self._breaker.met(outcome.error, self._clock.now())
        if (error := self._breaker.given_up) is not None:
            self._halt(str(error))
        elif not self._breaker.closed:  # a job would wait; a stream has somebody who waits for it
            last = self._breaker.reason
            self._halt(f"{STRIKES} requests in a row had no usable answer; the last: {last}")
        return outcome

    def _never_sent(self) -> NotSent:
        return NotSent(f"not sent: {self._halted}")

    def _halt(self, why: str) -> None:
        """Start no more requests; what waits ends now, what is in flight with its answer."""
        self._halted = self._halted or why
        for task, chunk in self._running.items():
            chunk.call.withdrawn = self._halted
            if not chunk.call.in_flight:
                task.cancel()
        if self._reader is not None and self._reader is not asyncio.current_task():
            self._reader.cancel()

    def _abandon_rest(self) -> Iterator[ChunkOutcome]:
        """Enter those who were taken, or are known, and will not be sent."""
        while self._unsent:
            yield self._abandon(self._unsent.pop(0))
        known = self._source if isinstance(self._recipients, tuple) else None
        for addresses in chunks(self._batcher, known if isinstance(known, Iterator) else ()):
            yield self._abandon(addresses)

    def _abandon(self, addresses: Addresses) -> ChunkOutcome:
        chunk = self._new_chunk(addresses)
        return self._enter(chunk, chunk.ended(error=self._never_sent()))

    async def _wind_up(self) -> None:
        """End what still runs. Cancelled again, the account is complete all the same."""
        self._halt("cancelled")
        unfinished = {*self._running} | ({self._reader} if self._reader else set())
        for task in unfinished:
            task.cancel()
        try:
            if unfinished:
                await asyncio.wait(unfinished)
        finally:
            collections.deque(self._abandon_rest(), maxlen=0)
            self._took = self._elapsed()
