"""The gate that processes share: one budget, one pause, one rate, wherever its state is kept.

Theory of operation. A `WaitQueue` queues the calls of this process as ever: priority, order,
deadlines and cancelling are its own. Only what it holds a lock for is another thing here: a
`SharedWindow` is the lock and the window in one. Taking it takes the `SharedState` from its store;
giving it back writes the state and lets go. So each step of the queue is one transaction of well
under a millisecond, and the next process sees all of it or nothing.

When the state cannot be had within a few milliseconds the step goes on without it: the window says
"wait a moment", and what it is told it keeps and writes as soon as it can. The event loop is never
blocked for longer, and no answer is lost. A state that stays away for `SECONDS_HELD` seconds, or
cannot be used, fails the calls that wait, with `ConfigurationError`: they were not sent. A slot
that could not be written, as on a full disk, fails its call too: the others would not count it.

Nobody tells a process that another has given a slot back, so one that waits looks every `POLL`
seconds, and at the moment the arithmetic says.

A step costs 0.1 ms in a file with 120 answers in the window, most of it for reading and writing
them as text: 0.5 ms with 1,000 and 4 ms with 6,000.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Iterable
from math import inf
from typing import Any, cast

from ...clock import Clock
from ...errors import ConfigurationError
from ...settings import RateLimit
from ..priority import Priority, PriorityQueue
from ..queue import WaitQueue
from ..window import GateSnapshot, Slot
from .step import SharedWindow
from .store import Store


class SharedGate:
    """Shares one rate limit among all processes that name the same place; see `Gate`.

    A kind of gate is a class of its own that says how its store is opened. `snapshot` tells of all
    processes together, but for the calls that wait, which are this process's own.
    """

    def __init__(self, name: str, open_store: Callable[[], Store], clock: Clock) -> None:
        self.clock = clock
        self._name = name
        self._open_store = open_store
        self._window: SharedWindow | None = None
        self._queue: WaitQueue | None = None
        self._users: weakref.WeakSet[Any] = weakref.WeakSet()
        self._lock = threading.RLock()

    def join(self, user: object, organisation: str, limit: RateLimit, max_in_flight: int) -> None:
        """A client begins to use the gate; `leave` when done.

        `organisation` says whose budget it is; a digest of it is kept. Raises
        `ConfigurationError` if the gate is unusable, or others use it for another organisation
        or with another limit.
        """
        with self._lock:
            self._close_unused()  # a client that was forgotten unclosed has left by now
            if self._window is None:
                self._window, self._queue = self._opened()
            try:
                self._window.join(organisation, limit, max_in_flight)
                self._users.add(user)
            finally:
                self._close_unused()

    def leave(self, user: object) -> None:
        """One user less. What was spent stays counted until its window ends."""
        with self._lock:
            self._users.discard(user)
            self._close_unused()

    async def acquire(self, deadline: float = inf, priority: Priority = "normal") -> Slot:
        """As `WaitQueue.acquire`; `ConfigurationError` when the state cannot be used any more."""
        queue = self._joined()
        slot = await queue.acquire(deadline, priority)
        cast("SharedWindow", queue.window).check(slot)
        return slot

    def release(self, slot: Slot, *, counted: bool) -> None:
        """As `WaitQueue.release`."""
        self._joined().release(slot, counted=counted)

    def refused(self, slot: Slot, retry_after: float | None = None) -> None:
        """As `WaitQueue.refused`; the pause is for all processes."""
        self._joined().refused(slot, retry_after)

    def observed(self, ages: Iterable[float]) -> None:
        """As `WaitQueue.observed`; the processes count them together."""
        self._joined().observed(ages)

    def snapshot(self) -> GateSnapshot:
        """What the processes know together; after the last client has left, what it knew last."""
        return self._joined().snapshot()

    def _opened(self) -> tuple[SharedWindow, WaitQueue]:
        waiting: PriorityQueue[Any] = PriorityQueue()
        window = SharedWindow(self._open_store(), self.clock, waiting=waiting.__len__)
        return window, WaitQueue(window, self.clock, lock=window, waiting=waiting)

    def _close_unused(self) -> None:
        if not self._users and self._window is not None:
            self._window.leave()
            self._window = None

    def _joined(self) -> WaitQueue:
        if self._queue is None:
            raise ConfigurationError(f"{self._name} is not in use; give it to a client")
        return self._queue
