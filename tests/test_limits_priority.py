"""Priorities: the more urgent first, first come first served in each, nobody starved."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from moveworks_shift_async.limits.priority import (
    PRIORITIES,
    TIMES_PASSED_OVER,
    Priority,
    PriorityQueue,
)

priorities = st.sampled_from(PRIORITIES)


def fill(**counts: int) -> PriorityQueue[str]:
    """A queue with that many waiters each, named after their priority and place."""
    queue: PriorityQueue[str] = PriorityQueue()
    for priority in PRIORITIES:
        for place in range(counts.get(priority, 0)):
            queue.add(f"{priority} {place}", priority)
    return queue


def test_the_more_urgent_is_served_first() -> None:
    """Urgent before normal before bulk, each in the order of coming."""
    queue = fill(bulk=2, normal=1, urgent=2)
    order = [queue.pop() for _ in range(len(queue))]
    assert order == ["urgent 0", "urgent 1", "normal 0", "bulk 0", "bulk 1"]


def test_who_comes_back_is_the_first_of_its_priority() -> None:
    """And of no other."""
    queue = fill(urgent=1, normal=2)
    queue.add("back", "normal", first=True)
    assert [queue.pop() for _ in range(len(queue))] == ["urgent 0", "back", "normal 0", "normal 1"]


def test_a_lower_priority_gets_a_tenth() -> None:
    """However many urgent calls keep coming, every tenth slot is the job's."""
    queue = fill(urgent=200, bulk=200)
    served = Counter(queue.pop().split()[0] for _ in range(100))
    assert served == {"urgent": 100 - 10, "bulk": 100 // (TIMES_PASSED_OVER + 1)}


def test_three_busy_priorities_all_move() -> None:
    """With all of them full the two lower ones both keep their least share."""
    queue = fill(urgent=500, normal=500, bulk=500)
    served = Counter(queue.pop().split()[0] for _ in range(200))
    assert served["normal"] >= 15
    assert served["bulk"] >= 15


def test_whoever_comes_alone_is_not_owed_anything() -> None:
    """A priority that was empty meanwhile has not been passed over."""
    queue = fill(urgent=50)
    for _ in range(20):
        queue.pop()
    queue.add("late", "bulk")
    assert [queue.pop() for _ in range(TIMES_PASSED_OVER)].count("late") == 0
    assert queue.pop() == "late"


@given(st.lists(st.tuples(priorities, st.sampled_from(["add", "pop", "discard"])), max_size=200))
def test_nobody_is_lost_or_served_twice(steps: list[tuple[Priority, str]]) -> None:
    """Everybody who waits is served once or discarded, and `first` says who is next."""
    queue: PriorityQueue[int] = PriorityQueue()
    waiting: list[tuple[int, Priority]] = []
    for number, (priority, step) in enumerate(steps):
        if step == "add":
            queue.add(number, priority)
            waiting.append((number, priority))
        elif step == "discard" and waiting:
            queue.discard(waiting.pop(number % len(waiting))[0])
            queue.discard(-1)
        elif step == "pop" and waiting:
            first, served = queue.first(), queue.pop()
            assert first == served
            of = next(one for name, one in waiting if name == served)
            assert served == next(name for name, other in waiting if other == of)
            waiting.remove((served, of))
        assert sorted(queue) == sorted(name for name, _ in waiting)
        assert len(queue) == len(waiting)
        assert queue.ahead("bulk") == len(waiting)
        assert queue.ahead("urgent") == sum(one == "urgent" for _, one in waiting)


def test_the_order_holds_under_a_stream_of_newcomers() -> None:
    """A bulk call is served within `TIMES_PASSED_OVER` + 1 slots, whatever else comes."""
    queue = fill(bulk=1)
    for number in range(TIMES_PASSED_OVER):
        queue.add(f"new {number}", "urgent")
        assert queue.pop() == f"new {number}"
    queue.add("one more", "urgent")
    assert queue.pop() == "bulk 0"
