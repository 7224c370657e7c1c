"""The arithmetic of the rate limit, against servers that count wherever they like."""

from __future__ import annotations

import copy
import itertools
import json
import math
from collections import deque

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from moveworks_shift_async.limits.adaptive_window import AdaptiveWindow
from moveworks_shift_async.limits.window import (
    CLOCK_SLACK,
    GateSnapshot,
    Quota,
    SlidingWindow,
    Slot,
    least_time,
)

#: Where between sending and answer the server counts: at either end, or anywhere.
FRACTIONS = st.one_of(st.sampled_from([0.0, 1.0]), st.floats(0, 1))
BUDGETS = st.integers(1, 5)
PERS = st.sampled_from([1.0, 3.0, 60.0])


def microseconds(time: float) -> float:
    """In whole ones, as times are written; not before it."""
    return math.ceil(time * 1e6) / 1e6


class ServerOfUnknownLatency(RuleBasedStateMachine):
    """Sends as `wait` allows to a server that counts each request at an unknown moment."""

    @initialize(budget=BUDGETS, per=PERS, max_in_flight=st.integers(1, 7), zero=st.floats(-9, 1e6))
    def open(self, budget: int, per: float, max_in_flight: int, zero: float) -> None:
        self.window = AdaptiveWindow.of(budget, per, max_in_flight)
        self.now = microseconds(zero)
        self.flying: list[Slot] = []
        self.counted: list[float] = []
        self.ended: list[float] = []
        self.probes: set[int] = set()

    @rule(part=st.one_of(st.floats(0, 0.3), st.floats(0, 2.5)))
    def time_passes(self, part: float) -> None:
        self.now = microseconds(self.now + part * self.window.quota.per)

    @rule()
    def start_when_allowed(self) -> None:
        """Start at the first moment allowed, if no answer is needed for it."""
        if self._obey():
            self._start()

    @precondition(lambda self: self.flying)
    @rule(data=st.data(), where=FRACTIONS)
    def answer(self, data: st.DataObject, where: float) -> None:
        slot = self._land(data, where)
        self.window.answered(slot, self.now)
        assert not (slot.id in self.probes and self.window.adaptive.probe == slot.id)

    @precondition(lambda self: self.flying)
    @rule(data=st.data(), where=FRACTIONS, asked=st.one_of(st.none(), st.floats(0, 2)))
    def answer_429(self, data: st.DataObject, where: float, asked: float | None) -> None:
        """Only the first 429 of an episode teaches; none shortens a pause or raises the rate."""
        slot, adaptive = self._land(data, where), self.window.adaptive
        before = (adaptive.base, adaptive.refused_at)
        old = adaptive.tripped or slot.started <= adaptive.refused_at
        pause, rate = adaptive.pause_until, adaptive.rate(self.now)
        self.window.refused(slot, self.now, asked)
        assert adaptive.pause_until >= pause
        assert 0 < adaptive.rate(self.now) <= rate
        if old:
            assert (adaptive.base, adaptive.refused_at) == before
        else:
            assert adaptive.tripped
            assert adaptive.rate(self.now) <= adaptive.quota.rate

    @precondition(lambda self: self.flying)
    @rule(data=st.data())
    def never_reached_the_server(self, data: st.DataObject) -> None:
        slot = self.flying.pop(data.draw(st.integers(0, len(self.flying) - 1)))
        self.window.unused(slot, self.now)
        assert self.window.adaptive.probe != slot.id

    @rule(data=st.data())
    def the_process_is_killed(self, data: st.DataObject) -> None:
        """The next one knows nothing but what the journal says: the ends, and what has none."""
        while self.flying:
            self._land(data, data.draw(FRACTIONS))
        quota = self.window.quota
        self.window = AdaptiveWindow.of(quota.budget, quota.per, quota.max_in_flight)
        self.window.observed(self.ended, self.now)
        self.probes.clear()

    @rule(data=st.data())
    def hear_what_it_knows(self, data: st.DataObject) -> None:
        """Some of its own requests are told to it: nothing is counted twice."""
        self.window.wait(self.now)
        used = self.window.window.used
        known = [*self.ended, *(self.now for _ in self.flying)]
        chosen = data.draw(st.lists(st.booleans(), min_size=len(known), max_size=len(known)))
        told = [end for end, told in zip(known, chosen, strict=True) if told]
        self.window.observed(told, self.now)
        assert self.window.window.used == used

    @rule()
    def move_to_another_process(self) -> None:
        """What was written as JSON and read again is the same."""
        state = json.loads(json.dumps(self.window.state(), allow_nan=False))
        self.window = AdaptiveWindow.restored(self.window.quota, state)
        assert self.window.state() == state

    @invariant()
    def slots_are_never_negative_nor_too_many(self) -> None:
        """Slots held are those in flight and those answered, and never exceed the budget."""
        if hasattr(self, "window"):
            slots = self.window.window
            assert slots.in_flight == len(self.flying)
            assert 0 <= slots.in_flight <= slots.used <= slots.quota.budget
            assert slots.in_flight <= slots.quota.max_in_flight

    @invariant()
    def nothing_starts_in_a_pause_nor_beside_a_probe(self) -> None:
        """The wait outlasts the pause, and the probe's answer unless that seems lost."""
        if hasattr(self, "window"):
            wait, adaptive = self.window.wait(self.now), self.window.adaptive
            assert wait >= adaptive.pause_until - self.now
            if adaptive.probe is not None:
                assert adaptive.tripped
                assert wait >= adaptive.probed_at + adaptive.quota.per - self.now

    def teardown(self) -> None:
        """All starts happen in the end, and no window ever held more than the budget."""
        if not hasattr(self, "window"):
            return
        while self.flying:
            self.counted.append(self.now)
            self.window.answered(self.flying.pop(), self.now)
        for _ in range(2 * self.window.quota.budget + 1):
            assert self._obey()
            self._start()
            self.counted.append(self.now)
            self.window.answered(self.flying.pop(), self.now)
        times = sorted(self.counted)
        for first, beyond in zip(times, times[self.window.quota.budget :], strict=False):
            assert beyond - first > self.window.quota.per

    def _start(self) -> None:
        slot = self.window.start(self.now)
        self.flying.append(slot)
        if self.window.adaptive.probe == slot.id:
            self.probes.add(slot.id)

    def _land(self, data: st.DataObject, where: float) -> Slot:
        slot = self.flying.pop(data.draw(st.integers(0, len(self.flying) - 1)))
        self.counted.append(slot.started + where * (self.now - slot.started))
        self.ended.append(self.now)
        return slot

    def _obey(self) -> bool:
        """Let the time pass that `wait` asks for; False if only an answer can tell."""
        for _ in range(9):
            wait = self.window.wait(self.now)
            assert wait >= 0
            if wait == math.inf:
                assert self.flying
                return False
            if wait == 0:
                return True
            self.now = microseconds(self.now + max(wait, 2e-6))
        raise AssertionError("the wait does not come to an end")


