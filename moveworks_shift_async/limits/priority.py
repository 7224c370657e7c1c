"""Who is served next: a queue for each urgency, the higher first, the lower never starved. Pure.

Within a priority the order is first come, first served. A priority that waits while higher ones are
served is passed over at most `TIMES_PASSED_OVER` times in a row; then one of its own is next. So
the least share of one that always waits is one slot in `TIMES_PASSED_OVER + 1` for each priority
above it that keeps sending.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Iterator
from typing import Generic, Literal, TypeVar, get_args

from attrs import define, field

from ..errors import InvalidInput

#: How urgent a call is, the most urgent first.
Priority = Literal["urgent", "normal", "bulk"]
PRIORITIES: tuple[Priority, ...] = get_args(Priority)


def check_priority(priority: object) -> None:
    """Raise `InvalidInput` unless it is one of the three."""
    if priority not in PRIORITIES:
        raise InvalidInput(f"priority must be one of {', '.join(PRIORITIES)}")


# A tenth of the slots for a lower priority: of 120 a minute 12 requests, with 500 people each still
# 6,000 people a minute for the job, while an alert seldom waits for more than one slot.
TIMES_PASSED_OVER = 9

T = TypeVar("T", bound=Hashable)


@define(eq=False, repr=False)
class PriorityQueue(Generic[T]):
    """Those who wait, by priority. Every operation takes constant time."""

    _queues: dict[Priority, OrderedDict[T, None]] = field(
        factory=lambda: {priority: OrderedDict() for priority in PRIORITIES}, init=False
    )
    #: Times that a priority which waits was passed over since it was last served.
    _passed: dict[Priority, int] = field(factory=lambda: dict.fromkeys(PRIORITIES, 0), init=False)

    def add(self, item: T, priority: Priority, *, first: bool = False) -> None:
        """Let `item` wait at the end of its priority, or as its first."""
        self._queues[priority][item] = None
        if first:
            self._queues[priority].move_to_end(item, last=False)

    def discard(self, item: T) -> None:
        """Let `item` wait no longer, if it does."""
        for queue in self._queues.values():
            queue.pop(item, None)

    def first(self) -> T:
        """Whose turn it is. Somebody must wait."""
        return next(iter(self._queues[self._turn()]))

    def pop(self) -> T:
        """Serve the one whose turn it is. Somebody must wait."""
        turn = self._turn()
        for priority, queue in self._queues.items():
            waits = queue and priority != turn
            self._passed[priority] = self._passed[priority] + 1 if waits else 0
        return self._queues[turn].popitem(last=False)[0]

    def ahead(self, priority: Priority) -> int:
        """How many of its own and higher priorities are served before a newcomer, at least."""
        upto = PRIORITIES[: PRIORITIES.index(priority) + 1]
        return sum(len(self._queues[one]) for one in upto)

    def counts(self) -> list[int]:
        """How many wait of each priority, the most urgent first."""
        return [len(queue) for queue in self._queues.values()]

    def __bool__(self) -> bool:
        return any(self._queues.values())

    def __len__(self) -> int:
        return sum(map(len, self._queues.values()))

    def __iter__(self) -> Iterator[T]:
        for queue in self._queues.values():
            yield from queue

    def _turn(self) -> Priority:
        """The priority that has been passed over too often, the lowest first, else the highest."""
        waiting = [priority for priority in PRIORITIES if self._queues[priority]]
        starved = [p for p in reversed(waiting) if self._passed[p] >= TIMES_PASSED_OVER]
        return (starved or waiting)[0]
