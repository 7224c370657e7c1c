"""The breaker that a 429 opens, its probes, the rate it leaves, and how that grows again."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moveworks_shift_async.limits import adaptive as constants
from moveworks_shift_async.limits.adaptive_window import AdaptiveWindow
from moveworks_shift_async.limits.window import Quota, Slot

PER = 60.0
FIRST_BACKOFF = constants.GAPS / Quota(120, PER, 32).rate


def window_at(budget: int = 120) -> AdaptiveWindow:
    """A gate's arithmetic that has sent nothing."""
    return AdaptiveWindow.of(budget, PER, 32)


def refuse(window: AdaptiveWindow, now: float, retry_after: float | None = None) -> None:
    """Start one and have it refused at once."""
    window.refused(window.start(now), now, retry_after)


def reopen(window: AdaptiveWindow, now: float) -> float:
    """Let the next probe pass as soon as it may go; the time then."""
    now += window.wait(now)
    window.answered(window.start(now), now)
    return now


def spend(window: AdaptiveWindow, now: float, until: float) -> float:
    """Send whenever allowed, each answered at once, up to a moment."""
    while now + (wait := window.wait(now)) < until:
        now += max(wait, 1e-6)
        if window.wait(now) == 0:
            window.answered(window.start(now), now)
    return until


def test_before_a_429_bursts_are_allowed() -> None:
    """The first few start at the same moment, the whole budget in a small part of the window."""
    window = window_at()
    for _ in range(constants.BURST_DEPTH):
        assert window.wait(0) == 0
        window.start(0)
    assert 0 < window.wait(0) < PER / constants.BURST_SPEED / 100
    assert window.snapshot(0).mode == "burst"


def test_a_short_first_episode_costs_no_more_than_the_burst() -> None:
    """A probe that passes at once says that no window was full: the rate stays nearly whole."""
    window = window_at()
    for _ in range(constants.BURST_DEPTH):
        window.answered(window.start(0.0), 0.0)
    refuse(window, 1.0)
    now = reopen(window, 1.0)
    assert now - 1.0 < constants.SAME_EPISODE * PER
    assert window.snapshot(now).rate == pytest.approx(constants.DECREASE * window.quota.rate)


def test_a_long_first_episode_is_a_window_that_was_full() -> None:
    """What had been answered in it is what the others left, but never below half."""
    for answered, rate in (
        (80, constants.DECREASE * 80 / PER),
        (20, constants.DEEPEST_DECREASE * 2),
    ):
        window, now = window_at(), 0.0
        for _ in range(answered):
            now += window.wait(now)
            window.answered(window.start(now), now)
        refuse(window, 5.0, retry_after=20.0)
        now = reopen(window, 5.0)
        assert window.snapshot(now).rate == pytest.approx(rate, rel=2e-3)


def test_one_episode_changes_the_rate_once() -> None:
    """Refusals of what was sent before the first 429 change nothing but an asked-for pause."""
    window = window_at()
    sent = [window.start(0) for _ in range(4)]
    window.refused(sent[0], 1.0)
    taught = window.state()["adaptive"]
    window.refused(sent[1], 1.1)
    assert window.state()["adaptive"] == taught
    window.refused(sent[2], 1.2, 30.0)
    assert window.wait(1.2) == pytest.approx(30.0)
    now = reopen(window, 1.2)
    window.refused(sent[3], now)
    assert window.snapshot(now).mode == "paced"


def test_waits_double_up_to_the_window() -> None:
    """Each refused probe doubles the wait; one window after the first 429 a probe goes anyway."""
    window, now, waits = window_at(), 0.0, list[float]()
    for _ in range(9):
        refuse(window, now)
        waits.append(window.wait(now))
        now += waits[-1]
    assert waits[:5] == pytest.approx([FIRST_BACKOFF * 2**i for i in range(5)])
    assert sum(waits[:6]) == pytest.approx(PER * 1.001)
    assert waits[6:] == pytest.approx([PER] * 3)


def test_retry_after_is_honoured() -> None:
    """The server's word goes before our own doubling, for the first 429 and for a probe."""
    window = window_at()
    refuse(window, 0.0, 7.0)
    assert window.wait(0.0) == 7.0
    refuse(window, 7.0, 0.5)
    assert window.wait(7.0) == pytest.approx(0.5)


def test_one_probe_at_a_time() -> None:
    """While a probe is out nobody starts; one that did not go or was lost is replaced."""
    window = window_at()
    refuse(window, 0.0, 10.0)
    probe = window.start(10.0)
    assert window.snapshot(10.0).mode == "probing"
    assert window.wait(10.0) == PER
    window.unused(probe, 11.0)
    assert window.wait(11.0) == 0
    lost = window.start(12.0)
    assert window.wait(12.0 + PER) == 0
    passed = window.start(12.0 + PER)
    window.answered(lost, 13.0 + PER)
    assert window.adaptive.tripped
    window.answered(passed, 14.0 + PER)
    assert not window.adaptive.tripped


def test_a_probe_whose_process_is_gone_is_replaced_and_teaches_nothing() -> None:
    """The server may have counted it, so it holds its slot; no other may go but a probe."""
    window = window_at()
    refuse(window, 0.0, 10.0)
    window.lost(window.start(10.0), 11.0)
    assert window.wait(11.0) == 0
    assert window.adaptive.tripped
    assert (window.snapshot(11.0).in_flight, window.snapshot(11.0).used) == (0, 2)


def test_after_a_burst_the_pace_is_nearly_the_whole_budget() -> None:
    """A burst that failed says little about the rate, if the next probe passes soon."""
    window = window_at()
    refuse(window, 0.0)
    now = reopen(window, 0.0)
    assert window.snapshot(now).rate == pytest.approx(constants.DECREASE * window.quota.rate)
    assert "1 of 120 slots used" in window.snapshot(now).why


