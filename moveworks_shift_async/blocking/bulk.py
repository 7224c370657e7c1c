"""A bulk send without an event loop: its report, or its outcomes one by one."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Generator, Iterable, Iterator
from functools import partial
from queue import SimpleQueue
from typing import Any, Self, TypeVar

from attrs import define, field

from ..errors import InvalidInput
from ..models import BulkReport, ChunkOutcome
from ..sending.stream import BulkSend as AsyncBulkSend
from ..sending.stream import Recipients
from .portal import Calling, Errands, Interrupted, Portal, Withdraw

T = TypeVar("T")


@define(eq=False, repr=False)
class BulkSend:
    """A bulk send: `result()` is its `BulkReport`; iterated, it gives each `ChunkOutcome`.

    It starts with either, and once only. Between two outcomes what is in flight goes on, and no new
    chunk is read. Leaving the iteration early cancels what still runs. At a Ctrl-C nothing more is
    sent, and what is in flight is waited for; at a second one it is cut.
    """

    _portal: Portal
    _bulk: AsyncBulkSend
    _errands: Errands
    #: Held by who has begun it: two that wait would take each other's errands.
    _begun: threading.Lock = field(factory=threading.Lock, init=False)

    @classmethod
    def of(
        cls,
        portal: Portal,
        recipients: Recipients,
        make: Callable[[Recipients], AsyncBulkSend],
    ) -> Self:
        """One whose recipients, if they are a generator, are read in the thread that waits."""
        portal.check()
        errands: Errands = SimpleQueue()
        if isinstance(recipients, Iterable) and not hasattr(type(recipients), "__len__"):
            recipients = _Pulled(recipients, errands)
        return cls(portal, make(recipients), errands)

    def result(self) -> BulkReport:
        """Send to everybody, and return the account of it."""
        self._begin()
        try:
            return self._wait(self._finished, self._stop)
        except Interrupted as stopped:
            stopped.account_for(self.report)
            raise

    def _begin(self) -> None:
        if not self._begun.acquire(blocking=False):
            raise InvalidInput("a bulk send runs once; call send_bulk again for another")

    def __iter__(self) -> Generator[ChunkOutcome]:
        self._begin()
        stream = aiter(self._bulk)
        try:
            while (outcome := self._step(stream)) is not None:
                yield outcome
        finally:
            # One that is collected as garbage may be so in the loop's thread, in a fork, or after
            # the loop; there nobody can wait, and where there is a loop it ends the stream itself.
            if self._portal.can_be_waited_for:
                self._wait(stream.aclose)

    def stop(self) -> None:
        """Send nothing more. Requests in flight end; everybody else is reported as not sent."""
        Calling(self._portal, self._stopped).result()

    @property
    def report(self) -> BulkReport:
        """The account now; final once the send has ended."""
        return Calling(self._portal, self._account).result()

    def _step(self, stream: AsyncIterator[ChunkOutcome]) -> ChunkOutcome | None:
        """The next outcome, or None at the end. Interrupted, it ends all of them first."""
        try:
            return self._wait(lambda: _next(stream), self._stop)
        except BaseException as raised:
            self._wait(lambda: _rest(stream))
            if isinstance(raised, Interrupted):
                raised.account_for(self.report)
            raise

    def _wait(
        self,
        work: Callable[[], Coroutine[Any, Any, T]],
        withdraw: Withdraw = asyncio.Task.cancel,
    ) -> T:
        return Calling(self._portal, work, withdraw, self._errands).result()

    def _stop(self, _: asyncio.Task[Any]) -> None:
        self._bulk.stop()

    async def _finished(self) -> BulkReport:
        return await self._bulk

    async def _stopped(self) -> None:
        self._bulk.stop()

    async def _account(self) -> BulkReport:
        return self._bulk.report

    def __repr__(self) -> str:
        return repr(self._bulk)


async def _next(stream: AsyncIterator[ChunkOutcome]) -> ChunkOutcome | None:
    return await anext(stream, None)


async def _rest(stream: AsyncIterator[ChunkOutcome]) -> None:
    async for _ in stream:
        pass


@define(eq=False, repr=False)
class _Pulled(AsyncIterator[Any]):
    """Entries that the waiting thread reads: a cursor or a session often belongs to its thread."""

    _source: Iterable[Any]
    _errands: Errands
    _entries: Iterator[Any] | None = field(default=None, init=False)

    async def __anext__(self) -> Any:
        found: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._errands.put(lambda: self._read(found))
        if (entry := await found) is _END:
            raise StopAsyncIteration
        return entry

    def _read(self, found: asyncio.Future[Any]) -> None:
        """One entry, in the waiting thread; `_END` after the last."""
        if found.cancelled():
            return
        try:
            self._entries = self._entries or iter(self._source)
            settle = partial(found.set_result, next(self._entries, _END))
        except Exception as error:
            settle = partial(found.set_exception, error)
        found.get_loop().call_soon_threadsafe(lambda: found.done() or settle())


_END = object()
