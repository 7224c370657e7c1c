"""Lanes: the more urgent first, first come first served in each, nobody starved."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from moveworks_shift_async.limits.priority import PRIORITIES, TIMES_PASSED_OVER, Lanes, Priority

priorities = st.sampled_from(PRIORITIES)


def fill(**counts: int) -> Lanes[str]:
    """Lanes with that many waiters each, named after their lane and place."""
    lanes: Lanes[str] = Lanes()
    for priority in PRIORITIES:
        for place in range(counts.get(priority, 0)):
            lanes.add(f"{priority} {place}", priority)
    return lanes


def test_the_more_urgent_is_served_first() -> None:
    """Urgent before normal before bulk, each in the order of coming."""
    lanes = fill(bulk=2, normal=1, urgent=2)
    order = [lanes.pop() for _ in range(len(lanes))]
    assert order == ["urgent 0", "urgent 1", "normal 0", "bulk 0", "bulk 1"]


def test_who_comes_back_is_the_first_of_its_lane() -> None:
    """And of no other."""
    lanes = fill(urgent=1, normal=2)
    lanes.add("back", "normal", first=True)
    assert [lanes.pop() for _ in range(len(lanes))] == ["urgent 0", "back", "normal 0", "normal 1"]


def test_a_lower_lane_gets_a_tenth() -> None:
    """However many urgent calls keep coming, every tenth slot is the job's."""
    lanes = fill(urgent=200, bulk=200)
    served = Counter(lanes.pop().split()[0] for _ in range(100))
    assert served == {"urgent": 100 - 10, "bulk": 100 // (TIMES_PASSED_OVER + 1)}


def test_three_busy_lanes_all_move() -> None:
    """With all lanes full the two lower ones both keep their least share."""
    lanes = fill(urgent=500, normal=500, bulk=500)
    served = Counter(lanes.pop().split()[0] for _ in range(200))
    assert served["normal"] >= 15
    assert served["bulk"] >= 15


def test_whoever_comes_alone_is_not_owed_anything() -> None:
    """A lane that was empty meanwhile has not been passed over."""
    lanes = fill(urgent=50)
    for _ in range(20):
        lanes.pop()
    lanes.add("late", "bulk")
    assert [lanes.pop() for _ in range(TIMES_PASSED_OVER)].count("late") == 0
    assert lanes.pop() == "late"


@given(st.lists(st.tuples(priorities, st.sampled_from(["add", "pop", "discard"])), max_size=200))
def test_nobody_is_lost_or_served_twice(steps: list[tuple[Priority, str]]) -> None:
    """Everybody who waits is served once or discarded, and `first` says who is next."""
    lanes: Lanes[int] = Lanes()
    waiting: list[tuple[int, Priority]] = []
    for number, (priority, step) in enumerate(steps):
        if step == "add":
            lanes.add(number, priority)
            waiting.append((number, priority))
        elif step == "discard" and waiting:
            lanes.discard(waiting.pop(number % len(waiting))[0])
            lanes.discard(-1)
        elif step == "pop" and waiting:
            first, served = lanes.first(), lanes.pop()
            assert first == served
            lane = next(lane for name, lane in waiting if name == served)
            assert served == next(name for name, other in waiting if other == lane)
            waiting.remove((served, lane))
        assert sorted(lanes) == sorted(name for name, _ in waiting)
        assert len(lanes) == len(waiting)
        assert lanes.ahead("bulk") == len(waiting)
        assert lanes.ahead("urgent") == sum(lane == "urgent" for _, lane in waiting)


def test_the_order_holds_under_a_stream_of_newcomers() -> None:
    """A bulk call is served within `TIMES_PASSED_OVER` + 1 slots, whatever else comes."""
    lanes = fill(bulk=1)
    for number in range(TIMES_PASSED_OVER):
        lanes.add(f"new {number}", "urgent")
        assert lanes.pop() == f"new {number}"
    lanes.add("one more", "urgent")
    assert lanes.pop() == "bulk 0"
