"""The gate of this process: who waits, in which order, and one timer for all of them.

Waiters stand in lanes, first come first served in each, from whatever thread and event loop. State
changes in synchronous steps under a thread lock that is never held across an await. A granted slot
whose waiter was cancelled goes back, so cancelling anybody at any moment loses nothing.
"""

from __future__ import annotations

import asyncio
import threading
import weakref
from collections.abc import Hashable
from math import inf
from typing import Any

from attrs import define, field

from ..clock import SYSTEM_CLOCK, Clock, Timer
from ..errors import ConfigurationError, DeadlineExceeded
from ..settings import RateLimit
from .lanes import Lanes, Priority
from .window import GateSnapshot, SlidingWindow


@define(eq=False, repr=False)
class _Waiter:
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[None]
    deadline: float
    granted: bool = False

    def wake(self, error: Exception | None = None) -> None:
        """End the wait, from whatever thread. `RuntimeError` if the waiter's loop is closed."""
        if self.loop is _running_loop():
            self._settle(error)
        else:
            self.loop.call_soon_threadsafe(self._settle, error)

    def _settle(self, error: Exception | None) -> None:
        if self.future.done():
            return  # cancelled; `ProcessGate._leave` sees what became of the slot
        if error is None:
            self.future.set_result(None)
        else:
            self.future.set_exception(error)


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


@define(eq=False, repr=False)
class ProcessGate:
    """Shares one budget among all callers of this process."""

    window: SlidingWindow
    clock: Clock = SYSTEM_CLOCK
    #: Whoever joined and has not left; a client that was forgotten unclosed leaves by itself.
    users: weakref.WeakSet[Any] = field(factory=weakref.WeakSet)
    _queue: Lanes[_Waiter] = field(factory=Lanes)
    _timer: Timer | None = None
    _timer_loop: asyncio.AbstractEventLoop | None = None
    _lock: threading.RLock = field(factory=threading.RLock)

    async def acquire(self, deadline: float = inf, priority: Priority = "normal") -> None:
        """Wait for a slot in the lane of that priority.

        Raises `DeadlineExceeded` before a wait known to outlast `deadline`, which is a
        time of the gate's clock. Every `acquire` that returned needs one `release`.
        """
        waiter = self._enter(deadline, priority)
        if waiter is None:
            return
        try:
            async with asyncio.timeout(None if deadline == inf else deadline - self.clock.now()):
                await waiter.future
        except TimeoutError:
            self._leave(waiter)
            raise _too_late() from None
        except BaseException:
            self._leave(waiter)
            raise

    def release(self, *, counted: bool) -> None:
        """Give the slot back: one window from now if the server may have counted the request."""
        with self._lock:
            if counted:
                self.window.answered(self.clock.now())
            else:
                self.window.unused()
            self._dispatch()

    def pause(self, seconds: float) -> None:
        """Let nobody start for `seconds`; fail those whose deadline comes before."""
        with self._lock:
            self.window.pause(self.clock.now(), seconds)
            late = [w for w in self._queue if w.deadline < self.window.pause_until]
            for waiter in late:
                self._queue.discard(waiter)
                waiter.wake(_too_late())

    def snapshot(self) -> GateSnapshot:
        """What the gate knows now."""
        with self._lock:
            now = self.clock.now()
            next_in = self.window.wait(now)
            return GateSnapshot(
                budget=self.window.budget,
                used=self.window.used,
                in_flight=self.window.in_flight,
                waiting=len(self._queue),
                next_in=next_in,
                paused_for=max(0.0, self.window.pause_until - now),
            )

    def __repr__(self) -> str:
        s = self.snapshot()
        pause = f", paused for {s.paused_for:.1f} s" if s.paused_for else ""
        return (
            f"<ProcessGate {s.used} of {s.budget} slots used, {s.in_flight} in flight,"
            f" {s.waiting} waiting{pause}>"
        )

    def _enter(self, deadline: float, priority: Priority) -> _Waiter | None:
        """Take a slot at once, or join the queue."""
        with self._lock:
            now = self.clock.now()
            if not self._queue and self.window.wait(now) <= 0:
                self.window.start()
                return None
            if now + self.window.least_wait(now, self._queue.ahead(priority)) > deadline:
                raise _too_late()
            loop = asyncio.get_running_loop()
            waiter = _Waiter(loop, loop.create_future(), deadline)
            self._queue.add(waiter, priority)
            self._arm(now)
            return waiter

    def _leave(self, waiter: _Waiter) -> None:
        with self._lock:
            if waiter.granted:
                self.window.unused()
            self._queue.discard(waiter)
            self._dispatch()

    def _dispatch(self) -> None:
        """Hand out what is free, in order, and set the timer for the rest."""
        with self._lock:
            now = self.clock.now()
            while self._queue and self.window.wait(now) <= 0:
                self._grant(self._queue.pop())
            self._arm(now)

    def _grant(self, waiter: _Waiter) -> None:
        self.window.start()
        waiter.granted = True
        try:
            waiter.wake()
        except RuntimeError:  # its loop was closed under it: nobody is there to take the slot
            self.window.unused()

    def _arm(self, now: float) -> None:
        """Keep one timer, in the first waiter's loop; a closed loop cannot keep it for others."""
        while self._queue and self._queue.first().loop.is_closed():
            self._queue.pop()
        wait = self.window.wait(now)
        if not self._queue or wait == inf:
            return  # nobody waits, or an answer will dispatch
        head = self._queue.first()
        if self._timer is not None and self._timer_loop is head.loop:
            return
        if head.loop is _running_loop():
            self._timer, self._timer_loop = self.clock.call_later(wait, self._ring), head.loop
        else:
            head.loop.call_soon_threadsafe(self._dispatch)

    def _ring(self) -> None:
        with self._lock:
            self._timer = self._timer_loop = None
            self._dispatch()


