"""The window of a `WaitQueue` whose slots are granted elsewhere, some time before they are used.

What happens to a slot is news for whoever grants them; what the queue asks is answered by what was
known last, with the news that nobody has confirmed yet.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from math import inf

from attrs import define, field

from ...clock import Clock, awake
from ...errors import ConfigurationError
from ..window import GateSnapshot, Slot
from .state import SharedState
from .turn import News, Turn


@define(eq=False, repr=False)
class GrantedSlots:
    """`Window` for a queue; whoever holds the queue's lock may use it."""

    #: Tells whoever grants slots that there are news.
    _poke: Callable[[], None]
    _clock: Clock
    #: The state as it was known last, with our news since.
    known: SharedState
    #: Seconds by which the state's clock is ahead of the queue's.
    ahead: float = 0.0
    #: Granted, and not started yet.
    granted: deque[Slot] = field(factory=deque)
    #: Slots that are this process's, and when they were asked for, by a clock that goes on while
    #: the machine sleeps.
    mine: dict[Slot, float] = field(factory=dict)
    #: What the state does not surely know yet, and how much it does.
    news: list[News] = field(factory=list)
    _told: int = 0
    #: Why slots can be had no more.
    fault: ConfigurationError | None = None

    def wait(self, now: float) -> float:
        """Zero while one is granted; else nobody here knows."""
        if self.fault is not None:
            raise ConfigurationError(*self.fault.args)
        return 0.0 if self.granted else inf

    def least_wait(self, now: float, ahead: int) -> float:
        """Least seconds until a request may start that has `ahead` others before it here."""
        return self.known.window.least_wait(now + self.ahead, ahead)

    def start(self, now: float) -> Slot:
        """Take one that was granted."""
        return self.granted.popleft()

    def answered(self, slot: Slot, now: float) -> None:
        """The request has ended, not in a 429, and the server may have counted it."""
        self._end(slot, now, lambda state, at: state.window.answered(slot, at))

    def refused(self, slot: Slot, now: float, retry_after: float | None = None) -> None:
        """The request ended in a 429. `retry_after` is the seconds the server asked for."""
        self._end(slot, now, lambda state, at: state.window.refused(slot, at, retry_after))

    def unused(self, slot: Slot, now: float) -> None:
        """The request never reached the server: the slot is free at once."""
        self._end(slot, now, lambda state, at: state.window.unused(slot, at))

    def observed(self, counted_at: Iterable[float], now: float) -> None:
        """Requests that others know of, by the latest moments at which the server counted them."""
        times = [time + self.ahead for time in counted_at]
        self._tell(now, lambda state, at: state.window.observed(times, at))

    def snapshot(self, now: float) -> GateSnapshot:
        """What is known of all processes together."""
        return self.known.window.snapshot(now + self.ahead)

    def turn(self, number: int, max_in_flight: int, waiting: Sequence[int]) -> Turn:
        """All that the state has to hear now."""
        return Turn(number, max_in_flight, self._told, [*self.news], [*self.mine], waiting)

    def confirm(self, state: SharedState, turn: Turn, began: float, ahead: float) -> None:
        """The state has what the turn has brought, and these slots are ours."""
        del self.news[: len(turn.news)]
        self._told += len(turn.news)
        self.known, self.ahead = state, ahead
        for change in self.news:  # since
            change(state, self._clock.now() + ahead)
        self.granted.extend(turn.granted)
        self.mine.update(dict.fromkeys(turn.granted, began))

    def give_back(self, now: float) -> None:
        """Let others have what nobody here waits for any more."""
        while self.granted:
            self.unused(self.granted.popleft(), now)

    def age(self, slot: Slot) -> float:
        """Seconds since it was asked for."""
        return awake() - self.mine.get(slot, -inf)

    def _end(self, slot: Slot, now: float, how: News) -> None:
        def change(state: SharedState, at: float) -> None:
            state.window.hold(slot, at)
            how(state, at)
            state.end(slot)

        if self.mine.pop(slot, None) is not None:  # else it has ended
            self._tell(now, change)

    def _tell(self, now: float, change: News) -> None:
        change(self.known, now + self.ahead)
        self.news.append(change)
        self._poke()
