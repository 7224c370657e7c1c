"""Who waits for a slot, in which order, and one timer in each event loop.

Waiters are served by priority, first come first served in each, from whatever thread and event
loop. State changes in synchronous steps under a thread lock that is never held across an await. A
granted slot whose waiter was cancelled goes back, so cancelling anybody at any time loses nothing.

An event loop may stop, for a while or for good, and nobody is told. Every loop in which somebody
waits has a timer of its own, so none depends on another; and a waiter whose loop stands still when
its turn comes is passed over: it takes its place again when the loop runs.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterable
from math import inf
from typing import Any, Protocol

from attrs import define, evolve, field

from ..clock import SYSTEM_CLOCK, Clock, Timer
from ..errors import ConfigurationError, DeadlineExceeded
from .priority import Priority, PriorityQueue
from .window import GateSnapshot, Slot


@define(eq=False, repr=False)
class _Waiter:
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[Slot]
    deadline: float
    priority: Priority
    granted: Slot | None = None

    def wake(self, result: Slot | Exception) -> bool:
        """End the wait, from whatever thread. False if the waiter's loop was closed under it."""
        try:
            if self.loop is _running_loop():
                self._settle(result)
            else:
                self.loop.call_soon_threadsafe(self._settle, result)
        except RuntimeError:
            return False
        return True

    def _settle(self, result: Slot | Exception) -> None:
        if self.future.done():
            return  # cancelled; `WaitQueue._leave` sees what became of the slot
        if isinstance(result, Slot):
            self.future.set_result(result)
        else:
            self.future.set_exception(result)


@define(eq=False)
class _LoopTimer:
    """The timer of one event loop in which somebody waits."""

    waiters: set[_Waiter] = field(factory=set)
    #: Those whose turn came while the loop stood still, the first first.
    passed_over: list[_Waiter] = field(factory=list)
    handle: Timer | None = None
    #: When it fires.
    due: float = inf
    #: The loop was asked to set it, and has not come to do it.
    asked: bool = False


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


class Window(Protocol):
    """Says when the next request may start; what each method does, `AdaptiveWindow` says."""

    def wait(self, now: float) -> float: ...
    def least_wait(self, now: float, ahead: int) -> float: ...
    def start(self, now: float) -> Slot: ...
    def answered(self, slot: Slot, now: float) -> None: ...
    def refused(self, slot: Slot, now: float, retry_after: float | None = None) -> None: ...
    def unused(self, slot: Slot, now: float) -> None: ...
    def observed(self, counted_at: Iterable[float], now: float) -> None: ...
    def snapshot(self, now: float) -> GateSnapshot: ...


