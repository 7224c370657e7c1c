"""The slots of a rate limit. Pure: `now` comes in, seconds go out, nobody waits here.

Theory of operation. The server counts a request somewhere between its sending and its answer; we
cannot see where. So a request holds a slot from its sending until one window after its *answer*.
At every moment the slots held are then at least what any server may count in its own last window,
be that a log, a fixed window or a bucket of the same size, and `budget` slots never become
`budget + 1` requests in a window. The price is one round trip a window. Stamping at the sending
instead lets latency push late requests of one window into the next one's count.

A request that surely never reached the server gives its slot back at once.

Others may know of requests too: the journal of a process that was killed. What both know counts
once: of each stretch of time up to now the window holds as many requests as the one that knows of
more. One that is still in flight here may be one of those; if it turns out never to have reached
the server, it was not, and what it stood for is held instead.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable
from itertools import zip_longest
from typing import Literal

from attrs import define, field, frozen

# Two machines' clocks may run apart by 500 parts in a million (NTP slews no faster). Twice that.
CLOCK_SLACK = 0.001


Mode = Literal["burst", "paced", "paused", "probing"]


@frozen(kw_only=True)
class GateSnapshot:
    """What a gate knew at one moment."""

    #: Requests that may hold a slot at once.
    budget: int
    #: Slots held: requests in flight, and those answered less than a window ago.
    used: int
    in_flight: int
    #: Calls waiting for a slot.
    waiting: int = 0
    #: Seconds until the next request may start; infinite while only an answer can tell.
    next_in: float
    #: Seconds that a pause after a 429 still lasts, 0 if there is none.
    paused_for: float
    #: As the budget allows, evenly, not at all after a 429, or one request as a probe.
    mode: Mode = "burst"
    #: Requests a second that may start, on average.
    rate: float = math.inf
    #: What the last 429 taught; empty if nothing is remembered.
    why: str = ""
    #: Seconds until a slot is free again whose answer comes now; infinite where nobody says.
    per: float = math.inf
    #: Seconds until each slot of an answered request is free again, the first to be so first.
    ends: tuple[float, ...] = field(default=(), repr=False)

    def seconds_for(self, requests: int) -> float | None:
        """Seconds until so many more will have started; None where the gate does not know.

        It is what the slots and the pause and pace of now allow, if nobody else sends. With nobody
        else it is right within a sixth. Beside somebody who takes half of the limit it is at least
        0.4 times the truth, for until the first 429 nobody knows of him, and at most half as much
        again; both give or take half a window. benchmarks/limits is what it was measured with.
        """
        if requests <= 0:
            return 0.0
        if not math.isfinite(self.per):
            return None
        evenly = 0.0 if self.mode == "burst" else (requests - 1) / self.rate
        return max(self._slot_ends_in(requests), self.paused_for + evenly)

    def _slot_ends_in(self, requests: int) -> float:
        """Seconds until so many slots will have become free, each in its turn."""
        windows, place = divmod(requests - 1, self.budget)
        place += self.used - self.budget  # among those that are held; below 0: it is free
        known = (0.0, *self.ends)[max(0, place + 1) :][:1] or (self.per,)
        return known[0] + windows * self.per

    def __str__(self) -> str:
        parts = [
            f"{self.used} of {self.budget} slots used",
            f"{self.in_flight} in flight",
            f"{self.waiting} waiting",
            f"paused for {self.paused_for:.1f} s" if self.paused_for else self.mode,
            f"{self.rate:.2f} requests a second" if self.why else "",
            self.why,
        ]
        return ", ".join(part for part in parts if part)


@frozen
class Quota:
    """What the server is believed to allow, and what we allow ourselves."""

    budget: int
    #: Seconds of the server's window.
    per: float
    #: Requests in flight at most.
    max_in_flight: int

    @property
    def rate(self) -> float:
        """Requests a second that use the whole budget; each slot outlives its window a little."""
        return self.budget / (self.per * (1 + CLOCK_SLACK))


@frozen
class Slot:
    """The right to one request."""

    id: int
    started: float


@define(eq=False)
class SlidingWindow:
    """Slots of one budget. Times are seconds of one clock that never goes back."""

    quota: Quota
    #: When each request in flight started, by its slot's id.
    flying: dict[int, float] = field(factory=dict)
    #: When the answers of the last window came, oldest first.
    answered_at: deque[float] = field(factory=deque)
    last_id: int = 0
    #: When a request that others know of was counted last which one in flight, by its slot's id,
    #: may be.
    stands_for: dict[int, float] = field(factory=dict)

    @property
    def in_flight(self) -> int:
        """Requests without an answer."""
        return len(self.flying)

    @property
    def used(self) -> int:
        """Slots held now, as of the last call that took `now`."""
        return len(self.flying) + len(self.answered_at)

    def held(self, now: float) -> tuple[int, float]:
        """How many slots are held, and since when the oldest of them."""
        self.forget(now)
        return self.used, min([now, *self.flying.values(), *list(self.answered_at)[:1]])

    def wait(self, now: float) -> float:
        """Seconds until one more slot is free; infinite while only an answer can tell."""
        self.forget(now)
        if self.in_flight >= min(self.quota.max_in_flight, self.quota.budget):
            return math.inf
        beyond = self.used - self.quota.budget  # above 0 where the budget shrank
        return 0.0 if beyond < 0 else self._ends(self.answered_at[beyond]) - now

    def least_wait(self, now: float, ahead: int) -> float:
        """Least seconds until a slot is free for one that has `ahead` others before it."""
        self.forget(now)
        free = self.quota.budget - self.used
        if ahead < free:
            return 0.0
        # Below 0 where the budget shrank: the slots beyond it must end before the first start.
        windows, slot = divmod(ahead - max(free, 0), self.quota.budget)
        slot -= min(free, 0)
        known = slot < len(self.answered_at)
        first = self._ends(self.answered_at[slot]) - now if known else self.quota.per
        return first + windows * self.quota.per

    def start(self, now: float) -> Slot:
        """Take a slot. Only when `wait` has said 0."""
        self.last_id += 1
        self.flying[self.last_id] = now
        return Slot(self.last_id, now)

    def hold(self, slot: Slot, now: float) -> None:
        """The request of the slot is in flight, whatever was forgotten of it."""
        self.flying.setdefault(slot.id, now)

    def answered(self, slot: Slot, now: float) -> bool:
        """The request has ended and the server may have counted it. False if it had ended."""
        if self.flying.pop(slot.id, None) is None:
            return False
        self.stands_for.pop(slot.id, None)
        self.answered_at.append(now)
        return True

    def unused(self, slot: Slot) -> None:
        """The request never reached the server: the slot is free at once."""
        self.flying.pop(slot.id, None)
        if (counted_at := self.stands_for.pop(slot.id, None)) is not None:
            self.answered_at = deque(sorted([*self.answered_at, counted_at]))

    def observed(self, counted_at: Iterable[float], now: float) -> None:
        """Hold a slot for each of these requests, but for those that are held already.

        `counted_at` are the latest moments at which the server may have counted them.
        """
        told = sorted((min(time, now) for time in counted_at), reverse=True)
        flying = sorted(self.flying, key=self._stands_for, reverse=True)
        for key, time in zip(flying, told, strict=False):
            self.stands_for[key] = max(time, self._stands_for(key))
        pairs = zip_longest(reversed(self.answered_at), told[len(flying) :], fillvalue=-math.inf)
        self.answered_at = deque(reversed([max(pair) for pair in pairs]))
        self.forget(now)

    def _stands_for(self, key: int) -> float:
        return self.stands_for.get(key, -math.inf)

    def shift(self, seconds: float) -> None:
        """Move every moment: the clock was set."""
        self.flying = {key: started + seconds for key, started in self.flying.items()}
        self.answered_at = deque(time + seconds for time in self.answered_at)
        self.stands_for = {key: time + seconds for key, time in self.stands_for.items()}

    def forget(self, now: float) -> None:
        """Let go of the slots that have ended."""
        while self.answered_at and self._ends(self.answered_at[0]) <= now:
            self.answered_at.popleft()

    @property
    def outlives(self) -> float:
        """Seconds that a slot outlives its answer by."""
        return self.quota.per * (1 + CLOCK_SLACK)

    def ends_in(self, now: float) -> list[float]:
        """Seconds until each slot of an answered request ends, the first to end first."""
        return [self._ends(time) - now for time in self.answered_at]

    def _ends(self, answered_at: float) -> float:
        return answered_at + self.outlives


def least_time(requests: int, budget: int, per: float) -> float:
    """Least seconds until the last of `requests` may start, from an empty window."""
    return max(0, requests - 1) // budget * per
