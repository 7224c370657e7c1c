"""Any number of recipients through an endpoint; outcomes as a stream, or one report at the end.

Chunks are read when there is room for them and never before: at most `max_in_flight` are held.
Each chunk is a task that this module owns and ends. However a bulk send ends (done, stopped,
cancelled, abandoned, its source broken), each recipient that was taken is in the account.
"""

from __future__ import annotations

import asyncio
import collections
import warnings
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    Awaitable,
    Callable,
    Coroutine,
    Generator,
    Iterable,
)
from functools import partial
from typing import TYPE_CHECKING, Any

from attrs import define, field

from ..call import Call
from ..clock import SYSTEM_CLOCK, Clock
from ..errors import InvalidInput, NotSent
from ..limits.priority import Priority
from ..models import BulkReport, ChunkOutcome, Receipt
from ..tasks import ending_of, ending_of_task, raised_in, start
from ..wire.recipients import CheckedRecipients
from .batcher import Batcher, chunks
from .breaker import Breaker
from .entries import Entries
from .outcomes import Account, Ending, RunningChunk

if TYPE_CHECKING:
    from ..telemetry.otel import OpenTelemetry, Run

Recipients = Iterable[str] | AsyncIterable[str]
Deliver = Callable[[CheckedRecipients, Call], Awaitable[Receipt]]