def test_a_long_episode_says_what_was_left() -> None:
    """A circuit open for a window says that it was full: the pace is what we had, or half."""
    for sent, rate in ((90, 0.95 * 91 / 60), (10, 0.5 * 120 / 60.06)):
        window = window_at()
        now = spend(window, 0.0, sent / 60.0)
        refuse(window, now, PER)
        now = reopen(window, now)
        had = window.adaptive.refused_used
        assert had == pytest.approx(sent, abs=12)
        assert window.snapshot(now).rate == pytest.approx(max(0.95 * had / 60, 0.999), rel=0.02)
        assert rate == pytest.approx(window.snapshot(now).rate, rel=0.15)


def test_a_429_at_a_pace_leaves_what_the_others_left() -> None:
    """What was ours in the last window is what is left; the rate never falls by more than half."""
    window = window_at()
    refuse(window, 0.0)
    now = spend(window, reopen(window, 0.0), 100.0) + 0.6
    before, used = window.snapshot(now).rate, window.snapshot(now).used
    refuse(window, now)
    after = window.snapshot(reopen(window, now)).rate
    assert constants.DEEPEST_DECREASE * before <= after < before
    assert after == pytest.approx(constants.DECREASE * used / PER, rel=0.03)


def test_what_is_in_flight_was_not_had_yet() -> None:
    """Ten requests without an answer may all have been refused: they are not what was left."""
    window = window_at()
    refuse(window, 0.0)
    now = spend(window, reopen(window, 0.0), 100.0)
    flying = list[Slot]()
    while len(flying) < 10:
        now += window.wait(now)
        flying.append(window.start(now))
    used = window.snapshot(now).used
    window.refused(flying[0], now)
    after = window.snapshot(reopen(window, now)).rate
    assert after == pytest.approx(constants.DECREASE * (used - 10) / PER, rel=0.01)


def test_the_rate_grows_ever_faster_but_never_above_the_budget() -> None:
    """Growth doubles each clean window, ends at the budget, and then bursts are allowed again."""
    window = window_at()
    refuse(window, 0.0)
    now = reopen(window, 0.0)
    window.adaptive.base = window.quota.rate / 2
    rates = [window.adaptive.rate(now + PER * i) for i in range(5)]
    steps = [late - early for early, late in pairwise(rates)]
    assert steps == sorted(steps)
    assert window.snapshot(now + 5 * PER).rate == window.quota.rate
    assert window.snapshot(now + 5 * PER).mode == "paced"
    assert window.snapshot(now + 7 * PER).mode == "burst"


def test_the_rate_is_whole_after_the_recovery() -> None:
    """However low the rate was, it is the whole budget after `RECOVERY` clean windows."""
    window = window_at()
    refuse(window, 0.0)
    now = reopen(window, 0.0)
    window.adaptive.base = 1e-9
    assert window.adaptive.rate(now + PER * (constants.RECOVERY - 0.1)) < window.quota.rate
    after = window.adaptive.rate(now + PER * (constants.RECOVERY + 0.01))
    assert after == pytest.approx(window.quota.rate)


def test_bursts_that_fail_again_are_tried_less_often() -> None:
    """The periods double, up to a bound, while bursts fail soon after they were allowed."""
    window, now = window_at(), 0.0
    periods = []
    for _ in range(6):
        refuse(window, now)
        now = reopen(window, now)
        periods.append(window.adaptive.clean_periods)
        now = window.adaptive._bursts_at(now) + 1.0
    assert periods == [1, 2, 4, 8, 16, 16]
    refuse(window, now + 2 * constants.MOST_CLEAN_PERIODS * PER)
    assert window.adaptive.clean_periods == 1


def test_a_429_soon_after_closing_keeps_the_longer_backoff() -> None:
    """It goes on doubling; after a time without a 429 it starts small."""
    window = window_at()
    refuse(window, 0.0)
    now = reopen(window, 0.0) + 1.0
    refuse(window, now)
    assert window.wait(now) == pytest.approx(2 * FIRST_BACKOFF)
    now = reopen(window, now) + PER
    refuse(window, now)
    assert window.wait(now) < 2 * FIRST_BACKOFF


def test_a_lucky_probe_does_not_lengthen_the_episode() -> None:
    """However often the circuit closes and opens, one goes a window after the first 429."""
    window = window_at()
    refuse(window, 0.0)
    now = 0.0
    while now < PER:
        now = reopen(window, now)
        if now < PER:
            refuse(window, now + window.wait(now))
    assert now == pytest.approx(PER * 1.001)


@given(st.floats(1, 1e4), st.integers(2, 1000))
def test_nobody_is_wedged_by_whatever_was_met(idle: float, budget: int) -> None:
    """After any 429 and any rest the next request waits a window at most."""
    window = window_at(budget)
    refuse(window, 0.0)
    assert window.wait(idle) <= PER * 1.001
    window.answered(window.start(idle + window.wait(idle)), idle + PER)
    assert window.wait(idle + 3 * PER) == 0


def test_slots_of_another_process_are_restored() -> None:
    """A request in flight elsewhere holds its slot here, and its answer is known by its id."""
    window = window_at(budget=1)
    slot = window.start(5.0)
    here = AdaptiveWindow.restored(window.quota, window.state())
    assert here.wait(6.0) == float("inf")
    here.answered(Slot(slot.id, 5.0), 7.0)
    assert here.wait(7.0) == pytest.approx(PER * 1.001)
    fresh = window_at()
    assert AdaptiveWindow.restored(fresh.quota, fresh.state()).state() == fresh.state()
