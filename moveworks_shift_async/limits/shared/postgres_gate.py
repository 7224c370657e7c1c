"""The gate of many machines: its state is a row in PostgreSQL."""

from __future__ import annotations

import asyncio
import os
import threading
import weakref
from collections.abc import Iterable
from math import inf
from typing import TYPE_CHECKING, Any

from ...clock import SYSTEM_CLOCK, Clock
from ...errors import ConfigurationError
from ...settings import RateLimit
from ...storage.database_url import without_password
from ..priority import Priority
from ..window import GateSnapshot, Slot

if TYPE_CHECKING:
    from .pump import Pump


class PostgresGate:
    """Shares one rate limit among all processes of all machines that name the same database.

    Give it to a client as `gate`, with the URL of a database (`postgresql://host/name`) in which
    `moveworks-shift fleet init` has made the tables. What the URL leaves out comes from libpq's
    variables and files. Each organisation has a row of its own there, with numbers and no secret.

    A process has a thread and a connection of its own for it. While the database is away, calls
    wait, for as long as their deadlines let them, and nothing is sent. A process that dies gives
    its slots back a minute and one window later. A gate is opened in the process that uses it, not
    before a fork. `snapshot` tells of all processes together, but for the calls that wait, which
    are this process's own.
    """

    def __init__(self, url: str, clock: Clock = SYSTEM_CLOCK) -> None:
        self._url = url
        self._place = without_password(url)
        self._clock = clock
        self._forgotten: weakref.finalize[[], PostgresGate]
        #: The last one: its queue takes back slots when it has ended.
        self._pump: Pump | None = None
        self._process = os.getpid()
        self._users: weakref.WeakSet[Any] = weakref.WeakSet()
        self._lock = threading.RLock()

    def __repr__(self) -> str:
        state = self.snapshot() if self._pump else "unused"
        return f"<PostgresGate {self._place} {state}>"

    def join(self, user: object, organisation: str, limit: RateLimit, max_in_flight: int) -> None:
        """A client begins to use the gate; `leave` when done.

        Raises `ConfigurationError` if the database cannot be used, or others use the gate with
        another limit, or this one is in use for another organisation.
        """
        with self._lock:
            self._close_unused()  # a client that was forgotten unclosed has left by now
            if self._pump is None or self._pump.ending:
                self._open(organisation, limit, max_in_flight)
            else:
                self._joined().join(organisation, limit, max_in_flight)
            self._users.add(user)

    def leave(self, user: object) -> None:
        """One user less. What was spent stays counted until its window ends."""
        with self._lock:
            self._users.discard(user)
            self._close_unused()

    async def acquire(self, deadline: float = inf, priority: Priority = "normal") -> Slot:
        """As `WaitQueue.acquire`; `ConfigurationError` when the state cannot be used any more."""
        pump = self._joined()
        while True:
            # Once the call waits: the thread looks how many do.
            asyncio.get_running_loop().call_soon(pump.poke)
            slot = await pump.queue.acquire(deadline, priority)
            if pump.is_fresh(slot):
                return slot
            pump.queue.release(slot, counted=False)

    def release(self, slot: Slot, *, counted: bool) -> None:
        """As `WaitQueue.release`."""
        self._last().queue.release(slot, counted=counted)

    def refused(self, slot: Slot, retry_after: float | None = None) -> None:
        """As `WaitQueue.refused`; the pause is for all processes."""
        self._last().queue.refused(slot, retry_after)

    def observed(self, ages: Iterable[float]) -> None:
        """As `WaitQueue.observed`; the processes count them together."""
        self._last().queue.observed(ages)

    def snapshot(self) -> GateSnapshot:
        """What the processes know together; after the last client has left, what it knew last."""
        return self._last().queue.snapshot()

    def _open(self, organisation: str, limit: RateLimit, max_in_flight: int) -> None:
        # Whoever names no database needs no thread, and none of what it imports.
        from .pump import Pump  # noqa: PLC0415

        pump = Pump(self._url, organisation, limit, max_in_flight, self._place, self._clock)
        pump.start()
        self._pump, self._process = pump, os.getpid()
        self._forgotten = weakref.finalize(self, pump.stop)
        self._forgotten.atexit = False  # the thread sees to it itself

    def _close_unused(self) -> None:
        if not self._users and self._pump is not None and not self._pump.ending:
            self._pump.end()
            self._forgotten.detach()

    def _joined(self) -> Pump:
        pump = self._last()
        if self._process != os.getpid():
            raise ConfigurationError("this gate was opened before a fork; open one after it")
        return pump

    def _last(self) -> Pump:
        if self._pump is None:
            raise ConfigurationError("this gate is not in use; give it to a client")
        return self._pump
