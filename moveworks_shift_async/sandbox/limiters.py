"""How the organisation's quota is counted: five ways, because the vendor names none.

Pure: a limiter reads no clock, `now` comes in and never goes back. Each has two methods:
`admit(now)` counts one arriving request and says whether it may pass; `retry_after(now)` says
how many seconds must go by, without another arrival, until one would pass.
"""

from __future__ import annotations

import math
from collections import deque
from typing import Literal, Protocol, get_args

from attrs import Factory, define, field

LimiterName = Literal[
    "fixed-window",
    "sliding-log",
    "sliding-log-counting-rejected",
    "token-bucket",
    "sliding-window-counter",
]
LIMITER_NAMES: tuple[LimiterName, ...] = get_args(LimiterName)


class Limiter(Protocol):
    """What the server asks of a limiter."""

    def admit(self, now: float) -> bool:
        """Count one arrival; True where it may pass."""

    def retry_after(self, now: float) -> float:
        """Seconds until a request would pass, 0 where it would pass now."""


@define(eq=False, kw_only=True)
class FixedWindow:
    """At most `limit` in each window; windows start at whole multiples of their length.

    Twice the limit can pass around a boundary, in a moment.
    """

    limit: int
    window: float
    _index: int = field(default=-1, init=False)
    _count: int = field(default=0, init=False)

    def admit(self, now: float) -> bool:
        """Count one arrival in the window that holds `now`."""
        self._turn(now)
        passes = self._count < self.limit
        self._count += passes
        return passes

    def retry_after(self, now: float) -> float:
        """The rest of this window where it is full."""
        self._turn(now)
        if self._count < self.limit:
            return 0.0
        return (self._index + 1) * self.window - now

    def _turn(self, now: float) -> None:
        index = math.floor(now / self.window)
        if index != self._index:
            self._index, self._count = index, 0


@define(eq=False, kw_only=True)
class SlidingLog:
    """At most `limit` in any window, wherever it starts.

    The log keeps the last `limit` times only: a request passes exactly when the oldest of
    them is a whole window old.
    """

    limit: int
    window: float
    #: True: refused arrivals are logged as well, so who keeps on asking stays refused.
    counts_rejected: bool = False
    _log: deque[float] = field(
        init=False,
        default=Factory(lambda self: deque(maxlen=self.limit), takes_self=True),
    )

    def admit(self, now: float) -> bool:
        """Count one arrival; a refused one only where `counts_rejected` says so."""
        passes = self.retry_after(now) <= 0
        if passes or self.counts_rejected:
            self._log.append(now)
        return passes

    def retry_after(self, now: float) -> float:
        """Seconds until the oldest entry that stands in the way is a window old."""
        if len(self._log) < self.limit:
            return 0.0
        return max(0.0, self.window - (now - self._log[0]))


@define(eq=False, kw_only=True)
class TokenBucket:
    """A bucket of `burst` tokens, refilled at `limit / window` a second; one token a request."""

    limit: int
    window: float
    burst: int
    _tokens: float = field(init=False, default=Factory(lambda self: self.burst, takes_self=True))
    _at: float | None = field(default=None, init=False)

    def admit(self, now: float) -> bool:
        """Take one token if a whole one is there."""
        self._refill(now)
        passes = self._tokens >= 1
        self._tokens -= passes
        return passes

    def retry_after(self, now: float) -> float:
        """Seconds until a whole token is there."""
        self._refill(now)
        return max(0.0, (1 - self._tokens) * self.window / self.limit)

    def _refill(self, now: float) -> None:
        # The bucket is full at the first arrival, whatever the zero point of the clock.
        passed = 0.0 if self._at is None else now - self._at
        self._tokens = min(self.burst, self._tokens + passed * self.limit / self.window)
        self._at = now


@define(eq=False, kw_only=True)
class SlidingWindowCounter:
    """Two counters in place of a log: this window's, and the share of the last one still in view.

    The estimate assumes that the last window's requests came evenly, so it can let through
    more than `limit` in a true sliding window, or fewer.
    """

    limit: int
    window: float
    _index: int = field(default=-2, init=False)
    _last: int = field(default=0, init=False)
    _count: int = field(default=0, init=False)

    def admit(self, now: float) -> bool:
        """Count one arrival if the estimate leaves room for a whole request."""
        self._turn(now)
        seen = now / self.window - self._index
        passes = self._last * (1 - seen) + self._count + 1 <= self.limit
        self._count += passes
        return passes

    def retry_after(self, now: float) -> float:
        """Seconds until the estimate has fallen far enough, in this window or the next."""
        self._turn(now)
        start = self._index * self.window
        if self._count < self.limit:
            return max(0.0, start + self._falls(self._last, self._count) - now)
        return start + self.window + self._falls(self._count, 0) - now

    def _falls(self, last: int, count: int) -> float:
        """Seconds from a window's start until `last` before it and `count` in it leave room."""
        if last + count < self.limit:
            return 0.0
        return (1 - (self.limit - count - 1) / last) * self.window

    def _turn(self, now: float) -> None:
        index = math.floor(now / self.window)
        if index != self._index:
            self._last = self._count if index == self._index + 1 else 0
            self._index, self._count = index, 0


def make_limiter(name: LimiterName, *, limit: int, window: float, burst: int) -> Limiter:
    """The limiter of that name, empty."""
    match name:
        case "fixed-window":
            return FixedWindow(limit=limit, window=window)
        case "token-bucket":
            return TokenBucket(limit=limit, window=window, burst=burst)
        case "sliding-window-counter":
            return SlidingWindowCounter(limit=limit, window=window)
        case _:
            counts = name == "sliding-log-counting-rejected"
            return SlidingLog(limit=limit, window=window, counts_rejected=counts)
