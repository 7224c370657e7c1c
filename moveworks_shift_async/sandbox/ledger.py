"""What really happened: one entry a request, kept small, summed up when somebody asks. Pure.

There is no row a person: the addresses of a request are one compressed text with an index, and
people are counted when somebody asks. What many requests say is kept once. The oldest entries go
when all take more than `keep` bytes; the numbers still count them. A request that is still served
keeps its entry, and so do those after it.
"""

from __future__ import annotations

import copy
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property, partial
from itertools import islice

from attrs import define, field, frozen

from .decisions import Decision
from .entry import Entry, RequestRecord
from .kept import Contents, Recipients
from .options import KEEP
from .rules import Asked
from .sums import Peak, Stats, Sums


@frozen(kw_only=True, repr=False)
class Received:
    """Who was told, how often, and by which requests."""

    requests: tuple[RequestRecord, ...]
    #: Requests before these whose records were dropped; nothing here counts them.
    forgotten: int = 0

    @cached_property
    def people(self) -> Mapping[str, int]:
        """Moveworks: address as it came -> times told. Counted when first asked for."""
        return _tally(r for r in self.requests if not r.route.startswith("shift."))

    @cached_property
    def shift(self) -> Mapping[str, int]:
        """SHIFT: user id, address or `team:` and its id -> times told."""
        return _tally(r for r in self.requests if r.route.startswith("shift."))

    def __repr__(self) -> str:
        parts = [f"requests={len(self.requests)}"]
        for name, told in (("people", self.people), ("shift", self.shift)):
            parts.append(f"{name}={len(told)} told {sum(told.values())} times")
        return f"Received({', '.join([*parts, f'forgotten={self.forgotten}'])})"


@define(eq=False)
class Ledger:
    """The record of all requests. Times are seconds since `start`."""

    #: Seconds of the window that the two `..._in_window` numbers look at.
    window: float
    start: float = 0.0
    #: Bytes of records to keep.
    keep: int = KEEP
    _entries: deque[Entry] = field(factory=deque, init=False)
    #: Bytes of the entries of requests that have ended.
    _size: int = field(default=0, init=False)
    _contents: Contents = field(factory=Contents, init=False)
    _forgotten: Sums = field(init=False)
    #: Those that the limiter let in.
    _admitted: Peak = field(init=False)
    #: Answers with status 429.
    throttled: int = field(default=0, init=False)
    #: People told, each as often as it happened, by requests that are dropped as well.
    deliveries: int = field(default=0, init=False)
    _open: int = field(default=0, init=False)
    _most_open: int = field(default=0, init=False)

    def __attrs_post_init__(self) -> None:
        self._forgotten, self._admitted = Sums(self.window), Peak(self.window)

    @property
    def newest(self) -> int:
        """The number of the last request; 0 before the first."""
        return self._forgotten.requests + len(self._entries)

    @property
    def forgotten(self) -> int:
        """Requests whose records were dropped."""
        return self._forgotten.requests

    @property
    def size(self) -> int:
        """Bytes of the records of requests that have ended, and of all contents; nearly."""
        return self._size + self._contents.size

    def open(self, route: str, event_id: str | None, now: float, epoch: float = 0.0) -> Entry:
        """Begin the entry of a request that has arrived."""
        entry = Entry(
            RequestRecord(
                number=self.newest + 1,
                at=now - self.start,
                epoch=epoch,
                route=route,
                event_id=event_id,
            )
        )
        self._entries.append(entry)
        self._open += 1
        self._most_open = max(self._most_open, self._open)
        return entry

    def let_in(self, now: float) -> None:
        """The limiter has let a request in."""
        self._admitted.add(now)

    def in_window(self, now: float) -> int:
        """Requests that the limiter has let in within the window that ends now."""
        return self._admitted.inside(now)

    def settle(self, entry: Entry, decision: Decision, asked: Asked | None = None) -> None:
        """Write down what a vendor decided; `asked` is what a request that told nobody said."""
        entry.note(processed=decision.processed, credential=decision.credential)
        if not entry.kept:
            return
        if (told := decision.told) is not None:
            content = self._contents.take(told.message, told.context)
            to = Recipients.of(told.addresses)
            entry.note(content=content, told=to, people=to.count)
            self.deliveries += to.count
        elif asked is not None:
            content = self._contents.take(asked.message, asked.context)
            entry.note(content=content, people=asked.people)

    def close(self, entry: Entry) -> None:
        """A request has ended."""
        self._open -= 1
        if not entry.kept:
            return
        self.throttled += entry.record.status == 429
        entry.weigh()
        self._size += entry.size
        while self.size > self.keep and self._entries[0].size:  # 0 while it is served
            self._forget(self._entries.popleft())

    def reset(self) -> None:
        """Forget every entry; requests that are still served end unrecorded."""
        for entry in self._entries:
            entry.kept = False
        self._entries, self._size, self._contents = deque(), 0, Contents()
        self._forgotten, self._admitted = Sums(self.window), Peak(self.window)
        self._most_open, self.throttled, self.deliveries = self._open, 0, 0

    def received(self, after: int = 0, limit: int | None = None) -> Received:
        """What is kept, as values: requests with a number above `after`, at most `limit`."""
        first = max(0, after - self._forgotten.requests)
        entries = islice(self._entries, first, None if limit is None else first + limit)
        return Received(
            requests=tuple(entry.record for entry in entries), forgotten=self._forgotten.requests
        )

    def records(self) -> list[RequestRecord]:
        """What is kept by now, the newest first."""
        return [entry.record for entry in reversed(self._entries)]

    def stats(self) -> Stats:
        """The numbers of all requests."""
        return self.counting()()

    def counting(self) -> Callable[[], Stats]:
        """The requests as they are now; what is returned adds them up, in any thread."""
        entries, most_open = list(self._entries), self._most_open
        return partial(copy.deepcopy(self._forgotten).with_kept, entries, most_open)

    def _forget(self, entry: Entry) -> None:
        entry.kept = False
        self._size -= entry.size
        if entry.record.content is not None:
            self._contents.drop(entry.record.content)
        self._forgotten.add(entry)


def _tally(records: Iterable[RequestRecord]) -> Mapping[str, int]:
    tally: Counter[str] = Counter()
    for record in records:
        tally.update(record.recipients)
    return tally