def _too_late() -> DeadlineExceeded:
    return DeadlineExceeded("waiting for the rate limit would outlast the deadline; not sent")


# The limit belongs to the organisation, so its clients in this process share one gate, and a new
# client starts with what the last one has spent.
_gates: dict[Hashable, ProcessGate] = {}
_gates_lock = threading.Lock()


def join_gate(
    key: Hashable, user: object, limit: RateLimit, max_in_flight: int, clock: Clock = SYSTEM_CLOCK
) -> ProcessGate:
    """The gate of `key` (base URL and credential) in this process; `leave_gate` when done.

    Raises `ConfigurationError` if another user has it open with another limit.
    """
    with _gates_lock:
        _drop_idle()
        gate = _gates.get(key)
        if gate is None:
            window = SlidingWindow(limit.budget, limit.per, max_in_flight)
            gate = _gates[key] = ProcessGate(window, clock)
        _retune(gate.window, limit, max_in_flight, in_use=bool(gate.users))
        gate.users.add(user)
        return gate


def leave_gate(key: Hashable, user: object) -> None:
    """One user less. What was spent stays counted until its window ends."""
    with _gates_lock:
        if key in _gates:
            _gates[key].users.discard(user)
        _drop_idle()


def _retune(window: SlidingWindow, limit: RateLimit, max_in_flight: int, *, in_use: bool) -> None:
    wanted = (limit.budget, limit.per, max_in_flight)
    if in_use and wanted != (window.budget, window.per, window.max_in_flight):
        raise ConfigurationError(
            "another open client of this process has the same base_url and credential and another"
            " rate_limit or max_in_flight; they share one gate, so give both the same"
        )
    window.budget, window.per, window.max_in_flight = wanted


def _drop_idle() -> None:
    for key, gate in list(_gates.items()):
        snapshot = gate.snapshot()
        if not gate.users and not snapshot.used and not snapshot.paused_for:
            del _gates[key]
