"""The arithmetic of the rate limit. Pure: `now` comes in, seconds go out, nobody waits here.

Theory of operation. The server counts a request somewhere between its sending and its answer; we
cannot see where. So a request holds a slot from its sending until one window after its *answer*.
At every moment the slots held are then at least what any server may count in its own last window,
be that a log, a fixed window or a bucket of the same size, and `budget` slots never become
`budget + 1` requests in a window. The price is one round trip a window. Stamping at the sending
instead lets latency push late requests of one window into the next one's count.

A request that surely never reached the server gives its slot back at once.

A pause is a deadline. Nobody releases it, so nobody can forget to.
"""

from __future__ import annotations

import math
from collections import deque

from attrs import define, field, frozen

# Two machines' clocks may run apart by 500 parts in a million (NTP slews no faster). Twice that.
CLOCK_SLACK = 0.001


@frozen(kw_only=True)
class GateSnapshot:
    """What a gate knew at one moment."""

    #: Requests that may hold a slot at once.
    budget: int
    #: Slots held: requests in flight, and those answered less than a window ago.
    used: int
    in_flight: int
    #: Calls waiting for a slot.
    waiting: int
    #: Seconds until the next request may start; infinite while only an answer can tell.
    next_in: float
    #: Seconds that a pause after a 429 still lasts, 0 if there is none.
    paused_for: float


@define(eq=False, repr=False)
class SlidingWindow:
    """Slots of one budget. Times are seconds of one clock that never goes back."""

    budget: int
    #: Seconds of the server's window.
    per: float
    #: Requests in flight at most.
    max_in_flight: int
    in_flight: int = 0
    pause_until: float = -math.inf
    #: When the answers of the last window came, oldest first.
    answered_at: deque[float] = field(factory=deque, repr=False)

    def wait(self, now: float) -> float:
        """Seconds until one more request may start; infinite while only an answer can tell."""
        self._forget(now)
        paused = max(0.0, self.pause_until - now)
        if self.in_flight >= min(self.max_in_flight, self.budget):
            return math.inf
        if self.used < self.budget:
            return paused
        return max(paused, self._ends(self.answered_at[0]) - now)

    def least_wait(self, now: float, ahead: int) -> float:
        """Least seconds until a request may start that has `ahead` others before it."""
        self._forget(now)
        free = self.budget - self.used
        if ahead < free:
            return max(0.0, self.pause_until - now)
        # Below 0 where the budget shrank: the slots beyond it must end before the first start.
        windows, slot = divmod(ahead - max(free, 0), self.budget)
        slot -= min(free, 0)
        known = slot < len(self.answered_at)
        first = self._ends(self.answered_at[slot]) - now if known else self.per
        return max(first, self.pause_until - now) + windows * self.per

    @property
    def used(self) -> int:
        """Slots held now, as of the last call that took `now`."""
        return self.in_flight + len(self.answered_at)

    def start(self) -> None:
        """Take a slot. Only when `wait` has said 0."""
        self.in_flight += 1

    def answered(self, now: float) -> None:
        """The request has ended and the server may have counted it."""
        self.in_flight -= 1
        self.answered_at.append(now)

    def unused(self) -> None:
        """The request never reached the server: the slot is free at once."""
        self.in_flight -= 1

    def pause(self, now: float, seconds: float) -> None:
        """Nothing starts for `seconds` from now; a longer pause that is under way stays."""
        self.pause_until = max(self.pause_until, now + seconds)

    def _forget(self, now: float) -> None:
        while self.answered_at and self._ends(self.answered_at[0]) <= now:
            self.answered_at.popleft()

    def _ends(self, answered_at: float) -> float:
        return answered_at + self.per * (1 + CLOCK_SLACK)


def least_time(requests: int, budget: int, per: float) -> float:
    """Least seconds until the last of `requests` may start, from an empty window."""
    return max(0, requests - 1) // budget * per
