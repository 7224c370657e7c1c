"""One process's way to a gate whose state is in a database: a thread that fetches slots.

Theory of operation. The state is locked for the milliseconds of a transaction, and never while
anybody here works: the thread brings the news of this process and the number of its calls that
wait, gets slots for them, and hands these out once the commit is confirmed. No event loop waits for
the database, and nothing is sent that the database does not count.

Nobody tells a process of another's slots: it looks when the slot of its own rank is due, at most
`LOOK` seconds later.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import secrets
import threading
from concurrent.futures import Future
from math import inf
from typing import Any

from attrs import define, field

from ...clock import SYSTEM_CLOCK, Clock
from ...errors import ConfigurationError, MoveworksError
from ...settings import RateLimit
from ...storage.postgres import Connection, Session
from ..priority import PriorityQueue
from ..queue import WaitQueue
from ..window import Slot
from .granted import GrantedSlots
from .join import admit, other_limit, quota_of, read
from .row import LEASE, Row
from .state import SharedState
from .turn import Turn

# Seconds between two looks of one that waits, at most.
LOOK = 2.0
# Seconds until a state is asked for again that could not be used.
_AGAIN = 5.0
# Seconds that a client waits for the database when it joins, and for the last turn when it leaves.
_OPENING, _LEAVING = 15.0, 1.0


@define(eq=False, repr=False)
class Pump:
    """The thread, from `start` to `end`, and the queue that it serves."""

    url: str
    organisation: str
    limit: RateLimit
    max_in_flight: int
    #: The database, for messages.
    place: str
    clock: Clock = SYSTEM_CLOCK
    queue: WaitQueue = field(init=False)
    _slots: GrantedSlots = field(init=False)
    _waiting: PriorityQueue[Any] = field(factory=PriorityQueue, init=False)
    #: Tells this process from all others.
    _identity: str = field(factory=lambda: secrets.token_hex(8), init=False)
    _number: int = field(default=0, init=False)
    _lock: threading.RLock = field(factory=threading.RLock, init=False)
    _ending: bool = field(default=False, init=False)
    _loop: asyncio.AbstractEventLoop | None = field(default=None, init=False)
    _poked: asyncio.Event = field(factory=asyncio.Event, init=False)
    _thread: threading.Thread = field(init=False)

    def start(self) -> None:
        """Enter the process in the state; raises `ConfigurationError`."""
        entered: Future[None] = Future()
        run = lambda: asyncio.run(self._run(entered))  # noqa: E731
        self._thread = threading.Thread(target=run, name="gate", daemon=True)
        self._thread.start()
        try:
            entered.result(_OPENING)
        except TimeoutError:
            self._ending = True
            raise ConfigurationError(f"no answer from the database {self.place}") from None

    def end(self) -> None:
        """Leave the state; what is in flight counts as answered now. It takes a second at most."""
        self._ending = True
        self.poke()
        self._thread.join(_LEAVING)

    def is_fresh(self, slot: Slot) -> bool:
        """Whether the others surely still count it: this process was not frozen with it."""
        return self._slots.age(slot) < LEASE / 2

    def check_limit(self, limit: RateLimit) -> None:
        """Raise `OtherLimit` if the clients of this process have another one."""
        if quota_of(limit) != quota_of(self.limit):
            raise other_limit(f"database {self.place}", quota_of(self.limit), quota_of(limit))

    def poke(self) -> None:
        """There are news, or calls that wait; from any thread."""
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # it has ended
                self._loop.call_soon_threadsafe(self._poked.set)

    async def _run(self, entered: Future[None]) -> None:
        self._loop, session = asyncio.get_running_loop(), Session(self.url, ConfigurationError)
        try:
            await session.open()
            self._serve(*await session.once(self._enter))
        except BaseException as error:
            entered.set_exception(error)
            session.close()
            return
        entered.set_result(None)
        try:
            await self._turns(session)
            async with asyncio.timeout(_LEAVING):
                await session.surely(self._leave)
        except TimeoutError:  # the others see that it is gone
            pass
        finally:
            session.close()

    def _serve(self, state: SharedState, ahead: float) -> None:
        self._slots = GrantedSlots(self.poke, self.clock, state, ahead)
        self.queue = WaitQueue(self._slots, self.clock, lock=self._lock, waiting=self._waiting)

    async def _turns(self, session: Session) -> None:
        wait: float = 0.0
        while not self._ending:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(None if wait == inf else wait):
                    await self._poked.wait()
            self._poked.clear()
            try:
                wait = await self._turn(session)
            except MoveworksError as error:
                wait = _AGAIN
                self._fail(error)

    async def _turn(self, session: Session) -> float:
        """Bring the news, and get slots; seconds until the next look."""
        with self._lock:
            turn = Turn(
                self._identity, self._number, self.max_in_flight, [*self._slots.news],
                {*self._slots.mine}, self._waiting.counts(),
            )  # fmt: skip
        state, ahead = await session.surely(lambda one: self._write(turn, one))
        self._number = turn.number
        with self._lock:
            self._slots.confirm(state, turn, ahead)
            self.queue.serve()
            self._slots.give_back(self.clock.now())
        return self._look_in(turn)

    def _look_in(self, turn: Turn) -> float:
        if self._slots.news:
            return 0.0
        look = min(turn.wait, LOOK) if len(self._waiting) else inf
        return min(look, LEASE / 4) if self._slots.mine or len(self._waiting) else inf

    def _fail(self, error: MoveworksError) -> None:
        with self._lock:
            self._slots.fault = ConfigurationError(*error.args)
            self.queue.serve()

    async def _write(self, turn: Turn, connection: Connection) -> tuple[SharedState, float]:
        """The state after the turn, and by how much its clock is ahead of ours."""
        before = self.clock.now()
        row = await self._take(connection)
        state = self._state(row, newcomer=False)
        turn.take(state, row)
        await row.put(connection, state)
        return state, row.now() - before

    async def _enter(self, connection: Connection) -> tuple[SharedState, float]:
        before = self.clock.now()
        row = await self._take(connection)
        state = self._state(row, newcomer=True)
        self._number = state.enter(self._identity, row.now())
        await row.put(connection, state)
        return state, row.now() - before

    async def _leave(self, connection: Connection) -> None:
        row = await self._take(connection)
        state = self._state(row, newcomer=False)
        for change in self._slots.news:
            change(state, row.now())
        state.leave(self._number, row.now())
        await row.put(connection, state)

    async def _take(self, connection: Connection) -> Row:
        key = hashlib.sha256(self.organisation.encode()).hexdigest()
        return await Row.take(connection, key, self.place)

    def _state(self, row: Row, *, newcomer: bool) -> SharedState:
        """What stands in the row; full for one window where requests may have been forgotten."""
        kept = read(row.text, row) if row.text else None
        lost = kept.epoch != row.epoch() if kept else not newcomer
        if kept is not None and not (newcomer or lost):
            return kept
        state = admit(row.text, row, self.organisation, self.limit)
        if lost:
            state.window.observed([row.now()] * self.limit.budget, row.now())
        return state