@define(eq=False, repr=False)
class WaitQueue:
    """Shares the slots of one window among all callers of this process.

    Whoever holds `lock` may read and change `window`; it is taken again by who has it.
    """

    window: Window
    clock: Clock = SYSTEM_CLOCK
    lock: contextlib.AbstractContextManager[Any] = field(factory=threading.RLock)
    _waiting: PriorityQueue[_Waiter] = field(factory=PriorityQueue)
    _timers: dict[asyncio.AbstractEventLoop, _LoopTimer] = field(factory=dict)

    async def acquire(self, deadline: float = inf, priority: Priority = "normal") -> Slot:
        """Wait for a slot among the calls of that priority.

        Raises `DeadlineExceeded` before a wait known to outlast `deadline`, which is a time of the
        gate's clock. Every slot needs one `release` or `refused`.
        """
        waiter = self._enter(deadline, priority)
        if isinstance(waiter, Slot):
            return waiter
        try:
            async with asyncio.timeout(None if deadline == inf else deadline - self.clock.now()):
                return await waiter.future
        except TimeoutError:
            self._leave(waiter)
            raise _too_late(self._least_wait(priority, self.clock.now())) from None
        except BaseException:
            self._leave(waiter)
            raise

    def release(self, slot: Slot, *, counted: bool) -> None:
        """Give the slot back: one window from now if the server may have counted the request."""
        with self.lock:
            end = self.window.answered if counted else self.window.unused
            end(slot, self.clock.now())
            self.serve()

    def refused(self, slot: Slot, retry_after: float | None = None) -> None:
        """Give the slot back after a 429, which is everybody's; fail those it makes too late.

        `retry_after` is the seconds the server asked for, if it did.
        """
        with self.lock:
            now = self.clock.now()
            self.window.refused(slot, now, retry_after)
            pause = self.window.snapshot(now).paused_for
            late = [w for w in self._waiting if w.deadline < now + pause]
            for waiter in late:
                self._remove(waiter)
                waiter.wake(_too_late(pause))
            self.serve()

    def observed(self, ages: Iterable[float]) -> None:
        """Count requests that somebody else knows of; see `Gate.observed`."""
        with self.lock:
            now = self.clock.now()
            self.window.observed([now - age for age in ages], now)

    def snapshot(self) -> GateSnapshot:
        """What the gate knows now."""
        with self.lock:
            return evolve(self.window.snapshot(self.clock.now()), waiting=len(self._waiting))

    def _enter(self, deadline: float, priority: Priority) -> _Waiter | Slot:
        """Take a slot at once, or join the queue."""
        with self.lock:
            now = self.clock.now()
            wait = self.window.wait(now)
            if not self._waiting and wait <= 0:
                return self.window.start(now)
            if now + (wait := self._least_wait(priority, now)) > deadline:
                raise _too_late(wait)
            loop = asyncio.get_running_loop()
            waiter = _Waiter(loop, loop.create_future(), deadline, priority)
            self._waiting.add(waiter, priority)
            self._timers.setdefault(loop, _LoopTimer()).waiters.add(waiter)
            self._arm(now)
            return waiter

    def _least_wait(self, priority: Priority, now: float) -> float:
        """Seconds until one more of this priority may start at the earliest."""
        with self.lock:
            return self.window.least_wait(now, self._waiting.ahead(priority))

    def _leave(self, waiter: _Waiter) -> None:
        with self.lock:
            if waiter.granted is not None:
                self.window.unused(waiter.granted, self.clock.now())
            self._remove(waiter)
            self.serve()

    def _remove(self, waiter: _Waiter) -> None:
        """Let it wait no longer, if it does."""
        self._waiting.discard(waiter)
        timer = self._timers.get(waiter.loop, _LoopTimer())
        timer.waiters.discard(waiter)
        if not timer.waiters:
            self._timers.pop(waiter.loop, None)

    def serve(self) -> None:
        """Hand out what is free, in order, and set the timers for the rest."""
        with self.lock:
            if not self._waiting:
                return
            now = self.clock.now()
            try:
                while (waiter := self._first()) and self.window.wait(now) <= 0:
                    self._waiting.pop()
                    self._remove(waiter)
                    self._grant(waiter, now)
                self._arm(now)
            except ConfigurationError as error:  # the window cannot be had any more
                while self._waiting:
                    waiter = self._waiting.pop()
                    self._remove(waiter)
                    waiter.wake(type(error)(*error.args))  # each its own: raising changes an error

    def _first(self) -> _Waiter | None:
        """Whose turn it is, of those whose loop runs."""
        while self._waiting:
            waiter = self._waiting.first()
            if waiter.loop.is_running():
                return waiter
            self._put_aside(waiter)
        return None

    def _put_aside(self, waiter: _Waiter) -> None:
        """Pass over one whose loop stands still; for good if it is closed."""
        if waiter.loop.is_closed():
            return self._remove(waiter)
        self._waiting.discard(waiter)
        timer = self._timers[waiter.loop]
        timer.passed_over.append(waiter)
        if len(timer.passed_over) == 1:
            with contextlib.suppress(RuntimeError):  # closed just now
                waiter.loop.call_soon_threadsafe(self._take_back, timer)
        return None

    def _take_back(self, timer: _LoopTimer) -> None:
        """The loop runs again: its waiters take their places."""
        with self.lock:
            while timer.passed_over:
                waiter = timer.passed_over.pop()
                if waiter in timer.waiters:
                    self._waiting.add(waiter, waiter.priority, first=True)
            self.serve()

    def _grant(self, waiter: _Waiter, now: float) -> None:
        waiter.granted = self.window.start(now)
        if not waiter.wake(waiter.granted):  # nobody is there to take the slot
            self.window.unused(waiter.granted, now)

    def _arm(self, now: float) -> None:
        """See to it that every loop in which somebody waits looks when the next may start."""
        wait = self.window.wait(now)
        if not self._waiting or wait == inf:
            return  # nobody waits, or an answer will dispatch
        here = _running_loop()
        for loop, timer in self._timers.items():
            if timer.due <= now + wait or timer.asked or not loop.is_running():
                continue
            if loop is here:
                self._set(timer, now, wait)
            else:
                timer.asked = True
                loop.call_soon_threadsafe(self._asked, timer)

    def _asked(self, timer: _LoopTimer) -> None:
        timer.asked = False
        self.serve()

    def _set(self, timer: _LoopTimer, now: float, wait: float) -> None:
        if timer.handle is not None:
            timer.handle.cancel()  # an answer made the next start come sooner
        timer.handle, timer.due = self.clock.call_later(wait, lambda: self._fire(timer)), now + wait

    def _fire(self, timer: _LoopTimer) -> None:
        with self.lock:
            timer.handle, timer.due = None, inf
            self.serve()


def _too_late(wait: float) -> DeadlineExceeded:
    return DeadlineExceeded(
        "waiting for the rate limit would outlast the deadline; not sent",
        retry_after=wait if 0 < wait < inf else None,  # else only an answer on its way can tell
    )
