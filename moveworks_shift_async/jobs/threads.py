"""Threads beside the event loop: a step that no cancellation leaves alone, and the way back."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from concurrent.futures import Executor, Future, wait
from typing import Any, TypeVar

from attrs import define, field

from ..errors import NotSent

T = TypeVar("T")

# Seconds between two looks at a loop that is waited for, and looks after which it is given up where
# it does not run: whoever ran it was interrupted, and the thread would keep the process for ever.
_LOOK, _LOOKS = 0.5, 10


async def in_thread(
    step: Callable[[], T], stop: threading.Event | None = None, executor: Executor | None = None
) -> T:
    """Run a step in a thread; when cancelled, set `stop` and wait until the step has ended."""
    running = asyncio.get_running_loop().run_in_executor(executor, step)
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        if stop is not None:
            stop.set()
        while not running.done():
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait([running])
        running.exception()  # whatever it was, it is cancelled now
        raise


@define(eq=False, repr=False)
class FromThread:
    """The event loop, for a step that `in_thread` runs: what it asks for is awaited in the loop."""

    _loop: asyncio.AbstractEventLoop = field(factory=asyncio.get_running_loop)

    def start(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        """Have it done, and go on meanwhile."""
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def wait(self, work: Coroutine[Any, Any, T]) -> T:
        """Have it done, and wait for it."""
        return self.result(self.start(work))

    def result(self, future: Future[T]) -> T:
        """What came of something that was started; `NotSent` where the loop is gone."""
        idle = 0
        while not wait([future], _LOOK).done:
            idle = 0 if self._loop.is_running() else idle + 1
            if self._loop.is_closed() or idle > _LOOKS:
                raise NotSent("the event loop was left in the middle; nothing was sent")
        return future.result()

    def each(self, items: AsyncIterator[T]) -> Iterator[T]:
        """All that an async iterator gives."""
        while (item := self.wait(_following(items))) is not None:
            yield item


async def _following(items: AsyncIterator[T]) -> T | None:
    return await anext(items, None)