TestServerOfUnknownLatency = ServerOfUnknownLatency.TestCase


@st.composite
def windows(draw: st.DrawFn, shrunk: bool = False) -> tuple[AdaptiveWindow, float]:
    """A window in some state that obedience leads to, and its present."""
    budget, per, now = draw(BUDGETS), draw(PERS), 1000.0
    used = draw(st.integers(budget + 1, 2 * budget + 5) if shrunk else st.integers(0, budget))
    in_flight = draw(st.integers(0, used))
    window = AdaptiveWindow.of(budget, per, draw(st.integers(max(1, in_flight), 20)))
    window.window.flying = dict.fromkeys(range(1, in_flight + 1), now)
    window.window.last_id = in_flight
    ages = draw(st.lists(st.floats(0, 1), min_size=used - in_flight, max_size=used - in_flight))
    window.window.answered_at.extend(now - age * per for age in sorted(ages, reverse=True))
    if draw(st.booleans()):
        adaptive = window.adaptive
        adaptive.base = draw(st.floats(0.1, 1)) * window.quota.rate
        adaptive.closed_at = adaptive.due = adaptive.ready = now - draw(st.floats(0, 9)) * per
        adaptive.pause_until = now + draw(st.floats(-1, 3)) * per
    return window, now


def true_wait(window: AdaptiveWindow, now: float, ahead: int) -> float:
    """The wait behind `ahead` others if every answer comes at once."""
    window, time = copy.deepcopy(window), now
    for key, started in list(window.window.flying.items()):
        window.answered(Slot(key, started), time)
    for _ in range(ahead + 1):
        while (wait := window.wait(time)) > 0:
            time = max(time + wait, math.nextafter(time, math.inf))
        window.answered(window.start(time), time)
    return time - now


