"""The window that processes share: the lock and the window of a `WaitQueue` in one.

`gate` tells how it works; here is one step of it, from opening the state to putting it back.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from collections.abc import Callable, Iterable
from math import inf
from typing import Self

from attrs import define, field

from ...clock import Clock
from ...errors import ConfigurationError
from ...settings import RateLimit
from ..window import GateSnapshot, Slot
from .join import admit, read, remove_dead
from .state import SharedState
from .store import OPENING, SECONDS_HELD, STEP, Busy, Store

# Seconds between two looks while others may give slots back. A quarter of a second is four steps
# of 0.1 ms a second and process, and 1/240 of a minute lost at most where a slot came unforeseen.
POLL = 0.25
# Seconds until the state is asked for again that another process had.
RETRY = 0.005
# Seconds between two looks at who is still alive: 20 µs for each other process.
LIVENESS_CHECK = 0.5


# What happened to a slot, as a change of the state at a time.
Change = Callable[[SharedState, float], None]


@define(eq=False, repr=False)
class SharedWindow:
    """The lock and the window of a `WaitQueue` in one: hold it to read and change the state."""

    store: Store
    clock: Clock
    #: How many calls of this process wait.
    waiting: Callable[[], int]
    #: Requests that this process may have in flight.
    max_in_flight: int = 0
    #: Who we are in the state; 0: not in it.
    number: int = 0
    #: The state as it was when we had it last.
    _last: SharedState | None = None
    #: The state while we have it, None while we have not.
    _state: SharedState | None = None
    #: Changes that could not be written yet.
    _pending: list[Change] = field(factory=list)
    #: Slots of this step, which nobody but us knows yet.
    _started: list[Slot] = field(factory=list)
    #: Slots that could not be written, and why; their numbers are given again.
    _unwritten: dict[Slot, ConfigurationError] = field(factory=dict)
    _fault: ConfigurationError | None = None
    #: Since when the state has been away.
    _away: float | None = None
    #: When we looked last who is alive.
    _checked_at: float = -inf
    #: A timer is set to write what is pending.
    _timer_set: bool = False
    _threads: threading.RLock = field(factory=threading.RLock)
    _depth: int = 0

    def __enter__(self) -> Self:
        self._threads.acquire()
        self._depth += 1
        if self._depth == 1:
            self._open()
        return self

    def __exit__(self, *_: object) -> None:
        try:
            if self._depth == 1:
                self._close()
        finally:
            self._depth -= 1
            self._threads.release()

    def wait(self, now: float) -> float:
        """Seconds until this process may start one more, or had better look again."""
        if self._fault is not None:
            raise self._fault
        if self._state is None:
            return RETRY
        return min(POLL, self._state.wait(self.number, self.max_in_flight, self.store.now()))

    def least_wait(self, now: float, ahead: int) -> float:
        """Least seconds until a request may start that has `ahead` others before it here."""
        if self._state is None:
            return 0.0
        return self._state.window.least_wait(self.store.now(), ahead)

    def start(self, now: float) -> Slot:
        """Take a slot. Only when `wait` has said 0, and `check` it when the step is over."""
        assert self._state is not None  # noqa: S101 - `wait` says so
        slot = self._state.start(self.number, self.store.now())
        self._started.append(slot)
        return slot

    def check(self, slot: Slot) -> None:
        """Raise `ConfigurationError` if the slot could not be written: nobody may send with it."""
        if slot in self._unwritten:
            raise ConfigurationError(*self._unwritten[slot].args)

    def answered(self, slot: Slot, now: float) -> None:
        """The request has ended, not in a 429, and the server may have counted it."""
        self._end(slot, lambda state, now: state.window.answered(slot, now))

    def refused(self, slot: Slot, now: float, retry_after: float | None = None) -> None:
        """The request ended in a 429. `retry_after` is the seconds the server asked for."""
        self._end(slot, lambda state, now: state.window.refused(slot, now, retry_after))

    def unused(self, slot: Slot, now: float) -> None:
        """The request never reached the server: the slot is free at once."""
        self._end(slot, lambda state, now: state.window.unused(slot, now))

    def observed(self, counted_at: Iterable[float], now: float) -> None:
        """Requests that others know of, by the latest moments at which the server counted them."""
        ahead = self.store.now() - now
        times = [time + ahead for time in counted_at]
        self._apply(lambda state, now: state.window.observed(times, now))

    def snapshot(self, now: float) -> GateSnapshot:
        """What is known now of all processes, or was known last if the state is away."""
        state = self._state or self._last
        assert state is not None  # noqa: S101 - joining has seen it
        return state.window.snapshot(self.store.now())

    def join(self, organisation: str, limit: RateLimit, max_in_flight: int) -> None:
        """Enter ourselves in the state, if it is for that organisation and limit."""
        with self._threads:
            state = self._admit(organisation, limit)
            self._enter(state)
            self.max_in_flight = max(self.max_in_flight, max_in_flight)
            self._last = state
            self.store.commit(json.dumps(state.as_json()))

    def leave(self) -> None:
        """Strike ourselves from the state and close the store."""
        with self:
            self._apply(lambda state, now: state.leave(self.number, now))
        self.number = 0
        self.store.close()

    def _admit(self, organisation: str, limit: RateLimit) -> SharedState:
        """Take the state, and see that it is the one that is wanted."""
        try:
            text = self.store.begin(OPENING)
            state = read(text, self.store) if text else None
            return admit(state, self.store, organisation, limit)
        except Busy as busy:
            raise ConfigurationError(*busy.args) from None
        except ConfigurationError:
            self.store.rollback()
            raise

    def _enter(self, state: SharedState) -> None:
        if self.number not in state.members:
            self.number = state.enter(self.store.identity(), self.store.now())

    def _end(self, slot: Slot, how: Change) -> None:
        def change(state: SharedState, now: float) -> None:
            if slot not in self._unwritten:
                how(state, now)
                state.end(slot)

        self._apply(change)

    def _apply(self, change: Change) -> None:
        """Change the state, and keep the change until it was written.

        Late changes are of the moment they come: in a state that others have written since,
        time never goes back, and a slot that ends later than it could breaks no limit.
        """
        self._pending.append(change)
        if self._state is not None:
            change(self._state, self.store.now())

    def _open(self) -> None:
        """Have the state if it can be had."""
        now = self.clock.now()
        try:
            # The first time in vain may block the loop for a moment; the next will only ask.
            state = read(self.store.begin(STEP if self._away is None else 0.0), self.store)
        except Busy as busy:
            self._away = now if self._away is None else self._away
            if now - self._away > SECONDS_HELD:
                self._fault = ConfigurationError(*busy.args)
        except ConfigurationError as error:
            self.store.rollback()
            self._fault = error
        else:
            self._catch_up(state)

    def _catch_up(self, state: SharedState) -> None:
        self._state, self._away = state, None
        self._enter(state)  # it was taken for dead, where nobody sees whether it lives
        now = self.store.now()
        if now - self._checked_at >= LIVENESS_CHECK:
            self._checked_at = now
            remove_dead(state, self.store)
        for change in self._pending:
            change(state, now)

    def _close(self) -> None:
        """Put the state back, if we have it; else see to it that what is pending is tried again."""
        state, self._state = self._state, None
        if state is not None:
            self._put_back(state)
        if self._pending and self.number and not self._timer_set:
            self._retry_soon()

    def _put_back(self, state: SharedState) -> None:
        member = state.members.get(self.number)
        if member is not None:
            member.seen, member.waiting = self.store.now(), self.waiting()
        try:
            self.store.commit(json.dumps(state.as_json()))
            self._last, self._fault = state, None
            self._pending.clear()
        except ConfigurationError as error:
            self._fault = error
            self._unwritten |= dict.fromkeys(self._started, error)
        self._started.clear()

    def _retry_soon(self) -> None:
        with contextlib.suppress(RuntimeError):  # no loop: the next step of any thread will do
            asyncio.get_running_loop()
            self.clock.call_later(RETRY if self._fault is None else POLL, self._retry)
            self._timer_set = True

    def _retry(self) -> None:
        self._timer_set = False
        with self:
            pass