@define(eq=False, repr=False)
class BulkSend(Coroutine[Any, Any, BulkReport]):
    """A bulk send: await it for the `BulkReport`, or iterate it for each `ChunkOutcome`.

    It starts when it is awaited, iterated or made a task, and once only; one that is dropped before
    tells nobody, and a `RuntimeWarning` says so. `report` is the account at any moment, also after
    a cancellation. Leaving the iteration early cancels what still runs; the account is complete
    when that has ended, at once with `contextlib.aclosing`. Whatever the recipients' own source
    raises is raised when the chunks read before it have ended, and so is what a gate or a session
    of the caller's raises that is no `Exception`. An async generator is closed.
    """

    _deliver: Deliver
    _entries: Entries = field(converter=Entries)
    _max_in_flight: int
    _priority: Priority = "bulk"
    _clock: Clock = SYSTEM_CLOCK
    _telemetry: OpenTelemetry | None = None
    _batcher: Batcher = field(factory=Batcher, init=False)
    _account: Account = field(factory=Account, init=False)
    _breaker: Breaker = field(factory=Breaker, init=False)
    _running: dict[asyncio.Task[Ending], RunningChunk] = field(factory=dict, init=False)
    _reader: asyncio.Task[None] | None = field(default=None, init=False)
    #: What a task runs that this was made.
    _main: Coroutine[Any, Any, BulkReport] | None = field(default=None, init=False)
    #: Read after the halt, so never started.
    _unsent: list[CheckedRecipients] = field(factory=list, init=False)
    #: What a piece of the caller's has raised; raised again when all has ended.
    _raised: BaseException | None = field(default=None, init=False)
    _count: int = field(default=0, init=False)
    _halted: str | None = field(default=None, init=False)
    _began: float | None = field(default=None, init=False)
    _took: float | None = field(default=None, init=False)
    #: It as others see it, while it runs; None: nobody does.
    _run: Run | None = field(default=None, init=False)
    #: It is ready, and nobody has begun or stopped it.
    _untouched: bool = field(default=True, init=False)

    def __del__(self) -> None:
        # It may not have come as far as to have this attribute.
        if getattr(self, "_untouched", False):
            warnings.warn(
                "a bulk send was never started, so nobody was told: await it, or iterate it",
                RuntimeWarning,
                stacklevel=2,
            )

    def __repr__(self) -> str:
        if self._began is None:
            return "<BulkSend not started>"
        people = ", ".join(
            f"{outcome.replace('_', ' ')} {count}"
            for outcome, count in self._account.people.items()
        )
        return f"<BulkSend {'running' if self._took is None else 'ended'}: {people}>"

    def __await__(self) -> Generator[object, None, BulkReport]:
        return self._finish().__await__()

    def send(self, value: Any) -> Any:
        """For the task that this was made."""
        return self._started().send(value)

    def throw(self, *error: Any) -> Any:
        """For the task that this was made."""
        if self._began is None:  # cancelled before its first step
            self._begin()
            self._halt("cancelled")
            self._account_for_rest()
        return self._started().throw(*error)

    def close(self) -> None:
        """Forget it if it was not started."""
        self._untouched = False
        if self._main is not None:
            self._main.close()

    def _started(self) -> Coroutine[Any, Any, BulkReport]:
        self._untouched = False
        self._main = self._main or self._finish()
        return self._main

    def __aiter__(self) -> AsyncGenerator[ChunkOutcome]:
        return self._stream()

    def stop(self) -> None:
        """Send nothing more. Requests in flight end; everybody else is reported as not sent.

        People whom an iterator without a length has not yet given are not counted.
        """
        self._untouched = False
        self._halt("stopped")

    @property
    def report(self) -> BulkReport:
        """The account now; final once the send has ended."""
        running = (chunk.call for chunk in self._running.values() if chunk.outcome is None)
        return self._account.report(running, self._batcher, self._elapsed())

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
            self._entries.open()
            while self._refill():
                for outcome in await self._next_outcomes():
                    yield outcome
            while (addresses := await self._next_unsent()) is not None:
                yield self._abandon(addresses)
        finally:
            await self._wind_up()
        if self._raised is not None:
            raise self._raised

    def _begin(self) -> None:
        if self._began is not None:
            raise InvalidInput("a bulk send runs once; call send_bulk again for another")
        self._untouched = False
        self._began = self._clock.now()
        if self._telemetry is not None:
            self._run = self._telemetry.run("send_bulk")

    def _refill(self) -> bool:
        """Read the next chunk if there is room; say whether anything is still under way."""
        room = len(self._running) < self._max_in_flight
        if room and self._reader is None and not (self._entries.ended or self._halted):
            self._reader = start(self._read())
        return self._reader is not None or bool(self._running)

    async def _read(self) -> None:
        """Read one chunk and start it; at the end of the source, what is left."""
        try:
            addresses = await self._next_chunk()
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # the caller's own: raised again when the rest has ended
            self._break_off(error, f"the recipients' source raised {type(error).__name__}")
            return
        if addresses is not None:
            self._start(addresses)

    async def _next_chunk(self) -> CheckedRecipients | None:
        """Read one; others in the event loop have their turns meanwhile."""
        chunk = await self._entries.read(self._batcher, lambda: self._clock.sleep(0))
        return chunk or self._batcher.flush()

    def _break_off(self, error: BaseException, why: str) -> None:
        self._raised = self._raised or error
        self._halted = self._halted or why

    def _start(self, addresses: CheckedRecipients) -> None:
        if self._halted:
            self._unsent.append(addresses)
            return
        chunk = self._new_chunk(addresses)
        task = start(self._send(chunk))
        self._running[task] = chunk
        task.add_done_callback(partial(self._settle, chunk))

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
            why = "the recipients' source was cancelled"
            self._break_off(InvalidInput(f"{why}; the rest was not sent"), why)

    def _new_chunk(self, addresses: CheckedRecipients) -> RunningChunk:
        self._count += 1
        call = Call(priority=self._priority, part_of=self._run)
        return RunningChunk(self._count - 1, addresses, call)

    async def _send(self, chunk: RunningChunk) -> Ending:
        return await ending_of(self._deliver(chunk.recipients, chunk.call), self._never_sent)

    def _settle(self, chunk: RunningChunk, task: asyncio.Task[Ending]) -> None:
        """Enter the chunk into the account, whatever ended its task."""
        ending = ending_of_task(task, self._never_sent, sent=chunk.call.requests > 0)
        if (raised := raised_in(task)) is not None:
            self._raised = self._raised or raised
            self._halt(f"{type(raised).__name__} was raised under a request")
        self._enter(chunk, chunk.ended(*ending))

    def _enter(self, chunk: RunningChunk, outcome: ChunkOutcome) -> ChunkOutcome:
        chunk.outcome = outcome
        self._account.add(outcome, chunk.call)
        if self._run is not None:
            self._run.count(outcome.outcome, len(outcome.recipients))
        self._breaker.met(outcome.error, self._clock.now())
        if (error := self._breaker.given_up) is not None:
            self._halt(str(error))
        elif (
            self._breaker.since is not None
        ):  # a job would wait; a stream has somebody who waits for it
            self._halt(self._breaker.why_open)
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

    async def _next_unsent(self) -> CheckedRecipients | None:
        """A chunk of those who were taken, or are known, and will not be sent."""
        if self._unsent:
            return self._unsent.pop(0)
        if not self._entries.known:
            return self._batcher.flush()
        return await self._next_chunk()

    def _account_for_rest(self) -> None:
        """The same for all of them, at once: nothing can break in."""
        rest = chunks(self._batcher, self._entries.rest())
        collections.deque(map(self._abandon, [*self._unsent, *rest]), maxlen=0)
        self._unsent.clear()
        self._took = self._elapsed()
        if self._run is not None:
            self._run.end(self._raised)

    def _abandon(self, addresses: CheckedRecipients) -> ChunkOutcome:
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
            await self._entries.close()
            while (addresses := await self._next_unsent()) is not None:
                self._abandon(addresses)
        finally:
            self._account_for_rest()
