"""The arithmetic of the rate limit, against servers that count wherever they like."""

from __future__ import annotations

import copy
import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from moveworks_shift_async.limits.window import (
    CLOCK_SLACK,
    GateSnapshot,
    SlidingWindow,
    least_time,
)

#: Where between sending and answer the server counts: at either end, or anywhere.
FRACTIONS = st.one_of(st.sampled_from([0.0, 1.0]), st.floats(0, 1))
BUDGETS = st.integers(1, 5)
PERS = st.sampled_from([1.0, 3.0, 60.0])


class ServerOfUnknownLatency(RuleBasedStateMachine):
    """Sends as `wait` allows to a server that counts each request at an unknown moment."""

    @initialize(budget=BUDGETS, per=PERS, max_in_flight=st.integers(1, 7), zero=st.floats(-9, 1e6))
    def open(self, budget: int, per: float, max_in_flight: int, zero: float) -> None:
        self.window = SlidingWindow(budget, per, max_in_flight)
        self.now = zero
        self.flying: list[float] = []
        self.counted: list[float] = []

    @rule(part=st.one_of(st.floats(0, 0.3), st.floats(0, 2.5)))
    def time_passes(self, part: float) -> None:
        self.now += part * self.window.per

    @rule(latency=st.floats(0, 2), where=FRACTIONS)
    def start_when_allowed(self, latency: float, where: float) -> None:
        """Start at the first moment allowed, if no answer is needed for it."""
        if self._obey():
            self.window.start()
            self.flying.append(self.now)

    @precondition(lambda self: self.flying)
    @rule(data=st.data(), where=FRACTIONS)
    def answer(self, data: st.DataObject, where: float) -> None:
        sent = self.flying.pop(data.draw(st.integers(0, len(self.flying) - 1)))
        self.counted.append(sent + where * (self.now - sent))
        self.window.answered(self.now)

    @precondition(lambda self: self.flying)
    @rule(data=st.data())
    def never_reached_the_server(self, data: st.DataObject) -> None:
        self.flying.pop(data.draw(st.integers(0, len(self.flying) - 1)))
        self.window.unused()

    @rule(part=st.floats(-1, 2))
    def pause(self, part: float) -> None:
        before = self.window.pause_until
        self.window.pause(self.now, part * self.window.per)
        assert self.window.pause_until >= before
        assert self.window.pause_until >= self.now + part * self.window.per

    @invariant()
    def slots_are_never_negative_nor_too_many(self) -> None:
        """Slots held are those in flight and those answered, and never exceed the budget."""
        if hasattr(self, "window"):
            assert self.window.in_flight == len(self.flying)
            assert 0 <= self.window.in_flight <= self.window.used <= self.window.budget
            assert self.window.in_flight <= self.window.max_in_flight

    @invariant()
    def nothing_starts_in_a_pause(self) -> None:
        """While a pause lasts, the wait is at least as long."""
        if hasattr(self, "window"):
            assert self.window.wait(self.now) >= self.window.pause_until - self.now

    def teardown(self) -> None:
        """All starts happen in the end, and no window ever held more than the budget."""
        if not hasattr(self, "window"):
            return
        while self.flying:
            self.counted.append(self.flying.pop())
            self.window.answered(self.now)
        for _ in range(2 * self.window.budget + 1):
            assert self._obey()
            self.window.start()
            self.window.answered(self.now)
            self.counted.append(self.now)
        times = sorted(self.counted)
        for first, beyond in zip(times, times[self.window.budget :], strict=False):
            assert beyond - first > self.window.per

    def _obey(self) -> bool:
        """Let the time pass that `wait` asks for; False if only an answer can tell."""
        for _ in range(5):
            wait = self.window.wait(self.now)
            assert wait >= 0
            if wait == math.inf:
                assert self.flying
                return False
            if wait == 0:
                return True
            self.now = max(self.now + wait, math.nextafter(self.now, math.inf))
        raise AssertionError("the wait does not come to an end")


TestServerOfUnknownLatency = ServerOfUnknownLatency.TestCase


@st.composite
def windows(draw: st.DrawFn, shrunk: bool = False) -> tuple[SlidingWindow, float]:
    """A window in some state that obedience leads to, and its present."""
    budget, per = draw(BUDGETS), draw(PERS)
    used = draw(st.integers(budget + 1, 2 * budget + 5) if shrunk else st.integers(0, budget))
    in_flight = draw(st.integers(0, used))
    window = SlidingWindow(budget, per, max_in_flight=draw(st.integers(max(1, in_flight), 20)))
    window.in_flight = in_flight
    now = 1000.0
    ages = draw(st.lists(st.floats(0, 1), min_size=used - in_flight, max_size=used - in_flight))
    window.answered_at.extend(now - age * per for age in sorted(ages, reverse=True))
    if draw(st.booleans()):
        window.pause(now, draw(st.floats(0, 3)) * per)
    return window, now


