"""One process's way to a gate whose state is in a database: a thread that fetches slots.

Theory of operation. The state is locked for the milliseconds of a transaction, and never while
anybody here works: the thread brings the news of this process and the number of its calls that
wait, gets slots for them, and hands these out once the commit is confirmed. No event loop waits for
the database, and nothing is sent that the database does not count.

Nobody tells a process of another's slots: it looks when the slot of its own rank is due, at most
`LOOK` seconds later.

A process that is silent for `LEASE` seconds is taken for dead, and its requests for answered. Where
it was only frozen, or cut off, it has the state hold them again with its next turn.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import hashlib
import logging
import secrets
import threading
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from math import inf
from typing import Any

from attrs import define, field

from ...clock import SYSTEM_CLOCK, Clock, awake
from ...errors import ConfigurationError, MoveworksError
from ...settings import RateLimit
from ...storage.postgres import Connection, Session
from ..priority import PriorityQueue
from ..queue import WaitQueue
from ..window import Slot
from . import row
from .granted import GrantedSlots
from .join import admit, other_limit, quota_of, read
from .state import SharedState
from .turn import Turn

logger: logging.Logger = logging.getLogger(__name__)

# Seconds between two looks of one that waits, at most.
LOOK = 2.0
# Seconds that a client waits for the database when it joins, and for the last turn when it leaves.
_OPENING, _LEAVING = 15.0, 1.0

#: Those whose thread lives.
_running: set[Pump] = set()


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
    slots: GrantedSlots = field(init=False)
    queue: WaitQueue = field(init=False)
    #: Somebody has asked it to end.
    ending: bool = field(default=False, init=False)
    _waiting: PriorityQueue[Any] = field(factory=PriorityQueue, init=False)
    #: Tells this process from all others.
    _identity: str = field(factory=lambda: secrets.token_hex(8), init=False)
    _lock: threading.RLock = field(factory=threading.RLock, init=False)
    _loop: asyncio.AbstractEventLoop | None = field(default=None, init=False)
    _task: asyncio.Task[None] | None = field(default=None, init=False)
    _poked: asyncio.Event = field(factory=asyncio.Event, init=False)
    _entered: Future[None] = field(factory=Future, init=False)
    _thread: threading.Thread = field(init=False)

    def __attrs_post_init__(self) -> None:
        nothing = SharedState.of("", "", quota_of(self.limit), row.Row.pace)
        self.slots = GrantedSlots(self.poke, self.clock, nothing)
        self.queue = WaitQueue(self.slots, self.clock, lock=self._lock, waiting=self._waiting)
        run = lambda: asyncio.run(self._run())  # noqa: E731
        self._thread = threading.Thread(target=run, name="gate", daemon=True)

    def start(self) -> None:
        """Enter the process in the state; raises `ConfigurationError`."""
        _running.add(self)
        self._thread.start()
        try:
            self._entered.result(_OPENING)
        except BaseException as error:
            self.stop()
            if isinstance(error, TimeoutError):
                raise ConfigurationError(f"no answer from the database {self.place}") from None
            raise

    def stop(self) -> None:
        """Leave the state as soon as may be; what is in flight counts as answered then."""
        self.ending = True
        self._call(self._end_soon)

    def end(self) -> None:
        """Leave the state, and wait for it a second at most."""
        self.stop()
        self._thread.join(_LEAVING)

    def is_fresh(self, slot: Slot) -> bool:
        """Whether the others surely still count it: this process was not frozen with it."""
        return self.slots.age(slot) < row.LEASE / 2

    def join(self, organisation: str, limit: RateLimit, max_in_flight: int) -> None:
        """One more client of this process; `ConfigurationError` unless it fits the others."""
        if organisation != self.organisation:
            raise ConfigurationError(
                "this gate is in use for another base_url or credential;"
                " give each organisation a gate of its own"
            )
        if quota_of(limit) != quota_of(self.limit):
            raise other_limit(f"database {self.place}", quota_of(self.limit), quota_of(limit))
        self.max_in_flight = max(self.max_in_flight, max_in_flight)

    def poke(self) -> None:
        """There are news, or calls that wait; from any thread."""
        self._call(self._poked.set)

    def _call(self, what: Callable[[], object]) -> None:
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # it has ended
                self._loop.call_soon_threadsafe(what)

    def _end_soon(self) -> None:
        self._poked.set()
        if self._task is not None:  # the database may be away for ever
            asyncio.get_running_loop().call_later(_LEAVING, self._task.cancel)

    async def _run(self) -> None:
        session = Session(self.url, ConfigurationError)
        self._loop, self._task = asyncio.get_running_loop(), asyncio.current_task()
        try:
            await session.open()
            await self._turn(session)
            self._entered.set_result(None)
            await self._turns(session)
            await self._turn(session, leaving=True)
        except asyncio.CancelledError:  # the others will see that it is gone
            pass
        except BaseException as error:
            if self._entered.done():
                raise
            self._entered.set_exception(error)
        finally:
            session.close()
            _running.discard(self)
            self._fail(ConfigurationError("this gate was closed"), for_good=True)

    async def _turns(self, session: Session) -> None:
        wait: float = 0.0
        while not self.ending:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(None if wait == inf else wait):
                    await self._poked.wait()
            self._poked.clear()
            wait = row.LEASE / 4
            try:
                wait = self._look_in(await self._turn(session))
            except MoveworksError as error:
                self._fail(ConfigurationError(*error.args))
            except Exception as error:  # no call may wait for a thread that is gone
                logger.exception("a turn at the gate in %s has failed", self.place)
                self._fail(ConfigurationError(f"unexpected {type(error).__name__} at the gate"))

    async def _turn(self, session: Session, *, leaving: bool = False) -> Turn:
        """Bring the news, and get slots."""
        state, turn, began, ahead = await session.surely(partial(self._transact, leaving=leaving))
        with self._lock:
            self.slots.confirm(state, turn, began, ahead)
            self.queue.serve()
            self.slots.give_back(self.clock.now())
        return turn

    def _look_in(self, turn: Turn) -> float:
        """Seconds until the next look."""
        if self.slots.news:
            return 0.0
        look = min(turn.wait, LOOK) if len(self._waiting) else inf
        return min(look, row.LEASE / 4) if self.slots.mine or len(self._waiting) else inf

    def _fail(self, error: ConfigurationError, *, for_good: bool = False) -> None:
        """End the calls that wait now; those that come later ask again, unless it is for good."""
        with self._lock:
            self.slots.fault = error
            self.queue.serve()
            if not for_good:
                self.slots.fault = None

    async def _transact(
        self, connection: Connection, *, leaving: bool
    ) -> tuple[SharedState, Turn, float, float]:
        """The state after a turn, when that began, and by how much its clock is ahead of ours."""
        began, before = awake(), self.clock.now()
        key = hashlib.sha256(self.organisation.encode()).hexdigest()
        held = await row.Row.take(connection, key, self.place)
        state, number = self._entered_in(held)
        with self._lock:
            waiting = () if leaving else self._waiting.counts()
            turn = self.slots.turn(number, self.max_in_flight, waiting)
        turn.take(state, held)
        if leaving:
            state.leave(number, held.now())
        await held.put(connection, state)
        return state, turn, began, held.now() - before

    def _entered_in(self, held: row.Row) -> tuple[SharedState, int]:
        """What stands in the row, with this process in it; full where it may have forgotten."""
        state = read(held.text, held) if held.text else None
        forgot = self._entered.done() if state is None else state.epoch != held.epoch()
        if state is not None:
            state.epoch = held.epoch()
        number = None if state is None else state.number_of(self._identity)
        if state is None or number is None:  # it is new, or was taken for dead
            state = admit(state, held, self.organisation, self.limit)
            number = state.enter(self._identity, held.now())
        if forgot:
            state.window.fill(held.now())
        return state, number


@atexit.register
def _end_all() -> None:
    """Give back what a process that ends has in flight, so that nobody waits for its silence."""
    for pump in [*_running]:
        pump.stop()
    for pump in [*_running]:
        pump.end()
