"""The sandbox in numbers, added up request by request. Pure."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Mapping
from typing import Any

from attrs import asdict, define, evolve, field, frozen

from .entry import Entry
from .kept import Recipients, count_people


@frozen(kw_only=True)
class Stats:
    """The sandbox in numbers, since the start or the last reset."""

    #: Requests of any kind, unknown addresses included.
    requests: int
    #: Messages that were processed, of either vendor.
    accepted: int
    #: Answers with status 429.
    throttled: int
    #: Requests for a token, of either vendor.
    token_requests: int
    #: Kind of fault -> requests that met it.
    faults: Mapping[str, int]
    #: Different people told through Moveworks by the requests that are kept; case does not count.
    people: int
    #: Those of them told more than once.
    people_told_again: int
    #: The most requests that the limiter let in within any window.
    max_admitted_in_window: int
    #: The most requests that it saw within any window, refused ones included.
    max_arrived_in_window: int
    #: The most requests that were served at the same time.
    max_concurrent: int
    #: Requests whose records were dropped, the oldest; all other numbers count them.
    forgotten: int = 0

    def as_json(self) -> dict[str, Any]:
        """A plain dictionary."""
        return asdict(evolve(self, faults=dict(self.faults)))


@define
class Peak:
    """The most of some times, which come in order, that lie less than a window apart."""

    window: float
    most: int = 0
    _inside: deque[float] = field(factory=deque)

    def add(self, at: float) -> None:
        """One more."""
        self.inside(at)
        self._inside.append(at)
        self.most = max(self.most, len(self._inside))

    def inside(self, now: float) -> int:
        """How many lie less than a window before now."""
        while self._inside and now - self._inside[0] >= self.window:
            self._inside.popleft()
        return len(self._inside)


@define
class Sums:
    """What is left of requests whose records were dropped."""

    window: float
    requests: int = 0
    accepted: int = 0
    throttled: int = 0
    token_requests: int = 0
    faults: Counter[str] = field(factory=Counter)
    arrived: Peak = field(init=False)
    admitted: Peak = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.arrived, self.admitted = Peak(self.window), Peak(self.window)

    def add(self, entry: Entry) -> None:
        """One more request, in the order of arrival."""
        record = entry.record
        self.requests += 1
        self.accepted += record.told is not None
        self.throttled += record.status == 429
        self.token_requests += record.route in ("token", "shift.token")
        if record.fault is not None:
            self.faults[record.fault] += 1
        if entry.counted:
            self.arrived.add(record.at)
        if entry.counted and record.admitted:
            self.admitted.add(record.at)

    def with_kept(self, entries: Iterable[Entry], max_concurrent: int) -> Stats:
        """Add those whose records are kept; the numbers of all. Only once: it is spent then."""
        forgotten, told = self.requests, list[Recipients]()
        for entry in entries:
            self.add(entry)
            if entry.record.told is not None and not entry.record.route.startswith("shift."):
                told.append(entry.record.told)
        people, told_again = count_people((recipients, 0) for recipients in told)
        return Stats(
            requests=self.requests,
            accepted=self.accepted,
            throttled=self.throttled,
            token_requests=self.token_requests,
            faults=self.faults,
            people=people,
            people_told_again=told_again,
            max_admitted_in_window=self.admitted.most,
            max_arrived_in_window=self.arrived.most,
            max_concurrent=max_concurrent,
            forgotten=forgotten,
        )