@given(windows(), st.integers(0, 20))
def test_least_wait_is_a_lower_bound(state: tuple[AdaptiveWindow, float], ahead: int) -> None:
    """With answers that come at once the wait is never less; without a pause it is nearly that."""
    window, now = state
    least, true = window.least_wait(now, ahead), true_wait(window, now, ahead)
    assert least <= true + 1e-6
    if window.adaptive.base is None:
        slack = (ahead // window.quota.budget + 2) * window.quota.per * CLOCK_SLACK
        assert true <= least + slack + 1e-6


@given(windows(shrunk=True), st.integers(0, 20))
def test_least_wait_is_a_lower_bound_after_the_budget_shrank(
    state: tuple[AdaptiveWindow, float], ahead: int
) -> None:
    """A new client with a lower limit finds more slots held than it may use, and waits no less."""
    window, now = state
    assert window.least_wait(now, ahead) <= true_wait(window, now, ahead) + 1e-6


@given(windows())
def test_no_wait_is_no_wait(state: tuple[AdaptiveWindow, float]) -> None:
    """With nobody ahead the least wait is 0 exactly when a request may start now."""
    window, now = state
    assume(window.window.in_flight < window.quota.max_in_flight)  # else it hangs on an answer alone
    assert (window.least_wait(now, 0) == 0) == (window.wait(now) == 0)


@given(windows(), st.integers(0, 20))
def test_least_wait_grows_with_the_queue(state: tuple[AdaptiveWindow, float], ahead: int) -> None:
    """Nobody further back may expect to start earlier, but for the clocks' slack."""
    window, now = state
    slack = window.quota.per * CLOCK_SLACK + 1e-6
    assert window.least_wait(now, ahead) <= window.least_wait(now, ahead + 1) + slack


def test_a_slot_ends_one_window_after_its_answer() -> None:
    """A slot is held while in flight, and then for the window and the clocks' slack."""
    window = SlidingWindow(Quota(1, 60.0, 8))
    assert window.wait(0) == 0
    slot = window.start(0)
    assert window.wait(5) == math.inf
    assert window.answered(slot, 5)
    assert window.wait(5) == pytest.approx(60.06)
    assert window.wait(65) > 0
    assert window.wait(65.06) == 0
    assert window.used == 0


def test_an_unused_slot_is_free_at_once() -> None:
    """A request that never reached the server costs nothing."""
    window = SlidingWindow(Quota(1, 60.0, 8))
    window.unused(window.start(0))
    assert window.wait(0) == 0


def test_a_slot_ends_once() -> None:
    """A second end of the same slot makes up nothing, be it an answer, a 429 or neither."""
    window = AdaptiveWindow.of(2, 60.0, 8)
    slot = window.start(0)
    window.answered(slot, 1)
    window.answered(slot, 2)
    window.refused(slot, 3)
    window.unused(slot, 4)
    assert (window.window.used, window.snapshot(4).mode) == (1, "burst")


def counts(times: list[float], since: float) -> int:
    """How many of the times are not before `since`."""
    return sum(time >= since for time in times)


@given(
    st.lists(st.floats(0, 30), max_size=8),
    st.lists(st.lists(st.floats(0, 30), max_size=8), min_size=1, max_size=3),
    st.lists(st.booleans(), max_size=4),
)
def test_what_is_told_and_what_is_known_count_once(
    own: list[float], told: list[list[float]], flights: list[bool]
) -> None:
    """In any time up to now as many as the one knows who knows of most, whatever becomes of the
    requests in flight; and each ends one window after it was counted."""
    window = SlidingWindow(Quota(99, 60.0, 99), answered_at=deque(sorted(own)))
    slots = [window.start(30.0) for _ in flights]
    for times in told:
        window.observed(times, 30.0)
    moments = [*own, *itertools.chain(*told)]
    for since in moments:
        known = max(counts(own, since) + len(slots), *(counts(times, since) for times in told))
        assert counts(list(window.answered_at), since) + len(slots) == known
    for slot, sent in zip(slots, flights, strict=True):
        window.answered(slot, 31.0) if sent else window.unused(slot)
    for since in moments:
        known = counts(own, since) + sum(flights)
        most = max(known, *(counts(times, since) for times in told))
        assert most <= counts(list(window.answered_at), since) <= most + len(slots) - sum(flights)
    last = max([0.0, *moments, *(31.0 for sent in flights if sent)])
    window.forget(last + 60.0 * (1 + CLOCK_SLACK))
    assert window.used == 0


def test_a_request_in_flight_stands_for_one_that_is_told_of() -> None:
    """As long as it may be that one. If it never reached the server, the other is held."""
    window = AdaptiveWindow.of(2, 60.0, 8)
    slot = window.start(100.0)
    window.observed([90.0], 100.0)
    assert window.snapshot(100.0).used == 1
    moved = AdaptiveWindow.restored(window.quota, window.state())
    for one in (window, moved):
        one.unused(slot, 101.0)
        assert (one.snapshot(101.0).used, one.snapshot(150.0).used) == (1, 1)
        assert one.snapshot(151.0).used == 0


def test_more_may_be_told_than_the_budget() -> None:
    """As after the limit was lowered: the wait is for the slots beyond it as well."""
    window = AdaptiveWindow.of(2, 60.0, 8)
    window.observed([10.0, 20.0, 30.0, 99.0], 40.0)
    assert window.wait(40.0) == pytest.approx(30.0 + 60.06 - 40.0)
    assert window.snapshot(40.0).used == 4
    assert window.snapshot(95.0).used == 1  # 99 was still to come: a clock ran ahead


def test_in_flight_is_bounded_too() -> None:
    """With room in the budget, the bound of requests in flight still waits for an answer."""
    window = SlidingWindow(Quota(10, 60.0, 1))
    slot = window.start(0)
    assert window.wait(0) == math.inf
    window.answered(slot, 0)
    assert window.wait(0) == 0


@given(st.integers(1, 400), BUDGETS, PERS)
def test_least_time_is_what_an_empty_window_needs(requests: int, budget: int, per: float) -> None:
    """The estimate from an empty window is that of the last request's least wait."""
    window = SlidingWindow(Quota(budget, per, requests))
    assert least_time(requests, budget, per) == pytest.approx(window.least_wait(0, requests - 1))


def test_no_requests_need_no_time() -> None:
    """Nothing to send takes 0 s, and so does one budget."""
    assert least_time(0, 120, 60.0) == least_time(120, 120, 60.0) == 0
    assert least_time(121, 120, 60.0) == 60


def test_a_snapshot_is_a_value() -> None:
    """What a gate knew is frozen and shown whole."""
    snapshot = GateSnapshot(budget=120, used=3, in_flight=1, waiting=2, next_in=0.5, paused_for=0.0)
    assert "used=3" in repr(snapshot)
    assert str(snapshot) == "3 of 120 slots used, 1 in flight, 2 waiting, burst"


@given(windows(), st.floats(0.1, 1e6))
def test_a_clock_set_back_changes_no_wait(state: tuple[AdaptiveWindow, float], by: float) -> None:
    """Every moment moves with the clock; a step within the clocks' slack only holds time still."""
    window, now = state
    before = window.wait(now)
    assert window.follow(now - window.quota.per * CLOCK_SLACK / 2) == 0
    assert window.wait(now) == before
    assert window.follow(now - by) in (0, pytest.approx(by))
    assert window.wait(now - by) == pytest.approx(before, abs=1e-6 + 2 * CLOCK_SLACK * 60)


@given(windows(), st.floats(0.0, 1e6))
def test_a_time_that_was_read_before_another_moves_nothing(
    state: tuple[AdaptiveWindow, float], by: float
) -> None:
    """Whoever was held up between reading the clock and asking asks as of the latest time."""
    window, now = state
    before = window.wait(now)
    assert window.wait(now - by) == window.wait(now) == before


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["start", "answered", "refused", "unused", "observed"]),
        st.floats(0.0, 40.0),
    ),
    max_size=40,
)


