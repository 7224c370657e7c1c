"""The window of this machine, in a file: the lock and the window of a `WaitQueue` in one.

`gate` tells how it works; here is one step of it, from opening the book to putting it back.
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
from .join import admit, bury, read
from .processes import myself
from .state import Book
from .store import OPENING, STEP, Busy, Store

# Seconds between two looks while others may give slots back. A quarter of a second is four steps
# of 0.1 ms a second and process, and 1/240 of a minute lost at most where a slot came unforeseen.
LOOK = 0.25
# Seconds until the file is asked for again that another process had.
RETRY = 0.005
# Seconds that the file may stay away. A process that was stopped with the file in its hand may
# come back; the calls that wait cannot tell, and after so long they had better say so.
SECONDS_HELD = 10.0
# Seconds between two looks at who is still alive: 20 µs for each other process.
ROLL_CALL = 0.5


# What happened to a slot, told to the book at a time.
News = Callable[[Book, float], None]


@define(eq=False, repr=False)
class SharedWindow:
    """The lock and the window of a `WaitQueue` in one: hold it to read and change the book."""

    store: Store
    clock: Clock
    #: How many calls of this process wait.
    waiting: Callable[[], int]
    #: Requests that this process may have in flight.
    max_in_flight: int = 0
    #: Who we are in the book; 0: not in it.
    number: int = 0
    #: The book as it was when we had it last.
    _last: Book | None = None
    #: The book while we have it, None while we have not.
    _book: Book | None = None
    #: What could not be told to the book yet.
    _owed: list[News] = field(factory=list)
    #: Slots of this step, which nobody but us knows yet.
    _started: list[Slot] = field(factory=list)
    #: Slots that could not be written, and why; their numbers are given again.
    _void: dict[Slot, ConfigurationError] = field(factory=dict)
    _fault: ConfigurationError | None = None
    #: Since when the file has been away.
    _away: float | None = None
    #: When we looked last who is alive.
    _called: float = -inf
    #: A timer is set to tell what is owed.
    _looks: bool = False
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

    @property
    def pause_until(self) -> float:
        """Nothing starts before, as far as is known."""
        book = self._book or self._last
        return -inf if book is None else book.window.pause_until

    def wait(self, now: float) -> float:
        """Seconds until this process may start one more, or had better look again."""
        if self._fault is not None:
            raise self._fault
        if self._book is None:
            return RETRY
        return min(LOOK, self._book.wait(self.number, self.max_in_flight, now))

    def least_wait(self, now: float, ahead: int) -> float:
        """Least seconds until a request may start that has `ahead` others before it here."""
        return 0.0 if self._book is None else self._book.window.least_wait(now, ahead)

    def start(self, now: float) -> Slot:
        """Take a slot. Only when `wait` has said 0, and `check` it when the step is over."""
        assert self._book is not None  # noqa: S101 - `wait` says so
        slot = self._book.start(self.number, now)
        self._started.append(slot)
        return slot

    def check(self, slot: Slot) -> None:
        """Raise `ConfigurationError` if the slot could not be written: nobody may send with it."""
        if slot in self._void:
            raise ConfigurationError(*self._void[slot].args)

    def answered(self, slot: Slot, now: float) -> None:
        """The request has ended, not in a 429, and the server may have counted it."""
        self._end(slot, lambda book, now: book.window.answered(slot, now))

    def refused(self, slot: Slot, now: float, retry_after: float | None = None) -> None:
        """The request ended in a 429. `retry_after` is the seconds the server asked for."""
        self._end(slot, lambda book, now: book.window.refused(slot, now, retry_after))

    def unused(self, slot: Slot, now: float) -> None:
        """The request never reached the server: the slot is free at once."""
        self._end(slot, lambda book, now: book.window.unused(slot, now))

    def observed(self, counted_at: Iterable[float], now: float) -> None:
        """Requests that others know of, by the latest moments at which the server counted them."""
        times = list(counted_at)
        self._tell(lambda book, now: book.window.observed(times, now))

    def snapshot(self, now: float) -> GateSnapshot:
        """What is known now of all processes, or was known last if the file is away."""
        book = self._book or self._last
        assert book is not None  # noqa: S101 - joining has seen it
        return book.snapshot(now)

    def join(self, organisation: str, limit: RateLimit, max_in_flight: int) -> None:
        """Enter ourselves in the book, if it is for that organisation and limit."""
        with self._threads:
            book = self._admit(organisation, limit)
            now = self.clock.now()
            if self.number not in book.members:
                self.number = book.enter(myself(), now)
            self.max_in_flight = max(self.max_in_flight, max_in_flight)
            self._last = book
            self.store.commit(json.dumps(book.state()))
            self.store.be_patient(STEP)

    def leave(self) -> None:
        """Strike ourselves from the book and close the file."""
        with self:
            self._tell(lambda book, now: book.leave(self.number, now))
        self.number = 0
        self.store.close()

    def _admit(self, organisation: str, limit: RateLimit) -> Book:
        """Take the book, and see that it is the one that is wanted."""
        self.store.be_patient(OPENING)
        try:
            text = self.store.begin()
        except Busy:
            raise _locked(self.store.path) from None
        try:
            return admit(text, self.store.path, organisation, limit, self.clock.now())
        except ConfigurationError:
            self.store.rollback()
            raise

    def _end(self, slot: Slot, how: News) -> None:
        def news(book: Book, now: float) -> None:
            if slot not in self._void:
                how(book, now)
                book.end(slot)

        self._tell(news)

    def _tell(self, news: News) -> None:
        """Tell the book, and keep the news until it was put back.

        News that come late are of the moment they come: in a book that others have written since,
        time never goes back, and a slot that ends later than it could breaks no limit.
        """
        self._owed.append(news)
        if self._book is not None:
            news(self._book, self.clock.now())

    def _open(self) -> None:
        """Have the book if it can be had."""
        now = self.clock.now()
        try:
            book = read(self.store.begin(), self.store.path)
            now = self.clock.now()  # others may have had it for some milliseconds
        except Busy:
            if self._away is None:
                self._away = now
                self.store.be_patient(0)  # this one blocked the loop; the next will only ask
            if now - self._away > SECONDS_HELD:
                self._fault = _locked(self.store.path)
        except ConfigurationError as error:
            self.store.rollback()
            self._fault = error
        else:
            self._catch_up(book, now)

    def _catch_up(self, book: Book, now: float) -> None:
        if self._away is not None:
            self.store.be_patient(STEP)
        self._book, self._away = book, None
        if self.number not in book.members:  # taken for dead, in another container
            self.number = book.enter(myself(), now)
        if now - self._called >= ROLL_CALL:
            self._called = now
            bury(book, now)
        for news in self._owed:
            news(book, now)

    def _close(self) -> None:
        """Put the book back, if we have it; else see to it that what is owed is told soon."""
        book, self._book = self._book, None
        if book is not None:
            self._put_back(book)
        if self._owed and self.number and not self._looks:
            self._soon()

    def _put_back(self, book: Book) -> None:
        member = book.members.get(self.number)
        if member is not None:
            member.seen, member.waiting = self.clock.now(), self.waiting()
        try:
            self.store.commit(json.dumps(book.state()))
            self._last, self._fault = book, None
            self._owed.clear()
        except ConfigurationError as error:
            self._fault = error
            self._void |= dict.fromkeys(self._started, error)
        self._started.clear()

    def _soon(self) -> None:
        with contextlib.suppress(RuntimeError):  # no loop: the next step of any thread will do
            asyncio.get_running_loop()
            self.clock.call_later(RETRY if self._fault is None else LOOK, self._look)
            self._looks = True

    def _look(self) -> None:
        self._looks = False
        with self:
            pass


def _locked(path: str) -> ConfigurationError:
    return ConfigurationError(
        f"another process has held the gate file {path} for {SECONDS_HELD:.0f} s or more;"
        " look for one that is stopped or hangs, or for another program that has the file open"
    )