def true_wait(window: SlidingWindow, now: float, ahead: int) -> float:
    """The wait behind `ahead` others if every answer comes at once."""
    window, time = copy.deepcopy(window), now
    while window.in_flight:
        window.answered(time)
    for _ in range(ahead + 1):
        while (wait := window.wait(time)) > 0:
            time = max(time + wait, math.nextafter(time, math.inf))
        window.start()
        window.answered(time)
    return time - now


@given(windows(), st.integers(0, 20))
def test_least_wait_is_a_lower_bound(state: tuple[SlidingWindow, float], ahead: int) -> None:
    """With answers that come at once the wait is never less; without a pause it is nearly that."""
    window, now = state
    least, true = window.least_wait(now, ahead), true_wait(window, now, ahead)
    assert least <= true + 1e-6
    if window.pause_until <= now:
        slack = (ahead // window.budget + 2) * window.per * CLOCK_SLACK
        assert true <= least + slack + 1e-6


@given(windows(shrunk=True), st.integers(0, 20))
def test_least_wait_is_a_lower_bound_after_the_budget_shrank(
    state: tuple[SlidingWindow, float], ahead: int
) -> None:
    """A new client with a lower limit finds more slots held than it may use, and waits no less."""
    window, now = state
    assert window.least_wait(now, ahead) <= true_wait(window, now, ahead) + 1e-6


@given(windows())
def test_no_wait_is_no_wait(state: tuple[SlidingWindow, float]) -> None:
    """With nobody ahead the least wait is 0 exactly when a request may start now."""
    window, now = state
    assume(window.in_flight < window.max_in_flight)  # else it hangs on an answer alone
    assert (window.least_wait(now, 0) == 0) == (window.wait(now) == 0)


@given(windows(), st.integers(0, 20))
def test_least_wait_grows_with_the_queue(state: tuple[SlidingWindow, float], ahead: int) -> None:
    """Nobody further back may expect to start earlier, but for the clocks' slack."""
    window, now = state
    slack = window.per * CLOCK_SLACK + 1e-6
    assert window.least_wait(now, ahead) <= window.least_wait(now, ahead + 1) + slack


def test_a_slot_ends_one_window_after_its_answer() -> None:
    """A slot is held while in flight, and then for the window and the clocks' slack."""
    window = SlidingWindow(1, 60.0, 8)
    assert window.wait(0) == 0
    window.start()
    assert window.wait(5) == math.inf
    window.answered(5)
    assert window.wait(5) == pytest.approx(60.06)
    assert window.wait(65) > 0
    assert window.wait(65.06) == 0
    assert window.used == 0


def test_an_unused_slot_is_free_at_once() -> None:
    """A request that never reached the server costs nothing."""
    window = SlidingWindow(1, 60.0, 8)
    window.start()
    window.unused()
    assert window.wait(0) == 0


def test_in_flight_is_bounded_too() -> None:
    """With room in the budget, the bound of requests in flight still waits for an answer."""
    window = SlidingWindow(10, 60.0, 1)
    window.start()
    assert window.wait(0) == math.inf
    window.answered(0)
    assert window.wait(0) == 0


def test_a_shorter_pause_does_not_end_a_longer_one() -> None:
    """A pause only extends, and it is over by itself."""
    window = SlidingWindow(10, 60.0, 8)
    window.pause(0, 60)
    window.pause(10, 5)
    assert window.wait(10) == 50
    assert window.least_wait(10, 0) == 50
    assert window.wait(60) == 0


@given(st.integers(1, 400), BUDGETS, PERS)
def test_least_time_is_what_an_empty_window_needs(requests: int, budget: int, per: float) -> None:
    """The estimate from an empty window is that of the last request's least wait."""
    window = SlidingWindow(budget, per, requests)
    assert least_time(requests, budget, per) == pytest.approx(window.least_wait(0, requests - 1))


def test_no_requests_need_no_time() -> None:
    """Nothing to send takes 0 s, and so does one budget."""
    assert least_time(0, 120, 60.0) == least_time(120, 120, 60.0) == 0
    assert least_time(121, 120, 60.0) == 60


def test_a_snapshot_is_a_value() -> None:
    """What a gate knew is frozen and shown whole."""
    snapshot = GateSnapshot(budget=120, used=3, in_flight=1, waiting=2, next_in=0.5, paused_for=0.0)
    assert "used=3" in repr(snapshot)