@given(STEPS, st.floats(0.0, 1.0), st.floats(1.0, 1e6))
@example([("start", 0.0), ("start", 5.0)], 0.5, 1000.0)  # one in flight is moved
@example(  # ... and what it may be
    [("start", 0.0), ("observed", 1.0), ("unused", 1.0), ("start", 20.0)], 0.5, 1000.0
)
def test_a_clock_that_was_set_back_changes_nothing_that_follows(
    steps: list[tuple[str, float]], part: float, by: float
) -> None:
    """Slots, those in flight included, pause, probe and pace all move with it."""
    plain, moved = AdaptiveWindow.of(3, 60.0, 8), AdaptiveWindow.of(3, 60.0, 8)
    now, back, slots = 1000.0, 0.0, list[tuple[Slot, Slot]]()
    for number, (what, later) in enumerate(steps):
        now += later
        if number == int(part * len(steps)):  # seen before and after
            plain.wait(now)
            moved.wait(now)
            back = moved.follow(now - by)
        there = now - back
        assert moved.wait(there) == pytest.approx(plain.wait(now), abs=1e-3)
        if what == "observed":
            plain.observed([now - 7.0, now - 50.0], now)
            moved.observed([there - 7.0, there - 50.0], there)
        elif what == "start":
            ready = max(plain.wait(now), moved.wait(there))
            if ready < math.inf:
                now += ready + 1e-3
                slots.append((plain.start(now), moved.start(now - back)))
        elif slots:
            one, other = slots.pop()
            getattr(plain, what)(one, now)
            getattr(moved, what)(other, there)
        here, there_ = plain.window.held(now), moved.window.held(now - back)
        assert here[0] == there_[0]
        assert now - here[1] == pytest.approx(now - back - there_[1], abs=1e-3)
        same = ("paused_for", "rate")
        ours, theirs = plain.snapshot(now), moved.snapshot(now - back)
        for name in same:
            assert getattr(ours, name) == pytest.approx(getattr(theirs, name), abs=1e-3)
